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
# "The samples look better" is no result. After this chapter you can say how much better, in which
# respect, and whether the difference is larger than chance.
#
# ```{admonition} What you will learn
# :class: important
# - train the small classifier whose features all later chapters measure with
# - compute the Fréchet distance, the kernel distance, precision and recall, and check each on a case with a known answer
# - tell which fault each measure sees, and to which it is blind
# - put a floor under a measure, and an error bar on it
# - read the report card of a generator
#
# **Before**: [The training loop](06_training.ipynb) and [Generating](07_generating.ipynb).
# ```

# %%
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import checkpoints, data, layers, metrics, models, plots, training
from mlxgan.layers import Conv2d

from functools import partial

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

train, test = data.load("train"), data.load("test")
n = len(test)
shuffled = np.random.default_rng(0)
order, test_order = (
    mx.array(shuffled.permutation(len(x)).astype(np.uint32)) for x in (train, test)
)

# %% [markdown]
# ## A judge of our own
#
# Pixels are a poor place to compare pictures: a digit that moves by two pixels is far from where it was,
# and a grey mean of all digits is close to each. The usual way out is to compare *features*, the inner
# layers of a network that was trained to recognise. For photographs that network is Inception
# ([Heusel et al., 2017](../book/bibliography.md#heusel-et-al-2017)). It has never seen a digit, so we train one that has.
#
# It is small: two convolutions of kernel 4 and stride 2, a hidden layer of 128, ten logits. The hidden layer, after
# its ReLU, is what all measures below look at.


# %% tags=["nbval-check-output"]
class Classifier(nn.Module):
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
classifier = models.Classifier()  # the same, from the package
print("features:", classifier.features(data.normalize(test.images[:5])).shape)

# %% [markdown]
# This `Conv2d` is `nn.Conv2d`, faster on a CPU ([Where the time goes](16_speed.ipynb)). Training is a matter of a minute. Each batch is
# shifted by up to two pixels, so that the classifier learns the shape and not the place.


# %%
def shifted(images, rows, columns):
    """Images moved by -2 to 2 pixels; background comes in at the edge."""
    padded = mx.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], constant_values=-1)
    return padded[:, 2 + rows : 30 + rows, 2 + columns : 30 + columns]


def cross_entropy(images, labels):
    return nn.losses.cross_entropy(classifier(images), labels, reduction="mean")


