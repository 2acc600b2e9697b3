"""Tables that spell their images in another way than the files are called: what is understood, and what is refused."""

import os
import random
import shlex
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comp.config import load_config
from comp.errors import CompError
from comp.vision.data.find_images import HINT, find_images, image_files
from comp.vision.data.spelling import cleaned, folded
from comp.vision.data.whereabouts import COMPARED, nearest

FILES = ("train/a/1.png", "train/b/2.png", "train/b/3.png", "test/4.png")


@pytest.fixture
def data(repo):
    """`data(*names)` makes empty files below data/ and gives that folder."""

    def make(*names):
        for name in names:
            path = repo / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return repo / "data"

    return make


def find(root, values, path="auto", split="train"):
    """The files found, below `root`, and what is told of them."""
    table = pd.DataFrame({"id": [f"row{number}" for number in range(len(values))], "image": values}, dtype=object)
    found = find_images(table, root, split, path, "id")
    return [name.removeprefix(str(root)).replace("\\", "/").lstrip("/") for name in found.paths], found.how


def refusal(root, values, path="auto", split="train"):
    with pytest.raises(CompError) as refused:
        find(root, values, path, split)
    assert "\n" not in str(refused.value)
    return str(refused.value)


NEAR_MISSES = {
    "backslashes": (r"train\a\1.png", r"train\b\2.png", "backslashes read as /"),
    "in front": ("./train/a/1.png", "./train/b/2.png", "'./' in front left out"),
    "a slash in front": ("/train/a/1.png", "/train/b/2.png", "'/' in front left out"),
    "blanks": (" train/a/1.png", "train/b/2.png  ", "blanks around left out"),
    "of Kaggle": ("/kaggle/input/comp/train/a/1.png", "/kaggle/input/comp/train/b/2.png", "'/kaggle/input/comp/'"),
    "of Windows": (r"C:\data\train\a\1.png", r"C:\data\train\b\2.png", "'C:/data/' in front left out"),
    "suffix": ("train/a/1.PNG", "train/b/2.Png", "upper and lower case not told apart"),
    "folders": ("Train/A/1.png", "TRAIN/b/2.png", "upper and lower case not told apart"),
    "all at once": (r" D:\x\Train\A\1.PNG", r"D:\x\Train\b\2.png", "'D:/x/' in front left out"),
}


@pytest.mark.parametrize("path", ["auto", "image"])
@pytest.mark.parametrize("miss", NEAR_MISSES)
def test_a_near_miss_is_understood_and_told(data, miss, path):
    *values, told = NEAR_MISSES[miss]
    names, how = find(data(*FILES), values, path)
    assert names == ["train/a/1.png", "train/b/2.png"]
    assert how.startswith("{image} (")
    assert told in how


@pytest.mark.parametrize("miss", ["backslashes", "blanks", "suffix", "folders"])
def test_a_pattern_understands_the_same(data, miss):
    *values, told = NEAR_MISSES[miss]
    names, how = find(data(*FILES), values, "{image}")
    assert names == ["train/a/1.png", "train/b/2.png"]
    assert told in how


def test_a_pattern_is_matched_in_any_case(data):
    root = data("Train/IMG_1.JPG", "Train/IMG_2.jpg")
    names, how = find(root, ["1", "2"], "{split}/img_{image}.jpg")
    assert names == ["Train/IMG_1.JPG", "Train/IMG_2.jpg"]
    assert how == "{split}/img_{image}.jpg (upper and lower case not told apart)"


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("path", ["auto", "{split}/{image}"])
def test_either_unicode_form_finds_the_other(data, forms, path):
    disk, table = (unicodedata.normalize(form, "été") for form in forms)
    if (data(f"train/{disk}.png", "train/x.png") / f"train/{table}.png").exists():
        pytest.skip("this file system takes both forms for one")
    names, how = find(data(), [f"{table}.png", "x.png"], path)
    assert names == [f"train/{disk}.png", "train/x.png"]
    assert "Unicode forms not told apart" in how


def test_ids_without_suffix_are_found_in_another_case(data):
    names, how = find(data("train/A1.JPG", "train/b2.jpg", "train/c3.png"), ["a1", "B2", "c3"], "image")
    assert names == ["train/A1.JPG", "train/b2.jpg", "train/c3.png"]
    assert how == "train/{image}.* (upper and lower case not told apart)"


def test_a_bare_name_after_folders_of_another_machine_is_found_in_the_splits_folder(data):
    root = data("train/1.png", "train/2.png", "test/1.png", "test/2.png")
    values = [r"C:\pictures\1.png", r"C:\pictures\2.png"]
    assert find(root, values)[0] == ["train/1.png", "train/2.png"]
    assert find(root, values, split="test")[0] == ["test/1.png", "test/2.png"]


