"""The networks of the book.

Every constructor argument is kept as an attribute of the same name, so that a checkpoint can say how
to build the model again (:mod:`mlxgan.checkpoints`).
"""

from mlxgan.cpu import Conv2d, ConvTranspose2d

from itertools import pairwise

import mlx.core as mx
import mlx.nn as nn


class MLPGenerator(nn.Module):
    """Fully connected generator, latent_dim-256-512-1024-784 (chapter 3).

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
    """Fully connected discriminator, 784-1024-512-256-1 (chapter 3).

    Maps images of shape (N, 28, 28, 1) in [-1, 1] to logits of shape (N,): above 0 means "real".
    """

    def __init__(self):
        super().__init__()
        widths = [784, 1024, 512, 256, 1]
        self.layers = [nn.Linear(n, m) for n, m in pairwise(widths)]

    def __call__(self, images: mx.array) -> mx.array:
        *hidden, last = self.layers
        x = images.reshape(-1, 784)
        for layer in hidden:
            x = nn.leaky_relu(layer(x), 0.2)
        return last(x).squeeze(-1)


class DCGANGenerator(nn.Module):
    """Convolutional generator (Radford et al., 2016) at 28x28: 7x7, 14x14, 28x28, batch normalisation between.

    Maps noise of shape (N, latent_dim) to images of shape (N, 28, 28, 1) in [-1, 1]. In training mode a
    sample depends on its batch: call ``eval()`` before sampling.
    """

    def __init__(self, latent_dim: int = 100, channels: int = 64):
        super().__init__()
        self.latent_dim, self.channels = latent_dim, channels
        self.project = nn.Linear(latent_dim, 7 * 7 * 2 * channels)
        self.norm1 = nn.BatchNorm(2 * channels)
        self.up1 = ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1)
        self.norm2 = nn.BatchNorm(channels)
        self.up2 = ConvTranspose2d(channels, 1, 4, stride=2, padding=1)

    def __call__(self, z: mx.array) -> mx.array:
        x = self.project(z).reshape(-1, 7, 7, 2 * self.channels)
        x = self.up1(nn.relu(self.norm1(x)))
        return mx.tanh(self.up2(nn.relu(self.norm2(x))))


class DCGANDiscriminator(nn.Module):
    """Convolutional discriminator (Radford et al., 2016) at 28x28: 14x14, 7x7, one logit.

    Maps images of shape (N, 28, 28, 1) in [-1, 1] to logits of shape (N,).
    """

    def __init__(self, channels: int = 64):
        super().__init__()
        self.channels = channels
        self.down1 = Conv2d(1, channels, 4, stride=2, padding=1)
        self.down2 = Conv2d(channels, 2 * channels, 4, stride=2, padding=1)
        self.out = nn.Linear(7 * 7 * 2 * channels, 1)

    def __call__(self, images: mx.array) -> mx.array:
        x = nn.leaky_relu(self.down1(images), 0.2)
        x = nn.leaky_relu(self.down2(x), 0.2)
        return self.out(x.reshape(len(x), -1)).squeeze(-1)
