"""`comp compare A B [C …]` and `comp board`: runs on the same captions, each ranked among its fold's images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from comp.align.data.pairs import Pairs, read_pairs
from comp.align.ranking.measures import measures_of as of_images
from comp.align.ranking.retrieval import finite, unit
from comp.align.schema import AlignConfig, Data
from comp.runs.board import board as of_runs
from comp.runs.page import Section
from comp.runs.paired import Measure, Sums
from comp.runs.side_by_side import Pair, moved_most, open_all, out_of_fold, right_only, runs_named, write_page
from comp.tables import Targets


class Measures:
    """As `MeasuresOf`; the captions and images of one configuration are read once."""

    def __init__(self) -> None:
        self._read: dict[Data, tuple[np.ndarray, dict[str, int]]] = {}

    def __call__(self, config: Any, names: Sequence[str], oof: pd.DataFrame, _: Targets) -> Mapping[str, Measure]:
        return of_images(names, oof, *self._images(config))

    def _images(self, config: AlignConfig) -> tuple[np.ndarray, dict[str, int]]:
        if config.data not in self._read:
            pairs: Pairs = read_pairs(config)
            rows = {name: row for row, name in enumerate(pairs.names)}
            self._read[config.data] = unit(finite(pairs.images)), rows
        return self._read[config.data]


def board(words: Sequence[str], public: Sequence[str] | None = None) -> None:
    """As `runs/board.py` has it."""
    of_runs(words, Measures(), public)


def compare(words: list[str]) -> None:
    """Prints the runs beside the first one, a verdict for each, and writes `runs/compare-A-B.html`.

    Raises:
        CompError: these are not two runs that have predicted the same captions out of fold.
    """
    runs, measures = runs_named(words), Measures()

    def details(pair: Pair) -> list[Section]:
        places = []
        for run in (pair.first, pair.other):
            found = measures(run.config, ["mrr", "r@1"], run.oof, run.targets)
            places.append({name: _values(measure) for name, measure in found.items()})
        first, other = places
        title = f"{pair.first.name} and {pair.other.name}"
        ranked_first = right_only(pair, first["r@1"] > 0.5, other["r@1"] > 0.5)
        return [Section(title, [ranked_first, moved_most(pair, first["mrr"], other["mrr"], "reciprocal rank")])]

    sections, verdict = out_of_fold(open_all(runs), measures, details)
    write_page(runs, sections, f"out of fold: {verdict}")


def _values(measure: Measure) -> np.ndarray:
    """(N,) what a mean over captions is the mean of."""
    assert isinstance(measure, Sums)
    return np.asarray(measure.rows[:, 0])
