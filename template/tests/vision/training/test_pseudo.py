"""Pseudo-labels: only sure test rows, and no teacher that saw the rows which its student is validated on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from comp.runs.predictions import read_predictions, write_predictions
from comp.tables import Targets
from comp.vision.schema import Selection
from comp.vision.training.pseudo import students
from comp.vision.training.pseudo_labels import select

ABC = Targets("multiclass", ("a", "b", "c"))
P = np.array([[0.97, 0.02, 0.01], [0.5, 0.4, 0.1], [0.0, 0.04, 0.96], [0.99, 0.01, 0.0], [0.05, 0.95, 0.0]])


def test_only_rows_above_the_threshold_are_chosen_with_hard_labels():
    rows, labels = select(P, ABC, Selection(threshold=0.96))
    assert rows.tolist() == [0, 2, 3]
    assert labels.tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_soft_labels_are_the_probabilities_and_a_low_temperature_sharpens_them():
    _, soft = select(P, ABC, Selection(threshold=0.5, labels="soft"))
    np.testing.assert_allclose(soft, P, atol=1e-6)
    _, sharp = select(P, ABC, Selection(threshold=0.5, labels="soft", temperature=0.5))
    np.testing.assert_allclose(sharp[1], np.array([0.25, 0.16, 0.01]) / 0.42, atol=1e-6)
    np.testing.assert_allclose(sharp.sum(axis=1), 1, atol=1e-6)


def test_a_quota_keeps_the_surest_rows_of_each_class():
    rows, _ = select(P, ABC, Selection(threshold=0.5, quota=1))
    assert rows.tolist() == [2, 3, 4]


def test_a_row_of_several_labels_is_chosen_when_every_label_is_sure():
    p = np.array([[0.99, 0.02], [0.99, 0.6], [0.01, 0.03]])
    rows, labels = select(p, Targets("multilabel", ("x", "y")), Selection(threshold=0.95))
    assert rows.tolist() == [0, 2]
    assert labels.tolist() == [[1, 0], [0, 0]]
    rows, labels = select(np.array([[0.03], [0.5], [0.98]]), Targets("binary", ("x",)), Selection(threshold=0.95))
    assert rows.tolist() == [0, 2]
    assert labels.tolist() == [[0], [1]]


@pytest.mark.parametrize("targets", [ABC, Targets("multilabel", ("a", "b", "c"))])
@pytest.mark.parametrize("quota", [None, 2])
def test_a_row_that_nobody_has_seen_is_never_taken(targets, quota):
    seen = np.array([True, False, True, False, True])
    rows, _ = select(P, targets, Selection(threshold=0, quota=quota), seen)
    assert set(rows) <= {0, 2, 4}
    assert quota or rows.tolist() == [0, 2, 4]


def test_at_threshold_0_unreadable_test_images_join_no_training(trained, comp):
    Path("data/test/05003.png").write_bytes(b"no picture")
    drop = "data.on_bad_image=drop"
    assert comp("predict", drop)[0] == 0
    status, _, err = comp("pseudo", *QUICK[::2], "pseudo.threshold=0", drop)
    assert status == 0, err
    assert sorted(chosen("small-pseudo", 0)["id"]) == [f"0500{k}" for k in range(9) if k != 3]


def chosen(run: str, fold: int) -> pd.DataFrame:
    return read_predictions(Path(f"runs/{run}/fold{fold}/pseudo.parquet"))[0]


def opposite(path: Path) -> None:
    """Turns what a teacher says of the test rows round."""
    table, targets, folds = read_predictions(path)
    table[targets.columns] = 1 - table[targets.columns]
    table[targets.columns] /= 2
    write_predictions(path, table, targets, folds)


QUICK = ["train.epochs=3", "pseudo.threshold=0.34", "pseudo.train={epochs: 1, lr: 1.0e-3}"]


def test_the_teacher_of_a_fold_is_a_model_of_that_fold_only(trained, comp):
    said = read_predictions(Path("runs/small/fold0/test.parquet"))[0].set_index("id")
    opposite(Path("runs/small/fold1/test.parquet"))
    opposite(Path("runs/small/test.parquet"))
    status, _, err = comp("pseudo", *QUICK)
    assert status == 0, err
    labels = chosen("small-pseudo", 0).set_index("id")
    assert len(labels)
    assert (labels.idxmax(axis=1) == said.loc[labels.index].idxmax(axis=1)).all()
    assert (said.loc[labels.index].max(axis=1) >= 0.34).all()


def test_the_validated_rows_stay_out_of_the_students_training(trained, comp):
    assert comp("pseudo", *QUICK)[0] == 0
    oof, before = (pd.read_parquet(f"runs/{run}/oof.parquet") for run in ("small-pseudo", "small"))
    assert oof[["id", "fold", "target"]].equals(before[["id", "fold", "target"]])
    for fold in (0, 1):
        ids = set(chosen("small-pseudo", fold)["id"])
        assert ids <= set(pd.read_csv("data/solution.csv", dtype=str)["id"])


def test_a_student_starts_from_its_teachers_weights(trained, comp):
    still = [*QUICK[:2], "pseudo.train={epochs: 1, lr: 1.0e-30, weight_decay: 0}"]
    assert comp("pseudo", *still)[0] == 0
    left, right = (load_file(f"runs/{run}/fold1/best.safetensors") for run in ("small", "small-pseudo"))
    learned = [name for name in left if name.endswith("weight")]
    assert learned
    assert all(left[name].equal(right[name]) for name in learned)


def test_an_ensemble_of_all_folds_may_teach_but_is_never_scored(trained, comp):
    status, out, _ = comp("pseudo", *QUICK, "pseudo.teacher=ensemble")
    assert status == 0
    assert "unscored" in out
    metrics = json.loads(Path("runs/small-pseudo/metrics.json").read_text())
    assert metrics["unscored"]
    board = pd.read_csv("runs/leaderboard.csv", dtype=str).set_index("name")
    assert set(board.loc["small-pseudo", ["cv", "mean", "std", "folds"]]) == {"unscored"}
    assert list(board.index) == ["small", "small-pseudo"]
    other = Path("runs/small/fold1/metrics.json")  # its model taught fold 0 too
    other.write_text(json.dumps(json.loads(other.read_text()) | {"trained": "2999-01-01 00:00:00.000"}))
    words = ("pseudo", *QUICK, "pseudo.teacher=ensemble", "folds=[0]")
    assert "has learned from runs/small, which was trained again since" in comp(*words)[2]


def test_rounds_teach_each_other(trained, comp):
    assert comp("pseudo", *QUICK, "pseudo.rounds=2")[0] == 0
    config = Path("runs/small-pseudo2/config.yaml").read_text()
    assert "start: small-pseudo\n" in config
    assert "- small-pseudo\n" in config


def test_what_was_chosen_once_stays_chosen(trained, comp):
    assert comp("pseudo", *QUICK, "folds=[0]")[0] == 0
    before = chosen("small-pseudo", 0)
    Path("runs/small-pseudo/fold0/metrics.json").unlink()  # as if it had been interrupted
    opposite(Path("runs/small/fold0/test.parquet"))
    assert comp("pseudo", *QUICK, "folds=[0]")[0] == 0
    pd.testing.assert_frame_equal(chosen("small-pseudo", 0), before)


def test_a_student_of_a_teacher_that_was_trained_again_is_refused_until_it_is_too(trained, comp):
    words = ("pseudo", *QUICK, "folds=[0]")
    assert comp(*words)[0] == 0
    assert comp("predict", "predict.views=[hflip]")[0] == 0
    assert "is already trained" in comp(*words)[1]
    assert comp("train", "--fresh", "train.epochs=3", "folds=[0]")[0] == 0
    for _ in ("done", "interrupted"):
        status, _, err = comp(*words)
        assert (status, err) == (
            1,
            "error: runs/small-pseudo has learned from runs/small, which was trained again since: "
            "comp train runs/small-pseudo/config.yaml --fresh trains it again, too\n",
        )
        Path("runs/small-pseudo/fold0/metrics.json").unlink(missing_ok=True)
    assert comp("train", "runs/small-pseudo/config.yaml", "--fresh")[0] == 0
    status, out, _ = comp(*words)
    assert (status, "is already trained" in out) == (0, True)


@pytest.mark.parametrize("change", ["pseudo.threshold=0.6", "pseudo.labels=soft"])
def test_students_of_another_choice_are_another_run(change, trained, comp):
    assert comp("pseudo", *QUICK, "folds=[0]")[0] == 0
    status, _, err = comp("pseudo", *QUICK, "folds=[0]", change)
    assert status == 1
    assert "student." + change.split("=")[0].removeprefix("pseudo.") in err


def test_when_no_row_is_sure_enough_it_says_what_to_change(trained, comp):
    status, out, _ = comp("pseudo", *QUICK, "pseudo.threshold=1", "folds=[0]")
    assert status == 0
    assert "fold 0  0 of 9 test rows join the training rows: set pseudo.threshold lower" in out


def test_how_often_labels_that_sure_are_right_is_told_of_rows_out_of_fold(trained, comp):
    _, out, _ = comp("pseudo", *QUICK, "pseudo.threshold=0.35", "folds=[0]")
    oof = pd.read_parquet("runs/small/fold0/oof.parquet")
    p = oof.filter(like="p_")
    sure = p.max(axis=1) >= 0.35
    right = (p.idxmax(axis=1) == "p_" + oof["target"].astype(str))[sure].mean()
    assert f"; out of fold, {right:.1%} of the {sure.sum()} labels that are as sure are right" in out


def test_without_teachers_it_says_what_to_run(competition, configure, comp):
    configure()
    comp("split")
    status, _, err = comp("pseudo")
    assert status == 1
    assert "runs/small/fold0/best.safetensors does not exist: run comp train" in err


def test_of_the_students_settings_one_may_be_changed_alone(configure):
    [student] = students(configure(pseudo={"train": {"lr": 0.5}}))
    assert (student.train.lr, student.train.epochs) == (0.5, 3)


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"train": {"min_lr": 1e-4}}, "pseudo.train: train.min_lr=0.0001 is above train.lr=1e-05: set one of the two"),
        ({"pseudo": {"train": {"epoch": 3}}}, "pseudo.train: unknown key 'train.epoch': did you mean 'train.epochs'?"),
        (
            {"pseudo": {"train": {"lr": 0}}, "members": [{"name": "a"}]},
            "pseudo.train: train.lr: input should be greater than 0, not 0",
        ),
        (
            {"synth": {"data": {"root": "made"}, "train": {"epoch": 3}}, "steps": ["split", "train", "synth train"]},
            "synth.train: unknown key 'train.epoch': did you mean 'train.epochs'?",
        ),
    ],
)
def test_settings_that_students_cannot_have_are_refused_before_anything_is_done(sections, line, configure, comp):
    configure(**{"steps": ["split", "train", "pseudo"], **sections})
    status, out, err = comp("run")
    assert (status, out, err) == (1, "", f"error: {line}\n")


def test_who_learns_from_an_unscored_run_is_unscored(trained, comp):
    metrics = Path("runs/small/metrics.json")
    metrics.write_text(json.dumps({**json.loads(metrics.read_text()), "unscored": "it saw too much"}))
    status, out, err = comp("pseudo", *QUICK)
    assert status == 0, err
    assert "cv      unscored: it learned from an unscored run: it saw too much" in out


def flags(run: str) -> dict[str, str]:
    """As metrics.json has them; the leaderboard has the gravest."""
    metrics = json.loads(Path(f"runs/{run}/metrics.json").read_text())
    board = pd.read_csv("runs/leaderboard.csv", dtype=str, keep_default_na=False).set_index("name")
    told = [f"{name}: {metrics[name]}" for name in ("unscored", "flatters") if metrics[name]]
    assert board.loc[run, "flags"] == (told[0] if told else "")
    return {name: metrics[name] for name in ("flatters", "unscored")}


def test_a_student_of_a_run_that_keeps_its_best_epoch_flatters_though_it_keeps_its_last(competition, configure, comp):
    configure(train={"keep": "best"})
    assert comp("split")[0] == comp("train")[0] == 0
    status, out, err = comp("pseudo", *QUICK[1:2], "pseudo.train={epochs: 1, lr: 1.0e-3, keep: last}")
    assert status == 0, err
    why = "it learned from a run that flatters: keep=best chose by the rows that are scored"
    assert flags("small-pseudo") == {"flatters": why, "unscored": ""}
    assert f"the score flatters: {why}" in out
    assert comp("report", "name=small-pseudo")[0] == 0
    assert why in Path("runs/small-pseudo/report.html").read_text(encoding="utf-8")


def test_a_hand_written_student_that_a_stack_teaches_flatters(trained, comp):
    assert comp("stack", "stack.members=[small]", "name=stacked")[0] == 0
    student = "student={start: small, teachers: [stacked], threshold: 0.34}"
    status, _, err = comp("train", "name=taught", "train.epochs=1", student)
    assert status == 0, err
    assert flags("taught")["flatters"] == "it learned from stacked, which was fitted to the rows that are scored"
    assert comp("blend", "blend.members=[taught, small]", "name=mean")[0] == 0
    assert flags("mean")["flatters"].startswith("a member flatters: it learned from stacked")


def test_starting_every_fold_from_the_model_of_one_is_unscored(trained, comp):
    status, _, err = comp("train", "name=warm", "model.weights=runs/small/fold0/best.safetensors")
    assert status == 0, err
    assert "was trained on rows that are scored" in flags("warm")["unscored"]
