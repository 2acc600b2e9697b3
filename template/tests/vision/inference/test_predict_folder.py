"""Images that are none of a run's rows, predicted by all its folds: a folder, or a table. The run stays as it was."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vision.small import picture

from comp.runs.predictions import read_predictions

VIEWS = "predict.views=[identity,hflip,rotate+10]"


def said(path: str = "said.csv", **kinds: str) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"id": str, **kinds})


def own_test(run: str = "small") -> pd.DataFrame:
    return read_predictions(Path(f"runs/{run}/test.parquet"))[0]


def assert_same(table: pd.DataFrame, own: pd.DataFrame) -> None:
    """The same ids, in any order, and probabilities within 1e-6; and not those of any one row."""
    columns = [name for name in own.columns if name.startswith("p_")]
    assert sorted(table["id"]) == sorted(own["id"])
    p, wanted = table.set_index("id")[columns], own.set_index("id")[columns]
    np.testing.assert_allclose(p.loc[wanted.index], wanted, rtol=0, atol=1e-6)
    assert np.ptp(wanted.to_numpy(), axis=0).max() > 0.01


def tree(folder: str) -> dict[str, tuple[bytes, int]]:
    """The bytes of all files below a folder, and when each file and folder was changed."""
    paths = [Path(folder), *Path(folder).rglob("*")]
    return {str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns) for path in paths}


def test_it_says_what_the_run_says_of_its_own_test_images(trained, comp):
    assert comp("predict", VIEWS)[0] == 0
    before = tree("runs")
    status, out, err = comp("predict", "--images", "data/test", "--out", "said.csv", VIEWS)
    assert (status, err) == (0, "")
    assert "wrote   said.csv: 9 images, 3 probabilities, by 2 models" in out
    assert "note" not in out
    assert "next " not in out
    table = said()
    assert list(table.columns) == ["id", "label", "p_blue", "p_green", "p_red"]
    assert_same(table, own_test())
    p = table.filter(like="p_")
    assert (table["label"] == p.idxmax(axis=1).str.removeprefix("p_")).all()
    assert tree("runs") == before
    status, out, _ = comp("predict", "--images", "data/test", "--out", "said.csv")
    assert "own test rows were predicted with another predict.views" in out


KEPT = {"config.yaml", "made_with.json", "best.safetensors", "metrics.json"}


def test_checkpoints_and_new_images_are_all_that_it_needs(trained, comp):
    """As on the machine of a code competition: no training image, no folds.csv, no predictions, no conf/."""
    own = own_test()
    shutil.move("data/test", "elsewhere")
    for folder in ("data", "conf"):
        shutil.rmtree(folder)
    Path("runs/small/metrics.json").unlink()
    for path in Path("runs").rglob("*"):
        if path.is_file() and path.name not in KEPT:
            path.unlink()
    before = tree("runs")
    status, _, err = comp("predict", "--images", "elsewhere", "--out", "said.csv", "runs/small/config.yaml")
    assert (status, err) == (0, "")
    table = said()
    assert_same(table.assign(id=table["id"].str.removesuffix(".png")), own)
    assert tree("runs") == before
    assert not Path("data").exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_is_read_as_comp_split_reads_one(suffix, trained, comp):
    table = pd.DataFrame({"image_id": [f"{5000 + n:05d}" for n in (3, 1, 7)], "age": [1, 2, 3]})
    getattr(table, f"to_{suffix}")(f"data/hidden.{suffix}", index=False)
    status, out, err = comp("predict", "--images", f"data/hidden.{suffix}", "--out", f"out/said.{suffix}")
    assert (status, err) == (0, "")
    assert "ids in 'image_id', images at test/{image_id}.png" in out
    written = said("out/said.csv", image_id="str") if suffix == "csv" else pd.read_parquet("out/said.parquet")
    assert written["image_id"].tolist() == table["image_id"].tolist()
    own = own_test().set_index("id").loc[table["image_id"]]
    columns = list(own.columns)
    np.testing.assert_allclose(written[columns], own, rtol=0, atol=1e-6)


def test_paths_of_a_table_that_lies_elsewhere_begin_where_it_lies(trained, comp):
    shutil.copytree("data/test", "new/pictures")
    rows = [(f"row {n}", f"pictures/{5000 + n:05d}.png") for n in (2, 0)]
    pd.DataFrame(rows, columns=["key", "file"]).to_csv("new/table.csv", index=False)
    words = ["predict", "--images", "new/table.csv", "--out", "said.csv"]
    assert comp(*words)[0] == 0
    assert said()["file"].tolist() == ["pictures/05002.png", "pictures/05000.png"]  # no column is called as ids are
    status, _, err = comp(*words, "data.id=key", "data.test_path=file")
    assert (status, err) == (0, "")
    own = own_test().set_index("id").loc[["05002", "05000"]]
    assert said()["key"].tolist() == ["row 2", "row 0"]
    np.testing.assert_allclose(said()[list(own.columns)], own, rtol=0, atol=1e-6)
    assert "images are missing" in comp(*words, "data.id=key", "data.test_path=elsewhere/{key}.png")[2]


def test_ids_of_files_are_spelled_as_those_of_the_run(trained, comp):
    Path("data/test/deeper").mkdir()
    shutil.move("data/test/05003.png", "data/test/deeper/05003.png")
    assert comp("predict", "--images", "data/test", "--out", "said.csv")[0] == 0
    assert {"05002", "deeper/05003"} < set(said()["id"])
    picture("red", 1).save("data/test/05002.jpg")  # now a name without extension would be two
    assert comp("predict", "--images", "data/test", "--out", "said.csv")[0] == 0
    assert {"05002.jpg", "05002.png"} < set(said()["id"])
    for path in Path("runs/small").rglob("test.parquet"):
        path.unlink()  # nothing shows it
    assert comp("predict", "--images", "data/test/deeper", "--out", "said.csv")[0] == 0
    assert said()["id"].tolist() == ["05003.png"]


def test_what_cannot_be_read_is_named(trained, comp):
    Path("data/test/05004.png").write_bytes(b"no image")
    status, out, _ = comp("predict", "--images", "data/test", "--out", "said.csv")
    assert status == 0
    assert "left out, unreadable: " in out
    assert "05004.png" in out
    assert "05004" not in said()["id"].tolist()
    pd.DataFrame({"id": ["05003", "05004"]}).to_csv("data/hidden.csv", index=False)
    status, _, err = comp("predict", "--images", "data/hidden.csv", "--out", "other.csv")
    assert status == 1
    assert "1 images of data/hidden.csv cannot be read (ids '05004')" in err
    assert not Path("other.csv").exists()


@pytest.mark.parametrize("images", ["data/test", "data/hidden.csv"])
def test_what_cannot_be_read_gets_the_prior_of_each_fold_where_that_is_wanted(images, competition, configure, comp):
    train = pd.read_csv("data/train.csv", dtype=str)
    train.iloc[: -8 if images == "data/test" else None].to_csv("data/train.csv", index=False)  # no prior is 1 / 3
    Path("data/test/05004.png").write_bytes(b"no image")
    pd.DataFrame({"id": [f"{5000 + n:05d}" for n in range(9)]}).to_csv("data/hidden.csv", index=False)
    configure(data={"on_bad_image": "drop"}, folds={"n": 3})
    comp("split")
    assert comp("train")[0] == 0
    status, out, err = comp("predict", "--images", images, "--out", "said.csv")
    assert (status, err) == (0, "")
    assert "warning: gets the training prior, unreadable: " in out
    assert_same(said(), own_test())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.csv"], "name them with --images"),
        (["--images", "data/test"], "--out is missing"),
        (["--images", "data/test", "--out", "x"], "end it with .csv or .parquet"),
        (["--images", "data/test", "--out", "runs/small/test.parquet"], "where only runs write"),
        (["--images", "nowhere", "--out", "x.csv"], "nowhere is not there"),
        (["--images", "conf", "--out", "x.csv"], "there are no images in conf"),
        (["--images", "conf/baseline.yaml", "--out", "x.csv"], "set data.id"),
        (["--images", "data/twice.csv", "--out", "x.csv"], "1 id appears more than once"),
        (["--images", "data/torn.parquet", "--out", "x.csv"], "data/torn.parquet cannot be read as a table"),
        (["--images", "data/test", "--out", "x.csv", "name=other"], "there is no run runs/other"),
    ],
)
def test_what_is_missing_is_one_line(words, message, trained, comp):
    pd.DataFrame({"id": ["05003", "05003"]}).to_csv("data/twice.csv", index=False)
    Path("data/torn.parquet").write_bytes(b"PAR1 and no more")
    before = tree("runs")
    status, _, err = comp("predict", *words)
    assert status == 1
    assert message.lower() in err.lower()
    assert len(err.splitlines()) == 1
    assert not Path("x.csv").exists()
    assert tree("runs") == before


def test_metadata_is_that_of_the_table_or_of_the_files(competition, configure, comp):
    for name in ("train", "solution"):
        table = pd.read_csv(f"data/{name}.csv", dtype=str)
        table["age"] = range(len(table))
        (table if name == "train" else table.drop(columns="label")).to_csv(
            f"data/{name if name == 'train' else 'test'}.csv", index=False
        )
    for metadata, words in ((["height", "width"], ["data.test=test"]), (["height", "age"], [])):
        configure(model={"metadata": metadata}, name=metadata[1])
        comp("split", *words)
        assert comp("train", "train.epochs=2", *words)[0] == 0
    comp("predict", "--images", "data/test", "--out", "said.csv", "name=width", "model.metadata=[]")
    assert_same(said(), own_test("width"))
    status, _, err = comp("predict", "--images", "data/test.csv", "--out", "said.csv")
    assert (status, err) == (0, "")
    assert_same(said(), own_test("age"))
    told = "also go by 'age' (model.metadata), which a folder does not have: name a table"
    assert told in comp("predict", "--images", "data/test", "--out", "said.csv")[2]
    pd.read_csv("data/test.csv", dtype=str)[["id"]].to_csv("data/bare.csv", index=False)
    assert "model.metadata names 'age'" in comp("predict", "--images", "data/bare.csv", "--out", "said.csv")[2]


def test_one_run_answers_not_several(trained, comp):
    members = "members=[{name: a},{name: b}]"
    _, _, err = comp("predict", "--images", "data/test", "--out", "x.csv", members)
    assert "member= one of a, b" in err
    shutil.copytree("runs/small", "runs/twin")
    assert comp("blend", "name=both", "blend.members=[small,twin]")[0] == 0
    status, _, err = comp("predict", "--images", "data/test", "--out", "x.csv", "name=both", members)
    assert status == 1
    assert "runs/both is a mean of 'small', 'twin' and has no models of its own: predict with each of them" in err


def test_a_soup_has_models_of_its_own(trained, comp):
    shutil.copytree("runs/small", "runs/twin")
    assert comp("soup", "name=mixed", "soup.members=[small,twin]")[0] == 0
    assert comp("predict", "--images", "data/test", "--out", "said.csv", "name=mixed")[0] == 0
    assert_same(said(), own_test("mixed"))


def test_a_checkpoint_of_another_fold_is_refused(trained, comp):
    shutil.copy("runs/small/fold0/best.safetensors", "runs/small/fold1/best.safetensors")
    status, _, err = comp("predict", "--images", "data/test", "--out", "said.csv")
    assert status == 1
    assert "is the model of fold 0" in err
    assert not Path("said.csv").exists()


def test_the_settings_that_images_were_prepared_with_are_those_of_the_run(trained, comp):
    """The configuration may have become another; views stay its own."""
    words = ["augment.crop_scale=[0.1,1]", "data.background=[0,0,0]", "model.image_size=32", "predict.resize=crop"]
    status, _, err = comp("predict", "--images", "data/test", "--out", "said.csv", *words)
    assert (status, err) == (0, "")
    assert_same(said(), own_test())


def test_each_image_is_decoded_once_for_all_folds(trained, comp, monkeypatch):
    from comp.vision.pixels.decoding import Decoding

    decoded, decode = [], Decoding.__call__
    monkeypatch.setattr(Decoding, "__call__", lambda self, path: decoded.append(path) or decode(self, path))
    assert comp("predict", "--images", "data/test", "--out", "said.csv", "train.workers=0")[0] == 0
    assert sorted(decoded) == sorted(str(path) for path in Path("data/test").iterdir())
    assert json.loads(Path("runs/small/metrics.json").read_text())["folds"] == 2


@pytest.mark.release  # training in two predicts: test_several_processes.py
def test_two_processes_say_what_one_says(trained, comp, comp_process):
    picture("red", 7).save("data/test/zebra.png")
    Path("data/test/05004.png").write_bytes(b"no image")
    words = ["predict", "--images", "data/test", "--out"]
    assert comp(*words, "one.csv")[0] == 0
    two = comp_process(*words, "two.csv", "train.processes=2")
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("wrote   two.csv: 9 images") == two.stdout.count("launch  2 processes") == 1
    assert two.stdout.count("left out, unreadable") == two.stdout.count("images  10 images in") == 1
    columns = ["p_blue", "p_green", "p_red"]
    assert said("one.csv")["id"].tolist() == said("two.csv")["id"].tolist()
    np.testing.assert_allclose(said("two.csv")[columns], said("one.csv")[columns], rtol=0, atol=1e-6)
