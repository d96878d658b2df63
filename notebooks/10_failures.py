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
# # When it goes wrong
#
# ![Three panels with the same ring of eight blue clusters. Orange fakes lie on all eight (healthy), then on a single one (collapsed), and, after two hops marked by arrows, on another one (later).](../book/diagrams/collapse.svg)
#
# *A collapse in a plane. Between the first two panels lies the failure that is hardest to see: a generator that serves some clusters well and has forgotten the others.*
#
# A broken program usually tells you that it is broken.
# A broken GAN goes on training, prints one plausible line after another, and leaves you wondering whether to wait, to change a setting, or to look for a bug.
# In this chapter we break GANs on purpose, because a failure that you have once caused yourself is easy to recognize.
# For each failure we ask what it looks like, which number gives it away, why it happens, and what cures it.
#
# *Before: [The training loop](06_training.ipynb), [Measuring](08_measuring.ipynb) and [Convolutions](09_convolutions.ipynb) · To read: half an hour · To run: about twelve minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import (
    data,
    losses,
    metrics,
    models,
    plots,
    recipes,
    training,
)

import json
import math
from functools import partial
from itertools import islice, pairwise

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from IPython.display import Markdown, display
from mlx.utils import tree_flatten

digits = data.load("train")
real, _ = next(data.batches(digits, 64, seed=0, epoch=1))
reference = metrics.reference()

# %% [markdown]
# ## Good points, and most of them missing
#
# In [The training loop](06_training.ipynb) a generator stopped listening to its noise and drew the same picture sixteen times.
# You could not overlook that.
# But suppose that a generator draws good sevens in many different hands, and good ones and nines, and never a zero.
# Sixteen samples will hardly show you what is *not* there.
#
# To see everything, we leave digits for a moment and play with points in a plane.
# The real ones form eight small clusters on a circle, and the generator turns two random numbers into a point.
# One game would be an anecdote, so we give every weight an additional axis and play five side by side.

# %%
games, around = 5, 2 * math.pi / 8
corners = np.array(
    [(math.cos(k * around), math.sin(k * around)) for k in range(8)]
)


def ring(count):
    """Real points around the eight corners: (games, count, 2)."""
    angle = around * mx.random.randint(0, 8, (games, count))
    points = mx.stack([mx.cos(angle), mx.sin(angle)], axis=-1)
    return points + 0.05 * mx.random.normal(points.shape)


# %% tags=["hide-input"]
class SideBySide(nn.Module):
    """One small network per game: (games, N, 2) to (games, N, out)."""

    def __init__(self, out):
        super().__init__()
        self.weights, self.biases = [], []
        for n, m in pairwise([2, 64, 64, out]):
            low, high = -(n**-0.5), n**-0.5
            weight = mx.random.uniform(low, high, (games, n, m))
            bias = mx.random.uniform(low, high, (games, 1, m))
            self.weights.append(weight)
            self.biases.append(bias)

    def __call__(self, x):
        for i, weight in enumerate(self.weights):
            if i > 0:
                x = nn.leaky_relu(x, 0.2)
            x = x @ weight + self.biases[i]
        return x


# %% [markdown]
# The folded function `play_ring` plays the games and keeps the fakes of 500 fixed noise vectors at every tenth step.


# %% tags=["hide-input"]
def play_ring(rate_g, rate_d, moves=1, gamma=0.0, steps=4000):
    """Fakes at every tenth step, and the discriminator."""
    mx.random.seed(1)
    generator, discriminator = SideBySide(2), SideBySide(1)
    optimizer_g, optimizer_d = recipes.adam(rate_g), recipes.adam(rate_d)
    optimizer_g.init(generator.trainable_parameters())
    optimizer_d.init(discriminator.trainable_parameters())

    def loss_d(real, fake):
        loss = losses.discriminator_loss(
            discriminator(real), discriminator(fake)
        )
        if gamma > 0:
            slopes = mx.grad(lambda x: discriminator(x).sum())(real)
            lengths = mx.square(slopes).sum(axis=-1)
            loss = loss + gamma / 2 * lengths.mean()
        return loss

    def loss_g(z):
        return losses.generator_loss(discriminator(generator(z)))

    grad_d = nn.value_and_grad(discriminator, loss_d)
    grad_g = nn.value_and_grad(generator, loss_g)
    state = [generator.state, discriminator.state, mx.random.state]
    state += [optimizer_g.state, optimizer_d.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step():
        for _ in range(moves):
            fake = generator(mx.random.normal((games, 64, 2)))
            _, gradients = grad_d(ring(64), mx.stop_gradient(fake))
            optimizer_d.update(discriminator, gradients)
        _, gradients = grad_g(mx.random.normal((games, 64, 2)))
        optimizer_g.update(generator, gradients)

    z = mx.random.normal((games, 500, 2), key=mx.random.key(0))
    film = []
    for t in range(20 if mlxgan.SMOKE else steps):
        step()
        mx.eval(state)
        if t % 10 == 9:
            film.append(np.array(generator(z)))
    return np.array(film), discriminator


# %% [markdown]
# Now we exaggerate: the discriminator gets a learning rate of 0.02 and five moves for each move of the generator, whose rate is 0.0001.
# Then the same games start again from the same weights, with the penalty R1 of [The training loop](06_training.ipynb), weighted by $\gamma = 0.1$.
# A cluster counts as served if it receives at least a quarter of its fair share of the fakes.
#
# **How many of the eight clusters will the generator serve without the penalty?**


# %%
def served(points):
    """How many clusters get at least 1/32 of the points (N, 2)."""
    distance = np.linalg.norm(points[:, None] - corners, axis=2)
    return ((distance < 0.2).mean(axis=0) >= 1 / 32).sum()


too_quick = {"rate_g": 1e-4, "rate_d": 2e-2, "moves": 5}
ring_games = {
    "without R1": play_ring(**too_quick),
    "with R1": play_ring(**too_quick, gamma=0.1),
}
for name, (film, _) in ring_games.items():
    print(f"{name}: clusters", [int(served(x)) for x in film[-1]])

# %% [markdown]
# We also measure density and coverage ([Measuring](08_measuring.ipynb)) and how steep the discriminator's logit is at the real points.


# %%
def slope(discriminator, points):
    """Mean length of the gradient of the logit at some points."""
    gradients = mx.grad(lambda x: discriminator(x).sum())(points)
    return mx.linalg.norm(gradients, axis=-1).mean().item()


mx.random.seed(2)
real_points = ring(500)
for name, (film, discriminator) in ring_games.items():
    pairs = zip(np.array(real_points), film[-1], strict=True)
    scores = [metrics.density_coverage(*pair) for pair in pairs]
    density, coverage = np.mean(scores, axis=0)
    steepness = slope(discriminator, real_points)
    print(f"{name}: density {density:.2f},", end=" ")
    print(f"coverage {coverage:.2f}, slope {steepness:.1f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The first of the five games after 4,000 steps, without the penalty (left) and with it (right). The darker the green ground, the more strongly the discriminator believes in real points. Without R1 the fakes crowd on two of the eight clusters. With R1 they reach all eight, but many of them lie between the clusters.", "name": "fig-10-ring"}, "image": {"alt": "Two panels, each with eight blue clusters of real points on a circle over a ground in shades of green. On the left a sharp edge divides the ground: the upper part is nearly white, and all orange fakes lie there, on two clusters and on the way between them; the lower part is dark green, and the other six clusters have no fakes. On the right the ground has pale shades that change little, and the orange fakes form a ring through all eight clusters, with some of them inside."}}
