"""Folders and tables of other images, read with the settings of a competition that may lie one folder deeper."""

from pathlib import Path

import pytest

from comp.vision.data.other_images import read_other_images
from comp.vision.schema import Data

FILES = ("train/1.png", "train/2.png", "test/8.png", "test/9.png", "new/8.png", "new/9.png")
TABLES = {
    "train.csv": "key,label\n1,cat\n2,dog\n",
    "sample_submission.csv": "key,label\n8,cat\n9,cat\n",
    "hidden.csv": "id,key\nx,8\nx,9\n",
    "new/samples.csv": "key\n8\n9\n",
}


@pytest.fixture
def deeper(repo):
    """A competition in data/comp."""
    folder = repo / "data" / "comp"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("settings", [{}, {"train": "train.csv", "test": "test"}])
def test_data_one_folder_deeper_is_followed(deeper, settings):
    data = Data(**settings)
    table = read_other_images(deeper / "hidden.csv", data)
    assert (list(table.table["id"]), table.id_column) == (["8", "9"], "key")  # as the sample submission calls it
    assert [Path(path).parent for path in table.table["path"]] == [deeper.relative_to(deeper.parents[1]) / "test"] * 2
    assert list(read_other_images(deeper / "test", data).table["id"]) == ["8", "9"]  # as it spells them


def test_the_sample_submission_itself_may_be_the_table(deeper):
    images = read_other_images(deeper / "sample_submission.csv", Data())
    assert (list(images.table["id"]), images.id_column) == (["8", "9"], "key")
    named = (deeper / "sample_submission.csv").rename(deeper / "samples.csv")
    assert read_other_images(named, Data(sample_submission="samples.csv")).id_column == "key"


def test_a_table_beside_the_data_is_read_as_one_of_data_root(deeper):
    table = deeper.parent / "lists" / "full.csv"
    table.parent.mkdir()
    table.write_text("key,image\n8,comp/test/8.png\n9,comp/test/9.png\n")
    images = read_other_images(table, Data())
    assert [Path(path).as_posix() for path in images.table["path"]] == [f"data/comp/test/{n}.png" for n in (8, 9)]


def test_a_table_of_samples_is_not_the_sample_submission(deeper):
    samples = (deeper / "new").rename(deeper.parents[1] / "new") / "samples.csv"
    images = read_other_images(samples, Data())
    assert list(images.table["id"]) == ["8", "9"]
    assert [Path(path).parent.name for path in images.table["path"]] == ["new", "new"]
    (deeper / "sample_submission.csv").unlink()
    alone = (deeper / "hidden.csv").rename(deeper / "hidden_samples.csv")
    alone.write_text("id\n8\n9\n")
    assert read_other_images(alone, Data()).id_column == "id"
