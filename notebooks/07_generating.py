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
# Training is over, and we no longer need the discriminator.
# What remains is a function that turns a hundred random numbers into a digit, and we know surprisingly little about it.
# Can we find a digit again that we liked?
# What lies between two digits?
# And does the generator invent its digits, or has it learned some of the training images by heart?
# By the end you can return to any digit, walk from one to another, find the few directions in which it can change, keep a model in a file, and judge what a search for copies can show.
#
# *Before: [The training loop](06_training.ipynb) · To read: twenty-five minutes · To run: half a minute on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import checkpoints, data, models, plots, training

import math

import matplotlib.pyplot as plt
import mlx.core as mx
import numpy as np

generator = mlxgan.load_pretrained("mlp")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "A round trip through the space of noise in 48 steps, row by row. Each picture resembles the one before it, and the last leads back to the first.", "name": "fig-07-circle"}, "image": {"alt": "Four rows of twelve generated digits in dark ink on white. A gray two turns gradually into a seven, the seven through a stretch of blurred gray shapes into a six, the six into a slanted one, and the one into a nine. The nine fades toward the two with which the top row begins."}}
mx.random.seed(7)
a, b = mx.random.normal((2, generator.latent_dim))
angle = mx.linspace(0, 2 * math.pi, 49)[:48, None]
circle = mx.cos(angle) * a + mx.sin(angle) * b
plots.digits(training.sample(generator, circle), columns=12)

# %% [markdown]
# Nobody wrote these digits, and nobody selected them, which is why some of them are blurred or gray.
# They come from the generator that ships with the book, the moving average from 20 epochs of [The training loop](06_training.ipynb) with the R1 penalty, which [What makes training stable](11_stability.ipynb) explains and without which [some seeds collapse](../book/reproducibility.md#some-seeds-collapse).
#
# ## A digit has an address
#
# Suppose that you like one of these digits and want it back tomorrow.
# A function returns the same output for the same input, so all you need is the noise $z$ that it came from: it is the address of the digit.
# You do not even have to write down its hundred numbers, because they came from a random number generator that started from a seed.

# %% mystnb={"figure": {"caption": "The digits of 48 noise vectors, drawn with seed 0. Nothing was selected: most of them can be read, and some cannot.", "name": "fig-07-sheet"}, "image": {"alt": "Four rows of twelve generated digits in dark ink on white, most of them legible, some broken, speckled, pale gray or between two digits."}}
mx.random.seed(0)
z = mx.random.normal((48, generator.latent_dim))
sheet = training.sample(generator, z)
plots.digits(sheet, columns=12)

# %% [markdown]
# How many ones do you count on the sheet?
# In MNIST 11 % of the digits are ones, which would make about five of 48.
# Remember your count, because we will need it at the end.
#
# **Is the fourth digit the same if we draw it alone, without the other 47? And do we get the same noise again if somebody reseeds NumPy in between?**

# %% tags=["nbval-check-output"]
alone = training.sample(generator, z[3:4])
change = 127.5 * mx.abs(alone - sheet[3:4]).max().item()
print(f"drawn alone: largest change {change:.1f} gray levels")

mx.random.seed(0)
np.random.seed(123)
again = mx.random.normal((48, generator.latent_dim))
change = mx.abs(again - z).max().item()
print(f"seeded again: largest change of the noise {change:.1f}")

key = mx.random.key(7)
for _ in range(2):
    draw = mx.random.normal((3,), key=key).tolist()
    print("drawn with the key:", *[f"{value:.2f}" for value in draw])

# %% [markdown]
# :::{dropdown} Answer
# Both stay the same.
# In this network the images of a batch never meet, so only rounding could make a difference, and NumPy's seed does not affect MLX's random numbers.
# :::
#
# So the whole sheet is contained in two things, the file with the weights and the number 0.
#
# The last two lines were drawn with a *key*, which fixes the result of one call and leaves the seed's state alone, so that you can draw a few digits during training without changing the run.
#
# :::{admonition} If it goes wrong
# :class: warning
# *Symptom*: the same noise gives another digit in another batch.
# *Cause*: the generator contains batch normalization, like the one in [Convolutions](09_convolutions.ipynb), and is in training mode, so each image depends on the others in its batch.
# *Cure*: `generator.eval()`, or `training.sample`, which calls it for you.
# :::
#
# ## Shorter noise, tidier digits?
#
# Some digits on the sheet are poor.
# Can we ask the generator for better ones?
#
# A popular trick is to multiply the noise by a number $s$ below 1.
# As $s$ becomes smaller, all images move toward the one that belongs to $z = 0$ and lose what is special about them, and we may hope that the accidents go first.
# Nothing guarantees this, however: a vector of 100 random numbers has a length of about 10, as we saw in [Generator and discriminator](04_models.ipynb), so the generator has hardly ever been asked for the image of a short one.
#
# **What do you expect at $s = 0.3$? And at $s = 2$, where the noise is twice as long as in training?**


