"""Tables in the forms that competitions give: CSV with any usual separator and encoding, also compressed, and parquet.

Every value is the text that stands in the file: `007` and `NA` stay what they are. What a file is, its first bytes say.
"""

import codecs
import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pandas as pd

from comp.errors import CompError, one_line, shown
from comp.files.suffixes import SUFFIXES, is_called_a_table

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
PROBED_ROWS, PROBED_BYTES, PIECE_BYTES = 100, 2000, 1 << 20
GZIP, ZIP, PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"
NO_WESTERN_TEXT = re.compile(rb"[\x80-\xff]{4}")  # accents stand alone between letters; other scripts have long runs
INDEX = "__index_level_"  # what pandas calls an index without a name
OWN_READER = "images in tables need a data.reader of your own (custom.py)"


def table_called(folder: Path, names: Collection[str]) -> Path | None:
    """The first table in `folder` that is called one of `names`, in any form; a plain CSV comes first."""
    here = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    return next((here[name + suffix] for name in names for suffix in SUFFIXES if name + suffix in here), None)


def tables_in(folder: Path) -> list[Path]:
    """All tables in `folder`, by name."""
    return [path for path in sorted(folder.iterdir()) if is_called_a_table(path.name) and path.is_file()]


def read_csv(path: Path) -> pd.DataFrame:
    """A table with every value as text, as `read_table` reads it."""
    return read_table(path)[0]


def read_table(path: Path, without: Collection[str] = (), rows: int | None = None) -> tuple[pd.DataFrame, str]:
    """A table with every value as text, missing ones as '', and how it was read if it is no plain CSV, for telling.

    `without`: columns that are left out. `rows`: no more than the first so many.

    Raises:
        CompError: the file is missing, empty, no table, or its rows do not fit its header.
    """
    with _telling(path):
        if _begins(path, PARQUET):
            table = pd.concat(_parquet(path, without, rows), ignore_index=True)
            how = ""
        else:
            form = _Form.of(path)
            how = form.told
            with _opened(path) as file:
                table = pd.read_csv(file, **form.options(without), nrows=rows)
    if not isinstance(table.index, pd.RangeIndex):
        raise CompError(f"{path} has more values in its rows than names in its header: give each column a name there")
    if table.empty:
        raise CompError(f"{path} has a header and no rows")
    return table, how


def pieces(path: Path, columns: Collection[str], rows: int, numbers: bool = False) -> Iterator[pd.DataFrame]:
    """These columns of a table, `rows` rows at a time: for those that are too large to be read at once.

    `numbers`: where a CSV has a column of numbers, they may come as such, which is faster.

    Raises:
        CompError: as `read_table`.
    """
    with _telling(path):
        if _begins(path, PARQUET):
            yield from _parquet(path, (), None, columns, rows)
            return
        wanted = set(columns)
        options = _Form.of(path).options(()) | {"usecols": wanted.__contains__}
        options |= {"dtype": None} if numbers else {}
        with _opened(path) as file:
            yield from pd.read_csv(file, **options, chunksize=rows)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Whatever is wrong with the file becomes one line."""
    try:
        yield
    except CompError:
        raise
    except FileNotFoundError:
        raise CompError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise CompError(f"{path} is a folder, and should be a table") from None
    except pd.errors.EmptyDataError:
        raise CompError(f"{path} is empty") from None
    except UnicodeError as error:
        raise CompError(f"{path} is not a CSV in UTF-8 ({one_line(error)}): save it as UTF-8") from None
    except pd.errors.ParserError as error:
        raise CompError(f"{path} is not a CSV in UTF-8: {one_line(error)}") from None
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise CompError(f"{path} cannot be read as a table: {one_line(error)}") from None


def _begins(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a table, unpacked."""
    if _begins(path, GZIP):
        with gzip.open(path) as file:
            yield file  # type: ignore[misc]
    elif _begins(path, ZIP):
        with zipfile.ZipFile(path) as archive:
            names = [each.filename for each in archive.infolist() if not each.is_dir() and _is_shown(each.filename)]
            if len(names) != 1 or not is_called_a_table(names[0]):
                raise CompError(f"{path} is no table, but holds {shown(names)}: save the table as a CSV")
            with archive.open(names[0]) as file:
                yield file
    else:
        with path.open("rb") as file:
            yield file


def _is_shown(name: str) -> bool:
    return not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith(".")


