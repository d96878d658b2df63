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
# # Convolutions
#
# You can read most of the digits from Part I, but you would hardly mistake them for handwriting, as the first row below shows.
# To the networks behind them a picture is a mere list: shuffle its 784 numbers, always in the same way, and the discriminator learns just as well ([Generator and discriminator](04_models.ipynb)).
# In this chapter we build two networks that know what a neighborhood is.
# By the end you can train a DCGAN, avoid the traps of batch normalization, and measure how far its digits still are from real ones.
#
# *Before: [The training loop](06_training.ipynb) and [Measuring](08_measuring.ipynb) · To read: half an hour · To run: about twenty minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import (
    checkpoints,
    data,
    losses,
    metrics,
    models,
    plots,
    recipes,
    training,
)
from mlxgan.layers import BatchNorm, Conv2d, ConvTranspose2d

import json
from itertools import islice

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown, display
from mlx.utils import tree_flatten

mx.random.seed(5)
digits = data.load("train")
real, labels = next(data.batches(digits, 64, seed=0))
z = mx.random.normal((64, 100), key=mx.random.key(0))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Twelve digits each from the fully connected generator of Part I (top), from a DCGAN trained as in this chapter (middle), and from the training set (bottom). Nothing was selected.", "name": "fig-09-rows"}, "image": {"alt": "Three rows of twelve digits. In the first row most digits can be read, but three are broken and one is a gray smudge among specks. The strokes of the second row are smooth, and except for one that could be a two or an eight, its digits look much like the handwritten ones of the third row."}}
rows = [
    training.sample(checkpoints.load_pretrained(name), z[:12])
    for name in ("mlp", "dcgan")
]
plots.digits(mx.concatenate([*rows, real[:12]]), columns=12, scale=0.5)

# %% [markdown]
# ## A pattern and a window
#
# To a fully connected layer, no two pixels are closer together than any other two.
# Yet a stroke is made of neighboring pixels, and it remains a stroke wherever it is drawn.
#
# A **convolution** builds both facts into a layer.
# Imagine looking at a picture through a window of four by four pixels.
# You compare what you see with a pattern, the **kernel**, and note how well the two agree.
# Then you move the window by two pixels, which is its **stride**, and go on until you have covered the whole picture.
# For an image $x$ with one channel, a kernel $w$ and a bias $b$, your notes are
#
# $$y_{i,j} = b + \sum_{p=0}^{3} \sum_{q=0}^{3} w_{p,q}\; x_{2i+p-1,\,2j+q-1}.$$
#
# The $-1$ stands for the **padding**, a border of zeros one pixel wide, with which 28 pixels in a row become 14 notes.
# Each $y_{i,j}$ depends on one small neighborhood, and all of them share the same sixteen weights.
# A layer has many kernels: the notes of each form one **channel** of its output, and a kernel of the next layer has sixteen weights for each of these channels.
# MLX stores these weights as an array of shape (outputs, height, width, inputs).
#
# Let us make two kernels by hand, one for vertical and one for horizontal strokes, and show them a four.
#
# **What happens to the notes when the digit moves four pixels to the right?**

# %% tags=["nbval-check-output"]
edges = mx.broadcast_to(mx.array([-1.0, 1.0, 1.0, -1.0]), (4, 4))
look = Conv2d(1, 2, kernel_size=4, stride=2, padding=1, bias=False)
look.weight = mx.stack([edges, edges.T]).reshape(2, 4, 4, 1)

