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
# # GANs today
#
# ![Above, a generator turns a noise vector into a digit in one step. Below, a noise image turns into a digit over many small steps.](../book/diagrams/diffusion-vs-gan.svg)
#
# *A GAN draws in one step; a diffusion model removes a little noise in each of many.*
#
# In 2021 diffusion models overtook GANs in the quality of their pictures ([Dhariwal and Nichol, 2021](../book/bibliography.md#dhariwal-and-nichol-2021)), so is what you have learned in this book already history?
# To find out, we train a small diffusion model for about as long as a DCGAN, let the same judge compare the two, and look at where the game of two networks is played today.
# By the end you can choose between the two approaches, and add an adversarial loss to a network that is not a GAN.
#
# *Before: [The training loop](06_training.ipynb), [Measuring](08_measuring.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: half an hour · To run: about twenty-five minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import (
    data,
    layers,
    losses,
    metrics,
    models,
    plots,
    recipes,
    training,
)
from mlxgan.layers import Conv2d, ConvTranspose2d

import time
from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown
from mlx.utils import tree_flatten

digits, test = data.load("train"), data.load("test")
reference = metrics.reference()
n = len(test)

# %% [markdown]
# ## Two cures for fog
#
# In [A GAN in one page](01_first_gan.ipynb) we asked the mean squared error for its favorite picture of a digit, and it chose fog, the average of all digits.
# A network trained on squared error does the same whenever its input leaves the answer open: it returns the average of all possible answers.
#
# A GAN cures the fog by replacing the measure.
# A diffusion model keeps the squared error and changes the question.
# Instead of "draw a digit" it asks "here is a digit under some noise; what was it?", and the less noise there is, the fewer answers are left to average.
# To draw a picture, we ask this many times, with less and less noise.
#
# We use a simple form of this idea, **flow matching** ([Lipman et al., 2023](../book/bibliography.md#lipman-et-al-2023); [Liu et al., 2023](../book/bibliography.md#liu-et-al-2023)), with which Stable Diffusion 3 was trained ([Esser et al., 2024](../book/bibliography.md#esser-et-al-2024)).
# It mixes image and noise on a straight line from an image $\epsilon$ of pure noise to a real image $x$, and the time $t$ says how far along we are:
#
# $$x_t = (1 - t)\,\epsilon + t\,x, \qquad 0 \le t \le 1.$$


# %%
def mix(noise, real, t):
    """A point on the line from noise (t = 0) to an image (t = 1)."""
    return (1 - t) * noise + t * real


# %% tags=["hide-input"] mystnb={"figure": {"caption": "Two digits on their way from noise to image. Above each column stands the time.", "name": "fig-15-mix"}, "image": {"alt": "Two rows of seven images. On the left is pure noise; toward the right a digit emerges from it in each row, and at time 1 it stands there without any noise."}}
times = [0, 0.2, 0.4, 0.6, 0.8, 0.9, 1]
pair, _ = next(data.batches(digits, 2, seed=0))
noise = mx.random.normal(pair.shape, key=mx.random.key(0))
mixes = mx.stack([mix(noise, pair, t) for t in times], axis=1)
plots.digits(mixes.reshape(-1, 28, 28, 1), columns=7, titles=times)

# %% [markdown]
# A network $f$ gets $x_t$ and $t$ and has to predict $x$, and its loss is the squared error $\lVert f(x_t, t) - x \rVert^2$, averaged over random images, noise, and times.
# Its best answer is therefore $\mathbb{E}[x \mid x_t]$, the average of all digits that may be hidden in what it sees, each weighted by how likely it is.
# (Many models predict the noise instead; [Li and He (2026)](../book/bibliography.md#li-and-he-2026) argue for the image itself.)
#
# **What will a well-trained network answer at $t = 0$, when it sees nothing but noise, and what at $t = 0.9$? We will look after the training.**
#
# ## A denoiser
#
# We build the denoiser from the parts of the DCGAN: two convolutions that shrink the image, a hidden layer, and two transposed convolutions that enlarge it again.
# Two things are new.
# The time enters as a second channel with the same number in every pixel.
# And each layer on the way up also sees the features of the same size from the way down, so that fine strokes can bypass the narrow hidden layer.
# With these bridges the network is called a **U-Net**, after the shape of its diagram ([Ronneberger et al., 2015](../book/bibliography.md#ronneberger-et-al-2015)).


# %%
class Denoiser(nn.Module):
    """Noisy images (N, 28, 28, 1) and times (N, 1, 1, 1) to images."""

    def __init__(self, channels=32, hidden=256):
        super().__init__()
        c = channels
        self.down1 = Conv2d(2, c, 4, stride=2, padding=1)
        self.down2 = Conv2d(c, 2 * c, 4, stride=2, padding=1)
        self.shrink = nn.Linear(7 * 7 * 2 * c, hidden)
        self.expand = nn.Linear(hidden, 7 * 7 * 2 * c)
        self.up1 = ConvTranspose2d(4 * c, c, 4, stride=2, padding=1)
        self.up2 = ConvTranspose2d(2 * c, 1, 4, stride=2, padding=1)

    def __call__(self, x, t):
        clock = mx.broadcast_to(t, x.shape)
        at14 = nn.relu(self.down1(mx.concatenate([x, clock], axis=-1)))
        at7 = nn.relu(self.down2(at14))
        x = nn.relu(self.shrink(at7.reshape(len(at7), -1)))
        x = nn.relu(self.expand(x)).reshape(at7.shape)
        x = nn.relu(self.up1(mx.concatenate([x, at7], axis=-1)))
        return mx.tanh(self.up2(mx.concatenate([x, at14], axis=-1)))


