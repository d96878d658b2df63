"""Train the discriminator whose opinion the page of the generator shows, and write it to book/data.

``python tools/opinion.py`` needs MNIST and takes a few minutes on two CPU cores. The generator of the site stays as it
is; a small discriminator learns for five epochs, with seed 0, to tell its samples, which no referee has seen, from
MNIST's training images. It sees one image at a time, in 256 shades, and no label. The file is opinion.safetensors,
whose notes say what fraction of 10,000 test images and of 10,000 new samples the discriminator is right about.
Afterwards tools/export_generator.py puts it in the page.
"""

from typing import Any

import common
import numpy as np

PATH = common.ROOT / "book" / "data" / "opinion.safetensors"
EPOCHS, BATCH, RATE, SEED = 5, 64, 1e-3, 0


def fit(selective, data, epochs: int, seed: int):
    """Return a discriminator trained on images and on a fixed generator's samples of the same classes."""
    from mlxgan import losses, models, recipes, rejection
    from mlxgan.data import batches, normalize, to_uint8

    import mlx.core as mx
    import mlx.nn as nn

    recipes.seed_everything(seed)
    selective.eval()
    # without normalization over a batch, so that the opinion of an image depends on that image alone
    discriminator = models.DCGANDiscriminator(channels=16, hidden=32, norm=False)
    optimizer = recipes.adam(RATE)

    def loss(real, fake):
        return losses.discriminator_loss(discriminator(real), discriminator(fake))

    gradient = nn.value_and_grad(discriminator, loss)
    for epoch in range(1, epochs + 1):
        values = []
        for real, labels in batches(data, BATCH, seed=seed, epoch=epoch):
            value, gradients = gradient(real, normalize(to_uint8(rejection.propose(selective, labels))))
            optimizer.update(discriminator, gradients)
            mx.eval(value, discriminator.state, optimizer.state)
            values.append(value)
        print(f"epoch {epoch}: loss {mx.stack(values).mean().item():.3f}", flush=True)
    return discriminator.eval()


def right(discriminator, images, sign: int) -> float:
    """Return the fraction of images (N, 28, 28, 1) whose logit has the sign, 1 for real and -1 for generated."""
    parts = [np.array(discriminator(images[start : start + 500])) for start in range(0, len(images), 500)]
    return float(np.mean(sign * np.concatenate(parts) > 0))


def main() -> None:
    parser = common.Parser(__doc__)
    parser.parse_args()
    parser.require_mnist()
    from mlxgan import checkpoints, data, rejection

    import mlx.core as mx

    selective: Any = checkpoints.load_pretrained(common.GENERATOR)
    discriminator = fit(selective, data.load("train"), EPOCHS, SEED)
    test = data.load("test")
    parts = []
    for labels in mx.split(data.draw_labels(len(test)), len(test) // rejection.PROPOSED):
        parts.append(data.to_uint8(rejection.propose(selective, labels)))
        mx.eval(parts[-1])
    samples = mx.concatenate(parts)
    notes = {
        "real": f"{right(discriminator, data.normalize(test.images), 1):.4f}",
        "generated": f"{right(discriminator, data.normalize(samples), -1):.4f}",
        "machine": common.machine(),
    }
    checkpoints.save(PATH, discriminator, dtype=mx.float16, notes=notes)
    print(f"right about {notes['real']} of the test images, {notes['generated']} of the samples; wrote {PATH.name}")


if __name__ == "__main__":
    main()
