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
# ![Four panels, each with a green line through a blue point. In the first the line is level, an orange point lies to the right of the blue one, and an arrow shows that the line begins to tilt against it. In the second the orange point has reached the blue one, but the line slopes upward to the left, where an arrow points. In the third the orange point lies on the left, and the line is level and begins to tilt the other way. In the fourth the orange point is back on the blue one, and an arrow leads uphill to the right.](../book/diagrams/smallest-game.svg)
#
# *The smallest game: one real image (blue), one fake (orange), and the discriminator's logit as a straight line (green). The fake runs uphill until it reaches the real image, and then it runs on.*
#
# A dozen techniques promise to make a GAN stable, and each comes with a paper in which it works.
# Which of them attack the cause of the trouble, and how would you notice that one of them helps *your* GAN?
# We find one cause in a game with only two weights, build the best-known cures, and train the same DCGAN in fifteen ways, so that by the end you can add a cure to a GAN of your own and say whether it helped.
#
# *Before: [The training loop](06_training.ipynb), [Convolutions](09_convolutions.ipynb) and [When it goes wrong](10_failures.ipynb) · To read: half an hour · To run: two minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import data, losses, models, plots, recipes, training

import json
import math
import time
from functools import partial
from itertools import islice

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown, display
from scipy import stats

digits = data.load("train")
real, _ = next(data.batches(digits, 64, seed=1))

# %% [markdown]
# ## A game without a valley
#
# An ordinary loss is a landscape, and gradient descent walks downhill until it comes to rest in a valley.
# In a game, each player walks downhill in its own landscape, and every step it takes reshapes the other's.
# Does such a walk ever come to rest?
#
# To find out, we make the game so small that we can see all of it ([Mescheder et al., 2018](../book/bibliography.md#mescheder-et-al-2018)).
# An image is a single number, and the only real image is 0.
# The generator has one weight, $\theta$, and always draws the fake $\theta$.
# The discriminator has one weight, too, the slope $\psi$ of its logit, the straight line $\ell(x) = \psi x$.
# The game ought to end at $\theta = 0$ and $\psi = 0$, where the fake equals the real image and the line is level.


# %%
def smallest_game(loss_d, loss_g, penalty=lambda psi: 0.0, rate=0.2):
    """Weights (theta, psi) at the start and after each of 500 steps."""

    def loss_of_d(psi, theta):
        at_real, at_fake = psi * 0, psi * theta
        return loss_d(at_real, at_fake) + penalty(psi)

    def loss_of_g(theta, psi):
        return loss_g(psi * theta)

    theta, psi = mx.array(1.0), mx.array(0.0)
    path = [(1.0, 0.0)]
    for _ in range(500):
        psi = psi - rate * mx.grad(loss_of_d)(psi, theta)
        theta = theta - rate * mx.grad(loss_of_g)(theta, psi)
        path.append((theta.item(), psi.item()))
    return np.array(path)


# %% [markdown]
# We play it with the original minimax loss, with the non-saturating loss, and with the latter plus R1, the penalty of [The training loop](06_training.ipynb).
# R1 charges the discriminator $\tfrac{\gamma}{2}$ times its squared slope at real images, which is $\tfrac{\gamma}{2}\psi^2$ here.
#
# **The players start at $\theta = 1$ with a level line, at a distance of 1 from the goal. How far away are they after 500 steps?**


# %% tags=["nbval-check-output"]
def r1_of_line(psi, gamma=0.3):
    return gamma / 2 * psi**2


loss_d, loss_g = losses.discriminator_loss, losses.generator_loss
minimax_g = losses.saturating_generator_loss
games = {
    "minimax": smallest_game(loss_d, minimax_g),
    "non-saturating": smallest_game(loss_d, loss_g),
    "with R1": smallest_game(loss_d, loss_g, r1_of_line),
}
for name, path in games.items():
    distance = np.hypot(*path.T)
    print(f"{name:15s}", end="")
    print(f"after  50: {distance[50]:.2f}, after 500: {distance[500]:.2f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The path of the two weights in each of the three games. Gray arrows show in which direction both players want to go. They start at the dot, and the goal is the cross.", "name": "fig-11-orbits"}, "image": {"alt": "Three panels with the fake theta on the horizontal axis and the slope psi on the vertical one. In the first, minimax, the path is a circle around the goal. In the second, non-saturating, it is a tight spiral that winds inward and leaves the middle empty. In the third, with R1, it spirals into the goal within a few turns."}}
side = np.linspace(-1.3, 1.3, 12)
theta, psi = np.meshgrid(side, side)
push = 1 / (1 + np.exp(-theta * psi))
fields = {
    "minimax": (psi * push, -theta * push),
    "non-saturating": (psi * (1 - push), -theta * push),
    "with R1": (psi * (1 - push), -theta * push - 0.3 * psi),
}
figure, panels = plt.subplots(1, 3, figsize=(8, 2.9), sharey=True)
for axes, (name, path) in zip(panels, games.items(), strict=True):
    axes.quiver(theta, psi, *fields[name], color=plots.GREY, alpha=0.6)
    axes.plot(*path.T, color="black", lw=1)
    axes.plot(*path[0], "o", color="black")
    axes.plot(0, 0, "+", color="C2", ms=14, mew=2.5)
    axes.set(title=name, xlabel=r"fake $\theta$", aspect="equal")
    axes.grid(False)
