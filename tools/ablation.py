"""Train a small DCGAN in many ways, several seeds each, and measure every generator: the tables on stability.

``make ablation`` runs it, for some hours. First a search: techniques that do without batch normalization in the
discriminator need learning rates and a strength of their own, so each is trained for an epoch at several, and its best
setting is the one with the smallest Frechet distance of the averaged generator. Then the comparison, which takes that
setting from the search. Each run is a process of its own and a file in runs/ablation. A run whose file exists is not
repeated, so an interrupted ablation continues where it stopped. At the end all results are written to
book/data/stability.json, which the book reads.
"""

import json
import math
from dataclasses import asdict
from functools import partial
from typing import Any

import common

OUT = common.ROOT / "book" / "data" / "stability.json"
RUNS = common.ROOT / "runs" / "ablation"
SAMPLES = 10_000
SIZE: dict[str, Any] = {"channels": 16, "hidden": 256}  # half of the recipe's widths
SEARCH_SEEDS, SEEDS = [100], [0, 1, 2, 3, 4]
SEARCH_EPOCHS, EPOCHS = 1, 2

#: What each setting changes compared with the recipe, which is the first; the names are those of the tables.
SETTINGS: dict[str, dict] = {
    "recipe": {},
    "equal rates of 1e-3": {"rates": [1e-3, 1e-3]},
    "no variety term": {"variety": False},
    "R1 added": {"penalty": "R1"},
    "one-sided smoothing": {"loss": "smoothed"},
    "least squares": {"loss": "least squares"},
    "hinge": {"loss": "hinge"},
    "relativistic": {"loss": "relativistic"},
}

RATES = [[2e-3, 5e-4], [1e-3, 1e-3], [2e-3, 2e-3], [4e-3, 4e-3]]
#: Techniques that take the place of batch normalization in D, with the settings tried for each, at each of RATES.
TECHNIQUES: dict[str, list[dict]] = {
    "nothing": [{}],
    "R1": [{"penalty": "R1", "strength": strength} for strength in (1, 10)],
    "R1 and R2, relativistic": [
        {"penalty": "R1 and R2", "strength": strength, "loss": "relativistic"} for strength in (1, 10)
    ],
    "spectral, hinge": [{"spectral": True, "loss": "hinge", "he": he} for he in (True, False)],
    "Wasserstein, gradient penalty": [
        {"penalty": "gradient", "strength": strength, "loss": "Wasserstein"} for strength in (1, 10)
    ],
}
#: Two of them without the term for variety.
WITHOUT = {"R1, no variety term": "R1", "spectral, hinge, no variety term": "spectral, hinge"}


def candidates() -> dict[str, dict]:
    """Return the settings that the search tries, by the technique and a number."""
    found = {}
    for technique, changes in TECHNIQUES.items():
        for number, (change, rates) in enumerate(((change, rates) for change in changes for rates in RATES), start=1):
            found[f"{technique} {number}"] = {"norm": False, "he": True} | change | {"rates": rates}
    return found


def best() -> dict[str, dict]:
    """Return, for each technique, the setting whose run of the search ended with the smallest distance.

    Raises ValueError if a technique has no run that came to its end.
    """
    search = common.run_all(__file__, RUNS, candidates(), SEARCH_SEEDS, jobs=1)
    found: dict[str, dict] = {}
    for technique in TECHNIQUES:
        runs = [run for name, (run,) in search.items() if name.rsplit(" ", 1)[0] == technique and "average" in run]
        if not runs:
            raise ValueError(f"the search has no setting at which {technique} trains")
        found[technique] = min(runs, key=lambda run: run["average"]["fid"])["settings"]
    return found


