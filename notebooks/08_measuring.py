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
# # Measuring
#
# Below you see sixteen digits from each of two generators.
# Which of the two do you prefer, and how sure are you?
# The gray smudges in the upper row catch the eye at once, but did you also notice that this row has no legible five?
# Is that chance, or can this generator not draw one?
# Sixteen digits cannot tell us, and before we claim that some change improves a GAN, we need numbers that deserve our trust.
# By the end you can compute the measures that the field uses, say what each one sees, what it misses and how uncertain it is, and read the report card of a generator.
#
# *Before: [The training loop](06_training.ipynb) and [Generating](07_generating.ipynb) · To read: twenty-five minutes · To run: ten minutes on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import checkpoints, data, layers, metrics, plots, training
from mlxgan.layers import Conv2d

from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from IPython.display import Markdown, display

train, test = data.load("train"), data.load("test")
n = len(test)

# %%
generators = {
    "MLP GAN": mlxgan.load_pretrained("mlp"),
    "DCGAN": mlxgan.load_pretrained("dcgan"),
}


def draw(generator, count, seed, factor=1):
    """Return generated images, uint8, from noise with this seed."""
    shape = (count, generator.latent_dim)
    z = factor * mx.random.normal(shape, key=mx.random.key(seed))
    return data.to_uint8(training.sample(generator, z))


# %% tags=["hide-input"] mystnb={"figure": {"caption": "Sixteen digits from each of two generators, not selected. Above: the MLP GAN of The training loop. Below: the DCGAN, which we will build in the next chapter.", "name": "fig-08-two"}, "image": {"alt": "Two rows of sixteen generated digits. In the upper row most digits can be read, some with ragged strokes and a few specks, but three are blurred on a gray background and one is broken; none is a legible five. In the lower row the paper is clean and the strokes vary in thickness, but two or three digits are misshapen."}}
rows = [draw(generator, 16, seed=0) for generator in generators.values()]
plots.digits(mx.concatenate(rows), columns=16, scale=0.45)

# %% [markdown]
# ## What is close to a digit?
#
# To compare generated images with real ones, we first need a distance between two images.
# The obvious candidate is the average squared difference of their pixels, so let us test it where we know the right answer.
# Take a handwritten digit and move it two pixels to the right.
# For comparison, take another digit from the test set, and the average of all test images, a fog like the one in [A GAN in one page](01_first_gan.ipynb).
#
# **Which of the three is closest to the original digit, measured by its pixels?**

# %%
digits = data.normalize(test.images)
order = mx.array(np.random.default_rng(1).permutation(n))
candidates = {
    "two pixels to the right": mx.roll(digits, 2, axis=2),
    "another digit": digits[order],
    "the fog": digits.mean(axis=0, keepdims=True),
}
for name, images in candidates.items():
    differences = mx.square(digits - images).mean(axis=(1, 2, 3))
    print(f"{name:24s} {differences.mean().item():.2f}")

# %% [markdown]
# :::{dropdown} Answer
# The fog, with 0.27 compared with 0.36 for the digit that was moved.
# Another digit is farthest away, with 0.54.
# :::
#
# By this distance, a generator of fog would beat one that draws every digit perfectly, but a little too far to the right.
#
# ## A judge of our own
#
# You were not fooled, because you compared what you recognized: a loop, a slant, the bar of a seven.
# To give a computer such eyes, we show both images to a network that was trained to recognize things and compare its **features**, the outputs of one of its last layers.
#
# For photographs this network is usually Inception ([Heusel et al., 2017](../book/bibliography.md#heusel-et-al-2017)), which knows a thousand kinds of things, but digits are not among them.
# We therefore train a judge of our own, as [Bińkowski et al. (2018)](../book/bibliography.md#bińkowski-et-al-2018) did for MNIST.
# Two convolutions, which [Convolutions](09_convolutions.ipynb) explains, lead to a hidden layer of 128 units, whose output will be our features, and then to ten logits.


# %% tags=["nbval-check-output"]
class Classifier(nn.Module):
    """Images (N, 28, 28, 1) in [-1, 1] to the logits of ten digits."""

    def __init__(self):
        super().__init__()
        self.conv1 = Conv2d(1, 32, 4, stride=2, padding=1)
        self.norm1 = nn.BatchNorm(32)
        self.conv2 = Conv2d(32, 64, 4, stride=2, padding=1)
        self.norm2 = nn.BatchNorm(64)
        self.hidden = nn.Linear(7 * 7 * 64, 128)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(128, 10)

    def features(self, images):
        x = nn.relu(self.norm1(self.conv1(images)))
        x = nn.relu(self.norm2(self.conv2(x)))
        return nn.relu(self.hidden(x.reshape(len(x), -1)))

    def __call__(self, images):
        return self.output(self.dropout(self.features(images)))


mx.random.seed(0)
classifier = Classifier()
first_five = data.normalize(test.images[:5])
print("features:", classifier.features(first_five).shape)

# %% [markdown]
# We train the judge like any classifier, but shift each batch by up to two pixels, so that it attends to the shape of a digit more than to its place.

