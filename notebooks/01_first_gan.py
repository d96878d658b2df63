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
# # A GAN in one page
#
# ![Noise z enters the generator, which makes fakes. The discriminator gets fakes and real digits and says real or fake; a dashed gradient leads from it back to the generator.](../book/diagrams/game.svg)
#
# *The discriminator wants to tell real from fake. The generator wants its fakes to pass for real, and it learns from the gradient that comes back through the discriminator.*
#
# How would you teach a computer to draw handwritten digits?
# You could hardly spell out the rules, but examples are easy to find, and a generative adversarial network, or GAN, needs nothing else: it learns from them by letting two networks play a game against each other.
# On this page we build one from start to finish: about fifty lines of code, a minute or two of training, and then sixty digits that nobody ever wrote.
# By the end you will know what each line is for, and which chapter tells the rest of its story.
#
# *Before: Python, and a network that you once trained yourself, in any framework · To read: a quarter of an hour · To run: about two minutes on two CPU cores*

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import data, plots, rejection

import time
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

mx.random.seed(0)
epochs = 1 if mlxgan.SMOKE else 6  # one is enough for the tests
digits = data.load("train")
images = data.normalize(digits.images).reshape(-1, 784)

# %% [markdown]
# We compute with MLX, Apple's array framework for machine learning, and `mlxgan`, the book's own package, loads the digits and shows the pictures.
# There are sixty thousand digits, the training set of MNIST, and each has $28 \times 28$ pixels, which we keep as a row of 784 numbers from $-1$ for white paper to 1 for black ink.
#
# ## The picture nearest to all digits
#
# You have probably trained a classifier, which is given an image and names what it shows.
# A **generative model** goes the other way: it has seen many images, and makes a new one that could have been among them.
# To train it, we have to tell it how well it is doing, and here the trouble begins.
# A classifier's answer is compared with the right one, but if a network draws a digit, which of our sixty thousand should we compare it with?
#
# Any of them would do, so let us take them all.
# We measure the distance between two images by the mean squared error: the difference in each pixel, squared and averaged.
# The obvious plan is to train a network that turns random numbers into pictures, and to ask that they lie as close as possible, on average, to the real digits.
# Before we train anything, let us ask this measure for its favorite.
#
# **Which single picture has the smallest average distance to all sixty thousand digits? Imagine it before you look.**


# %%
def distance(picture):
    """Mean squared error of one picture against all digits."""
    return mx.square(images - picture).mean(axis=1).mean().item()


mean = images.mean(axis=0)
to_mean = mx.square(images - mean).mean(axis=1)
best = images[to_mean.argmin().item()]
pictures = mx.stack([mean, best, *images[:6]])
scores = [f"{distance(picture):.2f}" for picture in pictures]
print("mean of all digits:", scores[0])
print("best digit that a person wrote:", scores[1])
print("six other digits:", *scores[2:])

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Average distance to all digits, the smaller the better. From left to right: the mean of all digits, the best digit that a person wrote, and the first six of the training set.", "name": "fig-01-nearest"}, "image": {"alt": "A row of eight images with a number above each. The first is a blurred gray cloud with the smallest number, 0.27. The other seven are handwritten digits in black on white: an eight with 0.41, and six more with 0.48 to 0.57."}}
plots.digits(
    pictures.reshape(-1, 28, 28, 1), columns=8, scale=0.8, titles=scores
)

