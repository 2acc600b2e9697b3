"""Is a probability of 0.8 right in 80 of 100 rows, and what would one temperature bring?"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from comp.runs.page import Plot, Section, Table, Text
from comp.runs.page.figures import drawn
from comp.vision.report.rows import Rows, losses
from comp.vision.submission.corrections import heated, temperature

BINS, FEW = 15, 10
CELLS = 2_000_000  # rows × classes that a temperature is fitted to
PARTS = 5  # of a single fold
WORTH = 0.001  # of log loss


@dataclass(frozen=True)
class Tempered:
    """Predictions with temperatures, each fitted to rows of other parts."""

    p: np.ndarray  # (N, K)
    temperatures: list[float]  # of the parts
    parts: str  # what they are


def tempered(rows: Rows) -> Tempered:
    """Each fold with the temperature that the other folds' rows choose; a single fold in parts of whole groups."""
    part, parts = rows.fold, "folds"
    if len(rows.folds) == 1:
        part, parts = np.random.default_rng(0).permutation(rows.unit.max() + 1)[rows.unit] % PARTS, "parts of the fold"
    p, found = rows.p.astype(np.float64), []
    for k in np.unique(part):
        others = part != k
        found.append(fitted_temperature(rows.where(others)) if others.any() else 1.0)
        p[part == k] = heated(rows.p[part == k], found[-1], rows.targets)
    return Tempered(p, found, parts)


def fitted_temperature(rows: Rows) -> float:
    """The temperature with the least log loss; of very many rows, evenly spaced ones decide."""
    step = -(-rows.p.size // CELLS)
    few = rows.where(np.arange(len(rows.p)) % step == 0)
    return temperature(few.p, few.y, rows.targets).t


def judged(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (M,) and whether it was so: of the choice of each row; of several labels, of each cell."""
    choices = rows.choices
    if choices is None:
        return rows.p.ravel(), rows.y.ravel() > 0.5
    return choices.confidence, choices.truth == choices.choice


def reliability(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of BINS equal ranges of probability: how many there are, their mean probability, the share that is so."""
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        return count, np.bincount(place, sure, BINS) / count, np.bincount(place, right, BINS) / count


def ece(sure: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error: the mean distance of probability and share, by how many there are."""
    count, mean, share = reliability(sure, right)
    there = count > 0
    return float((count[there] * np.abs(mean - share)[there]).sum() / count.sum())


def calibration_section(rows: Rows) -> Section:
    """For classes and labels."""
    changed = tempered(rows)
    after = rows.saying(changed.p.astype(np.float32))
    table = Table("", ["", "log loss", "ECE", "mean confidence", "share right"])
    errors = []
    for name, each in (("as predicted", rows), ("with temperature, cross-fitted", after)):
        sure, right = judged(each)
        errors.append((float(losses(each).mean()), ece(sure, right)))
        table.rows.append([name, *(f"{x:.4f}" for x in errors[-1]), f"{sure.mean():.4f}", f"{right.mean():.4f}"])
    if rows.targets.kind == "multilabel":
        table.columns[3:] = ["mean probability", "share true"]
    said = Text([_in_words(changed, errors[0], errors[1])])
    return Section("Calibration", [said, table, Plot("Reliability", _figure(judged(rows), judged(after)))])


def _in_words(changed: Tempered, before: tuple[float, float], after: tuple[float, float]) -> str:
    low, high = min(changed.temperatures), max(changed.temperatures)
    middle = float(np.median(changed.temperatures))
    fitted = f"temperature {middle:.2f} ({low:.2f} to {high:.2f} over {len(changed.temperatures)} {changed.parts})"
    gain = before[0] - after[0]
    if gain < WORTH:
        return f"A {fitted} brings nothing (log loss {before[0]:.4f}, then {after[0]:.4f}): leave them as they are."
    direction = "Overconfident" if middle > 1 else "Not confident enough"
    return (
        f"{direction}: a {fitted} takes the log loss from {before[0]:.4f} to {after[0]:.4f} and the ECE from "
        f"{before[1]:.4f} to {after[1]:.4f}. Classes that are chosen stay the same; metrics of probabilities and "
        "blends change."
    )


def _figure(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> Any:
    figure, [[left, right]] = drawn(9, 3.6, columns=2)
    left.plot([0, 1], [0, 1], color="#888", linewidth=1)
    for name, marker, each in (("as predicted", "o", before), ("with temperature", "s", after)):
        count, mean, share = reliability(*each)
        there = count >= min(FEW, count.max())  # of fewer rows, a share is chance
        left.plot(mean[there], share[there], marker=marker, markersize=4, label=name)
        right.stairs(count / count.sum(), np.linspace(0, 1, BINS + 1), label=name, linewidth=1.5)
    left.set(xlabel="probability", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    right.set(xlabel="probability", ylabel="share of rows", xlim=(0, 1))
    left.legend()
    return figure