# %% tags=["nbval-check-output"]
def count(network):
    arrays = tree_flatten(network.trainable_parameters())
    return sum(array.size for _, array in arrays)


for network in (models.DCGANGenerator(), Denoiser()):
    print(f"{type(network).__name__:14s} {count(network):9,d} parameters")

# %% [markdown]
# The two are almost the same size, but training the denoiser takes only one network and one loss, so there is no balance between two players to lose.
# The folded cell adds a moving average of the weights and a loop over the data.


# %%
def make_denoising_step(denoiser, optimizer):
    """A compiled step, step(real), and its state."""

    def loss(real):
        t = mx.random.uniform(shape=(len(real), 1, 1, 1))
        noise = mx.random.normal(real.shape)
        guess = denoiser(mix(noise, real, t), t)
        return mx.square(guess - real).mean()

    loss_and_grad = nn.value_and_grad(denoiser, loss)
    state = [denoiser.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real):
        value, gradients = loss_and_grad(real)
        optimizer.update(denoiser, gradients)
        return value

    return step, state


# %% tags=["hide-input"]
def get_ready(network, optimizer):
    network.train()
    optimizer.init(network.trainable_parameters())
    layers.column_major(network, optimizer)


def with_average(average, network, step, state):
    """The step, followed by one of the moving average; all state."""
    follow, more = training.make_average(average.eval(), network)

    def step_and_follow(real):
        value = step(real)
        follow()
        return value

    return step_and_follow, [state, more]


def run(step, state, epochs):
    """Take one step for each batch, print mean losses; return seconds."""
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        values = []
        for real, _ in data.batches(digits, 64, seed=0, epoch=epoch):
            values.append(step(real))
            mx.eval(values[-1], state)
        print(f"epoch {epoch}: loss {mx.stack(values).mean().item():.4f}")
    return time.perf_counter() - start


