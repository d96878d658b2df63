"""The one training loop of the book (chapter 5), and the steps that it can take."""

from mlxgan import checkpoints, cpu, losses, models
from mlxgan.data import Digits, batches

import hashlib
import json
import os
import platform
import random
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from tqdm import tqdm


@dataclass
class History:
    """What a run leaves behind, an entry an epoch; all but ``seconds`` are means over its steps."""

    loss_d: list[float] = field(default_factory=list)  #: the discriminator's loss
    loss_g: list[float] = field(default_factory=list)  #: the generator's loss
    d_real: list[float] = field(default_factory=list)  #: sigmoid of the logits of real images
    d_fake: list[float] = field(default_factory=list)  #: sigmoid of the logits of fakes, same step
    seconds: list[float] = field(default_factory=list)  #: wall-clock time of the epoch's training
    stopped = False  #: whether Ctrl-C ended the run early; the last entry may then be of a part of an epoch

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


def seed_everything(seed: int) -> int:
    """Seed the global random numbers of MLX, NumPy and Python, and return ``seed``, for the order of the images.

    Call it before the networks are made: ``train(..., seed=seed_everything(0))`` then decides every random number
    of a run. Raises ValueError where ``seed`` is not from 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}, but must be from 0 to {2**32 - 1}")
    mx.random.seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    return seed


def adam(learning_rate: float | Callable[[mx.array], mx.array] = 2e-4) -> optim.Adam:
    """Adam as GANs use it: betas (0.5, 0.999) (Radford et al., 2016), with the bias correction.

    ``learning_rate`` is a number, or a function of the number of steps taken.
    """
    return optim.Adam(learning_rate, betas=[0.5, 0.999], bias_correction=True)


def decaying_adam(first: float, last: float, steps: int) -> optim.Adam:
    """:func:`adam` whose learning rate falls linearly from ``first`` to ``last`` over ``steps`` steps (chapter 10).

    Where the two are equal it is a number, so that such a run may be resumed for more steps.
    """
    return adam(first if first == last else optim.linear_schedule(first, last, steps))


#: The GANs of the book: generator, discriminator, and the first and last learning rate of each (chapters 5, 8 and 10).
GANS: dict[str, tuple[type, type, tuple[float, float], tuple[float, float]]] = {
    "mlp": (models.MLPGenerator, models.MLPDiscriminator, (2e-4, 2e-4), (2e-4, 2e-4)),
    "dcgan": (models.DCGANGenerator, models.VarietyDiscriminator, (2e-3, 2e-3), (3e-4, 3e-4)),
    "conditional": (models.ConditionalGenerator, models.ConditionalDiscriminator, (3e-4, 3e-5), (1e-3, 1e-4)),
}


def make_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer_g: optim.Optimizer,
    optimizer_d: optim.Optimizer,
    loss_g: Callable = losses.generator_loss,
    loss_d: Callable = losses.discriminator_loss,
) -> tuple[Callable[..., mx.array], list]:
    """A compiled training step and the state that it changes.

    ``step(real)`` takes images of shape (N, 28, 28, C) in [-1, 1], updates the discriminator, then the
    generator, and returns loss_d, loss_g and the mean of D(x) and of D(G(z)), an array of shape (4,).
    Networks that are told the class (chapter 10) get ``step(real, labels)``, int32 of shape (N,); the fakes
    are made for the same labels. Nothing is computed before ``mx.eval`` of it and of the state.
    """

    def loss_of_discriminator(real, fake, *labels):
        logits_real = discriminator(real, *labels)
        logits_fake = discriminator(fake, *labels)
        d_real, d_fake = mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()
        return loss_d(logits_real, logits_fake), d_real, d_fake

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    grad_g = nn.value_and_grad(generator, lambda z, *y: loss_g(discriminator(generator(z, *y), *y)))
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


def make_average(average: nn.Module, generator: nn.Module, keep: float = 0.999) -> tuple[Callable[[], None], list]:
    """A compiled function that moves the weights of ``average`` towards those of ``generator``, and its state.

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

    return follow, state


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
    checkpoint_folder: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
) -> History:
    """Train both networks in place, print a line an epoch, and return the history.

    ``seed`` decides the order of the images; the noise comes from ``mx.random``, to be seeded before
    the networks are made. Both optimizers are :func:`adam` unless given. ``make_step`` makes the step that is
    taken. A generator that has ``classes`` gets the labels too. ``average``, a generator of the
    same form, ends as the moving average of the generator's weights (:func:`make_average`).
    ``on_epoch(epoch, history)`` is called at the end of each epoch, counted from 1.

    With ``checkpoint_folder`` the whole state goes there after every ``checkpoint_every`` epochs and after the last.
    ``resume`` goes on from the newest whole checkpoint in it, or from the start if there is none yet, and ends with
    the same bits as an undisturbed run. Settings must be the same, but for more epochs where no learning rate
    depends on the number of steps; functions are compared by their names.

    Ctrl-C, or a notebook's stop button, ends the run after the current step: the history is returned with what
    there is of the running epoch, and ``history.stopped`` is true. A second one interrupts at once.

    Raises DivergedError at the end of an epoch in which a loss became NaN or infinite; ValueError where a number
    makes no sense, where a setting differs from the checkpoint's, where no checkpoint is whole, or where there are
    some and ``resume`` is false; and OSError where a checkpoint cannot be written.
    """
    for name, value in (("epochs", epochs), ("checkpoint_every", checkpoint_every)):
        if value < 1:
            raise ValueError(f"{name} is {value}, but must be at least 1")
    next(batches(data, batch_size, seed=seed))  # raises before anything is touched
    optimizer_g, optimizer_d = optimizer_g or adam(), optimizer_d or adam()
    networks = {"generator": generator, "discriminator": discriminator}
    optimizers = {"optimizer_g": optimizer_g, "optimizer_d": optimizer_d}
    for model, optimizer in zip(networks.values(), optimizers.values(), strict=True):
        model.train()
        optimizer.init(model.trainable_parameters())
        cpu.column_major(model, optimizer)
    clock: dict[str, mx.array] = {}
    if average is not None:
        follow, state_of_average = make_average(average.eval(), generator)
        networks["average"], clock = average, state_of_average[-1]
    history = History()
    steps = len(data) // batch_size
    if checkpoint_folder is not None:
        others = {"loss_g": loss_g, "loss_d": loss_d, "make_step": make_step, "batch_size": batch_size, "seed": seed}
        settings = _settings(networks, optimizers, epochs * steps, data, **others)
        if _prepare(Path(checkpoint_folder), resume):
            history = _resume(Path(checkpoint_folder), settings, networks, optimizers, clock)
            if len(history) > epochs:
                raise ValueError(f"epochs is {epochs}, but the checkpoint was written after epoch {len(history)}")
    step, state = make_step(generator, discriminator, optimizer_g, optimizer_d, loss_g, loss_d)
    if average is not None:
        state.append(state_of_average)
    takes = 2 if hasattr(generator, "classes") else 1  # a conditional generator's step takes the labels too
    done = len(history)
    progress = tqdm(total=epochs * steps, initial=done * steps, unit=" steps", mininterval=1)
    with _interrupt_between_steps() as stop, progress:
        for epoch in range(done + 1, epochs + 1):
            start = time.perf_counter()
            measured = []
            for batch in batches(data, batch_size, seed=seed, epoch=epoch):
                measured.append(step(*batch[:takes]))
                if average is not None:
                    follow()
                mx.eval(measured[-1], state)
                progress.update()
                if stop.is_set():
                    break
            _record(history, np.array(mx.stack(measured)), time.perf_counter() - start)
            progress.write(history.line())
            if len(measured) == steps:
                if on_epoch:
                    on_epoch(epoch, history)
                if checkpoint_folder is not None and (epoch % checkpoint_every == 0 or epoch == epochs):
                    about = {"settings": settings, "versions": _versions(), "history": asdict(history)}
                    arrays = _arrays(networks, optimizers, clock)
                    notes = {name: json.dumps(value) for name, value in about.items()}
                    checkpoints.save_run(checkpoint_folder, epoch, arrays, notes)
            if stop.is_set() and (epoch, len(measured)) != (epochs, steps):
                history.stopped = True
                progress.write(f"stopped after step {len(measured)} of {steps} in epoch {epoch} of {epochs}")
                break
    generator.eval()
    discriminator.eval()
    return history


