"""Whatever is in a file or an argument, there is a result or one error that names it, and no half-written file.

Hypothesis draws files, and each is tried as it is and with nine random changes; or it draws command lines. They meet
the real readers and writers, with small networks on small data. The failures that were found are kept as explicit
examples.
"""

from mlxgan import checkpoints, data, download, metrics, models, training
from mlxgan.__main__ import main
from mlxgan.resume import train

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from PIL import Image


def thorough(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def call(line: list[str]) -> tuple[object, str, str]:
    """The status of the command line, and what it wrote to stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: object = main(line)
        except SystemExit as leave:  # argparse
            status = leave.code
    return status, out.getvalue(), err.getvalue()


def variants(content: bytes, seed: int) -> Iterator[bytes]:
    """The content, and nine times the content with bytes changed, put in, taken out, or cut off at the end."""
    yield content
    random = Random(seed)
    for _ in range(9):
        changed = content
        for _ in range(random.randint(1, 3)):
            start = random.randrange(len(changed) + 1)
            gone = random.choice([0, 1, 1, 8, len(changed)])
            changed = changed[:start] + random.randbytes(random.choice([0, 1, 1, 8])) + changed[start + gone :]
        yield changed


seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


# IDX


LABELS_FILE = bytes([0, 0, 8, 1, 0, 0, 0, 40]) + bytes(40)


@pytest.mark.slow
@thorough(300)
@given(st.one_of(st.just(LABELS_FILE), st.binary(max_size=64)), seeds, st.booleans())
def test_files_of_mnist(folder, content, seed, zip_first):
    """Only the genuine contents pass, in whatever wrapping."""
    path = folder / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.parent.mkdir(exist_ok=True)
    genuine = {"t10k-labels-idx1-ubyte": hashlib.sha256(LABELS_FILE).hexdigest()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(path.parent))
        patch.setattr(data, "SHA256", genuine)
        for changed in variants(gzip.compress(content, 1, mtime=0) if zip_first else content, seed):
            path.write_bytes(changed)
            try:
                assert data.read("t10k-labels-idx1-ubyte") == LABELS_FILE
            except ValueError as error:
                assert str(error).startswith(f"{path}: ") and len(str(error)) < len(str(path)) + 400


# Safetensors


def safetensors(header, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


SMALL = models.ConditionalGenerator(latent_dim=1, channels=1, hidden=1)
CRITIC = models.ConditionalDiscriminator(channels=1, hidden=1)
FOUR = data.Digits(mx.zeros((4, 28, 28, 1), mx.uint8), mx.arange(4), "four")
about_model = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(
            [*(name for name in vars(models) if name[0].isupper()), "nn", "mx", "initialize", "__doc__"]
        ),
        "arguments": st.one_of(
            st.text(max_size=8),
            st.dictionaries(
                st.sampled_from(
                    "latent_dim channels hidden classes image_channels norm in_channels kernel_size layer".split()
                ),
                st.one_of(
                    st.integers(-3, 3),
                    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**40, 2**64, 1e300]),
                    st.floats(),
                    st.none(),
                    st.booleans(),
                    st.text(max_size=2),
                    st.just([1]),
                ),
                max_size=4,
            ).map(json.dumps),
        ),
    },
)
sizes = st.one_of(
    st.integers(-1, 4), st.sampled_from([2**16, 2**31 - 1, 2**31, 2**32, 2**62, 2**64 - 1, 2**64, 1.5, "1"])
)
tensor = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I64", "U8", "BOOL", "C64", "F64", "Q", 1]),
        "shape": st.one_of(st.lists(sizes, max_size=4), st.none()),
        "data_offsets": st.one_of(st.lists(sizes, max_size=3), st.just([0, 16])),
    },
)
crafted = st.builds(
    lambda about, tensors, body: safetensors({"__metadata__": about} | tensors, body),
    about_model,
    st.dictionaries(st.sampled_from(["x", "norm1.bias", "up2.weight", "__metadata__"]), tensor, max_size=2),
    st.binary(max_size=24),
)


@pytest.fixture(scope="module")
def small(folder) -> bytes:
    checkpoints.save(folder / "small.safetensors", SMALL)
    return (folder / "small.safetensors").read_bytes()


@pytest.mark.slow
@thorough(1_000)
@given(st.one_of(st.none(), crafted), seeds)
@example(safetensors({"__metadata__": {"model": "DCGANDiscriminator", "arguments": '{"channels": 0}'}}, b""), 0)
def test_model_files(folder, small, content, seed):
    path = folder / "odd.safetensors"
    for changed in variants(content or small, seed):
        path.write_bytes(changed)
        try:
            assert isinstance(checkpoints.load(path), models.nn.Module)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")


LISTS = [name for name in vars(training.History()) if name != "stopped"]
notes = st.dictionaries(
    st.sampled_from(["settings", "versions", "history", "orders"]),
    st.one_of(
        st.text(max_size=4),
        st.sampled_from(["{}", "[]", "1", "null", '{"loss_d": 3}', '{"x": [1, 0]}', '{"x": 1}', "[" * 100_000]),
        st.builds(
            lambda each, stopped: json.dumps(dict.fromkeys(LISTS, [each]) | {"stopped": stopped}),
            st.sampled_from([1, "x", None, [1.0], float("nan"), 1e300]),
            st.sampled_from([False, True, "x", 1, None]),
        ),
        st.just(json.dumps({"x" * 5000: "x" * 5000})),
    ),
)
run_files = st.builds(
    lambda about, tensors, body: safetensors({"__metadata__": about} | tensors, body),
    notes,
    st.dictionaries(st.sampled_from(["x", "random", "generator.norm1.bias"]), tensor, max_size=2),
    st.binary(max_size=24),
)


def resume(folder: Path) -> training.History:
    with contextlib.redirect_stdout(io.StringIO()):
        return train(SMALL, CRITIC, FOUR, epochs=1, batch_size=4, checkpoint_folder=folder, resume=True)


@pytest.fixture(scope="module")
def checkpoint(folder) -> bytes:
    """A file from which a run goes on; in this one, there is nothing left to do."""
    resume(folder / "run")
    [path] = checkpoints.runs(folder / "run")
    return path.read_bytes()


@pytest.fixture
def runs(tmp_path):
    """A folder in which a test may leave checkpoints."""
    return tmp_path / "runs"


@pytest.mark.slow
@thorough(400)
@given(st.one_of(st.none(), run_files), seeds, st.booleans())
def test_checkpoints_of_runs(runs, checkpoint, content, seed, rightly_named):
    """A damaged one never passes for whole; one that was made on purpose is refused where it makes no sense."""
    before = content or checkpoint
    for changed in variants(before, seed):
        shutil.rmtree(runs, ignore_errors=True)
        runs.mkdir()
        digest = hashlib.sha256(changed if rightly_named else before).hexdigest()[:16]
        path = runs / f"000001-{digest}.safetensors"
        path.write_bytes(changed)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                history, error = resume(runs), ""
                assert len(history) == 1 and (rightly_named or changed == before) and history.stopped is False
            except (ValueError, training.DivergedError) as refusal:
                error = str(refusal)
        assert changed != checkpoint or not error
        assert str(runs) in error or "above a million" in error or not error
        if changed != before and not rightly_named:
            assert "none of its 1 checkpoints is whole" in error
            assert path.name in str(seen[0].message) and "damaged" in str(seen[0].message)


@pytest.mark.slow
@thorough(200)
@given(notes)
@example({"history": '{"loss_d": 3}'})
@example({"history": json.dumps(dict.fromkeys(LISTS, ["x"]))})
@example({"history": "[" * 100_000})
@example({"settings": json.dumps({"x" * 5000: "x" * 5000})})
def test_notes_of_checkpoints(runs, folder, checkpoint, changed):
    """A whole checkpoint in which something else is noted: it goes on, or the error names it or what differs."""
    _, arrays, about = checkpoints.load_run(folder / "run")
    shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir()
    checkpoints.save_run(runs, 1, arrays, about | changed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            history = resume(runs)
            assert len(history) == 1 and history.stopped is False
        except ValueError as error:
            assert str(runs) in str(error) or "epochs is 1" in str(error)
            assert len(str(error)) < 2 * len(str(runs)) + 800


# Sample files


def npz(arrays: dict[str, bytes], compress: bool) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in arrays.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def npy(header: str, body: bytes, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(header.encode()))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + body


shapes = st.one_of(
    st.sampled_from([(200, 28, 28), (10**9, 28, 28), (2**62, 28, 28), (-1, 28, 28), (200,), (1, 2**63), ()]),
    st.lists(st.integers(-1, 2**33), max_size=3).map(tuple),
)
described = st.builds(
    lambda descr, order, shape: f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n",
    st.sampled_from(["|u1", "<i8", "<f4", "|O", "<U1", "|V3", "|S0", [("a", "|O")], "x", 3]),
    st.sampled_from([True, False, 0, None]),
    shapes,
)
arrays = st.builds(
    npy, st.one_of(described, st.text(max_size=30)), st.binary(max_size=30), st.sampled_from([1, 2, 3, 9])
)
names = st.sampled_from(["images.npy", "labels.npy", "images", "../images.npy", "/etc/passwd", "images.npy/"])
IMAGES = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (200, 28, 28)}\n", bytes(200 * 784))
LABELS = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (200,)}\n", bytes(1600))
BRIGHT = npz({"images.npy": IMAGES[:-9] + bytes(range(100, 109)), "labels.npy": LABELS}, True)
GOOD = npz({"images.npy": IMAGES, "labels.npy": LABELS}, True)
members = st.one_of(st.just({}), st.just({"images.npy": IMAGES})).flatmap(
    lambda given: st.dictionaries(names, arrays, max_size=2).map(lambda more: more | given)
)


@pytest.fixture(scope="module")
def measured_once():
    """The reference of the measures, which are the real ones, is made once for all command lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "reference", functools.cache(metrics.reference))
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("measured_once")
@thorough(400)
@given(st.one_of(st.none(), st.builds(npz, members, st.booleans()), arrays), seeds)
def test_sample_files(folder, content, seed):
    path = folder / "odd.npz"
    for changed in variants(content or GOOD, seed):
        path.write_bytes(changed)
        sample_file(path)


