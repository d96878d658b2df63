"""Copy the notebooks' sources to .ipynb files, and execute these in full.

``python tools/notebooks.py update`` copies the cells of notebooks/NN_topic.py to notebooks/NN_topic.ipynb and keeps
the stored outputs. ``python tools/notebooks.py execute [NN ...]`` does that too, and then executes the notebooks on
MNIST with nothing left out. It stores their outputs, with a record of where they come from in the metadata, and ships
the models that they train. Both take every notebook if none is named, and put the links to the site and to Colab into
the table of README.md, as soon as pyproject.toml knows these addresses.
"""

import base64
import datetime
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import common

if TYPE_CHECKING:
    from nbformat import NotebookNode

FOLDER = common.ROOT / "notebooks"
README = common.ROOT / "README.md"
SHIPPED = {  # what the chapters train for the package: under which name, and from which file in runs/
    "06_training": {"mlp": "mlp/generator.safetensors"},
    "08_measuring": {"classifier": "classifier/classifier.safetensors"},
    "09_convolutions": {"dcgan": "dcgan/generator.safetensors"},
    "12_conditional": {"conditional": "conditional/generator.safetensors"},
    "13_to_the_floor": {"judge": "best/judge.safetensors", "best": "best/best.safetensors"},
}

DATA = {"14_own_pictures": "Omniglot and MNIST"}  # of all other chapters MNIST

#: The site folds cells by their tags; this is how JupyterLab and VS Code are told.
FOLDED = {
    "hide-input": ["source_hidden"],
    "hide-output": ["outputs_hidden"],
    "hide-cell": ["source_hidden", "outputs_hidden"],
}

#: What a notebook that was opened alone on Colab runs first, once the repository's address is known. The package stays
#: in the repository, whose files it finds from its own place; a kernel that is running does not see it there by itself.
COLAB = """!git clone -q --depth 1 {address} /content/book; pip install -q -e /content/book
%cd /content/book/notebooks
import sys; sys.path.insert(0, "/content/book/src")"""


