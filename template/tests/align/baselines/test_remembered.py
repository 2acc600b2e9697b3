"""Scores of baselines are remembered beside the folds; damaged, they are measured again."""

import pytest
from align.small import configured, write_competition


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"folds": 1}', b"\xff\xfe", b'{"scores": {"ridge": []}}'])
def test_damaged_scores_of_baselines_are_measured_again(repo, comp, content):
    write_competition(repo / "data")
    configured()
    assert comp("split")[0] == comp("train")[0] == 0
    memory = repo / "data/baselines.json"
    before = memory.read_bytes()
    memory.write_bytes(content)
    status, printed, errors = comp("train")
    assert (status, errors) == (0, "")
    assert "baselines.json is damaged" in printed
    assert memory.read_bytes() == before