side = np.linspace(-1.6, 1.6, 81)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
grid = mx.broadcast_to(mx.array(grid, mx.float32), (games, len(grid), 2))
figure, panels = plt.subplots(1, 2, figsize=(7, 3.5))
for axes, (title, (film, discriminator)) in zip(
    panels, ring_games.items(), strict=True
):
    ground = np.array(mx.sigmoid(discriminator(grid)))[0].reshape(81, 81)
    levels = np.linspace(0, 1, 11)
    axes.contourf(side, side, ground, levels, cmap="Greens", alpha=0.6)
    for points, color in (
        (np.array(real_points)[0], plots.REAL),
        (film[-1][0], plots.FAKE),
    ):
        axes.scatter(*points.T, s=5, color=color)
    axes.set(title=title, xticks=[], yticks=[], aspect="equal")
    axes.grid(False)
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# Two in two of the five games, and only one in the other three.
# With the penalty, all eight are served in every game.
# :::
#
# When the samples are good and vary, but some modes, the hills of the data's distribution, receive hardly any of them, we speak of **partial mode collapse**.
# The density does not give it away: at 0.98 it is as good as a perfect generator's, because where there are fakes, there are usually real points as well.
# The coverage does: it is only 0.17, compared with 0.60 under R1, so five out of six real points have no fake near them.
#
# Why does nobody send the fakes to the empty clusters?
# All that a fake ever learns is in which direction the ground rises *where it stands*.
# This discriminator is so quick that it builds cliffs: at the real points its logit changes by 49.2 per unit of length, compared with 0.6 under R1.
# In the left panel it rejects nearly everything on one side of a cliff and accepts everything on the other, clusters and gaps alike, so a fake can hardly learn where the other clusters are.
# Nor does the loss complain, because it charges a great deal for a point where there are no data and next to nothing for data where there is no point ([Losses and optimizers](05_losses.ipynb)).
#
# R1 makes steepness expensive, so the hills become broad, and their slopes reach fakes that are far away.
# But a broad hill is also a vague one: many fakes lie between the clusters, and the density falls to 0.37, so in this game we pay for variety with accuracy.
# You can play it yourself in [the lab](../book/lab.md#preset=collapse).
#
# ## The missing zeros
#
# Is this only a problem of toys?
# In [Measuring](08_measuring.ipynb) one MLP GAN, trained with R1, drew 13.6 % ones instead of 11.1 %, and from a single generator we could not tell what that means, so let us look at many.
# Of the 24 runs of the tutorial's recipe in [The training loop](06_training.ipynb), three collapsed completely, and we leave them aside.
# The other 21 never set off that chapter's warning, and neither did the twelve runs with R1 and $\gamma = 1$.
# The book's classifier has read the samples of all their averaged generators.
#
# **In MNIST, 11 % of the digits are ones and 10 % are zeros. How much can these fractions differ in runs that look healthy?**

# %% tags=["hide-input", "nbval-check-output"] mystnb={"markdown_format": "myst"}
stored = json.loads((mlxgan.ROOT / "book/data/collapse.json").read_bytes())
settings = {"without R1": "tutorial", "with R1": "R1 1"}
scores = {
    name: [
        run["average"]
        for run in stored["pytorch"]["runs"]
        if run["setting"] == setting and run["spread"][-1] > 0.02
    ]
    for name, setting in settings.items()
}
classes = {
    name: np.array([score["histogram"] for score in group])
    for name, group in scores.items()
}


def low_to_high(values, places):
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"{low:.{places}f} to {high:.{places}f} ({middle:.{places}f})"


heads = [f"{name}, {len(group)} runs" for name, group in scores.items()]
table = ["| | " + " | ".join(heads) + " |", "|:--|:--|:--|"]
for digit in (0, 1):
    ranges = [low_to_high(100 * c[:, digit], 1) for c in classes.values()]
    table.append(f"| percent of {digit}s | " + " | ".join(ranges) + " |")
ranges = [
    low_to_high([metrics.kl_from_uniform(row) for row in c], 2)
    for c in classes.values()
]
table.append("| KL of the classes | " + " | ".join(ranges) + " |")
for key in ("precision", "density", "coverage"):
    ranges = [
        low_to_high([score[key] for score in group], 2)
        for group in scores.values()
    ]
    table.append(f"| {key} | " + " | ".join(ranges) + " |")
display(Markdown("\n".join(table)))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "How often the classifier reads each digit in the samples of runs that look healthy: the median over the runs, with a line from the lowest to the highest. The dots are the training set. Without the penalty, every run draws about three to four times as many ones as the training set has.", "name": "fig-10-classes"}, "image": {"alt": "Two bars for each digit from 0 to 9. The orange bars, 21 runs without R1, reach 0.38 at the one and only 0.02 at the zero. The pink bars, 12 runs with R1, lie between 0.07 and 0.12 except for the one, which has 0.17. Blue dots for the training set lie near 0.1 at every digit."}}
figure, axes = plt.subplots(figsize=(7, 3))
for shift, color, (name, fractions) in zip(
    (-0.2, 0.2), (plots.FAKE, "C3"), classes.items(), strict=True
):
    low, middle, high = np.quantile(fractions, [0, 0.5, 1], axis=0)
    axes.bar(
        np.arange(10) + shift,
        middle,
        0.38,
        yerr=[middle - low, high - middle],
        color=color,
        label=name,
    )
