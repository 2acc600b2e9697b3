"""Settings of images that cannot be meant: refused at once, with both names where two contradict each other."""

import pandas as pd
import pytest

from comp.errors import CompError
from comp.vision.model import build_model
from comp.vision.schema import NOT_ARGS, ImageConfig


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"data": {"background": [300, 0, 0]}}, ["data.background"]),
        ({"data": {"target": []}}, ["data.target"]),
        ({"augment": {"crop_scale": [0.9, 0.1]}}, ["augment.crop_scale", "[0.1, 0.9]"]),
        ({"augment": {"crop_ratio": [2.0, 0.5]}}, ["augment.crop_ratio", "[0.5, 2]"]),
        ({"model": {"image_size": 1}}, ["model.image_size"]),
        ({"model": {"std": [1.0, 0.0, 1.0]}}, ["model.std"]),
        ({"model": {"mean": [float("nan"), 0.0, 1.0]}}, ["model.mean"]),
        ({"folds": {"nested": True, "n": 2}}, ["folds.nested", "folds.n=2"]),
        ({"folds": {"nested": True, "n": 5, "kind": "holdout"}}, ["folds.nested", "folds.kind=holdout"]),
        (
            {"train": {"epochs": 5, "freeze_epochs": 3, "warmup_epochs": 3}},
            ["train.warmup_epochs=3", "train.epochs=5", "train.freeze_epochs=3"],
        ),
        ({"train": {"optimizer": 7.5}, "predict": {"views": []}}, ["predict.views"]),
    ],
)
def test_it_is_refused_with_its_keys(sections, named, configure):
    with pytest.raises(CompError) as refused:
        configure(**sections)
    assert all(name in str(refused.value) for name in named), str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NOT_ARGS)
def test_an_argument_that_another_key_decides_is_refused_by_its_name(name, configure):
    with pytest.raises(CompError, match=rf"model\.args: {name} cannot be set there: ") as refused:
        configure(model={"args": {name: 1}})
    assert "image_size" not in str(refused.value) or name == "img_size"


def test_other_arguments_are_passed_on(configure):
    model = build_model(configure(model={"args": {"drop_rate": 0.3}}).model, 3)
    assert model.backbone.drop_rate == 0.3


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet"])
def test_the_smallest_image_size_works(backbone):
    build_model(ImageConfig(model={"backbone": backbone, "pretrained": False, "image_size": 8}).model, 3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data.target=id"], "data.target names the id column 'id'"),
        (["data.target=[label, id]"], "data.target names the id column 'id'"),
        (["data.target=[label, label]"], "data.target has 'label' twice"),
        (["data.path={id.x}"], "data.path="),
        (["'data.path={id[x]}'"], "data.path="),
        (["data.train=" + "x" * 5000], "x" * 50),  # what is wrong with it depends on Python's version
        (["data.id=" + "x" * 5000], "data.id="),
    ],
)
def test_a_column_that_cannot_be_it_is_one_line(words, told, competition, configure, comp):
    configure()
    status, _, errors = comp("split", *[word.strip("'").replace("={", "='{").replace("}", "}'") for word in words])
    assert (status, errors.count("\n")) == (1, 1)
    assert told in errors


@pytest.mark.parametrize("long", ["x" * 5000, "nul\0byte", "a/" * 2500])
def test_an_id_that_no_file_is_called_is_one_line(long, competition, configure, comp):
    configure(data={"path": "train/{id}.png"})
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table.loc[0, "id"] = long
    table.to_csv(competition / "train.csv", index=False)
    status, _, errors = comp("split")
    assert (status, errors.count("\n")) == (1, 1)
    assert "1 of 36 train images is missing" in errors
    assert len(errors) < 1000
