"""Which class a column is for is read from names, or asked for: never from the alphabet."""

import numpy as np
import pytest

from comp.errors import CompError
from comp.tables import Targets
from comp.vision.submission.columns import classes_named, columns_of, positive_class

CAT = ["cat", "Cat", " cat ", "is_cat", "isCat", "IS-CAT", "has cat", "prob_cat", "p_cat", "p(cat)", "proba_cat"]
CAT += ["pred_cat", "cat_probability", "cat_prob", "cat_score", "Probability of cat", "predicted_cat_conf."]


@pytest.mark.parametrize("column", CAT)
@pytest.mark.parametrize("classes", [("cat", "dog"), ("bird", "cat")])
def test_a_column_is_for_the_class_that_it_names(column, classes):
    assert classes[positive_class(column, Targets("multiclass", classes), None)[0]] == "cat"


@pytest.mark.parametrize("column", ["target", "probability", "not_cat", "non-cat", "cat_or_dog", "category", "catdog"])
def test_a_name_that_does_not_decide_is_asked_for(column):
    with pytest.raises(CompError) as refused:
        positive_class(column, Targets("multiclass", ("cat", "dog")), None)
    assert "add the line `positive: cat` or `positive: dog` under `submit:`" in str(refused.value)


def test_a_line_to_add_is_quoted_where_yaml_would_read_something_else():
    with pytest.raises(CompError, match=r"`positive: '1'` or `positive: 'off'`"):
        positive_class("target", Targets("multiclass", ("1", "off")), None)


@pytest.mark.parametrize("given", ["FAKE", "REAL"])
def test_the_key_decides_where_the_name_does_not(given):
    targets = Targets("multiclass", ("FAKE", "REAL"))
    assert positive_class("target", targets, given) == (targets.classes.index(given), "submit.positive")
    with pytest.raises(CompError, match=r"submit\.positive=fake: there is no such class, there are 'FAKE', 'REAL'"):
        positive_class("target", targets, "fake")


@pytest.mark.parametrize("classes", [("0", "1"), ("0.0", "1.0"), ("-1", "1"), ("False", "True"), ("No", "Yes")])
def test_of_no_and_yes_it_is_yes(classes):
    for order in (classes, classes[::-1]):
        assert order[positive_class("target", Targets("multiclass", order), None)[0]] == classes[1]


@pytest.mark.parametrize(
    ("columns", "classes", "expected"),
    [
        (["prob_cat", "prob_big_cat"], ("big_cat", "cat"), [1, 0]),
        (["Big Cat", "CAT"], ("big_cat", "cat"), [0, 1]),
        (["animal_dog", "animal_cat"], ("cat", "dog"), [1, 0]),
        (["dog (share)", "cat (share)"], ("cat", "dog"), [1, 0]),
        (["big_dog", "big_cat"], ("big_cat", "big_dog"), [1, 0]),
        (["class_10", "class_2", "class_1"], ("1", "2", "10"), [2, 1, 0]),
        (["p1", "p0"], ("0.0", "1.0"), [1, 0]),
        (["prob_1.0", "prob_10.0"], ("1.0", "10.0"), [0, 1]),
        (["p_1", "p_-1"], ("-1", "1"), [1, 0]),
        (["nan", "NA", "None"], ("NA", "None", "nan"), [2, 0, 1]),
        (["p_ß", "p_猫"], ("ß", "猫"), [0, 1]),
        (["cat", "Cat"], ("Cat", "cat"), [1, 0]),
        (["P_CAT", "x"], ("Cat", "cat"), [None, None]),
        (["not_cat", "not_dog"], ("cat", "dog"), [None, None]),
        (["p_is"], ("is", "p"), [None]),
    ],
)
def test_columns_of_several_classes_are_matched_by_their_words(columns, classes, expected):
    assert classes_named(columns, classes) == expected


def test_columns_in_any_case_and_order_are_a_permutation():
    rng = np.random.default_rng(0)
    classes = tuple(f"kind {number}" for number in range(30))
    order = rng.permutation(30)
    columns = [f"Prob-Kind-{number}" for number in order]
    assert columns_of(columns, Targets("multiclass", classes)) == order.tolist()


def test_two_columns_of_a_binary_target_are_told_the_way():
    with pytest.raises(CompError, match=r"set data\.kind=multiclass"):
        columns_of(["ill_0", "ill_1"], Targets("binary", ("ill",)))
