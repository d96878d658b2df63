"""Models and interrupted runs in safetensors files: atomic to write, strict to read."""

import inspect
import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from . import models, rejection
from .files import digest, part_of, publish, regular, short

PRETRAINED = Path(__file__).parent / "pretrained"
KEPT = 3  # checkpoints of a run
LARGEST = 2**31  # bytes of a file that is read
RUN = re.compile(r"(\d{6,})-([0-9a-f]{16})\.safetensors")  # epoch and the start of the file's SHA-256


def save(
    path: str | Path, model: nn.Module, *, dtype: mx.Dtype = mx.float32, notes: Mapping[str, str] | None = None
) -> None:
    """Write the parameters of a model of :mod:`mlxgan.models` to ``path``, a .safetensors file.

    The file's metadata hold the name of the model's class, its constructor's arguments and ``notes``. The file appears
    under its name only when it is whole. Raises ValueError for another ending of the name, and OSError if the folder
    cannot be written.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path is {str(path)!r}, but must end in '.safetensors'")
    arguments = {name: getattr(model, name) for name in inspect.signature(type(model)).parameters}
    about = {"model": type(model).__name__, "arguments": json.dumps(arguments), **(notes or {})}
    arrays = {name: value.astype(dtype) for name, value in _parameters(model).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_of(path) as part:
        write(part, arrays, about)


def load(path: str | Path, model: nn.Module | None = None) -> nn.Module:
    """Return the model in the file at ``path``, in float32 and in evaluation mode.

    It is built as the file's metadata say, or is ``model`` itself with the weights filled in. Raises ValueError, naming
    the file, if it is not a checkpoint of the book, or the first parameter that is not finite or does not fit.
    """
    arrays, about = read(Path(path))
    model = _build(path, about) if model is None else model
    expected = _parameters(model)
    for name in sorted(expected.keys() | arrays.keys()):
        here, file = (short(getattr(each.get(name), "shape", "absent")) for each in (expected, arrays))
        if here != file:
            raise ValueError(f"{path}: parameter {short(name)} is {file} in the file, {here} in {type(model).__name__}")
    for name, value in evaluated(path, arrays).items():
        if not mx.isfinite(value).all():
            raise ValueError(f"{path}: parameter {name} has values that are NaN or infinite")
    model.load_weights([(name, value.astype(mx.float32)) for name, value in arrays.items()])
    return model.eval()


def save_run(folder: str | Path, epoch: int, arrays: Mapping[str, mx.array], about: Mapping[str, str]) -> Path:
    """Write the state of a run after ``epoch`` to a file of its own in ``folder``; the last three are kept.

    The file's name ends in the start of its SHA-256, so that any damage shows, and it appears only when it is whole and
    on the disk. The order of each array's axes in memory is kept too, since products may round differently in another
    order. Raises OSError if it cannot be written; the files before it stay as they are.
    """
    folder = Path(folder)
    orders = {name: _order(array) for name, array in arrays.items()}
    about = {**about, "orders": json.dumps({name: order for name, order in orders.items() if order != sorted(order)})}
    with part_of(folder / "run.safetensors") as part:
        write(part, {name: array.transpose(orders[name]) for name, array in arrays.items()}, about)
        path = folder / f"{epoch:06d}-{digest(part)}.safetensors"
        publish(part, path)
    for old in [other for other in runs(folder) if other != path][: 1 - KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_run(folder: str | Path) -> tuple[Path, dict[str, mx.array], dict[str, str]]:
    """Return the newest whole file that :func:`save_run` wrote to ``folder``: its path, arrays and metadata.

    The arrays' values are not read yet: see :func:`evaluated`. Warns of each damaged one, by name. Raises ValueError if
    none is whole.
    """
    found = runs(folder)
    for path in reversed(found):
        try:
            if path.stat().st_size <= LARGEST and not path.stem.endswith(digest(path)):
                raise ValueError(f"{path}: damaged (its SHA-256 does not start as its name says)")
            arrays, about = read(path)
            for name, order in json.loads(about.pop("orders")).items():
                arrays[name] = arrays[name].transpose([order.index(axis) for axis in range(len(order))])
            return path, arrays, about
        except Exception as error:  # metadata that make no sense raise almost anything
            warnings.warn(f"checkpoint refused: {str(error)[:400]}", stacklevel=2)  # the file's name, and why
    raise ValueError(f"{folder}: none of its {len(found)} checkpoints is whole")


def runs(folder: str | Path) -> list[Path]:
    """Return the files that :func:`save_run` wrote to ``folder``, oldest epoch first; [] if there is no such folder."""
    files = (path for path in Path(folder).glob("*.safetensors") if path.is_file())  # a pipe or a device may never end
    found = [(match, path) for path in files if (match := RUN.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda pair: (int(pair[0][1]), pair[1].stat().st_mtime_ns))]


def prepare_runs(folder: Path, resume: bool) -> bool:
    """Return True if there is something to resume in the folder of :func:`save_run`, which must be there.

    Raises OSError if it cannot be written, and ValueError if it holds a run that is not to be resumed.
    """
    for part in folder.glob(".part-*"):  # a run that was killed left it
        part.unlink()
    tempfile.TemporaryFile(dir=folder).close()  # fail before hours of training, not after
    found = runs(folder)
    if found and not resume:
        raise ValueError(f"{folder}: holds checkpoints of an earlier run; resume it, or remove the folder")
    if resume and not found:
        print(f"{folder}: no checkpoint yet, so the run starts from the beginning")
    return bool(found)


def check_settings(here: Mapping[str, str], there: Mapping[str, str], path: Path) -> None:
    """Raise ValueError, naming the first setting that differs from the one of the run in the file at ``path``."""
    for name in [*here, *(name for name in there if name not in here)]:
        a, b = here.get(name, "absent"), there.get(name, "absent")
        if a != b:
            raise ValueError(f"cannot resume: {short(name)} is {short(a)}, but {short(b)} in {path}")


def pretrained_names() -> list[str]:
    """Return the names of the trained models that ship with the book."""
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def load_pretrained(name: str) -> nn.Module:
    """Return the trained model that ships with the book: a recipe's generator by its name, or ``"classifier"``.

    Raises ValueError, listing the names there are, for any other.
    """
    if name not in pretrained_names():
        raise ValueError(f"no pretrained model {name!r}; there are: {', '.join(pretrained_names())}")
    return load(PRETRAINED / f"{name}.safetensors")


def _parameters(model: nn.Module) -> dict[str, mx.array]:
    return dict(tree_flatten(model.parameters()))  # type: ignore[arg-type]


def write(path: Path, arrays: Mapping[str, mx.array], about: Mapping[str, str]) -> None:
    """Write arrays and metadata to a .safetensors file. Raises OSError."""
    try:
        mx.save_safetensors(str(path), dict(arrays), dict(about))
    except RuntimeError as error:
        raise OSError(f"{path.parent}: could not be written ({error})") from error


def _order(array: mx.array) -> list[int]:
    """Return the axes of an array from the slowest to the fastest in memory."""
    strides = memoryview(array).strides or ()  # type: ignore[arg-type]
    return sorted(range(array.ndim), key=lambda axis: -strides[axis])


def read(path: Path) -> tuple[dict[str, mx.array], dict[str, str]]:
    """Return the arrays, whose values are not read yet, and the metadata of a .safetensors file.

    Raises ValueError, naming the file, if it is not one.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file (pretrained models: {', '.join(pretrained_names())})")
    regular(path, LARGEST)
    try:
        return mx.load(str(path), format="safetensors", return_metadata=True)  # type: ignore[return-value]
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: not a whole safetensors file ({short(error)})") from error


def evaluated(path: str | Path, arrays: dict[str, mx.array]) -> dict[str, mx.array]:
    """Return the arrays with their values. Raises ValueError if the file that they come from is cut off."""
    try:
        mx.eval(arrays)
    except RuntimeError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({short(error)})") from error
    return arrays


def _build(path: str | Path, about: dict[str, str]) -> nn.Module:
    name = about.get("model", "")
    factory = getattr(models, name, None) or getattr(rejection, name, None)
    try:
        if not (inspect.isclass(factory) and issubclass(factory, nn.Module)):
            raise TypeError("no such model")
        return factory(**json.loads(about["arguments"]))
    except Exception as error:  # a constructor raises almost anything for arguments that make no sense
        why = "its metadata do not name a model of mlxgan.models with its arguments"
        raise ValueError(f"{path}: {why}: {short(about)}") from error
