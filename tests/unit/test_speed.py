"""What the benchmark of machines times, stores and prints."""

from mlxgan import training

import json
import sys
from itertools import count

import mlx.core as mx
import pytest
import speed
from mlx.utils import tree_flatten


@pytest.fixture
def device():
    """The default device, which is as it was after the test."""
    before = mx.default_device()
    yield
    mx.set_default_device(before)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", speed.DTYPES)
@pytest.mark.parametrize("model", speed.MODELS)
def test_a_step_is_timed_in_one_type_of_numbers(model, dtype, capsys, monkeypatch, device):
    networks, set_up = [], training.set_up

    def watched(*arguments, **settings):
        networks.extend(arguments)
        return set_up(*arguments, **settings)

    monkeypatch.setattr(training, "set_up", watched)
    speed.work(model, "cpu", dtype, batch=2, seconds=0.001)
    milliseconds, peak = capsys.readouterr().out.split()
    assert float(milliseconds) > 0 and int(peak) > 0
    generator, discriminator = networks
    fake = generator(mx.random.normal((2, 100)))  # the noise of a step is float32
    parameters = tree_flatten([generator.parameters(), discriminator.parameters()])
    numbers = {"fake": fake, "logits": discriminator(fake)} | dict(parameters)
    assert {name for name, array in numbers.items() if array.dtype != getattr(mx, dtype)} == set()


def with_gpu(monkeypatch, tf32: bool) -> None:
    monkeypatch.setattr(mx, "is_available", lambda device: True)
    monkeypatch.setattr(speed, "rounds_to_tf32", lambda: tf32)


def test_a_gpu_is_timed_in_each_type_of_numbers_that_it_has(monkeypatch):
    def found():
        return [(row["device"], row["dtype"], row["tf32"]) for row in speed.settings()]

    with_gpu(monkeypatch, tf32=False)
    without = [("cpu", "float32", False), ("gpu", "float32", False), ("gpu", "bfloat16", False)]
    assert found() == without
    with_gpu(monkeypatch, tf32=True)
    assert found() == [*without, ("gpu", "float32", True)]
    monkeypatch.setattr(mx, "is_available", lambda device: device == mx.cpu)
    assert found() == without[:1]


def test_tf32_shows_in_a_product(monkeypatch):
    monkeypatch.setattr(mx, "gpu", mx.cpu)
    assert not speed.rounds_to_tf32()
    product = mx.matmul

    def rounded(a, b, stream):  # to bfloat16, which is coarser than TF32 by three bits
        return product(a.astype(mx.bfloat16).astype(mx.float32), b, stream=stream)

    monkeypatch.setattr(mx, "matmul", rounded)
    assert speed.rounds_to_tf32()


def test_measurements_take_turns_and_tf32_is_off_unless_asked_for(monkeypatch):
    """On a machine that slows down by a millisecond with each measurement, the rounds of all rows differ alike."""
    clock = count()

    def work(script, model, *words, **environment):
        options = dict(zip(words[::2], words[1::2], strict=True))
        base = {"mlp": 100, "dcgan": 200}[model] + {"cpu": 50, "gpu": 0}[options["--device"]] + options["--batch"]
        peak = {"float32": 4, "bfloat16": 2}[options["--dtype"]] + 10 * int(environment["MLX_ENABLE_TF32"])
        return f"{base + next(clock)} {peak}\n"

    with_gpu(monkeypatch, tf32=True)
    monkeypatch.setattr(speed.common, "work", work)
    monkeypatch.setattr(speed, "BATCHES", (8, 16))
    rows = speed.measure(rounds=2, seconds=1)
    assert len(rows) == 4 * 2 * 2
    for number, row in enumerate(rows):
        base = {"mlp": 100, "dcgan": 200}[row["model"]] + {"cpu": 50, "gpu": 0}[row["device"]] + row["batch"]
        assert row["milliseconds"] == [base + number, base + number + len(rows)]
        assert row["peak_bytes"] == (2 if row["dtype"] == "bfloat16" else 14 if row["tf32"] else 4)
    assert sum(row["tf32"] for row in rows) == 4


def test_the_table_has_medians_and_images_per_second(monkeypatch):
    monkeypatch.setattr(speed, "BATCHES", (8, 16))
    rows = [
        {"device": device, "dtype": "float32", "tf32": tf32, "model": model, "milliseconds": [99.0, 9.5, batch / 8]}
        for device, tf32 in (("cpu", False), ("gpu", True))
        for model in speed.MODELS
        for batch in speed.BATCHES
    ]
    lines = speed.table(rows).splitlines()
    assert lines[0].split() == ["mlp", "batch", "8", "batch", "16"]
    assert lines[1].split("  ")[1] == "CPU, float32"
    assert lines[1].split()[2:] == ["9.5", "ms,", "842/s", "9.5", "ms,", "1,684/s"]  # 8 and 16 images in 9.5 ms
    assert lines[2].startswith("  GPU, float32 with TF32")
    assert lines[4].split()[0] == "dcgan"
    assert max(map(len, lines)) <= 100


@pytest.mark.slow
def test_the_command_writes_a_file_and_asks_for_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(speed, "FOLDER", tmp_path / "machines")
    monkeypatch.setattr(speed, "BATCHES", (2,))
    monkeypatch.setattr(sys, "argv", ["speed.py", "--name", "mine", "--by", "me", "--rounds", "1", "--seconds", "0.01"])
    speed.main()
    printed = capsys.readouterr().out
    assert "CPU, float32" in printed and "please contribute the file" in printed
    check(json.loads((tmp_path / "machines" / "mine.json").read_text(encoding="utf-8")), rounds=1)


def check(result: dict, rounds: int) -> None:
    assert {"machine", "gpu", "system", "run_by", "date", "versions"} <= result.keys()
    cpu = [row for row in result["rows"] if row["device"] == "cpu"]
    assert {row["model"] for row in cpu} == set(speed.MODELS)
    for row in result["rows"]:
        assert len(row["milliseconds"]) >= rounds and min(row["milliseconds"]) > 0 and row["peak_bytes"] > 0


@pytest.mark.parametrize("path", sorted(speed.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_the_files_of_the_book_are_whole(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    check(result, rounds=3)
    assert {row["batch"] for row in result["rows"]} == set(speed.BATCHES)
    assert result["run_by"] and result["versions"]["mlx"]
