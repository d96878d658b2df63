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
# # Two Macs
#
# After this chapter you can train one GAN on several machines, know that the result is that of one machine, and
# work out beforehand whether it is faster.
#
# ```{admonition} What you will learn
# :class: important
# - share a batch among processes, and average their gradients
# - check that the weights are those of a single process
# - normalize over a batch that no machine holds as a whole, with the right gradient
# - end a job whose machine is gone, and go on from its last state
# - measure what a sum over the network costs, and predict when another machine pays
#
# **Before**: [The training loop](06_training.ipynb) and [Convolutions](09_convolutions.ipynb).
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import checkpoints, models, plots

import itertools
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one thread for each process below
runs = Path(tempfile.mkdtemp())

# %% [markdown]
# ## A group of processes
#
# In *data parallelism* every machine holds both networks and sees a part of each batch. After the backward pass the
# machines average their gradients, so all take the same step. The processes are called *ranks*, numbered from 0, and form a
# *group*. MLX has all of this in `mx.distributed` ([MLX contributors, 2026a](../book/bibliography.md#mlx-contributors-2026a)).
#
# A notebook is a single process, so its group has one rank. A sum over all ranks is the array itself.

# %% tags=["nbval-check-output"]
group = mx.distributed.init()
print(f"rank {group.rank()} of {group.size()}")
print(mx.distributed.all_sum(mx.array([1.0, 2.0])))

# %% [markdown]
# That is convenient: the code below runs alone, too, and needs no `if`. To start more ranks there is `mlx.launch`. With
# `-n 2` it starts a program twice on this machine, and tells each copy its rank. The ranks talk over sockets, each
# with its two neighbours in a ring. What takes two Macs and a cable to be fast takes one machine to be right, so
# that is how we test it.


# %%
ports = itertools.count(20_000 + os.getpid() % 20_000, 10)


def launch(ranks, *arguments):
    """Run python ARGUMENTS on so many ranks; the lines that they print."""
    command = [sys.executable, *arguments]
    if ranks > 1:
        launcher = Path(sysconfig.get_path("scripts"), "mlx.launch")
        port = ["--starting-port", next(ports)]
        command = [launcher, "-n", ranks, *port, "--", *command]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    command = [str(word) for word in command]
    with subprocess.Popen(command, stderr=subprocess.STDOUT, **pipes) as process:
        return process.stdout.read().splitlines()


# %% tags=["nbval-check-output"]
hello = runs / "hello.py"
hello.write_text(
    """
import mlx.core as mx
group = mx.distributed.init()
total = mx.distributed.all_sum(mx.array(group.rank() + 1.0))
print(f"rank {group.rank()} of {group.size()}: the sum is {total.item()}")
"""
)
print(*sorted(line for line in launch(2, hello) if "rank" in line), sep="\n")

# %% [markdown]
# ## The same step on all ranks
#
# Each rank takes its rows of a batch, and so it does with the noise. All ranks draw the noise of the whole batch from the
# same key, and keep their part. A hundred numbers an image cost nothing, and the run does not depend on how many ranks
# there are.


# %%
def part(x):
    group = mx.distributed.init()
    if len(x) % group.size():
        raise ValueError(
            f"the batch has {len(x)} rows, but must have a multiple of {group.size()}, the number of ranks"
        )
    rows = len(x) // group.size()
    return x[group.rank() * rows : (group.rank() + 1) * rows]


# %% [markdown]
# The step is that of [The training loop](06_training.ipynb), with a function that changes the gradients before they are applied:
# `on_gradients=nn.average_gradients`. It joins the gradients of all layers to
# one long array, sums it over the ranks, divides, and takes it apart again. The noise is drawn inside of the step, one row an
# image. So a small module around the generator asks for longer rows, enough for all ranks, and keeps this rank's part:


