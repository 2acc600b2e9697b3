"""`comp kaggle train`, with Kaggle's own client. The notebook that it pushes runs, and trains."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from kaggle_cloud import Cloud
from kaggle_server import KEY, SLUG, USER
from safetensors.torch import load_file
from support import SOURCE, configure, needs_signals

from comp.cli import main
from comp.kaggle import publish
from comp.kaggle.training import sessions
from comp.kaggle.training.pushed import read_pushed
from comp.runs.leaderboard import read_leaderboard
from comp.runs.rundir import RunDir

pytestmark = needs_signals
KITS = sorted(path.parent.name for path in Path(__file__).parent.parent.glob("*/small.py"))
KERNEL = f"{USER}/train-small-{SLUG}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for room, name in ((publish, "LOOK_EVERY"), (sessions, "FIRST_LOOK"), (sessions, "LAST_LOOK")):
        monkeypatch.setattr(room, name, 0.1)


@pytest.fixture
def cloud_for(state, tmp_path_factory):
    """Kaggle, with the files of a task's small competition; and the same competition here."""

    def made(kit):
        folder = tmp_path_factory.mktemp("cloud")
        kit.write_competition(folder / "competition")
        shutil.copytree(folder / "competition", "data")
        configure(kit.SMALL, kaggle={"competition": SLUG}, train={"epochs": 4, "save_every": "1 updates"})
        state.cloud = Cloud(folder, folder / "competition")
        return state.cloud

    yield made
    for session in state.cloud.sessions if state.cloud else ():
        if session.process is not None:
            session.process.kill()
            session.process.wait()


@pytest.fixture
def cloud(cloud_for):
    """The same of one task, which stands for all."""
    return cloud_for(import_module(f"{KITS[-1]}.small"))


def train(*words):
    return main(["kaggle", "train", *words])


def refusal(capture, *words):
    """The one line of error, once what was printed before is forgotten."""
    capture()
    assert train(*words) == 1
    return [line for line in capture().splitlines() if line.startswith("error: ")][-1]


def calls(state, name):
    return [body for call, body in state.asked if call == name]


