"""What a training that was interrupted goes on from. Tensors and numbers only: reading it runs no code."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import gather_object
from torch import Tensor, nn

from comp.distributed.fsdp import held, load_optimizer_parts, load_parts, to_save
from comp.errors import CompError, first_line
from comp.files import written_whole
from comp.loop.tensors import AGAIN, read_tensors, save_tensors
from comp.readback import reading


@dataclass
class Progress:
    """Where a training stands, apart from the tensors."""

    epoch: int = 0  # epochs done
    batch: int = 0  # batches of the epoch after them that are done
    update: int = 0  # optimizer updates done
    seconds: float = 0.0  # that the batches of this epoch took
    micro_batches: int | None = None  # that each process cuts its share of a batch into; None: not chosen yet
    augment_on: Literal["cpu", "device"] | None = None  # cpu or device; None: not chosen yet
    history: list[dict[str, Any]] = field(default_factory=list)  # a row per epoch
    best: float | None = None  # of the metric so far, greater is better; for train.keep=best
    stop_best: float | None = None  # of what early stopping watches, greater is better
    epochs_without_gain: int = 0


class Average(Protocol):
    """An average of a model's weights: itself a model of the same kind."""

    module: nn.Module


@dataclass
class State:
    """All that changes while a model trains. Random numbers are none of it: they depend on the update alone."""

    model: nn.Module
    ema: Average | None
    optimizer: AcceleratedOptimizer
    loss: Tensor  # sum over the batches of this epoch, on this process
    progress: Progress

    def is_finite(self) -> bool:
        """Whether the weights are numbers; a loss tells of a step that went wrong only one step later."""
        return all(bool(held(weight).isfinite().all()) for weight in [self.loss, *self.model.parameters()])

    def cut_into(self, micro_batches: int) -> None:
        """Counts in such micro-batches from now on; what was counted in others (whole updates) is converted."""
        progress = self.progress
        if progress.micro_batches is not None:
            progress.batch = progress.batch // progress.micro_batches * micro_batches
            self.loss *= micro_batches / progress.micro_batches
        progress.micro_batches = micro_batches

    def save(self, folder: Path, accelerator: Accelerator) -> None:
        """Writes `state.pt`; the one before it stays as `before.pt`. All processes take part, the first one writes."""
        values = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.ema is not None:
            values["ema"] = self.ema.module.state_dict()
        values = to_save(values, accelerator)
        values["own"] = gather_object([self._own()])
        if not accelerator.is_main_process:
            return
        values["progress"] = asdict(self.progress)
        if accelerator.scaler is not None:
            values["scaler"] = accelerator.scaler.state_dict()
        last = folder / "state.pt"
        with written_whole(last) as temporary:
            save_tensors(temporary, values)
            if last.exists():
                last.replace(folder / "before.pt")

    def load(self, folder: Path, accelerator: Accelerator) -> bool:
        """Takes over what was saved last, if anything was, and says whether."""
        path, values = _newest(folder, accelerator)
        if values is None:
            return False
        try:
            load_parts(self.model, values["model"])
            load_optimizer_parts(self.optimizer, values["optimizer"])
        except (ValueError, RuntimeError) as error:  # an older template stepped other weights
            raise CompError(f"{path} does not fit: {first_line(error)}. Run comp train --fresh") from None
        self.progress = Progress(**values["progress"])
        if self.ema is not None:
            load_parts(self.ema.module, values["ema"])
        if accelerator.scaler is not None and "scaler" in values:
            accelerator.scaler.load_state_dict(values["scaler"])
        own = values["own"]
        self._take_own(own[accelerator.process_index] if len(own) == accelerator.num_processes else _mean(own))
        return True

    def _own(self) -> dict[str, Tensor]:
        """What differs from process to process until the end of the epoch: the loss and the batch statistics."""
        return {name: tensor.cpu().clone() for name, tensor in self._own_tensors().items()}

    def _take_own(self, saved: dict[str, Tensor]) -> None:
        for name, tensor in self._own_tensors().items():
            tensor.copy_(saved[name])

    def _own_tensors(self) -> dict[str, Tensor]:
        tensors = {"loss": self.loss, **{f"model.{name}": buffer for name, buffer in self.model.named_buffers()}}
        if self.ema is not None:
            tensors |= {f"ema.{name}": buffer for name, buffer in self.ema.module.named_buffers()}
        return tensors


def _newest(folder: Path, accelerator: Accelerator) -> tuple[Path, dict[str, Any] | None]:
    """The last state that can be read, and where it is from; None where none was saved. All processes read the same.

    Raises:
        CompError: states were saved, and none of them can be read.
    """
    last, before = folder / "state.pt", folder / "before.pt"
    way_out = AGAIN.format(folder=folder)
    if not last.exists():
        return before, _read_state(before, way_out) if before.exists() else None
    if not before.exists():
        return last, _read_state(last, way_out)
    try:
        return last, _read_state(last, f"{before} is taken, the state before it")
    except CompError as error:
        if accelerator.is_main_process:
            print(f"resume  {error}", flush=True)
        return before, _read_state(before, way_out)


def _read_state(path: Path, way_out: str) -> dict[str, Any]:
    values = read_tensors(path, way_out)
    with reading(path, way_out):
        missing = [key for key in ("model", "optimizer", "progress", "own") if key not in values]
        if missing:
            raise ValueError(f"it has no {missing[0]}")
        Progress(**values["progress"])
    return values


def _mean(own: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """For another number of processes than before: the best that is known."""
    return {name: torch.stack([each[name].float() for each in own]).mean(dim=0) for name in own[0]}
