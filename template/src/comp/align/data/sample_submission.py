"""What a submission looks like: ids, and vectors as a JSON list in one field or as columns. Read a row at a time."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.align.data.places import files_root
from comp.config.common import LARGEST, Files
from comp.errors import CompError, one_line, plural, shown


@dataclass(frozen=True)
class Form:
    """`columns` without the id's. As a list, there is one of them, and it holds `width` numbers."""

    id_column: str
    columns: list[str]
    ids: list[str]
    is_list: bool
    width: int


def read_form(data: Files) -> tuple[Form | None, str]:
    """The form of the sample submission, or None where there is none, and a line describing it.

    Raises:
        CompError: the file that `data.sample_submission` names is missing, empty or of neither form.
    """
    root, name = files_root(data), data.sample_submission
    if name == "auto":
        here = [path for path in sorted(root.glob("*.csv")) if "sample" in path.name.lower()]
        if not here:
            return None, "sample  none found: the submission will have the columns id and embedding, a list"
        name = here[0].name
    path = root / name
    rows = vectors_of(path)
    header, _ = next(rows, ([], None))
    first, vector = next(rows, (None, None))
    if first is None or vector is None:
        raise CompError(f"{path} has a header and no rows")
    ids = [first, *(row for row, _ in _rows(path, skip=2))]
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise CompError(f"{path}: {plural(len(twice), 'id appears', 'ids appear')} more than once: {shown(twice)}")
    is_list = len(header) == 2 and len(vector) != 1
    form = Form(header[0], list(header[1:]), ids, is_list, len(vector))
    how = f"a list of {form.width} numbers in {form.columns[0]!r}" if is_list else f"{form.width} columns"
    return form, f"sample  {name}: {len(ids)} rows, {form.id_column!r} and {how}"


def vectors_of(path: Path) -> Iterator[tuple]:
    """The header, then each row as its id and its vector (D,) float32.

    Raises:
        CompError: there is no such file, or a row is not a vector as long as the first one's; it is named.
    """
    width = None
    for number, (name, fields) in enumerate(_rows(path)):
        if number == 0:
            yield [name, *fields], None
            continue
        vector = _vector(name, fields, path)
        width = width or len(vector)
        if len(vector) != width:
            raise CompError(f"{path}: row {name!r} has {len(vector)} numbers, the first one {width}")
        yield name, vector


def _vector(name: str, fields: list[str], path: Path) -> np.ndarray:
    try:
        numbers = json.loads(fields[0]) if fields[0].lstrip().startswith("[") else [float(field) for field in fields]
        vector = np.array(numbers, dtype=np.float32)
    except (ValueError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise CompError(f"{path}: row {name!r} is not a vector: {one_line(error)}") from None
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise CompError(f"{path}: row {name!r} holds a value that is not a number")
    return vector


def _rows(path: Path, skip: int = 0) -> Iterator[tuple[str, list[str]]]:
    """First field and the others of each line of a CSV."""
    csv.field_size_limit(LARGEST)  # a vector is one field
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file)):
                if number >= skip and row:
                    if len(row) < 2:
                        raise CompError(f"{path}: line {number + 1} has {len(row)} field, expected an id and a vector")
                    yield row[0], row[1:]
    except FileNotFoundError:
        raise CompError(f"{path} does not exist") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise CompError(f"{path} is not a CSV in UTF-8: {one_line(error)}") from None
