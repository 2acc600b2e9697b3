"""The paired bootstrap: rows of one group are drawn together, few differing rows count as few, folds may contradict."""

import numpy as np
import pytest
from scipy.stats import binomtest

from comp.runs.paired import DRAWS, FEWEST, Scored, Side, Sums, difference, drawn, interval, value_of


def mean(values) -> Sums:
    values = np.asarray(values, dtype=float)
    return Sums(np.column_stack([values, np.ones(len(values))]), lambda sums: sums[:, 0] / sums[:, 1])


def between(one, other, folds=None, units=None, level=0.05):
    """The difference of two runs whose rows are right or wrong; `folds` (N,) are numbers."""
    units = np.arange(len(one)) if units is None else units
    folds = np.zeros(len(one)) if folds is None else folds
    measures = [mean(one), mean(other)]
    sides = [
        Side(measure, draws, [np.mean(np.asarray(values)[folds == k]) for k in np.unique(folds)])
        for measure, draws, values in zip(measures, drawn(measures, units), (one, other), strict=True)
    ]
    return difference(sides, units, 1, level)


def test_the_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(size=500)
    low, high = interval(mean(values), np.arange(500))
    error = values.std() / 500**0.5
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_rows_of_one_group_are_drawn_together():
    """Each row four times over is no more evidence than once."""
    values = np.random.default_rng(0).normal(size=100)
    once = interval(mean(values), np.arange(100))
    names = np.repeat([f"g{n:03d}" for n in range(100)], 4)
    order = np.random.default_rng(1).permutation(400)
    assert interval(mean(np.repeat(values, 4)[order]), names[order]) == pytest.approx(once)
    as_rows = interval(mean(np.repeat(values, 4)), np.arange(400))
    assert as_rows[1] - as_rows[0] == pytest.approx((once[1] - once[0]) / 2, rel=0.15)


def test_any_metric_is_drawn_as_its_sums_are():
    values = np.random.default_rng(0).normal(size=200)
    anew = Scored(200, lambda rows: float(values[rows].mean()))
    assert FEWEST <= anew.draws() < DRAWS
    np.testing.assert_allclose(*drawn([anew, mean(values)], np.arange(200), FEWEST))
    assert interval(anew, np.arange(200)) == pytest.approx(interval(mean(values), np.arange(200)), abs=0.04)


def test_a_metric_that_most_draws_do_not_allow_has_no_interval():
    assert np.isnan(interval(Scored(20, lambda rows: float("nan")), np.arange(20))).all()


def test_one_row_of_many_is_noise_and_the_same_predictions_are():
    right = np.arange(1824) % 3 > 0
    other = right.copy()
    other[0] = ~other[0]
    assert between(right, other).verdict == "noise"
    same = between(right, right)
    assert (same.value, same.p, same.verdict) == (0.0, 1.0, "noise")


@pytest.mark.parametrize("differing", range(2, 12))
def test_few_rows_that_differ_are_never_surer_than_an_exact_test(differing):
    """All of them in favor of one run: McNemar's exact test is the bound, which a plain bootstrap breaks."""
    one = np.ones(500)
    other = one.copy()
    other[:differing] = 0
    exact = binomtest(differing, differing).pvalue < 0.05
    assert between(one, other).is_real <= exact


def test_a_better_run_is_real_and_folds_may_contradict():
    random, folds = np.random.default_rng(0), np.arange(1000) % 5
    one = random.random(1000) < 0.80
    other = random.random(1000) < 0.70
    real = between(one, other, folds)
    assert (real.verdict, real.is_better) == ("real", True)
    assert between(other, one, folds).value == -real.value
    lucky = one.copy()
    lucky[folds == 0] = False  # all of the difference is in one fold
    apart = between(one, lucky, folds)
    assert apart.p < 1e-6
    assert apart.p_folds > 0.05
    assert (apart.verdict, apart.is_real) == ("noise (folds)", False)


def test_two_folds_say_nothing():
    random = np.random.default_rng(0)
    one, other = random.random(1000) < 0.80, random.random(1000) < 0.70
    apart = between(one, other, np.arange(1000) % 2)
    assert (apart.p_folds, apart.verdict) == (None, "real")


@pytest.mark.parametrize("of_models", [0.0, 1.0])
def test_equal_runs_are_seldom_called_different(of_models):
    """Also where each fold's model is a little luckier than the other run's: by as much as rows alone vary."""
    random, folds, real = np.random.default_rng(3), np.arange(500) % 5, 0
    for _ in range(300):
        luck = random.normal(0, of_models * (0.21 / 100) ** 0.5, (2, 5))[:, folds]
        one, other = random.random((2, 500)) < 0.7 + luck
        real += between(one, other, folds).is_real
    assert real / 300 <= 0.05


def test_the_value_is_that_of_all_rows():
    assert value_of(mean([1, 0, 0, 1]), 4) == 0.5
