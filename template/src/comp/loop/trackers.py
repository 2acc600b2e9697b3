"""Experiment trackers, as `tracker:` names one."""

from pathlib import Path

from accelerate import Accelerator

from comp.config import Experiment


def start_tracker(config: Experiment, accelerator: Accelerator, name: str) -> None:
    """Starts the tracker of the configuration, if there is one; `name` is what it calls the run."""
    if config.tracker == "none":
        return
    about = config.model_dump(mode="json")
    if config.tracker == "tensorboard":  # takes flat values only
        about = {"name": config.name, "model": config.about_model}
    accelerator.init_trackers(Path.cwd().name, about, {tracker: {"name": name} for tracker in ("wandb", "trackio")})
