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
# # MLX in a quarter of an hour
#
# ![Two small graphs. On the left, before mx.eval(d), the boxes a = 3 and b = 4 hold numbers, and arrows lead from them to the dotted boxes c = a + b and d = c², which are only promised. On the right, after mx.eval(d), c is 7, d is 49, and the arrows have faded.](../book/diagrams/lazy-graph.svg)
#
# *MLX plans first and computes later. Before `mx.eval(d)` it knows how `c` and `d` are to be computed, and afterwards it knows their values.*
#
# The fifty lines of [A GAN in one page](01_first_gan.ipynb) used arrays, gradients and a compiled training step without explaining any of them.
# They need an explanation, because MLX looks so much like NumPy and PyTorch that its few differences are easy to miss, and most of them raise no error when we get them wrong.
# After this chapter you can say what each of those lines computes, when it computes it and what it remembers, and you can write a training step of your own.
#
# *Before: [A GAN in one page](01_first_gan.ipynb) and some NumPy · To read: a quarter of an hour · To run: about ten seconds on two CPU cores*

# %%
# mlxgan comes before mlx.core: on Linux it makes MLX fast
from mlxgan import plots

import time
from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_map

np.set_printoptions(precision=2, suppress=True, floatmode="fixed")

# %% [markdown]
# MLX's arrays live in `mlx.core`, the layers of networks in `mlx.nn`, and what updates them in `mlx.optimizers`.
#
# ## Arrays
#
# If you know NumPy, you already know most of MLX's arrays, so let us look only at what is different.
# The first difference is the type of a number.
# NumPy computes in float64 by default, but graphics processors are built for float32, and Apple's have no float64 at all.
# MLX therefore prefers float32 and converts a float64 array from NumPy on its way in.
#
# The second difference is which arrays share memory.
#
# **The next cell changes a slice of `a`, a NumPy copy of `a` and a NumPy view of `a`. Which of the three changes reaches `a` itself?**

# %% tags=["nbval-check-output"]
a = mx.array([1.0, 2.0, 4.0])
print(a.dtype, mx.array(np.linspace(0, 1, 3)).dtype)

part = a[:2]
part[0] = 10
copy = np.array(a)
copy[1] = 20
view = np.asarray(a)
view[2] = 40
print(a)

# %% [markdown]
# :::{dropdown} Answer
# Only the last one.
# A slice is a new array in MLX, unlike in NumPy and PyTorch, and `np.array` makes a copy.
# But `np.asarray` hands out the memory of `a` itself and lets you write to it behind MLX's back, which is why this book always converts with `np.array`.
# :::
#
# The third difference is where an array lives.
# Most graphics processors have a memory of their own, so PyTorch programs are full of `.to(device)`.
# On a Mac with Apple silicon, however, CPU and GPU share one memory, and MLX is built around that fact: a device belongs to an *operation* and not to an array.
# An operation runs on the default device unless we name another one as its `stream`.

# %%
ones = mx.ones((1000, 1000))
mx.eval(ones)
before = mx.get_active_memory()
mean = mx.mean(ones, stream=mx.cpu).item()
copied = (mx.get_active_memory() - before) / 1e6
print("default device:", mx.default_device())
print(f"mean, computed on the CPU: {mean:.1f} ({copied:.1f} MB copied)")

# %% [markdown]
# The outputs in this book come from a Linux machine without a GPU, where there is nothing to copy.
# On a Mac the first line names the GPU, and the CPU still finds the array where it is.
# MLX also has a CUDA backend for NVIDIA's GPUs (`pip install "mlx[cuda12]"`).
#
# Two more differences concern indices.
# You can write through a Boolean mask, as in `a[a > 1] = 0`, but not read through it; use `mx.where` instead.
# And indices beyond the end are not checked: `mx.arange(3)[7]` returns whatever lies there.
#
# :::{admonition} Coming from PyTorch
# Arrays have no `requires_grad`, no `.grad` and no `.device`.
# The page [Coming from PyTorch](../book/pytorch.md) has the full list.
# :::
#
# ## Nothing is computed until someone asks
#
# Imagine a cook who writes down every order, but lights the stove only when somebody comes to collect a plate.
# MLX works like that.
# Suppose that `a` holds 3 and `b` holds 4, as in the picture above, and that we write `c = a + b` and `d = c**2`.
# At this point nothing has been added or squared.
# MLX has checked the shapes, made two arrays without values, and noted for each of them which operation on which arrays will yield it; these notes form a *graph*.
# Only when we call `mx.eval(d)` does it do the work, and then it throws the notes away.
# This is called *lazy evaluation*, and its reward is that MLX sees a whole computation before it begins, so that it can skip what nobody collects and simplify the rest.
#
# **The next cell builds a chain of twenty matrix products and then evaluates it. Which takes longer, and how many times longer?**

