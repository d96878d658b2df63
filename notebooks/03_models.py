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
# # Generator and discriminator
#
# You build the two networks of a GAN, count their weights by hand, and find out what each of them
# knows before any training.
#
# ```{admonition} What you will learn
# :class: important
# - draw noise in 100 dimensions, and say how long such a vector is;
# - write a generator and a discriminator as MLX modules, and derive their parameter counts;
# - explain why the discriminator has leaky units and returns a logit;
# - predict how the activations shrink through the layers of a fresh network;
# - take the gradient of one network's weights while the other takes part.
#
# **Before**: {doc}`01_mlx` and {doc}`02_data`.
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import data, losses, plots, recipes

import io
from itertools import islice, pairwise

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

mx.random.seed(3)
digits = data.load("train")
real = data.normalize(digits.images[:64])

# %% [markdown]
# ## The game in pictures
#
# The **generator** $G$ turns a vector of noise $z$ into an image. The **discriminator** $D$ looks
# at an image and returns one number: high if it takes the image for a real one, low if for a
# generated one. The discriminator is trained to tell the two apart. The generator is trained to
# make the discriminator wrong. It never sees a real image: all that it learns comes through the
# discriminator's opinion of its work. {numref}`fig-03-game` shows both networks
# {cite}`goodfellow2014`.


# %% tags=["hide-input"]
def bars(axes, left, widths, colour):
    for x, width in zip(np.arange(left, left + 2.5, 0.5), widths, strict=True):
        axes.bar(x, width / 1024, 0.26, bottom=-width / 2048, color=colour)
        axes.text(x, -width / 2048 - 0.04, width, ha="center", va="top", fontsize=8)


def thumbnail(axes, image, bottom, colour, text):
    extent = (3.2, 4.1, bottom, bottom + 0.5)
    picture = plots.tile(image, 1)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
    axes.add_patch(
        plt.Rectangle((3.2, bottom), 0.9, 0.5, fill=False, edgecolor=colour, lw=2)
    )
    axes.text(3.65, bottom + 0.54, text, ha="center", fontsize=9, color=colour)


# %% tags=["hide-input"] mystnb={"figure": {"caption": "The two networks of this chapter. The height of a bar is the width of a layer. The discriminator sees real images and generated ones in turn.", "name": "fig-03-game"}, "image": {"alt": "A diagram. Noise z enters the generator, five orange bars labelled 100, 256, 512, 1024 and 784, which leads to a grey noisy image. From this image and from a handwritten digit, drawn in a blue frame, arrows lead to the discriminator, five grey bars labelled 784, 1024, 512, 256 and 1, and from there to the word logit."}}
figure, axes = plt.subplots(figsize=(8, 3))
bars(axes, 0, [100, 256, 512, 1024, 784], plots.FAKE)
bars(axes, 5.2, [784, 1024, 512, 256, 1], plots.GREY)
thumbnail(
    axes, mx.random.uniform(-0.3, 0.3, (1, 28, 28, 1)), 0.07, plots.FAKE, "generated"
)
thumbnail(axes, real[:1], -0.65, plots.REAL, "real")
for colour, start, end in (
    (plots.FAKE, (-0.7, 0), (-0.2, 0)),
    (plots.FAKE, (2.2, 0.1), (3.1, 0.3)),
    (plots.FAKE, (4.2, 0.3), (5.0, 0.1)),
    (plots.REAL, (4.2, -0.4), (5.0, -0.1)),
    (plots.GREY, (7.4, 0), (7.9, 0)),
):
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.8}
    )
for x, text in ((1, "generator"), (6.2, "discriminator")):
    axes.text(x, 0.68, text, ha="center")
axes.text(-0.85, 0, "z", ha="center", va="center")
axes.text(8.2, 0, "logit", ha="center", va="center")
axes.set(xlim=(-1, 8.5), ylim=(-0.75, 0.8))
axes.set_axis_off()

