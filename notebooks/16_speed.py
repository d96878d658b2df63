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
# # Where the time goes
#
# After this chapter you can say what a training step costs, which part of it costs most, and
# whether a change has made it faster.
#
# ```{admonition} What you will learn
# :class: important
# - time lazy code, and trust the result
# - tell what compiling, evaluating and the batch size do to the time of a step
# - count a step's arithmetic, and compare it with what the machine can do
# - recognise a slow BLAS, a slow layout and a slow convolution on a CPU
# - read a benchmark
#
# **Before**: [The training loop](06_training.ipynb).
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import data, layers, losses, models, plots, recipes, training

import io
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from itertools import pairwise

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

# %% [markdown]
# ## A stopwatch for lazy code
#
# A time belongs to a machine. All that this chapter measures was measured on this one:

# %%
print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
print(f"MLX {mx.__version__}, default device {mx.default_device()}")

# %% [markdown]
# Other programs run on it too, and its clock changes with the heat. The milliseconds of Monday
# are not those of Tuesday. What lasts is a *ratio* of two times from one run. Four rules make it
# reliable:
#
# 1. `mx.eval` stands inside the stopwatch. Without it one measures the writing of a graph.
# 2. The first calls do not count. They trace, compile, and fetch memory.
# 3. The median of several calls counts. The mean is at the mercy of the slowest.
# 4. The candidates take turns, so that a slow minute hits all of them.


# %%
few, many = (1, 3) if mlxgan.SMOKE else (5, 15)  # how often a work is timed


def medians(works, repeats=many):
    """Median seconds of functions that return what is to be evaluated; they take turns."""
    times = {name: [] for name in works}
    mx.eval([work() for work in works.values()])  # to warm up
    for _ in range(repeats):
        for name, work in works.items():
            start = time.perf_counter()
            mx.eval(work())
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def show(seconds):  # as multiples of the first
    first = next(iter(seconds.values()))
    for name, value in seconds.items():
        print(f"{name:26} {value / first:6.2f}")


# %% [markdown]
# The work to be timed is a step of a GAN. Pixels do not matter to the time, so the images are noise.
# `layers.column_major` is explained below; `training.train` calls it too.

# %%
MLP = models.MLPGenerator, models.MLPDiscriminator
DCGAN = models.DCGANGenerator, models.DCGANDiscriminator


def new_game(kinds=MLP, by_columns=True):
    mx.random.seed(0)
    game = [kind() for kind in kinds] + [recipes.adam(), recipes.adam()]
    for network, optimizer in zip(game[:2], game[2:], strict=True):
        optimizer.init(network.trainable_parameters())
        if by_columns:
            layers.column_major(network, optimizer)
    return game


# %%
def step_of(game, real):
    step, state = training.make_step(*game)
    return lambda: (step(real), state)


real = mx.random.uniform(-1, 1, (16 if mlxgan.SMOKE else 64, 28, 28, 1))
mlp = step_of(new_game(), real)

# %% [markdown]
# **Predict**: how much longer than the median takes the first call? And the slowest of the later ones?

# %%
times = []
for _ in range(4 * many):
    start = time.perf_counter()
    mx.eval(mlp())
    times.append(time.perf_counter() - start)

first, later = times[0], times[1:]
cases = {"first": first, "slowest later": max(later), "fastest later": min(later)}
for name, value in cases.items():
    print(f"{name:14} {value / statistics.median(later):.2f} times the median")

# %% [markdown]
# The first call traces the step. On a Linux CPU it also calls `g++` to build the fused kernels, unless
# an earlier run on the machine has left them. A run of one call measures that, and not the step.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# `mx.eval` at the end of the timed part does what `torch.cuda.synchronize()` does there: it waits
# for the result. On a CPU PyTorch computes at once and needs neither. MLX is lazy on a CPU too, so a
# stopwatch without `mx.eval` is wrong on every device.
# ```
#
# ## Eager and compiled
#
# `mx.disable_compile()` makes compiled functions run operation by operation, until
# `mx.enable_compile()`. The graph is built while compiling is off; when it is evaluated does not matter.
#
# **Predict**: how much longer does an eager step take, for the MLP GAN and for the DCGAN?


