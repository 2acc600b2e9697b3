"""What cannot be: files left by a killed process, places that cannot be written, trackers that are not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import SOURCE

from comp.files import beside, is_alive, write_text

needs_unix = pytest.mark.skipif(os.name == "nt", reason="there, nobody tells whether a process lives")
KILLED = """
import os, signal
from pathlib import Path
from comp.files import written_whole
with written_whole(Path("runs/small/oof.parquet")) as temporary:
    temporary.write_text("half")
    print(temporary, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@needs_unix
def test_what_a_killed_process_was_writing_goes_with_the_next_file_there(repo):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, check=False
    )
    left = Path(killed.stdout.strip())
    assert left.is_file()
    alive = left.with_name(beside(Path("test.parquet")).name)
    elsewhere = left.with_name(".oof.parquet.0a1b2c3d-999999999.tmp")  # of another machine: its numbers are its own
    for path in (alive, elsewhere):
        path.touch()
    write_text(repo / "runs/small/folds.txt", "x")
    assert not left.exists()
    assert alive.exists()
    assert elsewhere.exists()


@needs_unix
def test_a_process_is_alive_until_it_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert is_alive(process.pid)
        process.communicate(b"\n")
    assert not is_alive(process.pid)
    assert is_alive(os.getpid())
    assert not is_alive(10**30)


@pytest.mark.parametrize("place", ["submissions/small.csv", "runs/leaderboard.csv", "runs/small/metrics.json"])
def test_a_folder_where_a_file_is_to_be_written_is_one_line(place, repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    (repo / place).mkdir(parents=True)
    status, _, errors = comp("train")
    if not status:
        status, _, errors = comp("submit")
    assert (status, errors.count("\n")) == (1, 1)
    assert f"{place} is a folder" in errors


@pytest.mark.parametrize(("place", "hint"), [("data", True), ("runs", False), ("submissions", False)])
def test_only_what_lies_in_data_can_be_put_elsewhere(place, hint, repo, small, comp):
    """A file stands where the folder is to be made, as if it were read-only: root may write everywhere."""
    small.write(repo / "data")
    small.configure(data={"work": "work"} if place == "data" else {})
    (repo / ("work" if place == "data" else place)).write_text("I am a file", encoding="utf-8")
    for command in ("split", "train", "submit"):
        status, _, errors = comp(command)
        if status:
            break
    assert (status, errors.count("\n")) == (1, 1)
    assert ("data.work=" in errors) == hint
    assert ("work" if place == "data" else place) in errors


@pytest.mark.parametrize("tracker", ["wandb", "trackio", "tensorboard"])
def test_a_tracker_that_is_not_installed_is_told_before_training(tracker, repo, small, comp, monkeypatch):
    small.write(repo / "data")
    small.configure(tracker=tracker)
    assert comp("split")[0] == 0
    monkeypatch.setattr("comp.loop.trackers.find_spec", lambda name: None)
    status, printed, errors = comp("train")
    assert (status, errors) == (
        1,
        f"error: tracker={tracker} is not installed: pip install {tracker}, or set tracker=none\n",
    )
    assert "epoch" not in printed


def test_a_folder_of_logs_is_no_tracker(repo, small, comp, monkeypatch):
    (repo / "trackio").mkdir()
    monkeypatch.syspath_prepend(str(repo))
    small.write(repo / "data")
    small.configure(tracker="trackio")
    assert comp("split")[0] == 0
    assert "tracker=trackio is not installed" in comp("train")[2]