# %% tags=["hide-input"]
epochs, batch_size = (3 if mlxgan.SMOKE else 12), 100
total = epochs * (len(train) // batch_size)
optimizer = optim.Adam(
    optim.cosine_decay(2e-3, total), bias_correction=True
)
optimizer.init(classifier.trainable_parameters())
layers.column_major(classifier, optimizer)
state = [classifier.state, optimizer.state, mx.random.state]


def shifted(images, down, right):
    """Images moved by -2 to 2 pixels, with paper at the edge."""
    frame = [(0, 0), (2, 2), (2, 2), (0, 0)]
    padded = mx.pad(images, frame, constant_values=-1)
    return padded[:, 2 + down : 30 + down, 2 + right : 30 + right]


def cross_entropy(images, labels):
    logits = classifier(images)
    return nn.losses.cross_entropy(logits, labels, reduction="mean")


gradient_of = nn.value_and_grad(classifier, cross_entropy)


@partial(mx.compile, inputs=state, outputs=state)
def step(images, labels):
    loss, gradients = gradient_of(images, labels)
    optimizer.update(classifier, gradients)
    return loss


def accuracy():
    """Fraction of the test images that are classified correctly."""
    classifier.eval()
    right = 0
    for images, labels in data.batches(test, 100, seed=0, drop_last=False):
        guesses = classifier(images).argmax(axis=1)
        right += (guesses == labels).sum().item()
    classifier.train()
    return right / len(test)


# %%
shifts = np.random.default_rng(0)
for epoch in range(1, epochs + 1):
    for images, labels in data.batches(
        train, batch_size, seed=0, epoch=epoch
    ):
        down, right = shifts.integers(-2, 3, 2).tolist()
        loss = step(shifted(images, down, right), labels)
        mx.eval(loss, state)
    if epoch == 1 or epoch % 3 == 0:
        print(f"epoch {epoch:2d}: accuracy {accuracy():.2%}")

# %% tags=["remove-cell"]
notes = {
    "data": train.name,
    "accuracy": f"{accuracy():.4f}",
    "seed": "0",
}
path = mlxgan.RUNS / "classifier/classifier.safetensors"
checkpoints.save(path, classifier.eval(), notes=notes)

# %% [markdown]
# After twelve epochs it misreads about one test image in 180.
# From here on we use the judge that comes with the book, from an earlier run of the same cells, so that all chapters share one.
#
# **What does the judge say about our three candidates?**


# %%
judge = mlxgan.load_pretrained("classifier")


def features_of(images):
    features, probabilities = metrics.features(judge, images)
    return features


seen = features_of(digits)
for name, images in candidates.items():
    differences = np.square(seen - features_of(images)).sum(axis=1)
    print(f"{name:24s} {differences.mean():6.0f}")

# %% [markdown]
# :::{dropdown} Answer
# The moved digit is by far the closest, and the fog is the farthest.
# :::
#
# In squared distance, another digit is fifteen times as far away as the one that was moved.
# But the judge never had to notice where exactly a digit stands or how clean the paper is, and a measure that relies on it may miss what it learned to ignore.
#
# ## Clouds of points
#
# For the judge, every image is a point with 128 coordinates, and ten thousand images are a cloud.
# To see something of it, we look at the plane in which the real digits vary the most.
# On the real side we take all 10,000 test images and 50,000 training images, and put the other 10,000 aside for later.
# From each generator we draw 10,000 digits, four times with different noise.

# %%
seeds = range(2 if mlxgan.SMOKE else 4)
samples = {
    name: [draw(generator, n, seed) for seed in seeds]
    for name, generator in generators.items()
}
fakes = {name: features_of(draws[0]) for name, draws in samples.items()}
reference = metrics.reference()
real, from_training = reference.real, reference.training

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Features of 3,000 test images and of 3,000 images from each generator, in the plane in which the real ones vary the most. Both generators reach all five arms of the real cloud, and both put more points into the space between the arms. In the cloud of the MLP GAN the arms at the left and at the upper right are thinner, and more points lie in the middle.", "name": "fig-08-clouds"}, "image": {"alt": "Three scatter plots side by side, the real digits in blue and the two generators in orange. The blue points form a star with five arms, which meet in a dense knot to the left of the middle. The points of the MLP GAN follow the same star, but few of them lie in the arms at the left and at the upper right, the arms end a little earlier, and many points fill the middle. Those of the DCGAN resemble the real ones more closely, with somewhat more points between the arms."}}
center = real.mean(axis=0)
plane = np.linalg.svd(real - center, full_matrices=False)[2][:2]
figure, panels = plt.subplots(
    1, 3, figsize=(7.5, 2.7), sharex=True, sharey=True
)
for axes, (name, cloud) in zip(
    panels, {"real": real, **fakes}.items(), strict=True
):
    x, y = plane @ (cloud[:3000] - center).T
    color = plots.REAL if name == "real" else plots.FAKE
    axes.scatter(x, y, s=3, alpha=0.3, color=color, linewidths=0)
    axes.set(title=name, xticks=[], yticks=[])
plt.show()

# %% [markdown]
# A generator is good if its cloud coincides with the real one, so we need a way to compare two clouds.
#
# ## The Fréchet distance
#
# Think of the two clouds as heaps of sand, one of which we want to turn into the other.
# Carrying a grain costs the square of the distance that it travels, and the average cost of a grain under the cheapest plan is the square of the **Wasserstein-2 distance** between the heaps.
#
# On a line the cheapest plan keeps the order: the leftmost grain goes to the leftmost place, and so on.
# Suppose that both heaps, the real one and the generated one, are bell curves, with means $m_r$ and $m_g$ and standard deviations $s_r$ and $s_g$.
# A grain that lies $u$ standard deviations from the mean of its heap keeps this $u$, so it travels from $m_r + s_r u$ to $m_g + s_g u$.
# Since $u$ is 0 and $u^2$ is 1 on average, the plan costs
#
# $$(m_r - m_g)^2 + (s_r - s_g)^2.$$
#
# **One bell has mean 0 and standard deviation 1, the other has mean 3 and standard deviation 2. What does it cost to turn the first into the second?**

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(0)
first_heap = np.sort(rng.normal(0, 1, 100_000))
second_heap = np.sort(rng.normal(3, 2, 100_000))
cost = np.square(first_heap - second_heap).mean()
print(f"cost of carrying {cost:.1f}, formula {3**2 + (2 - 1) ** 2:.1f}")

# %% [markdown]
# :::{dropdown} Answer
# 10, of which 9 are for moving the heap and 1 is for widening it.
# :::
#
# In 128 dimensions there is no leftmost grain, and the cheapest plan is hard to find.
# [Heusel et al. (2017)](../book/bibliography.md#heusel-et-al-2017) took a shortcut: describe each cloud by its mean $m$ and its covariance matrix $C$, and pretend that it is a normal distribution, because then the cost has a closed form:
#
# $$
# \begin{aligned}
# \mathrm{FID} = {}& \lVert m_r - m_g\rVert^2 + \mathrm{tr}\,C_r + \mathrm{tr}\,C_g \\
# & - 2\,\mathrm{tr}\big(C_r^{1/2}\, C_g\, C_r^{1/2}\big)^{1/2}.
# \end{aligned}
# $$
#
# The first term is the squared distance between the means, and the rest, in which $\mathrm{tr}$ is the sum of a matrix's diagonal, compares the shapes.
# They called it *Fréchet Inception distance*, after another name for the Wasserstein-2 distance and after their network.
# Ours is the **Fréchet distance in the features of the book's classifier**, or FID for short, on a scale of its own.
#
# Both matrices under a root are symmetric, so we can take the roots of their eigenvalues.


# %%
def frechet_distance(x, y):
    values, vectors = np.linalg.eigh(np.cov(x.T))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root @ np.cov(y.T) @ root
    overlap = np.sqrt(np.linalg.eigvalsh(product).clip(0)).sum()
    traces = np.trace(np.cov(x.T)) + np.trace(np.cov(y.T))
    way = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    return way + traces - 2 * overlap


for name, fake in fakes.items():
    print(f"{name:8s} FID {frechet_distance(real, fake):6.2f}")

# %% [markdown]
# By this measure the DCGAN is far ahead, with about a ninth of the cost.
#
# ## How sure is that number?
#
# Each value comes from one draw of noise, and another draw gives other digits.
#
# **By how many percent will the value of each generator change from one draw of 10,000 images to another?**
#
# `metrics.evaluate` computes every measure of this chapter for each of our draws.

# %%
scores = {
    name: [metrics.evaluate(images, reference) for images in draws]
    for name, draws in samples.items()
}
for name, runs in scores.items():
    values = np.array([run.fid for run in runs])
    print(f"{name:8s} FID", " ".join(f"{value:.2f}" for value in values))
    print(f"         {values.mean():.2f} ± {values.std(ddof=1):.2f}")

# %% [markdown]
# :::{dropdown} Answer
# By about 5 % for the MLP GAN and about 3 % for the DCGAN, if we divide the number behind ± by the mean.
# :::
#
# The number behind ± is the standard deviation over the four draws: how far a *single* draw typically lies from the average.
# The 38.98 and the 43.22 come from the same MLP GAN, so comparing single draws can show progress where there is none.
# Their differences scatter by $\sqrt 2 \cdot 1.88$, or about 2.7, so for such a generator anything below about 5 is weak evidence at best.
# The average of four draws is twice as reliable as one, which is why our generators get four.
#
# All this is the error of *sampling* alone.
# Training again from another seed gives a better or a worse generator, so [What makes training stable](11_stability.ipynb) repeats the training itself.
#
# ## What a perfect generator would get
#
# Is there anything left to improve at 4.7?
# We do not have a perfect generator, but we have its output: new handwritten digits, the 10,000 training images that we put aside.
# What they get when we measure them as samples is called the **floor**.
#
# **What is the FID between 10,000 real digits and 10,000 other real digits?**

# %%
print(f"floor: FID {reference.floor.fid:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# About 2, and not 0.
# :::
#
# Perhaps the two sets really differ, since the test set comes from other writers than the training set.
# Or perhaps it is chance: even for two sets from one source, the means and covariances differ a little, and a squared distance counts every difference as positive.
#
# We can separate the two, because chance fades.
# The square of an average's error falls like $1/n$ as the number $n$ of images in each set grows, so we expect
#
# $$\mathrm{FID}(n) \approx a + \frac{b}{n},$$
#
# where $a$ is the value for infinitely many images and $b/n$ is called the **bias**.
# For two random parts of the training set, which come from the same writers, $a$ should be 0.
# For these parts and for two other comparisons, we average over thirty pairs of subsets of each size and fit a line.

# %% tags=["hide-input"]
sizes = [50, 75, 100] if mlxgan.SMOKE else [1000, 2000, 5000, 10_000]
repeats = 5 if mlxgan.SMOKE else 30
rng = np.random.default_rng(0)
dcgan = np.concatenate(
    [features_of(images) for images in samples["DCGAN"]]
)


def pick(rows, count):
    return rows[rng.permutation(len(rows))[:count]]


def two_of_training(size):
    both = pick(from_training, 2 * size)
    return both[:size], both[size:]


def test_and_training(size):
    return pick(real, size), pick(from_training, size)


def test_and_dcgan(size):
    return pick(real, size), pick(dcgan, size)


# %%
comparisons = {
    "training, training": two_of_training,
    "test, training": test_and_training,
    "test, DCGAN": test_and_dcgan,
}
curves = {}
for name, make_pair in comparisons.items():
    fids = [
        [metrics.fid(*make_pair(size)) for _ in range(repeats)]
        for size in sizes
    ]
    mean = np.mean(fids, axis=1)
    error = np.std(fids, axis=1, ddof=1) / np.sqrt(repeats)
    (b, a), covariance = np.polyfit(
        1 / np.array(sizes), mean, 1, w=1 / error, cov="unscaled"
    )
    curves[name] = mean, error, a, b
    margin = covariance[1, 1] ** 0.5
    print(f"{name:18s} a {a:5.2f} ± {margin:.2f}, ", end="")
    print(f"bias {b / sizes[-1]:.2f} at {sizes[-1]:,} images")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "FID against the number of images, on an axis on which a + b/n is a straight line. At the left edge we read off what infinitely many images would give: about 0 for two parts of the training set, and more for the other two pairs. The points of the small sets do not lie exactly on the lines.", "name": "fig-08-bias"}, "image": {"alt": "Three rising straight lines with points on them, over an axis that runs from infinitely many images on the left over 10,000, 5,000 and 2,000 to 1,000 on the right. The gray line for two parts of the training set starts at 0, the blue one for test and training images at about 1, and the orange one for test images and the DCGAN at about 3.4. All three rise by 11 to 12 from left to right. The gray point lies above its line at 2,000 images and below it at 1,000."}}
