"""The notebooks in JupyterLab, as `make lab` opens them: drawn, in a copy, and not executed."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

#: Opens a file without a kernel, as `opened`, and waits until JupyterLab has made its cells.
OPEN = """async (path) => {
  const kernelPreference = { shouldStart: false, canStart: false };
  globalThis.opened = await jupyterapp.commands.execute("docmanager:open", { path, kernelPreference });
  await Promise.all([opened.context.ready, opened.revealed]);
  await Promise.all((opened.content.widgets ?? []).map((cell) => cell.ready));
}"""
CLOSE = "opened.dispose()"  # the command of the menu might ask whether to save

#: Whether all text cells are drawn; `.myst` is what jupyterlab-myst makes of them.
DRAWN = """[...opened.node.querySelectorAll(".jp-MarkdownCell")].every(
  (cell) => cell.querySelector(".myst")?.textContent)"""

#: What jupyterlab-myst makes of a reference or a formula that it does not understand, and of an unknown directive.
WARNING = "span.text-yellow-600[title], .myst-exercise[class*='border-red']"

#: What a notebook shows: its text without code and formulas, how many boxes and the like, and what failed.
SHOWN = """async (warning) => {
  const all = (css) => [...opened.node.querySelectorAll(`.jp-MarkdownCell .myst ${css}`)];
  const plain = (part) => {
    const copy = part.cloneNode(true);
    copy.querySelectorAll("code, pre, .katex").forEach((other) => other.remove());
    return copy.textContent;
  };
  const broken = await Promise.all(all("img").map(async (image) => {
    image.loading = "eager";
    try { await image.decode(); } catch { return image.src; }
  }));
  return {
    text: all("").map(plain).join("\\n"),
    counts: ["details", "aside", "table", "img"].map((tag) => all(tag).length),
    wrong: broken.filter(Boolean).concat(all(`:is(.katex-error, ${warning})`).map((part) => part.textContent)),
  };
}"""
POPUPS = "[...document.querySelectorAll('.jp-Dialog, .Toastify__toast')].map((popup) => popup.textContent)"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address at which the command of `make lab` serves a copy of the book."""
    base = tmp_path_factory.mktemp("jupyterlab")
    copy = base / "copy"
    for name in (".jupyter", "book", "notebooks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    own = {f"JUPYTER_{kind}_DIR": str(base / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    variables = [f"CURDIR={copy}", f"BIN={Path(sys.executable).parent}"]
    make = subprocess.run(
        ["make", "--no-print-directory", "-n", "lab", *variables], cwd=ROOT, capture_output=True, text=True, check=True
    )
    command = ["env", *shlex.split(make.stdout.splitlines()[-1])]
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--LabApp.expose_app_in_browser=True"]
    environment = os.environ | own | {"TMPDIR": os.environ["MLXGAN_TMPDIR"]}  # not the folder of MLX's kernels
    log = base / "log"
    with (
        open(log, "wb") as output,
        subprocess.Popen(
            command + options, cwd=copy, env=environment, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            until = time.monotonic() + 240  # the first start on a busy machine
            while not (found := list(base.glob("RUNTIME/jpserver-*-open.html"))):
                assert process.poll() is None and time.monotonic() < until, log.read_text(encoding="utf-8")
                time.sleep(0.1)
            running = json.loads(Path(str(found[0]).replace("-open.html", ".json")).read_text(encoding="utf-8"))
            yield f"{running['url']}?token={running['token']}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def lab(browser, server):
    """A tab that has opened this address."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        tab = context.new_page()
        tab.set_default_timeout(120_000)
        tab.goto(server)
        tab.wait_for_function("globalThis.jupyterapp?.shell.currentWidget?.content.widgets?.length")
        yield tab


def test_make_lab_opens_the_first_chapter_and_keeps_its_sources_out_of_the_way(lab):
    assert lab.evaluate("jupyterapp.shell.currentWidget.context.path") == "notebooks/01_first_gan.ipynb"
    listed = lab.locator(".jp-DirListing-itemText")
    listed.last.wait_for()
    assert listed.all_inner_texts() == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_boxes_and_pictures_and_no_markup(lab, path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    if "{admonition} What you will learn" in prose:
        pytest.skip("a chapter of the first edition")
    lab.evaluate(OPEN, f"notebooks/{path.name}")
    lab.wait_for_function(DRAWN)
    shown = lab.evaluate(SHOWN, WARNING)
    lab.evaluate(CLOSE)
    marks = (r"^:::\{dropdown", r"^:::\{(?!dropdown)", r"^\|[-:| ]+\|$", r"!\[")
    assert shown["counts"] == [len(re.findall(mark, prose, re.MULTILINE)) for mark in marks]
    assert re.findall(r".*(?:::|```|\{[a-z-]+\}|\]\(|\$|:class:).*", shown["text"]) == []
    assert shown["wrong"] == []
    assert re.findall(r"\{[\w:-]+\}`", prose) == [], "a role that it does not know shows its text, and no warning"


def test_a_directive_and_a_reference_that_nobody_knows_would_be_seen(lab):
    cell = nbformat.v4.new_markdown_cell(":::{nosuch}\nText\n:::\n\n{ref}`nowhere` and {cite}`nobody`")
    model = {"type": "notebook", "format": "json", "content": nbformat.v4.new_notebook(cells=[cell])}
    lab.evaluate("model => jupyterapp.serviceManager.contents.save('wrong.ipynb', model)", model)
    lab.evaluate(OPEN, "wrong.ipynb")
    lab.wait_for_function(DRAWN)
    wrong = lab.evaluate(SHOWN, WARNING)["wrong"]
    lab.evaluate(CLOSE)
    assert wrong == ["nosuch - Unknown DirectiveText", "nowhere", "nobody"]


def test_links_open_the_references_and_another_chapter(lab):
    lab.evaluate(OPEN, "notebooks/04_models.ipynb")
    here = lab.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    here.get_by_role("link", name="White (2016)").first.click()
    expect(lab.get_by_role("heading", name="White (2016)")).to_be_attached(timeout=120_000)
    lab.evaluate("jupyterapp.shell.currentWidget.dispose()")
    here.get_by_role("link", name="The data").first.click()
    lab.wait_for_function("jupyterapp.shell.currentWidget?.context?.path === 'notebooks/03_data.ipynb'")


def test_nothing_pops_up(lab):
    """JupyterLab asks five seconds after its start whether it may fetch news."""
    lab.wait_for_function("performance.now() > 10_000")
    assert lab.evaluate(POPUPS) == []
