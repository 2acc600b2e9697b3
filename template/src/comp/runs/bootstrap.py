"""How far a score would move with other rows: they are drawn anew as `runs/paired.py` draws them, and it is shown."""

import numpy as np

from comp.runs.paired import DRAWS, SHOWN, weights_of


def means(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """(D, M) the means of `values` (N, M) over drawn rows, whose groups are `unit` (N,)."""
    found = [each @ values / each.sum(axis=1, keepdims=True) for each in weights_of(unit, DRAWS)]
    return np.concatenate(found)


def interval_of_drawn(drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of drawn scores (D,); NaN where nothing can be measured."""
    if np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(drawn, SHOWN)
    return float(low), float(high)


def spread(low: float, high: float) -> str:
    """An interval as it is shown."""
    return "–" if np.isnan(low) else f"{low:.4f} to {high:.4f}"