# %% [markdown]
# ## Noise in
#
# The noise is a vector of 100 independent numbers from the normal distribution with mean 0 and
# standard deviation 1. Three reasons speak for the Gaussian: it is cheap to draw, it has no edge
# that a sample could fall off, and it looks the same in every direction. The space of all $z$ is
# the **latent space**. A point of it means nothing at first. Training gives it a meaning: the
# image that the generator makes of it. Since the generator is a continuous function, points close
# together become images that look alike.
#
# **Predict**: the density is highest at the origin. How far from the origin is a typical $z$?

# %%
z = mx.random.normal((10_000, 100))
norms = mx.linalg.norm(z, axis=1)
print(
    f"length of z: mean {norms.mean().item():.2f}, standard deviation {mx.std(norms).item():.2f}"
)
print(f"shortest {norms.min().item():.1f}, longest {norms.max().item():.1f}")
middle = (z[:5000] + z[5000:]) / 2
print(
    f"length of the middle of two z: {mx.linalg.norm(middle, axis=1).mean().item():.2f}"
)
assert (
    abs(norms.mean().item() - 10) < 0.1 and abs(mx.std(norms).item() - 0.5**0.5) < 0.05
)

# %% [markdown]
# About $\sqrt{100} = 10$, and hardly ever far from it. The squared length is a sum of 100
# independent squares, each with mean 1 and variance 2, so it is $100 \pm \sqrt{200}$, and its
# root $10 \pm \sqrt{1/2}$. The origin has the highest density, but so little volume around it
# that no sample falls there. {numref}`fig-03-norms` shows how the lengths gather as dimensions
# are added.

# %% mystnb={"figure": {"caption": "The more dimensions, the better a Gaussian vector's length is known in advance: in 100 dimensions all samples lie close to a sphere of radius 10.", "name": "fig-03-norms"}, "image": {"alt": "Three histograms of vector lengths. That for 2 dimensions starts at 0 and reaches to about 4, that for 10 dimensions lies around 3, and that for 100 dimensions is a narrow bump around 10, far from 0. A dotted line marks the root of the number of dimensions in each."}}
figure, axes = plt.subplots()
for dimensions, colour in ((2, "C4"), (10, "C3"), (100, "C2")):
    lengths = np.array(mx.linalg.norm(z[:, :dimensions], axis=1))
    axes.hist(
        lengths, bins=60, density=True, color=colour, label=f"{dimensions} dimensions"
    )
    axes.axvline(dimensions**0.5, color=plots.GREY, linestyle=":")
axes.set(xlabel="length of z", ylabel="density", xlim=(0, 13))
axes.legend()
plt.show()

# %% [markdown]
# One consequence, the last line printed above: the middle of two samples is no sample. Its length
# is about $\sqrt{50}$, well inside the sphere. A walk from one image to another is better taken
# along the sphere {cite}`white2016`; {doc}`06_generating` does so.
#
# ## The generator
#
# Four linear layers widen the noise from 100 to 1,024 numbers and end at $28 \cdot 28 = 784$, a
# pixel each. Between them stands `nn.relu`. The last activation is the hyperbolic tangent,
# because the real images were scaled to $[-1, 1]$ in {doc}`02_data`.


# %% tags=["nbval-check-output"]
class MLPGenerator(nn.Module):
    """Fully connected generator: noise (N, latent_dim) to images (N, 28, 28, 1) in [-1, 1]."""

    def __init__(self, latent_dim: int = 100):
        super().__init__()
        self.latent_dim = latent_dim
        widths = [latent_dim, 256, 512, 1024, 784]
        self.layers = [nn.Linear(n, m) for n, m in pairwise(widths)]

    def __call__(self, z: mx.array) -> mx.array:
        *hidden, last = self.layers
        for layer in hidden:
            z = nn.relu(layer(z))
        return mx.tanh(last(z)).reshape(-1, 28, 28, 1)


generator = MLPGenerator()
fake = generator(mx.random.normal((64, generator.latent_dim)))
assert mx.abs(fake).max() <= 1
print(fake.shape, fake.dtype)

# %% [markdown]
# ```{admonition} Coming from PyTorch
# :class: tip
# The method is `__call__`, not `forward`. A plain list of layers is enough: MLX looks for arrays
# inside lists and dictionaries, so there is no `ModuleList`. Images are NHWC, with the channel
# last. Nothing is computed until someone asks, the initial weights included.
# ```
#
# ## The discriminator
#
# It is the mirror image: 784 pixels in, one number out, with three hidden layers that narrow.