training_set = np.array(data.COUNTS) / sum(data.COUNTS)
axes.plot(training_set, "o", color=plots.REAL, label="training set")
axes.set(xlabel="digit", ylabel="fraction of samples", xticks=range(10))
axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# Without R1, ones make up 32 % to 42 % of the samples, and zeros 0.1 % to 7 %.
# With it, ones make up 16 % to 18 %, and zeros 7 % to 9 %.
# :::
#
# (The table gives the lowest and the highest run, with the median in parentheses.)
# Without the penalty, precision and density do not object, because both are about as high as for real digits, which get 0.85 and 0.92.
# What gives the runs away is the histogram of the classes, or its KL divergence from equal frequencies: it is at least 0.27 in every one of them, but at most 0.06 with R1.
#
# But look at the rest of the table before you celebrate.
# Even with R1 there are about one and a half times as many ones as there should be, and in all twelve runs precision and density are lower than in any run without it.
# In coverage the two groups overlap, and both are far below the 0.94 of real digits: the generators with R1 draw every digit, but apparently not in every hand.
#
# ## What no single image can show
#
# Collapse has a second cause, which has nothing to do with cliffs.
# Imagine an inspector who is shown one banknote at a time and keeps no record.
# However often the same serial number comes by, each note is impeccable, and the inspector lets it pass.
# A discriminator that judges each image by itself is in the same position.
#
# The DCGAN lets us test how much that matters, because its discriminator normalizes over the batch and so does see several images at once.
# We will take the normalization out, but first we need to know what a run *with* it looks like.
#
# ### Three runs that work
#
# We halve the width of both networks, use a learning rate of 0.001 for both, and stop after 600 steps, less than an epoch.
# The function `play` returns the two losses and the two probabilities of every step.


# %% tags=["hide-input"]
def small_dcgan(seed=0, **options):
    mx.random.seed(seed)
    return (
        models.DCGANGenerator(channels=16, hidden=256),
        models.DCGANDiscriminator(channels=16, hidden=256, **options),
    )


def unchanged(images):
    return images


def take_steps(step, state, count, prepare=unchanged):
    """What a compiled step returns for one batch after another."""
    measured = []
    epoch = data.batches(digits, 64, seed=0, epoch=1)
    for real, _ in islice(epoch, count):
        measured.append(step(prepare(real)))
        mx.eval(measured[-1], state)
    return np.array(mx.stack(measured))


# %%
def play(generator, discriminator, count, prepare=unchanged, **settings):
    settings.setdefault("optimizer_g", recipes.adam(1e-3))
    settings.setdefault("optimizer_d", recipes.adam(1e-3))
    step, state = training.set_up(generator, discriminator, **settings)
    return take_steps(step, state, count, prepare)


# %% [markdown]
# Afterward, `summarize` averages these over the last fifty steps and adds the spread, the density and the coverage of the samples.

# %% tags=["hide-input"]
n, steps = len(reference.real), 20 if mlxgan.SMOKE else 600
summaries = {}


def summarize(name, generator, measured, undo=unchanged):
    """Keep seven numbers of a run under a name."""
    z = mx.random.normal((n, generator.latent_dim), key=mx.random.key(1))
    images = undo(training.sample(generator, z))
    found, _ = metrics.features(reference.classifier, images)
    spread = mx.std(images[:64], axis=0).mean().item()
    quality = metrics.density_coverage(reference.real, found)
    game = measured[-50:].mean(axis=0)
    summaries[name] = [*game, spread, *quality]


def show(*names):
    """The numbers of some runs as a table."""
    columns = ["loss D", "loss G", "D(x)", "D(G(z))"]
    columns += ["spread", "density", "coverage"]
    lines = ["| | " + " | ".join(columns) + " |"]
    lines.append("|:--|" + "--:|" * len(columns))
    for name in names:
        cells = [f"{value:.2f}" for value in summaries[name]]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    display(Markdown("\n".join(lines)))


# %% mystnb={"markdown_format": "myst"}
with_norm, curves = {}, {}
for seed in range(3):
    generator, discriminator = small_dcgan(seed)
    name = f"norm, seed {seed}"
    curves[name] = play(generator, discriminator, steps)
    with_norm[name] = generator
    summarize(name, generator, curves[name])
show(*with_norm)

floor = reference.floor
print(f"real digits: spread {mx.std(real, axis=0).mean().item():.2f},")
print(f"density {floor.density:.2f}, coverage {floor.coverage:.2f}")

# %% [markdown]
# Nothing is wrong with any of these runs, and yet they lie far apart: the loss of the generator goes from 1.03 to 1.26, and the coverage from 0.09 to 0.24.
# If a change of yours moves a number by less than that, a single run has told you nothing.
# As a yardstick we take the run with the middle coverage and call it *typical*.

# %%
ordered = sorted(with_norm, key=lambda name: summaries[name][-1])
typical = ordered[1]
print("typical:", typical)

# %% [markdown]
# ### Without the normalization
#
# Now we take the same three seeds and a discriminator that judges every image by itself.
#
# **Which of the seven columns will change the most?**

# %% mystnb={"markdown_format": "myst"}
no_norm = {}
for seed in range(3):
    generator, discriminator = small_dcgan(seed, norm=False)
    name = f"no norm, seed {seed}"
    curves[name] = play(generator, discriminator, steps)
    no_norm[name] = generator
    summarize(name, generator, curves[name])
show(*no_norm, typical)

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Samples from eight different noise vectors. Without normalization, each of the three generators draws nearly the same black blots eight times, and they do not make a digit. The last row is the typical run with it.", "name": "fig-10-alike"}, "image": {"alt": "Four rows of eight images, labeled no norm 0, no norm 1, no norm 2 and typical. In each of the first three rows the same few black blots, which do not make a digit, are repeated eight times almost without a change. In the fourth row there are eight different ragged shapes, of which some can be read, such as a one and two sixes."}}


def label_rows(names):
    """Write names to the left of the rows of the last plots.digits."""
    axes = plt.gca()
    axes.set_yticks([14 + 30 * row for row in range(len(names))], names)
    axes.tick_params(length=0)


def eight(generator):
    z = mx.random.normal((8, 100), key=mx.random.key(2))
    return training.sample(generator, z)


shown = [*no_norm.values(), with_norm[typical]]
plots.digits(mx.concatenate([eight(each) for each in shown]), columns=8)
label_rows([f"no norm {seed}" for seed in range(3)] + ["typical"])

# %% [markdown]
# :::{dropdown} Answer
# The spread, which falls from 0.36 in the typical run to 0.01, and the coverage, which falls from 0.21 to 0.00.
# :::
#
# All three runs have collapsed completely, and the spread says so without any classifier.
# The density is no help: with seed 2 it is 1.12, higher than that of real digits, because if the features of one picture happen to lie where real digits are dense, then so do those of all its copies.
#
# How the normalization prevents a collapse, our six runs cannot tell: by itself it reveals only *exact* copies and hides *near*-copies ([Convolutions](09_convolutions.ipynb)).
#
# ### The cures
#
# If the cause is a discriminator with cliffs, the cure is R1.
# If it is that nobody looks at several images, the cure is that somebody does.
# The discriminator can be shown how much a batch varies, as in [Convolutions](09_convolutions.ipynb), or it can judge *packs* of two or more images, all real or all fake, in which a repeated image gives itself away ([Lin et al., 2018](../book/bibliography.md#lin-et-al-2018)).
# In [What makes training stable](11_stability.ipynb) we train this network without normalization again, with learning rates and first weights that suit it: with R1 none of five runs collapses, whereas with the variety of the batch alone all five do.
#
# ## A discriminator that has won
#
# In [The training loop](06_training.ipynb) we met a discriminator that was sure of nearly every image, and a generator that no longer made progress.
# Against such an opponent the gradient of the minimax loss all but vanishes, whereas that of the non-saturating loss grows ([Losses and optimizers](05_losses.ipynb)).
# To see the difference in a game, we give the discriminator without normalization a head start of 200 steps and then let both play.


