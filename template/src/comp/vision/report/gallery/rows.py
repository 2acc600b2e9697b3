"""The rows that are shown, from the competition's own files: the images of these few are decoded, and no others."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from comp.vision.data.paths import PATHS
from comp.vision.data.read import read_tables
from comp.vision.data.settle import settled
from comp.vision.pixels import Decoding, Streamed
from comp.vision.pixels.image_file import BadImage
from comp.vision.schema import ImageConfig


@dataclass(frozen=True)
class Shown:
    """The rows of the training table that are shown, each once: (R, …), and the first image of each."""

    config: ImageConfig
    table: pd.DataFrame
    pixels: Streamed
    place: dict[str, int]  # of an id, in both; rows without a readable image are in none


def opened(config: ImageConfig, ids: list[str]) -> Shown:
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
