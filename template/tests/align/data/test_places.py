"""The files of captions lie in `data.root`, or where `comp download` has unpacked them."""

from pathlib import Path

import pytest
from align.small import configured, write_competition

from comp.align.data.pairs import read_pairs
from comp.align.data.places import files_root
from comp.errors import CompError


def test_the_one_folder_of_the_root_that_has_them_is_taken_and_the_demo_is_not():
    write_competition(Path("data/digits"))
    write_competition(Path("data/demo"))
    pairs = read_pairs(configured())
    assert "digits" in pairs.notes[0]
    assert pairs.notes[-1].startswith("sample  sample_submission.csv: 20 rows")
    write_competition(Path("data"))
    assert files_root(configured().data) == Path("data")


def test_of_two_folders_none_is_guessed():
    write_competition(Path("data/one"))
    write_competition(Path("data/two"))
    with pytest.raises(CompError, match=r"set data\.train"):
        read_pairs(configured())