# %%
x = mx.random.normal((512, 512))
weight = mx.random.normal((512, 512)) / 512**0.5
mx.eval(x, weight)

start = time.perf_counter()
y = x
for _ in range(20):
    y = mx.tanh(y @ weight)
built = time.perf_counter()
mx.eval(y)
done = time.perf_counter()
print(f"building the graph:   {1000 * (built - start):7.2f} ms")
print(f"evaluating the graph: {1000 * (done - built):7.2f} ms")

# %% [markdown]
# :::{dropdown} Answer
# Evaluating takes about a thousand times as long, so that a stopwatch around a line of MLX measures almost nothing unless there is an `mx.eval` inside.
# Errors come at two moments as well: a wrong shape is reported at its own line, while the graph is built, but a wrong *value* such as NaN shows up only after the evaluation, perhaps far from its cause.
# :::
#
# Calling `mx.eval` is not the only way to ask.
# The next cell doubles a million numbers lazily, uses the result in six ways, and prints by how much the memory in use has grown each time.
# If the million results have been computed, that is 4 MB.

# %% tags=["nbval-check-output"]
uses = {
    "y.shape": lambda y: y.shape,
    "y + 1": lambda y: y + 1,
    "print(y)": str,  # print calls str
    "y[0, 0].item()": lambda y: y[0, 0].item(),
    "np.array(y)": np.array,
    "if y.max() > 0": lambda y: bool(y.max() > 0),
}
for name, use in uses.items():
    y = 2 * ones
    before = mx.get_active_memory()
    use(y)
    grown = (mx.get_active_memory() - before) / 1e6
    print(f"{name:15} {grown:.0f} MB")

# %% [markdown]
# Whatever needs a value outside MLX computes it, and so does saving to a file.
# Notice that `y[0, 0].item()` reads one number and computes a million, because one operation yields them all.
#
# Laziness also has a price: until an array is evaluated, everything that it will be computed from must stay in memory.
#
# **The next cell adds up the losses of 100 batches of 0.2 MB each, once as lazy arrays and once as plain numbers. How much memory does each sum hold in the end?**


# %%
def memory_held(as_numbers):
    total, before = 0, mx.get_active_memory()
    for _ in range(100):
        batch = mx.random.normal((64, 784))
        mx.eval(batch)
        loss = mx.square(batch).mean()
        total += loss.item() if as_numbers else loss
    return (mx.get_active_memory() - before) / 1e6


lazy, plain = memory_held(as_numbers=False), memory_held(as_numbers=True)
print(f"sum of lazy losses: {lazy:4.1f} MB")
print(f"sum of numbers:     {plain:4.1f} MB")

# %% [markdown]
# :::{dropdown} Answer
# Nobody has asked for the lazy sum yet, so it holds on to all 100 batches, 20 MB.
# With plain numbers, only the last batch is still there.
# :::
#
# For this reason every training loop in this book calls `mx.eval` once per step, on the losses and on everything that the step has changed.
#
# ## Gradients belong to functions
#
# To train a network we need gradients, the derivatives of its loss with respect to its weights.
# PyTorch stores them with the weights, in `.grad`, but MLX follows the way we write on paper, where a derivative belongs to a function.
# `mx.grad(f)` returns a new function, which computes the gradient of `f` with respect to its first argument and can be differentiated once more.
# `mx.value_and_grad(f)` gives us the value along with the gradient.


