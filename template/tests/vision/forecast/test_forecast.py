"""`comp forecast`: near to what a training takes, by the real step, without a trace; and it says what to cut."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support import for_a_release

from comp.vision.forecast.estimate import Plan, less, of_inference, of_training, peak_ram
from comp.vision.forecast.forecast import Forecast, ModelForecast, lines_of, made_forecast
from comp.vision.forecast.measure import Cost, Speed
from comp.vision.schema import ImageConfig

SPEED = Speed(
    start=2.0,
    first_epoch=1.0,
    update=0.1,
    frozen_update=0.04,
    batch=32,
    validation=Cost(0.5, 0.001),
    prediction=Cost(0.5, 0.004),
    decoding=0.01,
    feature=0.0,
    saving=0.5,
    ram=2 * 10**9,
    gpu=0,
    cached=10**8,
    views=0,
)
PLAN = Plan(
    epochs=10,
    freeze_epochs=0,
    trainings=((3200, 800),) * 5,
    folds=5,
    test_rows=1000,
    hidden_rows=2000,
    images_each=1.0,
    image_size=224,
    views=4,
)


def total(plan: Plan, speed: Speed = SPEED) -> float:
    return sum(of_training(plan, speed).values())


def test_each_part_is_counted():
    found = of_training(PLAN, SPEED)
    assert found["start of each fold"] == pytest.approx(5 * 3)
    assert found["training steps"] == pytest.approx(5 * 10 * 100 * 0.1)
    assert found["validation"] == pytest.approx(5 * 10 * (0.5 + 0.8))
    assert found["prediction"] == pytest.approx(5 * (1 + 0.004 * 1800))
    assert found["saving"] == pytest.approx(5 * 0.5 * (1 + 100 / 600))
    hidden = of_inference(PLAN, SPEED, process=7.0)
    assert hidden == pytest.approx({"start": 7 + 5 * 2, "decoding": 20, "prediction": 5 * 8.5})
    assert peak_ram(SPEED, cached=10**9) == 2 * 10**9 + 9 * 10**8


def test_what_is_more_work_takes_longer_and_what_is_done_at_once_less():
    student = 3 + 3 * (131 * 0.1 + 1.3) + 8.2 + 0.5  # 4200 rows: test rows are among them
    assert total(replace(PLAN, student_epochs=3)) == pytest.approx(total(PLAN) + 5 * student, rel=0.01)
    frozen = replace(PLAN, freeze_epochs=10)
    assert total(PLAN) - total(frozen) == pytest.approx(5 * 1000 * 0.06, rel=0.01)
    assert total(replace(PLAN, at_once=2)) == pytest.approx(total(PLAN) * 3 / 5)
    assert total(replace(PLAN, save_every=(1, "epochs"))) > total(PLAN) + 5 * 4
    cached = replace(PLAN, cache_frozen=2), replace(SPEED, feature=0.01)
    assert of_training(*cached)["features of what is frozen"] == pytest.approx(5 * 0.01 * 7200)


def told(plan: Plan, speed: Speed, **limits) -> str:
    config = ImageConfig(limits=limits)
    model = ModelForecast(config, plan, speed, speed.ram)
    return "\n".join(lines_of(Forecast([model], process=5.0, decoding=0.0), config))


def test_it_says_what_fits_and_what_to_cut_first():
    seconds = total(PLAN) + 5
    fits, does_not = told(PLAN, SPEED, hours=seconds / 3600 + 0.01), told(PLAN, SPEED, hours=seconds / 3600 - 0.01)
    assert "NOT" not in fits
    assert f"does NOT fit into limits.hours={seconds / 3600 - 0.01:g}" in does_not
    assert "2.0 GB of RAM: does NOT fit into limits.ram_gb=1.5" in told(PLAN, SPEED, ram_gb=1.5)
    cuts = {name: total(*changed) for name, changed in less(PLAN, SPEED).items()}
    assert cuts["train.epochs 10 → 5"] == pytest.approx(total(replace(PLAN, epochs=5)))
    assert cuts["5 → 3 folds (folds.use)"] == pytest.approx(total(PLAN) * 3 / 5)
    best = min(cuts, key=cuts.__getitem__)
    assert next(line for line in fits.splitlines() if line.startswith("cut ")).startswith(f"cut     {best}: training ")


def test_what_the_system_does_not_tell_is_said_or_left_out(monkeypatch):
    monkeypatch.delattr(os, "getloadavg")
    assert peak_ram(replace(SPEED, ram=0), cached=10**9) == 0
    lines = told(PLAN, replace(SPEED, ram=0), ram_gb=1)
    assert "\nmemory  RAM: not measured on this system\n" in lines
    assert "others compute here too" not in lines


def test_where_only_inference_is_too_long_its_own_cuts_are_named():
    slow = replace(SPEED, prediction=Cost(0.0, 1.0))
    plan = replace(PLAN, trainings=((320, 80),) * 5, test_rows=0, hidden_rows=10_000)
    lines = told(plan, slow, hours=3)
    assert "infer   13.9 h for 10000 hidden rows: does NOT fit" in lines
    assert "4 → 2 predict.views: inference" in lines
    assert "train.epochs" not in lines


@pytest.mark.parametrize(
    "sections",
    [
        for_a_release({}),
        {"train": {"epochs": 3, "freeze_epochs": 1, "ema_decay": 0.9, "keep": "ema", "save_every": "1 epochs"}},
        for_a_release({"train": {"epochs": 2, "freeze": ["*"], "cache_frozen": 2}}),
        {"data": {"cache": False}, "predict": {"views": ["identity", "hflip"]}, "train": {"workers": 0}},
        for_a_release({"model": {"metadata": ["height"]}}),
    ],
)
def test_it_runs_the_real_training_and_leaves_no_trace(competition, configure, comp, sections):
    configure(**{**sections, "limits": {"seconds": 0.5, "hidden_test": 500}})
    assert comp("split")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    status, out, err = comp("forecast")
    assert (status, err) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
    assert "500 hidden rows" in out
    assert "\ntrain   " in out and "\nmemory  " in out
    assert len(out.splitlines()) <= 24


def cpu_seconds(process=time.process_time) -> float:
    """Of this process and of those that it waited for: what others compute meanwhile is not in it."""
    return process() + sum(os.times()[2:4])


@pytest.mark.release  # what it counts is looked at above
def test_the_forecast_is_near_to_what_the_training_takes(competition, configure, comp, comp_process, monkeypatch):
    """Of a run of a few seconds, in CPU time."""
    config = configure(train={"epochs": 40}, model={"image_size": 64}, limits={"seconds": 2})
    assert comp("split")[0] == 0
    monkeypatch.setattr(time, "perf_counter", cpu_seconds)
    made = made_forecast(config)
    started = cpu_seconds()
    assert comp_process("train").returncode == 0
    seconds = cpu_seconds() - started
    assert seconds / 2 < made.training() < 2 * seconds  # other work moves both


@pytest.mark.release  # the one model of other experiments is measured above
def test_members_are_measured_each_and_one_may_be_left_out(competition, configure, comp):
    members = [{"name": "a", "train": {"epochs": 9}}, {"name": "b", "model": {"image_size": 32}}]
    configure(members=members, limits={"seconds": 0.3}, steps=["split", "train", "pseudo", "blend", "submit"])
    assert comp("split")[0] == 0
    status, out, _ = comp("forecast")
    assert status == 0
    assert "model   small-a: " in out
    assert "model   small-b: " in out
    assert "not included: comp blend" in out
    assert "comp pseudo is included" in out
    assert "without the member small-" in out
