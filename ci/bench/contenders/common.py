"""What the contenders share: their settings, the epochs' clock, the peers' model and learning rate.

A contender is a script, `python CONTENDER SETTINGS.json RESULT.json`, that trains one model and leaves in RESULT.json
the time and the validation accuracy of each epoch. Whoever starts it measures the rest from outside.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))
import engine  # noqa: F401  (the contenders import it from here)


@dataclass(frozen=True)
class Settings:
    """One run: the same for all contenders."""

    data: str  # a folder of dataset.py
    model: str
    precision: str  # fp32 | bf16
    compile: bool
    seed: int
    epochs: int
    batch_size: int
    size_px: int
    workers: int
    device: str  # cpu | cuda
    lr: float
    weight_decay: float
    augment_on: str = "auto"  # of the engine alone, as the next
    processes: int = 1  # that share a batch, and the cores
    keep_freed_memory: bool = True  # of the bound alone: with the engine's setting of the memory allocator
    classes: int = 10


@dataclass
class Clock:
    """Times of the epochs: from before the first batch is asked for to the end of the last update."""

    device: str
    epochs: list[dict[str, float | None]] = field(default_factory=list)  # images, seconds, accuracy
    ended: list[float] = field(default_factory=list)  # unix time, validation included
    _started: float = 0.0

    def start(self) -> None:
        self._synchronize()
        self._started = time.perf_counter()

    def stop(self, images: int) -> None:
        self._synchronize()
        self.epochs.append({"images": images, "seconds": time.perf_counter() - self._started})

    def validated(self, accuracy: float | None) -> None:
        self.epochs[-1]["accuracy"] = accuracy
        self.ended.append(time.time())

    def _synchronize(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.synchronize()


def main(train: Callable[[Settings, Path], Clock]) -> None:
    """Runs `train(settings, folder)`; the folder, of the result, is the contender's to write in."""
    settings, result = (Path(argument) for argument in sys.argv[1:])
    clock = train(Settings(**json.loads(settings.read_text())), result.parent)
    result.write_text(json.dumps({"epochs": clock.epochs, "ended": clock.ended}))


def write_settings(settings: Settings, path: Path) -> None:
    path.write_text(json.dumps(asdict(settings)))


def build_model(settings: Settings) -> Any:
    """timm's model on the device with random weights, channels-last; for inputs that are normalized already."""
    import timm
    import torch

    torch.manual_seed(settings.seed)
    if settings.device == "cuda":  # as timm's train.py does, and train.tf32 of the engine
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    found = timm.get_pretrained_cfg(settings.model)
    sized = {"img_size": settings.size_px} if found is not None and found.fixed_input_size else {}
    model = timm.create_model(settings.model, num_classes=settings.classes, **sized)
    return model.to(settings.device, memory_format=torch.channels_last)


def mean_and_std(model: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from timm.data import resolve_model_data_config

    found = resolve_model_data_config(model)
    return found["mean"], found["std"]


def autocast(settings: Settings) -> Any:
    import torch

    return torch.autocast(settings.device, torch.bfloat16, enabled=settings.precision == "bf16")


def cosine_lr(settings: Settings, update: int, updates: int) -> float:
    """Half a cosine from `lr` to 0, without warm-up."""
    return settings.lr * (1 + math.cos(math.pi * update / updates)) / 2
