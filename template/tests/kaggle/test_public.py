"""`comp board --fetch`, with Kaggle's own client: the leaderboard has the public scores of what was sent."""

import pandas as pd
import pytest
from kaggle_server import SLUG

from comp.cli import main
from comp.files import write_json
from comp.kaggle.sent import Sent, note_sent, now, read_sent
from comp.runs.leaderboard import read_leaderboard, write_leaderboard
from comp.runs.predictions import write_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets


@pytest.fixture
def sent(state):
    """`sent("a", "COMPLETE", "0.9")` is on Kaggle and in the ledger, which does not know of its score."""

    def call(run, status="COMPLETE", score=None):
        ref = str(40 + len(state.submissions))
        state.submissions.append({"ref": int(ref), "date": now(), "description": run, "status": status})
        state.submissions[-1] |= {} if score is None else {"publicScore": score}
        predictions = RunDir.of_name(run).predicts()
        note_sent(Sent(ref, now(), SLUG, run, f"submissions/{run}.csv", "", run, predictions=predictions))

    state.looks = 10**6
    return call


def leaderboard(**cv):
    write_leaderboard([{"name": name, "metric": "accuracy", "cv": score, "public": ""} for name, score in cv.items()])


def predict(run, *values):
    table = pd.DataFrame({"id": [str(row) for row in range(len(values))], "p_yes": values})
    write_predictions(RunDir.of_name(run).test, table, Targets("binary", ("yes",)), "0" * 16)


def public():
    return {line["name"]: line["public"] for line in read_leaderboard()}


def test_the_board_has_the_score_of_each_runs_last_scored_submission(sent, output):
    leaderboard(a="0.9", b="0.8", c="0.7", d="0.6")
    sent("a", score="0.91")
    sent("a", score="0.89")
    sent("a", "ERROR")
    sent("b", score="0.79")
    sent("c", "PENDING")
    sent("d", score="0.55")
    assert main(["board", "--fetch"]) == 0
    assert public() == {"a": "0.89", "b": "0.79", "c": "", "d": "0.55"}
    told = output()
    assert "public  a 0.89 (submission 41)" in told
    assert "public  a – (submission 42: error)" in told
    assert "public  c – (submission 44: pending)" in told
    assert "correlation with CV over 3 runs" in told
    assert [each.status for each in read_sent()] == ["complete"] * 2 + ["error", "complete", "pending", "complete"]


def test_a_score_that_comes_later_takes_the_place_of_the_one_before(sent, state):
    leaderboard(a="0.9")
    sent("a", score="0.91")
    sent("a", "PENDING")
    assert main(["board", "--fetch"]) == 0
    assert public() == {"a": "0.91"}
    state.submissions[-1] |= {"status": "COMPLETE", "publicScore": "0.93"}
    assert main(["board", "--fetch"]) == 0
    assert public() == {"a": "0.93"}


def test_what_was_sent_before_the_run_was_trained_again_is_not_its_score(sent, output):
    leaderboard(a="0.9", b="0.8")
    for run, trained in (("a", "2999-01-01 00:00:00.000"), ("b", "2000-01-01 00:00:00.000")):
        sent(run, score="0.5")
        facts = {"rows": 1, "seconds": 1.0, "trained": trained}
        write_json(RunDir.of_name(run).fold(0) / "metrics.json", facts)
    assert main(["board", "--fetch"]) == 0
    assert public() == {"a": "", "b": "0.5"}
    assert "public  a 0.5 (submission 40, not noted: the run predicts something else since)" in output()


def test_what_an_ensemble_of_others_got_is_not_its_score(sent):
    leaderboard(a="0.9", b="0.8")
    for run in ("a", "b"):
        predict(run, 0.2, 0.6, 0.9)
        write_json(RunDir.of_name(run).fold(0) / "metrics.json", {"rows": 1, "seconds": 1.0, "trained": "2000-01-01"})
        sent(run, score="0.5")
    predict("a", 0.3, 0.5, 0.9)  # of other members, which are as old
    assert main(["board", "--fetch"]) == 0
    assert public() == {"a": "", "b": "0.5"}


def test_a_run_that_predicts_again_what_it_did_has_the_score_of_that(sent, output):
    leaderboard(a="0.9")
    for values, score in (((0.2, 0.6, 0.9), "0.5"), ((0.3, 0.5, 0.9), "0.6")):
        predict("a", *values)
        sent("a", score=score)
    predict("a", 0.2, 0.6, 0.9)
    assert main(["board", "--fetch"]) == 0
    assert public() == {"a": "0.5"}
    assert "public  a 0.5 (submission 40)\n" in output()


def test_a_run_that_is_gone_and_a_score_noted_by_hand_do_no_harm(sent, output):
    leaderboard(a="0.9")
    sent("removed", score="0.5")
    assert main(["board", "--fetch", "--public", "a", "0.88"]) == 0
    assert public() == {"a": "0.88"}
    assert "removed 0.5 (submission 40, of a run that the leaderboard does not have)" in output()


def test_nothing_sent_is_no_fault_and_asks_nobody(state, output):
    leaderboard(a="0.9")
    assert main(["board", "--fetch"]) == 0
    assert "nothing was sent from here yet" in output()
    assert state.asked == []


def test_who_is_not_logged_in_is_told_how_and_no_score_is_lost(sent, monkeypatch, output):
    leaderboard(a="0.9")
    sent("a", score="0.91")
    monkeypatch.delenv("KAGGLE_KEY")
    assert main(["board", "--fetch", "--public", "a", "0.88"]) == 1
    assert "kaggle auth login" in output()
    assert public() == {"a": ""}


def test_without_the_flag_nobody_is_asked(sent, state):
    leaderboard(a="0.9")
    sent("a", score="0.91")
    assert main(["board"]) == 0
    assert state.asked == []
    assert public() == {"a": ""}
