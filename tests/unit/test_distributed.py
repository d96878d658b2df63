"""Training on several ranks equals training on one; a lost rank ends the job, and the job continues from its state."""

import mlxgan  # noqa: F401  (before mlx.core)
from mlxgan import checkpoints, files, models

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import distributed
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import ranks
from mlx.utils import tree_flatten

PYTHON = sys.executable
LAUNCH = Path(PYTHON).parent / "mlx.launch"
SCRIPT = Path(distributed.__file__)


def environment(compiled: bool = False, **others: str) -> dict[str, str]:
    """Return the environment of a rank. Without mx.compile no kernels are built, which takes longer than the steps."""
    changes = {"PYTHONPATH": str(SCRIPT.parent), "MLX_DISABLE_COMPILE": "1"} | others
    if compiled:
        changes.pop("MLX_DISABLE_COMPILE")
    return os.environ | changes


def free_port(count: int) -> int:
    """Return the first of as many neighboring free ports as there are ranks, below those that clients get."""
    while True:
        first = random.SystemRandom().randrange(20_000, 32_000)
        sockets = [socket.socket() for _ in range(count)]
        try:
            for offset, each in enumerate(sockets):
                each.bind(("127.0.0.1", first + offset))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()


def launch(count: int, *arguments: object, compiled: bool = False) -> str:
    """Run ``python ARGUMENTS`` on ``count`` ranks, under mlx.launch if there are several; return what they print."""
    command = [LAUNCH, "-n", count, "--starting-port", free_port(count), "--", PYTHON, *arguments]
    if count == 1:
        command = [PYTHON, *arguments]
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment(compiled),
    ) as process:
        assert process.stdout is not None
        timer = threading.Timer(240, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        printed = process.stdout.read()
        timer.cancel()
    return printed


def state(out: Path) -> dict[str, mx.array]:
    return checkpoints.load_run(out)[1]


def train(count: int, out: Path, *options: object, compiled: bool = False) -> dict[str, mx.array]:
    """Return the arrays of the state that a run leaves behind."""
    printed = launch(count, SCRIPT, "train", "--out", out, *options, compiled=compiled)
    assert (out / "seconds.json").exists(), printed
    return state(out)


def largest_difference(a: dict, b: dict) -> float:
    assert a.keys() == b.keys()
    return max(np.abs(np.array(a[name], float) - np.array(b[name], float)).max().item() for name in a)


@pytest.mark.slow
def test_two_ranks_with_half_the_batch_give_the_weights_of_one_with_the_whole(tmp_path):
    """After three steps, when rounding alone gives about 1e-6; more steps would amplify it."""
    start, one = train(1, tmp_path / "start", "--steps", 1), train(1, tmp_path / "one", "--steps", 3)
    two = train(2, tmp_path / "two", "--steps", 3, compiled=True)
    assert one["step"].item() == two["step"].item() == 3
    assert largest_difference(one, start | {"step": one["step"]}) > 1e-4
    assert largest_difference(one, two) < 1e-5
    assert len(json.loads((tmp_path / "two" / "seconds.json").read_text(encoding="utf-8"))) == 3


@pytest.mark.slow
def test_batch_normalization_over_all_ranks_gives_the_gradients_of_the_whole_batch(tmp_path):
    options = ("--model", "dcgan", "--steps", 1, "--batch-size", 16)
    whole = train(1, tmp_path / "whole", *options)
    sync = train(2, tmp_path / "sync", *options)
    local = train(2, tmp_path / "local", *options, "--local-norm")

    def error(run):
        # Adam's first moments are half the gradients; those of a bias before a normalization are rounding errors
        moments = [name for name in whole if name.endswith(".m") and mx.abs(whole[name]).max().item() > 1e-5]
        assert len(moments) > 20
        return max((mx.abs(run[name] - whole[name]).max() / mx.abs(whole[name]).max()).item() for name in moments)

    assert error(sync) < 0.01
    assert error(local) > 0.5
    for name in ("weights.0.generator.norm1.running_var", "weights.0.generator.norm3.running_mean"):
        assert np.allclose(sync[name], whole[name], rtol=1e-3, atol=1e-6)


GRADIENTS = """
import ranks
import mlx.core as mx
weight = mx.distributed.init().rank() + 1  # the losses are 1 times and 2 times the sum of both x
for function in (mx.distributed.all_sum, ranks.sum_over_ranks):
    print(mx.grad(lambda x: weight * function(x).sum())(mx.array([1.0])).item(), flush=True)
print("from rank 0:", ranks.from_rank_0({"a": mx.array(weight)})["a"].item(), flush=True)
"""


def test_the_gradient_of_a_sum_over_ranks_counts_the_losses_of_all(tmp_path):
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS, encoding="utf-8")
    lines = sorted(launch(2, script).split("\n"))
    assert [line for line in lines if line[:1].isdigit()] == ["1.0", "2.0", "3.0", "3.0"]
    assert lines.count("from rank 0: 1") == 2


