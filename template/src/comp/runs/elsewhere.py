"""`comp predict --out FILE`: rows that are none of a run's own go into a file, and the run stays as it is."""

import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from comp.config import Experiment
from comp.errors import CompError, shown
from comp.readback import remembered
from comp.runs.predictions import read_predictions
from comp.runs.rundir import RUNS, RunDir
from comp.tables import asked_for

OF_ROWS = ("data.test=", "data.root=")  # overrides that the command which leads on does without


def run_with_models(config: Experiment) -> tuple[RunDir, Any]:
    """The run whose models predict, and the configuration that it was trained with.

    Raises:
        CompError: it combines others, there are several, or it is not trained.
    """
    run = RunDir.of(config)
    has_models = any((run.fold(k) / "best.safetensors").is_file() for k in run.done_folds())
    combines = run.read_metrics().get("combines") if run.metrics.is_file() and not has_models else None
    if combines:
        first, *_ = names = combines["members"]
        raise CompError(
            f"{run.path} is a {combines['kind']} of {shown(names, 12)} and has no models of its own: predict with each "
            f"of them, as with name={first}"
        )
    if config.members:
        names = ", ".join(str(member["name"]) for member in config.members)
        raise CompError(f"--out is written by one run, and this experiment has members: member= one of {names}")
    trained = run.trained_config()
    if not has_models:
        raise CompError(f"{run.path} has no trained fold (fold*/best.safetensors): run comp train")
    return run, trained


def out_file(out: str | None, suffixes: Sequence[str]) -> Path:
    """Where predictions are to be written.

    Raises:
        CompError: that is not said, it is another kind of file, or it is in `runs/`.
    """
    kinds = " or ".join([", ".join(suffixes[:-1]), suffixes[-1]])
    if out is None:
        raise CompError(f"--out is missing: where are the predictions to be written, such as predictions{suffixes[0]}?")
    path = Path(out)
    if path.suffix.lower() not in suffixes:
        raise CompError(f"--out {out}: its name says what is written: end it with {kinds}")
    if path.resolve().is_relative_to(RUNS.resolve()):
        raise CompError(f"--out {out} is in {RUNS}/, where only runs write: name another place")
    return path


def own_ids(run: RunDir) -> list[str]:
    """The ids of the run's test rows; none where it has none, or its files are gone."""
    ids = next(_known(run), pd.Series([], dtype=object))
    return ids[asked_for(ids)].tolist() if len(ids) else []


def refuse_other_test_rows(config: Any, trained: Any, ids: pd.Series, option: str, arguments: list[str]) -> None:
    """Before a run, `trained` with that configuration, predicts again: `ids` are of the test rows that there are now.

    `arguments` are those of the command, `option` the one that takes other rows.

    Raises:
        CompError: these rows are not the run's, whose predictions they would replace.
    """
    run, test = RunDir.of(config), config.data.test
    known = _known(run)
    first = next(known, None)
    if first is None:
        return
    named_otherwise = trained.data.test is not None and test not in (trained.data.test, "auto")
    rows = sorted(ids)
    if not named_otherwise and any(rows == sorted(each) for each in chain([first], known)):
        return
    what = f"data.test={test or 'null'}" if named_otherwise else f"the {len(ids)} that there are now ({shown(ids, 1)})"
    place = "FOLDER_OR_TABLE" if test in (None, "auto") else str(Path(config.data.root) / test)
    words = [option, place, "--out", "FILE", arguments[1]]
    words += [word for word in arguments[2:] if not word.startswith(OF_ROWS)]
    raise CompError(
        f"{run.path} has predicted its own {len(first)} test rows, which {what} would replace: comp predict "
        f"{shlex.join(words)} leaves them alone (to replace them, remove test.parquet of the run and its folds first)"
    )


def _known(run: RunDir) -> Iterator[pd.Series]:
    """The ids of each table of test predictions that has rows, the run's own first."""
    for path in [run.test, *sorted(run.path.glob("fold*/test.parquet"))]:
        ids = remembered(path, partial(_ids, path))
        if ids is not None and len(ids):
            yield ids


def _ids(path: Path) -> pd.Series:
    return read_predictions(path)[0]["id"]
