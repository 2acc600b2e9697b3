"""Two tables' images as one."""

import numpy as np

from comp.vision.pixels.cached import Pixels
from comp.vision.pixels.streamed import Streamed


class Concatenated:
    """Rows of the second table come after those of the first."""

    def __init__(self, first: "Pixels | Streamed | Concatenated", second: "Pixels | Streamed | Concatenated") -> None:
        self._first, self._second = first, second
        self.streamed: bool = first.streamed or second.streamed
        self.bad: dict[int, str] = {**first.bad, **{len(first) + row: why for row, why in second.bad.items()}}

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, row: int) -> np.ndarray:
        return self._first[row] if row < len(self._first) else self._second[row - len(self._first)]
