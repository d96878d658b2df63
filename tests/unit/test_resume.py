"""Runs that are killed, cut off, tampered with or stopped, and go on."""

from mlxgan import checkpoints, data, losses, models, recipes, training
from mlxgan.__main__ import main
from mlxgan.history import History
from mlxgan.resume import train

import json
import os
import queue
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten

KILLED = Path(__file__).with_name("run_to_kill.py")
KINDS = {
    "mlp": (lambda: models.MLPGenerator(latent_dim=8), models.MLPDiscriminator),
    "dcgan": (
        lambda: models.DCGANGenerator(channels=2, hidden=4),
        lambda: models.DCGANDiscriminator(channels=2, hidden=4),
    ),
    "conditional": (
        lambda: models.ConditionalGenerator(channels=2, hidden=4),
        lambda: models.ConditionalDiscriminator(channels=2, hidden=4),
    ),
}
DIGITS = data.Digits(
    mx.random.randint(0, 256, (12, 28, 28, 1), key=mx.random.key(3)).astype(mx.uint8), mx.arange(12) % 10, "twelve"
)


def run(kind="dcgan", epochs=4, folder=None, resume=False, digits=DIGITS, seed=0, **arguments):
    """All that a run leaves: its arrays by name, the random state, and the history."""
    if folder is not None:
        arguments |= {"checkpoint_folder": folder, "resume": resume}
    return left_by(train, kind, digits, seed, epochs=epochs, **arguments)


def left_by(train, kind, digits, seed, **arguments):
    recipes.seed_everything(seed)
    make_generator, make_discriminator = KINDS[kind]
    networks = {"g": make_generator(), "d": make_discriminator(), "average": make_generator()}
    optimizers = {name: recipes.adam() for name in ("optimizer_g", "optimizer_d")}
    settings = {"batch_size": 4, "seed": seed, "average": networks["average"]} | optimizers | arguments
    history = train(networks["g"], networks["d"], digits, **settings)
    trees = {name: network.parameters() for name, network in networks.items()}
    trees |= {name: settings[name].state for name in optimizers}
    left = dict(tree_flatten(trees | {"random": mx.random.state[0]}))
    return {name: np.array(value) for name, value in left.items()}, history


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert [name for name in a if a[name].tobytes() != b[name].tobytes()] == []


@pytest.mark.slow
def test_killed_at_twenty_moments_it_ends_with_the_same_bits(tmp_path):
    def start(folder, moment):
        command = [sys.executable, str(KILLED), str(tmp_path / folder), "30", str(moment)]
        return subprocess.run(command, capture_output=True, text=True)

    assert start("undisturbed", 0).returncode == 0
    moments = random.Random(1)
    refused = in_a_write = 0
    for _ in range(20):
        killed = start("killed", moments.randint(1, 32))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        refused += "refused" in killed.stderr
        in_a_write += any((tmp_path / "killed").glob(".part-*"))
    assert refused == 0 < in_a_write  # what is not whole never has a checkpoint's name
    last = start("killed", 0)
    assert last.returncode == 0, last.stderr
    for name in ("generator", "discriminator", "average"):
        a, b = (
            (tmp_path / folder / "end" / f"{name}.safetensors").read_bytes() for folder in ("undisturbed", "killed")
        )
        assert a == b
    left = sorted(path.name for path in (tmp_path / "killed").glob("*.safetensors"))
    assert [name[:6] for name in left] == ["000028", "000029", "000030"]
    assert list((tmp_path / "killed").glob(".*")) == []


