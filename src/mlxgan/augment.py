"""Random changes of what a discriminator sees, real and generated alike, so that it cannot learn its data by heart.

Each function takes images (N, H, W, C) in [-1, 1] and returns as many, changed in another way each, and passes the
gradient on to them (Zhao et al., 2020). What is moved out of an image, or cut out of it, is filled with background, -1.
"""

import mlx.core as mx
import mlx.nn as nn


def translate(images: mx.array, most: int = 3) -> mx.array:
    """Shift each image by a whole number of pixels, up to ``most`` along each axis."""
    n, height, width, _ = images.shape
    padded = mx.pad(images, [(0, 0), (most, most), (most, most), (0, 0)], constant_values=-1.0)
    down, right = mx.random.randint(0, 2 * most + 1, (2, n, 1, 1, 1))
    padded = mx.take_along_axis(padded, down + mx.arange(height).reshape(1, -1, 1, 1), axis=1)
    return mx.take_along_axis(padded, right + mx.arange(width).reshape(1, 1, -1, 1), axis=2)


def cut_out(images: mx.array, side: int = 14) -> mx.array:
    """Wipe a square of ``side`` pixels out of each image; its center may lie anywhere."""
    n, height, width, _ = images.shape
    below = mx.arange(height).reshape(1, -1, 1, 1) - mx.random.randint(0, height, (n, 1, 1, 1)) + side // 2
    right = mx.arange(width).reshape(1, 1, -1, 1) - mx.random.randint(0, width, (n, 1, 1, 1)) + side // 2
    inside = (below >= 0) & (below < side) & (right >= 0) & (right < side)
    return mx.where(inside, -1.0, images)


def brighten(images: mx.array, most: float = 0.5) -> mx.array:
    """Add one number to all pixels of an image, uniformly drawn from -``most`` to ``most``."""
    return images + mx.random.uniform(-most, most, (len(images), 1, 1, 1))


def augment(images: mx.array) -> mx.array:
    """Change brightness, position and completeness, in this order."""
    return cut_out(translate(brighten(images)))


class Augmented(nn.Module):
    """A discriminator that, in training mode, sees each image only after :func:`augment`.

    Its step is the usual one: since real images and fakes pass through the same module, both are changed, and the
    generator's gradient flows back through the change. In evaluation mode images pass as they are.
    """

    def __init__(self, discriminator: nn.Module):
        super().__init__()
        self.discriminator = discriminator

    def __call__(self, images: mx.array, *labels: mx.array) -> mx.array:
        if self.training:
            images = augment(images)
        return self.discriminator(images, *labels)
