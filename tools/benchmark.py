"""Time a training step of the book's GANs: MLX as installed, MLX with mlxgan, and PyTorch on the CPU.

``make pytorch`` runs it. Each measurement is a process of its own, the variants take turns, and the median over the
rounds counts. The result is printed and written to book/data/benchmark.json, which the book reads. It needs PyTorch
and MNIST; with --mlx-only it needs neither, and writes nothing.
"""

import importlib.util
import math
import os
import statistics
import sys
import time
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable
from datetime import date

import common

OUT = common.ROOT / "book" / "data" / "benchmark.json"
BATCH = 64
FAST = "mlx with mlxgan"
CHANNELS_LAST = "pytorch, channels last"  #: with fused Adam; only where there are channels
BEST = "pytorch, compiled"  #: torch.compile, fused Adam, and channels last where there are channels
VARIANTS = ("mlx as installed", FAST, "pytorch, plain Adam", "pytorch, fused Adam", CHANNELS_LAST, BEST)
MODELS = {"mlp": "tutorial", "dcgan": "dcgan"}  #: the recipe of each row; the penalty of "mlp" is another matter


def variants(model: str) -> list[str]:
    """Return the variants that a model is timed in."""
    return [name for name in VARIANTS if name != CHANNELS_LAST or model == "dcgan"]


def mlx_step(model: str) -> Callable[[], object]:
    """Return a function that takes one training step of a recipe, with the book's own code."""
    from mlxgan import recipes, training

    import mlx.core as mx

    mx.random.seed(0)
    recipe = recipes.RECIPES[MODELS[model]]
    step, state = training.set_up(recipe.generator(), recipe.discriminator(), **recipe.settings())
    real = mx.random.uniform(-1, 1, (BATCH, 28, 28, 1))
    return lambda: mx.eval(step(real), state)


def torch_networks(model: str) -> tuple:
    """Return the recipe's generator and discriminator in PyTorch, and the shape of an image."""
    import torch
    from torch import nn

    class Discriminator(nn.Module):
        """The DCGAN's discriminator, which sees how much a batch varies: see models.VarietyDiscriminator."""

        def __init__(self):
            super().__init__()
            self.compress = nn.Sequential(
                *(nn.Conv2d(1, 32, 4, 2, 1), leak, nn.Conv2d(32, 64, 4, 2, 1), nn.BatchNorm2d(64), leak),
                *(nn.Flatten(), nn.Linear(7 * 7 * 64, 512)),
            )
            self.judge = nn.Sequential(nn.BatchNorm1d(512), leak, nn.Linear(512, 1))
            self.variety = nn.Parameter(torch.zeros(1))

        def forward(self, images):
            x = self.compress(images)
            spread = torch.log(torch.sqrt(x.var(0, correction=0) + 1e-6)).mean()
            return self.judge(x).squeeze(-1) + 3 * self.variety * spread

    leak = nn.LeakyReLU(0.2)
    if model == "mlp":
        generator = nn.Sequential(
            *(nn.Linear(100, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU()),
            *(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Tanh()),
        )
        discriminator = nn.Sequential(
            *(nn.Linear(784, 1024), leak, nn.Linear(1024, 512), leak, nn.Linear(512, 256), leak, nn.Linear(256, 1)),
        )
        return generator, discriminator, (784,)
    generator = nn.Sequential(
        *(nn.Linear(100, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 7 * 7 * 64)),
        *(nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh()),
    )
    return generator, Discriminator(), (1, 28, 28)


def torch_step(model: str, variant: str) -> Callable[[], object]:
    """Return a function that takes one step with the same networks, losses and optimizer in PyTorch.

    The learning rate, which does not change the time, is not the recipe's: importing that would load MLX.
    """
    import torch
    from torch.nn.functional import softplus

    torch.manual_seed(0)
    generator, discriminator, shape = torch_networks(model)
    real = torch.rand(BATCH, *shape) * 2 - 1
    optimizer_g, optimizer_d = (
        torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999), fused="plain" not in variant)
        for network in (generator, discriminator)
    )
    if variant in (CHANNELS_LAST, BEST) and len(shape) == 3:
        real = real.to(memory_format=torch.channels_last)
        generator, discriminator = (each.to(memory_format=torch.channels_last) for each in (generator, discriminator))
    if variant == BEST:
        generator, discriminator = torch.compile(generator), torch.compile(discriminator)

    def step():
        with torch.no_grad():
            fake = generator(torch.randn(BATCH, 100))
        loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
        optimizer_d.zero_grad()
        loss.backward()
        optimizer_d.step()
        loss = softplus(-discriminator(generator(torch.randn(BATCH, 100)))).mean()
        optimizer_g.zero_grad()
        loss.backward()
        optimizer_g.step()

    return step


