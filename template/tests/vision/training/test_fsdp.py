"""FSDP: the same answer where each process holds a part of the model. Here on the CPU, through gloo."""

import copy
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file
from support import SOURCE
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.functional import cross_entropy
from vision.small import SMALL, write_competition

from comp.cli import main
from comp.distributed.accelerator import accelerator_for
from comp.distributed.fsdp import ON_PARTS, shard
from comp.errors import CompError
from comp.loop.tensors import read_tensors
from comp.vision.model import build_model
from comp.vision.training.optimizer import build_optimizer

LAUNCHER = SOURCE.parent / "conf" / "launch" / "multi-node-fsdp.yaml"
TIMES = ["seconds", "images_per_s"]
LIMIT_S = 480  # for two processes to begin and to train, on a machine that has other work
ROUNDING = 1e-5  # of a step that is fused here and is not there, and of norms
SHARDED = {
    **SMALL,
    "folds": {"kind": "holdout", "holdout": 0.4},  # 15 rows to validate: 8 and 7, in 2 and 2 batches
    "model": {"backbone": "test_vit", "pretrained": False, "image_size": 16},
    "train": {
        "epochs": 3,
        "batch_size": 8,
        "lr": 3.0e-3,
        "sampler": "weighted",
        "freeze_epochs": 1,
        "accumulate": 2,
        "clip_norm": 1.0,
        "layer_decay": 0.8,
        "ema_decay": 0.5,
        "keep": "ema",
        "save_every": "1 update",
    },
    "predict": {"batch_size": 7},  # of 8 and 7 rows: two batches here, one there
}


def start_sharded(*arguments: str) -> "subprocess.Popen[str]":
    """`comp ARGUMENTS` in two processes, as the launcher's file starts it, but for the number of machines."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "fsdp.yaml", "-m", "comp"]
    return subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with the run `sharded`, trained by two processes; what they told is in `told.txt`."""
    folder, before = tmp_path_factory.mktemp("sharded"), Path.cwd()
    os.chdir(folder)
    write_competition(folder / "data")
    (folder / "conf").mkdir()
    (folder / "conf" / "baseline.yaml").write_text(yaml.safe_dump({**SHARDED, "name": "sharded"}), encoding="utf-8")
    settings = yaml.safe_load(LAUNCHER.read_text(encoding="utf-8"))
    (folder / "fsdp.yaml").write_text(yaml.safe_dump({**settings, "num_machines": 1, "main_process_port": 0}))
    try:
        assert main(["split"]) == 0
        process = start_sharded("train")
        told, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, told
        (folder / "told.txt").write_text(told, encoding="utf-8")
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def within(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)


def history(name: str) -> pd.DataFrame:
    return pd.read_csv(f"runs/{name}/fold0/history.csv").drop(columns=TIMES)


def weights(name: str) -> dict[str, torch.Tensor]:
    return load_file(f"runs/{name}/fold0/best.safetensors")


def updates_saved(state: Path) -> int:
    try:
        return read_tensors(state)["progress"]["update"]
    except CompError:  # not yet, or just being replaced
        return 0


def probabilities(name: str, table: str) -> pd.DataFrame:
    return pd.read_parquet(f"runs/{name}/{table}.parquet").set_index("id").filter(like="p_")


@pytest.mark.release  # what is kept of such a training is looked at below
def test_parts_of_a_model_learn_what_the_whole_one_learns(within, comp):
    """Weights, average, scores and predictions; with a frozen epoch, pieces, clipping and rows that do not divide."""
    assert "fsdp    2 processes share the model, which is put together in 7 units" in Path("told.txt").read_text()
    assert comp("train", "name=one")[0] == 0
    one, sharded = weights("one"), weights("sharded")
    assert one.keys() == sharded.keys()
    assert all(torch.allclose(one[name], sharded[name], atol=2e-4) for name in one)
    assert np.allclose(history("one"), history("sharded"), atol=1e-4)
    for table in ("oof", "test"):
        assert list(probabilities("one", table).index) == list(probabilities("sharded", table).index)
        assert np.allclose(probabilities("one", table), probabilities("sharded", table), atol=2e-4)


def test_one_process_predicts_from_what_several_kept(within, comp):
    trained = {table: probabilities("sharded", table) for table in ("oof", "test")}
    assert comp("predict")[0] == 0
    for table, before in trained.items():
        assert np.allclose(probabilities("sharded", table), before, atol=1e-6)


@pytest.mark.release  # one that is not is killed in test_resume.py
def test_a_sharded_training_that_is_killed_goes_on_to_the_same_bits(within):
    process, state = start_sharded("train", "name=killed"), Path("runs/killed/fold0/last/state.pt")
    deadline = time.monotonic() + LIMIT_S
    try:
        while updates_saved(state) < 4:  # of 6; the first 2 are of the frozen epoch
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.kill()
        process.communicate()
    process = start_sharded("train", "name=killed")
    told, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, told
    assert "resume  runs/killed/fold0 after epoch" in told
    left, right = weights("killed"), weights("sharded")
    assert all(left[name].equal(right[name]) for name in right)
    pd.testing.assert_frame_equal(history("killed"), history("sharded"), check_exact=True)


