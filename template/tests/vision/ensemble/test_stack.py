"""Stacks: no combiner meets the labels that it is scored with, nested or within the fold; features join when nested."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from vision.made_runs import make_run
from vision.small import picture

from comp.folds import Split
from comp.runs.predictions import read_predictions, write_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.read import read_tables
from comp.vision.ensemble.crossfit import Known, Predicted, cross_fitted, parts_of_folds
from comp.vision.ensemble.learners import stack_fit
from comp.vision.ensemble.statistics import read_features
from comp.vision.folds.looks import look_at
from comp.vision.folds.split import split
from comp.vision.metrics import score
from comp.vision.pixels.statistics import STATISTICS
from comp.vision.schema import Stack

TARGETS = {
    "multiclass": Targets("multiclass", ("a", "b", "c")),
    "binary": Targets("binary", ("label",)),
    "multilabel": Targets("multilabel", ("x", "y")),
}
KINDS = ["lightgbm", "logistic"]


@pytest.fixture
def runs(competition, configure):
    """Two runs, `a` and `b`, of two folds."""
    config = configure(name="stacked", folds={"n": 2}, metric="accuracy", stack={"args": {"min_data_in_leaf": 3}})
    split(config)
    make_run(config, "a", seed=1, skill=0.3)
    make_run(config, "b", seed=2, skill=0.3)
    return config


@pytest.fixture
def nested_runs(runs):
    make_run(runs, "a", seed=1, skill=0.3, inner=True)
    make_run(runs, "b", seed=2, skill=0.3, inner=True)
    return runs


def combines(name: str = "stacked") -> dict:
    return json.loads(Path(f"runs/{name}/metrics.json").read_text())["combines"]


def said(targets: Targets, n: int = 300, seed: int = 0) -> tuple[np.ndarray, Predicted]:
    """Truth (N, K) and what three members say of the rows of three folds: the first is biased, the last a coin."""
    rng, k = np.random.default_rng(seed), len(targets.classes)
    if targets.kind == "multiclass":
        y = np.eye(k)[rng.integers(0, k, n)]
        p = rng.dirichlet(np.ones(k), (n, 3)) + np.array([0.6, 0.4, 0.0])[None, :, None] * y[:, None]
        p[:, 0, 0] += 0.7
        p = p / p.sum(axis=2, keepdims=True)
    else:
        y = rng.integers(0, 2, (n, k)).astype(float)
        mean = 0.5 + np.array([0.3, 0.2, 0.0])[None, :, None] * (y[:, None] - 0.5)
        p = np.clip(mean + rng.normal(0, 0.1, (n, 3, k)) + np.array([0.3, 0, 0])[None, :, None], 0.01, 0.99)
    return y, Predicted(np.arange(n), rng.permutation(np.arange(n) % 3), p)


def parts(n: int) -> np.ndarray:
    return np.arange(n)[None] // 3 % 10


@pytest.mark.parametrize("scheme", ["own fold", "others"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_a_stack_mends_a_biased_member(targets, kind, scheme):
    y, oof = said(targets)
    x = np.zeros((len(y), 0))
    p, _ = cross_fitted(oof, scheme, stack_fit(Stack(kind=kind), 0, targets), Known(x, y, parts(len(y))))
    best = max(score("accuracy", y, oof.p[:, m], targets) for m in range(3))
    mean = score("log_loss", y, oof.p.mean(axis=1), targets)
    assert score("accuracy", y, p, targets) > best
    assert score("log_loss", y, p, targets) < mean
    if targets.kind == "multiclass":
        assert np.allclose(p.sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_some_rows_lack_is_no_obstacle(kind):
    targets = TARGETS["multiclass"]
    y, oof = said(targets)
    only = np.flatnonzero(y[:, 2] == 0)[:40]
    combiner = stack_fit(Stack(kind=kind), 0, targets)(oof.p[only], np.zeros((40, 0)), y[only])
    p = combiner(oof.p, np.zeros((len(y), 0)))
    assert p.shape == y.shape
    assert np.allclose(p.sum(axis=1), 1)
    one = only[y[only, 1] == 1]
    p = stack_fit(Stack(kind=kind), 0, targets)(oof.p[one], np.zeros((len(one), 0)), y[one])(oof.p, oof.p[:, 0, :0])
    assert np.isfinite(p).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_stack_twice_is_the_same(kind):
    y, oof = said(TARGETS["multiclass"])
    fit, x = stack_fit(Stack(kind=kind), 3, TARGETS["multiclass"]), np.zeros((len(y), 0))
    first, again = (cross_fitted(oof, "own fold", fit, Known(x, y, parts(len(y))))[0] for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("scheme", ["own fold", "inner", "past", "others"])
def test_no_combiner_meets_the_labels_that_it_is_scored_with(scheme):
    """Other labels of the scored rows change nothing of what is said of them; other labels elsewhere do."""
    targets = TARGETS["multiclass"]
    y, oof = said(targets)
    x, part, fit = np.zeros((len(y), 0)), parts(len(y)), stack_fit(Stack(kind="logistic"), 0, targets)
    inner = {k: oof[oof.fold != k] for k in range(3)}
    before, _ = cross_fitted(oof, scheme, fit, Known(x, y, part), inner)
    scored = (oof.fold == 1) & (part[0] == 4) if scheme == "own fold" else oof.fold == 1
    other = y.copy()
    other[scored] = np.roll(y[scored], 1, axis=1)
    after, _ = cross_fitted(oof, scheme, fit, Known(x, other, part), inner)
    assert np.array_equal(before[scored], after[scored])
    later = oof.fold == 2 if scheme == "past" else ~scored
    assert not np.allclose(before[later], after[later])


def test_within_the_fold_no_label_of_another_fold_is_used():
    """They may be known to the scored fold's models; its own labels are not."""
    targets = TARGETS["multiclass"]
    y, oof = said(targets)
    x, part, fit = np.zeros((len(y), 0)), parts(len(y)), stack_fit(Stack(kind="logistic"), 0, targets)
    other = np.where((oof.fold == 1)[:, None], y, np.roll(y, 1, axis=1))
    first, again = (cross_fitted(oof, "own fold", fit, Known(x, truth, part))[0] for truth in (y, other))
    assert np.array_equal(first[oof.fold == 1], again[oof.fold == 1])


