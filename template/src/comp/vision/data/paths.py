"""The images of the rows of a table, which keeps one line a row.

`path` is the row's first image, `all paths` the tuple of all of them in order. A table without it has one image a row.
"""

import numpy as np
import pandas as pd

from comp.errors import CompError

PATHS = "all paths"


def images_of_rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """The images of each row."""
    return list(table[PATHS]) if PATHS in table else [(name,) for name in table["path"]]


def all_paths(table: pd.DataFrame) -> list[str]:
    """The images of all rows, row by row."""
    return [name for own in images_of_rows(table) for name in own]


def image_counts(table: pd.DataFrame) -> np.ndarray | None:
    """(N,) how many images each row has; None where each has one."""
    return np.array(list(map(len, table[PATHS])), dtype=np.int64) if PATHS in table else None


def images_each(table: pd.DataFrame) -> np.ndarray:
    """(N,) the same, of ones where each row has one."""
    counts = image_counts(table)
    return np.ones(len(table), dtype=np.int64) if counts is None else counts


def id_and_images(table: pd.DataFrame) -> pd.DataFrame:
    """What says which images each row is."""
    return table[["id", "path", *([PATHS] if PATHS in table else [])]]


def in_both(train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Gives both tables `all paths` if one of them has them: golden rows go from one to the other."""
    if PATHS in train or PATHS in test:
        for table in (train, test):
            if PATHS not in table:
                table[PATHS] = pd.Series(images_of_rows(table), index=table.index, dtype=object)


def refuse_several(table: pd.DataFrame, key: str) -> None:
    """Raises: CompError: rows of `table`, which `key` names, have several images, and what reads them takes one."""
    if PATHS in table:
        raise CompError(f"{key}: rows have several images, and here each image is a row: give each a row of its own")
