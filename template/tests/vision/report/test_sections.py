"""What the page claims of a run, against the same numbers computed otherwise."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk
from vision.report.stored import METRIC, TARGETS, store
from vision.report.test_intervals import rows_of

from comp.tables import Targets
from comp.vision.report.calibration import calibration_section, ece, fitted_temperature, judged, tempered
from comp.vision.report.classes import class_table
from comp.vision.report.confidence import sure_mistakes, surest
from comp.vision.report.confusion import confused_pairs
from comp.vision.report.labels import best_threshold, how_many, instead, label_table, together
from comp.vision.report.members import members_table, views_table
from comp.vision.report.numbers import worst_rows
from comp.vision.report.priors import matched, priors_section
from comp.vision.report.report import report
from comp.vision.report.rows import Rows, losses
from comp.vision.schema import ImageConfig


def by_first(table) -> dict[str, list[str]]:
    """The rows of a table by their first cell."""
    return {row[0]: row[1:] for row in table.rows}


def test_precision_recall_and_f1_are_those_of_scikit_learn_and_the_worst_class_comes_first():
    choices = rows_of("multiclass").choices
    each = sk.precision_recall_fscore_support(choices.truth, choices.choice, labels=range(4), zero_division=0)
    table = by_first(class_table(choices))
    for name, *values, support in zip(choices.names, *each, strict=True):
        assert table[name][:4] == [str(support), *(f"{value:.3f}" for value in values)]
    assert next(iter(table)) == choices.names[int(each[2].argmin())]


def test_the_most_confused_pair_is_the_largest_entry_beside_the_diagonal():
    choices = rows_of("multiclass").choices
    counts = sk.confusion_matrix(choices.truth, choices.choice)
    np.fill_diagonal(counts, 0)
    first = confused_pairs(choices).rows[0]
    assert first[2] == str(counts.max())
    assert counts[choices.names.index(first[0]), choices.names.index(first[1])] == counts.max()
    assert first[4] == f"{100 * counts.max() / counts.sum():.1f} %"


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
def test_losses_are_those_of_the_metric(kind):
    rows = rows_of(kind)
    assert losses(rows).mean() == pytest.approx(rows.score("log_loss"), rel=1e-6)


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_is_found_again(kind, temperature):
    """Predictions that were fitted well and then sharpened or softened."""
    rows = rows_of(kind, 6000)
    best = fitted_temperature(rows)
    p = rows.p.astype(np.float64) ** (1 / temperature)
    p = p / p.sum(axis=1, keepdims=True) if kind == "multiclass" else p / (p + (1 - rows.p) ** (1 / temperature))
    assert fitted_temperature(rows.saying(p)) == pytest.approx(best / temperature, rel=0.03)


def test_calibration_is_measured_by_rows_that_the_temperature_was_not_fitted_to():
    rows = rows_of("multiclass", 3000)
    sharp = rows.p.astype(np.float64) ** 3
    sharp = rows.saying((sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32))
    changed = tempered(sharp)
    for k, temperature in zip(sharp.folds, changed.temperatures, strict=True):
        assert temperature == pytest.approx(fitted_temperature(sharp.where(sharp.fold != k)), rel=1e-6)
    sure, right = judged(sharp)
    bins = np.minimum((sure * 15).astype(int), 14)
    expected = sum(abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins))
    assert ece(sure, right) == pytest.approx(expected, rel=1e-5)
    section = calibration_section(sharp)
    assert section.blocks[0].paragraphs[0].startswith("Overconfident: a temperature")
    before, after = section.blocks[1].rows
    assert float(before[1]) == pytest.approx(sharp.score("log_loss"), abs=1e-4)
    assert float(after[1]) < float(before[1]) - 0.05
    assert float(after[2]) < 0.3 * float(before[2])


def test_one_fold_is_calibrated_by_parts_of_its_own():
    rows = rows_of("multiclass", 600)
    one = Rows(rows.ids, np.zeros(600, dtype=int), rows.unit // 2, rows.y, rows.p, rows.targets)
    changed = tempered(one)
    assert changed.parts == "parts of the fold"
    assert len(changed.temperatures) == 5
    assert np.allclose(changed.p.sum(axis=1), 1)


def test_confidence_tables_count_rows():
    sure, right = np.array([0.99, 0.95, 0.9, 0.6, 0.4]), np.array([True, False, True, False, True])
    assert by_first(sure_mistakes(sure, right))["0.9"] == ["3", "1", "33.33 %", "50.00 %"]
    assert by_first(surest(sure, right))["50 %"] == ["2", "50.00 %", "0.950"]


def test_shares_of_a_shifted_test_set_are_found_and_predictions_change_for_the_better():
    rows = rows_of("multiclass", 8000)
    trained = rows.y.mean(axis=0)
    drawn = np.random.default_rng(0).choice(8000, 6000, p=(weight := (rows.y @ [1, 2, 4, 12.0])) / weight.sum())
    found = matched(rows.p[drawn], trained)
    assert np.abs(found.shares - rows.y[drawn].mean(axis=0)).max() < 0.02
    truth = rows.y[drawn].argmax(axis=1)
    assert (found.p.argmax(axis=1) == truth).mean() > (rows.p[drawn].argmax(axis=1) == truth).mean() + 0.01


@pytest.mark.parametrize("kind", TARGETS)
def test_test_predictions_leave_golden_rows_out(kind, configure):
    stored = store(configure(metric=METRIC.get(kind, "accuracy"), metrics=[]), TARGETS[kind])
    rows = Rows.of(stored.oof, stored.targets)
    golden = stored.test.assign(id="golden:" + stored.test["id"])
    assert priors_section(rows, golden).blocks == []
    assert priors_section(rows, stored.test).blocks != []


def test_labels_have_the_figures_of_scikit_learn():
    rows = rows_of("multilabel")
    table = by_first(label_table(rows))
    for k, name in enumerate(rows.targets.classes):
        y, p = rows.y[:, k].astype(int), rows.p[:, k]
        assert float(table[name][3]) == pytest.approx(sk.f1_score(y, p >= 0.5), abs=1e-3)
        assert float(table[name][6]) == pytest.approx(sk.roc_auc_score(y, p), abs=1e-3)
        found, tried = best_threshold(y > 0, p), [sk.f1_score(y, p >= t) for t in np.unique(p)]
        assert sk.f1_score(y, p >= found) == pytest.approx(max(tried), abs=1e-9)


def test_labels_that_stand_for_each_other_and_together_are_counted():
    rows = rows_of("multilabel", 4)
    truth = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]]) > 0
    given = np.array([[0, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]]) > 0
    assert instead(rows, truth, given).rows == [["wet", "red", "2", "100.0 %"]]
    assert ["wet", "old", "0", "1", "+1"] in together(rows, truth, given).rows
    assert by_first(how_many(truth, given)) == {
        "0": ["1", "1", "100.0 %"],
        "1": ["2", "2", "0.0 %"],
        "2": ["1", "0", "0.0 %"],
        "3": ["0", "1", "–"],
    }


def test_the_row_with_the_largest_error_comes_first():
    rows = rows_of("regression")
    p = rows.p.copy()
    p[17, 1] += 50
    assert worst_rows(rows.saying(p)).rows[0][0] == "i17"


def test_what_a_member_brings_is_what_the_mean_loses_without_it(configure):
    targets = TARGETS["multiclass"]
    members = {name: store(configure(name=name), targets, seed=seed) for seed, name in enumerate(("a", "b", "c"))}
    rows = Rows.of(members["a"].oof, targets)
    p = {name: each.oof[targets.columns].to_numpy() for name, each in members.items()}
    combines = {"members": ["a", "b", "c", "gone"], "weights": [0.5, 0.3, 0.2, 0.0]}
    [table] = members_table(combines, rows, "accuracy")
    truth = targets.index(members["a"].oof["target"])

    def accuracy(*names: str) -> float:
        return float((np.mean([p[name] for name in names], axis=0).argmax(axis=1) == truth).mean())

    Path("mate").mkdir()
    Path("runs/c").rename("mate/c")
    assert len(members_table(combines, rows, "accuracy")[0].rows) == 2
    elsewhere = {**combines, "members": ["a", "b", "mate/c", "gone"]}
    assert by_first(members_table(elsewhere, rows, "accuracy")[0])["a"] == by_first(table)["a"]
    assert by_first(table)["a"][:2] == ["0.50", f"{accuracy('a'):.4f}"]
    assert by_first(table)["a"][2] == f"{accuracy('b', 'c'):.4f}"
    assert by_first(table)["a"][3] == f"{accuracy('a', 'b', 'c') - accuracy('b', 'c'):+.4f}"
    assert "gone" in table.note


@pytest.mark.parametrize("kind", TARGETS)
def test_each_kind_has_a_whole_page_whose_ids_are_its_own(kind, configure):
    metric = METRIC.get(kind, "accuracy")
    config: ImageConfig = configure(metric=metric, metrics=[])
    stored = store(config, TARGETS[kind])
    page = report(config).read_text(encoding="utf-8")
    score = json.loads(Path("runs/small/metrics.json").read_text())["scores"][metric]["oof"]
    assert f"{metric} {score:.4f} out of fold (95 %: " in page
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|href=")#([^)"]*)', page)) <= set(ids)
    assert "nan" not in re.sub(r"<svg.*?</svg>|<pre>.*?</pre>", "", page, flags=re.DOTALL).lower().split()
    assert stored.run.path.joinpath("curves.png").is_file()
    for title in ("Scores", "Training", "Folds", "Test predictions", "Timings", "Configuration"):
        assert f"<h2>{title}</h2>" in page


def test_what_keeps_a_score_from_being_trusted_is_said_first(configure):
    config = configure(train={"keep": "best"})
    store(config, TARGETS["multiclass"])
    page = report(config).read_text(encoding="utf-8")
    assert '<p class="sentence look">The score flatters: keep=best' in page
    metrics = json.loads(Path("runs/small/metrics.json").read_text())
    Path("runs/small/metrics.json").write_text(json.dumps({**metrics, "unscored": "its teachers saw them"}))
    page = report(config).read_text(encoding="utf-8")
    assert '<p class="sentence look">Unscored: its teachers saw them.' in page
    assert f"{metrics['scores']['accuracy']['oof']:.4f}" not in page.split("<h2>Training</h2>")[0]
    assert "Shares of the classes" in page
    assert "standard errors" not in page
    assert "Weakest" not in page
    assert "<h2>Classes</h2>" not in page
    assert not any(f"<td>{value:.4f}</td>" in page for value in metrics["scores"]["accuracy"]["folds"].values())


def test_views_are_compared_with_the_epoch_that_was_kept(configure, capsys):
    config = configure(predict={"views": ["identity", "hflip"]})
    stored = store(config, TARGETS["multiclass"])
    metrics = {**json.loads(Path("runs/small/metrics.json").read_text()), "views": ["identity", "hflip"]}
    Path("runs/small/metrics.json").write_text(json.dumps(metrics))
    page = report(config).read_text(encoding="utf-8")
    gain = metrics["scores"]["accuracy"]["folds"]["0"] - 0.8  # the last epoch of its history
    assert f"<td>{gain:+.4f}</td>" in page
    capsys.readouterr()
    for k in range(3):
        history = stored.run.fold(k).joinpath("history.csv")
        history.write_text(history.read_text().replace("accuracy", "macro_f1"))
    assert views_table(stored.run, config, metrics) == []
    assert (
        "note    runs/small/fold0/history.csv has no accuracy: the page is made without it" in capsys.readouterr().out
    )
    for k in range(3):
        stored.run.fold(k).joinpath("history.csv").unlink()
    assert views_table(stored.run, config, metrics) == []
    scores = {"macro_f1": metrics["scores"]["accuracy"]}  # of comp predict, by another metric
    Path("runs/small/metrics.json").write_text(json.dumps({**metrics, "metric": "macro_f1", "scores": scores}))
    assert "<h3>Views</h3>" not in report(config).read_text(encoding="utf-8")


def test_a_history_without_rates_is_read_as_before(configure):
    config = configure()
    stored = store(config, TARGETS["multiclass"])
    assert "Learning rate" in report(config).read_text(encoding="utf-8")
    for k in range(3):
        path = stored.run.fold(k) / "history.csv"
        lines = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("".join(f"{','.join([line[0], *line[2:]])}\n" for line in lines))
    page = report(config).read_text(encoding="utf-8")
    assert "Learning rate" not in page
    assert "validation accuracy" in page


def test_names_with_markup_and_formulas_are_text_everywhere(configure):
    targets = Targets("multiclass", ("<b>x</b>", "$a$", "a & b"))
    config = configure()
    store(config, targets)
    page = report(config).read_text(encoding="utf-8")
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "$a$" in page


def test_the_configuration_is_told_as_differences_from_the_recipe(configure):
    Path("conf/recipes").mkdir(parents=True)
    Path("conf/recipes/plain.yaml").write_text(
        "recipe: {title: Plain}\nmodel: {backbone: test_resnet}\ntrain: {epochs: 7}\n", encoding="utf-8"
    )
    config = configure(recipe={"title": "Plain"}, train={"epochs": 7, "lr": 0.25})
    store(config, TARGETS["multiclass"])
    page = report(config).read_text(encoding="utf-8")
    table = page.split("Differences from the recipe plain")[1].split("</table>")[0]
    assert '<td class="text">train.lr</td><td class="text">0.0001</td><td class="text">0.25</td>' in table
    assert "train.epochs" not in table
    assert "epochs: 7" in page.split("<pre>")[1]


@pytest.mark.release  # pages of a few rows are above
def test_a_hundred_thousand_rows_make_a_small_page_in_time(configure, capsys):
    targets = Targets("multiclass", tuple(f"class {k}" for k in range(40)))
    config = configure()
    store(config, targets, rows=100_000, folds=5)
    started = time.process_time()
    path = report(config)
    seconds = time.process_time() - started
    with capsys.disabled():
        print(f"\nreport of 100,000 rows of 40 classes: {seconds:.0f} s, {path.stat().st_size / 1e6:.2f} MB")
    assert path.stat().st_size < 1e6
    assert seconds < 120
    assert not Path("runs/small/confusion.png").exists()
