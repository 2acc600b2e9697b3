"""An empty repository to work in, a small competition, and a way to call `comp`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from comp.cli import main
from comp.config import Config, load_config

SOURCE = Path(__file__).resolve().parent.parent / "src"
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
SMALL: dict[str, object] = {
    "name": "small",
    "folds": {"n": 2},
    "model": {"backbone": "test_resnet", "pretrained": False, "image_size": 16},
    "train": {"epochs": 1, "batch_size": 8, "lr": 3.0e-3},
}


@pytest.fixture(autouse=True)
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(label: str, seed: int, size: tuple[int, int] = (20, 18)) -> Image.Image:
    """A noisy picture in the colour of its label: tiny networks learn it in an epoch or two."""
    noise = np.random.default_rng(seed).normal(0, 25, (size[1], size[0], 3))
    colour = COLOURS.get(label, (120, 120, 120))
    return Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8))


def write_competition(
    root: Path, per_class: int = 12, n_test: int = 9, labels: tuple[str, ...] = tuple(COLOURS)
) -> None:
    """train.csv and train/, test/, sample_submission.csv and solution.csv, with text ids that start with zeros."""
    labels = tuple(COLOURS)
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


@pytest.fixture
def competition(repo: Path) -> Path:
    """The small competition in `data/`."""
    write_competition(repo / "data")
    return repo / "data"


@pytest.fixture
def configure(repo: Path) -> Callable[..., Config]:
    """`configure(train={"epochs": 2})` writes conf/baseline.yaml, small unless told otherwise, and loads it."""

    def write(**sections: object) -> Config:
        values: dict[str, object] = {
            key: dict(value) if isinstance(value, dict) else value for key, value in SMALL.items()
        }
        for key, value in sections.items():
            before = values.get(key)
            values[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
        path = repo / "conf" / "baseline.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return load_config(path)

    return write


@pytest.fixture
def comp(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`comp("train", "train.epochs=2")` runs a command in this process: exit status, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def comp_process(repo: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in a process of its own, as a user starts it."""

    def call(*arguments: str, timeout_s: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "comp", *arguments]
        env = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}
        return subprocess.run(
            command, cwd=repo, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    return call
