"""The one training loop of the book, and the step that it takes."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_map

from . import layers, losses
from .data import Digits, batches, check, check_labels
from .history import DivergedError, History, modes_kept
from .models import is_conditional
from .recipes import adam


def make_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: optim.Optimizer,
    optimizer_d: optim.Optimizer,
    loss_g: Callable[..., mx.array] = losses.generator_loss,
    loss_d: Callable[..., mx.array] = losses.discriminator_loss,
    penalty: Callable[..., mx.array] | None = None,
    on_gradients: Callable[[dict], dict] = lambda gradients: gradients,
) -> tuple[Callable[..., mx.array], list]:
    """Return a compiled training step and the state that it changes.

    ``step(real, labels)`` takes images (N, 28, 28, C) in [-1, 1] and labels, int32 (N,), which only conditional
    networks need. It updates the discriminator, then the generator, and returns loss_d, loss_g and the means of D(x)
    and D(G(z)), shape (4,). Nothing is computed before ``mx.eval`` of that and of the state. The ``penalty`` of
    (discriminator, real, fake) is added to the discriminator's loss; ``on_gradients`` may change each network's
    gradients before they are applied, for example average them over several machines.
    """

    def loss_of_discriminator(real, fake, *labels):
        logits_real = discriminator(real, *labels)
        logits_fake = discriminator(fake, *labels)
        loss = loss_d(logits_real, logits_fake)
        if penalty is not None:
            loss = loss + penalty(lambda x: discriminator(x, *labels), real, fake)
        return loss, mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()

    def loss_of_generator(z, real, *labels):
        logits_fake = discriminator(generator(z, *labels), *labels)
        if losses.needs_real(loss_g):
            return loss_g(discriminator(real, *labels), logits_fake)
        return loss_g(logits_fake)

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    grad_g = nn.value_and_grad(generator, loss_of_generator)
    state = [generator.state, discriminator.state, optimizer_g.state, optimizer_d.state]
    state += [mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real, *labels):
        labels = labels if is_conditional(generator) else ()
        shape = (len(real), generator.latent_dim)
        fake = mx.stop_gradient(generator(mx.random.normal(shape), *labels))
        (value_d, d_real, d_fake), gradients = grad_d(real, fake, *labels)
        optimizer_d.update(discriminator, on_gradients(gradients))
        value_g, gradients = grad_g(mx.random.normal(shape), real, *labels)
        optimizer_g.update(generator, on_gradients(gradients))
        return mx.stack([value_d, value_g, d_real, d_fake])

    return step, state


def make_average(average: nn.Module, network: nn.Module, keep: float = 0.999, taken: int = 0) -> tuple[Callable, list]:
    """Return a compiled function that moves the weights of ``average`` toward those of ``network``, and its state.

    Called once a step, it keeps the fraction ``keep`` of the average (Yazici et al., 2019), in step t at most
    (1 + t) / (10 + t), to forget the first weights soon. ``average`` starts with the network's weights, unless it
    has followed them for ``taken`` steps.
    """
    if taken == 0:
        average.update(network.parameters())
    clock = {"step": mx.array(float(taken))}
    state = [average.state, network.state, clock]

    @partial(mx.compile, inputs=state, outputs=state)
    def follow():
        clock["step"] = clock["step"] + 1
        share = mx.minimum(keep, (1 + clock["step"]) / (10 + clock["step"]))
        average.update(tree_map(lambda a, w: share * a + (1 - share) * w, average.parameters(), network.parameters()))

    return follow, state


def set_up(generator, discriminator, optimizer_g, optimizer_d, average=None, taken=0, **settings):
    """Get networks and optimizers ready; return :func:`make_step`'s step, which also moves ``average``, and state.

    Raises ValueError, before anything is changed, if the discriminator knows fewer classes than the generator draws.
    """
    known = [part.classes for part in discriminator.modules() if is_conditional(part)]
    if is_conditional(generator) and known and min(known) < generator.classes:
        raise ValueError(f"the discriminator knows {min(known)} classes, but the generator draws {generator.classes}")
    for model, optimizer in ((generator, optimizer_g), (discriminator, optimizer_d)):
        model.train()
        optimizer.init(model.trainable_parameters())
        layers.column_major(model, optimizer)
    step, state = make_step(generator, discriminator, optimizer_g, optimizer_d, **settings)
    if average is None:
        return step, state
    follow, state_of_average = make_average(average.eval(), generator, taken=taken)

    def step_and_follow(*batch):
        measured = step(*batch)
        follow()
        return measured

    return step_and_follow, [state, state_of_average]


def train(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Digits,
    *,
    epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    history: History | None = None,
    on_step: Callable[[mx.array], Any] = lambda measured: None,
    on_epoch: Callable[[int, History], Any] = lambda epoch, history: None,
    optimizer_g: optim.Optimizer | None = None,
    optimizer_d: optim.Optimizer | None = None,
    **settings: Any,
) -> History:
    """Train both networks in place, print one line per epoch, and return the history.

    ``seed`` orders the images; the noise is that of ``mx.random``, seeded before the networks are made. The optimizers
    are :func:`mlxgan.recipes.adam` by default, ``settings`` those of :func:`set_up`. A ``history`` is continued. After
    each step and epoch comes ``on_step(measured)`` or ``on_epoch(epoch, history)``. Raises ValueError for what makes no
    sense, and DivergedError, with the weights of the epoch before; :func:`mlxgan.resume.train` survives Ctrl-C.
    """
    check(data, batch_size, getattr(generator, "classes", None), epochs)
    history = History() if history is None else history
    optimizers = optimizer_g or adam(), optimizer_d or adam()
    taken = len(history) * (len(data) // batch_size)
    networks = [generator, discriminator, settings.get("average") or nn.Module()]
    with modes_kept(generator, discriminator) as modes:
        step, state = set_up(generator, discriminator, *optimizers, taken=taken, **settings)
        for epoch in range(len(history) + 1, epochs + 1):
            before = [network.parameters() for network in networks]
            start, measured = time.perf_counter(), []
            for images, labels in batches(data, batch_size, seed=seed, epoch=epoch):
                measured.append(step(images, labels))
                mx.eval(measured[-1], state)
                on_step(measured[-1])
            try:
                history.add(mx.stack(measured), time.perf_counter() - start, spread(generator))
            except DivergedError:
                for network, weights in zip(networks, before, strict=True):
                    network.update(weights)
                raise
            print(history.line())
            on_epoch(epoch, history)
        modes.pop_all()  # all went well
    generator.eval()
    discriminator.eval()
    if warning := history.warning():
        print(f"after {len(history)} epochs: {warning}")
    return history


def sample(generator: nn.Module, z: mx.array, labels: mx.array | None = None, *, batch_size: int = 500) -> mx.array:
    """Return images in [-1, 1], (N, 28, 28, C), made in evaluation mode, ``batch_size`` at a time to save memory.

    ``z`` is noise (N, latent_dim); ``labels``, int32 (N,), are for a conditional generator. The generator's mode stays
    as it was. Raises ValueError if a label is not one of the generator's classes.
    """
    z, parts = mx.array(z), []
    if labels is not None:
        labels = check_labels(mx.array(labels), getattr(generator, "classes", None))
    with modes_kept(generator):
        generator.eval()
        for start in range(0, len(z), batch_size):
            part = slice(start, start + batch_size)
            parts.append(generator(z[part]) if labels is None else generator(z[part], labels[part]))
            mx.eval(parts[-1])
    return mx.concatenate(parts)


def spread(generator: nn.Module) -> float:
    """Return the standard deviation of a pixel over 64 samples, averaged over the pixels: near 0 if all are alike.

    The noise is always the same, and a conditional generator draws its first class, so that variety within it counts.
    """
    z = mx.random.normal((64, generator.latent_dim), key=mx.random.key(0))
    images = sample(generator, z, mx.zeros(64, mx.int32) if is_conditional(generator) else None)
    return mx.std(images, axis=0).mean().item()  # type: ignore[return-value]
