"""The files of data sets: found in a folder of the reader's or downloaded, and known by their digests."""

import gzip
import hashlib
import io
import os
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import platformdirs
from tqdm import tqdm

from .files import part_of, regular, short

TITLES = {"mnist": "MNIST", "omniglot": "Omniglot", "fashion": "Fashion-MNIST"}
LARGEST = 48_000_000  # bytes: no file has more
PATIENCE = 120.0  # seconds for one mirror's file
FAILED: set[str] = set()  # mirrors that this process asks last
KEPT: dict[str, bytes] = {}  # contents by digest that could not be written to the cache, for this process


def bar(*arguments, **options) -> tqdm:
    """Return a progress bar that shows only on a terminal: in a file there would be a line for each of its changes."""
    return tqdm(*arguments, disable=not (sys.stderr and sys.stderr.isatty()), **options)


def find(name: str, file: str, digest: str, mirrors: Iterable[str]) -> bytes:
    """Return the contents of a file of the data set ``name``, a key of ``TITLES``; unpacked if they are gzipped.

    The file is looked for in the folder that the environment variable of the set names, such as ``$MNIST_DIR``, or, if
    it is not set, in the user's cache, where it is put if it is missing or damaged; the mirrors are addresses of
    folders, and are asked in turn, those that have failed before at the end. ``digest`` is its SHA-256, unpacked or as
    it is. Raises FileNotFoundError if it is missing in the variable's folder, ValueError if it is another file, and
    ConnectionError if no mirror has it.
    """
    variable, bare = f"{name.upper()}_DIR", file.removesuffix(".gz")
    what = f"{TITLES[name]}'s {bare}" + (".gz as published, the only form that is known" if name == "fashion" else "")
    genuine = partial(_genuine, digest, what)
    if folder := os.environ.get(variable):
        inside = Path(os.path.expanduser(folder))  # Path's own raises RuntimeError for the folder of a stranger
        places = ("", "raw", f"{TITLES[name].replace('-', '')}/raw")  # the last two are torchvision's
        for path in (inside / place / form for place in places for form in (file, bare)):
            if path.exists():
                return genuine(path, regular(path, LARGEST).read_bytes())
        raise FileNotFoundError(f"{variable} is {folder!r}, but there is no {file} in that folder")
    cached = Path(platformdirs.user_cache_dir("mlxgan"), "" if name == "mnist" else name, file)
    try:
        return genuine(cached, regular(cached, LARGEST).read_bytes())
    except (OSError, ValueError):  # missing, or damaged
        if digest in KEPT:
            return KEPT[digest]
        fetched, content = _fetch(file, mirrors, genuine)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with part_of(cached) as part:
            part.write_bytes(fetched)
    except OSError as error:
        if not KEPT:  # one line for all files
            warnings.warn(f"{bare} is used, but not kept for the next time ({error})", stacklevel=4)
        KEPT[digest] = content
    return content


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
    for mirror in sorted(mirrors, key=FAILED.__contains__):
        try:
            fetched = _in_time(_get, mirror + file)
            return fetched, genuine("its answer", fetched)
        except Exception as error:  # whatever a mirror answers, the next one is tried
            FAILED.add(mirror)
            failures.append(f"{mirror}: {short(error) or 'too slow'}")
    raise ConnectionError(f"{file.removesuffix('.gz')} could not be downloaded; {'; '.join(failures)}")


def _get(url: str) -> bytes:
    end, content = time.monotonic() + PATIENCE, bytearray()
    with urllib.request.urlopen(url, timeout=20) as response, bar(desc=url, unit="B", unit_scale=True) as progress:
        while chunk := response.read1(1 << 16):
            content += chunk
            progress.update(len(chunk))
            if len(content) > LARGEST or time.monotonic() > end:
                raise ConnectionError(f"gave up after {len(content):,} bytes and {PATIENCE:.0f} seconds at most")
    return bytes(content)


def _in_time(function: Callable[[str], bytes], url: str) -> bytes:
    """Return what a function does, or raise TimeoutError after PATIENCE and leave it alone: headers may be slow too."""
    answer = Future[bytes]()

    def call():
        try:
            answer.set_result(function(url))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return answer.result(PATIENCE)
