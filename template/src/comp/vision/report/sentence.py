"""The sentence at the top of the page: the score, and where the run is weakest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from comp.registry import metric_label
from comp.runs.page.drift import OfFold, unlike
from comp.runs.page.of_run import opening
from comp.vision.report.classes import of_classes
from comp.vision.report.confusion import mistakes, most
from comp.vision.report.labels import PLAIN, f1_of
from comp.vision.report.rows import Choices, Rows


def sentence(
    metrics: Mapping[str, Any], rows: Rows, intervals: Mapping[str, tuple[float, float]], folds: Sequence[OfFold]
) -> str:
    """What a competitor should know first."""
    name = metrics["metric"]
    value = metrics["scores"][name]["oof"]
    unknown = (float("nan"), float("nan"))
    parts = [opening(metrics, metric_label(name, rows.targets.kind), value, intervals.get(name, unknown))]
    if metrics["unscored"]:
        return parts[0]
    if rows.choices is not None:
        parts.append(_of_classes(rows.choices))
    elif rows.targets.kind == "multilabel":
        parts.append(_of_labels(rows))
    else:
        parts.append(_of_numbers(rows))
    parts += [f"Fold {each.number} is unlike the others." for each in unlike(folds)[:1]]
    return " ".join(parts)


def _of_classes(choices: Choices) -> str:
    wrong = mistakes(choices)
    if not wrong.any():
        return "No mistakes."
    found = of_classes(choices)
    k = int(np.nanargmin(np.where(found.rows > 0, found.f1, np.nan)))
    [(true, taken)] = most(wrong, 1)
    names = choices.names
    return (
        f"Weakest is {names[k]} (F1 {found.f1[k]:.2f} on {found.rows[k]} rows); most often, {names[true]} is taken for "
        f"{names[taken]} ({wrong[true, taken]} rows)."
    )


def _of_labels(rows: Rows) -> str:
    truth, given = rows.y > 0.5, rows.p >= PLAIN
    f1 = [f1_of(truth[:, k], given[:, k]) if truth[:, k].any() else np.inf for k in range(truth.shape[1])]
    k = int(np.argmin(f1))
    return f"Weakest is {rows.targets.classes[k]} (F1 {f1[k]:.2f} on {int(truth[:, k].sum())} rows)."


def _of_numbers(rows: Rows) -> str:
    """The third of the truth with the largest errors, of the number with the largest ones."""
    y, p = rows.y.astype(np.float64), rows.p.astype(np.float64)
    error = np.sqrt(((p - y) ** 2).mean(axis=0))
    k = int((error / np.maximum(y.std(axis=0), 1e-12)).argmax())
    third = np.searchsorted(np.quantile(y[:, k], [1 / 3, 2 / 3]), y[:, k])
    each = {
        place: float(np.sqrt(((p - y)[third == number, k] ** 2).mean()))
        for number, place in enumerate(("lowest", "middle", "highest"))
        if (third == number).any()
    }
    place = max(each, key=lambda name: each[name])
    name = rows.targets.classes[k]
    return f"Errors are largest in the {place} third of {name} (RMSE {each[place]:.4g}, overall {error[k]:.4g})."
