"""Rows of several images: one prediction of all that the model says of them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from comp.vision.model.pooling import means, pools
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


def outputs_of(model: nn.Module, images: Tensor, metadata: Tensor | None, counts: Tensor | None, most: int) -> Tensor:
    """The outputs (B, …) float32 of `model` for images (B, 3, S, S); (R, …) where its head pools those of a row.

    At most so many images are given at a time, as a row may have any number of them, unless the head needs them all.
    """
    if counts is not None and pools(model):
        return model(images, metadata, counts).float()
    given = [images] if metadata is None else [images, metadata]
    if len(images) <= most:
        return model(*given).float()
    parts = zip(*(each.split(most) for each in given), strict=True)
    return torch.cat([model(*part).float() for part in parts])


def pooled(
    outputs: list[Tensor], counts: Tensor | None, finish: Callable[[list[Tensor]], Tensor], average: str
) -> Tensor:
    """What `finish` makes of the outputs for each view, of rows (R,) that have `counts` images each.

    `average`: with logits, those of a row's images are averaged before `finish`; with probabilities, what it gives.
    """
    if counts is None or len(outputs[0]) == len(counts):  # one image each, or the head has pooled them
        return finish(outputs)
    if average == "logits":
        return finish([means(each, counts) for each in outputs])
    return means(finish(outputs), counts)
