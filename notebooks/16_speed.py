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
# ![Two timelines, each with a row for Python and a row for the device. With mx.eval, Python prepares a step and then waits while the device computes it, and the device is idle while Python prepares the next one. With mx.async_eval, Python prepares the next step while the device computes, and the device is idle only before the first step.](../book/diagrams/overlap.svg)
#
# *A training step passes through two hands: Python prepares it, and the device computes it. With `mx.eval` one waits for the other, and with `mx.async_eval` both can work at the same time.*
#
# When a step takes too long, it is tempting to try whatever made someone else's network faster.
# It is quicker to find out first where the time goes, because on another machine, or with another network, it goes somewhere else.
# After this chapter you can time lazy code without fooling yourself, say which part of a step is slow and how far it is from what your machine could do at best, and tell a change that helps from one that only seems to.
#
# *Before: [The training loop](06_training.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: twenty-five minutes · To run: about a minute on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import data, layers, losses, models, plots, recipes, training

import io
import json
import os
import platform
import time
from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown, display
from mlx.utils import tree_flatten, tree_map

ROUNDS = 3 if mlxgan.SMOKE else 15
digits = data.load("train")
print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")
print(f"MLX {mx.__version__}, default device {mx.default_device()}")

# %% [markdown]
# Keep the last two lines of this output in mind: every number below was measured on a Linux computer with two CPU cores and no GPU.
# On a Mac or an NVIDIA GPU the numbers are different, and so may be the conclusions, so run the chapter on yours.
#
# ## A stopwatch for lazy code
#
# We time two training steps: that of the MLPs, with the recipe `tutorial`, and that of the DCGAN.
# The pixels do not matter for the time, so noise will do as real images.


# %%
def new_step(name="tutorial", batch=64):
    """A training step of a recipe, which trains on noise."""
    mx.random.seed(0)
    recipe = recipes.RECIPES[name]
    networks = recipe.generator(), recipe.discriminator()
    step, state = training.set_up(*networks, **recipe.settings())
    real = mx.random.uniform(-1, 1, (batch, 28, 28, 1))
    return lambda: (step(real), state)


# %% [markdown]
# Let us begin with three wrong ways to time the first of the two: a call without `mx.eval`, the very first call with it, and a single later one.
#
# **How far from the median of many calls is each of them?**

# %%
mlp = new_step()
start = time.perf_counter()
mx.eval(mlp())
first = time.perf_counter() - start

start = time.perf_counter()
mlp()
without_eval = time.perf_counter() - start
mx.eval(mlp())

single = []
for _ in range(4 * ROUNDS):
    start = time.perf_counter()
    mx.eval(mlp())
    single.append(time.perf_counter() - start)

usual = np.median(single)
print(f"median of {len(single)} calls: {1000 * usual:.1f} ms")
print(f"without mx.eval: {without_eval / usual:.3f} of that")
print(f"the first call:  {first / usual:.1f} times that")
low, high = min(single) / usual, max(single) / usual
print(f"single calls:    {low:.2f} to {high:.2f} times that")

# %% [markdown]
# :::{dropdown} Answer
# Without `mx.eval` we time only how MLX writes down its graph ([MLX in a quarter of an hour](02_mlx.ipynb)), here 0.019 of the median.
# The first call traces the step, so here it took twice as long as the median.
# (On a Linux CPU it may also have to build kernels, here and below small programs for the device and not the kernels of a convolution, and then it takes many times as long.)
# A single later call lies anywhere between 0.95 and 1.18 times the median.
# :::
#
# The last of the three is the most dangerous one, because its result looks reasonable.
# Even the median is not safe: it was 27.5 ms here, and further down you will see 29 and even 35 ms for the very same step.
# Other programs run beside ours, and processors change their clock as they heat up.
# What survives is the *ratio* of two times that were taken side by side.
# All comparisons in this chapter therefore go through one function, which warms up, lets the candidates take turns, and compares each with the first candidate of the same round.
# Its ratio is the median over the rounds, so it can differ from the ratio of the two medians beside it.


# %%
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
# A stopwatch has to be tested like everything else, so let it compare the MLP's step with itself.

# %%
show(race({"MLP": mlp, "MLP again": mlp}))

# %% [markdown]
# The two rows are the same work, so whatever separates their ratio from 1 is noise.
# The last column says between which values the middle half of the rounds lies, here from 0.98 to 1.01.
# From now on we believe in a difference only if it is clearly larger than that, and larger than its own spread.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# `mx.eval` inside the stopwatch takes the place of `torch.cuda.synchronize()`, but it also starts the work, so MLX needs it on a CPU, too.
# To hand work over without waiting, as PyTorch does by default on a GPU, MLX has `mx.async_eval`, which comes below.
# :::
#
# ## Data, Python, or computation?
#
# A step consists of three parts that need different cures.
# First the batch is fetched; then Python calls the step, which only builds a graph from the trace; and finally `mx.eval` hands its operations to the device and waits for them.
# (So the last part contains some of Python's work, too.)
# We can time each part by itself if we evaluate after it.


