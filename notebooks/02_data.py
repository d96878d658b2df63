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
# # The data
#
# After this chapter you know what every later chapter trains on: which bytes, which shapes, which
# values, in which order.
#
# ```{admonition} What you will learn
# :class: important
# - read the files of MNIST by hand, and refuse wrong ones
# - turn pixels into numbers that suit a network, and back without loss
# - tell what is typical of the digits: classes, grey levels, means
# - serve batches in an order that a seed decides
#
# **Before**: {doc}`01_mlx`.
# ```

# %%
from mlxgan import data, plots  # before mlx.core: on Linux it makes MLX fast

import gzip
import hashlib
import os
import struct
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt
import mlx.core as mx
import numpy as np

# %% [markdown]
# MNIST has 70,000 handwritten digits, 60,000 to train on and 10,000 to test with. Yann LeCun and
# colleagues made it from scans of the American standards institute NIST: they scaled each digit
# to fit into 20×20 pixels, which gave it grey levels, and put its centre of mass into the centre
# of a 28×28 image. No writer is in both sets {cite}`lecun1998`.
#
# `data.load` brings one of the two sets into memory.

# %%
train, test = data.load("train"), data.load("test")
print("images", train.images.shape, train.images.dtype, " labels", train.labels.shape)
print(
    f"uint8: {train.images.nbytes / 1e6:.0f} MB, float32: {4 * train.images.size / 1e6:.0f} MB"
)

# %% [markdown]
# The axes are number, height, width, channel, in short NHWC, as all of MLX's layers for images
# expect it; a grey image has one channel. The pixels stay bytes on the device, 0 for the
# background and 255 for full ink. As float32 they would take four times the memory, so only the
# batch in use is converted. {numref}`fig-02-digits` shows the first ten of each class.

# %% mystnb={"figure": {"caption": "The first ten training images of each class. Writers differ in slant, width and form, and all of that a generator has to learn.", "name": "fig-02-digits"}, "image": {"alt": "A grid of handwritten digits, dark on white, ten rows and ten columns. The first column holds zeros, the second ones, and so on to nines."}}
labels = np.array(train.labels)
first = [np.flatnonzero(labels == digit)[:10] for digit in range(10)]
index = mx.array(np.stack(first, axis=1).ravel())
plots.digits(train.images[index], columns=10, titles=list(range(10)))

# %% [markdown]
# ## The right bytes
#
# The four files first stood on a page of LeCun's. In March 2021 its server refused downloads,
# and scripts that knew no other address stopped working, as
# [users of torchvision](https://github.com/pytorch/vision/issues/3549) found. So the loader knows
# two mirrors: a copy that the PyTorch project keeps, and one of the Common Visual Data Foundation.
# Your own copies come first, if the environment variable `MNIST_DIR` names their folder.
#
# Whoever takes a file from a mirror wants to know that it is the same file. A digest answers
# that: SHA-256 makes 256 bits of any number of bytes.
#
# **Predict**: the next cell flips a single bit of a file of test images. How many of the 256
# bits of the digest change? And what does `data.locate`, the part of the loader that finds a
# file, say about the changed file?

# %%
name = "t10k-images-idx3-ubyte.gz"
if test.name.startswith("MNIST"):
    original = data.locate(name).read_bytes()
else:  # no MNIST here: write the small digits in its format
    header = struct.pack(">4B3I", 0, 0, 8, 3, *test.images.shape[:3])
    original = gzip.compress(header + np.array(test.images).tobytes())
changed = bytearray(original)
changed[1000] ^= 1
before, after = (
    int(hashlib.sha256(file).hexdigest(), 16) for file in (original, changed)
)
print(
    f"{len(original):,} bytes; {(before ^ after).bit_count()} of 256 bits of the digest differ"
)

with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, MNIST_DIR=folder):
    Path(folder, name).write_bytes(changed)
    try:
        data.locate(name)
    except ValueError as error:
        print(str(error).removeprefix(f"{folder}{os.sep}").replace(" (", "\n("))

