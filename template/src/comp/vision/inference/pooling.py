"""Rows of several images: one prediction of all that the model says of them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from comp.vision.pixels import Several


def whole_rows(rows: np.ndarray, images: Several, most: int) -> list[list[int]]:
    """`rows` in consecutive parts that have at most so many images together, but a row at least."""
    parts: list[list[int]] = []
    room = 0
    for row in rows.tolist():
        count = images.shown(row)
        if count > room or not parts:
            parts.append([])
            room = most
        parts[-1].append(row)
        room -= count
    return parts


def in_parts(model: nn.Module, images: Tensor, metadata: Sequence[Tensor], most: int) -> Tensor:
    """The outputs of `model` for images (B, 3, S, S), at most so many at a time: a row may have any number of them."""
    if len(images) <= most:
        return model(images, *metadata).float()
    given = zip(*(each.split(most) for each in (images, *metadata)), strict=True)
    return torch.cat([model(*part).float() for part in given])


def pooled(outputs: list[Tensor], counts: Tensor, finish: Callable[[list[Tensor]], Tensor], average: str) -> Tensor:
    """What `finish` makes of the outputs (B, …) for each view, of rows (R, …) that have `counts` (R,) images each.

    `average`: with logits, those of a row's images are averaged before `finish`; with probabilities, what it gives.
    """
    if average == "logits":
        return finish([means(each, counts) for each in outputs])
    return means(finish(outputs), counts)


def means(values: Tensor, counts: Tensor) -> Tensor:
    """(B, C) of images → (R, C), the mean of each row's."""
    return torch.stack([own.mean(dim=0) for own in values.split(counts.tolist())])
