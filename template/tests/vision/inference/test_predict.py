"""Predictions: each row once and in order, views averaged, and a run directory that predicts wherever it is."""

import json
import re
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from vision.small import SMALL, picture

from comp.distributed.accelerator import accelerator_for
from comp.runs.predictions import read_predictions
from comp.runs.rundir import RunDir
from comp.tables import Targets
from comp.vision.data.samples import Samples
from comp.vision.inference.predict_rows import predict_rows

TARGETS = Targets("multiclass", ("a", "b"))


class InMemory(list):
    """Images by row number, as a cache has them."""

    streamed = False


IMAGES = InMemory(np.random.default_rng(row).integers(0, 256, (8, 8, 3), dtype=np.uint8) for row in range(23))
SAMPLES = Samples(IMAGES, TARGETS, np.zeros((23, 0), np.float32))


class LeftBrightness(nn.Module):
    """Logits from the left half of the image: each image has its own, and a flip changes it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        left = images[:, :, :, :4].float().mean(dim=(1, 2, 3)) / 32
        return torch.stack([left, 8 - left], dim=1)


def predicted(configure, rows=range(23), views=("identity",), **predict) -> np.ndarray:
    config = configure(model={"image_size": 8}, predict=predict)
    rows = np.array(rows)
    return predict_rows(LeftBrightness(), SAMPLES, rows, config, accelerator_for(config), views)


def p_of(run: Path, table: str = "oof") -> np.ndarray:
    predictions, targets, _ = read_predictions(run / f"{table}.parquet")
    return predictions[targets.columns].to_numpy()


@pytest.mark.parametrize("batch_size", [1, 4, 23, 64])
def test_every_row_is_predicted_in_its_place_for_any_batch_size(batch_size, configure):
    rows = np.random.default_rng(0).permutation(23)
    with torch.no_grad():
        images = torch.from_numpy(np.stack(IMAGES)).permute(0, 3, 1, 2)
        expected = LeftBrightness()(images).softmax(dim=1).numpy()
    assert np.allclose(predicted(configure, rows, batch_size=batch_size), expected[rows], atol=1e-6)
    assert np.allclose(predicted(configure, rows[:5], batch_size=batch_size), expected[rows[:5]], atol=1e-6)


def test_views_are_averaged(configure):
    plain, flipped = predicted(configure), predicted(configure, views=["hflip"])
    assert not np.allclose(plain, flipped, atol=0.01)
    assert np.allclose(predicted(configure, views=["identity", "hflip"]), (plain + flipped) / 2, atol=1e-6)


def test_all_views_of_an_image_come_from_one_decode(configure):
    class Counted(InMemory):
        accesses = 0

        def __getitem__(self, row):
            self.accesses += 1
            return super().__getitem__(row)

    pixels, config = Counted(IMAGES), configure(model={"image_size": 8}, predict={"batch_size": 5})
    counted = replace(SAMPLES, pixels=pixels)
    views = ["identity", "hflip", "rotate+10", "rotate-10", "top_left_90", "center_85"]
    together = predict_rows(LeftBrightness(), counted, np.arange(23), config, accelerator_for(config), views)
    assert pixels.accesses == 23
    one_by_one = np.stack([predicted(configure, views=[view]) for view in views])
    assert np.ptp(one_by_one, axis=0).max() > 0.05
    assert np.allclose(together, one_by_one.mean(axis=0), atol=1e-6)


def test_views_can_be_averaged_as_logits(configure):
    logits = np.log(predicted(configure)) / 2 + np.log(predicted(configure, views=["hflip"])) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    averaged = predicted(configure, views=["identity", "hflip"], average="logits")
    assert np.allclose(averaged, expected, atol=1e-4)
    assert not np.allclose(averaged, predicted(configure, views=["identity", "hflip"]), atol=1e-3)


def test_weights_that_change_after_a_prediction_change_the_next_one(configure):
    """Some backbones (LeViT in older timm) keep a tensor made of their weights until they are in training again."""

    class Cached(LeftBrightness):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(2))
            self.kept = None

        def train(self, mode=True):
            self.kept = None if mode else self.kept
            return super().train(mode)

        def forward(self, images):
            self.kept = self.bias.clone() if self.kept is None else self.kept
            return super().forward(images) + self.kept

    model = Cached()
    config = configure(model={"image_size": 8})
    arguments = (SAMPLES, np.arange(3), config, accelerator_for(config), ["identity"])
    before = predict_rows(model, *arguments)
    model.bias.data[0] = 3
    assert not np.allclose(predict_rows(model, *arguments), before, atol=0.01)


def test_predicting_again_gives_what_training_gave(trained, comp):
    when = RunDir.of_name("small").trained_at()
    before = [p_of(trained / "runs/small", table) for table in ("oof", "test")]
    shutil.rmtree("data/cache")
    status, out, err = comp("predict")
    assert (status, err) == (0, "")
    assert out.count("predicted again") == 2
    assert RunDir.of_name("small").trained_at() == when
    after = [p_of(trained / "runs/small", table) for table in ("oof", "test")]
    assert all(np.allclose(new, old, atol=1e-6) for new, old in zip(after, before, strict=True))


def test_a_run_copied_into_another_repository_predicts_there(trained, comp, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree("data", other / "data", ignore=shutil.ignore_patterns("cache"))
    shutil.copytree("runs/small", other / "runs/renamed")
    (other / "conf").mkdir()
    (other / "conf/mine.yaml").write_text(
        f"task: {SMALL['task']}\nname: renamed\n" + "folds: {n: 2}\nmodel: {backbone: convnext_base}\n"
    )
    monkeypatch.chdir(other)
    for table in ("oof", "test"):
        (other / f"runs/renamed/{table}.parquet").unlink()
    status, _, err = comp("predict", "conf/mine.yaml")
    assert (status, err) == (0, "")
    for table in ("oof", "test"):
        assert np.allclose(p_of(other / "runs/renamed", table), p_of(trained / "runs/small", table), atol=1e-6)


def test_other_views_change_the_predictions_and_their_score(trained, comp):
    before, metrics = p_of(trained / "runs/small", "test"), Path("runs/small/metrics.json").read_text()
    assert comp("predict", "predict.views=[hflip,rotate+10,center_85]")[0] == 0
    assert not np.allclose(p_of(trained / "runs/small", "test"), before, atol=1e-6)
    assert Path("runs/small/metrics.json").read_text() != metrics


def test_folds_that_were_predicted_otherwise_make_no_table(trained, comp):
    words = ("train.epochs=3", "predict.views=[identity,hflip]")
    status, out, _ = comp("train", *words)
    assert status == 0
    assert "note    the folds were predicted with another predict.views: comp predict predicts them again" in out
    shutil.rmtree("runs/small/fold1")
    status, _, err = comp("train", *words)
    assert status == 1
    assert err == (
        "error: other folds of runs/small were predicted with another predict.views: "
        "run comp predict, or set it as it was\n"
    )
    assert comp("predict", *words)[0] == 0
    assert comp("train", *words)[0] == 0
    status, out, _ = comp("train", "runs/small/config.yaml")  # it remembers the views
    assert status == 0
    assert "note" not in out
    metrics = Path("runs/small/fold0/metrics.json")
    metrics.write_text(metrics.read_text().replace('"hflip"', '"vflip"'))
    assert "were predicted with different predict.views: run comp predict" in comp("train", *words)[2]


def later(folder: str, names: list[str]) -> None:
    Path(folder).mkdir(parents=True)
    for number, (name, color) in enumerate(zip(names, ["red", "green", "blue"] * 3, strict=False)):
        picture(color, 900 + number).save(f"{folder}/{name}.png")


def test_other_test_rows_do_not_replace_those_of_the_run(trained, comp):
    later("data/later", ["new0", "new1", "new2", "new3"])
    before = {path: path.read_bytes() for path in Path("runs").rglob("*.*") if path.name != ".lock"}
    for words in (["data.test=later"], ["data.test=null"], ["conf/baseline.yaml", "data.test=later"]):
        status, _, err = comp("predict", *words)
        assert status == 1
        assert "runs/small has predicted its own 9 test rows, which data.test=" in err
        assert len(err.splitlines()) == 1
    assert "comp predict --images data/later --out FILE conf/baseline.yaml leaves them alone" in err
    assert {path: path.read_bytes() for path in before} == before
    assert comp("predict", "--images", "data/later", "--out", "said.csv", "conf/baseline.yaml")[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    for path in Path("runs/small").rglob("test.parquet"):
        path.unlink()
    assert comp("predict", "data.test=later")[0] == 0  # now nothing is lost
    assert pd.read_parquet("runs/small/test.parquet")["id"].tolist() == [f"new{n}.png" for n in range(4)]


def test_hidden_test_images_at_the_known_place_do_not_either(trained, comp):
    """As in the rerun of a code competition: the same names of folders, other rows."""
    before = Path("runs/small/test.parquet").read_bytes()
    shutil.copytree("data", "hidden", ignore=shutil.ignore_patterns("cache", "test"))
    later("hidden/test", [f"{7000 + n}" for n in range(5)])
    status, _, err = comp("predict", "data.root=hidden", "predict.views=[identity,hflip]")
    assert status == 1
    assert "its own 9 test rows, which the 5 that there are now ('7000.png' and 4 more) would replace" in err
    assert "--images FOLDER_OR_TABLE --out FILE conf/baseline.yaml 'predict.views=[identity,hflip]' leaves" in err
    assert Path("runs/small/test.parquet").read_bytes() == before
    assert not Path("hidden/cache").exists()  # nothing was decoded for it


def test_the_same_rows_at_another_place_are_predicted_again(trained, comp):
    before = p_of(trained / "runs/small", "test")
    shutil.move("data", "moved")
    pd.read_csv("moved/solution.csv", dtype=str)[["id"]][::-1].to_csv("moved/test.csv", index=False)
    status, _, err = comp("predict", "data.root=moved")
    assert (status, err) == (0, "")
    assert np.allclose(p_of(trained / "runs/small", "test"), before[::-1], atol=1e-6)


def test_the_mean_over_folds_is_the_test_prediction(trained):
    folds = [p_of(trained / f"runs/small/fold{number}", "test") for number in (0, 1)]
    assert np.allclose(p_of(trained / "runs/small", "test"), np.mean(folds, axis=0), atol=1e-6)
    assert not np.allclose(folds[0], folds[1], atol=1e-4)


def test_other_folds_or_classes_than_those_of_the_run_are_refused(trained, comp):
    assert comp("split", "--force", "folds.seed=7")[0] == 0
    status, _, err = comp("predict", "folds.seed=7")
    assert status == 1
    assert "was trained with other folds than folds.csv has now" in err
    train = pd.read_csv("data/train.csv", dtype=str)
    train.assign(label=train["label"].replace("red", "pink")).to_csv("data/train.csv", index=False)
    sample = pd.read_csv("data/sample_submission.csv", dtype=str)
    sample.assign(label="pink").to_csv("data/sample_submission.csv", index=False)
    assert comp("split", "--force")[0] == 0
    status, _, err = comp("predict")
    assert status == 1
    assert "was trained for other classes" in err


def test_predicting_before_training_is_one_clear_line(competition, configure, comp):
    configure()
    status, _, err = comp("predict")
    assert status == 1
    assert err == "error: there is no run runs/small (there are none yet): run comp train\n"


def test_no_views_are_no_prediction(competition, configure, comp):
    configure()
    status, _, err = comp("predict", "predict.views=[]")
    assert status == 1
    assert "predict.views" in err


def test_a_damaged_checkpoint_is_one_clear_line(trained, comp):
    path = trained / "runs/small/fold1/best.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    status, _, err = comp("predict")
    assert status == 1
    assert err.splitlines()[-1].startswith("error: runs/small/fold1/best.safetensors is damaged")


def test_a_test_row_without_an_image_gets_the_training_prior(competition, configure, comp):
    (competition / "test/05000.png").write_bytes(b"no image")
    configure(data={"on_bad_image": "drop"}, folds={"kind": "holdout"})
    comp("split")
    status, out, _ = comp("train")
    assert status == 0
    assert "gets the training prior, unreadable" in out
    test, targets, _ = read_predictions(Path("runs/small/test.parquet"))
    train, oof = pd.read_csv("data/train.csv", dtype=str), pd.read_parquet("runs/small/oof.parquet")
    trained_on = train["label"][~train["id"].isin(oof["id"])].value_counts(normalize=True)
    prior = test.set_index("id").loc["05000", targets.columns].to_numpy(dtype=float)
    assert np.allclose(prior, trained_on[list(targets.classes)], atol=1e-6)


def test_a_score_names_the_views_that_it_was_measured_with(competition, configure, comp):
    configure(predict={"views": ["identity", "hflip"]}, steps=["split", "train", "report"])
    _, out, _ = comp("run")
    score = r"\d\.\d{4}"
    assert len(re.findall(rf"epoch   1 .* accuracy {score} \(view identity\)", out)) == 2
    assert len(re.findall(rf"fold \d  done in \d+ s: accuracy {score} \(views identity, hflip\)", out)) == 2
    assert "predicted with the views identity, hflip" in out
    assert json.loads(Path("runs/small/metrics.json").read_text())["views"] == ["identity", "hflip"]
    assert set(pd.read_csv("runs/leaderboard.csv")["views"]) == {"identity hflip"}
    assert "predicted with the views identity, hflip" in Path("runs/small/report.html").read_text(encoding="utf-8")
    assert "predicted with the views vflip" in comp("predict", "predict.views=[vflip]")[1]
    assert json.loads(Path("runs/small/metrics.json").read_text())["views"] == ["vflip"]


def test_one_fold_has_no_spread_and_several_have_that_of_a_sample(competition, configure, comp):
    configure(metrics=["log_loss"], steps=["split", "train", "report"], folds={"n": 3})
    _, out, _ = comp("run")
    scores = json.loads(Path("runs/small/metrics.json").read_text())["scores"]["log_loss"]
    spread = statistics.stdev(scores["folds"].values())
    assert scores["std"] == pytest.approx(spread)
    assert f"mean {scores['mean']:.4f}, std {spread:.4f}" in out
    _, out, _ = comp("run", "folds=[1]", "name=one")
    assert json.loads(Path("runs/one/metrics.json").read_text())["scores"]["log_loss"]["std"] is None
    assert "std" not in out
    assert pd.read_csv("runs/leaderboard.csv").set_index("name")["std"].isna().to_dict() == {
        "small": False,
        "one": True,
    }
    assert "<td>–</td>" in Path("runs/one/report.html").read_text(encoding="utf-8")


COPIED = "is the model of fold 0: it was trained on the rows of fold 1"


@pytest.mark.parametrize("command", [["predict"], ["soup", "soup.members=[small,twin]", "name=soup"], ["pseudo"]])
def test_a_checkpoint_that_was_copied_to_another_fold_is_refused(command, trained, comp):
    shutil.copy("runs/small/fold0/best.safetensors", "runs/small/fold1/best.safetensors")
    shutil.copytree("runs/small", "runs/twin")
    before = pd.read_parquet("runs/small/oof.parquet")
    status, _, err = comp(*command)
    assert status == 1
    assert COPIED in err
    assert pd.read_parquet("runs/small/oof.parquet").equals(before)
