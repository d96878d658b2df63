"""Train the book's recipes with many seeds, and record how varied their samples are: how often does a GAN collapse?

``make collapse`` does it, in hours on two cores, for the plain GAN of Part I without a penalty and with one, the
recipes ``tutorial`` and ``mlp``; ``python tools/collapse.py --recipes dcgan conditional`` does it for others. Each run
is a process of its own and a file in runs/collapse. A run whose file exists is not repeated, so that an interrupted
tool continues where it stopped. At the end the runs are added to the part "mlx" of book/data/collapse.json, which the
book reads; those that this machine added before are replaced, and all others stay.
"""

import json
import time
from dataclasses import asdict

import common

OUT = common.ROOT / "book" / "data" / "collapse.json"
RUNS = common.ROOT / "runs" / "collapse"
RECIPES = ("tutorial", "mlp", "dcgan", "conditional")
EPOCHS, SEEDS, SAMPLES, FEW = 12, range(12), 10_000, 500
MEASURES = ("fid", "precision", "recall", "density", "coverage", "confident", "histogram")


def train(name: str, seed: int) -> dict:
    """Return the history of a run, the spread after each epoch, and the scores of its last generator and its average.

    The spread is the standard deviation of a pixel over 500 samples, averaged over the pixels.
    """
    from mlxgan import data, metrics, models, recipes, training

    import mlx.core as mx
    import numpy as np

    start, digits, recipe = time.perf_counter(), data.load("train"), recipes.RECIPES[name]
    recipes.seed_everything(10**6 + seed)  # for the samples
    z, labels = mx.random.normal((SAMPLES, recipe.generator().latent_dim)), data.draw_labels(SAMPLES)
    mx.eval(z, labels)
    recipes.seed_everything(seed)
    generator, discriminator, average = recipe.generator(), recipe.discriminator(), recipe.generator()
    conditional, spreads = models.is_conditional(generator), []

    def draw(network, count: int = SAMPLES) -> mx.array:
        return training.sample(network, z[:count], labels[:count] if conditional else None)

    def watch(*_: object) -> None:
        spreads.append(mx.std(draw(generator, FEW), axis=0).mean().item())

    steps = EPOCHS * (len(digits) // recipe.batch_size)
    settings = {"epochs": EPOCHS, "batch_size": recipe.batch_size, "seed": seed, **recipe.settings(steps)}
    history = training.train(generator, discriminator, digits, average=average, on_epoch=watch, **settings)
    lists = {field: getattr(history, field) for field in ("loss_d", "loss_g", "d_real", "d_fake", "seconds")}
    result: dict = {"name": name, "base": name, "seed": seed, "epochs": EPOCHS, "changes": {}, "data": digits.name}
    result |= {"device": str(mx.default_device()), "machine": common.machine(), "versions": common.versions("mlx")}
    result |= {"history": lists, "spread": spreads}
    reference = metrics.reference()
    for which, network in (("last", generator), ("average", average)):
        images = draw(network)
        scores = asdict(metrics.evaluate(images, reference))
        result[which] = {measure: scores[measure] for measure in MEASURES}
        if conditional:
            probabilities = metrics.features(reference.classifier, images)[1]
            result[which]["right"] = float((probabilities.argmax(axis=1) == np.array(labels)).mean())
    return result | {"total": time.perf_counter() - start}


def merged(stored: list[dict], added: list[dict]) -> list[dict]:
    """Return the stored runs and the added ones, which replace those of the same recipe, seed and machine."""

    def key(run: dict) -> tuple:
        return run["name"], run["seed"], run.get("machine")

    made = set(map(key, added))
    return [run for run in stored if key(run) not in made] + added


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=["tutorial", "mlp"])
    parser.add_runs(RECIPES)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(train(options.work, options.seed)))
        return
    parser.require_mnist()
    runs = common.run_all(__file__, RUNS, options.recipes, SEEDS, options.jobs)
    result = json.loads(OUT.read_text(encoding="utf-8"))
    result["mlx"]["runs"] = merged(result["mlx"]["runs"], [run for each in runs.values() for run in each])
    common.write(OUT, json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
