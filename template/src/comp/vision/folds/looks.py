"""What is remembered of every image, from one look at it: the hash of its pixels and small copies of it, for the search
for duplicates; statistics and the kind of its file, for `comp check`.
"""

import hashlib
from dataclasses import astuple
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from comp.errors import CompError
from comp.files import digest, written_whole
from comp.readback import AGAIN, read_array, remembered
from comp.vision.parallel import in_parallel
from comp.vision.pixels.decoding import states
from comp.vision.pixels.dicom import is_dicom
from comp.vision.pixels.image_file import AS_16_BIT, PIXELS_VERSION, BadImage, Rgb, decode, read
from comp.vision.pixels.numbers import Values
from comp.vision.pixels.statistics import STATISTICS, statistics

GRAY_PX, COLOR_PX = 48, 12  # sides of the small copies; what is not square is squashed
BLUR_PX = 1.0  # of both: moved by parts of a pixel, they then stay what they were
LOOK = np.dtype(  # of one image, 2.9 kB; `pixels` is empty where it is unreadable
    [
        ("file", "S16"),
        ("pixels", "S32"),
        ("gray", np.uint8, (GRAY_PX, GRAY_PX)),
        ("color", np.uint8, (COLOR_PX, COLOR_PX, 3)),
        ("statistics", np.float64, (len(STATISTICS),)),
        ("format", "S8"),  # JPEG, PNG …
    ]
)


def look_at(paths: list[str], background: Rgb | None, memory: Path, values: Values = AS_16_BIT) -> np.ndarray:
    """(N,) of `LOOK`. Only files that are new or changed since the last time are read.

    Not seen: another content of equal size and time.
    """
    how = [PIXELS_VERSION, background, *astuple(values)]
    files = np.array([digest([*state, *how]) for state in states(paths)], dtype="S16")
    known = _remembered(memory)
    place = {name: row for row, name in enumerate(known["file"].tolist())}
    looks = np.zeros(len(paths), LOOK)
    at = np.array([place.get(name, -1) for name in files.tolist()], dtype=np.int64)
    looks[at >= 0] = known[at[at >= 0]]
    new: list[int] = np.flatnonzero(at < 0).tolist()
    if new:
        seen = in_parallel(lambda row: _look(paths[row], background, values), new, "looking at images")
        for row, look in zip(new, seen, strict=True):
            looks[row] = (files[row], *look)
        _remember(memory, looks[looks["pixels"] != b""])
    return looks


def _look(path: str, background: Rgb | None, values: Values) -> tuple[bytes | np.ndarray | list[float], ...]:
    """Of one image what `LOOK` has behind the file."""
    try:
        image = decode(Path(path), background, values=values)
        kind, mode = _kind_of_file(Path(path))
    except BadImage:
        nothing = np.zeros((GRAY_PX, GRAY_PX), np.uint8), np.zeros((COLOR_PX, COLOR_PX, 3), np.uint8)
        return b"", *nothing, [np.nan] * len(STATISTICS), b""
    pixels = hashlib.sha256(str(image.shape).encode())
    pixels.update(np.ascontiguousarray(image).data)
    large = Image.fromarray(image)
    small = large.resize((GRAY_PX, GRAY_PX), Image.Resampling.BILINEAR, reducing_gap=3.0)
    blur = ImageFilter.GaussianBlur(BLUR_PX)
    gray = small.convert("L").filter(blur)
    color = small.resize((COLOR_PX, COLOR_PX), Image.Resampling.BOX).filter(blur)
    content = pixels.hexdigest()[:32].encode()
    return content, np.asarray(gray), np.asarray(color), statistics(image, mode), kind.encode()


def _kind_of_file(path: Path) -> tuple[str, str]:
    """Format and mode, as PIL names them."""
    return ("DICOM", "L") if is_dicom(path) else read(path, lambda image: (image.format or "", image.mode))


def _remembered(memory: Path) -> np.ndarray:
    looks = remembered(memory, lambda: read_array(memory, None, LOOK, AGAIN))
    return np.zeros(0, LOOK) if looks is None else looks


def _remember(memory: Path, looks: np.ndarray) -> None:
    try:
        with written_whole(memory) as temporary, temporary.open("wb") as file:
            np.save(file, looks)
    except (OSError, CompError):  # read-only, or full: the next time looks again
        return
