"""The page of a competitor's day: what it says is to be typed is there. `python ci/guide.py` types it."""

import pytest
from guide import PAGE, commands_of_page
from rendering import APPROACHES

from comp.cli import SHORT
from comp.tasks import commands_of


@pytest.mark.parametrize(("task", "recipe"), APPROACHES)
def test_every_line_of_the_page_is_a_command_of_the_task(render, task, recipe):
    text = (render(task=task, recipe=recipe) / PAGE).read_text(encoding="utf-8")
    lines, here = commands_of_page(text), commands_of(task)
    assert {"download", "check", "train", "submit", "board", "handover"} <= {words[1] for words in lines}
    assert len(lines) == text.count("\ncomp ")
    for program, *words in lines:
        name = " ".join(words[:2]) if " ".join(words[:2]) in here else words[0]
        known = [f"--{each.replace('_', '-')}" for each in (*here[name].flags, *here[name].options)]
        known += [SHORT[each] for each in here[name].options if each in SHORT]
        assert program == "comp"
        assert {word for word in words if word.startswith("-")} <= set(known)


def test_a_block_of_another_kind_and_a_comment_are_not_typed():
    assert commands_of_page("```sh\ncomp a  # first\n\ncomp b 'x=[1,2]'\n```\n```yaml\ncomp c\n```\n") == [
        ["comp", "a"],
        ["comp", "b", "x=[1,2]"],
    ]
