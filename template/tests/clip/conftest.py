"""The small competition of three colors, with tiny CLIP models that know them, or do not."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copytree

import pytest
import support
from vision.conftest import competition, fit_fold  # noqa: F401  (fixtures)
from vision.tiny_clip import write_clip

from comp.clip.schema import ClipConfig

SMALL = {
    "task": "clip",
    "name": "small",
    "folds": {"n": 2},
    "model": {"backbone": "./clip", "image_size": 16, "head": "prompts", "prompts": ["a photo of a {} face"]},
    "train": {"epochs": 1, "batch_size": 8, "lr": 1.0e-4},
}


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder / "knows", trained=True, layers=2)
    write_clip(folder / "new", trained=False, layers=2)
    return folder


@pytest.fixture(autouse=True)
def clip(_written: Path, repo: Path) -> Path:
    """`clip/` knows the colors by name, `new/` was never trained: both in the working directory."""
    copytree(_written / "knows", repo / "clip")
    copytree(_written / "new", repo / "new")
    return repo / "clip"


@pytest.fixture
def configure(repo: Path) -> Callable[..., ClipConfig]:
    """`configure(train={"epochs": 2})` writes conf/baseline.yaml, small unless told otherwise, and loads it."""
    return partial(support.configure, SMALL)
