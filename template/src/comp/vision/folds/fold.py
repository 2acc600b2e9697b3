"""What one fold trains and validates on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.tables import Targets
from comp.vision.data.metadata import MetadataEncoder
from comp.vision.pixels import Images


@dataclass(frozen=True)
class Fold:
    """Rows are numbers of the training table; `y` (N, K) and `metadata` (N, M) cover all of it."""

    left_out: tuple[int, ...]  # the folds that it does not train on: one, or two of a nested training
    train_rows: np.ndarray
    valid_rows: np.ndarray
    y: np.ndarray
    pixels: Images
    targets: Targets
    metadata: np.ndarray | None = None
    encoder: MetadataEncoder | None = None  # of the metadata; fitted on the training rows
    name: str = ""  # instead of its number, where it is told
    start: Path | None = None  # a checkpoint that it starts from

    @property
    def label(self) -> str:
        """What it is called in what is told."""
        return self.name or called(self.left_out)


def called(left_out: tuple[int, ...]) -> str:
    """`fold 0`, or `folds 0+1` of a nested training."""
    return f"fold{'s' if len(left_out) > 1 else ''} {'+'.join(map(str, left_out))}"
