"""The sources, the stored outputs and the package tell the same story."""

import ast
import html
import re
from itertools import pairwise
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbconvert.filters import markdown2html
from notebooks import README, code_digest, colab_cell, execute, folded, own_cells, urls, with_links

ROOT = Path(__file__).parents[2]

SOURCES = sorted((ROOT / "notebooks").glob("[0-9]*.py"))
each = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def stored(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in own_cells(notebook) if cell.cell_type == "code"]


def test_there_are_notebooks_and_all_have_a_source():
    assert len(SOURCES) >= 12
    assert {path.stem for path in SOURCES} == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


@each
def test_source_and_notebook_hold_the_same_cells(source):
    def cells(notebook):
        return [(cell.cell_type, cell.source, dict(cell.metadata)) for cell in own_cells(notebook)]

    assert cells(folded(jupytext.read(source))) == cells(stored(source)), "run: python tools/notebooks.py update"


def test_what_the_site_folds_is_folded_in_jupyterlab_too():
    solution = nbformat.v4.new_code_cell("print(1)", metadata={"tags": ["hide-cell", "nbval-check-output"]})
    figure = nbformat.v4.new_code_cell("plt.show()", metadata={"tags": ["hide-input"], "jupyter": {"other": 1}})
    log, shown = nbformat.v4.new_code_cell(metadata={"tags": ["hide-output"]}), nbformat.v4.new_code_cell()
    both = nbformat.v4.new_code_cell(metadata={"tags": ["hide-input", "hide-output"]})
    notebook = folded(nbformat.v4.new_notebook(cells=[solution, figure, log, shown, both]))
    hidden = [sorted(cell.metadata.get("jupyter", {})) for cell in notebook.cells]
    whole = ["outputs_hidden", "source_hidden"]
    assert hidden == [whole, ["source_hidden"], ["outputs_hidden"], [], whole]


@each
def test_outputs_are_whole_and_from_a_full_run_of_this_code(source):
    notebook = stored(source)
    nbformat.validate(notebook)
    about = notebook.metadata["mlxgan"]
    assert about["code_sha256"] == code_digest(notebook), "run: python tools/notebooks.py execute"
    assert "MNIST" in about["data"] and about["seconds"] < 3600
    assert {"date", "machine", "versions"} <= set(about)
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert outputs
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
        assert not re.search(r"instead of \S+ \((?!for comparison)", text)
        assert not re.search(r"(/tmp|/home|/Users|/root|/work)/", text)


@each
def test_colab_gets_the_book_only_where_its_address_is_known(source):
    others = [cell.source for cell in stored(source).cells if "colab" in cell.metadata.get("tags", [])]
    assert others == ([colab_cell()] if colab_cell() else [])


