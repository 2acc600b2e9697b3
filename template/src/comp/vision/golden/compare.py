"""Runs on the same golden images, side by side: is the difference real, or noise?"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from comp.runs.bootstrap import interval_of_drawn
from comp.runs.page import Plot, Section, Table, saved
from comp.runs.page.figures import drawn, plain
from comp.runs.paired import value_of
from comp.runs.rundir import RUNS, RunDir
from comp.vision.data.read import read_tables
from comp.vision.golden.evaluate import OnGolden, about_looks, note_look, on_golden, recalls, weights
from comp.vision.kinds import refuse_kind
from comp.vision.metrics import score
from comp.vision.metrics.of_classes import all_right_of_rows, truth_and_choice
from comp.vision.metrics.sums import measure_of
from comp.vision.schema import Data

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
SURE = 0.05


def golden_side_by_side(runs: Sequence[RunDir], data: Data) -> tuple[list[Section], str]:
    """Prints each run's scores beside the first one's, their difference with paired intervals, and one sentence.

    Each run's score is a look that is noted. Returns the same for a page, and the sentences.

    Raises:
        CompError: they have not predicted the same golden test set.
    """
    tables = read_tables(data)
    found = [on_golden(run, tables) for run in runs]
    refuse_kind("comp compare on golden rows", found[0].targets)
    names = [run.path.name for run in runs]
    sections, told = [], []
    print(f"golden  {len(found[0].y)} images, golden.csv {found[0].digest}")
    for other, name in zip(found[1:], names[1:], strict=True):
        table = _scores_beside(found[0], other, [names[0], name])
        told.append(verdict(found[0], other, names[0], name))
        print(f"        {told[-1]}")
        figure = _confusions(found[0], other, [names[0], name])
        saved(figure, RUNS / f"compare-{names[0]}-{name}.png")
        title = f"Golden test set: {names[0]} and {name}"
        sections.append(Section(title, [table, Plot("Confusion", figure)], told[-1]))
    log = None
    for run, name, golden in zip(runs, names, found, strict=True):
        metric = run.trained_config().metric
        log = note_look(data, name, golden, metric, score(metric, golden.y, golden.p, golden.targets))
    if log is not None:
        print(f"        {about_looks(log, found[0])}")
    print(f"wrote   {', '.join(str(RUNS / f'compare-{names[0]}-{name}.png') for name in names[1:])}")
    return sections, "; ".join(told)


def _scores_beside(one: OnGolden, other: OnGolden, names: list[str]) -> Table:
    """Prints the lines of two runs, and returns them as a table."""
    lines = _metric_lines(one, other) + _recall_lines(one, other)
    width, columns = max(len(line[0]) for line in lines), max(10, *map(len, names))
    table = Table("", ["", *names, "difference", "95 %"])
    print(f"        {'':{width}}  {names[0]:>{columns}}  {names[1]:>{columns}}  difference, 95 % interval")
    for label, before, after, low, high in lines:
        change, between = f"{after - before:+.4f}", f"{low:+.4f} to {high:+.4f}"
        print(f"        {label:{width}}  {before:{columns}.4f}  {after:{columns}.4f}  {change}  {between}")
        table.rows.append([label, f"{before:.4f}", f"{after:.4f}", change, between])
    return table


def verdict(one: OnGolden, other: OnGolden, name: str, second: str) -> str:
    """One sentence, by McNemar's exact test of the images on which only one of the two is right."""
    right, also = (all_right_of_rows(each.y, each.p, each.targets) for each in (one, other))
    lost, won = int((right & ~also).sum()), int((~right & also).sum())
    p = binomtest(won, won + lost).pvalue if won + lost else 1.0
    counts = f"{won} images only {second} has right, {lost} only {name} (McNemar, exact: p = {p:.3g})"
    if p >= SURE:
        return f"noise: no difference in accuracy is shown: {counts}"
    return f"real: {second if won > lost else name} is better: {counts}"


def _metric_lines(one: OnGolden, other: OnGolden) -> list[tuple[str, float, float, float, float]]:
    lines, drawn = [], weights(one.y)
    for name in METRICS:
        measures = [measure_of(name, each.y, each.p, each.targets) for each in (one, other)]
        before, after = (value_of(measure, len(one.y)) for measure in measures)
        apart = measures[1].under(drawn) - measures[0].under(drawn)
        lines.append((name, before, after, *interval_of_drawn(apart)))
    return lines


def _recall_lines(one: OnGolden, other: OnGolden) -> list[tuple[str, float, float, float, float]]:
    if one.targets.kind != "multiclass":
        return []
    lines, truth = [], one.y.argmax(axis=1)
    change = (other.p.argmax(axis=1) == truth).astype(int) - (one.p.argmax(axis=1) == truth)
    random = np.random.default_rng(0)
    for number, (name, before, after) in enumerate(zip(one.targets.classes, recalls(one), recalls(other), strict=True)):
        own = change[truth == number]
        if len(own):
            drawn = random.choice(own, (2000, len(own))).mean(axis=1)
            lines.append((f"recall of {name}", float(before), float(after), *interval_of_drawn(drawn)))
    return lines


def _confusions(one: OnGolden, other: OnGolden, names: list[str]) -> Figure:
    """Both confusion matrices as shares of the true class, and their difference."""
    shares = [_shares(each) for each in (one, other)]
    classes = list(one.targets.classes) if one.targets.kind == "multiclass" else ["0", "1"]
    side = max(3.6, 0.45 * len(classes) + 1.6)
    figure, [axes] = drawn(3 * side, side + 0.7, columns=3)
    for place, title, values in zip(axes, [*names, "difference"], [*shares, shares[1] - shares[0]], strict=True):
        _matrix(place, title, values, classes, difference=title == "difference" and place is axes[2])
    return figure


def _shares(golden: OnGolden) -> np.ndarray:
    """(K, K) of each true class, a row each, the shares of those chosen."""
    [(truth, choice)] = truth_and_choice(golden.y, golden.p, golden.targets)
    classes = range(max(2, golden.y.shape[1]))
    return np.asarray(confusion_matrix(truth, choice, labels=classes, normalize="true"))


def _matrix(axes: Axes, title: str, values: np.ndarray, classes: list[str], difference: bool) -> None:
    most = max(0.1, float(np.abs(values).max())) if difference else 1.0
    axes.imshow(values, cmap="RdBu" if difference else "Blues", vmin=-most if difference else 0, vmax=most)
    for row, column in zip(*np.nonzero(np.abs(values) >= 0.005), strict=True):
        value = values[row, column]
        text = f"{100 * value:+.0f}" if difference else f"{100 * value:.0f}"
        color = "white" if abs(value) > 0.6 * most else "#333"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    labels = [plain(name) for name in classes]
    axes.set_xticks(range(len(classes)), labels, rotation=90)
    axes.set_yticks(range(len(classes)), labels)
    axes.set(title=f"{plain(title)}, % of the true class", xlabel="predicted", ylabel="true")
