"""Draws on a picture in a face's own coordinates: the middle is 0, the chin at y = 1, the crown at y = -1."""

import math
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw

from comp.emotion.faces.people import Color, Pose, Style

Points = Sequence[tuple[float, float]]
DEPTH = 0.55  # how far the nose stands before the ears


def mixed(one: Color, other: Color, share: float) -> Color:
    """`one` with a share of `other`."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def darker(color: Color, share: float) -> Color:
    return mixed(color, (25, 12, 18), share)


def bow(start: tuple[float, float], pull: tuple[float, float], end: tuple[float, float], steps: int = 7) -> Points:
    """A curve from `start` to `end` that `pull` draws towards itself (a quadratic Bézier)."""
    (x0, y0), (x1, y1), (x2, y2) = start, pull, end
    return [(a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2) for a, b, c in _weights(steps)]


@cache
def _weights(steps: int) -> list[tuple[float, float, float]]:
    shares = [step / (steps - 1) for step in range(steps)]
    return [((1 - t) ** 2, 2 * t * (1 - t), t**2) for t in shares]


def ring(x: float, y: float, rx: float, ry: float, steps: int = 14) -> Points:
    """An ellipse."""
    return [(x + rx * cos, y + ry * sin) for cos, sin in _circle(steps)]


@cache
def _circle(steps: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * step / steps for step in range(steps)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


class Pen:
    """Colors go through the style; points through the head's turn (`on_face`) and the pose."""

    def __init__(self, image: Image.Image, pose: Pose, style: Style) -> None:
        self.paper = ImageDraw.Draw(image)
        self.style = style
        side = image.width
        self.scale = side * pose.size
        self.middle = (side * (0.5 + pose.x), side * (0.52 + pose.y))
        tilt = math.radians(pose.tilt_deg)
        self.turn = (self.scale * math.cos(tilt), self.scale * math.sin(tilt))
        self.yaw, self.pitch = DEPTH * math.sin(pose.yaw), DEPTH * math.sin(pose.pitch)

    def area(self, points: Points, fill: Color, edge: float = 0.0, on_face: bool = True) -> None:
        """A filled shape; `edge` is the width of its outline, in the style's lines."""
        where = self._where(points, on_face)
        self.paper.polygon(where, fill=self.style.tinted(fill))
        if edge and self.style.line_px:
            ink = self.style.tinted(darker(fill, self.style.ink))
            self.paper.line([*where, where[0]], fill=ink, width=self._px(edge * self.style.line_px), joint="curve")

    def stroke(self, points: Points, color: Color, width: float, on_face: bool = True) -> None:
        """A line with round ends, `width` in the face's units."""
        where = self._where(points, on_face)
        thick = max(width * self.scale * self.style.stroke, 1.0)
        ink = self.style.tinted(color)
        self.paper.line(where, fill=ink, width=round(thick), joint="curve")
        for x, y in (where[0], where[-1]):
            self.paper.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], fill=ink)

    def _where(self, points: Points, on_face: bool) -> list[tuple[float, float]]:
        if on_face:  # on a ball that the head turns
            out = [math.sqrt(max(1 - x * x - 0.6 * y * y, 0.0)) for x, y in points]
            points = [(x + z * self.yaw, y + z * self.pitch) for (x, y), z in zip(points, out, strict=True)]
        (x0, y0), (cos, sin) = self.middle, self.turn
        return [(x0 + cos * x - sin * y, y0 + sin * x + cos * y) for x, y in points]

    @staticmethod
    def _px(width: float) -> int:
        return max(round(width), 1)
