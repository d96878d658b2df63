"""Shapes, ranges and sizes of the networks."""

from mlxgan import losses, models, recipes
from mlxgan.layers import Conv2d

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten


def count(model):
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


def test_sizes_of_the_dcgan():
    norm = 4  # weight, bias, and two running statistics a channel
    generator = linear(100, 512, 7 * 7 * 64) + norm * (512 + 64 + 32) + (16 * 64 * 32 + 32) + (16 * 32 + 1)
    assert count(models.DCGANGenerator()) == generator
    discriminator = (16 * 32 + 32) + (16 * 32 * 64 + 64) + linear(7 * 7 * 64, 512, 1) + norm * (64 + 512)
    assert count(models.DCGANDiscriminator()) == discriminator
    assert count(models.DCGANDiscriminator(norm=False)) == discriminator - norm * (64 + 512)
    assert count(models.VarietyDiscriminator()) == discriminator + 1
    assert count(models.ConditionalGenerator()) == generator + 10 * 512
    assert count(models.ConditionalDiscriminator()) == discriminator + 10 * 512 + 1
    assert models.DCGANGenerator(image_channels=3)(mx.zeros((2, 100))).shape == (2, 28, 28, 3)
    assert models.DCGANDiscriminator(image_channels=3)(mx.zeros((2, 28, 28, 3))).shape == (2,)


@pytest.mark.parametrize(
    "factory",
    [models.DCGANGenerator, models.DCGANDiscriminator, models.ConditionalGenerator, models.ConditionalDiscriminator],
)
def test_initial_weights_have_the_deviation_of_dcgan_and_biases_keep_theirs(factory):
    mx.random.seed(0)
    model = factory()
    weights = [value for _, value in tree_flatten(model.parameters()) if value.ndim >= 2 and value.size > 5000]
    assert weights
    for weight in weights:
        assert mx.std(weight).item() == pytest.approx(0.02, rel=0.04)
        assert mx.mean(weight).item() == pytest.approx(0, abs=0.001)
    assert mx.array_equal(model.norm1.weight, mx.ones_like(model.norm1.weight))


def test_in_evaluation_mode_a_sample_does_not_depend_on_its_batch():
    mx.random.seed(0)
    generator = models.DCGANGenerator(channels=4, hidden=8)
    z = mx.random.normal((6, 100))
    in_training = [generator(part)[0] for part in (z, z[:3])]
    assert not mx.allclose(*in_training, atol=1e-4)
    generator.eval()
    assert mx.allclose(generator(z)[0], generator(z[:3])[0], atol=1e-5)


@pytest.mark.parametrize("norm", [True, False])
def test_the_logits_are_linear_in_the_features_which_leak_one_fifth(norm):
    mx.random.seed(0)
    discriminator = models.DCGANDiscriminator(channels=4, hidden=8, norm=norm).eval()
    images = mx.random.uniform(-1, 1, (5, 28, 28, 1))
    hidden = discriminator.compress(images)
    features = discriminator.features(hidden)
    assert hidden.shape == features.shape == (5, 8)
    assert mx.allclose(discriminator(images), discriminator.out(features).squeeze(-1), atol=1e-6)
    normalized = np.array(discriminator.norm2(hidden))
    assert np.allclose(np.array(features), np.where(normalized > 0, normalized, 0.2 * normalized), atol=1e-6)


@pytest.mark.parametrize(
    ("factory", "told"),
    [(models.MLPGenerator, False), (models.DCGANGenerator, False), (models.ConditionalGenerator, True)],
)
def test_which_generators_are_told_the_class(factory, told):
    assert models.is_conditional(factory()) == told


def test_the_class_decides_what_is_drawn_and_what_is_believed():
    mx.random.seed(0)
    generator = models.ConditionalGenerator(channels=4, hidden=8).eval()
    discriminator = models.ConditionalDiscriminator(channels=4, hidden=8).eval()
    z = mx.repeat(mx.random.normal((1, 100)), 10, axis=0)
    images = generator(z, mx.arange(10))
    assert images.shape == (10, 28, 28, 1)
    assert not mx.allclose(1e4 * images[0], 1e4 * images[1], atol=1e-2)  # untrained, they are nearly black
    image = mx.repeat(images[:1], 10, axis=0)
    logits = discriminator(image, mx.arange(10))
    assert logits.shape == (10,) and len(set(logits.tolist())) == 10
    features = discriminator.features(discriminator.compress(image))
    projected = features @ discriminator.embedding.weight.T / 8**0.5
    assert mx.allclose(logits, discriminator.out(features).squeeze(-1) + mx.diag(projected), atol=1e-5)


def test_the_spread_is_that_around_the_means_of_the_classes():
    x, labels = mx.random.normal((51, 3), key=mx.random.key(0)), mx.array([7] + [0, 1, 1, 3, 4] * 10)
    groups = [np.array(x)[np.array(labels) == digit] for digit in (0, 1, 3, 4, 7)]
    expected = np.sqrt(sum(((group - group.mean(0)) ** 2).sum(0) for group in groups) / 51)
    assert np.allclose(models.spread_within_classes(x, labels, 10), expected, atol=1e-4)


