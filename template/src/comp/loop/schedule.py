"""The learning rate as a function of the update: the same on any number of processes, and after any restart."""

import math
from collections.abc import Sequence

from comp.config.common import Training


def scheduled(
    update: int, updates_per_epoch: int, epochs: int, settings: Training, val_losses: Sequence[float] = ()
) -> float:
    """The rate of update `update` (from 0) of `epochs`, after epochs that ended with `val_losses`.

    Linear warm-up, then what `train.schedule` says.
    """
    warmup = settings.warmup_epochs * updates_per_epoch
    if update < warmup:
        return settings.lr * (update + 1) / (warmup + 1)
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "plateau":
        reduced = settings.lr * settings.plateau.factor ** plateaus(val_losses, settings.plateau.patience)
        return max(settings.min_lr, reduced)
    total = (settings.schedule_epochs or epochs) * updates_per_epoch
    progress = min(1.0, (update - warmup) / max(1.0, total - warmup))
    return settings.min_lr + (settings.lr - settings.min_lr) * (1 + math.cos(math.pi * progress)) / 2


def plateaus(losses: Sequence[float], patience: int) -> int:
    """How often more than `patience` epochs in a row brought no loss that is lower by at least 0.01 %."""
    count, waited, best = 0, 0, math.inf
    for loss in losses:
        if loss < best * (1 - 1e-4):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            count, waited = count + 1, 0
    return count
