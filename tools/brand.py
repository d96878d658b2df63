"""Make the site's pictures: real and generated digits, a film of training, and the icon.

``python tools/brand.py`` writes digits-real.png and digits-generated.png to book/images, and logo.png and favicon.png
to book/_static. It also writes evolution.png to book/images if runs/conditional/epochs.npz exists, or from the file
given with ``--film``. It uses the best generator that ships with the book, and MNIST's test images.
"""

from pathlib import Path

import common
import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

IMAGES, STATIC = common.ROOT / "book" / "images", common.ROOT / "book" / "_static"
GENERATOR = "conditional"
ROWS, COLUMNS = 4, 6
FRAMES = 21  # at five per second, a film of four seconds


def enlarged(picture: np.ndarray, factor: int, **notes: str) -> bytes:
    """Return a uint8 picture (height, width), smoothly enlarged, as a PNG file with 64 shades.

    ``notes`` become its text chunks.
    """
    image = Image.fromarray(picture)
    image = image.resize((factor * image.width, factor * image.height), Image.Resampling.LANCZOS)
    text = PngInfo()
    for key, value in notes.items():
        text.add_text(key, value)
    return common.png(image.quantize(64), pnginfo=text)


def film(images: np.ndarray) -> bytes:
    """Return frames of ``images`` (epochs + 1, 10, 28, 28), uint8, under one another; most are from early on.

    The text chunk ``epochs`` holds the number of each frame's epoch.
    """
    from mlxgan import plots

    import mlx.core as mx

    last = len(images) - 1
    epochs = sorted({round(last * (index / (FRAMES - 1)) ** 1.5) for index in range(FRAMES)})
    rows = [plots.tile(mx.array(images[epoch][..., None]), columns=10, gap=4) for epoch in epochs]
    rows = [np.pad(row, 2, constant_values=255) for row in rows]  # otherwise a frame shows the edge of its neighbor
    return enlarged(np.concatenate(rows), 2, epochs=" ".join(map(str, epochs)))


def icon(digit: np.ndarray, size: int) -> bytes:
    """Return a generated digit (28, 28), uint8, white on a rounded square in the color of everything generated."""
    from mlxgan import plots

    inner = Image.fromarray(digit[2:26, 2:26]).resize((size, size), Image.Resampling.LANCZOS)
    corner = Image.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(corner).rounded_rectangle((0, 0, 4 * size - 1, 4 * size - 1), radius=size * 0.9, fill=255)
    image = Image.composite(Image.new("RGB", (size, size), "white"), Image.new("RGB", (size, size), plots.FAKE), inner)
    image.putalpha(corner.resize((size, size), Image.Resampling.LANCZOS))
    return common.png(image)


def draw() -> dict[Path, bytes]:
    """Return the files of all pictures except the film."""
    from mlxgan import checkpoints, data, plots, training

    import mlx.core as mx

    number = ROWS * COLUMNS
    real = data.load("test").images[:number]
    mx.random.seed(0)
    z = mx.random.normal((256, 100))
    samples = training.sample(checkpoints.load_pretrained(GENERATOR), z, data.draw_labels(len(z)))
    two = mx.softmax(checkpoints.load_pretrained("classifier")(samples), axis=-1)[:, 2]  # two players, a 2
    digit = np.array(data.to_uint8(samples))[int(mx.argmax(two)), ..., 0]
    return {
        IMAGES / "digits-real.png": enlarged(plots.tile(real, COLUMNS), 3),
        IMAGES / "digits-generated.png": enlarged(plots.tile(samples[:number], COLUMNS), 3, model=GENERATOR),
        STATIC / "logo.png": icon(digit, 160),
        STATIC / "favicon.png": icon(digit, 48),
    }


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--film", type=common.existing_file, help=".npz with uint8 'images' (epochs + 1, 10, 28, 28)")
    options = parser.parse_args()
    path = options.film or common.EPOCHS
    images = parser.read_epochs(path) if path.exists() else None
    parser.require_mnist()
    files = draw()
    if images is not None:
        files[IMAGES / "evolution.png"] = film(images)
    else:
        print(f"{path} is missing: the film stays as it is")
    for name, content in files.items():
        common.write(name, content)


if __name__ == "__main__":
    main()