@pytest.mark.slow
def test_killed_from_outside(tmp_path):
    """The command line itself, when its second checkpoint is there and when the third is being written."""
    command = [sys.executable, "-m", "mlxgan", "train", "--epochs", "3", "--batch-size", "1500", "--out"]
    assert subprocess.run([*command, str(tmp_path / "a")], capture_output=True).returncode == 0
    folder = tmp_path / "b" / "checkpoints"
    for appears in ("000002-*", ".part-*"):
        child = subprocess.Popen([*command, str(tmp_path / "b"), "--resume"], stdout=subprocess.DEVNULL)
        while child.poll() is None and not list(folder.glob(appears)):
            time.sleep(0.002)
        child.kill()
        child.wait()
    end = subprocess.run([*command, str(tmp_path / "b"), "--resume"], capture_output=True, text=True)
    assert end.returncode == 0, end.stderr
    for name in ("generator", "last", "discriminator"):
        a, b = ((tmp_path / folder / f"{name}.safetensors").read_bytes() for folder in "ab")
        assert a == b


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_all_around_the_plain_loop_changes_nothing_of_a_run(kind):
    plain, history = left_by(training.train, kind, DIGITS, 0, epochs=3)
    ours, same_history = run(kind, 3)
    assert_same(plain, ours)
    assert history.loss_g == same_history.loss_g and len(history) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_is_an_undisturbed_one(tmp_path, kind):
    whole, history = run(kind)
    run(kind, 2, tmp_path)
    resumed, again = run(kind, 4, tmp_path, resume=True)
    assert_same(whole, resumed)
    assert (history.loss_d, history.d_fake) == (again.loss_d, again.d_fake) and len(again.seconds) == 4


def test_the_hooks_of_the_plain_loop_are_called(tmp_path):
    seen = []
    run(epochs=2, folder=tmp_path, on_step=lambda _: seen.append("step"), on_epoch=lambda epoch, _: seen.append(epoch))
    assert seen == ["step"] * 3 + [1] + ["step"] * 3 + [2]


def test_checkpoints_change_nothing_and_three_are_kept(tmp_path):
    assert_same(run(epochs=5)[0], run(epochs=5, folder=tmp_path)[0])
    assert [path.name[:6] for path in checkpoints.runs(tmp_path)] == ["000003", "000004", "000005"]


def test_every_second_epoch_and_the_last(tmp_path):
    run(epochs=5, folder=tmp_path, checkpoint_every=2)
    assert [path.name[:6] for path in checkpoints.runs(tmp_path)] == ["000002", "000004", "000005"]


def test_the_order_of_axes_in_memory_is_kept(tmp_path):
    """Without it a resumed run differs in the last bits, for products and fused kernels go by it."""
    by_column = mx.contiguous(mx.random.normal((3, 5)).T).T
    arrays = {
        "rows": mx.random.normal((3, 5)),
        "columns": by_column,
    }
    arrays["four"] = mx.zeros((2, 3, 4, 5)).transpose(3, 1, 0, 2)
    mx.eval(arrays)
    checkpoints.save_run(tmp_path, 1, arrays, {"a": "b"})
    _, loaded, about = checkpoints.load_run(tmp_path)
    mx.eval(loaded)
    assert about == {"a": "b"} and loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert mx.array_equal(array, loaded[name]) and memoryview(array).strides == memoryview(loaded[name]).strides


def flip(path, random):
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def cut(path, random):
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size)])


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_is_used(tmp_path, damage):
    run(epochs=3, folder=tmp_path)
    *_, before, newest = checkpoints.runs(tmp_path)
    content = newest.read_bytes()
    for seed in range(40):
        damage(newest, random.Random(seed))
        with pytest.warns(UserWarning) as seen:
            assert checkpoints.load_run(tmp_path)[0] == before
        assert len(seen) == 1 and newest.name in str(seen[0].message)
        newest.write_bytes(content)
    damage(newest, random.Random(0))
    with pytest.warns(UserWarning, match=newest.name):
        assert_same(run(epochs=4, folder=tmp_path, resume=True)[0], run(epochs=4)[0])


def test_a_run_that_diverges_keeps_the_checkpoints_before(tmp_path):
    steps, optimizer = [], recipes.adam()

    def spoil(measured):
        steps.append(1)
        if len(steps) == 7:
            optimizer.learning_rate = float("nan")

    with pytest.raises(training.DivergedError, match="above a million in step [23] of epoch 3"):
        run(folder=tmp_path, optimizer_g=optimizer, on_step=spoil)
    assert [path.name[:6] for path in checkpoints.runs(tmp_path)] == ["000001", "000002"]


