"""`comp run`: the steps that the configuration names, one after the other. Each skips what it has done already."""

from dataclasses import dataclass

from comp.config import Experiment
from comp.config.load import changed, members_of
from comp.errors import CompError
from comp.launch import is_launched
from comp.summary import print_summary
from comp.tasks import part_of


@dataclass
class Results:
    """What the steps so far have made: the runs to combine, and the one to submit."""

    models: list[str]
    last: str
    told: list[str]  # all of them, in order
    after: str = ""  # "-pseudo" once there are students


def run(config: Experiment, arguments: list[str]) -> int:
    """Runs `config.steps`; a failing step ends it. `arguments` are the configuration file and the overrides."""
    if is_launched():
        raise CompError("start comp run by itself: it launches its own processes. Under a launcher, use comp train")
    models = [member.name for member in members_of(config)] or [config.name]
    results = Results(models, models[-1], list(models))
    if len(models) > 1 and "submit" in config.steps and not {"blend", "stack"} & set(config.steps):
        print(f"note    of {len(models)} models the last one is submitted: blend or stack in steps combines them")
    for step in config.steps:
        print(f"\n== {step}", flush=True)
        status = _do(step, config, arguments, results)
        if status:
            return status
    if len(results.told) > 1:
        print_summary(config, results.told)
    return 0


def _do(step: str, config: Experiment, arguments: list[str], results: Results) -> int:
    work = part_of(config.task, step)
    if step == "pretrain" and config.pretrain is None:  # type: ignore[attr-defined]
        print("pretrain: is not set: every fold starts from the backbone's own weights")
    elif step in ("pretrain", "train", "predict"):
        return int(work(config, [step, *arguments]))
    elif step == "pseudo":
        status = int(work(config))
        if status:
            return status
        results.after = "-pseudo"
        results.models = [student.name for student in part_of(config.task, "students")(config)]
        results.last = results.models[-1]
        results.told += results.models
    elif step in ("blend", "stack"):
        results.last = f"{config.name}{results.after}-{step}"
        results.told.append(results.last)
        others = [each for each in getattr(config, step).members if each not in results.told]
        work(_of(config, results.last, **{step: {"members": [*results.models, *others]}}))
    elif step == "cache":
        for each in members_of(config) or [config]:
            work(each)
    else:
        work(config if step == "split" else _of(config, results.last))
    return 0


def _of(config: Experiment, name: str, **sections: object) -> Experiment:
    """The configuration of one of the runs that `config` makes."""
    return config if name == config.name else changed(config, name=name, members=[], **sections)
