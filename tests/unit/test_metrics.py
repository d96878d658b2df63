"""The measures of quality, on cases with a known answer."""

from mlxgan import checkpoints, data, measures, metrics

import os
import warnings

import mlx.core as mx
import numpy as np
import pytest

CLOUD = np.random.default_rng(0).normal(size=(3000, 4))


@pytest.fixture
def rng():
    """The same draws in each test, whichever tests run before it."""
    return np.random.default_rng(1)


def test_fid_of_two_gaussians(rng):
    """Commuting covariances: the squared distance of the means plus that of the standard deviations."""
    means, scales = np.array([1.0, -2.0, 0.0, 0.5]), np.array([2.0, 1.0, 0.5, 3.0])
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    x = _white(CLOUD) @ turn
    y = (_white(rng.normal(size=(2000, 4))) * scales + means) @ turn
    assert metrics.fid(x, y) == pytest.approx(np.square(means).sum() + np.square(scales - 1).sum(), rel=1e-6)


def test_fid_of_covariances_that_do_not_commute(rng):
    """In two dimensions tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)), here with M = A B."""
    a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.7], [-0.7, 3.0]])
    x, y = (_white(rng.normal(size=(1000, 2))) @ np.linalg.cholesky(c).T for c in (a, b))
    cross = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    assert metrics.fid(x, y) == pytest.approx(np.trace(a) + np.trace(b) - 2 * cross, rel=1e-6)


def _white(points: np.ndarray) -> np.ndarray:
    """The points with mean 0 and covariance 1 exactly."""
    centered = points - points.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(np.cov(centered.T)), centered.T).T


def test_identical_sets(rng):
    assert metrics.fid(CLOUD, CLOUD) == pytest.approx(0, abs=1e-9)
    assert metrics.precision_recall(CLOUD, CLOUD) == (1, 1)
    assert metrics.nearer_to_training(CLOUD, CLOUD, rng.normal(size=(100, 4))) == 1
    assert metrics.nearer_to_training(CLOUD, CLOUD, CLOUD) == 0  # as near, not nearer


@pytest.mark.parametrize(
    "measure",
    [
        metrics.fid,
        lambda x, y: metrics.kid(x, y, draws=2),
        metrics.precision_recall,
        metrics.density_coverage,
        lambda x, y: metrics.nearer_to_training(x, y, x[:9]),
        lambda x, y: metrics.classifier_score(abs(x)),
        lambda x, y: metrics.class_histogram(x),
        lambda x, y: metrics.kl_from_uniform(x[0]),
        lambda x, y: metrics.agreement(x, y[:, 0] > 0),
    ],
)
def test_arrays_of_mlx_are_measured_as_those_of_numpy_are(measure, rng):
    pair = rng.normal(size=(2, 30, 4)).astype(np.float32)
    np.testing.assert_allclose(measure(*map(mx.array, pair)), measure(*pair), rtol=1e-6)


@pytest.mark.parametrize("array", [np.array, mx.array])
def test_features_take_arrays_of_both_kinds(array):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    classifier = checkpoints.load_pretrained("classifier")
    as_floats = data.normalize(mx.array(images))
    for a, b in zip(metrics.features(classifier, array(images)), metrics.features(classifier, as_floats), strict=True):
        assert np.array_equal(a, b)


def test_fid_is_symmetric_and_finite_where_covariances_are_singular():
    flat = CLOUD * np.array([1, 1, 0, 0])
    assert metrics.fid(flat, CLOUD) == pytest.approx(metrics.fid(CLOUD, flat), rel=1e-6)
    assert np.isfinite(metrics.fid(flat, flat[:50] * 2))


def test_disjoint_sets():
    far = CLOUD + 100
    assert metrics.precision_recall(CLOUD, far) == (0, 0)
    assert metrics.fid(CLOUD, far) == pytest.approx(4 * 100**2, rel=1e-6)
    kernel, error = metrics.kid(CLOUD, far)
    assert kernel > 100 * error > 0


