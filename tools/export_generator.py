"""Write the generator ``best`` and its referee in the form that book/generator.md runs in the reader's browser.

``python tools/export_generator.py`` reads the shipped model, the discriminator of tools/opinion.py, and
book/data/referee.json. With ``--measure`` it writes that file first, which needs MNIST and takes some minutes: the
thresholds for several acceptance rates, and what the judge that ships says of 10,000 accepted samples at each, for
three draws. With ``--epochs runs/conditional/epochs.npz``, which the chapter on choosing the digit leaves behind, it
also renews the film of a training. It writes to book/_static/generator/:

- weights-0.js, weights-1.js, ...: parts of the weights in base64, and weights.js, which says how to read them; the
  parts of the referee are referee-0.js and so on. They are classic scripts, because a browser loads these from https://
  and from file:// alike, and fetches nothing from file://. They are several, because a page sees how many have come,
  but not how much of one. They are kept in git, because another processor would round some weights the other way
- manifest.json, the same as weights.js, and measured.md, opinion.md and rates.md, which put its numbers in the page
- samples.png, shown if JavaScript is off
- epochs.png, fixed noise through the training: one row per epoch, one column per digit

Every array is a matrix of whole numbers with a scale for each row. Nine tenths of the generator's weights are in the
layer ``expand``, kept in 9 bits by the method of GPTQ (Frantar et al., 2023): columns are rounded one by one, and the
columns still to be rounded compensate for each error as far as the covariance of the hidden layer allows. Its other
layers are small enough for 12 and 16 bits. Discriminator and referee get by with 8 and 10 bits; the normalizations
of the referee are folded into its convolutions.
"""

import base64
import hashlib
import io
import json
import statistics
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import common
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from mlxgan.models import ConditionalGenerator as Generator
    from mlxgan.models import DCGANDiscriminator as Discriminator
    from mlxgan.rejection import Selective

    import mlx.nn as nn

OUT = common.ROOT / "book" / "_static" / "generator"
MODEL = common.ROOT / "src" / "mlxgan" / "pretrained" / f"{common.GENERATOR}.safetensors"
LAYERS = {"project": 12, "expand": 9, "up1": 12, "up2": 12}  # bits of a weight; a ReLU follows each but the last
OPINION = ("down1", "down2", "shrink", "out")  # layers of the discriminator; a leaky ReLU follows each but the last
PLAINLY = {"ratio 1": 10, "ratio 2": 10, "ratio 3": 10}  # bits of the referee's network; of its classifier's 8
DIRECTIONS, SAMPLES = 6, 1000
PARTS = {"weights": 8, "referee": 2}
RATES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
SHIPPED = 0.7  #: the rate of the thresholds in the shipped model
DRAWS, DRAWN = (1, 2, 3), 10_000  #: seeds, and samples of each, that the judge measures
MEASURED = common.ROOT / "book" / "data" / "referee.json"
#: What a direction may be seen to change, and what to call its two ends.
TRAITS = {
    "Slant": ("leans left", "leans right"),
    "Stroke": ("thin", "thick"),
    "Width": ("narrow", "wide"),
    "Height": ("low", "tall"),
}


