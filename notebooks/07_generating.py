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
# # Generating
#
# The discriminator has done its work and is put aside. This chapter uses what is left: a function
# from noise to digits. You draw from it, walk through its noise, store it, and ask whether it
# copies.
#
# ```{admonition} What you will learn
# :class: important
# - Draw digits that can be drawn again, and trade variety against typicality.
# - Walk between two noise vectors without leaving the region that training covered.
# - Find the directions of noise that change a digit most.
# - Save a model, read its file by hand, and load it into the right architecture only.
# - Look for copies of training images, and say what such a search cannot show.
#
# **Before**: [The training loop](06_training.ipynb).
# ```
#
# ## A sheet of digits
#
# `load_pretrained` returns the generator that [The training loop](06_training.ipynb) trained for 50 epochs. It ships
# with the book, so nothing is trained here. Loaded models are in evaluation mode.

# %% tags=["nbval-check-output"]
import mlxgan  # before mlx.core: on Linux it makes MLX fast
from mlxgan import checkpoints, data, models, plots, training
from mlxgan.__main__ import main

import contextlib
import io
import json
import struct
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

generator = mlxgan.load_pretrained("mlp")
weights = dict(tree_flatten(generator.parameters()))
parameters = sum(weight.size for weight in weights.values())
print(
    f"{type(generator).__name__}: {generator.latent_dim} numbers in, {parameters:,} parameters"
)

# %% mystnb={"figure": {"caption": "Digits from 48 noise vectors. Nothing was selected: most can be read, some cannot.", "name": "fig-07-sheet"}, "image": {"alt": "Four rows of twelve generated digits in dark ink on white, most of them legible, some broken or blurred, with single dark pixels around the strokes."}}
mx.random.seed(0)
z = mx.random.normal((48, generator.latent_dim))
sheet = training.sample(generator, z)
plots.digits(sheet, columns=12)

# %% [markdown]
# ### Same noise, same digit
#
# **Predict**: is the digit of `z[3]` the same when it is made alone and when it is made among 48?
# And what becomes of the noise if NumPy is reseeded in between?

# %% tags=["nbval-check-output"]
alone = training.sample(generator, z[3:4])
print("alone as in the sheet:", mx.abs(alone - sheet[3:4]).max().item() < 1e-4)

mx.random.seed(0)
np.random.seed(123)
again = mx.random.normal(z.shape)
print("same seed, same noise:", mx.array_equal(z, again).item())

key = mx.random.key(7)
one, other = mx.random.normal((4,), key=key), mx.random.normal((4,), key=key)
print("same key, same noise: ", mx.array_equal(one, other).item())

# %% [markdown]
# The digit is the same: in this network a row of the batch never meets another row, so only
# rounding can differ. The noise is the same too. `mx.random.seed` sets MLX's state alone: NumPy
# has a seed of its own. A key draws without touching that state, which suits a function that must
# not disturb a training run.
#
# ```{admonition} If it goes wrong
# :class: warning
# *Symptom*: the same noise gives another digit in another batch. *Cause*: the generator has batch
# normalisation and is in training mode, so each image depends on the mean and the variance of
# those beside it. *Cure*: `generator.eval()`, which uses the running statistics. The generator of
# this chapter has no such layer; `training.sample` switches to evaluation mode all the same.
# ```
#
# ```{admonition} On other machines
# :class: note
# The same seed gives the same noise on every machine, up to rounding in the last bits. The digits
# agree to the eye. Training multiplies such differences; sampling does not.
# ```
#
# ## How far from the origin
#
# Training drew $z$ from a normal distribution with standard deviation 1. In use you may multiply
# $z$ by a number $s$. With $s < 1$ the noise stays near the origin; published samples often come
# from such *truncated* noise, because it gives more typical images ([Brock et al., 2019](../book/bibliography.md#brock-et-al-2019)).
#
# **Predict**: what is lost with $s = 0.3$? What happens with $s = 2$, where training never went?


# %% mystnb={"figure": {"caption": "One noise vector to a column, scaled by 0.3, 1 and 2. Shrinking it pulls the digits towards each other; stretching it adds contrast more than it adds shapes.", "name": "fig-07-scale"}, "image": {"alt": "Three rows of twelve digits labelled 0.3, 1 and 2. In the top row several digits are greyer and alike; the two lower rows show mostly the same digits as each other, with firm strokes."}}
def label_rows(names):
    """Write a name to the left of each row of the figure of digits that was drawn last."""
    axes = plt.gca()
    axes.set_yticks([14 + 30 * row for row in range(len(names))], names)
    axes.tick_params(length=0)


