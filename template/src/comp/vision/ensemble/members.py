"""The members of a combination: runs of these folds and foreign tables, their rows and classes in one order."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.config.load import members_of
from comp.errors import CompError, shown
from comp.folds import Split
from comp.readback import reading
from comp.runs.combinable import Member, check_ids, last_trained, member_names, member_of_run, runs_of_these_folds
from comp.runs.flags import flags_of_metrics
from comp.runs.rundir import RUNS
from comp.tables import GOLDEN, Tables, Targets, read_csv
from comp.vision.ensemble.combiners import normalized
from comp.vision.ensemble.crossfit import Predicted
from comp.vision.schema import Foreign, ImageConfig

SUMS = (0.99, 1.01)  # of a row of probabilities


@dataclass(frozen=True)
class Members:
    """All members; M of them."""

    names: list[str]
    oof: Predicted
    tests: dict[int, np.ndarray]  # of each fold (T, M, K)
    inner: dict[int, Predicted] | None  # None: not all members have it
    without_inner: list[str]
    metrics: dict[str, Mapping[str, Any]]  # of the members that are runs, by their names
    trained: dict[int, str]  # when the last model of each fold was


def open_members(
    config: ImageConfig, wanted: list[str | Foreign], tables: Tables, split: Split, fitted: str = ""
) -> Members:
    """Reads the members; without any `wanted`, those of the experiment, or else all runs of these folds.

    `fitted`: what is fitted to their out-of-fold rows, as the configuration says it, if anything is.

    Raises:
        CompError: there is none, or one has other folds, rows or classes; or is unscored, and something is fitted.
    """
    if not wanted:
        wanted = [member.name for member in members_of(config)] or runs_of_these_folds(config, split, bool(fitted))  # type: ignore[assignment]
    runs = [member for member in wanted if isinstance(member, str)]
    called = dict(zip(runs, member_names(runs), strict=True))
    names = [called[member] if isinstance(member, str) else member.name for member in wanted]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not wanted or twice:
        none = f"no run in {RUNS} has these folds" + " and a score: blend.kind=mean takes unscored ones" * bool(fitted)
        raise CompError(f"members: {shown(twice)} appear twice" if twice else none)
    members = [
        member_of_run(member, tables, split) if isinstance(member, str) else _of_files(member, tables, split)
        for member in wanted
    ]
    if fitted:
        _refuse_unscored(members, fitted)
    rows = _common_rows(members, tables, split, config.data.on_bad_image == "drop")
    oof = Predicted(rows, split.fold[rows], _aligned([member.oof for member in members], tables.train, rows, tables))
    tests = {}
    for k in np.unique(oof.fold).tolist():
        for member in members:
            check_ids(member.tests[k], tables.test["id"], f"the test predictions of {member.name}", "test")
        every_row = np.arange(len(tables.test))
        tests[k] = _aligned([member.tests[k] for member in members], tables.test, every_row, tables)
    without = [member.name for member in members if member.inner is None]
    inner = None if without else {k: _inner(k, members, tables, split) for k in tests}
    metrics = {member.name: member.metrics for member in members if member.metrics is not None}
    trained = {k: last_trained(members, k) for k in tests}
    return Members([member.name for member in members], oof, tests, inner, without, metrics, trained)


def _refuse_unscored(members: list[Member], fitted: str) -> None:
    """Raises: CompError: a member's models learned from the rows that the combiner would be fitted to."""
    for member in members:
        if unscored := flags_of_metrics(member.metrics or {}).unscored:
            raise CompError(
                f"members: {member.name} is unscored ({unscored}), and {fitted} is fitted to out-of-fold rows, so it "
                "would trust that member too much: leave it out, or run comp blend with blend.kind=mean"
            )


def _of_files(files: Foreign, tables: Tables, split: Split) -> Member:
    if (RUNS / files.name).is_dir():
        raise CompError(f"members: {RUNS / files.name} is a run: give the tables of {files.oof} another name")
    print(f"member  {files.name}: cannot check whether {files.oof} is out of fold; if not, all scores with it flatter")
    oof, test = (_foreign(Path(path), tables.targets) for path in (files.oof, files.test))
    if tables.golden is not None:
        _refuse_without_golden(files, oof, test, tables.golden.truth["id"])
    return Member(files.name, oof, dict.fromkeys(range(split.n), test))


