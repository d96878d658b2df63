"""Write the conditional generator in the form that the page book/generator.md runs in the reader's browser.

``python tools/export_generator.py`` reads the shipped model, the discriminator of tools/opinion.py, and
runs/conditional/epochs.npz, which the chapter on choosing the digit leaves behind. It writes to
book/_static/generator/:

- weights-0.js, weights-1.js, ...: parts of the weights in base64, and weights.js, which says how to read them. They
  are classic scripts, because a browser loads these from https:// and from file:// alike, and fetches nothing from
  file://. They are several, because a page sees how many have come, but not how much of one. They are kept in git,
  because epochs.npz is not, and another processor would round some weights the other way
- manifest.json, the same as weights.js, and measured.md and opinion.md, which put its numbers in the page's text
- samples.png, shown if JavaScript is off
- epochs.png, fixed noise through the training: one row per epoch, one column per digit

Every array is a matrix of whole numbers with a scale for each row. Nine tenths of all weights are in the layer
``expand``, kept in 9 bits by the method of GPTQ (Frantar et al., 2023): columns are rounded one by one, and the
columns still to be rounded compensate for each error as far as the covariance of the hidden layer allows. The others
are small enough for 12 and 16 bits.
"""

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import common
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from mlxgan.models import ConditionalGenerator as Generator
    from mlxgan.models import DCGANDiscriminator as Discriminator

OUT = common.ROOT / "book" / "_static" / "generator"
MODEL = common.ROOT / "src" / "mlxgan" / "pretrained" / f"{common.GENERATOR}.safetensors"
LAYERS = {"project": 12, "expand": 9, "up1": 12, "up2": 12}  # bits of a weight; a ReLU follows each but the last
OPINION = {
    "down1": 8,
    "down2": 8,
    "shrink": 8,
    "out": 8,
}  # of the discriminator; a leaky ReLU after each but the last
DIRECTIONS, SAMPLES, PARTS = 6, 1000, 8
#: What a direction may be seen to change, and what to call its two ends.
TRAITS = {
    "Slant": ("leans left", "leans right"),
    "Stroke": ("thin", "thick"),
    "Width": ("narrow", "wide"),
    "Height": ("low", "tall"),
}


