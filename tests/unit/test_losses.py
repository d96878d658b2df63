"""The losses against their formulas, in value and in gradient."""

from mlxgan import losses, models

from functools import partial

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

REAL, FAKE = [1.5, -0.3, 0.0, 4.0], [-2.0, 0.7, 0.1, -5.0]


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def discriminator_formula(real, fake):
    return -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean()


def generator_formula(fake):
    return -np.log(sigmoid(fake)).mean()


def smoothed_formula(real, fake):
    d_real = sigmoid(real)
    return -(0.9 * np.log(d_real) + 0.1 * np.log(1 - d_real)).mean() - np.log(1 - sigmoid(fake)).mean()


def squares_formula(real, fake):
    return (np.mean((np.array(real) - 1) ** 2) + np.mean(np.array(fake) ** 2)) / 2


def hinge_formula(real, fake):
    return np.maximum(0, 1 - np.array(real)).mean() + np.maximum(0, 1 + np.array(fake)).mean()


def relativistic_formula(winners, losers):
    return -np.log(sigmoid(np.array(winners) - np.array(losers))).mean()


@pytest.mark.parametrize(
    ("loss", "formula", "arguments"),
    [
        (losses.discriminator_loss, discriminator_formula, (REAL, FAKE)),
        (losses.generator_loss, generator_formula, (FAKE,)),
        (losses.saturating_generator_loss, lambda fake: np.log(1 - sigmoid(fake)).mean(), (FAKE,)),
        (losses.smoothed_discriminator_loss, smoothed_formula, (REAL, FAKE)),
        (losses.least_squares_discriminator_loss, squares_formula, (REAL, FAKE)),
        (losses.least_squares_generator_loss, lambda fake: np.mean((np.array(fake) - 1) ** 2) / 2, (FAKE,)),
        (losses.hinge_discriminator_loss, hinge_formula, (REAL, FAKE)),
        (losses.wasserstein_critic_loss, lambda real, fake: np.mean(fake) - np.mean(real), (REAL, FAKE)),
        (losses.wasserstein_generator_loss, lambda fake: -np.mean(fake), (FAKE,)),
        (losses.relativistic_discriminator_loss, relativistic_formula, (REAL, FAKE)),
        (losses.relativistic_generator_loss, lambda real, fake: relativistic_formula(fake, real), (REAL, FAKE)),
    ],
)
def test_value_and_gradient(loss, formula, arguments):
    arrays = [mx.array(argument) for argument in arguments]
    assert loss(*arrays).item() == pytest.approx(formula(*arguments), rel=1e-5)
    for index in range(len(arguments)):
        gradient = mx.grad(loss, argnums=index)(*arrays)
        for position in range(4):
            shifted = [np.array(argument, np.float64) for argument in arguments]
            shifted[index][position] += 1e-5
            above = formula(*shifted)
            shifted[index][position] -= 2e-5
            difference = (above - formula(*shifted)) / 2e-5
            assert gradient[position].item() == pytest.approx(difference, abs=1e-6)


def test_a_guesser_pays_two_log_two():
    guess = mx.zeros(5)
    assert losses.discriminator_loss(guess, guess).item() == pytest.approx(2 * np.log(2))


def test_finite_for_huge_logits():
    huge = mx.array([1e4, -1e4])
    assert losses.discriminator_loss(huge, huge).item() == pytest.approx(1e4)
    assert losses.generator_loss(huge).item() == pytest.approx(5e3)


def penalty_formula(weights, real, fake, mix):
    """Ten times the penalty of the critic sum(a tanh(b x)), whose gradient with respect to x is a b / cosh^2(b x)."""
    a, b = weights
    between = mix * real + (1 - mix) * fake
    gradients = a * b / np.cosh(b * between) ** 2
    return 10 * np.mean((np.sqrt((gradients**2).sum(axis=(1, 2, 3))) - 1) ** 2)


def test_the_gradient_penalty_in_value_and_in_gradient():
    """Its gradient with respect to the critic's weights is a second derivative of the critic."""
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 5, 4, 4, 1))
    weights = rng.normal(size=(2, 4, 4, 1))
    arrays = [mx.array(array.astype(np.float32)) for array in (weights, real, fake)]

    def penalty(weights):
        mx.random.seed(3)
        critic = lambda x: (weights[0] * mx.tanh(weights[1] * x)).sum(axis=(1, 2, 3))  # noqa: E731
        return losses.gradient_penalty(critic, *arrays[1:])

    mx.random.seed(3)
    mix = np.array(mx.random.uniform(shape=(5, 1, 1, 1)))
    assert penalty(arrays[0]).item() == pytest.approx(penalty_formula(weights, real, fake, mix), rel=1e-4)
    gradient = np.array(mx.grad(penalty)(arrays[0]))
    for index in [(0, 0, 0, 0), (0, 2, 1, 0), (1, 3, 3, 0), (1, 0, 2, 0)]:
        step = np.zeros_like(weights)
        step[index] = 1e-5
        above, below = (penalty_formula(weights + sign * step, real, fake, mix) for sign in (1, -1))
        assert gradient[index] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-5)


def zero_centered_formula(weights, *sets, gamma):
    """Of the same critic, at the images of each set."""
    a, b = weights
    squares = [np.square(a * b / np.cosh(b * images) ** 2).sum(axis=(1, 2, 3)).mean() for images in sets]
    return gamma / 2 * sum(squares)


