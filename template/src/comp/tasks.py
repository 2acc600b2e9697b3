"""The tasks: each one's configuration and what carries out its commands. A repository holds the modules of one task."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from comp.errors import CompError

IMAGES = {
    "schema": "comp.config.schema:Config",
    "demo-data": "comp.demo:write_demo",
    "split": "comp.split_images:split",
    "cache": "comp.competition:cache",
    "pretrain": "comp.pretrain:pretrain",
    "train": "comp.train:train",
    "predict": "comp.repredict:repredict",
    "blend": "comp.ensemble.combine:blend",
    "stack": "comp.ensemble.combine:stack",
    "pseudo": "comp.pseudo:pseudo",
    "students": "comp.pseudo:students",
    "soup": "comp.ensemble.soup:soup",
    "submit": "comp.submit:submit",
    "score": "comp.score_submission:score_submission",
    "report": "comp.report:report",
}
ALIGN = {
    "schema": "comp.align.schema:AlignConfig",
    "demo-data": "comp.align.demo:write_demo",
    "split": "comp.align.data:split",
    "train": "comp.align.train:train",
    "predict": "comp.align.train:repredict",
    "verify": "comp.align.verification:verify_run",
    "blend": "comp.align.blend:blend",
    "submit": "comp.align.submit:submit",
    "score": "comp.align.score:score_submission",
    "report": "comp.align.report:report",
}
TASKS = {"classify": IMAGES, "align": ALIGN}
METRICS = {"classify": "comp.metrics", "align": "comp.align.metrics"}  # what registers their metrics


def tasks_here() -> list[str]:
    """The tasks whose modules this repository holds."""
    return [task for task, parts in TASKS.items() if _is_here(parts["schema"])]


def part_of(task: object, part: str) -> Any:
    """The schema of `task`, or the function that carries out one of its commands.

    Raises:
        CompError: there is no such task here, or it has no such command.
    """
    here = tasks_here()
    if task not in here:
        raise CompError(f"task: {task!r} is none of the tasks of this repository: {', '.join(here)}")
    where = TASKS[str(task)].get(part)
    if where is None:
        raise CompError(f"the task {task} has no {part}: there are {', '.join(list(TASKS[str(task)])[1:])}")
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


def _is_here(where: str) -> bool:
    module = where.partition(":")[0]
    package = module.rpartition(".")[0]
    return find_spec(package) is not None and find_spec(module) is not None
