"""What the page of a run shows whatever its task is: scores, curves, timings."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from comp.readback import reading, remembered
from comp.runs.page import Mood, Page, Plot, Section, Table, saved
from comp.runs.page.figures import drawn
from comp.runs.rundir import RunDir, read_fold_metrics

Histories = Mapping[int, pd.DataFrame]  # of each fold


def write_page(
    run: RunDir, metrics: Mapping[str, Any], sentence: str, facts: Sequence[str], sections: Sequence[Section]
) -> Path:
    """Writes `report.html` into the run's folder."""
    mood: Mood = "look" if metrics["unscored"] or metrics["flatters"] else ""
    path = Page(run.path.name, sentence, mood, facts, sections).write(run.path / "report.html")
    print(f"wrote   {path}")
    return path


def opening(metrics: Mapping[str, Any], name: str, value: float, interval: tuple[float, float]) -> str:
    """How the sentence at the top begins: what keeps the score from being trusted, then the score."""
    if metrics["unscored"]:
        return f"Unscored: {metrics['unscored']}."
    low, high = interval
    score = f"{name} {value:.4f} out of fold" + (f" (95 %: {low:.4f} to {high:.4f})" if low == low else "")
    return f"The score flatters: {metrics['flatters']}. {score}." if metrics["flatters"] else f"{score}."


def facts_of(metrics: Mapping[str, Any], what: str) -> list[str]:
    """The short lines below the sentence; `what` says what the run is."""
    facts = [what, f"{metrics['rows']} out-of-fold rows · {metrics['seconds'] / 60:.1f} minutes"]
    if metrics.get("views"):
        facts.append(f"predicted with the views {', '.join(metrics['views'])}")
    return facts


def scores(metrics: Mapping[str, Any], intervals: Mapping[str, str], names: Mapping[str, str]) -> Table:
    """Every metric, called as in `names`: out of fold with its interval, and of each fold."""
    table = Table("", ["metric", "out of fold", "95 % interval", "mean of folds", "std", "folds"])
    for name, each in metrics["scores"].items():
        std = "–" if each["std"] is None else f"{each['std']:.4f}"
        folds = " ".join(f"{value:.4f}" for value in each["folds"].values())
        line = [f"{each['oof']:.4f}", intervals.get(name, "–"), f"{each['mean']:.4f}", std, folds]
        table.rows.append([names.get(name, name), *line])
    return table


def training_section(run: RunDir, metric: str, histories: Histories, measured_on: str = "") -> Section:
    """Curves of every fold, also as `curves.png`; without blocks where nothing was trained."""
    if not any(run.path.glob("fold*/history.csv")):
        return Section("Training")
    figure = curves(histories, metric, measured_on)
    saved(figure, run.path / "curves.png")
    with_rates = {k: each for k, each in histories.items() if "lr" in each}
    rates = [Plot("Learning rate", _rates(with_rates))] if with_rates else []
    return Section("Training", [Plot("Curves", figure), *rates])


def curves(histories: Histories, metric: str, measured_on: str = "") -> Figure:
    """Loss and metric after each epoch, of every fold; `measured_on` joins the title."""
    figure, axes = drawn(9, 3.4, columns=2)
    left, right = axes[0]
    for number, history in histories.items():
        marker = "o" if len(history) == 1 else ""
        (line,) = left.plot(history["epoch"], history["train_loss"], linestyle=":", marker=marker)
        look = {"color": line.get_color(), "marker": marker, "label": f"fold {number}"}
        left.plot(history["epoch"], history["val_loss"], **look)
        right.plot(history["epoch"], history[metric], **look)
    left.set(xlabel="epoch", ylabel="loss", title="loss: training dotted, validation solid")
    right.set(xlabel="epoch", ylabel=metric, title=f"validation {metric}{measured_on}")
    if histories:
        right.legend()
    for each in (left, right):
        each.xaxis.get_major_locator().set_params(integer=True)
    return figure


def histories_of(run: RunDir, metric: str) -> Histories:
    """`history.csv` of each fold that is done, as numbers; a damaged one is left out, with a note."""
    found = {}
    for number in run.done_folds():
        path = run.fold(number) / "history.csv"
        history = remembered(path, partial(_history, path, metric))
        if history is not None:
            found[number] = history
    return found


def timings_section(run: RunDir, metrics: Mapping[str, Any], histories: Histories) -> Section:
    """How long each model took, and how fast its epochs were where that is recorded."""
    table = Table("", ["model", "minutes", "epochs", "s per epoch", "per second"])
    for path in sorted(run.path.glob("fold*/metrics.json")):
        name = path.parent.name.removeprefix("fold")
        line = [f"without fold {name.replace('+', ' and ')}" if "+" in name else f"fold {name}"]
        line.append(f"{read_fold_metrics(path)['seconds'] / 60:.1f}")
        history = histories.get(int(name)) if name.isdigit() else None
        table.rows.append([*line, *(_speed(history) if history is not None else ["–"] * 3)])
    table.rows.append(["all", f"{metrics['seconds'] / 60:.1f}", "", "", ""])
    return Section("Timings", [table])


def _speed(history: pd.DataFrame) -> list[str]:
    """Epochs, their median seconds, and the median number of rows a second."""
    line = [str(len(history)), f"{history['seconds'].median():.1f}" if "seconds" in history else "–"]
    speeds = [str(name) for name in history if str(name).endswith("_per_s")]
    return [*line, f"{history[speeds[0]].median():.0f} {speeds[0].removesuffix('_per_s')}" if speeds else "–"]


def _history(path: Path, metric: str) -> pd.DataFrame:
    """A row per epoch, of numbers."""
    with reading(path, "the page is made without its curve"):
        table = pd.read_csv(path)
        table[["epoch", "train_loss", "val_loss", metric]]
        return table.astype(float)


def _rates(histories: Histories) -> Figure:
    figure, [[axes]] = drawn(4.6, 2.6)
    for number, history in histories.items():
        axes.plot(history["epoch"], history["lr"], marker="o" if len(history) == 1 else "", label=f"fold {number}")
    axes.set(xlabel="epoch", ylabel="at the end of the epoch", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure
