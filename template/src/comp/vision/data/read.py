"""Reads a competition's files: finds its layout, tells what it found, and checks ids and labels."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from comp.errors import CompError, shown
from comp.registry import find
from comp.tables import Tables, Targets, in_given_order, read_csv, refuse_duplicates
from comp.vision.data.find_images import image_files
from comp.vision.data.golden import without_golden
from comp.vision.data.groups import one_spelling
from comp.vision.data.labels import SEPARATORS, find_targets
from comp.vision.data.paths import in_both, refuse_several
from comp.vision.data.sample_submission import read_sample
from comp.vision.data.several import names_several, put_images, serves_both
from comp.vision.data.times import read_times
from comp.vision.schema import Data

ID_NAMES = ("id", "image_id", "img_id", "imageid", "filename", "file_name", "image", "img", "name", "path", "file")
TARGET_NAMES = ("target", "label", "labels", "class", "category", "y")
TRAIN_FILES = ("train.csv", "train_labels.csv", "labels.csv", "training.csv", "train_data.csv")


def read_tables(data: Data) -> Tables:
    """The competition's tables, as `data` says or as found; golden rows, where some were set aside, are test rows.

    Raises:
        CompError: files, columns, images or labels are missing, or an id appears twice.
    """
    return without_golden(read_all(data), data)


def read_all(data: Data) -> Tables:
    """The same, golden rows among the training rows."""
    if data.reader != "auto":
        return _read_by_custom_reader(data)
    sample, line = read_sample(data)
    notes = [line]
    train, targets, id_column = _read_labeled(data, sample, notes)
    test = _read_test(data, Path(data.root), sample, id_column, notes)
    refuse_duplicates(test["id"], "test")
    in_both(train, test)
    return Tables(train, test.reset_index(drop=True), sample, targets, notes)


def read_training_table(data: Data) -> tuple[pd.DataFrame, Targets, list[str]]:
    """The training table alone, its targets, and what to tell of it: for data that has no test.

    Raises:
        CompError: as `read_tables`.
    """
    notes: list[str] = []
    if data.reader != "auto":
        tables = _read_by_custom_reader(data)
        return tables.train, tables.targets, tables.notes
    train, targets, _ = _read_labeled(data, None, notes)
    refuse_several(train, f"data.path={data.path}")
    return train, targets, notes


def read_labels(data: Data) -> tuple[pd.DataFrame, list[str]]:
    """A table of images alone: `id`, `path`, `label` as text, its other columns; and what to tell of it.

    Raises:
        CompError: as `read_tables`, or there are several label columns.
    """
    notes: list[str] = []
    table, labels, _ = _read_train(data, Path(data.root), None, notes)
    if len(labels) != 1:
        raise CompError(f"{data.root}: one column of labels is needed, not {shown(labels)}: set data.target to it")
    refuse_several(table, f"data.path={data.path}")
    refuse_duplicates(table["id"], data.root)
    return table.assign(label=table[labels[0]].str.strip()), notes


def _read_by_custom_reader(data: Data) -> Tables:
    tables: Tables = find("reader", data.reader)(data)
    return replace(tables, targets=in_given_order(tables.targets, data.classes)) if data.classes else tables


def _read_labeled(data: Data, sample: pd.DataFrame | None, notes: list[str]) -> tuple[pd.DataFrame, Targets, str]:
    root = Path(data.root)
    train, labels, id_column = _read_train(data, root, sample, notes)
    refuse_duplicates(train["id"], "train")
    for role in ("group", "time"):
        column = getattr(data, role)
        if column is not None:
            train[role] = _column(train, column, f"data.{role}")
    if data.group is not None:
        train["group"], joined = one_spelling(train["group"])
        if joined:
            notes.append(f"groups  {data.group!r} has groups in several spellings, read as one: {joined}")
        blank = train["group"] == ""
        train.loc[blank, "group"] = "of no group: " + train["id"][blank]
        if blank.any():
            notes.append(f"groups  {blank.sum()} rows have no {data.group!r}: each is a group of its own")
    if data.time is not None:
        train["time"], how = read_times(train["time"], data.time_format)
        notes.append(f"time    {data.time!r} read as {how}")
    asked = [] if sample is None or sample.shape[1] != 2 else list(sample.iloc[:, 1])
    train, targets = find_targets(train, labels, data.kind, asked)
    targets = in_given_order(targets, data.classes) if data.classes else targets
    notes.append(f"target  {targets.kind}: {_about(targets, train)}{_how_read(labels, targets)}")
    unasked = {role: f"column {role}" for role in ("group", "time") if getattr(data, role) is None}
    train = train.rename(columns=unasked)  # one that only happens to be called so steps aside
    return train.reset_index(drop=True), targets, id_column


def _read_train(
    data: Data, root: Path, sample: pd.DataFrame | None, notes: list[str]
) -> tuple[pd.DataFrame, list[str], str]:
    """The training table with `id` and `path`, its label columns, and what the id column was called."""
    if not root.is_dir():
        raise CompError(
            f"data.root={data.root} is not a folder: put the competition's files there, or run comp demo-data"
        )
    source = _train_source(data, root)
    if source.is_dir():
        if names_several(data.path):
            raise CompError(f"data.path={data.path}: in {source}, a folder, each image is a row: several need a table")
        train = _read_class_folders(source)
        notes.append(f"train   {len(train)} images, {train['label'].nunique()} subfolders of {source} as classes")
        return train, ["label"], "id"
    table = read_csv(source)
    id_column = _id_column(data, table, sample, source)
    labels = _label_columns(data, table, sample, id_column, source)
    how = put_images(table, root, "train", data.path, id_column)
    table["id"] = table[id_column]
    notes.append(f"train   {len(table)} rows of {source}; ids in {id_column!r}, images at {how}")
    return table, labels, id_column


def _train_source(data: Data, root: Path) -> Path:
    if data.train != "auto":
        source = root / data.train
        if not source.exists():
            raise CompError(f"data.train={data.train}: {source} does not exist")
        return source
    for name in TRAIN_FILES:
        if (root / name).is_file():
            return root / name
    for folder in ("train", "train_images", "training", "images"):
        if (root / folder).is_dir() and any(path.is_dir() for path in (root / folder).iterdir()):
            return root / folder
    here = shown(sorted(path.name for path in root.iterdir()), 8)
    raise CompError(f"no training table or folder in {root} (there are {here}): set data.train, or run comp demo-data")


def _read_class_folders(folder: Path) -> pd.DataFrame:
    files = [name for name in image_files(folder) if "/" in name]
    if not files:
        raise CompError(f"{folder} has no images in subfolders: expected {folder}/<class>/<image>")
    labels = [name.partition("/")[0] for name in files]
    return pd.DataFrame({"id": files, "path": [str(folder / name) for name in files], "label": labels}, dtype=object)


def _read_test(data: Data, root: Path, sample: pd.DataFrame | None, id_column: str, notes: list[str]) -> pd.DataFrame:
    if data.test is None:
        notes.append("test    none (data.test=null): there is nothing to submit")
        return pd.DataFrame({"id": [], "path": []}, dtype=object)
    if data.test != "auto":
        source = root / data.test
        if not source.exists():
            raise CompError(f"data.test={data.test}: {source} does not exist")
    else:
        candidates = [root / "test.csv", *(root / name for name in ("test", "test_images", "testing"))]
        present = [path for path in candidates if path.exists()]
        if not present:
            raise CompError(f"no test.csv and no test folder in {root}: set data.test, to null if there is no test set")
        source = present[0]
    if source.is_dir():
        if sample is None or not names_several(_test_path(data, sample)):
            return _read_test_folder(source, sample, notes)
        table, source = sample.iloc[:, :1].copy(), Path("the sample submission")
    else:
        table = read_csv(source)
    id_column = id_of_test(data, table, sample, source, id_column)
    how = find_test_images(data, table, root, id_column)
    notes.append(f"test    {len(table)} rows of {source}; {how}")
    return table


def id_of_test(data: Data, table: pd.DataFrame, sample: pd.DataFrame | None, source: Path, of_train: str = "") -> str:
    """The id column of a test table: data.id, else the one that the training table has, else as found.

    Raises:
        CompError: there is none.
    """
    if data.id != "auto":
        return str(_column(table, data.id, "data.id").name)
    return of_train if of_train in table.columns else _id_column(data, table, sample, source)


def find_test_images(data: Data, table: pd.DataFrame, root: Path, id_column: str) -> str:
    """Gives a test table its `id` and its `path`, of images below `root`; where both were found, in words.

    Raises:
        CompError: images are missing, or nothing tells where they are.
    """
    how = put_images(table, root, "test", _test_path(data, table), id_column)
    table["id"] = table[id_column]
    return f"ids in {id_column!r}, images at {how}"


def _test_path(data: Data, table: pd.DataFrame) -> str | list[str]:
    if data.test_path != "auto":
        return data.test_path
    return data.path if serves_both(data.path, table.columns) else "auto"


def _read_test_folder(folder: Path, sample: pd.DataFrame | None, notes: list[str]) -> pd.DataFrame:
    """A plain folder of images; an id is the file's name, with or without extension as the sample has it."""
    files = image_files(folder)
    if not files:
        raise CompError(f"the test folder {folder} has no images")
    spellings = {
        "names": files,
        "names without extension": [name.rpartition(".")[0] for name in files],
        "paths": [f"{folder.name}/{name}" for name in files],
    }
    wanted = set(sample.iloc[:, 0]) if sample is not None else set()
    how = max(spellings, key=lambda spelling: len(wanted.intersection(spellings[spelling])))
    notes.append(f"test    {len(files)} images in {folder}; ids are their {how}")
    return pd.DataFrame({"id": spellings[how], "path": [str(folder / name) for name in files]}, dtype=object)


