"""What learns to tell train from test: LightGBM, or a logistic regression where rows are few or features dense."""

from typing import Any

import lightgbm
import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from comp.runs.separation import Score

BOOSTED: dict[str, Any] = {
    "objective": "binary",
    "num_iterations": 80,
    "num_leaves": 8,
    "learning_rate": 0.08,
    "min_data_in_leaf": 20,
    "lambda_l2": 1.0,
    "feature_fraction": 0.8,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # of few rows, more threads only wait for each other
    "verbosity": -1,
}
DIRECTIONS = 32  # of features that are many, the leading ones


def boosted(x: np.ndarray, y: np.ndarray) -> Score:
    """Rows (N, F), NaN where missing, and truth (N,) → scores."""
    booster = lightgbm.train(BOOSTED, lightgbm.Dataset(x, y.astype(np.int64)))
    return lambda other: np.asarray(booster.predict(other))


def logistic(x: np.ndarray, y: np.ndarray) -> Score:
    """The same, of few rows."""
    return _fitted(make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), _regression()), x, y)


def logistic_of_directions(x: np.ndarray, y: np.ndarray) -> Score:
    """The same, of the leading directions of many features."""
    directions = PCA(min(DIRECTIONS, *x.shape), random_state=0)
    return _fitted(make_pipeline(StandardScaler(), directions, StandardScaler(), _regression()), x, y)


def _regression() -> LogisticRegression:
    return LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)


def _fitted(pipeline: Any, x: np.ndarray, y: np.ndarray) -> Score:
    pipeline.fit(x, y)
    return lambda other: np.asarray(pipeline.decision_function(other))
