"""Pretraining on other data: mapped labels, no image that the competition has too, and folds that start from it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from vision.small import picture

from comp.errors import CompError
from comp.registry import register
from comp.runs.rundir import RunDir
from comp.vision.data.other_set import as_written, with_other_set
from comp.vision.schema import Data, Model
from comp.vision.training.pretrain import parted

VENDORS = {"rouge": "red", "vert": "green", "bleu": "blue", "noir": "black"}
MAP = {"rouge": "red", "vert": "green", "bleu": "blue"}


@pytest.fixture
def other(competition) -> Path:
    """A folder with a subfolder a vendor: other names for the same colors, and one that is none here."""
    root = competition.parent / "other"
    for vendor, color in VENDORS.items():
        (root / "images" / vendor).mkdir(parents=True)
        for number in range(14):
            picture(color, seed=9000 + 100 * len(vendor) + number + sum(map(ord, vendor))).save(
                root / "images" / vendor / f"{number}.png"
            )
    return root


def pretraining(**settings: object) -> dict[str, object]:
    return {"data": {"root": "other", "train": "images"}, "map": MAP, "train": {"epochs": 2, "lr": 0.01}, **settings}


def test_every_fold_starts_from_the_pretrained_weights(other, configure, comp):
    configure(pretrain=pretraining(), train={"lr": 1e-30, "weight_decay": 0})
    comp("split")
    status, out, _ = comp("train")
    assert status == 0
    assert "pretrain  42 rows with classes of this competition; 0 left out: it has the same images" in out
    weights = [load_file(f"runs/small/{part}/best.safetensors") for part in ("pretrain", "fold0", "fold1")]
    learned = [name for name in weights[0] if name.endswith("weight")]
    assert all(weights[0][name].equal(each[name]) for name in learned for each in weights[1:])
    assert json.loads(Path("runs/small/metrics.json").read_text())["scores"]["accuracy"]["oof"] > 0.6


def test_images_that_the_competition_has_are_left_out_whichever_table_they_stand_in(other, configure, comp):
    rng = np.random.default_rng(0)
    scene = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((96, 90), Image.Resampling.BICUBIC)
    scene.save("data/train/0000.png")
    scene.resize((80, 75)).save("other/images/rouge/nearly.jpg", quality=85)
    shutil.copy("data/train/0004.png", "other/images/vert/same.png")
    shutil.copy("data/test/05000.png", "other/images/bleu/of-the-test.png")
    configure(pretrain=pretraining())
    comp("split")
    status, out, _ = comp("pretrain")
    assert status == 0
    assert "pretrain  42 rows with classes of this competition; 3 left out: it has the same images" in out


CHANGES = {
    "mirrored": ImageOps.mirror,
    "a quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "the upper left 95 %": lambda image: image.crop((0, 0, 91, 86)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", ["train", "test"])
def test_changed_copies_of_its_images_are_left_out_too(other, configure, comp, change, table):
    rng = np.random.default_rng(0)
    scene = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((96, 90), Image.Resampling.BICUBIC)
    scene.save({"train": "data/train/0000.png", "test": "data/test/05000.png"}[table])
    CHANGES[change](scene).save("other/images/rouge/copy.png")
    configure(pretrain=pretraining(train={"epochs": 1}))
    comp("split")
    status, out, _ = comp("pretrain")
    assert status == 0
    assert "pretrain  42 rows with classes of this competition; 1 left out: it has the same images" in out


def test_metadata_and_columns_of_the_competition_are_no_hindrance(other, configure, comp):
    table = pd.read_csv("data/train.csv", dtype=str)
    patients = (table.index // 2).astype(str)
    table.assign(patient=patients).to_csv("data/train.csv", index=False)
    own = {"id": "id", "path": "train/{id}.png", "test_path": "test/{id}.png", "target": "label", "kind": "multiclass"}
    configure(
        data={**own, "group": "patient", "scale": [0, 200]},
        pretrain=pretraining(),
        model={"metadata": ["height", "width", "has_alpha"]},
    )
    comp("split")
    assert comp("run", "steps=[split,train,submit]")[0] == 0
    with safe_open("runs/small/fold0/best.safetensors", framework="pt") as file:
        facts = json.loads(file.metadata()["comp"])
    assert [column["name"] for column in facts["metadata"]] == ["height", "width", "has_alpha"]
    assert comp("predict")[0] == 0


def test_the_other_images_have_columns_and_a_scale_of_their_own(configure):
    of_the_competition = {"frame": "square", "background": [0, 0, 0], "fill_nan": 0.0, "cache": False}
    own = {"scale": [0, 4000], "group": "patient", "kind": "multiclass", "classes": ["a", "b"], "on_bad_image": "drop"}
    config = configure(data={**own, **of_the_competition}, pretrain=pretraining(data={"root": "other", "id": "name"}))
    found = with_other_set(config, "pretrain").data
    assert found == Data(root="other", id="name", work="data", **of_the_competition)


@pytest.mark.parametrize(("counts", "validated"), [((5, 5, 5), 3), ((2, 2, 2), 3), ((40, 2, 2), 5), ((9, 9, 1), 3)])
def test_few_images_are_parted_too(counts, validated):
    labels = np.repeat(["a", "b", "c"], counts)
    train_rows, valid_rows = parted(np.arange(len(labels)), labels, 0)
    assert len(valid_rows) == validated
    assert sorted([*train_rows, *valid_rows]) == list(range(len(labels)))
    assert min(counts) == 1 or set(labels[train_rows]) == {"a", "b", "c"}


def test_pretrained_once_it_is_kept_and_other_settings_are_refused(other, configure, comp):
    configure(pretrain=pretraining())
    comp("split")
    assert comp("pretrain")[0] == 0
    written = Path("runs/small/pretrain/best.safetensors").stat().st_mtime_ns
    assert comp("train", "folds=[0]")[0] == 0
    assert Path("runs/small/pretrain/best.safetensors").stat().st_mtime_ns == written
    status, _, err = comp("pretrain", "pretrain.train={epochs: 3}")
    assert status == 1
    assert "pretrain.train was" in err


@pytest.mark.parametrize("frozen", [{"freeze_epochs": 2, "freeze_lr": 0.01}, {"freeze": 2, "cache_frozen": 1}])
def test_what_is_frozen_is_not_for_the_pretraining(frozen, other, configure, comp):
    """That is for the competition's own images, whose head is new; here all of the network learns."""
    configure(pretrain=pretraining(train={"epochs": 1}), train=frozen)
    comp("split")
    weights = []
    for lr in (1e-30, 0.01):
        assert comp("pretrain", f"pretrain.train.lr={lr}", f"name=lr{lr}", "pretrain.train.weight_decay=0")[0] == 0
        weights.append(load_file(f"runs/lr{lr}/pretrain/best.safetensors"))
    learned = [name for name in weights[0] if name.endswith("conv1.weight")]
    assert learned
    assert not any(weights[0][name].equal(weights[1][name]) for name in learned)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"map": {"rouge": "crimson"}}, "pretrain.map names unknown classes: 'crimson'"),
        ({"map": {"violet": "red"}}, "pretrain.map names labels that the other data set does not have: 'violet'"),
        ({"data": {"root": "nowhere"}}, "error: pretrain.data.root=nowhere is not a folder"),
        ({"data": {"root": "other", "train": "labels.csv"}}, "error: pretrain.data.train=labels.csv: "),
        ({"train": {"epoch": 3}}, "unknown key 'train.epoch'"),
    ],
)
def test_what_is_wrong_with_it_is_one_line(settings, message, other, configure, comp):
    configure(pretrain=pretraining(**settings))
    comp("split")
    status, _, err = comp("pretrain")
    assert status == 1
    assert message in err
    assert len(err.splitlines()) == 1


