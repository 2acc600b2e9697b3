"""One command at a time writes into a run; what is killed holds nothing."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Comp
from support import KILL, SOURCE

from comp.errors import CompError
from comp.files.lock import HELD, in_turn, locked
from comp.runs.leaderboard import note_in_leaderboard, read_leaderboard

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs the locks of Unix")
HOLD = """
import os, sys, time
from pathlib import Path
from comp.files.lock import locked
with locked(Path("runs/small"), "train"):
    worker = os.fork()  # as a loader's worker: it has all open files of its owner
    if worker:
        print(os.getpid(), worker, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(repo):
    """A process that holds the lock, with a worker that outlives it: (process, number of the worker)."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen([sys.executable, "-c", HOLD], env=environment, stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline().split()[1])
        yield process
        for number in (process.pid, worker):
            try:
                os.kill(number, KILL)
            except ProcessLookupError:
                continue


def test_the_second_command_of_a_run_is_one_line_that_says_who_has_it(holder, repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    status, _, errors = comp("train")
    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith(f"error: runs/small is in use by process {holder.pid} on ")
    assert "(comp train, since " in errors
    assert comp("train", "--fresh")[0] == 1  # which would remove it under the other one
    assert comp("train", "name=other")[0] == 0


def test_after_a_kill_the_next_command_goes_on_at_once_although_a_worker_still_lives(holder, repo):
    holder.kill()
    holder.wait()
    with locked(Path("runs/small"), "train"):
        held = json.loads(Path("runs/small/.lock").read_text(encoding="utf-8"))
    assert held["process"] == os.getpid()


def test_what_the_holder_starts_works_for_it(repo, monkeypatch):
    with locked(Path("runs/small"), "train"):
        own = os.environ[HELD]
        with locked(Path("runs/small"), "pretrain"), locked(Path("runs/other"), "train"):
            assert os.environ[HELD].endswith("other")
        assert os.environ[HELD] == own
    assert HELD not in os.environ


def test_a_damaged_lock_is_still_one(holder, repo):
    Path("runs/small/.lock").write_bytes(b"\xff\x00")
    with pytest.raises(CompError, match="is in use by another process"), locked(Path("runs/small"), "train"):
        pass


def test_of_two_trainings_at_once_one_goes_on_and_the_other_says_so(repo, small, comp):
    small.write(repo / "data")
    small.configure(train={"epochs": 100_000})
    assert comp("split")[0] == 0
    first, deadline = Comp("train"), time.monotonic() + 120
    while not Path("runs/small/fold0/history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = Comp("train")
    assert second.wait() == 1
    assert first.poll() is None
    first.kill()
    first.wait()
    errors = second.text()[1]
    assert errors.startswith(f"error: runs/small is in use by process {first.pid} on ")
    assert errors.count("\n") == 1
    with locked(Path("runs/small"), "train"):  # right after the kill
        pass


NOTE = """
import time
from pathlib import Path
from comp.files.lock import in_turn
with in_turn(Path("runs")):
    print(flush=True)
    time.sleep(0.3)  # as long as the other one would need to write
    Path("runs/leaderboard.csv").write_text("name,metric,cv\\nfirst,accuracy,0.5\\n")
"""


def test_of_two_runs_that_end_together_each_has_its_line(repo):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with subprocess.Popen([sys.executable, "-c", NOTE], env=environment, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        note_in_leaderboard({"name": "second", "metric": "accuracy", "cv": "0.6"})
    assert {line["name"] for line in read_leaderboard()} == {"first", "second"}


def test_who_waits_for_long_is_told_so_and_who_does_not_wait_is_not(repo, capsys):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    with in_turn(Path("runs"), told="waits"):
        assert capsys.readouterr().out == ""
    with subprocess.Popen([sys.executable, "-c", NOTE], env=environment, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with in_turn(Path("runs"), told="waits"):
            assert capsys.readouterr().out == "waits\n"
            assert Path("runs/leaderboard.csv").exists()


def test_training_afresh_keeps_the_lock_and_nothing_else(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == comp("train")[0] == 0
    Path("runs/small/old.txt").touch()
    assert comp("train", "--fresh")[0] == 0
    assert not Path("runs/small/old.txt").exists()
    assert Path("runs/small/.lock").is_file()
