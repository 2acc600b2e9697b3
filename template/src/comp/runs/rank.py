"""Which of two scores is better: one order for all that sorts runs or chooses among them."""

import math

from comp.registry import greater_is_better, names


def rank(metric: str, score: float) -> float:
    """Smaller is better. What is no number is worse than any; a metric that custom.py no longer has is an accuracy."""
    if not math.isfinite(score):
        return math.inf
    return score if metric in names("metric") and not greater_is_better(metric) else -score
