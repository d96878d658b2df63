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
# # When it goes wrong
#
# A GAN rarely stops with an error. It goes on and makes nothing of use. This chapter causes seven such
# failures on purpose, shows what each looks like from outside, and mends it.
#
# ```{admonition} What you will learn
# :class: important
# - recognise seven failures by their curves, their samples and their scores
# - tell values that two losses may take together from those that betray a bug
# - go from a symptom to its cause with one measurement
# - mend each failure by changing one thing
# - count modes on stacked MNIST, and know what the count can be compared with
#
# **Before**: [The training loop](06_training.ipynb) and [Measuring](08_measuring.ipynb).
# ```
#
# | Symptom | Cause | Section |
# |:--|:--|:--|
# | All samples alike; losses swing | mode collapse | {ref}`failure-collapse` |
# | Loss D at 0, samples stay noise | the discriminator has won | {ref}`failure-wins` |
# | Loss D at 0 at once, loss G low and calm | real and fake in one batch | {ref}`failure-norm` |
# | Loss D and loss G both near 0, in jumps | the noise never changes | {ref}`failure-noise` |
# | Memory grows from step to step | something is never evaluated | {ref}`failure-memory` |
# | Loss D never below 1, or all figures at the equilibrium | sigmoid twice | {ref}`failure-sigmoid` |
# | Grey background | wrong range of pixels | {ref}`failure-range` |
# | Loss is NaN | learning rate, a root at 0 | [The training loop](06_training.ipynb), [What makes training stable](11_stability.ipynb) |

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import (
    checkpoints,
    data,
    layers,
    losses,
    metrics,
    models,
    plots,
    recipes,
    training,
)

from functools import partial
from itertools import count, islice

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

digits = data.load("train")
reference = metrics.reference()

# %% [markdown]
# ## A run that works
#
# A failure is told by comparison. So first a run that works: the DCGAN of [Convolutions](09_convolutions.ipynb) with half the channels, for a
# few hundred steps at the learning rate of 1e-3. That is less than an epoch, and enough for digits that can be read.
#
# `play` is the heart of `training.train`, but keeps the figures of every step. Failures are fast; an average over an
# epoch would hide them.


# %%
def small_dcgan(seed=0, **discriminator):
    mx.random.seed(seed)
    return (
        models.DCGANGenerator(channels=16, hidden=256),
        models.DCGANDiscriminator(channels=16, hidden=256, **discriminator),
    )


def stream():
    for epoch in count(1):
        yield from (x for x, _ in data.batches(digits, 64, seed=0, epoch=epoch))


# %%
def play(
    networks,
    steps,
    optimizer_g=None,
    make_step=training.make_step,
    prepare=lambda real: real,
    **chosen,
):
    optimizers = optimizer_g or recipes.adam(1e-3), recipes.adam(1e-3)
    for model, optimizer in zip(networks, optimizers, strict=True):
        model.train()
        optimizer.init(model.trainable_parameters())
        layers.column_major(model, optimizer)
    step, state = make_step(*networks, *optimizers, **chosen)
    measured = []
    for real in islice(stream(), steps):
        measured.append(step(prepare(real)))
        mx.eval(measured[-1], state)
    return np.array(mx.stack(measured))


# %% [markdown]
# Every run is judged in the same way: its last figures, and the measures of [Measuring](08_measuring.ipynb) on 10,000 samples. One
# number is added that needs no classifier, the *variety*: the deviation of each pixel over the samples, averaged over the
# pixels, as a share of what it is for real images. The floor, real images in the place of samples, comes first.


# %%
def spread(images):
    return mx.std(images, axis=0).mean().item()


def show(name, scores, variety, figures=()):
    figures = "".join(f"{x:6.2f}" for x in figures)
    print(
        f"{name:18}{figures:24} {scores.fid:6.1f} {scores.precision:6.2f} "
        f"{scores.recall:6.2f} {scores.kl_from_uniform:6.2f} {variety:8.2f}"
    )


def report(name, generator, measured, undo=lambda images: images):
    z = mx.random.normal((n, generator.latent_dim), key=mx.random.key(1))
    images = undo(training.sample(generator, z))
    cards[name] = metrics.evaluate(images, reference)
    variety[name] = spread(images) / real_spread
    last[name] = measured[-50:].mean(axis=0)
    show(name, cards[name], variety[name], last[name])


def again(name):
    show(name, cards[name], variety[name], last[name])


