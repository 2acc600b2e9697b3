"""Proposes pairs of images that may be one picture: turned, mirrored, cropped. Most are not: alignment.py decides.

Of each image there are hashes of the whole in its eight orientations, and of parts of it. A whole that is near a part
of another image, in any orientation, is proposed. Near hashes are found without comparing all pairs: where hashes are
sorted, after their bits were shuffled, neighbors begin alike; several shuffles find what one has parted (Charikar,
Similarity Estimation Techniques from Rounding Algorithms, 2002).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import hadamard

from comp.vision.folds.looks import GRAY_PX

Part = tuple[float, float, float]  # left, top and side of a square part, as shares of the whole's side
WHOLE: Part = (0.0, 0.0, 1.0)
CORNERS, MIDDLES = (0.95, 0.9), (0.975, 0.95, 0.925, 0.9)  # sides of parts; a middle is also what a frame leaves
PARTS: list[Part] = [
    WHOLE,
    *(((1 - side) * x, (1 - side) * y, side) for side in CORNERS for x in (0, 1) for y in (0, 1)),
    *(((1 - side) / 2, (1 - side) / 2, side) for side in MIDDLES),
]
ORIENTATIONS = 8  # bits of the number: 1 mirrored left to right, 2 top to bottom, and 4, before these, transposed
COARSE, FINE = range(1, 8), range(8, 12)  # half waves along a side
MOST_FINE_BITS = 20  # of 64 that may differ in the hash of what is fine; half of them do by chance
SHUFFLES, NEIGHBORS = 24, 12
AT_ONCE = 2**12


@dataclass(frozen=True)
class Proposals:
    """Pairs (P,) of rows: the whole of `b`, oriented like `orientation`, may be the part `part` of `a`."""

    a: np.ndarray
    b: np.ndarray
    orientation: np.ndarray
    part: np.ndarray  # number in PARTS

    def __getitem__(self, chosen: np.ndarray) -> "Proposals":
        return Proposals(self.a[chosen], self.b[chosen], self.orientation[chosen], self.part[chosen])

    def __len__(self) -> int:
        return len(self.a)


def oriented(images: np.ndarray, orientation: int) -> np.ndarray:
    """`images` (N, S, S, …) in one of the eight orientations."""
    if orientation & 4:
        images = images.swapaxes(1, 2)
    if orientation & 2:
        images = images[:, ::-1]
    return images[:, :, ::-1] if orientation & 1 else images


def proposed(gray: np.ndarray, rows: np.ndarray, distance: int) -> Iterator[Proposals]:
    """Pairs of `rows` whose hashes differ in `distance` bits of 64 at most, the nearest first, shuffle by shuffle.

    `gray` (N, 48, 48) uint8; `rows` are numbers of it.
    """
    parts = _hashes(gray, rows, [(0, part) for part in PARTS]).reshape(-1, 2)  # (N * 13, 2)
    turned = _hashes(gray, rows, [(orientation, WHOLE) for orientation in range(ORIENTATIONS)]).reshape(-1, 2)
    random = np.random.RandomState(0)  # whose numbers never change
    for _ in range(SHUFFLES):
        shuffle = random.permutation(64)
        if len(rows):
            found = _neighbors(parts, turned, shuffle, distance)
            yield Proposals(rows[found.a], rows[found.b], found.orientation, found.part)


def _neighbors(parts: np.ndarray, turned: np.ndarray, shuffle: np.ndarray, distance: int) -> Proposals:
    """The pairs among `turned` (N * 8, 2) and `parts` (N * 13, 2) that are neighbors once bits are in another order."""
    keys, wanted = _shuffled(parts[:, 0], shuffle), _shuffled(turned[:, 0], shuffle)
    order, queries = np.argsort(keys, kind="stable"), np.argsort(wanted, kind="stable")
    place = np.searchsorted(keys[order], wanted[queries])
    sorted_parts, sorted_turned = parts[order], turned[queries]
    image_of_part, image_of_turned = order // len(PARTS), queries // ORIENTATIONS
    found = []
    for step in range(-NEIGHBORS, NEIGHBORS):
        near = np.clip(place + step, 0, len(order) - 1)
        bits = np.bitwise_count(sorted_parts[near, 0] ^ sorted_turned[:, 0])
        at = np.flatnonzero((bits <= distance) & (image_of_part[near] != image_of_turned))
        fine = np.bitwise_count(sorted_parts[near[at], 1] ^ sorted_turned[at, 1])
        close = fine <= MOST_FINE_BITS
        at, fine = at[close], fine[close]
        found.append(np.stack([order[near[at]], queries[at], bits[at].astype(np.int64) + fine], axis=1))
    part, query, bits = np.concatenate(found).T
    (a, part), (b, orientation) = np.divmod(part, len(PARTS)), np.divmod(query, ORIENTATIONS)
    pair = np.minimum(a, b) * (len(parts) // len(PARTS)) + np.maximum(a, b)
    best = np.lexsort((part, orientation, a, bits, pair))
    best = best[np.unique(pair[best], return_index=True)[1]]
    best = best[np.argsort(bits[best], kind="stable")]
    return Proposals(a, b, orientation, part)[best]


def _hashes(gray: np.ndarray, rows: np.ndarray, looks: list[tuple[int, Part]]) -> np.ndarray:
    """(N, L, 2) uint64: the hash of what is coarse and of what is fine, for each orientation and part of `looks`.

    A bit is the sign of a sum of all waves in it (the discrete cosine transform's), each taken positively or
    negatively. So it depends on all of the picture: flat areas, where a difference of neighbors is noise, decide none.
    """
    hashes = np.empty((len(rows), len(looks), 2), np.uint64)
    for start in range(0, len(rows), AT_ONCE):
        some = gray[rows[start : start + AT_ONCE]].astype(np.float32)
        for number, (orientation, part) in enumerate(looks):
            left, top, side = part
            waves = _waves(top, side) @ oriented(some, orientation) @ _waves(left, side).T  # (n, 12, 12)
            for kind, mixer in enumerate(MIXERS):
                bits = waves.reshape(len(some), -1) @ mixer > 0
                hashes[start : start + AT_ONCE, number, kind] = np.packbits(bits, axis=1).view(np.uint64)[:, 0]
    return hashes


def _waves(start: float, side: float) -> np.ndarray:
    """(12, 48): from the pixels along a side to the half waves in the part of it that begins at `start`."""
    edges, cells = GRAY_PX * np.linspace(start, start + side, GRAY_PX + 1), np.arange(GRAY_PX)
    covered = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    waves = np.cos(np.pi * np.outer(np.arange(FINE.stop), (cells + 0.5) / GRAY_PX))
    waves[0] /= np.sqrt(2)
    return np.asarray(waves @ np.maximum(covered, 0), np.float32)


def _mixer(waves: range) -> np.ndarray:
    """(12 * 12, 64): 64 sums of the waves whose longer count lies in `waves`, with signs; slow waves are strong in
    pictures, so they count less."""
    count = np.arange(FINE.stop)
    longer, frequency = np.maximum.outer(count, count), np.hypot(*np.meshgrid(count, count))
    chosen = np.flatnonzero((longer >= waves.start) & (longer < waves.stop))
    signs = np.random.RandomState(0).choice([-1, 1], len(chosen))
    mixer = np.zeros((FINE.stop**2, 64), np.float32)
    mixer[chosen] = (hadamard(128)[: len(chosen), :64].T * signs * np.sqrt(frequency.ravel()[chosen])).T
    return mixer


MIXERS = (_mixer(COARSE), _mixer(FINE))


def _shuffled(hashes: np.ndarray, shuffle: np.ndarray) -> np.ndarray:
    """`hashes` (N,) uint64 with bit i at `shuffle[i]`, a byte at a time."""
    byte = np.arange(256, dtype=np.uint64)
    moved = np.zeros((8, 256), np.uint64)
    for bit, to in enumerate(shuffle.tolist()):
        moved[bit // 8] |= ((byte >> np.uint64(bit % 8)) & np.uint64(1)) << np.uint64(to)
    octets = np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
    keys = moved[0][octets[:, 0]]
    for number in range(1, 8):
        keys |= moved[number][octets[:, number]]
    return keys
