"""Diagrams of networks and layers."""

import math

from pen import Card


def mlp_networks() -> Card:
    c = Card(
        "The two MLPs",
        "The generator widens from 100 noise values over 256, 512 and 1,024 to the 784 pixels of an image. The "
        "discriminator narrows from 784 pixels over 1,024, 512 and 256 to one logit.",
        360,
    )
    for kind, top, name, widths, how in (
        ("gen", 0, "generator", (100, 256, 512, 1024, 784), "linear layers, ReLU, tanh at the end"),
        ("disc", 178, "discriminator", (784, 1024, 512, 256, 1), "linear layers, leaky ReLU"),
    ):
        c.text(18, top + 34, name, kind, bold=True, anchor="start")
        c.text(682, top + 34, how, "muted", 20, anchor="end")
        middle = top + 98
        first = 96 if kind == "gen" else 150
        for index, width in enumerate(widths):
            x, tall = first + 108 * index, max(8, 0.094 * width)
            c.box(x - 13, middle - tall / 2, 26, tall, kind=kind, rx=3)
            c.text(x, top + 168, f"{width:,}", size=20)
            if index < 4:
                c.arrow((x + 19, middle), (x + 88, middle))
        if kind == "gen":
            c.text(34, middle + 7, "*z*")
            c.arrow((48, middle), (78, middle))
            c.arrow((548, middle), (586, middle))
            c.digit(590, middle - 40, 80, "fake-6", "gen")
        else:
            c.digit(18, middle - 40, 80, "real-3", "real")
            c.arrow((102, middle), (132, middle))
            c.arrow((600, middle), (624, middle))
            c.text(658, middle + 7, "logit", size=20)
    return c


def transposed_conv() -> Card:
    c = Card(
        "A transposed convolution, step by step",
        "Each pixel of a 2 by 2 input stamps the 4 by 4 kernel, weighted by its value, two cells further each "
        "time. Where stamps overlap they add up. Cropping one cell all around leaves a 4 by 4 output.",
        300,
    )
    pixels = [[1.0, 0.25], [0.4, 0.75]]
    kernel = [[a * b / 9 for b in (1, 3, 3, 1)] for a in (1, 3, 3, 1)]  # spreads a pixel evenly
    total = [[0.0] * 6 for _ in range(6)]
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for i in range(4):
            for j in range(4):
                total[2 * row + i][2 * column + j] += pixels[row][column] * kernel[i][j]
    most = max(map(max, total))

    def frame(x: float, y: float, side: float, kind: str, width: float) -> None:
        c.polygon([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], f"l-{kind}", width)

    top, cell = 40, 23
    for i in range(2):
        for j in range(2):
            c.square(24 + 34 * j, top + 35 + 34 * i, 34, "gen", pixels[i][j])
    frame(24, top + 35, 34, "ink", 3.5)
    c.arrow((100, top + 69), (148, top + 69))
    for i in range(6):
        for j in range(6):
            c.square(158 + cell * j, top + cell * i, cell, "gen", kernel[i][j] * pixels[0][0] if max(i, j) < 4 else 0)
            c.square(368 + cell * j, top + cell * i, cell, "gen", total[i][j] / most)
    for row, column in ((0, 1), (1, 0), (1, 1)):
        frame(158 + 2 * cell * column + 2, top + 2 * cell * row + 2, 4 * cell - 4, "muted", 1.6)
    frame(158, top, 4 * cell, "ink", 3.5)
    c.arrow((304, top + 69), (358, top + 69))
    frame(368 + cell, top + cell, 4 * cell, "ink", 3.5)
    c.arrow((514, top + 69), (566, top + 69))
    for i in range(4):
        for j in range(4):
            c.square(576 + 25 * j, top + 19 + 25 * i, 25, "gen", total[i + 1][j + 1] / most)
    frame(576, top + 19, 100, "ink", 3.5)
    for x, words in (
        (58, "input\n2 × 2"),
        (227, "a pixel stamps\nthe kernel"),
        (437, "overlaps\nadd up"),
        (626, "cropped\n4 × 4"),
    ):
        c.text(x, 208, words, size=20)
    c.text(350, 278, "kernel 4 × 4, stride 2, padding 1", "muted", 20)
    return c


