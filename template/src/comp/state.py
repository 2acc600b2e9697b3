"""What a training that was cut short goes on from. Tensors and numbers only: reading it runs no code."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from timm.utils import ModelEmaV3
from torch import nn

from comp.files import written_whole


@dataclass
class Progress:
    """Where a training stands, apart from the tensors."""

    epoch: int = 0  # epochs done
    update: int = 0  # optimizer updates done
    history: list[dict[str, Any]] = field(default_factory=list)  # a row an epoch
    best: float | None = None  # of the metric so far, greater is better; for train.keep=best
    stop_best: float | None = None  # of what early stopping watches, greater is better
    epochs_without_gain: int = 0


@dataclass
class State:
    """All that changes while a model trains. Random numbers are none of it: they depend on the update alone."""

    model: nn.Module
    ema: ModelEmaV3 | None
    optimizer: AcceleratedOptimizer
    progress: Progress

    def save(self, path: Path, accelerator: Accelerator) -> None:
        values = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        values["progress"] = asdict(self.progress)
        if self.ema is not None:
            values["ema"] = self.ema.module.state_dict()
        if accelerator.scaler is not None:
            values["scaler"] = accelerator.scaler.state_dict()
        write_tensors(path, values)

    def load(self, path: Path, accelerator: Accelerator) -> None:
        values = read_tensors(path)
        self.model.load_state_dict(values["model"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.progress = Progress(**values["progress"])
        if self.ema is not None:
            self.ema.module.load_state_dict(values["ema"])
        if accelerator.scaler is not None and "scaler" in values:
            accelerator.scaler.load_state_dict(values["scaler"])


def write_tensors(path: Path, values: dict[str, Any]) -> None:
    with written_whole(path) as beside, beside.open("wb") as file:
        torch.save(values, file)  # given a path, it would not say that the disk is full


def read_tensors(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)
