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
# # The training loop
#
# In this chapter noise becomes digits: fifty epochs of a training loop in which every line is
# accounted for.
#
# ```{admonition} What you will learn
# :class: important
# - write a training step with `nn.value_and_grad`, and say which network it changes
# - place `mx.eval`, and measure what happens where it is missing
# - compile the step with all of its state
# - train the GAN of the last two chapters in full, and read its curves
# - recognise a run that has diverged
#
# **Before**: [Generator and discriminator](04_models.ipynb) and [Losses and optimizers](05_losses.ipynb).
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import checkpoints, data, losses, models, plots, recipes, training
from mlxgan.data import batches, check
from mlxgan.recipes import adam
from mlxgan.training import DivergedError, History, set_up

import time
from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map

# %%
digits = data.load("train")
real, labels = next(data.batches(digits, 64, seed=0))
print("a batch:", real.shape, real.dtype)

# %% [markdown]
# ## One step by hand
#
# A GAN is trained by two players in turn. The discriminator's move makes it better at telling the
# batch of real digits from a batch of fakes. The generator's move makes its fakes look more real
# to the discriminator as it is now. Together they are one *step*.
#
# Both networks, and an optimizer for each. The factory `recipes.adam` is the one of [Losses and optimizers](05_losses.ipynb):
# learning rate 2e-4, betas 0.5 and 0.999, with bias correction.


# %%
def new_game():
    mx.random.seed(0)
    generator, discriminator = models.MLPGenerator(), models.MLPDiscriminator()
    optimizer_g, optimizer_d = recipes.adam(), recipes.adam()
    optimizer_g.init(generator.trainable_parameters())
    optimizer_d.init(discriminator.trainable_parameters())
    return generator, discriminator, optimizer_g, optimizer_d


generator, discriminator, optimizer_g, optimizer_d = new_game()

# %% [markdown]
# The discriminator's loss is a function of two batches. `nn.value_and_grad(discriminator, f)` returns
# a function that computes `f` and its gradient with respect to the parameters of the discriminator,
# and of nothing else.


# %%
def loss_of_discriminator(real, fake):
    return losses.discriminator_loss(discriminator(real), discriminator(fake))


def loss_of_generator(z):
    return losses.generator_loss(discriminator(generator(z)))


grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
grad_g = nn.value_and_grad(generator, loss_of_generator)

# %% [markdown]
# The discriminator moves first. Its fakes come out of the generator, but the generator is not to be
# blamed or praised here: `mx.stop_gradient` says so.

# %%
fake = mx.stop_gradient(generator(mx.random.normal((64, generator.latent_dim))))
loss_d, gradients = grad_d(real, fake)
optimizer_d.update(discriminator, gradients)
print(f"loss D {loss_d.item():.3f}, a guesser's is 2 log 2 = {2 * np.log(2):.3f}")

# %% [markdown]
# Then the generator, with noise of its own. The gradient flows *through* the discriminator, and the
# discriminator stays as it is. The next cell checks this: nothing was frozen, and nothing needed to be.

# %% tags=["nbval-check-output"]
before = {
    name: mx.array(value) for name, value in tree_flatten(discriminator.parameters())
}
loss_g, gradients = grad_g(mx.random.normal((64, generator.latent_dim)))
optimizer_g.update(generator, gradients)
after = dict(tree_flatten(discriminator.parameters()))
print(
    "discriminator unchanged:",
    all(mx.array_equal(before[name], after[name]).item() for name in before),
)
print("gradients for:", ", ".join(name for name, _ in tree_flatten(gradients)))

# %% [markdown]
# ````{admonition} Coming from PyTorch
# :class: tip
# There is no `zero_grad`: gradients are returned by a function and live in no `.grad`, so there is
# nothing to clear and nothing left over from the other player's move. There is no `requires_grad_(False)`
# on the discriminator either: `nn.value_and_grad` differentiates the module that it is given.
# `fake.detach()` becomes `mx.stop_gradient(fake)`. In PyTorch it is a matter of speed, since the next
# `zero_grad` would throw the stray gradients away. Here it is hardly even that (exercise 1).
# ````
#
# Why does each player draw its own noise, and not share the fakes of one batch? One batch of fakes
# would do. But the generator's forward pass has to be repeated anyway once the discriminator has
# changed and gradients are wanted, and fresh noise shows both networks more of latent space.

