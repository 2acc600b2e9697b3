"""Finds rows of several images: by a pattern that matches them, a column that lists them, or several columns."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.tables import Tables
from comp.vision.data.find_images import Found, find_images, image_files
from comp.vision.data.matching import Images, is_wild, likely_pattern, matching
from comp.vision.data.metadata import IMAGE_FACTS
from comp.vision.data.paths import PATHS
from comp.vision.data.spelling import cleaned, folded, without_suffix
from comp.vision.schema import ImageConfig

SEPARATORS = ("|", ";", ",", " ")  # of a column that lists files; the last one stands for any blanks
PROBED = 200  # lists that are looked at


def find_all_images(
    table: pd.DataFrame, root: Path, split: str, path: str | list[str], id_column: str
) -> tuple[pd.DataFrame, str]:
    """The `path` of each row, and `all paths` where rows have several images; how they were found, for telling.

    Raises:
        CompError: as `find_images` and `matching`; or a row has no image.
    """
    known = cache(lambda: _known(root))
    if isinstance(path, str) and not _is_list(table, path, known):
        found = _one_each(table, root, split, path, id_column)
        return pd.DataFrame({"path": found.paths}), found.how
    each = [_of_entry(table, root, split, entry, id_column) for entry in ([path] if isinstance(path, str) else path)]
    images = [[name for names in own for name in names] for own in zip(*(found for found, _ in each), strict=True)]
    how = " and ".join(how for _, how in each)
    none = [not own for own in images]
    if any(none):
        ids = shown(table[id_column][none])
        raise CompError(f"{sum(none)} of {len(table)} {split} rows have no image ({how}): ids {ids}")
    paths = pd.DataFrame({"path": [own[0] for own in images]}, index=table.index, dtype=object)
    if max(map(len, images), default=0) > 1:
        paths[PATHS] = pd.Series(list(map(tuple, images)), index=table.index, dtype=object)
    return paths, f"{how}, {_told([len(own) for own in images])}"


def names_several(path: str | list[str]) -> bool:
    """Whether `data.path` alone says that rows may have several images."""
    return not isinstance(path, str) or is_wild(path)


def serves_both(path: str | list[str], columns: pd.Index) -> bool:
    """Whether `data.path` can be meant for the test table too, which has these columns."""
    if not isinstance(path, str):
        return all(serves_both(entry, columns) for entry in path)
    return "{split}" in path or path in columns or (is_wild(path) and "train" not in path.lower())


def check_several(config: ImageConfig, tables: Tables) -> str:
    """What is to be told of the settings where rows have several images, or "".

    Raises:
        CompError: a setting is for one image a row.
    """
    each, augment = config.train.images_per_row, config.augment
    if PATHS not in tables.train:
        if each > 1:
            raise CompError(f"train.images_per_row={each}: each row has one image (data.path): set it to 1")
        return ""
    if each > 1 and (augment.mixup or augment.cutmix):
        raise CompError(f"train.images_per_row={each}: rows cannot be mixed: set augment.mixup=0 and augment.cutmix=0")
    if each == 1 and config.model.head == "attention_pool":
        raise CompError("model.head=attention_pool learns from several images at a time: set train.images_per_row=4")
    for key, value in (
        ("train.cache_frozen", config.train.cache_frozen),
        ("synth", config.synth),
        ("synthetic", config.synthetic),
    ):
        if value:
            raise CompError(f"{key} is for one image a row, and here rows have several: leave it out")
    facts = [name for name in IMAGE_FACTS if name not in tables.train]
    first = [f"model.metadata {name}" for name in config.model.metadata if name in facts]
    first += [f"stack.features {name}" for name in config.stack.features if name in {*facts, "image_statistics"}]
    return f"note    {', '.join(first)}: of a row's first image" if first else ""


def _one_each(table: pd.DataFrame, root: Path, split: str, path: str, id_column: str) -> Found:
    """As `find_images`; where a guess fails since rows have several images, it says which setting names them."""
    try:
        return find_images(table, root, split, path, id_column)
    except CompError as error:
        known = cache(lambda: _known(root))
        listing = [column for column in table.columns if path == "auto" and _is_list(table, column, known)]
        pattern, example = ("", []) if path != "auto" else likely_pattern(table[id_column], root, split)
        if listing:
            raise CompError(
                f"the {split} column {listing[0]!r} lists several images a row: set data.path={listing[0]}"
            ) from error
        if pattern:
            raise CompError(
                f"{split} rows have several images each, such as {shown(example, 2)}: set 'data.path=\"{pattern}\"'"
            ) from error
        raise


def _of_entry(table: pd.DataFrame, root: Path, split: str, entry: str, id_column: str) -> tuple[Images, str]:
    """The images of each row that one entry of `data.path` names; a blank value names none."""
    if is_wild(entry) and entry not in table.columns:
        return matching(table, root, split, entry, id_column)
    if entry in table.columns:
        known = cache(lambda: _known(root))
        separator = _separator(table, entry, known)
        values = [_parts(value, separator, known) for value in table[entry]]
    else:
        values = [[""]] * len(table)  # a pattern: once for each row
    counts = [len(own) for own in values]
    if not any(counts):
        return [[] for _ in values], entry
    long = table.loc[table.index.repeat(counts)].reset_index(drop=True)
    if entry in table.columns:
        long[entry] = pd.Series([value for own in values for value in own], dtype=object)
    found = _one_each(long, root, split, entry, id_column)
    names, ends = found.paths.tolist(), np.cumsum(counts)
    return [names[end - count : end] for end, count in zip(ends, counts, strict=True)], found.how


def _is_list(table: pd.DataFrame, path: str, known: Callable[[], set[str]]) -> bool:
    if path in table.columns:
        return bool(_separator(table, path, known))
    return is_wild(path)


def _separator(table: pd.DataFrame, column: str, known: Callable[[], set[str]]) -> str:
    """What separates the files that values of a column list; "" if it lists none.

    A value that a file is called by as it stands is no list.
    """
    values = [value for value in table[column] if len(re.split(r"[|;,\s]+", value.strip())) > 1]
    if not values:
        return ""
    for separator in SEPARATORS:
        lists = [parts for value in values if len(parts := _parts(value, separator, known)) > 1][:PROBED]
        found = [_name(part) in known() for parts in lists for part in parts]
        if lists and 2 * sum(found) > len(found):
            return separator
    return ""


def _parts(value: str, separator: str, known: Callable[[], set[str]]) -> list[str]:
    """The files that a value lists, which may be written as a list of Python's or JSON; a blank one lists none."""
    if not value.strip():
        return []
    if not separator:
        return [value]
    at = None if separator == " " else separator
    found = (part.strip().strip("\"'").strip() for part in value.strip().strip("[]()").split(at))
    parts, name = [part for part in found if part], _name(value)
    one_file = name in known() and (len(name.split(at)) > 1 or any(_name(part) not in known() for part in parts))
    return [value] if one_file else parts


def _known(root: Path) -> set[str]:
    """What the images below `root` are called, without their folders, with and without suffix."""
    names = [_name(name) for name in image_files(root)]
    return {*names, *map(without_suffix, names)}


def _name(text: str) -> str:
    return folded(cleaned(text)).rpartition("/")[2]


def _told(counts: list[int]) -> str:
    few, many = min(counts, default=0), max(counts, default=0)
    if few == many:
        return f"{many} images a row" if many > 1 else "one image a row"
    return f"{few} to {many} images a row, {sum(counts) / len(counts):.1f} on average"
