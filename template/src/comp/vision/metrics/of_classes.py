"""Metrics of classes: `y` is (N, K) with ones and zeros, `p` (N, K) probabilities.

For several labels a metric is the mean over labels; a label that has one value only among the rows is left out where
nothing can be measured.
"""

import numpy as np
from sklearn import metrics as sk

from comp.registry import register
from comp.tables import Targets
from comp.vision.kinds import CLASSES, ONE


@register("metric", "accuracy", kinds=CLASSES, of_several_labels="per cell")
def accuracy(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Share of rows whose likeliest class is right. Of several labels, share of cells: rows × labels."""
    return float(right_of_rows(y, p, targets).mean())


@register("metric", "subset_accuracy", kinds=CLASSES)
def subset_accuracy(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Share of rows whose labels are all right; of one label per row, the accuracy."""
    return float(all_right_of_rows(y, p, targets).mean())


@register("metric", "balanced_accuracy", kinds=CLASSES)
def balanced_accuracy(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Mean recall over the classes that occur."""
    pairs = truth_and_choice(y, p, targets)
    return float(np.mean([sk.recall_score(t, c, labels=np.unique(t), average="macro") for t, c in pairs]))


@register("metric", "macro_f1", kinds=CLASSES)
def macro_f1(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Mean F1 over classes (a class that neither occurs nor is chosen is left out), or of each label's positives."""
    if targets.kind == "multiclass":
        return float(sk.f1_score(y.argmax(axis=1), p.argmax(axis=1), average="macro", zero_division=0.0))
    truth, chosen = y.astype(bool), p >= 0.5  # counted here: thresholds are fitted by thousands of looks at it
    either = truth.sum(axis=0) + chosen.sum(axis=0)
    return float(np.mean(2 * (truth & chosen).sum(axis=0) / np.maximum(either, 1)))


@register("metric", "log_loss", kinds=CLASSES, greater_is_better=False, needs_probabilities=True)
def log_loss(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    return float(log_loss_of_rows(y, p, targets).mean())


@register("metric", "roc_auc", kinds=CLASSES, needs_probabilities=True)
def roc_auc(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """One class against the rest, mean over the classes that occur and do not fill all rows."""
    both = [k for k in range(y.shape[1]) if 0 < y[:, k].sum() < len(y)]
    return float(np.mean([sk.roc_auc_score(y[:, k], p[:, k]) for k in both])) if both else float("nan")


@register("metric", "quadratic_kappa", kinds=ONE, needs_order=True)
def quadratic_kappa(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """Cohen's kappa: a mistake weighs the squared distance of its two classes (`Targets.positions`).

    As scikit-learn's for classes 0, 1, 2 …; grades 0, 1, 4 are 1, 3 and 4 apart, neighbors in `data.classes` 1.
    """
    place = targets.positions
    assert place is not None  # `score` refuses the others
    [(truth, choice)] = truth_and_choice(y, p, targets)
    distance = (place[truth] - place[choice]) ** 2
    by_chance = (place[truth][:, None] - place) ** 2 @ np.bincount(choice, minlength=len(place)) / len(choice)
    return float(1 - distance.mean() / by_chance.mean()) if by_chance.any() else float("nan")


def right_of_rows(y: np.ndarray, p: np.ndarray, targets: Targets) -> np.ndarray:
    """(N,) whether a row is right; of several labels, the share of them."""
    if targets.kind == "multiclass":
        return np.asarray(y.argmax(axis=1) == p.argmax(axis=1))
    return np.asarray(((p >= 0.5) == (y >= 0.5)).mean(axis=1))


def all_right_of_rows(y: np.ndarray, p: np.ndarray, targets: Targets) -> np.ndarray:
    """(N,) whether all labels of a row are right."""
    return np.asarray(right_of_rows(y, p, targets) == 1)


def log_loss_of_rows(y: np.ndarray, p: np.ndarray, targets: Targets) -> np.ndarray:
    """(N,) the loss of a row; of several labels, their mean."""
    safe = np.clip(p.astype(np.float64), 1e-15, 1 - 1e-15)
    if targets.kind == "multiclass":
        safe = safe / safe.sum(axis=1, keepdims=True)
        return np.asarray(-(y * np.log(safe)).sum(axis=1))
    return np.asarray(-(y * np.log(safe) + (1 - y) * np.log(1 - safe)).mean(axis=1))


def truth_and_choice(y: np.ndarray, p: np.ndarray, targets: Targets) -> list[tuple[np.ndarray, np.ndarray]]:
    """The true class and the chosen one (N,) of each row; of several labels, of each label, 0 or 1."""
    if targets.kind == "multiclass":
        return [(y.argmax(axis=1), p.argmax(axis=1))]
    return [(y[:, k].astype(int), (p[:, k] >= 0.5).astype(int)) for k in range(y.shape[1])]
