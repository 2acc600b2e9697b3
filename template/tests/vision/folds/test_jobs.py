"""Folds as jobs of their own: the same answer, none lost, none started twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd
import pytest
from support import KILL, SOURCE, for_a_release, needs_signals
from vision.training.test_resume import assert_same_run

from comp.config import load_config
from comp.errors import CompError
from comp.registry import register
from comp.runs.rundir import RunDir
from comp.vision.folds.cluster import LoggedCommand, executor_for, submit
from comp.vision.folds.jobs import LARGE, Job, folds_at_once, parameter_count, startable, train_as_jobs, visible_gpus
from comp.vision.model import build_model

if TYPE_CHECKING:
    from comp.distributed.processes import Process


@pytest.fixture(autouse=True)
def _jobs_find_the_code(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))


@pytest.fixture
def slurm(repo, monkeypatch):
    """Stands in for Slurm's commands: `slurm(sacct="…")` says what one of them prints."""
    folder = repo / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def printing(**commands: str) -> None:
        for name, text in commands.items():
            (folder / name).write_text(f"#!/bin/sh\nprintf '{text}'\n")
            (folder / name).chmod(0o755)

    printing(srun="")
    return printing


def test_folds_at_once_are_the_folds_one_after_the_other(competition, configure, comp):
    configure(train={"epochs": 2})
    comp("split")
    status, out, err = comp("train", "name=jobs", "jobs.per_gpu=2")
    assert (status, err) == (0, "")
    assert "jobs    2 folds, 2 at a time: jobs.per_gpu=2" in out
    for once in ("sample  ", "fold 0  epoch   2", "fold 1  epoch   2", "fold 1  done", "cv      accuracy", "next    "):
        assert out.count(once) == 1
    assert "fold 1" not in Path("runs/jobs/fold0/train.log").read_text(encoding="utf-8")
    assert load_config(Path("runs/jobs/config.yaml")).folds.use == "all"
    assert comp("train", "name=one")[0] == 0
    assert_same_run("jobs", "one")
    board = pd.read_csv("runs/leaderboard.csv").drop(columns=["name", "minutes", "date", "parent", "changed"])
    assert board.iloc[0].equals(board.iloc[1])


@pytest.mark.release  # a killed one goes on in training/test_resume.py
def test_after_a_failing_fold_the_same_command_goes_on(competition, configure, comp):
    configure()
    comp("split")
    in_the_way = Path("runs/small/fold1/history.csv")
    in_the_way.mkdir(parents=True)
    status, out, err = comp("train", "jobs.per_gpu=2")
    assert status == 1
    assert err.startswith("error: runs/small/fold1/history.csv is a folder, and a file is to be written there")
    assert err.endswith("(runs/small/fold1/train.log)\n")
    assert err.count("\n") == 1
    assert "next    " not in out
    assert not Path("runs/small/oof.parquet").exists()
    done = Path("runs/small/fold0/metrics.json").stat().st_mtime_ns
    in_the_way.rmdir()
    status, out, _ = comp("train", "jobs.per_gpu=2")  # one is left: no job of its own
    assert status == 0
    assert "fold 0  is already trained" in out
    assert Path("runs/small/fold0/metrics.json").stat().st_mtime_ns == done
    assert len(pd.read_parquet("runs/small/oof.parquet")) == 36


def test_when_a_fold_fails_those_beside_it_finish_and_no_other_begins(configure, monkeypatch, capsys):
    beside = "while [ ! -e failed ]; do sleep 0.05; done; sleep 2; echo finished"
    failing = "echo 'error: too bad'; touch failed; exit 3"
    started = []

    def begin(number: int, device: str) -> Job:
        started.append(number)
        work = LoggedCommand(["sh", "-c", [beside, failing, "true"][number]], {}, Path(f"{number}.log"))
        return Job(number, device, work.start(), work.log, shown_bytes=0)

    monkeypatch.setattr("comp.vision.folds.jobs._starter", lambda *_: begin)
    with pytest.raises(CompError, match=r"^too bad \(1.log\)$"):
        train_as_jobs(configure(), RunDir(Path("runs/small")), [0, 1, 2], per_device=2)
    assert started == [0, 1]
    assert capsys.readouterr().out == "finished\n"


