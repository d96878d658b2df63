"""Train the DCGAN in many ways, several seeds each, and measure every generator: the tables on stability.

``make ablation`` runs it, for some hours. Each run is a process of its own with one thread, and as many go at a time as
there are cores. After each run the results are written to book/data/stability.json, and runs that stand there are not
repeated, so an interrupted ablation continues where it stopped. With --search it trains the techniques that need rates
of their own for one epoch at each of several settings; the best of them became SETTINGS.
"""

import json
import os
from argparse import SUPPRESS
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from itertools import product

import common

OUT = common.ROOT / "book" / "data" / "stability.json"
EPOCHS, SEEDS, SAMPLES = 2, range(5), 10_000
SEARCH_EPOCHS, SEARCH_SEEDS = 1, range(100, 101)  # not a seed of the comparison

#: What each setting changes compared with the recipe, which is the first; the names are those of the tables.
SETTINGS: dict[str, dict] = {
    "recipe": {},
    "equal rates of 1e-3": {"rates": (1e-3, 1e-3)},
    "no variety term": {"variety": False},
    "no normalization in D": {"norm": False},
    "one-sided smoothing": {"loss": "smoothed"},
    "least squares": {"loss": "least squares"},
    "hinge": {"loss": "hinge"},
    "relativistic": {"loss": "relativistic"},
}

PLAIN = {"norm": False, "variety": False}  #: a discriminator that judges each image by itself
RATES = ((2e-3, 3e-4), (1e-3, 1e-3), (3e-4, 3e-4))


def candidates() -> dict[str, dict]:
    """Return the settings that the search tries, by name."""
    found: dict[str, dict] = {}
    for rates in RATES:
        name = f"{rates[0]:g}, {rates[1]:g}"
        found[f"neither, {name}"] = PLAIN | {"rates": rates}
        for gamma in (0.1, 1.0, 10.0):
            found[f"R1 {gamma:g}, {name}"] = PLAIN | {"rates": rates, "penalty": "R1", "gamma": gamma}
        for gamma in (0.1, 1.0):
            options = {"rates": rates, "penalty": "R1 and R2", "gamma": gamma, "loss": "relativistic"}
            found[f"R1 and R2 {gamma:g}, relativistic, {name}"] = PLAIN | options
    for rates, wide in product((*RATES, (1e-3, 3e-3)), (False, True)):
        name = f"{rates[0]:g}, {rates[1]:g}" + (", MLX's initialization" if wide else "")
        options = {"rates": rates, "wide": wide}
        found[f"spectral, hinge, {name}"] = PLAIN | options | {"spectral": True, "loss": "hinge"}
        found[f"Wasserstein, {name}"] = PLAIN | options | {"penalty": "gradient", "loss": "Wasserstein"}
    return found


