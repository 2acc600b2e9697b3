"""Every layout that competitions come in, and every fault in one: what is read and what is refused."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from comp.errors import CompError
from comp.registry import register
from comp.runs.predictions import read_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.find_images import image_files
from comp.vision.data.metadata import read_metadata
from comp.vision.data.read import read_tables
from comp.vision.schema import Data


@pytest.fixture
def files(repo):
    """`files({"train.csv": "id,label\\n…", "train/1.png": None})` writes text, and pictures where there is none."""

    def write(contents):
        for name, text in contents.items():
            path = repo / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                Image.new("RGB", (3, 2)).save(path)
            else:
                path.write_text(text, encoding="utf-8")

    return write


def pictures(*names):
    return dict.fromkeys(names)


TRAIN = {"train.csv": "id,label\n01,cat\n02,dog\n", **pictures("train/01.png", "train/02.png")}
TEST = pictures("test/03.png", "test/04.png")


def read(**settings):
    return read_tables(Data(**settings))


def refusal(**settings):
    with pytest.raises(CompError) as refused:
        read(**settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def names_of(table):
    return [path.replace("\\", "/").partition("data/")[2] for path in table["path"]]


def test_an_id_keeps_its_leading_zeros(files):
    files(TRAIN | TEST)
    tables = read()
    assert list(tables.train["id"]) == ["01", "02"]
    assert names_of(tables.train) == ["train/01.png", "train/02.png"]


def test_ids_may_carry_the_extension(files):
    files({"train.csv": "id,label\n01.png,cat\n02.png,dog\n", **pictures("train/01.png", "train/02.png")} | TEST)
    assert names_of(read().train) == ["train/01.png", "train/02.png"]


def test_a_column_of_paths_is_found_beside_the_id(files):
    files({"train.csv": "id,file,label\n7,x/a.png,cat\n8,x/b.png,dog\n", **pictures("x/a.png", "x/b.png")} | TEST)
    tables = read()
    assert list(tables.train["id"]) == ["7", "8"]
    assert names_of(tables.train) == ["x/a.png", "x/b.png"]


def test_one_folder_may_hold_several_kinds_of_image(files):
    files(TRAIN | TEST | {"train.csv": "id,label\n01,cat\n02,dog\n05,cat\n", **pictures("train/05.JPG")})
    assert names_of(read().train) == ["train/01.png", "train/02.png", "train/05.JPG"]


def test_two_images_of_one_id_are_refused(files):
    files(TRAIN | TEST | {"train/01.bmp": None})
    assert "'01'" in refusal()


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan"])
def test_words_that_pandas_takes_for_missing_stay_text(files, word):
    files({"train.csv": f"id,label\n{word},{word}\n02,dog\n", **pictures(f"train/{word}.png", "train/02.png")} | TEST)
    tables = read()
    assert list(tables.train["id"]) == [word, "02"]
    assert list(tables.train["target"]) == [word, "dog"]
    assert tables.targets.classes == tuple(sorted([word, "dog"]))


def test_the_order_of_classes_does_not_depend_on_the_order_of_rows(files):
    labels = ["b", "nan", "a", "10", "9", "inf"]
    ids = [f"{number}" for number in range(6)]
    files(TEST | pictures(*(f"train/{name}.png" for name in ids)))
    found = set()
    for turn in range(6):
        rows = "\n".join(f"{ids[k]},{labels[(k + turn) % 6]}" for k in range(6))
        files({"train.csv": f"id,label\n{rows}\n"})
        found.add(read().targets.classes)
    assert found == {("9", "10", "a", "b", "inf", "nan")}


def test_a_byte_order_mark_and_windows_lines_are_read(repo, files):
    files(TRAIN | TEST)
    (repo / "data" / "train.csv").write_bytes("\ufeffid,label\r\n01,größe\r\n02,dog\r\n".encode())
    assert list(read().train["target"]) == ["größe", "dog"]


def test_the_group_column_is_read_as_group(files):
    files(TRAIN | TEST | {"train.csv": "id,label,patient\n01,cat,007\n02,dog,008\n"})
    assert list(read(group="patient").train["group"]) == ["007", "008"]


def test_rows_without_a_group_are_not_one_group(files):
    files({**TRAIN, **TEST, "train.csv": "id,label,owner\n01,cat,\n02,dog,\n03,dog,x\n", **pictures("train/03.png")})
    tables = read(group="owner")
    assert tables.train["group"].nunique() == 3
    assert "groups  2 rows have no 'owner': each is a group of its own" in tables.notes


def test_a_column_that_happens_to_be_called_group_groups_nothing(files):
    files(TRAIN | TEST | {"train.csv": "id,label,group\n01,cat,a\n02,dog,a\n"})
    assert "group" not in read(target="label").train


THEIRS = ["id", "path", "all paths", "group", "time", "target", "target_cat"]  # called as our own columns are
CALLED_AS_OURS = {
    "train.csv": f"image,label,{','.join(THEIRS)}\na.png,cat,1,1,1,1,1,1,1\nb.png,dog,2,2,2,2,2,2,2\n"
    "c.png,cat,1,1,1,1,1,1,1\n",
    "test.csv": f"image,{','.join(THEIRS)}\nd.png,3,4,5,6,7,8,9\n",
    **pictures("train/a.png", "train/b.png", "train/c.png", "test/d.png"),
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_column_that_is_called_as_one_of_ours_is_read_as_any_other(files, name):
    files(CALLED_AS_OURS)
    tables = read(id="image", target="label", group=name, time=name)
    assert list(tables.train["id"]) == ["a.png", "b.png", "c.png"]
    assert list(tables.train["target"]) == ["cat", "dog", "cat"]
    assert names_of(tables.train) == ["train/a.png", "train/b.png", "train/c.png"]
    assert list(tables.train["group"]) == list(tables.train["time"]) == ["1", "2", "1"]
    assert read(id="image", target=name, kind="multiclass").targets.classes == ("1", "2")


def test_columns_that_are_called_as_ours_are_metadata_of_both_tables(files):
    files(CALLED_AS_OURS)
    tables = read(id="image", target="label", group="group", time="time")
    assert read_metadata(tables.train, THEIRS, "train").to_numpy().tolist() == [["1"] * 7, ["2"] * 7, ["1"] * 7]
    assert read_metadata(tables.test, THEIRS, "test").to_numpy().tolist() == [list("3456789")]
    with pytest.raises(CompError, match="there are 'image', 'id', 'path', 'all paths', 'group', 'time', 'target'"):
        read_metadata(tables.test, ["age"], "test")


def test_label_columns_that_are_called_as_ours_name_the_classes(files):
    files(TRAIN | TEST | {"train.csv": "path,target,target_red\n01.png,1,0\n02.png,1,1\n"})
    tables = read(target=["target", "target_red"], kind="multilabel")
    assert tables.targets == Targets("multilabel", ("target", "target_red"))
    assert tables.targets.encode(tables.train).tolist() == [[1, 0], [1, 1]]
    assert list(tables.train["id"]) == ["01.png", "02.png"]  # and not where the files are


def test_a_folder_per_class_gives_ids_and_labels(files):
    files(pictures("train/Äpfel/1 rot.png", "train/Äpfel/2.png", "train/猫 weiß/1.png") | TEST)
    tables = read()
    assert list(tables.train["target"]) == ["Äpfel", "Äpfel", "猫 weiß"]
    assert list(tables.train["id"]) == names_of(tables.train.assign(path="data/" + tables.train["id"]))
    assert names_of(tables.train) == ["train/Äpfel/1 rot.png", "train/Äpfel/2.png", "train/猫 weiß/1.png"]
    assert tables.train["id"].is_unique


@pytest.mark.parametrize(("first", "ids"), [("03.png", ["03.png", "04.png"]), ("03", ["03", "04"])])
def test_a_test_folder_spells_ids_as_the_sample_does(files, first, ids):
    files(TRAIN | TEST | {"sample_submission.csv": "id,label\n" + "".join(f"{name},cat\n" for name in ids)})
    assert list(read().test["id"]) == ids
    assert names_of(read().test) == ["test/03.png", "test/04.png"]


def test_a_test_csv_wins_over_the_folder_beside_it(files):
    files(TRAIN | TEST | {"test.csv": "id\n04\n"})
    assert names_of(read().test) == ["test/04.png"]


def test_a_pattern_names_images_of_both_splits(files):
    files({"train.csv": "code,label\na,cat\nb,dog\n", "test.csv": "code\nc\n"})
    files(pictures("train_img/a_x.png", "train_img/b_x.png", "test_img/c_x.png"))
    tables = read(id="code", path="{split}_img/{id}_x.png")
    assert names_of(tables.train) == ["train_img/a_x.png", "train_img/b_x.png"]
    assert names_of(tables.test) == ["test_img/c_x.png"]


def test_a_wrong_guess_can_be_overridden(files):
    files(TRAIN | TEST | {"train.csv": "id,name,label,kind\n01,x,1,cat\n02,y,1,dog\n"})
    assert read(target="kind").targets.classes == ("cat", "dog")
    files({"other.csv": "key,kind\n01,cat\n02,dog\n", **pictures("big/01.png", "big/02.png")})
    tables = read(train="other.csv", id="key", target="kind", path="big/{id}.png")
    assert names_of(tables.train) == ["big/01.png", "big/02.png"]


def test_the_layout_is_told(files):
    files(TRAIN | TEST)
    told = "\n".join(read().notes)
    for words in ("2 rows of", "images at train/{id}.png", "2 images in", "multiclass: 2 of them: cat, dog"):
        assert words in told


def test_the_sample_submission_tells_the_label_column(files):
    sample = {"sample_submission.csv": "id,breed\n03,cat\n04,cat\n"}
    files(TRAIN | TEST | sample | {"train.csv": "id,label,breed\n01,x,cat\n02,y,dog\n"})
    assert read().targets.classes == ("cat", "dog")


def test_several_label_columns_are_multilabel(files):
    files(TRAIN | TEST | {"train.csv": "id,wet,red\n01,1,0\n02,1,1\n"})
    tables = read(target=["red", "wet"])
    assert tables.targets == Targets("multilabel", ("red", "wet"))
    assert tables.targets.encode(tables.train).tolist() == [[0, 1], [1, 1]]


def test_columns_with_one_1_per_row_are_one_label_per_row_unless_told_otherwise(files):
    files(TRAIN | TEST | {"train.csv": "id,wet,red,old\n01,1.0,0.0,0.0\n02,0.0,1.0,0.0\n"})
    target = ["red", "wet", "old"]
    tables = read(target=target)
    assert tables.targets == Targets("multiclass", ("red", "wet", "old"))
    assert list(tables.train["target"]) == ["wet", "red"]
    assert any("as each row has exactly one 1" in note for note in tables.notes)
    assert read(target=target, kind="multilabel").targets.kind == "multilabel"
    assert read(target=target, kind="multiclass").targets == tables.targets


def test_columns_that_numbers_name_are_classes_in_the_order_of_the_numbers(files):
    files(TRAIN | TEST | {"train.csv": "id,10,2,0\n01,1,0,0\n02,0,1,0\n"})
    tables = read(target=["10", "2", "0"], kind="multiclass")
    assert tables.targets.classes == ("0", "2", "10")
    assert tables.targets.positions.tolist() == [0, 2, 10]
    assert tables.targets.encode(tables.train).tolist() == [[0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("cells", ["1,1", "0,0"])
def test_rows_that_are_not_one_hot_are_no_single_label(files, cells):
    files(TRAIN | TEST | {"train.csv": f"id,wet,red\n01,1,0\n02,{cells}\n"})
    message = refusal(target=["wet", "red"], kind="multiclass")
    assert "1 rows have not exactly one 1" in message
    assert "'02'" in message


GRADES = {
    "train.csv": "id,label\n0,No\n1,Mild\n2,Severe\n3,No\n",
    **pictures(*(f"train/{row}.png" for row in range(4))),
}


def test_the_order_of_classes_can_be_given(files):
    files(GRADES | TEST)
    targets = read(classes=["No", "Mild", "Severe"]).targets
    assert (targets.classes, targets.positions.tolist()) == (("No", "Mild", "Severe"), [0, 1, 2])
    unordered = read().targets
    assert (unordered.classes, unordered.positions) == (("Mild", "No", "Severe"), None)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (["No", "Mild"], "it lacks 'Severe'"),
        (["No", "Mild", "Severe", "Worst"], "no training row has 'Worst'"),
        (["No", "mild", "Severe"], "it lacks 'Mild'; no training row has 'mild'"),
        (["No", "Mild", "Severe", "No"], "it repeats 'No'"),
    ],
)
def test_other_classes_than_the_labels_are_refused_by_the_difference(files, classes, words):
    files(GRADES | TEST)
    assert f"data.classes does not fit the labels: {words}" in refusal(classes=classes)


def test_the_given_order_holds_for_columns_and_for_readers_of_ones_own(files):
    files(TRAIN | TEST | {"train.csv": "id,wet,red\n01,1,0\n02,1,1\n"})
    tables = read(target=["wet", "red"], classes=["red", "wet"])
    assert tables.targets == Targets("multilabel", ("red", "wet"), ordered=True)
    assert tables.targets.encode(tables.train).tolist() == [[0, 1], [1, 1]]
    register("reader", "pretty")(lambda data: read())
    files(TRAIN)
    assert read(reader="pretty", classes=["dog", "cat"]).targets.classes == ("dog", "cat")


def test_numbers_are_in_their_order_and_matched_by_value(files):
    files({"train.csv": "id,label\n0,10.0\n1,2.0\n2,0.0\n", **pictures(*(f"train/{row}.png" for row in range(3)))})
    files(TEST)
    targets = read().targets
    assert (targets.classes, targets.positions.tolist()) == (("0.0", "2.0", "10.0"), [0, 2, 10])
    assert targets.index(pd.Series(["10", "2.0", "0"])).tolist() == [2, 1, 0]
    assert read(classes=["10", "2", "0"]).targets.classes == ("10.0", "2.0", "0.0")


def test_one_number_spelled_twice_is_refused(files):
    files({"train.csv": "id,label\n0,1\n1,1.0\n2,2\n", **pictures(*(f"train/{row}.png" for row in range(3)))} | TEST)
    assert "the labels '1', '1.0' are the same number" in refusal()


def test_zeros_and_ones_are_binary_unless_told_otherwise(files):
    files(TRAIN | TEST | {"train.csv": "id,label\n01,1\n02,0\n"})
    tables = read()
    assert tables.targets == Targets("binary", ("label",))
    assert tables.targets.encode(tables.train).tolist() == [[1], [0]]
    assert read(kind="multiclass").targets == Targets("multiclass", ("0", "1"))


def test_a_duplicated_id_is_named(files):
    files(TRAIN | TEST | {"train.csv": "id,label\n01,cat\n02,dog\n01,dog\n"})
    assert "1 id appears more than once in the train table: '01'" in refusal()


def test_a_missing_image_is_named(repo, files):
    files(TRAIN | TEST)
    (repo / "data" / "train" / "02.png").unlink()
    message = refusal()
    assert "1 of 2 train images is missing" in message
    assert "'02'" in message


def test_a_missing_test_image_is_not_taken_from_the_training_folder(repo, files):
    files(TRAIN | {"test.csv": "id\n01\n02\n", **pictures("test/01.png", "test/02.png")})
    (repo / "data" / "test" / "02.png").unlink()
    message = refusal()
    assert "1 of 2 test images is missing" in message
    assert "'02'" in message


def test_a_missing_label_is_named(files):
    files(TRAIN | TEST | {"train.csv": "id,label\n01,cat\n02,\n"})
    message = refusal()
    assert "no label in 'label'" in message
    assert "'02'" in message


def test_an_ambiguous_label_column_is_asked_for(files):
    files(TRAIN | TEST | {"train.csv": "id,shape,color\n01,a,cat\n02,b,dog\n"})
    assert "Set data.target to one of 'shape', 'color'" in refusal()


def test_labels_that_do_not_fit_the_kind_are_named(files):
    files(TRAIN | TEST | {"train.csv": "id,wet,red\n01,1,0\n02,2,1\n"})
    message = refusal(target=["wet", "red"])
    assert "'wet'" in message
    assert "'2'" in message


def test_one_class_is_refused(files):
    files(TRAIN | TEST | {"train.csv": "id,label\n01,cat\n02,cat\n"})
    assert "only one value" in refusal()


def test_an_empty_test_folder_is_named(repo, files):
    files(TRAIN)
    (repo / "data" / "test").mkdir()
    message = refusal().replace("\\", "/")
    assert "data/test has no images" in message


def test_a_missing_data_folder_is_named(repo):
    assert "data.root=data is not a folder" in refusal()


def test_a_folder_without_training_data_tells_what_is_there(files):
    files({"notes.txt": "hello"})
    message = refusal()
    assert "no training table" in message
    assert "'notes.txt'" in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train": "gone.csv"}, "data.train=gone.csv"),
        ({"test": "gone"}, "data.test=gone"),
        ({"id": "key"}, "data.id=key: no such column; there are 'id', 'label'"),
        ({"target": "key"}, "data.target=key: no such column"),
        ({"group": "key"}, "data.group=key: no such column"),
        ({"path": "key"}, "data.path=key: no such column"),
        ({"path": "{key}.png"}, "data.path={key}.png"),
        ({"sample_submission": "gone.csv"}, "gone.csv does not exist"),
        ({"reader": "gone"}, "no reader is called 'gone'"),
    ],
)
def test_a_setting_that_names_nothing_is_refused_by_its_key(files, settings, words):
    files(TRAIN | TEST)
    assert words in refusal(**settings)


@pytest.mark.parametrize("text", ["", "id,label\n", 'id,label\n01,"cat\n'])
def test_a_broken_table_is_named(files, text):
    files(TRAIN | TEST | {"train.csv": text})
    assert "train.csv" in refusal()


def test_a_shuffled_csv_changes_no_fold_and_no_prediction(competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    results = []
    for name in ("asis", "shuffled"):
        configure(name=name, train={"epochs": 2})
        assert comp("run", "steps=[split,train]")[0] == 0
        results.append(read_predictions(RunDir.of(configure(name=name)).oof)[0].set_index("id").sort_index())
        table.sample(frac=1, random_state=0).to_csv(competition / "train.csv", index=False)
        (competition / "folds.csv").unlink()
    assert list(results[0]["fold"]) == list(results[1]["fold"])
    np.testing.assert_allclose(results[0].filter(like="p_"), results[1].filter(like="p_"), atol=1e-5)


def test_what_systems_and_editors_leave_beside_images_is_none(files, repo):
    files(TRAIN | TEST)
    before = image_files(repo / "data")
    for left in ("__MACOSX/train/._01.png", "train/._01.png", "train/.ipynb_checkpoints/01.png", "train/Thumbs.db"):
        path = repo / "data" / left
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nothing to see")
    assert image_files(repo / "data") == before
