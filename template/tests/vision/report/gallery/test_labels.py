"""Planted wrong labels stand first among the suspects."""

import numpy as np
import pandas as pd

from comp.tables import Targets
from comp.vision.report.gallery.cases import Answers
from comp.vision.report.gallery.labels import cases_of, suspects, write_suspects


def planted(kind: str, n: int = 1000, share: float = 0.03, seed: int = 0) -> tuple[Answers, set[int]]:
    """Out-of-fold predictions of a model that is mostly right, of rows of which some have another label than it saw."""
    rng = np.random.default_rng(seed)
    names = {"multiclass": ("a", "b", "c", "d"), "binary": ("ill",), "multilabel": ("x", "y", "z")}[kind]
    targets, k = Targets(kind, names), len(names)
    flipped = rng.choice(n, round(n * share), replace=False)
    table = pd.DataFrame({"id": [f"r{row}" for row in range(n)], "fold": 0})
    if kind == "multiclass":
        truth = rng.integers(0, k, n)
        logits = rng.normal(0, 1, (n, k)) + 4 * np.eye(k)[truth]
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        truth[flipped] = (truth[flipped] + rng.integers(1, k, len(flipped))) % k
        table["target"] = np.array(names)[truth]
    else:
        truth = rng.integers(0, 2, (n, k))
        p = 1 / (1 + np.exp(-(rng.normal(0, 1, (n, k)) + 6 * (truth - 0.5))))
        column = rng.integers(0, k, len(flipped))
        truth[flipped, column] = 1 - truth[flipped, column]
        table[targets.truth_columns] = truth
    table[targets.columns] = p
    return Answers.of(table, targets), set(flipped.tolist())


def test_most_planted_labels_are_among_as_many_suspects():
    for kind in ("multiclass", "binary", "multilabel"):
        answers, flipped = planted(kind)
        table, count = suspects(answers)
        first = set(table["row"].head(len(flipped)))
        assert len(first & flipped) >= 0.8 * len(flipped), kind
        assert 0.3 * len(flipped) <= count <= 3 * len(flipped), kind
        assert table["score"].is_monotonic_decreasing


def test_without_planted_labels_few_stand_out():
    with_planted, without = (suspects(planted("multiclass", share=share)[0])[1] for share in (0.05, 0.0))
    assert without < 0.5 * with_planted


def test_the_file_has_what_was_suggested(repo):
    answers, flipped = planted("multiclass")
    table, _ = suspects(answers)
    write_suspects(repo / "suspects.csv", table)
    written = pd.read_csv(repo / "suspects.csv")
    assert list(written) == ["id", "label", "suggested", "score"]
    given = answers.oof.set_index("id")["target"]
    assert (written["label"] == given.loc[written["id"]].to_numpy()).all()
    assert (written["label"] != written["suggested"]).all()
    assert int(written["id"][0].removeprefix("r")) in flipped


def test_a_label_of_several_is_named():
    table, _ = suspects(planted("multilabel")[0])
    first = table.iloc[0]
    assert {first["label"][0], first["suggested"][0]} <= set("xyz")
    assert {first["label"][1:], first["suggested"][1:]} == {"=0", "=1"}
    case = cases_of(planted("multilabel")[0], table)[0]
    assert case.lines[1] == first["label"][0]


def test_numbers_far_from_all_others_errors():
    rng = np.random.default_rng(0)
    y = rng.normal(50, 10, 400)
    p = y + rng.normal(0, 2, 400)
    y[7] += 60
    y[9] -= 40
    table = pd.DataFrame({"id": [f"r{row}" for row in range(400)], "fold": 0, "target": y, "p_age": p})
    answers = Answers.of(table, Targets("regression", ("age",)))
    found, count = suspects(answers)
    assert list(found["row"][:2]) == [7, 9]
    assert count <= 4
    assert [case.sign for case in cases_of(answers, found)[:2]] == [-1, 1]


def test_a_class_that_no_row_has_and_sure_rows_make_no_suspects():
    table = pd.DataFrame({"id": ["r0", "r1"], "fold": 0, "target": ["a", "b"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0]})
    found, count = suspects(Answers.of(table.assign(p_c=0.0), Targets("multiclass", ("a", "b", "c"))))
    assert (len(found), count) == (0, 0)