panels[0].set_ylabel(r"slope $\psi$")
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# In the minimax game they are as far away as at the start.
# With the non-saturating loss a quarter of the distance is left, and with R1 practically nothing.
# :::
#
# The circle is no accident.
# The logit of the real image is always 0, so the discriminator's loss is $\mathrm{softplus}(\psi\theta)$ plus a constant, and its derivative with respect to $\psi$ is $\theta\,\sigma(\psi\theta)$, with the sigmoid $\sigma$.
# The minimax generator wants the exact opposite, so for small steps the weights move with the velocities
#
# $$v_\theta = \psi\,\sigma(\psi\theta), \qquad v_\psi = -\theta\,\sigma(\psi\theta).$$
#
# Half the squared distance from the goal, $\tfrac12(\theta^2 + \psi^2)$, then changes at the rate $\theta v_\theta + \psi v_\psi = 0$: the players always move at right angles to the direction of the goal.
#
# With the non-saturating loss, $v_\theta = \psi\,\sigma(-\psi\theta)$, and the same sum is $-\ell \tanh(\ell/2)$, where $\ell = \psi\theta$ is the logit of the fake.
# It is never positive, so the path winds inward.
# Near the goal, however, it is only about $-\tfrac12\ell^2$, where $\ell$ is a product of two small numbers, so that getting ten times closer takes a hundred times as long.
#
# The picture at the top of this chapter shows why.
# Once the fake has arrived, at $\theta = 0$, the discriminator's loss is $2 \log 2$ for *every* $\psi$.
# So nothing tells the discriminator to give up its slope, and the slope drives the fake away again.
# R1 does tell it: the penalty adds $-\gamma\psi$ to $v_\psi$ and thus $-\gamma\psi^2$ to the sum, so that the players come closer for as long as the line has a slope.
#
# Two weights prove nothing about two million, but they leave us with a question for each technique: once the fakes are as good as real images, *what becomes of the slope of the discriminator*?
#
# ## Losses that pull in other ways
#
# Perhaps a better loss is enough.
# *Least squares* ([Mao et al., 2017](../book/bibliography.md#mao-et-al-2017)) pulls the logits of real images toward 1 and those of fakes toward 0, which its generator pulls toward 1.
# The *hinge* ([Lim and Ye, 2017](../book/bibliography.md#lim-and-ye-2017)) wants real images above 1 and fakes below $-1$, and ignores whatever is already there.
# The *Wasserstein* loss ([Arjovsky et al., 2017](../book/bibliography.md#arjovsky-et-al-2017)) raises real images and lowers fakes without limit; its discriminator is called a *critic*, because its output is no longer the logit of a probability.
# With either of the last two, the generator just raises the logits of its fakes.


# %%
def least_squares_discriminator_loss(logits_real, logits_fake):
    return (
        mx.square(logits_real - 1).mean() + mx.square(logits_fake).mean()
    ) / 2


def least_squares_generator_loss(logits_fake):
    return mx.square(logits_fake - 1).mean() / 2


def hinge_discriminator_loss(logits_real, logits_fake):
    return (
        nn.relu(1 - logits_real).mean() + nn.relu(1 + logits_fake).mean()
    )


def wasserstein_critic_loss(logits_real, logits_fake):
    return logits_fake.mean() - logits_real.mean()


def wasserstein_generator_loss(logits_fake):
    return -logits_fake.mean()


# %% [markdown]
# *One-sided smoothing* ([Salimans et al., 2016](../book/bibliography.md#salimans-et-al-2016)) keeps the cross-entropy but gives real images the label 0.9, so that their best logit is at most $\log 9$.
# The *relativistic pairing loss* ([Jolicoeur-Martineau, 2019](../book/bibliography.md#jolicoeur-martineau-2019)) puts each fake beside a real image: the discriminator wants the real one to have the higher logit, and the generator wants the opposite.


# %%
def smoothed_discriminator_loss(logits_real, logits_fake, label=0.9):
    toward_real = label * nn.softplus(-logits_real) + (
        1 - label
    ) * nn.softplus(logits_real)
    return toward_real.mean() + nn.softplus(logits_fake).mean()


def relativistic_discriminator_loss(logits_real, logits_fake):
    return nn.softplus(logits_fake - logits_real).mean()


def relativistic_generator_loss(logits_real, logits_fake):
    return nn.softplus(logits_real - logits_fake).mean()


# %% [markdown]
# A network learns from the derivative of its loss with respect to the logit, so we plot these derivatives, with their signs changed, as pushes.
#
# **A real image already has the logit 4. Which discriminators go on pushing it up, and which pull it back?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "How hard each loss pushes up the logit of a real image (left, the discriminator) and of a fake (right, the generator). The relativistic loss pushes as the cross-entropy does, if the logit is measured from that of the partner.", "name": "fig-11-pushes"}, "image": {"alt": "Two panels of push against logit from -6 to 6. Left: the cross-entropy falls from 1 to 0 in an S; one-sided smoothing runs just below it and becomes slightly negative on the right; least squares is a falling straight line that crosses zero at 1; the hinge, dashed, is 1 up to logit 1 and 0 beyond; Wasserstein is 1 everywhere. Right: the cross-entropy falls from 1 to 0, least squares is the same falling line, and the hinge and Wasserstein coincide at 1."}}
logit = mx.linspace(-6, 6, 241)
nothing = mx.array(0.0)
of_real = {
    "cross-entropy": losses.discriminator_loss,
    "smoothed": smoothed_discriminator_loss,
    "least squares": least_squares_discriminator_loss,
    "hinge": hinge_discriminator_loss,
    "Wasserstein": wasserstein_critic_loss,
}
of_fake = {
    "cross-entropy": losses.generator_loss,
    "least squares": least_squares_generator_loss,
    "hinge, Wasserstein": wasserstein_generator_loss,
}
colors = dict(zip(of_real, ("C2", "C3", "C4", "black", "C5"), strict=True))
colors["hinge, Wasserstein"] = colors["Wasserstein"]
figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for axes, title, group in (
    (panels[0], "on a real image, by D", of_real),
    (panels[1], "on a fake, by G", of_fake),
):
    for name, loss in group.items():
        if group is of_real:
            loss = partial(loss, logits_fake=nothing)
        push = -mx.vmap(mx.grad(loss))(logit)
        style = "--" if name == "hinge" else "-"  # hides another line
        axes.plot(
            np.array(logit),
            np.array(push),
            style,
            color=colors[name],
            label=name,
        )
    axes.set(title=title, xlabel="logit", ylim=(-1.5, 2.5))
    axes.legend(fontsize=8)
panels[0].set_ylabel("push")
plt.show()

# %% tags=["nbval-check-output"]
for name, loss in of_real.items():
    push = -mx.grad(partial(loss, logits_fake=nothing))(mx.array(4.0))
    print(f"{name:14s} pushes a logit of 4 by {push.item():5.2f}")

