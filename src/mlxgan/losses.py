"""The losses of the book, as functions of the discriminator's logits.

Those of the discriminator take ``logits_real`` and ``logits_fake``, those of the generator ``logits_fake``, all of
shape (N,), and return a scalar. A new loss goes here; :func:`mlxgan.training.make_step` takes it as ``loss_g``,
``loss_d`` or ``penalty``.
"""

from collections.abc import Callable
from inspect import signature

import mlx.core as mx
import mlx.nn as nn


def discriminator_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Binary cross-entropy that calls real images 1 and fakes 0 (Goodfellow et al., 2014).

    The mean of softplus(-logits_real) plus the mean of softplus(logits_fake), that is of -log D(x)
    and -log(1 - D(G(z))), as a scalar in nats. It is 2 log 2 if the discriminator only guesses.
    """
    return nn.softplus(-logits_real).mean() + nn.softplus(logits_fake).mean()


def generator_loss(logits_fake: mx.array) -> mx.array:
    """Non-saturating loss of the generator (Goodfellow et al., 2014).

    The mean of softplus(-logits_fake), that is of -log D(G(z)), as a scalar in nats: the binary cross-entropy of the
    fakes against the label 1.
    """
    return nn.softplus(-logits_fake).mean()


def saturating_generator_loss(logits_fake: mx.array) -> mx.array:
    """The generator's side of the minimax game, the mean of log(1 - D(G(z))) (Goodfellow et al., 2014).

    Its gradient vanishes if the discriminator is sure of the fakes, which is why it is not used.
    """
    return -nn.softplus(logits_fake).mean()


def smoothed_discriminator_loss(logits_real: mx.array, logits_fake: mx.array, label: float = 0.9) -> mx.array:
    """Binary cross-entropy that calls real images ``label`` and fakes 0 (Salimans et al., 2016)."""
    toward_real = label * nn.softplus(-logits_real) + (1 - label) * nn.softplus(logits_real)
    return toward_real.mean() + nn.softplus(logits_fake).mean()


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
    """Minus the mean critic of fakes (Arjovsky et al., 2017); also the generator's loss beside the hinge."""
    return -logits_fake.mean()


def gradient_penalty(critic: Callable, real: mx.array, fake: mx.array, weight: float = 10.0) -> mx.array:
    """Return ``weight`` times the mean of (length of the critic's input gradient - 1)^2 (Gulrajani et al., 2017).

    The gradient is taken at one point per pair, chosen uniformly between a real image and a fake, (N, H, W, C). The
    critic must treat each image of a batch on its own, without batch normalization. A small number under the root
    gives it a gradient at 0.
    """
    mix = mx.random.uniform(shape=(len(real), 1, 1, 1))
    between = mix * real + (1 - mix) * fake
    gradients = mx.grad(lambda images: critic(images).sum())(between)
    lengths = mx.sqrt(mx.square(gradients).sum(axis=(1, 2, 3)) + 1e-12)
    return weight * mx.square(lengths - 1).mean()


def zero_centered_penalty(discriminator: Callable, images: mx.array, gamma: float = 1.0) -> mx.array:
    """Return ``gamma`` / 2 times the mean squared length of the input gradient (Mescheder et al., 2018).

    At real images this is the penalty R1, at fakes R2. ``images`` are (N, H, W, C); without batch normalization.
    """
    gradients = mx.grad(lambda x: discriminator(x).sum())(images)
    return gamma / 2 * mx.square(gradients).sum(axis=(1, 2, 3)).mean()


def r1_penalty(discriminator: Callable, real: mx.array, fake: mx.array, gamma: float = 1.0) -> mx.array:
    """Return :func:`zero_centered_penalty` at real images."""
    return zero_centered_penalty(discriminator, real, gamma)


def r1_r2_penalty(discriminator: Callable, real: mx.array, fake: mx.array, gamma: float = 1.0) -> mx.array:
    """Return :func:`zero_centered_penalty` at real images plus that at fakes, as R3GAN uses it (Huang et al., 2024)."""
    return zero_centered_penalty(discriminator, real, gamma) + zero_centered_penalty(discriminator, fake, gamma)


def nudged_r1(discriminator: Callable, real: mx.array, fake: mx.array, weight: float = 50, h: float = 0.1) -> mx.array:
    """Return ``weight`` times the mean squared change of the logit when noise nudges each pixel of a real image.

    ``h`` is the standard deviation of the noise that is added to ``real``, (N, H, W, C). While it is small, this
    estimates :func:`r1_penalty` with gamma = 2 weight h^2, without second derivatives.
    """
    nudge = h * mx.random.normal(real.shape)
    change = discriminator(real + nudge) - discriminator(real)
    return weight * mx.square(change).mean()


def relativistic_discriminator_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Return the mean of softplus(-(D(x) - D(G(z)))) over pairs of a real image and a fake (Jolicoeur-Martineau, 2019).

    Only the difference of the two logits counts: a fake should look less real than the real image beside it.
    """
    return nn.softplus(logits_fake - logits_real).mean()


def relativistic_generator_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Return the mean of softplus(-(D(G(z)) - D(x))) over the same pairs: the discriminator's loss, mirrored."""
    return nn.softplus(logits_real - logits_fake).mean()


def needs_real(loss_g: Callable[..., mx.array]) -> bool:
    """Return True if a generator's loss takes ``logits_real`` too, to compare fakes with real images."""
    return "logits_real" in signature(loss_g).parameters
