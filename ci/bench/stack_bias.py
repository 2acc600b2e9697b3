"""How far the cross-fitted score of a learned combiner is from what its combiners reach on new rows.

    PYTHONPATH=template/src python ci/bench/stack_bias.py --seeds 20

Six naive Bayes members, five folds. `signal`: two members know something, one more than the other, and four know
nothing, so that learning which is which pays. `noise`: nobody knows anything, and 0.5 is true. The fresh score is that
of fold k's members and combiners on 4,000 new rows, the mean over folds; `gain` is the learned combiner's less the
mean's, as the table of `comp stack` shows it and as new rows have it. Standard errors are over seeds.
"""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB

from comp.folds import Split
from comp.tables import Targets
from comp.vision.ensemble.combiners import blend_fit
from comp.vision.ensemble.crossfit import Known, Predicted, cross_fitted, parts_of_folds
from comp.vision.ensemble.learners import stack_fit
from comp.vision.schema import Blend, Stack

TARGETS = Targets("binary", ("label",))
MEMBERS, FOLDS, FRESH = 6, 5, 4000
STRENGTH = {0: 0.9, 1: 0.45}  # of a member's first column
LEARNED = {"logistic": Stack(kind="logistic"), "lightgbm": Stack(kind="lightgbm"), "weights": Blend(kind="weights")}
SCHEMES = {"10 parts": (10, 1), "10 parts, 5 times": (10, 5), "20 parts": (20, 1), "40 parts": (40, 1)}


def drawn(rows: int, seed: int, signal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Columns (rows, 18) and labels (rows,), half of them 1."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, 3 * MEMBERS)), rng.permutation(np.arange(rows) % 2)
    for member, strength in STRENGTH.items():
        x[:, 3 * member] += signal * strength * y
    return x, y


def measured(rows: int, seed: int, signal: bool) -> list[dict[str, object]]:
    """The scores of each combiner and scheme on one draw."""
    x, y = drawn(rows, seed, signal)
    x_new, y_new = drawn(FRESH, 10_000 + seed, signal)
    fold, p, p_new = np.zeros(rows, int), np.zeros((rows, MEMBERS, 1)), np.zeros((FOLDS, FRESH, MEMBERS, 1))
    for k, (train, valid) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y)):
        fold[valid] = k
        for m in range(MEMBERS):
            model = GaussianNB().fit(x[train, 3 * m : 3 * m + 3], y[train])
            p[valid, m, 0] = model.predict_proba(x[valid, 3 * m : 3 * m + 3])[:, 1]
            p_new[k, :, m, 0] = model.predict_proba(x_new[:, 3 * m : 3 * m + 3])[:, 1]
    table = pd.DataFrame({"id": np.arange(rows).astype(str), "target": y})
    split = Split(fold, table["id"].to_numpy(), FOLDS, "stratified", "")
    oof, none = Predicted(np.arange(rows), fold, p), np.zeros((rows, 0))
    mean = roc_auc_score(y, p.mean(axis=1)[:, 0])
    mean_new = np.mean([roc_auc_score(y_new, each.mean(axis=1)[:, 0]) for each in p_new])
    lines: list[dict[str, object]] = []
    for name, settings in LEARNED.items():
        learned = isinstance(settings, Stack)
        fit = stack_fit(settings, 0, TARGETS) if learned else blend_fit(settings, "roc_auc", TARGETS)
        for scheme, (parts, times) in SCHEMES.items():
            known = Known(none, y[:, None].astype(float), parts_of_folds(table, TARGETS, split, parts, times))
            combined, combiners = cross_fitted(oof, "own fold", fit, known)
            x0 = np.zeros((FRESH, 0))
            fresh = [
                roc_auc_score(y_new, np.mean([one(p_new[k], x0)[:, 0] for one in each], axis=0))
                for k, each in combiners.items()
            ]
            told, true = roc_auc_score(y, combined[:, 0]), float(np.mean(fresh))
            line = {"rows": rows, "data": "signal" if signal else "noise", "combiner": name, "scheme": scheme}
            line |= {"told": told, "fresh": true, "bias": told - true, "gain told": told - mean}
            line |= {"gain fresh": true - mean_new, "prefers the mean": told < mean, "rightly": true < mean_new}
            lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000])
    given = parser.parse_args()
    began = time.perf_counter()
    lines = [
        line
        for rows in given.rows
        for signal in (False, True)
        for seed in range(given.seeds)
        for line in measured(rows, seed, signal)
    ]
    groups = pd.DataFrame(lines).groupby(["rows", "data", "combiner", "scheme"], sort=False)
    table = groups.mean()
    table["± bias"] = groups["bias"].sem()
    columns = ["rows", "data", "combiner", "scheme", *table.columns]
    print("| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|")
    for names, values in zip(table.index, table.to_numpy(), strict=True):
        print("| " + " | ".join([*map(str, names), *(f"{value:.4f}" for value in values)]) + " |")
    print(f"\n{given.seeds} seeds, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