# %%
def head_start(generator, discriminator, count):
    """Train only the discriminator, against an untrained generator."""

    def loss_d(real, z):
        fake = generator(z)
        return losses.discriminator_loss(
            discriminator(real), discriminator(fake)
        )

    grad_d = nn.value_and_grad(discriminator, loss_d)
    optimizer = recipes.adam(1e-3)
    epoch = data.batches(digits, 64, seed=0, epoch=1)
    for real, _ in islice(epoch, count):
        _, gradients = grad_d(real, mx.random.normal((len(real), 100)))
        optimizer.update(discriminator, gradients)
        mx.eval(discriminator.state, generator.state, optimizer.state)


# %% tags=["hide-input"]
def gradient_length(generator, discriminator, loss):
    """Length of the gradient that reaches the generator's weights."""
    z = mx.random.normal((64, 100), key=mx.random.key(5))

    def loss_g(z):
        return loss(discriminator(generator(z)))

    _, gradients = nn.value_and_grad(generator, loss_g)(z)
    squares = [mx.square(g).sum() for _, g in tree_flatten(gradients)]
    return math.sqrt(sum(squares).item())


# %% [markdown]
# For the generator we try both losses, each with plain gradient descent and with Adam, which divides every gradient by its own recent size.
#
# **In which of the four cases does the generator stand still?**

# %% mystnb={"markdown_format": "myst"}
ahead = 5 if mlxgan.SMOKE else 200
pictures = {}
lines = ["| loss | optimizer | gradient | change per pixel | D(G(z)) |"]
lines.append("|:--|:--|--:|--:|--:|")
for name, loss_g in (
    ("minimax", losses.saturating_generator_loss),
    ("non-saturating", losses.generator_loss),
):
    for optimizer_g in (optim.SGD(1e-2), recipes.adam(1e-3)):
        pair = small_dcgan(norm=False)
        head_start(*pair, ahead)
        length = gradient_length(*pair, loss_g)
        before = eight(pair[0])
        run = play(
            *pair, steps // 4, optimizer_g=optimizer_g, loss_g=loss_g
        )
        after = eight(pair[0])
        change = 127.5 * mx.abs(after - before).mean().item()
        kind = type(optimizer_g).__name__
        pictures[f"{name}, {kind}"] = after
        numbers = (
            f"{length:.0e} | {change:.1f} | {run[-20:, 3].mean():.0e}"
        )
        lines.append(f"| {name} | {kind} | {numbers} |")
display(Markdown("\n".join(lines)))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Samples 150 steps after the head start. With the minimax loss and gradient descent they are still the gray noise of the untrained generator. In the other rows the generator has moved, but its eight samples are nearly alike.", "name": "fig-10-wins"}, "image": {"alt": "Four rows of eight images, labeled with a loss and an optimizer. The first row, minimax with SGD, is fine gray noise. In each of the other rows the same picture appears eight times: a gray block with two pale holes for minimax with Adam, a dark blot in the shape of a hook for non-saturating with SGD, and a soft gray spot for non-saturating with Adam."}}
plots.digits(mx.concatenate(list(pictures.values())), columns=8)
label_rows(list(pictures))

# %% [markdown]
# :::{dropdown} Answer
# Only with the minimax loss and plain gradient descent.
# :::
#
# Under the minimax loss the gradient of the generator has a length of 0.001, compared with 70 under the other loss.
# With plain gradient descent, that moves a pixel by only half a gray level of 255 in 150 steps, while in the other three cases it changes by roughly a hundred.
#
# With Adam, even the minimax loss gets the generator moving, because a tiny gradient divided by its own tiny size is an ordinary step.
# That repairs the length of the step but says nothing about its direction, and it hides the fault from you.
#
# All four games start with the same discriminator, so its lead alone does not decide the matter.
# Ask instead whether the *samples from fixed noise still change*, and if they do not, measure the gradient.
# The cure is the non-saturating loss, together with R1, which keeps the discriminator from getting so far ahead.
# (Slowing the discriminator down made collapses more frequent in [The training loop](06_training.ipynb).)
#
# ## Running in circles
#
# What if it is the generator that is too fast?
# Imagine that it moves all of its fakes to the place that looks best at the moment.
# By the time the discriminator has learned to reject that place, another one looks better, and the crowd moves on.
# This is called **oscillation**.
#
# On the ring we can follow the crowd.
# This time the generator learns at a rate of 0.002 and the discriminator at 0.0001, with R1, so that cliffs are not to blame.
# In five more games both have the rate 0.002.
#
# **Will the penalty prevent the oscillation?**

# %%
swinging, _ = play_ring(rate_g=2e-3, rate_d=1e-4, gamma=0.1)
steady, _ = play_ring(rate_g=2e-3, rate_d=2e-3, gamma=0.1)
for name, film in (("D too slow", swinging), ("equal rates", steady)):
    center = film.mean(axis=2)[-100:]  # the last 1,000 steps
    moves = np.linalg.norm(center[1:] - center[:-1], axis=2)
    travel = 10 * moves.mean(axis=0)  # per 100 steps, for each game
    print(f"{name}: clusters", [int(served(x)) for x in film[-1]])
    print("  travel of the center in 100 steps", np.round(travel, 2))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The center of all fakes of one game over 4,000 steps. With a discriminator that is twenty times slower, the crowd swings from side to side until the end. With equal rates its center stays near the middle of the circle after the first 200 steps.", "name": "fig-10-circles"}, "image": {"alt": "Two curves of the horizontal position of the center of the fakes over 4,000 steps. The gray curve, D too slow, first jumps to below minus 6 and to almost 3, and after that swings between about minus 1 and plus 1 to the end, with some larger swings. The orange one, equal rates, swings a few times by less than 1 at the beginning and then trembles closely around 0."}}
figure, axes = plt.subplots(figsize=(7, 2.8))
for name, film, color in (
    ("D too slow", swinging, plots.GREY),
    ("equal rates", steady, plots.FAKE),
):
    x = film[:, 0, :, 0].mean(axis=1)
    axes.plot(10 * np.arange(1, len(x) + 1), x, color=color, label=name)
