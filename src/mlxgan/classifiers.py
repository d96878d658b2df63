"""Networks that look at images: the classifier that measures samples, the judge, and how one is trained."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

from . import data, layers
from .layers import Conv2d


class Classifier(nn.Module):
    """Small convolutional classifier whose penultimate layer measures samples.

    Maps images of shape (N, 28, 28, 1) in [-1, 1] to the logits of the ten digits, (N, 10).
    """

    def __init__(self):
        super().__init__()
        self.conv1 = Conv2d(1, 32, 4, stride=2, padding=1)
        self.norm1 = nn.BatchNorm(32)
        self.conv2 = Conv2d(32, 64, 4, stride=2, padding=1)
        self.norm2 = nn.BatchNorm(64)
        self.hidden = nn.Linear(7 * 7 * 64, 128)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(128, 10)

    def features(self, images: mx.array) -> mx.array:
        """Return the penultimate layer, (N, 128), none negative."""
        x = nn.relu(self.norm1(self.conv1(images)))
        x = nn.relu(self.norm2(self.conv2(x)))
        return nn.relu(self.hidden(x.reshape(len(x), -1)))

    def __call__(self, images: mx.array) -> mx.array:
        return self.output(self.dropout(self.features(images)))


class Judge(nn.Module):
    """Another classifier, after LeNet-5 (LeCun et al., 1998), that no generator of the book has been chosen by.

    Maps images of shape (N, 28, 28, 1) in [-1, 1] to the logits of the ten digits, (N, 10).
    """

    def __init__(self):
        super().__init__()
        self.conv1 = Conv2d(1, 16, 4, stride=2, padding=1)
        self.conv2 = Conv2d(16, 32, 4, stride=2, padding=1)
        self.hidden1 = nn.Linear(7 * 7 * 32, 120)
        self.hidden2 = nn.Linear(120, 84)
        self.output = nn.Linear(84, 10)

    def features(self, images: mx.array) -> mx.array:
        """Return the penultimate layer, (N, 84), none negative."""
        x = nn.relu(self.conv1(images))
        x = nn.relu(self.conv2(x))
        x = nn.relu(self.hidden1(x.reshape(len(x), -1)))
        return nn.relu(self.hidden2(x))

    def __call__(self, images: mx.array) -> mx.array:
        return self.output(self.features(images))


def train(classifier: nn.Module, digits: data.Digits, *, epochs: int, seed: int = 0) -> None:
    """Train a classifier in place on the images and their labels, with Adam and a falling learning rate.

    ``seed`` decides the order of the images. Raises ValueError for fewer images than a batch has, 64,
    or for labels beyond the classes.
    """
    data.check(digits, 64, len(classifier.output.weight), epochs)
    optimizer = optim.Adam(optim.cosine_decay(1e-3, epochs * (len(digits) // 64)), bias_correction=True)
    batches = chain.from_iterable(data.batches(digits, 64, seed=seed, epoch=epoch) for epoch in range(1, epochs + 1))
    minimize(classifier, lambda x, y: nn.losses.cross_entropy(classifier(x), y).mean(), optimizer, batches)


def minimize(network: nn.Module, loss: Callable[..., mx.array], optimizer: optim.Optimizer, batches: Iterable) -> None:
    """Take a step on ``loss(*batch)`` for each batch, and leave the network in evaluation mode."""
    optimizer.init(network.train().trainable_parameters())
    layers.column_major(network, optimizer)
    loss_and_grad = nn.value_and_grad(network, loss)
    state = [network.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(*batch):
        value, gradients = loss_and_grad(*batch)
        optimizer.update(network, gradients)
        return value

    for batch in batches:
        mx.eval(step(*batch), state)
    network.eval()
