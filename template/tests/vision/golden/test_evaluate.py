"""comp evaluate and comp compare: golden scores, the log of looks, and whether a difference is real."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from comp.runs.predictions import read_predictions, write_predictions
from comp.tables import GOLDEN, Targets
from comp.vision.data.read import read_tables
from comp.vision.golden.compare import verdict
from comp.vision.golden.evaluate import OnGolden, interval, lead_by_chance, weights

THREE = Targets("multiclass", ("a", "b", "c"))


@pytest.fixture
def golden_run(competition, configure, comp):
    """A trained run with 12 golden rows; it gives the configuration."""
    config = configure(golden={"per_class": 4, "most": 0.5})
    for step in ("golden", "split", "train"):
        assert comp(step)[0] == 0
    return config


def answered(config, run: str, right: list[bool]) -> None:
    """A copy of the run's golden predictions, in which just these are right."""
    path = f"runs/{run}/test.parquet"
    from pathlib import Path

    table, targets, folds = read_predictions(Path(path))
    truth = targets.encode(read_tables(config.data).golden.truth)
    given = np.where(np.array(right)[:, None], truth, np.roll(truth, 1, axis=1))
    table.loc[table["id"].str.startswith(GOLDEN), targets.columns] = given.astype(np.float32)
    write_predictions(Path(path), table, targets, folds)


def test_the_scores_are_those_of_the_golden_rows(golden_run, comp, competition):
    answered(golden_run, "small", [True] * 9 + [False] * 3)
    status, out, _ = comp("evaluate")
    assert status == 0
    assert "golden  accuracy 0.7500, 95 % interval 0." in out
    facts = json.loads((competition.parent / "runs/small/golden.json").read_text())
    assert facts["scores"]["accuracy"]["score"] == 0.75
    assert facts["rows"] == 12
    assert np.mean(list(facts["recall"].values())) == 0.75
    assert re.search(r"recall of red [01]\.\d{3} of 4", out)


def test_every_look_is_noted(golden_run, comp, competition):
    assert "looked at 1 time, 1 run" in comp("evaluate")[1]
    assert "looked at 2 times, 1 run" in comp("evaluate")[1]
    log = pd.read_csv(competition / "golden_log.csv", dtype=str)
    assert list(log.columns) == ["when", "run", "golden", "metric", "score"]
    assert log["run"].tolist() == ["small", "small"]
    assert log["metric"].tolist() == ["accuracy", "accuracy"]
    for name in ("second", "third"):
        assert comp("train", f"name={name}", "seed=1")[0] == 0
        out = comp("evaluate", f"name={name}")[1]
    assert "3 runs: the best of 3 equally good runs would lead their mean by about 9" in out
    assert "judge differences at p < 0.025 (Bonferroni)" in out


def test_the_report_shows_the_golden_scores_and_the_looks(golden_run, comp, competition):
    page = competition.parent / "runs/small/report.html"
    assert comp("report")[0] == 0
    assert "Golden test set" not in page.read_text(encoding="utf-8")
    comp("evaluate")
    assert comp("report")[0] == 0
    assert "Golden test set, 12 images; looked at 1 time, 1 run" in page.read_text(encoding="utf-8")
    assert len(pd.read_csv(competition / "golden_log.csv")) == 1


def test_the_lead_by_chance_is_what_equal_runs_show():
    random, n, runs = np.random.default_rng(0), 1200, 6
    leads = []
    for _ in range(400):
        easy = random.random(n) < 0.4  # all have these right; of the others, each run half, by chance
        right = easy | (random.random((runs, n)) < 0.5)
        leads.append((right.mean(axis=1).max() - right.mean()) * 1)
    assert lead_by_chance(runs, n) == pytest.approx(np.mean(leads), rel=0.15)


def test_rows_are_drawn_within_their_classes():
    y = np.eye(3)[np.repeat([0, 1, 2], [5, 3, 2])]
    assert (weights(y, 50) @ y == [5, 3, 2]).all()