# %%
class Share(nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.generator = generator
        self.latent_dim = mx.distributed.init().size() * generator.latent_dim

    def __call__(self, z):
        return self.generator(part(z.reshape(-1, self.generator.latent_dim)))


# %% [markdown]
# The rest of the program is `tools/distributed.py`: the loop, and a command line; its parts are in `tools/ranks.py`. Rank 0
# keeps the state of the run in a folder. Every rank starts with rank 0's weights, which the others receive as a sum in which only rank 0 has a
# contribution.


# %%
SCRIPT = Path("../tools/distributed.py").resolve()


def train_on(ranks, name, *options, steps=3):
    """The folder with the state that a run leaves behind."""
    script = [SCRIPT, "train", "--out", runs / name]
    lines = launch(ranks, *script, "--steps", steps, *options)
    assert (runs / name / "seconds.json").exists(), lines
    return runs / name


def arrays(folder):
    return checkpoints.load_run(folder)[1]


# %% [markdown]
# **Predict**: one rank trains the MLP GAN for 3 steps with batches of 64, and two ranks with 32 each. By how much does the
# weight that differs most differ?

# %%
one, two = arrays(train_on(1, "one")), arrays(train_on(2, "two"))
names = [name for name in one if name.startswith("weights")]
largest = max(mx.abs(one[name] - two[name]).max().item() for name in names)
print(f"{len(names)} arrays, largest difference {largest:.1e}")
assert largest < 1e-5

# %% [markdown]
# Only rounding is left, because sums are taken in another order. Training amplifies it, as it amplifies any rounding: after 20
# steps the two may differ by some thousandths, as two kinds of processor do. So this is no new algorithm with settings of its
# own. Everything known about a batch of 64 holds.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# `DistributedDataParallel` ([Li et al., 2020](../book/bibliography.md#li-et-al-2020)) wraps a model, sends rank 0's weights to all, and hooks into the backward pass, so
# that the first gradients travel while the last are computed. `nn.average_gradients` is a plain function of the gradients,
# called once they are there. `torchrun` is `mlx.launch`, `DistributedSampler` is `part`, and a GAN needs no
# `no_sync()`: a gradient that is not asked for is not sent. Both are synchronous, and in both every rank must call the same
# sums in the same order.
# ```
#
# ## Batch normalisation over all ranks
#
# The DCGAN normalizes over the batch. With half of the batch on each rank, whose mean is it? `nn.BatchNorm` knows of no other
# rank and takes its own half's. That is another function, with other gradients, and each rank's running statistics go their
# own way. Large GANs therefore take the statistics over all devices ([Brock et al., 2019](../book/bibliography.md#brock-et-al-2019)).
#
# Two sums do it: of the values, then of their squared distances from the common mean. One thing is easy to miss. Each rank's
# loss depends on the other's images now, through the mean.
#
# **Predict**: rank 0's loss is $s$ and rank 1's is $2s$, with $s$ the sum of both ranks' $x$. What is the gradient of the sum of
# both losses by $x$, and what does MLX's `all_sum` say on each rank?

# %% tags=["nbval-check-output"]
gradients = runs / "gradients.py"
gradients.write_text(
    """
import sys
sys.path.insert(0, sys.argv[1])
import ranks, mlx.core as mx
weight = mx.distributed.init().rank() + 1.0
for name, total in (("all_sum", mx.distributed.all_sum), ("ours", ranks.sum_over_ranks)):
    slope = mx.grad(lambda x: weight * total(x))(mx.array(1.0))
    print(f"{name}, loss {weight:.0f} s: gradient {slope.item():.0f}")
"""
)
print(
    *sorted(line for line in launch(2, gradients, SCRIPT.parent) if "loss" in line),
    sep="\n",
)

# %% [markdown]
# It is 3 on both. The gradient of `all_sum` leaves each rank with its own loss. For gradients that are averaged
# afterwards, that is the whole story; for a mean inside the network, it is half of it. So we write the gradient
# ourselves: the sum of the cotangents of all ranks.


# %%
@mx.custom_function
def sum_over_ranks(x):
    return mx.distributed.all_sum(x)


@sum_over_ranks.vjp
def gradient_over_ranks(x, cotangent, output):
    return mx.distributed.all_sum(cotangent)


# %%
class SyncBatchNorm(nn.BatchNorm):
    def __call__(self, x):
        if not self.training:
            return super().__call__(x)
        axes = tuple(range(x.ndim - 1))
        count = mx.distributed.init().size() * x.size // x.shape[-1]
        mean = sum_over_ranks(x.sum(axes)) / count
        variance = sum_over_ranks(mx.square(x - mean).sum(axes)) / count
        keep, unbiased = 1 - self.momentum, variance * (count / (count - 1))
        self.running_mean = keep * self.running_mean + self.momentum * mean
        self.running_var = keep * self.running_var + self.momentum * unbiased
        return self.weight * (x - mean) * mx.rsqrt(variance + self.eps) + self.bias


# %% [markdown]
# `ranks.synchronize(model)` puts it in the place of every `nn.BatchNorm`. To compare gradients we take a single step:
# Adam's first moments are then half the gradients. A bias in front of a normalisation has the gradient 0, so those arrays hold
# rounding errors, and are left out.
#
# **Predict**: how far off are the gradients if each rank normalizes its own half?


# %%
def error(run, whole):
    """Largest error of a gradient, relative to the largest entry of its array."""
    names = [name for name in whole if name.endswith(".m")]
    scales = {name: mx.abs(whole[name]).max().item() for name in names}
    return max(
        mx.abs(run[name] - whole[name]).max().item() / scale
        for name, scale in scales.items()
        if scale > 1e-5
    )


# %%
options = ["--model", "dcgan", "--batch-size", 16]
whole = arrays(train_on(1, "whole", *options, steps=1))
over_all = arrays(train_on(2, "sync", *options, steps=1))
alone = arrays(train_on(2, "local", *options, "--local-norm", steps=1))
print(f"over all ranks: error {error(over_all, whole):.4f}")
print(f"each its own:   error {error(alone, whole):.2f}")
assert error(over_all, whole) < 0.01 < 0.5 < error(alone, whole)

# %% [markdown]
# Left to themselves, the ranks compute gradients whose errors are as large as the gradients. It trains nonetheless: it is
# training with two batches of 8. With 32 images or more on each rank the difference fades. It has a price, too: six
# normalisations send two small sums forward and two backward for each pass, and each waits for the slowest rank.
#
# ## When a machine is gone
#
# A run on two machines ends when either fails. What should happen: the other says so and stops, within seconds, and the same
# command goes on from the last state. The script does three things for that.
#
# - Rank 0 writes weights, moments and the number of the step, every `--every` steps, to a file that appears only when it is whole.
#   Images and noise follow from the number of the step.
# - Where a connection is closed, MLX raises a `RuntimeError`. The loop turns it into a message and status 1.
# - Where a machine falls silent, since it sleeps or a cable is out, nothing is raised: the sum waits for ever. A thread
#   counts the seconds since the last step, and ends the process after `--patience` of them.
#
# The next cell does without the launcher, and starts two ranks as it does: a file with an address for each, and two environment
# variables. Then it kills one.

# %%
hosts, folder = runs / "hosts.json", runs / "lost"
addresses = [[f"127.0.0.1:{next(ports)}"] for _ in range(2)]
hosts.write_text(json.dumps(addresses))
command = [sys.executable, SCRIPT, "train", "--out", folder]
command = [str(word) for word in [*command, "--steps", 100_000, "--every", 5]]
ranks = []
for rank in range(2):
    environment = os.environ | {"MLX_HOSTFILE": str(hosts), "MLX_RANK": str(rank)}
    pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    ranks.append(subprocess.Popen(command, env=environment, **pipes))

# %%
while not checkpoints.runs(folder):
    assert ranks[0].poll() is None
    time.sleep(0.1)
ranks[1].kill()
start = time.perf_counter()
message = ranks[0].communicate()[1].strip().splitlines()[-1]
print(f"status {ranks[0].returncode}, {time.perf_counter() - start:.1f} s later:")
print(message.replace(str(folder), "FOLDER"))
_ = ranks[1].communicate()

# %%
saved = arrays(folder)["step"].item()
resumed = arrays(train_on(2, "lost", steps=saved + 3))
straight = arrays(train_on(2, "straight", steps=saved + 3))
largest = max(mx.abs(resumed[name] - straight[name]).max().item() for name in names)
print(f"goes on from step {saved}; three steps later off by {largest:g}")
assert ranks[0].returncode == 1 and "lost another rank" in message
assert largest == 0

# %% [markdown]
# The run that was killed and went on is, bit for bit, the run that never stopped. Under `mlx.launch` the end comes in
# the same way; it also stops the other ranks itself. It ends with status 0 even then, so a script that calls it has to look
# for the result.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: nothing happens, all ranks wait. *Cause*: one rank evaluates a sum that another does not, such as under
# `if rank == 0`, or two sums in another order. Trees of arrays are a trap: a file gives its arrays in its own order.
# *Cure*: the same sums on all ranks, and where in doubt `mx.eval` after each.
#
# *Symptom*: NaN after a state was loaded on rank 0. *Cause*: the same, with arrays of other shapes. *Cure*: the same.
#
# *Symptom*: a rank on a Mac ends with a GPU timeout while it waits for a slow one. *Cause*: the sum's result is awaited in the
# middle of GPU work, and Metal ends work that takes more than about five seconds. *Cure*: keep the ranks level; the tracker has
# this, and stalls of three ranks or more, as open reports ([MLX contributors, 2026b](../book/bibliography.md#mlx-contributors-2026b)).
#
# *Symptom*: one core is busy though `mlx.launch` only waits. *Cause*: its input is empty, such as `/dev/null`, and it reads it
# again and again. *Cure*: give it a terminal or a pipe that stays open, as `launch` above does.
# ```
#
# ## What a sum costs
#
# A ring sums an array of $S$ bytes over $n$ ranks in $2(n - 1)$ rounds. In each, every rank sends a part of $S/n$ bytes to its
# neighbour: in the first half the parts are added up on their way, in the second the totals go round. So each rank sends
# $2 \frac{n - 1}{n} S$ bytes, less than twice the array for any $n$, and no scheme sends less ([Patarasuk and Yuan, 2009](../book/bibliography.md#patarasuk-and-yuan-2009)). With a
# latency $t_0$ for a round and a bandwidth $w$,
#
# $$t(S, n) = 2 (n - 1) \, t_0 + 2 \frac{n - 1}{n} \frac{S}{w}.$$
#
# A step of the MLP GAN sums two arrays, the gradients of the two networks.

# %% tags=["nbval-check-output"]
sizes = {}
for network in (models.MLPDiscriminator(), models.MLPGenerator()):
    arrays_of_it = tree_flatten(network.trainable_parameters())
    sizes[type(network).__name__] = sum(array.nbytes for _, array in arrays_of_it)
    print(f"{type(network).__name__:16} {sizes[type(network).__name__]:>9,} bytes")
step_bytes = sum(sizes.values())
for n in (2, 4, 8):
    print(f"{n} ranks: each sends {2 * (n - 1) / n * step_bytes:>10,.0f} bytes a step")


# %%
def measure(ranks, sizes, repeats):
    """Seconds of each sum over the ranks: a row a size."""
    script = [SCRIPT, "measure", "--out", runs / "sums"]
    launch(ranks, *script, "--repeats", repeats, "--bytes", *sizes)
    return json.loads((runs / "sums" / "seconds.json").read_text())


swept = [4, 10**4, 10**5, 10**6, 10**7]
seconds = measure(2, swept, 5 if mlxgan.SMOKE else 300)
for size, row in zip(swept, seconds, strict=True):
    milliseconds = 1e3 * min(row), 1e3 * statistics.median(row)
    print(
        "{:>10,} bytes: fastest {:7.2f} ms, median {:7.2f} ms".format(
            size, *milliseconds
        )
    )

# %% [markdown]
# Both ranks are on this machine, so the network is its memory, and it has two cores. A rank that waits does not sleep: a
# thread of it asks the socket again and again. Ranks that compute and ranks that wait have more busy threads than there are cores,
# and the system lets them take turns, for milliseconds each. That is what the medians show, and it tells nothing of a network. The *fastest* of many sums is
# the one that nobody interrupted. It is what we fit: the latency from the smallest array, the bandwidth from the largest.

# %%
fastest = [min(row) for row in seconds]
hop = fastest[0] / 2  # two rounds with two ranks
bandwidth = swept[-1] / max(fastest[-1] - fastest[0], 1e-9)


def sum_seconds(size, n, hop, bandwidth):
    return 2 * (n - 1) * hop + 2 * (n - 1) / n * size / bandwidth


apart = fastest[-1] > 3 * fastest[0]
assert mlxgan.SMOKE or apart, "other programs compute: run this chapter alone"
print(f"a round {1e6 * hop:.0f} microseconds, bandwidth {bandwidth / 1e9:.1f} GB/s")
for size, measured in zip(swept, fastest, strict=True):
    ratio = measured / sum_seconds(size, 2, hop, bandwidth)
    print(f"{size:>10,} bytes: measured / model {ratio:.2f}")

# %% mystnb={"figure": {"caption": "Time of a sum over two ranks on one machine. The fastest of many follow latency plus size over bandwidth; the medians show how two cores are shared.", "name": "fig-18-sum"}, "image": {"alt": "Milliseconds against bytes, both axes logarithmic. A dashed line for the model is flat for small arrays and rises for large ones; points of the fastest sums lie near it, and crosses of the medians lie on it or above."}}
_, axes = plt.subplots()
grid = np.geomspace(4, 10**7)
model = [1e3 * sum_seconds(size, 2, hop, bandwidth) for size in grid]
axes.loglog(grid, model, "--", color=plots.GREY, label="model")
axes.loglog(swept, [1e3 * each for each in fastest], "o", label="fastest")
medians = [1e3 * statistics.median(row) for row in seconds]
axes.loglog(swept, medians, "x", color=plots.FAKE, label="median")
axes.set(xlabel="bytes", ylabel="milliseconds")
axes.legend()
plt.show()

# %% [markdown]
# Latency and bandwidth fix the two ends. In between the model is off by up to 36 %, and a step's two sums lie near the upper end.
#
# ## What a step costs
#
# The other part is computing. One rank alone, with the batches that 1, 2 and 4 ranks would have:


# %%
def step_seconds(ranks, batch_size):
    options = ["--batch-size", batch_size]
    count = 6 if mlxgan.SMOKE else 30
    folder = train_on(ranks, f"time-{ranks}-{batch_size}", *options, steps=count)
    return min(json.loads((folder / "seconds.json").read_text())[3:])


batches = (64, 32) if mlxgan.SMOKE else (64, 32, 16)
alone = {batch: step_seconds(1, batch) for batch in batches}
per_image, fixed = np.polyfit(list(alone), list(alone.values()), 1)
for batch, value in alone.items():
    fitted = fixed + per_image * batch
    print(f"batch of {batch:2d}: {1e3 * value:5.1f} ms, fitted {1e3 * fitted:5.1f} ms")
print(f"the same for any batch: {fixed / alone[64]:.0%} of the step with 64")

# %% [markdown]
# A part of the step does not shrink with the batch. Adam updates every weight on every rank, whatever its share of the images.
# So with $B$ images in all and the gradients' two sums,
#
# $$T(n) = a + b \frac{B}{n} + 4 (n - 1) \, t_0 + 2 \frac{n - 1}{n} \frac{S}{w}.$$
#
# *Strong scaling* keeps $B$, so that the run stays the same. *Weak scaling* gives each rank 64 images, so that a step sees
# more of them.
#
# **Predict**: which of the two does a second rank on this machine speed up?


# %%
def model_seconds(n, batch, hop, bandwidth, scale=1.0, speed=1.0):
    """A step on n ranks; scale times the weights, on machines of this speed."""
    computing = scale * (fixed + per_image * batch / n) / speed
    return computing + 2 * (n - 1) * (2 * hop + scale * step_bytes / n / bandwidth)


cases = list(itertools.product((2, 4), ("strong", "weak")))
for n, kind in cases[:1] if mlxgan.SMOKE else cases:
    batch = 64 if kind == "strong" else 64 * n
    measured = step_seconds(n, batch)
    predicted = model_seconds(n, batch, hop, bandwidth)
    overhead = measured - fixed - per_image * batch / n
    gain = batch / measured * alone[64] / 64
    print(
        f"{n} ranks, {kind:6}: {1e3 * measured:6.1f} ms, model {1e3 * predicted:6.1f} ms,"
        f" overhead {1e3 * overhead:6.1f} ms, images a second {gain:.2f} times one rank's"
    )

# %% [markdown]
# The model is a lower bound here, and a loose one where processes outnumber cores. It counts on a core for each rank and
# another for its sockets. With two ranks both cores compute and none is left to send; with four, each core has two ranks. So two
# cores can show that the result is right, how many bytes travel, and what a sum costs at best. They cannot show a speed-up
# over a network. For that the model has to do, with the figures of other links.
#
# ## When does another Mac pay?
#
# A Mac mini has Ethernet of 1 Gb/s, or of 10 Gb/s as an option ([Apple Inc., 2024](../book/bibliography.md#apple-inc-2024)). For Thunderbolt the authors of MLX's ring report
# 0.27 seconds for a sum of 2 GB over four M2 Ultras ([Katharopoulos, 2025](../book/bibliography.md#katharopoulos-2025)). Round trips over a Thunderbolt bridge between Macs
# were measured at 0.38 to 0.95 ms ([exo, 2026](../book/bibliography.md#exo-2026)). We take 0.3 ms for a round, on all three.

# %%
thunderbolt = 2 * 3 / 4 * 2e9 / 0.27
links = {
    "Ethernet, 1 Gb/s": 1e9 / 8,
    "Ethernet, 10 Gb/s": 10e9 / 8,
    "Thunderbolt": thunderbolt,
}
candidates = range(1, 65)


def best(link, **options):
    times = {n: model_seconds(n, 64, 3e-4, links[link], **options) for n in candidates}
    n = min(times, key=times.get)
    return n, times[1] / times[n]


print(f"Thunderbolt: {thunderbolt / 1e9:.0f} GB/s")

# %% [markdown]
# **Predict**: a network with a hundred times the weights computes a hundred times as long, and sends a hundred times the
# bytes. Do more machines pay for it? And what if each machine is ten times as fast as this one?

# %%
cases = {
    "this network": {},
    "100 times the weights": dict(scale=100),
    "this network, 10 times as fast": dict(speed=10),
    "100 times, 10 times as fast": dict(scale=100, speed=10),
}
for case, options in cases.items():
    for link in links:
        n, gain = best(link, **options)
        print(f"{case:31} {link:18} best {n:2d} machines, {gain:4.2f} times as fast")

# %% mystnb={"figure": {"caption": "Speed-up by the model for this chapter's network and three links, with machines as fast as this one, for a batch of 64 in all and for 64 images on each machine.", "name": "fig-18-scaling"}, "image": {"alt": "Two panels of speed-up against the number of machines, one curve a link. With a fixed batch the curves bend over or fall, the slowest link first; with a batch that grows they rise further, in the order of the links' bandwidths, below a dotted diagonal."}}
_, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharex=True)
numbers = np.arange(1, 17)
for axes, strong in zip(panels, (True, False), strict=True):
    for link, speed in links.items():
        batch = np.full(16, 64) if strong else 64 * numbers
        times = model_seconds(numbers, batch, 3e-4, speed)
        axes.plot(numbers, batch / 64 * alone[64] / times, label=link)
    axes.plot(numbers, numbers, ":", color=plots.GREY)
    axes.set(xlabel="machines", title="fixed batch" if strong else "growing batch")
    axes.set_ylim(0, 8 if strong else 17)
