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
# ![Two timelines, each with a row for Python and a row for the device. With mx.eval, Python waits while the device computes, and the device is idle while Python prepares the next step. With mx.async_eval, Python prepares the next step while the device computes, and the device is idle only before the first step.](../book/diagrams/overlap.svg)
#
# *Python prepares a training step, and the device computes it. With `mx.eval` one waits for the other; with `mx.async_eval` both can work at the same time.*
#
# When a training step is slow, it is tempting to try whatever made someone else's network faster.
# It is quicker to find out where the time goes, because on another machine, or with another network, it goes somewhere else.
# After this chapter you can time lazy code without fooling yourself, say which part of a step is slow and how far it is from your machine's best, and tell a change that helps from one that only seems to.
#
# *Before: [The training loop](06_training.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: twenty minutes · To run: about a minute on two CPU cores*

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
# Every number below was measured on a Linux computer with two CPU cores and no GPU.
# On a Mac or an NVIDIA GPU the conclusions may differ along with the numbers, so run the chapter on yours.
#
# ## A stopwatch for lazy code
#
# Timing a function sounds simple, but with lazy code it is easy to measure the wrong thing.
# We time two training steps, that of the MLPs with the recipe `tutorial` and that of the DCGAN, on noise instead of images, since the pixels do not matter for the time.


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
# Here are three wrong ways to time the MLPs' step: a call without `mx.eval`, the first call with it, and a single later one.
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
# A single later call lies anywhere between 0.95 and 1.18 times the median.
# :::
#
# The last of the three is the most dangerous, because its result looks reasonable.
# Even the median is not safe: it was 27.5 ms here, and you will see 29 and even 35 ms for the same step, because other programs run beside ours and processors change their clock as they heat up.
# What survives is the *ratio* of two times taken side by side.
# All comparisons in this chapter therefore go through one function, which warms up, lets the candidates take turns, and compares each with the first candidate of the same round.
# Its ratio is a median over the rounds, which may differ from the ratio of two medians.


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
# A stopwatch has to be tested, too, so we let it compare the MLPs' step with itself.

# %%
show(race({"MLP": mlp, "MLP again": mlp}))