# %% tags=["hide-input"] mystnb={"figure": {"caption": "Twelve noise vectors, one per column, multiplied by 0.3, 0.7, 1 and 2. At 0.3 several digits dissolve into gray, and at 2 they are nearly the same as at 1, with more contrast.", "name": "fig-07-scale"}, "image": {"alt": "Four rows of twelve digits, labeled 0.3, 0.7, 1 and 2. In the top row four of the twelve are blurred on a gray background, and a seven has turned into a nine. The other three rows show much the same digits as each other, with the firmest strokes in the lowest row."}}
def label_rows(names):
    """Write names to the left of the rows of the last plots.digits."""
    axes = plt.gca()
    axes.set_yticks([14 + 30 * row for row in range(len(names))], names)
    axes.tick_params(length=0)


scales = (0.3, 0.7, 1.0, 2.0)
rows = [training.sample(generator, scale * z[:12]) for scale in scales]
plots.digits(mx.concatenate(rows), columns=12)
label_rows([f"{scale:g}" for scale in scales])

# %% [markdown]
# To measure the variety of the images, we take the distance between two that are drawn independently.
# Its square is on average twice the variance of a pixel, summed over all pixels, and real digits tell us how large it ought to be.


# %%
def variety(images):
    """Root mean square distance between two of the images."""
    return mx.sqrt(2 * mx.var(images, axis=0).sum()).item()


noise = mx.random.normal((2000, 100), key=mx.random.key(1))
samples = training.sample(generator, noise)
for scale in scales:
    images = training.sample(generator, scale * noise)
    change = mx.abs(images - samples).mean().item()
    print(f"scale {scale:.1f}: variety {variety(images):.1f},", end=" ")
    print(f"change of a pixel from scale 1 {change:.2f}")
others = mx.roll(samples, 1, axis=0)
change = mx.abs(samples - others).mean().item()
print(f"two random samples: change of a pixel {change:.2f}")
test = data.load("test")
real = data.normalize(test.images)
print(f"real digits: variety {variety(real):.1f}")

# %% [markdown]
# :::{dropdown} Answer
# Short noise makes the images more alike: at 0.3 their variety is 15.6 instead of 20.3.
# Twice the noise changes a pixel by only 0.04 on average, compared with 0.33 between two random samples, so the digits stay very much what they were.
# :::
#
# At scale 1 the samples are almost as varied as real digits, although this number cannot tell a new style from a speckle.
#
# Has the short noise made the digits tidier?
# Not with this generator: at 0.3 a third of those in the picture are blurred on a gray background, and at 0.7 they hardly differ from those at 1.
# The convolutional generator of a later chapter responds differently, and Exercise 4 of [Measuring](08_measuring.ipynb) puts numbers to both.
#
# In published samples you will often meet the trick as *truncation*; [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019), for example, redraw every entry of the noise that lies beyond a threshold.
# Such samples say little about what the generator draws when it is left to itself, so say at which scale you drew your own.
#
# Why does doubling the noise do so little?
# Without biases, every layer would simply pass on twice the numbers, up to the tanh, which would push each pixel closer to $-1$ or 1: the same shape with more contrast.
# The biases break this rule, but the longer $z$ is, the less they weigh (Exercise 3).
#
# ## From one digit to another
#
# What lies between two digits?
# To find out, take their addresses $a$ and $b$ and walk from one to the other in small steps.
# The obvious path is the straight line, but we know from [Generator and discriminator](04_models.ipynb) that its midpoint is only about 7 long instead of 10, shorter than any of ten thousand draws.
# Which path keeps to lengths that the generator knows?
#
# Each point of a path is a mixture $\alpha a + \beta b$.
# The entries of $a$ and $b$ are independent and have variance 1, so those of the mixture have the variance $\alpha^2 + \beta^2$.
# On the straight line, with $\alpha = 1 - t$ and $\beta = t$, this falls to one half in the middle, which makes the midpoint too short by a factor of $\sqrt{1/2} \approx 0.71$.
# To stay at variance 1 we need two weights whose squares always add up to 1, such as the cosine and the sine of an angle:
#
# $$z(\theta) = \cos\theta\; a + \sin\theta\; b.$$
#
# At $\theta = 0$ this is $a$, at 90 degrees it is $b$, and in between it is an ordinary vector of noise, with the same distribution as $a$ and $b$ themselves.


# %% tags=["nbval-check-output"]
def line(a, b, steps):
    """The straight line from a to b: (steps, latent_dim)."""
    t = mx.linspace(0, 1, steps)[:, None]
    return (1 - t) * a + t * b