# %%
def eagerly(work):
    def eager_work():
        mx.disable_compile()
        result = work()
        mx.enable_compile()
        return result

    return eager_work


# %%
games = {"MLP": mlp}
if not mlxgan.SMOKE:
    games["DCGAN"] = step_of(new_game(DCGAN), real)
for name, work in games.items():
    works = {f"{name}, compiled": work, f"{name}, eager": eagerly(work)}
    show(medians(works, few))

# %% [markdown]
# Compiling leaves matrix products and convolutions as they are. It fuses chains of element-wise
# operations, so that a long chain reads and writes memory once. On this machine the MLP GAN gains a
# little. The DCGAN, whose time goes into its convolutions, gains nothing.
#
# The longest chain of a step is Adam's. `mx.export_to_dot` writes a graph as text, in which each
# operation is a box. Here are the boxes of one update of the discriminator's eight arrays.


# %%
def adam_alone(network, optimizer, x):
    loss = nn.value_and_grad(network, lambda x: network(x).square().mean())
    _, gradients = loss(x)
    state = [network.state, optimizer.state]
    mx.eval(gradients, state)

    @partial(mx.compile, inputs=state, outputs=state)
    def update(gradients):
        optimizer.update(network, gradients)
        return network.parameters()

    return lambda: (update(gradients), optimizer.state)


# %%
def operations(arrays):
    text = io.StringIO()
    mx.export_to_dot(text, *[array for _, array in tree_flatten(arrays)])
    return [line for line in text.getvalue().splitlines() if "shape=rectangle" in line]


# %%
game = new_game()
adam_d = adam_alone(game[1], game[3], real)
print("eager:   ", len(operations(eagerly(adam_d)())), "operations")
mx.eval(adam_d())
print("compiled:", len(operations(adam_d())), "operations")
show(medians({"Adam, compiled": adam_d, "Adam, eager": eagerly(adam_d)}))

# %% [markdown]
# One kernel for each array, and a few operations for the bias correction, which the arrays share.
#
# **Predict**: a network with a single array has nothing to share. Which of the two wins there?

# %%
single, optimizer = nn.Linear(784, 1024, bias=False), recipes.adam()
optimizer.init(single.parameters())
adam_single = adam_alone(single, optimizer, real.reshape(-1, 784))
show(medians({"one array, compiled": adam_single, "eager": eagerly(adam_single)}))

# %% [markdown]
# On this machine the eager update wins. Now the bias correction $1 - \beta^t$ has one consumer only, so it is
# fused as well, and its two powers are computed again for each weight. Measure before you keep a change.
#
# ## Evaluating too rarely and too often
#
# The book evaluates once a step. The next cell takes sixteen steps, and evaluates every 1, 4 and
# 16 of them, or reads each of the four figures of a step with `.item()`.


# %%
def sixteen_steps(every=1, read=False):
    for index in range(1, 17):
        measured, state = mlp()
        if index % every == 0:
            mx.eval(measured, state)
        if read:
            [value.item() for value in measured]
    return state


# %%
works = {
    "every step": sixteen_steps,
    "every 4 steps": partial(sixteen_steps, every=4),
    "every 16 steps": partial(sixteen_steps, every=16),
    "every step, and .item()": partial(sixteen_steps, read=True),
}
show(medians(works, few))

# %%
for name, work in works.items():
    mx.reset_peak_memory()
    mx.eval(work())
    print(f"{name:26} peak {mx.get_peak_memory() / 2**20:.0f} MiB")

