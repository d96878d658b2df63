"""Carry the notebooks' sources to .ipynb files, and execute these in full.

``python tools/notebooks.py update`` copies the cells of notebooks/NN_topic.py to notebooks/NN_topic.ipynb
and keeps the stored outputs. ``python tools/notebooks.py execute [NN ...]`` does that too, then executes
the notebooks on MNIST with nothing left out and stores their outputs, with where they come from in the
metadata, and ships the models that they train. Both take every notebook where none is named.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nbclient
import nbformat

FOLDER = Path(__file__).parent.parent / "notebooks"
VERSIONS = ("mlx", "numpy", "matplotlib")
SHIPPED = {  # chapters whose model ships with the package: under which name, and from which file in runs/
    "05_training": ("mlp", "mlp/generator.safetensors"),
    "07_evaluation": ("classifier", "classifier/classifier.safetensors"),
    "08_dcgan": ("dcgan", "dcgan/generator.safetensors"),
    "10_conditional": ("conditional", "conditional/generator.safetensors"),
}


def code_digest(notebook: nbformat.NotebookNode) -> str:
    """SHA-256 of the code cells' sources."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def update(source: Path) -> Path:
    """Carry the cells of a .py to its .ipynb; outputs of unchanged cells stay."""
    subprocess.run([sys.executable, "-m", "jupytext", "--quiet", "--to", "ipynb", "--update", str(source)], check=True)
    return source.with_suffix(".ipynb")


def execute(path: Path) -> None:
    """Execute a notebook in place; it is left as it was if a cell raises."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # time stamps of every cell: noise in each diff
        if cell.cell_type == "code":  # progress bars and the like are not part of the book
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata["mlxgan"] = {
        "code_sha256": code_digest(notebook),
        "data": "MNIST",
        "date": datetime.date.today().isoformat(),
        "machine": _machine(),
        "seconds": round(time.perf_counter() - start),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
    }
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(path)


def ship(name: str, file: str) -> None:
    """Put the model in runs/FILE into the package, in half precision."""
    from mlxgan import checkpoints

    import mlx.core as mx

    path = FOLDER.parent / "runs" / file
    _, about = mx.load(str(path), return_metadata=True)
    notes = {key: value for key, value in about.items() if key not in ("model", "arguments")}
    checkpoints.save(
        checkpoints.PRETRAINED / f"{name}.safetensors", checkpoints.load(path), dtype=mx.float16, notes=notes
    )


def _machine() -> str:
    cpus = {line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")}
    name = ", ".join(cpus) or platform.processor()
    return f"{platform.system()} {platform.machine()}, {name}, {os.cpu_count()} cores"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["update", "execute"])
    parser.add_argument("names", nargs="*", help="beginnings of file names, such as 05")
    options = parser.parse_args()
    sources = [p for p in sorted(FOLDER.glob("[0-9]*.py")) if p.name.startswith(tuple(options.names) or "")]
    if options.action == "execute":
        from mlxgan import SMOKE, data

        if SMOKE:
            parser.error("MLXGAN_SMOKE is set: stored outputs come from full runs")
        for name in data.SHA256:
            data.locate(name)
    for source in sources:
        path = update(source)
        if options.action == "execute":
            print(f"{path.name} ...", flush=True)
            start = time.perf_counter()
            execute(path)
            if source.stem in SHIPPED:
                ship(*SHIPPED[source.stem])
            print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