# %% tags=["nbval-check-output"]
def cube(x):
    return x**3


value, slope = mx.value_and_grad(cube)(mx.array(2.0))
print("at 2, the value", value.item(), "and the slope", slope.item())
print("second derivative:", mx.grad(mx.grad(cube))(mx.array(2.0)).item())
print("slopes at 0 to 3:", mx.vmap(mx.grad(cube))(mx.arange(4.0)).tolist())

# %% [markdown]
# The derivative of $x^3$ is $3x^2$ and the second derivative is $6x$, so both are 12 at $x = 2$.
# Since `mx.grad` wants a function that returns a single number, such as a loss, the last line adds `mx.vmap`, which applies a function to each element of its argument without a loop.
# With both together we can draw the slope of any function, for example of tanh, in which the generators of this book end.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The function tanh squeezes all numbers into the range from -1 to 1. Outside [-3, 3] its slope nearly vanishes, so a generator learns slowly there.", "name": "fig-02-tanh"}, "image": {"alt": "Two curves for x from -5 to 5. The solid curve of tanh rises like an S from -1 to 1. The dashed curve of its slope is a bump of height 1 at 0 that falls to nearly 0 at both ends."}}
x = mx.linspace(-5, 5, 201)
figure, axes = plt.subplots()
tanh, slope = mx.tanh(x), mx.vmap(mx.grad(mx.tanh))(x)
axes.plot(np.array(x), np.array(tanh), color="black", label="tanh(x)")
axes.plot(np.array(x), np.array(slope), "--", color="gray", label="slope")
axes.set(xlabel="x", ylabel="value")
_ = axes.legend()

# %% [markdown]
# One gradient deserves a warning, because it appears whenever a loss contains a length, as one does in [What makes training stable](11_stability.ipynb).


# %% tags=["nbval-check-output"]
def length(v, small=0.0):
    return mx.sqrt(mx.square(v).sum() + small)


gradient = mx.grad(length)
print("at (3, 4):", np.array(gradient(mx.array([3.0, 4.0]))))
print("at (0, 0):", np.array(gradient(mx.zeros(2))))
print("at (0, 0), 1e-12 added:", np.array(gradient(mx.zeros(2), 1e-12)))

# %% [markdown]
# At 0 the square root has an infinite slope, the squares under it have slope 0, and the chain rule multiplies the two to NaN.
# A single NaN is enough to spoil all the weights of a network, so we add a tiny number under the root.
#
# ## Random numbers
#
# A GAN draws noise at every step, and to repeat a run we have to repeat the noise.
# MLX keeps a random state that each draw moves on, and `mx.random.seed` sets it to a known start.
# A draw that is given a `key`, however, leaves this state alone and depends on the key only.


# %% tags=["nbval-check-output"]
def draw(key=None):
    return mx.random.normal((3,), key=key)


mx.random.seed(1)
print("seed 1:      ", np.array(draw()))
print("next draw:   ", np.array(draw()))
mx.random.seed(1)
print("key 7:       ", np.array(draw(mx.random.key(7))))
print("key 7 again: ", np.array(draw(mx.random.key(7))))
print("seed 1 again:", np.array(draw()))

# %% [markdown]
# We use a seed for a whole run, and a key for numbers that must not depend on what was drawn before, such as the noise for the pictures after each epoch.
#
# ## A network is a tree of arrays
#
# Now we can build the smallest discriminator there is.
# It judges single numbers instead of images: real numbers come from a normal distribution around 1, fakes from one around −1, both with standard deviation 1.
#
# A network is a class derived from `nn.Module`, and every array or module that we assign to its attributes becomes part of it.
#
# **What is the shape of the weight in a layer that turns 1 number into 16?**


# %% tags=["nbval-check-output"]
class TinyDiscriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(1, 16)
        self.out = nn.Linear(16, 1)

    def __call__(self, x):
        return self.out(mx.tanh(self.hidden(x)))


mx.random.seed(0)
discriminator = TinyDiscriminator()
shapes = tree_map(lambda array: array.shape, discriminator.parameters())
for layer, arrays in shapes.items():
    print(layer, arrays)

