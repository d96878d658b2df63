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
# The digits of Part I can be read, and nobody would take them for handwriting. In this chapter the
# two networks learn that neighbouring pixels belong together, and the digits become hard to tell
# from real ones.
#
# ```{admonition} What you will learn
# :class: important
# - build a generator that grows an image from 7x7 to 28x28, and a discriminator that shrinks it back
# - choose kernel and stride so that no checkerboard appears
# - use batch normalisation in a GAN: where, over which images, and in which mode
# - let the discriminator see how much a batch varies
# - initialize, and choose a learning rate for each player
# - train the DCGAN in full, and measure it while it learns
#
# **Before**: [The training loop](06_training.ipynb) and [Measuring](08_measuring.ipynb).
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import checkpoints, data, metrics, models, plots, recipes, training
from mlxgan.layers import Conv2d, ConvTranspose2d

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

digits = data.load("train")
real, _ = next(data.batches(digits, 64, seed=0))

# %% [markdown]
# ## Why convolutions
#
# The first layer of the MLP's discriminator has a weight for each pixel and each of its 1,024 units. To it the 784 pixels
# are a list. If they were all shuffled in the same way, in real images and in fakes, it would learn just as well. A
# convolution looks at 4x4 pixels at a time, with the same 16 weights at every place. So it knows what a neighbourhood is,
# and what it learns about a stroke in one corner holds in all others.
#
# In the generator the same idea runs backwards. A *transposed convolution* of stride 2 lays a copy of its kernel, times the
# value of the pixel, at every second place of a larger image, and adds up what overlaps. Four times as many pixels come out.

# %% tags=["nbval-check-output"]
up = ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)
up.weight = mx.arange(1.0, 17).reshape(1, 4, 4, 1)
dot = mx.zeros((1, 3, 3, 1))
dot[0, 1, 1, 0] = 1
print("3x3 becomes", up(dot).shape[1:3])
print(np.array(up(dot))[0, 1:5, 1:5, 0].astype(int))

# %% [markdown]
# One lit pixel in the middle leaves the kernel itself. `Conv2d` and `ConvTranspose2d` here are those of `mlx.nn` with a
# faster path on a CPU ([Where the time goes](16_speed.ipynb)); on a GPU they are the same.
#
# ## Checkerboards
#
# Copies that overlap are added. If some pixels are covered by more copies than others, a pattern is there before anything is
# learnt ([Odena et al., 2016](../book/bibliography.md#odena-et-al-2016)).
#
# **Predict**: an image of ones goes through a transposed convolution of ones, stride 2. Is the result constant inside for
# kernel 3? For kernel 4? For kernel 5?

# %% mystnb={"figure": {"caption": "How many copies of the kernel cover each pixel, at stride 2. Only a kernel size that is divisible by the stride covers the inside evenly.", "name": "fig-09-checkerboard"}, "image": {"alt": "Three grey squares for kernels 3, 4 and 5. Those for 3 and 5 show a regular checkerboard of light and dark pixels; the one for 4 is uniform inside."}}
_, axes = plt.subplots(1, 3, figsize=(7, 2.6))
for axis, kernel in zip(axes, (3, 4, 5), strict=True):
    up = nn.ConvTranspose2d(1, 1, kernel, stride=2, padding=1, bias=False)
    up.weight = mx.ones_like(up.weight)
    cover = np.array(up(mx.ones((1, 8, 8, 1))))[0, 2:-2, 2:-2, 0]
    axis.imshow(cover, cmap="gray", vmin=0, vmax=9)
    axis.set_axis_off()
    axis.set_title(f"kernel {kernel}: {cover.min():.0f} to {cover.max():.0f} copies")
plt.show()

# %% [markdown]
# With kernel 4 and stride 2 each pixel inside is covered by four copies. Kernels of 3 and 5 cover some pixels by one and some
# by four, or some by four and some by nine. Training can learn to undo that, and often does not. So all our convolutions
# have kernel 4, stride 2 and padding 1, which halves or doubles the size exactly.
#
# ## The generator
#
# Noise goes through a hidden layer of 512, is laid out as 64 images of 7x7, and doubled twice. Batch normalisation stands
# between all of these, [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) found it to be what makes deep generators train. The last layer has none: its
# output is to have the range and the statistics of images, and `tanh` bounds it.