# %% [markdown]
# :::{dropdown} Answer
# Wasserstein goes on with full force, the cross-entropy with a little, and the hinge has stopped.
# Least squares pulls the logit back with a force of 3, far below the plot, and smoothing pulls gently, by 0.08.
# :::
#
# None of these losses, however, levels the slope at the goal: they see only logits, and once the fake equals the real image, both have the same logit, whatever the slope.
# With Wasserstein, the velocities in the smallest game are $(\psi, -\theta)$, so the circle is back, and a critic that pushes without end cannot do without a leash.
#
# ## Penalties
#
# ### A critic on a leash
#
# If the critic may not be steeper than 1, its mean outputs on real images and on fakes can differ by at most the *Wasserstein-1 distance*, the cost of carrying one heap of sand to the other if each grain costs the distance that it travels.
# Unlike the loss that became flat in [Losses and optimizers](05_losses.ipynb), it keeps growing with the gap, so the generator always has a slope to follow.
#
# [Gulrajani et al. (2017)](../book/bibliography.md#gulrajani-et-al-2017) observe that the best such critic has a slope of exactly 1 along the path of each grain.
# Nobody knows these paths, so they use lines between random pairs of a real image and a fake, and add to the loss
#
# $$10 \cdot \mathbb E\,\big(\lVert\nabla_x\, \ell(x)\rVert - 1\big)^2, \qquad x = u\,x_\text{real} + (1 - u)\,x_\text{fake},$$
#
# at one random point on each line, with $u$ uniform between 0 and 1.
#
# ![Three panels with the same real points in blue and fakes in orange. In the first, WGAN-GP, green rings lie on lines between real points and fakes: slope toward 1. In the second, R1, green rings surround the real points: slope toward 0. In the third, R2, they surround the fakes: slope toward 0.](../book/diagrams/gradient-penalty.svg)
#
# *WGAN-GP asks for a slope of 1 at points between real images and fakes, R1 for a slope of 0 at real images, and R2 for a slope of 0 at fakes.*


# %%
def gradient_penalty(critic, real, fake, weight=10.0):
    mix = mx.random.uniform(shape=(len(real), 1, 1, 1))
    between = mix * real + (1 - mix) * fake
    gradients = mx.grad(lambda images: critic(images).sum())(between)
    lengths = mx.sqrt(mx.square(gradients).sum(axis=(1, 2, 3)) + 1e-12)
    return weight * mx.square(lengths - 1).mean()


# %% [markdown]
# Two details are easy to get wrong.
# The gradient of the *sum* of the logits gives each image the gradient of its own logit only if no logit depends on another image, so the critic must not use batch normalization (Exercise 4).
# And the *root* needs the tiny number under it, because its slope at 0 is infinite and would turn all weights into NaN ([MLX in a quarter of an hour](02_mlx.ipynb)).
#
# To train with such a penalty, MLX has to differentiate a gradient, for which we simply nest `mx.grad`.
# Let us check it on a critic with a known answer: $\ell(x) = w \cdot x$ has the slope $\lVert w \rVert$ everywhere, so with weight 1 the penalty is $(\lVert w \rVert - 1)^2$ and its gradient $2(\lVert w \rVert - 1)\,w/\lVert w \rVert$.

# %% tags=["nbval-check-output"]
w = mx.full((28, 28, 1), 2 / 28)  # length 2
noise = mx.random.normal(real.shape)


def penalty_of(w):
    def critic(x):
        return (w * x).sum(axis=(1, 2, 3))

    return gradient_penalty(critic, real, noise, weight=1.0)


expected = 2 * (2 - 1) * w / 2
difference = mx.abs(mx.grad(penalty_of)(w) - expected).max().item()
print(f"penalty {penalty_of(w).item():.3f}, formula {(2 - 1) ** 2:.3f}")
print(f"largest difference of the gradients {difference:.5f}")

# %% [markdown]
# ### Level ground
#
# R1 and R2 want the slope to be 0 instead of 1, and differ only in the images at which they look.
# (The training step hands both kinds to every penalty.)


# %%
def zero_centered_penalty(discriminator, images, gamma=1.0):
    gradients = mx.grad(lambda x: discriminator(x).sum())(images)
    return gamma / 2 * mx.square(gradients).sum(axis=(1, 2, 3)).mean()


def r1_penalty(discriminator, real, fake, gamma=1.0):
    return zero_centered_penalty(discriminator, real, gamma)


def r1_r2_penalty(discriminator, real, fake, gamma=1.0):
    return zero_centered_penalty(
        discriminator, real, gamma
    ) + zero_centered_penalty(discriminator, fake, gamma)


# %% [markdown]
# Let us put our question to both kinds of penalty.
#
# **In the smallest game with Wasserstein losses, and with a penalty of weight 1 toward slope 1 or R1 with $\gamma = 0.3$ as before, where is the fake in the last 100 steps?**


# %% tags=["nbval-check-output"]
def gradient_penalty_of_line(psi):
    return mx.square(mx.abs(psi) - 1)


wasserstein = wasserstein_critic_loss, wasserstein_generator_loss
for name, penalty in (
    ("slope 1", gradient_penalty_of_line),
    ("slope 0", r1_of_line),
):
    path = smallest_game(*wasserstein, penalty)
    last = path[-100:, 0]
    print(f"{name:10s} fake at {last.min():5.1f} to {last.max():5.1f}")

# %% [markdown]
# :::{dropdown} Answer
# With slope 0 it has come to rest at 0, on the real image, and with slope 1 it has run past it and is stuck at $-2$.
# :::
#
# When the fake passed the real image, the penalty was still keeping the line steep, and the slope drove the fake on.
# At $-2$ the line is level at last, but in the wrong place: the loss pulls the slope up, and the penalty, which drives a slightly negative slope toward $-1$, pulls it down just as hard.
#
# ### A penalty without second derivatives
#
# Two lines kept the discriminator of [A GAN in one page](01_first_gan.ipynb) steady: nudge each real image by noise $h e$, where $e$ is normal in each pixel and $h$ is small, and charge for the square of the change in its logit.
# If the logit has the gradient $g$, this change is about $h\, g \cdot e$, whose square is $h^2 \lVert g \rVert^2$ on average, because the pixels of $e$ are independent.
# So
#
# $$\lambda\,\mathbb E\,\big(\ell(x + h e) - \ell(x)\big)^2 \approx \lambda h^2\, \lVert \nabla_x\,\ell(x) \rVert^2,$$
#
# which is R1 with $\gamma = 2\lambda h^2$; with that chapter's weight $\lambda$ of 50 and $h = 0.1$, this $\gamma$ is 1.


