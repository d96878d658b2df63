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
# # MLX in ten minutes
#
# After this chapter you can read all the code in this book.
#
# ```{admonition} What you will learn
# :class: important
# - make arrays, and exchange them with NumPy
# - tell when MLX computes and when it only takes notes
# - differentiate, vectorise and compile a function
# - draw random numbers that come out the same next time
# - build a small network, and fit it
#
# **Before**: Python, NumPy, and what a gradient is.
# ```
#
# MLX is Apple's array library for machine learning {cite}`mlx2023`. It runs on the GPU of an
# Apple-silicon Mac, and on the CPU of a Mac or of a Linux machine. The book needs four parts of
# it: `mlx.core` for arrays and functions of them, `mlx.nn` for networks, `mlx.optimizers`, and
# `mlx.utils` for trees of arrays. `mlxgan` is the book's own package, about a thousand lines
# that the chapters share.

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import plots

import time
from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

# %% [markdown]
# ## Arrays
#
# An `mx.array` has a shape and a type, as in NumPy. Python's floats become float32, its integers
# int32. NumPy computes in float64 unless told otherwise; an Apple GPU has no float64, so MLX
# turns a NumPy array of that type into float32 on the way in.
#
# **Predict**: the next cell writes to a NumPy copy of `a`, and to a slice of `a`. Does `a` change?

# %% tags=["nbval-check-output"]
a = mx.array([1.0, 2.0, 4.0])
print(a.dtype, mx.array([1, 2]).dtype, mx.array(np.linspace(0, 1, 3)).dtype)
as_numpy = np.array(a)
as_numpy[0] = 100
part = a[:2]
part[1] = -1
print(as_numpy, part, a)

# %% [markdown]
# It does not. `np.array(a)` copies, `mx.array(...)` of a NumPy array copies too, and a slice is
# a new array.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# Arrays carry no `requires_grad`, no `.grad` and no `.device`. A slice is not a view of the
# original. A Boolean mask cannot pick values, as in `a[a > 1]`; `mx.where(a > 1, a, 0)` takes its
# place. An index beyond the end is *not* checked: it raises nothing and returns whatever is
# there.
# ```
#
# ## Nothing is computed before it is asked for
#
# MLX is lazy. An operation returns at once with a new array that has a shape, a type and a note
# of how to compute its values. The notes form a graph. `mx.eval` walks the graph and does the
# work.
#
# **Predict**: the next cell takes the time of building a chain of 100 matrix products, then the
# time of `mx.eval`. How many times longer is the second?

# %%
weight = mx.random.normal((512, 512)) / 512**0.5
mx.eval(weight)


def chain(length):
    y = weight
    for _ in range(length):
        y = mx.tanh(y @ weight)
    return y


start = time.perf_counter()
y = chain(100)
built = time.perf_counter()
mx.eval(y)
building, evaluating = built - start, time.perf_counter() - built
print(
    f"building: {1000 * building:.2f} ms; evaluating: {evaluating / building:,.0f} times as long"
)

# %% [markdown]
# A stopwatch around a line of MLX measures next to nothing unless `mx.eval` is inside. And what
# is never asked for is never computed. The product below would take 40 GB, and so would its
# argument, yet the cell runs anywhere.
#
# Shapes are checked while the graph is built, so a wrong one raises at its own line. Wrong
# *values*, such as a NaN, show only after the evaluation.

# %% tags=["nbval-check-output"]
huge = mx.random.normal((100_000, 100_000))
product = huge @ huge
print(product.shape, product.dtype, f"{product.nbytes / 1e9:.0f} GB")
del huge, product
try:
    mx.ones((2, 3)) @ mx.ones((2, 3))
except ValueError as error:
    print(error)

# %% [markdown]
# ### What asks
#
# The next cell makes a lazy array of 4 MB, does one thing to it, and looks whether the memory in
# use has grown; then the same with a fresh array and another thing.
#
# **Predict**: which of the seven compute?

