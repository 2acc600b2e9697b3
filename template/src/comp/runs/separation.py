"""How well two sets of rows are told apart: out-of-fold scores, and the area under the ROC curve with an interval."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

Score = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Score]  # of rows (N, F) and truth (N,): what scores other rows
FOLDS = 5


@dataclass(frozen=True)
class Measured:
    """A value between its bounds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def auc(score: np.ndarray, positive: np.ndarray, group: np.ndarray, alpha: float = 0.05) -> Measured:
    """Of `score` (N,), the larger where `positive` (N,), with an interval that leaves out `alpha`; there are both.

    Rows of one `group` (N,) are no witnesses of their own: variances are of groups (DeLong et al., 1988; with groups,
    Obuchowski, 1997). The interval is never narrower than what one row more could change.
    """
    n_yes, n_no = int(positive.sum()), int((~positive).sum())
    ranks, place = rankdata(score), np.zeros(len(score))
    place[positive] = (ranks[positive] - rankdata(score[positive])) / n_no
    place[~positive] = 1 - (ranks[~positive] - rankdata(score[~positive])) / n_yes
    value = float(place[positive].mean())
    parts = np.bincount(np.unique(group, return_inverse=True)[1], (place - value) / np.where(positive, n_yes, n_no))
    variance = (parts**2).sum() * len(parts) / max(len(parts) - 1, 1)
    half = max(float(norm.ppf(1 - alpha / 2) * np.sqrt(variance)), 1 / min(n_yes, n_no))
    return Measured(value, max(value - half, 0.0), min(value + half, 1.0))


def parts_of(label: np.ndarray, group: np.ndarray, n: int = FOLDS) -> np.ndarray:
    """(N,) one of `n` parts for each row: about as many of each `label` (N,) in each, no `group` (N,) in two."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(len(first))
    order = shuffled[np.argsort(label[first][shuffled], kind="stable")]
    part = np.empty(len(first), dtype=np.int64)
    part[order] = np.arange(len(first)) % n
    return part[number]


def out_of_part(x: np.ndarray, y: np.ndarray, part: np.ndarray, fit: Fit) -> np.ndarray:
    """(N,) the score of each row by what is fitted to the other parts; NaN where these have one truth only."""
    scores = np.full(len(x), np.nan)
    for number in np.unique(part):
        others, own = part != number, part == number
        if len(np.unique(y[others])) > 1:
            scores[own] = fit(x[others], y[others])(x[own])
    return scores
