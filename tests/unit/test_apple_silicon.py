"""What would fail on a Mac alone is looked for here, on any machine."""

import ast
import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import jupytext
import mlx.core as mx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CODE = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "notebooks").glob("*.py"), *(ROOT / "tools").glob("*.py")])
each = pytest.mark.parametrize("path", CODE, ids=lambda path: path.stem)

#: Of mx.linalg these alone have code for a GPU; the rest raises there unless told ``stream=mx.cpu``.
ON_THE_GPU = {"norm", "cross"}


def tree_of(text: str) -> ast.Module:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
    return tree


def source(path: Path) -> str:
    """The code of a file; of a notebook's source without its magics."""
    if path.parent.name != "notebooks":
        return path.read_text(encoding="utf-8")
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    return "\n".join(cell for cell in cells if not cell.startswith("%%"))


def gpu_troubles(text: str) -> list[str]:
    """What in a piece of code an Apple GPU would refuse, or do otherwise than the author thinks."""
    found = []
    for node in ast.walk(tree_of(text)):
        name = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Call) else ""
        if isinstance(node, ast.Attribute) and name in ("mx.float64", "mlx.core.float64"):
            found.append(f"{name}: there is none on the GPU")
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlx.core"):
            found.append("from mlx.core import: this test looks for mx. alone")
        if not isinstance(node, ast.Call):
            continue
        called, options = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        on_the_cpu = options.get("stream") == "mx.cpu"
        factorisation = re.fullmatch(r"mx\.linalg\.(\w+)", called)
        if factorisation and factorisation[1] not in ON_THE_GPU and not on_the_cpu:
            found.append(f"{name}: for the CPU alone, needs stream=mx.cpu")
        order = ast.unparse(node.args[1]) if len(node.args) > 1 else options.get("ord", "None")
        singular = order == "'nuc'" or (order in ("2", "-2") and "axis" not in options)
        if called == "mx.linalg.norm" and singular and not on_the_cpu:
            found.append(f"{name}: a matrix norm by singular values, for the CPU alone")
        if called == "mx.random.multivariate_normal" and not on_the_cpu:
            found.append(f"{name}: takes singular values, for the CPU alone")
        shares = called in ("np.asarray", "np.from_dlpack") or options.get("copy") == "False"
        if shares and "Image" not in name:
            found.append(f"{name}: NumPy may share MLX's memory")
        if called == "memoryview" and getattr(node.parent, "attr", "") != "strides":  # type: ignore[attr-defined]
            found.append(f"{name}: shares MLX's memory")
    return found


#: What is done on purpose: a trap that is shown, and reference values that are computed on the CPU.
ON_PURPOSE = {
    "02_mlx": ["np.asarray(a): NumPy may share MLX's memory"],
    "14_own_pictures": ["np.asarray(canvas.convert('L')): NumPy may share MLX's memory"],  # Pillow's, and only read
    "export_lab": ["mx.float64: there is none on the GPU"],
}


@each
def test_nothing_that_a_gpu_refuses(path):
    assert gpu_troubles(source(path)) == ON_PURPOSE.get(path.stem, [])


@pytest.mark.parametrize(
    "text",
    [
        "x = x.astype(mx.float64)",
        "mx.linalg.svd(x)",
        "mx.linalg.inv(x, stream=mx.gpu)",
        "mx.linalg.norm(x, ord='nuc')",
        "mx.linalg.norm(x, 2)",
        "mx.random.multivariate_normal(mean, cov)",
        "np.asarray(x)[0] = 1",
        "np.array(x, copy=False)",
        "memoryview(x)[0]",
        "from mlx.core import linalg",
    ],
)
def test_the_search_finds(text):
    assert len(gpu_troubles(text)) == 1


def test_the_search_leaves_alone_what_is_right():
    right = "mx.linalg.qr(x, stream=mx.cpu); mx.linalg.norm(x, axis=1); np.array(x, np.float64); memoryview(x).strides"
    assert gpu_troubles(right) == []
    assert {"svd", "eigh", "inv", "qr", "cholesky"} <= set(dir(mx.linalg)) - ON_THE_GPU


NUMERICS = ("models", "losses", "training", "metrics")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the package changes MLX on Linux alone")
def test_the_numerics_hold_on_mlx_as_installed_without_a_compiler(tmp_path):
    (tmp_path / "path").mkdir()
    environment = os.environ | {"MLXGAN_STOCK_CPU": "1", "PATH": str(tmp_path / "path")}
    for name in [name for name in environment if name.startswith("PYTEST")]:
        del environment[name]
    assert shutil.which("g++", path=environment["PATH"]) is None
    tests = [str(ROOT / "tests" / "unit" / f"test_{name}.py") for name in NUMERICS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-5000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed[1]) > 50


