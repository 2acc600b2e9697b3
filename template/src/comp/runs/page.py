"""A run as one self-contained HTML page: its scores, pictures, tables and configuration."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from comp.config import Experiment, to_yaml
from comp.files import write_text, written_whole
from comp.readback import reading, remembered
from comp.runs.rundir import RunDir

PAGE = Path(__file__).with_name("report.html")


@dataclass
class Table:
    """The first column is text, the others are numbers."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)


def write_page(
    run: RunDir,
    trained: Experiment,
    what: str,
    metrics: Mapping[str, Any],
    plots: Mapping[str, Path],
    tables: Sequence[Table],
) -> Path:
    """Writes `report.html` into the run's folder, with the pictures `plots` in it; `what` says what the run is."""
    page = jinja2.Environment(autoescape=True).from_string(PAGE.read_text(encoding="utf-8"))
    text = page.render(
        name=run.path.name,
        what=what,
        minutes=f"{metrics['seconds'] / 60:.1f}",
        pictures={title: _embedded(path) for title, path in plots.items()},
        tables=tables,
        configuration=to_yaml(trained),
        views=metrics.get("views"),
        **{key: metrics[key] for key in ("rows", "flatters", "unscored", "scores")},
    )
    path = run.path / "report.html"
    write_text(path, text)
    print(f"wrote   {path}, {', '.join(str(plot) for plot in plots.values())}")
    return path


def curves(run: RunDir, config: Experiment, measured_on: str = "") -> Figure:
    """Loss and metric after each epoch, of every fold; `measured_on` joins the title."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number in run.done_folds():
        history = remembered(run.fold(number) / "history.csv", partial(_history, run, number, config.metric))
        if history is None:
            continue
        (line,) = left.plot(history["epoch"], history["train_loss"], linestyle=":")
        left.plot(history["epoch"], history["val_loss"], color=line.get_color(), label=f"fold {number}")
        right.plot(history["epoch"], history[config.metric], color=line.get_color(), label=f"fold {number}")
    left.set(xlabel="epoch", ylabel="loss", title="loss: training dotted, validation solid")
    right.set(xlabel="epoch", ylabel=config.metric, title=f"validation {config.metric}{measured_on}")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _history(run: RunDir, number: int, metric: str) -> pd.DataFrame:
    """A row per epoch, of numbers."""
    path = run.fold(number) / "history.csv"
    with reading(path, "the page is made without its curve"):
        return pd.read_csv(path)[["epoch", "train_loss", "val_loss", metric]].astype(float)


def saved(figure: Figure, path: Path) -> Path:
    """Writes the picture and returns where."""
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return path


def _embedded(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