def turn(a, b, steps):
    """The quarter turn from a to b: (steps, latent_dim)."""
    angle = mx.linspace(0, math.pi / 2, steps)[:, None]
    return mx.cos(angle) * a + mx.sin(angle) * b


for path in (line, turn):
    lengths = mx.linalg.norm(path(z[0], z[1], 11), axis=1).tolist()
    print(f"{path.__name__}: ", *[f"{length:4.1f}" for length in lengths])

# %% [markdown]
# The line dips to 6.6 in the middle, while the turn stays between 9.4 and 9.8.
# **Will you be able to see the difference in the pictures?**

# %% tags=["hide-input"] mystnb={"figure": {"caption": "From the first digit of the sheet to the second, on the straight line and on the quarter turn. Only in the middle, where the stroke on the line is paler, can the two be told apart at a glance.", "name": "fig-07-paths"}, "image": {"alt": "Two rows of eleven digits, labeled line and turn. Both begin with the same slanted one, which straightens up, and end with the same speckled shape that is hard to read. The two pictures in a column look almost alike, except that in the sixth column the stroke on the line is paler and broken."}}
rows = [
    training.sample(generator, path(z[0], z[1], 11))
    for path in (line, turn)
]
plots.digits(mx.concatenate(rows), columns=11)
label_rows(["line", "turn"])

# %% [markdown]
# One walk proves little, so we repeat it for 200 pairs of random addresses.

# %%
pairs = mx.random.normal((200, 2, 100), key=mx.random.key(2))
differences = []
for start, end in pairs:
    straight = training.sample(generator, line(start, end, 11))
    turned = training.sample(generator, turn(start, end, 11))
    differences.append(mx.abs(straight - turned).mean(axis=(1, 2, 3)))
average = mx.stack(differences).mean(axis=0).tolist()
print("line against turn, change of a pixel at each of 11 steps:")
print(*[f"{value:.3f}" for value in average])

# %% [markdown]
# :::{dropdown} Answer
# Hardly: at no step do the two paths differ by more than 0.043 per pixel on average, while two random samples differ by 0.33.
# :::
#
# The midpoint of the line is the midpoint of the turn times 0.71, and we have seen how little a factor of 0.7 matters to this generator.
# Another generator may care more, so we stay with the path on which every point is an ordinary draw.
# In papers you will meet it as *spherical linear interpolation*, or slerp ([Shoemake, 1985](../book/bibliography.md#shoemake-1985); [White, 2016](../book/bibliography.md#white-2016)), which turns by the actual angle between $a$ and $b$ instead of 90 degrees.
# Two random vectors in 100 dimensions are nearly perpendicular, so the difference is small (Exercise 1).
#
# ### Regions and borders
#
# Look again at the round trip at the top of the chapter.
# It follows our formula, with an angle that goes all the way around, past $b$, $-a$ and $-b$ and back to $a$.
# Do its digits change at an even pace?
#
# **Suppose that we cut a quarter turn into 100 tiny steps and sort them by how much the image changes, the largest change first. How many of them make up half of the whole change?**

# %%
halves, paces = [], []
for start, end in pairs[:50]:
    images = training.sample(generator, turn(start, end, 101))
    change = mx.abs(images[1:] - images[:-1]).mean(axis=(1, 2, 3))
    largest_first = np.sort(np.array(change))[::-1]
    done = np.cumsum(largest_first) / largest_first.sum()
    halves.append(np.argmax(done >= 0.5) + 1)
    paces.append(np.array(change))
median, low, high = np.median(halves), min(halves), max(halves)
print(f"half of the change takes {median:.0f} of 100 steps", end=" ")
print(f"(from {low} to {high} in 50 walks)")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "How much a pixel changes in each of 100 steps, for one walk and on average over 50 walks. The single walk begins fast, calms down and becomes livelier again toward the end. The average shows no such quiet stretch.", "name": "fig-07-pace"}, "image": {"alt": "Change of a pixel over the steps of a walk. An orange curve for a single walk falls from about 0.007 to less than 0.002 within 40 steps, stays low, and rises to about 0.003 near the end. A gray curve, the average over 50 walks, lies well above it, between about 0.0065 and 0.01, with small ups and downs."}}
figure, axes = plt.subplots()
axes.plot(range(1, 101), paces[0], color=plots.FAKE, label="one walk")
average = np.mean(paces, axis=0)
axes.plot(range(1, 101), average, color=plots.GREY, label="mean of 50")
axes.set(xlabel="step", ylabel="change of a pixel", ylim=0)
axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# 31 of them, if we take the median of 50 walks.
# At an even pace it would be 50, so the change is uneven, but no walk squeezes half of it into fewer than 14 steps.
# :::
#
# The walk in the figure slows down to about a fifth of its first pace and becomes livelier again near the end.
# The average has no such pattern, and we should not expect one: every point of a quarter turn is an ordinary draw, so no step is special in advance, and the ups and downs of the gray curve are chance.
#
# You can picture the latent space as a map of countries.
# Inside a country the digit keeps its kind and varies its style, and when you cross a border it turns into another digit.
# On the round trip, the one lasts for about nine pictures and then becomes a nine within three.
# Between the seven and the six, however, lie about seven pictures of blurred shapes, so some borders are wide.
# Because the generator is continuous, it cannot jump across, and the half-and-half digits on the sheet probably have their addresses in such border areas.
#
# A map has two dimensions, and so can our walks: we turn from top to bottom on either side, and then from left to right in each row.
# The squares of the four weights still add up to 1, so every point is again an ordinary draw.

