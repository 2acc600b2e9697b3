"""Test-time augmentation (TTA): views of a batch, turned, mirrored or cropped on the device from one decode."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

EPOCH_VIEWS = ["identity"]  # what the epochs of a training are scored on: it costs least


def epochs_measured_on(views: Sequence[str]) -> str:
    """To be said beside the score of an epoch, where the run predicts with other `views`."""
    return "" if not views or list(views) == EPOCH_VIEWS else f" (view {EPOCH_VIEWS[0]})"


def apply_view(images: Tensor, view: str) -> Tensor:
    """One view, named as in `predict.views`, of a batch (B, 3, S, S) uint8: the same shape and type."""
    if view == "identity":
        return images
    if view in {"hflip", "vflip"}:
        return images.flip(3 if view == "hflip" else 2)
    if view.startswith("rotate"):
        return _rotated(images, int(view.removeprefix("rotate")))
    if view.startswith("rot"):
        return torch.rot90(images, int(view.removeprefix("rot")) // 90, dims=(2, 3))
    return _cropped(images, view)


def _rotated(images: Tensor, degrees: int) -> Tensor:
    """Against the clock about the middle; what comes from outside is mirrored."""
    size_px = images.shape[3]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    steps = torch.linspace(-1, 1, size_px, device=images.device)  # −1 and 1: the middles of the outermost pixels
    x, y = steps, steps[:, None]
    grid = torch.stack([cos * x - sin * y, sin * x + cos * y], dim=2).expand(len(images), -1, -1, -1)
    turned = F.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=True)
    return turned.round().byte()


def _cropped(images: Tensor, view: str) -> Tensor:
    """A crop of so many percent of each side, enlarged to the full size."""
    *where, percent = view.split("_")  # top_left_90, center_85
    size_px = images.shape[3]
    part_px = max(1, round(size_px * int(percent) / 100))
    rest_px = size_px - part_px
    top = 0 if "top" in where else rest_px if "bottom" in where else rest_px // 2
    left = 0 if "left" in where else rest_px if "right" in where else rest_px // 2
    part = images[:, :, top : top + part_px, left : left + part_px].float()
    return F.interpolate(part, size=(size_px, size_px), mode="bilinear", align_corners=False).round().byte()
