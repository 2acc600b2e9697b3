"""Where a run comes from: its parent, the configuration keys that differ from the parent's, commit and date."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from comp.config import Experiment
from comp.errors import CompError
from comp.runs.predictions import folds_of
from comp.runs.rank import rank
from comp.runs.rundir import RunDir, flat, now

# What says nothing of how good a run is.
ABOUT = {"name", "parent", "recipe", "steps", "tracker", "member", "members", "metrics"}
ABOUT |= {"data.root", "data.work", "train.workers", "train.save_every", "train.log_every", "folds.use"}
SECTIONS = ("jobs", "submit", "blend", "stack", "soup")
MOST_KEYS = 12
PATIENCE_S = 10  # for git


def stamp() -> dict[str, str]:
    """`commit`: of HEAD, with "+" where tracked files have changed since, blank without git; `date`: UTC."""
    return {"commit": _commit(), "date": now()}


def _commit() -> str:
    try:
        head = _git("rev-parse", "--short", "HEAD").strip()
        return head + "+" * bool(head and _git("status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    return done.stdout


def parent_of(config: Experiment, metrics: Mapping[str, Any], lines: Sequence[Mapping[str, str]]) -> str:
    """The name of the run that a run is measured against, or "": the first of these that there is.

    Of a combination its best member; what the key `parent` says; what its older line says; the newest earlier run of
    the same metric and folds. `lines` are those of the leaderboard.
    """
    if metrics.get("combines"):
        return _best(config.metric, [each for each in metrics["combines"]["members"] if each != config.name])
    before = {line["name"]: line for line in lines}.get(config.name, {})
    named = config.parent or before.get("parent", "")
    if named:
        return named if named != config.name else ""
    folds, since = _folds(config.name), before.get("date", "9")
    others = [line for line in lines if line["name"] != config.name and line["metric"] == config.metric]
    earlier = sorted((line for line in others if line.get("date", "") < since), key=lambda line: line.get("date", ""))
    return next((line["name"] for line in reversed(earlier) if folds and _folds(line["name"]) == folds), "")


def changed_keys(name: str, parent: str) -> str:
    """The keys that the runs' configurations differ in, such as "model.backbone, train.lr"; "" where one is gone."""
    try:
        return keys_between(*(RunDir.of_name(each).trained_config() for each in (name, parent)))
    except CompError:
        return ""


def keys_between(one: Experiment, other: Experiment) -> str:
    """The keys that two configurations differ in, as above."""
    now, before = (flat(each.model_dump(mode="json")) for each in (one, other))
    keys = [key for key in now | before if key not in ABOUT and key.partition(".")[0] not in SECTIONS]
    found = [key for key in keys if now.get(key) != before.get(key)]
    more = f", and {len(found) - MOST_KEYS} more" if len(found) > MOST_KEYS else ""
    return ", ".join(found[:MOST_KEYS]) + more


def _best(metric: str, members: Sequence[str]) -> str:
    scores = {}
    for name in members:
        run = RunDir.of_name(name)
        if not run.is_own:
            continue
        try:
            metrics = run.read_metrics()
        except CompError:  # of another tool, or gone
            continue
        if metric in metrics["scores"] and not metrics.get("unscored"):
            scores[name] = metrics["scores"][metric]["oof"]
    return min(scores, key=lambda name: rank(metric, scores[name]), default="")


def _folds(name: str) -> str:
    return folds_of(RunDir.of_name(name).oof)
