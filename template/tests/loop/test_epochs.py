"""What surrounds the epochs of any training: the best weights, early stopping, in both loops by the same rules."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from comp.loop.epochs import is_better
from comp.registry import register

SCRIPT = [math.nan, 0.3, 0.5, 0.7]  # what is measured after each epoch


@register("metric", "scripted")
def scripted(*_: object) -> float:
    """The epoch is known from the history, which is written after each."""
    history = next(Path("runs").glob("*/fold0/history.csv"), None)
    done = len(pd.read_csv(history)) if history else 0
    return SCRIPT[min(done, len(SCRIPT) - 1)]


@pytest.mark.parametrize(
    ("new", "best", "better"),
    [
        (0.1, None, True),
        (math.nan, None, True),
        (0.1, math.nan, True),
        (math.nan, 0.1, False),
        (0.2, 0.1, True),
        (0.1, 0.1, False),
    ],
)
def test_anything_beats_nan_and_nan_beats_nothing(new, best, better):
    assert is_better(new, best) == better


def test_an_epoch_without_a_metric_freezes_neither_the_best_weights_nor_early_stopping(repo, small, comp):
    """NaN, .3, .5, .7: all four epochs are trained, and the last one's weights are the best."""
    small.write(repo / "data")
    stopping = {"patience": 2, "watch": "metric"}
    training = {"epochs": 4, "early_stop": stopping}
    weights = {}
    for keep in ("best", "last"):
        small.configure(name=keep, metric="scripted", metrics=[], train={**training, "keep": keep}, folds={"use": [0]})
        assert comp("split")[0] == 0
        status, _, err = comp("train")
        assert status == 0, err
        history = pd.read_csv(f"runs/{keep}/fold0/history.csv")
        assert history["scripted"].tolist()[1:] == SCRIPT[1:]
        assert len(history) == 4
        weights[keep] = load_file(f"runs/{keep}/fold0/best.safetensors")
        (repo / "runs" / keep).rename(repo / f"done-{keep}")
    assert all(torch.equal(tensor, weights["last"][name]) for name, tensor in weights["best"].items())