def test_small_folds_are_parted_several_times_and_no_row_meets_its_own_label():
    """Each row has the mean of the combiners that have not met it, as a test row has the mean of all."""
    targets = TARGETS["binary"]
    y, oof = said(targets)
    train = pd.DataFrame({"id": np.arange(300).astype(str), "target": y[:, 0]})
    several = parts_of_folds(train, targets, Split(oof.fold, train["id"].to_numpy(), 3, "stratified", ""))
    assert several.shape == (5, 300)
    assert len({tuple(part) for part in several}) == 5
    x, fit = np.zeros((300, 0)), stack_fit(Stack(kind="logistic"), 0, targets)
    before, combiners = cross_fitted(oof, "own fold", fit, Known(x, y, several))
    each = [cross_fitted(oof, "own fold", fit, Known(x, y, part[None]))[0] for part in several]
    assert np.allclose(before, np.mean(each, axis=0))
    assert {k: len(fitted) for k, fitted in combiners.items()} == {0: 50, 1: 50, 2: 50}
    for row in (0, 150):
        other = y.copy()
        other[row] = 1 - y[row]
        after, _ = cross_fitted(oof, "own fold", fit, Known(x, other, several))
        assert np.array_equal(after[row], before[row])
        assert not np.allclose(after, before)


def test_large_folds_are_parted_once():
    train = pd.DataFrame({"id": np.arange(3003).astype(str), "target": np.arange(3003) % 2})
    split = Split(np.arange(3003) % 3, train["id"].to_numpy(), 3, "stratified", "")
    assert parts_of_folds(train, TARGETS["binary"], split).shape == (1, 3003)


