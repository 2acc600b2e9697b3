"""How much of the best of several scores is luck: its regression to the mean.

Trials are scored on the same rows. What differs between them is skill, whose variance over trials is τ², and noise, of
variance σ²: they err on different rows, and other rows would rank them otherwise. The rows are the same, so what trials
have in common (a hard fold) is no noise: σ² is that of a trial's score minus the mean over trials, when rows are drawn
anew (a paired bootstrap). The scores' variance S² is τ² + σ², so of the best score's lead over the mean, the share
1 − σ²/S² is skill (none, where S² is below σ²). Expected on other rows is therefore

    mean + max(0, 1 − σ²/S²) · (best − mean),

which for normal skills and noise is the winner's true score on average (tests/vision/tuning/test_luck.py simulates it).
Noise of the seed is not in it, unless the seed is one of the keys.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from comp.tables import Targets
from comp.vision.metrics import score

TIMES = 200  # that the rows are drawn anew


@dataclass(frozen=True)
class Luck:
    """Of n trials with a score."""

    best: float
    mean: float
    spread: float  # S, the standard deviation of the scores
    noise: float  # σ
    alike: float  # what the best of n trials of the same skill would show
    expected: float  # of the best one, on other rows


def luck_of(scores: np.ndarray, noise: float, greater: bool) -> Luck:
    """Of the scores (n,) of two or more trials, whose paired noise is `noise`."""
    mean, spread = float(scores.mean()), float(scores.std(ddof=1))
    best, sign = float(scores.max() if greater else scores.min()), 1 if greater else -1
    skill = max(0.0, 1 - noise**2 / spread**2) if spread > 0 else 0.0
    return Luck(best, mean, spread, noise, mean + sign * noise * best_of(len(scores)), mean + skill * (best - mean))


@cache
def best_of(n: int) -> float:
    """The expected maximum of n standard normal numbers."""
    return float(quad(lambda x: n * x * norm.pdf(x) * norm.cdf(x) ** (n - 1), -10, 10)[0])


def paired_noise(metric: str, y: np.ndarray, p: np.ndarray, targets: Targets, seed: int = 0) -> float:
    """σ of trials that predict `p` (n, N, K) of rows whose truth is `y` (N, K)."""
    rng, n = np.random.default_rng(seed), len(p)
    drawn = []
    for _ in range(TIMES):
        rows = rng.integers(0, len(y), len(y))
        drawn.append([score(metric, y[rows], each[rows], targets) for each in p])
    scores = np.array(drawn)
    apart = scores - np.nanmean(scores, axis=1, keepdims=True)
    return float(np.sqrt(np.nanvar(apart, axis=0, ddof=1).mean() * n / (n - 1)))