def start_two(tmp_path: Path, *options: object, **others: str) -> list[subprocess.Popen]:
    """Start two ranks without a launcher, which would hide their status, with others in their environment."""
    port = free_port(2)
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps([[f"127.0.0.1:{port}"], [f"127.0.0.1:{port + 1}"]]), encoding="utf-8")
    command = [str(word) for word in (PYTHON, SCRIPT, *options)]
    return [
        subprocess.Popen(
            command,
            env=environment(False, MLX_HOSTFILE=str(hosts), MLX_RANK=str(rank), **others),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def ends(process: subprocess.Popen) -> tuple[int, list[str]]:
    """Return the status of a process that ends by itself, and its lines on stderr."""
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors.splitlines()


@pytest.fixture
def pair(tmp_path) -> Iterator[tuple[list[subprocess.Popen], Path]]:
    """Two ranks that train without end, and the folder of their state."""
    run = tmp_path / "run"
    processes = start_two(
        tmp_path, "train", "--steps", 10**6, "--every", 5, "--patience", 5, "--batch-size", 16, "--out", run
    )
    try:
        for _ in range(1200):
            if checkpoints.runs(run):
                break
            assert all(each.poll() is None for each in processes), [ends(each) for each in processes]
            time.sleep(0.1)
        assert checkpoints.runs(run)
        yield processes, run
    finally:
        for each in processes:
            each.kill()
            each.wait()
            assert each.stderr is not None
            each.stderr.close()


@pytest.mark.slow
def test_a_killed_rank_ends_the_job_and_the_job_continues_from_its_state(pair, tmp_path):
    (survivor, victim), run = pair
    victim.kill()
    status, lines = ends(survivor)
    assert status == 1 and lines[-2].startswith("[ring] "), lines
    assert lines[-1].startswith("rank 0 has lost another rank") and str(run) in lines[-1]
    saved = state(run)["step"].item()
    assert saved >= 5 and saved % 5 == 0
    options = ("--steps", saved + 3, "--batch-size", 16)
    continued = train(2, run, *options)
    assert len(json.loads((run / "seconds.json").read_text(encoding="utf-8"))) == 3
    assert largest_difference(continued, train(2, tmp_path / "whole", *options)) == 0


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a signal that makes a process silent")
def test_a_silent_rank_ends_the_job(pair):
    (survivor, victim), run = pair
    victim.send_signal(signal.SIGSTOP)
    status, lines = ends(survivor)
    assert status == 1
    assert lines[-1].startswith("no step in 5 seconds: rank 0 has lost another rank") and str(run) in lines[-1]


@pytest.mark.slow
def test_only_a_lost_connection_is_called_a_lost_rank(pair):
    (first, second), run = pair
    shutil.rmtree(run)
    run.write_text("a file where the state should go", encoding="utf-8")
    status, lines = ends(first)
    assert status == 1 and "Traceback (most recent call last):" in lines
    assert str(run) in lines[-1]
    assert not any("has lost another rank" in line for line in lines)
    status, lines = ends(second)
    assert status == 1 and lines[-1].startswith("rank 1 has lost another rank")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--batch-size", "9"], "--batch-size is 9, but must be a multiple of 2, the number of ranks"),
        (["--batch-size", "2000"], "at most 1,500, the number of images"),
        (["--out", "FILE"], "File exists"),
        (["--out", "FILE/inside"], "Not a directory"),
    ],
    ids=["odd batch", "large batch", "file", "in a file"],
)
def test_what_only_all_ranks_can_check_is_refused_by_all_in_one_line(tmp_path, options, said):
    (tmp_path / "FILE").write_text("", encoding="utf-8")
    options = [word.replace("FILE", str(tmp_path / "FILE")) for word in options]
    processes = start_two(tmp_path, "train", "--out", tmp_path / "run", *options)
    (status, lines), (other_status, other_lines) = map(ends, processes)
    assert status == other_status == 2
    assert len(lines) == 1 and said in lines[0] and not other_lines
    assert not checkpoints.runs(tmp_path / "run")


