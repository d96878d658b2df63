"""Measure what changes the digits of a run: threads, the processor's kernels, the fast CPU path, and the seed.

Trains the MLP GAN and the DCGAN on MNIST in several ways, each in a process of its own. Compares the weights after 1,
10 and 100 steps, and for the MLP GAN also the losses and the FID after an epoch. The result is written to
book/data/reproducibility.json.
"""

import tempfile
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import common

OUT = common.ROOT / "book" / "data" / "reproducibility.json"
STEPS, SAMPLES = (1, 10, 100), 10_000

#: What each way changes compared with the first: the environment, and the seed.
WAYS: dict[str, tuple[dict[str, str], int]] = {
    "one thread": ({}, 0),
    "the same again": ({}, 0),
    "two threads": ({"OPENBLAS_NUM_THREADS": "2"}, 0),
    "kernels of an older processor": ({"OPENBLAS_CORETYPE": "Sandybridge"}, 0),
    "another seed": ({}, 1),
    "MLX as installed": ({"MLXGAN_STOCK_CPU": "1"}, 0),  # slow, so no epoch and no DCGAN
}


class EnoughError(Exception):
    """Ends a run of which only the first steps are needed."""


def work(model: str, epoch: bool, seed: int, path: Path) -> None:
    """Train for the longest of STEPS, or a whole epoch; write weights and scores to ``path``."""
    from mlxgan import data, load_pretrained, metrics, recipes, training

    import mlx.core as mx
    import numpy as np
    from mlx.utils import tree_flatten

    recipes.seed_everything(seed)
    recipe = recipes.RECIPES[{"mlp": "tutorial"}.get(model, model)]
    generator, discriminator, average = recipe.generator(), recipe.discriminator(), recipe.generator()
    digits = data.load("train")
    found: dict[str, np.ndarray] = {"data": np.array(digits.name)}
    taken = 0

    def on_step(measured):
        nonlocal taken
        taken += 1
        if taken in STEPS:
            weights = tree_flatten([generator.trainable_parameters(), discriminator.trainable_parameters()])
            found[str(taken)] = np.concatenate([np.array(value).ravel() for _, value in weights])
        if taken == max(STEPS) and not epoch:
            raise EnoughError

    steps = len(digits) // recipe.batch_size
    settings = {"batch_size": recipe.batch_size, "seed": seed, "average": average, **recipe.settings(steps)}
    try:
        history = training.train(generator, discriminator, digits, epochs=1, on_step=on_step, **settings)
    except EnoughError:
        pass
    else:
        z = mx.random.normal((SAMPLES, generator.latent_dim), key=mx.random.key(0))
        classifier: Any = load_pretrained("classifier")
        real, _ = metrics.features(classifier, data.load("test").images)
        fake, _ = metrics.features(classifier, training.sample(average, z))
        found["scores"] = np.array([history.loss_d[-1], history.loss_g[-1], metrics.fid(real, fake)])
    np.savez(path, **found)  # type: ignore[arg-type]


def run(model: str, epoch: bool, way: str, path: Path) -> None:
    """Train in one of WAYS, in a process of its own."""
    environment, seed = WAYS[way]
    options = ["--epoch"] if epoch else []
    common.work(__file__, model, "--seed", seed, "--out", path, *options, **{"OPENBLAS_NUM_THREADS": "1"} | environment)


def measure(folder: Path) -> dict:
    """Train in all ways, with files in ``folder``, and return what the book reads."""
    import numpy as np

    *quick, slow = WAYS
    plan = [("mlp", False, way) for way in quick]
    plan += [("mlp", True, way) for way in quick if way != "the same again"]
    plan += [("dcgan", False, way) for way in quick] + [("mlp", False, slow)]
    differences: dict[str, dict] = {"mlp": {}, "dcgan": {}}
    scores: dict[str, dict] = {}
    for model, epoch, way in plan:
        path, first = folder / "now.npz", folder / f"{model}.npz"
        run(model, epoch, way, path)
        with np.load(path) as file:
            found = dict(file)
        if epoch:
            scores[way] = dict(zip(("loss_d", "loss_g", "fid"), found["scores"].tolist(), strict=True))
        else:
            if way == "one thread":
                path.replace(first)
            with np.load(first) as file:
                pairs = {step: (file[str(step)].astype(float), found[str(step)]) for step in STEPS}
            difference = {step: float(np.linalg.norm(b - a) / np.linalg.norm(a)) for step, (a, b) in pairs.items()}
            differences[model][way] = difference
        print(f"{model}, {way}:", scores[way] if epoch else difference, flush=True)
    return {
        "machine": common.machine(),
        "versions": common.versions("mlx", "numpy", "scipy-openblas32"),
        "samples": SAMPLES,
        "relative difference of the weights after steps": differences,
        "mlp after an epoch": scores,
        "data": str(found["data"]),
    }


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--work", choices=("mlp", "dcgan"), help=SUPPRESS)
    parser.add_argument("--epoch", action="store_true", help=SUPPRESS)
    parser.add_argument("--seed", type=common.whole(0, 2**32 - 1), default=0, help=SUPPRESS)
    parser.add_argument("--out", type=Path, help=SUPPRESS)
    options = parser.parse_args()
    if options.work:
        if options.out is None or not options.out.parent.is_dir():
            parser.error("--work needs --out, a file in a folder that exists")
        work(options.work, options.epoch, options.seed, options.out)
        return
    parser.require_mnist()
    with tempfile.TemporaryDirectory() as folder:
        common.write_json(OUT, measure(Path(folder)))


if __name__ == "__main__":
    main()
