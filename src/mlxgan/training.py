"""The one training loop of the book (chapter 5), and the steps that it can take."""

from mlxgan import cpu, losses
from mlxgan.data import Digits, batches

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_map
from tqdm import tqdm


@dataclass
class History:
    """What a run leaves behind, an entry an epoch; all but ``seconds`` are means over its steps."""

    loss_d: list[float] = field(default_factory=list)  #: the discriminator's loss
    loss_g: list[float] = field(default_factory=list)  #: the generator's loss
    d_real: list[float] = field(default_factory=list)  #: sigmoid of the logits of real images
    d_fake: list[float] = field(default_factory=list)  #: sigmoid of the logits of fakes, same step
    seconds: list[float] = field(default_factory=list)  #: wall-clock time of the epoch's training

    def __len__(self) -> int:
        return len(self.loss_d)

    def line(self) -> str:
        """The last epoch in words and figures."""
        return (
            f"epoch {len(self):3d}   loss D {self.loss_d[-1]:.3f}   loss G {self.loss_g[-1]:.3f}   "
            f"D(x) {self.d_real[-1]:.3f}   D(G(z)) {self.d_fake[-1]:.3f}   {self.seconds[-1]:.0f} s"
        )


class DivergedError(RuntimeError):
    """A loss became NaN or infinite. ``history`` holds the epochs before."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


def adam(learning_rate: float | Callable[[mx.array], mx.array] = 2e-4) -> optim.Adam:
    """Adam as GANs use it: betas (0.5, 0.999) (Radford et al., 2016), with the bias correction.

    ``learning_rate`` is a number, or a function of the number of steps taken.
    """
    return optim.Adam(learning_rate, betas=[0.5, 0.999], bias_correction=True)


def decaying_adam(steps: int, learning_rate: float = 1e-3) -> optim.Adam:
    """:func:`adam` whose learning rate falls to 0 over ``steps`` steps, along half a cosine (chapter 8)."""
    return adam(optim.cosine_decay(learning_rate, steps))


def make_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: optim.Optimizer,
    optimizer_d: optim.Optimizer,
    loss_g: Callable = losses.generator_loss,
    loss_d: Callable = losses.discriminator_loss,
) -> tuple[Callable[[mx.array], mx.array], list]:
    """A compiled training step and the state that it changes.

    ``step(real)`` takes images of shape (N, 28, 28, 1) in [-1, 1], updates the discriminator, then the
    generator, and returns loss_d, loss_g and the mean of D(x) and of D(G(z)), an array of shape (4,).
    Nothing is computed before ``mx.eval`` of it and of the state.
    """

    def loss_of_discriminator(real, fake):
        logits_real, logits_fake = discriminator(real), discriminator(fake)
        d_real, d_fake = mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()
        return loss_d(logits_real, logits_fake), d_real, d_fake

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    grad_g = nn.value_and_grad(generator, lambda z: loss_g(discriminator(generator(z))))
    state = [generator.state, discriminator.state, optimizer_g.state, optimizer_d.state]
    state += [mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real):
        shape = (real.shape[0], generator.latent_dim)
        fake = mx.stop_gradient(generator(mx.random.normal(shape)))
        (value_d, d_real, d_fake), gradients = grad_d(real, fake)
        optimizer_d.update(discriminator, gradients)
        value_g, gradients = grad_g(mx.random.normal(shape))
        optimizer_g.update(generator, gradients)
        return mx.stack([value_d, value_g, d_real, d_fake])

    return step, state


def make_penalised_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: optim.Optimizer,
    optimizer_d: optim.Optimizer,
    loss_g: Callable = losses.wasserstein_generator_loss,
    loss_d: Callable = losses.wasserstein_critic_loss,
    weight: float = 10.0,
) -> tuple[Callable[[mx.array], mx.array], list]:
    """:func:`make_step` with ``weight`` times :func:`losses.gradient_penalty` added to the loss (chapter 9).

    The discriminator must not normalise over the batch.
    """

    def loss_of_discriminator(real, fake):
        logits_real, logits_fake = discriminator(real), discriminator(fake)
        d_real, d_fake = mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()
        penalty = losses.gradient_penalty(discriminator, real, fake)
        return loss_d(logits_real, logits_fake) + weight * penalty, d_real, d_fake

    def loss_of_generator(z):
        return loss_g(discriminator(generator(z)))

    return _compile_step(generator, discriminator, optimizer_g, optimizer_d, loss_of_generator, loss_of_discriminator)


def make_conditional_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: optim.Optimizer,
    optimizer_d: optim.Optimizer,
    loss_g: Callable = losses.generator_loss,
    loss_d: Callable = losses.discriminator_loss,
) -> tuple[Callable[[mx.array, mx.array], mx.array], list]:
    """:func:`make_step` for networks that are told the class (chapter 10).

    ``step(real, labels)`` takes the labels of the real images too, int32 of shape (N,); the fakes are made
    for the same labels.
    """

    def loss_of_discriminator(real, fake, labels):
        logits_real = discriminator(real, labels)
        logits_fake = discriminator(fake, labels)
        d_real, d_fake = mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()
        return loss_d(logits_real, logits_fake), d_real, d_fake

    def loss_of_generator(z, labels):
        return loss_g(discriminator(generator(z, labels), labels))

    return _compile_step(generator, discriminator, optimizer_g, optimizer_d, loss_of_generator, loss_of_discriminator)


def _compile_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: optim.Optimizer,
    optimizer_d: optim.Optimizer,
    loss_of_generator: Callable,
    loss_of_discriminator: Callable,
) -> tuple[Callable[..., mx.array], list]:
    """What the two steps above share: both moves, compiled, with all of their state; ``labels`` go to both losses."""
    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    grad_g = nn.value_and_grad(generator, loss_of_generator)
    state = [generator.state, discriminator.state, optimizer_g.state, optimizer_d.state]
    state += [mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real, *labels):
        shape = (real.shape[0], generator.latent_dim)
        fake = mx.stop_gradient(generator(mx.random.normal(shape), *labels))
        (value_d, d_real, d_fake), gradients = grad_d(real, fake, *labels)
        optimizer_d.update(discriminator, gradients)
        value_g, gradients = grad_g(mx.random.normal(shape), *labels)
        optimizer_g.update(generator, gradients)
        return mx.stack([value_d, value_g, d_real, d_fake])

    return step, state


def make_moving_average(average: nn.Module, generator: nn.Module, keep: float = 0.999) -> Callable[[], None]:
    """A compiled function that moves the weights of ``average`` towards those of ``generator``.

    Called once a step, it makes them an exponential moving average that keeps the share ``keep`` of itself
    (Yazici et al., 2019; chapter 5), and in step t at most (1 + t) / (10 + t), so that the first weights are soon
    forgotten. ``average`` has the generator's form, and starts with its weights.
    """
    average.update(generator.parameters())
    clock = {"step": mx.array(0.0)}
    state = [average.state, generator.state, clock]

    @partial(mx.compile, inputs=state, outputs=state)
    def follow():
        clock["step"] = clock["step"] + 1
        share = mx.minimum(keep, (1 + clock["step"]) / (10 + clock["step"]))
        average.update(tree_map(lambda a, w: share * a + (1 - share) * w, average.parameters(), generator.parameters()))

    return follow


def train(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Digits,
    *,
    epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    optimizer_g: optim.Optimizer | None = None,
    optimizer_d: optim.Optimizer | None = None,
    loss_g: Callable = losses.generator_loss,
    loss_d: Callable = losses.discriminator_loss,
    make_step: Callable = make_step,
    average: nn.Module | None = None,
    on_epoch: Callable[[int, History], None] | None = None,
) -> History:
    """Train both networks in place, print a line an epoch, and return the history.

    ``seed`` decides the order of the images; the noise comes from ``mx.random``, to be seeded before
    the networks are made. Both optimizers are :func:`adam` unless given. ``make_step`` makes the step that is
    taken: :func:`make_conditional_step` for a generator that is told the class. ``average``, a generator of the
    same form, ends as the moving average of the generator's weights (:func:`make_moving_average`).
    ``on_epoch(epoch, history)`` is called at the end of each epoch, counted from 1. Raises
    DivergedError at the end of an epoch in which a loss became NaN or infinite, and ValueError where
    ``epochs`` or ``batch_size`` make no sense.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, but must be at least 1")
    optimizer_g, optimizer_d = optimizer_g or adam(), optimizer_d or adam()
    for model, optimizer in ((generator, optimizer_g), (discriminator, optimizer_d)):
        model.train()
        optimizer.init(model.trainable_parameters())
        cpu.column_major(model, optimizer)
    step, state = make_step(generator, discriminator, optimizer_g, optimizer_d, loss_g, loss_d)
    if average is not None:
        follow = make_moving_average(average, generator)
        state.append(average.eval().state)
    history = History()
    takes = 2 if hasattr(generator, "classes") else 1  # a conditional generator's step takes the labels too
    steps = len(data) // batch_size
    with tqdm(total=epochs * steps, unit=" steps", mininterval=1) as progress:
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            measured = []
            for batch in batches(data, batch_size, seed=seed, epoch=epoch):
                measured.append(step(*batch[:takes]))
                if average is not None:
                    follow()
                mx.eval(measured[-1], state)
                progress.update()
            _record(history, np.array(mx.stack(measured)), time.perf_counter() - start)
            progress.write(history.line())
            if on_epoch:
                on_epoch(epoch, history)
    generator.eval()
    discriminator.eval()
    return history


