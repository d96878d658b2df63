"""Files from the network, kept in the user's cache; only those are used that are known by their digest."""

import time
import urllib.request
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from .files import part_of

LARGEST = 48_000_000  # bytes: no file that the book downloads has more
PATIENCE = 120.0  # seconds for one address


def obtain(cached: Path, addresses: Iterable[str], check: Callable[[bytes, object], bytes]) -> bytes:
    """Return the contents of the file ``cached``, which is downloaded if it is missing or damaged.

    ``check(content, where)`` returns the contents, or raises ValueError, naming ``where`` they are from, if they are
    not the right ones; the addresses are asked in turn until one has the right ones. Warns if they cannot be kept for
    the next time. Raises ConnectionError if no address has them.
    """
    try:
        return check(read(cached), cached)
    except (OSError, ValueError):  # missing, or damaged
        pass
    name, failures = cached.name.removesuffix(".gz"), []
    for address in addresses:
        try:
            fetched = _fetch(address)
            content = check(fetched, "its answer")
        except Exception as error:  # whatever one address answers, the next one is tried
            failures.append(f"{address.rpartition('/')[0]}: {str(error)[:200]}")
            continue
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            with part_of(cached) as part:
                part.write_bytes(fetched)
        except OSError as error:
            warnings.warn(f"{name} is used, but not kept for the next time ({error})", stacklevel=3)
        return content
    raise ConnectionError(f"{name} could not be downloaded; {'; '.join(failures)}")


def read(path: Path) -> bytes:
    """Return the contents of a file, of which only the start if it is too large. Raises OSError, ValueError."""
    if not path.is_file():  # a pipe or a device may never end
        raise ValueError(f"{path}: not a regular file")
    with open(path, "rb") as file:
        return file.read(LARGEST + 1)


def _fetch(address: str) -> bytes:
    end, content = time.monotonic() + PATIENCE, bytearray()
    with urllib.request.urlopen(address, timeout=20) as response:
        with tqdm(desc=address, unit="B", unit_scale=True) as progress:
            while chunk := response.read1(1 << 16):
                content += chunk
                progress.update(len(chunk))
                if len(content) > LARGEST or time.monotonic() > end:
                    raise ConnectionError(f"gave up after {len(content):,} bytes and {PATIENCE:.0f} seconds at most")
    return bytes(content)
