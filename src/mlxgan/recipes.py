"""The recipes of the book: which networks, learning rates, losses and epochs make each GAN.

Everything that trains a GAN of the book takes its numbers from here: the chapters, the command line, the benchmark, the
ablation. To change a learning rate, change it here.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

from . import losses, models


def adam(learning_rate: float | Callable[[mx.array], mx.array] = 2e-4) -> optim.Adam:
    """Return Adam as GANs use it: betas 0.5 and 0.999 (Radford et al., 2016), with bias correction.

    ``learning_rate`` is a number or a function of the number of steps taken.
    """
    return optim.Adam(learning_rate, betas=[0.5, 0.999], bias_correction=True)


def decaying_adam(first: float, last: float, steps: int) -> optim.Adam:
    """Return :func:`adam` with a learning rate that falls linearly from ``first`` to ``last`` over ``steps`` steps.

    If the two are equal the rate is constant, so that such a run may be resumed for more epochs.
    """
    return adam(first if first == last else optim.linear_schedule(first, last, steps))


def seed_everything(seed: int) -> int:
    """Seed MLX, NumPy and Python, before the networks are made; return ``seed``, for the order of the images.

    Raises ValueError if ``seed`` is not from 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, but must be from 0 to {2**32 - 1}")
    for generator in (mx.random, np.random, random):
        generator.seed(seed)
    return seed


@dataclass(frozen=True)
class Recipe:
    """Everything that defines a GAN of the book, except the data and the seed."""

    generator: type[nn.Module]
    discriminator: type[nn.Module]
    rates_g: tuple[float, float]  #: the generator's learning rate at the start and at the end
    rates_d: tuple[float, float]  #: the discriminator's
    epochs: int
    batch_size: int = 64
    loss_g: Callable[..., mx.array] = losses.generator_loss
    loss_d: Callable[..., mx.array] = losses.discriminator_loss
    penalty: Callable[..., mx.array] | None = None  #: added to the discriminator's loss

    def settings(self, steps: int = 0) -> dict[str, Any]:
        """Return new optimizers and the losses, as keyword arguments of :func:`mlxgan.training.train`.

        ``steps`` is the length of the whole run, over which a learning rate may fall.
        """
        g, d = (decaying_adam(*rates, steps) for rates in (self.rates_g, self.rates_d))
        return dict(optimizer_g=g, optimizer_d=d, loss_g=self.loss_g, loss_d=self.loss_d, penalty=self.penalty)


MLP = models.MLPGenerator, models.MLPDiscriminator
DCGAN = models.DCGANGenerator, models.VarietyDiscriminator
CONDITIONAL = models.ConditionalGenerator, models.ConditionalDiscriminator

#: The recipes by the name that the command line knows.
RECIPES = {
    "tutorial": Recipe(*MLP, rates_g=(2e-4, 2e-4), rates_d=(2e-4, 2e-4), epochs=50),
    # without the penalty, some seeds collapse
    "mlp": Recipe(*MLP, rates_g=(2e-4, 2e-4), rates_d=(2e-4, 2e-4), epochs=20, penalty=losses.r1_penalty),
    "dcgan": Recipe(*DCGAN, rates_g=(2e-3, 2e-3), rates_d=(3e-4, 3e-4), epochs=12),
    "conditional": Recipe(*CONDITIONAL, rates_g=(3e-4, 3e-5), rates_d=(1e-3, 1e-4), epochs=12),
    # of the chapter To the floor, which adds a referee (mlxgan.rejection)
    "best": Recipe(*CONDITIONAL, rates_g=(2e-3, 3e-4), rates_d=(5e-4, 2e-4), epochs=5),
}
