"""Hair: what hangs behind a head, and what lies on it."""

import math

from comp.emotion.faces.head import outline
from comp.emotion.faces.pen import Pen, Points, bow, darker, ring
from comp.emotion.faces.people import Head


def draw_hair_behind(pen: Pen, head: Head) -> None:
    """Before the head is drawn."""
    dark, wide = darker(head.hair, 0.25), head.width
    if head.hair_style == "long":
        pen.area(
            [*bow((-wide, 1.6), (-2.0 * wide, -1.6), (0, -1.15)), *bow((0, -1.15), (2.0 * wide, -1.6), (wide, 1.6))],
            dark,
            1,
            False,
        )
    elif head.hair_style == "bob":
        pen.area(
            [
                *bow((-1.3 * wide, 0.75), (-1.7 * wide, -1.5), (0, -1.15)),
                *bow((0, -1.15), (1.7 * wide, -1.5), (1.3 * wide, 0.75)),
            ],
            dark,
            1,
            False,
        )
    elif head.hair_style == "bun":
        pen.area(ring(0, -1.2, 0.34, 0.3), dark, 1, False)
    elif head.hair_style == "curly":
        for x, y in outline(head, 170, 370, 1.12)[::4]:
            pen.area(ring(x, y, 0.24, 0.24), dark, 0, False)


def draw_hair(pen: Pen, head: Head) -> None:
    """Over the forehead, before what covers the face."""
    style = head.hair_style
    if style == "bald":
        return
    if style == "cap":
        _draw_cap(pen, head)
        return
    pen.area([*outline(head, 178, 362, 1.08), *_hairline(head)], head.hair, 1, False)
    if style == "curly":
        for x, y in outline(head, 195, 345, 1.0)[::5]:
            pen.area(ring(x, y, 0.2, 0.18), head.hair, 0.7, False)
    if style == "spiky":
        edge = outline(head, 190, 350, 1.05)
        for (x, y), (u, v) in zip(edge[:-6:6], edge[6::6], strict=False):
            pen.area([(x, y), (0.65 * (x + u), 0.64 * (y + v)), (u, v)], head.hair, 0, False)


def _hairline(head: Head) -> Points:
    """From the right temple to the left one."""
    wide = head.width
    if head.hair_style == "parted":
        return [
            *bow((1.0 * wide, -0.1), (0.75 * wide, -0.75), (-0.3, -0.78)),
            *bow((-0.3, -0.78), (-0.8 * wide, -0.6), (-wide, -0.05)),
        ]
    if head.hair_style in {"bob", "long"}:
        return bow((wide, 0.05), (0, -1.25), (-wide, 0.05))
    if head.hair_style == "spiky":
        across = [0.92 - 0.184 * step for step in range(11)]
        return [(x * wide, -0.55 - 0.12 * math.cos(1.5 * x) + 0.06 * (step % 2)) for step, x in enumerate(across)]
    return bow((0.98 * wide, -0.15), (0, -1.1), (-0.98 * wide, -0.15))


def _draw_cap(pen: Pen, head: Head) -> None:
    wool = head.clothes
    pen.area([*outline(head, 195, 345, 1.14), *bow((head.width, -0.5), (0, -0.7), (-head.width, -0.5))], wool, 1, False)
    band = [*bow((-1.08 * head.width, -0.42), (0, -0.62), (1.08 * head.width, -0.42))]
    pen.stroke(band, darker(wool, 0.25), 0.17, False)
