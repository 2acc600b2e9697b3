"""`comp tune`: trials are runs that resume, the best is told for what it is worth, who takes its values is flagged."""

import json
import re
import shutil
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import yaml

from comp.config import load_config
from comp.errors import CompError
from comp.runs.flags import flags_of_training
from comp.runs.rundir import RunDir
from comp.vision.data.settle import settled
from comp.vision.schema import Between, ImageConfig, Tune
from comp.vision.training.train import train
from comp.vision.tuning import tune as tuning
from comp.vision.tuning.trials import (
    Trial,
    as_held,
    count_left,
    count_of,
    is_inside,
    value_at,
    values_of,
    with_values,
)
from comp.vision.tuning.tune import _begun, _free_names, _lines, _score, trial_config

GRID = {"train.epochs": [1, 2], "train.lr": [1.0e-5, 1.0e-2]}


def metrics_of(name: str) -> dict:
    return json.loads(Path(f"runs/{name}/metrics.json").read_text())


def test_a_grid_is_trained_told_and_not_trained_again(competition, configure, comp):
    configure(tune={"keys": GRID})
    assert comp("split")[0] == 0
    status, out, err = comp("tune")
    assert (status, err) == (0, "")
    names = [f"small-tune-{number:02d}" for number in range(1, 5)]
    scores = {name: metrics_of(name)["scores"]["accuracy"]["oof"] for name in names}
    table = pd.read_csv("runs/small-tune.csv")
    assert dict(zip(table["name"], table["accuracy"], strict=True)) == pytest.approx(scores, abs=1e-6)
    assert table["accuracy"].is_monotonic_decreasing
    assert [load_config(Path(f"runs/{name}/config.yaml")).train.lr for name in names] == [1e-5, 1e-2] * 2
    assert all(metrics_of(name)["folds"] == 1 for name in names)
    expected = float(re.search(r"(\d\.\d+) is expected of it on other rows", out)[1])
    assert table["accuracy"].mean() - 1e-4 <= expected <= table["accuracy"].max() + 1e-4

    out = comp("board")[1]
    shown = f"it shows {table['accuracy'][0]:.4f}, and {expected:.4f} is expected"
    assert f"tuned: {table['name'][0]} is the best of 4 trials: {shown}" in out
    assert "Best of several trials" in Path("runs/board.html").read_text(encoding="utf-8")

    trained = {name: Path(f"runs/{name}/fold0/best.safetensors").stat().st_mtime_ns for name in names}
    assert comp("train", "runs/small-tune-02/config.yaml", "folds=all")[0] == 0
    assert metrics_of("small-tune-02")["folds"] == 2
    assert comp("tune")[1].count("is already trained") == 4
    assert {n: Path(f"runs/{n}/fold0/best.safetensors").stat().st_mtime_ns for n in names} == trained
    pd.testing.assert_frame_equal(pd.read_csv("runs/small-tune.csv"), table)  # by the rows of fold 0, as before


def test_an_interrupted_tuning_goes_on_with_what_is_missing(competition, configure, comp):
    configure(tune={"keys": GRID, "trials": 3})
    assert comp("split")[0] == 0
    assert comp("tune")[0] == 0
    begun = Path("runs/small-tune-02")
    values = load_config(begun / "config.yaml").train
    (begun / "metrics.json").unlink()
    (begun / "fold0" / "metrics.json").unlink()
    status, out, err = comp("tune")
    assert (status, err, out.count("is already trained")) == (0, "", 2)
    assert load_config(begun / "config.yaml").train == values
    configure(tune={"keys": GRID})
    assert comp("tune")[1].count("is already trained") == 3
    every = [[epochs, lr] for epochs in GRID["train.epochs"] for lr in GRID["train.lr"]]
    tried = pd.read_csv("runs/small-tune.csv")
    assert sorted(tried[["train.epochs", "train.lr"]].to_numpy().tolist()) == every
    configure(tune={"keys": GRID, "trials": 3}, model={"image_size": 24})
    status, _, err = comp("tune")
    assert status == 1
    assert "model.image_size was 16, is 24" in err