def test_a_collapsed_set_is_precise_and_recalls_nothing(rng):
    one = CLOUD[0] + 1e-3 * rng.normal(size=(3000, 4))
    precision, recall = metrics.precision_recall(CLOUD, one)
    assert precision == 1 and recall < 0.01


def test_repetition_fools_recall_and_not_coverage(rng):
    """A hundred points make large balls, which reach most real ones; each thirty times, they make balls of no size."""
    few = rng.normal(size=(100, 4))
    often = few.repeat(30, axis=0)
    assert metrics.precision_recall(CLOUD, few)[1] > 0.7 and metrics.precision_recall(CLOUD, often)[1] < 0.05
    assert metrics.density_coverage(CLOUD, few)[1] == metrics.density_coverage(CLOUD, often)[1] < 0.3


def test_precision_and_recall_by_hand():
    """On a line, with k = 1: the balls around 0, 1, 3 reach 1, 1 and 2 far."""
    real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [2.5], [5.1], [9.0]])
    assert metrics.precision_recall(real, fake, k=1) == (0.5, pytest.approx(1 / 3))


def test_density_and_coverage_by_hand():
    """On the same line: two balls hold 2, one of them 2.5 as well, and the ball around 0 holds nothing."""
    real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[2.0], [2.5], [5.1], [9.0]])
    assert metrics.density_coverage(real, fake, k=1) == (0.75, pytest.approx(2 / 3))
    assert metrics.density_coverage(real, fake.repeat(3, axis=0), k=1) == (0.75, pytest.approx(2 / 3))


def test_a_point_on_the_edge_of_a_ball_is_inside():
    """With k = 1 the balls around 0, 1, 5 reach 1, 1 and 4 far; the fakes are at the edges of the first and last."""
    real, fake = np.array([[0.0], [1.0], [5.0]]), np.array([[-1.0], [9.0]])
    assert metrics.precision_recall(real, fake, k=1)[0] == 1
    assert metrics.density_coverage(real, fake, k=1) == (1, pytest.approx(2 / 3))


def test_distances_are_as_exact_far_from_the_origin(rng):
    real, fake, held_out = rng.normal(size=(3, 200, 4))
    far = np.array([1e4, -1e4, 0, 3e4])
    near, moved = ([x + shift for x in (real, fake, held_out)] for shift in (0, far))
    for measure in (metrics.precision_recall, metrics.density_coverage):
        assert measure(*moved[:2]) == pytest.approx(measure(*near[:2]), abs=0.01)
    assert metrics.nearer_to_training(*moved) == pytest.approx(metrics.nearer_to_training(*near), abs=0.01)


def test_density_and_coverage_of_known_sets(rng):
    density, coverage = metrics.density_coverage(CLOUD, rng.normal(size=(3000, 4)))
    assert density == pytest.approx(1, abs=0.1) and coverage > 0.9
    assert metrics.density_coverage(CLOUD, CLOUD + 100) == (0, 0)
    collapsed = 0.1 * rng.normal(size=(3000, 4))
    density, coverage = metrics.density_coverage(CLOUD, collapsed)
    assert density == pytest.approx(1, abs=0.1) and coverage < 0.1


def test_kid_is_unbiased_and_its_error_at_most_root_3_too_large(rng):
    draws = rng.normal(size=(40, 2, 400, 3))
    estimates, errors = np.array([metrics.kid(x, y) for x, y in draws]).T
    assert abs(estimates.mean()) < 3 * estimates.std() / np.sqrt(40)
    assert 0.8 < np.sqrt(np.square(errors).mean()) / estimates.std(ddof=1) < 1.2 * np.sqrt(3)


def test_the_error_of_kid_is_that_of_repetition_where_the_sets_differ_too(rng):
    draws = rng.normal(size=(40, 2, 400, 3)) * np.array([1.0, 1.5])[:, None, None]
    estimates, errors = np.array([metrics.kid(x, y) for x, y in draws]).T
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(estimates.std(ddof=1), rel=0.3)


