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
# *The discriminator wants to tell real from fake, the generator wants its fakes to pass for real, and it learns from the gradient that comes back through the discriminator.*
#
# How can a program learn to draw something new, when all that we can give it is examples?
# A generative adversarial network, or GAN, learns it by letting two networks play a game against each other, and on this page we build one from beginning to end: about fifty lines of code, two minutes of training, and then sixty digits that nobody ever wrote.
# We will be quick about the details, but at the end you will be able to say what each line is for, and which chapter tells the rest of its story.
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
# We compute with MLX, Apple's array framework for machine learning; the package `mlxgan`, which belongs to this book, loads the digits and shows the pictures.
# The digits are those of MNIST, sixty thousand of them, written by hundreds of people.
# Each has $28 \times 28$ pixels, which we keep as a row of 784 numbers from $-1$ for paper to 1 for ink.
#
# ## The picture nearest to all digits
#
# You have probably trained a classifier, which is given an image and names what it shows.
# A **generative model** goes the other way: it has seen many images, and makes a new one that could have been among them.
# To train a network for that, we have to tell it how well it is doing, and here the trouble begins.
# A classifier's answer is compared with the right one, but if someone draws us a digit, which of our sixty thousand should it be compared with?
#
# Any of them would do, so let us compare it with all of them.
# Suppose that we measure the distance between two images by the mean squared error, which takes the difference in every pixel, squares it, and averages.
# The obvious plan is then to train a network that turns random numbers into pictures, and to ask that its pictures lie as close as possible, on average, to the real digits.
# Before we spend any time on training, we can ask this measure for its favorite.
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
# (Among the digits that people wrote, the one that lies closest to this mean is also the best by our measure; [The data](03_data.ipynb) has an exercise that shows why.)
# :::
#
# The favorite of our measure is fog, and about all that you can tell from it is that people write in the middle of the page.
# Yet its distance is only 0.27, while the best of sixty thousand genuine digits gets 0.41, and the six others in the picture get 0.48 to 0.57.
# The reason is not hard to see.
# A real digit takes a stand: it has ink in one place and none in another, and therefore lies far away from every digit that does otherwise.
# Fog takes no stand, so it is never very wrong.
# A network that is trained on this measure learns to draw fog, whatever random numbers it is given, and in Exercise 3 you can watch that happen.
#
# You may object that no single picture can do justice to ten different digits.
# That is true, but look at what becomes of the threes when they are by themselves.
#
# ![Eight different handwritten threes, an arrow labeled mean of all, and a large blurred gray three.](../book/diagrams/mean-digit.svg)
#
# *The picture nearest to all threes is their mean, and nobody writes like that.*
#
# It can be read, but it is still a blur, and there is only one of it.
# What we need is a measure that recognizes a blur as a blur.
# You could provide it, because a single glance told you that the fog was not written by hand.
# But you cannot look at ten thousand pictures a minute, and you cannot say of every pixel whether it should become lighter or darker, which is what a network has to be told in order to learn.
# The idea of [Goodfellow et al. (2014)](../book/bibliography.md#goodfellow-et-al-2014) was to train a second network that takes your place.
#
# ## A game for two networks
#
# This second network is called the **discriminator**.
# It is shown one image at a time, sometimes a real digit and sometimes a fake, and answers with one number: positive if it takes the image for real, negative if it takes it for a fake, and the further from 0, the surer it is.
# Such a number is called a **logit**.
# The fakes come from the first network, the **generator**, which turns random numbers, the **noise**, into an image.
# The discriminator is trained to tell real from fake, like any classifier with two classes, and the generator is trained to make the discriminator err.
# Because each network works against the other, they are called *adversarial*.
#
# At first neither of them is good at anything: the generator paints a grainy gray, and the discriminator guesses.
# But as soon as the discriminator has noticed that real digits are mostly white paper, gray no longer passes, so the generator has to leave the paper white.
# Then the discriminator has to look for strokes, and the generator has to paint some.
# Fog no longer helps it, because no real digit looks like fog and a discriminator learns that quickly.
# And the most surprising part of the game is that the generator never sees a real digit.
# All it gets is the dashed arrow in the picture at the top of this page, the gradient that comes back through the discriminator: for every pixel of a fake, whether a little more ink or a little less would have made it look more real.
#
# ## The two players
#
# Now to the fifty lines or so, of which the first fifteen are the two networks.
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
# Each `nn.Linear` computes weighted sums of its inputs, and the weights are what training will change.
# Between two of them stands a `LeakyReLU`, which keeps positive numbers as they are and multiplies negative ones by 0.2, because without such a bend several layers would be worth no more than one.
# At its end the generator has a tanh, which brings every pixel into the range of real images, from $-1$ to 1.
# The discriminator ends without one, since a logit may be as large as it likes.
#
# The noise consists of 64 numbers for each image, drawn from the normal distribution.
# Together they are also called a *latent* vector, and latent means hidden: nobody tells the generator what any of these numbers stands for, and it has to give them a meaning of its own.
# Let us send three such vectors through both networks, untrained as they are.