# %% [markdown]
# :::{dropdown} Answer
# The mean of all digits, taken pixel by pixel.
# (Of the genuine digits, the one closest to this mean scores best; an exercise in [The data](03_data.ipynb) shows why.)
# :::
#
# Our measure's favorite is fog.
# Its average distance is only 0.27, while the best of sixty thousand genuine digits scores 0.41.
# A genuine digit takes a stand: it has ink in one place and none in another, and therefore lies far away from every digit that does otherwise.
# Fog takes no stand, so it is never very wrong.
# A network trained on this measure learns to draw fog, whatever random numbers it is given, as you can watch in Exercise 3.
#
# You may object that no single picture can do justice to ten different digits, but look at what happens to the threes by themselves.
#
# ![Eight different handwritten threes, an arrow labeled mean of all, and a large blurred gray three.](../book/diagrams/mean-digit.svg)
#
# *The picture nearest to all threes is their mean, and nobody writes like that.*
#
# You can read it, but it is still a blur, and there is only one of it.
# We need a measure that recognizes a blur as a blur.
# You could provide it yourself, because a single glance told you that nobody wrote the fog by hand.
# But you cannot look at ten thousand pictures a minute, nor say of every pixel whether it should be lighter or darker, which is what a network needs to be told in order to learn.
# The idea of [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014) was to train a second network to take your place.
#
# ## A game for two networks
#
# This second network is called the **discriminator**.
# It is shown one image at a time, real or fake, and answers with one number, called a **logit**: positive if it takes the image for real, negative if it takes it for a fake, and the farther from 0, the surer it is.
# The fakes come from the first network, the **generator**, which turns random numbers, the **noise**, into an image.
# The discriminator is trained to tell real from fake, like any classifier with two classes, and the generator is trained to make it err.
# Because each network works against the other, they are called *adversarial*.
#
# At first neither of them is any good: the generator paints a grainy gray, and the discriminator guesses.
# But once the discriminator has noticed that real digits are mostly white paper, gray no longer passes, so the generator has to leave the paper white.
# Then the discriminator has to look for strokes, and the generator has to paint some.
# Fog no longer helps, because no real digit looks like fog, and a discriminator learns that quickly.
# Nor does it help for long to draw one good digit again and again, because the discriminator learns to distrust a picture that turns up far more often than real digits like it.
#
# The most surprising part of the game is that the generator never sees a real digit.
# All it gets is the dashed arrow in the picture at the top of this page, the gradient that comes back through the discriminator.
# For every pixel of a fake, this gradient says whether a little more ink or a little less would have made the fake look more real.
#
# ## The two players
#
# The first fifteen of our fifty lines define the two networks.
# The generator widens 64 random numbers to the 784 pixels of an image, and the discriminator narrows 784 pixels to a single logit.

# %%
generator = nn.Sequential(
    nn.Linear(64, 256),
    nn.LeakyReLU(0.2),
    nn.Linear(256, 512),
    nn.LeakyReLU(0.2),
    nn.Linear(512, 784),
    nn.Tanh(),
)
discriminator = nn.Sequential(
    nn.Linear(784, 512),
    nn.LeakyReLU(0.2),
    nn.Linear(512, 256),
    nn.LeakyReLU(0.2),
    nn.Linear(256, 1),
)

# %% [markdown]
# The weights of each `nn.Linear` are what training will change.
# Between two of them stands a `LeakyReLU`, which multiplies negative numbers by 0.2 and leaves positive ones as they are; without such a bend, several layers could do no more than one.
# The generator ends in a tanh, which brings every pixel into the range of real images, from $-1$ to 1.
# The discriminator ends without one, because a logit may be as large as it likes.
#
# The noise consists of 64 numbers for each image, drawn from the normal distribution.
# They form a *latent*, or hidden, vector: nobody tells the generator what any of them stands for, so it has to give them a meaning of its own.
# Let us send three such vectors through both untrained networks.

# %% tags=["nbval-check-output"]
noise = mx.random.normal((3, 64))
fakes = generator(noise)
print("noise ", noise.shape)
print("images", fakes.shape)
print("logits", discriminator(fakes).shape)

# %% [markdown]
# ## What each of them wants
#
# So far nothing tells the two networks how well they are doing.
# Suppose that the discriminator gives an image the logit 5, so it is rather sure that a person wrote it.
# If that is true, it should pay next to nothing, and if the image is a fake, it should pay a lot.
# The function that we need is **softplus**, a smooth version of $\max(0, x)$ that is nearly 0 for very negative numbers and nearly $x$ for large ones.
# A discriminator with the logit $\ell$ pays $\mathrm{softplus}(-\ell)$ if the image is real and $\mathrm{softplus}(\ell)$ if it is a fake.

