"""Metrics of numbers: `y` and `p` are (N, K); of several columns, the mean over columns."""

import numpy as np
from scipy.stats import spearmanr

from comp.registry import register
from comp.tables import Targets
from comp.vision.kinds import NUMBERS


@register("metric", "rmse", kinds=NUMBERS, greater_is_better=False)
def rmse(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(((y - p.astype(np.float64)) ** 2).mean(axis=0)).mean())


@register("metric", "mae", kinds=NUMBERS, greater_is_better=False)
def mae(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Mean absolute error."""
    return float(np.abs(y - p.astype(np.float64)).mean())


@register("metric", "r2", kinds=NUMBERS)
def r2(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Share of the variance that is explained; NaN where a column has only one value."""
    y, p = y.astype(np.float64), p.astype(np.float64)
    left, there = ((y - p) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    return float((1 - left / there).mean()) if (there > 0).all() else float("nan")


@register("metric", "rmsle", kinds=NUMBERS, greater_is_better=False)
def rmsle(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """RMSE of log(1 + value); a negative prediction counts as 0. NaN where the truth is negative."""
    if (y < 0).any():
        return float("nan")
    return rmse(np.log1p(y.astype(np.float64)), np.log1p(np.maximum(p, 0)), targets)


@register("metric", "pearson", kinds=NUMBERS)
def pearson(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Linear correlation; 0 where all predictions are the same."""
    return float(np.mean([_correlation(y[:, k], p[:, k]) for k in range(y.shape[1])]))


@register("metric", "spearman", kinds=NUMBERS)
def spearman(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Correlation of ranks; 0 where all predictions are the same."""
    both = [(y[:, k], p[:, k]) for k in range(y.shape[1])]
    return float(np.mean([spearmanr(t, g).statistic if np.ptp(g) and np.ptp(t) else 0.0 for t, g in both]))


def _correlation(truth: np.ndarray, given: np.ndarray) -> float:
    t, g = truth - truth.mean(dtype=np.float64), given - given.mean(dtype=np.float64)
    size = np.sqrt((t**2).sum() * (g**2).sum())
    return float((t * g).sum() / size) if size > 0 else 0.0
