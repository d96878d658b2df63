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
# # The data
#
# The generator of [A GAN in one page](01_first_gan.ipynb) learned to draw digits although it never saw one.
# All that it knows about handwriting reached it through the discriminator, so what it can learn depends on what is in the real digits, and on the form and order in which the discriminator sees them.
# After this chapter you can load the digits, turn their bytes into numbers that suit both networks and back again, say what is typical of them, and serve them in an order that you can repeat.
#
# *Before: [MLX in a quarter of an hour](02_mlx.ipynb) · To read: a quarter of an hour · To run: ten seconds on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
from mlxgan import data, plots

import time

import matplotlib.pyplot as plt
import mlx.core as mx
import numpy as np

# %% [markdown]
# Before we measure anything, let us look at what we have.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The first ten training images of each class. Writers differ in slant, in width and in form, and a generator has to learn all of it.", "name": "fig-03-digits"}, "image": {"alt": "A grid of handwritten digits, dark on white, ten rows and ten columns. The first column holds zeros, the second ones, and so on to nines."}}
train = data.load("train")
images, labels = np.array(train.images), np.array(train.labels)
first = [np.flatnonzero(labels == digit)[:10] for digit in range(10)]
index = mx.array(np.stack(first, axis=1).ravel())
plots.digits(train.images[index], columns=10, titles=list(range(10)))

# %% [markdown]
# Look along a column.
# One of the sevens has a bar, some twos have a loop and others do not, and the ones stand upright or lean far over.
# No two of these images are alike, and yet you can read nearly all of them at a glance.
#
# ## Seventy thousand digits
#
# Around 1990, the American standards institute NIST collected handwriting from two groups of people, employees of the Census Bureau and high-school students.
# Yann LeCun and his colleagues mixed the two, scaled each digit to fit into 20×20 pixels, and moved it so that its center of mass lies in the middle of a 28×28 image.
# The result is MNIST: 60,000 images to train on and 10,000 to test with, and nobody's handwriting is in both sets ([LeCun et al., 1998](../book/bibliography.md#lecun-et-al-1998)).
#
# It is a good first subject for three reasons.
# It is small, so that an experiment takes minutes instead of days.
# Everyone is an expert: you see at once whether a five is a good five, which you could hardly say of a leaf or a galaxy.
# And every image has a label, so that we can later count which digits a generator has forgotten.
# It is also an easy subject, gray, centered and with nothing behind the digit, which is why the last part of the book moves on to clothes and to your own pictures.
#
# These images came from `data.load`, which brings one of the two sets into memory.

# %%
print("images:", train.images.shape, train.images.dtype)
print("labels:", train.labels.shape, train.labels[:10].tolist())
print(f"as bytes   {train.images.nbytes / 1e6:4.0f} MB")
print(f"as float32 {4 * train.images.nbytes / 1e6:4.0f} MB")

# %% [markdown]
# The four axes of `train.images` are number, height, width and channel, in short NHWC.
# All layers for images in MLX expect this order, whereas PyTorch puts the channel second; a gray image has one channel.
# Each pixel is a byte, 0 for the background and 255 for full ink.
# We keep the bytes in memory, because they take a quarter of the space, and convert only the batch that we need.
#
# :::{note}
# Where MNIST is not on your machine and cannot be downloaded, `data.load` stops with one line that says what to do, and `data.load("train", "small")` gives you the 1,797 coarser digits that come with scikit-learn instead.
# They let every cell run, but the numbers and pictures in the text are not theirs; [MNIST's files](../book/mnist.md) tells you how to provide the real ones.
# :::
#
# ## From bytes to numbers and back
#
# Bytes are not what a network should compute with, if only because arithmetic in bytes is treacherous: 200 + 100 is 44, since a byte that passes 255 starts again at 0.
# So we convert to float32, but to which range?
# The generator answers that question.
# It ends in a tanh, whose outputs lie between −1 and 1, as we saw in [MLX in a quarter of an hour](02_mlx.ipynb), and real images must have the same range.
# Otherwise the discriminator could tell real from fake by the range alone, without looking at a single stroke.
#
# So we map 0 to −1 and 255 to 1, and for pictures and files we map back.
# The call of `mx.array` is there so that a NumPy array will do as well.


# %%
def normalize(images):
    return mx.array(images).astype(mx.float32) / 127.5 - 1


def to_uint8(images):
    levels = (mx.array(images) + 1) * 127.5
    return mx.clip(mx.round(levels), 0, 255).astype(mx.uint8)


# %% [markdown]
# The package has both functions, as `data.normalize` and `data.to_uint8`.
#
# **The way back rounds and clips. Is either of them necessary?**