# %%
class DCGANGenerator(nn.Module):
    def __init__(self, latent_dim=100, channels=32, hidden=512, image_channels=1):
        super().__init__()
        self.latent_dim, self.channels, self.hidden = latent_dim, channels, hidden
        self.image_channels = image_channels
        self.project = nn.Linear(latent_dim, hidden)
        self.norm1 = nn.BatchNorm(hidden)
        self.expand = nn.Linear(hidden, 7 * 7 * 2 * channels)
        self.norm2 = nn.BatchNorm(2 * channels)
        self.up1 = ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1)
        self.norm3 = nn.BatchNorm(channels)
        self.up2 = ConvTranspose2d(channels, image_channels, 4, stride=2, padding=1)
        initialize(self)

    def __call__(self, z):
        return self.draw(self.project(z))

    def draw(self, x):
        x = nn.relu(self.norm1(x))
        x = self.expand(x).reshape(-1, 7, 7, 2 * self.channels)
        x = self.up1(nn.relu(self.norm2(x)))
        return mx.tanh(self.up2(nn.relu(self.norm3(x))))


# %% [markdown]
# `draw` is a method of its own because [Choosing the digit](12_conditional.ipynb) will change what it gets. The last line of the constructor draws
# all weights anew, with a standard deviation of 0.02, as Radford and his co-authors did. MLX's layers begin with larger
# ones: the layer `project` with a deviation of $1/\sqrt{3 \cdot 100} \approx 0.06$. With normalisation behind a layer the
# scale of its weights does not change what it computes. It changes how fast it learns: a step of the same length turns a
# short vector further.


# %%
def initialize(model):
    draw = nn.init.normal(0, 0.02)
    model.apply(lambda weight: draw(weight) if weight.ndim >= 2 else weight)


mx.random.seed(0)
generator = models.DCGANGenerator()
generator.train()
x, shapes = mx.random.normal((64, generator.latent_dim)), []
for name in ("project", "norm1", "expand"):
    x = generator[name](x)
    shapes.append((name, x.shape))
x = x.reshape(-1, 7, 7, 64)
for name in ("norm2", "up1", "norm3", "up2"):
    x = generator[name](x)
    shapes.append((name, x.shape))
for name, shape in shapes:
    print(f"{name:8} {shape}")

# %% [markdown]
# ## The discriminator
#
# The same in reverse: two convolutions that halve the size and double the channels, a hidden layer, one logit. Instead of
# ReLU it uses the leaky one of Part I, which passes a gradient everywhere: the generator learns from it alone.


# %%
class DCGANDiscriminator(nn.Module):
    def __init__(self, channels=32, hidden=512, norm=True, image_channels=1):
        super().__init__()
        self.channels, self.hidden, self.norm = channels, hidden, norm
        self.image_channels = image_channels
        self.down1 = Conv2d(image_channels, channels, 4, stride=2, padding=1)
        self.down2 = Conv2d(channels, 2 * channels, 4, stride=2, padding=1)
        self.norm1 = nn.BatchNorm(2 * channels) if norm else nn.Identity()
        self.shrink = nn.Linear(7 * 7 * 2 * channels, hidden)
        self.norm2 = nn.BatchNorm(hidden) if norm else nn.Identity()
        self.out = nn.Linear(hidden, 1)
        initialize(self)

    def compress(self, images):
        x = nn.leaky_relu(self.down1(images), 0.2)
        x = nn.leaky_relu(self.norm1(self.down2(x)), 0.2)
        return self.shrink(x.reshape(len(x), -1))

    def features(self, x):
        return nn.leaky_relu(self.norm2(x), 0.2)

    def __call__(self, images):
        return self.out(self.features(self.compress(images))).squeeze(-1)


# %%
discriminator = models.DCGANDiscriminator()
for network in (
    models.MLPGenerator(),
    generator,
    models.MLPDiscriminator(),
    discriminator,
):
    arrays = tree_flatten(network.trainable_parameters())
    print(
        f"{type(network).__name__:20} {sum(a.size for _, a in arrays):>9,} parameters"
    )

