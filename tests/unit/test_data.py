"""Finding, downloading, checking, parsing and batching the data."""

from mlxgan import data, download

import contextlib
import gzip
import hashlib
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mlx.core as mx
import numpy as np
import pytest

zipped = partial(gzip.compress, mtime=0)  # the same bytes in each of xdist's workers
NAME = "train-labels-idx1-ubyte"
CONTENT = bytes([0, 0, 8, 1, 0, 0, 0, 200]) + bytes(range(200))
GOOD, OTHER = zipped(CONTENT), zipped(CONTENT[::-1])


class Mirror:
    """A local HTTP server that sends ``parts`` with ``pause`` seconds between them, and these headers, after a header
    now and then for the ``first`` seconds."""

    def __init__(self, *parts: bytes, status: int = 200, pause: float = 0, first: float = 0, **headers: str):
        self.requests = 0
        mirror, parts = self, parts or (GOOD,)
        headers = {"Content-Length": str(sum(map(len, parts)))} | headers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests += 1
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                with contextlib.suppress(OSError):  # the reader has given up
                    for _ in range(round(first / 0.1)):
                        self.send_header("X", "x")
                        self.flush_headers()
                        time.sleep(0.1)
                    self.end_headers()
                    for part in parts:
                        self.wfile.write(part)
                        self.wfile.flush()
                        time.sleep(pause)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=partial(self.server.serve_forever, poll_interval=0.01), daemon=True).start()


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache, no MNIST_DIR, and mirrors to be chosen by the test; returns the cache."""
    monkeypatch.delenv("MNIST_DIR", raising=False)
    monkeypatch.setattr(data, "SMOKE", False)
    monkeypatch.setattr(download, "KEPT", {})
    monkeypatch.setattr(download, "FAILED", set())
    monkeypatch.setitem(data.SHA256, NAME, hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(download.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache" / "mlxgan"


def use(monkeypatch, *mirrors: Mirror) -> None:
    monkeypatch.setattr(data, "MIRRORS", tuple(mirror.url for mirror in mirrors))


def test_download_to_the_cache_once(offline, monkeypatch):
    mirror = Mirror()
    use(monkeypatch, mirror)
    for _ in range(2):
        assert data.read(NAME) == CONTENT
        assert [path.name for path in offline.iterdir()] == [f"{NAME}.gz"]
    assert mirror.requests == 1


BAD = {
    "another file": (partial(Mirror, OTHER), "not MNIST's"),
    "cut off": (partial(Mirror, GOOD[:100], **{"Content-Length": str(len(GOOD))}), "not a whole gzip file"),  # type: ignore[arg-type]
    "missing": (partial(Mirror, status=404), "404"),
    "a page": (partial(Mirror, b"<!DOCTYPE html><title>Log in</title>"), "not MNIST's"),
    "a length that is none": (partial(Mirror, OTHER, **{"Content-Length": "many"}), None),  # type: ignore[arg-type]
    "a redirect to nonsense": (partial(Mirror, status=302, Location="gopher://x:y/z"), None),
    "a redirect to itself": (partial(Mirror, status=302, Location="/"), None),
    "no HTTP": (partial(Mirror, status=9), None),
}


@pytest.mark.parametrize("bad", BAD)
def test_whatever_a_mirror_answers_the_next_is_tried(offline, monkeypatch, bad):
    make, reason = BAD[bad]
    use(monkeypatch, make())
    with pytest.raises(ConnectionError, match=reason) as error:
        data.read(NAME)
    assert NAME in str(error.value) and len(str(error.value)) < 700
    assert not offline.exists()  # nothing cut off or wrong is left
    use(monkeypatch, make(), Mirror())
    assert data.read(NAME) == CONTENT


@pytest.mark.parametrize("bad", ["endless", "a byte now and then", "a header now and then", "silent"])
def test_a_mirror_that_takes_too_long_is_given_up(offline, monkeypatch, bad):
    """Sooner than for a reader, who would wait two minutes."""
    monkeypatch.setattr(download, "LARGEST", 10_000)
    monkeypatch.setattr(download, "PATIENCE", 0.5)
    urlopen = urllib.request.urlopen
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: urlopen(url, timeout=timeout / 40))
    endless = {"Content-Length": str(10**9)}
    mirrors = {
        "endless": lambda: Mirror(*[bytes(1000)] * 1000, **endless),
        "a byte now and then": lambda: Mirror(*[b"x"] * 100, pause=0.1, **endless),
        "a header now and then": lambda: Mirror(first=8),
        "silent": lambda: Mirror(b"x", pause=30, **endless),
    }
    use(monkeypatch, mirrors[bad](), Mirror())
    start = time.monotonic()
    assert data.read(NAME) == CONTENT
    assert time.monotonic() - start < 5


def test_a_mirror_that_failed_is_asked_last_from_then_on(offline, monkeypatch):
    """So that a silent one costs two minutes once, and not for each of the four files."""
    bad, good = Mirror(status=404), Mirror()
    use(monkeypatch, bad, good)
    for _ in range(3):
        assert data.read(NAME) == CONTENT
        (offline / f"{NAME}.gz").unlink()
    assert (bad.requests, good.requests) == (1, 3)


def test_a_bomb_is_not_unpacked(offline, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 10_000)
    use(monkeypatch, Mirror(zipped(bytes(10**7))), Mirror())
    assert data.read(NAME) == CONTENT


def test_mirror_that_is_down(offline, monkeypatch):
    down = Mirror()
    down.server.shutdown()
    down.server.server_close()
    use(monkeypatch, down, Mirror())
    assert data.read(NAME) == CONTENT


def test_a_damaged_file_in_the_cache_is_replaced(offline, monkeypatch):
    use(monkeypatch, Mirror())
    offline.mkdir(parents=True)
    (offline / f"{NAME}.gz").write_bytes(GOOD[:50])
    assert data.read(NAME) == CONTENT
    assert (offline / f"{NAME}.gz").read_bytes() == GOOD


@pytest.mark.parametrize("obstacle", ["a file is in its place", "a folder is in the file's place"])
def test_a_cache_that_cannot_be_written_is_one_line(offline, monkeypatch, obstacle):
    mirror = Mirror()
    use(monkeypatch, mirror)
    if obstacle == "a file is in its place":
        offline.parent.mkdir()
        offline.write_text("in the way", encoding="utf-8")
    else:
        (offline / f"{NAME}.gz" / "inside").mkdir(parents=True)
    with pytest.warns(UserWarning, match=f"{NAME} is used, but not kept") as seen:
        for _ in range(2):
            assert data.read(NAME) == CONTENT
    said = [warning for warning in seen if warning.category is UserWarning]  # not what Python says of earlier tests
    assert len(said) == mirror.requests == 1


def test_two_processes_at_once(offline):
    mirror = Mirror()
    program = f"""
