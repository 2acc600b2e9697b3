"""Thresholds: fitted where they help, measured on rows that they were not fitted on."""

import re
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold
from support import for_a_release
from vision.made_runs import make_run

from comp.files import write_json
from comp.folds import Split
from comp.registry import register
from comp.tables import Tables, Targets
from comp.vision.folds.split import split
from comp.vision.schema import ImageConfig, Submit
from comp.vision.submission.counted import OF_LABELS, OF_ROWS, Whole, looks_at
from comp.vision.submission.decisions import Decision, fitted

LABELS = Targets("multilabel", ("wet", "red"))
GRADES = Targets("multiclass", ("0", "1", "2", "3", "4"))
ROWS = 900


def tables_of(targets: Targets, columns: dict[str, np.ndarray]) -> Tables:
    train = pd.DataFrame({"id": [f"{row:04d}" for row in range(ROWS)], **columns})
    return Tables(train, train.iloc[:0], None, targets)


def decided(
    targets: Targets, columns: dict[str, np.ndarray], p: np.ndarray, metric: str, thresholds="auto"
) -> Decision:
    tables, fold = tables_of(targets, columns), np.zeros(ROWS, dtype=int)
    first = next(iter(columns.values()))
    for k, (_, validated) in enumerate(StratifiedKFold(3, shuffle=True, random_state=0).split(first, first)):
        fold[validated] = k
    parted = Split(fold, tables.train["id"].to_numpy(), 3, "stratified", "digest")
    oof = pd.concat([tables.train, pd.DataFrame(p, columns=targets.columns)], axis=1)
    oof = oof.sample(frac=1, random_state=0)  # in whatever order
    config = ImageConfig(metric=metric, metrics=[], submit=Submit(thresholds=thresholds))
    return fitted(config, oof, tables, parted)


