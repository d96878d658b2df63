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
# # What makes training stable
#
# There are a dozen recipes against unstable GANs. In this chapter you write the best known, check
# each against its formula, and see what twenty-four runs say about them.
#
# ```{admonition} What you will learn
# :class: important
# - write least squares, hinge and Wasserstein losses, and say what their gradients do
# - write a gradient penalty, whose gradient is a second derivative, without a NaN
# - normalize a layer by its largest singular value
# - read an ablation: which differences are larger than the spread between seeds
#
# **Before**: [Losses and optimizers](05_losses.ipynb), [Measuring](08_measuring.ipynb) and [Convolutions](09_convolutions.ipynb).
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import data, losses, models, plots, recipes, training

import json
from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np

digits = data.load("train")
real, _ = next(data.batches(digits, 64, seed=0))

# %% [markdown]
# ## Other losses
#
# The cross-entropy asks the discriminator for a probability. Other losses take its logit as a plain number.
#
# *Least squares* ([Mao et al., 2017](../book/bibliography.md#mao-et-al-2017)) draws the logits of real images to 1 and those of fakes to 0, and the generator draws its fakes
# to 1. *Hinge* ([Lim and Ye, 2017](../book/bibliography.md#lim-and-ye-2017)) wants real images above 1 and fakes below -1, and is content with what is; the generator just
# raises the logits of its fakes. *Wasserstein* ([Arjovsky et al., 2017](../book/bibliography.md#arjovsky-et-al-2017)) drops the margins, too: the discriminator, now called a *critic*,
# raises real images and lowers fakes without an end. It needs a bound on its slope, to which we come below.


# %%
def least_squares_discriminator_loss(logits_real, logits_fake):
    return (mx.square(logits_real - 1).mean() + mx.square(logits_fake).mean()) / 2


def least_squares_generator_loss(logits_fake):
    return mx.square(logits_fake - 1).mean() / 2


def hinge_discriminator_loss(logits_real, logits_fake):
    return nn.relu(1 - logits_real).mean() + nn.relu(1 + logits_fake).mean()


def wasserstein_critic_loss(logits_real, logits_fake):
    return logits_fake.mean() - logits_real.mean()


def wasserstein_generator_loss(logits_fake):
    return -logits_fake.mean()


# %% [markdown]
# What the generator learns from is the slope of its loss by the logit of a fake. {numref}`fig-11-slopes` shows it.
#
# **Predict**: a fake that the discriminator is sure of has a logit of -5. Which of the losses give it the largest slope, which
# none?

# %%
generator_losses = {
    "saturating": losses.saturating_generator_loss,
    "non-saturating": losses.generator_loss,
    "least squares": least_squares_generator_loss,
    "hinge, Wasserstein": wasserstein_generator_loss,
}
logit = mx.linspace(-6, 6, 121)
slopes = {
    name: mx.vmap(mx.grad(lambda ell, loss=loss: loss(ell[None])))(logit)
    for name, loss in generator_losses.items()
}

# %% mystnb={"figure": {"caption": "Slope of the generator's losses by the logit of a fake. On the left, where the discriminator is sure of the fake, the saturating loss has no slope and the least squares one the steepest.", "name": "fig-11-slopes"}, "image": {"alt": "Four curves of slope against logit. The saturating one is flat at zero on the left and goes to minus one on the right; the non-saturating one is its mirror image; least squares is a rising straight line; hinge and Wasserstein are constant at minus one."}}
_, axes = plt.subplots()
for name, slope in slopes.items():
    axes.plot(np.array(logit), np.array(slope), label=name)
axes.axvline(0, color=plots.GREY, linewidth=1, linestyle=":")
axes.set(xlabel="logit of a fake", ylabel="slope", ylim=(-3, 3))
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# On the far right, where the discriminator takes a fake for very real, least squares pushes it back. No other loss does.
#
# Each loss of `mlxgan.losses` is tested against its formula by finite differences. For one of them, in place:

# %% tags=["nbval-check-output"]
ell_real, ell_fake = mx.array([0.3, 2.0, -1.0]), mx.array([-1.5, 0.2, 0.7])
slope = mx.grad(hinge_discriminator_loss, argnums=1)(ell_real, ell_fake)
step = 1e-2 * mx.eye(3)
numeric = [
    hinge_discriminator_loss(ell_real, ell_fake + row)
    - hinge_discriminator_loss(ell_real, ell_fake - row)
    for row in step
]
print("gradient:           ", [f"{value:.3f}" for value in slope.tolist()])
print("finite differences: ", [f"{value.item() / 2e-2:.3f}" for value in numeric])

# %% [markdown]
# The first fake lies below -1, and the hinge has nothing more to ask of it.
#
# ## A penalty on the gradient
#
# A critic without a bound would just multiply itself by a large number. The theory wants it to be 1-Lipschitz: between two
# images it may rise by no more than their distance. [Gulrajani et al. (2017)](../book/bibliography.md#gulrajani-et-al-2017) observe that the best such critic has a gradient of
# length 1 on the lines between real images and fakes, and add to its loss
#
# $$10 \cdot \mathbb E\,\big(\lVert\nabla_x\, \ell(x)\rVert - 1\big)^2, \qquad x = u\,x_\text{real} + (1 - u)\,x_\text{fake},
# \quad u \text{ uniform on } [0, 1].$$


# %%
def gradient_penalty(critic, real, fake, weight=10.0):
    mix = mx.random.uniform(shape=(len(real), 1, 1, 1))
    between = mix * real + (1 - mix) * fake
    gradients = mx.grad(lambda images: critic(images).sum())(between)
    lengths = mx.sqrt(mx.square(gradients).sum(axis=(1, 2, 3)) + 1e-12)
    return weight * mx.square(lengths - 1).mean()


# %% [markdown]
# Three details have cost people days.
#
# *The sum in the third line.* The gradient of the summed logits by all images is, row by row, the gradient of each logit by its own
# image, but only if the logits do not depend on each other's images. With batch normalisation they do. A critic under this penalty
# has none.
#
# *The mixing.* The weight $u$ is uniform. Copies of this code are about that draw it from a normal distribution; then a good part of
# the points lies outside of the line between the two images.
#
# *The root.* **Predict**: what is the gradient of $\sqrt{x^2}$ at 0?

# %% tags=["nbval-check-output"]
for small in (0.0, 1e-12):
    length = mx.grad(lambda x, small=small: mx.sqrt(mx.square(x).sum() + small))
    print(f"with {small:g} under the root: {length(mx.zeros(2)).tolist()}")

# %% [markdown]
# The chain rule multiplies an infinite slope by 0. It takes a single image at which the critic is flat, such as all units off, to
# turn every weight into NaN.
#
# The penalty is a function of a gradient, and training it takes a gradient of that: a second derivative. MLX nests `mx.grad` without
# further ado. The check: for a critic $\ell(x) = w \cdot x$ the gradient has the length $\lVert w\rVert$ everywhere, so the penalty is
# $(\lVert w\rVert - 1)^2$, and its gradient by $w$ is $2(\lVert w\rVert - 1)\,w / \lVert w\rVert$.

# %% tags=["nbval-check-output"]
w = mx.full((28, 28, 1), 2 / 28)  # length 2
fake = mx.random.normal(real.shape)


def penalty_of(w):
    def critic(x):
        return (w * x).sum(axis=(1, 2, 3))

    return gradient_penalty(critic, real, fake, weight=1.0)


print(f"penalty {penalty_of(w).item():.3f}, expected {(2 - 1) ** 2:.3f}")
expected = 2 * (2 - 1) * w / 2
print(
    "gradient as expected:",
    mx.allclose(mx.grad(penalty_of)(w), expected, atol=1e-5).item(),
)

# %% [markdown]
# The step is that of [The training loop](06_training.ipynb): it takes the penalty as an argument, and adds it to the discriminator's loss.

# %% [markdown]
# A few steps show the penalty at work: the critic's gradient between real images and fakes approaches the length 1.

# %%
mx.random.seed(0)
generator = models.DCGANGenerator(channels=16, hidden=128)
critic = models.DCGANDiscriminator(channels=16, hidden=128, norm=False)
optimizers = recipes.adam(), recipes.adam(1e-3)
optimizers[0].init(generator.trainable_parameters())
optimizers[1].init(critic.trainable_parameters())
step, state = training.make_step(
    generator,
    critic,
    *optimizers,
    loss_g=losses.wasserstein_generator_loss,
    loss_d=losses.wasserstein_critic_loss,
    penalty=losses.gradient_penalty,
)


