"""Time a generator in Python, C++ and JavaScript, and write book/data/export.json, which a chapter reads.

``python tools/export_times.py`` takes about three minutes. It exports the generator, builds the program in tools/cpp,
and measures each way of drawing in a process of its own; the ways take turns. It needs CMake, a C++ compiler, and
Node.js, which runs the page's generator.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import common

OUT = common.ROOT / "book" / "data" / "export.json"
MODEL = common.GENERATOR  #: a shipped model; the page has its generator's weights, rounded
PAGE = common.ROOT / "book" / "_static"
BATCHES = {1: 50, 100: 3}  #: images per call, and how many calls are timed
PYTHON = ("Python", "Python, compiled", "Python, imported")
NEEDED = ("cmake", "c++", "node")


def missing(*programs: str) -> list[str]:
    """Return those of the programs that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


def build(folder: Path) -> Path:
    """Build tools/cpp in ``folder`` and return the program. Raises CalledProcessError, with what the compiler said."""
    python = f"-DPython_EXECUTABLE={sys.executable}"
    source = common.ROOT / "tools" / "cpp"
    for command in (["cmake", "-S", source, "-B", folder, python], ["cmake", "--build", folder]):
        subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return folder / "digits"


def export(folder: Path) -> None:
    """Write the function to ``folder``, and its inputs for each number of images, named like 100.safetensors."""
    from mlxgan import checkpoints, export

    import mlx.core as mx

    generator = checkpoints.load_pretrained(MODEL).generator
    export.write(folder, generator)
    for n in BATCHES:
        z, labels = export.inputs(generator, n)
        mx.save_safetensors(str(folder / f"{n}.safetensors"), {"z": z, "labels": labels})


def work(way: str, folder: Path, n: int) -> None:
    """Print the median time of a call in ms, for a way in Python."""
    from mlxgan import checkpoints

    import mlx.core as mx

    arrays, _ = checkpoints.read(folder / f"{n}.safetensors")
    generator = checkpoints.load_pretrained(MODEL).generator
    mx.eval(generator.parameters(), arrays)
    imported = mx.import_function(str(folder / "generator.mlxfn"))
    draw: Any = dict(zip(PYTHON, (generator, mx.compile(generator), imported), strict=True))[way]
    times = []
    for count in range(BATCHES[n] + 3):
        start = time.perf_counter()
        mx.eval(draw(arrays["z"], arrays["labels"]))
        if count >= 3:
            times.append(1000 * (time.perf_counter() - start))
    print(statistics.median(times))


def printed(command: list, **environment: str) -> float:
    """Run a program that prints ``N images, T ms``, and return T."""
    words = [str(word) for word in command]
    run = subprocess.run(words, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(run.stdout.split()[-2])


def measure(folder: Path, program: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the milliseconds per image of each way, by the number of images in a call: one value for each round."""
    from mlxgan import blas

    found: dict[str, dict[str, list[float]]] = {}
    fast = next(iter(sorted(blas.CACHE.glob("libopenblas-*.so"))), None)  # what import mlxgan loads before MLX
    for number in range(1, rounds + 1):
        for n, repeats in BATCHES.items():
            arguments = [folder / "generator.mlxfn", folder / f"{n}.safetensors", folder / "out", repeats]
            ways = {way: float(common.work(__file__, way, "--folder", folder, "--n", n)) for way in PYTHON}
            ways["C++"] = printed([program, *arguments])
            if fast:
                ways["C++, OpenBLAS"] = printed([program, *arguments], LD_PRELOAD=str(fast))
            ways["JavaScript"] = printed(["node", common.ROOT / "tools" / "draw_in_node.js", *arguments[1:]])
            for way, milliseconds in ways.items():
                found.setdefault(way, {}).setdefault(str(n), []).append(round(milliseconds / n, 4))
        print(f"round {number} of {rounds}", file=sys.stderr)
    return found


def sizes(folder: Path, program: Path) -> dict[str, int]:
    """Return the bytes of the files that each way needs beside its language."""
    from mlxgan import checkpoints

    import mlx.core as mx

    library = Path(mx.__file__).parent / "lib"
    libraries = [*library.glob("libmlx.*"), *library.parents[1].glob("mlx_*.libs/*")]
    return {
        f"{MODEL}.safetensors, with the referee": (checkpoints.PRETRAINED / f"{MODEL}.safetensors").stat().st_size,
        "generator.mlxfn": (folder / "generator.mlxfn").stat().st_size,
        "weights.js and its parts": sum(file.stat().st_size for file in (PAGE / "generator").glob("weights*.js")),
        "generator.js": (PAGE / "generator.js").stat().st_size,
        "digits": program.stat().st_size,
        "libmlx and what it loads": sum(file.stat().st_size for file in libraries),
    }


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--rounds", type=common.whole(1, 100), default=5)
    parser.add_argument("--work", choices=PYTHON, help=SUPPRESS)
    parser.add_argument("--folder", type=Path, default=Path(), help=SUPPRESS)
    parser.add_argument("--n", type=int, choices=BATCHES, default=1, help=SUPPRESS)
    options = parser.parse_args()
    if options.work:
        if not (options.folder / f"{options.n}.safetensors").is_file():
            parser.error(f"--folder: {str(options.folder)!r} holds no export")
        return work(options.work, options.folder, options.n)
    if absent := missing(*NEEDED):
        parser.error(f"not installed: {', '.join(absent)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export(folder)
        start = time.perf_counter()
        program = build(folder / "build")
        seconds = time.perf_counter() - start
        tools = {tool: subprocess.run([tool, "--version"], capture_output=True, text=True) for tool in ("c++", "node")}
        result: dict[str, Any] = {
            "machine": common.machine(),
            "versions": common.versions("mlx") | {tool: run.stdout.split("\n")[0] for tool, run in tools.items()},
            "model": MODEL,
            "seconds to build": round(seconds, 1),
            "milliseconds per image": measure(folder, program, options.rounds),
            "bytes": sizes(folder, program),
        }
    for way, row in result["milliseconds per image"].items():
        cells = (f"{statistics.median(v):9.3f} ({min(v):.3f} to {max(v):.3f})" for v in row.values())
        print(f"{way:20}" + "".join(f"{cell:>32}" for cell in cells))
    common.write_json(OUT, result)


if __name__ == "__main__":
    main()
