"""Killed and resumed is the same as never killed."""

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from processes import Comp
from safetensors.torch import load_file
from support import KILL, for_a_release, needs_signals

from comp.errors import CompError
from comp.loop.tensors import read_tensors
from comp.registry import register
from comp.runs.rundir import RunDir
from comp.vision.training.losses import cross_entropy

LONG = {
    "train": {
        "epochs": 8,
        "ema_decay": 0.9,
        "keep": "ema",
        "layer_decay": 0.8,
        "warmup_epochs": 1,
        "clip_norm": 1.0,
        "freeze_epochs": 1,
        "batch_size": 4,
        "accumulate": 2,
        "save_every": "1 update",
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


def train_until(told: Callable[[], bool], number: signal.Signals, name: str = "small") -> tuple[int, str]:
    """Starts `comp train` and sends it a signal once `told` is true: exit status and errors."""
    process = Comp("train", f"name={name}")
    deadline = time.monotonic() + 120
    while not told() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(number)
    return process.wait(), process.text()[1]


def saved_anew(folder: Path, times: int) -> Callable[[], bool]:
    """True once the state in `folder` was saved so often after now."""
    seen = {_saved_at(folder)}

    def told() -> bool:
        seen.add(_saved_at(folder))
        return len(seen) > times

    return told


def _saved_at(folder: Path) -> int:
    try:
        return (folder / "state.pt").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def progress(folder: Path) -> dict[str, int]:
    return read_tensors(folder / "state.pt")["progress"]


def test_a_training_killed_at_random_moments_ends_with_the_same_weights(competition, configure, comp):
    """Within epochs and between them, in the first fold and in the second, with each random part switched on."""
    configure(**LONG)
    comp("split")
    rng, first, second = random.Random(time.time_ns()), Path("runs/small/fold0/last"), Path("runs/small/fold1/last")
    for folder in (first, first, second):
        status, errors = train_until(saved_anew(folder, rng.randint(2, 14)), KILL)
        assert status == -KILL, errors
    assert Path("runs/small/fold0/best.safetensors").is_file()
    status, out, _ = comp("train")
    assert status == 0
    assert "fold 0  is already trained" in out
    assert "resume  runs/small/fold1 after epoch" in out
    assert comp("train", "name=undisturbed", "train.save_every=3 epochs")[0] == 0
    assert_same_run("small", "undisturbed")


@needs_signals
@pytest.mark.parametrize("number", [signal.SIGTERM, for_a_release(signal.SIGINT)])
def test_a_signal_saves_first_and_the_same_command_goes_on(number, competition, configure, comp):
    configure(folds={"kind": "holdout"}, train={"epochs": 20, "batch_size": 2, "save_every": "1 epoch"})
    comp("split")
    folder = Path("runs/small/fold0/last")
    saved = saved_anew(folder, 2)
    status, errors = train_until(lambda: saved() and time.sleep(0.03) is None, number)
    assert status == 128 + number
    assert "the state is saved, the same command resumes" in errors
    assert "Traceback" not in errors
    stopped = progress(folder)
    assert stopped["epoch"] < 20
    status, out, _ = comp("train")
    assert status == 0
    assert f"resume  runs/small/fold0 after epoch {stopped['epoch']}" in out
    comp("train", "name=undisturbed")
    assert_same_run("small", "undisturbed", folds=(0,))


@pytest.mark.parametrize("call", [5, 9, 13])
def test_an_epoch_goes_on_where_it_was_cut(call, fit_fold):
    @register("loss", "interrupted")
    def build(settings, class_weights):
        calls, loss = iter(range(1000)), cross_entropy(settings, class_weights)

        def interrupted(logits, targets):
            if next(calls) == call and not resumed:
                raise KeyboardInterrupt
            return loss(logits, targets)

        return interrupted

    long = {**LONG, "train": {**LONG["train"], "epochs": 3, "loss": "interrupted"}}
    resumed: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        fit_fold(**long)
    assert progress(Path("runs/fit0/last"))["batch"] == call // 2 * 2 % 8  # 8 batches an epoch, 2 an update
    shutil.copytree("runs/fit0", "runs/fit1")
    resumed.append(True)
    model, history = fit_fold(**long)
    undisturbed, expected = fit_fold(**long)
    pd.testing.assert_frame_equal(history.drop(columns=TIMES), expected.drop(columns=TIMES), check_exact=True)
    weights = zip(model.state_dict().values(), undisturbed.state_dict().values(), strict=True)
    assert all(one.equal(other) for one, other in weights)


def test_a_state_that_is_missing_is_replaced_by_the_one_before(fit_fold):
    _, undisturbed = fit_fold(train={"epochs": 3})
    fit_fold(train={"epochs": 3, "save_every": "1 update"})
    folder = Path("runs/fit1/last")
    assert {path.name for path in folder.iterdir()} == {"state.pt", "before.pt"}
    (folder / "state.pt").unlink()
    shutil.copytree(folder.parent, Path("runs/fit2"))
    _, resumed = fit_fold(train={"epochs": 3})
    pd.testing.assert_frame_equal(resumed.drop(columns=TIMES), undisturbed.drop(columns=TIMES), check_exact=True)


def test_weights_that_are_no_numbers_are_never_saved(fit_fold):
    @register("loss", "late_nan")
    def build(settings, class_weights):
        calls = iter(range(100))

        def loss(logits, targets):
            value = logits.square().mean()
            return value * float("nan") if next(calls) == 5 else value

        return loss

    with pytest.raises(CompError, match=r"fold 0, epoch 3: the training loss is nan. Set train.lr lower"):
        fit_fold(train={"epochs": 4, "loss": "late_nan", "save_every": "1 update"})
    values = read_tensors(Path("runs/fit0/last/state.pt"))
    assert values["progress"]["update"] == 5
    assert all(bool(tensor.isfinite().all()) for tensor in values["model"].values())


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
    assert "the same command resumes" in err
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
        ("train.early_stop={patience: 2}", "train.early_stop was None, is {'patience': 2, 'watch': 'metric'}"),
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
    assert out.count("is already trained") == 2


def test_fresh_trains_anew(trained, comp):
    before = RunDir.of_name("small").trained_at()
    status, out, _ = comp("train", "--fresh", "train.epochs=1", "folds=[0]")
    assert status == 0
    assert "is already trained" not in out
    assert len(history("small", 0)) == 1
    assert "" < before < RunDir.of_name("small").trained_at()
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
    assert "18 of 36 training rows are predicted, by 1 fold\n" in out
    assert set(pd.read_parquet("runs/small/oof.parquet")["fold"]) == {1}
    status, out, _ = comp("train")
    assert "fold 1  is already trained" in out
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
    assert "started with other folds" in err