def sample_file(path):
    """It is measured, or refused in one line."""
    status, out, err = call(["evaluate", str(path)])
    if status == 0:
        assert "Fréchet distance" in out and "fraction of 9s" in out
    else:
        assert status == 2
        assert err.splitlines()[-1].startswith(f"mlxgan evaluate: {path}: ") and "Traceback" not in err
        assert len(err.splitlines()[-1]) < 2 * len(str(path)) + 500


@pytest.mark.slow
@thorough(400)
@given(st.one_of(st.none(), st.builds(npz, members, st.booleans()), arrays), seeds)
@example(npz({"images.npy": npy("{'descr': '|u1', 'fortran_order': False, 'shape': ()}\n", b"\7")}, True), 0)
def test_arrays_to_learn_from(folder, content, seed):
    path = folder / "odd.npz"
    for changed in variants(content or BRIGHT, seed):
        path.write_bytes(changed)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                assert len(data.load("train", str(path))) >= 9
            except ValueError as error:
                assert str(error).startswith(f"{path}: ") and len(str(error)) < 2 * len(str(path)) + 500


PICTURES = ["png", "gif", "bmp", "jpeg", "tiff", "webp"]


@pytest.mark.slow
@thorough(200)
@given(st.sampled_from(PICTURES), st.sampled_from(["1", "L", "P", "RGB", "RGBA", "CMYK"]), seeds)
def test_pictures_to_learn_from(folder, kind, mode, seed):
    """Each is ink, or refused by the library in some way; load counts those."""
    file = io.BytesIO()
    try:
        Image.effect_noise((40, 50), 50).convert(mode).save(file, kind)
    except (OSError, ValueError):  # a kind of pixels that this kind of file does not have
        return
    for changed in variants(file.getvalue(), seed):
        (folder / "pictures").mkdir()
        for index in range(10):
            (folder / "pictures" / f"{index}.{kind}").write_bytes(changed)
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of some damage
            try:
                assert len(data.load("train", str(folder / "pictures"))) == 9
            except ValueError as error:
                assert str(error).startswith(f"{folder / 'pictures'}") and "(10 of 10 pictures" in str(error)
        shutil.rmtree(folder / "pictures")


