"""When the state of a training is saved: every so often, and when a signal asks the training to stop."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator

from comp.config.common import Training
from comp.distributed.signals import Stopped, StopRequest
from comp.errors import CompError
from comp.files import write_text
from comp.loop.state import State

LOOK_MS = 2000  # between two times that several processes agree on saving and stopping: that costs each of them time


class Diverged(CompError):
    """Loss or weights are no numbers any more."""


class Saving:
    """Called after every update and every epoch; all processes save and stop at the same update."""

    def __init__(
        self, state: State, label: str, folder: Path, settings: Training, accelerator: Accelerator, request: StopRequest
    ) -> None:
        amount, unit = settings.save_every.split()
        self._amount, self._unit = int(amount), unit.rstrip("s")
        self._state, self._label, self._folder = state, label, folder
        self._accelerator, self._request = accelerator, request
        self._saved = time.monotonic()
        self._look_at, self._looked = state.progress.update + 1, (state.progress.update, self._saved)

    def after_update(self) -> None:
        """Saves if it is time to.

        Raises:
            Stopped: a signal asked for it; the state is saved.
            CompError: the weights are not finite; nothing is saved.
        """
        update = self._state.progress.update
        if self._unit == "update" and update % self._amount == 0:
            self._save()
        if self._accelerator.num_processes == 1 or update >= self._look_at:
            self._save_if_asked()

    def after_epoch(self) -> None:
        """The same between two epochs. The history is written anyway."""
        if self._accelerator.is_main_process:
            text = pd.DataFrame(self._state.progress.history).to_csv(index=False, lineterminator="\n")
            write_text(self._folder / "history.csv", text)
        if self._unit != "epoch" or self._state.progress.epoch % self._amount == 0:
            self._save()
        self._save_if_asked()
        self._look_at = self._state.progress.update + 1  # the next epoch's updates may take longer

    def _save_if_asked(self) -> None:
        late = self._unit == "minute" and time.monotonic() - self._saved >= 60 * self._amount
        due, signal, update_ms = self._agreed(int(late), self._request.number or 0, self._update_ms())
        self._look_at = self._state.progress.update + max(1, LOOK_MS // max(1, update_ms))
        if due or signal:
            self._save()
        if signal:
            raise Stopped(signal)

    def _update_ms(self) -> int:
        """Milliseconds that an update took since the last look."""
        before, then = self._looked
        self._looked = now = (self._state.progress.update, time.monotonic())
        return int(1000 * (now[1] - then) / max(1, now[0] - before))

    def _agreed(self, *wishes: int) -> list[int]:
        """The largest of all processes' wishes."""
        if self._accelerator.num_processes == 1:
            return list(wishes)
        own = torch.tensor([wishes], device=self._accelerator.device)
        return self._accelerator.gather(own).amax(dim=0).tolist()

    def _save(self) -> None:
        if self._agreed(int(not self._state.is_finite()))[0]:
            raise _not_finite(math.nan, self._label, self._state.progress.epoch)
        self._state.save(self._folder / "last", self._accelerator)
        self._accelerator.wait_for_everyone()
        self._saved = time.monotonic()


@contextmanager
def divergence_noted(mark: Path) -> Iterator[None]:
    """Leaves an empty file if what is trained diverges."""
    mark.unlink(missing_ok=True)
    try:
        yield
    except Diverged:  # in all processes; the launcher ends those that are left once one has ended
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        raise


def mean_loss(state: State, label: str, accelerator: Accelerator) -> float:
    """Of the epoch so far, over all processes. Reading it waits for the device, so this is done now and then.

    Raises:
        CompError: it is not finite.
    """
    loss = float(accelerator.reduce(state.loss, "mean")) / state.progress.batch
    if not math.isfinite(loss):
        raise _not_finite(loss, label, state.progress.epoch)
    return loss


def _not_finite(loss: float, label: str, epoch: int) -> Diverged:
    """What to say of a loss that is not a number; `epoch` counts from 0."""
    return Diverged(
        f"{label}, epoch {epoch + 1}: the training loss is {loss}. Set train.lr lower, train.clip_norm=1 or "
        "train.precision=fp32; the last good state is kept"
    )