def test_who_takes_the_advice_is_flagged_on_the_folds_that_chose(competition, configure, comp):
    configure(tune={"keys": {"train.lr": [1.0e-3, 1.0e-2]}})
    assert comp("split")[0] == 0
    out = comp("tune")[1]
    assert "comp tune, which chose by rows that are scored (fold 0)" in metrics_of("small-tune-01")["flatters"]
    advice = "".join(line[10:] + "\n" for line in out.splitlines() if line.startswith(" " * 10))
    chosen = yaml.safe_load(advice)
    assert chosen["tuned"] == {"trials": 2, "folds": [0]}
    best = pd.read_csv("runs/small-tune.csv")["train.lr"][0]
    assert chosen["train"] == {"lr": best}
    configure(name="final", **chosen)
    assert comp("train")[0] == 0
    assert "of 2 trials of comp tune" in metrics_of("final")["flatters"]
    configure(name="inner", **chosen)
    assert comp("train", "folds=[1]")[0] == 0
    assert metrics_of("inner")["flatters"] == ""
    assert comp("train", "folds=[0]")[0] == 0  # the score is of both folds then
    assert "(fold 0)" in metrics_of("inner")["flatters"]


@pytest.mark.parametrize(
    ("by", "used", "flagged"),
    [([0], "all", True), ([0], [1, 2], False), ("all", [1], True), ([0, 1], [1, 2], True), ("all", "all", True)],
)
def test_a_score_flatters_where_folds_chose_and_score(by, used, flagged):
    config = ImageConfig(folds={"use": used}, tuned={"trials": 5, "folds": by})
    assert bool(flags_of_training(config).flatters) == flagged


def test_a_trial_whose_loss_is_no_number_is_told_and_left_out(competition, configure, comp, monkeypatch):
    configure(tune={"keys": {"train.lr": [1.0e30, 3.0e-3]}}, train={"log_every": 1})
    assert comp("split")[0] == 0
    status, out, err = comp("tune")
    assert (status, err) == (0, "")
    assert "failed: small-tune-01" in out
    assert len(pd.read_csv("runs/small-tune.csv")) == 1

    def in_another_process(trial, arguments):
        """Of which nothing is known but its status, and what it has written."""
        with suppress(CompError):
            return train(trial, arguments)
        return 1

    monkeypatch.setattr(tuning, "train", in_another_process)
    status, out, err = comp("tune")
    assert (status, err) == (0, "")
    assert "failed  small-tune-01: its training diverged" in out
    first = RunDir.of_name("small-tune-01")
    assert first.diverged()
    assert not first.started  # a smaller rate may have the same name
    shutil.rmtree("runs/small-tune-02")  # which has another optimizer
    assert comp("tune", "train.optimizer=none")[0] == 1  # it failed for another reason
    assert not first.diverged()


def test_where_every_trial_failed_the_way_out_is_said():
    config = ImageConfig(tune={"keys": {"train.lr": [1.0e30]}})
    with pytest.raises(CompError, match=r"no trial has a score.*try smaller learning rates \(train\.lr\)"):
        _lines(config, config.tune, [(config, Trial({"train.lr": 1.0e30}, None))])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (None, "tune: is not set"),
        ({"keys": {"train.rate": [1]}}, "unknown key 'train.rate'"),
        ({"keys": {"folds.n": [2, 3]}}, "folds.n is not of model, train, augment or seed"),
        ({"keys": {"train.lr": [-1.0]}}, "train.lr"),
    ],
)
def test_keys_that_cannot_be_tuned_are_refused_in_a_line(competition, configure, comp, settings, why):
    configure(tune=settings)
    assert comp("split")[0] == 0
    status, _, err = comp("tune")
    assert (status, err.count("\n")) == (1, 1)
    assert why in err


