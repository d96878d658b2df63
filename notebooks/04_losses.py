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
# # Losses and optimizers
#
# You derive what the two networks of a GAN minimise, check each formula against numbers, and find
# out what Adam does with the gradients.
#
# ```{admonition} What you will learn
# :class: important
# - derive the best discriminator, and train one that comes close to it;
# - write both losses as functions of logits, and test them;
# - explain which loss of the generator gives a signal when it is losing;
# - recognise three ways in which a computed loss fails;
# - write Adam by hand, and say what the bias correction and $\beta_1 = 0.5$ change.
#
# **Before**: {doc}`03_models`.
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import data, models, plots

from itertools import islice

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

mx.random.seed(4)

# %% [markdown]
# ## The game as a formula
#
# Let $D(x)$ be the probability that the discriminator gives to "$x$ is real". The game of
# {cite}`goodfellow2014` is
#
# $$\begin{gathered}
# \min_G \max_D V(D, G), \\
# V(D, G) = \mathbb{E}_{x}\,[\log D(x)] + \mathbb{E}_{z}\,[\log(1 - D(G(z)))].
# \end{gathered}$$
#
# The first mean runs over real images, the second over noise. The discriminator wants both
# logarithms near 0, their largest value. The generator wants the second one far below.
#
# ## The best discriminator
#
# Hold the generator still. Its images have a density $p_g$, the real ones $p_\text{data}$. At
# each point $x$ the discriminator is free to choose the number $D$ that makes
# $p_\text{data} \log D + p_g \log (1 - D)$ as large as it can be. The derivative is zero where
# $p_\text{data} / D = p_g / (1 - D)$, hence
#
# $$D^*(x) = \frac{p_\text{data}(x)}{p_\text{data}(x) + p_g(x)}.$$
#
# **Predict**: real images are three times as frequent as generated ones at some $x$. What is $D^*$
# there?

# %% tags=["nbval-check-output"]
d = np.linspace(0.001, 0.999, 999)
v = 0.3 * np.log(d) + 0.1 * np.log(1 - d)
print(f"largest at D = {d[v.argmax()]:.3f}; the formula says {0.3 / (0.3 + 0.1):.3f}")

# %% [markdown]
# To see a whole function, take one-dimensional "images": the real ones from a narrow Gaussian,
# the generated ones from a wide one. A small network learns to tell samples of the two apart. It
# never sees a density. The two losses below are those of `mlxgan.losses`, derived in the next
# section.


# %%
def discriminator_loss(logits_real: mx.array, logits_fake: mx.array) -> mx.array:
    """Binary cross-entropy that calls real images 1 and fakes 0, in nats."""
    return nn.softplus(-logits_real).mean() + nn.softplus(logits_fake).mean()


def generator_loss(logits_fake: mx.array) -> mx.array:
    """Non-saturating loss of the generator, in nats."""
    return nn.softplus(-logits_fake).mean()


# %%
real_mean, real_std, fake_mean, fake_std = 1.0, 0.5, -0.5, 1.5
small = nn.Sequential(
    nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
)
optimizer = optim.Adam(2e-3, bias_correction=True)
loss_and_grad = nn.value_and_grad(
    small, lambda x, y: discriminator_loss(small(x), small(y))
)
steps = 300 if mlxgan.SMOKE else 2000
tail = []
for step in range(steps):
    x = real_mean + real_std * mx.random.normal((512, 1))
    y = fake_mean + fake_std * mx.random.normal((512, 1))
    loss, gradients = loss_and_grad(x, y)
    optimizer.update(small, gradients)
    mx.eval(small.state, optimizer.state, loss)
    if step >= steps - 200:
        tail.append(loss)
loss_learned = mx.stack(tail).mean().item()