panels[0].set_ylabel("images per second, relative")
panels[0].legend()
plt.show()

# %% [markdown]
# With a fixed batch the part $a$ sets a limit that no link lifts: {numref}`fig-18-scaling`. In a larger network computing and
# bytes grow alike, so a link that is too slow stays too slow. Only the latency fades, which helps on the fastest link. What counts is computing *per byte*: a slower machine, more
# images on each, or layers such as convolutions that use each weight many times. A faster machine makes the network the
# bottleneck. A GAN of this size, with its batch of 64, belongs on one Mac. Two Macs are for two seeds.
#
# A growing batch scales better, but is another run, with fewer steps an epoch. [Goyal et al. (2017)](../book/bibliography.md#goyal-et-al-2017) scale the learning rate with it
# for classifiers; for a GAN, measure.
#
# ## On real Macs
#
# Both Macs need the same Python and the same folder at the same path, and each has to reach the other by `ssh` without a
# password. `mlx.distributed_config` finds the links and writes the file of hosts ([MLX contributors, 2026a](../book/bibliography.md#mlx-contributors-2026a)):
#
# ```bash
# mlx.distributed_config --backend ring --over thunderbolt \
#     --hosts mac-1,mac-2 --auto-setup --output hosts.json
# ```
#
# `--over ethernet` takes the addresses of the first network port, and needs no set-up. Written by hand, the file says for each rank
# whom to call by `ssh`, and at which addresses its ring listens, one for each cable:
#
# ```json
# [
#     {"ssh": "mac-1", "ips": ["192.168.0.1"]},
#     {"ssh": "mac-2", "ips": ["192.168.0.2"]}
# ]
# ```
#
# ```bash
# mlx.launch --hostfile hosts.json --backend ring -- .venv/bin/python \
#     tools/distributed.py train --steps 20000 --out runs/two
# ```
#
# Macs with Thunderbolt 5 and macOS 26.2 can do without TCP: the backend `jaccl` uses remote direct memory access, with an order
# of magnitude less latency by MLX's documentation. None of these commands was run for this book, which was made on one machine.
#
# ```{admonition} On other machines
# :class: note
# The ring needs no GPU and no Mac, and its sums are taken on the CPU. Keep the machines alike: each step takes as long as
# the slowest rank. And keep them awake, such as with `caffeinate`.
# ```
#
# ## Summary
#
# - Each rank takes its part of the batch and of the noise; the average of the gradients is that of the whole batch.
# - The weights of two ranks and of one agree to rounding. Test that before you time anything.
# - Batch normalisation needs sums over all ranks, with a gradient that counts all losses.
# - A lost rank raises, a silent one does not: save the state, and count the seconds.
# - A sum costs $2(n-1)$ rounds and less than twice its bytes. Another machine pays where there is much computing per byte.
#
# ## Exercises
#
# ```{exercise} The same noise twice
# :label: ex-18-noise
# Suppose each rank draws noise for its own 32 images, and all ranks have the same seed. How many different fakes are in a batch of
# 64? Mend it with `mx.random.split`.
# ```
#
# ```{solution-start} ex-18-noise
# :class: dropdown
# ```


