"""Train a DCGAN on all of Omniglot's characters and on 512 of them, with and without augmentation, five seeds each: the
results behind the chapter on little data.

``python tools/little_data.py`` does it, in about half an hour on two cores, for which the networks have half the width
of the recipe. Each run is a process of its own and a file in runs/little_data. A run whose file exists is not repeated,
so that an interrupted tool continues where it stopped. At the end all results are written to
book/data/little_data.json, which the chapter reads. The judge and the measures are those of the chapter.
"""

import json
from functools import partial
from pathlib import Path

import common

OUT = common.ROOT / "book" / "data" / "little_data.json"
RUNS = common.ROOT / "runs" / "little_data"
JUDGE = RUNS / "judge.safetensors"
FEW = 512
#: How many drawings, and with which probability the discriminator sees an image shifted.
SETTINGS = ("all, 0", "all, 0.5", "few, 0", "few, 0.5", "few, 1")
SEEDS, STEPS, EVERY = (0, 1, 2, 3, 4), 1200, 240
WIDTH = {"channels": 16, "hidden": 256}
JUDGE_EPOCHS = 20


def new_judge(classes: int):
    """Return the book's classifier with new outputs, one per character."""
    import mlxgan

    import mlx.nn as nn

    judge = mlxgan.load_pretrained("classifier")
    judge.output = nn.Linear(128, classes)
    return judge.train()


def train_judge(path: Path) -> float:
    """Train a classifier of characters, write its weights to ``path``, and return its accuracy on held-out drawings."""
    from mlxgan import augment, data, layers, metrics

    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim
    import numpy as np

    characters, held_out = data.load("train", "omniglot"), data.load("test", "omniglot")
    mx.random.seed(0)
    judge = new_judge(len(np.unique(np.array(characters.labels))))
    optimizer = optim.Adam(optim.cosine_decay(1e-3, JUDGE_EPOCHS * (len(characters) // 64)), bias_correction=True)
    optimizer.init(judge.trainable_parameters())
    layers.column_major(judge, optimizer)
    state = [judge.state, optimizer.state, mx.random.state]

    def cross_entropy(images, labels):
        return nn.losses.cross_entropy(judge(augment.translate(images)), labels, reduction="mean")

    gradient_of = nn.value_and_grad(judge, cross_entropy)

    @partial(mx.compile, inputs=state, outputs=state)
    def step(images, labels):
        loss, gradients = gradient_of(images, labels)
        optimizer.update(judge, gradients)
        return loss

    for epoch in range(JUDGE_EPOCHS):
        for images, labels in data.batches(characters, 64, seed=0, epoch=epoch):
            mx.eval(step(images, labels), state)
    path.parent.mkdir(parents=True, exist_ok=True)
    judge.save_weights(str(path))
    _, probabilities = metrics.features(judge, held_out.images)
    return float((probabilities.argmax(axis=1) == np.array(held_out.labels)).mean())


def train(setting: str, seed: int) -> dict:
    """Return what the discriminator thinks and how good the average is, on the way and at the end of a run.

    A row has the mean logits of drawings of the training set, of held-out ones and of fakes, and the measures of as
    many samples as there are held-out drawings, against these.
    """
    from mlxgan import augment, data, measures, metrics, recipes, training

    import mlx.core as mx
    import numpy as np

    amount, probability = setting.split(", ")
    characters, held_out = data.load("train", "omniglot"), data.load("test", "omniglot")
    judge = new_judge(len(np.unique(np.array(characters.labels))))
    judge.load_weights(str(JUDGE))
    order = mx.array(np.random.default_rng(seed).permutation(len(characters))[: FEW if amount == "few" else None])
    chosen = data.Digits(characters.images[order], characters.labels[order], f"{len(order)} of {characters.name}")
    real, known = (metrics.features(judge, part.images)[0] for part in (held_out, chosen))
    order = mx.array(np.random.default_rng(seed).permutation(len(held_out)))
    seen, unseen = (data.normalize(images[:960]) for images in (chosen.images, held_out.images[order]))
    z = mx.random.normal((len(held_out), 100), key=mx.random.key(1))
    steps = len(chosen) // 64  # in an epoch
    rows = []

    def watch(epoch, history):
        if epoch * steps % EVERY:
            return
        three = (seen, unseen, training.sample(generator, z[:960]))
        logits = [mean_logit(discriminator, images) for images in three]
        found, _ = metrics.features(judge, training.sample(average, z))
        values = *logits, *measures.kid(real, found), *measures.precision_recall(real, found)
        row = dict(zip(("seen", "unseen", "fake", "kid", "kid_error", "precision", "recall"), values, strict=True))
        row["coverage"] = measures.density_coverage(real, found)[1]
        rows.append({"step": epoch * steps, **row, "nearer": measures.nearer_to_training(found, known, real)})

    recipe = recipes.RECIPES["dcgan"]
    recipes.seed_everything(seed)
    generator, average, discriminator = (
        make(**WIDTH) for make in (recipe.generator, recipe.generator, recipe.discriminator)
    )
    if probability != "0":
        discriminator = augment.Augmented(discriminator, float(probability))
    settings = recipe.settings() | {"average": average, "on_epoch": watch}
    training.train(generator, discriminator, chosen, epochs=STEPS // steps, seed=seed, **settings)
    return {"seed": seed, "data": chosen.name, "rows": rows}


def mean_logit(discriminator, images) -> float:
    """Return the mean logit of images, which the discriminator sees 64 at a time and as in training."""
    import mlx.core as mx

    return float(mx.concatenate([discriminator(images[i : i + 64]) for i in range(0, len(images), 64)]).mean())


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_runs(SETTINGS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(train(options.work, options.seed)))
        return
    from mlxgan import SMOKE, data

    if SMOKE:
        parser.error("MLXGAN_SMOKE is set, but this needs Omniglot")
    try:
        data.load("test", "omniglot")
    except (ValueError, OSError) as error:
        parser.error(error)
    accuracy = RUNS / "judge.json"
    if not accuracy.exists():
        common.write_json(accuracy, {"accuracy": train_judge(JUDGE)})
    runs = common.run_all(__file__, RUNS, SETTINGS, SEEDS, options.jobs)
    result = {"machine": common.machine(), "versions": common.versions("mlx", "numpy"), "steps": STEPS}
    common.write_json(OUT, result | {"judge": json.loads(accuracy.read_text(encoding="utf-8")), "runs": runs})


if __name__ == "__main__":
    main()
