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
# ![Two rows. In the first, noise z passes an unchanged generator, and its fake goes to the discriminator together with a real digit. From the loss a dashed gradient leads back to the discriminator, which is updated, and is crossed out before the generator. In the second, noise passes the generator and the unchanged discriminator to the loss, and the dashed gradient leads back through the discriminator to the generator, which is updated.](../book/diagrams/two-moves.svg)
#
# *First only the discriminator changes, and the gradient ends at `stop_gradient`. Then the gradient runs through the discriminator, which stays as it is, to the generator.*
#
# We have two networks, each with a loss and an optimizer, and all that is missing is the loop that lets them play.
# The loop is short, and yet it is where something breaks for the first time: with settings that many tutorials use, and without any error message, the generator can end up drawing the same picture forever.
# By the end you can write the loop yourself, tell a healthy run from a broken one by its curves, say how often a recipe breaks and how sure you are of that, and train with a recipe that has not broken in any of our runs.
#
# *Before: [Losses and optimizers](05_losses.ipynb) · To read: half an hour · To run: 18 minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import (
    checkpoints,
    data,
    losses,
    models,
    plots,
    recipes,
    training,
)
from mlxgan.data import batches, check
from mlxgan.history import DivergedError, History, modes_kept
from mlxgan.models import is_conditional
from mlxgan.recipes import adam
from mlxgan.training import set_up, spread

import json
import math
import time
from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown, display
from mlx.utils import tree_flatten, tree_map

digits = data.load("train")
real, _ = next(data.batches(digits, 64, seed=0))

# %% [markdown]
# ## Two moves
#
# A classifier has one loss, and every training step makes it a little smaller.
# A GAN has two, and they pull against each other: whatever helps the discriminator to catch fakes makes life harder for the generator.
# So the networks take turns, as in chess, and a training **step** consists of the two moves in the picture above.
# First the discriminator sees a batch of real digits and a batch of fakes, and changes its weights to tell them apart a little better.
# Then the generator sends new noise through both networks, and changes its weights so that the discriminator finds the result a little more real.


# %%
def new_game():
    """Fresh networks from the same seed, and an optimizer for each."""
    mx.random.seed(0)
    generator = models.MLPGenerator()
    discriminator = models.MLPDiscriminator()
    optimizer_g, optimizer_d = recipes.adam(), recipes.adam()
    optimizer_g.init(generator.trainable_parameters())
    optimizer_d.init(discriminator.trainable_parameters())
    return generator, discriminator, optimizer_g, optimizer_d


generator, discriminator, optimizer_g, optimizer_d = new_game()

# %% [markdown]
# Each move needs the gradient of a loss with respect to the weights of *one* network, and this is what `nn.value_and_grad(network, loss)` gives us.


# %%
def loss_of_d(real, fake):
    return losses.discriminator_loss(
        discriminator(real), discriminator(fake)
    )


def loss_of_g(z):
    return losses.generator_loss(discriminator(generator(z)))


grad_d = nn.value_and_grad(discriminator, loss_of_d)
grad_g = nn.value_and_grad(generator, loss_of_g)


# %% tags=["hide-input"]
def largest_change(network, before):
    """By how much the weight that changed most has changed."""
    changes = tree_map(
        lambda new, old: mx.abs(new - old).max(),
        network.parameters(),
        before,
    )
    return max(change.item() for _, change in tree_flatten(changes))


def report(move, before_g, before_d):
    change_g = largest_change(generator, before_g)
    change_d = largest_change(discriminator, before_d)
    print(f"move {move}: largest change of a weight", end=" ")
    print(f"in G {change_g:.4f}, in D {change_d:.4f}")


# %% [markdown]
# **Which weights does each of the two moves change, and by how much at most?**

# %% tags=["nbval-check-output"]
z = mx.random.normal((64, generator.latent_dim))
before = generator.parameters(), discriminator.parameters()
fake = mx.stop_gradient(generator(z))
_, gradients = grad_d(real, fake)
optimizer_d.update(discriminator, gradients)
report(1, *before)

z = mx.random.normal((64, generator.latent_dim))
before = generator.parameters(), discriminator.parameters()
_, gradients = grad_g(z)
optimizer_g.update(generator, gradients)
report(2, *before)

