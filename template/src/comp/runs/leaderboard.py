"""`runs/leaderboard.csv`: a line per experiment, the best first."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comp.config import Experiment
from comp.files import write_text
from comp.files.lock import in_turn
from comp.readback import read_rows, reading
from comp.runs.flags import flags_of_metrics
from comp.runs.history import changed_keys, parent_of, stamp
from comp.runs.rank import rank
from comp.runs.rundir import RUNS, RunDir

UNSCORED = "unscored"  # instead of a score that would flatter
PATH = RUNS / "leaderboard.csv"
WRITTEN_BY_HAND = ("public",)  # columns that stay when a run is scored again


def leaderboard_line(config: Experiment, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one experiment, from what its `metrics.json` says."""
    scores, hidden = metrics["scores"][config.metric], bool(metrics.get("unscored"))
    low, high = scores.get("interval") or (None, None)
    lines = read_leaderboard()
    parent = parent_of(config, metrics, lines)
    combines = metrics.get("combines")
    model = f"{combines['kind']} of {', '.join(combines['members'])}" if combines else config.about_model
    return {
        "name": config.name,
        "metric": config.metric,
        "cv": UNSCORED if hidden else f"{scores['oof']:.5f}",
        "low": "" if hidden or low is None else f"{low:.5f}",
        "high": "" if hidden or high is None else f"{high:.5f}",
        "mean": UNSCORED if hidden else f"{scores['mean']:.5f}",
        "std": UNSCORED if hidden else "" if scores["std"] is None else f"{scores['std']:.5f}",
        **({"views": " ".join(metrics["views"])} if metrics.get("views") else {}),
        "n_folds": metrics["folds"],
        "folds": UNSCORED if hidden else " ".join(f"{value:.5f}" for value in scores["folds"].values()),
        "flags": str(flags_of_metrics(metrics)),
        "minutes": f"{metrics['seconds'] / 60:.1f}",
        "model": model,
        "n_rows": metrics["rows"],
        "parent": parent,
        "changed": changed_keys(config.name, parent) if parent and not combines else "",
        **stamp(),
        "predictions": RunDir.of(config).predicts(),
        "public": "",
    }


def note_in_leaderboard(line: dict[str, Any]) -> Path:
    """Puts one experiment's line into `runs/leaderboard.csv`, in place of its older one. Best first.

    Columns that this version does not write stay as they are, and so does a public score, unless the run predicts
    something else since.
    """
    with in_turn(RUNS):
        lines = read_leaderboard()
        before = next((old for old in lines if old["name"] == line["name"]), {})
        has_changed = RunDir.of_name(line["name"]).has_changed(before.get("predictions", ""), before.get("date", ""))
        by_hand = set() if has_changed else {key for key in WRITTEN_BY_HAND if before.get(key)}
        own = {key for key in before if key not in line} | by_hand
        kept = {key: value for key, value in before.items() if key in own}
        return write_leaderboard([{**line, **kept}, *(old for old in lines if old["name"] != line["name"])])


def write_leaderboard(lines: list[dict[str, Any]]) -> Path:
    """All lines, best first, with all columns that any of them has."""
    lines = sorted(lines, key=lambda each: (each["metric"], _rank(each)))
    columns = list(dict.fromkeys(key for each in lines for key in each))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(PATH, text.getvalue())
    return PATH


def note_public(scores: Mapping[str, str]) -> set[str]:
    """Puts public scores, by the name of their run, into its line; the names of all lines."""
    with in_turn(RUNS):
        lines = read_leaderboard()
        if scores and lines:
            write_leaderboard([{**line, "public": scores.get(line["name"], line.get("public", ""))} for line in lines])
    return {line["name"] for line in lines}


def read_leaderboard() -> list[dict[str, Any]]:
    """The lines of all experiments, none where there is no file yet.

    Raises:
        CompError: the file is damaged.
    """
    path = PATH
    if not path.exists():
        return []
    way_out = "move it away and run comp train for each run again: no finished fold is trained again"
    lines: list[dict[str, Any]] = list(read_rows(path, ("name", "metric", "cv"), way_out))
    with reading(path, way_out):
        [_rank(line) for line in lines]
    return lines


def _rank(line: dict[str, Any]) -> float:
    """Smaller is better; an unscored run is as good as one whose score is no number."""
    return math.inf if line["cv"] == UNSCORED else rank(line["metric"], float(line["cv"]))
