"""What the book's site has beyond Jupyter Book.

Directives: ``chapters`` (the map on the landing page), ``executions`` (where the stored outputs come from),
``film`` (frames with a slider), ``game`` (*Real or generated?*), ``on-site`` (in a section that the EPUB does not have)
and ``epub`` (a paragraph that is there only if the EPUB was built). A link to a story of the lab, as in
``[the lab](../book/lab.md#preset=collapse)``, has that story to play with below it. ``SITE_URL`` in the environment
gives canonical addresses, social cards and a sitemap; the repository's address, from ``GITHUB_REPOSITORY`` or
pyproject.toml, gives the buttons for Colab, Binder, edits and issues. Without them these are absent. What the pages
load is the business of book_assets, formulas that of book_math, and the EPUB that of book_epub.
"""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlparse

from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri
from sphinx_design.dropdown import dropdown_main, dropdown_title

EPUB, LAB = "gan-in-mlx.epub", "book/lab"
CARD = {"image": "book/images/card.png", "image_mini": "book/_static/logo.png", "line_color": "#D55E00"}
MARGIN = ("Coming from PyTorch", "On other machines")  # boxes that stand beside the text where there is room
logger = logging.getLogger(__name__)
WORDS_PER_MINUTE, SECONDS_PER_LINE = 220, 2  # of prose, of code

Inline: TypeAlias = str | nodes.Node


class placeholder(nodes.General, nodes.Element):
    """What a directive leaves behind; filled once all pages are known."""


class film(nodes.General, nodes.Element):
    """Frames of one size under one another in the picture ``file``, shown one at a time."""


class Chapters(SphinxDirective):
    """Each line of the content says what a chapter brings; a chapter without one has its own first sentence."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [placeholder(kind="chapters", sentences=dict(line.split(": ", 1) for line in self.content))]


class Executions(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [placeholder(kind="executions")]


class OnSite(SphinxDirective):
    """The section that it stands in is on the site only."""

    def run(self) -> list[nodes.Node]:
        return [placeholder(kind="on-site")]


class Epub(SphinxDirective):
    has_content = True

    def run(self) -> list[nodes.Node]:
        box = placeholder(kind="epub")
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class Film(SphinxDirective):
    """``{film} picture.png``: frames under one another, one per epoch, each a row of ten digits."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        name, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(name)
        with Image.open(path) as picture:
            epochs = 10 * picture.height // picture.width
        labels = [f"epoch {epoch}" for epoch in range(epochs)]
        figure = nodes.figure(classes=["film-figure"])
        figure += film(file=path, alt=self.options["alt"], labels=labels, cells=10)
        caption = nodes.caption()
        caption += self.parse_inline("\n".join(self.content))[0]
        figure += caption
        return [figure]


class Game(SphinxDirective):
    """``{game} sheet.png``: *Real or generated?* with a sheet of tools/brand.py, which says what is what."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        name, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(name)
        with Image.open(path) as sheet:
            about = {"real": sheet.text["real"], "columns": sheet.width // 28}  # type: ignore[attr-defined]
        page = self.env.app.builder.get_target_uri(self.env.docname)
        picture = relative_uri(page, f"_static/{Path(path).name}")
        html = (
            f'<div class="game" data-game="{escape(json.dumps(about))}" style="--sheet: url({picture})">'
            f"<noscript><p>{escape(' '.join(self.content))}</p></noscript></div>"
            f'<script src="{relative_uri(page, "_static/game.js")}" defer></script>'
        )
        return [nodes.raw("", html, format="html")]


# Facts about chapters


def stored(app: Sphinx, docname: str) -> dict:
    """What ``make notebooks`` noted in a notebook's metadata; empty for any other page."""
    path = Path(app.env.doc2path(docname))
    return json.loads(path.read_text(encoding="utf-8"))["metadata"].get("mlxgan", {}) if path.suffix == ".ipynb" else {}


