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
# # MLX on a Linux CPU
#
# ![Four panels of a transposed convolution: a 2 by 2 input, one of its pixels that stamps a 4 by 4 kernel, four overlapping stamps that are two cells apart, and the output of 4 by 4 that is left when the border is cropped.](../book/diagrams/transposed-conv.svg)
#
# *A transposed convolution stamps its kernel once for each input pixel. It is also the gradient of an ordinary convolution with respect to its input, and on a Linux CPU MLX's own version of it is one of four things that make training slow.*
#
# MLX was written for Apple's chips, and its backend for Linux CPUs is there so that programs run, not so that they run fast.
# This book runs on such a CPU whenever its outputs are made, so its package had to do something about that: with `import mlxgan`, the training steps of both GANs are more than twenty times as fast as with MLX alone.
# This appendix shows what was slow, why, and what replaces it, and at the end what we tried with little or no success, so that you need not try it again.
# If you have a Mac, or train on an NVIDIA GPU, nothing of it concerns you, except perhaps the way of looking for a cause.
#
# *Before: [Where the time goes](16_speed.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: twenty minutes · To run: two minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import layers, models, plots, recipes, training

import io
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown, display
from mlx.utils import tree_flatten, tree_map

mx.set_default_device(mx.cpu)  # on a Mac, too
ROUNDS = 3 if mlxgan.SMOKE else 15
BATCH = 4 if mlxgan.SMOKE else 64


# %% tags=["hide-input"]
def race(works, rounds=ROUNDS):
    """Seconds of each function, whose result is evaluated."""
    for work in [*works.values(), *works.values()]:  # warm up
        mx.eval(work())
    seconds = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            mx.eval(work())
            seconds[name].append(time.perf_counter() - start)
    return seconds


def show(seconds):
    """A table: median times, and ratios to the first row."""
    table = [
        "| | median | ratio | middle half of the rounds |",
        "|---|--:|--:|--:|",
    ]
    base = np.array(next(iter(seconds.values())))
    for name, values in seconds.items():
        low, ratio, high = np.percentile(values / base, [25, 50, 75])
        middle = 1000 * np.median(values)
        places = 2 if middle < 10 else 0
        row = f"| {name} | {middle:.{places}f} ms | {ratio:.2f} "
        table.append(f"{row}| {low:.2f} to {high:.2f} |")
    display(Markdown("\n".join(table)))


# %% [markdown]
# The folded cell holds the stopwatch of [Where the time goes](16_speed.ipynb), which lets its candidates take turns and compares each with the first, round by round.
# Its ratio is the median over the rounds, so it can differ from the ratio of the two medians beside it.
#
# ## Four causes
#
# Let us begin with the result.
# The next cell times the steps of both GANs with MLX as installed, and then with one remedy after the other: a fast library for matrix products, weights that lie in memory by columns, convolutions that are computed as matrix products, and a batch normalization of our own.
# Which library MLX uses is settled when it is loaded, so each measurement is a process of its own.

# %% tags=["hide-input"]
program = """
import statistics, sys, time
import mlxgan
from mlxgan import layers, recipes, training
import mlx.core as mx, mlx.nn as nn

recipe, batch, *remedies = sys.argv[1:]
mx.set_default_device(mx.cpu)
if "columns" not in remedies:
    layers.column_major = lambda network, optimizer: None
if "products" not in remedies:
    layers._is_product = lambda layer: False
if "normalization" not in remedies:
    layers.BatchNorm.__call__ = nn.BatchNorm.__call__
recipe = recipes.RECIPES[recipe]
networks = recipe.generator(), recipe.discriminator()
step, state = training.set_up(*networks, **recipe.settings())
real = mx.random.uniform(-1, 1, (int(batch), 28, 28, 1))
mx.eval(step(real), state)
times = []
while len(times) < 3 or sum(times) < 1:
    start = time.perf_counter()
    mx.eval(step(real), state)
    times.append(time.perf_counter() - start)
print(statistics.median(times))
"""