# %% [markdown]
# The two rows are the same work, so whatever separates their ratio from 1 is noise, here from 0.98 to 1.01 in the middle half of the rounds.
# From now on we believe in a difference only if it is clearly larger than that, and larger than its own spread.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# `mx.eval` inside the stopwatch takes the place of `torch.cuda.synchronize()`, but it also starts the work, so MLX needs it on a CPU, too.
# :::
#
# ## Data, Python, or computation?
#
# Where does a step spend its time?
# First the batch is fetched; then Python calls the step, which only builds a graph from the trace; and finally `mx.eval` hands the operations to the device, which takes Python some time as well, and waits for them.
# The three parts need different cures, and we can time each by itself if we evaluate after it.


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
# If a GPU computed the MLPs' step fifty times as fast as our two cores, fetching the batch and Python would together take about half of what is left.
#
# ## How often to evaluate
#
# The loops of this book call `mx.eval` once per step.
# Would it be faster to wait less often, and how bad is a loop that prints its loss in every step?
# We evaluate after each of sixteen steps, after every fourth, or only at the end, and a fourth variant also reads the numbers of each step with `.item()`.
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
# There is next to no difference: evaluating less often saves at most 1 % of the time, and reading the numbers costs 2 %, no more than a step differed from itself above.
# Python has so little to do here that it hardly matters when it waits.
# :::
#
# An evaluation is cheap beside a whole step, but what if we call `mx.eval` after every line, to be on the safe side?
# A chain of twenty multiplications and additions shows the price.


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
# With twenty evaluations instead of one, the chain takes 3.6 times as long on a thousand numbers, but only 1.3 times on a million (middle half: 1.11 to 1.40).
# In both cases the nineteen additional evaluations cost something like 1 ms together, or about 0.05 ms each, because Python hands over a task and waits until another thread has finished it.
# Only large operations hide this fixed price.
#
# :::{admonition} If it goes wrong
# :class: warning
# *Symptom*: a step is slow although its matrices are small.
# *Cause*: something in the loop asks for values: `print`, `.item()`, `np.array`, or an `if` on an array.
# *Cure*: return arrays, and read them once per epoch.
#
# *Symptom*: every call of a compiled step takes as long as the first one.
# *Cause*: it is traced again each time, because the shapes change or `mx.compile` is called inside the loop.
# *Cure*: batches of one size, and one compiled function.
# :::
#
# ## Preparing the next step meanwhile
#
# If Python's part is *not* small, the picture at the top of this chapter suggests a cure: `mx.async_eval` hands the work over without waiting, so that Python can prepare the next step while the device computes this one.
# MLX's authors introduced it for language models and gained 4 % ([MLX contributors, 2024](../book/bibliography.md#mlx-contributors-2024)).
# To have something to overlap, we let Python either sleep before each step, as if it waited for a disk, or sort random numbers, as if it augmented images.
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
# Perfect overlap would take 1 instead of 1.5 steps and save a third of the time.
# Our race would then show a ratio of 0.73 rather than 0.67, because nothing is computed during the first preparation, and a ninth step follows without one.
# We get 0.86 when Python sleeps (middle half: 0.84 to 0.86), and 0.99 when it sorts (0.97 to 1.00).
# :::
#
# Two things keep a CPU from the ideal.
# Sorting needs a core, while the step's matrix products would like to have both.
# The other reason hides in the call to `async_eval` itself.

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
# MLX lets only a limited number of tasks wait in the queue of a device, and on a CPU a task is only a few operations.
# A training step therefore fills the queue, and `async_eval` returns when most of the step is done, which leaves Python only the last quarter.
# If a task holds many more, as it is said to on a GPU, the lower half of our picture may come true.
#
# ## What compiling brings
#
# If nearly all of the time is computing, we would like to give the device less to do.
# `mx.compile` does that by fusing each chain of elementwise operations into one *kernel*, a small program for the device, and it spares Python work, too, because it replays a trace.
# After `mx.disable_compile()` the same functions run operation by operation, so we can measure what that saves.


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
# Without compiling, the MLPs' step takes 1.23 times as long, and the DCGAN's 1.20 times.
# Matrix products and convolutions stay as they are, so the saving must come from what lies between them, for the most part from Adam, which is nothing but elementwise operations.
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
# The fused version needs only 11: a fused kernel reads each array once and keeps intermediate results out of memory.
# The eager update takes 1.8 times as long, 3.6 ms more for this one network, so two networks account for nearly all of the 8 ms that the whole step loses.
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

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Images per second with the step of the MLPs (median and range of the rounds). Along the dotted line a larger batch would take no more time than one of 8; the measured rate stays below it from the start and levels off toward 512.", "name": "fig-16-batch"}, "image": {"alt": "Images per second against the batch size, both on logarithmic axes. The curve rises from 500 at a batch of 8 to about 4,260 at 512, ever more slowly, while a dotted straight line rises to about 32,000."}}
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
# From 8 to 64 images the rate grows 4.6-fold, so eight times as many images take less than twice as long; from 64 to 512 it grows only by another factor of 1.9.
# However, with batches of 512 an epoch of MNIST has 117 updates instead of 937, and whether those are worth as much is a question for [Measuring](08_measuring.ipynb), since no stopwatch can tell.
#
# ## Fewer bits
#
# Shorter numbers can be faster, too.
# bfloat16 has the range of float32 with 8 instead of 24 binary digits of precision, and half the bytes.
# TF32, a mode of NVIDIA's matrix units and, from the M5 on, of Apple's, rounds the inputs of a float32 product to 11 digits.
# MLX uses it [by default](https://ml-explore.github.io/mlx/build/html/usage/precision.html) where it can, unless `MLX_ENABLE_TF32=0` switches it off.
# To see what your machine does, we multiply a matrix by the identity, which should change nothing, and time a product in float32 and in bfloat16.

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
# On this CPU the identity changes nothing, and bfloat16 makes a product about 30 times *slower*, because MLX multiplies it with simple code of its own instead of a fast library.
# If you see an error of about 2e-4, your GPU rounds to TF32.
# A speedup from either format is worth having only if the GAN still learns, and Adam's small steps may vanish when they are added to a weight in bfloat16 (Exercise 3).
#
# ## Memory
#
# Fetching memory from the system and returning it again and again takes time as well, so MLX keeps freed memory in a cache.
# We read the size of this cache, and the most memory that MLX held during a step, including everything else in this notebook.


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
# The cache is limited to 32 MiB on our CPU, and both steps fill it; on a Mac it may grow much larger, unless `mx.set_cache_limit` lowers its limit.
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
# We first count the operations, in GFLOP, billions of additions or multiplications.
# A fully connected layer multiplies a matrix of shape $(64, n)$ by one of shape $(n, m)$, which takes $64 \cdot n \cdot m$ multiplications and as many additions.
# A convolution is the same product with one row for each *place* where its kernel lies on an image, and 16 numbers per channel, because the kernel is $4 \times 4$.
# The backward pass adds two more products of the same size, for the gradients of the weights and of the inputs.
# In a step, each layer of $G$ runs forward twice and backward once.
# Each layer of $D$ runs three times both ways, but its weights need gradients only twice, because the generator's move leaves them alone.
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
# We take the best rates that MLX itself reaches here: for arithmetic in a product of two large square matrices, and for memory in adding 1 to every number of a large array.
# Of the memory traffic we count only Adam's, which for each weight reads four numbers (the weight, its gradient, and two moments) and writes three of them back, 28 bytes in all.
# Since the products and Adam run one after the other, we add their limits.

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

