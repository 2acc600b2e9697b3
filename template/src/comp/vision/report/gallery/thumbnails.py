"""Small JPEGs of the rows that are shown: the image, and beside it what the network saw with heat over it."""

import io

import cv2
import matplotlib
import numpy as np
from PIL import Image

LONGEST_PX = 160
QUALITY = 80
COVER = 0.7  # how much of the image the strongest heat hides


def thumbnail(image: np.ndarray) -> bytes:
    """JPEG of an image (H, W, 3) uint8, none of whose sides is longer than LONGEST_PX."""
    return _jpeg(image if max(image.shape[:2]) <= LONGEST_PX else _resized(image))


def overlaid(seen: np.ndarray, heat: np.ndarray) -> bytes:
    """JPEG of what a network saw, (H, W, 3) uint8, below its heat (h, w) from 0 to 1: as large as can be."""
    image = _resized(seen).astype(np.float32)
    strength = cv2.resize(heat.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colors = np.asarray(matplotlib.colormaps["inferno"](strength), dtype=np.float32)[:, :, :3] * 255
    cover = COVER * strength[:, :, None]
    return _jpeg((image * (1 - cover) + colors * cover).round().astype(np.uint8))


def _resized(image: np.ndarray) -> np.ndarray:
    scale = LONGEST_PX / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _jpeg(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()
