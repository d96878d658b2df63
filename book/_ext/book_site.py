"""What the book's site has beyond Jupyter Book, and what its EPUB needs.

Directives: ``chapters`` (the map on the landing page), ``executions`` (where the stored outputs come from),
``film`` (frames with a slider) and ``epub`` (a paragraph that is there only if the EPUB was built). A link to a story
of the lab, as in ``[the lab](../book/lab.md#preset=collapse)``, has that story to play with below it. ``SITE_URL`` in
the environment gives canonical addresses, social cards and a sitemap; the repository's address, from
``GITHUB_REPOSITORY`` or pyproject.toml, gives the buttons for Colab, Binder, edits and issues. Without them these are
absent.
"""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable
from html import escape, unescape
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlparse

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.utils.math import latex2mathml
from PIL import Image
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri
from sphinx_design.tabs import sd_tab_input, sd_tab_label

EPUB, LAB = "gan-in-mlx.epub", "book/lab"
WORDS_PER_MINUTE, SECONDS_PER_LINE = 220, 2  # of prose, of code

Inline: TypeAlias = str | nodes.Node


class placeholder(nodes.General, nodes.Element):
    """What a directive leaves behind; filled once all pages are known."""


class film(nodes.General, nodes.Element):
    """Frames of one size under one another in the picture ``file``, shown one at a time."""


