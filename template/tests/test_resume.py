"""Killed and resumed is the same as never killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import SOURCE
from safetensors.torch import load_file

from comp.registry import register

LONG = {
    "train": {
        "epochs": 8,
        "ema_decay": 0.9,
        "keep": "ema",
        "layer_decay": 0.8,
        "warmup_epochs": 1,
        "clip_norm": 1.0,
        "freeze_epochs": 1,
        "accumulate": 2,
    },
    "model": {"head": "mlp", "head_args": {"hidden": 16}},
    "augment": {"mixup": 0.2, "cutmix": 1.0, "mix_off_epochs": 1, "erase": 0.2, "rotate_deg": 10},
}
TIMES = ["seconds", "images_per_s"]


def history(run: str, fold: int) -> pd.DataFrame:
    return pd.read_csv(f"runs/{run}/fold{fold}/history.csv").drop(columns=TIMES)


def assert_same_run(one: str, other: str, folds: tuple[int, ...] = (0, 1)) -> None:
    for fold in folds:
        left, right = (load_file(f"runs/{run}/fold{fold}/best.safetensors") for run in (one, other))
        assert left.keys() == right.keys()
        assert all(left[name].equal(right[name]) for name in left)
        pd.testing.assert_frame_equal(history(one, fold), history(other, fold), check_exact=True)
    for table in ("oof", "test"):
        left, right = (pd.read_parquet(f"runs/{run}/{table}.parquet") for run in (one, other))
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def train_until_killed(path: Path, after_s: float = 0.0, name: str = "small") -> None:
    """Starts `comp train` as a user does, and kills it without warning once `path` is written."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "comp", "train", f"name={name}"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(60_000):
            if path.is_file() or process.poll() is not None:
                break
            time.sleep(0.002)
        time.sleep(after_s)
    finally:
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors


def test_a_training_killed_twice_ends_with_the_same_weights(competition, configure, comp):
    configure(**LONG)
    comp("split")
    train_until_killed(Path("runs/small/fold0/last/state.pt"))
    assert 0 < len(history("small", 0)) < 8
    train_until_killed(Path("runs/small/fold1/last/state.pt"), after_s=0.05)
    assert 0 < len(history("small", 1)) < 8
    finished = Path("runs/small/fold0/best.safetensors")
    written = finished.stat().st_mtime_ns
    status, out, _ = comp("train")
    assert status == 0
    assert "fold 0  is trained already" in out
    assert "resume  runs/small/fold1 after epoch" in out
    assert finished.stat().st_mtime_ns == written
    assert comp("train", "name=undisturbed")[0] == 0
    assert_same_run("small", "undisturbed")


def test_a_training_stopped_by_the_user_goes_on_from_the_last_epoch(competition, configure, comp):
    epochs = iter(range(100))

    def stopping(y, p, targets):
        if next(epochs) == 4:  # once is for the check before the first epoch
            raise KeyboardInterrupt
        return 0.0

    register("metric", "stopping")(stopping)
    stop = {"patience": 3, "watch": "loss"}
    configure(train={"epochs": 6, "keep": "best", "early_stop": stop, "ema_decay": 0.5}, folds={"kind": "holdout"})
    comp("split")
    status, _, err = comp("train", "metrics=[log_loss,stopping]")
    assert status == 130
    assert "the same command goes on" in err
    assert list(history("small", 0)["epoch"]) == [1, 2, 3]
    status, out, _ = comp("train")
    assert status == 0
    assert "resume  runs/small/fold0 after epoch 3" in out
    comp("train", "name=undisturbed")
    left, right = (load_file(f"runs/{run}/fold0/best.safetensors") for run in ("small", "undisturbed"))
    assert all(left[name].equal(right[name]) for name in left)
    assert list(history("small", 0)["val_loss"]) == list(history("undisturbed", 0)["val_loss"])


def test_nothing_to_resume_from_is_left_of_a_finished_fold(trained):
    left = {path.name for path in (trained / "runs/small/fold0").iterdir()}
    assert left == {"best.safetensors", "history.csv", "metrics.json", "oof.parquet", "test.parquet"}


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("train.lr=0.5", "train.lr was 0.003, is 0.5"),
        ("seed=1", "seed was 42, is 1"),
        ("model.head_args={dropout: 0.1}", "model.head_args was {}, is {'dropout': 0.1}"),
        ("train.early_stop={patience: 2}", "train.early_stop was None, is {'patience': 2, 'watch': 'loss'}"),
        ("augment.hflip=0", "augment.hflip was 0.5, is 0.0"),
    ],
)
def test_a_changed_configuration_is_refused_and_the_key_is_named(override, key, trained, comp):
    before = Path("runs/small/fold0/best.safetensors").read_bytes()
    status, _, err = comp("train", "train.epochs=3", override)
    assert status == 1
    assert err.startswith("error: runs/small was trained with another configuration (")
    assert key in err
    assert "--fresh" in err
    assert Path("runs/small/fold0/best.safetensors").read_bytes() == before


@pytest.mark.parametrize("override", ["train.workers=2", "predict.views=[hflip]", "metrics=[accuracy,log_loss]"])
def test_what_does_not_change_the_weights_may_change(override, trained, comp):
    status, out, _ = comp("train", "train.epochs=3", override)
    assert status == 0
    assert out.count("is trained already") == 2


def test_fresh_trains_anew(trained, comp):
    status, out, _ = comp("train", "--fresh", "train.epochs=1", "folds=[0]")
    assert status == 0
    assert "is trained already" not in out
    assert len(history("small", 0)) == 1
    assert not Path("runs/small/fold1").exists()


def test_a_run_that_never_trained_may_be_corrected(competition, configure, comp):
    configure()
    comp("split")
    assert comp("train", "model.backbone=test_resnext")[0] == 1
    assert comp("train", "folds=[0]")[0] == 0


def test_some_folds_then_all(competition, configure, comp):
    configure()
    comp("split")
    status, out, _ = comp("train", "folds=[1]")
    assert status == 0
    assert "18 of 36 training rows are predicted, by 1 folds" in out
    assert set(pd.read_parquet("runs/small/oof.parquet")["fold"]) == {1}
    status, out, _ = comp("train")
    assert "fold 1  is trained already" in out
    assert len(pd.read_parquet("runs/small/oof.parquet")) == 36
    comp("train", "name=at-once")
    assert_same_run("small", "at-once")


def test_more_training_of_a_finished_run_is_refused_not_ignored(trained, comp):
    status, _, err = comp("train", "train.epochs=5")
    assert status == 1
    assert "train.epochs was 3, is 5" in err


def test_a_run_is_not_continued_with_other_folds(competition, configure, comp):
    configure()
    comp("split")
    assert comp("train", "folds=[0]")[0] == 0
    assert comp("split", "--force", "folds.seed=7")[0] == 0
    status, _, err = comp("train", "folds.seed=7", "folds=[1]")
    assert status == 1
    assert "folds.seed was 42, is 7" in err
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table.loc[0, "label"] = "green"
    table.to_csv(competition / "train.csv", index=False)
    assert comp("split", "--force")[0] == 0
    status, _, err = comp("train")
    assert status == 1
    assert "begun with other folds" in err