def noise(seed: int, n: int, width: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return noise with this standard deviation, float32 (n, 100), and the labels 0 to 9 in turn, (n,)."""
    z = np.random.default_rng(seed).standard_normal((n, 100), np.float32)
    return np.float32(width) * z, np.arange(n) % 10


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


def named(model: "Generator", axes: np.ndarray, width: float = 1.0) -> tuple[np.ndarray, list[dict]]:
    """Return the directions, each turned so that its trait grows, and their names.

    A direction is named after a trait if a walk from -2 to 2 standard deviations of the noise, ``width``, changes that
    trait by more than 1.5 standard deviations of the trait within a class, and no other trait two thirds as much. Two
    with the same name are numbered.
    """
    z, labels = noise(4, 1000, width)
    plain = traits(draw(model, z, labels))
    spread = np.sqrt(np.mean([plain[labels == digit].var(0) for digit in range(10)], axis=0))
    found: list[dict] = []
    axes = axes.copy()
    for k, axis in enumerate(axes):
        rest = z - np.outer(z @ axis, axis)
        moved = [traits(draw(model, rest + step * width * axis, labels)).mean(0) for step in (-2, 2)]
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


def fold(selective: "Selective") -> "Selective":
    """Fold the normalizations of the referee's classifier into the convolutions before them, in place."""
    import mlx.core as mx
    import mlx.nn as nn

    classifier = selective.classifier
    for conv, name in ((classifier.conv1, "norm1"), (classifier.conv2, "norm2")):
        norm = classifier[name]
        scale = norm.weight / mx.sqrt(norm.running_var + norm.eps)
        conv.weight = conv.weight * scale[:, None, None, None]
        conv.bias = (conv.bias - norm.running_mean) * scale + norm.bias
        classifier[name] = nn.Identity()
    return selective


def referee(selective: "Selective") -> "dict[str, nn.Module]":
    """Return the referee's layers by their names in the export."""
    import mlx.nn as nn

    linear = [layer for layer in selective.ratio.layers if isinstance(layer, nn.Linear)]
    found = {name: selective.classifier[name] for name in ("conv1", "conv2", "hidden", "output")}
    return found | {f"ratio {k}": layer for k, layer in enumerate(linear, 1)}


def log_ratios(selective: "Selective", z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the referee's log ratio for the image of each row of noise (n, latent_dim) and label; (n,)."""
    import mlx.core as mx

    found = []
    for start in range(0, len(z), 500):
        y = mx.array(labels[start : start + 500].astype(np.int32))
        found.append(np.array(selective.log_ratio(selective(mx.array(z[start : start + 500]), y), y)))
    return np.concatenate(found)


def measure(path: Path = MODEL) -> dict[str, Any]:
    """Return the thresholds of each digit at each rate, and what the judge says of what is accepted.

    Means and standard deviations over the draws, also of real training images. Needs MNIST.
    """
    from mlxgan import checkpoints, data, measures, metrics, recipes, rejection

    import mlx.core as mx

    selective, judge = load(path), checkpoints.load_pretrained("judge")
    real, train = metrics.features(judge, data.load("test").images)[0], data.load("train")

    def judged(images: mx.array, accepted: float | None = None) -> dict[str, float]:
        found, _ = metrics.features(judge, images)
        scores = dict(zip(("precision", "recall"), measures.precision_recall(real, found), strict=True))
        return {"fid": measures.fid(real, found), **scores} | ({} if accepted is None else {"accepted": accepted})

    def summary(draws: list[dict[str, float]]) -> dict[str, list[float]]:
        columns = {name: [draw[name] for draw in draws] for name in draws[0]}
        return {
            name: [round(f(values), 4) for f in (statistics.mean, statistics.stdev)] for name, values in columns.items()
        }

    z, labels = noise(11, 20_000, float(np.array(selective.width)))
    pool = log_ratios(selective, z, labels)
    shipped, rows = np.array(selective.thresholds, np.float64), []
    for rate in RATES:
        thresholds = np.array([rejection.threshold(pool[labels == digit], rate) for digit in range(10)])
        thresholds = (shipped if rate == SHIPPED else thresholds).round(4)
        selective.thresholds = mx.array(thresholds.astype(np.float32))
        draws = []
        for seed in DRAWS:
            recipes.seed_everything(seed)
            draws.append(judged(*rejection.select(selective, data.draw_labels(DRAWN))))
        rows.append({"rate": rate, "thresholds": thresholds.tolist(), **summary(draws)})
        print(rows[-1], flush=True)
    order = np.random.default_rng(1).permutation(len(train)).astype(np.uint32)
    parts = [order[DRAWN * k : DRAWN * (k + 1)] for k in range(len(DRAWS))]
    floor = summary([judged(train.images[mx.array(part)]) for part in parts])
    return {"model": digest(path), "machine": common.machine(), "rates": rows, "real": floor}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def export(path: Path = MODEL, epochs: np.ndarray | None = None) -> dict[str, bytes]:
    """Return all files by their names, for the generator with a referee at ``path`` and the ``images`` of epochs.npz.

    Without ``epochs``, epochs.png is the one that is there. Raises ValueError if there is no such generator at
    ``path``, or if referee.json is about another one.
    """
    from mlxgan import plots

    import mlx.core as mx

    selective = fold(load(path))
    measured_rates = rates(path)
    model, width = selective.generator, float(np.array(selective.width))
    z, labels = noise(0, 4000, width)
    hidden = np.maximum(responses(model, z, labels)[0][1], 0)
    mean = hidden.mean(0)
    covariance = (hidden - mean).T @ (hidden - mean) / len(hidden)
    arrays: dict[str, tuple[np.ndarray, np.ndarray, int]] = {}
    for name, bits in LAYERS.items():
        weight, bias = matrix_and_bias(model[name])
        codes, scale = compensated(weight, covariance, bits) if name == "expand" else rounded(weight, bits)
        if name == "expand":
            bias = bias + (weight - codes * scale) @ mean
        arrays[name] = codes, scale, bits
        arrays[name + " bias"] = *rounded(bias[None], 16), 16
    for k, table in enumerate(tables(model), 1):
        arrays[f"scale {k}"], arrays[f"shift {k}"] = ((*rounded(part, 16), 16) for part in table)
    axes, found = named(model, directions(model), width)
    arrays["directions"] = *rounded(axes, 16), 16
    discriminator, notes = opinion()
    arrays |= plainly({name: discriminator[name] for name in OPINION})
    both = {"weights": packed(arrays), "referee": packed(plainly(referee(selective)))}

    z, labels = noise(1, SAMPLES, width)
    exported = restored(path, both)
    error = np.abs(draw(exported.generator, z, labels) - draw(selective.generator, z, labels))
    ratios = log_ratios(selective, z, labels)
    exported.generator = model  # so that the referees see the same images
    off = np.abs(log_ratios(exported, z, labels) - ratios)
    sprite = (OUT / "epochs.png").read_bytes() if epochs is None else film(epochs)
    manifest = {
        "model": digest(path),
        "width": width,
        "parameters": count(arrays, LAYERS),
        "samples": SAMPLES,
        "error": {
            "mean": round(error.mean().item(), 4),
            "percentile 99": round(np.percentile(error, 99).item(), 3),
            "max": round(error.max().item(), 3),
        },
        "log ratio": {
            "spread": round(ratios.std().item(), 3),
            "mean error": round(off.mean().item(), 4),
            "max error": round(off.max().item(), 3),
        },
        "directions": found,
        "epochs": Image.open(io.BytesIO(sprite)).height // 28 - 1,
        "right": {kind: float(notes[kind]) for kind in ("real", "generated")},
        "rates": measured_rates["rates"],
        "real": measured_rates["real"],
        **{name: about | {"parts": PARTS[name]} for name, (about, _) in both.items()},
    }
    files = {name: text.encode() for name, text in prose(manifest).items()}
    files |= {"manifest.json": (json.dumps(manifest, indent=1) + "\n").encode()}
    files |= {"weights.js": f"mlxganParts.about = {json.dumps(manifest)};\n".encode()}
    for name, (_, data) in both.items():
        files |= scripts(name, data)
    levels = draw(model, *noise(5, 60, width)).round().clip(0, 255).astype(np.uint8)
    files["samples.png"] = common.png(Image.fromarray(plots.tile(mx.array(levels[..., None]), 10)))
    files["epochs.png"] = sprite
    return files


def matrix_and_bias(layer: "nn.Module") -> tuple[np.ndarray, np.ndarray]:
    """Return a layer's weight as a matrix with one row per output, and its bias, in float64."""
    weight, bias = (np.array(layer[part], np.float64) for part in ("weight", "bias"))
    return weight.reshape(len(weight), -1), bias


def plainly(layers: "dict[str, nn.Module]") -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """Return codes, scales and bits of the weight and the bias of each layer, rounded to the nearest."""
    found = {}
    for name, layer in layers.items():
        weight, bias = matrix_and_bias(layer)
        bits = PLAINLY.get(name, 8)
        found[name] = *rounded(weight, bits), bits
        found[name + " bias"] = *rounded(bias[None], 16), 16
    return found


def packed(arrays: dict[str, tuple[np.ndarray, np.ndarray, int]]) -> tuple[dict[str, Any], bytes]:
    """Return where each array lies in the data, with the length and the checksum of these, and the data."""
    data, layout = b"", {}
    for name, (codes, scale, bits) in arrays.items():
        layout[name] = [*codes.shape, bits, len(data)]
        data += pack(codes, scale, bits)
    return {"bytes": len(data), "checksum": zlib.adler32(data), "arrays": layout}, data


def count(arrays: dict[str, Any], names: dict[str, int]) -> int:
    """Return how many numbers the weights and biases with these names have."""
    return sum(codes.size for name, (codes, *_) in arrays.items() if name.removesuffix(" bias") in names)


def scripts(name: str, data: bytes) -> dict[str, bytes]:
    """Return the scripts with the parts of the data."""
    size = 3 * -(-len(data) // (3 * PARTS[name]))  # base64 takes three bytes at a time
    texts = [base64.b64encode(data[size * part : size * (part + 1)]).decode() for part in range(PARTS[name])]
    return {f"{name}-{k}.js": f'mlxganParts.{name}[{k}] = "{text}";\n'.encode() for k, text in enumerate(texts)}


def film(epochs: np.ndarray) -> bytes:
    """Return the images after each epoch, uint8 (epochs + 1, 10, 28, 28), as the opacity of black, one row each."""
    ink = Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in epochs]))
    return common.png(Image.merge("LA", (Image.new("L", ink.size), ink)))