# %% [markdown]
# :::{dropdown} Answer
# The first move changes only the discriminator and the second only the generator, by at most 0.0002.
# That is the learning rate, which is how far Adam goes in its first step ([Losses and optimizers](05_losses.ipynb)).
# :::
#
# In the second move the gradient passed through every layer of the discriminator, and still nothing had to be frozen, because `grad_g` returns gradients for the generator only.
# Nor does the first move need `mx.stop_gradient`, which turns the fakes into constants and is only a note to the reader here (Exercise 3).
#
# You can watch both moves with points in a plane in [the lab](../book/lab.md#preset=healthy): switch slow motion on, and the discriminator reshapes the ground before the generator moves its points.
#
# ## One compiled step
#
# A training run repeats this step thousands of times, so it pays to compile it.
# As we saw in [MLX in a quarter of an hour](02_mlx.ipynb), a compiled function has to name everything that it reads or changes besides its arguments: here the weights of both networks, the averages and step counts of both optimizers, and the random state behind the noise.
#
# The next cell is the step that later chapters use, with the two moves in its inner function `step`.
# The rest are openings that do nothing yet: `labels` tell a generator which digit to draw, a `penalty` may be added to the discriminator's loss, `needs_real` asks whether a loss compares fakes with real images, and `on_gradients` may change the gradients.


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
            loss = loss + penalty(
                lambda x: discriminator(x, *labels), real, fake
            )
        return (
            loss,
            mx.sigmoid(logits_real).mean(),
            mx.sigmoid(logits_fake).mean(),
        )

    def loss_of_generator(z, real, *labels):
        logits_fake = discriminator(generator(z, *labels), *labels)
        if losses.needs_real(loss_g):
            return loss_g(discriminator(real, *labels), logits_fake)
        return loss_g(logits_fake)

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    grad_g = nn.value_and_grad(generator, loss_of_generator)
    state = [
        generator.state,
        discriminator.state,
        optimizer_g.state,
        optimizer_d.state,
    ]
    state += [mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real, *labels):
        labels = labels if is_conditional(generator) else ()
        shape = (len(real), generator.latent_dim)
        fake = mx.stop_gradient(
            generator(mx.random.normal(shape), *labels)
        )
        (value_d, d_real, d_fake), gradients = grad_d(real, fake, *labels)
        optimizer_d.update(discriminator, on_gradients(gradients))
        value_g, gradients = grad_g(mx.random.normal(shape), real, *labels)
        optimizer_g.update(generator, on_gradients(gradients))
        return mx.stack([value_d, value_g, d_real, d_fake])

    return step, state


# %% [markdown]
# The step returns four numbers: the two losses, and the average probabilities $D(x)$ and $D(G(z))$ that the discriminator gave to real images and to fakes.
#
# Does compiling change the result?
# We take five steps from the same seed, with and without it, and compare the weights of the generator.


# %% tags=["nbval-check-output"]
def after_five_steps():
    game = new_game()
    step, state = make_step(*game)
    for _ in range(5):
        mx.eval(step(real), state)
    return game[0]


compiled = after_five_steps()
mx.disable_compile()  # run the same code operation by operation
eager = after_five_steps()
mx.enable_compile()
difference = largest_change(compiled, eager.parameters())
print(f"largest difference of a weight {difference:.4f}")

# %% [markdown]
# To four decimals, compiling changes nothing but the time that a step takes, which [Where the time goes](16_speed.ipynb) measures.
#
# ## A steadier copy
#
# A GAN never settles: whenever one network improves, the other one's task changes, so where the generator's weights stand after the last step is partly a matter of chance.
# We therefore keep a second generator, which is not trained but follows the first one at a distance.
# After every step its weights $\bar w$ move a thousandth of the way toward the trained weights $w$,
#
# $$\bar w \leftarrow 0.999\,\bar w + 0.001\,w,$$
#
# so that they average over about the last thousand steps, a little more than an epoch.
# This **exponential moving average** takes no part in the game ([Yazıcı et al., 2019](../book/bibliography.md#yazıcı-et-al-2019)).
#
# ![A jagged orange path shows the weights of the generator, which jump about with every step. A smooth black path, their moving average, follows its course.](../book/diagrams/moving-average.svg)
#
# *The generator's weights never come to rest, but their moving average, drawn here with 0.92 in place of 0.999, smooths out the jumps.*
#
# At the start the average consists of untrained weights, and with a constant 0.999 it would remember them for thousands of steps.
# In step $t$ it therefore keeps only the fraction $(1 + t)/(10 + t)$, until this reaches 0.999.


# %%
def make_average(average, network, keep=0.999, taken=0):
    if taken == 0:
        average.update(network.parameters())
    clock = {"step": mx.array(float(taken))}
    state = [average.state, network.state, clock]

    @partial(mx.compile, inputs=state, outputs=state)
    def follow():
        clock["step"] = clock["step"] + 1
        share = mx.minimum(
            keep, (1 + clock["step"]) / (10 + clock["step"])
        )
        average.update(
            tree_map(
                lambda a, w: share * a + (1 - share) * w,
                average.parameters(),
                network.parameters(),
            )
        )

    return follow, state


# %% [markdown]
# (The step count is an array, because a compiled function would freeze a plain number.)
# To check the code, we let an average that starts at 0 follow a weight that is always 1.
#
# **How far has it come after one step, after ten and after a hundred?**

# %% tags=["nbval-check-output"]
followed, follower = nn.Linear(1, 1), nn.Linear(1, 1)
followed.weight = mx.zeros((1, 1))
follow, state = make_average(follower, followed)
followed.weight = mx.ones((1, 1))
for t in range(1, 101):
    follow()
    mx.eval(state)
    if t in (1, 10, 100):
        print(f"after {t:3d} steps: {follower.weight.item():.4f}")

# %% [markdown]
# :::{dropdown} Answer
# It covers 82 % of the way in the first step and nearly all of it in ten, by which time a constant 0.999 would have covered 1 %.
# :::
#
# ## What should the loop report?
#
# The four numbers of a step describe the *game*: who is ahead, and by how much.
# None of them would notice if the generator drew the same picture for every noise vector.
# We therefore add a fifth, the **spread**: the standard deviation of each pixel over 64 generated images, averaged over all pixels.
#
# **How large is the spread of 64 real digits, of 64 copies of one digit, and of 64 images from an untrained generator?**


# %%
def spread_of(images):
    return mx.std(images, axis=0).mean().item()


