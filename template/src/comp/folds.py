"""`folds.csv`: gives every training row its fold, once; all runs share the file. Rows of one group share a fold."""

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from comp.config.common import Experiment, Folding
from comp.errors import CompError, shown
from comp.files import write_text
from comp.readback import reading
from comp.tables import Tables, Targets

HEADER = re.compile(
    r"# folds n=(?P<n>\d+) kind=(?P<kind>\w+)( holdout=(?P<holdout>\S+))? seed=(?P<seed>-?\d+)"
    r"( near_duplicates=(?P<near_duplicates>\w+))? digest=(?P<digest>\w+)"
)
WAY_OUT = "restore it from a copy, or run comp split --force (older runs then no longer combine with new ones)"
BINS = 10  # of numbers, that folds have alike shares of
WITH_GROUPS = {"stratified": "stratified_group", "multilabel": "multilabel_group"}


@dataclass(frozen=True)
class Split:
    """Of the rows of the training table, in its order."""

    fold: np.ndarray  # (N,) int; -1 is never validated on
    group: np.ndarray  # (N,) names; except with folds over time, rows of one group have one fold
    n: int
    kind: str
    digest: str  # of ids, targets and folds: two prediction files with different ones do not mix


def split_rows(config: Experiment, tables: Tables, group: Callable[[Path], np.ndarray], force: bool = False) -> Split:
    """Writes `folds.csv` where there is none yet, and tells which.

    `group` gives the group (N,) of each row; it gets the folder beside the file for what it wants to remember.

    Raises:
        CompError: the file there fits other rows or other settings, and `force` is off.
    """
    path = folds_path(config)
    if path.exists() and not force:
        result = load_split(config, tables)
        print(f"folds   {path} exists and fits: kept")
    else:
        result = _write(path, tables, config, group(path.parent))
        print(f"folds   {path} written")
    sizes = [int((result.fold == k).sum()) for k in range(result.n)]
    print(f"        {result.n} folds of {min(sizes)} to {max(sizes)} rows, {result.kind}")
    if result.kind == "time":
        chosen = ", as data.time is set (folds.kind=auto)" if config.folds.kind == "auto" else ""
        print(f"        each validates later rows than it trains on{chosen}")
    groups = pd.Series(result.group).value_counts()
    groups = groups[groups > 1]
    if len(groups):
        several = f"{len(groups)} groups of {groups.min()} to {groups.max()} rows"
        why = ": folds over time leave rows where they are" if result.kind == "time" else ""
        print(f"        {several}, {len(_parted(result))} of them in more than one fold{why}")
    return result


def folds_path(config: Experiment) -> Path:
    return Path(config.data.work or config.data.root) / "folds.csv"


def digest_in(path: Path) -> str:
    """The digest that a `folds.csv` carries: of ids, targets and folds.

    Raises:
        CompError: it is damaged.
    """
    return str(_read_header(path)["digest"])


def load_split(config: Experiment, tables: Tables) -> Split:
    """The folds of `tables.train` from `folds.csv`.

    Raises:
        CompError: there is no such file, or it was made for other rows or other settings.
    """
    path = folds_path(config)
    if not path.exists():
        raise CompError(f"{path} does not exist: run comp split")
    header = _read_header(path)
    kind = _resolve_kind(config.folds, tables)
    if header["kind"] == WITH_GROUPS.get(kind):
        kind = header["kind"]
    for name, value in _settings(config.folds, kind).items():
        if header[name] != value:
            raise CompError(
                f"{path} has {name}={header[name]}, the configuration asks for folds.{name}={value}: "
                "keep the first, or run comp split --force (older runs then no longer combine with new ones)"
            )
    with reading(path, WAY_OUT):
        table = _read_rows(path)
        fold = tables.train["id"].map(dict(zip(table["id"], table["fold"].astype(int), strict=True)))
        group = tables.train["id"].map(dict(zip(table["id"], table["group"], strict=True)))
        int(header["n"])
    if len(table) != len(tables.train) or fold.isna().any():
        unknown = tables.train["id"][fold.isna()]
        detail = (
            f"new ids {shown(unknown)}" if len(unknown) else f"it has {len(table)} rows, there are {len(tables.train)}"
        )
        raise CompError(f"{path} was made for other training rows ({detail}): run comp split --force")
    fold_of_rows, group_of_rows = fold.to_numpy(dtype=np.int64), group.to_numpy(dtype=object)
    result = Split(fold_of_rows, group_of_rows, int(header["n"]), header["kind"], header["digest"])
    if _hash(tables, result.fold) != result.digest:
        raise CompError(
            f"{path}: ids, labels, groups, times or folds changed since it was written: run comp split --force"
        )
    _refuse_parted_groups(result)
    return result