def _record(history: History, measured: np.ndarray, seconds: float) -> None:
    """Add an epoch to the history: ``measured`` has a row a step, as ``step`` returns them."""
    if not np.isfinite(measured).all():
        first = np.argmin(np.isfinite(measured).all(axis=1))
        raise DivergedError(f"a loss is NaN or infinite in step {first + 1} of epoch {len(history) + 1}", history)
    loss_d, loss_g, d_real, d_fake = measured.mean(axis=0).tolist()
    history.loss_d.append(loss_d)
    history.loss_g.append(loss_g)
    history.d_real.append(d_real)
    history.d_fake.append(d_fake)
    history.seconds.append(seconds)


def sample(generator: nn.Module, z: mx.array, labels: mx.array | None = None, *, batch_size: int = 500) -> mx.array:
    """Images in [-1, 1] of shape (N, 28, 28, C) from noise of shape (N, latent_dim), in evaluation mode.

    ``labels``, int32 of shape (N,), are for a conditional generator. Made ``batch_size`` at a time, so that many
    need no more memory than few.
    """
    generator.eval()
    parts = []
    for start in range(0, len(z), batch_size):
        end = start + batch_size
        parts.append(generator(z[start:end]) if labels is None else generator(z[start:end], labels[start:end]))
        mx.eval(parts[-1])
    return mx.concatenate(parts)