figure, axes = plt.subplots()
for (name, (mean, error, a, b)), color in zip(
    curves.items(), (plots.GREY, plots.REAL, plots.FAKE), strict=True
):
    x = 1 / np.array(sizes)
    axes.errorbar(x, mean, error, fmt="o", color=color, ms=4)
    ends = np.array([0, x[0]])
    axes.plot(ends, a + b * ends, color=color, lw=1, label=name)
axes.set_xticks([0, *x], ["∞", *(f"{size:,}" for size in sizes)])
axes.set(xlabel="images in each set", ylabel="FID", ylim=(0, None))
axes.legend()
plt.show()

# %% [markdown]
# For two parts of the training set $a$ is −0.03 ± 0.05, so as far as we can tell, their 1.2 at 10,000 images is bias and nothing else.
# Between test and training images 0.95 remains however many we take, which suggests that the writers matter, although our judge, having seen the training images before, may contribute.
# For the DCGAN 3.4 remains, far more than even a perfect imitation of the training set would keep, so there is something left to improve.
#
# An FID may therefore be compared only with another FID by the same judge, against the same real images, and with the same number of samples.
# Even then a small difference may be due to the bias, because $b$ depends on the generator.
#
# ## The kernel distance
#
# Could there be a measure without bias?
# Imagine a party with two groups of guests.
# If they are the same kind of people, two guests of one group are on average as alike as two guests of different groups.
#
# The **kernel distance** of [Bińkowski et al. (2018)](../book/bibliography.md#bińkowski-et-al-2018) checks exactly that; on Inception's features it is the *kernel Inception distance*, or KID, and again we borrow the short name.
# A kernel says how alike two images are, here $k(x, y) = (x \cdot y / F + 1)^3$ for features $x$ and $y$ of $F$ numbers each, and the distance is
#
# $$\mathrm{KID} = \mathbb E\,k(x, x') + \mathbb E\,k(y, y') - 2\,\mathbb E\,k(x, y),$$
#
# where $x$ and $x'$ are different real images and $y$ and $y'$ different fakes.
# No image is paired with itself, which makes the estimate **unbiased**: for two sets from the same source it is 0 on average.
#
# **We take twenty pairs of small sets, with 500 training images each. What are their FID and their KID on average?**