def units_of(config: Experiment, digest: str, ids: pd.Series) -> np.ndarray:
    """(N,) the group of each of the rows `ids`, which are drawn together; the ids, where folds.csv is another."""
    path = folds_path(config)
    try:
        if path.exists() and _read_header(path)["digest"] == digest:
            with reading(path, WAY_OUT):
                table = _read_rows(path)
                groups = ids.map(dict(zip(table["id"], table["group"], strict=True)))
            if groups.notna().all() and groups.nunique() > 1:
                return groups.to_numpy(dtype=object)
    except CompError:  # it was changed by hand, or is another repository's
        pass
    return ids.to_numpy(dtype=object)


def folds_to_train(config: Experiment, split: Split) -> list[int]:
    """The folds that `folds.use` names.

    Raises:
        CompError: there are fewer.
    """
    if config.folds.use == "all":
        return list(range(split.n))
    unknown = [number for number in config.folds.use if number >= split.n]
    if unknown:
        raise CompError(f"folds.use names fold {unknown[0]}, there are folds 0 to {split.n - 1}")
    return sorted(set(config.folds.use))


def group_names(train: pd.DataFrame) -> pd.Series:
    """Each row's group as the table has it; without groups, each row is one."""
    return train["group" if "group" in train else "id"].astype(str)


def assign_folds(train: pd.DataFrame, targets: Targets, folds: Folding, kind: str) -> np.ndarray:
    """The fold (N,) of each row; the same for the same rows in any order.

    Raises:
        CompError: there are too few rows for so many folds.
    """
    order = np.argsort(train["id"].to_numpy(dtype=str), kind="stable")
    rows = train.iloc[order]
    groups = rows["group"].to_numpy() if "group" in rows else None
    if groups is not None and "group" in kind and len(set(groups)) < folds.n:
        raise CompError(
            f"there are {len(set(groups))} groups, too few for {folds.n} folds: set folds.n lower, "
            "or folds.near_duplicates where different images count as one"
        )
    if kind != "holdout" and len(rows) < folds.n:
        raise CompError(f"there are {len(rows)} training rows, too few for {folds.n} folds: set folds.n lower")
    try:
        pairs = list(_splitter(kind, rows, targets, groups, folds))
    except ValueError as error:
        raise CompError(f"folds.kind={kind} does not work with these rows: {error}") from None
    fold = np.full(len(rows), -1)
    for number, (_, validated) in enumerate(pairs):
        fold[validated] = number
        if not len(validated):
            raise CompError(f"folds.kind={kind} leaves nothing to validate in fold {number}: set folds.n lower")
    back = np.empty_like(fold)
    back[order] = fold
    return back