# What follows needs no second process: the parts of a single one are parts as well.


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """`launched(True)`: from now on this process is one that a launcher with FSDP started; False: no longer."""
    values = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "MASTER_PORT": "0"}
    values |= {
        "MASTER_ADDR": "127.0.0.1",
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    }

    def switch(on: bool) -> None:
        for name, value in values.items():
            if on:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        if not on and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    yield switch
    switch(False)


ALONE = {  # channels-last convolutions round otherwise; without them, the same bits
    "model": {"backbone": "test_vit"},
    "train": {"epochs": 2, "freeze_epochs": 1, "ema_decay": 0.5, "save_every": "1 epoch", "channels_last": False},
}


def assert_same(one: nn.Module, other: nn.Module, atol: float = 0.0) -> None:
    left, right = one.state_dict(), other.state_dict()
    assert left.keys() == right.keys()
    assert all(torch.allclose(left[name], right[name], rtol=0, atol=atol) for name in left)


@pytest.mark.parametrize(
    ("backbone", "setting"),
    [
        ("test_resnet", {"keep": "best"}),  # it has batch statistics
        ("test_resnet", {"keep": "ema"}),
        ("test_vit", {"keep": "last", "precision": "bf16"}),
        ("test_vit", {"keep": "ema", "grad_checkpointing": True}),
    ],
    ids=str,
)
def test_whichever_weights_are_kept_they_are_whole(backbone, setting, launched, fit_fold):
    sections = {"model": {"backbone": backbone}, "train": {**ALONE["train"], **setting}}
    plain, expected = fit_fold(**sections)
    launched(True)
    kept, history = fit_fold(**sections)
    assert_same(kept, plain)
    pd.testing.assert_frame_equal(history.drop(columns=TIMES), expected.drop(columns=TIMES), check_exact=True)
    assert not any(isinstance(tensor, DTensor) for tensor in kept.parameters())


@pytest.mark.parametrize(
    ("first", "optimizer", "epochs"),
    [("whole", "adamw", 1), ("whole", "sgd", 2), ("parts", "adamw", 2)],  # 1: the epoch that is frozen
)
def test_what_was_begun_whole_goes_on_in_parts_and_back(first, optimizer, epochs, launched, fit_fold):
    train = {**ALONE["train"], "epochs": 3, "optimizer": optimizer, "schedule": "constant"}
    undisturbed, _ = fit_fold(**{**ALONE, "train": train})
    launched(first == "parts")
    fit_fold(**{**ALONE, "train": {**train, "epochs": epochs}})
    shutil.copytree("runs/fit1", "runs/fit2")
    launched(first == "whole")
    resumed, _ = fit_fold(**{**ALONE, "train": train})
    assert_same(resumed, undisturbed, ROUNDING)


@pytest.mark.parametrize("name", ON_PARTS)
def test_each_optimizer_that_is_offered_steps_parts_as_whole_weights(name, launched, configure):
    config = configure(model={"backbone": "test_vit"}, train={"optimizer": name})
    launched(True)
    accelerator = accelerator_for(config)
    one = build_model(config.model, 3)
    other = copy.deepcopy(one)
    whole = shard(other, None, accelerator)
    images = torch.randint(0, 255, (4, 3, 16, 16), dtype=torch.uint8)
    for model in (one, other):
        optimizer = build_optimizer(model, config.train)
        for _ in range(2):
            cross_entropy(model(images), torch.tensor([0, 1, 2, 0])).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert_same(whole(other), one, ROUNDING)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FSDP_VERSION", "1", "fsdp_version: only 2 is supported"),
        ("FSDP_ACTIVATION_CHECKPOINTING", "true", "set it to false; train.grad_checkpointing=true does it"),
        ("FSDP_OFFLOAD_PARAMS", "true", "fsdp_offload_params: set it to false"),
        ("FSDP_TRANSFORMER_CLS_TO_WRAP", "Blok", "Could not find the transformer layer class Blok"),
    ],
)
def test_what_the_launcher_may_not_ask_for_is_one_line(variable, value, message, launched, fit_fold, monkeypatch):
    launched(True)
    monkeypatch.setenv(variable, value)
    with pytest.raises(CompError, match=message):
        fit_fold(**ALONE)


@pytest.mark.parametrize("setting", [{"accumulate": "auto"}, {"batch_size": "auto"}, {"optimizer": "adafactor"}])
def test_settings_that_do_not_suit_parts_are_one_line(setting, launched, fit_fold):
    launched(True)
    with pytest.raises(CompError, match=f"train.{next(iter(setting))}=.* not for FSDP"):
        fit_fold(**{**ALONE, "train": setting})
