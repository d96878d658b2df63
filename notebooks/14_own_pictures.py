# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own pictures, and little data
#
# All our generators so far have learned from the same sixty thousand digits, which somebody else had cut out, centered, and cleaned.
# Your own pictures come in every shape, and there are never sixty thousand of them.
# In this chapter we train the DCGAN on fewer than four thousand drawings of letters, watch its discriminator learn them by heart, find out how to keep it from doing so and what that is worth, and ask the generator which drawings it cannot make.
# At the end, two commands do the same for a folder of your own pictures.
#
# *Before: [Measuring](08_measuring.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: half an hour · To run: about @@eight@@ minutes on two CPU cores*

# %%
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import (
    augment,
    data,
    layers,
    measures,
    metrics,
    models,
    pictures,
    plots,
    recipes,
    training,
)

import json
import tempfile
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from IPython.display import Markdown, display
from PIL import Image, ImageDraw

# %% mystnb={"figure": {"caption": "Forty-eight drawings from Omniglot, chosen at random. They are the data of this chapter.", "name": "fig-14-characters"}, "image": {"alt": "Three rows of sixteen characters in thin dark strokes, among them Greek, Latin, Korean and Sanskrit letters, each drawn by a different hand."}}
characters = data.load("train", "omniglot")
held_out = data.load("test", "omniglot")
order = np.random.default_rng(14).permutation(len(characters))
plots.digits(characters.images[mx.array(order[:48])], columns=16, scale=0.42)