def in_process(program, *arguments, **variables):
    """What a program prints that runs in a process of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(
        command,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


# %%
remedies = {
    "as installed": [],
    "with OpenBLAS": ["openblas"],
    "and by columns": ["openblas", "columns"],
    "and as products": ["openblas", "columns", "products"],
}
remedies["and our norms"] = remedies["and as products"] + ["normalization"]
steps = {"MLP": "tutorial", "DCGAN": "dcgan"}
cases = [(name, case) for name in steps for case in remedies]
times = {case: [] for case in cases}
for _ in range(1 if mlxgan.SMOKE else 3):
    for name, case in cases:
        stock = "0" if remedies[case] else "1"
        words = [steps[name], BATCH, *remedies[case]]
        printed = in_process(program, *words, MLXGAN_STOCK_CPU=stock)
        times[name, case].append(1000 * float(printed))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels of dots on a logarithmic axis, one for the MLP and one for the DCGAN, with five rows from as installed to all remedies. The MLP's dots go from nearly 600 milliseconds to 34 and then stay at 27. The DCGAN's go from 2,100 to about 1,050, stay there, fall to 88 with the products, and a little further with our norms."}}
figure, panels = plt.subplots(1, 2, figsize=(8, 2.4), sharey=True)
table = ["| | MLP | DCGAN |", "|---|--:|--:|"]
for axes, name in zip(panels, steps, strict=True):
    for case in remedies:
        values = times[name, case]
        ends = [min(values), max(values)]
        axes.plot(ends, [case, case], color=plots.GREY)
        axes.plot(np.median(values), case, "o", color="black")
    axes.set(xscale="log", xlabel="milliseconds per step", title=name)
panels[0].invert_yaxis()
plt.show()
for case in remedies:
    middles = [np.median(times[name, case]) for name in steps]
    table.append(
        f"| {case} | " + " | ".join(f"{t:.0f} ms" for t in middles) + " |"
    )
display(Markdown("\n".join(table)))

# %% [markdown]
# *Time of a training step with 64 images, with one remedy after the other (median and range of three processes; logarithmic axis). The library makes the largest difference to the MLP, and both the library and the products to the DCGAN.*
#
# A fast library alone makes the MLPs' step about 17 times as fast, and the order of the weights takes it from 34 to 27 ms.
# The third remedy and the fourth can do nothing for the MLPs, which have neither convolutions nor batch normalization.
# The DCGAN is different: the library halves its step, the order of the weights makes no difference that we could see, and only with convolutions as products does the time fall from a second to 88 ms.
# Our own batch normalization brings it to 77 ms.
# In total both steps are more than twenty times as fast as before, but for different reasons, so let us take the four remedies one by one.
#
# ## A matrix product that knows the machine
#
# Nearly all of the arithmetic of a network is in matrix products, and MLX's package for Linux computes them with the *reference* BLAS.
# (BLAS is the old name for a set of basic operations of linear algebra; the reference is the version that defines what they mean.)
# It consists of three nested loops, which fetch the same numbers from memory again and again, on one core, and without the processor's wide vector registers.
# A fast BLAS computes the same product block by block, with blocks that fit into the caches, and can come close to what the processor can do at best ([Goto and van de Geijn, 2008](../book/bibliography.md#goto-and-van-de-geijn-2008)).
# OpenBLAS is such a library, and `import mlxgan` loads it before MLX, so that the linker finds its products first. (Their name is `cblas_sgemm`.)

# %%
program = """
import mlxgan, statistics, sys, time
import mlx.core as mx
side = int(sys.argv[1])
a = mx.random.normal((side, side), stream=mx.cpu)
times = []
for _ in range(6):
    start = time.perf_counter()
    mx.eval(mx.matmul(a, a, stream=mx.cpu))
    times.append(time.perf_counter() - start)