def _splitter(kind, rows, targets, groups, folds):  # type: ignore[no-untyped-def]
    """Pairs of (training, validated) positions in `rows`, one per fold."""
    from sklearn import model_selection  # only here: it is large

    y = targets.encode(rows)
    shuffled = {"n_splits": folds.n, "shuffle": True, "random_state": folds.seed}
    nothing = np.zeros(len(rows))
    label = _label(y, targets)
    if kind == "stratified":
        return model_selection.StratifiedKFold(**shuffled).split(nothing, _without_tiny_classes(label, folds.n))
    if kind == "group":
        return model_selection.GroupKFold(**shuffled).split(nothing, groups=groups)
    if kind == "stratified_group":
        label = _without_tiny_classes(label, folds.n)
        return model_selection.StratifiedGroupKFold(**shuffled).split(nothing, label, groups)
    if kind == "time":
        return _time_splits(rows["time"], folds.n)
    number = np.arange(len(rows)) if groups is None or kind == "multilabel" else pd.factorize(groups)[0]
    if kind.startswith("multilabel"):
        from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

        labels = pd.DataFrame(y).groupby(number).max().to_numpy()  # those that the group has anywhere
        return _of_rows(number, MultilabelStratifiedKFold(**shuffled).split(np.zeros(len(labels)), labels))
    label = _rarest(label, number)
    holdout = model_selection.StratifiedShuffleSplit(1, test_size=folds.holdout, random_state=folds.seed)
    groups_for_both = math.ceil(1 / min(folds.holdout, 1 - folds.holdout))
    return _of_rows(number, holdout.split(np.zeros(len(label)), _without_tiny_classes(label, groups_for_both)))


def _label(y: np.ndarray, targets: Targets) -> np.ndarray:
    """(N,) what folds have alike shares of: the class; of numbers (N, K), the tenth that their mean is in."""
    if targets.kind == "regression":
        spread = np.maximum(y.std(axis=0), 1e-12)
        ranks = pd.Series(((y - y.mean(axis=0)) / spread).mean(axis=1)).rank(method="average", pct=True)
        return np.minimum((ranks.to_numpy() * BINS).astype(int), BINS - 1)
    return y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)


def _of_rows(number, pairs):  # type: ignore[no-untyped-def]
    """The rows of the groups that `pairs` names; `number` (N,) is each row's group."""
    return [tuple(np.flatnonzero(np.isin(number, groups)) for groups in pair) for pair in pairs]


def _rarest(label: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The label (G,) of each group: the rarest of its rows' labels (N,); `number` (N,) is each row's group."""
    order = np.lexsort((np.bincount(label)[label], number))
    return label[order][np.unique(number[order], return_index=True)[1]]


def _without_tiny_classes(label: np.ndarray, n: int) -> np.ndarray:
    """Classes with fewer rows than folds are spread as if they were one: no splitter can do better with them."""
    tiny = np.flatnonzero(np.bincount(label) < n)
    merged = np.where(np.isin(label, tiny), label.max() + 1, label)
    if 0 < (merged == label.max() + 1).sum() < n:
        merged[merged == label.max() + 1] = np.bincount(label).argmax()
    return merged


def _time_splits(time: pd.Series, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stretches of time of about as many rows; the first only ever trains, so that each validated one has a past.

    Rows of one time are never parted: a border lies at the change of times that is nearest to where it would be.
    """
    when = _when(time)
    order = np.argsort(when, kind="stable")
    changes = np.flatnonzero(np.diff(when[order])) + 1  # of `order`, where a later time begins
    if len(changes) < n:
        raise CompError(
            f"data.time has {len(changes) + 1} different values, and rows of one time stay together: that leaves "
            f"nothing to validate in fold {len(changes)}: set folds.n lower"
        )
    borders = [0]
    for number, wanted in enumerate(np.cumsum([len(part) for part in np.array_split(order, n + 1)])[:-1]):
        possible = changes[changes > borders[-1]]
        possible = possible[: len(possible) - (n - 1 - number)]  # each border after this one needs a change too
        borders.append(int(possible[np.abs(possible - wanted).argmin()]))
    return [(order[:start], order[start:stop]) for start, stop in pairwise([*borders[1:], len(order)])]


def _when(time: pd.Series) -> np.ndarray:
    """Numbers (N,) in the order of time; `time` holds numbers, or dates of ISO 8601."""
    numbers = pd.to_numeric(time, errors="coerce")
    when = numbers if numbers.notna().all() else pd.to_datetime(time, format="ISO8601", errors="coerce", utc=True)
    if when.isna().any():
        raise CompError(
            f"data.time: {when.isna().sum()} values are neither numbers nor dates: {shown(time[when.isna()])}"
        )
    return when.rank(method="dense").to_numpy(dtype=np.int64)


def _resolve_kind(folds: Folding, tables: Tables) -> str:
    grouped = "group" in tables.train
    if folds.kind != "auto":
        if grouped and folds.kind in WITH_GROUPS:
            raise CompError(
                f"folds.kind={folds.kind} would put rows of one data.group into several folds: "
                f"set it to auto, group, {WITH_GROUPS[folds.kind]}, time or holdout"
            )
        if "group" in folds.kind and not grouped:
            raise CompError(f"folds.kind={folds.kind} needs data.group, the column that names each row's group")
        if folds.kind == "time" and "time" not in tables.train:
            raise CompError("folds.kind=time needs data.time, the column to sort by")
        return folds.kind
    if "time" in tables.train:
        if grouped:
            raise CompError(
                "data.time and data.group are both set, and folds over time part groups: set folds.kind to time, or to "
                f"{WITH_GROUPS[_by_labels(tables)]}"
            )
        return "time"
    kind = _by_labels(tables)
    return WITH_GROUPS[kind] if grouped else kind


def _by_labels(tables: Tables) -> str:
    return "multilabel" if tables.targets.kind == "multilabel" else "stratified"


def n_folds(folds: Folding, kind: str) -> int:
    """How many there are."""
    return 1 if kind == "holdout" else folds.n


def _settings(folds: Folding, kind: str) -> dict[str, str]:
    """What the folds depend on besides the rows, as the file's first line has it."""
    settings = {"n": str(n_folds(folds, kind)), "kind": kind}
    if kind == "holdout":
        settings["holdout"] = str(folds.holdout)
    settings["seed"] = str(folds.seed)
    if kind != "time" and hasattr(folds, "near_duplicates"):
        settings["near_duplicates"] = "null" if folds.near_duplicates is None else str(folds.near_duplicates)
    return settings


def _read_header(path: Path) -> re.Match[str]:
    with reading(path, WAY_OUT):
        header = HEADER.match(path.read_text(encoding="utf-8").partition("\n")[0])
    if not header:
        raise CompError(f"{path} was not written by comp split: its first line must be `# folds n=… `")
    return header


def _read_rows(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"id": str, "group": str}, keep_default_na=False, skiprows=1)