def load(path: Path) -> "Selective":
    """Return the generator with a referee at ``path``. Raises ValueError if there is none."""
    from mlxgan import checkpoints, rejection

    model = checkpoints.load(path)
    if not isinstance(model, rejection.Selective):
        raise ValueError(f"{path}: a {type(model).__name__}, not a Selective")
    return model


def rates(path: Path) -> dict[str, Any]:
    """Return what is in referee.json. Raises ValueError if that is not about the model at ``path``."""
    found = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    if found.get("model") != digest(path):
        raise ValueError(f"{MEASURED} is not about {path}; --measure writes it anew")
    return found


def opinion() -> tuple["Discriminator", dict[str, str]]:
    """Return the discriminator of tools/opinion.py, and the notes in its file."""
    from mlxgan import checkpoints

    path = common.ROOT / "book" / "data" / "opinion.safetensors"
    return checkpoints.load(path), checkpoints.read(path)[1]  # type: ignore[return-value]


def restored(path: Path, exported: dict[str, tuple[dict[str, Any], bytes]]) -> "Selective":
    """Return the model at ``path`` with the weights that the exported data give the layers of generator and referee."""
    import mlx.core as mx

    model = fold(load(path))
    layers = {"weights": {name: model.generator[name] for name in LAYERS}, "referee": referee(model)}
    for name, (about, data) in exported.items():
        for layer_name, layer in layers[name].items():
            for part, suffix in (("weight", ""), ("bias", " bias")):
                array = unpack(data, *about["arrays"][layer_name + suffix])
                layer[part] = mx.array(array.reshape(layer[part].shape))
    return model


