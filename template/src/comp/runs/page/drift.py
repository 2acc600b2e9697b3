"""Folds beside each other: which of them differs by more than its rows explain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from comp.runs.bootstrap import interval_of_drawn

SURE = 0.05  # chance that any fold of alike ones stands out


@dataclass(frozen=True)
class OfFold:
    """One fold beside all others."""

    number: int
    rows: int
    score: float
    interval: tuple[float, float]
    deviations: float  # of the score from the others' mean, in standard errors


def compared(
    numbers: Sequence[int], sizes: Sequence[int], scores: Sequence[float], drawn: list[np.ndarray]
) -> list[OfFold]:
    """Of folds with so many rows and such scores; `drawn` are the scores of drawn rows of each."""
    score, size = np.asarray(scores, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    errors = np.array([np.nanstd(each) for each in drawn])
    found = []
    for place, number in enumerate(numbers):
        share = np.where(np.arange(len(size)) == place, 0, size)
        share /= max(share.sum(), 1)
        error = float(np.hypot(errors[place], np.sqrt((share**2 * errors**2).sum())))
        apart = float(score[place] - (share * score).sum()) if len(size) > 1 else 0.0
        deviations = apart / error if error > 0 else 0.0
        found.append(OfFold(number, int(size[place]), float(score[place]), interval_of_drawn(drawn[place]), deviations))
    return found


def limit(folds: int) -> float:
    """The deviations from which on one of so many folds stands out (Bonferroni)."""
    return float(norm.ppf(1 - SURE / folds / 2))


def unlike(found: Sequence[OfFold]) -> list[OfFold]:
    """The folds whose score is beyond what their rows explain, the farthest first."""
    beyond = [each for each in found if abs(each.deviations) > limit(len(found))]
    return sorted(beyond, key=lambda each: -abs(each.deviations))


def in_words(found: Sequence[OfFold]) -> str:
    """Which folds stand out."""
    beyond = unlike(found)
    if not beyond:
        return "The folds are alike: none differs from the others by more than its rows explain."
    named = [f"Fold {each.number} is unlike the others ({each.deviations:+.1f} standard errors)." for each in beyond]
    why = "Its model may have trained badly (see Training), or its rows are of another kind: groups, sources, times."
    return " ".join([*named, why])
