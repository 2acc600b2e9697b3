"""Rows of several images: found by a pattern, by a column that lists them, by several columns; or refused."""

from pathlib import Path

import pandas as pd
import pytest
from vision.small import picture
from vision.weak_evidence import PATTERN, write_rows

from comp.config import load_config
from comp.errors import CompError
from comp.vision.data.paths import PATHS, all_paths, image_counts
from comp.vision.data.read import read_tables
from comp.vision.data.several import find_all_images

FILES = ("train/a-1.png", "train/a-10.png", "train/a-2.png", "train/ab-1.png", "train/B/b.png", "train/B/c c.png")


@pytest.fixture
def data(repo):
    for name in FILES:
        path = repo / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return repo / "data"


def found(root, path, **columns):
    """The images of each row, below `root`, and what is told."""
    table = pd.DataFrame(columns, dtype=object)
    images, told = find_all_images(table, root, "train", path, "id")
    rows = images[PATHS] if PATHS in images else [(name,) for name in images["path"]]
    assert [own[0] for own in rows] == list(images["path"])
    return [[name.removeprefix(str(root)).replace("\\", "/").lstrip("/") for name in own] for own in rows], told


def refusal(root, path, **columns):
    with pytest.raises(CompError) as refused:
        found(root, path, **columns)
    assert "\n" not in str(refused.value)
    return str(refused.value)


A = ["train/a-1.png", "train/a-2.png", "train/a-10.png"]


def test_a_pattern_names_all_images_of_a_row_in_the_order_of_their_numbers(data):
    rows, told = found(data, "{split}/{id}-*.png", id=["a", "ab"])
    assert rows == [A, ["train/ab-1.png"]]
    assert told == "{split}/{id}-*.png, 1 to 3 images a row, 2.0 on average"


@pytest.mark.parametrize("pattern", ["**/{id}-?.png", "./train/{id}-?.*", "*/{id}-?.png"])
def test_wildcards_stand_for_folders_and_single_letters(data, pattern):
    assert found(data, pattern, id=["ab", "a"])[0] == [["train/ab-1.png"], A[:2]]


def test_a_wildcard_stays_within_its_folder(data):
    assert "1 of 1 train rows have no image" in refusal(data, "train/{id}*.png", id=["b"])
    assert found(data, "train/**/{id}*.png", id=["b"])[0] == [["train/B/b.png"]]


def test_another_case_is_understood_and_told(data):
    rows, told = found(data, "Train/{id}-*.PNG", id=["A"])
    assert rows == [A]
    assert "upper and lower case not told apart" in told


def test_a_value_with_a_wildcard_in_it_means_itself(data):
    (data / "train" / "x*y-1.png").touch()
    (data / "train" / "xzy-1.png").touch()
    assert found(data, "train/{id}-*.png", id=["x*y"])[0] == [["train/x*y-1.png"]]


def test_a_pattern_that_gives_each_row_one_file_is_one_image_a_row(data):
    table = pd.DataFrame({"id": ["b", "ab"]}, dtype=object)
    images, told = find_all_images(table, data, "train", "**/{id}*.png", "id")
    assert told.endswith("one image a row")
    assert PATHS not in images


def test_a_pattern_that_gives_two_rows_one_file_is_refused(data):
    told = refusal(data, "train/{id}*.png", id=["a", "ab"])
    assert "train/ab-1.png would be an image of 'a' and of 'ab'" in told
    assert "{id}-*.png" in told


def test_rows_that_mean_the_same_images_may_share_them(data):
    rows, _ = found(data, "train/{patient}-*.png", id=["left", "right"], patient=["a", "a"])
    assert rows == [A, A]


def test_rows_without_an_image_are_refused_with_the_nearest_file(data):
    told = refusal(data, "train/{id}-*.png", id=["a", "lost", "gone"])
    assert "2 of 3 train rows have no image (train/{id}-*.png): ids 'lost', 'gone'" in told
    assert "the nearest file is" in told


@pytest.mark.parametrize(
    "value",
    [
        "a-1.png a-2.png  a-10.png",
        "a-1.png,a-2.png,a-10.png",
        "a-1.png, a-2.png, a-10.png",
        "a-1.png;a-2.png; a-10.png",
        "a-1.png|a-2.png|a-10.png",
        "['a-1.png', 'a-2.png', 'a-10.png']",
        '["a-1.png", "a-2.png", "a-10.png"]',
        "a-1 a-2 a-10",
        "train/a-1.png train/a-2.png train/a-10.png",
    ],
)
def test_a_column_may_list_them(data, value):
    one = "train/ab-1.png" if "/" in value else "ab-1.png" if ".png" in value else "ab-1"
    rows, told = found(data, "images", id=["x", "y"], images=[value, one])
    assert rows == [A, ["train/ab-1.png"]]
    assert told.endswith("1 to 3 images a row, 2.0 on average")


def test_a_name_with_a_blank_in_it_is_no_list(data):
    (data / "my own").mkdir()
    (data / "my own" / "b.png").touch()
    rows, told = found(data, "images", id=["x", "y"], images=["train/B/c c.png", "my own/b.png"])
    assert rows == [["train/B/c c.png"], ["my own/b.png"]]
    assert "a row" not in told


def test_a_missing_image_of_a_list_is_named(data):
    told = refusal(data, "images", id=["x", "y"], images=["a-1.png a-2.png a-3.png", "a-10.png ab-1.png"])
    assert "1 of 5 train images is missing" in told
    assert "'x'" in told