HEAD = f"{'D':>24}{'G':>6}{'D(x)':>6}{'D(Gz)':>6}    FID  prec. recall     KL  variety"

# %%
n, steps = len(reference.real), 20 if mlxgan.SMOKE else 600
real_spread = spread(data.normalize(digits.images[:n]))
cards, variety, last = {}, {}, {}
healthy = small_dcgan()
healthy_run = play(healthy, steps)
print(HEAD)
show("floor", reference.floor, 1)
report("healthy", healthy[0], healthy_run)

# %% [markdown]
# `D` and `G` are the losses, the next two the mean outputs of the discriminator, all over the last 50 steps. `KL` is the
# divergence of the ten classes from uniform. After so few steps FID is far from the floor. What matters here is that
# the run makes all digits, in some variety.

# %% [markdown]
# (failure-collapse)=
# ## Mode collapse
#
# The generator finds an image that passes, and makes it from every noise vector. For a collapse that can be relied on,
# take the batch normalisation out of the discriminator and leave the rest as it is.
#
# **Predict**: will the losses look worse than those of the healthy run?

# %%
collapsed = [small_dcgan(seed, norm=False) for seed in range(3)]
collapsed_runs = [play(networks, steps) for networks in collapsed]
print(HEAD)
for seed in range(3):
    report(f"no norm, seed {seed}", collapsed[seed][0], collapsed_runs[seed])
again("healthy")

# %%
names = [f"no norm, seed {seed}" for seed in range(3)]
dead = [variety[name] < 0.1 and cards[name].recall < 0.01 for name in names]
print(f"variety below 0.1 and recall below 0.01 in {sum(dead)} of {len(dead)} runs")
print(f"KL where all samples are of one class: log 10 = {np.log(10):.2f}")
assert mlxgan.SMOKE or all(dead)


# %% mystnb={"figure": {"caption": "Left, three collapsed runs (a row each, eight samples from different noise) above the healthy one. Right, how often the classifier sees each digit.", "name": "fig-10-collapse"}, "image": {"alt": "Left: three rows in each of which the same blurred shape is repeated eight times, and a fourth row of differing ragged digits. Right: the collapsed run has one bar that reaches to nearly one, the healthy run ten bars around one tenth."}}
def eight(generator, seed=2):
    z = mx.random.normal((8, generator.latent_dim), key=mx.random.key(seed))
    return training.sample(generator, z)


_, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), width_ratios=[1.6, 1])
rows = mx.concatenate([eight(networks[0]) for networks in [*collapsed, healthy]])
left.imshow(plots.tile(rows, 8), cmap="gray", vmin=0, vmax=255)
left.set_axis_off()
one_class = max(names, key=lambda name: cards[name].kl_from_uniform)
for shift, name, color in ((-0.2, one_class, plots.FAKE), (0.2, "healthy", plots.REAL)):
    shares = cards[name].histogram
    right.bar(np.arange(10) + shift, shares, 0.38, color=color, label=name)
right.set(xlabel="digit", ylabel="share", xticks=range(10))
right.legend()
plt.show()

# %% [markdown]
# The samples leave no doubt, and variety and recall agree. Precision may be anything: if the one image is typical,
# all samples are. The class histogram may split, if the one image lies between two digits. And the curves?


# %% mystnb={"figure": {"caption": "The losses of a collapsed run (left) and of the healthy one, as running means over 20 steps.", "name": "fig-10-collapse-curves"}, "image": {"alt": "Two panels with the losses of discriminator and generator over the steps. On the left they swing up and down in turn, the generator's far above the discriminator's. On the right both are smooth and stay near one."}}
def draw_losses(runs, window=20):
    _, panels = plt.subplots(1, len(runs), figsize=(8, 2.8), sharey=True)
    for axes, (title, run) in zip(panels, runs.items(), strict=True):
        for column, color, who in ((0, plots.REAL, "D"), (1, plots.FAKE, "G")):
            means = np.convolve(run[:, column], np.ones(window) / window, "valid")
            axes.plot(np.arange(window, len(run) + 1), means, color=color, label=who)
        axes.set(title=title, xlabel="step")
    panels[0].set_ylabel("loss (nats)")
    panels[0].legend()
    plt.show()


draw_losses({"collapsed": collapsed_runs[0], "healthy": healthy_run}, min(20, steps))

