"""`comp board`: the leaderboard in the terminal and as a page, with what is real of its differences."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from comp.errors import CompError, shown
from comp.registry import greater_is_better, names
from comp.runs.leaderboard import PATH, note_public, read_leaderboard
from comp.runs.page import Page, Plot, Section, Table, Text
from comp.runs.page.figures import drawn, plain
from comp.runs.paired import Difference, MeasuresOf
from comp.runs.rundir import RUNS
from comp.runs.standing import Entry, Standing, number, standings
from comp.runs.tunings import about, tunings

COLUMNS = ("run", "cv", "95 %", "to best", "to parent", "flags", "public", "minutes", "date", "commit", "changed")
FIRST_TO_GO = ("commit", "date", "minutes", "95 %", "changed")  # where the terminal is narrow
WIDTH = 140  # where nothing tells
LEAST = 12  # of a column that is cut
PLOTTED = 3  # public scores, from which on a correlation is told


def board(words: Sequence[str], measures_of: MeasuresOf, public: Sequence[str] | None = None) -> None:
    """Prints the leaderboard and writes `runs/board.html`; `public` are pairs of a run and its public score.

    Raises:
        CompError: there is no leaderboard yet, or `public` names no run of it, or no number.
    """
    if words:
        raise CompError(f"comp board takes no {words[0]!r}: a public score is noted by comp board --public RUN SCORE")
    if not read_leaderboard():
        raise CompError(f"{PATH} has no run yet: run comp train")
    if public:
        _note_public(public)
    found = standings(read_leaderboard(), measures_of)
    for standing in found:
        print("\n".join([*_lines(standing), ""]))
    print(f"wrote   {_page(found).write(RUNS / 'board.html')}")


def _note_public(words: Sequence[str]) -> None:
    """Puts public scores into their lines."""
    known = [line["name"] for line in read_leaderboard()]
    scores: dict[str, str] = {}
    for name, text in zip(words[::2], [*words[1::2], ""], strict=False):
        if name not in known:
            raise CompError(f"--public: {PATH} has no run {name!r}: there are {shown(known, 12)}")
        if number(text) is None:
            raise CompError(f"--public {name}: its score is missing, or is no number: comp board --public RUN SCORE")
        scores[name] = text
        print(f"public  {name} {text}")
    note_public(scores)


def _lines(standing: Standing) -> list[str]:
    """The table of one metric, cut to the terminal."""
    cells = [COLUMNS, *(_cells(entry) for entry in standing.entries)]
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    kept = [n for n in range(len(COLUMNS)) if any(row[n] for row in cells[1:])]
    widths = [max(len(row[n]) for row in cells) for n in range(len(COLUMNS))]

    def needed() -> int:
        return sum(widths[n] for n in kept) + 2 * (len(kept) - 1)

    last = COLUMNS.index("changed")
    widths[last] = max(LEAST, min(widths[last], widths[last] + width - needed()))
    for name in FIRST_TO_GO:
        if needed() > width and COLUMNS.index(name) in kept:
            kept.remove(COLUMNS.index(name))
    rows = ["  ".join(_cut(row[n], widths[n]) for n in kept).rstrip() for row in cells]
    head = f"{standing.metric}: {_sentence(standing)}"
    tuned = [f"tuned: {about(each)}" for each in tunings(standing.metric)]
    flags = [f"! {entry.name}: {entry.flags}" for entry in standing.entries if entry.flags]
    return [head, *rows, *flags, *tuned, *_correlation(standing)]


def _cut(text: str, width: int) -> str:
    return f"{text:<{width}}" if len(text) <= width else f"{text[: width - 1]}…"


def _cells(entry: Entry) -> tuple[str, ...]:
    line = entry.line
    between = f"{number(line.get('low')):.4f} to {number(line.get('high')):.4f}" if _has_interval(entry) else ""
    parent = str(line.get("parent", ""))
    to_parent = f"{_told(entry.to_parent)} ({parent})" if parent else ""
    cv = str(line["cv"]) if entry.cv is None else f"{entry.cv:.5f}"
    best = "best" if entry.is_best else _told(entry.to_best)
    public = "" if entry.public is None else str(line["public"])
    others = [str(line.get(key, "") or "") for key in ("minutes", "date", "commit", "changed")]
    others[1] = others[1].partition(".")[0]  # to the second
    return (entry.name, cv, between, best, to_parent, "!" if entry.flags else "", public, *others)


def _has_interval(entry: Entry) -> bool:
    return None not in (number(entry.line.get("low")), number(entry.line.get("high")))


def _told(difference: Difference | str) -> str:
    if isinstance(difference, str):
        return difference and f"– {difference}"
    return f"{difference.value:+.4f} {difference.verdict}"


def _between(difference: Difference | str) -> str:
    return "" if isinstance(difference, str) else f"{difference.low:+.4f} to {difference.high:+.4f}"


def _sentence(standing: Standing) -> str:
    """What is known of the best run, in one line."""
    best, metric = standing.best, standing.metric
    if best is None:
        return "no run has a score"
    others = [entry for entry in standing.entries if not entry.is_best]
    told = [entry for entry in others if isinstance(entry.to_best, Difference)]
    near = [entry.name for entry in told if not entry.to_best.is_real]  # type: ignore[union-attr]
    way = "greater" if metric not in names("metric") or greater_is_better(metric) else "less"
    flagged = f", which is flagged as all are ({best.flags})" if best.flags else ""
    head = f"{best.name} is the best of {len(standing.entries)} runs{flagged}, with {best.cv:.5f} ({way} is better)"
    if not told:
        return f"{head}; it is compared with none"
    apart = f"really apart from {len(told) - len(near)} of {len(told)}"
    return f"{head}; {apart}{f', not from {shown(near)}' if near else ''}"


def _correlation(standing: Standing) -> list[str]:
    both = _scored_twice(standing)
    if not both:
        return []
    if len(both) < PLOTTED:
        return [f"public: {len(both)} of {PLOTTED} scores from which on CV is set against them"]
    cv, public = np.array([(entry.cv, entry.public) for entry in both]).T
    if np.ptp(cv) == 0 or np.ptp(public) == 0:
        return [f"public: all of {len(both)} scores are the same, so there is no correlation with CV"]
    pearson, spearman = stats.pearsonr(cv, public).statistic, stats.spearmanr(cv, public).statistic
    return [f"public: correlation with CV over {len(both)} runs: Pearson {pearson:.3f}, Spearman {spearman:.3f}"]


def _scored_twice(standing: Standing) -> list[Entry]:
    return [entry for entry in standing.entries if entry.cv is not None and entry.public is not None]


def _page(found: Sequence[Standing]) -> Page:
    sentence = "; ".join(f"{standing.metric}: {_sentence(standing)}" for standing in found)
    facts = [
        "real: a paired bootstrap over rows leaves 0 out, and so does, from three on, a paired t-test over folds; "
        "noise (folds): the folds do not agree. What another seed changes is only seen by the folds",
        "to the best: at 5 % over all pairs of runs of a metric together, as the best was chosen among them "
        "(Bonferroni); to the parent: at 5 % each",
    ]
    return Page("Leaderboard", sentence, "", facts, [_section(standing) for standing in found])


def _section(standing: Standing) -> Section:
    table = Table("", [*COLUMNS, "to best, 95 %", "to parent, 95 %"], text=frozenset({0, 3, 4, 5, 8, 9, 10}))
    for entry in standing.entries:
        cells = list(_cells(entry))
        cells[COLUMNS.index("flags")] = entry.flags
        table.rows.append([*cells, _between(entry.to_best), _between(entry.to_parent)])
    others = _others(standing.entries)
    blocks: list[Any] = [table, *([others] if others.rows else [])]
    if tuned := tunings(standing.metric):
        blocks.append(Text([f"{about(each)}." for each in tuned], "Best of several trials"))
    told = " ".join(_correlation(standing))
    if len(_scored_twice(standing)) >= PLOTTED:
        blocks.append(_plot(standing, told))
    return Section(standing.metric, blocks, "" if isinstance(blocks[-1], Plot) else told)


def _others(entries: Sequence[Entry]) -> Table:
    """What else the leaderboard says of the runs: the model, the folds, and columns of one's own."""
    told = {"name", "metric", "cv", "low", "high", "flags", "public", "minutes", "date", "commit", "changed", "parent"}
    told |= {"predictions"}  # a digest
    lines: list[Mapping[str, Any]] = [entry.line for entry in entries]
    columns = [key for key in dict.fromkeys(key for line in lines for key in line) if key not in told]
    columns = [key for key in columns if any(line.get(key) for line in lines)]
    table = Table("More of each run", ["run", *columns], text=frozenset(range(len(columns) + 1)))
    if columns:
        table.rows = [[str(line["name"]), *(str(line.get(key, "")) for key in columns)] for line in lines]
    return table


def _plot(standing: Standing, told: str) -> Plot:
    """CV against public score, a point for each run; open where the run is flagged."""
    figure, [[axes]] = drawn(5.6, 4.2)
    for entry in _scored_twice(standing):
        axes.plot(entry.cv, entry.public, "o", color="#3a7ca5", fillstyle="none" if entry.flags else "full")
        place = (entry.cv, entry.public)
        axes.annotate(plain(entry.name), place, xytext=(5, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel=f"{standing.metric}, out of fold", ylabel="public score")
    return Plot("CV and public score", figure, told)
