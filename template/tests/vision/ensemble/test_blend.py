"""Means and weights: what they compute, that they find the good members, and that members fit together."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vision.made_runs import make_run

from comp.kaggle.handover.chain import chain
from comp.runs.predictions import read_predictions
from comp.tables import Targets
from comp.vision.data.read import read_tables
from comp.vision.ensemble.combiners import blend_fit, mean_of_kind
from comp.vision.folds.split import split
from comp.vision.metrics import score
from comp.vision.schema import Blend

CLASSES = Targets("multiclass", ("a", "b", "c"))
BINARY = Targets("binary", ("label",))
LABELS = Targets("multilabel", ("x", "y"))


@pytest.fixture
def runs(competition, configure):
    """Two runs, `good` and `poor`, of two folds."""
    config = configure(name="both", folds={"n": 2}, metric="accuracy")
    split(config)
    make_run(config, "good", seed=1, skill=1.5)
    make_run(config, "poor", seed=2, skill=0.2)
    return config


def said(targets, n=200, members=4, seed=0, skill=(2.0, 1.0, 0.0, 0.0)):
    """Truth (N, K) and the predictions (N, M, K) of members with more or less skill."""
    rng, k = np.random.default_rng(seed), len(targets.classes)
    if targets.kind == "multiclass":
        y = np.eye(k)[rng.integers(0, k, n)]
        p = rng.dirichlet(np.ones(k), (n, members)) + np.array(skill)[None, :, None] * y[:, None]
        return y, p / p.sum(axis=2, keepdims=True)
    y = rng.integers(0, 2, (n, k)).astype(float)
    noise = rng.normal(0, 0.15, (n, members, k))
    return y, np.clip(0.5 + 0.2 * np.array(skill)[None, :, None] * (y[:, None] - 0.5) + noise, 0.01, 0.99)


def table_of(run: str, name: str = "oof") -> pd.DataFrame:
    return read_predictions(Path("runs") / run / f"{name}.parquet")[0]


def test_the_means_are_what_their_names_say():
    p = np.array([[[0.7, 0.2, 0.1], [0.5, 0.1, 0.4]]])
    geometric, squares = np.sqrt(p[0, 0] * p[0, 1]), np.sqrt((p[0, 0] ** 2 + p[0, 1] ** 2) / 2)
    assert np.allclose(mean_of_kind(p, "mean", 2, CLASSES), [[0.6, 0.15, 0.25]])
    assert np.allclose(mean_of_kind(p, "geometric", 2, CLASSES), geometric / geometric.sum())
    assert np.allclose(mean_of_kind(p, "power", 2, CLASSES), squares / squares.sum())


def test_the_geometric_mean_of_a_label_treats_yes_and_no_alike():
    p = np.array([[[0.9], [0.4]]])
    odds = np.sqrt(0.9 / 0.1 * 0.4 / 0.6)
    assert np.allclose(mean_of_kind(p, "geometric", 2, BINARY), odds / (1 + odds))
    for kind in ("geometric", "power"):
        assert np.allclose(1 - mean_of_kind(1 - p, kind, 2, BINARY), mean_of_kind(p, kind, 2, BINARY))


def test_the_rank_mean_asks_for_order_only():
    _, p = said(BINARY)
    bent = np.stack([p[:, 0] ** 3, p[:, 1] / 50, p[:, 2], p[:, 3]], axis=1)
    assert np.allclose(mean_of_kind(p, "rank", 2, BINARY), mean_of_kind(bent, "rank", 2, BINARY))
    assert np.ptp(mean_of_kind(p[:, :1], "rank", 2, BINARY)) > 0.95


@pytest.mark.parametrize("objective", ["log_loss", "metric"])
@pytest.mark.parametrize("kind", ["hill_climbing", "weights"])
@pytest.mark.parametrize("targets", [CLASSES, BINARY, LABELS], ids=lambda targets: targets.kind)
def test_weights_are_a_mean_that_beats_the_plain_one(kind, objective, targets):
    y, p = said(targets)
    combiner = blend_fit(Blend(kind=kind, objective=objective), "accuracy", targets)(p, p[:, 0, :0], y)
    assert combiner.weights.min() >= 0
    assert combiner.weights.sum() == pytest.approx(1)
    metric = "log_loss" if objective == "log_loss" else "accuracy"
    better = 1 if metric == "accuracy" else -1
    gain = score(metric, y, combiner(p, p[:, 0, :0]), targets) - score(metric, y, p.mean(axis=1), targets)
    assert better * gain > 0
    assert combiner.weights[:2].sum() > combiner.weights[2:].sum()


def test_fitted_weights_are_where_the_loss_is_least():
    y, p = said(CLASSES, n=2000, members=2, skill=(0.5, 0.4))
    found = blend_fit(Blend(kind="weights"), "accuracy", CLASSES)(p, p[:, 0, :0], y).weights
    grid = np.linspace(0.001, 0.999, 999)
    losses = [score("log_loss", y, w * p[:, 0] + (1 - w) * p[:, 1], CLASSES) for w in grid]
    assert found[0] == pytest.approx(grid[np.argmin(losses)], abs=0.01)


def test_hill_climbing_may_choose_a_member_twice():
    y, p = said(CLASSES, n=2000, members=2, skill=(0.5, 0.4))
    found = blend_fit(Blend(kind="hill_climbing"), "accuracy", CLASSES)(p, p[:, 0, :0], y).weights
    best = blend_fit(Blend(kind="weights"), "accuracy", CLASSES)(p, p[:, 0, :0], y).weights
    assert 0.5 < found[0] < 1
    assert np.allclose(found, best, atol=0.05)


def test_a_blend_is_a_run_like_any_other(runs, comp):
    status, out, err = comp("blend", "blend.members=[good,poor]")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "next    comp submit 'blend.members=[good,poor]'"
    good, poor, both = (table_of(name) for name in ("good", "poor", "both"))
    columns = ["p_blue", "p_green", "p_red"]
    assert list(both["id"]) == list(good["id"])
    assert np.allclose(both[columns], (good[columns] + poor[columns]) / 2, atol=1e-6)
    for k in (0, 1):
        per_fold = [table_of(f"{name}/fold{k}", "test")[columns].to_numpy() for name in ("good", "poor", "both")]
        assert np.allclose(per_fold[2], (per_fold[0] + per_fold[1]) / 2, atol=1e-6)
    board = pd.read_csv("runs/leaderboard.csv").set_index("name")
    assert board.loc["both", "model"] == "mean of good, poor"
    assert comp("submit")[0] == 0
    assert comp("blend", "name=again", "blend.members=[both,good]")[0] == 0


def test_the_table_names_the_members_best_first_and_then_the_blend(runs, comp):
    out = comp("blend", "blend.members=[poor,good]")[1]
    names = [line.split()[0] for line in out.splitlines() if line.startswith("        ")]
    assert names[1:4] == ["good", "poor", "both"]


def test_fitted_weights_are_recorded_cross_fitted_beside_the_score_in_sample(runs, comp):
    status, out, _ = comp("blend", "blend.members=[good,poor]", "blend.kind=weights")
    metrics = json.loads(Path("runs/both/metrics.json").read_text())
    tables = read_tables(runs.data)
    oof = table_of("both")
    honest = score("accuracy", tables.targets.encode(oof), oof[tables.targets.columns].to_numpy(), tables.targets)
    assert status == 0
    assert metrics["scores"]["accuracy"]["oof"] == pytest.approx(honest)
    assert f"{honest:.4f} cross-fitted, recorded; {metrics['in_sample']['accuracy']:.4f} in sample" in out
    assert metrics["combines"]["fitted_on"] == "own fold"
    assert metrics["combines"]["weights"][0] > 0.5


def test_without_names_all_runs_of_these_folds_are_members_but_no_combination(runs, comp):
    assert comp("blend", "name=first")[0] == 0
    assert comp("blend")[0] == 0
    metrics = json.loads(Path("runs/both/metrics.json").read_text())
    assert sorted(metrics["combines"]["members"]) == ["good", "poor"]


def test_members_of_the_experiment_are_its_blend(runs, comp, configure):
    configure(name="both", folds={"n": 2}, members=[{"name": "a"}, {"name": "b"}])
    make_run(runs, "both-a", seed=3)
    make_run(runs, "both-b", seed=4)
    assert comp("blend")[0] == 0
    metrics = json.loads(Path("runs/both/metrics.json").read_text())
    assert metrics["combines"]["members"] == ["both-a", "both-b"]


def foreign(run: str, **changes) -> str:
    """A friend's files with the predictions of `run`, in another order: rows, columns and the classes' spelling."""
    for name in ("oof", "test"):
        table = table_of(run, name).sample(frac=1, random_state=0).drop(columns=["fold", "target"], errors="ignore")
        table = table.rename(columns=lambda column: column.removeprefix("p_"))[["red", "id", "blue", "green"]]
        changes.get(name, lambda table: table)(table).to_csv(f"friend_{name}.csv", index=False)
    return "blend.members=[good, {name: friend, oof: friend_oof.csv, test: friend_test.csv}]"


def test_a_friends_table_is_aligned_by_ids_and_class_names(runs, comp):
    assert comp("blend", "blend.members=[good,poor]", "name=runs_only")[0] == 0
    status, out, err = comp("blend", foreign("poor"))
    assert (status, err) == (0, "")
    assert "cannot check whether friend_oof.csv is out of fold" in out
    for name in ("oof", "test", "fold0/oof", "fold1/oof"):
        columns = ["p_blue", "p_green", "p_red"]
        assert np.allclose(table_of("both", name)[columns], table_of("runs_only", name)[columns], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oof": lambda table: table.iloc[1:]}, "friend: 1 validated row is missing (ids '"),
        ({"oof": lambda table: pd.concat([table, table.iloc[:2]])}, "friend: 2 appear twice (ids '"),
        ({"oof": lambda table: table.assign(id="x" + table["id"])}, "36 rows are not validated rows"),
        ({"test": lambda table: table.iloc[:-2]}, "test predictions of friend: 2 test rows are missing"),
        ({"oof": lambda table: table.drop(columns="red")}, "friend_oof.csv has no column 'red'"),
        ({"oof": lambda table: table.assign(red=3.5)}, "friend_oof.csv: 36 rows hold no probabilities"),
        ({"oof": lambda table: table.assign(red="")}, "friend_oof.csv: 36 rows hold no probabilities"),
    ],
)
def test_a_friends_table_that_does_not_fit_is_refused_in_one_line(runs, comp, changes, message):
    status, _, err = comp("blend", foreign("poor", **changes))
    assert (status, err.count("\n")) == (1, 1)
    assert message in err
    assert not Path("runs/both").exists()


def test_a_run_of_another_folder_is_called_by_that_and_keeps_its_flags(runs, comp):
    Path("mate").mkdir()
    shutil.copytree("runs/poor", "mate/good")
    path = Path("runs/good/metrics.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "unscored": "it saw too much"}))
    assert comp("blend", "blend.members=[runs/good,mate/good]")[0] == 0
    metrics = json.loads(Path("runs/both/metrics.json").read_text())
    assert metrics["combines"]["members"] == ["good", "mate/good"]
    assert metrics["unscored"] == "a member is unscored: it saw too much"
    assert "'good' appear twice" in comp("blend", "blend.members=[good,runs/good]")[2]
    assert "'./mate/good', 'mate/good' appear twice" in comp("blend", "blend.members=[mate/good,./mate/good]")[2]
    place = str(Path("mate/good").absolute())
    assert comp("blend", f"blend.members=[poor,{place}]")[0] == 0
    made, gone = chain("both")
    assert ([each.name for each in made], gone) == (["poor", "both"], [place])
    assert pd.read_csv("runs/leaderboard.csv").set_index("name").loc["both", "parent"] == "poor"


def test_a_friends_table_with_the_name_of_a_run_is_refused(runs, comp):
    status, _, err = comp("blend", foreign("poor").replace("name: friend", "name: poor"))
    assert (status, err.count("\n")) == (1, 1)
    assert "runs/poor is a run: give the tables of friend_oof.csv another name" in err


def test_a_friends_table_that_is_damaged_is_one_line(runs, comp):
    words = foreign("poor").replace(".csv", ".parquet")
    Path("friend_oof.parquet").write_bytes(b"PAR1 and no more")
    status, _, err = comp("blend", words)
    assert (status, err.count("\n")) == (1, 1)
    assert "friend_oof.parquet is damaged" in err


def test_runs_of_other_folds_are_refused(runs, comp):
    assert comp("split", "--force", "folds.seed=7")[0] == 0
    status, _, err = comp("blend", "blend.members=[good,poor]", "folds.seed=7")
    assert (status, err.count("\n")) == (1, 1)
    assert "good was made with other folds than folds.csv has now" in err
    assert "no run in runs has these folds" in comp("blend", "folds.seed=7")[2]


def test_a_run_that_lacks_a_fold_is_named(runs, comp):
    from comp.runs.rundir import RunDir
    from comp.vision.inference.collect import collect

    (RunDir.of_name("poor").fold(1) / "metrics.json").unlink()
    collect(runs.model_copy(update={"name": "poor"}), read_tables(runs.data).train["id"], RunDir.of_name("poor"))
    status, _, err = comp("blend", "blend.members=[good,poor]")
    assert (status, err.count("\n")) == (1, 1)
    assert "poor does not predict fold 1" in err
    assert "left out  poor: is not finished" in comp("blend")[1]


def test_rows_of_unreadable_images_are_left_out_of_all_members_alike(runs, comp):
    words = ["blend.members=[good,poor]", "blend.kind=weights", "data.on_bad_image=drop"]
    friend = foreign("poor").removeprefix("blend.members=[good, ").removesuffix("]")  # has the row
    make_run(runs, "good", seed=1, bad=5)
    status, _, err = comp("blend", *words)
    assert (status, err.count("\n")) == (1, 1)
    assert "the out-of-fold predictions of poor: 1 rows are not validated rows (ids '0005')" in err
    make_run(runs, "poor", seed=2, bad=5)
    assert comp("blend", *words, f"blend.members=[good,poor,{friend}]")[0] == 0
    assert "0005" not in set(table_of("both")["id"])
    assert len(table_of("both")) == 35
    assert "good: 1 validated row is missing (ids '0005')" in comp("blend", *words[:2])[2]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("[good,gone]", "there is no run 'gone' in runs"),
        ("[good,good]", "'good' appear twice"),
        ("[good,{name: a, oof: gone.csv, test: gone.csv}]", "gone.csv does not exist"),
    ],
)
def test_unknown_members_are_refused(runs, comp, members, message):
    status, _, err = comp("blend", f"blend.members={members}")
    assert (status, err.count("\n")) == (1, 1)
    assert message in err


def test_a_trained_run_is_never_overwritten(runs, comp):
    Path("runs/good/fold0/best.safetensors").write_bytes(b"weights")
    status, _, err = comp("blend", "name=good", "blend.members=[poor]")
    assert (status, err.count("\n")) == (1, 1)
    assert "runs/good is a trained run" in err
    assert Path("runs/good/fold0/best.safetensors").exists()
    Path("runs/good/fold0/best.safetensors").unlink()  # as they are left out of a copy
    assert "runs/good is a trained run" in comp("blend", "name=good", "blend.members=[poor]")[2]
