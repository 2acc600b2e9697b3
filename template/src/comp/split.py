"""`comp split`: gives every training row its fold, once; all runs share the file."""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import model_selection

from comp.config.schema import Config, Folds
from comp.errors import CompError, shown
from comp.files import write_text
from comp.tables import Tables, Targets, read_tables

HEADER = re.compile(
    r"# folds n=(?P<n>\d+) kind=(?P<kind>\w+)( holdout=(?P<holdout>\S+))? seed=(?P<seed>-?\d+) rows=(?P<rows>\w+)"
)


@dataclass(frozen=True)
class Split:
    """`fold` (N,) int, one a row of the training table, in its order; -1 is never validated on."""

    fold: np.ndarray
    n: int
    kind: str
    rows: str  # a hash of ids, targets and folds: two prediction files with different ones do not mix


def split(config: Config, force: bool = False) -> Split:
    """Writes `folds.csv` where there is none yet, and prints what stands in it.

    Raises:
        CompError: the file there fits other rows or other settings, and `force` is off.
    """
    tables = read_tables(config.data)
    path = folds_path(config)
    if path.exists() and not force:
        result = load_split(config, tables)
        print(f"folds   {path} is there and fits: kept")
    else:
        result = _write(path, tables, config.folds)
        print(f"folds   {path} written")
    _print_shares(tables, result)
    return result


def folds_path(config: Config) -> Path:
    return Path(config.data.work or config.data.root) / "folds.csv"


def load_split(config: Config, tables: Tables) -> Split:
    """The folds of `tables.train` from `folds.csv`.

    Raises:
        CompError: there is no such file, or it was made for other rows or other settings.
    """
    path = folds_path(config)
    if not path.exists():
        raise CompError(f"{path} does not exist: run comp split")
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    header = HEADER.match(first)
    if not header:
        raise CompError(f"{path} was not written by comp split: its first line must be `# folds n=… `")
    kind = _resolve_kind(config.folds, tables)
    asked = {"n": str(_n_folds(config.folds, kind)), "kind": kind, "seed": str(config.folds.seed)}
    if kind == "holdout":
        asked["holdout"] = str(config.folds.holdout)
    for name, value in asked.items():
        if header[name] != value:
            raise CompError(
                f"{path} has {name}={header[name]}, the configuration asks for folds.{name}={value}: "
                "keep the first, or run comp split --force (older runs then no longer combine with new ones)"
            )
    try:
        table = pd.read_csv(path, dtype={"id": str}, keep_default_na=False, skiprows=1)
        fold = tables.train["id"].map(dict(zip(table["id"], table["fold"].astype(int), strict=True)))
    except (KeyError, ValueError) as error:
        raise CompError(f"{path} is damaged ({error}): run comp split --force") from None
    if len(table) != len(tables.train) or fold.isna().any():
        unknown = tables.train["id"][fold.isna()]
        detail = (
            f"new ids {shown(unknown)}" if len(unknown) else f"it has {len(table)} rows, there are {len(tables.train)}"
        )
        raise CompError(f"{path} was made for other training rows ({detail}): run comp split --force")
    result = Split(fold.to_numpy(dtype=np.int64), int(header["n"]), header["kind"], header["rows"])
    if _hash(tables, result.fold) != result.rows:
        raise CompError(
            f"{path}: ids, labels, groups, times or folds changed since it was written: run comp split --force"
        )
    return result


def assign_folds(train: pd.DataFrame, targets: Targets, folds: Folds, kind: str) -> np.ndarray:
    """The fold (N,) of each row; the same for the same rows in any order.

    Raises:
        CompError: the rows do not suffice for so many folds.
    """
    order = np.argsort(train["id"].to_numpy(dtype=str), kind="stable")
    rows = train.iloc[order]
    y = targets.encode(rows)
    label = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
    groups = rows["group"].to_numpy() if "group" in rows else None
    if groups is not None and "group" in kind and len(set(groups)) < folds.n:
        raise CompError(f"there are {len(set(groups))} groups, too few for {folds.n} folds: set folds.n lower")
    if kind != "holdout" and len(rows) < folds.n:
        raise CompError(f"there are {len(rows)} training rows, too few for {folds.n} folds: set folds.n lower")
    try:
        pairs = list(_splitter(kind, rows, y, label, groups, folds))
    except ValueError as error:
        raise CompError(f"folds.kind={kind} does not work with these rows: {error}") from None
    fold = np.full(len(rows), -1)
    for number, (_, validated) in enumerate(pairs):
        fold[validated] = number
    back = np.empty_like(fold)
    back[order] = fold
    return back