def timid(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Labels of a tenth of the rows, whose probabilities are all below one half."""
    rng = np.random.default_rng(seed)
    y = (rng.random((ROWS, 2)) < 0.1).astype(int)
    p = np.clip(0.1 + 0.2 * y + rng.normal(0, 0.05, y.shape), 0, 0.49)
    return {"target_wet": y[:, 0], "target_red": y[:, 1]}, p


@pytest.mark.parametrize("wanted", ["auto", "one", for_a_release("each")])
def test_labels_of_timid_models_get_a_lower_threshold(wanted):
    columns, p = timid()
    decision = decided(LABELS, columns, p, "macro_f1", wanted)
    assert decision.thresholds is not None
    assert ((decision.thresholds > 0.12) & (decision.thresholds < 0.3)).all()
    assert "macro_f1 out of fold 0.0000 with 0.5" in decision.about
    right = decision.labels(p) == np.column_stack(list(columns.values()))
    assert right.mean() > 0.95
    if wanted == "one":
        assert len(set(decision.thresholds)) == 1


def test_borders_of_grades_that_are_drawn_to_the_middle_are_found():
    rng = np.random.default_rng(0)
    grade = rng.choice(5, ROWS, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    expected = 1 + 0.4 * grade + rng.normal(0, 0.15, ROWS)  # all within 1 and 3
    p = np.clip(1 - np.abs(expected[:, None] - np.arange(5)), 0, 1)
    p /= p.sum(axis=1, keepdims=True)
    decision = decided(GRADES, {"target": grade.astype(str)}, p, "quadratic_kappa")
    assert decision.thresholds is not None
    plain, told = re.findall(r"(0\.\d{4}) (?:with|fitted)", decision.about)
    assert float(told) > float(plain) + 0.2
    assert (decision.labels(p).argmax(axis=1) == grade).mean() > 0.7
    assert (p.argmax(axis=1) == grade).mean() < 0.5


def test_on_noise_what_is_told_is_chance():
    """In sample, borders gain on any noise; what is told, and decides, does not."""
    told = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        grade, p = rng.integers(0, 5, ROWS).astype(str), rng.dirichlet(np.ones(5), ROWS)
        about = decided(GRADES, {"target": grade}, p, "quadratic_kappa").about
        told.append(float(about.split(" fitted")[0].split()[-1]))
    assert abs(np.mean(told)) < 3 * 0.033 / np.sqrt(6)  # 1 / sqrt(900) of one


@pytest.mark.parametrize("metric", [*(each.__name__ for each in (*OF_LABELS, *OF_ROWS))])
def test_what_is_counted_is_what_the_metric_says(metric):
    """Whichever thresholds were taken before; of labels that no row has, too, and of rows that have none."""
    rng, targets = np.random.default_rng(0), Targets("multilabel", tuple("abcd"))
    y = (rng.random((60, 4)) < [0.1, 0.5, 0.0, 1.0]).astype(np.float32)
    p = rng.random((60, 4)).round(2)  # with ties
    whole = Whole(p, y, metric, targets, lambda thresholds, p: Decision(targets, thresholds).labels(p))
    counted, values = looks_at(p, y, metric, targets, None), np.array([0.0, 0.25, 0.5, 0.95, 1.1])
    np.testing.assert_allclose(counted.alike(values), whole.alike(values), rtol=1e-12)
    thresholds = np.array([0.1, 0.5, 0.3, 0.9])
    assert counted.begin(thresholds) == pytest.approx(whole.begin(thresholds), rel=1e-12)
    for k in (0, 3, 0, 2, 1):
        np.testing.assert_allclose(counted.changed(k, values), whole.changed(k, values), rtol=1e-12)
        value = float(rng.random())
        counted.take(k, value)
        whole.take(k, value)


def test_many_labels_are_fitted_in_time_and_told_or_left_out():
    rng, targets = np.random.default_rng(0), Targets("multilabel", tuple(f"l{k}" for k in range(60)))
    y = (rng.random((ROWS, 60)) < 0.1).astype(int)
    p = np.clip(0.1 + 0.2 * y + rng.normal(0, 0.05, y.shape), 0, 0.49)
    columns = {f"target_l{k}": y[:, k] for k in range(60)}
    started = time.perf_counter()
    assert decided(targets, columns, p, "macro_f1", "each").thresholds is not None
    assert time.perf_counter() - started < 5


def test_without_counts_many_labels_get_one_threshold_and_a_line(monkeypatch, capsys):
    @register("metric", "own_accuracy")
    def own_accuracy(y, p, targets):
        return float(((p >= 0.5) == (y >= 0.5)).mean())

    monkeypatch.setattr("comp.vision.submission.decisions.MOST", 10**5)
    columns, p = timid()
    assert len(set(decided(LABELS, columns, p, "own_accuracy").thresholds)) == 1
    assert "one for each of 2 labels may take hours by own_accuracy" in capsys.readouterr().out
    monkeypatch.setattr("comp.vision.submission.decisions.TRIED", 4)
    assert len(set(decided(LABELS, columns, p, "own_accuracy", "each").thresholds)) == 2
    assert "fitted to 900 rows by own_accuracy, which may take hours" in capsys.readouterr().out


def test_where_one_half_is_best_nothing_is_changed():
    rng = np.random.default_rng(0)
    y = (rng.random((ROWS, 2)) < 0.5).astype(int)
    p = np.clip(0.5 + 0.4 * (2 * y - 1) + rng.normal(0, 0.01, y.shape), 0, 1)
    decision = decided(LABELS, {"target_wet": y[:, 0], "target_red": y[:, 1]}, p, "macro_f1")
    assert decision.thresholds is None
    assert decision.about.endswith(": 0.5")


def test_to_unscored_rows_nothing_is_fitted(competition, configure, comp):
    config = configure(data={"classes": ["red", "green", "blue"]}, metric="quadratic_kappa", metrics=[])
    split(config)
    run = make_run(config, config.name)
    assert "labels  quadratic_kappa out of fold" in comp("submit")[1]
    write_json(run.metrics, {**run.read_metrics(), "unscored": "its teachers saw the rows"})
    for wanted in ("auto", "each"):
        status, out, _ = comp("submit", f"submit.thresholds={wanted}")
        assert status == 0
        assert "labels  the likeliest class: its rows are unscored, so nothing is fitted: its teachers saw" in out
        assert "out of fold" not in out
