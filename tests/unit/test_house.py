"""The package is thin and stands on floors: a reader takes in each file at one sitting."""

import ast
import os
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import mlx.core as mx
import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "mlxgan"
FLOORS = {
    "files": 0, "blas": 0, "products": 0, "layers": 0, "augment": 0, "download": 0, "pictures": 0, "data": 0,
    "classifiers": 1, "models": 1, "losses": 1, "rejection": 1, "history": 1,
    "measures": 1, "recipes": 1, "checkpoints": 1, "plots": 1,
    "training": 2,
    "resume": 3, "metrics": 3, "export": 3,
    "__main__": 4,
}  # fmt: skip
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}
LINES = {name: len(source.splitlines()) for name, source in SOURCES.items()}


def length(node: ast.stmt) -> int:
    """Lines from the first to the last, without decorators."""
    return (node.end_lineno or 0) - node.lineno + 1


def imports(tree: ast.AST) -> set[str]:
    """The files of the package that a file imports, anywhere in it but for type checkers."""
    found = set()
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mlxgan.")}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            if node.level == 0 and module[0] != "mlxgan":
                continue
            inside = module if node.level else module[1:]
            found |= {alias.name for alias in node.names} if inside in ([], [""]) else {inside[0]}
    return found & FLOORS.keys()


def private_attributes(tree: ast.AST) -> list[str]:
    """Attributes of others that begin with one underscore, by text: those of MLX may change in any version."""
    own = {"self", "cls", "os", *FLOORS}  # os._exit is public
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name, of = node.attr, ast.unparse(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            name, of = getattr(node.args[1], "value", ""), ast.unparse(node.args[0])
        else:
            continue
        if str(name).startswith("_") and not str(name).startswith("__") and of not in own:
            found.append(f"{of}.{name}")
    return found


def test_every_file_has_its_floor():
    assert set(TREES) == {"__init__", *FLOORS}


@pytest.mark.parametrize("name", TREES)
def test_no_file_has_more_than_250_lines_and_no_function_more_than_50(name):
    assert LINES[name] <= 250
    functions = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [f"{node.name} has {length(node)} lines" for node in functions if length(node) > 50] == []


def test_the_layers_and_their_products_have_at_most_160_lines_each():
    assert LINES["layers"] <= 160 and LINES["products"] <= 160


def test_the_training_is_read_in_a_minute():
    """Its file has at most 220 lines, and its loop, without signature and docstring, at most 40."""
    assert LINES["training"] <= 220
    [loop] = [node for node in TREES["training"].body if isinstance(node, ast.FunctionDef) and node.name == "train"]
    assert ast.get_docstring(loop)
    assert loop.end_lineno - loop.body[0].end_lineno <= 40


def lines_of_code(name: str) -> int:
    """Lines of a file without docstrings, comments and empty lines, which shorten the reading."""
    texts = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            texts |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(SOURCES[name].splitlines(), 1)
    return sum(number not in texts and line.strip()[:1] not in ("", "#") for number, line in lines)


def test_the_package_has_at_most_1900_lines_of_code():
    assert sum(map(lines_of_code, SOURCES)) <= 1900


@pytest.mark.parametrize("name", FLOORS)
def test_a_file_imports_from_no_floor_above(name):
    assert [other for other in imports(TREES[name]) if FLOORS[other] > FLOORS[name]] == []


def test_imports_make_no_circle():
    try:
        order = list(TopologicalSorter({name: imports(TREES[name]) for name in FLOORS}).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {error.args[1]}")
    assert order.index("data") < order.index("training") < order.index("__main__")  # so imports were found


@pytest.mark.parametrize("name", TREES)
def test_no_private_attribute_of_another_package_is_used(name):
    assert private_attributes(TREES[name]) == []


@pytest.mark.parametrize("folder", ["src", "tools", "tests"])
def test_text_is_read_and_written_as_utf_8(folder):
    """Python's default depends on the system."""
    files = sorted((PACKAGE.parents[1] / folder).rglob("*.py"))
    assert len(files) > 10
    assert [(path.name, found) for path in files if (found := by_the_system(ast.parse(path.read_bytes())))] == []


def by_the_system(tree: ast.AST) -> list[str]:
    """Calls that open a file as text without its encoding."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        mode = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "mode")]
        is_text = name == "open" and "b" not in "".join(map(ast.unparse, mode))
        if name.endswith((".read_text", ".write_text")) or is_text:
            found += [] if any(each.arg == "encoding" for each in call.keywords) else [ast.unparse(call)]
    return found


def test_these_checks_see_what_they_look_for():
    program = """
if TYPE_CHECKING:
    from .training import History
else:
    from . import losses
def f():
    import mlxgan.plots
    from mlxgan import data
    from .models import Classifier
    return optimizer._schedulers, self._own, getattr(optimizer, "_state"), thing.__class__
    return open(path, "rb"), open(path), path.read_text(), open(path, encoding="utf-8"), path.write_text(text)
"""
    assert imports(ast.parse(program)) == {"losses", "plots", "data", "models"}
    assert private_attributes(ast.parse(program)) == ["optimizer._schedulers", "optimizer._state"]
    assert by_the_system(ast.parse(program)) == ["open(path)", "path.read_text()", "path.write_text(text)"]


def test_kernels_are_built_in_a_folder_of_this_process():
    """So that no process reads what another has written only in part."""
    folder = Path(os.environ["TMPDIR"])
    assert folder.parent.name == "kernels" and folder.stat().st_mode & 0o077 == 0
    with mx.stream(mx.cpu):
        mx.eval(mx.compile(lambda x: mx.exp(x) * mx.sin(x) + 1)(mx.ones(3)))
    assert list(folder.glob("mlx/*/cpu/*.so"))
