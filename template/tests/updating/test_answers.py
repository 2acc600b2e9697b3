"""Which line of conf/baseline.yaml says an answer, and putting it there."""

import pytest
import yaml

from comp.errors import CompError
from comp.updating.answers import difference, refusal, with_lines
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
    told = str(refusal({"metric": "macro_f1", "data.kind": "regression"}, ["metric=macro_f1"]))
    assert "comp update metric=macro_f1 --write" in told
    assert told.splitlines()[1:] == ["    metric: macro_f1", "    data: {kind: regression}"]


def test_a_list_and_an_empty_section_are_values():
    assert flat({"a": {"b": [1], "c": {}}, "d": 1}) == {"a.b": [1], "a.c": {}, "d": 1}