# %% [markdown]
# :::{dropdown} Answer
# It is (16, 1), with the outputs first, as in PyTorch.
# The layer multiplies by the transpose and adds a *bias*, one number per output.
# :::
#
# The parameters form a nested dictionary, a *tree* with the same branches as the class, and `tree_map` applies a function to each array in it.
# Gradients and optimizer states are trees of the same form.
#
# The loss is the one from [A GAN in one page](01_first_gan.ipynb), without the lines that keep the discriminator steady; recall that softplus is a smooth version of max(0, x).
# It is small if the discriminator's outputs, its *logits*, are large for real numbers and very negative for fakes.
# `nn.value_and_grad(model, loss)` differentiates it with respect to the parameters of `model`, although these are not among its arguments.
#
# **PyTorch adds each new gradient to the last until we reset it. Here we call the function twice and reset nothing. Is the second gradient twice as large?**


# %%
def loss_of_tiny(real, fake):
    logits_real, logits_fake = discriminator(real), discriminator(fake)
    loss = nn.softplus(-logits_real) + nn.softplus(logits_fake)
    return loss.mean()


loss_and_grad = nn.value_and_grad(discriminator, loss_of_tiny)
real = mx.random.normal((64, 1)) + 1
fake = mx.random.normal((64, 1)) - 1
for _ in range(2):
    loss, gradients = loss_and_grad(real, fake)
    slope = gradients["out"]["bias"].item()
    print(f"loss {loss.item():.3f}, gradient of the last bias {slope:.3f}")

# %% [markdown]
# :::{dropdown} Answer
# No: gradients are return values, and nothing accumulates.
# There is no `zero_grad` to forget, and training one of two networks leaves nothing behind in the other.
# :::
#
# An optimizer turns gradients into new weights by `optimizer.update(model, gradients)`, in steps whose size we set by a *learning rate*.
# Ours is Adam, which [Losses and optimizers](05_losses.ipynb) explains, and one of its defaults in MLX may surprise you.
# The next cell takes its first step for a single weight at 0, with a gradient of 1 and a learning rate of 1.

# %% tags=["nbval-check-output"]
for correction in (False, True):
    adam = optim.Adam(1.0, bias_correction=correction)
    new = adam.apply_gradients({"w": mx.array(1.0)}, {"w": mx.array(0.0)})
    print(f"bias_correction={correction}: {new['w'].item():.2f}")

# %% [markdown]
# [Kingma and Ba (2015)](../book/bibliography.md#kingma-and-ba-2015) designed Adam so that its first step is as long as the learning rate, and PyTorch follows them.
# MLX leaves their correction out by default and starts with a step three times as long, so we switch it on.
# (It has nothing to do with the bias of a layer.)
#
# ## Compiled functions remember
#
# A training loop builds the same graph thousands of times.
# `mx.compile(f)` builds it once: it runs `f` with placeholders for its arguments, which is called *tracing*, simplifies the graph, and replays it in later calls.
# The Python code inside `f` runs only during the trace.
#
# **The function below notes each shape that it meets. What does its list hold after four calls?**

# %% tags=["nbval-check-output"]
traces = []


@mx.compile
def scaled(x):
    traces.append(x.shape)
    return 2 * mx.tanh(x)


for size in (3, 3, 3, 4):
    mx.eval(scaled(mx.ones(size)))
print(traces)

# %% [markdown]
# :::{dropdown} Answer
# One entry for each *new* shape, because a trace is valid for one shape and type only.
# Placeholders have no values, so `.item()`, `print(x)` and `if x > 0` raise an error inside a compiled function.
# :::
#
# Speed is the gain, and here is the danger: because `f` runs only during the trace, whatever it reads besides its arguments is frozen at that moment.
# The random state is the most treacherous case, since it appears nowhere in the code.

# %%
frozen = mx.compile(draw)
alive = mx.compile(draw, inputs=mx.random.state, outputs=mx.random.state)
for name, function in {"frozen": frozen, "alive": alive}.items():
    for _ in range(2):
        print(f"{name:6}", np.array(function()))

