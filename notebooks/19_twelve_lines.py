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
# # Twelve lines that look right
#
# This book began with a tutorial that promised a GAN in MLX.
# Its imports were MLX's, but most of what followed was PyTorch, so the code could not run.
# It is an easy mistake to make: the two frameworks share so many names that your fingers type the wrong one while you are thinking about something else, and language models do the same.
# Here are twelve lines of that kind, some of which would not run in PyTorch either, in the order in which you would meet them in a program.
#
# ```python
# def forward(self, x):                                        # 1
# x.view(-1, 784)                                              # 2
# nn.LeakyReLU(0.2, inplace=True)                              # 3
# nn.BatchNorm2d(32)                                           # 4
# loss = nn.LogSoftmax()(logits, labels)                       # 5
# optim.Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999))  # 6
# model.to("gpu")                                              # 7
# z = mx.random.normal(64, 100)                                # 8
# loss = mx.square(np.ones((64, 1)) - logits).mean()           # 9
# optimizer.zero_grad()                                        # 10
# loss.backward()                                              # 11
# picture = fake.detach().numpy()                              # 12
# ```
#
# **Eleven of them stop with an error, and one runs and quietly does the wrong thing. Which one is it?**
#
# :::{dropdown} Answer
# The ninth.
# Its loss is right and its gradient is zero, and we will see why when we get there.
# :::
#
# The eleven loud lines are not harmless either, because an error message invites a repair.
# For six of them the repair that comes to mind first silences the message without making the line right, and then nothing warns you any more.
# We will therefore run each line, run the tempting repair where there is one, look for the number that gives it away, and finish with a line that works.
# At the end of the page the twelve corrected lines stand together in one program, and it trains a GAN.
#
# *Before: [MLX in a quarter of an hour](02_mlx.ipynb), and some PyTorch · To read: a quarter of an hour · To run: half a minute on two CPU cores*

# %%
# mlxgan comes before mlx.core: on Linux it makes MLX fast
from mlxgan import data, plots

from contextlib import contextmanager
from textwrap import fill

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

mx.random.seed(0)


@contextmanager
def errors_shown():
    """Print the type and the first line of an error, and go on."""
    try:
        yield
    except Exception as error:
        first_line = str(error).splitlines()[0]
        print(fill(f"{type(error).__name__}: {first_line}", 72))


# %% [markdown]
# ## Line 1: `def forward(self, x):`
#
# In PyTorch we write a method named `forward`, but we call the module itself, because the call belongs to PyTorch: it runs hooks first, then our `forward`, then more hooks.
# MLX has no hooks, so nothing needs to stand between you and your method, and you define the call yourself.


# %% tags=["nbval-check-output"]
class WithForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(784, 1)

    def forward(self, x):
        return self.out(x)


class Critic(WithForward):
    def __call__(self, x):
        return self.out(x)


real = mx.random.normal((64, 784))
with errors_shown():
    WithForward()(real)
judge = Critic()
print(judge(real).shape)

# %% [markdown]
# Notice when the error appeared.
# Defining the class and making the module went well, and only the first call failed, in a message that does not mention `forward` at all.
#
# ## Line 2: `x.view(-1, 784)`
#
# A linear layer takes vectors, so before it can judge an image we have to flatten the image.

# %% tags=["nbval-check-output"]
images = mx.zeros((64, 28, 28, 1))
with errors_shown():
    images.view(-1, 784)
print(images.reshape(-1, 784).shape)
print(mx.array(1.0).view(mx.int32))

# %% [markdown]
# MLX does have a `view`, but as in NumPy it changes the type and not the shape: it takes the bytes of an array as they are and reads them as something else.
# The last line reads the four bytes of 1.0 as an integer.
# What we want is `reshape`.
#
# The message is typical of MLX.
# It says that the arguments do not fit, and below its first line, which is all that we print, it lists the arguments that would.
#
# ## Line 3: `nn.LeakyReLU(0.2, inplace=True)`
#
# With `inplace=True`, PyTorch saves memory by overwriting the layer's input.
# MLX's activations have no such option, and the error says so.
# In a hurry you may then delete everything between the parentheses.
#
# **What does `nn.LeakyReLU()` make of −1?**

# %% tags=["nbval-check-output"]
with errors_shown():
    nn.LeakyReLU(0.2, inplace=True)