# %% tags=["nbval-check-output"]
noise = mx.random.normal((3, 64))
fakes = generator(noise)
print("noise ", noise.shape)
print("images", fakes.shape)
print("logits", discriminator(fakes).shape)

# %% [markdown]
# ## What each of them wants
#
# Suppose that the discriminator gives an image the logit 5, so it is rather sure that a person wrote it.
# If that is true, it should pay next to nothing for this answer, and if the image is a fake, it should pay a lot.
# The function that we need for this is called **softplus**.
# It is a smooth version of $\max(0, x)$, nearly 0 for very negative numbers and nearly $x$ for large ones.
# A discriminator with the logit $\ell$ pays $\mathrm{softplus}(-\ell)$ if the image is real and $\mathrm{softplus}(\ell)$ if it is a fake.

# %% tags=["nbval-check-output"]
for logit in (-5.0, 0.0, 5.0):
    if_real = nn.softplus(mx.array(-logit)).item()
    if_fake = nn.softplus(mx.array(logit)).item()
    costs = f"{if_real:.2f} if real, {if_fake:.2f} if fake"
    print(f"logit {logit:2.0f} costs {costs}")

# %% [markdown]
# A sure answer costs 0.01 if it is right and 5.01 if it is wrong.
# With the logit 0, which leaves the question open, the discriminator pays 0.69 in either case.
#
# The generator wants the opposite for its fakes, so it pays $\mathrm{softplus}(-\ell)$ for each of them.
# Now we can write down what each player wants, together with a function `draw`, which makes new noise and asks the generator for `n` pictures.


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
# In `loss_d` you will recognize the two payments, one for real images and one, called `fooled`, for fakes.
# The lines that begin with `nudged` and `steady` have another purpose: they keep the discriminator steady.
# If we nudge a real digit, by adding noise so weak that you would hardly change your mind about it, the discriminator should hardly change its mind either, and so it pays for the square of the change.
# A discriminator without this restraint may judge two nearly equal images quite differently, and then its gradient tells the generator little of use.
# Often the game goes well all the same, but of twenty-four runs of a similar GAN without these lines, [three ended](../book/reproducibility.md#some-seeds-collapse) with a generator that drew nearly the same picture for every noise vector.
# [What makes training stable](11_stability.ipynb) explains how the two lines do this and compares them with other remedies, and Exercise 1 tells you why the factor is 50.
#
# Look at `loss_g` as well: real digits do not occur in it.
#
# ## A step with two moves
#
# Each player gets an optimizer, which changes the weights a little in the direction that lowers the loss.
# We take Adam, which [Losses and optimizers](05_losses.ipynb) explains together with its settings.
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
# In the first, `nn.value_and_grad` turns `loss_d` into a function that also returns the gradient with respect to the weights of the discriminator, which we named, and the generator merely supplies fakes.
# In the second, the discriminator passes judgment and stays as it is, while the gradient runs through it to the weights of the generator.
#
# The line that begins with `@partial` compiles the step, which makes it faster.
# In return we have to list in `state` everything that a step reads and changes, because a compiled step does not notice when something outside this list changes.
# [MLX in a quarter of an hour](02_mlx.ipynb) and [The training loop](06_training.ipynb) have more to say about it.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# There is no `zero_grad()`, no `backward()` and no `fake.detach()`, because gradients are values that a function returns for the network that you name.
# The page [Coming from PyTorch](../book/pytorch.md) has a list of such differences.
# :::
#
# ## Six epochs
#
# All that is missing is the loop.
# In each epoch, which is one pass through the data, it puts the real digits in a new random order, cuts this order into batches of 128, and takes one step with each batch.
# (The few digits that are left over do not fill a batch and sit out this epoch.)
# MLX does not compute anything until somebody asks for it, and `mx.eval` is how we ask.
# (The step also returns both losses, but in a game they say little about the pictures, as [Losses and optimizers](05_losses.ipynb) shows.)
# We also set six noise vectors aside, so that we can see what the generator makes of them after each epoch; these pictures may wait, because they remember the weights that made them.
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

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Six noise vectors, one in each row, and what the generator makes of them. The numbers above the columns count the epochs of training.", "name": "fig-01-growth"}, "image": {"alt": "Six rows of images in seven columns, numbered 0 to 6. In column 0 all images are a grainy gray. In column 1 all show a gray or dark fog in the middle. Further to the right there are dark strokes on white paper with specks of ink around them. The last row is a zero from column 2 on, the third a nine from column 4 on, and the second row never becomes a clear digit."}}
frames = mx.stack(snapshots, axis=1).reshape(-1, 28, 28, 1)
count = len(snapshots)
plots.digits(frames, columns=count, titles=list(range(count)))