def _splitter(kind, rows, y, label, groups, folds):  # type: ignore[no-untyped-def]
    """Pairs of (training, validated) positions in `rows`, one a fold."""
    shuffled = {"n_splits": folds.n, "shuffle": True, "random_state": folds.seed}
    nothing = np.zeros(len(rows))
    if kind == "stratified":
        return model_selection.StratifiedKFold(**shuffled).split(nothing, _without_tiny_classes(label, folds.n))
    if kind == "group":
        return model_selection.GroupKFold(**shuffled).split(nothing, groups=groups)
    if kind == "stratified_group":
        return model_selection.StratifiedGroupKFold(**shuffled).split(nothing, label, groups)
    if kind == "multilabel":
        from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

        return MultilabelStratifiedKFold(**shuffled).split(nothing, y)
    if kind == "time":
        return _time_splits(rows["time"], folds.n)
    if groups is not None:
        holdout = model_selection.GroupShuffleSplit(1, test_size=folds.holdout, random_state=folds.seed)
        return holdout.split(nothing, groups=groups)
    holdout = model_selection.StratifiedShuffleSplit(1, test_size=folds.holdout, random_state=folds.seed)
    rows_for_both = math.ceil(1 / min(folds.holdout, 1 - folds.holdout))
    return holdout.split(nothing, _without_tiny_classes(label, rows_for_both))


def _without_tiny_classes(label: np.ndarray, n: int) -> np.ndarray:
    """Classes with fewer rows than folds are spread as if they were one: no splitter can do better with them."""
    tiny = np.flatnonzero(np.bincount(label) < n)
    merged = np.where(np.isin(label, tiny), label.max() + 1, label)
    if 0 < (merged == label.max() + 1).sum() < n:
        merged[merged == label.max() + 1] = np.bincount(label).argmax()
    return merged


def _time_splits(time: pd.Series, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Equal stretches of time; the first only ever trains, so that each validated one has a past."""
    numbers = pd.to_numeric(time, errors="coerce")
    when = numbers if numbers.notna().all() else pd.to_datetime(time, errors="coerce")
    if when.isna().any():
        raise CompError(
            f"data.time: {when.isna().sum()} values are neither numbers nor dates: {shown(time[when.isna()])}"
        )
    stretches = np.array_split(np.argsort(when.to_numpy(), kind="stable"), n + 1)
    return [(np.concatenate(stretches[: k + 1]), stretches[k + 1]) for k in range(n)]


def _resolve_kind(folds: Folds, tables: Tables) -> str:
    grouped = "group" in tables.train
    if folds.kind != "auto":
        if grouped and folds.kind in {"stratified", "multilabel"}:
            raise CompError(
                f"folds.kind={folds.kind} would put rows of one data.group into several folds: "
                "set it to auto, group, stratified_group, time or holdout"
            )
        if "group" in folds.kind and not grouped:
            raise CompError(f"folds.kind={folds.kind} needs data.group, the column that names each row's group")
        if folds.kind == "time" and "time" not in tables.train:
            raise CompError("folds.kind=time needs data.time, the column to sort by")
        return folds.kind
    if grouped:
        return "group" if tables.targets.kind == "multilabel" else "stratified_group"
    return "multilabel" if tables.targets.kind == "multilabel" else "stratified"


def _n_folds(folds: Folds, kind: str) -> int:
    return 1 if kind == "holdout" else folds.n


def _write(path: Path, tables: Tables, folds: Folds) -> Split:
    kind = _resolve_kind(folds, tables)
    fold = assign_folds(tables.train, tables.targets, folds, kind)
    result = Split(fold, _n_folds(folds, kind), kind, _hash(tables, fold))
    table = pd.DataFrame({"id": tables.train["id"], "fold": fold})
    share = f" holdout={folds.holdout}" if kind == "holdout" else ""
    header = f"# folds n={result.n} kind={kind}{share} seed={folds.seed} rows={result.rows}\n"
    write_text(path, header + table.to_csv(index=False, lineterminator="\n"))
    return result


def _hash(tables: Tables, fold: np.ndarray) -> str:
    roles = [role for role in ("group", "time") if role in tables.train]
    truth = tables.train[["id", *tables.targets.truth_columns, *roles]].astype(str)
    lines = sorted("\t".join([*row, str(k)]) for row, k in zip(truth.itertuples(index=False), fold, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _print_shares(tables: Tables, result: Split) -> None:
    y = tables.targets.encode(tables.train)
    sizes = [int((result.fold == k).sum()) for k in range(result.n)]
    print(f"        {result.n} folds of {min(sizes)} to {max(sizes)} rows")
    if "group" in tables.train:
        straddling = pd.Series(result.fold).groupby(tables.train["group"]).nunique().gt(1).sum()
        print(f"        {tables.train['group'].nunique()} groups, {straddling} in more than one fold")
    rare = [name for name, count in zip(tables.targets.classes, y.sum(axis=0), strict=True) if count < result.n]
    if rare:
        print(f"        warning: fewer rows than folds in {shown(rare)}: some folds validate none of them")
