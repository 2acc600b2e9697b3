"""Metrics of labels while their thresholds change one by one: by counts, so that no look needs all labels of all rows.

Of 500 labels and 20,000 rows a look at all is a tenth of a second, and thresholds are fitted by a million looks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from comp.registry import find, greater_is_better
from comp.tables import Targets
from comp.vision.metrics import of_classes, of_lists, score

# Of counts (…, U) of labels or of rows: what was given rightly, given, true; and how many there are of each.
Counting = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
Labels = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of thresholds and probabilities


class Whole:
    """By the metric itself. Scores are such that greater is better, and what cannot be scored is worst."""

    def __init__(self, p: np.ndarray, y: np.ndarray, metric: str, targets: Targets, labels: Labels) -> None:
        self._p, self._y, self._metric, self._targets, self._labels = p, y, metric, targets, labels
        self._sign = 1 if greater_is_better(metric) else -1
        self._thresholds: np.ndarray = np.zeros(0)

    def alike(self, values: np.ndarray) -> np.ndarray:
        """(V,) of all thresholds being one of `values` (V,)."""
        return np.array([self.begin(np.full(self._p.shape[1], value)) for value in values])

    def begin(self, thresholds: np.ndarray) -> float:
        """Of these; `changed` and `take` go on from here."""
        self._thresholds = thresholds.copy()
        value = score(self._metric, self._y, self._labels(thresholds, self._p), self._targets)
        return -np.inf if np.isnan(value) else self._sign * value

    def changed(self, k: int, values: np.ndarray) -> np.ndarray:
        """(V,) of threshold `k` being one of `values` (V,), and the others as they were."""
        before = self._thresholds
        scores = [self.begin(np.where(np.arange(len(before)) == k, value, before)) for value in values]
        self._thresholds = before
        return np.array(scores)

    def take(self, k: int, value: float) -> None:
        """From now on threshold `k` is this one."""
        self._thresholds[k] = value


class ByLabel:
    """By what is counted of each label."""

    def __init__(self, p: np.ndarray, y: np.ndarray, counting: Counting) -> None:
        order = np.argsort(p, axis=0)
        self._sorted = np.take_along_axis(p, order, axis=0)
        self._true_among = np.zeros((len(p) + 1, p.shape[1]), np.int32)  # of the n likeliest, n from 0 to N
        true = np.take_along_axis(y, order, axis=0)[::-1] >= 0.5
        np.cumsum(true, axis=0, dtype=np.int32, out=self._true_among[1:])
        self._counting, self._n = counting, len(p)
        self._right: np.ndarray = np.zeros(0)
        self._given: np.ndarray = np.zeros(0)

    def alike(self, values: np.ndarray) -> np.ndarray:
        right, given = zip(*(self._counts(k, values) for k in range(self._sorted.shape[1])), strict=True)
        return self._scored(np.column_stack(right), np.column_stack(given))

    def begin(self, thresholds: np.ndarray) -> float:
        counts = [self._counts(k, thresholds[k : k + 1]) for k in range(len(thresholds))]
        self._right, self._given = np.concatenate(counts, axis=1)
        return float(self._scored(self._right, self._given))

    def changed(self, k: int, values: np.ndarray) -> np.ndarray:
        right, given = (np.repeat(each[None], len(values), axis=0) for each in (self._right, self._given))
        right[:, k], given[:, k] = self._counts(k, values)
        return self._scored(right, given)

    def take(self, k: int, value: float) -> None:
        (self._right[k],), (self._given[k],) = self._counts(k, np.array([value]))

    def _counts(self, k: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        given = self._n - np.searchsorted(self._sorted[:, k], values, side="left")
        return self._true_among[given, k], given

    def _scored(self, right: np.ndarray, given: np.ndarray) -> np.ndarray:
        return self._counting(right, given, self._true_among[-1], self._n)


class ByRow:
    """By what is counted of each row."""

    def __init__(self, p: np.ndarray, y: np.ndarray, counting: Counting) -> None:
        self._p, self._true, self._counting = p, y >= 0.5, counting
        self._all_true = self._true.sum(axis=1)
        self._thresholds: np.ndarray = np.zeros(0)
        self._right: np.ndarray = np.zeros(0)
        self._given: np.ndarray = np.zeros(0)

    def alike(self, values: np.ndarray) -> np.ndarray:
        return np.array([self.begin(np.full(self._p.shape[1], value)) for value in values])

    def begin(self, thresholds: np.ndarray) -> float:
        given = self._p >= thresholds
        self._thresholds = thresholds.copy()
        self._right, self._given = (given & self._true).sum(axis=1), given.sum(axis=1)
        return self._scored(self._right, self._given)

    def changed(self, k: int, values: np.ndarray) -> np.ndarray:
        return np.array([self._scored(*self._counts(k, value)) for value in values])

    def take(self, k: int, value: float) -> None:
        self._right, self._given = self._counts(k, value)
        self._thresholds[k] = value

    def _counts(self, k: int, value: float) -> tuple[np.ndarray, np.ndarray]:
        p, true = self._p[:, k], self._true[:, k]
        more = (p >= value).astype(int) - (p >= self._thresholds[k])
        return self._right + more * true, self._given + more

    def _scored(self, right: np.ndarray, given: np.ndarray) -> float:
        return float(self._counting(right, given, self._all_true, self._p.shape[1]))


Looks = Whole | ByLabel | ByRow


def looks_at(p: np.ndarray, y: np.ndarray, metric: str, targets: Targets, labels: Labels) -> Looks:
    """At probabilities (N, K) of the truth `y`; `labels` are what a metric gets that is not counted."""
    function = find("metric", metric)
    if targets.kind != "multiclass" and function in OF_LABELS:
        return ByLabel(p, y, OF_LABELS[function])
    if targets.kind != "multiclass" and function in OF_ROWS:
        return ByRow(p, y, OF_ROWS[function])
    return Whole(p, y, metric, targets, labels)


def is_counted(metric: str) -> bool:
    """Whether looks at labels are cheap."""
    return find("metric", metric) in {*OF_LABELS, *OF_ROWS}


def _macro_f1(right: np.ndarray, given: np.ndarray, true: np.ndarray, n: int) -> np.ndarray:
    return (2 * right / np.maximum(true + given, 1)).mean(axis=-1)


def _micro_f1(right: np.ndarray, given: np.ndarray, true: np.ndarray, n: int) -> np.ndarray:
    return 2 * right.sum(axis=-1) / np.maximum((true + given).sum(axis=-1), 1)


def _accuracy(right: np.ndarray, given: np.ndarray, true: np.ndarray, n: int) -> np.ndarray:
    return (1 - (true + given - 2 * right) / n).mean(axis=-1)


def _balanced_accuracy(right: np.ndarray, given: np.ndarray, true: np.ndarray, n: int) -> np.ndarray:
    """Of a label that all rows have, or none, the recall of what there is."""
    yes, no = right / np.maximum(true, 1), (n - true - given + right) / np.maximum(n - true, 1)
    return np.where(true == 0, no, np.where(true == n, yes, (yes + no) / 2)).mean(axis=-1)


def _all_right(right: np.ndarray, given: np.ndarray, true: np.ndarray, n: int) -> np.ndarray:
    return np.asarray(((right == true) & (given == true)).mean(axis=-1))


def _f_of_rows(beta: float) -> Counting:
    def counting(right: np.ndarray, given: np.ndarray, true: np.ndarray, n: int) -> np.ndarray:
        either = given + beta**2 * true
        return np.asarray(np.where(either > 0, (1 + beta**2) * right / np.maximum(either, 1), 1).mean(axis=-1))

    return counting


OF_LABELS: dict[Any, Counting] = {  # by the metric itself: custom.py may put another in the place of its name
    of_classes.macro_f1: _macro_f1,
    of_classes.accuracy: _accuracy,
    of_classes.balanced_accuracy: _balanced_accuracy,
    of_lists.micro_f1: _micro_f1,
}
OF_ROWS: dict[Any, Counting] = {
    of_classes.subset_accuracy: _all_right,
    of_lists.samples_f1: _f_of_rows(1),
    of_lists.samples_f2: _f_of_rows(2),
}
