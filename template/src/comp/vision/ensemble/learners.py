"""Learned combiners: LightGBM and logistic regression on the members' probabilities and other features.

Small data is the rule: few leaves and a fixed number of rounds. A round chosen on the rows that are scored would
flatter.
"""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
from lightgbm.basic import _ConfigAliases
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from comp.errors import CompError, first_line
from comp.tables import Targets
from comp.vision.ensemble.combiners import LEAST, Combiner, Fit
from comp.vision.kinds import refuse_kind
from comp.vision.schema import Stack

LIGHTGBM: dict[str, Any] = {
    "num_iterations": 60,
    "num_leaves": 4,
    "learning_rate": 0.05,
    "min_data_in_leaf": 10,
    "lambda_l2": 1.0,
    "feature_fraction": 0.7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # of few rows, more threads only wait for each other
    "verbosity": -1,
}
OBJECTIVES = {"multiclass": "multiclass", "binary": "binary", "multilabel": "binary", "regression": "regression"}
LOGISTIC: dict[str, Any] = {"C": 0.1, "max_iter": 1000}


def stack_fit(settings: Stack, seed: int, targets: Targets) -> Fit:
    """How `settings.kind` is fitted; `settings.args` are the library's own.

    Raises:
        CompError: the library refuses `settings.args`.
    """
    if settings.kind == "logistic":
        refuse_kind("stack.kind=logistic", targets)
    ours = sorted(_ConfigAliases.get("seed", "objective") & settings.args.keys())
    if settings.kind == "lightgbm" and ours:
        raise CompError(f"stack.args: {', '.join(ours)} cannot be set: it follows from seed and data.kind")

    def fit(p: np.ndarray, x: np.ndarray, y: np.ndarray) -> Combiner:
        try:
            boosts = settings.kind == "lightgbm"
            fitted = (
                boosted(p, x, y, targets, seed, settings.args) if boosts else _logistic(p, x, y, targets, settings.args)
            )
        except (lightgbm.basic.LightGBMError, TypeError, ValueError) as error:
            raise CompError(f"stack.args={settings.args} are not valid: {first_line(error)}") from None
        return lambda p, x: fitted(p, x) if len(x) else np.zeros((0, y.shape[1]))  # the libraries refuse no rows

    return fit


def boosted(
    p: np.ndarray, x: np.ndarray, y: np.ndarray, targets: Targets, seed: int, args: dict[str, Any] | None = None
) -> Combiner:
    """LightGBM that begins with the members' mean, and so keeps it where rows are few; without members, at nothing."""
    multiclass = targets.kind == "multiclass"
    args = args or {}
    own = {name: value for name, value in LIGHTGBM.items() if not _ConfigAliases.get(name) & args.keys()}
    settings = {**own, **args, "seed": seed}  # under an alias, an argument would lose against our own
    settings |= {"objective": OBJECTIVES[targets.kind], **({"num_class": y.shape[1]} if multiclass else {})}
    columns, start = _joined(p, x), _start(p, targets)
    labels = [(y.argmax(axis=1), start)]
    if not multiclass:
        labels = [(y[:, k].copy(), None if start is None else start[:, k].copy()) for k in range(y.shape[1])]
    boosters = [lightgbm.train(settings, lightgbm.Dataset(columns, label, init_score=first)) for label, first in labels]

    def combine(p: np.ndarray, x: np.ndarray) -> np.ndarray:
        raw = [np.asarray(booster.predict(_joined(p, x), raw_score=True)) for booster in boosters]
        scores, first = raw[0] if multiclass else np.column_stack(raw), _start(p, targets)
        return _probabilities(scores if first is None else scores + first, targets)

    return combine


def _logistic(p: np.ndarray, x: np.ndarray, y: np.ndarray, targets: Targets, args: dict[str, Any]) -> Combiner:
    """Logistic regression on the logarithms of the members' probabilities: multinomial, or one per label."""
    columns = _joined(_logarithms(p, targets), x)
    if targets.kind == "multiclass":
        predict = _regression(columns, y.argmax(axis=1), y.shape[1], args)
        return lambda p, x: predict(_joined(_logarithms(p, targets), x))
    each = [_regression(columns, label.astype(int), 2, args) for label in y.T]
    return lambda p, x: np.column_stack([one(_joined(_logarithms(p, targets), x))[:, 1] for one in each])


def _regression(
    columns: np.ndarray, label: np.ndarray, n: int, args: dict[str, Any]
) -> Callable[[np.ndarray], np.ndarray]:
    """Gives probabilities (N, n); classes that `label` has not are as good as impossible."""
    if len(np.unique(label)) == 1:
        return lambda columns: np.tile(np.maximum(np.eye(n)[label[0]], LEAST), (len(columns), 1))
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(**{**LOGISTIC, **args}))
    model.fit(columns, label)

    def predict(columns: np.ndarray) -> np.ndarray:
        found = np.full((len(columns), n), LEAST)
        found[:, model.classes_] = model.predict_proba(columns)
        return found / found.sum(axis=1, keepdims=True)

    return predict


def _joined(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.column_stack([p.reshape(len(p), -1), x])


def _logarithms(p: np.ndarray, targets: Targets) -> np.ndarray:
    """Of the probabilities, or of their odds where a label is told by one number."""
    safe = np.clip(p, LEAST, 1 - LEAST)
    return np.log(safe) if targets.kind == "multiclass" else np.log(safe) - np.log1p(-safe)


def _start(p: np.ndarray, targets: Targets) -> np.ndarray | None:
    """The scores (N, K) of the members' mean; of numbers, themselves."""
    if targets.kind == "regression":
        return p.mean(axis=1) if p.shape[1] else None
    return _logarithms(p.mean(axis=1), targets) if p.shape[1] else None


def _probabilities(scores: np.ndarray, targets: Targets) -> np.ndarray:
    if targets.kind == "regression":
        return scores
    if targets.kind != "multiclass":
        return 1 / (1 + np.exp(-scores))
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)
