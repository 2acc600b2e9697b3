"""Nested trainings: for each two folds a model that saw neither (`folds.nested`).

A stack that is fitted for fold k needs predictions of fold k's training rows by models which saw neither these rows nor
fold k. The model without folds j and k says it of both: of j's rows for k, and of k's rows for j. So n folds take
n (n − 1) / 2 trainings more, each on fewer rows than the others.
"""

from itertools import combinations

import pandas as pd

from comp.errors import CompError
from comp.folds import Split
from comp.runs.predictions import read_oof, write_predictions
from comp.runs.rundir import RunDir
from comp.vision.schema import ImageConfig


def pairs_of(config: ImageConfig, split: Split, folds: list[int]) -> list[tuple[int, ...]]:
    """The pairs that are trained along with `folds`: those that begin with one of them, going round; all, of all folds.

    Raises:
        CompError: the folds do not suit it.
    """
    if not config.folds.nested:
        return []
    if split.n < 3 or split.kind in ("time", "holdout"):
        raise CompError(
            f"folds.nested leaves out two folds at a time: it needs three or more, not over time (here: {split.n} of "
            f"kind {split.kind})"
        )
    return [pair for pair in combinations(range(split.n), 2) if _first(pair, split.n) in folds]


def _first(pair: tuple[int, int], n: int) -> int:
    """Of two folds on a circle, the one from which the other is less than half way round: each has as many pairs."""
    return pair[0] if 2 * (pair[1] - pair[0]) <= n else pair[1]


def done_pairs(run: RunDir, split: Split) -> list[tuple[int, ...]]:
    """The nested trainings that are done."""
    return [pair for pair in combinations(range(split.n), 2) if run.is_done(*pair)]


def write_inner(run: RunDir, split: Split) -> None:
    """Writes `fold<k>/inner_oof.parquet` wherever all models without fold k are trained."""
    for k in range(split.n):
        pairs = {j: (min(j, k), max(j, k)) for j in range(split.n) if j != k}
        if not pairs or not all(run.is_done(*pair) for pair in pairs.values()):
            continue
        tables = []
        for j, pair in pairs.items():
            predictions, targets, folds = read_oof(run.fold(*pair) / "oof.parquet")
            tables.append(predictions[predictions["fold"] == j])
        write_predictions(run.fold(k) / "inner_oof.parquet", pd.concat(tables, ignore_index=True), targets, folds)
