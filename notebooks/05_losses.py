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
# The two generators in the figure below imitate the same data, and each of them faces a perfect judge.
# They differ only in the formula by which they are paid, and yet one of them has given up a large part of the data.
# So what number should each network of a GAN try to make small, and by what rule should its weights change?
# By the end you can derive both losses, compute them safely, say what each makes the generator aim for, and explain every argument of our optimizer.
#
# *Before: [Generator and discriminator](04_models.ipynb), logarithms and a little calculus · To read: half an hour · To run: half a minute on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
from mlxgan import data, models, plots, recipes

import math
from itertools import islice

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten

mx.random.seed(4)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The data (blue) form two hills, but the generator (orange) can only make one. With the loss of the original game, the best it can do is to spread over both hills and the valley between. With the loss that GANs use in practice, the best it can do is to copy the larger hill and forget the other.", "name": "fig-05-two-hills"}, "image": {"alt": "Two panels with the same blue density of two hills, a larger one at -2 and a smaller one at 2. In the left panel, titled minimax loss, a wide and low orange hill covers both blue hills and the valley between them. In the right panel, titled non-saturating loss, a narrow orange hill lies exactly over the larger blue hill, and nothing covers the smaller one."}}
x = np.linspace(-6, 6, 151)


def density(mean, std):
    height = 1 / (std * np.sqrt(2 * np.pi))
    return height * np.exp(-(((x - mean) / std) ** 2) / 2)


figure, panels = plt.subplots(1, 2, figsize=(7.5, 2.6), sharey=True)
for axes, title, mean, std in (
    (panels[0], "minimax loss", -0.4, 2.1),
    (panels[1], "non-saturating loss", -2.0, 0.7),
):
    both = 0.6 * density(-2, 0.7) + 0.4 * density(2, 0.7)
    axes.fill_between(x, both, color=plots.REAL, alpha=0.3, label="data")
    axes.plot(x, density(mean, std), color=plots.FAKE, label="generator")
    axes.set(title=title, yticks=[], ylim=(0, 0.6))
panels[0].legend()
plt.show()

# %% [markdown]
# ## What should the judge be paid for?
#
# Imagine that you are the judge.
# You see a picture, name your probability $D$ that it is real, and are paid when the truth is revealed.
# Suppose that three out of four pictures like this one are real, so your honest answer is 0.75.
#
# One contract pays you the probability that you gave to the truth: $D$ if the picture was real, and $1 - D$ if it was a fake.
# Another pays its logarithm, which is never positive, so you try to lose little.
#
# **Which answer earns you the most on average, under each of the two contracts?**

