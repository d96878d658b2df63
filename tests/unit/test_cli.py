"""The command line."""

from mlxgan import checkpoints, data, metrics, models
from mlxgan.__main__ import main

import json
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "generator.safetensors"
    checkpoints.save(path, models.MLPGenerator(latent_dim=5))
    return str(path)


def test_train_then_sample(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "--epochs", "1", "--batch-size", "500", "--out", str(out)]) == 0
    history = json.loads((out / "history.json").read_text())
    assert set(history) == {"loss_d", "loss_g", "d_real", "d_fake", "seconds", "stopped"}
    assert isinstance(checkpoints.load(out / "discriminator.safetensors"), models.MLPDiscriminator)
    samples = tmp_path / "samples.npz"
    arguments = ["sample", "--model", str(out / "generator.safetensors"), "--n", "7", "--out", str(samples)]
    assert main(arguments) == 0
    images = np.load(samples)["images"]
    assert images.shape == (7, 28, 28) and images.dtype == np.uint8
    assert "small digits instead of MNIST" in capsys.readouterr().out


def test_the_shipped_model_is_the_default_and_the_seed_decides(tmp_path):
    paths = [tmp_path / f"{index}.npz" for index in range(3)]
    for path, seed in zip(paths, "001", strict=True):
        assert main(["sample", "--n", "4", "--seed", seed, "--out", str(path)]) == 0
    first, again, other = (np.load(path)["images"] for path in paths)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(("n", "size"), [(1, (56, 56)), (7, (176, 176)), (300, (956, 1136))])
def test_a_grid(tmp_path, trained, n, size):
    path = tmp_path / "grid.png"
    assert main(["sample", "--model", trained, "--n", str(n), "--out", str(path)]) == 0
    assert Image.open(path).size == size


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("sample --n 0", "--n: '0' is not a whole number from 1"),
        ("sample --n many", "--n: 'many'"),
        ("sample --seed -1", "--seed: '-1'"),
        ("sample --out samples.txt", "--out is 'samples.txt', but must end in .npz or .png"),
        ("sample --model nothing --out {tmp}/a.png", "nothing: no such file (pretrained models: classifier"),
        ("sample --model {tmp} --out {tmp}/a.png", "no such file"),
        ("sample --model {tmp}/text --out {tmp}/a.png", "text: not a whole safetensors file"),
        ("sample --model {tmp}/discriminator.safetensors --out {tmp}/a.png", "MLPDiscriminator, not a generator"),
        ("sample --out {tmp}/folder.png", "which is a folder"),
        ("sample --out {tmp}/text/a.png", "text"),
        ("train --model dream --out {tmp}/run", "--model: invalid choice: 'dream'"),
        ("train --epochs 0 --out {tmp}/run", "--epochs: '0'"),
        ("train --batch-size 2000 --out {tmp}/run", "batch_size is 2000"),
        ("train --out {tmp}/text", "which is not a folder"),
        ("train", "--out"),
        ("sample --digit 12 --out {tmp}/a.png", "--digit: '12' is not a whole number from 0 to 9"),
        ("sample --model mlp --digit 3 --out {tmp}/a.png", "--digit is 3, but mlp is not a conditional generator"),
        ("sample --model {tmp}/five.safetensors --out {tmp}/a.png", "draws 5 classes, not the ten digits"),
        ("sample --model classifier --out {tmp}/a.png", "a Classifier, not a generator"),
        ("evaluate {tmp}/nothing.npz", "nothing.npz"),
        ("evaluate {tmp}/text", "text: not an .npz file with an array 'images'"),
        ("evaluate {tmp}/folder.png", "folder.png"),
        (
            "evaluate {tmp}/few.npz",
            "few.npz: 'images' are uint8 (5, 28, 28), but must be uint8 (n, 28, 28), n at least 200",
        ),
        ("evaluate {tmp}/floats.npz", "'images' are float64 (300, 28, 28)"),
        ("evaluate {tmp}/other.npz", "not an .npz file with an array 'images'"),
        ("evaluate {tmp}/objects.npz", "not an .npz file with an array 'images'"),
        ("evaluate {tmp}/labels.npz", "'labels' are int64 (2,)"),
        ("evaluate {tmp}/plain.npy", "not an .npz file"),
        ("evaluate", "samples"),
        ("", "command"),
    ],
)
def test_a_bad_argument_is_one_line_and_status_2(tmp_path, capsys, arguments, named):
    (tmp_path / "text").write_text("no checkpoint")
    (tmp_path / "folder.png").mkdir()
    checkpoints.save(tmp_path / "discriminator.safetensors", models.MLPDiscriminator())
    five = models.ConditionalGenerator(latent_dim=1, classes=5, channels=1, hidden=1)
    checkpoints.save(tmp_path / "five.safetensors", five)
    images = np.zeros((300, 28, 28), np.uint8)
    np.savez(tmp_path / "few.npz", images=images[:5])
    np.savez(tmp_path / "floats.npz", images=images / 2)
    np.savez(tmp_path / "other.npz", digits=images)
    np.savez(tmp_path / "objects.npz", images=np.array([{}], object))
    np.savez(tmp_path / "labels.npz", images=images, labels=np.array([1, 2]))
    np.save(tmp_path / "plain.npy", images)
    before = sorted(tmp_path.rglob("*"))
    try:
        status = main(arguments.format(tmp=tmp_path).split())
    except SystemExit as leave:  # argparse
        status = leave.code
    error = capsys.readouterr().err
    line = error.splitlines()[-1]
    assert status == 2
    assert named in line and line.startswith("mlxgan")
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()] == []