import hashlib
from mlxgan import data, download
data.MIRRORS = ({mirror.url!r},)
data.SHA256[{NAME!r}] = {hashlib.sha256(CONTENT).hexdigest()!r}
download.platformdirs.user_cache_dir = lambda name: {str(offline)!r}
data.read({NAME!r})
"""
    runs = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        _, error = run.communicate(timeout=60)
        assert run.returncode == 0, error.decode()
    assert [path.name for path in offline.iterdir()] == [f"{NAME}.gz"]
    assert (offline / f"{NAME}.gz").read_bytes() == GOOD


@pytest.mark.parametrize("place", ["{}.gz", "{}", "raw/{}", "MNIST/raw/{}", "MNIST/raw/{}.gz"])
@pytest.mark.parametrize(
    "content", [CONTENT, GOOD, gzip.compress(CONTENT, 1), zipped(CONTENT[:50]) + zipped(CONTENT[50:])]
)
def test_the_readers_own_files_in_every_usual_form(offline, monkeypatch, tmp_path, place, content):
    """As they are on a mirror, unpacked, packed anew, and where torchvision leaves them; the contents count."""
    use(monkeypatch)
    file = tmp_path / "mine" / place.format(NAME)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "mine"))
    assert data.read(NAME) == CONTENT


def test_the_home_folder_has_its_short_name(offline, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MNIST_DIR", "~/mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / NAME).write_bytes(CONTENT)
    assert data.read(NAME) == CONTENT


@pytest.mark.parametrize("folder", ["/no/such/folder", "~nosuchuser/folder", "{}"])
def test_a_folder_of_the_readers_that_lacks_a_file_is_an_error(offline, monkeypatch, tmp_path, folder):
    """Neither a download nor other digits take its place."""
    mirror = Mirror()
    use(monkeypatch, mirror)
    folder = folder.format(tmp_path)
    monkeypatch.setenv("MNIST_DIR", folder)
    with pytest.raises(FileNotFoundError, match=re.escape(f"MNIST_DIR is {folder!r}, but there is no {NAME}.gz")):
        data.read(NAME)
    assert mirror.requests == 0


def test_a_wrong_file_of_the_readers_is_an_error(offline, monkeypatch, tmp_path):
    use(monkeypatch)
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    for content in (OTHER, b"", b"not it", GOOD[:-20]):
        (tmp_path / f"{NAME}.gz").write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / f"{NAME}.gz"))):
            data.read(NAME)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_a_regular_file_is_read(offline, monkeypatch, tmp_path, kind):
    """A pipe without a writer would wait for ever, and some devices never end."""
    use(monkeypatch)
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    path = tmp_path / f"{NAME}.gz"
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)
    with pytest.raises(ValueError, match=re.escape(f"{path}: not a regular file")):
        data.read(NAME)


def test_without_mnist_there_is_an_error_and_no_other_digits(offline, monkeypatch):
    use(monkeypatch, Mirror(status=404))
    with pytest.raises(ConnectionError, match="t10k-images-idx3-ubyte could not be downloaded.*404"):
        data.load("test")


def test_the_small_digits_are_there_for_who_asks(offline, monkeypatch, capsys):
    use(monkeypatch)
    assert len(data.load("test", "small")) == 297
    assert "scikit-learn's small digits instead of MNIST (as asked for), test split" in capsys.readouterr().out
    with pytest.raises(ValueError, match="data is 'mnits', but must be mnist, small, omniglot, fashion, a folder"):
        data.load("test", "mnits")


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
    shares = np.cumsum(data.COUNTS) / 60_000
    assert shares[-1] == 1 and np.abs(np.bincount(labels, minlength=10).cumsum() - n * shares).max() <= 0.5
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


def test_numpys_arrays_are_digits_too():
    digits = data.Digits(np.full((3, 28, 28, 1), 255, np.uint8), np.arange(3), "three")
    images, labels = next(data.batches(digits, 3, seed=0))
    assert images.min().item() == 1 and sorted(labels.tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((3, 28, 28, 1)), np.arange(3)),
        (mx.zeros((3, 28, 28, 1)), mx.arange(3)),
        (mx.zeros((3, 28, 28, 1), mx.int32), mx.arange(3)),
        (mx.zeros((3, 28, 28), mx.uint8), mx.arange(3)),
        (mx.zeros((3, 28, 28, 1), mx.uint8), mx.arange(4)),
    ],
)
def test_what_is_no_set_of_digits_is_refused(images, labels):
    with pytest.raises(ValueError, match=r"images are .* and labels .*, but must be uint8 \(N, 28, 28, 1\) and \(N,\)"):
        data.Digits(images, labels, "none")


RANDOM = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1))


@pytest.mark.parametrize("array", [np.array, mx.array])
@pytest.mark.parametrize(
    "pixels", [RANDOM.astype(np.uint8), RANDOM / 127.5 - 1, (RANDOM / 127.5 - 1).astype(np.float32)]
)
def test_images_become_gray_levels(array, pixels):
    assert np.array_equal(np.array(data.levels(array(pixels))), RANDOM)


@pytest.mark.parametrize("array", [np.array, mx.array])
@pytest.mark.parametrize(
    "pixels",
    [RANDOM, RANDOM.astype(np.float32), RANDOM.astype(np.int8), RANDOM > 9, np.full((1, 28, 28, 1), np.nan)],
    ids=["integers", "levels as floats", "signed", "true or false", "NaN"],
)
def test_what_is_surely_no_image_is_refused(array, pixels):
    with pytest.raises(ValueError, match=r"images are .*, but must be uint8 in \[0, 255\] or float in \[-1, 1\]"):
        data.levels(array(pixels))


NUMBERED = data.Digits(mx.zeros((10, 28, 28, 1), mx.uint8), mx.arange(10), "numbered")


def order(**arguments):
    return [label for _, labels in data.batches(NUMBERED, 4, **arguments) for label in labels.tolist()]


def test_each_epoch_has_its_own_order():
    first = order(seed=1, epoch=1, drop_last=False)
    assert sorted(first) == list(range(10))
    assert first == order(seed=1, epoch=1, drop_last=False)
    assert first != order(seed=1, epoch=2, drop_last=False)
    assert first != order(seed=2, epoch=1, drop_last=False)
    assert order(seed=1) == order(seed=1, epoch=0, drop_last=True)


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [4, 4]), (False, [4, 4, 2])])
def test_the_short_last_batch(drop_last, sizes):
    shapes = [images.shape for images, _ in data.batches(NUMBERED, 4, seed=0, drop_last=drop_last)]
    assert shapes == [(size, 28, 28, 1) for size in sizes]


@pytest.mark.parametrize("label", [-1, 10])
def test_a_label_that_the_generator_does_not_know(label):
    odd = data.Digits(NUMBERED.images[:3], mx.array([0, label, 9]), "odd")
    data.check(odd, 3)
    data.check(odd, 3, classes=11 if label > 0 else None)
    with pytest.raises(ValueError, match="labels must be from 0 to 9, the classes of the network"):
        data.check(odd, 3, classes=10)


@pytest.mark.parametrize("size", [0, -1, 11])
def test_impossible_batch_size(size):
    with pytest.raises(ValueError, match=f"batch_size is {size}, but must be between 1 and .* 10"):
        next(data.batches(NUMBERED, size, seed=0))
