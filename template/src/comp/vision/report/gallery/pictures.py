"""The pictures of the rows that are shown, from the competition's own files: these few are decoded, and no others."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.runs.rundir import RunDir
from comp.vision.data.paths import PATHS
from comp.vision.data.read import read_tables
from comp.vision.data.settle import as_trained, settled
from comp.vision.pixels import Decoding, Streamed
from comp.vision.pixels.image_file import BadImage
from comp.vision.report.gallery.cases import Answers, Case
from comp.vision.report.gallery.thumbnails import thumbnail
from comp.vision.schema import ImageConfig


@dataclass
class Pictures:
    """JPEGs of each case, and what to say of those that are missing."""

    of: dict[Case, list[bytes]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """The rows of the training table that are shown, each once: (R, …), and the first image of each."""

    config: ImageConfig
    table: pd.DataFrame
    pixels: Streamed
    place: dict[str, int]  # of an id, in both; rows without a readable image are in none


def pictures_of(config: ImageConfig, run: RunDir, answers: Answers, cases: Sequence[Case]) -> Pictures:
    """The image of each case, and with heat what the model that never saw it made of it.

    What is not there, such as the data of a run that was copied here, is told in `notes`.
    """
    found = Pictures()
    ids = {case: str(answers.oof["id"].iloc[case.row]) for case in cases}
    try:
        rows = _opened(as_trained(config, run.trained_config()), sorted(set(ids.values())))
    except CompError as error:
        found.notes.append(f"Without pictures: {str(error).splitlines()[0]}")
        return found
    there = [case for case in cases if ids[case] in rows.place]
    if len(there) < len(cases):
        gone = sorted({ids[case] for case in cases} - rows.place.keys())
        found.notes.append(f"Without picture, as no image of theirs can be read: {shown(gone)}")
    found.of = {case: [thumbnail(rows.pixels[rows.place[ids[case]]])] for case in there}
    if there:
        from comp.vision.report.gallery.attention import heat_pictures  # only here: torch is large

        heat, notes = heat_pictures(rows, run, answers, {case: rows.place[ids[case]] for case in there})
        found.notes += notes
        for case, picture in heat.items():
            found.of[case].append(picture)
    return found


def _opened(config: ImageConfig, ids: list[str]) -> Shown:
    """Raises: CompError: the data is not here, or is other data."""
    tables = read_tables(config.data)
    config = settled(config, tables)
    table = tables.train[tables.train["id"].astype(str).isin(ids)].reset_index(drop=True)
    decoding = Decoding.of(config)
    paths, readable = [], []
    for row, every in enumerate(table[PATHS] if PATHS in table else ([path] for path in table["path"])):
        path = next((path for path in every if _is_readable(decoding, path)), None)
        if path is not None:
            paths.append(path)
            readable.append(row)
    table = table.iloc[readable].reset_index(drop=True)
    place = {str(name): number for number, name in enumerate(table["id"])}
    return Shown(config, table, Streamed(paths, decoding, {}), place)


def _is_readable(decoding: Decoding, path: str) -> bool:
    try:
        return bool(np.size(decoding(path)))
    except BadImage:
        return False