generator = new_game()[0]
copies = mx.broadcast_to(real[:1], real.shape)
print(f"real digits         {spread_of(real):.3f}")
print(f"copies of a digit   {spread_of(copies):.3f}")
print(f"untrained generator {spread(generator):.3f}")

# %% [markdown]
# :::{dropdown} Answer
# About 0.37 for the real digits, 0 for the copies, and only 0.025 for the untrained generator, whose images are all nearly the same gray.
# :::
#
# The spread does not measure quality, since the static of an old television has plenty of it, but a value near 0 is an alarm.
# The package's `History` records all five numbers for every epoch, and warns us if the spread falls below 0.02, or if the discriminator is sure of every image, with $D(x)$ above 0.97 and $D(G(z))$ below 0.03.
#
# ## The loop
#
# Now we can put the parts together, with a helper, `set_up`, that joins the step and the moving average into one function.


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
    check(data, batch_size, getattr(generator, "classes", None), epochs)
    history = History() if history is None else history
    optimizers = optimizer_g or adam(), optimizer_d or adam()
    taken = len(history) * (len(data) // batch_size)
    networks = [
        generator,
        discriminator,
        settings.get("average") or nn.Module(),
    ]
    with modes_kept(generator, discriminator) as modes:
        step, state = set_up(
            generator, discriminator, *optimizers, taken=taken, **settings
        )
        for epoch in range(len(history) + 1, epochs + 1):
            before = [network.parameters() for network in networks]
            start, measured = time.perf_counter(), []
            for images, labels in batches(
                data, batch_size, seed=seed, epoch=epoch
            ):
                measured.append(step(images, labels))
                mx.eval(measured[-1], state)
                on_step(measured[-1])
            try:
                history.add(
                    mx.stack(measured),
                    time.perf_counter() - start,
                    spread(generator),
                )
            except DivergedError:
                for network, weights in zip(networks, before, strict=True):
                    network.update(weights)
                raise
            print(history.line())
            on_epoch(epoch, history)
        modes.pop_all()  # all went well
    generator.eval()
    discriminator.eval()
    if warning := history.warning():
        print(f"after {len(history)} epochs: {warning}")
    return history


# %% [markdown]
# Read it from the inside out.
# The inner loop goes through the data in a new order in each epoch, takes one step for each batch, and evaluates it.
# (Without this `mx.eval` the loop would race through the epoch and then stand still.)
# Only when the epoch is over are the collected numbers read, added to the history, and printed as one line.
# The callbacks `on_step` and `on_epoch` let us watch, and `settings` passes on the rest, such as a penalty or a network for the average.
# The lines with `modes` and `DivergedError` clean up after a run that fails, as one will at the end of this chapter.
# (`generator.eval()` has nothing to do with `mx.eval`: it only tells a network that training is over.)
#
# ## Eight epochs of a common recipe
#
# The last chapters led us to binary cross-entropy on logits, Adam with a rate of 0.0002 and betas of 0.5 and 0.999, and batches of 64.
# Many tutorials use the same settings, so the package calls this recipe `tutorial`.
# A complete run takes 50 epochs, but the first eight will tell us enough.

# %%
recipe = recipes.RECIPES["tutorial"]
first_seed = 1
mx.random.seed(first_seed)
first_generator = recipe.generator()
first_discriminator = recipe.discriminator()
first_history = train(
    first_generator,
    first_discriminator,
    digits,
    epochs=1 if mlxgan.SMOKE else 8,
    seed=first_seed,
    average=recipe.generator(),
    **recipe.settings(),
)

# %% [markdown]
# **Sixteen different noise vectors go through this generator. What do you expect to see?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Sixteen different noise vectors, and what the generator of our first run makes of them after eight epochs.", "name": "fig-06-first"}, "image": {"alt": "Two rows of eight generated images. All sixteen show the same sharp black blot with ragged edges, which is not a digit."}}
fixed_z = mx.random.normal((16, 100), key=mx.random.key(1))
plots.digits(training.sample(first_generator, fixed_z), columns=8)

# %% [markdown]
# :::{dropdown} Answer
# The same picture sixteen times, and it is not even a digit.
# :::
#
# There was no error, and yet the generator has stopped listening to its input.
# The log shows when it happened: from epoch 4 on the discriminator pulls away, in epoch 5 the warning appears, and in epoch 7 the generator's loss reaches 10.
#
# This is called **mode collapse**, after the modes of a distribution, the hills around which its samples gather.
# Handwritten digits have at least ten, and a collapsed generator serves one of them or, like ours, none.
#
# ![Three panels with the same ring of eight blue clusters. In the first, titled healthy, orange fakes lie on all eight. In the second, titled collapsed, all fakes lie on one cluster. In the third, titled later, two arrows lead from this cluster to another and on to a third one, where all fakes lie now.](../book/diagrams/collapse.svg)
#
# *A collapsed generator serves one mode until the discriminator rejects it, and can then hop to the next.*
#
# Why does it not simply recover?
# While the fakes still vary, the discriminator lowers its logit wherever they are more crowded than the real digits, and the gradient leads them away from there.
# But our discriminator judges one image at a time, so once all fakes are alike, they all get the same logit and the same advice.
# The generator can only move its one picture elsewhere, because nothing in either loss asks for two pictures to be *different*.
# (In [Convolutions](09_convolutions.ipynb) we will build a discriminator that sees how much a batch varies.)
#
# :::{admonition} On other machines
# :class: note
# We took seed 1 because we had seen it collapse.
# Another processor rounds sums differently, and small differences grow, so if this run looks healthy on yours, try other values of `first_seed`.
# :::
#
# ## Reading the curves
#
# If you remember only one section of this chapter, make it this one.
# A single run is not enough to learn from, so we take three from a larger experiment, which trained the same two networks for twelve epochs in PyTorch, many runs at a time on a GPU.

# %% tags=["hide-input"]
stored = json.loads((mlxgan.ROOT / "book/data/collapse.json").read_bytes())
stored = stored["pytorch"]
runs = {}
for run in stored["runs"]:
    runs.setdefault(run["setting"], []).append(run)


def as_history(run):
    """A stored run in the form in which `train` returns one."""
    names = ("loss_d", "loss_g", "d_real", "d_fake", "spread")
    lists = {name: run[name] for name in names}
    return History(seconds=[0.0] * len(run["spread"]), **lists)


# %% tags=["hide-input"]
def draw_runs(histories):
    """One row per run: losses, the discriminator's outputs, spread."""
    rows = len(histories)
    figure, panels = plt.subplots(
        rows,
        3,
        figsize=(8, 0.6 + 1.6 * rows),
        sharex=True,
        sharey="col",
        squeeze=False,
    )
    for name, row in zip(histories, panels, strict=True):
        history, (left, middle, right) = histories[name], row
        epochs = range(1, len(history) + 1)
        left.plot(epochs, history.loss_d, color="C2", label="D")
        left.plot(epochs, history.loss_g, color=plots.FAKE, label="G")
        middle.plot(epochs, history.d_real, color=plots.REAL, label="D(x)")
        middle.plot(
            epochs, history.d_fake, color=plots.FAKE, label="D(G(z))"
        )
        middle.axhline(0.5, color=plots.GREY, ls=":")
        right.plot(epochs, history.spread, color="black")
        left.set_ylabel(name)
        middle.set_ylim(-0.02, 1.02)
        right.set_ylim(-0.01, 0.45)
    for axes, title in zip(
        panels[0],
        ("losses", "mean outputs of D", "spread of the samples"),
        strict=True,
    ):
        axes.set_title(title, fontsize=10)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    for axes in panels[0, :2]:
        axes.legend(fontsize=8)
    plt.show()


# %% [markdown]
# **Cover everything to the right of epoch 4, and the names on the left. Can you tell which run will stay healthy?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Three runs of the same two networks. In the healthy one the discriminator is ahead at first, and then the generator begins to catch up. In the second the discriminator keeps winning, although the samples still vary. In the third the samples become all alike between epoch 4 and epoch 5, and remain so. The dotted line marks one half.", "name": "fig-06-three"}, "image": {"alt": "A grid of three rows and three columns. Healthy: D's loss dips to about 0.35 and rises again, D(x) falls from 0.9 to about 0.75 while D(G(z)) rises from 0.1 to about 0.25, and the spread grows to 0.35. D is winning: from epoch 5 on D's loss is about 0.2 or lower, D(x) stays above 0.95 and D(G(z)) below 0.05, and the spread wanders between 0.05 and 0.17. Collapsed: from epoch 6 on D's loss is nearly 0, G's loss lies between 6 and 10, D(x) is nearly 1 and D(G(z)) nearly 0; the spread has been nearly 0 since epoch 5."}}
draw_runs(
    {
        "healthy": as_history(runs["tutorial"][0]),
        "D is winning": as_history(runs["both rates 1e-4"][0]),
        "collapsed": as_history(runs["tutorial"][16]),
    }
)

# %% [markdown]
# :::{dropdown} Answer
# Hardly.
# In all three the discriminator runs ahead, with $D(x)$ around 0.9 and $D(G(z))$ around 0.1, and by its spread the run that will collapse looks better than the one above it.
# :::
#
# The discriminator is ahead in the first epochs because it is easier to tell gray smudges from digits than to draw digits.
# This is no reason to worry, and neither is a rising loss of the generator, which only says that its opponent has become stronger.
#
# In the *healthy* run the two probabilities then approach each other, although they do not meet at one half, the equilibrium of the last chapter.
# In the second run *the discriminator is winning*: the samples vary, but in epoch 12 they are no closer to passing than in epoch 4.
# In its first two columns the *collapsed* run looks the same, only more extreme, which is why we need the third: between epochs 4 and 5 its spread falls from 0.15 to 0.003.
#
# | what you see | what it means | what to do |
# |:--|:--|:--|
# | D(x) near 1 and D(G(z)) near 0 in the first epochs | the usual opening | wait |
# | then they approach each other, and the spread grows | healthy | go on, and judge the run by its pictures |
# | they stay apart, and the spread stays low but above 0 | the discriminator is winning | look for a bug ([When it goes wrong](10_failures.ipynb)), then try a penalty |
# | they stay apart, and the spread is near 0 | collapsed | stop, and take another seed or, better, another recipe |
#
# Is it really necessary to stop?
# The experiment has 120 runs with nine settings, so let us see what became of those that set off the warning.

# %% tags=["nbval-check-output"]
histories = [as_history(run) for run in stored["runs"]]
warned = [
    each
    for each in histories
    if any(each.warning(epoch) for epoch in range(1, len(each) + 1))
]
at_the_end = sum(each.warning() != "" for each in warned)
print(f"{len(histories)} runs, {len(warned)} with a warning", end=" ")
print(f"at some time, {at_the_end} of them with one at the end")

# %% [markdown]
# Of 41 such runs, 40 still had a warning at the end, although all had been warned by epoch 9, with at least three epochs left to recover.
# (The exception is the middle row of our figure, where the discriminator was too sure in one epoch, but the samples were never alike.)
# So do not wait for a collapsed run to recover.
#
# ## Was it bad luck?
#
# Is the seed to blame, or the recipe?
# The experiment trained the tutorial's recipe with 24 seeds, and eight variants of it with 12 seeds each, among them the advice that you will hear most often: slow the discriminator down, use dropout, call real images 0.9 instead of 1, add noise to the images, or draw the first weights with a standard deviation of 0.02.
# (R1, in the last two rows, is a penalty to which we come in a moment.)
#
# The table counts a run as collapsed if it ended with a warning.
# Since a few runs make an uncertain rate, it adds a 95 % interval ([Clopper and Pearson, 1934](../book/bibliography.md#clopper-and-pearson-1934)): every rate at which our count would be neither surprisingly low nor surprisingly high, if we call a surprise what happens in less than 2.5 % of all cases.
# The last columns give the **FID** of the averaged generator, a distance between its images and real ones as the book's own classifier sees them, which [Measuring](08_measuring.ipynb) explains.
# Smaller is better, and collapsed runs count, because leaving them out would reward a recipe for collapsing.
#
# **Which of these changes would you try first?**


# %% tags=["hide-input", "nbval-check-output"] mystnb={"markdown_format": "myst"}
def plausible_rates(collapsed, runs):
    """The 95 % interval of Clopper and Pearson."""
    rates = np.linspace(0, 1, 10_001)
    chances = [
        math.comb(runs, k) * rates**k * (1 - rates) ** (runs - k)
        for k in range(runs + 1)
    ]
    so_few = sum(chances[: collapsed + 1])
    so_many = sum(chances[collapsed:])
    inside = rates[(so_few > 0.025) & (so_many > 0.025)]
    return inside.min(), inside.max()


table = [
    "| change | collapsed | 95 % interval | best FID | median | worst |",
    "|:--|--:|--:|--:|--:|--:|",
]
for setting, group in runs.items():
    collapsed = sum(as_history(run).warning() != "" for run in group)
    low, high = plausible_rates(collapsed, len(group))
    fids = [run["average"]["fid"] for run in group]
    table.append(
        f"| {setting} | {collapsed} of {len(group)} "
        f"| {low:.0%} to {high:.0%} "
        f"| {min(fids):.0f} | {np.median(fids):.0f} | {max(fids):.0f} |"
    )
display(Markdown("\n".join(table)))

# %% [markdown]
# :::{dropdown} Answer
# If you chose to slow down the discriminator, you are in good company, and you have made things much worse.
# :::
#
# The tutorial's recipe collapsed in 3 of 24 runs, or one in eight, and the true rate may lie anywhere between 3 % and 32 %.
# So a collapse is bad luck, but of a kind that you will meet again.
# With half the rate for the discriminator, half the rates for both, or dropout, the intervals begin above 32 %, so these changes do harm.
# For the labels, the noise and the initial weights, twelve runs are too few to tell.
#
# With R1 no run collapsed, but for either strength of the penalty alone this could be chance: if the rate were still one in eight, twelve runs in a row would survive with a probability of $(7/8)^{12}$, about 0.20.
# The difference in quality, however, can hardly be chance: with the stronger penalty, the *worst* of the twelve runs has an FID of 109, and the *best* of the tutorial's 24 runs has 176.
# If the penalty made no difference, exactly these twelve would be the best of the 36 runs with a probability of $1/\binom{36}{12}$, less than one in a billion, and picking the best of eight variants does not explain such odds.
#
# ## A judge without cliffs
#
# What does this penalty do?
# The generator learns only from the direction in which the logit rises when the pixels of a fake change.
# Imagine the logit as the height of a landscape over all images, with the real digits on high ground and the fakes below.
# If the discriminator learns faster than the generator, it can raise the ground under the real images until they stand on a cliff, and the ground at the foot of a cliff tells you little about the way up.
#
# The idea of **R1** is to keep the ground under the real images nearly level.
# We add to the discriminator's loss
#
# $$\frac{\gamma}{2}\,\mathbb{E}_{x}\,\lVert \nabla_x\, \ell(x) \rVert^2,$$
#
# the squared length of the gradient of the logit $\ell$ with respect to the pixels, averaged over the real images $x$, times half the strength $\gamma$.
# The discriminator may still put real images higher than fakes, but it pays for steepness where they stand, so it gains more from a broad hill than from a cliff, and a hill has slopes that the generator can climb.
# (The lines that kept the discriminator of [A GAN in one page](01_first_gan.ipynb) steady approximate this penalty with random nudges.)
#
# That is an intuition and no proof.
# [Mescheder et al. (2018)](../book/bibliography.md#mescheder-et-al-2018), who proposed the penalty in this form, prove that training with it converges near an equilibrium, but under assumptions that our networks do not meet, so for our GAN the evidence is the table above.
# [What makes training stable](11_stability.ipynb) compares R1 with other penalties; here it is enough to pass `losses.r1_penalty` to our step.
#
# ## Twenty epochs
#
# The book's own recipe, `mlp`, is the tutorial's with R1 and $\gamma = 1$, and it needs only 20 epochs.
# After each epoch the generator draws from the same sixteen noise vectors, so that we can watch its digits come into being.

# %%
recipe = recipes.RECIPES["mlp"]
epochs = 2 if mlxgan.SMOKE else recipe.epochs
mx.random.seed(0)
generator, discriminator = recipe.generator(), recipe.discriminator()
average = recipe.generator()
frames, average_frames = [training.sample(generator, fixed_z)], []


def keep_frames(epoch, history):
    frames.append(training.sample(generator, fixed_z))
    average_frames.append(training.sample(average, fixed_z))


# %% tags=["hide-output"]
history = train(
    generator,
    discriminator,
    digits,
    epochs=epochs,
    seed=0,
    average=average,
    on_epoch=keep_frames,
    **recipe.settings(),
)

# %%
for epoch in (1, 2, 5, 20):
    if epoch <= epochs:
        d_real = history.d_real[epoch - 1]
        d_fake = history.d_fake[epoch - 1]
        print(f"epoch {epoch:2d}: D(x) {d_real:.2f},", end=" ")
        print(f"D(G(z)) {d_fake:.2f},", end=" ")
        print(f"spread {history.spread[epoch - 1]:.2f}")
print(f"{sum(history.seconds) / 60:.0f} minutes, warning: ", end="")
print(history.warning() or "none")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Sixteen samples from the same noise after 1, 2, 5, 10, 15 and 20 epochs. After the first epoch they are nearly alike, after the tenth most of them can be read, and the strokes keep getting smoother.", "name": "fig-06-epochs"}, "image": {"alt": "Six grids of four by four generated images, for epochs 1, 2, 5, 10, 15 and 20. In epoch 1 all images show nearly the same gray smudge. In epoch 2 the first rough ones, threes and nines appear, in epoch 5 there are more kinds of digits, with ragged strokes and many specks, in epoch 10 most can be read, and in epoch 20 nearly all, with fewer specks."}}
shown = [epoch for epoch in (1, 2, 5, 10, 15, 20) if epoch <= epochs]
rows = math.ceil(len(shown) / 3)
figure, panels = plt.subplots(rows, 3, figsize=(6.4, 2.3 * rows))
for axes in panels.flat:
    axes.set_axis_off()
for axes, epoch in zip(panels.flat, shown, strict=False):
    picture = plots.tile(frames[epoch], 4)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"epoch {epoch}")
