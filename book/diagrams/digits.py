"""Make the small pictures of digits that the diagrams use: ``python book/diagrams/digits.py``, once.

Writes 28x28 PNG files, dark ink on white, to book/diagrams/digits: handwritten digits of MNIST's training images, their
mean, digits of the conditional generator, its search for a given drawing, and steps from noise to a digit.
"""

import mlxgan
from mlxgan import data, training

from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "digits"
SAMPLES = {"2": 62, "5": 5, "6": 56, "7": 67, "8": 48, "9": 39, "odd3": 93, "odd4": 14}
REAL = {"0": 1, "2": 5, "3": 7, "5": 0, "7": 38, "8": 17}
THREES = (2, 3, 5, 13, 24, 27, 49, 52)


def save(name: str, image: np.ndarray) -> None:
    """Write an image (28, 28) in [0, 1], where 1 is ink, as a gray PNG with 16 shades."""
    shades = np.round(15 * (1 - image.clip(0, 1))) * 17
    Image.fromarray(shades.astype(np.uint8)).save(FOLDER / f"{name}.png", optimize=True)


def ink(images: mx.array) -> np.ndarray:
    """Return images (N, 28, 28, 1) in [-1, 1] as (N, 28, 28) in [0, 1]."""
    return np.array(images)[..., 0] / 2 + 0.5


def search(generator, drawing: mx.array, digit: int, keep: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Return what the generator draws at the steps in ``keep`` of a descent toward a drawing (1, 28, 28, 1)."""
    mx.random.seed(6)
    z = {"z": mx.random.normal((1, generator.latent_dim))}
    label, adam, pictures = mx.array([digit]), optim.Adam(0.1, bias_correction=True), {}
    slope = mx.grad(lambda z: mx.square(generator(z["z"], label) - drawing).mean())
    for step in range(max(keep) + 1):
        if step in keep:
            pictures[step] = ink(generator(z["z"], label))[0]
        z = adam.apply_gradients(slope(z), z)
        mx.eval(z)
    return pictures


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    digits = data.load("train")
    images, labels = np.array(digits.images)[..., 0] / 255, np.array(digits.labels)
    threes = images[labels == 3]
    for number, index in enumerate(THREES):
        save(f"three-{number}", threes[index])
    save("three-mean", threes.mean(axis=0))
    for name, index in REAL.items():
        save(f"real-{name}", images[index])

    generator = mlxgan.load_pretrained("conditional").eval()
    mx.random.seed(3)
    z = mx.random.normal((100, generator.latent_dim))
    fakes = ink(training.sample(generator, z, mx.arange(100) % 10))
    for name, index in SAMPLES.items():
        save(f"fake-{name}", fakes[index])

    drawing = mx.array(images[REAL["2"]] * 2 - 1)[None, ..., None]
    for step, picture in search(generator, drawing, 2, (0, 20, 300)).items():
        save(f"search-{step}", picture)

    noise = np.random.default_rng(0).normal(size=(28, 28))
    for step, share in enumerate((1.0, 0.85, 0.6, 0.3, 0.0)):  # of noise, in the range of the images
        mixed = np.sqrt(1 - share) * (2 * fakes[SAMPLES["2"]] - 1) + np.sqrt(share) * noise
        save(f"noisy-{step}", mixed / 2 + 0.5)


if __name__ == "__main__":
    main()