def test_an_execution_notes_what_decides_its_outputs(tmp_path, capsys):
    path = tmp_path / "99_short.ipynb"
    cell = nbformat.v4.new_code_cell("import sys\nprint(6 * 7)\nprint('progress', file=sys.stderr)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    execute(path)
    notebook = nbformat.read(path, as_version=4)
    [output] = notebook.cells[0].outputs
    assert (output.name, output.text) == ("stdout", "42\n")
    about = notebook.metadata["mlxgan"]
    assert about["code_sha256"] == code_digest(notebook) and about["data"] == "MNIST"
    assert about["threads"] == 1 and about["versions"]["mlx"] and about["seconds"] < 60  # conftest.py sets one thread


def test_the_readme_leads_to_each_chapter_where_it_can_be_read_and_run():
    readme = README.read_text(encoding="utf-8")
    assert readme == with_links(readme, urls()), "run: python tools/notebooks.py update"
    known = {"Documentation": "https://me.example/book/", "Repository": "https://github.com/me/book"}
    linked = with_links(readme, known)
    for name in (source.stem for source in SOURCES if source.stem in readme):
        [line] = [line for line in linked.splitlines() if f"(notebooks/{name}.ipynb)" in line]
        assert line.split(" | ")[0].split(" · ")[1:] == [
            f"[site](https://me.example/book/notebooks/{name}.html)",
            f"[Colab](https://colab.research.google.com/github/me/book/blob/main/notebooks/{name}.ipynb)",
        ]
    assert linked.count("[Colab]") >= 20
    assert with_links(linked, known) == linked and with_links(linked, {}) == with_links(readme, {})


@each
def test_figures_have_a_caption_and_an_alternative_text(source):
    """Where a cell shows more than a figure, the caption follows: the builder gives each of its outputs the name."""
    names, cells = [], own_cells(stored(source))
    for cell, after in pairwise(cells):
        shown = [output.get("data", {}) for output in cell.get("outputs", []) if output.output_type != "stream"]
        if any({"image/png", "image/svg+xml"} & data.keys() for data in shown):
            about = cell.metadata["mystnb"]
            assert len(about["image"]["alt"]) > 40
            if len(shown) > 1:
                assert "figure" not in about and re.match(r"\*[^*\n]+\.\*\n", after.source), cell.source[:200]
                continue
            assert about["figure"]["caption"].endswith(".")
            names.append(about["figure"]["name"])
    assert len(set(names)) == len(names)
    assert all(name.startswith(f"fig-{source.stem[:2]}-") for name in names)


@each
def test_what_a_chapter_defines_is_what_the_package_holds(source):
    package: dict[str, list[str]] = {}
    for path in (ROOT / "src" / "mlxgan").glob("*.py"):
        for name, body in definitions(ast.parse(path.read_text(encoding="utf-8"))).items():
            package.setdefault(name, []).append(body)
    chapter = definitions(ast.parse(source.read_text(encoding="utf-8")))
    for name in package.keys() & chapter.keys():
        assert chapter[name] in package[name], f"{name} differs from the one in src/mlxgan"


def definitions(tree: ast.Module) -> dict[str, str]:
    """Top-level functions and classes by name, without docstrings and annotations."""
    found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return {name: ast.dump(Plain().visit(node)) for name, node in found.items()}


class Plain(ast.NodeTransformer):
    """Strips what a chapter may leave out or spell otherwise."""

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.visit_ClassDef(node)

    def visit_ClassDef(self, node):
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        self.generic_visit(node)
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        return node


def test_the_chapters_define_what_the_package_holds():
    chapters = set().union(*(definitions(ast.parse(source.read_text(encoding="utf-8"))) for source in SOURCES))
    assert {"MLPGenerator", "MLPDiscriminator", "discriminator_loss", "generator_loss", "make_step"} <= chapters
    assert {"Classifier", "DCGANGenerator", "DCGANDiscriminator", "ConditionalGenerator"} <= chapters
    assert {"ConditionalDiscriminator", "SpectralNorm", "gradient_penalty", "hinge_discriminator_loss"} <= chapters
    assert {"train", "make_average", "smoothed_discriminator_loss"} <= chapters


@each
def test_anatomy(source):
    notebook = stored(source)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if "{admonition} What you will learn" in prose:  # a chapter of the first edition
        exercises = re.findall(r"\{exercise\}.*\n:label: (\S+)", prose)
        assert exercises == re.findall(r"\{solution-start\} (\S+)", prose)
    else:
        assert re.search(r"^\*(Before|Nothing).* · To read: .+ · To run: .+\*$", prose, re.MULTILINE)
        exercises = re.findall(r"^### Exercise (\d+): .+ \((.+)\)$", prose, re.MULTILINE)
        assert [number for number, _ in exercises] == [str(n) for n in range(1, len(exercises) + 1)]
        assert {"derive", "code", "change and explain"} <= {kind for _, kind in exercises}
        assert prose.count(":::{dropdown} Solution") == len(exercises)
        assert not re.search(r"```\{|\{(numref|cite|doc|ref)\b", prose), "only plain links and colon fences"
    assert 3 <= len(exercises) <= 6
    assert "## Summary" in prose and "## Further reading" in prose
    lines = sorted(len(cell.source.splitlines()) for cell in code_cells(notebook))
    assert lines[-1] <= 56
    checked = [cell for cell in code_cells(notebook) if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert len(checked) >= 3 and all(cell.outputs for cell in checked)


@each
def test_plain_markdown_leaves_only_the_fences_of_boxes(source):
    """GitHub, Colab, and VS Code do not know MyST: there a box begins and ends with a line of text."""
    texts = [cell.source for cell in own_cells(stored(source)) if cell.cell_type == "markdown"]
    if any("{admonition} What you will learn" in text for text in texts):
        pytest.skip("a chapter of the first edition")
    rendered = "\n".join(map(markdown2html, texts))
    code_and_formulas = r"(?s)<(code|pre)\b.*?</\1>|\$\$.*?\$\$|\$[^$]+\$"
    plain = html.unescape(re.sub(r"<[^>]*>", "", re.sub(code_and_formulas, "", rendered)))
    fence = r"^:::$|^:::\{(dropdown|admonition)\} \S.*$|^:::\{(note|tip|warning)\}$|^:class: \w+$"
    boxless = re.sub(fence, "", plain, flags=re.MULTILINE)
    assert re.findall(r".*(?:```|:::|^:\w+:|^\+\+\+|\{[a-z-]+\}|\]\(|\]\[|\*\*|\$).*", boxless, re.MULTILINE) == []