plt.show()

# %% [markdown]
# After the first epoch all sixteen images show nearly the same gray smudge, and the spread is 0.05, so an early low spread alone does not mean that a run has failed.
# The film shows how digits emerge from it, epoch by epoch:
#
# [Film: sixteen patches of gray noise turn into digits within about ten epochs; on the way some of them change into other digits.](../book/films/06_training.png)

# %% tags=["remove-cell"]
titles = ["untrained"] + [
    f"epoch {epoch}" for epoch in range(1, epochs + 1)
]
films = mlxgan.RUNS if mlxgan.SMOKE else mlxgan.ROOT / "book/films"
plots.film(frames, titles, films / "06_training.png")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Our two runs. Without the penalty (above) the discriminator becomes sure of everything. With it (below) the generator begins to catch up in epoch 3, and from epoch 4 on the spread stays above 0.3.", "name": "fig-06-ours"}, "image": {"alt": "A grid of two rows and three columns. Above, the tutorial's recipe over eight epochs: D(x) goes to 1 and D(G(z)) to 0, and the spread rises to 0.16 and falls to 0. Below, the recipe with R1 over twenty epochs: after epoch 2 D(x) falls from 0.8 to 0.56 and D(G(z)) rises from 0.2 to 0.44, and from epoch 4 on the spread stays between 0.3 and 0.4."}}
draw_runs({"tutorial": first_history, "with R1": history})