# %% [markdown]
# They swing: the discriminator unlearns the image, the generator moves to the next, and so on. But the level proves nothing. The MLP
# GAN of [The training loop](06_training.ipynb) passed through such losses in its first epochs, and came to a good end.
#
# Why does it happen? A discriminator that sees one image at a time cannot object to repetition, since each copy alone may be plausible.
# It has to see *several* fakes at once. Batch normalisation lets it: a batch of equal images has no spread, and looks different
# after division by its deviation. This cure needs nothing new. The healthy run is one such run; here are two more seeds.

# %%
print(HEAD)
for seed in (1, 2):
    networks = small_dcgan(seed)
    report(f"norm, seed {seed}", networks[0], play(networks, steps))
    assert mlxgan.SMOKE or variety[f"norm, seed {seed}"] > 0.5

# %% [markdown]
# Other cures are to show the discriminator the spread as a feature ([Salimans et al., 2016](../book/bibliography.md#salimans-et-al-2016)), to judge samples in packs
# ([Lin et al., 2018](../book/bibliography.md#lin-et-al-2018)) (exercise 2), to let the generator look a few of the discriminator's steps ahead ([Metz et al., 2017](../book/bibliography.md#metz-et-al-2017)), or
# the gradient penalty of [What makes training stable](11_stability.ipynb).

# %% [markdown]
# (failure-wins)=
# ## A discriminator that wins
#
# Telling noise from digits is easy. A discriminator that gets ahead before the generator has moved is sure of everything,
# and under the saturating loss of [Losses and optimizers](05_losses.ipynb) a sure opponent teaches nothing. Here a discriminator, again without
# normalisation, gets a head start against an untrained generator. On the way we measure the gradient that would reach the
# generator.


# %%
def head_start(networks, steps):
    generator, discriminator = networks
    optimizer = recipes.adam(1e-3)
    optimizer.init(discriminator.trainable_parameters())

    def loss_of_discriminator(real, fake):
        return losses.discriminator_loss(discriminator(real), discriminator(fake))

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    for real in islice(stream(), steps):
        fake = generator(mx.random.normal((len(real), generator.latent_dim)))
        value, gradients = grad_d(real, mx.stop_gradient(fake))
        optimizer.update(discriminator, gradients)
        mx.eval(value, discriminator.state, optimizer.state)


def gradient_of(networks, loss):
    generator, discriminator = networks
    z = mx.random.normal((64, generator.latent_dim), key=mx.random.key(5))
    measured = nn.value_and_grad(generator, lambda z: loss(discriminator(generator(z))))
    squares = [mx.square(g).sum() for _, g in tree_flatten(measured(z)[1])]
    return mx.sqrt(sum(squares)).item()


# %%
saturating, other = losses.saturating_generator_loss, losses.generator_loss
networks, ahead = small_dcgan(norm=False), 0
gradients = []
for more in (0, 2, 3) if mlxgan.SMOKE else (0, 5, 5, 10, 30, 50, 100):
    head_start(networks, more)
    ahead += more
    gradients.append((ahead, *(gradient_of(networks, f) for f in (saturating, other))))
    print(
        "{:3d} steps ahead: saturating {:.0e}, non-saturating {:.0e}".format(
            *gradients[-1]
        )
    )

# %% mystnb={"figure": {"caption": "Length of the gradient that reaches the generator, by the head start of the discriminator.", "name": "fig-10-gradients"}, "image": {"alt": "Two lines on a logarithmic axis over the steps of head start. Both begin at the same height and rise together; after about ten steps the line of the saturating loss falls by many orders of magnitude, and that of the non-saturating one stays high."}}
_, axes = plt.subplots()
ahead, saturated, unsaturated = np.array(gradients).T
axes.semilogy(ahead, saturated, "o-", color=plots.FAKE, label="saturating")
axes.semilogy(ahead, unsaturated, "o-", color=plots.REAL, label="non-saturating")
axes.set(xlabel="head start of the discriminator (steps)", ylabel="length of gradient")
axes.legend()
plt.show()

# %% [markdown]
# **Predict**: now both play on. Does the vanished gradient stop the generator? With plain gradient descent? With Adam, which
# divides the gradient by its own size?


