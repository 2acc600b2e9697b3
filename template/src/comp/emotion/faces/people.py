"""Who is drawn and how: heads, poses and styles, and random ones."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Color = tuple[int, int, int]

SKINS: tuple[Color, ...] = (
    (250, 222, 200), (241, 202, 172), (226, 178, 140), (206, 150, 110), (176, 122, 84), (140, 92, 62), (104, 68, 48),
)  # fmt: skip
HAIRS: tuple[Color, ...] = (
    (28, 24, 26), (60, 40, 30), (96, 62, 38), (142, 92, 48), (212, 172, 96), (176, 74, 38), (150, 148, 150),
    (226, 222, 216), (92, 70, 130),
)  # fmt: skip
CLOTHES: tuple[Color, ...] = (
    (52, 84, 138), (156, 52, 56), (58, 118, 84), (232, 228, 216), (70, 70, 78), (214, 160, 60), (120, 78, 140),
)  # fmt: skip
EYES: tuple[Color, ...] = ((62, 40, 26), (92, 62, 34), (70, 110, 150), (82, 116, 76), (110, 116, 124))
STYLES = ("bald", "short", "parted", "curly", "long", "bun", "spiky", "bob", "cap")
BACKGROUNDS = ("plain", "gradient", "stripes", "lights", "frame")
OCCLUSIONS = ("hand", "scarf", "hair", "bar")
OCCLUDED = 0.15  # of the pictures


@dataclass(frozen=True)
class Head:
    """A person. Lengths are in the face's units, half a head high."""

    width: float
    jaw: float  # 0: a pointed chin, 1: a square one
    skin: Color
    hair: Color
    hair_style: str
    glasses: str  # "", "round" or "square"
    beard: str  # "", "stubble", "moustache" or "full"
    eye_distance: float
    eye_size: float
    eye_color: Color
    brow: float  # thickness
    nose: float
    mouth: float
    lips: float  # thickness
    clothes: Color
    freckles: bool
    rest: dict[str, float] = field(default_factory=dict)  # how the muscles are when nothing is felt


@dataclass(frozen=True)
class Pose:
    """Where a head is in its picture, in what light and before what; `seed` draws the details."""

    size: float  # half a head, as a share of the picture's side
    x: float
    y: float
    tilt_deg: float
    yaw: float  # radians
    pitch: float  # radians
    brightness: float
    slope: tuple[float, float]  # how much brighter it gets from left to right, and from top to bottom
    cast: tuple[float, float, float]  # gain of each color
    background: str
    occlusion: str  # "" or one of OCCLUSIONS
    seed: int


@dataclass(frozen=True)
class Style:
    """How a picture is made."""

    line_px: float  # width of outlines, in a picture three times as large as the result
    ink: float  # how dark outlines are
    stroke: float  # width of brows, lips and wrinkles against the first style
    saturation: float
    tint: tuple[float, float, float]  # gain of each color
    shade: float  # strength of shadows
    eye: float  # size of eyes against the first style
    noise: float  # standard deviation, gray levels
    blur_px: float

    def tinted(self, color: Color) -> Color:
        """`color` in this style's palette."""
        gray = sum(color) / 3
        r, g, b = (
            min(max((gray + (c - gray) * self.saturation) * t, 0), 255) for c, t in zip(color, self.tint, strict=True)
        )
        return round(r), round(g), round(b)


DRAWN = Style(1.0, 0.35, 1.0, 0.9, (1.0, 1.0, 1.0), 0.3, 1.0, 7.0, 0.0)
GENERATED = Style(2.4, 0.7, 1.25, 1.3, (1.04, 0.99, 0.94), 0.6, 1.12, 2.0, 0.5)


def a_head(rng: np.random.Generator) -> Head:
    """A random person."""
    rest = {
        "brow_inner": 0.18,
        "brow_arch": 0.15,
        "brow_outer": 0.15,
        "lid_upper": 0.15,
        "corner": 0.15,
        "upper_lip": 0.1,
    }
    young = rng.random() < 0.6
    return Head(
        width=rng.uniform(0.68, 0.86),
        jaw=rng.uniform(0, 1),
        skin=_varied(_one(rng, SKINS), 8, rng),
        hair=_varied(_one(rng, HAIRS), 10, rng),
        hair_style=_one(rng, STYLES),
        glasses=_one(rng, ("", "", "", "round", "square")),
        beard="" if young else _one(rng, ("", "stubble", "moustache", "full")),
        eye_distance=rng.uniform(0.31, 0.4),
        eye_size=rng.uniform(0.16, 0.2),
        eye_color=_one(rng, EYES),
        brow=rng.uniform(0.06, 0.1),
        nose=rng.uniform(0.8, 1.3),
        mouth=rng.uniform(0.29, 0.37),
        lips=rng.uniform(0.03, 0.065),
        clothes=_varied(_one(rng, CLOTHES), 12, rng),
        freckles=bool(rng.random() < 0.15),
        rest={name: rng.normal(0, spread) for name, spread in rest.items()},
    )


def a_pose(rng: np.random.Generator) -> Pose:
    """A random pose, light and background, with something before the face now and then."""
    return Pose(
        size=rng.uniform(0.45, 0.51),
        x=rng.normal(0, 0.012),
        y=rng.normal(0, 0.012),
        tilt_deg=float(np.clip(rng.normal(0, 5), -15, 15)),
        yaw=float(np.clip(rng.normal(0, 0.13), -0.4, 0.4)),
        pitch=float(np.clip(rng.normal(0, 0.08), -0.25, 0.25)),
        brightness=rng.uniform(0.7, 1.15),
        slope=(rng.normal(0, 0.18), rng.normal(0, 0.14)),
        cast=(rng.normal(1, 0.06), rng.normal(1, 0.03), rng.normal(1, 0.07)),
        background=_one(rng, BACKGROUNDS),
        occlusion=_one(rng, OCCLUSIONS) if rng.random() < OCCLUDED else "",
        seed=int(rng.integers(2**31)),
    )


def _one(rng: np.random.Generator, of: Any) -> Any:
    return of[int(rng.integers(len(of)))]


def _varied(color: Color, by: int, rng: np.random.Generator) -> Color:
    r, g, b = (int(np.clip(c + rng.integers(-by, by + 1), 0, 255)) for c in color)
    return r, g, b
