"""comp compare out of fold: any runs of the same folds, of every kind of target."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from vision.made_runs import make_run

from comp.folds import load_split
from comp.runs.page import Plot, Table
from comp.runs.page.figures import svg
from comp.runs.side_by_side import Pair, open_all, runs_named
from comp.vision.data.read import read_tables
from comp.vision.folds.split import split
from comp.vision.report.compare import details

FOLDS = {"n": 3, "near_duplicates": None}


@pytest.fixture
def many(repo, configure):
    """Runs need no images that can be read, only their names: 300 rows of three classes."""
    root = repo / "data"
    (root / "train").mkdir(parents=True)
    (root / "test").mkdir()
    ids = [f"{number:04d}" for number in range(300)]
    for name in ids:
        (root / "train" / f"{name}.png").write_bytes(b"")
    labels = [("red", "green", "blue")[number % 3] for number in range(300)]
    pd.DataFrame({"id": ids, "label": labels}).to_csv(root / "train.csv", index=False)
    return root


def write_folds(config) -> None:
    """Without looking for duplicates, as the images are empty."""
    from comp.folds import group_names, split_rows

    tables = read_tables(config.data)
    split_rows(config, tables, lambda _: group_names(tables.train).to_numpy())


@pytest.fixture
def three(many, configure):
    """Two twins, and a run that is really better."""
    config = configure(folds=FOLDS, data={"test": None})
    write_folds(config)
    make_run(config, "base", seed=1, skill=0.3)
    make_run(config, "twin", seed=2, skill=0.3)
    make_run(config.model_copy(update={"seed": 7}), "better", seed=3, skill=1.5)
    return config


def test_twins_are_noise_and_a_better_run_is_real(three, comp):
    status, out, err = comp("compare", "base", "runs/twin", "better")
    assert (status, err) == (0, "")
    assert "oof     300 rows that all 3 runs predict, differences to base; verdicts at 0.025 each (Bonferroni)" in out
    assert re.search(r"\n        accuracy  base +0\.\d{4}  0\.\d{4} to 0\.\d{4}\n", out)
    assert re.search(r"\n +twin .*  noise\n", out)
    assert re.search(r"\n +better .*  real\n", out)
    assert re.search(
        r"noise: no difference of base and twin is shown; real: better is better by 0\.\d{4} accuracy\n", out
    )
    assert "golden" not in out
    page = Path("runs/compare-base-twin-better.html").read_text(encoding="utf-8")
    for text in ("Recall of each class", "Rows that only one has right", "Confusion, the second less", ">seed<"):
        assert text in page


def test_the_rows_that_only_one_has_right_are_named(three):
    from comp.folds import units_of

    one, other = open_all(runs_named(["base", "better"]))
    sections = details(Pair(one, other, units_of(one.config, one.folds, one.oof["id"])))
    table = next(
        block for block in sections[0].blocks if isinstance(block, Table) and block.title.startswith("Rows that")
    )
    right = [run.oof["target"] == np.array(run.targets.classes)[run.oof[run.targets.columns].to_numpy().argmax(1)] for run in (one, other)]  # fmt: skip  # noqa: E501
    only = one.oof["id"][right[1] & ~right[0]]
    assert table.rows[1] == ["better", str(len(only)), ", ".join(only[:50])]


def test_the_board_agrees(three, comp):
    status, out, err = comp("board")
    assert (status, err) == (0, "")
    assert "better is the best of 3 runs" in out
    assert re.search(r"\nbetter .* best  +\+0\.\d{4} real \(twin\)", out)
    assert re.search(r"\ntwin .* noise \(base\)", out)


def test_a_run_of_other_folds_is_refused(three, comp):
    config = three.model_copy(update={"folds": three.folds.model_copy(update={"seed": 1})})
    Path("data/folds.csv").unlink()
    write_folds(config)
    make_run(config, "other", seed=4)
    status, _, err = comp("compare", "base", "other")
    assert (status, err.count("\n")) == (1, 1)
    assert "base and other cannot be compared out of fold: other folds: train one of them again" in err
    assert load_split(config, read_tables(config.data)).digest


def test_an_unscored_run_is_not_compared(three, comp):
    from comp.files import write_json
    from comp.runs.rundir import RunDir

    run = RunDir.of_name("twin")
    write_json(run.metrics, {**run.read_metrics(), "unscored": "it saw all"})
    assert "base and twin cannot be compared out of fold: unscored" in comp("compare", "base", "twin")[2]


def test_names_with_dollar_signs_are_no_formulas(three):
    names = {"red": r"$\frac{$", "green": "$a$", "blue": "blue"}
    columns = {f"p_{name}": f"p_{called}" for name, called in names.items()}
    sides = []
    for side in open_all(runs_named(["base", "better"])):
        oof = side.oof.assign(target=side.oof["target"].map(names)).rename(columns=columns)
        targets = replace(side.targets, classes=tuple(names[name] for name in side.targets.classes))
        sides.append(replace(side, oof=oof, targets=targets))
    [section] = details(Pair(*sides, np.arange(300)))
    [plot] = [block for block in section.blocks if isinstance(block, Plot)]
    assert "$a$" in svg(plot.figure)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regression"])
def test_other_targets_are_compared(kind, competition, configure, comp):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    random, red = np.random.default_rng(0), (table["label"] == "red").astype(int)
    columns = {
        "binary": {"is_red": red},
        "multilabel": {"is_red": red, "is_cold": 1 - red},
        "regression": {"size": random.gamma(2, 1, len(table)).round(3)},
    }[kind]
    table[["id"]].assign(**columns).to_csv(competition / "train.csv", index=False)
    (competition / "sample_submission.csv").unlink()
    metric, others = ("rmse", ["mae", "spearman"]) if kind == "regression" else ("roc_auc", ["log_loss", "macro_f1"])
    config = configure(
        folds={"n": 3}, metric=metric, metrics=others, data={"test": None, "kind": kind, "target": list(columns)}
    )
    split(config)
    make_run(config, "a", seed=1, skill=0.5)
    make_run(config, "b", seed=2, skill=2.5)
    status, out, err = comp("compare", "a", "b")
    assert (status, err) == (0, "")
    assert all(name in out for name in (metric, *others))
    assert re.search(rf"(real|noise): .*{metric if 'real:' in out else 'is shown'}", out)
    assert comp("board")[0] == 0
    page = Path("runs/compare-a-b.html").read_text(encoding="utf-8")
    assert ("Rows that differ most, by absolute error" if kind == "regression" else "Rows that only one") in page


@pytest.mark.parametrize(
    ("words", "line"), [(["base"], "name two runs or more"), (["base", "base"], "base is named twice")]
)
def test_what_is_no_pair_is_refused(words, line, three, comp):
    assert line in comp("compare", *words)[2]