def test_what_is_exact_is_found_without_a_note(data):
    assert find(data(*FILES), ["train/a/1.png", "train/b/2.png"]) == (["train/a/1.png", "train/b/2.png"], "{image}")


@pytest.mark.parametrize("path", ["auto", "{image}"])
def test_an_exact_match_wins_over_another_case(data, path):
    root = data("train/a.png", "train/A.png", "train/b.png")
    if len(list((root / "train").iterdir())) < 3:
        pytest.skip("this file system takes both cases for one")
    names, how = find(root, ["train/a.png", "train/A.png", "train/B.png"], path)
    assert names == ["train/a.png", "train/A.png", "train/b.png"]
    assert "upper and lower case" in how
    assert find(root, [r"train\A.png", r"train\b.png"], path)[0] == ["train/A.png", "train/b.png"]


@pytest.mark.parametrize("path", ["auto", "{image}"])
def test_two_files_for_one_spelling_are_refused_by_both_names(data, path):
    root = data("train/a.png", "train/A.png", "train/b.png")
    if len(list((root / "train").iterdir())) < 3:
        pytest.skip("this file system takes both cases for one")
    message = refusal(root, ["train/a.PNG", "train/b.PNG"], path)
    assert "'train/a.PNG' could be train/A.png or train/a.png" in message


def test_two_folders_for_one_spelling_are_refused_by_both_names(data):
    root = data("north/1.png", "north/2.png", "south/1.png", "south/2.png")
    assert "'1.PNG' could be north/1.png or south/1.png: set data.path" in refusal(root, ["1.PNG", "2.PNG"])


@pytest.mark.parametrize("path", ["auto", "{image}"])
def test_one_file_for_two_rows_is_refused(data, path):
    """Where an archive was unpacked on a disk that knows no case, the second image has replaced the first."""
    root = data("train/a.png", "train/b.png")
    if (root / "train/A.png").exists():
        pytest.skip("this file system takes both cases for one")
    message = refusal(root, ["train/a.png", "train/A.png", "train/b.png"], path)
    assert "'train/a.png' and 'train/A.png', and only train/a.png is there" in message


def test_rows_may_share_an_image_in_two_spellings_of_its_path(data):
    assert find(data(*FILES), ["train/a/1.png", r"train\a\1.png"])[0] == ["train/a/1.png"] * 2


def test_a_folder_that_only_some_rows_begin_with_is_not_left_out(data):
    message = refusal(data("1.png", "2.png", "3.png"), ["x/1.png", "y/2.png", "3.png"], "image")
    assert "no image of most train rows" in message
    assert "({image} fits 1 of 3 rows): looked for 'x/1.png' of 'image'; the nearest file is '1.png'" in message


def test_an_image_that_is_missing_is_not_taken_from_another_folder(data):
    root = data("train/a/1.png", "train/b/2.png", "extra/3.png", "test/3.png")
    message = refusal(root, [r"C:\d\train\a\1.png", r"C:\d\train\b\2.png", r"C:\d\train\b\3.png"])
    assert "1 of 3 train images is missing" in message
    assert "'row2'" in message
    only = data("extra/9.png")
    assert "no image of the train rows" in refusal(only, [r"C:\d\train\9.png", r"C:\d\train\8.png"], "image")


def test_images_of_the_other_split_are_none(data):
    root = data("test/1.png", "test/2.png", "train/5.png")
    assert "no image of the train rows" in refusal(root, ["1.PNG", "2.PNG"])


