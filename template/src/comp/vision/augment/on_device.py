"""Does to a whole batch what was drawn for its images, with torch on any device."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from comp.vision.augment.affine import Affine
from comp.vision.augment.colors import FIXED, GRAY, LEVELS, MEASURED, fixed_table, measured_tables
from comp.vision.augment.draw import NOISE, Draw
from comp.vision.augment.on_cpu import shrunk

LANES = 32  # threads of a GPU that run in step
TABLE = "table"  # any operation with a fixed one


@dataclass(frozen=True)
class Draws:
    """The draws of a batch as tensors, and the sizes of its images."""

    size_px: int
    matrices: Tensor  # (B, 2, 3) float32
    sides: Tensor  # (B, 2) int64: width and height of each image in pixels
    steps: tuple[tuple[str, int], ...]  # color operations in order, each with the number of images it happens to
    images: Tensor  # (T,) int64: which these are, one step's after the other's
    amounts: Tensor  # (T,) float32
    tables: Tensor  # (T, 256) uint8, where the step is a table
    erased: Tensor  # (E, 6) int64: image, top, left, height, width, where its noise starts

    def pin_memory(self) -> "Draws":
        return self._with_each(lambda tensor: tensor.pin_memory())

    def to(self, device: torch.device) -> "Draws":
        return self._with_each(lambda tensor: tensor.to(device, non_blocking=True))

    def _with_each(self, change: Callable[[Tensor], Tensor]) -> "Draws":
        tensors = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)  # type: ignore[arg-type]


def packed(images: Sequence[np.ndarray], draws: Sequence[Draw], size_px: int) -> tuple[np.ndarray, Draws]:
    """A canvas (B, Hmax, Wmax, 3) uint8 with each image (H, W, 3) uint8 in its top left corner, and the draws.

    Of each image it holds what the view shows, shrunk where the view shrinks it much: a panorama makes no huge canvas.
    """
    seen = [_seen(*shrunk(image, drawn.matrix), size_px) for image, drawn in zip(images, draws, strict=True)]
    sides = np.array([(image.shape[1], image.shape[0]) for image, _ in seen])
    width, height = sides.max(axis=0)
    canvas = np.zeros((len(seen), height, width, 3), np.uint8)
    for place, (image, _) in zip(canvas, seen, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    steps = _steps(draws)
    entries = [entry for _, entries in steps for entry in entries]
    tables = [fixed_table(name, amount) if name in FIXED else LEVELS for _, name, amount in entries]
    erased = [(number, *drawn.erased) for number, drawn in enumerate(draws) if drawn.erased]
    return canvas, Draws(
        size_px=size_px,
        matrices=torch.tensor([matrix for _, matrix in seen], dtype=torch.float32).view(-1, 2, 3),
        sides=torch.from_numpy(sides),
        steps=tuple((step, len(entries)) for step, entries in steps),
        images=torch.tensor([number for number, _, _ in entries], dtype=torch.int64),
        amounts=torch.tensor([amount for _, _, amount in entries], dtype=torch.float32),
        tables=torch.from_numpy(np.array(tables, dtype=np.uint8).reshape(-1, 256)),
        erased=torch.tensor(erased, dtype=torch.int64).view(-1, 6),
    )


def applied(canvas: Tensor, draws: Draws) -> Tensor:
    """The views (B, 3, S, S) uint8 that were drawn of the images on a canvas (B, 3, Hmax, Wmax) uint8."""
    views = _warped(canvas, draws)
    start = 0
    for step, how_many in draws.steps:
        part = slice(start, start + how_many)
        chosen = draws.images[part]
        views[chosen] = _recolored(views[chosen], step, draws.amounts[part], draws.tables[part])
        start += how_many
    return _erased(views, draws.erased) if len(draws.erased) else views


def _steps(draws: Sequence[Draw]) -> list[tuple[str, list[tuple[int, str, float]]]]:
    """All images' first color operations by kind, then their second ones, …: image, operation and amount of each."""
    steps: dict[tuple[int, str], list[tuple[int, str, float]]] = {}
    for number, drawn in enumerate(draws):
        for turn, (name, amount) in enumerate(drawn.colors):
            steps.setdefault((turn, TABLE if name in FIXED else name), []).append((number, name, amount))
    return [(step, entries) for (_, step), entries in sorted(steps.items())]


def _seen(image: np.ndarray, matrix: Affine, size_px: int) -> tuple[np.ndarray, Affine]:
    """The part of the image that the view shows, and the matrix on it; mirrored at a border counts."""
    a, b, c, d, e, f = matrix
    (left, right), (top, bottom) = (
        _span(step_x, step_y, first, size_px - 1, side)
        for step_x, step_y, first, side in ((a, b, c, image.shape[1]), (d, e, f, image.shape[0]))
    )
    return image[top:bottom, left:right], (a, b, c - left, d, e, f - top)