def test_kid_by_its_definition(rng):
    x, y = rng.normal(size=(2, 6, 2))
    y = y[:5]

    def k(a, b):
        return (a @ b / 2 + 1) ** 3

    def within(points):
        n = len(points)
        return sum(k(points[i], points[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))

    between = sum(k(a, b) for a in x for b in y) / 30
    assert metrics.kid(x, y)[0] == pytest.approx(within(x) + within(y) - 2 * between)


def test_the_error_of_kid_by_its_definition(rng):
    """The standard deviation over 50 samples of both sets, drawn with replacement and always the same."""
    x, y = rng.normal(size=(2, 6, 2))
    within_x, within_y, between = ((a @ b.T / 2 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))

    def mean_of_pairs(kernel, counts):
        weights = np.outer(counts, counts) - np.diag(counts**2)
        return (weights * kernel).sum() / weights.sum()

    draw = np.random.default_rng(0)
    counts_x, counts_y = (draw.multinomial(6, np.full(6, 1 / 6), 50) for _ in range(2))
    estimates = [
        mean_of_pairs(within_x, a) + mean_of_pairs(within_y, b) - 2 * (a @ between @ b) / 36
        for a, b in zip(counts_x, counts_y, strict=True)
    ]
    assert metrics.kid(x, y)[1] == pytest.approx(np.std(estimates, ddof=1))


def test_kid_does_not_depend_on_the_size_of_its_blocks(rng, monkeypatch):
    x, y = rng.normal(size=(2, 50, 3))
    whole = metrics.kid(x, y)
    monkeypatch.setattr(measures, "BLOCK", 7)
    assert metrics.kid(x, y) == pytest.approx(whole)


def test_copies_are_found(rng):
    training, held_out = rng.normal(size=(400, 8)), rng.normal(size=(100, 8))
    fresh = rng.normal(size=(500, 8))
    assert metrics.nearer_to_training(fresh, training, held_out) == pytest.approx(400 / 500, abs=0.1)
    half = np.concatenate([fresh[:200], training[:200]])
    assert metrics.nearer_to_training(half, training, held_out) == pytest.approx(0.5 * 0.8 + 0.5, abs=0.07)


def test_what_the_classifier_says():
    sure = np.eye(10)
    assert metrics.classifier_score(sure) == pytest.approx(10)
    assert metrics.classifier_score(sure[:1].repeat(5, axis=0)) == pytest.approx(1)
    assert metrics.classifier_score(np.full((5, 10), 0.1)) == pytest.approx(1)
    histogram = metrics.class_histogram(sure[[0, 0, 0, 7]])
    assert histogram.tolist() == [0.75, 0, 0, 0, 0, 0, 0, 0.25, 0, 0]
    assert metrics.kl_from_uniform(histogram) == pytest.approx(np.log(10) - np.log(4) + 0.75 * np.log(3))
    assert metrics.kl_from_uniform(np.full(10, 0.1)) == pytest.approx(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shares = metrics.agreement(sure[[3, 3, 4, 5]], np.array([3, 4, 4, 5]))
    assert shares[3:6].tolist() == [1, 0.5, 1] and len(shares) == 10 and np.isnan(shares).sum() == 7


def test_a_column_of_several_draws_shows_their_mean_and_standard_deviation():
    draws = [metrics.Scores(fid, *[0.5] * 10, histogram=(0.1,) * 10) for fid in (4.0, 5.0)]
    lines = metrics.table({"one": draws[0], "both": draws}).splitlines()
    assert lines[1].split() == ["Fréchet", "distance", "4.00", "4.50", "±", "0.71"]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: metrics.fid(CLOUD[:1], CLOUD), r"real must be \(N, F\), N at least 2.*real is \(1, 4\)"),
        (lambda: metrics.fid(CLOUD, CLOUD[:, :3]), r"F the same in all sets.*fake is \(3000, 3\)"),
        (lambda: metrics.kid(CLOUD, CLOUD[:1]), "fake must be .* N at least 2"),
        (lambda: metrics.precision_recall(CLOUD, CLOUD[:3]), "fake must be .* N at least 4"),
        (lambda: metrics.density_coverage(CLOUD[:5], CLOUD), "real must be .* N at least 6"),
        (lambda: metrics.nearer_to_training(CLOUD, CLOUD[:, :2], CLOUD), r"training is \(3000, 2\)"),
        (lambda: metrics.nearer_to_training(CLOUD[:0], CLOUD, CLOUD), "fake must be .* N at least 1"),
    ],
)
def test_bad_arguments(call, named):
    with pytest.raises(ValueError, match=named):
        call()


