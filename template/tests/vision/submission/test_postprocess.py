"""Postprocessing by name: it finds what is wrong, and is used where it helps rows that it was not fitted to."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold
from vision.small import write_competition

from comp.config import load_config
from comp.errors import CompError
from comp.folds import Split
from comp.registry import find, register
from comp.tables import Tables, Targets
from comp.vision.schema import ImageConfig, Submit
from comp.vision.submission.corrections import Grid, Heated, Shares, heated, moved, refuse_postprocess
from comp.vision.submission.postprocess import Held, fitted

CLASSES = Targets("multiclass", ("a", "b", "c"))
BINARY = Targets("binary", ("ill",))
NUMBER = Targets("regression", ("age",))
ROWS = 1500


def true_probabilities(rows: int, shares: list[float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes (N,) with these shares and their probabilities (N, 3) as they are where the three shares are equal."""
    rng = np.random.default_rng(seed)
    k = rng.choice(3, rows, p=shares)
    x = np.eye(3)[k] * 1.5 + rng.normal(0, 1, (rows, 3))
    p = np.exp(1.5 * x)
    return k, p / p.sum(axis=1, keepdims=True)


def held(targets: Targets, target: np.ndarray, p: np.ndarray) -> Held:
    train = pd.DataFrame({"id": [f"{row:04d}" for row in range(len(p))], "target": target})
    fold, strata = np.zeros(len(p), dtype=int), target if targets.kind != "regression" else np.zeros(len(p))
    for k, (_, validated) in enumerate(StratifiedKFold(3, shuffle=True, random_state=0).split(p, strata)):
        fold[validated] = k
    split = Split(fold, train["id"].to_numpy(), 3, "stratified", "digest")
    oof = pd.concat([train, pd.DataFrame(p, columns=targets.columns)], axis=1).sample(frac=1, random_state=0)
    return Held(oof, Tables(train, train.iloc[:0], None, targets), split)


def names(k: np.ndarray) -> np.ndarray:
    return np.array(CLASSES.classes, dtype=object)[k]


def config_of(metric: str, name: str, **settings) -> ImageConfig:
    return ImageConfig(metric=metric, metrics=[], submit=Submit(postprocess=[name], **settings))


@pytest.mark.parametrize("factor", [0.4, 2.5])
@pytest.mark.parametrize("targets", [CLASSES, BINARY])
def test_the_temperature_that_was_taken_from_predictions_is_found(targets, factor):
    k, p = true_probabilities(ROWS, [1 / 3] * 3, seed=0)
    target = names(k)
    if targets is BINARY:
        p = p[:, :1] / p[:, :2].sum(axis=1, keepdims=True)
        target = (np.random.default_rng(1).random(ROWS) < p[:, 0]).astype(int)
    spoilt = heated(p, factor, targets)
    step, correction = fitted(config_of("log_loss", "temperature"), "temperature", held(targets, target, spoilt), p)
    assert isinstance(correction, Heated)
    assert correction.t == pytest.approx(1 / factor, rel=0.15)
    assert step.used
    assert step.after < step.before - 0.02
    assert np.allclose(heated(spoilt, 1 / factor, targets), p, atol=1e-6)


def test_a_temperature_changes_no_label_so_the_accuracy_has_no_use_for_it():
    k, p = true_probabilities(ROWS, [1 / 3] * 3, seed=0)
    step, _ = fitted(
        config_of("accuracy", "temperature"), "temperature", held(CLASSES, names(k), heated(p, 0.4, CLASSES)), p
    )
    assert (step.used, step.before) == (False, step.after)
    assert "no better" in str(step)


def test_what_a_temperature_gains_is_told_of_rows_that_it_was_not_fitted_to():
    """Of calibrated predictions, a fitted temperature gains in sample whatever they are; what is told does not."""
    in_sample, told = [], []
    for seed in range(5):
        k, p = true_probabilities(150, [1 / 3] * 3, seed)
        rows = held(CLASSES, names(k), p)
        step, correction = fitted(config_of("log_loss", "temperature"), "temperature", rows, p)
        y = np.eye(3)[k]
        in_sample.append(float(np.log((correction(p) * y).sum(axis=1)).mean() - np.log((p * y).sum(axis=1)).mean()))
        told.append(step.before - step.after)
    assert min(in_sample) > -1e-6
    assert np.mean(told) < np.mean(in_sample) - 0.001


def test_em_finds_the_shares_of_the_test_rows():
    k, p = true_probabilities(ROWS, [1 / 3] * 3, seed=0)
    other_k, test = true_probabilities(ROWS, [0.7, 0.2, 0.1], seed=1)
    step, correction = fitted(config_of("accuracy", "priors"), "priors", held(CLASSES, names(k), p), test)
    assert isinstance(correction, Shares)
    assert np.allclose(correction.found(test), np.bincount(other_k) / ROWS, atol=0.05)
    right, better = (float((each.argmax(axis=1) == other_k).mean()) for each in (test, correction(test)))
    assert step.used
    assert step.after > step.before + 0.02
    assert better > right + 0.02
    assert better - right == pytest.approx(step.after - step.before, abs=0.03)  # what was told is what came


def test_em_finds_them_for_a_model_of_balanced_classes_too():
    """Both sets of rows are seen through the same wrong prior, so only their difference counts."""
    k, p = true_probabilities(4 * ROWS, [0.8, 0.1, 0.1], seed=0)
    other_k, test = true_probabilities(4 * ROWS, [0.6, 0.1, 0.3], seed=1)
    _, correction = fitted(config_of("accuracy", "priors"), "priors", held(CLASSES, names(k), p), test)
    assert np.allclose(correction.found(test), np.bincount(other_k) / len(test), atol=0.04)


