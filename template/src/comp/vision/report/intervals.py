"""Bootstrap intervals of metrics in seconds, at 100,000 rows too.

Metrics that are means over rows, or follow from counts or ranks, are computed of many draws at once. Any other metric
is computed draw by draw; of many rows on smaller draws, whose spread is then narrowed by the root of the ratio.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from comp.runs.bootstrap import MOST, draws_of, interval
from comp.vision.metrics import score
from comp.vision.report.rows import Choices, Rows, losses

ROWS, LEAST_ROWS, DRAW_CELLS = 10_000, 2000, 200_000  # of a smaller draw
LEAST_DRAWS, ALL_CELLS = 100, 2_000_000  # of other metrics
SAME = 1e-4  # a metric of custom.py may have the name of one of ours
Fast = Callable[[np.ndarray], np.ndarray]  # of how often each row is drawn (D, N), the scores (D,)
Counted = Callable[["Counts", np.ndarray], float]  # and of the places (K,) of classes


def interval_of(name: str, rows: Rows) -> tuple[float, float]:
    """The 95 % interval of the metric `name`."""
    return interval(drawn_scores(name, rows))


def drawn_scores(name: str, rows: Rows) -> np.ndarray:
    """(D,) the metric of drawn rows; the draws are the same for each metric, and for each run of these rows."""
    fast = _fast(name, rows)
    if fast is not None and np.isclose(fast(np.ones((1, len(rows.y)), np.float32))[0], rows.score(name), SAME, SAME):
        return np.concatenate([fast(each) for each in draws_of(rows.unit)])
    return _one_by_one(name, rows)


def _fast(name: str, rows: Rows) -> Fast | None:
    values = _values(name, rows)
    if values is not None:
        return _mean_of(values.astype(np.float32))
    if name == "rmse" and rows.targets.kind == "regression":
        squares = ((rows.y - rows.p) ** 2).astype(np.float32)
        return lambda times: np.sqrt(times @ squares / times.sum(axis=1, keepdims=True)).mean(axis=1)
    if name == "roc_auc" and rows.targets.kind != "regression" and np.ptp(rows.y, axis=0).any():
        return _of_ranks(rows)
    of_ones = rows.targets.kind == "binary" and name == "macro_f1"
    if rows.choices is not None and name in OF_COUNTS:
        places = rows.targets.positions
        ranks = np.arange(len(rows.choices.names)) if places is None else places
        return _of_counts(f1_of_ones if of_ones else OF_COUNTS[name], rows.choices, ranks)
    if rows.targets.kind == "multilabel" and name in OF_LABELS:
        return _of_labels(OF_LABELS[name], rows)
    return None


def _values(name: str, rows: Rows) -> np.ndarray | None:
    """(N,) values whose mean is the metric, where it is one."""
    kind = rows.targets.kind
    if name == "log_loss" and kind != "regression":
        return losses(rows)
    if name == "mae" and kind == "regression":
        return np.asarray(np.abs(rows.y - rows.p).mean(axis=1))
    if rows.choices is not None and name in {"accuracy", "subset_accuracy"}:
        return rows.choices.truth == rows.choices.choice
    if kind == "multilabel" and name in {"accuracy", "subset_accuracy"}:
        right = (rows.p >= 0.5) == (rows.y >= 0.5)
        return np.asarray(right.mean(axis=1) if name == "accuracy" else right.all(axis=1))
    return None


def _mean_of(values: np.ndarray) -> Fast:
    return lambda times: times @ values / times.sum(axis=1)


@dataclass(frozen=True)
class Counts:
    """Of one draw: right, true and chosen rows of each class (K,), and the mean squared distance of the two."""

    right: np.ndarray
    true: np.ndarray
    chosen: np.ndarray
    distance: float


def _of_counts(metric: Counted, choices: Choices, places: np.ndarray) -> Fast:
    n, right = len(choices.names), choices.truth == choices.choice
    distance = ((places[choices.truth] - places[choices.choice]) ** 2).astype(np.float32)

    def of_draw(times: np.ndarray) -> float:
        true, chosen = (np.bincount(each, times, n) for each in (choices.truth, choices.choice))
        hits = np.bincount(choices.truth[right], times[right], n)
        return metric(Counts(hits, true, chosen, float(times @ distance / times.sum())), places)

    return lambda times: np.array([of_draw(each) for each in times])


def balanced_accuracy(counts: Counts, _: np.ndarray) -> float:
    """Classes that do not occur are left out."""
    there = counts.true > 0
    return float((counts.right[there] / counts.true[there]).mean())


def macro_f1(counts: Counts, _: np.ndarray) -> float:
    """A class that neither occurs nor is chosen is left out."""
    either = counts.true + counts.chosen
    return float((2 * counts.right[either > 0] / either[either > 0]).mean())


def f1_of_ones(counts: Counts, _: np.ndarray) -> float:
    """Of a 0/1 target."""
    either = counts.true[1] + counts.chosen[1]
    return float(2 * counts.right[1] / either) if either else 0.0


def quadratic_kappa(counts: Counts, places: np.ndarray) -> float:
    """NaN where truth and choice are one and the same class in all rows."""
    distance = (places[:, None] - places) ** 2
    by_chance = counts.true @ distance @ counts.chosen / counts.true.sum() ** 2
    return float(1 - counts.distance / by_chance) if by_chance else float("nan")


OF_COUNTS: dict[str, Counted] = {
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "quadratic_kappa": quadratic_kappa,
}


def _of_labels(mean: Callable[[np.ndarray, np.ndarray], np.ndarray], rows: Rows) -> Fast:
    """F1 of how often each label is right, and how often it is true or given."""
    truth, given = rows.y >= 0.5, rows.p >= 0.5
    right, either = (truth & given).astype(np.float32), truth.astype(np.float32) + given
    return lambda times: mean(2 * (times @ right), times @ either)


def _macro(right: np.ndarray, either: np.ndarray) -> np.ndarray:
    return np.asarray((right / np.maximum(either, 1)).mean(axis=1))


def _micro(right: np.ndarray, either: np.ndarray) -> np.ndarray:
    return np.asarray(right.sum(axis=1) / np.maximum(either.sum(axis=1), 1))


OF_LABELS = {"macro_f1": _macro, "micro_f1": _micro}


def _of_ranks(rows: Rows) -> Fast:
    """The mean ROC-AUC over classes, by what each row adds to it (DeLong's placements): a sum, where a draw is one."""
    ones = rows.y > 0.5
    both = [k for k in range(ones.shape[1]) if 0 < ones[:, k].sum() < len(ones)]
    placed = [_placements(ones[:, k], rows.p[:, k]) for k in both]
    true = ones[:, both].astype(np.float32)
    above, below = (np.stack(each, axis=1).astype(np.float32) for each in zip(*placed, strict=True))
    area = (above.sum(axis=0) / true.sum(axis=0)).astype(np.float64)

    def of_all(times: np.ndarray) -> np.ndarray:
        count, size = times @ true, times.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            each = times @ above / count + times @ below / (size - count) - area
        there = np.isfinite(each)
        return np.asarray(np.where(there, each, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))

    return of_all


def _placements(ones: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each one, the share of zeros below it, and of each zero, the share of ones above it: (N,), elsewhere 0."""
    rank, above, below = rankdata(p), np.zeros(len(p)), np.zeros(len(p))
    above[ones] = (rank[ones] - rankdata(p[ones])) / (~ones).sum()
    below[~ones] = 1 - (rank[~ones] - rankdata(p[~ones])) / ones.sum()
    return above, below


def _one_by_one(name: str, rows: Rows) -> np.ndarray:
    width, every = rows.y.shape[1], np.arange(len(rows.y))
    wanted = min(len(every), max(LEAST_ROWS, min(ROWS, DRAW_CELLS // width)))
    draws = max(LEAST_DRAWS, min(MOST, ALL_CELLS // (wanted * width)))
    found = []
    for times in (each for chunk in draws_of(rows.unit, draws, wanted) for each in chunk):
        drawn = np.repeat(every, times.astype(np.int64))
        found.append(score(name, rows.y[drawn], rows.p[drawn], rows.targets))
    known = np.array(found)[np.isfinite(found)]
    if not len(known):
        return np.array([np.nan])
    return np.asarray(rows.score(name) + (known - known.mean()) * np.sqrt(wanted / len(every)))
