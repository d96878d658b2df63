"""The losses of the book, as functions of the discriminator's logits (chapter 4)."""

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
