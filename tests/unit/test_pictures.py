"""Other images than MNIST's become ink on paper, 28 by 28, or one error that names the file."""

from mlxgan import checkpoints, data, download, models, pictures
from mlxgan.__main__ import main

import gzip
import hashlib
import io
import json
import os
import re
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "PNG") if mode else Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


# Omniglot and Fashion-MNIST


@pytest.fixture
def omniglot(tmp_path, monkeypatch):
    """Two small files in Omniglot's form; the alphabet Greek is in both, and a drawing says by its gray who drew it."""
    folder = tmp_path / "omniglot"
    folder.mkdir()
    for number, alphabets in ((1, {"Greek": 3, "Balinese": 2}), (2, {"Greek": 3, "Tagalog": 1})):
        path = folder / f"images_background_small{number}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for alphabet, characters in alphabets.items():
                for character in range(1, characters + 1):
                    for person in range(1, 21):
                        pixels = np.full((105, 105), 255 - 10 * person, np.uint8)
                        name = f"{path.stem}/{alphabet}/character{character:02}/0{character}12_{person:02}.png"
                        archive.writestr(name, png(pixels))
        monkeypatch.setitem(pictures.SHA256, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(data, "SMOKE", False)
    monkeypatch.setenv("OMNIGLOT_DIR", str(folder))
    return folder


def test_omniglot_is_split_by_person_and_no_drawing_counts_twice(omniglot, capsys):
    train, test = data.load("train", "omniglot"), data.load("test", "omniglot")
    assert (len(train), len(test)) == (6 * 16, 6 * 4)
    assert train.images.shape == (96, 28, 28, 1) and train.images.dtype == mx.uint8
    for part, people in ((train, range(1, 17)), (test, range(17, 21))):
        found = np.array(part.images).reshape(len(part), -1)
        assert (found == found[:, :1]).all() and set(found[:, 0] // 10) == set(people)  # ink, so the darker the higher
        assert np.bincount(np.array(part.labels)).tolist() == [len(people)] * 6
    assert "Omniglot, train split: 96 images" in capsys.readouterr().out


def test_a_file_of_omniglot_that_is_missing_or_another_is_named(omniglot):
    path = omniglot / "images_background_small2.zip"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=re.escape(f"{path}: not Omniglot's images_background_small2.zip (SHA-256")):
        data.load("train", "omniglot")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="OMNIGLOT_DIR is .* but there is no images_background_small2.zip"):
        data.load("train", "omniglot")


def test_without_the_folder_the_files_are_downloaded_once(omniglot, monkeypatch, tmp_path):
    monkeypatch.delenv("OMNIGLOT_DIR")
    monkeypatch.setattr(download.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    asked = []

    class Mirror(SimpleHTTPRequestHandler):
        def log_request(self, *_):
            asked.append(self.path.rpartition("/")[2])

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Mirror, directory=str(omniglot))) as server:
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
        monkeypatch.setitem(pictures.MIRRORS, "omniglot", (f"http://127.0.0.1:{server.server_port}/",))
        for _ in range(2):
            assert len(data.load("test", "omniglot")) == 24
        server.shutdown()
    kept = sorted(path.name for path in (tmp_path / "cache" / "mlxgan" / "omniglot").iterdir())
    assert asked == kept == [f"images_background_small{number}.zip" for number in (1, 2)]


