"""FSDP: the same answer where each process holds a part of the model. Here on the CPU, through gloo."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import yaml
from conftest import SMALL, SOURCE, write_competition
from safetensors.torch import load_file

from comp.cli import main
from comp.state import read_tensors

LAUNCHER = SOURCE.parent / "conf" / "launch" / "multi-node-fsdp.yaml"
TIMES = ["seconds", "images_per_s"]
SHARDED = {
    **SMALL,
    "folds": {"kind": "holdout", "holdout": 0.4},  # 15 rows to validate: 8 and 7, in 2 and 2 batches
    "model": {"backbone": "test_vit", "pretrained": False, "image_size": 16},
    "train": {
        "epochs": 4,
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
        told, _ = process.communicate(timeout=240)
        assert process.returncode == 0, told
        (folder / "told.txt").write_text(told, encoding="utf-8")
        yield folder
    finally:
        os.chdir(before)


@pytest.fixture(autouse=True)
def within(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)


def history(name: str) -> pd.DataFrame:
    return pd.read_csv(f"runs/{name}/fold0/history.csv").drop(columns=TIMES)


def weights(name: str) -> dict[str, torch.Tensor]:
    return load_file(f"runs/{name}/fold0/best.safetensors")


def probabilities(name: str, table: str) -> pd.DataFrame:
    return pd.read_parquet(f"runs/{name}/{table}.parquet").set_index("id").filter(like="p_")


def test_parts_of_a_model_learn_what_the_whole_one_learns(comp):
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


def test_one_process_predicts_from_what_several_kept(comp):
    trained = {table: probabilities("sharded", table) for table in ("oof", "test")}
    assert comp("predict")[0] == 0
    for table, before in trained.items():
        assert np.allclose(probabilities("sharded", table), before, atol=1e-6)


@pytest.mark.parametrize("updates", [1, 5])  # in the frozen epoch, and after it
def test_a_sharded_training_that_is_killed_goes_on_to_the_same_bits(updates):
    process, state = start_sharded("train", f"name=killed{updates}"), Path(f"runs/killed{updates}/fold0/last/state.pt")
    deadline = time.monotonic() + 240
    while not (state.is_file() and read_tensors(state)["progress"]["update"] >= updates):
        assert process.poll() is None and time.monotonic() < deadline, process.stdout.read()
        time.sleep(0.01)
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()
    process.communicate()
    process = start_sharded("train", f"name=killed{updates}")
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 0, told
    assert f"resume  runs/killed{updates}/fold0 after epoch" in told
    left, right = weights(f"killed{updates}"), weights("sharded")
    assert all(left[name].equal(right[name]) for name in right)
    pd.testing.assert_frame_equal(history(f"killed{updates}"), history("sharded"), check_exact=True)