# %% [markdown]
# The trace of `frozen` took the random state of that moment for a constant, so it will return these three numbers forever.
# In a GAN, every step would see the same noise.
# The cure is to name in `inputs` what the function reads and in `outputs` what it changes.
#
# ![A box named compiled step, traced once. From the left, real images, the networks with their optimizers, and the random state enter it; on the right, the losses, the changed networks with their optimizers, and the random state leave it. A value that is not listed enters from below and stays frozen as it was when the step was traced.](../book/diagrams/compile.svg)
#
# *What a compiled training step takes in and gives out. Besides its argument, the real images, it needs the state of networks, optimizers and random numbers.*
#
# :::{note}
# If you try `frozen` in a fresh Python process, draw once before you compile, or its first two results differ ([Coming from PyTorch](../book/pytorch.md) says why).
# :::
#
# Let us do this for our tiny discriminator, with a step that draws its own real numbers and fakes.
# It has three things to name: the weights, the optimizer's state, which `optimizer.init` sets up, and the random state.

# %%
optimizer = optim.Adam(1e-2, bias_correction=True)
optimizer.init(discriminator.trainable_parameters())
state = [discriminator.state, optimizer.state, mx.random.state]


@partial(mx.compile, inputs=state, outputs=state)
def step():
    real = mx.random.normal((64, 1)) + 1
    fake = mx.random.normal((64, 1)) - 1
    loss, gradients = loss_and_grad(real, fake)
    optimizer.update(discriminator, gradients)
    return loss


# %%
losses = []
for _ in range(2000):
    losses.append(step())
    mx.eval(losses[-1], state)
losses = np.array(mx.stack(losses))
print(f"first loss: {losses[0]:.3f}")
print(f"mean of the last 500 losses: {losses[-500:].mean():.3f}")

# %% [markdown]
# Why does the loss not fall to zero?
# A number near 0 may come from either side, and nobody can do better than weigh the odds.
# In the first exercise you can show that the best possible logit for $x$ is $2x$, and the figure compares it with what our network has learned.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Real numbers (blue) and fakes (orange) overlap. Where there is enough of both, the learned logit follows the best possible one, the dotted line 2x; far outside, the network has seen too few numbers to know.", "name": "fig-02-tiny"}, "image": {"alt": "On the left, two overlapping bell curves, orange around -1 and blue around 1. On the right, the learned logit against x from -5 to 5. It lies close to a dotted straight line of slope 2 in the middle and bends toward the horizontal at both ends."}}
points = mx.linspace(-5, 5, 201)[:, None]
x = np.array(points[:, 0])
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
left.plot(x, np.exp(-((x - 1) ** 2) / 2), color=plots.REAL, label="real")
left.plot(x, np.exp(-((x + 1) ** 2) / 2), color=plots.FAKE, label="fake")
left.set(xlabel="x", ylabel="relative frequency")
left.legend()
logits = np.array(discriminator(points)[:, 0])
right.plot(x, logits, color="#009E73", label="learned logit")
right.plot(x, 2 * x, ":", color=plots.GREY, label="best logit, 2x")
right.set(xlabel="x", ylabel="logit")
_ = right.legend()