def test_lines_are_told_once_and_an_error_is_kept_for_the_end(repo, capsys):
    log = repo / "train.log"
    job = Job(0, "", cast("Process", None), log, shown_bytes=0)
    job.show_log()  # it has not started to write
    log.write_bytes(b"fold 0  epoch 1\nfold 0  ep")
    job.show_log()
    assert job.why(-9) == f"fold 0 ended with status -9: fold 0  epoch 1 ({log})"
    log.write_bytes(b"fold 0  epoch 1\nfold 0  epoch 2\nerror: the loss is nan\nlast words\n")
    job.show_log()
    assert capsys.readouterr().out.splitlines() == ["fold 0  epoch 1", "fold 0  epoch 2", "last words"]
    assert job.why(1) == f"the loss is nan ({log})"


@needs_signals
@pytest.mark.parametrize("number", [for_a_release(signal.SIGTERM), KILL])
def test_no_fold_outlives_its_starter_and_each_saves_first(number, competition, configure, comp):
    configure(train={"epochs": 2000, "batch_size": 4})
    comp("split")
    command = [sys.executable, "-m", "comp", "train", "jobs.per_gpu=2"]
    starter = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    folders = [Path("runs/small/fold0"), Path("runs/small/fold1")]
    wait_for(lambda: all((folder / "history.csv").is_file() for folder in folders))
    starter.send_signal(number)
    _, errors = starter.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert starter.returncode == 128 + number
        assert errors.splitlines()[-1] == "stopped; the state is saved, the same command resumes from here"
    for folder in folders:
        wait_for(lambda log=folder / "train.log": log.read_text(encoding="utf-8").count("the state is saved") == 1)
        assert (folder / "last" / "state.pt").is_file()


def wait_for(happens, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.mark.release  # jobs without it are above
@needs_signals
def test_a_fold_is_a_job_of_submitit(competition, configure, comp):
    configure()
    comp("split")
    status, out, err = comp("train", "name=jobs", "jobs.cluster=local", "folds=[1]")
    assert (status, err) == (0, "")
    assert "fold 1  done" in out
    assert len(list(Path("runs/jobs/submitit").glob("*_result.pkl"))) == 1
    assert comp("train", "name=one", "folds=[1]")[0] == 0
    assert_same_run("jobs", "one", folds=(1,))


@needs_signals
def test_slurm_gets_the_arguments_of_the_configuration(configure, slurm):
    arguments = {"gpus_per_node": 2, "slurm_partition": "gpu", "timeout_min": 90}
    config = configure(jobs={"cluster": "slurm", "cluster_args": arguments})
    executor = executor_for(config, Path("runs/small"))
    assert executor.cluster == "slurm"
    assert executor.parameters == {"gpus_per_node": 2, "partition": "gpu", "time": 90, "job_name": "small"}


@needs_signals
def test_a_fold_whose_slurm_job_still_runs_is_not_submitted_again(configure, slurm):
    executor = executor_for(configure(jobs={"cluster": "slurm"}), Path("runs/small"))
    work = LoggedCommand(["true"], {}, Path("train.log"))
    slurm(sbatch="Submitted batch job 77", sacct="JobID|State|NodeList\\n77|RUNNING|a\\n")
    assert submit(executor, work, "fold0").job.job_id == "77"
    slurm(sbatch="Submitted batch job 78")
    assert submit(executor, work, "fold0").job.job_id == "77"
    assert submit(executor, work, "fold1").job.job_id == "78"
    slurm(sbatch="Submitted batch job 79", sacct="JobID|State|NodeList\\n77|FAILED|a\\n")
    assert submit(executor, work, "fold0").job.job_id == "79"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["jobs.cluster=slurm"], 'jobs.cluster=slurm: Could not detect "srun"'),
        (["jobs.cluster=local", "jobs.cluster_args={memory: 8}"], "jobs.cluster_args: Parameter 'memory' need"),
        (["jobs.cluster=local", "jobs.cluster_args={timeout_min: long}"], 'jobs.cluster_args: Parameter "timeout_min"'),
        (["jobs.per_gpu=2", "train.processes=2"], "jobs.per_gpu=2 gives each fold one process: leave out"),
        (["jobs.per_gpu=2", "metric=acuracy"], "no metric is called 'acuracy'"),
    ],
)
def test_wrong_settings_are_one_line_before_any_job_starts(overrides, message, competition, configure, comp):
    configure()
    comp("split")
    status, _, err = comp("train", *overrides)
    assert status == 1
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert not list(Path("runs/small").glob("fold*/*"))