for activation in (nn.LeakyReLU(), nn.LeakyReLU(0.2)):
    print(f"-1 becomes {activation(mx.array(-1.0)).item():.2f}")

# %% [markdown]
# :::{dropdown} Answer
# It returns −0.01, where the line that we came from would have returned −0.2.
# :::
#
# Wherever its input is negative, the repaired layer passes on a twentieth of the gradient that the author intended.
# The default is 0.01 in PyTorch too, whereas Keras takes 0.3, and the GANs that follow [Radford et al. (2016)](../book/bibliography.md#radford-et-al-2016) take 0.2, so it is best to write the slope down each time.
#
# ## Line 4: `nn.BatchNorm2d(32)`
#
# MLX has one batch normalization for all shapes, called `nn.BatchNorm`, so the repair seems to be a matter of deleting two characters.
# But MLX also keeps the channels on the last axis, where PyTorch has them on the second.
# Suppose that our features still have PyTorch's order: 64 images, 32 channels, 32 rows and 32 columns.
# To see what happens we make each channel louder than the one before, because batch normalization should bring all of them to a standard deviation of 1.

# %% tags=["nbval-check-output"]
with errors_shown():
    nn.BatchNorm2d(32)

loudness = mx.arange(1, 33).reshape(1, 32, 1, 1)
features = loudness * mx.random.normal((64, 32, 32, 32))
norm = nn.BatchNorm(32)
spread = mx.std(norm(features), axis=(0, 2, 3))
print(f"channels first: {spread[0].item():.2f} to {spread[31].item():.2f}")
spread = mx.std(norm(features.transpose(0, 2, 3, 1)), axis=(0, 1, 2))
print(f"channels last:  {spread[0].item():.2f} to {spread[31].item():.2f}")

# %% [markdown]
# With the channels first, the last one is still about thirty times as loud as the first.
# The layer has normalized each *column* of the images, and it could not notice, because there happen to be as many columns as channels.
# With 128 channels on images of 7×7 pixels the same line would have raised an error.
#
# The cure is to move the axes once, with `transpose(0, 2, 3, 1)`, as early as possible.
# A `reshape` to (64, 32, 32, 32) would give the right shape too, and scramble the pixels.
#
# ## Line 5: `loss = nn.LogSoftmax()(logits, labels)`
#
# A loss compares what a network says with what is true, so it needs two arrays.
# `nn.LogSoftmax` is not a loss but a layer, and it turns the logits of several classes into logarithms of probabilities.
# The error below complains about one argument too many (Python also counts the module itself), so the tempting repair is to drop the labels and to minimize the negative logarithm.
# Our judge returns a single logit per image.
#
# **If there is only one class to choose from, how probable is it?**


# %%
with errors_shown():
    nn.LogSoftmax()(judge(real), mx.ones((64, 1)))


def log_softmax_loss(x):
    probability = mx.softmax(judge(x), axis=-1)
    return mx.log(1 / probability).mean()


def cross_entropy(x):
    return nn.losses.binary_cross_entropy(judge(x), mx.ones((64, 1)))


for loss in (log_softmax_loss, cross_entropy):
    value, gradients = nn.value_and_grad(judge, loss)(real)
    slope = gradients["out"]["bias"].item()
    print(f"{loss.__name__}: {value.item():.2f}, gradient {slope:.2f}")

# %% [markdown]
# :::{dropdown} Answer
# It is certain: the softmax of a single number is 1, whatever the number.
# :::
#
# The loss is therefore 0 from the first step on, and so is the gradient.
# A loss of exactly 0.00 may look like a triumph, but in a GAN it should make you suspicious.
# What we need is a binary cross-entropy that takes logits, and in MLX that is a plain function.
#
# :::{warning}
# The cell writes out softmax and logarithm for a reason.
# On the Linux CPU, `nn.LogSoftmax()` of MLX 0.32.4 crashes when it is given a column of logits, such as one of shape (64, 1), and takes Python with it.
# :::
#
# ## Line 6: `optim.Adam(model.parameters(), lr=2e-4, ...)`
#
# A PyTorch optimizer is given the parameters once and changes them in place.
# In MLX it meets the network only when we call `optimizer.update(model, gradients)`, so the parameters have no place in the constructor, and the learning rate comes first.
# Once both are corrected, the line runs.
# Let us look at the first step that it takes for a gradient of 1.

