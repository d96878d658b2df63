"""The same training on several machines at once: data parallelism with ``mx.distributed`` (chapter 13).

``mlx.launch -n 2 -- python -m mlxgan.distributed train --steps 200 --out runs/two`` starts two ranks. Each takes its
part of every batch, and the gradients are averaged, so the result is that of one rank, whatever their number.
"""

from mlxgan import checkpoints, data, losses, models, training

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NoReturn

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map, tree_unflatten

#: Generators and discriminators. A spread over the batch, as in chapter 8, would be that of a rank's part alone.
MODELS: dict[str, tuple[type, type]] = {
    "mlp": (models.MLPGenerator, models.MLPDiscriminator),
    "dcgan": (models.DCGANGenerator, models.DCGANDiscriminator),
}


def part(x: mx.array) -> mx.array:
    """This rank's part of a batch: of (N, ...) the rows that are its own, (N / ranks, ...).

    Raises ValueError where the ranks do not divide N.
    """
    group = mx.distributed.init()
    if len(x) % group.size():
        raise ValueError(
            f"the batch has {len(x)} rows, but must have a multiple of {group.size()}, the number of ranks"
        )
    rows = len(x) // group.size()
    return x[group.rank() * rows : (group.rank() + 1) * rows]


def from_rank_0(tree: dict) -> dict:
    """Rank 0's values of a tree of arrays, on every rank; the trees have the same form everywhere."""
    here, sent = mx.distributed.init().rank() == 0, []
    arrays = dict(tree_flatten(tree))  # type: ignore[arg-type]
    for name in sorted(arrays):  # sums must come in the same order on all ranks
        sent.append((name, mx.distributed.all_sum(arrays[name] if here else mx.zeros_like(arrays[name]))))
        mx.eval(sent[-1][1])
    return tree_unflatten(sent)  # type: ignore[return-value]


def make_parallel_step(
    generator: nn.Module, discriminator: nn.Module, optimizer_g: optim.Optimizer, optimizer_d: optim.Optimizer
) -> tuple[Callable[[mx.array, mx.array], mx.array], list]:
    """:func:`training.make_step` on all ranks at once, and the state that it changes.

    ``step(real, key)`` takes this rank's part of the images, (N / ranks, 28, 28, 1), and returns loss_d and loss_g on
    it, shape (2,). From the key, the same on all ranks, come the noises of the whole batch.
    """
    ranks = mx.distributed.init().size()

    def loss_of_discriminator(real, fake):
        return losses.discriminator_loss(discriminator(real), discriminator(fake))

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    grad_g = nn.value_and_grad(generator, lambda z: losses.generator_loss(discriminator(generator(z))))
    state = [generator.state, discriminator.state]
    state += [optimizer_g.state, optimizer_d.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real, key):
        shape = (2, ranks * len(real), generator.latent_dim)
        z_d, z_g = (part(z) for z in mx.random.normal(shape, key=key))
        fake = mx.stop_gradient(generator(z_d))
        value_d, gradients = grad_d(real, fake)
        optimizer_d.update(discriminator, nn.average_gradients(gradients))
        value_g, gradients = grad_g(z_g)
        optimizer_g.update(generator, nn.average_gradients(gradients))
        return mx.stack([value_d, value_g])

    return step, state


@mx.custom_function
def sum_over_ranks(x):
    """The sum of the ranks' arrays, with the gradient of the sum of the ranks' losses."""
    return mx.distributed.all_sum(x)


@sum_over_ranks.vjp
def gradient_over_ranks(x, cotangent, output):
    return mx.distributed.all_sum(cotangent)


class SyncBatchNorm(nn.BatchNorm):
    """``nn.BatchNorm`` with the mean and the variance of the whole batch, over all ranks.

    Input and output of shape (N / ranks, ..., features).
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


def synchronise(model: nn.Module) -> None:
    """Replace every untrained ``nn.BatchNorm`` of ``model`` by a :class:`SyncBatchNorm`."""

    def replaced(layer):
        is_norm = isinstance(layer, nn.BatchNorm)
        return SyncBatchNorm(layer.num_features, layer.eps, layer.momentum) if is_norm else layer

    model.update_modules(tree_map(replaced, model.leaf_modules(), is_leaf=nn.Module.is_module))


def give_up(message: str) -> NoReturn:
    """Print ``message`` and end the process with status 1 at once: taking down a broken group may crash or wait."""
    print(message, file=sys.stderr, flush=True)
    os._exit(1)


def watchdog(message: str, patience: int) -> Callable[[], None]:
    """A function to be called after each step; when it is not for ``patience`` seconds, the process ends.

    It gives up with ``message``, even where MLX waits for a peer that is silent. Seconds in which the whole machine
    slept do not count.
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


