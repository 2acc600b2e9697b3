"""`comp report`: one self-contained HTML page of a run, its plots as PNG beside it."""

from pathlib import Path
from typing import Any

from comp.align.baselines.compare import SHOWN
from comp.align.schema import AlignConfig
from comp.errors import CompError
from comp.runs.page import Picture, Plot, Table, saved
from comp.runs.page.of_run import curves, write_page
from comp.runs.rundir import RunDir

PICTURES = {"Distances": "distances.png", "Nearest images": "neighbors.png"}  # of comp verify


def report(config: AlignConfig) -> Path:
    """Writes `report.html` and `curves.png` into the run's folder; what `comp verify` found is on the page.

    Raises:
        CompError: nothing is trained yet.
    """
    run = RunDir.of(config)
    trained: AlignConfig = run.trained_config()
    if not run.metrics.is_file():
        raise CompError(f"{run.metrics} does not exist: run comp train")
    metrics = run.read_metrics()
    plots: list[Plot | Picture] = []
    if metrics.get("combines") is None:  # what is combined was not trained
        training = curves(run, trained)
        saved(training, run.path / "curves.png")
        plots.append(Plot("Training", training))
    found = {title: run.path / name for title, name in PICTURES.items() if (run.path / name).is_file()}
    plots += [Picture(title, path.read_bytes()) for title, path in found.items()]
    combines = metrics.get("combines")
    what = f"{trained.about_model}, {trained.loss.kind} loss"
    if combines:
        what = f"mean of {', '.join(combines['members'])}"
    return write_page(run, trained, what, metrics, plots, _tables(config, metrics))


def _tables(config: AlignConfig, metrics: dict[str, Any]) -> list[Table]:
    shown = [name for name in SHOWN if name in metrics["scores"]]
    compared = Table("Beside simple baselines (means over folds)", ["", *shown])
    for name, values in sorted(metrics.get("baselines", {}).items(), key=lambda line: line[1]["mrr"]):
        compared.rows.append([name, *(f"{values[key]:.4f}" for key in shown)])
    compared.rows.append([config.name, *(f"{metrics['scores'][key]['mean']:.4f}" for key in shown)])
    galleries = Table("By gallery", ["", *SHOWN, "skewness"])
    for what, values in metrics.get("galleries", {}).items():
        galleries.rows.append([what, *(f"{values[key]:.4f}" for key in galleries.columns[1:])])
    distances = Table("Distances", ["", "truth", "shuffled", "random", "better than shuffled", "better than random"])
    for what, each in metrics.get("distances", {}).items():
        percent = [f"{each['improvement_percent'][key]:+.1f} %" for key in ("shuffled", "random")]
        means = [f"{each['mean'][key]:.4f}" for key in ("truth", "shuffled", "random")]
        distances.rows.append([what, *means, *percent])
    return [table for table in (compared, galleries, distances) if table.rows]
