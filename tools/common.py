"""What the tools share: arguments, processes of their own, the machine's name, versions, and files.

MLX is imported only where a function needs it, so that ``--help`` and a wrong argument are answered at once.
"""

import argparse
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

ROOT = Path(__file__).parents[1]
#: The trained model that draws on the site, in the page of the generator and in the game: one with a referee.
GENERATOR = "best"
IDLE: list[tempfile.TemporaryDirectory] = []  # temporary folders that no process uses at the moment


class Parser(argparse.ArgumentParser):
    """A command line that answers a wrong argument with one line on stderr and status 2."""

    def __init__(self, description: str | None):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: object) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(str(message).split())}\n")

    def read_epochs(self, path: Path) -> "np.ndarray":
        """Return the array ``images`` of a file, uint8 (epochs + 1, 10, 28, 28), or report an error."""
        import numpy as np

        try:
            with np.load(path) as file:
                images = file["images"]
        except Exception as error:  # NumPy and zipfile raise almost anything for a file of another kind
            self.error(f"{path} is not an .npz file with an array 'images' ({error!r})")
        if images.ndim != 4 or images.shape[1:] != (10, 28, 28) or images.dtype != np.uint8:
            self.error(f"{path}: 'images' is {images.dtype} {images.shape}, but must be uint8 (epochs + 1, 10, 28, 28)")
        return images

    def require_mnist(self) -> None:
        """Report an error unless MNIST's genuine files are there; they are downloaded if need be."""
        from mlxgan import SMOKE, data

        if SMOKE:
            self.error("MLXGAN_SMOKE is set, but this needs MNIST and models trained on it")
        try:
            for name in data.SHA256:
                data.read(name)
        except (ValueError, OSError) as error:
            self.error(error)

    def add_runs(self, settings: Collection[str]) -> None:
        """Add the options of a tool that trains with each of ``settings``, see :func:`run_all`."""
        about = "runs at a time, with one thread each"
        self.add_argument("--jobs", type=whole(1, 1000), default=os.cpu_count(), help=about)
        self.add_argument("--work", choices=settings, help=argparse.SUPPRESS)
        self.add_argument("--seed", type=whole(0, 2**32 - 1), default=0, help=argparse.SUPPRESS)


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """Return the type of an argument that is a whole number from ``low`` to ``high``."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def existing_file(text: str) -> Path:
    """Return the path of a file that exists; the type of such an argument."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file")
    return Path(text)


def require_writable(folder: Path) -> None:
    """Make the folder unless it exists. Raises OSError if it cannot be made or written."""
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def work(script: str, *arguments: object, **environment: str) -> str:
    """Run ``python SCRIPT --work ARGUMENTS`` in a process of its own, and return what it printed.

    ``environment`` is added to this process's. Processes that run at the same time have different temporary folders,
    because MLX builds its CPU kernels there without locking. If the process fails, this one ends with a line that says
    so.
    """
    command = [sys.executable, script, "--work", *map(str, arguments)]
    try:
        folder = IDLE.pop()  # with the kernels of an earlier process
    except IndexError:
        folder = tempfile.TemporaryDirectory()
    changes = {"TQDM_DISABLE": "1", "TMPDIR": folder.name} | environment
    run = subprocess.run(command, env=os.environ | changes, stdout=subprocess.PIPE, text=True)
    IDLE.append(folder)
    if run.returncode:
        raise SystemExit(f"{Path(script).name}: the run {arguments} ended with status {run.returncode}")
    return run.stdout


def run_all(script: str, folder: Path, settings: Collection[str], seeds: Collection[int], jobs: int) -> dict[str, list]:
    """Return what ``python SCRIPT --work SETTING --seed SEED`` prints last, as JSON: a list over the seeds for each.

    Each run is a process of its own with one BLAS thread, ``jobs`` at a time, and its result a file in ``folder``. A
    run whose file exists is not repeated.
    """

    def run(setting: str, seed: int) -> Any:
        path = folder / f"{setting.replace(',', '').replace(' ', '-')}-{seed}.json"
        if not path.exists():
            printed = work(script, setting, "--seed", seed, OPENBLAS_NUM_THREADS="1")
            write_json(path, json.loads(printed.splitlines()[-1]))
        return json.loads(path.read_text(encoding="utf-8"))

    with ThreadPoolExecutor(jobs) as pool:  # by seed first, so that each setting has a first result early
        pending = {(setting, seed): pool.submit(run, setting, seed) for seed in seeds for setting in settings}
    return {setting: [pending[setting, seed].result() for seed in seeds] for setting in settings}


def machine() -> str:
    """Return the system, the processor and its number of cores, as one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = {line.split(":")[1].strip() for line in lines if line.startswith("model name")}
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        names = {subprocess.run(command, capture_output=True, text=True).stdout.strip()}
    name = ", ".join(names) or platform.processor()
    return f"{platform.system()} {platform.machine()}, {name}, {os.cpu_count()} cores"


def versions(*names: str) -> dict[str, str | None]:
    """Return the installed version of each package, None for a package that is not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def write(path: Path, content: str | bytes) -> None:
    """Write a file that appears under its name only when it is whole, and say so."""
    from mlxgan.files import part_of

    path.parent.mkdir(parents=True, exist_ok=True)
    with part_of(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    print(f"wrote {name}: {path.stat().st_size:,} bytes", flush=True)


def write_json(path: Path, tree: Any) -> None:
    """Write ``tree`` as a JSON file, as :func:`write` does."""
    write(path, json.dumps(tree, indent=1) + "\n")


def png(image: "Image", **options: Any) -> bytes:
    """Return a picture as the content of a small PNG file; ``options`` are those of Pillow."""
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, **options)
    return file.getvalue()
