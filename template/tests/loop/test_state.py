"""The state of a training: where the last one cannot be read, the one before it goes on; else it is told in a line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import nn

from comp.errors import CompError
from comp.loop.state import Progress, State
from comp.loop.tensors import read_tensors, write_tensors

DAMAGES = {
    "half": lambda whole: whole[: len(whole) // 2],
    "empty": lambda _: b"",
    "noise": lambda whole: np.random.default_rng(1).bytes(len(whole)),
    "a flipped bit of a weight": lambda whole: flipped(whole),
}


def flipped(whole: bytes) -> bytes:
    place = whole.index(torch.full((50,), 7.0).numpy().tobytes())
    return whole[: place + 3] + bytes([whole[place + 3] ^ 1]) + whole[place + 4 :]


def state(weight: float) -> tuple[State, Accelerator]:
    accelerator, model = Accelerator(cpu=True), nn.Linear(50, 1)
    nn.init.constant_(model.weight, weight)
    optimizer = accelerator.prepare(torch.optim.SGD(model.parameters(), 0.1))
    return State(model, None, optimizer, torch.zeros(()), Progress(update=int(weight))), accelerator


@pytest.fixture
def folder(repo) -> Path:
    """With the states of two updates, 6 and 7."""
    for weight in (6.0, 7.0):
        kept, accelerator = state(weight)
        kept.save(repo / "last", accelerator)
    return repo / "last"


def loaded(folder: Path) -> State:
    new, accelerator = state(0.0)
    assert new.load(folder, accelerator)
    return new


def test_the_last_state_goes_on(folder):
    assert loaded(folder).progress.update == 7


@pytest.mark.parametrize("how", DAMAGES)
def test_of_a_damaged_last_state_the_one_before_goes_on_and_it_is_told(how, folder, capsys):
    last = folder / "state.pt"
    last.write_bytes(DAMAGES[how](last.read_bytes()))
    found = loaded(folder)
    assert found.progress.update == 6
    assert (found.model.weight == 6).all()
    told = capsys.readouterr().out
    assert told.startswith(f"resume  {last} is damaged (")
    assert f"{folder / 'before.pt'} is taken" in told


@pytest.mark.parametrize("values", [{}, {"model": {}}, {"model": {}, "optimizer": {}, "own": [], "progress": {"x": 1}}])
def test_a_state_that_holds_something_else_is_damaged_too(values, folder):
    write_tensors(folder / "state.pt", values)
    assert loaded(folder).progress.update == 6


@pytest.mark.parametrize("left", ["state.pt", "before.pt"])
def test_with_no_state_that_can_be_read_it_is_one_line(left, folder):
    for path in list(folder.iterdir()):
        path.write_bytes(b"noise") if path.name == left else path.unlink()
    with pytest.raises(CompError, match=rf"{left} is damaged .*: remove {folder} and run comp train") as refused:
        loaded(folder)
    assert "\n" not in str(refused.value)


def test_both_damaged_is_one_line(folder):
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(CompError, match=r"before\.pt is damaged"):
        loaded(folder)


def test_a_state_of_another_model_does_not_fit(folder):
    new, accelerator = state(0.0)
    new.model = nn.Linear(3, 3)
    with pytest.raises(CompError, match=r"state\.pt does not fit: .* Run comp train --fresh") as refused:
        new.load(folder, accelerator)
    assert "\n" not in str(refused.value)


def test_tensors_of_any_other_kind_are_refused(repo):
    torch.save([1, 2], repo / "list.pt")
    with pytest.raises(CompError, match="holds a list"):
        read_tensors(repo / "list.pt")