# %% [markdown]
# On a CPU all four are nearly alike, in time and in memory. Evaluating rarely gains nothing, because a step
# is long beside what a call of `mx.eval` costs. Sixteen steps need no more memory than one, because
# each intermediate result is freed when nothing needs it any more. (Lazy *losses* that are kept for
# ever are another matter: [MLX in a quarter of an hour](02_mlx.ipynb).) What remains for once a step is order: a loop that knows where
# it is.
#
# Evaluating does cost where it is done for each operation. The next cell computes twenty times
# $0.9x + 0.1$ on arrays of three sizes.
#
# **Predict**: at which size do twenty evaluations hurt most?


# %%
def chain(x, evaluate=False):
    for _ in range(20):
        x = 0.9 * x + 0.1
        if evaluate:
            mx.eval(x)
    return x


ways = {"compiled": mx.compile(chain), "eager": chain}
ways["eager, each evaluated"] = partial(chain, evaluate=True)
for size in (1_000, 100_000, 1_000_000):
    x = mx.random.normal((size,))
    mx.eval(x)
    print(f"{size:,} numbers")
    show(medians({name: partial(way, x) for name, way in ways.items()}))

# %% [markdown]
# Each `mx.eval` has a fixed price: Python hands over work and waits. Beside a small operation the
# price is high, beside a large one it shows less. The gain of compiling is there at every size. On a
# GPU a wait also leaves the device idle.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: a step is slow although its matrices are small. *Cause*: something in it asks for
# values: `print`, `.item()`, `np.array`, an `if` on an array. *Cure*: return the arrays, and read
# them once an epoch.
#
# *Symptom*: every call of a compiled step takes as long as the first. *Cause*: it is traced anew,
# because the shapes change or because `mx.compile` stands inside the loop. On a Linux CPU a new
# batch size has some kernels built anew, too, since sizes become constants in them. *Cure*: batches of one
# size, and one compiled function.
# ```
#
# ## The batch size
#
# A matrix product with more rows uses the machine better, up to a point. {numref}`fig-16-batch`
# shows images per second.

# %%
sizes = [8, 16, 32, 64] if mlxgan.SMOKE else [8, 16, 32, 64, 128, 256, 512, 1024]
works = {}
for size in sizes:
    images = mx.random.uniform(-1, 1, (size, 28, 28, 1))
    works[size] = step_of(new_game(), images)
seconds = medians(works, few)
speed = {size: size / seconds[size] for size in sizes}

# %% mystnb={"figure": {"caption": "Larger batches train on more images per second, with less and less to be gained from each doubling.", "name": "fig-16-batch"}, "image": {"alt": "Images per second against the batch size, which is on a logarithmic axis. The curve rises from the smallest batch and flattens towards the largest."}}
_, axes = plt.subplots()
axes.semilogx(sizes, speed.values(), "o-")
axes.set(xlabel="batch size", ylabel="images per second", ylim=(0, None))
axes.set_xticks(sizes, sizes)
axes.xaxis.minorticks_off()
plt.show()

# %%
for small, large in pairwise(sizes):
    gain = speed[large] / speed[small]
    print(f"from {small:3d} to {large:4d} images: {gain:.2f} times the speed")

# %% [markdown]
# **Predict**: in which currency is this speed paid?

# %% tags=["nbval-check-output"]
for size in (8, 64, 256, 1024):
    print(f"batch of {size:4d}: {60_000 // size:5,} updates an epoch")

# %% [markdown]
# An epoch with large batches is shorter, and has fewer updates. Whether the fewer updates are as good
# is no question for a stopwatch: it takes a measure of quality after equal *time*. This book stays at
# 64.
#
# ## Types and devices
#
# bfloat16 halves the memory of float32 and keeps its range. Whether it halves the time as well is
# up to the hardware.

# %%
devices = [mx.cpu] + [mx.gpu] * mx.is_available(mx.gpu)
a = mx.random.normal((256, 256))
b = a.astype(mx.bfloat16)
for device in devices:
    works = {
        f"{device}, float32": partial(mx.matmul, a, a, stream=device),
        f"{device}, bfloat16": partial(mx.matmul, b, b, stream=device),
    }
    show(medians(works))