# %% [markdown]
# ## Nothing happens before `mx.eval`
#
# **Predict**: the next cell makes twenty full steps. Where is the time spent, in the loop or in the line
# after it?


# %%
def eager_step(real):
    shape = (len(real), generator.latent_dim)
    fake = mx.stop_gradient(generator(mx.random.normal(shape)))
    loss_d, gradients = grad_d(real, fake)
    optimizer_d.update(discriminator, gradients)
    loss_g, gradients = grad_g(mx.random.normal(shape))
    optimizer_g.update(generator, gradients)
    return mx.stack([loss_d, loss_g])


state = [generator.state, discriminator.state, optimizer_g.state, optimizer_d.state]
mx.eval(real, eager_step(real), state)  # a first step, to warm up

start = time.perf_counter()
for _ in range(20):
    measured = eager_step(real)
looped = time.perf_counter() - start
mx.eval(measured, state)
total = time.perf_counter() - start
print(
    f"in the loop: {looped / total:.0%} of the time; in mx.eval: {1 - looped / total:.0%}"
)

# %% [markdown]
# The loop only wrote down what is to be computed: about twenty times the graph of one step, chained
# through the weights. `mx.eval` then computed it all. A loop without `mx.eval` is not faster. It
# is a loop whose progress bar runs ahead of the truth, and whose graph grows until somebody asks for a
# number.
#
# What should be evaluated? The losses *and* the state. The losses of a step need the weights that the
# step started from, but not those that it ends with. If only the losses are evaluated, the update of
# the weights stays in the graph and is dragged into the next step.
#
# And how often? Once a step. The next cell trains for the same number of steps, and evaluates
# every 1, 2, 4, 8 and 16 of them.

# %%
steps = 16 if mlxgan.SMOKE else 64
rows = []
for every in (1, 2, 4, 8, 16):
    mx.reset_peak_memory()
    start = time.perf_counter()
    for index in range(1, steps + 1):
        measured = eager_step(real)
        if index % every == 0:
            mx.eval(measured, state)
    rows.append(
        (every, (time.perf_counter() - start) / steps, mx.get_peak_memory() / 2**20)
    )
for every, seconds, memory in rows:
    print(
        f"every {every:2d} steps: {seconds / rows[0][1]:.2f} times the time, peak {memory:.0f} MiB"
    )

# %% [markdown]
# There is nothing to gain by waiting. Memory grows a little, and stays moderate, because `mx.eval` frees each
# intermediate result once nothing needs it any more. What is lost is a loop that knows where it is: one that can be
# timed, stopped and resumed at a definite step. One `mx.eval` a step is the rule of this book.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: the progress bar races, then stands still. *Cause*: nothing in the loop asks for a value.
# *Cure*: `mx.eval(losses, state)` at the end of each step.
#
# *Symptom*: each step takes longer than the last. *Cause*: only the loss is evaluated, or a running
# sum of lazy losses is kept. *Cure*: evaluate the state too; keep the evaluated losses in a list, and
# average them once an epoch.
#
# *Symptom*: the loop is slow on a GPU although the network is small. *Cause*: `.item()` on each loss
# makes Python wait for the GPU before it may prepare the next step. *Cure*: collect the arrays, and read
# them once an epoch.
# ```

# %% [markdown]
# ## A compiled step
#
# The graph of a step is the same each time. `mx.compile` builds it once, fuses chains of
# element-wise operations (Adam is a long one), and replays it. A compiled function must be told
# of all that it reads and changes besides its arguments: weights, moments and step counts of the
# optimizers, and the state of the random number generator. They are its `inputs` and its `outputs`.
#
# The next cell is the step that every chapter from here on uses, word for word as `mlxgan.training` holds it. It returns
# four figures: the two losses, and the mean output of the discriminator on real images and on fakes.