# %% [markdown]
# About half of the bits change, as if the digest were drawn anew. The loader keeps the four
# genuine digests in `data.SHA256`. It refuses anything else, whatever its name.
#
# ## The IDX format
#
# Inside the gzip file is a header and then the pixels, row by row. The header has two zero bytes,
# a code for the type (8 is uint8), the number of axes, and the length of each axis as a 32-bit
# integer. These have their *largest* byte first (big-endian), while the processors in use today
# store the smallest first.
#
# **Predict**: what becomes of the number of images if the bytes are read in the wrong order?

# %%
raw = gzip.decompress(original)
print("header:", raw[:16].hex(" ", 4))
count, height, width = struct.unpack(">3I", raw[4:16])
print(f"{count:,} images of {height} by {width}")
print(f"in the wrong order: {struct.unpack('<I', raw[4:8])[0]:,} images")
by_hand = np.frombuffer(raw, np.uint8, offset=16).reshape(count, height, width)
assert np.array_equal(by_hand, np.array(test.images)[..., 0])

# %% [markdown]
# These few lines are a parser, but one that trusts its file. `data.read_idx` does the same and
# trusts nothing: not the compression, not the magic number (the first four bytes), not the
# lengths. The next cell feeds it five wrong files: a download that stopped, an array that is too
# short, labels in place of images, a web page that says "not found", and half a header.

# %% tags=["nbval-check-output"]
idx = struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + bytes(range(24))
wrong = {
    "stopped.gz": gzip.compress(idx)[:30],
    "short.gz": gzip.compress(idx[:-5]),
    "labels.gz": gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 10) + bytes(10)),
    "page.gz": b"<!DOCTYPE html>",
    "half.gz": gzip.compress(idx[:9]),
}
with tempfile.TemporaryDirectory() as folder:
    for file, content in wrong.items():
        Path(folder, file).write_bytes(content)
        try:
            data.read_idx(Path(folder, file), ndim=3)
        except ValueError as error:
            print(str(error).removeprefix(f"{folder}{os.sep}"))

# %% [markdown]
# Each message names the file and what is wrong with it. A trusting parser fails on such files far
# from the cause, or reads a strange array, and the mistake shows as poor images, much later.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: the first line of output speaks of "scikit-learn's small digits instead of MNIST".
# *Cause*: MNIST is neither on this machine nor can it be downloaded, or `MLXGAN_SMOKE` is set.
# *Cure*: the brackets of that line say why; put the four files into a folder and name it in
# `MNIST_DIR`.
# ```
#
# ### The stand-in
#
# The tests of this book run on 1,797 small digits that come with scikit-learn: images of 8×8,
# enlarged to 20×20 and padded to 28×28. They also step in where MNIST cannot be had, so that the
# notebooks run on a train. The loader never swaps silently: the printed line and the `name` of
# the set say which data they are and why. A result is worth nothing if you do not know what it
# was measured on.

# %% mystnb={"figure": {"caption": "MNIST above, the stand-in below. The stand-in is coarser, and a figure made from it is not one of MNIST.", "name": "fig-02-small"}, "image": {"alt": "Two rows of ten handwritten digits from 0 to 9. Those of the upper row have crisp strokes, those of the lower row are blurred."}}
small = data.small_digits("train", "for comparison")
print(small.name)
_, small_first = np.unique(np.array(small.labels), return_index=True)
rows = [train.images[index[:10]], small.images[mx.array(small_first)]]
plots.digits(mx.concatenate(rows), columns=10, titles=list(range(10)))

# %% [markdown]
# ## From bytes to numbers and back
#
# The generators of this book end in tanh, whose values lie between -1 and 1
# ({numref}`fig-01-tanh`). Real images must have the same range, or the discriminator could tell
# the two apart by their range alone. `data.normalize` maps 0 to -1 and 255 to 1;
# `data.to_uint8` undoes it, for figures and files.