axes.set(xlabel="step", ylabel="center of the fakes (x)")
axes.legend(loc="upper right")
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# No, with the slow discriminator the crowd keeps moving in all five games.
# :::
#
# With the slow discriminator the center of the fakes travels about 6 to 7 per 100 steps, roughly the circumference of our circle, and in the end no game serves more than two of the eight clusters.
# With equal rates the center travels a tenth as far, and all eight are served in every game.
# A smooth discriminator is no help if its opinion is always out of date.
#
# The number to watch is again the change of samples from fixed noise, but this time it is too *large*: they change all the time and do not get better.
# If whole kinds of digits come and go, bring the two rates closer together, and keep Adam's first beta at 0.5 ([Losses and optimizers](05_losses.ipynb)).
# You can follow the crowd in [the lab](../book/lab.md#preset=swings), and Exercise 2 shows how a penalty stops two players that circle even at equal rates.
#
# ## Two losses that cannot both be small
#
# Now to the bugs: no error is raised, but you are not playing the game that you meant to play.
# Fortunately, several of the worst ones betray themselves by a contradiction.
#
# The discriminator's loss is small if it catches the fakes, and the generator's loss is small if they pass.
# Both cannot be true of the same fakes, so an honest game never has two small losses at the same time.
# We can make this exact: $L_D$ is at least the average of $-\log(1 - D(G(z)))$, and $L_G$ is the average of $-\log D(G(z))$, from which Exercise 1 concludes that
#
# $$e^{-L_D} + e^{-L_G} \le 1.$$
#
# We call the left-hand side the **balance** of the game.
# At the equilibrium, with the losses $2 \log 2$ and $\log 2$, it is $1/4 + 1/2$.
# A value a little above 1 may be chance, because each move draws its own noise, but a value of 1.5 is a bug.


# %%
def balance(name):
    loss_d, loss_g = summaries[name][:2]
    return math.exp(-loss_d) + math.exp(-loss_g)


for name in (*with_norm, *no_norm):
    print(f"{name}: balance {balance(name):.2f}")

# %% [markdown]
# All six games are honest, the collapsed ones included.
# Now we plant three bugs, each in the DCGAN with normalization and seed 0.
#
# ### Labels the wrong way around
#
# The first one is a slip of the hand: the two arguments of the discriminator's loss are exchanged.
# Both players now want the same thing, a high logit for the fakes, so there is no contest left.


# %%
def exchanged(logits_real, logits_fake):
    return losses.discriminator_loss(logits_fake, logits_real)


generator, discriminator = small_dcgan()
curves["exchanged"] = play(
    generator, discriminator, steps, loss_d=exchanged
)
summarize("exchanged", generator, curves["exchanged"])

# %% [markdown]
# ### Real and fake in one batch
#
# The second bug looks like a saving: we put real images and fakes into one batch, call the discriminator once, and split the logits.
# But with batch normalization the halves of such a batch betray each other, since they lie on opposite sides of a common mean ([Convolutions](09_convolutions.ipynb)).
#
# To plant this bug, we pass the loss of the joint batch to our training step as the "penalty", and switch the regular loss off.


# %%
def nothing(logits_real, logits_fake):
    return mx.array(0.0)


def together(discriminator, real, fake):
    logits = discriminator(mx.concatenate([real, fake]))
    logits_real, logits_fake = mx.split(logits, 2)
    return losses.discriminator_loss(logits_real, logits_fake)


generator, discriminator = small_dcgan()
curves["one batch"] = play(
    generator, discriminator, steps, loss_d=nothing, penalty=together
)
summarize("one batch", generator, curves["one batch"])

# %% [markdown]
# ### Noise that never changes
#
# The third bug is a missing line.
# A compiled function has to name `mx.random.state`, because otherwise it repeats the numbers of its trace ([MLX in a quarter of an hour](02_mlx.ipynb)).


# %% tags=["nbval-check-output"]
def draw():
    return mx.random.normal((100_000,))


mx.random.seed(0)
state = [mx.random.state]
forgetful = mx.compile(draw)
mindful = mx.compile(draw, inputs=state, outputs=state)
for name, function in (("forgetful", forgetful), ("mindful", mindful)):
    first, second = function(), function()
    change = mx.abs(second - first).mean().item()
    print(f"{name:9s} mean change from call to call {change:.1f}")

# %% [markdown]
# The folded cell is the training step of [The training loop](06_training.ipynb) without this line.
#
# **A step draws noise twice, once for each move, and now both draws are constants. What can the generator do with that?**


# %% tags=["hide-input"]
def forgetful_step(generator, discriminator, optimizer_g, optimizer_d):
    def loss_of_d(real, fake):
        logits_real = discriminator(real)
        logits_fake = discriminator(fake)
        return (
            losses.discriminator_loss(logits_real, logits_fake),
            mx.sigmoid(logits_real).mean(),
            mx.sigmoid(logits_fake).mean(),
        )

    def loss_of_g(z):
        return losses.generator_loss(discriminator(generator(z)))

    grad_d = nn.value_and_grad(discriminator, loss_of_d)
    grad_g = nn.value_and_grad(generator, loss_of_g)
    optimizer_g.init(generator.trainable_parameters())
    optimizer_d.init(discriminator.trainable_parameters())
    state = [generator.state, discriminator.state]
    state += [optimizer_g.state, optimizer_d.state]
    # here the line state += [mx.random.state] is missing

    @partial(mx.compile, inputs=state, outputs=state)
    def step(real):
        z = mx.random.normal((len(real), generator.latent_dim))
        fake = mx.stop_gradient(generator(z))
        (loss_d, d_real, d_fake), gradients = grad_d(real, fake)
        optimizer_d.update(discriminator, gradients)
        z = mx.random.normal((len(real), generator.latent_dim))
        loss_g, gradients = grad_g(z)
        optimizer_g.update(generator, gradients)
        return mx.stack([loss_d, loss_g, d_real, d_fake])

    return step, state


# %%
generator, discriminator = small_dcgan()
step, state = forgetful_step(
    generator, discriminator, recipes.adam(1e-3), recipes.adam(1e-3)
)
curves["frozen noise"] = take_steps(step, state, steps)
summarize("frozen noise", generator, curves["frozen noise"])

# %% [markdown]
# :::{dropdown} Answer
# It can turn its 64 noise vectors into anything that passes.
# :::
#
# The discriminator never sees the generator's 64 vectors and only learns to reject the fakes of its own.
# Here are all three bugs beside the typical run.