print(2 * side**3 / statistics.median(times[1:]) / 1e9)
"""
side = 128 if mlxgan.SMOKE else 512
rates = {"reference": [], "OpenBLAS": [], "OpenBLAS, one thread": []}
variables = [
    {"MLXGAN_STOCK_CPU": "1"},
    {"MLXGAN_STOCK_CPU": "0"},
    {"MLXGAN_STOCK_CPU": "0", "OPENBLAS_NUM_THREADS": "1"},
]
for _ in range(1 if mlxgan.SMOKE else 3):
    for rate, chosen in zip(rates.values(), variables, strict=True):
        rate.append(float(in_process(program, side, **chosen)))
for name, rate in rates.items():
    print(f"{name:21} {np.median(rate):6.1f} GFLOP/s", end=" ")
    print(f"({min(rate):.1f} to {max(rate):.1f})")

# %% [markdown]
# On a single thread already, OpenBLAS computes 101 billion operations per second instead of 6, and the second core raises that to 198.
# On a Mac the BLAS is Apple's Accelerate, which `import mlxgan` leaves alone, so there the rows should not differ.
#
# ## Weights by columns
#
# With fast products, Adam becomes a large part of a step, although it does nothing but elementwise arithmetic.
# The cause turned out to be the order in which numbers lie in memory.
# `nn.Linear` computes with its *transposed* weight, so the gradient of this weight arrives transposed as well.
# Python's `memoryview` shows by how many bytes one moves to the next row and to the next column.

# %% tags=["nbval-check-output"]
layer = nn.Linear(784, 1024)
images = mx.random.normal((BATCH, 784))
_, gradients = nn.value_and_grad(layer, lambda x: layer(x).sum())(images)
mx.eval(gradients)
print("weight:  ", memoryview(layer.weight).strides)
print("gradient:", memoryview(gradients["weight"]).strides)

# %% [markdown]
# The weight lies in memory row by row, and its gradient column by column.
# Where all inputs of a fused kernel lie in the same order, MLX simply runs along memory.
# Where they do not, it works out from the strides where each number lies, and moreover it reads one of the arrays against its order in memory, which is hard on the caches.
# The function `layers.column_major`, which the training loop calls before its first step, therefore stores weights and moments by columns as well.
# No value changes by this, only its place.
#
# **How much does Adam gain, and how much the whole step of the MLPs?**


# %%
def new_game(by_columns):
    mx.random.seed(0)
    networks = [models.MLPGenerator(), models.MLPDiscriminator()]
    optimizers = [recipes.adam(), recipes.adam()]
    for network, optimizer in zip(networks, optimizers, strict=True):
        optimizer.init(network.trainable_parameters())
        if by_columns:
            layers.column_major(network, optimizer)
    return networks, optimizers


def adam_alone(network, optimizer):
    """Adam's update with gradients that lie by columns."""
    gradients = tree_map(
        lambda w: 0.01 * mx.contiguous(w.T).T, network.parameters()
    )
    state = [network.state, optimizer.state]
    mx.eval(gradients, state)

    @partial(mx.compile, inputs=state, outputs=state)
    def update(gradients):
        optimizer.update(network, gradients)
        return network.parameters()

    return lambda: (update(gradients), optimizer.state)


def whole_step(by_columns):
    networks, optimizers = new_game(by_columns)
    step, state = training.make_step(*networks, *optimizers)
    return lambda: (step(real), state)


real = mx.random.uniform(-1, 1, (BATCH, 28, 28, 1))
adams, whole = {}, {}
for order, by_columns in {"by columns": True, "by rows": False}.items():
    whole[f"step, {order}"] = whole_step(by_columns)
    networks, optimizers = new_game(by_columns)
    adams[f"Adam, {order}"] = adam_alone(networks[1], optimizers[1])
show(race(adams))
show(race(whole))

# %% [markdown]
# :::{dropdown} Answer
# By rows, Adam takes 1.46 times as long for the discriminator, 5.91 ms instead of 4.00.
# The whole step, which updates both networks, takes 1.28 times as long (the medians are 34 and 26 ms), and the middle half of the rounds lies between 1.25 and 1.29.
# :::
#
# After five steps from the same seed, the networks should be the same.
# We compare the largest difference of a weight with the largest distance that a weight has moved:


# %% tags=["nbval-check-output"]
def weights_of(networks):
    return dict(tree_flatten([each.parameters() for each in networks]))


def after_five_steps(by_columns):
    networks, optimizers = new_game(by_columns)
    step, state = training.make_step(*networks, *optimizers)
    for _ in range(5):
        mx.eval(step(real), state)
    return weights_of(networks)


def largest_difference(some, others):
    return max(mx.abs(some[k] - others[k]).max().item() for k in some)