def noise(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noise, float32 (n, 100), and the labels 0 to 9 in turn, (n,)."""
    return np.random.default_rng(seed).standard_normal((n, 100), np.float32), np.arange(n) % 10


def responses(model: "Generator", z: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what each of the three hidden layers gives, and what the ReLU after it gets, channels last.

    The model's layers are called one after another, as models.DCGANGenerator.draw and
    models.ConditionalGenerator do.
    """
    import mlx.core as mx

    def relu(x):
        return mx.maximum(x, 0)

    first = model.project(mx.array(z))
    first_in = model.norm1(first + model.embedding(mx.array(labels)))
    second = model.expand(relu(first_in)).reshape(-1, 7, 7, 2 * model.channels)
    second_in = model.norm2(second)
    third = model.up1(relu(second_in))
    pairs = ((first, first_in), (second, second_in), (third, model.norm3(third)))
    return [(np.array(before, np.float64), np.array(after, np.float64)) for before, after in pairs]


def tables(model: "Generator") -> list[np.ndarray]:
    """Return scale and shift of each channel for each class, float32 (2, 10, channels), for each hidden layer.

    Between a layer and its ReLU the model normalizes with fixed statistics and adds the class's vector. That is a
    straight line, which is fitted to the model's responses, so it does not matter where the class comes in.
    """
    z, labels = noise(2, 200)
    found = []
    for before, after in responses(model, z, labels):
        table = []
        for digit in range(10):
            x, y = (part[labels == digit].reshape(-1, part.shape[-1]) for part in (before, after))
            dx = x - x.mean(0)
            scale = (dx * (y - y.mean(0))).sum(0) / np.maximum((dx * dx).sum(0), 1e-12)
            table.append((scale, y.mean(0) - scale * x.mean(0)))
        found.append(np.array(table, np.float32).swapaxes(0, 1))
    return found


def rounded(weight: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a matrix as whole numbers of ``bits`` bits, and the scale of each row, (rows, 1)."""
    scale = np.maximum(np.abs(weight).max(1, keepdims=True) / (2 ** (bits - 1) - 1), 1e-12).astype(np.float32)
    return np.rint(weight / scale).astype(np.int32), scale


def compensated(weight: np.ndarray, covariance: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Like :func:`rounded`, but later columns compensate for each column's error, for inputs of this covariance."""
    top, scale = 2 ** (bits - 1) - 1, rounded(weight, bits)[1]
    order = np.argsort(-np.diag(covariance), kind="stable")
    damped = covariance[np.ix_(order, order)] + 0.001 * np.diag(covariance).mean() * np.eye(len(order))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T
    left, codes = weight[:, order].astype(np.float64), np.empty(weight.shape, np.int32)
    for j, column in enumerate(order):
        codes[:, column] = np.clip(np.rint(left[:, j] / scale[:, 0]), -top, top)
        error = (left[:, j] - codes[:, column] * scale[:, 0]) / factor[j, j]
        left[:, j + 1 :] -= np.outer(error, factor[j, j + 1 :])
    return codes, scale


def pack(codes: np.ndarray, scale: np.ndarray, bits: int) -> bytes:
    """Return the scales in float32, the upper 8 bits of each code, then its lower bits, 8 codes per byte."""
    flat = codes.reshape(-1)
    planes = [np.packbits(flat >> bit & 1, bitorder="little").tobytes() for bit in reversed(range(bits - 8))]
    return b"".join([scale.astype("<f4").tobytes(), (flat >> bits - 8).astype(np.int8).tobytes(), *planes])


def unpack(data: bytes, rows: int, columns: int, bits: int, offset: int) -> np.ndarray:
    """Return the float32 matrix (rows, columns) that :func:`pack` wrote, which starts at ``offset``."""
    scale = np.frombuffer(data, "<f4", rows, offset)[:, None]
    n, start = rows * columns, offset + 4 * rows
    codes = np.frombuffer(data, np.int8, n, start).astype(np.int32)
    for plane in range(bits - 8):
        packed = np.frombuffer(data, np.uint8, -(-n // 8), start + n + plane * -(-n // 8))
        codes = 2 * codes + np.unpackbits(packed, bitorder="little")[:n]
    return codes.reshape(rows, columns).astype(np.float32) * scale


def directions(model: "Generator") -> np.ndarray:
    """Return orthonormal directions in the noise, (6, 100): the principal axes of the second hidden layer's response.

    After GANSpace (Haerkoenen et al., 2020): the response within a class is regressed on the noise, and the
    regression's singular vectors are the directions that change it most.
    """
    z, labels = noise(3, 2000)
    response = np.maximum(responses(model, z, labels)[1][1], 0).reshape(len(z), -1)
    dz, dr = z.astype(np.float64), response
    for digit in range(10):
        dz[labels == digit] -= dz[labels == digit].mean(0)
        dr[labels == digit] -= dr[labels == digit].mean(0)
    slope = np.linalg.solve(dz.T @ dz, dz.T @ dr)
    return np.linalg.eigh(slope @ slope.T)[1].T[::-1][:DIRECTIONS]


def draw(model: "Generator", z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return images as levels from 0 to 255, not rounded, (n, 28, 28)."""
    from mlxgan import training

    import mlx.core as mx

    images = training.sample(model, mx.array(z.astype(np.float32)), mx.array(labels))
    return (np.array(images, np.float64)[..., 0] + 1) * 127.5


def traits(images: np.ndarray) -> np.ndarray:
    """Return slant, stroke thickness, width and height of digits (n, 28, 28), from their moments and edges; (n, 4)."""
    ink = images / np.maximum(images.sum((1, 2), keepdims=True), 1)
    y, x = np.mgrid[27:-1:-1, 0:28].astype(np.float64)

    def mean(a, b):
        return (ink * a * b).sum((1, 2))

    mx_, my = mean(x, 1), mean(y, 1)
    xx, yy, xy = mean(x, x) - mx_**2, mean(y, y) - my**2, mean(x, y) - mx_ * my
    edges = sum(np.abs(np.diff(images, axis=axis)).sum((1, 2)) for axis in (1, 2))
    return np.stack([xy / yy, images.sum((1, 2)) / edges, np.sqrt(xx - xy**2 / yy), np.sqrt(yy)], 1)


def named(model: "Generator", axes: np.ndarray) -> tuple[np.ndarray, list[dict]]:
    """Return the directions, each turned so that its trait grows, and their names.

    A direction is named after a trait if a walk from -2 to 2 changes that trait by more than 1.5 standard deviations
    of the trait within a class, and no other trait two thirds as much. Two with the same name are numbered.
    """
    z, labels = noise(4, 1000)
    plain = traits(draw(model, z, labels))
    spread = np.sqrt(np.mean([plain[labels == digit].var(0) for digit in range(10)], axis=0))
    found: list[dict] = []
    axes = axes.copy()
    for k, axis in enumerate(axes):
        rest = z - np.outer(z @ axis, axis)
        moved = [traits(draw(model, rest + step * axis, labels)).mean(0) for step in (-2, 2)]
        effect = (moved[1] - moved[0]) / spread
        first, second = np.argsort(-np.abs(effect))[:2]
        if effect[first] < 0:
            axes[k], effect = -axis, -effect
        about: dict = {"name": f"Direction {k + 1}", "ends": ["", ""]}
        if effect[first] > 1.5 and abs(effect[second]) < effect[first] * 2 / 3:
            name = list(TRAITS)[first]
            count = sum(other["name"].startswith(name) for other in found)
            about = {"name": f"{name} {count + 1}" if count else name, "ends": list(TRAITS[name])}
        found.append(about | {"effect": dict(zip(map(str.lower, TRAITS), effect.round(2).tolist(), strict=True))})
    return axes, found


def export(path: Path = MODEL, epochs: np.ndarray | None = None) -> dict[str, bytes]:
    """Return all files by their names, for the conditional generator at ``path`` and the ``images`` of epochs.npz.

    Raises ValueError if there is no conditional generator at ``path``.
    """
    from mlxgan import plots

    import mlx.core as mx

    model = load(path)
    z, labels = noise(0, 4000)
    hidden = np.maximum(responses(model, z, labels)[0][1], 0)
    mean = hidden.mean(0)
    covariance = (hidden - mean).T @ (hidden - mean) / len(hidden)
    arrays: dict[str, tuple[np.ndarray, np.ndarray, int]] = {}
    for name, bits in LAYERS.items():
        weight, bias = (np.array(model[name][part], np.float64) for part in ("weight", "bias"))
        weight = weight.reshape(len(weight), -1)
        codes, scale = compensated(weight, covariance, bits) if name == "expand" else rounded(weight, bits)
        if name == "expand":
            bias = bias + (weight - codes * scale) @ mean
        arrays[name] = codes, scale, bits
        arrays[name + " bias"] = *rounded(bias[None], 16), 16
    for k, table in enumerate(tables(model), 1):
        arrays[f"scale {k}"], arrays[f"shift {k}"] = ((*rounded(part, 16), 16) for part in table)
    axes, found = named(model, directions(model))
    arrays["directions"] = *rounded(axes, 16), 16
    discriminator, notes = opinion()
    for name, bits in OPINION.items():
        weight, bias = (np.array(discriminator[name][part], np.float64) for part in ("weight", "bias"))
        arrays[name] = *rounded(weight.reshape(len(weight), -1), bits), bits
        arrays[name + " bias"] = *rounded(bias[None], 16), 16

    data = b""
    layout: dict[str, list[int]] = {}
    for name, (codes, scale, bits) in arrays.items():
        layout[name] = [*codes.shape, bits, len(data)]
        data += pack(codes, scale, bits)
    z, labels = noise(1, SAMPLES)
    error = np.abs(draw(restored(path, layout, data), z, labels) - draw(model, z, labels))
    manifest = {
        "model": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": len(data),
        "parameters": sum(
            np.prod(codes.shape).item() for name, (codes, *_) in arrays.items() if name.split()[0] in LAYERS
        ),
        "samples": SAMPLES,
        "error": {
            "mean": round(error.mean().item(), 4),
            "percentile 99": round(np.percentile(error, 99).item(), 3),
            "max": round(error.max().item(), 3),
        },
        "directions": found,
        "right": {kind: float(notes[kind]) for kind in ("real", "generated")},
        "epochs": 0 if epochs is None else len(epochs) - 1,
        "arrays": layout,
        "parts": PARTS,
        "checksum": zlib.adler32(data),
    }
    files = scripts(manifest, data)
    files |= {"measured.md": measured(manifest).encode(), "opinion.md": judged(manifest).encode()}
    levels = draw(model, *noise(5, 60)).round().clip(0, 255).astype(np.uint8)
    files["samples.png"] = common.png(Image.fromarray(plots.tile(mx.array(levels[..., None]), 10)))
    if epochs is not None:
        ink = Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in epochs]))
        black = Image.new("L", ink.size)
        files["epochs.png"] = common.png(Image.merge("LA", (black, ink)))  # the levels are the opacity of black
    return files


def scripts(manifest: dict, data: bytes) -> dict[str, bytes]:
    """Return the manifest as a file and as a script, and the scripts with the parts of the weights."""
    size = 3 * -(-len(data) // (3 * PARTS))  # base64 takes three bytes at a time
    texts = [base64.b64encode(data[size * part : size * (part + 1)]).decode() for part in range(PARTS)]
    return {
        "manifest.json": (json.dumps(manifest, indent=1) + "\n").encode(),
        "weights.js": f"globalThis.mlxganWeights = {json.dumps(manifest)};\n".encode(),
        **{f"weights-{k}.js": f'globalThis.mlxganParts[{k}] = "{text}";\n'.encode() for k, text in enumerate(texts)},
    }


def load(path: Path) -> "Generator":
    """Return the conditional generator at ``path``. Raises ValueError if there is none."""
    from mlxgan import checkpoints, models

    model = checkpoints.load(path)
    if not isinstance(model, models.ConditionalGenerator):
        raise ValueError(f"{path}: a {type(model).__name__}, not a ConditionalGenerator")
    return model


def opinion() -> tuple["Discriminator", dict[str, str]]:
    """Return the discriminator of tools/opinion.py, and the notes in its file."""
    from mlxgan import checkpoints

    path = common.ROOT / "book" / "data" / "opinion.safetensors"
    return checkpoints.load(path), checkpoints.read(path)[1]  # type: ignore[return-value]


def restored(path: Path, layout: dict[str, list[int]], data: bytes) -> "Generator":
    """Return the model at ``path`` with the weights that the exported data give its layers."""
    import mlx.core as mx

    model = load(path)
    for name in LAYERS:
        for part in ("weight", "bias"):
            array = unpack(data, *layout[name if part == "weight" else f"{name} bias"])
            model[name][part] = mx.array(array.reshape(model[name][part].shape))
    return model


def measured(manifest: dict) -> str:
    """Return what the text of the page says about the export."""
    error, samples = manifest["error"], manifest["samples"]
    lines = [
        f"The generator has {manifest['parameters']:,} weights. In MLX they are float32; for the page they are rounded",
        f"to 9 bits in the largest layer and to 12 or 16 in the others, {manifest['bytes'] / 1e6:.2f} MB in all.",
        f"That costs little: over {samples:,} samples, {samples // 10} of each digit, a pixel differs from that of the",
        f"shipped model by {error['mean']:.3f} of 255 levels on average, by less than {error['percentile 99']:.2f} in",
        f"99 of 100 pixels, and by {error['max']:.1f} at most.",
    ]
    return "\n".join(lines) + "\n"


def judged(manifest: dict) -> str:
    """Return what the text of the page says about the discriminator."""
    real, generated = (f"{100 * manifest['right'][kind]:.1f}%" for kind in ("real", "generated"))
    return f"It is right about {real} of MNIST's 10,000 test images and about {generated} of 10,000 new samples.\n"


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument(
        "--model", type=common.existing_file, default=MODEL, help="a conditional generator, .safetensors"
    )
    parser.add_argument(
        "--epochs",
        type=common.existing_file,
        default=common.EPOCHS,
        help=".npz with uint8 'images' (epochs + 1, 10, 28, 28)",
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the files")
    options = parser.parse_args()
    epochs = parser.read_epochs(options.epochs)
    try:  # before the work
        common.require_writable(options.out)
        load(options.model)
    except (ValueError, OSError) as error:
        parser.error(error)
    for name, content in export(options.model, epochs).items():
        common.write(options.out / name, content)


if __name__ == "__main__":
    main()