#: Constructs that macOS's make 3.81, bash 3.2 and BSD tools lack or read otherwise, and what is wrong with them.
GNU_ONLY = {
    r"grep\s+(-\w+\s+)*-\w*P": "grep -P",
    r"sed\s+(-\w+\s+)*-i(?!\s*'')\b": "sed -i without a suffix",
    r"sed\s+(-\w+\s+)*-r\b": "sed -r",
    r"\breadlink\s+-\w*f": "readlink -f",
    r"\bdate\s+(-\w+\s+)*(-d\b|--)": "date -d",
    r"\b(cp|mv|rm|ls|mkdir|sort|head|tail|cut|wc|stat|touch|find|xargs|du)\s+([^|;&]*\s)?--\w+": "a long option",
    r"\bcp\s+(-\w+\s+)*-\w*[tu]\b": "cp -t, cp -u",
    r"\bxargs\s+(-\w+\s+)*-\w*[rd]\b": "xargs -r, xargs -d",
    r"(?<![\w-])(timeout|nproc|tac|shuf|sha256sum|md5sum|realpath|numfmt)\b": "a tool of GNU's coreutils",
    r"\bstat\s+-c\b": "stat -c",
    r"\bfind\s+-(name|type|path)\b": "find without a folder",
    r"\bmktemp\s+--": "mktemp with a long option",
    r"\b(declare|local)\s+-A\b|\b(mapfile|readarray)\b|\$\{\w+(,,|\^\^|@)": "bash 4",
    r"^\.ONESHELL|^\.SHELLFLAGS|\$\(file\s|\$\(guile\s|\$\(let\s|\$\(intcmp\s|^[\w.]+\s*!=|&:": "make after 3.81",
}


def gnu_only(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [
        f"{what}: {line.strip()}" for line in lines for pattern, what in GNU_ONLY.items() if re.search(pattern, line)
    ]


def test_no_tool_or_option_that_a_mac_lacks():
    scripts = [ROOT / "Makefile", ROOT / ".ci" / "run", *ROOT.glob("tools/*.sh")]
    for path in (path for path in scripts if path.exists()):
        assert gnu_only(path.read_text(encoding="utf-8")) == [], path.name
    assert (ROOT / "Makefile").exists()


@pytest.mark.parametrize(
    "line",
    [
        "grep -oP '[0-9]+' file",
        "sed -i s/a/b/ file",
        "readlink -f file",
        "date -d yesterday",
        "cp --parents a b",
        "rm -r --force x",
        "timeout 10 sleep 1",
        "stat -c %s file",
        ".ONESHELL:",
        "\t$(file >x,y)",
        "declare -A map",
        "xargs -r rm",
        "head --lines=3",
    ],
)
def test_the_search_for_gnu_finds(line):
    assert gnu_only(line)


def test_the_search_for_gnu_leaves_alone_what_is_right():
    for line in ("sed -E 's/a/b/'", "grep -E x", "sed -i '' s/a/b/ file", "\t$(BIN)/pip install --quiet", "rm -rf a-b"):
        assert gnu_only(line) == []


def test_no_two_files_have_the_same_name_but_for_case():
    folders = [ROOT / name for name in ("book", "notebooks", "src", "tests", "tools")]
    files = [path.relative_to(ROOT) for folder in folders for path in folder.rglob("*")]
    names = Counter(str(path).casefold() for path in files if "__pycache__" not in path.parts)
    assert len(names) > 50
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize(
    ("system", "machine", "macos", "python", "complaint"),
    [
        ("Darwin", "arm64", "14.0", (3, 14), None),
        ("Darwin", "arm64", "26.1", (3, 11), None),
        ("Darwin", "arm64", "13.6", (3, 12), "macOS 14"),
        ("Darwin", "x86_64", "14.0", (3, 12), "Rosetta"),
        ("Linux", "riscv64", "", (3, 12), "processor"),
        ("Windows", "AMD64", "", (3, 12), "macOS 14 or Linux"),
        ("Darwin", "arm64", "14.0", (3, 10), "Python"),
        ("Darwin", "arm64", "14.0", (3, 15), "Python"),
    ],
)
def test_the_check_of_the_machine_names_what_is_missing(monkeypatch, system, machine, macos, python, complaint):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (macos, ("", "", ""), machine))
    missing = runpy.run_path(str(ROOT / "tools" / "check_machine.py"))["missing"]
    monkeypatch.setattr(sys, "version_info", python)
    line = missing()
    assert (line is None) if complaint is None else (complaint in line)


def test_all_files_name_the_same_versions_of_python():
    first, last = re.findall(r"\(3, (\d+)\)", (ROOT / "tools" / "check_machine.py").read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"\(3, (\d+)\)", makefile) == [first, last]
    versions = [str(minor) for minor in range(int(first), int(last) + 1)]
    assert re.findall(r"python3\.(\d+)", makefile) == versions[::-1]
    assert re.search(r"for python in (.*);", makefile)[1].split() == [f"3.{minor}" for minor in versions]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">=3.{first},<3.{int(last) + 1}"


def pins(name: str) -> dict[str, list[Requirement]]:
    """The requirements in a file, by the name of their package."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "-")):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_the_lock_pins_every_package_that_is_not_pinned_by_hand():
    chosen, locked = pins("requirements.txt"), pins("constraints.txt")
    assert not chosen.keys() & locked.keys()
    everything = [pin for entries in (chosen | locked).values() for pin in entries]
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) and not pin.url for pin in everything)

    queue = [(name, extra) for name, entries in chosen.items() for pin in entries for extra in ("", *pin.extras)]
    seen = set()
    while queue:
        name, extra = queue.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        assert name in chosen or name in locked, f"{name} is not pinned: run make lock"
        try:
            needs = map(Requirement, requires(name) or ())
        except PackageNotFoundError:  # for another system or Python than this one
            continue
        for need in needs:
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                queue += [(canonicalize_name(need.name), word) for word in ("", *need.extras)]


@pytest.mark.parametrize("system", ["darwin", "linux"])
def test_the_lock_holds_what_each_system_needs(system):
    entries = [pin for found in pins("constraints.txt").values() for pin in found]
    names = {pin.name for pin in entries if pin.marker is None or pin.marker.evaluate({"sys_platform": system})}
    assert ("mlx-metal" in names, "mlx-cpu" in names) == (system == "darwin", system == "linux")
