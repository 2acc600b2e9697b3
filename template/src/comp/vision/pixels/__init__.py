"""Decode once: all images of a table in one memory-mapped uint8 file; or, where it does not fit, each time again."""

from comp.vision.pixels.cached import Pixels
from comp.vision.pixels.concatenated import Concatenated
from comp.vision.pixels.decoding import Decoding
from comp.vision.pixels.evaluation import Evaluation
from comp.vision.pixels.numbers import Values
from comp.vision.pixels.open import open_pixels
from comp.vision.pixels.several import Images, Several, joined
from comp.vision.pixels.streamed import Streamed

__all__ = [
    "Concatenated",
    "Decoding",
    "Evaluation",
    "Images",
    "Pixels",
    "Several",
    "Streamed",
    "Values",
    "joined",
    "open_pixels",
]