first = weights_of(new_game(False)[0])
rows, columns = after_five_steps(False), after_five_steps(True)
print(f"moved by at most {largest_difference(rows, first):.5f},", end=" ")
print(f"differ by at most {largest_difference(rows, columns):.5f}")

# %% [markdown]
# ## Convolutions as products
#
# The third cause concerns the DCGAN.
# All of its convolutions have kernel 4, stride 2 and padding 1, and each of them is a matrix product in disguise, an old trick that you may know as *im2col* ([Chellapilla et al., 2006](../book/bibliography.md#chellapilla-et-al-2006)).
# Each output pixel sees a window of $4 \times 4$ pixels with $c$ channels.
# Write every window as a row of $16c$ numbers, and the kernel as a matrix of $16c$ rows with a column for each output channel; then their product is the convolution.
#
# The windows need no loop, because `mx.as_strided` reads memory with a stride for each axis: the next window down is two rows of pixels away, the next one to the right two pixels, and inside a window the $4c$ numbers of a row lie side by side.


# %% tags=["nbval-check-output"]
def convolve_by_hand(x, weight):
    x = mx.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    n, h, w, c = x.shape
    rows, columns = (h - 2) // 2, (w - 2) // 2
    strides = (h * w * c, 2 * w * c, 2 * c, w * c, 1)
    shape = (n, rows, columns, 4, 4 * c)
    windows = mx.as_strided(mx.contiguous(x), shape, strides)
    matrix = weight.reshape(len(weight), 16 * c).T
    product = windows.reshape(-1, 16 * c) @ matrix
    return product.reshape(n, rows, columns, len(weight))


x = mx.random.normal((8, 14, 14, 32))
weight = mx.random.normal((64, 4, 4, 32)) / 512**0.5
stock = mx.conv2d(x, weight, stride=2, padding=1)
error = mx.abs(convolve_by_hand(x, weight) - stock).max().item()
shape = convolve_by_hand(x, weight).shape
print(f"shape {shape}, largest error {error:.4f}")

# %% [markdown]
# MLX does the same in its forward pass, so there is nothing to gain from that yet.
# But MLX treats a transposed convolution, and with it the gradient of every convolution with respect to its input, as a convolution of an image with zeros between its pixels, for which its CPU backend has only a plain loop.
# A transposed convolution is a product as well: we multiply each input pixel by the whole kernel, which gives its stamp as one row, and then add up the overlapping stamps.
# (If the output has many channels, such a row is longer than a window of the input, and `mlxgan/products.py` multiplies windows of $2 \times 2$ input pixels instead.)
# `layers.Conv2d` and `layers.ConvTranspose2d`, which the DCGAN uses, have the same parameters as MLX's layers and compute all of this as products; and because each of the two layers is the gradient of the other, their gradients are products, too.
#
# We race both layers, in all sizes that the DCGAN has, against MLX's own.
#
# **In which cases will MLX's layer hold its own?**


# %%
def works_of(layer, x):
    """The forward pass of a layer, and its gradients."""

    def loss(weight, x):
        layer.weight = weight
        return layer(x).square().mean()

    gradient = mx.grad(loss, argnums=(0, 1))
    weight = mx.array(layer.weight)
    return lambda: layer(x), lambda: gradient(weight, x)


cases = [
    ("Conv2d", 1, 32, 28),
    ("Conv2d", 32, 64, 14),
    ("ConvTranspose2d", 64, 32, 7),
    ("ConvTranspose2d", 32, 1, 14),
]
table = ["| layer | forward | gradients |", "|---|--:|--:|"]
for kind, channels, out, size in cases:
    x = mx.random.normal((BATCH, size, size, channels))
    pairs = []
    for package in (layers, nn):
        mx.random.seed(0)
        make = getattr(package, kind)
        pairs.append(
            works_of(make(channels, out, 4, stride=2, padding=1), x)
        )
    row = f"| `{kind}({channels}, {out})` on {size} × {size} "
    for fast, stock in zip(*pairs, strict=True):
        seconds = race({"fast": fast, "stock": stock}, rounds=3)
        ratios = np.array(seconds["stock"]) / seconds["fast"]
        row += f"| {np.median(ratios):.1f} "
        row += f"({min(ratios):.1f} to {max(ratios):.1f}) "
    table.append(row + "|")
