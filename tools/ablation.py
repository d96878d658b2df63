"""Train the DCGAN in many ways, several seeds each, and measure every generator: the table of chapter 9.

``make ablation`` runs it. Each run is a process of its own and a file in runs/ablation. A run whose file exists is not
repeated, so an interrupted ablation continues where it stopped. At the end all results are written to
book/data/ablation.json, which the book reads.
"""

import json
from dataclasses import asdict

import common

OUT = common.ROOT / "book" / "data" / "ablation.json"
RUNS = common.ROOT / "runs" / "ablation"
EPOCHS, SEEDS, SAMPLES = 2, (0, 1, 2), 10_000
SIZE = {"channels": 16, "hidden": 256}  # half of the recipe's widths

#: What each setting changes compared with the first one; the names are those of the table.
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
    """Return the scores of a run's last generator and of its average, and its history."""
    from mlxgan import data, losses, metrics, models, recipes, training

    import mlx.core as mx

    mx.random.seed(seed)
    recipe = recipes.RECIPES["dcgan"]
    generator = recipe.generator(**SIZE)
    # not the recipe's discriminator: how much a batch varies is another technique
    discriminator = models.DCGANDiscriminator(norm=norm, **SIZE)
    average = recipe.generator(**SIZE)
    if spectral:
        for name in ("down1", "down2", "shrink", "out"):
            discriminator[name] = models.SpectralNorm(discriminator[name])
    loss_g, loss_d = {
        "non-saturating": (recipe.loss_g, recipe.loss_d),
        "smoothed": (recipe.loss_g, losses.smoothed_discriminator_loss),
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
        batch_size=recipe.batch_size,
        seed=seed,
        optimizer_g=recipes.adam(rate_g),
        optimizer_d=recipes.adam(rate_d),
        loss_g=loss_g,
        loss_d=loss_d,
        penalty=losses.gradient_penalty if loss == "wasserstein" else recipe.penalty,
        average=average,
    )
    reference = metrics.reference()
    z = mx.random.normal((SAMPLES, generator.latent_dim), key=mx.random.key(seed))
    scores = {
        name: asdict(metrics.evaluate(training.sample(network, z), reference))
        for name, network in (("last", generator), ("average", average))
    }
    return {"seed": seed, "data": digits.name, "history": asdict(history), **scores}


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_runs(SETTINGS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(train(options.seed, EPOCHS, **SETTINGS[options.work])))
        return
    parser.require_mnist()
    result = {
        "machine": common.machine(),
        "versions": common.versions("mlx", "numpy"),
        "epochs": EPOCHS,
        "samples": SAMPLES,
        "runs": common.run_all(__file__, RUNS, SETTINGS, SEEDS, options.jobs),
    }
    common.write_json(OUT, result)


if __name__ == "__main__":
    main()