def test_a_part_of_a_large_grid_is_drawn_once():
    settings = Tune(keys={"train.lr": [1.0, 2.0, 3.0], "train.epochs": [1, 2, 3], "seed": [1, 2]}, trials=7)
    tried = asked(settings, 7, [])
    assert count_left(settings, []) == len({str(each) for each in tried}) == 7
    assert tried == asked(settings, 7, [])
    assert count_of(Tune(keys={"seed": [1, 2]}, trials=9)) == 2


def asked(settings: Tune, count: int, before: list[dict]) -> list[dict]:
    """The values of as many trials."""
    trials = [Trial(values, 0.0) for values in before]
    for _ in range(count):
        trials.append(Trial(values_of(settings, trials, 42, True), 0.0))
    return [trial.values for trial in trials[len(before) :]]


@pytest.mark.parametrize("first", [None, 1, 5])
def test_a_grid_is_filled_whatever_part_of_it_was_tried(first):
    keys = {"train.lr": [1.0, 2.0, 3.0], "seed": [1, 2]}
    other = [{"train.lr": 9.0, "seed": 1}, {"train.lr": 1.0, "seed": 2}]
    before = other + asked(Tune(keys=keys, trials=first), first or 1, other)
    whole = Tune(keys=keys)
    new = asked(whole, count_left(whole, before), before)
    assert len(before) + len(new) == 1 + 6  # one of them is of no grid any more
    assert len({str(each) for each in before + new}) == 7


def test_of_earlier_trials_those_go_on_that_have_chosen_or_are_still_wanted(configure):
    config = configure(tune={"keys": {"train.lr": [1e-3, 1e-2]}})
    for name, lr, finished in (("1", 0.5, True), ("02", 0.5, False), ("10", 1e-3, False), ("x", 1e-3, True)):
        run = RunDir.of_name(f"small-tune-{name}")
        run.start(trial_config(config, config.tune, run.path.name, {"train.lr": lr}, 2))
        if finished:
            finish(run)
    begun = {name: values["train.lr"] for name, values in _begun(config, config.tune).items()}
    assert begun == {"small-tune-1": 0.5, "small-tune-10": 1e-3}
    assert _free_names(config, 2) == ["small-tune-01", "small-tune-03"]
    for folds in ([0, 1], "all"):  # which no trial is trained on that is not wanted any more
        further = config.tune.model_copy(update={"folds": folds})
        assert list(_begun(config, further)) == ["small-tune-10"]
    finish(RunDir.of_name("small-tune-1"), 1)
    assert all(len(_begun(config, config.tune.model_copy(update={"folds": each}))) == 2 for each in ([1], "all"))