# %% tags=["nbval-check-output"]
def different(keys):
    noise = mx.concatenate([mx.random.normal((32, 100), key=key) for key in keys])
    return len(np.unique(np.array(noise), axis=0))


print("same key:  ", different([mx.random.key(0), mx.random.key(0)]))
print("split keys:", different(mx.random.split(mx.random.key(0))))

# %% [markdown]
# Half of the work would be done twice, and nothing would say so. With `split`, rank $r$ takes the key $r$, at the price that
# the run depends on the number of ranks.
#
# ```{solution-end}
# ```
#
# ```{exercise} What waiting costs
# :label: ex-18-waiting
# Let rank 1 sleep for a second before a sum. How much time of a CPU does rank 0 use in that second?
# ```
#
# ```{solution-start} ex-18-waiting
# :class: dropdown
# ```

# %%
waiting = runs / "waiting.py"
waiting.write_text(
    """
import time
import mlx.core as mx
rank = mx.distributed.init().rank()
mx.eval(mx.distributed.all_sum(mx.zeros(1)))
if rank == 1:
    time.sleep(1)
wall, used = time.perf_counter(), time.process_time()
mx.eval(mx.distributed.all_sum(mx.zeros(1)))
wall, used = time.perf_counter() - wall, time.process_time() - used
if rank == 0:
    print(f"waited {wall:.1f} s, used {used:.1f} s of a CPU")
"""
)
print(*[line for line in launch(2, waiting) if "waited" in line])

