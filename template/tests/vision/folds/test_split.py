"""Folds: fair shares, nothing that belongs together is parted, and one file that is never changed in silence."""

import re

import numpy as np
import pandas as pd
import pytest
from vision.small import write_competition

from comp.errors import CompError
from comp.folds import assign_folds
from comp.runs.predictions import read_predictions
from comp.tables import find_targets
from comp.vision.data.competition import open_competition
from comp.vision.schema import Folds


def table(labels, **columns):
    """A training table with these labels, text ids, and further columns."""
    values = {"id": [f"{number:04d}" for number in range(len(labels))], "label": [str(label) for label in labels]}
    return pd.DataFrame(values | columns)


def folds_of(rows, kind="stratified", columns=("label",), **settings):
    train, targets = find_targets(rows, list(columns), "auto")
    return assign_folds(train, targets, Folds(kind=kind, **settings), kind)


LABELS = ["a"] * 50 + ["b"] * 30 + ["c"] * 10
GROUPS = [f"g{number // 3}" for number in range(90)]


def test_each_fold_has_its_share_of_each_class():
    shares = pd.crosstab(folds_of(table(LABELS)), np.array(LABELS))
    assert shares.to_numpy().tolist() == [[10, 6, 2]] * 5


@pytest.mark.parametrize("kind", ["group", "stratified_group"])
def test_a_group_never_straddles_two_folds(kind):
    fold = folds_of(table(LABELS, group=GROUPS), kind)
    assert pd.Series(fold).groupby(GROUPS).nunique().max() == 1
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]


def test_stratified_groups_keep_the_shares_of_classes():
    shares = pd.crosstab(folds_of(table(LABELS, group=GROUPS), "stratified_group"), np.array(LABELS))
    assert shares.to_numpy().min(axis=0).tolist() >= [7, 3, 1]
    assert (shares.max() - shares.min()).max() <= 6


def test_each_label_of_many_is_spread_over_the_folds():
    rng = np.random.default_rng(0)
    rows = table(np.zeros(100), x=(rng.random(100) < 0.2).astype(int), y=(rng.random(100) < 0.1).astype(int))
    rows = rows.astype(str)
    fold = folds_of(rows, "multilabel", ["x", "y"])
    for name in ("x", "y"):
        positives = pd.Series(fold)[rows[name] == "1"].value_counts().reindex(range(5), fill_value=0)
        assert positives.max() - positives.min() <= 1


def test_groups_of_several_labels_are_spread_and_never_parted():
    rng = np.random.default_rng(0)
    values = {"x": (rng.random(300) < 0.2).astype(int), "y": (rng.random(300) < 0.1).astype(int)}
    groups = [f"g{number}" for number in rng.integers(0, 200, 300)]
    rows = table(np.zeros(300), group=groups, **values).astype(str)
    fold = pd.Series(folds_of(rows, "multilabel_group", ["x", "y"]))
    assert fold.groupby(groups).nunique().max() == 1
    for name in ("x", "y"):
        positives = fold[rows[name] == "1"].value_counts().reindex(range(5), fill_value=0)
        assert positives.max() - positives.min() <= 4


@pytest.mark.parametrize(
    "times", [[f"{number}" for number in range(90)], list(pd.date_range("2020", periods=90).astype(str))]
)
def test_a_fold_over_time_validates_later_rows_than_it_trains_on(times):
    order = np.random.default_rng(0).permutation(90)
    fold = folds_of(table(LABELS, time=np.array(times, dtype=object)[order]), "time")
    for number in range(5):
        assert order[fold < number].max() < order[fold == number].min()
    assert (fold == -1).sum() == 15


def test_a_holdout_validates_its_share_of_each_class():
    fold = folds_of(table(LABELS), "holdout", holdout=0.3)
    assert set(fold) == {-1, 0}
    assert pd.Series(LABELS)[fold == 0].value_counts().to_dict() == {"a": 15, "b": 9, "c": 3}


def test_a_holdout_may_have_more_classes_than_validated_rows():
    fold = folds_of(table([number % 50 for number in range(200)]), "holdout", holdout=0.2)
    assert (fold == 0).sum() == 40


def test_a_holdout_parts_no_group():
    fold = folds_of(table(LABELS, group=[f"g{number // 30}" for number in range(90)]), "holdout", holdout=0.3)
    assert (fold == 0).sum() == 30


def test_a_holdout_of_groups_has_its_share_of_each_class():
    fold = folds_of(table(LABELS * 4, group=[f"g{number // 2}" for number in range(360)]), "holdout")
    assert pd.Series(LABELS * 4)[fold == 0].value_counts().to_dict() == {"a": 40, "b": 24, "c": 8}


def test_a_group_counts_as_the_rarest_of_its_classes():
    labels = ["a", "rare"] * 10 + ["a"] * 80
    fold = folds_of(table(labels, group=[f"g{number // 2}" for number in range(100)]), "holdout")
    assert (pd.Series(labels)[fold == 0] == "rare").sum() == 2