display(Markdown("\n".join(table)))

# %% [markdown]
# The numbers say how many times as long MLX's layer takes as ours (median and range of three rounds).
#
# :::{dropdown} Answer
# In the forward passes of the two ordinary convolutions.
# There MLX's layers take only 0.9 of our time.
# Everywhere else their median is between 5.8 and 54 times ours.
# :::
#
# ## What is the same for every pixel
#
# The fourth cause is not a missing optimization, but one too many.
# `mx.compile` fuses a chain of elementwise operations into a single kernel that runs over all values, and this is why it makes a step faster.
# In batch normalization, however, a part of the chain belongs to the channels and not to the pixels: the variance, plus a small number, its root, times a weight.
# These are a few operations on 32 numbers, but inside a fused kernel they are repeated for each of the 401,408 values in the batch, 32 for each pixel.
#
# We write the layer out in two ways.
# In both, the variance is the mean of the squares minus the square of the mean (and at least 0, which rounding might miss), so that only two sums run over the batch and the output is a product and a sum.
# But MLX does not fuse across `mx.stack`, so in the second way we stack what belongs to the channels before we use it, first the two statistics, and then the two numbers that each value is multiplied by and added to.


# %%
def as_tuple(*arrays):
    return arrays


def stacked(*arrays):
    return mx.stack(arrays)


def batch_norm(x, gain, bias, apart):
    axes = tuple(range(x.ndim - 1))
    mean, square = apart(x.mean(axes), mx.square(x).mean(axes))
    variance = mx.maximum(square - mean * mean, 0)
    scale = gain * mx.rsqrt(variance + 1e-5)
    scale, shift = apart(scale, bias - mean * scale)
    return x * scale + shift


# %% [markdown]
# The name of a kernel lists the operations that are fused in it.
# These are the last ones of the two forward passes, the kernels that run over all values:


# %% tags=["nbval-check-output"]
def last_kernel(array):
    text = io.StringIO()
    mx.export_to_dot(text, array)
    names = re.findall(r'label ="(\w+)"', text.getvalue())
    return [name for name in names if name.startswith("Compiled")][-1]


x = mx.random.normal((BATCH, 14, 14, 32))
gain, bias = mx.ones(32), mx.zeros(32)
ways = {
    "fused": partial(batch_norm, apart=as_tuple),
    "stacked": partial(batch_norm, apart=stacked),
}
for name, way in ways.items():
    kernel = last_kernel(mx.compile(way)(x, gain, bias))
    print(fill(f"{name}: {kernel.removeprefix('Compiled')}", 72))

# %% [markdown]
# The first of them takes a root (`Rsqrt`) for each value.
# In a pass with gradients MLX keeps the root out of the kernel, because the gradient needs it as well, but there a division takes its place.
#
# **How many times as long does MLX's layer take as our two ways, without gradients and with them?**


# %%
def with_gradients(way):
    def both(x, gain, bias, pull):
        return mx.vjp(way, [x, gain, bias], [pull])

    return mx.compile(both)


def by_mlx(x, gain, bias):
    norm = nn.BatchNorm(32)
    norm.weight, norm.bias = gain, bias
    return norm(x)


pull = mx.random.normal(x.shape)
ways = {"MLX's layer": by_mlx} | ways
forward, both = {}, {}
for name, way in ways.items():
    forward[f"{name}, forward"] = partial(mx.compile(way), x, gain, bias)
    both[f"{name}, both"] = partial(
        with_gradients(way), x, gain, bias, pull
    )
show(race(forward))
show(race(both))

# %% [markdown]
# :::{dropdown} Answer
# Without gradients it is a little faster than the fused way (which takes 1.12 times as long) and takes 2.7 times as long as the stacked one (1.36 instead of 0.51 ms).
# With gradients it takes four times as long as the fused way, and eleven times as long as the stacked one (9.58 instead of 0.87 ms).
# :::
#
# `layers.BatchNorm`, which the DCGAN uses, is the second way, with the running averages that evaluation needs.
#
# ## Kernels that g++ builds
#
# On a GPU, `mx.compile` has its fused kernels built by the GPU's driver.
# On a Linux CPU it writes a small C++ file, calls `g++`, and loads the result.
# That is why the first call of a compiled step may take seconds, and the same call in the next process does not: the kernels stay in a folder and are found again by their names.

