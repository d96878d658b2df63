"""Images in MLX, MNIST's or others: found or downloaded, checked, and served in batches.

MNIST's files are those of LeCun, Cortes and Burges in the IDX format, as they are or gzipped. Only files whose contents
have the digests below are ever used.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from . import SMOKE, download, pictures
from .download import TITLES

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
#: The files' SHA-256 when they are not compressed.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PREFIX = {"train": "train", "test": "t10k"}
#: How many of the training images show each digit.
COUNTS = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)


@dataclass(frozen=True)
class Digits:
    """A set of handwritten digits, or of other pictures, in memory on the device.

    NumPy's arrays become MLX's. Raises ValueError for other images than uint8, or if there is not one label per image.
    """

    images: mx.array  #: uint8, (N, 28, 28, 1), 0 for the background to 255 for full ink
    labels: mx.array  #: int32, (N,), the digit 0 to 9, or the number of another class
    name: str  #: which data these are, and why

    def __post_init__(self) -> None:
        images, labels = (x if isinstance(x, mx.array) else mx.array(x) for x in (self.images, self.labels))
        vars(self).update(images=images, labels=labels)  # the class is frozen
        if images.dtype != mx.uint8 or images.ndim != 4 or labels.shape != images.shape[:1]:
            found = f"images are {images.dtype} {images.shape} and labels {labels.shape}"
            raise ValueError(f"{found}, but must be uint8 (N, 28, 28, 1) and (N,)")

    def __len__(self) -> int:
        return len(self.labels)


def load(split: str = "train", name: str = "mnist") -> Digits:
    """Return the images of one split, ``"train"`` or ``"test"``, and print a line that says which they are.

    MNIST has 60,000 and 10,000 digits. Its files are looked for in the folder ``$MNIST_DIR`` if it is set, otherwise in
    the user's cache, and are downloaded if they are not there. ``"small"`` names the digits that come with
    scikit-learn, 1,500 and 297, which in smoke mode also stand in for the named data sets. ``"omniglot"``,
    ``"fashion"``, and the path of a folder of pictures or of an .npz file are for :func:`mlxgan.pictures.load`, which
    says what becomes of them. Raises ValueError for another split or name, or if a file is not what it should be;
    FileNotFoundError if one is missing in ``$MNIST_DIR``; and ConnectionError if no mirror has it.
    """
    if split not in PREFIX:
        raise ValueError(f"split is {split!r}, but must be 'train' or 'test'")
    if name == "small" or SMOKE and name in TITLES:
        why = "as asked for" if name == "small" else "MLXGAN_SMOKE is set"
        digits = small_digits(split, why, TITLES.get(name, "MNIST"))
    elif name == "mnist":
        images, labels = (read(f"{PREFIX[split]}-{part}-ubyte") for part in ("images-idx3", "labels-idx1"))
        digits = _digits(*pictures.from_idx(images, labels), f"MNIST, {split} split")
    else:
        digits = _digits(*pictures.load(split, name), f"{TITLES.get(name) or pictures.title(name)}, {split} split")
    print(f"{digits.name}: {len(digits):,} images")
    return digits


def kind(name: str) -> str:
    """Return the data set in the name of some of its digits, such as "MNIST" for "MNIST, test split"."""
    return name.split(" (")[0].split(",")[0]


def small_digits(split: str, why: str, stand_for: str = "MNIST") -> Digits:
    """Return scikit-learn's 1,797 handwritten digits of 8x8 pixels, resized to 20x20 and padded to 28x28.

    The first 1,500 are the train split, the rest the test split. ``why`` and ``stand_for`` become part of the name.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    small, labels = load_digits(return_X_y=True)
    small = (small.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    images = np.pad([np.asarray(Image.fromarray(x).resize((20, 20))) for x in small], ((0, 0), (4, 4), (4, 4)))
    part = slice(None, 1500) if split == "train" else slice(1500, None)
    name = f"scikit-learn's small digits instead of {stand_for} ({why}), {split} split"
    return _digits(images[part], labels[part], name)


def _digits(images: np.ndarray, labels: np.ndarray, name: str) -> Digits:
    return Digits(mx.array(images[..., None]), mx.array(labels.astype(np.int32)), name)


def normalize(images: mx.array) -> mx.array:
    """Pixels from uint8 in [0, 255] to float32 in [-1, 1], any shape."""
    return mx.array(images).astype(mx.float32) / 127.5 - 1


def to_uint8(images: mx.array) -> mx.array:
    """Pixels from float in [-1, 1] to uint8 in [0, 255], rounded and clipped; undoes :func:`normalize`."""
    levels = (mx.array(images) + 1) * 127.5
    return mx.clip(mx.round(levels), 0, 255).astype(mx.uint8)


def levels(images: mx.array) -> mx.array:
    """Return images as gray levels, uint8 in [0, 255]: as they are if they are uint8, otherwise from [-1, 1].

    A noisy image may leave [-1, 1] a little, and is clipped. Raises ValueError for what is surely no image: integers of
    another type, a NaN, or values beyond 20. Floats in [0, 1] cannot be told from a bright image, and pass for one.
    """
    images = mx.array(images)
    small = mx.issubdtype(images.dtype, mx.floating) and mx.all(mx.abs(images) < 20).item()
    if images.dtype != mx.uint8 and not small:
        found = f"{images.dtype} from {images.min().item():.4g} to {images.max().item():.4g}"
        raise ValueError(f"images are {found}, but must be uint8 in [0, 255] or float in [-1, 1]")
    return images if images.dtype == mx.uint8 else to_uint8(images)


def tile(images: mx.array, columns: int, gap: int = 2) -> np.ndarray:
    """One uint8 picture (height, width) of images (N, 28, 28, 1) in [-1, 1] or uint8, dark ink on white.

    Row by row, ``columns`` to a row, ``gap`` white pixels between; the last row may be short.
    """
    pixels = 255 - np.array(levels(images))[..., 0]
    padded = np.pad(pixels, ((0, -len(pixels) % columns), (0, gap), (0, gap)), constant_values=255)
    rows = padded.reshape(-1, columns, *padded.shape[1:]).swapaxes(1, 2)
    return rows.reshape(-1, columns * padded.shape[2])[:-gap, :-gap]


def draw_labels(n: int) -> mx.array:
    """Labels, int32 (n,), in a random order, with the share that each digit has in the training images."""
    shares = np.cumsum(COUNTS) / sum(COUNTS)
    return mx.random.permutation(mx.array(np.searchsorted(shares, (np.arange(n) + 0.5) / n).astype(np.int32)))


def check(data: Digits, batch_size: int, classes: int | None = None, epochs: int = 1) -> None:
    """Raise ValueError unless there are an epoch and a whole batch and, with ``classes``, all labels are below it."""
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, but must be at least 1")
    if not 1 <= batch_size <= len(data):
        raise ValueError(f"batch_size is {batch_size}, but must be between 1 and the number of images, {len(data)}")
    check_labels(data.labels, classes)


def check_labels(labels: mx.array, classes: int | None) -> mx.array:
    """Return the labels. Raises ValueError if there are ``classes`` and a label is not below their number."""
    if classes is not None and not mx.all((labels >= 0) & (labels < classes)).item():
        raise ValueError(f"labels must be from 0 to {classes - 1}, the classes of the network")
    return labels


def batches(
    data: Digits, batch_size: int, *, seed: int, epoch: int = 0, drop_last: bool = True
) -> Iterator[tuple[mx.array, mx.array]]:
    """One epoch of (images, labels): float32 in [-1, 1], (batch_size, 28, 28, 1), and int32, (batch_size,).

    The order is a new permutation in each epoch, and depends on ``seed`` and ``epoch`` alone. The last batch is left
    out if it is short, unless ``drop_last`` is false. Raises ValueError where ``batch_size`` is not between 1 and the
    number of images.
    """
    check(data, batch_size)
    order = mx.array(np.random.default_rng([seed, epoch]).permutation(len(data)).astype(np.uint32))
    end = len(data) // batch_size * batch_size if drop_last else len(data)
    for start in range(0, end, batch_size):
        index = order[start : start + batch_size]
        yield normalize(data.images[index]), data.labels[index]


def read(name: str) -> bytes:
    """Return the contents of the file ``name`` of MNIST, a key of ``SHA256``, unpacked and downloaded if need be.

    Raises what :func:`load` does, and ValueError for another name.
    """
    if name not in SHA256:
        raise ValueError(f"name is {name!r}, but must be one of {', '.join(SHA256)}")
    return download.find("mnist", f"{name}.gz", SHA256[name], MIRRORS)
