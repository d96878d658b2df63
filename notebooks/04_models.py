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
# ![Two networks drawn as rows of bars, one bar for each layer. On the left, noise z enters the generator, whose layers grow from 100 to 256, 512, 1024 and 784 numbers and end in an image. From this image and from a real handwritten digit, arrows lead to the discriminator on the right, whose bars stand for 784, 1024, 512 and 256 numbers and for one number, which is called the logit.](../book/diagrams/mlp-networks.svg)
#
# *The two networks of this chapter, with the number of values in each layer. The generator turns noise into an image, and the discriminator turns an image, real or generated, into a single number.*
#
# In [A GAN in one page](01_first_gan.ipynb) we wrote two networks in a few lines and hurried on to the digits.
# Now we ask why each line is there: why noise goes in, why the generator ends in a tanh, and why the discriminator leaks and ends without any activation at all.
# A wrong choice at one of these points can hand the discriminator a cheap victory or cut the generator off from its only teacher.
# By the end you can write both networks from memory, count their parameters, and say what they know before training and what the discriminator never sees in an image.
#
# *Before: [MLX in a quarter of an hour](02_mlx.ipynb) and [The data](03_data.ipynb) · To read: twenty minutes · To run: about a minute on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
from mlxgan import data, losses, plots, recipes

import math
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
# ## Where does the variety come from?
#
# A neural network is a function, and a function that gets the same input always returns the same output.
# If one network is to draw many different digits, the differences have to come in from outside, and their simplest source is a random number generator.
#
# We therefore hand the generator a vector $z$ of 100 random numbers, each drawn independently from the normal distribution with mean 0 and standard deviation 1.
# This vector is called the **noise** or the **latent vector**, and the space of all such vectors is the **latent space**.
# *Latent* means hidden: nobody tells the generator what any of these numbers stands for.
#
# That leaves us with a puzzle: how can a smooth function turn one round, featureless cloud into ten quite different kinds of digits?
# A toy will help, with two random numbers instead of a hundred and `mx.tanh(10 * noise)` as the whole generator.
#
# **Before you run the cell: where will the points of the cloud end up?**

