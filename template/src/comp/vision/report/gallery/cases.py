"""A row that a gallery shows, what is written below it, and which answer its heat is about."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from comp.errors import shortened
from comp.tables import Targets

MOST = 12  # cards of a gallery: three of them are under 1 MB, however many rows there are
SMALL = 1e-12  # a probability that is 0 has a loss as well


@dataclass(frozen=True)
class Case:
    """Row number `row` of the out-of-fold table; its heat is what speaks for `up` and against `down`.

    Both are numbers of classes. Without `down` it is what raises (`sign` 1) or lowers (−1) the value of `up`.
    """

    row: int
    lines: tuple[str, ...]
    up: int
    down: int | None = None
    sign: int = 1


@dataclass(frozen=True)
class Answers:
    """What was predicted out of fold, (N, K), and the truth as numbers, (N, K): classes one-hot."""

    oof: pd.DataFrame
    targets: Targets
    p: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, oof: pd.DataFrame, targets: Targets) -> "Answers":
        """Of a table as `read_oof` gives it."""
        oof = oof.reset_index(drop=True)
        return cls(oof, targets, oof[targets.columns].to_numpy(np.float64), targets.encode(oof).astype(np.float64))

    def head(self, row: int) -> str:
        """Which row it is, and of which fold."""
        return f"{shortened(str(self.oof['id'].iloc[row]))} · fold {self.oof['fold'].iloc[row]}"

    def of_classes(self, row: int, up: int, down: int, words: tuple[str, str, str]) -> Case:
        """A row that is `down`, or its second choice, and may be `up`; `words` stand before both, and at the end."""
        names = self.targets.classes
        lines = [self.head(row)]
        for word, each in ((words[0], down), (words[1], up)):
            lines.append(f"{word} {names[each]} ({self.p[row, each]:.2f})")
        return Case(row, (*lines, *([words[2]] if words[2] else [])), up, down)

    def of_cell(self, row: int, column: int, line: str) -> Case:
        """A row of which one value is shown: of a label that is there or not."""
        name, value = self.targets.classes[column], self.p[row, column]
        lines = (self.head(row), name, line, f"predicted {value:.2f}")
        return Case(row, lines, column, sign=1 if value >= 0.5 else -1)


def firsts(score: np.ndarray, allowed: np.ndarray, most: int = MOST) -> list[tuple[int, int]]:
    """The cells (row, column) of the highest `score` (N, K) that are `allowed` (N, K), one a row; ties in row order."""
    best = np.where(allowed, score, -np.inf)
    column = best.argmax(axis=1)
    value = best[np.arange(len(best)), column]
    order = np.argsort(-value, kind="stable")
    return [(int(row), int(column[row])) for row in order[:most] if np.isfinite(value[row])]
