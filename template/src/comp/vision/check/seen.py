"""What `comp check` looks at: the tables, and every image, decoded once."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from comp.tables import Tables, asked_for
from comp.vision.data.own_columns import own_column
from comp.vision.data.paths import all_paths, images_each
from comp.vision.folds.duplicates import Duplicates, duplicates_of, print_duplicates, sets_of_images, united
from comp.vision.folds.looks import look_at
from comp.vision.pixels.decoding import states, values_of
from comp.vision.pixels.statistics import STATISTICS
from comp.vision.schema import ImageConfig


@dataclass(frozen=True)
class Seen:
    """N training rows, then T test rows; I images, row by row. Sets are numbers: those that are alike have the same."""

    config: ImageConfig
    tables: Tables  # without golden rows
    paths: list[str]  # (I,)
    looks: np.ndarray  # (I,) of LOOK
    n_bytes: np.ndarray  # (I,) of the files; -1 of a missing one
    row_of: np.ndarray  # (I,)
    exact: np.ndarray  # (I,) sets
    every: np.ndarray  # (I,) sets, nearly alike ones too, whichever tables they are in
    duplicates: Duplicates

    @property
    def n(self) -> int:
        return len(self.tables.train)

    @cached_property
    def readable(self) -> np.ndarray:
        """(I,) whether each image is."""
        return np.asarray(self.looks["pixels"] != b"")

    @cached_property
    def first(self) -> np.ndarray:
        """(N + T,) the first image of each row."""
        return np.unique(self.row_of, return_index=True)[1]

    @cached_property
    def of_train(self) -> np.ndarray:
        """(I,) whether each image is a training row's."""
        return self.row_of < self.n

    @property
    def is_train(self) -> np.ndarray:
        """(N + T,) whether each row is a training row."""
        return np.arange(len(self.first)) < self.n

    @cached_property
    def group(self) -> np.ndarray:
        """(N + T,) what may be no two witnesses: rows of one set of images, or of one data.group."""
        every = self.duplicates.every
        if "group" not in self.tables.train:
            return every
        names = pd.concat([self.tables.train["group"], self.groups_of_test])
        number = every.max(initial=-1) + 1 + pd.factorize(names)[0]
        return united(every, every, number)

    @property
    def groups_of_test(self) -> pd.Series:
        """(T,) as `data.group` names them where the test table has that column; else each is of none."""
        test = self.tables.test
        column = own_column(test, str(self.config.data.group))
        return test[column].astype(str).str.strip() if column in test else "of no group: test " + test["id"]

    @cached_property
    def ids(self) -> list[str]:
        """(N + T,) of the rows."""
        return [*self.tables.train["id"], *self.tables.test["id"]]

    def statistic(self, name: str) -> np.ndarray:
        """(N + T,) of each row's first image; NaN of an unreadable one."""
        return np.asarray(self.looks["statistics"][self.first, STATISTICS.index(name)])

    def label(self, row: int) -> str:
        """What a training row is, as text; nothing of a test row."""
        if row >= self.n:
            return ""
        targets, truth = self.tables.targets, self.tables.train.iloc[row]
        if targets.kind == "multilabel":
            return " ".join(name for name in targets.classes if truth[f"target_{name}"]) or "none"
        return ", ".join(_short(truth[name]) for name in targets.truth_columns)


def see(config: ImageConfig, tables: Tables) -> Seen:
    """Looks at all images of both tables, and prints which are alike; what was seen is remembered as `comp split` does.

    `config.data` is settled.
    """
    test = tables.test[asked_for(tables.test["id"])].reset_index(drop=True)
    tables = replace(tables, test=test, golden=None)
    train_paths, test_paths = all_paths(tables.train), all_paths(test)
    paths, data = [*train_paths, *test_paths], config.data
    print(f"images  looking at {len(paths)} of them", flush=True)
    memory = Path(data.work or data.root) / "cache" / "duplicates.npy"
    looks = look_at(paths, data.background, memory, values_of(data))
    exact, near, every = sets_of_images(looks, len(train_paths), config.folds.near_duplicates)
    found = duplicates_of(tables, exact, near, every)
    print_duplicates(found, tables)
    counts = np.concatenate([images_each(table) for table in (tables.train, test)])
    n_bytes = np.array([size for _, size, _ in states(paths)], dtype=np.int64)
    row_of = np.repeat(np.arange(len(counts)), counts)
    return Seen(config, tables, paths, looks, n_bytes, row_of, exact, every, found)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
