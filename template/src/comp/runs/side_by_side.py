"""`comp compare A B [C …]` out of fold: scores, differences to the first run, verdicts; and the page of it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.errors import CompError, shown
from comp.folds import units_of
from comp.registry import metrics_for
from comp.runs.comparable import Opened, opened, shared_rows, sign_of, why_not
from comp.runs.history import keys_between
from comp.runs.page import Page, Section, Table, Text
from comp.runs.paired import LEVEL, Difference, Measure, MeasuresOf, Side, difference, drawn, interval, value_of
from comp.runs.rundir import RUNS, RunDir

LONGEST = 80  # characters of all names in the page's file name


@dataclass(frozen=True)
class Pair:
    """The first run and another on the rows that all runs share; `units` (N,) are the groups of the rows."""

    first: Opened
    other: Opened
    units: np.ndarray


@dataclass(frozen=True)
class Score:
    """A run's score by one metric, and how far it is above the first run's."""

    value: float
    low: float
    high: float
    difference: Difference | None


Details = Callable[[Pair], list[Section]]  # what a task shows of two runs
Scores = dict[str, list[Score]]  # of each metric, in the order of the runs


def runs_named(words: Sequence[str]) -> list[RunDir]:
    """Raises: CompError: these are not two runs or more."""
    if len(words) < 2:
        raise CompError("name two runs or more: comp compare runs/baseline runs/augmented")
    runs = [RunDir(Path(word)) if os.sep in word or "/" in word else RunDir.of_name(word) for word in words]
    for word, run in zip(words, runs, strict=True):
        if not run.path.is_dir():
            raise CompError(f"there is no run {word}")
    twice = [run.path.name for run in runs if sum(other.path.resolve() == run.path.resolve() for other in runs) > 1]
    if twice:
        raise CompError(f"{twice[0]} is named twice: name two runs or more")
    return runs


def out_of_fold(runs: Sequence[Opened], measures_of: MeasuresOf, details: Details) -> tuple[list[Section], str]:
    """Prints how the runs stand out of fold, and returns that for a page, and the verdict in a sentence.

    Raises:
        CompError: they cannot be compared; why, is said.
    """
    for other in runs[1:]:
        why = why_not(runs[0], other)
        if why:
            raise CompError(f"{runs[0].name} and {other.name} cannot be compared out of fold: {why}{_way_out(why)}")
    ids = shared_rows(runs)
    if not len(ids):
        raise CompError(f"no row is predicted by all of {shown(run.name for run in runs)}")
    runs = [run.on(ids) for run in runs]
    units = units_of(runs[0].config, runs[0].folds, runs[0].oof["id"])
    level = LEVEL / (len(runs) - 1)
    scores = _scores(runs, units, measures_of, level)
    metric, ranking = next(iter(scores.items()), ("", []))
    sentence = _sentence(runs, ranking, metric) if ranking else "none of their metrics can be measured"
    head, *lines = _lines(runs, scores, len(ids), level)
    print("\n".join([head, *lines, f"        {sentence}"]))
    pairs = [Pair(runs[0], other, units) for other in runs[1:]]
    flagged = [f"{run.name}: {run.flags}" for run in runs if str(run.flags)]
    first = Section(
        "Out of fold", [_table(runs, scores), *([Text(flagged, "Flags")] if flagged else [])], head.split(maxsplit=1)[1]
    )
    return [first, _changed(runs), *(section for pair in pairs for section in details(pair))], sentence


def write_page(runs: Sequence[RunDir], sections: Sequence[Section], sentence: str) -> Path:
    """`runs/compare-A-B.html`; `sentence` is its verdict."""
    names = [run.path.name for run in runs]
    name = "-".join(names)
    name = name if len(name) <= LONGEST else f"{name[:LONGEST]}-and-more"
    path = Page(" · ".join(names), sentence, "", [], sections).write(RUNS / f"compare-{name}.html")
    print(f"wrote   {path}")
    return path


def _sentence(runs: Sequence[Opened], scores: Sequence[Score], metric: str) -> str:
    """What the metric that ranks says of each run beside the first."""
    told = []
    for run, score in zip(runs[1:], scores[1:], strict=True):
        apart = score.difference
        assert apart is not None
        name = run.name if apart.is_better else runs[0].name
        if apart.is_real:
            told.append(f"real: {name} is better by {abs(apart.value):.4f} {metric}{_flags(runs[0], run)}")
        else:
            folds = ", as the folds do not agree" if apart.p < apart.level else ""
            told.append(f"noise: no difference of {runs[0].name} and {run.name} is shown{folds}")
    return "; ".join(told)


def _flags(*runs: Opened) -> str:
    flagged = [run.name for run in runs if run.flags.flatters]
    return f" (the score of {' and '.join(flagged)} flatters)" if flagged else ""


def _way_out(why: str) -> str:
    return ": train one of them again with today's folds.csv, under another name" if why == "other folds" else ""


def _metrics(runs: Sequence[Opened]) -> list[str]:
    """The metric that ranks the first run, and the others that any of them computes."""
    wanted = [name for run in runs for name in (run.config.metric, *run.config.metrics)]
    return metrics_for(wanted, runs[0].targets.kind)


def _scores(runs: Sequence[Opened], units: np.ndarray, measures_of: MeasuresOf, level: float) -> Scores:
    names = _metrics(runs)
    whole = [measures_of(run.config, names, run.oof, run.targets) for run in runs]
    folds = [_by_fold(run, names, measures_of) for run in runs]
    found: Scores = {}
    for name in names:
        if name in whole[0]:
            measures, each = [of[name] for of in whole], [of[name] for of in folds]
            found[name] = _of_metric(measures, each, units, sign_of(name), level)
    return found


def _of_metric(
    measures: Sequence[Measure], folds: Sequence[Sequence[float]], units: np.ndarray, better: int, level: float
) -> list[Score]:
    draws = drawn(measures, units)
    sides = [Side(*each) for each in zip(measures, draws, folds, strict=True)]
    scores = []
    for number, each in enumerate(sides):
        apart = difference([each, sides[0]], units, better, level) if number else None
        low, high = interval(each.measure, units, each.draws)
        scores.append(Score(value_of(each.measure, len(units)), low, high, apart))
    return scores


def _by_fold(run: Opened, names: Sequence[str], measures_of: MeasuresOf) -> dict[str, list[float]]:
    """Each metric of each fold's rows."""
    found: dict[str, list[float]] = {}
    for _, own in run.oof.groupby("fold", sort=True):
        for name, measure in measures_of(run.config, names, own.reset_index(drop=True), run.targets).items():
            found.setdefault(name, []).append(value_of(measure, len(own)))
    return found