# %%
def kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def kernel_distance(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    within = xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)
    return within / (len(x) * (len(x) - 1)) - 2 * xy.mean()


size = 100 if mlxgan.SMOKE else 500
pairs = [two_of_training(size) for _ in range(20)]
for distance in (frechet_distance, kernel_distance):
    values = np.array([distance(x, y) for x, y in pairs])
    error = values.std(ddof=1) / np.sqrt(len(values))
    print(f"{distance.__name__:16s} {values.mean():5.2f} ± {error:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# The FID is about 24, although there is nothing to find, and the KID is 0.35 ± 0.52, which is 0 within its error.
# :::
#
# With all 10,000 images, does the KID notice the writers, and the DCGAN?
# The **bootstrap** estimates its error by drawing new sets from the images at hand, with replacement, and taking the standard deviation of their distances.

# %%
parts = [from_training[i * n : (i + 1) * n] for i in range(4)]
kids = {
    "training, training": [
        metrics.kid(parts[i], parts[i + 1]) for i in range(3)
    ],
    "test, training": [metrics.kid(real, part) for part in parts],
    "test, DCGAN": [(run.kid, run.kid_error) for run in scores["DCGAN"]],
}
for name, results in kids.items():
    values = " ".join(f"{value:5.2f}" for value, _ in results)
    error = np.mean([error for _, error in results])
    print(f"{name:18s} {values}   bootstrap error {error:.2f}")

# %% [markdown]
# Between test and training images the KID is 0.24 to 0.37, which with an error of 0.25 is only a hint that the writers differ.
# The DCGAN gets 0.59 to 0.84, two to three times the error, so it can just about be told from the test images.
# The FID answers more clearly, with 4.6 to 4.8 compared with about 2, so a measure without bias is not automatically the more sensitive one.
#
# ## Good, or varied?
#
# A generator can fail in two ways: its digits do not look like digits, or they do, but it can draw only some of them.
# To tell the two faults apart, [Kynkäänniemi et al. (2019)](../book/bibliography.md#kynkäänniemi-et-al-2019) ask two questions.
# **Precision**: what fraction of the fakes could be real?
# **Recall**: what fraction of the real images could have come from the generator?
#
# ![Two panels with the same blue points for real images and orange points for fakes. On the left, balls are drawn around the blue points, and 5 of 7 orange points lie in one of them. On the right, balls are drawn around the orange points, and 2 of 7 blue points lie in one of them.](../book/diagrams/precision-recall.svg)
#
# *Precision counts the fakes in a ball around a real point, and recall the real points in a ball around a fake. Here each ball reaches to the nearest neighbor of its center.*
#
# "Could be" is taken geometrically: around each member of a set we draw a ball that reaches to its third nearest neighbor in the set, and any point in one of these balls could belong to it.
# In code, everything follows from one table of ticks, with a row for each point and a column for each ball.


# %%
def distances(x, y):
    return np.linalg.norm(x[:, None] - y, axis=2)


def in_balls(points, members, k):
    """Table (points, members): does the point lie in the ball?"""
    to_members = np.sort(distances(members, members), axis=1)
    radii = to_members[:, k]  # column 0 is the member itself
    return distances(points, members) <= radii


def precision_and_recall(real, fake, k=3):
    precision = in_balls(fake, real, k).any(axis=1).mean()
    recall = in_balls(real, fake, k).any(axis=1).mean()
    return precision, recall


# %% [markdown]
# Let us try this in the plane, with real points that form a ring of eight clusters.
# Of three generators, the first does everything right, the second has kept only four clusters, and the third knows all eight but scatters its points too widely.
#
# **Which of precision and recall does each of the three lose?**

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(0)
angles = 2 * np.pi * np.arange(8) / 8
centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ring(clusters, width):
    chosen = centers[rng.integers(clusters, size=500)]
    return chosen + width * rng.normal(size=(500, 2))


real_ring = ring(8, 0.06)
clouds = {
    "right": ring(8, 0.06),
    "too few": ring(4, 0.06),
    "too wide": ring(8, 0.3),
}
for name, cloud in clouds.items():
    precision, recall = precision_and_recall(real_ring, cloud)
    print(f"{name:8s} precision {precision:.2f}, recall {recall:.2f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Real points in blue and generated ones in orange. A generator that has lost half of the clusters keeps its precision and loses recall. One that scatters too widely keeps its recall and loses precision.", "name": "fig-08-ring"}, "image": {"alt": "Three panels with eight blue clusters on a ring. In the first, orange points lie on all eight clusters. In the second they lie on four neighboring clusters only. In the third they are scattered in a broad band along the ring, also between the clusters and outside it."}}