# %% [markdown]
# On this CPU the product in bfloat16 takes many times as long. The BLAS has none, so MLX uses code
# of its own. On a GPU the next cell compares the gradients of the discriminator in both types.

# %%
if mx.is_available(mx.gpu):
    works = {}
    for dtype in (mx.float32, mx.bfloat16):
        network = models.MLPDiscriminator()
        network.set_dtype(dtype)
        loss = nn.value_and_grad(network, lambda x, network=network: network(x).mean())
        works[str(dtype)] = partial(loss, real.astype(dtype))
    show(medians(works))
else:
    print("skipped: there is no GPU, and a CPU has no fast product in bfloat16")

# %% [markdown]
# And a whole step, in float32, on each device there is:

# %%
default, seconds = mx.default_device(), {}
for device in devices:
    mx.set_default_device(device)
    seconds[str(device)] = medians({"step": step_of(new_game(), real)})["step"]
mx.set_default_device(default)
show(seconds)

# %% [markdown]
# ```{admonition} On other machines
# :class: note
# The printed outputs come from a machine without a GPU, so the cell above has one line. On a Mac it has two, and the
# second says how the GPU compares with the CPU. The networks of this book are small, and a GPU
# may need a larger batch than 64 to be busy: draw the figure above on yours.
# ```
#
# ## A step's arithmetic
#
# How fast could a step be? Nearly all of its arithmetic is in matrix products, and those can be counted. A
# layer from $n$ to $m$ numbers on a batch of $B$ multiplies $(B, n)$ by $(n, m)$: $2Bnm$ operations, half
# of them multiplications and half additions. Backward there are two products of the same size: one
# for the gradient of the weights, one for that of the inputs.
#
# Not all of them are needed. The first layer's input is data or noise, and needs no gradient. The
# generator's move goes through the discriminator, down to its input, but needs no gradient of its
# weights.


# %%
def products(widths, batch, weights=False, inputs=False, first=False):
    """Shapes (rows, inner, columns) of the products of a pass, forward and backward."""
    layers = list(pairwise(widths))
    shapes = [(batch, n, m) for n, m in layers]
    if weights:
        shapes += [(m, batch, n) for n, m in layers]
    if inputs:
        shapes += [(batch, m, n) for n, m in layers[0 if first else 1 :]]
    return shapes


# %% tags=["nbval-check-output"]
G, D = [100, 256, 512, 1024, 784], [784, 1024, 512, 256, 1]
parts = {
    "D's move, fakes": products(G, 64),
    "D's move, real": products(D, 64, weights=True, inputs=True),
    "D's move, fake": products(D, 64, weights=True, inputs=True),
    "G's move, in G": products(G, 64, weights=True, inputs=True),
    "G's move, in D": products(D, 64, inputs=True, first=True),
}


def count(shapes):
    return sum(2 * n * k * m for n, k, m in shapes)


shapes = sum(parts.values(), [])
for name, part in [*parts.items(), ("a step", shapes)]:
    print(
        f"{name:16} {len(part):2d} products, {count(part) / 1e6:5.0f} million operations"
    )

# %% [markdown]
# Is that what MLX computes? The graph knows. Its products are called `Matmul`, or `AddMM` with the
# bias.

# %%
generator, discriminator, *_ = new_game()


def score(x, y):
    return losses.discriminator_loss(discriminator(x), discriminator(y))


loss_d = nn.value_and_grad(discriminator, score)
loss_g = nn.value_and_grad(
    generator, lambda z: losses.generator_loss(discriminator(generator(z)))
)

# %% tags=["nbval-check-output"]
z = mx.random.normal((64, generator.latent_dim))
graph = operations([loss_d(real, generator(z)), loss_g(z)])
found = sum("Matmul" in line or "AddMM" in line for line in graph)
print(f"in the graph: {found} products; counted by hand: {len(shapes)}")
assert found == len(shapes)