def test_fashion(tmp_path, monkeypatch):
    images, labels = np.arange(3 * 784).astype(np.uint8), np.array([9, 0, 5], np.uint8)
    for part, size, content in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
        path = tmp_path / f"t10k-{part}-ubyte.gz"
        path.write_bytes(gzip.compress(bytes(size) + content.tobytes()))
        monkeypatch.setitem(pictures.SHA256, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(data, "SMOKE", False)
    monkeypatch.setenv("FASHION_DIR", str(tmp_path))
    for folder in ("", "FashionMNIST/raw"):  # torchvision's, beside its files of MNIST, which have the same names
        if folder:
            (tmp_path / "MNIST" / "raw").mkdir(parents=True)
            (tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz").touch()
            (tmp_path / folder).mkdir(parents=True)
            for path in tmp_path.glob("*.gz"):
                path.rename(tmp_path / folder / path.name)
        clothes = data.load("test", "fashion")
        assert clothes.name == "Fashion-MNIST, test split"
        assert clothes.labels.tolist() == [9, 0, 5]
        assert np.array_equal(np.array(clothes.images).ravel(), images)
    with pytest.raises(FileNotFoundError, match="FASHION_DIR is .* but there is no train-images-idx3-ubyte.gz"):
        data.load("train", "fashion")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(bytes(16))
    with pytest.raises(ValueError, match="not Fashion-MNIST's train-images-idx3-ubyte.gz as published, the only form"):
        data.load("train", "fashion")


@pytest.mark.parametrize(("name", "title"), [("omniglot", "Omniglot"), ("fashion", "Fashion-MNIST")])
def test_smoke_mode_says_what_the_small_digits_stand_for(monkeypatch, capsys, name, title):
    monkeypatch.setenv("OMNIGLOT_DIR", "/nowhere")
    assert len(data.load("test", name)) == 297
    assert f"small digits instead of {title} (MLXGAN_SMOKE is set), test split" in capsys.readouterr().out


@pytest.mark.skipif("OMNIGLOT_DIR" not in os.environ, reason="OMNIGLOT_DIR is not set: the genuine files are not there")
def test_genuine_omniglot(monkeypatch):
    monkeypatch.setattr(data, "SMOKE", False)
    train, test = data.load("train", "omniglot"), data.load("test", "omniglot")
    assert (len(train), len(test)) == (3872, 968)
    everything = np.concatenate([np.array(train.images), np.array(test.images)]).reshape(4840, -1)
    assert len(np.unique(everything, axis=0)) == 4840
    assert set(train.labels.tolist()) == set(test.labels.tolist()) == set(range(242))
    assert 15 < np.median(everything.mean(axis=1)) < 30  # some ink on much paper


# A folder of pictures


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures: the left half of each is black, the right half white, and a red stripe is beyond the square."""
    path = tmp_path / "my pictures"
    path.mkdir()
    pixels = np.full((56, 112, 3), 255, np.uint8)
    pixels[:, :56] = 0
    pixels[:, 100:] = (255, 0, 0)
    for index in range(20):
        (path / f"{index:02}.png").write_bytes(png(pixels))
    return path


HALF = np.repeat([[255] * 14 + [0] * 14], 28, axis=0)


def test_a_picture_is_ink_of_the_square_in_its_middle(folder, capsys):
    train, test = data.load("train", str(folder)), data.load("test", str(folder))
    assert (len(train), len(test)) == (18, 2)
    assert np.array_equal(np.array(train.images)[0, ..., 0], HALF)
    assert set(train.labels.tolist()) == {0}
    assert "pictures of my pictures, train split: 18 images" in capsys.readouterr().out


def test_every_tenth_picture_is_held_out_and_folders_are_classes(folder):
    (folder / "b").mkdir()
    (folder / "b" / "0.JPG").write_bytes(b"")
    for index in range(10):
        Image.new("L", (30, 40), 20 * index).save(folder / "b" / f"{index}.JPG", "JPEG")
    train, test = data.load("train", str(folder)), data.load("test", str(folder))
    assert train.labels.tolist() == [0] * 18 + [1] * 9
    assert np.array(test.images)[2].tolist() == np.full((28, 28, 1), 255 - 180).tolist()


@pytest.mark.parametrize(
    ("mode", "name"),
    [("L", "a.png"), ("RGB", "a.tif"), ("P", "a.gif"), ("1", "a.png"), ("CMYK", "a.jpg"), ("LA", "a.webp")],
)
def test_every_usual_kind_of_picture(tmp_path, mode, name):
    pixels = np.pad(np.zeros((112, 56), np.uint8), ((0, 0), (0, 56)), constant_values=255)
    options = {"lossless": True} if name.endswith("webp") else {"quality": 100} if name.endswith("jpg") else {}
    Image.fromarray(pixels).convert(mode).save(tmp_path / name, **options)
    assert np.abs(pictures.ink(tmp_path / name).astype(int) - HALF).max() <= 2


def test_what_is_transparent_is_paper(tmp_path):
    pixels = np.zeros((56, 56, 4), np.uint8)  # black, but transparent
    pixels[:, :28, 3] = 255
    (tmp_path / "a.png").write_bytes(png(pixels))
    assert np.array_equal(pictures.ink(tmp_path / "a.png"), HALF)


def test_a_photo_that_was_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it a quarter clockwise
    sideways = Image.fromarray(np.rot90(255 - HALF.astype(np.uint8)).repeat(4, 0).repeat(4, 1))
    sideways.save(tmp_path / "a.jpg", quality=100, exif=exif)
    assert np.abs(pictures.ink(tmp_path / "a.jpg").astype(int) - HALF).max() <= 2


def test_shrinking_takes_the_average_of_an_area():
    pixels = np.random.default_rng(0).integers(0, 256, (56, 84), np.uint8)
    average = pixels.reshape(28, 2, 28, 3).mean(axis=(1, 3))
    assert np.abs(pictures.shrink(Image.fromarray(pixels)) - average).max() <= 1


def test_damaged_pictures_are_counted_and_the_first_is_named(folder):
    for name in ("03.png", "17.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    with pytest.raises(ValueError, match=re.escape(f"{folder / '03.png'}: ")) as error:
        data.load("train", str(folder))
    assert str(error.value).endswith("(2 of 20 pictures cannot be used)")


def test_a_picture_with_too_many_pixels_is_named(folder, monkeypatch):
    Image.new("L", (200, 200)).save(folder / "19.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    with pytest.raises(ValueError, match=r"19.png: Image size \(40000 pixels\) exceeds limit"):
        data.load("train", str(folder))


def test_pixels_of_sixteen_bits_are_refused(folder):
    Image.fromarray(np.full((30, 30), 40_000, np.uint16)).save(folder / "00.png")
    with pytest.raises(ValueError, match="00.png: has pixels of kind I;16, but 8 bits for each color are needed"):
        data.load("train", str(folder))


def test_other_files_are_left_out_with_a_warning_and_hidden_ones_without(folder):
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "IMG_1.HEIC").write_bytes(b"x")
    with pytest.warns(UserWarning, match="20 of 21 files are pictures, IMG_1.HEIC for example is not") as seen:
        assert len(data.load("train", str(folder))) == 18
    assert len(seen) == 1


def test_too_few_pictures(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"x")
    expected = (
        f"{tmp_path}: 0 of 1 files are pictures, IMG_1.HEIC for example is not; 10 to 100,000 pictures are needed"
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        data.load("train", str(tmp_path))


# An array in a file


def test_an_array_is_taken_as_it_is(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(20))
    train, test = data.load("train", str(tmp_path / "a.npz")), data.load("test", str(tmp_path / "a.npz"))
    assert np.array_equal(np.array(test.images)[..., 0], images[[9, 19]])
    assert test.labels.tolist() == [9, 19]
    assert (len(train), train.name) == (18, "pictures of a.npz, train split")


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"images": np.zeros((20, 28, 28))}, "'images' are float64 (20, 28, 28), but must be uint8 (n, height, width)"),
        ({"images": np.zeros((20, 32, 32, 3), np.uint8)}, "'images' are uint8 (20, 32, 32, 3), but must be"),
        ({"images": np.zeros((20, 0, 5), np.uint8)}, "'images' are uint8 (20, 0, 5), but must be"),
        ({"images": np.zeros((9, 28, 28), np.uint8)}, "(9, 28, 28), but 10 to 100,000 images are needed"),
        ({"images": np.ones((20, 28, 28), np.uint8)}, "(20, 28, 28) from 0 to 1, but pixels go from 0 to 255"),
        ({"images": np.full((20, 28, 28), 9, np.uint8), "labels": np.zeros(3)}, "'labels' are float64 (3,)"),
        ({"images": np.full((20, 28, 28), 9, np.uint8), "labels": np.full(20, 2**32 + 3)}, "'labels' are int64 (20,)"),
        ({"images": np.zeros(20, [("x" * 3000, "u1")])}, "but must be uint8 (n, height, width)"),
        ({"images": np.uint8(7)}, "'images' are uint8 (), but must be uint8 (n, height, width)"),
        ({"digits": np.zeros(3)}, "not an .npz file with an array 'images'"),
        ({"images": np.array([{}], object)}, "not an .npz file with an array 'images'"),
    ],
)
def test_an_array_that_does_not_fit_is_one_error(tmp_path, arrays, named):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=re.escape(named)) as error:
        data.load("train", str(path))
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 400


# The command line


def train(out: Path, *arguments: object) -> int:
    return main(["train", "--epochs", "1", "--batch-size", "9", "--out", str(out), *map(str, arguments)])


def test_a_generator_of_ones_own_pictures(folder, tmp_path, capsys):
    out, samples = tmp_path / "run", tmp_path / "samples.npz"
    assert train(out, "--data", folder, "--augment") == 0
    assert isinstance(checkpoints.load(out / "discriminator.safetensors"), models.MLPDiscriminator)
    generator = out / "generator.safetensors"
    assert main(["sample", "--model", str(generator), "--n", "300", "--out", str(samples)]) == 0
    about = checkpoints.read(generator)[1]["data"]
    assert about == "pictures of my pictures, train split"  # and not where they are
    assert main(["evaluate", str(samples)]) == 2
    assert "the generator learned from pictures of my pictures, not from" in capsys.readouterr().err
    assert len(json.loads((out / "history.json").read_text(encoding="utf-8"))["loss_d"]) == 1
    assert train(tmp_path / "again", "--data", samples) == 0  # what sample writes, train reads


@pytest.mark.parametrize("change", ["another folder", "no augmentation"])
def test_a_run_is_not_resumed_on_other_data_or_without_the_augmentation(folder, tmp_path, capsys, change):
    assert train(tmp_path / "run", "--data", folder, "--augment") == 0
    arguments = ["--data", folder, "--augment", "--resume", "--epochs", "2"]
    if change == "another folder":
        Image.new("L", (30, 30)).save(folder / "00.png")
    else:
        arguments.remove("--augment")
    assert train(tmp_path / "run", *arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "cannot resume: " + ("data is" if change == "another folder" else "discriminator is") in line


def test_a_folder_whose_name_is_not_utf_8(folder, tmp_path):
    """MLX could not write the name into the generator's file."""
    odd = folder.rename(tmp_path / "a\udcff")
    assert train(tmp_path / "run", "--data", odd) == 0
    about = checkpoints.read(tmp_path / "run" / "generator.safetensors")[1]
    assert about["data"] == r"pictures of a\udcff, train split"


def test_a_long_name_is_cut(tmp_path, capsys):
    assert train(tmp_path / "run", "--data", f"{'x' * 250}/" * 4) == 2
    assert len(capsys.readouterr().err) < 400


@pytest.mark.parametrize("name", ["mnits", "/no/such/folder", "~nosuchuser/folder", ""])
def test_a_name_that_is_nothing_is_one_line(tmp_path, capsys, name):
    assert train(tmp_path / "run", "--data", name) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        f"mlxgan train: data is {name!r}, but must be mnist, small, omniglot, fashion, a folder, or an .npz file"
    )


def test_a_conditional_generator_needs_ten_classes(folder, tmp_path, capsys):
    assert train(tmp_path / "run", "--data", folder, "--model", "conditional") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"mlxgan train: --data {folder} has 1 classes, but --model conditional draws ten"
