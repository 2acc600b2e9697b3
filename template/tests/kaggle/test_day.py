"""A competitor's day, with Kaggle's own client and a small competition: from its archive to its public score."""

import csv
import io
import json
import random
import re
import zipfile
from pathlib import Path

import pytest
from kaggle_server import SLUG

from comp.cli import main
from comp.config.common import Kaggle
from comp.kaggle import submit as room
from comp.kaggle.sent import read_sent
from comp.runs.leaderboard import read_leaderboard
from comp.runs.rundir import RunDir
from comp.tasks import commands_of


@pytest.fixture
def day(state, small, output, tmp_path_factory, monkeypatch):
    """`day("train", …)` types a command, which has to end with `status`, and tells what it printed.

    The server has the small competition's archive, of several of the pieces that the client writes at a time.
    """
    written = tmp_path_factory.mktemp("competition")
    small.write(written)
    (written / "about.bin").write_bytes(random.Random(0).randbytes(3 << 20))
    small.configure(kaggle={"competition": SLUG})
    state.archive = zipped(written)
    monkeypatch.setattr(room, "FIRST_LOOK", 0.0)
    board = commands_of(small.task)["board"]  # it reads no configuration: where all tasks lie, main takes any one's

    def call(*words, status=0):
        output()
        ended = board([], [], fetch=True) if words == ("board", "--fetch") else main(list(words))
        told = output()
        assert ended == status, (words, told)
        assert status == 0 or told.startswith("error: ") or "\nerror: " in told
        return told

    return call


def zipped(folder):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return data.getvalue()


@pytest.mark.release  # each command of it stands in a file beside this
def test_a_day_from_the_archive_to_the_public_score(day, state, small):
    state.stops_at = 2 << 20
    state.faults = {"DownloadDataFiles": [503]}
    day("download")
    assert len(state.ranges) == 1  # cut in the middle, and gone on with
    assert (Path("data") / SLUG / "about.bin").stat().st_size == 3 << 20

    assert "data/check.html" in day("check").replace("\\", "/")
    day("split")
    day("train")
    day("report")
    run = RunDir.of_name("small")
    assert (run.path / "report.html").is_file()

    if "kaggle package" in commands_of(small.task):
        image = json.dumps([*Kaggle().image, *Kaggle().wheels])  # else pip would ask an index for the wheels
        offline = ("kaggle.owner=somebody", f"kaggle.image={image}", "kaggle.wheels=[]")
        told = day("kaggle", "package", "--dry-run", *offline)
        assert len(re.findall(r"^dry run .*: 9 rows in", told, re.MULTILINE)) == 3
        assert "next    kaggle datasets create" in told

    state.faults = {"GetSubmissionLimits": [503], "ListSubmissions": [502]}
    told = day("submit", "--send", "--wait", "-m", "a first model")
    assert "public 0.98765" in told
    (noted,) = read_sent()
    assert state.uploads == [Path(noted.file).read_bytes()]
    with (Path("data") / SLUG / "sample_submission.csv").open(encoding="utf-8", newline="") as file:
        ids = [row[0] for row in csv.reader(file)]
    assert [row[0] for row in csv.reader(io.StringIO(state.uploads[0].decode()))] == ids

    assert "public  small 0.98765 (submission 40)" in day("board", "--fetch")
    (line,) = read_leaderboard()
    assert (line["name"], line["public"]) == ("small", "0.98765")
    assert line["cv"] == f"{run.read_metrics()['scores'][line['metric']]['oof']:.5f}"


def test_a_day_on_which_everything_goes_wrong_is_a_line_each_time(day, state, monkeypatch):
    """What is wrong is told, costs nothing, and the same commands go on once it is mended."""
    monkeypatch.delenv("KAGGLE_USERNAME")
    assert "kaggle auth login" in day("download", status=1)
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    state.joined = False
    assert f"https://www.kaggle.com/competitions/{SLUG}/rules" in day("download", status=1)
    state.joined = True
    whole, state.archive = state.archive, state.archive[:-30]
    assert "removed, run comp download again" in day("download", status=1)
    state.archive = whole
    day("download")

    day("split")
    assert "there is no run" in day("report", status=1)
    day("train")
    state.left = 0
    assert "0:00 UTC" in day("submit", "--send", "-m", "one too many", status=1)
    assert "nothing was sent" in day("board", "--fetch")
    assert state.uploads == []
    state.left, state.loses_answers = 1, 1
    day("submit", "--send", "-m", "the last one today")
    assert [each["description"] for each in state.submissions] == [
        "the last one today"
    ]  # once, although it seemed lost
    state.looks, state.fails = 0, True
    assert "small – (submission 40: error)" in day("board", "--fetch")
    assert [line["public"] for line in read_leaderboard()] == [""]
