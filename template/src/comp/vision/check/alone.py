"""What a single column tells: out-of-fold predictions from nothing but its bins, and how good they are."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from comp.runs.separation import Measured, auc, parts_of
from comp.tables import Targets

PRIOR = 5.0  # rows that count as the mean of all, in each bin
LEAST = 10  # rows of a class, and rows of all others, that it takes
MOST_CLASSES = 20  # the largest ones are looked at
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Told:
    """How well a column predicts `what`: 0.5 is chance of an AUC, 0 of a rank correlation."""

    measured: Measured
    what: str  # the class or number that it predicts best, "" if there is but one
    is_auc: bool

    @property
    def above_chance(self) -> float:
        """The lower bound, from 0 (chance) to 1."""
        return 2 * self.measured.low - 1 if self.is_auc else self.measured.low

    def __str__(self) -> str:
        name = "AUC" if self.is_auc else "rank correlation"
        return f"{name} {self.measured}" + (f" of {self.what!r}" if self.what else "")


def predicted(bins: np.ndarray, y: np.ndarray, part: np.ndarray) -> np.ndarray:
    """(N, K): the mean of `y` (N, K) in each row's bin (N,), of rows of the other parts (N,) alone."""
    width, parts, every = int(bins.max(initial=0)) + 1, int(part.max(initial=0)) + 1, y.mean(axis=0)
    cell = part * width + bins
    count = np.bincount(cell, minlength=parts * width).reshape(parts, width)
    count = count.sum(axis=0) - count
    result = np.empty(y.shape)
    for k in range(y.shape[1]):
        total = np.bincount(cell, y[:, k], parts * width).reshape(parts, width)
        total = total.sum(axis=0) - total
        result[:, k] = ((total + PRIOR * every[k]) / (count + PRIOR))[part, bins]
    return result


def told(bins: np.ndarray, y: np.ndarray, targets: Targets, group: np.ndarray, tests: int = 1) -> Told | None:
    """What the column with `bins` (N,) tells of the targets `y` (N, K); None where rows are too few to say.

    The interval allows for the best of K targets, and of `tests` columns, being looked at.
    """
    numbers = targets.kind == "regression"
    chosen = _chosen(y, numbers)
    if not len(chosen):
        return None
    part = parts_of(y[:, chosen].argmax(axis=1) if not numbers else np.zeros(len(y)), group)
    p, alpha = predicted(bins, y[:, chosen], part), 0.05 / (len(chosen) * tests)
    names = targets.classes if len(targets.classes) > 1 else ("",)
    found = []
    for place, k in enumerate(chosen.tolist()):
        measured = (
            _correlation(p[:, place], y[:, k], alpha) if numbers else auc(p[:, place], y[:, k] > 0.5, group, alpha)
        )
        found.append(Told(measured, names[k], not numbers))
    return max(found, key=lambda each: (each.measured.low, each.measured.value))


def rows_to_look_at(n: int) -> np.ndarray:
    """Which of `n` rows: all, or a random draw of MOST_ROWS."""
    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_ROWS])


def _chosen(y: np.ndarray, numbers: bool) -> np.ndarray:
    """The targets that have enough rows, the largest first."""
    if numbers:
        return np.flatnonzero(y.std(axis=0) > 0)[:MOST_CLASSES] if len(y) >= 2 * LEAST else np.zeros(0, np.int64)
    yes = (y > 0.5).sum(axis=0)
    order = np.argsort(-yes, kind="stable")
    return order[(np.minimum(yes, len(y) - yes) >= LEAST)[order]][:MOST_CLASSES]


def _correlation(p: np.ndarray, y: np.ndarray, alpha: float) -> Measured:
    """Spearman's, with Fisher's interval."""
    if np.ptp(p) == 0:
        return Measured(0.0, 0.0, 0.0)
    value = float(np.corrcoef(rankdata(p), rankdata(y))[0, 1])
    half = norm.ppf(1 - alpha / 2) * np.sqrt(1.06 / max(len(y) - 3, 1))
    middle = np.arctanh(np.clip(value, -0.9999, 0.9999))
    return Measured(value, float(np.tanh(middle - half)), float(np.tanh(middle + half)))
