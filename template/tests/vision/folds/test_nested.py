"""Nested trainings: for each two folds a model that saw neither, and what a stack makes of them."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comp.distributed.accelerator import accelerator_for
from comp.errors import CompError
from comp.folds import Split, load_split
from comp.runs.predictions import read_predictions
from comp.vision.data.competition import open_competition
from comp.vision.data.read import read_tables
from comp.vision.folds.fold import Fold
from comp.vision.folds.nested import pairs_of
from comp.vision.schema import ImageConfig
from comp.vision.training.fit import fit

NESTED = {"folds": {"n": 3, "nested": True}, "stack": {"kind": "logistic", "features": ["image_statistics"]}}
PAIRS = ("fold0+1", "fold0+2", "fold1+2")


@pytest.fixture
def nested(competition, configure, comp) -> ImageConfig:
    config = configure(**NESTED)
    assert comp("split")[0] == 0
    return config


def folds_of(n: int, kind: str = "stratified") -> Split:
    return Split(np.arange(n), np.arange(n), n, kind, digest="")


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_every_two_folds_are_one_training_and_the_work_is_shared_evenly(n):
    config = ImageConfig.model_validate({"folds": {"nested": True}})
    shares = [pairs_of(config, folds_of(n), [k]) for k in range(n)]
    everyone = pairs_of(config, folds_of(n), list(range(n)))
    assert Counter(pair for share in shares for pair in share) == Counter(everyone)
    assert len(set(everyone)) == n * (n - 1) // 2
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("n", "kind"), [(2, "stratified"), (5, "time")])
def test_folds_that_cannot_be_nested_are_refused(n, kind):
    with pytest.raises(CompError, match="needs three or more, not over time"):
        pairs_of(ImageConfig.model_validate({"folds": {"nested": True}}), folds_of(n, kind), [0])


def test_a_model_without_two_folds_trains_on_no_row_of_either(nested):
    opened = open_competition(nested, quiet=True)
    trained, predicted = opened.rows(0, 1)
    assert set(opened.split.fold[trained]) == {2}
    assert set(opened.split.fold[predicted]) == {0, 1}
    assert sorted([*trained, *predicted]) == list(range(len(opened.y)))


def test_labels_of_the_two_folds_change_no_weight_of_the_model_without_them(nested):
    opened, accelerator = open_competition(nested, quiet=True), accelerator_for(nested)

    def weights(left_out: tuple[int, ...], y: np.ndarray, folder: str) -> list[np.ndarray]:
        fold = Fold(left_out, *opened.rows(*left_out), replace(opened.samples("train", None), y=y), "")
        return [tensor.numpy() for tensor in fit(nested, fold, Path(folder), accelerator).state_dict().values()]

    y = opened.y.copy()
    y[opened.split.fold != 2] = np.roll(y[opened.split.fold != 2], 1, axis=1)
    for left_out, untouched in (((0, 1), True), ((0, 2), False)):
        name = str(left_out[1])
        both = zip(weights(left_out, opened.y, f"a{name}"), weights(left_out, y, f"b{name}"), strict=True)
        assert all(np.array_equal(one, other) for one, other in both) == untouched


def test_every_training_row_of_a_fold_is_predicted_once_by_a_model_without_both(nested, comp):
    assert comp("train")[0] == 0
    tables = read_tables(nested.data)
    fold = pd.Series(load_split(nested, tables).fold, index=tables.train["id"])
    for k in range(3):
        inner, _, _ = read_predictions(Path(f"runs/small/fold{k}/inner_oof.parquet"))
        inner = inner.set_index("id")
        assert sorted(inner.index) == sorted(fold.index[fold != k])
        assert (inner["fold"] == fold[inner.index]).all()
        for j in {0, 1, 2} - {k}:
            said, _, _ = read_predictions(Path(f"runs/small/fold{min(j, k)}+{max(j, k)}/oof.parquet"))
            said = said.set_index("id")
            pd.testing.assert_frame_equal(inner[inner["fold"] == j], said[said["fold"] == j])


@pytest.mark.release  # stacks with features: ensemble/test_stack.py
def test_a_stack_of_nested_runs_takes_features_beside_the_predictions(nested, comp):
    assert comp("train")[0] == comp("train", "name=other", "seed=7")[0] == 0
    status, out, err = comp("stack", "name=stacked", "stack.members=[small,other]")
    assert status == 0, err
    assert "nested: on inner out-of-fold predictions" in out
    combines = json.loads(Path("runs/stacked/metrics.json").read_text())["combines"]
    assert (combines["members"], combines["met_scored_fold"]) == (["small", "other"], False)


def test_a_run_that_is_trained_already_is_nested_later_without_training_its_folds_again(nested, comp):
    assert comp("train", "folds.nested=false")[0] == 0
    first = Path("runs/small/fold0/best.safetensors").stat().st_mtime_ns
    assert not list(Path("runs/small").glob("fold*/inner_oof.parquet"))
    seconds = json.loads(Path("runs/small/metrics.json").read_text())["seconds"]
    status, out, _ = comp("train")
    assert status == 0
    assert "fold 2  is already trained" in out
    assert "folds 0+2  done in" in out
    assert Path("runs/small/fold0/best.safetensors").stat().st_mtime_ns == first
    assert len(list(Path("runs/small").glob("fold*/inner_oof.parquet"))) == 3
    assert json.loads(Path("runs/small/metrics.json").read_text())["seconds"] > seconds


@pytest.mark.release  # jobs are compared with none in test_jobs.py
def test_jobs_train_the_same_nested_models(nested, comp):
    assert comp("train")[0] == 0
    status, out, err = comp("train", "name=jobs", "jobs.per_gpu=2", "train.save_every=1 epochs")
    assert status == 0, err
    assert "3 folds, 2 at a time" in out
    for k in range(3):
        one, other = (read_predictions(Path(f"runs/{run}/fold{k}/inner_oof.parquet"))[0] for run in ("small", "jobs"))
        pd.testing.assert_frame_equal(one, other)


def test_predicting_again_writes_the_inner_predictions_anew(nested, comp):
    assert comp("train")[0] == 0
    path = Path("runs/small/fold1/inner_oof.parquet")
    before, targets, _ = read_predictions(path)
    status, out, _ = comp("predict", "predict.views=[vflip]")
    assert status == 0
    assert "folds 0+1  predicted again" in out
    now, _, _ = read_predictions(path)
    assert not np.allclose(now[targets.columns], before[targets.columns])


def test_a_nested_student_has_teachers_that_saw_neither_fold(nested, comp):
    words = ("pseudo.threshold=0.0", "pseudo.labels=soft", "pseudo.train={epochs: 1, lr: 1.0e-3}")
    assert comp("train")[0] == 0
    status, _, err = comp("pseudo", *words)
    assert status == 0, err
    for name in ("fold0", *PAIRS):
        chosen, targets, _ = read_predictions(Path(f"runs/small-pseudo/{name}/pseudo.parquet"))
        teacher, _, _ = read_predictions(Path(f"runs/small/{name}/test.parquet"))
        np.testing.assert_allclose(chosen[targets.columns], teacher[targets.columns], atol=1e-6)
    assert len(list(Path("runs/small-pseudo").glob("fold*/inner_oof.parquet"))) == 3


def test_a_student_of_a_run_that_is_not_nested_says_what_to_train(competition, configure, comp):
    configure(folds={"n": 3})
    assert comp("split")[0] == comp("train")[0] == 0
    status, _, err = comp("pseudo", "folds.nested=true", "pseudo.threshold=0.0")
    assert (status, err.count("\n")) == (1, 1)
    assert "fold0+1/best.safetensors does not exist: run comp train folds.nested=true" in err
    assert not Path("runs/small-pseudo/fold0").exists()
