"""Figures."""

from mlxgan import plots

import base64
import json
import os
import re
import subprocess
import sys
from io import BytesIO

import matplotlib.pyplot as plt
import mlx.core as mx
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def no_window(monkeypatch):
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_tile_puts_images_row_by_row_dark_on_white():
    images = mx.array([-1.0, 1.0, 0.0]).reshape(3, 1, 1, 1) * mx.ones((1, 28, 28, 1))
    picture = plots.tile(images, columns=2)
    assert picture.shape == (58, 58) and picture.dtype == np.uint8
    assert (picture[:28, :28] == 255).all() and (picture[:28, 30:] == 0).all()
    assert (picture[30:, :28] == 127).all() and (picture[30:, 30:] == 255).all()
    assert (picture[28:30] == 255).all()
    pixels = mx.array([[0, 255]], mx.uint8).reshape(2, 1, 1, 1)
    assert plots.tile(pixels, columns=2, gap=1).tolist() == [[255, 255, 0]]


def test_digits_with_titles():
    plots.digits(mx.zeros((5, 28, 28, 1)), columns=3, titles=["a", "b", "c"])
    (axes,) = plt.gcf().axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert axes.images[0].get_array().shape == (58, 88)


SHOWN = """
from IPython.core.interactiveshell import InteractiveShell
forms = InteractiveShell.instance().display_formatter.formatters
from mlxgan import plots
import json, matplotlib.pyplot as plt, mlx.core as mx
def shown():
    found = {name: forms[name](plt.gcf()) for name in ("image/svg+xml", "image/png")}
    return {name: data for name, data in found.items() if data}
plt.plot([1, 2, 1])
curve = shown()
plt.figure().gca().plot(range(20000), [k % 7 for k in range(20000)], ".")
crowd = shown()
plots.digits(mx.zeros((8, 28, 28, 1)))
print(json.dumps([curve, crowd, shown()]))
"""


def test_a_notebook_shows_curves_as_svg_and_pictures_with_twice_the_pixels():
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    run = subprocess.run([sys.executable, "-c", SHOWN], env=environment, capture_output=True, text=True, check=True)
    curve, crowd, digits = json.loads(run.stdout)
    assert list(curve) == ["image/svg+xml"] and list(crowd) == list(digits) == ["image/png"]
    assert "DejaVu" not in curve["image/svg+xml"] and "BookSans" in curve["image/svg+xml"]
    data, about = digits["image/png"]
    with Image.open(BytesIO(base64.b64decode(data))) as picture:
        assert abs(picture.width - 2 * about["width"]) <= 1 and round(picture.info["dpi"][0]) == 220


def test_an_svg_is_as_large_as_a_png_and_the_same_each_time(tmp_path):
    figure, axes = plt.subplots()
    axes.plot([1, 2, 1])
    svg = plots.vector(figure)
    figure.savefig(tmp_path / "figure.png", bbox_inches="tight")
    with Image.open(tmp_path / "figure.png") as picture:
        width, height = map(int, re.search(r'width="(\d+)" height="(\d+)"', svg).groups())
        assert abs(picture.width - width) <= 1 and abs(picture.height - height) <= 1
    assert plots.vector(figure) == svg and svg.startswith("<svg")


def test_a_film_has_a_sheet_for_each_frame_and_its_labels(tmp_path):
    frames = [mx.full((6, 28, 28, 1), value) for value in (-1.0, 0.0, 1.0)]
    path = tmp_path / "new" / "film.png"
    plots.film(frames, ["start", "middle", "end"], path, columns=3)
    with Image.open(path) as picture:
        assert picture.text["labels"] == "start|middle|end"
        pixels = np.array(picture.convert("L"))
    height, width = 2 * 28 + 4 + 4, 3 * 28 + 2 * 4 + 4  # a sheet, with the gaps between digits and a frame around
    assert pixels.shape == (3 * 2 * height, 2 * width)
    sheets = pixels.reshape(3, 2 * height, 2 * width)
    assert (sheets[0] == 255).all() and sheets[0].mean() > sheets[1].mean() > sheets[2].mean()
    assert (sheets[2][8:56, 8:56] < 8).all()
