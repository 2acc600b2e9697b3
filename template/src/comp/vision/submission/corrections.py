"""Corrections of predictions by name (`submit.postprocess`), each fitted to out-of-fold rows.

A function that is registered with `fits=True` gets predictions and truth (N, K), targets and the `submit:` section, and
returns what changes the predictions of other rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from comp.errors import CompError, shown
from comp.registry import find, register
from comp.tables import Targets, spelled_as
from comp.vision.kinds import KNOWS, refuse_kind
from comp.vision.metrics import log_loss
from comp.vision.schema import Submit

Correction = Callable[[np.ndarray], np.ndarray]
TINY = 1e-12
COLDEST, HOTTEST = 0.05, 20.0
CHANCE = 0.01  # how often shares that did not move are said to have moved
ROUNDS, SETTLED = 200, 1e-6  # of EM: how many at most, and by how much shares still change when it ends
STEPS = (1000, 100, 10, 5, 2, 1, 0.5, 0.25, 0.2, 0.1, 0.05, 0.02, 0.01)  # of grids that numbers may lie on
ON_GRID = 1e-3  # of a step: float32 is no closer


def refuse_postprocess(settings: Submit, targets: Targets) -> None:
    """Raises: CompError: there is no such postprocess, or it is not for such targets."""
    for name in settings.postprocess:
        key = f"submit.postprocess={name}"
        if is_fitted(name) and key in KNOWS:
            refuse_kind(key, targets)
    if settings.shares is not None:
        known_shares(settings.shares, targets)


def is_fitted(name: str) -> bool:
    """Whether the postprocess is fitted to out-of-fold rows, not a function of predictions alone."""
    return bool(getattr(find("postprocess", name), "fits", False))


@register("postprocess", "temperature", fits=True)
def temperature(p: np.ndarray, y: np.ndarray, targets: Targets, settings: Submit | None = None) -> "Heated":
    """Divides logits by the temperature with the least log loss: above 1, predictions were too sure."""

    def loss(log_t: float) -> float:
        return log_loss(y, heated(p, float(np.exp(log_t)), targets), targets)

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return Heated(float(np.exp(found.x)), targets)


@dataclass(frozen=True)
class Heated:
    t: float
    targets: Targets

    def __call__(self, p: np.ndarray) -> np.ndarray:
        return heated(p, self.t, self.targets)

    def __str__(self) -> str:
        return f"{self.t:.3g}"


def heated(p: np.ndarray, t: float, targets: Targets) -> np.ndarray:
    """Probabilities (N, K) whose logits were divided by `t`."""
    log_p = np.log(np.clip(p.astype(np.float64), TINY, 1)) / t
    if targets.kind == "multiclass":
        powers = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    log_rest = np.log(np.clip(1 - p.astype(np.float64), TINY, 1)) / t
    return 1 / (1 + np.exp(log_rest - log_p))


@register("postprocess", "priors", fits=True)
def priors(p: np.ndarray, y: np.ndarray, targets: Targets, settings: Submit) -> Correction:
    """Weighs classes by how much more frequent they are where it predicts: by EM (Saerens 2002), or `submit.shares`."""
    both, truth = two_columns(p), two_columns(y)
    known = None if settings.shares is None else known_shares(settings.shares, targets)
    return Shares(truth.mean(axis=0), both, known)


@dataclass(frozen=True)
class Shares:
    """What is known of the rows that it was fitted to; where it predicts, it looks for the shares anew."""

    base: np.ndarray  # (K,) true shares of the classes
    p: np.ndarray  # (N, K) what was said of these rows
    known: np.ndarray | None  # (K,) of the rows to predict, where they are

    def __call__(self, p: np.ndarray) -> np.ndarray:
        return moved(p, self.found(p), self.base)

    def found(self, p: np.ndarray) -> np.ndarray:
        """(K,) the shares of the classes among rows with predictions `p`; `base` where chance explains them.

        Before EM, predictions are weighed so that of the fitted rows they tell the true shares: so they may be off, as
        those of a model that learned from balanced classes are, as long as they are off alike.
        """
        if self.known is not None:
            return self.known
        both = two_columns(p)
        if not self._differs(both):
            return self.base
        return em_shares(_normal(both * _unbiased(self.p, self.base)), self.base)

    def _differs(self, p: np.ndarray) -> bool:
        """Whether the mean prediction of any class is another one than that of the fitted rows, by more than chance."""
        if len(p) < 2:
            return False
        error = np.sqrt(p.var(axis=0) / len(p) + self.p.var(axis=0) / len(self.p))
        z = np.abs(p.mean(axis=0) - self.p.mean(axis=0)) / np.maximum(error, TINY)
        return bool((z > norm.isf(CHANCE / 2 / p.shape[1])).any())


def moved(p: np.ndarray, shares: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Probabilities as they are where the classes' shares are `shares` (K,) instead of `base`."""
    weighed = _normal(two_columns(p) * (shares / np.maximum(base, TINY)))
    return weighed if p.shape[1] > 1 else weighed[:, 1:]


