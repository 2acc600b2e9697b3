"""What is known about an image besides its pixels: its size, and any column of the table, as numbers for a network."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.vision.data.own_columns import own_column, users_names
from comp.vision.pixels.image_file import BadImage, read

IMAGE_FACTS = ("height", "width", "has_alpha")  # read from the files; a column of the table that is called so wins
ROUNDING = 1e-14  # share of the largest number; by less, numbers do not differ
MISSING = {"", "na", "nan", "null", "none", "n/a"}


@dataclass(frozen=True)
class Column:
    """How one column becomes numbers. A number: standardized, and a mark where it is missing. A category: its place."""

    name: str
    categories: tuple[str, ...] | None = None  # None: a number
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class MetadataEncoder:
    """Made of training rows only, and kept in the checkpoint: other rows are encoded as those were."""

    columns: tuple[Column, ...]

    @classmethod
    def fitted(cls, table: pd.DataFrame) -> "MetadataEncoder":
        """Of the columns of `table`, which hold text: those with only numbers in them are numbers."""
        return cls(tuple(_fitted_column(table[name]) for name in table.columns))

    @classmethod
    def from_facts(cls, facts: list[dict[str, Any]]) -> "MetadataEncoder":
        """What `facts()` gave."""
        tuples = [{**fact, "categories": fact["categories"] and tuple(fact["categories"])} for fact in facts]
        return cls(tuple(Column(**fact) for fact in tuples))

    def facts(self) -> list[dict[str, Any]]:
        """Itself as JSON."""
        return [asdict(column) for column in self.columns]

    @property
    def n_numbers(self) -> int:
        """How many of the encoded columns are numbers; they stand first."""
        return 2 * sum(column.categories is None for column in self.columns)

    @property
    def category_sizes(self) -> list[int]:
        """How many values each category has, the unknown one among them."""
        return [len(column.categories) + 1 for column in self.columns if column.categories is not None]

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """(N, M) float32: each number's value and 1 where it is missing, then each category's place, 0: unknown."""
        numbers: list[np.ndarray] = []
        places: list[np.ndarray] = []
        for column in self.columns:
            if column.categories is None:
                values = numbers_of(table[column.name])
                missing = np.isnan(values)
                numbers += [np.where(missing, 0.0, (values - column.mean) / column.std), missing]
            else:
                place = {value: number for number, value in enumerate(column.categories, start=1)}
                places.append(table[column.name].astype(str).map(place).fillna(0).to_numpy())
        return np.column_stack([*numbers, *places]).astype(np.float32)


def read_metadata(table: pd.DataFrame, names: Sequence[str], which: str) -> pd.DataFrame:
    """The columns `names` of `table`; those of IMAGE_FACTS that it lacks are read from the images at its `path`.

    Raises:
        CompError: a column is missing.
    """
    own = {name: own_column(table, name) for name in names}
    from_files = [name for name in names if name in IMAGE_FACTS and name not in table.columns]
    unknown = [name for name in names if own[name] not in table.columns and name not in IMAGE_FACTS]
    if unknown:
        raise CompError(
            f"model.metadata names {shown(unknown)}: no such column in the {which} table; "
            f"there are {shown([*users_names(table), *IMAGE_FACTS], 12)}"
        )
    found = pd.DataFrame({name: table[own[name]] for name in names if name not in from_files}, index=table.index)
    if from_files:
        with ThreadPoolExecutor() as pool:
            facts = list(pool.map(_facts_of_image, table["path"], chunksize=64))
        read = pd.DataFrame(facts, columns=list(IMAGE_FACTS), index=table.index)
        found = found.join(read[from_files])
    return found[list(names)]


def _facts_of_image(path: str) -> tuple[float, float, float]:
    """From the file's header; NaN where it cannot be read."""
    try:
        return read(Path(path), lambda image: (image.height, image.width, float(image.has_transparency_data)))
    except BadImage:
        return np.nan, np.nan, np.nan


def _fitted_column(values: pd.Series) -> Column:
    numbers = numbers_of(values)
    known = numbers[~np.isnan(numbers)]
    if len(known) and len(known) == int((~is_missing(values)).sum()):
        differ = np.ptp(known) > ROUNDING * np.abs(known).max()
        return Column(str(values.name), mean=float(known.mean()), std=float(known.std()) if differ else 1.0)
    present = values[~is_missing(values)].astype(str)
    return Column(str(values.name), categories=tuple(sorted(present.unique())))


def numbers_of(values: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def is_missing(values: pd.Series) -> pd.Series:
    return values.isna() | values.astype(str).str.strip().str.lower().isin(MISSING)
