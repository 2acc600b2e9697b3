"""CSV files as text, the sample submission among them."""

from pathlib import Path

import pandas as pd

from comp.config.common import Files
from comp.errors import CompError, shown


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV with every value as the text that stands in it: `007` and `NA` stay what they are."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise CompError(f"{path} does not exist") from None
    except pd.errors.EmptyDataError:
        raise CompError(f"{path} is empty") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CompError(f"{path} is not a CSV in UTF-8: {error}") from None
    if table.empty:
        raise CompError(f"{path} has a header and no rows")
    return table


def read_sample(data: Files) -> tuple[pd.DataFrame | None, str]:
    """The sample submission as text, or None where there is none, and a line that tells of it.

    Raises:
        CompError: the file that `data.sample_submission` names is missing or has no target column.
    """
    root = Path(data.root)
    name = data.sample_submission
    if name == "auto":
        here = [path for path in sorted(root.glob("*.csv")) if "sample" in path.name.lower()]
        if not here:
            return None, "sample  none found: the submission will have the columns id and label"
        name = here[0].name
    sample = read_csv(root / name)
    if sample.shape[1] < 2:
        raise CompError(f"{root / name} has {sample.shape[1]} column, expected an id and at least one target")
    refuse_twice(sample.iloc[:, 0], name)
    return sample, f"sample  {name}: {len(sample)} rows, columns {', '.join(sample.columns[:6])}"


def refuse_twice(ids: pd.Series, where: str) -> None:
    """Raises CompError where an id stands more than once."""
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise CompError(f"{len(twice)} ids stand more than once in the {where} table: {shown(twice)}")
