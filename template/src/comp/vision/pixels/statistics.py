"""Thirteen statistics of an image, as numbers."""

import cv2
import numpy as np

STATISTICS = (
    *("width", "height", "aspect", "pixels", "mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b"),
    *("brightness", "mostly_white", "mode"),
)
MODES = ("1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F")  # as PIL names them
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
WHITE, MOSTLY = 245, 0.5  # a pixel is white from so much in each color; an image, if so many of its pixels are


def statistics(image: np.ndarray, mode: str) -> list[float]:
    """STATISTICS of `image` (H, W, 3) uint8, whose file has `mode`: sizes in pixels, colors from 0 to 255."""
    height, width = image.shape[:2]
    mean, std = (each[:, 0] for each in cv2.meanStdDev(image))
    white = cv2.countNonZero(cv2.inRange(image, (WHITE,) * 3, (255,) * 3)) / (height * width)
    place = MODES.index(mode) if mode in MODES else len(MODES)
    sizes = [width, height, width / height, width * height]
    return [*sizes, *mean, *std, float(mean @ LUMA), float(white > MOSTLY), place]
