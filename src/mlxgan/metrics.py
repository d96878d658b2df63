"""Measures of quality, on the features of a small classifier.

All compare samples with MNIST's test images, by the penultimate features of the classifier that ships with the book.
Such figures compare only with others from the same network and the same number of images. Sums run in float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import mlx.core as mx
import numpy as np

from . import checkpoints, data
from .models import Classifier

BLOCK = 1000  # images, or rows of a distance matrix, at a time


def features(classifier: Classifier, images: mx.array) -> tuple[np.ndarray, np.ndarray]:
    """Return penultimate features, float32 (N, 128), and class probabilities, float32 (N, 10), in evaluation mode.

    ``images`` are (N, 28, 28, 1), uint8 or float in [-1, 1]; floats are rounded to gray levels, as in a file.
    """
    classifier.eval()
    found, probabilities = [], []
    for start in range(0, len(images), BLOCK):
        part = data.normalize(data.levels(images[start : start + BLOCK]))
        hidden = classifier.features(part)
        found.append(np.array(hidden))
        probabilities.append(np.array(mx.softmax(classifier.output(hidden), axis=-1)))
    return np.concatenate(found), np.concatenate(probabilities)


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Fréchet distance between the normal distributions fitted to two sets of features (Heusel et al., 2017).

    Both are (N, F) with N of at least 2. The root of the product of covariances comes from two symmetric
    eigendecompositions in float64, so the result is real and not negative but for rounding.
    """
    real, fake = _at_least(2, real=real, fake=fake)
    covariance_real, covariance_fake = np.cov(real.T), np.cov(fake.T)
    values, vectors = np.linalg.eigh(covariance_real)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ covariance_fake @ root).clip(0)).sum()
    distance = np.square(real.mean(axis=0) - fake.mean(axis=0)).sum()
    return float(distance + np.trace(covariance_real) + np.trace(covariance_fake) - 2 * overlap)


def kid(real: np.ndarray, fake: np.ndarray, size: int = 1000) -> tuple[float, float]:
    """Return the kernel distance with a cubic kernel, and its standard error (Bińkowski et al., 2018).

    The unbiased estimate of the squared maximum mean discrepancy with k(x, y) = (x·y / F + 1)^3, averaged over disjoint
    blocks of ``size`` rows of both sets in random order; the error is that of this average. It may be slightly
    negative. Raises ValueError if there are not two whole blocks.
    """
    real, fake = _at_least(2 * size, real=real, fake=fake)
    estimates = []
    for start in range(0, min(len(real), len(fake)) // size * size, size):
        x, y = real[start : start + size], fake[start : start + size]
        xx, yy, xy = (np.power(a @ b.T / x.shape[1] + 1, 3) for a, b in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (size * (size - 1))
        estimates.append(within - 2 * xy.mean())
    return float(np.mean(estimates)), float(np.std(estimates, ddof=1) / np.sqrt(len(estimates)))


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Return the fraction of fakes among the real images, and vice versa (Kynkäänniemi et al., 2019).

    A point is among a set if it is no further from one of its members than that member's ``k``-th neighbor in the set.
    """
    real, fake = _at_least(k + 1, real=real, fake=fake)
    return _covered(fake, real, k), _covered(real, fake, k)


def _radii(members: np.ndarray, k: int) -> np.ndarray:
    """Return the squared distance of each member to its k-th neighbor in the set, (N,)."""
    return np.concatenate([np.partition(rows, k, axis=1)[:, k] for rows in _distances(members, members)])


def _covered(points: np.ndarray, members: np.ndarray, k: int) -> float:
    """Return the fraction of the points inside one of the balls that reach from a member to its k-th neighbor."""
    radii = _radii(members, k)
    return float(np.concatenate([(rows <= radii).any(axis=1) for rows in _distances(points, members)]).mean())


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Return how densely fakes fill the balls around real images, and the fraction of balls hit (Naeem et al., 2020).

    Each ball reaches to its real image's ``k``-th neighbor among the real images, so copies among the fakes change
    nothing. Density is 1 for fakes like the real images, and may exceed it; coverage is at most 1. Features are (N, F).
    """
    real, fake = _at_least(k + 1, real=real, fake=fake)
    radii, inside, nearest = _radii(real, k), 0, np.full(len(real), np.inf)
    for rows in _distances(fake, real):
        inside += int(np.count_nonzero(rows <= radii))
        np.minimum(nearest, rows.min(axis=0), out=nearest)
    return float(inside / (k * len(fake))), float((nearest <= radii).mean())


def nearer_to_training(fake: np.ndarray, training: np.ndarray, held_out: np.ndarray) -> float:
    """Return the fraction of fakes that are nearer to a training image than to any held-out one; features (N, F).

    It is 1 for copies; without copying about the fraction of training images, 5/6 for the book's 50,000 and 10,000.
    """
    fake, training, held_out = _at_least(1, fake=fake, training=training, held_out=held_out)
    near, far = (np.concatenate([d.min(axis=1) for d in _distances(fake, x)]) for x in (training, held_out))
    return float((near < far).mean())


def _distances(points: np.ndarray, others: np.ndarray) -> Iterator[np.ndarray]:
    """Squared distances of the points to the others, float32, some rows at a time."""
    centre = others.mean(axis=0)  # smaller numbers, smaller rounding
    points, others = ((rows - centre).astype(np.float32) for rows in (points, others))
    squares, opposite = np.square(others).sum(axis=1), -2 * others.T
    for start in range(0, len(points), BLOCK):
        part = points[start : start + BLOCK]
        rows = part @ opposite  # in place from here: the time goes into memory
        rows += squares
        rows += np.square(part).sum(axis=1, keepdims=True)
        yield np.maximum(rows, 0, out=rows)


def _at_least(rows: int, **sets: np.ndarray) -> list[np.ndarray]:
    """Return the sets in float64. Raises ValueError, naming the first that has fewer rows or another width."""
    widths = {array.shape[1:] for array in sets.values()}
    for name, array in sets.items():
        if array.ndim != 2 or len(widths) > 1 or len(array) < rows:
            shapes = ", ".join(f"{other} is {value.shape}" for other, value in sets.items())
            raise ValueError(f"{name} must be (N, F), N at least {rows}, and F the same in all sets, but {shapes}")
    return [array.astype(np.float64) for array in sets.values()]


def classifier_score(probabilities: np.ndarray) -> float:
    """Return the inception score (Salimans et al., 2016), 1 to 10, by this book's classifier and not Inception.

    It is the exponential of the mean KL divergence of p(class | image), (N, 10), from its mean.
    """
    p = probabilities.astype(np.float64).clip(1e-12)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1).mean()))


