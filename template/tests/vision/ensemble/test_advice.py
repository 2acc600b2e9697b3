"""What to submit: the mean unless another is better by more than chance; for the best of several, by more than that."""

import numpy as np
import pytest

from comp.tables import Targets
from comp.vision.ensemble.advice import what_to_submit

BINARY = Targets("binary", ("yes",))


def said(skills: list[float], n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth (N, 1) and the probabilities (N, M, 1) of members that know so much of it, each with noise of its own."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, 1)).astype(float)
    logits = np.array(skills)[None, :, None] * (2 * y[:, None] - 1) + rng.normal(size=(n, len(skills), 1))
    return y, 1 / (1 + np.exp(-logits))


def advice(combined, members, y, metric="roc_auc", learns=True) -> str:
    names = [f"m{number}" for number in range(members.shape[1])]
    return what_to_submit("stacked", combined, members, names, y, metric, BINARY, learns)


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss"])
def test_a_combination_that_is_clearly_better_than_the_mean_is_submitted(metric):
    y, p = said([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert advice(p[:, :2].mean(axis=1), p, y, metric).startswith("stacked: stacked is better than their mean by 0.")


def test_one_that_is_better_by_chance_alone_is_not():
    y, p = said([0.5, 0.5, 0.5])
    combined = p.mean(axis=1) + 0.02 * np.random.default_rng(1).normal(size=(600, 1))
    assert advice(combined, p, y).startswith("the mean of the members (comp blend): stacked is ")


def test_a_member_that_beats_both_is_submitted_alone():
    y, p = said([2.0, 0.0, 0.0])
    text = advice(p.mean(axis=1), p, y)
    assert text.startswith("m0 alone: ")
    assert "the best member, m0, is better than that by 0." in text


def test_the_best_of_equal_members_is_not_chosen_for_its_luck():
    for seed in range(10):
        y, p = said([0.5] * 8, seed=seed)
        assert "alone" not in advice(p.mean(axis=1), p, y, learns=False)


def test_a_plain_mean_is_compared_with_its_members_only():
    y, p = said([0.5, 0.5])
    text = advice(p.mean(axis=1), p, y, learns=False)
    assert text.startswith("stacked: the best member, m")
    assert "their mean" not in text


def test_of_many_rows_some_stand_for_all():
    y, p = said([1.0, 0.2], n=20_000)
    few = advice(p[:5000].mean(axis=1), p[:5000], y[:5000], learns=False)
    many = advice(p.mean(axis=1), p, y, learns=False)
    errors = [float(text.rpartition("± ")[2]) for text in (few, many)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.3)