# %%
def parts(name, steps=ROUNDS):
    """Median seconds of fetching a batch, calling, computing."""
    recipe = recipes.RECIPES[name]
    networks = recipe.generator(), recipe.discriminator()
    step, state = training.set_up(*networks, **recipe.settings())
    batches = data.batches(digits, 64, seed=0)
    times = []
    for _ in range(steps + 3):
        clock = [time.perf_counter()]
        real, _ = next(batches)
        mx.eval(real)
        clock.append(time.perf_counter())
        measured = step(real)
        clock.append(time.perf_counter())
        mx.eval(measured, state)
        clock.append(time.perf_counter())
        times.append(np.diff(clock))
    return np.median(times[3:], axis=0)


table = ["| step | batch | Python | computing |", "|---|--:|--:|--:|"]
for name in ("tutorial", "dcgan"):
    seconds = parts(name)
    shares = [f"{share:.1%}" for share in seconds / seconds.sum()]
    table.append(f"| {name} | {' | '.join(shares)} |")
display(Markdown("\n".join(table)))

# %% [markdown]
# On this machine about 98 % of the time is computing, so neither worker processes that load data nor a faster Python could save more than about 2 %.
# A faster device turns the picture around, because it shortens only the last column.
# If a GPU computed the MLPs' step fifty times as fast as our two cores, fetching the batch and Python would together take almost half of what is left.
# So the first question about a slow step is which of the three columns it is in.
#
# ## How often to evaluate
#
# The loops of this book call `mx.eval` once per step.
# Would it be faster to do it less often?
# And how bad is a loop that prints its loss in every step, or calls `mx.eval` after every line to be on the safe side?
#
# The next cell takes sixteen steps and evaluates after each, after every fourth, or after all of them, and a fourth variant also reads the numbers of each step with `.item()`.
#
# **Which is the fastest?**


# %%
def sixteen_steps(every=1, read=False):
    for index in range(1, 17):
        measured, state = mlp()
        if index % every == 0:
            mx.eval(measured, state)
        if read:
            for value in measured:
                value.item()
    return state


