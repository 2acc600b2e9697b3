"""Does to one image what was drawn for it, with OpenCV."""

import math

import cv2
import numpy as np

from comp.vision.augment.affine import Affine
from comp.vision.augment.colors import FIXED, LEVELS, MEASURED, fixed_table, measured_tables
from comp.vision.augment.draw import NOISE, Draw, Erased, Geometry, draw
from comp.vision.augment.rand_augment import Color
from comp.vision.schema import Augment

cv2.setNumThreads(0)  # loader workers are the parallelism


def augmented(
    image: np.ndarray, size_px: int, settings: Augment, rng: np.random.Generator, geometry: Geometry = "squash"
) -> np.ndarray:
    """A random view of `image` (H, W, 3) uint8 as (size_px, size_px, 3) uint8."""
    return applied(image, draw(settings, image.shape, size_px, rng, geometry), size_px)


def applied(image: np.ndarray, drawn: Draw, size_px: int) -> np.ndarray:
    """The view that was drawn of `image` (H, W, 3) uint8, as (size_px, size_px, 3) uint8."""
    view = _warped(image, drawn.matrix, size_px)
    if drawn.colors:
        view = _recolored(view, drawn.colors)
    if drawn.erased:
        view = _erased(view, drawn.erased)
    return view


def fitted(image: np.ndarray, size_px: int, how: Geometry) -> np.ndarray:
    """The whole image (`squash`) or its middle (`crop`) as (size_px, size_px, 3) uint8, nothing random."""
    height, width = image.shape[:2]
    if how == "squash":
        return _resized(image, size_px, size_px)
    scale = size_px / min(height, width)
    resized = _resized(image, max(size_px, round(width * scale)), max(size_px, round(height * scale)))
    top, left = (resized.shape[0] - size_px) // 2, (resized.shape[1] - size_px) // 2
    return resized[top : top + size_px, left : left + size_px]


def shrunk(image: np.ndarray, matrix: Affine) -> tuple[np.ndarray, Affine]:
    """Image and matrix, with each side that the warp shrinks by more than 2 shrunk by area before.

    Bilinear interpolation would skip pixels there.
    """
    a, b, c, d, e, f = matrix
    step_x, step_y = math.hypot(a, b), math.hypot(d, e)  # pixels of the image from one of the view to the next
    if step_x <= 2 and step_y <= 2:
        return image, matrix
    height, width = image.shape[:2]
    new_width = max(1, round(width * 1.5 / step_x)) if step_x > 2 else width
    new_height = max(1, round(height * 1.5 / step_y)) if step_y > 2 else height
    x, y = new_width / width, new_height / height
    image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA)
    return image, (a * x, b * x, (c + 0.5) * x - 0.5, d * y, e * y, (f + 0.5) * y - 0.5)


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Each side that shrinks is averaged by area, whatever the other one does; one that grows is interpolated."""
    least_w, least_h = min(width, image.shape[1]), min(height, image.shape[0])
    if (least_h, least_w) != image.shape[:2]:
        image = cv2.resize(image, (least_w, least_h), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # nothing where the size is right


def _warped(image: np.ndarray, matrix: Affine, size_px: int) -> np.ndarray:
    image, matrix = shrunk(image, matrix)
    view = _cropped(image, matrix, size_px)
    if view is not None:
        return view
    # OpenCV 5 warps four channels in less than half of the time that it takes for three
    view = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        np.array(matrix).reshape(2, 3),
        (size_px, size_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return cv2.cvtColor(view, cv2.COLOR_RGBA2RGB)


def _cropped(image: np.ndarray, matrix: Affine, size_px: int) -> np.ndarray | None:
    """The same where the warp is but a crop of whole pixels, perhaps flipped: that takes a third of the time.

    An enlarged crop differs at its rim, which shows nothing of the pixels around it.
    """
    a, b, c, d, e, f = matrix
    if b or d:
        return None
    exact = (*_edges(a, c, size_px), *_edges(e, f, size_px))
    left, right, top, bottom = box = tuple(map(round, exact))
    if left < 0 or right > image.shape[1] or top < 0 or bottom > image.shape[0]:
        return None
    if max(abs(whole - edge) for whole, edge in zip(box, exact, strict=True)) > 1e-3:
        return None
    view = cv2.resize(image[top:bottom, left:right], (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    if a > 0 and e > 0:
        return view
    return cv2.flip(view, 1 if e > 0 else 0 if a > 0 else -1)


def _edges(step: float, first: float, steps: int) -> list[float]:
    """Where the view starts and ends in the image, in pixels from its border."""
    start = first + 0.5 - step / 2
    return sorted((start, start + step * steps))


def _recolored(image: np.ndarray, colors: list[Color]) -> np.ndarray:
    """All tables in a row become one, and one histogram serves them all."""
    table: np.ndarray | None = None  # (3, 256), or (1, 256) for all: what is still to be done to `image`
    counts: np.ndarray | None = None  # (3, 256): of `image`
    for name, amount in colors:
        if name in FIXED:
            fixed = fixed_table(name, amount)
            table = fixed[None] if table is None else fixed[table]
        elif name in MEASURED:
            counts = _histogram(image) if counts is None else counts
            measured = measured_tables(name, amount, _histogram_after(table, counts), LEVELS)
            measured = measured.round().clip(0, 255).astype(np.uint8)
            table = measured if table is None else np.take_along_axis(measured, table, axis=1)
        else:
            image = _looked_up(image, table)
            image = _saturated(image, amount) if name == "Color" else _sharpened(image, amount)
            table = counts = None
    return _looked_up(image, table)


def _looked_up(image: np.ndarray, table: np.ndarray | None) -> np.ndarray:
    return image if table is None else cv2.LUT(image, np.ascontiguousarray(table.T)[:, None])


def _histogram(image: np.ndarray) -> np.ndarray:
    """(3, 256) int64."""
    counts = [cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
    return np.array(counts).astype(np.int64)


def _histogram_after(table: np.ndarray | None, counts: np.ndarray) -> np.ndarray:
    if table is None:
        return counts
    places = np.arange(3)[:, None] * 256 + table
    return np.bincount(places.ravel(), counts.ravel(), minlength=3 * 256).astype(np.int64).reshape(3, 256)


def _saturated(image: np.ndarray, amount: float) -> np.ndarray:
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, amount, gray, 1 - amount, 0)


def _sharpened(image: np.ndarray, amount: float) -> np.ndarray:
    """Away from (or towards, below 1) a blur of 3 × 3 pixels whose middle weighs 5 and the others 1, as in PIL."""
    kernel = np.full((3, 3), (1 - amount) / 13)
    kernel[1, 1] = (5 + 8 * amount) / 13
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def _erased(image: np.ndarray, erased: Erased) -> np.ndarray:
    top, left, height, width, start = erased
    noise = NOISE.take(np.arange(start, start + height * width * 3), mode="wrap")
    image[top : top + height, left : left + width] = noise.reshape(height, width, 3)
    return image