# %%
kernels = Path(os.environ["TMPDIR"] if sys.platform == "linux" else ".")


def number_of_kernels():
    return len(list(kernels.glob("mlx/*/cpu/*.so")))


def first_call(name, function, x):
    before, start = number_of_kernels(), time.perf_counter()
    mx.eval(function(x))
    seconds = time.perf_counter() - start
    built = number_of_kernels() - before
    print(f"{name:18} {1000 * seconds:6.1f} ms, {built} kernels built")


def scaled(constant):
    return mx.compile(lambda x: mx.tanh(x * constant) + 1)


new = time.time() % 1  # no earlier run has met this number
function = scaled(new)
first_call("first call", function, mx.ones((8, 16)))
first_call("the same again", function, mx.zeros((8, 16)))
first_call("another shape", function, mx.ones((24, 16)))
first_call("compiled once more", scaled(new), mx.ones((8, 16)))
first_call("another constant", scaled(new + 1), mx.ones((8, 16)))
mean = mx.compile(lambda x: x.mean(axis=0) * new + 1)
first_call("mean of 8 rows", mean, mx.ones((8, 16)))
first_call("mean of 24 rows", mean, mx.ones((24, 16)))

# %% [markdown]
# Only a kernel that did not exist yet costs time, here about half a second each, and a second compilation of the same function finds the one of the first.
# A new shape needs no new kernel, but a new constant does, because constants become part of the code.
# A training step has more of them than you might think: a mean over 24 rows multiplies by 1/24, so a new batch size needs new kernels as well.
# And a number that changes from call to call belongs in an array.
#
# MLX keeps the kernels in the temporary folder of the machine, where every program may write, and where two processes that build the same kernel at the same time can ruin it for each other.
# `import mlxgan` therefore keeps them in the user's cache, in a folder that only one process uses at a time, and throws away kernels that are not whole ([Running the book](../book/running.md) has the details).
#
# ## What was tried with little or no gain
#
# Some ideas looked good and did not help, or not enough, at least not on this machine.
# You can check most of them here and in the exercises.
#
# **A second stream.** While one core computes elementwise operations, the other one idles.
# MLX can compute on two streams at once, so real images and fakes could pass through the discriminator side by side.
# We compare the gradients for two batches on one stream and on two, with one and with two threads per product.