# %% tags=["nbval-check-output"]
answers = mx.linspace(0.01, 0.99, 99)
contracts = {
    "probability": 0.75 * answers + 0.25 * (1 - answers),
    "logarithm": 0.75 * mx.log(answers) + 0.25 * mx.log(1 - answers),
}
for name, average_pay in contracts.items():
    best_answer = answers[mx.argmax(average_pay)].item()
    print(f"paid by the {name:11s}: best answer {best_answer:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# Under the first contract you should claim the highest probability on offer, and under the second you should say 0.75.
# :::
#
# The first contract rewards exaggeration, because a little more confidence pays off in three cases out of four.
# The second punishes a confident mistake so severely that your best policy is to say what you believe.
#
# Honest probabilities tell the generator *how* fake a picture looks, so we choose the second contract for our discriminator and pay it $\log D(x)$ for a real image $x$ and $\log(1 - D(G(z)))$ for a fake $G(z)$.
# With a minus sign, these earnings become a loss, the **binary cross-entropy**:
#
# $$L_D = -\,\mathbb{E}_{x}\,[\log D(x)] - \mathbb{E}_{z}\,[\log(1 - D(G(z)))],$$
#
# where $\mathbb{E}_{x}$ averages over real images and $\mathbb{E}_{z}$ over noise.
# The original game of [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014) is a **minimax** game: the discriminator makes $V = -L_D$ as large as it can, and the generator as small as it can.
#
# ## The same loss, written on logits
#
# The formula asks for a probability, but our discriminator returns a logit $\ell$.
# With $D = \sigma(\ell) = 1/(1 + e^{-\ell})$, the loss becomes very short:
#
# $$\begin{gathered}
# -\log D = \log(1 + e^{-\ell}) = \mathrm{softplus}(-\ell), \\
# -\log(1 - D) = \log(1 + e^{\ell}) = \mathrm{softplus}(\ell).
# \end{gathered}$$
#
# Softplus is the smooth ReLU that you met in [A GAN in one page](01_first_gan.ipynb): a real image with a high logit costs almost nothing, while a fake with a logit of 8 costs about 8.


# %% tags=["nbval-check-output"]
def discriminator_loss(logits_real: mx.array, logits_fake: mx.array):
    """Binary cross-entropy that calls real images 1 and fakes 0."""
    return (
        nn.softplus(-logits_real).mean() + nn.softplus(logits_fake).mean()
    )


bce = nn.losses.binary_cross_entropy
real, fake = mx.array([3.0, 0.5, -1.0]), mx.array([-2.0, 0.0, 8.0])
ours = discriminator_loss(real, fake).item()
mlx = bce(real, mx.ones(3)).mean() + bce(fake, mx.zeros(3)).mean()
print(f"our loss {ours:.4f}, MLX's cross-entropy {mlx.item():.4f}")

# %% [markdown]
# The result agrees with MLX's own cross-entropy, which by default expects logits, like `BCEWithLogitsLoss` in PyTorch.
# It also accepts probabilities, from a network that ends in a sigmoid, but then there is a trap.
#
# **A real image has the logit 20, so the discriminator is right, and sure of it. What are the loss and its slope?**


# %%
def from_probability(x):
    return bce(mx.sigmoid(x), mx.array(1.0), with_logits=False)


def from_logit(x):
    return bce(x, mx.array(1.0))


for logit in (-200.0, -20.0, 20.0):
    for function in (from_probability, from_logit):
        loss, slope = mx.value_and_grad(function)(mx.array(logit))
        loss, slope = abs(loss.item()), slope.item()
        name = f"logit {logit:4.0f}, {function.__name__:16s}"
        print(f"{name}: loss {loss:6.2f}, slope {slope:5.2f}")

# %% [markdown]
# :::{dropdown} Answer
# The loss is 0, as it should be, but its slope is NaN if the sigmoid comes first.
# :::
#
# In float32 $\sigma(20)$ is rounded to 1, as we saw in the last chapter, so $\log(1 - D)$ is minus infinity, and so is its slope.
# For a real image this term has the weight 0, but 0 times an infinite slope is not a number.
# The loss looks innocent, because MLX clips the logarithm at $-100$, and yet a single such image turns the gradient of the whole batch into NaN.
# Computed from the logit, both are right in every row.
# So if the losses of your GAN become NaN after some good steps, look for a sigmoid at the end of the discriminator.
#
# ## The best possible judge
#
# How good can a discriminator become against a generator that stands still?
# Let $p_\text{data}(x)$ be the density of real images at $x$, which says how common such images are, and $p_g(x)$ that of generated ones.
# If we show equally many of both, then under our contract the best discriminator reports what fraction of all images like $x$ is real:
#
# $$D^*(x) = \frac{p_\text{data}(x)}{p_\text{data}(x) + p_g(x)}.$$
#
# (To confirm it, set the derivative of $p_\text{data} \log D + p_g \log(1 - D)$ with respect to $D$ to zero.)
#
# A discriminator never sees a density, however, only samples.
# To find out whether they are enough, we replace images by numbers on a line, real ones from a narrow bell around 1 and generated ones from a wide bell around $-0.5$.
# A small network learns to tell them apart, with our loss and with the optimizer that the end of this chapter explains.

# %%
real_mean, real_std, fake_mean, fake_std = 1.0, 0.5, -0.5, 1.5
judge = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 1))


def judge_loss(real, fake):
    return discriminator_loss(judge(real), judge(fake))


optimizer = recipes.adam(1e-2)
history = []
for _ in range(2000):
    real = real_mean + real_std * mx.random.normal((512, 1))
    fake = fake_mean + fake_std * mx.random.normal((512, 1))
    loss, gradients = nn.value_and_grad(judge, judge_loss)(real, fake)
    optimizer.update(judge, gradients)
    mx.eval(judge.state, optimizer.state, loss)
    history.append(loss.item())

# %% [markdown]
# To compare its answers with the formula, we compute both bells on a grid of narrow cells.
#
# **Far to the right, at $x = 3$, real and generated numbers are both rare. What will the best judge say there?**

# %%
grid = np.linspace(-9, 9, 3601)


def bell(mean, std):
    p = np.exp(-(((grid - mean) / std) ** 2) / 2)
    return p / p.sum()


p_data, p_g = bell(real_mean, real_std), bell(fake_mean, fake_std)
best = p_data / (p_data + p_g)
inputs = mx.array(grid, mx.float32)[:, None]
learned = np.array(mx.sigmoid(judge(inputs)))[:, 0]
for x in (1, 3):
    cell = np.abs(grid - x).argmin()
    print(f"x = {x}: best D {best[cell]:.2f}, learned {learned[cell]:.2f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Wherever there are samples, a network that sees nothing else learns the ratio of the two densities.", "name": "fig-05-best"}, "image": {"alt": "Curves over x. A narrow blue density of the real values around 1 and a wide orange density of the generated values around -0.5. A solid green line, the best discriminator, is near 0 on the left, rises to about 0.84 a little to the right of x = 1 and falls again to 0 at the right. A dashed black line, the learned discriminator, lies close to it everywhere."}}
width = grid[1] - grid[0]
figure, axes = plt.subplots()
for p, name, color in (
    (p_data, "density of real", plots.REAL),
    (p_g, "density of generated", plots.FAKE),
):
    axes.fill_between(grid, p / width, color=color, alpha=0.3, label=name)
