"""Binary and multi-label targets, from files to a submission."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from vision.small import COLORS, write_competition

from comp.runs.predictions import read_predictions
from comp.tables import Targets
from comp.vision.metrics import score

STEPS = ["split", "train", "submit", "report"]
LEARNS = {"epochs": 6, "batch_size": 6, "lr": 3.0e-3}


def relabel(root: Path, columns: dict[str, set[str]], sample_value: str) -> None:
    """Instead of the color's name, a 0/1 column for each of `columns`, which names the colors that it holds for."""
    for name in ("train", "solution"):
        table = pd.read_csv(root / f"{name}.csv", dtype=str)
        labels = {column: table["label"].isin(colors).astype(int) for column, colors in columns.items()}
        table[["id"]].assign(**labels).to_csv(root / f"{name}.csv", index=False)
    sample = pd.read_csv(root / "solution.csv", dtype=str)[["id"]]
    sample.assign(**dict.fromkeys(columns, sample_value)).to_csv(root / "sample_submission.csv", index=False)


@pytest.fixture
def binary(repo):
    write_competition(repo / "data")
    relabel(repo / "data", {"warm": {"red"}}, "0.5")


@pytest.fixture
def multilabel(repo):
    write_competition(repo / "data")
    relabel(repo / "data", {"cold": {"blue", "green"}, "leaf": {"green"}}, "0.5")


def test_a_binary_target_trains_and_submits_one_probability(binary, configure, comp):
    configure(steps=STEPS, metric="roc_auc", metrics=["accuracy", "log_loss", "quadratic_kappa"], train=LEARNS)
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "target  binary" in out
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert (targets.kind, targets.columns) == ("binary", ["p_warm"])
    assert set(oof["target"]) == {0, 1}
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str})
    truth = pd.read_csv("data/solution.csv", dtype={"id": str})
    assert list(submission.columns) == ["id", "warm"]
    assert submission["warm"].between(0, 1).all()
    assert submission["warm"][truth["warm"] == 1].min() > submission["warm"][truth["warm"] == 0].max()


def test_labels_train_and_submit_a_probability_each(multilabel, configure, comp):
    configure(steps=STEPS, metric="roc_auc", metrics=["accuracy", "macro_f1", "log_loss"], train=LEARNS)
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "target  multilabel" in out
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert targets.columns == ["p_cold", "p_leaf"]
    assert {"target_cold", "target_leaf"} <= set(oof.columns)
    assert not np.allclose(oof[targets.columns].sum(axis=1), 1, atol=0.05)
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str})
    truth = pd.read_csv("data/solution.csv", dtype={"id": str})
    assert list(submission.columns) == ["id", "cold", "leaf"]
    assert submission[["cold", "leaf"]].isin(range(2)).sum().sum() == 0
    assert score("roc_auc", truth[["cold", "leaf"]].to_numpy(), submission[["cold", "leaf"]].to_numpy(), targets) > 0.9


def test_one_hot_columns_train_one_softmax_and_submit_the_samples_columns(repo, configure, comp):
    write_competition(repo / "data")
    relabel(repo / "data", {color: {color} for color in ("red", "green", "blue")}, "0.5")
    configure(steps=[*STEPS, "score"], metrics=["log_loss"], train=LEARNS)
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "target  multiclass: 3 of them: red, green, blue; one per row" in out.split("== train")[0]
    assert "submit  probabilities in 'red', 'green', 'blue'" in out.split("== train")[0]
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert (targets.kind, targets.classes) == ("multiclass", ("red", "green", "blue"))
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str})
    assert list(submission.columns) == ["id", "red", "green", "blue"]
    assert np.allclose(submission[["red", "green", "blue"]].sum(axis=1), 1, atol=1e-6)
    right = (oof[targets.columns].to_numpy().argmax(axis=1) == targets.index(oof["target"])).mean()
    assert f"cv      accuracy {right:.4f} out of fold" in out


def test_the_accuracy_of_several_labels_is_told_as_one_per_cell(multilabel, configure, comp):
    configure(metric="accuracy", metrics=["subset_accuracy"], steps=["split", "train", "report"])
    _, out, _ = comp("run")
    assert "cv      accuracy (per cell) 0." in out
    assert "cv      subset_accuracy 0." in out
    assert '<td class="text">accuracy (per cell)</td>' in Path("runs/small/report.html").read_text(encoding="utf-8")