# %% mystnb={"figure": {"caption": "A map between four digits of the sheet, which stand in its corners: a one, a seven, a zero and a two. Between them lie nines, eights and shapes like a six, none of which stands in a corner.", "name": "fig-07-map"}, "image": {"alt": "A square of eight by eight digits. Ones fill the upper left part, sevens the upper right, zeros the lower left and twos the lower right. Between ones and sevens stands a column that turns from blurred shapes to nines, between zeros and twos a column of eights, and near the middle there are blurred shapes, some of them like a six."}}
left, right = turn(z[0], z[13], 8), turn(z[4], z[36], 8)
ends = zip(left, right, strict=True)
map_rows = [turn(start, end, 8) for start, end in ends]
atlas = training.sample(generator, mx.concatenate(map_rows))
plots.digits(atlas, columns=8)

# %%
grid = atlas.reshape(8, 8, 784)
across = mx.abs(grid[:, 1:] - grid[:, :-1]).mean(axis=2)
down = mx.abs(grid[1:] - grid[:-1]).mean(axis=2)
steps = mx.concatenate([across.flatten(), down.flatten()])
steps = np.array(steps)
print(f"median change between neighbors {np.median(steps):.2f},", end=" ")
print(f"more than 0.2 in {(steps > 0.2).sum()} of {len(steps)}")

# %% [markdown]
# Here, too, some borders are narrow and others wide.
# Down the left edge, the one becomes a zero within two pictures, but between the zeros and the twos you have to cross a blurred shape and an eight.
# Most neighbors are alike: only 13 of the 112 pairs differ by more than 0.2.
# More surprising is that there are nines and eights at all, since none of the four corners shows one.
#
# ## Which directions matter?
#
# Think of the noise as a mixing board with a hundred sliders, all of which we have moved at once so far.
# Now we stay with one digit and ask what a small movement does.
#
# **How many independent movements of the hundred sliders change the first digit of the sheet noticeably?**
#
# The idea is to try all movements of the same small length.
# They form a tiny sphere around $z$, and the generator turns it into a tiny ellipsoid around the image: long in the directions in which the image changes easily, and flat in those in which nothing happens.
# Counting the long axes answers our question.
#
# The **Jacobian** $J$ holds the derivative of every pixel with respect to every entry of $z$, here with one row for each entry of $z$, so a small step $\delta$ in the noise changes the image by $J^\top \delta$.
# The singular value decomposition $J = U S V^\top$ gives us the axes of the ellipsoid: the columns of $U$ are the directions in the noise, the numbers in $S$ are the lengths of the axes, and the rows of $V^\top$ are the changes of the image, each of which is a picture itself.
#
# In MLX, `mx.jvp` computes $J^\top \delta$ for one step without ever writing down $J$, and `mx.vmap` does this for all hundred unit steps at once.


# %%
def jacobian(generator, z):
    """Change of the image with each entry of z: (latent_dim, 784)."""

    def image(z):
        return generator(z[None]).reshape(-1)

    def change(step):
        _, changes = mx.jvp(image, [z], [step])
        return changes[0]

    return np.array(mx.vmap(change)(mx.eye(len(z))))


slopes = jacobian(generator, z[0])
directions, lengths, _ = np.linalg.svd(slopes, full_matrices=False)
print("longest axes:", *[f"{length:.1f}" for length in lengths[:10]])

step = 0.01 * mx.array(directions[:, 0])
moved = generator((z[0] + step)[None]) - generator(z[:1])
print(f"a step of 0.01 along the first: predicted {lengths[0] / 100:.3f},")
print(f"measured {mx.linalg.norm(moved.flatten()).item():.3f}")


# %%
def needed(lengths):
    """How many axes hold 99 % of the sum of their squares."""
    done = np.cumsum(lengths**2) / np.sum(lengths**2)
    return np.argmax(done >= 0.99) + 1


