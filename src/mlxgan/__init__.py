"""Shared code of the book on generative adversarial networks in MLX.

Import this package before ``mlx.core``: on Linux it gives MLX a fast BLAS (see :mod:`mlxgan.blas`).
"""

import os
import signal
import sys
from pathlib import Path


def leave(*_: object, status: int = 130) -> None:
    """End at once, by default with the status of a program that was interrupted."""
    if "blas" in globals():
        blas.LOCKS.close()  # with it go temporary folders
    os._exit(status)


if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave)  # while python -m mlxgan imports its modules

#: Smoke mode (``MLXGAN_SMOKE=1``): the small data set and a few steps, for tests.
SMOKE = os.environ.get("MLXGAN_SMOKE", "0") not in ("", "0")

#: The folder of the repository, where notebooks find the book's data, and the one for what they train; tests choose it.
ROOT = Path(__file__).parents[2]
RUNS = Path(os.environ.get("MLXGAN_RUNS") or ROOT / ("runs/smoke" if SMOKE else "runs"))

from . import blas  # noqa: E402

blas.use_own_kernels()  # before anything imports mlx.core
blas.use_openblas()
blas.check_kernels()

from .checkpoints import load_pretrained  # noqa: E402

__all__ = ["ROOT", "RUNS", "SMOKE", "load_pretrained"]