# %%
def play_on(loss_g, optimizer_g):
    networks = small_dcgan(norm=False)
    head_start(networks, 5 if mlxgan.SMOKE else 200)
    first = eight(networks[0])
    run = play(networks, steps // 4, optimizer_g, loss_g=loss_g)
    change = 127.5 * mx.abs(eight(networks[0]) - first).mean().item()
    print(f"{change:5.1f} grey levels a pixel, D(G(z)) {run[-20:, 3].mean():.0e}")
    return run


for name, loss_g in (("saturating", saturating), ("non-saturating", other)):
    for optimizer in (optim.SGD(1e-2), recipes.adam(1e-3)):
        print(f"{name:14} {type(optimizer).__name__:5}", end=" ")
        play_on(loss_g, optimizer)

# %% [markdown]
# Under the saturating loss gradient descent stands still: the samples are what they were. Under the other loss it moves. With Adam both
# move, for it divides a tiny gradient by its tiny size ([Losses and optimizers](05_losses.ipynb)). That hides the fault, and does not make the direction a
# good one.
#
# *Cure*: the non-saturating loss, and a discriminator that cannot get so far ahead. With normalisation the game goes on after the
# same head start:

# %%
print(HEAD)
cured = small_dcgan()
head_start(cured, 5 if mlxgan.SMOKE else 200)
cured_run = play(cured, steps)
report("norm, head start", cured[0], cured_run)
again("healthy")

# %% [markdown]
# (failure-norm)=
# ## Real and fake in one batch
#
# It looks like a saving: put real images and fakes into one batch, and call the discriminator once. [Convolutions](09_convolutions.ipynb) showed
# that with batch normalisation the logit of an image depends on the images beside it. What does that do to the game?
#
# `make_variant` is `make_step` of [The training loop](06_training.ipynb) with two switches: `judge` says how the discriminator
# sees the two batches, and `noise_state` is for the next section.


# %%
def apart(discriminator, real, fake):
    return discriminator(real), discriminator(fake)


def together(discriminator, real, fake):
    return mx.split(discriminator(mx.concatenate([real, fake])), 2)


# %%
def make_variant(
    generator, discriminator, optimizer_g, optimizer_d, judge=apart, noise_state=True
):
    def loss_of_discriminator(real, fake):
        logits_real, logits_fake = judge(discriminator, real, fake)
        d_real, d_fake = mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()
        return losses.discriminator_loss(logits_real, logits_fake), d_real, d_fake

    grad_d = nn.value_and_grad(discriminator, loss_of_discriminator)
    loss_g = losses.generator_loss
    grad_g = nn.value_and_grad(generator, lambda z: loss_g(discriminator(generator(z))))
    state = [generator.state, discriminator.state, optimizer_g.state, optimizer_d.state]
    state += [mx.random.state] if noise_state else []

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real):
        shape = (real.shape[0], generator.latent_dim)
        fake = mx.stop_gradient(generator(mx.random.normal(shape)))
        (value_d, d_real, d_fake), gradients = grad_d(real, fake)
        optimizer_d.update(discriminator, gradients)
        value_g, gradients = grad_g(mx.random.normal(shape))
        optimizer_g.update(generator, gradients)
        return mx.stack([value_d, value_g, d_real, d_fake])

    return step, state


# %%
mixed = small_dcgan()
mixed_run = play(mixed, steps, make_step=partial(make_variant, judge=together))
print(HEAD)
report("together", mixed[0], mixed_run)
again("healthy")
print(f"a generator's loss of log 2 = {np.log(2):.2f} means D(G(z)) = 0.5")

# %% mystnb={"figure": {"caption": "Real and fake in one batch (left) and apart (right). On the left the discriminator is certain in its own step, and is fooled in the generator's.", "name": "fig-10-mixed"}, "image": {"alt": "Two panels of losses. On the left the discriminator's loss is at zero almost from the start, and the generator's is flat at first and then sinks, always below one. On the right both lie around one."}}
draw_losses({"together": mixed_run, "apart": healthy_run}, min(20, steps))

# %% [markdown]
# The two losses contradict each other. In the discriminator's step no fake passes; in the generator's, fakes from the same
# generator do as well as a guess, or better. Both are true, of different functions. In the mixed batch the shared statistics
# betray which half is which. In the generator's batch, of fakes alone, the statistics are others, and what the discriminator has
# learnt does not apply. Its gradient leads nowhere.
#
# *Cure*: two calls, a batch each, as the book does. Or no normalisation over the batch.

# %% [markdown]
# (failure-noise)=
# ## The noise that never changes
#
# [MLX in a quarter of an hour](02_mlx.ipynb) showed that a compiled function keeps its first random numbers if `mx.random.state` is not among its inputs
# and outputs.


