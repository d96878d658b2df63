"""Models in safetensors files: atomic to write, strict to read (chapter 6)."""

from mlxgan import models

import inspect
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

PRETRAINED = Path(__file__).parent / "pretrained"


def save(
    path: str | Path, model: nn.Module, *, dtype: mx.Dtype = mx.float32, notes: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write the parameters of a model of :mod:`mlxgan.models` to ``path``, a .safetensors file.

    The file's metadata hold the name of the model's class, its constructor's arguments and ``notes``.
    The file appears under its name only when it is whole. Raises ValueError for another ending of the
    name, and OSError where the folder cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path is {str(path)!r}, but must end in '.safetensors'")
    arguments = {name: getattr(model, name) for name in inspect.signature(type(model)).parameters}
    about = {"model": type(model).__name__, "arguments": json.dumps(arguments), **notes}
    arrays = {name: value.astype(dtype) for name, value in _parameters(model).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder, path.name)
        mx.save_safetensors(str(part), arrays, about)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)


def load(path: str | Path, model: nn.Module | None = None) -> nn.Module:
    """The model in the file at ``path``, in float32 and in evaluation mode.

    It is built as the file's metadata say, or is ``model`` itself with the weights filled in. Raises
    ValueError, naming the file, where it is no checkpoint of the book's, and the first parameter
    that differs where it belongs to another architecture.
    """
    arrays, about = _read(Path(path))
    if model is None:
        model = _build(path, about)
    expected = _parameters(model)
    for name in sorted(expected.keys() | arrays.keys()):
        here = expected[name].shape if name in expected else "absent"
        there = arrays[name].shape if name in arrays else "absent"
        if here != there:
            raise ValueError(f"{path}: parameter {name} is {there} in the file, {here} in {type(model).__name__}")
    model.load_weights([(name, value.astype(mx.float32)) for name, value in arrays.items()])
    return model.eval()


def pretrained_names() -> list[str]:
    """Names of the trained models that ship with the book."""
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def load_pretrained(name: str) -> nn.Module:
    """The trained model that ships with the book under this name.

    ``"mlp"`` is the generator of chapter 5, ``"classifier"`` the network that measures samples (chapter 7).

    Raises ValueError, listing the names there are, for any other.
    """
    if name not in pretrained_names():
        raise ValueError(f"no pretrained model {name!r}; there are: {', '.join(pretrained_names())}")
    return load(PRETRAINED / f"{name}.safetensors")


def _parameters(model: nn.Module) -> dict[str, mx.array]:
    return dict(tree_flatten(model.parameters()))  # type: ignore[arg-type]


def _read(path: Path) -> tuple[dict[str, mx.array], dict[str, str]]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file (pretrained models: {', '.join(pretrained_names())})")
    try:
        arrays, about = mx.load(str(path), format="safetensors", return_metadata=True)
        mx.eval(arrays)  # a cut-off file shows only when its values are read
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error})") from error
    return arrays, about  # type: ignore[return-value]


def _build(path: str | Path, about: dict[str, str]) -> nn.Module:
    factory = getattr(models, about.get("model", ""), None)
    try:
        if not (inspect.isclass(factory) and issubclass(factory, nn.Module)):
            raise TypeError("no such model")
        return factory(**json.loads(about["arguments"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: its metadata do not name a model of mlxgan.models with its arguments: {about}"
        ) from error