# %%
def make_denoiser(epochs, kind=Denoiser):
    """A denoiser's average, its step and state, for so many epochs."""
    mx.random.seed(0)
    denoiser, average = kind(), kind()
    steps = epochs * (len(digits) // 64)
    optimizer = recipes.decaying_adam(1e-3, 1e-4, steps)
    get_ready(denoiser, optimizer)
    step, state = make_denoising_step(denoiser, optimizer)
    return average, *with_average(average, denoiser, step, state)


# %% [markdown]
# The opponent is the DCGAN of [Convolutions](09_convolutions.ipynb), and for a fair race both should train for the same time.
# So we let the two take training steps in turns and compare the median time of a step.


# %% tags=["hide-input"]
def medians(*calls, rounds=2 if mlxgan.SMOKE else 30):
    """Median milliseconds of each call, measured in turns."""
    times = []
    for _ in range(rounds):
        for call in calls:
            start = time.perf_counter()
            mx.eval(call())
            times.append(1000 * (time.perf_counter() - start))
    return np.median(np.reshape(times, (rounds, -1))[1:], axis=0)


real, _ = next(data.batches(digits, 64, seed=0))
pair = models.DCGANGenerator(), models.VarietyDiscriminator()
gan_step, gan_state = training.set_up(
    *pair, recipes.adam(), recipes.adam(), models.DCGANGenerator()
)
_, step, state = make_denoiser(1)
cost_gan, cost_denoiser = medians(
    lambda: (gan_step(real), gan_state), lambda: (step(real), state)
)
print(
    f"one step: DCGAN {cost_gan:.0f} ms, denoiser {cost_denoiser:.0f} ms"
)
print(f"ratio {cost_gan / cost_denoiser:.1f}")

# %% [markdown]
# A step of the DCGAN takes more than twice as long, 98 ms compared with 44 ms, since it trains two networks.
# We therefore give the DCGAN three epochs and the denoiser six.

# %% tags=["hide-output"]
epochs = 1 if mlxgan.SMOKE else 6
denoiser, step, state = make_denoiser(epochs)
seconds_denoiser = run(step, state, epochs)

# %% tags=["hide-output"]
mx.random.seed(0)
gan = models.DCGANGenerator()
history = training.train(
    models.DCGANGenerator(),
    models.VarietyDiscriminator(),
    digits,
    epochs=1 if mlxgan.SMOKE else 3,
    average=gan,
    **recipes.RECIPES["dcgan"].settings(),
)

# %%
print(f"denoiser: {seconds_denoiser:.0f} s for {epochs} epochs")
print(f"DCGAN: {sum(history.seconds):.0f} s for {len(history)} epochs")

# %% [markdown]
# ## Walking from noise to a digit
#
# How does a network that can only remove noise draw a digit from nothing?
# We start at pure noise and walk along the line toward a digit.
# We do not know which digit it leads to, but at any point the network can guess, so we take one small step toward its guess and ask again.
# With `left` steps still to go, each step covers the remaining way divided by `left`.


# %%
def draw(denoiser, noise, steps):
    """Walk from noise (N, 28, 28, 1) to images."""
    parts = []
    for x in mx.split(noise, max(1, len(noise) // 500)):
        for left in range(steps, 0, -1):
            t = mx.full((len(x), 1, 1, 1), 1 - left / steps)
            x = x + (denoiser(x, t) - x) / left
        mx.eval(x)
        parts.append(x)
    return mx.concatenate(parts)


# %% tags=["hide-input"] mystnb={"figure": {"caption": "Three walks of sixteen steps. In each pair of rows, the upper one shows where the walk has arrived, and the lower one which digit the network guesses from there. Above each column stands the time.", "name": "fig-15-walk"}, "image": {"alt": "Six rows of eight images, in three pairs. In the upper row of each pair strokes emerge from noise from left to right. The lower row begins with nearly the same gray fog in all three pairs, takes on a shape by time 0.25, and is sharp from about 0.4 on. The first pair ends at something like a four with a thick blot and the second at a clean five; the third ends at strokes that form no digit, and they are there from time 0.38 on."}}
x = mx.random.normal((3, 28, 28, 1), key=mx.random.key(4))
columns, titles = [], []
for left in range(16, 0, -1):
    t = mx.full((3, 1, 1, 1), 1 - left / 16)
    guess = denoiser(x, t)
    if left % 2 == 0:
        columns.append(mx.stack([x, guess], axis=1).reshape(6, 28, 28, 1))
        titles.append(f"{1 - left / 16:.2g}")
    x = x + (guess - x) / left
sheet = mx.stack(columns, axis=1).reshape(-1, 28, 28, 1)
plots.digits(mx.clip(sheet, -1, 1), columns=8, titles=titles)

# %% [markdown]
# :::{dropdown} Answer
# At $t = 0$ the best answer is the average of all digits, whatever the noise, and our network comes close to it: its three fogs differ a little.
# At $t = 0.9$ hardly any doubt is left, so it answers with a sharp picture.
# (The last column shows $t = 0.88$.)
# :::
#
# The first guess is the fog of the first chapter.
# But the walk goes only a sixteenth of the way toward it, and from there the next guess leans a little toward some digits and away from others.
# In this way each step narrows down what the next guess can be, until there is nothing left to average.
#
# For a perfect network and infinitely many steps, [Lipman et al. (2023)](../book/bibliography.md#lipman-et-al-2023) prove that such walks lead to pictures distributed like the real ones.
# Our network is not perfect, and its mistakes stay: at time 0.38 the guess of the third walk has strokes that belong to no digit, and no later guess takes them back.
# This may be because in training it has seen only mixes of noise with real digits, never with its own mistakes.
# How much do such mistakes cost?
#
# ## Before the same judge
#
# We can choose how many steps the denoiser takes, and more steps cost more time, so let us see what they buy.
#
# **What will the denoiser draw in a single step?**

# %%
noise = mx.random.normal((n, 28, 28, 1), key=mx.random.key(1))
z = mx.random.normal((n, 100), key=mx.random.key(1))
images = {
    steps: draw(denoiser, noise, steps) for steps in (1, 2, 4, 8, 16)
}
images["GAN"] = training.sample(gan, z)


def fid_of(images):
    found, _ = metrics.features(reference.classifier, images)
    return metrics.fid(reference.real, found)


fids = {name: fid_of(drawn) for name, drawn in images.items()}
pass_gan, pass_denoiser = medians(
    lambda: training.sample(gan, z[:500]),
    lambda: draw(denoiser, noise[:500], 1),
)
per_image = {
    steps: steps * pass_denoiser / 500
    for steps in images
    if steps != "GAN"
}
per_image["GAN"] = pass_gan / 500

# %% tags=["hide-input"]
for name, distance in fids.items():
    label = name if name == "GAN" else f"{name} steps"
    print(f"{label:9s} Fréchet distance {distance:7.1f},", end=" ")
    print(f"{per_image[name]:6.2f} ms per image")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Fréchet distance of 10,000 images against the time that one image takes in batches of 500. The numbers are the steps of the denoiser; the GAN has only one. The dotted line is what real training digits get.", "name": "fig-15-steps"}, "image": {"alt": "Fréchet distance over milliseconds per image, both axes logarithmic. A gray line of five points, labeled 1, 2, 4, 8 and 16, falls from nearly 2,000 at 0.3 milliseconds to about 100 at five, and gets less steep toward the right. The orange square of the GAN lies to the left of the line and far below it, at a tenth of a millisecond and between 6 and 7. A dotted blue line marks real digits at 2."}}
figure, axes = plt.subplots()
steps = [name for name in images if name != "GAN"]
axes.loglog(
    [per_image[name] for name in steps],
    [fids[name] for name in steps],
    "o-",
    color=plots.GREY,
    label="denoiser",
)
for name in steps:
    place = per_image[name], fids[name]
    axes.annotate(name, place, (5, 5), textcoords="offset points")
place = per_image["GAN"], fids["GAN"]
axes.plot(*place, "s", color=plots.FAKE, label="GAN")
floor = reference.floor.fid
axes.axhline(floor, color=plots.REAL, ls=":", label="real digits")
axes.set(xlabel="milliseconds per image", ylabel="Fréchet distance")
axes.legend()
plt.show()


# %% tags=["hide-input"] mystnb={"figure": {"caption": "From the top: the denoiser in 1, 2, 4, 8 and 16 steps, always from the same twelve noise images, and the GAN. Nothing was selected.", "name": "fig-15-rows"}, "image": {"alt": "Six rows of twelve images. The first row shows nearly the same gray fog twelve times, the second ragged gray shapes. From four steps on the strokes are black. Below, two fives, a four and a wide zero can be read, but most shapes are broken or form no digit, much the same ones with sixteen steps as with four. The last row shows digits of the GAN with unbroken strokes; one of them, the second, is a blot."}}
def label_rows(names):
    """Write names to the left of the rows of the last plots.digits."""
    centers = [14 + 30 * row for row in range(len(names))]
    plt.gca().set_yticks(centers, names)
    plt.gca().tick_params(length=0)


rows = [drawn[:12] for drawn in images.values()]
plots.digits(mx.concatenate(rows), columns=12, scale=0.5)
label_rows(images)

# %% [markdown]
# :::{dropdown} Answer
# Fog, and nearly the same each time, because with a single step it goes all the way to its first guess.
# :::
#
# The Fréchet distance falls from 1,865 with one step to 115 with sixteen, and each doubling of the steps gains less than the one before.
# Yet the denoiser never comes near the GAN, which has a distance of 6.6 and draws an image in a fiftieth of the time that sixteen steps take.
# Only part of this difference in time lies in the method, because in our networks a single pass of the denoiser already takes about three times as long as one of the generator.
#
# In the pictures some digits can be read after sixteen steps, but most are broken or not digits at all.
# More steps turn gray strokes black, but most shapes that are wrong after four steps are still wrong after sixteen, so the denoiser seems to need better guesses more than it needs more steps.
# Longer training might provide them, because the loss was still falling in the last epoch, from 0.0838 to 0.0826, but we have not tried it.
#
# For the other metrics we draw three times from each model.

# %%
cards = {"DCGAN": [], "denoiser, 16 steps": []}
for key in range(1, 3 if mlxgan.SMOKE else 4):
    z = mx.random.normal((n, 100), key=mx.random.key(key))
    noise = mx.random.normal((n, 28, 28, 1), key=mx.random.key(key))
    both = training.sample(gan, z), draw(denoiser, noise, 16)
    for name, drawn in zip(cards, both, strict=True):
        cards[name].append(metrics.evaluate(drawn, reference))


# %% tags=["hide-input"]
def as_table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


rows = []
for label, field, places in (
    ("Fréchet distance", "fid", 2),
    ("precision", "precision", 3),
    ("recall", "recall", 3),
    ("coverage", "coverage", 3),
    ("more than 90 % sure", "confident", 3),
    ("nearer to training", "nearer_to_training", 3),
):
    row = [label, f"{getattr(reference.floor, field):.{places}f}"]
    for scores in cards.values():
        values = [getattr(card, field) for card in scores]
        mean, deviation = np.mean(values), np.std(values, ddof=1)
        row.append(f"{mean:.{places}f} ± {deviation:.{places}f}")
    rows.append(row)
both = per_image["GAN"], per_image[16]
rows.append(["milliseconds per image", "", *(f"{t:.2f}" for t in both)])
as_table(["", "real digits", *cards], rows)

# %% [markdown]
# By most of these metrics the DCGAN is far ahead: the classifier is sure of 91 % of its images and of 67 % of the denoiser's, and the DCGAN covers 85 % of the real digits' neighborhoods while the denoiser covers 56 %.
# The denoiser is ahead only in recall, with 0.762 compared with 0.685, but as we saw in [Measuring](08_measuring.ipynb), recall flatters a generator whose samples lie far apart, even if they are nonsense.
# For both models the fraction of samples that lie nearer to a training image than to any test image is below the 0.840 of real digits, so this test shows no sign of copying.
#
# If diffusion models overtook GANs in the papers, why does the GAN win here?
# Its recipe has been improved from chapter to chapter, while our denoiser is a plain first design, and both were trained for minutes.
# The ± covers only three draws of noise from one trained model, and says nothing about another training, other networks, or other pictures.
# So the race shows what each approach costs, but it cannot say which one wins in general.
#
# ## The same fog in an autoencoder
#
# Because all those passes are expensive, many programs draw in two stages: a diffusion model works on small codes, and a decoder turns each code into an image ([Rombach et al., 2022](../book/bibliography.md#rombach-et-al-2022)).
# The decoder comes from an **autoencoder**, in which one network squeezes an image into a code and another restores the image from it.
# If the code is too short to hold everything, the decoder has to guess the rest, and if its judge is the squared error, we can expect fog again.
#
# We build one from parts that we have: the DCGAN's discriminator with sixteen outputs is the encoder, and its generator is the decoder.


# %%
class Autoencoder(nn.Module):
    """Images to a code of so many numbers, and back to images."""

    def __init__(self, size=16):
        super().__init__()
        self.encoder = models.DCGANDiscriminator()
        self.encoder.out = nn.Linear(self.encoder.hidden, size)
        self.decoder = models.DCGANGenerator(latent_dim=size)

    def encode(self, images):
        x = self.encoder.features(self.encoder.compress(images))
        return self.encoder.out(x)

    def __call__(self, images):
        return self.decoder(self.encode(images))


# %% [markdown]
# To fight the fog we add an adversarial term to the loss.
# A discriminator learns to tell restored images from real ones, and the autoencoder has to fool it as well.
# If $\ell(\hat x)$ is the logit that the discriminator gives to the restored image $\hat x$, and $\lambda$ a small weight,
#
# $$\text{loss} = \frac{1}{784}\,\lVert \hat x - x \rVert^2 + \lambda\,\log\bigl(1 + e^{-\ell(\hat x)}\bigr).$$
#
# The second term is the generator's loss that we know, and with $\lambda = 0$ only the squared error remains.


# %%
def train_autoencoder(weight):
    """Train an autoencoder for one epoch; return its average."""
    mx.random.seed(0)
    autoencoder, average = Autoencoder(), Autoencoder()
    discriminator = models.VarietyDiscriminator()
    optimizer = recipes.decaying_adam(1e-3, 1e-4, len(digits) // 64)
    optimizer_d = recipes.adam(3e-4)
    get_ready(autoencoder, optimizer)
    get_ready(discriminator, optimizer_d)

    def loss(real):
        restored = autoencoder(real)
        value = mx.square(restored - real).mean()
        if weight > 0:
            logits = discriminator(restored)
            value = value + weight * losses.generator_loss(logits)
        return value

    def loss_d(real, restored):
        logits = discriminator(real), discriminator(restored)
        return losses.discriminator_loss(*logits)

    grad = nn.value_and_grad(autoencoder, loss)
    grad_d = nn.value_and_grad(discriminator, loss_d)
    state = [autoencoder.state, optimizer.state]
    state += [discriminator.state, optimizer_d.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real):
        if weight > 0:
            restored = mx.stop_gradient(autoencoder(real))
            _, gradients = grad_d(real, restored)
            optimizer_d.update(discriminator, gradients)
        value, gradients = grad(real)
        optimizer.update(autoencoder, gradients)
        return value

    run(*with_average(average, autoencoder, step, state), epochs=1)
    return average


# %% [markdown]
# **We train the autoencoder once without the term and once with it. Which will have the smaller squared error on test images, and which the smaller Fréchet distance?**

# %%
originals = data.normalize(test.images)


def in_parts(function, rows):
    """What the function makes of many rows, 500 at a time."""
    parts = mx.split(rows, max(1, len(rows) // 500))
    parts = [function(part) for part in parts]
    mx.eval(parts)
    return mx.concatenate(parts)


def restore(autoencoder):
    """All test images, squeezed and restored."""
    return in_parts(autoencoder, originals)


autoencoders = {
    "squared error": train_autoencoder(0.0),
    "with adversarial term": train_autoencoder(0.2),
}
restored = {name: restore(each) for name, each in autoencoders.items()}

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The first twelve test images (top), and what is left of them after they went through a code of sixteen numbers, restored for the sake of squared error (middle) and with the adversarial term (bottom).", "name": "fig-15-restored"}, "image": {"alt": "Three rows of twelve digits. The originals of the first row are crisp. In the second row the strokes are a little soft and some are gray. In the third they are thin and black again, with hardly visible specks around them. In both restored rows the five with a separate top stroke, the ninth digit, has become a single hook."}}
rows = [originals[:12], *(pictures[:12] for pictures in restored.values())]
plots.digits(mx.concatenate(rows), columns=12, scale=0.6)
label_rows(["original", "squared error", "adversarial"])


# %%
def scores(pictures):
    """Squared error, Fréchet distance, fraction sure, fraction right."""
    error = mx.square(pictures - originals).mean().item()
    _, probabilities = metrics.features(reference.classifier, pictures)
    sure = (probabilities.max(axis=1) > 0.9).mean()
    right = probabilities.argmax(axis=1) == np.array(test.labels)
    values = error, fid_of(pictures), sure, right.mean()
    return [f"{value:.3f}" for value in values]


header = ["", "squared error", "Fréchet distance", "sure", "right digit"]
rows = [["originals", *scores(originals)]]
rows += [[name, *scores(pictures)] for name, pictures in restored.items()]
as_table(header, rows)

# %% [markdown]
# :::{dropdown} Answer
# The one without the term has the smaller squared error, since it was trained for nothing else, and the other one has the smaller Fréchet distance.
# :::
#
# The adversarial term raises the squared error from 0.037 to 0.047 and lowers the Fréchet distance from 24.4 to 4.8.
# (The minus sign of the originals' 0 is rounding.)
# In the picture, the strokes of the middle row are a little soft, while those in the bottom row are almost as crisp as the originals.
# But crisp does not mean faithful.
# Both decoders turn the five in the ninth column, whose top stroke stands apart, into a single hook, and in the bottom row nothing in the clean stroke warns us that it is a guess.
# The classifier reads the right digit in 96.8 % of the pictures with the term and in 97.1 % without it, and with one training of each, we cannot tell whether the difference is real.
#
# The two measures disagree because they answer different questions.
# The squared error asks how far each picture is from *its* original, and the Fréchet distance asks whether all of them together could pass for real ones.
# at the limit of what any method can reach, a smaller error means pictures that are easier to tell from real ones (Exercise 2 derives the price).
# So before you add an adversarial term, ask whether an invented stroke does any harm.
# In a photograph it may please the eye, but in an X-ray image it may be fatal.
#
# ## A walk among codes
#
# Our denoiser has to get all 784 pixels right, and many of its strokes end up broken, whereas the decoder that we just trained is good at strokes.
# So why not do as [Rombach et al. (2022)](../book/bibliography.md#rombach-et-al-2022) and Stable Diffusion do, and let a denoiser walk among the codes, where only sixteen numbers have to be right?
#
# To reuse our functions, we treat a code as an image of one pixel with sixteen channels.
# Since the numbers of a code may have any size, we shift and scale each of them to mean 0 and standard deviation 1, like the noise from which a walk starts.


# %%
def coder(autoencoder):
    """Two functions, from images to scaled codes and back."""
    known = data.normalize(digits.images[:10_000])
    codes = in_parts(autoencoder.encode, known)
    mean, deviation = codes.mean(axis=0), mx.sqrt(codes.var(axis=0))

    def encode(images):
        codes = (autoencoder.encode(images) - mean) / deviation
        return codes.reshape(len(images), 1, 1, -1)

    def decode(codes):
        codes = codes.reshape(len(codes), -1)
        return autoencoder.decoder(mean + deviation * codes)

    return encode, decode


# %% [markdown]
# Sixteen numbers have no neighborhoods, so this denoiser needs no convolutions: it is an MLP in which each hidden layer adds to the output of the one before.
# It gets the time as sines and cosines of several frequencies, because a single number could easily be drowned out by the other inputs.


# %%
class CodeDenoiser(nn.Module):
    """Noisy codes (N, 1, 1, size) and times (N, 1, 1, 1) to codes."""

    def __init__(self, size=16, hidden=512):
        super().__init__()
        self.enter = nn.Linear(size + 16, hidden)
        self.blocks = [nn.Linear(hidden, hidden) for _ in range(2)]
        self.leave = nn.Linear(hidden, size)

    def __call__(self, x, t):
        angles = t * mx.exp(mx.linspace(0, 4, 8))
        x = mx.concatenate([x, mx.sin(angles), mx.cos(angles)], axis=-1)
        x = nn.relu(self.enter(x))
        for block in self.blocks:
            x = x + nn.relu(block(x))
        return self.leave(x)


# %% [markdown]
# Everything else stays as it was: the line, the loss, the step, and the walk.
# We train one such denoiser for each of our two autoencoders, whose weights no longer change.
#
# **Which of the two will draw better, and will either of them come near the GAN?**

# %% tags=["hide-output"]
walks, seconds_codes = {}, {}
for name, autoencoder in autoencoders.items():
    encode, decode = coder(autoencoder)
    average, step, state = make_denoiser(epochs, CodeDenoiser)
    seconds_codes[name] = run(
        lambda real, step=step, encode=encode: step(encode(real)),
        state,
        epochs,
    )
    walks[name] = average, decode

# %%
code_noise = mx.random.normal((n, 1, 1, 16), key=mx.random.key(1))
drawn = {}
for name, (code_denoiser, decode) in walks.items():
    for steps in (1, 2, 4, 8, 16, 32):
        codes = draw(code_denoiser, code_noise, steps)
        drawn[name, steps] = in_parts(decode, codes)
        distance = fid_of(drawn[name, steps])
        print(f"{name}, {steps} steps: Fréchet distance {distance:.1f}")

(cost,) = medians(
    lambda: decode(draw(code_denoiser, code_noise[:500], 16))
)
print(f"16 steps and the decoder: {cost / 500:.2f} ms per image")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Twelve walks of sixteen steps each among the codes of the two autoencoders, drawn by their decoders. Nothing was selected.", "name": "fig-15-codes"}, "image": {"alt": "Two rows of twelve images. In the upper row, squared error, soft gray strokes: a four, two dark blots, a three, a five and others, several of them pale. In the lower row, adversarial, crisp black strokes: sevens, ones, a five, a zero, a four, an eight; the second and the tenth are in pieces."}}
rows = [drawn[name, 16][:12] for name in walks]
plots.digits(mx.concatenate(rows), columns=12, scale=0.6)
label_rows(["squared error", "adversarial"])

# %% [markdown]
# :::{dropdown} Answer
# The one with the adversarial term: with sixteen steps it has a distance of 51, and the other one 101.
# But neither comes near the 6.6 of the GAN.
# :::
#
# With sixteen steps, the walk among the codes of the adversarial autoencoder has less than half the distance of the walk among pixels, 51 instead of 115.
# An image takes 0.23 ms instead of 5, the decoder included, so we can afford more steps, and thirty-two of them bring the distance to 44.
# (The autoencoder, however, took an epoch of training of its own.)
#
# The speed comes from the codes, but most of the gain in quality seems to come from the discriminator, since the codes of the other autoencoder only lower the distance from 115 to 101.
# Where a code leaves several digits possible, a decoder trained on squared error alone probably draws their average, while the other one decides on strokes.
# But the encoders differ as well, and we trained each only once, so we cannot say how much is due to the decoder.
# The walk itself also remains imperfect, since the same decoder reached 4.8 with the codes of real digits.
#
# Large systems divide the labor in the same way: the diffusion model decides *what* to draw, and a decoder trained against a discriminator knows *how*.
#
# ## Where the game is played today
#
# *In decoders.* Our autoencoder is a small relative of the VQGAN ([Esser et al., 2021](../book/bibliography.md#esser-et-al-2021)), whose discriminator judges patches instead of the whole image and whose loss also compares the features of a trained classifier.
# [Rombach et al. (2022)](../book/bibliography.md#rombach-et-al-2022) adopted this recipe, so the pictures of Stable Diffusion come out of a decoder that learned from a discriminator.
#
# *In one-step drawing.* A denoiser needs many steps because its first guess is fog, and a discriminator has no trouble telling fog from real pictures.
# [Sauer et al. (2024)](../book/bibliography.md#sauer-et-al-2024) therefore train a copy of a diffusion model to draw in one to four steps, with the original model as a teacher and a discriminator that demands sharp pictures.
# They report that with four steps it reaches the quality of SDXL, one of the best diffusion models at the time.
# [Yin et al. (2024)](../book/bibliography.md#yin-et-al-2024) let the student match the distribution of its teacher, and add a discriminator that sees real images, so that the teacher's mistakes no longer limit the student.
# They report that in a single step it surpasses its teacher on ImageNet at $64 \times 64$ pixels.
# In Exercise 3 you turn our denoiser into a one-step generator.
#
# *In speech.* The last stage of a speech program turns a spectrogram into tens of thousands of samples per second, which leaves no time for many passes.
# The generator of HiFi-GAN ([Kong et al., 2020](../book/bibliography.md#kong-et-al-2020)) does it 168 times faster than real time on one V100 GPU, and a small version is still 13 times faster on a CPU.
#
# *On its own.* [Huang et al. (2024)](../book/bibliography.md#huang-et-al-2024) dropped most of the tricks that GANs had collected, combined a relativistic loss and two gradient penalties with modern networks, and report results comparable to those of the diffusion models of the time on several data sets.
#
# ## What to choose when
#
# | you want | a good first choice | because |
# |:--|:--|:--|
# | pictures on demand, on small hardware | a GAN, or a diffusion model taught to draw in one step | one pass per image |
# | the best quality, for many kinds of pictures, from words | a diffusion or flow model | no balance to lose in training, and more steps for more quality |
# | both | a diffusion model, then an adversarial loss to cut its steps | see Sauer et al. and Yin et al. |
# | to compress or restore pictures for the eye | squared error with an adversarial term | crisp, as long as invented details do no harm |
# | to restore what a measurement really showed | squared error alone | the smallest error, and fog where nobody knows |
# | sound from spectrograms, while someone waits | a GAN | see Kong et al. |
#
# The table sums up the papers above and our own small measurements, on one data set with one run each.
#
# ## Summary
#
# A network trained on squared error draws fog wherever its input leaves the answer open.
# A GAN replaces the measure with a second network, and a diffusion model replaces the one big question with many small ones.
# After about the same training time, our denoiser reached a Fréchet distance of 115 with sixteen steps, and the DCGAN reached 6.6 in a fiftieth of the time per image.
# This holds for one training each of two small networks on digits; with large networks on photographs, the order was the other way around.
# An adversarial term can be added to any network that makes pictures: it made the strokes of our autoencoder crisp, at the price of a squared error of 0.047 instead of 0.037.
# A diffusion model that walked among the codes of this autoencoder had less than half the distance of the one among pixels, in about a twentieth of the time per image.
# What you have learned is therefore not history: in several of the systems above, the game of two networks has become a part of diffusion models, in their decoders and in the training that teaches them to draw in one step.
#
# ## Exercises
#
# ### Exercise 1: The perfect denoiser (derive)
#
# Suppose that there are only $N$ training images $x_1, \dots, x_N$, each equally likely.
# Derive the best possible answer of a denoiser to $x_t$.
# What does it draw, and what follows for a network that has learned its task perfectly?
#
# :::{dropdown} Solution
# Given the image, the mix $x_t = (1 - t)\,\epsilon + t\,x_i$ is normally distributed around $t\,x_i$ with standard deviation $1 - t$ in every pixel.
# By Bayes' rule, and because all images are equally likely,
#
# $$p(i \mid x_t) = \frac{w_i}{\sum_j w_j}, \qquad w_i = \exp\left(-\frac{\lVert x_t - t\,x_i \rVert^2}{2\,(1 - t)^2}\right),$$
#
# and the answer with the smallest mean squared error is the mean $\sum_i p(i \mid x_t)\,x_i$.
# Toward the end, when $1 - t$ is small, nearly all of the weight lies on the one image that is nearest, so every walk ends at a training image.
# The cell shows this for ten walks with 64 training images.
# A perfectly trained denoiser would be a slow photocopier.
# New digits can come only from what a network of limited size, with convolutions, does *not* memorize.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
known, _ = next(data.batches(digits, 64, seed=0))


def perfect(x, t):
    """The mean of 64 images, weighted by how likely each of them is."""
    distances = mx.square(x[:, None] - t[:, None] * known)
    exponents = -distances.sum(axis=(2, 3, 4)) / 2
    exponents = exponents / mx.square(1 - t.reshape(-1, 1))
    weights = mx.softmax(exponents, axis=1)
    return (weights @ known.reshape(64, -1)).reshape(x.shape)


walks = draw(perfect, mx.random.normal((10, 28, 28, 1)), 32)
nearest = (
    mx.square(walks[:, None] - known).mean(axis=(2, 3, 4)).min(axis=1)
)
print(f"mean squared distance to a known image {nearest.max().item():.4f}")

# %% [markdown]
# ### Exercise 2: The price of crispness (derive)
#
# Let $X$ be an image and $Y$ its code, and let $m(Y) = \mathbb{E}[X \mid Y]$ be the restoration with the smallest squared error, which we call $V = \mathbb{E}\lVert X - m(Y) \rVert^2$.
# Another restoration draws $X'$ at random from $p(x \mid Y)$, so that nobody can tell a set of such pictures from real ones.
# How large is its squared error?
# And how can a judge tell the pictures $m(Y)$ from real ones?
#
# :::{dropdown} Solution
# Given $Y$, both $X$ and $X'$ are scattered around the same mean $m(Y)$, independently of each other, so the mixed term vanishes:
#
# $$\mathbb{E}\lVert X - X' \rVert^2 = \mathbb{E}\lVert X - m \rVert^2 + \mathbb{E}\lVert X' - m \rVert^2 = 2V.$$
#
# Pictures that nobody can tell from real ones therefore cost no more than twice the smallest squared error.
# The pictures $m(Y)$ give themselves away by varying too little: by the law of total variance their variance, added up over the pixels, is that of real images minus $V$.
# The cell checks this for numbers in place of images.
#
# In our autoencoder the adversarial term made the squared error about 1.3 times as large, and the lighter one of Exercise 4 about 1.1 times.
# Neither reaches the factor of 2, but their pictures can still be told from real ones, with distances of 4.8 and 9.6 where real digits have 2.
# The comparison is a rough one, because 0.037 is what our network reached and need not be the smallest error possible, and because each training finds a code of its own.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
rng = np.random.default_rng(0)
x = rng.normal(size=1_000_000)
y = x + rng.normal(size=x.shape)
smooth = y / 2  # E[x | y]; the variance of x given y is 1/2
crisp = smooth + np.sqrt(0.5) * rng.normal(size=x.shape)
for name, restored_x in (("mean", smooth), ("drawn", crisp)):
    error = np.square(restored_x - x).mean()
    print(f"{name:5s} error {error:.2f}, variance {restored_x.var():.2f}")

# %% [markdown]
# ### Exercise 3: From many steps to one (code)
#
# A denoiser that takes a single step is a generator with 784 numbers of noise.
# Wrap the trained denoiser so that `training.train` accepts it as a generator, and train it for one epoch against a new discriminator.
# How good is it, and what is missing for a distillation as in Sauer et al.?
#
# :::{dropdown} Solution
# At time 0 the denoiser goes all the way to its guess, so `OneStep` turns the 784 numbers into a noise image and asks for that guess.
# One epoch of the game lowers the Fréchet distance in a single step from 1,866 to 28, below the 115 that the denoiser has with sixteen steps.
# The pictures are no longer fog: most of the twelve can be read, and a few are malformed.
# The same network with fresh weights reaches only 67 in the same epoch, so what it had learned by removing noise helps it in the game.
# The DCGAN remains ahead with 6.6, though after three epochs.
# All this comes from one training, and the student has learned for an epoch longer than its teacher.
#
# It is not a distillation, however, because nothing tells the student which digit its teacher would have drawn from the same noise; this is what the second term of Sauer et al. adds.
# :::


# %% tags=["hide-cell"]
class OneStep(nn.Module):
    """A denoiser as a generator: it goes all the way at once."""

    latent_dim = 784

    def __init__(self, denoiser):
        super().__init__()
        self.denoiser = denoiser

    def __call__(self, z):
        x = z.reshape(-1, 28, 28, 1)
        return self.denoiser(x, mx.zeros((len(x), 1, 1, 1)))


# %% tags=["hide-cell"]
def play_once(weights=None):
    """The average of a one-step denoiser after an epoch of the game."""
    mx.random.seed(0)
    student, follower = OneStep(Denoiser()), OneStep(Denoiser())
    if weights:
        student.denoiser.update(weights)
    training.train(
        student,
        models.VarietyDiscriminator(),
        digits,
        epochs=1,
        average=follower,
        optimizer_g=recipes.adam(5e-4),
        optimizer_d=recipes.adam(3e-4),
    )
    return training.sample(follower, noise.reshape(n, -1))


one_step = play_once(denoiser.parameters())
from_scratch = play_once()

# %% tags=["hide-cell"] mystnb={"figure": {"caption": "The denoiser in a single step, from the same twelve noise images: before the game, after one epoch of it, and after one epoch from fresh weights.", "name": "fig-15-one-step"}, "image": {"alt": "Three rows of twelve images. The first shows nearly the same gray fog twelve times. The second and the third show black strokes on white, of which most can be read; in each row a few are malformed."}}
rows = {
    "before": draw(denoiser, noise, 1),
    "after": one_step,
    "from scratch": from_scratch,
}
for name, pictures in rows.items():
    print(f"one step, {name}: Fréchet distance {fid_of(pictures):.1f}")
first = [pictures[:12] for pictures in rows.values()]
plots.digits(mx.concatenate(first), 12, scale=0.5)
label_rows(rows)

# %% [markdown]
# ### Exercise 4: A lighter discriminator (change and explain)
#
# Train the autoencoder with a $\lambda$ that is a tenth as large.
# Before you do, say which way each of the numbers in the table will move.
#
# :::{dropdown} Solution
# The smaller $\lambda$ is, the less squared error the autoencoder will accept in exchange for fooling the discriminator, so the squared error should fall and the Fréchet distance rise.
# Both do: from $\lambda = 0.2$ to 0.02 and 0 the error goes from 0.047 to 0.041 and 0.037, and the distance from 4.8 to 9.6 and 24.4.
#
# The other two columns are harder to predict.
# The classifier is sure of 96 % of the pictures with either weight, and reads the right digit in 96.8 % with the large one and in 97.1 % with the small one.
# With one training each, we cannot tell whether such small differences mean anything.
# The printed losses cannot be compared at all, since they contain the adversarial term with its weight.
# :::

# %% tags=["hide-cell"]
restored["a tenth of the weight"] = restore(train_autoencoder(0.02))
rows = [[name, *scores(pictures)] for name, pictures in restored.items()]
as_table(header, rows)

# %% [markdown]
# ## Further reading
#
# - [Blau and Michaeli (2018)](../book/bibliography.md#blau-and-michaeli-2018) prove the tradeoff, explain why GANs are a natural way to its limit, and place many methods of super-resolution in the plane of the two measures.
# - [Liu et al. (2023)](../book/bibliography.md#liu-et-al-2023) is the friendliest paper on straight lines from noise to images. Its *reflow* straightens the walks until few steps do, without any discriminator.
# - [Sauer et al. (2024)](../book/bibliography.md#sauer-et-al-2024) and [Yin et al. (2024)](../book/bibliography.md#yin-et-al-2024) show what a discriminator does for a diffusion model; in both, look at the tables in which one term of the loss is left out.
# - [Esser et al. (2021)](../book/bibliography.md#esser-et-al-2021) chooses the weight $\lambda$ during training, from the sizes of two gradients.
# - [Huang et al. (2024)](../book/bibliography.md#huang-et-al-2024) is the paper to begin with if you want to train a GAN of your own today.
# - The [diffusion course of Hugging Face](https://huggingface.co/learn/diffusion-course) builds a diffusion model from scratch, and then uses large ones.
