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
from comp.kaggle.training.packed import pack
from comp.kaggle.training.pushed import read_pushed
from comp.runs.leaderboard import read_leaderboard
from comp.runs.rundir import RunDir

pytestmark = needs_signals
KITS = sorted(path.parent.name for path in Path(__file__).parent.parent.glob("*/small.py"))
KERNEL = f"{USER}/train-small-{SLUG}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for room, name in ((publish, "LOOK_EVERY"), (sessions, "FIRST_LOOK"), (sessions, "LAST_LOOK")):
        monkeypatch.setattr(room, name, 1.0)


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
    cloud.mounts_outputs = hasattr(small.kit, "picture")  # of what has images; so each way is gone once
    assert train() == 0
    first, *between, last = calls(state, "SaveKernel")
    told = output()
    assert "session 1 has stopped in time" in told
    assert "going on from session 1" in (cloud.sessions[-1].folder / "log").read_text("utf-8")
    if cloud.mounts_outputs:
        assert (first.get("kernelDataSources", []), between, last["kernelDataSources"]) == ([], [], [KERNEL])
    else:  # as a dataset instead, once Kaggle has said so
        assert (len(between), len(last["datasetDataSources"])) == (1, 2)
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
    assert first["sessionTimeoutSeconds"] == 11.5 * 3600 + sessions.RESERVE_S
    assert len(cloud.datasets[f"{USER}/{SLUG}-code"]) == 1  # the code has not changed in between
    written = json.loads(Path("kaggle/train/small/train.ipynb").read_text("utf-8"))
    assert json.loads(last["text"])["cells"][-1]["source"] == "".join(written["cells"][-1]["source"])

    output()
    assert train() == 0
    assert "fetched already" in output()
    assert len(cloud.sessions) == 2 + len(between)


@pytest.mark.release  # a whole run is fetched above
def test_folds_that_kaggle_makes_are_fetched_and_faults_in_between_are_asked_again(state, cloud, output):
    cloud.old_layout, cloud.unpacks, cloud.loses_pushes = True, False, 1
    calls = "CreateDataset", "SaveKernel", "GetKernelSessionStatus", "ListKernelSessionOutput"
    state.faults = {name: [503] for name in calls}
    assert train("train.epochs=1", "name=gro e") == 0
    assert len(cloud.sessions) == 1  # it was taken once, although the answer was lost
    run = RunDir.of_name("gro e")
    assert run.read_folds() in Path("data/folds.csv").read_text("utf-8")
    assert run.trained_config().data.root == "data"
    assert train("train.epochs=1", "name=gro e") == 0  # the folds are here now, and it is the same training
    assert len(cloud.sessions) == 1
    output()
    assert main(["train", "train.epochs=1", "name=gro e"]) == 0  # goes on as with a run of this machine
    assert "fold 0  is already trained" in output()


def test_a_notebook_that_fails_says_why_and_is_pushed_again(state, cloud, output):
    for path in cloud.competition.glob("train*"):
        path.rename(cloud.root / path.name)
    for kind in ("txt", "npz"):
        (cloud.competition / f"{KEY}.{kind}").touch()  # comp tells what is there instead, align which arrays
    output()
    assert train("train.epochs=1") == 1
    told = output()
    assert "'***." in told
    assert "has failed: its log is runs/.kaggle/small/session/" in told
    assert read_pushed("small").state == "failed"
    assert not RunDir.of_name("small").started
    assert "has failed" in refusal(output, "--follow", "train.epochs=1")
    for path in cloud.root.glob("train*"):
        path.rename(cloud.competition / path.name)
    cloud.runs = False
    stopped_looking("train.epochs=1")
    cloud.sessions[-1].ends = "CANCEL_ACKNOWLEDGED"
    assert "was stopped on Kaggle" in refusal(output, "train.epochs=1")
    assert [session.asked.get("kernelDataSources", []) for session in cloud.sessions] == [[], []]