counts = [
    needed(np.linalg.svd(jacobian(generator, one), compute_uv=False))
    for one in z
]
print(f"first digit: {counts[0]} of 100 directions hold 99 %")
print(f"whole sheet: from {min(counts)} to {max(counts)},", end=" ")
print(f"median {np.median(counts):.0f}")

# %% [markdown]
# :::{dropdown} Answer
# Three, if we ask for 99 % of the squared change.
# :::
#
# The other digits of the sheet need between two and five, so around each of them the generator uses only a handful of its hundred directions and all but ignores the rest.
#
# The first cell also tested the longest axis: a step of 0.01 along it should move the image by 0.430 and moves it by 0.449, because even over so small a step the generator is not quite linear.
# What do the three longest axes do to the digit?

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The first digit of the sheet, in the middle, is moved by up to two units along its three most effective directions and along a random one. The column on the left shows what a very small step to the right adds (dark) and takes away (white); gray means no change.", "name": "fig-07-directions"}, "image": {"alt": "Four rows of ten small pictures, labeled first, second, third and random. The first picture of each row, the change of the image, is gray except for a few dark and white dots along a slanted line. The nine pictures after it have a slanted one in the middle. In the row first it is upright on the left, leans more and more, and ends as a seven on the right. In the row second it stays a one until it becomes a six on the right. In the row third it is thick with a blot on the left and thin and broken on the right. In the row random it stays a one and hardly changes."}}
other = np.array(mx.random.normal((100,), key=mx.random.key(3)))
chosen = [*directions.T[:3], other / np.linalg.norm(other)]
offsets = mx.linspace(-2, 2, 9)[:, None]
rows = []
for direction in chosen:
    change = slopes.T @ direction
    picture = mx.array(change / np.abs(change).max())
    moved = z[0] + offsets * mx.array(direction)
    rows.append(picture.reshape(1, 28, 28, 1))
    rows.append(training.sample(generator, moved))
plots.digits(mx.concatenate(rows), columns=10)
label_rows(["first", "second", "third", "random"])

# %% [markdown]
# The first direction tilts the one until it crosses a border and becomes a seven.
# The second sets it a little more upright, and then a six appears within a single step.
# The third goes from a thick stroke to a thin one, which breaks up at the end.
# The random direction does much less, because most of its length points to where nothing happens.
#
# The column on the left shows only a few dots, because a very small step moves only the gray pixels along the edge of the stroke: all others are close to $-1$ or 1, where the tanh is flat.
# That is also a warning: the Jacobian describes the immediate neighborhood of a digit, and it could not have told us of the seven and the six.
#
# A person who writes the same digit many times varies the slant, the width and the pressure of the pen, so a handful of directions is about what we would hope for.
# The exact number means little, however, since the limit of 99 % is our choice.
#
# ## Keeping a model
#
# When you close a notebook, its variables are gone, and with them everything that the training has achieved.
# To use the generator a year from now, you need its numbers, and you must know which layer each array belongs to and which network to build in the first place.
# `checkpoints.save` therefore stores three things: the arrays with their names, the name of the class, and the arguments of its constructor.

# %% tags=["nbval-check-output"]
path = mlxgan.RUNS / "generating/copy.safetensors"
checkpoints.save(path, generator, notes={"chapter": "Generating"})

arrays, about = mx.load(str(path), return_metadata=True)
for name in sorted(arrays):
    print(f"{name:15s} {arrays[name].shape}")
for name in sorted(about):
    print(f"{name:15s} {about[name]}")

# %% [markdown]
# The format is called *safetensors*; it is safe because reading such a file runs no code.
# To load it, the path is enough.

# %% tags=["nbval-check-output"]
restored = checkpoints.load(path)
difference = mx.abs(training.sample(restored, z) - sheet).max().item()
print(f"{type(restored).__name__} with {restored.latent_dim} inputs")
print(f"largest difference of a pixel {difference:.1f}")

# %% [markdown]
# A discriminator also has four linear layers, with the same names as those of the generator.
# **What should happen if somebody loads our file into a discriminator, or into a generator that expects 64 numbers?**

# %% tags=["nbval-check-output"]
narrow = models.MLPGenerator(latent_dim=64)
for model in (narrow, models.MLPDiscriminator()):
    try:
        checkpoints.load(path, model)
    except ValueError as error:
        print(str(error).removeprefix(f"{path.parent}/"))

