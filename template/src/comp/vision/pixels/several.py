"""Rows of several images each."""

import numpy as np

from comp.vision.pixels.cached import Pixels
from comp.vision.pixels.concatenated import Concatenated
from comp.vision.pixels.streamed import Streamed


class Several:
    """Rows of a table, each with some of `images`, which come in the order of the rows: `counts` (N,) of each.

    An unreadable image is left out of its row. `bad` names the rows that have no other, by row. An epoch of training
    shows `most` images of a row, so that a row with many counts no more than another.
    """

    def __init__(self, images: Pixels | Streamed | Concatenated, counts: np.ndarray, most: int = 1) -> None:
        self.images, self.counts, self.most = images, counts, most
        self.streamed: bool = images.streamed
        readable = np.ones(len(images), dtype=bool)
        readable[list(images.bad)] = False
        ends = np.cumsum(counts)
        numbers = [np.arange(end - count, end) for end, count in zip(ends, counts, strict=True)]
        lost = [row for row, own in enumerate(numbers) if not readable[own].any()]
        self.bad = {row: images.bad[int(numbers[row][0])] for row in lost}
        of_lost = {int(number) for row in lost for number in numbers[row]}
        self.bad_in_rows = [why for number, why in images.bad.items() if number not in of_lost]  # of other rows
        self._shown = [own[:1] if row in self.bad else own[readable[own]] for row, own in enumerate(numbers)]

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8, the row's first image that can be read."""
        return self.images[int(self._shown[row][0])]

    def of(self, row: int) -> list[np.ndarray]:
        """All images of a row that can be read, in order."""
        return [self.images[int(number)] for number in self._shown[row]]

    def shown(self, row: int) -> int:
        """How many they are."""
        return len(self._shown[row])

    def drawn(self, row: int, epoch: int, seed: tuple[int, ...]) -> list[np.ndarray]:
        """Those that an epoch of training shows of a row: `most` of them, or all if they are fewer.

        They come in turn, in an order of the row's own, so each equally often. A function of (seed, epoch, row).
        """
        numbers = self._shown[row]
        if len(numbers) <= self.most:
            return self.of(row)
        order = np.random.default_rng((*seed, row, 2)).permutation(numbers)  # 2: not the order of an epoch
        places = (epoch * self.most + np.arange(self.most)) % len(numbers)
        return [self.images[int(number)] for number in order[places]]


Images = Pixels | Streamed | Concatenated | Several


def joined(first: Images, second: Images) -> "Concatenated | Several":
    """The rows of the second come after those of the first."""
    if isinstance(first, Several) or isinstance(second, Several):
        (one, counts), (other, more) = _by_image(first), _by_image(second)
        most = first.most if isinstance(first, Several) else 1
        return Several(Concatenated(one, other), np.concatenate([counts, more]), most)
    return Concatenated(first, second)


def _by_image(images: Images) -> tuple[Pixels | Streamed | Concatenated, np.ndarray]:
    if isinstance(images, Several):
        return images.images, images.counts
    return images, np.ones(len(images), dtype=np.int64)
