"""The book as one EPUB file: Sphinx's builder, and what a book needs beyond it.

Sphinx's builder expects the first page in the root folder, takes along every file that belongs to a web page, and
does not say which pages hold formulas. This one keeps to the pages, their pictures, one style sheet and its fonts.
"""

import posixpath
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder
from sphinx_design.tabs import sd_tab_input, sd_tab_label

STYLE = ("pygments.css", "epub.css")
COVER = "_images/cover.png"
SITE = ("sphinx_book_theme", "pydata_sphinx_theme", "sphinxext")  # what these add is for a site
FOLDED = re.compile(r'<summary[^>]*>\s*<p class="collapsed[^>]*>(.*?)</p>.*?</summary>', re.DOTALL)
OPF, DC = "http://www.idpf.org/2007/opf", "http://purl.org/dc/elements/1.1/"


class Book(Epub3Builder):
    media_types = Epub3Builder.media_types | {".woff2": "font/woff2"}

    def init(self) -> None:
        shutil.rmtree(self.outdir)  # the file holds all that lies in the folder
        Path(self.outdir).mkdir()
        self.config.templates_path = []  # those are the site's
        self.config.epub_cover = (COVER, "epub-cover.html")
        for listener in [*self.events.listeners["html-page-context"]]:  # buttons, previews
            if listener.handler.__module__.startswith(SITE):
                self.events.disconnect(listener.id)
        super().init()

    def get_outdated_docs(self) -> Iterable[str]:  # type: ignore[override]
        return self.env.found_docs

    def gen_pages_from_extensions(self) -> None:
        pass

    def update_page_context(self, pagename: str, templatename: str, ctx: dict, event_arg: Any) -> None:
        ctx["css_files"] = [file for file in ctx["css_files"] if str(file.filename).endswith(STYLE)]
        ctx["script_files"] = []
        ctx["body"] = FOLDED.sub(r"<summary>\1</summary>", ctx.get("body", ""))  # a summary has no paragraphs

    def copy_static_files(self) -> None:
        source, target = Path(self.srcdir, "book", "_static"), Path(self.outdir, "_static")
        shutil.copytree(source / "fonts", target / "fonts")
        Path(self.outdir, COVER).parent.mkdir(exist_ok=True)
        shutil.copy(source / STYLE[1], target)
        shutil.copy(source.parent / "images" / Path(COVER).name, Path(self.outdir, COVER))
        self.create_pygments_style_file()

    def copy_image_files(self) -> None:
        super().copy_image_files()
        for picture in Path(self.outdir, self.imagedir).glob("*.svg"):  # an EPUB has SVG 1.1
            text = re.sub(r'font-weight="(\d)\d\d"', r'font-weight="\g<1>00"', picture.read_text(encoding="utf-8"))
            text = re.sub(r"<path (?![^>]*\bd=)", '<path d="M0 0" ', text)  # Matplotlib's space has no outline
            picture.write_text(text, encoding="utf-8")

    def build_toc(self) -> None:
        super().build_toc()
        path = Path(self.outdir, "toc.ncx")
        order: dict[str, int] = {}  # entries that lead to one place have one number

        def numbered(entry: re.Match) -> str:
            return f'playOrder="{order.setdefault(entry[2], len(order) + 1)}"{entry[1]}<content src="{entry[2]}"'

        text = path.read_text(encoding="utf-8")
        text = text.replace(f'content="{self.config.epub_uid}"', f'content="{self.config.epub_identifier}"')
        path.write_text(
            re.sub(r'playOrder="\d+"(.*?)<content src="([^"]*)"', numbered, text, flags=re.DOTALL), encoding="utf-8"
        )

    # Sphinx puts the first page's folder before addresses as they are seen from there: book/../notebooks/...
    def get_toc(self) -> None:
        super().get_toc()
        for entry in self.refnodes:
            page, sign, anchor = entry["refuri"].partition("#")
            page = posixpath.normpath(page)
            entry["refuri"] = page + sign + anchor
            numbers = self.env.toc_secnumbers.get(page.removesuffix(self.out_suffix), {})
            if number := numbers.get(sign + anchor):
                entry["text"] = f"{'.'.join(map(str, number))} {entry['text']}"

    def build_content(self) -> None:
        super().build_content()
        ElementTree.register_namespace("", OPF)
        ElementTree.register_namespace("dc", DC)
        path = Path(self.outdir, "content.opf")
        tree = ElementTree.parse(path)
        for item in tree.iter(f"{{{OPF}}}item"):
            name = item.attrib["href"]
            properties = ["cover-image"] * (name == COVER)
            if name.endswith(self.out_suffix) and name != "nav.xhtml":
                text = Path(self.outdir, name).read_text(encoding="utf-8")
                properties += [kind for kind, sign in (("mathml", "<math"), ("svg", "<svg")) if sign in text]
            if properties:
                item.set("properties", " ".join(properties))
        tree.write(path, encoding="utf-8", xml_declaration=True)
        self.add_parts()

    def add_parts(self) -> None:
        """Put the chapters of the contents below their parts; an entry of a part leads to its first chapter."""
        entries: list[dict] = []
        starts = {}
        for part in self.env.external_site_map.root.subtrees:  # type: ignore[attr-defined]
            first = posixpath.splitext(next(iter(part.files())))[0] + self.out_suffix
            starts[first] = part.caption
        for entry in self.refnodes:
            if caption := starts.get(entry["refuri"]):
                entries.append({"level": 1, "refuri": entry["refuri"], "text": caption})
            entries.append(entry | {"level": entry["level"] + bool(len(entries))})
        self.refnodes = entries


def spread_tabs(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """A book on paper has no tabs: their contents stand under one another, each with its label."""
    if app.builder.name != "epub":
        return
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


def setup(app: Sphinx) -> dict:
    app.add_builder(Book, override=True)
    app.connect("doctree-resolved", spread_tabs)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
