"""Metrics of lists: of the labels of a row, or of its likeliest classes, the best first."""

from collections.abc import Callable

import numpy as np
from sklearn import metrics as sk

from comp.registry import register
from comp.tables import Targets

DEPTHS = (3, 5, 10)  # of map@k


@register("metric", "samples_f1", kinds=("multilabel",))
def samples_f1(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Mean over rows of the F1 of their labels; 1 where a row has none and none is given."""
    return float(f_of_rows(y, p, beta=1).mean())


@register("metric", "samples_f2", kinds=("multilabel",))
def samples_f2(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """As `samples_f1`, but recall counts four times as much as precision."""
    return float(f_of_rows(y, p, beta=2).mean())


@register("metric", "micro_f1", kinds=("multilabel",))
def micro_f1(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """F1 of all cells, rows × labels, together."""
    return float(sk.f1_score(y >= 0.5, p >= 0.5, average="micro", zero_division=0.0))


@register("metric", "average_precision", kinds=("binary", "multilabel"), needs_probabilities=True)
def average_precision(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Area under the curve of precision and recall, mean over the labels that occur."""
    there = [k for k in range(y.shape[1]) if y[:, k].any()]
    return float(np.mean([sk.average_precision_score(y[:, k], p[:, k]) for k in there])) if there else float("nan")


def _map_at(depth: int) -> Callable[[np.ndarray, np.ndarray, Targets], float]:
    def map_at(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
        return float(reciprocal_places(y, p, depth).mean())

    map_at.__doc__ = f"Mean of 1 / place of the true class among the {depth} likeliest; 0 where it is not among them."
    return map_at


MAP = tuple(register("metric", f"map@{k}", kinds=("multiclass",), depth=k)(_map_at(k)) for k in DEPTHS)


def reciprocal_places(y: np.ndarray, p: np.ndarray, depth: int) -> np.ndarray:
    """(N,) 1 / place of each row's true class; 0 beyond `depth`."""
    truth = p[np.arange(len(y)), y.argmax(axis=1)][:, None]
    place = (p > truth).sum(axis=1) + ((p == truth).sum(axis=1) - 1) / 2  # of ties, the middle
    return np.where(place < depth, 1 / (place + 1), 0.0)


def listed_places(y: np.ndarray, listed: np.ndarray, depth: int) -> np.ndarray:
    """(N,) as `reciprocal_places`, of lists: `listed` (N, K) is 1 / place of a class in the row's list, else 0."""
    return (y * np.where(listed > 1 / (depth + 1), listed, 0.0)).sum(axis=1)


def f_of_rows(y: np.ndarray, p: np.ndarray, beta: float) -> np.ndarray:
    """(N,) the F score of each row's labels; 1 where it has none and none is given."""
    truth, given = y >= 0.5, p >= 0.5
    right, either = (truth & given).sum(axis=1), beta**2 * truth.sum(axis=1) + given.sum(axis=1)
    return np.where(either > 0, (1 + beta**2) * right / np.maximum(either, 1e-12), 1.0)