def work(variant: str, model: str, seconds: float) -> None:
    """Print the median time of a step in ms, over about ``seconds`` after three steps to warm up."""
    step = mlx_step(model) if variant.startswith("mlx") else torch_step(model, variant)
    for _ in range(3):
        step()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    print(1000 * statistics.median(times))


def measure(variant: str, model: str, seconds: float) -> float:
    """Return what :func:`work` prints in a process of its own."""
    stock = "1" if variant == "mlx as installed" else "0"
    options = ("--model", model, "--seconds", seconds)
    return float(common.work(__file__, variant, *options, MLXGAN_STOCK_CPU=stock))


def pipeline() -> dict:
    """Return the seconds of one epoch's batches alone, of a whole epoch of the MLP GAN, and of its steps."""
    from mlxgan import data, recipes, training

    import mlx.core as mx

    digits = data.load("train")
    start = time.perf_counter()
    for batch in data.batches(digits, BATCH, seed=0):
        mx.eval(batch)
    batches = time.perf_counter() - start

    recipe, steps = recipes.RECIPES["tutorial"], 0.0
    step, state = training.set_up(recipe.generator(), recipe.discriminator(), **recipe.settings())
    start = time.perf_counter()
    for batch in data.batches(digits, BATCH, seed=0):
        mx.eval(batch)
        begin = time.perf_counter()
        mx.eval(step(*batch), state)
        steps += time.perf_counter() - begin
    return {"data": digits.name, "batches": batches, "epoch": time.perf_counter() - start, "steps": steps}


def report(result: dict) -> None:
    """Print the medians, and how each compares with MLX at its fastest and with PyTorch."""
    for model, rows in result["milliseconds"].items():
        print(f"\n{model}, batch {BATCH}: milliseconds per step, median (least to most), and ratios")
        medians = {variant: statistics.median(times) for variant, times in rows.items()}
        for variant, times in rows.items():
            line = f"  {variant:22} {medians[variant]:8.1f} ({min(times):.1f} to {max(times):.1f})"
            for base in (FAST, "pytorch, plain Adam"):
                if base in medians:
                    line += f"   {medians[variant] / medians[base]:6.2f} x {base}"
            print(line)
    epoch = result["pipeline"]
    print(
        f"\none epoch on {epoch['data']}: {epoch['epoch']:.1f} s, of which {1 - epoch['steps'] / epoch['epoch']:.1%} "
        f"outside the steps; its batches alone: {epoch['batches']:.2f} s, {epoch['batches'] / epoch['epoch']:.1%}"
    )


def positive(text: str) -> float:
    """Return a number above 0; the type of such an argument."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--rounds", type=common.whole(1, 1000), default=5)
    parser.add_argument("--seconds", type=positive, default=3.0, help="time of a measurement")
    parser.add_argument("--mlx-only", action="store_true", help="leave PyTorch out, and write nothing")
    parser.add_argument("--work", choices=VARIANTS, help=SUPPRESS)
    parser.add_argument("--model", choices=MODELS, default="mlp", help=SUPPRESS)
    options = parser.parse_args()
    with_torch = options.work.startswith("pytorch") if options.work else not options.mlx_only
    if with_torch and importlib.util.find_spec("torch") is None:
        parser.error("PyTorch is not installed: install it, or leave it out with --mlx-only")
    if options.work:
        work(options.work, options.model, options.seconds)
        return
    if not options.mlx_only:
        parser.require_mnist()
    times: dict[str, dict[str, list[float]]] = {
        model: {name: [] for name in variants(model) if name.startswith("mlx") or not options.mlx_only}
        for model in MODELS
    }
    load = os.getloadavg()[0]
    for number in range(1, options.rounds + 1):
        for model, rows in times.items():
            for variant in rows:
                rows[variant].append(measure(variant, model, options.seconds))
                print(f"round {number}, {model}, {variant}: {rows[variant][-1]:.1f} ms", file=sys.stderr)
    result = {
        "machine": common.machine(),
        "date": str(date.today()),
        "load before": round(load, 2),
        "versions": common.versions("mlx", "torch", "scipy-openblas32"),
        "batch_size": BATCH,
        "milliseconds": times,
        "pipeline": pipeline(),
    }
    report(result)
    if not options.mlx_only:
        common.write_json(OUT, result)


if __name__ == "__main__":
    main()
