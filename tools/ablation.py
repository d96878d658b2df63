"""Train the DCGAN in many ways, several seeds each, and measure every generator: the table of chapter 9.

``make ablation`` runs it. Each run is a process of its own, and a file in runs/ablation; a run whose file is there
is not made again, so an interrupted ablation goes on where it stopped. When all are there, their raw results
are written to book/data/ablation.json, which the book reads.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "book" / "data" / "ablation.json"
RUNS = ROOT / "runs" / "ablation"
EPOCHS, SEEDS, SAMPLES = 2, (0, 1, 2), 10_000
SIZE = {"channels": 16, "hidden": 256}  # half of the widths of chapter 8

#: What each setting changes of the first one; the names are those of the table.
SETTINGS: dict[str, dict] = {
    "baseline": {},
    "two time scales, D 3e-4": {"rate_d": 3e-4},
    "one-sided label smoothing": {"loss": "smoothed"},
    "least squares": {"loss": "least squares"},
    "hinge": {"loss": "hinge"},
    "no normalisation in D": {"norm": False},
    "spectral normalisation in D, hinge": {"norm": False, "spectral": True, "loss": "hinge"},
    "Wasserstein, gradient penalty, 2e-4": {"norm": False, "loss": "wasserstein", "rate_g": 2e-4, "rate_d": 2e-4},
}


def train(
    seed: int,
    epochs: int,
    *,
    rate_g: float = 1e-3,
    rate_d: float = 1e-3,
    loss: str = "non-saturating",
    norm: bool = True,
    spectral: bool = False,
) -> dict:
    """One run: the scores of its last generator and of the average, and its history."""
    from mlxgan import data, losses, metrics, models, training

    import mlx.core as mx

    mx.random.seed(seed)
    generator, discriminator, average = (
        models.DCGANGenerator(**SIZE),
        models.DCGANDiscriminator(norm=norm, **SIZE),
        models.DCGANGenerator(**SIZE),
    )
    if spectral:
        for name in ("down1", "down2", "shrink", "out"):
            discriminator[name] = models.SpectralNorm(discriminator[name])
    chosen = {
        "non-saturating": (losses.generator_loss, losses.discriminator_loss),
        "smoothed": (losses.generator_loss, losses.smoothed_discriminator_loss),
        "least squares": (losses.least_squares_generator_loss, losses.least_squares_discriminator_loss),
        "hinge": (losses.wasserstein_generator_loss, losses.hinge_discriminator_loss),
        "wasserstein": (losses.wasserstein_generator_loss, losses.wasserstein_critic_loss),
    }[loss]
    digits = data.load("train")
    history = training.train(
        generator,
        discriminator,
        digits,
        epochs=epochs,
        seed=seed,
        optimizer_g=training.adam(rate_g),
        optimizer_d=training.adam(rate_d),
        loss_g=chosen[0],
        loss_d=chosen[1],
        make_step=training.make_penalised_step if loss == "wasserstein" else training.make_step,
        average=average,
    )
    reference = metrics.reference()
    z = mx.random.normal((SAMPLES, generator.latent_dim), key=mx.random.key(seed))
    scores = {
        name: asdict(metrics.evaluate(training.sample(network, z), reference))
        for name, network in (("last", generator), ("average", average))
    }
    return {"seed": seed, "data": digits.name, "history": asdict(history), **scores}


def run(setting: str, seed: int) -> Path:
    """The file of one run, made in a process of its own unless it is there."""
    path = RUNS / f"{setting.replace(' ', '-').replace(',', '')}-{seed}.json"
    if not path.exists():
        command = [sys.executable, __file__, "--work", setting, str(seed), str(path)]
        subprocess.run(command, check=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "TQDM_DISABLE": "1"})
        print(f"{setting}, seed {seed}: FID {json.loads(path.read_text())['average']['fid']:.1f}", flush=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time, of one thread each")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        setting, seed, path = options.work
        result = train(int(seed), EPOCHS, **SETTINGS[setting])
        part = Path(path).with_suffix(".part")
        part.write_text(json.dumps(result))
        part.replace(path)
        return
    RUNS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:  # by seed first, so that each setting has a first result early
        pending = {(name, seed): pool.submit(run, name, seed) for seed in SEEDS for name in SETTINGS}
    rows = {name: [json.loads(pending[name, seed].result().read_text()) for seed in SEEDS] for name in SETTINGS}
    result = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("mlx", "numpy")},
        "epochs": EPOCHS,
        "samples": SAMPLES,
        "runs": rows,
    }
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
