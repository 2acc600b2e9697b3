"""Small pictures for the page."""

import io
from pathlib import Path

from PIL import Image

from comp.vision.check.seen import Seen
from comp.vision.pixels.decoding import values_of
from comp.vision.pixels.image_file import decode

SIDE_PX, QUALITY = 96, 80


def thumbnail(seen: Seen, image: int) -> bytes:
    """A JPEG of at most 96 px; `image` (a number) is readable."""
    data = seen.config.data
    small = Image.fromarray(decode(Path(seen.paths[image]), data.background, 2 * SIDE_PX, values_of(data)))
    small.thumbnail((SIDE_PX, SIDE_PX))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
