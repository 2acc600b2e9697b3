"""The predictions table: what every model writes and everything that combines models reads.

`oof.parquet`: id, fold, target (or target_<label>…), p_<class>…; `test.parquet`: id, p_<class>…. Vectors stand in one
column of fixed-size lists instead, `embedding`. The file also carries the classes, their kind and the hash of the
folds, so that predictions of different splits are never mixed unnoticed.
"""

import json
from pathlib import Path
from typing import NotRequired

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from comp.errors import CompError, shown
from comp.files import written_whole
from comp.readback import reading
from comp.tables import Kind, Targets

WAY_OUT = "run comp predict, or the command that made this run, to write it again"


class Facts(TypedDict):
    """What the file carries beside its rows."""

    kind: Kind
    classes: list[str]
    ordered: NotRequired[bool]
    separator: NotRequired[str]
    no_and_yes: NotRequired[tuple[str, str]]
    folds: str


def oof_table(train: pd.DataFrame, rows: np.ndarray, fold: np.ndarray, p: np.ndarray, targets: Targets) -> pd.DataFrame:
    """Predictions `p` (N, K) of the training rows `rows` (N,), with their truth."""
    table = train.iloc[rows][["id", *targets.truth_columns]].reset_index(drop=True)
    table.insert(1, "fold", fold)
    return with_values(table, p, targets)


def test_table(test: pd.DataFrame, p: np.ndarray, targets: Targets) -> pd.DataFrame:
    """Predictions `p` (N, K) of all test rows, in their order."""
    return with_values(test[["id"]].reset_index(drop=True), p, targets)


def values_of(table: pd.DataFrame, targets: Targets) -> np.ndarray:
    """What a predictions table predicts, (N, K): probabilities, or vectors of K numbers."""
    if targets.kind == "embedding":
        return np.stack(table["embedding"].to_list())
    return table[targets.columns].to_numpy()


def with_values(table: pd.DataFrame, values: np.ndarray, targets: Targets) -> pd.DataFrame:
    """`table` with `values` (N, K) as its predictions, in place of those it may have."""
    values = np.asarray(values, dtype=np.float32)
    others = table.drop(columns=targets.columns, errors="ignore")
    if targets.kind == "embedding":
        return others.assign(embedding=pd.Series(list(values), index=table.index, dtype=object))
    return pd.concat([others, pd.DataFrame(values, columns=targets.columns, index=table.index)], axis=1)


def write_predictions(path: Path, table: pd.DataFrame, targets: Targets, folds: str) -> None:
    """Writes the table, whole or not at all.

    Raises:
        CompError: an id appears twice or a number is not finite.
    """
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise CompError(f"{path}: ids appear more than once: {shown(twice)}")
    refuse_not_finite(path, table, targets)
    values = values_of(table, targets)
    facts = {"kind": targets.kind, "classes": targets.classes, "ordered": targets.ordered, "folds": folds}
    facts |= {"separator": targets.separator} if targets.separator else {}
    facts |= {"no_and_yes": targets.no_and_yes} if targets.no_and_yes != ("0", "1") else {}
    if targets.kind == "embedding":
        lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        arrow = pa.Table.from_pandas(table.drop(columns="embedding"), preserve_index=False)
        arrow = arrow.append_column("embedding", lists)
    else:
        arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), b"comp": json.dumps(facts).encode()})
    with written_whole(path) as temporary:
        pq.write_table(arrow, temporary, write_page_checksum=True)


def refuse_not_finite(path: Path, table: pd.DataFrame, targets: Targets) -> None:
    """Raises: CompError: what is to be written to `path` holds a number that is none."""
    wrong = ~np.isfinite(values_of(table, targets)).all(axis=1)
    if wrong.any():
        raise CompError(f"{path}: the model gave NaN or infinity for {wrong.sum()} rows: {shown(table['id'][wrong])}")


def read_predictions(path: Path, way_out: str = WAY_OUT) -> tuple[pd.DataFrame, Targets, str]:
    """The table, its targets and the hash of the folds that it was made with.

    Raises:
        CompError: the file is missing, damaged or not a predictions table.
    """
    if not path.exists():
        raise CompError(f"{path} does not exist: run comp train")
    with reading(path, way_out):
        arrow = pq.read_table(path, partitioning=None, page_checksum_verification=True)
        metadata = arrow.schema.metadata or {}
        if b"comp" not in metadata:
            raise ValueError("it is not a predictions table of this tool")
        facts = TypeAdapter(Facts).validate_json(metadata[b"comp"])
        ordered, separator = facts.get("ordered", False), facts.get("separator", "")
        no_and_yes = facts.get("no_and_yes", ("0", "1"))
        targets = Targets(facts["kind"], tuple(facts["classes"]), ordered, separator, no_and_yes)
        table = arrow.to_pandas()
        _refuse_without(table, ["id", *targets.columns])
        return table, targets, facts["folds"]


def read_oof(path: Path, way_out: str = WAY_OUT) -> tuple[pd.DataFrame, Targets, str]:
    """As `read_predictions`, of rows with their fold and their truth."""
    table, targets, folds = read_predictions(path, way_out)
    with reading(path, way_out):
        _refuse_without(table, ["fold", *targets.truth_columns])
    return table, targets, folds


def folds_of(path: Path) -> str:
    """The hash of the folds that the predictions were made with; "" where they are not there or cannot be read."""
    try:
        with reading(path, WAY_OUT):
            facts = json.loads((pq.read_schema(path).metadata or {})[b"comp"])
            return str(facts["folds"])
    except CompError:
        return ""


def _refuse_without(table: pd.DataFrame, columns: list[str]) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"it has no column {shown(missing)}")
