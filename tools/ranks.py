"""Parts of data parallelism: what one process of a group, a rank, does so that all together do what one would do.

With a single rank each of these does nothing. tools/distributed.py puts them together.
"""

import mlxgan  # noqa: F401  (before mlx.core)
from mlxgan.files import locked

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import common
import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

LOCKS = contextlib.ExitStack()


def part(x: mx.array) -> mx.array:
    """Return this rank's part of a batch: of (N, ...) the rows that are its own, (N / ranks, ...).

    Raises ValueError if N is not a multiple of the number of ranks.
    """
    group = mx.distributed.init()
    if len(x) % group.size():
        raise ValueError(
            f"the batch has {len(x)} rows, but must have a multiple of {group.size()}, the number of ranks"
        )
    rows = len(x) // group.size()
    return x[group.rank() * rows : (group.rank() + 1) * rows]


def from_rank_0(arrays: dict[str, mx.array]) -> dict[str, mx.array]:
    """Return rank 0's values of ``arrays`` on every rank; names and shapes are the same everywhere."""
    here, sent = mx.distributed.init().rank() == 0, {}
    for name in sorted(arrays):  # all ranks must take their sums in the same order
        sent[name] = mx.distributed.all_sum(arrays[name] if here else mx.zeros_like(arrays[name]))
        mx.eval(sent[name])
    return sent


class Share(nn.Module):
    """A generator that draws this rank's part of a batch from the noise of the whole batch.

    :func:`mlxgan.training.make_step` draws one row of noise per image of this rank. Here such a row has the noise for
    as many images as there are ranks, so together they have the noise of the whole batch. If all ranks use the same
    seed, that noise does not depend on their number.
    """

    def __init__(self, generator: nn.Module):
        super().__init__()
        self.generator = generator
        self.latent_dim = mx.distributed.init().size() * generator.latent_dim

    def __call__(self, z: mx.array) -> mx.array:
        return self.generator(part(z.reshape(-1, self.generator.latent_dim)))


@mx.custom_function
def sum_over_ranks(x):
    """Return the sum of the ranks' arrays. Its gradient is that of the sum of the ranks' losses."""
    return mx.distributed.all_sum(x)


@sum_over_ranks.vjp
def gradient_over_ranks(x, cotangent, output):
    return mx.distributed.all_sum(cotangent)


class SyncBatchNorm(nn.BatchNorm):
    """``nn.BatchNorm`` with the mean and the variance of the whole batch, over all ranks.

    Input and output have the shape (N / ranks, ..., features).
    """

    def __call__(self, x: mx.array) -> mx.array:
        if not self.training:
            return super().__call__(x)
        axes = tuple(range(x.ndim - 1))
        count = mx.distributed.init().size() * x.size // x.shape[-1]
        mean = sum_over_ranks(x.sum(axes)) / count  # type: ignore[operator]
        variance = sum_over_ranks(mx.square(x - mean).sum(axes)) / count  # type: ignore[operator]
        keep, unbiased = 1 - self.momentum, variance * (count / (count - 1))
        self.running_mean = keep * self.running_mean + self.momentum * mean
        self.running_var = keep * self.running_var + self.momentum * unbiased
        return self.weight * (x - mean) * mx.rsqrt(variance + self.eps) + self.bias  # type: ignore[arg-type]


def synchronize(model: nn.Module) -> None:
    """Replace every untrained ``nn.BatchNorm`` of ``model`` by a :class:`SyncBatchNorm`."""

    def replaced(layer):
        is_norm = isinstance(layer, nn.BatchNorm)
        return SyncBatchNorm(layer.num_features, layer.eps, layer.momentum) if is_norm else layer

    model.update_modules(tree_map(replaced, model.leaf_modules(), is_leaf=nn.Module.is_module))


def agree(check: Callable[[], Any], everywhere: bool = False) -> Any:
    """Return ``check()`` on rank 0, or on all ranks, None elsewhere.

    If one refuses, all ranks end with status 2, and that one with a line.
    """
    found, problem = None, ""
    if everywhere or mx.distributed.init().rank() == 0:
        try:
            found = check()
        except (ValueError, OSError) as error:
            problem = f"{os.path.basename(sys.argv[0])}: {error}"
            print(problem, file=sys.stderr)
    if mx.distributed.all_sum(mx.array(float(bool(problem)))).item():
        sys.exit(2)
    return found


def require_alone(folder: Path) -> None:
    """Keep other jobs from a folder as long as this one lives. Raises OSError if it is taken or cannot be written."""
    LOCKS.enter_context(locked(folder))
    common.require_writable(folder)


def watchdog(message: str, patience: int) -> Callable[[], None]:
    """Return a heartbeat; the process gives up with ``message`` if it is not called for ``patience`` seconds.

    That works even while MLX waits for a silent rank. Seconds in which the whole machine slept do not count.
    """
    called = threading.Event()

    def watch():
        missed = 0
        while missed < patience:
            missed = 0 if called.wait(1) else missed + 1
            called.clear()
        give_up(message)

    threading.Thread(target=watch, daemon=True).start()
    return called.set


def give_up(message: str) -> NoReturn:
    """Print ``message`` and end the process with status 1 at once: taking down a broken group may crash or wait."""
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    os._exit(1)
