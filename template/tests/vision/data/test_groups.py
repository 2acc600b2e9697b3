"""A group in two spellings is one group, as a label is."""

import pandas as pd
import pytest

from comp.vision.data.groups import one_spelling


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        (["p1", "p1 ", " p1", "p2"], ["p1", "p1", "p1", "p2"]),
        (["1", "1.0", "01", "2"], ["1", "1", "1", "2"]),
        (["1.0", "1", "", "2"], ["1.0", "1.0", "", "2"]),
        (["1", "1.0", "a"], ["1", "1.0", "a"]),  # not all are numbers: 1.0 may be a version
        (["-1", "1", "1.5", "1.50"], ["-1", "1", "1.5", "1.5"]),
        (["9007199254740993", "9007199254740992"], ["9007199254740993", "9007199254740992"]),  # one float, two groups
        (["P1", "p1"], ["P1", "p1"]),
        (["007", "008"], ["007", "008"]),
    ],
)
def test_spellings_of_one_group_are_joined_and_others_are_not(values, groups):
    assert one_spelling(pd.Series(values, dtype=object))[0].tolist() == groups


def test_only_joined_spellings_are_told():
    assert one_spelling(pd.Series([" p1", " p2"], dtype=object))[1] == ""
    assert one_spelling(pd.Series(["p1", "p2", "p1 "], dtype=object))[1] == "'p1', 'p1 '"
