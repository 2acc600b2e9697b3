"""Hosts' rules, as plainly as they can be written: scores of a submission, by its text, against the true labels.

Both tables are indexed by id and hold text. None of the program's own code is used: what it turned around shows here.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

Rule = Callable[[pd.DataFrame, pd.DataFrame], float]


def accuracy(column: str = "label", of: str | None = None) -> Rule:
    """How many rows hold the very text of the label."""
    return lambda given, truth: float((given[column] == truth[of or column]).mean())


def auc(column: str, positive: str, of: str | None = None) -> Rule:
    """Of all pairs of a row of the label `positive` and another one, how many are in order."""

    def rule(given: pd.DataFrame, truth: pd.DataFrame) -> float:
        p, true = given[column].astype(float).to_numpy(), (truth[of or column] == positive).to_numpy()
        higher = p[true][:, None] - p[~true][None, :]
        return float(((higher > 0) + 0.5 * (higher == 0)).mean())

    return rule


def mean_of(*rules: Rule) -> Rule:
    return lambda given, truth: float(np.mean([rule(given, truth) for rule in rules]))


def rmse(columns: Mapping[str, str]) -> Rule:
    """`columns` of the submission → of the truth."""

    def rule(given: pd.DataFrame, truth: pd.DataFrame) -> float:
        errors = [given[one].astype(float) - truth[other].astype(float) for one, other in columns.items()]
        return float(np.sqrt(np.mean(np.square(errors), axis=1)).mean())

    return rule


def kappa(order: Sequence[str], column: str = "label", of: str | None = None) -> Rule:
    """Quadratic weighted kappa of labels that are spelled as in `order`, the lowest first."""

    def rule(given: pd.DataFrame, truth: pd.DataFrame) -> float:
        a, b = (np.array([order.index(label) for label in table]) for table in (given[column], truth[of or column]))
        by_chance = ((a[:, None] - b[None, :]) ** 2).mean()
        return float(1 - ((a - b) ** 2).mean() / by_chance)

    return rule


def f1_of_lists(column: str, separator: str) -> Rule:
    """Mean over rows; labels are compared as text, and a row without any is right where none is given."""

    def rule(given: pd.DataFrame, truth: pd.DataFrame) -> float:
        a_and_b = [[set(cell.split(separator)) - {""} for cell in table[column]] for table in (given, truth)]
        pairs = zip(*a_and_b, strict=True)
        return float(np.mean([2 * len(a & b) / (len(a) + len(b)) if a | b else 1.0 for a, b in pairs]))

    return rule


def f1(column: str, positive: str = "1") -> Rule:
    def rule(given: pd.DataFrame, truth: pd.DataFrame) -> float:
        a, b = given[column] == positive, truth[column] == positive
        return float(2 * (a & b).sum() / (a.sum() + b.sum()))

    return rule


def map_at(depth: int, column: str = "label", separator: str = " ") -> Rule:
    """1 / place of the true label in a list of the likeliest."""

    def rule(given: pd.DataFrame, truth: pd.DataFrame) -> float:
        lists = [cell.split(separator)[:depth] for cell in given[column]]
        pairs = list(zip(lists, truth[column], strict=True))
        return float(np.mean([1 / (names.index(label) + 1) if label in names else 0.0 for names, label in pairs]))

    return rule


def likelihood(classes: Mapping[str, str], of: str = "label") -> Rule:
    """exp(−log loss), 1 at best; `classes` has the label that each column of the submission stands for."""

    def rule(given: pd.DataFrame, truth: pd.DataFrame) -> float:
        p = given[list(classes)].astype(float)
        p = p.div(p.sum(axis=1), axis=0).rename(columns=classes)
        own = [p.loc[name, label] for name, label in truth[of].items()]
        return float(np.exp(np.log(np.clip(own, 1e-15, 1)).mean()))

    return rule
