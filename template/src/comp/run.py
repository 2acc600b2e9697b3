"""`comp run`: the steps that the configuration names, one after the other. Each skips what it has done already."""

from dataclasses import dataclass, field

from comp.config import Experiment
from comp.config.load import changed, members_of
from comp.distributed.processes import is_launched
from comp.errors import CompError
from comp.runs.summary import print_summary
from comp.tasks import Command, command_called, imported


@dataclass
class Results:
    """What the steps have made so far: the models to combine, and the run to submit."""

    models: list[str]
    last: str
    names: list[str]  # of all runs, in order
    before: str = ""  # the run that was last before the newest models were made
    after: str = ""  # "-pseudo" once the models are students
    idle: bool = False  # a step had nothing to do
    taken: set[str] = field(default_factory=set)  # steps that looked at the result since anything was made


def run(config: Experiment, words: list[str]) -> int:
    """Runs `config.steps`; a step that fails ends it. `words`: run, the configuration file, the overrides.

    Raises:
        CompError: a launcher started it, or one of the steps cannot be, or what it makes.
    """
    if is_launched():
        raise CompError("start comp run by itself: it launches its own processes. Under a launcher, use comp train")
    config.refuse_steps()
    for makes in filter(None, (command_called(step, config.task).makes for step in config.steps)):
        imported(makes)(config)  # settings that cannot be are refused before hours of training
    models = [member.name for member in members_of(config)] or [config.name]
    results = Results(models, models[-1], list(models))
    combines = any(command_called(step, config.task).step == "combination" for step in config.steps)
    if len(models) > 1 and "submit" in config.steps and not combines:
        print(f"note    of {len(models)} models the last one is submitted: blend or stack in steps combines them")
    for step in config.steps:
        print(f"\n== {step}", flush=True)
        status = _take(step, command_called(step, config.task), config, words[1:], results)
        if status:
            return status
    if len(results.names) > 1:
        print_summary(config, results.names)
    return 0


def _take(step: str, command: Command, config: Experiment, arguments: list[str], results: Results) -> int:
    """One step; the exit status."""
    if command.needs and getattr(config, command.needs) is None:
        print(f"{command.needs}: is not set: nothing to do")
        return 0
    if command.idle and (why := imported(command.idle)(config)):
        print(f"nothing to do: {why}")
        results.idle = True
        return 0
    if command.counts and step in results.taken:
        print(f"nothing to do: nothing was made since {step} above")
        return 0
    results.taken = {*results.taken, step} if command.step == "result" else set()
    if command.step == "members":
        statuses = (command(each, [step, *arguments]) for each in members_of(config) or [config])
        return next((status for status in statuses if status), 0)
    if command.step == "combination":
        results.last = f"{config.name}{results.after}-{step}"
        results.names.append(results.last)
        others = [each for each in getattr(config, step).members if each not in results.names]
        return command(_of(config, results.last, **{step: {"members": [*results.models, *others]}}), [step])
    if command.step == "comparison":
        if not results.before and results.idle:
            print("nothing to do: nothing was trained once more")
            return 0
        if not results.before:
            raise CompError(f"steps: {step} has nothing to compare: it comes after a step that trains once more")
        return command([results.before, results.last], [])
    given = [config] if command.step == "experiment" else [_of(config, results.last)]
    if command.step == "models":
        given = [_of(config, name) for name in results.models]
    statuses = (command(each, [step, *arguments]) for each in given)
    status = next((status for status in statuses if status), 0)
    if command.beside and not status:
        results.names = [*(made.name for made in imported(command.beside)(config)), *results.names]
    if command.makes and not status:
        results.before, results.after = results.last, results.after * (command.step == "models") + command.suffix
        results.models = [made.name for each in given for made in imported(command.makes)(each)]
        results.last = results.models[-1]
        results.names += results.models
    return status


def _of(config: Experiment, name: str, **sections: object) -> Experiment:
    """The configuration of one of the runs that `config` makes."""
    return config if name == config.name else changed(config, name=name, members=[], **sections)
