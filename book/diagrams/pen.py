"""What the diagrams are drawn with: a card, text, boxes, networks, arrows, dots and digits, as strings of SVG.

Coordinates are SVG units, x to the right and y down. A card is 700 wide, which a phone shows at half that size, so
text has at least 20 units. A *kind* says what a thing is, and with that its color: "gen" (the generator and what it
makes), "disc" (the discriminator), "real" (real images), "ink" and "muted" (everything else).
"""

import base64
import math
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

Point = tuple[float, float]

DIGITS = Path(__file__).parent / "digits"
WIDTH = 700
NOISE = (0.9, 0.2, 0.6, 0.1, 0.75, 0.4, 0.95, 0.3)  # shades of z
FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
CODE = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'

#: Each color in the light and in the dark scheme.
COLORS = {
    "card": ("#f6f6f6", "#242628"),
    "paper": ("#ffffff", "#303335"),
    "ink": ("#1d1f21", "#e6e6e2"),
    "muted": ("#565b61", "#b0b3b5"),
    "rule": ("#b4b6b1", "#63676a"),
    "gen": ("#d55e00", "#f28e3c"),
    "gen-tint": ("#fbe3d2", "#4a3321"),
    "gen-text": ("#a94a00", "#f5a15c"),
    "disc": ("#009e73", "#35b98e"),
    "disc-tint": ("#d3eee4", "#1c4236"),
    "disc-text": ("#006b4f", "#5fd6b0"),
    "real": ("#0072b2", "#62b6e7"),
    "real-tint": ("#d6e8f4", "#1e3b4e"),
    "real-text": ("#00618f", "#7cc3ec"),
}


def number(x: float) -> str:
    """Return a coordinate with at most one digit after the point."""
    return f"{round(x, 1) + 0.0:.1f}".removesuffix(".0")


def style() -> str:
    """Return the style sheet of every diagram.

    As an image a diagram shows the light colors on a card of its own, whatever the page. In the page itself, as inline
    SVG, it follows ``html[data-theme]``. A page may also set ``--dg-ink`` and the like.
    """

    def color(name: str) -> str:
        return f"var(--dg-{name},{COLORS[name][0]})"

    rules = [
        ".dg{max-width:100%;height:auto}",
        f".dg text{{font-family:var(--dg-font,{FONT});fill:{color('ink')}}}.dg .code{{font-family:{CODE}}}",
    ]
    for kind in ("ink", "muted", "rule", "gen", "disc", "real", "paper", "card"):
        text = f"{kind}-text" if f"{kind}-text" in COLORS else kind
        tint = f"{kind}-tint" if f"{kind}-tint" in COLORS else "paper"
        rules.append(
            f".dg .l-{kind}{{stroke:{color(kind)}}}.dg .s-{kind}{{fill:{color(kind)}}}"
            f".dg .f-{kind}{{fill:{color(tint)}}}.dg text.t-{kind}{{fill:{color(text)}}}"
        )
    rules.append(f".dg text.halo{{stroke:{color('card')};stroke-width:7;stroke-linejoin:round;paint-order:stroke}}")
    dark = "".join(f"--dg-{name}:{both[1]};" for name, both in COLORS.items())
    rules.append(f'html[data-theme="dark"] .dg{{{dark}}}html[data-theme="dark"] .dg image{{filter:invert(.86)}}')
    return "".join(rules)