# %% [markdown]
# :::{dropdown} Answer
# An error, before a single weight is changed.
# `load` compares all names and shapes first, and it names the first one that does not fit.
# :::
#
# :::{admonition} Coming from PyTorch
# :class: tip
# `torch.save` writes a pickle, a format that can run any code when it is opened, and a `state_dict` does not say which network it belongs to.
# In plain MLX, `model.save_weights("name.safetensors")` and `model.load_weights` write and read the same format, and the network is up to you.
# :::
#
# If you need thousands of digits for another program, this command draws them from a shipped model or from your own file:
#
# ```bash
# python -m mlxgan sample --model mlp --n 10000 --seed 0 --out samples.npz
# ```
#
# ## Does it copy?
#
# One suspicion remains: a generator could satisfy every discriminator by reciting the training set.
# It has never seen a training image itself, but the discriminator sees all sixty thousand of them in every epoch, and its gradients might pass them on.
#
# The usual test looks up the training image that is nearest to each sample, by the Euclidean distance between their pixels.
# For a thousand samples that means sixty million comparisons, but because $\lVert x - y \rVert^2 = \lVert x \rVert^2 + \lVert y \rVert^2 - 2\,x \cdot y$, a matrix product does nearly all of the work.


# %%
def nearest(images, references, block=100):
    """Index of each image's nearest reference, and the distance."""
    x = images.reshape(len(images), -1)
    y = references.reshape(len(references), -1)
    squares = (y * y).sum(axis=1)
    indices, distances = [], []
    for start in range(0, len(x), block):
        part = x[start : start + block]
        index = (squares - 2 * part @ y.T).argmin(axis=1)
        indices.append(index)
        distances.append(mx.linalg.norm(part - y[index], axis=1))
        mx.eval(indices[-1], distances[-1])
    return mx.concatenate(indices), mx.concatenate(distances)


# %% tags=["hide-input"] mystnb={"figure": {"caption": "Twelve samples, and below each of them the training image that is nearest to it.", "name": "fig-07-neighbors"}, "image": {"alt": "Two rows of twelve digits, labeled sample and nearest. Below most of the samples stands a digit with a similar outline, with smoother strokes and not identical. Below a three with a broken stroke stands only an arc."}}
train = data.load("train")
references = data.normalize(train.images)
index, _ = nearest(sheet[:12], references)
rows = mx.concatenate([sheet[:12], references[index]])
plots.digits(rows, columns=12)
label_rows(["sample", "nearest"])

# %% [markdown]
# The neighbors resemble the samples, but how near is suspiciously near?
# We need a group that certainly contains no copies, and the held-out test set is one: nobody copied it from the training set, and yet each of its digits has some nearest training image.
# To find out whether the search would notice copies, we also make some: training images with faint noise on every pixel, and training images that are moved to the right by a single pixel.
#
# **Which of the two kinds of copies will the search expose?**

# %%
count = 200 if mlxgan.SMOKE else 1000
faint = 0.05 * mx.random.normal((count, 28, 28, 1), key=mx.random.key(4))
groups = {
    "held out": real[:count],
    "samples": samples[:count],
    "noisy copies": references[:count] + faint,
    "shifted copies": mx.roll(references[:count], 1, axis=2),
}
found = {name: nearest(x, references) for name, x in groups.items()}
for name, (_, distances) in found.items():
    low, median = np.percentile(np.array(distances), [1, 50])
    print(f"{name:14s} median {median:4.1f}, nearest 1 % {low:4.1f}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Distance to the nearest training image. Left: samples of the generator and test images, which cannot be copies. Right, with a vertical axis of its own: two kinds of copies. The noisy ones stand out at once, while the shifted ones lie where the images on the left lie.", "name": "fig-07-distances"}, "image": {"alt": "Two panels of histograms over the distance to the nearest training image. In the left one the blue histogram of held-out images and the orange one of samples overlap for the most part. Both lie between about 2 and 16, with a high hump around 9 and a small one around 3 to 4, and the orange one lies slightly farther to the right. In the right one all 1,000 noisy copies form a single narrow peak below 2, while the shifted copies form a low hump around 9 that reaches from about 3 to 13."}}
bins = np.linspace(0, 18, 46)
figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharex=True)
for axes, name, color in (
    (panels[0], "held out", plots.REAL),
    (panels[0], "samples", plots.FAKE),
    (panels[1], "noisy copies", "C4"),
    (panels[1], "shifted copies", "C3"),
):
    distances = np.array(found[name][1])
    axes.hist(distances, bins, color=color, alpha=0.6, label=name)
for axes in panels:
    axes.set(xlabel="distance to the nearest", ylabel="images")
    axes.legend()
plt.show()

