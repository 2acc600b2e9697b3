"""What one fold trains and validates on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from comp.vision.data.metadata import MetadataEncoder
from comp.vision.data.samples import Samples
from comp.vision.pixels.image_file import PIXELS_VERSION


@dataclass(frozen=True)
class Fold:
    """Rows are numbers of `samples`, which hold the whole training table."""

    left_out: tuple[int, ...]  # the folds that it does not train on: one, or two of a nested training
    train_rows: np.ndarray
    valid_rows: np.ndarray
    samples: Samples
    digest: str  # of the folds
    encoder: MetadataEncoder | None = None  # of the metadata; fitted on the training rows
    name: str = ""  # used in log lines instead of its number
    start: Path | None = None  # a checkpoint whose weights it starts from

    @property
    def facts(self) -> dict[str, Any]:
        """What a checkpoint says beside its weights."""
        targets = self.samples.targets
        about = {"left_out": self.left_out, "folds": self.digest, "pixels": PIXELS_VERSION}
        return {"kind": targets.kind, "classes": targets.classes, **about}

    @property
    def label(self) -> str:
        """Label used in log lines."""
        return self.name or fold_name(self.left_out)


def fold_name(left_out: tuple[int, ...]) -> str:
    """`fold 0`, or `folds 0+1` of a nested training."""
    return f"fold{'s' if len(left_out) > 1 else ''} {'+'.join(map(str, left_out))}"
