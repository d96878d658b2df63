"""Shared code of the book on generative adversarial networks in MLX.

Import this package before ``mlx.core``: on Linux it gives MLX a fast BLAS (see :mod:`mlxgan.blas`).
"""

import os

#: Smoke mode (``MLXGAN_SMOKE=1``): the small data set and a few steps, for tests.
SMOKE = os.environ.get("MLXGAN_SMOKE", "0") not in ("", "0")

from . import blas  # noqa: E402

blas.use_openblas()  # before anything imports mlx.core

from .checkpoints import load_pretrained  # noqa: E402

__all__ = ["SMOKE", "load_pretrained"]
