"""Metrics against scikit-learn, also where classes are missing among the rows."""

import numpy as np
import pytest
from sklearn import metrics as sk

from comp.errors import CompError
from comp.registry import greater_is_better, metric_label, register
from comp.tables import Targets
from comp.vision.metrics import score

NAMES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc", "quadratic_kappa")
MULTICLASS = Targets("multiclass", ("a", "b", "c", "d"), ordered=True)
BINARY = Targets("binary", ("label",))
MULTILABEL = Targets("multilabel", ("x", "y", "z"))


def multiclass(n=200, classes=(0, 1, 2, 3)):
    """Truth as numbers, the same one-hot, and probabilities that are right more often than not."""
    rng = np.random.default_rng(0)
    truth = rng.choice(classes, n)
    y = np.eye(4, dtype=np.float32)[truth]
    p = rng.dirichlet(np.ones(4), n) + 0.4 * y
    return truth, y, p / p.sum(axis=1, keepdims=True)


def several(labels, n=200):
    rng = np.random.default_rng(1)
    y = (rng.random((n, labels)) < 0.3).astype(np.float32)
    return y, np.clip(0.3 * y + 0.7 * rng.random((n, labels)), 0.01, 0.99)


@pytest.mark.parametrize("classes", [(0, 1, 2, 3), (0, 2, 3)])
def test_multiclass_metrics_are_those_of_scikit_learn(classes):
    truth, y, p = multiclass(classes=classes)
    choice = p.argmax(axis=1)
    aucs = [sk.roc_auc_score(truth == k, p[:, k]) for k in classes]
    expected = (
        sk.accuracy_score(truth, choice),
        np.mean([(choice[truth == k] == k).mean() for k in classes]),
        sk.f1_score(truth, choice, average="macro", zero_division=0),
        sk.log_loss(truth, p, labels=range(4)),
        np.mean(aucs),
        sk.cohen_kappa_score(truth, choice, weights="quadratic", labels=range(4)),
    )
    np.testing.assert_allclose([score(name, y, p, MULTICLASS) for name in NAMES], expected, rtol=1e-6)


def test_roc_auc_of_several_classes_is_one_against_the_rest():
    truth, y, p = multiclass()
    assert score("roc_auc", y, p, MULTICLASS) == pytest.approx(sk.roc_auc_score(truth, p, multi_class="ovr"))


def test_binary_metrics_are_those_of_scikit_learn():
    y, p = several(1)
    truth, choice = y[:, 0].astype(int), (p[:, 0] >= 0.5).astype(int)
    expected = (
        sk.accuracy_score(truth, choice),
        sk.balanced_accuracy_score(truth, choice),
        sk.f1_score(truth, choice),
        sk.log_loss(truth, p[:, 0]),
        sk.roc_auc_score(truth, p[:, 0]),
        sk.cohen_kappa_score(truth, choice, weights="quadratic"),
    )
    np.testing.assert_allclose([score(name, y, p, BINARY) for name in NAMES], expected, rtol=1e-6)


def test_multilabel_metrics_are_means_over_labels():
    y, p = several(3)
    choice = p >= 0.5
    expected = (
        1 - sk.hamming_loss(y, choice),
        np.mean([sk.balanced_accuracy_score(y[:, k], choice[:, k]) for k in range(3)]),
        sk.f1_score(y, choice, average="macro"),
        np.mean([sk.log_loss(y[:, k], p[:, k]) for k in range(3)]),
        sk.roc_auc_score(y, p, average="macro"),
    )
    np.testing.assert_allclose([score(name, y, p, MULTILABEL) for name in NAMES[:5]], expected, rtol=1e-6)


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 1, 4), (-1, 0, 7)])
def test_kappa_weighs_numbers_by_their_distance(values):
    """As scikit-learn does where the grades between them are listed too."""
    rng = np.random.default_rng(3)
    truth, choice = rng.integers(0, len(values), 200), rng.integers(0, len(values), 200)
    targets = Targets("multiclass", tuple(map(str, values)))
    one_hot = np.eye(len(values))
    every = range(min(values), max(values) + 1)
    number = np.array(values)
    expected = sk.cohen_kappa_score(number[truth], number[choice], labels=every, weights="quadratic")
    assert score("quadratic_kappa", one_hot[truth], one_hot[choice], targets) == pytest.approx(expected)


