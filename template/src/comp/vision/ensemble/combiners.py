"""Means and weights: predictions of several members become one. A weight belongs to a member, for all classes alike.

A combiner takes the members' probabilities `p` (N, M, K) and other features `x` (N, R), and gives (N, K).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from comp.registry import greater_is_better
from comp.tables import Targets
from comp.vision.kinds import KNOWS, refuse_kind
from comp.vision.metrics import score
from comp.vision.schema import Blend

Combiner = Callable[[np.ndarray, np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Combiner]  # of p, x and the truth y (N, K)
Objective = Callable[[np.ndarray], float]  # of the weights (M,), smaller is better

FITTED = {"hill_climbing", "weights"}  # the other kinds learn nothing
STEPS, PATIENCE = 50, 10  # of hill climbing: at most, and without gain
LEAST = 1e-6  # a smaller probability is taken for this one


@dataclass(frozen=True)
class Weighted:
    """The mean of the members, weighted."""

    weights: np.ndarray  # (M,), not negative, 1 together

    def __call__(self, p: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.einsum("nmk,m->nk", p, self.weights)


def blend_fit(settings: Blend, metric: str, targets: Targets) -> Fit:
    """How `settings.kind` is fitted. What log_loss is for classes, the squared error is for numbers.

    Raises:
        CompError: there is no such mean of numbers.
    """
    if f"blend.kind={settings.kind}" in KNOWS:
        refuse_kind(f"blend.kind={settings.kind}", targets)

    def fit(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> Combiner:
        if settings.kind not in FITTED:
            return lambda p, x: mean_of_kind(p, settings.kind, settings.power, targets)
        if targets.kind == "regression":
            return Weighted(_weights_of_numbers(settings, metric, p, y, targets))
        truth = _of_truth(p, y, targets)
        loss = _loss_of(truth) if settings.objective == "log_loss" else _loss_by(metric, p, y, targets)
        if settings.kind == "hill_climbing":
            return Weighted(hill_climbing(p.shape[1], loss))
        return Weighted(best_weights(truth, None if settings.objective == "log_loss" else loss))

    return fit


def mean_of_kind(p: np.ndarray, kind: str, power: float, targets: Targets) -> np.ndarray:
    """The members' mean (N, K): arithmetic, geometric, of powers, or of ranks among these rows, which need no truth."""
    if kind == "mean":
        return p.mean(axis=1)
    if kind == "rank":
        ranks = (rankdata(p, axis=0) - 0.5) / len(p)
        return normalized(ranks.mean(axis=1), targets)
    outcomes = p if targets.kind == "multiclass" else np.stack([1 - p, p], axis=-1)  # yes and no weigh alike
    outcomes = np.maximum(outcomes, LEAST)
    mean = np.exp(np.log(outcomes).mean(axis=1)) if kind == "geometric" else (outcomes**power).mean(1) ** (1 / power)
    mean = mean / mean.sum(axis=-1, keepdims=True)
    return mean if targets.kind == "multiclass" else mean[..., 1]


def normalized(p: np.ndarray, targets: Targets) -> np.ndarray:
    """`p` (N, K), the classes of a row 1 together where they exclude each other."""
    return p / np.maximum(p.sum(axis=1, keepdims=True), LEAST) if targets.kind == "multiclass" else p


def hill_climbing(n_members: int, loss: Objective) -> np.ndarray:
    """Weights (M,) of a greedy selection with replacement: each step adds the member that helps most, or hurts least.

    The selection ends where it was best (Caruana et al., ICML 2004).
    """
    counts, best, least, gained = np.zeros(n_members), np.full(n_members, 1 / n_members), np.inf, 0
    for step in range(STEPS):
        tried = [loss((counts + one) / (step + 1)) for one in np.eye(n_members)]
        counts[int(np.argmin(tried))] += 1
        if min(tried) < least - 1e-12:
            least, best, gained = min(tried), counts / (step + 1), step
        if step - gained >= PATIENCE:
            break
    return best


def best_weights(truth: np.ndarray, loss: Objective | None = None) -> np.ndarray:
    """Weights (M,) of the least log-loss; with `loss`, what a search from there finds to be better by it.

    `truth` (N, M) is what each member gives to what is true. A prior worth one row keeps members that few rows speak
    against.
    """
    n_members = truth.shape[1]

    def log_loss(free: np.ndarray) -> tuple[float, np.ndarray]:
        weights = _softmax(free)
        mixed = truth @ weights
        by_weight = -(truth / mixed[:, None]).mean(axis=0) - 1 / (len(truth) * n_members * weights)
        value = -np.log(mixed).mean() - np.log(weights).mean() / len(truth)
        return value, weights * (by_weight - weights @ by_weight)

    found = minimize(log_loss, np.zeros(n_members), jac=True, method="L-BFGS-B").x
    if loss is None:
        return _softmax(found)
    searched = minimize(lambda free: loss(_softmax(free)), found, method="Nelder-Mead", options={"maxfev": 200}).x
    return min((_softmax(found), _softmax(searched)), key=loss)


def _weights_of_numbers(settings: Blend, metric: str, p: np.ndarray, y: np.ndarray, targets: Targets) -> np.ndarray:
    """(M,) of the least squared error, in standard deviations of each column; or what is better by the metric."""
    spread = np.maximum(y.std(axis=0), LEAST)
    errors = (p - y[:, None]) / spread
    together = np.einsum("nmk,nlk->ml", errors, errors) / y.size  # of weights w that sum to 1, the error is w' E w

    def squared(weights: np.ndarray) -> float:
        return float(weights @ together @ weights)

    loss = squared if settings.objective == "log_loss" else _loss_by(metric, p, y, targets)
    if settings.kind == "hill_climbing":
        return hill_climbing(p.shape[1], loss)
    prior = 1e-3 * together.trace() / len(together) ** 2  # keeps members that few rows speak against
    found = minimize(
        lambda free: squared(_softmax(free)) - prior * np.log(_softmax(free)).mean(), np.zeros(p.shape[1])
    ).x
    if settings.objective == "log_loss":
        return _softmax(found)
    searched = minimize(lambda free: loss(_softmax(free)), found, method="Nelder-Mead", options={"maxfev": 200}).x
    return min((_softmax(found), _softmax(searched)), key=loss)


def _of_truth(p: np.ndarray, y: np.ndarray, targets: Targets) -> np.ndarray:
    """The probability that each member gives to what is true: (N, M), or a row for each label, (N·K, M)."""
    if targets.kind == "multiclass":
        given = np.einsum("nmk,nk->nm", p, y)
    else:
        given = np.where(y[:, None] > 0.5, p, 1 - p).transpose(0, 2, 1).reshape(-1, p.shape[1])
    return np.maximum(given, LEAST)


def _loss_of(truth: np.ndarray) -> Objective:
    return lambda weights: float(-np.log(truth @ weights).mean())


def _loss_by(metric: str, p: np.ndarray, y: np.ndarray, targets: Targets) -> Objective:
    sign = -1 if greater_is_better(metric) else 1
    return lambda weights: sign * score(metric, y, np.einsum("nmk,m->nk", p, weights), targets)


def _softmax(free: np.ndarray) -> np.ndarray:
    exp = np.exp(np.clip(free - free.max(), -30, 0))
    return exp / exp.sum()