@pytest.mark.parametrize("kind", ["stratified", "group", "stratified_group", "time", "holdout"])
def test_shuffled_rows_get_the_same_folds(kind):
    rows = table(LABELS, group=GROUPS, time=[f"{number}" for number in range(90)])
    order = np.random.default_rng(0).permutation(90)
    np.testing.assert_array_equal(folds_of(rows, kind)[order], folds_of(rows.iloc[order].reset_index(drop=True), kind))


def test_another_seed_gives_other_folds():
    assert (folds_of(table(LABELS), seed=1) != folds_of(table(LABELS), seed=2)).any()


def test_a_class_with_one_row_still_splits():
    fold = folds_of(table([*LABELS, "rare"]))
    assert sorted(np.bincount(fold)) == [18, 18, 18, 18, 19]


@pytest.mark.parametrize(
    ("rows", "kind", "words"),
    [
        (table(["a", "b", "a"]), "stratified", "3 training rows, too few for 5 folds"),
        (table(LABELS, group=["g1"] * 45 + ["g2"] * 45), "group", "2 groups, too few for 5 folds"),
        (table(LABELS, group=["g"] * 90), "holdout", "folds.kind=holdout"),
        (table(list("aabbb"), time=list("12345")), "time", "nothing to validate in fold 4"),
        (table(LABELS, time=["2020-01-01"] * 89 + ["soon"]), "time", "'soon'"),
    ],
)
def test_rows_that_do_not_suffice_are_refused(rows, kind, words):
    with pytest.raises(CompError) as refused:
        folds_of(rows, kind)
    assert words in str(refused.value)


def test_few_groups_do_not_matter_where_nobody_asked_for_groups():
    assert set(folds_of(table(LABELS, group=["g1"] * 45 + ["g2"] * 45), "stratified")) == set(range(5))


@pytest.mark.parametrize(("kind", "key"), [("group", "data.group"), ("time", "data.time")])
def test_a_kind_without_its_column_is_refused(competition, configure, comp, kind, key):
    configure(folds={"kind": kind})
    status, _, err = comp("split")
    assert status == 1
    assert f"folds.kind={kind} needs {key}" in err


def test_the_file_is_written_once_and_kept(competition, configure, comp):
    configure()
    assert comp("split")[0] == 0
    before = (competition / "folds.csv").read_bytes()
    status, out, _ = comp("split")
    assert status == 0
    assert "kept" in out
    assert (competition / "folds.csv").read_bytes() == before


def test_ids_with_leading_zeros_come_back_from_the_file(competition, configure, comp):
    configure()
    comp("split")
    lines = (competition / "folds.csv").read_text().splitlines()
    assert lines[1] == "id,fold,group"
    assert [line.split(",")[0] for line in lines[2:5]] == ["0000", "0001", "0002"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("folds.n=3", "n=2, the configuration asks for folds.n=3"),
        ("folds.seed=7", "seed=42, the configuration asks for folds.seed=7"),
        ("folds.near_duplicates=4", "near_duplicates=8, the configuration asks for folds.near_duplicates=4"),
        ("folds.near_duplicates=null", "the configuration asks for folds.near_duplicates=null"),
        ("folds.kind=holdout", "folds.n=1"),
    ],
)
def test_other_settings_than_the_file_has_are_refused(competition, configure, comp, override, words):
    configure()
    comp("split")
    before = (competition / "folds.csv").read_bytes()
    status, _, err = comp("split", override)
    assert status == 1
    assert words in err
    assert (competition / "folds.csv").read_bytes() == before
    assert comp("split", override, "--force")[0] == 0
    assert (competition / "folds.csv").read_bytes() != before
    assert comp("split", override)[0] == 0


def test_another_share_of_a_holdout_is_refused(competition, configure, comp):
    configure(folds={"kind": "holdout"})
    assert comp("split")[0] == 0
    assert comp("split")[0] == 0
    status, _, err = comp("split", "folds.holdout=0.4")
    assert status == 1
    assert "holdout=0.2, the configuration asks for folds.holdout=0.4" in err


def changed(competition, change):
    train = pd.read_csv(competition / "train.csv", dtype=str)
    change(train).to_csv(competition / "train.csv", index=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda train: train.iloc[1:], "it has 36 rows, there are 35"),
        (lambda train: train.assign(label=train["label"].iloc[::-1].to_numpy()), "labels"),
        (lambda train: train.assign(patient=train["patient"].iloc[::-1].to_numpy()), "groups"),
    ],
)
def test_other_rows_than_the_file_was_made_for_are_refused(competition, configure, comp, change, words):
    changed(competition, lambda train: train.assign(patient=[f"p{number // 4}" for number in range(len(train))]))
    configure(data={"group": "patient"})
    assert comp("split")[0] == 0
    changed(competition, change)
    status, _, err = comp("train")
    assert (status, err.count("\n")) == (1, 1)
    assert words in err
    assert "comp split --force" in err


def test_a_shuffled_csv_fits_the_file(competition, configure, comp):
    configure()
    comp("split")
    changed(competition, lambda train: train.sample(frac=1, random_state=0))
    assert comp("split")[0] == 0


