"""Diagrams of the game and its training: the step, what MLX does with it, the average, what goes wrong."""

import math
import random

from pen import NOISE, Card


def game() -> Card:
    c = Card(
        "The game",
        "Noise z goes into the generator, which makes fakes. The discriminator sees fakes and real digits and "
        "calls each real or fake. It wants to tell them apart; the generator wants its fakes to pass for real, "
        "and learns from the gradient.",
        356,
    )
    c.text(147, 38, "wants its fakes\nto pass for real", "gen", 20)
    c.cells(24, 86, 26, 80, NOISE)
    c.text(16, 194, "noise *z*", size=20, anchor="start")
    c.arrow((52, 126), (76, 126))
    c.network(78, 76, 142, 100, "generator", "gen")
    c.arrow((222, 126), (248, 126), kind="gen")
    for column, name in enumerate(("fake-7", "fake-2", "fake-5")):
        c.digit(251 + 47 * column, 105, 42, name, "gen")
    c.text(319, 90, "fakes", "gen", 20)
    for column, name in enumerate(("real-5", "real-0", "real-8")):
        c.digit(251 + 47 * column, 221, 42, name, "real")
    c.text(319, 291, "real digits", "real", 20)
    c.arrow((390, 126), (408, 126), (408, 156), (430, 156), kind="gen")
    c.arrow((390, 242), (408, 242), (408, 212), (430, 212), kind="real")
    c.network(432, 110, 170, 148, "discriminator", "disc", size=20, slant=0.16)
    c.text(517, 38, "wants to tell\nreal from fake", "disc", 20)
    c.arrow((604, 168), (640, 144))
    c.arrow((604, 200), (640, 224))
    c.text(666, 146, "real", size=20, bold=True)
    c.text(666, 236, "fake", size=20, bold=True)
    c.arrow((517, 248), (517, 330), (149, 330), (149, 168), kind="gen", gradient=True)
    c.text(220, 318, "gradient", "gen", 20)
    return c