def mean_length():
    between = 0.5 * real + 0.5 * generator(mx.random.normal((64, 100)))
    gradients = mx.grad(lambda x: critic(x).sum())(between)
    return mx.sqrt(mx.square(gradients).sum(axis=(1, 2, 3))).mean().item()


for steps in (0, 20, 80) if mlxgan.SMOKE else (0, 50, 200):
    for _ in range(steps):
        mx.eval(step(real), state)
    print(f"after {steps:3d} more steps: mean length {mean_length():.3f}")

# %% [markdown]
# ## Spectral normalisation
#
# The other way to bound the critic's slope works on its layers. A linear layer stretches no vector by more than the largest singular
# value of its matrix. Divided by it, the layer stretches nothing; and since the leaky ReLU does not either, the whole network
# is bounded ([Miyato et al., 2018](../book/bibliography.md#miyato-et-al-2018)).
#
# The largest singular value comes from *power iteration*: multiply a vector by the matrix and its transpose in turn, and it
# turns towards the direction that is stretched most. Weights change little in one step, so the vector is kept from step to step, and
# one iteration a step is enough.


# %%
class SpectralNorm(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.u = mx.random.normal((len(layer.weight),))
        self.freeze(keys="u", recurse=False)

    def __call__(self, x):
        matrix = self.layer.weight.reshape(len(self.layer.weight), -1)
        still = mx.stop_gradient(matrix)
        v = self.u @ still
        v = v / mx.linalg.norm(v)
        u = still @ v
        u = u / mx.linalg.norm(u)
        if self.training:
            self.u = u
        bias = self.layer.bias
        return (self.layer(x) - bias) / (u @ matrix @ v) + bias


# %% [markdown]
# The layer is linear apart from its bias, so its *output* can be divided, and the layer may be a convolution as well. `u` is state and
# no parameter to be learnt: it is frozen, and travels with `discriminator.state` through the compiled step. Gradients flow through
# the matrix in the last line, and not through the two vectors.
#
# **Predict**: after how many calls is the estimate within one per cent?

# %% tags=["nbval-check-output"]
mx.random.seed(0)
layer = nn.Linear(200, 100)
exact = np.linalg.svd(np.array(layer.weight), compute_uv=False)[0]
normal, x = SpectralNorm(layer), mx.random.normal((4, 200))
for call in range(1, 201):
    y = normal(x)
    sigma = ((layer(x) - layer.bias) / (y - layer.bias)).mean().item()
    if call in (1, 200):
        print(f"call {call:3d}: estimate / singular value = {sigma / exact:.2f}")

# %% [markdown]
# A random matrix is the slowest case, for its singular values lie close together. Trained ones have a gap, and the iteration goes on
# over thousands of steps while they change.
#
# ## Three smaller means
#
# *Two time scales* ([Heusel et al., 2017](../book/bibliography.md#heusel-et-al-2017)): the discriminator learns faster than the generator, so that it is nearer to its best answer
# when the generator asks. In code: two learning rates.
#
# *One-sided label smoothing* ([Salimans et al., 2016](../book/bibliography.md#salimans-et-al-2016)): real images are called 0.9 instead of 1. The best discriminator is then
# $0.9\,p_\text{data} / (p_\text{data} + p_g)$, and its logit cannot go to infinity. Only the real side is smoothed: a label of 0.1
# for fakes would praise the generator for what it does wrong.


# %% tags=["nbval-check-output"]
def smoothed_discriminator_loss(logits_real, logits_fake, label=0.9):
    towards_real = label * nn.softplus(-logits_real) + (1 - label) * nn.softplus(
        logits_real
    )
    return towards_real.mean() + nn.softplus(logits_fake).mean()


grid = mx.linspace(-8, 8, 16001)[:, None]
certain = mx.full((1,), -100.0)  # no fakes in sight
values = mx.vmap(lambda ell: smoothed_discriminator_loss(ell, certain))(grid)
best = grid[values.argmin()].item()
print(
    f"best logit of a real image: {best:.2f}, and D(x) there: {1 / (1 + np.exp(-best)):.2f}"
)

# %% [markdown]
# *Averaging the weights* ([Yazıcı et al., 2019](../book/bibliography.md#yazıcı-et-al-2019)) was introduced in [The training loop](06_training.ipynb).
#
# ## Twenty-four runs
#
# Which of these help? A single run cannot say, as the same setting with another seed gives another generator. So each of eight settings
# was trained with three seeds, two epochs each, all other things equal: the DCGAN of [Convolutions](09_convolutions.ipynb) at half its width, batch 64, a constant learning
# rate of 1e-3 for both unless stated. Each run is measured by 10,000 samples of its last state and of its average. `make ablation`
# repeats them; this chapter reads the stored results.

# %%
stored = json.loads(Path("../book/data/ablation.json").read_text())
runs = stored["runs"]
print(f"{stored['machine']}, {stored['epochs']} epochs, {stored['samples']:,} samples")
print(f"{len(runs)} settings, {sum(len(seeds) for seeds in runs.values())} runs")


def column(setting, measure, which="average"):
    """A measure's values, one for each seed."""
    return np.array([run[which][measure] for run in runs[setting]])


# %%
print(f"{'':37} {'FID':>16} {'precision':>15} {'recall':>15}")
for setting in runs:
    cells = []
    for measure, digits_after in (("fid", 1), ("precision", 3), ("recall", 3)):
        values = column(setting, measure)
        cells.append(
            f"{values.mean():7.{digits_after}f} +- {values.std(ddof=1):.{digits_after}f}"
        )
    print(f"{setting:37} {cells[0]:>16} {cells[1]:>15} {cells[2]:>15}")

# %% [markdown]
# Means over three seeds, and after the +- the standard deviation between seeds. {numref}`fig-11-ablation` shows every run.

# %% mystnb={"figure": {"caption": "FID of each run, a line a setting, one point a seed: the average of the weights in orange, the last state in grey. The axis is logarithmic.", "name": "fig-11-ablation"}, "image": {"alt": "Eight rows of points on a logarithmic FID axis. In most rows the orange points lie close together and to the left of the grey ones; in some rows all points lie far to the right."}}
_, axes = plt.subplots(figsize=(7.5, 4.2))
for row, setting in enumerate(runs):
    for which, color in (("last", plots.GREY), ("average", plots.FAKE)):
        label = which if row == 0 else None
        values = column(setting, "fid", which)
        axes.scatter(
            values, [row] * len(values), s=26, color=color, alpha=0.8, label=label
        )
axes.set_yticks(range(len(runs)), list(runs))
axes.set(xscale="log", xlabel="FID")
axes.invert_yaxis()
axes.legend()
plt.show()


# %% [markdown]
# ## Is the difference larger than chance?
#
# With three seeds, a difference of two means has a standard error of $\sqrt{(s_1^2 + s_2^2)/3}$. A difference of twice that may still be chance,
# with so few seeds; one of five times it is hardly.


# %%
def compare(setting, other="baseline", measure="fid"):
    a, b = column(setting, measure), column(other, measure)
    error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))
    return a.mean() - b.mean(), error


