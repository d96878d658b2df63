"""A generator outside Python: the file that is exported, and the same noise as the same digit in three languages."""

from mlxgan import checkpoints, export, layers, models, training
from mlxgan.__main__ import main

import subprocess
import warnings
from pathlib import Path

import export_times as tool
import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

CLOSE = 1e-4  # of a range of 2


def shipped(name: str = tool.MODEL):
    """The shipped generator, without its referee if it has one."""
    model = checkpoints.load_pretrained(name)
    return model.get("generator", model)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """The folder into which the command has written."""
    folder = tmp_path_factory.mktemp("exported") / "new"
    assert main(["export", "--model", tool.MODEL, "--out", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["example.safetensors", "generator.mlxfn"]
    return folder


@pytest.fixture(scope="module")
def example(exported) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in checkpoints.read(exported / "example.safetensors")[0].items()}


@pytest.mark.parametrize("n", export.BATCHES)
def test_the_file_draws_what_the_package_draws(exported, n):
    z, labels = mx.random.normal((n, 100), key=mx.random.key(n)), mx.arange(n) * 7 % 10
    (images,) = mx.import_function(str(exported / "generator.mlxfn"))(z, labels)
    assert mx.allclose(images, training.sample(shipped(), z, labels), atol=CLOSE)


@pytest.mark.parametrize("name", sorted({*checkpoints.pretrained_names()} - {"classifier", "judge", tool.MODEL}))
def test_every_shipped_generator_can_be_exported(tmp_path, name):
    generator = shipped(name)
    export.write(tmp_path, generator)
    inputs = export.inputs(generator, 10)
    (images,) = mx.import_function(str(tmp_path / "generator.mlxfn"))(*inputs)
    assert mx.allclose(images, training.sample(shipped(name), *inputs), atol=CLOSE)


def test_the_example_is_what_python_draws(exported, example):
    assert example["labels"].tolist() == list(range(10))
    images = training.sample(shipped(), mx.array(example["z"]), mx.array(example["labels"]))
    assert np.abs(example["images"] - np.array(images)).max() < CLOSE
    assert checkpoints.read(exported / "example.safetensors")[1]["data"] == "MNIST, train split"


def test_another_number_of_images_is_refused(exported):
    generator = mx.import_function(str(exported / "generator.mlxfn"))
    with pytest.raises(ValueError, match="No imported function found"):
        generator(mx.zeros((2, 100)), mx.arange(2))


def test_the_weights_are_in_the_file_once_and_in_float32(exported):
    weights = sum(array.nbytes for _, array in tree_flatten(shipped().parameters()))
    assert weights < (exported / "generator.mlxfn").stat().st_size < 1.01 * weights


def test_a_generator_in_training_mode_is_exported_in_evaluation_mode(tmp_path):
    generator = shipped().train()
    export.write(tmp_path, generator)
    z, labels = export.inputs(generator, 10)
    draw = mx.import_function(str(tmp_path / "generator.mlxfn"))
    alone = mx.import_function(str(tmp_path / "generator.mlxfn"))(z[:1], labels[:1])[0]
    assert mx.allclose(draw(z, labels)[0][:1], alone, atol=CLOSE)
    assert mx.isfinite(generator.norm1.running_mean).all()  # it can be used after that


def test_stock_convolutions_compute_the_same_from_the_same_parameters():
    for model, x in (
        (models.DCGANGenerator(channels=4, hidden=8).eval(), mx.random.normal((2, 100))),
        (models.DCGANDiscriminator(channels=4, hidden=8).eval(), mx.random.normal((2, 28, 28, 1))),
    ):
        before, names = model(x), [name for name, _ in tree_flatten(model.parameters())]
        assert export.stock(model) is model
        assert mx.allclose(model(x), before, atol=1e-5)
        assert [name for name, _ in tree_flatten(model.parameters())] == names
        assert not any(isinstance(layer, layers.Conv2d | layers.ConvTranspose2d) for layer in model.modules())


def skip_without(*programs: str) -> None:
    if absent := tool.missing(*programs):
        how = f"not tested in this language: {', '.join(absent)} not installed"
        warnings.warn(how, stacklevel=2)
        pytest.skip(how)


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The program of tools/cpp."""
    skip_without("cmake", "c++")
    return tool.build(tmp_path_factory.mktemp("cpp"))


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.slow
def test_cpp_draws_what_python_draws(program, exported, example, tmp_path):
    done = run(program, exported / "generator.mlxfn", exported / "example.safetensors", tmp_path / "out")
    assert done.returncode == 0 and done.stdout.startswith("10 images, ") and done.stderr == ""
    images = np.load(tmp_path / "out.npy")
    assert images.shape == (10, 28, 28, 1) and images.dtype == np.float32
    assert np.abs(images - example["images"]).max() < CLOSE
    head, sheet = (tmp_path / "out.pgm").read_bytes().split(b"\n", 1)
    assert head == b"P5 280 28 255"
    levels = np.frombuffer(sheet, np.uint8).reshape(28, 10, 28).swapaxes(0, 1)
    assert np.abs((images[..., 0] + 1) * 127.5 - levels).max() <= 0.501


@pytest.mark.slow
def test_cpp_draws_a_sheet_from_the_same_random_numbers(program, exported, tmp_path):
    z, labels = export.inputs(shipped(), 100)
    mx.save_safetensors(str(tmp_path / "in.safetensors"), {"z": mx.zeros_like(z), "labels": labels})
    done = run(program, exported / "generator.mlxfn", tmp_path / "in.safetensors", tmp_path / "out", 1, 7)
    assert done.returncode == 0, done.stderr
    z = mx.random.normal(z.shape, key=mx.random.key(7))
    assert np.array_equal(np.load(tmp_path / "out-z.npy"), np.array(z))
    wanted = training.sample(shipped(), z, labels)
    assert np.abs(np.load(tmp_path / "out.npy") - np.array(wanted)).max() < CLOSE
    assert (tmp_path / "out.pgm").read_bytes().startswith(b"P5 280 280 255\n")


@pytest.mark.slow
def test_cpp_says_in_one_line_what_is_wrong(program, exported, tmp_path):
    mx.save_safetensors(str(tmp_path / "two.safetensors"), {"z": mx.zeros((2, 100)), "labels": mx.arange(2)})
    mx.save_safetensors(str(tmp_path / "no-z.safetensors"), {"labels": mx.arange(2)})
    for arguments, said in (
        ((), "usage: digits FUNCTION INPUTS OUT"),
        ((tmp_path / "nothing", exported / "example.safetensors", tmp_path / "out"), "nothing"),
        ((exported / "generator.mlxfn", tmp_path / "two.safetensors", tmp_path / "out"), "No imported function"),
        (
            (exported / "generator.mlxfn", tmp_path / "no-z.safetensors", tmp_path / "out"),
            "no-z.safetensors has no array z",
        ),
        ((exported / "generator.mlxfn", exported / "example.safetensors", tmp_path / "out", "x"), "'x' is not a whole"),
    ):
        done = run(program, *arguments)
        assert done.returncode == 1 and done.stderr.startswith("digits: ") and said in done.stderr.splitlines()[0]
    assert not list(tmp_path.glob("out*"))


def test_the_pages_javascript_draws_what_python_draws(exported, example, tmp_path):
    skip_without("node")
    script, inputs = tool.common.ROOT / "tools" / "draw_in_node.js", exported / "example.safetensors"
    subprocess.run(["node", script, inputs, tmp_path / "out"], check=True, capture_output=True)
    images = np.fromfile(tmp_path / "out", np.float32).reshape(example["images"].shape)
    levels = np.abs(images - example["images"]) * 127.5
    assert example["images"].max() > 0.9 and levels.max() < 2