# %% tags=["nbval-check-output"]
every_byte = mx.arange(256).astype(mx.uint8)
numbers = data.normalize(every_byte)
print(numbers.dtype, f"{numbers[0].item():.3f} ... {numbers[-1].item():.3f}")
assert mx.array_equal(data.to_uint8(numbers), every_byte)
print("all 256 values come back")
print("outside the range:", data.to_uint8(mx.array([-1.5, 1.5])))

# %% [markdown]
# The way back rounds and clips. Both matter: a float that is cut off instead of rounded can land
# one too low (the first exercise below), and one that lies outside the range could wrap around.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# `ToTensor` followed by `Normalize((0.5,), (0.5,))` computes the same numbers, but image by
# image, on the CPU, and as NCHW. Here a batch is converted at once, on the device.
# ```
#
# ## What is in it
#
# A generator that is not told which digit to draw should draw each as often as it occurs. How
# often is that? {numref}`fig-02-classes` counts.

# %% mystnb={"figure": {"caption": "The classes of the training set are nearly, but not exactly, equally frequent.", "name": "fig-02-classes"}, "image": {"alt": "A bar for each digit from 0 to 9. The bars are close to a dotted line that marks a tenth of the images."}}
counts = np.bincount(labels, minlength=10)
figure, axes = plt.subplots()
axes.bar(range(10), counts, color=plots.REAL)
axes.axhline(len(train) / 10, color="black", linestyle=":", label="a tenth of all")
axes.set(
    xlabel="digit", ylabel="images", xticks=range(10), ylim=(0, 1.35 * counts.max())
)
axes.legend(ncols=2)
print(f"rarest: {counts.argmin()} ({counts.min():,} images)")
print(f"commonest: {counts.argmax()} ({counts.max():,} images)")

# %% [markdown]
# **Predict**: which share of all pixels is exactly 0, and which is exactly 255?

# %% mystnb={"figure": {"caption": "How often each grey level occurs, on a logarithmic axis. Most pixels are background, and far fewer are grey or black.", "name": "fig-02-pixels"}, "image": {"alt": "A histogram of the levels from 0 to 255. The bar at 0 towers above all others, a second and lower rise is at the right end, and the levels between are about equally rare."}}
levels = np.bincount(np.array(train.images).ravel(), minlength=256)
share = levels / levels.sum()
print(f"background (0): {share[0]:.1%}, full ink (255): {share[255]:.1%}")

figure, axes = plt.subplots()
axes.bar(range(256), share, width=1, color=plots.REAL, log=True)
_ = axes.set(xlabel="grey level", ylabel="share of all pixels")

# %% [markdown]
# Most of an image is exactly -1 after normalisation. For these pixels the generator has to push
# tanh to its limit, where its derivative all but vanishes. And a picture of nothing but background
# is right in most of its pixels: no measure that counts pixels tells us much about digits.
#
# ### A mean that is wrong
#
# What is the mean pixel? The next cell asks in three ways.
#
# **Predict**: do they agree?

# %%
pixels = data.normalize(train.images)
exact = np.array(train.images).mean() / 127.5 - 1
by_image = pixels.mean(axis=(1, 2, 3)).mean().item()
print(f"NumPy, float64:          {exact:.4f}")
print(f"MLX, by image:           {by_image:.4f}")
print(f"MLX, all at once:        {pixels.mean().item():.4f}")
print(f"-2**24 / {pixels.size:,}: {-(2**24) / pixels.size:.4f}")
assert abs(by_image - exact) < 1e-3