@pytest.fixture(scope="module")
def reference():
    return metrics.reference()


def test_images_of_another_shape_are_refused(reference):
    with pytest.raises(ValueError, match=r"images are \(300, 28, 28\), but must be \(N, 28, 28, 1\)"):
        metrics.evaluate(mx.zeros((300, 28, 28)), reference)


def test_evaluate_ranks_real_digits_before_damaged_ones(reference):
    test = data.load("test")
    again = metrics.evaluate(test.images, reference)
    assert again.fid == pytest.approx(0, abs=1e-4)  # roots of eigenvalues that are 0 but for rounding
    assert (again.precision, again.recall) == (1, 1)
    noise = mx.random.randint(0, 256, test.images.shape, key=mx.random.key(0)).astype(mx.uint8)
    noisy = metrics.evaluate(noise, reference)
    assert noisy.fid > 3 * reference.floor.fid and noisy.precision < 0.1
    assert sum(noisy.histogram) == pytest.approx(1)
    floats = metrics.evaluate(data.normalize(test.images), reference)
    assert floats == again
    printed = metrics.table({"floor": reference.floor, "noise": noisy})
    assert len(printed.splitlines()) == 22 and f"{noisy.fid:.2f}" in printed.splitlines()[1]


def test_the_features_are_those_of_evaluation_mode_in_any_batch(reference):
    images = data.load("test").images[:30]
    expected = reference.classifier.eval().features(data.normalize(images))
    whole, _ = metrics.features(reference.classifier.train(), images)
    part, _ = metrics.features(reference.classifier.train(), images[:7])
    assert np.allclose(whole, np.array(expected), atol=1e-3) and np.allclose(part, whole[:7], atol=1e-3)


def test_the_reference_has_the_test_images_in_random_order(reference):
    """The kernel distance takes them in blocks, and the test set as stored begins with its easier half."""
    stored, _ = metrics.features(reference.classifier, data.load("test").images)
    distances = np.square(reference.real[:, None] - stored).mean(axis=2)
    order = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 1e-4 and sorted(order) == list(range(297))
    assert abs(np.corrcoef(order, np.arange(297))[0, 1]) < 0.3


def test_the_floor_is_measured_on_training_images_that_are_kept_apart(reference):
    train = data.load("train")
    found, _ = metrics.features(reference.classifier, train.images)
    kept_apart = metrics.nearer_to_training(found, reference.training, reference.real)
    assert len(reference.training) == len(train) - 297
    assert kept_apart > reference.floor.nearer_to_training + 0.05  # most of them lie among the training images
    assert metrics.nearer_to_training(reference.training, reference.training, reference.real) == 1


def test_the_shipped_classifier_is_as_accurate_as_its_file_says(monkeypatch):
    path = checkpoints.PRETRAINED / "classifier.safetensors"
    assert path.stat().st_size < 1e6
    _, about = mx.load(str(path), return_metadata=True)
    stated = float(about["accuracy"])
    assert stated >= 0.992 and about["data"] == "MNIST, train split"
    if "MNIST_DIR" not in os.environ:
        pytest.skip("the accuracy itself needs the genuine test set: set MNIST_DIR")
    monkeypatch.setattr(data, "SMOKE", False)
    test = data.load("test")
    labels = np.array(test.labels)
    _, probabilities = metrics.features(checkpoints.load_pretrained("classifier"), test.images)
    assert (probabilities.argmax(axis=1) == labels).mean() == pytest.approx(stated, abs=0.0003)  # half precision
