"""Losses: each built from the settings, then called with logits (B, K) and soft targets (B, K).

A class weight is a weight of rows (or, with a sigmoid per column, of cells), by the targets before smoothing: smoothing
moves some mass of every row to every class, and a weight on that mass would move the optimum of rows that are right. At
5 % positives, weighted ×19, a smoothing of 0.1 would put the optimum of a sure negative at 0.50. Mixed targets weigh as
the mixture does. All losses are sums over rows by the number of rows, not by the sum of weights, so that a batch cut
into micro-batches or processes has the gradient of the whole; balanced weights have a mean of 1 over the rows anyway.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from comp.registry import find, register
from comp.tables import Kind, Targets
from comp.vision.kinds import refuse_settings
from comp.vision.schema import Train

Loss = Callable[[Tensor, Tensor], Tensor]
AUTO: dict[Kind, str] = {
    "multiclass": "cross_entropy",
    "binary": "bce",
    "multilabel": "bce",
    "regression": "mse",
}
SURE = 1e-6  # probability of being wrong below which a power under 1 has no finite slope


def build_loss(settings: Train, targets: Targets, class_weights: Tensor | None) -> Loss:
    """The loss of the configuration; see AUTO. It compares outputs with what `Link.encode` makes of the targets."""
    name = AUTO[targets.kind] if settings.loss == "auto" else settings.loss
    if name == "focal":
        name = "softmax_focal" if targets.kind == "multiclass" else "sigmoid_focal"
    if targets.kind == "regression" and settings.label_smoothing:
        settings = settings.model_copy(update={"label_smoothing": 0.0})  # numbers have none
    return find("loss", name)(settings, class_weights)


def check_loss(settings: Train, targets: Targets) -> None:
    """Raises: CompError: train.loss, or what goes with it, does not know such targets, or there is no such loss."""
    refuse_settings(settings, targets)
    build_loss(settings, targets, None)


def balanced_weights(y: Tensor, targets: Targets) -> Tensor:
    """(K,) weights from targets (N, K): N / (K · rows of the class), or for labels negatives / positives."""
    positives = y.sum(dim=0).clamp(min=1)
    if targets.kind == "multiclass":
        return len(y) / (y.shape[1] * positives)
    return (len(y) - positives).clamp(min=1) / positives


def adjusted(settings: Train, y: Tensor, targets: Targets) -> Loss:
    """The loss of logits that have train.logit_adjustment · log of the prior of the targets `y` (N, K) added.

    Its optimum without them makes up for the prior (arXiv 2007.07314). Where a sigmoid stands per column, log odds.
    Smoothing moves mass to the classes by that prior too, not evenly: a class of 0.4 % that got 1.4 % of every row
    would have a higher logit than one of 40 % has where it is sure, and be predicted for all of its rows.
    """
    multiclass, smoothing = targets.kind == "multiclass", settings.label_smoothing
    loss = build_loss(settings.model_copy(update={"label_smoothing": 0.0}), targets, None)
    share = y.mean(dim=0).clamp(0.5 / len(y), 1 - 0.5 / len(y))
    shift = settings.logit_adjustment * (share.log() if multiclass else share.logit())
    unsure = shift.softmax(dim=0) if multiclass else shift.sigmoid()
    return lambda logits, truth: loss(logits + shift, truth * (1 - smoothing) + smoothing * unsure)


@register("loss", "cross_entropy")
def cross_entropy(settings: Train, class_weights: Tensor | None) -> Loss:
    """Softmax cross-entropy; label smoothing as in arXiv 1512.00567."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        each = F.cross_entropy(logits, targets, label_smoothing=settings.label_smoothing, reduction="none")
        return (each * row_weights(targets, class_weights)).mean()

    return loss


@register("loss", "bce")
def bce(settings: Train, class_weights: Tensor | None) -> Loss:
    """A sigmoid per column; smoothing pulls 0 and 1 towards one half."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        smooth = targets * (1 - settings.label_smoothing) + settings.label_smoothing / 2
        each = F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
        return (each * cell_weights(targets, class_weights)).mean()

    return loss


@register("loss", "softmax_focal")
def softmax_focal(settings: Train, class_weights: Tensor | None) -> Loss:
    """Focal loss (arXiv 1708.02002) over a softmax: rows that are right already count less."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        log_p = F.log_softmax(logits, dim=1)
        smooth = targets * (1 - settings.label_smoothing) + settings.label_smoothing / logits.shape[1]
        wrong = (1 - log_p.exp()).clamp(min=SURE)
        each = (-smooth * wrong**settings.focal_gamma * log_p).sum(dim=1)
        return (each * row_weights(targets, class_weights)).mean()

    return loss


@register("loss", "sigmoid_focal")
def sigmoid_focal(settings: Train, class_weights: Tensor | None) -> Loss:
    """Focal loss (arXiv 1708.02002) with a sigmoid per column."""

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        smooth = targets * (1 - settings.label_smoothing) + settings.label_smoothing / 2
        p = logits.sigmoid()
        wrong = (p + smooth - 2 * p * smooth).clamp(min=SURE)
        each = wrong**settings.focal_gamma * F.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
        return (each * cell_weights(targets, class_weights)).mean()

    return loss


@register("loss", "mse")
def mse(settings: Train, class_weights: Tensor | None) -> Loss:
    """Squared error, of numbers in standard deviations."""
    return F.mse_loss


@register("loss", "huber")
def huber(settings: Train, class_weights: Tensor | None) -> Loss:
    """Squared error up to train.huber_delta, and linear beyond: outliers pull less."""
    return lambda outputs, numbers: F.huber_loss(outputs, numbers, delta=settings.huber_delta)


@register("loss", "corn")
def corn(settings: Train, class_weights: Tensor | None) -> Loss:
    """CORN (arXiv 2111.08851): each output tells whether a row that is above the grade before is above this one."""

    def loss(outputs: Tensor, above: Tensor) -> Tensor:
        before = torch.cat([torch.ones_like(above[:, :1]), above[:, :-1]], dim=1)
        yes, no = F.logsigmoid(outputs), F.logsigmoid(-outputs)
        return -(above * yes + (before - above) * no).sum(dim=1).mean()

    return loss


def row_weights(targets: Tensor, class_weights: Tensor | None) -> Tensor | float:
    """(B,) the weights of rows whose classes exclude each other."""
    return 1.0 if class_weights is None else targets @ class_weights


def cell_weights(targets: Tensor, class_weights: Tensor | None) -> Tensor | float:
    """(B, K) the weights of positives, and 1 for negatives; in between, what lies between."""
    return 1.0 if class_weights is None else 1 + targets * (class_weights - 1)