# %% tags=["nbval-check-output"]
every_byte = mx.arange(256).astype(mx.uint8)
numbers = normalize(every_byte)
print(f"from {numbers.min().item():.2f} to {numbers.max().item():.2f}")

there_and_back = to_uint8(numbers).astype(mx.int32)
wrong = (there_and_back != every_byte).sum().item()
print("bytes that do not come back:", wrong)
print("outside the range:", to_uint8(mx.array([-1.5, 1.5])).tolist())

# %%
cut_off = ((numbers + 1) * 127.5).astype(mx.uint8)
wrong = (cut_off != every_byte).sum().item()
print("bytes that do not come back without rounding:", wrong)

# %% [markdown]
# :::{dropdown} Answer
# Both are.
# Without rounding, a quarter of the bytes come back one too small, because the division by 127.5 is not exact and the conversion to bytes cuts off everything behind the decimal point.
# And without clipping, a number a little above 1 would wrap around as 200 + 100 did, and turn from ink into background.
# :::
#
# :::{admonition} Coming from PyTorch
# `ToTensor` followed by `Normalize((0.5,), (0.5,))` computes the same numbers, image by image on the CPU and with the channel first.
# Here we convert a whole batch at once, on the device.
# :::
#
# ## What is typical of a digit?
#
# A discriminator looks for anything that distinguishes real images from fakes, so let us ask ourselves what there is to find.
# The simplest statistic is how often each digit occurs.
# A generator that is not told what to draw should draw each digit as often as the data contain it.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The ten digits are almost, but not quite, equally frequent in the training set.", "name": "fig-03-classes"}, "image": {"alt": "A bar for each digit from 0 to 9. The bars are close to a dotted line that marks a tenth of the images."}}
counts = np.bincount(labels, minlength=10)
figure, axes = plt.subplots()
axes.bar(range(10), counts, color=plots.REAL)
tenth = len(train) / 10
axes.axhline(tenth, color="black", linestyle=":", label="a tenth of all")
axes.set(xlabel="digit", ylabel="images", xticks=range(10))
axes.set_ylim(0, 1.35 * counts.max())
axes.legend()
print(f"rarest: {counts.argmin()}, with {counts.min():,} images")
print(f"commonest: {counts.argmax()}, with {counts.max():,} images")

# %% [markdown]
# The differences are small, about a tenth up or down.
# We will need them again in [Measuring](08_measuring.ipynb), when we count how often a generator draws each digit.
#
# Now to the pixels.
#
# **What fraction of all pixels is background, exactly 0, and what fraction is ink at nearly full strength, 250 or more?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "How often each gray level occurs, on a logarithmic axis. Most pixels are background and a few percent are nearly full ink, while each gray level in between is rare.", "name": "fig-03-pixels"}, "image": {"alt": "A histogram of the levels from 0 to 255. The bar at 0 towers above all others, a second and lower rise is at the right end, and the levels between are about equally rare."}}
levels = np.bincount(images.ravel(), minlength=256) / images.size
figure, axes = plt.subplots()
axes.bar(range(256), levels, width=1, color=plots.REAL, log=True)
axes.set(xlabel="gray level", ylabel="fraction of all pixels")
never = (images.max(axis=0) == 0).sum()
print(f"background: {levels[0]:.0%}")
print(f"nearly full ink: {levels[250:].sum():.0%}")
print(f"gray: {levels[1:250].sum():.0%}")
print(f"pixels that no image ever inks: {never} of 784")

# %% [markdown]
# :::{dropdown} Answer
# Four pixels of five are background and fewer than one in ten is ink at nearly full strength.
# The rest is gray, at the edges of strokes, where the scaling to 20×20 has mixed ink and paper.
# (The lone spikes at a quarter, a half and three quarters of full ink presumably come from the same scaling.)
# :::
#
# This has two consequences for a GAN.
# After normalization most pixels are exactly −1, and in order to get there, the generator has to push its tanh to the flat end, where the slope nearly vanishes.
# And a picture with nothing in it is right in four pixels of five, so counting correct pixels would tell us little about digits.
#
# ## A mean that is wrong
#
# One more statistic, the mean of all pixels, seems too simple to deserve a section.
#
# **The next cell computes it in three ways. Do they agree?**

# %%
pixels = data.normalize(train.images)
mean_by_image = pixels.mean(axis=(1, 2, 3)).mean().item()
print(f"NumPy, in float64:      {images.mean() / 127.5 - 1:.4f}")
print(f"MLX, image by image:    {mean_by_image:.4f}")
print(f"MLX, all at once:       {pixels.mean().item():.4f}")
print(f"-2^24 / {pixels.size:,}:     {-(2**24) / pixels.size:.4f}")

