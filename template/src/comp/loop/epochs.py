"""What every training does around its epochs: resume, go on or stop, keep the best weights, record the scores, log."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from comp.config import Experiment
from comp.loop.state import State
from comp.loop.tensors import AGAIN, read_tensors, write_tensors
from comp.readback import reading
from comp.registry import greater_is_better


@dataclass(frozen=True)
class Epochs:
    """The epochs of one training; everything that changes is in `state`."""

    state: State
    config: Experiment
    label: str  # in log lines and progress bars
    folder: Path
    accelerator: Accelerator
    unit: str  # what is counted: images, captions
    measured_on: str = ""  # said after the scores

    def resume(self) -> None:
        """Takes over the state that was saved last, if there is one."""
        if self.state.load(self.folder / "last", self.accelerator) and self.accelerator.is_main_process:
            progress = self.state.progress
            batches = f" and {progress.batch} batches" if progress.batch else ""
            print(f"resume  {self.folder} after epoch {progress.epoch}{batches}")

    def left(self) -> bool:
        """Whether another epoch is to be trained: neither `train.epochs` nor early stopping ends it."""
        progress, settings = self.state.progress, self.config.train
        stopped = settings.early_stop is not None and progress.epochs_without_gain >= settings.early_stop.patience
        return progress.epoch < settings.epochs and not stopped

    def progress_bar(self, batches: Iterable[Any], total: int) -> Any:
        """`batches`, those of this epoch that are left, with a bar of all `total` of them."""
        progress = self.state.progress
        title = f"{self.label} epoch {progress.epoch + 1}/{self.config.train.epochs}"
        quiet = None if self.accelerator.is_local_main_process else True  # None: quiet where no terminal shows it
        return tqdm(batches, title, total, initial=progress.batch, leave=False, disable=quiet)

    def record(self, scores: dict[str, Any], eval_model: nn.Module) -> None:
        """Adds an epoch's row to the history, keeps the best weights so far, and counts the epochs without a gain."""
        progress, settings = self.state.progress, self.config.train
        progress.history.append(scores)
        name = self.config.metric
        metric = scores[name] if greater_is_better(name) else -scores[name]
        if settings.keep == "best" and is_better(metric, progress.best):
            progress.best = metric
            if self.accelerator.is_main_process:
                write_tensors(self.folder / "last" / "best.pt", eval_model.state_dict())
        if settings.early_stop is not None:
            watched = -scores["val_loss"] if settings.early_stop.watch == "loss" else metric
            gained = is_better(watched, progress.stop_best)
            progress.stop_best = watched if gained else progress.stop_best
            progress.epochs_without_gain = 0 if gained else progress.epochs_without_gain + 1

    def log(self, scores: dict[str, Any], shown: Iterable[str], fold: int | None) -> None:
        """Prints the line of an epoch, and sends all its `scores` to the tracker, if `fold` is one of the run's own."""
        if self.accelerator.is_main_process:
            figures = "  ".join(f"{name} {scores[name]:.4f}" for name in dict.fromkeys(shown))
            speed = f"{scores[f'{self.unit}_per_s']:.0f} {self.unit}/s"
            tqdm.write(f"{self.label}  epoch {scores['epoch']:>3}  {figures}{self.measured_on}  {speed}")
        if self.config.tracker != "none" and fold is not None:
            step = fold * self.config.train.epochs + scores["epoch"]  # trackers drop what goes back in steps
            named = {
                f"{self.label.replace(' ', '')}/{name}": value for name, value in scores.items() if name != "epoch"
            }
            self.accelerator.log(named, step)

    def checkpoint(self) -> Path | None:
        """Where the weights of the epoch that was recorded last are also kept (`train.checkpoint_epochs`), if they are.

        On the first process only.
        """
        every, epoch = self.config.train.checkpoint_epochs, len(self.state.progress.history)
        wanted = every and epoch % every == 0 and self.accelerator.is_main_process
        return self.folder / f"epoch{epoch}.safetensors" if wanted else None

    def end(self) -> None:
        """The epoch is over: the next one starts at its first batch."""
        progress = self.state.progress
        progress.epoch, progress.batch, progress.seconds = progress.epoch + 1, 0, 0.0
        self.state.loss.zero_()

    def load_best(self, model: nn.Module) -> None:
        """Gives `model` the best weights that were kept."""
        path, way_out = self.folder / "last" / "best.pt", AGAIN.format(folder=self.folder / "last")
        tensors = read_tensors(path, way_out)
        with reading(path, way_out):
            model.load_state_dict(tensors)


def is_better(new: float, best: float | None) -> bool:
    """Whether `new` is the best so far, greater being better; anything beats NaN, and NaN beats nothing."""
    return best is None or math.isnan(best) or new > best
