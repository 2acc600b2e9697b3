"""The contact sheet of the guard: what it let in and what it shut out, each with its parent and its scores."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from comp.runs.page import saved
from comp.runs.page.figures import plain
from comp.vision.augment import fitted
from comp.vision.data.competition import Competition
from comp.vision.pixels import Pixels, Streamed

ACROSS, SIDE_PX = 10, 128  # images of a line, and how large each is drawn
LINE_IN = 1.95  # height of a line, in inches
INSET = 3  # the parent is drawn at one such part of the size


def draw_sheet(table: pd.DataFrame, pixels: Pixels | Streamed, competition: Competition, path: Path) -> None:
    """Writes it as a PNG: a line for each class that was let in, and one for each gate and reason."""
    seen = table[~table.index.isin(pixels.bad)]
    let_in = [(f"let in: {name}", rows) for name, rows in seen[seen["gate"] == ""].groupby("target")]
    shut_out = [(f"{gate}: {why}", rows) for (gate, why), rows in seen[seen["gate"] != ""].groupby(["gate", "why"])]
    lines = [*let_in, *shut_out]
    height = LINE_IN * max(len(lines), 1)
    figure = Figure(figsize=(1.25 * ACROSS, height))
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.1 / height, top=1 - 0.5 / height, wspace=0.08, hspace=0.65)
    grid = figure.subplots(max(len(lines), 1), ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    place = dict(zip(competition.tables.train["id"], range(len(competition.y)), strict=True))
    for line, (title, rows) in zip(grid, lines, strict=False):
        title = plain(f"{title} ({len(rows)})")
        line[0].annotate(title, (0, 1.3), xycoords="axes fraction", fontsize=9, fontweight="bold")
        for axes, (number, row) in zip(line, _some(rows).iterrows(), strict=False):
            parents = [place[each] for each in (row["parent"], *row["alike"]) if each in place]
            parent = competition.train_pixels[parents[0]] if parents else None
            _draw(axes, pixels[int(str(number))], parent, _caption(row))
    saved(figure, path)


def _some(rows: pd.DataFrame) -> pd.DataFrame:
    """As many as a line holds, evenly."""
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), ACROSS)).astype(int))]


def _draw(axes: Axes, image: np.ndarray, parent: np.ndarray | None, caption: str) -> None:
    picture = fitted(image, SIDE_PX, "crop").copy()
    if parent is not None:
        side = SIDE_PX // INSET
        picture[-side - 2 :, -side - 2 :] = 255
        picture[-side:, -side:] = fitted(parent, side, "crop")
    axes.imshow(picture)
    axes.set_title(plain(caption), fontsize=6, pad=2)


def _caption(row: pd.Series) -> str:
    """The label, SSIM, cosine, and the highest of the models' confidences."""
    sure = [float(row[name]) for name in row.index if str(name).startswith("confidence_") and row[name]]
    scores = {"ssim": row.get("ssim"), "cos": row.get("cosine"), "p": f"{max(sure):.2f}" if sure else ""}
    said = " ".join(f"{name} {float(value):.2f}" for name, value in scores.items() if value)
    return f"{row['label']}\n{said}"
