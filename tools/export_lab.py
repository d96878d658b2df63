"""Write what the page book/lab.md needs, and compute with MLX what its JavaScript must compute.

``python tools/export_lab.py digits`` takes the first 600 training images of each digit, averages them over squares of 2
by 2 pixels, and keeps the inner 12 by 12 of the 14 by 14 pixels at 4 bits each; what lies outside is background in
nearly all images. It writes book/_static/lab/digits.js, a classic script with base64, because a browser loads one from
https:// and from file:// alike.

``python tools/export_lab.py stories`` plays every preset of the lab from several seeds, stores how many clusters the
points cover in book/data/lab.json, and writes the page's table, book/data/lab.md. Then it trains on the digits as
long as a reader may wait, and stores what fraction of the generated ones can be recognized. It needs
Node (18 or newer), takes twenty minutes on two cores, and continues where it was interrupted, unless engine.js is
another one since.

:func:`reference` is for the tests: losses, gradients and weights after some steps of Adam, for given networks, points
and noise.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING, Any

import common
import numpy as np

if TYPE_CHECKING:
    import mlx.core as mx

FOLDER = common.ROOT / "book" / "_static" / "lab"
DATA = common.ROOT / "book" / "data"
DIGITS, TABLE, RAW = FOLDER / "digits.js", DATA / "lab.md", DATA / "lab.json"
EACH, SIDE = 600, 12  # images of each digit, pixels that are kept
HEAD, TAIL = "globalThis.ganLabDigits = ", ";\n"


def shrink(images: np.ndarray) -> np.ndarray:
    """Return uint8 images (N, 28, 28) as levels 0 to 15 of their inner 12 by 12 pixels, (N, 12, 12)."""
    small = images.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    return np.round(small[:, 1:13, 1:13] / 17).astype(np.uint8)


def pack(levels: np.ndarray) -> str:
    """Return levels (N, 12, 12) as the script that lab.js loads."""
    high, low = levels.reshape(-1, 2).T
    text = base64.b64encode((high << 4 | low).tobytes()).decode()
    return HEAD + json.dumps({"count": len(levels), "data": text}) + TAIL


def unpack(script: str) -> np.ndarray:
    """Undo :func:`pack`."""
    packed = np.frombuffer(base64.b64decode(json.loads(script[len(HEAD) : -len(TAIL)])["data"]), np.uint8)
    return np.stack([packed >> 4, packed & 15], axis=1).reshape(-1, SIDE, SIDE)


def digits() -> np.ndarray:
    """Return the levels of the first 600 training images of each digit, the classes in turn."""
    from mlxgan import data

    train = data.load("train")
    images, labels = np.array(train.images)[..., 0], np.array(train.labels)
    chosen = np.stack([np.flatnonzero(labels == digit)[:EACH] for digit in range(10)], axis=1)
    return shrink(images[chosen.reshape(-1)])


# How the stories end

#: The presets, as the table calls them. presets.js says what they are.
PRESETS = {
    "healthy": "Healthy",
    "collapse": "Mode collapse",
    "collapse-cure": "… cured by R1",
    "wins": "Discriminator wins",
    "wins-cure": "… cured by the non-saturating loss",
    "swings": "Oscillation",
    "swings-cure": "… cured by equal rates",
}
SEEDS, STEPS = 8, 2000
#: Steps on digits that fit in 170 seconds on two cores, where one takes 8 to 12 ms beside the drawing, and their seeds.
DIGIT_STEPS, DIGIT_SEEDS, HELD_OUT = 10_000, (1, 2, 3), 1000


def engine_digest() -> str:
    """Return the SHA-256 of engine.js, which the stored runs belong to."""
    return hashlib.sha256((FOLDER / "engine.js").read_bytes()).hexdigest()


def run(preset: str, seed: int, steps: int) -> Any:
    """Return what lab_play.js prints."""
    command = ["node", str(common.ROOT / "tools" / "lab_play.js"), preset, str(seed), str(steps)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def play_stories() -> dict[str, Any]:
    """Return for each preset its settings, its number of parts, and the runs; plays those that RAW lacks."""
    stored = json.loads(RAW.read_text(encoding="utf-8")) if RAW.exists() else {}
    if stored.get("engine") != engine_digest():
        stored = {"engine": engine_digest(), "stories": {}}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for preset in PRESETS:
            runs = stored["stories"].get(preset, {}).get("modes", {})
            missing = [seed for seed in range(1, SEEDS + 1) if str(seed) not in runs]
            for seed, found in zip(missing, pool.map(partial(run, preset, steps=STEPS), missing), strict=True):
                runs[str(seed)] = found.pop("modes")
                stored["stories"][preset] = found | {"modes": runs}
                stored["stories"] = {name: stored["stories"][name] for name in PRESETS if name in stored["stories"]}
                common.write(RAW, dump(stored))
        if "digits" not in stored:
            drawn = pool.map(partial(run, "digits", steps=DIGIT_STEPS), DIGIT_SEEDS)
            stored["digits"] = {"steps": DIGIT_STEPS, "real": recognized(real_digits()[-HELD_OUT:])}
            stored["digits"]["generated"] = [recognized(np.array(images)) for images in drawn]
            common.write(RAW, dump(stored))
    return stored["stories"]


def recognized(images: np.ndarray) -> float:
    """Return the fraction of images (N, 196), 0 to 255, whose five nearest real digits are all of one class.

    Of real digits that are not among those they are compared with, it is the fraction that one can hope for.
    """
    from sklearn.neighbors import KNeighborsClassifier

    judge = KNeighborsClassifier(5).fit(real_digits()[:-HELD_OUT], np.arange(10 * EACH - HELD_OUT) % 10)
    return round(float((judge.predict_proba(images).max(axis=1) == 1).mean()), 3)


def real_digits() -> np.ndarray:
    """Return the page's digits, (6000, 196), 0 to 255, the classes in turn."""
    levels = unpack(DIGITS.read_text(encoding="utf-8"))
    return np.pad(17 * levels, ((0, 0), (1, 1), (1, 1))).reshape(len(levels), -1)


