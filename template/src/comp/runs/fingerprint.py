"""Three numbers that tell whether a run still predicts the same of the test rows.

A digest of the file would change with a version of pandas, and with the last bits of a number.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from comp.errors import CompError
from comp.readback import reading

SEED = 2026
NUMBERS = 3
ALIKE = 0.01  # numbers that differ by less are of the same predictions
ROWS = 2**12  # that are read at once


def fingerprint_of(path: Path) -> str:
    """Of what a predictions table says, such as "0.512 -0.221 1.204"; "" where it is not there or cannot be read.

    Each is a sum with random signs, which are the same for each table, of how far the values are from their mean: in
    units of their spread, noise stays small in it, and another model's values are other by some hundredths.
    """
    try:
        with reading(path, "it is written again"):
            return " ".join(f"{each:.3f}" for each in _numbers(path))
    except CompError:
        return ""


def _numbers(path: Path) -> np.ndarray:
    bits, sums, balance = np.random.PCG64(SEED), np.zeros(NUMBERS), np.zeros(NUMBERS)
    count, total, squares = 0, 0.0, 0.0
    with pq.ParquetFile(path) as file:
        for rows in file.iter_batches(ROWS):
            columns = [rows.column(name) for name in rows.schema.names if name != "id"]
            # A vector stands in one column of lists, all else in a column each.
            values = [each.flatten() if hasattr(each, "flatten") else each for each in columns]
            p = np.stack([each.to_numpy(zero_copy_only=False) for each in values], axis=-1).ravel().astype(np.float64)
            drawn = bits.random_raw(len(p))[None] >> np.arange(NUMBERS, dtype=np.uint64)[:, None]
            signs = np.where(drawn & np.uint64(1), 1.0, -1.0)
            sums, balance = sums + signs @ p, balance + signs.sum(axis=1)
            count, total, squares = count + len(p), total + float(p.sum()), squares + float(p @ p)
    mean = total / max(count, 1)
    spread = np.sqrt(max(squares - count * mean**2, 0.0))  # times the root of their count
    return (sums - mean * balance) / spread if spread else np.zeros(NUMBERS)


def differ(first: str, second: str) -> bool:
    """Whether two fingerprints are of different predictions; where one is none, nothing says so."""
    try:
        one, other = (np.array(each.split(), dtype=float) for each in (first, second))
    except ValueError:
        return False
    return len(one) == len(other) and bool((abs(one - other) >= ALIKE).any())
