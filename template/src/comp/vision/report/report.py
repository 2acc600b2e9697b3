"""`comp report`: one self-contained HTML page of a run, its plots as PNG beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from comp.errors import CompError
from comp.folds import units_of
from comp.runs.page import Block, Plot, Section, saved
from comp.runs.page.configuration import configuration_section
from comp.runs.page.figures import drawn
from comp.runs.page.of_run import facts_of, histories_of, timings_section, training_section, write_page
from comp.runs.predictions import read_oof, read_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.sample_submission import read_sample
from comp.vision.inference.views import epochs_measured_on
from comp.vision.report.calibration import calibration_section
from comp.vision.report.classes import class_table
from comp.vision.report.confidence import confidence_section
from comp.vision.report.confusion import MOST_CLASSES, confused_pairs, confusion
from comp.vision.report.folds import folds_section, of_folds
from comp.vision.report.gallery import gallery_sections
from comp.vision.report.grades import grades_section, is_graded
from comp.vision.report.labels import labels_sections
from comp.vision.report.members import parts_section
from comp.vision.report.numbers import of_numbers, residuals, scatter, worst_rows
from comp.vision.report.priors import priors_section
from comp.vision.report.rows import Choices, Rows
from comp.vision.report.scores import intervals_of, scores_section
from comp.vision.report.sentence import sentence
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import form_of


def report(config: ImageConfig) -> Path:
    """Writes `report.html`, `curves.png`, for up to 30 classes `confusion.png`, for numbers `scatter.png`.

    Everything is from what the run has stored: nothing is trained or predicted again.

    Raises:
        CompError: nothing is trained yet.
    """
    run = RunDir.of(config)
    trained: ImageConfig = run.trained_config()
    oof, targets, folds = read_oof(run.oof)
    metrics = run.read_metrics()
    groups = pd.factorize(units_of(config, folds, oof["id"]))[0]
    rows = Rows.of(oof, targets, groups)
    intervals = intervals_of(metrics, rows)
    by_fold = [] if metrics["unscored"] else of_folds(metrics["metric"], rows)
    drift = [folds_section(metrics["metric"], rows, by_fold)] if len(rows.folds) > 1 else []
    histories = histories_of(run, metrics["metric"])
    sections = [
        scores_section(run, metrics, rows, intervals),
        *([] if metrics["unscored"] else _between(run, trained, metrics)),
        training_section(run, metrics["metric"], histories, epochs_measured_on(metrics.get("views", []))),
        *([] if metrics["unscored"] else _of_kind(config, run, rows)),
        *gallery_sections(config, run, oof, targets),
        *([] if metrics["unscored"] else [parts_section(run, trained, metrics, rows)]),
        *drift,
        priors_section(rows, read_predictions(run.test)[0]),
        timings_section(run, metrics, histories),
        configuration_section(trained),
    ]
    what = " · ".join([_what(trained, metrics), *_submission(config, targets)])
    said = sentence(metrics, rows, intervals, by_fold)
    return write_page(run, metrics, said, facts_of(metrics, what), sections)


def _of_kind(config: ImageConfig, run: RunDir, rows: Rows) -> list[Section]:
    """What such targets are looked at by."""
    if rows.choices is not None:
        graded = [grades_section(rows, rows.choices)] if is_graded(run, rows.targets) else []
        return [*_of_classes(run, rows.choices), *graded, calibration_section(rows), confidence_section(rows.choices)]
    if rows.targets.kind == "multilabel":
        return [*labels_sections(rows, config.submit), calibration_section(rows)]
    return [_of_numbers(run, rows)]


def _of_classes(run: RunDir, choices: Choices) -> list[Section]:
    blocks: list[Block] = []
    if len(choices.names) <= MOST_CLASSES:
        blocks.append(_plot("Out-of-fold confusion", confusion(choices), run.path / "confusion.png"))
    return [Section("Confusion", [*blocks, confused_pairs(choices)]), Section("Classes", [class_table(choices)])]


def _of_numbers(run: RunDir, rows: Rows) -> Section:
    pictures = [
        _plot("Predicted and true", scatter(rows), run.path / "scatter.png"),
        Plot("Residuals", residuals(rows)),
    ]
    return Section("Numbers", [*pictures, of_numbers(rows), worst_rows(rows)])


def _between(run: RunDir, trained: ImageConfig, metrics: Mapping[str, Any]) -> list[Section]:
    """The curve of a run whose weights lie between two models'."""
    curve = (metrics.get("combines") or {}).get("curve")
    if curve is None:
        return []
    figure, [[axes]] = drawn(4.6, 3.2)
    axes.plot(*zip(*curve, strict=True), marker="o")
    axes.set(xlabel="alpha: 0 is zero-shot, 1 fine-tuned", ylabel=f"{trained.metric}, out of fold")
    return [Section("Between zero-shot and fine-tuned", [_plot("", figure, run.path / "alpha.png")])]


def _plot(title: str, figure: Figure, path: Path) -> Plot:
    """For the page, and as a file of its own."""
    saved(figure, path)
    return Plot(title, figure)


def _what(trained: ImageConfig, metrics: Mapping[str, Any]) -> str:
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
