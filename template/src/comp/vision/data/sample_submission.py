"""The sample submission: what the host wants to be given."""

from pathlib import Path

import pandas as pd

from comp.errors import CompError
from comp.files.tables import read_table, tables_in
from comp.tables import refuse_duplicates
from comp.vision.data.sources import settled_root
from comp.vision.schema import Data


def read_sample(data: Data) -> tuple[pd.DataFrame | None, str]:
    """The sample submission as text, or None where there is none, and a line describing it.

    Raises:
        CompError: the file that `data.sample_submission` names is missing or has no target column.
    """
    root = Path((settled_root(data)[0] if data.reader == "auto" else data).root)
    name = data.sample_submission
    if name == "auto":
        here = [path for path in tables_in(root) if "sample" in path.name.lower()] if root.is_dir() else []
        if not here:
            return None, "sample  none found: the submission will have the columns id and label"
        name = here[0].name
    sample, how = read_table(root / name)
    if sample.shape[1] < 2:
        raise CompError(f"{root / name} has {sample.shape[1]} column, expected an id and at least one target")
    refuse_duplicates(sample.iloc[:, 0], name)
    return (
        sample,
        f"sample  {name}: {len(sample)} rows, columns {', '.join(sample.columns[:6])}{f', {how}' if how else ''}",
    )