def test_as_a_module(tmp_path):
    command = [sys.executable, "-m", "mlxgan", "sample", "--n", "2", "--out", str(tmp_path / "a.npz")]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0
    run = subprocess.run([*command, "--model", "nothing"], capture_output=True, text=True)
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1


def test_noise_does_not_depend_on_earlier_draws(tmp_path, trained):
    paths = [tmp_path / f"{index}.npz" for index in range(2)]
    for path in paths:
        mx.random.normal((3,))
        main(["sample", "--model", trained, "--n", "2", "--out", str(path)])
    assert np.array_equal(*(np.load(path)["images"] for path in paths))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["dcgan", "conditional"])
def test_the_other_models_train_too(tmp_path, model):
    assert main(["train", "--model", model, "--epochs", "1", "--batch-size", "64", "--out", str(tmp_path)]) == 0
    assert hasattr(checkpoints.load(tmp_path / "generator.safetensors"), "classes") == (model == "conditional")


def test_a_digit_is_drawn_to_order(tmp_path):
    paths = {name: tmp_path / f"{name}.npz" for name in ("sevens", "all")}
    arguments = ["sample", "--model", "conditional", "--n", "20", "--out"]
    assert main([*arguments, str(paths["sevens"]), "--digit", "7"]) == 0
    assert main([*arguments, str(paths["all"])]) == 0
    sevens, every = (np.load(path) for path in paths.values())
    assert sevens["labels"].tolist() == [7] * 20
    assert np.bincount(every["labels"]).tolist() == np.bincount(np.array(data.draw_labels(20))).tolist()
    seen = metrics.features(checkpoints.load_pretrained("classifier"), mx.array(sevens["images"][..., None]))[1]
    assert (seen.argmax(axis=1) == 7).mean() >= 0.9
    shared = every["labels"] == 7
    assert shared.sum() == 2
    assert np.array_equal(sevens["images"][shared], every["images"][shared])  # the same noise, the same class


def test_evaluate_prints_the_table_and_the_agreement(tmp_path, capsys):
    path = tmp_path / "samples.npz"
    assert main(["sample", "--model", "conditional", "--n", "400", "--out", str(path)]) == 0
    assert main(["evaluate", str(path)]) == 0
    printed = capsys.readouterr().out
    rows = {line.split("  ")[0]: line for line in printed.splitlines()}
    assert "floor" in printed and "samples" in printed
    assert {"FID", "KID", "precision", "recall", "share of 9s"} <= set(rows)
    assert "400 samples: compare these figures only with those of as many" in printed
    assert "is the digit asked for: 0 " in printed