# %% tags=["nbval-check-output"]
for logit in (-5.0, 0.0, 5.0):
    if_real = nn.softplus(mx.array(-logit)).item()
    if_fake = nn.softplus(mx.array(logit)).item()
    costs = f"{if_real:.2f} if real, {if_fake:.2f} if fake"
    print(f"logit {logit:2.0f} costs {costs}")

# %% [markdown]
# A sure answer costs 0.01 if it is right and 5.01 if it is wrong, while the logit 0, which leaves the question open, costs 0.69 either way.
#
# The generator wants its fakes to pass for real, so for each of them it pays $\mathrm{softplus}(-\ell)$, as the discriminator does for a real image.
# Now we can write down both losses, with a function `draw` that makes new noise and asks the generator for `n` pictures.


# %%
def draw(n):
    return generator(mx.random.normal((n, 64)))


def loss_d(real):
    logits = discriminator(real)
    nudged = discriminator(real + 0.1 * mx.random.normal(real.shape))
    fooled = nn.softplus(discriminator(draw(len(real))))
    steady = 50 * mx.square(nudged - logits)
    return (nn.softplus(-logits) + fooled + steady).mean()


def loss_g(n):
    return nn.softplus(-discriminator(draw(n))).mean()


# %% [markdown]
# In `loss_d` you will recognize the two payments, for real images and, as `fooled`, for fakes.
# The lines that begin with `nudged` and `steady` have another purpose: they keep the discriminator steady.
# A real digit with a little noise on it is still the same digit, so it should get nearly the same logit, and the discriminator pays for the square of the difference.
# Without this restraint it may judge two nearly equal images quite differently, and then its gradient tells the generator little of use.
# Most games survive without it, but of twenty-four runs of a similar GAN without these lines, [three ended](../book/reproducibility.md#some-seeds-collapse) with nearly the same picture for every noise vector.
# [What makes training stable](11_stability.ipynb) compares the two lines with other remedies, and Exercise 1 shows where the 50 comes from.
#
# In `loss_g`, real digits do not occur at all: the discriminator is the generator's only teacher.
#
# ## A step with two moves
#
# Each player gets an optimizer, which changes the weights a little in the direction that lowers the loss; we use Adam, which [Losses and optimizers](05_losses.ipynb) explains.
# A step of training then consists of two moves, one for each player.

# %%
optimizer_g = optim.Adam(1e-3, betas=[0.5, 0.999], bias_correction=True)
optimizer_d = optim.Adam(1e-3, betas=[0.5, 0.999], bias_correction=True)
optimizer_g.init(generator.trainable_parameters())
optimizer_d.init(discriminator.trainable_parameters())
state = [generator.state, discriminator.state, mx.random.state]
state += [optimizer_g.state, optimizer_d.state]


@partial(mx.compile, inputs=state, outputs=state)
def step(real):
    value_d, gradients = nn.value_and_grad(discriminator, loss_d)(real)
    optimizer_d.update(discriminator, gradients)
    value_g, gradients = nn.value_and_grad(generator, loss_g)(len(real))
    optimizer_g.update(generator, gradients)
    return value_d, value_g


# %% [markdown]
# Both networks take part in both moves, but only one of them learns in each.
# In the first, `nn.value_and_grad` turns `loss_d` into a function that also returns the gradient with respect to the weights of the discriminator, while the generator merely supplies fakes.
# In the second, the gradient runs through the discriminator, which stays as it is, to the weights of the generator.
#
# The line that begins with `@partial` compiles the step, which makes it faster.
# In return, `state` has to list everything that a step reads and changes; [MLX in a quarter of an hour](02_mlx.ipynb) and [The training loop](06_training.ipynb) explain why.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# There is no `zero_grad()`, no `backward()` and no `fake.detach()`, because gradients are values that a function returns for the network that you name.
# [Coming from PyTorch](../book/pytorch.md) lists more differences of this kind.
# :::
#
# ## Six epochs
#
# All that is missing is the loop.
# Each epoch, which is one pass through the data, shuffles the real digits, cuts them into batches of 128, and takes one step with each batch.
# After each one, the generator draws from the same six noise vectors, so that we can watch it learn.
#
# **The loop goes through all digits six times. After how many epochs do you expect to see something that you can read?**