# %% tags=["nbval-check-output"]
things = {
    "y.shape": lambda y: y.shape,
    "y + 1": lambda y: y + 1,
    "mx.eval(y)": mx.eval,
    "print(y)": str,  # what print calls
    "y[0, 0].item()": lambda y: y[0, 0].item(),
    "np.array(y)": np.array,
    "if y.max() > 0": lambda y: bool(y.max() > 0),
}
base = mx.ones((1000, 1000))
mx.eval(base)
for name, thing in things.items():
    y = base * 2
    before = mx.get_active_memory()
    thing(y)
    print(
        f"{name:15}",
        "computes" if mx.get_active_memory() > before + 1e6 else "stays lazy",
    )

# %% [markdown]
# Whatever needs a value outside MLX asks for it; saving to a file belongs to the list too. One
# `y[0, 0].item()` has computed all million values, because the one that was read depends on an
# operation that yields them all.
#
# ### The trap: a sum of lazy losses
#
# Averaging a loss over an epoch looks harmless. But a lazy loss holds on to its graph, and the
# graph to the batch that it starts from. {numref}`fig-01-trap` shows the memory in use during 100
# steps, once with `total += loss`, once with `total += loss.item()`.


# %% mystnb={"figure": {"caption": "A sum of lazy losses keeps every batch of the epoch in memory. A sum of numbers keeps one.", "name": "fig-01-trap"}, "image": {"alt": "Memory in MB against the step. A dashed line for the lazy sum rises in proportion to the number of steps. A line for the sum of numbers stays near zero."}}
def held_memory(read):
    total, held, before = 0, [], mx.get_active_memory()
    for _ in range(100):
        batch = mx.random.normal((64, 784))
        mx.eval(batch)
        loss = batch.square().mean()
        total += loss.item() if read else loss
        held.append((mx.get_active_memory() - before) / 1e6)
    return held


figure, axes = plt.subplots()
axes.plot(held_memory(read=False), "--", color=plots.FAKE, label="total += loss")
axes.plot(held_memory(read=True), color=plots.REAL, label="total += loss.item()")
axes.set(xlabel="step", ylabel="memory held (MB)")
_ = axes.legend()

# %% [markdown]
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: memory grows from step to step, and is free again after the epoch's report.
# *Cause*: lazy results are kept, each with its graph and its batch. *Cure*: evaluate them in
# the step that made them. The loops of this book call `mx.eval` once a step, on the losses and
# on all that the step has changed, and read the losses once an epoch.
# ```
#
# ## Devices, streams, unified memory
#
# Every operation runs on a *stream*, a queue of work for a device. Unless told otherwise it is
# that of the default device: the GPU where MLX has one, else the CPU.
#
# An array belongs to no device. CPU and GPU of a Mac with Apple silicon share their memory, so
# both read the same bytes, and `stream=` chooses for each operation. The next cell averages one
# array on each device there is, and looks whether memory has grown by a copy of its 4 MB.

# %%
print("default:", mx.default_device())
before = mx.get_active_memory()
for device in [mx.cpu] + [mx.gpu] * mx.is_available(mx.gpu):
    print(device, f"mean {mx.mean(base, stream=device).item():.3f}")
print(f"memory grew by {(mx.get_active_memory() - before) / 1e6:.1f} MB")

# %% [markdown]
# ```{admonition} On other machines
# :class: note
# The outputs printed in this book come from a Linux CPU. On a Mac the cell above has one more
# line. Some operations, many of `mx.linalg` among them, exist on the CPU alone and need
# `stream=mx.cpu`, and so does anything in float64. The book uses neither.
# ```
#
# ## Functions that make functions
#
# MLX does not differentiate arrays, it differentiates *functions*. `mx.grad(f)` is a new function
# that returns the gradient of `f` by its first argument, and can be differentiated again.
# `mx.value_and_grad(f)` returns the value too. Both need an `f` that returns a single number.
# `mx.vmap(f)` applies `f` to each row of its argument, without a loop.