axes.plot(grid, best, color="C2", label="best D")
axes.plot(grid, learned, "--", color="black", lw=1.2, label="learned D")
axes.set(xlabel="x", xlim=(-5, 4), ylim=(0, 1.05))
axes.legend(loc="upper left")
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# Almost certainly a fake, because the wide bell still produces far more such numbers than the narrow one.
# :::
#
# The learned curve follows the formula closely, except at the far right, where it has hardly seen any samples.
# So a well-trained discriminator measures the *ratio* of two densities.
#
# ## What the judge's loss measures
#
# If the discriminator is as good as it can be, its loss tells us how far the generator still is from the data.
# To make "how far" precise, we use the **Kullback-Leibler divergence** $\mathrm{KL}(p \,\|\, q)$, the average of $\log(p/q)$ over samples from $p$.
# It says how much more these samples surprise you if you expect $q$ instead of $p$, and it is 0 if the two are equal and positive otherwise.
#
# Let $m = (p_\text{data} + p_g)/2$ be the mixture of both, so that $D^* = p_\text{data}/(2m)$ and $1 - D^* = p_g/(2m)$.
# Then the average of $\log D^* = \log(p_\text{data}/m) - \log 2$ over real images is $\mathrm{KL}(p_\text{data} \,\|\, m) - \log 2$, and the same step for the fakes leads to
#
# $$\begin{aligned}
# L_{D^*} &= 2 \log 2 - \mathrm{KL}(p_\text{data} \,\|\, m) - \mathrm{KL}(p_g \,\|\, m) \\
# &= 2 \log 2 - 2\,\mathrm{JSD}(p_\text{data}, p_g).
# \end{aligned}$$
#
# The average of the two divergences is called the **Jensen-Shannon divergence**, JSD for short, and it is 0 if the two distributions are equal.


# %%
def kl(p, q):
    inside = p > 0
    return np.sum(p[inside] * np.log(p[inside] / q[inside]))


def jsd(p, q):
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2


loss_of_best = -np.sum(p_data * np.log(best) + p_g * np.log(1 - best))
formula = 2 * math.log(2) - 2 * jsd(p_data, p_g)
print(f"loss of the best judge {loss_of_best:.4f}, formula {formula:.4f}")
print(f"loss of the learned judge {np.mean(history[-200:]):.4f}")

# %% [markdown]
# The formula holds, and the judge that only saw samples comes within a thousandth of it.
#
# **What happens to the loss of the best judge when we move the two bells further and further apart?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The loss of the best discriminator falls from 2 log 2, where the distributions are equal, to 0, where they no longer overlap. From there on the curve is flat: it makes no difference whether the fakes are far away or very far away.", "name": "fig-05-apart"}, "image": {"alt": "A green curve over the distance of the means from 0 to 8. It starts at a dotted line for 2 log 2, about 1.39, falls steeply between 1 and 3 and is flat, close to 0, from about 6 on."}}
distances = np.linspace(0, 8, 41)
lowest = [
    2 * math.log(2)
    - 2 * jsd(bell(-distance / 2, 1), bell(distance / 2, 1))
    for distance in distances
]
figure, axes = plt.subplots()
axes.plot(distances, lowest, color="C2")
axes.axhline(2 * math.log(2), color=plots.GREY, ls=":", label="2 log 2")
axes.set(xlabel="distance of the means", ylabel="loss of the best D")
axes.set_ylim(0, None)
axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# It falls to 0 and stays there, because the divergence reaches its largest value, $\log 2$, once the two no longer overlap.
# :::
#
# The two ends of this curve are landmarks for every training run: near 1.39 the discriminator can only guess, and near 0 it has won.
# The flat part on the right is a warning, because in the minimax game the generator tries to raise this loss, and there it finds no slope to climb.
# [Arjovsky et al. (2017)](../book/bibliography.md#arjovsky-et-al-2017) therefore replaced the whole loss, and in [What makes training stable](11_stability.ipynb) a penalty will keep the judge smooth.
# But first we try something simpler and pay the generator differently.
#
# ## Why the minimax loss falls silent
#
# The generator learns only through the gradient of its loss with respect to the discriminator's logit $\ell$, so let us look at that gradient.
# In the minimax game, its loss for a fake is $\log(1 - D) = -\mathrm{softplus}(\ell)$.
# The derivative is $-\sigma(\ell) = -D$, so this loss pushes the logit up with a strength of $D$.
# The paper of 2014 already proposes an alternative, $-\log D = \mathrm{softplus}(-\ell)$.
# Its derivative is $-(1 - D)$, so it pushes in the same direction, but with a strength of $1 - D$.
#
# **Early in training, the discriminator easily recognizes the fakes and gives them logits around $-5$. Which of the two losses pushes harder then, and by what factor?**