# %% tags=["nbval-check-output"]
with errors_shown():
    optim.Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999))
weight, gradient = {"w": mx.array(0.0)}, {"w": mx.array(1.0)}
for corrected in (False, True):
    adam = optim.Adam(2e-4, (0.5, 0.999), bias_correction=corrected)
    moved = adam.apply_gradients(gradient, weight)["w"].item()
    print(f"corrected {corrected}: {-moved / 2e-4:.1f} learning rates")

# %% [markdown]
# PyTorch always applies Adam's bias correction, and MLX only does so on request.
# With the betas of a GAN, the optimizer without it opens the game with a step almost sixteen times too long.
# [Losses and optimizers](05_losses.ipynb) explains where the factor comes from; the line to remember is `optim.Adam(2e-4, betas=[0.5, 0.999], bias_correction=True)`.
#
# ## Line 7: `model.to("gpu")`
#
# Most graphics cards have a memory of their own, and every network and every batch has to be sent there.

# %%
with errors_shown():
    judge.to("gpu")
print("operations run on", mx.default_device())

# %% [markdown]
# The line that works is no line at all.
# On a Mac with Apple silicon both processors share one memory, so MLX has no idea of an array being *somewhere*: a device belongs to an operation, and the default is the GPU where there is one.
# (The machine that made these outputs has none.)
#
# ## Line 8: `z = mx.random.normal(64, 100)`
#
# `torch.randn(64, 100)` takes the lengths of the axes one by one.
# MLX wants them as one tuple, and of two plain numbers `normal` cannot make sense.
# Its sister `uniform` can, and a GAN trains on uniform noise just as well.
#
# **What does `mx.random.uniform(64, 100)` return?**

# %%
with errors_shown():
    mx.random.normal(64, 100)
noise = mx.random.uniform(64, 100)
print(f"uniform: shape {noise.shape}, value {noise.item():.1f}")
print("normal: shape", mx.random.normal((64, 100)).shape)

# %% [markdown]
# :::{dropdown} Answer
# A single number between 64 and 100.
# The first two arguments of `uniform` are the lower and the upper bound.
# :::
#
# A linear layer refuses such an input, so here you would be told, if only some lines later.
# In a sum or a product, however, a single number fits everywhere.
#
# ## Line 9: `loss = mx.square(np.ones((64, 1)) - logits).mean()`
#
# This is the line that raises no error.
# It is the least-squares loss for a batch of real images, with the labels in a NumPy array because that is where the data came from.
# The cell computes it twice and changes nothing but the order of the two operands.


# %%
labels = np.ones((64, 1))


def labels_first(x):
    return mx.square(labels - judge(x)).mean()


def logits_first(x):
    return mx.square(judge(x) - labels).mean()


for loss in (labels_first, logits_first):
    value, gradients = nn.value_and_grad(judge, loss)(real)
    slope = gradients["out"]["bias"].item()
    print(f"{loss.__name__}: {value.item():.2f}, gradient {slope:.2f}")
print(type(labels - judge(real)))

# %% [markdown]
# Both losses agree, but the first gradient is zero.
# Python lets the left operand of a minus sign decide.
# If NumPy stands on the left, it turns the logits into an array of its own, subtracts, and returns an `ndarray`.
# `mx.square` accepts that and makes an MLX array out of it, but by then the path back to the network has been cut.
# The discriminator never learns anything, while its loss looks entirely plausible.
#
# The line that works has `mx.array(labels)` in it, or `mx.ones((64, 1))`.
# `nn.losses.binary_cross_entropy` happens to put up with NumPy's labels, but a compiled function refuses them, so it is best to convert them once, where they are loaded.
#
# ## Lines 10 and 11: `optimizer.zero_grad()` and `loss.backward()`
#
# PyTorch records every operation on a tape.
# `backward` plays the tape in reverse and *adds* the gradients to those in `.grad`, `zero_grad` clears what an earlier pass has left there, and `torch.no_grad()` switches the recorder off.
# In MLX a gradient is the return value of a function, which `nn.value_and_grad` makes, so there is no tape, and nothing to clear or to switch off.