class Chapters(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [placeholder(kind="chapters")]


class Executions(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        return [placeholder(kind="executions")]


class Epub(SphinxDirective):
    has_content = True

    def run(self) -> list[nodes.Node]:
        box = placeholder(kind="epub")
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class Film(SphinxDirective):
    """``{film} picture.png``: a picture of tools/brand.py, whose text chunk ``epochs`` names the frames."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        name, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(name)
        with Image.open(path) as picture:
            labels = [f"epoch {number}" for number in picture.text["epochs"].split()]  # type: ignore[attr-defined]
        figure = nodes.figure(classes=["film-figure"])
        figure += film(file=path, alt=self.options["alt"], labels=labels, autoplay=True)
        caption = nodes.caption()
        caption += self.parse_inline("\n".join(self.content))[0]
        figure += caption
        return [figure]


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


def summary(doctree: nodes.document) -> str:
    """The first paragraph."""
    return next(iter(doctree.findall(nodes.paragraph))).astext().replace("\n", " ")


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


def chapters(app: Sphinx, docname: str) -> Iterable[nodes.Node]:
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
                title,
                nodes.paragraph("", summary(doctree), classes=["summary"]),
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
            rows.append([link(app, docname, name, title), *when, about["machine"], *versions])
    yield table(["Chapter", "Date", "Time", "Machine", "MLX", "Python", "NumPy", "Matplotlib"], rows)


# Filling pages in


def fill(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for box in list(doctree.findall(placeholder)):
        if box["kind"] == "epub":
            box.replace_self(offer_epub(app, box) if epub(app).exists() and app.builder.name == "html" else [])
        else:
            box.replace_self(list({"chapters": chapters, "executions": executions}[box["kind"]](app, docname)))
    for reference in list(doctree.findall(addnodes.download_reference)):
        if "/films/" in reference["reftarget"]:
            reference.parent.replace_self(linked_film(app, reference, docname))
    for node in doctree.findall(film):
        place(app, node, docname)
    if docname != LAB:
        place_labs(app, doctree, docname)
    if docname.startswith("notebooks/"):
        before = next((strong for strong in doctree.findall(nodes.strong) if strong.astext() == "Before"), None)
        if before:
            unresolved = app.env.get_doctree(docname)  # as the landing page counts it
            before.parent.parent += nodes.paragraph("", facts(app, docname, unresolved), classes=["facts"])
    if app.builder.name == "epub":
        spread_tabs(doctree)


def spread_tabs(doctree: nodes.document) -> None:
    """A book on paper has no tabs: their contents stand under one another, each with its label."""
    for tabs in list(doctree.findall(nodes.container)):
        if "sd-tab-set" not in tabs["classes"]:
            continue
        tabs["classes"] = []
        children = [node for node in tabs.children if not isinstance(node, sd_tab_input)]
        tabs.clear()
        for node in children:
            label = isinstance(node, sd_tab_label)
            tabs += nodes.paragraph("", "", nodes.strong("", node.astext())) if label else node
            tabs[-1]["classes"] = []


def offer_epub(app: Sphinx, box: placeholder) -> list[nodes.Node]:
    size = f"EPUB, {epub(app).stat().st_size / 1e6:.0f} MB"
    box.children[0] += [nodes.Text(" "), nodes.reference("", size, refuri=f"../{EPUB}"), nodes.Text(".")]
    return box.children


def linked_film(app: Sphinx, reference: nodes.Element, docname: str) -> film:
    """The film that a notebook links to, a file of ``plots.film``; the text of the link describes it."""
    path = app.env.relfn2path(reference["reftarget"], docname)[1]
    with Image.open(path) as sheet:
        labels = sheet.text["labels"].split("|")  # type: ignore[attr-defined]
    return film(file=path, alt=reference.astext(), labels=labels, autoplay=False)


def place(app: Sphinx, node: film, docname: str) -> None:
    """Put a film's picture beside the other pictures; an EPUB has its last frame."""
    folder = Path(app.outdir) / app.builder.imagedir
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / Path(node["file"]).name
    with Image.open(node["file"]) as sheet:
        node["width"], node["height"] = sheet.width, sheet.height // len(node["labels"])
        if app.builder.name == "epub":
            sheet.crop((0, sheet.height - node["height"], sheet.width, sheet.height)).save(target)
        else:
            shutil.copy(node["file"], target)
    here = app.builder.get_target_uri(docname)
    node["uri"] = relative_uri(here, f"{app.builder.imagedir}/{target.name}")
    node["still"] = app.builder.name == "epub"


def know_stories(app: Sphinx, env: BuildEnvironment) -> None:
    """Let links lead to ``preset=...``, which no heading of the lab is called, but which its script understands."""
    stories = json.loads((Path(app.srcdir) / "book" / "data" / "lab.json").read_text(encoding="utf-8"))
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
    alt, count = escape(node["alt"]), len(node["labels"])
    if node["still"]:
        self.body.append(f'<p><img src="{node["uri"]}" alt="{alt}"/></p>')
        return
    style = f"--frames: {count}; --frame: {count - 1}; --width: {node['width']}; --height: {node['height']}"
    labels = escape(json.dumps(node["labels"]))
    self.body.append(
        f'<div class="film" style="{style}" data-labels="{labels}"{" data-autoplay" if node["autoplay"] else ""}>'
        f'<div class="film-screen"><img src="{node["uri"]}" alt="{alt}" width="{node["width"]}" '
        f'height="{node["height"] * count}" decoding="async"></div></div>'
    )


def leave_film(self, node: film) -> None:
    pass


# Mathematics in the EPUB: readers of books show MathML, and run no script


def mathml(self, node: nodes.Element, block: bool) -> None:
    tex = re.sub(r"\\[bB]igg?[lr]?(?![a-zA-Z])", "", node.astext()).replace("gathered}", "aligned}")
    tex = tex.replace(r"\dots", r"\ldots").replace("°", r"^{\circ}")
    tex = re.sub(r"\\([td]?frac)\s*(\d)\s*(\d)", r"\\frac{\2}{\3}", tex)
    if block and "\\\\" in tex and "\\begin" not in tex:
        tex = f"\\begin{{aligned}}{tex}\\end{{aligned}}"
    markup = latex2mathml.tex2mathml(tex, as_block=block)
    # XHTML knows five named characters
    self.body.append(re.sub(r"&(?!lt;|gt;|amp;|quot;|apos;|#)\w+;", lambda name: unescape(name[0]), markup))
    raise nodes.SkipNode


# Pages, and what is around them


def epub(app: Sphinx) -> Path:
    return Path(app.outdir).parent / "epub" / EPUB


def repository() -> str | None:
    """The repository's address: on GitHub that of the build, elsewhere the one in pyproject.toml, if it is known."""
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project.get("urls", {}).get("Repository")


def configure(app: Sphinx, config) -> None:
    options = config.html_theme_options
    if address := repository():
        options |= {
            "repository_url": address,
            "repository_branch": os.environ.get("GITHUB_REF_NAME", "main"),
            "use_repository_button": True,
            "use_edit_page_button": True,
            "use_issues_button": True,
            "launch_buttons": {
                "colab_url": "https://colab.research.google.com",
                "binderhub_url": "https://mybinder.org",
                "notebook_interface": "jupyterlab",
            },
        }
    config.ogp_social_cards = {"enable": bool(config.html_baseurl), "line_color": "#D55E00"}
    config.ogp_site_url = config.html_baseurl
    config.sitemap_url_scheme = "{link}"
    config.notfound_urls_prefix = urlparse(config.html_baseurl).path or "/"
    config.ogp_site_name = config.html_title
    config.epub_title = config.html_title
    config.epub_basename = EPUB.removesuffix(".epub")


def without_buttons(app: Sphinx) -> None:
    """An EPUB has no header for the theme's buttons, which would stop the build."""
    if app.builder.name == "epub":
        for name in ("launch_buttons", "repository_url", "use_repository_button", "use_issues_button"):
            app.config.html_theme_options.pop(name, None)
        app.config.html_theme_options["use_edit_page_button"] = False


def describe(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """The first paragraph describes a page, to search engines and in previews of links."""
    if app.builder.name == "epub":
        return
    text = summary(doctree) if doctree else f"{context.get('title', 'Search')}: {app.config.html_title}"
    context["metatags"] = context.get("metatags", "") + f'<meta name="description" content="{escape(text)}">\n'
    if doctree:
        context["meta"] = {**(context["meta"] or {}), "og:description": escape(text)}


def page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Scripts that a page does not need go; edits go to a chapter's source."""
    unused = ["thebe"] if doctree and any(doctree.findall(is_math)) else ["thebe", "mathjax"]
    context["script_files"] = [
        file for file in context["script_files"] if not any(word in str(file.filename or file) for word in unused)
    ]
    context["css_files"] = [file for file in context["css_files"] if "thebe" not in str(file.filename)]
    if "body" in context:  # docutils gives roles that contradict each other
        for role in (' role="list"', ' role="doc-biblioentry"'):
            context["body"] = context["body"].replace(role, "")
    for group in context.get("header_buttons", []):
        for button in [group, *group.get("buttons", [])]:
            if button.get("label") == "source-edit-button":
                button["url"] = button["url"].replace(".ipynb", ".py")


def is_math(node: nodes.Node) -> bool:
    return isinstance(node, nodes.math | nodes.math_block)


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
    for name, directive in (("chapters", Chapters), ("executions", Executions), ("epub", Epub), ("film", Film)):
        app.add_directive(name, directive)
    app.add_node(placeholder)
    app.add_node(film, html=(visit_film, leave_film))
    inline, block = (lambda self, node: mathml(self, node, False)), (lambda self, node: mathml(self, node, True))
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.add_config_value("epub_math_renderer", "mathml", "env")
    if url := os.environ.get("SITE_URL"):
        app.config.html_baseurl = url.rstrip("/") + "/"
        app.setup_extension("sphinx_sitemap")
    app.connect("config-inited", configure, priority=1)
    app.connect("builder-inited", without_buttons)
    app.connect("env-updated", lambda app, env: [env.config.root_doc, "book/executions"])
    app.connect("env-updated", know_stories)
    app.connect("doctree-resolved", fill)
    app.connect("html-page-context", describe, priority=400)  # before sphinxext.opengraph
    app.connect("html-page-context", page, priority=900)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
