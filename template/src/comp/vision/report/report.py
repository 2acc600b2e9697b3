"""`comp report`: one self-contained HTML page of a run, its plots as PNG beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from comp.errors import CompError
from comp.registry import metric_label
from comp.runs.page import Plot, Table, saved
from comp.runs.page.figures import INK, SHARES, drawn
from comp.runs.page.of_run import curves, write_page
from comp.runs.predictions import read_oof
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.sample_submission import read_sample
from comp.vision.golden.evaluate import golden_scores
from comp.vision.inference.views import epochs_measured_on
from comp.vision.metrics import score
from comp.vision.report.gallery import gallery_sections
from comp.vision.report.numbers import of_numbers, scatter
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import form_of

MOST_CLASSES = 30  # a confusion matrix of more cannot be read


def report(config: ImageConfig) -> Path:
    """Writes `report.html`, `curves.png`, for up to 30 classes `confusion.png`, for numbers `scatter.png`.

    Raises:
        CompError: nothing is trained yet.
    """
    run = RunDir.of(config)
    trained = run.trained_config()
    oof, targets, _ = read_oof(run.oof)
    metrics = run.read_metrics()
    metrics["scores"] = {metric_label(name, targets.kind): values for name, values in metrics["scores"].items()}
    views = metrics.get("views", [])
    plots = []
    rows = gallery_sections(config, run, oof, targets)
    combines = metrics.get("combines") or {}
    if "curve" in combines:
        plots.append(
            _plot("Between zero-shot and fine-tuned", _curve(combines["curve"], trained), run.path / "alpha.png")
        )
    if next(run.path.glob("fold*/history.csv"), None):  # what is combined was not trained
        plots.append(_plot("Training", curves(run, trained, epochs_measured_on(views)), run.path / "curves.png"))
    if targets.kind == "multiclass" and len(targets.classes) <= MOST_CLASSES:
        plots.append(_plot("Out-of-fold confusion", _confusion(oof, targets), run.path / "confusion.png"))
    if targets.kind == "regression":
        plots.append(_plot("Predicted and true", scatter(oof, targets), run.path / "scatter.png"))
        what = " · ".join([_what(trained, metrics), *_submission(config, targets)])
        return write_page(run, trained, what, metrics, plots, [*_golden(run), of_numbers(oof, targets)], rows)
    per_class = Table("Classes", ["class", "rows", "recall" if targets.kind == "multiclass" else "ROC-AUC"])
    per_class.rows += [[label, str(count), f"{value:.3f}"] for label, count, value in _per_class(oof, targets)]
    what = " · ".join([_what(trained, metrics), *_submission(config, targets)])
    return write_page(run, trained, what, metrics, plots, [*_golden(run), per_class], rows)


def _plot(title: str, figure: Figure, path: Path) -> Plot:
    """For the page, and as a file of its own."""
    saved(figure, path)
    return Plot(title, figure)


def _golden(run: RunDir) -> list[Table]:
    """What comp evaluate found, if it was run; to read it here is no new look at the golden test set."""
    found = golden_scores(run)
    if found is None:
        return []
    table = Table(f"Golden test set, {found['rows']} images; {found['looks']}", ["metric", "score", "95 % interval"])
    for name, each in found["scores"].items():
        table.rows.append([name, f"{each['score']:.4f}", f"{each['low']:.4f} to {each['high']:.4f}"])
    return [table]


def _what(trained: ImageConfig, metrics: dict[str, Any]) -> str:
    """One line on what the run is."""
    combines = metrics.get("combines")
    if combines:
        return f"{combines['kind']} of {', '.join(combines['members'])}"
    return f"{trained.model.backbone} at {trained.model.image_size} px · weights kept: {trained.train.keep}"


def _submission(config: ImageConfig, targets: Targets) -> list[str]:
    """What the submission holds, where the sample submission is here to tell."""
    try:
        sample, _ = read_sample(config.data)
        return [] if sample is None else [f"submission: {form_of(sample, targets, config).about}"]
    except CompError:  # the run was copied here without the data, or the configuration fits another competition
        return []


def _curve(curve: list[tuple[float, float]], trained: ImageConfig) -> Figure:
    """The score of each share of the way between two models."""
    figure, [[axes]] = drawn(4.6, 3.2)
    axes.plot(*zip(*curve, strict=True), marker="o")
    axes.set(xlabel="alpha: 0 is zero-shot, 1 fine-tuned", ylabel=f"{trained.metric}, out of fold")
    return figure


def _confusion(oof: pd.DataFrame, targets: Targets) -> Figure:
    truth = targets.index(oof["target"])
    choice = oof[targets.columns].to_numpy().argmax(axis=1)
    n = len(targets.classes)
    counts = np.zeros((n, n), dtype=int)
    np.add.at(counts, (truth, choice), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.0, 0.42 * n + 1.8)
    figure, [[axes]] = drawn(side, side)
    axes.imshow(shares, cmap=SHARES, vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[row, column] > 0.5 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(n), targets.classes, rotation=90)
    axes.set_yticks(range(n), targets.classes)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def _per_class(oof: pd.DataFrame, targets: Targets) -> list[tuple[str, int, float]]:
    y, p = targets.encode(oof), oof[targets.columns].to_numpy()
    rows = []
    for k, name in enumerate(targets.classes):
        if targets.kind == "multiclass":
            value = float((p[y[:, k] > 0.5].argmax(axis=1) == k).mean()) if y[:, k].any() else float("nan")
        else:
            value = score("roc_auc", y[:, [k]], p[:, [k]], Targets("binary", (name,)))
        rows.append((name, int(y[:, k].sum()), value))
    return rows