def dcgan_networks() -> Card:
    c = Card(
        "The two DCGANs",
        "The generator leads from 100 noise values over 512 units to blocks of 7 by 7 by 64, 14 by 14 by 32 and "
        "an image of 28 by 28. The discriminator goes the same way back, to one logit.",
        360,
    )

    def block(x: float, y: float, side: float, deep: float, kind: str) -> None:
        """Draw a block of feature maps around (x, y), as deep as it has channels."""
        left, low, d = x - (side + deep) / 2, y + (side + deep) / 2, deep
        c.polygon(
            [
                (left, low),
                (left, low - side),
                (left + d, low - side - d),
                (left + side + d, low - side - d),
                (left + side + d, low - d),
                (left + side, low),
            ],
            f"f-{kind} l-{kind}",
            2,
        )
        c.line([(left, low - side), (left + side, low - side), (left + side, low)], kind, 2)
        c.line([(left + side, low - side), (left + side + d, low - side - d)], kind, 2)

    for kind, top, name, how in (
        ("gen", 0, "generator", "linear, then transposed convolutions"),
        ("disc", 178, "discriminator", "convolutions, then linear"),
    ):
        c.text(18, top + 32, name, kind, bold=True, anchor="start")
        c.text(682, top + 32, how, "muted", 20, anchor="end")
        y, label = top + 94, top + 168
        parts = [(46, "100"), (150, "512"), (290, "7×7×64"), (446, "14×14×32"), (620, "28×28×1")]
        if kind == "disc":
            parts = [(700 - place, words) for place, words in parts]
            parts[0] = (650, "1")
        for place, words in parts:
            c.text(place, label, words, size=20)
        x = [place for place, _ in parts]
        c.box(x[0] - 9, y - (18 if kind == "gen" else 7), 18, 36 if kind == "gen" else 14, kind=kind, rx=3)
        c.box(x[1] - 9, y - 46, 18, 92, kind=kind, rx=3)
        block(x[2], y, 26, 34, kind)
        block(x[3], y, 48, 20, kind)
        c.digit(x[4] - 43, y - 43, 86, "fake-8" if kind == "gen" else "real-8", "gen" if kind == "gen" else "real")
        half = (18, 18, 40, 44, 52)
        ends = [(x[i] + half[i], x[i + 1] - half[i + 1]) for i in range(4)]
        if kind == "disc":
            ends = [(x[i + 1] + half[i + 1], x[i] - half[i]) for i in range(4)]
        for start, end in ends:
            c.arrow((start, y), (end, y))
    return c


def _bell(c: Card, x: float, y: float, wide: float, tall: float, kind: str) -> None:
    """Draw a bell curve with its foot at y."""
    points = [(x + wide * t / 10, y - tall * math.exp(-((t / 10) ** 2) / 2)) for t in range(-27, 28)]
    c.polygon(points, f"s-{kind}", 0, opacity=0.16)
    c.line(points, kind, 3)


def batchnorm_together() -> Card:
    c = Card(
        "Batch normalization, together and apart",
        "Left: real images and fakes are normalized together; their shared mean lies between the two, so the side "
        "betrays which is which. Right: each batch is normalized by its own mean, and both lie around zero.",
        320,
    )
    c.text(178, 40, "together: one mean", bold=True)
    _bell(c, 112, 210, 30, 104, "real")
    _bell(c, 244, 210, 30, 104, "gen")
    c.line([(20, 210), (336, 210)], "muted", 2)
    c.line([(178, 84), (178, 216)], "ink", 3)
    c.text(178, 76, "mean", size=20)
    c.text(66, 112, "real", "real", 20)
    c.text(292, 112, "fake", "gen", 20)
    c.text(178, 254, "the side of the mean\ngives the fakes away", size=20)
    c.line([(350, 24), (350, 296)], "rule", 1.5)
    c.text(522, 40, "apart: two means", bold=True)
    _bell(c, 522, 136, 34, 52, "real")
    _bell(c, 522, 210, 34, 52, "gen")
    c.line([(374, 136), (670, 136)], "muted", 2)
    c.line([(374, 210), (670, 210)], "muted", 2)
    c.line([(522, 84), (522, 216)], "ink", 3)
    c.text(522, 76, "mean", size=20)
    c.text(376, 124, "real", "real", 20, anchor="start")
    c.text(376, 198, "fake", "gen", 20, anchor="start")
    c.text(522, 254, "both lie around zero:\nthe mean says nothing", size=20)
    return c


def projection() -> Card:
    c = Card(
        "The projection discriminator",
        "Layers turn an image into 512 features. Three terms add up to the logit: a linear layer asks whether the "
        "image is real, the spread, taken before the features are normalized, asks whether the images with this label "
        "vary, and the inner product with a class vector asks whether it shows the label.",
        350,
    )
    c.digit(20, 96, 66, "real-3", "real")
    c.text(53, 190, "image", size=20)
    c.arrow((90, 129), (112, 129))
    c.network(114, 79, 98, 100, "layers", "disc", size=20)
    c.arrow((214, 129), (246, 129))
    c.cells(250, 69, 26, 120, [0.7, 0.2, 0.9, 0.5, 0.1, 0.8, 0.3, 0.6], "disc")
    c.text(302, 54, "512 features", size=20, anchor="end")
    for y, words in ((28, "linear layer"), (138, "spread"), (248, "inner product")):
        c.box(356, y, 170, 46, words, "disc", size=20)
    c.arrow((278, 129), (318, 129), (318, 42), (354, 42))
    c.arrow((278, 129), (318, 129), (318, 262), (354, 262))
    c.arrow((230, 129), (230, 209), (338, 209), (338, 161), (354, 161))  # before the normalization
    c.text(441, 98, "real at all?", "muted", 20)
    c.text(441, 208, "do the 3s vary?", "muted", 20)
    c.text(441, 318, "is it a 3?", "muted", 20)
    c.box(20, 262, 66, 44, "3", "real", bold=True)
    c.text(53, 334, "label", size=20)
    c.arrow((88, 284), (246, 284))
    c.cells(250, 229, 26, 110, [0.2, 0.6, 0.9, 0.3, 0.8, 0.1, 0.7, 0.4], "disc")
    c.text(160, 268, "class vector", size=20)
    c.arrow((278, 284), (354, 284))
    c.arrow((528, 51), (584, 51), (584, 139))
    c.arrow((528, 161), (562, 161))
    c.arrow((528, 271), (584, 271), (584, 183))
    c.disc(584, 161, 20, "disc")
    c.text(584, 169, "+", size=24, bold=True)
    c.arrow((606, 161), (630, 161))
    c.text(660, 168, "logit", size=20)
    return c