# %%
noise = mx.random.normal((6, 64))
snapshots = [generator(noise)]
steps = len(images) // 128
start = time.perf_counter()
for _ in range(epochs):
    order = mx.random.permutation(len(images))[: 128 * steps]
    for batch in order.reshape(steps, 128):
        mx.eval(step(images[batch]), state)
    snapshots.append(generator(noise))
seconds = time.perf_counter() - start
print(f"{epochs} epochs of {steps} steps in {seconds:.0f} s")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Six noise vectors, one in each row, and what the generator makes of them. The numbers above the columns count the epochs of training.", "name": "fig-01-growth"}, "image": {"alt": "Six rows of images in seven columns, numbered 0 to 6. In column 0 all images are a grainy gray. In column 1 all show a gray fog or a dark shape in the middle. Further to the right there are dark strokes on white paper with specks of ink around them. The last row is a zero from column 2 on, the third a nine from column 4 on, and the second row never becomes a clear digit."}}
frames = mx.stack(snapshots, axis=1).reshape(-1, 28, 28, 1)
count = len(snapshots)
plots.digits(frames, columns=count, titles=list(range(count)))

# %% [markdown]
# :::{dropdown} Answer
# Two are enough, if you are not too strict.
# The first epoch brings little but fog, but after the second there is a blurred zero in the last row, and something like a nine in the third.
# :::
#
# You have trained a GAN.
# On two CPU cores, the training took 84 seconds.
#
# Follow a row from left to right.
# Out of the grainy gray, ink collects in the middle of the paper, in several rows as fog at first, and by the fourth epoch it has gathered into strokes everywhere.
# Even then the pictures keep changing: the first row looks like a four after the second epoch and like a two later on, and the second row never becomes a digit that we could name.
# Each network keeps reacting to the other, so neither ever has a reason to rest.
#
# ## Sixty digits
#
# The discriminator has done its work, because a trained generator draws without it.
# Here are the first sixty digits.

# %% mystnb={"figure": {"caption": "The first sixty digits that the trained generator draws, none of them left out.", "name": "fig-01-sixty"}, "image": {"alt": "Five rows of twelve generated digits, dark on white. Many can be read at a glance; nearly all have specks of ink around them, and some are pale, torn or no digit at all."}}
plots.digits(draw(60).reshape(-1, 28, 28, 1), columns=12)