works = {
    "every step": sixteen_steps,
    "every 4 steps": partial(sixteen_steps, every=4),
    "every 16 steps": partial(sixteen_steps, every=16),
    "every step, and item()": partial(sixteen_steps, read=True),
}
show(race(works, rounds=max(3, ROUNDS // 3)))

# %% [markdown]
# :::{dropdown} Answer
# Next to nothing: evaluating less often saves at most 1 % of the time, and reading the numbers costs 2 %, no more than a step differed from itself above.
# Python has so little to do here that it hardly matters when we wait for it.
# :::
#
# One evaluation costs little beside a step, but a lot beside a small operation, as a chain of twenty multiplications and additions shows.


# %%
def chain(x, evaluate=False):
    for _ in range(20):
        x = 0.9 * x + 0.1
        if evaluate:
            mx.eval(x)
    return x


ways = {}
for size in (1_000, 1_000_000):
    x = mx.random.normal((size,))
    mx.eval(x)
    one, each = partial(chain, x), partial(chain, x, evaluate=True)
    ways |= {f"{size:,} numbers": one, f"{size:,}, eval in each": each}
times = race(ways, rounds=3 * ROUNDS)
names = list(times)
for one, each in (names[:2], names[2:]):
    show({one: times[one], each: times[each]})

# %% [markdown]
# With twenty evaluations instead of one, the chain takes 3.6 times as long on a thousand numbers, but on a million only 1.3 times, with a middle half from 1.11 to 1.40.
# In both cases the nineteen additional evaluations cost something like 1 ms together.
# So each has a fixed price of about 0.05 ms, because Python hands over a task and waits until another thread has finished it, and only large operations hide this price.
#
# :::{admonition} If it goes wrong
# :class: warning
# *Symptom*: a step is slow although its matrices are small.
# *Cause*: something in the loop asks for values, for example `print`, `.item()`, `np.array`, or an `if` on an array.
# *Cure*: return arrays, and read them once per epoch.
#
# *Symptom*: every call of a compiled step takes as long as the first one.
# *Cause*: it is traced again each time, because the shapes change or because `mx.compile` is called inside the loop.
# *Cure*: batches of one size, and one compiled function.
# :::
#
# ## Preparing the next step meanwhile
#
# If Python's part is *not* small, the picture at the top of this chapter suggests a cure: `mx.async_eval` hands the work over without waiting, so that Python can prepare the next step while the device computes this one.
# MLX's authors introduced it for language models, which pay Python's price for each token, and gained 4 % ([MLX contributors, 2024](../book/bibliography.md#mlx-contributors-2024)).
#
# To have something to overlap, before each step we let Python either sleep, as if it waited for a disk, or sort random numbers, as if it augmented images.
#
# **If preparing takes half as long as computing, how much of the time would perfect overlap save?
# And which of the two cases will come closer to it?**

# %%
half = np.median(race({"step": mlp})["step"]) / 2
numbers = np.random.default_rng(0).normal(size=100_000)
start = time.perf_counter()
for _ in range(5):
    np.sort(numbers)
sorts = round(half / ((time.perf_counter() - start) / 5))


def sort():
    for _ in range(max(1, sorts)):
        np.sort(numbers)


def eight_steps(prepare, evaluate):
    for _ in range(8):
        prepare()
        evaluate(mlp())
    return mlp()[1]


# %%
rest = partial(time.sleep, half)
for name, prepare in {"sleep": rest, "sort": sort}.items():
    works = {
        f"{name}, eval": partial(eight_steps, prepare, mx.eval),
        f"{name}, async_eval": partial(
            eight_steps, prepare, mx.async_eval
        ),
    }
    show(race(works, rounds=max(3, ROUNDS // 2)))

# %% [markdown]
# :::{dropdown} Answer
# Perfect overlap would take 1 instead of 1.5 steps, a ratio of 0.67 and thus a third of the time.
# In our race it would reach 0.73, because nothing is computed during the first preparation, and a ninth step follows without one.
# When Python sleeps, we get 0.86, with a middle half from 0.84 to 0.86.
# When Python sorts, we get 0.99, with a middle half from 0.97 to 1.00.
# :::
#
# Two things keep a CPU from the ideal.
# Sorting needs a core, and the matrix products of the step would like to have both.
# The other reason hides in the call itself.

# %%
waits = []
for _ in range(ROUNDS):
    clock = [time.perf_counter()]
    result = mlp()
    mx.async_eval(result)
    clock.append(time.perf_counter())
    mx.eval(result)
    clock.append(time.perf_counter())
    waits.append(np.diff(clock))
waits = np.array(waits)
shares = waits[:, 0] / waits.sum(axis=1)
low, middle, high = np.percentile(shares, [25, 50, 75])
print(f"async_eval returns after {middle:.0%} of the step's time", end=" ")
print(f"(half of the rounds: {low:.0%} to {high:.0%})")

# %% [markdown]
# So `async_eval` is less asynchronous here than its name says.
# MLX lets only a limited number of tasks wait in the queue of a device, and on a CPU a task is only a few operations, so a training step fills the queue, and `async_eval` returns when most of the step is done.
# Only the last quarter is left for Python to use.
# A task on a GPU is said to hold many more of them, so there the lower half of our picture may come true; try it on yours.
#
# ## What compiling brings
#
# `mx.compile` reduces both Python's part and the number of operations, because it replays a trace and fuses chains of elementwise operations into one kernel each.
# `mx.disable_compile()` makes compiled functions run operation by operation, so we can measure what that saves.


# %%
def eagerly(work):
    """The same work, built while compiling is switched off."""

    def eager_work():
        mx.disable_compile()
        result = work()
        mx.enable_compile()
        return result

    return eager_work


dcgan = new_step("dcgan", batch=16 if mlxgan.SMOKE else 64)
for name, work in {"MLP": mlp, "DCGAN": dcgan}.items():
    both = {f"{name}, compiled": work, f"{name}, eager": eagerly(work)}
    show(race(both))

# %% [markdown]
# Without compiling, the step of the MLPs takes 1.23 times as long, and that of the DCGAN 1.20 times.
# Matrix products and convolutions stay as they are, so the saving must come from what lies between them, for the most part from Adam, which consists of nothing but elementwise operations.
# We can count these, because `mx.export_to_dot` writes a graph as text with a box for each operation.


# %%
def adam_alone(network):
    """The update of a network's weights, with gradients at hand."""
    optimizer = recipes.adam()
    optimizer.init(network.trainable_parameters())
    layers.column_major(network, optimizer)
    gradients = tree_map(
        lambda weight: 0.01 * weight, network.parameters()
    )
    state = [network.state, optimizer.state]
    mx.eval(gradients, state)

    @partial(mx.compile, inputs=state, outputs=state)
    def update(gradients):
        optimizer.update(network, gradients)
        return network.parameters()

    return lambda: (update(gradients), optimizer.state)


def operations(arrays):
    """The operations in the graph of a tree of arrays, as text."""
    text = io.StringIO()
    mx.export_to_dot(text, *[array for _, array in tree_flatten(arrays)])
    lines = text.getvalue().splitlines()
    return [line for line in lines if "shape=rectangle" in line]


# %% tags=["nbval-check-output"]
adam_d = adam_alone(models.MLPDiscriminator())
print("eager:   ", len(operations(eagerly(adam_d)())), "operations")
mx.eval(adam_d())
print("compiled:", len(operations(adam_d())), "operations")

# %%
show(race({"Adam, compiled": adam_d, "Adam, eager": eagerly(adam_d)}))

# %% [markdown]
# In the eager update, each of 225 operations reads its inputs from memory and writes its result back.
# The fused version needs only 11: a fused kernel reads each array once, and what lies in between never goes back to memory.
# The eager update takes 1.8 times as long, 3.6 ms more for this one network, and with two networks to update this is about what the whole step loses, 8 ms.
#
# ## The batch size
#
# The cheapest way to make a device do more per second is to give it more at a time: an update of the weights costs the same for 8 images as for 800, and wide matrix products use the hardware better than thin ones.

# %%
sizes = [8, 16, 32] if mlxgan.SMOKE else [8, 16, 32, 64, 128, 256, 512]
works = {str(size): new_step(batch=size) for size in sizes}
times = race(works, rounds=max(3, ROUNDS // 3))
rates = {size: size / np.array(times[str(size)]) for size in sizes}
for size, rate in rates.items():
    print(f"batch of {size:3d}: {np.median(rate):5,.0f} images per second")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Images per second with the step of the MLPs (median and range of the rounds). Along the dotted line a larger batch would take no more time than one of 8; the measured rate stays below it from the start and levels off toward 512.", "name": "fig-16-batch"}, "image": {"alt": "Images per second against the batch size, both on logarithmic axes. The curve rises from about 530 at a batch of 8 to about 4,400 at 512, ever more slowly, while a dotted straight line rises to almost 34,000."}}
figure, axes = plt.subplots()
middle = np.array([np.median(rate) for rate in rates.values()])
low = middle - [rate.min() for rate in rates.values()]
high = [rate.max() for rate in rates.values()] - middle
axes.errorbar(sizes, middle, [low, high], fmt="o-", capsize=3, color="k")
free = middle[0] * np.array(sizes) / sizes[0]
axes.loglog(sizes, free, ":", color=plots.GREY)
axes.set(xlabel="batch size", ylabel="images per second")
axes.set_xticks(sizes, sizes)
axes.xaxis.minorticks_off()
axes.yaxis.set_major_formatter("{x:,.0f}")
plt.show()

# %% [markdown]
# From 8 to 64 images the rate grows 4.6-fold, so a step with eight times as many images takes less than twice as long; from 64 to 512 it grows by another factor of 1.9.
# But with batches of 512 an epoch of MNIST has 117 updates instead of 937, and whether those are worth as much is a question for [Measuring](08_measuring.ipynb) and not for a stopwatch.
# A GPU, which can do more at a time, should follow the dotted line for longer, so draw this figure on yours.
#
# ## Fewer bits
#
# Shorter numbers can be faster, too.
# bfloat16 has the range of float32 with 8 instead of 24 binary digits of precision, and half the bytes.
# TF32, a mode of the matrix units of NVIDIA's GPUs and, from the M5 on, of Apple's, rounds the inputs of a float32 product to 11 digits.
# MLX uses it [by default](https://ml-explore.github.io/mlx/build/html/usage/precision.html) where it can; `MLX_ENABLE_TF32=0` switches it off.
#
# To see what your machine does, we multiply a matrix by the identity, which should change nothing, and time a product in each of the two types.

# %%
devices = [mx.cpu]
if mx.is_available(mx.gpu):
    devices.append(mx.gpu)
a = mx.random.uniform(shape=(512, 512))
b = a.astype(mx.bfloat16)
for device in devices:
    product = mx.matmul(a, mx.eye(512), stream=device)
    print(f"{device}: error {mx.abs(product - a).max().item():.0e}")
    works = {
        "float32": partial(mx.matmul, a, a, stream=device),
        "bfloat16": partial(mx.matmul, b, b, stream=device),
    }
    show(race(works))

# %% [markdown]
# On this CPU, multiplying by the identity in float32 changes nothing, and bfloat16 makes a product about 30 times *slower*, because MLX multiplies it here with simple code of its own instead of a fast library.
# An error of about 2e-4 instead of 0 means that your GPU rounds to TF32.
# A speedup from either is worth having only if the GAN still learns, and Adam's small steps may vanish when they are added to a weight in bfloat16 (Exercise 3).
#
# ## Memory
#
# Memory can cost time as well if it is fetched from the system and returned again and again, so MLX keeps freed memory in a cache.
# The cell reads its size, and the most memory that MLX held during a step, including the data and the other networks of this notebook.


# %%
def memory(name, batch):
    work = new_step(name, batch)
    mx.eval(work())
    mx.clear_cache()
    mx.reset_peak_memory()
    for _ in range(2):
        mx.eval(work())
    peak, cache = mx.get_peak_memory(), mx.get_cache_memory()
    return (
        f"| {name} | {batch} | {peak / 2**20:.0f} | {cache / 2**20:.0f} |"
    )


table = ["| step | batch | peak, MiB | cache, MiB |", "|---|--:|--:|--:|"]
for name in ("tutorial", "dcgan"):
    for batch in (8, 16) if mlxgan.SMOKE else (64, 128):
        table.append(memory(name, batch))
display(Markdown("\n".join(table)))

limit = mx.set_cache_limit(0)  # returns the limit before
mx.set_cache_limit(limit)
print(f"limit of the cache: {limit / 2**20:.0f} MiB")

# %% [markdown]
# The peak says whether a larger batch still fits.
# On a Mac the cache may grow much larger; `mx.set_cache_limit` lowers its limit if the machine has other work to do.
# On our CPU the limit is only 32 MiB, and both steps fill it.
#
# **Does a larger cache make the steps faster, and none at all make them slower?**


# %%
def race_caches(work, limits, rounds=ROUNDS):
    """Seconds of a step with each limit, after one that fills it."""
    seconds = {name: [] for name in limits}
    for _ in range(rounds):
        for name, bytes_kept in limits.items():
            mx.set_cache_limit(bytes_kept)
            mx.eval(work())
            start = time.perf_counter()
            mx.eval(work())
            seconds[name].append(time.perf_counter() - start)
    mx.set_cache_limit(limit)
    return seconds


limits = {"default limit": limit, "none": 0, "1 GiB": 2**30}
for name, work in {"MLP": mlp, "DCGAN": dcgan}.items():
    times = race_caches(work, limits)
    show({f"{name}, {label}": times[label] for label in times})

# %% [markdown]
# :::{dropdown} Answer
# We cannot see a difference: all ratios lie between 0.98 and 1.00.
# :::
#
# ## How fast could it be?
#
# To tell whether our step is any good, we need a yardstick, and there are two, because a machine can only do so many operations, and move so many bytes, per second.
# Whichever takes longer bounds the time of a piece of work from below, an idea known as the **roofline** ([Williams et al., 2009](../book/bibliography.md#williams-et-al-2009)).
#
# Let us count the operations, in GFLOP, billions of additions or multiplications.
# A fully connected layer multiplies a matrix of shape $(64, n)$ by one of shape $(n, m)$, which takes $64 \cdot n \cdot m$ multiplications and as many additions.
# A convolution is the same product with one row for each *place* where its kernel lies on an image, and 16 numbers per channel, because the kernel is $4 \times 4$.
# On the way back come two more products of the same size, for the gradients of the weights and of the inputs.
# In a step, each layer of $G$ is passed forward twice and backward once.
# Each layer of $D$ is passed three times both ways, but its weights need gradients only twice, because the generator's move leaves them alone.
# First layers need no gradient where their input is data or noise (Exercise 1).

# %% tags=["nbval-check-output"]
LAYERS = {  # of G and D: places of the kernel, inputs, outputs
    "MLP": (
        [(1, 100, 256), (1, 256, 512), (1, 512, 1024), (1, 1024, 784)],
        [(1, 784, 1024), (1, 1024, 512), (1, 512, 256), (1, 256, 1)],
    ),
    "DCGAN": (
        [(1, 100, 512), (1, 512, 3136), (49, 64, 512), (196, 32, 16)],
        [(196, 16, 32), (49, 512, 64), (1, 3136, 512), (1, 512, 1)],
    ),
}


def products(layers, forward, weights, inputs, first_inputs, batch=64):
    """Shapes (rows, inner, columns) of a network's products."""
    shapes = []
    for index, (places, n, m) in enumerate(layers):
        rows = batch * places
        shapes += forward * [(rows, n, m)] + weights * [(n, rows, m)]
        backward = inputs if index else first_inputs
        shapes += backward * [(rows, m, n)]
    return shapes


def gflop(shapes):
    return sum(2 * n * k * m for n, k, m in shapes) / 1e9


shapes = {
    name: products(g, 2, 1, 1, 0) + products(d, 3, 2, 3, 1)
    for name, (g, d) in LAYERS.items()
}
for name, step in shapes.items():
    print(f"{name}: {len(step)} products, {gflop(step):.2f} GFLOP")

# %% [markdown]
# And what can the machine do?
# As our yardstick we take the best rates that MLX itself reaches here: for arithmetic that of a product of two large square matrices, and for memory that of adding 1 to every number of a large array.
# (A program that used both cores for its memory traffic might do better.)
# Of the memory traffic we count only Adam's, which for each weight reads four numbers (the weight, its gradient and two moments) and writes three of them back, 28 bytes in all.
# The roofline holds for each piece of work, and since the products and Adam run one after the other, we add their limits.
# The next cell measures both rates in one race with the two steps, their products alone, and their Adam updates alone.

# %%
side = 256 if mlxgan.SMOKE else 1024
square, large = mx.random.normal((side, side)), mx.zeros((16, 2**20))
mx.eval(square, large)


def all_products(shapes):
    """Work that computes a product of random matrices per shape."""
    pairs = {
        (n, k, m): (mx.random.normal((n, k)), mx.random.normal((k, m)))
        for n, k, m in shapes
    }
    mx.eval(list(pairs.values()))
    return lambda: [mx.matmul(*pairs[shape]) for shape in shapes]


def all_updates(recipe):
    """Work that updates both networks, and their weights' number."""
    networks = recipe.generator(), recipe.discriminator()
    parameters = tree_flatten([each.parameters() for each in networks])
    updates = [adam_alone(network) for network in networks]
    weights = sum(array.size for _, array in parameters)
    return lambda: [update() for update in updates], weights


# %%
mx.set_cache_limit(2**30)
works = {"square": lambda: square @ square, "plus one": lambda: large + 1}
weights = {}
for name, key in {"MLP": "tutorial", "DCGAN": "dcgan"}.items():
    update, weights[name] = all_updates(recipes.RECIPES[key])
    works[f"{name}, step"] = {"MLP": mlp, "DCGAN": dcgan}[name]
    works[f"{name}, products"] = all_products(shapes[name])
    works[f"{name}, Adam"] = update
seconds = race(works)
mx.set_cache_limit(limit)
times = {name: 1000 * np.median(each) for name, each in seconds.items()}
rate = 2 * side**3 / times["square"] / 1e6
bandwidth = 2 * large.nbytes / times["plus one"] / 1e6
print(f"at best {rate:.0f} GFLOP/s and {bandwidth:.1f} GB/s")

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four stacked horizontal bars, one pair for the MLPs and one for the DCGAN. The MLPs' step takes 28 ms, about twice its limit of 13; the DCGAN's takes 70 ms, two and a half times its limit of 28, and more than a third of it is the rest."}}
figure, axes = plt.subplots(figsize=(6.4, 2.4))
shades = {"products": "#333333", "Adam": "#8c8c8c", "the rest": "#d0d0d0"}
table = [
    "| | products | Adam | the rest | step |",
    "|---|--:|--:|--:|--:|",
]
bars = []
for name in shapes:
    step, *known = (
        times[f"{name}, {part}"] for part in ("step", "products", "Adam")
    )
    limits = [
        1000 * gflop(shapes[name]) / rate,
        28 * weights[name] / bandwidth / 1e6,
    ]
    bars.append((f"{name}, measured", [*known, max(0, step - sum(known))]))
    bars.append((f"{name}, limit", [*limits, 0]))
for name, parts_of_bar in bars:
    left = 0
    for part, (label, shade) in zip(
        parts_of_bar, shades.items(), strict=True
    ):
        label = label if name == bars[0][0] else None
        axes.barh(name, part, left=left, color=shade, label=label)
        left += part
    cells = " | ".join(f"{part:.1f}" for part in [*parts_of_bar, left])
    table.append(f"| {name} | {cells} |")
axes.set(xlabel="milliseconds")
axes.grid(axis="y", visible=False)
axes.invert_yaxis()
axes.legend()
plt.show()
display(Markdown("\n".join(table)))

# %% [markdown]
# *Where a step of 64 images goes, beside what its products and Adam would take at the best rates of this machine. In both steps, products and Adam together take one and a half times their limits or more; the rest is about a fifth of the MLPs' step and more than a third of the DCGAN's.*
#
# In the MLPs' step, the products take 15.1 ms instead of 10.6, so they run at about 70 % of the best rate that we measured, although a batch of 64 makes thin matrices.
# Adam reaches less than half of the best bandwidth.
# All in all the step takes about twice as long as the two limits together, so even if everything ran at these rates, it would be only about twice as fast.
#
# The DCGAN has two and a half times as many operations, and its products run at about 75 % of the best rate.
# However, more than a third of its time, 34 of 79 ms, is neither products nor Adam.
# This rest goes into what stands between the products: copying windows, normalizing batches, and applying activations, which MLX, as far as we can see, leaves to one core.
# A faster step would have to come from here, since even perfect products would save only 9 ms.
#
# How much of it is the normalization?
# We take it out and see what the step gains.


# %%
def without_norms(batch=64):
    """The DCGAN's step with nothing in place of its normalization."""
    mx.random.seed(0)
    recipe = recipes.RECIPES["dcgan"]
    networks = recipe.generator(), recipe.discriminator()
    for network in networks:
        for name in ("norm1", "norm2", "norm3"):
            if name in network:
                network[name] = nn.Identity()
    step, state = training.set_up(*networks, **recipe.settings())
    real = mx.random.uniform(-1, 1, (batch, 28, 28, 1))
    return lambda: (step(real), state)


bare = without_norms(16 if mlxgan.SMOKE else 64)
show(race({"DCGAN": dcgan, "DCGAN without normalization": bare}))

# %% [markdown]
# Without normalization the step takes 0.88 of the time, with a middle half from 0.85 to 0.90, so about 10 ms of the rest belong to it, and the larger part to everything else.
# (It was more before the book had a batch normalization of its own, which [MLX on a Linux CPU](20_linux_cpu.ipynb) describes.)
#
# ## Inside the GPU
#
# On a Mac you can look inside a step: Metal can record everything that the GPU does, and Xcode shows for how long each kernel runs and where the GPU waits.
# We have no Mac, so what follows was not run for this book; it is what MLX's documentation says ([MLX contributors, 2026c](../book/bibliography.md#mlx-contributors-2026c)).
#
# ```python
# work = new_step()
# mx.eval(work())  # trace and compile before the recording
# mx.metal.start_capture("step.gputrace")  # must not exist yet
# mx.eval(work())
# mx.metal.stop_capture()
# ```
#
# Start Python, or JupyterLab, with `MTL_CAPTURE_ENABLED=1` in its environment, record only one or two steps, and open the file in Xcode.
# Gaps between the kernels mean that the GPU waits for Python; if there are none, only less work, or shorter numbers, will help.
#
# ## PyTorch beside it
#
# Is MLX the right framework for such a step?
# We can only compare it with PyTorch on our CPU, which is PyTorch's home ground and not MLX's.
# PyTorch appears with plain Adam, with its fused Adam, with the layout *channels last* in addition where there are channels, and finally with `torch.compile` on top of all that.
# `make pytorch` measured all of them in turns; in the last column, a number below 1 means that MLX is faster.


# %% tags=["hide-input"]
def ratio_to(times, base):
    """Median over the rounds of the ratio, and its range."""
    ratios = np.array(times) / np.array(base)
    return (
        f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


benchmark = json.loads(
    (mlxgan.ROOT / "book/data/benchmark.json").read_bytes()
)
versions = benchmark["versions"]
print(f"{benchmark['machine']}, batch of {benchmark['batch_size']}")
print(f"MLX {versions['mlx']}, PyTorch {versions['torch']}")
names = {"mlp": "MLP", "dcgan": "DCGAN"}
table = [
    "| | median | time of MLX with `mlxgan`, relative to it |",
    "|---|--:|--:|",
]
for model, rows in benchmark["milliseconds"].items():
    for variant, milliseconds in rows.items():
        ours = ratio_to(rows["mlx with mlxgan"], milliseconds)
        middle = f"{np.median(milliseconds):.1f} ms"
        table.append(f"| {names[model]}, {variant} | {middle} | {ours} |")
display(Markdown("\n".join(table)))

# %% [markdown]
# These times come from another run on another day, so compare them only with each other.
# A range that includes 1 means that five rounds cannot tell which is faster.
# The MLPs' step is in a tie with plain and with compiled PyTorch, and takes 1.16 times as long as with PyTorch's fused Adam, which updates all weights in one sweep.
# The DCGAN's step takes 1.12 times as long as with plain Adam and 1.18 times as long as with channels last; beside the other two forms we cannot tell.
# MLX "as installed" takes more than twenty times as long on Linux, and how `import mlxgan` changes that is told in the appendix [MLX on a Linux CPU](20_linux_cpu.ipynb).
#
# ## Other machines, and yours
#
# How long does a step take on *your* machine?
# `make bench` measures it in a few minutes and without any data: the steps of both GANs for three batch sizes, on the CPU in float32 and, where there is a GPU, on it in float32, in bfloat16 and with TF32.
# (On a CPU it leaves bfloat16 out, whose products are so much slower there, as we saw above.)
# It writes a file to `book/data/machines`, and the next cell shows whatever files lie there.


# %% tags=["hide-input"]
def describe(about, path):
    """Who ran which machine when, and a table of its times."""
    chip = f", {about['gpu']}" if about["gpu"] else ", no GPU"
    lines = [f"**{about['machine']}{chip}**", ""]
    lines += [f"Run by {about['run_by']} on {about['date']}", ""]
    lines[-2] += f" with MLX {about['versions']['mlx']} (`{path.name}`)."
    sizes = sorted({row["batch"] for row in about["rows"]})
    lines.append(
        "| milliseconds per step | "
        + " | ".join(f"batch {size}" for size in sizes)
        + " |"
    )
    lines.append("|---|" + "--:|" * len(sizes))
    cells = {}
    for row in about["rows"]:
        tf32 = " with TF32" if row.get("tf32") else ""
        name = f"{row['model']}, {row['device']}, {row['dtype']}{tf32}"
        middle = f"{np.median(row['milliseconds']):.1f}"
        cells.setdefault(name, {})[row["batch"]] = middle
    for name, times in cells.items():
        row = " | ".join(times.get(size, "") for size in sizes)
        lines.append(f"| {name} | {row} |")
    return "\n".join(lines)


files = sorted((mlxgan.ROOT / "book/data/machines").glob("*.json"))
for path in files:
    display(Markdown(describe(json.loads(path.read_bytes()), path)))
if not files:
    print("No machine has been measured yet: run make bench.")

# %% [markdown]
# If yours is missing, please contribute its file; `CONTRIBUTING.md` says how, and since we own no Mac, rows for one can only come from readers.
#
# ## Summary
#
# A stopwatch around lazy code needs an evaluation inside it, and a single time means little: warm up, let the candidates take turns, and compare ratios with their spread.
# A step is spent on fetching data, on Python, or on computing, and each has its own cure.
# Here computing takes nearly everything, so fewer evaluations gained nothing, and `mx.async_eval` helped a little, but only while Python slept.
# Compiling the MLPs' step and larger batches gained more.
# On a fast GPU the computing shrinks, and data and Python become worth your attention.
# The roofline tells how much is left to gain: count operations and bytes, measure what the machine can do, and compare.
#
# What you can do with a trained generator outside Python is the subject of [Out of Python](17_out_of_python.ipynb).
#
# ## Exercises
#
# ### Exercise 1: How many products? (derive)
#
# Derive the number of matrix products in a step of the MLPs, with four layers in each network, and say which of them the chain rule would allow but nobody needs.
# Then compare your result with the compiled graph.
#
# :::{dropdown} Solution
# The discriminator's move draws fakes, which takes 4 products forward in $G$, and passes them and the real images through $D$, which takes $2 \cdot 4$ forward, $2 \cdot 4$ for the gradients of the weights, and $2 \cdot 3$ for the gradients between the layers.
# The gradients with respect to the images, one product for each batch, are not needed.
# The generator's move takes $4 + 4$ products forward, 4 back through all layers of $D$ including the first, none for the weights of $D$, and then 4 for the weights of $G$ and 3 between its layers, but none for its noise.
# That makes 26 and 19 products, so 45.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def products_in(work):
    """Number of matrix products in the graph of some work."""
    mx.eval(work())  # so that only one step is in the graph
    return sum(
        "Matmul" in line or "AddMM" in line for line in operations(work())
    )


print("counted by hand: ", len(shapes["MLP"]))
print("in the graph:    ", products_in(mlp))

# %% [markdown]
# ### Exercise 2: Whose move takes longer? (code)
#
# Compute from our counts how many operations each of the two moves has.
# Then write the moves of the MLP GAN as two compiled functions, race them, and explain the difference between the two ratios.
#
# :::{dropdown} Solution
# The discriminator's move has 1.18 times as many operations, because it sees two batches, and it takes 1.09 times as long.
# We should expect less than 1.18, because both networks have about as many weights, so that Adam takes about as long for either of them and dilutes the difference.
# The middle half of the rounds reaches from 1.04 to 1.18, which agrees.
# :::


# %% tags=["hide-cell"]
game = models.MLPGenerator(), models.MLPDiscriminator()
generator, discriminator = game
optimizers = recipes.adam(), recipes.adam()
for network, optimizer in zip(game, optimizers, strict=True):
    optimizer.init(network.trainable_parameters())
    layers.column_major(network, optimizer)
state = [each.state for each in (*game, *optimizers)] + [mx.random.state]
real = mx.random.uniform(-1, 1, (64, 28, 28, 1))
grad_d = nn.value_and_grad(
    discriminator,
    lambda real, fake: losses.discriminator_loss(
        discriminator(real), discriminator(fake)
    ),
)
grad_g = nn.value_and_grad(
    generator, lambda z: losses.generator_loss(discriminator(generator(z)))
)


# %% tags=["hide-cell"]
@partial(mx.compile, inputs=state, outputs=state)
def move_d(real):
    fake = mx.stop_gradient(generator(mx.random.normal((64, 100))))
    loss, gradients = grad_d(real, fake)
    optimizers[1].update(discriminator, gradients)
    return loss


@partial(mx.compile, inputs=state, outputs=state)
def move_g():
    loss, gradients = grad_g(mx.random.normal((64, 100)))
    optimizers[0].update(generator, gradients)
    return loss


of_g, of_d = LAYERS["MLP"]
counts = {
    "D": products(of_g, 1, 0, 0, 0) + products(of_d, 2, 2, 2, 0),
    "G": products(of_g, 1, 1, 1, 0) + products(of_d, 1, 0, 1, 1),
}
ratio = gflop(counts["D"]) / gflop(counts["G"])
print(f"operations, D / G: {ratio:.2f}")
show(
    race(
        {
            "G": lambda: (move_g(), state),
            "D": lambda: (move_d(real), state),
        }
    )
)

# %% [markdown]
# ### Exercise 3: Steps that vanish (change and explain)
#
# Take the weights of a trained generator, convert them to bfloat16, and add a step to each of them.
# Which fraction of the weights does not change at all, for steps of 2e-4, 2e-5 and 2e-6?
# Explain the result with the distance between neighboring numbers, and suggest how one could train with bfloat16 all the same.
#
# :::{dropdown} Solution
# A number between $2^{k}$ and $2^{k+1}$ has neighbors at a distance of $2^{k-7}$ in bfloat16, and an addition that moves it by less than half of this is rounded away.
# For a weight of 0.05 the distance is $2^{-12}$, or about 2.4e-4.
# In float32 every weight moves.
# In bfloat16, 20 % of the weights ignore a step of 2e-4, 86 % one of 2e-5, and 98 % one of 2e-6, although the median size of a weight is only 0.03.
# (A weight of 0.05 thus ignores a step of 2e-5, and not one of 2e-4.)
# The usual way out is to keep the weights and Adam's moments in float32, and to convert a copy to bfloat16 for the products of each step.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
trained = mlxgan.load_pretrained("mlp").parameters()
every = mx.concatenate([w.reshape(-1) for _, w in tree_flatten(trained)])
print(f"median size of a weight: {np.median(np.abs(np.array(every))):.3f}")
for dtype in (mx.float32, mx.bfloat16):
    before = every.astype(dtype)
    for step in (2e-4, 2e-5, 2e-6):
        after = before + mx.array(step, dtype)
        unchanged = (after == before).mean().item()
        print(f"{dtype}, step {step:.0e}: {unchanged:.0%} unchanged")

# %% [markdown]
# ### Exercise 4: The price of a penalty (change and explain)
#
# The recipe `mlp` is the recipe `tutorial` with the penalty R1, the squared gradient of the logit with respect to real images.
# How many more products does its step have, and by which factor should it take longer?
# Race the two, and explain what the count leaves out.
#
# :::{dropdown} Solution
# The gradient of the logit with respect to the image takes 4 products on the way back through $D$; its way forward is the one that the loss has taken already, and compiling merges the two.
# Each of the 4 is then differentiated, with respect to the weight (4 products) and to the gradient that came in (3, since the first of these is a constant).
# That makes 11, but the graph has 16.
# The other 5 carry the penalty's gradient through the activations back to the layers before them, where it is 0, because the slope of a leaky ReLU does not change with its input.
# MLX does not know this, and multiplies zeros.
# By the operations, these zeros included, the products should take 1.41 times as long, and since they are only about half of the step, we should expect 1.21 for all of it.
# It takes 1.33 times, so the penalty costs something that our count leaves out.
# :::

# %% tags=["hide-cell"]
with_r1 = new_step("mlp")
print("products without R1:", products_in(mlp))
print("products with R1:   ", products_in(with_r1))
more = products(of_d, 0, 1, 1, 1) + products(of_d[:3], 1, 1, 1, 0)
ratio = 1 + gflop(more) / gflop(shapes["MLP"])
print(f"{len(more)} more by hand, operations {ratio:.2f} times as many")
show(race({"without R1": mlp, "with R1": with_r1}))

# %% [markdown]
# ## Further reading
#
# - [Williams et al. (2009)](../book/bibliography.md#williams-et-al-2009) introduce the roofline and show how to read off what would help a program.
# - [MLX's documentation](https://ml-explore.github.io/mlx/build/html/usage/compile.html) says what `mx.compile` fuses and how to time it, and [another page](https://ml-explore.github.io/mlx/build/html/python/memory_management.html) lists all limits of memory.
# - [Kingma and Ba (2015)](../book/bibliography.md#kingma-and-ba-2015) have the update whose bytes we counted.