# %% [markdown]
# A float32 has 24 bits for its digits. Once a running sum of -1s has come to $-2^{24}$, another -1
# is too small to change it, and the sum stands still. The third line is that standstill: its mean
# is the last line's number. The mean of means adds few numbers at a time and is right. Batches
# of this book are far too small for the trap; a statistic of a whole data set is not. Take it
# in parts, or in NumPy's float64.
#
# ```{admonition} On other machines
# :class: note
# Where a GPU adds in parts of its own, all three can agree. They also agree on the stand-in, which
# has too few pixels to reach $2^{24}$.
# ```
#
# ### Mean digits
#
# The mean image of a class is a product of two matrices: one row of zeros and ones for each class
# times one row of pixels for each image.

# %% mystnb={"figure": {"caption": "The mean image of each class and of the whole training set. A network that minimises squared error without knowing the digit would draw the last one.", "name": "fig-02-means"}, "image": {"alt": "Eleven blurred images in a row. The first ten can be read as the digits 0 to 9, the blur being widest where writers differ; the last is a grey cloud without form."}}
members = (mx.arange(10)[:, None] == train.labels).astype(mx.float32)
sums = members @ pixels.reshape(-1, 784)
means = sums / members.sum(axis=1, keepdims=True)
overall = sums.sum(axis=0, keepdims=True) / len(train)
rows = mx.concatenate([means, overall]).reshape(-1, 28, 28, 1)
plots.digits(rows, columns=11, titles=[*range(10), "all"])

# %% [markdown]
# The mean of many good digits is not a good digit. A generator must *choose* a digit and a style;
# the noise that it gets is there for that choice. This is why the book needs a loss that is not
# a distance between pixels, and {doc}`04_losses` is about that loss.
#
# ## Batches
#
# `data.batches` yields one epoch of pairs of images and labels. The order is a new permutation in
# each epoch, drawn from the pair (seed, epoch) and nothing else. A set of ten blank images with
# the labels 0 to 9 makes it visible.

# %% tags=["nbval-check-output"]
ten = data.Digits(
    mx.zeros((10, 28, 28, 1), mx.uint8), mx.arange(10), "ten blank images"
)


def order(**how):
    return [batch_labels.tolist() for _, batch_labels in data.batches(ten, 4, **how)]


print("epoch 0:", order(seed=0, epoch=0))
print("epoch 1:", order(seed=0, epoch=1))
print("epoch 0 again:", order(seed=0, epoch=0))
print("with the rest:", order(seed=0, epoch=0, drop_last=False))

# %% [markdown]
# Epoch 1 has an order of its own, and asking for epoch 0 again repeats it. So the order of epoch 8
# is known without replaying the seven before, which helps a run that was interrupted.
#
# Many scripts shuffle with `np.random.permutation` and call `mx.random.seed` at the top.
#
# **Predict**: do the two permutations agree?

# %% tags=["nbval-check-output"]
shuffles = []
for _ in range(2):
    mx.random.seed(0)
    shuffles.append(np.random.permutation(1000))
print("NumPy's global shuffle, same mx seed, agrees:", np.array_equal(*shuffles))
print("mlxgan's order, same seed, agrees:", order(seed=0) == order(seed=0))

# %% [markdown]
# NumPy and MLX keep separate random states, and a seed set in one does not reach the other.
# Such a script gives another result in every run, and its author cannot say why.
#
# ### The short last batch
#
# Ten images make two batches of four and a rest of two. By default `data.batches` leaves the rest
# out. The permutation is new in each epoch, so other images are left out each time. A compiled
# step shows why that is convenient.
#
# **Predict**: how often is the step below traced in an epoch with the rest, and in one without?

# %% tags=["nbval-check-output"]
for drop_last in (False, True):
    traces = []

    @mx.compile
    def brightness(images, traces=traces):
        traces.append(images.shape)
        return images.mean()

    for images, _ in data.batches(ten, 4, seed=0, drop_last=drop_last):
        mx.eval(brightness(images))
    print(f"drop_last={drop_last}: traced for {traces}")

# %% [markdown]
# Every new shape costs another trace and compilation. There is a second reason to leave the rest
# out: in a mean over batches, the few images of a short batch count more than the others.
#
# How long does it take to serve the whole training set?

