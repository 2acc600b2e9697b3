"""Which classes are taken for which."""

import numpy as np
from matplotlib.figure import Figure

from comp.runs.page import Table
from comp.runs.page.figures import INK, SHARES, drawn, plain
from comp.vision.report.rows import Choices

MOST_CLASSES = 30  # a confusion matrix of more cannot be read
PAIRS = 15


def confusion(choices: Choices) -> Figure:
    """Rows of each class by what they are taken for; the color is the share of the class."""
    counts, n = choices.counts, len(choices.names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.0, 0.42 * n + 1.8)
    figure, [[axes]] = drawn(side, side)
    axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[row, column] > 0.5 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(n), labels_of(choices.names), rotation=90)
    axes.set_yticks(range(n), labels_of(choices.names))
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def confused_pairs(choices: Choices) -> Table:
    """The pairs of classes with the most mistakes."""
    wrong = mistakes(choices)
    columns = ["true class", "taken for", "rows", "of the class", "of all mistakes", "mean confidence"]
    table = Table("Most confused", columns, text=frozenset({0, 1}))
    of_class, confidence = choices.counts.sum(axis=1), choices.confidence
    for true, taken in most(wrong, PAIRS):
        count = wrong[true, taken]
        sure = confidence[(choices.truth == true) & (choices.choice == taken)].mean()
        shares = [f"{100 * count / whole:.1f} %" for whole in (of_class[true], wrong.sum())]
        table.rows.append([choices.names[true], choices.names[taken], str(count), *shares, f"{sure:.2f}"])
    return table


def mistakes(choices: Choices) -> np.ndarray:
    """(K, K) as `Choices.counts`, without what is right."""
    wrong = choices.counts.copy()
    np.fill_diagonal(wrong, 0)
    return wrong


def most(counts: np.ndarray, many: int) -> list[tuple[int, int]]:
    """The places of the largest of `counts` (K, K) above 0, the largest first."""
    order = np.argsort(-counts, axis=None, kind="stable")[:many]
    pairs = [divmod(int(place), counts.shape[1]) for place in order]
    return [(row, column) for row, column in pairs if counts[row, column] > 0]


def labels_of(names: tuple[str, ...]) -> list[str]:
    """Names as text for a figure."""
    return [plain(name if len(name) <= 24 else f"{name[:23]}…") for name in names]
