"""The scores of a run: with their intervals, fold by fold, and on the golden test set."""

from collections.abc import Mapping
from typing import Any

from comp.registry import metric_label
from comp.runs.bootstrap import spread
from comp.runs.page import Section, Table
from comp.runs.page.of_run import scores
from comp.runs.paired import DRAWS
from comp.runs.rundir import RunDir
from comp.vision.golden.evaluate import golden_scores
from comp.vision.report.intervals import interval_of
from comp.vision.report.rows import Rows


def intervals_of(metrics: Mapping[str, Any], rows: Rows) -> dict[str, tuple[float, float]]:
    """Of each metric, as metrics.json has it where it does; of none where the run is unscored."""
    found: dict[str, tuple[float, float]] = {}
    for name, each in metrics["scores"].items() if not metrics["unscored"] else ():
        low, high = each.get("interval") or interval_of(name, rows)
        found[name] = low, high
    return found


def scores_section(
    run: RunDir, metrics: Mapping[str, Any], rows: Rows, intervals: Mapping[str, tuple[float, float]]
) -> Section:
    """Without out-of-fold scores where the run is unscored; what comp evaluate found stays."""
    section = Section("Scores")
    if not metrics["unscored"]:
        names = {name: metric_label(name, rows.targets.kind) for name in metrics["scores"]}
        section.blocks.append(scores(metrics, {name: spread(*each) for name, each in intervals.items()}, names))
        groups = "" if rows.unit.max() + 1 == len(rows.unit) else ", groups and duplicates together"
        section.note = (
            f"{len(rows.y)} out-of-fold rows. The interval is where the score would lie with other such rows: they "
            f"are drawn anew up to {DRAWS} times{groups}. Its models stay as they are: another training "
            "moves it further."
        )
    section.blocks += golden_table(run)
    return section


def golden_table(run: RunDir) -> list[Table]:
    """What comp evaluate found, if it was run; to read it here is no new look at the golden test set."""
    found = golden_scores(run)
    if found is None:
        return []
    table = Table(f"Golden test set, {found['rows']} images; {found['looks']}", ["metric", "score", "95 % interval"])
    for name, each in found["scores"].items():
        table.rows.append([name, f"{each['score']:.4f}", spread(each["low"], each["high"])])
    return [table]
