"""RandAugment (arXiv 1909.13719): which operations happen to an image, and how strongly.

Operations, ranges and directions are those of timm's policy `rand-…-inc1`: each grows with its magnitude.
"""

import math
from collections.abc import Callable

from comp.vision.augment.affine import Affine, rotation, then
from comp.vision.schema import RandAugment

Color = tuple[str, float]  # an operation of `colors.py`, and its amount

# By a strength of −1 to 1, about the middle of a view of `side` pixels. As in PIL, a shear leaves the first row or
# column where it is.
MOVES: dict[str, Callable[[float, int], Affine]] = {
    "Rotate": lambda strength, side: rotation(math.radians(30 * strength)),
    "ShearX": lambda strength, side: (1, 0.3 * strength, 0.15 * strength * side, 0, 1, 0),
    "ShearY": lambda strength, side: (1, 0, 0, 0.3 * strength, 1, 0.15 * strength * side),
    "TranslateXRel": lambda strength, side: (1, 0, 0.45 * strength * side, 0, 1, 0),
    "TranslateYRel": lambda strength, side: (1, 0, 0, 0, 1, 0.45 * strength * side),
}


def _factor(strength: float) -> float:
    return max(0.1, 1 + 0.9 * strength)


COLORS: dict[str, Callable[[float], float]] = {
    "AutoContrast": lambda strength: 0,
    "Equalize": lambda strength: 0,
    "Invert": lambda strength: 0,
    "Posterize": lambda strength: 4 - int(4 * abs(strength)),  # bits that are left
    "Solarize": lambda strength: 256 - int(256 * abs(strength)),  # values from here on are inverted
    "SolarizeAdd": lambda strength: int(110 * abs(strength)),  # added to values below 128
    "Color": _factor,
    "Contrast": _factor,
    "Brightness": _factor,
    "Sharpness": _factor,
}
OPERATIONS = (*COLORS, *MOVES)


def rand_augment(
    settings: RandAugment, affine: Affine, side_px: int, number: Callable[[], float]
) -> tuple[Affine, list[Color]]:
    """`affine` with the moves that were drawn, and the color operations in order.

    Args:
        number: gives uniform random numbers from 0 to 1; five are taken for each operation.
    """
    colors: list[Color] = []
    for _ in range(settings.ops):
        name = OPERATIONS[int(number() * len(OPERATIONS))]
        happens, sign = number() < settings.prob, 1 if number() < 0.5 else -1
        normal = math.sqrt(-2 * math.log(1 - number())) * math.cos(2 * math.pi * number())  # Box-Muller
        strength = sign * max(0.0, min(1.0, (settings.magnitude + settings.magnitude_std * normal) / 10))
        if happens and name in MOVES:
            affine = then(affine, MOVES[name](strength, side_px))
        elif happens:
            colors.append((name, COLORS[name](strength)))
    return affine, colors