def grades(root: Path) -> None:
    """The colors become grades that are words."""
    words = {"red": "No", "green": "Mild", "blue": "Severe"}
    for name in ("train", "solution", "sample_submission"):
        table = pd.read_csv(root / f"{name}.csv", dtype=str)
        table.assign(label=table["label"].map(words)).to_csv(root / f"{name}.csv", index=False)


@pytest.mark.parametrize("command", ["split", "train"])
@pytest.mark.parametrize("key", ["metric", "metrics"])
def test_kappa_of_words_is_refused_before_training_and_right_in_their_order(competition, configure, comp, command, key):
    grades(competition)
    configure(train=LEARNS)
    assert comp("split")[0] == 0
    wanted = "quadratic_kappa" if key == "metric" else "[quadratic_kappa]"
    status, out, err = comp(command, f"{key}={wanted}")
    assert (status, err.count("\n")) == (1, 1)
    assert "add the line `classes: [Mild, 'No', Severe]` under `data:`" in err
    assert not any(word in out for word in ("epoch", "cache", "duplicates"))


def test_grades_in_a_given_order_are_trained_submitted_and_scored_in_it(competition, configure, comp):
    grades(competition)
    order = ["No", "Mild", "Severe"]
    configure(
        train=LEARNS, metric="quadratic_kappa", data={"classes": order}, steps=["split", "train", "submit", "score"]
    )
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "No, Mild, Severe; in the order of data.classes" in out
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert targets == Targets("multiclass", tuple(order), ordered=True)
    rank = {name: place for place, name in enumerate(order)}
    choice = oof[targets.columns].to_numpy().argmax(axis=1)
    expected = cohen_kappa_score(oof["target"].map(rank), choice, weights="quadratic")
    assert f"cv      quadratic_kappa {expected:.4f} out of fold" in out
    assert set(pd.read_csv("submissions/small.csv")["label"]) <= set(order)


TWO = {"red": "REAL", "green": "FAKE", "blue": "FAKE"}


@pytest.mark.parametrize(
    ("column", "sample", "settings", "words"),
    [
        ("target", "0.5", [], "add the line `positive: FAKE` or `positive: REAL` under `submit:`"),
        ("target", "0.5", ["submit.positive=fake"], "submit.positive=fake: there is no such class"),
        ("label", "Fake", [], "the sample submission spells labels 'Fake'"),
        ("label", "fish", [], "the sample submission spells labels 'fish'"),
    ],
)
@pytest.mark.parametrize("command", ["split", "train"])
def test_a_sample_that_does_not_fit_is_refused_before_training(
    competition, configure, comp, command, column, sample, settings, words
):
    train = pd.read_csv(competition / "train.csv", dtype=str)
    train.assign(label=train["label"].map(TWO)).to_csv(competition / "train.csv", index=False)
    old = pd.read_csv(competition / "sample_submission.csv", dtype=str)[["id"]]
    old.assign(is_real="0.5").to_csv(competition / "sample_submission.csv", index=False)
    configure(metric="roc_auc", data={"target": "label"})
    _, out, _ = comp("split")
    assert "submit  'is_real' is the probability of 'REAL' (by its name)" in out
    old.assign(**{column: sample}).to_csv(competition / "sample_submission.csv", index=False)
    status, out, err = comp(command, *settings)
    assert (status, err.count("\n")) == (1, 1)
    assert words in err
    assert not any(word in out for word in ("epoch", "cache", "duplicates"))


