"""The door through which files that this program wrote come back.

A copy breaks off, a disk fails, an editor saves something else: whatever is wrong with such a file is one line that
names it and the way out.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from comp.errors import CompError, one_line, shortened

AGAIN = "it is made again"  # the way out of what is remembered
Found = TypeVar("Found")


@contextmanager
def reading(path: Path, way_out: str) -> Iterator[None]:
    """Around all that reads `path` and looks whether what stands in it is what belongs there, and around nothing else.

    Raises:
        CompError: for any fault; `way_out` says what to do.
    """
    try:
        yield
    except CompError:
        raise
    except FileNotFoundError:
        raise CompError(f"{path} does not exist: {way_out}") from None
    except IsADirectoryError:
        raise CompError(f"{path} is a folder, and should be a file: {way_out}") from None
    except PermissionError as error:
        raise CompError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:  # each format's reader has exceptions of its own, for whatever bytes it meets
        raise CompError(f"{path} is damaged ({_why(error)}): {way_out}") from error


def read_json(path: Path, kind: Any, way_out: str) -> Any:
    """The values of a JSON file that are of the type `kind`, such as a TypedDict with the keys that must be there.

    Raises:
        CompError: they are not, or the file is damaged.
    """
    with reading(path, way_out):
        values = json.loads(path.read_text(encoding="utf-8"))
        TypeAdapter(kind).validate_python(values, strict=True)
        return values


def read_rows(path: Path, columns: Sequence[str], way_out: str) -> list[dict[str, str]]:
    """The rows of a CSV that has these columns, and maybe others.

    Raises:
        CompError: it has not, or the file is damaged.
    """
    with reading(path, way_out), path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"it has no column {missing[0]}")
        rows = list(reader)
        for number, row in enumerate(rows, start=2):
            if None in row or None in row.values():
                raise ValueError(f"row {number} has other columns than the header")
        return rows


def read_text(path: Path, pattern: str, way_out: str) -> str:
    """What stands in a text file, without its last line end; all of it matches `pattern`.

    Raises:
        CompError: it does not, or the file is damaged.
    """
    with reading(path, way_out):
        text = path.read_text(encoding="utf-8").strip()
        if not re.fullmatch(pattern, text):
            raise ValueError(f"it holds {shortened(repr(text))}")
        return text


def read_array(path: Path, shape: tuple[int, ...] | None, dtype: np.dtype, way_out: str) -> np.ndarray:
    """The array of a npy file, of this type, and of this shape unless None: then it is a row of any length.

    Raises:
        CompError: it is another, or the file is damaged.
    """
    with reading(path, way_out), path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        (*found,), fortran, its_dtype = read(file)
        count = math.prod(found)
        if its_dtype != dtype or fortran or (len(found) != 1 if shape is None else tuple(found) != shape):
            raise ValueError(f"it holds {its_dtype} {tuple(found)}")
        data = file.read()  # its header may promise more than there is
        if len(data) != count * dtype.itemsize:
            raise ValueError("it is cut off")
        return np.frombuffer(bytearray(data), dtype).reshape(found)


def remembered(path: Path, read: Callable[[], Found]) -> Found | None:
    """What `read` finds in a file that can be done without; None where it is not there or, with a note, damaged."""
    if not path.exists():
        return None
    try:
        return read()
    except CompError as error:
        print(f"note    {error}", flush=True)
        return None


def _why(error: Exception) -> str:
    """One line, never empty."""
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        return f"{'.'.join(map(str, fault['loc'])) or 'its content'}: {fault['msg']}"
    return one_line(error)