# %% [markdown]
# :::{dropdown} Answer
# Two are enough, if you are not too strict.
# After the first epoch all is fog, but after the second there is a blurred zero in the last row, and something like a nine in the third.
# :::
#
# You have trained a GAN.
# On two cores of a processor the training took 75 seconds; on a busy or an older one it takes longer.
# On a Mac, where MLX uses the graphics processor, it should be faster, but we have not measured that.
#
# Follow a row from left to right.
# Before training, the generator paints much the same grainy gray for all six noise vectors.
# After the first epoch, the ink is in the middle and the paper around it is white or nearly so.
# In several rows the ink is still a fog like the one at the beginning of this chapter, but by the fourth epoch it has gathered into strokes everywhere.
# Even then the pictures keep changing.
# The last row is a zero from the second epoch on, but the first looks like a four after the second epoch and like a two later on, while the second row never becomes a digit that we could name.
# Each network keeps reacting to the other, so neither of them ever has a reason to rest.
#
# ## Sixty digits
#
# The discriminator has done its work and is no longer needed, because a generator that has been trained draws by itself.
# Here are its first sixty digits.

# %% mystnb={"figure": {"caption": "The first sixty digits that the trained generator draws, none of them left out.", "name": "fig-01-sixty"}, "image": {"alt": "Five rows of twelve generated digits, dark on white. Many can be read at a glance; nearly all have specks of ink around them, and some are pale, torn or no digit at all."}}
plots.digits(draw(60).reshape(-1, 28, 28, 1), columns=12)

