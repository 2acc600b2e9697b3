"""What an expression does to a face: how far each group of muscles pulls, from 0 (at rest) to about 1."""

from dataclasses import dataclass, fields

import numpy as np

SPREAD = 0.08  # standard deviation of each pull: nobody frowns twice alike


@dataclass(frozen=True)
class Muscles:
    brow_inner: float = 0.0  # up
    brow_arch: float = 0.0  # up
    brow_outer: float = 0.0  # up
    brow_close: float = 0.0  # towards one another
    brow_side: float = 0.0  # one brow alone, up
    lid_upper: float = 0.0  # up: a wider eye
    lid_lower: float = 0.0  # up: a squint
    nose: float = 0.0  # wrinkled
    cheek: float = 0.0  # raised, with a fold beside the nose
    upper_lip: float = 0.0  # up
    corner: float = 0.0  # both corners of the mouth, up
    corner_side: float = 0.0  # one corner alone, up
    width: float = 0.0  # of the mouth
    open: float = 0.0  # the mouth, and the chin goes down
    teeth: float = 0.0  # seen in an open mouth
    press: float = 0.0  # lips together


EXPRESSIONS: dict[str, tuple[Muscles, ...]] = {  # each with its variants
    "anger": (
        Muscles(-1.0, -0.5, 0.4, 1.0, 0, 0.1, 0.5, 0.25, 0.1, 0, -0.45, 0, -0.15, 0, 0, 1.0),
        Muscles(-1.0, -0.4, 0.4, 1.0, 0, 0.2, 0.5, 0.4, 0.4, 0.4, -0.35, 0, 0.1, 0.45, 1.0, 0),
    ),
    "contempt": (
        Muscles(0, 0, 0, 0, 0.35, -0.3, 0.15, 0, 0.1, 0, 0, 1.0, 0, 0, 0, 0.4),
        Muscles(-0.2, 0, 0, 0.1, 0, -0.4, 0.3, 0, 0.2, 0.1, -0.1, 1.0, -0.05, 0, 0, 0.5),
    ),
    "disgust": (
        Muscles(-0.65, -0.35, 0, 0.5, 0, -0.35, 0.8, 1.0, 0.8, 1.0, -0.5, 0, -0.05, 0.2, 0.6, 0),
        Muscles(-0.5, -0.3, 0.1, 0.4, 0, -0.5, 0.8, 1.0, 0.7, 0.9, -0.6, 0.2, -0.1, 0, 0, 0),
    ),
    "fear": (
        Muscles(1.0, 0.35, 0.0, 0.7, 0, 0.95, 0.15, 0, 0.1, 0, -0.75, 0, 0.3, 0.4, 0.6, 0),
        Muscles(0.9, 0.5, 0.1, 0.5, 0, 0.9, 0.1, 0, 0, 0, -0.55, 0, 0.15, 0.55, 0.3, 0),
    ),
    "happy": (
        Muscles(0, 0.15, 0, 0, 0, -0.1, 0.6, 0, 0.8, 0.1, 1.0, 0, 0.3, 0.4, 1.0, 0),
        Muscles(0, 0.15, 0.05, 0, 0, 0, 0.45, 0, 0.6, 0, 0.9, 0, 0.25, 0, 0, 0),
    ),
    "neutral": (Muscles(),),
    "sad": (
        Muscles(1.0, 0.0, -0.5, 0.4, 0, -0.4, 0.1, 0, 0, 0, -0.9, 0, -0.1, 0, 0, 0.3),
        Muscles(0.8, 0.0, -0.6, 0.2, 0, -0.6, 0.1, 0, 0, -0.1, -1.0, 0, -0.15, 0, 0, 0),
    ),
    "surprise": (
        Muscles(0.8, 1.0, 0.8, 0, 0, 0.9, 0, 0, 0, 0, 0, 0, -0.35, 1.0, 0.1, 0),
        Muscles(0.7, 0.9, 0.7, 0, 0, 0.7, 0, 0, 0, 0, 0.15, 0, -0.2, 0.6, 0.2, 0),
    ),
}


def pulled(expression: str, intensity: float, rest: dict[str, float], rng: np.random.Generator) -> Muscles:
    """The muscles of one picture: a variant of the expression at `intensity` (0 to 1) on a face's state at `rest`."""
    variants = EXPRESSIONS[expression]
    whole = variants[int(rng.integers(len(variants)))]
    pulls = {}
    for field in fields(Muscles):
        full = getattr(whole, field.name)
        chance = (
            rng.normal(0, SPREAD)
            if full or field.name.startswith(("brow_i", "brow_a", "brow_o", "lid", "corner"))
            else 0.0
        )
        pulls[field.name] = intensity * full + rest.get(field.name, 0.0) + chance
    return Muscles(**pulls)