# %% tags=["nbval-check-output"]
class MLPDiscriminator(nn.Module):
    """Fully connected discriminator: images (N, 28, 28, 1) in [-1, 1] to logits (N,)."""

    def __init__(self):
        super().__init__()
        widths = [784, 1024, 512, 256, 1]
        self.layers = [nn.Linear(n, m) for n, m in pairwise(widths)]

    def __call__(self, images: mx.array) -> mx.array:
        *hidden, last = self.layers
        x = images.reshape(-1, 784)
        for layer in hidden:
            x = nn.leaky_relu(layer(x), 0.2)
        return last(x).squeeze(-1)


discriminator = MLPDiscriminator()
print(discriminator(real).shape, discriminator(fake).shape)

# %% [markdown]
# ### Why the units leak
#
# A ReLU has slope 0 wherever its input is negative. A unit whose input is negative for every
# image passes no gradient back, so its weights never change: it is dead. That costs twice here,
# since the generator's gradient passes through the discriminator. A leaky ReLU multiplies
# negative inputs by a small slope instead.
#
# **Predict**: which slope does `nn.LeakyReLU()` have if you do not name one?

# %% tags=["nbval-check-output"]
x = mx.array([-1.0, 1.0])
for name, function in {
    "relu": nn.relu,
    "nn.LeakyReLU()": nn.LeakyReLU(),
    "nn.LeakyReLU(0.2)": nn.LeakyReLU(0.2),
}.items():
    slopes = mx.grad(lambda x, f=function: f(x).sum())(x)
    print(
        f"{name:18s} slope at -1: {slopes[0].item():.2f}   at 1: {slopes[1].item():.2f}"
    )

layer = nn.Linear(784, 16)
layer.bias = mx.full((16,), -10.0)
for slope in (0.0, 0.2):
    gradient = mx.grad(lambda x, s=slope: nn.leaky_relu(layer(x), s).sum())(
        real.reshape(-1, 784)
    )
    print(
        f"dead layer, slope {slope}: gradient for the image?",
        mx.any(gradient != 0).item(),
    )

# %% [markdown]
# MLX's default is 0.01, as in PyTorch. The GAN literature means 0.2 {cite}`radford2016`, so the
# book always names the slope. The last two lines are about a layer that is dead on purpose, by a
# bias of $-10$: with slope 0 the image gets no gradient at all.
#
# ### Why a logit
#
# The probability that an image is real would be $\sigma(x) = 1 / (1 + e^{-x})$, where $x$ is the
# **logit**. The discriminator stops at $x$ and leaves the sigmoid to the loss. The loss needs
# $\log \sigma(x)$, and in float32 it matters how this is computed.
#
# **Predict**: what is $\log\sigma(-200)$, and what does the computer say when it takes the sigmoid
# first?

# %% tags=["nbval-check-output"]
for x in (-5.0, -50.0, -200.0):
    two_steps = mx.log(mx.sigmoid(mx.array(x))).item()
    one_step = -nn.softplus(mx.array(-x)).item()
    print(
        f"x = {x:6.0f}   log(sigmoid(x)) = {two_steps:8.2f}   -softplus(-x) = {one_step:8.2f}"
    )

# %% [markdown]
# The sigmoid of $-200$ is too small for a float32 and becomes 0, whose logarithm is $-\infty$.
# Written on the logit, $\log\sigma(x) = -\log(1 + e^{-x}) = -\mathrm{softplus}(-x)$, nothing is
# lost. {doc}`04_losses` returns to the gradients.
#
# ## Counting the weights
#
# A linear layer from $n$ to $m$ numbers has $m$ units, each with $n$ weights and a bias:
# $(n + 1)\,m$ parameters in all. **Predict**: which layer of the generator holds the most?


# %% tags=["nbval-check-output"]
def count(model):
    return sum(array.size for _, array in tree_flatten(model.parameters()))