def planned_split(config: Experiment, tables: Tables, group: np.ndarray) -> Split:
    """The folds as they would be written; `group` (N,) is each row's.

    Raises:
        CompError: the settings do not fit the rows.
    """
    folds, kind = config.folds, _resolve_kind(config.folds, tables)
    if len(set(group)) < len(group):
        kind = WITH_GROUPS.get(kind, kind)
    fold = assign_folds(tables.train.assign(group=group), tables.targets, folds, kind)
    result = Split(fold, group, n_folds(folds, kind), kind, _hash(tables, fold))
    _refuse_parted_groups(result)
    return result


def _write(path: Path, tables: Tables, config: Experiment, group: np.ndarray) -> Split:
    result = planned_split(config, tables, group)
    fold, settings_of = result.fold, _settings(config.folds, result.kind)
    settings = " ".join(f"{name}={value}" for name, value in settings_of.items())
    table = pd.DataFrame({"id": tables.train["id"], "fold": fold, "group": group})
    write_text(path, f"# folds {settings} digest={result.digest}\n" + table.to_csv(index=False, lineterminator="\n"))
    return result


def _refuse_parted_groups(split: Split) -> None:
    """Whatever wrote the folds: no group may stand in two of them. Over time, what belongs together may recur."""
    if split.kind != "time" and (parted := _parted(split)):
        raise CompError(f"folds.csv has group {parted[0]!r} in more than one fold: run comp split --force")


def _parted(split: Split) -> list[str]:
    folds = pd.Series(split.fold).groupby(split.group).nunique()
    return list(folds.index[folds > 1])


def _hash(tables: Tables, fold: np.ndarray) -> str:
    roles = [role for role in ("group", "time") if role in tables.train]
    truth = tables.train[["id", *tables.targets.truth_columns, *roles]].astype(str)
    lines = sorted("\t".join([*row, str(k)]) for row, k in zip(truth.itertuples(index=False), fold, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
