"""Figures in one style: digits, curves, films.

Importing this module sets the style, and in a notebook it shows curves as SVG, and digits with four pixels for one of
the page. Real is always blue and generated always orange, a pair that color-blind readers tell apart (Okabe and Ito,
2008).
"""

import re
import sys
from io import StringIO
from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin

from .data import tile

REAL, FAKE, GREY = "#0072B2", "#D55E00", "#767676"

font_manager.fontManager.addfont(Path(__file__).with_name("fonts") / "book-sans.ttf")
plt.style.use(Path(__file__).with_name("book.mplstyle"))


def vector(figure: Figure) -> str | None:
    """Return a figure of curves as SVG, which a notebook shows as large as a PNG of 110 dots per inch.

    A figure with pictures, or with so many points that its SVG would be long, is better a PNG: None.
    """
    if any(axes.images for axes in figure.axes):
        return None
    file = StringIO()
    figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = re.sub(r'([\d.]+)pt"', lambda size: f'{float(size[1]) * 110 / 72:.0f}"', file.getvalue(), count=2)
    # without its document type, which an EPUB may not have
    return svg[svg.index("<svg") :] if len(svg) < 150_000 else None


if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
    import matplotlib_inline.backend_inline  # noqa: F401  (which chooses PNG, now and not with the first figure)
    from IPython.core.pylabtools import retina_figure

    forms = shell.display_formatter.formatters
    forms["image/svg+xml"].for_type(Figure, vector)
    forms["image/png"].for_type(Figure, lambda figure: None if vector(figure) else retina_figure(figure, base64=True))


def digits(images: mx.array, columns: int = 8, scale: float = 0.55, titles: list | None = None) -> None:
    """Draw images (N, 28, 28, 1) in [-1, 1] or uint8, dark ink on white, ``columns`` to a row.

    ``scale`` is the width of a digit in inches; ``titles`` are written above the columns.
    """
    _, axes = plt.subplots(figsize=(columns * scale, -(-len(images) // columns) * scale + (0.25 if titles else 0)))
    axes.imshow(tile(images, columns), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[])
    if titles:
        axes.set_xticks([14 + 30 * column for column in range(columns)], titles)
        axes.tick_params(length=0, grid_alpha=0, labeltop=True, labelbottom=False)


def film(frames: list[mx.array], labels: list[str], path: str | Path, columns: int = 4) -> None:
    """Write a film to ``path``, a PNG file: one sheet of images (N, 28, 28, 1) per frame, one below another.

    The site shows it with a slider, and a label for each frame.
    """
    about = PngImagePlugin.PngInfo()
    about.add_text("labels", "|".join(labels))
    sheets = np.concatenate([np.pad(tile(frame, columns, gap=4), 2, constant_values=255) for frame in frames])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheets.repeat(2, 0).repeat(2, 1)).quantize(32).save(path, pnginfo=about, optimize=True)