@pytest.mark.parametrize(("loss", "sets"), [(losses.r1_penalty, 1), (losses.r1_r2_penalty, 2)])
def test_the_zero_centered_penalties_in_value_and_in_gradient(loss, sets):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 5, 4, 4, 1))
    weights = rng.normal(size=(2, 4, 4, 1))
    arrays = [mx.array(array.astype(np.float32)) for array in (weights, *images)]

    def penalty(weights):
        critic = lambda x: (weights[0] * mx.tanh(weights[1] * x)).sum(axis=(1, 2, 3))  # noqa: E731
        return loss(critic, *arrays[1:], gamma=3.0)

    expected = zero_centered_formula(weights, *images[:sets], gamma=3.0)
    assert penalty(arrays[0]).item() == pytest.approx(expected, rel=1e-4)
    gradient = np.array(mx.grad(penalty)(arrays[0]))
    for index in [(0, 0, 0, 0), (0, 2, 1, 0), (1, 3, 3, 0), (1, 0, 2, 0)]:
        step = np.zeros_like(weights)
        step[index] = 1e-5
        above, below = (zero_centered_formula(weights + sign * step, *images[:sets], gamma=3.0) for sign in (1, -1))
        assert gradient[index] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-5)


def test_the_penalty_by_noise_in_value_and_in_gradient():
    """A plane has the same slope everywhere, so many nudges give R1 with gamma = 2 weight h^2, whatever h is."""
    w = mx.random.normal((4, 4, 1), key=mx.random.key(0))
    real = mx.random.normal((20_000, 4, 4, 1), key=mx.random.key(1))

    def penalty(w, loss, **options):
        mx.random.seed(2)
        return loss(lambda x: (w * x).sum(axis=(1, 2, 3)), real, mx.zeros_like(real), **options)

    by_noise, exact = partial(penalty, loss=losses.nudged_r1), partial(penalty, loss=losses.r1_penalty)
    for options, gamma in (({}, 1.0), ({"weight": 3.0, "h": 2.0}, 24.0)):
        assert by_noise(w, **options).item() == pytest.approx(exact(w, gamma=gamma).item(), rel=0.03)
        difference = mx.grad(by_noise)(w, **options) - mx.grad(exact)(w, gamma=gamma)
        assert mx.linalg.norm(difference).item() < 0.05 * mx.linalg.norm(mx.grad(exact)(w, gamma=gamma)).item()


def test_the_penalty_of_the_convolutional_critic_by_finite_differences():
    mx.random.seed(0)
    critic = models.DCGANDiscriminator(channels=4, hidden=8, norm=False)
    critic.apply(lambda weight: 20 * weight)
    real, fake = mx.random.uniform(-1, 1, (2, 4, 28, 28, 1))

    def penalty(critic=critic):
        mx.random.seed(1)
        return losses.gradient_penalty(critic, real, fake)

    _, gradients = nn.value_and_grad(critic, penalty)()
    kernel, slope = critic.shrink.weight, gradients["shrink"]["weight"]
    direction = slope / mx.linalg.norm(slope)
    values = []
    for sign in (1, -1):
        critic.shrink.weight = kernel + sign * 1e-2 * direction
        values.append(penalty().item())
    assert (values[0] - values[1]) / 2e-2 == pytest.approx(mx.linalg.norm(slope).item(), rel=2e-2)


@pytest.mark.parametrize("loss", [losses.r1_penalty, losses.r1_r2_penalty])
def test_the_weight_of_a_zero_centered_penalty_is_one_unless_given(loss):
    real, fake = mx.random.normal((2, 5, 4, 4, 1), key=mx.random.key(0))
    by_default, doubled = (loss(lambda x: mx.square(x).sum(axis=(1, 2, 3)), real, fake, *g) for g in ([], [2.0]))
    assert by_default.item() == pytest.approx(doubled.item() / 2)


def test_the_weight_of_the_penalty():
    def penalty(**weight):
        mx.random.seed(0)
        real, fake = mx.random.normal((2, 5, 4, 4, 1))
        return losses.gradient_penalty(lambda x: mx.square(x).sum(axis=(1, 2, 3)), real, fake, **weight).item()

    assert penalty() == pytest.approx(penalty(weight=10.0)) == pytest.approx(4 * penalty(weight=2.5))


def test_the_penalty_mixes_uniformly_and_survives_a_flat_critic():
    seen = []

    def flat(images):
        seen.append(images)
        return 0 * images.sum(axis=(1, 2, 3))

    mx.random.seed(0)
    real, fake = mx.ones((4000, 2, 2, 1)), mx.zeros((4000, 2, 2, 1))
    assert losses.gradient_penalty(flat, real, fake).item() == pytest.approx(10, abs=1e-4)
    gradient = mx.grad(lambda w: losses.gradient_penalty(lambda x: w * flat(x), real, fake))(mx.array(1.0))
    assert np.isfinite(gradient.item())
    mixes = np.array(seen[0])[:, 0, 0, 0]
    assert 0 <= mixes.min() < 0.01 and 0.99 < mixes.max() <= 1
    assert np.abs(np.sort(mixes) - np.linspace(0, 1, 4000)).max() < 0.05
