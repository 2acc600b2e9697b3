"""What keeps a run's score from being trusted, and how that travels to whatever starts, learns or is made from the run.

A score flatters where the scored rows had a part in a choice; a run is unscored where they had a part in the training.
Each is a reason, in `metrics.json` and in the leaderboard, or "".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from comp.config import Experiment
from comp.runs.rundir import RunDir


@dataclass(frozen=True)
class Flags:
    """Reasons; "" where there is none."""

    flatters: str = ""
    unscored: str = ""

    def or_else(self, others: "Flags") -> "Flags":
        """These reasons, and where there is none, those of `others`."""
        return Flags(self.flatters or others.flatters, self.unscored or others.unscored)

    def __str__(self) -> str:
        return f"unscored: {self.unscored}" if self.unscored else f"flatters: {self.flatters}" if self.flatters else ""


def flags_of_training(config: Experiment) -> Flags:
    """Of a run that is trained as `config` says: its own, and those of the runs that it learns from."""
    why = config.train.chooses_on_validated_rows
    own = Flags(flatters=f"{why} chose by the rows that are scored" if why else _chosen_among(config))
    return own.or_else(flags_of_teachers(config.learns_from))


def _chosen_among(config: Experiment) -> str:
    """Why a score flatters on folds that `comp tune` chose by; "" of other folds."""
    if config.tuned is None:
        return ""
    by, used = config.tuned.folds, config.folds.use
    scored = None if used == "all" else {*RunDir.of(config).done_folds(), *used}  # None: whatever folds there are
    met = scored if by == "all" else set(by) if scored is None else scored & set(by)
    if met is not None and not met:
        return ""
    folds = "all folds" if met is None else f"fold{'s' * (len(met) > 1)} {', '.join(map(str, sorted(met)))}"
    return f"it is of {config.tuned.trials} trials of comp tune, which chose by rows that are scored ({folds})"


def flags_of_teachers(names: Iterable[str]) -> Flags:
    """What a run has from those that it learns or starts from."""
    found = Flags()
    for run in map(RunDir.of_name, dict.fromkeys(names)):
        flags = flags_of(run)
        met = _metrics(run).get("combines", {}).get("met_scored_fold")
        fitted = f"it learned from {run.path.name}, which was fitted to the rows that are scored" if met else ""
        flatters = f"it learned from a run that flatters: {flags.flatters}" if flags.flatters else fitted
        unscored = f"it learned from an unscored run: {flags.unscored}" if flags.unscored else ""
        found = found.or_else(Flags(flatters, unscored))
    return found


def flags_of_members(flags: Iterable[Flags]) -> Flags:
    """What a combination has from its members."""
    found = Flags()
    for each in flags:
        flatters = f"a member flatters: {each.flatters}" if each.flatters else ""
        unscored = f"a member is unscored: {each.unscored}" if each.unscored else ""
        found = found.or_else(Flags(flatters, unscored))
    return found


def flags_of(run: RunDir) -> Flags:
    """As `metrics.json` has them; before it is written, as the configuration says. None of a run that is not here."""
    metrics = _metrics(run)
    if metrics:
        return flags_of_metrics(metrics)
    return flags_of_training(run.trained_config()) if run.config.is_file() else Flags()


def flags_of_metrics(metrics: Mapping[str, Any]) -> Flags:
    return Flags(metrics.get("flatters") or "", metrics.get("unscored") or "")


def _metrics(run: RunDir) -> dict[str, Any]:
    return run.read_metrics() if run.metrics.is_file() else {}