# %% [markdown]
# With the penalty, which the discriminator's loss now includes, the two probabilities come closer than in the healthy run above: at the end $D(x)$ is 0.56 and $D(G(z))$ is 0.44.
# In the second half of the run each of them moves by only 0.06, and yet the samples above still improve, so flat curves do not mean that nothing is learned.
#
# Has the penalty done what it promised?
# For both discriminators we measure the slope of the logit at 64 real digits, and the average logits.


# %%
def slope(discriminator, images):
    """Mean length of the gradient of the logit at given images."""
    gradients = mx.grad(lambda x: discriminator(x).sum())(images)
    squares = mx.square(gradients).sum(axis=(1, 2, 3))
    return mx.sqrt(squares).mean().item()


pairs = {
    "tutorial": (first_generator, first_discriminator),
    "with R1": (generator, discriminator),
}
for name, (drawer, judge) in pairs.items():
    fake = training.sample(drawer, z)
    logit_real, logit_fake = judge(real).mean(), judge(fake).mean()
    print(f"{name:8s}: slope {slope(judge, real):5.2f},", end=" ")
    print(
        f"average logit of real digits {logit_real.item():6.1f},", end=" "
    )
    print(f"of fakes {logit_fake.item():6.1f}")

# %% [markdown]
# It has done what its formula asks for, since the slope at real digits is about 29 times smaller.
# However, the whole landscape has become lower as well: the two average logits are only about 0.5 apart with R1, but about 71 in the tutorial's run, whose discriminator just has to tell a single blot from digits.
# Our picture of the cliff is therefore only half right: the penalty comes with a discriminator that is more modest altogether, and from two runs we cannot say whether this modesty or the gentler slope keeps the generator learning.
#
# ## The last generator and its average
#
# Is the moving average really the steadier copy that we wanted?
#
# **From one epoch to the next, by how many of 255 gray levels does a pixel of the fixed samples change, for the generator and for its average?**


