"""The losses of the book, as functions of the discriminator's logits (chapters 4 and 9).

Those of the discriminator take ``logits_real`` and ``logits_fake``, those of the generator ``logits_fake``, all of
shape (N,), and return a scalar.
"""

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn


def discriminator_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Binary cross-entropy that calls real images 1 and fakes 0 (Goodfellow et al., 2014).

    The mean of softplus(-logits_real) plus the mean of softplus(logits_fake), that is of -log D(x)
    and -log(1 - D(G(z))), as a scalar in nats. It is 2 log 2 where the discriminator only guesses.
    """
    return nn.softplus(-logits_real).mean() + nn.softplus(logits_fake).mean()


def generator_loss(logits_fake: mx.array) -> mx.array:
    """Non-saturating loss of the generator (Goodfellow et al., 2014).

    The mean of softplus(-logits_fake), that is of -log D(G(z)), as a scalar in nats: the binary
    cross-entropy of the fakes against the label 1.
    """
    return nn.softplus(-logits_fake).mean()


def saturating_generator_loss(logits_fake: mx.array) -> mx.array:
    """The generator's side of the minimax game, the mean of log(1 - D(G(z))) (Goodfellow et al., 2014).

    Its gradient vanishes where the discriminator is sure of the fakes, which is why it is not used.
    """
    return -nn.softplus(logits_fake).mean()


def smoothed_discriminator_loss(logits_real: mx.array, logits_fake: mx.array, label: float = 0.9) -> mx.array:
    """Binary cross-entropy that calls real images ``label`` and fakes 0 (Salimans et al., 2016)."""
    towards_real = label * nn.softplus(-logits_real) + (1 - label) * nn.softplus(logits_real)
    return towards_real.mean() + nn.softplus(logits_fake).mean()


def least_squares_discriminator_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Half the mean squared distance of real images from 1 and of fakes from 0 (Mao et al., 2017)."""
    return (mx.square(logits_real - 1).mean() + mx.square(logits_fake).mean()) / 2


def least_squares_generator_loss(logits_fake: mx.array) -> mx.array:
    """Half the mean squared distance of fakes from 1 (Mao et al., 2017)."""
    return mx.square(logits_fake - 1).mean() / 2


def hinge_discriminator_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Mean of max(0, 1 - logits_real) plus mean of max(0, 1 + logits_fake) (Lim and Ye, 2017)."""
    return nn.relu(1 - logits_real).mean() + nn.relu(1 + logits_fake).mean()


def wasserstein_critic_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Mean critic of fakes minus that of real images (Arjovsky et al., 2017); needs :func:`gradient_penalty`."""
    return logits_fake.mean() - logits_real.mean()


def wasserstein_generator_loss(logits_fake: mx.array) -> mx.array:
    """Minus the mean critic of fakes (Arjovsky et al., 2017); the generator's loss beside the hinge, too."""
    return -logits_fake.mean()


def gradient_penalty(critic: Callable[[mx.array], mx.array], real: mx.array, fake: mx.array) -> mx.array:
    """Mean squared distance from 1 of the length of the critic's gradient by its input (Gulrajani et al., 2017).

    Taken at one point a pair, (N, H, W, C), uniformly between a real image and a fake. The critic must treat
    the images of a batch one by one: no batch normalisation. The gradient of a root has no value at 0, so a
    small number stands under it.
    """
    mix = mx.random.uniform(shape=(len(real), 1, 1, 1))
    between = mix * real + (1 - mix) * fake
    gradients = mx.grad(lambda images: critic(images).sum())(between)
    lengths = mx.sqrt(mx.square(gradients).sum(axis=(1, 2, 3)) + 1e-12)
    return mx.square(lengths - 1).mean()
