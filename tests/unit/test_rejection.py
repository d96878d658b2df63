"""Rejection: what the referee accepts, on cases with known answers."""

from mlxgan import checkpoints, classifiers, data, models, rejection

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest


@pytest.fixture
def selective() -> rejection.Selective:
    mx.random.seed(0)
    found = rejection.Selective(channels=2, hidden=8)
    found.eval()
    return found


def test_a_threshold_accepts_the_fraction_asked_for():
    log_ratios = np.random.default_rng(0).normal(size=5000)
    for rate in (0.1, 0.7, 1.0):
        c = rejection.threshold(log_ratios, rate)
        assert np.minimum(1, np.exp(log_ratios - c)).mean() == pytest.approx(rate, abs=1e-6)


def test_the_estimate_finds_the_ratio_of_two_normal_densities():
    """For N(1, 1) against N(0, 1) in the first feature, the log ratio is x - 1/2."""
    mx.random.seed(0)
    real, fake = mx.random.normal((10_000, 2)), mx.random.normal((10_000, 2))
    real[:, 0] = real[:, 0] + 1
    ratio = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 1))
    rejection.train_ratio(ratio, real, fake, epochs=10)
    x = mx.array([[-1.0, 0.0], [0.0, 1.0], [0.5, -1.0], [2.0, 0.0]])
    assert np.allclose(ratio(x).squeeze(-1), x[:, 0] - 0.5, atol=0.15)


def test_select_gives_each_label_an_image_and_the_fraction_accepted(selective):
    """Half of the proposals of one class and all of another are accepted; the labels keep their places."""
    selective.log_ratio = lambda images, labels: mx.where(labels == 3, np.log(0.5), 0.0)
    labels = mx.array([3, 4] * 600)
    mx.random.seed(1)
    images, accepted = rejection.select(selective, labels)
    assert images.shape == (1200, 28, 28, 1) and float(mx.abs(images).max()) <= 1
    assert accepted == pytest.approx(1200 / (600 / 0.5 + 600), abs=0.03)


def test_samples_are_proposed_from_noise_of_the_width_fitted(selective):
    selective.generator = lambda z, labels: z[:, :1, None, None] + mx.zeros((1, 28, 28, 1))
    selective.width = mx.array(3.0)
    images = rejection.propose(selective, mx.zeros(2000, mx.int32))
    assert mx.std(images[:, 0, 0, 0]).item() == pytest.approx(3, abs=0.2)


def test_select_keeps_only_what_the_referee_accepts(selective):
    """The referee accepts images brighter than the middle one alone; each keeps the label asked for."""
    selective.generator = lambda z, labels: (mx.tanh(z[:, :1]) * mx.ones((1, 784))).reshape(-1, 28, 28, 1)
    selective.log_ratio = lambda images, labels: mx.where(images[:, 0, 0, 0] > 0, 0.0, -50.0)
    images, accepted = rejection.select(selective, mx.zeros(300, mx.int32))
    assert float(images.min()) > 0 and accepted == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("log_ratio", [-1e30, float("nan")])
def test_a_referee_that_accepts_nothing_is_an_error(selective, log_ratio):
    selective.generator = lambda z, labels: mx.zeros((len(labels), 28, 28, 1))
    selective.log_ratio = lambda images, labels: mx.full(labels.shape, log_ratio)
    with pytest.raises(ValueError, match="only 0 were accepted"):
        rejection.select(selective, mx.zeros(500, mx.int32))


def test_a_wrong_label_counts_against_a_sample(selective):
    images = mx.random.uniform(-1, 1, (5, 28, 28, 1))
    features = selective.classifier.features(data.normalize(data.levels(images)))
    logits = selective.classifier.output(features)
    first, second = (selective.log_ratio(images, mx.full((5,), label)) for label in (0, 1))
    assert np.allclose(first - second, logits[:, 0] - logits[:, 1], atol=1e-4)


@pytest.mark.slow
def test_fit_accepts_what_looks_like_the_real_images(monkeypatch):
    """Fakes are bright or dark by chance, real images are bright: after fit, only bright fakes come out of select."""
    monkeypatch.setattr(rejection, "PROPOSED", 100)
    mx.random.seed(0)
    selective = rejection.Selective()
    selective.generator = lambda z, labels: mx.where(z[:, :1, None, None] > 0, 0.5, -0.5) + mx.zeros((1, 28, 28, 1))
    levels = mx.full((500, 28, 28, 1), 191, mx.uint8)
    real = data.Digits(levels, mx.random.randint(0, 10, (500,)), "bright")
    rejection.fit_referee(selective, real, rate=0.5, epochs=150)
    images, accepted = rejection.select(selective, mx.zeros(400, mx.int32))
    assert float((images > 0).mean()) > 0.95 and accepted == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(
    ("count", "settings", "said"),
    [
        (499, {}, "real has 499 images, but must have at least 500"),
        (500, {"rate": 0.0}, "rate is 0.0 and width 1.0, but must be above 0, and rate at most 1"),
        (500, {"rate": 1.1}, "rate is 1.1 and"),
        (500, {"width": 0.0}, "width 0.0, but must be above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(selective, count, settings, said):
    real = data.Digits(mx.zeros((count, 28, 28, 1), mx.uint8), mx.zeros(count, mx.int32), "dark")
    with pytest.raises(ValueError, match=said):
        rejection.fit_referee(selective, real, **settings)


@pytest.mark.parametrize("label", [-1, 10, 2**31 - 1])
def test_a_class_that_the_networks_do_not_have_is_refused(selective, label):
    """MLX would read memory that belongs to something else."""
    real = data.Digits(mx.zeros((500, 28, 28, 1), mx.uint8), mx.full(500, label), "wrong")
    with pytest.raises(ValueError, match="labels must be from 0 to 9"):
        rejection.select(selective, real.labels[:1])
    with pytest.raises(ValueError, match="labels must be from 0 to 9"):
        rejection.fit_referee(selective, real)
    with pytest.raises(ValueError, match="labels must be from 0 to 9"):
        classifiers.train(models.Judge(), real, epochs=1)


def test_the_whole_of_it_is_kept_in_a_file(tmp_path, selective):
    selective.thresholds, selective.width = mx.arange(10).astype(mx.float32), mx.array(1.5)
    checkpoints.save(tmp_path / "best.safetensors", selective)
    again = checkpoints.load(tmp_path / "best.safetensors")
    assert isinstance(again, rejection.Selective)
    labels, images = mx.arange(10), mx.random.uniform(-1, 1, (10, 28, 28, 1))
    assert mx.array_equal(again.thresholds, selective.thresholds) and again.width.item() == 1.5
    assert np.allclose(again.log_ratio(images, labels), selective.log_ratio(images, labels))


@pytest.mark.slow
@pytest.mark.parametrize(("network", "epochs"), [(models.Classifier, 2), (models.Judge, 4)])
def test_a_classifier_learns(network, epochs):
    mx.random.seed(0)
    digits, classifier = data.load("train", "small"), network()
    classifiers.train(classifier, digits, epochs=epochs)
    right = classifier(data.normalize(digits.images)).argmax(axis=-1) == digits.labels
    assert right.mean().item() > 0.8 and not classifier.training
