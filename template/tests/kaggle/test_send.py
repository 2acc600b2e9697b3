"""`comp submit --send`, with Kaggle's own client."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from kaggle_server import KEY, SIGNED, SLUG, USED_UP
from support import SOURCE

from comp.cli import main
from comp.config.common import Kaggle
from comp.errors import CompError
from comp.kaggle import client, sent
from comp.kaggle import submit as room
from comp.kaggle.secrets import scrubbed
from comp.kaggle.sent import fetch_scores, read_sent
from comp.kaggle.submit import submit

CSV = "id,label\n1,a\n2,b\n"
PLACE = Path("submissions/first.csv")


def write(config):
    """A task's own part: writes the file, and names it."""
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(CSV, encoding="utf-8")
    return PLACE


def of(slug=SLUG, wait=60):
    return SimpleNamespace(name="first", kaggle=Kaggle(competition=slug, wait=wait))


def send(message="a first try", **how):
    return submit(write, of(), send=True, message=message, **how)


def refusal(*, config=None, **how):
    with pytest.raises(CompError) as refused:
        submit(write, config or of(), **how)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def at_once(monkeypatch):
    """Looks at a score without a pause."""
    monkeypatch.setattr(room, "FIRST_LOOK", 0.0)


def calls(state):
    return [name for name, _ in state.asked]


def test_a_submission_is_sent_noted_and_its_score_awaited(state, output, at_once):
    assert send(wait=True) == 0
    assert state.uploads == [CSV.encode()]
    assert state.submissions[0]["description"] == "a first try"
    (noted,) = read_sent()
    assert (noted.ref, noted.run, noted.file, noted.message) == ("40", "first", str(PLACE), "a first try")
    assert (noted.competition, noted.status, noted.public) == (SLUG, "complete", "0.98765")
    told = output()
    assert "5 submissions are left today" in told
    assert "waiting for the score of 40" in told
    assert "public 0.98765" in told


def test_what_was_sent_is_fetched_later(state, output):
    state.looks = 1
    send()
    assert read_sent()[0].status == "pending"
    assert fetch_scores()[0].status == "pending"
    assert submit(write, of(), fetch=True) == 0
    assert read_sent()[0].public == "0.98765"
    assert "complete, public 0.98765" in output()


def test_several_submissions_keep_their_order_and_their_messages(state):
    messages = ['--with "quotes", and a comma\nin two lines', "Ünïcødé 漢字"]
    for message in messages:
        send(message)
    assert [each.message for each in read_sent()] == messages
    assert [each["description"] for each in state.submissions] == messages
    assert [row["ref"] for row in csv.DictReader(sent.PATH.open(encoding="utf-8", newline=""))] == ["40", "41"]


def test_a_score_that_does_not_come_ends_the_waiting(state, monkeypatch):
    state.looks = 10**6
    send()
    monkeypatch.setattr(room, "FIRST_LOOK", 61.0)
    assert "comp submit --fetch asks again" in refusal(config=of(wait=1), wait=True)
    assert read_sent()[0].status == "pending"


def test_a_submission_that_fails_is_told_as_such(state, output, at_once):
    state.fails = True
    send(wait=True)
    assert read_sent()[0].status == "error"
    assert "first: error" in output()


def test_nothing_is_uploaded_once_the_daily_limit_is_used_up(state):
    state.left = 0
    told = refusal(send=True, message="a sixth")
    assert "none of today's submissions is left, 5 were sent" in told
    assert "0:00 UTC, in " in told
    assert state.uploads == []
    assert not sent.PATH.exists()


def test_a_limit_that_only_the_refusal_tells_is_told(state):
    state.left, state.limit_is_told = 0, False
    told = refusal(send=True, message="a sixth")
    assert USED_UP.rstrip(".") in told
    assert "0:00 UTC, in " in told


def test_who_has_not_joined_is_told_where(state):
    state.joined = False
    assert f"https://www.kaggle.com/competitions/{SLUG}/rules" in refusal(send=True, message="a first try")


def test_who_is_not_logged_in_is_told_how(state, monkeypatch):
    monkeypatch.delenv("KAGGLE_KEY")
    assert "kaggle auth login" in refusal(send=True, message="a first try")


@pytest.mark.parametrize("call", ["GetSubmissionLimits", "StartSubmissionUpload"])
def test_a_fault_in_between_is_tried_again(state, call):
    state.faults = {call: [503]}
    send()
    assert len(state.submissions) == len(read_sent()) == 1


def test_an_answer_that_was_lost_sends_nothing_twice(state):
    send("the same words")
    state.loses_answers = 1
    send("the same words")
    assert len(state.submissions) == 2
    assert [each.ref for each in read_sent()] == ["40", "41"]


def test_a_fault_that_stays_says_where_to_look(state):
    state.faults = {"CreateSubmission": [503] * 9}
    told = refusal(send=True, message="a first try")
    assert f"https://www.kaggle.com/competitions/{SLUG}/submissions" in told
    assert not sent.PATH.exists()


def test_a_submission_without_a_number_is_looked_up(state):
    state.quiet = True
    send()
    assert read_sent()[0].ref == "40"


def test_a_submission_that_kaggle_does_not_list_counts_as_not_sent(state):
    draft = sent.Sent("", sent.now(), SLUG, "first", PLACE.as_posix(), "", "a first try")
    with pytest.raises(CompError, match=r"reported no error, but the submission is not listed on Kaggle"):
        room._found(draft, "it printed no number")


