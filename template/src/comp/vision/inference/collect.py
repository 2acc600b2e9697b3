"""Joins the folds' probabilities into the run's two tables, scores them and notes them in the leaderboard."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from comp.runs.results import Scoring, join_folds
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.inference.how_predicted import views_of
from comp.vision.metrics import score
from comp.vision.metrics.sums import measures_of
from comp.vision.schema import ImageConfig


def collect(
    config: ImageConfig, train_ids: pd.Series, run: RunDir, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """As `join_folds`; the metrics compare classes, and the views are those that all folds were predicted with."""

    def measured(name: str, oof: pd.DataFrame, targets: Targets) -> float:
        return score(name, targets.encode(oof), oof[targets.columns].to_numpy(), targets)

    return join_folds(config, train_ids, run, Scoring(measured, measures_of), facts, views_of(run))
