"""The predictions table: what every model writes and everything that combines models reads.

`oof.parquet`: id, fold, target (or target_<label>…), p_<class>…; `test.parquet`: id, p_<class>…. Vectors stand in one
column of fixed-size lists instead, `embedding`. The file also carries the classes, their kind and the hash of the
folds, so that predictions of different splits are never mixed unnoticed.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from comp.errors import CompError, shown
from comp.files import written_whole
from comp.tables import Targets


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
    values = values_of(table, targets)
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise CompError(f"{path}: the model gave NaN or infinity for {wrong.sum()} rows: {shown(table['id'][wrong])}")
    facts = {"kind": targets.kind, "classes": targets.classes, "ordered": targets.ordered, "folds": folds}
    if targets.kind == "embedding":
        lists = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        arrow = pa.Table.from_pandas(table.drop(columns="embedding"), preserve_index=False)
        arrow = arrow.append_column("embedding", lists)
    else:
        arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), b"comp": json.dumps(facts).encode()})
    with written_whole(path) as temporary:
        pq.write_table(arrow, temporary)


def read_predictions(path: Path) -> tuple[pd.DataFrame, Targets, str]:
    """The table, its targets and the hash of the folds that it was made with.

    Raises:
        CompError: the file is missing or not a predictions table.
    """
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp train")
    arrow = pq.read_table(path)
    metadata = arrow.schema.metadata or {}
    if b"comp" not in metadata:
        raise CompError(f"{path} is not a predictions table of this tool")
    facts = json.loads(metadata[b"comp"])
    targets = Targets(facts["kind"], tuple(facts["classes"]), facts.get("ordered", False))
    return arrow.to_pandas(), targets, facts["folds"]
