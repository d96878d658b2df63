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
# # Data parallelism
#
# ![Four machines in a ring, each with an array of four parts. After phase one each has one finished part, after phase two all parts are finished everywhere.](../book/diagrams/ring-sum.svg)
#
# *A ring sums in two phases: first the parts are added while they travel, then the finished sums travel once more.*
#
# You have two Macs on your desk, so why not let both of them work on the same GAN?
# By the end of this appendix you can share a batch among machines, explain why the result is that of a single one, avoid the trap that batch normalization sets, and work out beforehand whether a second machine would pay.
#
# Nothing here was tried on two Macs; it all ran on a single machine with two cores, in one or two processes.
# That is enough to find out whether the result is right; for the speed, we measure what one machine can show and calculate the rest.
#
# *Before: [The training loop](06_training.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: a quarter of an hour · To run: about a minute on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import checkpoints, data, models, plots, recipes, training

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from itertools import islice
from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown, display
from mlx.utils import tree_flatten

mx.random.seed(0)
digits = data.load("train")

# %% [markdown]
# ## Half a batch each
#
# What could two machines share?
# Each step of our GAN needs the gradient of a loss that is an average over 64 images.
# Such an average is also the average of the averages over its two halves, and because differentiation is linear, the same holds for its gradient,
#
# $$\nabla\, \frac{1}{64} \sum_{i=1}^{64} L_i = \frac12 \left( \nabla\, \frac{1}{32} \sum_{i=1}^{32} L_i + \nabla\, \frac{1}{32} \sum_{i=33}^{64} L_i \right),$$
#
# where $L_i$ is the loss of image $i$.
# So each machine can hold a copy of both networks, compute the gradient for its half of the batch, and replace it with the average of both gradients.
# Then all machines take the same step, and their copies stay the same.
# This is called **data parallelism**.
# To check the formula, we need only one machine and two halves of a batch.

# %%
discriminator = models.MLPDiscriminator()
images, _ = next(data.batches(digits, 64, seed=0))


def loss_of_real(images):
    return nn.softplus(-discriminator(images)).mean()


def gradient(images):
    _, tree = nn.value_and_grad(discriminator, loss_of_real)(images)
    return tree["layers"][0]["weight"]


whole = gradient(images)
average = (gradient(images[:32]) + gradient(images[32:])) / 2
print(f"largest entry of the gradient {mx.abs(whole).max().item():.0e}")
print(f"largest error {mx.abs(average - whole).max().item():.0e}")

# %% [markdown]
# The error is millions of times smaller than the gradient, and it is mere rounding: the same terms were added in another order.
#
# ## A group of processes
#
# To average their gradients, the machines must add up arrays that lie in different processes, and MLX does this with `mx.distributed` ([MLX contributors, 2026a](../book/bibliography.md#mlx-contributors-2026a)).
# The processes that work together are called *ranks*, are numbered from 0, and form a *group*.
# The function `all_sum` adds up an array over all ranks and gives every rank the total.
# A notebook is a group of one, in which the sum is the array itself.

# %% tags=["nbval-check-output"]
group = mx.distributed.init()
print(f"rank {group.rank()} of {group.size()}")
print("sum:", mx.distributed.all_sum(mx.array([1.0, 2.0])).tolist())

# %% [markdown]
# This is convenient, because the same program then works alone and in company without any `if`.
# To get company, we start it with `mlx.launch -n 2`, which runs two copies on this machine and connects them in a ring, where each rank exchanges messages only with its neighbors.
# The folded function `launch` does this, and switches `mx.compile` off in the ranks, since a few steps would not repay the time for compiling.


# %% tags=["hide-input"]
RUNS = Path(os.path.relpath(mlxgan.RUNS / "parallel"))
shutil.rmtree(RUNS, ignore_errors=True)
RUNS.mkdir(parents=True)
RANKS = os.environ | {
    "OPENBLAS_NUM_THREADS": "1",
    "MLX_DISABLE_COMPILE": "1",
    "PYTHONPATH": str(mlxgan.ROOT / "tools"),
}