# %%
program = """
import sys, time
import mlxgan
from mlxgan import models
import mlx.core as mx, mlx.nn as nn

batch, rounds = map(int, sys.argv[1:])
mx.set_default_device(mx.cpu)
discriminator = models.VarietyDiscriminator()
real, fake = mx.random.uniform(-1, 1, (2, batch, 28, 28, 1))
gradient = nn.value_and_grad(
    discriminator, lambda x: discriminator(x).mean()
)
other = mx.new_stream(mx.cpu)

def one():
    return gradient(real), gradient(fake)

def two():
    first = gradient(real)
    with mx.stream(other):
        return first, gradient(fake)

for number in range(rounds + 1):
    seconds = []
    for work in (one, two):
        start = time.perf_counter()
        mx.eval(work())
        seconds.append(time.perf_counter() - start)
    if number:
        print(*seconds)
"""
print("threads per product   one stream   two streams   ratio")
for threads in ("1", "2"):
    printed = in_process(
        program, BATCH, ROUNDS, OPENBLAS_NUM_THREADS=threads
    )
    seconds = np.array(printed.split(), float).reshape(-1, 2)
    low, ratio, high = np.percentile(
        seconds[:, 1] / seconds[:, 0], [25, 50, 75]
    )
    one, two = 1000 * np.median(seconds, axis=0)
    print(f"{threads:>19s} {one:9.0f} ms {two:10.0f} ms", end="   ")
    print(f"{ratio:.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# With one thread per product, two streams take 0.71 of the time, because both cores have work.
# But the products themselves can use both cores, too, and then two streams take 1.07 times as long as one.
# The fastest of the four is one stream with two threads, so there is nothing to gain.
#
# **Full-size arrays instead of broadcasting.** Batch normalization multiplies each channel by its own number, and a kernel that looks up one number per channel might be slower than one that runs along arrays of the same size.

# %%
x = mx.random.normal((196 * BATCH, 32))
scale, shift = mx.random.normal((32,)), mx.random.normal((32,))
large_scale = mx.zeros_like(x) + scale
large_shift = mx.zeros_like(x) + shift
mx.eval(x, scale, shift, large_scale, large_shift)
normalize = mx.compile(lambda x, scale, shift: x * scale + shift)
show(
    race(
        {
            "full size": lambda: normalize(x, large_scale, large_shift),
            "broadcast": lambda: normalize(x, scale, shift),
        }
    )
)

# %% [markdown]
# The lookup does cost something: broadcasting takes 1.25 times as long, with a middle half from 1.24 to 1.28.
# But that is 0.02 ms, and even with all normalizations of a step it would be far below a millisecond of its 77, and the arrays of full size would have to be filled first, which this race leaves out.
#
# **A convolution without windows**, by shifted blocks, saves the copies of overlapping windows, but it multiplies rows that nobody needs and is slower in the end (Exercises 1 and 2).
#
# **Windows written once.** The forward pass of a convolution and the gradient of its weight need the same windows, and the code of our layers builds them in both places.
# That should cost nothing in a compiled step, because `mx.compile` merges equal computations.
# Does it?


# %%
def windows_of(x):
    x = mx.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    n, h, w, c = x.shape
    shape = (n, (h - 2) // 2, (w - 2) // 2, 4, 4 * c)
    strides = (h * w * c, 2 * w * c, 2 * c, w * c, 1)
    windows = mx.as_strided(mx.contiguous(x), shape, strides)
    return windows.reshape(-1, 16 * c)


def once(x, matrix, pull):
    windows = windows_of(x)
    return windows @ matrix, windows.T @ pull


def twice(x, matrix, pull):
    return windows_of(x) @ matrix, windows_of(x).T @ pull


x = mx.random.normal((BATCH, 14, 14, 32))
matrix = mx.random.normal((16 * 32, 64))
pull = mx.random.normal((49 * BATCH, 64))
works = {
    "once": once,
    "twice": twice,
    "once, compiled": mx.compile(once),
    "twice, compiled": mx.compile(twice),
}
show(race({k: partial(f, x, matrix, pull) for k, f in works.items()}))

# %% [markdown]
# It does: written twice, the windows cost a factor of 2.45, and compiled they cost nothing (0.99).
# (Compiling the function that writes them once makes it slower, for a reason that we have not found.)
#
# **Compiling everything**: in one case the compiled update is slower than the eager one (Exercise 3).
#
# **A larger cache** for freed memory is measured in [Where the time goes](16_speed.ipynb).
#
# ## Summary
#
# On a Linux CPU four things decide how fast MLX trains: the library that multiplies matrices, the order in which the weights lie in memory, how the gradients of convolutions are computed, and what batch normalization computes for each pixel.
# On our machine the first makes the MLPs' step about 17 times as fast, and the second takes another fifth off it; for the DCGAN, the first halves the step, the third makes it twelve times as fast again, and the fourth takes an eighth off.
# We found each of the four in the same way, by timing one part of the step by itself.
#
# ## Exercises
#
# ### Exercise 1: Blocks instead of windows (derive)
#
# Cut the padded image into blocks of $2 \times 2$ pixels, and write each block as a row of $4c$ numbers, without repeating any.
# Show that a convolution with kernel 4 and stride 2 is now a sum of four products, each with the *same* rows shifted by a constant number of rows.
# Which rows of the result are junk, and what fraction of extra work are they for an image of 14 × 14?
#
# :::{dropdown} Solution
# An image of $14 \times 14$ has $8 \times 8$ blocks with its padding, and an output pixel sees $2 \times 2$ of them: block $p$, its right neighbor $p + 1$, the one below, $p + 8$, and $p + 9$.
# If $A$ is the matrix of all blocks of the batch, one image after the other, the output at block $p$ is row $p$ of $A_{+0} W_{00} + A_{+1} W_{01} + A_{+8} W_{10} + A_{+9} W_{11}$, where $A_{+k}$ is $A$ from row $k$ on, and $W_{ij}$ are the four parts of the kernel.
# For blocks in the last column or row of an image, the neighbors are those of the next row or the next image, so these results are junk.
# There are $64$ rows per image and $49$ good ones, so the products have $64/49 - 1 = 31\,\%$ more rows than necessary.
# :::
#
# ### Exercise 2: A convolution without windows (code)
#
# Write this convolution, check it against `mx.conv2d`, and race it against `convolve_by_hand`.
# Do the saved copies pay for the junk?
#
# :::{dropdown} Solution
# No: the blocks take 1.27 times as long as the windows, with a middle half from 1.23 to 1.30.
# That is little less than the 31 % of extra rows, so the saved copies pay for only a small part of the junk.
# :::


# %% tags=["hide-cell"]
def convolve_blocks(x, weight):
    n, h, w, c = x.shape
    x = mx.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    rows, columns = h // 2 + 1, w // 2 + 1
    blocks = x.reshape(n, rows, 2, columns, 2, c).transpose(
        0, 1, 3, 2, 4, 5
    )
    blocks = blocks.reshape(-1, 4 * c)
    blocks = mx.pad(blocks, [(0, columns + 1), (0, 0)])
    out = len(weight)
    parts = weight.reshape(out, 2, 2, 2, 2, c).transpose(1, 3, 2, 4, 5, 0)
    parts = parts.reshape(2, 2, 4 * c, out)
    length, total = n * rows * columns, 0
    for i in (0, 1):
        for j in (0, 1):
            first = i * columns + j
            total = total + blocks[first : first + length] @ parts[i, j]
    return total.reshape(n, rows, columns, out)[:, :-1, :-1]


x = mx.random.normal((BATCH, 14, 14, 32))
expected = mx.conv2d(x, weight, stride=2, padding=1)
error = mx.abs(convolve_blocks(x, weight) - expected).max().item()
print(f"largest error {error:.4f}")
show(
    race(
        {
            "windows": lambda: convolve_by_hand(x, weight),
            "blocks": lambda: convolve_blocks(x, weight),
        }
    )
)

# %% [markdown]
# ### Exercise 3: One array is enough to go wrong (change and explain)
#
# Race the compiled update of Adam against the eager one, first for the discriminator with its eight arrays and then for a single weight of 784 × 1024.
# Adam's correction divides by $1 - \beta^t$, with the number of steps $t$.
# Why does it matter how many arrays share this number?
#
# :::{dropdown} Solution
# With eight arrays the eager update takes 1.59 times as long as the compiled one, but with a single array it takes only 0.21 of the time, 3.26 ms instead of 15.
# With several arrays, the factor $1 - \beta^t$ has several consumers, so MLX computes it once, on its own, and each fused kernel reads it.
# With a single array it has one consumer, so it is fused into that kernel as well, and its power is then computed again for each of the 802,816 weights.
# Fusing saves memory traffic and may repeat arithmetic, so measure before you keep a change.
# :::


# %% tags=["hide-cell"]
def eagerly(work):
    def eager_work():
        mx.disable_compile()
        result = work()
        mx.enable_compile()
        return result

    return eager_work


single = nn.Linear(784, 1024, bias=False)
for name, network in {
    "eight": models.MLPDiscriminator(),
    "one": single,
}.items():
    optimizer = recipes.adam()
    optimizer.init(network.trainable_parameters())
    layers.column_major(network, optimizer)
    work = adam_alone(network, optimizer)
    show(
        race({f"{name}, compiled": work, f"{name}, eager": eagerly(work)})
    )

# %% [markdown]
# ## Further reading
#
# - [Goto and van de Geijn (2008)](../book/bibliography.md#goto-and-van-de-geijn-2008) explain, cache by cache, how a fast matrix product is built. OpenBLAS descends from Goto's library.
# - [Chellapilla et al. (2006)](../book/bibliography.md#chellapilla-et-al-2006) write convolutions as matrix products, and report what it gained on character recognition.
# - [Dumoulin and Visin (2016)](../book/bibliography.md#dumoulin-and-visin-2016) draw every kind of convolution, the transposed ones included.