def test_two_images_of_yes_and_no_are_too_few(competition, configure, comp):
    table = pd.read_csv("data/train.csv", dtype=str)
    table.assign(label=(table["label"] == "red").astype(int)).to_csv("data/train.csv", index=False)
    (competition / "sample_submission.csv").unlink()
    for label in "01":
        (competition.parent / "other/images" / label).mkdir(parents=True)
        picture("red", seed=9000 + int(label)).save(competition.parent / "other/images" / label / "0.png")
    configure(pretrain=pretraining(map={}))
    comp("split")
    status, _, err = comp("pretrain")
    assert (status, err.count("\n")) == (1, 1)
    assert "pretrain: only 2 rows of other are left" in err


def test_keys_of_the_other_set_are_told_as_they_are_written():
    stays = "a/data.path b/data.csv data.id.csv pretrain.data.id data/x"
    told = as_written("synth", f"set data.id, data.test_path or 'data.path=\"x\"'; {stays}")
    assert told == f"set synth.data.id, synth.data.test_path or 'synth.data.path=\"x\"'; {stays}"


def test_without_settings_it_says_which(competition, configure, comp):
    configure()
    status, _, err = comp("pretrain")
    assert status == 1
    assert "pretrain: is not set" in err


def test_pretraining_has_its_own_precision(other, configure, comp):
    seen = set()

    def noting(settings: Model) -> nn.Module:
        layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        layers[0].register_forward_hook(lambda layer, inputs, found: seen.add((layer.training, found.dtype)))
        return layers

    register("model", "noting")(noting)
    configure(model={"backbone": "noting"}, pretrain=pretraining(train={"epochs": 1, "precision": "bf16"}))
    comp("split")
    assert comp("pretrain")[0] == 0
    assert {dtype for training, dtype in seen if training} == {torch.bfloat16}


def test_pretraining_that_is_added_or_taken_away_is_another_configuration(configure):
    """Folds that were trained already would not have started from the pretrained weights, the others would."""
    plain = configure()
    run = RunDir.of(plain)
    run.start(plain)
    (run.fold(0) / "last").mkdir(parents=True)
    pretraining = configure(pretrain={"data": {"root": "other", "train": "images"}})
    with pytest.raises(CompError, match=r"trained with another configuration \(pretrain.*was None"):
        run.start(pretraining)
    run.start(pretraining, fresh=True)
    (run.fold(0) / "last").mkdir(parents=True)
    with pytest.raises(CompError, match=r"pretrain\..*, is None"):
        run.start(plain)