for setting in list(runs)[1:]:
    difference, error = compare(setting)
    print(
        f"{setting:37} {difference:+9.1f} +- {error:6.1f}   {abs(difference) / error:5.1f} errors"
    )

# %%
averaged, last = column("baseline", "fid"), column("baseline", "fid", "last")
gain = last - averaged  # of one run and its own average: seed by seed
print(
    f"averaging: {gain.mean():.1f} +- {gain.std(ddof=1) / np.sqrt(len(gain)):.1f} better"
)

# %% [markdown]
# What can be said after two epochs of a small network:
#
# - *The average of the weights* is by far the best bargain: 30 better on the same runs, more than thirteen standard errors of that difference.
# - *Normalisation in the discriminator* decides whether there is a run at all. Without it, recall is 0: all six such runs, with spectral
#   normalisation or with nothing in its place, collapsed at this learning rate.
# - *One-sided smoothing* and the *hinge* are ahead of the baseline by a little more than two standard errors. With three seeds that is a hint.
# - *Least squares* and the *slower discriminator* are ahead by less than two. Here they are not told from chance.
# - *Wasserstein with a penalty*, at its low rate, has not begun to draw digits after two epochs. Its place in the table says that it is slow, not
#   that it is bad: five critic steps for one of the generator, and many more steps, are what its authors use ([Gulrajani et al., 2017](../book/bibliography.md#gulrajani-et-al-2017)).
#
# The budget decides such a table as much as the settings do. Another one, ten times as long, may have another order.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: the critic's loss is NaN after some steps. *Cause*: no small number under the root. *Cure*: `+ 1e-12`.
#
# *Symptom*: the penalty has no effect, or a strange one. *Cause*: batch normalisation in the critic, or normal instead of uniform
# mixing. *Cure*: `norm=False`, `mx.random.uniform`.
#
# *Symptom*: with spectral normalisation every logit is the same. *Cause*: `unfreeze()` made `u` trainable, or it is missing in
# the compiled state. *Cure*: freeze it, and pass the whole `state`.
#
# *Symptom*: a paper's trick does nothing. *Cause*: often that its effect is smaller than the spread between seeds. *Cure*: more seeds, before
# more tricks.
# ```
#
# ```{admonition} Coming from PyTorch
# :class: tip
# There is no `create_graph=True`: `mx.grad` of a function that calls `mx.grad` is a second derivative. There is no
# `spectral_norm(layer)` hook that rewrites the weight before each call either; the wrapper above does it in eleven lines.
# ```
#
# ## Summary
#
# - Losses differ in the slope they give to a fake that the discriminator is sure of. The saturating one gives none.
# - A gradient penalty needs uniform mixing, a small number under the root, and a critic without batch normalisation.
# - Spectral normalisation divides a layer by its largest singular value, kept up to date by one power iteration a step.
# - A difference counts when it is several times its standard error between seeds. Averaging the weights passes that test with ease,
#   and so does normalisation in the discriminator; most other differences here do not.
#
# ## Exercises
#
# ```{exercise} Both sides
# :label: ex-11-both
# Show that smoothing the label of the fakes, to 0.1, makes the best discriminator prefer regions where the generator already is.
# ```

