"""The command line: ``python -m mlxgan train`` and ``python -m mlxgan sample``."""

from mlxgan import checkpoints, data, models, training

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
import numpy as np

MODELS = {"mlp": (models.MLPGenerator, models.MLPDiscriminator)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 when it did what was asked, 2 after one line that says why not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, training.DivergedError) as error:
        print(f"mlxgan {options.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mlxgan", description="GANs on MNIST in MLX")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train", help="train a GAN; write its generator and the curves to a folder")
    command.add_argument("--model", choices=MODELS, default="mlp")
    command.add_argument("--epochs", type=_whole(1, 10**6), default=50)
    command.add_argument("--batch-size", type=_whole(1, 10**6), default=64)
    command.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0)
    command.add_argument("--out", type=Path, required=True, help="folder for the results")
    command.set_defaults(run=_train)
    command = commands.add_parser("sample", help="write images that a trained generator makes")
    command.add_argument("--model", default="mlp", help="a shipped generator's name, or a .safetensors file")
    command.add_argument("--n", type=_whole(1, 10**6), default=64, help="how many images")
    command.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0)
    command.add_argument("--out", type=Path, default=Path("samples.png"), help=".npz (uint8 'images') or .png (grid)")
    command.set_defaults(run=_sample)
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def _train(options: argparse.Namespace) -> None:
    if options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out is {str(options.out)!r}, which is not a folder")
    options.out.mkdir(parents=True, exist_ok=True)  # before hours of training, not after
    mx.random.seed(options.seed)
    make_generator, make_discriminator = MODELS[options.model]
    networks = {"last": make_generator(), "discriminator": make_discriminator(), "generator": make_generator()}
    digits = data.load("train")
    history = training.train(
        networks["last"],
        networks["discriminator"],
        digits,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        average=networks["generator"],
    )
    notes = {"data": digits.name, "epochs": str(options.epochs), "seed": str(options.seed)}
    for name, network in networks.items():
        checkpoints.save(options.out / f"{name}.safetensors", network, notes=notes)
    (options.out / "history.json").write_text(json.dumps(asdict(history)))
    names = "generator.safetensors (the average), last.safetensors, discriminator.safetensors and history.json"
    print(f"wrote {names} to {options.out}")


def _sample(options: argparse.Namespace) -> None:
    if options.out.suffix not in (".npz", ".png"):
        raise ValueError(f"--out is {str(options.out)!r}, but must end in .npz or .png")
    if options.out.is_dir():
        raise ValueError(f"--out is {str(options.out)!r}, which is a folder")
    is_name = options.model in checkpoints.pretrained_names()
    generator = checkpoints.load_pretrained(options.model) if is_name else checkpoints.load(options.model)
    if not hasattr(generator, "latent_dim"):
        raise ValueError(f"{options.model}: a {type(generator).__name__}, not a generator")
    mx.random.seed(options.seed)
    images = training.sample(generator, mx.random.normal((options.n, generator.latent_dim)))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent) as folder:
        part = Path(folder, options.out.name)
        _write(part, images)
        part.replace(options.out)
    print(f"wrote {options.n:,} images to {options.out}")


def _write(path: Path, images: mx.array) -> None:
    if path.suffix == ".npz":
        np.savez_compressed(path, images=np.array(data.to_uint8(images))[..., 0])
        return
    from mlxgan import plots

    from PIL import Image

    columns = min(16, math.ceil(math.sqrt(len(images))))
    picture = Image.fromarray(plots.tile(images, columns))
    picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST).save(path)


if __name__ == "__main__":
    sys.exit(main())
