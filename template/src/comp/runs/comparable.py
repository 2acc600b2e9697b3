"""Runs as they are compared: a metric on the rows that they share, under the same draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from comp.errors import CompError
from comp.folds import units_of
from comp.registry import greater_is_better
from comp.runs.flags import Flags, flags_of_metrics
from comp.runs.paired import Difference, Measure, MeasuresOf, Side, difference, drawn
from comp.runs.predictions import read_oof
from comp.runs.rundir import RunDir
from comp.tables import Targets


@dataclass(frozen=True)
class Opened:
    """A run that has out-of-fold predictions."""

    name: str
    config: Any
    metrics: dict[str, Any]
    oof: pd.DataFrame
    targets: Targets
    folds: str  # hash of the folds

    @property
    def flags(self) -> Flags:
        return flags_of_metrics(self.metrics)

    def on(self, ids: pd.Index) -> "Opened":
        """The same with these rows only, in this order."""
        if len(ids) == len(self.oof) and (self.oof["id"].to_numpy() == ids.to_numpy()).all():
            return self
        oof = self.oof.set_index("id").loc[ids].reset_index()
        return Opened(self.name, self.config, self.metrics, oof, self.targets, self.folds)

    def of_folds(self, metric: str) -> dict[str, float]:
        """The metric of each fold, as it was recorded."""
        return dict(self.metrics["scores"].get(metric, {}).get("folds", {}))


def opened(run: RunDir) -> Opened:
    """Raises: CompError: the run is gone, not finished, or damaged."""
    config, metrics = run.trained_config(), run.read_metrics()
    oof, targets, folds = read_oof(run.oof)
    return Opened(run.path.name, config, metrics, oof, targets, folds)


def why_not(one: Opened, other: Opened) -> str:
    """What keeps two runs from being compared out of fold; "" if nothing does."""
    if one.flags.unscored or other.flags.unscored:
        return "unscored"
    if one.folds != other.folds:
        return "other folds"
    if (one.targets.kind, one.targets.classes) != (other.targets.kind, other.targets.classes):
        return "other classes"
    return "" if len(shared_rows([one, other])) else "no row in common"


def shared_rows(runs: Sequence[Opened]) -> pd.Index:
    """The ids that all have predicted, in the order of the first."""
    ids = pd.Index(runs[0].oof["id"])
    for run in runs[1:]:
        others = run.oof["id"]
        if len(others) != len(ids) or (others.to_numpy() != ids.to_numpy()).any():
            ids = ids[ids.isin(others)]
    return ids


def side(run: Opened, measure: Measure, draws: np.ndarray, metric: str, folds: Sequence[str]) -> Side:
    """A run on the rows and folds that it shares with another."""
    scores = run.of_folds(metric)
    return Side(measure, draws, [scores[k] for k in folds])


def compared(one: Opened, other: Opened, metric: str, measures_of: MeasuresOf, level: float) -> Difference:
    """`one` less `other` on the rows that they share.

    Raises:
        CompError: the metric cannot be measured of these rows.
    """
    ids = shared_rows([one, other])
    one, other = one.on(ids), other.on(ids)
    units = units_of(one.config, one.folds, one.oof["id"])
    measures = [measured(each, metric, measures_of) for each in (one, other)]
    draws = drawn(measures, units)
    folds = sorted(one.of_folds(metric).keys() & other.of_folds(metric).keys())
    sides = [
        side(each, measure, values, metric, folds)
        for each, measure, values in zip((one, other), measures, draws, strict=True)
    ]
    return difference(sides, units, sign_of(metric), level)


def measured(run: Opened, metric: str, measures_of: MeasuresOf) -> Measure:
    """Raises: CompError: the metric cannot be measured of these rows."""
    found = measures_of(run.config, [metric], run.oof, run.targets)
    if metric not in found:
        raise CompError(f"{metric} has no interval: it is no function of single rows")
    return found[metric]


def sign_of(metric: str) -> int:
    """1 where greater is better, else -1."""
    return 1 if greater_is_better(metric) else -1