def finish(run: RunDir, fold: int = 0) -> None:
    for path in (run.metrics, run.fold(fold) / "metrics.json"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")


@pytest.mark.parametrize(
    "keys",
    [
        {"train.weight_decay": [0.0, 0.1]},
        {"train.lr": [1e-3, 1e-2], "model.args.drop_rate": [0.1]},
        {"train.lr": [1e-3, 1e-2], "augment.rand_augment.ops": [2]},
    ],
)
def test_trials_of_other_keys_are_no_trials_of_this_tuning(keys, competition, configure, comp):
    """Killed, there is no table that would say which keys they were."""
    config, run = configure(tune={"keys": {"train.lr": [1e-3, 1e-2]}}), RunDir.of_name("small-tune-01")
    run.start(settled(trial_config(config, config.tune, run.path.name, {"train.lr": 1e-3}, 2)))
    finish(run)
    configure(tune={"keys": keys})
    status, _, err = comp("tune")
    assert (status, err.count("\n")) == (1, 1)
    said = err.replace("\\", "/")
    assert said.startswith("error: runs/small-tune-01 was made by other keys than tune.keys has, or of another")
    assert said.endswith("give this tuning another name (name=…), or remove runs/small-tune-*\n")


def test_values_that_a_configuration_holds_otherwise_are_known_again():
    keys = {"train.lr": [1, 1.0], "augment.rand_augment": [{"ops": 3}, None], "train.min_lr": [5.0]}
    config = ImageConfig(tune={"keys": keys})
    settings = as_held(config, config.tune)
    assert settings.keys["train.lr"] == [1.0]
    assert settings.keys["train.min_lr"] == [5.0]  # above the rate that it does not have then
    (first, second), trained = asked(settings, 2, []), with_values(ImageConfig(), {"augment.rand_augment": {"ops": 3}})
    assert first["augment.rand_augment"] == value_at(trained, "augment.rand_augment")
    assert second["augment.rand_augment"] is None


def test_a_score_that_is_no_number_is_no_score(trained, monkeypatch, capsys):
    """Of a fold with one class, for example."""
    settings = Tune(keys={"train.lr": [1e-3]}, folds=[0, 1])
    assert 0 <= _score("accuracy", "small", settings) <= 1
    monkeypatch.setattr(tuning, "score", lambda *_: float("nan"))
    assert _score("accuracy", "small", settings) is None
    assert "failed  small: accuracy of folds 0, 1 is no number" in capsys.readouterr().out


def test_nested_keys_and_whole_sections_are_set():
    config = with_values(ImageConfig(), {"augment.rand_augment": {"ops": 3}, "model.args.drop_rate": 0.5, "seed": 7})
    assert (config.augment.rand_augment.ops, config.model.args, config.seed) == (3, {"drop_rate": 0.5}, 7)


def test_optuna_asks_for_what_it_would_ask_again(monkeypatch):
    pytest.importorskip("optuna")
    settings = Tune(keys={"train.lr": Between(low=1e-5, high=1e-1, log=True), "train.epochs": Between(low=1, high=9)})
    assert count_of(settings) == 16

    def tried(greater):
        found = []
        for _ in range(16):
            values = values_of(settings, found, 0, greater)
            assert 1e-5 <= values["train.lr"] <= 1e-1
            assert values["train.epochs"] in range(1, 10)
            found.append(Trial(values, -abs(values["train.epochs"] - 8)))
        return found

    assert tried(True) == tried(True)
    better, worse = ([abs(t.values["train.epochs"] - 8) for t in tried(g)][8:] for g in (True, False))
    assert sum(better) < sum(worse)


def test_trials_outside_of_what_is_asked_today_teach_optuna_nothing():
    pytest.importorskip("optuna")
    half = {"train.lr": Between(low=1e-3, high=1e-1, log=True), "train.epochs": Between(low=1, high=9)}
    settings = Tune(keys={**half, "seed": [1, 3]}, trials=4)
    before = [
        {"train.lr": 1e-5, "train.epochs": 3, "seed": 1},  # the range was narrowed
        {"train.lr": 1e-2, "train.epochs": 2.5, "seed": 1},  # these were no whole numbers
        {"train.lr": 1e-2, "train.epochs": 2, "seed": 2},  # it was taken out of the list
        {"train.lr": None, "train.epochs": 2, "seed": 1},
        {"train.lr": 1e-2, "train.epochs": 2, "seed": 3},
    ]
    assert [is_inside(settings, values) for values in before] == [False] * 4 + [True]
    assert count_left(settings, before) == 3
    assert all(is_inside(settings, values) for values in asked(settings, 3, before))


def test_without_optuna_a_range_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(CompError, match=r"pip install -e \"\.\[tune\]\""):
        values_of(Tune(keys={"train.lr": Between(low=1e-5, high=1e-1)}), [], 0, True)


def test_a_range_that_falls_or_has_no_logarithm_is_refused():
    for low, high, log in ((2, 1, False), (0, 1, True)):
        with pytest.raises(ValueError, match="is no range"):
            Between(low=low, high=high, log=log)
