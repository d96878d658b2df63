"""Make the site's pictures: the digits to guess, the cover, real and generated digits, and the icon.

``python tools/brand.py`` writes game.png, logo.png and favicon.png to book/_static, and digits-real.png,
digits-generated.png, cover.png and card.png to book/images. It uses the generator that common.py names, MNIST's test
images, and book/_static/generator/epochs.png, which tools/export_generator.py makes.

Which digits are in game.png is decided by the seed 0 and by the referee: 30 of MNIST's 10,000 test images, and 30
accepted samples with random classes, in random order. Its text chunk ``real`` has a 1 for each real digit and a 0 for
each generated one.
"""

from pathlib import Path
from typing import Any

import common
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

IMAGES, STATIC = common.ROOT / "book" / "images", common.ROOT / "book" / "_static"
ROWS, COLUMNS = 4, 6
GAME = 30  # digits of each kind
INK, PAPER, MUTED = "#1d1f21", "#fbfaf7", "#565b61"


def enlarged(picture: np.ndarray, factor: int) -> bytes:
    """Return a uint8 picture (height, width), smoothly enlarged, as a PNG file with 64 shades."""
    image = Image.fromarray(picture)
    image = image.resize((factor * image.width, factor * image.height), Image.Resampling.LANCZOS)
    return common.png(image.quantize(64))


def game(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> bytes:
    """Return digits (N, 28, 28) each, uint8, in one sheet of ten columns, in random order, as black with opacity."""
    order = np.random.default_rng(seed).permutation(len(real) + len(fake))
    digits = np.concatenate([real, fake])[order]
    ink = np.concatenate([np.concatenate(list(row), axis=1) for row in digits.reshape(-1, 10, 28, 28)])
    notes = PngInfo()
    notes.add_text("real", "".join("1" if index < len(real) else "0" for index in order))
    return common.png(ink_on_nothing(ink), pnginfo=notes)


def ink_on_nothing(ink: np.ndarray) -> Image.Image:
    """Return uint8 levels as the opacity of black, so that they lie on any ground."""
    levels = Image.fromarray(ink)
    return Image.merge("LA", (Image.new("L", levels.size), levels))


def icon(digit: np.ndarray, size: int) -> bytes:
    """Return a generated digit (28, 28), uint8, white on a rounded square in the color of everything generated."""
    from mlxgan import plots

    inner = Image.fromarray(digit[2:26, 2:26]).resize((size, size), Image.Resampling.LANCZOS)
    corner = Image.new("L", (4 * size, 4 * size))
    ImageDraw.Draw(corner).rounded_rectangle((0, 0, 4 * size - 1, 4 * size - 1), radius=size * 0.9, fill=255)
    image = Image.composite(Image.new("RGB", (size, size), "white"), Image.new("RGB", (size, size), plots.FAKE), inner)
    image.putalpha(corner.resize((size, size), Image.Resampling.LANCZOS))
    return common.png(image)


def cover(epochs: Image.Image) -> bytes:
    """Return the EPUB's cover: the title, and below it the rows of ``epochs``, from plain gray to digits."""
    from mlxgan import plots

    width, height, margin = 1200, 1800, 110
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(y: int, text: str, size: int, weight: int, color: str) -> None:
        font = ImageFont.truetype(STATIC / "fonts" / "source-sans-3-latin-wght-normal.woff2", size)
        font.set_variation_by_axes([weight])
        draw.text((margin, y), text, font=font, fill=color)

    draw.rectangle((margin, 150, margin + 130, 160), fill=plots.FAKE)
    for line, text in enumerate(("Generative", "Adversarial Networks", "in MLX")):
        write(195 + 108 * line, text, 104, 650, INK)
    rows = epochs.height // 28
    cell = (width - 2 * margin) / 10
    shown = np.unique(np.linspace(0, rows - 1, 10).round().astype(int))
    for place, row in enumerate(shown):
        strip = epochs.getchannel("A").crop((0, 28 * row, epochs.width, 28 * row + 28))
        strip = strip.resize((round(10 * cell), round(cell)), Image.Resampling.LANCZOS)
        sheet.paste(INK, (margin, round(590 + place * cell)), strip)
    write(1655, "The authors of mlxgan", 44, 400, MUTED)
    return common.png(sheet.quantize(128))


def draw() -> dict[Path, bytes]:
    """Return the files of all pictures by their paths."""
    from mlxgan import checkpoints, data, plots, rejection

    import mlx.core as mx

    number = ROWS * COLUMNS
    real = data.load("test").images
    mx.random.seed(0)
    best: Any = checkpoints.load_pretrained(common.GENERATOR)
    samples, _ = rejection.select(best, data.draw_labels(256))
    two = mx.softmax(checkpoints.load_pretrained("classifier")(samples), axis=-1)[:, 2]  # two players, a 2
    levels = np.array(data.to_uint8(samples))[..., 0]
    chosen = np.random.default_rng(0).choice(len(real), GAME, replace=False)
    digit = levels[int(mx.argmax(two))]
    with Image.open(STATIC / "generator" / "epochs.png") as epochs:
        front = cover(epochs)
    return {
        STATIC / "game.png": game(np.array(real[mx.array(chosen)])[..., 0], levels[-GAME:]),
        STATIC / "logo.png": icon(digit, 160),
        STATIC / "favicon.png": icon(digit, 48),
        IMAGES / "digits-real.png": enlarged(plots.tile(real[:number], COLUMNS), 3),
        IMAGES / "digits-generated.png": enlarged(plots.tile(samples[:number], COLUMNS), 3),
        IMAGES / "cover.png": front,
        IMAGES / "card.png": enlarged(plots.tile(samples[:16], 4), 3),
    }


def main() -> None:
    parser = common.Parser(__doc__)
    parser.parse_args()
    parser.require_mnist()
    for name, content in draw().items():
        common.write(name, content)


if __name__ == "__main__":
    main()
