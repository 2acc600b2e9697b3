"""Metrics as sums: they are the metrics, and a bootstrap of them tells equal runs from better ones."""

import numpy as np
import pytest

from comp.registry import greater_is_better, kinds_of, names
from comp.runs.paired import Side, difference, drawn, interval, value_of
from comp.tables import Targets
from comp.vision.metrics import score
from comp.vision.metrics.sums import SUMS, measure_of

TARGETS = {
    "multiclass": Targets("multiclass", ("0", "1", "2", "4")),
    "binary": Targets("binary", ("yes",)),
    "multilabel": Targets("multilabel", ("a", "b", "c")),
    "regression": Targets("regression", ("x", "y")),
}
CASES = [(name, kind) for name in names("metric") for kind in TARGETS if kind in kinds_of(name)]


def truth(kind: str, n: int, random: np.random.Generator) -> np.ndarray:
    if kind == "multiclass":
        return np.eye(4)[random.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])]
    if kind == "regression":
        return random.gamma(2, 1, (n, 2))
    return (random.random((n, len(TARGETS[kind].classes))) < 0.4).astype(float)


def said(y: np.ndarray, kind: str, random: np.random.Generator, skill: float = 1.0) -> np.ndarray:
    """What a model says that knows something of the truth."""
    noisy = skill * y + random.normal(0, 0.8, y.shape)
    if kind == "regression":
        return noisy
    p = np.exp(2 * noisy)
    return p / p.sum(axis=1, keepdims=True) if kind == "multiclass" else p / (p + np.e)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_metric_of_sums_is_the_metric(name, kind):
    random, targets = np.random.default_rng(0), TARGETS[kind]
    y = truth(kind, 300, random)
    p = said(y, kind, random)
    measure = measure_of(name, y, p, targets)
    assert value_of(measure, 300) == pytest.approx(score(name, y, p, targets), abs=1e-12)
    weights = np.bincount(random.integers(0, 300, 300), minlength=300)
    again = np.repeat(np.arange(300), weights)
    near = {"abs": 0.004} if name == "roc_auc" else {"abs": 1e-9}  # of which the sums are the first order
    assert measure.under(weights[None].astype(float))[0] == pytest.approx(
        score(name, y[again], p[again], targets), **near
    )


def test_a_metric_that_custom_py_replaces_is_asked_again(monkeypatch):
    from comp import registry

    monkeypatch.setitem(registry._parts["metric"], "accuracy", lambda y, p, targets: 0.25)
    y = truth("binary", 20, np.random.default_rng(0))
    assert value_of(measure_of("accuracy", y, y, TARGETS["binary"]), 20) == 0.25


def test_an_interval_of_the_area_is_that_of_a_plain_bootstrap():
    random = np.random.default_rng(1)
    y = truth("binary", 400, random)
    p = said(y, "binary", random)
    rows = random.integers(0, 400, (600, 400))
    plain = np.quantile([score("roc_auc", y[each], p[each], TARGETS["binary"]) for each in rows], (0.025, 0.975))
    found = interval(measure_of("roc_auc", y, p, TARGETS["binary"]), np.arange(400))
    np.testing.assert_allclose(found, plain, atol=0.006)


def verdicts(name: str, kind: str, skill: float, trials: int, n: int = 400, folds: int = 5) -> float:
    """How often two runs, one of them of another skill, are called really different."""
    random, targets, real = np.random.default_rng(5), TARGETS[kind], 0
    fold = np.arange(n) % folds
    for _ in range(trials):
        y = truth(kind, n, random)
        pair = [said(y, kind, random, each) for each in (1.0, skill)]
        measures = [measure_of(name, y, p, targets) for p in pair]
        each = [[score(name, y[fold == k], p[fold == k], targets) for k in range(folds)] for p in pair]
        draws = drawn(measures, np.arange(n), 300)
        sides = [Side(*values) for values in zip(measures, draws, each, strict=True)]
        real += difference(sides, np.arange(n), 1 if greater_is_better(name) else -1).is_real
    return real / trials


@pytest.mark.parametrize(
    ("name", "kind"),
    [("accuracy", "multiclass"), ("log_loss", "binary"), ("roc_auc", "binary"), ("quadratic_kappa", "multiclass"),
     ("macro_f1", "multiclass"), ("rmse", "regression")],
)  # fmt: skip
def test_equal_runs_are_seldom_called_different_and_a_better_one_mostly(name, kind):
    assert verdicts(name, kind, 1.0, 120) <= 0.05
    assert verdicts(name, kind, 3.0, 20) >= 0.9


def test_each_metric_of_sums_is_registered():
    from comp.registry import find

    assert set(SUMS) <= {find("metric", name) for name in names("metric")}
