"""Weights in between: exact at the ends; a share that noise chose does not flatter."""

import numpy as np
import pandas as pd
import torch

from comp.clip.inference.interpolate import best_share, between, chosen_share, scores_of, share_fit
from comp.clip.schema import ClipConfig
from comp.folds import Split
from comp.tables import Tables, Targets
from comp.vision.data.competition import Competition
from comp.vision.ensemble.crossfit import Known, Predicted, cross_fitted

ALPHAS = [number / 10 for number in range(11)]
TARGETS = Targets("multiclass", ("no", "yes"))


def test_the_ends_are_the_two_models_to_the_bit():
    zero, tuned = ({"w": torch.randn(7, 5), "n": torch.tensor(count)} for count in (0, 9))
    assert torch.equal(between(zero, tuned, 0.0)["w"], zero["w"])
    assert torch.equal(between(zero, tuned, 1.0)["w"], tuned["w"])
    torch.testing.assert_close(between(zero, tuned, 0.3)["w"], 0.7 * zero["w"] + 0.3 * tuned["w"])
    assert between(zero, tuned, 0.3)["n"] == 9


def test_of_shares_that_score_alike_the_one_nearest_to_one_half_is_taken():
    assert ALPHAS[best_share([0.8] * 11, ALPHAS, "accuracy")] == 0.5
    assert ALPHAS[best_share([0.8, 0.9, 0.9, *[0.1] * 8], ALPHAS, "accuracy")] == 0.2
    assert ALPHAS[best_share([0.8, 0.9, 0.9, *[1.0] * 8], ALPHAS, "log_loss")] == 0.0


def test_on_noise_the_recorded_score_is_that_of_a_coin():
    """The best of eleven shares, on the rows that chose it, is well above."""
    honest, flattering, rows = [], [], 200
    for seed in range(30):
        rng = np.random.default_rng(seed)
        y = np.eye(2)[rng.integers(0, 2, rows)]
        p = rng.random((rows, 11, 1))
        oof = Predicted(np.arange(rows), np.arange(rows) % 4, np.concatenate([p, 1 - p], axis=2))
        parts = np.arange(rows)[None] // 4 % 10
        known = Known(np.zeros((rows, 0)), y, parts)
        said, _ = cross_fitted(oof, "own fold", share_fit(ALPHAS, "accuracy", TARGETS), known)
        honest.append((said.argmax(axis=1) == y.argmax(axis=1)).mean())
        flattering.append(max(scores_of(oof.p, y, "accuracy", TARGETS)))
    assert abs(np.mean(honest) - 0.5) < 0.02
    assert np.mean(flattering) > 0.54


def test_over_time_the_first_fold_is_scored_with_one_half_and_not_with_a_mean_of_all():
    rng, rows = np.random.default_rng(0), 60
    fold, p = np.repeat([0, 1, 2], 20), rng.random((rows, 11, 1))
    y = np.eye(2, dtype=np.float32)[rng.integers(0, 2, rows)]
    oof = Predicted(np.arange(rows), fold, np.concatenate([p, 1 - p], axis=2))
    none = pd.DataFrame()
    split = Split(fold, fold, 3, "time", "")
    competition = Competition(Tables(none, none, None, TARGETS), split, y, [], [])
    chosen, honest, curve = chosen_share(ClipConfig(name="a"), competition, oof, "past")
    np.testing.assert_array_equal(honest[fold == 0], oof.p[fold == 0, 5])
    best = best_share(scores_of(oof.p[fold == 0], y[fold == 0], "accuracy", TARGETS), ALPHAS, "accuracy")
    np.testing.assert_array_equal(honest[fold == 1], oof.p[fold == 1, best])
    assert curve[chosen][1] == max(value for _, value in curve)
