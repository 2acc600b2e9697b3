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
    scale = LONGEST_PX / max(image.shape[:2])
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return _jpeg(image)


def overlaid(seen: np.ndarray, heat: np.ndarray) -> bytes:
    """JPEG of what a network saw, (S, S, 3) uint8, below its heat (h, w) from 0 to 1."""
    side = (LONGEST_PX, LONGEST_PX)
    shrinks = seen.shape[0] > LONGEST_PX
    image = cv2.resize(seen, side, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR).astype(np.float32)
    strength = cv2.resize(heat.astype(np.float32), side, interpolation=cv2.INTER_CUBIC).clip(0, 1)
    colors = np.asarray(matplotlib.colormaps["inferno"](strength), dtype=np.float32)[:, :, :3] * 255
    cover = COVER * strength[:, :, None]
    return _jpeg((image * (1 - cover) + colors * cover).round().astype(np.uint8))


def _jpeg(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, format="JPEG", quality=QUALITY)
    return file.getvalue()