scales = [0.3, 1, 2]
rows = [training.sample(generator, scale * z[:12]) for scale in scales]
plots.digits(mx.concatenate(rows), columns=12)
label_rows([f"{scale:g}" for scale in scales])

# %%
noise = mx.random.normal((2000, generator.latent_dim), key=mx.random.key(1))
for scale in scales:
    images = training.sample(generator, scale * noise)
    variety = mx.sqrt(2 * images.var(axis=0).sum()).item()
    contrast = mx.abs(images).mean().item()
    print(
        f"scale {scale:3g}: two images lie {variety:.1f} apart, mean |pixel| {contrast:.2f}"
    )

# %% [markdown]
# The first number is the root mean square distance between two images, which is
# $\sqrt{2\sum_i \mathrm{Var}(x_i)}$. It falls with the scale: truncation pays for typical digits
# with variety. A sheet of truncated samples says nothing about the distribution that was learnt,
# so state the scale wherever you show one.
#
# Doubling $z$ changes less than you may expect. A ReLU network without biases satisfies
# $h(sz) = s\,h(z)$ for $s > 0$, so its output would be $\tanh(s\,h(z))$: the same shape, with more
# contrast. Biases break the rule, and the larger $z$ is, the less they weigh.
#
# ## Between two digits
#
# A straight line between two noise vectors, $(1-t)\,a + t\,b$, looks harmless. **Predict**: in 100
# dimensions, how long is the vector half-way between two draws, compared with the draws?

# %% tags=["nbval-check-output"]
mx.random.seed(2)
first, second = mx.random.normal((2, 100_000, 100))
norm = mx.linalg.norm(first, axis=1)
middle = mx.linalg.norm((first + second) / 2, axis=1)
print(
    f"a draw:      {norm.mean().item():.1f} long, standard deviation {mx.std(norm).item():.1f}"
)
print(f"a midpoint:  {middle.mean().item():.1f} long")
print(f"their ratio: {(middle.mean() / norm.mean()).item():.2f}")
shorter = (norm < middle.mean()).sum().item()
print(f"fewer than 10 of {len(norm):,} draws are as short: {shorter < 10}")

# %% [markdown]
# The squared length of a draw is the sum of $d = 100$ squares with mean 1, so the length is near
# $\sqrt{d} = 10$ and varies little: noise lives in a thin shell. Two draws are nearly
# perpendicular. Their midpoint therefore has the squared length
# $\tfrac14(\lVert a\rVert^2 + \lVert b\rVert^2 + 2\,a\cdot b) \approx d/2$, which makes it
# $1/\sqrt2 \approx 71$ per cent as long as they are. The straight line leaves the shell for a place
# where almost no training noise was.
#
# *Spherical linear interpolation* stays in it ([Shoemake, 1985](../book/bibliography.md#shoemake-1985); [White, 2016](../book/bibliography.md#white-2016)). With $\omega$ the
# angle between $a$ and $b$,
#
# $$\mathrm{slerp}(a, b, t) = \frac{\sin((1-t)\,\omega)}{\sin\omega}\,a
# + \frac{\sin(t\,\omega)}{\sin\omega}\,b.$$


# %% tags=["nbval-check-output"]
def lerp(a, b, t):
    """The straight line from a to b; t has shape (N, 1), the result (N, latent_dim)."""
    return (1 - t) * a + t * b


def slerp(a, b, t):
    """The arc from a to b; shapes as in lerp. Undefined where a and b are parallel."""
    cosine = (a * b).sum() / (mx.linalg.norm(a) * mx.linalg.norm(b))
    omega = mx.arccos(cosine)
    return (mx.sin((1 - t) * omega) * a + mx.sin(t * omega) * b) / mx.sin(omega)


a, b = z[0], z[1]
t = mx.linspace(0, 1, 11)[:, None]
for path in (lerp, slerp):
    norms = mx.linalg.norm(path(a, b, t), axis=1).tolist()
    print(f"{path.__name__:5s}", " ".join(f"{norm:4.1f}" for norm in norms))

