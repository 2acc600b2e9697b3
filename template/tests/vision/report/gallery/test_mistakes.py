"""Which rows a gallery shows, of each kind of target: small tables whose worst and least sure rows are known."""

import numpy as np
import pandas as pd
import pytest

from comp.tables import Targets
from comp.vision.report.gallery.cases import MOST, Answers
from comp.vision.report.gallery.mistakes import mistakes


def answers(targets: Targets, truth: list, p: list[list[float]]) -> Answers:
    """One row per truth, with the ids r0, r1, …"""
    y = np.array(truth, dtype=object).reshape(len(truth), -1)
    table = pd.DataFrame({"id": [f"r{row}" for row in range(len(y))], "fold": np.arange(len(y)) % 2})
    table[targets.truth_columns] = y
    table[targets.columns] = np.array(p)
    return Answers.of(table, targets)


def shown(answers: Answers, graded: bool = False) -> dict[str, list[int]]:
    return {title: [case.row for case in cases] for title, _, cases in mistakes(answers, graded)}


CATS = Targets("multiclass", ("cat", "dog", "owl"))


def test_of_classes():
    p = [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.02, 0.08, 0.9], [0.34, 0.33, 0.33]]
    made = answers(CATS, ["cat", "cat", "cat", "owl"], p)
    assert shown(made) == {"Worst mistakes": [2, 1, 3], "Least sure": [3, 1, 2, 0]}
    worst, least = (cases for *_, cases in mistakes(made))
    assert worst[0].lines == ("r2 · fold 0", "true cat (0.02)", "predicted owl (0.90)")
    assert (worst[0].up, worst[0].down) == (2, 0)
    assert least[0].lines[0::3] == ("r3 · fold 1", "true owl")
    assert sorted(least[0].lines[1:3])[0] == "either cat (0.34)"


def test_the_worst_of_each_two_classes_comes_first():
    p = [[0.01, 0.99, 0], [0.02, 0.98, 0], [0.3, 0, 0.7], [0.03, 0.97, 0]]
    assert shown(answers(CATS, ["cat"] * 4, p))["Worst mistakes"] == [0, 2, 1, 3]


def test_all_right_has_no_mistakes():
    assert set(shown(answers(CATS, ["cat", "dog"], [[0.9, 0.1, 0], [0, 1, 0]]))) == {"Least sure"}


def test_of_grades_the_farthest_off_are_worst():
    """Row 0 is less likely right, row 1 farther off."""
    grades = Targets("multiclass", ("0", "1", "2", "3"), ordered=True)
    p = [[0.01, 0.98, 0.01, 0.0], [0.2, 0.0, 0.0, 0.8]]
    made = answers(grades, ["0", "0"], p)
    assert shown(made)["Worst mistakes"] == [0, 1]
    assert shown(made, graded=True)["Worst mistakes"] == [1, 0]
    assert mistakes(made, graded=True)[0][2][0].lines[-1] == "expected grade 2.40"


def test_of_a_binary_target():
    made = answers(Targets("binary", ("ill",)), [1, 0, 1, 0], [[0.02], [0.7], [0.9], [0.48]])
    assert shown(made) == {"Worst mistakes": [0, 1], "Least sure": [3, 1, 2, 0]}
    first, second = mistakes(made)[0][2]
    assert first.lines == ("r0 · fold 0", "ill", "true 1", "predicted 0.02")
    assert (first.sign, second.sign) == (-1, 1)


def test_of_several_labels_a_row_is_shown_once_with_its_worst():
    made = answers(Targets("multilabel", ("rust", "scab")), [[1, 1], [0, 0]], [[0.3, 0.01], [0.9, 0.2]])
    worst = mistakes(made)[0]
    assert [(case.row, case.up) for case in worst[2]] == [(0, 1), (1, 0)]
    assert worst[1].startswith("2 of 3 mistakes")


def test_of_numbers():
    numbers = Targets("regression", ("price", "size"))
    made = answers(numbers, [[0, 0], [10, 1], [20, 2], [30, 3]], [[0, 0], [10, 5], [15, 2], [31, 3]])
    assert shown(made) == {"Predicted too high": [1, 3], "Predicted too low": [2]}
    assert mistakes(made)[0][2][0].lines == ("r1 · fold 1", "size", "true 1", "predicted 5")


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel", "regression"])
def test_a_gallery_is_bounded(kind):
    rng = np.random.default_rng(0)
    targets = Targets(kind, ("a", "b") if kind != "binary" else ("a",))
    truth = rng.choice(["a", "b"], 500) if kind == "multiclass" else rng.integers(0, 2, (500, len(targets.classes)))
    made = answers(targets, list(truth), rng.random((500, len(targets.classes))))
    assert [len(rows) for rows in shown(made).values()] == [MOST, MOST]
