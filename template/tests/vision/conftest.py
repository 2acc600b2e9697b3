"""A small competition of images, its configuration, and a trained run of it."""

import itertools
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import support
import yaml
from support import forget_accelerate
from vision.small import SMALL, write_competition

from comp.cli import main
from comp.vision import ImageConfig

if TYPE_CHECKING:
    from comp.vision.model import Classifier


@pytest.fixture
def competition(repo: Path) -> Path:
    """The small competition in `data/`."""
    write_competition(repo / "data")
    return repo / "data"


@pytest.fixture
def configure(repo: Path) -> Callable[..., ImageConfig]:
    """`configure(train={"epochs": 2})` writes conf/baseline.yaml, small unless told otherwise, and loads it."""
    return partial(support.configure, SMALL)


@pytest.fixture
def fit_fold(
    competition: Path, configure: Callable[..., ImageConfig]
) -> Callable[..., tuple["Classifier", pd.DataFrame]]:
    """`fit_fold(train={"epochs": 2})` trains fold 0 of the small competition: the model and its history."""
    from comp.distributed.accelerator import accelerator_for
    from comp.vision.data.competition import open_competition
    from comp.vision.data.settle import settled
    from comp.vision.folds.split import split
    from comp.vision.training.fit import Fold, fit

    folders = (Path("runs") / f"fit{number}" for number in itertools.count())

    def call(**sections: object) -> tuple["Classifier", pd.DataFrame]:
        config = configure(**sections)
        split(config)
        config = settled(config)
        opened = open_competition(config, quiet=True)
        forget_accelerate()
        accelerator, folder = accelerator_for(config), next(folders)
        encoder = opened.encoder(opened.rows(0)[0])
        fold = Fold((0,), *opened.rows(0), opened.samples("train", encoder), opened.split.digest, encoder)
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
