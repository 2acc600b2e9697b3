"""An area under the curve is scikit-learn's, its interval covers the truth, and copies are no new witnesses."""

import numpy as np
from sklearn.metrics import roc_auc_score

from comp.runs.separation import auc, out_of_part, parts_of


def drawn(seed, n=150, shift=0.5):
    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    return rng.normal(size=n).round(1) + shift * positive, positive


def test_the_area_is_scikit_learns_with_ties():
    score, positive = drawn(0)
    assert np.isclose(auc(score, positive, np.arange(150)).value, roc_auc_score(positive, score))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    large = rng.normal(size=4000).round(1), rng.normal(0.5, 1, 4000).round(1)
    truth = roc_auc_score(np.repeat([0, 1], 4000), np.concatenate(large))
    found = [auc(*drawn(seed), np.arange(150)) for seed in range(300)]
    covered = np.mean([each.low <= truth <= each.high for each in found])
    assert 0.92 <= covered <= 0.98


def test_copies_of_rows_do_not_narrow_it():
    score, positive = drawn(0)
    one = auc(score, positive, np.arange(150))
    four = auc(np.tile(score, 4), np.tile(positive, 4), np.tile(np.arange(150), 4))
    alone = auc(np.tile(score, 4), np.tile(positive, 4), np.arange(600))
    assert np.isclose(one.high - one.low, four.high - four.low)
    assert alone.high - alone.low < 0.6 * (one.high - one.low)


def test_no_interval_is_narrower_than_a_row():
    found = auc(np.arange(10), np.arange(10) >= 5, np.arange(10))
    assert (found.value, found.low) == (1.0, 0.8)


def test_parts_keep_groups_whole_and_have_labels_alike():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 60, 300)
    label = group % 2
    part = parts_of(label, group)
    assert all(len(set(part[group == number])) == 1 for number in range(60))
    assert np.bincount(part, minlength=5).min() > 30
    assert all(abs(label[part == number].mean() - label.mean()) < 0.15 for number in range(5))


def test_a_row_is_never_scored_by_what_was_fitted_to_it():
    x, y = np.arange(50.0)[:, None], np.arange(50) % 2

    def knows_by_heart(x, y):
        known = dict(zip(x[:, 0].tolist(), y.tolist(), strict=True))
        return lambda other: np.array([known.get(value, -1) for value in other[:, 0].tolist()])

    assert set(out_of_part(x, y, parts_of(y, np.arange(50)), knows_by_heart)) == {-1}
