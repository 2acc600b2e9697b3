"""Losses: each built from the settings, then called with logits (B, K) and soft targets (B, K)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from comp.errors import CompError
from comp.registry import find, register
from comp.tables import Targets
from comp.vision.schema import Train

Loss = Callable[[Tensor, Tensor], Tensor]
SURE = 1e-6  # probability of being wrong below which a power under 1 has no finite slope


def build_loss(settings: Train, targets: Targets, class_weights: Tensor | None) -> Loss:
    """The loss of the configuration; `auto` is cross-entropy for one class per row, else binary cross-entropy."""
    softmax = targets.kind == "multiclass"
    name = settings.loss
    if name == "auto":
        name = "cross_entropy" if softmax else "bce"
    elif name == "focal":
        name = "softmax_focal" if softmax else "sigmoid_focal"
    elif name == "cross_entropy" and not softmax:
        raise CompError(
            f"train.loss=cross_entropy is for one class per row, these targets are {targets.kind}: set it to bce"
        )
    return find("loss", name)(settings, class_weights)


def balanced_weights(y: Tensor, targets: Targets) -> Tensor:
    """(K,) weights from targets (N, K): N / (K · rows of the class), or for labels negatives / positives."""
    positives = y.sum(dim=0).clamp(min=1)
    if targets.kind == "multiclass":
        return len(y) / (y.shape[1] * positives)
    return (len(y) - positives).clamp(min=1) / positives


@register("loss", "cross_entropy")
def cross_entropy(settings: Train, class_weights: Tensor | None) -> Loss:
    """Softmax cross-entropy; label smoothing as in arXiv 1512.00567."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, weight=class_weights, label_smoothing=settings.label_smoothing)

    return loss


@register("loss", "bce")
def bce(settings: Train, class_weights: Tensor | None) -> Loss:
    """A sigmoid per column; smoothing pulls 0 and 1 towards one half."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        smooth = targets * (1 - settings.label_smoothing) + settings.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, smooth, pos_weight=class_weights)

    return loss


@register("loss", "softmax_focal")
def softmax_focal(settings: Train, class_weights: Tensor | None) -> Loss:
    """Focal loss (arXiv 1708.02002) over a softmax: rows that are right already count less."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        log_p = F.log_softmax(logits, dim=1)
        smooth = targets * (1 - settings.label_smoothing) + settings.label_smoothing / logits.shape[1]
        wrong = (1 - log_p.exp()).clamp(min=SURE)
        each = -smooth * wrong**settings.focal_gamma * log_p
        if class_weights is not None:
            each = each * class_weights
        return each.sum(dim=1).mean()

    return loss


@register("loss", "sigmoid_focal")
def sigmoid_focal(settings: Train, class_weights: Tensor | None) -> Loss:
    """Focal loss (arXiv 1708.02002) with a sigmoid per column."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        smooth = targets * (1 - settings.label_smoothing) + settings.label_smoothing / 2
        p = logits.sigmoid()
        wrong = (p + smooth - 2 * p * smooth).clamp(min=SURE)
        each = wrong**settings.focal_gamma * F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
        if class_weights is not None:
            each = each * torch.where(targets > 0.5, class_weights, 1.0)
        return each.mean()

    return loss