figure, panels = plt.subplots(
    1, 3, figsize=(7.5, 2.8), sharex=True, sharey=True
)
for axes, (name, cloud) in zip(panels, clouds.items(), strict=True):
    axes.scatter(*real_ring.T, s=4, color=plots.REAL)
    axes.scatter(*cloud.T, s=4, color=plots.FAKE, alpha=0.6)
    axes.set(title=name, aspect="equal", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# The first loses very little of either, the second more than half of its recall, and the third four fifths of its precision.
# :::
#
# Back to the digits, with two lines from the table of all results.


# %%
card = metrics.table({"floor": reference.floor, **scores})


def show(*labels):
    header, *lines = card.splitlines()
    print(header)
    print(*(line for line in lines if line.startswith(labels)), sep="\n")


show("precision", "recall")

# %% [markdown]
# The floor is not 1, because even among real digits some are so unusual that they lie in nobody's ball.
# By precision the MLP GAN is no worse than the DCGAN, although three of its sixteen digits at the top were gray smudges.
# It is the recall that tells the two apart: 0.26 compared with 0.79.
# Does the MLP GAN leave out three quarters of all handwriting?
# Let us first try recall on a generator whose fault we know.
#
# ## A hundred images, a hundred times
#
# Suppose that a generator has stored a hundred real digits and always returns one of them at random.
# Its precision will be high, but its recall ought to be close to 0, since it can never draw any other digit.
#
# **What is its recall if we measure the hundred images once? And if we measure each of them a hundred times?**

# %%
order = np.random.default_rng(0).permutation(len(train))
good = train.images[mx.array(order[:n])]  # the images of the floor
hundred = features_of(good[:100])
often = np.repeat(hundred, 100, axis=0)
stored = {"100 images": hundred, "each 100 times": often}
for name, fake in stored.items():
    precision, recall = metrics.precision_recall(real, fake)
    print(f"{name:15s} precision {precision:.3f}, recall {recall:.3f}")

# %% [markdown]
# :::{dropdown} Answer
# 0.935 if we measure them once, and 0.000 if each is repeated.
# :::
#
# The first is *higher* than the 0.875 of 10,000 fresh digits, and the second is about right, but for the wrong reason, because in recall the balls belong to the fakes.
# Among only a hundred fakes the third nearest neighbor is far away, so the balls are huge and contain more than nine tenths of all real digits.
# When each image is repeated, that neighbor is another copy, at distance 0, so the ball is a single point, and no real digit lies exactly there.
#
# So recall flatters a generator whose samples lie far apart, even if they are nonsense, and it punishes one that repeats itself more than it deserves.
#
# The cure of [Naeem et al. (2020)](../book/bibliography.md#naeem-et-al-2020) is to draw balls around real images only, because these do not change with the generator.
# Each ball now reaches to the $k$-th neighbor of its center, with $k = 5$.
# In place of recall, **coverage** is the fraction of these balls that contain at least one fake.
# In place of precision, **density** is the number of balls that a fake lies in, averaged over the fakes and divided by $k$, so that a perfect generator gets about 1 (Exercise 1).
#
# ![Three panels with balls around seven blue real points only. In the first and the second, titled density and coverage, the same seven varied orange fakes lie in 1.9 balls on average, and all 7 balls contain a fake. In the third, titled copies, three images that were supplied a hundred times each lie in 2.0 balls on average, but only 3 of 7 balls contain a fake.](../book/diagrams/density-coverage.svg)
#
# *Density counts in how many balls around real points a fake lies, and coverage the balls that contain a fake, which copies cannot raise. Here $k = 1$.*
#
# In our table, precision counts the *rows* that have a tick, coverage the *columns*, and density all the ticks.


# %% tags=["nbval-check-output"]
def density_and_coverage(real, fake, k=5):
    ticks = in_balls(fake, real, k)
    density = ticks.sum(axis=1).mean() / k
    coverage = ticks.any(axis=0).mean()
    return density, coverage


for name, cloud in clouds.items():
    density, coverage = density_and_coverage(real_ring, cloud)
    print(f"{name:8s} density {density:.2f}, coverage {coverage:.2f}")

# %% [markdown]
# In the plane, coverage finds the lost clusters as recall did, but it is not taken in by the generator that scatters too widely.
#
# **A hundred digits, once or a hundred times: what is their coverage?**

# %%
for name, fake in stored.items():
    density, coverage = metrics.density_coverage(real, fake)
    print(f"{name:15s} density {density:.3f}, coverage {coverage:.3f}")
show("density", "coverage")

# %% [markdown]
# :::{dropdown} Answer
# 0.044, in both cases.
# :::
#
# Repeating the images no longer matters, and the result is as low as it should be.
# (A hundred digits from a perfect generator would cover as little, so compare coverage only at the same number of samples.)
#
# Of our generators, the DCGAN reaches 88 % of the balls and the MLP GAN 72 %, far from the loss of three quarters that its recall suggested.
# This book therefore relies on coverage, and keeps precision and recall because many papers use them.
#
# ## What the judge says
#
# For each image our judge also tells us how probable each of the ten digits is.
#
# - How many images are *clear*, that is, how many have one digit with a probability of more than 90 %?
# - How often does each digit occur?
#   The difference from equal frequencies is a Kullback-Leibler divergence, as in [Losses and optimizers](05_losses.ipynb): it is 0 if all ten are equally frequent, and $\log 10 \approx 2.30$ if there is only one.
# - The *classifier score* $\exp \mathbb E\,\mathrm{KL}\big(p(c \mid x) \,\Vert\, p(c)\big)$ joins both: how far do the probabilities $p(c \mid x)$ of the digits $c$ for an image $x$ lie from $p(c)$, their average over all images?
#   With Inception as the judge it is the *inception score* of [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016).
#
# **Which digit do you expect the MLP GAN to draw too often?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "How often the judge sees each digit among real images and among the samples of the two generators. For the generators, the bars are means over four draws. The MLP GAN draws more ones and eights than there are in MNIST, and fewer fours and fives. The DCGAN stays within about one percentage point of the real digits.", "name": "fig-08-classes"}, "image": {"alt": "Three bars for each digit from 0 to 9. The blue bars of real images and the orange ones of the DCGAN all lie between 0.085 and 0.115, near a dotted line at one tenth. The light orange bars of the MLP GAN vary more: the one for the digit 1 reaches almost 0.14, the one for 8 almost 0.12, and those for 4 and 5 stay just below 0.08."}}
figure, axes = plt.subplots()
bars = {"real": [reference.floor], **scores}
for shift, (name, runs), color, alpha in zip(
    (-0.27, 0, 0.27),
    bars.items(),
    (plots.REAL, plots.FAKE, plots.FAKE),
    (1, 0.45, 1),
    strict=True,
):
    heights = np.mean([run.histogram for run in runs], axis=0)
    x = np.arange(10) + shift
    axes.bar(x, heights, 0.25, color=color, alpha=alpha, label=name)
axes.axhline(0.1, color="black", linestyle=":", lw=1)
axes.set(xlabel="digit", ylabel="fraction", xticks=range(10))
axes.legend(ncols=3)
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# The one: 13.6 % of its samples are ones, compared with 11.1 % of the real digits.
# :::
#
# From draw to draw this fraction has a standard deviation of half a percentage point, so it is not the luck of a draw.
# The judge, which has to name a digit even for a smudge, may contribute to the excess, and one generator cannot show the reason, so [When it goes wrong](10_failures.ipynb) will look at many.
#
# And the missing five?
# If 7.8 % of the samples are fives, sixteen samples contain none with a probability of $0.922^{16}$, or 27 %, so one row without a five shows nothing at all.
#
# ## The report card
#
# One fault is still missing: none of these measures objects to a generator that returns its training images.
# To turn the search of [Generating](07_generating.ipynb) into a number, we ask for what fraction of samples the nearest *training* image is nearer than the nearest *test* image, which nobody can have copied.
# Since there are five times as many training images, this should be about five sixths for honest samples, and for copies it is 1.
# In the complete table it is the line "nearer to training".

# %%
print(card)

# %% [markdown]
# To read it, compare each value with the floor and each difference with the numbers behind ±.
# In "nearer to training", for example, neither generator lies above the floor, so this test shows no sign of copying.
# By FID, recall, coverage and the fraction of clear images the DCGAN is far ahead, and in precision and density it is a little behind.
# So on average the MLP GAN's samples lie no worse among the real digits, but they are less varied, and more of them are unclear.
#
# | asks whether samples are | measures, with their range and best value |
# |---|---|
# | good | precision (0 to 1, high), density (0 or more, near 1), more than 90 % sure (0 to 1, high) |
# | varied | recall and coverage (0 to 1, high), KL of the classes (0 to 2.30, low) |
# | good and varied | FID (0 or more, low), KID (about 0 or more, low), classifier score (1 to 10, high) |
# | copied | nearer to training (0 to 1, near the floor) |
#
# ## Which measure sees which fault?
#
# Precision does not seem to mind the gray smudges, so what do the other measures miss?
# To find out, we damage real digits in five ways: we blur them, put specks of ink on a hundredth of the pixels, move them two pixels to the right, leave out all fours, and lay each digit over another one.


# %% tags=["hide-input"] mystnb={"figure": {"caption": "Eight digits of each set: undamaged, blurred, with specks, moved to the right, without fours, and two laid over each other.", "name": "fig-08-faults"}, "image": {"alt": "Six rows of eight digits: clean digits; the same ones blurred; with single black pixels strewn over them; moved to the right; the same ones again, but without the four, so that later digits move up; and pairs of digits laid over each other in gray."}}
def blurred(images):
    """The average over windows of 3x3 pixels."""
    frame = [(0, 0), (1, 1), (1, 1), (0, 0)]
    x = mx.pad(images.astype(mx.float32), frame)
    x = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    x = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    return (x / 9).astype(mx.uint8)


def specked(images):
    chance = mx.random.uniform(shape=images.shape, key=mx.random.key(1))
    return mx.where(chance < 0.01, mx.array(255, mx.uint8), images)


def overlaid(images):
    both = images.astype(mx.float32) + images[::-1].astype(mx.float32)
    return (both / 2).astype(mx.uint8)


labels_in_order = np.array(train.labels)[order]
no_fours = order[labels_in_order != 4][:n]
faults = {
    "none (floor)": good,
    "blurred": blurred(good),
    "specks": specked(good),
    "moved": mx.roll(good, 2, axis=2),
    "no fours": train.images[mx.array(no_fours)],
    "overlaid": overlaid(good),
}
rows = [images[:8] for images in faults.values()]
plots.digits(mx.concatenate(rows), columns=8, scale=0.45)

# %% [markdown]
# **Which of these faults lower precision, which lower recall, and does one of them raise a measure above the floor?**

# %% tags=["hide-input"]
lines = [
    "| fault | FID | precision | recall | density | coverage | KL |",
    "|:--|--:|--:|--:|--:|--:|--:|",
]
for name, images in faults.items():
    fake, probabilities = metrics.features(judge, images)
    values = [
        *metrics.precision_recall(real, fake),
        *metrics.density_coverage(real, fake),
        metrics.kl_from_uniform(metrics.class_histogram(probabilities)),
    ]
    cells = " | ".join(f"{value:.3f}" for value in values)
    lines.append(f"| {name} | {metrics.fid(real, fake):.1f} | {cells} |")
display(Markdown("\n".join(lines)))

# %% [markdown]
# :::{dropdown} Answer
# All five lower recall, the specks only a little.
# Specks, the shift and the overlay lower precision as well, the missing fours leave it where it was, and blurring *raises* it, together with density.
# :::
#
# (In the four columns between FID and KL, differences of a hundredth may be chance.)
#
# - **Blurred** digits have a precision of 0.933, above the 0.849 of clean ones, probably because a digit without its peculiarities moves toward the middle of the cloud, where real digits surround it.
# - **Moved** digits lose about half of both precision and recall, although KL finds their frequencies as even as before.
#   So the judge seems to forgive a shift when it names a digit, but its features still know something about where the digit stood.
# - **Missing fours** cost only eight hundredths of recall and coverage.
# - **Overlaid** digits are by far the worst for FID and KL, but two thirds of them lie in some ball around a real digit.
#
# FID, recall and coverage notice all five faults, but they name none of them: the MLP GAN has an FID of 41, the moved digits have 44, and those without fours have 49.
# It is the pattern across the measures that tells us what is wrong.
#
# ## What the field uses
#
# Papers most often report the FID on Inception's features, with 50,000 samples, but as generators have become better, doubts about it have grown.
# [Stein et al. (2023)](../book/bibliography.md#stein-et-al-2023) asked many people how real generated images look, and none of the usual measures agreed well with their answers.
# They recommend **FD-DINOv2**, the Fréchet distance on the features of DINOv2, a large network that learned without labels.
# [Jayasumana et al. (2024)](../book/bibliography.md#jayasumana-et-al-2024) show that features are far from normally distributed, so their **CMMD** is a kernel distance, which assumes nothing about the shape of the clouds, on the features of another network, CLIP.
#
# :::{admonition} Coming from PyTorch
# :class: tip
# Libraries such as `torch-fidelity`, `torchmetrics` and `clean-fid` compute FID and KID.
# How they resize your images to the 299 by 299 pixels that Inception expects changes the result ([Parmar et al., 2022](https://arxiv.org/abs/2104.11222)), so compare only values from the same library.
# :::
#
# :::{admonition} If it goes wrong
# :class: warning
# *Symptom*: the FID is NaN or a complex number.
# *Cause*: a general matrix root of $C_r C_g$, which is not symmetric.
# *Cure*: the symmetric form of this chapter, and more images than features.
#
# *Symptom*: even real images score badly.
# *Cause*: another range of pixels, black and white exchanged, or only the first thousand test images, since the easier half comes first.
# *Cure*: measure the floor first, and shuffle.
# :::
#
# ## Summary
#
# Measured by pixels, a fog is closer to a digit than the same digit moved a little, so we compare images by the features of a judge that was trained to recognize digits.
# FID, the cost of carrying one cloud to the other, is too large by an amount that falls roughly like $1/n$, while KID has an error but no bias.
# Precision asks whether fakes could be real, and lets a blur pass.
# Recall asks what is missing, but samples that repeat or lie far apart can fool it, whereas coverage resists both.
# Each number needs a floor and a spread over several draws, and even this spread leaves out the luck of the training.
#
# With these tools we can find out whether a better network makes better digits, and [Convolutions](09_convolutions.ipynb) builds one.
#
# ## Exercises
#
# ### Exercise 1: What a perfect generator covers (derive)
#
# Suppose that the fakes come from the same distribution as the real images, and that there are $N$ of each.
# What coverage and what density should we expect?
# (Look at the ball of one real image, and ask in which order the other $2N - 1$ points follow when you sort them by their distance from its center.)
#
# :::{dropdown} Solution
# The other points are $N - 1$ real images and $N$ fakes from the same distribution, so every order of real and fake is equally likely.
# The ball reaches to the $k$-th real image, so it contains no fake exactly if the first $k$ of all the points are real.
# The probability of this is
#
# $$\frac{N-1}{2N-1} \cdot \frac{N-2}{2N-2} \cdots \frac{N-k}{2N-k} \approx \frac{1}{2^k},$$
#
# and the expected coverage is $1 - 2^{-k}$, or 0.969 for $k = 5$.
# For the density, note that the $N - 1$ real images leave $N$ gaps in this order, that each fake is equally likely to fall into any of them, and that the ball covers the first $k$ gaps, so it contains $N \cdot k/N = k$ fakes on average.
# All balls together have $kN$ ticks, which makes $k$ for each fake, and the density is 1.
# The floor of the report card is a little lower, presumably because the test images come from other writers.
# :::

# %% tags=["hide-cell"]
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2, 1000, 2))
for k in (1, 2, 5):
    _, coverage = density_and_coverage(x, y, k)
    print(f"k = {k}: coverage {coverage:.3f}, expected {1 - 2**-k:.3f}")
