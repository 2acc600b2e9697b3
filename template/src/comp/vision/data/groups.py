"""Values of `data.group`: one spelling for each group, as labels have it."""

import re

import pandas as pd

from comp.errors import shown

NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.(\d*?)0*)?")


def one_spelling(groups: pd.Series) -> tuple[pd.Series, str]:
    """`groups` (N,) without blanks around them, where all are numbers by their value, and which were joined, or "".

    A group is called as its first row has it, so what needs no joining keeps its name.
    """
    text = groups.astype(str)
    stripped = text.str.strip()
    numbers = stripped[stripped != ""].map(NUMBER.fullmatch)
    key = stripped
    if len(numbers) and numbers.notna().all():
        key = stripped.where(stripped == "", stripped.map(_value))
    name = stripped.groupby(key).transform("first")
    spellings = text[stripped != ""].groupby(key).nunique()
    several = text[key.isin(spellings.index[spellings > 1])].unique()
    return name, shown(several, 4) if len(several) else ""


def _value(number: str) -> str:
    """1 of 1, 01, 1.0 and +1: as text, as a float would make one of two long numbers."""
    match = NUMBER.fullmatch(number)
    if match is None:
        return number
    sign, whole, rest = match.groups()
    value = f"{whole}.{rest}" if rest else whole
    return f"-{value}" if sign == "-" and value != "0" else value
