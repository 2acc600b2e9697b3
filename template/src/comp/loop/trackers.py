"""Experiment trackers, as `tracker:` names one."""

from importlib.util import find_spec
from pathlib import Path

from accelerate import Accelerator

from comp.config import Experiment
from comp.errors import CompError


def check_tracker(config: Experiment) -> None:
    """Raises CompError where the tracker is not installed: Accelerate would train on without it."""
    if config.tracker == "none":
        return
    found = find_spec(config.tracker)
    if found is None or found.origin is None:  # a folder of logs may be called like it
        raise CompError(f"tracker={config.tracker} is not installed: pip install {config.tracker}, or set tracker=none")


def start_tracker(config: Experiment, accelerator: Accelerator, name: str) -> None:
    """Starts the tracker of the configuration, if there is one; `name` is what it calls the run."""
    if config.tracker == "none":
        return
    check_tracker(config)  # a job's machine may be another one
    about = config.model_dump(mode="json")
    if config.tracker == "tensorboard":  # takes flat values only
        about = {"name": config.name, "model": config.about_model}
    accelerator.init_trackers(Path.cwd().name, about, {tracker: {"name": name} for tracker in ("wandb", "trackio")})