# %% tags=["nbval-check-output"]
def cube(x):
    return x**3


print(
    "at 2:",
    mx.value_and_grad(cube)(mx.array(2.0)),
    mx.grad(mx.grad(cube))(mx.array(2.0)),
)
points = mx.arange(4.0)
try:
    mx.grad(cube)(points)
except ValueError as error:
    print(error)
print("at 0 to 3:", mx.vmap(mx.grad(cube))(points))

# %% [markdown]
# The gradient of $x^3$ is $3x^2$, its second derivative $6x$: at 2 both are 12. Four cubes are not
# a single number, hence the error. `vmap` of `grad` is the derivative at each of many points.
# {numref}`fig-01-tanh` draws that of tanh, with which the generators of this book end.

# %% mystnb={"figure": {"caption": "The function tanh keeps all values between -1 and 1. Its derivative, found by vmap of grad, all but vanishes outside [-3, 3].", "name": "fig-01-tanh"}, "image": {"alt": "Two curves for x from -5 to 5. The curve of tanh rises like an S from -1 to 1. Its derivative is a bump of height 1 at 0 that falls to nearly 0 at both ends."}}
x = mx.linspace(-5, 5, 201)
slope = mx.vmap(mx.grad(mx.tanh))(x)
assert mx.allclose(slope, 1 - mx.tanh(x) ** 2, atol=1e-5)

figure, axes = plt.subplots()
axes.plot(np.array(x), np.array(mx.tanh(x)), label="tanh(x)")
axes.plot(np.array(x), np.array(slope), "--", label="its derivative")
axes.set(xlabel="x", ylabel="value")
_ = axes.legend()

# %% [markdown]
# ### Compiled functions
#
# `mx.compile(f)` runs `f` once with stand-ins for its arguments, keeps the graph in a simplified
# form, and uses it in later calls. Python's part of the work, and all side effects, happen only
# in that first run, the *trace*.
#
# **Predict**: `scaled` notes each shape that it meets. What does the list hold after four calls?

# %% tags=["nbval-check-output"]
traces = []


@mx.compile
def scaled(x):
    traces.append(x.shape)
    return 2 * mx.tanh(x)


for n in (3, 3, 3, 4):
    mx.eval(scaled(mx.ones(n)))
print(traces)

# %% [markdown]
# One entry for each *new* shape, not for each call. A new type makes a new trace as well. During
# a trace there are no values: `.item()` in a compiled function raises.
#
# Random numbers are drawn from a state that MLX keeps outside the function. It is an input that
# does not stand among the arguments.
#
# **Predict**: do two calls of `frozen` return the same numbers? Two calls of `alive`?


# %% tags=["nbval-check-output"]
def draw():
    return mx.random.normal((3,))


frozen = mx.compile(draw)
alive = mx.compile(draw, inputs=mx.random.state, outputs=mx.random.state)
print("frozen repeats itself:", mx.array_equal(frozen(), frozen()).item())
print("alive repeats itself:", mx.array_equal(alive(), alive()).item())

# %% [markdown]
# The trace of `frozen` has taken the random state of the moment for a constant, so it returns
# the same numbers for ever. In a GAN each training step would get the same noise. Whatever a
# compiled function reads or changes beside its arguments must be named in `inputs` and
# `outputs`.
#
# ## Random numbers
#
# `mx.random.seed` sets the shared state, and each draw moves it on. A draw that is given a `key`
# depends on that alone. `mx.random.split` makes new keys of one.

# %% tags=["nbval-check-output"]
mx.random.seed(1)
first, second = draw(), draw()
mx.random.seed(1)
print("seeded again:", mx.array_equal(first, draw()).item())
print("next draw:", mx.array_equal(first, second).item())
key, other = mx.random.split(mx.random.key(1))
keyed = mx.random.normal((3,), key=key)
print("same key:", mx.array_equal(keyed, mx.random.normal((3,), key=key)).item())
print("other key:", mx.array_equal(keyed, mx.random.normal((3,), key=other)).item())

