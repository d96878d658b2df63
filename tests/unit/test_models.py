"""Shapes, ranges and sizes of the networks."""

from mlxgan import models

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten


def count(model) -> int:
    return sum(value.size for _, value in tree_flatten(model.parameters()))


def linear(*widths: int) -> int:
    return sum((n + 1) * m for n, m in zip(widths, widths[1:], strict=False))


@pytest.mark.parametrize("latent_dim", [100, 7])
@pytest.mark.parametrize("factory", [models.MLPGenerator, models.DCGANGenerator])
def test_generator(factory, latent_dim):
    generator = factory(latent_dim)
    if factory is models.MLPGenerator:
        assert count(generator) == linear(latent_dim, 256, 512, 1024, 784)
    images = generator(10 * mx.random.normal((3, latent_dim), key=mx.random.key(0)))
    assert images.shape == (3, 28, 28, 1) and images.dtype == mx.float32
    assert mx.abs(images).max().item() <= 1


@pytest.mark.parametrize("factory", [models.MLPDiscriminator, models.DCGANDiscriminator])
def test_discriminator(factory):
    discriminator = factory()
    if factory is models.MLPDiscriminator:
        assert count(discriminator) == linear(784, 1024, 512, 256, 1)
    logits = discriminator(mx.random.uniform(-1, 1, (3, 28, 28, 1), key=mx.random.key(0)))
    assert logits.shape == (3,)


def test_the_discriminator_leaks_one_fifth():
    discriminator = models.MLPDiscriminator()
    for layer in discriminator.layers:  # the image's first pixel alone goes through
        layer.weight = mx.zeros_like(layer.weight)
        layer.weight[0, 0] = 1
        layer.bias = mx.zeros_like(layer.bias)
    image = mx.zeros((2, 28, 28, 1))
    image[:, 0, 0, 0] = mx.array([1.0, -1.0])
    assert mx.allclose(discriminator(image), mx.array([1, -(0.2**3)]))
