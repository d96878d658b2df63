"""The files of data sets: found in a folder of the reader's or downloaded, and known by their digests."""

import gzip
import hashlib
import io
import os
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import platformdirs
from tqdm import tqdm

from .files import part_of

TITLES = {"mnist": "MNIST", "omniglot": "Omniglot", "fashion": "Fashion-MNIST"}
LARGEST = 48_000_000  # bytes: no file has more
PATIENCE = 120.0  # seconds for one mirror's file


def find(name: str, file: str, digest: str, mirrors: Iterable[str]) -> bytes:
    """Return the contents of a file of the data set ``name``, a key of ``TITLES``; unpacked if they are gzipped.

    The file is looked for in the folder that the environment variable of the set names, such as ``$MNIST_DIR``, or, if
    it is not set, in the user's cache, where it is put if it is missing or damaged; the mirrors are addresses of
    folders, and are asked in turn. ``digest`` is its SHA-256, unpacked or as it is. Raises FileNotFoundError if it is
    missing in the variable's folder, ValueError if it is another file, and ConnectionError if no mirror has it.
    """
    variable, bare = f"{name.upper()}_DIR", file.removesuffix(".gz")
    genuine = partial(_genuine, digest, f"{TITLES[name]}'s {bare}")
    if folder := os.environ.get(variable):
        inside = Path(folder).expanduser()
        for path in (inside / part / form for part in ("", "raw", "MNIST/raw") for form in (file, bare)):
            if path.exists():
                return genuine(path, _read(path))
        raise FileNotFoundError(f"{variable} is {folder!r}, but there is no {file} in that folder")
    cached = Path(platformdirs.user_cache_dir("mlxgan"), "" if name == "mnist" else name, file)
    try:
        return genuine(cached, _read(cached))
    except (OSError, ValueError):  # missing, or damaged
        fetched, content = _fetch(file, mirrors, genuine)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with part_of(cached) as part:
            part.write_bytes(fetched)
    except OSError as error:
        warnings.warn(f"{bare} is used, but not kept for the next time ({error})", stacklevel=4)
    return content


def _read(path: Path) -> bytes:
    if not path.is_file():  # a pipe or a device may never end
        raise ValueError(f"{path}: not a regular file")
    with open(path, "rb") as file:
        return file.read(LARGEST + 1)


def _genuine(digest: str, what: str, where: object, content: bytes) -> bytes:
    """Return the content, unpacked. Raises ValueError, naming ``where`` it is from, if it is not the right one."""
    found = [hashlib.sha256(content).hexdigest()]
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(LARGEST + 1)
            found.append(hashlib.sha256(content).hexdigest())
    except Exception as error:  # gzip and zlib raise several kinds
        raise ValueError(f"{where}: not a whole gzip file ({error})") from error
    if digest not in found:
        raise ValueError(f"{where}: not {what} (SHA-256 {', unpacked '.join(found)}, expected {digest})")
    return content


def _fetch(file: str, mirrors: Iterable[str], genuine: Callable[[str, bytes], bytes]) -> tuple[bytes, bytes]:
    """Return the file as the first mirror has it that answers with the right one, and its contents."""
    failures = []
    for mirror in mirrors:
        try:
            fetched = _get(mirror + file)
            return fetched, genuine("its answer", fetched)
        except Exception as error:  # whatever a mirror answers, the next one is tried
            failures.append(f"{mirror}: {str(error)[:200]}")
    raise ConnectionError(f"{file.removesuffix('.gz')} could not be downloaded; {'; '.join(failures)}")


def _get(url: str) -> bytes:
    end, content = time.monotonic() + PATIENCE, bytearray()
    with urllib.request.urlopen(url, timeout=20) as response, tqdm(desc=url, unit="B", unit_scale=True) as progress:
        while chunk := response.read1(1 << 16):
            content += chunk
            progress.update(len(chunk))
            if len(content) > LARGEST or time.monotonic() > end:
                raise ConnectionError(f"gave up after {len(content):,} bytes and {PATIENCE:.0f} seconds at most")
    return bytes(content)
