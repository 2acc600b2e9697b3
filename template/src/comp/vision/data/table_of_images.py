"""A table with an image a row: files that its rows name, or pixels that stand in the table itself."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comp.errors import CompError
from comp.files.tables import read_table
from comp.vision.data.find_images import image_files
from comp.vision.data.own_columns import set_aside
from comp.vision.data.pixel_table import PIXELS, PixelColumns, pixel_files
from comp.vision.data.several import find_all_images
from comp.vision.data.sources import rows_of, split_column
from comp.vision.schema import Data


@dataclass
class TableOfImages:
    source: Path
    table: pd.DataFrame  # as text; its index counts the rows of the file
    columns: PixelColumns | None  # of pixels, left out of the table where they are its images
    are_images: bool
    told: str

    @classmethod
    def read(cls, data: Data, source: Path, path: str | list[str]) -> "TableOfImages":
        """The table `source`; `path` as in `data.path`, of this table.

        Raises:
            CompError: it cannot be read.
        """
        columns = PixelColumns.of(source)
        asked = columns is not None and (path == PIXELS or path in columns.names)
        are_images = columns is not None and (asked or (path == "auto" and not image_files(Path(data.root))))
        table, how = columns.other_columns(source) if columns is not None and are_images else read_table(source)
        if columns is None and path == PIXELS and PIXELS not in table.columns:
            raise CompError(f"data.path={PIXELS}: {source} has no columns of pixels")
        return cls(source, table, columns, are_images, f", {how}" if how else "")

    def part(self, split: str, shared: bool) -> bool:
        """Keeps the rows of `split` where a column of a table that is `shared` tells them; whether it does."""
        column = split_column(self.table)
        if column is None:
            return False
        if not shared:
            self.told += f", those that {column!r} calls test among them"
            return False
        self.table = rows_of(self.table, column, split)
        self.told += f", the {split} rows by its column {column!r}"
        return True

    def number(self, sample: pd.DataFrame | None, split: str) -> str:
        """Gives a table of pixels without ids the column `id`, and returns its name.

        The ids are the sample submission's where that has as many numbers in a row, else the rows' numbers from 1.

        Raises:
            CompError: the sample submission has other ids.
        """
        ids = [str(row + 1) for row in self.table.index]
        if sample is not None and split == "test":
            wanted = sample.iloc[:, 0].tolist()
            first = wanted[0]
            if not first.isdecimal() or wanted != [str(int(first) + row) for row in range(len(ids))]:
                raise CompError(
                    f"{self.source} has no column of ids, and those of the sample submission do not number its "
                    f"{len(ids)} rows: add the column to it"
                )
            ids = wanted
        self.table.insert(0, "id", ids)
        self.told += ", numbered as there are no ids"
        return "id"

    def find_images(self, data: Data, split: str, path: str | list[str], id_column: str) -> str:
        """Gives the table its `id` and the images of its rows; where both were found, in words.

        Its own columns that are called as ours are step aside (`comp.vision.data.own_columns`).

        Raises:
            CompError: images are missing, or what stands in the table is none.
        """
        if self.columns is not None and self.are_images:
            files, how = pixel_files(self.source, self.columns, Path(data.work or data.root) / "cache")
            images = pd.DataFrame({"path": pd.Series(files, dtype=object)[self.table.index]})
        else:
            try:
                images, how = find_all_images(self.table, Path(data.root), split, path, id_column)
            except CompError as error:
                if self.columns is None:
                    raise
                raise CompError(f"{error}; or data.path={PIXELS}, for those in {self.columns.told}") from None
        ids = self.table[id_column]
        self.table = pd.concat([set_aside(self.table, id_column).assign(id=ids), images], axis=1)
        return f"ids in {id_column!r}, images at {how}"
