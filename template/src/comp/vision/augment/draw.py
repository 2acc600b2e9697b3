"""Draws what happens to one image: one affine matrix, color operations, a rectangle to erase."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from comp.vision.augment.affine import Affine, rotation, then
from comp.vision.augment.rand_augment import Color, rand_augment
from comp.vision.schema import Augment

STRETCH = 2**16  # random numbers that lie between one position's and the next one's
NOISE = np.random.default_rng(0).integers(0, 256, 2**20, dtype=np.uint8)  # fills erased rectangles, from any place on
TRIES = 10  # of a random crop that does not fit into its image, as torchvision has them
NUMBERS = 2 * TRIES + 22  # the most that one image needs, RandAugment aside
Geometry = Literal["squash", "crop"]  # the view squeezes the image, or shows a part of it in its own proportions
Erased = tuple[int, int, int, int, int]  # top, left, height, width in pixels of the view; where in NOISE


@dataclass(frozen=True, slots=True)
class Draw:
    matrix: Affine  # (a, b, c, d, e, f): pixel (x, y) of the view shows pixel (ax + by + c, dx + ey + f) of the image
    colors: list[Color]  # in order
    erased: Erased | None


def generators(seed: tuple[int, ...], epoch: int, positions: Iterable[int]) -> Iterator[np.random.Generator]:
    """One generator a position, a function of (seed, epoch, position). Use each before asking for the next.

    They are far-off places of one stream: going there takes a quarter of the time that seeding again does.
    """
    stream = np.random.PCG64(np.random.SeedSequence((*seed, epoch, 1)))  # 1: not the stream that orders the epoch
    start, generator = stream.state, np.random.Generator(stream)
    for position in positions:
        stream.state = start
        stream.advance(position * STRETCH)
        yield generator


def draw(
    settings: Augment, shape: tuple[int, ...], size_px: int, rng: np.random.Generator, geometry: Geometry = "squash"
) -> Draw:
    """What happens to an image of shape (H, W, …) on its way to a view of (size_px, size_px).

    `geometry` is that of the images that are predicted: a circle has the same shape in both. Crop, flips, rotation,
    shear and translation become one matrix, so that the pixels are interpolated once.
    """
    random = settings.rand_augment
    how_many = NUMBERS + (5 * random.ops if random else 0)
    number = iter(rng.random(how_many).tolist()).__next__  # uniform from 0 to 1; one call of rng for all
    affine = _crop(settings, shape[0], shape[1], size_px, number, geometry)
    if settings.rotate_deg:
        affine = then(affine, rotation(math.radians(_around(settings.rotate_deg, number))))
    if settings.shear_deg:
        affine = then(affine, (1, math.tan(math.radians(_around(settings.shear_deg, number))), 0, 0, 1, 0))
    colors: list[Color] = []
    if random:
        affine, colors = rand_augment(random, affine, size_px, number)
    colors += _colors(settings, number)
    erased = _erased(size_px, number) if settings.erase and number() < settings.erase else None
    middle = (size_px - 1) / 2
    return Draw(then(affine, (1, 0, -middle, 0, 1, -middle)), colors, erased)


def _crop(
    settings: Augment, height: int, width: int, size_px: int, number: Callable[[], float], geometry: Geometry
) -> Affine:
    """A random crop of whole pixels, shifted and flipped, about the middle of the view."""
    left, top, crop_w, crop_h = _box(settings, height, width, number, geometry)
    x, y = left + (crop_w - 1) / 2, top + (crop_h - 1) / 2
    scale_x = crop_w / size_px * (-1 if number() < settings.hflip else 1)
    scale_y = crop_h / size_px * (-1 if number() < settings.vflip else 1)
    if settings.translate:
        x += round(_around(settings.translate, number) * width)
        y += round(_around(settings.translate, number) * height)
    return scale_x, 0.0, x, 0.0, scale_y, y


def _box(
    settings: Augment, height: int, width: int, number: Callable[[], float], geometry: Geometry
) -> tuple[int, int, int, int]:
    """Left, top, width and height of torchvision's RandomResizedCrop (arXiv 1409.4842): a crop that does not fit is
    drawn again, ten times, and then it is the middle one.

    A view that squeezes its image takes the crop from the image squeezed to a square.
    """
    (least, most), (narrow, wide) = settings.crop_scale, settings.crop_ratio
    unit_w, unit_h = (width, height) if geometry == "squash" else (math.sqrt(width * height),) * 2
    for _ in range(TRIES):
        area, ratio = least + (most - least) * number(), narrow * (wide / narrow) ** number()
        crop_w, crop_h = round(unit_w * math.sqrt(area * ratio)), round(unit_h * math.sqrt(area / ratio))
        if crop_w <= width and crop_h <= height:
            crop_w, crop_h = max(1, crop_w), max(1, crop_h)
            return int(number() * (width - crop_w + 1)), int(number() * (height - crop_h + 1)), crop_w, crop_h
    most_w, most_h = width / unit_w, height / unit_h
    crop_w = width if most_w <= wide * most_h else max(1, round(unit_w * most_h * wide))
    crop_h = height if most_w >= narrow * most_h else max(1, round(unit_h * most_w / narrow))
    return (width - crop_w) // 2, (height - crop_h) // 2, crop_w, crop_h


def _colors(settings: Augment, number: Callable[[], float]) -> list[Color]:
    colors: list[Color] = []
    if settings.solarize and number() < settings.solarize:
        colors.append(("Solarize", 256 * number()))
    if settings.posterize and number() < settings.posterize:
        colors.append(("Posterize", 4 + int(4 * number())))
    if settings.equalize and number() < settings.equalize:
        colors.append(("Equalize", 0))
    if settings.contrast:
        colors.append(("Stretch", 1 + _around(settings.contrast, number)))
    if settings.brightness:
        colors.append(("Shift", 255 * _around(settings.brightness, number)))
    if settings.saturation:
        colors.append(("Color", 1 + _around(settings.saturation, number)))
    return colors


def _erased(size_px: int, number: Callable[[], float]) -> Erased:
    """Random erasing (arXiv 1708.04896): a rectangle of 2 to 33 % of the area becomes noise."""
    area, ratio = (0.02 + 0.31 * number()) * size_px * size_px, 0.3 * 11 ** number()  # ratio: 0.3 to 3.3
    height, width = min(size_px, round(math.sqrt(area * ratio))), min(size_px, round(math.sqrt(area / ratio)))
    top, left = int(number() * (size_px - height + 1)), int(number() * (size_px - width + 1))
    return top, left, height, width, int(number() * len(NOISE))


def _around(most: float, number: Callable[[], float]) -> float:
    return most * (2 * number() - 1)