def _id_column(data: Data, table: pd.DataFrame, sample: pd.DataFrame | None, source: Path) -> str:
    if data.id != "auto":
        return str(_column(table, data.id, "data.id").name)
    if sample is not None and sample.columns[0] in table.columns:
        return str(sample.columns[0])
    for name in ID_NAMES:
        for column in table.columns:
            if column.lower() == name:
                return column
    raise CompError(f"which column of {source} is the id? Set data.id to one of {shown(table.columns, 12)}")


def _label_columns(
    data: Data, table: pd.DataFrame, sample: pd.DataFrame | None, id_column: str, source: Path
) -> list[str]:
    if data.target != "auto":
        columns = [data.target] if isinstance(data.target, str) else list(data.target)
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if id_column in columns or twice:
            what = f"has {shown(twice)} twice" if twice else f"names the id column {id_column!r}"
            raise CompError(f"data.target {what}: name the columns of {source} that hold the labels, each once")
        return [str(_column(table, column, "data.target").name) for column in columns]
    if sample is not None:
        asked = [column for column in sample.columns[1:] if column in table.columns]
        if len(asked) == sample.shape[1] - 1:
            return asked
    for name in TARGET_NAMES:
        for column in table.columns:
            if column.lower() == name:
                return [column]
    images = [data.path] if isinstance(data.path, str) else data.path
    rest = [column for column in table.columns if column not in {id_column, *images, data.group, data.time}]
    if len(rest) == 1:
        return rest
    raise CompError(f"which column of {source} is the label? Set data.target to one of {shown(rest, 12)}")


def _column(table: pd.DataFrame, column: str, key: str) -> pd.Series:
    if column not in table.columns:
        raise CompError(f"{key}={column}: no such column; there are {shown(table.columns, 12)}")
    return table[column]


def _about(targets: Targets, train: pd.DataFrame) -> str:
    """The classes, or the range of each number."""
    names = targets.classes
    if targets.kind != "regression":
        return f"{len(names)} of them: {', '.join(names[:8])}" + (f" and {len(names) - 8} more" if names[8:] else "")
    values = train[targets.truth_columns]
    ranges = [
        f"{name} from {values[column].min():g} to {values[column].max():g}, mean {values[column].mean():.4g}"
        for name, column in zip(names[:4], values, strict=False)
    ]
    return f"{len(names)} numbers per row: " * (len(names) > 1) + "; ".join(ranges)


def _how_read(labels: list[str], targets: Targets) -> str:
    if targets.kind == "multiclass" and len(labels) > 1:
        return "; one per row, as each row has exactly one 1 (data.kind=multilabel makes them independent)"
    if targets.separator:
        return f"; lists in {labels[0]!r}, separated by {SEPARATORS[targets.separator]}"
    return "; in the order of data.classes" if targets.ordered else ""