@pytest.mark.usefixtures("measured_once")
def test_a_sample_file_that_is_whole_is_measured(folder):
    (folder / "good.npz").write_bytes(GOOD)
    assert call(["evaluate", str(folder / "good.npz")])[0] == 0


def test_a_sample_file_that_zipfile_cannot_seek_in(folder):
    path = folder / "odd.npz"
    end = GOOD.rindex(b"PK\5\6")  # the size of the directory, too large by far, puts all members before the file
    path.write_bytes(GOOD[: end + 16] + struct.pack("<I", 2**31) + GOOD[end + 20 :])
    assert call(["evaluate", str(path)])[0] == 2
    sample_file(path)


class Trap:
    def __reduce__(self):
        return os.mkdir, (str(Path(os.environ["TRAP"])),)


@pytest.mark.parametrize("name", ["images", "labels"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, name):
    """A pickle that makes a folder when it is loaded."""
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    trap = np.empty(200, object)
    trap[:] = [Trap()] * 200
    np.savez(tmp_path / "a.npz", **({"images": np.zeros((200, 28, 28), np.uint8)} | {name: trap}))
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "b.safetensors").write_bytes(pickle.dumps(Trap()))
    for file in ("a.npz", "a.npy"):
        status, _, err = call(["evaluate", str(tmp_path / file)])
        assert status == 2 and file in err
    status, _, err = call(["sample", "--model", str(tmp_path / "b.safetensors"), "--out", str(tmp_path / "c.png")])
    assert status == 2 and "b.safetensors" in err
    assert not (tmp_path / "sprung").exists()
    with np.load(tmp_path / "a.npz", allow_pickle=True) as file:
        file[name]
    assert (tmp_path / "sprung").exists()  # so it was a trap


