"""Draws small pictures of colored shapes, from plain ones to ones that are hard to tell apart."""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE_PX = 32
LARGER = 4  # times that outlines are drawn larger, for smooth edges
COLORS = {  # hue in degrees, saturation, value
    "red": (0, 0.85, 0.85),
    "orange": (27, 0.9, 0.95),
    "yellow": (54, 0.85, 0.95),
    "green": (125, 0.7, 0.65),
    "blue": (218, 0.8, 0.85),
    "purple": (277, 0.65, 0.7),
    "pink": (335, 0.45, 0.97),
    "brown": (24, 0.65, 0.45),
}
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Style:
    """How much the pictures vary."""

    hue: float  # standard deviation, degrees
    shade: float  # of saturation and brightness, up to
    radius: tuple[float, float]  # of the shape, as a share of the picture's side
    shift: float  # of its middle, up to px
    lean: tuple[float, float]  # clockwise, degrees
    light: tuple[float, float, float]  # red, green and blue, as a share of daylight
    noise: float  # standard deviation, gray levels
    blur: float  # up to px
    bars: float  # share of the pictures with a bar across the shape
    specks: int  # up to so many, of any color


PLAIN = Style(
    hue=4, shade=0.1, radius=(0.34, 0.45), shift=2, lean=(-15, 15), light=(1, 1, 1), noise=8, blur=0.5, bars=0, specks=0
)
HARD = Style(  # by lamplight, and turned
    hue=6,
    shade=0.25,
    radius=(0.34, 0.45),
    shift=2,
    lean=(10, 30),
    light=(0.85, 0.7, 0.55),
    noise=8,
    blur=0.7,
    bars=0.2,
    specks=2,
)


def _corners(radii: Sequence[float]) -> Points:
    """Corners at equal angles, the first of them on top."""
    angles = [math.radians(360 * place / len(radii) - 90) for place in range(len(radii))]
    return [(r * math.cos(angle), r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True)]


def _heart(t: float) -> tuple[float, float]:
    y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return math.sin(t) ** 3, -y / 16 - 0.1


A = 0.34  # half the width of the cross's arms
HOLE = 0.5  # of the ring
SHAPES: dict[str, Points] = {  # around (0, 0), about 1 in radius, y down
    "circle": _corners([0.92] * 28),
    "square": [(-0.78, -0.78), (0.78, -0.78), (0.78, 0.78), (-0.78, 0.78)],
    "triangle": _corners([1.08] * 3),
    "star": _corners([1.1, 0.45] * 5),
    "diamond": [(0, -1.1), (0.68, 0), (0, 1.1), (-0.68, 0)],
    "cross": [
        (-A, -1),
        (A, -1),
        (A, -A),
        (1, -A),
        (1, A),
        (A, A),
        (A, 1),
        (-A, 1),
        (-A, A),
        (-1, A),
        (-1, -A),
        (-A, -A),
    ],
    "ring": _corners([0.98] * 28),
    "heart": [_heart(2 * math.pi * step / 28) for step in range(28)],
}


def draw(color: str, shape: str, style: Style, rng: np.random.Generator) -> Image.Image:
    """A picture of 32 px with one shape on a gray or pale background."""
    ground = _background(rng)
    paint = _tinted(color, style, rng)
    radius = SIDE_PX * rng.uniform(*style.radius)
    middle = SIDE_PX / 2 + rng.uniform(-style.shift, style.shift, 2)
    angle = math.radians(rng.uniform(*style.lean))
    for _ in range(int(rng.integers(style.specks + 1))):
        spot = _mask([_placed(SHAPES["circle"], rng.uniform(0, SIDE_PX, 2), rng.uniform(1, 2.5), 0)])
        ground = _over(ground, _tinted(str(rng.choice(list(COLORS))), style, rng), spot)
    outlines = [_placed(SHAPES[shape], middle, radius, angle)]
    if shape == "ring":
        outlines.append(_placed(SHAPES["circle"], middle, HOLE * radius, 0))
    pixels = _over(ground, paint, _mask(outlines))
    if rng.random() < style.bars:
        slope, width = rng.uniform(0, math.pi), rng.uniform(2, 4) / SIDE_PX
        bar = [(-2.0, -width), (2.0, -width), (2.0, width), (-2.0, width)]
        past = middle + rng.uniform(-0.7, 0.7, 2) * radius
        pixels = _over(pixels, _gray(rng), _mask([_placed(bar, past, SIDE_PX, slope)]))
    image = Image.fromarray(np.clip(pixels * np.array(style.light), 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, style.blur)))
    noisy = np.asarray(image, dtype=np.float64) + rng.normal(0, style.noise, (SIDE_PX, SIDE_PX, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _background(rng: np.random.Generator) -> np.ndarray:
    """(32, 32, 3): one gray tone that passes into another."""
    ramp = np.linspace(0, 1, SIDE_PX)[:, None, None]
    pixels = _gray(rng) * (1 - ramp) + _gray(rng) * ramp + np.zeros((SIDE_PX, SIDE_PX, 3))
    return np.rot90(pixels, int(rng.integers(4)))


def _gray(rng: np.random.Generator) -> np.ndarray:
    """(3,): a gray of 0 to 255 with a touch of some color."""
    return _rgb(rng.uniform(0, 360), rng.uniform(0, 0.2), rng.uniform(0.15, 1))


def _tinted(color: str, style: Style, rng: np.random.Generator) -> np.ndarray:
    """(3,): a tone of the color."""
    hue, saturation, value = COLORS[color]
    paler, lighter = rng.uniform(-style.shade, style.shade, 2)
    return _rgb(hue + rng.normal(0, style.hue), saturation * (1 + paler), value * (1 + lighter))


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    return 255 * np.array(colorsys.hsv_to_rgb(hue / 360 % 1, min(saturation, 1), min(value, 1)))


def _placed(points: Points, middle: np.ndarray, radius: float, angle: float) -> Points:
    """The outline in px of the larger picture."""
    cos, sin = radius * math.cos(angle), radius * math.sin(angle)
    return [(LARGER * (middle[0] + x * cos - y * sin), LARGER * (middle[1] + x * sin + y * cos)) for x, y in points]


def _mask(outlines: Sequence[Points]) -> np.ndarray:
    """(32, 32, 1): the share of each pixel within the first outline, less the second one."""
    mask = Image.new("L", (LARGER * SIDE_PX, LARGER * SIDE_PX))
    paper = ImageDraw.Draw(mask)
    for fill, outline in zip((255, 0), outlines, strict=False):
        paper.polygon(outline, fill=fill)
    return np.asarray(mask.reduce(LARGER), dtype=np.float64)[:, :, None] / 255


def _over(pixels: np.ndarray, paint: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return pixels * (1 - mask) + paint * mask
