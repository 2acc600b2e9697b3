"""A small competition of images: three colors, learned in an epoch or two."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from comp.tasks import tasks_here

COLORS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
SMALL: dict[str, object] = {
    "task": next(name for name, task in tasks_here().items() if "comp.vision.metrics" in task.registers["metric"]),
    "name": "small",
    "folds": {"n": 2},
    "model": {"backbone": "test_resnet", "pretrained": False, "image_size": 16},
    "train": {"epochs": 1, "batch_size": 8, "lr": 3.0e-3},
}


def picture(label: str, seed: int, size: tuple[int, int] = (20, 18)) -> Image.Image:
    """A noisy picture in the color of its label: tiny networks learn it in an epoch or two."""
    noise = np.random.default_rng(seed).normal(0, 25, (size[1], size[0], 3))
    color = COLORS.get(label, (120, 120, 120))
    return Image.fromarray(np.clip(noise + color, 0, 255).astype(np.uint8))


def write_competition(
    root: Path, per_class: int = 12, n_test: int = 9, labels: tuple[str, ...] = tuple(COLORS)
) -> None:
    """train.csv and train/, test/, sample_submission.csv and solution.csv, with text ids that start with zeros."""
    labels = tuple(COLORS)
    for folder in ("train", "test"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    train = [(f"{number:04d}", labels[number % len(labels)]) for number in range(per_class * len(labels))]
    test = [(f"{5000 + number:05d}", labels[number % len(labels)]) for number in range(n_test)]
    for folder, rows in (("train", train), ("test", test)):
        for name, label in rows:
            picture(label, seed=int(name)).save(root / folder / f"{name}.png")
    pd.DataFrame(train, columns=["id", "label"]).to_csv(root / "train.csv", index=False)
    solution = pd.DataFrame(test, columns=["id", "label"])
    solution.to_csv(root / "solution.csv", index=False)
    solution.assign(label=labels[0]).to_csv(root / "sample_submission.csv", index=False)