def test_the_spread_of_images_that_are_all_alike_is_a_number():
    images, labels = mx.ones((4, 28, 28, 1)), mx.zeros(4, mx.int32)
    assert mx.allclose(models.spread_within_classes(mx.ones((4, 3)), labels, 10), mx.full(3, 1e-3))
    variety, conditional = (
        kind(channels=4, hidden=8) for kind in (models.VarietyDiscriminator, models.ConditionalDiscriminator)
    )
    variety.variety = conditional.variety = mx.ones(1)
    assert mx.all(mx.isfinite(variety(images)) & mx.isfinite(conditional(images, labels)))


def test_the_conditional_discriminator_learns_how_much_a_class_varies():
    mx.random.seed(0)
    discriminator = models.ConditionalDiscriminator(channels=4, hidden=8)
    labels = mx.arange(40) % 4
    varied = mx.random.uniform(-1, 1, (40, 28, 28, 1))
    alike = 0.1 * varied
    before = discriminator(varied, labels)
    discriminator.variety = mx.ones(1)
    spread = models.spread_within_classes(discriminator.compress(varied), labels, 10)
    assert mx.allclose(discriminator(varied, labels) - before, 3 * mx.log(spread).mean(), atol=1e-4)
    discriminator.variety = mx.zeros(1)
    optimizer = recipes.adam(0.05)
    loss = nn.value_and_grad(
        discriminator,
        lambda: losses.discriminator_loss(discriminator(varied, labels), discriminator(alike, labels)),
    )
    for _ in range(5):
        optimizer.update(discriminator, loss()[1])
    assert discriminator.variety.item() > 0.1


def test_the_discriminator_is_shown_how_much_a_batch_varies():
    mx.random.seed(0)
    plain, shown = (kind(channels=4, hidden=8) for kind in (models.DCGANDiscriminator, models.VarietyDiscriminator))
    plain.update(shown.parameters(), strict=False)
    varied = mx.random.uniform(-1, 1, (40, 28, 28, 1))
    assert mx.array_equal(plain(varied), shown(varied))  # as long as it has not learned to use it
    shown.variety = mx.ones(1)
    spread = np.log(np.array(shown.compress(varied)).std(axis=0)).mean()
    assert np.allclose(np.array(shown(varied) - plain(varied)), 3 * spread, atol=1e-4)
    assert shown(0.1 * varied).mean().item() < shown(varied).mean().item() - 1


@pytest.mark.parametrize("layer", [nn.Linear(12, 5), Conv2d(3, 8, 4, stride=2, padding=1)])
def test_spectral_normalization_makes_the_largest_singular_value_one(layer):
    mx.random.seed(1)
    layer.weight = 7 * mx.random.normal(layer.weight.shape)
    normal = models.SpectralNorm(layer)
    x = mx.random.normal((4, 12) if isinstance(layer, nn.Linear) else (4, 8, 8, 3))
    for _ in range(100):
        y = normal(x)
    estimate = mx.array(normal.u)
    sigma = np.linalg.svd(np.array(layer.weight).reshape(len(layer.weight), -1), compute_uv=False)[0]
    assert mx.allclose(y - layer.bias, (layer(x) - layer.bias) / sigma, rtol=1e-3, atol=1e-4)
    # in evaluation mode the estimate stays, also where one more iteration would improve it
    normal.u = mx.random.normal(normal.u.shape)
    rough = mx.array(normal.u)
    normal.eval()
    outputs = [normal(x) for _ in range(2)]
    assert mx.array_equal(normal.u, rough) and mx.array_equal(*outputs)
    normal.train()
    normal(x)
    assert not mx.allclose(normal.u, rough)
    normal.u, _ = estimate, normal.eval()
    assert [name for name, _ in tree_flatten(normal.trainable_parameters())] == ["layer.weight", "layer.bias"]
    _, gradients = nn.value_and_grad(normal, lambda: (normal(x) ** 2).mean())()
    # scaling the weight changes nothing, so the gradient is perpendicular to it
    slope = gradients["layer"]["weight"]
    cosine = (slope * layer.weight).sum() / (mx.linalg.norm(slope) * mx.linalg.norm(layer.weight))
    assert abs(cosine.item()) < 1e-3


def test_classifier():
    classifier = models.Classifier().eval()
    images = mx.random.uniform(-1, 1, (3, 28, 28, 1))
    features = classifier.features(images)
    assert features.shape == (3, 128) and features.min().item() >= 0
    assert mx.allclose(classifier(images), classifier.output(features))


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


def test_pictures_of_another_size_are_no_rows_of_digits():
    with pytest.raises(ValueError, match="784"):
        models.MLPDiscriminator()(mx.zeros((2, 28, 28, 3)))
