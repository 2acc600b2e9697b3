"""comp synth guard: what passes, what each gate shuts out, and that nothing golden is behind what learns."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps
from vision.small import picture
from vision.synth.conftest import GATES_OFF, child_of

from comp.errors import CompError
from comp.vision.data.golden import golden_path, read_golden
from comp.vision.schema import Confidence
from comp.vision.synth.classifier import passing
from comp.vision.synth.generated import parents_of
from comp.vision.synth.guard import read_synthetic, synthetic_path

MADE = {"root": "made", "train": "made.csv"}


def verdicts(config) -> pd.DataFrame:
    return read_synthetic(synthetic_path(config))[0].set_index("id")


def test_structure_knows_another_image_and_an_unchanged_one(competition, configure, comp, generated):
    brighter = ImageEnhance.Brightness(picture("red", 0)).enhance(1.02)
    generated([(child_of(0, "red"), "red", "0000"), (brighter, "red", "0000"), (picture("red", 777), "red", "0000")])
    config = configure(synth={"data": MADE, **GATES_OFF, "structure": {"low": 0.45, "high": 0.95}})
    assert comp("split")[0] == 0
    status, out, err = comp("synth", "guard")
    assert status == 0, err
    found = verdicts(config)
    assert found["gate"].tolist() == ["", "structure", "structure"]
    assert "above 0.95: unchanged" in found["why"].iloc[1]
    assert "below 0.45" in found["why"].iloc[2]
    assert re.search(r"red +3 +2 +1", out)


def test_nothing_golden_is_behind_what_is_let_in(competition, configure, comp, family):
    config = configure(golden={"per_class": 4, "most": 0.5}, synth={"data": MADE, **GATES_OFF})
    for step in ("golden", "split"):
        assert comp(step)[0] == 0
    golden = read_golden(golden_path(config.data))[0]["train"]["role"]
    golden = set(golden.index[golden == "golden"])
    status, out, err = comp("synth", "guard")
    assert status == 0, err
    found = verdicts(config)
    parents = pd.read_csv(family / "made.csv", dtype=str).set_index("image")["parent"]
    assert (found["gate"][parents.isin(golden)] == "golden").all()
    assert (found["gate"][~parents.isin(golden)] == "").all()
    assert "12 left out: its parent is golden, or of a golden image's group" in out


@pytest.mark.parametrize(
    "copy",
    [
        lambda image: image,
        ImageOps.mirror,
        lambda image: image.resize((150, 140)),
        lambda image: image.crop((0, 0, 87, 82)),
    ],
    ids=["same", "mirrored", "resized", "cropped"],
)
@pytest.mark.parametrize("declared", ["", "another"])
def test_a_look_alike_of_a_golden_image_is_shut_out_whatever_is_declared(
    copy, declared, competition, configure, comp, generated
):
    scenes = np.random.default_rng(0).integers(0, 256, (36, 6, 6, 3), dtype=np.uint8)
    for path, scene in zip(sorted((competition / "train").glob("*.png")), scenes, strict=True):
        Image.fromarray(scene).resize((96, 90), Image.Resampling.BICUBIC).save(path)
    config = configure(golden={"per_class": 4, "most": 0.5}, synth={"data": MADE, **GATES_OFF})
    for step in ("golden", "split"):
        assert comp(step)[0] == 0
    role = read_golden(golden_path(config.data))[0]["train"]["role"]
    golden, trained = role.index[role == "golden"][0], role.index[role == "train"][0]
    label = pd.read_csv(competition / "train.csv", dtype=str).set_index("id")["label"][golden]
    image = copy(Image.open(competition / f"train/{golden}.png"))
    generated([(image, label, trained if declared else "")])
    assert comp("synth", "guard")[0] == 0
    assert verdicts(config)["gate"].tolist() == ["golden"]


def test_what_looks_like_two_images_joins_no_training_that_is_validated_on_either(
    competition, configure, comp, generated
):
    """The two share too little to be one picture; each of them shares nine tenths with the generated one."""
    scenes = np.random.default_rng(0).integers(0, 256, (37, 6, 6, 3), dtype=np.uint8)
    large = [Image.fromarray(scene).resize((96, 90), Image.Resampling.BICUBIC) for scene in scenes]
    for path, scene in zip(sorted((competition / "train").glob("*.png")), large, strict=False):
        scene.save(path)
    config = configure(folds={"n": 3}, synth={"data": MADE, **GATES_OFF})
    assert comp("split")[0] == 0
    fold = pd.read_csv(competition / "folds.csv", comment="#", dtype=str).set_index("id")["fold"]
    for number, box in (("0", (0, 0, 87, 82)), ("1", (9, 8, 96, 90))):
        large[36].crop(box).save(competition / f"train/{fold.index[fold == number][0]}.png")
    generated([(large[36], "red", "")])
    status, _, err = comp("synth", "guard")
    assert status == 0, err
    assert verdicts(config)["folds"].tolist() == ["2"]


def test_a_look_alike_of_a_test_image_is_shut_out(competition, configure, comp, generated):
    generated([(ImageOps.mirror(Image.open(competition / "test/05000.png")), "red", "")])
    config = configure(synth={"data": MADE, **GATES_OFF})
    assert comp("split")[0] == 0
    assert comp("synth", "guard")[0] == 0
    assert verdicts(config)["gate"].tolist() == ["test"]


def test_a_child_joins_no_training_that_is_validated_on_its_parent(competition, configure, comp, family):
    config = configure(folds={"n": 3}, synth={"data": MADE, **GATES_OFF})
    assert comp("split")[0] == 0
    assert comp("synth", "guard")[0] == 0
    fold = pd.read_csv(competition / "folds.csv", comment="#", dtype=str).set_index("id")["fold"]
    found, parents = verdicts(config), pd.read_csv(family / "made.csv", dtype=str)["parent"]
    for folds, parent in zip(found["folds"], parents, strict=True):
        assert set(folds.split()) == {"0", "1", "2"} - {fold[parent]}


def test_children_of_the_validated_part_of_a_holdout_are_counted(competition, configure, comp, family):
    configure(folds={"n": 3, "kind": "holdout", "holdout": 0.25}, synth={"data": MADE, **GATES_OFF})
    assert comp("split")[0] == 0
    assert (
        "9 left out: what it was made from is validated, or not trained on, in each fold" in comp("synth", "guard")[1]
    )


def test_the_classifier_shuts_out_wrong_labels(trained, configure, comp, generated):
    wrong = [(child_of(n, "green"), "red", f"{n:04d}") for n in range(1, 4, 3)]
    right = [(child_of(n, "red"), "red", f"{n:04d}") for n in range(0, 27, 3)]
    generated([*right, *wrong])
    settings = {"data": MADE, "structure": None, "meaning": None, "classifier": {"least": 0, "quota": 0}}
    config = configure(synth=settings)
    status, _out, err = comp("synth", "guard")
    assert status == 0, err
    found = verdicts(config)
    assert (found["gate"].iloc[: len(right)] == "").all()
    assert (found["gate"].iloc[len(right) :] == "classifier").all()
    assert {"confidence_0", "confidence_1"} <= set(found.columns)


def test_a_quota_lets_the_surest_of_a_class_in():
    p = np.random.default_rng(0).dirichlet([1, 1, 1], 60) * 0.4
    p[:, 2] = 1 - p[:, 0] - p[:, 1]  # every one looks like class 2
    label, candidates = np.repeat([0, 1, 2], 20), np.arange(60) % 10 != 0
    passes = passing(p, label, candidates, Confidence(least=0.5, quota=0.25))
    for number in (0, 1):
        rows = np.flatnonzero(passes & (label == number))
        assert len(rows) == 5  # a quarter of 18, rounded up
        others = np.flatnonzero(candidates & ~passes & (label == number))
        assert p[rows, number].min() >= p[others, number].max()
    assert not (passes & ~candidates).any()
    assert not passing(p, label, candidates, Confidence(least=0.5, quota=0))[:40].any()


def test_a_label_that_is_no_class_is_refused(competition, configure, comp, generated):
    generated([(picture("red", 700), "crimson", ""), (picture("blue", 701), "BLUE", "")])
    configure(synth={"data": MADE, **GATES_OFF})
    comp("split")
    line = "labels that are no classes: 'crimson': say which each is, such as synth.map.crimson="
    assert line in comp("synth", "guard")[2]
    assert line in comp("synth", "plan")[2]
    assert "synth.map names unknown classes: 'rouge'" in comp("synth", "guard", "synth.map.crimson=rouge")[2]
    status, out, _ = comp("synth", "guard", "synth.map.crimson=red")
    assert status == 0
    assert re.search(r"blue +1 +1\n", out)
    assert "synth.map leaves its label out" in comp("synth", "guard", "synth.map.crimson=null")[1]


def test_an_unknown_parent_is_shut_out_and_counted(competition, configure, comp, generated):
    generated([(child_of(0, "red"), "red", "0000"), (child_of(3, "red"), "red", "who")])
    config = configure(synth={"data": MADE, **GATES_OFF})
    comp("split")
    assert "1 left out: its parent is no training image" in comp("synth", "guard")[1]
    assert verdicts(config)["gate"].tolist() == ["", "parent"]


@pytest.mark.parametrize(
    "spelling", ["train/0003.png", "0003.png", "0003", "elsewhere/train/0003.png", r"train\0003.png"]
)
def test_a_parent_is_named_by_its_id_or_file(spelling, competition, configure, comp, generated):
    generated([(child_of(3, "red"), "red", spelling)])
    config = configure(synth={"data": MADE, **GATES_OFF})
    comp("split")
    assert comp("synth", "guard")[0] == 0
    assert verdicts(config)["parent"].tolist() == ["0003"]


def test_the_column_of_parents_may_be_called_as_ours_are():
    real = pd.DataFrame({"id": ["0003"], "path": ["data/train/0003.png"]})
    made = pd.DataFrame({"id": ["g.png"], "path": ["made/g.png"], "column id": ["0003"], "column path": ["3.png"]})
    assert parents_of(made, "id", real).tolist() == ["0003"]
    with pytest.raises(CompError, match=r"no value of the column 'path' is a training image, such as '3\.png'"):
        parents_of(made, "path", real)


def test_a_model_that_cannot_be_reached_switches_its_gate_off_and_the_others_go_on(
    competition, configure, comp, family
):
    config = configure(synth={"data": MADE, **GATES_OFF, "meaning": {"model": "./no/such/folder"}, "structure": {}})
    comp("split")
    status, out, err = comp("synth", "guard")
    assert status == 0, err
    assert "the gate of meaning is off, the others go on: ./no/such/folder is no folder with a CLIP model" in out
    assert (verdicts(config)["ssim"] != "").all()
    assert (verdicts(config)["cosine"] == "").all()


def test_verdicts_are_kept_until_something_behind_them_changes(competition, configure, comp, family):
    config = configure(synth={"data": MADE, **GATES_OFF})
    comp("split")
    comp("synth", "guard")
    before = synthetic_path(config).read_bytes()
    assert "synthetic.csv exists and fits: kept" in comp("synth", "guard")[1]
    assert "wrote   runs/small-synth/synthetic.csv" in comp("synth", "guard", "synth.structure={}")[1]
    assert synthetic_path(config).read_bytes() != before
    assert "kept" in comp("synth", "guard", "synth.structure={}", "synth.train.epochs=9")[1]
    os.utime(next(Path("data/test").iterdir()), (0, 0))  # a generated image may look like what is there now
    assert "kept" not in comp("synth", "guard", "synth.structure={}")[1]
    assert "kept" not in comp("synth", "guard", "--force")[1]
    (family / "g000.png").write_bytes(b"no picture")
    assert "1 left out: it cannot be read" in comp("synth", "guard")[1]


def test_edited_verdicts_are_refused(competition, configure, comp, family):
    config = configure(golden={"per_class": 4, "most": 0.5}, synth={"data": MADE, **GATES_OFF})
    for step in ("golden", "split", "synth guard"):
        assert comp(*step.split())[0] == 0
    path = synthetic_path(config)
    path.write_text(re.sub(r'golden,"its parent[^"]*"', ",", path.read_text()))
    assert "was changed since comp synth guard wrote it: run comp synth guard again" in comp("synth", "combine")[2]


def test_the_sheet_is_drawn(competition, configure, comp, family):
    configure(golden={"per_class": 4, "most": 0.5}, synth={"data": MADE, **GATES_OFF, "structure": {}})
    for step in ("golden", "split", "synth guard"):
        assert comp(*step.split())[0] == 0
    assert Path("runs/small-synth/synthetic.png").stat().st_size > 20_000


def test_an_id_with_a_blank_is_one_id(competition, configure, comp, generated):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    for name in table["id"]:
        (competition / "train" / f"{name}.png").rename(competition / "train" / f"no {name}.png")
    table.assign(id="no " + table["id"]).to_csv(competition / "train.csv", index=False)
    generated([(child_of(3, "red"), "red", "no 0003")])
    config = configure(golden={"per_class": 2, "most": 0.5}, synth={"data": MADE, **GATES_OFF, "structure": {}})
    for step in ("golden", "split", "synth guard"):
        assert comp(*step.split())[0] == 0
    assert verdicts(config)["parent"].tolist() == ["no 0003"]
    assert verdicts(config)[["gate", "ssim"]].ne("").any(axis=1).all()
