"""The page of a run."""

import json
import re
from pathlib import Path

import pandas as pd

from comp.runs.predictions import read_oof


def page_of(comp) -> str:
    status, out, err = comp("report")
    assert (status, err) == (0, "")
    assert "wrote   runs/small/report.html" in out
    return Path("runs/small/report.html").read_text(encoding="utf-8")


def test_the_page_needs_no_other_file(trained, comp):
    page = page_of(comp)
    references = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(reference.startswith(("data:image/", "data:,", "#")) for reference in references)
    assert "<svg" in page and "http" not in page and "<script" not in page


def test_the_page_names_every_metric_with_its_values(trained, comp):
    page = page_of(comp)
    scores = json.loads(Path("runs/small/metrics.json").read_text())["scores"]
    assert set(scores) == {"accuracy", "log_loss"}
    for name, values in scores.items():
        assert f'<td class="text">{name}</td>' in page
        for value in (values["oof"], values["mean"], values["std"], *values["folds"].values()):
            assert f"{value:.4f}" in page


def test_the_page_names_classes_backbone_and_configuration(trained, comp):
    page = page_of(comp)
    for text in ("red", "green", "blue", "test_resnet", "36 out-of-fold rows", "image_size: 16"):
        assert text in page


def test_the_plots_stand_beside_the_page(trained, comp):
    page_of(comp)
    for name in ("curves", "confusion"):
        assert Path(f"runs/small/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_class_names_are_text_not_markup(competition, configure, comp):
    train = Path("data/train.csv")
    train.write_text(train.read_text().replace("red", "<b>r&d</b>"))
    sample = Path("data/sample_submission.csv")
    sample.write_text(sample.read_text().replace("red", "<b>r&d</b>"))
    configure(folds={"kind": "holdout"})
    comp("split")
    comp("train")
    page = page_of(comp)
    assert "<b>r&d</b>" not in page
    assert "&lt;b&gt;r&amp;d&lt;/b&gt;" in page


def test_a_report_before_training_is_one_clear_line(competition, configure, comp):
    configure()
    status, _, err = comp("report")
    assert status == 1
    assert err.startswith("error: there is no run runs/small")


def test_what_metadata_bring_is_told_by_the_same_models_without_them(competition, configure, comp):
    table = pd.read_csv("data/train.csv", dtype=str)
    table["hint"] = table["label"].str[0]
    table.to_csv("data/train.csv", index=False)
    test = pd.read_csv("data/sample_submission.csv", dtype=str)[["id"]].assign(hint="r")
    test.to_csv("data/test.csv", index=False)
    configure(data={"test": "test.csv"}, model={"metadata": ["hint"]})
    assert comp("split")[0] == comp("train")[0] == 0
    found = [read_oof(Path(f"runs/small/fold{k}/without_metadata.parquet")) for k in (0, 1)]
    blind = pd.concat([oof for oof, _, _ in found])
    targets = found[0][1]
    assert not blind.set_index("id").equals(read_oof(Path("runs/small/oof.parquet"))[0].set_index("id"))
    right = blind[targets.columns].to_numpy().argmax(axis=1) == targets.index(blind["target"])
    page = page_of(comp)
    assert f'<td class="text">hint</td><td>{right.mean():.4f}</td>' in page
    for k in (0, 1):
        Path(f"runs/small/fold{k}/without_metadata.parquet").unlink()  # as an older run has none
    assert '<td class="text">hint</td>' not in page_of(comp)
