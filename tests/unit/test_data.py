"""Finding, downloading, checking, parsing and batching the data."""

from mlxgan import data

import gzip
import hashlib
import os
import struct
import subprocess
import sys
import threading
import urllib.request
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

zipped = partial(gzip.compress, mtime=0)  # the same bytes in each of xdist's workers
NAME = "train-labels-idx1-ubyte.gz"


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return zipped(header + array.astype(np.uint8).tobytes())


GOOD = idx(np.arange(200))


@pytest.fixture
def file(tmp_path):
    def write(content: bytes) -> Path:
        path = tmp_path / "some-file.gz"
        path.write_bytes(content)
        return path

    return write


# Parsing


@given(st.lists(st.integers(0, 7), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_idx_round_trip(tmp_path_factory, shape, random):
    array = np.array([random.randrange(256) for _ in range(int(np.prod(shape)))], np.uint8).reshape(shape)
    path = tmp_path_factory.mktemp("idx") / "array.gz"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(data.read_idx(path, ndim=len(shape)), array)


@given(st.binary(max_size=64), st.booleans(), st.sampled_from([1, 3]))
def test_idx_gives_an_array_or_an_error_with_the_name(tmp_path_factory, content, gz, ndim):
    path = tmp_path_factory.mktemp("idx") / "odd.gz"
    path.write_bytes(zipped(content) if gz else content)
    try:
        assert data.read_idx(path, ndim).ndim == ndim
    except ValueError as error:
        assert str(error).startswith(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic number is 0x,"),
        (b"plain text", "not a whole gzip file"),
        (GOOD[:-20], "not a whole gzip file"),
        (GOOD + b"more", "not a whole gzip file"),
        (zipped(bytes([0, 0, 9, 1, 0, 0, 0, 0])), "magic number is 0x00000901, expected 0x00000801"),
        (zipped(bytes([0, 0, 8, 3, 0, 0, 0, 0])), "magic number is 0x00000803, expected 0x00000801"),
        (zipped(bytes([0, 0, 8, 1, 0, 0])), "cut off in the header, after 6 of 8 bytes"),
        (zipped(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + b"four"), "holds 4 values, but its header says 9"),
        (zipped(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + b"four"), "holds 4 values, but its header says 3"),
    ],
)
def test_idx_says_what_is_wrong(file, content, message):
    path = file(content)
    with pytest.raises(ValueError) as error:
        data.read_idx(path, ndim=1)
    assert str(error.value).startswith(f"{path}: {message}")


# Finding and downloading


class Mirror:
    """A local HTTP server that answers with a status, a body and a Content-Length, or falls silent after some bytes."""

    def __init__(
        self, status: int = 200, body: bytes = GOOD, length: int | None = None, silent_after: int | None = None
    ):
        self.requests = 0
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests += 1
                if silent_after == 0:
                    threading.Event().wait(60)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body[:silent_after])
                if silent_after is not None:
                    threading.Event().wait(60)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=partial(self.server.serve_forever, poll_interval=0.01), daemon=True).start()


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache, no MNIST_DIR, and mirrors to be chosen by the test; returns the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setattr(data, "SMOKE", False)
    monkeypatch.setitem(data.SHA256, NAME, hashlib.sha256(GOOD).hexdigest())
    cache = Path(data.platformdirs.user_cache_dir("mlxgan"))
    if not cache.is_relative_to(tmp_path):
        monkeypatch.setattr(data.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
        cache = tmp_path / "mlxgan"
    return cache


def use(monkeypatch, *mirrors: Mirror) -> None:
    monkeypatch.setattr(data, "MIRRORS", tuple(mirror.url for mirror in mirrors))


def test_download_to_the_cache_once(offline, monkeypatch):
    mirror = Mirror()
    use(monkeypatch, mirror)
    for _ in range(2):
        path = data.locate(NAME)
        assert path == offline / NAME
        assert path.read_bytes() == GOOD
    assert mirror.requests == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (partial(Mirror, body=idx(np.zeros(200))), "wrong SHA-256"),
        (partial(Mirror, body=GOOD[:100], length=len(GOOD)), "100 bytes"),
        (partial(Mirror, status=404), "404"),
    ],
)
def test_bad_mirror(offline, monkeypatch, bad, reason):
    use(monkeypatch, bad())
    with pytest.raises(ConnectionError, match=reason):
        data.locate(NAME)
    assert list(offline.iterdir()) == []  # nothing cut off or wrong is left
    use(monkeypatch, bad(), Mirror())
    assert data.locate(NAME).read_bytes() == GOOD


def test_mirror_that_is_down(offline, monkeypatch):
    down = Mirror()
    down.server.shutdown()
    down.server.server_close()
    use(monkeypatch, down, Mirror())
    assert data.locate(NAME).read_bytes() == GOOD


@pytest.mark.parametrize("silent_after", [0, 50])
def test_a_mirror_that_falls_silent_is_given_up(offline, monkeypatch, silent_after):
    """A hundred times sooner than for a reader."""
    urlopen = urllib.request.urlopen
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: urlopen(url, timeout=timeout / 100))
    use(monkeypatch, Mirror(silent_after=silent_after), Mirror())
    assert data.locate(NAME).read_bytes() == GOOD
    assert [path.name for path in offline.iterdir()] == [NAME]