def _lines(runs: Sequence[Opened], scores: Scores, rows: int, level: float) -> list[str]:
    adjusted = f"; verdicts at {level:.3f} each (Bonferroni)" if len(runs) > 2 else ""
    lines = [f"oof     {rows} rows that all {len(runs)} runs predict, differences to {runs[0].name}{adjusted}"]
    width, label = max(len(run.name) for run in runs), max(map(len, scores), default=0)
    for metric, each in scores.items():
        for number, (run, score) in enumerate(zip(runs, each, strict=True)):
            told = "" if score.difference is None else f"  {_told(score.difference)}"
            value = f"{score.value:8.4f}  {score.low:.4f} to {score.high:.4f}{told}"
            lines.append(f"        {metric if not number else '':{label}}  {run.name:{width}}  {value}")
    return lines + [f"        {run.name}: {run.flags}" for run in runs if str(run.flags)]


def _told(apart: Difference) -> str:
    return f"{apart.value:+.4f}  {apart.low:+.4f} to {apart.high:+.4f}  {apart.verdict}"


def _table(runs: Sequence[Opened], scores: Scores) -> Table:
    columns = [
        "metric",
        "run",
        "score",
        "95 %",
        f"less {runs[0].name}",
        "95 %",
        "p over rows",
        "p over folds",
        "verdict",
    ]
    table = Table("", columns, text=frozenset({0, 1, 8}))
    for metric, each in scores.items():
        for number, (run, score) in enumerate(zip(runs, each, strict=True)):
            apart = score.difference
            cells = [
                metric if not number else "",
                run.name,
                f"{score.value:.4f}",
                f"{score.low:.4f} to {score.high:.4f}",
            ]
            if apart is None:
                cells += ["", "", "", "", ""]
            else:
                folds = "–" if apart.p_folds is None else f"{apart.p_folds:.3g}"
                between = f"{apart.low:+.4f} to {apart.high:+.4f}"
                cells += [f"{apart.value:+.4f}", between, f"{apart.p:.3g}", folds, apart.verdict]
            table.rows.append(cells)
    table.note = (
        "real: by the rows, drawn again and again for both runs alike, and by the folds (from three on) it is no "
        "chance. The models are taken as they are: what another seed had made of them, only the folds show."
    )
    return table


def _changed(runs: Sequence[Opened]) -> Section:
    table = Table("", ["run", f"keys that differ from {runs[0].name}"], text=frozenset({0, 1}))
    table.rows = [[run.name, keys_between(run.config, runs[0].config) or "none"] for run in runs[1:]]
    return Section("Configuration", [table])


def right_only(pair: Pair, right: np.ndarray, also: np.ndarray, most: int = 50) -> Table:
    """The rows (first `most` ids) that only one of the two runs has right; `right` and `also` (N,) say of which."""
    ids = pair.first.oof["id"].to_numpy()
    table = Table("Rows that only one has right", ["only", "rows", f"ids, the first {most}"], text=frozenset({0, 2}))
    for name, rows in ((pair.first.name, right & ~also), (pair.other.name, also & ~right)):
        table.rows.append([name, str(int(rows.sum())), ", ".join(map(str, ids[rows][:most]))])
    return table


def moved_most(pair: Pair, first: np.ndarray, other: np.ndarray, what: str, most: int = 50) -> Table:
    """The rows whose value (N,) differs most between the two runs; `what` names the value."""
    apart, ids = other - first, pair.first.oof["id"].to_numpy()
    order = np.argsort(-np.abs(apart), kind="stable")[:most]
    table = Table(f"Rows that differ most, by {what}", ["id", pair.first.name, pair.other.name, "difference"])
    table.rows = [[str(ids[n]), f"{first[n]:.4f}", f"{other[n]:.4f}", f"{apart[n]:+.4f}"] for n in order if apart[n]]
    return table


def open_all(runs: Sequence[RunDir]) -> list[Opened]:
    """Raises: CompError: one of the runs is not finished."""
    return [opened(run) for run in runs]