for model in (generator, discriminator):
    total = 0
    for layer in model.layers:
        m, n = layer.weight.shape
        assert count(layer) == (n + 1) * m
        total += (n + 1) * m
        print(f"({n:4d} + 1) x {m:4d} = {(n + 1) * m:9,d}")
    assert count(model) == total
    print(f"{type(model).__name__}: {total:,} parameters")

# %% [markdown]
# The last layer of the generator and the first of the discriminator, those that touch the pixels,
# hold more than half of each network. Neither network outweighs the other. Note that a weight has
# the shape (outputs, inputs).
#
# ## Where the weights start
#
# `nn.Linear` draws weights and biases uniformly from $\pm 1/\sqrt{n}$, where $n$ is the number of
# inputs. A uniform number between $-a$ and $a$ has variance $a^2/3$, here $1/(3n)$. Let $q$ be
# the mean square of a layer's inputs. Summing $n$ products and a bias, its outputs have the mean
# square
#
# $$\frac{q}{3} + \frac{1}{3n}.$$
#
# ReLU then removes one half of a symmetric distribution and with it half of the mean square; a
# leaky ReLU with slope $s$ keeps the share $(1 + s^2)/2$. The spread shrinks at each layer
# {cite}`glorot2010`. {numref}`fig-03-spread` sets this prediction beside a measurement.


# %%
def spreads(model, x, slope):
    """Root mean square of each layer's output: measured and predicted."""
    measured, predicted, q = [], [], mx.square(x).mean().item()
    for layer in model.layers:
        n = x.shape[1]
        x, q = layer(x), q / 3 + 1 / (3 * n)
        measured.append(mx.sqrt(mx.square(x).mean()).item())
        predicted.append(q**0.5)
        x, q = nn.leaky_relu(x, slope), q * (1 + slope**2) / 2
    return measured, predicted


# %% mystnb={"figure": {"caption": "Fresh layers shrink what passes through them, much as the formula says: the generator's last layer is left with a few hundredths.", "name": "fig-03-spread"}, "image": {"alt": "Two panels with a logarithmic vertical axis, generator and discriminator. In each, the root mean square of the outputs falls from layer 1 to layer 4, from about 0.6 to about 0.05, and the measured dots lie close to the predicted dotted line."}}
figure, panels = plt.subplots(1, 2, figsize=(7.5, 3), sharey=True)
pixels = data.normalize(digits.images[:1000]).reshape(-1, 784)
for axes, model, x, slope, colour in (
    (panels[0], generator, z[:1000], 0.0, plots.FAKE),
    (panels[1], discriminator, pixels, 0.2, plots.GREY),
):
    measured, predicted = spreads(model, x, slope)
    axes.semilogy(range(1, 5), measured, "o", color=colour, label="measured")
    axes.semilogy(range(1, 5), predicted, ":", color=colour, label="predicted")
    axes.set(title=type(model).__name__, xlabel="layer", xticks=range(1, 5))
panels[0].set_ylabel("root mean square of outputs")
panels[0].legend()
plt.show()

# %% [markdown]
# The prediction is an average over all weights that could have been drawn. The discriminator's
# last layer has a single unit and so a single draw, which may lie some way off.
#
# ## What they know before training
#
# **Predict**: what does an image of the untrained generator look like?

# %% mystnb={"figure": {"caption": "Real digits, images of the untrained generator, and the same images with the contrast stretched. The generator starts with mid-grey and a faint texture.", "name": "fig-03-untrained"}, "image": {"alt": "Three rows of eight images. The first row shows handwritten digits. The second is almost uniformly grey. The third shows strong pixel noise with no shapes in it, much the same in all eight images."}}
stretched = fake[:8] / mx.abs(fake[:8]).max()
plots.digits(mx.concatenate([real[:8], fake[:8], stretched]), columns=8)

# %%
print(
    f"generated pixels: mean {fake.mean().item():.3f}, spread {mx.std(fake).item():.3f}"
)
for name, images in {"real": real, "generated": fake}.items():
    d = mx.sigmoid(discriminator(images))
    print(f"{name:9s} D from {d.min().item():.3f} to {d.max().item():.3f}")
    assert mx.all(mx.abs(d - 0.5) < 0.1)