def test_over_time_a_combiner_knows_the_past_only_and_the_first_fold_gets_the_mean():
    targets = TARGETS["multiclass"]
    y, oof = said(targets)
    x, fit = np.zeros((len(y), 0)), stack_fit(Stack(kind="logistic"), 0, targets)
    before, _ = cross_fitted(oof, "past", fit, Known(x, y, parts(len(y))))
    assert np.allclose(before[oof.fold == 0], oof.p[oof.fold == 0].mean(axis=1))
    other = np.where((oof.fold == 2)[:, None], np.roll(y, 1, axis=1), y)
    after, _ = cross_fitted(oof, "past", fit, Known(x, other, parts(len(y))))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_a_group_is_never_in_two_parts_of_its_fold(kind):
    targets, rng = TARGETS[kind], np.random.default_rng(0)
    y, oof = said(targets)
    group = np.array([f"g{fold}-{number}" for fold, number in zip(oof.fold, rng.integers(0, 40, 300), strict=True)])
    train = pd.DataFrame({"id": np.arange(300).astype(str)})
    if kind == "multiclass":
        train["target"] = np.array(targets.classes, dtype=object)[y.argmax(axis=1)]
    else:
        train[targets.truth_columns] = y
    [part] = parts_of_folds(train, targets, Split(oof.fold, group, 3, "stratified_group", ""), times=1)
    assert pd.Series(part).groupby(group).nunique().max() == 1
    assert all(len(set(part[oof.fold == k])) == 10 for k in range(3))