# %% [markdown]
# A seed suits a run from beginning to end. A key suits numbers that must not depend on what was
# drawn before, such as the noise of the pictures shown after each epoch.
#
# ## Modules
#
# A network is a class derived from `nn.Module`. Arrays and modules that are assigned to its
# attributes become its parameters: a tree, which `tree_flatten` turns into a list of names and
# arrays.
#
# **Predict**: which shape has the weight of a layer from 1 number to 32?


# %% tags=["nbval-check-output"]
class SineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(1, 32)
        self.out = nn.Linear(32, 1)

    def __call__(self, x):
        return self.out(mx.tanh(self.hidden(x)))


mx.random.seed(0)
model = SineNet()
for name, value in tree_flatten(model.parameters()):
    print(f"{name:14} {value.shape}")

# %% [markdown]
# `nn.Linear` keeps its weight as (outputs, inputs), as PyTorch does, and multiplies by the
# transpose.
#
# ## Fitting a sine
#
# Now all of it together: 200 noisy points of a sine, the network above, the mean squared error.
# `nn.value_and_grad(model, loss)` differentiates by the trainable parameters of `model`, which
# is no argument of `loss`. The gradients come back as a tree of the same form.
#
# **Predict**: after a second call without any reset, are the gradients twice as large?

# %% tags=["nbval-check-output"]
x = mx.random.uniform(-4, 4, (200, 1))
y = mx.sin(x) + 0.2 * mx.random.normal(x.shape)


def loss(x, y):
    return nn.losses.mse_loss(model(x), y)


loss_and_grad = nn.value_and_grad(model, loss)
_, once = loss_and_grad(x, y)
_, twice = loss_and_grad(x, y)
print(list(once), once["hidden"]["weight"].shape)
print(
    "the same again:",
    mx.array_equal(once["out"]["weight"], twice["out"]["weight"]).item(),
)

# %% [markdown]
# Gradients are a result. They do not pile up in the model.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# There is no `backward` and hence no `zero_grad`. Where two networks are trained in turn, each
# has its own `nn.value_and_grad`, and the other's parameters get no gradient. The weights and
# the optimizer's state are as lazy as the rest: `mx.eval` belongs at the end of a step. And
# `optim.Adam` leaves out the bias correction of {cite}`kingma2015` unless it is given
# `bias_correction=True`.
# ```
#
# A step changes the model and the optimizer, so both are named as state of the compiled
# function. Every training step of the book has this form.

# %%
optimizer = optim.Adam(1e-2, bias_correction=True)
optimizer.init(model.trainable_parameters())
state = [model.state, optimizer.state]


@partial(mx.compile, inputs=state, outputs=state)
def step(x, y):
    value, gradients = loss_and_grad(x, y)
    optimizer.update(model, gradients)
    return value


losses = []
for _ in range(200 if mlxgan.SMOKE else 2000):
    losses.append(step(x, y))
    mx.eval(losses[-1], state)
losses = np.array(mx.stack(losses))
print(
    f"first loss {losses[0]:.3f}, last loss {losses[-1]:.3f}, variance of the noise {0.2**2:.3f}"
)
assert losses[-1] < losses[0] / 2

# %% [markdown]
# The true sine has a mean squared error of about the variance of the noise. A loss near it, or
# a little below where the network follows the noise of these 200 points, is all that can be
# had. {numref}`fig-01-sine` shows the fit.