# %% [markdown]
# The count agrees. Now the machine. A product of two square matrices with 1,024 rows is about the
# best that it can do. The products of a step are less favourable: their batch of 64 is thin. So the cell
# times the square product, the products of a step alone, both Adams alone, and a step.
#
# **Predict**: which share of a step is matrix products?

# %%
square = mx.random.normal((1024, 1024))
normal = mx.random.normal
pairs = [(normal((n, k)), normal((k, m))) for n, k, m in shapes]
adam_g = adam_alone(game[0], game[2], z)
mx.eval(square, pairs)

# %%
works = {
    "square": lambda: square @ square,
    "products": lambda: [a @ b for a, b in pairs],
    "Adam": lambda: (adam_d(), adam_g()),
    "step": mlp,
}
seconds = medians(works)
rate = 2 * 1024**3 / seconds["square"]

# %%
print(f"square product: {rate / 1e9:.0f} GFLOP/s")
print(f"products of a step: {count(shapes) / seconds['products'] / rate:.0%} of that")
for name in ("products", "Adam"):
    print(f"{name} alone: {seconds[name] / seconds['step']:.0%} of a step")

# %% [markdown]
# The products are the largest part of the step, and Adam is the next. What is left goes into activations, losses and
# noise. Thin as they are, the products reach more than half of the square product's rate, so a better BLAS could
# not make the step twice as fast.
#
# Adam has little arithmetic. It reads each weight, its gradient and its two moments from memory, and writes three of
# them back, whatever the batch. That is one reason why larger batches train on more images per second.
#
# ## The matrix product on Linux
#
# All this holds only if the product itself is a good one. MLX's package for Linux brings the *reference* BLAS,
# which is correct and knows nothing of caches, vector registers or cores. `import mlxgan` puts OpenBLAS in its place,
# and `MLXGAN_STOCK_CPU=1` leaves things as they were installed. The choice is made when MLX is loaded,
# so each takes a process of its own.

# %%
program = """
import mlxgan, time
import mlx.core as mx
a = mx.random.normal((512, 512))
for _ in range(3):
    start = time.perf_counter()
    mx.eval(mx.matmul(a, a, stream=mx.cpu))
    seconds = time.perf_counter() - start
print(seconds)
"""


# %%
def product_seconds(stock):
    command = [sys.executable, "-c", program]
    environment = os.environ | {"MLXGAN_STOCK_CPU": stock}
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return float(run.stdout)


# %%
if sys.platform == "linux":
    rounds = [(product_seconds("0"), product_seconds("1")) for _ in range(3)]
    openblas, reference = (
        statistics.median(column) for column in zip(*rounds, strict=True)
    )
    show({"OpenBLAS": openblas, "reference BLAS": reference})
else:
    print("skipped: on a Mac the BLAS is Apple's Accelerate, which is fast")

# %% [markdown]
# On this machine the ratio is in the tens, for one import in the right place.
#
# ## The layout of the weights
#
# `nn.Linear` multiplies by its transposed weight. So the gradient of the weight arrives transposed: its
# numbers lie in memory column by column, those of the weight row by row. `memoryview` tells by how many
# bytes one moves from row to row and from column to column.

# %%
layer = nn.Linear(784, 1024)
loss = nn.value_and_grad(layer, lambda x: layer(x).square().mean())
_, gradients = loss(real.reshape(-1, 784))
mx.eval(gradients)
print("weight  ", memoryview(layer.weight).strides)
print("gradient", memoryview(gradients["weight"]).strides)

# %% [markdown]
# Where all inputs of a fused kernel lie alike, MLX runs along memory. Where they do not, it computes
# the address of each element from the strides. `layers.column_major` stores weights and moments by columns
# too. No value changes, only the order in memory.
#
# **Predict**: how much longer take Adam and the whole step by rows?

# %%
works = {}
for name, by_columns in [("by columns", True), ("by rows", False)]:
    _, discriminator, _, optimizer = new_game(by_columns=by_columns)
    works[f"Adam, {name}"] = adam_alone(discriminator, optimizer, real)
