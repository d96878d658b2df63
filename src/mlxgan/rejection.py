"""Rejection after training: a referee leaves out samples that are more likely among fakes than among real images.

The referee is a classifier and a small network on its features that estimates the ratio of two densities, that of real
images and that of fakes; samples are accepted in proportion to it (Azadi et al., 2019). See the chapter To the floor.
"""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

from . import data, losses
from .classifiers import Classifier, minimize
from .models import ConditionalGenerator

PROPOSED = 500  # samples at a time


class Selective(nn.Module):
    """A conditional generator with a referee.

    Called like any generator, it maps noise (N, latent_dim) and labels, int32 (N,), to images (N, 28, 28, 1) in
    [-1, 1], and rejects nothing; :func:`select` does.
    """

    def __init__(self, latent_dim: int = 100, classes: int = 10, channels: int = 32, hidden: int = 512):
        super().__init__()
        self.latent_dim, self.classes, self.channels, self.hidden = latent_dim, classes, channels, hidden
        self.generator = ConditionalGenerator(latent_dim, classes, channels, hidden)
        self.classifier = Classifier()
        self.ratio = ratio_network()
        self.thresholds = mx.zeros(classes)  # log ratios from which on a sample of a class is always accepted
        self.width = mx.array(1.0)  # of the noise that samples are proposed from, in standard deviations

    def __call__(self, z: mx.array, labels: mx.array) -> mx.array:
        return self.generator(z, labels)

    def features(self, images: mx.array) -> mx.array:
        """Return what the referee sees of images (N, 28, 28, 1), float in [-1, 1] or uint8: features, (N, 128)."""
        return self.classifier.features(data.normalize(data.levels(images)))

    def log_ratio(self, images: mx.array, labels: mx.array) -> mx.array:
        """Return the estimate of log p(image, label), (N,), of real images minus that of samples, up to a constant.

        The network gives the part of the image. The part of the label is the classifier's log p(label | image); that
        of the samples is left out, as if the generator had always drawn what it was asked for.
        """
        labels, features = data.check_labels(labels, self.classes), self.features(images)
        return self.ratio(features).squeeze(-1) - nn.losses.cross_entropy(self.classifier.output(features), labels)


def ratio_network() -> nn.Module:
    """Return a network from features, (N, 128), to the logarithm of a ratio of densities, (N, 1)."""
    hidden = [layer for n in (128, 256) for layer in (nn.Linear(n, 256), nn.ReLU(), nn.Dropout(0.3))]
    return nn.Sequential(*hidden, nn.Linear(256, 1))


def propose(selective: Selective, labels: mx.array) -> mx.array:
    """Return an image for each label, int32 (N,), as (N, 28, 28, 1) in [-1, 1], that no referee has seen."""
    return selective(selective.width * mx.random.normal((len(labels), selective.latent_dim)), labels)


def select(selective: Selective, labels: mx.array) -> tuple[mx.array, float]:
    """Return an accepted image for each label, int32 (N,), as (N, 28, 28, 1) in [-1, 1], and the fraction accepted.

    Raises ValueError if a label is not one of the generator's classes, or if hardly any sample is accepted.
    """
    selective.eval()
    images = np.empty((len(labels), 28, 28, 1), np.float32)
    missing, proposed = np.arange(len(labels)), 0
    while len(missing):
        wanted, others = missing[:PROPOSED], missing[PROPOSED:]
        y = labels[mx.array(wanted)]
        x = propose(selective, y)
        chances = mx.exp(selective.log_ratio(x, y) - selective.thresholds[y])
        taken = np.array(mx.random.uniform(shape=y.shape) < chances)
        images[wanted[taken]] = np.array(x)[taken]
        missing = np.concatenate([wanted[~taken], others])
        proposed += len(y)
        if proposed > 1000 * len(labels) + 10_000:
            raise ValueError(f"of {proposed:,} samples only {len(labels) - len(missing):,} were accepted")
    return mx.array(images), len(labels) / proposed


def fit_referee(
    selective: Selective, real: data.Digits, rate: float = 0.7, width: float = 1.0, epochs: int = 15, seed: int = 0
) -> None:
    """Train the estimate of the ratio, and set the thresholds so that the fraction ``rate`` of each class is accepted.

    ``real`` are images that the classifier has not learned from: features that know an image make it look more real
    than any new one. As many samples are drawn, with the same labels, from noise with ``width`` as its standard
    deviation, which :func:`select` will use too: wider noise proposes more unusual samples, good and bad. Raises
    ValueError for fewer than 500 images, labels beyond the classes, a rate that is not above 0 and at most 1, or a
    width not above 0.
    """
    if len(real) < PROPOSED:
        raise ValueError(f"real has {len(real)} images, but must have at least {PROPOSED}")
    if not (0 < rate <= 1 and width > 0):
        raise ValueError(f"rate is {rate} and width {width}, but must be above 0, and rate at most 1")
    data.check_labels(real.labels, selective.classes)
    mx.random.seed(seed)
    selective.eval()
    selective.width = mx.array(width)
    features = []
    for images, labels in data.batches(real, PROPOSED, seed=seed):
        samples = propose(selective, labels)
        features.append(selective.features(mx.concatenate([images, samples])).reshape(2, PROPOSED, -1))
        mx.eval(features[-1])
    train_ratio(selective.ratio, *mx.concatenate(features, axis=1), epochs=epochs)
    for label in range(selective.classes):
        y = mx.full((2 * PROPOSED,), label)
        selective.thresholds[label] = threshold(np.array(selective.log_ratio(propose(selective, y), y)), rate)


def threshold(log_ratios: np.ndarray, rate: float) -> float:
    """Return c with the mean of min(1, exp(log_ratios - c)) equal to ``rate``, in (0, 1]."""
    low, high = log_ratios.min() - 20, log_ratios.max() + 20
    for _ in range(60):
        middle = (low + high) / 2
        too_many = np.minimum(1, np.exp(log_ratios - middle)).mean() > rate
        low, high = (middle, high) if too_many else (low, middle)
    return float(low)


def train_ratio(ratio: nn.Module, real: mx.array, fake: mx.array, *, epochs: int, batch_size: int = 256) -> None:
    """Train a network to tell rows of ``real`` from rows of ``fake``: its logit estimates the log ratio of densities.

    Both are (N, ...), whatever the network takes; the noise and the order come from ``mx.random``.
    """
    steps = min(len(real), len(fake)) // batch_size

    def batches():
        for _ in range(epochs):
            orders = [mx.random.permutation(len(x)) for x in (real, fake)]
            for start in range(0, steps * batch_size, batch_size):
                yield tuple(x[order[start : start + batch_size]] for x, order in zip((real, fake), orders, strict=True))

    optimizer = optim.AdamW(optim.cosine_decay(1e-3, epochs * steps), weight_decay=1e-3, bias_correction=True)
    minimize(ratio, lambda r, f: losses.discriminator_loss(ratio(r), ratio(f)), optimizer, batches())