# %% mystnb={"markdown_format": "myst"}
planted = ["exchanged", "one batch", "frozen noise"]
show(*planted, typical)
for name in (*planted, typical):
    print(f"{name}: balance {balance(name):.2f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The losses of the typical run and of the three bugs, as running means over 20 steps. In the typical run one loss rises while the other falls. In the games with a bug both can be small at the same time.", "name": "fig-10-losses"}, "image": {"alt": "Four panels with the losses of D in green and of G in orange over 600 steps. In the typical run D's loss falls from 1.4 to 0.8 while G's rises from 0.7 to 1.3, and then both approach 1.1. In the panel exchanged both fall to nearly 0 within about 300 steps. In the panel one batch D's loss is near 0 almost from the start, and G's stays at 0.7 for 200 steps and then falls to about 0.3. In the panel frozen noise both fall to near 0, jump up together four times, the third time to 1.2 and 0.4, and fall again."}}
figure, panels = plt.subplots(1, 4, figsize=(8, 2.5), sharey=True)
window = min(20, steps)
for axes, name in zip(panels, [typical, *planted], strict=True):
    for column, color, who in ((0, "C2", "D"), (1, plots.FAKE, "G")):
        loss = curves[name][:, column]
        means = np.convolve(loss, np.ones(window) / window, "valid")
        at = np.arange(window, len(loss) + 1)
        axes.plot(at, means, color=color, label=who)
    axes.set_title("typical" if name == typical else name, fontsize=10)
    axes.set_xlabel("step")
panels[0].set_ylabel("loss")
panels[0].legend()
plt.show()

# %% [markdown]
# The typical run has a balance of 0.68, and the three bugs have 1.97, 1.72 and 1.94, far above what an honest game allows.
# The other columns tell which bug it is.
#
# - *Exchanged*: $D(x)$ is 0.01 and $D(G(z))$ is 0.99, so the discriminator prefers fakes.
# - *One batch*: the discriminator's loss is 0.00, because in a mixed batch it is certain of every image.
#   In the generator's move it sees only fakes, and its advice is worthless: shown separately, fakes get 0.73 on average, and real images only 0.54.
# - *Frozen noise*: in the generator's move nearly all fakes pass, while in the discriminator's move nearly none do.
#
# ## One sigmoid too many
#
# In many tutorials the discriminator ends with a sigmoid, whereas ours returns logits and leaves the sigmoid to the loss.
# If you take the network from one place and the loss from the other, the sigmoid is applied twice, and nothing complains.
# But after the first sigmoid all outputs lie between 0 and 1, so the losses cannot leave a narrow range.

# %% tags=["nbval-check-output"]
zero, one = mx.array([0.0]), mx.array([1.0])
best, worst = (
    losses.discriminator_loss(*pair).item()
    for pair in ((one, zero), (zero, one))
)
low, high = (losses.generator_loss(x).item() for x in (one, zero))
print(f"loss D from {best:.3f} to {worst:.3f}")
print(f"loss G from {low:.3f} to {high:.3f}")
print(f"D(x), D(G(z)) from {mx.sigmoid(zero).item():.3f}", end=" ")
print(f"to {mx.sigmoid(one).item():.3f}")

# %% [markdown]
# We play this game with our convolutional pair and with the MLPs of Part I.
#
# **One of the two games will look as if it had reached the equilibrium. Which values would that be?**