def dump(stored: dict[str, Any]) -> str:
    """Return the stored runs as JSON, one run a line."""
    text = json.dumps(stored, indent=1)
    return re.sub(r"\[[\s\d,.-]*\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]), text) + "\n"


def table(stored: dict[str, Any]) -> str:
    """Return the page's table: how many parts are covered at some steps, from the lowest run to the highest."""
    times = (600, 1200, STEPS)
    lines = ["| story | " + " | ".join(f"after {steps:,} steps" for steps in times) + " |", "|:--" * 4 + "|"]
    for preset, name in PRESETS.items():
        runs, parts = list(stored[preset]["modes"].values()), stored[preset]["parts"]
        cells = [span([run[steps // 100 - 1] for run in runs]) for steps in times]
        lines.append(f"| {name} | " + " | ".join(f"{cell} of {parts}" for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def span(values: list[int]) -> str:
    """Return the lowest, the highest, and in parentheses the median of some whole numbers."""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high} ({median_low(values)})"


# What the page must compute


def layers(network: dict[str, Any], dtype: "mx.Dtype") -> "list[mx.array]":
    """Return weight, bias, weight, bias, ... of a network whose parameters lie as they do in JavaScript."""
    import mlx.core as mx

    values, arrays = np.array(network["values"]), []
    for inputs, outputs in pairwise(network["sizes"]):
        weight, bias, values = np.split(values, [inputs * outputs, (inputs + 1) * outputs])
        arrays += [mx.array(weight.reshape(outputs, inputs), dtype), mx.array(bias, dtype)]
    return arrays


def apply(arrays: "list[mx.array]", x: "mx.array") -> "mx.array":
    """Return the output of linear layers with leaky ReLUs between them, (N, outputs)."""
    import mlx.core as mx

    for weight, bias in zip(arrays[:-2:2], arrays[1:-2:2], strict=True):
        x = x @ weight.T + bias
        x = mx.maximum(x, 0.2 * x)
    return x @ arrays[-2].T + arrays[-1]


def flat(arrays: "list[mx.array]") -> list[float]:
    """Undo :func:`layers`."""
    return np.concatenate([np.array(array).reshape(-1) for array in arrays]).tolist()


def reference(case: dict[str, Any], steps: int, double: bool = False) -> dict[str, Any]:
    """Return losses, gradients, and the weights after ``steps`` steps of Adam, each a move of D and one of G.

    ``case`` holds ``G`` and ``D`` with ``sizes`` and ``values``, ``squash``, ``loss``, ``r1``, ``rate``, the real
    points ``x`` and the noise ``z``, all as plain lists. With ``double`` all is computed in float64, on the CPU: over
    many steps the rounding of float32 carries a unit across the bend of its leaky ReLU now and then, and the game goes
    another way from there.
    """
    import mlx.core as mx

    if double:
        with mx.stream(mx.cpu):
            return play(case, steps, mx.float64)
    return play(case, steps, mx.float32)


def play(case: dict[str, Any], steps: int, dtype: "mx.Dtype") -> dict[str, Any]:
    """Do the work of :func:`reference`."""
    from mlxgan import losses, recipes

    import mlx.core as mx

    loss_d, loss_g = {
        "ns": (losses.discriminator_loss, losses.generator_loss),
        "saturating": (losses.discriminator_loss, losses.saturating_generator_loss),
        "hinge": (losses.hinge_discriminator_loss, losses.wasserstein_generator_loss),
        "wasserstein": (losses.wasserstein_critic_loss, losses.wasserstein_generator_loss),
    }[case["loss"]]
    x, z = mx.array(np.array(case["x"]), dtype), mx.array(np.array(case["z"]), dtype)

    def generate(g: "list[mx.array]", z: "mx.array") -> "mx.array":
        return mx.tanh(apply(g, z)) if case["squash"] else apply(g, z)

    def play_d(d: "list[mx.array]", fake: "mx.array") -> "mx.array":
        def judge(images: "mx.array") -> "mx.array":
            return apply(d, images.reshape(len(images), -1)).squeeze(-1)

        loss = loss_d(judge(x), judge(fake))  # before the penalty: after it, compiled functions have no gradient
        return loss + losses.zero_centered_penalty(judge, x[:, None, None], case["r1"])

    def play_g(g: "list[mx.array]", d: "list[mx.array]") -> "mx.array":
        return loss_g(apply(d, generate(g, z)).squeeze(-1))

    move_d, move_g = mx.value_and_grad(play_d), mx.value_and_grad(play_g)
    g, d = layers(case["G"], dtype), layers(case["D"], dtype)
    value_d, gradient_d = move_d(d, generate(g, z))
    value_g, gradient_g = move_g(g, d)
    found = {
        "loss_d": value_d.item(),
        "gradient_d": flat(gradient_d),
        "loss_g": value_g.item(),
        "gradient_g": flat(gradient_g),
    }
    adam_d, adam_g = recipes.adam(case["rate"]), recipes.adam(case["rate"])
    for adam in (adam_d, adam_g):  # in float32, 1 - 0.999 is off by a few parts in 100,000
        adam.state["step"], adam.state["learning_rate"] = mx.array(0, dtype), mx.array(case["rate"], dtype)
    for _ in range(steps):
        d = adam_d.apply_gradients({"d": move_d(d, generate(g, z))[1]}, {"d": d})["d"]
        g = adam_g.apply_gradients({"g": move_g(g, d)[1]}, {"g": g})["g"]
        mx.eval(d, g, adam_d.state, adam_g.state)
    return found | {"D": flat(d), "G": flat(g)}


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("what", choices=("digits", "stories"))
    if parser.parse_args().what == "digits":
        parser.require_mnist()
        common.write(DIGITS, pack(digits()))
    elif shutil.which("node"):
        common.write(TABLE, table(play_stories()))
    else:
        parser.error("there is no node, which plays the stories: see https://nodejs.org")


if __name__ == "__main__":
    main()
