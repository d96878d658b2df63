"""The book builds without a warning, from clean, and its pages are whole."""

import json
import re
import shutil
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import book_site
import pytest
from docutils import nodes

ROOT = Path(__file__).parents[2]


class Images(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[dict] = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img" and "logo__image" not in attributes.get("class", ""):  # the title beside the logo says it
            self.found.append(attributes)


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
            if "src" in image:
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
    assert "Fig." in (site / "notebooks" / "06_training.html").read_text()


def meta(page: Path) -> dict[str, str]:
    return dict(re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', page.read_text()))


def test_every_page_has_a_title_and_a_description(site):
    for page in [*pages(site), site / "index.html", site / "404.html"]:
        about = meta(page)
        assert re.search(r"<title>[^<]{4,}</title>", page.read_text()), page.name
        assert len(about["description"]) > 20, page.name
    descriptions = [meta(page)["description"] for page in pages(site)]
    assert len(set(descriptions)) == len(descriptions)


def test_landing_page_has_every_chapter_with_its_times(site):
    text = (site / "book" / "index.html").read_text()
    entries = re.findall(r'<p class="chapter">.*?</li>', text, re.DOTALL)
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [re.search(r'href="\.\./notebooks/(\w+)\.html', entry)[1] for entry in entries] == [
        p.stem for p in notebooks
    ]
    for entry, notebook in zip(entries, notebooks, strict=True):
        seconds = json.loads(notebook.read_text())["metadata"]["mlxgan"]["seconds"]
        times = re.search(r"\d+ min to read · [^<]+", entry)[0]
        assert f"{book_site.duration(seconds)} to run" in times
        page = (site / "notebooks" / f"{notebook.stem}.html").read_text()
        assert times in page or "To run: " in page  # a chapter of the second edition says it in words


def test_times_are_worked_out_from_length(site):
    doctree = nodes.document("", "")
    doctree += nodes.paragraph("", "word " * 2200)
    cell = nodes.container("", nodes.literal_block("", "x = 1\n" * 60), classes=["cell_input"])
    doctree += [cell, nodes.literal_block("", "no cell\n" * 100)]
    assert book_site.minutes_to_read(doctree) == 12
    assert [book_site.duration(seconds) for seconds in (4, 1541, 5400)] == ["4 s", "26 min", "1.5 h"]


def test_execution_table_says_what_the_notebooks_say(site):
    text = (site / "book" / "executions.html").read_text()
    rows = re.findall(r"<tr.*?</tr>", text, re.DOTALL)[1:]
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for row, notebook in zip(rows, notebooks, strict=True):
        about = json.loads(notebook.read_text())["metadata"]["mlxgan"]
        for fact in (about["date"], about["machine"], *about["versions"].values()):
            assert fact in row, notebook.name


def test_epub_is_well_formed_and_offered(site):
    with zipfile.ZipFile(site / "gan-in-mlx.epub") as book:
        names = book.namelist()
        parts = [name for name in names if name.endswith((".xhtml", ".opf"))]
        assert len(parts) >= 15
        for part in parts:
            ElementTree.fromstring(book.read(part))  # readers of books refuse what is not well-formed
        assert b"<math" in book.read("notebooks/05_losses.xhtml")
        assert not [name for name in names if name.endswith(".js")]
    assert 'href="../gan-in-mlx.epub"' in (site / "book" / "index.html").read_text()


def test_chapters_have_stories_of_the_lab_and_the_epub_has_links(site):
    stories = set(json.loads((ROOT / "book" / "data" / "lab.json").read_text()))
    with zipfile.ZipFile(site / "gan-in-mlx.epub") as book:
        for name, count in (("05_losses", 1), ("06_training", 1), ("10_failures", 2)):
            page = (site / "notebooks" / f"{name}.html").read_text()
            found = re.findall(r'<div data-lab data-compact data-preset="([\w-]+)"></div>', page)
            assert len(found) == count and stories.issuperset(found)
            assert all(f'href="../book/lab.html#preset={story}"' in page for story in found)
            text = book.read(f"notebooks/{name}.xhtml").decode()
            assert "data-lab" not in text and 'href="../book/lab.xhtml"' in text


def test_films_come_without_another_hosts_icons(site):
    for page in pages(site):
        assert "maxcdn" not in page.read_text(), page.name
    assert 'class="film"' in (site / "notebooks" / "06_training.html").read_text()


def test_buttons_cards_and_sitemap_need_a_known_address(site, sources, build, tmp_path):
    plain = (site / "notebooks" / "06_training.html").read_text()
    assert not re.search(r"colab|mybinder|github\.com/[^\"]*(edit|issues)|og:image", plain)
    assert not (site / "sitemap.xml").exists()
    shutil.copytree(sources / "_build" / ".doctrees", tmp_path / "_build" / ".doctrees")  # spares reading again
    build(
        sources, tmp_path, GITHUB_REPOSITORY="owner/name", GITHUB_REF_NAME="main", SITE_URL="https://book.example/name"
    )
    known = tmp_path / "_build" / "html"
    text = (known / "notebooks" / "06_training.html").read_text()
    for address in (
        "https://colab.research.google.com/github/owner/name/blob/main/notebooks/06_training.ipynb",
        "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/notebooks/06_training.ipynb",
        "https://github.com/owner/name/edit/main/notebooks/06_training.py",
        "https://github.com/owner/name/issues/new",
    ):
        assert address in text, address
    for page in ("index.html", "notebooks/06_training.html"):
        card = meta(known / page)["og:image"]
        assert card.startswith("https://book.example/name/")
        assert (known / card.removeprefix("https://book.example/name/")).is_file()
    assert 'href="/name/_static/' in (known / "404.html").read_text()
    assert "<loc>https://book.example/name/notebooks/06_training.html</loc>" in (known / "sitemap.xml").read_text()


def test_tables_of_reproducibility_say_what_was_measured():
    result = json.loads((ROOT / "book" / "data" / "reproducibility.json").read_text())
    weights = result["relative difference of the weights after steps"]
    names = {
        "OpenBLAS's kernels for an older processor": "kernels of an older processor",
        "kernels for an older processor": "kernels of an older processor",
        "MLX's CPU backend as installed": "MLX as installed",
    }
    seen = []
    for line in (ROOT / "book" / "reproducibility.md").read_text().splitlines():
        name, *cells = [cell.strip() for cell in line.split("|")[1:-1]] or [""]
        way = names.get(name, name)
        if len(cells) in (3, 6) and way in result["mlp after an epoch"] | weights["mlp"]:
            steps = [*weights["mlp"][way].values(), *weights["dcgan"].get(way, {}).values()]
            expected = steps if len(cells) == 6 else [*result["mlp after an epoch"][way].values()]
            assert [float(cell) for cell in cells if cell] == pytest.approx(expected, rel=0.05), name
            seen.append(len(cells))
    assert seen.count(6) == 5 and seen.count(3) == 4
