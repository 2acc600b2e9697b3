"""The demo of faces: uneven classes, persons, and a second source whose mistakes are known."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support import assert_same_files

from comp.emotion import demo, demo_synthetic
from comp.emotion.demo_synthetic import FAULTS, WORDS
from comp.emotion.faces import EXPRESSIONS, SIDE_PX
from comp.emotion.portraits import MOST_OF_A_PERSON, planned, unlike
from comp.errors import CompError
from comp.tasks import commands_of
from comp.vision.schema import ImageConfig

FEW = {"happy": 40, "neutral": 32, "sad": 12, "anger": 10, "surprise": 10, "disgust": 6, "fear": 6, "contempt": 5}


def written(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "COUNTS", FEW)
        patch.setattr(demo_synthetic, "MOST", 10)
        return demo.write_demo(ImageConfig(data={"root": str(root)}))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The demo with few images, written once."""
    return written(tmp_path_factory.mktemp("faces") / "data")


def table(path):
    return pd.read_csv(path, dtype=str)


def opened(path):
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)


def test_the_tables_name_all_images_and_no_other(root):
    for name, split in (("train.csv", "train"), ("solution.csv", "test"), ("sample_submission.csv", "test")):
        assert sorted(f"{one}.png" for one in table(root / name)["id"]) == sorted(
            path.name for path in (root / split).iterdir()
        )
    assert list(table(root / "train.csv").columns) == ["id", "label", "person"]
    assert opened(root / "train" / "00000.png").shape == (SIDE_PX, SIDE_PX, 3)


def test_the_classes_are_uneven_in_both_tables(root):
    assert table(root / "train.csv")["label"].value_counts().to_dict() == FEW
    test = table(root / "solution.csv")["label"].value_counts()
    assert set(test.index) == set(EXPRESSIONS)
    assert test["happy"] >= 4 * test["contempt"]
    assert max(demo.COUNTS.values()) > 7 * min(demo.COUNTS.values())


def test_persons_have_a_few_images_each_and_are_in_one_table():
    rng = np.random.default_rng(1)
    train = planned(FEW, 0, rng)
    test = planned(FEW, len(train), rng)
    sizes = pd.Series([one.person for one in train]).value_counts()
    assert sizes.max() <= MOST_OF_A_PERSON
    assert sizes.nunique() > 2
    heads = {one.person: one.head for one in train}
    assert all(one.head is heads[one.person] for one in train)
    assert not {one.person for one in test} & set(heads)
    assert pd.DataFrame([(one.person, one.label) for one in train]).groupby(0)[1].nunique().max() > 2


def test_no_test_image_is_a_training_image(root):
    sums = [
        {hashlib.sha256(path.read_bytes()).digest() for path in (root / split).iterdir()} for split in ("train", "test")
    ]
    assert len(sums[0]) == sum(FEW.values())
    assert not sums[0] & sums[1]
    assert not set(table(root / "train.csv")["id"]) & set(table(root / "solution.csv")["id"])


def test_the_second_source_fills_up_the_classes_in_words_of_its_own(root):
    synthetic = table(root / "synthetic" / "synthetic.csv")
    assert list(synthetic.columns) == ["image", "label", "parent"]
    present = {path.name for path in (root / "synthetic").glob("*.png")}
    assert set(synthetic["image"]) == present
    assert len(synthetic) == sum(min(FEW["happy"] - count, 10) for count in FEW.values())
    words = {WORDS.get(label, label) for label in EXPRESSIONS}
    assert set(synthetic["label"]) <= words
    assert {"angry", "surprised", "contempt"} <= set(synthetic["label"])
    assert set(synthetic["parent"]) <= set(table(root / "train.csv")["id"])


def test_mistakes_are_planted_and_known(root):
    planted = table(root / "synthetic" / "planted.csv")
    synthetic = table(root / "synthetic" / "synthetic.csv").set_index("image")
    assert planted["image"].is_unique
    assert set(planted["image"]) <= set(synthetic.index)
    assert planted["fault"].value_counts().to_dict() == {
        fault: round(share * len(synthetic)) for fault, share in FAULTS.items()
    }


def test_unchanged_images_are_their_parents_again_with_their_label(root):
    planted = table(root / "synthetic" / "planted.csv").set_index("image")["fault"]
    labels = table(root / "train.csv").set_index("id")["label"]
    for image, label, parent in table(root / "synthetic" / "synthetic.csv").itertuples(index=False):
        there, here = opened(root / "train" / f"{parent}.png"), opened(root / "synthetic" / image)
        assert (np.abs(there * (here.mean() / there.mean()) - here).mean() < 3) == (
            planted.get(image) == "unchanged"
        ), image
        if planted.get(image) == "unchanged":
            assert label == WORDS.get(labels[parent], labels[parent])


def test_what_shows_something_else_and_who_is_another_person_is_planted_alone():
    rng = np.random.default_rng(0)
    train = planned(FEW, 0, rng)
    images = demo_synthetic._with_faults(demo_synthetic._asked(train, rng), train, rng)
    for one in images:
        assert (one.shows != one.label) == (one.fault == "wrong label")
        assert (one.model.person != one.parent.person) == (one.fault == "other person")
        assert (one.label == one.parent.label) == (one.fault == "unchanged")
        if one.fault == "other person":
            assert unlike(one.model, one.parent) > 3


def test_the_demo_is_the_same_each_time(root, tmp_path):
    assert_same_files(root, written(tmp_path / "again"))


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CompError, match="is not empty"):
        demo.write_demo(ImageConfig(data={"root": str(tmp_path)}))


def test_the_golden_set_is_suggested_before_the_folds():
    commands = commands_of("emotion")
    assert [commands[name].next for name in ("download", "check", "golden")] == ["check", "golden", "split"]
