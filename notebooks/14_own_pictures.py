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
# # Your own pictures, and little data
#
# So far, our generators have learned from sixty thousand digits that somebody else had cut out, centered, and cleaned.
# Your own pictures come in every shape, and there are seldom sixty thousand of them.
# In this chapter we train the DCGAN on fewer than four thousand drawings of letters, watch its discriminator learn them by heart, and find out how to prevent that and what the cure is worth.
# Then we ask the generator which drawings it cannot make.
# At the end, two commands train a generator on a folder of your own pictures.
#
# *Before: [Measuring](08_measuring.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: twenty-five minutes · To run: about four minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import (
    augment,
    data,
    layers,
    measures,
    metrics,
    pictures,
    plots,
    recipes,
    training,
)

import json
import tempfile
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from IPython.display import Markdown, display
from PIL import Image, ImageDraw

# %% mystnb={"figure": {"caption": "Forty-eight drawings from Omniglot, chosen at random. They are the data of this chapter.", "name": "fig-14-characters"}, "image": {"alt": "Three rows of sixteen characters in thin dark strokes, among them Greek, Latin, Korean and Sanskrit letters, each drawn by a different hand."}}
characters = data.load("train", "omniglot")
held_out = data.load("test", "omniglot")
order = np.random.default_rng(14).permutation(len(characters))
plots.digits(
    characters.images[mx.array(order[:48])], columns=16, scale=0.42
)

# %% [markdown]
# ## From a file to 784 numbers
#
# A picture from a phone may have twelve million pixels in three colors, but our networks want $28 \times 28$ gray ones.
# Most of the way there is bookkeeping, but one step hides a trap.
# Here is a drawing of a house, in lines five pixels wide.
# Its middle square of $300 \times 300$ pixels is about eleven times as wide as our images.
#
# **What will the house look like if we take every eleventh pixel and forget the rest?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The middle square of a drawing, every eleventh pixel of it, and what the book's function `pictures.ink` makes of it.", "name": "fig-14-house"}, "image": {"alt": "Three pictures of a house. The first is a clean line drawing. In the second, in coarse pixels, the left wall, the sides of the door, and half of the roof are missing. In the third, equally coarse, all lines are there, but gray and of different darkness."}}
canvas = Image.new("RGB", (400, 300), "white")
pen = ImageDraw.Draw(canvas)
pen.rectangle((123, 137, 277, 262), outline="black", width=5)
pen.line([(95, 140), (200, 41), (305, 140)], fill="black", width=5)
pen.rectangle((182, 190, 219, 262), outline="black", width=5)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "house.png")
    canvas.save(path)
    inked = 255 - pictures.ink(path)
square = np.asarray(canvas.convert("L"))[:, 50:350]
picked = square[5::11, 5::11]
figure, panels = plt.subplots(1, 3, figsize=(7.5, 2.5))
for axes, picture, title in (
    (panels[0], square, "300 x 300"),
    (panels[1], picked, "every eleventh pixel"),
    (panels[2], inked, "average of areas"),
):
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set(title=title, xticks=[], yticks=[])
    axes.grid(False)
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# The left wall, the sides of the door, and half of the roof are gone.
# :::
#
# A line that is thinner than the gap between the pixels we keep survives only by luck.
# The cure is to let every new pixel be the average over the area that it covers: a thin line then turns pale, but no part of it gets lost.
# `data.load` does this for a folder of pictures, and the bookkeeping too: it turns each picture upright, makes transparent parts white and colors gray, and cuts out the square in the middle.
# It also swaps black and white, because in the book's data 0 is paper and 255 is ink.
#
# ## When is a drawing new?
#
# Our data come from [Omniglot](https://github.com/brendenlake/omniglot), for which [Lake et al. (2015)](../book/bibliography.md#lake-et-al-2015) asked people to draw the letters of alphabets from all over the world.
# The two small files that `data.load` downloads hide two pitfalls that are common in collected pictures.
#
# First, the files hold 5,840 drawings, but the Greek and the Latin alphabets are in both, so only 4,840 of the drawings are different.
# If we had simply set some aside at random, many of those would have had an identical twin among the training images.
# Second, each alphabet was drawn by twenty people, and one person's letters resemble each other, so a drawing is new to a network only if the *person* is.
# `data.load` therefore takes every drawing once, and from each alphabet it holds out everything that four of the twenty people drew.
# (The files do not say whether one of the four also drew another alphabet.)

# %% tags=["nbval-check-output"]
for name, part in (("training", characters), ("held out", held_out)):
    copies = np.unique(np.array(part.images), axis=0, return_counts=True)
    print(f"{name}: no drawing more than {copies[1].max()} times")
classes = len(np.unique(np.array(characters.labels)))

# %%
print(f"{classes} characters, {len(characters) / classes:.0f} drawings of")
print(f"each for training and {len(held_out) / classes:.0f} held out;")
print(f"an epoch is {len(characters) // 64} steps, with MNIST it is 937")

