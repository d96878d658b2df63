"""The networks of the book.

Every constructor argument is kept as an attribute of the same name, so that a checkpoint can say how
to build the model again (:mod:`mlxgan.checkpoints`).
"""

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
