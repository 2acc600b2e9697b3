"""The best of several is expected to be worth less than it shows, by as much as was drawn."""

import numpy as np
import pytest

from comp.tables import Targets
from comp.vision.tuning.luck import best_of, luck_of, paired_noise

CLASSES = Targets("multiclass", ("a", "b"))


@pytest.mark.parametrize(("skill", "noise"), [(0.01, 0.01), (0.02, 0.01), (0.005, 0.02), (0.0, 0.01)])
@pytest.mark.parametrize("greater", [True, False])
def test_what_is_expected_of_the_best_is_its_true_score_on_average(skill, noise, greater):
    rng, n = np.random.default_rng(0), 12
    shown, expected, true = [], [], []
    for _ in range(3000):
        skills = 0.8 + skill * rng.normal(size=n)
        scores = skills + noise * rng.normal(size=n)
        luck = luck_of(scores, noise, greater)
        shown.append(luck.best)
        expected.append(luck.expected)
        true.append(skills[scores.argmax() if greater else scores.argmin()])
    off, naive = abs(np.mean(expected) - np.mean(true)), abs(np.mean(shown) - np.mean(true))
    assert naive > 0.5 * noise
    assert off < 0.2 * naive


@pytest.mark.parametrize("n", [2, 9, 40])
def test_the_best_of_n_is_what_is_drawn(n):
    drawn = np.random.default_rng(0).normal(size=(20_000, n)).max(axis=1)
    assert best_of(n) == pytest.approx(drawn.mean(), abs=0.02)


def test_the_noise_is_that_of_other_rows_without_what_trials_have_in_common():
    """Trials right on 70 % of rows: half of the rows by a coin of their own, half all alike."""
    rows, n = 400, 8

    def drawn(seed):
        rng = np.random.default_rng(seed)
        alike = np.tile(rng.random(rows) < 0.7, (n, 1))
        right = np.where(rng.random(rows) < 0.5, alike, rng.random((n, rows)) < 0.7)
        y = np.eye(2)[rng.integers(0, 2, rows)]
        return y, np.where(right[..., None], y, 1 - y)

    scores = np.array([[(p == y).all(axis=1).mean() for p in each] for y, each in map(drawn, range(300))])
    true = (scores - scores.mean(axis=1, keepdims=True)).std(ddof=1) * np.sqrt(n / (n - 1))
    found = np.mean([paired_noise("accuracy", *drawn(seed), CLASSES) for seed in range(3)])
    assert found == pytest.approx(true, rel=0.15)
    assert found < 0.85 * scores.std()  # unpaired, it is larger


def test_of_trials_that_are_all_alike_nothing_is_left():
    luck = luck_of(np.array([0.5, 0.51, 0.49]), 0.02, True)
    assert luck.expected == luck.mean == pytest.approx(0.5)
    assert luck_of(np.array([0.5, 0.5]), 0.0, True).expected == 0.5
