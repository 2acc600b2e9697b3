"""The main path: from files to a scored submission."""

import json
from pathlib import Path

import pandas as pd

from comp.runs.predictions import read_predictions


def test_run_goes_from_files_to_a_scored_submission(competition, configure, comp):
    configure(train={"epochs": 6}, steps=["split", "train", "submit", "score", "report"])
    status, out, err = comp("run")
    assert (status, err.count("error")) == (0, 0)
    submission = pd.read_csv("submissions/small.csv", dtype=str)
    solution = pd.read_csv(competition / "solution.csv", dtype=str)
    assert list(submission["id"]) == list(solution["id"])
    assert (submission["label"] == solution["label"]).mean() > 0.8
    assert "score   accuracy" in out


def test_every_training_row_is_predicted_once_by_the_fold_that_did_not_see_it(competition, configure, comp):
    configure()
    assert comp("split")[0] == 0
    assert comp("train")[0] == 0
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    train = pd.read_csv(competition / "train.csv", dtype=str)
    folds = pd.read_csv(competition / "folds.csv", dtype={"id": str}, skiprows=1).set_index("id")["fold"]
    assert list(oof["id"]) == list(train["id"])
    assert list(oof["fold"]) == list(folds.loc[train["id"]])
    assert targets.columns == ["p_blue", "p_green", "p_red"]
    assert json.loads(Path("runs/small/metrics.json").read_text())["rows"] == len(train)


def test_a_second_run_trains_nothing_again(competition, configure, comp):
    configure()
    comp("run")
    status, out, _ = comp("run")
    assert status == 0
    assert out.count("is already trained") == 2