def test_the_output_of_a_notebook_is_sent_by_its_name(state):
    submit(None, of(), send=True, message="code", kernel="somebody/a-notebook", version="3")
    asked = dict(state.asked)["CreateCodeSubmission"]
    assert (asked["kernelOwner"], asked["kernelSlug"], asked["kernelVersion"]) == ("somebody", "a-notebook", 3)
    assert read_sent()[0].file == "somebody/a-notebook@3"
    assert state.uploads == []


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"send": True}, "-m"),
        ({"send": True, "message": " "}, "-m"),
        ({"message": "x"}, "goes with --send"),
        ({"send": True, "message": "x", "kernel": "a/b"}, "go together"),
        ({"send": True, "message": "x", "kernel": "a", "version": "1"}, "not OWNER/SLUG"),
        ({"send": True, "message": "x", "kernel": "a/b", "version": "-1"}, "not the number of a version"),
        ({"send": True, "message": "x", "fetch": True}, "one after the other"),
        ({"send": True, "message": "x", "config": of(None)}, "kaggle: {competition: SLUG}"),
    ],
)
def test_flags_that_do_not_go_together_are_refused_before_anything_is_written(how, told):
    assert told in refusal(**how)
    assert not PLACE.exists()


def test_a_network_that_is_gone_for_a_while_does_not_end_the_waiting(at_once, monkeypatch, output):
    noted = sent.Sent("40", sent.now(), SLUG, "first", "x.csv", "", "x")
    sent.note_sent(noted)
    answers = [client.refusal("", "", "NameResolutionError"), client.Unavailable("Kaggle cannot answer just now")]

    def fetched():
        if answers:
            raise answers.pop(0)
        return [replace(noted, status="complete", public="0.9")]

    monkeypatch.setattr(sent, "fetch_scores", fetched)
    assert "is there a network" in refusal(fetch=True)
    answers.append(client.refusal("", "", "NameResolutionError"))
    assert submit(write, of(), wait=True) == 0
    assert "waiting for the score of 40" in output()


def test_what_is_sent_while_kaggle_is_asked_for_scores_stays(state, monkeypatch):
    send("the first")
    asked = sent.on_kaggle

    def slowly(slug):
        told = asked(slug)
        sent.note_sent(sent.Sent("77", sent.now(), SLUG, "second", "x.csv", "", "in between"))
        return told

    monkeypatch.setattr(sent, "on_kaggle", slowly)
    assert [each.ref for each in fetch_scores()] == ["40", "77"]
    assert [each.ref for each in read_sent()] == ["40", "77"]


NOTE = """
import sys
from comp.kaggle.sent import Sent, note_sent, now
for number in range(20):
    note_sent(Sent(f"{sys.argv[1]}-{number}", now(), "digits", "x", "x.csv", "", "x"))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_two_that_send_at_once_are_both_noted():
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    both = [subprocess.Popen([sys.executable, "-c", NOTE, name], env=environment) for name in ("a", "b")]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert len(read_sent()) == 40


def test_what_an_older_version_has_noted_is_read():
    sent.note_sent(sent.Sent("40", sent.now(), SLUG, "first", "x.csv", "", "x", predictions="0123456789abcdef"))
    lines = sent.PATH.read_text(encoding="utf-8").splitlines()
    sent.PATH.write_text("\n".join(line.rpartition(",")[0] for line in lines) + "\n", encoding="utf-8")
    assert [(each.ref, each.predictions) for each in read_sent()] == [("40", "")]


def test_nothing_sent_is_nothing_to_fetch(output):
    assert submit(write, of(), fetch=True) == 0
    assert "nothing was sent from here yet" in output()


def test_a_damaged_ledger_is_one_line(output):
    sent.PATH.parent.mkdir()
    sent.PATH.write_text("ref,when\n1", encoding="utf-8")
    assert str(sent.PATH) in refusal(fetch=True)


def test_credentials_are_scrubbed_wherever_they_are_kept(state, monkeypatch):
    home = Path.home() / ".kaggle"
    home.mkdir(exist_ok=True)
    (home / "access_token").write_text("of-a-file-1234\n", encoding="utf-8")
    (home / "credentials.json").write_text('{"refresh_token": "to-refresh-1234", "username": "somebody"}')
    (home / "other-token").write_text("of-another-file", encoding="utf-8")
    monkeypatch.setenv("KAGGLE_API_TOKEN", str(home / "other-token"))
    said = f"{KEY} of-a-file-1234 to-refresh-1234 of-another-file somebody KGAT_0123 http://x/y?{SIGNED} Bearer abc"
    assert scrubbed(said) == "*** *** *** *** somebody *** http://x/y?*** Bearer ***"


def test_what_the_server_says_back_is_scrubbed(state):
    state.says = f"the key {KEY} is no good at http://storage/x?{SIGNED}"
    assert "the key *** is no good at http://storage/x?***" in refusal(send=True, message="a first try")


def test_a_trained_run_is_sent_from_the_command_line(state, small, output, at_once):
    small.write(Path("data"))
    small.configure(kaggle={"competition": SLUG})
    for words in (["split"], ["train"], ["submit", "--send", "--wait", "-m", "from the command line"]):
        assert main(words) == 0, output()
    (noted,) = read_sent()
    assert noted.public == "0.98765"
    assert state.uploads == [Path(noted.file).read_bytes()]
    assert "next " not in output().rpartition("sent ")[2]