def test_none_is_whole(tmp_path):
    run(epochs=3, folder=tmp_path)
    for path in checkpoints.runs(tmp_path):
        cut(path, random.Random(0))
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="none of its 3 checkpoints is whole"):
        run(folder=tmp_path, resume=True)


TWO_EPOCHS: dict = {name: value if name == "stopped" else [0.5, 0.5] for name, value in asdict(History()).items()}


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": None},
        {"settings": "["},
        {"settings": "1"},
        {"versions": "[1]"},
        {"history": '{"a": 1}'},
        {"history": '{"loss_d": 3}'},
        {"history": json.dumps({name: ["x"] for name in vars(History()) if name != "stopped"})},
        {"history": json.dumps({name: [None] for name in vars(History()) if name != "stopped"})},
        {"history": json.dumps({"x" * 5000: 1})},
        *({"history": json.dumps(TWO_EPOCHS | {"stopped": value})} for value in (True, "yes", 1, None)),
        {"history": json.dumps(TWO_EPOCHS | {"loss_d": [0.5, float("nan")]})},
        {"history": json.dumps(TWO_EPOCHS | {name: [0.5] for name in TWO_EPOCHS if name != "stopped"})},
        {"settings": "[" * 100_000},
    ],
)
def test_a_file_that_only_has_the_name_of_a_checkpoint(tmp_path, changed):
    """Its digest is right, so it was made on purpose."""
    run(epochs=1, folder=tmp_path)
    _, arrays, about = checkpoints.load_run(tmp_path)
    about = {name: value for name, value in (about | changed).items() if value is not None}
    path = checkpoints.save_run(tmp_path, 2, arrays, about)
    with pytest.raises(ValueError, match=f"{path.name}: not a checkpoint of a run") as error:
        run(folder=tmp_path, resume=True)
    assert len(str(error.value)) < len(str(path)) + 400


def test_a_checkpoint_of_the_first_edition_is_called_so(tmp_path):
    run(epochs=1, folder=tmp_path)
    _, arrays, about = checkpoints.load_run(tmp_path)
    history = json.loads(about["history"])
    del history["spread"]
    checkpoints.save_run(tmp_path, 2, arrays, about | {"history": json.dumps(history)})
    with pytest.raises(ValueError, match="000002-.*written by the first edition; start anew in another folder"):
        run(folder=tmp_path, resume=True)


def test_settings_and_versions_are_quoted_in_short(tmp_path):
    run(epochs=1, folder=tmp_path)
    path, arrays, about = checkpoints.load_run(tmp_path)
    changed = {
        name: json.dumps(json.loads(about[name]) | {which: "x" * 5000})
        for name, which in (("settings", "seed"), ("versions", "mlx"))
    }
    checkpoints.save_run(tmp_path, 1, arrays, about | {"versions": changed["versions"]})
    with pytest.warns(UserWarning, match="mlx is .*, but xxx") as seen:
        run(epochs=2, folder=tmp_path, resume=True)
    assert len(str(seen[0].message)) < len(str(path)) + 400
    (tmp_path / "other").mkdir()
    checkpoints.save_run(tmp_path / "other", 1, arrays, about | {"settings": changed["settings"]})
    with pytest.raises(ValueError, match="seed is 0, but xxx") as error:
        run(folder=tmp_path / "other", resume=True)
    assert len(str(error.value)) < len(str(path)) + 400


def test_a_folder_that_mlx_cannot_name_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(ValueError, match="is not a name in UTF-8"):
        run(folder=tmp_path / "a\udcff", on_step=lambda _: pytest.fail("a step was taken"))


