"""`golden.csv`: the golden test set, rows of the training table that nothing learns from.

The rows leave the training table wherever it is read, and join the test table under ids of their own: so every model
predicts them, and every blend, stack and soup, and none meets their labels. What belongs to the same group, or is
nearly the same image, leaves with them. Test images that repeat a golden one are predicted, but never pseudo-labels.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.tables import GOLDEN, Golden, Tables
from comp.vision.data.paths import images_of_rows
from comp.vision.data.sealed import read_sealed, write_sealed
from comp.vision.schema import Data

WAY_OUT = "restore it from a copy"
START_ANEW = (
    "put the data back as it was; or remove {path}, run comp golden and comp split --force, and train again: scores on "
    "the old set do not compare with new ones"
)


def golden_path(data: Data) -> Path:
    return Path(data.work or data.root) / "golden.csv"


def write_golden(
    path: Path, tables: Tables, role: np.ndarray, test_role: np.ndarray, settings: Mapping[str, object]
) -> str:
    """Writes what each row of `tables` is: `role` (N,) golden, left out or train, `test_role` (T,) test or copy.

    The image files of golden rows are remembered by their content. Returns the file's digest.
    """
    train, truth = tables.train, _truth(tables)
    images = images_of_rows(train)
    files = [_content(own) if each == "golden" else "" for own, each in zip(images, role, strict=True)]
    rows = pd.DataFrame({"table": "train", "id": train["id"], "role": role, "target": truth, "file": files})
    test = pd.DataFrame({"table": "test", "id": tables.test["id"], "role": test_role, "target": "", "file": ""})
    return write_sealed(path, "golden", settings, pd.concat([rows, test]))


def without_golden(tables: Tables, data: Data) -> Tables:
    """`tables` without the golden rows, which are appended to the test rows; as they are where there is no golden.csv.

    Raises:
        CompError: the file was edited, or the data is no longer that of which it was taken.
    """
    path = golden_path(data)
    if not path.is_file():
        return tables
    known, settings, digest = read_golden(path)
    _refuse_other_rows(path, known, tables)
    train = tables.train
    role = train["id"].map(known["train"]["role"])
    chosen = train[role == "golden"]
    _refuse_other_files(path, known["train"]["file"], chosen)
    if tables.test["id"].str.startswith(GOLDEN).any():
        raise CompError(f"test ids that begin with {GOLDEN!r} would be taken for golden rows: rename them")
    truth = chosen[["id", *tables.targets.truth_columns]].assign(id=GOLDEN + chosen["id"]).reset_index(drop=True)
    like_test = chosen.assign(id=truth["id"].to_numpy()).reindex(columns=tables.test.columns, fill_value="")
    # A test row that was not there when the set was taken may be a golden image, for all that is known.
    teaches = tables.test["id"].map(known["test"]["role"]).eq("test").to_numpy()
    teaches = np.concatenate([teaches, np.zeros(len(chosen), bool)])
    left_out = int((role == "left out").sum())
    about = f"{len(chosen)} images set aside" + (f", {left_out} of their groups left out" if left_out else "")
    return replace(
        tables,
        train=train[role == "train"].reset_index(drop=True),
        test=pd.concat([tables.test, like_test], ignore_index=True),
        golden=Golden(truth, teaches, digest, settings),
        notes=[*tables.notes, f"golden  {about} ({path})"],
    )


def read_golden(path: Path) -> tuple[dict[str, pd.DataFrame], str, str]:
    """The rows of the train and of the test table by their ids, the settings, and the digest.

    Raises:
        CompError: this is not what comp golden has written.
    """
    rows, settings, digest = read_sealed(
        path, "golden", "comp golden wrote it, so no score on it means anything", WAY_OUT
    )
    tables = {name: rows[rows["table"] == name].set_index("id") for name in ("train", "test")}
    return tables, settings, digest


def _refuse_other_rows(path: Path, known: dict[str, pd.DataFrame], tables: Tables) -> None:
    before, now = known["train"]["target"], pd.Series(_truth(tables).to_numpy(), index=tables.train["id"])
    new, gone = now.index.difference(before.index), before.index.difference(now.index)
    both = before.index.intersection(now.index)
    relabeled = both[before[both].to_numpy() != now[both].to_numpy()]
    changes = ((new, "new"), (gone, "gone"), (relabeled, "labeled otherwise"))
    said = [f"{len(ids)} {what} ({shown(ids)})" for ids, what in changes if len(ids)]
    if said:
        raise CompError(
            f"{path} was taken from other training rows than there are: {', '.join(said)}: "
            + START_ANEW.format(path=path)
        )


def _refuse_other_files(path: Path, content: pd.Series, chosen: pd.DataFrame) -> None:
    now = [_content(own) for own in images_of_rows(chosen)]
    changed = chosen["id"][content[chosen["id"]].to_numpy() != np.array(now, dtype=object)]
    if len(changed):
        raise CompError(
            f"{path}: {len(changed)} golden images are other files than they were ({shown(changed)}): "
            + START_ANEW.format(path=path)
        )


def _truth(tables: Tables) -> pd.Series:
    """The labels of the training rows as one text each."""
    return tables.train[tables.targets.truth_columns].astype(str).agg(" ".join, axis=1)


def _content(images: Sequence[str]) -> str:
    """Of the files of one row."""
    return " ".join(_content_of(Path(name)) for name in images)


def _content_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        return "unreadable"
