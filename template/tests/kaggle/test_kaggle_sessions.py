"""What `comp kaggle train` keeps apart, and what all experiments share, with nobody to answer."""

import json
from importlib import import_module
from pathlib import Path

import pytest
from kaggle_server import SLUG, USER
from support import configure

from comp.files import write_text
from comp.kaggle.publish import Notebook
from comp.kaggle.training import sessions
from comp.kaggle.training.packed import Packed
from comp.kaggle.training.pushed import output_of

KIT = sorted(path.parent.name for path in Path(__file__).parent.parent.glob("*/small.py"))[-1]


@pytest.fixture
def uploads(monkeypatch):
    """The versions of datasets that were uploaded, by the digest of what is in them."""
    found = []
    monkeypatch.setattr(sessions, "publish_dataset", lambda folder, ref, message: found.append((ref, message)))
    monkeypatch.setattr(sessions, "is_at_work", lambda ref: False)
    monkeypatch.setattr(sessions, "push_notebook", lambda folder, seconds: Notebook(ref_in(folder), 1))
    return found


def ref_in(folder):
    return json.loads((folder / "kernel-metadata.json").read_text("utf-8"))["id"]


def push(name, code="one"):
    config = configure(import_module(f"{KIT}.small").SMALL, name=name, kaggle={"competition": SLUG})
    packed = Packed(Path("runs/.kaggle") / name / "code", code, code, "")
    return sessions.push(sessions.Job(config, USER, ["train"], packed), None, replaces=False)


def test_experiments_share_the_code_on_kaggle_and_nothing_else(uploads):
    first, second = (push(name) for name in ("v1.0", "v1_0"))
    assert uploads == [(f"{USER}/{SLUG}-code", "one")]
    assert first.kernel != second.kernel
    assert {ref_in(folder) for folder in Path("kaggle/train").iterdir()} == {first.kernel, second.kernel}
    push("third", code="two")
    push("v1.0")  # the other's has taken its place
    assert [code for _, code in uploads] == ["one", "two", "one"]


def test_what_was_fetched_in_part_of_another_training_is_not_gone_on_with(uploads):
    write_text(output_of("first", 1) / "runs/first/fold1/metrics.json", "{}")
    write_text(output_of("second", 1) / "runs/second/fold1/metrics.json", "{}")
    push("first")
    assert not output_of("first", 1).exists()
    assert output_of("second", 1).exists()
