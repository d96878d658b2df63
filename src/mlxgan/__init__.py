"""Shared code of the book on generative adversarial networks in MLX.

Import this package before ``mlx.core``: on Linux it gives MLX a fast BLAS (see :mod:`mlxgan.cpu`).
"""

import os

#: Smoke mode (``MLXGAN_SMOKE=1``): the small data set and a few steps, for tests.
SMOKE = os.environ.get("MLXGAN_SMOKE", "0") not in ("", "0")

from mlxgan import cpu  # noqa: E402  (the BLAS, before anything that imports mlx.core)
from mlxgan.checkpoints import load_pretrained  # noqa: E402

__all__ = ["SMOKE", "cpu", "load_pretrained"]