class _Form:
    """The encoding and the separator of a CSV."""

    def __init__(self, encoding: str, separator: str, note: str) -> None:
        self.encoding, self.separator = encoding, separator
        notes = [*([note] if note else []), *([SEPARATORS[separator] + " between values"] if separator != "," else [])]
        self.told = f"read with {' and '.join(notes)}" if notes else ""

    @classmethod
    def of(cls, path: Path) -> "_Form":
        encoding, note = _encoding(path)
        with _opened(path) as file:
            return cls(encoding, _separator(file, encoding), note)

    def options(self, without: Collection[str]) -> dict[str, Any]:
        """Of pandas."""
        out = set(without)
        chosen = {"usecols": lambda name: name not in out} if out else {}
        return {"dtype": str, "keep_default_na": False, "encoding": self.encoding, "sep": self.separator, **chosen}


def _encoding(path: Path) -> tuple[str, str]:
    """A text's encoding, and what to tell of it.

    Raises:
        CompError: it is neither UTF-8 nor UTF-16, nor text of Western Europe.
    """
    with _opened(path) as file:
        head = file.read(PROBED_BYTES)
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16", "UTF-16"
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) > 3 and zeros.count(0) > 0.9 * len(zeros):
            return encoding, "UTF-16"
    fault = _no_utf8(path)
    if fault is None:
        return "utf-8-sig", ""
    with _opened(path) as file:
        data = file.read()
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        raise fault from None
    if NO_WESTERN_TEXT.search(data) or not data.decode("utf-8", "ignore").isascii() or b"\0" in data:
        raise fault  # another script, or UTF-8 that is damaged
    return "cp1252", "the encoding cp1252, as it is not UTF-8"


def _no_utf8(path: Path) -> UnicodeDecodeError | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with _opened(path) as file:
            while piece := file.read(PIECE_BYTES):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return error
    return None


def _separator(file: IO[bytes], encoding: str) -> str:
    """A comma where it parts the first rows evenly; else what parts them into most columns."""
    text = io.TextIOWrapper(file, encoding, newline="")
    lines = list(islice(text, PROBED_ROWS))
    text.detach()  # the file is closed by who has opened it
    counts = {separator: _columns(lines, separator) for separator in SEPARATORS}
    even = {separator: found[0] for separator, found in counts.items() if found[0] > 1 and len(set(found)) == 1}
    some = even or {separator: found[0] for separator, found in counts.items() if found[0] > 1}
    return "," if "," in some or not some else max(some, key=lambda separator: some[separator])


def _columns(lines: list[str], separator: str) -> list[int]:
    """How many values the header has, and each row after it."""
    counts: list[int] = []
    reader = csv.reader(lines, delimiter=separator)
    with suppress(csv.Error):  # a value is too long for this reader
        counts += (len(row) for row in reader if row)
    whole = counts[:-1] if len(lines) == PROBED_ROWS else counts  # the last one may go on
    return whole or counts or [0]


def _parquet(
    path: Path, without: Collection[str], rows: int | None, columns: Collection[str] = (), at_once: int = 65536
) -> Iterator[pd.DataFrame]:
    """The rows of a parquet file as text, piece by piece."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name not in without and not name.startswith(INDEX)]
        names = [name for name in names if name in columns] if columns else names
        left = file.metadata.num_rows if rows is None else rows
        if not left:
            yield pd.DataFrame(columns=names, dtype=str)
        for batch in file.iter_batches(min(at_once, max(left, 1)), columns=names):
            yield pd.DataFrame({name: _as_text(batch.column(name), name, path) for name in names})
            left -= batch.num_rows
            if left <= 0:
                return


def _as_text(values: Any, name: str, path: Path) -> pd.Series:
    """A column as a CSV would have it: whole numbers without `.0`, missing values as ''."""
    import pyarrow

    kind = values.type
    if pyarrow.types.is_nested(kind) or pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind):
        raise CompError(f"column {name!r} of {path} holds {kind}, and no text: leave it out of the table; {OWN_READER}")
    text = values.to_pandas().astype(str) if pyarrow.types.is_temporal(kind) else values.cast(pyarrow.string())
    found = pd.Series(text if isinstance(text, pd.Series) else text.to_pandas(), dtype=str)
    if pyarrow.types.is_boolean(kind):
        found = found.str.capitalize()
    missing = pd.Series(values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))
    return found.mask(missing | found.isna(), "")