# %%
def restlessness(frames):
    """Mean change of a pixel per epoch, over the last ten epochs."""
    last = frames[-11:]
    changes = [
        mx.abs(new - old).mean().item()
        for old, new in zip(last, last[1:], strict=False)
    ]
    return 127.5 * np.mean(changes)


print(f"generator: {restlessness(frames):.1f} gray levels per epoch")
print(f"average:   {restlessness(average_frames):.1f}")

# %% [markdown]
# :::{dropdown} Answer
# About 20 levels for the generator, and about 7 for its average.
# :::

# %% tags=["hide-input"] mystnb={"figure": {"caption": "New noise through the last generator (upper two rows) and through the average of its weights (lower two rows).", "name": "fig-06-average"}, "image": {"alt": "Four rows of eight generated digits. The lower two rows show mostly the same digits as the upper two, with smoother strokes and fewer specks around them."}}
new_z = mx.random.normal((16, 100), key=mx.random.key(2))
last = training.sample(generator, new_z)
averaged = training.sample(average, new_z)
plots.digits(mx.concatenate([last, averaged]), columns=8)

# %% [markdown]
# Nobody wrote these digits, and most of them can be read at a glance, although a few, such as the second one, are not digits at all.
# The average draws the cleaner strokes, so we use it from here on.
# A generator trained in the same way comes with the book, as `mlxgan.load_pretrained("mlp")`.

