"""What the tests of image tasks share: a small competition, its configuration, and a trained run."""

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import yaml
from forget import forget_accelerate
from PIL import Image

from comp.cli import main
from comp.config import load_config
from comp.config.schema import Config

if TYPE_CHECKING:
    from comp.model import Classifier

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
SMALL: dict[str, object] = {
    "name": "small",
    "folds": {"n": 2},
    "model": {"backbone": "test_resnet", "pretrained": False, "image_size": 16},
    "train": {"epochs": 1, "batch_size": 8, "lr": 3.0e-3},
}


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
def fit_fold(competition: Path, configure: Callable[..., Config]) -> Callable[..., tuple["Classifier", pd.DataFrame]]:
    """`fit_fold(train={"epochs": 2})` trains fold 0 of the small competition: the model and its history."""
    from comp.competition import open_competition
    from comp.devices import accelerator_for
    from comp.fit import Fold, fit
    from comp.split_images import split

    folders = (Path("runs") / f"fit{number}" for number in itertools.count())

    def call(**sections: object) -> tuple["Classifier", pd.DataFrame]:
        config = configure(**sections)
        split(config)
        opened = open_competition(config, quiet=True)
        forget_accelerate()
        accelerator, folder = accelerator_for(config), next(folders)
        metadata, encoder = opened.encoded(opened.rows(0)[0])
        about = opened.y, opened.train_pixels, opened.tables.targets
        fold = Fold((0,), *opened.rows(0), *about, metadata=metadata, encoder=encoder)
        return fit(config, fold, folder, accelerator), pd.read_csv(folder / "history.csv")

    return call


@pytest.fixture(scope="session")
def _trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, before = tmp_path_factory.mktemp("trained"), Path.cwd()
    os.chdir(folder)
    write_competition(folder / "data")
    (folder / "conf").mkdir()
    (folder / "conf" / "baseline.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    try:
        assert main(["split"]) == main(["train", "train.epochs=3"]) == 0
    finally:
        os.chdir(before)
        forget_accelerate()
    return folder


@pytest.fixture
def trained(_trained_once: Path, repo: Path) -> Path:
    """The small competition with a finished run `small`: the repository, a copy that the test may change."""
    shutil.copytree(_trained_once, repo, dirs_exist_ok=True)
    return repo