# %% mystnb={"figure": {"caption": "From one digit to another in eleven steps, on the straight line and on the arc. Shapes change step by step, with no jump.", "name": "fig-07-interpolation"}, "image": {"alt": "Two rows of eleven digits, labelled lerp and slerp. Both begin and end with the same digits and pass through similar intermediate shapes."}}
straight, arc = (training.sample(generator, path(a, b, t)) for path in (lerp, slerp))
plots.digits(mx.concatenate([straight, arc]), columns=11)
label_rows(["lerp", "slerp"])
difference = mx.abs(straight - arc).mean(axis=(1, 2, 3)).tolist()
print(
    "mean difference of a pixel, step by step:",
    " ".join(f"{d:.3f}" for d in difference),
)

# %% [markdown]
# The ends agree, and between them the rows differ little. The reason was given above: the midpoint
# of the line is the midpoint of the arc, multiplied by about 0.7, and scaling matters little to
# this generator. Do not count on that in other networks.
#
# An arc can go on. Two perpendicular directions span a circle of radius $\sqrt{d}$, and four
# vectors span a sheet of arcs between arcs.

# %% mystnb={"figure": {"caption": "Once around a great circle in 24 steps, read row by row. The walk returns to where it began.", "name": "fig-07-circle"}, "image": {"alt": "Two rows of twelve digits that change gradually from one to the next; the last digit resembles the first."}}
u = a / mx.linalg.norm(a)
v = b - (b * u).sum() * u  # what of b is perpendicular to a
v = v / mx.linalg.norm(v)
angle = mx.arange(25)[:, None] * (2 * np.pi / 24)
circle = generator.latent_dim**0.5 * (mx.cos(angle) * u + mx.sin(angle) * v)
assert mx.allclose(circle[0], circle[24], atol=1e-4)
plots.digits(training.sample(generator, circle[:24]), columns=12)

# %% mystnb={"figure": {"caption": "A plane between four digits of the sheet, chosen because they differ, one in each corner. Neighbours are alike everywhere: the generator is continuous, also where a digit turns into another.", "name": "fig-07-plane"}, "image": {"alt": "A grid of eight by eight digits that change gradually along the rows and the columns, from corner to corner."}}
t = mx.linspace(0, 1, 8)[:, None]
top_left, top_right, low_left, low_right = z[1], z[5], z[6], z[11]
left, right = slerp(top_left, low_left, t), slerp(top_right, low_right, t)
plane = mx.concatenate([slerp(p, q, t) for p, q in zip(left, right, strict=True)])
plots.digits(training.sample(generator, plane), columns=8)

# %% [markdown]
# ## Directions that matter
#
# The noise has 100 numbers. **Predict**: how many directions does the generator use near one $z$?
#
# The Jacobian answers. Here its row $i$ says how the image changes with $z_i$; `mx.jvp` gives the
# change in one direction, and `mx.vmap` takes all the unit directions at once. Each singular value
# is the length of the image's change for a unit step in one direction.


# %%
def jacobian(generator, z):
    """Changes of the image with each entry of z (latent_dim,): shape (latent_dim, 784)."""

    def image(z):
        return generator(z[None]).reshape(-1)

    return mx.vmap(lambda e: mx.jvp(image, [z], [e])[1][0])(mx.eye(len(z)))


directions, lengths, _ = np.linalg.svd(np.array(jacobian(generator, z[0])))
top, step = mx.array(directions[:, 0]), 0.01
change = mx.linalg.norm(generator((z[0] + step * top)[None]) - generator(z[:1])) / step
assert (
    abs(change.item() / lengths[0] - 1) < 0.2
)  # the definition, by a finite difference
share = np.cumsum(lengths**2) / np.sum(lengths**2)
print("largest singular values:", np.round(lengths[:8], 2))
count = np.argmax(share > 0.99) + 1
print(f"{count} of {len(lengths)} directions carry 99 % of the squared change")

# %% [markdown]
# Few do, and most of the noise is ignored: the set of images that this generator makes is thin.
# One $z$ has its own directions. Averaging $J J^\top$ over a sheet of digits, with $J$ the matrix
# above, finds the one that matters most in the mean; {numref}`fig-07-directions` walks along it.

