"""Metrics as functions of sums over rows: so a bootstrap of 100,000 rows is one product of matrices.

Each function gets `y` and `p` (N, K), as the metric does. The area under the ROC curve is no such function. Its first
order is, which DeLong's variance is made of: what each row adds by its own place among those of the other class.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import rankdata

from comp.registry import find
from comp.runs.paired import Measure, Scored, Sums
from comp.tables import Targets
from comp.vision.metrics import of_classes, of_lists, of_numbers, score

SumsOf = Callable[[np.ndarray, np.ndarray, Targets], Sums]


def measures_of(_: Any, names: Sequence[str], oof: pd.DataFrame, targets: Targets) -> Mapping[str, Measure]:
    """Each metric `names` of out-of-fold rows."""
    y, p = targets.encode(oof), oof[targets.columns].to_numpy()
    return {name: measure_of(name, y, p, targets) for name in dict.fromkeys(names)}


def measure_of(name: str, y: np.ndarray, p: np.ndarray, targets: Targets) -> Measure:
    """By sums where they are known; else, as one of `custom.py`, the metric is asked again for each draw."""
    metric = find("metric", name)
    sums = SUMS.get(metric)
    if sums is not None:
        return sums(y, p, targets)
    if metric in of_lists.MAP:
        return mean(of_lists.reciprocal_places(y, p, metric.depth))
    return Scored(len(y), lambda rows: score(name, y[rows], p[rows], targets))


def mean(values: np.ndarray) -> Sums:
    """The mean of a value (N,) of each row."""
    return Sums(_columns(values, np.ones(len(values))), lambda sums: sums[:, 0] / sums[:, 1])


def _columns(*values: np.ndarray) -> np.ndarray:
    return np.column_stack([np.asarray(each, dtype=np.float64) for each in values])


def _balanced_accuracy(y: np.ndarray, p: np.ndarray, targets: Targets) -> Sums:
    rows, shape = _counts(y, p, targets)

    def of(sums: np.ndarray) -> np.ndarray:
        hits, truth, _ = sums.reshape(-1, 3, *shape).swapaxes(0, 1)
        return np.nanmean(np.nanmean(hits / truth, axis=2), axis=1)

    return Sums(rows, of)


def _macro_f1(y: np.ndarray, p: np.ndarray, targets: Targets) -> Sums:
    rows, shape = _counts(y, p, targets)

    def of(sums: np.ndarray) -> np.ndarray:
        hits, truth, choice = sums.reshape(-1, 3, *shape).swapaxes(0, 1)
        f1 = 2 * hits / (truth + choice)
        if targets.kind == "multiclass":
            return np.nanmean(f1[:, 0], axis=1)
        return np.nan_to_num(f1[:, :, 1]).mean(axis=1)

    return Sums(rows, of)


def _counts(y: np.ndarray, p: np.ndarray, targets: Targets) -> tuple[csr_array, tuple[int, int]]:
    """Ones where a row is a hit, true, or chosen, of each label's classes: (N, 3 · labels · classes), and those two."""
    pairs = of_classes.truth_and_choice(y, p, targets)
    classes = max(2, y.shape[1]) if targets.kind == "multiclass" else 2
    shape = (len(pairs), classes)
    row, column = [], []
    for label, (truth, choice) in enumerate(pairs):
        hit = np.flatnonzero(truth == choice)
        for part, (rows, values) in enumerate(((hit, truth[hit]), (None, truth), (None, choice))):
            row.append(np.arange(len(y)) if rows is None else rows)
            column.append((part * len(pairs) + label) * classes + values)
    where = (np.concatenate(row), np.concatenate(column))
    ones = np.ones(len(where[0]))
    return csr_array((ones, where), shape=(len(y), 3 * len(pairs) * classes)), shape


def _micro_f1(y: np.ndarray, p: np.ndarray, _: Targets) -> Sums:
    truth, given = y >= 0.5, p >= 0.5
    rows = _columns((truth & given).sum(axis=1), truth.sum(axis=1) + given.sum(axis=1))
    return Sums(rows, lambda sums: np.nan_to_num(2 * sums[:, 0] / sums[:, 1]))


def _quadratic_kappa(y: np.ndarray, p: np.ndarray, targets: Targets) -> Sums:
    """The mean squared distance of truth and choice, by that of any two: E t² + E c² - 2 E t · E c."""
    place = targets.positions
    assert place is not None  # `score` refuses the others
    [(truth, choice)] = of_classes.truth_and_choice(y, p, targets)
    t, c = place[truth], place[choice]

    def of(sums: np.ndarray) -> np.ndarray:
        apart, mean_t, mean_c, squares = (sums[:, :4] / sums[:, 4:]).T
        return 1 - apart / (squares - 2 * mean_t * mean_c)

    return Sums(_columns((t - c) ** 2, t, c, t**2 + c**2, np.ones(len(t))), of)