# %% [markdown]
# Waiting is work here, and on a machine with few cores it takes them from the rank that is waited for.
#
# ```{solution-end}
# ```
#
# ```{exercise} Half the bytes
# :label: ex-18-half
# Gradients in bfloat16 have half the bytes. By the model, what does that gain for two machines with 64 images each, on each of
# the links? And for machines ten times as fast?
# ```
#
# ```{solution-start} ex-18-half
# :class: dropdown
# ```

# %%
for speed, (link, rate) in itertools.product((1, 10), links.items()):
    full = model_seconds(2, 128, 3e-4, rate, speed=speed)
    half = model_seconds(2, 128, 3e-4, 2 * rate, speed=speed)
    print(f"{speed:2d} times as fast, {link:18} gain {full / half:.2f}")

# %% [markdown]
# Half the bytes are twice the bandwidth. It pays where the link is slow and the machines are fast. What the rounding does to a
# GAN is another question, for [Measuring](08_measuring.ipynb).
#
# ```{solution-end}
# ```
#
# ```{exercise} Large enough
# :label: ex-18-batch
# How many images does each of four machines need, so that they do four fifths of the work that four times the speed would be?
# ```
#
# ```{solution-start} ex-18-batch
# :class: dropdown
# ```

# %%
for link, rate in links.items():
    batch = 1
    while True:
        ideal = fixed + per_image * batch
        if ideal / model_seconds(4, 4 * batch, 3e-4, rate) >= 0.8:
            break
        batch += 1
    print(f"{link:18} {batch} images on each machine")

# %% [markdown]
# The sums take the same time for any batch, so a larger batch hides them. It is computing per byte again.
#
# ```{solution-end}
# ```
#
# ## Further reading
#
# MLX's documentation describes the backends, `mlx.launch` and the file of hosts ([MLX contributors, 2026a](../book/bibliography.md#mlx-contributors-2026a)). [Li et al. (2020)](../book/bibliography.md#li-et-al-2020) tell how
# PyTorch hides communication behind the backward pass, [Goyal et al. (2017)](../book/bibliography.md#goyal-et-al-2017) how to train with large batches, and
# [Patarasuk and Yuan (2009)](../book/bibliography.md#patarasuk-and-yuan-2009) why a ring sends no byte too many. [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019) train GANs on many devices at once.