OTHER_IMAGES = data.Digits(255 - DIGITS.images, DIGITS.labels, "others")
OTHER_LABELS = data.Digits(DIGITS.images, 9 - DIGITS.labels, "others")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "conditional"}, "generator is ConditionalGenerator .*, but DCGANGenerator"),
        ({"seed": 1}, "seed is 1, but 0 in .*000002-"),
        ({"batch_size": 3}, "batch_size is 3, but 4 in"),
        ({"digits": OTHER_IMAGES}, "data is 12 images with SHA-256 .*, but 12 images with SHA-256"),
        ({"digits": OTHER_LABELS}, "data is 12 images with SHA-256 .*, but 12 images with SHA-256"),
        ({"loss_g": losses.least_squares_generator_loss}, "loss_g is .*least_sq.*, but .*losses.generator_loss"),
        ({"penalty": losses.gradient_penalty}, "penalty is mlxgan.losses.gradient_penalty, but absent in"),
        ({"optimizer_d": recipes.adam(1e-3)}, "optimizer_d is Adam .*0.001"),
        ({"optimizer_g": optim.SGD(2e-4)}, "optimizer_g is SGD .*, but Adam"),
        ({"optimizer_g": recipes.decaying_adam(1e-3, 1e-4, 100)}, "number of steps, .* is 12, but absent"),
        ({"average": None}, "average is absent, but DCGANGenerator"),
        ({"epochs": 1}, "epochs is 1, but the checkpoint was written after epoch 2"),
    ],
)  # fmt: skip
def test_other_settings_are_refused_by_name(tmp_path, changed, message):
    run(epochs=2, folder=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=message):
        run(folder=tmp_path, resume=True, **changed)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


class Weighted:
    """A penalty that is an object: its text holds its address in memory, which differs from run to run."""

    def __call__(self, critic, real, fake):
        return 0.1 * mx.square(critic(real)).mean()


def test_a_penalty_that_is_an_object_does_not_keep_a_run_from_going_on(tmp_path):
    run(epochs=2, folder=tmp_path, penalty=Weighted())
    resumed, _ = run(folder=tmp_path, resume=True, penalty=Weighted())
    assert_same(resumed, run(penalty=Weighted())[0])


def test_other_widths_are_refused_by_name(tmp_path, monkeypatch):
    run("mlp", 1, tmp_path)
    monkeypatch.setitem(KINDS, "mlp", (lambda: models.MLPGenerator(latent_dim=9), models.MLPDiscriminator))
    with pytest.raises(
        ValueError, match="generator is MLPGenerator {'latent_dim': 9}, but MLPGenerator {'latent_dim': 8}"
    ):
        run("mlp", folder=tmp_path, resume=True)


def test_more_epochs_only_where_no_rate_depends_on_their_number(tmp_path):
    def decaying(epochs):
        return {name: recipes.decaying_adam(1e-3, 1e-4, 3 * epochs) for name in ("optimizer_g", "optimizer_d")}

    run(epochs=2, folder=tmp_path, **decaying(2))
    with pytest.raises(ValueError, match="number of steps, on which a learning rate depends is 12, but 6 in"):
        run(epochs=4, folder=tmp_path, resume=True, **decaying(4))


def test_other_versions_are_a_warning(tmp_path):
    run(epochs=1, folder=tmp_path)
    path, arrays, about = checkpoints.load_run(tmp_path)
    path.unlink()
    versions = json.loads(about["versions"])
    checkpoints.save_run(tmp_path, 1, arrays, about | {"versions": json.dumps(versions | {"mlx": "0.99"})})
    with pytest.warns(UserWarning, match=r"mlx is 0\.[0-9.]+, but 0.99 in .*000001-.*: the last bits may differ"):
        assert_same(run(epochs=2, folder=tmp_path, resume=True)[0], run(epochs=2)[0])