# %% [markdown]
# A tanh of numbers close to 0 is close to 0, which is mid-grey. The discriminator's logits are
# close to 0 as well, so it says about 0.5 to everything: it guesses.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: after training, the generated digits stand on grey instead of white. *Cause*: the
# real images were in $[0, 1]$, with 0 for the background. The generator imitates that faithfully,
# and 0 is mid-grey on the scale from $-1$ to 1. *Cure*: `data.normalize` on the real images;
# print their minimum and maximum.
# ```
#
# ## Pixels without neighbours
#
# A linear layer has one weight for each pixel and no notion of which pixels are side by side. If
# we shuffle the pixels of all images by one fixed order, and the columns of the first weight
# alike, the logits stay the same.

# %% tags=["nbval-check-output"]
order = mx.random.permutation(784)


def shuffle(images):
    return images.reshape(-1, 784)[:, order].reshape(images.shape)


twin = MLPDiscriminator()
twin.update(discriminator.parameters())
twin.layers[0].weight = discriminator.layers[0].weight[:, order]
print(mx.allclose(twin(shuffle(real)), discriminator(real), atol=1e-4).item())


# %% [markdown]
# So shuffled digits should be as easy to learn as digits. The test: tell real images from
# chimeras, the upper half of one digit on the lower half of another.
# `nn.value_and_grad(model, function)` returns a function that gives the value and the gradient
# with respect to the model's weights; `losses.discriminator_loss` is explained in
# {doc}`04_losses`, and so is `recipes.adam`.


# %%
def fit(discriminator, make_fake, steps, view=lambda images: images):
    """Train a discriminator alone; the loss and both mean outputs, step by step."""

    def loss(real, fake):
        logits_real, logits_fake = discriminator(view(real)), discriminator(view(fake))
        outputs = mx.sigmoid(logits_real).mean(), mx.sigmoid(logits_fake).mean()
        return losses.discriminator_loss(logits_real, logits_fake), *outputs

    optimizer = recipes.adam()
    loss_and_grad = nn.value_and_grad(discriminator, loss)
    measured = []
    for real, _ in islice(data.batches(digits, 64, seed=0), steps):
        values, gradients = loss_and_grad(real, make_fake(real))
        optimizer.update(discriminator, gradients)
        measured.append(mx.stack(values))
        mx.eval(measured[-1], discriminator.state, optimizer.state)
    return np.array(mx.stack(measured))


# %%
def chimeras(images):
    return mx.concatenate([images[:, :14], mx.roll(images, 1, axis=0)[:, 14:]], axis=1)


steps = 20 if mlxgan.SMOKE else 900
plain = fit(MLPDiscriminator(), chimeras, steps)
shuffled = fit(MLPDiscriminator(), chimeras, steps, view=shuffle)

