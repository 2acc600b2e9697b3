"""What is to be predicted: the classes, and how labels become numbers."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from comp.errors import CompError, one_line, shown

Kind = Literal["multiclass", "binary", "multilabel", "embedding"]


@dataclass(frozen=True)
class Targets:
    """The kind of target and its classes, in the order of every column of probabilities.

    `multiclass`: one softmax over `classes`. `binary`: one sigmoid, `classes` holds the target's name.
    `multilabel`: a sigmoid for each of `classes`. `embedding`: a vector, without classes.
    """

    kind: Kind
    classes: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """The names of the columns of a predictions table that hold what is predicted."""
        return ["embedding"] if self.kind == "embedding" else [f"p_{name}" for name in self.classes]

    @property
    def truth_columns(self) -> list[str]:
        """The names of the target columns in tables and out-of-fold predictions."""
        return [f"target_{name}" for name in self.classes] if self.kind == "multilabel" else ["target"]

    def encode(self, table: pd.DataFrame) -> np.ndarray:
        """The targets of `table` as (N, K) float32: one-hot, or a 0/1 for each label; of vectors, nothing but 0."""
        if self.kind == "embedding":
            return np.zeros((len(table), 1), dtype=np.float32)
        if self.kind == "multiclass":
            index = self.index(table["target"])
            return np.eye(len(self.classes), dtype=np.float32)[index]
        return table[self.truth_columns].to_numpy(dtype=np.float32)

    def index(self, labels: pd.Series) -> np.ndarray:
        """The class numbers (N,) of a column of multi-class labels."""
        numbers = pd.Index(self.classes, dtype=object).get_indexer(pd.Index(labels, dtype=object))
        if (numbers < 0).any():
            raise CompError(f"labels that no training row has: {shown(sorted(set(labels[numbers < 0])))}")
        return np.asarray(numbers, dtype=np.int64)


@dataclass(frozen=True)
class Tables:
    """`train`: id, path, target (or target_<label>…), group, time; `test`: id, path; other columns stay as text."""

    train: pd.DataFrame
    test: pd.DataFrame
    sample: pd.DataFrame | None  # the sample submission as text
    targets: Targets
    notes: list[str] = field(default_factory=list)  # the layout, in lines for the user


def find_targets(train: pd.DataFrame, columns: list[str], wanted: str) -> tuple[pd.DataFrame, Targets]:
    """Moves the label columns of `train` into `target` (or `target_<label>`) and says what kind they are.

    Raises:
        CompError: a label is missing, or the labels do not fit the kind asked for.
    """
    labels = train[columns].apply(lambda column: column.str.strip())
    empty = labels.eq("").any(axis=1)
    if empty.any():
        raise CompError(
            f"{empty.sum()} training rows have no label in {shown(columns)}: ids {shown(train['id'][empty])}"
        )
    same = [column for column in columns if labels[column].nunique() < 2]
    if len(same) == len(columns):
        raise CompError(f"the label column {same[0]!r} has only one value: {shown(labels[same[0]].unique())}")
    kind = _kind(labels) if wanted == "auto" else wanted
    kept = train.drop(columns=columns)
    if kind == "multiclass":
        if len(columns) != 1:
            raise CompError(f"data.kind=multiclass takes one label column, data.target names {len(columns)}")
        kept["target"] = labels[columns[0]]
        classes = tuple(sorted(set(kept["target"]), key=_numbers_before_words))
        return kept, Targets("multiclass", classes)
    numbers = labels.apply(pd.to_numeric, errors="coerce")
    wrong = ~numbers.isin([0, 1])
    if wrong.any(axis=None):
        column = wrong.any().idxmax()
        values = sorted(set(labels[column][wrong[column]]))
        raise CompError(f"data.kind={kind} needs labels 0 and 1, column {column!r} holds {shown(values)}")
    if kind == "binary":
        if len(columns) != 1:
            raise CompError(f"data.kind=binary takes one label column, data.target names {len(columns)}")
        kept["target"] = numbers[columns[0]].astype(int)
        return kept, Targets("binary", (columns[0],))
    for column in columns:
        kept[f"target_{column}"] = numbers[column].astype(int)
    return kept, Targets("multilabel", tuple(columns))


def _kind(labels: pd.DataFrame) -> Kind:
    if labels.shape[1] > 1:
        return "multilabel"
    return "binary" if set(pd.unique(labels.iloc[:, 0])) <= {"0", "1", "0.0", "1.0"} else "multiclass"


def _numbers_before_words(label: str) -> tuple[int, float, str]:
    """Classes 2 and 10 in the order of numbers; words in the order of the alphabet."""
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    return (0, number, label) if math.isfinite(number) else (1, 0.0, label)


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV with every value as the text that stands in it: `007` and `NA` stay what they are."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise CompError(f"{path} does not exist") from None
    except pd.errors.EmptyDataError:
        raise CompError(f"{path} is empty") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CompError(f"{path} is not a CSV in UTF-8: {one_line(error)}") from None
    if table.empty:
        raise CompError(f"{path} has a header and no rows")
    return table


def refuse_twice(ids: pd.Series, where: str) -> None:
    """Raises CompError where an id appears more than once."""
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise CompError(f"{len(twice)} ids appear more than once in the {where} table: {shown(twice)}")
