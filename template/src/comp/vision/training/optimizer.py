"""Parameter groups, the optimizer, and the learning rate of every update."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from timm.optim import create_optimizer_v2, list_optimizers, param_groups_layer_decay, param_groups_weight_decay
from torch import nn

from comp.distributed.fsdp import fused_step
from comp.errors import CompError
from comp.loop.schedule import scheduled
from comp.registry import find, names
from comp.vision.model import Classifier
from comp.vision.schema import Train


class _WithHead:
    """A backbone that has a classifier for timm to count layers by: those at its top are as far from it as in timm's
    own models, whose rates `train.layer_decay` is known for.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self._backbone = backbone

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        classifier = (getattr(self._backbone, "pretrained_cfg", None) or {}).get("classifier") or "head"
        name = classifier if isinstance(classifier, str) else classifier[0]
        yield from self._backbone.named_parameters()
        yield f"{name}.weight", nn.Parameter(torch.empty(0), requires_grad=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)


def build_optimizer(model: Classifier, settings: Train) -> torch.optim.Optimizer:
    """timm's optimizer over the groups of backbone, head and metadata; each group's `lr_scale` is its layer decay.

    Raises:
        CompError: timm knows no such optimizer, or it is not for FSDP.
    """
    groups = _groups(_WithHead(model.backbone), settings, by_layer=True)
    groups += _groups(model.head, settings, by_layer=hasattr(model.head, "group_matcher"))
    if model.metadata is not None:
        groups += _groups(model.metadata, settings, by_layer=False)
    groups = [group for group in groups if group["params"]]
    stepped = {id(weight) for group in groups for weight in group["params"]}
    forgotten = [
        name for name, weight in model.named_parameters() if weight.requires_grad and id(weight) not in stepped
    ]
    assert not forgotten, f"not in any parameter group: {forgotten}"
    fused = fused_step(model, settings.optimizer)  # refuses what is not for FSDP
    if settings.optimizer in names("optimizer"):
        return find("optimizer", settings.optimizer)(groups, settings)
    common: dict[str, Any] = {"opt": settings.optimizer, "lr": settings.lr, "weight_decay": settings.weight_decay}
    try:
        try:
            return create_optimizer_v2(groups, **common, fused=fused)
        except (TypeError, RuntimeError):  # one that has no fused step, here or at all
            return create_optimizer_v2(groups, **common)
    except (AssertionError, KeyError, ValueError) as error:
        raise CompError(f"train.optimizer={settings.optimizer}: {error}") from None


def _groups(part: Any, settings: Train, by_layer: bool) -> list[dict[str, Any]]:
    """timm's groups of a part of the network, `by_layer` where there is a layer decay. What it says is not decayed."""
    kept: set[str] = getattr(part, "no_weight_decay", set)()
    common: dict[str, Any] = {"weight_decay": settings.weight_decay, "no_weight_decay_list": kept}
    if by_layer and settings.layer_decay is not None:
        return list(param_groups_layer_decay(part, **common, layer_decay=settings.layer_decay))
    return list(param_groups_weight_decay(part, **common))


def check_optimizer(name: str) -> None:
    """Raises CompError: neither timm nor custom.py has such an optimizer; the nearest is named."""
    known = sorted({*list_optimizers(), *names("optimizer")})
    if name.lower() not in known and name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "timm.optim.list_optimizers() has them all."
        raise CompError(f"train.optimizer={name}: no such optimizer: {hint} Your own go into src/comp/custom.py")


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def learning_rate(update: int, updates_per_epoch: int, settings: Train, val_losses: Sequence[float] = ()) -> float:
    """The rate of optimizer update `update` (from 0), after epochs that ended with `val_losses`.

    Frozen epochs with a rate of their own come first; then what `schedule` says of the epochs after them.
    """
    first = settings.freeze_epochs if settings.freeze_lr is not None else 0
    if settings.freeze_lr is not None and update < first * updates_per_epoch:
        return settings.freeze_lr
    left = settings.epochs - first
    return scheduled(update - first * updates_per_epoch, updates_per_epoch, left, settings, val_losses[first:])