def mean_digit() -> Card:
    c = Card(
        "Why not the mean?",
        "Eight handwritten threes on the left; on the right the mean of all threes, pixel by pixel, a gray blur.",
        290,
    )
    for index in range(8):
        c.digit(24 + 76 * (index % 4), 44 + 76 * (index // 4), 66, f"three-{index}", "real")
    c.text(171, 236, "threes that people wrote", "real")
    c.arrow((336, 114), (456, 114), width=3)
    c.text(396, 96, "mean of all", size=20)
    c.text(396, 150, "pixel by pixel", "muted", 20)
    c.digit(480, 32, 164, "three-mean", "muted")
    c.text(562, 236, "nearest to all,\nnobody’s handwriting")
    return c


def lazy_graph() -> Card:
    c = Card(
        "A lazy graph",
        "Before mx.eval, a = 3 and b = 4 hold numbers, while c = a + b and d = c squared are only promised. After "
        "it, c is 7 and d is 49, and the graph is gone.",
        300,
    )
    for x, done in ((12, False), (362, True)):
        c.text(x + 163, 40, "after mx.eval(d)" if done else "before mx.eval(d)", bold=True)
        edges, look = ("rule", {}) if done else ("ink", {"dotted": True, "fill": False})
        c.box(x, 74, 74, 46, "*a* = 3", size=20)
        c.box(x, 168, 74, 46, "*b* = 4", size=20)
        c.arrow((x + 76, 97), (x + 98, 97), (x + 138, 119), kind=edges)
        c.arrow((x + 76, 191), (x + 98, 191), (x + 138, 169), kind=edges)
        kind = "ink" if done else "muted"
        c.box(x + 94, 121, 108, 46, "*c* = 7" if done else "*c* = *a* + *b*", kind, size=20, **look)
        c.arrow((x + 204, 144), (x + 236, 144), kind=edges)
        c.box(x + 238, 121, 88, 46, "*d* = 49" if done else "*d* = *c*²", kind, size=20, **look)
        words = (
            "numbers in memory,\nthe graph is released" if done else "a plan: shapes are known,\nnothing is computed"
        )
        c.text(x + 163, 248, words, "muted", 20)
    c.line([(350, 24), (350, 276)], "rule", 1.5)
    return c


def overlap() -> Card:
    c = Card(
        "What async_eval overlaps",
        "Two timelines, each with a row for Python and a row for the device. With mx.eval, Python prepares a step and "
        "then waits while the device computes it, and the device is idle while Python prepares the next one. With "
        "mx.async_eval, Python prepares the next step while the device computes, and the device is never idle.",
        356,
    )
    for y, words, begins in ((26, "mx.eval", (106, 300, 494)), (196, "mx.async_eval", (106, 170, 300, 430))):
        c.text(16, y + 20, words, bold=True, code=True, size=20, anchor="start")
        c.text(16, y + 64, "Python", size=20, anchor="start")
        c.text(16, y + 114, "device", size=20, anchor="start")
        for step, x in enumerate(begins, 1):
            c.box(x, y + 40, 60, 36, str(step), "muted", size=20)
        computed = [x + 64 for x in begins] if words == "mx.eval" else [170, 300, 430, 560]
        for step, x in enumerate(computed, 1):
            c.box(x, y + 90, 126, 36, f"step {step}", size=20)
        for x in [x + 64 for x in begins] if words == "mx.eval" else (234, 364):
            w = 126 if words == "mx.eval" else 62
            c.box(x, y + 40, w, 36, "waits", "muted", size=20, dotted=True, fill=False)
        for x in begins if words == "mx.eval" else begins[:1]:
            c.box(x, y + 90, 60, 36, "idle", "muted", size=20, dotted=True, fill=False)
    c.arrow((106, 340), (690, 340), kind="muted")
    c.text(90, 346, "time", "muted", 20, anchor="end")
    return c


def compile_step() -> Card:
    c = Card(
        "What mx.compile takes in and gives out",
        "Images, the state of networks and optimizers, and the random state go into a compiled step. Losses and "
        "the changed states come out. A value that is not listed stays frozen at what it was when the step was "
        "traced.",
        360,
    )
    c.box(252, 28, 196, 212, kind="ink")
    c.text(350, 122, "compiled step", bold=True, size=20)
    c.text(350, 152, "traced once", "muted", 20)
    rows = (
        (28, 46, "real images", "losses", "real"),
        (92, 72, "networks,\noptimizers", "networks,\noptimizers", "muted"),
    )
    for y, h, before, after, kind in (*rows, (182, 46, "random state", "random state", "muted")):
        c.box(14, y, 186, h, before, kind, size=20)
        c.arrow((202, y + h / 2), (250, y + h / 2))
        c.arrow((450, y + h / 2), (498, y + h / 2))
        c.box(500, y, 186, h, after, "ink" if after == "losses" else kind, size=20)
    c.text(107, 256, "inputs=state", "muted", 20, code=True)
    c.text(593, 256, "outputs=state", "muted", 20, code=True)
    c.box(14, 280, 240, 66, "not listed: a number,\nanother array", "muted", size=20, thin=True)
    c.arrow((256, 313), (350, 313), (350, 242))
    c.text(372, 305, "frozen at its value\nwhen traced", anchor="start")
    return c


def two_moves() -> Card:
    c = Card(
        "The two moves of a step",
        "First move: the discriminator sees a fake and a real digit; the gradient of its loss changes its own "
        "weights and stops at the fake. Second move: the gradient of the generator's loss runs through the "
        "unchanged discriminator and changes the generator.",
        360,
    )
    for top, first in ((0, True), (182, False)):
        kind = "disc" if first else "gen"
        title = "1  The discriminator’s move" if first else "2  The generator’s move"
        c.text(18, top + 28, title, kind, bold=True, anchor="start")
        y = top + 88 if first else top + 94
        c.text(26, y + 7, "*z*")
        c.arrow((38, y), (60, y))
        c.network(62, y - 40, 134, 80, "generator", "gen", size=20, fixed=first)
        c.text(129, y + 66, "unchanged" if first else "updated", "muted" if first else "gen", 20, bold=not first)
        c.arrow((198, y - 12), (288, y - 12), kind="gen")
        c.digit(291, y - 24, 48, "fake-2", "gen")
        if first:
            c.text(282, y - 32, "stop_gradient", "muted", 20, code=True)
            c.digit(291, y + 34, 48, "real-2", "real")
            c.text(280, y + 65, "real", "real", 20, anchor="end")
            c.arrow((342, y + 58), (362, y + 58), (362, y + 28), (386, y + 28), kind="real")
        c.arrow((342, y - 12), (386, y - 12), kind="gen")
        c.network(388, y - 44, 172, 88, "discriminator", "disc", size=20, slant=0.14, fixed=not first)
        c.text(474, y + 70, "updated" if first else "unchanged", "disc" if first else "muted", 20, bold=first)
        c.arrow((562, y - 12), (606, y - 12))
        c.box(608, y - 28, 78, 56, "loss", "ink", size=20)
        c.arrow((606, y + 14), (562, y + 14), kind=kind, gradient=True)
        if not first:
            c.arrow((386, y + 14), (342, y + 14), kind=kind, gradient=True)
        c.arrow((288, y + 14), (198, y + 14), kind=kind, gradient=True)
        if first:
            c.no_gradient(243, y + 14)
    c.line([(18, 180), (682, 180)], "rule", 1.5)
    return c


def moving_average() -> Card:
    c = Card(
        "A moving average of the weights",
        "A thin jagged path shows the generator's weights after each step; a thick smooth path, their moving "
        "average, follows it.",
        320,
    )
    rng = random.Random(5)
    path, follow = [(40.0, 250.0)], [(40.0, 250.0)]
    for step in range(1, 91):
        share = step / 90
        goal = (40 + 560 * share, 250 - 150 * share**0.55)
        path.append((goal[0] + rng.uniform(-22, 22), goal[1] + rng.uniform(-38, 38)))
        keep = min(0.92, (1 + step) / (4 + step))
        (a, b), (v, w) = follow[-1], path[-1]
        follow.append((keep * a + (1 - keep) * v, keep * b + (1 - keep) * w))
    c.line(path, "gen", 1.6, opacity=0.75)
    for x, y in path:
        c.dot(x, y, "gen", 2.6)
    c.line(follow, "card", 9)
    c.line(follow, "ink", 5)
    c.dot(*follow[-1], "ink", 8)
    c.text(24, 50, "weights *w* after each step", "gen", anchor="start")
    c.text(676, 226, "their average *w̄*", bold=True, anchor="end")
    c.text(676, 292, "after each step:  *w̄*  ←  0.999 *w̄* + 0.001 *w*", anchor="end")
    return c


def gradient_penalty() -> Card:
    c = Card(
        "Where a gradient penalty looks",
        "Three panels with real points and fakes. WGAN-GP looks at points on lines between them, R1 at the real "
        "points, R2 at the fakes.",
        314,
    )
    real = [(26, 104), (38, 152), (104, 146), (60, 194), (128, 198)]
    fake = [(100, 40), (118, 100), (178, 50), (160, 142), (202, 132)]
    for panel, (title, words) in enumerate(
        (
            ("WGAN-GP", "between:\nslope toward 1"),
            ("R1", "at real images:\nslope toward 0"),
            ("R2", "at fakes:\nslope toward 0"),
        )
    ):
        x = 6 + 234 * panel
        c.text(x + 111, 40, title, "disc", bold=True)
        for (a, b), (d, e), share in zip(real, fake, (0.4, 0.6, 0.5, 0.4, 0.6), strict=True):
            if panel == 0:
                c.line([(x + a, 24 + b), (x + d, 24 + e)], "rule", 2)
                c.dot(x + a + share * (d - a), 24 + b + share * (e - b), "disc", 9, hollow=True)
        for kind, points in (("real", real), ("gen", fake)):
            for a, b in points:
                c.dot(x + a, 24 + b, kind, 6)
                if panel == (1 if kind == "real" else 2):
                    c.add(f'<circle cx="{x + a}" cy="{24 + b}" r="13" class="l-disc" stroke-width="3"/>')
        c.text(x + 111, 266, words, size=20)
        if panel:
            c.line([(x - 6, 24), (x - 6, 290)], "rule", 1.5)
    return c


def smallest_game() -> Card:
    c = Card(
        "The smallest game",
        "Four panels, each with a line through a blue real point. The orange fake starts to the right of it. The line "
        "tilts down toward the fake, which runs uphill and reaches the real point. The line is still tilted, so the "
        "fake runs past. The line tilts the other way, and the fake comes back and runs past again.",
        300,
    )
    for panel, (theta, tilt, move, words) in enumerate(
        (
            (1, 0, 0, "*D* tilts\nagainst\nthe fake"),
            (0, 1, -1, "it arrives,\nbut the slope\nremains"),
            (-1, 0, 0, "it ran past,\nand *D* tilts\nback"),
            (0, -1, 1, "it arrives\nand runs past\nagain"),
        )
    ):
        x, y, reach, rise = 87.5 + 175 * panel, 122, 52, 30
        c.line([(x - 72, y), (x + 72, y)], "rule", 1.5)
        c.line([(x - 66, y - 66 / reach * rise * tilt), (x + 66, y + 66 / reach * rise * tilt)], "disc", 3)
        if not tilt:
            way = 1 if theta > 0 else -1
            c.arrow((x + way * 66, y + 5), (x + way * 66, y + 34), kind="disc")
        c.dot(x, y, "real", 9)
        if theta:
            c.dot(x + reach * theta, y, "gen", 9)
        else:
            c.add(f'<circle cx="{x}" cy="{y}" r="15" class="l-gen" stroke-width="3.5"/>')
            c.arrow((x + 6 * move, y - 28), (x + 46 * move, y - 28 - 40 / reach * rise), kind="gen")
        c.text(x, 216, words, size=20)
        c.text(x, 42, str(panel + 1), "muted", 20)
        if panel:
            c.line([(x - 87.5, 24), (x - 87.5, 276)], "rule", 1.5)
    return c


def collapse() -> Card:
    c = Card(
        "Mode collapse in a plane",
        "Eight blue modes in a ring. A healthy generator puts orange fakes on all of them; a collapsed one puts "
        "all on one mode, and when the discriminator objects, can hop to another.",
        330,
    )
    rng = random.Random(1)
    for panel, (title, words) in enumerate(
        (
            ("healthy", "fakes on\nevery mode"),
            ("collapsed", "all fakes\non one mode"),
            ("later", "rejected there,\nit can hop on"),
        )
    ):
        x, y = 117 + 233 * panel, 150
        c.text(x, 38, title, bold=True)
        modes = [
            (x + 78 * math.cos(math.pi * (i / 4 - 0.5)), y + 78 * math.sin(math.pi * (i / 4 - 0.5))) for i in range(8)
        ]
        for a, b in modes:
            c.disc(a, b, 20, "real", 0.25)
        for index in range(24):
            a, b = modes[(index % 8, 1, 3)[panel]]
            c.dot(a + rng.gauss(0, 6), b + rng.gauss(0, 6), "gen", 4)
        if panel == 2:
            for start, end in ((1, 6), (6, 3)):
                (a, b), (d, e) = modes[start], modes[end]
                long = math.dist((a, b), (d, e))
                dx, dy = 24 * (d - a) / long, 24 * (e - b) / long
                c.arrow((a + dx, b + dy), (d - dx, e - dy), kind="gen", width=3)
        c.text(x, 278, words, size=20)
        if panel:
            c.line([(x - 116, 24), (x - 116, 306)], "rule", 1.5)
    return c