def _span(step_x: float, step_y: float, first: float, steps: int, side: int) -> tuple[int, int]:
    low = first + min(step_x, 0) * steps + min(step_y, 0) * steps
    high = first + max(step_x, 0) * steps + max(step_y, 0) * steps
    mirrored_low, mirrored_high = 2 * (side - 1) - high, -low
    start, stop = math.floor(min(low, mirrored_low)), math.ceil(max(high, mirrored_high)) + 1
    return max(0, start), min(side, stop)


def _warped(canvas: Tensor, draws: Draws) -> Tensor:
    """Bilinear, each image mirrored at its own borders: reflecting the place is the same as reflecting the pixels."""
    steps = torch.arange(draws.size_px, device=canvas.device, dtype=torch.float32)
    last = (draws.sides - 1).float()
    grid = []
    for axis, canvas_px in enumerate((canvas.shape[3], canvas.shape[2])):
        step_x, step_y, first = draws.matrices[:, axis, :, None, None].unbind(1)  # each (B, 1, 1)
        place = step_x * steps + step_y * steps[:, None] + first  # (B, S, S) in pixels
        end = last[:, axis, None, None]
        place = (end - (place.remainder((2 * end).clamp(min=1)) - end).abs()).clamp(min=0)
        grid.append(place * (2 / max(canvas_px - 1, 1)) - 1)
    views = F.grid_sample(canvas.float(), torch.stack(grid, dim=3), padding_mode="border", align_corners=True)
    return views.round().byte()


def _recolored(images: Tensor, step: str, amounts: Tensor, tables: Tensor) -> Tensor:
    """Images (T, 3, S, S) uint8 after one step of their colors."""
    if step in {"Color", "Sharpness"}:
        plain = _gray(images) if step == "Color" else _blurred(images)
        return (plain + amounts[:, None, None, None] * (images - plain)).round().clamp(0, 255).byte()
    values = images.flatten(2).int()
    if step in MEASURED:
        levels = torch.arange(256, device=images.device)
        counts = _histograms(values)
        tables = measured_tables(step, amounts[:, None, None], counts, levels).round().clamp(0, 255).byte()
    else:
        tables = tables[:, None]
    tables = tables.expand(-1, 3, -1).flatten()
    return tables.index_select(0, _places(values, 256).flatten()).view_as(images)


def _histograms(values: Tensor) -> Tensor:
    """(T, 3, 256) how often each value is in each channel of `values` (T, 3, P) int32.

    Neighboring pixels are alike, and threads of a GPU that add to one number wait for each other: so each of LANES
    neighbors has counts of its own, which are added up.
    """
    lane = torch.arange(values.shape[2], dtype=torch.int32, device=values.device) % LANES * 256
    counts = torch.zeros(values.shape[0] * 3 * LANES * 256, dtype=torch.int32, device=values.device)
    place = _places(values + lane, LANES * 256).flatten()
    counts.index_add_(0, place, counts.new_ones(()).expand(len(place)))
    return counts.view(-1, 3, LANES, 256).sum(dim=2)


def _places(values: Tensor, width: int) -> Tensor:
    """Of `values` (T, 3, P) int32 in a table (T, 3, `width`) that is laid out flat."""
    channels = torch.arange(values.shape[0] * 3, dtype=torch.int32, device=values.device)
    return values + (channels * width).view(-1, 3, 1)


def _gray(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return (red * GRAY[0] + green * GRAY[1] + blue * GRAY[2]).round()


def _blurred(images: Tensor) -> Tensor:
    kernel = torch.ones(3, 1, 3, 3, device=images.device) / 13
    kernel[:, :, 1, 1] = 5 / 13
    return F.conv2d(F.pad(images.float(), (1, 1, 1, 1), mode="replicate"), kernel, groups=3)


def _erased(views: Tensor, erased: Tensor) -> Tensor:
    size_px = views.shape[3]
    number, top, left, height, width, start = erased[:, :, None, None].unbind(1)  # each (E, 1, 1)
    x = torch.arange(size_px, device=views.device)
    y, channel = x[:, None], torch.arange(3, device=views.device)[:, None, None]
    inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    place = start + ((y - top) * width + x - left) * 3
    noise = _noise(views.device)[(place[:, None] + channel) % len(NOISE)]  # (E, 3, S, S)
    chosen = number.flatten()
    views[chosen] = torch.where(inside[:, None], noise, views[chosen])
    return views


@cache
def _noise(device: torch.device) -> Tensor:
    return torch.from_numpy(NOISE).to(device)