def minutes_to_read(doctree: nodes.document) -> int:
    """From the words of the prose and the lines of the code cells."""
    words = sum(len(node.astext().split()) for node in doctree.findall(nodes.paragraph))
    cells = (node for node in doctree.findall(nodes.container) if "cell_input" in node["classes"])
    lines = sum(len(block.astext().splitlines()) for cell in cells for block in cell.findall(nodes.literal_block))
    return max(1, round(words / WORDS_PER_MINUTE + lines * SECONDS_PER_LINE / 60))


def facts(app: Sphinx, docname: str, doctree: nodes.document) -> str:
    """What a chapter takes to read, and took to run for its stored outputs."""
    times = [f"{minutes_to_read(doctree)} min to read"]
    if seconds := stored(app, docname).get("seconds"):
        times.append(f"{duration(seconds)} to run")
    return " · ".join(times)


def aside(paragraph: nodes.paragraph) -> bool:
    """Whether all of it is in italics: what to know before, or a caption."""
    return len(paragraph) == 1 and isinstance(paragraph[0], nodes.emphasis)


def summary(doctree: nodes.document, sentences: int | None = None) -> str:
    """The first paragraph that is neither a picture nor an aside, or its first sentences."""
    prose = (
        text for text in doctree.findall(nodes.paragraph) if not any(text.findall(nodes.image)) and not aside(text)
    )
    first = next(prose, None)
    if first is None:
        raise ExtensionError(f"{doctree['source']} has no paragraph of prose, so nothing can describe it")
    found = re.split(r"(?<=[.?!])\s+(?=[A-Z])", first.astext().replace("\n", " "))
    return " ".join(found[:sentences])


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{round(seconds)} s"
    if seconds < 3570:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def parts(app: Sphinx) -> Iterable[tuple[str, list[str]]]:
    """Captions of the parts that hold notebooks, with the names of the notebooks."""
    for part in app.env.external_site_map.root.subtrees:  # type: ignore[attr-defined]
        names = [re.sub(r"\.(ipynb|md)$", "", file) for file in part.files()]
        if notebooks := [name for name in names if name.startswith("notebooks/")]:
            yield part.caption, notebooks


def number(app: Sphinx, docname: str) -> str:
    return ".".join(map(str, app.env.toc_secnumbers.get(docname, {}).get("", ())))


def link(app: Sphinx, docname: str, to: str, text: str) -> nodes.reference:
    uri = app.builder.get_relative_uri(docname, to)
    return nodes.reference("", text, internal=True, refuri=uri)


def thumbnail(app: Sphinx, docname: str, name: str) -> list[nodes.Node]:
    """The first picture of a chapter, small; only the site has it."""
    picture = next(iter(app.env.get_doctree(name).findall(nodes.image)), None)
    if picture is None or picture["uri"] not in app.env.images or app.builder.name != "html":
        return []
    source = Path(app.srcdir, picture["uri"])
    file = app.env.images[picture["uri"]][1]
    if source.suffix == ".png":
        file = f"{source.stem}-small.webp"
        folder = Path(app.outdir) / app.builder.imagedir
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(source) as image:
            image.thumbnail((272, 272))
            image.convert("RGB").save(folder / file, quality=80)
    uri = relative_uri(app.builder.get_target_uri(docname), f"{app.builder.imagedir}/{file}")
    html = f'<a class="thumb" href="{app.builder.get_relative_uri(docname, name)}" tabindex="-1" aria-hidden="true">'
    html += f'<img src="{uri}" alt="" width="136" height="82" loading="lazy"></a>'
    return [nodes.raw("", html, format="html")]


def chapters(app: Sphinx, docname: str, sentences: dict[str, str]) -> Iterable[nodes.Node]:
    known = {Path(name).name for _, names in parts(app) for name in names}
    if strange := ", ".join(sentences.keys() - known):
        logger.warning("the list of chapters has a sentence about what is no chapter: %s", strange, location=docname)
    for caption, names in parts(app):
        yield nodes.paragraph("", caption, classes=["part"])
        pages = nodes.bullet_list(classes=["chapters"])
        for name in names:
            doctree = app.env.get_doctree(name)
            title = nodes.paragraph("", "", classes=["chapter"])
            if number(app, name):
                title += nodes.inline("", number(app, name), classes=["number"])
                title += nodes.Text(" ")
            title += link(app, docname, name, app.env.titles[name].astext())
            pages += nodes.list_item(
                "",
                *thumbnail(app, docname, name),
                title,
                nodes.paragraph("", sentences.get(Path(name).name) or summary(doctree, 1), classes=["summary"]),
                nodes.paragraph("", facts(app, name, doctree), classes=["facts"]),
            )
        yield pages


