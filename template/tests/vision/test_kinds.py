"""Binary and multi-label targets, from files to a submission."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vision.small import COLORS, write_competition

from comp.runs.predictions import read_predictions
from comp.vision.metrics import score

STEPS = ["split", "train", "submit", "report"]
LEARNS = {"epochs": 6, "batch_size": 6, "lr": 3.0e-3}


def relabel(root: Path, columns: dict[str, set[str]], sample_value: str) -> None:
    """Instead of the color's name, a 0/1 column for each of `columns`, which names the colors that it holds for."""
    for name in ("train", "solution"):
        table = pd.read_csv(root / f"{name}.csv", dtype=str)
        labels = {column: table["label"].isin(colors).astype(int) for column, colors in columns.items()}
        table[["id"]].assign(**labels).to_csv(root / f"{name}.csv", index=False)
    sample = pd.read_csv(root / "solution.csv", dtype=str)[["id"]]
    sample.assign(**dict.fromkeys(columns, sample_value)).to_csv(root / "sample_submission.csv", index=False)


@pytest.fixture
def binary(repo):
    write_competition(repo / "data")
    relabel(repo / "data", {"warm": {"red"}}, "0.5")


@pytest.fixture
def multilabel(repo):
    write_competition(repo / "data")
    relabel(repo / "data", {"cold": {"blue", "green"}, "leaf": {"green"}}, "0.5")


def test_a_binary_target_trains_and_submits_one_probability(binary, configure, comp):
    configure(steps=STEPS, metric="roc_auc", metrics=["accuracy", "log_loss", "quadratic_kappa"], train=LEARNS)
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "target  binary" in out
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert (targets.kind, targets.columns) == ("binary", ["p_warm"])
    assert set(oof["target"]) == {0, 1}
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str})
    truth = pd.read_csv("data/solution.csv", dtype={"id": str})
    assert list(submission.columns) == ["id", "warm"]
    assert submission["warm"].between(0, 1).all()
    assert submission["warm"][truth["warm"] == 1].min() > submission["warm"][truth["warm"] == 0].max()


def test_labels_train_and_submit_a_probability_each(multilabel, configure, comp):
    configure(steps=STEPS, metric="roc_auc", metrics=["accuracy", "macro_f1", "log_loss"], train=LEARNS)
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "target  multilabel" in out
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert targets.columns == ["p_cold", "p_leaf"]
    assert {"target_cold", "target_leaf"} <= set(oof.columns)
    assert not np.allclose(oof[targets.columns].sum(axis=1), 1, atol=0.05)
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str})
    truth = pd.read_csv("data/solution.csv", dtype={"id": str})
    assert list(submission.columns) == ["id", "cold", "leaf"]
    assert submission[["cold", "leaf"]].isin(range(2)).sum().sum() == 0
    assert score("roc_auc", truth[["cold", "leaf"]].to_numpy(), submission[["cold", "leaf"]].to_numpy(), targets) > 0.9


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_switches_that_look_at_the_targets_work_for_labels_too(kind, request, configure, comp):
    request.getfixturevalue(kind)
    train = {"loss": "focal", "class_weights": "balanced", "sampler": "weighted", "label_smoothing": 0.1}
    configure(train={**LEARNS, **train}, augment={"mixup": 0.2}, metric="roc_auc", folds={"kind": "holdout"})
    comp("split")
    status, _, err = comp("train")
    assert (status, err) == (0, "")
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    truth, p = oof[targets.truth_columns].to_numpy()[:, 0], oof[targets.columns].to_numpy()[:, 0]
    assert p[truth == 1].mean() > p[truth == 0].mean()


def test_kappa_of_labels_is_one_clear_line_before_training(multilabel, configure, comp):
    configure(metric="quadratic_kappa")
    comp("split")
    status, out, err = comp("train")
    assert status == 1
    assert err == (
        "error: the metric quadratic_kappa is for one label of ordered classes, these targets are multilabel\n"
    )
    assert "epoch" not in out


def test_a_softmax_loss_for_labels_is_one_clear_line_before_training(multilabel, configure, comp):
    configure(train={"loss": "cross_entropy"})
    comp("split")
    status, out, err = comp("train")
    assert status == 1
    assert err.startswith("error: train.loss=cross_entropy is for one class per row, these targets are multilabel")
    assert "epoch" not in out


def test_one_column_a_class_in_the_sample_asks_for_probabilities(trained, comp):
    sample = pd.read_csv("data/sample_submission.csv", dtype=str)[["id"]]
    sample.assign(**dict.fromkeys(sorted(COLORS, reverse=True), "0")).to_csv("data/sample_submission.csv", index=False)
    assert comp("submit")[0] == 0
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str}).set_index("id")
    assert list(submission.columns) == ["red", "green", "blue"]
    assert np.allclose(submission.sum(axis=1), 1, atol=1e-4)
    test, _, _ = read_predictions(Path("runs/small/test.parquet"))
    assert np.allclose(submission.loc[test["id"], "red"], test["p_red"], atol=1e-5)
