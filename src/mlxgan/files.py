"""Files that appear only when they are whole and on the disk, and folders that one process at a time writes."""

import contextlib
import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def part_of(path: Path) -> Iterator[Path]:
    """Yield a new name beside ``path``; the file is renamed to ``path`` at the end, or removed on an error."""
    part = path.with_name(f".part-{uuid.uuid4().hex}{path.suffix}")
    try:
        yield part
        if part.exists():  # it was not renamed already
            publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def publish(part: Path, path: Path) -> None:
    """Rename a file once its contents are on the disk, and wait until its new name is there too."""
    sync(part)
    part.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def short(found: object) -> str:
    """Return at most 200 characters of what was found, for a message: enough to recognize it."""
    return str(found)[:200]


def regular(path: Path, most: int = 2**62) -> Path:
    """Return the path of a regular file. Raises ValueError for others, which may never end, and for more bytes."""
    if not path.is_file():
        raise ValueError(f"{path}: not a regular file")
    if (size := path.stat().st_size) > most:
        raise ValueError(f"{path}: has {size:,} bytes, but {most:,} is the most")
    return path


def digest(path: Path) -> str:
    """Return the start of a file's SHA-256, 16 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder, and keep other processes from it.

    Raises OSError; BlockingIOError if another process has it; ValueError for a name that MLX cannot write.
    """
    if str(folder).encode(errors="replace").decode() != str(folder):
        raise ValueError(f"{str(folder)!r} is not a name in UTF-8")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            why = "another process is writing there" if isinstance(error, BlockingIOError) else error.strerror
            raise type(error)(f"{folder}: {why}") from error
        yield
    finally:
        os.close(descriptor)
