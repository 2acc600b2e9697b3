"""`data.scale: auto`: what becomes black and white in images whose values are not 8 bits wide, decided once for all."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from comp.errors import CompError
from comp.files import digest, write_text
from comp.vision.parallel import in_parallel
from comp.vision.pixels.decoding import states
from comp.vision.pixels.dicom import is_dicom
from comp.vision.pixels.image_file import PIXELS_VERSION, BadImage, read, wide_values
from comp.vision.pixels.numbers import CALLED, Numbers, Scale, numbers_in

SAMPLED = 256  # images whose values are looked at; what kind of numbers a file holds is asked of all
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras, scanners and satellites have


def scale_of(paths: Sequence[str], memory: Path) -> tuple[Scale, str]:
    """The scale of the training images at `paths`, and a line that tells of it. Remembered in the file `memory`.

    Raises:
        CompError: they hold several kinds of numbers, such as 16-bit integers and floats.
    """
    key = digest([PIXELS_VERSION, *states(sorted(paths))])
    try:
        known: dict[str, Any] = json.loads(memory.read_text(encoding="utf-8"))
        if known["files"] == key:
            scale = known["scale"] if isinstance(known["scale"], str) else tuple(known["scale"])
            return cast(Scale, scale), str(known["note"])
    except (OSError, ValueError, LookupError, TypeError):
        pass  # nothing is remembered
    found, note = decided(sorted(paths))
    with suppress(OSError, CompError):  # where nothing can be written, the next command looks again
        write_text(memory, json.dumps({"files": key, "scale": found, "note": note}))
    return found, note


def decided(paths: Sequence[str]) -> tuple[Scale, str]:
    """As `scale_of`, by looking at the files: the same for the same files in the same order."""
    wide: dict[Numbers, list[str]] = {}
    for path, numbers in zip(paths, in_parallel(_numbers_of, paths, "looking at headers"), strict=True):
        if numbers is not None and numbers != "uint8":
            wide.setdefault(numbers, []).append(path)
    if not wide:
        return "8-bit", "scale   8-bit: no training image has other values"
    if "float" in wide and len(wide) > 1:
        some = "; ".join(f"{CALLED[numbers]}: {len(each)}, such as {each[0]}" for numbers, each in wide.items())
        raise CompError(f"training images hold several kinds of numbers ({some}): set 'data.scale=[LOW,HIGH]'")
    files = sorted(path for each in wide.values() for path in each)
    sample = [files[row] for row in np.unique(np.linspace(0, len(files) - 1, SAMPLED).astype(int))]
    ranges = list(in_parallel(_range_of, sample, "looking at values"))
    low, high = min(each[0] for each in ranges), max(each[1] for each in ranges)
    scale = _scale("float" in wide, low, high)
    name = scale if isinstance(scale, str) else f"[{scale[0]:g}, {scale[1]:g}]"
    kinds = " and ".join(CALLED[numbers] for numbers in wide)
    note = (
        f"scale   {name}: {len(files)} {kinds} images, values {low:g} to {high:g} in {len(sample)} of them (data.scale)"
    )
    holed = [path for path, (_, _, missing) in zip(sample, ranges, strict=True) if missing]
    if holed:
        note += (
            f"\n        warning: NaN or infinite values in {len(holed)} of them, such as {holed[0]}: unreadable, "
            "or set data.fill_nan"
        )
    return scale, note


def _numbers_of(path: str) -> Numbers | None:
    if is_dicom(Path(path)):
        return "uint8"  # by its own window
    try:
        return read(Path(path), numbers_in)
    except BadImage:
        return None  # told where it is decoded


def _range_of(path: str) -> tuple[float, float, bool]:
    """Least and largest value of an image, and whether it has any that is no number."""
    try:
        values = wide_values(Path(path))[1]
    except BadImage:
        return np.inf, -np.inf, False
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.inf, -np.inf, bool(values.size)
    return float(finite.min()), float(finite.max()), finite.size < values.size


def _scale(floats: bool, low: float, high: float) -> Scale:
    """That of the numbers' type or depth where the values fit one; else their own range."""
    if low > high:  # no value is a number
        return "unit" if floats else "16-bit"
    if floats and low >= 0 and high <= 1:
        return "unit"
    if low >= 0 and high <= 65535 and not floats:
        bits = next(bits for bits in DEPTHS if high < 2**bits)
        return "16-bit" if bits == 16 else (0.0, 2.0**bits - 1)
    if floats and low >= 0 and 128 <= high <= 255:
        return 0.0, 255.0
    return low, max(high, low + 1e-6)
