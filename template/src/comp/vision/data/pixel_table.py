"""Images that stand in a table as numbers: in one column (`70 80 82 …`, FER2013), or one column a pixel (MNIST).

They become PNG files in the cache, once, so that everything else finds images as it always does.
"""

import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from comp.errors import CompError, shortened
from comp.files import NO_SPACE, digest, file_digest
from comp.files.tables import OWN_READER, pieces, read_table
from comp.vision.pixels.cached import building_alone

PIXELS = "pixels"  # what data.path says to ask for them
LEAST = 64  # pixels: fewer numbers are no picture
NUMBERS = re.compile(r"[\s\[]*\d+([\s,]+\d+){" + str(LEAST - 1) + r",}[\s,\]]*")
NUMBERED = re.compile(r"(?:pixel|px|pix|p)?[ _.-]?(\d+)", re.IGNORECASE)
BY_PLACE = re.compile(r"(?:pixel|px|p)?[ _]?(\d+)[x_](\d+)", re.IGNORECASE)
WHOLE = re.compile(r"\d{1,2}|1\d\d|2[0-4]\d|25[0-5]")
ROWS_AT_ONCE = 1000
VERSION = 1  # of the files: increment it when they change


@dataclass(frozen=True)
class PixelColumns:
    """The columns of a table that hold an image's values, row by row; of one column, all of them."""

    names: tuple[str, ...]
    alone: bool = False  # the table has no others

    @classmethod
    def of(cls, source: Path) -> "PixelColumns | None":
        """Those of a table, by its header and its first row; None where there are none."""
        head, _ = read_table(source, rows=1)
        for name in head.columns:
            if NUMBERS.fullmatch(head[name].iloc[0]):
                return cls((str(name),), head.shape[1] == 1)
        names = _in_order([str(name) for name in head.columns])
        return cls(names, len(names) == head.shape[1]) if names else None

    def other_columns(self, source: Path) -> tuple[pd.DataFrame, str]:
        """The table without them, and how it was read."""
        if not self.alone:
            return read_table(source, self.names)
        rows, how = read_table(source, self.names[1:])  # without any column its rows would not be counted
        return rows.drop(columns=self.names[0]), how

    @property
    def told(self) -> str:
        one = len(self.names) == 1
        return f"{self.names[0]!r}" if one else f"{len(self.names)} columns {self.names[0]!r} to {self.names[-1]!r}"


def pixel_files(source: Path, columns: PixelColumns, cache: Path) -> tuple[list[str], str]:
    """A PNG for each row of the table, made below `cache` where they are not there yet; and what to tell of them.

    Raises:
        CompError: a row is no square picture of values from 0 to 255, or the disk is full.
    """
    place = cache / f"pixels-{digest([VERSION, file_digest(source), columns.names])}"
    about = _known(place)
    if about is None:
        with building_alone(cache):
            about = _known(place) or _write(source, columns, place)
    side, low, high = about["side"], about["low"], about["high"]
    told = f"{columns.told}: {side} x {side} gray, values {low} to {high}, kept in {place}"
    return [str(place / f"{row}.png") for row in range(about["rows"])], told


def _in_order(names: list[str]) -> tuple[str, ...]:
    """The columns that are called by a pixel's number or place, in the order of rows of pixels; none if some lack."""
    places = {name: tuple(map(int, found.groups())) for name in names if (found := BY_PLACE.fullmatch(name))}
    numbers = {name: (int(found[1]),) for name in names if (found := NUMBERED.fullmatch(name))}
    for by_name in (places, numbers):
        ordered = sorted(by_name, key=by_name.__getitem__)
        if len(ordered) >= LEAST and _whole([by_name[name] for name in ordered]):
            return tuple(ordered)
    return ()


def _whole(places: Sequence[tuple[int, ...]]) -> bool:
    """Whether sorted places are all of a grid, or all numbers, that begin at 0 or 1."""
    first = places[0][0]
    if len(places[0]) == 1:
        return first in {0, 1} and [place[0] for place in places] == list(range(first, first + len(places)))
    side = isqrt(len(places))
    return first in {0, 1} and list(places) == [
        (first + row, first + column) for row in range(side) for column in range(side)
    ]


def _known(place: Path) -> dict[str, int] | None:
    """What was written of finished files; None where they are not all there."""
    try:
        about: dict[str, int] = json.loads((place / "about.json").read_text(encoding="utf-8"))
        whole = {"rows", "side", "low", "high"} <= set(about) and sum(1 for _ in place.iterdir()) == about["rows"] + 1
    except (OSError, ValueError, TypeError):
        return None
    return about if whole else None


def _write(source: Path, columns: PixelColumns, place: Path) -> dict[str, int]:
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    print(f"pixels  {source}: writing the images of {columns.told} into {place}", flush=True)
    try:
        temporary.mkdir(parents=True)
        rows, side, low, high = 0, 0, 255, 0
        for values in _values(source, columns):
            side, low, high = isqrt(values.shape[1]), min(low, int(values.min())), max(high, int(values.max()))
            images = values.astype(np.uint8).reshape(-1, side, side)
            for row, image in enumerate(images, start=rows):
                (temporary / f"{row}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
            rows += len(images)
        if high <= 1:
            raise CompError(f"{source}: the values of {columns.told} are 0 to 1, and should be 0 to 255: multiply them")
        about = {"rows": rows, "side": side, "low": low, "high": high}
        (temporary / "about.json").write_text(json.dumps(about), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # of one that is not whole
        temporary.replace(place)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise CompError(f"no space left for the images of {source} in {place}: free some and run again") from None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return about


def _values(source: Path, columns: PixelColumns) -> Iterator[np.ndarray]:
    """(rows, pixels) whole numbers from 0 to 255, some rows at a time."""
    row, count = 0, 0
    for piece in pieces(source, columns.names, ROWS_AT_ONCE, numbers=len(columns.names) > 1):
        table = piece[list(columns.names)]
        if all(kind.kind == "i" for kind in table.dtypes) and table.isin(range(256)).all(axis=None):
            rows = list(table.to_numpy(np.float64))
        else:
            rows = [_numbers(texts, source, row + n) for n, texts in enumerate(table.astype(str).to_numpy(object))]
        count = count or len(rows[0])
        if isqrt(count) ** 2 != count:
            raise CompError(f"{source}: {count} pixels a row are no square gray image: {OWN_READER}")
        other = [n for n, values in enumerate(rows) if len(values) != count]
        if other:
            found = len(rows[other[0]])
            raise CompError(f"{source}: row {row + other[0] + 1} has {found} pixels, and the first has {count}")
        yield np.stack(rows)
        row += len(rows)


def _numbers(texts: np.ndarray, source: Path, row: int) -> np.ndarray:
    """The values of one image, whose texts are a value each, or one text with all."""
    text = " ".join(texts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # older numpy only warns of text that is no number
            values = np.fromstring(re.sub(r"[\[\],]", " ", text), np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        values = np.full(1, np.nan)
    wrong = ~((values >= 0) & (values <= 255) & (values % 1 == 0))
    if wrong.any() or (len(texts) > 1 and len(values) != len(texts)):
        strange = next((each for each in text.split() if not WHOLE.fullmatch(each)), f"{values[wrong][:1]}")
        raise CompError(
            f"{source}: row {row + 1} holds {shortened(repr(strange))}, and pixels are whole numbers from 0 to 255: "
            f"{OWN_READER}"
        )
    return values
