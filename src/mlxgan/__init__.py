"""Shared code of the book on generative adversarial networks in MLX.

Import this package before ``mlx.core``: on Linux it gives MLX a fast BLAS (see :mod:`mlxgan.cpu`).
"""

from mlxgan.cpu import use_openblas

import os

use_openblas()

#: Smoke mode (``MLXGAN_SMOKE=1``): the small data set and a few steps, for tests.
SMOKE = os.environ.get("MLXGAN_SMOKE", "0") not in ("", "0")

from mlxgan.checkpoints import load_pretrained  # noqa: E402  (loads mlx.core)

__all__ = ["SMOKE", "load_pretrained"]