# %%
def make_step(
    generator,
    discriminator,
    optimizer_g,
    optimizer_d,
    loss_g=losses.generator_loss,
    loss_d=losses.discriminator_loss,
    penalty=None,
    on_gradients=lambda gradients: gradients,
):
    def loss_of_discriminator(real, fake, *labels):
        logits_real = discriminator(real, *labels)
        logits_fake = discriminator(fake, *labels)
        loss = loss_d(logits_real, logits_fake)
        if penalty is not None:
            loss = loss + penalty(lambda x: discriminator(x, *labels), real, fake)
        return loss, mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()

    def loss_of_generator(z, real, *labels):
        logits_fake = discriminator(generator(z, *labels), *labels)
        if losses.needs_real(loss_g):
            return loss_g(discriminator(real, *labels), logits_fake)
        return loss_g(logits_fake)

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    grad_g = nn.value_and_grad(generator, loss_of_generator)
    state = [generator.state, discriminator.state, optimizer_g.state, optimizer_d.state]
    state += [mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real, *labels):
        labels = labels if models.is_conditional(generator) else ()
        shape = (len(real), generator.latent_dim)
        fake = mx.stop_gradient(generator(mx.random.normal(shape), *labels))
        (value_d, d_real, d_fake), gradients = grad_d(real, fake, *labels)
        optimizer_d.update(discriminator, on_gradients(gradients))
        value_g, gradients = grad_g(mx.random.normal(shape), real, *labels)
        optimizer_g.update(generator, on_gradients(gradients))
        return mx.stack([value_d, value_g, d_real, d_fake])

    return step, state


# %% [markdown]
# Most of it is the two moves from above. What is new is there for later chapters, and does nothing here: `labels` are for
# networks that are told which digit is meant ([Choosing the digit](12_conditional.ipynb)), a `penalty` may be added to the discriminator's loss
# ([What makes training stable](11_stability.ipynb)), some losses compare fakes with real images, and `on_gradients` sees the gradients before they are
# applied ([Data parallelism](18_parallel.ipynb)). Two things deserve a second look. `nn.value_and_grad` differentiates the first value that the
# function returns; the others, here the two mean outputs, come along for free. And `mx.random.state` is
# in the list of the state. Without it, the compiled function would repeat the noise that it was traced with.
#
# Does it compute the same? Five steps each, from the same seed, on the same batch.


# %% tags=["nbval-check-output"]
def five_steps():
    game = new_game()
    step, state = make_step(*game)
    for _ in range(5):
        mx.eval(step(real), state)
    return tree_flatten(game[0].parameters())


compiled = five_steps()
mx.disable_compile()  # from here on the same function runs operation by operation
eager = five_steps()
mx.enable_compile()
pairs = zip(compiled, eager, strict=True)
difference = max(mx.abs(a - b).max().item() for (_, a), (_, b) in pairs)
print("largest difference of a weight below 0.00001:", difference < 1e-5)

# %% [markdown]
# And is it faster? **Predict**: on a CPU most of the time goes into matrix products, which are not
# fused with anything. What is left to gain?


# %%
def seconds_per_step(step, state, steps=5 if mlxgan.SMOKE else 40):
    mx.eval(step(real), state)
    start = time.perf_counter()
    for _ in range(steps):
        mx.eval(step(real), state)
    return (time.perf_counter() - start) / steps


step, state = make_step(*new_game())
compiled = seconds_per_step(step, state)
mx.disable_compile()
eager = seconds_per_step(step, state)
mx.enable_compile()
print(f"an eager step takes {eager / compiled:.1f} times as long as a compiled one")

# %% [markdown]
# ```{admonition} On other machines
# :class: note
# On a CPU under Linux `mx.compile` calls `g++` to fuse; where there is none the step still runs, unfused.
# On a Mac's GPU the kernels are Metal's. The ratio above depends on the machine: measure it on
# yours.
# ```
#
# ## A steadier copy
#
# The game has no end point at which both players stand still. The generator keeps moving, and what its last state
# looks like is a matter of chance. So we keep a second generator that is not trained. Its weights $\bar w$ follow
# those that are, as an *exponential moving average*:
#
# $$\bar w \leftarrow 0.999\,\bar w + 0.001\,w.$$
#
# It covers about the last thousand steps, a little more than an epoch, and takes no part in the game
# ([Yazıcı et al., 2019](../book/bibliography.md#yazıcı-et-al-2019)). This is another compiled function with state, and no argument at all:


# %%
def make_average(average, generator, keep=0.999, taken=0):
    if taken == 0:
        average.update(generator.parameters())
    clock = {"step": mx.array(float(taken))}
    state = [average.state, generator.state, clock]

    @partial(mx.compile, inputs=state, outputs=state)
    def follow():
        clock["step"] = clock["step"] + 1
        share = mx.minimum(keep, (1 + clock["step"]) / (10 + clock["step"]))
        average.update(
            tree_map(
                lambda a, w: share * a + (1 - share) * w,
                average.parameters(),
                generator.parameters(),
            )
        )

    return follow, state


# %% [markdown]
# The untrained weights should be forgotten soon. So in step $t$ the average keeps at most the share $(1 + t) / (10 + t)$, which makes it cover
# about the last tenth of a young run; after nine thousand steps the limit of 0.999 takes over. The clock is state like any other: as a Python
# number it would be frozen into the compiled function.
#
# The check: a weight that is 1 all the time, and an average that starts at 0. What is missing to 1 shrinks by the kept share in each step.

# %% tags=["nbval-check-output"]
still, copy = nn.Linear(1, 1), nn.Linear(1, 1)
still.weight = mx.zeros((1, 1))
follow, _ = make_average(copy, still, keep=0.9)
still.weight = mx.ones((1, 1))
missing = 1.0
for step_number in range(1, 101):
    follow()
    mx.eval(copy.state)
    missing *= min(0.9, (1 + step_number) / (10 + step_number))
    if step_number in (1, 10, 100):
        print(
            f"step {step_number:3d}: {copy.weight.item():.4f}, expected {1 - missing:.4f}"
        )

# %% [markdown]
# ## Fifty epochs
#
# Now the loop. `training.set_up` puts the networks into training mode, gives the optimizers their state, and joins the
# step and the average into one function. What is left fits on a page, and this is all of it, as `training.train` has it:


