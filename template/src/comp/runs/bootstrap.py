"""How far a score would move with other rows: drawn anew, whole groups at a time, while the models stay as they are."""

from collections.abc import Iterator

import numpy as np

MOST, LEAST, ROWS = 1000, 400, 40_000_000  # draws: as many as come to so many rows
SHOWN = (0.025, 0.975)  # a 95 % interval
CELLS = 5_000_000  # of one chunk of draws


def draws_for(rows: int) -> int:
    """How often so many rows are drawn anew."""
    return max(LEAST, min(MOST, ROWS // max(rows, 1)))


def draws_of(unit: np.ndarray, draws: int | None = None, rows: int | None = None) -> Iterator[np.ndarray]:
    """In chunks (D, N) of float32, how often each row is drawn; rows of a `unit` (N,), numbered from 0, come together.

    As many units are drawn as there are, or so many that about `rows` come. The same units give the same draws.
    """
    draws = draws_for(len(unit)) if draws is None else draws
    random, count = np.random.default_rng(0), int(unit.max()) + 1
    drawn = count if rows is None else max(1, round(count * rows / len(unit)))
    for start in range(0, draws, step := max(1, CELLS // len(unit))):
        chunk = min(step, draws - start)
        times = [np.bincount(random.integers(0, count, drawn), minlength=count) for _ in range(chunk)]
        yield np.array(times, dtype=np.float32)[:, unit]


def means(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """(D, M) the means of `values` (N, M) over drawn rows."""
    values = values.astype(np.float32)
    return np.concatenate([each @ values / each.sum(axis=1, keepdims=True) for each in draws_of(unit)])


def interval(drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of drawn scores (D,); NaN where nothing can be measured."""
    if np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(drawn, SHOWN)
    return float(low), float(high)


def spread(low: float, high: float) -> str:
    """An interval as it is shown."""
    return "–" if np.isnan(low) else f"{low:.4f} to {high:.4f}"
