"""Tests run on the small data set, offline, with one BLAS thread for each of xdist's workers."""

import os

os.environ["MLXGAN_SMOKE"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TQDM_DISABLE"] = "1"  # progress bars are no part of a cell's output

import mlxgan  # noqa: F401  (before any test imports mlx.core)