# %%
class Squashed(nn.Module):
    """A discriminator that ends in a sigmoid by mistake."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __call__(self, images):
        return mx.sigmoid(self.inner(images))


# %% mystnb={"markdown_format": "myst"}
generator, discriminator = small_dcgan()
squashed = Squashed(discriminator)
summarize("twice, DCGAN", generator, play(generator, squashed, steps))

mx.random.seed(0)
generator = models.MLPGenerator()
squashed = Squashed(models.MLPDiscriminator())
summarize("twice, MLP", generator, play(generator, squashed, steps))
show("twice, DCGAN", "twice, MLP", typical)

length = gradient_length(generator, squashed, losses.generator_loss)
largest = squashed(real).max().item()
print(f"MLP: gradient of the generator {length:.0e},", end=" ")
print(f"largest output for a real digit {largest:.0e}")

# %% [markdown]
# :::{dropdown} Answer
# The MLP's: 1.39, 0.69, and one half for both probabilities.
# :::
#
# The DCGAN's losses, 1.15 and 0.68, could pass for those of a healthy run.
# But $D(G(z)) = 0.51$ is next to the lowest value that there is, where the first sigmoid is nearly flat, so the generator is hardly told in which direction to go.
# The MLP is more treacherous, because its four numbers are exactly those of the equilibrium, while a spread of 0.01 says that all of its samples are alike.
# Its first sigmoid returns 0 for everything, real digits included, and is so flat there that only a gradient of length $7 \cdot 10^{-6}$ reaches the generator.
#
# If your losses keep to these bounds for a whole run, look for a second sigmoid, and let the discriminator return logits.
#
# ## The wrong range of pixels
#
# Our generator ends in a tanh and paints pixels from $-1$ to 1, but many loaders deliver pixels from 0 to 1.


# %% tags=["nbval-check-output"]
def to_unit(images):
    return (images + 1) / 2


def from_unit(images):
    return 2 * images - 1


for name, images in (("ours", real), ("theirs", to_unit(real))):
    low, high = images.min().item(), images.max().item()
    print(f"{name}: from {low:g} to {high:g}")

# %% mystnb={"markdown_format": "myst"}
generator, discriminator = small_dcgan()
run = play(generator, discriminator, steps, prepare=to_unit)
summarize("as they are", generator, run)
summarize("mapped back", generator, run, undo=from_unit)
show("as they are", "mapped back", typical)

gray = eight(generator)
below = (gray < 0).mean().item()
print(f"generated pixels below 0, where no real one is: {below:.0%}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "A generator that was trained on pixels from 0 to 1. Its samples drawn as they are, the same ones mapped back to the range from -1 to 1, and the typical run.", "name": "fig-10-range"}, "image": {"alt": "Three rows of eight samples, labeled as they are, mapped back and typical. In the first row ragged black digits, one of them in fragments, stand on gray; in the second row the same digits stand on white among faint gray specks; the digits of the third row stand on cleaner white."}}
rows = [gray, from_unit(gray), eight(with_norm[typical])]
plots.digits(mx.concatenate(rows), columns=8)
label_rows(["as they are", "mapped back", "typical"])

# %% [markdown]
# The samples stand on gray, because the generator has learned that paper is 0, and we draw 0 as mid-gray.
# It is also harder to hit paper in the steep middle of the tanh than at its comfortable end: 51 % of these pixels lie below 0, where no real pixel ever is, and this gives the discriminator a clue that has nothing to do with digits.
# Mapped back, the samples show digits, and whether they are worse for it, one run cannot tell.
# The smallest pixel of a real batch gives the bug away, and `data.normalize` is the cure.
#
# ## From the symptom to the cause
#
# When your own GAN fails, go from the cheap questions to the expensive ones, and change one thing at a time.
# Look first at samples from fixed noise, next to those of the epoch before, and at the range of a real batch and of a fake one.
# Print both losses and both mean outputs for single steps, and ask whether they can be true together.
# Then measure the spread, the gradient that reaches the generator, and finally the coverage and the histogram of the classes.
# And keep a run that works beside it.
#
# | what you see | number that tells | likely cause | cure |
# |:--|:--|:--|:--|
# | all samples alike | spread near 0 | collapse | R1; let D see the batch |
# | good samples, kinds missing | coverage, class histogram | partial collapse | the same |
# | samples do not change | tiny gradient of G | D has won | non-saturating loss, R1 |
# | samples keep turning into others | change per epoch | G too fast for D | closer rates, $\beta_1 = 0.5$ |
# | fakes judged more real than real images | D(x) near 0 | labels exchanged | order of arguments |
# | loss D at 0 at once, loss G low | balance above 1 | one mixed batch | two calls |
# | both losses near 0, in jumps | balance above 1 | frozen noise | name `mx.random.state` |
# | losses in narrow bounds | loss D above 1.006 | sigmoid twice | return logits |
# | gray paper | smallest real pixel 0 | range of pixels | `data.normalize` |
# | a loss is NaN | its step | rate, logarithm of 0 | [Losses and optimizers](05_losses.ipynb) |
# | memory grows | `get_active_memory` | lazy arrays kept | evaluate (Exercise 5) |
#
# ## Summary
#
# A generator has partly collapsed if its samples are good but some modes of the data receive few of them or none.
# Precision and density do not notice, but coverage falls, and the histogram of the classes shows what is missing.
# All 21 healthy-looking runs of a common recipe drew about three to four times as many ones as they should, and R1 brought the frequencies much closer to those of the data.
# We met three causes: a loss that hardly charges for what is missing, a discriminator with cliffs, and a discriminator that sees one image at a time.
#
# A discriminator that has won is recognized by samples that no longer change, a game that runs in circles by samples that change without getting better, and many a bug by numbers that cannot be true together.
# Above all, a number means little without the same number from a run that works, and even three such runs lie far apart.
#
# Which other penalties, losses and normalizations help besides R1, and how one can tell, is the question of [What makes training stable](11_stability.ipynb).
#
# ## Exercises
#
# ### Exercise 1: The balance of a game (derive)
#
# Show that $e^{-L_D} + e^{-L_G} \le 1$ if both moves see the same fakes and the same discriminator.
# You need Jensen's inequality for the function $-\log$, which is convex: the average of $-\log u$ is at least $-\log$ of the average of $u$.
# When does equality hold?
# Does the inequality survive if a penalty is added to $L_D$, or if both losses are averaged over many steps?
#
# :::{dropdown} Solution
# Write $p$ for the average of $D(G(z))$ over the fakes.
# The part of $L_D$ that belongs to the real images is not negative, so $L_D \ge \mathbb{E}\,[-\log(1 - D(G(z)))] \ge -\log(1 - p)$, and therefore $e^{-L_D} \le 1 - p$.
# In the same way $L_G = \mathbb{E}\,[-\log D(G(z))] \ge -\log p$, and therefore $e^{-L_G} \le p$.
# The sum is at most 1.
# Equality holds if all fakes have the same $D(G(z))$ and all real images have $D(x) = 1$.
# A penalty is not negative, so it only makes $L_D$ larger and the balance smaller.
# For averages over steps, Jensen's inequality helps once more: $e^{-L}$ is convex in $L$, so the balance of the averages is at most the average of the balances.
# :::

# %% tags=["hide-cell", "nbval-check-output"]
rng = np.random.default_rng(0)
largest = 0.0
for _ in range(10_000):
    scale, shift = rng.uniform(0, 5), rng.uniform(-5, 5)
    logits_fake = shift + scale * rng.normal(size=64)
    logits_real = rng.uniform(0, 10) + rng.normal(size=64)
    loss_d = np.logaddexp(0, -logits_real).mean()
    loss_d += np.logaddexp(0, logits_fake).mean()
    loss_g = np.logaddexp(0, -logits_fake).mean()
    largest = max(largest, math.exp(-loss_d) + math.exp(-loss_g))
print(f"largest balance of 10,000 games {largest:.2f}")

# %% [markdown]
# ### Exercise 2: Two weights that circle (derive)
#
# The smallest possible GAN, after [Mescheder et al. (2018)](../book/bibliography.md#mescheder-et-al-2018), has one real point at 0, one fake at $\theta$, and a discriminator with the logit $\psi x$.
# Take the simplest loss: the discriminator wants to minimize $\psi\theta$, the logit of the fake minus that of the real point, and the generator wants to maximize it.
# Both follow their gradients at the same time with the learning rate $\eta$.
# Derive how the distance $\sqrt{\theta^2 + \psi^2}$ from the equilibrium changes in one step.
# Then add the penalty R1, which is $\tfrac{\gamma}{2}\psi^2$ here, and find out when the distance shrinks in the long run.
#
# :::{dropdown} Solution
# The step is $\theta' = \theta + \eta\psi$ and $\psi' = \psi - \eta\theta$.
# Squaring and adding gives $\theta'^2 + \psi'^2 = (1 + \eta^2)(\theta^2 + \psi^2)$, because the mixed terms cancel, so the two run in a circle that grows by the factor $\sqrt{1 + \eta^2}$ in each step.
# (If they move in turn, as in our training step, the circle neither grows nor shrinks in the long run.)
# With the penalty, $\psi' = \psi - \eta\theta - \eta\gamma\psi$.
# The step is now a matrix with the rows $(1, \eta)$ and $(-\eta, 1 - \eta\gamma)$ and the determinant $1 - \eta\gamma + \eta^2$.
# As long as its eigenvalues are complex, which they are for $\gamma < 2$, their length is the root of the determinant, so the distance shrinks if $\gamma > \eta$.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def circle(gamma, in_turn, rate=0.1):
    theta, psi = 1.0, 0.0
    for _ in range(1000):
        moved = theta + rate * psi
        seen = moved if in_turn else theta
        psi = psi - rate * (seen + gamma * psi)
        theta = moved
    return math.hypot(theta, psi)


for name, gamma, in_turn in (
    ("at the same time", 0.0, False),
    ("in turn", 0.0, True),
    ("in turn, with R1", 1.0, True),
):
    print(f"{name}: distance {circle(gamma, in_turn):.2f}")
print(f"1.01 to the power of 500: {1.01**500:.2f}")

# %% [markdown]
# ### Exercise 3: Before the first step (code)
#
# Three of the bugs in this chapter can be found before training begins.
# Write a function that takes two untrained networks, a real batch, and a function that draws noise, and reports a wrong range of pixels, outputs that look like probabilities, and noise that repeats itself.
#
# :::{dropdown} Solution
# For the first two, the function only has to look at a minimum and a maximum, and for the third it draws twice.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def preflight(generator, discriminator, real, draw):
    logits_real, logits_fake = (
        discriminator(images) for images in (real, generator(draw()))
    )
    logits = mx.concatenate([logits_real, logits_fake])
    found = []
    if real.min().item() > -0.9 or real.max().item() < 0.9:
        found.append("range of pixels")
    if logits.min().item() >= 0 and logits.max().item() <= 1:
        found.append("outputs are probabilities")
    if mx.array_equal(draw(), draw()).item():
        found.append("noise repeats itself")
    return ", ".join(found) or "nothing found"


def noise():
    return mx.random.normal((64, 100))


generator, discriminator = small_dcgan()
print(preflight(generator, discriminator, real, noise))
squashed = Squashed(discriminator)
frozen_noise = mx.compile(noise)
print(preflight(generator, squashed, to_unit(real), frozen_noise))

# %% [markdown]
# ### Exercise 4: A thousand modes (code)
#
# *Stacked MNIST* ([Srivastava et al., 2017](../book/bibliography.md#srivastava-et-al-2017)) puts three random digits into the three color channels of one image, which makes 1,000 combinations, nearly equally frequent.
# Build such images, let the book's classifier read the digit of each channel, and count how many combinations a small DCGAN draws.
# How many should 25,600 samples of a perfect generator show, and which KL divergence from equal frequencies?
# (For $N$ draws from $K$ equally frequent classes it is about $(K - 1) / (2N)$.)
#
# :::{dropdown} Solution
# A perfect generator misses a combination with a probability of $0.999^{25{,}600}$, less than one in a hundred billion, so it would show all 1,000, with a divergence of about 0.02.
# The second cell measures real triples, because the classifier errs and MNIST's digits are not quite equally frequent.
# Our generator shows most combinations, 998 with the average of its weights and 879 in its last state, but far from equally often: the divergences are 0.50 and 0.85, compared with 0.025 for real triples.
# A count of modes soon reaches its limit and then says little, while the divergence is still informative.
# :::


# %% tags=["hide-cell"]
def stack(count, seed):
    """Random triples of digits, one digit per color channel."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(digits), size=(3, count)).astype(np.uint32)
    channels = [digits.images[mx.array(pick)] for pick in picks]
    images = mx.concatenate(channels, axis=-1)
    return data.Digits(images, mx.zeros(count, mx.int32), "triples")


