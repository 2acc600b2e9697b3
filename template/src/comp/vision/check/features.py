"""What is known of rows besides pixels, as features: facts of their files, and columns of the tables."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from comp.vision.check.seen import Seen
from comp.vision.data.metadata import is_missing, numbers_of
from comp.vision.data.own_columns import own_column, users_name
from comp.vision.data.paths import PATHS
from comp.vision.pixels.statistics import MODES, STATISTICS

Kind = Literal["number", "category", "text", "counter"]
RESERVED = {"id", "path", PATHS, "group", "time"}
MOSTLY_DIFFERENT = 0.5  # distinct values by rows: a text of so many says which row it is
BINS, LEAST_IN_BIN = 32, 20


@dataclass(frozen=True)
class Feature:
    """`values` (N + T,), or (N,) where test rows have none: float64, NaN where missing; or text, "" where missing."""

    name: str
    values: np.ndarray
    kind: Kind
    in_test: bool = True

    @property
    def numbers(self) -> np.ndarray:
        """The values as floats: of text, its place among all values; NaN where missing."""
        if self.kind != "category":
            return self.values
        places = pd.factorize(self.values, sort=True)[0].astype(np.float64)
        return np.where(self.values == "", np.nan, places)

    @property
    def bins(self) -> np.ndarray:
        """(…,) int: the bin of each value; missing ones have their own."""
        if self.kind == "category" or len(np.unique(self.values)) <= BINS:
            return np.asarray(pd.factorize(self.values, use_na_sentinel=False)[0])
        known = ~np.isnan(self.values)
        count = int(np.clip(known.sum() // LEAST_IN_BIN, 2, BINS))
        edges = np.unique(np.quantile(self.values[known], np.linspace(0, 1, count + 1)[1:-1]))
        return np.where(known, np.searchsorted(edges, self.values, side="right"), len(edges) + 1)


def pixel_features(seen: Seen) -> list[Feature]:
    """Brightness and colors."""
    names = STATISTICS[STATISTICS.index("mean_r") : STATISTICS.index("mode")]
    return [Feature(name.replace("_", " "), seen.statistic(name), "number") for name in names]


def file_features(seen: Seen) -> list[Feature]:
    """Sizes, and what kind of file each image is; how many images a row has, where that differs."""
    pixels = seen.statistic("pixels")
    n_bytes = np.where(seen.readable, seen.n_bytes, np.nan)[seen.first]
    modes = np.array([*MODES, "another mode", ""], dtype=object)
    place = np.nan_to_num(seen.statistic("mode"), nan=len(modes) - 1).astype(int)
    features = [
        *(Feature(name, seen.statistic(name), "number") for name in ("width", "height", "aspect")),
        Feature("bytes", n_bytes, "number"),
        *([Feature("bytes a pixel", n_bytes / pixels, "number")] if len(set(pixels)) > 1 else []),
        Feature("mode", modes[place], "category"),
        Feature("format", seen.looks["format"][seen.first].astype(str).astype(object), "category"),
    ]
    counts = np.bincount(seen.row_of).astype(np.float64)
    if len(set(counts)) > 1:
        features.append(Feature("images a row", counts, "number"))
    return features


def columns(seen: Seen) -> list[Feature]:
    """The columns of the training table that are neither ids, images, targets, groups nor times."""
    train, test, data = seen.tables.train, seen.tables.test, seen.config.data
    asked = {own_column(train, name) for name in (data.group, data.time) if name is not None}
    without = {*RESERVED, *seen.tables.targets.truth_columns, *asked}
    same_as_id = [name for name in train if name not in without and (train[name].astype(str) == train["id"]).all()]
    names = [str(name) for name in train if name not in {*without, *same_as_id}]
    return [_column(name, train[name], test.get(name) if len(test) else None) for name in names]


def _column(name: str, train: pd.Series, test: pd.Series | None) -> Feature:
    both = train if test is None else pd.concat([train, test], ignore_index=True)
    numbers, missing = numbers_of(both), is_missing(both).to_numpy()
    label = users_name(name)
    known = numbers[~missing]
    if len(known) and not np.isnan(known).any():
        return Feature(label, numbers, "counter" if _counts(known) else "number", test is not None)
    text = both.astype(str).str.strip().to_numpy(dtype=object)
    text[missing] = ""
    different = len(set(text[~missing]))
    kind: Kind = "text" if different > max(MOSTLY_DIFFERENT * (~missing).sum(), BINS) else "category"
    return Feature(label, text, kind, test is not None)


def _counts(numbers: np.ndarray) -> bool:
    """Whether whole numbers are each there once, with few left out: they number the rows."""
    whole = bool((numbers % 1 == 0).all()) and len(np.unique(numbers)) == len(numbers) > BINS
    return whole and np.ptp(numbers) < 2 * len(numbers)