# %%
def nudged_r1(discriminator, real, fake, weight=50, h=0.1):
    nudge = h * mx.random.normal(real.shape)
    change = discriminator(real + nudge) - discriminator(real)
    return weight * mx.square(change).mean()


# %% [markdown]
# ### What they do to a discriminator of images
#
# Do these penalties also level a real network?
# We train a small DCGAN without batch normalization for 100 steps: without a penalty, with R1, with R1 by noise, and with WGAN-GP.
# To keep the signal alive without the normalization, we draw the discriminator's weights with the standard deviation $\sqrt{2/n}$ for $n$ inputs ([He et al., 2015](../book/bibliography.md#he-et-al-2015)).


# %% tags=["hide-input"]
def small_discriminator():
    discriminator = models.DCGANDiscriminator(16, 256, norm=False)
    for name in ("down1", "down2", "shrink", "out"):
        layer = discriminator[name]
        draw = nn.init.he_normal()
        layer.weight = draw(layer.weight, "fan_in", math.sqrt(2))
    return discriminator


def short_run(seed, steps=5 if mlxgan.SMOKE else 100, **settings):
    """A discriminator after some steps, and what its generator draws."""
    mx.random.seed(seed)
    generator = models.DCGANGenerator(channels=16, hidden=256)
    discriminator = small_discriminator()
    optimizers = recipes.adam(1e-3), recipes.adam(1e-3)
    step, state = training.set_up(
        generator, discriminator, *optimizers, **settings
    )
    for real, _ in islice(data.batches(digits, 64, seed=seed), steps):
        mx.eval(step(real), state)
    z = mx.random.normal((64, 100), key=mx.random.key(0))
    return discriminator, training.sample(generator, z)


def slope(discriminator, images):
    """Mean length of the gradient of the logit at given images."""
    gradients = mx.grad(lambda x: discriminator(x).sum())(images)
    squares = mx.square(gradients).sum(axis=(1, 2, 3))
    return mx.sqrt(squares).mean().item()


# %%
ways = {
    "none": {},
    "R1": {"penalty": r1_penalty},
    "by noise": {"penalty": nudged_r1},
    "WGAN-GP": {
        "penalty": gradient_penalty,
        "loss_d": wasserstein_critic_loss,
        "loss_g": wasserstein_generator_loss,
    },
}
trained = {
    name: [short_run(seed, **settings) for seed in range(3)]
    for name, settings in ways.items()
}


# %% tags=["hide-input"]
def low_to_high(values):
    return f"{min(values):.2f} to {max(values):.2f}"


lines = ["| mean slope | at real digits | between | at fakes |"]
lines.append("|:--|--:|--:|--:|")
for name, group in trained.items():
    at_real = [slope(judge, real) for judge, _ in group]
    between = [slope(judge, (real + fake) / 2) for judge, fake in group]
    at_fake = [slope(judge, fake) for judge, fake in group]
    cells = [low_to_high(each) for each in (at_real, between, at_fake)]
    lines.append(f"| {name} | {' | '.join(cells)} |")
display(Markdown("\n".join(lines)))

# %% [markdown]
# The table gives the lowest and the highest of three seeds.
# R1 and its estimate by noise made the discriminator three to five times less steep at the real digits, and about equally so in the other two columns, where neither of them looks.
# With WGAN-GP, however, the slope between real images and fakes is not 1: it lies between 1.69 and 1.82.
#
# **Why is it larger?**