# %%
def gaussian(x, mean, std):
    return np.exp(-(((x - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))


grid = np.linspace(-9, 9, 3601)
p_data, p_g = gaussian(grid, real_mean, real_std), gaussian(grid, fake_mean, fake_std)
best = p_data / (p_data + p_g)
learned = np.array(mx.sigmoid(small(mx.array(grid, mx.float32)[:, None]))[:, 0])
distance = np.trapezoid(np.abs(learned - best) * (p_data + p_g) / 2, grid)
print(f"mean distance of the learned D from the best one: {distance:.3f}")
assert distance < 0.05

# %% mystnb={"figure": {"caption": "A network that sees only samples learns the ratio of the densities, wherever there are samples.", "name": "fig-04-best"}, "image": {"alt": "Curves over x. A narrow blue density of the real values around 1 and a wide orange density of the generated values around -0.5. A grey line, the best discriminator, is near 0 on the left, rises to about 0.85 near x = 1 and falls again to the right of it. A dashed green line, the learned discriminator, lies close to it everywhere."}}
figure, axes = plt.subplots()
axes.fill_between(grid, p_data, color=plots.REAL, alpha=0.3, label="density of real")
axes.fill_between(grid, p_g, color=plots.FAKE, alpha=0.3, label="density of generated")
axes.plot(grid, best, color=plots.GREY, label="best D")
axes.plot(grid, learned, "--", color="C2", label="learned D")
axes.set(xlabel="x", xlim=(-5, 4), ylim=(0, 1.05))
axes.legend(loc="upper left")
plt.show()

# %% [markdown]
# Notice the fall on the right. Real values are rare there, but generated ones are less so, and
# $D^*$ depends on the ratio of the densities alone.
#
# ### What is left at the best
#
# Put $D^*$ into $V$. With $m = (p_\text{data} + p_g)/2$ both logarithms become those of a
# Kullback-Leibler divergence, less a $\log 2$ each:
#
# $$V(D^*, G) = -\log 4 + \mathrm{KL}(p_\text{data} \,\|\, m) + \mathrm{KL}(p_g \,\|\, m)
# = -\log 4 + 2\, \mathrm{JSD}(p_\text{data}, p_g).$$
#
# JSD is the Jensen-Shannon divergence: 0 for equal densities and at most $\log 2$. The loss of
# the discriminator is $-V$, so at best it is $2 \log 2 - 2\,\mathrm{JSD}$.


# %%
def value_of_best(p, q):
    return np.trapezoid(p * np.log(p / (p + q)) + q * np.log(q / (p + q)), grid)


def jsd(p, q):
    m = (p + q) / 2
    return np.trapezoid(p * np.log(p / m) + q * np.log(q / m), grid) / 2


value = value_of_best(p_data, p_g)
assert abs(value - (-np.log(4) + 2 * jsd(p_data, p_g))) < 1e-4
print(f"V at the best D:     {value:.4f}")
print(f"-log 4 + 2 JSD:      {-np.log(4) + 2 * jsd(p_data, p_g):.4f}")
print(f"minus learned loss:  {-loss_learned:.4f} (over the last steps, on samples)")

# %% [markdown]
# So a best discriminator measures a distance between the two distributions, and the generator, by
# making it fail, reduces that distance. **Predict**: what becomes of the loss if the two Gaussians
# move further and further apart?

# %% mystnb={"figure": {"caption": "The loss of the best discriminator goes from 2 log 2, where the distributions are equal, to 0, where they no longer overlap. There the curve is flat, and further distance is not felt.", "name": "fig-04-jsd"}, "image": {"alt": "A curve over the distance of the means from 0 to 8. It starts at the dotted line for 2 log 2, about 1.39, falls steeply between 1 and 3 and is flat, close to 0, from about 6 on."}}
wide = np.linspace(-12, 20, 6401)
shifts = np.linspace(0, 8, 41)
p = gaussian(wide, 0, 1)
losses_of_best = []
for shift in shifts:
    q = gaussian(wide, shift, 1)
    integrand = p * np.log1p(q / p) + q * np.log1p(p / q)
    losses_of_best.append(np.trapezoid(integrand, wide))
figure, axes = plt.subplots()
axes.plot(shifts, losses_of_best, color=plots.GREY)
axes.axhline(2 * np.log(2), color="C2", linestyle=":", label="2 log 2: a guess")
axes.set(
    xlabel="distance of the means", ylabel="least loss of D (nats)", ylim=(0, None)
)
axes.legend()
plt.show()

# %% [markdown]
# Two numbers to keep in mind for every curve of a training: near $2 \log 2 \approx 1.39$ the
# discriminator guesses, near 0 it has won. A flat end means that a sure discriminator has little
# to tell the generator {cite}`arjovsky2017`.
#
# ## Losses of logits
#
# The network returns a logit $x$, and $D = \sigma(x) = 1/(1 + e^{-x})$. Then
#
# $$-\log \sigma(x) = \log(1 + e^{-x}) = \mathrm{softplus}(-x), \qquad
# -\log(1 - \sigma(x)) = \log(1 + e^{x}) = \mathrm{softplus}(x).$$
#
# The first is the binary cross-entropy against the label 1, the second against 0. The sum of the
# first over real images and the second over fakes is `discriminator_loss` above. The derivatives
# are short:
#
# $$\frac{d}{dx}\,\mathrm{softplus}(x) = \sigma(x), \qquad
# \frac{d}{dx}\,\mathrm{softplus}(-x) = -(1 - \sigma(x)).$$
#
# The next two cells check the functions against MLX's own, and the derivatives against `mx.grad`
# and against finite differences.

# %% tags=["nbval-check-output"]
a, b = mx.random.normal((64,)) * 3, mx.random.normal((64,)) * 3
bce = nn.losses.binary_cross_entropy
expected = bce(a, mx.ones(64), with_logits=True) + bce(
    b, mx.zeros(64), with_logits=True
)
assert mx.allclose(discriminator_loss(a, b), expected, atol=1e-5)
assert mx.allclose(generator_loss(b), bce(b, mx.ones(64), with_logits=True), atol=1e-5)
guess = discriminator_loss(mx.zeros(64), mx.zeros(64)).item()
print(f"a guesser's loss: {guess:.4f}, 2 log 2: {2 * np.log(2):.4f}")

# %% tags=["nbval-check-output"]
x = mx.linspace(-6, 6, 25)
h = 0.01
for name, f, derivative in (
    ("softplus(x)", nn.softplus, mx.sigmoid(x)),
    ("softplus(-x)", lambda x: nn.softplus(-x), mx.sigmoid(x) - 1),
):
    by_mlx = mx.grad(lambda x, f=f: f(x).sum())(x)
    by_difference = (f(x + h) - f(x - h)) / (2 * h)
    assert mx.allclose(by_mlx, derivative, atol=1e-5)
    assert mx.allclose(by_difference, derivative, atol=1e-3)
    print(f"{name:12s} derivative confirmed at {x.size} points")

# %% [markdown]
# ```{admonition} Coming from PyTorch
# :class: tip
# `nn.losses.binary_cross_entropy` expects logits unless you say `with_logits=False`; it is
# `BCEWithLogitsLoss`, not `BCELoss`. Inputs and targets must have the same shape.
# ```
#
# Which class is called 1 is a convention. Swap the labels, so that the logit means "generated",
# and all logits change sign; the loss is the same function. Code that labels fakes 1 is not
# wrong, as long as the generator's loss follows.

# %% tags=["nbval-check-output"]
swapped = discriminator_loss(-b, -a)  # the fakes now play the part of class 1
print(
    "same loss with swapped labels:",
    mx.allclose(swapped, discriminator_loss(a, b)).item(),
)

# %% [markdown]
# ## Two losses for the generator
#
# By the formula of the game the generator minimises the mean of $\log(1 - D)$, which is
# $-\mathrm{softplus}(x)$. Its derivative with respect to the logit is $-\sigma(x) = -D$. The
# original paper proposes to minimise $-\log D$ in its stead {cite}`goodfellow2014`. The
# derivative of that is $-(1 - D)$. Both push the logit up. They differ in *when* they push.
#
# **Predict**: early in training the discriminator is sure that the images are generated, $x = -5$,
# say. Which loss pushes harder, and by what factor?

# %% tags=["nbval-check-output"]
for x in (-10.0, -5.0, 0.0, 5.0):
    saturating = mx.grad(lambda x: -nn.softplus(x))(mx.array(x)).item()
    non_saturating = mx.grad(lambda x: nn.softplus(-x))(mx.array(x)).item()
    print(
        f"x = {x:5.1f}   saturating {saturating:8.5f}   non-saturating {non_saturating:8.5f}"
    )

# %% [markdown]
# The ratio of the two is $(1 - D)/D = e^{-x}$, so about 150 at $x = -5$.
# {numref}`fig-04-saturation` shows that the first loss is silent on the left, where a generator
# that loses badly finds itself: it *saturates*.

# %% mystnb={"figure": {"caption": "Where the discriminator is sure of a fake, on the left, the saturating loss gives the generator no signal; the other gives the full one.", "name": "fig-04-saturation"}, "image": {"alt": "Two curves over the logit from -8 to 8: the strength of the push on the logit. The saturating loss starts at 0 on the left and rises to 1 on the right; the non-saturating loss falls from 1 to 0. They cross at logit 0 and strength 0.5. The region left of -3 is shaded."}}
x = np.linspace(-8, 8, 201)
d = 1 / (1 + np.exp(-x))
figure, axes = plt.subplots()
axes.plot(x, d, color="C3", label="saturating: D")
axes.plot(x, 1 - d, color="C2", label="non-saturating: 1 - D")
axes.axvspan(-8, -3, color=plots.GREY, alpha=0.15)
axes.text(-7.7, 0.5, "the generator\nloses badly", fontsize=9)
axes.set(
    xlabel="logit of a generated image", ylabel="strength of the push", xlim=(-8, 8)
)
axes.legend(loc="center right")
plt.show()

# %% [markdown]
# Does it matter for networks? The next cell trains the discriminator for some steps against an
# untrained generator, and measures the gradient that reaches the generator's weights, before and
# after, under each loss.


# %%
def saturating_loss(logits_fake):
    return -nn.softplus(logits_fake).mean()


def report(when, z):
    for loss in (saturating_loss, generator_loss):
        grad_g = nn.value_and_grad(
            generator, lambda z, f=loss: f(discriminator(generator(z)))
        )
        value, tree = grad_g(z)
        norm = (
            sum(mx.square(array).sum() for _, array in tree_flatten(tree)).item() ** 0.5
        )
        print(
            f"{when:6s} {loss.__name__:15s} {value.item():7.3f}   gradient {norm:.1e}"
        )


# %%
digits = data.load("train")
generator, discriminator = models.MLPGenerator(), models.MLPDiscriminator()
z = mx.random.normal((64, generator.latent_dim))
report("before", z)
fake, optimizer_d = (
    generator(z),
    optim.Adam(2e-4, betas=[0.5, 0.999], bias_correction=True),
)


def loss_d(real):
    return discriminator_loss(discriminator(real), discriminator(fake))


step_d = nn.value_and_grad(discriminator, loss_d)
for real, _ in islice(data.batches(digits, 64, seed=0), 20 if mlxgan.SMOKE else 200):
    _, gradients = step_d(real)
    optimizer_d.update(discriminator, gradients)
    mx.eval(discriminator.state, optimizer_d.state)
report("after", z)

# %% [markdown]
# The generator has not changed at all. Yet as the discriminator learns, its gradient shrinks
# under the saturating loss and grows many times over under the other. (A trained discriminator is
# steeper, which helps both; the rest is the factor $e^{-x}$.) The book uses the second,
# `generator_loss`.
#
# ### A loss is not a measure of quality
#
# The same cell shows something else. The generator's loss has risen many times over, and not one
# pixel of its images is different. A GAN's loss is measured against an opponent, and the opponent
# moves. It may rise while the pictures improve, because the discriminator improves faster. Two
# runs cannot be compared by it either. Likelihood, too, can disagree with the eye
# {cite}`theis2016`; quality needs a measure of its own, such as the distance of
# {cite}`heusel2017`.
#
# ## Three ways to fail
#
# **Sigmoid first, logarithm second.** Predict: a real image has the logit 20, so the
# discriminator is right, and sure. What is the gradient if the loss is computed from the
# probability?

# %%
for x in (-20.0, 20.0, -200.0):
    for with_logits in (False, True):

        def loss(x, with_logits=with_logits):
            return bce(
                x if with_logits else mx.sigmoid(x),
                mx.array(1.0),
                with_logits=with_logits,
            )

        value, slope = mx.value_and_grad(loss)(mx.array(x))
        name = "of logits" if with_logits else "of probabilities"
        line = f"x = {x:5.0f}   loss {name:16s} {abs(value.item()):6.2f}"
        print(line, f"  slope {slope.item():.2f}")

# %% [markdown]
# In float32 $\sigma(20)$ is rounded to 1, and $\log(1 - 1)$ enters with the weight 0; its
# derivative is 0 times infinity, which is NaN. MLX clips the loss of probabilities at 100, which
# hides the infinite value but not the gradient. One such image makes the gradient of the whole
# batch NaN, and with the next update all weights.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: after some good steps both losses are NaN. *Cause*: a sigmoid in the network and a
# logarithm in the loss. *Cure*: return the logit and use a loss of logits.
# ```
#
# **A sigmoid twice.** The network ends in a sigmoid, and the loss, which expects logits, applies
# another. It happens when a network is ported and keeps its last layer. **Predict**: how small can
# the loss become?

# %% tags=["nbval-check-output"]
perfect = discriminator_loss(mx.sigmoid(mx.array(50.0)), mx.sigmoid(mx.array(-50.0)))
print(f"loss of a discriminator that is always right: {perfect.item():.3f}")
slope = mx.grad(lambda x: nn.softplus(-mx.sigmoid(x)))(mx.array(-5.0))
print(
    f"push on a logit of -5: {-slope.item():.4f} instead of {1 / (1 + np.exp(-5)):.4f}"
)

# %% [markdown]
# A probability between 0 and 1 makes a poor logit. The loss has a floor near 1, and the push on a
# generator that loses badly is gone again.
#
# **A softmax over one logit.** `nn.losses.cross_entropy` is for several classes, with a logit for
# each. **Predict**: what does it return for a discriminator with one output?

# %% tags=["nbval-check-output"]
logits = mx.array([[3.0], [-2.0], [0.5]])
labels = mx.zeros(3, mx.int32)


def wrong_loss(logits):
    return nn.losses.cross_entropy(logits, labels, reduction="mean")


value, slope = mx.value_and_grad(wrong_loss)(logits)
print(f"loss {value.item():.1f}, any gradient: {mx.any(slope != 0).item()}")

# %% [markdown]
# A softmax over one number is 1, whatever the number; its logarithm is 0, and so is the gradient.
# Nothing raises, and nothing learns. A loss of exactly 0 from the first step on is its mark.
#
# ## Adam
#
# Adam {cite}`kingma2015` keeps two running means for each weight, of the gradient $g$ and of its
# square:
#
# $$m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \qquad
# v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2.$$
#
# Both start at 0 and are too small at first. The bias correction divides them by $1 - \beta_1^t$
# and $1 - \beta_2^t$. Then the weight moves by
#
# $$-\eta\; \hat m_t \,/\, (\sqrt{\hat v_t} + \epsilon).$$


# %%
def adam_by_hand(w, gradients, rate, b1, b2, correct, eps=1e-8):
    m = v = 0.0
    path = []
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        c1, c2 = (1 - b1**t, 1 - b2**t) if correct else (1, 1)
        w = w - rate * (m / c1) / ((v / c2) ** 0.5 + eps)
        path.append(w)
    return path


def adam_by_mlx(w, gradients, optimizer):
    weights, path = {"w": mx.array(w)}, []
    for g in gradients:
        weights = optimizer.apply_gradients({"w": mx.array(g)}, weights)
        path.append(weights["w"].item())
    return path


# %% [markdown]
# **Predict**: which of the two does `optim.Adam(0.01)` do, with the correction or without?

# %% tags=["nbval-check-output"]
gradients = [0.5, -0.2, 1.0]
for correct in (True, False):
    hand = adam_by_hand(1.0, gradients, 0.01, 0.5, 0.999, correct)
    by_mlx = adam_by_mlx(
        1.0, gradients, optim.Adam(0.01, [0.5, 0.999], bias_correction=correct)
    )
    assert np.allclose(hand, by_mlx, atol=1e-5)
    print(f"bias_correction={correct!s:5s}", [round(w, 3) for w in by_mlx])
default = adam_by_mlx(1.0, gradients, optim.Adam(0.01, [0.5, 0.999]))
print("without a word        ", [round(w, 3) for w in default])

# %% [markdown]
# Without: MLX's default is `bias_correction=False`. The first step is then larger, not smaller,
# because $v$ is further off than $m$, and stands in the denominator. With a constant gradient its
# factor is $(1 - \beta_1)/\sqrt{1 - \beta_2}$. {numref}`fig-04-adam` follows it for 100 steps.

# %% mystnb={"figure": {"caption": "Without the bias correction Adam's first steps are several times too long, the more so the smaller beta 1 is. After 100 steps it is still by a factor of three.", "name": "fig-04-adam"}, "image": {"alt": "The length of a step divided by the learning rate over the first 100 steps, on a logarithmic axis. With the correction it is a horizontal line at 1. Without it and with beta 1 of 0.5 it starts at about 16, with beta 1 of 0.9 at about 3 and rises to about 7; both then fall together to about 3."}}
figure, axes = plt.subplots()
for b1, correct, style in ((0.5, False, "C3"), (0.9, False, "C4"), (0.5, True, "C2")):
    optimizer = optim.Adam(1.0, [b1, 0.999], bias_correction=correct)
    path = adam_by_mlx(0.0, [1.0] * 100, optimizer)
    lengths = -np.diff([0.0, *path])
    name = f"beta 1 = {b1}, {'corrected' if correct else 'not corrected'}"
    axes.semilogy(range(1, 101), lengths, style, label=name)
    print(f"{name}: first step {lengths[0]:.1f}, step 100 {lengths[-1]:.1f}")
axes.set(xlabel="step", ylabel="step / learning rate", yticks=[1, 2, 5, 10, 20])
axes.set_yticklabels(["1", "2", "5", "10", "20"])
axes.legend()
plt.show()

# %% [markdown]
# ```{admonition} Coming from PyTorch
# :class: tip
# `torch.optim.Adam` always corrects. To repeat a result from there, pass `bias_correction=True`.
# ```
#
# ### What the first beta does
#
# $m$ remembers about $1/(1 - \beta_1)$ steps: ten at the customary 0.9, two at 0.5. In a game old
# gradients are old news, since they speak of an opponent that has moved on. {cite}`radford2016`
# found that 0.9 made the training of GANs oscillate, and that 0.5 helped. **Predict**: a gradient has
# been $+1$ for a long time and turns to $-1$. How many steps still go the wrong way?

# %% mystnb={"figure": {"caption": "When the gradient turns, the update with beta 1 of 0.9 goes the old way for several steps more; with 0.5 it follows at once.", "name": "fig-04-beta"}, "image": {"alt": "Adam's update over 40 steps for a gradient that turns from plus 1 to minus 1 at step 40, shown as a dotted grey step. The line for beta 1 of 0.5 drops from 1 to -1 within about four steps. The line for 0.9 falls slowly, crosses zero six or seven steps after the turn and is not yet at -1 at the end."}}
signs = [1.0] * 40 + [-1.0] * 30
figure, axes = plt.subplots()
for b1, colour in ((0.9, "C4"), (0.5, "C2")):
    path = adam_by_mlx(0.0, signs, optim.Adam(1.0, [b1, 0.999], bias_correction=True))
    updates = -np.diff([0.0, *path])
    axes.plot(range(1, 71), updates, color=colour, label=f"beta 1 = {b1}")
    print(
        f"beta 1 = {b1}: steps the wrong way after the turn: {(updates[40:] > 1e-3).sum()}"
    )
axes.step(range(1, 71), signs, ":", where="mid", color=plots.GREY, label="gradient")
axes.set(xlim=(30, 70), xlabel="step", ylabel="update / learning rate")
axes.legend()
plt.show()

# %% [markdown]
# ### Epsilon
#
# The quotient $\hat m / \sqrt{\hat v}$ does not depend on the scale of the gradient, until the
# gradient is as small as $\epsilon$. So Adam makes up for part of a saturated loss, and no more.
# **Predict**: how long is the first step for gradients from 1,000 down to one part in a billion?

# %% tags=["nbval-check-output"]
for g in (1000.0, 1.0, 1e-3, 1e-6, 1e-8, 1e-9):
    step = -adam_by_mlx(0.0, [g], optim.Adam(1.0, [0.5, 0.999], bias_correction=True))[
        0
    ]
    print(f"gradient {g:7.0e}: first step is {step:.2f} learning rates")


# %% [markdown]
# ### The book's Adam
#
# From here on one factory makes both optimizers: the rate and $\beta_1$ of {cite}`radford2016`,
# and the correction switched on. Each network has its own.


# %% tags=["nbval-check-output"]
def adam(learning_rate: float = 2e-4) -> optim.Adam:
    """Adam as GANs use it: betas (0.5, 0.999), with the bias correction."""
    return optim.Adam(learning_rate, betas=[0.5, 0.999], bias_correction=True)


print(adam().betas, adam().bias_correction)

# %% [markdown]
# ```{admonition} On other machines
# :class: note
# MLX has float64 on the CPU only, so the integrals of this chapter are NumPy's. Everything that
# is trained here is float32 and runs on a GPU as it stands.
# ```
#
# ## Summary
#
# - The best discriminator is $p_\text{data} / (p_\text{data} + p_g)$. Its loss is
#   $2 \log 2 - 2\,\mathrm{JSD}$: 1.39 for a guess, 0 for a victory.
# - Both losses are means of softplus of a logit. Take the logit, not the probability, and never a
#   softmax over one output.
# - The non-saturating loss pushes hardest where the generator loses; the saturating one is silent
#   there.
# - A loss is measured against the opponent. It says nothing about the pictures by itself.
# - MLX's Adam does not correct its bias by default. $\beta_1 = 0.5$ shortens its memory to two
#   steps.
#
# ## Exercises
#
# ```{exercise} The logit of two Gaussians
# :label: ex-04-logit
# Take two Gaussians with the same standard deviation $s$ and means $\mu$ and $-\mu$. Derive the
# logit of $D^*$. What kind of network is enough? Check the formula for $\mu = 1$, $s = 0.8$.
# ```

# %% [markdown]
# ```{solution-start} ex-04-logit
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
x = np.linspace(-3, 3, 7)
logit = np.log(gaussian(x, 1, 0.8) / gaussian(x, -1, 0.8))
assert np.allclose(logit, 2 * 1 / 0.8**2 * x)
print(logit.round(3))

# %% [markdown]
# The logit is $\log(p_\text{data}/p_g) = 2 \mu x / s^2$. The squares cancel, so it is linear, and
# one linear layer is enough. With different standard deviations a square remains.

# %% [markdown]
# ```{solution-end}
# ```

# %% [markdown]
# ```{exercise} A softer label
# :label: ex-04-smooth
# {cite}`salimans2016` train the discriminator with 0.9 in place of 1 for real images. Where
# $p_g = 0$, which logit is now the best? Find it with 200 steps of gradient descent on one logit.
# ```

# %% [markdown]
# ```{solution-start} ex-04-smooth
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
slope = mx.grad(lambda x: bce(x, mx.array(0.9), with_logits=True))
x = mx.array(0.0)
for _ in range(200):
    x = x - slope(x)
print(f"found {x.item():.2f}, log(0.9 / 0.1) = {np.log(9):.2f}")

# %% [markdown]
# The slope is $\sigma(x) - 0.9$, so the best logit is finite, and the discriminator is kept from
# being ever surer.

# %% [markdown]
# ```{solution-end}
# ```

# %% [markdown]
# ```{exercise} No memory at all
# :label: ex-04-beta
# By which factor is the first step too long for $\beta_1 = 0$ without the correction? Check it
# with MLX.
# ```

# %% [markdown]
# ```{solution-start} ex-04-beta
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
step = -adam_by_mlx(0.0, [1.0], optim.Adam(1.0, [0.0, 0.999]))[0]
print(f"MLX {step:.1f}, formula {1 / (1 - 0.999) ** 0.5:.1f}")

# %% [markdown]
# $(1 - 0)/\sqrt{1 - 0.999}$, twice the factor at 0.5.

# %% [markdown]
# ```{solution-end}
# ```

# %% [markdown]
# ## Further reading
#
# {cite}`goodfellow2014` contains the proof that equal distributions are the only solution of the
# game. {cite}`arjovsky2017` starts from the flat end of {numref}`fig-04-jsd` and chooses another
# distance. {cite}`theis2016` shows how measures of generative models contradict each other.
# {cite}`kingma2015` is short and worth reading for the bias correction alone.