# %% mystnb={"figure": {"caption": "Three digits moved along the direction that matters most (top) and along a random one (bottom), by the same lengths. The first changes them more than the second.", "name": "fig-07-directions"}, "image": {"alt": "Six rows of eleven digits. In the upper three, digits change their shape from left to right, often into another digit. In the lower three, the rows change more slowly."}}
jacobians = [jacobian(generator, one) for one in z]
mean = np.mean([np.array(j @ j.T) for j in jacobians], axis=0)
top = mx.array(np.linalg.eigh(mean)[1][:, -1].astype(np.float32))
mx.random.seed(3)
other = mx.random.normal(top.shape)
other = other / mx.linalg.norm(other)
steps = mx.linspace(-6, 6, 11)[:, None]
moved = [start + steps * direction for direction in (top, other) for start in z[:3]]
plots.digits(training.sample(generator, mx.concatenate(moved)), columns=11)
label_rows(["top", "", "", "random", "", ""])

# %% [markdown]
# ## Saving and loading
#
# A checkpoint here is a *safetensors* file: eight bytes with the length of a header, the header in
# JSON, then the numbers. Nothing in it is executed when it is read, unlike a pickle.
# `checkpoints.save` adds the name of the class and the arguments of its constructor.
#
# Weights need not be stored in full. `dtype=mx.float16` halves the file, as does `mx.bfloat16`,
# which keeps fewer digits; `load` converts back to float32. **Predict**: by how many grey levels, of
# 255, does a pixel of the digits move? Weights that came from such a file lose nothing a second
# time, so the second cell first gives them random digits beyond those of float16.

# %% tags=["nbval-check-output"]
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
path = folder / "generator.safetensors"
checkpoints.save(path, generator, notes={"chapter": "6"})

raw = path.read_bytes()
(length,) = struct.unpack("<Q", raw[:8])  # little-endian, 64 bits, unsigned
header = json.loads(raw[8 : 8 + length])
print(header["__metadata__"])
print({key: header["layers.0.weight"][key] for key in ("dtype", "shape")})
end = max(
    entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
)
print("the file ends with the last array:", len(raw) == 8 + length + end)

# %%
mx.random.seed(6)
last_digits = [
    1 + mx.random.uniform(-(2**-12), 2**-12, w.shape) for w in weights.values()
]
full = models.MLPGenerator(generator.latent_dim)
full.load_weights(
    [(n, w * e) for (n, w), e in zip(weights.items(), last_digits, strict=True)]
)
short = folder / "short.safetensors"
for dtype in (mx.float16, mx.bfloat16):
    checkpoints.save(short, full, dtype=dtype)
    change = training.sample(checkpoints.load(short), noise) - training.sample(
        full, noise
    )
    size, worst = (
        short.stat().st_size / path.stat().st_size,
        127.5 * mx.abs(change).max().item(),
    )
    print(f"{dtype}: {size:.2f} of the size, largest change {worst:.1f} grey levels")

# %% [markdown]
# ```{admonition} Coming from PyTorch
# :class: tip
# `torch.save` writes a pickle, and a `state_dict` does not say which network it belongs to. Here
# the file says it: `checkpoints.load(path)` builds the model. Without the book's package,
# `model.save_weights` and `model.load_weights` write and read the same format.
# ```
#
# Three things go wrong with checkpoints: they meet another architecture, they are cut off, or a
# save fails half-way and takes the old file with it. The first two must be errors. Against the
# third, `save` writes to a temporary file in the same folder and renames it when it is whole. A
# rename is *atomic*: under the name there is the old file or the new one, never a part.

