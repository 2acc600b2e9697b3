"""`comp report`: one self-contained HTML page of a run, its plots as PNG beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from comp.align.baselines.compare import SHOWN
from comp.align.data.pairs import Competition, open_competition
from comp.align.report.members import members_table
from comp.align.report.queries import Queries, queries_of
from comp.align.report.ranks import folds_section, hubs_section, of_folds, ranks_section, worst_section
from comp.align.schema import AlignConfig
from comp.errors import CompError
from comp.runs.bootstrap import interval_of_drawn, spread
from comp.runs.page import Picture, Section, Table
from comp.runs.page.configuration import configuration_section
from comp.runs.page.drift import OfFold, unlike
from comp.runs.page.of_run import facts_of, histories_of, opening, scores, timings_section, training_section, write_page
from comp.runs.paired import DRAWS
from comp.runs.predictions import read_oof
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
    combines = metrics.get("combines")
    what = (
        f"mean of {', '.join(combines['members'])}" if combines else f"{trained.about_model}, {trained.loss.kind} loss"
    )
    facts, seen = facts_of(metrics, what), None
    try:
        seen = _seen(config, run)
    except CompError as error:
        facts.append(f"without ranks, worst captions and hubs: {error}")
    queries = seen[1] if seen else None
    drawn = {} if queries is None else {name: queries.drawn(name) for name in metrics["scores"]}
    intervals = {name: interval_of_drawn(each) for name, each in drawn.items() if each is not None}
    stored = {name: each["interval"] for name, each in metrics["scores"].items() if "interval" in each}
    intervals |= {name: (low, high) for name, (low, high) in stored.items()}
    folds = of_folds(queries, metrics["metric"], metrics["scores"][metrics["metric"]]["folds"]) if queries else []
    pictures = [(title, run.path / name) for title, name in PICTURES.items() if (run.path / name).is_file()]
    histories = histories_of(run, metrics["metric"])
    sections = [
        _scores(metrics, intervals, queries),
        training_section(run, metrics["metric"], histories),
        *(Section(table.title, [_untitled(table)]) for table in _tables(config, metrics)),
        *(Section(title, [Picture("", path.read_bytes())]) for title, path in pictures),
        *(_looked_at(config, run, metrics, *seen) if seen else []),
        *([folds_section(folds, metrics["metric"])] if len(folds) > 1 else []),
        timings_section(run, metrics, histories),
        configuration_section(trained),
    ]
    return write_page(run, metrics, _sentence(metrics, intervals, queries, folds), facts, sections)


def _seen(config: AlignConfig, run: RunDir) -> tuple[Competition, Queries]:
    """Raises: CompError: the data is not here, or has other folds than the run."""
    competition = open_competition(config, quiet=True)
    oof, _, folds = read_oof(run.oof)
    if folds != competition.split.digest:
        raise CompError(f"{run.path} was trained with other folds than folds.csv has now")
    return competition, queries_of(competition, oof)


def _scores(
    metrics: Mapping[str, Any], intervals: Mapping[str, tuple[float, float]], queries: Queries | None
) -> Section:
    if metrics["unscored"]:
        return Section("Scores")
    table = scores(metrics, {name: spread(*each) for name, each in intervals.items()}, {})
    if queries is None:
        return Section("Scores", [table])
    note = f"The interval is where the score would lie with other captions: their groups are drawn anew {DRAWS} times. "
    return Section("Scores", [table], note=note + "Its models stay as they are: another training moves it further.")


def _looked_at(
    config: AlignConfig, run: RunDir, metrics: Mapping[str, Any], competition: Competition, queries: Queries
) -> list[Section]:
    combines, pairs = metrics.get("combines"), competition.pairs
    folder = None if config.data.pictures is None else Path(config.data.root) / config.data.pictures
    brings = []
    if combines:
        oof = read_oof(run.oof)[0]
        brings = members_table(combines["members"], competition, oof, metrics["metric"])
    return [
        ranks_section(queries),
        worst_section(queries, pairs, folder),
        hubs_section(queries, pairs),
        Section("What each member brings", [*brings]),
    ]


def _sentence(
    metrics: Mapping[str, Any],
    intervals: Mapping[str, tuple[float, float]],
    queries: Queries | None,
    folds: list[OfFold],
) -> str:
    name, unknown = metrics["metric"], (float("nan"), float("nan"))
    parts = [opening(metrics, name, metrics["scores"][name]["oof"], intervals.get(name, unknown))]
    if queries is not None:
        first, ten = (100 * queries.within(k).mean() for k in (1, 10))
        last = np.quantile(queries.rank, 0.9)
        parts.append(
            f"The right image comes first for {first:.0f} % of the captions, among the first ten for {ten:.0f} %; for "
            f"one in ten, at place {last:.0f} of {max(queries.galleries)} or later."
        )
    parts += [f"Fold {each.number} is unlike the others." for each in unlike(folds)[:1]]
    return " ".join(parts)


def _tables(config: AlignConfig, metrics: Mapping[str, Any]) -> list[Table]:
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


def _untitled(table: Table) -> Table:
    return Table("", table.columns, table.rows, table.note, table.text)
