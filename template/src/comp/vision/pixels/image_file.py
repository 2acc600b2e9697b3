"""Any image file to uint8 RGB, as a viewer would show it."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

Rgb = tuple[int, int, int]
FRAME: Rgb = (124, 116, 104)  # the mean of ImageNet: zero after normalization
Image.MAX_IMAGE_PIXELS = 2**30  # slides and scans are large; a competition's files are no attack
NO_IMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, EOFError, IndexError)  # what PIL raises


class BadImage(Exception):
    """A file that is not a readable image, and why."""


PIXELS_VERSION = 2  # of what `decode` and `framed` give: increment it when that changes, and caches are rebuilt


def decode(path: Path, background: Rgb | None = (255, 255, 255), short_side_px: int | None = None) -> np.ndarray:
    """The image at `path` as (H, W, 3) uint8 RGB, turned as its EXIF says, transparency laid over `background`,
    or ignored with None: then the colors stand as the file has them, those of invisible pixels too.

    With `short_side_px`, an image whose short side is longer is shrunk to it, its proportions kept; none is enlarged.

    Raises:
        BadImage: the file is missing, truncated or not an image.
    """
    try:
        with Image.open(path) as image:
            if short_side_px is not None:
                image.draft("RGB", shrunk(image.size, short_side_px))  # JPEG: decode at a fraction of the size
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            rgb = _to_rgb(image, background)
            pixels = np.asarray(rgb)
            if short_side_px is not None and min(rgb.size) > short_side_px:
                pixels = cv2.resize(pixels, shrunk(rgb.size, short_side_px), interpolation=cv2.INTER_AREA)
            return pixels
    except NO_IMAGE as error:
        raise BadImage(f"{path}: {error or type(error).__name__}") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height as the file's header says, before it is turned as its EXIF says.

    Raises:
        BadImage: the file has no readable header.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except NO_IMAGE as error:
        raise BadImage(f"{path}: {error or type(error).__name__}") from error


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


def _to_rgb(image: Image.Image, background: Rgb | None) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        image = _to_8_bit(image)
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        if background is None:
            return layer.convert("RGB")
        backdrop = Image.new("RGBA", layer.size, (*background, 255))
        return Image.alpha_composite(backdrop, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit grays by the range of their type, alike for all images; integers and floats by that of their values."""
    values = np.asarray(image).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65535):
        values = values / 257.0
    elif low < 0 or high > 65535:
        values = (values - low) / max(high - low, 1e-12) * 255.0
    elif image.mode == "F" and high <= 1:
        values = values * 255.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
