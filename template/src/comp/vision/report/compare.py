"""`comp compare A B [C …]`: runs side by side, out of fold and on the golden test set."""

import numpy as np
from matplotlib.figure import Figure

from comp.errors import CompError
from comp.runs.page import Plot, Section, Table
from comp.runs.page.figures import INK, drawn
from comp.runs.paired import LEVEL, Side, difference, value_of
from comp.runs.paired import drawn as drawn_scores
from comp.runs.side_by_side import Pair, moved_most, open_all, out_of_fold, right_only, runs_named, write_page
from comp.vision.data.golden import golden_path
from comp.vision.golden.compare import golden_side_by_side
from comp.vision.metrics.of_classes import all_right_of_rows, right_of_rows
from comp.vision.metrics.sums import mean, measures_of
from comp.vision.report.confusion import MOST_CLASSES, labels_of
from comp.vision.report.rows import Choices


def compare(words: list[str]) -> None:
    """Prints the runs beside the first one, a verdict for each, and writes `runs/compare-A-B.html`.

    Raises:
        CompError: these are not two runs that have predicted the same rows, out of fold or golden.
    """
    runs = runs_named(words)
    data = runs[-1].trained_config().data
    sections: list[Section] = []
    told: list[str] = []
    if golden_path(data).is_file():
        try:
            found, verdict = golden_side_by_side(runs, data)
            sections, told = found, [f"golden: {verdict}"]
        except CompError as error:
            print(f"golden  not compared: {error}")
    try:
        found, verdict = out_of_fold(open_all(runs), measures_of, details)
        sections, told = [*found, *sections], [f"out of fold: {verdict}", *told]
    except CompError as error:
        if not sections:
            raise
        print(f"oof     not compared: {error}")
    write_page(runs, sections, ". ".join(told))


def details(pair: Pair) -> list[Section]:
    """What changed between two runs: classes, rows, confusion."""
    targets = pair.first.targets
    y = targets.encode(pair.first.oof)
    p, q = (run.oof[targets.columns].to_numpy() for run in (pair.first, pair.other))
    title = f"{pair.first.name} and {pair.other.name}"
    if targets.kind == "regression":
        before, after = (np.abs(y - each.astype(np.float64)).mean(axis=1) for each in (p, q))
        return [Section(title, [moved_most(pair, before, after, "absolute error")])]
    right, also = (all_right_of_rows(y, each, targets) for each in (p, q))
    blocks: list[Table | Plot] = [_classes(pair, y, p, q), right_only(pair, right, also)]
    if targets.kind == "multiclass" and len(targets.classes) <= MOST_CLASSES:
        blocks.insert(1, Plot("Confusion, the second less the first", _moved(pair, y, p, q)))
    return [Section(title, list(blocks))]


def _classes(pair: Pair, y: np.ndarray, p: np.ndarray, q: np.ndarray) -> Table:
    """Recall of each class, or accuracy of each label, and whether its change is real."""
    targets, first, other = pair.first.targets, pair.first.name, pair.other.name
    one_label = targets.kind != "multilabel"
    names = list(targets.classes) if targets.kind != "binary" else ["0", "1"]
    label = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
    what = "recall" if one_label else "accuracy"
    columns = ["class", "rows", f"{what} of {first}", f"{what} of {other}", "difference", "95 %", "verdict"]
    table = Table(f"{what.capitalize()} of each class", columns, text=frozenset({0, 6}))
    level = LEVEL / len(names)
    for k, name in enumerate(names):
        rows = np.flatnonzero(label == k) if one_label else np.arange(len(y))
        if not len(rows):
            continue
        if one_label:
            hits = [right_of_rows(y[rows], each[rows], targets) for each in (q, p)]
        else:
            hits = [(each[:, k] >= 0.5) == (y[:, k] >= 0.5) for each in (q, p)]
        measures, units = [mean(each) for each in hits], pair.units[rows]
        draws = drawn_scores(measures, units)
        sides = [Side(*each, ()) for each in zip(measures, draws, strict=True)]
        apart = difference(sides, units, 1, level)
        after, before = (value_of(each, len(rows)) for each in measures)
        between = f"{apart.low:+.4f} to {apart.high:+.4f}"
        cells = [f"{before:.4f}", f"{after:.4f}", f"{apart.value:+.4f}", between, apart.verdict]
        table.rows.append([name, str(len(rows)), *cells])
    table.note = f"over rows alone, at 5 % over all {len(names)} classes together (Bonferroni)"
    return table


def _moved(pair: Pair, y: np.ndarray, p: np.ndarray, q: np.ndarray) -> Figure:
    """How many rows more, or less, stand in each cell of the confusion matrix."""
    targets, n = pair.first.targets, y.shape[1]
    first, other = (Choices(targets.classes, y.argmax(axis=1), each.argmax(axis=1), each) for each in (p, q))
    apart = other.counts - first.counts
    side, most = max(4.0, 0.42 * n + 1.8), max(1, int(np.abs(apart).max()))
    figure, [[axes]] = drawn(side, side)
    axes.imshow(apart, cmap="RdBu", vmin=-2 * most, vmax=2 * most, alpha=0.6)
    for row, column in zip(*np.nonzero(apart), strict=True):
        axes.text(column, row, f"{apart[row, column]:+d}", ha="center", va="center", color=INK, fontsize=8)
    axes.set_xticks(range(n), labels_of(targets.classes), rotation=90)
    axes.set_yticks(range(n), labels_of(targets.classes))
    axes.set(xlabel="predicted", ylabel="true")
    return figure
