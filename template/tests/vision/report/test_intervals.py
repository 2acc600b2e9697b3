"""Bootstrap intervals against resampling row by row, and the folds that stand out."""

import numpy as np
import pytest
from vision.report.stored import METRIC, TARGETS, said_of, train_table, truth_of

from comp.runs.bootstrap import interval_of_drawn
from comp.runs.page.drift import compared, in_words, unlike
from comp.runs.paired import weights_of
from comp.runs.predictions import oof_table
from comp.vision.metrics import score
from comp.vision.report.folds import of_folds
from comp.vision.report.intervals import drawn_scores, interval_of
from comp.vision.report.rows import Rows

METRICS = {
    "multiclass": ("accuracy", "log_loss", "macro_f1", "balanced_accuracy", "roc_auc", "map@3"),
    "binary": ("accuracy", "log_loss", "macro_f1", "balanced_accuracy", "roc_auc", "quadratic_kappa"),
    "multilabel": ("accuracy", "subset_accuracy", "log_loss", "macro_f1", "micro_f1", "roc_auc", "samples_f1"),
    "regression": ("rmse", "mae", "r2"),
    "ordinal": ("quadratic_kappa",),
}


def rows_of(kind: str, rows: int = 400, groups: np.ndarray | None = None, seed: int = 0) -> Rows:
    targets, rng = TARGETS[kind], np.random.default_rng(seed)
    y = truth_of(targets, rows, rng)
    p = said_of(targets, y, rng)
    table = oof_table(train_table(targets, y), np.arange(rows), np.arange(rows) % 3, p, targets)
    return Rows.of(table, targets, groups)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, each in METRICS.items() for name in each])
def test_an_interval_is_that_of_resampled_rows(kind, name):
    rows, rng = rows_of(kind), np.random.default_rng(1)
    drawn = [rng.integers(0, len(rows.y), len(rows.y)) for _ in range(200)]
    plain = np.array([score(name, rows.y[each], rows.p[each], rows.targets) for each in drawn])
    low, high = interval_of(name, rows)
    assert low < rows.score(name) < high
    assert np.std(drawn_scores(name, rows)) == pytest.approx(plain.std(), rel=0.25)
    assert (low, high) == pytest.approx(np.quantile(plain, (0.025, 0.975)), abs=0.8 * plain.std())


def test_rows_of_a_group_are_drawn_together_so_that_copies_do_not_narrow_the_interval():
    one = rows_of("multiclass", 200)
    copied = one.where(np.ones(200, dtype=bool))
    many = Rows(*(np.repeat(each, 25, axis=0) for each in (one.ids, one.fold, one.unit, one.y, one.p)), one.targets)
    assert np.std(drawn_scores("accuracy", many)) == pytest.approx(np.std(drawn_scores("accuracy", copied)), rel=0.05)
    for times in weights_of(many.unit, 5):
        assert (times.reshape(5, 200, 25) == times.reshape(5, 200, 25)[:, :, :1]).all()
        assert (times.sum(axis=1) == 5000).all()


def test_nothing_measurable_has_no_interval():
    assert np.isnan(interval_of_drawn(np.array([np.nan, np.nan]))).all()


@pytest.mark.parametrize("kind", TARGETS)
def test_alike_folds_are_told_as_such_and_a_broken_one_by_its_number(kind):
    rows, name = rows_of(kind, 900), METRIC.get(kind, "accuracy")
    assert unlike(of_folds(name, rows)) == []
    broken = rows.p.copy()
    broken[rows.fold == 1] = np.random.default_rng(3).permutation(broken[rows.fold == 1])
    found = of_folds(name, rows.saying(broken))
    assert unlike(found)[0].number == 1
    assert "Fold 1 is unlike the others" in in_words(found)


def test_folds_that_differ_by_chance_stand_out_one_time_in_twenty():
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(400):
        hits = rng.random((5, 200)) < 0.8
        drawn = [rng.normal(each.mean(), each.std() / np.sqrt(200), 300) for each in hits]
        alarms += bool(unlike(compared(range(5), [200] * 5, hits.mean(axis=1).tolist(), drawn)))
    assert 2 <= alarms <= 40
