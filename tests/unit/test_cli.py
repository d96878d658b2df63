"""The command line."""

from mlxgan import checkpoints, data, files, metrics, models, recipes, rejection, resume, training
from mlxgan.__main__ import main
from mlxgan.history import History

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from PIL import Image


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "generator.safetensors"
    checkpoints.save(path, models.MLPGenerator(latent_dim=5))
    return str(path)


def test_train_then_sample(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "--epochs", "1", "--batch-size", "500", "--out", str(out)]) == 0
    history = json.loads((out / "history.json").read_text(encoding="utf-8"))
    assert set(history) == {"loss_d", "loss_g", "d_real", "d_fake", "seconds", "spread", "stopped"}
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
        ("sample --model nothing --out {tmp}/a.png", "nothing: no such file (pretrained models: best, classifier"),
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
        ("export", "--out"),
        ("export --model nothing --out {tmp}/run", "nothing: no such file (pretrained models: best, classifier"),
        ("export --model classifier --out {tmp}/run", "a Classifier, not a generator"),
        ("export --model {tmp}/text --out {tmp}/run", "text: not a whole safetensors file"),
        ("export --out {tmp}/text", "File exists: "),
        ("export --out {tmp}/text/run", "text/run"),
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
    (tmp_path / "text").write_text("no checkpoint", encoding="utf-8")
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


@pytest.mark.parametrize(
    ("arguments", "epochs", "batch_size"),
    [([], 12, 64), (["--epochs", "3"], 3, 64), (["--batch-size", "100"], 12, 100)],
)
def test_the_chapter_says_how_long_a_run_is_unless_the_reader_does(
    tmp_path, monkeypatch, arguments, epochs, batch_size
):
    asked = []
    monkeypatch.setattr(resume, "train", lambda *networks, **settings: asked.append(settings) or History())
    assert main(["train", "--model", "dcgan", "--out", str(tmp_path), *arguments]) == 0
    assert [(each["epochs"], each["batch_size"]) for each in asked] == [(epochs, batch_size)]
    assert checkpoints.read(tmp_path / "generator.safetensors")[1]["epochs"] == str(epochs)