# %% tags=["nbval-check-output"]
cut = folder / "cut.safetensors"
cut.write_bytes(raw[: len(raw) // 2])
attempts = {
    "other width": lambda: checkpoints.load(path, models.MLPGenerator(latent_dim=64)),
    "other class": lambda: checkpoints.load(path, models.MLPDiscriminator()),
    "cut off": lambda: checkpoints.load(cut),
    "bad note": lambda: checkpoints.save(
        path, generator, notes={"chapter": 6}
    ),  # no string
}
for name, attempt in attempts.items():
    try:
        attempt()
    except (ValueError, TypeError) as error:
        reason = (
            str(error).split(": ")[1].split(" ([")[0]
            if name != "bad note"
            else "refused"
        )
        print(f"{name}: {type(error).__name__}: {reason}")
assert path.read_bytes() == raw  # the failed save left the old file as it was

# %% [markdown]
# ## Many at once
#
# For thousands of digits there is the command line. It writes uint8 pixels, or a picture if the
# name ends in `.png`:
#
# ```bash
# python -m mlxgan sample --model mlp --n 10000 --seed 0 --out samples.npz
# ```
#
# The next cell calls the same function with a smaller number, and compares with the sheet above.

# %% tags=["nbval-check-output"]
out = folder / "samples.npz"
with contextlib.redirect_stdout(io.StringIO()):
    status = main(
        ["sample", "--model", "mlp", "--n", "48", "--seed", "0", "--out", str(out)]
    )
written = np.load(out)["images"]
print("exit status", status, "shape", written.shape, "dtype", written.dtype)
sheet_uint8 = np.array(data.to_uint8(sheet))[..., 0].astype(int)
print("the sheet, to a grey level:", np.abs(written - sheet_uint8).max() <= 1)

# %% [markdown]
# ## Does it copy?
#
# The generator never sees a training image, only the discriminator's opinion. It could still come
# to repeat some. The usual check finds, for each sample, the nearest of all training images. In
# MLX that is a matrix product, since $\lVert x-y\rVert^2 = \lVert x\rVert^2 + \lVert y\rVert^2 -
# 2\,x\cdot y$. It is done in blocks, so that the table of distances stays small. The product finds
# the neighbour; a subtraction then measures the distance without cancellation.
#
# And how near is suspiciously near? Images of the test set give the scale: nobody copied them from
# the training set, yet they have near neighbours in it. {numref}`fig-07-distances` compares.


# %% tags=["nbval-check-output"]
def nearest(images, references, block=100):
    """Index of the nearest reference of each image, and its Euclidean distance, both (N,)."""
    x, y = images.reshape(len(images), -1), references.reshape(len(references), -1)
    squares = (y * y).sum(axis=1)
    indices, distances = [], []
    for start in range(0, len(x), block):
        part = x[start : start + block]
        index = (squares - 2 * part @ y.T).argmin(axis=1)  # |x|^2 is the same for all y
        indices.append(index)
        distances.append(mx.linalg.norm(part - y[index], axis=1))
        mx.eval(index, distances[-1])
    return mx.concatenate(indices), mx.concatenate(distances)


with contextlib.redirect_stdout(io.StringIO()):
    train, test = (data.load(split) for split in ("train", "test"))
references = data.normalize(train.images)
_, distances = nearest(references[:100], references)
print(
    "a training image lies", distances.max().item(), "from the nearest training image"
)

# %% mystnb={"figure": {"caption": "Sixteen samples, and below each the training image that is nearest to it. The neighbours resemble the samples; whether a pair is a copy takes more than a look.", "name": "fig-07-neighbours"}, "image": {"alt": "Two rows of sixteen digits labelled sample and nearest. Below most samples is a cleaner digit of similar outline, not identical."}}
index, _ = nearest(sheet[:16], references)
plots.digits(mx.concatenate([sheet[:16], references[index]]), columns=16, scale=0.5)
label_rows(["sample", "nearest"])

# %% mystnb={"figure": {"caption": "Distance to the nearest training image, for held-out test images and for samples. A generator that copied would pile up near zero, left of the held-out images.", "name": "fig-07-distances"}, "image": {"alt": "Two overlapping histograms over the distance to the nearest training image, blue for held-out images and orange for samples. Both cover about the same range, well away from zero, with a hump on its left and a broader one on its right."}}
mx.random.seed(4)
count = 200 if mlxgan.SMOKE else 1000
samples = training.sample(generator, mx.random.normal((count, generator.latent_dim)))
sets = {
    "held out": (data.normalize(test.images[:count]), plots.REAL),
    "samples": (samples, plots.FAKE),
}
ones = np.array(test.labels[:count]) == 1
figure, axes = plt.subplots()
for name, (images, color) in sets.items():
    distances = np.array(nearest(images, references)[1])
    axes.hist(distances, np.linspace(0, 20, 41), color=color, alpha=0.6, label=name)
    low, median = np.percentile(distances, [1, 50])
    print(f"{name:9s} median {median:4.1f}, nearest 1 % below {low:4.1f}")
    if name == "held out":
        print(f"          median {np.median(distances[ones]):4.1f} for its ones alone")
axes.set(xlabel="distance to the nearest training image", ylabel="images")
legend = axes.legend()

# %% [markdown]
# Compare the ends near zero first. If the samples' nearest 1 per cent lay far below that of the
# held-out images, the generator would repeat its training set. If it does not, exact copies are
# rare at most, and little else is known. The median is a poorer witness. A generator that makes too
# many ones gets a smaller one, because ones have near neighbours, as the printed line shows. Dark
# pixels beside the strokes move a sample away from everything, so a large distance is no merit.
# And Euclidean distance is blind to what the eye calls the same: a copy that is shifted by a pixel
# can have another nearest neighbour than its original ([Theis et al., 2016](../book/bibliography.md#theis-et-al-2016)). The third exercise
# measures how often.
#
# ## Summary
#
# - The same noise gives the same digit, in any batch, as long as no layer mixes the batch.
# - Scaling noise down makes samples typical and alike. State the scale.
# - Noise in many dimensions is a shell of radius $\sqrt{d}$. Arcs stay in it; straight lines do
#   not.
# - The Jacobian's singular values tell which directions of the noise the generator uses.
# - A safetensors file is a JSON header and numbers. Write it atomically, read it strictly.
# - Nearest neighbours expose exact copies and little more.
#
# ## Exercises
#
# ```{exercise} Truncate each number
# :label: ex-07-truncated
# Truncation can also mean that no entry of $z$ lies outside an interval. Draw noise with
# `mx.random.truncated_normal` between -0.7 and 0.7, and compare variety and mean length with those
# of normal noise scaled to the same standard deviation.
# ```
#
# ```{solution-start} ex-07-truncated
# :class: dropdown
# ```

# %%
mx.random.seed(5)
limited = mx.random.truncated_normal(-0.7, 0.7, noise.shape)
scaled = mx.std(limited) * noise
for name, draws in (("truncated", limited), ("scaled", scaled)):
    variety = mx.sqrt(2 * training.sample(generator, draws).var(axis=0).sum()).item()
    length = mx.linalg.norm(draws, axis=1).mean().item()
    print(f"{name:9s} noise: {length:.1f} long in the mean, images {variety:.1f} apart")

# %% [markdown]
# The two hardly differ: in 100 dimensions what counts is the radius of the shell.
# ```{solution-end}
# ```

# %% [markdown]
# ```{exercise} Equal steps
# :label: ex-07-steps
# Stretch the points of `lerp` to the length of those of `slerp`. Do you get the same path? And the
# same steps? Print the angle between neighbouring points of both.
# ```
#
# ```{solution-start} ex-07-steps
# :class: dropdown
# ```

# %% tags=["nbval-check-output"]
t = mx.linspace(0, 1, 7)[:, None]
for name, path in (("slerp", slerp(a, b, t)), ("stretched lerp", lerp(a, b, t))):
    unit = path / mx.linalg.norm(path, axis=1, keepdims=True)
    angles = mx.arccos((unit[1:] * unit[:-1]).sum(axis=1)) * (180 / np.pi)
    print(
        f"{name:14s} steps in degrees:",
        " ".join(f"{angle:.0f}" for angle in angles.tolist()),
    )

# %% [markdown]
# The path is the same arc, but the stretched line hurries through its middle.
# ```{solution-end}
# ```

# %% [markdown]
# ```{exercise} A copy that hides
# :label: ex-07-shift
# Shift training images to the right by 1, 2 and 3 pixels. For how many of them is another training
# image nearer than their own original? What does it mean for the search above?
# ```
#
# ```{solution-start} ex-07-shift
# :class: dropdown
# ```

# %%
count = 200
for pixels in (0, 1, 2, 3):
    index, distances = nearest(mx.roll(references[:count], pixels, axis=2), references)
    hidden = (index != mx.arange(count)).mean().item()
    print(
        f"shift {pixels}: {100 * hidden:3.0f} % hidden, distance {distances.mean().item():.1f}"
    )

# %% [markdown]
# Small shifts hide many copies. A generator that shifts what it copies could pass the search.
# ```{solution-end}
# ```
#
# ## Further reading
#
# [White (2016)](../book/bibliography.md#white-2016) gives recipes for walks in latent spaces and the case for arcs.
# [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) do arithmetic with noise vectors. [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019) show truncation at
# scale. [Theis et al. (2016)](../book/bibliography.md#theis-et-al-2016) explain why neither pretty samples nor nearest neighbours prove that a
# distribution was learnt; [Kynkäänniemi et al. (2019)](../book/bibliography.md#kynkäänniemi-et-al-2019) measure fidelity and variety apart.
