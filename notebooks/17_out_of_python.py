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
# # Out of Python
#
# ![Above, the generator is recorded into a file, generator.mlxfn, which holds operations and weights, and MLX runs it from C++ and Swift. Below, the weights alone go to JavaScript, where the code is written again. C++ and JavaScript draw the same digit, and Swift is not tested.](../book/diagrams/out-of-python.svg)
#
# *Two ways out of Python: MLX records what the generator computes, or somebody writes the code again and takes only the weights.*
#
# Our generator draws any digit on request, as long as the request comes from Python.
# A phone app, a game written in C++, or a web page has no Python, and nobody wants to install one just to draw a seven.
# By the end of this chapter you can write a generator to a file that other languages run, say what such a file keeps and what it silently freezes, and check that they all draw the same digit.
#
# *Before: [Choosing the digit](12_conditional.ipynb), and some C++ to read along · To read: a quarter of an hour · To run: a minute on two CPU cores*

# %% tags=["hide-input"]
# mlxgan comes before mlx.core: on Linux it makes MLX fast
import mlxgan
from mlxgan import export, plots

import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from io import StringIO
from textwrap import fill

import matplotlib.pyplot as plt
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from IPython.display import Markdown

MODEL = "best"
folder = mlxgan.RUNS / "out_of_python"
folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def errors_shown():
    """Print an error instead of raising it."""
    try:
        yield
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        print(fill(text, 72, break_on_hyphens=False))


# %% [markdown]
# ## What is left of a generator without Python?
#
# The weights are easy to take along: every language can read the numbers in a `.safetensors` file.
# But what to do with them is written in Python, as a class with layers and a method that calls one after the other.
#
# One way out is to write this code again, as we did for [the generator in your browser](../book/generator.md), where some fifty lines of JavaScript multiply and add as our layers do.
# It works, but every change to the network has to be made twice, and a mistake in the second version just looks like a bad digit.
#
# MLX offers another way, because its operations compute nothing at first and are only noted in a graph ([MLX in a quarter of an hour](02_mlx.ipynb)).
# If we call the generator once and keep this graph instead of evaluating it (PyTorch calls this tracing), we have a recipe that no longer needs the class.
# The function `mx.export_function` writes this recipe to a file and asks for an example of each input, because shapes and types decide which operations are recorded.
# Let us try it with the generator of [To the floor](13_to_the_floor.ipynb), which draws in your browser too, and leave its referee behind.

# %%
generator = mlxgan.load_pretrained(MODEL).generator
z = mx.random.normal((1, 100), key=mx.random.key(4))
label = mx.array([3])
mx.eval(generator.parameters(), z, label)  # no lazy parts: see below
with errors_shown():
    mx.export_function(f"{folder}/one.mlxfn", generator, z, label)

# %% [markdown]
# On a Mac, where our package replaces no layer, this cell should succeed and print nothing.
# On a Linux CPU, however, it replaces the convolutions by matrix products ([MLX on a Linux CPU](20_linux_cpu.ipynb)), and one of their operations, `Contiguous`, cannot be written to the file.
# A trick for one processor has no place in a file for other machines, so before we export, we give the generator MLX's own convolutions back.


# %% tags=["nbval-check-output"]
def difference(a, b):
    return mx.abs(a - b).max().item()


export.stock(generator)
mx.export_function(f"{folder}/one.mlxfn", generator, z, label)
draw = mx.import_function(f"{folder}/one.mlxfn")
(digit,) = draw(z, label)
change = difference(digit, generator(z, label))
print(digit.shape, f"largest difference {change:.6f}")

# %% [markdown]
# The imported function (which returns a tuple even for a single result) draws what the generator draws, although it no longer knows the class `ConditionalGenerator`.
# What does it know?
# `mx.export_to_dot` writes its graph as text, in which we can count the operations.


# %% tags=["nbval-check-output"]
def dot(array):
    text = StringIO()
    mx.export_to_dot(text, array)
    return text.getvalue()


