"""Formulas as MathML, which browsers and readers of books show without a script."""

import re
from xml.etree import ElementTree

import latex2mathml.converter
from docutils import nodes
from sphinx.application import Sphinx

RELATIONS = ("=", "≈", "≤", "≥", "<", ">", "→", "∝")
LONG = 30  # signs of a formula that may be wider than what is left of a line on a phone
ADJOINED = re.compile(r'([^\s<>]*)<math\b[^>]*display="inline"(?:(?!</math>).)*</math>([^\s<]*)', re.DOTALL)
CLOSING = (")", "]", "}", "|", "∥", "!")
MATHML = "http://www.w3.org/1998/Math/MathML"


def mathml(self, node: nodes.Element, block: bool) -> None:
    tex = node.astext().replace("gathered}", "matrix}").replace("aligned}", "align*}")
    tex = re.sub(r"\\math(bb|cal) (\w)", r"\\math\1{\2}", tex)  # as a sign of its own: browsers know no mathvariant
    if block and "\\\\" in tex and "\\begin" not in tex:
        tex = f"\\begin{{matrix}}{tex}\\end{{matrix}}"
    markup = spaced(latex2mathml.converter.convert(tex, display="block" if block else "inline"))
    self.body.append(f'<div class="math">{markup}</div>' if block else breakable(markup))
    raise nodes.SkipNode


def spaced(markup: str) -> str:
    """Make words of letters that belong together, and give functions and signs the space that TeX gives them."""
    ElementTree.register_namespace("", MATHML)
    root = ElementTree.fromstring(markup)
    for table in root.iter(f"{{{MATHML}}}mtable"):
        table.set("displaystyle", "true")
    for row in root.iter():
        upright = [child.get("mathvariant") == "normal" and child.tag.endswith("}mi") for child in row]
        if len(upright) > 1 and all(upright):
            row[0].text = "".join(child.text or "" for child in row)
            del row[0].attrib["mathvariant"]  # a name of several letters is upright by itself
            del row[1:]
    for row in root.iter():  # a minus after a sign or a bracket that opens is one of what follows
        for before, sign in zip(row, row[1:], strict=False):
            if sign.text in ("−", "-", "+", "±") and before.tag.endswith("}mo") and before.text not in CLOSING:
                sign.set("form", "prefix")
    for row in [*root.iter(f"{{{MATHML}}}mrow"), *root.iter(f"{{{MATHML}}}mtd")]:
        for index in range(len(row) - 1, 0, -1):
            if (function(row[index - 1]) and operand(row[index])) or (function(row[index]) and operand(row[index - 1])):
                row.insert(index, ElementTree.Element(f"{{{MATHML}}}mspace", width="0.167em"))
    return ElementTree.tostring(root, encoding="unicode")


def breakable(markup: str) -> str:
    """Let a long formula go on in the next line after a relation, as TeX does: no browser breaks MathML itself."""
    root = ElementTree.fromstring(markup)
    signs = "".join(root.itertext())
    if len(root) != 1 or len(signs) <= LONG:
        return markup
    parts: list[list[ElementTree.Element]] = [[]]
    for node in root[0]:
        parts[-1].append(node)
        if node.text in RELATIONS:
            node.set("form", "infix")  # at the end of a row it would lose its space
            parts.append([])
    pieces = []
    for part in filter(None, parts):
        piece = ElementTree.Element(root.tag, root.attrib)
        ElementTree.SubElement(piece, root[0].tag).extend(part)
        pieces.append(ElementTree.tostring(piece, encoding="unicode"))
    return "".join(pieces)


def kept(body: str) -> str:
    """Keep what adjoins a formula, as a comma does, on its line: browsers may begin a new one on both sides of it."""
    return ADJOINED.sub(
        lambda found: f'<span class="nowrap">{found[0]}</span>' if found[1] or found[2] else found[0], body
    )


def function(node: ElementTree.Element) -> bool:
    """Whether a node is a name such as log or softplus, or such a name with an index or exponent."""
    while len(node) and node.tag.rpartition("}")[2] in ("mrow", "msup", "msub", "munder"):
        node = node[0]
    return node.tag.endswith("}mi") and len(node.text or "") > 1


def operand(node: ElementTree.Element) -> bool:
    return not node.tag.endswith(("}mo", "}mspace", "}mtext"))


def page(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    if "body" in context:
        context["body"] = kept(context["body"])


def setup(app: Sphinx) -> dict:
    inline, block = (lambda self, node: mathml(self, node, False)), (lambda self, node: mathml(self, node, True))
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.connect("html-page-context", page)
    app.add_config_value("epub_math_renderer", "mathml", "env")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
