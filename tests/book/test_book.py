"""The book builds without a warning, from clean, and its pages are whole."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built from a copy of its sources, beside things that are no part of it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("book", "notebooks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("_build", ".ipynb_checkpoints"))
    for name in ("_config.yml", "_toc.yml", "README.md"):
        shutil.copy(ROOT / name, source)
    (source / ".venv" / "package").mkdir(parents=True)
    (source / ".venv" / "package" / "README.md").write_text("# No page of the book")
    command = [Path(sys.executable).parent / "jupyter-book", "build", "-W", "-n", "--all", "--path-output", out, source]
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-5000:]
    return out / "_build" / "html"


class Images(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[dict] = []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.found.append(dict(attributes))


def pages(site: Path) -> list[Path]:
    found = [*site.glob("book/*.html"), *site.glob("notebooks/*.html")]
    assert len(found) >= 10
    return found


def test_every_page_of_the_contents_is_there(site):
    files = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text())
    assert len(files) >= 10
    for file in files:
        assert (site / f"{file}.html").is_file()
    assert (site / "index.html").is_file()


def test_every_picture_exists_and_says_what_is_to_be_seen(site):
    count = 0
    for page in pages(site):
        parser = Images()
        parser.feed(page.read_text())
        for image in parser.found:
            count += 1
            assert len(image.get("alt", "")) > 20, f"{page.name}: {image}"
            if "src" in image:  # a film's frames come from its script
                assert (page.parent / image["src"]).is_file(), f"{page.name}: {image}"
    assert count >= 15


def test_pages_are_small_enough(site):
    for page in pages(site):
        parser = Images()
        parser.feed(page.read_text())
        images = {page.parent / image["src"] for image in parser.found if "src" in image}
        assert page.stat().st_size + sum(image.stat().st_size for image in images) < 5e6, page.name


def test_references_resolve_and_figures_are_numbered(site):
    for page in pages(site):
        text = page.read_text()
        assert "[?]" not in text and "{numref}" not in text and "{cite" not in text
    assert "Fig." in (site / "notebooks" / "05_training.html").read_text()