# %% tags=["nbval-check-output"]
def two_draws():
    return mx.random.normal((2, 3)), mx.random.normal((2, 3))


mx.random.seed(0)
state = [mx.random.state]
forgetful = mx.compile(two_draws)
mindful = mx.compile(two_draws, inputs=state, outputs=state)
for name, draw in (("forgotten", forgetful), ("named", mindful)):
    first, second = draw(), draw()
    print(
        f"state {name}: the same in the next call {mx.array_equal(first[0], second[0]).item()}, "
        f"the same twice in a call {mx.array_equal(*first).item()}"
    )

# %% [markdown]
# **Predict**: what becomes of the game? A step draws twice, once for each player, and both draws are now constants. The
# discriminator sees fakes from 64 vectors only, and the generator trains on 64 *others*.

# %%
frozen = small_dcgan()
frozen_run = play(frozen, steps, make_step=partial(make_variant, noise_state=False))
print(HEAD)
report("state forgotten", frozen[0], frozen_run)
again("healthy")

# %% mystnb={"figure": {"caption": "The state of the random numbers forgotten (left) and named (right). Both players seem to win at once.", "name": "fig-10-frozen"}, "image": {"alt": "Two panels of losses. On the left both losses fall towards zero, jump up together and fall again, several times. On the right both lie around one."}}
draw_losses({"forgotten": frozen_run, "named": healthy_run}, min(20, steps))

# %% [markdown]
# Both losses fall to near 0, jump together, and fall again. In an honest game they cannot both be small: one says that fakes are
# caught, the other that they pass. They are about different fakes. The discriminator knows its 64, and of the generator's
# own 64 it never hears. So these are free to become whatever passes.
#
# *Cure*: name `mx.random.state` in `inputs` and `outputs`. A test takes two lines: the fakes of two steps must
# differ.

# %% [markdown]
# (failure-memory)=
# ## Memory that grows
#
# [The training loop](06_training.ipynb) asked when to evaluate. Here is the form in which forgetting hurts most. A loop evaluates its losses
# and its state, as it should, and keeps a picture from fixed noise in each step, to be looked at later. The picture is lazy. It is a
# promise, and what is needed to fulfil it is kept: the weights of that step.


# %%
def growth(keep, evaluate, steps=20 if mlxgan.SMOKE else 60):
    mx.random.seed(0)
    networks = models.MLPGenerator(), models.MLPDiscriminator()
    optimizers = recipes.adam(), recipes.adam()
    step, state = training.make_step(*networks, *optimizers)
    fixed_z, kept, memory = mx.random.normal((16, 100)), [], []
    for real in islice(stream(), steps):
        losses_now = step(real)
        kept.append({"losses": losses_now, "pictures": networks[0](fixed_z)}[keep])
        mx.eval(state, kept[-1] if evaluate else [])
        memory.append(mx.get_active_memory() / 2**20)
    return memory


# %%
memory = {
    (keep, evaluate): growth(keep, evaluate)
    for keep in ("losses", "pictures")
    for evaluate in (True, False)
}
for (keep, evaluate), used in memory.items():
    name = f"{keep}, {'evaluated' if evaluate else 'lazy'}"
    print(f"{name:20} {(used[-1] - used[4]) / (len(used) - 5):6.2f} MiB a step")
weights = sum(w.nbytes for _, w in tree_flatten(models.MLPGenerator().parameters()))
print(f"{'weights of G':20} {weights / 2**20:6.2f} MiB")

# %% mystnb={"figure": {"caption": "Memory in use over the steps, from the same loop. Lazy pictures keep every generation of the weights alive.", "name": "fig-10-memory"}, "image": {"alt": "A line of memory over steps for pictures that are kept lazily rises steeply and straight; the line for evaluated pictures stays flat at the bottom."}}
_, axes = plt.subplots()
for evaluate, color, name in (
    (False, plots.FAKE, "lazy"),
    (True, plots.REAL, "evaluated"),
):
    used = np.array(memory["pictures", evaluate])
    axes.plot(used - used[0], color=color, label=name)
axes.set(xlabel="step", ylabel="growth (MiB)")
axes.legend()
plt.show()

# %% tags=["nbval-check-output"]
lazy, evaluated = memory["pictures", False], memory["pictures", True]
print(
    "lazy pictures hold the weights:",
    lazy[-1] - lazy[0] > 0.8 * weights / 2**20 * (len(lazy) - 1),
)
print("evaluated pictures do not:", evaluated[-1] - evaluated[0] < 2 * weights / 2**20)

