"""Diagrams of what comes after: inversion, diffusion, the ways out of Python, the sum around a ring."""

from pen import NOISE, Card


def inversion() -> Card:
    c = Card(
        "Inversion",
        "The generator turns z into a digit, which is compared with a given drawing. The gradient of the loss "
        "runs back through the unchanged generator and changes z. After 0, 20 and 300 steps the digit looks more "
        "and more like the drawing.",
        360,
    )
    y = 80
    c.cells(26, y - 40, 26, 80, NOISE, "gen")
    c.text(16, 156, "*z* updated", "gen", 20, anchor="start", bold=True)
    c.arrow((56, y - 12), (122, y - 12), kind="gen")
    c.network(124, y - 48, 142, 96, "generator", "gen", size=20, fixed=True)
    c.text(208, 156, "unchanged", "muted", 20)
    c.arrow((268, y - 12), (312, y - 12), kind="gen")
    c.digit(316, y - 34, 68, "search-20", "gen")
    c.arrow((388, y - 12), (442, y - 12), kind="gen")
    c.box(444, y - 30, 84, 60, "loss")
    c.arrow((586, y), (530, y), kind="real")
    c.digit(590, y - 40, 80, "real-2", "real")
    c.text(630, 156, "given", "real", 20)
    for start, end in ((442, 388), (312, 268), (122, 56)):
        c.arrow((start, y + 14), (end, y + 14), kind="gen", gradient=True)
    c.line([(18, 186), (682, 186)], "rule", 1.5)
    c.text(24, 262, "the search", anchor="start")
    for index, step in enumerate((0, 20, 300)):
        x = 150 + 138 * index
        c.digit(x, 216, 76, f"search-{step}", "gen")
        c.text(x + 38, 324, f"step {step}", size=20)
        if index < 2:
            c.arrow((x + 82, 254), (x + 132, 254))
    c.text(556, 264, "≈", size=30)
    c.digit(590, 216, 76, "real-2", "real")
    c.text(628, 324, "given", "real", 20)
    return c


def diffusion_vs_gan() -> Card:
    c = Card(
        "One step or many",
        "Above: a GAN turns noise into a digit in one step. Below: diffusion starts from a noise image and "
        "removes a little noise in each of many steps.",
        340,
    )
    c.text(24, 42, "GAN: one step", "gen", bold=True, anchor="start")
    c.cells(62, 66, 26, 80, NOISE)
    c.arrow((94, 106), (266, 106))
    c.network(268, 58, 150, 96, "generator", "gen")
    c.arrow((420, 106), (588, 106), kind="gen")
    c.digit(592, 66, 80, "fake-2", "gen")
    c.line([(18, 176), (682, 176)], "rule", 1.5)
    c.text(24, 212, "diffusion: many small steps", bold=True, anchor="start")
    for step in range(5):
        x = 36 + 139 * step
        c.digit(x, 232, 80, f"noisy-{step}", "gen" if step == 4 else "muted")
        if step < 4:
            c.arrow((x + 86, 272), (x + 133, 272))
    return c


def out_of_python() -> Card:
    c = Card(
        "Two ways out of Python",
        "Above: the generator is recorded into the file generator.mlxfn, which holds operations and weights, and MLX "
        "runs it from C++ and Swift. Below: the weights alone go to JavaScript, where the code is written again. C++ "
        "and JavaScript draw the same digit; Swift is not tested here.",
        300,
    )
    c.text(96, 40, "in Python", "muted", 20)
    c.network(20, 56, 152, 96, "generator", "gen")
    c.text(219, 92, "record", size=20)
    c.arrow((176, 104), (262, 104))
    c.text(350, 40, "generator.mlxfn", size=20, code=True)
    c.box(264, 56, 172, 96, "operations\nweights")
    c.arrow((96, 150), (96, 252), (478, 252))
    c.text(290, 238, "weights", size=20)
    c.text(290, 278, "and the code, written again", size=20)
    for y, language in ((48, "C++"), (118, "Swift"), (224, "JavaScript")):
        if y < 200:
            c.arrow((440, 104), (478, y + 28))
        c.box(480, y, 140, 56, language)
        if language == "Swift":
            c.text(658, y + 24, "not\ntested", "muted", 20)
        else:
            c.digit(634, y + 3, 50, "fake-2", "gen")
    return c


def ring_sum() -> Card:
    c = Card(
        "A sum around a ring",
        "Four machines in a ring. Phase one: in three rounds parts are added and passed on, until each machine "
        "has one finished part. Phase two: in three more rounds the finished parts go around, until all have the "
        "whole sum.",
        350,
    )
    for panel, (title, words) in enumerate(
        (
            ("1  add and pass on", "3 rounds: each has\none finished part"),
            ("2  pass the sums on", "3 more rounds: each\nhas the whole sum"),
        )
    ):
        x = 350 * panel
        c.text(x + 175, 40, title, bold=True)
        places = ((28, 74), (218, 74), (218, 206), (28, 206))
        for rank, (a, b) in enumerate(places):
            for part in range(4):
                done = panel == 1 or part == (rank + 1) % 4
                c.square(x + a + 26 * part, b, 26, "ink" if done else "muted", 0.85 if done else 0.18)
            c.box(x + a, b, 104, 26, kind="ink", rx=2, thin=True, fill=False)
        c.arrow((x + 138, 87), (x + 212, 87), width=3)
        c.arrow((x + 270, 106), (x + 270, 200), width=3)
        c.arrow((x + 212, 219), (x + 138, 219), width=3)
        c.arrow((x + 80, 200), (x + 80, 106), width=3)
        c.text(x + 175, 292, words, size=20)
    c.line([(350, 24), (350, 326)], "rule", 1.5)
    return c
