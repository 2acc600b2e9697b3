"""`comp run`: the steps that the configuration names, one after the other. Each skips what it has done already."""

from collections.abc import Callable
from dataclasses import dataclass

from comp.competition import cache
from comp.config import Config
from comp.config.load import changed, members_of
from comp.ensemble.combine import blend, stack
from comp.errors import CompError
from comp.launch import is_launched
from comp.pretrain import pretrain
from comp.pseudo import pseudo, students
from comp.report import report
from comp.repredict import repredict
from comp.score_submission import score_submission
from comp.split import split
from comp.submit import submit
from comp.summary import print_summary
from comp.train import train


@dataclass
class Results:
    """What the steps so far have made: the runs to combine, and the one to submit."""

    models: list[str]
    last: str
    told: list[str]  # all of them, in order
    after: str = ""  # "-pseudo" once there are students


def run(config: Config, arguments: list[str]) -> int:
    """Runs `config.steps`; a failing step ends it. `arguments` are the configuration file and the overrides."""
    if is_launched():
        raise CompError("start comp run by itself: it launches its own processes. Under a launcher, use comp train")
    models = [member.name for member in members_of(config)] or [config.name]
    results = Results(models, models[-1], list(models))
    for step in config.steps:
        print(f"\n== {step}", flush=True)
        status = _do(step, config, arguments, results)
        if status:
            return status
    if len(results.told) > 1:
        print_summary(config, results.told)
    return 0


def _do(step: str, config: Config, arguments: list[str], results: Results) -> int:
    if step == "pretrain" and config.pretrain is None:
        print("pretrain: is not set: every fold starts from the backbone's own weights")
        return 0
    trains: dict[str, Callable[[], int]] = {
        "pretrain": lambda: pretrain(config, ["pretrain", *arguments]),
        "train": lambda: train(config, ["train", *arguments]),
        "predict": lambda: repredict(config, ["predict", *arguments]),
        "pseudo": lambda: pseudo(config),
    }
    if step in trains:
        status = trains[step]()
        if step == "pseudo" and not status:
            results.after = "-pseudo"
            results.models = [student.name for student in students(config)]
            results.last = results.models[-1]
            results.told += results.models
        return status
    if step in ("blend", "stack"):
        results.last = f"{config.name}{results.after}-{step}"
        results.told.append(results.last)
        combine = {"blend": blend, "stack": stack}[step]
        combine(_of(config, results.last, **{step: {"members": results.models}}))
        return 0
    final = _of(config, results.last)
    others: dict[str, Callable[[], object]] = {
        "split": lambda: split(config),
        "cache": lambda: _cache(config),
        "submit": lambda: submit(final),
        "score": lambda: score_submission(final),
        "report": lambda: report(final),
    }
    others[step]()
    return 0


def _cache(config: Config) -> None:
    for each in members_of(config) or [config]:
        cache(each)


def _of(config: Config, name: str, **sections: object) -> Config:
    """The configuration of one of the runs that `config` makes."""
    return config if name == config.name else changed(config, name=name, members=[], **sections)
