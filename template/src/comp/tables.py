"""What is to be predicted: the classes, and how labels become numbers."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from comp.errors import CompError, plural, shown
from comp.files.tables import read_csv as read_csv  # part of this module's face

Kind = Literal["multiclass", "binary", "multilabel", "regression", "embedding"]
GOLDEN = "golden:"  # what ids of golden rows begin with
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Targets:
    """The kind of target and its classes, in the order of every column of probabilities.

    `multiclass`: one of `classes` per row. `binary`: a 0 or 1, `classes` holds the target's name. `multilabel`: a 0 or
    1 for each of `classes`. `regression`: a number for each of `classes`. `embedding`: a vector, without classes.
    """

    kind: Kind
    classes: tuple[str, ...]
    ordered: bool = False  # data.classes gave their order
    separator: str = ""  # between the labels in a cell, where one column holds several
    no_and_yes: tuple[str, str] = ("0", "1")  # as label columns spell them

    @property
    def columns(self) -> list[str]:
        """The names of the columns of a predictions table that hold what is predicted."""
        return ["embedding"] if self.kind == "embedding" else [f"p_{name}" for name in self.classes]

    @property
    def truth_columns(self) -> list[str]:
        """The names of the target columns in tables and out-of-fold predictions."""
        several = self.kind == "multilabel" or (self.kind == "regression" and len(self.classes) > 1)
        return [f"target_{name}" for name in self.classes] if several else ["target"]

    @property
    def positions(self) -> np.ndarray | None:
        """(K,) where each class stands on the scale of grades: its rank in data.classes, else its value as a number.

        Of `binary`: 0 and 1. None for words whose order nobody gave, and for what is not one label per row.
        """
        if self.kind not in {"multiclass", "binary"}:
            return None
        if self.ordered or self.kind == "binary" or len(self.classes) == 2:  # of two, either order is the same
            return np.arange(max(2, len(self.classes)), dtype=np.float64)
        values = [number_of(name) for name in self.classes]
        return None if None in values else np.array(values, dtype=np.float64)

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """The targets of `table`, (N, K) float32: one-hot, a 0/1 for each label, the numbers; of vectors, only 0."""
        if self.kind == "embedding":
            return np.zeros((len(table), 1), dtype=np.float32)
        if self.kind == "multiclass":
            index = self.index(table["target"])
            return np.eye(len(self.classes), dtype=np.float32)[index]
        return table[self.truth_columns].to_numpy(dtype=np.float32)

    def index(self, labels: pd.Series) -> np.ndarray:
        """The class numbers (N,) of a column of multi-class labels; `1.0` is the class `1` where all are numbers."""
        classes = pd.Index(self.classes, dtype=object)
        numbers = classes.get_indexer(pd.Index(labels, dtype=object))
        unknown = numbers < 0
        if unknown.any():
            numbers[unknown] = classes.get_indexer(
                pd.Index(labels[unknown].map(spelled_as(self.classes)), dtype=object)
            )
        if (numbers < 0).any():
            raise CompError(f"labels that no training row has: {shown(sorted(set(labels[numbers < 0])))}")
        return np.asarray(numbers, dtype=np.int64)


@dataclass(frozen=True)
class Golden:
    """The golden test set: the last rows of the test table, whose truth is known here and nowhere else."""

    truth: pd.DataFrame  # (G, …) id, which begins with GOLDEN, and the target columns
    teaches: np.ndarray  # (T,) whether a test row may become a pseudo-label
    digest: str  # of golden.csv
    settings: str  # that it was taken with


@dataclass(frozen=True)
class Tables:
    """`train`: id, path, target (or target_<label>…), group, time; `test`: id, path; other columns stay as text.

    One of those that is called as ours are has another name here: `column group`. Where rows have several images,
    `path` is the first, and both have `all paths`: a tuple for each row.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    sample: pd.DataFrame | None  # the sample submission as text
    targets: Targets
    notes: list[str] = field(default_factory=list)  # the layout, in lines for the user
    golden: Golden | None = None


def asked_for(ids: pd.Series) -> pd.Series:
    """(T,) which test rows the competition asks for: all but the golden ones."""
    return ~ids.str.startswith(GOLDEN)


def in_given_order(targets: Targets, order: list[str]) -> Targets:
    """`targets` with their classes in the order of `data.classes`, spelled as they were found.

    Raises:
        CompError: these are other classes; the difference is named.
    """
    found = ("0", "1") if targets.kind == "binary" else targets.classes
    given = [spelled_as(found)(name.strip()) for name in order]
    twice = sorted({name for name in given if given.count(name) > 1})
    lacking, unknown = [name for name in found if name not in given], [name for name in given if name not in found]
    faults = [(lacking, "it lacks"), (unknown, "no training row has"), (twice, "it repeats")]
    wrong = [f"{fault} {shown(names, 6)}" for names, fault in faults if names]
    if wrong:
        raise CompError(f"data.classes does not fit the labels: {'; '.join(wrong)}")
    return targets if targets.kind == "binary" else replace(targets, classes=tuple(given), ordered=True)


def number_of(label: str) -> float | None:
    """The finite number that a label is, as `1`, `1.0` and `1e0` are 1; None of a word, `nan` and `inf` among them."""
    value = float(label) if NUMBER.fullmatch(label) else math.nan
    return value if math.isfinite(value) else None


def spelled_as(classes: tuple[str, ...]) -> Callable[[object], str]:
    """Gives a label as `classes` spell it: where all of them are numbers, the one of the same value."""
    by_value = {number_of(name): name for name in classes}
    numbers = None not in by_value

    def spelled(label: object) -> str:
        text = str(label)
        return text if text in classes or not numbers else by_value.get(number_of(text), text)

    return spelled


def refuse_duplicates(ids: pd.Series, where: str, leads: str = "") -> None:
    """Raises CompError where an id appears more than once; `leads` is what to do then."""
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        appear = plural(len(twice), "id appears", "ids appear")
        raise CompError(f"{appear} more than once in the {where} table: {shown(twice)}{leads}")