# %% [markdown]
# Almost all of these parameters are in the two layers that join 7x7x64 numbers with 512. The convolutions, which do
# most of the work, have a few ten thousand.
#
# What belongs into a discriminator? Its first layer has no normalisation, since what goes in has the statistics of images, and
# should keep them. Behind the others, normalisation keeps the discriminator from winning at once: what it says about one
# image depends on the batch, so it cannot be quite sure. Without it a pair of half this width collapsed with every seed, at a rate of
# 1e-3 for both; [What makes training stable](11_stability.ipynb) has the figures, and other means to the same end.
#
# ## Never real and fake in one batch
#
# Batch normalisation subtracts the mean of the batch and divides by its deviation. If half of a batch is real and half is
# generated, the two halves share one mean. An image is then judged by which side of it it lies on, and the statistics say
# what the other half looks like.
#
# **Predict**: an untrained discriminator sees 64 real images, once alone and once with 64 grey images beside them. By how much
# do its logits change?

# %% tags=["nbval-check-output"]
discriminator.train()
grey = mx.zeros_like(real)
alone = discriminator(real)
together = discriminator(mx.concatenate([real, grey]))[: len(real)]
change = mx.abs(alone - together).mean() / mx.std(alone)
print("changed by more than half of their spread:", change.item() > 0.5)

# %% [markdown]
# The training step of [The training loop](06_training.ipynb) calls the discriminator twice, once with real images and once with fakes. That is why
# `losses.discriminator_loss` takes two arrays of logits and not one with labels. [When it goes wrong](10_failures.ipynb) does it the wrong way.
#
# ```{admonition} Coming from PyTorch
# :class: tip
# `nn.BatchNorm(n)` takes the number of channels, which come last, and works on images and on vectors. Its running statistics
# are parameters that are frozen: `trainable_parameters()` leaves them out, and `unfreeze()` on the whole model would hand
# them to the optimizer. They change whenever a layer in training mode is called, also in the other player's step. A
# compiled step has to list them, and `generator.state` does.
# ```
#
# ## Variety in a batch
#
# A discriminator that looks at one image at a time has nothing against the same good seven, again and again. One that normalizes over the
# batch has even less. **Predict**: the untrained discriminator sees 64 copies of one image that differ by a little noise. What is
# left of the difference to a real batch after the normalisation?

# %% tags=["nbval-check-output"]
alike = real[:1] + 0.05 * mx.random.normal(real.shape, key=mx.random.key(0))
hidden = [discriminator.compress(images) for images in (alike, real)]
before = [mx.std(x, axis=0).mean() for x in hidden]
after = [mx.std(discriminator.norm2(x), axis=0).mean() for x in hidden]
print("vary less than half as much before:", (before[0] / before[1]).item() < 0.5)
print("vary as much after:", abs((after[0] / after[1]).item() - 1) < 0.01)

# %% [markdown]
# Batch normalisation divides each feature by the very deviation that would give the copies away. So the discriminator has to be
# shown. [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016) let it compare the images of a batch, and [Karras et al. (2018)](../book/bibliography.md#karras-et-al-2018) reduce the comparison to a standard deviation. Here
# it is that of the hidden layer, taken before its normalisation. To every logit of the batch goes a learnt multiple of its
# logarithm:


# %%
class VarietyDiscriminator(DCGANDiscriminator):
    def __init__(self, channels=32, hidden=512):
        super().__init__(channels, hidden)
        self.variety = mx.zeros(1)

    def __call__(self, images):
        x = self.compress(images)
        spread = mx.log(mx.sqrt(mx.var(x, axis=0) + 1e-6)).mean()
        return self.out(self.features(x)).squeeze(-1) + 3 * self.variety * spread


# %% [markdown]
# Where fakes vary less than real images, the discriminator learns that more spread is a sign of reality, and the generator gets the
# slope. `variety` is a single weight, which Adam moves by no more than the learning rate in a step; the 3 lets it keep up. The small
# number under the root keeps its slope finite where a feature does not vary at all. What the term is worth is the question of an exercise.
#
# ## Training mode and evaluation mode
#
# In training mode a sample depends on the others in its batch. In evaluation mode the running statistics take the place of the
# batch's. **Predict**: the same noise in two batches, in each of the two modes. Where does it give the same image?

