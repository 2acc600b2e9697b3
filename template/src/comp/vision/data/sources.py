"""Which files and folders of a competition are its tables and images: as `data` names them, or by their usual names."""

from pathlib import Path

import pandas as pd

from comp.errors import CompError, shown
from comp.files.archives import not_unpacked
from comp.files.tables import table_called, tables_in
from comp.vision.schema import Data

TRAIN_TABLES = ("train", "train_labels", "labels", "training", "train_data")
TRAIN_FOLDERS = ("train", "train_images", "training", "images")
TEST_TABLES, TEST_FOLDERS = ("test",), ("test", "test_images", "testing")
OTHER_TABLES = ("sample", "solution", "test", "folds", "golden", "synthetic", "combined")  # what names of others hold
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}  # folders called so are no classes
NOT_FOLLOWED = {"cache", "demo", "__MACOSX"}  # what commands of this program, and systems, put into data.root
SPLIT_COLUMNS = ("usage", "split", "subset", "set", "partition")
TEST_ROWS = {"test", "testing", "publictest", "privatetest", "public", "private"}
TRAIN_ROWS = {"train", "training", "val", "valid", "validation", "dev"}


def settled_root(data: Data) -> tuple[Data, list[str]]:
    """`data` with the folder that holds the training data, one below `data.root` where only one there does; told.

    What is written stays where it was.
    """
    root = Path(data.root)
    if not root.is_dir() or _train_here(data, root):
        return data, []
    inside = _inner_roots(data, root)
    if len(inside) != 1:
        return data, []
    (inner,) = inside
    note = f"root    {inner}: the training data lies there, in a folder of data.root (data.root={inner.as_posix()})"
    return data.model_copy(update={"root": str(inner), "work": data.work or data.root}), [note]


def train_source(data: Data, root: Path) -> Path:
    """The training table, or the folder with a subfolder for each class.

    Raises:
        CompError: there is neither.
    """
    if data.train != "auto":
        source = root / data.train
        if not source.exists():
            raise CompError(f"data.train={data.train}: {source} does not exist{not_unpacked(root)}")
        return source
    found = _train_here(data, root)
    if found is not None:
        return found
    here = shown(sorted(path.name for path in root.iterdir()), 8)
    others = [path for path in tables_in(root) if not any(word in path.name.lower() for word in OTHER_TABLES)]
    leads = f"data.train={others[0].name}" if len(others) == 1 else "data.train"
    if inside := _inner_roots(data, root):
        leads = " or ".join(f"data.root={path.as_posix()}" for path in inside[:3])
    raise CompError(
        f"no training table or folder in {root} (there are {here}): set {leads}, or run comp demo-data"
        f"{not_unpacked(root)}"
    )


def test_source(data: Data, root: Path) -> Path | None:
    """The test table or folder; None where `data.test` is auto and there is none.

    Raises:
        CompError: what `data.test` names is missing.
    """
    if data.test not in {None, "auto"}:
        source = root / str(data.test)
        if not source.exists():
            raise CompError(f"data.test={data.test}: {source} does not exist{not_unpacked(root)}")
        return source
    folders = [root / name for name in TEST_FOLDERS if (root / name).is_dir()]
    return table_called(root, TEST_TABLES) or (folders[0] if folders else None)


def split_column(table: pd.DataFrame) -> str | None:
    """The column that parts a table into training and test rows, such as Usage of FER2013; None if none does."""
    for column in table.columns:
        if column.lower() in SPLIT_COLUMNS:
            values = set(table[column].str.strip().str.lower())
            if values <= TEST_ROWS | TRAIN_ROWS and values & TEST_ROWS and values & TRAIN_ROWS:
                return str(column)
    return None


def rows_of(table: pd.DataFrame, column: str, split: str) -> pd.DataFrame:
    """The training or the test rows of a table with both, as its `split_column` says; without that column."""
    is_test = table[column].str.strip().str.lower().isin(TEST_ROWS)
    return table[is_test if split == "test" else ~is_test].drop(columns=column)


def visible_folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _inner_roots(data: Data, root: Path) -> list[Path]:
    """The folders in `root` that hold training data."""
    return [path for path in visible_folders(root) if path.name not in NOT_FOLLOWED and _train_here(data, path)]


def _train_here(data: Data, root: Path) -> Path | None:
    if data.train != "auto":
        return root / data.train if (root / data.train).exists() else None
    table = table_called(root, TRAIN_TABLES)
    if table is not None:
        return table
    for name in TRAIN_FOLDERS:
        if (root / name).is_dir():
            inside = {path.name.lower() for path in visible_folders(root / name)} - {"__macosx"}
            if inside and not inside <= SPLITS:
                return root / name
    return None
