"""What the site's pages load: one style sheet, the icons and scripts that they use, sized pictures, and a search.

The theme and the extensions bring more than half a megabyte of style sheets, an icon font of 1,400 signs, and scripts
that every page would wait for. Here their sheets become one file without the rules that no page needs. They stand in a
layer below the book's own sheet, whose rules therefore win whatever their selectors are.
"""

import json
import posixpath
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import tinycss2
from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

OWN = "book.css"
SCRIPTS = ("documentation_options", "clipboard", "copybutton", "design-tabs", "sphinx-book-theme", "book.js")
THEME = ("basic.css", "styles/theme.css", "styles/pydata-sphinx-theme.css")  # what the theme's own template links to
logger = logging.getLogger(__name__)


# The style sheet


def classes(prelude: list) -> set[str]:
    """The classes of a selector; those in :not(...) and the like are no condition for it to fit."""
    return {
        token.value
        for dot, token in zip(prelude, prelude[1:], strict=False)
        if dot == "." and getattr(token, "type", "") == "ident"
    }


def needed(rules: Iterable, used: set[str] | None) -> Iterable[str]:
    """The text of all rules that may fit a page with these classes; what belongs to dark pages is for screens only."""
    for rule in rules:
        if (
            rule.type == "at-rule"
            and rule.content is not None
            and rule.lower_at_keyword in ("media", "supports", "layer")
        ):
            inner = "".join(needed(tinycss2.parse_rule_list(rule.content, True, True), used))
            if inner:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}"
        elif rule.type == "qualified-rule":
            selectors: list[list] = [[]]
            for token in rule.prelude:
                if token == ",":
                    selectors.append([])
                else:
                    selectors[-1].append(token)
            fitting = [
                tinycss2.serialize(tokens).strip() for tokens in selectors if used is None or classes(tokens) <= used
            ]
            if fitting:
                text = f"{','.join(fitting)}{{{tinycss2.serialize(rule.content).strip()}}}\n"
                dark = all(re.search(r"data-theme=.?dark", selector) for selector in fitting)
                yield f"@media screen{{{text}}}\n" if dark else text
        elif rule.type != "error" and getattr(rule, "lower_at_keyword", "") not in ("import", "charset"):
            yield rule.serialize() + "\n"


def icons(sheet: str, static: Path) -> str:
    """Replace the icon fonts in a sheet by fonts of those signs that it names."""

    def replace(face: re.Match) -> str:
        path = static / "styles" / re.search(r'url\("?([^")]+\.ttf)', face[0])[1]  # type: ignore[index]
        font = TTFont(path)
        signs = {ord(sign) for sign in sheet if ord(sign) > 0xE000} & set(font.getBestCmap())
        if not signs:
            return ""
        tool = subset.Subsetter()
        tool.populate(unicodes=signs)
        tool.subset(font)
        font.flavor = "woff"
        font.save(static / f"{path.stem}.woff")
        return re.sub(r"src:[^}]*", f'src:url({path.stem}.woff) format("woff")', face[0])

    return re.sub(r"@font-face\s*{[^}]*Awesome[^}]*}", replace, sheet)


def bundle(out: Path, sheets: list[str]) -> None:
    """Write book.css, with all other sheets in a layer below it."""
    static = out / "_static"
    for template in static.rglob("*.html"):  # of the themes
        template.unlink()
    used = set()
    for page in out.rglob("*.html"):
        for found in re.findall(r'class="([^"]*)"', page.read_text(encoding="utf-8")):
            used.update(found.split())
    for script in static.rglob("*.js"):
        if script.stat().st_size < 2e5:  # no data
            used.update(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))

    def read(name: str, used: set[str] | None) -> str:
        text = (static / name).read_text(encoding="utf-8")
        return "".join(needed(tinycss2.parse_stylesheet(text, True, True), used))

    below = icons("".join(read(name, used) for name in sheets), static)
    own = read(OWN, None)  # its script makes some classes from parts
    (static / OWN).write_text(f"@layer first,theme;\n@layer theme{{\n{below}}}\n{own}", encoding="utf-8")