# %% tags=["nbval-check-output"]
z = mx.random.normal((64, 100), key=mx.random.key(0))
for mode in ("train", "eval"):
    generator.train(mode == "train")
    first, second = generator(z)[0], generator(z[:8])[0]
    same = mx.allclose(first, second, rtol=1e-3, atol=1e-6)
    print(f"{mode:5}: same noise, another batch, same image: {same.item()}")

# %% [markdown]
# `training.sample` switches to evaluation mode. What forgetting it does to a trained generator we see further down.
#
# ## Two learning rates
#
# Part I used 2e-4 for both players, for fifty epochs. With weights this small, and normalisation in both networks, the
# generator takes 2e-3, and learns in minutes. The discriminator gets 3e-4: a discriminator that runs ahead is sure of itself, and
# the slope that it gives is small and points at yesterday's faults. How much that is worth is asked in [What makes training stable](11_stability.ipynb), over
# several seeds.
#
# A large rate has a price. The generator never comes to rest: each step overshoots what the last one has done. The moving average
# of [The training loop](06_training.ipynb) takes care of that, and the run below measures both the average and the last state.
#
# ## The run
#
# After every epoch the callback measures 10,000 samples of the average, and of the last state, which goes on training. Measuring is
# not part of the time of an epoch.

# %%
recipe = recipes.RECIPES["dcgan"]
epochs = 1 if mlxgan.SMOKE else recipe.epochs
steps = epochs * (len(digits) // 64)
reference = metrics.reference()
n = len(reference.real)
test_z = mx.random.normal((n, 100), key=mx.random.key(1))
mx.random.seed(0)
generator, discriminator = models.DCGANGenerator(), models.VarietyDiscriminator()
average = models.DCGANGenerator()
frames, scores, last_scores = [], [], []


def measure(epoch, history):
    frames.append(training.sample(average, test_z[:16]))
    scores.append(metrics.evaluate(training.sample(average, test_z), reference))
    last = training.sample(generator, test_z)
    last_scores.append(metrics.evaluate(last, reference))
    generator.train()


# %%
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
seconds = np.cumsum(history.seconds)
print(f"{seconds[-1]:.0f} seconds, {1000 * seconds[-1] / steps:.0f} ms a step")

# %% [markdown]
# `measure` calls `generator.train()` at its end, since sampling has switched the generator to evaluation mode. The compiled step
# does not notice either: it was traced in training mode, and stays so. An eager loop would go on with the running statistics, and
# nothing would say so.

# %% mystnb={"figure": {"caption": "Sixteen samples of the average from the same noise, after each epoch.", "name": "fig-09-epochs"}, "image": {"alt": "Grids of four by four generated digits, one for each epoch. Already the first shows legible digits; in the later ones strokes get cleaner, and here and there one digit has turned into another."}}
columns = min(5, len(frames))
rows = -(-len(frames) // columns)
_, axes = plt.subplots(
    rows, columns, figsize=(1.7 * columns, 1.95 * rows), squeeze=False
)
for index, axis in enumerate(axes.flat):
    axis.set_axis_off()
    if index < len(frames):
        picture = plots.tile(frames[index], 4)
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axis.set_title(f"epoch {index + 1}", fontsize=9)
plt.show()

# %% [markdown]
# ## Quality over time

# %% mystnb={"figure": {"caption": "FID against seconds of training, for the average and for the last state. The average is ahead all the way, by a factor of 2.6 to 4.3.", "name": "fig-09-time"}, "image": {"alt": "Two falling curves over seconds of training on a logarithmic FID axis. The average lies well below the last state all the way, and comes near a dotted line, the floor of real images."}}
_, axes = plt.subplots()
for measured, color, name in (
    (scores, plots.FAKE, "average"),
    (last_scores, plots.GREY, "last state"),
):
    axes.semilogy(seconds, [s.fid for s in measured], "o-", color=color, label=name)
axes.axhline(reference.floor.fid, color=plots.REAL, linestyle=":", label="real images")
axes.set(xlabel="seconds of training", ylabel="FID", xlim=(0, None))
axes.legend()
plt.show()

# %%
for epoch in range(len(scores)):
    print(
        f"epoch {epoch + 1}, {seconds[epoch]:4.0f} s: FID {scores[epoch].fid:6.2f}, last state {last_scores[epoch].fid:6.2f}"
    )

# %% [markdown]
# The noise in the last state is the game itself: with a high rate each player overshoots what the other has just done. Averaging
# removes that noise without slowing the game. From the fifth epoch on, each gains less than a tenth, and the twelfth gains
# nothing. The losses show how the game drifts meanwhile: epoch by epoch the discriminator gets surer.

# %%
mlp = checkpoints.load_pretrained("mlp")
rows = {
    "real": reference.floor,
    "DCGAN": scores[-1],
    "MLP": metrics.evaluate(training.sample(mlp, test_z), reference),
}
print(metrics.table(rows))

# %% mystnb={"figure": {"caption": "Which are real? The rows alternate: test images in rows 1 and 3, samples of the DCGAN in rows 2 and 4.", "name": "fig-09-which"}, "image": {"alt": "Four rows of sixteen digits in dark ink. The generated rows look like the real ones at a glance; a few generated strokes end raggedly or leave the digit open to doubt."}}
test = data.load("test")
samples = training.sample(average, test_z[:32])
shown = [
    data.normalize(test.images[:16]),
    samples[:16],
    data.normalize(test.images[16:32]),
    samples[16:],
]
plots.digits(mx.concatenate(shown), columns=16, scale=0.5)

# %% [markdown]
# ## Forgetting `eval()`
#
# **Predict**: what happens to the FID if the samples are drawn in training mode, in batches of 500, of 64 and of 8?


# %%
def in_training_mode(network, z, batch_size):
    network.train()
    starts = range(0, max(len(z) - batch_size, 0) + 1, batch_size)  # whole batches
    parts = [network(z[start : start + batch_size]) for start in starts]
    mx.eval(parts)
    network.eval()
    return mx.concatenate(parts)


copy = models.DCGANGenerator()
for batch_size in (500, 64, 8):
    copy.update(average.parameters())
    images = in_training_mode(copy, test_z, batch_size)
    score = metrics.evaluate(images, reference)
    print(
        f"batches of {batch_size:3d}: FID {score.fid:6.2f}, precision {score.precision:.3f}"
    )
print(
    f"evaluation mode: FID {scores[-1].fid:6.2f}, precision {scores[-1].precision:.3f}"
)

# %% [markdown]
# In large batches the batch's statistics are near the running ones, and nothing is lost. In batches of eight the digits depend on
# their neighbours, and become worse. And each call in training mode moves the running statistics: sampling so changes the model,
# which is why the cell works on a copy.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: samples during training are fine, those of the loaded model are grey blurs. *Cause*: the running statistics were not
# saved, or the average did not average them. *Cure*: save `parameters()`, not `trainable_parameters()`.
#
# *Symptom*: "Attempting to eval an array without a primitive". *Cause*: running statistics change in a compiled step that does not
# list them. *Cure*: the whole `state` of both networks in `inputs` and `outputs`.
#
# *Symptom*: a regular pattern of dots in flat areas. *Cause*: a kernel size that the stride does not divide. *Cure*: kernel 4
# with stride 2.
# ```
#
# We keep the average. It ships with the book as `mlxgan.load_pretrained("dcgan")`.

# %%
notes = {"data": digits.name, "epochs": str(epochs), "seed": "0"}
checkpoints.save("../runs/dcgan/generator.safetensors", average, notes=notes)

# %% [markdown]
# ```
# python -m mlxgan train --model dcgan --epochs 12 --out runs/dcgan
# ```
#
# ```{admonition} On other machines
# :class: note
# On a Mac's GPU a step takes a fraction of the time that is printed above, and the curve against *epochs* stays the same. Another
# machine rounds differently, and training amplifies that: expect the same quality, not the same digits.
# ```
#
# ## Summary
#
# - Convolutions share weights between places. A transposed convolution grows an image; its kernel size has to be divisible by its
#   stride.
# - Batch normalisation: everywhere in the generator but at its end, everywhere in the discriminator but at its beginning, and
#   real and generated images in batches of their own.
# - Samples are drawn in evaluation mode.
# - Normalisation hides from the discriminator how much a batch varies. A term for the spread shows it.
# - The generator learns at a high rate, the discriminator at a low one, and the average of the weights removes the noise that a
#   high rate leaves.
#
# ## Exercises
#
# ```{exercise} Count them
# :label: ex-09-count
# How many weights and biases do the convolutions of both networks have in all? Count on paper, then check.
# ```

# %% [markdown]
# ```{solution-start} ex-09-count
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
paper = (16 * 64 * 32 + 32) + (16 * 32 + 1) + (16 * 32 + 32) + (16 * 32 * 64 + 64)
layers = [generator.up1, generator.up2, discriminator.down1, discriminator.down2]
counted = sum(a.size for layer in layers for _, a in tree_flatten(layer.parameters()))
print(f"{counted:,} of each kind of count: {counted == paper}")

# %% [markdown]
# A kernel has 16 weights for each pair of an input and an output channel, and each output channel one bias.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} What the last bias would do
# :label: ex-09-bias
# A layer that is followed by batch normalisation has a bias that does nothing. Show it: add 5 to the bias of `project` and compare the
# samples in training mode.
# ```

# %% [markdown]
# ```{solution-start} ex-09-bias
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
network = models.DCGANGenerator()
network.update(average.parameters())
network.train()
before = network(z)
network.project.bias = network.project.bias + 5
print("the same samples:", mx.allclose(before, network(z), atol=1e-3).item())

# %% [markdown]
# The mean of the batch contains the bias, and is subtracted. In evaluation mode the change shows until the running mean has
# followed.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Without the spread
# :label: ex-09-blind
# Train for two epochs with the plain `DCGANDiscriminator`, all else being equal. Compare with the run above after as many.
# ```

# %% [markdown]
# ```{solution-start} ex-09-blind
# :class: dropdown
# ```

# %%
few = min(2, epochs)
mx.random.seed(0)
blind = models.DCGANGenerator(), models.DCGANDiscriminator()
blind_average = models.DCGANGenerator()
training.train(
    *blind,
    digits,
    epochs=few,
    seed=0,
    **recipe.settings(),
    average=blind_average,
)
blind_score = metrics.evaluate(training.sample(blind_average, test_z), reference)
print(metrics.table({"with": scores[few - 1], "without": blind_score}))

# %% [markdown]
# In this pair of runs the term takes a seventh off the FID, and raises precision. Recall, which is what one would expect of it, is no higher
# after two epochs. One pair is a hint and not a proof: [What makes training stable](11_stability.ipynb) shows how far seeds alone drive two runs apart.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Without the average
# :label: ex-09-last
# How many epochs does the last state need to be as good as the average after two?
# ```

# %% [markdown]
# ```{solution-start} ex-09-last
# :class: dropdown
# ```

# %%
target = scores[min(1, len(scores) - 1)].fid
reached = [epoch + 1 for epoch, s in enumerate(last_scores) if s.fid <= target]
print(f"average after two epochs: FID {target:.2f}")
print(
    f"the last state is there after epoch {reached[0]}"
    if reached
    else "the last state never is"
)

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Further reading
#
# [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) is the paper of the DCGAN. [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016) have more to say on comparing the images of a batch. [Odena et al. (2016)](../book/bibliography.md#odena-et-al-2016) explain checkerboards with pictures that move. The hidden fully
# connected layer on each side, common in networks for MNIST, is from [Chen et al. (2016)](../book/bibliography.md#chen-et-al-2016). [Ioffe and Szegedy (2015)](../book/bibliography.md#ioffe-and-szegedy-2015) introduced batch
# normalisation, [Yazıcı et al. (2019)](../book/bibliography.md#yazıcı-et-al-2019) study the average, and [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019) what happens to running statistics under it.