def save(path: Path, tree: dict) -> None:
    """Write a tree of arrays to ``path``, a .safetensors file that appears only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with checkpoints.part_of(path) as unfinished:
        checkpoints.write(unfinished, dict(tree_flatten(tree)), {})  # type: ignore[arg-type]


def load(path: Path, like: dict) -> dict:
    """The tree that :func:`save` wrote. Raises ValueError where it is not whole, or has not the form of ``like``."""
    arrays, _ = checkpoints.read(path)
    shapes = {name: array.shape for name, array in tree_flatten(like)}  # type: ignore[str-unpack, union-attr]
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise ValueError(f"{path}: the state of another model; choose another folder for --out, or remove it")
    return tree_unflatten(list(arrays.items()))  # type: ignore[return-value]


def train(
    steps: int,
    out: Path,
    *,
    model: str = "mlp",
    batch_size: int = 64,
    seed: int = 0,
    every: int = 50,
    sync: bool = True,
    patience: int = 20,
) -> list[float]:
    """Train on all ranks, going on from ``out``/state.safetensors on rank 0 if it is there; seconds of each step.

    ``batch_size`` is that of all ranks together. Rank 0 saves the state every ``every`` steps and at the end. Without
    ``sync``, batch normalisation stays each rank's own. Where another rank is lost, or silent for ``patience``
    seconds, the process ends with status 1 and a message. Raises ValueError where the ranks do not divide
    ``batch_size``, or the state belongs to another model.
    """
    rank, path = mx.distributed.init().rank(), out / "state.safetensors"
    digits = data.load("train")
    mx.random.seed(seed)
    networks = [kind() for kind in MODELS[model]]
    optimizers = [training.adam(), training.adam()]
    for network, optimizer in zip(networks, optimizers, strict=True):
        if sync:
            synchronise(network)
        network.train()
        optimizer.init(network.trainable_parameters())

    def state_at(step):
        weights = [network.parameters() for network in networks]
        moments = [optimizer.state for optimizer in optimizers]
        return {"weights": weights, "moments": moments, "step": mx.array(step)}

    start = state_at(0)
    start = from_rank_0(load(path, start) if rank == 0 and path.exists() else start)
    for network, weights in zip(networks, start["weights"], strict=True):
        network.update(weights)
    for optimizer, moments in zip(optimizers, start["moments"], strict=True):
        optimizer.state = moments
    first, seconds, on_step = start["step"].item(), [], lambda: None
    step, state = make_parallel_step(*networks, *optimizers)
    lost = f"another rank is lost; the same command goes on from the last state in {out}"
    for number in range(first + 1, steps + 1):
        epoch, index = divmod(number - 1, len(digits) // batch_size)
        if number == first + 1 or index == 0:
            images = islice(data.batches(digits, batch_size, seed=seed, epoch=epoch), index, None)
        begin = time.perf_counter()
        measured = step(part(next(images)[0]), mx.random.key((seed << 32) + number))
        try:
            mx.eval(measured, state)
        except RuntimeError as error:
            give_up(f"rank {rank}, step {number}: {lost} ({error})")
        seconds.append(time.perf_counter() - begin)
        if number == first + 1:  # building kernels may take long
            on_step = watchdog(f"rank {rank}: no step in {patience} seconds: {lost}", patience)
        on_step()
        if rank == 0 and (number % every == 0 or number == steps):
            save(path, state_at(number))
            print(f"step {number}: loss D {measured[0].item():.3f}, loss G {measured[1].item():.3f}", flush=True)
    return seconds


def time_all_reduce(sizes: list[int], repeats: int) -> list[list[float]]:
    """Seconds that each of ``repeats`` sums over all ranks takes, for arrays of each of these numbers of bytes."""
    result = []
    for size in sizes:
        x, seconds = mx.zeros(size // 4), []
        mx.eval(x)
        for _ in range(repeats):
            mx.eval(mx.distributed.all_sum(mx.zeros(1)))  # all ranks set out together
            begin = time.perf_counter()
            mx.eval(mx.distributed.all_sum(x))
            seconds.append(time.perf_counter() - begin)
        result.append(seconds)
    return result


def main() -> None:
    """The command line; rank 0 writes the seconds that it measured to ``--out``/seconds.json."""
    parser = argparse.ArgumentParser(prog="mlxgan.distributed", description="GANs on several machines in MLX")
    parser.add_argument("command", choices=["train", "measure"])
    parser.add_argument("--out", type=Path, required=True, help="folder for the state and the results, on rank 0")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64, help="of all ranks together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=50, help="steps between two saved states")
    parser.add_argument("--patience", type=int, default=20, help="seconds to wait for a silent rank")
    parser.add_argument("--local-norm", action="store_true", help="leave batch normalisation to each rank")
    parser.add_argument("--bytes", type=int, nargs="+", default=[4, 10**4, 10**5, 10**6, 10**7], help="to be summed")
    parser.add_argument("--repeats", type=int, default=50, help="of each sum")
    options = parser.parse_args()
    for name in ("steps", "batch_size", "every", "patience", "repeats"):
        if (value := getattr(options, name)) < 1:
            parser.error(f"--{name.replace('_', '-')} is {value}, but must be at least 1")
    if (value := min(options.bytes)) < 4:
        parser.error(f"--bytes is {value}, but must be at least 4")
    if not 0 <= options.seed < 2**32:
        parser.error(f"--seed is {options.seed}, but must be from 0 to {2**32 - 1}")
    try:
        if options.command == "measure":
            result: list = time_all_reduce(options.bytes, options.repeats)
        else:
            settings = {name: getattr(options, name) for name in ("model", "batch_size", "seed", "every", "patience")}
            result = train(options.steps, options.out, sync=not options.local_norm, **settings)
    except ValueError as error:
        sys.exit(f"mlxgan.distributed {options.command}: {error}")
    if mx.distributed.init().rank() == 0:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "seconds.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
