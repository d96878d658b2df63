"""Measure what changes the digits of a run: threads, the processor's kernels, mlxgan.cpu, and the seed.

    python tools/reproducibility.py

Trains the networks of chapters 5 and 8 on MNIST in several ways, each in a process of its own, compares the weights
after 1, 10 and 100 steps, and of the MLP the losses and the FID after an epoch, and writes
book/data/reproducibility.json.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "book" / "data" / "reproducibility.json"
STEPS, SAMPLES = (1, 10, 100), 10_000

#: What each way changes of the first: the environment, and the seed.
WAYS: dict[str, tuple[dict[str, str], int]] = {
    "one thread": ({}, 0),
    "the same again": ({}, 0),
    "two threads": ({"OPENBLAS_NUM_THREADS": "2"}, 0),
    "kernels of an older processor": ({"OPENBLAS_CORETYPE": "Sandybridge"}, 0),
    "another seed": ({}, 1),
    "MLX as installed": ({"MLXGAN_STOCK_CPU": "1"}, 0),  # slow, so no epoch and no DCGAN
}


class EnoughError(Exception):
    """Ends a run of which no more than the first steps are wanted."""


def work(model: str, whole: bool, seed: int, path: str) -> None:
    """Train for the longest of STEPS, or a whole epoch; write weights and scores to ``path``."""
    from mlxgan import data, load_pretrained, metrics, training

    import mlx.core as mx
    import numpy as np
    from mlx.utils import tree_flatten

    training.seed_everything(seed)
    make_generator, make_discriminator, rates_g, rates_d = training.GANS[model]
    generator, discriminator, average = make_generator(), make_discriminator(), make_generator()
    found: dict[str, np.ndarray] = {}
    taken = 0

    def make_step(*arguments):
        step, state = training.make_step(*arguments)

        def counted(*batch):
            nonlocal taken
            if taken in STEPS:
                weights = tree_flatten([generator.trainable_parameters(), discriminator.trainable_parameters()])
                found[str(taken)] = np.concatenate([np.array(value).ravel() for _, value in weights])
            if taken == max(STEPS) and not whole:
                raise EnoughError
            taken += 1
            return step(*batch)

        return counted, state

    digits = data.load("train")
    found["data"] = np.array(digits.name)
    optimizers = {"optimizer_g": training.adam(rates_g[0]), "optimizer_d": training.adam(rates_d[0])}
    with suppress(EnoughError):
        history = training.train(
            generator, discriminator, digits, epochs=1, seed=seed, average=average, make_step=make_step, **optimizers
        )
        z = mx.random.normal((SAMPLES, generator.latent_dim), key=mx.random.key(0))
        classifier = load_pretrained("classifier")
        real, _ = metrics.features(classifier, data.load("test").images)
        fake, _ = metrics.features(classifier, training.sample(average, z))
        found["scores"] = np.array([history.loss_d[-1], history.loss_g[-1], metrics.fid(real, fake)])
    np.savez(path, **found)


def run(model: str, whole: bool, way: str, path: Path) -> None:
    environment, seed = WAYS[way]
    command = [sys.executable, __file__, model, str(int(whole)), str(seed), str(path)]
    one = {"OPENBLAS_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    subprocess.run(command, check=True, env=os.environ | one | environment)


def main() -> None:
    if len(sys.argv) > 1:
        model, whole, seed, path = sys.argv[1:]
        work(model, whole == "1", int(seed), path)
        return
    import numpy as np

    *quick, slow = WAYS
    plan = [("mlp", False, way) for way in quick]
    plan += [("mlp", True, way) for way in quick if way != "the same again"]
    plan += [("dcgan", False, way) for way in quick] + [("mlp", False, slow)]
    result: dict = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("mlx", "numpy", "scipy-openblas32")},
        "samples": SAMPLES,
        "relative difference of the weights after steps": {"mlp": {}, "dcgan": {}},
        "mlp after an epoch": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for model, whole, way in plan:
            path, first = Path(folder, "now.npz"), Path(folder, f"{model}.npz")
            run(model, whole, way, path)
            with np.load(path) as file:
                found = dict(file)
            if whole:
                names = ("loss_d", "loss_g", "fid")
                result["mlp after an epoch"][way] = dict(zip(names, found["scores"].tolist(), strict=True))
            else:
                if way == "one thread":
                    path.replace(first)
                with np.load(first) as file:
                    pairs = {step: (file[str(step)].astype(float), found[str(step)]) for step in STEPS}
                difference = {step: float(np.linalg.norm(b - a) / np.linalg.norm(a)) for step, (a, b) in pairs.items()}
                result["relative difference of the weights after steps"][model][way] = difference
            result["data"] = str(found["data"])
            OUT.write_text(json.dumps(result, indent=1) + "\n")
            print(model, way, "epoch" if whole else difference, flush=True)
    print(f"wrote {OUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
