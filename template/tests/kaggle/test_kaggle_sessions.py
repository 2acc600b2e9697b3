"""Sessions of `comp kaggle train`: what experiments share, who is waited for, and what is not on Kaggle any more."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from kaggle_cloud import Cloud, Session
from kaggle_server import SLUG, USER
from support import configure

from comp.errors import CompError
from comp.files import write_text
from comp.kaggle import client, publish
from comp.kaggle.client import Refused
from comp.kaggle.publish import Notebook, is_gone
from comp.kaggle.training import fetch, sessions
from comp.kaggle.training import train as room
from comp.kaggle.training.packed import Packed
from comp.kaggle.training.pushed import output_of, read_pushed, write_pushed

KIT = sorted(path.parent.name for path in Path(__file__).parent.parent.glob("*/small.py"))[-1]


@pytest.fixture
def uploads(monkeypatch):
    """The versions of datasets that were uploaded, by the digest of what is in them. Nobody else answers."""
    found = []
    monkeypatch.setattr(sessions, "publish_dataset", lambda folder, *about: found.append(about) or len(found))
    monkeypatch.setattr(sessions, "version_of", lambda ref: len(found))
    monkeypatch.setattr(sessions, "is_at_work", lambda ref: False)
    monkeypatch.setattr(sessions, "push_notebook", lambda folder, seconds: Notebook(ref_in(folder), 1))
    return found


def ref_in(folder):
    return json.loads((folder / "kernel-metadata.json").read_text("utf-8"))["id"]


def named(name):
    return configure(import_module(f"{KIT}.small").SMALL, name=name, kaggle={"competition": SLUG, "owner": USER})


def push(name, code="one"):
    packed = Packed(Path("runs/.kaggle") / name / "code", code, code, "")
    return sessions.push(sessions.Job(named(name), USER, ["train"], packed), None, replaces=False)


def test_experiments_share_the_code_on_kaggle_and_nothing_else(uploads):
    first, second = (push(name) for name in ("v1.0", "v1_0"))
    assert uploads == [(f"{USER}/{SLUG}-code", "one")]
    assert first.kernel != second.kernel
    assert {ref_in(folder) for folder in Path("kaggle/train").iterdir()} == {first.kernel, second.kernel}
    push("third", code="two")
    push("v1.0")  # the other's has taken its place
    assert [code for _, code in uploads] == ["one", "two", "one"]


@pytest.mark.parametrize("version", [None, 2])
def test_code_that_was_deleted_or_replaced_on_kaggle_is_uploaded_again(version, uploads, monkeypatch):
    push("first")
    monkeypatch.setattr(sessions, "version_of", lambda ref: version)
    push("first")
    assert len(uploads) == 2


def test_a_damaged_note_of_what_was_uploaded_is_made_again(uploads, capfd):
    push("first")
    write_text(Path("runs/.kaggle/uploaded.json"), '{"dataset"')
    push("first")
    assert len(uploads) == 2
    assert "note    runs/.kaggle/uploaded.json is damaged" in capfd.readouterr().out.replace("\\", "/")


def test_what_was_fetched_in_part_of_another_training_is_not_gone_on_with(uploads):
    write_text(output_of("first", 1) / "runs/first/fold1/metrics.json", "{}")
    write_text(output_of("second", 1) / "runs/second/fold1/metrics.json", "{}")
    push("first")
    assert not output_of("first", 1).exists()
    assert output_of("second", 1).exists()


def offline(_notebook):
    raise client.refusal("", "", "ConnectionError: HTTPSConnectionPool: NameResolutionError: Failed to resolve")


def test_a_network_that_is_gone_for_a_while_does_not_end_the_following(uploads, monkeypatch):
    pushed, answers = push("first"), [offline, offline, lambda _: ("complete", "")]
    monkeypatch.setattr(sessions, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(sessions, "state_of", lambda notebook: answers.pop(0)(notebook))
    assert sessions._ended(pushed) == ("complete", "")
    monkeypatch.setattr(sessions, "state_of", offline)
    with pytest.raises(CompError, match=r"is there a network.* goes on, and the same command follows it"):
        sessions._ended(pushed)


@pytest.mark.parametrize("state", ["pushed", "done"])
def test_what_was_deleted_on_kaggle_counts_as_failed_and_what_is_refused_otherwise_does_not(
    state, uploads, monkeypatch
):
    def refused(*_):
        raise Refused("Cannot access kernel")

    monkeypatch.setattr(sessions, "state_of", refused)
    monkeypatch.setattr(fetch, "fetch_output", refused)
    write_pushed("first", replace(push("first"), state=state, after=1))
    monkeypatch.setattr(room, "is_gone", lambda notebook, owner: False)
    with pytest.raises(Refused):
        room.kaggle_train(named("first"), [], follow=True)
    assert read_pushed("first").state == state
    monkeypatch.setattr(room, "is_gone", lambda notebook, owner: True)
    with pytest.raises(CompError, match="is not on Kaggle any more: comp kaggle train pushes it again"):
        room.kaggle_train(named("first"), [], follow=True)
    assert (read_pushed("first").state, read_pushed("first").goes_on) == ("failed", 0)


def test_a_look_that_is_refused_for_a_moment_does_not_end_a_session(uploads, state, tmp_path):
    pushed = push("first")
    state.cloud = Cloud(tmp_path, tmp_path, sessions=[Session(tmp_path, {"slug": pushed.kernel})])
    state.faults["GetKernelSessionStatus"] = [403, 403]
    with pytest.raises(Refused, match=rf"{pushed.notebook} just now; the same command follows it again"):
        room.kaggle_train(named("first"), [], follow=True)
    assert read_pushed("first") == pushed
    assert state.asked[-1][0] == "ListKernels"


@pytest.mark.parametrize(
    ("refs", "gone"),
    [([["a"], ["b"], []], True), ([["a"], ["b"], ["own"]], False), ([["a"], ["a"]] + [["a"]] * 100, False)],
)
def test_a_notebook_is_gone_where_no_page_of_the_users_has_it(refs, gone, monkeypatch):
    def ask(_, *words):
        if "status" in words:
            raise Refused("denied")
        found = refs[int(words[words.index("--page") + 1]) - 1]
        return json.dumps([{"ref": f"{USER}/{each}"} for each in found]) if found else "Not found"

    monkeypatch.setattr(publish, "ask", ask)
    monkeypatch.setattr(publish, "LISTED", 1)
    monkeypatch.setattr(publish, "LOOK_AGAIN", 0.0)
    assert is_gone(Notebook(f"{USER}/own", 1), USER) == gone


def test_an_expired_login_and_another_user_do_not_make_a_notebook_gone(state, tmp_path, monkeypatch):
    state.cloud = Cloud(tmp_path, tmp_path)
    notebook = Notebook(f"{USER}/train-first-{SLUG}", 1)
    assert is_gone(notebook, USER)
    assert not is_gone(notebook, "another")
    monkeypatch.setenv("KAGGLE_KEY", "expired")
    with pytest.raises(CompError, match="kaggle auth login"):
        is_gone(notebook, USER)
