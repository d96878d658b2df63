"""Write the digits that the page book/lab.md trains on, and compute with MLX what its JavaScript must compute.

``python tools/export_lab.py`` takes the first 600 training images of each digit, averages them over squares of 2 by 2
pixels, and keeps the inner 12 by 12 of the 14 by 14 pixels at 4 bits each; what lies outside is background in nearly
all images. It writes book/_static/lab/digits.js, a classic script with base64, because a browser loads one from
https:// and from file:// alike.

:func:`reference` is for the tests: losses, gradients and weights after some steps of Adam, for given networks, points
and noise.
"""

import base64
import json
from typing import TYPE_CHECKING, Any

import common
import numpy as np

if TYPE_CHECKING:
    import mlx.core as mx
    import mlx.nn as nn

OUT = common.ROOT / "book" / "_static" / "lab" / "digits.js"
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


# What the page must compute


def networks(case: dict[str, Any]) -> "tuple[nn.Module, nn.Module]":
    """Return generator and discriminator with the weights of a case, as their parameters lie in JavaScript."""
    import mlx.core as mx
    import mlx.nn as nn

    made = []
    for name in ("G", "D"):
        sizes, values, layers = case[name]["sizes"], np.array(case[name]["values"], np.float32), []
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            layer = nn.Linear(inputs, outputs)
            weight, bias, values = np.split(values, [inputs * outputs, (inputs + 1) * outputs])
            layer.update({"weight": mx.array(weight.reshape(outputs, inputs)), "bias": mx.array(bias)})
            layers += [layer, nn.LeakyReLU(0.2)]
        layers[-1] = nn.Tanh() if case["squash"] and name == "G" else nn.Identity()
        made.append(nn.Sequential(*layers))
    return made[0], made[1]


def flat(tree: dict[str, Any]) -> list[float]:
    """Return parameters or gradients of :func:`networks` in the order that they have in JavaScript."""
    layers = [layer for layer in tree["layers"] if layer]
    return np.concatenate([np.array(layer[key]).reshape(-1) for layer in layers for key in ("weight", "bias")]).tolist()


def reference(case: dict[str, Any], steps: int = 20) -> dict[str, Any]:
    """Return losses, gradients, and the weights after ``steps`` steps of Adam, each a move of D and one of G.

    ``case`` holds ``G`` and ``D`` with ``sizes`` and ``values``, ``squash``, ``loss``, ``r1``, ``rate``, the real
    points ``x`` and the noise ``z``, all as plain lists.
    """
    from mlxgan import losses, recipes

    import mlx.core as mx
    import mlx.nn as nn

    loss_d, loss_g = {
        "ns": (losses.discriminator_loss, losses.generator_loss),
        "saturating": (losses.discriminator_loss, losses.saturating_generator_loss),
        "hinge": (losses.hinge_discriminator_loss, losses.wasserstein_generator_loss),
        "wasserstein": (losses.wasserstein_critic_loss, losses.wasserstein_generator_loss),
    }[case["loss"]]
    generator, discriminator = networks(case)
    x, z = mx.array(np.array(case["x"], np.float32)), mx.array(np.array(case["z"], np.float32))

    def judge(images: "mx.array") -> "mx.array":
        return discriminator(images.reshape(len(images), -1)).squeeze(-1)

    def play_d(fake: "mx.array") -> "mx.array":
        penalty = losses.zero_centered_penalty(judge, x[:, None, None], case["r1"])
        return loss_d(judge(x), judge(fake)) + penalty

    grad_d = nn.value_and_grad(discriminator, play_d)
    grad_g = nn.value_and_grad(generator, lambda z: loss_g(judge(generator(z))))
    value_d, gradient_d = grad_d(generator(z))
    value_g, gradient_g = grad_g(z)
    found = {
        "loss_d": value_d.item(),
        "gradient_d": flat(gradient_d),
        "loss_g": value_g.item(),
        "gradient_g": flat(gradient_g),
    }
    optimizer_d, optimizer_g = recipes.adam(case["rate"]), recipes.adam(case["rate"])
    for _ in range(steps):
        optimizer_d.update(discriminator, grad_d(generator(z))[1])
        optimizer_g.update(generator, grad_g(z)[1])
        mx.eval(discriminator.state, generator.state, optimizer_d.state, optimizer_g.state)
    return found | {"D": flat(discriminator.parameters()), "G": flat(generator.parameters())}


def main() -> None:
    parser = common.Parser(__doc__)
    parser.parse_args()
    parser.require_mnist()
    common.write(OUT, pack(digits()))


if __name__ == "__main__":
    main()
