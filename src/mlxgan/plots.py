"""Figures in one style: digits, curves, films.

Importing this module sets the style. Real is always blue and generated always orange, a pair that color-blind readers
tell apart (Okabe and Ito, 2008).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import numpy as np
from PIL import Image, PngImagePlugin

from .data import tile
from .history import History

REAL, FAKE, GREY = "#0072B2", "#D55E00", "#767676"

plt.rc("figure", dpi=110, figsize=(6.4, 3.2))
plt.rc("figure.constrained_layout", use=True)
plt.rc("axes", grid=True, prop_cycle=plt.cycler(color=[REAL, FAKE, "#009E73", "#CC79A7", "#E69F00", GREY]))
plt.rc("axes.spines", top=False, right=False)
plt.rc("axes.formatter", min_exponent=4)  # 200, not 2 times 10 to the 2
plt.rc("grid", alpha=0.25)
plt.rc("legend", frameon=False)
plt.rc("lines", linewidth=1.8)


def digits(images: mx.array, columns: int = 8, scale: float = 0.55, titles: list | None = None) -> None:
    """Draw images (N, 28, 28, 1) in [-1, 1] or uint8, dark ink on white, ``columns`` to a row.

    ``scale`` is the width of a digit in inches; ``titles`` are written above the columns.
    """
    rows = -(-len(images) // columns)
    _, axes = plt.subplots(figsize=(columns * scale, rows * scale + (0.25 if titles else 0)))
    axes.imshow(tile(images, columns), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set(xticks=[], yticks=[])
    if titles:
        axes.xaxis.tick_top()
        axes.set_xticks([14 + 30 * column for column in range(columns)], titles)
        axes.tick_params(length=0)


def curves(history: History) -> None:
    """Draw the losses on the left; the discriminator's mean output on real and generated images on the right."""
    epochs = range(1, len(history) + 1)
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.plot(epochs, history.loss_d, color=REAL, label="discriminator")
    left.plot(epochs, history.loss_g, color=FAKE, label="generator")
    left.set(xlabel="epoch", ylabel="loss (nats)")
    right.plot(epochs, history.d_real, color=REAL, label="real, D(x)")
    right.plot(epochs, history.d_fake, color=FAKE, label="generated, D(G(z))")
    right.axhline(0.5, color=GREY, linestyle=":")
    right.set(xlabel="epoch", ylabel="mean output", ylim=(0, 1))
    for axes in (left, right):
        axes.legend()


def film(frames: list[mx.array], labels: list[str], path: str | Path, columns: int = 4) -> None:
    """Write a film to ``path``, a PNG file: one sheet of images (N, 28, 28, 1) per frame, one below another.

    The site shows it with a slider, and a label for each frame.
    """
    about = PngImagePlugin.PngInfo()
    about.add_text("labels", "|".join(labels))
    sheets = [np.pad(tile(frame, columns, gap=4), 2, constant_values=255) for frame in frames]
    picture = Image.fromarray(np.concatenate(sheets))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)
    picture.quantize(32).save(path, pnginfo=about, optimize=True)