def test_another_number_of_threads_is_a_warning(tmp_path, monkeypatch):
    run(epochs=1, folder=tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    with pytest.warns(UserWarning, match="number of threads is 7, but 1 in .*000001-.*: the last bits may differ"):
        run(epochs=2, folder=tmp_path, resume=True)


def test_nothing_to_resume_starts_from_the_beginning_and_says_so(tmp_path, capsys):
    assert_same(run(epochs=1)[0], run(epochs=1, folder=tmp_path, resume=True)[0])
    assert "no checkpoint yet, so the run starts from the beginning" in capsys.readouterr().out


def test_an_earlier_run_is_not_overwritten(tmp_path):
    run(epochs=1, folder=tmp_path)
    with pytest.raises(ValueError, match="holds checkpoints of an earlier run; resume it, or remove the folder"):
        run(epochs=1, folder=tmp_path)


def test_a_finished_run_is_not_run_again(tmp_path):
    first, _ = run(epochs=2, folder=tmp_path)
    calls = []
    second, history = run(epochs=2, folder=tmp_path, resume=True, on_epoch=lambda *_: calls.append(1))
    assert_same(first, second)
    assert len(history) == 2 and not calls


# A folder that cannot be written


FULL = """
import resource, sys
from mlxgan.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoint(tmp_path):
    """A limit on the size of files stands for the full disk: the write fails in its middle."""
    command = ["train", "--epochs", "2", "--batch-size", "1500", "--out", str(tmp_path), "--resume"]
    assert main([*command[:2], "1", *command[3:]]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    full = subprocess.run([sys.executable, "-c", FULL, "1000000", *command], capture_output=True, text=True)
    assert full.returncode == 2
    [line] = full.stderr.splitlines()
    assert line.startswith(f"mlxgan train: {tmp_path / 'checkpoints'}: could not be written")
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(command) == 0


@pytest.mark.parametrize("name", ["a.png", "a.npz"])
def test_a_full_disk_leaves_the_old_samples(tmp_path, name):
    path, model = tmp_path / name, tmp_path / "small.safetensors"
    checkpoints.save(model, models.DCGANGenerator(channels=2, hidden=4))
    path.write_bytes(b"old")
    command = ["sample", "--model", str(model), "--out", str(path)]
    full = subprocess.run([sys.executable, "-c", FULL, "500", *command], capture_output=True, text=True)
    assert full.returncode == 2 and len(full.stderr.splitlines()) == 1
    assert path.read_bytes() == b"old" and sorted(tmp_path.iterdir()) == [path, model]
    assert main(command) == 0 and path.stat().st_size > 500


def test_the_sync_that_fails(tmp_path, monkeypatch):
    run(epochs=1, folder=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run(epochs=2, folder=tmp_path, resume=True)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.fixture
def read_only(monkeypatch):
    """A folder that this process cannot write to, even as root, with a small generator in it."""
    digits = data.load("train")
    monkeypatch.setattr(data, "load", lambda *_: digits)  # its files may be out of reach for another user than root
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as kernels:
        Path(kernels).chmod(0o777)
        monkeypatch.setenv("TMPDIR", kernels)  # where MLX builds its kernels must stay within the other user's reach
        folder = Path(name)
        checkpoints.save(folder / "old.safetensors", models.DCGANGenerator(channels=2, hidden=4))
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield folder
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.mark.parametrize(
    "command",
    ["train --out {}/run", "train --out {}", "sample --model {}/old.safetensors --n 2 --out {}/a.npz"],
)
def test_a_read_only_folder_is_one_line_before_any_epoch(read_only, capsys, command):
    assert main(command.replace("{}", str(read_only)).split()) == 2
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert line.startswith("mlxgan ") and "Permission denied" in line and str(read_only) in line
    assert "epoch" not in printed.out
    assert [path.name for path in read_only.iterdir()] == ["old.safetensors"]


# Ctrl-C


def press(at, times=1):
    """A hook that presses Ctrl-C in the ``at``-th step."""
    steps = []

    def on_step(measured):
        steps.append(1)
        if len(steps) == at:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return on_step


@pytest.fixture
def ctrl_c():
    """Python's own handler, which is not there in a process that was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_after_the_step_with_the_history_kept(tmp_path, capsys):
    _, history = run(on_step=press(at=5), folder=tmp_path)
    assert history.stopped and len(history) == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert "stopped after step 2 of 3 in epoch 2 of 4" in capsys.readouterr().out
    assert [path.name[:6] for path in checkpoints.runs(tmp_path)] == ["000001"]  # and none of half an epoch
    resumed, again = run(folder=tmp_path, resume=True)
    assert_same(resumed, run()[0])
    assert not again.stopped and len(again) == 4


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_the_last_step_of_an_epoch_keeps_its_checkpoint(tmp_path):
    _, history = run(on_step=press(at=6), folder=tmp_path)
    assert history.stopped and len(history) == 2
    assert [path.name[:6] for path in checkpoints.runs(tmp_path)] == ["000001", "000002"]


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_the_very_last_step_is_too_late_to_stop_anything(tmp_path):
    _, history = run(on_step=press(at=12), folder=tmp_path)
    assert not history.stopped and len(history) == 4


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_interrupts_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(on_step=press(at=5, times=2), folder=tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_handler_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        history = run(on_step=press(at=5))[1]
    finally:
        signal.signal(signal.SIGINT, before)
    assert not history.stopped and len(history) == 4 and seen == [1]


@pytest.mark.usefixtures("ctrl_c")
def test_in_another_thread_a_run_goes_on_and_ctrl_c_is_the_main_threads():
    histories = queue.Queue()
    with pytest.raises(KeyboardInterrupt):
        threading.Thread(target=lambda: histories.put(run(on_step=press(at=5))[1])).start()
        histories.get(timeout=60)
    history = histories.get(timeout=60)
    assert not history.stopped and len(history) == 4


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("model", "epochs"), [("mlp", 20), pytest.param("dcgan", 12, marks=pytest.mark.slow)])
def test_ctrl_c_on_the_command_line_is_one_line_and_status_130(tmp_path, capsys, model, epochs):
    """The run would have been as long as the recipe says."""

    def press_after_the_first_checkpoint():
        while not checkpoints.runs(tmp_path / "checkpoints"):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press_after_the_first_checkpoint, daemon=True).start()
    assert main(["train", "--model", model, "--batch-size", "700", "--out", str(tmp_path)]) == 130
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert line == "mlxgan train: interrupted; --resume goes on from the last checkpoint"
    assert re.search(rf"stopped after step [12] of 2 in epoch \d+ of {epochs}\n", printed.out)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert 1 <= len(checkpoints.runs(tmp_path / "checkpoints")) <= 3


