"""What diverges leaves a mark, for who sees no more of the training than that it failed."""

import pytest

from comp.errors import CompError
from comp.loop.saving import Diverged, divergence_noted
from comp.runs.rundir import DIVERGED, RunDir


def test_a_mark_stands_where_the_last_training_diverged(repo):
    run = RunDir.of_name("small")
    for error, marked in ((Diverged("NaN"), True), (CompError("no memory"), False), (Diverged("inf"), True)):
        with pytest.raises(CompError), divergence_noted(run.fold(0) / DIVERGED):
            raise error
        assert run.diverged() == marked
    with divergence_noted(run.fold(0) / DIVERGED):
        assert not run.diverged()
    assert not run.started
