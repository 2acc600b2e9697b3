"""The sample submission: what the host wants to be given."""

import re
from pathlib import Path

import pandas as pd

from comp.errors import CompError
from comp.files.tables import read_table, tables_in
from comp.tables import refuse_duplicates
from comp.vision.data.sources import settled_root
from comp.vision.schema import Data


def sample_file(data: Data) -> Path | None:
    """Where the sample submission is, or None where there is none."""
    root = Path((settled_root(data)[0] if data.reader == "auto" else data).root)
    if data.sample_submission != "auto":
        return root / data.sample_submission
    others = {(root / str(name)).resolve() for name in (data.train, data.test)}
    here = [path for path in tables_in(root) if "sample" in path.name.lower()] if root.is_dir() else []
    return min((path for path in here if path.resolve() not in others), key=is_called_otherwise, default=None)


def is_called_otherwise(path: Path) -> bool:
    """Than a sample submission in any spelling: samples of another kind come after it."""
    return "samplesubmission" not in re.sub("[^a-z]", "", path.name.lower())


def read_sample(data: Data) -> tuple[pd.DataFrame | None, str]:
    """The sample submission as text, or None where there is none, and a line describing it.

    Raises:
        CompError: the file that `data.sample_submission` names is missing or has no target column.
    """
    path = sample_file(data)
    if path is None:
        return None, "sample  none found: the submission will have the columns id and label"
    sample, how = read_table(path)
    if sample.shape[1] < 2:
        raise CompError(f"{path} has {sample.shape[1]} column, expected an id and at least one target")
    refuse_duplicates(sample.iloc[:, 0], path.name)
    return (
        sample,
        f"sample  {path.name}: {len(sample)} rows, columns {', '.join(sample.columns[:6])}{f', {how}' if how else ''}",
    )
