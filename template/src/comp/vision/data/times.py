"""Reads a column of times that may be written in any of the usual ways; what could mean two things is refused."""

import re
from itertools import product

import numpy as np
import pandas as pd

from comp.errors import CompError, first_line, shown

DATES = (
    *(f"%Y{mark}%m{mark}%d" for mark in "-/."),
    *(f"%d{mark}%m{mark}%{year}" for year, mark in product("Yy", "/-.")),
    *(f"%m{mark}%d{mark}%{year}" for year, mark in product("Yy", "/-")),
    *(f"%y{mark}%m{mark}%d" for mark in "-/."),
    *("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d %Y", "%B %d %Y", "%b %d, %Y", "%B %d, %Y"),
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
FORMATS = tuple(date + clock for date, clock in product(DATES, CLOCKS))
DIGITS = ("%Y%m%d", "%d%m%Y", "%m%d%Y")
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?")
FIRST_LOOK = 1000  # values that formats are tried on before all are read


def read_times(column: pd.Series, time_format: str | None) -> tuple[pd.Series, str]:
    """The values as numbers or dates of ISO 8601, in text, and how they were read.

    Raises:
        CompError: a value cannot be read, there are several formats, or two readings put rows in different orders.
    """
    text = column.astype(str).str.strip()
    if time_format is not None:
        return _in_iso(_read(text, time_format, f"as data.time_format={time_format}")), time_format
    numbers = pd.to_numeric(text, errors="coerce")
    if np.isfinite(numbers).all():
        _refuse_dates_in_digits(text)
        return text, "numbers"
    iso = text.map(ISO.fullmatch)
    if iso.notna().all():
        zones = iso.map(lambda match: match["zone"] is not None)
        if zones.any() and not zones.all():
            raise CompError(f"data.time: some values name a time zone and some do not: {_examples(text, zones)}")
        return _in_iso(_read(text, "ISO8601", "as dates of ISO 8601", utc=True)), "year-month-day"
    return _by_format(text)


def _by_format(text: pd.Series) -> tuple[pd.Series, str]:
    few = pd.Series(text.unique()[:FIRST_LOOK])
    fitting = [each for each in FORMATS if pd.to_datetime(few, format=each, errors="coerce").notna().all()]
    readings = {each: pd.to_datetime(text, format=each, errors="coerce") for each in fitting}
    readings = {each: when for each, when in readings.items() if when.notna().all()}
    if not readings:
        raise CompError(_why_none_fits(text))
    (chosen, when), *others = readings.items()
    for other, reading in others:
        if (when.rank(method="dense") != reading.rank(method="dense")).any():
            differing = text[when != reading]
            raise CompError(
                f"data.time: {shown(differing, 2)} could be {chosen} or {other}: "
                f'set data.time_format, such as "{chosen}" or "{other}"'
            )
    return _in_iso(when), chosen


def _why_none_fits(text: pd.Series) -> str:
    """The values that no format reads, or an example of each of the formats that there are."""
    left, examples = text[text != ""], []
    for each in FORMATS:
        fits = pd.to_datetime(left, format=each, errors="coerce").notna()
        if fits.any():
            examples.append(f"{left[fits].iloc[0]!r} ({each})")
            left = left[~fits]
    blank = int((text == "").sum())
    if len(left) or blank:
        odd = text[(text == "") | text.index.isin(left.index)]
        return (
            f"data.time: {len(odd)} values are neither numbers nor dates: {shown(odd.unique())}: "
            'set data.time_format, such as "%d/%m/%Y"'
        )
    return f"data.time: dates are written in several ways: {', '.join(examples[:3])}: write all of them in one"


def _refuse_dates_in_digits(text: pd.Series) -> None:
    """31122020 would be sorted by its day."""
    if not text.str.fullmatch(r"\d{8}").all():
        return
    read = {each: pd.to_datetime(text, format=each, errors="coerce").notna().all() for each in DIGITS}
    if not read["%Y%m%d"] and any(read.values()):
        likely = [each for each in DIGITS if read[each]]
        raise CompError(f'data.time: {shown(text, 2)} are dates, it seems: set data.time_format, such as "{likely[0]}"')


def _read(text: pd.Series, time_format: str, how: str, utc: bool = False) -> pd.Series:
    try:
        when = pd.to_datetime(text, format=time_format, errors="coerce", utc=utc)
    except ValueError as error:  # the format itself, or several time zones
        raise CompError(f"data.time_format={time_format}: {first_line(error)}") from None
    if when.isna().any():
        raise CompError(f"data.time: {when.isna().sum()} values cannot be read {how}: {shown(text[when.isna()])}")
    return when


def _examples(text: pd.Series, chosen: pd.Series) -> str:
    return f"{text[chosen].iloc[0]!r}, {text[~chosen].iloc[0]!r}"


def _in_iso(when: pd.Series) -> pd.Series:
    return when.map(lambda value: value.isoformat())