def test_kappa_of_given_classes_weighs_ranks():
    rng = np.random.default_rng(4)
    truth, choice = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    expected = sk.cohen_kappa_score(truth, choice, weights="quadratic")
    for classes in (("No", "Mild", "Severe"), ("0", "1", "4")):
        targets = Targets("multiclass", classes, ordered=True)
        assert score("quadratic_kappa", np.eye(3)[truth], np.eye(3)[choice], targets) == pytest.approx(expected)


def test_kappa_of_words_is_refused_with_the_line_to_add():
    targets = Targets("multiclass", ("Mild", "No", "Severe"))
    with pytest.raises(CompError, match=r"add the line `classes: \[Mild, 'No', Severe\]` under `data:`"):
        score("quadratic_kappa", np.eye(3), np.eye(3), targets)
    two = Targets("multiclass", ("No", "Yes"))
    assert score("quadratic_kappa", np.eye(2), np.eye(2), two) == 1


def test_a_metric_of_ones_own_may_need_an_order():
    def distance(y, p, targets):
        return float(np.abs(targets.positions[y.argmax(axis=1)] - targets.positions[p.argmax(axis=1)]).mean())

    register("metric", "distance")(distance).needs_order = True
    y, p = np.eye(3), np.eye(3)[[2, 1, 0]]
    assert score("distance", y, p, Targets("multiclass", ("0", "1", "4"))) == pytest.approx(8 / 3)
    with pytest.raises(CompError, match="the metric distance needs the order"):
        score("distance", y, p, Targets("multiclass", ("a", "b", "c")))


def test_accuracy_of_several_labels_is_told_as_one_per_cell():
    y = np.array([[1, 0, 0], [0, 1, 1]])
    p = np.array([[0.9, 0.1, 0.2], [0.1, 0.9, 0.1]])
    assert score("accuracy", y, p, MULTILABEL) == pytest.approx(5 / 6)
    assert score("subset_accuracy", y, p, MULTILABEL) == 0.5
    assert metric_label("accuracy", "multilabel") == "accuracy (per cell)"
    assert metric_label("accuracy", "multiclass") == metric_label("accuracy", "binary") == "accuracy"


def test_kappa_of_several_labels_is_refused():
    with pytest.raises(CompError, match="quadratic_kappa"):
        score("quadratic_kappa", *several(3), MULTILABEL)


def test_a_label_with_one_value_is_left_out_of_the_auc():
    y, p = several(3)
    y[:, 1] = 0
    expected = np.mean([sk.roc_auc_score(y[:, k], p[:, k]) for k in (0, 2)])
    assert score("roc_auc", y, p, MULTILABEL) == pytest.approx(expected)


def test_the_auc_of_one_class_is_not_a_number():
    y, p = several(1)
    assert np.isnan(score("roc_auc", np.zeros_like(y), p, BINARY))


def test_a_sure_mistake_costs_a_finite_log_loss():
    y = np.array([[1.0, 0.0]])
    p = np.array([[0.0, 1.0]], dtype=np.float32)
    assert 30 < score("log_loss", y, p, Targets("multiclass", ("a", "b"))) < 40


def test_only_the_log_loss_is_better_when_smaller():
    assert [greater_is_better(name) for name in NAMES] == [True, True, True, False, True, True]


def test_an_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(CompError, match="no metric is called 'acuracy': did you mean 'accuracy'"):
        score("acuracy", *several(1), BINARY)