show(medians(works))

steps = {
    "step, by columns": step_of(new_game(), real),
    "step, by rows": step_of(new_game(by_columns=False), real),
}
show(medians(steps))

# %% [markdown]
# And the networks after five steps from the same seed:


# %% tags=["nbval-check-output"]
def weights_after_five_steps(by_columns):
    game = new_game(by_columns=by_columns)
    step = step_of(game, real)
    for _ in range(5):
        mx.eval(step())
    return tree_flatten([network.parameters() for network in game[:2]])


both = zip(*map(weights_after_five_steps, (False, True)), strict=True)
assert all(mx.allclose(a, b, atol=1e-5) for (_, a), (_, b) in both)
print("the weights agree")

# %% [markdown]
# ## Convolutions
#
# The layers of the DCGAN have kernel 4, stride 2 and padding 1. Such a convolution is a matrix product in disguise.
# Each output pixel sees a window of $4 \times 4$ pixels with $c$ channels. Write each window as a row of $16c$
# numbers; the weight is a matrix of $16c$ rows with a column for each output channel.
#
# The windows need no loop. `mx.as_strided` reads memory with a step for each axis: two rows of pixels down to
# the next window, two pixels right, then along a row of the window, whose $4c$ numbers lie side by
# side.


# %% tags=["nbval-check-output"]
def convolve(x, weight):
    x = mx.contiguous(mx.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]))
    n, h, w, c = x.shape
    rows, columns = (h - 2) // 2, (w - 2) // 2
    strides = (h * w * c, 2 * w * c, 2 * c, w * c, 1)
    windows = mx.as_strided(x, (n, rows, columns, 4, 4 * c), strides)
    matrix = weight.reshape(len(weight), 16 * c).T
    return (windows.reshape(-1, 16 * c) @ matrix).reshape(n, rows, columns, -1)


x = mx.random.normal((16, 14, 14, 64))
weight = mx.random.normal((128, 4, 4, 64)) / 32
expected = mx.conv2d(x, weight, stride=2, padding=1)
print(convolve(x, weight).shape, expected.shape)
assert mx.allclose(convolve(x, weight), expected, atol=1e-4)

# %% [markdown]
# MLX's convolution on a CPU goes a similar way forward. Its gradient by the input, however, is a convolution
# with *dilated* input, zeros between the pixels, and for those the CPU has only a plain loop. The
# forward pass of a transposed convolution is the same thing.
#
# `layers.Conv2d` and `layers.ConvTranspose2d`, which the DCGAN uses, have the parameters of MLX's layers and
# write the gradients as products too. Each of the two is the other's gradient.
#
# **Predict**: in which of the rows below does the stock layer hold its own?


# %%
def works_of(layer, x):
    def loss(weight, x):
        layer.weight = weight
        return layer(x).square().mean()

    gradient, weight = mx.grad(loss, argnums=(0, 1)), mx.array(layer.weight)
    return lambda: layer(x), lambda: gradient(weight, x)


# %%
def compare(kind, channels, size):
    x, pair = mx.random.normal((2 if mlxgan.SMOKE else 16, size, size, channels[0])), []
    for package in (nn, layers):
        mx.random.seed(0)
        layer = getattr(package, kind)(*channels, 4, stride=2, padding=1)
        pair.append(works_of(layer, x))
    assert mx.allclose(pair[0][0](), pair[1][0](), atol=1e-4)
    for name, stock, fast in zip(("forward", "gradient"), *pair, strict=True):
        seconds = medians({"fast": fast, "stock": stock}, few)
        ratio = seconds["stock"] / seconds["fast"]
        print(f"{kind}{channels}, {name}: stock / fast {ratio:.1f}")


