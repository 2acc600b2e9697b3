"""`runs/leaderboard.csv`: a line for each experiment, the best first."""

import csv
import io
import math
from pathlib import Path
from typing import Any

from comp.files import write_text
from comp.readback import read_rows, reading
from comp.registry import greater_is_better, names
from comp.runs.rundir import RUNS

UNSCORED = "unscored"  # instead of a score that would flatter


def note_in_leaderboard(line: dict[str, Any]) -> Path:
    """Puts one experiment's line into `runs/leaderboard.csv`, in place of its older one. The best stand first."""
    path = RUNS / "leaderboard.csv"
    lines = [line]
    lines += [old for old in read_leaderboard() if old["name"] != line["name"]]
    lines.sort(key=lambda each: (each["metric"], _rank(each)))
    columns = list(dict.fromkeys(key for each in lines for key in each))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())
    return path


def read_leaderboard() -> list[dict[str, Any]]:
    """The lines of all experiments, none where there is no file yet.

    Raises:
        CompError: the file is damaged.
    """
    path = RUNS / "leaderboard.csv"
    if not path.exists():
        return []
    way_out = "move it away and run comp train for each run again: no finished fold is trained again"
    lines: list[dict[str, Any]] = list(read_rows(path, ("name", "metric", "cv"), way_out))
    with reading(path, way_out):
        [_rank(line) for line in lines]
    return lines


def _rank(line: dict[str, Any]) -> float:
    """Smaller is better; a metric that custom.py no longer has counts as an accuracy."""
    if line["cv"] == UNSCORED:
        return math.inf
    known = line["metric"] in names("metric")
    return float(line["cv"]) * (1 if known and not greater_is_better(line["metric"]) else -1)