# %%
start = time.perf_counter()
for images, batch_labels in data.batches(train, 64, seed=0):
    mx.eval(images, batch_labels)
seconds = time.perf_counter() - start
steps, rest = divmod(len(train), 64)
print(f"{steps:,} batches of 64 in {seconds:.2f} s, {rest} images left out")

# %% [markdown]
# A batch takes a fraction of a millisecond: gather the rows of an array that is in memory
# already, divide, subtract. Compare it with the seconds of an epoch in {doc}`05_training`: there
# is nothing to hide by loading in parallel.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# There is no `DataLoader`, and nothing to replace it: no worker processes, no `collate_fn`, no
# `pin_memory`, no `.to(device)`. A generator function of a few lines indexes an array that CPU and
# GPU share. `DataLoader(shuffle=True, generator=g)` moves `g` on in each epoch; here the epoch's
# number takes its place. `drop_last` is False there by default, and True here.
# ```
#
# ## Summary
#
# - The loader accepts the four genuine files and nothing else; what it loads says its name.
# - IDX is a header of big-endian integers and then bytes. A strict parser checks every field.
# - Images are NHWC, bytes in memory and float32 in [-1, 1] in the batch. The way back is exact.
# - Most pixels are background. The mean of the digits is no digit.
# - Sums of millions of float32 numbers can stand still: use parts, or float64.
# - The order depends on (seed, epoch). Short batches are left out.
#
# ## Exercises
#
# ```{exercise} Cut off instead of rounded
# :label: ex-02-cut
# Write the way back without `mx.round`, as `((x + 1) * 127.5).astype(mx.uint8)`. How many of the
# 256 values do not come back, and by how much are they wrong?
# ```
#
# ```{solution-start} ex-02-cut
# :class: dropdown
# ```

# %%
cut = ((data.normalize(every_byte) + 1) * 127.5).astype(mx.uint8)
difference = every_byte.astype(mx.int32) - cut.astype(mx.int32)
print(
    (difference != 0).sum().item(),
    "values differ, by at most",
    mx.abs(difference).max().item(),
)

# %% [markdown]
# The division by 127.5 is not exact, so the product can come out a little below the whole number,
# and cutting off takes it to the next one down.
#
# ```{solution-end}
# ```
#
# ```{exercise} The nearest mean
# :label: ex-02-nearest
# Assign each test image to the class whose mean image is nearest to it, in squared distance.
# Which share is right? It is a check of images against labels too.
# ```
#
# ```{solution-start} ex-02-nearest
# :class: dropdown
# ```

# %%
flat = data.normalize(test.images).reshape(-1, 784)
# |x - m|^2 = |x|^2 - 2 x.m + |m|^2, and the first term is the same for all classes
distances = means.square().sum(axis=1) - 2 * flat @ means.T
right = (distances.argmin(axis=1) == test.labels).mean().item()
print(f"{right:.1%} right")
assert right > 0.7

# %% [markdown]
# Far more than the tenth that guessing would give. If labels and images had been shuffled apart,
# it would be a tenth.
#
# ```{solution-end}
# ```
#
# ```{exercise} Who is left out
# :label: ex-02-rest
# Serve `ten` in batches of four for 1,000 epochs. How often is each image used, and how often do
# you expect it?
# ```
#
# ```{solution-start} ex-02-rest
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
used = np.zeros(10, int)
for epoch in range(1000):
    for batch in order(seed=0, epoch=epoch):
        used[batch] += 1
print(used, used.sum())
assert abs(used - 800).max() < 60

# %% [markdown]
# Eight of ten images are used in an epoch, so about 800 times each, and none is left out for good.
#
# ```{solution-end}
# ```
#
# ## Further reading
#
# How MNIST was made, and what classifiers made of it then, is in {cite}`lecun1998`. The generator
# that meets these images is built in {doc}`03_models`.