# %%
mx.set_default_device(mx.cpu)  # on a GPU both are the stock layer
compare("Conv2d", (1, 64), 28)
compare("Conv2d", (64, 128), 14)
compare("ConvTranspose2d", (128, 64), 7)
compare("ConvTranspose2d", (64, 1), 14)
mx.set_default_device(default)

# %% [markdown]
# In the forward pass of `Conv2d` the stock layer is as fast, or faster. All gradients gain, and so does the
# transposed layer in both directions, most of all where there are many channels.
#
# ## The benchmark
#
# `make pytorch` puts it together. It times a step of both GANs in five variants: MLX as installed, MLX with all that
# `mlxgan.layers` does, and PyTorch on the same CPU with its plain Adam, with its fused Adam, and in its best form,
# with `torch.compile`, the fused Adam and channels last. Each measurement is a process
# of its own, the variants take turns, and there are several rounds. The result is kept with the book, from the
# machine that it names.

# %%
with open("../book/data/benchmark.json") as file:
    benchmark = json.load(file)
print(benchmark["machine"], "|", f"batch of {benchmark['batch_size']}")
print({name: version for name, version in benchmark["versions"].items() if version})
reference = "mlx with mlxgan"
for model, rows in benchmark["milliseconds"].items():
    base = statistics.median(rows[reference])
    for variant, times in rows.items():
        print(f"{model:6} {variant:20} {statistics.median(times) / base:6.2f}")

# %% mystnb={"figure": {"caption": "The benchmark kept with the book. As installed, MLX is far slower on a Linux CPU than with the means of this chapter, which bring it near PyTorch.", "name": "fig-16-benchmark"}, "image": {"alt": "Two panels of horizontal bars, milliseconds per step on a logarithmic axis, for the MLP GAN and the DCGAN. In both, the bar of MLX as installed is by far the longest, while the others are of similar length. Error bars run from the fastest round to the slowest."}}
_, panels = plt.subplots(1, 2, figsize=(8, 2.6), sharex=True, sharey=True)
for axes, (model, rows) in zip(panels, benchmark["milliseconds"].items(), strict=True):
    middle = np.array([statistics.median(times) for times in rows.values()])
    low = middle - [min(times) for times in rows.values()]
    high = [max(times) for times in rows.values()] - middle
    colours = [plots.REAL if "mlx" in variant else plots.GREY for variant in rows]
    axes.barh(list(rows), middle, xerr=[low, high], color=colours, capsize=3)
    axes.set(xscale="log", xlabel="milliseconds per step", title=model.upper())
    axes.grid(axis="y", visible=False)
panels[0].invert_yaxis()
panels[0].set_xlim(left=10)
plt.show()

# %%
epoch = benchmark["pipeline"]
print(f"an epoch on {epoch['data']}")
print(f"making the batches, alone: {epoch['batches'] / epoch['epoch']:.1%}")
print(f"all but the steps: {1 - epoch['steps'] / epoch['epoch']:.1%}")

# %% [markdown]
# On the machine of the benchmark, MLX as installed takes more than twenty times as long as with `mlxgan.layers`, for
# the MLP GAN as for the DCGAN. With it, the MLP GAN is faster than PyTorch with its plain Adam, and about level with
# the fused one and the compiled step. The DCGAN stays behind: PyTorch takes 78 to 87 % of its time. The chapter's
# convolution is made of MLX's own operations, and copies each window before it multiplies.
#
# The data is no bottleneck. Making the batches takes less than a hundredth of an epoch.
#
# ## Summary
#
# - Time lazy code with `mx.eval` inside the stopwatch, after a warm-up, by the median, and compare within a run.
# - Compiling fuses element-wise chains, of which Adam is the longest. It can also fuse too much.
# - Evaluate once a step. More rarely gains nothing; after each operation it costs, most of all for small arrays.
# - Larger batches train on more images per second and make fewer updates.
# - Count the operations, measure the machine's rate, and you know what is left to gain.
# - On a Linux CPU three things decide: the BLAS, the layout of the weights, and the gradients of convolutions.
#
# ## Exercises
#
# ```{exercise} When doubling stops helping
# :label: ex-16-doubling
# Take the DCGAN. Double the batch until a doubling gains less than a tenth in images per second.
# ```
#
# ```{solution-start} ex-16-doubling
# :class: dropdown
# ```

