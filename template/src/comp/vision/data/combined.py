"""`combined.csv`: real and generated images with labels of one class list, and which folds' models learn from each."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError
from comp.runs.rundir import RUNS
from comp.tables import Tables
from comp.vision.data.sealed import read_sealed, write_sealed
from comp.vision.schema import ImageConfig

AGAIN = "run comp synth guard and comp synth combine again"
CHANGED = "comp synth combine wrote it"
COLUMNS = ["source", "id", "path", "target", "folds"]


def synth_folder(config: ImageConfig) -> Path:
    """Where an experiment keeps what it knows of its generated images."""
    return RUNS / f"{config.name}-synth"


def combined_path(config: ImageConfig) -> Path:
    return synth_folder(config) / "combined.csv"


def write_combined(path: Path, rows: pd.DataFrame, tables: Tables, folds: str) -> str:
    """Writes the COLUMNS of `rows` and what they belong to: the golden set, and the `folds` (their digest)."""
    golden = tables.golden.digest if tables.golden else "none"
    return write_sealed(path, "combined", {"golden": golden, "folds": folds}, rows[COLUMNS])


def generated_rows(path: Path, digest: str, tables: Tables, folds: str) -> pd.DataFrame:
    """The generated images in the file at `path`.

    Raises:
        CompError: it is another file than that of `digest`, or belongs to another golden set or to other folds.
    """
    rows, settings, found = read_sealed(path, "combined", CHANGED, AGAIN)
    golden = tables.golden.digest if tables.golden else "none"
    if settings != f"golden={golden} folds={folds}":
        raise CompError(f"{path} was made for another golden set or for other folds than there are now: {AGAIN}")
    if found != digest:
        raise CompError(f"{path} is another file than this run was trained with: run comp synth train, or restore it")
    return rows[rows["source"] == "generated"].reset_index(drop=True)


def combined_digest(path: Path) -> str:
    """Raises: CompError: there is no such file, or it was edited."""
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp synth guard, then comp synth combine")
    return read_sealed(path, "combined", CHANGED, AGAIN)[2]


def joins(folds: pd.Series, left_out: tuple[int, ...]) -> np.ndarray:
    """(N,) which rows the model learns from that leaves out these folds; `folds` names them as in `0 1 2`."""
    wanted = {str(number) for number in left_out}
    return np.array([wanted <= set(each.split()) for each in folds], dtype=bool)
