"""Runs that only their files know of: predictions of any kind and size, written as training writes them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from comp.files import write_json
from comp.runs.predictions import oof_table, test_table, write_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.inference.collect import collect
from comp.vision.schema import ImageConfig

DIGEST = "0123456789abcdef"
TARGETS = {
    "multiclass": Targets("multiclass", ("cat", "dog", "owl", "emu")),
    "binary": Targets("binary", ("wet",)),
    "multilabel": Targets("multilabel", ("wet", "red", "old")),
    "regression": Targets("regression", ("height", "weight")),
    "ordinal": Targets("multiclass", ("none", "mild", "severe"), ordered=True),
}
METRIC = {"multilabel": "macro_f1", "regression": "rmse", "ordinal": "quadratic_kappa"}


@dataclass(frozen=True)
class Stored:
    run: RunDir
    oof: pd.DataFrame
    test: pd.DataFrame
    targets: Targets


def truth_of(targets: Targets, rows: int, rng: np.random.Generator) -> np.ndarray:
    """(N, K); the last class is the rarest."""
    k = len(targets.classes)
    if targets.kind == "regression":
        return rng.normal(10, np.arange(1, k + 1), (rows, k))
    if targets.kind == "multiclass":
        shares = 1 / np.arange(1, k + 1)
        return np.eye(k)[rng.choice(k, rows, p=shares / shares.sum())]
    return (rng.random((rows, k)) < 0.3).astype(float)


def said_of(targets: Targets, y: np.ndarray, rng: np.random.Generator, sharpness: float = 1.0) -> np.ndarray:
    """(N, K) predictions with some truth in them, of calibrated noise where `sharpness` is 1."""
    if targets.kind == "regression":
        return y + rng.normal(0, 0.5, y.shape)
    evidence = 3 * y + rng.normal(0, 1.5, y.shape)  # of normal classes: logits 3 · evidence / 1.5² + log of the shares
    logits = sharpness * (3 / 1.5**2 * evidence)
    if targets.kind == "multiclass":
        p = np.exp(logits + np.log(y.mean(axis=0) + 1e-9) - logits.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)
    prior = np.log(y.mean(axis=0) / (1 - y.mean(axis=0)))
    return 1 / (1 + np.exp(-(logits - sharpness * 3**2 / (2 * 1.5**2) + prior)))


def train_table(targets: Targets, y: np.ndarray) -> pd.DataFrame:
    ids = [f"i{row}" for row in range(len(y))]
    if targets.kind == "multiclass":
        return pd.DataFrame({"id": ids, "target": np.array(targets.classes, dtype=object)[y.argmax(axis=1)]})
    values = pd.DataFrame(y if targets.kind == "regression" else y.astype(int), columns=targets.truth_columns)
    return pd.concat([pd.DataFrame({"id": ids}), values], axis=1)


def store(
    config: ImageConfig, targets: Targets, rows: int = 300, folds: int = 3, seed: int = 0, sharpness: float = 1.0
) -> Stored:
    """`runs/<config.name>`; the truth is the same for each `seed`."""
    y = truth_of(targets, rows, np.random.default_rng(7))
    rng = np.random.default_rng(seed)
    train, p, fold = train_table(targets, y), said_of(targets, y, rng, sharpness), np.arange(rows) % folds
    test = pd.DataFrame({"id": [f"t{row}" for row in range(rows)]})
    run = RunDir.of(config)
    run.start(config)
    run.bind_to_folds(DIGEST)
    for k in range(folds):
        own, folder = np.flatnonzero(fold == k), run.fold(k)
        write_predictions(folder / "oof.parquet", oof_table(train, own, fold[own], p[own], targets), targets, DIGEST)
        said = test_table(test, said_of(targets, y, rng, sharpness), targets)
        write_predictions(folder / "test.parquet", said, targets, DIGEST)
        losses = np.linspace(1, 0.2, 4)
        history = pd.DataFrame(
            {"epoch": range(1, 5), "lr": losses / 1000, "train_loss": losses, "val_loss": losses + 0.1}
        )
        history = history.assign(**{config.metric: np.linspace(0.3, 0.8, 4), "seconds": 2.5, "images_per_s": 800.0})
        history.to_csv(folder / "history.csv", index=False)
        write_json(folder / "metrics.json", {"rows": len(own), "seconds": 60.0})
    collect(config, train["id"], run)
    return Stored(run, pd.read_parquet(run.oof), pd.read_parquet(run.test), targets)
