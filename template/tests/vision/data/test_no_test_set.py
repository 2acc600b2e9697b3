"""A data set without test images: golden rows are the only ones to predict, or there are none."""

import shutil

import pandas as pd
import pytest
from support import for_a_release

from comp.runs.predictions import read_predictions
from comp.vision.data.read import read_tables


@pytest.fixture
def training_alone(competition):
    for name in ("test", "sample_submission.csv", "solution.csv"):
        (shutil.rmtree if (competition / name).is_dir() else lambda path: path.unlink())(competition / name)
    return competition


def test_the_error_names_the_way(training_alone, configure, comp):
    configure()
    assert "no test.csv and no test folder in data: set data.test, to null if there is no test set" in comp("split")[2]


@pytest.mark.parametrize("cache", ["auto", for_a_release("false")])
def test_it_trains_and_reports_and_has_nothing_to_submit(cache, training_alone, configure, comp, repo):
    table = pd.read_csv(training_alone / "train.csv", dtype=str)
    table.assign(age=table.index).to_csv(training_alone / "train.csv", index=False)
    data = {"test": None, "cache": cache, "target": "label"}
    configure(data=data, model={"metadata": ["age"]}, predict={"views": ["identity", "hflip"]})
    for step in ("split", "train", "predict", "report"):
        status, _, err = comp(step)
        assert status == 0, err
    assert len(read_predictions(repo / "runs/small/test.parquet")[0]) == 0
    assert (repo / "runs/small/report.html").is_file()
    assert "there are no test images (data.test=null): nothing to submit" in comp("submit")[1]


def test_golden_rows_are_predicted_and_scored(training_alone, configure, comp, repo):
    table = pd.read_csv(training_alone / "train.csv", dtype=str)
    table.assign(age=table.index).to_csv(training_alone / "train.csv", index=False)
    config = configure(data={"test": None, "target": "label"}, golden={"per_class": 4, "most": 0.5})
    for step in ("golden", "split", "train", "evaluate", "pseudo"):
        status, out, err = comp(step)
        assert status == 0, err
    assert "0 of 12 test rows join" in out
    ids = read_predictions(repo / "runs/small/test.parquet")[0]["id"]
    assert len(ids) == 12
    assert ids.str.startswith("golden:").all()
    assert "nothing to submit" in comp("submit")[1]
    ages = dict(zip("golden:" + table["id"], table.index.astype(str), strict=True))
    golden = read_tables(config.data).test
    assert golden["age"].tolist() == [ages[name] for name in golden["id"]]


def test_ensembles_work_without_test_rows(training_alone, configure, comp, repo):
    configure(data={"test": None}, train={"epochs": 2})
    for step in (
        ["split"],
        ["train"],
        ["train", "name=second", "seed=1"],
        ["blend", "name=both"],
        ["stack", "name=stacked"],
    ):
        status, _, err = comp(*step)
        assert status == 0, err
    for name in ("both", "stacked"):
        assert len(read_predictions(repo / f"runs/{name}/test.parquet")[0]) == 0