# %%
notes = {"data": digits.name, "epochs": str(epochs), "seed": "0"}
checkpoints.save(
    mlxgan.RUNS / "mlp/last.safetensors", generator, notes=notes
)
checkpoints.save(
    mlxgan.RUNS / "mlp/generator.safetensors", average, notes=notes
)

# %% [markdown]
# From a terminal, `python -m mlxgan train --model mlp --out runs/mlp` starts the same run.
#
# ## When a run diverges
#
# A run can also fail loudly, with a loss that becomes infinite or NaN.
# All it takes is to forget the exponent and write 2 in place of 2e-4 for the learning rates.

# %%
few = data.Digits(digits.images[:640], digits.labels[:640], "ten batches")
try:
    train(
        models.MLPGenerator(),
        models.MLPDiscriminator(),
        few,
        epochs=3,
        optimizer_g=recipes.adam(2.0),
        optimizer_d=recipes.adam(2.0),
    )
except DivergedError as error:
    print(error)
    print(f"epochs in the history: {len(error.history)}")

# %% [markdown]
# At the end of the epoch the loop finds the first bad number, gives the networks back their weights from before that epoch, and raises an error.
# If that happens to you, check the learning rates first, and then look for a root or a logarithm of 0, as in [Losses and optimizers](05_losses.ipynb).
#
# ## Summary
#
# A training step is two moves, first the discriminator's and then the generator's, compiled together with all of their state.
# Because the game never settles, we also keep a moving average of the generator's weights.
#
# Losses and probabilities tell who is ahead, but they cannot tell a winning discriminator from a collapsed generator, so we also watch the spread of the samples.
# The settings of many tutorials collapsed in 3 of 24 runs, and a slower discriminator made it worse.
# With R1, a penalty on the slope of the discriminator at real images, none of twelve runs collapsed, which may be luck, and all twelve had a lower FID than the tutorial's best run, which can hardly be luck.
#
# With the generator that we have trained, we now go exploring in [Generating](07_generating.ipynb).
#
# ## Exercises
#
# ### Exercise 1: How many survivors prove something? (derive)
#
# Suppose that a recipe collapses with probability $p$ in each run.
# If $p = 1/8$, from which $n$ on is the probability that $n$ runs in a row survive below 5 %?
# Conversely, which rates can you rule out after twelve survivors?
# Show that for small $p$ the answer is close to the "rule of three", $n \approx 3/p$.
#
# :::{dropdown} Solution
# All $n$ runs survive with probability $(1 - p)^n$.
# This is below 0.05 if $n > \log 0.05 / \log(1 - p)$, which for $p = 1/8$ means at least 23 runs.
# Solved for $p$, twelve survivors rule out every rate above $1 - 0.05^{1/12}$, about 22 %.
# For small $p$ we have $\log(1 - p) \approx -p$, and $-\log 0.05$ is 3.0, so $n \approx 3/p$.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
needed = math.ceil(math.log(0.05) / math.log(1 - 1 / 8))
print(
    f"survivors needed for 1/8: {needed}, rule of three: {3 / (1 / 8):.0f}"
)
print(f"chance of {needed - 1}: {(7 / 8) ** (needed - 1):.3f}", end=", ")
print(f"chance of {needed}: {(7 / 8) ** needed:.3f}")
print(f"ruled out by twelve: above {1 - 0.05 ** (1 / 12):.0%}")