# %% [markdown]
# :::{dropdown} Answer
# Only the noisy ones.
# Their distances are about 1.4, while 99 % of the held-out images lie farther away than 2.5.
# The shifted copies have a median of 9.2, as if they had never been copied.
# :::
#
# If the generator recited its training set, its samples would pile up at small distances, where the noisy copies are.
# They do not: only one sample in a hundred has a training image within a distance of 3.3, while for the held-out images that distance is 2.5.
#
# The medians, 9.2 for the samples and 8.8 for the held-out images, are harder to read, because they depend on the mix of digits.
# A one has little ink, so two ones are mostly close together, and a generator that draws too many ones looks like a copyist.
# We can compare like with like through the label of the nearest training image, which usually says what a sample shows.

# %%
for name in ("held out", "samples"):
    index, distances = (np.array(array) for array in found[name])
    is_one = np.array(train.labels)[index] == 1
    ones, rest = distances[is_one], distances[~is_one]
    print(f"{name:8s} {is_one.mean():.0%} ones,", end=" ")
    print(f"median distance {np.median(ones):.1f},", end=" ")
    print(f"of other digits {np.median(rest):.1f}")

# %% [markdown]
# Among the ones and among the other digits alike, the samples are farther from the training set than the held-out images.
# So neither group looks copied, and the extra distance may simply come from the speckles.
#
# By their neighbors, 16 % of the samples are ones, more than the 13 % of these held-out images and the 11 % of MNIST as a whole.
# And how many did you count on the sheet?
# We find four, fewer than the five that MNIST would have, so 48 digits are not enough to notice a preference of this size.
# Even a thousand samples leave such a percentage uncertain by about one point in either direction, so [Measuring](08_measuring.ipynb) will count again, with more samples and a better judge than a neighbor's label.
#
# ### What the search cannot show
#
# So we found no sign of copying, but that proves less than it seems to.
#
# First, the search misses copies that look identical to the eye, such as those that had moved by one pixel.
# Exercise 2 builds a better search, but there will always be a change that it does not try.
#
# Second, a rare copy slips through.
# If one sample in a thousand were copied, a search through a thousand would miss it more than a third of the time.
# Finding nothing only tells us, with 95 % confidence, that the fraction is below 3 in 1,000.
#
# Third, a generator can pass this test and still be a poor one, for example if it draws one good and entirely new seven again and again.
# [Theis et al. (2016)](../book/bibliography.md#theis-et-al-2016) collect such cases, and they are why [Measuring](08_measuring.ipynb) will ask for two things at once: that the samples look real, and that together they are as varied as the data.
#
# ## Summary
#
# A digit has an address, its noise, and a single seed stands for as many addresses as you like.
# Shorter noise makes the digits more alike, so a sheet of samples should say at which scale it was drawn.
# To walk between two digits we mix their noise with a cosine and a sine, so that every point on the way is an ordinary draw.
# A digit keeps its kind for a while and then turns into another, sometimes quickly and sometimes over a long blurred stretch.
# Near any one digit only a handful of the hundred directions matter, and the singular value decomposition of the Jacobian finds them.
# A safetensors file keeps the arrays together with the recipe for building their network.
# A search for nearest neighbors, calibrated with images that cannot be copies, exposes plain copies but misses copies that were moved by a single pixel.
#
# ## Exercises
#
# ### Exercise 1: The angle that is really there (derive)
#
# Spherical linear interpolation turns by the actual angle $\omega$ between $a$ and $b$:
#
# $$\mathrm{slerp}(t) = \frac{\sin((1-t)\,\omega)}{\sin\omega}\,a + \frac{\sin(t\,\omega)}{\sin\omega}\,b.$$
#
# Show that it is our quarter turn if $\omega$ is 90 degrees, and that all its points have the length $r$ if $a$ and $b$ have it.
# Then compute the angle between the first two addresses of the sheet, and compare the lengths on slerp with those on the turn.
#
# :::{dropdown} Solution
# If $\omega$ is 90 degrees, $\sin\omega = 1$ and $\sin((1-t)\,\omega) = \cos(t\,\omega)$, so with $\theta = t\,\omega$ the formula is ours.
#
# For the length, let $\alpha = (1-t)\,\omega$ and $\beta = t\,\omega$, so that $\alpha + \beta = \omega$.
# With $a \cdot b = r^2 \cos\omega$, the squared length of the point is $r^2/\sin^2\omega$ times $\sin^2\alpha + \sin^2\beta + 2 \sin\alpha \sin\beta \cos\omega$.
# Now draw a triangle with the angles $\alpha$, $\beta$ and $180° - \omega$ into a circle of diameter 1.
# Its sides are the sines of the opposite angles, and the law of cosines says that $\sin^2\omega = \sin^2\alpha + \sin^2\beta - 2 \sin\alpha \sin\beta \cos(180° - \omega)$, which is the same sum.
# So the squared length is $r^2$.
#
# The cell finds an angle of 96 degrees, and the two paths differ in length by about 0.4 at most.
# Slerp keeps the length on every walk between equally long ends, and the turn keeps it on average over many walks.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def slerp(a, b, steps):
    cosine = (a * b).sum() / (mx.linalg.norm(a) * mx.linalg.norm(b))
    omega = mx.arccos(cosine)
    t = mx.linspace(0, 1, steps)[:, None]
    mixed = mx.sin((1 - t) * omega) * a + mx.sin(t * omega) * b
    return mixed / mx.sin(omega)


