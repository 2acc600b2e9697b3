"""The table at the end of `comp run`: each model's score out of fold, and what combining them brought."""

from comp.config import Experiment
from comp.runs.flags import flags_of
from comp.runs.leaderboard import UNSCORED
from comp.runs.rundir import RunDir


def print_summary(config: Experiment, names: list[str]) -> None:
    """One line per run, in the order in which they were made; scores are cross-fitted and out of fold.

    A member may have a metric of its own, which chooses its epochs: it has no score by that of the experiment.
    """
    width = max(map(len, names))
    print(f"\n{'run':<{width}}  {config.metric:>12}  folds")
    for name in dict.fromkeys(names):
        metrics = RunDir.of_name(name).read_metrics()
        scores = metrics["scores"].get(config.metric)
        flags = flags_of(RunDir.of_name(name))
        main = UNSCORED if flags.unscored else f"{scores['oof']:.4f}" if scores else "–"
        values = scores["folds"].values() if scores and not flags.unscored else ()
        folds = " ".join(f"{value:.4f}" for value in values)
        print("  ".join([f"{name:<{width}}", f"{main:>12}", *(each for each in (folds, str(flags)) if each)]))