# %% [markdown]
# When you split pictures of your own, ask what they share: pictures of the same person, place, or minute of a film belong on the same side.
# (From a folder, `data.load` simply holds out every tenth picture.)
#
# ## A ruler for letters
#
# To say whether the generator gets better, we need the features of a network that knows what matters in a letter.
# The judge from [Measuring](08_measuring.ipynb) knows only digits, but these too are made of strokes, curves, and corners.
# Since Omniglot tells us which character each drawing shows, we replace the judge's ten outputs with 242 new ones and train it further.

# %% tags=["hide-input"]
mx.random.seed(0)
judge = mlxgan.load_pretrained("classifier").train()
judge.output = nn.Linear(128, classes)
judge_epochs = 2 if mlxgan.SMOKE else 20
total = judge_epochs * (len(characters) // 64)
optimizer = optim.Adam(
    optim.cosine_decay(1e-3, total), bias_correction=True
)
optimizer.init(judge.trainable_parameters())
layers.column_major(judge, optimizer)
state = [judge.state, optimizer.state, mx.random.state]


def cross_entropy(images, labels):
    logits = judge(augment.translate(images))
    return nn.losses.cross_entropy(logits, labels, reduction="mean")


gradient_of = nn.value_and_grad(judge, cross_entropy)


@partial(mx.compile, inputs=state, outputs=state)
def step(images, labels):
    loss, gradients = gradient_of(images, labels)
    optimizer.update(judge, gradients)
    return loss


for epoch in range(judge_epochs):
    for images, labels in data.batches(
        characters, 64, seed=0, epoch=epoch
    ):
        mx.eval(step(images, labels), state)


# %%
def look(part):
    """Features of the images, and the fraction named correctly."""
    features, probabilities = metrics.features(judge, part.images)
    right = probabilities.argmax(axis=1) == np.array(part.labels)
    return features, right.mean()


_, right_known = look(characters)
real, right_real = look(held_out)
print(f"named correctly: {right_known:.2f} of the training drawings")
print(f"and {right_real:.2f} of those held out, of {classes} characters")

# %% [markdown]
# The judge names 77 % of the held-out drawings correctly, where guessing would be right once in 242 times.
# It names 89 % of the training drawings, so perhaps its features for drawings that it has studied differ from those for new ones, which would make it a poor ruler.
#
# We test it with the kernel distance (KID) from the held-out drawings to training drawings, which should be 0, and to five sets of training drawings damaged on purpose.
# The first combines the upper half of each letter with the lower half of another, the second is blurred, the third is shifted by up to three pixels, and the last two lack variety.
#
# **Which of the five damages will the judge notice least?**


# %% tags=["hide-input"]
def sample_of(images, n, seed=0):
    """n of the images, drawn without replacement."""
    chosen = np.random.default_rng(seed).permutation(len(images))[:n]
    return images[mx.array(chosen)]


n = len(held_out)
some = sample_of(characters.images, n)
others = sample_of(some, n, seed=1)
halves = mx.concatenate([some[:, :14], others[:, 14:]], axis=1)
pixels = data.normalize(some)
blurred = (pixels + mx.roll(pixels, 1, axis=2)) / 2
mx.random.seed(3)
moved = augment.translate(pixels)
hundred = sample_of(characters.images, 100)
sets = {
    "training drawings": some,
    "upper and lower halves mixed": halves,
    "blurred by one pixel": blurred,
    "shifted by up to three pixels": moved,
    "half of the characters": sample_of(
        characters.images[: len(characters) // 2], n
    ),
    "100 drawings, again and again": mx.tile(hundred, (10, 1, 1, 1))[:n],
}

# %%
rows = ["| set | KID | precision | recall | coverage |"]
rows.append("|:--|--:|--:|--:|--:|")
for name, images in sets.items():
    found, _ = metrics.features(judge, images)
    kid, error = measures.kid(real, found)
    precision, recall = measures.precision_recall(real, found)
    _, coverage = measures.density_coverage(real, found)
    numbers = f"{kid:.1f} ± {error:.1f} | {precision:.2f} | {recall:.2f}"
    rows.append(f"| {name} | {numbers} | {coverage:.2f} |")
display(Markdown("\n".join(rows)))

# %% [markdown]
# :::{dropdown} Answer
# The shift, although precision and coverage overlook the blur as well.
# :::
#
# The training drawings get a KID of $-4.5 \pm 3.4$, little more than one error away from 0 (the unbiased estimate can fall below it), so our ruler treats the drawings that the judge has studied like new ones.
#
# The KID notices four of the damages, with values more than four times their errors, but hardly the shift, with $10.4 \pm 4.7$, because the judge was trained on shifted drawings and has learned to forgive them.
# Precision and coverage give the blur the best marks in the table, because they only ask whether drawings lie *near* each other, and a blurred drawing stays close to its original.
# Recall, however, drops when half of the characters are missing, and falls to 0 when a hundred drawings come back again and again.
#
# We will therefore look at all four numbers, and compare them only within this chapter, because their scale belongs to our judge.
#
# ## The recipe, counted in steps
#
# For the GAN itself we take the DCGAN's recipe from [Convolutions](09_convolutions.ipynb), with both networks at half the width to save you time.
# Twelve epochs of MNIST are more than eleven thousand steps, but only 720 with 3,872 drawings, so we count in steps and take 1,200 of them, however often the drawings come around.
#
# Every 120 steps we ask the discriminator for its opinion on three kinds of drawings: real ones that it is trained on, real ones that it has never seen, and fakes.

# %%
recipe = recipes.RECIPES["dcgan"]
narrow = {"channels": 16, "hidden": 256}
total_steps, every = (30, 1) if mlxgan.SMOKE else (1200, 120)
n = len(held_out) // 64 * 64
unseen = data.normalize(sample_of(held_out.images, n))
test_z = mx.random.normal((n, 100), key=mx.random.key(1))


def mean_logit(discriminator, images):
    """Mean logit of images, judged 64 at a time as in training."""
    starts = range(0, len(images), 64)
    parts = [discriminator(images[i : i + 64]) for i in starts]
    return mx.concatenate(parts).mean().item()


# %%
def run(drawings, discriminator):
    """Train; return the average and rows of steps and mean logits."""
    generator = recipe.generator(**narrow)
    average = recipe.generator(**narrow)
    in_epoch = len(drawings) // 64
    seen = data.normalize(sample_of(drawings.images, n))
    opinions = []

    def watch(epoch, history):
        if epoch * in_epoch % every == 0:
            three = (seen, unseen, training.sample(generator, test_z))
            logits = [mean_logit(discriminator, x) for x in three]
            opinions.append([epoch * in_epoch, *logits])

    training.train(
        generator,
        discriminator,
        drawings,
        epochs=total_steps // in_epoch,
        average=average,
        on_epoch=watch,
        **recipe.settings(),
    )
    return average, np.array(opinions)


# %% tags=["hide-output"]
mx.random.seed(0)
from_all, by_all = run(characters, recipe.discriminator(**narrow))

# %% mystnb={"figure": {"caption": "Thirty-two samples of the averaged generator after 1,200 steps on 3,872 drawings, none left out.", "name": "fig-14-plain"}, "image": {"alt": "Two rows of sixteen generated characters in thin dark strokes: several look like Sanskrit letters with a level bar, many are bundles of strokes with gaps, and a few consist of a single stroke."}}
plots.digits(
    training.sample(from_all, test_z[:32]), columns=16, scale=0.42
)

# %% [markdown]
# Some of these could come from an alphabet, and others are bundles of strokes that nobody would write.
#
# Now we choose 512 of the drawings at random, about two of every character, and train on nothing else for just as many steps.
#
# **What do you expect: the same quality with less variety, or worse drawings? And what will the discriminator think of real drawings that it has never seen?**

# %% tags=["hide-output"]
first = mx.array(np.random.default_rng(0).permutation(len(characters)))
first = first[:512]
few = data.Digits(
    characters.images[first], characters.labels[first], "512 drawings"
)
mx.random.seed(0)
from_few, by_few = run(few, recipe.discriminator(**narrow))

# %% mystnb={"figure": {"caption": "Samples for the same z, after as many steps on 512 drawings.", "name": "fig-14-few"}, "image": {"alt": "Two rows of sixteen squares, each filled from edge to edge with black and white speckle. There is no stroke in any of them, and all but a few look nearly the same."}}
plots.digits(
    training.sample(from_few, test_z[:32]), columns=16, scale=0.42
)

# %% [markdown]
# :::{dropdown} Answer
# Neither: there are no drawings at all, only speckle, and nearly the same speckle whatever the $z$.
# The second question is answered in the next section.
# :::
#
# This is no accident of one seed, as we will see.
# (The warning in the folded output proves nothing, because it also comes in a later run that succeeds.)
#
# ## Learned by heart
#
# To find out what went wrong, let us compare the discriminator's opinions in the two runs.


# %% tags=["hide-input"] mystnb={"figure": {"caption": "The discriminator's mean logit during both runs. In the run on 512 drawings, real drawings that it has never seen get nearly the same logit as fakes.", "name": "fig-14-heart"}, "image": {"alt": "Two panels with three curves over 1,200 steps. On the left, 3,872 drawings, the curve for drawings trained on rises to 0.7, that for fakes falls to -0.6, and that for drawings never seen stays near 0, between them. On the right, 512 drawings, the curve for drawings trained on rises to 2.8, and those for drawings never seen and for fakes fall together to -2.0 and -2.5."}}
def draw_opinions(axes, opinions, title):
    for column, (name, color, style) in enumerate(
        (
            ("real, trained on", plots.REAL, "-"),
            ("real, never seen", plots.REAL, ":"),
            ("fake", plots.FAKE, "-"),
        )
    ):
        steps, logits = opinions[:, 0], opinions[:, column + 1]
        axes.plot(steps, logits, style, color=color, label=name)
    axes.set(xlabel="step", title=title)


figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
draw_opinions(panels[0], by_all, "3,872 drawings")
draw_opinions(panels[1], by_few, "512 drawings")
panels[0].set(ylabel="mean logit")
panels[0].legend()
plt.show()


# %%
def by_heart(opinions):
    """How far unseen drawings lie on the way from real to fake."""
    _, seen, unseen, fake = opinions.T
    return (seen - unseen) / (seen - fake)


for count, opinions in ((3872, by_all), (512, by_few)):
    shares = " ".join(f"{share:.2f}" for share in by_heart(opinions))
    print(f"{count:4d} drawings: {shares}")

# %% [markdown]
# A discriminator that had understood what makes a drawing real would give the same logit to both kinds of real drawings, but neither of ours does.
# [Karras et al. (2020)](../book/bibliography.md#karras-et-al-2020) turn this into the number that the cell prints: if the training drawings are at 0 and the fakes at 1, how far along are the unseen drawings?
# With 3,872 drawings the number rises from 0.29 to 0.48.
# With 512 it is at least 0.82 from the first look on, so unseen drawings are treated nearly like fakes from the beginning.
#
# Why should that bother the generator, which never sees a drawing anyway?
# Because its only teacher now asks "have I seen this one before?" instead of "does it look real?".
# To a discriminator that knows 512 drawings by heart, a good new letter is as much a fake as a bad one, so the gradient no longer rewards drawing better.
#
# ## A different view each time
#
# When a classifier has too little data, the usual cure is **augmentation**: each time an image comes around, it is changed a little, for example shifted, cropped, or darkened, so that there is nothing fixed to learn by heart.
# For a GAN there is a catch, though.
#
# **Suppose that we show the discriminator shifted drawings as examples of real ones. What will the generator learn to draw?**
#
# :::{dropdown} Answer
# Shifted drawings, since these are what the discriminator calls real.
# :::
#
# The way out, found by [Zhao et al. (2020)](../book/bibliography.md#zhao-et-al-2020) and by Karras et al. in the same year, is to show the discriminator *everything* through the same changes, real drawings and fakes alike.
# It then compares changed drawings with changed fakes, and the generator can make the two agree by drawing like the real, unchanged ones.
# Because the generator learns through the discriminator's input, each change has to let the gradient pass, which is why this is called **differentiable augmentation**.
#
# Zhao et al. change the brightness, shift the picture, and wipe out a square.
# Our letters are black on white and too small to lose a square, so we only shift them, by up to three pixels.


# %%
def translate(images, most=3):
    """Shift each image by up to three pixels along each axis."""
    n, height, width, _ = images.shape
    frame = [(0, 0), (most, most), (most, most), (0, 0)]
    padded = mx.pad(images, frame, constant_values=-1.0)
    top, left = mx.random.randint(0, 2 * most + 1, (2, n, 1, 1, 1))
    rows = top + mx.arange(height).reshape(1, -1, 1, 1)
    columns = left + mx.arange(width).reshape(1, 1, -1, 1)
    padded = mx.take_along_axis(padded, rows, axis=1)
    return mx.take_along_axis(padded, columns, axis=2)


# %% [markdown]
# Each image gets a frame of paper, out of which `take_along_axis` cuts a window of the old size at a random place.
#
# There is a second catch.
# If *every* picture is shifted, the discriminator never learns where a drawing really stood, so it hardly notices when the generator misplaces its letters, and the shift can **leak** into the samples.
# The remedy is to leave some pictures as they are, because in those a misplaced letter shows.
# Karras et al. advise a probability below 0.8, close to the limit that we find in Exercise 1, and we toss a coin for each picture.
#
# We build this into a module that wraps the discriminator and changes its input while it is trained.


# %%
class Augmented(nn.Module):
    """A discriminator that sees some images shifted in training."""

    def __init__(self, discriminator, probability=0.5):
        super().__init__()
        self.discriminator = discriminator
        self.probability = probability

    def __call__(self, images, *labels):
        if self.training:
            random = mx.random.uniform(shape=(len(images), 1, 1, 1))
            chosen = random < self.probability
            images = mx.where(chosen, translate(images), images)
        return self.discriminator(images, *labels)


# %% [markdown]
# The training step needs no change: the gradient flows through the shift to the generator, and since the compiled step lists `mx.random.state` among its inputs and outputs, each call draws new shifts.
# (The package has this class as `augment.Augmented`.)

# %% tags=["hide-output"]
mx.random.seed(0)
augmented, by_augmented = run(
    few, Augmented(recipe.discriminator(**narrow))
)

# %% mystnb={"figure": {"caption": "Samples for the same z once more, after as many steps on the same 512 drawings, with the coin.", "name": "fig-14-augmented"}, "image": {"alt": "Two rows of sixteen generated characters again: bars, hooks, boxes, and frayed bundles of strokes, denser than those from 3,872 drawings and about as legible."}}
plots.digits(
    training.sample(augmented, test_z[:32]), columns=16, scale=0.42
)

# %%
shares = " ".join(f"{share:.2f}" for share in by_heart(by_augmented))
print(f"512 drawings, some shifted: {shares}")

# %% [markdown]
# The letters are back, and they look about as good as those from all drawings, although they come from an eighth of them.
# The number is lower than without the coin, but it still rises to 0.73.
# (In part it is lower because the wrapper also shifts half of the drawings that we ask about, and a shifted training drawing is itself partly unseen.)
#
# ## What the shifts are worth
#
# Three runs with one seed prove little.
# `tools/little_data.py` has therefore repeated each of them with five seeds and another choice of 512 drawings for every seed, and added two settings: all drawings with the coin, and 512 with every picture shifted.
# Our ruler then measured the averaged generators.

# %% tags=["hide-input", "nbval-check-output"] mystnb={"markdown_format": "myst"}
path = mlxgan.ROOT / "book/data/little_data.json"
stored = json.loads(path.read_bytes())["runs"]


def at_end(setting, name):
    """One number per seed, from the end of the run."""
    return np.array([run["rows"][-1][name] for run in stored[setting]])


names = "kid", "precision", "recall", "coverage"
rows = ["| drawings | shifted | " + " | ".join(names) + " |"]
rows.append("|:--|:--" + "|--:" * len(names) + "|")
counts = {"all": "3,872", "few": "512"}
shifted = {"0": "none", "0.5": "half", "1": "every one"}
for setting in stored:
    amount, probability = setting.split(", ")
    cells = [counts[amount], shifted[probability]]
    for name in names:
        low, middle, high = np.quantile(at_end(setting, name), [0, 0.5, 1])
        form = ",.0f" if name == "kid" else ".2f"
        cells.append(f"{middle:{form}} ({low:{form}} to {high:{form}})")
    rows.append(f"| {' | '.join(cells)} |")
display(Markdown("\n".join(rows)))

# %% [markdown]
# The table shows the median of the five runs, and in parentheses the lowest and the highest.
# To compare two settings, we take the difference in coverage between runs with the same seed, which start from the same weights and see the same drawings.
# With only five differences, a 95 % interval for their mean reaches 2.78 standard errors to each side.

# %% tags=["nbval-check-output"]
for setting, other in (
    ("few, 0.5", "few, 0"),
    ("few, 0.5", "few, 1"),
    ("all, 0.5", "all, 0"),
):
    difference = at_end(setting, "coverage") - at_end(other, "coverage")
    half = 2.78 * difference.std(ddof=1) / np.sqrt(len(difference))
    drawn, probability = setting.split(", ")
    print(f"{counts[drawn]} drawings, shifted:", end=" ")
    print(f"{shifted[probability]} minus", end=" ")
    print(f"{shifted[other.split(', ')[1]]}", end=" ")
    print(f"{difference.mean():+.2f} ± {half:.2f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Coverage (left) and how much the discriminator has learned by heart (right) in all 25 runs. The legend gives the number of drawings, and how many pictures were shifted.", "name": "fig-14-seeds"}, "image": {"alt": "Two panels of curves from step 240 to 1,200, five curves for each of five settings. Left: the coverage rises to between 0.7 and 0.8 with 3,872 drawings, shifted or not, to about 0.7 with 512 of which half are shifted, and to between 0.5 and 0.65 with 512 of which every one is shifted. With 512 drawings and no shift it stays near 0. Right: learned by heart is between 0.8 and 1 with 512 drawings and no shift, grows from about 0.6 to 0.8 with half of them shifted, and from 0.3 to about 0.5 with 3,872 drawings. It stays between 0.1 and 0.25 with 3,872 of which half are shifted, and mostly between 0.05 and 0.3 with 512 of which every one is shifted."}}
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
styles = {
    "all, 0": (plots.REAL, "-"),
    "all, 0.5": (plots.REAL, "--"),
    "few, 0": (plots.FAKE, "-"),
    "few, 0.5": (plots.FAKE, "--"),
    "few, 1": (plots.FAKE, ":"),
}
for setting, (color, style) in styles.items():
    amount, probability = setting.split(", ")
    label = f"{counts[amount]}, {shifted[probability]}"
    for result in stored[setting]:
        names = "step", "seen", "unseen", "fake"
        table = np.array([[r[k] for k in names] for r in result["rows"]])
        coverage = [row["coverage"] for row in result["rows"]]
        left.plot(table[:, 0], coverage, style, color=color, lw=1)
        right.plot(
            table[:, 0], by_heart(table), style, c=color, lw=1, label=label
        )
        label = None
left.set(xlabel="step", ylabel="coverage")
right.set(xlabel="step", ylabel="learned by heart", ylim=(-0.5, 1.1))
figure.legend(loc="outside right upper", fontsize=8)
plt.show()

# %% [markdown]
# **With 512 drawings, shifting half of the pictures decides between success and failure.**
# Without it, all five runs fail as ours did, and their speckle drives the KID, whose kernel is cubic, into the thousands and beyond.
# With it, the coverage is 0.71 and in no run below 0.69, nearly as much as the 0.77 of all 3,872 drawings.
# The recall, however, is 0.12 instead of 0.27: augmentation does not replace the missing drawings.
#
# **With 3,872 drawings, the coin brings nothing that we can measure.**
# The discriminator seems to learn much less by heart, but after 1,200 steps the coverage has changed by −0.02 ± 0.02, so if anything it has fallen.
# We have not tried longer runs, but in [Karras et al. (2020)](../book/bibliography.md#karras-et-al-2020), too, augmentation brings more the fewer the data are.
#
# **Shifting every picture is better than nothing, but worse than the coin**, by 0.15 ± 0.08 in coverage.
# Our judge forgives shifts, so the numbers cannot tell whether the reason is the one that we gave, letters in the wrong place.
# They do show that these generators lack variety: recall has almost vanished, while precision is only a little lower.
#
# In the right panel of the figure, hardly anything is learned by heart with every picture shifted, and yet the samples are worse than with the coin.
# So a low number alone does not make the discriminator a good teacher.
#
# All of these generators are far from done: even in the two best settings the median KID is about 110, higher than for any of the damaged sets above.
#
# ## What can it draw?
#
# A sheet of samples shows what a generator likes to draw, but not what it never draws.
# So we turn the question around: given a drawing, is there any noise $z$ for which the generator draws it?
# Searching for that $z$ is called **inversion**.
#
# ![The generator turns z into a digit, which is compared with a given drawing. A dashed gradient leads from the loss back through the unchanged generator to z. Below, the digit after 0, 20 and 300 steps looks more and more like the given drawing.](../book/diagrams/inversion.svg)
#
# *Inversion searches for the z of a given drawing: the gradient runs back through the generator, and only z is updated.*
#
# The loss is the mean squared difference between $G(z)$ and the drawing.
# A search from a poor start easily gets stuck, so we start from the best of a few thousand random vectors.
# Before each step we put $z$ back on the sphere of radius 10, near which practically all noise lies ([Generator and discriminator](04_models.ipynb)), because far away from it we might find drawings that the generator never makes in practice.


# %%
trials = 500 if mlxgan.SMOKE else 4000
steps = 20 if mlxgan.SMOKE else 300
trial_z = mx.random.normal((trials, 100), key=mx.random.key(2))


def nearest_trial(generator, images):
    """The best of the trial vectors for each image."""
    drawn = training.sample(generator, trial_z).reshape(trials, -1)
    flat = images.reshape(len(images), -1)
    # |drawn - image|^2, without |image|^2, which is the same for all
    squares = mx.square(drawn).sum(axis=1)
    return trial_z[(squares - 2 * flat @ drawn.T).argmin(axis=1)]


def on_sphere(z):
    return 10 * z / mx.linalg.norm(z, axis=1, keepdims=True)


def invert(generator, images, put_back=on_sphere):
    """Search the noise behind images; return it and the errors."""
    optimizer = optim.Adam(0.1, bias_correction=True)
    z = nearest_trial(generator, images)

    def error(z):
        return mx.square(generator(z) - images).mean(axis=(1, 2, 3))

    slope = mx.grad(lambda z: error(z).sum())
    for _ in range(steps):
        z = put_back(z)
        z = optimizer.apply_gradients({"z": slope(z)}, {"z": z})["z"]
        mx.eval(z, optimizer.state)
    z = put_back(z)
    return z, error(z)


# %% [markdown]
# If the search fails, is it the generator that cannot draw the letter, or the search that is too weak to find it?
# To know, we first try each of our three generators on drawings for which there certainly is a $z$: its own.
# Then come drawings that it was trained on, held-out drawings, and the held-out drawings upside down, which have the same strokes but are seldom letters.
#
# **Which of the four kinds will they draw best? And will they draw the training drawings better than the new ones?**

# %%
m = 8 if mlxgan.SMOKE else 64
new = data.normalize(sample_of(held_out.images, m, seed=1))


def missed(generator, drawings):
    """Noise and errors for four kinds of drawings, m of each."""
    own = training.sample(generator, test_z[:m])
    old = data.normalize(sample_of(drawings.images, m, seed=1))
    wanted = mx.concatenate([own, old, new, new[:, ::-1, ::-1]])
    found_z, errors = invert(generator, wanted)
    ink = mx.square(wanted + 1).mean(axis=(1, 2, 3))
    return found_z, np.array(errors / ink).reshape(4, m)


kinds = "its own", "trained on", "held out", "upside down"
rows = ["| trained on | " + " | ".join(kinds) + " |", "|:--" * 5 + "|"]
for name, generator, drawings in (
    ("512", from_few, few),
    ("512, half shifted", augmented, few),
    ("3,872", from_all, characters),
):
    found_z, errors = missed(generator, drawings)
    spread = errors.std(axis=1, ddof=1) / np.sqrt(m)
    pairs = zip(errors.mean(axis=1), spread, strict=True)
    cells = [f"{mean:.2f} ± {plus:.2f}" for mean, plus in pairs]
    rows.append(f"| {name} | " + " | ".join(cells) + " |")
display(Markdown("\n".join(rows)))

# %% [markdown]
# :::{dropdown} Answer
# They draw their own best, and the training drawings hardly better than the new ones, or no better at all.
# :::
#
# Each number is a squared error divided by that of an empty sheet, so 0 is a perfect copy and 1 is no better than drawing nothing.
# The standard error behind ± is over the 64 drawings; from one generator of each kind, we cannot tell how much another training would change.
#
# The search finds each generator's own drawings again, with an error of 0.02 or less, so we can take it seriously where it fails.
# The generator that learned from all 3,872 drawings misses 0.28 of a held-out drawing, and 0.31 if that drawing is upside down, a difference too small to say that it knows more than which strokes there are.
# The one that learned from 512 with the coin misses more, 0.41, which fits its lower recall.
# The one without the coin has only its speckle: for real drawings, its error of about 1.8 is nearly twice that of an empty sheet.
#
# This is also a test for copying, proposed by [Webster et al. (2019)](../book/bibliography.md#webster-et-al-2019): a generator that had stored its training drawings would find them much more easily than new ones.
# We see no clear sign of that, because the largest advantage of the training drawings, 0.38 compared with 0.41, is about as large as the errors.
#
# Which drawings, then, are beyond the generator that learned from all 3,872?

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Held-out drawings (first and third row), and below each the closest to it that the search found. The upper pair of rows shows the eight best of 64, the lower pair the eight worst.", "name": "fig-14-inverted"}, "image": {"alt": "Four rows of eight. In the upper two, letters such as an o, an h, and several Sanskrit letters with a level bar, and copies that differ from them only by frayed edges. In the lower two, larger letters such as a wide one of two parts, Japanese katakana, and a curly one; of their copies some stems and corners are there, and long strokes fade, break or are missing."}}
copies = training.sample(from_all, found_z)[2 * m : 3 * m]
by_error = np.argsort(errors[2])
best, worst = mx.array(by_error[:8]), mx.array(by_error[-8:])
rows = [new[best], copies[best], new[worst], copies[worst]]
plots.digits(mx.concatenate(rows), columns=8)

# %% [markdown]
# The best eight are mostly small and compact, whereas the worst eight are larger, and their long strokes fade, break, or are missing.
#
# ## Two commands
#
# You can also run this training from the command line, on a folder of your own, here called `drawings`.
# First look at your pictures as the networks will see them, with `plots.digits(data.load("train", "drawings").images[:48])`: if you can no longer tell what they show, neither can a discriminator.
# Then train a generator and draw a sheet from it:
#
# ```bash
# python -m mlxgan train --model dcgan --data drawings --augment --epochs 170 --out runs/mine
# python -m mlxgan sample --model runs/mine/generator.safetensors --out mine.png
# ```
#
# Here `--augment` stands for the coin.
# An epoch has $n/64$ steps, rounded down, for $n$ training pictures, which are nine tenths of your folder (you need at least 64 of them).
# So 1,200 steps are about 170 epochs for a folder of 512 and 20 for one of 4,300, but with both networks at their full width they take longer than here and give other numbers.
#
# `--data` also takes an `.npz` file with an array `images` of gray levels, and `fashion` for the clothes of Fashion-MNIST ([Xiao et al., 2017](../book/bibliography.md#xiao-et-al-2017)), which we have not run.
# The command `evaluate` refuses to measure your samples, because its judge knows only MNIST.
# If your pictures have labels, you can make a judge of your own, as we did.
# Otherwise, look at the samples, and let the functions of this chapter show what the generator misses in pictures that it has never seen:
#
# ```python
# generator = checkpoints.load("runs/mine/generator.safetensors")
# new = data.normalize(data.load("test", "drawings").images)
# z, errors = invert(generator, new)
# plots.digits(mx.concatenate([new, training.sample(generator, z)]), len(new))
# ```
#
# Whatever the data, these networks draw $28 \times 28$ gray pixels, which is enough for drawings, stamps, and icons, and too little for faces.
#
# ## Summary
#
# When pictures shrink to training images, every pixel should be the average of an area, so that thin lines survive.
# A held-out set is only worth its name if it shares neither copies nor people with the training set.
# With little data the discriminator learns the training set by heart, and with 512 drawings the generator then learned no letters at all.
# The cure is to change everything that the discriminator sees, real and fake, in ways that let the gradient pass.
# With a coin for each picture, 512 drawings gave nearly the coverage of 3,872, although less recall, and shifting every picture was worse.
# Inversion searches for the noise behind a given drawing, which shows what a generator cannot draw, and whether it draws its training images more easily than new ones.
#
# ## Exercises
#
# ### Exercise 1: What a change can hide (derive)
#
# Suppose that a drawing may stand at any of the 28 positions of a ring, so that what is shifted out on one side comes back on the other, and let $p(x)$ be the probability that it stands at position $x$.
# A random shift replaces $p$ by $(q * p)(x) = \sum_s q(s)\,p(x - s)$, where $q(s)$ is the probability that we shift by $s$.
# Which distribution $p_g$ is best for the generator if only the real drawings are shifted, and which ones are best if both real drawings and fakes are?
# Use the Fourier transform $\hat p(k) = \sum_x p(x)\,e^{-2 \pi i k x / 28}$, which turns $q * p$ into the product $\hat q\,\hat p$.
# For which $k$ does the uniform shift from $-3$ to 3 hide a difference, and what changes if a drawing is shifted only with some probability below 1?
#
# :::{dropdown} Solution
# The best that the generator can do is to make the two distributions that the discriminator compares equal.
# If only the real drawings are shifted, this means $p_g = q * p_\text{data}$: it learns to shift.
# If both are, it means $q * p_g = q * p_\text{data}$, or $\hat q(k)\,(\hat p_g(k) - \hat p_\text{data}(k)) = 0$ for every $k$.
# So $\hat p_g(k) = \hat p_\text{data}(k)$ wherever $\hat q(k) \ne 0$, and if $\hat q$ has no zero, then $p_g = p_\text{data}$.
# For the uniform shift $\hat q(k) = \frac17 \sum_{s=-3}^{3} e^{-2 \pi i k s/28}$ is a sum over seven equal steps on the circle, which is 0 if they go around a whole number of times, that is for $k = 4, 8, 12, 16, 20$ and 24.
# A difference between $p_g$ and $p_\text{data}$ that repeats after seven positions is therefore invisible.
# With probability $P$ the transform is $1 - P + P\,\hat q(k)$.
# The cell shows that $\hat q$ is nowhere below $-0.23$, so the transform has no zero as long as $P < 1 / 1.23$, or 0.81.
# [Karras et al. (2020)](../book/bibliography.md#karras-et-al-2020) argue in this way about all kinds of changes, and advise applying each with a probability below 0.8.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
shift = np.zeros(28)
shift[np.arange(-3, 4)] = 1 / 7
transform = np.fft.fft(shift).real
print(f"smallest value of the transform {transform.min():.2f}")
for probability in (1.0, 0.8, 0.5):
    both = (1 - probability) + probability * transform
    hidden = np.flatnonzero(np.abs(both) < 1e-9).tolist()
    print(f"probability {probability}: hidden {hidden}", end=", ")
    print(f"closest to zero {np.abs(both).min():.2f}")

# %% [markdown]
# ### Exercise 2: The other half (code)
#
# Cover the lower half of eight held-out drawings and let the generator complete them.
# Change as little of `invert` as possible.
#
# :::{dropdown} Solution
# The loss may only look at the rows that are given, and so may the choice of the start.
# So we wrap the generator in a module that covers the lower half of its drawings with paper, cover the given drawings in the same way, and need not change `invert` at all.
# The upper halves mostly agree, and the lower halves continue their strokes, but hardly ever to the letter that the person had in mind: there is more than one way to go on, and nothing in the loss prefers the right one.
# :::


# %% tags=["hide-cell"] mystnb={"figure": {"caption": "Eight drawings of which only the upper half was given (top), what the generator makes of it (middle), and the whole drawings (bottom).", "name": "fig-14-halves"}, "image": {"alt": "Three rows of eight. On top the upper halves of letters, in the middle roughly the same upper halves, continued by frayed strokes, at the bottom the whole letters, most of which continue in another way."}}
class UpperHalf(nn.Module):
    """A generator whose drawings are covered below the middle."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def __call__(self, z):
        return cover(self.generator(z))


def cover(images):
    below = mx.arange(28).reshape(1, -1, 1, 1) >= 14
    return mx.where(below, -1.0, images)


z, _ = invert(UpperHalf(from_all).eval(), cover(new[:8]))
completed = training.sample(from_all, z)
rows = mx.concatenate([cover(new[:8]), completed, new[:8]])
plots.digits(rows, columns=8)

# %% [markdown]
# ### Exercise 3: Off the sphere (change and explain)
#
# Let `invert` search anywhere, without putting $z$ back on the sphere, and invert the held-out drawings again.
# What happens to the error, and to the length of $z$?
# Which of the two versions answers the question whether the generator *draws* such a drawing?
#
# :::{dropdown} Solution
# The error hardly falls, from 0.28 to 0.27, but the length of $z$ grows from 10 to 15 on average, and in one case to 22.3.
# The length of a hundred normally distributed numbers is about 10, with a standard deviation of about 0.7, so practically nobody who samples from this generator will ever see what it draws at a length of 15.
# Only the search on the sphere answers the question, and here it costs hardly anything.
# :::


# %% tags=["hide-cell"]
def anywhere(z):
    return z


free_z, free_errors = invert(from_all, new, anywhere)
free = np.array(free_errors / mx.square(new + 1).mean(axis=(1, 2, 3)))
length = np.array(mx.linalg.norm(free_z, axis=1))
print(f"missed on the sphere {errors[2].mean():.2f}", end=", ")
print(f"free {free.mean():.2f}")
print(f"length of the free z {length.mean():.1f}", end=" ")
print(f"(from {length.min():.1f} to {length.max():.1f})")

# %% [markdown]
# ## Further reading
#
# - [Karras et al. (2020)](../book/bibliography.md#karras-et-al-2020) is the paper to read on little data: it shows discriminators that overfit, explains which changes leak and which do not, and adjusts their probability during training.
# - [Zhao et al. (2020)](../book/bibliography.md#zhao-et-al-2020) is the shorter of the two and close to our code.
# - [Bau et al. (2019)](../book/bibliography.md#bau-et-al-2019) use inversion to find out which objects a generator leaves out of its pictures, with striking examples.
# - [Zhu et al. (2016)](../book/bibliography.md#zhu-et-al-2016) invert a generator to edit pictures, and also train a network that guesses $z$, which makes a good start.
# - [Webster et al. (2019)](../book/bibliography.md#webster-et-al-2019) use it to tell generators that copy from those that do not.
# - [Lake et al. (2015)](../book/bibliography.md#lake-et-al-2015) collected Omniglot in order to show that people learn a new letter from a single example, which no network of this book can do.