@pytest.mark.slow
def test_data_that_no_rank_finds_are_a_line_of_each(tmp_path):
    missing = {"MLXGAN_SMOKE": "0", "MNIST_DIR": "/typo"}
    for status, lines in map(ends, start_two(tmp_path, "train", "--out", tmp_path / "run", **missing)):
        assert status == 2 and len(lines) == 1 and "MNIST_DIR is '/typo', but there is no" in lines[0]


@pytest.mark.slow
def test_a_second_job_into_the_same_folder_is_refused(tmp_path):
    with files.locked(tmp_path / "run"):
        printed = launch(1, SCRIPT, "train", "--out", tmp_path / "run", "--steps", 1)
    assert printed.splitlines()[-1] == f"distributed.py: {tmp_path / 'run'}: another process is writing there"


@pytest.mark.slow
def test_a_job_that_is_done_keeps_its_seconds(tmp_path):
    for _ in range(2):
        train(1, tmp_path, "--steps", 1, "--batch-size", 16)
        assert len(json.loads((tmp_path / "seconds.json").read_text(encoding="utf-8"))) == 1


@pytest.mark.slow
def test_a_state_continues_only_with_the_same_settings(tmp_path):
    run = tmp_path / "run"
    train(1, run, "--steps", 1, "--batch-size", 16)
    for changed in (["--seed", 1], ["--batch-size", 8], ["--model", "dcgan", "--batch-size", 16]):
        settings = dict(zip(changed[::2], changed[1::2], strict=True))
        arguments = {"--seed": 0, "--batch-size": 16} | settings
        words = [word for pair in arguments.items() for word in pair]
        printed = launch(1, SCRIPT, "train", "--out", run, "--steps", 2, *words)
        [line] = [line for line in printed.splitlines() if line.startswith("distributed.py: ")]
        name = str(changed[0]).strip("-").replace("-", "_")
        assert line.startswith(f"distributed.py: {name} is {changed[1]}, but ") and str(run) in line
        assert "Traceback" not in printed
    assert state(run)["step"].item() == 1


def test_every_rank_takes_other_rows_and_together_all(monkeypatch):
    x, parts, images = mx.arange(12).reshape(6, 2), [], []
    generator = models.MLPGenerator(latent_dim=4)
    z = mx.random.normal((6, 4), key=mx.random.key(0))
    for rank in range(3):
        group = SimpleNamespace(rank=lambda rank=rank: rank, size=lambda: 3)
        monkeypatch.setattr(mx.distributed, "init", lambda group=group: group)
        parts.append(ranks.part(x))
        share = ranks.Share(generator)
        images.append(share(z.reshape(2, share.latent_dim)))
    assert mx.array_equal(mx.concatenate(parts), x)
    assert mx.allclose(mx.concatenate(images), generator(z), atol=1e-5)
    with pytest.raises(ValueError, match="the batch has 5 rows, but must have a multiple of 3, the number of ranks"):
        ranks.part(x[:5])


def test_alone_the_synchronized_layer_is_the_stock_layer():
    x = mx.random.normal((6, 5, 5, 3), key=mx.random.key(0))
    stock, ours = nn.BatchNorm(3), ranks.SyncBatchNorm(3)
    gradients = []
    for layer in (stock, ours):
        layer.weight = mx.array([0.5, 1.0, 2.0])
        gradients.append(nn.value_and_grad(layer, lambda x, layer=layer: mx.square(layer(x) + x).sum())(x)[1])
    assert np.allclose(stock(x), ours(x), atol=1e-5)
    assert np.allclose(gradients[0]["weight"], gradients[1]["weight"], rtol=1e-4)
    for name in ("running_mean", "running_var"):
        assert np.allclose(stock[name], ours[name], atol=1e-6)
    assert np.allclose(stock.eval()(x), ours.eval()(x), atol=1e-5)


def test_synchronize_replaces_every_batch_normalization_and_nothing_else():
    generator = models.DCGANGenerator()
    before = {name: array.shape for name, array in tree_flatten(generator.parameters())}
    trainable = len(tree_flatten(generator.trainable_parameters()))
    ranks.synchronize(generator)
    norms = [type(module) for module in generator.modules() if isinstance(module, nn.BatchNorm)]
    assert norms == 3 * [ranks.SyncBatchNorm]
    assert {name: array.shape for name, array in tree_flatten(generator.parameters())} == before
    assert len(tree_flatten(generator.trainable_parameters())) == trainable


def test_sums_of_each_size_are_timed():
    seconds = distributed.measure([4, 4000], repeats=3)
    assert [len(row) for row in seconds] == [3, 3]
    assert all(0 < each < 1 for row in seconds for each in row)


def test_the_script_fits_on_a_few_pages():
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) <= 150
