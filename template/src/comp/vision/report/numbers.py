"""What a report shows of predicted numbers: each against its truth, and how large the errors are."""

import numpy as np
from matplotlib.figure import Figure

from comp.runs.page import Table
from comp.runs.page.figures import drawn
from comp.tables import Targets
from comp.vision.metrics import score
from comp.vision.report.confusion import labels_of
from comp.vision.report.rows import Rows

MOST = 3  # numbers that have a picture
POINTS = 20_000  # in a picture; of more rows, evenly spaced ones
WORST = 20


def scatter(rows: Rows) -> Figure:
    """Out-of-fold predictions by their truth, for the first few numbers."""
    shown = min(len(rows.targets.classes), MOST)
    figure, [places] = drawn(3.6 * shown + 0.4, 3.6, columns=shown)
    for axes, name, (truth, given) in zip(places, labels_of(rows.targets.classes), _columns(rows), strict=False):
        axes.plot(truth, given, ".", markersize=3, alpha=max(0.05, min(1.0, 300 / len(truth))), rasterized=True)
        ends = [min(truth.min(), given.min()), max(truth.max(), given.max())]
        axes.plot(ends, ends, color="#888", linewidth=1)
        axes.set(xlabel=f"{name}, true", ylabel="predicted, out of fold")
    return figure


def residuals(rows: Rows) -> Figure:
    """Errors by the prediction, and how they are distributed, for the first few numbers."""
    shown = min(len(rows.targets.classes), MOST)
    figure, places = drawn(3.6 * shown + 0.4, 5.2, rows=2, columns=shown)
    for upper, lower, name, (truth, given) in zip(
        *places, labels_of(rows.targets.classes), _columns(rows), strict=False
    ):
        alpha = max(0.05, min(1.0, 300 / len(truth)))
        upper.plot(given, given - truth, ".", markersize=3, alpha=alpha, rasterized=True)
        upper.axhline(0, color="#888", linewidth=1)
        upper.set(xlabel=f"{name}, predicted", ylabel="predicted − true")
        counts, edges = np.histogram(given - truth, 40)
        lower.stairs(counts, edges, fill=True, alpha=0.75)
        lower.set(xlabel="predicted − true", ylabel="rows")
    return figure


def worst_rows(rows: Rows) -> Table:
    """The rows with the largest errors; of several numbers, in standard deviations of each."""
    y, p = rows.y.astype(np.float64), rows.p.astype(np.float64)
    error = np.abs(p - y) / np.maximum(y.std(axis=0), 1e-12)
    table = Table("Largest errors", ["id", "fold", "number", "true", "predicted", "error"], text=frozenset({0, 2}))
    for row in np.argsort(-error.max(axis=1), kind="stable")[:WORST]:
        k = int(error[row].argmax())
        figures = [f"{y[row, k]:.5g}", f"{p[row, k]:.5g}", f"{p[row, k] - y[row, k]:+.4g}"]
        table.rows.append([str(rows.ids[row]), str(rows.fold[row]), rows.targets.classes[k], *figures])
    return table


def of_numbers(rows: Rows) -> Table:
    """For each number, its errors in the three parts of its range that hold a third of the rows each."""
    table = Table("Errors", ["number", "rows", "mean", "RMSE", "mean error", "correlation"])
    y, p = rows.y.astype(np.float64), rows.p.astype(np.float64)
    for k, name in enumerate(rows.targets.classes):
        borders = np.quantile(y[:, k], [1 / 3, 2 / 3])
        third = np.searchsorted(borders, y[:, k])
        parts = [("", np.ones(len(y), dtype=bool))]
        parts += [(f", {place} third", third == each) for each, place in enumerate(("lowest", "middle", "highest"))]
        for place, wanted in parts:
            if wanted.any():
                table.rows.append([name + place, *_line(y[wanted, k : k + 1], p[wanted, k : k + 1])])
    return table


def _columns(rows: Rows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Truth and prediction of each number, of as many rows as a picture shows."""
    few = slice(None, None, -(-len(rows.y) // POINTS))
    return list(zip(rows.y[few].T, rows.p[few].T, strict=True))


def _line(y: np.ndarray, p: np.ndarray) -> list[str]:
    one = Targets("regression", ("it",))
    values = [y.mean(), score("rmse", y, p, one), (p - y).mean(), score("pearson", y, p, one)]
    return [str(len(y)), *(f"{value:.4g}" for value in values)]
