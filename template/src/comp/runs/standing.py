"""How the runs of the leaderboard stand to the best one and to their parents."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from comp.errors import CompError, one_line
from comp.folds import units_of
from comp.runs.comparable import Opened, compared, measured, opened, side, sign_of, why_not
from comp.runs.leaderboard import UNSCORED
from comp.runs.paired import LEVEL, Difference, Measure, MeasuresOf, difference, drawn
from comp.runs.rank import rank
from comp.runs.rundir import RunDir

Line = Mapping[str, Any]


@dataclass
class Entry:
    """A line of the leaderboard, and what is known of it today."""

    line: Line
    is_best: bool = False
    to_best: Difference | str = ""  # or why there is none
    to_parent: Difference | str = ""
    missing: str = ""  # why its rows are not here

    @property
    def name(self) -> str:
        return str(self.line["name"])

    @property
    def flags(self) -> str:
        return str(self.line.get("flags", ""))

    @property
    def cv(self) -> float | None:
        return number(self.line["cv"])

    @property
    def public(self) -> float | None:
        return number(self.line.get("public", ""))


@dataclass
class Standing:
    """All runs of one metric, the best first."""

    metric: str
    entries: list[Entry] = field(default_factory=list)

    @property
    def best(self) -> Entry | None:
        return next((entry for entry in self.entries if entry.is_best), None)

    @property
    def level(self) -> float:
        """Of a difference to the best: as it was chosen among all, any two of them might be compared (Bonferroni)."""
        scored = sum(entry.cv is not None for entry in self.entries)
        return LEVEL / max(1, scored * (scored - 1) // 2)


@dataclass(frozen=True)
class Drawn:
    """A run whose metric is measured."""

    run: Opened  # with the ids of its rows only: what they predict is no longer needed
    measure: Measure
    draws: np.ndarray
    units: np.ndarray  # (N,) the group of each row


def number(text: object) -> float | None:
    """A finite number, or None."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def standings(lines: Sequence[Line], measures_of: MeasuresOf) -> list[Standing]:
    """One for each metric; the best of a metric is the best run without a flag, or of flagged ones, if all are."""
    found: dict[str, Standing] = {}
    for line in lines:
        found.setdefault(line["metric"], Standing(line["metric"])).entries.append(Entry(line))
    for standing in found.values():
        _compare(standing, measures_of)
    return list(found.values())


def _compare(standing: Standing, measures_of: MeasuresOf) -> None:
    # A file that was edited, or that an older version wrote, may have another order.
    standing.entries.sort(key=lambda entry: rank(standing.metric, math.nan if entry.cv is None else entry.cv))
    runs = _measured(standing, measures_of)
    scored = [entry for entry in standing.entries if entry.cv is not None]
    best = next((entry for entry in scored if not entry.flags), scored[0] if scored else None)
    if best is not None:
        best.is_best = True
    for entry in standing.entries:
        if best is not None and entry is not best:
            entry.to_best = _difference(standing, runs, entry, best.name, measures_of, standing.level)
        parent = str(entry.line.get("parent", ""))
        if parent:
            entry.to_parent = _difference(standing, runs, entry, parent, measures_of, LEVEL)


def _measured(standing: Standing, measures_of: MeasuresOf) -> dict[str, Drawn]:
    """The runs that are here, by name. Those of the same rows meet the same draws, which are made once."""
    left: dict[str, tuple[Opened, Measure]] = {}
    for entry in standing.entries:
        run = RunDir.of_name(entry.name)
        without = UNSCORED if entry.line["cv"] == UNSCORED else "no score"
        entry.missing = "gone" if not run.path.is_dir() else without if entry.cv is None else ""
        if entry.missing:
            continue
        try:
            one = opened(run)
            left[entry.name] = replace(one, oof=one.oof[["id"]]), measured(one, standing.metric, measures_of)
        except CompError as error:
            entry.missing = "cannot be measured"
            print(f"note    {entry.name}: {one_line(error)}")
    found: dict[str, Drawn] = {}
    while left:
        first = next(iter(left.values()))[0]
        same = [name for name, (run, _) in left.items() if _same_rows(first, run)]
        units = units_of(first.config, first.folds, first.oof["id"])
        group = [left.pop(name) for name in same]
        draws = drawn([measure for _, measure in group], units)
        found |= {
            name: Drawn(run, measure, values, units)
            for name, (run, measure), values in zip(same, group, draws, strict=True)
        }
    return found


def _same_rows(one: Opened, other: Opened) -> bool:
    return one.folds == other.folds and np.array_equal(one.oof["id"].to_numpy(), other.oof["id"].to_numpy())


def _difference(
    standing: Standing, runs: Mapping[str, Drawn], entry: Entry, other: str, measures_of: MeasuresOf, level: float
) -> Difference | str:
    """Of the run less `other`, or in a word why there is none."""
    missing = {each.name: each.missing for each in standing.entries}
    if other not in missing:
        return "gone"
    if entry.missing or missing[other]:
        return entry.missing or missing[other]
    one, two = runs[entry.name], runs[other]
    why = why_not(one.run, two.run)
    if why:
        return why
    if not _same_rows(one.run, two.run):
        whole = [opened(RunDir.of_name(name)) for name in (entry.name, other)]
        return compared(whole[0], whole[1], standing.metric, measures_of, level)
    folds = sorted(one.run.of_folds(standing.metric).keys() & two.run.of_folds(standing.metric).keys())
    sides = [side(each.run, each.measure, each.draws, standing.metric, folds) for each in (one, two)]
    return difference(sides, one.units, sign_of(standing.metric), level)
