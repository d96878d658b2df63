"""Write the conditional generator in the form that the page book/generator.md runs in the reader's browser.

``python tools/export_generator.py`` reads the shipped model, and runs/conditional/epochs.npz where chapter 10 has
left it, and writes to book/_static/generator/:

- weights.js, the weights in base64 and what is needed to read them: a classic script, for a browser loads that from
  https:// and from file:// alike, and fetches nothing from file://
- manifest.json, the same without the weights, and measured.md, which says its figures in the page's text
- samples.png, shown where JavaScript is off
- epochs.png, fixed noise through the training: a row an epoch, a column a digit

Every array is a matrix of whole numbers with a scale for each row. Nine tenths of all weights are in the layer
``expand``, kept in 9 bits by the method of GPTQ (Frantar et al., 2023): column by column, and the error of each
rounding is made good by the columns that are still to be rounded, as far as the covariance of the hidden layer
allows. The others are small enough for 12 and 16 bits.
"""

from mlxgan import checkpoints, models, plots, training

import argparse
import base64
import hashlib
import io
import json
from pathlib import Path
from unittest import mock

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
OUT = ROOT / "book" / "_static" / "generator"
MODEL = checkpoints.PRETRAINED / "conditional.safetensors"
EPOCHS = ROOT / "runs" / "conditional" / "epochs.npz"
LAYERS = {"project": 12, "expand": 9, "up1": 12, "up2": 12}  # bits of a weight; a ReLU follows each but the last
DIRECTIONS, SAMPLES = 6, 1000
#: What a direction may be seen to change, and what to call its two ends.
TRAITS = {
    "Slant": ("leans left", "leans right"),
    "Stroke": ("thin", "thick"),
    "Width": ("narrow", "wide"),
    "Height": ("low", "tall"),
}