# %% [markdown]
# The growth is the generator's size a step. Lazy *losses* cost little as long as the state is evaluated with them: the
# large parts of their graph have been computed, and a few scalars are left. That is luck of the graph, not a rule.
#
# *Cure*: `mx.eval` on all that outlives the step. *Test*: `mx.get_active_memory()` once an epoch. It must not grow.

# %% [markdown]
# (failure-sigmoid)=
# ## Sigmoid twice
#
# Many tutorials end the discriminator in a sigmoid and use a loss of probabilities. The losses of this book take logits, and
# apply the sigmoid themselves. Take the network from one place and the loss from the other, and it is applied twice.
# Nothing complains.
#
# **Predict**: what is the smallest loss that the discriminator can reach?

# %% tags=["nbval-check-output"]
for p_real, p_fake in ((1.0, 0.0), (0.5, 0.5), (0.0, 0.0), (0.0, 1.0)):
    loss_d = losses.discriminator_loss(mx.array([p_real]), mx.array([p_fake]))
    loss_g = losses.generator_loss(mx.array([p_fake]))
    seen = [mx.sigmoid(mx.array(p)).item() for p in (p_real, p_fake)]
    print(
        f"probabilities {p_real}, {p_fake}: loss D {loss_d.item():.3f}, "
        f"loss G {loss_g.item():.3f}, 'D(x)' {seen[0]:.3f}, 'D(G(z))' {seen[1]:.3f}"
    )

# %% [markdown]
# A perfect discriminator has a loss of 1.006 and not of 0. All outputs lie between 0.5 and 0.731, on fakes too. The
# generator's loss stays between 0.313 and 0.693. Figures in these bounds, and never outside of them, are the signature.


# %%
class Squashed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __call__(self, images):
        return mx.sigmoid(self.inner(images))


def squash(networks):
    return networks[0], Squashed(networks[1])


twice = squash(small_dcgan())
twice_run = play(twice, steps)
mx.random.seed(0)
twice_mlp = squash((models.MLPGenerator(), models.MLPDiscriminator()))
twice_mlp_run = play(twice_mlp, steps)

# %%
print(HEAD)
report("twice, DCGAN", twice[0], twice_run)
report("twice, MLP", twice_mlp[0], twice_mlp_run)
again("healthy")
print(f"equilibrium of the theory: {2 * np.log(2):.2f}, {np.log(2):.2f}, 0.50, 0.50")
real = next(stream())
print(
    f"MLP: largest output on real images {twice_mlp[1](real).max().item():.0e}, "
    f"gradient of G {gradient_of(twice_mlp, losses.generator_loss):.0e}"
)

# %% [markdown]
# The DCGAN's losses alone could pass for healthy ones. Its outputs cannot: fakes are at 0.5, the lowest value there is, and the
# discriminator pushes on in vain. The MLP GAN is treacherous. Its figures are those of the perfect equilibrium, and its samples are all
# the same. The inner sigmoid has gone to 0, on real images too. There it has no slope, next to no gradient comes through, and the run
# stands still.
#
# *Cure*: one sigmoid. Let the discriminator return logits; nobody but the loss needs the probability.

# %% [markdown]
# (failure-range)=
# ## The wrong range of pixels
#
# The generator ends in tanh and makes pixels from -1 to 1. Many loaders of MNIST give 0 to 1.


# %% tags=["nbval-check-output"]
def to_unit(images):
    return (images + 1) / 2


for name, images in (("right", real), ("wrong", to_unit(real))):
    print(f"{name}: from {images.min().item():g} to {images.max().item():g}")

# %%
ranged = small_dcgan()
ranged_run = play(ranged, steps, prepare=to_unit)
print(HEAD)
report("wrong, as it is", ranged[0], ranged_run)
report("wrong, mapped back", ranged[0], ranged_run, undo=lambda x: 2 * x - 1)
again("healthy")

# %% mystnb={"figure": {"caption": "Samples of a generator that was trained on pixels from 0 to 1: drawn as they are (above), mapped back to the range from -1 to 1 (middle), and of the healthy run (below).", "name": "fig-10-range"}, "image": {"alt": "Three rows of eight samples. The first has dark digits on a flat grey background; in the second the same digits stand on white among specks; the third has cleaner digits on white."}}
wrong = eight(ranged[0])
plots.digits(mx.concatenate([wrong, 2 * wrong - 1, eight(healthy[0])]), columns=8)

