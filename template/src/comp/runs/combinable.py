"""Trained runs as members of a combination: which there are, and whether they fit together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from comp.config import Experiment
from comp.errors import CompError, shown
from comp.folds import Split
from comp.runs.leaderboard import read_leaderboard
from comp.runs.predictions import read_oof, read_predictions
from comp.runs.rundir import RUNS, RunDir
from comp.tables import Tables


@dataclass(frozen=True)
class Member:
    """What one member says, as tables with `id` and what it predicts."""

    name: str
    oof: pd.DataFrame
    tests: dict[int, pd.DataFrame]  # what fold k's model says of the test rows
    inner: dict[int, pd.DataFrame] | None = None  # of fold k's training rows, with the inner fold of each
    metrics: Mapping[str, Any] | None = None  # of a run
    trained: Mapping[int, str] = field(default_factory=dict)  # when each fold of a run was


def runs_of_these_folds(config: Experiment, split: Split, scored: bool = False) -> list[str]:
    """The names in the leaderboard, without combinations and what is not finished; tells what is left out.

    `scored`: without those whose out-of-fold rows are unscored, too.
    """
    names = [line["name"] for line in read_leaderboard() if line["name"] != config.name]
    chosen = []
    for name in names:
        run = RunDir.of_name(name)
        if not run.oof.is_file():
            continue
        oof, _, folds = read_oof(run.oof)
        metrics = _metrics_of(run)
        if metrics.get("combines"):
            why = "is a combination itself"
        elif folds != split.digest:
            why = "has other folds"
        elif oof["fold"].nunique() < split.n:
            why = "is not finished"
        elif scored and metrics.get("unscored"):
            why = f"is unscored: {metrics['unscored']}"
        else:
            chosen.append(name)
            continue
        print(f"left out  {name}: {why}")
    return chosen


def run_of_member(name: str) -> RunDir:
    """The run that `members` call so: by its name in `runs/`, or by its folder."""
    return RunDir.of_name(name) if "/" not in name and (RUNS / name).is_dir() else RunDir(Path(name))


def member_name(given: str) -> str:
    """What the run is called that `members` call so: one in `runs/` by its name, any other as it is given."""
    path = run_of_member(given).path
    return path.name if path.parent.resolve() == RUNS.resolve() else given


def member_names(given: Sequence[str]) -> list[str]:
    """What the runs are called that `members` call so, see `member_name`.

    Raises:
        CompError: two of them are one run, however it is spelled.
    """
    names = [member_name(each) for each in given]
    places = [run_of_member(each).path.resolve() for each in given]
    twice = sorted({name for name, place in zip(names, places, strict=True) if places.count(place) > 1})
    if twice:
        raise CompError(f"members: {shown(twice)} appear twice")
    return names


def member_of_run(name: str, tables: Tables, split: Split) -> Member:
    """The run that `members` call so."""
    run = run_of_member(name)
    if not run.path.is_dir():
        raise CompError(f"members: there is no run {name!r} in {RUNS}, and no such folder: run comp train name={name}")
    oof, targets, folds = read_oof(run.oof)
    if folds != split.digest:
        raise CompError(
            f"members: {name} was made with other folds than folds.csv has now: train it again, or leave it out"
        )
    if (targets.kind, set(targets.classes)) != (tables.targets.kind, set(tables.targets.classes)):
        raise CompError(f"members: {name} has the {targets.kind} classes {shown(targets.classes)}, the data has others")
    unfinished = sorted(set(range(split.n)) - set(oof["fold"]))
    if unfinished:
        raise CompError(
            f"members: {name} does not predict fold {', '.join(map(str, unfinished))}: train all folds (comp train "
            f"name={name}), or leave it out"
        )
    tests, inner = {}, {}
    for k in range(split.n):
        own = run.fold(k) / "test.parquet"
        tests[k] = read_predictions(own if own.is_file() else run.test)[0]
        path = run.fold(k) / "inner_oof.parquet"
        if path.is_file():
            inner[k], _, inner_folds = read_oof(path)
            if inner_folds != split.digest:
                raise CompError(f"{path} was made with other folds than folds.csv has now: remove it, or train again")
    trained = {k: run.fold_trained_at(k) for k in tests}
    return Member(member_name(name), oof, tests, inner if len(inner) == split.n else None, _metrics_of(run), trained)


def last_trained(members: Sequence[Member], number: int) -> str:
    """When the last of the members' models of a fold was trained; "" where none says."""
    return max((member.trained.get(number, "") for member in members), default="")


def check_ids(table: pd.DataFrame, ids: pd.Series, what: str, which: str) -> None:
    """Raises CompError where `table` has not each of `ids` once and no other; `what` and `which` name them."""
    twice = table["id"][table["id"].duplicated()]
    missing, unknown = ids[~ids.isin(table["id"])], table["id"][~table["id"].isin(ids)]
    faults = [
        (twice, "appear twice"),
        (missing, f"{which} {'row is' if len(missing) == 1 else 'rows are'} missing"),
        (unknown, f"rows are not {which} rows"),
    ]
    found = [f"{len(rows)} {fault} (ids {shown(rows)})" for rows, fault in faults if len(rows)]
    if found:
        raise CompError(f"members: {what}: {'; '.join(found)}")


def _metrics_of(run: RunDir) -> dict[str, Any]:
    return run.read_metrics() if run.metrics.is_file() else {}