def count_modes(images):
    """Number of combinations, and their KL from equal frequencies."""
    number = np.zeros(len(images), int)
    for channel in range(3):
        part = images[..., channel : channel + 1]
        _, probabilities = metrics.features(reference.classifier, part)
        number = 10 * number + probabilities.argmax(axis=1)
    counts = np.bincount(number, minlength=1000)
    divergence = metrics.kl_from_uniform(counts / counts.sum())
    return (counts > 0).sum(), divergence


# %% tags=["hide-cell"]
drawn = 2_560 if mlxgan.SMOKE else 25_600
triples = stack(640 if mlxgan.SMOKE else 60_000, seed=0)
mx.random.seed(0)
narrow = {"channels": 16, "hidden": 256, "image_channels": 3}
generator = models.DCGANGenerator(**narrow)
average = models.DCGANGenerator(**narrow)
training.train(
    generator,
    models.DCGANDiscriminator(**narrow),
    triples,
    epochs=1 if mlxgan.SMOKE else 3,
    optimizer_g=recipes.adam(1e-3),
    optimizer_d=recipes.adam(1e-3),
    average=average,
)
z = mx.random.normal((drawn, 100), key=mx.random.key(1))
for name, images in (
    ("real triples", stack(drawn, seed=1).images),
    ("last state", training.sample(generator, z)),
    ("average", training.sample(average, z)),
):
    found, divergence = count_modes(images)
    print(f"{name}: {found} of 1,000, KL {divergence:.3f}")

# %% tags=["hide-cell", "nbval-check-output"]
rng = np.random.default_rng(0)
divergences = []
for _ in range(20):
    counts = np.bincount(rng.integers(1000, size=25_600), minlength=1000)
    divergences.append(metrics.kl_from_uniform(counts / counts.sum()))
print(f"a combination is missed with probability {0.999**25_600:.0e}")
print(f"KL of 25,600 perfect draws {np.mean(divergences):.3f}")
print(f"formula {999 / (2 * 25_600):.3f}")

# %% [markdown]
# ### Exercise 5: Memory that grows (change and explain)
#
# A loop evaluates its losses and its state in every step, as it should, and keeps one batch of samples from fixed noise per step, to be looked at later.
# Measure `mx.get_active_memory()` after every step, once with the kept samples evaluated and once without.
# Explain by how much the memory grows.
#
# :::{dropdown} Solution
# Samples that are not evaluated are a promise, and to keep it MLX needs the weights of *that* step, even after the optimizer has replaced them.
# The memory therefore grows by the size of the whole generator in every step, as the last line of the output confirms.
# So evaluate whatever outlives a step.
# :::


# %% tags=["hide-cell"]
def memory_per_step(evaluate, count):
    """Growth of the memory in MiB, averaged over the last steps."""
    mx.random.seed(0)
    generator = models.MLPGenerator()
    step, state = training.set_up(
        generator,
        models.MLPDiscriminator(),
        recipes.adam(),
        recipes.adam(),
    )
    fixed_z, kept, used = mx.random.normal((16, 100)), [], []
    epoch = data.batches(digits, 64, seed=0, epoch=1)
    for real, _ in islice(epoch, count):
        measured = step(real)
        kept.append(generator(fixed_z))
        mx.eval(measured, state, kept[-1] if evaluate else [])
        used.append(mx.get_active_memory() / 2**20)
    return (used[-1] - used[4]) / (len(used) - 5)


for name, evaluate in (("evaluated", True), ("lazy", False)):
    growth = memory_per_step(evaluate, 20 if mlxgan.SMOKE else 60)
    print(f"{name}: {growth:.2f} MiB per step")
parameters = tree_flatten(models.MLPGenerator().parameters())
size = sum(array.nbytes for _, array in parameters) / 2**20
print(f"weights of the generator: {size:.2f} MiB")

# %% [markdown]
# ## Further reading
#
# - [Metz et al. (2017)](../book/bibliography.md#metz-et-al-2017) show a generator that hops around a ring like ours, explain why, and let it look a few of the discriminator's moves ahead.
# - [Lin et al. (2018)](../book/bibliography.md#lin-et-al-2018) define mode collapse with a mathematician's care and prove why packs make it expensive.
# - [Mescheder et al. (2018)](../book/bibliography.md#mescheder-et-al-2018) work out the game of Exercise 2 for many losses and penalties.
# - [Arjovsky et al. (2017)](../book/bibliography.md#arjovsky-et-al-2017) propose a judge that you may train as far ahead as you like and that still gives the generator a gradient.