def prose(manifest: dict) -> dict[str, str]:
    """Return what the text of the page says about the export, about the discriminator, and about the rates."""
    error, ratio, samples = manifest["error"], manifest["log ratio"], manifest["samples"]
    sizes = {name: f"{manifest[name]['bytes'] / 1e6:.2f} MB" for name in PARTS}
    weights = sum(rows * columns for name, (rows, columns, *_) in manifest["referee"]["arrays"].items())
    lines = [
        f"The generator has {manifest['parameters']:,} weights. In MLX they are float32; for the page they are rounded",
        f"to 9 bits in the largest layer and to 12 or 16 in the others, {sizes['weights']} in all.",
        f"That costs little: over {samples:,} samples, {samples // 10} of each digit, a pixel differs from that of the",
        f"shipped model by {error['mean']:.3f} of 255 levels on average, by less than {error['percentile 99']:.2f} in",
        f"99 of 100 pixels, and by {error['max']:.1f} at most.",
        f"The {weights:,} weights of the referee are rounded to 8 or 10 bits and its biases to 16, {sizes['referee']},",
        f"which shifts its log ratio by {ratio['mean error']:.3f} on average and by {ratio['max error']:.2f} at most,",
        f"where the log ratios of the samples have a standard deviation of {ratio['spread']:.1f}.",
    ]
    real, generated = (f"{100 * manifest['right'][kind]:.1f}%" for kind in ("real", "generated"))
    right = f"It is right about {real} of MNIST's 10,000 test images and about {generated} of 10,000 new samples."
    return {
        "measured.md": "\n".join(lines) + "\n",
        "opinion.md": right + "\n",
        "rates.md": "\n".join(table(manifest)) + "\n",
    }


def table(manifest: dict) -> list[str]:
    """Return the lines of a table with the measures at each rate, and those of real digits."""
    lines = ["| | Accepted | FID | Precision | Recall |", "|:--|--:|--:|--:|--:|"]
    rows = {f"{row['rate']:.0%}".replace("100%", "no referee"): row for row in manifest["rates"]}
    for title, row in (rows | {"real digits": manifest["real"]}).items():
        cells = [f"{row['accepted'][0]:.1%}" if "accepted" in row else ""]
        for name, places in (("fid", 2), ("precision", 3), ("recall", 3)):
            mean, spread = row[name]
            cells.append(f"{mean:.{places}f} ± {spread:.{places}f}")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--model", type=common.existing_file, default=MODEL, help="a generator with a referee")
    parser.add_argument(
        "--epochs", type=common.existing_file, help=".npz with uint8 'images' (epochs + 1, 10, 28, 28), for the film"
    )
    parser.add_argument("--measure", action="store_true", help="renew book/data/referee.json first")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the files")
    options = parser.parse_args()
    epochs = parser.read_epochs(options.epochs) if options.epochs else None
    if options.measure:
        parser.require_mnist()
    try:  # before the work
        common.require_writable(options.out)
        load(options.model)
        if options.measure:
            common.write_json(MEASURED, measure(options.model))
        files = export(options.model, epochs)
    except (ValueError, OSError) as error:
        parser.error(error)
    for name, content in files.items():
        common.write(options.out / name, content)


if __name__ == "__main__":
    main()