def table(header: list[str], rows: list[list[Inline]]) -> nodes.table:
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]

    def row(cells: Iterable[Inline]) -> nodes.row:
        texts = [nodes.Text(cell) if isinstance(cell, str) else cell for cell in cells]
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", text)) for text in texts))

    group += nodes.thead("", row(header))
    group += nodes.tbody("", *map(row, rows))
    return nodes.table("", group)


def unbroken(text: str) -> nodes.inline:
    return nodes.inline("", text, classes=["nowrap"])


def executions(app: Sphinx, docname: str) -> Iterable[nodes.Node]:
    rows: list[list[Inline]] = []
    names = [name for _, pages in parts(app) for name in pages]
    for name in names:
        if about := stored(app, name):
            title = f"{number(app, name)} {app.env.titles[name].astext()}".strip()
            when = [unbroken(about["date"]), unbroken(duration(about["seconds"]))]
            versions = [about["versions"][key] for key in ("mlx", "python", "numpy", "matplotlib")]
            threads = str(about.get("threads", ""))  # older records lack it
            rows.append([link(app, docname, name, title), *when, about["machine"], threads, *versions])
    yield table(["Chapter", "Date", "Time", "Machine", "Threads", "MLX", "Python", "NumPy", "Matplotlib"], rows)


# Filling pages in


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for box in list(doctree.findall(placeholder)):
        if box["kind"] == "on-site":
            gone = box.parent if app.builder.name == "epub" else box
            gone.parent.remove(gone)
        elif box["kind"] == "epub":
            box.replace_self(offer_epub(app, box) if epub(app).exists() and app.builder.name == "html" else [])
        elif box["kind"] == "chapters":
            box.replace_self(list(chapters(app, docname, box["sentences"])))
        else:
            box.replace_self(list(executions(app, docname)))
    for reference in list(doctree.findall(addnodes.download_reference)):
        if "/films/" in reference["reftarget"]:
            reference.parent.replace_self(linked_film(app, reference, docname))
    for node in doctree.findall(film):
        place(app, node, docname)
    if docname != LAB:
        place_labs(app, doctree, docname)
    for node in doctree.findall(dropdown_main):
        plain(node)
    if app.builder.name == "html":
        for note in doctree.findall(nodes.admonition):
            if note[0].astext() in MARGIN:
                note["classes"].append("margin")
    for paragraph in doctree.findall(nodes.paragraph):
        if aside(paragraph):
            paragraph["classes"].append("aside")
    if address := repository():
        for literal in doctree.findall(nodes.literal):
            if literal.astext() == "git clone":
                literal += nodes.Text(f" {address}")


def plain(dropdown: dropdown_main) -> None:
    """Leave a details element with its title and content, without the classes and pictures of sphinx-design."""
    dropdown["classes"] = ["answer"]
    for node in dropdown.children:
        node["classes"] = []  # type: ignore[index]
        if isinstance(node, dropdown_title):
            node.children = [child for child in node.children if "sd-summary-text" in child["classes"]]  # type: ignore[index]
            node.children[0]["classes"] = []  # type: ignore[index]
    for part in dropdown.findall(nodes.Element):
        part["classes"] = [name for name in part.get("classes", []) if name != "sd-card-text"]


def offer_epub(app: Sphinx, box: placeholder) -> list[nodes.Node]:
    size = f"EPUB, {epub(app).stat().st_size / 1e6:.0f} MB"
    box.children[0] += [nodes.Text(" "), nodes.reference("", size, refuri=f"../{EPUB}"), nodes.Text(".")]
    return box.children


