"""Training that survives Ctrl-C, a killed process and a power cut, around the plain loop.

A checkpoint holds the whole state of a run, so that a resumed run ends with the same bits as an undisturbed one.
"""

import copy
import hashlib
import json
import os
import platform
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from . import checkpoints, download, layers, losses, training
from .data import Digits
from .files import locked, short
from .history import DivergedError, History
from .recipes import adam

DEFAULTS = {"batch_size": 64, "seed": 0, "loss_g": losses.generator_loss, "loss_d": losses.discriminator_loss}


def train(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Digits,
    *,
    epochs: int,
    checkpoint_folder: str | Path | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
    on_step: Callable[[mx.array], Any] = lambda measured: None,
    on_epoch: Callable[[int, History], Any] = lambda epoch, history: None,
    **settings: Any,
) -> History:
    """Train like :func:`mlxgan.training.train`, with a progress bar, checkpoints and an orderly Ctrl-C.

    The whole state is saved in ``checkpoint_folder`` every ``checkpoint_every`` epochs and after the last. ``resume``
    continues from the newest whole checkpoint there, or from the start if there is none. The settings must be the same
    (functions: their names), but there may be more epochs if no learning rate depends on the number of steps.

    Ctrl-C, or a notebook's stop button, ends the run after the current step; the history returned includes the
    unfinished epoch, and its ``stopped`` is true. A second one interrupts at once.
    Raises what ``training.train`` does; ValueError if a setting makes no sense or differs from the checkpoint's, no
    checkpoint is whole, or there are some and ``resume`` is false; OSError if the folder cannot be written or is used.
    """
    if checkpoint_every < 1:
        raise ValueError(f"checkpoint_every is {checkpoint_every}, but must be at least 1")
    run = _Run(generator, discriminator, data, epochs, settings)
    if checkpoint_folder is None:
        return run.train(on_step, on_epoch)
    folder = Path(checkpoint_folder)

    def after_epoch(epoch, history):
        on_epoch(epoch, history)
        if epoch % checkpoint_every == 0 or epoch == epochs:
            run.save(folder)

    with locked(folder):
        if checkpoints.prepare_runs(folder, resume):
            run.restore(folder)
        return run.train(on_step, after_epoch)


class _StopTraining(Exception):
    """Ctrl-C was pressed, and the current step is done."""


