"""Measures of quality as plain functions of features or class probabilities, in NumPy and float64.

Figures compare only with others from the same network and the same number of images.
"""

from collections.abc import Iterator

import numpy as np

BLOCK = 1000  # rows of a distance or kernel matrix at a time


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


def kid(real: np.ndarray, fake: np.ndarray, draws: int = 50) -> tuple[float, float]:
    """Return the kernel distance with a cubic kernel, and its standard error (Bińkowski et al., 2018).

    The unbiased estimate of the squared maximum mean discrepancy with k(x, y) = (x·y / F + 1)^3, from all pairs of rows
    (N, F); it may be slightly negative. The error is the standard deviation over ``draws`` bootstrap
    samples of both sets, which is too large, at most sqrt(3) times, where the sets come from one distribution.
    """
    real, fake = _at_least(2, real=real, fake=fake)
    rng = np.random.default_rng(0)
    counts = [np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), draws)]) for n in (len(real), len(fake))]
    estimates = _mean_kernel(real, real, counts[0], counts[0]) + _mean_kernel(fake, fake, counts[1], counts[1])
    estimates -= 2 * _mean_kernel(real, fake, *counts)
    return float(estimates[0]), float(np.std(estimates[1:], ddof=1))


def _mean_kernel(x: np.ndarray, y: np.ndarray, weights_x: np.ndarray, weights_y: np.ndarray) -> np.ndarray:
    """Return the mean kernel of the pairs of rows, without those of a row and itself, one per row of the weights."""
    total, pairs = np.zeros(len(weights_x)), weights_x.sum(axis=1) * weights_y.sum(axis=1)
    if x is y:
        pairs -= np.square(weights_x).sum(axis=1)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        kernel = x[part] @ y.T / x.shape[1] + 1
        kernel *= kernel * kernel
        if x is y:
            np.fill_diagonal(kernel[:, start:], 0)
        total += ((weights_x[:, part] @ kernel) * weights_y).sum(axis=1)
    return total / pairs


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
    center = others.mean(axis=0)  # smaller numbers, smaller rounding
    points, others = ((rows - center).astype(np.float32) for rows in (points, others))
    squares, opposite = np.square(others).sum(axis=1), -2 * others.T
    for start in range(0, len(points), BLOCK):
        part = points[start : start + BLOCK]
        rows = part @ opposite  # in place from here: the time goes into memory
        rows += squares
        rows += np.square(part).sum(axis=1, keepdims=True)
        yield np.maximum(rows, 0, out=rows)


def _at_least(at_least: int, **sets: np.ndarray) -> list[np.ndarray]:
    """Return the sets in float64. Raises ValueError, naming the first that has fewer rows or another width."""
    sets = {name: np.array(rows, np.float64) for name, rows in sets.items()}
    widths = {array.shape[1:] for array in sets.values()}
    for name, array in sets.items():
        if array.ndim != 2 or len(widths) > 1 or len(array) < at_least:
            shapes = ", ".join(f"{other} is {value.shape}" for other, value in sets.items())
            raise ValueError(f"{name} must be (N, F), N at least {at_least}, and F the same in all sets, but {shapes}")
    return list(sets.values())


def classifier_score(probabilities: np.ndarray) -> float:
    """Return the inception score (Salimans et al., 2016), 1 to 10, by this book's classifier and not Inception.

    It is the exponential of the mean KL divergence of p(class | image), (N, 10), from its mean.
    """
    p = np.array(probabilities, np.float64).clip(1e-12)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1).mean()))


def class_histogram(probabilities: np.ndarray) -> np.ndarray:
    """Return the fraction of the images that the classifier assigns to each of the classes, (10,)."""
    return np.bincount(np.array(probabilities).argmax(axis=1), minlength=probabilities.shape[1]) / len(probabilities)


def kl_from_uniform(histogram: np.ndarray) -> float:
    """Return the KL divergence of a histogram from the uniform one: 0 to the log of the number of classes, in nats."""
    histogram = np.array(histogram)
    present = histogram[histogram > 0]
    return float((present * np.log(present * len(histogram))).sum())


def agreement(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the fraction of the images of each label, (N,), that the classifier assigns to it, (10,), NaN for none."""
    labels = np.array(labels)
    right = np.array(probabilities).argmax(axis=1) == labels
    return np.array([right[labels == digit].mean() if (labels == digit).any() else np.nan for digit in range(10)])
