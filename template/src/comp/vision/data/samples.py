"""The rows of a table as a network sees them."""

from dataclasses import dataclass

import numpy as np

from comp.tables import Targets
from comp.vision.pixels import Images


@dataclass(frozen=True)
class Samples:
    """N rows: images, targets and metadata, each by the number of the row."""

    pixels: Images
    targets: Targets
    y: np.ndarray  # (N, K) float32; (N, 0) where the truth is not known
    metadata: np.ndarray | None = None  # (N, M) float32, as `MetadataEncoder` gives it