def linked_film(app: Sphinx, reference: nodes.Element, docname: str) -> film:
    """The film that a notebook links to, a file of ``plots.film``; the text of the link describes it."""
    path = app.env.relfn2path(reference["reftarget"], docname)[1]
    with Image.open(path) as sheet:
        labels = sheet.text["labels"].split("|")  # type: ignore[attr-defined]
    return film(file=path, alt=reference.astext(), labels=labels, cells=0)


def place(app: Sphinx, node: film, docname: str) -> None:
    """Put a film's picture beside the other pictures; an EPUB has its last frame."""
    folder = Path(app.outdir) / app.builder.imagedir
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / Path(node["file"]).name
    with Image.open(node["file"]) as sheet:
        node["width"], node["height"] = sheet.width, sheet.height // len(node["labels"])
        if app.builder.name == "epub":
            last = sheet.crop((0, sheet.height - node["height"], sheet.width, sheet.height))
            last.resize((2 * last.width, 2 * last.height)).save(target)
        else:
            shutil.copy(node["file"], target)
    here = app.builder.get_target_uri(docname)
    node["uri"] = relative_uri(here, f"{app.builder.imagedir}/{target.name}")
    node["still"] = app.builder.name == "epub"


def know_stories(app: Sphinx, env: BuildEnvironment) -> None:
    """Let links lead to ``preset=...``, which no heading of the lab is called, but which its script understands."""
    stories = json.loads((Path(app.srcdir) / "book" / "data" / "lab.json").read_text(encoding="utf-8"))["stories"]
    for name in (f"preset={story}" for story in stories):
        env.metadata[LAB].setdefault("myst_slugs", {})[name] = (0, name, env.titles[LAB].astext())


def place_labs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put a small lab below each paragraph that links to one of its stories; an EPUB has the link alone."""
    source = relative_uri(app.builder.get_target_uri(docname), "_static/lab/lab.js")
    for reference in list(doctree.findall(nodes.reference)):
        page, _, story = reference.get("refuri", "").partition("#preset=")
        if not story:
            continue
        if app.builder.name == "epub":
            reference["refuri"] = page
            continue
        lab = f'<div data-lab data-compact data-preset="{escape(story)}"></div><script src="{source}" defer></script>'
        paragraph = reference.parent
        paragraph.parent.insert(paragraph.parent.index(paragraph) + 1, nodes.raw("", lab, format="html"))


def visit_film(self, node: film) -> None:
    alt, count, cells = escape(node["alt"]), len(node["labels"]), node["cells"]
    if node["still"]:
        self.body.append(f'<p><img src="{node["uri"]}" alt="{alt}"/></p>')
        return
    style = f"--frames: {count}; --frame: {count - 1}; --width: {node['width']}; --height: {node['height']}"
    labels = escape(json.dumps(node["labels"]))
    if cells:
        style += f"; --sheet: url({node['uri']})"
        spans = "".join(f'<span style="--cell: {cell}"></span>' for cell in range(cells))
        screen = f'<div class="film-cells" role="img" aria-label="{alt}">{spans}</div>'
    else:
        picture = f'<img src="{node["uri"]}" alt="{alt}" width="{node["width"]}" height="{node["height"] * count}">'
        screen = f'<div class="film-screen">{picture}</div>'
    play = " data-autoplay" * bool(cells)
    self.body.append(f'<div class="film" style="{style}" data-labels="{labels}"{play}>{screen}</div>')


def leave_film(self, node: film) -> None:
    pass


# Pages, and what is around them


def epub(app: Sphinx) -> Path:
    return Path(app.outdir).parent / "epub" / EPUB


def stated_repository() -> str | None:
    """The repository's address in pyproject.toml, if it stands there."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository")


def repository() -> str | None:
    """The repository's address: on GitHub that of the build, elsewhere the one in pyproject.toml."""
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
    return stated_repository()