def test_broken_file_in_the_cache_is_replaced(offline, monkeypatch):
    use(monkeypatch, Mirror())
    offline.mkdir()
    (offline / NAME).write_bytes(GOOD[:50])
    assert data.locate(NAME).read_bytes() == GOOD


def test_two_processes_at_once(offline):
    mirror = Mirror(body=GOOD)
    program = f"""
import hashlib
from mlxgan import data
data.MIRRORS = ({mirror.url!r},)
data.SHA256[{NAME!r}] = {hashlib.sha256(GOOD).hexdigest()!r}
data.platformdirs.user_cache_dir = lambda name: {str(offline)!r}
data.locate({NAME!r})
"""
    runs = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        _, error = run.communicate(timeout=60)
        assert run.returncode == 0, error.decode()
    assert [path.name for path in offline.iterdir() if path.suffix != ".so"] == [NAME]  # beside OpenBLAS
    assert (offline / NAME).read_bytes() == GOOD


def test_folder_of_the_reader_comes_first(offline, monkeypatch, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / NAME).write_bytes(GOOD)
    monkeypatch.setenv("MNIST_DIR", str(folder))
    use(monkeypatch)
    assert data.locate(NAME) == folder / NAME
    (folder / NAME).write_bytes(b"not it")
    with pytest.raises(ValueError, match=f"{NAME}: not the genuine MNIST file"):
        data.locate(NAME)


def test_without_mnist_the_small_digits_and_the_reason(offline, monkeypatch, capsys):
    use(monkeypatch, Mirror(status=404))
    digits = data.load("test")
    printed = capsys.readouterr().out
    assert "small digits instead of MNIST" in printed and "404" in printed
    assert len(digits) == 297


def test_smoke_says_so(capsys):
    digits = data.load("train")
    assert "MLXGAN_SMOKE is set" in capsys.readouterr().out
    assert digits.images.shape == (1500, 28, 28, 1) and digits.images.dtype == mx.uint8
    assert digits.labels.shape == (1500,) and set(digits.labels.tolist()) == set(range(10))
    assert digits.images.max().item() == 255
    frame = np.array(digits.images)[:, :4]
    assert not frame.any()  # padded, as MNIST is


def test_unknown_split():
    with pytest.raises(ValueError, match="split is 'valid', but must be 'train' or 'test'"):
        data.load("valid")


@pytest.mark.parametrize("n", [1, 20, 9_999])
def test_labels_have_the_shares_of_the_training_images(n):
    labels = np.array(data.draw_labels(n))
    assert labels.shape == (n,) and labels.dtype == np.int32
    assert np.abs(np.bincount(labels, minlength=10) - n * np.array(data.COUNTS) / 60_000).max() < 1
    assert n < 20 or (np.diff(labels) < 0).any()


@pytest.mark.skipif("MNIST_DIR" not in os.environ, reason="MNIST_DIR is not set: the genuine files are not at hand")
@pytest.mark.parametrize(("split", "count", "first"), [("train", 60000, [5, 0, 4]), ("test", 10000, [7, 2, 1])])
def test_genuine_files(monkeypatch, split, count, first):
    monkeypatch.setattr(data, "SMOKE", False)
    digits = data.load(split)
    assert digits.name == f"MNIST, {split} split"
    assert digits.images.shape == (count, 28, 28, 1)
    assert digits.labels[:3].tolist() == first
    assert split == "test" or np.bincount(np.array(digits.labels)).tolist() == list(data.COUNTS)


# Pixels and batches


def test_pixels_round_trip():
    pixels = mx.arange(256).astype(mx.uint8)
    images = data.normalize(pixels)
    assert images.dtype == mx.float32
    assert (images.min().item(), images.max().item()) == (-1, 1)
    assert mx.array_equal(data.to_uint8(images), pixels)
    assert data.to_uint8(mx.array([-1.5, 1.5])).tolist() == [0, 255]


NUMBERED = data.Digits(mx.zeros((10, 28, 28, 1), mx.uint8), mx.arange(10), "numbered")


def order(**arguments):
    return [label for _, labels in data.batches(NUMBERED, 4, **arguments) for label in labels.tolist()]


def test_each_epoch_has_its_own_order():
    first = order(seed=1, epoch=1, drop_last=False)
    assert sorted(first) == list(range(10))
    assert first == order(seed=1, epoch=1, drop_last=False)
    assert first != order(seed=1, epoch=2, drop_last=False)
    assert first != order(seed=2, epoch=1, drop_last=False)


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [4, 4]), (False, [4, 4, 2])])
def test_the_short_last_batch(drop_last, sizes):
    shapes = [images.shape for images, _ in data.batches(NUMBERED, 4, seed=0, drop_last=drop_last)]
    assert shapes == [(size, 28, 28, 1) for size in sizes]


@pytest.mark.parametrize("size", [0, -1, 11])
def test_impossible_batch_size(size):
    with pytest.raises(ValueError, match=f"batch_size is {size}, but must be between 1 and .* 10"):
        next(data.batches(NUMBERED, size, seed=0))
