"""Fits combiners so that the rows which they are scored on had no part in them.

Predictions of rows outside fold k come from models that were trained on fold k's labels. A combiner that is fitted on
them and scored on fold k, as is usual, has met the labels that it is scored with: of 20 naive Bayes members on noise
(600 rows, 3 folds) a logistic stack then measures an AUC of 0.59, weights 0.55. Three ways are free of that, and
measure 0.49 to 0.51 (tests/test_canaries.py):

- `inner`, nested: fitted on inner out-of-fold predictions of the fold's training rows, by models that never saw fold k;
- `own fold`: fitted on nine tenths of fold k's own rows, which its models never saw, scored on the last tenth, in turn,
  and small folds are parted several times. More parts are no way: combiners fitted without few rows have learned that
  their kind is rarer, and an AUC over parts then falls below one half on noise (0.45 with 40 parts of 60 rows);
- `past`, for folds over time: fitted on the folds before, whose models were trained on still earlier rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from comp.errors import CompError
from comp.folds import WITH_GROUPS, Split, assign_folds
from comp.tables import Targets
from comp.vision.ensemble.combiners import Combiner, Fit
from comp.vision.schema import Folds

Scheme = Literal["nothing", "inner", "own fold", "past", "others"]
PARTS = 10  # of a fold
TIMES, SMALL = 5, 1000  # folds of no more rows are parted so many times: see docs/honesty.md of the template


@dataclass(frozen=True)
class Predicted:
    """Rows of the training table and what the members say of them."""

    rows: np.ndarray  # (N,) their numbers in the training table
    fold: np.ndarray  # (N,) whose models say it
    p: np.ndarray  # (N, M, K)

    def __getitem__(self, which: np.ndarray) -> "Predicted":
        return Predicted(self.rows[which], self.fold[which], self.p[which])

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Known:
    """What is known of the T rows of the training table beside the members' predictions."""

    x: np.ndarray  # (T, R) features, R may be 0
    y: np.ndarray  # (T, K) the truth
    parts: np.ndarray  # (R, T) the part of its fold that a row is in, R times anew, for the scheme `own fold`


def _mean(p: np.ndarray, x: np.ndarray) -> np.ndarray:
    return p.mean(axis=1)


def cross_fitted(
    oof: Predicted,
    scheme: Scheme,
    fit: Fit,
    known: Known,
    inner: dict[int, Predicted] | None = None,
    unfitted: Combiner = _mean,
) -> tuple[np.ndarray, dict[int, list[Combiner]]]:
    """Combined predictions (N, K) of `oof`, and the combiners of each fold that made them.

    Where folds are parted several times, a row has the mean of the combiners that have not met it: the test rows have
    the mean of all. `unfitted` combines where there is nothing to fit to: over time, nothing comes before the first
    fold.
    """
    x, y = known.x, known.y
    parts = known.parts if scheme == "own fold" else known.parts[:1]
    combined = np.zeros((len(oof), y.shape[1]))
    combiners: dict[int, list[Combiner]] = {}
    for part in parts:
        for fold, fitted_on, scored in _rounds(oof, scheme, part, inner):
            is_fitted = len(fitted_on) > 0 or scheme == "nothing"
            combiner = fit(fitted_on.p, x[fitted_on.rows], y[fitted_on.rows]) if is_fitted else unfitted
            combined[scored] += combiner(oof.p[scored], x[oof.rows[scored]]) / len(parts)
            combiners.setdefault(fold, []).append(combiner)
    return combined, combiners


def parts_of_folds(
    train: pd.DataFrame, targets: Targets, split: Split, parts: int = PARTS, times: int | None = None
) -> np.ndarray:
    """The part (R, T) of its fold that each row is in; classes are spread, groups and duplicates stay together.

    Each of R rows is another way to part the folds: `times` ways, or several where the folds are small.

    Raises:
        CompError: a fold is one group.
    """
    largest = max(int((split.fold == k).sum()) for k in range(split.n))
    times = times or (TIMES if largest <= SMALL else 1)
    part = np.full((times, len(split.fold)), -1)
    kind = "multilabel" if targets.kind == "multilabel" else "stratified"
    for k in range(split.n):
        rows = np.flatnonzero(split.fold == k)
        n_groups = len(set(split.group[rows]))
        if n_groups < 2:
            raise CompError(f"fold {k} is one group of rows: nothing can be fitted within it: set blend.kind=mean")
        in_groups = WITH_GROUPS[kind] if n_groups < len(rows) else kind
        in_fold = train.iloc[rows].assign(group=split.group[rows])
        for each in range(times):
            folds = Folds(n=min(parts, n_groups), seed=Folds().seed + each)
            part[each, rows] = assign_folds(in_fold, targets, folds, in_groups)
    return part


def _rounds(
    oof: Predicted, scheme: Scheme, part: np.ndarray, inner: dict[int, Predicted] | None
) -> Iterator[tuple[int, Predicted, np.ndarray]]:
    """For each combiner its fold, what it is fitted on, and the places in `oof` that it predicts.

    `others`, fitted on all other folds, is not among the ways above: within rows that are not scored it does no harm.
    """
    part = part[oof.rows]
    for fold in np.unique(oof.fold).tolist():
        in_fold = oof.fold == fold
        if scheme == "own fold":
            for number in np.unique(part[in_fold]).tolist():
                yield fold, oof[in_fold & (part != number)], np.flatnonzero(in_fold & (part == number))
        elif scheme == "inner":
            assert inner is not None
            yield fold, inner[fold], np.flatnonzero(in_fold)
        else:
            others = {"nothing": np.zeros_like(in_fold), "past": oof.fold < fold, "others": ~in_fold}[scheme]
            yield fold, oof[others], np.flatnonzero(in_fold)
