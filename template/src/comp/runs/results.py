"""Joins the folds' predictions into the run's two tables, scores them and notes them in the leaderboard."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from comp.config import Experiment
from comp.errors import CompError
from comp.files import write_json
from comp.folds import units_of
from comp.registry import metric_label, metrics_for
from comp.runs.flags import flags_of_metrics, flags_of_training
from comp.runs.leaderboard import leaderboard_line, note_in_leaderboard
from comp.runs.paired import MeasuresOf, interval
from comp.runs.predictions import folds_of, read_oof, read_predictions, values_of, with_values, write_predictions
from comp.runs.rundir import RunDir, read_fold_metrics
from comp.tables import Targets

Score = Callable[[str, pd.DataFrame, Targets], float]  # of a metric's name and out-of-fold rows
LASTING = ("combines", "flatters", "unscored")  # facts of `metrics.json` that are not scores


@dataclass(frozen=True)
class Scoring:
    """How a task scores out-of-fold rows, and how it measures them for an interval."""

    score: Score
    measures: MeasuresOf | None = None


def join_folds(
    config: Experiment,
    train_ids: pd.Series,
    run: RunDir,
    scoring: Scoring,
    facts: Mapping[str, Any] | None = None,
    views: Sequence[str] = (),
) -> dict[str, Any]:
    """Writes `oof.parquet`, `test.parquet` and `metrics.json` from all folds that are done.

    `facts` join the last; without any, those that it had: to predict again does not change how a run was made. Of the
    flags (see flags.py) none is ever lost: the runs that they come from may be gone by then.
    `views` are those that the rows were predicted with, where there are any.
    The out-of-fold rows stand in the order of `train_ids`, the test predictions are the mean over folds.

    Raises:
        CompError: the folds were predicted with different splits.
    """
    done = run.done_folds()
    oofs, tests, first = [], [], ""
    for number in done:
        oof, targets, folds = read_oof(run.fold(number) / "oof.parquet")
        test, _, test_folds = read_predictions(run.fold(number) / "test.parquet")
        first = first or folds
        if {folds, test_folds} != {first}:
            raise CompError(
                f"{run.path}: fold {number} was trained with other folds than fold {done[0]}: train it again"
            )
        oofs.append(oof)
        tests.append(test)
    order = dict(zip(train_ids, range(len(train_ids)), strict=True))
    oof = pd.concat(oofs).sort_values("id", key=lambda ids: ids.map(order), kind="stable").reset_index(drop=True)
    write_predictions(run.oof, oof, targets, folds)
    write_predictions(run.test, mean_of(tests, targets), targets, folds)
    before = _facts_of(run)
    facts = before if facts is None else facts
    flags = flags_of_metrics(facts)
    if "combines" not in facts:
        flags = flags.or_else(flags_of_metrics(before)).or_else(flags_of_training(run.trained_config()))
    measured_on = {"views": list(views)} if views else {}
    metrics = {**_scores(config, oof, targets, scoring, run, done), **measured_on, **facts, **vars(flags)}
    write_json(run.metrics, metrics)
    _record(config, metrics, run, len(train_ids), targets.kind)
    return metrics


def mean_of(tables: list[pd.DataFrame], targets: Targets) -> pd.DataFrame:
    """The mean of several test tables; of vectors, its direction.

    Raises:
        CompError: they have different rows.
    """
    if any(not table["id"].equals(tables[0]["id"]) for table in tables):
        raise CompError("the folds' test predictions have different rows: run comp predict to make them again")
    mean = np.mean([values_of(table, targets) for table in tables], axis=0)
    if targets.kind == "embedding":
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return with_values(tables[0], mean, targets)


def _facts_of(run: RunDir) -> dict[str, Any]:
    before = run.read_metrics() if run.metrics.is_file() else {}
    return {key: before[key] for key in LASTING if key in before}


def _scores(
    config: Experiment, oof: pd.DataFrame, targets: Targets, scoring: Scoring, run: RunDir, done: list[int]
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for name in metrics_for([config.metric, *config.metrics], targets.kind):
        each = [scoring.score(name, oof[oof["fold"] == number], targets) for number in done]
        std = float(np.std(each, ddof=1)) if len(each) > 1 else None  # of one fold nothing is known
        scores[name] = {"oof": scoring.score(name, oof, targets), "mean": float(np.mean(each)), "std": std}
        scores[name]["folds"] = dict(zip(map(str, done), each, strict=True))
    measure = None if scoring.measures is None else scoring.measures(config, [config.metric], oof, targets)
    if measure:
        low, high = interval(measure[config.metric], units_of(config, folds_of(run.oof), oof["id"]))
        scores[config.metric] |= {"interval": [low, high]} if np.isfinite([low, high]).all() else {}
    files = [*(run.fold(number) / "metrics.json" for number in done), *run.path.glob("fold*+*/metrics.json")]
    seconds = round(sum(read_fold_metrics(path)["seconds"] for path in files), 1)
    facts = {"metric": config.metric, "rows": len(oof), "folds": len(done), "seconds": seconds}
    return {**facts, "scores": scores}


def _record(config: Experiment, metrics: dict[str, Any], run: RunDir, n_rows: int, kind: str) -> None:
    """Adds the run to the leaderboard and prints its scores."""
    board = note_in_leaderboard(leaderboard_line(config, metrics))
    unscored, flatters, views = metrics["unscored"], metrics["flatters"], metrics.get("views")
    if unscored:
        print(f"cv      unscored: {unscored}")
    for name, values in ({} if unscored else metrics["scores"]).items():
        each = " ".join(f"{value:.4f}" for value in values["folds"].values())
        measured = f"{values['oof']:.4f} out of fold; folds {each}; mean {values['mean']:.4f}"
        spread = "" if values["std"] is None else f", std {values['std']:.4f}"
        print(f"cv      {metric_label(name, kind)} {measured}{spread}")
        if "interval" in values:
            low, high = values["interval"]
            print(f"        95 % interval over rows: {low:.4f} to {high:.4f}")
    if views:
        print(f"        predicted with the views {', '.join(views)}")
    if flatters and not unscored:
        print(f"        the score flatters: {flatters}")
    if metrics["rows"] < n_rows:
        folds = f"{metrics['folds']} fold{'s' * (metrics['folds'] > 1)}"
        print(f"        {metrics['rows']} of {n_rows} training rows are predicted, by {folds}")
    print(f"wrote   {run.oof}, {run.test}, {run.metrics}, {board}")
