"""Affine maps of the plane as six numbers: NumPy would take longer for so few."""

import math

Affine = tuple[float, float, float, float, float, float]  # (x, y) ↦ (ax + by + c, dx + ey + f)


def rotation(angle: float) -> Affine:
    """Of what the map looks up, by `angle` in radians against the clock."""
    return math.cos(angle), -math.sin(angle), 0, math.sin(angle), math.cos(angle), 0


def then(first: Affine, second: Affine) -> Affine:
    """Looks up `second` in the picture that `first` looks up: what happens to it first and second."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return a * p + b * s, a * q + b * t, a * r + b * u + c, d * p + e * s, d * q + e * t, d * r + e * u + f