def tidy(out: Path, own: Path) -> None:
    """Remove the static files that are not the book's own and that no page, sheet or script names."""
    static = out / "_static"
    for script in static.rglob("*.js"):
        text = script.read_text(encoding="utf-8")
        if "sourceMappingURL" in text:
            script.write_text(re.sub(r"//# sourceMappingURL=\S+", "", text), encoding="utf-8")
    files = [path for path in static.rglob("*") if path.is_file()]
    pages = [*out.rglob("*.html"), static / OWN]
    named = "".join(path.read_text(encoding="utf-8") for path in pages)
    scripts = [path for path in files if path.suffix == ".js" and path.name in named]
    named += "".join(path.read_text(encoding="utf-8") for path in scripts)
    named += "".join(path.read_text(encoding="utf-8") for path in files if path.suffix == ".css" and path.name in named)
    for path in files:
        of = path.name.removesuffix(".LICENSE.txt")  # what a license is about, if it is one
        if not (of in named or (own / path.relative_to(static)).exists()):
            path.unlink()
    if "_downloads/" not in named:  # a film that a chapter links to stands in its page
        shutil.rmtree(out / "_downloads", ignore_errors=True)
    for folder in sorted((path for path in static.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def lighten(out: Path) -> None:
    """Store pictures without colors as gray ones, and social cards, which have few, with 32 colors."""
    for path in (out / "_images").rglob("*.png"):
        with Image.open(path) as image:
            plain = image.convert("RGB")
            opaque = image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
        gray = plain.convert("L")
        if path.parent.name == "social_previews":
            plain.quantize(32, dither=Image.Dither.NONE).save(path, optimize=True)
        elif opaque and not ImageChops.difference(plain, gray.convert("RGB")).getbbox():
            gray.save(path, optimize=True)


def empty(out: Path) -> None:
    """The notebooks that a page offers to take along are there to be run; the page itself has their outputs."""
    for path in (out / "_sources").rglob("*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell |= {"outputs": [], "execution_count": None}
        path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


# Pages


def assets(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """A page loads the one sheet, and after it is drawn the scripts that it needs."""
    body = context.get("body", "")
    if body:
        context["body"] = sized(app, body)
    if app.builder.name != "html":
        return
    context["css_files"] = [file for file in context["css_files"] if str(file.filename).endswith(f"/{OWN}")]
    absent = {"design-tabs"} - ({"design-tabs"} if "sd-tab-set" in body else set())
    if "highlight" not in body:
        absent |= {"clipboard", "copybutton"}
    wanted = [name for name in SCRIPTS if name not in absent]
    context["script_files"] = [
        file for file in context["script_files"] if any(name in str(file.filename) for name in wanted)
    ]
    for file in context["script_files"]:
        file.attributes["defer"] = "defer"
    context["has_math"], context["has_italics"] = "<math" in body, body.count("<em>") > 40  # fonts to load early


def size(path: Path) -> tuple[float, float] | None:
    """Width and height of a picture on the page, where 110 dots of a figure count an inch."""
    if path.suffix == ".svg":
        box = re.search(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', path.read_text(encoding="utf-8"))
        return (float(box[1]), float(box[2])) if box else None
    with Image.open(path) as image:
        scale = 110 / image.info.get("dpi", (110,))[0]
        return image.width * scale, image.height * scale


WIDE = 700  # dots; on a phone, the labels of a wider figure are too small if all of it is to be seen


def sized(app: Sphinx, body: str) -> str:
    """Give each picture its size, so that nothing moves when it comes; on the site, most wait until they are near.

    Wide figures of code output stand in a box of their own, which scrolls sideways on a phone.
    """
    sources = {file: Path(app.srcdir, source) for source, file in app.builder.images.items()}
    count = 0

    def complete(image: re.Match) -> str:
        nonlocal count
        tag = image[0]
        source = sources.get(posixpath.basename(re.search(r'src="([^"]*)"', tag)[1]))  # type: ignore[index]
        count += 1
        if count > 1 and "loading=" not in tag and app.builder.name == "html":
            tag = tag.replace("<img", '<img loading="lazy"', 1)
        if source is not None and " width=" not in tag and (found := size(source)):
            tag = tag.replace("<img", f'<img width="{found[0]:.0f}" height="{found[1]:.0f}"', 1)
            if found[0] > WIDE and "jupyter_execute" in source.parts and app.builder.name == "html":
                tag = f'<div class="wide">{tag}</div>'
        return tag

    return re.sub(r"<img\b[^>]*>", complete, body)


# Search


#: The sections that explain what readers look for under another name, or what an earlier chapter only mentions.
EXPLAINED = {
    "mx.eval": "notebooks/02_mlx.html#nothing-is-computed-until-someone-asks",
    "learning rate": "notebooks/05_losses.html#adam",
    "moving average": "notebooks/06_training.html#a-steadier-copy",
    "EMA": "notebooks/06_training.html#a-steadier-copy",
    "FID": "notebooks/08_measuring.html#the-frechet-distance",
    "minibatch standard deviation": "notebooks/09_convolutions.html#copies-in-disguise",
    "label smoothing": "notebooks/11_stability.html#losses-that-pull-in-other-ways",
    "diffusion": "notebooks/15_gans_today.html#two-cures-for-fog",
    "diffusion models": "notebooks/15_gans_today.html#two-cures-for-fog",
}


def kind(*classes: type[nodes.Node]) -> Callable[[nodes.Node], bool]:
    return lambda node: isinstance(node, classes)


def heading(section: nodes.Node) -> str | None:
    """The title of a section; what the contents of exercises and solutions are in has none."""
    titles = (node.astext() for node in section.children if isinstance(node, nodes.title))
    return next(titles, None) if isinstance(section, nodes.section) else None


def sections(app: Sphinx) -> Iterable[dict[str, str]]:
    """What the search finds: every section with a title, its prose, and the terms that it is the first to set off."""
    known, absent = {term.lower() for term in EXPLAINED}, set(EXPLAINED.values())
    for docname in sorted(app.env.found_docs, key=lambda name: (not name.startswith("notebooks/"), name)):
        page = app.builder.get_target_uri(docname)
        title = app.env.titles[docname].astext()
        for index, section in enumerate(app.env.get_doctree(docname).findall(heading)):
            own = [node for node in section.children if not isinstance(node, addnodes.toctree) and not heading(node)]
            prose = [text for node in own for text in node.findall(kind(nodes.paragraph, nodes.caption))]
            prose = [text for text in prose if not isinstance(text.parent, nodes.entry)]  # no tables
            found = [term.astext() for text in prose for term in text.findall(kind(nodes.strong, nodes.emphasis))]
            terms = [term for term in found if len(term) < 60 and term.lower() not in known]
            known.update(term.lower() for term in terms)
            to = page if index == 0 else f"{page}#{section['ids'][0]}"
            terms += [term for term, where in EXPLAINED.items() if where == to]
            absent.discard(to)
            yield {
                "to": to,
                "page": title,
                "title": heading(section) or title,
                "terms": " · ".join(terms),
                "text": " ".join(text.astext() for text in prose).replace("\n", " "),
            }
    for to in sorted(absent):
        logger.warning("the search has a term of a section that is not there: %s", to)


def finish(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.name != "html":
        return
    out = Path(app.outdir)
    data = json.dumps(list(sections(app)), ensure_ascii=False, separators=(",", ":"))
    (out / "_static" / "search-sections.js").write_text(f"globalThis.bookSections = {data};\n", encoding="utf-8")
    files = sorted(app.builder._css_files, key=lambda file: file.priority)  # type: ignore[attr-defined]
    names = [str(file.filename).removeprefix("_static/") for file in files]
    bundle(out, [*THEME, *(name for name in dict.fromkeys(names) if name not in (OWN, *THEME))])
    tidy(out, Path(app.srcdir, "book", "_static"))
    lighten(out)
    empty(out)


def leave_out(app: Sphinx) -> None:
    """What Sphinx and Jupyter Book would add: an index with a page to search it, and settings to run code in pages."""
    app.builder.search = False  # type: ignore[attr-defined]
    for listener in [*app.events.listeners["doctree-resolved"]]:
        if listener.handler.__module__ == "sphinx_thebe":
            app.disconnect(listener.id)


def setup(app: Sphinx) -> dict:
    app.connect("builder-inited", leave_out)
    app.connect("html-page-context", assets, priority=950)
    app.connect("build-finished", finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
