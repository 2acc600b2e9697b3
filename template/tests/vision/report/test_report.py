"""The page of a run."""

import json
import re
from pathlib import Path


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
