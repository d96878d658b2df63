"""The networks of the book.

Every constructor argument is kept as an attribute of the same name, so that a checkpoint can say how to build the model
again (:mod:`mlxgan.checkpoints`).
"""

from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn

from .classifiers import Classifier, Judge  # noqa: F401  (models of the book, too)
from .layers import BatchNorm, Conv2d, ConvTranspose2d


class MLPGenerator(nn.Module):
    """Fully connected generator, latent_dim-256-512-1024-784.

    Maps noise of shape (N, latent_dim) to images of shape (N, 28, 28, 1) in [-1, 1].
    """

    def __init__(self, latent_dim: int = 100):
        super().__init__()
        self.latent_dim = latent_dim
        widths = [latent_dim, 256, 512, 1024, 784]
        self.layers = [nn.Linear(n, m) for n, m in pairwise(widths)]

    def __call__(self, z: mx.array) -> mx.array:
        *hidden, last = self.layers
        for layer in hidden:
            z = nn.relu(layer(z))
        return mx.tanh(last(z)).reshape(-1, 28, 28, 1)


class MLPDiscriminator(nn.Module):
    """Fully connected discriminator, 784-1024-512-256-1.

    Maps images of shape (N, 28, 28, 1) in [-1, 1] to logits of shape (N,): above 0 means "real".
    """

    def __init__(self):
        super().__init__()
        widths = [784, 1024, 512, 256, 1]
        self.layers = [nn.Linear(n, m) for n, m in pairwise(widths)]

    def __call__(self, images: mx.array) -> mx.array:
        *hidden, last = self.layers
        x = images.reshape(len(images), -1)
        for layer in hidden:
            x = nn.leaky_relu(layer(x), 0.2)
        return last(x).squeeze(-1)


class DCGANGenerator(nn.Module):
    """Convolutional generator (Radford et al., 2016) at 28x28 with a hidden layer before the convolutions.

    Maps noise of shape (N, latent_dim) to images of shape (N, 28, 28, image_channels) in [-1, 1], by way of 7x7 and
    14x14. In training mode a sample depends on its batch: call ``eval()`` before sampling.
    """

    def __init__(self, latent_dim: int = 100, channels: int = 32, hidden: int = 512, image_channels: int = 1):
        super().__init__()
        self.latent_dim, self.channels, self.hidden = latent_dim, channels, hidden
        self.image_channels = image_channels
        self.project = nn.Linear(latent_dim, hidden)
        self.norm1 = BatchNorm(hidden)
        self.expand = nn.Linear(hidden, 7 * 7 * 2 * channels)
        self.norm2 = BatchNorm(2 * channels)
        self.up1 = ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1)
        self.norm3 = BatchNorm(channels)
        self.up2 = ConvTranspose2d(channels, image_channels, 4, stride=2, padding=1)
        initialize(self)

    def __call__(self, z: mx.array) -> mx.array:
        return self.draw(self.project(z))

    def draw(self, x: mx.array) -> mx.array:
        """Return images, given the hidden layer before its normalization, (N, hidden)."""
        x = nn.relu(self.norm1(x))
        x = self.expand(x).reshape(-1, 7, 7, 2 * self.channels)
        x = self.up1(nn.relu(self.norm2(x)))
        return mx.tanh(self.up2(nn.relu(self.norm3(x))))


class DCGANDiscriminator(nn.Module):
    """Convolutional discriminator (Radford et al., 2016) at 28x28 with a hidden layer after the convolutions.

    Maps images of shape (N, 28, 28, image_channels) in [-1, 1] to logits of shape (N,). With ``norm`` it normalizes
    over the batch, so real images and fakes must come in batches of their own.
    """

    def __init__(self, channels: int = 32, hidden: int = 512, norm: bool = True, image_channels: int = 1):
        super().__init__()
        self.channels, self.hidden, self.norm = channels, hidden, norm
        self.image_channels = image_channels
        self.down1 = Conv2d(image_channels, channels, 4, stride=2, padding=1)
        self.down2 = Conv2d(channels, 2 * channels, 4, stride=2, padding=1)
        self.norm1 = BatchNorm(2 * channels) if norm else nn.Identity()
        self.shrink = nn.Linear(7 * 7 * 2 * channels, hidden)
        self.norm2 = BatchNorm(hidden) if norm else nn.Identity()
        self.out = nn.Linear(hidden, 1)
        initialize(self)

    def compress(self, images: mx.array) -> mx.array:
        """Return the hidden layer before its normalization, (N, hidden)."""
        x = nn.leaky_relu(self.down1(images), 0.2)
        x = nn.leaky_relu(self.norm1(self.down2(x)), 0.2)
        return self.shrink(x.reshape(len(x), -1))

    def features(self, x: mx.array) -> mx.array:
        """Return the hidden layer normalized and activated, (N, hidden), from what ``compress`` returns."""
        return nn.leaky_relu(self.norm2(x), 0.2)

    def __call__(self, images: mx.array) -> mx.array:
        return self.out(self.features(self.compress(images))).squeeze(-1)