# %%
optimizer = optim.Adam(1e-3, bias_correction=True)
with errors_shown():
    optimizer.zero_grad()
with errors_shown():
    cross_entropy(real).backward()

loss, gradients = nn.value_and_grad(judge, cross_entropy)(real)
optimizer.update(judge, gradients)
mx.eval(judge.state, optimizer.state)
after = cross_entropy(real).item()
print(f"loss {loss.item():.3f}, after one step {after:.3f}")

# %% [markdown]
# With `optimizer.step()`, PyTorch needs three lines, and so does MLX, although they do not correspond one to one.
# The new one is `mx.eval`: until it is called, the update is only a plan.
#
# ## Line 12: `picture = fake.detach().numpy()`
#
# To draw an image with matplotlib we need it in NumPy.
# Since there is no tape, there is nothing to detach from, and the rest looks like a question of spelling: `np.asarray(fake)` or `np.array(fake)`?
# The cell tries both, and each time scales the picture from [−1, 1] to [0, 255] as one does before saving it.
#
# **What is the largest pixel of `fake` afterwards?**

# %% tags=["nbval-check-output"]
with errors_shown():
    mx.zeros((28, 28)).detach().numpy()
for convert in (np.asarray, np.array):
    fake = mx.ones((28, 28))
    picture = convert(fake)
    picture += 1
    picture *= 127.5
    print(f"{convert.__name__}: fake goes up to {fake.max().item():.0f}")

# %% [markdown]
# :::{dropdown} Answer
# It is 255 with `np.asarray`, and 1 with `np.array`.
# :::
#
# `np.asarray` copies nothing if it can avoid it, so `picture` is a window onto the memory of `fake`, and whatever we do to the one happens to the other behind MLX's back.
# `np.array` makes a copy.
# This is the conversion that the book uses everywhere.
#
# ## Together
#
# Here are the twelve lines once more, each in the form that works.


# %%
class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 256)
        self.activation = nn.LeakyReLU(0.2)  # line 3
        self.out = nn.Linear(256, 1)

    def __call__(self, x):  # line 1
        x = x.reshape(-1, 784)  # line 2
        return self.out(self.activation(self.hidden(x)))


discriminator = Discriminator()  # line 7: no .to()
generator = nn.Sequential(
    nn.Linear(100, 256),
    nn.BatchNorm(256),  # line 4: 256 features on the last axis
    nn.ReLU(),
    nn.Linear(256, 784),
    nn.Tanh(),
)
one, zero = mx.ones((64, 1)), mx.zeros((64, 1))  # line 9
bce = nn.losses.binary_cross_entropy  # line 5


def loss_d(real, fake):
    return bce(discriminator(real), one) + bce(discriminator(fake), zero)


def loss_g(z):
    return bce(discriminator(generator(z)), one)


# %%
def new_adam():  # line 6
    return optim.Adam(2e-4, betas=[0.5, 0.999], bias_correction=True)


def learn(network, optimizer, loss, *inputs):  # lines 10 and 11
    _, gradients = nn.value_and_grad(network, loss)(*inputs)
    optimizer.update(network, gradients)
    mx.eval(network.state, optimizer.state)


adam_d, adam_g = new_adam(), new_adam()
digits = data.load("train")
for real, _ in data.batches(digits, 64, seed=0):
    fake = generator(mx.random.normal((64, 100)))  # line 8
    learn(discriminator, adam_d, loss_d, real, fake)
    learn(generator, adam_g, loss_g, mx.random.normal((64, 100)))

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What the corrected program draws after seeing each training image once.", "name": "fig-19-digits"}, "image": {"alt": "Two rows of ten speckled gray images. Several can be read as a nine, a zero or a one, and others are blots."}}
generator.eval()
samples = generator(mx.random.normal((20, 100)))
picture = np.array(samples.reshape(-1, 28, 28, 1))  # line 12
plots.digits(picture, columns=10)

