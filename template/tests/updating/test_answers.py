"""Which line of conf/baseline.yaml says an answer, and putting it there."""

import pytest
import yaml

from comp.errors import CompError
from comp.updating.answers import Lines, compared, difference, refusal, with_lines
from comp.updating.recipes import flat

TEXT = """# Yours.
base: recipes/one.yaml
metric: accuracy # as the page says
folds: {n: 5, kind: auto} # five
model:
  # a comment

  backbone: resnet18
  image_size: 224 # px
tracker: none
"""


@pytest.mark.parametrize(
    ("lines", "before", "after"),
    [
        ({"metric": "map@3"}, "metric: accuracy # as the page says", "metric: map@3 # as the page says"),
        ({"folds.n": 4}, "folds: {n: 5, kind: auto} # five", "folds: {n: 4, kind: auto} # five"),
        ({"folds.kind": "holdout"}, "{n: 5, kind: auto}", "{n: 5, kind: holdout}"),
        ({"folds.holdout": 0.1}, "{n: 5, kind: auto}", "{holdout: 0.1, n: 5, kind: auto}"),
        ({"model.image_size": 96}, "  image_size: 224 # px", "  image_size: 96 # px"),
        ({"model.backbone": "1e3"}, "  backbone: resnet18", '  backbone: "1e3"'),
        ({"model.weights": None}, "model:\n", "model:\n  weights: null\n"),
        ({"data.kind": "regression"}, "tracker: none\n", "tracker: none\ndata: {kind: regression}\n"),
        ({"members": []}, "tracker: none\n", "tracker: none\nmembers: []\n"),
        ({"name": "no"}, "tracker: none\n", 'tracker: none\nname: "no"\n'),
    ],
)
def test_the_line_changes_and_nothing_else(lines, before, after):
    assert with_lines(TEXT, lines) == TEXT.replace(before, after)
    shown = difference(TEXT, with_lines(TEXT, lines)).splitlines()
    assert shown[:2] == ["--- conf/baseline.yaml", "+++ conf/baseline.yaml"]
    assert [line for line in shown[2:] if line.startswith("+") and after.splitlines()[-1] in line]


def test_a_key_in_quotes_is_that_key():
    assert with_lines('"folds": {n: 5}\n', {"folds.n": 4}) == '"folds": {n: 4}\n'


def test_into_an_empty_file_too():
    assert yaml.safe_load(with_lines("", {"folds.n": 4})) == {"folds": {"n": 4}}


@pytest.mark.parametrize("text", ["folds: &five\n  {n: 5}\nmodel: *five\n", "folds: 5\n"])
def test_what_only_its_author_can_change_is_left_to_him(text):
    with pytest.raises(CompError, match=r"conf/baseline.yaml: these lines could not be put in .*folds: \{n: 4\}"):
        with_lines(text, {"folds.n": 4})


def test_the_refusal_says_the_line_and_the_command_that_writes_it():
    told = str(refusal(Lines(write={"metric": "macro_f1", "data.kind": "regression"}), ["metric=macro_f1"]))
    assert "comp update metric=macro_f1 --write" in told
    assert told.splitlines()[1:] == ["    metric: macro_f1", "    data: {kind: regression}"]


def test_a_list_and_an_empty_section_are_values():
    assert flat({"a": {"b": [1], "c": {}}, "d": 1}) == {"a.b": [1], "a.c": {}, "d": 1}


BEFORE = flat({"base": "recipes/one.yaml", "metric": "accuracy", "folds": {"n": 5, "kind": "stratified"}})


def test_what_an_answer_brings_is_written_where_nothing_of_the_users_stands():
    asked = {**BEFORE, "metric": "rmse", "data.kind": "regression", "steps": ["split"]}
    assert compared(asked, BEFORE, BEFORE, {"metric"}) == Lines(
        write={"metric": "rmse", "data.kind": "regression", "steps": ["split"]}
    )


def test_a_line_of_the_users_that_nobody_asked_about_stays_and_is_named():
    members = [{"name": "a"}]
    here = {**BEFORE, "folds.kind": "group", "members": members, "model.image_size": 96}
    asked = {**BEFORE, "folds.n": 10, "folds.kind": "auto", "members": [], "model.image_size": 384}
    lines = compared(asked, {**BEFORE, "model.image_size": 224}, here, {"folds.n", "model.image_size"})
    assert lines.write == {"folds.n": 10, "model.image_size": 384}
    assert lines.notes() == [
        "stays   folds.kind is yours; a new repository has folds: {kind: auto}",
        "stays   members is yours; a new repository has members: []",
    ]


def test_what_is_asked_by_its_key_is_written_whatever_stood_there():
    here = {**BEFORE, "metric": "one of mine"}
    assert compared(BEFORE, BEFORE, here, {"metric"}) == Lines(write={"metric": "accuracy"})


def test_the_way_back_names_what_the_way_there_brought():
    brought = {"data.kind": "regression", "train.sampler": "shuffle", "steps": ["split"]}
    here = {**BEFORE, **brought, "metric": "rmse", "steps": ["split", "train"]}
    lines = compared(BEFORE, {**BEFORE, **brought, "metric": "rmse"}, here, {"metric"})
    assert lines.write == {"metric": "accuracy"}
    assert lines.notes() == [
        "remove  data: {kind: regression}: the answer before brought it",
        "remove  train: {sampler: shuffle}: the answer before brought it",
    ]
    assert str(refusal(lines, ["metric=accuracy"])).splitlines()[1:] == ["    metric: accuracy", *lines.notes()]
