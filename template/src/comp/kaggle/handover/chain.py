"""All runs that a run is made of, in the order in which they are made, each with the command that makes it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comp.runs.rundir import RunDir
from comp.tasks import commands_of

FITTED_HERE = " × "  # in the names of members that are no runs: a weight and what a blend fits itself
GENERATED = ("synth guard", "synth combine")  # before a training that generated images join


@dataclass(frozen=True)
class Made:
    """A run, and how it was made."""

    run: RunDir
    config: Any  # that it was made with
    metrics: Mapping[str, Any]
    of: list[str]  # names of the runs that have to be there before
    command: str = ""  # that makes it; "" where nothing here tells
    of_config: str = ""  # the run whose configuration the command reads
    words: list[str] = field(default_factory=list)  # that follow it

    @property
    def name(self) -> str:
        return self.run.path.name

    @property
    def combines(self) -> Mapping[str, Any]:
        return self.metrics.get("combines") or {}

    @property
    def is_augmented(self) -> bool:
        return _is_augmented(self.config)

    def typed(self, folder: str) -> list[str]:
        """The lines to be typed, where configurations lie in `folder`."""
        lines: list[tuple[str, str, list[str]]] = []
        if self.is_augmented:
            lines += [(before, self.config.parent or self.name, []) for before in GENERATED]
        if self.command:
            lines.append((self.command, self.of_config, self.words))
        return [f"comp {command} {shlex.join([f'{folder}/{of}.yaml', *words])}" for command, of, words in lines]


@dataclass(frozen=True)
class Handover:
    """All that is handed over."""

    runs: Sequence[Made]  # in the order in which they are made; the last is the one that is handed over
    gone: Sequence[str]  # names of runs that it is made of and that are not here
    folder: str  # where its pages lie, and the configurations in `configs`
    golden: bool  # whether a golden test set was taken

    @property
    def last(self) -> Made:
        return self.runs[-1]

    @property
    def configs(self) -> str:
        return f"{self.folder}/configs"


def chain(name: str) -> tuple[list[Made], list[str]]:
    """The run `name` last, and before it all that it is made of; and the names of those that are not here any more.

    Raises:
        CompError: there is no such run, or one of them is damaged.
    """
    found: dict[str, Made] = {}
    gone: list[str] = []
    seen: set[str] = set()

    def visit(each: str) -> None:
        if each in seen:
            return
        seen.add(each)
        run = RunDir.of_name(each)
        if each != name and not (run.is_own and run.config.is_file()):
            gone.append(each)
            return
        made = _made(run)
        for other in made.of:
            visit(other)
        found[each] = made

    visit(name)
    return list(found.values()), gone


def _made(run: RunDir) -> Made:
    config, name = run.trained_config(), run.path.name
    metrics = run.read_metrics()
    if not metrics.get("combines"):
        return _trained(run, config, metrics)
    members = [each for each in metrics["combines"]["members"] if FITTED_HERE not in each]
    command = _combining(config, metrics["combines"]["kind"])
    if command and commands_of(config.task)[command].step == "models":  # it makes a run of each model
        return Made(run, config, metrics, members[-1:], command, members[-1])
    all_there_are = command and not getattr(config, command).members  # there may be others by then
    words = [f"{command}.members=[{','.join(members)}]"] if all_there_are else []
    return Made(run, config, metrics, members, command, name, words)


def _trained(run: RunDir, config: Any, metrics: Mapping[str, Any]) -> Made:
    name = run.path.name
    for command, about in commands_of(config.task).items():
        if about.beside and name.endswith(f"-{command}"):  # without any training
            return Made(run, config, metrics, [], command, name, [f"name={name.removesuffix(f'-{command}')}"])
    before = [config.parent] if _is_augmented(config) and config.parent else []
    words = [] if config.folds.use == "all" else [f"folds=[{','.join(map(str, run.done_folds()))}]"]
    return Made(run, config, metrics, list(dict.fromkeys([*before, *config.learns_from])), "train", name, words)


def _is_augmented(config: Any) -> bool:
    return getattr(config, "synthetic", None) is not None


def _combining(config: Any, kind: str) -> str:
    """The command that combines runs in this way, as `metrics.json` calls it: a command, or the kind of one."""
    commands, word = commands_of(config.task), kind.partition(",")[0]
    if word in commands:
        return word
    named = [name for name, about in commands.items() if about.step == "combination"]
    return next((name for name in named if getattr(getattr(config, name), "kind", "") == kind), "")