@pytest.mark.release  # a notebook that is left alone is looked at below
@needs_signals
def test_who_stops_looking_stops_nothing_and_may_look_again(state, cloud, output):
    cloud.runs = False
    command = [sys.executable, "-m", "comp", "kaggle", "train", "train.epochs=1"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, start_new_session=True)
    deadline = time.monotonic() + 240
    while "is running" not in output() and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    told = output()
    assert "goes on without this" in told
    assert "Traceback" not in told
    assert "still trains small as it was" in refusal(output, "train.epochs=9")
    cloud.start(cloud.sessions[0])
    assert train("--follow", "train.epochs=1") == 0
    assert len(cloud.sessions) == 1
    assert RunDir.of_name("small").done_folds()


def stopped_looking(*words):
    """Pushes, and leaves it at work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "state_of", interrupted)
        assert train(*words) == 130


def interrupted(_notebook):
    raise KeyboardInterrupt


def test_a_run_of_this_machine_is_replaced_on_demand_alone_and_by_what_stays_in_its_folder(state, cloud, output, repo):
    assert main(["split"]) == main(["train", "train.epochs=1"]) == 0
    assert "train.epochs was 1, is 4" in refusal(output)
    assert "is trained here: comp train goes on with it" in refusal(output, "train.epochs=1")
    assert state.asked == []
    cloud.listed = {"runs/small/../../../../../escaped.txt": b"out"}
    before = RunDir.of_name("small").oof.read_bytes()
    assert "is not fetched (Refusing to download" in refusal(output, "--fresh", "train.epochs=2")
    assert list(repo.parent.rglob("escaped.txt")) == []
    assert RunDir.of_name("small").oof.read_bytes() == before
    cloud.listed = {}
    assert train("--fresh", "train.epochs=2") == 0
    assert RunDir.of_name("small").oof.read_bytes() != before
    assert len(cloud.sessions) == 1


def test_what_is_wrong_is_one_line(state, cloud, output, monkeypatch):
    cloud.runs = False
    assert "kaggle.competition is not set" in refusal(output, "kaggle.competition=null")
    assert "only what lies in conf/" in refusal(output, str(shutil.copy("conf/baseline.yaml", "other.yaml")))
    if "vision" in KITS:
        pretrained = refusal(output, "model.pretrained=true", "kaggle.train.internet=false")
        assert "kaggle.train.internet=true, or model.weights" in pretrained
        assert "is not below this folder" in refusal(output, "model.weights=/elsewhere/w.safetensors")
        assert "model.backbone=" in refusal(output, f"model.backbone={Path('data').resolve()}")
    Path("conf/mine.yaml").write_text(f"# {KEY}\n", encoding="utf-8")
    assert "'conf/mine.yaml' would take a token or a key of yours along" in refusal(output)
    Path("conf/mine.yaml").unlink()
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


@pytest.mark.skipif("vision" not in KITS, reason="models of other tasks have no backbone")
def test_a_backbone_that_is_a_folder_here_goes_along(state, cloud_for, tmp_path):
    cloud = cloud_for(import_module("vision.small"))
    (Path("data") / "clip").mkdir()
    for name in ("config.json", "model.safetensors"):
        (Path("data") / "clip" / name).write_text("{}", encoding="utf-8")
    members = [{"name": "one"}, {"name": "two", "model": {"backbone": "data/clip"}}]
    config = configure(import_module("vision.small").SMALL, members=members, kaggle={"competition": SLUG})
    packed = pack(config, tmp_path / "code")
    assert {path.name for path in (packed.folder / "code/data").rglob("*.*")} == {"config.json", "model.safetensors"}
    cloud.runs = False
    stopped_looking("members=[]", "model.backbone=data/clip", "model.pretrained=true", "kaggle.train.internet=false")
    assert len(cloud.sessions) == 1  # nothing of it has to be fetched


def test_code_that_is_not_the_one_that_was_mounted_trains_nothing(state, cloud, output):
    cloud.runs = False
    stopped_looking()
    mounted = cloud.sessions[0].folder / "input" / "datasets" / USER / f"{SLUG}-code" / "comp-code.json"
    mounted.write_text('{"digest": "of-yesterday"}', encoding="utf-8")
    cloud.start(cloud.sessions[0])
    output()
    assert train() == 1
    assert "the dataset has the code of-yesterday" in output()
