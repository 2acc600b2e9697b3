"""How sure a run is where it is right, and where it is wrong."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from comp.runs.page import Plot, Section, Table
from comp.runs.page.figures import drawn
from comp.vision.report.rows import Choices

KEPT = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)  # shares of the rows, the surest
SURE = (0.5, 0.8, 0.9, 0.95, 0.99)
BINS = 30


def confidence_section(choices: Choices) -> Section:
    """The probability of the choice, of right and wrong rows."""
    right, sure = choices.truth == choices.choice, choices.confidence
    section = Section("Confidence", [Plot("Of right and wrong rows", _figure(sure, right)), surest(sure, right)])
    section.blocks.append(sure_mistakes(sure, right))
    if 0 < right.sum() < len(right):
        auc = roc_auc_score(right, sure)
        section.note = f"Confidence tells right from wrong with a ROC-AUC of {auc:.3f} (0.5: not at all)."
    return section


def surest(sure: np.ndarray, right: np.ndarray) -> Table:
    """How many of the surest rows are right."""
    table = Table("The surest rows", ["part", "rows", "right", "confidence from"])
    order = np.argsort(-sure, kind="stable")
    for share in KEPT:
        rows = order[: max(1, round(share * len(order)))]
        table.rows.append(
            [f"{100 * share:g} %", str(len(rows)), f"{100 * right[rows].mean():.2f} %", f"{sure[rows[-1]]:.3f}"]
        )
    return table


def sure_mistakes(sure: np.ndarray, right: np.ndarray) -> Table:
    """How many mistakes are sure ones; many of the surest are wrong labels rather than wrong predictions."""
    table = Table("Sure mistakes", ["confidence from", "rows", "wrong", "of these rows", "of all mistakes"])
    wrong = int((~right).sum())
    for least in SURE:
        rows = sure >= least
        count = int((rows & ~right).sum())
        shares = [f"{100 * count / whole:.2f} %" if whole else "–" for whole in (int(rows.sum()), wrong)]
        table.rows.append([f"{least:g}", str(int(rows.sum())), str(count), *shares])
    return table


def _figure(sure: np.ndarray, right: np.ndarray) -> Figure:
    figure, [places] = drawn(9, 3.0, columns=2)
    edges = np.linspace(min(float(sure.min()), 0.99), 1, BINS + 1)
    for axes, rows, name in ((places[0], right, "right"), (places[1], ~right, "wrong")):
        color = "#2a9d4a" if name == "right" else "#d1495b"
        axes.stairs(np.histogram(sure[rows], edges)[0], edges, fill=True, color=color, alpha=0.75)
        axes.set(xlabel="confidence", ylabel="rows", title=f"{int(rows.sum())} {name}")
    return figure