# %% [markdown]
# :::{dropdown} Answer
# The first two agree, and the third is only about half as large.
# The number in the last line is suspiciously close to it.
# :::
#
# What happened?
# A float32 keeps 24 binary digits, so beyond $2^{24}$, about 16.8 million, it can no longer tell every whole number from the next.
# Here we add up 47 million numbers, most of them −1.
# Once the sum has reached $-2^{24}$, another −1 is too small to change it, and the sum stands still for the rest of the data.
# Image by image, the sums stay small, so that the second line is right.
#
# The batches in this book are far too small for this trap, but a statistic of a whole data set is large enough.
# Take such a mean in parts, or in NumPy's float64.
# (A GPU may add in parts of its own, so that all three agree; on scikit-learn's small digits they agree as well.)
#
# ## What a pixel-wise loss would draw
#
# [A GAN in one page](01_first_gan.ipynb) showed that the picture nearest to all digits, in squared error, is their mean, and that this mean is fog.
# You may have had two objections.
# First, nobody should be asked for one picture of all digits: if we tell the network *which* digit to draw, the fog might clear.
# Second, the squared error is only one of many distances, and the absolute error has a reputation for sharper images.
#
# Both objections are easy to test, because we can write down the best possible answer without training anything.
# The picture with the smallest squared error to a set of images is their mean; the one with the smallest absolute error is their median, taken pixel by pixel.
# Here are both, for each digit and for all digits together.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The best that a pixel-wise loss can do. Above: means, the answer to the squared error. Below: medians, the answer to the absolute error. For each digit, and on the right for all digits together.", "name": "fig-03-means"}, "image": {"alt": "Two rows of eleven images. The upper ones are blurred, the first ten readable as the digits 0 to 9 and the last a gray cloud. The lower ones are sharper, but the ends of their strokes are missing, the five is pale, and the last looks like a torn three."}}
groups = [images[labels == digit] for digit in range(10)] + [images]
means = np.stack([group.mean(axis=0) for group in groups])
medians = np.stack([np.median(group, axis=0) for group in groups])
rows = data.normalize(mx.array(np.concatenate([means, medians])))
plots.digits(rows, columns=11, titles=[*range(10), "all"])

# %% [markdown]
# Both objections have a point: the means of single digits can be read, and the medians are even sharp.
# But now look closely at the medians.
# The four has lost its leg and most of its arms, the six its top and the two the end of its base.
# Writers put ink in different places there, so that at each pixel fewer than half of them agree, and the median leaves it blank.
# What is more, there is only one of each.
# A network trained with such a loss would learn to ignore its noise and draw this same three whenever we ask for a three, like a key of a typewriter.
#
# How much of the handwriting do we lose in this way?
# We can measure it.
#
# **Predict every image by the mean of all images, and then by the mean of its own digit. By what fraction does the squared error shrink?**

# %%
mean_images = data.normalize(mx.array(means))
error_all = mx.square(pixels - mean_images[10]).mean(axis=(1, 2, 3))
own_mean = mean_images[train.labels]
error_own = mx.square(pixels - own_mean).mean(axis=(1, 2, 3))
before, after = error_all.mean().item(), error_own.mean().item()
print(f"mean of all images:     {before:.3f}")
print(f"mean of its own digit:  {after:.3f}")
print(f"explained by the digit: {1 - after / before:.0%}")

# %% [markdown]
# :::{dropdown} Answer
# By only a fifth.
# The other four fifths are handwriting: the slant, the thickness of the pen, the size, the form of a loop.
# :::
#
# No label in the data describes the handwriting, so we cannot name it to the network as we name the digit.
# The generator has to *choose* a slant, a thickness and a form that go together, and to choose differently the next time, which is what its noise is for.
# So we need a loss that accepts any good choice instead of averaging over all of them, and [Losses and optimizers](05_losses.ipynb) is about that loss.
#
# ## Batches
#
# A training step works on a *batch*, a small part of the images, and an *epoch* is one pass through all of them.
# In which order?
# Suppose that the zeros came first and the nines last: at the end of each epoch the networks would see nothing but nines, with ample time to forget the zeros.
# Therefore we shuffle the images before each epoch.
# But we also want to repeat a run, so that we can compare it with another one in which a single thing was changed.
# So we compute the order from two numbers, a seed and the number of the epoch.

# %%
seed, epoch, batch_size = 0, 0, 64
rng = np.random.default_rng([seed, epoch])
order = mx.array(rng.permutation(len(train)))
index = order[:batch_size]
batch = data.normalize(train.images[index])
print(batch.shape, batch.dtype)
print("first labels:", train.labels[index][:10].tolist())

