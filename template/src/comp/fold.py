"""What one fold trains and validates on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.metadata import MetadataEncoder
from comp.pixels import Images
from comp.tables import Targets


@dataclass(frozen=True)
class Fold:
    """Rows are numbers of the training table; `y` (N, K) and `metadata` (N, M) cover all of it."""

    number: int
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
        return self.name or f"fold {self.number}"