class VarietyDiscriminator(DCGANDiscriminator):
    """The discriminator of the DCGAN, which also sees how much a batch varies.

    Maps images of shape (N, 28, 28, 1) in [-1, 1] to logits of shape (N,). All logits of a batch share a term for the
    standard deviation of the hidden layer over the batch, after Karras et al. (2018).
    """

    def __init__(self, channels: int = 32, hidden: int = 512):
        super().__init__(channels, hidden)
        self.variety = mx.zeros(1)

    def __call__(self, images: mx.array) -> mx.array:
        x = self.compress(images)
        spread = mx.log(mx.sqrt(mx.var(x, axis=0) + 1e-6)).mean()
        return self.out(self.features(x)).squeeze(-1) + 3 * self.variety * spread


def is_conditional(generator: nn.Module) -> bool:
    """Return True if a generator is told the class, as ``generator(z, labels)``."""
    return hasattr(generator, "classes")


def initialize(model: nn.Module) -> None:
    """Draw all weight matrices and kernels from a normal distribution with standard deviation 0.02 (Radford et al.,
    2016)."""
    draw = nn.init.normal(0, 0.02)
    model.apply(lambda weight: draw(weight) if weight.ndim >= 2 else weight)


class ConditionalGenerator(DCGANGenerator):
    """The generator of the DCGAN, told which class to draw.

    Maps noise of shape (N, latent_dim) and labels, int32 of shape (N,), to images of shape (N, 28, 28, 1) in [-1, 1].
    Each class has a learned vector that is added to the hidden layer.
    """

    def __init__(self, latent_dim: int = 100, classes: int = 10, channels: int = 32, hidden: int = 512):
        super().__init__(latent_dim, channels, hidden)
        self.classes = classes
        self.embedding = nn.Embedding(classes, hidden)
        initialize(self)

    def __call__(self, z: mx.array, labels: mx.array) -> mx.array:  # type: ignore[override]
        return self.draw(self.project(z) + self.embedding(labels))


def spread_within_classes(x: mx.array, labels: mx.array, classes: int) -> mx.array:
    """Return the standard deviation of features (N, F) around the means of their classes, (F,); labels int32 (N,)."""
    member = (labels[:, None] == mx.arange(classes)).astype(x.dtype)
    means = (member.T @ x) / mx.maximum(member.sum(axis=0), 1)[:, None]
    return mx.sqrt(mx.square(x - member @ means).mean(axis=0) + 1e-6)


class ConditionalDiscriminator(DCGANDiscriminator):
    """The discriminator of the DCGAN with a projection on the class (Miyato and Koyama, 2018).

    Maps images of shape (N, 28, 28, 1) in [-1, 1] and their labels, int32 of shape (N,), to logits of shape (N,). All
    logits of a batch share a term for how much its images vary within their classes.
    """

    def __init__(self, classes: int = 10, channels: int = 32, hidden: int = 512):
        super().__init__(channels, hidden)
        self.classes = classes
        self.embedding = nn.Embedding(classes, hidden)
        self.variety = mx.zeros(1)
        initialize(self)

    def __call__(self, images: mx.array, labels: mx.array) -> mx.array:  # type: ignore[override]
        x = self.compress(images)
        features = self.features(x)
        agreement = (features * self.embedding(labels)).sum(axis=-1) / self.hidden**0.5
        spread = mx.log(spread_within_classes(x, labels, self.classes)).mean()
        return self.out(features).squeeze(-1) + agreement + 3 * self.variety * spread


class SpectralNorm(nn.Module):
    """A layer divided by the largest singular value of its weight (Miyato et al., 2018).

    ``layer`` is an ``nn.Linear`` or a ``Conv2d``, whose weight is reshaped to a matrix with one row per output channel.
    For a convolution this is an approximation: the layer may still stretch its input, by at most the square root of the
    number of windows that a pixel belongs to. Each call in training mode improves the estimate by one power iteration.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer
        self.u = mx.random.normal((len(layer.weight),))
        self.freeze(keys="u", recurse=False)

    def __call__(self, x: mx.array) -> mx.array:
        matrix = self.layer.weight.reshape(len(self.layer.weight), -1)
        still = mx.stop_gradient(matrix)
        v = self.u @ still
        v = v / mx.linalg.norm(v)
        u = still @ v
        u = u / mx.linalg.norm(u)
        if self.training:
            self.u = u
        bias = self.layer.bias
        return (self.layer(x) - bias) / (u @ matrix @ v) + bias
