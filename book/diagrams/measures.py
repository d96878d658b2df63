"""Diagrams of measures, computed from the points that they show, and of rejection."""

import math

from pen import Card, Point

REAL: list[Point] = [(70, 120), (112, 74), (150, 130), (104, 178), (170, 186), (214, 96), (238, 156)]
FAKE: list[Point] = [(84, 106), (112, 104), (124, 136), (92, 144), (150, 106), (284, 76), (294, 110)]


def _radius(point: Point, points: list[Point], k: int) -> float:
    """Return the distance to the k-th nearest neighbor in a set that the point belongs to."""
    return sorted(math.dist(point, other) for other in points)[k]


def _hits(points: list[Point], balls: list[tuple[Point, float]]) -> list[int]:
    """Return for each point the number of balls that it lies in."""
    return [sum(math.dist(point, center) <= r for center, r in balls) for point in points]


def _neighbors(
    c: Card, x: float, y: float, centers: list[Point], others: list[Point], kind: str, other: str, k: int = 1
) -> list[int]:
    """Draw balls to the k-th neighbor around centers, and the other points, hollow where no ball reaches."""
    balls = [(point, _radius(point, centers, k)) for point in centers]
    hits = _hits(others, balls)
    for (a, b), r in balls:
        c.disc(x + a, y + b, r, kind)
    for a, b in centers:
        c.dot(x + a, y + b, kind, 5)
    for (a, b), hit in zip(others, hits, strict=True):
        c.dot(x + a, y + b, other, 7, hollow=not hit)
    return hits


def precision_recall() -> Card:
    c = Card(
        "Precision and recall",
        "Left: balls around real points; most fakes lie inside, two lie outside. Right: balls around the fakes; "
        "the share of real points inside is recall.",
        350,
    )
    c.text(175, 40, "precision", bold=True)
    hits = _neighbors(c, 10, 36, REAL, FAKE, "real", "gen")
    inside = sum(map(bool, hits))
    c.text(175, 306, f"{inside} of {len(FAKE)} fakes lie in\na ball of real points", "gen", 20)
    c.line([(350, 24), (350, 326)], "rule", 1.5)
    c.text(525, 40, "recall", bold=True)
    hits = _neighbors(c, 360, 36, FAKE, REAL, "gen", "real")
    inside = sum(map(bool, hits))
    c.text(525, 306, f"{inside} of {len(REAL)} real points lie\nin a ball of fakes", "real", 20)
    return c


def density_coverage() -> Card:
    c = Card(
        "Density and coverage",
        "Three panels with balls around real points only. Density counts in how many balls each fake lies; "
        "coverage is the fraction of balls with a fake in them; three images supplied a hundred times each keep "
        "the density and lower the coverage.",
        340,
    )
    real: list[Point] = [(46, 56), (76, 76), (54, 110), (124, 56), (154, 80), (120, 126), (166, 130)]
    varied: list[Point] = [(58, 70), (66, 94), (138, 66), (140, 120), (108, 116), (160, 106), (206, 40)]
    copies: list[Point] = [(44, 50), (72, 66), (58, 88)]
    for panel, (title, fakes) in enumerate((("density", varied), ("coverage", varied), ("copies", copies))):
        x, y = 4 + 234 * panel, 42
        balls = [(point, _radius(point, real, 1)) for point in real]
        hits = _hits(fakes, balls)
        found = [any(math.dist(fake, center) <= r for fake in fakes) for center, r in balls]
        for ((a, b), r), is_hit in zip(balls, found, strict=True):
            c.disc(x + a, y + b, r, "real", 0.16 if is_hit or panel == 0 else 0.0)
            c.dot(x + a, y + b, "real", 4.5)
        for (a, b), hit in zip(fakes, hits, strict=True):
            for shift in (6, 3, 0) if panel == 2 else (0,):
                c.dot(x + a + shift, y + b - shift, "gen", 6.5, hollow=not hit or shift > 0)
        density, coverage = sum(hits) / len(fakes), f"{sum(found)} of {len(real)}"
        words = (
            f"on average {density:.1f}\nballs per fake",
            f"{coverage} balls\nhold a fake",
            f"3 images × 100:\ndensity {density:.1f},\ncoverage {coverage}",
        )
        c.text(x + 113, 38, title, bold=True)
        c.text(x + 113, 258, words[panel], size=20)
        if panel:
            c.line([(x - 4, 24), (x - 4, 316)], "rule", 1.5)
    return c


def rejection() -> Card:
    c = Card(
        "Rejection",
        "A generator makes six digits. A referee accepts four good ones and rejects two malformed ones: the "
        "acceptance rate is 4 of 6.",
        310,
    )
    names = ("fake-7", "odd4", "fake-2", "fake-5", "odd3", "fake-9")
    c.network(16, 100, 134, 90, "generator", "gen", size=20)
    c.arrow((152, 145), (176, 145), kind="gen")
    for index, name in enumerate(names):
        c.digit(180 + 54 * (index % 2), 64 + 57 * (index // 2), 48, f"fake-{name}" if name[0] == "o" else name, "gen")
    c.text(231, 258, "samples", "gen", 20)
    c.arrow((286, 145), (318, 145))
    c.polygon([(390, 85), (460, 145), (390, 205), (320, 145)], "s-paper l-ink", 2.5)
    c.text(390, 152, "referee", bold=True, size=20)
    c.arrow((425, 113), (425, 80), (466, 80))
    c.arrow((425, 177), (425, 210), (466, 210))
    good = [name for name in names if name[0] == "f"]
    for index, name in enumerate(good):
        c.digit(470 + 54 * index, 56, 48, name, "gen")
    for index, name in enumerate(("fake-odd4", "fake-odd3")):
        c.digit(470 + 54 * index, 186, 48, name, "rule", opacity=0.4)
    c.text(575, 38, "accepted", size=20, bold=True)
    c.text(584, 217, "rejected", size=20, anchor="start", bold=True)
    c.text(684, 286, "acceptance rate: 4 of 6", anchor="end")
    return c