# %% mystnb={"figure": {"caption": "A discriminator without convolutions learns as fast from shuffled pixels as from pictures.", "name": "fig-03-shuffle"}, "image": {"alt": "On the left, four images: a digit, a chimera of two digits, and the same two with their pixels shuffled, which look like noise. On the right, the loss over the steps for plain and shuffled pixels: two falling curves that lie on each other."}}
pair = mx.concatenate([real[:1], chimeras(real[:2])[:1]])
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3), width_ratios=[1, 2])
left.imshow(plots.tile(mx.concatenate([pair, shuffle(pair)]), 2, gap=6), cmap="gray")
left.set_axis_off()
window = max(1, steps // 30)
for curve, name, colour in ((plain, "plain", "C2"), (shuffled, "shuffled", "C3")):
    blocks = np.median(curve[: steps // window * window, 0].reshape(-1, window), axis=1)
    right.plot(np.arange(len(blocks)) * window, blocks, color=colour, label=name)
right.set(xlabel="step", ylabel=f"loss, median of {window} (nats)")
right.legend()
plt.show()

# %% [markdown]
# You would find the task on the shuffled images hopeless; the network does not notice. A
# convolutional network, which looks at neighbours, would.
#
# ## A model is a tree
#
# `parameters()` returns nested dictionaries and lists of arrays. `tree_flatten` makes a list of
# names and arrays of it. A gradient is a tree of the same form.
#
# **Predict**: the loss below uses both networks. For which of them does `nn.value_and_grad` return
# gradients?


# %% tags=["nbval-check-output"]
def loss_d(z):
    return losses.discriminator_loss(discriminator(real), discriminator(generator(z)))


value, gradients = nn.value_and_grad(discriminator, loss_d)(z[:64])
print("value of the loss:", round(value.item(), 1))
gradients = dict(tree_flatten(gradients))
for name, array in tree_flatten(discriminator.parameters()):
    print(f"{name:16s} {str(array.shape):12s} gradient {gradients.pop(name).shape}")
print("gradients left over:", len(gradients))

discriminator.layers[0].freeze()
trainable = tree_flatten(discriminator.trainable_parameters())
discriminator.unfreeze()
print("trainable with the first layer frozen:", len(trainable))

# %% [markdown]
# For the model named, and only for it. There is nothing to switch off and no gradient to zero.
# Freezing exists too, for weights that should stay out of a model's own gradient: with the first
# layer frozen, six of the eight arrays are trainable.
#
# ### What stop_gradient saves
#
# `mx.stop_gradient` cuts a graph: nothing flows back through it. In the discriminator's step the
# gradient stops at the generated images anyway, because they do not depend on its weights. The
# number of nodes in the graph of the gradients shows who does extra work. `Both` is a module that
# holds the two networks, so that its gradient covers both.


# %%
class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator


def loss_d_cut(z):
    fake = mx.stop_gradient(generator(z))
    return losses.discriminator_loss(discriminator(real), discriminator(fake))


mx.eval(generator.parameters(), discriminator.parameters())
for name, model in {"discriminator": discriminator, "both": Both()}.items():
    for function in (loss_d, loss_d_cut):
        _, gradients = nn.value_and_grad(model, function)(z[:64])
        mx.export_to_dot(
            graph := io.StringIO(), *[array for _, array in tree_flatten(gradients)]
        )
        operations = graph.getvalue().count("rectangle")
        print(f"{name:14s} {function.__name__:11s} {operations} operations")

# %% [markdown]
# With the discriminator's own gradient the cut saves nothing; it is one operation more. It saves
# the way back through the generator where a gradient is taken for both at once. The book writes
# it in the training step all the same: it says to the reader what is meant, and holds if someone
# changes the line with the gradient.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# There, `fake.detach()` keeps `backward()` from walking through the generator and leaving
# gradients in its weights. Here a gradient is a returned value, and nothing is left behind.
# ```
#
# ## A warm-up: the discriminator alone
#
# To finish, train the discriminator by itself. The generator is not updated, so it keeps making
# grey noise. **Predict**: how many steps does the discriminator need?

# %%
steps = 20 if mlxgan.SMOKE else 300


def grey_noise(images):
    return generator(mx.random.normal((len(images), generator.latent_dim)))


warm_up = fit(discriminator, grey_noise, steps)
print("first step: loss {:.3f}, D(x) {:.3f}, D(G(z)) {:.3f}".format(*warm_up[0]))
print("last step:  loss {:.3f}, D(x) {:.3f}, D(G(z)) {:.3f}".format(*warm_up[-1]))
print("steps until the loss has halved:", np.argmax(warm_up[:, 0] < warm_up[0, 0] / 2))
assert warm_up[-1, 0] < warm_up[0, 0] / 2

# %% mystnb={"figure": {"caption": "Against a generator that does not learn, the discriminator wins within a few tens of steps.", "name": "fig-03-warmup"}, "image": {"alt": "Two panels over the first steps. Left, the loss falls from about 1.4 to nearly 0. Right, the mean output on real images rises from about 0.5 to nearly 1, that on generated images falls from about 0.5 to nearly 0."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
left.plot(warm_up[:60, 0], color=plots.GREY)
left.set(xlabel="step", ylabel="loss (nats)")
right.plot(warm_up[:60, 1], color=plots.REAL, label="real, D(x)")
right.plot(warm_up[:60, 2], color=plots.FAKE, label="generated, D(G(z))")
right.set(xlabel="step", ylabel="mean output", ylim=(0, 1))
right.legend()
plt.show()

# %% [markdown]
# Telling grey noise from ink is easy. The game is only interesting while both sides learn. What
# the generator can still learn from an opponent that is so sure is a question of the loss, and
# the subject of {doc}`04_losses`.
#
# ```{admonition} On other machines
# :class: note
# A GPU sums in another order than a CPU, so the last digits differ. The shapes, counts and
# logical values printed above are the same everywhere; the curves agree in form, not number by
# number.
# ```
#
# ## Summary
#
# - The generator maps 100 Gaussian numbers to an image in $[-1, 1]$; the length of $z$ is close
#   to 10.
# - The discriminator maps an image to a logit. The sigmoid belongs to the loss, where float32 can
#   take it.
# - A linear layer from $n$ to $m$ has $(n + 1)\,m$ parameters. Fresh layers shrink the signal, so
#   an untrained generator paints grey and an untrained discriminator guesses.
# - A fully connected network does not know which pixels are neighbours.
# - `nn.value_and_grad(model, function)` differentiates `model` alone, whoever else takes part.
#
# ## Exercises
#
# ```{exercise} A smaller latent space
# :label: ex-03-latent
# How many parameters does the generator lose with `latent_dim=64`? Work it out, then check it.
# ```

# %% [markdown]
# ```{solution-start} ex-03-latent
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
lost = count(generator) - count(MLPGenerator(latent_dim=64))
assert lost == (100 - 64) * 256
print(f"{lost:,}")

# %% [markdown]
# Only the first layer changes: 36 weights fewer in each of its 256 units.

# %% [markdown]
# ```{solution-end}
# ```

# %% [markdown]
# ```{exercise} Noise from a cube
# :label: ex-03-uniform
# Draw $z$ uniformly from $[-1, 1]$ in 100 dimensions. Predict the typical length and check it.
# ```

# %% [markdown]
# ```{solution-start} ex-03-uniform
# :class: dropdown
# ```

# %%
norms = mx.linalg.norm(mx.random.uniform(-1, 1, (10_000, 100)), axis=1)
print(f"measured {norms.mean().item():.2f}, predicted {(100 / 3) ** 0.5:.2f}")
assert abs(norms.mean().item() - (100 / 3) ** 0.5) < 0.05

# %% [markdown]
# Each square has the mean $1/3$, so the length is close to $\sqrt{100/3}$. It is as well known in
# advance as the Gaussian's, but the directions are not all alike: a cube has corners.

# %% [markdown]
# ```{solution-end}
# ```

# %% [markdown]
# ```{exercise} Weights that keep the spread
# :label: ex-03-he
# Find the variance of the weights with which a layer followed by ReLU keeps the mean square. Give
# it to the generator's layers with `nn.init.normal`, biases zero, and measure with `spreads`.
# ```

# %% [markdown]
# ```{solution-start} ex-03-he
# :class: dropdown
# ```

# %%
other = MLPGenerator()
for layer in other.layers:
    n = layer.weight.shape[1]
    layer.weight = nn.init.normal(std=(2 / n) ** 0.5)(layer.weight)
    layer.bias = mx.zeros_like(layer.bias)
measured, _ = spreads(other, z[:1000], 0.0)
print("root mean square, layer by layer:", [round(value, 1) for value in measured])
assert all(1 < value < 2 for value in measured)

# %% [markdown]
# With variance $2/n$ the sum doubles the mean square and ReLU halves it again. All layers stay
# near $\sqrt{2}$. The images of such a generator have strong contrast from the start.

# %% [markdown]
# ```{solution-end}
# ```

# %% [markdown]
# ## Further reading
#
# The game and its two networks are from {cite}`goodfellow2014`, whose networks for MNIST were
# fully connected too. {cite}`glorot2010` analyses how signals shrink and grow at the start of
# training. The slope 0.2 and the tanh at the end became customary with {cite}`radford2016`. How
# to move in a latent space whose samples lie near a sphere is discussed in {cite}`white2016`.
