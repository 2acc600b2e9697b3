"""Test-time augmentation (TTA): views of a batch, turned, mirrored or cropped on the device from one decode.

A view is an entry of VIEWS. The configuration knows their names from here, so torch is imported when one is applied.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

EPOCH_VIEWS = ["identity"]  # what the epochs of a training are scored on: it costs least


def epochs_measured_on(views: Sequence[str]) -> str:
    """To be said beside the score of an epoch, where the run predicts with other `views`."""
    return "" if not views or list(views) == EPOCH_VIEWS else f" (view {EPOCH_VIEWS[0]})"


def apply_view(images: "Tensor", view: str) -> "Tensor":
    """One view, named as in `predict.views`, of a batch (B, 3, S, S) uint8: the same shape and type."""
    for name, function in VIEWS.items():
        if re.fullmatch(name, view):
            return function(images, view)
    raise ValueError(f"{view!r} is not a view")


def check_view(view: str) -> str:
    """`view`, if there is such a view.

    Raises:
        ValueError: there is none.
    """
    if not any(re.fullmatch(name, view) for name in VIEWS):
        raise ValueError(
            f"predict.views: {view!r} is not a view: identity, hflip, vflip, rot90, rot180, rot270, rotate+5 "
            "(degrees), center_85, top_left_90, top_right_90, bottom_left_90 or bottom_right_90 (% of each side)"
        )
    return view


def _rotated(images: "Tensor", view: str) -> "Tensor":
    """Counterclockwise about the center; what comes from outside is mirrored."""
    import torch
    from torch.nn import functional as F

    degrees = int(view.removeprefix("rotate"))
    size_px = images.shape[3]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    steps = torch.linspace(-1, 1, size_px, device=images.device)  # −1 and 1: the middles of the outermost pixels
    x, y = steps, steps[:, None]
    grid = torch.stack([cos * x - sin * y, sin * x + cos * y], dim=2).expand(len(images), -1, -1, -1)
    turned = F.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=True)
    return turned.round().byte()


def _cropped(images: "Tensor", view: str) -> "Tensor":
    """A crop of so many percent of each side, enlarged to the full size."""
    from torch.nn import functional as F

    *where, percent = view.split("_")  # top_left_90, center_85
    size_px = images.shape[3]
    part_px = max(1, round(size_px * int(percent) / 100))
    rest_px = size_px - part_px
    top = 0 if "top" in where else rest_px if "bottom" in where else rest_px // 2
    left = 0 if "left" in where else rest_px if "right" in where else rest_px // 2
    part = images[:, :, top : top + part_px, left : left + part_px].float()
    return F.interpolate(part, size=(size_px, size_px), mode="bilinear", align_corners=False).round().byte()


# A pattern of names → what makes of images (B, 3, S, S) the view that is called so.
VIEWS: dict[str, Callable[["Tensor", str], "Tensor"]] = {
    r"identity": lambda images, _: images,
    r"hflip": lambda images, _: images.flip(3),
    r"vflip": lambda images, _: images.flip(2),
    r"rot(90|180|270)": lambda images, view: images.rot90(int(view.removeprefix("rot")) // 90, dims=(2, 3)),
    r"rotate[+-]\d+": _rotated,
    r"(center|top_left|top_right|bottom_left|bottom_right)_[1-9]\d": _cropped,
}
