"""The upper half of an expression: brows, eyes, and the lines of the forehead."""

from comp.emotion.faces.muscles import Muscles
from comp.emotion.faces.pen import Pen, bow, darker, mixed, ring
from comp.emotion.faces.people import Head

EYE_Y = -0.08
BROW_Y = -0.36
WHITE = (246, 244, 240)


def draw_eyes(pen: Pen, head: Head, pull: Muscles, gaze: float) -> None:
    """`gaze` moves the irises sideways, in the face's units."""
    for side in (-1, 1):
        _draw_eye(pen, head, pull, side * head.eye_distance, gaze)


def _draw_eye(pen: Pen, head: Head, pull: Muscles, x: float, gaze: float) -> None:
    """A white, an iris on it, and the lids that cover what is too much of it."""
    size = head.eye_size * pen.style.eye
    above = size * min(max(0.62 + 0.42 * pull.lid_upper, 0.1), 1.15)
    below = size * min(max(0.55 - 0.5 * pull.lid_lower, 0.02), 0.7)
    left, right = (x - 1.15 * size, EYE_Y), (x + 1.15 * size, EYE_Y)
    upper, lower = bow(left, (x, EYE_Y - 2 * above), right), bow(left, (x, EYE_Y + 2 * below), right)
    skin = darker(head.skin, 0.12)
    pen.area([*upper, *reversed(lower)], WHITE)
    pen.area(ring(x + gaze, EYE_Y - 0.1 * size, 0.62 * size, 0.62 * size), head.eye_color)
    pen.area(ring(x + gaze, EYE_Y - 0.1 * size, 0.3 * size, 0.3 * size, 10), (14, 12, 14))
    pen.area(ring(x + gaze - 0.2 * size, EYE_Y - 0.3 * size, 0.14 * size, 0.14 * size, 8), WHITE)
    top, bottom = (x, EYE_Y - 2.4 * size), (x, EYE_Y + 1.9 * size)
    pen.area([*upper, *reversed(bow(left, top, right))], skin)
    pen.area([*lower, *reversed(bow(left, bottom, right))], mixed(head.skin, skin, 0.4))
    pen.stroke(upper, darker(head.skin, 0.85), 0.035)
    pen.stroke(lower, darker(head.skin, 0.35), 0.018)
    if pull.lid_lower > 0.35:  # a fold below the eye
        fold = EYE_Y + 1.1 * size
        pen.stroke(bow((x - size, fold), (x, fold + 0.08), (x + size, fold)), darker(head.skin, 0.3), 0.016)


def draw_brows(pen: Pen, head: Head, pull: Muscles, side: int) -> None:
    """`side`: which brow is raised alone (-1: the left one of the picture)."""
    color = darker(head.hair, 0.5)
    for where in (-1, 1):
        lift = 0.14 * pull.brow_side * (where == side)
        inner = (where * (head.eye_distance - 0.19 - 0.045 * pull.brow_close), BROW_Y - 0.19 * pull.brow_inner - lift)
        arch = (where * (head.eye_distance + 0.02), BROW_Y - 0.06 - 0.3 * pull.brow_arch - 1.4 * lift)
        outer = (where * (head.eye_distance + 0.21), BROW_Y + 0.04 - 0.18 * pull.brow_outer - lift)
        pen.stroke(bow(inner, arch, outer), color, head.brow)


def draw_forehead(pen: Pen, head: Head, pull: Muscles) -> None:
    """Lines across it where the brows are raised, and between the brows where they are drawn together."""
    line = darker(head.skin, 0.35)
    if pull.brow_inner > 0.55:
        half = 0.2 + 0.2 * max(pull.brow_arch, 0)
        for row in range(2):
            y = BROW_Y - 0.24 - 0.1 * row
            pen.stroke(bow((-half, y), (0, y - 0.05), (half, y)), line, 0.016)
    if pull.brow_close > 0.35:
        tall = 0.1 + 0.06 * pull.brow_close
        for side in (-1, 1):
            pen.stroke([(side * 0.06, BROW_Y + 0.08), (side * 0.045, BROW_Y + 0.08 - tall)], line, 0.02)
