"""The whole way of a CLIP model: zero-shot, fine-tuned, with pseudo-labels, in between; each a run like any other."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from vision.small import COLORS, picture

from comp.distributed import launch
from comp.runs.predictions import read_oof
from comp.runs.rundir import RunDir
from comp.vision.model import build_model

STEPS = ["split", "zeroshot", "train", "pseudo", "interpolate", "blend", "submit", "score", "report"]


def oof_of(name: str) -> np.ndarray:
    table, targets, _ = read_oof(RunDir.of_name(name).oof)
    return table[targets.columns].to_numpy()


@pytest.mark.parametrize("head", ["prompts", "linear"])
def test_all_steps(competition, configure, comp, head):
    prompts = ["a photo of a {} face", "a drawing of a {} face"]  # random weights tell few apart
    configure(
        steps=STEPS,
        model={"head": head, "prompts": prompts},
        pseudo={"threshold": 0.5, "train": {"epochs": 1, "lr": 1e-5}},
    )
    status, out, err = comp("run")
    assert status == 0, err
    summary = out.split("\nrun ")[1].splitlines()
    last = "small-pseudo-interpolated"
    names = ["small-zeroshot", "small", "small-pseudo", last, f"{last}-blend"]
    assert [line.split()[0] for line in summary[1 : 1 + len(names)]] == names
    assert "zeroshot  1.0000  a photo of a {} face" in out
    assert "chosen, for all folds" in out
    assert Path(f"submissions/{last}-blend.csv").is_file()


def test_zero_shot_holds_exactly_before_the_first_step_with_both_heads(competition, configure, comp):
    for name, model in (("p", {"head": "prompts"}), ("l", {"head": "linear"}), ("f", {"text_tower": "frozen"})):
        configure(name=name, model={"backbone": "./new", **model}, train={"lr": 1e-30, "weight_decay": 0.0})
        comp("split")
        assert comp("zeroshot")[0] == comp("train")[0] == 0
        np.testing.assert_allclose(oof_of(name), oof_of(f"{name}-zeroshot"), atol=1e-6)
    np.testing.assert_allclose(oof_of("p"), oof_of("l"), atol=1e-6)


def test_zero_shot_tells_accuracy_by_prompt_and_by_class(competition, configure, comp):
    configure(model={"prompts": ["a photo of a {} face", "a {} photo"]}, predict={"views": ["identity", "hflip"]})
    comp("split")
    assert comp("zeroshot")[0] == 0
    table = pd.read_csv("runs/small-zeroshot/zeroshot.csv")
    whole = table[table["class"] == "all of them"].set_index("prompt")["accuracy"]
    assert list(whole.index) == ["a photo of a {} face", "a {} photo", "all of them"]
    each = table[table["prompt"] == "all of them"].iloc[1:]
    assert each["class"].tolist() == sorted(COLORS)
    assert each["rows"].sum() == 36
    board = pd.read_csv("runs/leaderboard.csv").set_index("name")
    measured = (each["rows"] * each["accuracy"]).sum() / 36
    assert board.loc["small-zeroshot", "cv"] == pytest.approx(measured, abs=0.06)  # with a second view


def test_a_run_of_zero_shot_is_trained_no_further_and_flags_nothing(competition, configure, comp):
    configure(train={"keep": "best", "early_stop": {"patience": 2}, "schedule": "cosine", "schedule_epochs": 5})
    comp("split")
    assert comp("zeroshot")[0] == 0
    metrics = json.loads(Path("runs/small-zeroshot/metrics.json").read_text())
    assert metrics["flatters"] == metrics["unscored"] == ""
    assert not list(Path("runs/small-zeroshot").glob("fold*/*.safetensors"))
    assert comp("submit", "name=small-zeroshot")[0] == comp("report", "name=small-zeroshot")[0] == 0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"names": {"red": "color", "blue": "color"}}, "the classes 'blue', 'red' have one text, 'color'"),
        ({"names": {"red": " "}}, "the class 'red' has no text"),
        ({"names": {"pink": "pink"}}, "there is no class 'pink'"),
        ({"names_column": "word"}, "the training table has no such column"),
        ({"backbone": "./nowhere"}, "is no folder with a CLIP model"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_before_training(competition, configure, comp, model, message):
    configure(model=model)
    comp("split")
    for command in ("zeroshot", "train"):
        status, _, err = comp(command)
        assert status == 1
        assert message in err
        assert len(err.splitlines()) == 1


def test_names_come_from_a_column_or_a_map(competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    words = {"red": "a red face", "green": "a green face", "blue": "a blue face"}
    table.assign(group=table["label"].map(words)).to_csv(competition / "train.csv", index=False)
    configure(model={"names_column": "group", "names": {"blue": "blue photo"}}, data={"target": "label"})
    comp("split")
    assert comp("train")[0] == 0
    names = yaml.safe_load(Path("runs/small/config.yaml").read_text())["model"]["names"]
    assert names == {"blue": "blue photo", "green": "a green face", "red": "a red face"}
    table.assign(group=table["id"]).to_csv(competition / "train.csv", index=False)
    _, _, err = comp("train", "name=other")
    assert "calls the class 'blue'" in err


def test_texts_stand_in_the_order_of_classes_however_they_are_written(competition, configure, comp):
    """Classes 2 and 10 are in the order of numbers; in a run's configuration, and in the user's, texts may not be."""
    number = {"red": "10", "green": "2", "blue": "1"}
    for name in ("train.csv", "solution.csv", "sample_submission.csv"):
        table = pd.read_csv(competition / name, dtype=str)
        table.assign(label=table["label"].map(number)).to_csv(competition / name, index=False)
    names = {"10": "red", "1": "blue", "2": "green"}
    configure(
        steps=STEPS,
        model={"names": names},
        train={"lr": 1e-30},
        pseudo={"threshold": 0.5, "train": {"epochs": 1, "lr": 1e-30}},
    )
    status, out, err = comp("run")
    assert status == 0, err
    board = pd.read_csv("runs/leaderboard.csv")
    assert len(board) == 5
    assert (board["cv"].astype(float) == 1).all()
    assert "score   accuracy 1.0000" in out


def test_several_labels_an_image_are_refused_with_the_way_out(competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    for name in COLORS:
        table[name] = (table["label"] == name).astype(int) | (table.index % 2)
    table.drop(columns="label").to_csv(competition / "train.csv", index=False)
    sample = pd.read_csv(competition / "sample_submission.csv", dtype=str)
    sample[["id"]].assign(**dict.fromkeys(COLORS, 0.5)).to_csv(competition / "sample_submission.csv", index=False)
    configure()
    comp("split")
    status, _, err = comp("train")
    assert status == 1
    assert "task=classify" in err


def test_a_column_of_zeros_and_ones_needs_words_and_is_one_probability(competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table = table[table["label"] != "green"]
    table.assign(label=(table["label"] == "red").astype(int)).to_csv(competition / "train.csv", index=False)
    sample = pd.read_csv(competition / "sample_submission.csv", dtype=str)
    sample.assign(label=0.5).to_csv(competition / "sample_submission.csv", index=False)
    configure(metric="roc_auc", metrics=[])
    comp("split")
    _, _, err = comp("zeroshot")
    assert "'model.names={0: " in err
    configure(metric="roc_auc", metrics=[], model={"names": {"0": "blue", "1": "red"}})
    status, _, err = comp("zeroshot")
    assert status == 0, err
    metrics = json.loads(Path("runs/small-zeroshot/metrics.json").read_text())
    assert metrics["scores"]["roc_auc"]["oof"] == 1
    assert comp("train")[0] == 0


@pytest.mark.parametrize("how", [{"head": "prompts"}, {"head": "linear"}])
def test_a_folder_that_is_no_competition_is_predicted(competition, configure, comp, how):
    configure(model=how)
    comp("split")
    folder = Path("some images")
    (folder / "inside").mkdir(parents=True)
    for number, name in enumerate(["red", "blue", "green", "blue"]):
        picture(name, 800 + number).save(folder / ("inside/" * (number == 3)) / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    words = ["--images", str(folder), "--labels", "blue", "red", "--out", "words.csv"]
    status, out, err = comp("predict", *words)
    assert status == 0, err
    assert "there is no run small" in out
    assert comp("predict", *words[:-1], "pretrained.csv", "predict.resize=pretrained")[0] == 0
    assert "broken.png" in out
    by_words = pd.read_csv("words.csv").set_index("id")
    assert by_words.loc[["0.png", "1.png", "inside/3.png"], "label"].tolist() == ["red", "blue", "blue"]
    np.testing.assert_allclose(by_words[["p_blue", "p_red"]].sum(axis=1), 1, atol=1e-5)
    comp("train")
    assert comp("predict", "--images", str(folder), "--out", "trained.csv")[0] == 0
    assert pd.read_csv("trained.csv")["label"].tolist() == ["red", "blue", "green", "blue"]
    status, _, err = comp("predict", *words)
    if how["head"] == "prompts":
        assert status == 0, err
        assert list(pd.read_csv("words.csv").columns) == ["id", "label", "p_blue", "p_red"]
    else:
        assert "has no text tower that learned" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--labels", "a", "b"], "name them with --images"),
        (["--images", "nowhere", "--labels", "a", "photo"], "--out is missing"),
        (["--images", "nowhere", "--labels", "a", "photo", "--out", "x.csv"], "nowhere is not there"),
        (["--images", "data/test", "--labels", "red", "--out", "x.csv"], "name two or more"),
        (["--images", "data/test", "--labels", "red", "red", "--out", "x.csv"], "has 'red' twice"),
        (["--images", "data/test", "--out", "x.csv"], "run comp train"),
    ],
)
def test_words_that_make_no_question_are_refused(competition, configure, comp, words, message):
    configure()
    status, _, err = comp("predict", *words)
    assert status == 1
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_clip_run_and_one_of_timm_stack(competition, configure, comp):
    configure()
    comp("split")
    comp("train")
    configure(name="conv", model={"backbone": "test_resnet", "pretrained": False, "head": "linear"})
    assert comp("train")[0] == 0
    status, _, err = comp("stack", "name=both", "stack.members=[small,conv]", "stack.kind=logistic")
    assert status == 0, err
    assert oof_of("both").shape == (36, 3)


def test_interpolation_is_exact_at_its_ends_and_several_processes_do_the_same(
    competition, configure, comp, monkeypatch
):
    configure(train={"epochs": 2, "lr": 1e-3}, model={"backbone": "./new"}, interpolate={"alphas": [0, 1]})
    comp("split")
    comp("zeroshot")
    comp("train")
    status, _, err = comp("interpolate")
    assert status == 0, err
    metrics = json.loads(Path("runs/small-interpolated/metrics.json").read_text())
    curve = dict(metrics["combines"]["curve"])
    of = {name: json.loads(Path(f"runs/{name}/metrics.json").read_text()) for name in ("small-zeroshot", "small")}
    assert curve[0.0] == pytest.approx(of["small-zeroshot"]["scores"]["accuracy"]["oof"])
    assert curve[1.0] == pytest.approx(of["small"]["scores"]["accuracy"]["oof"])
    started = []
    monkeypatch.setattr(launch, "launch", lambda processes, arguments: started.append(arguments) or 0)
    words = ["interpolate.alphas=[0,0.3]", "metric=macro_f1", "metrics=[]"]
    assert comp("interpolate", "train.processes=2", *words)[0] == 0
    [[command, *given]] = started
    Path("runs/small-interpolated/of_the_starter").touch()
    monkeypatch.setenv(launch.QUIET, "yes")
    assert comp(command, *given, "train.processes=1")[0] == 0
    metrics = json.loads(Path("runs/small-interpolated/metrics.json").read_text())
    assert (metrics["metric"], list(dict(metrics["combines"]["curve"]))) == ("macro_f1", [0.0, 0.3])
    assert list(metrics["scores"]) == ["macro_f1"]
    assert Path("runs/small-interpolated/of_the_starter").is_file()
    status, _, err = comp("predict", "name=small-interpolated")
    assert "run the command that made it again" in err


def test_weights_are_counted_without_loading_any(competition, configure):
    """That is how it is found whether folds are trained at once."""
    from comp.vision.data.settle import settled
    from comp.vision.folds.jobs import parameter_count

    config = settled(configure())
    built = build_model(config.model, 3)
    assert parameter_count(config, 3) == sum(weight.numel() for weight in built.parameters())


def test_label_contrast_is_refused_in_small_batches(competition, configure, comp):
    configure()
    _, _, err = comp("train", "train.loss=label_contrast")
    assert "needs train.batch_size of 64 or more (here: 8)" in err
    _, _, err = comp("train", "train.loss=label_contrast", "train.batch_size=64", "train.accumulate=2")
    assert "set train.accumulate=1" in err


def test_an_image_of_another_depth_is_read_as_others_are(competition, configure, comp, tmp_path):
    configure()
    (tmp_path / "deep").mkdir()
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save(tmp_path / "deep" / "one.png")
    assert comp("predict", "--images", "deep", "--labels", "red", "blue", "--out", "deep.csv")[0] == 0


def test_of_an_unscored_run_one_half_is_taken_and_no_score_is_told(competition, configure, comp):
    configure(model={"backbone": "./new"}, interpolate={"alphas": [0, 0.4, 1]})
    comp("split")
    comp("train")
    path = Path("runs/small/metrics.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "unscored": "it saw too much"}))
    config = Path("runs/small/config.yaml")
    config.write_text(config.read_text().replace("resize: squash", "resize: crop"))
    status, out, err = comp("interpolate")
    assert status == 0, err
    assert "alpha   0.4, for all folds; no score may choose it, as runs/small is unscored: it saw too much\n" in out
    assert "accuracy" not in out
    assert "curve" not in json.loads(Path("runs/small-interpolated/metrics.json").read_text())["combines"]
    assert "resize: crop" in Path("runs/small-interpolated/config.yaml").read_text()  # as trained; conf/ says squash
