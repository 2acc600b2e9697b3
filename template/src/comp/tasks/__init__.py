"""Which tasks and commands there are. Whatever lists one or the other reads these records.

A task is a file beside this one that holds a `Task` called TASK. A repository has the file of its own task, the
template has them all. Records name code as `module:name` and import it when it is used: `comp --help` answers at once.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import import_module
from typing import Any, Literal

from comp.errors import CompError

# What a command gets as a step of `comp run`: the experiment as it is; each of its members in turn; each of the models
# so far; a new run that combines them; the result, the one run that is submitted; or the names of two results.
StepFor = Literal["experiment", "members", "models", "combination", "result", "comparison"]


@dataclass(frozen=True)
class Command:
    """One command. Its function gets the configuration; an int that it returns is the exit status."""

    run: str  # module:function
    help: str
    flags: Mapping[str, str] = field(default_factory=dict)  # name → help; `--dry-run` gives the function dry_run=True
    options: Mapping[str, str] = field(default_factory=dict)  # name → "VALUE: help"; "VALUE …: help" takes several
    next: str = ""  # the command that the closing line suggests
    step: StepFor | None = "experiment"  # None: `steps:` cannot name it
    needs: str = ""  # a section of the configuration without which `comp run` passes the step over
    counts: bool = False  # how often it looks at a result: `comp run` passes over a second look at the same
    idle: str = ""  # module:function that says why `comp run` has nothing to do for it; "" where it has
    # module:function that gives the experiments which it trains, for the steps after it; called before the first step,
    # too: what is wrong with their settings is said before anything is trained
    makes: str = ""
    suffix: str = ""  # what their names end with
    beside: str = ""  # module:function that gives experiments which it makes for the table of results only
    around: str = ""  # module:function that is called in its place, with the function first
    launches: bool = False  # the function also gets its command line: it may start it in further processes
    config: str | None = "conf/baseline.yaml"  # read unless another is named; None: it gets the words as they are
    words: str = "key=value"  # what help calls them then

    def __call__(self, first: Any, words: list[str], **flags: Any) -> int:
        """Carries it out; `first` is the configuration, or the words of a command that reads none."""
        function = imported(self.run)
        if self.around:
            function = partial(imported(self.around), function)
        result = function(first, *([words] if self.launches else []), **flags)
        return result if isinstance(result, int) else 0


@dataclass(frozen=True)
class Task:
    """What a task consists of."""

    schema: str  # module:class of its configuration
    commands: Mapping[str, Command]
    registers: Mapping[str, tuple[str, ...]]  # metric, loss, head … → the modules that register some


EVERY_TASK = {
    "config": Command("comp.cli:print_config", "print the resolved configuration", step=None),
    "update": Command(
        "comp.updating.update:update",
        "bring the template's newest code, on a branch; key=value changes an answer",
        flags={
            "check": "only report whether there is a newer version, and what it would change (exit status 2)",
            "write": "answers that conf/baseline.yaml says are changed there, shown as a diff",
            "finish": "commit the update that stands here and merge it; not while a marker or a .mine file is left",
            "undo": "go back to where it began; what is not committed goes to git stash",
        },
        step=None,
        config=None,
    ),
    "run": Command(
        "comp.run:run",
        "run all steps of the configuration, start to submission; resumes where it stopped",
        step=None,
        launches=True,
    ),
}


def imported(where: str) -> Any:
    """What `module:name` names."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


@cache
def tasks_here() -> dict[str, Task]:
    """The tasks of this repository, by name."""
    modules = {each.name: import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)}
    return {name: module.TASK for name, module in modules.items() if hasattr(module, "TASK")}


def task_name(name: object) -> str:
    """`name` if it is a task of this repository; with None, the only one there is.

    Raises:
        CompError: there is no such task here.
    """
    here = tasks_here()
    if name is None and len(here) == 1:
        return next(iter(here))
    if name is None:
        raise CompError(f"task: is not set: one of {', '.join(here)}")
    if not isinstance(name, str) or name not in here:
        raise CompError(f"task: {name!r} is not a task of this repository: {', '.join(here)}")
    return name


def task_called(name: object) -> Task:
    """The task that `task_name` finds."""
    return tasks_here()[task_name(name)]


def commands_of(task: object) -> dict[str, Command]:
    """All commands of the task `task`, in the order in which they are used."""
    return {**task_called(task).commands, **EVERY_TASK}


def command_called(name: str, task: object) -> Command:
    """The command `name` of the task `task`.

    Raises:
        CompError: the task has no such command.
    """
    commands = commands_of(task)
    if name not in commands:
        raise CompError(f"the task {task} has no command {name}: there are {', '.join(commands)}")
    return commands[name]


def commands_here() -> dict[str, Command]:
    """The commands of all tasks of this repository; one that several have takes the options of all."""
    found: dict[str, Command] = {}
    for task in tasks_here():
        for name, command in commands_of(task).items():
            known = found[name].options if name in found else {}
            found[name] = replace(command, options={**known, **command.options})
    return found


def steps_of(task: object) -> list[str]:
    """What `steps:` may name."""
    return [name for name, command in commands_of(task).items() if command.step]


def registering(kind: str) -> list[str]:
    """The modules that register parts of this kind, of the tasks of this repository."""
    return list(dict.fromkeys(module for task in tasks_here().values() for module in task.registers.get(kind, ())))