def test_ids_that_are_right_by_chance_do_not_hide_a_column_of_paths(data):
    names = [f"c{number // 10}/{number:03d}.png" for number in range(300)]
    root = data(*(f"train/{name}" for name in names))
    table = pd.DataFrame(
        {"id": [f"{n:03d}" for n in range(300)], "image": [rf"train\{n[:-8]}\{n[-7:]}" for n in names]}
    )
    found = find_images(table, root, "train", "auto", "id")
    assert [path.replace("\\", "/") for path in found.paths] == [(root / "train" / name).as_posix() for name in names]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_folders_may_be_links_and_none_is_read_twice(data, tmp_path):
    root = data("train/a/1.png")
    for folder in ("b", "again"):
        path = tmp_path / "elsewhere" / folder / "2.png"
        path.parent.mkdir(parents=True)
        path.touch()
    links = {"train/b": "elsewhere/b", "zz": "elsewhere/again", "again": "elsewhere/again", "A": root / "train"}
    for name, place in {**links, "train/b/up": root, "gone": "nowhere"}.items():
        (root / name).symlink_to(tmp_path / place)
    assert image_files(root) == ["again/2.png", "train/a/1.png", "train/b/2.png"]
    assert find(root, ["a/1.png", "b/2.png"])[0] == ["train/a/1.png", "train/b/2.png"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize(
    ("files", "links", "found"),
    [
        (
            ["images/a/1.png", "images/b/1.png"],
            {"train": "images/a", "test": "images/b"},
            ["test/1.png", "train/1.png"],
        ),
        (
            ["images/1.png", "images/test/1.png"],
            {"train": "images", "test": "images/test"},
            ["test/1.png", "train/1.png"],
        ),
        (["all/1.png"], {"train": "all", "test": "all"}, ["all/1.png"]),
        (["1.png", "test/1.png"], {"images": "."}, ["1.png", "test/1.png"]),
    ],
)
def test_links_within_make_the_usual_layout(data, files, links, found):
    root = data(*files)
    for name, place in links.items():
        (root / name).symlink_to(root / place)
    assert image_files(root) == found
    for split in {"train", "test"} & {name.partition("/")[0] for name in found}:
        assert find(root, ["1"], "image", split)[0] == [f"{split}/1.png"]
        assert find(root, ["1.png"], split=split)[0] == [f"{split}/1.png"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize("folder", ["images", "train", "photos"])
def test_a_path_through_a_link_is_taken_as_it_stands(data, folder):
    root = data("images/1.png", "images/2.png", "other/1.png", "other/2.png")
    for name in ("train", "photos"):
        (root / name).symlink_to(root / "images")
    names = [f"{folder}/1.png", f"{folder}/2.png"]
    assert find(root, names) == (names, "{image}")


def test_where_nothing_is_found_the_error_shows_the_value_and_the_nearest_file(data):
    message = refusal(data(*FILES), ["train/one/11.png", "train/one/12.png"], "image")
    assert "looked for 'train/one/11.png' of 'image'; the nearest file is 'train/a/1.png'" in message
    assert HINT in message


def test_where_an_image_is_missing_the_error_shows_the_nearest_file(data):
    message = refusal(data(*FILES, "train/b/scan_0017.png"), ["train/a/1.png", "train/b/scan-17.png"])
    assert "1 of 2 train images is missing" in message
    assert "the nearest file is 'train/b/scan_0017.png'" in message


def test_the_hint_can_be_pasted_as_it_stands(configure):
    configure()
    word = shlex.split(HINT)[-1]
    for typed in (word, 'data.path="{split}/{id}.png"'):  # Windows' PowerShell drops quotes within quotes
        assert load_config(Path("conf/baseline.yaml"), [typed]).data.path == "{split}/{id}.png"


@pytest.mark.parametrize("pattern", ["{id", "{id:d}.png", "{}"])
def test_a_pattern_that_is_none_is_refused_as_one(data, pattern):
    message = refusal(data(*FILES), ["1", "2"], pattern)
    assert f"data.path={pattern} is no pattern" in message
    assert HINT in message


def test_a_pattern_of_a_column_that_is_not_there_names_those_that_are():
    table = pd.DataFrame({"id": ["1"], "image": ["1"]})
    with pytest.raises(CompError, match="'key' is not a column of the train table; it has 'id', 'image'"):
        find_images(table, None, "train", "{key}.png", "id")


def test_the_nearest_of_many_files_is_among_those_compared():
    files = sorted(f"train/c{number % 40}/img{number:06d}.png" for number in range(30 * COMPARED))
    assert nearest("train/c7/img000127.jpg", files) == "train/c7/img000127.png"
    assert nearest(r"C:\x\img041003.PNG", files) == "train/c3/img041003.png"
    assert nearest("x.png", []) == ""


@given(
    st.lists(st.text("abÉß1 ", min_size=1, max_size=4).map(str.strip).filter(bool), min_size=1, max_size=4),
    st.integers(0, 2**32),
)
def test_any_mix_of_near_misses_reads_the_same(parts, seed):
    rng = random.Random(seed)
    text = "/".join(parts)
    miss = rng.choice(["", "./", "/", " ", ".\\"]) + rng.choice(["/", "\\", "//"]).join(parts) + rng.choice(["", " "])
    assert cleaned(miss) == cleaned(text)
    for form in ("NFC", "NFD"):
        assert folded(unicodedata.normalize(form, rng.choice([text, text.upper()]))) == folded(text)
