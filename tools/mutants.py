"""Put faults into a copy of the package, one at a time, and see whether the unit tests notice.

``make mutants`` installs cosmic-ray and runs this. Each fault is a small change at one place of a module: another
operator, number or condition, a loop without turns, a call or an argument left out. A hash of the line decides which
places are tried, so that most stay the same when other lines change. Faults that no test sees are printed as they are
found; those in HARMLESS change nothing that a test should see.
"""

import ast
import contextlib
import hashlib
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import common

#: The modules, and the tests that should notice their faults; first those whose faults change results.
MODULES = {
    "files": ("files", "checkpoints"),
    "data": ("data", "pictures"),
    "layers": ("layers",),
    "products": ("layers",),
    "augment": ("augment",),
    "losses": ("losses",),
    "measures": ("metrics",),
    "models": ("models", "recipes"),
    "recipes": ("recipes",),
    "history": ("history", "training"),
    "checkpoints": ("checkpoints", "resume"),
    "training": ("training", "history"),
    "download": ("data",),
    "metrics": ("metrics",),
    "pictures": ("pictures",),
    "rejection": ("rejection",),
    "classifiers": ("rejection", "models"),
    "export": ("export_cpp",),
    "plots": ("plots",),
    "blas": ("blas", "house"),
    "resume": ("resume",),
    "__main__": ("cli",),
}
#: Of cosmic-ray's operators, those whose change still computes something: * becomes /, but not <<.
PLAUSIBLE = re.compile(
    "core/(Replace(BinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Pow_Mul)"
    "|ComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_GtE|LtE_Gt|Gt_LtE|GtE_Lt|Is_IsNot|IsNot_Is)"
    "|UnaryOperator_Delete_(USub|Not)|TrueWithFalse|FalseWithTrue|AndWithOr|OrWithAnd)"
    "|AddNot|ExceptionReplacer|NumberReplacer|RemoveDecorator|ZeroIterationForLoop)"
)
#: Faults that no test should see, by a part of the changed line, and why.
HARMLESS = {
    'keys="u", recurse=True': "the layer inside has no u",
    "batch_size: int, /, seed": "only the ways to write the call change",
    "spread <= ALIKE": "no run hits the limit exactly",
    "real >= SURE_REAL": "no run hits the limit exactly",
    "[: 199]": "a message is one letter shorter",
    "epochs= 51": "how long the tutorial's GAN trains is a choice",
}


class LeaveOut:
    """One more operator: no argument that has a name, as in ``f(axis=0)``, or no statement that calls or adds."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if self.instead_of(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        from parso.python.tree import Name

        return Name(self.instead_of(node), node.start_pos, node.get_first_leaf().prefix)

    def instead_of(self, node: Any) -> str:
        if node.type == "argument" and node.children[1] == "=":
            return "**{}"
        adds = node.type == "expr_stmt" and node.children[1].type == "operator" and node.children[1] != "="
        is_statement = node.parent and node.parent.type == "simple_stmt"
        return "pass" if is_statement and (adds or node.type in ("atom_expr", "power")) else ""


def mutants(module: str, source: str) -> Iterator[str]:
    """Yield the source with one fault, for each place in turn, in the order of the hashes."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    def hashed(*what: object) -> str:
        return hashlib.sha256(repr(what).encode()).hexdigest()

    names = filter(PLAUSIBLE.fullmatch, plugins.operator_names())
    operators: dict[str, Any] = {name: plugins.get_operator(name)() for name in names} | {"leave out": LeaveOut()}
    places: dict[str, list] = defaultdict(list)
    lines, nodes = source.splitlines(), list(ast_nodes(get_ast(source)))
    for name, operator in operators.items():
        positions = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (row, column) in enumerate(positions):
            line = lines[row - 1]
            place = hashed(module, line, lines[:row].count(line), column)
            places[place].append((hashed(place, name, len(places[place])), name, occurrence))
    for place in sorted(places):
        _, name, occurrence = min(places[place])
        mutated = mutate_code(source, operators[name], occurrence)
        with contextlib.suppress(SyntaxError):
            ast.parse(mutated)
            yield mutated


def examine(module: str, most: int) -> Counter:
    """Print the faults of a module that its tests do not see; return how many were seen, missed, and so on."""
    from cosmic_ray.testing import TestOutcome, run_tests

    path, found = Path("src", "mlxgan", f"{module}.py"), Counter[str]()
    tests = [f"tests/unit/test_{name}.py" for name in MODULES[module]]
    command = shlex.join([sys.executable, "-m", "pytest", "-qxm", "not slow", "-p", "no:cacheprovider", *tests])
    source, start = path.read_text(encoding="utf-8"), time.perf_counter()
    outcome, printed = run_tests(command, 600)
    if outcome is not TestOutcome.SURVIVED:
        raise SystemExit(f"{printed}\nmutants.py: the tests of {module} fail without a fault")
    limit = 60 + 5 * (time.perf_counter() - start)  # a fault may also change which kernels are built
    for mutated in islice(mutants(module, source), most):
        path.write_text(mutated, encoding="utf-8")
        outcome, printed = run_tests(command, limit)
        if outcome is not TestOutcome.SURVIVED:
            found["too slow" if printed == "timeout" else "seen"] += 1
            continue
        pairs = zip(source.splitlines(), mutated.splitlines(), strict=False)
        number, old, new = next((i, a.strip(), b.strip()) for i, (a, b) in enumerate(pairs, 1) if a != b)
        why = next((why for part, why in HARMLESS.items() if part in new), "")
        found["harmless" if why else "missed"] += 1
        print(f"{module}.py:{number}: {f'harmless, {why}' if why else 'missed'}\n  - {old}\n  + {new}", flush=True)
    path.write_text(source, encoding="utf-8")
    return found


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--most", type=common.whole(1, 1000), default=20, help="faults per module (default: 20)")
    parser.add_argument("--only", nargs="+", choices=MODULES, default=list(MODULES), help="modules (default: all)")
    options = parser.parse_args()
    if not find_spec("cosmic_ray"):
        parser.error("cosmic-ray is not installed: run make mutants")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # some tests of root's are another user's for a while
        for part in ("src", "tests", ".pytest_cache"):  # the last has the kernels that earlier tests built
            if (common.ROOT / part).exists():
                shutil.copytree(common.ROOT / part, Path(folder, part), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(common.ROOT / "pyproject.toml", folder)
        # the plugins, none of which these tests need, take seconds to load
        os.environ |= {"PYTHONPATH": f"{folder}/src", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with contextlib.chdir(folder):
            found = {module: examine(module, options.most) for module in options.only}
    kinds = ("seen", "too slow", "harmless", "missed")
    print(f"\n{'module':12}{'faults':>10}{''.join(f'{kind:>10}' for kind in kinds)}{'score':>10}")
    for module, count in (found | {"all": sum(found.values(), Counter())}).items():
        numbers = "".join(f"{number:10}" for number in (count.total(), *(count[kind] for kind in kinds)))
        print(f"{module:12}{numbers}{count['seen'] / count.total():>10.0%}")


if __name__ == "__main__":
    main()