def free_port():
    """Return the first of two free ports that no client is given."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 1))
                return port
        except OSError:
            continue


def launch(ranks, *arguments):
    """Run python with these arguments on so many ranks."""
    command = [sys.executable, *arguments]
    if ranks > 1:
        launcher = Path(sysconfig.get_path("scripts"), "mlx.launch")
        port = ["--starting-port", free_port()]
        command = [launcher, "-n", ranks, *port, "--", *command]
    with subprocess.Popen(
        [str(word) for word in command],
        env=RANKS,
        stdin=subprocess.PIPE,  # stays open: mlx.launch reads it
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        printed = process.stdout.read()
    # mlx.launch ends with 0 even if a rank has failed
    if process.returncode or "exited with code" in printed:
        raise RuntimeError(printed)
    return printed.splitlines()


# %% tags=["nbval-check-output"]
program = """
import mlx.core as mx
group = mx.distributed.init()
total = mx.distributed.all_sum(mx.array(group.rank() + 1.0))
print(f"rank {group.rank()} of {group.size()}: sum {total.item()}")
"""
for line in sorted(launch(2, "-c", program)):
    if line.startswith("rank"):
        print(line)

# %% [markdown]
# Rank 0 contributed a 1 and rank 1 a 2, and both received the 3.
#
# ## The same step on every rank
#
# Now the ranks can share a training step.
# Each of them takes its own rows of the batch.


# %%
def part(x):
    """This rank's rows of a batch."""
    group = mx.distributed.init()
    rows = len(x) // group.size()
    return x[group.rank() * rows : (group.rank() + 1) * rows]


# %% [markdown]
# The noise needs more care.
# If every rank drew its own with the same seed, all would get the same noise, and half of the fakes would be wasted (Exercise 2).
# So all ranks draw the same noise for the *whole* batch and keep their part, which makes the run independent of the number of ranks.
# The step of [The training loop](06_training.ipynb), however, draws only one row of noise for each image that it sees.
# With two ranks, a small module around the generator therefore asks for rows of twice the length and cuts each in two.