# %% [markdown]
# `data.batches` does the same with one slice of the order after the other, until the epoch is over.
# To see the order itself, we hand it ten blank images with the labels 0 to 9, in batches of four.

# %% tags=["nbval-check-output"]
blank = mx.zeros((10, 28, 28, 1), mx.uint8)
ten = data.Digits(blank, mx.arange(10), "ten blank images")


def show_order(**settings):
    batches = data.batches(ten, batch_size=4, **settings)
    print([batch_labels.tolist() for _, batch_labels in batches])


show_order(seed=0, epoch=0)
show_order(seed=0, epoch=1)
show_order(seed=0, epoch=0)
show_order(seed=0, epoch=0, drop_last=False)

# %% [markdown]
# Epoch 1 has an order of its own, and asking for epoch 0 again repeats it.
# The order of any epoch is known without replaying the ones before, which helps us to continue a run that was interrupted.
#
# Many scripts do something that looks almost the same: they call `mx.random.seed` at the top and shuffle with `np.random.permutation`.
#
# **Do the two orders below agree?**

# %%
for _ in range(2):
    mx.random.seed(0)
    print(np.random.permutation(60_000)[:8])

# %% [markdown]
# :::{dropdown} Answer
# They do not, and they will differ again when you run the cell.
# NumPy and MLX keep separate random states, and a seed for one does not reach the other.
# Such a script gives a new result in every run, although a seed stands at its top.
# :::
#
# ### The short last batch
#
# Ten images make two batches of four, and two images are left over.
# The last line of `show_order` served them as a short batch; by default they are left out, and since each epoch has an order of its own, different images are left out each time.
# One reason for this default comes from MLX.
#
# **For which batch sizes is the compiled function below traced, if we keep the short batch?**

# %% tags=["nbval-check-output"]
traces = []


@mx.compile
def brightness(batch):
    traces.append(len(batch))
    return batch.mean()


for batch, _ in data.batches(ten, 4, seed=0, drop_last=False):
    mx.eval(brightness(batch))
print(traces)

# %% [markdown]
# :::{dropdown} Answer
# For both, 4 and 2, because each new shape needs a trace of its own.
# If we leave the short batch out, one trace is enough.
# The other reason is fairness: in a mean over batches, the images of a short batch would count more than the rest.
# :::
#
# Finally, how long does it take to serve the whole training set?

# %%
start = time.perf_counter()
steps = 0
for batch, batch_labels in data.batches(train, 64, seed=0):
    mx.eval(batch, batch_labels)
    steps += 1
seconds = time.perf_counter() - start
print(f"{steps:,} batches of 64 in {seconds:.2f} s")

# %% [markdown]
# An epoch's worth of batches takes a fraction of a second, because the images are in memory and a batch is only an index, a division and a subtraction.
# An epoch of training takes many times as long, as we will see in [The training loop](06_training.ipynb), so there is nothing to gain from loading in parallel.
#
# :::{admonition} Coming from PyTorch
# There is no `DataLoader` here, and nothing is missing: no worker processes, no `collate_fn`, no `pin_memory`, no `.to(device)`.
# `DataLoader(shuffle=True, generator=g)` moves `g` on in each epoch, whereas here the number of the epoch takes its place.
# `drop_last` is False there by default, and True here.
# :::
#
# ## Summary
#
# MNIST's images are bytes of shape (N, 28, 28, 1), and the networks see them as float32 between −1 and 1, the range of the generator's tanh; the way back rounds and clips.
# Four pixels of five are background, and only a fifth of the squared distance between the digits has to do with which digit they are.
# The rest is handwriting, which no label describes, and a pixel-wise loss answers it with one picture per digit.
# The order of the batches depends on a seed and the epoch and on nothing else, and `mx.random.seed` has no say in it.
#
# We know now what the discriminator will see, and in [Generator and discriminator](04_models.ipynb) we build the two networks that meet these images.
#
# ## Exercises
#
# ### Exercise 1: The price of being real (derive)
#
# Let $m$ be the mean of a set of images and $c$ any picture.
# Show that the mean squared distance from $c$ to the set is the one from $m$ plus $\lVert c - m \rVert^2$.
# How much larger is it than the one from $m$, on average, if $c$ is drawn at random from the set?
#
# :::{dropdown} Solution
# Write $x - c = (x - m) + (m - c)$ and square: $\lVert x - c \rVert^2 = \lVert x - m \rVert^2 + 2\,(x - m) \cdot (m - c) + \lVert m - c \rVert^2$.
# Averaged over all $x$, the middle term vanishes, because the mean of $x - m$ is zero.
# So $m$ is the best picture, and every other one pays for its distance from $m$.
# If $c$ is itself drawn from the set, the mean of $\lVert c - m \rVert^2$ is once more the mean squared distance from $m$, so that on average a genuine digit pays exactly twice as much as fog.
# The cell checks it by comparing every image with another one.
# :::