@contextmanager
def _interrupt_between_steps() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets and does nothing else; only where Python's own handler is in place."""
    stop = threading.Event()

    def handler(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _settings(
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, optim.Optimizer],
    steps: int,
    data: Digits,
    **others: object,
) -> dict[str, str]:
    """What a resumed run must share with the one before, by name; all but the shapes of the arrays."""

    def plain(thing: object) -> dict[str, object]:
        changing = ("_training", "_initialized")
        values = {name: value for name, value in vars(thing).items() if name not in changing}
        return {
            name: value for name, value in values.items() if isinstance(value, bool | int | float | str | list | tuple)
        }

    digest = hashlib.sha256()
    for array in (data.images, data.labels):
        digest.update(np.array(array).tobytes())
    found = {"data": f"{len(data)} images with SHA-256 {digest.hexdigest()[:16]}"}
    for name, value in others.items():
        found[name] = _function_name(value) if callable(value) else str(value)
    for name, optimizer in optimizers.items():
        rate = optimizer._schedulers.get("learning_rate")
        if rate is None:
            rates = [optimizer.learning_rate.item()]
        else:
            found["number of steps, on which a learning rate depends"] = str(steps)
            rates = [rate(mx.array(part * steps // 4)).item() for part in range(5)]
        text = {"learning_rate": rates, **plain(optimizer)}
        found[name] = f"{type(optimizer).__name__} {text}"
    for name, network in networks.items():
        for path, module in network.named_modules():
            found[f"{name}.{path}".strip(".")] = f"{type(module).__name__} {plain(module)}"
    return found


def _function_name(function: Any) -> str:
    if isinstance(function, partial):
        return f"{_function_name(function.func)} with {function.args} {function.keywords}"
    return (
        f"{function.__module__}.{function.__qualname__}"
        if hasattr(function, "__qualname__")
        else type(function).__name__
    )


def _versions() -> dict[str, str]:
    """What may change the last bits of a result, and does not forbid to go on."""
    return {
        **{name: version(name) for name in ("mlx", "numpy")},
        "machine": f"{platform.system()} {platform.machine()}",
        "device": f"{mx.default_device()}",
        "mlxgan.cpu": "on" if cpu.fast() else "off",
        "number of threads": os.environ.get("OPENBLAS_NUM_THREADS") or str(os.cpu_count()),
    }


def _arrays(
    networks: Mapping[str, nn.Module], optimizers: Mapping[str, optim.Optimizer], clock: dict[str, mx.array]
) -> dict[str, mx.array]:
    """All that changes from step to step, by name."""
    trees: dict[str, Any] = {"clock": clock, "random": mx.random.state[0]}  # type: ignore[index]
    trees |= {name: network.state for name, network in networks.items()}
    trees |= {name: optimizer.state for name, optimizer in optimizers.items()}
    flat: Any = tree_flatten(trees)
    return {name: value for name, value in flat if isinstance(value, mx.array)}


def _prepare(folder: Path, resume: bool) -> bool:
    """Make the folder, and say whether there is something in it to go on from."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()  # before hours of training, not after
    found = checkpoints.runs(folder)
    if found and not resume:
        raise ValueError(f"{folder}: holds checkpoints of an earlier run; resume it, or remove the folder")
    if resume and not found:
        print(f"{folder}: no checkpoint yet, so the run starts from the beginning")
    return bool(found)


def _resume(
    folder: Path,
    settings: Mapping[str, str],
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, optim.Optimizer],
    clock: dict[str, mx.array],
) -> History:
    """Bring a run back to where its newest whole checkpoint was written."""
    path, arrays, about = checkpoints.load_run(folder)
    try:
        stored, versions, history = (json.loads(about[name]) for name in ("settings", "versions", "history"))
        before, stored, versions = History(**history), dict(stored), dict(versions)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a checkpoint of a run ({error!r})") from error
    _compare(settings, stored, path)
    expected = _arrays(networks, optimizers, clock)
    shapes, stored_shapes = ({name: f"{a.dtype} {a.shape}" for name, a in each.items()} for each in (expected, arrays))
    _compare(shapes, stored_shapes, path)
    for name, value in _versions().items():
        if versions.get(name) != value:
            there = versions.get(name)
            warnings.warn(f"{name} is {value}, but {there} in {path}: the last bits may differ", stacklevel=3)
    high, low = np.array(arrays["random"]).tolist()
    mx.random.seed((high << 32) | low)  # which is how a key is made of a seed
    tree: Any = tree_unflatten(list(arrays.items()))
    for name, network in networks.items():
        network.update(tree[name])
    for name, optimizer in optimizers.items():
        optimizer.state = tree[name]
    clock.update(tree.get("clock", {}))
    print(f"going on after epoch {len(before)}, from {path}")
    return before


def _compare(here: Mapping[str, object], there: Mapping[str, object], path: Path) -> None:
    for name in [*here, *(name for name in there if name not in here)]:
        a, b = here.get(name, "absent"), there.get(name, "absent")
        if a != b:
            raise ValueError(f"cannot resume: {name} is {a}, but {b} in {path}")


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
