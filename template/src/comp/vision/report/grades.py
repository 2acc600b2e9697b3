"""Ordered grades: how far off the choice is, and in which direction."""

import numpy as np

from comp.registry import needs_order
from comp.runs.page import Section, Table
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.kinds import OTHER_OUTPUTS
from comp.vision.metrics import score
from comp.vision.report.rows import Choices, Rows


def is_graded(run: RunDir, targets: Targets) -> bool:
    """Whether classes are grades, so that a mistake may be far off: their order was given, or is learned or scored."""
    if targets.kind != "multiclass" or targets.positions is None:
        return False
    trained = run.trained_config()
    return targets.ordered or trained.train.loss in OTHER_OUTPUTS or needs_order(trained.metric)


def grades_section(rows: Rows, choices: Choices) -> Section:
    """For classes with an order."""
    places = rows.targets.positions
    assert places is not None
    rank = np.argsort(np.argsort(places))
    apart = rank[choices.choice] - rank[choices.truth]
    kappa = score("quadratic_kappa", rows.y, rows.p, rows.targets)
    note = (
        f"Quadratic kappa {kappa:.4f}; on average {np.abs(apart).mean():.3f} grades off; "
        f"{100 * (apart > 0).mean():.1f} % too high, {100 * (apart < 0).mean():.1f} % too low."
    )
    return Section("Grades", [off_by(apart), of_each(choices, rank, apart)], note=note)


def off_by(apart: np.ndarray) -> Table:
    """Rows by how many grades the choice is off (N,)."""
    table = Table("Off by", ["grades", "rows", "share", "too high", "too low"])
    for distance in range(int(np.abs(apart).max()) + 1):
        rows = np.abs(apart) == distance
        either = [str(int((apart == sign * distance).sum())) if distance else "–" for sign in (1, -1)]
        table.rows.append([str(distance), str(int(rows.sum())), f"{100 * rows.mean():.2f} %", *either])
    return table


def of_each(choices: Choices, rank: np.ndarray, apart: np.ndarray) -> Table:
    """Of each grade, the lowest first."""
    table = Table("By grade", ["grade", "rows", "right", "within one", "mean error", "mean distance"])
    for k in np.argsort(rank):
        own = apart[choices.truth == k]
        if len(own):
            shares = [f"{100 * (np.abs(own) <= most).mean():.1f} %" for most in (0, 1)]
            table.rows.append(
                [choices.names[k], str(len(own)), *shares, f"{own.mean():+.2f}", f"{np.abs(own).mean():.2f}"]
            )
    return table
