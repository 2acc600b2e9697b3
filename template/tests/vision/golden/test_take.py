"""comp golden: what is set aside, and that nothing of it is learned from, anywhere."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import ImageOps
from vision.small import picture

from comp.errors import CompError
from comp.vision.data.golden import golden_path, read_golden
from comp.vision.data.read import read_tables
from comp.vision.golden.take import chosen, quota, smallest_difference
from comp.vision.schema import TakeGolden

TAKE = {"golden": {"per_class": 4, "most": 0.5}}


def roles(config) -> pd.Series:
    return read_golden(golden_path(config.data))[0]["train"]["role"]


def test_each_class_gives_as_many_as_asked_for_or_its_share():
    settings = TakeGolden(per_class=10, most=0.25)
    label = np.repeat(["often", "rare", "single"], [100, 20, 1])
    ids = np.array([f"{number:03d}" for number in range(len(label))])
    role = chosen(ids, label, ids, settings)
    assert [(role[label == name] == "golden").sum() for name in ("often", "rare", "single")] == [10, 5, 0]
    assert set(role) == {"golden", "train"}
    assert quota(14, TakeGolden()) == 4


def test_the_choice_does_not_depend_on_the_order_of_rows():
    settings, random = TakeGolden(per_class=5), np.random.default_rng(0)
    label, group = random.choice(["a", "b", "c"], 90), random.integers(0, 30, 90).astype(str)
    ids = np.array([f"{number:03d}" for number in range(90)])
    order = random.permutation(90)
    again = chosen(ids[order], label[order], group[order], settings)
    assert (again == chosen(ids, label, group, settings)[order]).all()
    assert (again != chosen(ids, label, group, TakeGolden(per_class=5, seed=1))[order]).any()


def test_no_group_is_in_both_and_what_has_no_room_is_left_out():
    random = np.random.default_rng(0)
    label, group = random.choice(["a", "b", "c"], 300), random.integers(0, 60, 300)
    role = chosen(np.arange(300).astype(str), label, group, TakeGolden(per_class=20))
    taken, trained = set(group[role != "train"]), set(group[role == "train"])
    assert not taken & trained
    assert all((role[label == name] == "golden").sum() <= 20 for name in "abc")
    assert (role == "golden").sum() >= 50
    assert (role == "left out").sum() < (role == "golden").sum()


def test_the_smallest_difference_is_that_of_a_paired_test():
    assert smallest_difference(1200, 0.4) == pytest.approx(0.051, abs=5e-4)
    assert smallest_difference(1200, 0.2) == pytest.approx(0.036, abs=5e-4)
    random = np.random.default_rng(0)  # planted: how often such a difference is found at p < .05
    n, share = 1200, 0.2
    won = random.binomial(n, (share + smallest_difference(n, share)) / 2, 4000)
    lost = random.binomial(n, (share - smallest_difference(n, share)) / 2, 4000)
    assert (np.abs(won - lost) > 1.96 * np.sqrt(won + lost)).mean() == pytest.approx(0.8, abs=0.03)


def test_it_is_written_once_and_told(competition, configure, comp):
    config = configure(**TAKE)
    status, out, _ = comp("golden")
    assert status == 0
    assert re.search(r"red +12 +4 +0", out)
    assert "12 golden images; the primary metric is accuracy" in out
    assert "smallest difference of two accuracies that it shows (p < .05, power 80 %): 36.2 points" in out
    before = golden_path(config.data).read_bytes()
    assert "exists and fits: kept" in comp("golden", "golden.per_class=2")[1]
    assert golden_path(config.data).read_bytes() == before


def test_a_class_with_too_few_gives_its_share_and_it_is_said(competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table.drop(table.index[table["label"] == "blue"][4:]).to_csv(competition / "train.csv", index=False)
    configure(golden={"per_class": 4, "most": 0.5})
    assert re.search(r"blue +4 +2 +0  50% of it, not 4", comp("golden")[1])


def test_golden_rows_are_test_rows_and_no_training_rows(competition, configure, comp):
    config = configure(**TAKE)
    before = read_tables(config.data)
    comp("golden")
    after, role = read_tables(config.data), roles(config)
    golden = list(role.index[role == "golden"])
    assert list(after.train["id"]) == [name for name in before.train["id"] if name not in golden]
    assert list(after.test["id"]) == [*before.test["id"], *(f"golden:{name}" for name in golden)]
    assert list(after.test.columns) == list(before.test.columns)
    assert after.golden.truth["target"].tolist() == before.train.set_index("id")["target"][golden].tolist()
    assert after.golden.teaches.tolist() == [True] * 9 + [False] * 12


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.copy(),
        ImageOps.mirror,
        lambda image: image.crop((0, 0, *(side * 95 // 100 for side in image.size))),
        lambda image: image,
    ],
    ids=["same", "mirrored", "cropped", "encoded anew"],
)
def test_what_repeats_a_golden_image_is_left_out_and_never_a_pseudo_label(change, competition, configure, comp):
    from vision.folds.test_duplicates import scene

    table = pd.read_csv(competition / "train.csv", dtype=str)
    for place, name in enumerate(table["id"][:18]):  # each in two copies
        scene(place // 2).save(competition / "train" / f"{name}.png")
        if place % 2:
            change(scene(place // 2)).save(competition / "train" / f"{name}.png")
    tests = pd.read_csv(competition / "solution.csv", dtype=str)["id"]
    for place, name in enumerate(tests):
        change(scene(place)).save(competition / "test" / f"{name}.png")
    config = configure(golden={"per_class": 3, "most": 0.5}, folds={"n": 2})
    comp("golden")
    role, tables = roles(config), read_tables(config.data)
    pairs = [set(role[table["id"][2 * number : 2 * number + 2]]) for number in range(9)]
    assert {"golden"} in pairs or {"golden", "left out"} in pairs
    assert all(pair == {"train"} or "train" not in pair for pair in pairs)
    assert tables.golden.teaches[:9].tolist() == ["golden" not in pair for pair in pairs]


def test_a_group_is_never_parted(competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table["person"] = [str(number // 5) for number in range(len(table))]
    table.to_csv(competition / "train.csv", index=False)
    config = configure(data={"group": "person"}, golden={"per_class": 3})
    comp("golden")
    role = roles(config)
    of_person = role.reset_index(drop=True).groupby(table["person"]).agg(set)
    assert all(each == {"train"} or "train" not in each for each in of_person)
    assert not set(read_tables(config.data).train["group"]) & set(of_person.index[of_person != {"train"}])


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace(",golden,", ",train,", 1),
        lambda text: text.replace("per_class=4", "per_class=5"),
        lambda text: text[:-20],
        lambda text: "",
    ],
    ids=["a role", "the settings", "cut", "empty"],
)
def test_a_file_edited_by_hand_stops_everything(edit, competition, configure, comp):
    config = configure(**TAKE)
    comp("golden")
    path = golden_path(config.data)
    path.write_text(edit(path.read_text()), newline="\n")
    for command in ("golden", "split", "train", "evaluate"):
        status, _, err = comp(command)
        assert status == 1
        assert "was changed since comp golden wrote it" in err


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda table: table.iloc[1:], r"1 gone \('0000'\)"),
        (lambda table: pd.concat([table, table.iloc[:1].assign(id="0")]), r"1 new \('0'\)"),
        (lambda table: table.assign(label=["green", *table["label"][1:]]), r"1 labeled otherwise \('0000'\)"),
    ],
)
def test_other_training_rows_than_it_was_taken_from_are_named(change, line, competition, configure):
    from comp.vision.golden.take import golden

    config = configure(**TAKE)
    golden(config)
    picture("red", 99).save(competition / "train" / "0.png")
    change(pd.read_csv(competition / "train.csv", dtype=str)).to_csv(competition / "train.csv", index=False)
    with pytest.raises(CompError, match=rf"taken from other training rows than there are: {line}: put the data back"):
        read_tables(config.data)


def test_another_picture_under_a_golden_name_is_named(competition, configure, comp):
    config = configure(**TAKE)
    comp("golden")
    role = roles(config)
    name = role.index[role == "golden"][0]
    picture("red", 99).save(competition / "train" / f"{name}.png")
    with pytest.raises(CompError, match=rf"1 golden images are other files than they were \('{name}'\)"):
        read_tables(config.data)


def test_several_labels_a_row_are_refused(competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table.assign(a="1", b=["0", "1"] * 18).drop(columns="label").to_csv(competition / "train.csv", index=False)
    (competition / "sample_submission.csv").unlink()
    configure(data={"target": ["a", "b"]}, metric="roc_auc", **TAKE)
    assert "the targets are multilabel (several labels per row)" in comp("golden")[2]


def test_folds_that_are_older_are_told_and_refused(competition, configure, comp):
    configure(**TAKE)
    comp("split")
    assert "has golden rows in its folds: run comp split --force" in comp("golden")[1]
    assert "was made for other training rows" in comp("train")[2]


def test_no_golden_image_reaches_training_pseudo_labels_or_the_submission(competition, configure, comp):
    """Planted: golden labels that say the opposite. Whatever learned from one would be seen to."""
    config = configure(
        **TAKE,
        train={"epochs": 3},
        pseudo={"threshold": 0.0},
        steps=["golden", "split", "train", "pseudo", "blend", "submit", "score", "evaluate"],
    )
    status, out, err = comp("run")
    assert status == 0, err
    role = roles(config)
    golden = set(role.index[role == "golden"])
    assert not golden & set(pd.read_parquet("runs/small/oof.parquet")["id"])
    folds = pd.read_csv(competition / "folds.csv", dtype=str, skiprows=1)
    assert not golden & set(folds["id"])
    taught = pd.read_parquet("runs/small-pseudo/fold0/pseudo.parquet")["id"]
    assert len(taught) == 9
    assert not taught.str.startswith("golden:").any()
    assert "9 of 21 test rows join the training rows (12 may not: golden, like a golden image, or unreadable)" in out
    submitted = pd.read_csv(next(iter(sorted(competition.parent.glob("submissions/*.csv")))), dtype=str)
    assert list(submitted["id"]) == list(pd.read_csv(competition / "sample_submission.csv", dtype=str)["id"])
    assert "golden  accuracy" in out
    blended = pd.read_parquet("runs/small-pseudo-blend/test.parquet")["id"]
    assert blended.str.startswith("golden:").sum() == 12


def test_pseudo_labels_of_golden_rows_that_somebody_wrote_are_refused(competition, configure, comp):
    configure(**TAKE, pseudo={"threshold": 0.0})
    for step in ("golden", "split", "train", "pseudo"):
        assert comp(step)[0] == 0
    from comp.runs.predictions import read_predictions, write_predictions

    path = competition.parent / "runs/small-pseudo/fold0/pseudo.parquet"
    table, targets, folds = read_predictions(path)
    test = pd.read_parquet("runs/small/test.parquet")
    write_predictions(path, test[test["id"].str.startswith("golden:")][table.columns], targets, folds)
    (path.parent / "metrics.json").unlink()
    assert "has golden rows, or images like them" in comp("pseudo")[2]


def test_pretraining_leaves_out_what_repeats_a_golden_image(competition, configure, comp):
    from vision.folds.test_duplicates import scene

    config = configure(**TAKE)
    comp("golden")
    role = roles(config)
    other = competition.parent / "other" / "images"
    for number in range(24):
        folder = other / ("red", "green", "blue")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        scene(number).save(folder / f"{number}.png")
    # A golden picture, mirrored, among the others; golden.csv knows files by content, so it is put there first.
    (competition / "golden.csv").unlink()
    name = role.index[role == "golden"][0]
    scene(50).save(competition / "train" / f"{name}.png")
    ImageOps.mirror(scene(50)).save(other / "red" / "mirrored.png")
    comp("golden")
    assert roles(config)[name] == "golden"
    comp("split")
    status, out, err = comp("pretrain", "pretrain={data: {root: other, train: images}, train: {epochs: 1}}")
    assert status == 0, err
    assert "24 rows with classes of this competition; 1 left out: it has the same images" in out
