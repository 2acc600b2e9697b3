"""`comp submit`: the submission in the form that the sample submission shows, checked before it takes its place."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.files import written_whole
from comp.registry import find, needs_probabilities
from comp.runs.predictions import read_predictions
from comp.runs.rundir import SUBMISSIONS, RunDir
from comp.tables import Targets, read_csv
from comp.vision.data.sample_submission import read_sample
from comp.vision.schema import ImageConfig

FILLERS = {"0", "1", "-1", "none", "null", "unknown", "label", "class", "?", "xxx"}


def submit(config: ImageConfig) -> Path:
    """Writes `submissions/<experiment>.csv` from the run's test predictions.

    Raises:
        CompError: the predictions do not fit the sample submission; no file is left.
    """
    run = RunDir.of(config)
    predictions, targets, _ = read_predictions(run.test)
    for name in config.submit.postprocess:
        predictions = find("postprocess", name)(predictions, targets)
    sample, note = read_sample(config.data)
    table, how = fill(predictions, targets, sample, config)
    path = SUBMISSIONS / f"{config.name}.csv"
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
        check(temporary, sample)
    print(note)
    print(f"wrote   {path}: {len(table)} rows, {how}")
    return path


def fill(
    predictions: pd.DataFrame, targets: Targets, sample: pd.DataFrame | None, config: ImageConfig
) -> tuple[pd.DataFrame, str]:
    """The submission with the sample's ids, order and columns, as text, and in words what stands in it.

    Raises:
        CompError: ids, columns or label spellings do not match; the first that do not are named.
    """
    if sample is None:
        return _without_sample(predictions, targets, config)
    rows = _in_order_of(sample, predictions)
    p = rows[targets.columns].to_numpy()
    columns = list(sample.columns[1:])
    values = _values(sample, targets, config)
    table = pd.DataFrame({sample.columns[0]: sample.iloc[:, 0]})
    if targets.kind == "multiclass" and len(columns) == 1:
        if values == "labels":
            _check_spelling(sample.iloc[:, 1], targets)
            table[columns[0]] = np.array(targets.classes, dtype=object)[p.argmax(axis=1)]
            return table, "labels"
        if len(targets.classes) != 2:
            raise CompError(
                f"the sample submission has one column {columns[0]!r}, {len(targets.classes)} classes do not fit "
                "into it as probabilities: set submit.values=labels"
            )
        place = positive_class(columns[0], targets)
        table[columns[0]] = _decimals(p[:, place], config)
        return table, f"the probability of {targets.classes[place]!r}"
    places = columns_of(columns, targets)
    chosen = np.eye(p.shape[1])[p.argmax(axis=1)] if targets.kind == "multiclass" else p >= 0.5
    for column, place in zip(columns, places, strict=True):
        labels = chosen[:, place].astype(int).astype(str)
        table[column] = labels if values == "labels" else _decimals(p[:, place], config)
    return table, values


def check(path: Path, sample: pd.DataFrame | None) -> None:
    """Reads a written submission again as a host would.

    Raises:
        CompError: ids, order or columns are not those of the sample, or a field is empty.
    """
    table = read_csv(path)
    if table.isin(["", "nan", "NaN", "inf", "-inf"]).any(axis=None):
        raise CompError("the submission would have empty or NaN fields: a postprocess of custom.py may have made them")
    if sample is not None and (
        list(table.columns) != list(sample.columns) or not table.iloc[:, 0].equals(sample.iloc[:, 0])
    ):
        raise CompError("the submission would not have the sample's ids and columns in its order")


def _in_order_of(sample: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    ids = sample.iloc[:, 0]
    missing = sorted(set(ids) - set(predictions["id"]))
    extra = sorted(set(predictions["id"]) - set(ids))
    if missing or extra:
        parts = [f"{len(missing)} of its ids are not predicted ({shown(missing)})"] if missing else []
        parts += [f"{len(extra)} predicted ids are not in it ({shown(extra)})"] if extra else []
        raise CompError(f"the sample submission does not fit the test rows: {'; '.join(parts)}")
    return predictions.set_index("id").loc[ids].reset_index()


def _values(sample: pd.DataFrame, targets: Targets, config: ImageConfig) -> str:
    """`labels` or `probabilities`: what the configuration says, what the sample shows, or what the metric needs."""
    if config.submit.values != "auto":
        return config.submit.values
    shows = sample.iloc[:, 1:]
    numbers = shows.apply(pd.to_numeric, errors="coerce")
    fractions = bool((numbers.notna() & (numbers % 1 != 0)).any(axis=None))
    if targets.kind == "multiclass":
        one = shows.shape[1] == 1
        spelled = one and shows.iloc[:, 0].isin(targets.classes).all()
        wanted = len(targets.classes) == 2 and needs_probabilities(config.metric)
        return "labels" if one and (spelled or not (fractions or wanted)) else "probabilities"
    return "probabilities" if fractions or needs_probabilities(config.metric) else "labels"


def positive_class(column: str, targets: Targets) -> int:
    """Of two classes, the one whose probability a single column holds: the one it is named after, else the second."""
    return targets.classes.index(column) if column in targets.classes else 1


def columns_of(columns: list[str], targets: Targets) -> list[int]:
    """Which class each column of the sample stands for: by its whole name, or by how it ends (`prob_cat`)."""
    if len(columns) == 1 and targets.kind == "binary":
        return [0]
    places = []
    for column in columns:
        named = [k for k, name in enumerate(targets.classes) if name == column.strip()]
        ending = [k for k, name in enumerate(targets.classes) if column.endswith(f"_{name}")]
        if len(named or ending) != 1:
            raise CompError(
                f"the sample submission's column {column!r} is not one of the classes {shown(targets.classes, 6)}"
            )
        places.append((named or ending)[0])
    left = [name for k, name in enumerate(targets.classes) if k not in places]
    if left or len(set(places)) < len(places):
        raise CompError(f"the sample submission has no column of its own for {shown(left)}; it has {shown(columns, 6)}")
    return places


def _check_spelling(shown_labels: pd.Series, targets: Targets) -> None:
    strange = sorted(set(shown_labels) - set(targets.classes) - {""})
    if strange and not set(shown_labels) & set(targets.classes) and not _is_filler(strange):
        raise CompError(
            f"the sample submission spells labels {shown(strange)}, the training rows {shown(targets.classes, 6)}: "
            "set data.target to the column that is spelled as the host wants it"
        )


def _is_filler(values: list[str]) -> bool:
    """One word for all rows, such as 0: it shows no spelling."""
    return len(values) == 1 and values[0].lower() in FILLERS


def _decimals(p: np.ndarray, config: ImageConfig) -> list[str]:
    return [f"{value:.{config.submit.digits}f}" for value in p]


def _without_sample(predictions: pd.DataFrame, targets: Targets, config: ImageConfig) -> tuple[pd.DataFrame, str]:
    table = predictions[["id"]].copy()
    if targets.kind == "multiclass" and config.submit.values != "probabilities":
        table["label"] = np.array(targets.classes, dtype=object)[predictions[targets.columns].to_numpy().argmax(axis=1)]
        return table, "labels"
    for name, column in zip(targets.classes, targets.columns, strict=True):
        table[name] = _decimals(predictions[column].to_numpy(), config)
    return table, "probabilities"
