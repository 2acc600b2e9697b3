"""Decode once: all images of a table in one memory-mapped uint8 file; or, where it does not fit, each time anew."""

from comp.vision.pixels.cached import Pixels
from comp.vision.pixels.concatenated import Joined
from comp.vision.pixels.decoding import Decoding
from comp.vision.pixels.open import open_pixels
from comp.vision.pixels.streamed import Streamed

Images = Pixels | Streamed | Joined

__all__ = ["Decoding", "Images", "Joined", "Pixels", "Streamed", "open_pixels"]
