"""Training on several ranks is training on one; a rank that is lost ends the job, and the job goes on."""

from mlxgan import distributed, models

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

PYTHON = sys.executable
LAUNCH = Path(PYTHON).parent / "mlx.launch"


def free_port(ranks: int) -> int:
    """The first of as many neighbouring ports as there are ranks, all of them free."""
    while True:
        first = random.SystemRandom().randrange(20_000, 60_000)
        sockets = [socket.socket() for _ in range(ranks)]
        try:
            for offset, each in enumerate(sockets):
                each.bind(("127.0.0.1", first + offset))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()


def launch(ranks: int, *arguments: object) -> str:
    """Run ``python ARGUMENTS`` on so many ranks, under mlx.launch; all that they printed."""
    command = [LAUNCH, "-n", ranks, "--starting-port", free_port(ranks), "--", PYTHON, *arguments]
    if ranks == 1:
        command = [PYTHON, *arguments]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with subprocess.Popen([str(word) for word in command], start_new_session=True, **pipes) as process:
        timer = threading.Timer(240, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        printed = process.stdout.read()
        timer.cancel()
    return printed


def train(ranks: int, out: Path, *options: object) -> dict[str, mx.array]:
    """The arrays of the state that a run leaves behind."""
    printed = launch(ranks, "-m", "mlxgan.distributed", "train", "--out", out, *options)
    assert (out / "seconds.json").exists(), printed
    return mx.load(str(out / "state.safetensors"))


def largest_difference(a: dict, b: dict) -> float:
    assert a.keys() == b.keys()
    return max(mx.abs(a[name].astype(mx.float32) - b[name].astype(mx.float32)).max().item() for name in a)


def test_two_ranks_with_half_the_batch_give_the_weights_of_one_with_the_whole(tmp_path):
    """After three steps: rounding alone gives 1e-6 there, and 20 steps amplify it to 6e-3 on some processors."""
    start, one = train(1, tmp_path / "start", "--steps", 1), train(1, tmp_path / "one", "--steps", 3)
    two = train(2, tmp_path / "two", "--steps", 3)
    assert one["step"].item() == two["step"].item() == 3
    assert largest_difference(one, start | {"step": one["step"]}) > 1e-4
    assert largest_difference(one, two) < 1e-5
    assert len(json.loads((tmp_path / "two" / "seconds.json").read_text())) == 3


def test_batch_normalisation_over_all_ranks_gives_the_gradients_of_the_whole_batch(tmp_path):
    options = ("--model", "dcgan", "--steps", 1, "--batch-size", 16)
    whole = train(1, tmp_path / "whole", *options)
    sync = train(2, tmp_path / "sync", *options)
    local = train(2, tmp_path / "local", *options, "--local-norm")

    def error(run):
        # Adam's first moments are half the gradients; those of a bias before a normalisation are rounding errors
        moments = [name for name in whole if name.endswith(".m") and mx.abs(whole[name]).max().item() > 1e-5]
        assert len(moments) > 20
        return max((mx.abs(run[name] - whole[name]).max() / mx.abs(whole[name]).max()).item() for name in moments)

    assert error(sync) < 0.01
    assert error(local) > 0.5
    for name in ("weights.0.norm1.running_var", "weights.0.norm3.running_mean"):
        assert np.allclose(sync[name], whole[name], rtol=1e-3, atol=1e-6)


GRADIENTS = """
from mlxgan.distributed import from_rank_0, sum_over_ranks
import mlx.core as mx
weight = mx.distributed.init().rank() + 1  # the losses are 1 times and 2 times the sum of both x
for function in (mx.distributed.all_sum, sum_over_ranks):
    print(mx.grad(lambda x: weight * function(x).sum())(mx.array([1.0])).item(), flush=True)
print("from rank 0:", from_rank_0({"a": [mx.array(weight)]})["a"][0].item(), flush=True)
"""


def test_the_gradient_of_a_sum_over_ranks_counts_the_losses_of_all(tmp_path):
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    lines = sorted(launch(2, script).split("\n"))
    assert [line for line in lines if line[:1].isdigit()] == ["1.0", "2.0", "3.0", "3.0"]
    assert lines.count("from rank 0: 1") == 2


@pytest.fixture
def pair(tmp_path):
    """Two ranks that train without end, started without a launcher, and the folder of their state."""
    port = free_port(2)
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps([[f"127.0.0.1:{port}"], [f"127.0.0.1:{port + 1}"]]))
    options = ["--steps", "1000000", "--every", "5", "--patience", "5", "--out", str(tmp_path / "run")]
    ranks = []
    for rank in range(2):
        environment = os.environ | {"MLX_HOSTFILE": str(hosts), "MLX_RANK": str(rank)}
        command = [PYTHON, "-m", "mlxgan.distributed", "train", *options]
        pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        ranks.append(subprocess.Popen(command, env=environment, **pipes))
    try:
        state = tmp_path / "run" / "state.safetensors"
        for _ in range(1200):
            if state.exists():
                break
            assert all(rank.poll() is None for rank in ranks), [rank.stderr.read() for rank in ranks]
            time.sleep(0.1)
        assert state.exists()
        yield ranks, tmp_path / "run"
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
            rank.stderr.close()