# %%
noise = mx.random.normal((2000, 2))
shaped = mx.tanh(10 * noise)
near_a_corner = mx.all(mx.abs(shaped) > 0.9, axis=1)
print(f"fraction near a corner: {near_a_corner.mean().item():.2f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "A single smooth function turns one round cloud of noise, on the left, into four clusters, on the right. Only thin threads of points remain between them.", "name": "fig-04-pushed"}, "image": {"alt": "Two scatter plots. On the left, 2,000 gray points form a round cloud around the origin. On the right, the same points in orange crowd into the four corners of a square, with a thin line of points along each of its edges and a few points inside."}}
figure, panels = plt.subplots(1, 2, figsize=(6.4, 3))
for axes, points, color in (
    (panels[0], np.array(noise), plots.GREY),
    (panels[1], np.array(shaped), plots.FAKE),
):
    axes.scatter(points[:, 0], points[:, 1], s=4, alpha=0.4, color=color)
    axes.set_aspect("equal")
panels[0].set(title="noise", xlim=(-4, 4), ylim=(-4, 4))
panels[1].set(title="tanh(10 noise)", xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# They gather in four corners: nearly four fifths of all points lie close to one.
# :::
#
# One cloud went in and four distinct clusters came out, although the function did nothing but move points around.
# A trained generator does the same, with a million and a half adjustable numbers in place of our single 10: it moves the cloud of noise to where the digits lie.
#
# The thin threads are there because the function is continuous: points that lie close enough together stay close, which is why similar noise gives similar images.
# For the same reason a few points have to bridge the gap between two clusters, and they land on something that belongs to neither, such as a digit that is half a four and half a nine.
#
# ## How long is a random vector?
#
# If we want to walk through the latent space from one image to another, we need to know where in this space the noise lies.
# The density of the normal distribution is highest at the origin, so you might look for it there.
#
# **How far from the origin, then, is a typical vector of 100 random numbers? And how far is the point halfway between two of them?**

# %%
z = mx.random.normal((10_000, 100))
lengths = mx.linalg.norm(z, axis=1)
middles = mx.linalg.norm((z[:5000] + z[5000:]) / 2, axis=1)
low, high = lengths.min().item(), lengths.max().item()
print(f"average length {lengths.mean().item():.1f}")
print(f"all 10,000 lie between {low:.1f} and {high:.1f}")
print(f"average length of a halfway point {middles.mean().item():.1f}")
print(f"volume of a ball within 90 % of its radius {0.9**100:.5f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Lengths of random vectors with 2, 10 and 100 numbers. The dotted lines mark the square root of the number of dimensions. In 100 dimensions nearly every vector lies close to a sphere of radius 10.", "name": "fig-04-lengths"}, "image": {"alt": "Three histograms of vector lengths. The one for 2 dimensions starts at 0 and reaches to about 4, the one for 10 dimensions lies around 3, and the one for 100 dimensions is a bump around 10, far from 0 and no wider than the others. A dotted line marks the root of the number of dimensions in each."}}
figure, axes = plt.subplots()
for dimensions, color in ((2, "C3"), (10, "C4"), (100, plots.GREY)):
    part = np.array(mx.linalg.norm(z[:, :dimensions], axis=1))
    name = f"{dimensions} dimensions"
    axes.hist(part, bins=60, density=True, color=color, label=name)
    axes.axvline(dimensions**0.5, color="black", linestyle=":", lw=1)
axes.set(xlabel="length of z", ylabel="density", xlim=(0, 13))
axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# About 10, and hardly ever far from it.
# A halfway point has a length of about 7, less than the shortest of ten thousand vectors.
# :::
#
# The squared length of $z$ is a sum of 100 independent squares, each of which is 1 on average, so the sum is close to 100, and nearly all noise lies close to a sphere of radius $\sqrt{100} = 10$.
# At the origin the density is high, but there is hardly any room.
# In 100 dimensions volume grows with the hundredth power of the radius, so only $0.9^{100}$ of a ball, or 0.003 %, lies within nine tenths of its radius, and the ball resembles an orange that consists almost entirely of peel.
#
# The halfway point is therefore an unusual input for a generator that has only ever been fed vectors of length 10 or so.
# Like the average of many digits on the first pages of this book, it is an average of typical things that is not typical itself.
# When we move between two images in [Generating](07_generating.ipynb), we will walk along the sphere instead of cutting through it, as [White (2016)](../book/bibliography.md#white-2016) proposed.
#
# ## The generator
#
# We know what goes in and what has to come out: 784 numbers, one for each pixel.
# Four linear layers lead from one to the other, and the first three widen the signal step by step.
# Between them we put ReLUs, which set negative values to zero, because without them the four layers would amount to a single one.
#
# The last activation is different because of the data, whose pixels we scaled to the range from $-1$ to 1 in [The data](03_data.ipynb).
# If the generator were free to paint a pixel of 1.7, the discriminator would not have to learn anything about digits, because any value outside the range would give a fake away.
# The tanh, or hyperbolic tangent, returns only values between $-1$ and 1, which closes this loophole before the game begins.


# %% tags=["nbval-check-output"]
class MLPGenerator(nn.Module):
    """Noise (N, latent_dim) to images (N, 28, 28, 1) in [-1, 1]."""

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
fake = generator(z[:64])
print(z[:64].shape, "->", fake.shape)

# %% [markdown]
# Here `pairwise` joins each width to the next, which gives each layer its inputs and outputs.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# The method is called `__call__` and not `forward`, and there is no `ModuleList`, because MLX finds parameters inside plain lists and dictionaries.
# :::
#
# ## The discriminator
#
# The discriminator goes the opposite way: 784 pixels enter, the hidden layers become narrower and narrower, and one number comes out.


# %% tags=["nbval-check-output"]
class MLPDiscriminator(nn.Module):
    """Images (N, 28, 28, 1) in [-1, 1] to logits (N,)."""

    def __init__(self):
        super().__init__()
        widths = [784, 1024, 512, 256, 1]
        self.layers = [nn.Linear(n, m) for n, m in pairwise(widths)]

    def __call__(self, images: mx.array) -> mx.array:
        *hidden, last = self.layers
        x = images.reshape(len(images), -1)
        for layer in hidden:
            x = nn.leaky_relu(layer(x), 0.2)
        return last(x).squeeze(-1)


discriminator = MLPDiscriminator()
print(real.shape, "->", discriminator(real).shape)
print(fake.shape, "->", discriminator(fake).shape)

# %% [markdown]
# Apart from the widths, two things differ from the generator: the activation between the layers, and the missing one at the end.
#
# ### Why the units leak
#
# When the generator learns, its gradient has a long way to go: from the loss back through every layer of the discriminator to the pixels of the fake, and only then into the generator itself.
# A ReLU with a negative input has slope 0 and blocks the path.
# If a unit's input is negative for every image, the unit passes nothing back at all, and its own weights, which receive their gradient through the same slope, stop learning as well.
# Such a *dead* unit only wastes some capacity in a classifier, but in a discriminator it also closes one of the paths by which the generator learns.
#
# The cure is the leaky ReLU, which multiplies negative inputs by a small slope instead of by zero.
# (The generator can keep its plain ReLUs, since no other network learns through it.)
# To see the difference, we build a layer that is dead on purpose, with a bias of $-10$ in each unit, and measure how strongly its output still depends on the pixels.
#
# **The third activation below is the one we use. Which slope does MLX choose for the second, where we name none?**

# %% tags=["nbval-check-output"]
activations = {
    "nn.relu": nn.relu,
    "nn.LeakyReLU()": nn.LeakyReLU(),
    "nn.LeakyReLU(0.2)": nn.LeakyReLU(0.2),
}
dead = nn.Linear(784, 16)
dead.bias = mx.full((16,), -10.0)


def output(pixels, activation):
    return activation(dead(pixels)).sum()


for name, activation in activations.items():
    slope = mx.grad(activation)(mx.array(-1.0)).item()
    gradient = mx.grad(output)(real[0].reshape(784), activation)
    size = mx.abs(gradient).mean().item()
    print(f"{name:17s} slope {slope:.2f}, pixel gradient {size:.4f}")

# %% [markdown]
# :::{dropdown} Answer
# 0.01, as in PyTorch: one twentieth of the slope that GANs usually have.
# :::
#
# The ReLU lets no gradient through to the pixels, and the leaky ReLU lets some through, in proportion to its slope.
# The value 0.2 became customary with [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016), and we always write it out.
#
# ### Why a logit and not a probability
#
# We would like to read the discriminator's output as the probability that an image is real, and the usual way to get one is to end with a sigmoid, $\sigma(\ell) = 1 / (1 + e^{-\ell})$.
# Its input $\ell$ is called the **logit**, and it is the logarithm of the odds: a logit of 0 means even odds, a logit of 2 gives the image odds of $e^2$, or about 7 to 1, of being real, and a negative logit points to a fake.
#
# Our discriminator returns the logit and leaves the sigmoid out.
# That may look like a matter of taste, until the logits become large.
#
# **A confident discriminator gives four images the logits 2, 10, 20 and 40. How much of the differences is left after a sigmoid in float32, and how steep is the sigmoid there?**

# %% tags=["nbval-check-output"]
for logit in (2.0, 10.0, 20.0, 40.0):
    p, slope = mx.value_and_grad(mx.sigmoid)(mx.array(logit))
    print(f"logit {logit:2.0f}: odds {math.exp(logit):.0e},", end=" ")
    print(f"probability {p.item():.6f}, slope {slope.item():.6f}")

# %% [markdown]
# :::{dropdown} Answer
# The logits 20 and 40 both become exactly 1, and the slope there is 0.
# :::
#
# The odds behind these two logits differ by a factor of almost five hundred million, yet after the sigmoid float32 can no longer tell them apart, and no gradient gets past a slope of 0.
# We therefore hand the logit to the loss, which can take the sigmoid and the logarithm in one step without losing anything, as [Losses and optimizers](05_losses.ipynb) shows.
#
# ## Counting the weights
#
# Are the two players well matched in size?
# A linear layer with $n$ inputs and $m$ outputs has $m$ units, each with $n$ weights and a bias, which makes $(n + 1)\,m$ parameters.
# The function `tree_flatten` turns a model's tree of parameters ([MLX in a quarter of an hour](02_mlx.ipynb)) into a flat list of names and arrays.
#
# **Which layer of the generator holds the most parameters?**


# %% tags=["nbval-check-output"]
def count(model):
    return sum(array.size for _, array in tree_flatten(model.parameters()))


for model in (generator, discriminator):
    for layer in model.layers:
        m, n = layer.weight.shape
        print(f"({n:4d} + 1) x {m:4d} = {count(layer):9,d}")
    print(f"{type(model).__name__}: {count(model):,} parameters")

# %% [markdown]
# :::{dropdown} Answer
# The last one, with 803,600 of 1,486,352.
# :::
#
# The two totals differ by less than 2 %, so neither player outweighs the other.
# In both, more than half of the parameters sit in the one layer that touches the pixels, because it connects each of 1,024 units with each of 784 pixels; [Convolutions](09_convolutions.ipynb) will show a more economical way to look at an image.
#
# ## What an untrained pair says
#
# So far both networks have nothing but random weights.
#
# **What does an image from the untrained generator look like, and what does the untrained discriminator say about it?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "First row: real digits. Second row: images from the untrained generator, a nearly even gray. Third row: the same images with the contrast stretched, which shows a faint texture and no shapes.", "name": "fig-04-untrained"}, "image": {"alt": "Three rows of eight images. The first row shows handwritten digits. The second is almost uniformly gray. The third shows strong pixel noise with no shapes in it, much the same in all eight images."}}
stretched = fake[:8] / mx.abs(fake[:8]).max()
rows = mx.concatenate([real[:8], fake[:8], stretched])
plots.digits(rows, columns=8)

# %%
for name, images in {"real": real, "generated": fake}.items():
    mean, deviation = images.mean().item(), mx.std(images).item()
    probability = mx.sigmoid(discriminator(images)).mean().item()
    print(f"{name:9s} average pixel {mean:6.3f},", end=" ")
    print(f"deviation {deviation:.3f}; D says {probability:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# It is gray with a faint texture, and the discriminator gives everything about the same chance of being real.
# :::
#
# Both answers have the same cause.
# Fresh weights are small, so every layer passes on a weaker signal than it received, and what arrives at the end is close to 0 (Exercise 1 works out how close).
# The tanh turns it into a pixel near 0, which is mid-gray, and the sigmoid turns it into a probability near one half: one player paints gray, and the other one guesses.
#
# ## Training one player
#
# What can the discriminator achieve by itself?
# To find out, we train it to tell digits from the gray images of a generator that does not learn.
# For that we borrow a loss and an optimizer, which the next chapter will explain.
# The loss, `losses.discriminator_loss`, is small if the real images have high logits and the fakes have low ones: a discriminator that answers 0 to everything gets 1.39, and one that is always right and very sure of it gets nearly 0.
# The optimizer, `recipes.adam()`, moves each weight a little in the direction that lowers this number.
#
# Two networks take part in this loss, but only one of them is supposed to learn.
# **For which of the two does `nn.value_and_grad` return gradients?**


# %% tags=["nbval-check-output"]
def loss_d(z):
    logits_real = discriminator(real)
    logits_fake = discriminator(generator(z))
    return losses.discriminator_loss(logits_real, logits_fake)


value, gradients = nn.value_and_grad(discriminator, loss_d)(z[:64])
print(f"loss {value.item():.1f}, gradients for:")
for name, gradient in tree_flatten(gradients):
    print(f"discriminator.{name:15s} {gradient.shape}")

# %% [markdown]
# :::{dropdown} Answer
# Only for the discriminator, because we named it: one for each of its eight weights and biases.
# The generator takes part in the computation, but its weights count as constants.
# :::
#
# Our small training loop takes 64 real images at a time, and a function `make_pair` adds the fakes, so that we can try harder ones later.


# %%
def fit(discriminator, make_pair, steps):
    """Train a discriminator alone; return its loss at each step."""

    def loss(images):
        real, fake = make_pair(images)
        logits_real, logits_fake = discriminator(real), discriminator(fake)
        return losses.discriminator_loss(logits_real, logits_fake)

    loss_and_grad = nn.value_and_grad(discriminator, loss)
    optimizer = recipes.adam()
    curve = []
    for images, _ in islice(data.batches(digits, 64, seed=0), steps):
        value, gradients = loss_and_grad(images)
        optimizer.update(discriminator, gradients)
        mx.eval(discriminator.state, optimizer.state, value)
        curve.append(value.item())
    return np.array(curve)


# %% [markdown]
# **How many steps will the discriminator need until its loss has halved?**


# %%
def digits_and_gray(images):
    z = mx.random.normal((len(images), generator.latent_dim))
    return images, generator(z)


curve = fit(discriminator, digits_and_gray, steps=300)
halved = np.argmax(curve < curve[0] / 2)
print(f"first loss {curve[0]:.2f}, last loss {curve[-1]:.5f}")
print(f"steps until the loss has halved: {halved}")

# %% [markdown]
# :::{dropdown} Answer
# Fewer than ten.
# :::
#
# Perhaps it has only memorized its training digits, so we let it judge the ten thousand digits of the test set and as many new fakes.

# %%
test = data.normalize(data.load("test").images)
test_fake = generator(mx.random.normal((len(test), 100)))
logits_real, logits_fake = discriminator(test), discriminator(test_fake)
print(f"lowest logit of a real digit {logits_real.min().item():.1f}")
print(f"highest logit of a fake {logits_fake.max().item():.1f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "A discriminator against a generator that does not learn. Left: its loss is nearly 0 after thirty steps. Right: on images that it has never seen, a wide gap separates its logits for real digits from those for fakes.", "name": "fig-04-alone"}, "image": {"alt": "Two panels. Left, the loss over the first 60 steps falls from about 1.4 to nearly 0. Right, two histograms of logits: the generated images form an orange hill around -10, and the real digits a blue hill around 13, with a wide gap around 0 between them."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3))
left.plot(curve[:60], color="C2")
left.set(xlabel="step", ylabel="loss of the discriminator")
for logits, name, color in (
    (logits_real, "real", plots.REAL),
    (logits_fake, "generated", plots.FAKE),
):
    right.hist(np.array(logits), bins=40, color=color, label=name)
right.set(xlabel="logit", ylabel="images")
right.legend()
plt.show()

# %% [markdown]
# Not one of twenty thousand images is on the wrong side of 0.
# That is no great feat, since the average pixel alone gives the fakes away: it was about $-0.75$ for real digits, which are mostly paper, and about 0 for the gray fakes.
# So a discriminator that plays alone wins at once, and the next chapter will show that an opponent who has already won can be a poor teacher.
# This is why the two networks of a GAN take turns with one small step each, as we will see in [The training loop](06_training.ipynb).
#
# ## 784 unrelated numbers
#
# The discriminator can tell digits from gray, but does it see *pictures*?
# Each unit of its first layer has one weight for each pixel and no notion of which pixels lie side by side.
# Imagine that we shuffle the 784 pixels of every image, always in the same way.
# If we rearrange the columns of the first weight matrix accordingly, every pixel meets the same weight as before, and we have a twin of our trained discriminator.

# %%
order = mx.random.permutation(784)


def shuffle(images):
    return images.reshape(-1, 784)[:, order].reshape(images.shape)


twin = MLPDiscriminator()
twin.update(discriminator.parameters())
twin.layers[0].weight = discriminator.layers[0].weight[:, order]
logits, logits_twin = discriminator(real), twin(shuffle(real))
low, high = logits.min().item(), logits.max().item()
difference = mx.abs(logits - logits_twin).max().item()
print(f"logits of 64 digits from {low:.1f} to {high:.1f}")
print(f"largest difference between the twins {difference:.3f}")

# %% [markdown]
# The logits agree, so each fully connected network that reads images has a twin that reads shuffled images just as well.
# That does not prove that shuffled images are as easy to *learn* from, so let us try it.
# Gray fakes would be too easy, so we join the upper half of one real digit to the lower half of another, and call the result a chimera, after the mythical beast made of lion, goat and snake.
# Since both halves are real, only an eye for the whole picture can find the mistake.
#
# **We train one discriminator on plain digits and chimeras, and another on the same images with their pixels shuffled. Which loss falls faster?**


# %%
def chimeras(images):
    others = mx.roll(images, 1, axis=0)
    return mx.concatenate([images[:, :14], others[:, 14:]], axis=1)


def plain_pair(images):
    return images, chimeras(images)


def shuffled_pair(images):
    return shuffle(images), shuffle(chimeras(images))


# %%
plain = fit(MLPDiscriminator(), plain_pair, steps=900)
shuffled = fit(MLPDiscriminator(), shuffled_pair, steps=900)
print("average loss of the last 100 steps:")
print(f"plain {plain[-100:].mean():.2f}", end=", ")
print(f"shuffled {shuffled[-100:].mean():.2f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Left: a digit and a chimera, and the same two with their pixels shuffled. Right: a fully connected discriminator learns as fast from shuffled pixels as from pictures. Each point is the median loss of 30 steps.", "name": "fig-04-shuffle"}, "image": {"alt": "On the left, four small images: above, a digit and the same digit with its pixels shuffled; below, a chimera of two digits and its shuffled version. The shuffled images look like noise. On the right, the loss over 900 steps for plain and shuffled pixels: two falling curves that lie almost on each other."}}
pair = mx.concatenate([real[1:2], chimeras(real[:2])[1:2]])
pictures = mx.stack([pair, shuffle(pair)], axis=1)
picture = plots.tile(pictures.reshape(4, 28, 28, 1), 2, gap=6)
figure, (left, right) = plt.subplots(
    1, 2, figsize=(7.5, 3), width_ratios=[1, 2]
)
left.imshow(picture, cmap="gray", vmin=0, vmax=255)
left.set_axis_off()
window = max(1, len(plain) // 30)
for curve, name, color in (
    (plain, "plain pixels", "C3"),
    (shuffled, "shuffled pixels", "C4"),
):
    blocks = curve[: len(curve) // window * window].reshape(-1, window)
    steps = np.arange(len(blocks)) * window
    right.plot(steps, np.median(blocks, axis=1), color=color, label=name)
right.set(xlabel="step", ylabel="loss", ylim=0)
right.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# Neither: the two curves almost coincide.
# Their averages at the end differ only by chance, because fresh random weights favor no order of the pixels.
# :::
#
# You would find the shuffled task hopeless, but the network does not notice any difference.
# Nothing tells it that pixels have neighbors, that a stroke is connected, or that a seven is still a seven one pixel further to the left.
# In [Convolutions](09_convolutions.ipynb) we will build some of this knowledge in.
# For now our pair is good enough to play, but the loss and the optimizer are still borrowed, so we turn to [Losses and optimizers](05_losses.ipynb) first.
#
# ## Summary
#
# A generator moves a cloud of random numbers to where the images are.
# It needs noise because a function without a varying input could only ever draw one picture, and in 100 dimensions this noise lies close to a sphere of radius 10.
# It ends in a tanh so that no pixel outside the range of the real ones gives a fake away.
# The discriminator uses leaky units so that a gradient always finds a way back to the generator, and it returns a logit because a probability in float32 would round away how sure it is.
# Each network has about 1.5 million parameters, most of them in the layer next to the pixels.
# Before training, one paints gray and the other one guesses; left alone, the discriminator wins within a few steps, although an image is only 784 unrelated numbers to it.
#
# ## Exercises
#
# ### Exercise 1: How a signal fades (derive)
#
# `nn.Linear` draws its weights and biases uniformly from $-1/\sqrt{n}$ to $1/\sqrt{n}$, where $n$ is the number of inputs.
# Let $q$ be the average square of a layer's inputs.
# Derive the average square of its outputs, and then what a ReLU leaves of it.
# Start from $q = 1$ for the noise, work through the four layers of the generator, and compare the result with the standard deviation of the generated pixels that we printed.
#
# :::{dropdown} Solution
# A uniform number between $-a$ and $a$ has the average square $a^2/3$, which is $1/(3n)$ here.
# An output is the sum of $n$ products of a weight and an input, and of one bias.
# All of these terms are independent and centered at 0, so their average squares add up to $n \cdot q/(3n) + 1/(3n) = q/3 + 1/(3n)$.
# The outputs are symmetric around 0 and a ReLU removes the negative half of them, so half of the average square remains.
# The cell below works through the layers: each of them passes on about a sixth of the square that it receives, and what reaches the tanh is only a few hundredths, which agrees with the standard deviation that we printed.
# To keep the signal alive, the weights would need a variance of $2/n$ instead of $1/(3n)$.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
q = 1.0
for n in (100, 256, 512, 1024):
    square = q / 3 + 1 / (3 * n)
    print(f"{n:4d} inputs: typical output {math.sqrt(square):.3f}")
    q = square / 2

# %% [markdown]
# ### Exercise 2: A generator in color (code)
#
# Write a generator with the same hidden layers for color images of $32 \times 32$ pixels, with three channels.
# Predict how many parameters it has before you let `count` tell you.
#
# :::{dropdown} Solution
# Only the last layer changes.
# It has $32 \cdot 32 \cdot 3 = 3{,}072$ outputs and $(1{,}024 + 1) \cdot 3{,}072 = 3{,}148{,}800$ parameters.
# With the 682,752 parameters of the first three layers the total is 3,831,552, and four fifths of them sit in the last layer.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
class ColorGenerator(MLPGenerator):
    def __init__(self, latent_dim=100):
        super().__init__(latent_dim)
        self.layers[-1] = nn.Linear(1024, 32 * 32 * 3)

    def __call__(self, z):
        *hidden, last = self.layers
        for layer in hidden:
            z = nn.relu(layer(z))
        return mx.tanh(last(z)).reshape(-1, 32, 32, 3)


color_generator = ColorGenerator()
print(color_generator(z[:64]).shape)
print(f"{count(color_generator):,} parameters")

# %% [markdown]
# ### Exercise 3: A slope of one (change and explain)
#
# Change the slope in the discriminator from 0.2 to 1, and train it on digits and chimeras again.
# What happens to the loss?
# Explain why it cannot get any lower, however long you train.
#
# :::{dropdown} Solution
# With slope 1 the activation does nothing, so the four layers amount to one linear function: the logit is a weighted sum of the pixels plus a constant.
# Within a batch, every upper half and every lower half appears once in a real image and once in a chimera, so each weighted sum of pixels has the same average over the real images as over the chimeras.
# If both averages are the same number $m$, the best that the discriminator can do is to answer 0 to everything, which costs the 1.39 of a guess.
# (For the proof, remember that the loss is the average of $\mathrm{softplus}(-\ell)$ over the real images plus the average of $\mathrm{softplus}(\ell)$ over the fakes. The curve of softplus bends upward everywhere, so the average of its values is at least its value at the average, which is Jensen's inequality. The loss is therefore at least $\mathrm{softplus}(-m) + \mathrm{softplus}(m)$, which is smallest at $m = 0$.)
# What makes a chimera wrong is how its two halves fit together, and a sum that weighs each pixel by itself cannot express that.
# :::


# %% tags=["hide-cell"]
class LinearDiscriminator(MLPDiscriminator):
    def __call__(self, images):
        x = images.reshape(len(images), -1)
        for layer in self.layers:
            x = nn.leaky_relu(layer(x), 1.0)
        return x.squeeze(-1)


linear = fit(LinearDiscriminator(), plain_pair, steps=900)
print(f"average loss of the last 100 steps {linear[-100:].mean():.3f}")
print(f"smallest loss of all steps {linear.min():.3f}")

# %% [markdown]
# ## Further reading
#
# - [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014) introduced the game. Its first pages are easy to read, and its networks for MNIST were fully connected, too.
# - [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) turned the choice of activations into a recipe that much later work started from, including the leaky slope of 0.2 and the tanh at the end.
# - [Glorot and Bengio (2010)](../book/bibliography.md#glorot-and-bengio-2010) is the background of Exercise 1: it measures how signals and gradients shrink in fresh networks and proposes better starting weights.
# - [White (2016)](../book/bibliography.md#white-2016) is the paper to read before you move through a latent space, with many pictures of what happens on straight and on curved paths.