def train(
    seed: int,
    epochs: int,
    *,
    rates: tuple[float, float] | None = None,
    loss: str = "non-saturating",
    norm: bool = True,
    variety: bool = True,
    spectral: bool = False,
    wide: bool = False,
    penalty: str | None = None,
    gamma: float = 1.0,
) -> dict:
    """Return the scores of a run's last generator and of its average, and its history.

    ``rates`` are G's and D's, instead of the recipe's; ``wide`` leaves D the weights that MLX's layers draw.
    """
    from functools import partial

    from mlxgan import data, losses, metrics, models, recipes, training

    import mlx.core as mx
    import mlx.nn as nn

    recipe = recipes.RECIPES["dcgan"]
    mx.random.seed(seed)
    generator, average = recipe.generator(), recipe.generator()
    discriminator = recipe.discriminator() if variety else models.DCGANDiscriminator()
    if not norm:
        discriminator.norm1 = discriminator.norm2 = nn.Identity()
    for name in ("down1", "down2", "shrink", "out") if wide else ():
        layer = discriminator[name]
        limit = layer.weight[0].size ** -0.5
        layer.weight = mx.random.uniform(-limit, limit, layer.weight.shape)
    for name in ("down1", "down2", "shrink", "out") if spectral else ():
        discriminator[name] = models.SpectralNorm(discriminator[name])
    loss_g, loss_d = {
        "non-saturating": (recipe.loss_g, recipe.loss_d),
        "smoothed": (recipe.loss_g, losses.smoothed_discriminator_loss),
        "least squares": (losses.least_squares_generator_loss, losses.least_squares_discriminator_loss),
        "hinge": (losses.wasserstein_generator_loss, losses.hinge_discriminator_loss),
        "relativistic": (losses.relativistic_generator_loss, losses.relativistic_discriminator_loss),
        "Wasserstein": (losses.wasserstein_generator_loss, losses.wasserstein_critic_loss),
    }[loss]
    penalties = {
        None: None,
        "R1": partial(losses.r1_penalty, gamma=gamma),
        "R1 and R2": partial(losses.r1_r2_penalty, gamma=gamma),
        "gradient": losses.gradient_penalty,
    }
    rate_g, rate_d = rates or (recipe.rates_g[0], recipe.rates_d[0])
    digits = data.load("train")
    history, failed = training.History(), ""
    try:
        training.train(
            generator,
            discriminator,
            digits,
            epochs=epochs,
            batch_size=recipe.batch_size,
            seed=seed,
            history=history,
            optimizer_g=recipes.adam(rate_g),
            optimizer_d=recipes.adam(rate_d),
            loss_g=loss_g,
            loss_d=loss_d,
            penalty=penalties[penalty],
            average=average,
        )
    except training.DivergedError as error:
        failed = str(error)
    result = {"seed": seed, "data": digits.name, "history": asdict(history)}
    if failed:
        return result | {"failed": failed}
    reference = metrics.reference()
    z = mx.random.normal((SAMPLES, generator.latent_dim), key=mx.random.key(seed))
    for name, network in (("last", generator), ("average", average)):
        result[name] = asdict(metrics.evaluate(training.sample(network, z), reference))
    return result


def empty() -> dict:
    """Return what the file of results says before the first run."""
    about = {"machine": common.machine(), "versions": common.versions("mlx", "numpy"), "samples": SAMPLES}
    return about | {"epochs": EPOCHS, "search_epochs": SEARCH_EPOCHS, "search": {}, "runs": {}}


def run_all(part: str, settings: dict, seeds: range, epochs: int, jobs: int) -> None:
    """Run what the file of results lacks of ``part``, and write the file after each run."""
    results = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else empty()
    stored = results[part]

    def run(name: str, seed: int) -> tuple[str, dict]:
        options = json.dumps(settings[name])
        printed = common.work(
            __file__, options, "--seed", seed, "--epochs", epochs, OPENBLAS_NUM_THREADS="1"
        )
        return name, {"settings": settings[name]} | json.loads(printed.splitlines()[-1])

    done = {(name, run["seed"]) for name, runs in stored.items() for run in runs}
    with ThreadPoolExecutor(jobs) as pool:  # by seed first, so that each setting has a first result early
        missing = [(name, seed) for seed in seeds for name in settings if (name, seed) not in done]
        for future in as_completed([pool.submit(run, name, seed) for name, seed in missing]):
            name, result = future.result()
            fid = f"FID {result['average']['fid']:.1f}" if "average" in result else result["failed"]
            print(f"{name}, seed {result['seed']}: {fid}", flush=True)
            stored[name] = sorted([*stored.get(name, []), result], key=lambda run: run["seed"])
            common.write_json(OUT, results)


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument(
        "--jobs", type=common.whole(1, 1000), default=os.cpu_count(), help="runs at a time, with one thread each"
    )
    parser.add_argument("--search", action="store_true", help="look for settings, instead of comparing them")
    parser.add_argument("--work", help=SUPPRESS)
    parser.add_argument("--seed", type=common.whole(0, 2**32 - 1), default=0, help=SUPPRESS)
    parser.add_argument("--epochs", type=common.whole(1, 1000), default=EPOCHS, help=SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(train(options.seed, options.epochs, **json.loads(options.work))))
        return
    parser.require_mnist()
    if options.search:
        run_all("search", candidates(), SEARCH_SEEDS, SEARCH_EPOCHS, options.jobs)
    else:
        run_all("runs", SETTINGS, SEEDS, EPOCHS, options.jobs)


if __name__ == "__main__":
    main()
