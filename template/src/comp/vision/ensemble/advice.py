"""Which of a combination, the members' plain mean and the best member to submit, by scores that do not flatter."""

from collections.abc import Sequence

import numpy as np

from comp.registry import greater_is_better
from comp.tables import Targets
from comp.vision.metrics import score

RESAMPLES, MOST_ROWS = 100, 5000  # of the bootstrap; with more rows, some stand for all
CLEARLY = 2.0  # standard errors that the best member must be ahead by: it is the best of several on these rows


def what_to_submit(
    name: str,
    combined: np.ndarray,
    members: np.ndarray,
    names: Sequence[str],
    y: np.ndarray,
    metric: str,
    targets: Targets,
    learns: bool,
) -> str:
    """One sentence. `combined` (N, K) and `members` (N, M, K) are out of fold, `y` (N, K) the truth.

    The plain mean has chosen nothing on these rows, so it is submitted unless another is ahead by more than chance.
    """
    gain, mean = _Gain(y, metric, targets), members.mean(axis=1)
    chosen, p, why = name, combined, []
    if learns:
        ahead, error = gain(combined, mean)
        why.append(f"{name} is {_than(ahead)} their mean by {abs(ahead):.4f} ± {error:.4f}")
        if ahead <= error:
            chosen, p = "the mean of the members (comp blend)", mean
    if len(names) > 1:
        best = int(np.argmax([gain.of(members[:, place]) for place in range(len(names))]))
        ahead, error = gain(members[:, best], p)
        why.append(f"the best member, {names[best]}, is {_than(ahead)} that by {abs(ahead):.4f} ± {error:.4f}")
        if ahead > CLEARLY * error:
            chosen = f"{names[best]} alone"
    return ": ".join([chosen, *(["; ".join(why)] if why else [])])


def _than(ahead: float) -> str:
    return "better than" if ahead >= 0 else "worse than"


class _Gain:
    """How much better one set of predictions is than another, and the standard error of that over the rows."""

    def __init__(self, y: np.ndarray, metric: str, targets: Targets) -> None:
        self._y, self._metric, self._targets = y, metric, targets
        self._sign = 1 if greater_is_better(metric) else -1
        rng = np.random.default_rng(0)
        some = min(len(y), MOST_ROWS)
        self._draws = [rng.integers(0, len(y), some) for _ in range(RESAMPLES)]
        self._shrinks = (some / len(y)) ** 0.5

    def of(self, p: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        return self._sign * score(self._metric, self._y[rows], p[rows], self._targets)

    def __call__(self, p: np.ndarray, other: np.ndarray) -> tuple[float, float]:
        differences = [self.of(p, rows) - self.of(other, rows) for rows in self._draws]
        return self.of(p) - self.of(other), float(np.nanstd(differences, ddof=1)) * self._shrinks