def _roc_auc(y: np.ndarray, p: np.ndarray, targets: Targets) -> Sums:
    value = of_classes.roc_auc(y, p, targets)
    both = [k for k in range(y.shape[1]) if 0 < y[:, k].sum() < len(y)]
    adds = np.zeros(len(y))
    for k in both:
        place, share = _places(y[:, k] > 0.5, p[:, k])
        adds += (place - np.average(place, weights=1 / share)) / share / len(both)

    def of(sums: np.ndarray) -> np.ndarray:
        return value + sums[:, 0] / sums[:, 1]

    return Sums(_columns(adds, np.ones(len(y))), of)


def _places(positive: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) the share of the other class that each row stands right to, and the share of its own class among all."""
    n, count = len(p), int(positive.sum())
    ranks, place = rankdata(p), np.empty(n)
    place[positive] = (ranks[positive] - rankdata(p[positive])) / (n - count)
    place[~positive] = 1 - (ranks[~positive] - rankdata(p[~positive])) / count
    return place, np.where(positive, count, n - count) / n


def _rmse(y: np.ndarray, p: np.ndarray, _: Targets) -> Sums:
    squares = (y.astype(np.float64) - p) ** 2
    return Sums(_columns(squares, np.ones(len(y))), lambda sums: np.sqrt(sums[:, :-1] / sums[:, -1:]).mean(axis=1))


def _rmsle(y: np.ndarray, p: np.ndarray, targets: Targets) -> Sums:
    logs = [np.log1p(np.maximum(each, 0).astype(np.float64)) for each in (y, p)]
    return _rmse(np.where(y < 0, np.nan, logs[0]), logs[1], targets)


def _r2(y: np.ndarray, p: np.ndarray, _: Targets) -> Sums:
    apart, k = y.astype(np.float64) - y.mean(axis=0, dtype=np.float64), y.shape[1]

    def of(sums: np.ndarray) -> np.ndarray:
        n = sums[:, -1:]
        left, total, squares = (sums[:, part * k : (part + 1) * k] for part in range(3))
        return (1 - left / (squares - total**2 / n)).mean(axis=1)

    return Sums(_columns((y.astype(np.float64) - p) ** 2, apart, apart**2, np.ones(len(y))), of)


def _pearson(y: np.ndarray, p: np.ndarray, _: Targets) -> Sums:
    t, g = (each.astype(np.float64) - each.mean(axis=0, dtype=np.float64) for each in (y, p))
    k = y.shape[1]

    def of(sums: np.ndarray) -> np.ndarray:
        both, mean_t, mean_g, squares_t, squares_g = (
            sums[:, part * k : (part + 1) * k] / sums[:, -1:] for part in range(5)
        )
        size = np.sqrt((squares_t - mean_t**2) * (squares_g - mean_g**2))
        return np.where(size > 0, (both - mean_t * mean_g) / size, 0).mean(axis=1)

    return Sums(_columns(t * g, t, g, t**2, g**2, np.ones(len(y))), of)


def _mean_of(rows: Callable[[np.ndarray, np.ndarray, Targets], np.ndarray]) -> SumsOf:
    return lambda y, p, targets: mean(rows(y, p, targets))


SUMS: dict[Any, SumsOf] = {  # by the metric itself: custom.py may put another in the place of its name
    of_classes.accuracy: _mean_of(of_classes.right_of_rows),
    of_classes.subset_accuracy: _mean_of(of_classes.all_right_of_rows),
    of_classes.log_loss: _mean_of(of_classes.log_loss_of_rows),
    of_classes.balanced_accuracy: _balanced_accuracy,
    of_classes.macro_f1: _macro_f1,
    of_classes.roc_auc: _roc_auc,
    of_classes.quadratic_kappa: _quadratic_kappa,
    of_lists.samples_f1: lambda y, p, _: mean(of_lists.f_of_rows(y, p, beta=1)),
    of_lists.samples_f2: lambda y, p, _: mean(of_lists.f_of_rows(y, p, beta=2)),
    of_lists.micro_f1: _micro_f1,
    of_numbers.rmse: _rmse,
    of_numbers.mae: lambda y, p, _: mean(np.abs(y - p.astype(np.float64)).mean(axis=1)),
    of_numbers.r2: _r2,
    of_numbers.rmsle: _rmsle,
    of_numbers.pearson: _pearson,
}
