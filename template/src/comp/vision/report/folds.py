"""Are the folds alike? What differs beyond what their rows explain is the models', or the data's."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency, norm

from comp.registry import metric_label
from comp.runs.bootstrap import interval, spread
from comp.runs.page import Section, Table, Text
from comp.vision.report.intervals import drawn_scores
from comp.vision.report.rows import Rows, losses

SURE = 0.05  # chance that any fold of alike ones stands out
MOST = 30  # classes in the table of shares; of more, those that differ most


@dataclass(frozen=True)
class OfFold:
    """One fold beside all others."""

    number: int
    rows: int
    score: float
    interval: tuple[float, float]
    loss: float
    loss_error: float  # its standard error
    deviations: float  # of the score from that of all other folds, in standard errors


def of_folds(name: str, rows: Rows) -> list[OfFold]:
    """Each fold's score by `name`."""
    found = []
    for k in rows.folds:
        own, rest = rows.where(rows.fold == k), rows.where(rows.fold != k)
        drawn, others = drawn_scores(name, own), drawn_scores(name, rest)
        error = float(np.hypot(np.nanstd(drawn), np.nanstd(others)))
        apart = own.score(name) - rest.score(name)
        loss = losses(own)
        found.append(
            OfFold(
                k,
                len(own.y),
                own.score(name),
                interval(drawn),
                float(loss.mean()),
                float(loss.std() / np.sqrt(len(loss))),
                apart / error if error > 0 else 0.0,
            )
        )
    return found


def limit(folds: int) -> float:
    """The deviations from which on one of so many folds stands out (Bonferroni)."""
    return float(norm.ppf(1 - SURE / folds / 2))


def unlike(found: list[OfFold]) -> list[OfFold]:
    """The folds whose score is beyond what their rows explain, the farthest first."""
    beyond = [each for each in found if abs(each.deviations) > limit(len(found))]
    return sorted(beyond, key=lambda each: -abs(each.deviations))


def folds_section(name: str, rows: Rows, found: list[OfFold]) -> Section:
    """Score, loss, and class shares of each fold."""
    label = metric_label(name, rows.targets.kind)
    loss = "squared error" if rows.targets.kind == "regression" else "log loss"
    table = Table("", ["fold", "rows", label, "95 % interval", loss, "from the others"])
    for each in found:
        figures = [f"{each.score:.4f}", spread(*each.interval), f"{each.loss:.4f} ± {1.96 * each.loss_error:.4f}"]
        table.rows.append([str(each.number), str(each.rows), *figures, f"{each.deviations:+.1f} standard errors"])
    blocks = [Text([in_words(found)]), table]
    shares = class_shares(rows)
    return Section("Folds", [*blocks, *([shares] if shares is not None else [])])


def in_words(found: list[OfFold]) -> str:
    """Which folds stand out."""
    beyond = unlike(found)
    if not beyond:
        return "The folds are alike: none differs from the others by more than its rows explain."
    named = " ".join(f"Fold {each.number} is unlike the others ({each.deviations:+.1f} standard errors)." for each in beyond)
    return f"{named} Its model may have trained badly (Training), or its rows are of another kind: groups, sources, times."


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
    table = Table("Share of the label" if binary else "Shares of the classes", ["class", *(f"fold {k}" for k in rows.folds)])
    table.columns.append("p of alike folds")
    for k in order:
        both = np.stack([counts[:, k], size[:, 0] - counts[:, k]])
        p = chi2_contingency(both).pvalue if (both.sum(axis=1) > 0).all() else 1.0
        table.rows.append([names[k], *(f"{100 * each:.2f} %" for each in share[:, k]), f"{p:.2g}"])
    if len(names) > MOST:
        table.note = f"The {MOST} that differ most, of {len(names)}."
    return table
