"""Features of rows in one memory-mapped float16 file, and batches of them in the place of images."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from comp.errors import CompError
from comp.files import NO_SPACE
from comp.vision.batches import Batch, Key, batch_of
from comp.vision.data.samples import Samples


@dataclass(frozen=True)
class FeatureFile:
    """Holds (V, N, *shape) float16: V views of N rows, which are numbers of `Samples`."""

    path: Path
    rows: np.ndarray
    views: int
    shape: tuple[int, ...]

    @property
    def bytes_each(self) -> int:
        """Of one view of one row."""
        return 2 * math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        return self.views * len(self.rows) * self.bytes_each

    def is_whole(self) -> bool:
        """Whether it is as long as it should be."""
        return self.path.is_file() and self.path.stat().st_size == self.n_bytes

    def chunks(self, size: int) -> list[tuple[int, int, np.ndarray]]:
        """All of it, up to `size` rows at a time: view, place among the rows, rows."""
        places = range(0, len(self.rows), size)
        return [(view, at, self.rows[at : at + size]) for view in range(self.views) for at in places]

    def lay_out(self) -> None:
        """Makes it, as long as it will be: several processes then write their parts."""
        with self.path.open("wb") as file:
            file.truncate(self.n_bytes)

    def write(self, view: int, place: int, features: Tensor) -> None:
        """Puts features (B, *shape) of a view there, those of the rows from `place` on.

        Raises:
            CompError: they are beyond the numbers of float16, or the disk is full.
        """
        halves = features.to(device="cpu", dtype=torch.float16).contiguous()
        if not halves.isfinite().all():
            raise CompError(
                "train.cache_frozen: the features at the boundary of train.freeze are no numbers, or larger than "
                "float16 can hold (65,504): freeze another number of blocks, or set train.cache_frozen=0"
            )
        try:
            with self.path.open("rb+", buffering=0) as file:
                file.seek((view * len(self.rows) + place) * self.bytes_each)
                file.write(halves.numpy().data)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            raise CompError(f"no space left for {self.path}: free some, or set a smaller train.cache_frozen") from error

    def settle(self) -> None:
        """All that was written is on the disk when this returns."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())


class CachedDataset(Dataset[Batch]):
    """Batches of features (B, *shape) float16 with all else that the samples say of the rows.

    A key is that of training, whose epoch e takes view e % V; or a row, for the first view.
    """

    def __init__(self, file: FeatureFile, samples: Samples) -> None:
        self._file, self._samples = file, samples
        shape = (file.views, len(file.rows), *file.shape)
        self._features = np.asarray(np.memmap(file.path, np.float16, "r", shape=shape))
        self._place = np.full(len(samples.y), -1)
        self._place[file.rows] = np.arange(len(file.rows))

    def __reduce__(self) -> tuple[type["CachedDataset"], tuple[FeatureFile, Samples]]:
        return CachedDataset, (self._file, self._samples)  # a worker process that is not forked maps the file itself

    def __getitems__(self, keys: Sequence[Key] | Sequence[int]) -> Batch:
        whole = [key if isinstance(key, tuple) else (0, 0, key) for key in keys]
        epochs, _, rows = zip(*whole, strict=True)
        features = self._features[epochs[0] % self._file.views][self._place[list(rows)]]  # a copy
        return batch_of(torch.from_numpy(features), self._samples, rows)
