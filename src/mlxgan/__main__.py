"""The command line: ``python -m mlxgan train``, ``sample``, ``evaluate`` and ``export``."""

import argparse
import contextlib
import io
import json
import math
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from . import augment, checkpoints, data, export, leave, metrics, pictures, recipes, resume, training
from .files import part_of, short
from .history import ALIKE
from .models import is_conditional
from .rejection import Selective, select

MOST = 10**5  # images in a file: they are held in memory
MOST_IN_A_PICTURE = 10**4  # larger ones are refused by the library that writes them, and by viewers
LARGEST = 28 * 28 * MOST + 4096  # bytes of an array in a file


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 when it did what was asked, 2 after one line that says why not, 130 after Ctrl-C."""
    name = "mlxgan"

    def say(message: object, *_: object) -> None:
        print(f"{name}: {message}", file=sys.stderr)

    try:
        if signal.getsignal(signal.SIGINT) is leave:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        options = _parser().parse_args(arguments)
        name = f"mlxgan {options.command}"
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # for names of files that a terminal cannot show
        with warnings.catch_warnings():
            warnings.showwarning = say  # type: ignore[assignment]
            run = {"train": _train, "sample": _sample, "evaluate": _evaluate, "export": _export}[options.command]
            try:
                run(options)
                print(end="", flush=True)
            except (ValueError, OSError, RuntimeError) as error:  # MLX raises RuntimeError
                say(" ".join(str(error).split())[:1000])
                return 2
    except KeyboardInterrupt as error:  # here, because it may come while another error is handled: g++ gets it too
        say(f"interrupted{error}")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mlxgan", description="GANs on MNIST in MLX")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train", help="train a GAN; write its generator and the curves to a folder")
    command.add_argument("--model", choices=recipes.RECIPES, default="mlp")
    command.add_argument("--epochs", type=_whole(1, 10**6), help="by default the recipe's")
    command.add_argument("--batch-size", type=_whole(1, 10**6), help="by default the recipe's")
    command.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0)
    command.add_argument("--out", type=Path, required=True, help="folder for the results")
    about = "mnist, small (scikit-learn's digits), omniglot, fashion, or the path of a folder of pictures or of an .npz"
    command.add_argument("--data", default="mnist", help=about)
    command.add_argument("--augment", action="store_true", help="shift half of what the discriminator sees")
    command.add_argument("--checkpoint-every", type=_whole(1, 10**6), default=1, metavar="EPOCHS")
    command.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint in --out")
    command = commands.add_parser("sample", help="write images that a trained generator makes")
    command.add_argument("--model", default="mlp", help="a shipped generator's name, or a .safetensors file")
    command.add_argument("--n", type=_whole(1, MOST), default=64, help="how many images")
    command.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0)
    command.add_argument("--digit", type=_whole(0, 9), help="draw this digit alone; for a conditional generator")
    command.add_argument("--out", type=Path, default=Path("samples.png"), help=".npz (uint8 'images') or .png (grid)")
    command = commands.add_parser("evaluate", help="measure images against MNIST's test images")
    command.add_argument("samples", type=Path, help=".npz with uint8 'images' (n, 28, 28), as sample writes it")
    command.add_argument("--data", choices=("mnist", "small"), default="mnist", help="whose test images")
    command = commands.add_parser("export", help="write a generator as a function that C++ and Swift can import")
    command.add_argument("--model", default="mlp", help="a shipped generator's name, or a .safetensors file")
    command.add_argument("--out", type=Path, required=True, help="folder for the function and an example")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def _train(options: argparse.Namespace) -> None:
    if options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out is {str(options.out)!r}, which is not a folder")
    recipe = recipes.RECIPES[options.model]
    epochs, batch_size = options.epochs or recipe.epochs, options.batch_size or recipe.batch_size
    recipes.seed_everything(options.seed)
    networks = {"last": recipe.generator(), "discriminator": recipe.discriminator(), "generator": recipe.generator()}
    digits = data.load("train", options.data)
    classes = len(np.unique(np.array(digits.labels)))
    if is_conditional(networks["last"]) and classes != networks["last"].classes:
        raise ValueError(f"--data {short(options.data)} has {classes} classes, but --model {options.model} draws ten")
    steps = epochs * max(1, len(digits) // batch_size)  # train refuses a batch that is too large
    settings = recipe.settings(steps) | {"average": networks["generator"], "epochs": epochs, "batch_size": batch_size}
    settings |= {name: getattr(options, name) for name in ("seed", "checkpoint_every", "resume")}
    wrapped = augment.Augmented(networks["discriminator"]) if options.augment else networks["discriminator"]
    history = resume.train(networks["last"], wrapped, digits, checkpoint_folder=options.out / "checkpoints", **settings)
    if history.stopped:
        raise KeyboardInterrupt("; --resume goes on from the last checkpoint")
    notes = {"data": digits.name, "epochs": str(epochs), "seed": str(options.seed)}
    for name, network in networks.items():
        checkpoints.save(options.out / f"{name}.safetensors", network, notes=notes)
    with part_of(options.out / "history.json") as part:
        part.write_text(json.dumps(asdict(history)), encoding="utf-8")
    names = "generator.safetensors (the average), last.safetensors, discriminator.safetensors and history.json"
    print(f"wrote {names} to {options.out}")


def _generator(model: str) -> tuple[nn.Module, dict[str, str]]:
    """Return the generator of gray images that ``--model`` names, and the metadata of its file."""
    path = checkpoints.PRETRAINED / f"{model}.safetensors" if model in checkpoints.pretrained_names() else Path(model)
    generator, about = checkpoints.load(path), checkpoints.read(path)[1]
    if getattr(generator, "image_channels", 1) != 1 or not hasattr(generator, "latent_dim"):
        raise ValueError(f"{model}: a {type(generator).__name__}, not a generator of gray images")
    return generator, about


def _sample(options: argparse.Namespace) -> None:
    if options.out.suffix not in (".npz", ".png"):
        raise ValueError(f"--out is {str(options.out)!r}, but must end in .npz or .png")
    if options.out.is_dir():
        raise ValueError(f"--out is {str(options.out)!r}, which is a folder")
    if options.out.suffix == ".png" and options.n > MOST_IN_A_PICTURE:
        raise ValueError(f"--n is {options.n}, but a picture holds {MOST_IN_A_PICTURE:,} images at most; write an .npz")
    generator, about = _generator(options.model)
    if options.digit is not None and not is_conditional(generator):
        raise ValueError(f"--digit is {options.digit}, but {options.model} is not a conditional generator")
    if is_conditional(generator) and generator.classes != 10:
        raise ValueError(f"{options.model}: draws {generator.classes} classes, not the ten digits")
    recipes.seed_everything(options.seed)
    z, labels = mx.random.normal((options.n, generator.latent_dim)), None
    if is_conditional(generator):
        labels = data.draw_labels(options.n) if options.digit is None else mx.full((options.n,), options.digit)
    if isinstance(generator, Selective) and labels is not None:
        images, accepted = select(generator, labels)
        drawn = f"; the referee accepted {accepted:.0%} of those drawn"
    else:
        images, drawn = training.sample(generator, z, labels), ""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with part_of(options.out) as part:
        _write(part, images, labels, about.get("data", ""))
    print(f"wrote {options.n:,} images to {options.out}{drawn}")
    _warn_if_alike(images)


def _export(options: argparse.Namespace) -> None:
    generator, about = _generator(options.model)
    names = " and ".join(export.write(options.out, generator, about))
    without = ", without the referee: what it draws is not selected" if isinstance(generator, Selective) else ""
    print(f"wrote {names} to {options.out}{without}")


def _evaluate(options: argparse.Namespace) -> None:
    arrays = _read(options.samples)
    images = mx.array(arrays["images"][..., None])
    reference = metrics.reference(options.data)
    drawn_from, compared_with = (data.kind(name) for name in (str(arrays.get("data", "")), reference.name))
    if not drawn_from:
        print(f"{options.samples} does not say which images its generator learned from.")
    elif drawn_from != compared_with:
        raise ValueError(f"{options.samples}: the generator learned from {short(drawn_from)}, not from {compared_with}")
    _warn_if_alike(data.normalize(images))
    print(metrics.table({"floor": reference.floor, "samples": metrics.evaluate(images, reference)}))
    if len(images) != len(reference.real):
        print(f"{len(images):,} samples: compare these figures only with those of as many.")
    if "labels" in arrays:
        shares = metrics.agreement(metrics.features(reference.classifier, images)[1], arrays["labels"])
        print("is the digit asked for: " + ", ".join(f"{digit} {share:.3f}" for digit, share in enumerate(shares)))


def _warn_if_alike(drawn: mx.array) -> None:
    """Warn if images in [-1, 1], (N, 28, 28, 1), hardly differ from each other."""
    spread = float(np.array(mx.std(drawn, axis=0).mean()))
    if len(drawn) > 1 and spread < ALIKE:
        warnings.warn(f"all {len(drawn):,} images are alike (standard deviation of a pixel {spread:.4f})", stacklevel=2)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the array ``images`` of an .npz file, and ``labels`` and ``data`` if they are there.

    Raises ValueError, naming the file and the array, if they are not what ``sample`` writes.
    """
    arrays = pictures.read_arrays(path, LARGEST)
    images, labels = arrays["images"], arrays.get("labels", np.zeros(1, int))
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28) or len(images) < 200:
        raise ValueError(f"{path}: 'images' are {pictures.kind(images)}, but must be uint8 (n, 28, 28), n at least 200")
    if np.any(labels // 10):
        raise ValueError(f"{path}: 'labels' are from {labels.min()} to {labels.max()}, but must be from 0 to 9")
    return arrays


def _write(path: Path, images: mx.array, labels: mx.array | None, learned_from: str) -> None:
    if path.suffix == ".npz":
        arrays = {"images": np.array(data.to_uint8(images))[..., 0], "data": np.array(learned_from)}
        if labels is not None:
            arrays["labels"] = np.array(labels)
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
        return
    from PIL import Image

    picture = data.tile(images, min(16, math.ceil(math.sqrt(len(images)))))
    Image.fromarray(picture.repeat(2, axis=0).repeat(2, axis=1)).save(path)


if __name__ == "__main__":
    status = 130
    with contextlib.suppress(KeyboardInterrupt, OSError):  # a second Ctrl-C; standard output that is still full
        status = main()
        print(end="", flush=True)
    leave(status=status)  # at once: MLX may still be busy with a step, which would crash as Python takes itself apart