# %% mystnb={"figure": {"caption": "A network with one hidden layer of 32 units has found the sine in noisy points. The loss falls steeply at first and then settles.", "name": "fig-01-sine"}, "image": {"alt": "On the left, grey points scattered around a wave, a dotted line for the true sine, and a line for the fit that lies almost on it. On the right, the loss against the step on a logarithmic axis, falling and then flat."}}
grid = mx.linspace(-4, 4, 200)[:, None]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
left.scatter(np.array(x), np.array(y), s=8, color=plots.GREY, alpha=0.6, label="data")
left.plot(np.array(grid), np.array(mx.sin(grid)), "k:", label="sine")
left.plot(np.array(grid), np.array(model(grid)), color=plots.FAKE, label="fit")
left.set(xlabel="x", ylabel="y", ylim=(-1.8, 2.6))
left.legend(ncols=3, loc="upper center")
right.semilogy(losses)
_ = right.set(xlabel="step", ylabel="mean squared error")

# %% [markdown]
# ## Summary
#
# - Arrays are float32 unless you ask for something else; NumPy's float64 is converted.
# - Operations build a graph. `mx.eval`, `print`, `.item()` and NumPy compute it.
# - Lazy results keep their graphs alive: evaluate once a step.
# - Arrays have no device. Operations have a stream.
# - `grad`, `value_and_grad`, `vmap` and `compile` take functions and return functions. A compiled
#   one names its hidden state, `mx.random.state` included.
# - A module is a tree of arrays; gradients are another tree, returned and never accumulated.
#
# ## Exercises
#
# ```{exercise} Bytes wrap around
# :label: ex-01-bytes
# Images come as uint8. What is `mx.array([200], dtype=mx.uint8) + 100`, and what must be done
# for the sum to be 300?
# ```
#
# ```{solution-start} ex-01-bytes
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
pixel = mx.array([200], dtype=mx.uint8)
print(pixel + 100, pixel.astype(mx.float32) + 100)

# %% [markdown]
# A Python integer takes the type of the integer array beside it, and a byte starts again at 0
# after 255: 300 - 256 = 44. Convert before you compute.
#
# ```{solution-end}
# ```
#
# ```{exercise} A gradient for each example
# :label: ex-01-each
# For the loss $(w \cdot x - 1)^2$ and eight vectors $x$, compute the gradient by $w$ for each
# example, without a loop. Check that their mean is the gradient of the mean loss.
# ```
#
# ```{solution-start} ex-01-each
# :class: dropdown
# ```


# %% tags=["nbval-check-output"]
def squared_error(w, x):
    return ((w * x).sum(axis=-1) - 1) ** 2


w, examples = mx.array([1.0, 2.0]), mx.random.normal((8, 2))
each = mx.vmap(mx.grad(squared_error), in_axes=(None, 0))(w, examples)
of_mean = mx.grad(lambda w: squared_error(w, examples).mean())(w)
print(each.shape, mx.allclose(each.mean(axis=0), of_mean, atol=1e-4).item())

# %% [markdown]
# `in_axes=(None, 0)` says that `w` is shared and `x` is taken row by row.
#
# ```{solution-end}
# ```

# %% [markdown]
# ```{exercise} Hidden state
# :label: ex-01-state
# Compile a function that calls `model`, once without and once with `inputs=model.state`. Call
# both, double `model.out.weight`, and call both again. Which of the two notices?
# ```
#
# ```{solution-start} ex-01-state
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
blind = mx.compile(lambda x: model(x))
aware = mx.compile(lambda x: model(x), inputs=model.state)
before = blind(grid), aware(grid)
model.out.weight = 2 * model.out.weight
after = blind(grid), aware(grid)
print("blind has changed:", not mx.array_equal(before[0], after[0]).item())
print("aware has changed:", not mx.array_equal(before[1], after[1]).item())

# %% [markdown]
# The first keeps the weights of its trace as constants: the trap of the random state again.
#
# ```{solution-end}
# ```
#
# ## Further reading
#
# The documentation that comes with MLX {cite}`mlx2023` has pages on lazy evaluation, on unified
# memory and on compilation that go further than this chapter. Adam, the optimizer of the fit and
# of the whole book, is from {cite}`kingma2015`. The next chapter, {doc}`02_data`, puts the arrays
# to use on MNIST.