# %% [markdown]
# Nothing that you see here was selected: the seed is 0, and these are the first sixty digits, not the best sixty.
# (The learning rate and the size of the networks were tried out beforehand, as they have to be for any GAN.)
# Many of them can be read at a glance.
# Nearly all ten kinds are among them, although clear twos and fives are rare.
# They differ in slant and width, and unlike the fog, almost every one of them takes a stand.
#
# But look again, and look for mistakes.
# By our count, more than a third of the pictures cannot be read with any confidence.
# Almost all have specks of ink beside the stroke, some are so pale that the pen seems to have run dry, and a few are two digits at once, or none.
# The specks have a likely cause.
# To our two networks an image is a list of 784 numbers, and nothing tells them which pixels are neighbors, so they would have to learn for each place in the image separately that ink comes in strokes and not in specks; [Convolutions](09_convolutions.ipynb) will change that.
# The hybrids have another cause: almost equal noise gives almost equal images, so that somewhere between the noise for a four and the noise for a nine there has to be noise for something in between.
#
# ## The same lines as a map
#
# The fifty lines are also a table of contents.
# Here are the most important ones again.
#
# | line | what it does | chapter | what gets better there |
# |---|---|---|---|
# | `mx.eval(step(images[batch]), state)` | asks for the results of one step | [MLX in a quarter of an hour](02_mlx.ipynb) | you know what is computed, when it is computed, and what a compiled step remembers |
# | `images[batch]` | takes the next 128 real digits from a random order | [The data](03_data.ipynb) | an order that you can repeat, and an eye for what digits have in common |
# | `nn.LeakyReLU(0.2)` | puts a bend between two layers | [Generator and discriminator](04_models.ipynb) | larger networks, and a reason for each of their layers |
# | `nn.softplus(-logits)` | makes mistakes expensive | [Losses and optimizers](05_losses.ipynb) | you can derive both losses, and say what they make the generator aim for |
# | `optimizer_g.update(generator, gradients)` | moves the weights a little | [The training loop](06_training.ipynb) | curves that tell you how the game stands, and a steadier generator |
# | `draw(60)` | turns new noise into new digits | [Generating](07_generating.ipynb) | walks from one digit to another, and a search for copies of real ones |
# | `plots.digits(...)` | leaves the verdict to our eyes | [Measuring](08_measuring.ipynb) | numbers for quality and variety, with their uncertainty |
# | `nn.Linear(784, 512)` | sees pixels without neighbors | [Convolutions](09_convolutions.ipynb) | smooth strokes on clean paper |
# | `mx.random.seed(0)` | decides which run we get to see | [When it goes wrong](10_failures.ipynb) | you recognize a run that fails, and know what to change |
# | `50 * mx.square(nudged - logits)` | keeps the discriminator steady | [What makes training stable](11_stability.ipynb) | the best-known remedies, compared over many runs |
# | `mx.random.normal((n, 64))` | leaves the digit to chance | [Choosing the digit](12_conditional.ipynb) | you say which digit to draw, and the noise decides only on the handwriting |
#
# And this is where the map leads.
# The first of the four rows below is drawn by the generator that we have just trained.
# Of the other three, one was written by people, and two were drawn by generators that you will build in [Convolutions](09_convolutions.ipynb) and in [To the floor](13_to_the_floor.ipynb), and that come with the book.
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
# The generator of the second row was asked for the same ten digits in the same order.
# The one of the fourth row draws what it likes.
# None of these digits was selected by us, but the second row was by a program: its generator works with a referee, who rejects three of ten drawings on average.
# :::
#
# ## Where GANs stand
#
# **Variational autoencoders** ([Kingma and Welling, 2014](../book/bibliography.md#kingma-and-welling-2014)) learn to squeeze an image into a few numbers and to restore it.
# They train calmly, but as long as what they restore is compared with the original pixel by pixel, some of the fog remains.
# **Diffusion models** ([Ho et al., 2020](../book/bibliography.md#ho-et-al-2020)) learn to remove a little noise from an image and draw by doing so again and again.
# In 2021 they overtook GANs in quality and variety ([Dhariwal and Nichol, 2021](../book/bibliography.md#dhariwal-and-nichol-2021)), but each picture takes them many passes through the network.
# A GAN draws in a single pass, which makes it attractive where time is short, and its game lives on in other models, for example to teach a diffusion model to make do with one to four passes ([Sauer et al., 2024](../book/bibliography.md#sauer-et-al-2024)).
#
# ## Summary
#
# A generative model learns from examples to make new ones, and the hard part is to tell it how well it does.
# Closeness to all examples is the wrong measure, because nothing is closer to all of them than their mean, and the mean is fog.
# A GAN replaces the measure with a second network: the discriminator learns to tell real images from fakes, and the generator learns, through the gradient of the discriminator and without ever seeing a real image, to make fakes that pass.
# Two small networks, two losses and two optimizers that take turns are all that this needs, and after six epochs you can read many of the digits that come out of it, though far from all.
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
# So what remains is $(s_1^2 + s_2^2 + \dots)/2$, half the squared length of the gradient with respect to the image.
# The factor 50 was chosen for exactly this result, which is known as the penalty R1 with $\gamma = 1$, and which you will meet again in [What makes training stable](11_stability.ipynb).
#
# The first cell below checks the formula on two pixels with the slopes 3 and $-1$.
# The second compares both sides for our trained discriminator on a thousand real digits, and they nearly agree: 0.054 and 0.053.
# That they agree so well was not guaranteed, because the formula assumes that the logit changes in proportion to the nudge, and a nudge of 0.1 in each of 784 pixels is not all that small.
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
# The function `mx.argsort` returns the positions of the smallest number, of the next, and so on, so the first twelve are the least convincing and the last twelve the most convincing.
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
# - [Goodfellow (2016)](https://arxiv.org/abs/1701.00160) turned a tutorial into a text that answers the question why one should study generative models at all, and compares GANs with their relatives of that time.
# - [GAN Lab](https://poloclub.github.io/ganlab/) lets you watch both players move in a plane instead of in 784 dimensions, in your browser and one step at a time; this book has [a lab of its own](../book/lab.md), with failures to cause and to cure.
# - [Dive into Deep Learning](https://d2l.ai/chapter_generative-adversarial-networks/gan.html) has a short chapter with the smallest GAN possible, on points instead of images; it is a good second explanation in other words.
# - [*Understanding Deep Learning*](https://udlbook.github.io/udlbook/) treats GANs, variational autoencoders and diffusion models in one chapter each, and is the place to go for the mathematics of all three.
