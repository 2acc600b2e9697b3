"""Several labels per row: each label, which ones are mixed up, and how many a row gets."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from comp.runs.page import Section, Table
from comp.vision.report.confusion import most
from comp.vision.report.rows import Rows
from comp.vision.schema import Submit

MOST, PAIRS = 60, 15
PLAIN = 0.5


def labels_sections(rows: Rows, submit: Submit) -> list[Section]:
    """For the kind multilabel."""
    given, truth = rows.p >= PLAIN, rows.y > 0.5
    return [
        Section("Labels", [label_table(rows)], note=_about_thresholds(submit)),
        Section("Labels together", [instead(rows, truth, given), together(rows, truth, given), how_many(truth, given)]),
    ]


def label_table(rows: Rows) -> Table:
    """Figures of each label; the lowest F1 first."""
    columns = [
        "label",
        "rows",
        "precision",
        "recall",
        "F1",
        "best threshold",
        "F1 with it",
        "AUC",
        "AP",
    ]
    table = Table("", columns, note="F1 with a threshold is cross-fitted: each fold has that of the others.")
    lines = [_line(rows, k) for k in range(len(rows.targets.classes))]
    lines.sort(key=lambda line: line[0])
    table.rows = [line for _, line in lines[:MOST]]
    if len(lines) > MOST:
        table.note += f" The {MOST} with the lowest F1, of {len(lines)}."
    return table


def _line(rows: Rows, k: int) -> tuple[float, list[str]]:
    y, p = rows.y[:, k] > 0.5, rows.p[:, k]
    given = p >= PLAIN
    right = int((y & given).sum())
    f1, fitted, threshold = f1_of(y, given), np.zeros(len(y), dtype=bool), best_threshold(y, p)
    for fold in rows.folds:
        others, own = rows.fold != fold, rows.fold == fold
        fitted[own] = p[own] >= (best_threshold(y[others], p[others]) if others.any() else PLAIN)
    ranks = [f"{each(y, p):.3f}" if 0 < y.sum() < len(y) else "–" for each in (roc_auc_score, average_precision_score)]
    shares = [f"{right / whole:.3f}" if whole else "–" for whole in (int(given.sum()), int(y.sum()))]
    figures = [*shares, f"{f1:.3f}", f"{threshold:.2f}", f"{f1_of(y, fitted):.3f}", *ranks]
    return f1, [rows.targets.classes[k], str(int(y.sum())), *figures]


def f1_of(y: np.ndarray, given: np.ndarray) -> float:
    """F1 of one label; 0 where it neither is nor is given."""
    either = int(y.sum()) + int(given.sum())
    return 2 * int((y & given).sum()) / either if either else 0.0


def best_threshold(y: np.ndarray, p: np.ndarray) -> float:
    """The threshold with the highest F1 on these rows, halfway between two probabilities."""
    order = np.argsort(-p, kind="stable")
    f1 = 2 * np.cumsum(y[order]) / (np.arange(1, len(y) + 1) + max(int(y.sum()), 1))
    ends = np.append(p[order][1:] < p[order][:-1], True)  # equal probabilities go together
    last = int(np.where(ends, f1, -1).argmax())
    below = p[order][last + 1] if last + 1 < len(p) else 0.0
    return float((p[order][last] + below) / 2)


def instead(rows: Rows, truth: np.ndarray, given: np.ndarray) -> Table:
    """Pairs of labels of which one is missed where the other is wrongly given."""
    missed, wrong = (truth & ~given).astype(np.float32), (given & ~truth).astype(np.float32)
    counts = (missed.T @ wrong).astype(int)
    table = Table("One for the other", ["missed", "wrongly given", "rows", "of the missed"], text=frozenset({0, 1}))
    for one, other in most(counts, PAIRS):
        share = f"{100 * counts[one, other] / missed[:, one].sum():.1f} %"
        table.rows.append([rows.targets.classes[one], rows.targets.classes[other], str(counts[one, other]), share])
    return table


def together(rows: Rows, truth: np.ndarray, given: np.ndarray) -> Table:
    """Pairs of labels that are given together more or less often than they are true together."""
    true, said = (each.astype(np.float32).T @ each.astype(np.float32) for each in (truth, given))
    apart = np.triu(said - true, 1).round().astype(int)
    table = Table("Given together", ["label", "and", "true in", "given in", "difference"], text=frozenset({0, 1}))
    for one, other in most(np.abs(apart), PAIRS):
        names = [rows.targets.classes[one], rows.targets.classes[other]]
        table.rows.append([*names, f"{true[one, other]:.0f}", f"{said[one, other]:.0f}", f"{apart[one, other]:+d}"])
    return table


def how_many(truth: np.ndarray, given: np.ndarray) -> Table:
    """Rows by how many labels they have."""
    true, said = truth.sum(axis=1), given.sum(axis=1)
    as_many = f"{100 * (true == said).mean():.1f} % get as many as they have"
    note = f"Rows have {true.mean():.2f} labels and are given {said.mean():.2f}; {as_many}."
    table = Table("How many", ["labels", "rows that have", "rows that are given", "all right"], note=note)
    exact = (truth == given).all(axis=1)
    for number in range(min(int(max(true.max(), said.max())), 9) + 1):
        rows = true == number
        right = f"{100 * exact[rows].mean():.1f} %" if rows.any() else "–"
        table.rows.append([str(number), str(int(rows.sum())), str(int((said == number).sum())), right])
    return table


def _about_thresholds(submit: Submit) -> str:
    if submit.thresholds == "none":
        return "submit.thresholds=none: labels are submitted from 0.5 on."
    if isinstance(submit.thresholds, float):
        return f"submit.thresholds={submit.thresholds:g}; precision, recall and F1 here are from 0.5 on."
    fitted = f"comp submit fits thresholds to the metric (submit.thresholds={submit.thresholds})"
    return f"Precision, recall and F1 from 0.5 on; {fitted}."
