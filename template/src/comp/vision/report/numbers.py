"""What a report shows of predicted numbers: each against its truth, and how large the errors are."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from comp.runs.page import Table
from comp.runs.page.figures import drawn
from comp.tables import Targets
from comp.vision.metrics import score

MOST = 3  # numbers that have a picture


def scatter(oof: pd.DataFrame, targets: Targets) -> Figure:
    """Out-of-fold predictions by their truth, for the first few numbers."""
    y, p = targets.encode(oof), oof[targets.columns].to_numpy()
    shown = min(len(targets.classes), MOST)
    figure, [places] = drawn(3.6 * shown + 0.4, 3.6, columns=shown)
    for axes, name, truth, given in zip(places, targets.classes, y.T, p.T, strict=False):
        axes.plot(truth, given, ".", markersize=3, alpha=max(0.05, min(1.0, 300 / len(truth))), rasterized=True)
        ends = [min(truth.min(), given.min()), max(truth.max(), given.max())]
        axes.plot(ends, ends, color="#888", linewidth=1)
        axes.set(xlabel=f"{name}, true", ylabel="predicted, out of fold")
    return figure


def of_numbers(oof: pd.DataFrame, targets: Targets) -> Table:
    """For each number, its errors in the three parts of its range that hold a third of the rows each."""
    table = Table("Numbers", ["number", "rows", "mean", "RMSE", "mean error", "correlation"])
    y, p = targets.encode(oof).astype(np.float64), oof[targets.columns].to_numpy(dtype=np.float64)
    for k, name in enumerate(targets.classes):
        borders = np.quantile(y[:, k], [1 / 3, 2 / 3])
        third = np.searchsorted(borders, y[:, k])
        parts = [("", np.ones(len(y), dtype=bool))]
        parts += [(f", {place} third", third == each) for each, place in enumerate(("lowest", "middle", "highest"))]
        for place, rows in parts:
            if rows.any():
                table.rows.append([name + place, *_line(y[rows, k : k + 1], p[rows, k : k + 1])])
    return table


def _line(y: np.ndarray, p: np.ndarray) -> list[str]:
    one = Targets("regression", ("it",))
    values = [y.mean(), score("rmse", y, p, one), (p - y).mean(), score("pearson", y, p, one)]
    return [str(len(y)), *(f"{value:.4g}" for value in values)]
