"""Time a training step of the book's GANs: MLX as installed, MLX with mlxgan.cpu, and PyTorch on the CPU.

``make bench`` runs it. Each measurement is a process of its own, the variants take turns, and what counts is the
median over the rounds. The result is printed, and written to book/data/benchmark.json, which the book
reads. PyTorch is optional: without it, or without MNIST, nothing is written.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

OUT = Path(__file__).parent.parent / "book" / "data" / "benchmark.json"
BATCH = 64
VARIANTS = ("mlx as installed", "mlx with mlxgan.cpu", "pytorch, plain Adam", "pytorch, fused Adam")


def mlx_step(model: str):
    """A function that takes one training step with the book's own code."""
    from mlxgan import cpu, models, training

    import mlx.core as mx

    mx.random.seed(0)
    networks = {
        "mlp": (models.MLPGenerator, models.MLPDiscriminator),
        "dcgan": (models.DCGANGenerator, models.DCGANDiscriminator),
    }[model]
    generator, discriminator = (network() for network in networks)
    optimizers = training.adam(), training.adam()
    for network, optimizer in zip((generator, discriminator), optimizers, strict=True):
        optimizer.init(network.trainable_parameters())
        cpu.column_major(network, optimizer)
    step, state = training.make_step(generator, discriminator, *optimizers)
    real = mx.random.uniform(-1, 1, (BATCH, 28, 28, 1))
    return lambda: mx.eval(step(real), state)


def torch_step(model: str, fused: bool):
    """The same networks, loss and optimizer in PyTorch."""
    import torch
    from torch import nn
    from torch.nn.functional import softplus

    torch.manual_seed(0)
    leak = nn.LeakyReLU(0.2)
    if model == "mlp":
        generator = nn.Sequential(
            *(nn.Linear(100, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU()),
            *(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Tanh()),
        )
        discriminator = nn.Sequential(
            *(nn.Linear(784, 1024), leak, nn.Linear(1024, 512), leak, nn.Linear(512, 256), leak, nn.Linear(256, 1)),
        )
        real = torch.rand(BATCH, 784) * 2 - 1
    else:
        generator = nn.Sequential(
            *(nn.Linear(100, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 7 * 7 * 64)),
            *(nn.Unflatten(1, (64, 7, 7)), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh()),
        )
        discriminator = nn.Sequential(
            *(nn.Conv2d(1, 32, 4, 2, 1), leak, nn.Conv2d(32, 64, 4, 2, 1), nn.BatchNorm2d(64), leak),
            *(nn.Flatten(), nn.Linear(7 * 7 * 64, 512), nn.BatchNorm1d(512), leak, nn.Linear(512, 1)),
        )
        real = torch.rand(BATCH, 1, 28, 28) * 2 - 1
    optimizer_g, optimizer_d = (
        torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999), fused=fused)
        for network in (generator, discriminator)
    )

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
    step = mlx_step(model) if variant.startswith("mlx") else torch_step(model, fused="fused" in variant)
    for _ in range(3):
        step()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    print(1000 * statistics.median(times))


def measure(variant: str, model: str, seconds: float) -> float:
    environment = os.environ | {"MLXGAN_STOCK_CPU": "1" if variant == "mlx as installed" else "0"}
    command = [sys.executable, __file__, "--work", variant, model, "--seconds", str(seconds)]
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(run.stdout)


def pipeline() -> dict:
    """Seconds of one epoch's batches alone, of a whole epoch of the MLP GAN, and of the steps in that epoch."""
    from mlxgan import data, models, training

    import mlx.core as mx

    digits = data.load("train")
    start = time.perf_counter()
    for images, _ in data.batches(digits, BATCH, seed=0):
        mx.eval(images)
    batches = time.perf_counter() - start

    seconds = []

    def make_timed_step(*arguments):
        step, state = training.make_step(*arguments)

        def timed_step(real):
            mx.eval(real)
            start = time.perf_counter()
            measured = step(real)
            mx.eval(measured, state)
            seconds.append(time.perf_counter() - start)
            return measured

        return timed_step, state

    networks = models.MLPGenerator(), models.MLPDiscriminator()
    history = training.train(*networks, digits, epochs=1, make_step=make_timed_step)
    return {"data": digits.name, "batches": batches, "epoch": history.seconds[0], "steps": sum(seconds)}


def report(result: dict) -> None:
    reference = "pytorch, plain Adam"
    for model, rows in result["milliseconds"].items():
        print(f"\n{model}, batch {BATCH}: milliseconds a step, median (least to most), and ratios")
        medians = {variant: statistics.median(times) for variant, times in rows.items()}
        for variant in VARIANTS:
            if variant not in rows:
                print(f"  {variant:22}  not measured: PyTorch is not installed")
                continue
            line = f"  {variant:22} {medians[variant]:8.1f} ({min(rows[variant]):.1f} to {max(rows[variant]):.1f})"
            for base in ("mlx with mlxgan.cpu", reference):
                if base in medians:
                    line += f"   {medians[variant] / medians[base]:6.2f} x {base}"
            print(line)
    epoch = result["pipeline"]
    print(
        f"\none epoch on {epoch['data']}: {epoch['epoch']:.1f} s, of which {1 - epoch['steps'] / epoch['epoch']:.1%} "
        f"outside the steps; its batches alone: {epoch['batches']:.2f} s, {epoch['batches'] / epoch['epoch']:.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="time of a measurement")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work, options.seconds)
        return
    variants = [v for v in VARIANTS if v.startswith("mlx") or importlib.util.find_spec("torch")]
    times: dict[str, dict[str, list[float]]] = {model: {v: [] for v in variants} for model in ("mlp", "dcgan")}
    for number in range(1, options.rounds + 1):
        for model, rows in times.items():
            for variant in variants:
                rows[variant].append(measure(variant, model, options.seconds))
                print(f"round {number}, {model}, {variant}: {rows[variant][-1]:.1f} ms", file=sys.stderr)
    result = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: _version(name) for name in ("mlx", "torch", "scipy-openblas32")},
        "batch_size": BATCH,
        "milliseconds": times,
        "pipeline": pipeline(),
    }
    report(result)
    if len(variants) == len(VARIANTS) and result["pipeline"]["data"].startswith("MNIST"):
        OUT.write_text(json.dumps(result, indent=1) + "\n")
    else:
        print(f"{OUT.name}, which the book reads, stays as it was: it wants PyTorch installed, and MNIST")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