def test_the_probability_of_the_class_that_the_column_names_is_submitted_scored_and_reported(
    competition, configure, comp
):
    for name in ("train", "solution"):
        table = pd.read_csv(competition / f"{name}.csv", dtype=str)
        table.assign(label=table["label"].map(TWO)).to_csv(competition / f"{name}.csv", index=False)
    sample = pd.read_csv(competition / "sample_submission.csv", dtype=str)[["id"]]
    sample.assign(prob_fake="0.5").to_csv(competition / "sample_submission.csv", index=False)
    configure(metric="roc_auc", data={"target": "label"}, train=LEARNS, steps=[*STEPS, "score"])
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert out.count("'prob_fake' is the probability of 'FAKE' (by its name)") == 4  # split, train, submit, score
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str}).set_index("id")
    test = read_predictions(Path("runs/small/test.parquet"))[0].set_index("id")
    assert np.array_equal(submission["prob_fake"].astype(np.float32), test.loc[submission.index, "p_FAKE"])
    assert float(out.split("score   roc_auc ")[1].split()[0]) > 0.9
    page = Path("runs/small/report.html").read_text(encoding="utf-8")
    assert "submission: &#39;prob_fake&#39; is the probability of &#39;FAKE&#39;" in page


def test_classes_and_ids_that_are_called_like_missing_values_go_from_files_to_a_score(competition, configure, comp):
    words = {"red": "nan", "green": "None", "blue": "inf"}
    ids = {"0000": "nan", "0001": "NA", "0002": "inf", "0003": "None", "05000": "NaN", "05001": "null", "05002": "-inf"}
    for name in ("train", "solution", "sample_submission"):
        table = pd.read_csv(competition / f"{name}.csv", dtype=str)
        table = table.assign(label=table["label"].map(words), id=table["id"].replace(ids))
        table.to_csv(competition / f"{name}.csv", index=False)
    for old, new in ids.items():
        folder = competition / ("test" if len(old) == 5 else "train")
        (folder / f"{old}.png").rename(folder / f"{new}.png")
    configure(train=LEARNS, steps=["split", "train", "submit", "score", "report"])
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    submission = pd.read_csv("submissions/small.csv", dtype=str, keep_default_na=False)
    assert list(submission["id"][:3]) == ["NaN", "null", "-inf"]
    assert set(submission["label"]) == {"nan", "None", "inf"}
    assert "score   accuracy 1.0000" in out
    sample = submission[["id"]].assign(inf="0.5", nan="0.5", None_prob="0.5")
    sample.to_csv(competition / "sample_submission.csv", index=False)
    assert comp("submit")[0] == comp("score")[0] == 0


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_switches_that_look_at_the_targets_work_for_labels_too(kind, request, configure, comp):
    request.getfixturevalue(kind)
    train = {"loss": "focal", "class_weights": "balanced", "sampler": "weighted", "label_smoothing": 0.1}
    configure(train={**LEARNS, **train}, augment={"mixup": 0.2}, metric="roc_auc", folds={"kind": "holdout"})
    comp("split")
    status, _, err = comp("train")
    assert (status, err) == (0, "")
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    truth, p = oof[targets.truth_columns].to_numpy()[:, 0], oof[targets.columns].to_numpy()[:, 0]
    assert p[truth == 1].mean() > p[truth == 0].mean()


def test_kappa_of_labels_is_one_clear_line_before_training(multilabel, configure, comp):
    configure(metric="quadratic_kappa")
    comp("split")
    status, out, err = comp("train")
    assert status == 1
    assert err.count("\n") == 1
    assert err.startswith("error: the metric quadratic_kappa is not for several labels per row, and the targets are")
    assert "epoch" not in out


def test_a_softmax_loss_for_labels_is_one_clear_line_before_training(multilabel, configure, comp):
    configure(train={"loss": "cross_entropy"})
    comp("split")
    status, out, err = comp("train")
    assert status == 1
    assert err.startswith("error: train.loss=cross_entropy is for one class per row, and the targets are multilabel")
    assert "epoch" not in out


def test_one_column_a_class_in_the_sample_asks_for_probabilities(trained, comp):
    sample = pd.read_csv("data/sample_submission.csv", dtype=str)[["id"]]
    sample.assign(**dict.fromkeys(sorted(COLORS, reverse=True), "0")).to_csv("data/sample_submission.csv", index=False)
    assert comp("submit")[0] == 0
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str}).set_index("id")
    assert list(submission.columns) == ["red", "green", "blue"]
    assert np.allclose(submission.sum(axis=1), 1, atol=1e-4)
    test, _, _ = read_predictions(Path("runs/small/test.parquet"))
    assert np.allclose(submission.loc[test["id"], "red"], test["p_red"], atol=1e-5)