# %% [markdown]
# ## Summary
#
# MLX writes down what we ask for and computes it when a value is needed, so a training loop evaluates, once per step, everything that the step has changed.
# `mx.grad`, `mx.value_and_grad` and `nn.value_and_grad` make functions that return gradients, and those of a network form a tree like its parameters.
# A compiled function runs its Python code only while tracing, and therefore everything that it reads or changes besides its arguments has to be named, including `mx.random.state`.
#
# Along the way we have trained one of a GAN's two networks, if only on single numbers.
# In [The data](03_data.ipynb) we look at what the real one will have to judge.
#
# ## Exercises
#
# ### Exercise 1: The best logit (derive)
#
# Suppose $x$ is real or fake with equal probability, with densities $p(x)$ and $q(x)$.
# Which logit $\ell$ minimizes $p\,\mathrm{softplus}(-\ell) + q\,\mathrm{softplus}(\ell)$ at a given $x$?
# What is it for our two normal distributions?
#
# :::{dropdown} Solution
# The derivative of softplus is the sigmoid $\sigma$, so we need $-p\,\sigma(-\ell) + q\,\sigma(\ell) = 0$.
# Because $\sigma(\ell) / \sigma(-\ell) = e^{\ell}$, the solution is $\ell = \log(p/q)$.
# For normal distributions around 1 and −1 this is $-\tfrac12 (x-1)^2 + \tfrac12 (x+1)^2 = 2x$.
# A perfect discriminator measures how much more likely its input is among real numbers than among fakes, an idea that [Losses and optimizers](05_losses.ipynb) builds on.
# :::
#
# ### Exercise 2: The slope at the input (code)
#
# A generator learns from the gradient of the logit with respect to the discriminator's *input*.
# Compute it at −3, −1, 1 and 3, once with `mx.vmap` and once without, and compare it with the slope of the best logit.
#
# :::{dropdown} Solution
# Each logit depends on its own input only, so the gradient of the *sum* of all logits holds one slope per input, and we need no `vmap`.
# At −1 and 1 the slope is close to 2; at −3 and 3, where the curve in the figure bends, it is smaller.
# :::

# %% tags=["hide-cell"]
inputs = mx.array([[-3.0], [-1.0], [1.0], [3.0]])
of_sum = mx.grad(lambda x: discriminator(x).sum())(inputs)
one_by_one = mx.vmap(mx.grad(lambda x: discriminator(x)[0]))(inputs)
print("gradient of the sum:", np.array(of_sum[:, 0]))
print("vmap of grad:       ", np.array(one_by_one[:, 0]))

# %% [markdown]
# ### Exercise 3: Forget the random state (change and explain)
#
# Delete `mx.random.state` from `state` and train a new discriminator.
# Compare its last training loss with its loss on 100,000 fresh numbers, where the best logit $2x$ reaches about 0.71.
#
# :::{dropdown} Solution
# Every step now trains on the same 64 real and 64 fake numbers, those of the trace.
# The network learns this batch by heart, so that its training loss falls far below what it reaches on fresh numbers.
# Nothing raises an error, and the training loss alone looks better than before.
# :::

# %% tags=["hide-cell"]
mx.random.seed(0)
discriminator = TinyDiscriminator()
loss_and_grad = nn.value_and_grad(discriminator, loss_of_tiny)
optimizer = optim.Adam(1e-2, bias_correction=True)
optimizer.init(discriminator.trainable_parameters())
state = [discriminator.state, optimizer.state]


@partial(mx.compile, inputs=state, outputs=state)
def forgetful_step():
    real = mx.random.normal((64, 1)) + 1
    fake = mx.random.normal((64, 1)) - 1
    loss, gradients = loss_and_grad(real, fake)
    optimizer.update(discriminator, gradients)
    return loss


for _ in range(2000):
    loss = forgetful_step()
    mx.eval(loss, state)

# %% tags=["hide-cell"]
real = mx.random.normal((100_000, 1)) + 1
fake = mx.random.normal((100_000, 1)) - 1
best = (nn.softplus(-2 * real) + nn.softplus(2 * fake)).mean()
print(f"last training loss:    {loss.item():.3f}")
print(f"loss on fresh numbers: {loss_of_tiny(real, fake).item():.3f}")
print(f"best logit, same ones: {best.item():.3f}")

# %% [markdown]
# ## Further reading
#
# MLX's documentation ([Hannun et al., 2023](../book/bibliography.md#hannun-et-al-2023)) has short pages on [lazy evaluation](https://ml-explore.github.io/mlx/build/html/usage/lazy_evaluation.html), on [unified memory](https://ml-explore.github.io/mlx/build/html/usage/unified_memory.html) and on [compilation](https://ml-explore.github.io/mlx/build/html/usage/compile.html); read the last one before you compile anything more complicated than our step.
# [Kingma and Ba (2015)](../book/bibliography.md#kingma-and-ba-2015) explain in a short section what Adam averages and why the averages need a correction.
