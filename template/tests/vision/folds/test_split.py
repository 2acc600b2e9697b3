"""Folds: fair shares, nothing that belongs together is parted, and one file that is never changed in silence."""

import pandas as pd
import pytest
from vision.small import write_competition

from comp.runs.predictions import read_predictions
from comp.vision.data.competition import open_competition


@pytest.mark.parametrize(("kind", "key"), [("group", "data.group"), ("time", "data.time")])
def test_a_kind_without_its_column_is_refused(competition, configure, comp, kind, key):
    configure(folds={"kind": kind})
    status, _, err = comp("split")
    assert status == 1
    assert f"folds.kind={kind} needs {key}" in err


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


def changed(competition, change, name="train.csv"):
    table = pd.read_csv(competition / name, dtype=str)
    change(table).to_csv(competition / name, index=False)


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


def test_the_largest_difference_of_a_class_share_is_told(competition, configure, comp):
    changed(competition, lambda train: train.assign(label=["rare"] * 4 + list("ab" * 15) + ["c"] * 2))
    changed(competition, lambda sample: sample.assign(label="a"), "sample_submission.csv")
    configure(folds={"n": 4})
    _, out, _ = comp("split")
    fold = pd.read_csv(competition / "folds.csv", skiprows=1)["fold"]
    label = pd.read_csv(competition / "train.csv")["label"]
    shares = pd.crosstab(fold, label, normalize="index") - label.value_counts(normalize=True)
    k, name = shares.abs().stack().idxmax()
    assert f"class share {100 * shares.abs().max(axis=None):.1f} points ({name} in fold {k})" in out


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


@pytest.mark.parametrize("kind", ["auto", "time"])
def test_a_named_time_means_folds_over_time_and_day_first_dates_are_read(competition, configure, comp, kind):
    days = pd.date_range("2020-11-20", periods=36).strftime("%d/%m/%Y")
    changed(competition, lambda train: train.assign(day=days).sample(frac=1, random_state=0))
    config = configure(data={"time": "day"}, folds={"kind": kind})
    status, out, _ = comp("split")
    assert status == 0
    assert "time    'day' read as %d/%m/%Y" in out
    assert ("as data.time is set (folds.kind=auto)" in out) == (kind == "auto")
    for number in range(2):
        trained, validated = open_competition(config).rows(number)
        when = pd.to_datetime(pd.read_csv(competition / "train.csv")["day"], format="%d/%m/%Y")
        assert when[trained].max() < when[validated].min()


def test_dates_that_could_be_two_are_refused_and_the_key_decides(competition, configure, comp):
    days = [f"{number % 12 + 1:02d}/{number // 12 + 1:02d}/2020" for number in range(36)]
    changed(competition, lambda train: train.assign(day=days))
    configure(data={"time": "day"})
    status, _, err = comp("split")
    assert (status, err.count("\n")) == (1, 1)
    assert "data.time_format" in err
    folds = []
    for time_format in ("%d/%m/%Y", "%m/%d/%Y"):
        assert comp("split", f"data.time_format={time_format}", "--force")[0] == 0
        folds.append(pd.read_csv(competition / "folds.csv", skiprows=1)["fold"].tolist())
    assert folds[0] != folds[1]
    status, _, err = comp("split", "data.time_format=%d/%m/%Y")
    assert status == 1
    assert "times or folds changed since it was written" in err


def test_time_and_group_together_need_a_kind(competition, configure, comp):
    changed(
        competition,
        lambda train: train.assign(
            day=[str(number) for number in range(36)], patient=[f"p{number // 4}" for number in range(36)]
        ),
    )
    configure(data={"time": "day", "group": "patient"})
    status, _, err = comp("split")
    assert status == 1
    assert "data.time and data.group are both set" in err
    assert "set folds.kind to time, or to stratified_group" in err
    for kind in ("time", "stratified_group"):
        assert comp("split", f"folds.kind={kind}", "--force")[0] == 0
