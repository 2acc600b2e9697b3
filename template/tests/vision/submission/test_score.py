"""`comp score`: a submission against the truth, whichever way the two are written."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from comp.runs.predictions import test_table as table_of
from comp.runs.predictions import write_predictions
from comp.tables import Targets
from comp.vision.submission.score import score_submission

CATS = Targets("multiclass", ("bird", "cat", "dog"))
TWO = Targets("multiclass", ("cat", "dog"))
BINARY = Targets("binary", ("ill",))
MULTILABEL = Targets("multilabel", ("wet", "red"))
LABELS = "id,label\n01,cat\n02,dog\n03,bird\n04,cat\n"


@pytest.fixture
def prepare(repo, configure):
    """Puts a submission and a solution with these texts where `comp score` looks for them."""

    def write(targets, submission, solution, **settings):
        p = np.full((1, len(targets.classes)), 0.5)
        write_predictions(
            repo / "runs/small/test.parquet", table_of(pd.DataFrame({"id": ["x"]}), p, targets), targets, ""
        )
        for path, text in (("submissions/small.csv", submission), ("data/solution.csv", solution)):
            (repo / path).parent.mkdir(exist_ok=True)
            if text is not None:
                (repo / path).write_text(text, encoding="utf-8")
        return configure(**{"metric": "accuracy", "metrics": [], **settings})

    return write


def test_labels_are_compared(prepare):
    config = prepare(CATS, LABELS, "id,label\n01,cat\n02,dog\n03,cat\n04,dog\n")
    assert score_submission(config) == {"accuracy": 0.5}


def test_a_shuffled_solution_gives_the_same_score(prepare):
    config = prepare(CATS, LABELS, "id,label\n04,dog\n02,dog\n03,cat\n01,cat\n")
    assert score_submission(config) == {"accuracy": 0.5}


def test_the_usage_column_of_a_solution_is_passed_over(prepare):
    solution = "id,label,Usage\n01,cat,Public\n02,dog,Public\n03,cat,Private\n04,dog,Private\n"
    assert score_submission(prepare(TWO, "id,label\n01,cat\n02,cat\n03,cat\n04,dog\n", solution)) == {"accuracy": 0.75}


def test_probabilities_in_any_order_of_columns_are_scored(prepare):
    p = np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])
    table = pd.DataFrame(p, columns=CATS.classes).assign(id=["01", "02", "03", "04"])
    config = prepare(
        CATS, table[["id", "dog", "bird", "cat"]].to_csv(index=False), LABELS, metrics=["log_loss", "roc_auc"]
    )
    truth = np.array([1, 2, 0, 1])
    scores = score_submission(config)
    assert scores["accuracy"] == sk.accuracy_score(truth, p.argmax(axis=1))
    assert scores["log_loss"] == pytest.approx(sk.log_loss(truth, p))
    assert scores["roc_auc"] == pytest.approx(sk.roc_auc_score(truth, p, multi_class="ovr"))


def test_a_solution_may_have_a_column_a_class(prepare):
    submission = "id,p_dog,p_cat,p_bird\n01,0.1,0.8,0.1\n02,0.6,0.3,0.1\n"
    for solution in ("id,bird,cat,dog\n01,0,1,0\n02,1,0,0\n", "id,p_bird,p_dog,p_cat\n01,0,0,1\n02,1,0,0\n"):
        assert score_submission(prepare(CATS, submission, solution)) == {"accuracy": 0.5}


def test_the_probability_of_the_second_class_is_scored(prepare):
    config = prepare(TWO, "id,dog\n01,0.9\n02,0.2\n03,0.6\n", "id,label\n01,dog\n02,cat\n03,cat\n", metrics=["roc_auc"])
    assert score_submission(config) == {"accuracy": pytest.approx(2 / 3), "roc_auc": 1.0}


@pytest.mark.parametrize("column", ["is_cat", "Cat", "prob_cat"])
def test_a_column_is_scored_as_the_class_that_it_names(prepare, comp, column):
    submission = f"id,{column}\n01,0.1\n02,0.8\n03,0.4\n"
    prepare(TWO, submission, "id,label\n01,dog\n02,cat\n03,cat\n", metric="roc_auc")
    status, out, _ = comp("score")
    assert status == 0
    assert f"{column!r} is the probability of 'cat' (by its name)" in out
    assert "roc_auc 1.0000 on 3" in out


def test_a_column_that_names_no_class_is_scored_as_the_key_says(prepare, comp):
    prepare(TWO, "id,target\n01,0.1\n02,0.8\n", "id,label\n01,dog\n02,cat\n", metric="roc_auc")
    status, _, err = comp("score")
    assert (status, err.count("\n")) == (1, 1)
    assert "add the line `positive: cat`" in err
    assert "roc_auc 1.0000" in comp("score", "submit.positive=cat")[1]
    assert "roc_auc 0.0000" in comp("score", "submit.positive=dog")[1]


@pytest.mark.parametrize("solution", ["id,ill\n01,1\n02,0\n03,0\n", "id,prob_normal\n01,0\n02,1\n03,1\n"])
def test_the_probability_of_no_is_scored_as_such(prepare, comp, solution):
    prepare(BINARY, "id,prob_normal\n01,0.1\n02,0.8\n03,0.7\n", solution, metric="roc_auc")
    out = comp("score", "submit.positive=0")[1]
    assert "'prob_normal' is the probability of '0' (submit.positive)" in out
    assert "roc_auc 1.0000" in out


@pytest.mark.parametrize(
    ("column", "solution"),
    [
        ("ill", "id,ill\n01,yes\n02,no\n03,no\n"),
        ("ill", "id,ill\n01,1\n02,0\n03,0\n"),
        ("y", "id,y\n01,T\n02,F\n03,F\n"),
    ],
)
def test_a_solution_of_the_label_itself_is_no_probability_of_no(prepare, column, solution):
    config = prepare(BINARY, f"id,{column}\n01,0.1\n02,0.8\n03,0.7\n", solution, submit={"positive": "0"})
    assert score_submission(config) == {"accuracy": 1.0}


def test_probabilities_of_labels_are_scored_against_lists(prepare):
    targets = replace(MULTILABEL, separator=" ")
    submission = "id,wet,red\n01,0.9,0.1\n02,0.9,0.2\n03,0.1,0.2\n"
    config = prepare(targets, submission, "id,label\n01,wet\n02,red wet\n03,\n", metric="subset_accuracy")
    assert score_submission(config) == {"subset_accuracy": pytest.approx(2 / 3)}


def test_numbers_of_another_spelling_are_the_same_labels(prepare):
    grades = Targets("multiclass", ("0.0", "1.0", "4.0"))
    config = prepare(grades, "id,grade\n01,0\n02,4\n", "id,grade\n01,0.0\n02,1\n", metric="quadratic_kappa")
    expected = sk.cohen_kappa_score([0, 1], [0, 4], labels=range(5), weights="quadratic")
    assert score_submission(config)["quadratic_kappa"] == pytest.approx(expected)


def test_the_accuracy_of_several_labels_is_told_as_one_per_cell(prepare, comp):
    prepare(MULTILABEL, "id,red,wet\n01,0.9,0.1\n02,0.9,0.2\n", "id,wet,red\n01,0,1\n02,1,1\n")
    assert "accuracy (per cell) 0.7500" in comp("score", "metrics=[subset_accuracy]")[1]


def test_a_binary_target_is_scored(prepare):
    config = prepare(BINARY, "id,ill\n01,0.9\n02,0.2\n03,0.6\n", "id,ill\n03,0\n02,0\n01,1\n", metrics=["roc_auc"])
    assert score_submission(config) == {"accuracy": pytest.approx(2 / 3), "roc_auc": 1.0}


def test_several_labels_in_another_order_are_scored_by_name(prepare):
    config = prepare(MULTILABEL, "id,red,wet\n01,0.9,0.1\n02,0.9,0.2\n", "id,wet,red\n01,0,1\n02,0,1\n")
    assert score_submission(config) == {"accuracy": 1.0}


def test_a_metric_of_probabilities_is_passed_over_where_there_are_labels(prepare, comp):
    prepare(CATS, LABELS, LABELS, metrics=["log_loss"])
    status, out, _ = comp("score")
    assert status == 0
    assert "accuracy 1.0000 on 4 test rows" in out
    assert "log_loss needs probabilities" in out


@pytest.mark.parametrize(
    ("submission", "solution", "words"),
    [
        (LABELS, LABELS.replace("04", "05"), "different ids: '04', '05'"),
        (LABELS, LABELS.replace("cat", "fish"), "labels that no training row has: 'fish'"),
        (LABELS, None, "solution.csv does not exist"),
        (None, LABELS, "small.csv does not exist: run comp submit"),
        ("id,bird,cat,dog\n01,x,0,1\n", "id,label\n01,cat\n", "column 'bird' holds 'x', expected numbers"),
        (LABELS, LABELS + "04,dog\n", "more than once"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_a_line(prepare, comp, submission, solution, words):
    prepare(CATS, submission, solution)
    status, _, err = comp("score")
    assert (status, err.count("\n")) == (1, 1)
    assert words in err


def test_a_class_that_a_list_lacks_earns_nothing(prepare):
    four = Targets("multiclass", ("bird", "cat", "dog", "owl"))
    solution = "id,label\n01,owl\n02,dog\n03,cat\n04,bird\n"
    lists = "id,label\n01,bird cat dog\n02,bird cat dog\n03,cat dog owl\n04,owl dog cat\n"
    assert score_submission(prepare(four, lists, solution, metric="map@5")) == {"map@5": pytest.approx((1 / 3 + 1) / 4)}
    assert score_submission(prepare(four, LABELS, solution, metric="map@3")) == {"map@3": 0.25}
    assert score_submission(prepare(four, solution, solution, metric="map@3")) == {"map@3": 1.0}


def test_what_stands_for_no_known_class_takes_a_place_and_may_be_right(prepare):
    solution = "id,label\n01,cat\n02,new\n03,dog\n04,new\n"
    lists = "id,label\n01,new cat\n02,new dog\n03,dog new\n04,cat new\n"
    config = prepare(CATS, lists, solution, metric="map@3", metrics=["accuracy"], submit={"new": "new"})
    assert score_submission(config) == {"map@3": 0.75, "accuracy": 0.5}
    config = prepare(CATS, LABELS.replace("bird", "new"), solution, submit={"new": "new"})
    assert score_submission(config) == {"accuracy": 0.25}
