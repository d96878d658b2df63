"""A generator as a file that MLX runs from C++ or Swift, without Python and without this package."""

from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from . import checkpoints, layers, training
from .files import part_of
from .models import is_conditional

BATCHES = (1, 10, 100)  #: how many images a call may ask for: the file has a graph for each, and the weights once


def stock(model: nn.Module) -> nn.Module:
    """Give a model MLX's own convolutions, in place, and return it; its parameters and their names stay.

    The products that :mod:`mlxgan.layers` has in their place cannot be written to a file.
    """
    kinds = {layers.Conv2d: nn.Conv2d, layers.ConvTranspose2d: nn.ConvTranspose2d}
    for layer in model.modules():
        layer.__class__ = kinds.get(type(layer), type(layer))
    return model


def inputs(generator: nn.Module, n: int) -> tuple[mx.array, ...]:
    """Return noise z, float32 (n, latent_dim), always the same, and for a conditional generator all its classes in
    turn, int32 (n,)."""
    z = mx.random.normal((n, generator.latent_dim), key=mx.random.key(0))
    return (z, mx.arange(n) % generator.classes) if is_conditional(generator) else (z,)


def write(folder: Path, generator: nn.Module, notes: Mapping[str, str] | None = None) -> list[str]:
    """Write a generator to two files in ``folder``, which is made if need be, and return their names.

    ``generator.mlxfn`` is the function from z, or z and labels, to images (n, 28, 28, 1) in [-1, 1], in evaluation
    mode, with the weights. It takes the batches of :data:`BATCHES` and no others, and runs on the kind of device that
    is the default here. ``example.safetensors`` holds :func:`inputs` for ten images, as ``z`` and ``labels``, and the
    ``images`` that Python makes of them, to test a reader with; ``notes`` are its metadata. The generator is left with
    stock layers, in evaluation mode. A :class:`mlxgan.rejection.Selective` leaves its referee behind. Raises OSError if
    the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arguments = inputs(generator, 10)
    arrays = dict(zip(("images", "z", "labels"), (training.sample(generator, *arguments), *arguments), strict=False))
    stock(generator).eval()
    mx.eval(generator.parameters())  # what is still to be computed would be part of the graph
    function, example = folder / "generator.mlxfn", folder / "example.safetensors"
    with part_of(example) as part:
        checkpoints.write(part, arrays, notes or {})
    with part_of(function) as part, mx.exporter(str(part), generator) as exporter:
        for n in BATCHES:
            exporter(*inputs(generator, n))
    return [function.name, example.name]