class Card:
    """A diagram: a rounded card, on which each method draws one thing and returns where an arrow may meet it."""

    def __init__(self, title: str, description: str, height: int):
        self.title, self.description, self.height = title, description, height
        self.parts: list[str] = []

    def svg(self) -> str:
        """Return the text of the SVG file."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="dg" role="img" viewBox="0 0 {WIDTH} {self.height}" '
            f'width="{WIDTH}" height="{self.height}" font-size="22" fill="none" stroke-width="2.5" '
            f'stroke-linecap="round" stroke-linejoin="round">\n<title>{escape(self.title)}</title>\n'
            f"<desc>{escape(self.description)}</desc>\n<style>{style()}</style>\n"
            f'<rect class="s-card" width="{WIDTH}" height="{self.height}" rx="14"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )

    def add(self, element: str) -> None:
        """Add an SVG element as text."""
        self.parts.append(element)

    # Words

    def text(
        self, x: float, y: float, words: str, kind: str = "ink", size: int = 22, anchor: str = "middle", **more
    ) -> None:
        """Write words with their baseline at y; ``*z*`` is italic, a new line goes below.

        ``more``: bold, code, halo (an edge in the card's color, for words on lines).
        """
        classes = " ".join([f"t-{kind}"] + [name for name in ("code", "halo") if more.get(name)])
        weight = ' font-weight="650"' if more.get("bold") else ""
        for line, part in enumerate(words.split("\n")):
            inner = re.sub(r"\*(.+?)\*", r'<tspan font-style="italic">\1</tspan>', escape(part, quote=False))
            place = f'x="{number(x)}" y="{number(y + line * size * 1.22)}"'
            self.add(
                f'<text {place} class="{classes}" text-anchor="{anchor}" font-size="{size}"{weight}>{inner}</text>'
            )

    # Shapes

    def box(self, x: float, y: float, w: float, h: float, words: str = "", kind: str = "ink", **more) -> None:
        """Draw a rounded box; ``more``: size, bold, code (of the words), fill, dotted, thin, rx."""
        fill = f"f-{kind} " if more.get("fill", True) else ""
        dots = ' stroke-dasharray="0.1 6"' if more.get("dotted") else ""
        width = ' stroke-width="1.5"' if more.get("thin") else ""
        place = f'x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}" rx="{more.get("rx", 9)}"'
        self.add(f'<rect {place} class="{fill}l-{kind}"{dots}{width}/>')
        self._inside(x + w / 2, y + h / 2, words, kind, **more)

    def _inside(self, x: float, y: float, words: str, kind: str, **more) -> None:
        """Write words, in one or more lines, around a center."""
        if words:
            size = more.get("size", 22)
            top = y + 0.36 * size - 0.61 * size * words.count("\n")
            self.text(x, top, words, kind, size, bold=more.get("bold"), code=more.get("code"))

    def network(self, x: float, y: float, w: float, h: float, words: str, kind: str, **more) -> None:
        """Draw a network: the generator widens toward its image, the discriminator narrows toward its verdict.

        ``more``: fixed (unchanged: white, thin), slant (how much one side is shorter), size.
        """
        cut = more.get("slant", 0.2) * h
        left, right = (cut, 0) if kind == "gen" else (0, cut)
        corners = [(x, y + left), (x + w, y + right), (x + w, y + h - right), (x, y + h - left)]
        fill, width = ("s-paper", 1.5) if more.get("fixed") else (f"f-{kind}", 3)
        self.polygon(corners, f"{fill} l-{kind}", width)
        self._inside(x + w / 2, y + h / 2, words, kind, bold=True, size=more.get("size", 22))

    def polygon(self, points: Iterable[Point], classes: str, width: float = 2.5, opacity: float = 1) -> None:
        """Draw a closed shape; ``opacity`` is that of its inside."""
        line = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        pale = f' fill-opacity="{opacity}"' if opacity < 1 else ""
        self.add(f'<polygon points="{line}" class="{classes}" stroke-width="{number(width)}"{pale}/>')

    def dot(self, x: float, y: float, kind: str, r: float = 6, hollow: bool = False) -> None:
        """Draw a point, full or as a ring."""
        look = f's-paper l-{kind}" stroke-width="2.5' if hollow else f"s-{kind}"
        self.add(f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" class="{look}"/>')

    def disc(self, x: float, y: float, r: float, kind: str, opacity: float = 0.16) -> None:
        """Draw a ball: a pale disc with a fine edge."""
        place = f'cx="{number(x)}" cy="{number(y)}" r="{number(r)}"'
        self.add(f'<circle {place} class="s-{kind} l-{kind}" fill-opacity="{opacity}" stroke-width="1.2"/>')

    def square(self, x: float, y: float, side: float, kind: str, opacity: float = 1.0) -> None:
        """Draw one cell of a grid, the stronger its value the more opaque."""
        place = f'x="{number(x)}" y="{number(y)}" width="{number(side)}" height="{number(side)}"'
        self.add(f'<rect {place} class="s-paper"/><rect {place} class="s-{kind}" fill-opacity="{opacity:.2f}"/>')
        self.add(f'<rect {place} class="l-rule" stroke-width="1"/>')

    def cells(self, x: float, y: float, w: float, h: float, shades: Sequence[float], kind: str = "muted") -> None:
        """Draw a vector as a column of cells, for example noise; shades from 0 to 1."""
        step = h / len(shades)
        self.add(f'<rect x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}" class="s-paper"/>')
        for row, shade in enumerate(shades):
            place = f'x="{number(x)}" y="{number(y + row * step)}" width="{number(w)}" height="{number(step)}"'
            self.add(f'<rect {place} class="s-{kind}" fill-opacity="{shade:.2f}"/>')
        place = f'x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}"'
        self.add(f'<rect {place} rx="3" class="l-{kind}" stroke-width="1.5"/>')

    def digit(self, x: float, y: float, size: float, name: str, kind: str, opacity: float = 1) -> None:
        """Draw a picture from the folder of digits in a frame of its kind's color."""
        data = base64.b64encode((DIGITS / f"{name}.png").read_bytes()).decode()
        place = f'x="{number(x)}" y="{number(y)}" width="{number(size)}" height="{number(size)}"'
        pale = f' opacity="{opacity}"' if opacity < 1 else ""
        self.add(f'<image {place} href="data:image/png;base64,{data}"{pale}/>')
        self.add(f'<rect {place} rx="2" class="l-{kind}" stroke-width="3"/>')

    # Lines

    def line(
        self, points: Sequence[Point], kind: str = "ink", width: float = 2.5, dash: str = "", opacity: float = 1
    ) -> None:
        """Draw a line through points."""
        way = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
        self._path(way, kind, width, dash, opacity)

    def _path(self, way: str, kind: str, width: float, dash: str = "", opacity: float = 1) -> None:
        more = (f' stroke-dasharray="{dash}"' if dash else "") + (f' opacity="{opacity}"' if opacity < 1 else "")
        self.add(f'<path d="{way}" class="l-{kind}" stroke-width="{number(width)}"{more}/>')

    def arrow(
        self, *points: Point, kind: str = "ink", gradient: bool = False, bend: float = 0, width: float = 2.5
    ) -> None:
        """Draw an arrow through points, with round corners, its tip at the last one.

        ``gradient`` makes it dashed. With ``bend`` an arrow of two points is a curve that swerves that far to its left.
        """
        *_, before, tip = points
        if bend:
            (x0, y0), (x1, y1) = points
            long = math.dist(*points)
            before = ((x0 + x1) / 2 + 2 * bend * (y1 - y0) / long, (y0 + y1) / 2 - 2 * bend * (x1 - x0) / long)
        size = 8 + 2 * width
        angle = math.atan2(tip[1] - before[1], tip[0] - before[0])
        foot = (tip[0] - 0.8 * size * math.cos(angle), tip[1] - 0.8 * size * math.sin(angle))
        way = f"M{number(points[0][0])} {number(points[0][1])}"
        if bend:
            way += f"Q{number(before[0])} {number(before[1])} {number(foot[0])} {number(foot[1])}"
        else:
            for a, corner, b in zip(points, points[1:-1], points[2:], strict=False):
                start, end = _toward(corner, a, 12), _toward(corner, b, 12)
                way += f"L{number(start[0])} {number(start[1])}"
                way += f"Q{number(corner[0])} {number(corner[1])} {number(end[0])} {number(end[1])}"
            way += f"L{number(foot[0])} {number(foot[1])}"
        self._path(way, kind, width, "7 7" if gradient else "")
        sides = [(tip[0] - size * math.cos(angle + s), tip[1] - size * math.sin(angle + s)) for s in (0.42, -0.42)]
        corners = " ".join(f"{number(x)},{number(y)}" for x, y in (tip, *sides))
        self.add(f'<polygon points="{corners}" class="s-{kind}"/>')

    def no_gradient(self, x: float, y: float, size: float = 10) -> None:
        """Strike a dashed arrow through at a point."""
        for kind, width in (("card", 9), ("ink", 4)):
            self.line([(x - size, y - size), (x + size, y + size)], kind, width)
            self.line([(x - size, y + size), (x + size, y - size)], kind, width)


def _toward(a: Point, b: Point, far: float) -> Point:
    """Return the point that lies ``far`` from a on the way to b, at most half of the way."""
    long = math.dist(a, b)
    part = min(far, long / 2) / long
    return (a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1]))
