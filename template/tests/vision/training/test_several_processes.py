"""One process or two: the same answer. Here on the CPU, through gloo."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from processes import comp_ranks
from safetensors.torch import load_file
from support import SOURCE, for_a_release, needs_signals

UNEVEN = {"predict": {"batch_size": 4}, "folds": {"n": 2}}
VIT = {"backbone": "test_vit"}  # no batch norm: what differs is rounding alone


def probabilities(run: str, table: str) -> pd.DataFrame:
    return pd.read_parquet(f"runs/{run}/{table}.parquet").set_index("id").filter(like="p_")


def drop_rows(competition: Path, n: int) -> None:
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table[:-n].to_csv(competition / "train.csv", index=False)


def test_two_processes_predict_what_one_predicts(competition, configure, comp, comp_process):
    """With rows that do not divide, a weighted sampler, a frozen epoch, clipping and accumulation."""
    drop_rows(competition, 3)
    train = {
        "epochs": 2,
        "batch_size": 8,
        "sampler": "weighted",
        "freeze_epochs": 1,
        "accumulate": 2,
        "clip_norm": 1.0,
        "ema_decay": 0.5,
        "keep": "ema",
    }
    configure(model=VIT, train=train, **UNEVEN)
    comp("split")
    finished = comp_process("train", "name=two", "train.processes=2")
    assert finished.returncode == 0, finished.stderr
    assert "launch  2 processes" in finished.stdout
    for once in ("sample  ", "fold 0  done", "cv      accuracy", "next    "):
        assert finished.stdout.count(once) == 1
    assert comp("train", "name=one", "train.processes=1")[0] == 0
    for table in ("oof", "test"):
        one, two = probabilities("one", table), probabilities("two", table)
        assert list(two.index) == list(one.index)
        assert two.index.is_unique
        assert np.allclose(one, two, atol=2e-4)
    assert list(probabilities("two", "oof").index) == list(pd.read_csv("data/train.csv", dtype=str)["id"])
    weights = [load_file(f"runs/{run}/fold1/best.safetensors") for run in ("one", "two")]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=2e-4) for name in weights[0])
    losses = [pd.read_csv(f"runs/{run}/fold0/history.csv")["train_loss"] for run in ("one", "two")]
    assert np.allclose(*losses, atol=1e-4)


@pytest.mark.parametrize(
    ("accumulate", "optimizer", "lr", "most"),
    [
        (1, "sgd", 0.05, 1e-5),
        # Where a gradient is rounding alone, AdamW makes it a step.
        for_a_release(2, "adamw", 1e-3, 5e-5),
    ],
)
def test_with_batch_norm_two_processes_predict_what_one_does(
    accumulate, optimizer, lr, most, competition, configure, comp
):
    """With a frozen epoch, in which the backbone's statistics stay, and averaged weights; in micro-batches too."""
    train = {"epochs": 3, "batch_size": 12, "freeze_epochs": 1, "ema_decay": 0.5, "keep": "ema", "lr": lr}
    configure(train={**train, "accumulate": accumulate, "optimizer": optimizer}, **UNEVEN)
    comp("split")
    finished = comp_ranks("train", "name=two")
    assert finished.returncode == 0, finished.stderr
    assert comp("train", "name=one", "train.processes=1")[0] == 0
    for table in ("oof", "test"):
        np.testing.assert_allclose(probabilities("two", table), probabilities("one", table), rtol=0, atol=most)


@pytest.mark.release  # started by comp itself above
def test_started_by_accelerate_it_trains_one_model_on_all_processes(competition, configure, comp):
    """With batch norm of each process's own share: what was predicted is what the checkpoint predicts."""
    drop_rows(competition, 1)
    configure(train={"epochs": 2, "batch_size": 6, "sync_batchnorm": False}, **UNEVEN)
    comp("split")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    finished = subprocess.run(
        [*command, "-m", "comp", "train"], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("fold 0  done") == 1
    assert json.loads(Path("runs/small/metrics.json").read_text())["rows"] == 35
    trained = {table: probabilities("small", table) for table in ("oof", "test")}
    assert comp("predict")[0] == 0
    for table, before in trained.items():
        assert np.allclose(probabilities("small", table), before, atol=1e-5)


def test_an_error_in_the_processes_is_one_line_and_no_traceback(competition, configure, comp, comp_process):
    configure()
    comp("split")
    finished = comp_process("train", "train.processes=2", "model.weights=nothing.safetensors")
    assert finished.returncode == 1
    expected = "error: model.weights=nothing.safetensors: there is no such file or folder"
    assert [line for line in finished.stderr.splitlines() if line] == [expected]
    assert "next " not in finished.stdout


UNUSED = """

@register("model", "with_a_spare_layer")
def with_a_spare_layer(settings: Model) -> nn.Module:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = tiny_cnn(settings), nn.Linear(3, 5)

        def forward(self, images: Tensor) -> Tensor:
            return self.used(images)

    return Spare()
"""


def test_weights_that_take_no_part_are_no_surprise(competition, configure, comp, repo):
    configure(model={"backbone": "with_a_spare_layer"}, train={"epochs": 2, "freeze_epochs": 1, "batch_size": 6})
    assert comp("split")[0] == 0
    shutil.copytree(SOURCE, repo / "src")
    with (repo / "src/comp/custom.py").open("a", encoding="utf-8") as file:
        file.write(UNUSED)
    finished = comp_ranks("train", PYTHONPATH=str(repo / "src"))
    assert finished.returncode == 0, finished.stderr
    expected = (
        "2 weights have no part in the logits and are not trained: 'backbone.spare.weight', 'backbone.spare.bias'"
    )
    assert finished.stdout.count(expected) == 2  # folds


@pytest.mark.release  # each process saves as one does: test_resume.py
@needs_signals
def test_a_signal_to_the_starter_saves_and_ends_all_processes(competition, configure, comp):
    configure(train={"epochs": 2000, "batch_size": 4, "save_every": "1000 epochs"}, **UNEVEN)
    comp("split")
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "comp", "train", "train.processes=2"]
    starter = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    folder, deadline = Path("runs/small/fold0"), time.monotonic() + 120
    while not (folder / "history.csv").is_file() and starter.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    starter.send_signal(signal.SIGTERM)
    _, errors = starter.communicate(timeout=60)  # returns once nobody writes any more
    assert starter.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in errors
    assert "the state is saved, the same command resumes" in errors
    assert (folder / "last" / "state.pt").is_file()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.batch_size=7", "train.batch_size=7 cannot be cut into 2 processes × 1 accumulation steps"),
        ("metric=acuracy", "no metric is called 'acuracy': did you mean 'accuracy'?"),
        ("data.train=nothing.csv", "data.train=nothing.csv: data/nothing.csv does not exist"),
    ],
)
def test_an_error_in_the_settings_is_told_before_any_process_starts(override, message, competition, configure, comp):
    configure()
    comp("split")
    status, out, err = comp("train", "train.processes=2", override)
    assert status == 1
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [err.splitlines()[-1]]
    assert message in err
    assert "launch" not in out
