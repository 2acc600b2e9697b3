"""`comp submit`: the test predictions in the form that the sample submission shows, a part at a time."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from comp.align.data.sample_submission import Form, read_form, vectors_of
from comp.align.schema import AlignConfig
from comp.errors import CompError, shown
from comp.files import written_whole
from comp.readback import reading
from comp.registry import find
from comp.runs.predictions import WAY_OUT
from comp.runs.rundir import SUBMISSIONS, RunDir

ROWS = 512  # formatted at a time
UNTURNED = 1 - 1e-7  # least cosine of a vector as written and as predicted that nobody needs to be told of


def submit(config: AlignConfig) -> Path:
    """Writes `submissions/<experiment>.csv` from the run's test predictions; neither is ever whole in memory.

    Raises:
        CompError: the predictions do not fit the sample submission; no file is left.
    """
    run, path = RunDir.of(config), SUBMISSIONS / f"{config.name}.csv"
    if not run.test.is_file():
        raise CompError(f"{run.test} does not exist: run comp train")
    with reading(run.test, WAY_OUT):
        table = pq.ParquetFile(run.test, page_checksum_verification=True)
        width = table.schema_arrow.field("embedding").type.list_size
        ids = table.read(columns=["id"])["id"].to_pylist()
    form, note = read_form(config.data)
    order = _order(ids, form, width)
    header, is_list = header_of(form, width, config)
    with written_whole(path) as temporary:
        digits, least = config.submit.digits, 1.0
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            for names, vectors in _parts(run.test, table, ids, order):
                for name in config.submit.postprocess:
                    vectors = find("postprocess", name)(vectors)
                vectors = vectors.astype(np.float32, copy=False)
                rounded = vectors if digits is None else np.round(vectors.astype(np.float64), digits)
                least = min(least, _least_cosine(vectors, rounded))
                write_rows(writer, names, rounded, is_list)
        _check(temporary, [ids[row] for row in order], width)
    print(note)
    how = f"a list of {width} numbers" if is_list else f"{width} columns"
    places = "with all their digits" if digits is None else f"{digits} decimal places"
    print(f"wrote   {path}: {len(ids)} rows, {how}, {places}")
    if least < UNTURNED:
        print(f"note    submit.digits={digits} turns vectors by up to {math.degrees(math.acos(least)):.2f} degrees")
    return path


def _order(ids: list[str], form: Form | None, width: int) -> list[int]:
    """The rows of the predictions in the sample's order. A sample that shows some of the ids shows the form only.

    Raises:
        CompError: the sample has other ids, or vectors of another width.
    """
    if form is None:
        return list(range(len(ids)))
    if form.width != width:
        raise CompError(f"the sample submission has vectors of {form.width} numbers, the predictions of {width}")
    place = {name: row for row, name in enumerate(ids)}
    unknown = [name for name in form.ids if name not in place]
    if unknown:
        raise CompError(f"the sample submission does not fit the test captions: it has ids {shown(unknown)}")
    if len(form.ids) < len(ids):
        print(f"sample  has {len(form.ids)} of {len(ids)} ids: used for the format, all test captions are written")
        return list(range(len(ids)))
    return [place[name] for name in form.ids]


def header_of(form: Form | None, width: int, config: AlignConfig) -> tuple[list[str], bool]:
    """The columns of a submission, and whether its vectors are lists; without a sample, as submit.form says."""
    wanted = config.submit.form
    is_list = wanted == "list" or (wanted == "auto" and (form is None or form.is_list))
    if form is not None and is_list == form.is_list:
        return [form.id_column, *form.columns], is_list
    if form is not None:
        shows = "a list" if form.is_list else "columns"
        raise CompError(f"submit.form={wanted}, but the sample submission shows {shows}")
    return ["id", *(["embedding"] if is_list else [f"e{number}" for number in range(width)])], is_list


def _parts(
    path: Path, table: pq.ParquetFile, ids: list[str], order: list[int]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Ids and vectors (n, D) in the order asked for, some at a time."""
    if order == list(range(len(ids))):
        batches = table.iter_batches(ROWS, columns=["id", "embedding"])
        while True:
            with reading(path, WAY_OUT):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch["id"].to_pylist(), _matrix(batch["embedding"])
    with reading(path, WAY_OUT):
        every = _matrix(table.read(columns=["embedding"])["embedding"].combine_chunks())
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        yield [ids[row] for row in rows], every[rows]


def _matrix(lists: pa.FixedSizeListArray) -> np.ndarray:
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), lists.type.list_size)


def _least_cosine(vectors: np.ndarray, written: np.ndarray) -> float:
    """Of the angles between the vectors (n, D) as predicted and as written, the cosine of the widest."""
    if written is vectors:
        return 1.0
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(written, axis=1)
    return float(((vectors * written).sum(axis=1) / np.maximum(lengths, 1e-30)).min(initial=1.0))


def write_rows(writer: Any, names: list[str], vectors: np.ndarray, is_list: bool) -> None:
    """Ids and vectors (n, D), each number with the fewest digits that read back to it."""
    texts = pc.cast(pa.array(vectors.ravel() + vectors.dtype.type(0)), pa.string())  # + 0: no -0
    if is_list:
        lists = pa.FixedSizeListArray.from_arrays(texts, vectors.shape[1])
        fields = pc.binary_join(lists.cast(pa.list_(pa.string())), ", ").to_pylist()
        writer.writerows((name, f"[{field}]") for name, field in zip(names, fields, strict=True))
    else:
        flat = texts.to_pylist()
        width = vectors.shape[1]
        writer.writerows([name, *flat[row * width : (row + 1) * width]] for row, name in enumerate(names))


def _check(path: Path, ids: list[str], width: int) -> None:
    """Reads the written file again as a host would."""
    rows = vectors_of(path)
    next(rows)
    count = 0
    for count, (name, vector) in enumerate(rows, start=1):
        if count > len(ids) or name != ids[count - 1] or len(vector) != width:
            raise CompError(f"row {count} of the submission would be {name!r} with {len(vector)} numbers")
        if not vector.any():
            raise CompError(f"the vector of {name!r} would be all zeros: set submit.digits higher")
    if count != len(ids):
        raise CompError(f"the submission would have {count} rows, there are {len(ids)} test captions")
