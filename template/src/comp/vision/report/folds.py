"""Are the folds alike? What differs beyond what their rows explain is the models', or the data's."""

import numpy as np
from scipy.stats import chi2_contingency

from comp.registry import metric_label
from comp.runs.bootstrap import spread
from comp.runs.page import Section, Table, Text
from comp.runs.page.drift import OfFold, compared, in_words
from comp.vision.report.intervals import drawn_scores
from comp.vision.report.rows import Rows, losses

MOST = 30  # classes in the table of shares; of more, those that differ most


def of_folds(name: str, rows: Rows) -> list[OfFold]:
    """Each fold's score by `name`."""
    parts = [rows.where(rows.fold == k) for k in rows.folds]
    scores, drawn = [own.score(name) for own in parts], [drawn_scores(name, own) for own in parts]
    return compared(rows.folds, [len(own.y) for own in parts], scores, drawn)


def folds_section(name: str, rows: Rows, found: list[OfFold]) -> Section:
    """Score, loss, and class shares of each fold; where nothing was `found`, as the run is unscored, shares alone."""
    label = metric_label(name, rows.targets.kind)
    loss = "squared error" if rows.targets.kind == "regression" else "log loss"
    table = Table("", ["fold", "rows", label, "95 % interval", loss, "from the others"])
    for each in found:
        own = losses(rows.where(rows.fold == each.number))
        error = 1.96 * own.std() / np.sqrt(len(own))
        figures = [f"{each.score:.4f}", spread(*each.interval), f"{own.mean():.4f} ± {error:.4f}"]
        table.rows.append([str(each.number), str(each.rows), *figures, f"{each.deviations:+.1f} standard errors"])
    section, shares = Section("Folds", [Text([in_words(found)]), table] if found else []), class_shares(rows)
    section.blocks += [shares] if shares is not None else []
    return section


def class_shares(rows: Rows) -> Table | None:
    """The share of each class or label in each fold, and whether they differ beyond chance; None for numbers."""
    if rows.targets.kind == "regression":
        return None
    binary = rows.targets.kind == "binary"
    names = rows.targets.classes
    counts = np.array([rows.y[rows.fold == k].sum(axis=0) for k in rows.folds], dtype=np.float64)  # (folds, K)
    size = np.array([(rows.fold == k).sum() for k in rows.folds])[:, None]
    share = counts / size
    order = np.argsort(-np.ptp(share, axis=0), kind="stable")[:MOST] if len(names) > MOST else np.arange(len(names))
    table = Table(
        "Share of the label" if binary else "Shares of the classes", ["class", *(f"fold {k}" for k in rows.folds)]
    )
    table.columns.append("p of alike folds")
    for k in order:
        both = np.stack([counts[:, k], size[:, 0] - counts[:, k]])
        p = chi2_contingency(both).pvalue if (both.sum(axis=1) > 0).all() else 1.0
        table.rows.append([names[k], *(f"{100 * each:.2f} %" for each in share[:, k]), f"{p:.2g}"])
    if len(names) > MOST:
        table.note = f"The {MOST} that differ most, of {len(names)}."
    return table