def test_a_session_that_is_cut_goes_on_in_the_next_to_the_bits_of_one_machine(state, cloud_for, small, output):
    cloud = cloud_for(small.kit)
    assert main(["split"]) == main(["train"]) == 0
    shutil.move("runs", "here")
    cloud.cut = "runs/small/fold0/last/*"
    assert train() == 0
    first, second = calls(state, "SaveKernel")
    told = output()
    assert "session 1 has stopped in time" in told
    assert len(cloud.sessions) == 2
    one, other = (RunDir(Path(top) / "small") for top in ("here", "runs"))
    for name in ("oof.parquet", "test.parquet", "folds.txt"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes()
    for name in ("fold0/best.safetensors", "fold1/best.safetensors"):
        weights, others = (load_file(run.path / name) for run in (one, other))
        assert all(weights[each].equal(others[each]) for each in weights | others)
    assert [line["name"] for line in read_leaderboard()] == ["small"]
    assert one.read_metrics()["scores"] == other.read_metrics()["scores"]
    assert main(["report"]) == 0  # whatever reads a run reads it

    switches = {"isPrivate": True, "enableGpu": True, "enableTpu": False, "enableInternet": True}
    assert switches.items() <= first.items()
    assert (first["machineShape"], first["slug"]) == ("NvidiaTeslaT4", KERNEL)
    assert (first.get("kernelDataSources", []), second["kernelDataSources"]) == ([], [KERNEL])
    assert first["sessionTimeoutSeconds"] == 11.5 * 3600 + sessions.RESERVE_S
    assert len(cloud.datasets[f"{USER}/{SLUG}-code"]) == 1  # the code has not changed in between
    written = json.loads(Path("kaggle/train/train.ipynb").read_text("utf-8"))
    assert json.loads(second["text"])["cells"][-1]["source"] == "".join(written["cells"][-1]["source"])

    output()
    assert train() == 0
    assert "fetched already" in output()
    assert len(cloud.sessions) == 2


def test_folds_that_kaggle_makes_are_fetched_and_the_old_layout_is_found(state, cloud, output):
    cloud.old_layout, cloud.unpacks = True, False
    assert train("train.epochs=1", "name=gro e") == 0
    assert RunDir.of_name("gro e").read_folds() in Path("data/folds.csv").read_text("utf-8")
    assert RunDir.of_name("gro e").trained_config().data.root == "data"
    assert train("train.epochs=1", "name=gro e") == 0  # the folds are here now, and it is the same training
    assert len(cloud.sessions) == 1
    assert main(["train", "train.epochs=1", "name=gro e"]) == 0  # goes on as with a run of this machine
    assert "fold 0  is already trained" in output()


def test_a_notebook_that_fails_says_why_and_is_pushed_again(state, cloud, output):
    for path in cloud.competition.glob("train*"):
        path.rename(cloud.root / path.name)
    told = refusal(output, "train.epochs=1")
    assert "has failed: its log is runs/.kaggle/small/session/" in told
    assert Path(told.partition("its log is ")[2].partition(",")[0]).is_file()
    assert read_pushed("small").state == "failed"
    assert not RunDir.of_name("small").started
    assert "has failed" in refusal(output, "--follow", "train.epochs=1")
    for path in cloud.root.glob("train*"):
        path.rename(cloud.competition / path.name)
    assert train("train.epochs=1") == 0
    assert "runs/small" in output()


def test_the_last_lines_of_a_log_hold_no_key(state, cloud, output):
    Path("conf/baseline.yaml").write_text(Path("conf/baseline.yaml").read_text("utf-8") + "# a comment\n", "utf-8")
    cloud.competition.rename(cloud.root / "other")
    (cloud.root / "competition").mkdir()
    (cloud.root / "competition" / "train.csv").write_text(f"id,label\n{KEY},a\n", encoding="utf-8")
    refusal(output)
    log = next(Path("runs/.kaggle/small/session").glob("*.log"))
    assert KEY not in log.read_text("utf-8")


def test_faults_in_between_are_asked_again(state, cloud, output):
    cloud.runs = False
    state.faults = {name: [503] for name in ("CreateDataset", "SaveKernel", "GetKernelSessionStatus")}
    state.faults["ListKernelSessionOutput"] = [503]
    cloud.loses_pushes = 1
    cloud.runs = True
    assert train("train.epochs=1") == 0
    assert len(cloud.sessions) == 1  # it was taken once, although the answer was lost
    assert read_pushed("small").version is None


@pytest.mark.parametrize("again", [[], ["--follow"]])
def test_who_stops_looking_stops_nothing_and_may_look_again(state, cloud, output, repo, again):
    cloud.runs = False
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen([sys.executable, "-m", "comp", "kaggle", "train"], env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while "is running" not in output() and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    told = output()
    assert "goes on without this" in told
    assert "Traceback" not in told
    assert len(cloud.sessions) == 1
    cloud._start(cloud.sessions[0])
    assert train(*again) == 0
    assert len(cloud.sessions) == 1
    assert RunDir.of_name("small").done_folds() == [0, 1]


def test_other_settings_do_not_follow_what_is_at_work(state, cloud, output):
    cloud.runs = False
    (cloud.root / "nothing").mkdir()
    write_open(cloud, state, output)
    assert "still trains small as it was" in refusal(output, "train.epochs=9")


def write_open(cloud, state, output):
    """Pushes, and stops looking at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("comp.kaggle.training.train.followed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert train() == 130


def test_a_run_of_this_machine_is_not_overwritten(state, cloud, output):
    assert main(["split"]) == main(["train", "train.epochs=1"]) == 0
    assert "train.epochs was 1, is 4" in refusal(output)
    assert "is trained here: comp train goes on with it" in refusal(output, "train.epochs=1")
    assert state.asked == []
    before = (RunDir.of_name("small").path / "oof.parquet").read_bytes()
    assert train("--fresh") == 0
    assert (RunDir.of_name("small").path / "oof.parquet").read_bytes() != before


def test_what_is_wrong_is_one_line(state, cloud, output, monkeypatch):
    cloud.runs = False
    assert "kaggle.competition is not set" in refusal(output, "kaggle.competition=null")
    assert "only what lies in conf/" in refusal(output, str(shutil.copy("conf/baseline.yaml", "other.yaml")))
    pretrained = refusal(output, "model.pretrained=true", "kaggle.train.internet=false")
    assert "kaggle.train.internet=true, or model.weights" in pretrained
    assert "is not below this folder" in refusal(output, "model.weights=/elsewhere/w.safetensors")
    assert state.asked == []
    cloud.refuses_dataset = "The title is already in use by another dataset"
    assert "The title is already in use by another dataset" in refusal(output)
    cloud.refuses_dataset, cloud.refuses = "", "Maximum weekly GPU quota of 30.00 hours reached."
    assert "Maximum weekly GPU quota of 30.00 hours reached" in refusal(output)
    cloud.refuses = "The requested title is already in use by a notebook."
    assert "already in use by a notebook" in refusal(output)
    assert "nothing of small was pushed from here" in refusal(output, "--follow")
    assert cloud.sessions == []
    monkeypatch.delenv("KAGGLE_KEY")
    assert "kaggle auth login" in refusal(output, "train.epochs=3")


def test_an_output_that_leaves_its_folder_is_refused(state, cloud, output, repo):
    cloud.listed = {"runs/small/../../../../../escaped.txt": b"out"}
    assert "is not fetched (Refusing to download" in refusal(output, "train.epochs=1")
    assert list(repo.parent.rglob("escaped.txt")) == []
    cloud.listed = {}
    assert train("train.epochs=1") == 0
    assert len(cloud.sessions) == 1


def test_a_code_that_was_not_mounted_trains_nothing(state, cloud, output):
    write_open_runs = cloud.runs
    cloud.runs = False
    write_open(cloud, state, output)
    cloud.runs = write_open_runs
    (cloud.sessions[0].folder / "input" / "datasets" / USER / f"{SLUG}-code" / "comp-code.json").write_text(
        '{"digest": "of-yesterday"}', encoding="utf-8"
    )
    cloud._start(cloud.sessions[0])
    told = refusal(output)
    assert "has failed" in told
