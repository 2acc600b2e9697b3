"""Where in an image a network sees what speaks for one answer rather than another, by the slope of its outputs.

Grad-CAM (Selvaraju et al., arXiv 1610.02391) place by place (HiResCAM, Draelos and Carin, arXiv 2011.08891): how far a
place of the last feature map differs from the image's mean place, times the slope there. Without the mean, which is
large in the tokens of a ViT, planted squares were missed. timm's networks, and whatever else has a `feature_info`,
name their maps; tokens of patches are put back on their grid.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from comp.vision.model import Classifier

FEWEST = 5  # places along a side: a coarser map, such as the 3 × 3 of 96 px at a stride of 32, tells little


def heat_of(model: Classifier, images: Tensor, metadata: Tensor | None, weights: Tensor) -> Tensor | None:
    """(B, h, w) from 0 to 1: where images (B, 3, S, S) hold what raises their outputs (B, outputs) times `weights`.

    0 everywhere in an image where nothing raises them; None where the backbone names no map with a grid.
    """
    channels = feature_maps(model.backbone)
    coarse = None
    model.train().eval()  # some backbones keep what they derive from their weights until they are in training again
    with torch.enable_grad(), _recorded(model.backbone, channels) as maps:
        raised = (model(images, metadata).float() * weights).sum()
        for name, features in reversed(maps.items()):
            (slope,) = torch.autograd.grad(raised, features, retain_graph=True, allow_unused=True)
            if slope is None:
                continue
            prefix = int(getattr(model.backbone, "num_prefix_tokens", 0))
            heat = _heat(features.detach().float(), slope.float(), channels[name], prefix)
            if heat is None or not heat.any():  # such as the last patches of a ViT that pools its class token
                continue
            if min(heat.shape[1:]) >= FEWEST:
                return heat
            coarse = heat if coarse is None else coarse
    return coarse


def feature_maps(backbone: nn.Module) -> dict[str, int]:
    """The modules of a backbone that give feature maps, the finest first, and how many channels each has."""
    about: Any = getattr(backbone, "feature_info", None) or []
    named = {str(each["module"]): int(each["num_chs"]) for each in getattr(about, "info", about)}
    modules = dict(backbone.named_modules())
    return {name: channels for name, channels in named.items() if name in modules}


@contextmanager
def _recorded(backbone: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """What the modules of these names give within the block, in the order in which they do."""
    modules, given = dict(backbone.named_modules()), dict[str, Tensor]()

    def noting(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple | list) else output
            if isinstance(first, Tensor) and first.requires_grad:
                given[name] = first

        return hook

    hooks = [modules[name].register_forward_hook(noting(name)) for name in names]
    try:
        yield given
    finally:
        for each in hooks:
            each.remove()


def _heat(features: Tensor, slope: Tensor, channels: int, prefix: int) -> Tensor | None:
    """(B, h, w) from 0 to 1 of one feature map in any form; None where it has no grid."""
    values, slopes = _on_grid(features, channels, prefix), _on_grid(slope, channels, prefix)
    if values is None or slopes is None:
        return None
    heat = ((values - values.mean(dim=(2, 3), keepdim=True)) * slopes).sum(dim=1).relu()
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(heat.dtype).tiny)


def _on_grid(tensor: Tensor, channels: int, prefix: int) -> Tensor | None:
    """(B, C, h, w) of a map with its channels first or last, or of the tokens of a square image."""
    if tensor.ndim == 4:
        if tensor.shape[1] == channels:
            return tensor
        return tensor.permute(0, 3, 1, 2) if tensor.shape[3] == channels else None
    if tensor.ndim != 3 or tensor.shape[2] != channels:
        return None
    for skipped in (prefix, 0, 1):
        side = math.isqrt(max(tensor.shape[1] - skipped, 0))
        if side > 1 and side**2 == tensor.shape[1] - skipped:
            return tensor[:, skipped:].transpose(1, 2).unflatten(2, (side, side))
    return None
