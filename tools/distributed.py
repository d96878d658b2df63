"""Train a GAN on several machines at once: data parallelism with ``mx.distributed``.

``mlx.launch -n 2 -- python tools/distributed.py train --steps 200 --out runs/two`` starts two processes, called ranks.
Each takes its part of every batch, and the gradients are averaged, so the result is that of one rank, whatever their
number. The same command continues from the newest state in --out. ``measure`` times sums over all ranks. Rank 0
writes the seconds of each step, or of each sum, to seconds.json.
"""

import time
import traceback
from argparse import Namespace
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import common


def newest_state(options: Namespace, about: dict[str, str], first: dict, count: int, images: int) -> dict:
    """Return the arrays of the newest state in --out, or ``first``, those of step 0, if there is none.

    Raises ValueError if the options do not fit together or what is in the folder is from another job.
    """
    from mlxgan import checkpoints, files

    if options.batch_size % count or options.batch_size > images:
        rule = f"a multiple of {count}, the number of ranks, and at most {images:,}, the number of images"
        raise ValueError(f"--batch-size is {options.batch_size}, but must be {rule}")
    if not checkpoints.runs(options.out):
        return first
    path, arrays, there = checkpoints.load_run(options.out)
    for name, value in about.items():
        if there.get(name) != value:
            found = files.short(there.get(name))
            raise ValueError(f"{name} is {value}, but {found} in {path}; choose another folder for --out")
    if {name: each.shape for name, each in arrays.items()} != {name: each.shape for name, each in first.items()}:
        raise ValueError(f"the networks differ from those in {path}; choose another folder for --out")
    return checkpoints.evaluated(path, arrays)


def train(options: Namespace, lost: str) -> list[float]:
    """Train on all ranks, and return the seconds of each step; ``lost`` is what to say if a rank falls silent."""
    from mlxgan import checkpoints, data, models, recipes, training

    import mlx.core as mx
    import mlx.nn as nn
    import ranks
    from mlx.utils import tree_flatten, tree_unflatten

    group, digits = mx.distributed.init(), ranks.agree(lambda: data.load("train"), everywhere=True)
    recipes.seed_everything(options.seed)
    recipe = recipes.RECIPES[options.model]
    options.batch_size = options.batch_size or recipe.batch_size
    if options.model == "dcgan":  # the recipe's discriminator measures a batch's spread, and would see only a part
        recipe = replace(recipe, discriminator=models.DCGANDiscriminator)
    networks, settings = [ranks.Share(recipe.generator()), recipe.discriminator()], recipe.settings(options.steps)
    optimizers = [settings.pop("optimizer_g"), settings.pop("optimizer_d")]
    for network, optimizer in zip(networks, optimizers, strict=True):
        if not options.local_norm:
            ranks.synchronize(network)
        optimizer.init(network.trainable_parameters())

    def arrays_at(step: int) -> dict[str, mx.array]:
        weights, moments = [network.parameters() for network in networks], [each.state for each in optimizers]
        return dict(tree_flatten({"weights": weights, "moments": moments, "step": mx.array(step)}))  # type: ignore[arg-type]

    about = {name: str(getattr(options, name)) for name in ("model", "seed", "batch_size", "local_norm")}
    about["images"] = str(len(digits))
    arrays = arrays_at(0)
    arrays = ranks.agree(lambda: newest_state(options, about, arrays, group.size(), len(digits))) or arrays
    start: Any = tree_unflatten(list(ranks.from_rank_0(arrays).items()))
    for network, weights in zip(networks, start["weights"], strict=True):
        network.update(weights)
    for optimizer, moments in zip(optimizers, start["moments"], strict=True):
        optimizer.state = moments
    step, state = training.set_up(*networks, *optimizers, on_gradients=nn.average_gradients, **settings)
    done, seconds = start["step"].item(), []
    for number in range(done + 1, options.steps + 1):
        epoch, index = divmod(number - 1, len(digits) // options.batch_size)
        if number == done + 1 or index == 0:
            images = islice(data.batches(digits, options.batch_size, seed=options.seed, epoch=epoch), index, None)
        begin = time.perf_counter()
        mx.random.seed((options.seed << 32) + number)  # all ranks draw the same noise
        measured = step(ranks.part(next(images)[0]))
        mx.eval(measured, state)
        seconds.append(time.perf_counter() - begin)
        if number == done + 1:  # not earlier, because building the kernels may take long
            on_step = ranks.watchdog(f"no step in {options.patience} seconds: {lost}", options.patience)
        on_step()
        if group.rank() == 0 and (number % options.every == 0 or number == options.steps):
            checkpoints.save_run(options.out, number, arrays_at(number), about)
            print(f"step {number}: loss D {measured[0].item():.3f}, loss G {measured[1].item():.3f}", flush=True)
    return seconds


def measure(sizes: list[int], repeats: int) -> list[list[float]]:
    """Return the seconds of each of ``repeats`` sums over all ranks, one list per size in bytes."""
    import mlx.core as mx

    result = []
    for size in sizes:
        x, seconds = mx.zeros(size // 4), []
        mx.eval(x)
        for _ in range(repeats):
            mx.eval(mx.distributed.all_sum(mx.zeros(1)))  # all ranks start together
            begin = time.perf_counter()
            mx.eval(mx.distributed.all_sum(x))
            seconds.append(time.perf_counter() - begin)
        result.append(seconds)
    return result


def main() -> None:
    number, parser = common.whole(1, 10**7), common.Parser(__doc__)
    parser.add_argument("command", choices=["train", "measure"])
    parser.add_argument("--out", type=Path, required=True, help="folder for states and results, on rank 0")
    parser.add_argument("--model", choices=["mlp", "dcgan"], default="mlp")
    parser.add_argument("--steps", type=number, default=200, help="number of the last step")
    parser.add_argument("--batch-size", type=number, help="of all ranks together, by default the recipe's")
    parser.add_argument("--seed", type=common.whole(0, 2**32 - 1), default=0)
    parser.add_argument("--every", type=number, default=50, help="steps between two states")
    parser.add_argument("--patience", type=number, default=20, help="seconds to wait for a silent rank")
    parser.add_argument("--local-norm", action="store_true", help="each rank normalizes over its own part of a batch")
    parser.add_argument("--bytes", type=common.whole(4), nargs="+", default=[4, 10**4, 10**5, 10**6, 10**7])
    parser.add_argument("--repeats", type=number, default=50, help="of each sum")
    options = parser.parse_args()
    import mlxgan  # noqa: F401  (before mlx.core)

    import mlx.core as mx
    import ranks

    try:
        rank = mx.distributed.init().rank()
    except (RuntimeError, ValueError) as error:
        parser.error(f"the ranks cannot find each other: {error}")
    lost = f"rank {rank} has lost another rank; the same command continues from the newest state in {options.out}"
    try:
        ranks.agree(lambda: ranks.require_alone(options.out))
        result: list = train(options, lost) if options.command == "train" else measure(options.bytes, options.repeats)
        if rank == 0 and result:  # nothing was left to do otherwise
            common.write_json(options.out / "seconds.json", result)
    except Exception as error:
        is_lost = str(error).startswith(("[ring]", "[jaccl]"))  # the backend that lost its connection
        ranks.give_up(f"{error}\n{lost}" if is_lost else traceback.format_exc().strip())


if __name__ == "__main__":
    main()
