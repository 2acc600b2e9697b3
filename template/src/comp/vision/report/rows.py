"""The out-of-fold rows that a report looks at, in the forms that its parts need."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from comp.tables import Targets
from comp.vision.metrics import score


@dataclass(frozen=True)
class Choices:
    """Rows that are one of K ≥ 2 classes each; a 0/1 target is two of them."""

    names: tuple[str, ...]
    truth: np.ndarray  # (N,) number of the class
    choice: np.ndarray  # (N,) the likeliest
    p: np.ndarray  # (N, K)

    @cached_property
    def counts(self) -> np.ndarray:
        """(K, K) how many rows of each class (first) are taken for which."""
        n = len(self.names)
        return np.bincount(self.truth * n + self.choice, minlength=n * n).reshape(n, n)

    @property
    def confidence(self) -> np.ndarray:
        """(N,) the probability of the choice."""
        return np.asarray(self.p[np.arange(len(self.p)), self.choice])


@dataclass(frozen=True)
class Rows:
    """N out-of-fold rows."""

    ids: np.ndarray  # (N,)
    fold: np.ndarray  # (N,)
    unit: np.ndarray  # (N,) numbered from 0: rows of one are drawn together
    y: np.ndarray  # (N, K) as `Targets.encode` has it
    p: np.ndarray  # (N, K)
    targets: Targets

    @classmethod
    def of(cls, oof: pd.DataFrame, targets: Targets, groups: np.ndarray | None = None) -> "Rows":
        """`groups` (N,), numbered from 0; without them, each row is one."""
        unit = np.arange(len(oof)) if groups is None else groups
        p = oof[targets.columns].to_numpy(dtype=np.float32)
        return cls(oof["id"].to_numpy(), oof["fold"].to_numpy(), unit, targets.encode(oof), p, targets)

    def score(self, name: str) -> float:
        """The metric `name` of these rows."""
        return score(name, self.y, self.p, self.targets)

    def where(self, wanted: np.ndarray) -> "Rows":
        """The rows that `wanted` (N,) bool marks."""
        unit = np.unique(self.unit[wanted], return_inverse=True)[1]
        return Rows(self.ids[wanted], self.fold[wanted], unit, self.y[wanted], self.p[wanted], self.targets)

    def saying(self, p: np.ndarray) -> "Rows":
        """The same rows with other predictions (N, K)."""
        return replace(self, p=p)

    @cached_property
    def folds(self) -> list[int]:
        """The folds that there are rows of."""
        return [int(k) for k in np.unique(self.fold)]

    @cached_property
    def choices(self) -> Choices | None:
        """For one label per row."""
        if self.targets.kind == "multiclass":
            return Choices(self.targets.classes, self.y.argmax(axis=1), self.p.argmax(axis=1), self.p)
        if self.targets.kind == "binary":
            [name] = self.targets.classes
            names, both = (f"{name} 0", f"{name} 1"), np.concatenate([1 - self.p, self.p], axis=1)
            truth, choice = ((each[:, 0] >= 0.5).astype(np.int64) for each in (self.y, self.p))
            return Choices(names, truth, choice, both)
        return None


def losses(rows: Rows) -> np.ndarray:
    """(N,) what each row adds to the log loss (of labels, the mean over them); of numbers, its squared error."""
    y, p = rows.y, rows.p.astype(np.float64)
    if rows.targets.kind == "regression":
        return np.asarray(((y - p) ** 2).mean(axis=1))
    if rows.targets.kind == "multiclass":
        true = p[np.arange(len(p)), y.argmax(axis=1)] / p.sum(axis=1)
        return np.asarray(-np.log(np.clip(true, 1e-15, 1)))
    p = np.clip(p, 1e-15, 1 - 1e-15)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1))
