"""The rows of a table as a network sees them."""

from dataclasses import dataclass

import numpy as np

from comp.tables import Targets
from comp.vision.pixels import Images, Several


@dataclass(frozen=True)
class Samples:
    """N rows: images, targets and metadata, each by the number of the row."""

    pixels: Images
    targets: Targets
    y: np.ndarray  # (N, K) float32; (N, 0) where the truth is not known
    metadata: np.ndarray | None = None  # (N, M) float32, as `MetadataEncoder` gives it

    @property
    def images_per_row(self) -> int:
        """The most that a row of a training batch has."""
        return self.pixels.most if isinstance(self.pixels, Several) else 1

    def seen(self, row: int) -> list[np.ndarray]:
        """The images (H, W, 3) uint8 that a row is predicted by: all that it has."""
        return self.pixels.of(row) if isinstance(self.pixels, Several) else [self.pixels[row]]

    def learned(self, row: int, epoch: int, seed: tuple[int, ...]) -> list[np.ndarray]:
        """The images (H, W, 3) uint8 that an epoch of training shows of a row."""
        return self.pixels.drawn(row, epoch, seed) if isinstance(self.pixels, Several) else [self.pixels[row]]