unit = z[:2] / mx.linalg.norm(z[:2], axis=1, keepdims=True)
cosine = (unit[0] * unit[1]).sum().item()
print(f"angle {math.degrees(math.acos(cosine)):.0f} degrees")
for path in (slerp, turn):
    lengths = mx.linalg.norm(path(z[0], z[1], 11), axis=1).tolist()
    print(f"{path.__name__:5s}:", *[f"{value:4.1f}" for value in lengths])

# %% [markdown]
# ### Exercise 2: A search that is harder to fool (code)
#
# Write a search that also finds copies that were moved by up to one pixel in any direction, and try it on 100 shifted training images.
# For what fraction of them does the plain search find an image other than the original, and what does the better search find?
# What does it cost?
#
# :::{dropdown} Solution
# We move each image by $-1$, 0 and 1 pixel along both axes, search for all nine versions, and keep the best.
# The plain search misses the original for 75 % of the shifted images, and the new one finds all of them, at a distance of 0.
# It takes nine times as long, and a copy that was moved by two pixels escapes it again.
# :::


# %% tags=["hide-cell"]
def nearest_shifted(images, references):
    results = [
        nearest(mx.roll(images, (down, right), axis=(1, 2)), references)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    ]
    indices = mx.stack([index for index, _ in results])
    distances = mx.stack([distance for _, distance in results])
    best = distances.argmin(axis=0)[None]
    index = mx.take_along_axis(indices, best, axis=0)[0]
    return index, distances.min(axis=0)


count = 20 if mlxgan.SMOKE else 100
hidden = mx.roll(references[:count], 1, axis=2)
for search in (nearest, nearest_shifted):
    index, distances = search(hidden, references)
    missed = (index != mx.arange(count)).mean().item()
    print(f"{search.__name__}: {missed:.0%} missed,", end=" ")
    print(f"average distance {distances.mean().item():.1f}")

# %% [markdown]
# ### Exercise 3: A generator without biases (change and explain)
#
# Set all biases of the generator to 0, and draw the same noise at the scales 0.3, 1 and 2.
# What happens to the sign of the pixels, and what to their size?
# Explain it, and say what the image looks like for very small and for very large scales.
#
# :::{dropdown} Solution
# A linear layer without a bias satisfies $A(sz) = s\,Az$, and for $s > 0$ a ReLU satisfies $\mathrm{ReLU}(sx) = s\,\mathrm{ReLU}(x)$.
# Each layer passes on the factor to the next, so the numbers before the tanh are $s\,h(z)$, and the image is $\tanh(s\,h(z))$.
# The sign of each pixel stays the same at every scale, as the cell shows, and only the contrast changes.
# For a very small $s$ the image is a uniform gray, and for a very large one every pixel is either black or white.
# With its biases the generator follows the rule only roughly: 6.4 % of the signs differ between the scales 0.3 and 1, but only 1.5 % between 1 and 2, where the noise is longer.
# :::

# %% tags=["hide-cell"]
bare = models.MLPGenerator()
bare.update(generator.parameters())
for layer in bare.layers:
    layer.bias = mx.zeros_like(layer.bias)

for name, model in {"with biases": generator, "without": bare}.items():
    at_one = training.sample(model, noise)
    for scale in (0.3, 1.0, 2.0):
        images = training.sample(model, scale * noise)
        flipped = (images * at_one < 0).mean().item()
        size = mx.abs(images).mean().item()
        print(f"{name:11s} scale {scale:.1f}:", end=" ")
        print(f"{flipped:.1%} of signs differ, average size {size:.2f}")

# %% [markdown]
# ## Further reading
#
# - [White (2016)](../book/bibliography.md#white-2016) is the paper on moving through latent spaces, with many pictures and the case for walking along the sphere.
# - [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) also walk between images, and they calculate with noise vectors: the smile of one face can be added to another.
# - [Brock et al. (2019)](../book/bibliography.md#brock-et-al-2019) show on large photographs what truncation gains and what it costs.
# - [Härkönen et al. (2020)](../book/bibliography.md#härkönen-et-al-2020) turn directions of the latent space into sliders that a designer can use.
# - [Theis et al. (2016)](../book/bibliography.md#theis-et-al-2016) explain why neither good-looking samples nor a search for neighbors proves that a generator has learned the distribution of the data. Read it before the next chapter.