def operations(array):
    return re.findall(r'label ="(\w+)"', dot(array))


recorded = draw(z, label)[0]
print(len(operations(recorded)), "operations")
for name, count in Counter(operations(recorded)).most_common():
    print(f"{count:3d} {name}")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The recorded path from the noise to the image, row by row. Each row begins with a layer, whose operation multiplies by a matrix or a kernel (orange); the operations after it are arithmetic on single numbers.", "name": "fig-17-graph"}, "image": {"alt": "A chain of small labeled boxes in four rows, with arrows from one to the next within each row. It starts with AddMM, goes on with Add, Subtract, Multiply, Multiply, Add and Maximum, passes a second AddMM and two Convolutions, with a Reshape or an Add and then the same five operations after each but the last, and ends with Add and Tanh."}}
labels_of = dict(re.findall(r'(\d+) \[label ="(\w+)"', dot(recorded)))
edges = re.findall(r'("?\w+"?) -> ("?\w+"?)', dot(recorded))
after = {}
for start, end in edges:
    after.setdefault(start, []).append(end)


def longest(node):
    tails = [longest(other) for other in after.get(node, [])]
    return [node] + max(tails, key=len, default=[])


inner = {end for _, end in edges}
starts = {start for start, _ in edges} - inner
paths = [
    [labels_of[node] for node in longest(start) if node in labels_of]
    for start in starts
]
path = max((path for path in paths if path[0] == "AddMM"), key=len)
columns = 7
rows = -(-len(path) // columns)
figure, axes = plt.subplots(figsize=(7.5, 0.5 * rows))
for index, name in enumerate(path):
    row, column = divmod(index, columns)
    heavy = name in ("AddMM", "Convolution")
    color = plots.FAKE if heavy else plots.GREY
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": color}
    axes.text(
        column, -row, name, ha="center", va="center", fontsize=7, bbox=box
    )
    if column < columns - 1 and index < len(path) - 1:
        ends = (column + 0.58, -row), (column + 0.42, -row)
        arrow = {"arrowstyle": "->", "color": plots.GREY}
        axes.annotate("", *ends, arrowprops=arrow)
axes.set(xlim=(-0.6, columns - 0.4), ylim=(0.5 - rows, 0.5))
axes.set_axis_off()
plt.show()

# %% [markdown]
# The layers have dissolved into plain operations.
# The two `AddMM` are our linear layers, each a matrix product with its bias added, and the two `Convolution` are our transposed convolutions.
# Each of the first three rows goes on with a label, a reshape, or a bias.
# Then comes batch normalization with fixed statistics and a ReLU, recorded as `Maximum`.
# Most of what the figure leaves out is `Broadcast`, which repeats a small array until it has the shape of its partner.
# These operations and the arrays that enter them are everything that the file has.
#
# ## What a recording freezes
#
# A recording repeats what happened once, so whatever was decided while it was made, by Python or by us, stays decided.
# The same is true of `mx.compile`, but there the original is still at hand, while here only the file travels.
#
# **The shape.** We recorded a call for one image, so what happens if we ask for two?

# %%
with errors_shown():
    draw(mx.zeros((2, 100)), mx.array([3, 3]))

# %% [markdown]
# The function refuses, and says which shapes and types it would take.
# That is annoying but safe.
#
# **Random numbers.** It would be handy if the file drew its own noise, so that a caller only has to name the digit.
#
# **We record such a function, import it, and call it twice. By how much will the two images differ?**


# %% tags=["nbval-check-output"]
def surprise(label):
    return generator(mx.random.normal((1, 100)), label)


mx.export_function(f"{folder}/surprise.mlxfn", surprise, label)
imported = mx.import_function(f"{folder}/surprise.mlxfn")
first, second = imported(label)[0], imported(label)[0]
print(f"largest difference {difference(first, second):.2f}")

# %% [markdown]
# :::{dropdown} Answer
# Not at all: the surprise is always the same digit.
# :::
#
# `mx.random.normal` takes its key from a global state, and the key of that moment became a constant in the file.
# If the key is an argument instead, like the $z$ of our own recording, every caller can bring another one.


# %% tags=["nbval-check-output"]
def with_key(key, label):
    return generator(mx.random.normal((1, 100), key=key), label)


key, other = mx.random.key(1), mx.random.key(2)
mx.export_function(f"{folder}/with_key.mlxfn", with_key, key, label)
imported = mx.import_function(f"{folder}/with_key.mlxfn")
first, second = imported(key, label)[0], imported(other, label)[0]
print(f"from Python's: {difference(first, with_key(key, label)):.2f}")
print(f"from that of another key: {difference(first, second):.1f}")

# %% [markdown]
# **Training mode.** In this mode, batch normalization uses the statistics of the batch and updates its running statistics as a side effect.
# We record a generator in training mode and let it draw the same $z$ twice, once among nine vectors and once among nine others.

# %%
restless = export.stock(mlxgan.load_pretrained(MODEL).generator).train()
z10 = mx.random.normal((10, 100), key=mx.random.key(5))
others = mx.random.normal((9, 100), key=mx.random.key(6))
company = mx.concatenate([z10[:1], others])
digits = mx.arange(10)
mx.export_function(f"{folder}/restless.mlxfn", restless, z10, digits)
imported = mx.import_function(f"{folder}/restless.mlxfn")
first, second = imported(z10, digits)[0], imported(company, digits)[0]
print(f"largest difference {difference(first[0], second[0]):.2f}")
with errors_shown():
    print(restless.norm1.running_mean[0].item())

# %% [markdown]
# A pixel changed by nearly the whole range from black to white, although the noise and the label of its image stayed the same.
# The recording also did harm on our side: the running mean is now a placeholder without a value, so this generator is ruined.
# `load_pretrained` returns its model in evaluation mode, but after a training run of your own, call the model's `eval()` (not `mx.eval`) before you export it.
#
# **Python's own decisions.** Of an `if`, a loop, or a global number, the recording keeps only the branch that was taken and the value that was read.
# If the decision depends on the values of an array, MLX stops us.
# Suppose that we want to shorten noise vectors longer than 12, because the generator has hardly met any in its training ([Generator and discriminator](04_models.ipynb)).


# %%
def shortened(z, label):
    length = mx.linalg.norm(z)
    if length > 12:
        z = z * (12 / length)
    return generator(z, label)


def shortened_by_arrays(z, label):
    length = mx.linalg.norm(z)
    return generator(z * mx.minimum(1, 12 / length), label)


with errors_shown():
    mx.export_function(f"{folder}/short.mlxfn", shortened, z, label)
mx.export_function(f"{folder}/short.mlxfn", shortened_by_arrays, z, label)
imported = mx.import_function(f"{folder}/short.mlxfn")
change = difference(imported(3 * z, label)[0], shortened(3 * z, label))
print(f"largest difference {change:.6f}")

# %% [markdown]
# The second version makes the same decision with `mx.minimum`, which a graph can hold.
#
# **What has not been computed yet.** MLX is lazy, and a graph goes back to where its numbers come from.
# Loading a shipped generator reads half-precision numbers, and their conversion to float32 waits until somebody needs them.
#
# **The next cell exports the same generator before and after evaluating its parameters. Which file is larger?**

# %% tags=["nbval-check-output"]
fresh = export.stock(mlxgan.load_pretrained(MODEL).generator)
mx.export_function(f"{folder}/lazy.mlxfn", fresh, z, label)
mx.eval(fresh.parameters())
mx.export_function(f"{folder}/evaluated.mlxfn", fresh, z, label)
for name in ("lazy", "evaluated"):
    size = (folder / f"{name}.mlxfn").stat().st_size
    print(f"{name}: {size / 1e6:.2f} MB")

# %% [markdown]
# :::{dropdown} Answer
# The second one, and it is twice as large.
# :::
#
# The first file holds the half-precision numbers and the instruction to convert them, which is then carried out in every call.
# It is half as large, and Exercise 3 asks what that costs.
# If you do not want to pay for it, evaluate the parameters first, as we did above.
#
# **The device.** Finally, each operation in the file says on which kind of device it runs.
# Exporting on a CPU and importing on a GPU is not meant to work, as [MLX's developers](https://github.com/ml-explore/mlx/pull/3127) say, so a recording made on a CPU stays on the CPU.
# If you want your digits from the GPU of a Mac or a phone, export on a Mac.
#
# ## Any number of images?
#
# So far, our function draws one image at a time.
# MLX can also record without fixing the shapes, with `shapeless=True`, which [its documentation](https://ml-explore.github.io/mlx/build/html/usage/export.html) asks us to use carefully.
# To see why, we record a single linear layer with one number of rows and call it with another, once as `nn.Linear` and once written out by hand.
# Just before the call, we fill some memory with sevens and give it back.
# Each experiment runs in its own process, and you will see why.

# %%
experiment = """
import sys
import mlx.core as mx
import mlx.nn as nn

file, way = sys.argv[1:3]
recorded, called = map(int, sys.argv[3:])
layer = nn.Linear(100, 20)
mx.eval(layer.parameters())

def by_hand(x):
    return x @ layer.weight.T + layer.bias

function = layer if way == "nn.Linear" else by_hand
example = mx.ones((recorded, 100))
mx.export_function(file, function, example, shapeless=True)

sevens = [mx.full((called, 20), 7.0) for _ in range(50)]
mx.eval(sevens)
del sevens  # their memory is free again

x = mx.ones((called, 100))
errors = mx.abs(mx.import_function(file)(x)[0] - layer(x)).max(axis=1)
print("errors of the rows", *[f"{error:.1f}" for error in errors.tolist()])
"""


def outcome(*arguments):
    command = [
        sys.executable,
        "-c",
        experiment,
        f"{folder}/shapeless.mlxfn",
    ]
    command += [str(argument) for argument in arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        return f"the process died (status {result.returncode})"
    return result.stdout.strip()


for way in ("nn.Linear", "by hand"):
    for recorded_with, called_with in ((2, 2), (2, 5), (5, 2)):
        said = outcome(way, recorded_with, called_with)
        print(f"{way}, {recorded_with} rows, then {called_with}: {said}")

# %% [markdown]
# No call was refused, and yet `nn.Linear` is right only if the number of rows stays the same.
# With more rows, the additional ones are wrong by about seven, because they contain what our sevens left in memory.
# With fewer, the whole process dies.
# The cause is `AddMM`, which multiplies and adds in one operation and needs the bias repeated for each row of the batch.
# The recording keeps the number of repetitions, so MLX 0.32.4 fills two of five rows and leaves the rest as it was, or fills five where there is room for two.
# The layer written out by hand leaves the repeating to the addition and is right in all three cases.
#
# So shapeless recordings are possible, but each layer has to be checked, because a mistake may raise no error.
# `AddMM` is not the only trap: MLX's tracker has a report of [sums that repeat the first call's result](https://github.com/ml-explore/mlx/issues/3201).
# We prefer the safe way and record several calls into one file with `mx.exporter`.

# %% tags=["nbval-check-output"]
generator = export.stock(mlxgan.load_pretrained(MODEL).generator)
mx.eval(generator.parameters())
several = folder / "several.mlxfn"
with mx.exporter(str(several), generator) as exporter:
    for n in (1, 10, 100):
        exporter(mx.zeros((n, 100)), mx.arange(n) % 10)
print(f"{several.stat().st_size / 1e6:.2f} MB")

# %% [markdown]
# Three graphs take hardly more space than one, because the weights are stored only once, and any other batch size is still refused.
# The package does the same: the command
#
# ```bash
# python -m mlxgan export --model best --out FOLDER
# ```
#
# calls the function of the next cell, which writes such a file and leaves a referee behind by itself:

# %% tags=["nbval-check-output"]
for name in export.write(folder, mlxgan.load_pretrained(MODEL)):
    print(name)
example = mx.load(f"{folder}/example.safetensors")
for name in ("z", "labels", "images"):
    print(f"{name}: {example[name].dtype}, {example[name].shape}")

# %% [markdown]
# The second file is a test for the other end: it holds ten inputs, one for each digit, and the images that Python makes of them.
# Wherever you import the function, first run it on these inputs and compare.
#
# ## A program in C++
#
# C++ is close at hand, because `mlx.core` is only a thin layer of Python over a C++ library.
# `pip` has installed this library with its header files and a description for CMake, so we can build against it at once.
# Here is the heart of `tools/cpp/digits.cpp`.

# %% tags=["hide-input"]
source = (mlxgan.ROOT / "tools/cpp/digits.cpp").read_text(encoding="utf-8")
start = source.index("  auto generator = ")
end = source.index("  std::vector<double> times")
Markdown(f"```cpp\n{source[start:end]}```")

# %% [markdown]
# The functions have the same names as in Python, and because C++ is just as lazy, we have to call `eval` here as well.
# (`argv` holds the words of the command line, and `load_safetensors` returns the arrays of a file as the `first` of a pair.)
#
# To build the program, CMake has to find MLX, so `tools/cpp/CMakeLists.txt` asks Python where it is (`python -m mlx --cmake-dir`).

# %%
build = folder / "build"
program = build / "digits"
if shutil.which("cmake") and shutil.which("c++"):
    python = f"-DPython_EXECUTABLE={sys.executable}"
    for command in (
        ["cmake", "-S", mlxgan.ROOT / "tools/cpp", "-B", build, python],
        ["cmake", "--build", build],
    ):
        subprocess.run(command, check=True, capture_output=True)
    print(f"built: {program.stat().st_size:,} bytes")
else:
    print("CMake or a C++ compiler is missing, so nothing is built.")

# %%
function = folder / "generator.mlxfn"
inputs = folder / "example.safetensors"
images = {"Python": np.array(example["images"])}
repeats = "20"
if program.exists():
    command = [program, function, inputs, folder / "cpp", repeats]
    result = subprocess.run(command, capture_output=True, text=True)
    print(result.stdout + result.stderr, end="")
    images["C++"] = np.load(folder / "cpp.npy")
else:
    print("There is no program to run.")

# %% [markdown]
# Then we let the page's JavaScript draw the same ten digits.
# It needs no browser for that, because a small script, `tools/draw_in_node.js`, runs it in Node.js.

# %%
if shutil.which("node"):
    script = mlxgan.ROOT / "tools/draw_in_node.js"
    command = ["node", script, inputs, folder / "page.f32", repeats]
    result = subprocess.run(command, capture_output=True, text=True)
    print(result.stdout + result.stderr, end="")
    pixels = np.fromfile(folder / "page.f32", np.float32)
    images["JavaScript"] = pixels.reshape(-1, 28, 28, 1)
else:
    print("Node.js is missing, so there is no row for JavaScript.")

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The same noise and the same labels, drawn in three languages. In each row the ten digits come from the same ten vectors z.", "name": "fig-17-three"}, "image": {"alt": "Three rows of the digits 0 to 9 in dark ink on white, named Python, C++ and JavaScript. The rows cannot be told apart."}}
figure, panels = plt.subplots(
    len(images), 1, figsize=(6.4, 0.7 * len(images)), squeeze=False
)
for axes, (language, row) in zip(
    panels[:, 0], images.items(), strict=True
):
    axes.imshow(
        plots.tile(mx.array(row), 10), cmap="gray", vmin=0, vmax=255
    )
    axes.set_ylabel(
        language, rotation=0, ha="right", va="center", fontsize=9
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.grid(False)
plt.show()

# %%
for language, row in images.items():
    levels = np.abs(row - images["Python"]).max() * 127.5
    print(f"{language}: {levels:.5f} of 255 levels at most")

# %% [markdown]
# No eye can tell the three rows apart.
# C++ and Python differ by less than a thousandth of a gray level, because they add the same numbers in a different order.
# Python drew with our fast layers and the library OpenBLAS, whereas the program uses MLX's own layers and the slower library that comes with MLX.
# JavaScript differs more, by 0.88 of 255 levels, but on purpose: the page's weights are rounded to fewer bits, so that the page loads faster.
#
# The program can also draw its own noise, because `mx::random::normal` with `mx::random::key(7)` is the same function of the same key as in Python.

# %%
if program.exists():
    seed = 7
    command = [program, function, inputs, folder / "own", "1", str(seed)]
    subprocess.run(command, check=True, capture_output=True)
    own = mx.random.normal((10, 100), key=mx.random.key(seed))
    noise_change = np.abs(np.load(folder / "own-z.npy") - np.array(own))
    expected = np.array(generator(own, example["labels"]))
    change = np.abs(np.load(folder / "own.npy") - expected)
    print(f"largest difference of the noise: {noise_change.max():g}")
    print(f"largest difference of a pixel: {change.max():.6f}")
else:
    print("There is no program to run.")

# %% [markdown]
# The noise is the same to the last bit, so a seed that you liked in Python keeps its digits in C++.
# The pixels differ by two millionths, again because of the order of additions.
#
# ## Is it faster?
#
# Many people expect a program in C++ to be faster than Python.
#
# **Before you look: by how much, if both call the same library?**

# %%
stored = json.loads((mlxgan.ROOT / "book/data/export.json").read_bytes())
lines = ["| | one image per call | 100 images per call |", "|---|---|---|"]
for way, row in stored["milliseconds per image"].items():
    cells = []
    for n in ("1", "100"):
        middle = statistics.median(row[n])
        low, high = min(row[n]), max(row[n])
        cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
    lines.append(f"| {way} | {' | '.join(cells)} |")
print(stored["machine"])
Markdown("\n".join(lines))

# %% [markdown]
# :::{dropdown} Answer
# By hardly anything: *Python, imported* and *C++, OpenBLAS* are within a few percent of each other, with one image per call and with a hundred.
# They run the same recording and differ only in the language, and nearly all of the time passes inside MLX, which is the same machine code for both.
# :::
#
# The table has milliseconds per image: the median of five rounds, with the fastest and the slowest in parentheses.
# The first two rows are the generator with our fast layers, as it is and with `mx.compile`; all other rows but the last run the recording.
#
# The language hardly matters, but other differences do.
# With MLX's own convolutions, the recording takes four to five times as long as the generator of the first row with one image per call, and more than 25 times as long with a hundred.
# (On a Mac, this loss should not exist.)
# For the row *C++, OpenBLAS* we told Linux, with `LD_PRELOAD`, to load the OpenBLAS that our package brings.
# Without it, the program takes between a third and a half longer, and even JavaScript, which draws one image after the other on one core, is faster than that.
# Finally, `mx.compile` helps with one image and hurts with a hundred, and we do not know why, so measure what you are going to use.
#
# And how much does each way have to carry along?

# %% tags=["nbval-check-output"]
for name, size in stored["bytes"].items():
    print(f"{size / 1e6:7.2f} MB  {name}")

# %% [markdown]
# The recording is larger than our file of weights, because it holds them in float32 and not in half precision.
# The program itself is tiny, but it needs MLX, which is larger than everything else together, whereas the page needs only its JavaScript and its weights.
#
# ## To an iPhone
#
# MLX also has a Swift version, [mlx-swift](https://github.com/ml-explore/mlx-swift), which runs on iPhones and iPads and has a function that imports the same files.
# We have no iPhone to test on, so *the following has not been run*; the calls are those of its [documentation](https://swiftpackageindex.com/ml-explore/mlx-swift/main/documentation/mlx).
#
# ```swift
# import MLX
#
# let url = Bundle.main.url(forResource: "generator", withExtension: "mlxfn")!
# let generator = try importFunction(from: url)
# let z = MLXRandom.normal([10, 100], key: MLXRandom.key(7))
# let labels = MLXArray((0 ..< 10).map { Int32($0) })
# let images = try generator(z, labels)[0]
# ```
#
# The file should come from a Mac, because a recording made on Linux stays on the CPU.
# It should also come from the version of MLX that mlx-swift contains: the format belongs to [an experimental part of MLX](https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.export_function.html) that may change with any version.
# MLX [does not run in the iOS simulator](https://swiftpackageindex.com/ml-explore/mlx-swift/main/documentation/mlx/running-on-ios), so you need a real device, or an iPad app that runs on your Mac.
#
# If you would rather not depend on this format, write the module again with the layers of `MLXNN`, read the weights with `loadArrays(url:)`, and put them in with `update(parameters:)`.
#
# ## Summary
#
# A generator is code and weights, and a program in another language needs both.
# MLX can record the code as a graph of plain operations and write it to one file with the weights, which other languages run without Python.
# A recording repeats what happened once: shapes, random keys, training mode, Python's decisions, the device, and whatever had not been computed yet.
# So we evaluate the parameters, switch to evaluation mode, pass everything that should vary as an argument, and record one call for each batch size, because a shapeless recording can be wrong and raise no error.
# The same ten vectors gave, up to rounding, the same ten digits in Python, C++, and JavaScript, which anyone can check, because the inputs and the expected images travel with the file.
#
# ## Exercises
#
# ### Exercise 1: Two normalizations that need not be there (derive)
#
# In evaluation mode, batch normalization maps a feature $y$ to $\gamma\,(y - \mu)/\sqrt{\sigma^2 + \varepsilon} + \beta$, with fixed numbers for each channel.
# Before the second and third normalization of our generator there is a linear map, $y = Wx + b$.
# Derive weights $W'$ and a bias $b'$ with which the linear map alone gives the normalized result.
# How many of the recorded operations can disappear?
#
# :::{dropdown} Solution
# Let $s = \gamma/\sqrt{\sigma^2 + \varepsilon}$.
# Then $s\,(Wx + b - \mu) + \beta = (sW)\,x + s\,(b - \mu) + \beta$, so $W' = sW$, each row multiplied by the $s$ of its channel, and $b' = s\,(b - \mu) + \beta$.
# The normalization consists of an addition of $\varepsilon$ and a root, a subtraction, two multiplications, and an addition, and five repetitions (`Broadcast`) prepare their arguments.
# All eleven disappear, so two normalizations save 22 of the 56 operations.
# This is called *folding* ([Jacob et al., 2018](../book/bibliography.md#jacob-et-al-2018), describe it for phones).
# The page's JavaScript goes half of the way: its weights stay, and the rest has become one scale and one shift per channel.
# :::
#
# ### Exercise 2: Fold them (code)
#
# Write the function `fold(layer, norm)`, which changes the layer so that it does the work of the normalization as well.
# Apply it to `expand` with `norm2` and to `up1` with `norm3`, replace the two normalizations by `nn.Identity`, record the result, and count the operations.
# (The outputs of `expand` are 49 pixels of 64 channels, with the channel last, and the weight of a transposed convolution has the output channel first.)
#
# :::{dropdown} Solution
# The first axis of both weights counts the outputs, so one reshape serves both cases.
# `norm1` could be folded in the same way, but between `project` and `norm1` the label's vector is added, which would have to be scaled as well.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
def fold(layer, norm):
    scale = norm.weight / mx.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - scale * norm.running_mean
    repeats = len(layer.bias) // len(scale)
    scale, shift = mx.tile(scale, repeats), mx.tile(shift, repeats)
    flat = layer.weight.reshape(len(scale), -1) * scale[:, None]
    layer.weight = flat.reshape(layer.weight.shape)
    layer.bias = layer.bias * scale + shift


folded = export.stock(mlxgan.load_pretrained(MODEL).generator)
fold(folded.expand, folded.norm2)
fold(folded.up1, folded.norm3)
folded.norm2 = folded.norm3 = nn.Identity()
mx.eval(folded.parameters())
mx.export_function(f"{folder}/folded.mlxfn", folded, z, label)
imported = mx.import_function(f"{folder}/folded.mlxfn")
mx.eval(imported(z, label))  # until then, reading is part of the graph
shorter = imported(z, label)[0]
count = len(operations(shorter))
print(f"{len(operations(recorded))} operations, {count} after folding")
print(f"largest difference {difference(shorter, recorded):.4f}")

# %% [markdown]
# ### Exercise 3: Half the file (change and explain)
#
# Export the generator without evaluating its parameters first, so that the file has half the size.
# Time both files, with one image per call and with a hundred.
# Where does the difference come from, and when would you accept it?
#
# :::{dropdown} Solution
# Every call of the smaller file converts 1.7 million numbers from half precision to float32, no matter how many images it draws.
# In our run this took about two milliseconds, which is almost half of a call that draws one image, but less than the calls that draw a hundred differ among themselves.
# If the file has to travel through the network and is asked for few digits at a time, the smaller one may still be the better choice.
# (In a program that runs for long you could have both: read half precision, convert once, and keep the result.)
# :::

# %% tags=["hide-cell"]
for n in (1, 100):
    noise, classes = mx.zeros((n, 100)), mx.arange(n) % 10
    for name in ("as loaded", "evaluated"):
        fresh = export.stock(mlxgan.load_pretrained(MODEL).generator)
        if name == "evaluated":
            mx.eval(fresh.parameters())
        file = f"{folder}/{name}-{n}.mlxfn"
        mx.export_function(file, fresh, noise, classes)
        imported = mx.import_function(file)
        times = []
        for _ in range(3 if mlxgan.SMOKE else 20):
            begin = time.perf_counter()
            mx.eval(imported(noise, classes))
            times.append(1000 * (time.perf_counter() - begin))
        middle = statistics.median(times)
        low, high = np.quantile(times, [0.25, 0.75])
        print(f"{n:3d} images per call, {name}: {middle:.1f} ms", end=" ")
        print(f"(middle half {low:.1f} to {high:.1f})")

# %% [markdown]
# ### Exercise 4: Any number of images (code)
#
# Make a shapeless recording of the whole generator that is right.
# Replace its linear layers by modules that write the bias out, and test the function with 1, 7 and 64 images.
#
# :::{dropdown} Solution
# A module that is assigned to an attribute takes the place of that part of the generator.
# The other layers pass the test without a change.
# That is a result for this generator and this version of MLX, and another layer may need another repair, so do not ship such a file without the test.
# :::


# %% tags=["hide-cell", "nbval-check-output"]
class WrittenOut(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def __call__(self, x):
        return x @ self.weight.T + self.bias


flexible = export.stock(mlxgan.load_pretrained(MODEL).generator)
flexible.project = WrittenOut(flexible.project)
flexible.expand = WrittenOut(flexible.expand)
mx.eval(flexible.parameters())
two = z10[:2], digits[:2]
name = f"{folder}/flexible.mlxfn"
mx.export_function(name, flexible, *two, shapeless=True)
imported = mx.import_function(name)
for n in (1, 7, 64):
    noise, classes = mx.random.normal((n, 100)), mx.arange(n) % 10
    images = imported(noise, classes)[0]
    error = difference(images, generator(noise, classes))
    print(f"{n:2d} images: largest error {error:.4f}")

# %% [markdown]
# ## Further reading
#
# - MLX's documentation has a chapter on [exporting functions](https://ml-explore.github.io/mlx/build/html/usage/export.html), with a module whose weights are arguments of the exported function, and one on [MLX in C++](https://ml-explore.github.io/mlx/build/html/dev/mlx_in_cpp.html), from which our CMake file takes its lines.
# - [Jacob et al. (2018)](../book/bibliography.md#jacob-et-al-2018) explain how networks are prepared for phones: folding, and integers in place of floating-point numbers.
# - [mlx-swift-examples](https://github.com/ml-explore/mlx-swift-examples) has complete apps for iPhone and Mac, among them one that trains a classifier on MNIST on the phone.