def class_histogram(probabilities: np.ndarray) -> np.ndarray:
    """Return the fraction of the images that the classifier assigns to each of the classes, (10,)."""
    return np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)


def kl_from_uniform(histogram: np.ndarray) -> float:
    """Return the KL divergence of a histogram from the uniform one: 0 to the log of the number of classes, in nats."""
    present = histogram[histogram > 0]
    return float((present * np.log(present * len(histogram))).sum())


def agreement(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the fraction of the images of each label, (N,), that the classifier assigns to it, (10,), NaN for none."""
    right = probabilities.argmax(axis=1) == labels
    return np.array([right[labels == digit].mean() if (labels == digit).any() else np.nan for digit in range(10)])


@dataclass(frozen=True)
class Scores:
    """What :func:`evaluate` measures of a set of images."""

    fid: float
    kid: float
    kid_error: float  #: standard error of kid
    precision: float
    recall: float
    classifier_score: float
    confident: float  #: share of images with a class of probability above 0.9
    kl_from_uniform: float
    nearer_to_training: float
    histogram: tuple[float, ...]  #: share of each class


@dataclass(frozen=True)
class Reference:
    """What images are compared with: features of the test images, and of training images."""

    name: str
    classifier: Classifier
    real: np.ndarray  #: features of the test images, in random order
    training: np.ndarray  #: features of the training images without those of the floor
    floor: Scores  #: the scores of as many real training images as there are test images


def reference(name: str = "mnist", classifier: Classifier | None = None, seed: int = 0) -> Reference:
    """Return the reference for :func:`evaluate` on the data set of this name (:func:`mlxgan.data.load`).

    The classifier is the one that ships with the book unless given. ``seed`` draws the training images of the floor.
    """
    classifier = classifier or cast(Classifier, checkpoints.load_pretrained("classifier"))
    test, train = data.load("test", name), data.load("train", name)
    shuffled = np.random.default_rng(seed)  # the test set as stored begins with its easier half
    order, test_order = (mx.array(shuffled.permutation(len(x)).astype(np.uint32)) for x in (train, test))
    real, _ = features(classifier, test.images[test_order])
    training, _ = features(classifier, train.images[order[len(test) :]])
    floor = _scores(classifier, train.images[order[: len(test)]], real, training)
    return Reference(test.name, classifier, real, training, floor)


def evaluate(images: mx.array, against: Reference) -> Scores:
    """Measure images (N, 28, 28, 1), uint8 or float in [-1, 1], against the test images.

    With 10,000 images, as many as there are test images, the figures compare with the book's. Raises ValueError for
    another shape, or for too few images.
    """
    if images.ndim != 4 or images.shape[1:] != (28, 28, 1):
        raise ValueError(f"images are {images.shape}, but must be (N, 28, 28, 1)")
    return _scores(against.classifier, images, against.real, against.training)


def _scores(classifier: Classifier, images: mx.array, real: np.ndarray, training: np.ndarray) -> Scores:
    found, probabilities = features(classifier, images)
    histogram = class_histogram(probabilities)
    kernel, error = kid(real, found, size=min(1000, len(real) // 2, len(found) // 2))
    precision, recall = precision_recall(real, found)
    return Scores(
        fid=fid(real, found),
        **{"kid": kernel, "kid_error": error, "precision": precision, "recall": recall},
        classifier_score=classifier_score(probabilities),
        confident=float((probabilities.max(axis=1) > 0.9).mean()),
        kl_from_uniform=kl_from_uniform(histogram),
        nearer_to_training=nearer_to_training(found, training, real),
        histogram=tuple(histogram.tolist()),
    )


def table(rows: dict[str, Scores]) -> str:
    """Return the scores of several sets of images as text, one line per measure, one column per set."""
    width = max(12, *(len(name) + 2 for name in rows))
    lines = [f"{'':22}" + "".join(f"{name:>{width}}" for name in rows)]
    for label, text in (
        ("FID", "{0.fid:.2f}"),
        ("KID", "{0.kid:.3f}"),
        ("  standard error", "{0.kid_error:.3f}"),
        ("precision", "{0.precision:.3f}"),
        ("recall", "{0.recall:.3f}"),
        ("classifier score", "{0.classifier_score:.2f}"),
        ("more than 90 % sure", "{0.confident:.3f}"),
        ("KL of the classes", "{0.kl_from_uniform:.4f}"),
        ("nearer to training", "{0.nearer_to_training:.3f}"),
    ):
        cells = (text.format(s) for s in rows.values())
        lines.append(f"{label:22}" + "".join(f"{cell:>{width}}" for cell in cells))
    for digit in range(10):
        cells = (f"{s.histogram[digit]:.3f}" for s in rows.values())
        lines.append(f"share of {digit}s" + " " * 11 + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines)