def test_the_batch_size_is_the_recipes(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(recipes.RECIPES, "mlp", replace(recipes.RECIPES["mlp"], batch_size=2000))
    assert main(["train", "--out", str(tmp_path)]) == 2
    assert "batch_size is 2000" in capsys.readouterr().err  # there are 1,500 images


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


@pytest.fixture
def selective(tmp_path):
    """The path of a generator with a referee that accepts about half of what is drawn."""
    mx.random.seed(0)
    network = rejection.Selective(channels=2, hidden=8).eval()
    labels = mx.arange(100) % 10
    log_ratios = network.log_ratio(network(mx.random.normal((100, 100)), labels), labels)
    network.thresholds = log_ratios.reshape(10, 10).mean(axis=0) + np.log(2)
    checkpoints.save(tmp_path / "selective.safetensors", network, notes={"data": data.load("train").name})
    return str(tmp_path / "selective.safetensors")


def test_a_referee_selects_what_is_drawn_and_the_fraction_is_told(tmp_path, capsys, selective):
    path = tmp_path / "fives.npz"
    assert main(["sample", "--model", selective, "--digit", "5", "--n", "400", "--out", str(path)]) == 0
    [said] = re.findall(r"wrote 400 images to \S+; the referee accepted (\d+)% of those drawn", capsys.readouterr().out)
    assert 40 <= int(said) <= 60
    stored = np.load(path)
    assert stored["images"].shape == (400, 28, 28) and stored["labels"].tolist() == [5] * 400
    assert main(["evaluate", str(path)]) == 0


def test_what_is_exported_of_a_selective_generator_is_the_generator(tmp_path, capsys, selective):
    assert main(["export", "--model", selective, "--out", str(tmp_path / "out")]) == 0
    assert "without the referee" in capsys.readouterr().out
    z, labels = mx.random.normal((10, 100)), mx.arange(10)
    (images,) = mx.import_function(str(tmp_path / "out" / "generator.mlxfn"))(z, labels)
    assert mx.allclose(images, training.sample(checkpoints.load(selective).generator, z, labels), atol=1e-4)
    referee = sum(a.nbytes for _, a in tree_flatten(checkpoints.load(selective).classifier.parameters()))
    assert (tmp_path / "out" / "generator.mlxfn").stat().st_size < referee


@pytest.fixture
def samples(tmp_path):
    """Samples of a conditional generator that says it has learned from the small digits, as the tests do."""
    notes = {"data": data.load("train").name}
    checkpoints.save(tmp_path / "g.safetensors", models.ConditionalGenerator(channels=2, hidden=4), notes=notes)
    path = tmp_path / "samples.npz"
    assert main(["sample", "--model", str(tmp_path / "g.safetensors"), "--n", "400", "--out", str(path)]) == 0
    return path


def test_samples_are_not_compared_with_other_digits_than_the_generator_knows(tmp_path, capsys):
    path = tmp_path / "samples.npz"
    assert main(["sample", "--model", "mlp", "--n", "400", "--out", str(path)]) == 0
    assert main(["evaluate", str(path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        f"mlxgan evaluate: {path}: the generator learned from MNIST, "
        "not from scikit-learn's small digits instead of MNIST"
    )


def test_evaluate_prints_the_table_and_the_agreement(samples, capsys):
    path = samples
    assert main(["evaluate", str(path)]) == 0
    printed = capsys.readouterr().out
    rows = {line.split("  ")[0]: line for line in printed.splitlines()}
    assert "floor" in printed and "samples" in printed
    assert {"Fréchet distance", "kernel distance", "precision", "coverage", "fraction of 9s"} <= set(rows)
    assert "400 samples: compare these figures only with those of as many" in printed
    assert "does not say which images" not in printed
    assert "is the digit asked for: 0 " in printed


def test_samples_of_unknown_origin_are_measured_with_a_note(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28), np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    assert main(["evaluate", str(tmp_path / "a.npz")]) == 0
    assert f"{tmp_path / 'a.npz'} does not say which images its generator learned from" in capsys.readouterr().out


def test_images_that_are_all_alike_are_noticed_where_they_are_drawn_and_measured(tmp_path, capsys):
    generator = models.MLPGenerator()
    generator.layers[-1].weight *= 0
    checkpoints.save(tmp_path / "g.safetensors", generator)
    path = str(tmp_path / "samples.npz")
    assert main(["sample", "--model", str(tmp_path / "g.safetensors"), "--n", "400", "--out", path]) == 0
    assert main(["evaluate", path]) == 0
    said = [line.split(" (")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == [f"mlxgan {command}: all 400 images are alike" for command in ("sample", "evaluate")]
    assert main(["sample", "--n", "400", "--out", path]) == 0
    assert capsys.readouterr().err == ""


# One clear line, whatever is in the way


def python_m(*arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mlxgan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


RESTORE = partial(signal.signal, signal.SIGINT, signal.default_int_handler)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.3, 0.6, 1.2, 2.4])
@pytest.mark.parametrize(
    "arguments",
    [["train", "--epochs", "1000", "--batch-size", "100"], ["sample", "--model", "dcgan", "--n", "100000"]],
    ids=["train", "sample"],
)
def test_ctrl_c_at_any_moment_is_status_130(tmp_path, arguments, seconds):
    """While modules are imported, while kernels are built by g++, which gets the Ctrl-C too, and in a step."""
    command = [sys.executable, "-m", "mlxgan", *arguments, "--out", str(tmp_path / "out.npz")]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}  # no kernel is there yet
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    child = subprocess.Popen(command, env=environment, preexec_fn=RESTORE, **pipes)
    time.sleep(seconds)
    while child.poll() is None and not Path(f"/proc/{child.pid}/environ").read_bytes():
        time.sleep(0.01)  # Python itself is still starting
    os.killpg(child.pid, signal.SIGINT)  # a terminal sends it to every process
    said = child.communicate(timeout=60)[1]
    if seconds < 0.1 and "Fatal Python error" in said:  # Python itself had not started yet
        return
    assert child.returncode in (130, -signal.SIGINT) if seconds < 0.1 else child.returncode == 130, (said, child)
    assert "Traceback" not in said or seconds < 0.1


@pytest.mark.parametrize("moment", ["while the options are read", "while another error is handled"])
def test_ctrl_c_outside_the_work_is_status_130_too(tmp_path, capsys, monkeypatch, moment):
    def interrupt(*_):
        raise KeyboardInterrupt

    if moment == "while the options are read":
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", interrupt)
    else:
        broken = type("Broken", (RuntimeError,), {"__str__": interrupt})  # g++ has ended, because it got the Ctrl-C too
        monkeypatch.setattr(checkpoints, "load", Mock(side_effect=broken))
    assert main(["sample", "--out", str(tmp_path / "a.png")]) == 130
    assert re.fullmatch(r"mlxgan( sample)?: interrupted\n", capsys.readouterr().err)


@pytest.mark.parametrize("out", ["a.npz", "a.txt"], ids=["of what was done", "of an error"])
def test_standard_output_that_is_full_is_one_line(tmp_path, out):
    command = [sys.executable, "-m", "mlxgan", "sample", "--n", "4", "--out", str(tmp_path / out)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "wb") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=buffered)
    [line] = run.stderr.splitlines()
    assert run.returncode == 2 and line.startswith("mlxgan sample: ")
    assert ("No space left on device" in line) == (out == "a.npz")


def test_ctrl_c_while_the_first_one_is_reported_is_status_130():
    """The report goes into a pipe that is already full, where it waits."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for size in (1000, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, bytes(size))
    os.set_blocking(writer, True)
    program = "import runpy, sys, mlxgan.data\n"
    program += "def interrupt(*_): print('ready', flush=True); raise KeyboardInterrupt\n"
    program += "mlxgan.data.draw_labels = interrupt; sys.argv = ['mlxgan', 'sample', '--model', 'conditional']\n"
    program += "runpy.run_module('mlxgan', run_name='__main__')"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer, preexec_fn=RESTORE) as child:
        os.close(writer)
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        try:
            assert child.wait(20) == 130
        finally:
            child.kill()
    os.close(reader)


def test_two_runs_into_one_folder(tmp_path, capsys):
    with files.locked(tmp_path / "checkpoints"):
        run = python_m("train", "--epochs", "1", "--batch-size", "1500", "--out", tmp_path)
    assert run.returncode == 2
    [line] = run.stderr.splitlines()
    assert line == f"mlxgan train: {tmp_path / 'checkpoints'}: another process is writing there"


def test_a_name_that_the_terminal_cannot_show_is_no_failure(tmp_path):
    out = tmp_path / "Zoë.npz"
    run = python_m("sample", "--n", "2", "--out", out, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert run.returncode == 0 and out.exists() and "Zo\\xeb.npz" in run.stdout


def test_a_name_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    assert main(["train", "--out", f"{tmp_path}/a\udcff"]) == 2
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert "is not a name in UTF-8" in line and "epoch" not in printed.out and not list(tmp_path.iterdir())


def test_a_closed_stderr_is_no_failure(tmp_path):
    """There a progress bar has nothing to write to."""
    (tmp_path / "pictures").mkdir()
    for index in range(10):
        Image.new("L", (28, 28), 20 * index).save(tmp_path / "pictures" / f"{index}.png")
    command = '"$0" -m mlxgan train --epochs 1 --batch-size 9 --data "$1"/pictures --out "$1"/run 2>&-'
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    run = subprocess.run(["sh", "-c", command, sys.executable, str(tmp_path)], env=environment, capture_output=True)
    assert run.returncode == 0 and (tmp_path / "run" / "generator.safetensors").exists()


@pytest.mark.slow
def test_progress_in_a_file_is_a_line_per_epoch(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    run = python_m("train", "--epochs", "2", "--batch-size", "500", "--out", tmp_path, env=environment)
    assert run.returncode == 0 and run.stderr == ""
    assert [line.split()[:2] for line in run.stdout.splitlines()[1:3]] == [["epoch", "1"], ["epoch", "2"]]


def test_a_picture_that_nothing_could_open_is_refused(tmp_path, capsys):
    assert main(["sample", "--n", "10001", "--out", str(tmp_path / "a.png")]) == 2
    assert "a picture holds 10,000 images at most; write an .npz" in capsys.readouterr().err


@pytest.mark.parametrize("labels", [np.arange(200), np.arange(200) - 100, np.full(200, 10)])
def test_labels_beyond_the_digits_are_refused(tmp_path, capsys, labels):
    np.savez(tmp_path / "a.npz", images=np.zeros((200, 28, 28), np.uint8), labels=labels)
    assert main(["evaluate", str(tmp_path / "a.npz")]) == 2
    found = f"'labels' are from {labels.min()} to {labels.max()}, but must be from 0 to 9"
    assert found in capsys.readouterr().err


def test_a_generator_of_color_is_refused(tmp_path, capsys):
    path = tmp_path / "g.safetensors"
    checkpoints.save(path, models.DCGANGenerator(channels=2, hidden=4, image_channels=3))
    assert main(["sample", "--model", str(path), "--out", str(tmp_path / "a.png")]) == 2
    assert "not a generator of gray images" in capsys.readouterr().err


def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "a.npz")
    assert main(["evaluate", str(tmp_path / "a.npz")]) == 2
    assert "not a regular file" in capsys.readouterr().err


def test_mnist_that_is_not_there_is_one_line(tmp_path):
    environment = os.environ | {"MLXGAN_SMOKE": "0", "MNIST_DIR": "/typo"}
    run = python_m("train", "--epochs", "1", "--out", tmp_path / "run", env=environment)
    assert run.returncode == 2
    assert run.stderr == (
        "mlxgan train: MNIST_DIR is '/typo', but there is no train-images-idx3-ubyte.gz in that folder\n"
    )
