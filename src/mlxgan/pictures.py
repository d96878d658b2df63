"""Other images than MNIST's: Omniglot, Fashion-MNIST, a folder of pictures, or an array in an .npz file.

All become uint8 (N, 28, 28) with the polarity of the book's digits: 0 is the background, or white paper, and 255 is
full ink, or black, and the book's figures draw them so. A picture file is therefore inverted, and looks in a figure as
it does in a viewer; an array is taken as it is, because that is how ``python -m mlxgan sample`` writes it, and so is
Fashion-MNIST.
"""

import io
import os
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from . import download
from .files import regular, short

SIDE = 28
FEWEST, MOST = 10, 10**5  # pictures
LARGEST_ARRAY = 2**30  # bytes
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
DRAWERS = 16  # of the 20 people who drew an alphabet of Omniglot are for training, and four are held out

MIRRORS = {
    "omniglot": (
        "https://raw.githubusercontent.com/brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python/",
    ),
    "fashion": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}
#: The files' SHA-256, of those of Fashion-MNIST when they are compressed.
SHA256 = {
    "images_background_small1.zip": "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    "images_background_small2.zip": "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


def load(split: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of one split, ``"train"`` or ``"test"``, uint8 (N, 28, 28), and their labels, integers (N,).

    ``name`` is ``"omniglot"`` (3,872 drawings of 242 characters by 16 people, and 968 by 4 others; the label is the
    number of the character), ``"fashion"`` (60,000 and 10,000 pictures of 10 kinds of clothes), or a path. That of a
    folder stands for all pictures in it and in its folders, whose number is the label: turned upright, on white, in
    gray, cut to the square in the middle. That of an .npz file stands for its array ``images``, uint8 (n, height,
    width), and its ``labels`` if it has any. Both are shrunk by area averaging, and every tenth picture is held out as
    the test split. Raises ValueError, naming the file, for anything else, and what :func:`mlxgan.data.load` does.
    """
    if name in MIRRORS:
        return _omniglot(split) if name == "omniglot" else _fashion(split)
    path = Path(os.path.expanduser(name))  # as it is, if there is no such user
    if name and path.is_dir():
        images, labels = _folder(path)
    elif path.suffix == ".npz":
        images, labels = _archive(path)
    else:
        found = short(repr(name))
        raise ValueError(f"data is {found}, but must be mnist, small, omniglot, fashion, a folder, or an .npz file")
    part = (np.arange(len(images)) % 10 == 9) == (split == "test")
    return images[part], labels[part]


def title(name: str) -> str:
    """Return what a model that learned from a path says it has learned from; folders above are nobody's business."""
    # a name need not be UTF-8
    return f"pictures of {Path(name).expanduser().resolve().name.encode(errors='backslashreplace').decode()}"


def _read(name: str, file: str) -> bytes:
    return download.find(name, file, SHA256[file], MIRRORS[name])


def _fashion(split: str) -> tuple[np.ndarray, np.ndarray]:
    prefix = "train" if split == "train" else "t10k"
    return from_idx(*(_read("fashion", f"{prefix}-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1")))


def from_idx(images: bytes, labels: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8 (N, 28, 28), and labels, uint8 (N,), from the contents of two IDX files."""
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, SIDE, SIDE)
    return pixels, np.frombuffer(labels, np.uint8, offset=8)


def _omniglot(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the drawings of each alphabet's first 16 people, or those of the other four."""
    drawings = {}  # by alphabet, character and person: two alphabets are in both files
    for number in (1, 2):
        archive = zipfile.ZipFile(io.BytesIO(_read("omniglot", f"images_background_small{number}.zip")))
        for member in archive.namelist():
            if member.endswith(".png"):
                _, alphabet, character, file = member.split("/")
                drawings[alphabet, character, int(file[-6:-4])] = partial(archive.open, member)
    characters = sorted({key[:2] for key in drawings})
    chosen = [key for key in sorted(drawings) if (key[2] <= DRAWERS) == (split == "train")]
    images = [shrink(Image.open(drawings[key]())) for key in chosen]
    return 255 - np.stack(images), np.array([characters.index(key[:2]) for key in chosen])


def _folder(path: Path) -> tuple[np.ndarray, np.ndarray]:
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    found = [file for file in files if file.suffix.lower() in SUFFIXES]
    others = [file.name for file in files if file.suffix.lower() not in SUFFIXES]
    count = f"{path}: {len(found):,} of {len(files):,} files are pictures"
    if others:
        count += f", {others[0]} for example is not"
    if not FEWEST <= len(found) <= MOST:
        raise ValueError(f"{count}; {FEWEST} to {MOST:,} pictures are needed")
    if others:
        warnings.warn(count, stacklevel=2)
    images, failures = [], []
    for file in download.bar(found, desc=path.name, unit=" pictures"):
        try:
            images.append(ink(file))
        except Exception as error:  # Pillow raises almost anything for a damaged file
            failures.append(f"{file}: {short(error)}")
    if failures:
        raise ValueError(f"{failures[0]} ({len(failures):,} of {len(found):,} pictures cannot be used)")
    return np.stack(images), np.unique([str(file.parent) for file in found], return_inverse=True)[1]


def ink(file: Path) -> np.ndarray:
    """Return a picture as ink, uint8 (28, 28): 0 for white, or where it is transparent, to 255 for black."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # more than 89 million pixels
        picture: Image.Image = Image.open(file)
    if picture.mode[0] in "IF":
        raise ValueError(f"has pixels of kind {picture.mode}, but 8 bits for each color are needed")
    picture.draft("RGB", (4 * SIDE, 4 * SIDE))  # a large JPEG is shrunk while it is read
    picture = ImageOps.exif_transpose(picture).convert("RGBA")
    gray = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("L")
    side = min(gray.size)
    left, top = (gray.width - side) // 2, (gray.height - side) // 2
    return 255 - shrink(gray.crop((left, top, left + side, top + side)))


def shrink(gray: Image.Image) -> np.ndarray:
    """Return a gray picture, uint8 (28, 28), whose pixels are averages over the area that each of them covers."""
    return np.asarray(gray.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def _archive(path: Path) -> tuple[np.ndarray, np.ndarray]:
    arrays = read_arrays(path, LARGEST_ARRAY)
    images, found = arrays["images"], f"{path}: 'images' are {kind(arrays['images'])}"
    if images.dtype != np.uint8 or images.ndim != 3 or 0 in images.shape:
        raise ValueError(f"{found}, but must be uint8 (n, height, width), gray, 0 for the background to 255 for ink")
    if not FEWEST <= len(images) <= MOST:
        raise ValueError(f"{found}, but {FEWEST} to {MOST:,} images are needed")
    if images.max() < 2:
        raise ValueError(f"{found} from 0 to {images.max()}, but pixels go from 0 to 255")
    labels = arrays.get("labels", np.zeros(len(images), int))
    return np.stack([shrink(Image.fromarray(image)) for image in images]), labels


def kind(array: np.ndarray) -> str:
    """Return the type and the shape of an array, for a message."""
    return short(f"{array.dtype} {array.shape}")


def read_arrays(path: Path, largest: int) -> dict[str, np.ndarray]:
    """Return the array ``images`` of an .npz file, and ``labels`` and ``data`` if they are there.

    Raises ValueError, naming the file, if it is damaged or of another kind, if an array has more bytes than
    ``largest``, or if the labels are not whole numbers, of 32 bits, and one per image.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(regular(path)) as archive:
            members = {member.removesuffix(".npy") for member in archive.namelist()}
            for name in {"images"} | {"labels", "data"} & members:
                if (size := archive.getinfo(f"{name}.npy").file_size) > largest:
                    raise ValueError(f"{name!r} has {size:,} bytes, but {largest:,} is the most")
                content = io.BytesIO(archive.read(f"{name}.npy"))
                arrays[name] = np.lib.format.read_array(content, allow_pickle=False)
    except Exception as error:  # zipfile and NumPy raise almost anything for a damaged file
        raise ValueError(f"{path}: not an .npz file with an array 'images' ({short(repr(error))})") from error
    if (labels := arrays.get("labels")) is not None:
        one_each = labels.dtype.kind in "iu" and labels.shape == arrays["images"].shape[:1]
        if not one_each or np.any(labels != labels.astype(np.int32)):
            raise ValueError(f"{path}: 'labels' are {kind(labels)}, but must be whole, of 32 bits, and one per image")
    return arrays
