"""Intervals of metrics of the rows that a report looks at."""

import numpy as np

from comp.runs.paired import drawn, interval
from comp.vision.metrics.sums import measure_of
from comp.vision.report.rows import Rows


def interval_of(name: str, rows: Rows) -> tuple[float, float]:
    """The 95 % interval of the metric `name`."""
    return interval(measure_of(name, rows.y, rows.p, rows.targets), rows.unit)


def drawn_scores(name: str, rows: Rows) -> np.ndarray:
    """(D,) the metric of drawn rows; the draws are the same for each run of these rows."""
    return drawn([measure_of(name, rows.y, rows.p, rows.targets)], rows.unit)[0]
