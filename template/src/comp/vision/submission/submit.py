"""`comp submit`: the submission in the form that the sample submission shows, checked before it takes its place."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import CompError, shown
from comp.files import written_whole
from comp.runs.predictions import read_predictions
from comp.runs.rundir import SUBMISSIONS, RunDir
from comp.tables import asked_for, read_csv
from comp.vision.data.sample_submission import read_sample
from comp.vision.schema import ImageConfig, Submit
from comp.vision.submission.corrections import refuse_postprocess
from comp.vision.submission.decisions import Decision, decided
from comp.vision.submission.form import Form, form_of, refuse_other_ids
from comp.vision.submission.numbers import changed_scores, written
from comp.vision.submission.postprocess import postprocessed


def submit(config: ImageConfig) -> Path | None:
    """Writes `submissions/<experiment>.csv` from the run's test predictions; without a test set, nothing.

    Raises:
        CompError: the predictions do not fit the sample submission; no file is left.
    """
    run = RunDir.of(config)
    predictions, targets, _ = read_predictions(run.test)
    predictions = predictions[asked_for(predictions["id"])].reset_index(drop=True)
    if predictions.empty:
        print("submit  there are no test images (data.test=null): nothing to submit")
        return None
    sample, note = read_sample(config.data)
    form = form_of(sample, targets, config)
    refuse_postprocess(config.submit, targets)
    predictions, oof, steps = postprocessed(config, run, predictions, targets)
    for step in steps:
        print(f"post    {step}")
    decision = decided(config, run, form, targets, oof)
    if decision.about:
        print(f"labels  {decision.about}")
    table = fill(predictions, decision, sample, form, config)
    path = SUBMISSIONS / f"{config.name}.csv"
    write_checked(path, table, sample)
    print(note)
    print(f"wrote   {path}: {len(table)} rows, {form.about}")
    for metric, (before, after) in changed_scores(config, form).items():
        why = "one column for both classes" if config.submit.digits is None else f"submit.digits={config.submit.digits}"
        print(f"note    {metric} of the out-of-fold rows is {before:.6f} as predicted, {after:.6f} as written ({why})")
    return path


def fill(
    predictions: pd.DataFrame, decision: Decision, sample: pd.DataFrame | None, form: Form, config: ImageConfig
) -> pd.DataFrame:
    """The submission with the sample's ids, order and columns, as text.

    Raises:
        CompError: the ids are not those that are predicted, or a prediction is not a number.
    """
    ids, id_column, targets = predictions["id"], "id", decision.targets
    if sample is not None:
        refuse_other_ids(sample, ids)
        ids, id_column = sample.iloc[:, 0], str(sample.columns[0])
    p = predictions.set_index("id").loc[ids, targets.columns].to_numpy()
    wrong = ~np.isfinite(p).all(axis=1)
    if wrong.any():
        raise CompError(
            f"the submission would have empty or NaN fields (ids {shown(ids[wrong])}): a postprocess of custom.py may "
            "have made them"
        )
    bits = np.array(form.spelling, dtype=object)
    columns: dict[str, object] = {id_column: ids.to_numpy()}
    if not form.places:
        return pd.DataFrame({**columns, form.columns[0]: in_one_column(p, decision, form, config.submit)})
    chosen = decision.labels(p)
    p = 1 - p if form.of_no else p
    for column, place in zip(form.columns, form.places, strict=True):
        labels = form.values == "labels"
        columns[column] = bits[chosen[:, place]] if labels else written(p[:, place], config.submit.digits)
    return pd.DataFrame(columns)


def in_one_column(p: np.ndarray, decision: Decision, form: Form, settings: Submit) -> list[str]:
    """What a column that names classes has for each row of `p` (N, K): a class, the likeliest ones, or its labels."""
    if form.values == "top":
        return [form.separator.join(_likeliest(row, form, settings)) for row in p]
    labels = decision.labels(p)
    if form.is_choice:
        known = np.ones(len(p), dtype=bool) if settings.new is None else p.max(axis=1) >= settings.new_below
        names = [form.spelling[k] for k in labels.argmax(axis=1)]
        return [name if is_known else str(settings.new) for name, is_known in zip(names, known, strict=True)]
    some = labels if form.empty else np.maximum(labels, (labels.sum(axis=1) == 0)[:, None] & (p == p.max(1)[:, None]))
    return [form.separator.join(form.spelling[k] for k in np.flatnonzero(row)) for row in some]


def _likeliest(p: np.ndarray, form: Form, settings: Submit) -> list[str]:
    """The best classes of a row (K,); `submit.new` comes before those that are less likely than its threshold."""
    best = np.argsort(-p, kind="stable")
    names = [form.spelling[k] for k in best]
    if settings.new is not None:
        place = int((p[best] >= settings.new_below).sum())
        names = [name for name in names[:place] if name != settings.new]
        names += [settings.new, *(form.spelling[k] for k in best[place:] if form.spelling[k] != settings.new)]
    return names[: form.depth]


def write_checked(path: Path, table: pd.DataFrame, sample: pd.DataFrame | None) -> None:
    """Raises: CompError: the file would not be what a host can read; none is left. See `check`."""
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
        check(temporary, table, sample)


def check(path: Path, table: pd.DataFrame, sample: pd.DataFrame | None) -> None:
    """Reads a written submission again as a host would.

    Raises:
        CompError: it does not hold `table`, or its ids, order or columns are not those of the sample.
    """
    read = read_csv(path)
    if not read.equals(table.astype(read.dtypes.to_dict())):
        raise CompError("the submission would not read back as it was written: an id or a label is not plain text")
    if sample is not None and (
        list(read.columns) != list(sample.columns) or not read.iloc[:, 0].equals(sample.iloc[:, 0])
    ):
        raise CompError("the submission would not have the sample's ids and columns in its order")