# One seed


@pytest.mark.slow
def test_the_command_line_and_the_api_give_the_same_weights(tmp_path):
    assert main(["train", "--seed", "5", "--epochs", "1", "--batch-size", "300", "--out", str(tmp_path)]) == 0
    seed = recipes.seed_everything(5)
    generator, discriminator, average = models.MLPGenerator(), models.MLPDiscriminator(), models.MLPGenerator()
    digits = data.load("train")
    settings = {"epochs": 1, "batch_size": 300, "seed": seed, "average": average}
    history = training.train(generator, discriminator, digits, **settings, penalty=losses.r1_penalty)
    stored = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert stored["loss_g"] == history.loss_g
    for name, network in (("last", generator), ("discriminator", discriminator), ("generator", average)):
        loaded = checkpoints.load(tmp_path / f"{name}.safetensors")
        for (where, a), (_, b) in zip(*(tree_flatten(n.parameters()) for n in (network, loaded)), strict=True):
            assert mx.array_equal(a, b), where


def test_seeds_differ():
    first, again, other = run()[0], run()[0], run(seed=1)[0]
    assert_same(first, again)
    assert not np.array_equal(first["g.project.weight"], other["g.project.weight"])


def test_no_warning_without_a_reason(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(epochs=1, folder=tmp_path)
        _, history = run(epochs=2, folder=tmp_path, resume=True)
    assert len(history) == 2
