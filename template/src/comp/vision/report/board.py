"""`comp board`, with the metrics of images."""

from collections.abc import Sequence

from comp.runs.board import board as of_runs
from comp.vision.metrics.sums import measures_of


def board(words: Sequence[str], public: Sequence[str] | None = None) -> None:
    """As `runs/board.py` has it."""
    of_runs(words, measures_of, public)
