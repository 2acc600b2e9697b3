"""The lower half of an expression: nose, cheeks and mouth."""

from comp.emotion.faces.muscles import Muscles
from comp.emotion.faces.pen import Pen, Points, bow, darker, mixed
from comp.emotion.faces.people import Color, Head

MOUTH_Y = 0.52
TEETH = (240, 236, 226)
INSIDE = (84, 26, 32)
TONGUE = (176, 76, 80)
RED = (176, 62, 70)


def draw_nose(pen: Pen, head: Head, pull: Muscles) -> None:
    """A bridge, the tip with its wings, which a wrinkled nose raises, and wrinkles across it."""
    line, up = darker(head.skin, 0.4), 0.05 * max(pull.nose, 0)
    tip, half = 0.22 - up, 0.1 * head.nose + 0.03 * max(pull.nose, 0)
    pen.stroke(bow((-0.04, -0.1), (-0.07, 0.1), (-half, tip)), darker(head.skin, 0.2), 0.02)
    pen.stroke(bow((-half, tip), (0, tip + 0.13), (half, tip)), line, 0.028)
    for side in (-1, 1):
        pen.stroke(bow((side * half, tip - 0.06), (side * (half + 0.04), tip), (side * half, tip + 0.02)), line, 0.02)
        if pull.nose > 0.35:
            for row in range(2):
                y = -0.06 + 0.08 * row
                pen.stroke([(side * 0.03, y), (side * (0.09 + 0.04 * pull.nose), y - 0.06)], line, 0.02)


def draw_cheeks(pen: Pen, head: Head, pull: Muscles) -> None:
    """The folds from the nose to the corners of the mouth."""
    if pull.cheek < 0.3:
        return
    line = darker(head.skin, 0.2 + 0.2 * min(pull.cheek, 1))
    for side in (-1, 1):
        start = (side * (0.1 * head.nose + 0.07), 0.2 - 0.04 * pull.nose)
        pen.stroke(bow(start, (side * 0.36, 0.26), (side * (head.mouth + 0.12), MOUTH_Y - 0.03)), line, 0.02)


def draw_mouth(pen: Pen, head: Head, pull: Muscles, side: int) -> None:
    """`side`: which corner is raised alone (-1: the left one of the picture)."""
    half = head.mouth * max(1 + pull.width, 0.45)
    open_ = max(pull.open, 0.0)
    corners = [
        (where * half * (1 + 0.16 * pull.corner_side * (where == side)), _corner_y(pull, where == side))
        for where in (-1, 1)
    ]
    sag = 0.17 * pull.corner
    rise, drop = 0.1 * max(pull.upper_lip, 0) + 0.1 * open_, 0.45 * open_ + (0.05 if pull.upper_lip > 0.5 else 0)
    upper, lower = _lip(corners, sag - rise, open_), _lip(corners, sag + drop, open_)
    thick = head.lips * (1 - 0.65 * min(max(pull.press, 0), 1))
    lip = mixed(head.skin, RED, 0.5) if head.lips > 0.045 else darker(mixed(head.skin, RED, 0.3), 0.12)
    if open_ > 0.08 or rise + drop > 0.1:
        _fill(pen, upper, lower, pull, rise + drop)
        pen.stroke(lower, lip, 1.3 * thick)
        pen.stroke(upper, lip, thick)
    else:
        pen.stroke([(x, y + 0.5 * thick) for x, y in lower[1:-1]], lip, 1.5 * thick)
        pen.stroke([(x, y - 0.3 * thick) for x, y in upper[1:-1]], lip, thick)
        pen.stroke(upper, darker(head.skin, 0.75), 0.03)
    _dimples(pen, head.skin, corners, pull, side)


def _lip(corners: Points, sag: float, open_: float) -> Points:
    """A line between the corners that sags by `sag` in the middle: a parabola, and the rounder the wider open."""
    (x0, y0), (x1, y1) = corners
    power = 1 - 0.5 * min(open_, 1)
    shares = [step / 12 for step in range(13)]
    return [(x0 + t * (x1 - x0), y0 + t * (y1 - y0) + sag * (4 * t * (1 - t)) ** power) for t in shares]


def _corner_y(pull: Muscles, raised: bool) -> float:
    return MOUTH_Y - 0.17 * pull.corner - (0.2 * pull.corner_side if raised else 0.0)


def _fill(pen: Pen, upper: Points, lower: Points, pull: Muscles, gap: float) -> None:
    """What is seen in an open mouth: the dark, a tongue if it is wide open, and teeth."""
    pen.area([*upper, *reversed(lower)], INSIDE)
    if gap > 0.25:
        pen.area(_between(upper, lower, 0.72, 1.0), TONGUE)
    if pull.teeth > 0.2:
        pen.area(_between(upper, lower, 0.0, min(0.2 + 0.4 * pull.teeth, 0.7)), TEETH)


def _between(upper: Points, lower: Points, start: float, end: float) -> Points:
    """The part of a mouth between two shares of the way from its upper lip to its lower one."""
    pairs = list(zip(upper, lower, strict=True))[1:-1]
    above = [(a[0] + (b[0] - a[0]) * start, a[1] + (b[1] - a[1]) * start) for a, b in pairs]
    below = [(a[0] + (b[0] - a[0]) * end, a[1] + (b[1] - a[1]) * end) for a, b in pairs]
    return [*above, *reversed(below)]


def _dimples(pen: Pen, skin: Color, corners: Points, pull: Muscles, side: int) -> None:
    """A small line outside a corner that is pulled up."""
    for where, (x, y) in zip((-1, 1), corners, strict=True):
        strength = pull.corner_side if where == side else 0.0
        if max(strength, pull.corner) > 0.5:
            out = where * 0.05
            pen.stroke(
                bow((x + out, y - 0.08), (x + 1.8 * out, y - 0.01), (x + out, y + 0.05)), darker(skin, 0.4), 0.018
            )
