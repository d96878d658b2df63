"""Figures."""

from mlxgan import plots
from mlxgan.training import History

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


def test_curves_show_each_figure_of_the_history():
    history = History([1.0, 0.9], [1.1, 1.2], [0.6, 0.7], [0.4, 0.3], [1.0, 1.0], [0.3, 0.3])
    plots.curves(history)
    left, right = plt.gcf().axes
    assert [line.get_ydata().tolist() for line in left.lines] == [history.loss_d, history.loss_g]
    assert [line.get_color() for line in right.lines[:2]] == [plots.REAL, plots.FAKE]


def test_digits_with_titles():
    plots.digits(mx.zeros((5, 28, 28, 1)), columns=3, titles=["a", "b", "c"])
    (axes,) = plt.gcf().axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert axes.images[0].get_array().shape == (58, 88)


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
