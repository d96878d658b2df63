"""Random changes of what a discriminator sees, real and generated alike, so that it cannot learn its data by heart."""

import mlx.core as mx
import mlx.nn as nn


def translate(images: mx.array, most: int = 3) -> mx.array:
    """Shift each image by a whole number of pixels, up to ``most`` along each axis.

    ``images`` are (N, H, W, C) in [-1, 1]. What moves in from outside is background, -1. The gradient passes.
    """
    n, height, width, _ = images.shape
    frame = [(0, 0), (most, most), (most, most), (0, 0)]
    padded = mx.pad(images, frame, constant_values=-1.0)
    top, left = mx.random.randint(0, 2 * most + 1, (2, n, 1, 1, 1))
    rows = top + mx.arange(height).reshape(1, -1, 1, 1)
    columns = left + mx.arange(width).reshape(1, 1, -1, 1)
    padded = mx.take_along_axis(padded, rows, axis=1)
    return mx.take_along_axis(padded, columns, axis=2)


class Augmented(nn.Module):
    """A discriminator that, in training mode, sees an image only after :func:`translate` with some ``probability``.

    Its step is the usual one: since real images and fakes pass through the same module, both are changed, and the
    generator's gradient flows back through the change (Zhao et al., 2020). Below a probability of about 0.8 the
    generator cannot learn to shift its own images (Karras et al., 2020). In evaluation mode images pass as they are.
    """

    def __init__(self, discriminator: nn.Module, probability: float = 0.5):
        super().__init__()
        self.discriminator = discriminator
        self.probability = probability

    def __call__(self, images: mx.array, *labels: mx.array) -> mx.array:
        if self.training:
            random = mx.random.uniform(shape=(len(images), 1, 1, 1))
            chosen = random < self.probability
            images = mx.where(chosen, translate(images), images)
        return self.discriminator(images, *labels)
