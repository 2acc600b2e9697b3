"""Color operations as look-up tables. Names and meanings are PIL's, as timm's RandAugment uses them.

A fixed operation has one table of 256 values. A measured one makes its tables from the histogram of each channel. The
others need the other channels or the neighbors of a pixel: they are no tables.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)
LEVELS = np.arange(256)
GRAY = (0.299, 0.587, 0.114)  # of red, green and blue
MEASURED = ("AutoContrast", "Equalize", "Contrast")
FIXED: dict[str, Callable[[float], np.ndarray]] = {
    "Invert": lambda _: 255 - LEVELS,
    "Posterize": lambda bits: LEVELS & (0xFF << (8 - int(bits))),
    "Solarize": lambda threshold: np.where(threshold <= LEVELS, 255 - LEVELS, LEVELS),
    "SolarizeAdd": lambda added: LEVELS + added * (LEVELS < 128),
    "Brightness": lambda factor: LEVELS * factor,
    "Stretch": lambda factor: (LEVELS - 128) * factor + 128,  # contrast about the middle gray, not the image's own
    "Shift": lambda added: LEVELS + added,
}


def fixed_table(name: str, amount: float) -> np.ndarray:
    """(256,) uint8: what becomes of each value."""
    return FIXED[name](amount).round().clip(0, 255).astype(np.uint8)


def measured_tables(name: str, amount: Array | float, counts: Array, levels: Array) -> Array:
    """What becomes of each value of each channel, not yet rounded to uint8. NumPy and torch alike.

    (…, 3, 256), or (…, 1, 256) where the channels have one table.

    Args:
        amount: (…, 1, 1), or one for all.
        counts: histograms (…, 3, 256), whole numbers.
        levels: (256,) the values themselves.
    """
    total = counts.sum(-1)[..., None]
    if name == "Contrast":  # about the mean gray of the image
        means = (counts * levels).sum(-1)[..., None] / total
        gray = (means[..., :1, :] * GRAY[0] + means[..., 1:2, :] * GRAY[1] + means[..., 2:, :] * GRAY[2]).round()
        return gray + amount * (levels - gray)
    upto = counts.cumsum(-1)
    if name == "AutoContrast":  # from the lowest value to the highest
        lowest = (upto == 0).sum(-1)[..., None]
        span = (upto < total).sum(-1)[..., None] - lowest
        return levels + (span > 0) * ((levels - lowest) * (255 / span.clip(1)) - levels)
    before = upto - counts  # Equalize: each value as often as the others
    step = (total - (counts * ((upto == total) & (before < total))).sum(-1)[..., None]) // 255
    return levels + (step > 0) * ((step // 2 + before) // step.clip(1) - levels)