# %% [markdown]
# ### Exercise 2: Do not wait (code)
#
# Write a callback for `train` that ends a collapsed run at once.
# To try it, you need a generator that collapses reliably, so write one that ignores its noise.
#
# :::{dropdown} Solution
# An exception is the simplest way out of a loop that is not ours.
# The generator multiplies its noise by 0, so all of its images are equal from the first step on, and the run ends after its first epoch.
# :::


# %% tags=["hide-cell"]
class CollapsedError(RuntimeError):
    """Raised to end a run that has collapsed."""


def stop_if_collapsed(epoch, history):
    if history.warning():
        raise CollapsedError(f"stopped after epoch {epoch}")


class DeafGenerator(models.MLPGenerator):
    def __call__(self, z):
        return super().__call__(0 * z)


try:
    train(
        DeafGenerator(),
        models.MLPDiscriminator(),
        few,
        epochs=5,
        on_epoch=stop_if_collapsed,
    )
except CollapsedError as error:
    print(error)

# %% [markdown]
# ### Exercise 3: Without stop_gradient (change and explain)
#
# Move the call of the generator into the discriminator's loss, once with `mx.stop_gradient` and once without, and compare the discriminator's gradients.
# Then put both networks into a single module, differentiate with respect to that module, look at the generator's part of the gradient, and explain.
#
# :::{dropdown} Solution
# In the first case the gradients are equal, because we only ask for derivatives with respect to the discriminator's weights.
# In the second case the generator's weights are among them.
# Without the cut they get a gradient, and an optimizer that follows it would make the generator help the discriminator; with the cut their gradient is 0.
# So `mx.stop_gradient` is necessary when the differentiated module contains the generator.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
class Both(nn.Module):
    def __init__(self, generator, discriminator):
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator


def whole_loss(real, z):
    fake = generator(z)
    return losses.discriminator_loss(
        discriminator(real), discriminator(fake)
    )


def cut_loss(real, z):
    fake = mx.stop_gradient(generator(z))
    return losses.discriminator_loss(
        discriminator(real), discriminator(fake)
    )


generator, discriminator, *_ = new_game()
_, whole = nn.value_and_grad(discriminator, whole_loss)(real, z)
_, cut = nn.value_and_grad(discriminator, cut_loss)(real, z)
differences = tree_map(lambda a, b: mx.abs(a - b).max(), whole, cut)
largest = max(value.item() for _, value in tree_flatten(differences))
print(f"discriminator only: largest difference {largest:.6f}")

# %% tags=["hide-cell"]
both = Both(generator, discriminator)
for loss in (whole_loss, cut_loss):
    _, gradients = nn.value_and_grad(both, loss)(real, z)
    parts = tree_flatten(gradients["generator"])
    largest = max(mx.abs(part).max().item() for _, part in parts)
    print(f"{loss.__name__:10s}: largest gradient of G {largest:.1e}")

# %% [markdown]
# ### Exercise 4: A judge that is too smooth (change and explain)
#
# Train the book's recipe for one epoch with $\gamma = 100$ in place of 1, and compare $D(x)$, $D(G(z))$ and the spread with the first epoch of our run.
# Do the curves look better, and are they?
#
# :::{dropdown} Solution
# Both probabilities lie about 0.03 from one half, closer than in our run even after 20 epochs, and the spread is 0.28 instead of 0.05.
# This looks like the equilibrium of the last chapter, but we should not believe it after a single epoch.
# Slope has become so expensive that the discriminator hardly dares to tell real images from fakes: at real digits its logit has a slope of 0.027, compared with 0.34 at the end of our run.
# A probability of one half can mean that the generator is perfect or that the judge is nearly blind, and the spread does not measure quality.
# Only the pictures can decide, so keep the generator in a variable and draw a few of its samples.
# :::

# %% tags=["hide-cell"]
settings = recipe.settings()
settings["penalty"] = partial(losses.r1_penalty, gamma=100.0)
mx.random.seed(0)
smooth_discriminator = recipe.discriminator()
smooth_history = train(
    recipe.generator(),
    smooth_discriminator,
    digits,
    epochs=1,
    seed=0,
    **settings,
)
for gamma, each in ((1, history), (100, smooth_history)):
    print(f"gamma {gamma:3d}: D(x) {each.d_real[0]:.2f},", end=" ")
    print(f"D(G(z)) {each.d_fake[0]:.2f}, spread {each.spread[0]:.2f}")
print(f"slope at real digits {slope(smooth_discriminator, real):.3f}")

# %% [markdown]
# ## Further reading
#
# - [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014) give the two moves as their Algorithm 1, with the option of several moves of the discriminator for each of the generator.
# - [Mescheder et al. (2018)](../book/bibliography.md#mescheder-et-al-2018) is the paper to read about R1. Its example with a single weight on each side, in which training circles or converges, takes ten minutes to work through.
# - [Lucic et al. (2018)](../book/bibliography.md#lucic-et-al-2018) train many kinds of GANs with many settings and seeds, and find that most reach similar scores if they are tuned and restarted often enough. Read it before you believe a table with one run per row.
# - [Metz et al. (2017)](../book/bibliography.md#metz-et-al-2017) show the hopping of a collapsed generator in a plane, much as in our diagram, and prevent it by letting the generator look a few of the discriminator's moves ahead.