def test_the_interval_covers_the_truth_as_often_as_it_says():
    random, inside = np.random.default_rng(0), 0
    for _ in range(60):
        label = np.repeat([0, 1, 2], 50)
        choice = np.where(random.random(150) < 0.7, label, (label + 1) % 3)
        low, high = interval("accuracy", OnGolden(np.eye(3)[label], np.eye(3)[choice], THREE, ""))
        inside += low <= 0.7 <= high
    assert inside >= 51


def test_without_a_golden_set_the_way_is_told(trained, comp):
    assert "there is no golden test set: run comp golden before any training" in comp("evaluate")[2]


def test_a_run_of_another_golden_set_is_refused(golden_run, comp, competition):
    (competition / "golden.csv").unlink()
    comp("golden", "golden.seed=7")
    assert re.search(r"runs/small has predicted another golden test set than \w{16}", comp("evaluate")[2])
    digest = read_tables(golden_run.data).golden.digest
    assert comp("split", "--force")[0] == comp("train", "name=other")[0] == 0
    status, out, err = comp("compare", "small", "other")
    assert status == 1
    assert f"golden  not compared: runs/small has predicted another golden test set than {digest}" in out
    assert err == (
        "error: small and other cannot be compared out of fold: other folds: train one of them again with today's "
        "folds.csv, under another name\n"
    )


def test_two_runs_side_by_side(golden_run, comp, competition):
    assert comp("train", "name=other", "seed=1")[0] == 0
    answered(golden_run, "small", [False] * 10 + [True] * 2)
    answered(golden_run, "other", [True] * 12)
    status, out, err = comp("compare", "runs/small", "other")
    assert status == 0, err
    assert re.search(r"accuracy +0\.1667 +1\.0000  \+0\.8333  \+0\.\d{4} to \+\d\.\d{4}", out)
    assert "real: other is better: 10 images only other has right, 0 only small (McNemar, exact: p = 0.00195)" in out
    assert re.search(r"recall of green +\d\.\d{4} +1\.0000", out)
    assert (competition.parent / "runs/compare-small-other.png").stat().st_size > 10_000
    assert pd.read_csv(competition / "golden_log.csv")["run"].tolist() == ["small", "other"]


def test_equal_runs_are_noise():
    random, real = np.random.default_rng(0), 0
    label = np.repeat([0, 1, 2], 40)
    for _ in range(100):
        one, other = (np.eye(3)[np.where(random.random(120) < 0.7, label, (label + 1) % 3)] for _ in range(2))
        pair = (OnGolden(np.eye(3)[label], p, THREE, "") for p in (one, other))
        real += verdict(*pair, "a", "b").startswith("real")
    assert real <= 10


@pytest.mark.parametrize(("words", "line"), [(["one"], "name two runs"), (["a", "b"], "there is no run a")])
def test_what_is_no_pair_of_runs_is_refused(words, line, repo, comp):
    assert line in comp("compare", *words)[2]


def test_predictions_of_another_tool_need_the_golden_rows_and_no_golden_training(golden_run, comp, competition):
    tables = read_tables(golden_run.data)
    names = [f"p_{name}" for name in tables.targets.classes]

    def write(name: str, ids: pd.Series) -> str:
        pd.DataFrame(1 / 3, index=pd.Index(ids, name="id"), columns=names).to_csv(name)
        return name

    golden = tables.golden.truth["id"]
    every = pd.concat([tables.train["id"], golden.str.removeprefix(GOLDEN)])
    asked = tables.test["id"][: -len(golden)]
    friend = "blend.members=[small,{{name: friend, oof: {}, test: {}}}]"
    fair, all_rows = write("fair.csv", tables.train["id"]), write("all.csv", every)
    test, plain = write("test.csv", tables.test["id"]), write("plain.csv", asked)
    assert "has golden images among its training rows" in comp("blend", "name=b", friend.format(all_rows, test))[2]
    line = comp("blend", "name=b", friend.format(fair, plain))[2]
    assert re.search(
        r"plain.csv lacks 12 golden images: it needs their predictions too, under ids such as golden:\d{4},", line
    )
    assert comp("blend", "name=b", friend.format(fair, test))[0] == 0
    assert comp("evaluate", "name=b")[0] == 0
