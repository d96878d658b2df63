"""Checkpoints: whole, strict, and the ones that ship."""

from mlxgan import checkpoints, models, training

import json
import os
import re
import stat

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten


def same(a, b, tolerance=0.0):
    pairs = zip(tree_flatten(a.parameters()), tree_flatten(b.parameters()), strict=True)
    return all(mx.abs(x - y).max().item() <= tolerance for (_, x), (_, y) in pairs)


def test_round_trip(tmp_path):
    generator = models.MLPGenerator(latent_dim=12)
    path = tmp_path / "new" / "inner" / "generator.safetensors"
    checkpoints.save(path, generator, notes={"data": "MNIST"})
    loaded = checkpoints.load(path)
    assert isinstance(loaded, models.MLPGenerator) and loaded.latent_dim == 12
    assert same(generator, loaded)
    assert not loaded.training
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    _, about = mx.load(str(path), return_metadata=True)
    assert about["data"] == "MNIST" and about["model"] == "MLPGenerator"


def test_half_precision_is_loaded_as_float32(tmp_path):
    generator = models.MLPGenerator()
    checkpoints.save(tmp_path / "full.safetensors", generator)
    checkpoints.save(tmp_path / "half.safetensors", generator, dtype=mx.float16)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.51 * sizes[0]
    loaded = checkpoints.load(tmp_path / "half.safetensors")
    assert loaded.layers[0].weight.dtype == mx.float32
    assert same(generator, loaded, tolerance=1e-4)


def test_column_major_weights_are_saved_right(tmp_path):
    generator = models.MLPGenerator()
    plain = mx.array(generator.layers[0].weight)
    generator.layers[0].weight = mx.contiguous(plain.T).T
    checkpoints.save(tmp_path / "a.safetensors", generator)
    assert mx.array_equal(checkpoints.load(tmp_path / "a.safetensors").layers[0].weight, plain)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    generator = models.MLPGenerator(latent_dim=3)
    checkpoints.save(path, generator)
    old = path.read_bytes()

    def cut_off(name, *_):
        with open(name, "wb") as file:
            file.write(old[:100])
        raise OSError("no space left")

    monkeypatch.setattr(mx, "save_safetensors", cut_off)
    with pytest.raises(OSError, match="no space left"):
        checkpoints.save(path, models.MLPGenerator(latent_dim=3))
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_mlx_while_it_writes_names_the_folder(tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("write failed")

    monkeypatch.setattr(mx, "save_safetensors", full)
    with pytest.raises(OSError, match=re.escape(f"{tmp_path}: could not be written (write failed)")):
        checkpoints.save(tmp_path / "a.safetensors", models.MLPGenerator(latent_dim=3))
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, models.MLPGenerator(latent_dim=3))
    old = path.read_bytes()
    with open(path, "rb") as reader:
        checkpoints.save(path, models.MLPGenerator(latent_dim=3))
        assert reader.read() == old != path.read_bytes()  # renamed into place, not written over


@pytest.fixture
def after_power_cut(monkeypatch):
    """What is left of a folder by a power cut: the names that were there when it was last synced, and to each name
    what was in its file when that was last synced."""
    contents, folders = {}, {}

    def fsync(descriptor, really=os.fsync):
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            with os.scandir(descriptor) as entries:
                folders[about.st_ino] = {entry.name: entry.inode() for entry in entries}
        else:
            contents[about.st_ino] = os.pread(descriptor, about.st_size, 0)
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return lambda folder: {name: contents.get(number) for name, number in folders.get(folder.stat().st_ino, {}).items()}


def test_a_saved_model_survives_a_power_cut(tmp_path, after_power_cut):
    path = tmp_path / "a.safetensors"
    for _ in range(2):
        checkpoints.save(path, models.MLPGenerator(latent_dim=3))
        assert after_power_cut(tmp_path) == {path.name: path.read_bytes()}


def test_a_checkpoint_survives_a_power_cut(tmp_path, after_power_cut):
    for epoch in range(1, 6):
        path = checkpoints.save_run(tmp_path, epoch, {"x": mx.full((3,), epoch)}, {})
        assert after_power_cut(tmp_path)[path.name] == path.read_bytes()


def test_the_newest_checkpoint_is_that_of_the_last_epoch(tmp_path):
    for epoch in (2, 999_999, 1_000_000):
        checkpoints.save_run(tmp_path, epoch, {"x": mx.array(epoch)}, {})
    assert checkpoints.load_run(tmp_path)[1]["x"].item() == 1_000_000
    checkpoints.save_run(tmp_path, 1_000_001, {"x": mx.array(1_000_001)}, {})
    assert [path.name.split("-")[0] for path in checkpoints.runs(tmp_path)] == ["999999", "1000000", "1000001"]


@pytest.mark.parametrize("last", range(3))
def test_of_two_of_the_same_epoch_the_newest_is_that_written_last(tmp_path, last):
    paths = [checkpoints.save_run(tmp_path, 7, {"x": mx.array(value)}, {}) for value in range(3)]
    for value, path in enumerate(paths):
        os.utime(path, (1e9, 1e9 + (value == last)))
    assert checkpoints.load_run(tmp_path)[1]["x"].item() == last


def test_a_checkpoint_that_was_just_written_is_kept_whatever_others_there_are(tmp_path):
    for epoch in (7, 8, 9):
        checkpoints.save_run(tmp_path, epoch, {"x": mx.array(epoch)}, {})
    path = checkpoints.save_run(tmp_path, 1, {"x": mx.array(1)}, {})
    assert path.exists() and len(checkpoints.runs(tmp_path)) == 3


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must end in '.safetensors'"):
        checkpoints.save(tmp_path / "generator.npz", models.MLPGenerator())