# %% [markdown]
# Nothing was selected, so these are not the best sixty.
# (The learning rate and the size of the networks were tried out beforehand, as they have to be for any GAN.)
# Many of the digits can be read at a glance, and nearly all ten kinds are there, although clear twos and fives are rare.
# Unlike the fog, almost every one of them takes a stand.
#
# Now look again, for mistakes.
# By our count, more than a third of the pictures cannot be read with any confidence.
# Almost all have specks of ink beside the stroke, and a few are two digits at once, or none.
# The specks have a likely cause: to our networks an image is a list of 784 numbers, and nothing tells them which pixels are neighbors, so that they have to learn for each place separately that ink comes in strokes.
# [Convolutions](09_convolutions.ipynb) will change that.
# The hybrids have another cause: almost equal noise gives almost equal images, so between the noise for a four and the noise for a nine there has to be noise for something in between.
#
# ## The same lines as a map
#
# The fifty lines are also a table of contents: the chapters to come take them up one by one.
#
# | line | what it does | where it leads |
# |---|---|---|
# | `mx.eval(step(images[batch]), state)` | asks for the results of one step | [MLX in a quarter of an hour](02_mlx.ipynb): what is computed, and when |
# | `images[batch]` | takes the next 128 digits | [The data](03_data.ipynb): an eye for what digits have in common |
# | `nn.LeakyReLU(0.2)` | puts a bend between two layers | [Generator and discriminator](04_models.ipynb): a reason for each layer |
# | `nn.softplus(-logits)` | makes mistakes expensive | [Losses and optimizers](05_losses.ipynb): a derivation of both losses |
# | `optimizer_g.update(generator, gradients)` | moves the weights a little | [The training loop](06_training.ipynb): curves that tell how the game stands |
# | `draw(60)` | turns noise into digits | [Generating](07_generating.ipynb): walks from one digit to another |
# | `plots.digits(...)` | leaves the verdict to our eyes | [Measuring](08_measuring.ipynb): numbers for quality and variety |
# | `nn.Linear(784, 512)` | sees pixels without neighbors | [Convolutions](09_convolutions.ipynb): smooth strokes on clean paper |
# | `mx.random.seed(0)` | decides which run we see | [When it goes wrong](10_failures.ipynb): how to recognize a failing run, and what to change |
# | `50 * mx.square(nudged - logits)` | keeps the discriminator steady | [What makes training stable](11_stability.ipynb): the best-known remedies, compared |
# | `mx.random.normal((n, 64))` | leaves the digit to chance | [Choosing the digit](12_conditional.ipynb): you name the digit, and the noise decides only the handwriting |
#
# And this is where the map ends.
# Of the four rows below, the first is drawn by the generator that we have just trained, one was written by people, and two come from generators that you will build in [Convolutions](09_convolutions.ipynb) and in [To the floor](13_to_the_floor.ipynb).
#
# **Which row was written by people?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Four rows of digits from four sources. The first is from the generator of this chapter; one of the others was written by people.", "name": "fig-01-promise"}, "image": {"alt": "Four rows of ten digits. The digits in the first row have specks around them and some cannot be read. Those in the other three rows have smooth strokes on clean paper. The second and the third row show the same ten digits in the same order, in different handwriting."}}
dcgan = mlxgan.load_pretrained("dcgan")
best = mlxgan.load_pretrained("best")
accepted, _ = rejection.select(best, digits.labels[:10])
rows = [
    draw(10).reshape(-1, 28, 28, 1),
    accepted,
    data.normalize(digits.images[:10]),
    dcgan(mx.random.normal((10, dcgan.latent_dim))),
]
plots.digits(mx.concatenate(rows), columns=10)