def test_several_columns_give_one_each_and_a_blank_gives_none(data):
    rows, told = found(
        data, ["left", "right"], id=["x", "y"], left=["train/a-1.png", ""], right=["train/a-2.png", "train/ab-1.png"]
    )
    assert rows == [["train/a-1.png", "train/a-2.png"], ["train/ab-1.png"]]
    assert told == "{left} and {right}, 1 to 2 images a row, 1.5 on average"
    assert "1 of 2 train rows have no image" in refusal(
        data, ["left", "right"], id=["x", "y"], left=["train/a-1.png", " "], right=["train/a-2.png", ""]
    )


def test_columns_and_patterns_go_together(data):
    rows, _ = found(data, ["train/{id}-1.png", "other"], id=["a", "ab"], other=["B/b.png", ""])
    assert rows == [["train/a-1.png", "train/B/b.png"], ["train/ab-1.png"]]


def test_auto_names_the_pattern_to_set(data):
    told = refusal(data, "auto", id=["a", "ab"])
    assert "train rows have several images each, such as 'train/a-1.png', 'train/a-10.png'" in told
    assert """set 'data.path="{split}/{id}-*.png"'""" in told


def test_auto_names_the_column_that_lists_them(data):
    told = refusal(data, "auto", id=["x", "y"], files=["a-1.png a-2.png", "ab-1.png a-10.png"])
    assert "the train column 'files' lists several images a row: set data.path=files" in told


def test_auto_knows_folders_of_a_row(repo):
    for name in ("train_images/a/1.jpg", "train_images/a/2.jpg", "train_images/b/1.jpg", "scans/p/x/1.png"):
        (repo / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / "data" / name).touch()
    assert """data.path="{split}_images/{id}/*.jpg\"""" in refusal(repo / "data", "auto", id=["a", "b"])
    (repo / "data/scans/p/y").mkdir()
    (repo / "data/scans/p/y/1.png").touch()
    assert """data.path="scans/{id}/**/*.png\"""" in refusal(repo / "data", "auto", id=["p"])


def test_a_competition_is_read_by_row(repo, configure):
    counts = write_rows(repo / "data", 12, 6)
    tables = read_tables(configure(data={"path": PATTERN}).data)
    assert tables.train["id"].tolist() == [f"tr{number:03d}" for number in range(12)]
    for table in (tables.train, tables.test):
        assert image_counts(table).tolist() == counts[table["id"]].tolist()
        assert len(all_paths(table)) == counts[table["id"]].sum()
    assert "images a row" in tables.notes[1]


def test_a_test_folder_takes_its_rows_from_the_sample_submission(repo, configure):
    counts = write_rows(repo / "data", 12, 6)
    (repo / "data/test.csv").unlink()
    test = read_tables(configure(data={"path": PATTERN}).data).test
    assert image_counts(test).tolist() == counts[test["id"]].tolist()


def test_a_test_table_with_one_image_a_row_may_go_with_it(repo, configure):
    write_rows(repo / "data", 12, 6)
    for path in (repo / "data/test").glob("*-[2-9].png"):
        path.unlink()
    tables = read_tables(configure(data={"path": PATTERN}).data)
    assert image_counts(tables.test).tolist() == [1] * 6


def test_a_folder_of_classes_has_no_rows_of_several(repo, configure):
    (repo / "data/train/red").mkdir(parents=True)
    picture("red", 1).save(repo / "data/train/red/1.png")
    with pytest.raises(CompError, match="several need a table"):
        read_tables(configure(data={"path": "{id}-*.png", "test": None}).data)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"train": {"freeze": 1, "cache_frozen": 2}}, "train.cache_frozen"),
        ({"synth": {"data": {"root": "made"}}}, "synth"),
    ],
)
@pytest.mark.parametrize("command", ["split", "train"])
def test_what_takes_one_image_a_row_is_refused(repo, configure, comp, change, key, command):
    write_rows(repo / "data", 12, 6)
    configure(data={"path": PATTERN})
    assert comp("split")[0] == 0
    configure(data={"path": PATTERN}, **change)
    status, _, errors = comp(command)
    assert status == 1
    assert f"{key} is for one image a row" in errors


def test_what_goes_by_the_first_image_is_told(repo, configure, comp):
    write_rows(repo / "data", 12, 6)
    configure(data={"path": PATTERN}, model={"metadata": ["height"]})
    assert "note    model.metadata height: of a row's first image" in comp("split")[1]


def test_the_key_takes_a_list_on_the_command_line(repo, configure):
    configure()
    assert load_config(Path("conf/baseline.yaml"), ["data.path=[left, right]"]).data.path == ["left", "right"]


def test_a_golden_set_takes_rows_with_all_their_images(repo, configure, comp):
    counts = write_rows(repo / "data", 30, 6)
    config = configure(data={"path": PATTERN}, golden={"per_class": 2})
    assert comp("golden")[0] == 0
    tables = read_tables(config.data)
    golden = tables.test[tables.test["id"].str.startswith("golden:")]
    assert len(golden) == 6
    assert image_counts(golden).tolist() == counts[golden["id"].str.removeprefix("golden:")].tolist()
    picture("red", 1).save(golden[PATHS].iloc[0][-1])
    with pytest.raises(CompError, match="1 golden images are other files than they were"):
        read_tables(config.data)