@pytest.mark.parametrize("text", ["id,fold\n0000,1\n", "", "# folds n=2 kind=stratified seed=42 rows=ab\nhello\n"])
def test_a_file_of_another_make_is_refused(competition, configure, comp, text):
    configure()
    (competition / "folds.csv").write_text(text)
    status, _, err = comp("split")
    assert (status, err.count("\n")) == (1, 1)
    assert "folds.csv" in err


def older(path, kind=None):
    """The file as it was before duplicates were looked for."""
    header, *_ = path.read_text().split("\n", 1)
    header = re.sub(r" near_duplicates=\w+", "", header)
    header = re.sub(r"kind=\w+", f"kind={kind}", header) if kind else header
    table = pd.read_csv(path, skiprows=1, dtype=str)[["id", "fold"]]
    path.write_text(header + "\n" + table.to_csv(index=False))


def test_an_older_file_still_holds(competition, configure, comp):
    configure()
    comp("split")
    older(competition / "folds.csv")
    before = (competition / "folds.csv").read_bytes()
    status, out, _ = comp("split", "folds.near_duplicates=4")
    assert status == 0
    assert "comp split --force" in out
    assert (competition / "folds.csv").read_bytes() == before


def test_older_groups_of_several_labels_still_hold(competition, configure, comp):
    rng = np.random.default_rng(0)
    values = {name: rng.integers(0, 2, 36).astype(str) for name in ("x", "y")}
    patients = [f"p{number // 4}" for number in range(36)]
    changed(competition, lambda train: train[["id"]].assign(patient=patients, **values))
    (competition / "sample_submission.csv").unlink()
    configure(data={"group": "patient", "target": ["x", "y"]})
    assert comp("split")[0] == 0
    assert "kind=multilabel_group" in (competition / "folds.csv").read_text()
    older(competition / "folds.csv", kind="group")
    status, out, _ = comp("split")
    assert status == 0
    assert "9 groups of 4 to 4 rows, 0 of them in more than one fold" in out


def test_a_file_that_parts_a_group_is_refused(competition, configure, comp):
    configure()
    comp("split")
    path = competition / "folds.csv"
    path.write_text(re.sub(r"(,\d),\d+", r"\1,one", path.read_text()))
    status, _, err = comp("split")
    assert (status, err.count("\n")) == (1, 1)
    assert "group 'one' in more than one fold: run comp split --force" in err


def test_the_largest_difference_of_a_class_share_is_told(competition, configure, comp):
    changed(competition, lambda train: train.assign(label=["rare"] * 4 + list("ab" * 15) + ["c"] * 2))
    configure(folds={"n": 4})
    _, out, _ = comp("split")
    fold = pd.read_csv(competition / "folds.csv", skiprows=1)["fold"]
    label = pd.read_csv(competition / "train.csv")["label"]
    shares = pd.crosstab(fold, label, normalize="index") - label.value_counts(normalize=True)
    k, name = shares.abs().stack().idxmax()
    assert f"class share {100 * shares.abs().max(axis=None):.1f} points ({name} in fold {k})" in out


def test_training_without_folds_asks_for_them(competition, configure, comp):
    configure()
    status, _, err = comp("train")
    assert status == 1
    assert "folds.csv does not exist: run comp split" in err


def test_a_label_that_stands_only_in_one_fold_trains_to_the_end(competition, configure, comp):
    changed(
        competition,
        lambda train: train.assign(
            patient=[f"p{number % 6}" for number in range(len(train))],
            label=[label if number % 6 else "rare" for number, label in enumerate(train["label"])],
        ),
    )
    config = configure(data={"group": "patient"}, metrics=["log_loss", "roc_auc", "macro_f1", "balanced_accuracy"])
    assert comp("split")[0] == 0
    status, _, err = comp("train")
    assert (status, err.count("error")) == (0, 0)
    oof, targets, _ = read_predictions(competition.parent / "runs" / config.name / "oof.parquet")
    assert oof["fold"][oof["target"] == "rare"].nunique() == 1
    assert targets.classes == ("blue", "green", "rare", "red")
    assert len(oof) == 36


def test_a_class_with_one_row_trains_to_the_end(repo, configure, comp):
    write_competition(repo / "data")
    changed(repo / "data", lambda train: train.assign(label=["rare", *train["label"][1:]]))
    configure()
    status, out, _ = comp("run", "steps=[split,train]")
    assert status == 0
    assert "fewer rows than folds in 'rare'" in out


def test_folds_over_time_train_on_the_past_only(competition, configure, comp):
    changed(competition, lambda train: train.assign(day=[f"{number}" for number in range(len(train))]))
    config = configure(data={"time": "day"}, folds={"kind": "time"})
    assert comp("run", "steps=[split,train]")[0] == 0
    for number in range(2):
        trained, validated = open_competition(config).rows(number)
        assert trained.max() < validated.min()
    oof, _, _ = read_predictions(competition.parent / "runs" / "small" / "oof.parquet")
    assert list(oof["id"]) == [f"{number:04d}" for number in range(12, 36)]
    assert list(oof["fold"]) == [0] * 12 + [1] * 12