# %%
pixels = eight(ranged[0])
print(
    f"generated pixels below 0, where no real one is: {(pixels < 0).mean().item():.0%}"
)

# %% [markdown]
# Drawn and scored as they are, the samples are useless: background is 0, which every function of this book takes for grey. Mapped back, they
# are digits. So the range does not stop the game. It makes it harder: background has to be hit at 0, in the steep middle of
# tanh, where -1 comes by itself at its end. The discriminator sees each miss below 0. How much of the gap in the scores is due to
# that, one seed cannot say.
#
# *Cure*: one function that normalizes (`data.normalize`), and one line before the loop that stops a wrong batch:
# `assert real.min() < -0.9 and real.max() > 0.9`.

# %% [markdown]
# ## A thousand modes
#
# Ten digits are few. *Stacked MNIST* asks more: three random digits in the three colour channels of an image, so that there
# are 1,000 combinations, nearly equally frequent. How many of them does a generator make?


# %%
def stack(count, seed):
    picks = np.random.default_rng(seed).integers(len(digits), size=(3, count))
    channels = [digits.images[mx.array(pick.astype(np.uint32))] for pick in picks]
    images = mx.concatenate(channels, axis=-1)
    return data.Digits(images, mx.zeros(count, mx.int32), "stacked MNIST")


triples = stack(640 if mlxgan.SMOKE else 60_000, seed=0)
print(triples.name, "from", digits.name, triples.images.shape)

# %% [markdown]
# The classifier reads each channel, and the three digits make a number from 0 to 999. Real triples come first: what they
# reach is what the counting itself allows.

# %%
judge = checkpoints.load_pretrained("classifier")
drawn = 2_560 if mlxgan.SMOKE else 25_600


def modes(images):
    channels = [images[..., i : i + 1] for i in range(3)]
    ones, tens, hundreds = (
        metrics.features(judge, channel)[1].argmax(axis=1) for channel in channels
    )
    counts = np.bincount(ones + 10 * tens + 100 * hundreds, minlength=1000)
    return (counts > 0).sum(), metrics.kl_from_uniform(counts / counts.sum())


print("real triples: {} modes, KL {:.3f}".format(*modes(stack(drawn, seed=1).images)))

# %%
mx.random.seed(0)
generator = models.DCGANGenerator(image_channels=3)
discriminator = models.DCGANDiscriminator(image_channels=3)
average = models.DCGANGenerator(image_channels=3)
history = training.train(
    generator,
    discriminator,
    triples,
    epochs=2 if mlxgan.SMOKE else 3,
    optimizer_g=recipes.adam(1e-3),
    optimizer_d=recipes.adam(1e-3),
    average=average,
)
print(f"{sum(history.seconds) / 60:.1f} minutes")

# %%
z = mx.random.normal((drawn, generator.latent_dim), key=mx.random.key(1))
for name, network in (("last", generator), ("average", average)):
    stacked = data.to_uint8(training.sample(network, z))
    found, divergence = modes(stacked)
    print(f"{name:8} {found} of 1,000 modes, KL {divergence:.3f}")

# %% mystnb={"figure": {"caption": "Stacked MNIST, a digit a colour channel: real triples above, samples of the averaged generator below.", "name": "fig-10-stacked"}, "image": {"alt": "Two rows of eight images in which three digits in red, green and blue lie over each other on black. The upper row is sharp; in the lower one the digits are ragged but can be told."}}
rows = [np.array(images[:8]) for images in (triples.images, stacked)]
_, axes = plt.subplots(figsize=(7, 1.9))
axes.imshow(np.concatenate([np.concatenate(row, axis=1) for row in rows]))
axes.set_axis_off()
plt.show()