density, coverage = metrics.density_coverage(parts[0], parts[1])
print(f"training images: density {density:.3f}, coverage {coverage:.3f}")

# %% [markdown]
# ### Exercise 2: How many copies go unnoticed? (code)
#
# Build sets of 2,000 "samples", of which a fraction are copies of training images and the rest come from the DCGAN, and measure the fraction that is nearer to a training image.
# From which fraction on would you notice the copies?
#
# :::{dropdown} Solution
# If a fraction $q$ of honest samples lie nearer to a training image, a set with a fraction $f$ of copies gets $f + (1 - f)\,q$, a straight line from $q$ to 1.
# With 2,000 samples the standard error is $\sqrt{q (1 - q) / 2000}$, about 0.008 for the 0.836 that the cell finds without copies.
# A tenth of copies raises the number to 0.847, which cannot be told apart from the floor of 0.840, and for a generator of your own you have nothing else to compare with.
# A quarter of copies, with 0.873, lies about four errors above the floor and would be noticed.
# All of this holds for exact copies only.
# :::


# %% tags=["hide-cell"]
def partly_copied(fraction, count):
    copies = int(fraction * count)
    return np.concatenate([from_training[:copies], dcgan[copies:count]])


for fraction in (0, 0.1, 0.25, 0.5, 1):
    fake = partly_copied(fraction, count=min(2000, n))
    value = metrics.nearer_to_training(fake, from_training, real)
    print(f"{fraction:4.0%} copies: {value:.3f} nearer to training")

