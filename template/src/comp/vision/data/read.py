"""Reads a competition's files: finds its layout, tells what it found, and checks ids and labels."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from comp.errors import CompError, shown
from comp.registry import find
from comp.tables import Tables, Targets, in_given_order, refuse_duplicates
from comp.vision.data.find_images import image_files
from comp.vision.data.golden import without_golden
from comp.vision.data.groups import one_spelling
from comp.vision.data.labels import SEPARATORS, find_targets
from comp.vision.data.own_columns import ASIDE, own_column, users_names
from comp.vision.data.paths import in_both, refuse_several
from comp.vision.data.sample_submission import read_sample
from comp.vision.data.several import names_several, serves_both
from comp.vision.data.sources import settled_root, split_column, test_source, train_source
from comp.vision.data.table_of_images import TableOfImages
from comp.vision.data.times import read_times
from comp.vision.schema import Data

ID_NAMES = ("id", "image_id", "img_id", "imageid", "filename", "file_name", "image", "img", "name", "path", "file")
NO_TEST = "no test.csv and no test folder"
NO_TEST_SET = "set data.test, to null if there is no test set"
EACH_ONCE = ": leave one row of each, or set data.id to a column that has each value once"
TARGET_NAMES = ("target", "label", "labels", "class", "category", "y")


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
    data, notes = settled_root(data)
    sample, line = read_sample(data)
    notes.append(line)
    train, targets, id_column = _read_labeled(data, sample, notes)
    if data.test is None:
        test = train.iloc[:0].drop(columns=[*targets.truth_columns, "group", "time"], errors="ignore")
        notes.append("test    none (data.test=null): there is nothing to submit")
    else:
        test = _read_test(data, Path(data.root), sample, id_column, notes)
    refuse_duplicates(test["id"], "test", EACH_ONCE)
    in_both(train, test)
    return Tables(train, test.reset_index(drop=True), sample, targets, notes)


def read_training_table(data: Data) -> tuple[pd.DataFrame, Targets, list[str]]:
    """The training table alone, its targets, and what to tell of it: for data that has no test.

    Raises:
        CompError: as `read_tables`.
    """
    if data.reader != "auto":
        tables = _read_by_custom_reader(data)
        return tables.train, tables.targets, tables.notes
    data, notes = settled_root(data)
    train, targets, _ = _read_labeled(data, None, notes)
    refuse_several(train, f"data.path={data.path}")
    return train, targets, notes


def read_labels(data: Data) -> tuple[pd.DataFrame, list[str]]:
    """A table of images alone: `id`, `path`, `label` as text, its other columns; and what to tell of it.

    Raises:
        CompError: as `read_tables`, or there are several label columns.
    """
    data, notes = settled_root(data)
    table, labels, _ = _read_train(data, Path(data.root), None, notes)
    if len(labels) != 1:
        raise CompError(f"{data.root}: one column of labels is needed, not {shown(labels)}: set data.target to it")
    refuse_several(table, f"data.path={data.path}")
    refuse_duplicates(table["id"], data.root)
    label = table[own_column(table, labels[0])].str.strip()
    return table.rename(columns={"label": f"{ASIDE}label"}).assign(label=label), notes


def _read_by_custom_reader(data: Data) -> Tables:
    tables: Tables = find("reader", data.reader)(data)
    return replace(tables, targets=in_given_order(tables.targets, data.classes)) if data.classes else tables


def _read_labeled(data: Data, sample: pd.DataFrame | None, notes: list[str]) -> tuple[pd.DataFrame, Targets, str]:
    root = Path(data.root)
    train, labels, id_column = _read_train(data, root, sample, notes)
    refuse_duplicates(train["id"], "train", EACH_ONCE)
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
    return train.reset_index(drop=True), targets, id_column


def _read_train(
    data: Data, root: Path, sample: pd.DataFrame | None, notes: list[str]
) -> tuple[pd.DataFrame, list[str], str]:
    """The training table with `id` and `path`, its label columns, and what the id column was called."""
    if not root.is_dir():
        raise CompError(
            f"data.root={data.root} is not a folder: run comp download, put the files there, or run comp demo-data"
        )
    source = train_source(data, root)
    if source.is_dir():
        if names_several(data.path):
            raise CompError(f"data.path={data.path}: in {source}, a folder, each image is a row: several need a table")
        train = _read_class_folders(source)
        notes.append(f"train   {len(train)} images, {train['label'].nunique()} subfolders of {source} as classes")
        return train, ["label"], "id"
    read = TableOfImages.read(data, source, data.path)
    read.part("train", shared=data.test is not None and test_source(data, root) in {None, source})
    id_column = _id_column(data, read, sample, "train")
    labels = _label_columns(data, read.table, sample, id_column, source)
    how = read.find_images(data, "train", data.path, id_column)
    notes.append(f"train   {len(read.table)} rows of {source}{read.told}; {how}")
    return read.table, labels, id_column


def _read_class_folders(folder: Path) -> pd.DataFrame:
    files = [name for name in image_files(folder) if "/" in name]
    if not files:
        raise CompError(f"{folder} has no images in subfolders: expected {folder}/<class>/<image>")
    labels = [name.partition("/")[0] for name in files]
    return pd.DataFrame({"id": files, "path": [str(folder / name) for name in files], "label": labels}, dtype=object)


def _read_test(data: Data, root: Path, sample: pd.DataFrame | None, id_column: str, notes: list[str]) -> pd.DataFrame:
    source = test_source(data, root)
    if source is not None and source.is_dir():
        if sample is None or not names_several(_test_path(data, sample)):
            return _read_test_folder(source, sample, notes)
        read = TableOfImages(Path("the sample submission"), sample.iloc[:, :1].copy(), None, False, "")
    else:
        read = _open_test_table(data, root, source)
    _, how = find_test_images(data, read, sample, id_column)
    notes.append(f"test    {len(read.table)} rows of {read.source}{read.told}; {how}")
    return read.table


def _open_test_table(data: Data, root: Path, source: Path | None) -> TableOfImages:
    """The table `source`; without one, the test rows of the training table."""
    trained = train_source(data, root)
    if source is None and trained.is_dir():
        raise CompError(f"{NO_TEST} in {root}: {NO_TEST_SET}")
    read = TableOfImages.read(data, source or trained, data.path if data.test_path == "auto" else data.test_path)
    parted = source in {None, trained} and read.part("test", shared=True)
    if source is None and not parted:
        raise CompError(f"{NO_TEST} in {root}: {NO_TEST_SET}")
    return read


def find_test_images(
    data: Data, read: TableOfImages, sample: pd.DataFrame | None, of_train: str = ""
) -> tuple[str, str]:
    """Gives a test table its ids and images; the ids' column, the training table's if it has it, and how, in words.

    Raises:
        CompError: images are missing, or nothing tells where they are, or which column has the ids.
    """
    id_column = of_train
    if data.id != "auto" or id_column not in read.table.columns:
        id_column = _id_column(data, read, sample, "test")
    return id_column, read.find_images(data, "test", _test_path(data, read.table), id_column)


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


def _id_column(data: Data, read: TableOfImages, sample: pd.DataFrame | None, split: str) -> str:
    """The name of the column; of pixels without one, that which they are given."""
    table = read.table
    if data.id != "auto":
        return str(_column(table, data.id, "data.id").name)
    if sample is not None and sample.columns[0] in table.columns:
        return str(sample.columns[0])
    for name in ID_NAMES:
        for column in table.columns:
            if column.lower() == name:
                return column
    if read.are_images:
        return read.number(sample, split)
    raise CompError(f"which column of {read.source} is the id? Set data.id to one of {shown(table.columns, 12)}")


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
    others = {id_column, *images, data.group, data.time, split_column(table)}
    rest = [column for column in table.columns if column not in others]
    if len(rest) == 1:
        return rest
    raise CompError(f"which column of {source} is the label? Set data.target to one of {shown(rest, 12)}")


def _column(table: pd.DataFrame, column: str, key: str) -> pd.Series:
    name = own_column(table, column)
    if name not in table.columns:
        raise CompError(f"{key}={column}: no such column; there are {shown(users_names(table), 12)}")
    return table[name]


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