# %% tags=["hide-input"] mystnb={"image": {"alt": "Four stacked horizontal bars, one pair for the MLPs and one for the DCGAN. The MLPs' step takes 30 ms, about twice its limit of 14; the DCGAN's takes 79 ms, more than two and a half times its limit of 30, and more than a third of it is the rest."}}
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
# *Where a step of 64 images goes, beside what its products and Adam would take at the best rates of this machine. The rest is about a fifth of the MLPs' step and more than a third of the DCGAN's.*
#
# In the MLPs' step, the products take 15.1 ms instead of 10.6, so they run at about 70 % of the best rate, whereas Adam reaches less than half of the best bandwidth.
# Even if both ran at these rates and the rest cost nothing, the step would be only about twice as fast.
#
# The DCGAN's products run at about 75 % of the best rate, but 34 of its 79 ms are neither products nor Adam.
# They go into what stands between the products: copying windows, normalizing batches, and applying activations, which MLX, as far as we can see, leaves to one core.
# A faster step would have to come from here, since even perfect products would save only 9 ms.
# To see how much of the rest is normalization, we take it out.


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
# Without normalization the step takes 0.88 of the time (middle half: 0.85 to 0.90), so about 10 ms of the rest belong to it, and the larger part to everything else.
#
# ## Inside the GPU
#
# On a Mac, Metal can record everything that the GPU does in a step, and Xcode shows how long each kernel runs.
# We have no Mac, so the following comes from MLX's documentation and was not run for this book ([MLX contributors, 2026c](../book/bibliography.md#mlx-contributors-2026c)).
#
# ```python
# work = new_step()
# mx.eval(work())  # trace and compile before the recording
# mx.metal.start_capture("step.gputrace")  # must not exist yet
# mx.eval(work())
# mx.metal.stop_capture()
# ```
#
# Start Python with `MTL_CAPTURE_ENABLED=1` in its environment, record only one or two steps, and open the file in Xcode.
# Gaps between the kernels mean that the GPU waits for Python; without gaps, only less work or shorter numbers will help.
#
# ## PyTorch beside it
#
# Is MLX the right framework for such a step?
# We can only compare it with PyTorch on our CPU, which is PyTorch's home ground.
# PyTorch appears with plain Adam, then with fused Adam, which updates all weights in one sweep, for the DCGAN also with the layout *channels last*, and finally with `torch.compile` on top of that.
# `make pytorch` measured them in turns; a ratio below 1 means that MLX is faster.


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
# These times come from another run, so compare them only with each other, and where a range includes 1, five rounds cannot tell which is faster.
# The MLPs' step is thus in a tie with plain and with compiled PyTorch, but takes 1.16 times as long as PyTorch with fused Adam.
# The DCGAN's step takes 1.12 times as long as PyTorch with plain Adam and 1.18 times as long as with channels last; beside the other two forms we cannot tell.
# MLX "as installed" takes more than twenty times as long on Linux; the appendix [MLX on a Linux CPU](20_linux_cpu.ipynb) tells how `import mlxgan` changes that.
#
# ## Other machines, and yours
#
# How long does a step take on *your* machine?
# `make bench` measures it in a few minutes: both GANs with three batch sizes, on the CPU in float32 and, where there is a GPU, on it in float32, in bfloat16, and with TF32.
# It writes a file to `book/data/machines`, and here are the files so far.


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
# If yours is missing, please contribute its file, as `CONTRIBUTING.md` explains; rows for a Mac can only come from readers.
#
# ## Summary
#
# A stopwatch around lazy code needs an evaluation inside it, and because a single time means little, the candidates should warm up and take turns, so that you can compare ratios with their spread.
# Of a step's three parts, computing takes nearly everything here, so fewer evaluations gained nothing, and `mx.async_eval` helped a little, but only while Python slept.
# Compiling and larger batches gained more.
# On a fast GPU the computing shrinks, and data and Python become worth your attention.
# The roofline tells how much is left to gain, once you have counted operations and bytes and measured what the machine can do.
#
# To use a trained generator outside Python, turn to [Out of Python](17_out_of_python.ipynb).
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
# Nobody needs the gradients with respect to the images, one product for each batch.
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
# What fraction of the weights does not change at all, for steps of 2e-4, 2e-5 and 2e-6?
# Explain the result with the distance between neighboring numbers, and suggest how one could train with bfloat16 all the same.
#
# :::{dropdown} Solution
# A number between $2^{k}$ and $2^{k+1}$ has neighbors at a distance of $2^{k-7}$ in bfloat16, and an addition that moves it by less than half of this is rounded away.
# For a weight of 0.05 the distance is $2^{-12}$, or about 2.4e-4.
# In float32 every weight moves.
# In bfloat16, 20 % of the weights ignore a step of 2e-4, 86 % one of 2e-5, and 98 % one of 2e-6, although the median size of a weight is only 0.03.
# (A weight of 0.05 thus ignores a step of 2e-5, but not one of 2e-4.)
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
# How many more products does its step have, and by what factor should it take longer?
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
