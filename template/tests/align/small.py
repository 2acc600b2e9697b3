"""A small alignment competition, made to be broken in one place at a time."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from support import configure

IMAGES, TESTS, TEXT, IMAGE = 60, 20, 12, 16
SMALL: dict[str, Any] = {
    "task": "align",
    "name": "small",
    "folds": {"n": 3},
    "model": {"hidden": [32], "dropout": 0.0},
    "loss": {"kind": "infonce", "temperature": 0.1},
    "train": {"epochs": 3, "batch_size": 32, "lr": 3.0e-3},
    "baselines": ["mean", "ridge"],
}


def arrays(seed: int = 0, dtype: str = "float32") -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """The train and the test npz by array, and the images of the test captions: texts are views of the images."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(IMAGES + TESTS, IMAGE)).astype(dtype)
    view = rng.normal(size=(IMAGE, TEXT))
    of = np.repeat(np.arange(IMAGES), 5)
    texts = images[of] @ view + 0.3 * rng.normal(size=(len(of), TEXT))
    tests = images[IMAGES:] @ view + 0.3 * rng.normal(size=(TESTS, TEXT))
    train = {
        "captions/embeddings": texts.astype(dtype),
        "captions/text": np.array([f"caption {number}" for number in range(len(of))]),
        "captions/label": of,
        "images/embeddings": images[:IMAGES],
        "images/names": np.array([f"{number:03d}.jpg" for number in range(IMAGES)]),
    }
    test = {
        "captions/ids": np.array([f"t{number}" for number in range(TESTS)]),
        "captions/embeddings": tests.astype(dtype),
    }
    return train, test, images[IMAGES:]


def write(root: Path, train: dict[str, Any], test: dict[str, Any], images: np.ndarray, packed: bool = False) -> Path:
    """The files of a competition; `packed` compresses the npz."""
    root.mkdir(parents=True, exist_ok=True)
    save: Any = np.savez_compressed if packed else np.savez
    save(root / "train.npz", **train)
    save(root / "test.npz", **test)
    np.savez(root / "solution.npz", **{"captions/ids": test["captions/ids"], "images/embeddings": images})
    sample = "".join(f'{name},"{json.dumps([0.0] * images.shape[1])}"\n' for name in test["captions/ids"])
    (root / "sample_submission.csv").write_text(f"id,embedding\n{sample}", encoding="utf-8")
    return root


def write_competition(root: Path) -> None:
    """The files of the small competition."""
    write(root, *arrays())


configured = partial(configure, SMALL)  # writes conf/baseline.yaml, and loads it
