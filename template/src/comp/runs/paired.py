"""Is the difference of two runs real, or noise? A paired bootstrap over rows, which the folds must not contradict.

"real" takes two things. Over rows: the difference, by its bootstrap standard error, would be so far from 0 by chance
with a probability below `level`. Both runs meet the same drawn rows; rows of one group are drawn together; Student's t
has as many degrees of freedom as groups differ, less one, so that two runs which differ in four rows are judged by
four. Over folds, from three on: the mean of the folds' differences leaves 0 out of its interval of 95 %, on the same
side. A bootstrap over rows takes the models as given, and knows nothing of what another seed would have made of them:
the folds do, each has a model of its own. So equal runs pass for different in less than 5 % of cases, however much
chance there is in training; what it costs is that small true differences need more than three folds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy import stats

from comp.tables import Targets

LEVEL = 0.05  # how often two equal runs may pass for different
OF_FOLDS = 0.05  # the same of the test over folds alone; it stays where many comparisons lower the level
DRAWS = 1000
MOST_ROWS = 5_000_000  # scored one after the other, for a metric that is no function of sums …
FEWEST = 50  # … but at least so many draws
CHUNK = 4_000_000  # weights that live at once
SHOWN = (0.025, 0.975)


class Measure(Protocol):
    """A metric of N given rows, some of which may count several times, or not at all."""

    def under(self, weights: np.ndarray) -> np.ndarray:
        """The score (D,) where row i counts `weights` (D, N) times."""
        ...

    def draws(self) -> int:
        """How many of them there is time for."""
        ...

    def unlike(self, other: Any) -> np.ndarray:
        """(N,) the rows that the two say different things of."""
        ...


# Of a run's configuration, names of metrics, and rows of predictions: those that can be measured.
MeasuresOf = Callable[[Any, Sequence[str], pd.DataFrame, Targets], Mapping[str, Measure]]


@dataclass(frozen=True)
class Sums:
    """A metric that is a function of sums over rows."""

    rows: Any  # (N, Q), an array or a sparse one
    of: Callable[[np.ndarray], np.ndarray]  # (D, Q) sums → (D,)

    def under(self, weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.of(np.asarray(weights @ self.rows))

    def draws(self) -> int:
        return DRAWS

    def unlike(self, other: "Sums") -> np.ndarray:
        apart = self.rows != other.rows
        found = apart.any(axis=1) if isinstance(apart, np.ndarray) else np.diff(apart.tocsr().indptr) > 0
        return np.asarray(found, dtype=bool)


@dataclass(frozen=True)
class Scored:
    """Any metric, scored anew for each draw."""

    n: int
    score: Callable[[np.ndarray], float]  # of row numbers, some of them several times

    def under(self, weights: np.ndarray) -> np.ndarray:
        numbers = np.arange(self.n)
        return np.array([self.score(np.repeat(numbers, each.astype(np.int64))) for each in weights])

    def draws(self) -> int:
        return int(np.clip(MOST_ROWS // max(1, self.n), FEWEST, DRAWS // 5))

    def unlike(self, other: "Scored") -> np.ndarray:
        return np.ones(self.n, dtype=bool)


@dataclass(frozen=True)
class Difference:
    """Of one run's score to another's, the first less the second; `better` is 1 where greater is better, else -1."""

    value: float
    low: float  # of 95 %, over rows
    high: float
    p: float  # over rows
    p_folds: float | None  # None: fewer than three folds
    level: float
    better: int

    @property
    def is_real(self) -> bool:
        return self.p < self.level and (self.p_folds is None or self.p_folds < OF_FOLDS)

    @property
    def verdict(self) -> str:
        """One word, or two where rows and folds do not agree."""
        if self.is_real:
            return "real"
        return "noise (folds)" if self.p < self.level else "noise"

    @property
    def is_better(self) -> bool:
        return self.value * self.better > 0


def value_of(measure: Measure, n: int) -> float:
    """The score of all `n` rows."""
    return float(measure.under(np.ones((1, n)))[0])


def drawn(measures: Sequence[Measure], units: np.ndarray, draws: int | None = None) -> list[np.ndarray]:
    """The scores (draws,) of each of `measures` under the same draws of rows, whose groups are `units` (N,)."""
    counts = [min(measure.draws(), draws or DRAWS) for measure in measures]
    found: list[list[np.ndarray]] = [[] for _ in measures]
    done = 0
    for weights in weights_of(units, max(counts, default=0)):
        for measure, count, each in zip(measures, counts, found, strict=True):
            if done < count:
                each.append(measure.under(weights[: count - done]))
        done += len(weights)
    return [np.concatenate(each) if each else np.zeros(0) for each in found]


def interval(measure: Measure, units: np.ndarray, draws: np.ndarray | None = None) -> tuple[float, float]:
    """Of 95 %: the quantiles of many draws; of few, by their standard deviation. NaN where nothing can be measured."""
    found = drawn([measure], units)[0] if draws is None else draws
    found = found[np.isfinite(found)]
    if len(found) < FEWEST // 2:
        return float("nan"), float("nan")
    if len(found) < DRAWS // 2:
        value, reach = value_of(measure, len(units)), stats.norm.ppf(SHOWN[1]) * found.std(ddof=1)
        return value - reach, value + reach
    low, high = np.quantile(found, SHOWN)
    return float(low), float(high)


@dataclass(frozen=True)
class Side:
    """A run on the rows that it shares with another."""

    measure: Measure
    draws: np.ndarray  # under the same weights as the other's
    folds: Sequence[float]  # the score of each fold


def difference(sides: Sequence[Side], units: np.ndarray, better: int, level: float = LEVEL) -> Difference:
    """How far the first of two sides is above the other, and whether that is more than chance."""
    one, other = sides
    n = len(units)
    value = value_of(one.measure, n) - value_of(other.measure, n)
    count = min(len(one.draws), len(other.draws))
    apart = one.draws[:count] - other.draws[:count]
    apart = apart[np.isfinite(apart)]
    error = float(apart.std(ddof=1)) if len(apart) > 1 else float("nan")
    differing = len(np.unique(units[one.measure.unlike(other.measure)]))
    p = _by_chance(value, error, differing - 1)
    reach = stats.t.ppf(SHOWN[1], max(1, differing - 1)) * error
    return Difference(value, value - reach, value + reach, p, _over_folds(value, one, other), level, better)


def _by_chance(value: float, error: float, freedom: int) -> float:
    if value == 0 or freedom < 1 or not np.isfinite(error):
        return 1.0
    return float(2 * stats.t.sf(abs(value) / max(error, 1e-300), freedom))


def _over_folds(value: float, one: Side, other: Side) -> float | None:
    """The paired t-test of the folds' differences; 1 where they point the other way."""
    apart = np.array(one.folds) - np.array(other.folds)
    if len(apart) < 3 or not np.isfinite(apart).all():
        return None
    mean, error = apart.mean(), apart.std(ddof=1) / len(apart) ** 0.5
    return _by_chance(mean, float(error), len(apart) - 1) if mean * value > 0 else 1.0


def weights_of(units: np.ndarray, draws: int) -> Iterator[np.ndarray]:
    """How often each row (N,) is in a draw, some draws at a time: (d, N). The same units give the same weights."""
    names, unit = np.unique(units, return_inverse=True)
    each_alone = len(names) == len(units)
    count, random = len(names), np.random.default_rng(0)
    step = max(1, CHUNK // max(1, len(units)))
    for start in range(0, draws, step):
        here = min(step, draws - start)
        numbers = random.integers(0, count, (here, count), dtype=np.int32)
        numbers += (np.arange(here, dtype=np.int32) * count)[:, None]
        weights = np.bincount(numbers.ravel(), minlength=here * count).reshape(here, count).astype(np.float64)
        yield weights if each_alone and (unit == np.arange(count)).all() else weights[:, unit]