def test_shares_that_did_not_move_are_left_alone():
    said = []
    for seed in range(10):
        (k, p), (_, test) = (true_probabilities(400, [0.5, 0.3, 0.2], seed + s) for s in (0, 100))
        step, correction = fitted(config_of("accuracy", "priors"), "priors", held(CLASSES, names(k), p), test)
        said.append(step.used)
        if not step.used and step.before is None:
            assert np.allclose(correction(test), test, atol=1e-6)
    assert sum(said) <= 1


def test_known_shares_are_matched_and_refused_where_they_are_of_other_classes():
    k, p = true_probabilities(ROWS, [1 / 3] * 3, seed=0)
    known = config_of("accuracy", "priors", shares={"b": 0.2, "a": 0.7, "c": 0.1})
    step, correction = fitted(known, "priors", held(CLASSES, names(k), p), p[:2])
    assert "as submit.shares says" in str(step)
    assert np.allclose(correction(p[:2]), moved(p[:2], np.array([0.7, 0.2, 0.1]), correction.base))
    for shares, why in (({"a": 0.5, "b": 0.5}, "a share of each class"), ({"a": 1, "b": 1, "c": 1}, "sum up to 3")):
        with pytest.raises(CompError, match=why):
            refuse_postprocess(Submit(postprocess=["priors"], shares=shares), CLASSES)
    binary = Submit(postprocess=["priors"], shares={"1": 0.9, "0": 0.1})
    raised = find("postprocess", "priors")(np.full((10, 1), 0.5), np.arange(10)[:, None] % 2, BINARY, binary)
    assert np.allclose(raised(np.array([[0.5]])), 0.9)


@pytest.mark.parametrize(("step", "told"), [(1, "by 1"), (0.5, "by 0.5"), (5, "by 5"), (None, "no grid")])
def test_numbers_come_to_the_grid_that_the_known_ones_lie_on(step, told):
    rng = np.random.default_rng(0)
    y = rng.uniform(10, 60, ROWS) if step is None else step * rng.integers(2, 12, ROWS)
    y = y.astype(np.float32).astype(float)
    p = (y + rng.normal(0, 0.15 if step is None else 0.15 * step, ROWS))[:, None]
    result, correction = fitted(config_of("mae", "rounding"), "rounding", held(NUMBER, y, p), p)
    assert isinstance(correction, Grid)
    assert told in str(result)
    assert (correction(np.array([[-100.0], [1000.0]])).ravel() == [y.min(), y.max()]).all()
    if step is not None:
        assert result.used
        assert result.after < 0.1 * result.before
        assert np.allclose(correction(p) / step % 1, 0)


def test_rounding_that_costs_is_told_and_not_done():
    """Of predictions that are half a step off, the mean squared error is least where they stay between."""
    rng = np.random.default_rng(0)
    y = rng.integers(1, 9, ROWS).astype(float)
    step, _ = fitted(
        config_of("rmse", "rounding"),
        "rounding",
        held(NUMBER, y, (y + rng.normal(0, 1, ROWS)).round(2)[:, None].clip(1, 8)),
        y[:, None],
    )
    assert not step.used
    assert step.after > step.before
    assert "not used" in str(step)


def test_thresholds_in_the_list_and_shares_without_priors_lead_on():
    with pytest.raises(ValueError, match=r"submit\.thresholds"):
        Submit(postprocess=["thresholds"])
    with pytest.raises(ValueError, match=r"add priors to submit\.postprocess"):
        Submit(shares={"a": 1.0})


def test_comp_submit_tells_each_with_and_without_and_keeps_it(competition, configure, comp):
    register("postprocess", "of two rows")(lambda table, targets: table if len(table) == 9 else 1 / 0)
    configure(
        metric="log_loss", metrics=[], train={"epochs": 2}, submit={"postprocess": ["temperature", "of two rows"]}
    )
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "post    temperature: log_loss " in out
    assert "cannot be measured on out-of-fold rows" in out
    steps = json.loads(Path("runs/small/postprocess.json").read_text())["steps"]
    assert [step["name"] for step in steps] == ["temperature", "of two rows"]
    assert steps[0]["used"] == (steps[0]["after"] < steps[0]["before"] - 1e-9)
    assert steps[1]["used"]
    with pytest.raises(CompError, match="thresholds are a key of their own"):
        load_config(Path("conf/baseline.yaml"), ["submit.postprocess=[thresholds]"])


def test_a_run_without_out_of_fold_rows_is_submitted_as_it_is(competition, configure, comp):
    configure(train={"epochs": 1}, metric="log_loss")
    assert comp("run", "steps=[split,train,submit]")[0] == 0
    before = Path("submissions/small.csv").read_text()
    Path("runs/small/oof.parquet").unlink()
    status, out, _ = comp("submit", "submit.postprocess=[temperature]")
    assert status == 0
    assert "temperature: not used: the run has no out-of-fold rows" in out
    assert Path("submissions/small.csv").read_text() == before


def test_what_is_not_for_such_targets_is_refused_before_any_training(repo, configure, comp):
    write_competition(repo / "data")
    configure(submit={"postprocess": ["rounding"]})
    status, _, err = comp("split")
    assert (status, err.count("\n")) == (1, 1)
    assert "submit.postprocess=rounding is for numbers, and the targets are multiclass" in err