def test_a_killed_rank_ends_the_job_and_the_job_goes_on_from_its_state(pair, tmp_path):
    (survivor, victim), run = pair
    victim.kill()
    _, message = survivor.communicate(timeout=30)
    assert survivor.returncode == 1
    assert "rank 0, step" in message and f"goes on from the last state in {run}" in message
    saved = mx.load(str(run / "state.safetensors"))["step"].item()
    assert saved >= 5 and saved % 5 == 0
    resumed = train(2, run, "--steps", saved + 3)
    assert len(json.loads((run / "seconds.json").read_text())) == 3
    assert largest_difference(resumed, train(2, tmp_path / "whole", "--steps", saved + 3)) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a signal that makes a process silent")
def test_a_silent_rank_ends_the_job(pair):
    (survivor, victim), run = pair
    victim.send_signal(signal.SIGSTOP)
    _, message = survivor.communicate(timeout=30)
    assert survivor.returncode == 1
    assert "rank 0: no step in 5 seconds" in message and str(run) in message


def test_a_batch_that_does_not_divide_is_named():
    printed = launch(2, "-m", "mlxgan.distributed", "train", "--batch-size", 9, "--out", "unused")
    assert "the batch has 9 rows, but must have a multiple of 2, the number of ranks" in printed
    assert "Traceback" not in printed


def test_every_rank_takes_other_rows_and_together_all(monkeypatch):
    x, parts = mx.arange(12).reshape(6, 2), []
    for rank in range(3):
        group = SimpleNamespace(rank=lambda rank=rank: rank, size=lambda: 3)
        monkeypatch.setattr(mx.distributed, "init", lambda group=group: group)
        parts.append(distributed.part(x))
    assert mx.array_equal(mx.concatenate(parts), x)


def test_alone_the_synchronised_layer_is_the_stock_layer():
    x, pair = mx.random.normal((6, 5, 5, 3), key=mx.random.key(0)), [nn.BatchNorm(3), distributed.SyncBatchNorm(3)]
    gradients = []
    for layer in pair:
        layer.weight = mx.array([0.5, 1.0, 2.0])
        gradients.append(nn.value_and_grad(layer, lambda x, layer=layer: mx.square(layer(x) + x).sum())(x)[1])
    assert np.allclose(pair[0](x), pair[1](x), atol=1e-5)
    assert np.allclose(gradients[0]["weight"], gradients[1]["weight"], rtol=1e-4)
    for name in ("running_mean", "running_var"):
        assert np.allclose(pair[0][name], pair[1][name], atol=1e-6)
    assert np.allclose(pair[0].eval()(x), pair[1].eval()(x), atol=1e-5)


def test_synchronise_replaces_every_batch_normalisation_and_nothing_else():
    generator = models.DCGANGenerator()
    before = {name: array.shape for name, array in tree_flatten(generator.parameters())}
    trainable = len(tree_flatten(generator.trainable_parameters()))
    distributed.synchronise(generator)
    norms = [type(module) for module in generator.modules() if isinstance(module, nn.BatchNorm)]
    assert norms == 3 * [distributed.SyncBatchNorm]
    assert {name: array.shape for name, array in tree_flatten(generator.parameters())} == before
    assert len(tree_flatten(generator.trainable_parameters())) == trainable


def test_a_state_comes_back_and_another_models_is_refused(tmp_path):
    tree = {"weights": [{"a": mx.arange(3)}], "step": mx.array(7)}
    path = tmp_path / "new" / "state.safetensors"
    distributed.save(path, tree)
    back = distributed.load(path, tree)
    assert back["step"].item() == 7 and back["weights"][0]["a"].tolist() == [0, 1, 2]
    assert [file.name for file in path.parent.iterdir()] == ["state.safetensors"]
    with pytest.raises(ValueError, match="state.safetensors: the state of another model"):
        distributed.load(path, {"weights": [{"a": mx.arange(4)}], "step": mx.array(0)})


def test_sums_of_each_size_are_timed():
    seconds = distributed.time_all_reduce([4, 4000], repeats=3)
    assert [len(row) for row in seconds] == [3, 3]
    assert all(0 < each < 1 for row in seconds for each in row)


@pytest.mark.parametrize("name", ["steps", "batch-size", "every", "patience", "repeats", "bytes", "seed"])
def test_a_number_that_makes_no_sense_is_named(name, monkeypatch, capsys, tmp_path):
    out = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["mlxgan.distributed", "train", "--out", str(out), f"--{name}", "-1"])
    with pytest.raises(SystemExit, match="2"):
        distributed.main()
    assert f"--{name} is -1, but must be" in capsys.readouterr().err
    assert not out.exists()
