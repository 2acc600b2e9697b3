"""Images whose values are not 8 bits wide: which numbers they hold, and how these become 0 to 255.

All images of a competition are scaled alike (`data.scale`): brightness would mean something else in each image if its
own values decided.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

Numbers = Literal["uint8", "uint16", "int", "float"]  # of a file's values, whatever its channels
Scale = Literal["8-bit", "16-bit", "unit"] | tuple[float, float]  # what becomes 0 and 255
RANGES: dict[str, tuple[float, float]] = {"8-bit": (0, 255), "16-bit": (0, 65535), "unit": (0, 1)}
FITTING: dict[str, set[Numbers]] = {"8-bit": set(), "16-bit": {"uint16", "int"}, "unit": {"float"}}
CALLED: dict[Numbers, str] = {"uint8": "8-bit", "uint16": "16-bit", "int": "integer", "float": "floating-point"}


@dataclass(frozen=True)
class Values:
    """How values that are not 8 bits wide are read: what is black and white, and what NaN and infinity become."""

    scale: Scale = "16-bit"
    fill_nan: float | None = None


def numbers_in(image: Image.Image) -> Numbers:
    """Of a file that is open and not loaded yet. PIL calls color images of 16 bits RGB, and drops their lower half."""
    if image.mode == "F":
        return "float"
    if image.mode == "I":
        return "int"
    deep = image.mode.startswith("I;16") or ";16" in _rawmode(image)
    return "uint16" if deep else "uint8"


def to_8_bit(values: np.ndarray, numbers: Numbers, how: Values) -> np.ndarray:
    """`values` of any shape as uint8: the ends of the scale become 0 and 255, what lies beyond is clipped.

    Raises:
        ValueError: values are NaN or infinite and nothing takes their place, or the scale is for other numbers.
    """
    scale, fill_nan = how.scale, how.fill_nan
    missing = ~np.isfinite(values)
    if missing.any():
        if fill_nan is None:
            raise ValueError(
                f"{missing.sum()} of {missing.size} values are NaN or infinite (data.fill_nan=0 reads them as 0)"
            )
        values = np.where(missing, fill_nan, values)
    if isinstance(scale, str) and numbers not in FITTING[scale]:
        raise ValueError(
            f"a {CALLED[numbers]} image does not fit data.scale={scale}: set 'data.scale=[LOW,HIGH]', "
            "the values that are to be black and white, for all images that are not 8-bit"
        )
    low, high = RANGES[scale] if isinstance(scale, str) else scale
    wide: np.ndarray = values.astype(np.float32 if numbers == "uint16" else np.float64)
    return np.clip(np.rint((wide - low) / ((high - low) / 255)), 0, 255).astype(np.uint8)


def _rawmode(image: Image.Image) -> str:
    """How the values of a file lie in it, in PIL's words; empty where the format has no such word."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else None
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""
