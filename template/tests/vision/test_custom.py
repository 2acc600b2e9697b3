"""The examples of custom.py work. A test whose example you have removed skips itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from vision.small import picture

from comp.config import load_config
from comp.registry import find, names
from comp.runs.predictions import read_predictions
from comp.tables import Targets
from comp.vision.metrics import score


def example(kind: str, name: str):
    return pytest.mark.skipif(name not in names(kind), reason=f"custom.py registers no {kind} {name!r} any more")


@example("metric", "top3_accuracy")
@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_the_metric_counts_rows_whose_class_is_among_the_three_likeliest(k):
    targets = Targets("multiclass", tuple("abcdef"[:k]))
    p = np.tile(np.linspace(0.6, 0.1, k), (k, 1))
    assert score("top3_accuracy", np.eye(k), p, targets) == pytest.approx(min(3, k) / k)


@example("head", "multi_dropout")
def test_the_head_averages_over_its_masks():
    head = find("head", "multi_dropout")(8, 3, samples=4)
    features = torch.ones(5, 8)
    assert head(features).shape == (5, 3)
    assert not torch.equal(head(features), head(features))
    assert torch.allclose(head.eval()(features), head.linear(features))


@example("loss", "generalized_cross_entropy")
def test_the_loss_is_small_where_the_model_is_right():
    loss = find("loss", "generalized_cross_entropy")(None, None)
    truth = torch.tensor([[1.0, 0.0]])
    right, wrong = (float(loss(torch.tensor([[logit, 0.0]]), truth)) for logit in (5.0, -5.0))
    assert 0 <= right < 0.05 < 1 < wrong < 1 / 0.7


@example("augment", "gray_sometimes")
def test_the_augmentation_takes_the_color_of_some_images():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (400, 3, 4, 4), dtype=torch.uint8)
    changed = find("augment", "gray_sometimes")(images)
    gray = (changed == changed[:, :1]).flatten(1).all(dim=1)
    assert changed.dtype == torch.uint8
    assert 0.05 < gray.float().mean() < 0.17
    assert torch.equal(changed[~gray], images[~gray])


@example("postprocess", "sharpen")
def test_the_postprocessing_moves_probabilities_apart():
    targets = Targets("multiclass", ("a", "b"))
    table = pd.DataFrame({"id": ["1", "2"], "p_a": [0.7, 0.4], "p_b": [0.3, 0.6]})
    sharp = find("postprocess", "sharpen")(table, targets)
    assert sharp["p_a"][0] > 0.7
    assert sharp["p_b"][1] > 0.6
    assert np.allclose(sharp[["p_a", "p_b"]].sum(axis=1), 1)


@example("model", "tiny_cnn")
@example("head", "multi_dropout")
@example("metric", "top3_accuracy")
@example("loss", "generalized_cross_entropy")
@example("optimizer", "nesterov_095")
@example("augment", "gray_sometimes")
@example("postprocess", "sharpen")
def test_all_of_them_train_and_submit_together(competition, configure, comp):
    configure(
        metric="top3_accuracy",
        metrics=["accuracy"],
        model={"backbone": "tiny_cnn", "head": "multi_dropout", "head_args": {"samples": 2}},
        train={"loss": "generalized_cross_entropy", "optimizer": "nesterov_095", "epochs": 8, "lr": 0.02},
        augment={"custom": ["gray_sometimes"]},
        submit={"postprocess": ["sharpen"]},
        steps=["split", "train", "predict", "submit"],
    )
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "cv      top3_accuracy 1.0000" in out
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert score("accuracy", targets.encode(oof), oof[targets.columns].to_numpy(), targets) > 0.6
    assert len(pd.read_csv("submissions/small.csv")) == 9


@example("reader", "label_in_name")
def test_the_reader_reads_labels_from_file_names(repo, configure):
    for folder in ("train", "test"):
        (repo / "data" / folder).mkdir(parents=True)
    for number, label in enumerate(["red", "green", "red"]):
        picture(label, number).save(repo / "data" / "train" / f"{label}_{number}.png")
    picture("green", 9).save(repo / "data" / "test" / "7.png")
    configure(data={"reader": "label_in_name"})
    tables = find("reader", "label_in_name")(load_config(Path("conf/baseline.yaml")).data)
    assert list(tables.train["target"]) == ["green", "red", "red"]
    assert list(tables.train["id"]) == ["green_1", "red_0", "red_2"]
    assert list(tables.test["id"]) == ["7"]
    assert tables.targets.classes == ("green", "red")


@example("reader", "label_in_name")
def test_the_reader_feeds_the_whole_pipeline(repo, configure, comp):
    for folder in ("train", "test"):
        (repo / "data" / folder).mkdir(parents=True)
    for number in range(24):
        label = ("red", "green")[number % 2]
        picture(label, number).save(repo / "data" / "train" / f"{label}_{number}.png")
    picture("green", 99).save(repo / "data" / "test" / "7.png")
    configure(data={"reader": "label_in_name"}, train={"epochs": 4})
    status, _, err = comp("run")
    assert (status, err) == (0, "")
    assert Path("submissions/small.csv").read_text() == "id,label\n7,green\n"