def two_columns(p: np.ndarray) -> np.ndarray:
    """Of a 0 or 1 per row (N, 1), both as classes (N, 2); others as they are."""
    return p.astype(np.float64) if p.shape[1] > 1 else np.column_stack([1 - p, p]).astype(np.float64)


def em_shares(p: np.ndarray, base: np.ndarray) -> np.ndarray:
    """(K,) the likeliest shares of the classes among rows whose predictions `p` (N, K) were made for shares `base`.

    Saerens, Latinne and Decaestecker's EM (Neural Computation 14, 2002).
    """
    shares, density = base, p / np.maximum(base, TINY)
    for _ in range(ROUNDS):
        new = _normal(density * shares).mean(axis=0)
        if np.abs(new - shares).max() < SETTLED:
            return new
        shares = new
    return shares


def _unbiased(p: np.ndarray, base: np.ndarray) -> np.ndarray:
    """(K,) the weights of the classes with which the mean of the predictions `p` is their true share."""
    weights = np.ones(p.shape[1])
    for _ in range(ROUNDS):
        mean = _normal(p * weights).mean(axis=0)
        if np.abs(mean - base).max() < SETTLED:
            break
        weights = weights * base / np.maximum(mean, TINY)
    return weights


def _normal(weighed: np.ndarray) -> np.ndarray:
    """Rows (N, K) that sum up to 1."""
    return weighed / np.maximum(weighed.sum(axis=1, keepdims=True), TINY)


def known_shares(given: dict[str, float], targets: Targets) -> np.ndarray:
    """`submit.shares` in the order of the classes (K,).

    Raises:
        CompError: these are other classes, or their shares are not those of a whole.
    """
    classes = ("0", "1") if targets.kind == "binary" else targets.classes
    shares = {spelled_as(classes)(name): value for name, value in given.items()}
    if set(shares) != set(classes):
        raise CompError(f"submit.shares needs a share of each class ({shown(classes, 6)}), and has {shown(given, 6)}")
    values = np.array([shares[name] for name in classes])
    if abs(values.sum() - 1) > 0.01:
        raise CompError(f"submit.shares: they sum up to {values.sum():g}, not to 1")
    return values / values.sum()


@register("postprocess", "rounding", fits=True)
def rounding(p: np.ndarray, y: np.ndarray, targets: Targets, settings: Submit) -> Correction:
    """Numbers within the range of the known ones, and on the grid on which all of these lie: whole, halves …"""
    return Grid([_step(column) for column in y.T], y.min(axis=0), y.max(axis=0))


@dataclass(frozen=True)
class Grid:
    steps: list[float | None]  # of each column; None: there is no grid
    low: np.ndarray
    high: np.ndarray

    def __call__(self, p: np.ndarray) -> np.ndarray:
        inside = np.clip(p.astype(np.float64), self.low, self.high)
        on_grid = [
            column if step is None else np.round(column / step) * step
            for column, step in zip(inside.T, self.steps, strict=True)
        ]
        return np.column_stack(on_grid)

    def __str__(self) -> str:
        each = [
            f"{low:.6g} to {high:.6g}" + (", no grid" if step is None else f" by {step:g}")
            for low, high, step in zip(self.low, self.high, self.steps, strict=True)
        ]
        return "; ".join(each[:4]) + " …" * (len(each) > 4)


def _step(y: np.ndarray) -> float | None:
    """The widest step of STEPS of which all of `y` (N,) are multiples."""
    values = np.unique(y).astype(np.float64)
    return next((step for step in STEPS if (np.abs(values / step - np.round(values / step)) < ON_GRID).all()), None)
