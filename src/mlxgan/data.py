"""MNIST in MLX: found or downloaded, checked, parsed, and served in batches.

The files are those of LeCun, Cortes and Burges in the IDX format, gzipped. Nothing but the four files with the digests
below is ever read.
"""

import gzip
import hashlib
import math
import os
import struct
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import mlx.core as mx
import numpy as np
import platformdirs
from tqdm import tqdm

from . import SMOKE

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
PREFIX = {"train": "train", "test": "t10k"}
#: How many of the training images show each digit.
COUNTS = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)


@dataclass(frozen=True)
class Digits:
    """A set of handwritten digits, in memory on the device."""

    images: mx.array  #: uint8, (N, 28, 28, 1), 0 for the background to 255 for full ink
    labels: mx.array  #: int32, (N,), the digit 0 to 9
    name: str  #: which data these are, and why

    def __len__(self) -> int:
        return len(self.labels)


def load(split: str = "train") -> Digits:
    """The digits of one split, ``"train"`` (60,000) or ``"test"`` (10,000), and a line that says which.

    MNIST is looked for in the folder ``$MNIST_DIR``, then in the user's cache, then downloaded to it. Where it cannot
    be had, and in smoke mode, the digits that come with scikit-learn take its place (1,500 and 297). Raises ValueError
    for another split, or for a file in ``$MNIST_DIR`` that is not the genuine one.
    """
    if split not in PREFIX:
        raise ValueError(f"split is {split!r}, but must be 'train' or 'test'")
    if SMOKE:
        digits = small_digits(split, "MLXGAN_SMOKE is set")
    else:
        try:
            images = read_idx(locate(f"{PREFIX[split]}-images-idx3-ubyte.gz"), ndim=3)
            labels = read_idx(locate(f"{PREFIX[split]}-labels-idx1-ubyte.gz"), ndim=1)
            digits = _digits(images, labels, f"MNIST, {split} split")
        except ConnectionError as error:
            digits = small_digits(split, str(error))
    print(f"{digits.name}: {len(digits):,} images")
    return digits


