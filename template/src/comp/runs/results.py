"""Joins the folds' predictions into the run's two tables, scores them and notes them in the leaderboard."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from comp.config import Experiment
from comp.errors import CompError
from comp.files import write_json
from comp.runs.leaderboard import UNSCORED, note_in_leaderboard
from comp.runs.predictions import read_oof, read_predictions, values_of, with_values, write_predictions
from comp.runs.rundir import RunDir, read_fold_metrics
from comp.tables import Targets

Score = Callable[[str, pd.DataFrame, Targets], float]  # of a metric's name and out-of-fold rows
LASTING = ("combines", "flatters", "unscored")  # facts of `metrics.json` that are no scores


def join_folds(
    config: Experiment, train_ids: pd.Series, run: RunDir, score: Score, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Writes `oof.parquet`, `test.parquet` and `metrics.json` from all folds that are done.

    `facts` join the last; without any, those that it had: to predict again does not change how a run was made.
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
    metrics = {**_scores(config, oof, targets, score, run, done), **(_facts_of(run) if facts is None else facts)}
    write_json(run.metrics, metrics)
    _record(config, metrics, run, len(train_ids))
    return metrics


def mean_of(tables: list[pd.DataFrame], targets: Targets) -> pd.DataFrame:
    """The mean of several test tables; of vectors, its direction.

    Raises:
        CompError: they speak of different rows.
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
    config: Experiment, oof: pd.DataFrame, targets: Targets, score: Score, run: RunDir, done: list[int]
) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for name in dict.fromkeys([config.metric, *config.metrics]):
        each = [score(name, oof[oof["fold"] == number], targets) for number in done]
        scores[name] = {"oof": score(name, oof, targets), "mean": float(np.mean(each)), "std": float(np.std(each))}
        scores[name]["folds"] = dict(zip(map(str, done), each, strict=True))
    files = [*(run.fold(number) / "metrics.json" for number in done), *run.path.glob("fold*+*/metrics.json")]
    seconds = round(sum(read_fold_metrics(path)["seconds"] for path in files), 1)
    facts = {"metric": config.metric, "rows": len(oof), "folds": len(done), "seconds": seconds}
    return {**facts, "flatters": bool(run.trained_config().train.chooses_on_validated_rows), "scores": scores}


def _made_of(config: Experiment, metrics: dict[str, Any]) -> str:
    combines = metrics.get("combines")
    return f"{combines['kind']} of {', '.join(combines['members'])}" if combines else config.about_model


def _record(config: Experiment, metrics: dict[str, Any], run: RunDir, n_rows: int) -> None:
    main, unscored = metrics["scores"][config.metric], metrics.get("unscored")
    line = {
        "name": config.name,
        "metric": config.metric,
        "cv": UNSCORED if unscored else f"{main['oof']:.5f}",
        "mean": UNSCORED if unscored else f"{main['mean']:.5f}",
        "std": UNSCORED if unscored else f"{main['std']:.5f}",
        "n_folds": metrics["folds"],
        "folds": UNSCORED if unscored else " ".join(f"{value:.5f}" for value in main["folds"].values()),
        "minutes": f"{metrics['seconds'] / 60:.1f}",
        "model": _made_of(config, metrics),
    }
    board = note_in_leaderboard(line)
    if unscored:
        print(f"cv      unscored: {unscored}")
    for name, values in ({} if unscored else metrics["scores"]).items():
        each = " ".join(f"{value:.4f}" for value in values["folds"].values())
        print(f"cv      {name} {values['oof']:.4f} out of fold; folds {each}; mean {values['mean']:.4f}")
    if metrics["rows"] < n_rows:
        print(f"        {metrics['rows']} of {n_rows} training rows are predicted, by {metrics['folds']} folds")
    print(f"wrote   {run.oof}, {run.test}, {run.metrics}, {board}")
