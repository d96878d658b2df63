"""Random changes of what a discriminator sees, real and generated alike, so that it cannot learn its data by heart.

Each function takes images (N, H, W, C) in [-1, 1] and returns as many, changed in another way each, and passes the
gradient on to them (Zhao et al., 2020). What is moved out of an image, or cut out of it, is filled with background, -1.
"""

import mlx.core as mx
import mlx.nn as nn


def brighten(images: mx.array, most: float = 0.5) -> mx.array:
    """Add one number to all pixels of an image, drawn uniformly from -``most`` to ``most``."""
    n = len(images)
    return images + mx.random.uniform(-most, most, (n, 1, 1, 1))


def translate(images: mx.array, most: int = 3) -> mx.array:
    """Shift each image by a whole number of pixels, up to ``most`` along each axis."""
    n, height, width, _ = images.shape
    frame = [(0, 0), (most, most), (most, most), (0, 0)]
    padded = mx.pad(images, frame, constant_values=-1.0)
    down, right = mx.random.randint(0, 2 * most + 1, (2, n, 1, 1, 1))
    rows = down + mx.arange(height).reshape(1, -1, 1, 1)
    columns = right + mx.arange(width).reshape(1, 1, -1, 1)
    padded = mx.take_along_axis(padded, rows, axis=1)
    return mx.take_along_axis(padded, columns, axis=2)


def cut_out(images: mx.array, side: int = 14) -> mx.array:
    """Wipe a square of ``side`` pixels out of each image; its center may lie anywhere."""
    n, height, width, _ = images.shape
    top = mx.random.randint(0, height, (n, 1, 1, 1)) - side // 2
    left = mx.random.randint(0, width, (n, 1, 1, 1)) - side // 2
    rows = mx.arange(height).reshape(1, -1, 1, 1) - top
    columns = mx.arange(width).reshape(1, 1, -1, 1) - left
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    return mx.where(inside, -1.0, images)


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
