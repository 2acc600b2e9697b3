"""Numbers as text in a submission: as many digits as it takes to read the same number again, or so many places."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from comp.registry import metrics_for
from comp.runs.flags import flags_of
from comp.runs.predictions import read_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.metrics import score
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import Form

VISIBLE = 1e-6  # a smaller difference of a metric is one of float32


def written(values: np.ndarray, digits: int | None) -> list[str]:
    """`values` (N,) as text: with `digits` decimal places, or with the fewest digits that read back to the same number.

    Those of float32 are a float32's: 0.1 is `0.1`. 1e-7 is written as such.
    """
    if digits is None:
        return pc.cast(pa.array(values), pa.string()).to_pylist()
    return [f"{value:.{digits}f}" for value in values]


def changed_scores(config: ImageConfig, form: Form) -> dict[str, tuple[float, float]]:
    """Metrics of the out-of-fold rows as predicted and as written, where the two differ.

    Empty where labels are written, and where the run has no out-of-fold rows, or unscored ones.
    """
    run = RunDir.of(config)
    if not form.places or form.values == "labels" or not run.oof.is_file() or flags_of(run).unscored:
        return {}
    oof, targets, _ = read_predictions(run.oof)
    y, p = targets.encode(oof), oof[targets.columns].to_numpy()
    read = read_again(p, form, config.submit.digits, targets)
    scores = {
        name: (score(name, y, p, targets), score(name, y, read, targets))
        for name in metrics_for([config.metric, *config.metrics], targets.kind)
    }
    return {name: (before, after) for name, (before, after) in scores.items() if abs(before - after) > VISIBLE}


def read_again(p: np.ndarray, form: Form, digits: int | None, targets: Targets) -> np.ndarray:
    """Probabilities (N, K) as a host knows them who reads the columns of the submission."""
    told = 1 - p if form.of_no else p
    columns = [np.array(written(told[:, place], digits), dtype=np.float64) for place in form.places]
    if targets.kind == "multiclass" and len(columns) == 1:
        columns = [1 - columns[0], columns[0]] if form.places[0] == 1 else [columns[0], 1 - columns[0]]
        return np.column_stack(columns)
    read = np.empty(p.shape)
    read[:, form.places] = np.column_stack(columns)
    return 1 - read if form.of_no else read