# %% tags=["hide-cell"]
rng = np.random.default_rng(0)
other = mx.array(rng.permutation(len(train)))
error_other = mx.square(pixels - pixels[other]).mean(axis=(1, 2, 3))
print(f"to the mean of all images: {before:.3f}")
print(f"to another image:          {error_other.mean().item():.3f}")

# %% [markdown]
# ### Exercise 2: The most ordinary and the strangest (code)
#
# For each digit, find the image that is nearest to the mean of its digit, and the one that is farthest from it.
#
# :::{dropdown} Solution
# `error_own` already holds the squared distance of each image from the mean of its own digit.
# The nearest ones are what you would expect, plain and of middling width.
# The farthest ones are bold, because much ink in unusual places makes for a large squared error, and about some of them you may want to argue with the person who labeled them.
# :::

# %% tags=["hide-cell"] mystnb={"figure": {"caption": "For each digit, its mean (top), the training image nearest to the mean (middle) and the one farthest from it (bottom).", "name": "fig-03-strange"}, "image": {"alt": "Three rows of ten digits. The means in the top row are blurred, the images in the middle row are ordinary digits, and those in the bottom row are bold, slanted or hard to read."}}
distances = np.array(error_own)
members = [np.flatnonzero(labels == digit) for digit in range(10)]
nearest = [group[distances[group].argmin()] for group in members]
farthest = [group[distances[group].argmax()] for group in members]
chosen = pixels[mx.array(np.stack([nearest, farthest]).ravel())]
rows = mx.concatenate([mean_images[:10], chosen])
plots.digits(rows, columns=10, titles=list(range(10)))

# %% [markdown]
# ### Exercise 3: A classifier without training (code)
#
# Assign each test image to the digit whose mean is nearest.
# What fraction is right, and what fraction would guessing get?
#
# :::{dropdown} Solution
# Expand $\lVert x - m \rVert^2 = \lVert x \rVert^2 - 2\, x \cdot m + \lVert m \rVert^2$: the first term is the same for all ten means, and the second is one matrix product.
# Guessing would get a tenth.
# The result is also a check of the data, since it would be a tenth as well if images and labels had been shuffled apart.
# :::

# %% tags=["hide-cell"]
test = data.load("test")
flat = data.normalize(test.images).reshape(-1, 784)
ten_means = mean_images[:10].reshape(10, 784)
scores = mx.square(ten_means).sum(axis=1) - 2 * flat @ ten_means.T
right = (scores.argmin(axis=1) == test.labels).mean().item()
print(f"right: {right:.1%}")

# %% [markdown]
# ### Exercise 4: Another range (change and explain)
#
# A tanh can also reach every number between 0 and 1, so why not divide by 255 and leave it at that?
# Compare the two places for the background, −1 and 0.
# Suppose the generator feeds its tanh a number close to −3 in one case and to 0 in the other, with an error of standard deviation 0.3.
# By how much does the background flicker in the image?
#
# :::{dropdown} Solution
# At −3 the tanh is flat and swallows the error; at 0 it is at its steepest and passes nearly all of it on.
# With the background at 0, the generator would have to hit 0 precisely in four pixels of five, and every small error would show as a gray speck.
# With the background at −1 it only has to go far enough in the right direction.
# (And a generator that can be negative where real images never are gives itself away.)
# :::

# %% tags=["hide-cell", "nbval-check-output"]
error = 0.3 * mx.random.normal((100_000,), key=mx.random.key(0))
for center in (-3.0, 0.0):
    background = mx.tanh(center + error)
    spread = mx.std(background).item()
    print(f"around {center:4.1f}: standard deviation {spread:.3f}")

# %% [markdown]
# ## Further reading
#
# [LeCun et al. (1998)](../book/bibliography.md#lecun-et-al-1998) introduced MNIST and convolutional networks in the same long paper; its section on the data says how the digits were chosen, and its tables show what one could achieve at that time.
# [Yadav and Bottou (2019)](https://arxiv.org/abs/1905.10498) reconstructed MNIST from NIST's originals, writer by writer, in a paper that reads like a detective story.
# Where the four files come from, how they are built and how to recognize a damaged one is the subject of [MNIST's files](../book/mnist.md).