# %% [markdown]
# :::{dropdown} Answer
# The third, which holds the first ten digits of MNIST; you saw six of them at the beginning of this page.
# The generator of the second row was asked for the same ten digits in the same order; the one of the fourth draws what it likes.
# We selected nothing, but in the second row a program did: a referee, which rejects three of ten drawings on average.
# :::
#
# ## Where GANs stand
#
# GANs have two well-known relatives.
# **Variational autoencoders** ([Kingma and Welling, 2014](../book/bibliography.md#kingma-and-welling-2014)) learn to squeeze an image into a few numbers and to restore it.
# They train calmly, but as long as what they restore is compared with the original pixel by pixel, some of the fog remains.
# **Diffusion models** ([Ho et al., 2020](../book/bibliography.md#ho-et-al-2020)) learn to remove a little noise from an image and draw by doing so again and again.
# In 2021 they overtook GANs in quality and variety ([Dhariwal and Nichol, 2021](../book/bibliography.md#dhariwal-and-nichol-2021)), but each picture takes many passes through the network.
# A GAN draws in a single pass, and its game lives on in other models, for example where it teaches a diffusion model to make do with one to four passes ([Sauer et al., 2024](../book/bibliography.md#sauer-et-al-2024)).
#
# ## Summary
#
# To learn to draw from examples, a network has to be told how well it is doing, and that is the hard part.
# Closeness to all examples is the wrong measure, because nothing is closer to all of them than their mean, and the mean is fog.
# A GAN replaces the measure with a second network: the discriminator learns to tell real images from fakes, and the generator, which never sees a real image, learns from the gradient of the discriminator to make fakes that pass.
# After six epochs you can read many of its digits, though far from all.
#
# If you stop here, you have trained a GAN and can explain how it works.
# If you read on, [MLX in a quarter of an hour](02_mlx.ipynb) starts at the beginning, with a single array.
#
# ## Exercises
#
# ### Exercise 1: Where the 50 comes from (derive)
#
# Imagine an image with a single pixel, and let $s$ be the slope of the discriminator there: if the pixel changes by a small amount $h$, the logit changes by $s h$.
# We nudge the pixel by $0.1\,n$, where $n$ is a random number from the normal distribution, whose square is 1 on average.
# What do the lines in `loss_d` that keep the discriminator steady then cost on average?
# What do they cost for an image with many pixels, which have the slopes $s_1, s_2, \dots$ and are nudged independently of each other?
#
# :::{dropdown} Solution
# The logit changes by $0.1\,s n$.
# The square of that is $0.01\,s^2 n^2$, which is $0.01\,s^2$ on average, and 50 times as much is $s^2/2$.
#
# With many pixels the logit changes by $0.1\,(s_1 n_1 + s_2 n_2 + \dots)$.
# If we square the sum, we get the squares of its terms and the products of different terms.
# The products vanish on average, because $n_1$ and $n_2$ are independent and as often positive as negative.
# What remains is $(s_1^2 + s_2^2 + \dots)/2$, half the squared length of the gradient with respect to the image.
# The factor 50 was chosen for exactly this result, which is known as the penalty R1 with $\gamma = 1$, and which you will meet again in [What makes training stable](11_stability.ipynb).
#
# The first cell below checks the formula on two pixels with the slopes 3 and $-1$.
# The second compares both sides for our trained discriminator on a thousand real digits, and they nearly agree: 0.054 and 0.053.
# This was not guaranteed, because the formula assumes that the logit changes in proportion to the nudge, and a nudge of 0.1 in each of 784 pixels is not all that small.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
slopes = mx.array([3.0, -1.0])
nudges = 0.1 * mx.random.normal((1000, 1000, 2), key=mx.random.key(0))
cost = 50 * mx.square((nudges * slopes).sum(axis=2)).mean(axis=1).mean()
print(f"average cost of a million nudges: {cost.item():.1f}")
print(f"half the sum of the squares: {mx.square(slopes).sum().item() / 2}")


# %% tags=["hide-cell"]
def sum_of_logits(real):
    return discriminator(real).sum()


real = images[:1000]
gradient = mx.grad(sum_of_logits)(real)
half = mx.square(gradient).sum(axis=1).mean().item() / 2
nudged = real + 0.1 * mx.random.normal(real.shape)
change = discriminator(nudged) - discriminator(real)
print(f"cost of the nudges: {50 * mx.square(change).mean().item():.3f}")
print(f"half the squared length of the gradient: {half:.3f}")

# %% [markdown]
# ### Exercise 2: Ask the judge (code)
#
# Draw 600 new digits, and let the discriminator sort them by their logits.
# Show the twelve that it finds most convincing and the twelve that it finds least convincing.
# Do you agree with it?
#
# :::{dropdown} Solution
# `mx.argsort` returns the positions of the numbers from the smallest to the largest, so the first twelve are the least convincing and the last twelve the most convincing.
# You will probably agree with the discriminator only in part.
# Most of the twelve pictures that it finds most convincing can be read, but several have gaps or specks.
# Among the least convincing ones are shapes that are no digit at all, but also two zeros, a three and a seven that you would have read without hesitation.
#
# The discriminator was never asked to grade handwriting.
# It only learned what separates the latest fakes from real digits, and that can be something that you would not notice in a single picture.
# :::

