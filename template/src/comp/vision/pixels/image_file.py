"""Any image file to uint8 RGB, as a viewer would show it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import ExifTags, Image

from comp.errors import CompError, first_line, one_line
from comp.vision.pixels.bare_file import without_metadata
from comp.vision.pixels.dicom import dicom_image, dicom_size, is_dicom
from comp.vision.pixels.numbers import Numbers, Values, numbers_in, to_8_bit

Rgb = tuple[int, int, int]
Found = TypeVar("Found")
AS_16_BIT = Values()
FRAME: Rgb = (124, 116, 104)  # the mean of ImageNet: zero after normalization
Image.MAX_IMAGE_PIXELS = 2**30  # slides and scans are large; a competition's files are no attack
UPRIGHT = {  # by the EXIF tag that says how the camera was held
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(Exception):
    """A file that is not a readable image, and why."""


PIXELS_VERSION = 3  # of what `decode` and `framed` give: increment it when that changes, and caches are rebuilt


def decode(
    path: Path,
    background: Rgb | None = (255, 255, 255),
    short_side_px: int | None = None,
    values: Values = AS_16_BIT,
) -> np.ndarray:
    """The image at `path` as (H, W, 3) uint8, as `rgb_image` reads it.

    With `short_side_px`, an image whose short side is longer is shrunk to it, its proportions kept; none is enlarged.

    Raises:
        BadImage: as `rgb_image`.
    """
    image = rgb_image(path, background, values, short_side_px)
    pixels = np.asarray(image)
    if short_side_px is not None and min(image.size) > short_side_px:
        pixels = cv2.resize(pixels, shrunk(image.size, short_side_px), interpolation=cv2.INTER_AREA)
    return pixels


def rgb_image(path: Path, background: Rgb | None, values: Values, draft_px: int | None = None) -> Image.Image:
    """The image at `path` in mode RGB, turned as its EXIF says, transparency laid over `background`, or ignored with
    None: then the colors stand as the file has them, those of invisible pixels too.

    `values` tells how values that are not 8 bits wide become so. A JPEG may come at a fraction of its size, whose
    short side is not below `draft_px`.

    Raises:
        BadImage: the file is missing, truncated or not an image, or has other values than `values` reads.
    """

    def pixels(image: Image.Image) -> tuple[Image.Image, Numbers, int]:
        numbers, turn = numbers_in(image), _orientation(image)
        if draft_px is not None:
            image.draft("RGB", shrunk(image.size, draft_px))
        image.load()
        by_pil = image.format == "TIFF" and not _in_half(image, numbers)  # PIL has turned it already
        return image, numbers, 1 if by_pil else turn

    image, numbers, turn = read(path, pixels)
    try:
        if numbers != "uint8":
            wide = _reread(path, image, numbers)
            narrow = to_8_bit(wide, numbers, values)
            if wide.shape[2:] == (4,):
                narrow[..., 3] = to_8_bit(wide[..., 3], numbers, AS_16_BIT)  # transparency has a scale of its own
            image = Image.fromarray(narrow)
        rgb = _to_rgb(image, background)
    except ValueError as error:
        raise BadImage(f"{path}: {error}") from error
    return rgb.transpose(UPRIGHT[turn]) if turn in UPRIGHT else rgb


def read(path: Path, use: Callable[[Image.Image], Found]) -> Found:
    """What `use` makes of the open file; it is called again without the file's metadata where they are in the way.

    Raises:
        BadImage: the file is missing, truncated or not an image.
    """
    if is_dicom(path):
        return use(_of_dicom(dicom_image, path))
    try:
        with Image.open(path) as image:
            if image.format == "TIFF":
                image.filename = ""  # else PIL maps the file, and takes the sides of a turned one for one another
            return use(image)
    except MemoryError:
        raise
    except Exception as error:  # PIL raises whatever its parsers meet: struct.error, KeyError, zlib.error …
        try:
            bare = without_metadata(path.read_bytes())
            if bare is not None:
                with Image.open(io.BytesIO(bare)) as image:
                    return use(image)
        except MemoryError:
            raise
        except Exception:
            pass  # it was not the metadata: the first error says more
        raise BadImage(f"{path}: {first_line(error)}") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height as the file's header says, before it is turned as its EXIF says.

    Raises:
        BadImage: the file has no readable header.
    """
    return _of_dicom(dicom_size, path) if is_dicom(path) else read(path, lambda image: image.size)


def _of_dicom(found: Callable[[Path], Found], path: Path) -> Found:
    try:
        return found(path)
    except (CompError, MemoryError):
        raise
    except Exception as error:  # pydicom, too, raises whatever its parsers meet
        raise BadImage(f"{path}: {one_line(error)}") from error


def framed(image: np.ndarray, side_px: int | None = None) -> np.ndarray:
    """`image` (H, W, 3) in the middle of a gray square, told apart from the picture's own background.

    The square is as wide as the image's longer side, or `side_px`: a larger image is shrunk to it, a smaller one keeps
    its own scale, so that a network can see how large it was.
    """
    side = side_px or max(image.shape[:2])
    if max(image.shape[:2]) > side:
        small = Image.fromarray(image)
        small.thumbnail((side, side), Image.Resampling.BICUBIC)
        image = np.asarray(small)
    square = np.full((side, side, 3), FRAME, np.uint8)
    top, left = (side - image.shape[0]) // 2, (side - image.shape[1]) // 2
    square[top : top + image.shape[0], left : left + image.shape[1]] = image
    return square


def shrunk(size: tuple[int, int], short_side_px: int) -> tuple[int, int]:
    """Width and height with the short side at most `short_side_px`, the proportions kept."""
    factor = min(1.0, short_side_px / min(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def wide_values(path: Path) -> tuple[Numbers, np.ndarray]:
    """The values of a file as they stand in it, (H, W) or (H, W, 3): of one whose numbers are not 8 bits wide.

    Raises:
        BadImage: the file is missing, truncated or not an image.
    """

    def loaded(image: Image.Image) -> tuple[Numbers, Image.Image]:
        numbers = numbers_in(image)
        image.load()
        return numbers, image

    numbers, image = read(path, loaded)
    values = _reread(path, image, numbers)
    return numbers, values[..., :3] if values.ndim == 3 else values  # transparency is no brightness


def _in_half(image: Image.Image, numbers: Numbers) -> bool:
    """Whether PIL keeps but 8 of 16 bits: those of colors."""
    return numbers == "uint16" and len(image.getbands()) > 1


def _reread(path: Path, image: Image.Image, numbers: Numbers) -> np.ndarray:
    """Of `image`, which PIL has loaded without an error; what it has halved, OpenCV reads again."""
    if not _in_half(image, numbers):
        return np.asarray(image)
    data = path.read_bytes()
    stored = without_metadata(data, turned=False) or data  # OpenCV turns a TIFF, or fails to
    values = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise BadImage(f"{path}: colors of 16 bits in a form that is not read: convert it to 8 bits, or to a PNG")
    order = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    return cv2.cvtColor(values, order[values.shape[2]]) if values.ndim == 3 else values


def _orientation(image: Image.Image) -> int:
    """How the camera was held, from 1 to 8. The other tags are not looked at."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(value)
    except Exception:  # a damaged tag: the picture stands as it is stored
        return 1


def _to_rgb(image: Image.Image, background: Rgb | None) -> Image.Image:
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        if background is None:
            return layer.convert("RGB")
        backdrop = Image.new("RGBA", layer.size, (*background, 255))
        return Image.alpha_composite(backdrop, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