def urls() -> dict[str, str]:
    """Return the addresses that pyproject.toml names: of the repository and of the site, if they are known."""
    project = tomllib.loads((common.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {})


def colab_cell() -> str | None:
    """Return the source of the cell for Colab, None as long as pyproject.toml does not name the repository."""
    address = urls().get("Repository")
    return COLAB.format(address=address) if address else None


def with_links(readme: str, urls: dict[str, str]) -> str:
    """Return the README with links behind each chapter of its table: to its page and to Colab, where these are."""
    addresses = {}
    if site := urls.get("Documentation"):
        addresses["site"] = f"{site.rstrip('/')}/notebooks/{{}}.html"
    if repository := urls.get("Repository"):
        name = repository.rstrip("/").removeprefix("https://github.com/")
        addresses["Colab"] = f"https://colab.research.google.com/github/{name}/blob/main/notebooks/{{}}.ipynb"

    def row(found: re.Match) -> str:
        links = (f" · [{where}]({address.format(found[2])})" for where, address in addresses.items())
        return f"{found[1]}{''.join(links)} |"

    return re.sub(r"^(\| \[[^]]+\]\(notebooks/(\w+)\.ipynb\))[^|]*\|", row, readme, flags=re.MULTILINE)


def own_cells(notebook: "NotebookNode") -> list:
    """Return the cells that come from the source, so all except the one for Colab."""
    return [cell for cell in notebook.cells if "colab" not in cell.metadata.get("tags", [])]


def code_digest(notebook: "NotebookNode") -> str:
    """Return the SHA-256 of the code cells' sources."""
    sources = [cell.source for cell in own_cells(notebook) if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def folded(notebook: "NotebookNode") -> "NotebookNode":
    """Return the notebook itself, in which cells say what JupyterLab and VS Code fold, as their tags do to the site."""
    for cell in notebook.cells:
        cell.metadata.pop("jupyter", None)
        if hidden := [part for tag in cell.metadata.get("tags", []) for part in FOLDED.get(tag, [])]:
            cell.metadata["jupyter"] = dict.fromkeys(hidden, True)
    return notebook


def find(names: list[str], sources: list[Path]) -> list[Path]:
    """Return the sources whose names begin with one of ``names``, all if there are none.

    Raises ValueError if one of ``names`` fits no source.
    """
    for name in names:
        if not any(source.name.startswith(name) for source in sources):
            chapters = ", ".join(source.stem for source in sources)
            raise ValueError(f"no chapter begins with {name!r}; there are: {chapters}")
    return [source for source in sources if source.name.startswith(tuple(names) or "")]


def update(source: Path) -> Path:
    """Copy the cells of a .py to its .ipynb; outputs of unchanged cells stay."""
    import nbformat

    subprocess.run([sys.executable, "-m", "jupytext", "--quiet", "--to", "ipynb", "--update", str(source)], check=True)
    path = source.with_suffix(".ipynb")
    notebook = folded(nbformat.read(path, as_version=4))
    if clone := colab_cell():
        tags = {"tags": ["colab", "remove-cell", "nbval-skip"]}
        notebook.cells.insert(0, nbformat.v4.new_code_cell(clone, metadata=tags, id="colab"))
    common.write(path, nbformat.writes(notebook) + "\n")
    return path


def execute(path: Path) -> None:
    """Execute a notebook in place; it is left as it was if a cell raises."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    folder = {"metadata": {"path": str(path.parent)}}
    client = nbclient.NotebookClient(
        notebook, timeout=None, record_timing=False, resources=folder, skip_cells_with_tag="colab"
    )
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":  # progress bars and the like are not part of the book
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(output.data["image/png"])
    notebook.metadata["mlxgan"] = {
        "code_sha256": code_digest(notebook),
        "data": DATA.get(path.stem, "MNIST"),
        "date": datetime.date.today().isoformat(),
        "machine": common.machine(),
        "seconds": round(time.perf_counter() - start),
        "threads": int(os.environ.get("OPENBLAS_NUM_THREADS") or os.cpu_count() or 1),  # which decide the last bits
        "versions": {"python": platform.python_version(), **common.versions("mlx", "numpy", "matplotlib")},
    }
    common.write(path, nbformat.writes(notebook) + "\n")


def smaller(figure: str) -> str:
    """Return a PNG in base64 with one byte for each pixel: exactly as it was if it is gray, else with 256 colors."""
    from PIL import Image, ImageChops

    with Image.open(io.BytesIO(base64.b64decode(figure))) as picture:
        colored, gray, dpi = picture.convert("RGB"), picture.convert("L"), picture.info.get("dpi")
    plain = ImageChops.difference(colored, gray.convert("RGB")).getbbox() is None
    file = io.BytesIO()
    (gray if plain else colored.quantize(256)).save(file, "PNG", optimize=True, **({"dpi": dpi} if dpi else {}))
    return base64.b64encode(file.getvalue()).decode()


def ship(name: str, file: str) -> None:
    """Put the model in runs/FILE into the package: the judge as it is, the others in half precision."""
    from mlxgan import checkpoints

    import mlx.core as mx

    path = common.ROOT / "runs" / file
    _, about = checkpoints.read(path)
    notes = {key: value for key, value in about.items() if key not in ("model", "arguments")}
    dtype = mx.float32 if name == "judge" else mx.float16
    checkpoints.save(checkpoints.PRETRAINED / f"{name}.safetensors", checkpoints.load(path), dtype=dtype, notes=notes)


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("action", choices=["update", "execute"])
    parser.add_argument("names", nargs="*", help="beginnings of file names, for example 05")
    options = parser.parse_args()
    try:
        sources = find(options.names, sorted(FOLDER.glob("[0-9]*.py")))
    except ValueError as error:
        parser.error(error)
    if options.action == "execute":
        parser.require_mnist()
    for source in sources:
        path = update(source)
        if options.action == "execute":
            print(f"{path.name} ...", flush=True)
            start = time.perf_counter()
            execute(path)
            for name, file in SHIPPED.get(source.stem, {}).items():
                ship(name, file)
            print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)
    readme = README.read_text(encoding="utf-8")
    if (linked := with_links(readme, urls())) != readme:
        common.write(README, linked)


if __name__ == "__main__":
    main()
