"""Any image file to uint8 RGB, as a viewer would show it."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

Rgb = tuple[int, int, int]


class BadImage(Exception):
    """A file that is no readable image, and why."""


def decode(path: Path, background: Rgb = (255, 255, 255), short_side_px: int | None = None) -> np.ndarray:
    """The image at `path` as (H, W, 3) uint8 RGB, turned as its EXIF says, transparency laid over `background`.

    With `short_side_px`, an image whose short side is longer is shrunk to it, its proportions kept; none is enlarged.

    Raises:
        BadImage: the file is missing, truncated or no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if short_side_px is not None:
                    image.draft("RGB", _shrunk(image.size, short_side_px))  # JPEG: decode at a fraction of the size
                image.load()
                upright = ImageOps.exif_transpose(image)
                rgb = _to_rgb(upright, background)
    except (OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError, EOFError, IndexError) as error:
        raise BadImage(f"{path}: {error or type(error).__name__}") from error
    if short_side_px is not None and min(rgb.size) > short_side_px:
        rgb = rgb.resize(_shrunk(rgb.size, short_side_px), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(rgb)


def _shrunk(size: tuple[int, int], short_side_px: int) -> tuple[int, int]:
    factor = min(1.0, short_side_px / min(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _to_rgb(image: Image.Image, background: Rgb) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        image = _to_8_bit(image)
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        backdrop = Image.new("RGBA", layer.size, (*background, 255))
        return Image.alpha_composite(backdrop, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit greys and floats: the range of the type where it is used, else of the values."""
    values = np.asarray(image).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and 255 < high <= 65535:
        values = values / 257.0
    elif low < 0 or high > 65535:
        values = (values - low) / max(high - low, 1e-12) * 255.0
    elif image.mode == "F" and high <= 1:
        values = values * 255.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
