"""What the peers share: the task, and what each of them answers.

A contender is a script, `python CONTENDER TASK.json RESULT.json`, that fine-tunes one network and predicts the test
images. It leaves a CSV of `id,label` and says in RESULT.json what a user would have had to write and type for it.
"""

import csv
import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CROP_SCALE, CROP_RATIO, HFLIP = (0.5, 1.0), (3 / 4, 4 / 3), 0.5
JITTER = 0.2  # of brightness, contrast and saturation


@dataclass(frozen=True)
class Task:
    """The same for all contenders."""

    data: str  # a folder with train.csv (id, path, label), test.csv (id, path) and images
    split: str  # a CSV (id, path, label, part) of the training rows; part: train | validation
    folder: str  # the contender's own; a second start finds it as the first one left it
    start: str  # first | second
    backbone: str  # timm's name
    weights: str  # a file
    model_args: dict[str, Any]  # of timm.create_model
    mean: list[float]
    std: list[float]
    image_size: int
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    holdout: float  # share of the rows that are validated
    workers: int
    seed: int
    device: str  # cpu | cuda
    timm: str = ""  # a checkout of timm's repository

    @property
    def classes(self) -> list[str]:
        return sorted({row["label"] for row in self.rows("train")})

    def rows(self, part: str) -> list[dict[str, str]]:
        """Of part train, validation or test: id, path and, but for test, label."""
        if part == "test":
            return table(Path(self.data) / "test.csv")
        return [row for row in table(Path(self.split)) if row["part"] == part]

    def paths(self, part: str) -> list[Path]:
        return [Path(self.data) / row["path"] for row in self.rows(part)]


@dataclass(frozen=True)
class Answer:
    predictions: Path  # id, label
    version: str
    augmentation: str  # its nearest equal, in its own words
    commands: list[str]  # to type, on a machine where everything is installed
    lines: int  # of Python or YAML, to write before
    notes: list[str] = field(default_factory=list)  # what is not the same as in the others


def main(fine_tune: Callable[[Task], Answer]) -> None:
    task, result = (Path(argument) for argument in sys.argv[1:])
    answer = fine_tune(Task(**json.loads(task.read_text(encoding="utf-8"))))
    result.write_text(json.dumps(asdict(answer), default=str), encoding="utf-8")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_predictions(task: Task, labels: list[str]) -> Path:
    """One label for each row of test.csv, in its order."""
    path = Path(task.folder) / f"{task.start}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "label"])
        writer.writerows([row["id"], label] for row, label in zip(task.rows("test"), labels, strict=True))
    return path


def timm_model(task: Task) -> Any:
    """timm's network with the weights of the file and a new last layer."""
    import timm

    overlay = {"file": task.weights, "num_classes": -1}  # -1: whatever head the file has, it is replaced
    return timm.create_model(
        task.backbone,
        pretrained=True,
        pretrained_cfg_overlay=overlay,
        num_classes=len(task.classes),
        **task.model_args,
    )


def lines_of(*written: Any) -> int:
    """Lines of code of functions and classes; blank ones, comments and one-line docstrings do not count."""
    lines = [line.strip() for each in written for line in inspect.getsource(each).splitlines()]
    return sum(bool(line) and not line.startswith(("#", '"""')) for line in lines)