# %%
for judge, fake in trained["WGAN-GP"]:
    squares = mx.square(real - fake).sum(axis=(1, 2, 3))
    d = mx.sqrt(squares).mean().item()
    between = slope(judge, (real + fake) / 2)
    print(f"mean distance d of real and fake {d:.1f},", end=" ")
    print(f"1 + d/20 = {1 + d / 20:.2f}, slope {between:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# Because the critic weighs a gain against a cost: a slope of $k$ from the fake to the real image gains it about $kd$ over their distance $d$, and the penalty costs $10(k - 1)^2$.
# The best $k$ is then about $1 + d/20$.
# :::
#
# So a slope of 1 is a wish rather than a bound, as long as the fakes are far from the digits.
#
# And is a nudge of 0.1 small enough?
# We divide the estimate by the exact penalty.

# %%
for name in ("none", "R1", "by noise"):
    print(f"{name:8s}", end="")
    for h in (0.01, 0.1):
        weight, ratios = 1 / (2 * h**2), []
        for judge, _ in trained[name]:
            many = mx.concatenate([real] * 10)
            estimate = nudged_r1(judge, many, None, weight, h)
            exact = zero_centered_penalty(judge, real)
            ratios.append((estimate / exact).item())
        print(f"  nudge {h}:", *[f"{r:5.2f}" for r in ratios], end="")
    print()

# %% [markdown]
# It is not: without a penalty the estimate is 7 to 24 times the exact value, and with R1 still 2 to 15 times.
# A nudge of 0.1 in each of 784 pixels is a step of length 2.8, and over such a distance the logit can bend, even where R1 has lowered its slope at the digits.
# Only the discriminator that was trained with noise agrees with its estimate, because it was leveled over the whole reach of the nudges.
# The two penalties thus differ: R1 asks for a level point, and noise for a small terrace.
#
# Does the estimate at least save time?
# We time steps of the DCGAN at full width.


# %% tags=["hide-input"]
def timed_steps(rounds=2 if mlxgan.SMOKE else 15):
    """Median seconds per step for each penalty, in turns."""
    steps = {}
    for name, penalty in (
        ("no penalty", None),
        ("R1 by noise", nudged_r1),
        ("R1", r1_penalty),
        ("R1 and R2", r1_r2_penalty),
        ("WGAN-GP", gradient_penalty),
    ):
        steps[name] = training.set_up(
            models.DCGANGenerator(),
            models.DCGANDiscriminator(norm=False),
            recipes.adam(),
            recipes.adam(),
            penalty=penalty,
        )
    seconds = {name: [] for name in steps}
    for _ in range(rounds):
        for name, (step, state) in steps.items():
            start = time.perf_counter()
            mx.eval(step(real), state)
            seconds[name].append(time.perf_counter() - start)
    return {name: np.median(each[1:]) for name, each in seconds.items()}


# %%
seconds = timed_steps()
for name, each in seconds.items():
    print(f"{name:12s} {1000 * each:4.0f} ms,", end=" ")
    print(f"{each / seconds['no penalty']:.2f} times a plain step")

# %% [markdown]
# The estimate is not clearly faster than R1 itself: with either of them, a step takes 1.4 to 1.5 times as long as without a penalty.
# What it saves is the second derivative, which matters where a layer does not have one.
#
# ## Spectral normalization
#
# A penalty asks for a gentle slope, but one can also build the network so that it has no choice.
# A linear layer stretches no vector by more than the largest singular value of its matrix, so after division by this value it lengthens no vector.
# Nor does a leaky ReLU, and so the slope of the whole network is at most 1 ([Miyato et al., 2018](../book/bibliography.md#miyato-et-al-2018)).
#
# This value comes from *power iteration*: multiply a vector by the matrix and by its transpose in turn, and it turns toward the direction that is stretched the most.
# Weights change slowly, so we keep the vector and make one such move per step.


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
# For a convolution this is only an approximation, because the reshaped kernels are the matrix that works on a *single* window, and each pixel appears in several windows.
# How much does the layer still stretch an image?
# Power iteration tells us, with the layer itself and its transpose, which is its gradient, as an exercise of [Convolutions](09_convolutions.ipynb) showed.


# %%
def largest_stretch(layer, shape, rounds=100):
    """The largest singular value of a layer, by power iteration."""

    def linear(x):
        return layer(x) - layer(mx.zeros((1, *shape)))

    x = mx.random.normal((1, *shape), key=mx.random.key(0))
    for _ in range(rounds):
        x = x / mx.sqrt(mx.square(x).sum())
        y = linear(x)
        _, (x,) = mx.vjp(linear, [x], [y])
        mx.eval(x)
    return mx.sqrt(mx.square(y).sum()).item()


# %% [markdown]
# **We normalize each layer of a discriminator that was trained with R1. Which ones still stretch an image?**

# %%
discriminator, _ = trained["R1"][0]
shapes = {"down1": (28, 28, 1), "down2": (14, 14, 16)}
shapes |= {"shrink": (7 * 7 * 32,), "out": (256,)}
for name, shape in shapes.items():
    before = largest_stretch(discriminator[name], shape)
    layer = SpectralNorm(discriminator[name])
    for _ in range(100):
        layer(mx.zeros((1, *shape)))  # one move of the power iteration
    after = largest_stretch(layer.eval(), shape)
    print(f"{name:7s} stretch {before:.2f}, normalized {after:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# The two convolutions, by factors of up to 1.61 and 1.31, and the linear layers do not.
# :::
#
# So the slope of this discriminator is bounded by the product of the four numbers, about 2.1.
# But bounding the slope does not level it, so the circle of the smallest game would remain.
#
# ## Fifteen ways to train a DCGAN
#
# Which of all these techniques help?
# We take the recipe of [Convolutions](09_convolutions.ipynb) at half its width, so that many runs fit into an evening, and change one thing at a time.
# First, the batch normalization stays in the discriminator:
#
# | setting | what is different from the recipe |
# |:--|:--|
# | equal rates of 1e-3 | both learning rates are $10^{-3}$, instead of $2 \cdot 10^{-3}$ and $3 \cdot 10^{-4}$ |
# | no variety term | the discriminator is not told how much a batch varies |
# | R1 added | the penalty at real images, with $\gamma = 1$, although batch normalization makes it look at the wrong slope (Exercise 4) |
# | one-sided smoothing, least squares, hinge, relativistic | the loss |
#
# Penalties and spectral normalization were invented for discriminators *without* batch normalization, so next we take it out, draw the weights as above, and replace it with what each paper proposes, the loss included:
#
# | setting | what takes the place of batch normalization in D |
# |:--|:--|
# | nothing | nothing |
# | R1 | the penalty at real images |
# | R1 and R2, relativistic | the loss and both penalties of R3GAN ([Huang et al., 2024](../book/bibliography.md#huang-et-al-2024)) |
# | spectral, hinge | spectral normalization and the hinge |
# | Wasserstein, gradient penalty | the loss and the penalty of WGAN-GP, but with one move of the critic per move of the generator instead of five |
#
# The variety term stays, although it, too, lets a logit depend on other images (Exercise 4), for a reason that two more settings will show: R1 and spectral normalization without it.
#
# A technique proves nothing at rates that were made for another discriminator.
# So each of the five got a small search over rates and over the strength of the penalty or, for spectral normalization, the initialization, with one epoch per candidate and a seed that the comparison does not use.
# The settings with batch normalization got none, which favors the recipe, because most of them run at its rates.

# %% tags=["hide-input", "nbval-check-output"] mystnb={"markdown_format": "myst"}
stored = json.loads(
    (mlxgan.ROOT / "book/data/stability.json").read_bytes()
)


def describe(settings):
    """Rates, strength and initialization of a candidate, in words."""
    words = "{:g} and {:g}".format(*settings["rates"])
    if "strength" in settings:
        words += f", strength {settings['strength']:g}"
    if "spectral" in settings:
        words += ", He et al." if settings["he"] else ", 0.02"
    return words


tried = {}
for name, (run, *_) in stored["search"].items():
    tried.setdefault(name.rsplit(" ", 1)[0], []).append(run)
lines = ["| technique | tried | rates of G and D | FID | next best |"]
lines.append("|:--|--:|:--|--:|--:|")
for technique, group in tried.items():
    ended = [run for run in group if "average" in run]
    ended.sort(key=lambda run: run["average"]["fid"])
    best, second = ended[0]["average"]["fid"], ended[1]["average"]["fid"]
    words = describe(ended[0]["settings"])
    numbers = f"{best:.0f} | {second:.0f} |"
    lines.append(f"| {technique} | {len(group)} | {words} | {numbers}")
display(Markdown("\n".join(lines)))

# %% [markdown]
# With *nothing*, no pair of rates works, and the other four work best at the highest rates that we tried, so there may be better ones beyond.
#
# Then every setting was trained for two epochs with each of five other seeds, and both the last generator and its average were measured on 10,000 samples.
# (`make ablation` repeats all of it in about two and a half hours on two cores.)

# %% tags=["hide-input", "nbval-check-output"] mystnb={"markdown_format": "myst"}
runs = stored["runs"]


def values(setting, measure="fid", which="average"):
    """One value per seed, in the order of the seeds."""
    return np.array([run[which][measure] for run in runs[setting]])


columns = "| setting | FID | last generator | recall | coverage |"
lines = [columns + " collapsed |", "|:--|--:|--:|--:|--:|--:|"]
for setting in runs:
    cells = []
    for which in ("average", "last"):
        each = values(setting, which=which)
        cells.append(f"{each.mean():.1f} ± {each.std(ddof=1):.1f}")
    for measure in ("recall", "coverage"):
        cells.append(f"{values(setting, measure).mean():.2f}")
    lost = (values(setting, "recall") < 0.05).sum()
    cells.append(f"{lost} of {len(values(setting))}")
    lines.append(f"| {setting} | {' | '.join(cells)} |")
display(Markdown("\n".join(lines)))

# %% [markdown]
# The table gives means over the five seeds, for the averaged generator except in the second column, and for the FID (lower is better) also the standard deviation; that of recall and coverage is below 0.04.
# We call a run collapsed if its recall is below 0.05.
#
# ## Is it more than luck?
#
# Two runs of the *same* setting with different seeds differ as well.
# To remove some of this luck, we compare runs in pairs: with the same seed, both settings start from the same generator and see the images in the same order.
# Because the FIDs lie on different scales, we compute with the logarithm of their ratio.
#
# If $m$ is the mean of the $n = 5$ logarithms and $s$ their standard deviation, the true mean lies within
#
# $$m \pm t\,\frac{s}{\sqrt n}$$
#
# in 95 % of all such experiments, if the logarithms are about normally distributed.
# Here $t$ is 2.78, from Student's distribution, instead of the familiar 1.96, because five values say little about their own spread.
#
# We make thirty-five comparisons: each of fourteen settings with the recipe, the four replacements with *nothing*, the two settings without the variety term with their counterparts, and in all fifteen the last generator with the averaged one.
#
# **If no change made any difference, how many of thirty-five intervals would miss the ratio 1?**


# %%
def ratio(setting, level, other, which="average", than="average"):
    """Mean ratio of the FIDs of two settings, and its interval."""
    logs = np.log(values(setting, which=which) / values(other, which=than))
    error = logs.std(ddof=1) / np.sqrt(len(logs))
    t = stats.t.ppf((1 + level) / 2, len(logs) - 1)
    m = logs.mean()
    return np.exp([m, m - t * error, m + t * error])


# %% tags=["nbval-check-output"]
others = list(runs)[1:]
pairs = {"recipe": others}
pairs["nothing"] = [
    "R1",
    "R1 and R2, relativistic",
    "spectral, hinge",
    "Wasserstein, gradient penalty",
]
pairs["R1"] = ["R1, no variety term"]
pairs["spectral, hinge"] = ["spectral, hinge, no variety term"]
count = sum(map(len, pairs.values())) + len(runs)
wide = 1 - 0.05 / count
print(f"{count} comparisons: {0.05 * count:.1f} expected to miss 1")
print(f"chance of at least one: {1 - 0.95**count:.0%}, if independent")
for level in (0.95, wide):
    print(f"{level:.1%}: t = {stats.t.ppf((1 + level) / 2, 4):.2f}")

# %% [markdown]
# :::{dropdown} Answer
# Nearly two on average, and five out of six chapters like this one would report at least one "significant" result.
# :::
#
# The cure is to ask more of each comparison: if each interval misses with a probability of only $5\,\%/35$, then all thirty-five hold at once with a probability of at least 95 % (Bonferroni's correction).
# The figure shows both kinds, and only where the wide one stays clear of 1 will we say that a change made a difference.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "FID of each setting divided by that of the recipe with the same seed: five dots, their mean, the 95 % interval (thick), and the wider interval that allows for thirty-five comparisons (thin). To the left of the dotted line a setting is better than the recipe.", "name": "fig-11-ratios"}, "image": {"alt": "Fourteen rows on a logarithmic axis of ratios, each with five dots, a thick and a thin horizontal line. A dotted vertical line marks the ratio 1. In the upper seven rows, from equal rates to relativistic, the dots crowd around this line, and both lines of each row cross it, except for the thick one of R1 added, which ends just left of it. Below them, the setting called nothing lies near 70; R1, R1 and R2, and spectral normalization lie near 2, and Wasserstein near 4. Without the variety term R1 lies near 4 and spectral normalization near 76."}}
figure, axes = plt.subplots(figsize=(7.5, 4.2))
for row, setting in enumerate(others):
    dots = values(setting) / values("recipe")
    axes.plot(dots, np.full(len(dots), row - 0.3), ".", c=plots.GREY)
    for level, width in ((wide, 1), (0.95, 3.5)):
        mean, low, high = ratio(setting, level, "recipe")
        axes.plot([low, high], [row, row], color=plots.FAKE, lw=width)
    axes.plot(mean, row, "o", color=plots.FAKE)
axes.axvline(1, color="black", ls=":", lw=1)
axes.set_yticks(range(len(others)), others)
axes.set(xscale="log", xlabel="FID / FID of the recipe")
axes.invert_yaxis()
plt.show()

# %% tags=["nbval-check-output"]
for other, settings in pairs.items():
    print(f"compared with {other}, wide intervals:")
    for setting in settings:
        mean, low, high = ratio(setting, wide, other)
        print(f"  {setting:32s}{mean:7.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# *With batch normalization in the discriminator, no other change moved the FID by more than we can tell from luck.*
# The wide intervals of all seven changes contain the ratio 1.
# Adding R1 comes closest to a difference: its narrow interval just misses 1, but the wide one, which we agreed on before we looked, does not.
# This does not mean that the changes do nothing: even the tightest wide interval, that of least squares, reaches from 0.90 to 1.24, and the FID is only one measure.
# With equal rates, for example, the recall is 0.66 instead of 0.60.
#
# *Without it, something has to take its place.*
# With nothing, all five runs collapsed, and each of the four replacements prevented that in all five and brought the FID down to 3 to 6 % of what it was.
# It is still about twice the recipe's with R1, with R1 and R2, and with spectral normalization, and four times with WGAN-GP.
# The coverage is lower, too, although the recall is higher.
# Two epochs cannot tell us whether they would catch up.
#
# *Seeing the batch can decide.*
# Without the variety term, spectral normalization collapsed in all five runs; R1 still trains, but its FID doubles.
# With batch normalization, the term makes no difference that we can tell.
#
# The question of the smallest game, what becomes of the slope, explains only a part of this.
# It fits that R1, which levels the slope, can do without the variety term, and that spectral normalization, which only bounds it, cannot.
# With the term, however, spectral normalization and WGAN-GP survived, although neither levels the slope.
#
# That leaves the moving average, which we can judge in every run.

# %% tags=["nbval-check-output"]
for setting in runs:
    mean, low, high = ratio(setting, wide, setting, which="last")
    print(f"{setting:32s} last / average {mean:5.2f}", end=" ")
    print(f"({low:.2f} to {high:.2f})")
mean, low, high = ratio("R1", wide, "recipe", which="last", than="last")
print(f"R1, last / recipe, last {mean:.2f} ({low:.2f} to {high:.2f})")

# %% [markdown]
# With batch normalization in the discriminator, the average is 3 to 4 times better than the generator that it follows, and in all eight settings the interval stays above 1, if only just with the relativistic loss.
# No other technique gained nearly as much there, although two epochs at a constant high rate leave a lot of jitter for the average to remove.
#
# Without batch normalization the factor is smaller, and the interval stays above 1 only for spectral normalization and for R1 and R2.
# This casts the comparison above in a different light: before averaging, R1 and the recipe are on a par, with a ratio of 1.00, although the interval reaches from 0.39 to 2.54.
# Much of the distance between them may therefore come from how much each gains from the average.
#
# All of this is one small network on one small data set, with two epochs and five seeds.
#
# :::{admonition} If it goes wrong
# :class: warning
# *Symptom*: a penalty has no effect, or a strange one.
# *Cause*: batch normalization, or another term that mixes the batch.
# *Cure*: take it out, or compare the two slopes of Exercise 4.
#
# *Symptom*: a technique that worked wonders in a paper does nothing for you.
# *Cause*: often its effect is smaller than the luck of the seeds, or your rates are not its rates.
# *Cure*: give it a search of its own and more seeds.
# :::
#
# :::{admonition} Coming from PyTorch
# :class: tip
# There is no `create_graph=True`: `mx.grad` of a function that calls `mx.grad` is a second derivative.
# Nor is there a hook like `spectral_norm(layer)`; the wrapper above takes its place, and its frozen `u` travels with `discriminator.state` through the compiled step.
# :::
#
# ## Summary
#
# A game need not have a valley: once the fakes are perfect, nothing tells the discriminator to give up its slope, and so the two players of the smallest game circle around the goal.
# The zero-centered penalties R1 and R2 do tell it, whereas other losses, a penalty toward slope 1, and spectral normalization do not.
#
# Compare techniques each at its own settings, in pairs over several seeds, and with the number of comparisons in mind.
# In our comparison no loss, penalty, or pair of rates changed the FID of a DCGAN with batch normalization by more than five seeds can show.
# Without the normalization the generator collapsed, unless R1, R1 and R2, spectral normalization, or WGAN-GP took its place, and spectral normalization also needed the variety term.
# With batch normalization in place, averaging the weights helped more than any other technique.
#
# All our generators so far draw whichever digit they like, and in [Choosing the digit](12_conditional.ipynb) we begin to tell them which.
#
# ## Exercises
#
# ### Exercise 1: How strong should the penalty be? (derive)
#
# Close to the goal, $\sigma(\psi\theta)$ is about $\tfrac12$ in the smallest game.
# With R1, the velocities are then $d\theta/dt = \tfrac12 \psi$ and $d\psi/dt = -\tfrac12 \theta - \gamma\psi$.
# (Exercise 2 of [When it goes wrong](10_failures.ipynb) treats the same players with a simpler loss and steps of finite length.)
# Which solutions $e^{qt}$ does this pair of equations have?
# Which $\gamma$ brings the players home the fastest, and what happens beyond it?
#
# :::{dropdown} Solution
# Substituting $\psi = 2\,d\theta/dt$ into the second equation gives $2\,d^2\theta/dt^2 = -\tfrac12\theta - 2\gamma\,d\theta/dt$, so $q^2 + \gamma q + \tfrac14 = 0$ and
#
# $$q = \frac{-\gamma \pm \sqrt{\gamma^2 - 1}}{2}.$$
#
# For $\gamma < 1$ the root is imaginary: the players spiral, and their distance falls like $e^{-\gamma t/2}$.
# At $\gamma = 1$ it falls the fastest in the long run, like $t e^{-t/2}$, and the spiral is gone.
# For $\gamma > 1$ one of the two solutions becomes slower again, $q \approx -1/(4\gamma)$ for a large $\gamma$: the discriminator hardly dares to tilt, and the generator waits for advice.
# The cell measures the decay between steps 40 and 140. (At $\gamma = 1$ it falls more slowly than the formula says, because of the factor $t$ and because our steps are not infinitely small.)
# :::


# %% tags=["hide-cell", "nbval-check-output"]
for gamma in (0.3, 1.0, 3.0):
    path = smallest_game(loss_d, loss_g, partial(r1_of_line, gamma=gamma))
    distance = np.hypot(*path.T)
    measured = math.log(distance[40] / distance[140]) / (0.2 * 100)
    root = np.emath.sqrt(gamma**2 - 1)
    formula = (gamma - root.real) / 2
    print(f"gamma {gamma}: decay {measured:.2f}, formula {formula:.2f}")

# %% [markdown]
# ### Exercise 2: Why only one side? (derive)
#
# Suppose that we also smooth the label of the fakes, from 0 to 0.1.
# Derive the best discriminator with one-sided and with two-sided smoothing, as in [Losses and optimizers](05_losses.ipynb).
# What do both say about an image that the generator draws and that never occurs in the data?
#
# :::{dropdown} Solution
# With the label $a$ for real images and $b$ for fakes, the discriminator maximizes $(a\,p_\text{data} + b\,p_g) \log D + ((1 - a)\,p_\text{data} + (1 - b)\,p_g) \log(1 - D)$ at each image, so
#
# $$D^* = \frac{a\,p_\text{data} + b\,p_g}{p_\text{data} + p_g}.$$
#
# Where $p_\text{data} = 0$, this is $b$.
# With $b = 0$ such an image is a fake for sure, and with $b = 0.1$ it gets a probability of 0.1, however absurd it is.
# Moreover, the term $b\,p_g$ raises $D^*$ wherever the generator already is, so part of the advice to the generator is to stay where it is.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
p_data, p_g = np.array([0.5, 0.1, 0.0]), np.array([0.1, 0.5, 0.5])
for name, b in (("one-sided", 0.0), ("two-sided", 0.1)):
    best = (0.9 * p_data + b * p_g) / (p_data + p_g)
    print(f"{name}: best D {best.round(2).tolist()}")

# %% [markdown]
# ### Exercise 3: What can five seeds show? (code)
#
# Suppose that the logarithm of the ratio has the standard deviation $s$ from pair to pair, and that its true mean is some multiple of $s$.
# Simulate how often the interval with $t\,s/\sqrt n$ excludes 0, for five pairs and for twenty.
# How large must an effect be so that five pairs find it in 80 % of all cases, once with the 95 % interval and once with the wide one?
#
# :::{dropdown} Solution
# With five pairs, an effect has to be about $1.7\,s$ for the 95 % interval and $4.4\,s$ for the wide one, and much smaller ones are mostly missed.
# With twenty pairs, an effect of $1.1\,s$ is enough even for the wide one.
# So "we cannot tell" after five seeds does not mean that there is no effect, but only that it is not several times as large as the scatter between pairs.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def found(effect, pairs, level, trials=20_000):
    rng = np.random.default_rng(0)
    logs = effect + rng.normal(size=(trials, pairs))
    t = stats.t.ppf((1 + level) / 2, pairs - 1)
    reach = t * logs.std(axis=1, ddof=1) / np.sqrt(pairs)
    return (np.abs(logs.mean(axis=1)) > reach).mean()


for pairs, level in ((5, 0.95), (5, wide), (20, 0.95), (20, wide)):
    print(f"{pairs:2d} pairs, {level:.1%}:", end="")
    for effect in (0.5, 1.0, 2.0, 3.0):
        power = found(effect, pairs, level)
        print(f"  {effect} s {power:4.0%}", end="")
    steps = np.arange(0.3, 5, 0.1)
    needed = next(x for x in steps if found(x, pairs, level) >= 0.8)
    print(f"  80 % from {needed:.1f} s")

# %% [markdown]
# ### Exercise 4: A penalty that looks at the wrong slope (change and explain)
#
# Take a discriminator with batch normalization, and compute the gradient that our penalties compute, that of the sum of all logits.
# Compare it, for the first image, with the gradient of that image's own logit.
# Repeat this without the normalization, and explain the difference.
#
# :::{dropdown} Solution
# Without normalization both are the same.
# With it, the pixels of the first image change the mean and the standard deviation of the batch and with them every other logit, and the sum contains all of these changes.
# They work against the image's own change: whatever raises the output of one image in a channel raises the mean, which is subtracted from all of them, so that before the next leaky ReLU the sum over the batch does not change at all.
# The sum is therefore less steep than the single logit, and a penalty would punish a slope that is not the one that the generator feels.
# The variety term, too, makes the sum differ from the single logit, because it adds to every logit something that depends on all images.
# :::

# %% tags=["hide-cell"]
mx.random.seed(0)
for norm in (True, False):
    network = models.DCGANDiscriminator(norm=norm)
    of_sum = mx.grad(lambda x: network(x).sum())(real)[0]  # noqa: B023
    own = mx.grad(lambda x: network(x)[0])(real)[0]  # noqa: B023
    lengths = [mx.sqrt(mx.square(g).sum()).item() for g in (of_sum, own)]
    share = lengths[0] / lengths[1]
    name = "with norm" if norm else "without"
    print(f"{name}: slope of the sum / own slope = {share:.2f}")

# %% [markdown]
# ## Further reading
#
# - [Mescheder et al. (2018)](../book/bibliography.md#mescheder-et-al-2018) play the smallest game with many losses and penalties, with a picture of each, and prove when R1 and R2 converge. If you read one paper about stability, read this one.
# - [Gulrajani et al. (2017)](../book/bibliography.md#gulrajani-et-al-2017) and [Miyato et al. (2018)](../book/bibliography.md#miyato-et-al-2018) introduced the gradient penalty and spectral normalization; [Sedghi et al. (2019)](https://arxiv.org/abs/1805.10408) compute all singular values of a convolution.
# - [Huang et al. (2024)](../book/bibliography.md#huang-et-al-2024) throw out the tricks one after the other and keep a relativistic loss with R1 and R2.
# - [Lucic et al. (2018)](../book/bibliography.md#lucic-et-al-2018) is the sobering comparison: most losses are alike once they are tuned.
# - [Heusel et al. (2017)](../book/bibliography.md#heusel-et-al-2017) prove what two learning rates are good for, and introduce the FID on the side.