# %%
class Share(nn.Module):
    """A generator that draws this rank's part of the fakes."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator
        ranks = mx.distributed.init().size()
        self.latent_dim = ranks * generator.latent_dim

    def __call__(self, z):
        z = z.reshape(-1, self.generator.latent_dim)
        return self.generator(part(z))


# %% [markdown]
# What remains is to average the gradients before Adam gets them.
# `training.make_step` has an argument for this, `on_gradients`, and MLX has the function, `nn.average_gradients`: it strings the gradients of all layers together into one long array, calls `all_sum`, and divides by the number of ranks.
#
# The script `tools/distributed.py` in the book's repository puts these pieces together.
# Rank 0 sends its weights to the others at the start, so that all of them begin with the same ones, and it saves the state of the run.


# %% tags=["hide-input"]
SCRIPT = mlxgan.ROOT / "tools/distributed.py"


def train_on(ranks, name, *options, steps):
    """Run the script on so many ranks; return its last state."""
    command = [SCRIPT, "train", "--out", RUNS / name, "--steps", steps]
    launch(ranks, *command, *options)
    return checkpoints.load_run(RUNS / name)[1]


def difference(one, two):
    """Largest difference between two weights of the same name."""
    names = [name for name in one if name.startswith("weights")]
    gaps = [mx.abs(one[name] - two[name]).max() for name in names]
    return mx.stack(gaps).max().item()


# %% [markdown]
# **One rank trains the recipe `mlp` for three steps with batches of 64, and two ranks do the same with 32 images each. How far apart are their weights? And after 20 steps?**

# %%
one = train_on(1, "one", steps=3)
two = train_on(2, "two", steps=3)
print(f"after 3 steps: largest difference {difference(one, two):.0e}")
before = one
one = train_on(1, "one", steps=20)
two = train_on(2, "two", steps=20)
print(f"after 20 steps: largest difference {difference(one, two):.0e}")
moved = difference(one, before)
print(f"one rank from step 3 to step 20: largest change {moved:.0e}")

# %% [markdown]
# :::{dropdown} Answer
# After three steps no weight differs by more than 2e-7, which is rounding, and in this run that still holds after 20 steps.
# :::
#
# The agreement is not for lack of movement: between step 3 and step 20, the weight that moved most changed by 6e-3, tens of thousands of times as much.
# It would hardly last in a longer run, because training amplifies even a difference in the last bit, as [Same seed, same digits](../book/reproducibility.md) shows.
# On another processor this may begin earlier, so the number to watch is the one after three steps.
#
# So data parallelism is no new algorithm: everything that the book says about batches of 64 holds, and a run on two machines differs from one on a single machine just as a rerun on another processor does.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# `torchrun` corresponds to `mlx.launch`, and `DistributedSampler` to our `part`.
# `DistributedDataParallel` sends the first gradients while the last ones are still being computed, whereas `nn.average_gradients` is a plain function that is called when all gradients are there.
# :::
#
# ## Whose mean?
#
# Our formula assumed that each image is judged by itself.
# In the DCGAN this is not so, because batch normalization subtracts the mean of the batch, and with half of the batch on each rank the question is: whose mean?
# `nn.BatchNorm` knows nothing about other ranks and uses the mean of its own half.
# The result is a different function with different gradients, which is why large GANs take the statistics over all devices ([Brock et al., 2019](../book/bibliography.md#brock-et-al-2019)).
#
# Two calls of `all_sum` seem to be all we need, one for the mean and one for the variance.
# But through the mean, the loss of each rank now depends on the images of the others, and the backward pass has to take this into account.
# The next cell compares `all_sum` with "ours", a sum that we will write below.
#
# **Let $s$ be the sum of one number $x$ from each of two ranks. The loss of rank 0 is $s$, that of rank 1 is $2s$. What is the derivative of the sum of both losses with respect to either $x$, and what does the gradient of `all_sum` say?**

# %% tags=["nbval-check-output"]
program = """
import ranks
import mlx.core as mx
weight = mx.distributed.init().rank() + 1.0
sums = {"all_sum": mx.distributed.all_sum, "ours": ranks.sum_over_ranks}
for name, total in sums.items():
    slope = mx.grad(lambda x: weight * total(x))(mx.array(1.0))
    print(f"{name}, loss {weight:.0f} s: derivative {slope.item():.0f}")
"""
for line in sorted(launch(2, "-c", program)):
    if "loss" in line:
        print(line)

# %% [markdown]
# :::{dropdown} Answer
# The derivative of $s + 2s$ is 3 on both ranks, but `all_sum` says 1 on rank 0 and 2 on rank 1.
# :::
#
# MLX's gradient of `all_sum` tells each rank about its own loss only.
# This did no harm when we averaged gradients, because nothing was differentiated through that sum.
# The gradient of a mean inside the network, however, has to count the effect on *all* losses.
# We therefore give the sum a gradient of our own, which adds up what comes back from all ranks, and build the layer on it.


# %% tags=["nbval-check-output"]
@mx.custom_function
def sum_over_ranks(x):
    return mx.distributed.all_sum(x)


@sum_over_ranks.vjp
def gradient_over_ranks(x, cotangent, output):
    return mx.distributed.all_sum(cotangent)


class SyncBatchNorm(nn.BatchNorm):
    """nn.BatchNorm with the statistics of all ranks (in training)."""

    def __call__(self, x):
        axes = tuple(range(x.ndim - 1))
        size = mx.distributed.init().size() * x.size // x.shape[-1]
        mean = sum_over_ranks(x.sum(axes)) / size
        variance = sum_over_ranks(mx.square(x - mean).sum(axes)) / size
        x = (x - mean) * mx.rsqrt(variance + self.eps)
        return self.weight * x + self.bias


x = mx.random.normal((8, 5))
gap = mx.abs(SyncBatchNorm(5)(x) - nn.BatchNorm(5)(x)).max().item()
print(f"alone: largest difference from nn.BatchNorm {gap:.3f}")

# %% [markdown]
# Alone, the layer agrees with `nn.BatchNorm`, as it should; its version in `tools/ranks.py` also keeps the running statistics for evaluation mode.
#
# Now let two ranks take a single step of the DCGAN with 16 images, without the spread of the batch that [Convolutions](09_convolutions.ipynb) adds to the logits, since it would need the same repair.
# We compare Adam's first moments, which after one step with $\beta_1 = 0.5$ are half the gradients.
# We leave out the biases in front of a normalization, which removes them again, so that their gradients are nothing but rounding.
#
# **How wrong are the gradients if each rank normalizes over its own eight images?**


# %%
def gradient_error(run, whole):
    """Largest error, as a fraction of an array's largest entry."""
    errors = []
    for name in whole:
        size = mx.abs(whole[name]).max().item()
        if name.endswith(".m") and size > 1e-5:
            gap = mx.abs(run[name] - whole[name]).max().item()
            errors.append(gap / size)
    return max(errors)