def configure(app: Sphinx, config) -> None:
    options = config.html_theme_options
    if address := repository():
        launch = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}
        if stated_repository():  # only then tools/notebooks.py gives the notebooks the cell that Colab needs
            launch["colab_url"] = "https://colab.research.google.com"
        options |= {
            "repository_url": address,
            "repository_branch": os.environ.get("GITHUB_REF_NAME", "main"),
            "use_repository_button": True,
            "use_edit_page_button": True,
            "use_issues_button": True,
            "launch_buttons": launch,
        }
    config.ogp_social_cards = {"enable": bool(config.html_baseurl), **CARD}
    config.ogp_site_url = config.html_baseurl
    config.sitemap_url_scheme = "{link}"
    config.notfound_urls_prefix = urlparse(config.html_baseurl).path or "/"
    config.ogp_site_name = "GANs in MLX"  # a card has it beside the page's title
    config.epub_title = config.html_title
    config.epub_basename = EPUB.removesuffix(".epub")


def describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """The first paragraph describes a page, to search engines and in previews of links."""
    if app.builder.name == "epub":
        return
    if pagename == app.config.root_doc:
        context["docstitle"] = ""  # its own title is that of the book, which follows the title of every other page
    text = summary(doctree) if doctree else f"{context.get('title', 'Search')}: {app.config.html_title}"
    context["metatags"] = context.get("metatags", "") + f'<meta name="description" content="{escape(text)}">\n'
    if doctree:
        context["meta"] = {**(context["meta"] or {}), "og:description": escape(text)}


def page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Mend what docutils and extensions leave in a page; edits go to a chapter's source."""
    if "body" in context:
        for needless in (' role="list"', ' role="doc-biblioentry"', ' id="exercise-content"', ' id="solution-content"'):
            context["body"] = context["body"].replace(needless, "")  # roles that contradict, ids that repeat
        for sheet in re.findall(r'<link rel="stylesheet" href="[^"]*/page\.css">\n', context["body"]):
            context["body"] = context["body"].replace(sheet, "")  # what decides about the whole page is for its head
            context["metatags"] = context.get("metatags", "") + sheet
    for group in context.get("header_buttons", []):
        for button in [group, *group.get("buttons", [])]:
            if button.get("label") == "source-edit-button":
                button["url"] = button["url"].replace(".ipynb", ".py")


def finish(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.name != "html":
        return
    out = Path(app.outdir)
    if epub(app).exists():
        shutil.copy(epub(app), out / EPUB)
    # the site's own address leads to the landing page, and tells the same to those who make previews of links
    landing = app.builder.get_target_uri(app.config.root_doc)
    head = (out / landing).read_text(encoding="utf-8")
    told = re.findall(r'<meta (?:property="og:|name="(?:description|twitter)).*?>|<link rel="canonical".*?>', head)
    start = f'<!DOCTYPE html>\n<html lang="{app.config.language}">\n<meta charset="utf-8">'
    refresh = f'<meta http-equiv="refresh" content="0; url={landing}">'
    body = f'<p><a href="{landing}">{escape(app.config.html_title)}</a></p>'
    title = f"<title>{escape(app.config.html_title)}</title>"
    page = "\n".join([start, title, refresh, *told, body, "</html>\n"])
    (out / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict:
    for directive in (Chapters, Executions, Epub, Film, Game, OnSite):
        app.add_directive(re.sub(r"(?<=.)(?=[A-Z])", "-", directive.__name__).lower(), directive)
    app.add_node(placeholder)
    app.add_node(film, html=(visit_film, leave_film))
    if url := os.environ.get("SITE_URL"):
        app.config.html_baseurl = url.rstrip("/") + "/"
        app.setup_extension("sphinx_sitemap")
    app.connect("config-inited", configure, priority=1)
    app.connect("env-updated", lambda app, env: [env.config.root_doc, "book/executions"])
    app.connect("env-updated", know_stories)
    app.connect("doctree-resolved", fill)
    app.connect("html-page-context", describe, priority=400)  # before sphinxext.opengraph
    app.connect("html-page-context", page, priority=900)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
