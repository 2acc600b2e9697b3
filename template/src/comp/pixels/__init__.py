"""Decode once: all images of a table in one memory-mapped uint8 file; or, where it does not fit, each time anew."""

from comp.pixels.cached import Pixels
from comp.pixels.decoding import Decoding
from comp.pixels.joined import Joined
from comp.pixels.opened import open_pixels
from comp.pixels.streamed import Streamed

Images = Pixels | Streamed | Joined

__all__ = ["Decoding", "Images", "Joined", "Pixels", "Streamed", "open_pixels"]