# %% [markdown]
# ### Exercise 3: Larger balls (change and explain)
#
# Perhaps the recall of repeated images only needs a larger $k$.
# Take 20 images a hundred times each, compare them with 2,000 real ones, and increase $k$ from 3 to 99, 100 and 200.
# Explain what you see, including the jump between 99 and 100.
#
# :::{dropdown} Solution
# Each fake has 99 copies at distance 0, so up to $k = 99$ all balls are points and recall is 0.
# For $k = 100$ a ball reaches to the first image that differs, and recall jumps to 0.86.
# With $k = 200$ it reaches to the second one, and recall is 0.95.
# Nothing about the generator has changed, so if you may choose $k$, you may choose the recall.
# :::

# %% tags=["hide-cell"]
twenty = np.repeat(hundred[:20], 100, axis=0)
for k in (3, 99, 100, 200):
    _, recall = metrics.precision_recall(real[:2000], twenty, k)
    print(f"k = {k:3d}: recall {recall:.3f}")

# %% [markdown]
# ### Exercise 4: Less noise (change and explain)
#
# In [Generating](07_generating.ipynb) we multiplied the noise by a number below 1 and hoped for tidier digits.
# Do this with both generators, for the factor 0.5, and measure FID, precision, recall, density and coverage.
# Which of them improve?
#
# :::{dropdown} Solution
# For the DCGAN precision rises from 0.790 to 0.823, and for the MLP GAN density rises from 0.892 to 0.939.
# These are the only improvements, and both are paid for: recall falls from 0.79 to 0.25 and from 0.26 to 0.19, coverage from 0.88 to 0.34 and from 0.72 to 0.67.
# FID gets much worse for both, from 4.7 to 312 for the DCGAN and from 41 to 156 for the MLP GAN.
# So whether less noise gives more typical digits depends on the generator, and a precision should be reported with its recall and with the factor of the noise.
#
# The density of the DCGAN falls from 0.85 to 0.61, so perhaps its fakes have moved to places where real digits are sparse and balls are large.
# :::