def test_no_path_in_a_file_is_followed(tmp_path):
    """Members of an archive are read by their names and never written; one that is a link is its own content."""
    link = zipfile.ZipInfo("images.npy")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    np.save(tmp_path / "target.npy", np.zeros((200, 28, 28), np.uint8))
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.npz", "w") as archive:
        archive.writestr(link, str(tmp_path / "target.npy"))
        archive.writestr("../out.npy", IMAGES)
    status, _, err = call(["evaluate", str(tmp_path / "in" / "a.npz")])
    assert status == 2 and "a.npz: not an .npz file with an array 'images'" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "target.npy"]


def test_a_bomb_is_not_unpacked(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images.npy", "w") as file,
    ):
        for _ in range(80):
            file.write(bytes(10**6))
    status, _, err = call(["evaluate", str(tmp_path / "a.npz")])
    assert status == 2 and "'images' has 80,000,000 bytes, but 78,404,096 is the most" in err


@pytest.mark.parametrize("name", ["train-images.gz", "../train-images-idx3-ubyte.gz", "/etc/passwd"])
def test_only_the_four_files_are_downloaded(monkeypatch, tmp_path, name):
    monkeypatch.setattr(download.platformdirs, "user_cache_dir", lambda _: str(tmp_path / "cache"))
    monkeypatch.setattr(download.urllib.request, "urlopen", None)
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    assert len(data.SHA256) == 4
    with pytest.raises(ValueError, match="name is .*, but must be one of train-images"):
        data.read(name)
    assert list(tmp_path.iterdir()) == []


# The command line

