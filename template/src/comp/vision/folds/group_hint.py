"""A hint at `comp split`: a column that looks as if its rows belong together, and that nobody named as data.group."""

import re

import numpy as np
import pandas as pd

from comp.tables import Tables
from comp.vision.data.own_columns import users_name
from comp.vision.data.paths import PATHS

GROUPS = {
    *("patient", "subject", "participant", "person", "individual", "identity", "user", "author", "speaker", "family"),
    *("study", "case", "session", "visit", "video", "clip", "sequence", "scene", "series", "slide", "site", "location"),
    *("product", "item", "group"),
}
NUMBERS = {"id", "ids", "no", "nr", "num", "number", "name", "key", "code", "hash", "uid", "uuid", "idx", "index"}
NO_GROUPS = {"id", "path", PATHS, "fold", "target", "label", "group", "time"}
LEAST_VALUES = 10  # fewer are a category, such as a sex or a camera
LEAST_SHARED = 0.05  # share of the rows whose value stands in another row too
LEAST_SETS, LEAST_WITHIN = 3, 0.9  # sets of near-duplicates, and the share of them that lie within a value
MOST_BY_CHANCE = 0.1  # how often two rows have one value


def group_hint(tables: Tables, n_folds: int, near: np.ndarray) -> str | None:
    """A line about the column that looks most like a group, or None.

    That is a column whose name says so (`patient_id`, `user`, `videoName`; not `patient_age`), or one of words whose
    values the sets of near-duplicates `near` (N,) do not cross. Numbers may be measurements of the image. Either has
    many values, and several rows for some of them.
    """
    train = tables.train
    labels = {*tables.targets.truth_columns, *NO_GROUPS}
    found = {str(column): train[column].astype(str).str.strip() for column in train.columns if column not in labels}
    repeated = {column: values for column, values in found.items() if _repeats(values, n_folds)}
    named = [column for column in repeated if _is_called_a_group(users_name(column))]
    within = [column for column, values in repeated.items() if _holds_duplicates(values, near)]
    if not (named or within):
        return None
    column = min(named or within, key=lambda each: repeated[each].nunique())  # a patient has several studies
    values = repeated[column]
    count = f"{values[values != ''].nunique()} values on {(values != '').sum()} rows"
    name = users_name(column)
    why = f"{name!r} has {count}" if named else f"near-duplicates share their {name!r}, which has {count}"
    return f"{why}: if rows of one value belong together, set data.group={name}"


def _repeats(values: pd.Series, n_folds: int) -> bool:
    known = values[values != ""]
    different = known.nunique()
    shared = known.duplicated(keep=False).mean() if len(known) else 0
    return bool(different >= max(LEAST_VALUES, 2 * n_folds) and shared >= LEAST_SHARED)


def _is_called_a_group(column: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).lower())
    words = [word.removesuffix("id") if word.removesuffix("id") in GROUPS else word for word in words]
    while len(words) > 1 and words[-1] in NUMBERS:
        words = words[:-1]
    return bool(words) and words[-1].removesuffix("s") in GROUPS | {"serie"}


def _holds_duplicates(values: pd.Series, near: np.ndarray) -> bool:
    if pd.to_numeric(values, errors="coerce").notna().all():
        return False
    of_set = values.groupby(near)
    sets = of_set.nunique()[of_set.size() > 1]
    by_chance = (values.value_counts(normalize=True) ** 2).sum()
    return len(sets) >= LEAST_SETS and (sets == 1).mean() >= LEAST_WITHIN and bool(by_chance <= MOST_BY_CHANCE)