# %% tags=["hide-cell"] mystnb={"figure": {"caption": "Of 600 generated digits, the twelve with the highest logits (above) and the twelve with the lowest (below).", "name": "fig-01-judge"}, "image": {"alt": "Two rows of twelve generated digits, dark on white. Above are those that the discriminator finds most convincing; most can be read. Below are those that it finds least convincing: several shapes that are no digit, and some clear digits, among them two zeros, a three and a seven."}}
candidates = draw(600)
ranking = mx.argsort(discriminator(candidates)[:, 0])
chosen = mx.concatenate([ranking[-12:], ranking[:12]])
plots.digits(candidates[chosen].reshape(-1, 28, 28, 1), columns=12)

# %% [markdown]
# ### Exercise 3: Back into the fog (change and explain)
#
# Take the trained generator and go on training it, but without the discriminator: replace `loss_g` with the mean squared error between its pictures and the real digits of the batch.
# Watch what becomes of the six noise vectors from above, and measure before and afterwards how much a pixel varies from one picture to the next.
# Why does the noise not help?
#
# :::{dropdown} Solution
# The digits dissolve, and after 300 steps all six noise vectors end in nearly the same fog.
# The noise and the real digit with which its picture happens to be compared have nothing to do with each other.
# For any given noise vector, the loss is therefore the average distance to all digits, and we know which picture makes it smallest.
# Since this picture is the same for all vectors, the best that the generator can do is to ignore its noise, and after one epoch it nearly does: the variation of a pixel has fallen from 0.375 to 0.029.
# In the game, fog did not last: you saw it in several rows after the first epoch, and a few epochs later it was gone.
# A discriminator soon learns what fog looks like, and from then on the generator gains nothing by drawing it.
# :::


# %% tags=["hide-cell"]
def squared_error(real):
    return mx.square(draw(len(real)) - real).mean()


def variation():
    return mx.std(draw(500), axis=0).mean().item()


print(f"variation of a pixel before: {variation():.3f}")
optimizer = optim.Adam(1e-3, bias_correction=True)
loss_and_grad = nn.value_and_grad(generator, squared_error)
moments = [0, 1, 3, 10, 30, 100, 300]
dissolving = [generator(noise)]
order = mx.random.permutation(len(images))[: 128 * steps]
for number, batch in enumerate(order.reshape(steps, 128), start=1):
    _, gradients = loss_and_grad(images[batch])
    optimizer.update(generator, gradients)
    mx.eval(generator.state, optimizer.state)
    if number in moments:
        dissolving.append(generator(noise))
print(f"variation of a pixel afterwards: {variation():.3f}")

# %% tags=["hide-cell"] mystnb={"figure": {"caption": "The same six noise vectors, while the generator is trained on the mean squared error. The numbers above the columns count the steps.", "name": "fig-01-fog"}, "image": {"alt": "Six rows of images. The left column shows six different generated images, most of them digits. From column to column they lose their shape, and in the right column all six are nearly the same blurred gray cloud."}}
count = len(dissolving)
frames = mx.stack(dissolving, axis=1).reshape(-1, 28, 28, 1)
plots.digits(frames, columns=count, titles=moments[:count])

# %% [markdown]
# ## Further reading
#
# - [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014) is where the game comes from. After this chapter its introduction is easy to follow, and its digits came from two networks without convolutions, like ours.
# - [Goodfellow (2016)](https://arxiv.org/abs/1701.00160) turned a tutorial into a text that says why one should study generative models at all, and compares GANs with their relatives of that time.
# - [GAN Lab](https://poloclub.github.io/ganlab/) lets you watch both players move in a plane instead of in 784 dimensions, in your browser and one step at a time; this book has [a lab of its own](../book/lab.md), with failures to cause and to cure.
# - [Dive into Deep Learning](https://d2l.ai/chapter_generative-adversarial-networks/gan.html) has a short chapter with a very small GAN, on points instead of images; it is a good second explanation.
# - [*Understanding Deep Learning*](https://udlbook.github.io/udlbook/) treats GANs, variational autoencoders and diffusion models in one chapter each, and is the place to go for the mathematics of all three.