# %% tags=["hide-cell"]
for name, generator in generators.items():
    fake = features_of(draw(generator, n, seed=0, factor=0.5))
    precision, recall = metrics.precision_recall(real, fake)
    density, coverage = metrics.density_coverage(real, fake)
    print(f"{name}, half the noise: FID {metrics.fid(real, fake):.1f}")
    print(f"  precision {precision:.3f}, recall {recall:.3f}")
    print(f"  density {density:.3f}, coverage {coverage:.3f}")

# %% [markdown]
# ## Further reading
#
# - [Heusel et al. (2017)](../book/bibliography.md#heusel-et-al-2017) introduced FID and tested it on damaged images, much as we did.
# - [Bińkowski et al. (2018)](../book/bibliography.md#bińkowski-et-al-2018) explain KID and show that no estimate of FID from finitely many images can be unbiased.
# - [Chong and Forsyth (2020)](../book/bibliography.md#chong-and-forsyth-2020) propose to report the limit $a$ in place of the FID, because the bias depends on the generator.
# - [Kynkäänniemi et al. (2019)](../book/bibliography.md#kynkäänniemi-et-al-2019) show with many pictures what precision and recall tell about a generator, and [Naeem et al. (2020)](../book/bibliography.md#naeem-et-al-2020) where they fail. Exercise 1 is from the latter.
# - [Stein et al. (2023)](../book/bibliography.md#stein-et-al-2023) compare 17 measures with the opinion of many people.