where = int(np.argmax(np.array(labels) == 4))
four = (real[where : where + 1] + 1) / 2  # paper 0, ink 1
moved = mx.roll(four, 4, axis=2)
notes, notes_moved = look(four), look(moved)
# the digit has moved by two places; the border is left out
difference = mx.abs(notes_moved[:, :, 3:-1] - notes[:, :, 1:-3]).max()
print(f"{four.shape} -> {notes.shape}")
print(f"largest difference after moving {difference.item():.3f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "A four, and the same four moved by four pixels, with the notes of a kernel for vertical strokes and of a kernel for horizontal strokes (positive values in black). The notes move along with the digit, whose tip comes back on the left.", "name": "fig-09-notes"}, "image": {"alt": "Two rows of three pictures. Each row shows a handwritten four, then a coarse map that is dark where the four has vertical strokes, then one that is dark where it has horizontal strokes. In the second row the four and both maps lie further to the right. The tip of the four has left the picture on the right and appears at the left edge, in the maps too; otherwise they are the same."}}
figure, panels = plt.subplots(2, 3, figsize=(5.4, 3.7))
for row, image, maps in (
    (panels[0], four, notes),
    (panels[1], moved, notes_moved),
):
    pictures = (image[0, :, :, 0], maps[0, :, :, 0], maps[0, :, :, 1])
    for axes, picture, most in zip(row, pictures, (1, 8, 8), strict=True):
        axes.imshow(np.array(picture), cmap="gray_r", vmin=0, vmax=most)
        axes.set_axis_off()
for axes, title in zip(
    panels[0], ("digit", "vertical", "horizontal"), strict=True
):
    axes.set_title(title)
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# They move two places, one for every two pixels.
# Apart from the border, where the tip of the four comes back on the other side, they stay the same.
# :::
#
# So whatever such a layer learns about a stroke still holds when the stroke moves by a multiple of the stride, and approximately in between.
#
# ## A network that minds the shuffling
#
# Does this help a discriminator?
# In [Generator and discriminator](04_models.ipynb) a network had to tell real digits from chimeras, which join the upper half of one digit to the lower half of another.
# We repeat that experiment with a network of two convolutions and one hidden layer (the folded cell holds the rest).

# %% tags=["hide-input"]
test = data.normalize(data.load("test").images[:2000])
order = mx.random.permutation(784)


def plain(images):
    return images


def shuffled(images):
    return images.reshape(-1, 784)[:, order].reshape(images.shape)


def chimeras(images):
    others = mx.roll(images, 1, axis=0)
    return mx.concatenate([images[:, :14], others[:, 14:]], axis=1)


def fit(network, arrange, seed, steps):
    """Train a discriminator on digits and chimeras; return its losses."""

    def loss(images):
        logits_real = network(arrange(images))
        logits_fake = network(arrange(chimeras(images)))
        return losses.discriminator_loss(logits_real, logits_fake)

    loss_and_grad = nn.value_and_grad(network, loss)
    optimizer = recipes.adam(1e-3)
    curve = []
    for images, _ in islice(data.batches(digits, 64, seed=seed), steps):
        value, gradients = loss_and_grad(images)
        optimizer.update(network, gradients)
        mx.eval(network.state, optimizer.state, value)
        curve.append(value.item())
    return np.array(curve)


def accuracy(network, arrange):
    logits_real = network(arrange(test))
    logits_fake = network(arrange(chimeras(test)))
    right = mx.concatenate([logits_real > 0, logits_fake < 0])
    return right.mean().item()


# %% tags=["nbval-check-output"]
class SmallConvolutional(nn.Module):
    """Images (N, 28, 28, 1) in [-1, 1] to logits (N,)."""

    def __init__(self):
        super().__init__()
        self.down1 = Conv2d(1, 16, 4, stride=2, padding=1)
        self.down2 = Conv2d(16, 32, 4, stride=2, padding=1)
        self.hidden = nn.Linear(7 * 7 * 32, 128)
        self.out = nn.Linear(128, 1)

    def __call__(self, images):
        x = nn.leaky_relu(self.down1(images), 0.2)
        x = nn.leaky_relu(self.down2(x), 0.2)
        x = self.hidden(x.reshape(len(x), -1))
        return self.out(nn.leaky_relu(x, 0.2)).squeeze(-1)


def count(model):
    arrays = tree_flatten(model.trainable_parameters())
    return sum(array.size for _, array in arrays)


for network in (SmallConvolutional(), models.MLPDiscriminator()):
    print(f"{type(network).__name__:18s} {count(network):9,d} parameters")

# %% [markdown]
# Our network is seven times smaller than the discriminator of Part I.
# We train both on pictures, and ours on shuffled pictures as well, with three seeds each, and test them on new digits.
#
# **What will the shuffling do this time?**

# %%
seeds, steps = (1, 10) if mlxgan.SMOKE else (3, 300)
curves = {}
for name, kind, arrange in (
    ("convolutions", SmallConvolutional, plain),
    ("convolutions, shuffled", SmallConvolutional, shuffled),
    ("fully connected", models.MLPDiscriminator, plain),
):
    curves[name], right = [], []
    for seed in range(seeds):
        mx.random.seed(seed)
        network = kind()
        curves[name].append(fit(network, arrange, seed, steps))
        right.append(f"{accuracy(network, arrange):.1%}")
    print(f"{name:22s} right in", ", ".join(right))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Telling digits from chimeras. The network with convolutions learns faster from pictures than from shuffled pictures, and the fully connected network is the slowest. Three seeds each; each point is the median loss of ten steps.", "name": "fig-09-shuffled"}, "image": {"alt": "Loss over 300 steps, three thin lines for each of three settings. They all begin near 1.39. The lines for convolutions on pictures fall fastest, to about 0.3; those for convolutions on shuffled pictures stay above them and end between 0.4 and 0.5; those for the fully connected network stay highest and end at about 0.8."}}
figure, axes = plt.subplots()
window = max(1, steps // 30)
for (name, runs), color in zip(
    curves.items(), ("C3", "C4", plots.GREY), strict=True
):
    for index, curve in enumerate(runs):
        blocks = curve[: len(curve) // window * window]
        medians = np.median(blocks.reshape(-1, window), axis=1)
        where = np.arange(len(medians)) * window
        label = name if index == 0 else None
        axes.plot(where, medians, color=color, lw=1.2, label=label)
axes.set(xlabel="step", ylabel="loss", ylim=0)
axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# It hurts: after 300 steps the network is right in 92.6 to 94.2 % of all cases with pictures, and in only 89.0 to 91.1 % with shuffled ones.
# :::
#
# The fully connected network did not notice the shuffling, but this one does, in all three runs.
# Neighborhoods explain only part of its advantage, however: even with shuffled pictures it beats the fully connected network (80.3 to 83.8 %), at least after 300 steps, when the larger network is far from finished.
#
# ## Growing an image
#
# A convolution with stride 2 halves the size, which suits a discriminator on its way to a single number, but the generator needs a layer that doubles it.
# So we let the window work backward: a **transposed convolution** takes one number and stamps the kernel into a window of a larger picture, with as much ink as the number says.
# The next number stamps two pixels further on, and where two stamps overlap, their ink adds up.
#
# ![A 2 by 2 input; one of its pixels stamps a 4 by 4 kernel; four stamps, two cells apart, overlap and add up; the border is cropped to a 4 by 4 output.](../book/diagrams/transposed-conv.svg)
#
# *A transposed convolution stamps its kernel once for each input pixel, weighted by its value. Overlaps add up, and the border is cropped.*


# %% tags=["nbval-check-output"]
def stamp(image, kernel):
    """A transposed convolution by hand, with stride 2 and padding 1."""
    height, width = image.shape
    canvas = np.zeros((2 * height + 2, 2 * width + 2))
    for i in range(height):
        for j in range(width):
            window = canvas[2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            window += image[i, j] * kernel
    return canvas[1:-1, 1:-1]


image = np.array([[1.0, 0.0], [0.0, 2.0]])
kernel = np.arange(1.0, 17).reshape(4, 4)
by_hand = stamp(image, kernel)

up = ConvTranspose2d(1, 1, kernel_size=4, stride=2, padding=1, bias=False)
up.weight = mx.array(kernel, mx.float32).reshape(1, 4, 4, 1)
by_mlx = np.array(up(mx.array(image, mx.float32).reshape(1, 2, 2, 1)))
print(by_hand.astype(int))
print(f"MLX differs by {np.abs(by_hand - by_mlx[0, :, :, 0]).max():.1f}")

# %% [markdown]
# The first pixel, a 1, has stamped the kernel, and the last one, a 2, twice the kernel.
# Where they overlap, the kernel's 11 from the first stamp and twice its 1 from the second make 13.
# `ConvTranspose2d` does the same for many channels, and Exercise 2 shows where its odd name comes from.
# (We import it from `mlxgan.layers`, which computes the same as `mlx.nn`, only [faster on a CPU](20_linux_cpu.ipynb).)
#
# ## Checkerboards
#
# The overlaps are not harmless: if some pixels receive more stamps than others, the picture has a pattern before the network has learned anything.
# To see it, we send an image of ones through kernels of ones, so that every pixel counts its stamps.
#
# **The stride is 2. For which of the kernel sizes 3, 4 and 5 do all pixels receive the same number of stamps?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The number of stamps that each pixel receives, at stride 2. Only a kernel whose size is divisible by the stride treats all pixels alike.", "name": "fig-09-checkerboard"}, "image": {"alt": "Three gray squares for the kernel sizes 3, 4 and 5. Those for 3 and 5 show a regular checkerboard of lighter and darker pixels, titled 1 to 4 stamps and 4 to 9 stamps. The one for 4 is a uniform gray, titled 4 to 4 stamps."}}
figure, panels = plt.subplots(1, 3, figsize=(7, 2.6))
for axes, size in zip(panels, (3, 4, 5), strict=True):
    layer = nn.ConvTranspose2d(1, 1, size, stride=2, padding=1, bias=False)
    layer.weight = mx.ones_like(layer.weight)
    stamps = np.array(layer(mx.ones((1, 8, 8, 1))))[0, 2:-2, 2:-2, 0]
    axes.imshow(stamps, cmap="gray", vmin=0, vmax=9)
    axes.set_axis_off()
    low, high = stamps.min(), stamps.max()
    axes.set_title(f"kernel {size}: {low:.0f} to {high:.0f} stamps")
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# Only for 4.
# :::
#
# [Odena et al. (2016)](../book/bibliography.md#odena-et-al-2016) traced the checkerboards in many generated images of their time to this uneven overlap.
# A network can learn to cancel the pattern, but we prefer not to start with one, so all our convolutions have kernel size 4, stride 2 and padding 1.
#
# ## Keeping the signal alive
#
# The untrained generator of [Generator and discriminator](04_models.ipynb) painted gray, because each fresh layer passes on a weaker signal than it received.
# Our weights will begin small, too, with a standard deviation of 0.02 as [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) recommend, so we should expect nothing but gray again.


# %%
def initialize(model):
    draw = nn.init.normal(0, 0.02)
    model.apply(
        lambda weight: draw(weight) if weight.ndim >= 2 else weight
    )


# %% [markdown]
# Instead of hoping that the outputs of a layer have a sensible size, we can simply give them one.
# This is the idea of **batch normalization** ([Ioffe and Szegedy, 2015](../book/bibliography.md#ioffe-and-szegedy-2015)).
# For each channel it computes the mean $\mu$ and the standard deviation $\sigma$ over the batch, and for images over all positions as well, and replaces each value $x$ by
#
# $$y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta.$$
#
# The tiny $\epsilon$ prevents a division by 0, and $\gamma$ and $\beta$ are learned for each channel, beginning at 1 and 0, in case the network needs another scale.
# The size of the weights in front of a normalization no longer matters: if you double them all, $\mu$ and $\sigma$ double too, and $y$ stays what it was.
#
# ## The generator
#
# ![Blocks of the DCGANs: the generator goes 100, 512, 7×7×64, 14×14×32, 28×28×1; the discriminator takes the same sizes back to a single logit.](../book/diagrams/dcgan-networks.svg)
#
# *The generator trades channels for pixels until an image is left, and the discriminator goes the same way back.*
#
# Noise passes through a hidden layer and becomes 64 channels of $7 \times 7$ pixels, and each of two transposed convolutions then doubles the size.
# Batch normalization follows every layer except the last, where Radford et al. found that it made training unstable.


# %%
class DCGANGenerator(nn.Module):
    """Noise (N, latent_dim) to images (N, 28, 28, image_channels)."""

    def __init__(
        self,
        latent_dim: int = 100,
        channels: int = 32,
        hidden: int = 512,
        image_channels: int = 1,
    ):
        super().__init__()
        self.latent_dim, self.channels, self.hidden = (
            latent_dim,
            channels,
            hidden,
        )
        self.image_channels = image_channels
        self.project = nn.Linear(latent_dim, hidden)
        self.norm1 = BatchNorm(hidden)
        self.expand = nn.Linear(hidden, 7 * 7 * 2 * channels)
        self.norm2 = BatchNorm(2 * channels)
        self.up1 = ConvTranspose2d(
            2 * channels, channels, 4, stride=2, padding=1
        )
        self.norm3 = BatchNorm(channels)
        self.up2 = ConvTranspose2d(
            channels, image_channels, 4, stride=2, padding=1
        )
        initialize(self)

    def __call__(self, z: mx.array) -> mx.array:
        return self.draw(self.project(z))

    def draw(self, x: mx.array) -> mx.array:
        x = nn.relu(self.norm1(x))
        x = self.expand(x).reshape(-1, 7, 7, 2 * self.channels)
        x = self.up1(nn.relu(self.norm2(x)))
        return mx.tanh(self.up2(nn.relu(self.norm3(x))))


# %% [markdown]
# Do the normalizations keep the signal alive?
# We send the same noise through this generator and through a copy without them.


# %%
def trace(generator, z):
    """The output of each layer, before it is normalized."""
    project = generator.project(z)
    x = generator.expand(nn.relu(generator.norm1(project)))
    expand = x.reshape(-1, 7, 7, 64)
    up1 = generator.up1(nn.relu(generator.norm2(expand)))
    up2 = generator.up2(nn.relu(generator.norm3(up1)))
    return {"project": project, "expand": expand, "up1": up1, "up2": up2}


mx.random.seed(5)
generator, without = DCGANGenerator(), DCGANGenerator()
without.update(generator.parameters())
for name in ("norm1", "norm2", "norm3"):
    setattr(without, name, nn.Identity())

signal, faded = trace(generator, z), trace(without, z)
for name, x in signal.items():
    deviations = mx.std(x).item(), mx.std(faded[name]).item()
    print(f"{name:7s} {x.shape!s:16s}", end=" ")
    print("std {:.3f}, without norm {:.3f}".format(*deviations))

# %% [markdown]
# Without normalization the signal fades from layer to layer, and what reaches the tanh has a standard deviation of 0.002, which is an even gray.
# With it, each output is brought back to a standard deviation of 1 before the next layer, so that 0.139 still reaches the tanh.
#
# ## The discriminator
#
# The discriminator is the mirror image: two convolutions that halve the size, a hidden layer, and one logit.
# Its ReLUs leak so that the generator can learn through them, and its first layer is not normalized, again on the advice of Radford et al.


# %%
class DCGANDiscriminator(nn.Module):
    """Images (N, 28, 28, image_channels) to logits (N,)."""

    def __init__(
        self,
        channels: int = 32,
        hidden: int = 512,
        norm: bool = True,
        image_channels: int = 1,
    ):
        super().__init__()
        self.channels, self.hidden, self.norm = channels, hidden, norm
        self.image_channels = image_channels
        self.down1 = Conv2d(
            image_channels, channels, 4, stride=2, padding=1
        )
        self.down2 = Conv2d(channels, 2 * channels, 4, stride=2, padding=1)
        self.norm1 = BatchNorm(2 * channels) if norm else nn.Identity()
        self.shrink = nn.Linear(7 * 7 * 2 * channels, hidden)
        self.norm2 = BatchNorm(hidden) if norm else nn.Identity()
        self.out = nn.Linear(hidden, 1)
        initialize(self)

    def compress(self, images: mx.array) -> mx.array:
        x = nn.leaky_relu(self.down1(images), 0.2)
        x = nn.leaky_relu(self.norm1(self.down2(x)), 0.2)
        return self.shrink(x.reshape(len(x), -1))

    def features(self, x: mx.array) -> mx.array:
        return nn.leaky_relu(self.norm2(x), 0.2)

    def __call__(self, images: mx.array) -> mx.array:
        return self.out(self.features(self.compress(images))).squeeze(-1)


# %% [markdown]
# How do these networks compare with those of Part I?
# A convolution uses each weight at every place that its kernel visits, so we count weights and multiplications separately.

# %% tags=["hide-input"]
discriminator = DCGANDiscriminator()
places = {"up1": 7 * 7, "up2": 14 * 14, "down1": 14 * 14, "down2": 7 * 7}
lines = ["| layer | weights | places | multiplications |"]
lines.append("|:--|--:|--:|--:|")
for network, names in (
    (generator, ("project", "expand", "up1", "up2")),
    (discriminator, ("down1", "down2", "shrink", "out")),
):
    for name in names:
        weights, times = network[name].weight.size, places.get(name, 1)
        numbers = f"{weights:,} | {times} | {weights * times:,}"
        lines.append(f"| `{name}` | {numbers} |")
    lines.append(f"| *all parameters* | {count(network):,} | | |")
display(Markdown("\n".join(lines)))

# %% [markdown]
# Both totals are about as large as in Part I, so what the new networks do better is hardly a matter of size.
# The convolutions hold only 2 % of the weights, but because each of these works at 49 or 196 places, they do half of the multiplications.
# The rest is in the linear layers.
# The original **DCGAN**, the deep convolutional GAN of Radford et al., has no fully connected hidden layers, but ours have one each, like the networks that [Chen et al. (2016)](../book/bibliography.md#chen-et-al-2016) used for MNIST.
#
# ## Real and fake, each in a batch of its own
#
# Batch normalization has a side effect: the output for one image depends on every other image in the batch.
# Suppose that we save a call and give the discriminator 64 real digits and 64 fakes in one batch.
# Both halves then share one mean, and simply by looking at which side of it an image lies, the discriminator can tell them apart without learning anything about digits.
#
# ![Left: a real and a fake bell curve lie on opposite sides of one shared mean. Right: each has its own mean, and both are centered on zero.](../book/diagrams/batchnorm-together.svg)
#
# *In one batch, real images and fakes lie on opposite sides of their shared mean; in batches of their own they do not.*
#
# **We show an untrained discriminator 64 real digits, first alone and then together with 64 fakes. By how much do its logits for them change, compared with the differences between the digits?**

# %%
fake = generator(z)
alone = discriminator(real)
together = discriminator(mx.concatenate([real, fake]))[: len(real)]
change = mx.abs(together - alone).mean().item()
print(f"mean change of a logit {change:.3f}")
print(f"standard deviation of the logits {mx.std(alone).item():.3f}")

# %% [markdown]
# :::{dropdown} Answer
# By 0.19 on average, which is a lot: the logits of different digits have a standard deviation of only 0.32.
# :::
#
# The cure is to call the discriminator twice, as the training step in [The training loop](06_training.ipynb) does; [When it goes wrong](10_failures.ipynb) shows what happens otherwise.
#
# Separate batches have a price, however: a flaw that all fakes share equally is part of their mean, so the normalization subtracts it, and the division by the standard deviation hides a more serious one.
#
# ## Copies in disguise
#
# Suppose that the generator has learned to draw one perfect seven.
# A discriminator that judges each image by itself has no reason to object, however often this seven comes back, and this is how a GAN slides into the **mode collapse** of [The training loop](06_training.ipynb).
# Could a discriminator with batch normalization, which sees many images at once, notice the copies?
# We try three batches of 64: real digits, noisy copies of one digit, and exact copies of it.
#
# **How strongly do the 512 hidden units vary within each batch, before they are normalized and after?**

# %%
noise = mx.random.normal(real.shape, key=mx.random.key(1))
trial = {
    "real digits": real,
    "nearly equal": real[:1] + 0.05 * noise,
    "exact copies": mx.broadcast_to(real[:1], real.shape),
}
for name, images in trial.items():
    x = discriminator.compress(images)
    before = mx.std(x, axis=0).mean().item()
    after = mx.std(discriminator.norm2(x), axis=0).mean().item()
    print(f"{name:12s} before {before:.3f}, after {after:.3f}")

# %% [markdown]
# :::{dropdown} Answer
# Before the normalization the noisy copies vary only a seventh as much as real digits.
# Afterward they vary just as much, and only the exact copies are still constant.
# :::
#
# A generator fed with noise hardly ever makes exact copies, and the normalization enlarges the small differences between its images until they are as large as those between real digits.
# What would give the copies away is the standard deviation, the very number that we divide by, so let us show it to the discriminator before it is lost.
# (The idea of comparing the images of a batch is due to [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016), and [Karras et al. (2018)](../book/bibliography.md#karras-et-al-2018) reduced it to a standard deviation.)
# We average the logarithms of the standard deviations $\sigma_k$ of all hidden units, so that halving a spread counts the same at every scale.
# The result $s$, times a learned weight $v$ and a factor of 3, is added to every logit of the batch:
#
# $$\ell'(x) = \ell(x) + 3\,v\,s, \qquad s = \frac{1}{512} \sum_{k} \log \sigma_k.$$


# %%
class VarietyDiscriminator(DCGANDiscriminator):
    """A DCGANDiscriminator that also sees how much a batch varies."""

    def __init__(self, channels: int = 32, hidden: int = 512):
        super().__init__(channels, hidden)
        self.variety = mx.zeros(1)

    def __call__(self, images: mx.array) -> mx.array:
        x = self.compress(images)
        spread = mx.log(mx.sqrt(mx.var(x, axis=0) + 1e-6)).mean()
        return (
            self.out(self.features(x)).squeeze(-1)
            + 3 * self.variety * spread
        )


# %% [markdown]
# If fakes vary less than real digits, the discriminator can learn a positive $v$, which makes variety a sign of a real batch, and the generator's gradient then tells it to vary more.
# Adam moves each weight by about one learning rate per step, so the factor 3 lets this single number keep up with 1.6 million others; there is nothing special about it.
#
# ## One image, two modes
#
# When you draw a single digit, which other images should decide about $\mu$ and $\sigma$?
# Preferably none.
# Batch normalization therefore keeps running averages of $\mu$ and $\sigma^2$, and in *training mode* each batch moves them a tenth of the way toward its own values.
# In *evaluation mode* these averages replace the values of the batch.
#
# **We draw an image from the same noise twice, once in a batch of 64 and once in a batch of 8. In which mode does the same image come out?**

# %%
for mode in ("training", "evaluation"):
    generator.train(mode == "training")
    in_64, in_8 = generator(z)[0], generator(z[:8])[0]
    difference = mx.abs(in_64 - in_8).max().item()
    print(f"{mode:10s} largest difference of a pixel {difference:.3f}")

# %% [markdown]
# :::{dropdown} Answer
# Only in evaluation mode.
# :::
#
# `training.sample` therefore switches to evaluation mode, and the last section shows what happens otherwise.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# There is one `nn.BatchNorm` for vectors and for images.
# A compiled step keeps the mode in which it was traced, so a later `eval()` has no effect on it.
# :::
#
# ## Two learning rates
#
# In Part I both networks learned with a rate of $2 \cdot 10^{-4}$.
# Now the generator gets $2 \cdot 10^{-3}$ and the discriminator $3 \cdot 10^{-4}$.
# Why so much more, and why not the same for both?
#
# We can at least say why the high rate is not absurd.
# As long as the gradients of a weight agree, Adam moves it by about one learning rate per step, and in front of a normalization only the ratio of this step to the weight counts.
# Our weights begin at a typical size of 0.02, of which $2 \cdot 10^{-3}$ is 10 %.
# That would be reckless if it stayed that way, but weights that move about tend to grow, as we will check after the run, and the same rate is then a smaller part of them.
#
# The second question is harder.
# [Heusel et al. (2017)](../book/bibliography.md#heusel-et-al-2017) prove, for rates that shrink toward 0, that a GAN converges if the *discriminator* is the faster one, because it is then close to its best answer whenever the generator asks.
# In favor of a fast *generator*, one can say that the moving average from [The training loop](06_training.ipynb) removes the jitter that a high rate leaves in its weights, while nothing does so for the discriminator.
# Our own evidence is just as mixed: a slower discriminator made the fully connected GAN collapse more often, but the pair of this chapter runs well with one.
# So treat the two rates as numbers to try, and do not let a single run decide.
#
# ## The run
#
# We train for twelve epochs, without the R1 penalty of Part I, to which [What makes training stable](11_stability.ipynb) returns.
# After each epoch, `measure` keeps sixteen samples and computes the FID of [Measuring](08_measuring.ipynb) twice: for the moving average, and for the latest state of the generator.

# %%
recipe = recipes.RECIPES["dcgan"]
epochs = 1 if mlxgan.SMOKE else recipe.epochs
reference = metrics.reference()
n = len(reference.real)
test_z = mx.random.normal((n, 100), key=mx.random.key(1))


def fid_of(images):
    found, _ = metrics.features(reference.classifier, images)
    return metrics.fid(reference.real, found)


# %%
mx.random.seed(0)
generator, discriminator = DCGANGenerator(), VarietyDiscriminator()
average = DCGANGenerator()
frames, averaged, latest = [], [], []


def measure(epoch, history):
    frames.append(training.sample(average, test_z[:16]))
    averaged.append(fid_of(training.sample(average, test_z)))
    latest.append(fid_of(training.sample(generator, test_z)))


# %% tags=["hide-output"]
history = training.train(
    generator,
    discriminator,
    digits,
    epochs=epochs,
    seed=0,
    **recipe.settings(),
    average=average,
    on_epoch=measure,
)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Sixteen samples of the moving average after each epoch, always from the same noise.", "name": "fig-09-epochs"}, "image": {"alt": "Twelve grids of four by four generated digits, one for each epoch. Even in the first most digits are legible. In the later ones many get cleaner, and several have turned into other digits, some of them more than once. A few get worse: in the last grid the second digit of the second row is a blot, and the third ones of the first and the third row have come apart."}}
columns = min(4, len(frames))
rows = -(-len(frames) // columns)
figure, panels = plt.subplots(
    rows, columns, figsize=(1.8 * columns, 2.05 * rows), squeeze=False
)
for axes in panels.flat:
    axes.set_axis_off()
for epoch, frame in enumerate(frames):
    axes = panels.flat[epoch]
    axes.imshow(plots.tile(frame, 4), cmap="gray", vmin=0, vmax=255)
    axes.set_title(f"epoch {epoch + 1}", fontsize=9)
plt.show()

# %% [markdown]
# After a single epoch you can read most of the digits.
# Some get cleaner later, but at least three get worse: the second digit of the second row, for example, ends as a blot.
# What were the other eleven epochs worth?

# %% tags=["hide-input"]
seconds = np.cumsum(history.seconds)
names = [
    "epoch",
    "seconds",
    "loss D",
    "loss G",
    "FID average",
    "FID latest",
]
lines = [f"| {' | '.join(names)} |", "|--:|--:|--:|--:|--:|--:|"]
for i in range(epochs):
    both = f"{history.loss_d[i]:.2f} | {history.loss_g[i]:.2f}"
    fids = f"{averaged[i]:.2f} | {latest[i]:.2f}"
    lines.append(f"| {i + 1} | {seconds[i]:.0f} | {both} | {fids} |")
display(Markdown("\n".join(lines)))
ratios = np.array(latest) / np.array(averaged)
print(f"latest / average: {ratios.min():.1f} to {ratios.max():.1f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "FID after each epoch, for the moving average of the generator and for its latest state. The dotted line is what real training digits get.", "name": "fig-09-fid"}, "image": {"alt": "FID over twelve epochs on a logarithmic axis. The orange line of the average falls from about 19 to below 5 and changes little from the ninth epoch on. The gray line of the latest state falls from about 50 to between 12 and 19 and lies far above the orange one in every epoch. A blue dotted line at 2 marks real digits."}}
figure, axes = plt.subplots()
at = range(1, epochs + 1)
axes.semilogy(at, latest, "o-", color=plots.GREY, label="latest state")
axes.semilogy(at, averaged, "o-", color=plots.FAKE, label="average")
axes.axhline(
    reference.floor.fid,
    color=plots.REAL,
    linestyle=":",
    label="real digits",
)
axes.set(xlabel="epoch", ylabel="FID")
axes.set_yticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
axes.minorticks_off()
axes.legend()
plt.show()

# %% [markdown]
# In every epoch the average is ahead of the latest state, by a factor between 2.5 and 4.6.
# This fits our picture of the jitter, although we have not tried whether a lower rate would need the average less.
#
# From the ninth epoch on, the FID of the average stays between 4.4 and 4.9, although the discriminator's loss goes on falling and the generator's goes on rising.
# Once more, a loss says who is ahead in the game and not how good the pictures are.
#
# ## A look inside
#
# Have the weights grown, as we expected?

# %%
rate, fresh = recipe.rates_g[0], DCGANGenerator()
for name in ("project", "expand", "up1", "up2"):
    before = mx.std(fresh[name].weight).item()
    after = mx.std(generator[name].weight).item()
    print(f"{name:7s} {before:.3f} -> {after:.3f},", end=" ")
    print(f"one step {rate / before:.0%} -> {rate / after:.1%}")

# %% [markdown]
# They have, by a factor of 10 to 20, so that a step of one full learning rate is now 0.5 to 1.0 % of a typical weight instead of 10 %.
# Relative to the weights, the rate has fallen by itself.
#
# And does the discriminator use what it is told about variety?
# We show it fifty batches of each kind, as in a training step.

# %%
generator.train()
discriminator.train()
spreads = {"real": [], "fake": []}
for real, _ in islice(data.batches(digits, 64, seed=1), 50):
    fake = generator(mx.random.normal((len(real), 100)))
    for name, images in {"real": real, "fake": fake}.items():
        x = discriminator.compress(images)
        spread = mx.log(mx.sqrt(mx.var(x, axis=0) + 1e-6)).mean()
        mx.eval(spread, generator.state, discriminator.state)
        spreads[name].append(spread.item())
weight = 3 * discriminator.variety.item()
print(f"weight 3v = {weight:.2f}")
for name, values in spreads.items():
    mean, deviation = np.mean(values), np.std(values)
    print(f"{name}: spread {mean:.3f} ± {deviation:.3f},", end=" ")
    print(f"adds {weight * mean:.2f} to each logit")

# %% [markdown]
# The learned weight is positive, so in this run variety counts as a sign of a real batch.
# The fakes still vary about 2 % less than real digits, which costs them 0.03 in the logit, but single batches of real digits differ among themselves by more than that.
# Whether the generator would have come this far without the term, one run cannot tell.
#
# ## How good are they?
#
# We measure five draws of 10,000 samples each, with all the metrics of [Measuring](08_measuring.ipynb).

# %%
keys = range(1, 3 if mlxgan.SMOKE else 6)
draws = [
    mx.random.normal((n, 100), key=mx.random.key(key)) for key in keys
]
ours = [
    metrics.evaluate(training.sample(average, draw), reference)
    for draw in draws
]
mlp = checkpoints.load_pretrained("mlp")
theirs = [
    metrics.evaluate(training.sample(mlp, draw), reference)
    for draw in draws
]

# %% tags=["hide-input"]
lines = ["| | real digits | MLP | DCGAN |", "|:--|--:|--:|--:|"]
for label, name, places in (
    ("FID", "fid", 2),
    ("precision", "precision", 3),
    ("recall", "recall", 3),
    ("coverage", "coverage", 3),
    ("classifier more than 90 % sure", "confident", 3),
    ("KL of the classes", "kl_from_uniform", 4),
):
    cells = [f"{getattr(reference.floor, name):.{places}f}"]
    for group in (theirs, ours):
        values = [getattr(scores, name) for scores in group]
        mean, deviation = np.mean(values), np.std(values, ddof=1)
        cells.append(f"{mean:.{places}f} ± {deviation:.{places}f}")
    lines.append(f"| {label} | {' | '.join(cells)} |")
display(Markdown("\n".join(lines)))

# %% [markdown]
# Each standard deviation is that of five draws from one trained generator.
# How different would another run be?
# The book's data contain four more, made on a GPU.

# %%
stored = json.loads((mlxgan.ROOT / "book/data/collapse.json").read_bytes())
others = [
    run["average"]["fid"]
    for run in stored["mlx"]["runs"]
    if run["name"] == "dcgan"
]
print("FID of four other runs:", sorted(round(x, 1) for x in others))

# %% [markdown]
# All five runs have an FID between 4.3 and 5.1.
# A single draw already scatters by about 0.3, so we cannot tell how much of the difference comes from the training, but your run will probably land nearby, with other digits ([Same seed, same digits](../book/reproducibility.md)).
#
# What has improved most is the variety: the recall has risen from 0.26 to 0.79 and the coverage from 0.72 to 0.88, and the ten digits now appear about equally often.
# The precision, in contrast, has not improved: it was 0.81, and it is 0.79 now.
# The classifier is less than 90 % sure of 9.4 % of the samples, but of only 1.3 % of real digits.
# Before we look at the doubtful ones, try to tell an ordinary selection from the real thing.
#
# **Two of these four rows were written by people. Which ones?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Two rows of digits from the test set and two rows of samples. Nothing was selected.", "name": "fig-09-which"}, "image": {"alt": "Four rows of sixteen digits in dark ink, two of them real and two generated. At a glance they look alike. Most are easy to read, and a few are broken, filled in or could be read in two ways."}}
test = data.load("test").images
samples = training.sample(average, test_z[16:48])
shown = [
    data.normalize(test[:16]),
    samples[:16],
    data.normalize(test[16:32]),
    samples[16:],
]
plots.digits(mx.concatenate(shown), columns=16, scale=0.5)

# %% [markdown]
# :::{dropdown} Answer
# The first row and the third.
# In the others a few shapes give the generator away, for example the tenth of the second row and the twelfth of the fourth.
# :::
#
# And here are the doubtful ones.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The 32 of 320 samples about which the classifier is least sure.", "name": "fig-09-doubtful"}, "image": {"alt": "Two rows of sixteen generated digits. A few can be read, and most are hard to name: sevens with a crossbar that could be twos, angular nines that could be fours, a ring with a dash in it, a block with a notch in place of a hole, and an open bowl with specks around it."}}
images = training.sample(average, test_z[:320])
_, probabilities = metrics.features(reference.classifier, images)
doubtful = np.argsort(probabilities.max(axis=1))[:32].astype(np.uint32)
plots.digits(images[mx.array(doubtful)], columns=16, scale=0.5)

# %% [markdown]
# Most edges are clean, but the shapes are wrong: a seven with a crossbar could just as well be a two, and an angular nine is halfway to a four.
# We met a reason in [Generator and discriminator](04_models.ipynb): the generator is a continuous function, so some noise has to bridge the gap between two kinds of digits, and nothing tells it which to draw.
# In [Choosing the digit](12_conditional.ipynb) we will.
#
# ## Forgetting `eval()`
#
# What if we had sampled in training mode?
# We try it on a copy of the generator, because every call in training mode changes the running statistics.
#
# **How much does the FID suffer in batches of 500, and how much in batches of 8?**


# %%
def copy_of(network):
    copy = DCGANGenerator()
    copy.update(network.parameters())
    return copy.eval()


def in_training_mode(network, z, batch_size):
    """Sample like someone who forgot to call eval()."""
    network.train()
    size, parts = min(batch_size, len(z)), []
    for start in range(0, len(z) - size + 1, size):
        parts.append(network(z[start : start + size]))
        mx.eval(parts[-1], network.parameters())
    network.eval()
    return mx.concatenate(parts)


# %%
table = {"evaluation mode": [scores.fid for scores in ours[:3]]}
for size in (500, 8):
    table[f"training mode, batches of {size}"] = [
        fid_of(in_training_mode(copy_of(average), draw, size))
        for draw in draws[:3]
    ]
for name, values in table.items():
    print(f"{name:29s}", ", ".join(f"{x:.2f}" for x in values))

# %% [markdown]
# :::{dropdown} Answer
# In batches of 8 it rises from less than 5 to more than 7, because each digit now depends on seven others.
# In batches of 500 it does not suffer: it changes by 0.22 at most, down in two of the draws and up in one.
# :::
#
# Could we improve the stored statistics, which come from the generator in training and not from its averaged weights?
# [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019) let the finished generator collect *standing statistics* of its own, and we try the same with forty batches of 500.

# %%
renewed = copy_of(average)
in_training_mode(renewed, mx.random.normal((2 * n, 100)), 500)
values = [fid_of(training.sample(renewed, draw)) for draw in draws[:3]]
print("evaluation mode, renewed     ", end=" ")
print(", ".join(f"{x:.2f}" for x in values))

# %% [markdown]
# Here it does not help: the FID is higher by 0.3 to 0.6 in each of the three draws.
# So we keep the average as it came out of the run, and the book ships it as `mlxgan.load_pretrained("dcgan")`.

# %%
notes = {"data": digits.name, "epochs": str(epochs), "seed": "0"}
checkpoints.save(
    mlxgan.RUNS / "dcgan/generator.safetensors", average, notes=notes
)

# %% [markdown]
# In a terminal, the same run is
#
# ```
# python -m mlxgan train --model dcgan --epochs 12 --out runs/dcgan
# ```
#
# :::{admonition} If it goes wrong
# :class: warning
# *Symptom*: samples are fine during training, but those of the loaded model are gray blurs.
# *Cause*: the running statistics were not saved, or the average did not include them.
# *Cure*: save and average `parameters()`, because `trainable_parameters()` leaves them out.
# :::
#
# ## Summary
#
# A convolution moves a small window with one pattern over the whole picture, so what it learns in one place holds in others.
# A transposed convolution stamps its kernel into a larger image, evenly if the stride divides the kernel size.
# Batch normalization keeps the signal alive in a fresh network, but it makes every output depend on the whole batch.
# Real images and fakes therefore need batches of their own, near-copies are disguised unless the discriminator is shown the spread, and samples have to be drawn in evaluation mode.
# A learning rate means something only in comparison with the weights that it moves, and the moving average removes the jitter of a high one.
# In five runs the FID was between 4.3 and 5.1, where real digits have 2.0, and what gives the samples away is less the strokes than the shapes.
#
# Now that we have a game that works, we can afford to break it, and in [When it goes wrong](10_failures.ipynb) we do so on purpose.
#
# ## Exercises
#
# ### Exercise 1: How many stamps (derive)
#
# Show that with kernel size $k$ and stride $s$, a pixel in the interior of a row receives $k/s$ stamps, rounded up or down.
# When do all pixels receive the same number?
# Derive the numbers in the titles of the checkerboard figure from your result.
#
# :::{dropdown} Solution
# The stamp of input $i$ covers the positions from $si$ to $si + k - 1$, so position $p$ receives the kernel entry $p - si$ from every $i$ for which this entry exists.
# There are as many of these as there are numbers among $0, 1, \dots, k - 1$ that leave the same remainder as $p$ when divided by $s$.
# Of $k$ consecutive integers, either $\lfloor k/s \rfloor$ or $\lceil k/s \rceil$ leave a given remainder, and the number is the same for all remainders exactly if $s$ divides $k$.
# In two dimensions the counts of rows and columns are multiplied.
# With $s = 2$, a kernel of 3 gives 1 or 2 per direction and hence 1, 2 or 4 stamps, a kernel of 4 gives 2 and hence always 4, and a kernel of 5 gives 2 or 3 and hence 4, 6 or 9.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def stamps_in_a_row(kernel, stride, inputs=20):
    received = np.zeros(stride * inputs + kernel, int)
    for start in range(0, stride * inputs, stride):
        received[start : start + kernel] += 1
    inside = received[kernel : stride * (inputs - 1)]
    return inside.min(), inside.max()


for kernel, stride in ((3, 2), (4, 2), (5, 2), (5, 3), (6, 3)):
    low, high = stamps_in_a_row(kernel, stride)
    print(f"kernel {kernel}, stride {stride}: {low} to {high} stamps")

# %% [markdown]
# ### Exercise 2: Why it is called transposed (derive)
#
# A convolution without bias is linear, so for images written as long vectors it is a matrix, $y = Ax$.
# What are the entries of $A$ in one dimension, with kernel size 4, stride 2 and padding 1?
# Show that the transposed convolution with the same kernel is $A^\top$.
# What does this say about the gradient that passes backward through a convolution?
#
# :::{dropdown} Solution
# In one dimension $y_i = \sum_p w_p\, x_{2i+p-1}$, so the entry in row $i$ and column $t$ is $A_{i,t} = w_{t-2i+1}$ if this weight exists, and 0 otherwise.
# In a transposed convolution the input $v_i$ adds $w_p v_i$ to the output at position $2i + p$ of the canvas, which is position $t = 2i + p - 1$ after cropping.
# The output at $t$ is therefore $\sum_i w_{t-2i+1}\, v_i = \sum_i A_{i,t}\, v_i$, which is $(A^\top v)_t$.
# By the chain rule, the gradient of a loss with respect to $x$ is $A^\top$ times its gradient with respect to $y$.
# So the backward pass of a convolution is a transposed convolution and vice versa: the generator computes in its forward pass what the discriminator computes in its backward pass.
# The cell checks both facts, the first one as $\langle Ax, v \rangle = \langle x, A^\top v \rangle$.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
down = Conv2d(1, 1, 4, stride=2, padding=1, bias=False)
up = ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)
up.weight = down.weight
x = mx.random.normal((1, 28, 28, 1))
v = mx.random.normal((1, 14, 14, 1))


def product(x):
    return (down(x) * v).sum()


difference = mx.abs(product(x) - (x * up(v)).sum()).item()
print(f"the inner products differ by {difference:.3f}")
difference = mx.abs(mx.grad(product)(x) - up(v)).max().item()
print(f"gradient and transposed convolution differ by {difference:.3f}")

# %% [markdown]
# ### Exercise 3: Enlarge first (code)
#
# [Odena et al. (2016)](../book/bibliography.md#odena-et-al-2016) recommend another way to grow an image: enlarge it by copying pixels, and then apply an ordinary convolution with stride 1.
# Write a layer that doubles the size in this way with a kernel of 3, and show that it treats all pixels alike.
# How many multiplications does it need for the step from $7 \times 7 \times 64$ to $14 \times 14 \times 32$, compared with `up1`?
#
# :::{dropdown} Solution
# Every output of an ordinary convolution with stride 1 receives the full kernel, so no pixel is favored.
# The layer needs $14 \cdot 14 \cdot 3 \cdot 3 \cdot 64 \cdot 32 = 3{,}612{,}672$ multiplications, 2.25 times as many as `up1`, because it works on the enlarged image.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
class ResizeConvolution(nn.Module):
    """Double the size of an image by copying pixels, then convolve."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.resize = nn.Upsample(scale_factor=2, mode="nearest")
        self.convolve = nn.Conv2d(inputs, outputs, 3, padding=1)

    def __call__(self, x):
        return self.convolve(self.resize(x))


layer = ResizeConvolution(64, 32)
x = mx.ones((1, 7, 7, 64))
print(x.shape, "->", layer(x).shape)
layer.convolve.weight = mx.ones_like(layer.convolve.weight)
inside = layer(x)[0, 1:-1, 1:-1] / 64
print(f"{inside.min().item():.0f} to {inside.max().item():.0f} copies")
print(f"{14 * 14 * layer.convolve.weight.size:,} multiplications")

# %% [markdown]
# ### Exercise 4: A bias without a purpose (change and explain)
#
# Add 5 to every bias of `project` in the trained generator, and compare the images before and after, in training mode and in evaluation mode.
# Explain the difference.
# Which layers of the two networks could do without their biases?
#
# :::{dropdown} Solution
# In training mode nothing changes, because the bias is part of the batch mean, which `norm1` subtracts.
# In evaluation mode the stored mean is subtracted, which does not include the change, so every hidden unit is shifted upward, and some pixels change from black to white or back.
# Every layer directly in front of a normalization could do without a bias, since the $\beta$ of the normalization does its work: `project`, `expand` and `up1` in the generator, `down2` and `shrink` in the discriminator.
# :::

# %% tags=["hide-cell"]
for mode in ("training", "evaluation"):
    network = copy_of(average).train(mode == "training")
    before = network(z)
    network.project.bias = network.project.bias + 5
    change = mx.abs(network(z) - before).max().item()
    print(f"{mode:10s} largest change of a pixel {change:.2f}")

# %% [markdown]
# ## Further reading
#
# - [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) is the paper of the DCGAN. Read it for its list of guidelines and for its pictures of arithmetic with noise vectors.
# - [Dumoulin and Visin (2016)](https://arxiv.org/abs/1603.07285) draw every combination of kernel, stride and padding, forward and transposed.
# - [Odena et al. (2016)](../book/bibliography.md#odena-et-al-2016) explain checkerboards in an article with figures that you can play with.
# - [Ioffe and Szegedy (2015)](../book/bibliography.md#ioffe-and-szegedy-2015) introduced batch normalization. Their explanation of why it works has been disputed since.
# - [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016) also normalize with a reference batch, another answer to the dependence on neighbors.
# - [Yazıcı et al. (2019)](../book/bibliography.md#yazıcı-et-al-2019) study the moving average, and the appendix of [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019) treats the statistics that should go with it.
