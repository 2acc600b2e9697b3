"""Precision, recall and F1 of each class."""

from dataclasses import dataclass

import numpy as np

from comp.runs.page import Table
from comp.vision.report.confusion import mistakes
from comp.vision.report.rows import Choices

MOST = 60  # classes in the table; of more, the worst


@dataclass(frozen=True)
class OfClasses:
    """Each (K,); NaN where nothing can be said: a class without rows has no recall, one never chosen no precision."""

    rows: np.ndarray
    chosen: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def of_classes(choices: Choices) -> OfClasses:
    """The figures of each class."""
    counts = choices.counts
    right, rows, chosen = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return OfClasses(rows, chosen, right / chosen, right / rows, 2 * right / (rows + chosen))


def class_table(choices: Choices) -> Table:
    """The class with the lowest F1 first."""
    found, wrong = of_classes(choices), mistakes(choices)
    columns = ["class", "rows", "precision", "recall", "F1", "chosen", "most often taken for"]
    order = np.argsort(np.where(np.isnan(found.f1), np.inf, found.f1), kind="stable")
    note = f"The {MOST} with the lowest F1, of {len(order)}." if len(order) > MOST else "The lowest F1 comes first."
    table = Table("", columns, note=note, text=frozenset({0, 6}))
    for k in order[:MOST]:
        taken = int(wrong[k].argmax())
        confused = f"{choices.names[taken]} ({wrong[k, taken]})" if wrong[k, taken] else "–"
        figures = [_figure(each[k]) for each in (found.precision, found.recall, found.f1)]
        table.rows.append([choices.names[k], str(found.rows[k]), *figures, str(found.chosen[k]), confused])
    return table


def _figure(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"