epochs, batch_size = (3 if mlxgan.SMOKE else 12), 100
total = epochs * (len(train) // batch_size)
optimizer = optim.Adam(optim.cosine_decay(2e-3, total), bias_correction=True)
optimizer.init(classifier.trainable_parameters())
layers.column_major(classifier, optimizer)
state = [classifier.state, optimizer.state, mx.random.state]
gradient_of = nn.value_and_grad(classifier, cross_entropy)


# %%
@partial(mx.compile, inputs=state, outputs=state)
def step(images, labels):
    loss, gradients = gradient_of(images, labels)
    optimizer.update(classifier, gradients)
    return loss


def accuracy():
    classifier.eval()
    right = [
        (classifier(images).argmax(axis=1) == labels).sum().item()
        for images, labels in data.batches(test, 100, seed=0, drop_last=False)
    ]
    classifier.train()
    return sum(right) / len(test)


# %%
shifts = np.random.default_rng(0)
for epoch in range(1, epochs + 1):
    for images, labels in data.batches(train, batch_size, seed=0, epoch=epoch):
        rows, columns = shifts.integers(-2, 3, 2).tolist()
        loss = step(shifted(images, rows, columns), labels)
        mx.eval(loss, state)
    print(f"epoch {epoch:2d}: {accuracy():.2%} of the test images")

# %% [markdown]
# `state` holds `mx.random.state` because of the dropout, and the running statistics of the normalisation come with
# `classifier.state`. The file keeps the accuracy with the weights.

# %%
classifier.eval()
notes = {"data": train.name, "accuracy": f"{accuracy():.4f}", "seed": "0"}
checkpoints.save("../runs/classifier/classifier.safetensors", classifier, notes=notes)

# %% [markdown]
# Everything from here on uses the classifier that ships with the book, which is this file in half precision.
# `metrics.features` gives the features of images and the probabilities of the ten classes.

# %% tags=["nbval-check-output"]
judge = checkpoints.load_pretrained("classifier")
real, real_probabilities = metrics.features(judge, test.images[test_order])
print(
    "features",
    real.shape[1:],
    real.dtype,
    "- probabilities",
    real_probabilities.shape[1:],
)
print("none negative:", bool((real >= 0).all()))

# %% [markdown]
# Two sets of features to begin with: those of the test images, and those of as many samples of the MLP GAN of
# [The training loop](06_training.ipynb). {numref}`fig-08-plane` shows them in the plane in which the real ones spread most.

# %%
generator = checkpoints.load_pretrained("mlp")


def sample_mlp(seed, scale=1.0):
    z = mx.random.normal((n, generator.latent_dim), key=mx.random.key(seed))
    return data.to_uint8(training.sample(generator, scale * z))


images = sample_mlp(0)
fake, fake_probabilities = metrics.features(judge, images)

# %% mystnb={"figure": {"caption": "Features of test images and of samples, projected on the two directions in which the real ones vary most. The samples reach the same clusters, crowd into a few of them and thin out in the others.", "name": "fig-08-plane"}, "image": {"alt": "Two scatter plots side by side, blue for real and orange for generated. The blue points form several clusters of similar density; the orange ones crowd into one dense spot on the right and leave the clusters on the left nearly empty."}}
centre = real.mean(axis=0)
directions = np.linalg.svd(real - centre, full_matrices=False)[2][:2]
_, axes = plt.subplots(1, 2, sharex=True, sharey=True, figsize=(7.5, 3.4))
for axis, points, color, name in zip(
    axes, (real, fake), (plots.REAL, plots.FAKE), ("real", "generated"), strict=True
):
    x, y = directions @ (points[:3000] - centre).T
    axis.scatter(x, y, s=3, alpha=0.3, color=color, linewidths=0)
    axis.set(title=name, xlabel="first direction")
axes[0].set_ylabel("second direction")
plt.show()

# %% [markdown]
# ## The Fréchet distance
#
# Fit a normal distribution to each cloud, and ask how far apart the two are. For normal distributions the Fréchet
# distance (also called Wasserstein-2) has a closed form. With means $m$ and covariances $C$,
#
# $$
# \begin{aligned}
# \mathrm{FID} = {}& \lVert m_r - m_g\rVert^2 + \mathrm{tr}\,C_r + \mathrm{tr}\,C_g \\
# & - 2\,\mathrm{tr}\big(C_r^{1/2}\, C_g\, C_r^{1/2}\big)^{1/2}.
# \end{aligned}
# $$
#
# In one dimension this is $(m_r - m_g)^2 + (s_r - s_g)^2$, with $s$ the standard deviations: the distance of two
# points. The last term needs the root of a matrix. The product $C_r C_g$ is not symmetric, and the iteration that
# is often used for its root can return complex numbers. The form above is symmetric, so two eigendecompositions do:
# the first for $C_r^{1/2}$, and the eigenvalues of the second for the trace.


# %% tags=["nbval-check-output"]
def frechet(x, y):
    values, vectors = np.linalg.eigh(np.cov(x.T))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root @ np.cov(y.T) @ root
    cross = np.sqrt(np.linalg.eigvalsh(product).clip(0)).sum()
    traces = x.var(axis=0, ddof=1).sum() + y.var(axis=0, ddof=1).sum()
    return ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + traces - 2 * cross


rng = np.random.default_rng(0)
scales, means = np.array([1.0, 2.0, 0.5]), np.array([1.0, 0.0, 2.0])
x = rng.normal(size=(200_000, 3))
y = means + scales * rng.normal(size=(200_000, 3))
print(
    f"estimated {frechet(x, y):.2f}, expected {(means**2 + (scales - 1) ** 2).sum():.2f}"
)

# %% [markdown]
# `metrics.fid` is this with its arguments checked. It runs in NumPy, in float64. MLX's `eigh` is there for the CPU alone,
# and the difference of large traces wants the precision.

# %%
assert (
    abs(metrics.fid(real, fake) - frechet(real.astype(float), fake.astype(float)))
    < 1e-6
)
print(f"FID of the MLP GAN: {metrics.fid(real, fake):.1f}")

# %% [markdown]
# Is that much? The number has no unit that one could know from elsewhere. What it needs is a *floor*: the distance of real
# images from real images. Training images are as good as samples can get.
#
# **Predict**: two sets of 10,000 real digits each. Is their FID 0?

# %%
more_real, more_probabilities = metrics.features(judge, train.images[order[:n]])
print(f"floor: {metrics.fid(real, more_real):.2f}")

# %% [markdown]
# It is not, for two reasons. Training and test images were written by different people. And the distance of two finite
# sets is too large on average, since their covariances err independently and any difference counts. The fewer images, the
# larger the error.
#
# **Predict**: how does the FID of real images from real images change when each set has 500 instead of 10,000?

# %%
sizes = [50, 100, 200] if mlxgan.SMOKE else [500, 1000, 2000, 5000, 10_000]
rows = {}
for size in sizes:
    rows[size] = (
        metrics.fid(real[:size], more_real[:size]),
        metrics.fid(real[:size], fake[:size]),
    )
    print(f"{size:6,} images: real {rows[size][0]:6.2f}   MLP GAN {rows[size][1]:6.2f}")

# %% mystnb={"figure": {"caption": "The fewer images, the larger the FID, for real images as for generated ones. A value without its number of images means nothing.", "name": "fig-08-size"}, "image": {"alt": "FID against the number of images, both axes logarithmic. The blue curve of real images falls steadily from left to right; the orange curve of the MLP GAN lies far above it and falls only a little."}}
_, axes = plt.subplots()
values = np.array(list(rows.values())).T
for line, color, name in zip(
    values, (plots.REAL, plots.FAKE), ("real", "MLP GAN"), strict=True
):
    axes.loglog(sizes, line, "o-", color=color, label=name)
axes.set(xlabel="images in each set", ylabel="FID from the test images")
axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
axes.xaxis.minorticks_off()
axes.legend()
plt.show()

# %% [markdown]
# Why were the test images shuffled at the top? The file is not in random order. **Predict**: how far apart are its first
# and its second half, beside two random halves?

# %%
in_file_order, _ = metrics.features(judge, test.images)
half = n // 2
halves = metrics.fid(in_file_order[:half], in_file_order[half:])
print(f"first half against second half: {halves:.1f}")
print(f"two random halves:              {metrics.fid(real[:half], real[half:]):.1f}")

# %% [markdown]
# The two halves of the file come from two groups of writers, employees and students, and the first is the neater one
# ([LeCun et al., 1998](../book/bibliography.md#lecun-et-al-1998)). A measure on "the first thousand test images" is one on the easy ones.
#
# ```{admonition} What such a number can be compared with
# :class: important
# With another FID from the same network, the same reference images and the same number of samples; with nothing else. A
# published FID of 3 for photographs, from Inception and 50,000 images, has no more to do with one of ours than a
# distance in miles with one in degrees. This book always takes 10,000 samples against the 10,000 test images.
# ```
#
# ## The kernel distance
#
# The bias of the FID comes from fitting covariances. The *kernel distance* ([Bińkowski et al., 2018](../book/bibliography.md#bińkowski-et-al-2018)) fits nothing. It asks
# whether two images of one set are more alike than two of different sets, with a kernel as the measure of
# likeness, $k(x, y) = (x \cdot y / F + 1)^3$ where $F$ is the number of features:
#
# $$\mathrm{KID} = \mathbb E\,k(x, x') + \mathbb E\,k(y, y') - 2\,\mathbb E\,k(x, y).$$
#
# Leaving out each image's likeness to itself makes the estimate unbiased: real against real is 0 on average, and now and
# then below. `metrics.kid` computes it on disjoint blocks of 1,000 images, and gives the mean with its standard error.

# %%
size = min(1000, n // 2)
for name, features in (("real", more_real), ("MLP GAN", fake)):
    kernel, error = metrics.kid(real, features, size)
    print(f"{name:8} KID {kernel:7.3f} +- {error:.3f}")

# %% [markdown]
# The floor is 0 within its error, as it should be, and the error bar comes for nothing.
#
# ## Precision and recall
#
# A generator can fail in two ways: its digits are not digits, or they are but always the same. One distance mixes
# the two. *Precision* is the share of samples that lie among the real images; *recall* the share of real images that
# lie among the samples ([Kynkäänniemi et al., 2019](../book/bibliography.md#kynkäänniemi-et-al-2019)). "Among" is taken literally: around each member of a set lies a ball
# that reaches to its third nearest neighbour in the set, and what is in one of the balls is among them.
#
# Points in a plane show what that does. Below, real points come from a ring of eight clusters; the generated ones are
# four of these clusters (collapsed), all of them but too wide (blurred), or right.

# %%
rng = np.random.default_rng(0)
angles = 2 * np.pi * np.arange(8) / 8
centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ring(count, clusters=8, width=0.06):
    return centres[rng.integers(clusters, size=count)] + width * rng.normal(
        size=(count, 2)
    )


points = ring(500)
cases = {
    "right": ring(500),
    "collapsed": ring(500, clusters=4),
    "blurred": ring(500, width=0.3),
}

# %% mystnb={"figure": {"caption": "Real points in blue, generated ones in orange. Losing half of the clusters costs recall and no precision; blurring costs precision and no recall.", "name": "fig-08-ring"}, "image": {"alt": "Three panels with eight blue clusters on a ring. In the first, orange points lie on all of them; in the second on the four upper ones only; in the third they are scattered over the whole disc."}}
_, axes = plt.subplots(1, 3, figsize=(8, 3), sharex=True, sharey=True)
for axis, (name, cloud) in zip(axes, cases.items(), strict=True):
    precision, recall = metrics.precision_recall(points, cloud)
    axis.scatter(*points.T, s=4, color=plots.REAL)
    axis.scatter(*cloud.T, s=4, color=plots.FAKE, alpha=0.6)
    axis.set(
        title=f"{name}\nprecision {precision:.2f}, recall {recall:.2f}", aspect="equal"
    )
plt.show()

# %% [markdown]
# On the digits, with the floor beside them. Of fresh real images, too, some lie in no ball, so 1 is not what a perfect
# generator gets: it gets the floor's values.

# %%
for name, features in (("real", more_real), ("MLP GAN", fake)):
    precision, recall = metrics.precision_recall(real, features)
    print(f"{name:8} precision {precision:.3f}, recall {recall:.3f}")

# %% [markdown]
# The MLP GAN's precision can be above the floor, and that is no praise. A generator that draws the common forms and leaves out
# the odd ones is surrounded by real images. Its recall pays for it.
#
# ## What the classifier says
#
# The classifier's own answer is a measure as well. Three figures come from its ten probabilities:
#
# - the *share of confident samples*, those of which one class has more than 0.9;
# - the *class histogram*, and its KL divergence from the uniform one: 0 where all digits are equally frequent, and
#   $\log 10 = 2.30$ where there is one digit only;
# - the *classifier score* $\exp\,\mathbb E\,\mathrm{KL}\big(p(c\,|\,x)\,\Vert\,p(c)\big)$, which is the inception score
#   ([Salimans et al., 2016](../book/bibliography.md#salimans-et-al-2016)) with our network: 10 where each sample is clear and all digits are equally frequent.
#
# **Predict**: which digit does a GAN make too often, and which too rarely?

# %% mystnb={"figure": {"caption": "How often the classifier sees each digit. The MLP GAN has its favourites.", "name": "fig-08-classes"}, "image": {"alt": "Pairs of bars for the digits 0 to 9, blue for test images and orange for samples. The blue bars are all near one tenth; the orange ones differ more among themselves."}}
histograms = [
    metrics.class_histogram(p) for p in (real_probabilities, fake_probabilities)
]
_, axes = plt.subplots()
for shift, histogram, color, name in zip(
    (-0.2, 0.2),
    histograms,
    (plots.REAL, plots.FAKE),
    ("test images", "MLP GAN"),
    strict=True,
):
    axes.bar(np.arange(10) + shift, histogram, 0.38, color=color, label=name)
axes.axhline(0.1, color=plots.GREY, linestyle=":")
axes.set(xlabel="digit", ylabel="share", xticks=range(10))
axes.legend(ncols=2)
plt.show()

# %%
for name, p in (("real", more_probabilities), ("MLP GAN", fake_probabilities)):
    divergence = metrics.kl_from_uniform(metrics.class_histogram(p))
    print(
        f"{name:8} more than 90 % sure of {(p.max(axis=1) > 0.9).mean():.1%}, KL {divergence:.4f} nats, "
        f"classifier score {metrics.classifier_score(p):.2f}"
    )

# %% [markdown]
# ## Copies
#
# None of the measures so far objects to a generator that repeats its training images. [Generating](07_generating.ipynb) looked at the
# nearest training image and had no scale for it. Here is one: is the nearest *training* image nearer than the
# nearest *held-out* image? Nobody copied from the held-out ones. With five times as many training images, the nearest of all is
# one of them in about five cases of six, for a sample that is no copy. A copy is at distance 0 from its original.

# %%
training_features, _ = metrics.features(judge, train.images[order[n:]])
half_copies = np.concatenate([training_features[:half], fake[:half]])
sets = {"real": more_real, "MLP GAN": fake, "half of them copies": half_copies}
for name, features in sets.items():
    share = metrics.nearer_to_training(features, training_features, real)
    print(f"{name:20} nearer to a training image: {share:.3f}")

# %% [markdown]
# The floor is not exactly five sixths, since the test images were written by other people. Compare with it. In the third line half of
# the "samples" are training images, and about half of the way from the line above it to 1 is covered.
#
# ## A report card
#
# `metrics.reference` prepares what samples are compared with, the floor included. `metrics.evaluate` measures, and
# `metrics.table` sets it out. In the terminal this is `python -m mlxgan evaluate SAMPLES.npz`.

# %%
reference = metrics.reference()
card = metrics.evaluate(images, reference)
print(metrics.table({"floor": reference.floor, "MLP GAN": card}))

# %% [markdown]
# ## What each measure sees
#
# A measure is worth what it notices. Here real test-like images are damaged in six ways, each of which is a fault that
# generators have.
#
# **Predict** for each fault which of FID, precision and recall it hits.


# %%
def blurred(images):
    x = images.astype(mx.float32)
    padded = mx.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    size = x.shape[1]
    windows = [
        padded[:, i : i + size, j : j + size] for i in range(3) for j in range(3)
    ]
    return (sum(windows) / 9).astype(mx.uint8)


def specked(images, share=0.01):
    where = mx.random.uniform(shape=images.shape, key=mx.random.key(1)) < share
    return mx.where(where, mx.array(255, mx.uint8), images)


good = train.images[order[:n]]
labels = np.array(train.labels[order[:n]])
no_fours = mx.array(np.resize(np.flatnonzero(labels != 4), n).astype(np.uint32))
few = mx.array(np.resize(np.arange(n // 100), n).astype(np.uint32))

# %%
faults = {
    "none (floor)": good,
    "blurred": blurred(good),
    "specks": specked(good),
    "moved 2 pixels": mx.roll(good, 2, axis=2),
    "no fours": good[no_fours],
    "100 times the same 100": good[few],
    "each with a neighbour": ((good.astype(mx.float32) + good[::-1]) / 2).astype(
        mx.uint8
    ),
}
print(f"{'':22}    FID  precision  recall  KL classes")
scores = {}
for name, faulty in faults.items():
    scores[name] = s = metrics.evaluate(faulty, reference)
    print(
        f"{name:22} {s.fid:6.1f}  {s.precision:9.3f}  {s.recall:6.3f}  {s.kl_from_uniform:10.4f}"
    )

# %% mystnb={"figure": {"caption": "Eight images of each set in the table, in the same order.", "name": "fig-08-faults"}, "image": {"alt": "Seven rows of eight digits: clean, blurred, with single dark pixels, moved to the right, with no four among them, the same few digits, and pairs of digits laid over each other in grey."}}
plots.digits(
    mx.concatenate([faulty[:8] for faulty in faults.values()]), columns=8, scale=0.45
)

# %% [markdown]
# Each measure is blind to something. The few digits that are repeated keep most of their precision and lose all
# recall. Missing fours cost recall only the share of the fours. Blurring *raises* precision, because blurred digits are
# nearer to the middle of everything, and shows in recall. FID sees all faults and names none. And all of them see
# through the eyes of one classifier: what it learnt to ignore, they ignore.
#
# ## Error bars
#
# A different seed gives different samples and a different score. Before two generators are compared, it must be known how
# much one generator differs from itself.

# %%
runs = [
    metrics.evaluate(sample_mlp(seed), reference)
    for seed in range(2 if mlxgan.SMOKE else 5)
]
for name in ("fid", "precision", "recall", "confident"):
    values = [getattr(run, name) for run in runs]
    print(f"{name:10} {np.mean(values):7.3f} +- {np.std(values, ddof=1):.3f}")

# %% [markdown]
# The spread is small: 10,000 samples pin a generator down. This is the error of *sampling*. Training again with another seed
# gives another generator, and that spread is larger. [What makes training stable](11_stability.ipynb) measures it, and no conclusion about a
# training method can be drawn without it.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: FID is NaN or complex. *Cause*: `scipy.linalg.sqrtm` on a singular product, often from fewer images than
# features. *Cure*: the symmetric form above, and more images.
#
# *Symptom*: a real test set scores badly. *Cause*: another pixel range or another polarity than the classifier was trained
# on. *Cure*: compute the floor first; it shows at once.
#
# *Symptom*: FID improves and the digits do not. *Cause*: often the class histogram, which a distance of distributions
# counts like anything else. *Cure*: look at all rows of the report card.
# ```
#
# ```{admonition} On other machines
# :class: note
# The features come from MLX on the default device and differ in their last bits between machines; scores agree to about
# the last digit that is printed here. Everything after the features is NumPy in float64.
# ```
#
# ## Summary
#
# - Samples are measured on the features of a classifier, and compare only under the same classifier and the same number of
#   images.
# - FID compares means and covariances, and is biased by the number of images. KID is not, and has an error bar.
# - Precision is lost by bad samples, recall by missing ones.
# - The classifier's own view adds confidence and the class histogram. Distances to held-out images expose copying.
# - A score stands beside its floor, and a difference beside its spread.
#
# ## Exercises
#
# ```{exercise} One dimension
# :label: ex-08-one
# Show numerically that in one dimension FID is $(m_r - m_g)^2 + (s_r - s_g)^2$.
# ```

# %% [markdown]
# ```{solution-start} ex-08-one
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(1)
x, y = rng.normal(0, 1, (500, 1)), rng.normal(3, 2, (500, 1))
pair = np.stack([x[:, 0], np.zeros(500)], 1), np.stack([y[:, 0], np.zeros(500)], 1)
expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
print("the same:", bool(np.isclose(metrics.fid(*pair), expected)))

# %% [markdown]
# A column of zeros keeps the covariance a matrix and adds nothing.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Truncation
# :label: ex-08-truncation
# [Generating](07_generating.ipynb) scaled the noise down and saw the digits get more typical and more alike. Measure it: precision, recall
# and FID for scales 0.5, 0.7, 0.85 and 1.
# ```

# %% [markdown]
# ```{solution-start} ex-08-truncation
# :class: dropdown
# ```

# %%
for scale in (0.5, 0.7, 0.85, 1.0):
    s = metrics.evaluate(sample_mlp(0, scale), reference)
    print(
        f"scale {scale:4}: precision {s.precision:.3f}, recall {s.recall:.3f}, FID {s.fid:.1f}"
    )

# %% [markdown]
# Truncation buys precision with recall. A generator's precision without its recall, or without the scale of its noise, is
# half a statement.

# %% [markdown]
# ```{solution-end}
# ```
#
# ```{exercise} Without the bias
# :label: ex-08-extrapolate
# The bias of FID falls about as $1/n$. Fit $\mathrm{FID}(n) = a + b/n$ to the values of real images above. What is $a$, the
# value for infinitely many images, and why may it still not be 0?
# ```

# %% [markdown]
# ```{solution-start} ex-08-extrapolate
# :class: dropdown
# ```

# %%
slope, limit = np.polyfit(1 / np.array(sizes), [row[0] for row in rows.values()], 1)
print(f"real: limit {limit:.2f}, bias at {sizes[-1]:,} images {slope / sizes[-1]:.2f}")
slope, limit = np.polyfit(1 / np.array(sizes), [row[1] for row in rows.values()], 1)
print(
    f"MLP GAN: limit {limit:.1f}, bias at {sizes[-1]:,} images {slope / sizes[-1]:.2f}"
)

# %% [markdown]
# Part of the floor is bias, which more images would remove. The rest is the real difference between the writers of the two sets, together with the
# classifier's having seen one of them. [Chong and Forsyth (2020)](../book/bibliography.md#chong-and-forsyth-2020) build an estimator on this line.

# %% [markdown]
# ```{solution-end}
# ```
#
# ## Further reading
#
# [Heusel et al. (2017)](../book/bibliography.md#heusel-et-al-2017) introduced FID, [Bińkowski et al. (2018)](../book/bibliography.md#bińkowski-et-al-2018) KID, [Kynkäänniemi et al. (2019)](../book/bibliography.md#kynkäänniemi-et-al-2019) the precision and recall used
# here, [Salimans et al. (2016)](../book/bibliography.md#salimans-et-al-2016) the inception score. [Theis et al. (2016)](../book/bibliography.md#theis-et-al-2016) show why a likelihood, a look and a distance need not
# agree. The use of LeNet's features for MNIST is from [Bińkowski et al. (2018)](../book/bibliography.md#bińkowski-et-al-2018), too.