def _refuse_without_golden(files: Foreign, oof: pd.DataFrame, test: pd.DataFrame, golden: pd.Series) -> None:
    """Raises: CompError: its models learned from golden images, by all that is known, or did not predict them."""
    learned = oof["id"][oof["id"].isin(golden.str.removeprefix(GOLDEN))]
    if len(learned):
        raise CompError(
            f"{files.oof} has golden images among its training rows ({shown(learned)}): a score on them would flatter. "
            "Train it without the rows that golden.csv names, or leave it out"
        )
    if missing := set(golden) - set(test["id"]):
        raise CompError(
            f"{files.test} lacks {len(missing)} golden images: it needs their predictions too, under ids such as "
            f"{min(missing)}, from models that never learned from them"
        )


def _foreign(path: Path, targets: Targets) -> pd.DataFrame:
    """A CSV or parquet with `id` and the classes, as a table of probabilities."""
    if not path.is_file():
        raise CompError(f"{path} does not exist")
    with reading(path, "ask for it again, or leave it out"):
        table = pd.read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    named = {f"p_{name}" if f"p_{name}" in table else name: f"p_{name}" for name in targets.classes}
    missing = [name for name in ("id", *named) if name not in table]
    if missing:
        raise CompError(f"{path} has no column {shown(missing)}; it needs id and {shown(targets.columns, 8)}")
    p = table[list(named)].rename(columns=named).apply(pd.to_numeric, errors="coerce")
    numbers = targets.kind == "regression"
    wanted = "numbers" if numbers else "probabilities"
    wrong = ~p.apply(lambda column: np.isfinite(column) if numbers else column.between(0, 1)).all(axis=1)
    if targets.kind == "multiclass":
        wrong |= ~p.sum(axis=1).between(*SUMS)
    if wrong.any():
        raise CompError(f"{path}: {wrong.sum()} rows hold no {wanted}: ids {shown(table['id'][wrong])}")
    return pd.concat([table["id"].astype(str), p], axis=1)


def _common_rows(members: list[Member], tables: Tables, split: Split, may_miss: bool) -> np.ndarray:
    """The rows of the training table that are validated; those of unreadable images, which no run predicts, are not."""
    validated = tables.train["id"][split.fold >= 0]
    runs = [member for member in members if member.metrics is not None]
    if may_miss and runs:
        validated = validated[validated.isin(runs[0].oof["id"])]
    others = tables.train["id"][~tables.train["id"].isin(validated)]
    for member in members:
        oof = member.oof
        if member.metrics is None:  # a foreign table may have them besides
            oof = oof[~oof["id"].isin(others)]
        check_ids(oof, validated, f"the out-of-fold predictions of {member.name}", "validated")
    return validated.index.to_numpy()


def _inner(k: int, members: list[Member], tables: Tables, split: Split) -> Predicted:
    """The inner out-of-fold predictions of fold k's training rows."""
    inner = [member.inner[k] for member in members if member.inner is not None]
    place = pd.Series(np.arange(len(tables.train)), index=tables.train["id"])
    rows = np.sort(place[inner[0]["id"]].to_numpy())
    for member, table in zip(members, inner, strict=True):
        check_ids(table, tables.train["id"].iloc[rows], f"fold{k}/inner_oof.parquet of {member.name}", "inner")
    if (split.fold[rows] == k).any():
        raise CompError(f"members: fold{k}/inner_oof.parquet of {members[0].name} has rows of fold {k} itself")
    fold = inner[0].set_index("id")["fold"].loc[tables.train["id"].iloc[rows]].to_numpy()
    return Predicted(rows, fold, _aligned(inner, tables.train, rows, tables))


def _aligned(predicted: list[pd.DataFrame], table: pd.DataFrame, rows: np.ndarray, tables: Tables) -> np.ndarray:
    """The members' probabilities (N, M, K) of `rows` of `table`, the classes in the order of the targets."""
    ids, targets = table["id"].iloc[rows], tables.targets
    each = [one.set_index("id").loc[ids, targets.columns].to_numpy(dtype=np.float64) for one in predicted]
    if targets.kind == "regression":
        return np.stack(each, axis=1)
    return np.stack([normalized(np.clip(p, 0, 1), targets) for p in each], axis=1)