def noise(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, float32 (n, 100), and the labels 0 to 9 in turn, (n,)."""
    return np.random.default_rng(seed).standard_normal((n, 100), np.float32), np.arange(n) % 10


def responses(model: nn.Module, z: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of the three hidden layers what the layer gives, and what the ReLU after it gets, channels last."""
    outputs: list[mx.array] = []
    inputs: list[mx.array] = []

    def listen(layer):
        return lambda x: outputs.append(layer(x)) or outputs[-1]

    def relu(x):
        inputs.append(x)
        return mx.maximum(x, 0)

    layers = {name: model[name] for name in list(LAYERS)[:3]}
    try:
        for name, layer in layers.items():
            setattr(model, name, listen(layer))
        with mock.patch.object(models.nn, "relu", relu):
            model(mx.array(z), mx.array(labels))
    finally:
        for name, layer in layers.items():
            setattr(model, name, layer)
    return [
        (np.array(before, np.float64).reshape(after.shape), np.array(after, np.float64))
        for before, after in zip(outputs, inputs, strict=True)
    ]


def tables(model: nn.Module) -> list[np.ndarray]:
    """Scale and shift of each channel for each class, float32 (2, 10, channels), for each hidden layer.

    Between a layer and its ReLU the model normalises with fixed statistics and adds what belongs to the class: a
    straight line, which is read off the model's responses, so that it does not matter where the class comes in.
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
    """A matrix as whole numbers of so many bits, and the scale of each row (rows, 1)."""
    scale = np.maximum(np.abs(weight).max(1, keepdims=True) / (2 ** (bits - 1) - 1), 1e-12).astype(np.float32)
    return np.rint(weight / scale).astype(np.int32), scale


def compensated(weight: np.ndarray, covariance: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`rounded`, but each column's error is made good by later ones, for inputs of this covariance."""
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
    """The scales in float32, the upper 8 bits of each code, then its lower bits, a plane each, 8 codes a byte."""
    flat = codes.reshape(-1)
    planes = [np.packbits(flat >> bit & 1, bitorder="little").tobytes() for bit in reversed(range(bits - 8))]
    return b"".join([scale.astype("<f4").tobytes(), (flat >> bits - 8).astype(np.int8).tobytes(), *planes])


def unpack(data: bytes, rows: int, columns: int, bits: int, offset: int) -> np.ndarray:
    """The float32 matrix (rows, columns) that :func:`pack` has put at ``offset``."""
    scale = np.frombuffer(data, "<f4", rows, offset)[:, None]
    n, start = rows * columns, offset + 4 * rows
    codes = np.frombuffer(data, np.int8, n, start).astype(np.int32)
    for plane in range(bits - 8):
        packed = np.frombuffer(data, np.uint8, -(-n // 8), start + n + plane * -(-n // 8))
        codes = 2 * codes + np.unpackbits(packed, bitorder="little")[:n]
    return codes.reshape(rows, columns).astype(np.float32) * scale


def directions(model: nn.Module) -> np.ndarray:
    """Orthonormal directions in the noise, (6, 100): the principal axes of the second hidden layer's response.

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


def draw(model: nn.Module, z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Images as levels from 0 to 255, not rounded, (n, 28, 28)."""
    images = training.sample(model, mx.array(z.astype(np.float32)), mx.array(labels))
    return (np.array(images, np.float64)[..., 0] + 1) * 127.5


def traits(images: np.ndarray) -> np.ndarray:
    """Slant, thickness of the stroke, width and height of digits (n, 28, 28), from their moments and edges; (n, 4)."""
    ink = images / np.maximum(images.sum((1, 2), keepdims=True), 1)
    y, x = np.mgrid[27:-1:-1, 0:28].astype(np.float64)

    def mean(a, b):
        return (ink * a * b).sum((1, 2))

    mx_, my = mean(x, 1), mean(y, 1)
    xx, yy, xy = mean(x, x) - mx_**2, mean(y, y) - my**2, mean(x, y) - mx_ * my
    edges = sum(np.abs(np.diff(images, axis=axis)).sum((1, 2)) for axis in (1, 2))
    return np.stack([xy / yy, images.sum((1, 2)) / edges, np.sqrt(xx - xy**2 / yy), np.sqrt(yy)], 1)


def named(model: nn.Module, axes: np.ndarray) -> tuple[np.ndarray, list[dict]]:
    """The directions, each turned so that its trait grows, and their names.

    A direction is called after a trait if a walk from -2 to 2 moves that trait by more than 1.5 standard deviations
    of the trait within a class, and no other trait two thirds as far. Two of one name are numbered.
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
        about = {"name": f"Direction {k + 1}", "ends": ["", ""]}
        if effect[first] > 1.5 and abs(effect[second]) < effect[first] * 2 / 3:
            name = list(TRAITS)[first]
            count = sum(other["name"].startswith(name) for other in found)
            about = {"name": f"{name} {count + 1}" if count else name, "ends": list(TRAITS[name])}
        found.append(about | {"effect": dict(zip(map(str.lower, TRAITS), effect.round(2).tolist(), strict=True))})
    return axes, found


def export(path: Path = MODEL, epochs: np.ndarray | None = None) -> dict[str, bytes]:
    """All files by their names, for the conditional generator at ``path`` and the ``images`` of epochs.npz."""
    model = checkpoints.load(path)
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

    data, layout = b"", {}
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
        "epochs": 0 if epochs is None else len(epochs) - 1,
        "arrays": layout,
    }
    script = {**manifest, "data": base64.b64encode(data).decode()}
    files = {
        "manifest.json": (json.dumps(manifest, indent=1) + "\n").encode(),
        "weights.js": f"globalThis.mlxganWeights = {json.dumps(script)};\n".encode(),
        "measured.md": measured(manifest).encode(),
        "samples.png": png(
            plots.tile(mx.array(draw(model, *noise(5, 60)).round().clip(0, 255).astype(np.uint8)[..., None]), 10)
        ),
    }
    if epochs is not None:
        files["epochs.png"] = png(np.concatenate([np.concatenate(list(row), axis=1) for row in epochs]), ink=True)
    return files


def restored(path: Path, layout: dict[str, list[int]], data: bytes) -> nn.Module:
    """The model at ``path`` with the weights that the exported data give its layers."""
    model = checkpoints.load(path)
    for name in LAYERS:
        for part in ("weight", "bias"):
            array = unpack(data, *layout[name if part == "weight" else f"{name} bias"])
            model[name][part] = mx.array(array.reshape(model[name][part].shape))
    return model


def measured(manifest: dict) -> str:
    """What the page says in its text of the export."""
    error, samples = manifest["error"], manifest["samples"]
    lines = [
        f"The generator has {manifest['parameters']:,} weights. In MLX they are float32; for the page they are rounded",
        f"to 9 bits in the largest layer and to 12 or 16 in the others, {manifest['bytes'] / 1e6:.2f} MB in all.",
        f"That costs little: over {samples:,} samples, {samples // 10} of each digit, a pixel differs from that of the",
        f"shipped model by {error['mean']:.3f} of 255 levels on average, by less than {error['percentile 99']:.2f} in",
        f"99 of 100 pixels, and by {error['max']:.1f} at most.",
    ]
    return "\n".join(lines) + "\n"


def png(levels: np.ndarray, ink: bool = False) -> bytes:
    """A PNG file of grey levels (height, width); with ``ink`` they are the opacity of black instead."""
    picture = Image.fromarray(levels)
    if ink:
        picture = Image.merge("LA", (Image.new("L", picture.size), picture))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help="a conditional generator, .safetensors")
    parser.add_argument("--epochs", type=Path, default=EPOCHS, help=".npz with uint8 'images' (epochs + 1, 10, 28, 28)")
    options = parser.parse_args()
    with np.load(options.epochs) as file:
        files = export(options.model, file["images"])
    OUT.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (OUT / name).write_bytes(content)
        print(f"{OUT.relative_to(ROOT) / name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
