"""A head without its expression: shape, ears, neck, beard, glasses."""

import math

from comp.emotion.faces.muscles import Muscles
from comp.emotion.faces.pen import Pen, Points, bow, darker, mixed, ring
from comp.emotion.faces.people import Head


def outline(head: Head, start_deg: float = 0, end_deg: float = 360, grow: float = 1.0, chin: float = 0.0) -> Points:
    """The edge of a head from one angle to another (0: the right ear, 90: the chin, 270: the crown)."""
    points = []
    for step in range(32):
        angle = math.radians(start_deg + (end_deg - start_deg) * step / 31)
        x, y = math.cos(angle), math.sin(angle)
        wide = abs(x) ** (0.95 - 0.3 * head.jaw if y > 0 else 0.9) * head.width
        wide *= 1 - (0.22 - 0.12 * head.jaw) * max(y, 0)
        points.append((grow * math.copysign(wide, x), grow * y * (1 + (chin if y > 0 else 0))))
    return points


def draw_body(pen: Pen, head: Head) -> None:
    """Shoulders and neck."""
    pen.area(
        [*bow((-1.5, 2.2), (-1.2, 1.25), (-0.3, 1.15)), *bow((0.3, 1.15), (1.2, 1.25), (1.5, 2.2))],
        head.clothes,
        1,
        False,
    )
    neck = darker(head.skin, 0.22)
    pen.area([(-0.34, 0.6), (0.34, 0.6), *bow((0.36, 1.15), (0, 1.5), (-0.36, 1.15))], neck, 0, False)


def draw_head(pen: Pen, head: Head, pull: Muscles) -> None:
    """Ears and the head itself, with a shadow on one side."""
    for side in (-1, 1):
        pen.area(ring(side * head.width * 0.98, 0.02, 0.12, 0.19), darker(head.skin, 0.12), 1, False)
    chin = 0.1 * max(pull.open, 0)
    shade = darker(head.skin, 0.35 * pen.style.shade)
    pen.area(outline(head, chin=chin), shade, 1, False)
    inner = [(0.94 * x - 0.03, 0.97 * y - 0.02) for x, y in outline(head, chin=chin)]
    pen.area(inner, mixed(shade, head.skin, 0.6), 0, False)
    pen.area([(0.93 * x - 0.02, y) for x, y in inner], head.skin, 0, False)
    blush = mixed(head.skin, (222, 96, 88), 0.16 + 0.1 * max(pull.cheek, 0))
    for side in (-1, 1):
        pen.area(ring(side * 0.45, 0.26, 0.17, 0.12), blush)
        if head.freckles:
            for dot in range(5):
                pen.area(
                    ring(side * (0.3 + 0.07 * dot), 0.2 + 0.05 * (dot % 2), 0.02, 0.02, 6), darker(head.skin, 0.35)
                )


def draw_beard(pen: Pen, head: Head, pull: Muscles) -> None:
    """Before the mouth is drawn."""
    if head.beard in {"stubble", "full"}:
        chin = 0.1 * max(pull.open, 0)
        color = mixed(head.skin, darker(head.hair, 0.2), 0.22 if head.beard == "stubble" else 0.85)
        edge = outline(head, 15, 165, 1.0 if head.beard == "stubble" else 1.06, chin)
        inner = bow((-0.62, 0.2), (0, 0.56), (0.62, 0.2))
        pen.area([*edge, *[(x * head.width / 0.7, y) for x, y in inner]], color, 0, False)
    if head.beard in {"moustache", "full"}:
        up = 0.05 * max(pull.upper_lip, 0)
        color = darker(head.hair, 0.1)
        pen.area([*bow((-0.28, 0.46 - up), (0, 0.2 - up), (0.28, 0.46 - up)), (0, 0.4 - up)], color)


def draw_glasses(pen: Pen, head: Head) -> None:
    if not head.glasses:
        return
    frame, reach = (40, 36, 44), min(head.eye_distance - 0.06, 0.27)
    for side in (-1, 1):
        x = side * head.eye_distance
        if head.glasses == "round":
            rim = ring(x, -0.06, reach, reach)
        else:
            rim = [(x - reach, -0.24), (x + reach, -0.24), (x + 0.9 * reach, 0.12), (x - 0.9 * reach, 0.12)]
        pen.stroke([*rim, rim[0]], frame, 0.035)
        pen.stroke([(side * (head.eye_distance + reach), -0.12), (side * head.width, -0.1)], frame, 0.03)
    gap = head.eye_distance - reach
    pen.stroke(bow((-gap, -0.1), (0, -0.16), (gap, -0.1)), frame, 0.035)
