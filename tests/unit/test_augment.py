"""What a discriminator sees is changed at random, real and fake alike, and the gradient finds its way back."""

from mlxgan import augment, data, models, training

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

IMAGES = mx.random.uniform(-1, 1, (200, 28, 28, 1), key=mx.random.key(0))


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """What ``image[y, x]`` is, stands at ``[y - down, x - right]``; the rest is background."""
    padded = np.pad(image, 3, constant_values=-1)
    return padded[3 + down : 31 + down, 3 + right : 31 + right]


def test_a_translation_is_a_shift_by_up_to_three_pixels_filled_with_background():
    mx.random.seed(0)
    seen = set()
    for image, moved in zip(np.array(IMAGES)[..., 0], np.array(augment.translate(IMAGES))[..., 0], strict=True):
        fits = [(y, x) for y in range(-3, 4) for x in range(-3, 4) if np.array_equal(shifted(image, y, x), moved)]
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) > 40  # of 49, by 200 images
    assert {y for y, _ in seen} == {x for _, x in seen} == set(range(-3, 4))


def test_the_gradient_is_that_of_the_change():
    """A shift is linear in the pixels, so that a small step along any direction has exactly the slope's effect."""

    def score(images):
        mx.random.seed(3)
        return (augment.translate(images) * weight).sum()

    weight, direction = (mx.random.normal(IMAGES.shape, key=mx.random.key(k)) for k in (1, 2))
    slope = (mx.grad(score)(IMAGES) * direction).sum().item()
    assert slope == pytest.approx((score(IMAGES + direction) - score(IMAGES)).item(), rel=1e-3)


class Still(nn.Module):
    """In place of a discriminator: returns what it sees."""

    def __call__(self, images):
        return images


@pytest.mark.parametrize(("probability", "low", "high"), [([0.0], 0, 0), ([], 70, 130), ([1.0], 180, 200)])
def test_a_part_of_the_images_is_shifted_by_default_half(probability, low, high):
    """One in 49 of the shifts is none."""
    mx.random.seed(0)
    seen = augment.Augmented(Still(), *probability)(IMAGES)
    assert low <= int(mx.any(seen != IMAGES, axis=(1, 2, 3)).sum().item()) <= high


def test_only_training_changes_what_is_seen():
    wrapped = augment.Augmented(models.MLPDiscriminator())
    assert mx.array_equal(wrapped.eval()(IMAGES), wrapped.discriminator(IMAGES))
    wrapped.train()
    assert not mx.allclose(wrapped(IMAGES), wrapped.discriminator(IMAGES))
    assert not mx.allclose(wrapped(IMAGES), wrapped(IMAGES))


@pytest.mark.slow
def test_a_compiled_step_draws_anew_each_time():
    wrapped = augment.Augmented(models.MLPDiscriminator())
    call = mx.compile(wrapped, inputs=[mx.random.state], outputs=[mx.random.state])
    first, second, third = (np.array(call(IMAGES)) for _ in range(3))
    assert not np.allclose(first, second) and not np.allclose(second, third)


class Ink(nn.Module):
    """In place of a generator: draws images full of ink."""

    latent_dim = 1

    def __init__(self):
        super().__init__()
        self.level = mx.array([1.0])

    def __call__(self, z):
        return mx.broadcast_to(self.level, (len(z), 28, 28, 1))


class Corners(nn.Module):
    """In place of a discriminator: its logit is the mean of the four corners, to which a shift brings background."""

    def __init__(self):
        super().__init__()
        self.bias = mx.array([0.0])

    def __call__(self, images):
        return images[:, ::27, ::27].mean(axis=(1, 2, 3)) + self.bias


@pytest.mark.parametrize(
    ("probability", "logits"), [(0.0, {1.0: 1}), (1.0, {1.0: 1 / 49, 0.0: 12 / 49, -0.5: 36 / 49})]
)
def test_the_step_changes_real_images_and_fakes_in_both_updates(probability, logits):
    """``logits`` are those of images full of ink, with their probabilities: a shift along both axes leaves one."""
    mx.random.seed(0)
    generator, discriminator = Ink(), augment.Augmented(Corners(), probability)
    step, state = training.set_up(generator, discriminator, *(training.adam() for _ in range(2)))
    measured = step(mx.ones((1000, 28, 28, 1)), mx.zeros(1000, mx.int32))
    mx.eval(measured, state)
    _, loss_g, d_real, d_fake = measured.tolist()
    assert d_real == pytest.approx(sum(part / (1 + np.exp(-logit)) for logit, part in logits.items()), abs=0.01)
    assert d_fake == pytest.approx(d_real, abs=0.01)
    assert loss_g == pytest.approx(sum(part * np.log1p(np.exp(-logit)) for logit, part in logits.items()), abs=0.02)
    assert generator.level.item() > 1  # more ink in a corner would fool this discriminator: the gradient came through


def test_labels_pass_through():
    wrapped = augment.Augmented(models.ConditionalDiscriminator(channels=2, hidden=4))
    assert wrapped(IMAGES[:8], mx.arange(8)).shape == (8,)


@pytest.mark.slow
def test_a_run_with_it_trains():
    part = data.load("train")
    few = data.Digits(part.images[:200], part.labels[:200], "few")
    make = partial(models.DCGANGenerator, channels=2, hidden=4)
    inner = models.VarietyDiscriminator(channels=2, hidden=4)
    history = training.train(make(), augment.Augmented(inner), few, epochs=1, average=make())
    assert np.isfinite(history.loss_d + history.loss_g).all()
    assert isinstance(inner, nn.Module) and not inner.training