# %% [markdown]
# Nearly all modes are there, but not evenly: the divergence is many times that of real triples. The count is close to its limit and
# can say little more; the divergence still can. And the average is ahead of the last state.
#
# [Srivastava et al. (2017)](../book/bibliography.md#srivastava-et-al-2017) report 99 modes for a DCGAN and 150 for their VEEGAN, [Lin et al. (2018)](../book/bibliography.md#lin-et-al-2018) all 1,000 for PacGAN. These
# figures are no race with ours: the networks, their training and the classifiers are others, and a classifier that errs finds modes
# that nobody drew. Compare within one setting, and beside the figures of real triples.
#
# ```{admonition} If it goes wrong
# :class: warning
# It will, in some eighth way. Then: look at samples from fixed noise; print the range of a real batch and of a fake one; print
# both losses and both mean outputs of single steps, and ask whether they can be true together; measure the gradient that
# reaches the generator; count the classes. Change one thing at a time, and keep a run that works beside it.
# ```
#
# ## Summary
#
# - Mode collapse shows in the samples, in their variety and in recall. The losses swing, but their level proves nothing.
# - A discriminator that is far ahead silences the saturating loss.
# - Losses that cannot both be true are a bug: the two players do not see the same function, or not the same noise.
# - What outlives a step must be evaluated in it.
# - Know the values that a correct run can take. Bounds at 1.006 or 0.731 betray a second sigmoid.
# - Check the range of the pixels before the first step.
#
# ## Exercises
#
# ```{exercise} Before the first step
# :label: ex-10-preflight
# Three of the failures can be found before training. Write a function that looks at two fresh networks and a batch, and reports a
# wrong range of pixels, outputs that are probabilities, and noise that repeats itself.
# ```

# %% [markdown]
# ```{solution-start} ex-10-preflight
# :class: dropdown
# ```


# %% tags=["nbval-check-output"]
def preflight(networks, real, draw):
    generator, discriminator = networks
    fake = generator(draw())
    logits = mx.concatenate([discriminator(real), discriminator(fake)])
    found = []
    if real.min() > -0.9 or real.max() < 0.9:
        found.append("range of pixels")
    if logits.min() >= 0 and logits.max() <= 1:
        found.append("outputs are probabilities")
    if mx.array_equal(draw(), draw()):
        found.append("noise repeats itself")
    return ", ".join(found) or "nothing found"


def noise():
    return mx.random.normal((64, 100))


print(preflight(small_dcgan(), real, noise))
print(preflight(squash(small_dcgan()), to_unit(real), mx.compile(noise)))

# %% [markdown]
# The others need a few steps to show.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Packs
# :label: ex-10-pack
# PacGAN ([Lin et al., 2018](../book/bibliography.md#lin-et-al-2018)) lets the discriminator judge two images at once, laid over each other as channels: both real, or both fake.
# Give the collapsing run, without normalisation, such a discriminator. Does it help?
# ```

# %% [markdown]
# ```{solution-start} ex-10-pack
# :class: dropdown
# ```


# %%
class Packed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __call__(self, images):
        return self.inner(mx.concatenate(mx.split(images, 2), axis=-1))


generator, inner = small_dcgan(norm=False, image_channels=2)
run = play((generator, Packed(inner)), steps)
print(HEAD)
report("packs of two", generator, run)
again(names[0])

# %% [markdown]
# It helps. With pairs, the discriminator without normalisation sees repetition, and variety is back. The only change is what it is
# shown.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} The floor of a count
# :label: ex-10-floor
# How many of 1,000 equally frequent modes are missing from 25,600 draws by chance, and what KL divergence do such draws have?
# Compare with $999 / (2 \cdot 25{,}600)$.
# ```

# %% [markdown]
# ```{solution-start} ex-10-floor
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(0)
draws = [
    np.bincount(rng.integers(1000, size=25_600), minlength=1000) for _ in range(20)
]
divergences = [metrics.kl_from_uniform(c / c.sum()) for c in draws]
print("expected to be missing:", f"{1000 * (1 - 1 / 1000) ** 25_600:.0e}")
print(f"KL {np.mean(divergences):.4f}, by the formula {999 / (2 * 25_600):.4f}")

# %% [markdown]
# None will be missing. But the divergence is not 0, since counts scatter. The real triples are above this floor for another
# reason besides: the digits of MNIST are not quite equally frequent.

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Further reading
#
# [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016) list remedies for collapse that are still in use. [Metz et al. (2017)](../book/bibliography.md#metz-et-al-2017) look ahead, [Lin et al. (2018)](../book/bibliography.md#lin-et-al-2018) pack, and
# [Srivastava et al. (2017)](../book/bibliography.md#srivastava-et-al-2017) train a network that maps images back to noise; stacked MNIST comes from the first of these three.
# [Arjovsky et al. (2017)](../book/bibliography.md#arjovsky-et-al-2017) propose a critic that may be trained far ahead and still gives the generator a gradient.