def test_another_architecture_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, models.MLPGenerator(latent_dim=7))
    with pytest.raises(ValueError, match=r"layers.0.weight is \(256, 7\) in the file, \(256, 100\) in MLPGenerator"):
        checkpoints.load(path, models.MLPGenerator())
    checkpoints.save(path, models.MLPDiscriminator())
    with pytest.raises(ValueError, match=r"a.safetensors: parameter layers.0.bias is \(1024,\) in the file"):
        checkpoints.load(path, models.MLPGenerator())
    mx.save_safetensors(str(path), {"layers.0.bias": mx.zeros((1,) * 3000)})
    with pytest.raises(ValueError, match=r"layers.0.bias is \(1, 1, .* in the file, \(256,\) in") as error:
        checkpoints.load(path, models.MLPGenerator())
    assert len(str(error.value)) < len(str(path)) + 400


def test_a_missing_parameter_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, models.MLPGenerator())
    arrays, about = mx.load(str(path), return_metadata=True)
    del arrays["layers.2.bias"]
    mx.save_safetensors(str(path), arrays, about)
    with pytest.raises(ValueError, match="parameter layers.2.bias is absent in the file"):
        checkpoints.load(path)


@pytest.mark.parametrize(
    ("about", "named"),
    [
        ({}, "do not name a model"),
        ({"model": "nn", "arguments": "{}"}, "do not name a model"),
        ({"model": "MLPGenerator", "arguments": "{"}, "do not name a model"),
        ({"model": "MLPGenerator", "arguments": '{"depth": 3}'}, "do not name a model"),
    ],
)
def test_foreign_metadata(tmp_path, about, named):
    path = tmp_path / "a.safetensors"
    mx.save_safetensors(str(path), {"x": mx.zeros(2)}, about)
    with pytest.raises(ValueError, match=f"a.safetensors: its metadata {named}"):
        checkpoints.load(path)


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_cut_off_file(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    checkpoints.save(path, models.MLPGenerator(latent_dim=3))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="a.safetensors: not a whole safetensors file"):
        checkpoints.load(path)


def test_no_such_file_or_name(tmp_path):
    with pytest.raises(ValueError, match="nothing.safetensors: no such file"):
        checkpoints.load(tmp_path / "nothing.safetensors")
    with pytest.raises(ValueError, match="no pretrained model 'bigger'; there are: .*mlp"):
        checkpoints.load_pretrained("bigger")


def test_the_shipped_generator():
    path = checkpoints.PRETRAINED / "mlp.safetensors"
    assert path.stat().st_size < 4e6
    _, about = mx.load(str(path), return_metadata=True)
    assert about["data"] == "MNIST, train split" and about["epochs"] == "20"
    generator = checkpoints.load_pretrained("mlp")
    images = training.sample(generator, mx.random.normal((64, 100), key=mx.random.key(0)))
    ink = (images > 0).astype(mx.float32).mean(axis=(1, 2, 3))
    assert 0.019 < ink.min().item() and ink.max().item() < 0.4  # the least and the most of MNIST's training images
    assert 0.10 < ink.mean().item() < 0.16  # theirs is 0.13
    assert (images[:, :2] > 0).astype(mx.float32).mean().item() < 0.001  # and none at the upper edge


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    model = models.MLPGenerator(latent_dim=3)
    model.layers[1].bias = mx.full(512, value)
    checkpoints.save(tmp_path / "a.safetensors", model)
    with pytest.raises(ValueError, match="parameter layers.1.bias has values that are NaN or infinite"):
        checkpoints.load(tmp_path / "a.safetensors")


def test_a_file_of_holes_is_refused_before_it_is_read(tmp_path):
    """Eighty gigabytes that take no room on the disk, with a header that promises them."""
    header = json.dumps({"x": {"dtype": "F32", "shape": [2 * 10**10], "data_offsets": [0, 8 * 10**10]}}).encode()
    for name in ("a.safetensors", "000001-0123456789abcdef.safetensors"):
        with open(tmp_path / name, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + 8 * 10**10)
    with pytest.raises(ValueError, match="bytes, but 2,147,483,648 is the most"):
        checkpoints.load(tmp_path / "a.safetensors")
    with pytest.warns(UserWarning, match="is the most"), pytest.raises(ValueError, match="none of its 1 checkpoints"):
        checkpoints.load_run(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_only_regular_files_are_checkpoints(tmp_path, make):
    """A pipe without a writer would wait for ever, and some devices never end."""
    whole = checkpoints.save_run(tmp_path, 1, {"x": mx.array(1)}, {})
    make(tmp_path / "000002-0123456789abcdef.safetensors")
    assert checkpoints.load_run(tmp_path)[0] == whole


@pytest.mark.parametrize(
    "about",
    [
        {"model": "MLPGenerator", "arguments": "[" * 100_000},
        {"model": "MLPGenerator", "arguments": '{"latent_dim": "8"}'},
        {"model": "MLPGenerator", "arguments": '{"latent_dim": 1e300}'},
        {"model": "MLPGenerator", "arguments": '{"latent_dim": 1000000000000}'},
        {"model": "x" * 10_000, "arguments": "{}"},
    ],
)  # fmt: skip
def test_metadata_that_make_no_sense_are_one_short_error(tmp_path, about):
    path = tmp_path / "a.safetensors"
    mx.save_safetensors(str(path), {"x": mx.zeros(2)}, about)
    with pytest.raises(ValueError) as error:
        checkpoints.load(path)
    assert str(error.value).startswith(f"{path}: ") and len(str(error.value)) < len(str(path)) + 400
