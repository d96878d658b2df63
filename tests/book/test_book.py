"""The book builds without a warning, from clean, and its pages are whole."""

import gzip
import html
import json
import posixpath
import re
import shutil
import subprocess
import urllib.parse
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import book_assets
import book_math
import book_site
import latex2mathml.converter
import pytest
import tinycss2
from docutils import nodes
from PIL import Image, ImageChops, ImageFont, ImageStat
from sphinx.errors import ExtensionError

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


def chapters() -> list[Path]:
    """The notebooks, as the contents list them."""
    listed = [
        ROOT / f"{file}.ipynb"
        for file in re.findall(r"file: (notebooks/\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    ]
    assert sorted(listed) == sorted((ROOT / "notebooks").glob("*.ipynb")), "_toc.yml lists every chapter"
    return listed


def test_every_page_of_the_contents_is_there(site):
    files = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert len(files) >= 10
    for file in files:
        assert (site / f"{file}.html").is_file()
    assert (site / "index.html").is_file()


def test_every_picture_exists_and_says_what_is_to_be_seen(site):
    count = 0
    for page in pages(site):
        parser = Images()
        parser.feed(page.read_text(encoding="utf-8"))
        for image in parser.found:
            count += 1
            beside_its_title = image.get("alt") == "" and page.name == "index.html"
            assert beside_its_title or len(image.get("alt", "")) > 20, f"{page.name}: {image}"
            if "src" in image:
                assert (page.parent / image["src"]).is_file(), f"{page.name}: {image}"
    assert count >= 15


def test_a_picture_has_its_size_on_the_page_whatever_its_pixels(tmp_path):
    picture = Image.new("L", (300, 200))
    picture.save(tmp_path / "plain.png")
    for dpi in (110, 220):
        picture.save(tmp_path / f"{dpi}.png", dpi=(dpi, dpi))
    (tmp_path / "figure.svg").write_text('<svg width="717" height="365" viewBox="0 0 469.2 238.8">', encoding="utf-8")
    found = [book_assets.size(tmp_path / name) for name in ("plain.png", "110.png", "220.png", "figure.svg")]
    assert found == [(300, 200), pytest.approx((300, 200), 1e-3), pytest.approx((150, 100), 1e-3), (717, 365)]


def test_pages_are_small_enough(site):
    for page in pages(site):
        parser = Images()
        parser.feed(page.read_text(encoding="utf-8"))
        images = {page.parent / image["src"] for image in parser.found if "src" in image}
        assert page.stat().st_size + sum(image.stat().st_size for image in images) < 5e6, page.name


def test_references_resolve_and_figures_are_numbered(site):
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        assert "[?]" not in text and "{numref}" not in text and "{cite" not in text
    assert "Fig." in (site / "notebooks" / "06_training.html").read_text(encoding="utf-8")


def test_the_font_of_formulas_has_all_their_signs(site):
    font = ImageFont.truetype(site / "_static" / "fonts" / "stix-two-math-subset.woff2", 40)
    absent = bytes(font.getmask("\ue123"))
    assert [
        page.name for page in pages(site) if re.search('mathvariant="(?!normal)', page.read_text(encoding="utf-8"))
    ] == []
    used = {
        sign
        for page in pages(site)
        for formula in re.findall(r"<math.*?</math>", page.read_text(encoding="utf-8"), re.DOTALL)
        for sign in html.unescape(re.sub(r"<[^>]*>|[\s\u2061-\u2064]", "", formula))
    }
    assert len(used) > 60 and "\\" not in used, "a command that nothing translated"
    assert [sign for sign in sorted(used) if bytes(font.getmask(sign)) == absent] == []


def test_signs_and_functions_in_formulas_have_the_space_that_tex_gives_them():
    markup = book_math.spaced(latex2mathml.converter.convert(r"L = -\log D - \mathrm{softplus}(-\ell)"))
    assert re.findall(r'<mo form="prefix">', markup) == ['<mo form="prefix">'] * 2, "but the minus between two terms"
    assert "<mi>log</mi><mspace" in markup and ">softplus</m" in markup


def test_a_long_formula_in_a_line_of_text_may_break_after_a_relation():
    def pieces(tex: str) -> list[str]:
        markup = book_math.breakable(book_math.spaced(latex2mathml.converter.convert(tex)))
        return [re.sub(r"<[^>]*>", "", piece) for piece in re.findall(r"<math.*?</math>", markup)]

    assert pieces(r"D(x) = 1") == ["D(x)=1"]
    whole = r"\mathrm{KL}(m \| p) = \mathrm{KL}(q \| p) - 2 \mathrm{JSD}(p, q) \le \sum_{i=1}^{n} q_i"
    assert [piece[-1] for piece in pieces(whole)] == ["=", "≤", "i"], "not at the relation below the sum"


def test_punctuation_stays_on_the_line_of_its_formula():
    formula = '<math display="inline"><mi>x</mi></math>'
    assert book_math.kept(f"(for all ({formula}, and {formula} is") == (
        f'(for all <span class="nowrap">({formula},</span> and {formula} is'
    )


def meta(page: Path) -> dict[str, str]:
    return dict(re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)"', page.read_text(encoding="utf-8")))


def test_every_page_has_a_title_and_a_description(site):
    for page in [*pages(site), site / "index.html", site / "404.html"]:
        about = meta(page)
        title = re.search(r"<title>([^<]{4,})</title>", page.read_text(encoding="utf-8"))[1]
        assert len(set(parts := re.split(" [—|-] ", html.unescape(title)))) == len(parts), title
        assert len(about["description"]) > 20, page.name
    descriptions = [meta(page)["description"] for page in pages(site)]
    assert len(set(descriptions)) == len(descriptions)


def test_landing_page_has_every_chapter_with_a_picture_a_sentence_and_its_times(site):
    text = (site / "book" / "index.html").read_text(encoding="utf-8")
    lists = "".join(re.findall(r'<ul class="chapters">.*?</ul>', text, re.DOTALL))
    for entry, notebook in zip(re.findall(r"<li>.*?</li>", lists, re.DOTALL), chapters(), strict=True):
        assert f'href="../notebooks/{notebook.stem}.html"' in entry
        stored = json.loads(notebook.read_text(encoding="utf-8"))
        picture = re.search(r'<img src="([^"]+)"', entry)
        assert picture, f"{notebook.name}: its first picture stands on the landing page, and it has none"
        content = (site / "book" / picture[1]).read_bytes()
        sent = gzip.compress(content) if picture[1].endswith(".svg") else content  # a host compresses what is text
        assert len(sent) < 40_000, notebook
        said = re.search(
            rf"^{notebook.stem}: (.+)$", (ROOT / "book" / "index.md").read_text(encoding="utf-8"), re.MULTILINE
        )
        assert said, f"{notebook.stem} has no sentence in the list of chapters of book/index.md"
        assert html.unescape(re.search(r'<p class="summary">([^<]+)', entry)[1]) == said[1]
        assert said[1][-1] in ".?!" and len(said[1]) < 130, notebook
        assert re.search(r"\d+ min to read · [^<]+", entry)[0].endswith(
            f"{book_site.duration(stored['metadata']['mlxgan']['seconds'])} to run"
        )


def test_a_chapter_without_a_sentence_has_its_own_first_one():
    doctree = nodes.document("", "", source="new.ipynb")
    doctree += nodes.paragraph("", "", nodes.image())
    doctree += nodes.paragraph("", "", nodes.emphasis("", "What to know before."))
    with pytest.raises(ExtensionError, match="new.ipynb has no paragraph of prose"):
        book_site.summary(doctree)
    doctree += nodes.paragraph("", "Why is this so? We find out, e.g. by counting. It takes long.")
    assert book_site.summary(doctree, 1) == "Why is this so?"
    assert book_site.summary(doctree).endswith("It takes long.")


def test_times_are_worked_out_from_length(site):
    doctree = nodes.document("", "")
    doctree += nodes.paragraph("", "word " * 2200)
    cell = nodes.container("", nodes.literal_block("", "x = 1\n" * 60), classes=["cell_input"])
    doctree += [cell, nodes.literal_block("", "no cell\n" * 100)]
    assert book_site.minutes_to_read(doctree) == 12
    assert [book_site.duration(seconds) for seconds in (4, 1541, 5400)] == ["4 s", "26 min", "1.5 h"]


def test_execution_table_says_what_the_notebooks_say(site):
    text = (site / "book" / "executions.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr.*?</tr>", text, re.DOTALL)[1:]
    for row, notebook in zip(rows, chapters(), strict=True):
        about = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["mlxgan"]
        for fact in (about["date"], about["machine"], *about["versions"].values()):
            assert fact in row, notebook.name


@pytest.mark.parametrize("which", ["site", "known"])
def test_site_is_small(which, request):
    site = request.getfixturevalue(which)
    sizes = {path: path.stat().st_size for path in site.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 20e6
    assert not [path for path in sizes if path.suffix == ".map"]
    assert sum(size for path, size in sizes.items() if path.name == "book.css") < 170_000


def test_notebooks_to_take_along_have_all_cells_and_no_outputs(site):
    for stored in chapters():
        page = (site / "notebooks" / f"{stored.stem}.html").read_text(encoding="utf-8")
        assert f'href="../_sources/notebooks/{stored.name}"' in page
        taken = json.loads((site / "_sources" / "notebooks" / stored.name).read_text(encoding="utf-8"))
        sources = [cell["source"] for cell in json.loads(stored.read_text(encoding="utf-8"))["cells"]]
        assert [cell["source"] for cell in taken["cells"]] == sources
        assert not any(cell.get("outputs") for cell in taken["cells"])


def test_every_static_file_is_there_that_a_page_or_sheet_names(site):
    count = 0
    for page in [*pages(site), site / "404.html"]:
        for name in re.findall(r'(?:src|href)="([^"]*_static/[^"?]+)', page.read_text(encoding="utf-8")):
            count += 1
            assert (site / name.lstrip("/") if name.startswith("/") else page.parent / name).exists(), (page.name, name)
    assert count > 100
    for name in re.findall(r"url\(([^)]+)\)", (site / "_static" / "book.css").read_text(encoding="utf-8")):
        assert name.startswith(("data:", '"data:')) or (site / "_static" / name).is_file(), name


def test_a_rule_stays_only_if_a_page_can_need_it():
    sheet = ".a{x:1}.b,.a .c{x:2}.a:not(.b){x:3}@media print{.b{x:4}.a{x:5}}html[data-theme=dark] p{x:6}"
    rules = book_assets.needed(tinycss2.parse_stylesheet(sheet, True, True), {"a"})
    assert "".join(rules).replace("\n", "") == (
        ".a{x:1}.a:not(.b){x:3}@media print{.a{x:5}}@media screen{html[data-theme=dark] p{x:6}}"
    )


@pytest.fixture(scope="module")
def opened(site) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(site / "gan-in-mlx.epub") as book:
        yield book


XHTML, OPF = "{http://www.w3.org/1999/xhtml}", "{http://www.idpf.org/2007/opf}"


def package(book: zipfile.ZipFile) -> tuple[ElementTree.Element, dict[str, dict[str, str]], list[str]]:
    """The package file of an EPUB, its files by their names, and the files of the reading order."""
    root = ElementTree.fromstring(book.read("content.opf"))
    items = {item.attrib["href"]: item.attrib for item in root.iter(f"{OPF}item")}
    names = {item["id"]: name for name, item in items.items()}
    order = [names[entry.attrib["idref"]] for entry in root.iter(f"{OPF}itemref")]
    assert not [entry for entry in root.iter(f"{OPF}itemref") if entry.get("linear") == "no"]
    return root, items, order


def test_epub_reads_in_the_order_of_the_contents(opened):
    files = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    _, items, order = package(opened)
    assert order == ["epub-cover.xhtml", *(f"{file}.xhtml" for file in files)]
    assert sorted([*items, "content.opf", "mimetype", "META-INF/container.xml"]) == sorted(opened.namelist())
    nav = ElementTree.fromstring(opened.read("nav.xhtml"))
    targets = [link.attrib["href"] for link in nav.iter(f"{XHTML}a")]
    listed = list(dict.fromkeys(target.partition("#")[0] for target in targets))
    assert listed == order[1:]
    captions = re.findall(r'caption: "?([^"\n]+)', (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    tops = [link.text for link in nav.findall(f".//{XHTML}nav/{XHTML}ol/{XHTML}li/{XHTML}a")]
    assert tops[1:] == captions


def test_epub_has_all_that_it_refers_to(opened):
    pages = {name: ElementTree.fromstring(opened.read(name)) for name in opened.namelist() if name.endswith(".xhtml")}
    anchors = {}
    for name, page in pages.items():
        ids = [node.attrib["id"] for node in page.iter() if "id" in node.attrib]
        assert len(set(ids)) == len(ids), name
        anchors[name] = set(ids)
    count = 0
    for name, page in pages.items():
        for node in page.iter():
            for attribute in ("href", "src"):
                target = urllib.parse.urlparse(node.get(attribute, ""))
                if not node.get(attribute) or target.scheme:
                    continue
                count += 1
                file = posixpath.normpath(posixpath.join(posixpath.dirname(name), urllib.parse.unquote(target.path)))
                file = file if target.path else name
                assert file in opened.namelist(), (name, node.get(attribute))
                if target.fragment:
                    assert urllib.parse.unquote(target.fragment) in anchors[file], (name, node.get(attribute))
    assert count > 500
    for sheet in ("_static/epub.css", "_static/pygments.css"):
        for address in re.findall(r"url\(([^)]+)\)", opened.read(sheet).decode()):
            assert f"_static/{address}" in opened.namelist()
    assert sum(name.endswith(".woff2") for name in opened.namelist()) == 5
    assert not [name for name in opened.namelist() if name.endswith(".js")]


def test_epub_says_what_it_is(opened):
    root, items, _ = package(opened)
    found = {node.tag.partition("}")[2]: node.text for node in root.find(f"{OPF}metadata")}
    assert found["title"] == "Generative Adversarial Networks in MLX"
    assert found["language"] == "en" and found["identifier"].startswith("urn:uuid:")
    assert "unknown" not in found.values()
    (cover,) = [name for name, item in items.items() if item.get("properties") == "cover-image"]
    assert opened.read(cover).startswith(b"\x89PNG")
    for name, item in items.items():
        if name.endswith(".xhtml"):
            assert (b"<math" in opened.read(name)) == ("mathml" in item.get("properties", "")), name
    assert "mathml" in items["notebooks/05_losses.xhtml"]["properties"]


def test_epub_is_offered_and_its_first_page_written_for_it(site, opened):
    landing = (site / "book" / "index.html").read_text(encoding="utf-8")
    assert 'href="../gan-in-mlx.epub"' in landing and 'class="game"' in landing
    page = opened.read("book/index.xhtml").decode()
    assert "one file" in page and "Real or generated" not in page and "Without JavaScript" not in page


@pytest.mark.parametrize("which", ["site", "known"])
def test_epub_passes_epubcheck(which, request):
    site = request.getfixturevalue(which)
    program = shutil.which("epubcheck")
    if program is None:
        pytest.skip("epubcheck is not installed: apt-get install epubcheck")
    command = ["java", "-jar", program] if zipfile.is_zipfile(program) else [program]  # Debian's is a Java archive
    found = subprocess.run(
        [*command, "--failonwarnings", site / "gan-in-mlx.epub"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-5000:]


def test_chapters_have_stories_of_the_lab_and_the_epub_has_links(site):
    stories = set(json.loads((ROOT / "book" / "data" / "lab.json").read_text(encoding="utf-8"))["stories"])
    with zipfile.ZipFile(site / "gan-in-mlx.epub") as book:
        for name, count in (("05_losses", 1), ("06_training", 1), ("10_failures", 2)):
            page = (site / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
            found = re.findall(r'<div data-lab data-compact data-preset="([\w-]+)"></div>', page)
            assert len(found) == count and stories.issuperset(found)
            assert all(f'href="../book/lab.html#preset={story}"' in page for story in found)
            text = book.read(f"notebooks/{name}.xhtml").decode()
            assert "data-lab" not in text and 'href="../book/lab.xhtml"' in text


def test_films_come_without_another_hosts_icons(site):
    for page in pages(site):
        assert "maxcdn" not in page.read_text(encoding="utf-8"), page.name
    assert 'class="film"' in (site / "notebooks" / "06_training.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def known(sources, build, tmp_path_factory) -> Path:
    """The site as GitHub builds it, with its EPUB: the repository and the site's address are known."""
    out = tmp_path_factory.mktemp("known")
    shutil.copytree(sources / "_build" / ".doctrees", out / "_build" / ".doctrees")  # spares reading again
    environment = {
        "GITHUB_REPOSITORY": "owner/name",
        "GITHUB_REF_NAME": "main",
        "SITE_URL": "https://book.example/name",
    }
    build(sources, out, "--builder", "custom", "--custom-builder", "epub", **environment)
    build(sources, out, **environment)
    return out / "_build" / "html"


def test_buttons_cards_and_sitemap_need_a_known_address(site, known):
    plain = (site / "notebooks" / "06_training.html").read_text(encoding="utf-8")
    assert not re.search(r"colab|mybinder|github\.com/[^\"]*(edit|issues)|og:image", plain)
    assert not (site / "sitemap.xml").exists()
    text = (known / "notebooks" / "06_training.html").read_text(encoding="utf-8")
    for address in (
        "https://mybinder.org/v2/gh/owner/name/main?urlpath=lab/tree/notebooks/06_training.ipynb",
        "https://github.com/owner/name/edit/main/notebooks/06_training.py",
        "https://github.com/owner/name/issues/new",
    ):
        assert address in text, address
    for page in ("index.html", "notebooks/06_training.html"):
        card = meta(known / page)["og:image"]
        assert card.startswith("https://book.example/name/")
        with Image.open(known / card.removeprefix("https://book.example/name/")) as drawn:
            shown = drawn.convert("L").crop((909, 30, 1089, 210))  # the square in the upper right corner
        with Image.open(ROOT / book_site.CARD["image"]) as own:
            apart = ImageChops.difference(shown, own.convert("L").resize(shown.size))
        assert ImageStat.Stat(apart).mean[0] < 15, "the card has the book's own picture"
        assert meta(known / page)["og:title"] != meta(known / page)["og:site_name"]
    assert 'href="/name/_static/' in (known / "404.html").read_text(encoding="utf-8")
    assert "<loc>https://book.example/name/notebooks/06_training.html</loc>" in (known / "sitemap.xml").read_text(
        encoding="utf-8"
    )
    words = re.sub(r"<[^>]*>", "", (known / "book" / "running.html").read_text(encoding="utf-8"))
    assert "git clone https://github.com/owner/name" in words


def test_epub_is_the_same_book_where_the_address_is_known(known, opened):
    with zipfile.ZipFile(known / "gan-in-mlx.epub") as book:
        assert package(book)[2] == package(opened)[2]


def test_colab_is_offered_where_the_notebooks_have_its_cell(monkeypatch):
    offered = []
    for stated in (None, "https://github.com/owner/name"):
        monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
        monkeypatch.setattr(book_site, "stated_repository", lambda stated=stated: stated)
        config = SimpleNamespace(html_theme_options={}, html_baseurl="", html_title="")
        book_site.configure(None, config)
        offered.append("colab_url" in config.html_theme_options["launch_buttons"])
    assert offered == [False, True]


def test_tables_of_reproducibility_say_what_was_measured():
    result = json.loads((ROOT / "book" / "data" / "reproducibility.json").read_text(encoding="utf-8"))
    weights = result["relative difference of the weights after steps"]
    names = {
        "OpenBLAS's kernels for an older processor": "kernels of an older processor",
        "kernels for an older processor": "kernels of an older processor",
        "MLX's CPU backend as installed": "MLX as installed",
    }
    seen = []
    for line in (ROOT / "book" / "reproducibility.md").read_text(encoding="utf-8").splitlines():
        name, *cells = [cell.strip() for cell in line.split("|")[1:-1]] or [""]
        way = names.get(name, name)
        if len(cells) in (3, 6) and way in result["mlp after an epoch"] | weights["mlp"]:
            steps = [*weights["mlp"][way].values(), *weights["dcgan"].get(way, {}).values()]
            expected = steps if len(cells) == 6 else [*result["mlp after an epoch"][way].values()]
            assert [float(cell) for cell in cells if cell] == pytest.approx(expected, rel=0.05), name
            seen.append(len(cells))
    assert seen.count(6) == 5 and seen.count(3) == 4