def test_one_sentence_says_what_to_submit(runs, comp):
    _, out, _ = comp("stack", "stack.members=[a,b]")
    [line] = [line for line in out.splitlines() if line.startswith("submit  ")]
    assert "their mean by" in line
    path = Path("runs/a/metrics.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "flatters": "keep=best …"}))
    _, out, _ = comp("stack", "stack.members=[a,b]")
    assert "submit  what other evidence is for: this score flatters (a member flatters: keep=best …)" in out


def test_a_stack_is_a_run_like_any_other(runs, comp):
    status, out, err = comp("stack", "stack.members=[a,b]")
    assert (status, err) == (0, "")
    oof, targets, folds = read_predictions(Path("runs/stacked/oof.parquet"))
    assert list(oof["id"]) == list(read_predictions(Path("runs/a/oof.parquet"))[0]["id"])
    assert folds == read_predictions(Path("runs/a/oof.parquet"))[2]
    honest = score("accuracy", targets.encode(oof), oof[targets.columns].to_numpy(), targets)
    metrics = json.loads(Path("runs/stacked/metrics.json").read_text())
    assert metrics["scores"]["accuracy"]["oof"] == pytest.approx(honest)
    assert f"{honest:.4f} cross-fitted, recorded" in out
    assert "in sample" in out
    each = [read_predictions(Path(f"runs/stacked/fold{k}/test.parquet"))[0][targets.columns] for k in (0, 1)]
    test = read_predictions(Path("runs/stacked/test.parquet"))[0][targets.columns]
    assert np.allclose(test, (each[0] + each[1]) / 2, atol=1e-6)
    assert pd.read_csv("runs/leaderboard.csv").set_index("name").loc["stacked", "model"] == "lightgbm of a, b"
    assert comp("submit")[0] == 0
    assert comp("stack", "stack.members=[a,b]")[0] == 0


def test_with_inner_predictions_the_stack_is_nested_and_features_join_it(nested_runs, comp):
    status, out, _ = comp("stack", "stack.members=[a,b]", "stack.features=[image_statistics]")
    assert status == 0
    assert combines()["fitted_on"] == "inner"
    assert combines()["members"] == ["a", "b"]
    assert not combines()["met_scored_fold"]
    assert "nested" in out
    without = read_predictions(Path("runs/stacked/oof.parquet"))[0]
    assert comp("stack", "stack.members=[a,b]", "name=plain")[0] == 0
    plain = read_predictions(Path("runs/plain/oof.parquet"))[0]
    assert not np.allclose(without["p_red"], plain["p_red"])


def test_without_inner_predictions_features_are_a_member_of_their_own(runs, comp):
    make_run(runs, "a", seed=1, inner=True)
    status, out, _ = comp("stack", "stack.members=[a,b]", "stack.features=[image_statistics, height]")
    assert status == 0
    assert "a member of their own: 'b' have no inner out-of-fold predictions" in out
    assert combines()["members"] == ["a", "b", "features"]
    assert combines()["fitted_on"] == "own fold"
    assert combines()["met_scored_fold"]


def test_a_nested_combination_of_nested_stacks_stays_nested(nested_runs, comp):
    assert comp("stack", "stack.members=[a,b]", "name=first")[0] == 0
    assert comp("blend", "blend.members=[a,b]", "name=second")[0] == 0
    inner, _, _ = read_predictions(Path("runs/first/fold0/inner_oof.parquet"))
    assert set(inner["fold"]) == {1}
    assert comp("stack", "stack.members=[first,second,a]")[0] == 0
    assert combines()["fitted_on"] == "inner"


def test_a_stack_of_stacks_that_met_the_fold_is_said_to_flatter(runs, comp):
    assert comp("stack", "stack.members=[a,b]", "name=first")[0] == 0
    status, out, _ = comp("stack", "stack.members=[first,a]")
    assert status == 0
    assert "the score flatters" in out
    assert json.loads(Path("runs/stacked/metrics.json").read_text())["flatters"]
    assert comp("blend", "blend.members=[first,a]", "name=mean")[0] == 0
    assert not json.loads(Path("runs/mean/metrics.json").read_text())["flatters"]
    assert combines("mean")["met_scored_fold"]


def test_an_argument_counts_under_each_of_its_names(runs, comp):
    tables = []
    for name, rounds in (("num_iterations", 3), ("n_estimators", 3), ("n_estimators", 60)):
        assert comp("stack", f"stack.args.{name}={rounds}")[0] == 0
        tables.append(pd.read_parquet("runs/stacked/oof.parquet"))
    assert tables[0].equals(tables[1])
    assert not tables[1].equals(tables[2])


def test_a_stack_never_takes_the_place_of_a_pretraining(runs, comp):
    Path("runs/stacked/pretrain").mkdir(parents=True)
    Path("runs/stacked/pretrain/best.safetensors").touch()
    status, _, err = comp("stack")
    assert status == 1
    assert "is a trained run" in err
    assert Path("runs/stacked/pretrain/best.safetensors").is_file()


def test_training_never_takes_the_place_of_a_stack(runs, comp):
    assert comp("stack", "stack.members=[a,b]")[0] == 0
    status, _, err = comp("train")
    assert (status, err) == (1, "error: runs/stacked is made of other runs: give this one another name (name=…)\n")


def test_with_an_unscored_member_a_mean_is_unscored_and_nothing_is_fitted(runs, comp):
    path = Path("runs/a/metrics.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "unscored": "its teachers saw the rows"}))
    for words in (["stack", "stack.members=[a,b]"], ["blend", "blend.members=[a,b]", "blend.kind=weights"]):
        status, _, err = comp(*words)
        assert (status, err.count("\n")) == (1, 1)
        assert "members: a is unscored (its teachers saw the rows)" in err
    status, out, _ = comp("stack")
    assert status == 0
    assert "left out  a: is unscored: its teachers saw the rows" in out
    status, out, _ = comp("blend", "blend.members=[a,b]")
    assert status == 0
    assert "unscored: a member is unscored: its teachers saw the rows" in out
    assert pd.read_csv("runs/leaderboard.csv").set_index("name").loc["stacked", "cv"] == "unscored"


def test_inner_predictions_of_the_fold_itself_are_refused(nested_runs, comp):
    path = Path("runs/a/fold0/inner_oof.parquet")
    for name in ("a", "b"):
        oof, targets, folds = read_predictions(Path(f"runs/{name}/oof.parquet"))
        write_predictions(Path(f"runs/{name}/fold0/inner_oof.parquet"), oof, targets, folds)
    status, _, err = comp("stack", "stack.members=[a,b]")
    assert (status, err.count("\n")) == (1, 1)
    assert "fold0/inner_oof.parquet of a has rows of fold 0 itself" in err
    shutil.copy("runs/a/fold1/inner_oof.parquet", path)
    assert "fold0/inner_oof.parquet of b" in comp("stack", "stack.members=[a,b]")[2]


def test_inner_predictions_of_other_folds_are_refused(nested_runs, comp):
    path = Path("runs/b/fold1/inner_oof.parquet")
    inner, targets, _ = read_predictions(path)
    write_predictions(path, inner, targets, "0123456789abcdef")
    status, _, err = comp("stack", "stack.members=[a,b]")
    assert (status, err.count("\n")) == (1, 1)
    assert "fold1/inner_oof.parquet was made with other folds" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stack.features=[color]"], "no such column"),
        (["stack.args={num_leaves: none}"], "stack.args"),
        (["stack.args={random_state: 3}"], "stack.args: random_state cannot be set"),
        (["stack.kind=logistic", "stack.args={c: 1}"], "stack.args"),
        (["stack.kind=forest"], "stack.kind"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(runs, comp, words, message):
    status, _, err = comp("stack", "stack.members=[a,b]", *words)
    assert (status, err.count("\n")) == (1, 1)
    assert message in err


def seen(paths):
    return look_at(paths, (255, 255, 255), Path("cache/duplicates.npy"))["statistics"]


def test_the_statistics_are_those_of_the_image(repo):
    image = np.full((4, 6, 4), 255, np.uint8)
    image[0] = (10, 20, 30, 255)
    Image.fromarray(image).save("image.png")
    found = dict(zip(STATISTICS, seen(["image.png"])[0], strict=True))
    assert len(STATISTICS) == 13
    assert (found["width"], found["height"], found["aspect"], found["pixels"]) == (6, 4, 1.5, 24)
    assert found["mean_r"] == pytest.approx(image[..., 0].mean())
    assert found["std_b"] == pytest.approx(image[..., 2].std())
    gray = 0.299 * image[..., 0].mean() + 0.587 * image[..., 1].mean() + 0.114 * image[..., 2].mean()
    assert found["brightness"] == pytest.approx(gray, rel=1e-5)
    assert found["mostly_white"] == 1
    Image.new("L", (3, 3), 9).save("gray.png")
    gray = dict(zip(STATISTICS, seen(["gray.png"])[0], strict=True))
    assert (gray["mostly_white"], gray["mean_g"]) == (0, 9)
    assert gray["mode"] != found["mode"]


def test_statistics_are_those_that_the_split_has_seen_and_read_again_where_an_image_changed(
    competition, configure, monkeypatch
):
    config = configure()
    tables = read_tables(config.data)
    path = Path(tables.test["path"][0])
    path.write_text("no image")
    split(config)
    with monkeypatch.context() as patched:
        patched.setattr("comp.vision.folds.looks.statistics", None)
        train, test = read_features(["image_statistics"], tables, config)
    assert train.shape == (len(tables.train), 13)
    assert np.isfinite(train).all()
    assert np.isnan(test[0]).all()
    picture("blue", 0, size=(40, 30)).save(path)
    assert read_features(["image_statistics"], tables, config)[1][0, 0] == 40


def test_what_is_made_of_runs_is_as_old_as_the_last_of_them(runs, comp):
    for name, trained in (("a", "2026-11-02 10:00:00.000"), ("b", "2026-11-01 10:00:00.000")):
        for path in Path(f"runs/{name}").glob("fold*/metrics.json"):
            path.write_text(json.dumps(json.loads(path.read_text()) | {"trained": trained}))
    assert comp("blend", "name=blended", "blend.members=[a,b]")[0] == 0
    assert RunDir.of_name("blended").trained_at() == "2026-11-02 10:00:00.000"


def test_features_help_where_the_members_know_nothing(competition, configure, comp):
    config = configure(name="stacked", folds={"n": 2}, metric="accuracy", stack={"args": {"min_data_in_leaf": 3}})
    split(config)
    make_run(config, "coin", skill=0, inner=True)
    assert comp("stack", "stack.members=[coin]", "stack.features=[image_statistics]")[0] == 0
    metrics = json.loads(Path("runs/stacked/metrics.json").read_text())
    assert metrics["scores"]["accuracy"]["oof"] > 0.8  # the classes are colors
