"""All measures of a set of images at once, on the features of a small classifier.

They compare samples with MNIST's test images, by the penultimate features of the classifier that ships with the book.
"""

from dataclasses import astuple, dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from . import checkpoints, data, measures
from .measures import *  # noqa: F403  (for those who measure one thing: metrics.fid, metrics.agreement)

BLOCK = 1000  # images at a time


def features(classifier: nn.Module, images: mx.array) -> tuple[np.ndarray, np.ndarray]:
    """Return penultimate features, float32 (N, F), and class probabilities, float32 (N, 10), in evaluation mode.

    ``classifier`` is one of :mod:`mlxgan.models`, or another network with ``features`` and ``output``. ``images``
    are (N, 28, 28, 1), uint8 or float in [-1, 1]; floats are rounded to gray levels, as in a file.
    """
    classifier.eval()
    found, probabilities = [], []
    for start in range(0, len(images), BLOCK):
        part = data.normalize(data.levels(images[start : start + BLOCK]))
        hidden = classifier.features(part)
        found.append(np.array(hidden))
        probabilities.append(np.array(mx.softmax(classifier.output(hidden), axis=-1)))
    return np.concatenate(found), np.concatenate(probabilities)


@dataclass(frozen=True)
class Scores:
    """What :func:`evaluate` measures of a set of images."""

    fid: float
    kid: float
    kid_error: float  #: standard error of kid
    precision: float
    recall: float
    density: float
    coverage: float
    classifier_score: float
    confident: float  #: fraction of images with a class of probability above 0.9
    kl_from_uniform: float
    nearer_to_training: float
    histogram: tuple[float, ...]  #: fraction of each class


#: What :func:`table` calls them, in this order.
LABELS = ["Fréchet distance", "kernel distance", "  standard error", "precision", "recall", "density", "coverage"]
LABELS += ["classifier score", "more than 90 % sure", "KL of the classes", "nearer to training"]
LABELS += [f"fraction of {n}s" for n in range(10)]


@dataclass(frozen=True)
class Reference:
    """What images are compared with: features of the test images, and of training images."""

    name: str
    classifier: nn.Module
    real: np.ndarray  #: features of the test images, in random order
    training: np.ndarray  #: features of the training images without those of the floor
    floor: Scores  #: the scores of as many real training images as there are test images


def reference(name: str = "mnist", classifier: nn.Module | None = None, seed: int = 0) -> Reference:
    """Return the reference for :func:`evaluate` on the data set of this name (:func:`mlxgan.data.load`).

    The classifier is the one that ships with the book unless given. ``seed`` draws the training images of the floor.
    """
    classifier = classifier or checkpoints.load_pretrained("classifier")
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


def _scores(classifier: nn.Module, images: mx.array, real: np.ndarray, training: np.ndarray) -> Scores:
    found, probabilities = features(classifier, images)
    histogram = measures.class_histogram(probabilities)
    of_features = measures.fid(real, found), *measures.kid(real, found)
    of_neighbors = *measures.precision_recall(real, found), *measures.density_coverage(real, found)
    confident = float((probabilities.max(axis=1) > 0.9).mean())
    of_classes = measures.classifier_score(probabilities), confident, measures.kl_from_uniform(histogram)
    nearer = measures.nearer_to_training(found, training, real)
    return Scores(*of_features, *of_neighbors, *of_classes, nearer, tuple(histogram.tolist()))


def table(rows: dict[str, Scores | list[Scores]]) -> str:
    """Return the scores of several sets of images as text, one line per measure, one column per set.

    A list of scores, for example of several draws of noise, gives a column of means with their standard deviations.
    """
    cells = [["", *rows], *([label] for label in LABELS)]
    for scores in rows.values():
        *numbers, histograms = zip(*map(astuple, scores if isinstance(scores, list) else [scores]), strict=True)
        for row, values in zip(cells[1:], [*numbers, *zip(*histograms, strict=True)], strict=True):
            digits = {"Fréchet distance": 2, "classifier score": 2, "KL of the classes": 4}.get(row[0], 3)
            error = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
            row.append(f"{np.mean(values):.{digits}f}{error}")
    widths = [max(12, *(len(line[i + 1]) + 2 for line in cells)) for i in range(len(rows))]
    lines = ("".join(f"{cell:>{width}}" for cell, width in zip(line[1:], widths, strict=True)) for line in cells)
    return "\n".join(f"{line[0]:22}{rest}" for line, rest in zip(cells, lines, strict=True))
