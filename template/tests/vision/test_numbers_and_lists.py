"""Numbers, ordered grades, lists of labels and of the likeliest classes: from files to a submission and its score."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import for_a_release
from vision.small import write_competition

from comp.runs.predictions import read_predictions

LEARNS = {"epochs": 6, "batch_size": 6, "lr": 3.0e-3}
AMOUNTS = {"red": (12.5, 3.0), "green": (40.25, 1.0), "blue": (77.75, 2.0)}
LISTS = {"red": "warm", "green": "cold leaf", "blue": "cold"}


def relabel(root: Path, labels, sample: str | dict[str, str]) -> None:
    """`labels` gives the label columns of a table of colors; `sample` is what the sample submission shows."""
    for name in ("train", "solution"):
        table = pd.read_csv(root / f"{name}.csv", dtype=str)
        pd.concat([table[["id"]], labels(table["label"])], axis=1).to_csv(root / f"{name}.csv", index=False)
    shown = pd.read_csv(root / "solution.csv", dtype=str)
    columns = [column for column in shown.columns if column != "id"]
    values = sample if isinstance(sample, dict) else dict.fromkeys(columns, sample)
    shown[["id"]].assign(**values).to_csv(root / "sample_submission.csv", index=False)


def amounts(colors: pd.Series) -> pd.DataFrame:
    noise = np.random.default_rng(len(colors)).normal(0, 0.5, (len(colors), 2)).round(3)
    values = np.array([AMOUNTS[color] for color in colors]) + noise
    return pd.DataFrame({"weight": values[:, 0], "height": values[:, 1]}, index=colors.index)


@pytest.mark.parametrize("loss", ["auto", for_a_release("huber"), for_a_release("bce")])
def test_numbers_are_found_trained_combined_submitted_scored_and_reported(repo, configure, comp, loss):
    write_competition(repo / "data")
    relabel(repo / "data", amounts, "0.5")
    train = {**LEARNS, "epochs": 16, "loss": loss}
    configure(metric="rmse", metrics=["r2", "spearman", "log_loss"], train=train, steps=["split", "train"])
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "target  regression: 2 numbers per row: weight from " in out
    assert "submit  numbers in 'weight', 'height'" in out
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert (targets.kind, targets.columns) == ("regression", ["p_weight", "p_height"])
    error = oof[["p_weight", "p_height"]].to_numpy() - oof[["target_weight", "target_height"]].to_numpy()
    spread = oof[["target_weight", "target_height"]].std().to_numpy()
    rmse = np.sqrt((error**2).mean(axis=0))
    assert (rmse < 0.5 * spread).all()
    assert f"cv      rmse {rmse.mean():.4f} out of fold" in out
    assert "log_loss" not in out
    for command in ("blend", "stack"):
        status, _, err = comp(command, f"name={command}", f"{command}.members=[small]")
        assert (status, err) == (0, "")
        own, _, _ = read_predictions(Path(f"runs/{command}/oof.parquet"))
        assert np.sqrt(((own["p_weight"] - own["target_weight"]) ** 2).mean()) < 0.5 * spread[0]
    for command in ("submit", "score", "report"):
        status, out, err = comp(command)
        assert (status, err) == (0, "")
    submission = pd.read_csv("submissions/small.csv", dtype={"id": str})
    truth = pd.read_csv("data/solution.csv", dtype={"id": str})
    assert list(submission.columns) == ["id", "weight", "height"]
    expected = np.sqrt(((submission.drop(columns="id") - truth.drop(columns="id")) ** 2).mean()).mean()
    assert f"score   rmse {expected:.4f}" in comp("score")[1]
    page = Path("runs/small/report.html").read_text(encoding="utf-8")
    assert "weight, lowest third" in page
    assert Path("runs/small/scatter.png").is_file()


def grades(colors: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"grade": colors.map({"red": 0, "green": 1, "blue": 4})}, index=colors.index)


@pytest.mark.parametrize("loss", ["mse", "huber", "corn"])
def test_ordered_grades_are_learned_as_numbers_or_step_by_step(repo, configure, comp, loss):
    write_competition(repo / "data")
    relabel(repo / "data", grades, "0")
    configure(metric="quadratic_kappa", train={**LEARNS, "loss": loss}, steps=["split", "train", "submit", "score"])
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    oof, targets, _ = read_predictions(Path("runs/small/oof.parquet"))
    assert targets.classes == ("0", "1", "4")
    p = oof[targets.columns].to_numpy()
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert (p >= 0).all()
    assert float(out.split("score   quadratic_kappa ")[1].split()[0]) > 0.8
    assert "labels  quadratic_kappa out of fold" in out
    assert set(pd.read_csv("submissions/small.csv")["grade"]) <= {0, 1, 4}
    assert comp("predict")[0] == 0  # from the checkpoint, which knows what its outputs mean
    assert np.allclose(read_predictions(Path("runs/small/oof.parquet"))[0][targets.columns].to_numpy(), p, atol=1e-6)


def test_lists_of_labels_are_taken_apart_and_written_back(repo, configure, comp):
    write_competition(repo / "data")
    relabel(repo / "data", lambda colors: pd.DataFrame({"tags": colors.map(LISTS)}), "cold leaf warm")
    configure(metric="samples_f1", train=LEARNS, steps=["split", "train", "submit", "score", "report"])
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "target  multilabel: 3 of them: cold, leaf, warm; lists in 'tags', separated by blanks" in out
    assert "submit  lists of labels in 'tags', separated by blanks" in out
    submission = pd.read_csv("submissions/small.csv", dtype=str)
    truth = pd.read_csv("data/solution.csv", dtype=str)
    right = [
        set(one.split()) == set(other.split()) for one, other in zip(submission["tags"], truth["tags"], strict=True)
    ]
    assert np.mean(right) > 0.8
    assert float(out.split("score   samples_f1 ")[1].split()[0]) >= np.mean(right)


def test_the_likeliest_classes_are_listed_where_the_sample_lists_them(repo, configure, comp):
    write_competition(repo / "data")
    relabel(repo / "data", lambda colors: pd.DataFrame({"Id": colors}), "blue red")
    configure(metric="map@3", train=LEARNS, steps=["split", "train", "submit", "score"])
    status, out, err = comp("run")
    assert (status, err) == (0, "")
    assert "submit  the 2 likeliest in 'Id', the best first, separated by blanks" in out
    submission = pd.read_csv("submissions/small.csv", dtype=str)["Id"].str.split(expand=True)
    truth = pd.read_csv("data/solution.csv", dtype=str)["Id"]
    assert submission.shape[1] == 2
    expected = ((submission[0] == truth) + (submission[1] == truth) / 2).mean()
    assert f"score   map@3 {expected:.4f}" in out
    assert comp("submit", "submit.new=stranger", "submit.new_below=1")[0] == 0
    assert pd.read_csv("submissions/small.csv", dtype=str)["Id"].str.startswith("stranger ").all()