#: The options of each command, with values that make sense for them.
OPTIONS = {
    "train": {
        "--model": ["mlp", "dcgan"],
        "--epochs": ["1", "2"],
        "--batch-size": ["64", "700"],
        "--seed": ["0", "7"],
        "--out": ["{}/run", "{}/new/run", "{}", ""],
        "--checkpoint-every": ["1", "7"],
        "--resume": ["--resume"],
        "--data": ["small", "omniglot", "{}/pictures", "{}/good.npz", "{}/bright.npz", "mnits"],
        "--augment": ["--augment"],
    },
    "sample": {
        "--model": ["mlp", "conditional", "{}/g.safetensors", "{}/one.safetensors"],
        "--n": ["1", "7", "64"],
        "--seed": ["0", "7"],
        "--digit": ["0", "9"],
        "--out": ["{}/a.npz", "{}/new/a.png", "{}/good.npz"],
    },
    "evaluate": {"{}/good.npz": ["--"], "--data": ["mnist", "small"]},
    "export": {
        "--model": ["mlp", "conditional", "{}/g.safetensors", "{}/one.safetensors"],
        "--out": ["{}/run", "{}/new/run", "{}", ""],
    },
}
PATHS = [
    "{}/a.npz",
    "{}/new/a.png",
    "{}/folder.png",
    "{}/text",
    "{}/text/a.npz",
    "{}/run",
    "{}",
    "",
    ".png",
    "/dev/null",
]
PATHS += [
    "/dev/null/a.npz",
    "{}/" + "n" * 300 + ".png",
    "{}/nul\0.png",
    "{}/\udcff.npz",
    "{}/good.npz",
    "{}/g.safetensors",
    "{}/one.safetensors",
]
values = st.one_of(
    st.sampled_from(
        ["0", "1", "7", "9", "10", "12", "64", "-1", "1e3", "nan", "inf", "1" * 30, "1" * 5000, "²", "٣", " 1", "1_0"]
    ),
    st.sampled_from([*PATHS, "mlp", "classifier", "dcgan", "conditional", "--", "-", "--help", "-h"]),
    st.text(st.characters(exclude_characters="/"), max_size=5).filter(lambda text: text != ".."),
)
words = st.one_of(st.sampled_from([option for options in OPTIONS.values() for option in options]), values)


def lines(command: str) -> st.SearchStrategy[list[str]]:
    right = st.sampled_from([(option, value) for option, found in OPTIONS[command].items() for value in found])
    odd = st.one_of(st.tuples(st.sampled_from(list(OPTIONS[command])), values), st.tuples(words))
    pairs = st.lists(st.one_of(right, right, odd), max_size=4)
    return pairs.map(lambda pairs: [command, *(word for pair in pairs for word in pair)])


@pytest.fixture(scope="module")
def place(tmp_path_factory, measured_once):
    """A folder with a bit of everything, to which nothing is added for good."""
    place = tmp_path_factory.mktemp("place")
    (place / "text").write_text("text", encoding="utf-8")
    (place / "folder.png").mkdir()
    checkpoints.save(place / "g.safetensors", SMALL)
    checkpoints.save(place / "one.safetensors", models.ConditionalGenerator(1, classes=1, channels=1, hidden=1))
    (place / "good.npz").write_bytes(GOOD)
    np.savez(place / "bright.npz", images=np.arange(800 * 784).reshape(800, 28, 28).astype(np.uint8))
    (place / "pictures").mkdir()
    for index in range(10):
        Image.new("L", (28, 28), index % 200).save(place / "pictures" / f"{index}.bmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        yield place


@pytest.mark.slow
@thorough(1_000)
@given(lines("sample"))
def test_command_lines_that_sample(place, line):
    command_line(place, line)


@pytest.mark.slow
@thorough(300)
@given(lines("evaluate"))
def test_command_lines_that_evaluate(place, line):
    command_line(place, line)


@pytest.mark.slow
@thorough(40)
@given(lines("export"))
def test_command_lines_that_export(place, line):
    command_line(place, line)


@pytest.mark.slow
@thorough(60)
@given(lines("train"))
def test_command_lines_that_train(place, line):
    """Whatever else they say, they end with options that make the run short."""
    command_line(place, [*line, "--epochs", "1", "--batch-size", "700", "--model", "mlp"])


def command_line(place, line):
    line = [word.replace("{}", str(place)) for word in line]
    before = {path: path.read_bytes() if path.is_file() else None for path in place.rglob("*")}
    status, out, err = call(line)
    after = {path: path.read_bytes() if path.is_file() else None for path in place.rglob("*")}
    new = {path: after[path] for path in after if path not in before or after[path] != before[path]}
    if status == 0:
        assert err == "" or (err.count("\n") == 1 and ("images are alike" in err or "files are pictures" in err))
        assert "usage:" in out or "Fréchet distance" in out or ("wrote " in out and any(new.values()))
    else:
        assert status == 2
        assert "\nmlxgan" in "\n" + err and "Traceback" not in err
        assert not any(new.values())
    assert not [path.name for path in new if path.name.startswith(".part-")]
    for path in new:
        if path in before:
            path.write_bytes(before[path])
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