def small_digits(split: str, why: str) -> Digits:
    """The 1,797 handwritten digits of 8x8 pixels in scikit-learn, made to look like coarse MNIST.

    Resized to 20x20 (bicubic) and padded to 28x28, as MNIST's digits were. The first 1,500 are the train split, the
    rest the test split. ``why`` is told in the name.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    small, labels = load_digits(return_X_y=True)
    small = (small.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = np.stack([np.asarray(Image.fromarray(x).resize((20, 20), Image.Resampling.BICUBIC)) for x in small])
    images = np.pad(large, ((0, 0), (4, 4), (4, 4)))
    part = slice(None, 1500) if split == "train" else slice(1500, None)
    return _digits(images[part], labels[part], f"scikit-learn's small digits instead of MNIST ({why}), {split} split")


def _digits(images: np.ndarray, labels: np.ndarray, name: str) -> Digits:
    return Digits(mx.array(images[..., None]), mx.array(labels.astype(np.int32)), name)


def normalize(images: mx.array) -> mx.array:
    """Pixels from uint8 in [0, 255] to float32 in [-1, 1], any shape."""
    return images.astype(mx.float32) / 127.5 - 1


def to_uint8(images: mx.array) -> mx.array:
    """Pixels from float in [-1, 1] to uint8 in [0, 255], rounded and clipped; undoes :func:`normalize`."""
    return mx.clip(mx.round((images + 1) * 127.5), 0, 255).astype(mx.uint8)


def draw_labels(n: int) -> mx.array:
    """Labels, int32 (n,), in a random order, with the share that each digit has in the training images."""
    shares = np.cumsum(COUNTS) / sum(COUNTS)
    return mx.random.permutation(mx.array(np.searchsorted(shares, (np.arange(n) + 0.5) / n).astype(np.int32)))


def batches(
    data: Digits, batch_size: int, *, seed: int, epoch: int = 0, drop_last: bool = True
) -> Iterator[tuple[mx.array, mx.array]]:
    """One epoch of (images, labels): float32 in [-1, 1], (batch_size, 28, 28, 1), and int32, (batch_size,).

    The order is a new permutation in each epoch, and depends on ``seed`` and ``epoch`` alone. The last batch is left
    out if it is short, unless ``drop_last`` is false. Raises ValueError where ``batch_size`` is not between 1 and the
    number of images.
    """
    if not 1 <= batch_size <= len(data):
        raise ValueError(f"batch_size is {batch_size}, but must be between 1 and the number of images, {len(data)}")
    order = mx.array(np.random.default_rng([seed, epoch]).permutation(len(data)).astype(np.uint32))
    end = len(data) // batch_size * batch_size if drop_last else len(data)
    for start in range(0, end, batch_size):
        index = order[start : start + batch_size]
        yield normalize(data.images[index]), data.labels[index]


def locate(name: str) -> Path:
    """Path of the file ``name`` of MNIST, whose SHA-256 has been checked; downloaded if need be.

    Raises ValueError for another name, or where the file in ``$MNIST_DIR`` is not the genuine one, and ConnectionError
    where the file is neither there nor in the cache, and no mirror gives it.
    """
    if name not in SHA256:
        raise ValueError(f"name is {name!r}, but must be one of {', '.join(SHA256)}")
    folder = os.environ.get("MNIST_DIR")
    if folder and (path := Path(folder, name)).exists():
        if (digest := _sha256(path)) != SHA256[name]:
            raise ValueError(f"{path}: not the genuine MNIST file (SHA-256 {digest}, expected {SHA256[name]})")
        return path
    path = Path(platformdirs.user_cache_dir("mlxgan"), name)
    if not (path.exists() and _sha256(path) == SHA256[name]):
        _download(name, path)
    return path


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(name: str, path: Path) -> None:
    """Bring ``name`` from the first mirror that has it; ``path`` appears only when it is whole and right."""
    failures = []
    path.parent.mkdir(parents=True, exist_ok=True)
    for mirror in MIRRORS:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder, name)
            try:
                with urllib.request.urlopen(mirror + name, timeout=30) as response, open(part, "wb") as file:
                    total = int(response.headers.get("Content-Length", 0)) or None
                    with tqdm(total=total, desc=name, unit="B", unit_scale=True) as progress:
                        while chunk := response.read(1 << 16):
                            progress.update(file.write(chunk))
            except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
                failures.append(f"{mirror}: {error}")
                continue
            if (digest := _sha256(part)) == SHA256[name]:
                part.replace(path)
                return
            failures.append(f"{mirror}: {part.stat().st_size} bytes with the wrong SHA-256 {digest}")
    raise ConnectionError(f"{name} could not be downloaded: {'; '.join(failures)}")


def read_idx(path: Path, ndim: int) -> np.ndarray:
    """The uint8 array of ``ndim`` axes in the gzipped IDX file at ``path``.

    Format: two zero bytes, the type 0x08, the number of axes, each axis' length as a big-endian
    uint32, then the values (LeCun, Cortes and Burges). Raises ValueError, naming the file and what is
    wrong with it, for anything else.
    """
    try:
        raw = gzip.decompress(Path(path).read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error})") from error
    magic = bytes([0, 0, 8, ndim])
    if raw[:4] != magic:
        raise ValueError(f"{path}: magic number is 0x{raw[:4].hex()}, expected 0x{magic.hex()} (uint8, {ndim} axes)")
    header = 4 + 4 * ndim
    if len(raw) < header:
        raise ValueError(f"{path}: cut off in the header, after {len(raw)} of {header} bytes")
    shape = struct.unpack(f">{ndim}I", raw[4:header])
    if len(raw) - header != math.prod(shape):
        raise ValueError(f"{path}: holds {len(raw) - header} values, but its header says {' x '.join(map(str, shape))}")
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
