"""Metrics: functions of the truth and the predictions, (N, K) each, by the names that the configuration uses.

K is as in `Targets.classes`. What targets a metric is for, and which way is better, it says where it is registered.
"""

from collections.abc import Callable, Iterable

import numpy as np

import comp.vision.metrics.of_lists
import comp.vision.metrics.of_numbers  # noqa: F401  (they register what they hold)
from comp.errors import CompError
from comp.registry import find, kinds_of, names, needs_order
from comp.tables import Targets
from comp.vision.kinds import WORDS
from comp.vision.metrics.of_classes import log_loss as log_loss
from comp.vision.quoted import quoted

Metric = Callable[[np.ndarray, np.ndarray, Targets], float]


def score(name: str, y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """The metric `name`; NaN where the rows do not allow it.

    Raises:
        CompError: no such metric, or it is not defined for such targets.
    """
    refuse_metrics([name], targets)
    return float(find("metric", name)(y, p, targets))


def refuse_metrics(metrics: Iterable[str], targets: Targets) -> None:
    """Raises CompError where one of `metrics` is for other targets, or needs an order of the classes that they lack."""
    for name in metrics:
        if targets.kind not in kinds_of(name, targets.kind):
            others = [other for other in names("metric") if targets.kind in kinds_of(other)]
            raise CompError(
                f"the metric {name} is not for {WORDS[targets.kind]}, and the targets are {targets.kind}: set metric "
                f"to one of {', '.join(others)}, or data.kind, if they are read wrongly"
            )
        if targets.kind == "multiclass" and targets.positions is None and needs_order(name):
            raise CompError(
                f"the metric {name} needs the order of the classes, which words do not tell: add the line "
                f"`classes: {quoted(targets.classes)}` under `data:`, the lowest first, or choose another metric"
            )
