"""A canary: labels that mean nothing. Whatever is measured on them must be chance; more is a leak.

`verdict(procedure)` lets a procedure predict noise of several seeds, and says how far from 0.5 its AUC is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

ROWS, FOLDS, SEEDS = 600, 3, 16


@dataclass(frozen=True)
class Noise:
    """Rows whose labels have nothing to do with their features; half of the labels are 1."""

    seed: int
    x: np.ndarray  # (600, 60), normal
    y: np.ndarray  # (600,) 0 or 1
    fold: np.ndarray  # (600,) stratified


@dataclass(frozen=True)
class Verdict:
    auc: float  # mean over seeds
    bound: float  # three standard errors of it

    @property
    def is_chance(self) -> bool:
        return abs(self.auc - 0.5) <= self.bound

    @property
    def leaks(self) -> bool:
        return self.auc - 0.5 > self.bound


def noise(seed: int) -> Noise:
    rng = np.random.default_rng(seed)
    x, y, fold = rng.normal(size=(ROWS, 60)), rng.permutation(np.arange(ROWS) % 2), np.zeros(ROWS, dtype=int)
    for k, (_, validated) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)):
        fold[validated] = k
    return Noise(seed, x, y, fold)


def verdict(procedure: Callable[[Noise], np.ndarray], seeds: Iterable[int] = range(SEEDS)) -> Verdict:
    """What `procedure` measures: it gets the noise and gives a score (600,) for each of its rows.

    An AUC of n rows, half of them 1, varies by sqrt((n + 1) / (3 n²)), 0.024, from one set of rows to the next; scores
    of models that share rows vary more, so the larger of this and of what is seen counts. Over 16 seeds, three standard
    errors are 0.018 at least: by chance, one canary in 370 falls.
    """
    drawn = [noise(seed) for seed in seeds]
    aucs = [roc_auc_score(one.y, procedure(one)) for one in drawn]
    deviation = max(np.sqrt((ROWS + 1) / (3 * ROWS**2)), np.std(aucs, ddof=1))
    return Verdict(float(np.mean(aucs)), float(3 * deviation / np.sqrt(len(aucs))))