def test_without_submitit_one_line_says_what_to_install(competition, configure, comp, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    configure()
    comp("split")
    assert comp("train", "jobs.cluster=local")[::2] == (
        1,
        "error: jobs.cluster=local needs submitit: pip install submitit\n",
    )


def test_each_free_place_takes_the_next_fold_and_folds_spread_over_the_gpus():
    gpus = ["2", "5"]
    assert startable([0, 1, 2], [], gpus, 1) == [(0, "2"), (1, "5")]
    assert startable([2, 3], ["2"], gpus, 1) == [(2, "5")]
    assert startable([2, 3], ["2", "5"], gpus, 1) == []
    assert startable([0, 1, 2, 3, 4], [], gpus, 2) == [(0, "2"), (1, "5"), (2, "2"), (3, "5")]
    assert startable([4, 5, 6], ["2", "2"], gpus, 2) == [(4, "5"), (5, "5")]
    assert startable([3], ["2"], gpus, 2) == [(3, "5")]
    assert startable([], ["2"], gpus, 2) == []


@pytest.mark.parametrize(
    ("sections", "left", "gpus", "size", "expected"),
    [
        ({}, 5, 0, 1, 0),  # the CPU: one after the other
        ({}, 5, 1, 1, 0),
        ({}, 5, 2, LARGE - 1, 1),
        ({}, 5, 2, LARGE, 0),
        ({}, 2, 2, 1, 1),
        ({}, 2, 4, 1, 0),  # two GPUs would have nothing to do
        ({}, 1, 1, 1, 0),
        ({"train": {"processes": 2}}, 5, 2, 1, 0),
        ({"jobs": {"per_gpu": 0}}, 5, 2, 1, 0),
        ({"jobs": {"per_gpu": 3}}, 5, 0, LARGE, 3),
        ({"jobs": {"per_gpu": 3}}, 1, 2, 1, 0),  # the last fold has all GPUs
        ({"jobs": {"cluster": "slurm"}}, 5, 0, 1, 5),
        ({"jobs": {"cluster": "local"}}, 5, 0, 1, 1),
    ],
)
def test_folds_train_at_once_where_that_is_better(sections, left, gpus, size, expected, configure):
    at_once, why = folds_at_once(configure(**sections), left, gpus, lambda: size)
    assert at_once == expected
    assert bool(why) == (at_once > 0 or (gpus > 1 and "jobs" not in sections))


def test_the_gpus_are_those_that_the_environment_names(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5a")
    assert visible_gpus() == ["3", "GPU-5a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,-1,2")  # what follows a wrong number is not visible
    assert visible_gpus() == ["0", "1"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


@pytest.mark.parametrize("backbone", ["test_vit", "registered"])
def test_the_size_of_a_model_is_known_without_its_weights(backbone, configure):
    @register("model", "registered")
    def build(settings):
        import timm
        import torch

        model = timm.create_model("test_vit", num_classes=0)
        model.load_state_dict({name: torch.zeros(tensor.shape) for name, tensor in model.state_dict().items()})
        assert model.norm.weight.device.type == "cpu"
        return model

    config = configure(model={"backbone": backbone, "image_size": 160, "pretrained": True})
    built = build_model(config.model.model_copy(update={"pretrained": False}), 3)
    assert parameter_count(config, 3) == sum(parameter.numel() for parameter in built.parameters())


def test_an_unknown_backbone_is_refused_before_folds_start(configure):
    with pytest.raises(CompError, match="timm has no such model"):
        parameter_count(configure(model={"backbone": "test_vitt"}), 3)