# %% [markdown]
# ```{solution-start} ex-11-both
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
p_data, p_g = np.array([0.5, 0.1, 0.0]), np.array([0.1, 0.5, 0.5])
one_sided = 0.9 * p_data / (p_data + p_g)
two_sided = (0.9 * p_data + 0.1 * p_g) / (p_data + p_g)
print("one-sided:", one_sided.round(2).tolist())
print("two-sided:", two_sided.round(2).tolist())

# %% [markdown]
# In the last place there is no data at all, and only the generator. The two-sided optimum is 0.1 there and not 0: the term
# $0.1\,p_g$ in the numerator keeps mass where it is, which reinforces what the generator does wrong.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} A normal mixing weight
# :label: ex-11-mixing
# What share of the points $u\,x_\text{real} + (1 - u)\,x_\text{fake}$ lies outside of the segment if $u$ is drawn from the standard normal
# distribution?
# ```

# %% [markdown]
# ```{solution-start} ex-11-mixing
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
u = mx.random.normal((1_000_000,), key=mx.random.key(0))
print(f"outside: {((u < 0) | (u > 1)).mean().item():.0%}")

# %% [markdown]
# Two thirds, and half of all points lie beyond the fake.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} How many seeds
# :label: ex-11-seeds
# Two settings differ by half of the standard deviation between seeds. How many seeds of each make the difference three standard
# errors?
# ```

# %% [markdown]
# ```{solution-start} ex-11-seeds
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
# difference d = s / 2, error = sqrt(2 s^2 / n): d / error = 3 gives n = 72
n = 2 * (3 / 0.5) ** 2
print(f"{n:.0f} seeds of each")

# %% [markdown]
# Small effects are expensive to prove, and most published differences rest on far fewer runs.

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Further reading
#
# [Lucic et al. (2018)](../book/bibliography.md#lucic-et-al-2018) compare losses on a large scale, and find that with enough tuning and enough seeds most are alike.
# [Gulrajani et al. (2017)](../book/bibliography.md#gulrajani-et-al-2017) and [Miyato et al. (2018)](../book/bibliography.md#miyato-et-al-2018) introduced the two bounds on the critic. [Heusel et al. (2017)](../book/bibliography.md#heusel-et-al-2017) prove what two time
# scales are good for.
