"""The losses against their formulas, in value and in gradient."""

from mlxgan import losses

import mlx.core as mx
import numpy as np
import pytest

REAL, FAKE = [1.5, -0.3, 0.0, 4.0], [-2.0, 0.7, 0.1, -5.0]


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def discriminator_formula(real, fake):
    return -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean()


def generator_formula(fake):
    return -np.log(sigmoid(fake)).mean()


@pytest.mark.parametrize(
    ("loss", "formula", "arguments"),
    [
        (losses.discriminator_loss, discriminator_formula, (REAL, FAKE)),
        (losses.generator_loss, generator_formula, (FAKE,)),
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