# %%
size, last = 4, 0.0
while size <= (8 if mlxgan.SMOKE else 256):
    images = mx.random.uniform(-1, 1, (size, 28, 28, 1))
    work = eagerly(step_of(new_game(DCGAN), images))
    now = size / medians({"step": work}, few)["step"]
    print(f"batch of {size:3d}: {now / (last or now):.2f} times the speed of the last")
    if now < 1.1 * last:
        break
    size, last = 2 * size, now

# %% [markdown]
# Each doubling gains less than it did for the MLP GAN. A convolution turns each image into many windows, so
# its matrices have many rows even in a small batch. The steps are eager, because compiled ones would spend
# longer on building kernels for each batch size than on the measurement.
#
# ```{solution-end}
# ```
#
# ```{exercise} An epoch without training
# :label: ex-16-batches
# Which share of an epoch is spent on making its batches? Time the batches of an epoch alone, then an epoch of
# training the MLP GAN.
# ```
#
# ```{solution-start} ex-16-batches
# :class: dropdown
# ```

# %%
digits = data.load("train")
start = time.perf_counter()
for images, _ in data.batches(digits, 64, seed=0):
    mx.eval(images)
alone = time.perf_counter() - start
networks = models.MLPGenerator(), models.MLPDiscriminator()
history = training.train(*networks, digits, epochs=1)
print(f"batches: {alone / history.seconds[0]:.1%} of the epoch")

# %% [markdown]
# The images are in memory as bytes; a batch is a selection, a conversion and a scaling. There is nothing to
# be gained from worker processes or from fetching ahead.
#
# ```{solution-end}
# ```
#
# ```{exercise} Whose move takes longer?
# :label: ex-16-moves
# Split the step of the MLP GAN into the two moves, compile each, and compare the times with the counts of the
# arithmetic.
# ```
#
# ```{solution-start} ex-16-moves
# :class: dropdown
# ```

# %%
generator, discriminator, optimizer_g, optimizer_d = game = new_game()
state = [player.state for player in game] + [mx.random.state]
loss_d = nn.value_and_grad(discriminator, score)
loss_g = nn.value_and_grad(
    generator, lambda z: losses.generator_loss(discriminator(generator(z)))
)


# %%
@partial(mx.compile, inputs=state, outputs=state)
def move_d(real):
    value, gradients = loss_d(real, generator(mx.random.normal((64, 100))))
    optimizer_d.update(discriminator, gradients)
    return value


@partial(mx.compile, inputs=state, outputs=state)
def move_g():
    value, gradients = loss_g(mx.random.normal((64, 100)))
    optimizer_g.update(generator, gradients)
    return value


# %%
show(medians({"G": lambda: (move_g(), state), "D": lambda: (move_d(real), state)}))
moves = {"G": 0, "D": 0}
for name, part in parts.items():
    moves[name[0]] += count(part)
print(f"operations, D / G: {moves['D'] / moves['G']:.2f}")

# %% [markdown]
# The discriminator's move has more arithmetic, because it sees two batches. The times are nearer to each other than
# the counts: both networks have about as many weights, so Adam takes as long for either.
#
# ```{solution-end}
# ```
#
# ## Further reading
#
# MLX's documentation describes lazy evaluation, compilation and what is fused ([Hannun et al., 2023](../book/bibliography.md#hannun-et-al-2023)). The DCGAN's layers
# are those of [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016), and Adam's update with its bias correction is in [Kingma and Ba (2015)](../book/bibliography.md#kingma-and-ba-2015). What
# to do in PyTorch, and what its calls are called here, is in {doc}`../book/pytorch`; the environment variables of this
# chapter are in {doc}`../book/running`.