# %% [markdown]
# They are not good digits yet, after a single epoch and with two small networks, but they are the first that these twelve lines have ever drawn.
#
# ## Summary
#
# Only one of our lines was wrong without saying so: a NumPy array to the left of a minus sign, which leaves the loss intact and removes its gradient.
# Six more joined it as soon as we repaired them in the obvious way.
# We got a slope of 0.01, a normalization of columns, a loss that is always zero, a first step of sixteen learning rates, one number in place of 6,400, and a picture that writes into the array that it came from.
# Hardly any of this would have shown in a training log, except by digits that stay poor.
#
# Two habits catch all of them.
# The first is to read the rest of an error message, in which MLX lists what it would have accepted.
# The second is to look at one number after every repair: the shape of an array, the size of a gradient, the length of a step.
# The page [Coming from PyTorch](../book/pytorch.md) has the whole list of calls that differ.
# If you want to practice, port the [DCGAN tutorial of PyTorch](https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html), which contains many of the lines on this page in the place where they belong.
#
# ## Exercises
#
# ### Exercise 1: Labels without a second axis (derive)
#
# Suppose that `labels` in line 9 is an MLX array after all, but of shape (64,) instead of (64, 1), and that half of the labels are 1 and half are 0.
# Which shape does `logits - labels` have, and which logits minimize the loss?
#
# :::{dropdown} Solution
# The shapes (64, 1) and (64,) are broadcast to (64, 64), so every logit is compared with every label.
# The loss of a single logit $\ell$ is the average of $(\ell - y)^2$ over all labels $y$, and it is smallest where $\ell$ is their mean, which is 0.5.
# The discriminator therefore learns to call everything half real, and its loss settles at 0.25.
# MLX's own losses check that both shapes are equal, which is a good reason to use them.
# :::
#
# ### Exercise 2: A thirteenth line (code)
#
# DCGANs draw their first weights with a standard deviation of 0.02, and PyTorch does it with `nn.init.normal_(layer.weight, 0.0, 0.02)`.
# MLX has no `normal_`, but it has `nn.init.normal`.
# Find out what `nn.init.normal(layer.weight, 0.0, 0.02)` does, and write the line that works.
#
# :::{dropdown} Solution
# It does nothing to the layer and raises no error.
# In MLX `nn.init.normal(0.0, 0.02)` returns a *function*, and it is this function that makes an array of the same shape as the one that it is given.
# :::

# %% tags=["hide-cell"]
layer = nn.Linear(100, 256)
print(f"at first:               {mx.std(layer.weight).item():.3f}")
nn.init.normal(layer.weight, 0.0, 0.02)
print(f"after the tempting one: {mx.std(layer.weight).item():.3f}")
layer.weight = nn.init.normal(0.0, 0.02)(layer.weight)
print(f"after the right one:    {mx.std(layer.weight).item():.3f}")

# %% [markdown]
# ### Exercise 3: The company of a picture (change and explain)
#
# Before drawing the picture above we called `generator.eval()`.
# Leave that line out, which is to say call `generator.train()`, and draw twenty noise vectors twice: all in one batch, and in ten batches of two.
# By how much does a pixel differ between the two ways, on average?
# And why can a batch of two show hardly anything of its noise?
#
# :::{dropdown} Solution
# In evaluation mode both ways give the same pictures, and in training mode they do not, because batch normalization subtracts the mean of the batch and divides by its standard deviation, and both change with the company.
# In a batch of two, each hidden unit becomes 1 for one of the two images and $-1$ for the other, so all that is left of the noise is which of them had the larger value.
# (A batch of one would become 0 everywhere, and MLX refuses it with an error.)
# :::

# %% tags=["hide-cell"]
z = mx.random.normal((20, 100))
for mode in (generator.train, generator.eval):
    mode()
    together = generator(z)
    pairs = mx.concatenate(
        [generator(z[i : i + 2]) for i in range(0, 20, 2)]
    )
    difference = mx.abs(together - pairs).mean().item()
    print(
        f"{mode.__name__:5s}: mean difference of a pixel {difference:.3f}"
    )

# %% [markdown]
# ## Further reading
#
# - MLX's own pages on [unified memory](https://ml-explore.github.io/mlx/build/html/usage/unified_memory.html), [lazy evaluation](https://ml-explore.github.io/mlx/build/html/usage/lazy_evaluation.html) and [indexing](https://ml-explore.github.io/mlx/build/html/usage/indexing.html) explain lines 7 and 11 and more from MLX's side, and they are short.
# - [Hannun et al. (2023)](../book/bibliography.md#hannun-et-al-2023) is the framework itself, whose examples are the best place to see how its authors write a training loop.