def build(
    *,
    rates: list[float] | None = None,
    loss: str = "non-saturating",
    norm: bool = True,
    variety: bool = True,
    spectral: bool = False,
    he: bool = False,
    penalty: str | None = None,
    strength: float = 1,
) -> tuple:
    """Return a generator, a discriminator, and the optimizers, losses and penalty for :func:`mlxgan.training.train`.

    ``rates`` are G's and D's, instead of the recipe's; ``norm`` and ``variety`` say whether D has batch normalization
    and the term for the variety of a batch; ``strength`` is the penalty's; ``he`` draws D's weights as He et al. (2015)
    do, because the recipe's deviation of 0.02 relies on a normalization to keep the signal alive.
    """
    from mlxgan import losses, models, recipes

    import mlx.nn as nn

    recipe = recipes.RECIPES["dcgan"]
    generator = models.DCGANGenerator(**SIZE)
    discriminator = models.VarietyDiscriminator(**SIZE) if variety else models.DCGANDiscriminator(**SIZE)
    if not norm:
        discriminator.norm1 = discriminator.norm2 = nn.Identity()
    for name in ("down1", "down2", "shrink", "out"):
        layer = discriminator[name]
        if he:
            layer.weight = nn.init.he_normal()(layer.weight, "fan_in", math.sqrt(2))  # MLX's own gain is 1
        if spectral:
            discriminator[name] = models.SpectralNorm(layer)
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
        "R1": partial(losses.r1_penalty, gamma=strength),
        "R1 and R2": partial(losses.r1_r2_penalty, gamma=strength),
        "gradient": partial(losses.gradient_penalty, weight=strength),
    }
    rate_g, rate_d = rates or (recipe.rates_g[0], recipe.rates_d[0])
    optimizers = {"optimizer_g": recipes.adam(rate_g), "optimizer_d": recipes.adam(rate_d)}
    return generator, discriminator, optimizers | {"loss_g": loss_g, "loss_d": loss_d, "penalty": penalties[penalty]}


def train(name: str, seed: int) -> dict:
    """Return the scores of a run's last generator and of its average, and its history.

    ``name`` is that of a setting, of a candidate of the search, or of a technique, which takes what the search found.
    A run that diverges has no scores, and ``failed`` says why.
    """
    from mlxgan import data, metrics, models, recipes, training

    import mlx.core as mx

    searched = candidates()
    epochs = SEARCH_EPOCHS if name in searched else EPOCHS
    technique = WITHOUT.get(name, name)
    settings = best()[technique] if technique in TECHNIQUES else (SETTINGS | searched)[name]
    if name in WITHOUT:
        settings = settings | {"variety": False}
    mx.random.seed(seed)
    generator, discriminator, options = build(**settings)
    average, history, digits = models.DCGANGenerator(**SIZE), training.History(), data.load("train")
    result = {"seed": seed, "settings": settings, "data": digits.name}
    options |= {"batch_size": recipes.RECIPES["dcgan"].batch_size, "average": average, "history": history}
    try:
        training.train(generator, discriminator, digits, epochs=epochs, seed=seed, **options)
    except training.DivergedError as error:
        return result | {"failed": str(error)}
    reference = metrics.reference()
    z = mx.random.normal((SAMPLES, generator.latent_dim), key=mx.random.key(seed))
    for which, network in (("last", generator), ("average", average)):
        result[which] = asdict(metrics.evaluate(training.sample(network, z), reference))
    return result | {"history": asdict(history)}


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_runs([*candidates(), *SETTINGS, *TECHNIQUES, *WITHOUT])
    options = parser.parse_args()
    if options.work:
        print(json.dumps(train(options.work, options.seed)))
        return
    parser.require_mnist()
    search = common.run_all(__file__, RUNS, candidates(), SEARCH_SEEDS, options.jobs)
    runs = common.run_all(__file__, RUNS, [*SETTINGS, *TECHNIQUES, *WITHOUT], SEEDS, options.jobs)
    about = {"machine": common.machine(), "versions": common.versions("mlx", "numpy"), "samples": SAMPLES}
    common.write_json(OUT, about | {"search": search, "runs": runs})


if __name__ == "__main__":
    main()