class _Run:
    """A run, and everything that a checkpoint holds of it."""

    def __init__(self, generator, discriminator, data, epochs, settings):
        self.settings = DEFAULTS | {name: value for name, value in settings.items() if value is not None}
        self.players: dict[str, Any] = {"generator": generator, "discriminator": discriminator}
        self.players |= {name: self.settings.setdefault(name, adam()) for name in ("optimizer_g", "optimizer_d")}
        if average := self.settings.get("average"):
            self.players["average"] = average
        self.data, self.epochs, self.history = data, epochs, History()
        self.steps = len(data) // max(self.settings["batch_size"], 1)
        with training.modes_kept(generator, discriminator):
            training.set_up(**self.players)

    def train(self, on_step: Callable[[mx.array], Any], after_epoch: Callable[[int, History], None]) -> History:
        """Run the plain loop to its end, or to the end of the step in which Ctrl-C is pressed."""
        measured: list[mx.array] = []
        started = time.perf_counter()

        def after_step(values):
            on_step(values)
            measured.append(values)
            bar.update()
            if len(measured) == self.steps:
                bar.clear()  # the loop prints the epoch's line
            elif stop.is_set():
                raise _StopTraining

        def on_epoch(epoch, history):
            nonlocal started
            after_epoch(epoch, history)
            if stop.is_set() and epoch < self.epochs:
                raise _StopTraining
            measured.clear()
            started = time.perf_counter()

        networks = (self.players["generator"], self.players["discriminator"])
        hooks: dict[str, Any] = {"history": self.history, "on_step": after_step, "on_epoch": on_epoch}
        total, done = self.epochs * self.steps, len(self.history) * self.steps
        with _deferred_ctrl_c() as stop, download.bar(total=total, initial=done, unit=" steps") as bar:
            try:
                training.train(*networks, self.data, epochs=self.epochs, **(hooks | self.settings))
            except _StopTraining:
                if len(measured) < self.steps:
                    seconds = time.perf_counter() - started
                    self.history.add(mx.stack(measured), seconds, training.spread(networks[0]))
                    print(self.history.line())
                self.history.stopped = True
                where = f"step {len(measured)} of {self.steps} in epoch {len(self.history)} of {self.epochs}"
                print(f"stopped after {where}")
                for network in networks:
                    network.eval()
            except RuntimeError as error:
                if stop.is_set() and not isinstance(error, DivergedError):  # g++ got the Ctrl-C too
                    raise KeyboardInterrupt from error
                raise
        return self.history

    def save(self, folder: Path) -> None:
        """Write the state after the last epoch of the history to a file of its own."""
        about = {"settings": self.described(), "versions": _versions(), "history": asdict(self.history)}
        notes = {name: json.dumps(value) for name, value in about.items()}
        checkpoints.save_run(folder, len(self.history), self.arrays(), notes)

    def restore(self, folder: Path) -> None:
        """Return to where the newest whole checkpoint in ``folder`` was written."""
        path, arrays, about = checkpoints.load_run(folder)
        try:
            settings, versions = (dict(json.loads(about[name])) for name in ("settings", "versions"))
            history = json.loads(about["history"])
            if "seconds" in history and "spread" not in history:
                raise ValueError("it was written by the first edition; start anew in another folder")
            self.history = History(**history)
            if self.history.stopped is not False or len(self.history) != int(path.name.split("-")[0]):
                raise ValueError("its history is not that of the epoch in its name")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path}: not a checkpoint of a run ({short(repr(error))})") from error
        checkpoints.check_settings(self.described(), settings, path)
        here, there = ({name: f"{a.dtype} {a.shape}" for name, a in each.items()} for each in (self.arrays(), arrays))
        checkpoints.check_settings(here, there, path)
        if (done := len(self.history)) > self.epochs:
            raise ValueError(f"epochs is {self.epochs}, but the checkpoint was written after epoch {done}")
        for name, value in _versions().items():
            if (stored := short(versions.get(name))) != value:
                warnings.warn(f"{name} is {value}, but {stored} in {path}: the last bits may differ", stacklevel=3)
        high, low = np.array(checkpoints.evaluated(path, arrays)["random"]).tolist()
        mx.random.seed((high << 32) | low)  # MLX has no public way to set its key except by a seed
        tree: Any = tree_unflatten(list(arrays.items()))
        for name, player in self.players.items():
            if isinstance(player, nn.Module):
                player.update(tree[name])
            else:
                player.state = tree[name]
        print(f"going on after epoch {done}, from {path}")

    def arrays(self) -> dict[str, mx.array]:
        """Return everything that changes from step to step."""
        state: Any = mx.random.state
        flat: Any = tree_flatten({"random": state[0]} | {name: player.state for name, player in self.players.items()})
        return {name: value for name, value in flat if isinstance(value, mx.array)}

    def described(self) -> dict[str, str]:
        """Return what a resumed run must share with the one before, except the arrays' shapes."""
        digest = hashlib.sha256(np.array(self.data.images).tobytes() + np.array(self.data.labels).tobytes())
        found = {"data": f"{len(self.data)} images with SHA-256 {digest.hexdigest()[:16]}"}
        for name, thing in (self.players | self.settings).items():
            text = _describe(thing)
            if isinstance(thing, optim.Optimizer):
                rates = _learning_rates(thing, self.epochs * self.steps)
                text += f" with learning rate {', '.join(f'{rate:.4g}' for rate in rates)}"
                if len(rates) > 1:
                    found["number of steps, on which a learning rate depends"] = str(self.epochs * self.steps)
            found[name] = text
        return found


@contextmanager
def _deferred_ctrl_c() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; in a thread, or with a handler of the user's, nothing does."""
    stop = threading.Event()

    def handler(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before, in_main_thread = signal.getsignal(signal.SIGINT), threading.current_thread() is threading.main_thread()
    if not in_main_thread or before is not signal.default_int_handler:
        yield stop
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _learning_rates(optimizer: optim.Optimizer, steps: int) -> list[float]:
    """Return the learning rate, or five along the way if it changes over ``steps`` steps."""
    probe, rates = copy.copy(optimizer), []
    for quarter in range(5):
        probe.state = {"step": mx.array(quarter * steps // 4, mx.uint64), "learning_rate": optimizer.learning_rate}
        probe.apply_gradients({}, {})  # updates a rate that has a schedule, and nothing else
        rates.append(probe.learning_rate.item())
    return rates if len(set(rates)) > 1 else rates[:1]


def _describe(thing: Any) -> str:
    if isinstance(thing, partial):
        return f"{_describe(thing.func)} with {thing.args} {thing.keywords}"
    if hasattr(thing, "__qualname__"):
        return f"{thing.__module__}.{thing.__qualname__}"
    if isinstance(thing, nn.Module | optim.Optimizer):
        plain = {name: value for name, value in vars(thing).items() if isinstance(value, int | float | str | list)}
        return f"{type(thing).__name__} { ({name: plain[name] for name in plain if name[0] != '_'}) }"
    return type(thing).__name__ if callable(thing) else str(thing)


def _versions() -> dict[str, str]:
    """Return environment details that may change the last bits; a mismatch only warns."""
    return {
        **{name: version(name) for name in ("mlx", "numpy")},
        "machine": f"{platform.system()} {platform.machine()}",
        "device": f"{mx.default_device()}",
        "fast CPU path": "on" if layers.fast() else "off",
        "number of threads": os.environ.get("OPENBLAS_NUM_THREADS") or str(os.cpu_count()),
    }