# %% tags=["nbval-check-output"]
def saturating_generator_loss(logits_fake: mx.array):
    """The generator's side of the minimax game."""
    return -nn.softplus(logits_fake).mean()


def generator_loss(logits_fake: mx.array):
    """The non-saturating loss of the generator."""
    return nn.softplus(-logits_fake).mean()


for logit in (-10.0, -5.0, 0.0, 5.0):
    minimax = -mx.grad(saturating_generator_loss)(mx.array(logit)).item()
    other = -mx.grad(generator_loss)(mx.array(logit)).item()
    print(f"logit {logit:3.0f}: minimax {minimax:.5f}, other {other:.5f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "How strongly each loss pushes up the logit of a fake. Where the discriminator is sure of a fake, on the left, the minimax loss gives the generator almost no signal, and the non-saturating loss gives the full one.", "name": "fig-05-push"}, "image": {"alt": "Two curves over the logit from -8 to 8. The push of the minimax loss starts at 0 on the left and rises to 1 on the right; that of the non-saturating loss falls from 1 to 0. They cross at logit 0 and strength 0.5. The region left of -3 is shaded and labeled: the generator loses badly."}}
x = np.linspace(-8, 8, 201)
d = 1 / (1 + np.exp(-x))
figure, axes = plt.subplots()
axes.plot(x, d, color="C3", label="minimax: D")
axes.plot(x, 1 - d, color="C4", label="non-saturating: 1 - D")
axes.axvspan(-8, -3, color=plots.GREY, alpha=0.15)
axes.text(-7.7, 0.45, "the generator\nloses badly", fontsize=9)
axes.set(
    xlabel="logit of a fake", ylabel="push on the logit", xlim=(-8, 8)
)
axes.legend(loc="center right")
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# The second, by a factor of about 150.
# The ratio of the two is $(1 - D)/D = e^{-\ell}$, and $e^5$ is 148.
# :::
#
# The minimax loss *saturates*: it is nearly silent where the generator needs help most.
# The alternative is therefore called the **non-saturating loss**.
#
# Does this matter for our two networks?
# We measure the length of the gradient that reaches the generator's weights under each loss, train only the discriminator for 200 steps, and measure again.

# %%
digits = data.load("train")
generator, discriminator = models.MLPGenerator(), models.MLPDiscriminator()
z = mx.random.normal((64, generator.latent_dim))


def report(when, loss):
    def loss_g(z):
        return loss(discriminator(generator(z)))

    value, gradients = nn.value_and_grad(generator, loss_g)(z)
    squares = [mx.square(g).sum() for _, g in tree_flatten(gradients)]
    norm = math.sqrt(sum(squares).item())
    name = f"{when}, {loss.__name__}"
    print(f"{name:33s} value {value.item():7.4f}, gradient {norm:7.4f}")


report("before", saturating_generator_loss)
report("before", generator_loss)


# %%
def loss_d(real):
    logits_fake = discriminator(generator(z))
    return discriminator_loss(discriminator(real), logits_fake)


optimizer = recipes.adam()
for real, _ in islice(data.batches(digits, 64, seed=0), 200):
    _, gradients = nn.value_and_grad(discriminator, loss_d)(real)
    optimizer.update(discriminator, gradients)
    mx.eval(discriminator.state, optimizer.state)
report("after", saturating_generator_loss)
report("after", generator_loss)

# %% [markdown]
# The generator is the same in both reports.
# Yet its gradient has shrunk to less than a tenth under the minimax loss, while under the non-saturating one it has grown several hundredfold, mostly because the discriminator has become much steeper.
# So we use the second loss, as GANs with this cross-entropy normally do.
#
# In [the lab](../book/lab.md#preset=wins) you can watch the same thing happen to points in a plane, which hardly move under the minimax loss until you press the cure.
#
# The reports also show that the non-saturating loss has risen from 0.7 to about 9, although the images are still the same.
# A GAN's loss is measured against an opponent, so it may rise while the pictures get better, and you cannot compare two runs by it.
# Quality needs a measure of its own, which comes in [Measuring](08_measuring.ipynb).
#
# ## What the new loss aims for
#
# Against the best judge, the minimax generator reduces the Jensen-Shannon divergence, because $V = -L_{D^*} = 2\,\mathrm{JSD} - 2 \log 2$.
# What does it aim for now that we have replaced its loss?
#
# To find out, we hold the judge still, let the generator take one small step, and look for a divergence that changes as much as its loss.
# (If you would rather trust numbers, skip to the next cell.)
# Against the best judge for the present generator, the non-saturating loss is
#
# $$\mathbb{E}_{x \sim p_g}\,[-\log D^*(x)] = \int p_g \log \frac{m}{p_\text{data}}\,dx + \log 2,$$
#
# and the step changes $p_g$ by some small $\delta p_g$ at every $x$, but not the logarithm, which belongs to the judge.
# Compare this with the divergence $2\,\mathrm{KL}(m \,\|\, p_\text{data}) = 2 \int m \log (m / p_\text{data})\,dx$.
# The same step changes $m$ by $\delta m = \delta p_g / 2$, and by the product rule it changes the divergence by
#
# $$2 \int \delta m\, \log \frac{m}{p_\text{data}}\,dx + 2 \int m\, \frac{\delta m}{m}\,dx
# = \int \delta p_g \log \frac{m}{p_\text{data}}\,dx.$$
#
# The second integral vanishes, because a distribution always adds up to 1 and its change therefore to 0.
# What remains is exactly the change in the generator's loss.
# At the best discriminator, then, the non-saturating loss has the same gradient as
#
# $$2\,\mathrm{KL}(m \,\|\, p_\text{data}) = \mathrm{KL}(p_g \,\|\, p_\text{data}) - 2\,\mathrm{JSD}(p_\text{data}, p_g).$$
#
# The form on the right, which you can derive in Exercise 2, is due to [Arjovsky and Bottou (2017)](https://arxiv.org/abs/1701.04862).
# Let us check the claim on our two bells.


# %% tags=["nbval-check-output"]
def frozen_loss(mean, judge):
    return -np.sum(bell(mean, fake_std) * np.log(judge))


def objective(mean):
    p_g = bell(mean, fake_std)
    return kl(p_g, p_data) - 2 * jsd(p_data, p_g)


h = 1e-4
for mean in (-2.0, -0.5, 0.5, 2.0):
    judge = p_data / (p_data + bell(mean, fake_std))
    rise = frozen_loss(mean + h, judge) - frozen_loss(mean - h, judge)
    expected = objective(mean + h) - objective(mean - h)
    slopes = f"{rise / (2 * h):7.3f}, formula {expected / (2 * h):7.3f}"
    print(f"mean {mean:4.1f}: slope of the loss {slopes}")

# %% [markdown]
# The slopes agree.
# Both objectives are smallest where $p_g = p_\text{data}$, but they charge differently for the mistakes on the way.
#
# The new one contains $\mathrm{KL}(p_g \,\|\, p_\text{data})$, the so-called **reverse** divergence, which averages over the images that the generator draws.
# An image that the data would hardly ever contain is expensive, because $\log(p_g/p_\text{data})$ is large there, whereas a digit that the generator never draws does not even appear in the average.
#
# Suppose that the data contain the ten digits equally often, and one scribble in ten thousand images.
# One generator is perfect except that it never draws a five, and another draws scribbles a tenth of the time.
#
# **Which of the two mistakes costs more, under each of the two objectives?**

# %% tags=["nbval-check-output"]
truth = np.array([0.09999] * 10 + [0.0001])  # ten digits, scribbles
no_five = np.where(np.arange(11) == 5, 0, truth)
no_five = no_five / no_five.sum()
scribbles = 0.9 * truth
scribbles[10] += 0.1

for name, p_g in {"no fives": no_five, "scribbles": scribbles}.items():
    minimax = 2 * jsd(truth, p_g)
    non_saturating = kl(p_g, truth) - minimax
    costs = f"minimax {minimax:.3f}, non-saturating {non_saturating:.3f}"
    print(f"{name:9s}: {costs}")

# %% [markdown]
# :::{dropdown} Answer
# Under the minimax loss they cost about the same, but under the non-saturating loss the scribbles cost sixteen times as much.
# :::
#
# The new objective gives a generator a strong reason to avoid nonsense, and little reason to care about a digit that it has forgotten.
# In the figure at the top of this chapter, the data have two hills and the generator can only make a single bell.
# Which bell is best under each objective?

# %%
p_data = 0.6 * bell(-2, 0.7) + 0.4 * bell(2, 0.7)
costs = {}
for mean in np.arange(-3, 3.05, 0.1):
    for std in np.arange(0.4, 3.05, 0.1):
        p_g = bell(mean, std)
        minimax = 2 * jsd(p_data, p_g)
        costs[mean, std] = minimax, kl(p_g, p_data) - minimax

for column, name in enumerate(["minimax", "non-saturating"]):
    mean, std = min(costs, key=lambda pair: costs[pair][column])
    print(f"{name:14s}: best mean {mean:4.1f}, best width {std:.1f}")

# %% [markdown]
# These are the two generators of the figure: one covers even the empty valley, and the other draws only the larger hill.
# This is only one possible reason why GANs lose digits, since our generators are far more flexible than a bell and their judge is never perfect; [When it goes wrong](10_failures.ipynb) looks at others.
#
# ## Where the game would end
#
# Ordinary training ends when the loss stops falling, but here each loss depends on an opponent who keeps learning.
# What a game can have instead is an **equilibrium**, a state in which neither player can do better by changing alone.
# Suppose that the generator's images are distributed exactly like the real ones.
# Then the honest answer to every image is $1/2$, and as long as the judge gives it, no change of the images helps the generator.
#
# **What are the two losses in this state?**

# %% tags=["nbval-check-output"]
even = mx.zeros(64)  # the logits of a judge who says one half
value_d, value_g = discriminator_loss(even, even), generator_loss(even)
print(f"discriminator {value_d.item():.4f}, 2 log 2 {math.log(4):.4f}")
print(f"generator {value_g.item():.4f}, log 2 {math.log(2):.4f}")

# %% [markdown]
# Do not take these numbers for success, because the untrained pair of the last chapter was just as undecided.
# Nor does a real run have to come to rest there: [The training loop](06_training.ipynb) shows where the curves really go.
#
# ## Adam
#
# One question is left: how far should a weight follow its gradient?
# Plain gradient descent multiplies every gradient by the same learning rate, but no single rate suits a gradient that can grow several hundredfold while the generator stands still, as ours just did.
#
# **Adam** ([Kingma and Ba, 2015](../book/bibliography.md#kingma-and-ba-2015)) therefore divides each gradient by its own recent size.
# For every weight it keeps two running averages, $m$ of the gradient $g$ and $v$ of its square,
#
# $$\begin{gathered}
# m_t = \beta_1 m_{t-1} + (1 - \beta_1)\, g_t, \\
# v_t = \beta_2 v_{t-1} + (1 - \beta_2)\, g_t^2,
# \end{gathered}$$
#
# and moves the weight by $-\eta\, m_t / (\sqrt{v_t} + \epsilon)$, where $\eta$ is the learning rate and $\epsilon$ a tiny number that prevents a division by 0.
# As long as the gradient stays the same, each step is one learning rate long, however large the gradient.
#
# Both averages begin at 0, so in the first steps they are too small.
# The **bias correction** of the paper divides them by $1 - \beta_1^t$ and $1 - \beta_2^t$.


# %%
def adam_by_hand(gradients, beta1, beta2=0.999, correct=True):
    """The steps of one weight, in learning rates."""
    m, v, steps = 0.0, 0.0, []
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m, v
        if correct:
            m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        steps.append(-m_hat / (math.sqrt(v_hat) + 1e-8))
    return steps


# %% tags=["hide-input"]
def adam_by_mlx(gradients, optimizer):
    """The same for one of MLX's optimizers with learning rate 1."""
    weight, steps = {"w": mx.array(0.0)}, []
    for g in gradients:
        moved = optimizer.apply_gradients({"w": mx.array(g)}, weight)
        steps.append((moved["w"] - weight["w"]).item())
        weight = moved
    return steps


# %% [markdown]
# This is Adam for a single weight, and the folded cell lets MLX do the same.
# MLX corrects only on request, and we saw in [MLX in a quarter of an hour](02_mlx.ipynb) that its first step is otherwise three times too long with the usual $\beta_1 = 0.9$.
#
# **We will use $\beta_1 = 0.5$. Is the first step better or worse without the correction?**

# %% tags=["nbval-check-output"]
gradients = [0.5, -0.2, 1.0]
for name, steps in {
    "by hand, corrected": adam_by_hand(gradients, 0.5),
    "by hand, not corrected": adam_by_hand(gradients, 0.5, correct=False),
    "MLX's default": adam_by_mlx(gradients, optim.Adam(1.0, [0.5, 0.999])),
}.items():
    print(f"{name:23s}", [round(step, 2) for step in steps])

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The length of Adam's steps for a constant gradient. Without the bias correction the first steps are several times too long, and even after a thousand steps they have not quite come down to one learning rate.", "name": "fig-05-adam"}, "image": {"alt": "The length of a step in learning rates over steps 1 to 1,000, both axes logarithmic. With the correction it is a horizontal line at 1. Without it and with beta 1 of 0.5 it starts at about 16; with beta 1 of 0.9 it starts at about 3 and rises to about 7 before it falls. Both then fall together to about 3 at step 100 and 1.3 at step 1,000."}}
figure, axes = plt.subplots()
for beta1, correct, color in (
    (0.5, False, "C3"),
    (0.9, False, "C4"),
    (0.5, True, plots.GREY),
):
    optimizer = optim.Adam(1.0, [beta1, 0.999], bias_correction=correct)
    lengths = -np.array(adam_by_mlx([1.0] * 1000, optimizer))
    name = f"beta 1 = {beta1}, {'corrected' if correct else 'default'}"
    axes.loglog(range(1, 1001), lengths, color=color, label=name)
    ends = ", ".join(
        f"{lengths[t - 1]:.1f} at step {t}" for t in (1, 100, 1000)
    )
    print(f"{name}: {ends}")
axes.set(xlabel="step", ylabel="step / learning rate")
axes.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
axes.minorticks_off()
axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# It is worse, almost 16 times too long.
# :::
#
# The cause is $v$ in the denominator, which averages over about a thousand steps and so starts further below its final value than $m$ does.
# At the first step the factor is $(1 - \beta_1)/\sqrt{1 - \beta_2}$, which makes 3.2 for $\beta_1 = 0.9$ and 15.8 for 0.5.
# PyTorch always corrects, so a GAN that is ported to MLX line by line opens the game with much longer steps than its author intended.
#
# ### Why the first beta is 0.5
#
# The average $m$ remembers about $1/(1 - \beta_1)$ steps, which is ten for 0.9 and two for 0.5.
# A long memory smooths out noise, but in a game an old gradient is the answer to an opponent who has since moved on.
#
# **Suppose that a gradient has been $+1$ for a long time and then turns to $-1$. How many steps still go the wrong way?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The gradient changes its sign after step 40. With beta 1 = 0.9 Adam goes on in the old direction for several steps, and with 0.5 it turns at once.", "name": "fig-05-beta"}, "image": {"alt": "Adam's update over steps 30 to 70 for a gradient that turns from plus 1 to minus 1 after step 40, shown as a dotted gray step. The line for beta 1 of 0.5 drops from 1 to -1 within about four steps. The line for 0.9 falls slowly, crosses zero six or seven steps after the turn and is not yet at -1 at the end."}}
turning = [1.0] * 40 + [-1.0] * 30
figure, axes = plt.subplots()
for beta1, color in ((0.9, "C4"), (0.5, "C3")):
    optimizer = optim.Adam(1.0, [beta1, 0.999], bias_correction=True)
    updates = -np.array(adam_by_mlx(turning, optimizer))
    name = f"beta 1 = {beta1}"
    axes.plot(range(1, 71), updates, color=color, label=name)
    wrong = (updates[40:] > 1e-3).sum()
    print(f"{name}: {wrong} steps the wrong way")
axes.step(range(1, 71), turning, ":", where="mid", color=plots.GREY)
axes.set(xlim=(30, 70), xlabel="step", ylabel="update / learning rate")
axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# Six with $\beta_1 = 0.9$, and none with 0.5.
# :::
#
# [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) reported that their GANs oscillated with 0.9 and became more stable with 0.5, and they chose a learning rate of 0.0002.
# We adopt both values and switch the bias correction on, so from here on each network gets its own optimizer from this small function, `recipes.adam` in the package.


# %% tags=["nbval-check-output"]
def adam(learning_rate=2e-4):
    """Adam as GANs use it, with bias correction."""
    return optim.Adam(
        learning_rate, betas=[0.5, 0.999], bias_correction=True
    )


print(f"rate {adam().learning_rate.item():.4f}, betas {adam().betas}")

# %% [markdown]
# ## Summary
#
# A judge who is paid by the logarithm of a probability does best to be honest, and this leads to the binary cross-entropy.
# On logits it is a sum of two softpluses, which stays accurate where a sigmoid followed by a logarithm gives NaN.
# The best discriminator is $p_\text{data}/(p_\text{data} + p_g)$, and its loss is $2 \log 2$ minus twice the Jensen-Shannon divergence.
# The minimax generator gets hardly any gradient while it is losing, so we give it the non-saturating loss.
# At the best discriminator this follows $\mathrm{KL}(p_g \,\|\, p_\text{data}) - 2\,\mathrm{JSD}$, which charges far more for nonsense than for a missing digit.
# Neither loss measures quality, since each depends on the opponent.
# Both networks use Adam with $\beta_1 = 0.5$, so that it forgets quickly, and with the bias correction that MLX leaves out by default.
#
# Now we have all the parts, and in [The training loop](06_training.ipynb) we let them play.
#
# ## Exercises
#
# ### Exercise 1: Where the judge is undecided (derive)
#
# In an exercise of [MLX in a quarter of an hour](02_mlx.ipynb) the best logit for two bells of the same width was a straight line.
# Derive it for our two bells, with means 1 and $-0.5$ and standard deviations 0.5 and 1.5.
# At which $x$ does the best judge say exactly $1/2$, and how does the answer explain the shape of the curve in the figure?
#
# :::{dropdown} Solution
# The odds are $D^*/(1 - D^*) = p_\text{data}/p_g$, so the logit is $\ell(x) = \log(p_\text{data}/p_g)$.
# For our two bells this is
#
# $$\ell(x) = \log \frac{1.5}{0.5} - \frac{(x - 1)^2}{2 \cdot 0.5^2} + \frac{(x + 0.5)^2}{2 \cdot 1.5^2}.$$
#
# Because the widths differ, the squares of $x$ do not cancel, and the logit is a parabola that opens downward.
# It crosses 0 at two points, so the judge takes a number for real only between them, and the curve in the figure rises and falls again.
# A single linear layer could not do that.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
parabola = np.poly1d([0.0])
for mean, std, sign in ((1.0, 0.5, -1), (-0.5, 1.5, 1)):
    parabola += sign * np.poly1d([1, -mean]) ** 2 / (2 * std**2)
parabola += math.log(1.5 / 0.5)
for x in sorted(parabola.roots):
    cell = np.abs(grid - x).argmin()
    d = bell(1, 0.5)[cell] / (bell(1, 0.5)[cell] + bell(-0.5, 1.5)[cell])
    print(f"undecided at x = {x:.2f}, where the best D is {d:.2f}")

# %% [markdown]
# ### Exercise 2: One divergence, two forms (derive)
#
# Show that $2\,\mathrm{KL}(m \,\|\, p_\text{data}) = \mathrm{KL}(p_g \,\|\, p_\text{data}) - 2\,\mathrm{JSD}(p_\text{data}, p_g)$, where $m$ is the mixture $(p_\text{data} + p_g)/2$.
# What does the left-hand side tell you about the sign of the right-hand side?
#
# :::{dropdown} Solution
# Start on the right and write out $2\,\mathrm{JSD} = \mathrm{KL}(p_\text{data} \,\|\, m) + \mathrm{KL}(p_g \,\|\, m)$.
# Under the integral over $p_g$ we have $\log(p_g/p_\text{data}) - \log(p_g/m) = \log(m/p_\text{data})$, and under the integral over $p_\text{data}$ we have $-\log(p_\text{data}/m) = \log(m/p_\text{data})$.
# Together they are $\int (p_g + p_\text{data}) \log(m/p_\text{data})\,dx = 2 \int m \log(m/p_\text{data})\,dx$.
# A divergence is never negative, so the right-hand side is not negative either, although a minus sign stands in it, and it is 0 only if $m = p_\text{data}$, that is if $p_g = p_\text{data}$.
# :::
#
# ### Exercise 3: A softer label (code)
#
# [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016) train the discriminator to say 0.9 instead of 1 to real images.
# Write this loss for one real image as a function of its logit, and find the best logit by 200 steps of gradient descent.
# How does it differ from the best logit with the label 1?
#
# :::{dropdown} Solution
# The loss is $0.9\,\mathrm{softplus}(-\ell) + 0.1\,\mathrm{softplus}(\ell)$, and its derivative is $\sigma(\ell) - 0.9$.
# It is smallest where $\sigma(\ell) = 0.9$, so at $\ell = \log 9 = 2.2$.
# With the label 1 the loss falls for as long as the logit rises, so there is no best logit, and the discriminator is rewarded for becoming ever more confident.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def softer_loss(logit):
    return 0.9 * nn.softplus(-logit) + 0.1 * nn.softplus(logit)


logit = mx.array(0.0)
for _ in range(200):
    logit = logit - mx.grad(softer_loss)(logit)
print(f"found {logit.item():.2f}, log 9 = {math.log(9):.2f}")

# %% [markdown]
# ### Exercise 4: One sigmoid too many (change and explain)
#
# Change the discriminator so that it ends in a sigmoid, and leave the losses as they are.
# Nothing raises an error.
# What is the smallest value that the discriminator's loss can now reach, and how strong is the generator's push on a logit of $-5$?
# Explain both.
#
# :::{dropdown} Solution
# The losses take what they get for a logit, so they apply a second sigmoid to a number that already lies between 0 and 1.
# Even a perfect discriminator can only offer 1 for a real image and 0 for a fake, which costs $\mathrm{softplus}(-1) + \mathrm{softplus}(0) = 1.006$.
# The loss looks as if the discriminator were still unsure, although it is always right.
# The push, which is now about one half, has to pass through the slope of the first sigmoid, which is 0.0066 at $-5$, so the saturation that the non-saturating loss was meant to cure is back.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def loss_after_sigmoid(logits_real, logits_fake):
    return discriminator_loss(
        mx.sigmoid(logits_real), mx.sigmoid(logits_fake)
    )


def push_after_sigmoid(logit):
    return generator_loss(mx.sigmoid(logit))


perfect = loss_after_sigmoid(mx.array([50.0]), mx.array([-50.0])).item()
one = -mx.grad(generator_loss)(mx.array(-5.0)).item()
two = -mx.grad(push_after_sigmoid)(mx.array(-5.0)).item()
print(f"loss of a perfect discriminator {perfect:.3f}")
print(f"push with one sigmoid {one:.4f}, with two {two:.4f}")

# %% [markdown]
# ## Further reading
#
# - [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014) contains the best discriminator, the minimax value and a proof that equal distributions are the only solution, in two pages.
# - [Arjovsky and Bottou (2017)](https://arxiv.org/abs/1701.04862) analyze why both losses of the generator cause trouble near a perfect discriminator, and [Arjovsky et al. (2017)](../book/bibliography.md#arjovsky-et-al-2017) draw the consequence and choose another distance.
# - [Shannon et al. (2020)](https://arxiv.org/abs/2010.08029) study the divergence behind the non-saturating loss in detail and compare it with others. Read it if the section on what the new loss aims for left you curious.
# - [Theis et al. (2016)](../book/bibliography.md#theis-et-al-2016) show how measures of generative models contradict each other, a good antidote to judging a model by one number.
# - [Kingma and Ba (2015)](../book/bibliography.md#kingma-and-ba-2015) is short and clear, and worth reading for the bias correction alone.
