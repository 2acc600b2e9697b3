"""What the page of a run shows whatever its task is: scores, curves, configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from comp.config import Experiment, to_yaml
from comp.readback import reading, remembered
from comp.runs.page import Folded, Mood, Page, Picture, Plot, Section, Table
from comp.runs.page.figures import drawn
from comp.runs.rundir import RunDir


def write_page(
    run: RunDir,
    trained: Experiment,
    what: str,
    metrics: Mapping[str, Any],
    plots: Sequence[Plot | Picture],
    tables: Sequence[Table],
    more: Sequence[Section] = (),
) -> Path:
    """Writes `report.html` into the run's folder; `what` says what the run is."""
    sections = [
        Section("Scores", [scores(metrics)] if not metrics["unscored"] else []),
        *(Section(each.title, [replace(each, title="")]) for each in (*plots, *tables)),
        *more,
        Section("Configuration", [Folded("as the run was made", to_yaml(trained))]),
    ]
    facts = [what, f"{metrics['rows']} out-of-fold rows · {metrics['seconds'] / 60:.1f} minutes"]
    if metrics.get("views"):
        facts.append(f"predicted with the views {', '.join(metrics['views'])}")
    if metrics["unscored"]:
        sentence = f"unscored: {metrics['unscored']}"
    else:
        name, value = next(iter(metrics["scores"].items()))
        sentence = f"{name} {value['oof']:.4f} out of fold"
        if metrics["flatters"]:
            sentence += f"; the score flatters: {metrics['flatters']}"
    mood: Mood = "look" if metrics["unscored"] or metrics["flatters"] else ""
    path = Page(run.path.name, sentence, mood, facts, sections).write(run.path / "report.html")
    print(f"wrote   {path}")
    return path


def scores(metrics: Mapping[str, Any]) -> Table:
    """Every metric: out of fold, and of each fold."""
    table = Table("", ["metric", "out of fold", "mean of folds", "std", "folds"])
    for name, each in metrics["scores"].items():
        std = "–" if each["std"] is None else f"{each['std']:.4f}"
        folds = " ".join(f"{value:.4f}" for value in each["folds"].values())
        table.rows.append([name, f"{each['oof']:.4f}", f"{each['mean']:.4f}", std, folds])
    return table


def curves(run: RunDir, config: Experiment, measured_on: str = "") -> Figure:
    """Loss and metric after each epoch, of every fold; `measured_on` joins the title."""
    figure, axes = drawn(9, 3.4, columns=2)
    left, right = axes[0]
    for number in run.done_folds():
        history = remembered(run.fold(number) / "history.csv", partial(_history, run, number, config.metric))
        if history is None:
            continue
        (line,) = left.plot(history["epoch"], history["train_loss"], linestyle=":")
        left.plot(history["epoch"], history["val_loss"], color=line.get_color(), label=f"fold {number}")
        right.plot(history["epoch"], history[config.metric], color=line.get_color(), label=f"fold {number}")
    left.set(xlabel="epoch", ylabel="loss", title="loss: training dotted, validation solid")
    right.set(xlabel="epoch", ylabel=config.metric, title=f"validation {config.metric}{measured_on}")
    right.legend()
    for each in (left, right):
        each.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _history(run: RunDir, number: int, metric: str) -> pd.DataFrame:
    """A row per epoch, of numbers."""
    path = run.fold(number) / "history.csv"
    with reading(path, "the page is made without its curve"):
        return pd.read_csv(path)[["epoch", "train_loss", "val_loss", metric]].astype(float)
