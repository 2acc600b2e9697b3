"""Folds: fair shares, nothing that belongs together is parted, and one file that is never changed in silence."""

import re

import numpy as np
import pandas as pd
import pytest

from comp.config.common import Folding
from comp.errors import CompError
from comp.folds import assign_folds
from comp.tables import Targets


def table(labels, **columns):
    """A training table with these labels, text ids, and further columns."""
    values = {"id": [f"{number:04d}" for number in range(len(labels))], "label": [str(label) for label in labels]}
    return pd.DataFrame(values | columns)


def folds_of(rows, kind="stratified", columns=("label",), **settings):
    if len(columns) > 1:
        train, targets = (
            rows.rename(columns={name: f"target_{name}" for name in columns}),
            Targets("multilabel", columns),
        )
    else:
        train = rows.assign(target=rows[columns[0]])
        targets = Targets("multiclass", tuple(sorted(set(train["target"]))))
    return assign_folds(train, targets, Folding(kind=kind, **settings), kind)


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


@pytest.mark.parametrize("sizes", [[3] * 30, [1] * 40 + [20, 30], [50, 20, 5, 5, 5, 5], [40, 1, 1, 1, 1, 46]])
def test_rows_of_one_time_are_never_parted(sizes):
    times = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(0).permutation(len(times))
    fold = folds_of(table(["a", "b"] * (len(times) // 2), time=times[order].astype(str)), "time")
    assert pd.Series(fold).groupby(times[order]).nunique().max() == 1
    assert sorted(set(fold)) == [-1, 0, 1, 2, 3, 4]
    for number in range(5):
        assert times[order][fold < number].max() < times[order][fold == number].min()


def test_borders_in_time_lie_at_the_nearest_change():
    times = np.repeat(["2020", "2021", "2022", "2023"], [28, 34, 31, 27])
    fold = folds_of(table(["a", "b"] * 60, time=times), "time", n=3)
    assert dict(zip(times, fold.tolist(), strict=True)) == {"2020": -1, "2021": 0, "2022": 1, "2023": 2}


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
        (table(LABELS, time=["1"] * 45 + ["2"] * 45), "time", "2 different values, and rows of one time stay together"),
        (table(LABELS, time=["2020-01-01"] * 89 + ["soon"]), "time", "'soon'"),
    ],
)
def test_rows_that_do_not_suffice_are_refused(rows, kind, words):
    with pytest.raises(CompError) as refused:
        folds_of(rows, kind)
    assert words in str(refused.value)


def test_few_groups_do_not_matter_where_nobody_asked_for_groups():
    assert set(folds_of(table(LABELS, group=["g1"] * 45 + ["g2"] * 45), "stratified")) == set(range(5))


def test_the_file_is_written_once_and_kept(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    before = (repo / "data/folds.csv").read_bytes()
    status, out, _ = comp("split")
    assert status == 0
    assert "kept" in out
    assert (repo / "data/folds.csv").read_bytes() == before


def test_training_without_folds_asks_for_them(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    status, _, err = comp("train")
    assert status == 1
    assert "folds.csv does not exist: run comp split" in err


@pytest.mark.parametrize("text", ["id,fold\n0000,1\n", "", "# folds n=2 kind=stratified seed=42 digest=ab\nhello\n"])
def test_a_file_of_another_make_is_refused(repo, small, comp, text):
    small.write(repo / "data")
    small.configure()
    (repo / "data/folds.csv").write_text(text)
    status, _, err = comp("split")
    assert (status, err.count("\n")) == (1, 1)
    assert "folds.csv" in err


def test_a_file_that_parts_a_group_is_refused(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    comp("split")
    path = repo / "data/folds.csv"
    path.write_text(re.sub(r"(,\d),\S+", r"\1,one", path.read_text()))
    status, _, err = comp("split")
    assert (status, err.count("\n")) == (1, 1)
    assert "group 'one' in more than one fold: run comp split --force" in err


def test_other_settings_than_the_file_has_are_refused(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    before = (repo / "data/folds.csv").read_bytes()
    status, _, err = comp("split", "folds.seed=7")
    assert (status, err.count("\n")) == (1, 1)
    assert "seed=42, the configuration asks for folds.seed=7" in err
    assert (repo / "data/folds.csv").read_bytes() == before
    assert comp("split", "folds.seed=7", "--force")[0] == 0


def test_folds_that_there_are_not_are_refused(repo, small, comp):
    small.write(repo / "data")
    small.configure()
    assert comp("split")[0] == 0
    status, _, err = comp("train", "folds=[0,9]")
    assert (status, err.count("\n")) == (1, 1)
    assert "folds.use names fold 9, there are folds 0 to" in err