options = ["--model", "dcgan", "--batch-size", 16]
whole = train_on(1, "whole", *options, steps=1)
shared = train_on(2, "shared", *options, steps=1)
apart = train_on(2, "apart", *options, "--local-norm", steps=1)
error_shared = gradient_error(shared, whole)
error_apart = gradient_error(apart, whole)
print(f"statistics of all ranks: error {error_shared:.4f}")
print(f"statistics of its own half: error {error_apart:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# Hopelessly: the largest error is 1.7 times as large as the largest entry of its array.
# With the statistics of all ranks, the error is 0 to four decimals.
# :::
#
# A run with the wrong statistics would raise no error.
# Sharing them gives the gradients of the whole batch, at the price of more messages: each of the DCGAN's five batch normalizations needs two small sums whenever images pass through it, and two more when a gradient comes back.
#
# ## When a machine is gone
#
# A run on two machines ends when either of them fails, so it should end well: the survivor says what happened, and the same command continues from the last saved state.
# A closed connection makes MLX raise an error, which the script turns into a message.
# A machine that merely falls silent raises nothing, because a sum waits forever, so the script gives up after `--patience` seconds without a step.
# Let us kill a rank in the middle of a run.


# %% tags=["hide-input"]
def start_two(name, *options):
    """Start the script on two ranks, without waiting for its end."""
    hosts = RUNS / "hosts.json"
    port = free_port()
    addresses = [[f"127.0.0.1:{port + rank}"] for rank in range(2)]
    hosts.write_text(json.dumps(addresses), encoding="utf-8")
    command = [sys.executable, SCRIPT, "train", "--out", RUNS / name]
    processes = []
    for rank in range(2):
        variables = {"MLX_HOSTFILE": str(hosts), "MLX_RANK": str(rank)}
        process = subprocess.Popen(
            [str(word) for word in [*command, *options]],
            env=RANKS | variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    return processes


# %%
survivor, victim = start_two("lost", "--steps", 10_000, "--every", 2)
while survivor.poll() is None and not checkpoints.runs(RUNS / "lost"):
    time.sleep(0.01)
victim.kill()
start = time.perf_counter()
*_, message = survivor.communicate()[1].splitlines()
victim.communicate()
print(f"status {survivor.returncode} after", end=" ")
print(f"{time.perf_counter() - start:.1f} seconds: {message}")

# %%
saved = checkpoints.load_run(RUNS / "lost")[1]["step"].item()
continued = train_on(2, "lost", steps=20)
print(f"continued from step {saved} to step 20: largest", end=" ")
print(f"difference from the other run {difference(continued, two):g}")

# %% [markdown]
# The survivor ended a tenth of a second after the other rank was killed, and its message says what to do.
# The run then continued from step 2 and reached, bit for bit, the weights of the run `two` from above.
#
# :::{admonition} If it goes wrong
# :class: warning
# *Symptom*: nothing happens, and all ranks wait.
# *Cause*: one rank evaluates a sum that another one does not, for example under `if rank == 0`, or they evaluate two sums in a different order.
# *Cure*: the same sums on all ranks in the same order, and if in doubt, `mx.eval` after each.
# :::
#
# ## What a sum costs
#
# The result is right, so now to the speed: how long does it take to sum an array of $S$ bytes over $n$ ranks?
# In the ring at the top of the page, the array is cut into $n$ parts, and in each round every rank sends one part to its neighbor.
# For $n - 1$ rounds the parts are added up on their way, and for another $n - 1$ rounds the finished parts go around.
# So every rank sends $2\,(n-1)$ times $S/n$ bytes, less than twice the array however many ranks there are, and no method can do with less ([Patarasuk and Yuan, 2009](../book/bibliography.md#patarasuk-and-yuan-2009)).
# If each round takes a time $t_0$ however little it carries, and the link transfers $w$ bytes per second, the sum takes
#
# $$t(S, n) = 2\,(n-1) \left( t_0 + \frac{S}{n\,w} \right).$$
#
# A step of our MLP GAN needs two of these sums, one for the gradients of each network.

# %% tags=["nbval-check-output"]
step_bytes = 0
for network in (models.MLPDiscriminator(), models.MLPGenerator()):
    arrays = tree_flatten(network.trainable_parameters())
    size = sum(array.nbytes for _, array in arrays)
    print(f"{type(network).__name__:16s} {size:10,} bytes")
    step_bytes += size
print(f"both sums        {step_bytes:10,} bytes")

# %% [markdown]
# With two ranks on one machine we can at least see whether the formula has the right shape.
# We fit $t_0$ to the smallest array and $w$ to the largest, and take the fastest of many sums, because our two cores are often interrupted.

# %%
sizes = [4, 10**5, 10**6, 10**7]
repeats = 5 if mlxgan.SMOKE else 50
command = [SCRIPT, "measure", "--out", RUNS / "sums"]
launch(2, *command, "--repeats", repeats, "--bytes", *sizes)
rows = json.loads((RUNS / "sums" / "seconds.json").read_bytes())
fastest = [min(row) for row in rows]
t0 = fastest[0] / 2
w = sizes[-1] / (fastest[-1] - fastest[0])
for size, seconds in zip(sizes, fastest, strict=True):
    formula = 2 * (t0 + size / (2 * w))
    print(f"{size:10,} bytes: {1e3 * seconds:.2f} ms,", end=" ")
    print(f"formula {1e3 * formula:.2f} ms")

# %% [markdown]
# The first and the last row agree because we fitted them.
# In between, the formula is too high by up to 76 %, because those arrays travel faster than the largest one, to which we fitted $w$.
# That is good enough to find out whether something takes one millisecond or a hundred.
#
# ## Does a second Mac pay?
#
# The other part of a step is computing.
# Some of it shrinks with the number of images and some does not, since every rank has to update all the weights, however few images it sees.
# So we describe it by $a + b\,B/n$ for a batch of $B$ images, and measure $a$ and $b$ on this machine.
#
# **If we halve the batch, does a step take half as long?**


# %%
def fastest_step(batch_size, steps=12):
    """Seconds of the fastest of a few compiled training steps."""
    recipe = recipes.RECIPES["mlp"]
    players = recipe.generator(), recipe.discriminator()
    step, state = training.set_up(*players, **recipe.settings())
    batches = data.batches(digits, batch_size, seed=0)
    seconds = []
    for images, labels in islice(batches, steps):
        mx.eval(images)
        start = time.perf_counter()
        mx.eval(step(images, labels), state)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


batch_64, batch_32 = fastest_step(64), fastest_step(32)
b = (batch_64 - batch_32) / 32
a = batch_64 - 64 * b
print(f"64 images {1e3 * batch_64:.1f} ms, 32 {1e3 * batch_32:.1f} ms")
print(f"fixed part {1e3 * a:.1f} ms, {a / batch_64:.0%} of a step")

# %% [markdown]
# :::{dropdown} Answer
# By no means: a step with half of the batch takes 32.6 ms instead of 43.0 ms.
# :::
#
# Even with a perfect link, two machines would therefore make this step only $43.0 / 32.6 = 1.32$ times as fast, and no number of machines could make it more than $43.0 / 22.2$, or about 1.9, times as fast.
# Don't take the 1.9 too literally: if the 32 images took two milliseconds less, the limit would be about 2.4, and on a busy computer such times vary by more than that.
#
# With a real link, the prediction for $n$ machines is
#
# $$T(n) = a + b\,\frac{B}{n} + 2\,(n-1) \left( 2\,t_0 + \frac{S}{n\,w} \right),$$
#
# where $S$ is now the size of both sums together.
# The figures for the links come from others: a Mac mini has Ethernet with 1 Gb/s, or with 10 Gb/s as an option, and a cable of Thunderbolt 4 carries 40 Gb/s ([Apple Inc., 2024](../book/bibliography.md#apple-inc-2024)).
# Messages between Macs over Thunderbolt were measured to take 0.38 to 0.95 ms there and back ([exo, 2026](../book/bibliography.md#exo-2026)), and we take about half of that, 0.3 ms, as our $t_0$ for all links.
#
# More machines can either share the batch of 64, so that the run stays the same, or get 64 images each, so that a step sees more of them.
#
# **For which of the links, and in which of the two ways, will two or more machines process more images per second than one?**


# %%
def step_time(n, batch_size, w, t0=3e-4):
    """Predicted seconds of a step with this batch on n machines."""
    computing = a + b * batch_size / n
    return computing + 2 * (n - 1) * (2 * t0 + step_bytes / (n * w))


def speedup(n, batch_size, w):
    """Images per second, compared with one machine and 64 images."""
    return batch_size / 64 * batch_64 / step_time(n, batch_size, w)


links = {
    "Ethernet, 1 Gb/s": 1e9 / 8,
    "Ethernet, 10 Gb/s": 10e9 / 8,
    "Thunderbolt, 40 Gb/s": 40e9 / 8,
}
table = ["| link | batch | 2 machines | 4 | 8 |", "|---|---|---|---|---|"]
for link, w in links.items():
    shared = " | ".join(f"{speedup(n, 64, w):.2f}" for n in (2, 4, 8))
    grown = " | ".join(f"{speedup(n, 64 * n, w):.2f}" for n in (2, 4, 8))
    table.append(f"| {link} | 64 in all | {shared} |")
    table.append(f"| {link} | 64 each | {grown} |")
display(Markdown("\n".join(table)))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Predicted speedup for this machine's step and three links, with a batch of 64 in all (left) and with 64 images on each machine (right). The dotted line is the ideal.", "name": "fig-18-scaling"}, "image": {"alt": "Two panels of speedup against the number of machines, which is 1, 2, 4, 8 or 16, with one curve for each of three links. With a fixed batch, Ethernet with 1 Gb/s falls to about 0.3 at once and on to about 0.2, Ethernet with 10 Gb/s starts at 1 with two machines and sinks slowly to about 0.7 at 16, and Thunderbolt rises to about 1.2 at four machines and then sinks to about 0.9. With 64 images on each machine, Ethernet with 1 Gb/s dips below 1, is still just below it at four machines, and then rises to almost 3 at 16, while the other two rise, bending slightly, to about 8.5 and 10, below the dotted diagonal."}}
machines = (1, 2, 4, 8, 16)
figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharex=True)
colors = dict(zip(links, ("C3", "C4", "black"), strict=True))
for axes, growing in zip(panels, (False, True), strict=True):
    for link, w in links.items():
        batches = [64 * n if growing else 64 for n in machines]
        speedups = [
            speedup(n, batch, w)
            for n, batch in zip(machines, batches, strict=True)
        ]
        axes.plot(machines, speedups, "o-", color=colors[link], label=link)
    axes.plot(machines, machines, ":", color=plots.GREY)
    axes.set(xlabel="machines", xticks=machines)
    axes.set_title("64 images each" if growing else "64 images in all")
    axes.set_ylim(0, 16 if growing else 4)
panels[0].set_ylabel("speedup")
panels[0].legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# With the batch shared, only Thunderbolt gains, and not much: 1.19 times the speed with two machines and 1.25 times with four.
# With two machines, Ethernet with 10 Gb/s comes out even (1.00), and over the slowest link they reach only a third of the speed of one (0.34).
# With 64 images each, the two faster links gain throughout, and the slowest one only with eight machines (1.59).
# :::
#
# What decides is how much computing there is to share for each byte that has to travel.
# The gradients of a fully connected layer are as large as its weights, and with half of the batch each weight meets only 32 images before its gradient has to travel.
# Convolutions are better off, because they use every weight at many places of an image, and larger batches help everyone.
#
# The table is no reason yet to buy a cable, because it assumes our step of 43.0 ms on two CPU cores, and we did not measure how long a Mac's GPU would take.
# When two machines like ours share a batch, the second one saves $43.0 - 32.6 = 10.4$ ms of computing, and by the formula the two sums cost 95 ms over the slowest link, 11 ms over Ethernet with 10 Gb/s, and 3.6 ms over Thunderbolt.
# On a computer ten times as fast, the saving would shrink to 1 ms, and none of the three links would gain anything.
# So measure your own step first: if it takes only a few milliseconds, a GAN like ours belongs on a single Mac, and the best use for a second one is to train another seed.
#
# The growing batch looks tempting in the figure, but it is a different run, with fewer steps per epoch, and you would have to measure what that does to a GAN.
#
# And what did our two ranks gain on this machine, where there is a core for each?

# %%
for ranks, name in ((1, "one"), (2, "two")):
    seconds = json.loads((RUNS / name / "seconds.json").read_bytes())
    print(f"{ranks} ranks: fastest step {1e3 * min(seconds):.0f} ms")

# %% [markdown]
# They gained nothing: a step on two ranks takes more than twice as long as on one.
# (The 61 ms cannot be compared with the 43.0 ms from above, because the ranks run without `mx.compile`.)
# With the $t_0$ and $w$ that we measured here, the two sums should take only about 17 ms, and we have not found out where the rest of the time goes.
# On two cores the computing competes with the sending and receiving, which would not happen to two machines in the same way.
# But the formula also leaves out other costs, such as waiting for a rank that is late, so read its speedups as what you can hope for at best.
#
# ## On real Macs
#
# None of the commands in this section was run for this book; they follow MLX's documentation ([MLX contributors, 2026a](../book/bibliography.md#mlx-contributors-2026a)).
#
# Both Macs need the same Python and the same folder at the same path, and each has to reach the other by `ssh` without a password.
# `mlx.distributed_config` finds the links and writes a file of hosts, and `mlx.launch` takes it from there:
#
# ```bash
# mlx.distributed_config --backend ring --over thunderbolt \
#     --hosts mac-1,mac-2 --auto-setup --output-hostfile hosts.json
# mlx.launch --hostfile hosts.json --backend ring -- .venv/bin/python \
#     tools/distributed.py train --steps 20000 --out runs/two
# ```
#
# Macs with Thunderbolt 5 and macOS 26.2 can use the backend `jaccl`, which accesses the other machine's memory directly and has a far smaller $t_0$.
# Whatever the link, keep the Macs awake, for example with `caffeinate`, and let them be equally fast, because each step takes as long as the slower one needs.
# A Mac that waits for a slower one may even end with a GPU timeout, on which MLX's tracker has open reports ([MLX contributors, 2026b](../book/bibliography.md#mlx-contributors-2026b)).
#
# ## Summary
#
# Several machines can share a batch, because the gradient of an average over the batch is the average of the gradients over its parts.
# The result is that of one machine up to rounding, which training amplifies sooner or later.
# Batch normalization breaks the rule, because it makes images depend on each other, and the repair takes sums over all ranks whose gradients count the losses of all.
# A run needs saved states and a limit to its waiting, because a rank that falls silent raises no error.
# Whether another machine pays depends on how much computing there is to share for each byte that has to travel: when two machines like ours share a batch of 64, the formula promises less than a fifth more speed even over Thunderbolt, and between computers ten times as fast it promises none.
#
# ## Exercises
#
# ### Exercise 1: Everyone to everyone (derive)
#
# A simpler way to sum would be that each rank sends its whole array to every other rank, which then adds them up by itself.
# How many bytes does each rank send, and in how many rounds if it can send to one rank at a time?
# From how many ranks on does the ring send less, and when could the simple way still be faster?
#
# :::{dropdown} Solution
# Each rank sends $S$ bytes to $n - 1$ others, so $(n-1)\,S$ in $n - 1$ rounds.
# The ring sends $2\,(n-1)/n \cdot S$, which is smaller by a factor of $n/2$: equal for two ranks, and less from three on.
# But it needs twice as many rounds: the simple way takes $(n-1)(t_0 + S/w)$ and the ring $2\,(n-1)(t_0 + S/(nw))$, so the simple way is faster if $S\,(1 - 2/n) < t_0\,w$, that is, for small arrays.
# With 0.3 ms and 5 GB/s, $t_0\,w$ is 1.5 MB, so the small sums of batch normalization would be better off with it.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
for n in (2, 3, 4, 8):
    ring = f"ring {2 * (n - 1) / n:.2f} S in {2 * (n - 1):2d} rounds"
    print(f"{n} ranks: {ring}, simple {n - 1} S in {n - 1} rounds")

# %% [markdown]
# ### Exercise 2: The same noise twice (code)
#
# Suppose that each rank draws the noise for its own 32 images, and that all ranks have the same seed.
# Count how many different rows of noise there are in a batch of 64, and repair it with `mx.random.split`.
# What do you give up?
#
# :::{dropdown} Solution
# With the same key there are only 32 different rows, so half of the work is done twice, and nothing tells you.
# `split` makes a key for each rank from one key, and all 64 rows differ.
# The price is that the run now depends on the number of ranks, so that you can no longer compare two ranks with one.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def different_rows(keys):
    parts = [mx.random.normal((32, 100), key=key) for key in keys]
    return len(np.unique(np.array(mx.concatenate(parts)), axis=0))


key = mx.random.key(0)
print("the same key:", different_rows([key, key]))
print("split keys:", different_rows(mx.random.split(key)))

# %% [markdown]
# ### Exercise 3: A faster and a slower Mac (change and explain)
#
# One of your Macs is three times as fast as the other, so you give it 48 images and the other one 16.
# Change the first experiment of this chapter accordingly, and measure the error of the average.
# Explain it, and correct it.
#
# :::{dropdown} Solution
# The plain average of the two gradients gives both ranks the same weight, so each of the 16 images counts three times as much as each of the 48.
# It is the gradient of another loss, and its largest error is 0.16 of the largest entry.
# The right average weights each rank's gradient by its number of images, $48/64$ and $16/64$.
# For `all_sum` this means that every rank multiplies its gradient by its own number of images, and the sum is divided by 64.
# :::

# %% tags=["hide-cell"]
large, small = gradient(images[:48]), gradient(images[48:])
whole = gradient(images)
size = mx.abs(whole).max().item()
for name, average in {
    "plain": (large + small) / 2,
    "weighted": (48 * large + 16 * small) / 64,
}.items():
    error = mx.abs(average - whole).max().item() / size
    print(f"{name:8s} average: relative error {error:.6f}")

# %% [markdown]
# ## Further reading
#
# - [MLX contributors (2026a)](../book/bibliography.md#mlx-contributors-2026a) describe the backends, `mlx.launch` and the file of hosts. Start there if you have the Macs.
# - [Li et al. (2020)](../book/bibliography.md#li-et-al-2020) explain how PyTorch hides the communication behind the backward pass, with measurements.
# - [Patarasuk and Yuan (2009)](../book/bibliography.md#patarasuk-and-yuan-2009) prove that no method sends fewer bytes than the ring.
# - [Katharopoulos (2025)](../book/bibliography.md#katharopoulos-2025) is the pull request that brought the ring to MLX, with times measured on several Macs.
# - [Goyal et al. (2017)](../book/bibliography.md#goyal-et-al-2017) is the classic on training with large batches on many machines, and [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019) do it with GANs.
