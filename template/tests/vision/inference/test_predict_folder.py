"""A folder of images that is no competition, predicted by a trained run."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def test_it_says_what_the_run_says_of_the_same_images(trained, comp):
    status, out, err = comp("predict", "--images", "data/test", "--out", "said.csv")
    assert status == 0, err
    assert "wrote   said.csv: 9 images, 3 probabilities, by 2 models" in out
    assert "next " not in out
    said = pd.read_csv("said.csv", dtype={"image": str})
    test = pd.read_parquet("runs/small/test.parquet").set_index("id")
    p = said.set_index(said["image"].str.removesuffix(".png")).filter(like="p_")
    np.testing.assert_allclose(p, test.loc[p.index, p.columns], atol=1e-6)
    assert (said["label"] == p.idxmax(axis=1).str.removeprefix("p_").to_numpy()).all()


def test_it_needs_neither_the_data_nor_its_folds(trained, comp):
    shutil.move("data/test", "elsewhere")
    shutil.rmtree("data")
    assert comp("predict", "--images", "elsewhere", "--out", "said.csv", "predict.views=[identity,hflip]")[0] == 0
    assert len(pd.read_csv("said.csv")) == 9


def test_what_is_below_is_found_and_what_cannot_be_read_is_named(trained, comp):
    Path("data/test/deeper").mkdir()
    shutil.move("data/test/05003.png", "data/test/deeper/05003.png")
    Path("data/test/05004.png").write_bytes(b"no image")
    status, out, _ = comp("predict", "--images", "data/test", "--out", "said.csv")
    assert status == 0
    assert "left out, unreadable: " in out
    assert "05004.png" in out
    images = pd.read_csv("said.csv")["image"].tolist()
    assert "deeper/05003.png" in images
    assert "05004.png" not in images


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.csv"], "name it with --images"),
        (["--images", "data/test"], "--out is missing"),
        (["--images", "nowhere", "--out", "x.csv"], "nowhere is not a folder"),
        (["--images", "conf", "--out", "x.csv"], "there are no images in conf"),
        (["--images", "data/test", "--out", "x.csv", "name=other"], "there is no run runs/other"),
    ],
)
def test_what_is_missing_is_one_line(words, message, trained, comp):
    status, _, err = comp("predict", *words)
    assert status == 1
    assert message in err
    assert len(err.splitlines()) == 1
    assert not Path("x.csv").exists()


def test_without_metadata_it_goes_by_the_images_and_says_so(competition, configure, comp):
    configure(model={"metadata": ["height", "width"]}, folds={"kind": "holdout", "holdout": 0.3})
    comp("split")
    assert comp("train")[0] == 0
    status, out, err = comp("predict", "--images", "data/test", "--out", "said.csv")
    assert status == 0, err
    assert "a folder has no model.metadata" in out
    assert len(pd.read_csv("said.csv")) == 9


def test_one_run_answers_not_several(trained, comp):
    members = "members=[{name: a},{name: b}]"
    _, _, err = comp("predict", "--images", "data/test", "--out", "x.csv", members)
    assert "member= one of a, b" in err
