"""Make the site's pictures: real and generated digits, a film of training, and the icon.

``python tools/brand.py`` writes digits-real.png and digits-generated.png to book/images, logo.png and
favicon.png to book/_static, and evolution.png to book/images where runs/conditional/epochs.npz is, or the file
given with ``--film``. It takes the best generator that ships with the book, and MNIST's test images.
"""

from mlxgan import SMOKE, checkpoints, data, plots, training

import argparse
from pathlib import Path

import mlx.core as mx
import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).parent.parent
IMAGES, STATIC = ROOT / "book" / "images", ROOT / "book" / "_static"
GENERATOR = "conditional"
ROWS, COLUMNS = 4, 6
FRAMES = 21  # at five a second, a film of four seconds


def enlarged(picture: np.ndarray, factor: int) -> Image.Image:
    """A uint8 picture (height, width), smoothly enlarged."""
    image = Image.fromarray(picture)
    return image.resize((factor * image.width, factor * image.height), Image.Resampling.LANCZOS)


def save(image: Image.Image, path: Path, **notes: str) -> None:
    """Write a PNG with 64 shades, and with ``notes`` in its text chunks."""
    text = PngInfo()
    for key, value in notes.items():
        text.add_text(key, value)
    image.quantize(64).save(path, optimize=True, pnginfo=text)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def film(path: Path) -> None:
    """Frames of the array ``images`` (epochs + 1, 10, 28, 28), uint8, under one another; most come from early on.

    The text chunk ``epochs`` holds the number of each frame's epoch.
    """
    images = np.load(path)["images"]
    if images.ndim != 4 or images.shape[1:] != (10, 28, 28) or images.dtype != np.uint8:
        raise SystemExit(f"{path}: images is {images.dtype} {images.shape}, but must be uint8 (epochs + 1, 10, 28, 28)")
    last = len(images) - 1
    epochs = sorted({round(last * (index / (FRAMES - 1)) ** 1.5) for index in range(FRAMES)})
    rows = [plots.tile(mx.array(images[epoch][..., None]), columns=10, gap=4) for epoch in epochs]
    rows = [np.pad(row, 2, constant_values=255) for row in rows]  # else a frame shows the edge of its neighbour
    save(enlarged(np.concatenate(rows), 2), IMAGES / "evolution.png", epochs=" ".join(map(str, epochs)))


def icon(digit: np.ndarray, size: int) -> Image.Image:
    """A generated digit (28, 28), uint8, white on a rounded square in the colour of all that is generated."""
    inner = Image.fromarray(digit[2:26, 2:26]).resize((size, size), Image.Resampling.LANCZOS)
    corner = Image.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(corner).rounded_rectangle((0, 0, 4 * size - 1, 4 * size - 1), radius=size * 0.9, fill=255)
    image = Image.composite(Image.new("RGB", (size, size), "white"), Image.new("RGB", (size, size), plots.FAKE), inner)
    image.putalpha(corner.resize((size, size), Image.Resampling.LANCZOS))
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=Path, default=ROOT / "runs" / "conditional" / "epochs.npz")
    options = parser.parse_args()
    if SMOKE:
        parser.error("MLXGAN_SMOKE is set: the pictures show MNIST and models trained on it")

    number = ROWS * COLUMNS
    data.locate("t10k-images-idx3-ubyte.gz")  # no other digits in its place
    real = data.load("test").images[:number]
    save(enlarged(plots.tile(real, COLUMNS), 3), IMAGES / "digits-real.png")
    mx.random.seed(0)
    z = mx.random.normal((256, 100))
    samples = training.sample(checkpoints.load_pretrained(GENERATOR), z, data.draw_labels(len(z)))
    save(enlarged(plots.tile(samples[:number], COLUMNS), 3), IMAGES / "digits-generated.png", model=GENERATOR)

    two = mx.softmax(checkpoints.load_pretrained("classifier")(samples), axis=-1)[:, 2]  # two players, a 2
    digit = np.array(data.to_uint8(samples))[int(mx.argmax(two)), ..., 0]
    icon(digit, 160).save(STATIC / "logo.png", optimize=True)
    icon(digit, 48).save(STATIC / "favicon.png", optimize=True)
    if options.film.exists():
        film(options.film)
    else:
        print(f"{options.film} is missing: the film stays as it is")


if __name__ == "__main__":
    main()