# %%
def train(
    generator,
    discriminator,
    data,
    *,
    epochs,
    batch_size=64,
    seed=0,
    history=None,
    on_step=lambda measured: None,
    on_epoch=lambda epoch, history: None,
    optimizer_g=None,
    optimizer_d=None,
    **settings,
):
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, but must be at least 1")
    check(data, batch_size, getattr(generator, "classes", None))
    history = History() if history is None else history
    optimizers = (optimizer_g or adam(), optimizer_d or adam())
    taken = len(history) * (len(data) // batch_size)
    step, state = set_up(generator, discriminator, *optimizers, taken=taken, **settings)
    for epoch in range(len(history) + 1, epochs + 1):
        before = (generator.parameters(), discriminator.parameters())
        start, measured = time.perf_counter(), []
        for images, labels in batches(data, batch_size, seed=seed, epoch=epoch):
            measured.append(step(images, labels))
            mx.eval(measured[-1], state)
            on_step(measured[-1])
        try:
            history.add(mx.stack(measured), time.perf_counter() - start)
        except DivergedError:
            generator.update(before[0])
            discriminator.update(before[1])
            raise
        print(history.line())
        on_epoch(epoch, history)
    generator.eval()
    discriminator.eval()
    return history


# %% [markdown]
# It goes through the data in a new order each epoch, evaluates once a step, collects the figures, and reads them once an
# epoch. At the end of each epoch it prints a line and calls back. Here the callback draws the same sixteen
# noise vectors every time, so that one can watch the same digits come into being. A run that should survive Ctrl-C and
# power cuts is `resume.train`: the same loop, with checkpoints around it.

# %%
epochs = 2 if mlxgan.SMOKE else 50
mx.random.seed(0)
generator, discriminator = models.MLPGenerator(), models.MLPDiscriminator()
average = models.MLPGenerator()
fixed_z = mx.random.normal((16, generator.latent_dim), key=mx.random.key(1))
frames, average_frames = [training.sample(generator, fixed_z)], []


def keep_frames(epoch, history):
    frames.append(training.sample(generator, fixed_z))
    average_frames.append(training.sample(average, fixed_z))


# %%
history = train(
    generator,
    discriminator,
    digits,
    epochs=epochs,
    seed=0,
    average=average,
    on_epoch=keep_frames,
)
print(f"{sum(history.seconds) / 60:.0f} minutes")

# %% [markdown]
# The fixed noise after the first epoch, and then every ten:

# %% mystnb={"figure": {"caption": "Sixteen samples from the same noise. The strokes are there after ten epochs; what follows is slow work on their shape.", "name": "fig-06-every-ten"}, "image": {"alt": "Six grids of four by four generated digits. In the first all sixteen show the same grey smudge; in the second the digits can be read but are ragged and speckled; towards the last the strokes get smoother, and several places show another digit than before."}}
shown = [1, *range(10, epochs + 1, 10)]
rows = -(-len(shown) // 3)
figure, axes = plt.subplots(rows, 3, figsize=(6.4, 2.3 * rows))
for axis in axes.flat:
    axis.set_axis_off()
for axis, epoch in zip(axes.flat, shown, strict=False):
    axis.imshow(plots.tile(frames[epoch], 4), cmap="gray", vmin=0, vmax=255)
    axis.set_title(f"epoch {epoch}")

# %% [markdown]
# And as a film, one picture per epoch:
#
# [Film: sixteen blurs of grey noise turn into digits within a few epochs; later some change into others.](../book/films/06_training.png)

# %% tags=["remove-cell"]
titles = ["untrained"] + [f"epoch {epoch}" for epoch in range(1, epochs + 1)]
folder = "../runs/films" if mlxgan.SMOKE else "../book/films"
plots.film(frames, titles, f"{folder}/06_training.png")

# %% [markdown]
# ## Reading the curves

# %% mystnb={"figure": {"caption": "The run in figures. The discriminator stays ahead; neither loss says how good the pictures are.", "name": "fig-06-curves"}, "image": {"alt": "Left: the loss of the generator stays above that of the discriminator in every epoch. Right: the discriminator's mean output on real images stays well above one half, and on generated ones well below; the two curves do not meet."}}
plots.curves(history)

# %%
for epoch in sorted({1, 2, 10, 50} & set(range(1, epochs + 1))):
    print(
        f"epoch {epoch:2d}: loss D {history.loss_d[epoch - 1]:.2f}, loss G {history.loss_g[epoch - 1]:.2f}, "
        f"D(x) {history.d_real[epoch - 1]:.2f}, D(G(z)) {history.d_fake[epoch - 1]:.2f}"
    )
print(
    f"at the equilibrium of the theory: {2 * np.log(2):.2f}, {np.log(2):.2f}, 0.50, 0.50"
)

# %% [markdown]
# The curves have two parts. In the first few epochs the discriminator runs away: it learns to tell the
# generator's first attempts from real digits, its loss falls and the generator's rises. Then the generator
# catches up, and both losses settle nearer to the values of the equilibrium. They do not reach them: to
# the end the discriminator tells most fakes from real digits.
#
# Compare this with the film. While the generator's loss rises, in the first few epochs, noise turns into
# strokes. In the long part that follows the losses hardly move, and the digits get better all the time. Each
# loss is measured against an opponent that gets better too. So a rising loss of the generator is no
# bad sign, a flat one is no sign of rest, and neither replaces a look at the samples.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: the discriminator's loss goes to 0 and D(G(z)) with it, and the samples stay noise. *Cause*: the
# discriminator wins outright; its learning rate is too high, or the generator's loss is the saturating one of
# [Losses and optimizers](05_losses.ipynb). *Cure*: the same learning rate for both, and the non-saturating loss.
# ```

# %% [markdown]
# ## The last generator and the average
#
# **Predict**: from one epoch to the next, by how much does a pixel of the fixed samples change, for the
# generator and for its average?


# %%
def restlessness(frames):
    changes = [
        mx.abs(b - a).mean().item() for a, b in zip(frames, frames[1:], strict=False)
    ]
    return 127.5 * np.mean(changes[-10:])  # in grey levels, over the last ten epochs


print(f"generator: {restlessness(frames):.1f} grey levels an epoch")
print(f"average:   {restlessness(average_frames):.1f} grey levels an epoch")

# %% mystnb={"figure": {"caption": "The last generator (upper two rows) and the average of its weights (lower two), from the same noise. The average draws mostly the same digits, with cleaner edges.", "name": "fig-06-average"}, "image": {"alt": "Four rows of eight generated digits. The lower two rows show mostly the same digits as the upper two, with smoother strokes and fewer specks around them."}}
plots.digits(mx.concatenate([frames[-1], average_frames[-1]]), columns=8)

# %% [markdown]
# The average costs one more pass over the generator's weights in each step, and nothing when it is used. Chapters from
# here on use it.
#
# ## Sixteen new digits
#
# The fixed noise was used to watch. Here is noise that was not used before, through the average.

# %% mystnb={"figure": {"caption": "Sixteen digits that nobody wrote.", "name": "fig-06-new"}, "image": {"alt": "Two rows of eight generated digits. Most can be read at a glance; one or two are between digits, and some strokes have ragged edges."}}
z = mx.random.normal((16, generator.latent_dim), key=mx.random.key(2))
plots.digits(training.sample(average, z), columns=8)

# %% [markdown]
# We keep the average, so that the next chapter can start from it. The generator that ships with the book as
# `mlxgan.load_pretrained("mlp")` is this file, stored in half precision.

# %%
notes = {"data": digits.name, "epochs": str(epochs), "seed": "0"}
checkpoints.save("../runs/mlp/last.safetensors", generator, notes=notes)
checkpoints.save("../runs/mlp/generator.safetensors", average, notes=notes)

# %% [markdown]
# The same run from a terminal, without a notebook:
#
# ```
# python -m mlxgan train --model mlp --epochs 50 --out runs/mlp
# ```

# %% [markdown]
# ## When a run diverges
#
# A loss can become NaN, and then every weight does. The loop looks at the epoch's figures when it reads them,
# stops with an error that names the step, and hands over the history up to there. Here it is provoked with a
# learning rate that is not a number.

# %% tags=["nbval-check-output"]
few = data.Digits(digits.images[:640], digits.labels[:640], "ten batches")
networks = models.MLPGenerator(), models.MLPDiscriminator()
try:
    training.train(*networks, few, epochs=3, optimizer_g=recipes.adam(float("nan")))
except training.DivergedError as error:
    print(error)
    print("epochs in the history:", len(error.history))

# %% [markdown]
# In the first step both losses are still finite: they are computed before the generator's weights are updated. The
# second step's fakes are made with those weights.

# %% [markdown]
# ## Summary
#
# - A step is two moves: the discriminator's on real images and fakes, the generator's through the
#   discriminator. `nn.value_and_grad(model, f)` decides whose move it is.
# - MLX computes when it is asked. Ask once a step, for the figures and for all of the state.
# - A compiled step names its whole state, `mx.random.state` included.
# - The game does not settle. A moving average of the generator's weights is steadier than its last state.
# - Losses are read once an epoch. They tell whether the game goes on, not how good the pictures are.
#
# ## Exercises
#
# ```{exercise} Is stop_gradient needed?
# :label: ex-06-stop
# Compute the gradients of the discriminator's loss with and without `mx.stop_gradient` around the
# fakes. Do they differ? Why?
# ```

# %% [markdown]
# ```{solution-start} ex-06-stop
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
generator, discriminator, optimizer_g, optimizer_d = new_game()
grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
z = mx.random.normal((64, generator.latent_dim))
_, stopped = grad_d(real, mx.stop_gradient(generator(z)))
_, unstopped = grad_d(real, generator(z))
pairs = zip(tree_flatten(stopped), tree_flatten(unstopped), strict=True)
print("same gradients:", all(mx.array_equal(a, b).item() for (_, a), (_, b) in pairs))

# %% [markdown]
# They are the same: the gradient is taken with respect to the discriminator's parameters, and the fakes are an
# argument that is computed outside the differentiated function. `mx.stop_gradient` would matter if the
# generator were called inside it. We keep it for the reader: it says what is meant.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} The forgotten state
# :label: ex-06-state
# Compile a step that leaves `mx.random.state` out of its state. Show that it draws the same noise in every call.
# ```

# %% [markdown]
# ```{solution-start} ex-06-state
# :class: dropdown
# ```


# %% tags=["nbval-check-output"]
@mx.compile
def forgetful():
    return mx.random.normal((3,))


@partial(mx.compile, inputs=mx.random.state, outputs=mx.random.state)
def mindful():
    return mx.random.normal((3,))


print(
    "without the state, the same again:",
    mx.array_equal(forgetful(), forgetful()).item(),
)
print("with the state, the same again:", mx.array_equal(mindful(), mindful()).item())

# %% [markdown]
# The noise of the first call became a constant of the compiled graph. A GAN trained so sees one batch of noise
# for ever: its generator learns sixty-four digits.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} A short last batch
# :label: ex-06-short
# `data.batches(..., drop_last=False)` ends with a batch of another size. How long does the compiled step
# take on its first such batch, and on the second?
# ```

# %% [markdown]
# ```{solution-start} ex-06-short
# :class: dropdown
# ```

# %%
step, state = make_step(*new_game())
mx.eval(step(real), state)
for size in (64, 32, 32):
    start = time.perf_counter()
    mx.eval(step(real[:size]), state)
    print(f"{size} images: {1000 * (time.perf_counter() - start):.0f} ms")

# %% [markdown]
# The first batch of a new shape is traced anew, the second is not. The difference is small here. It is largest the
# first time on a Linux machine, when `g++` has to build the kernels, which MLX then keeps. One short batch an epoch is
# traced once in a run, so it is not the time that speaks against it: in the update it would weigh as much as a
# whole one.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} The generator first
# :label: ex-06-order
# Let the generator move before the discriminator, in an eager loop of a hundred steps, and compare the losses
# with those of the usual order.
# ```

# %% [markdown]
# ```{solution-start} ex-06-order
# :class: dropdown
# ```


# %%
def play(order, steps):
    game = generator, discriminator, optimizer_g, optimizer_d = new_game()
    players = {"D": (discriminator, optimizer_d), "G": (generator, optimizer_g)}

    def loss_d(x, z):
        return losses.discriminator_loss(discriminator(x), discriminator(generator(z)))

    def loss_g(x, z):
        return losses.generator_loss(discriminator(generator(z)))

    for (x, _), _ in zip(data.batches(digits, 64, seed=0), range(steps), strict=False):
        measured = {}
        for name in order:
            (network, optimizer), loss = players[name], {"D": loss_d, "G": loss_g}[name]
            z = mx.random.normal((len(x), generator.latent_dim))
            measured[name], gradients = nn.value_and_grad(network, loss)(x, z)
            optimizer.update(network, gradients)
        mx.eval(measured, [player.state for player in game])
    return {name: round(value.item(), 2) for name, value in sorted(measured.items())}


for order in ("DG", "GD"):
    print(order, play(order, steps=10 if mlxgan.SMOKE else 100))

# %% [markdown]
# Both orders train. In the first step a generator that moves first learns from a discriminator that knows nothing
# yet; after that the two orders are the same chain of moves, cut at another place.

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Further reading
#
# The algorithm is that of [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014), with the optimizer's settings of [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016).
# [Heusel et al. (2017)](../book/bibliography.md#heusel-et-al-2017) let the two players learn at different rates and prove that this converges to a local
# equilibrium. [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016) collect what helps when a run does not settle. Compilation and lazy
# evaluation are described in MLX's own documentation ([Hannun et al., 2023](../book/bibliography.md#hannun-et-al-2023)).
