"""The user's columns that are called as ours are: they step aside, and what the configuration names is theirs."""

import pandas as pd

from comp.vision.data.paths import PATHS

ASIDE = "column "  # what their names then begin with
OURS = {"id", "path", PATHS, "group", "time", "target"}


def set_aside(table: pd.DataFrame, id_column: str) -> pd.DataFrame:
    """`table` with room for our columns; its own `id` stays where that is what `id` will be."""
    theirs = [name for name in table.columns if name in OURS or name.startswith("target_")]
    return table.rename(columns={name: ASIDE + name for name in theirs if not name == id_column == "id"})


def own_column(table: pd.DataFrame, name: str) -> str:
    """Where `table` has the column that the user calls `name`."""
    return ASIDE + name if ASIDE + name in table.columns else name


def users_name(column: str) -> str:
    """What the user calls a column of a table."""
    return column.removeprefix(ASIDE)


def users_names(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(map(users_name, table.columns)))
