"""The leaderboard's columns: where a run comes from, what was noted by hand; none is ever lost."""

import itertools
import subprocess

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from comp.files import write_json
from comp.registry import greater_is_better, names
from comp.runs import predictions
from comp.runs.board import board as show
from comp.runs.history import parent_of, stamp
from comp.runs.leaderboard import note_in_leaderboard, read_leaderboard, write_leaderboard
from comp.runs.paired import Sums
from comp.runs.predictions import oof_table, write_predictions
from comp.runs.results import Scoring, join_folds
from comp.runs.rundir import RunDir, now
from comp.runs.standing import standings
from comp.tables import Targets

TARGETS = Targets("binary", ("yes",))
N = 600
TRAIN = pd.DataFrame({"id": [f"{row:04d}" for row in range(N)], "target": np.arange(N) % 2.0})


def measures(_, names, oof, targets):
    """Whether each row is right, under any name."""
    right = (oof["p_yes"] >= 0.5) == (oof["target"] >= 0.5)
    rows = np.column_stack([right.to_numpy(float), np.ones(len(oof))])
    return {name: Sums(rows, lambda sums: sums[:, 0] / sums[:, 1]) for name in names}


def score(name, oof, targets) -> float:
    return float(((oof["p_yes"] >= 0.5) == (oof["target"] >= 0.5)).mean())


def make(config, skill=0.7, seed=0, digest="0" * 16, rows=N, trained="", **facts):
    """A finished run whose rows are right with the probability `skill`."""
    run, random = RunDir.of(config), np.random.default_rng(seed)
    run.start(config)
    right = random.random(N) < skill
    p = np.where(right, TRAIN["target"], 1 - TRAIN["target"])[:, None]
    for k in range(5):
        own = np.flatnonzero((np.arange(N) % 5 == k) & (np.arange(N) < rows))
        table = oof_table(TRAIN, own, np.full(len(own), k), p[own], TARGETS)
        write_predictions(run.fold(k) / "oof.parquet", table, TARGETS, digest)
        write_predictions(
            run.fold(k) / "test.parquet", predictions.test_table(TRAIN[:3], p[:3], TARGETS), TARGETS, digest
        )
        write_json(run.fold(k) / "metrics.json", {"rows": len(own), "seconds": 6.0, "trained": trained})
    return join_folds(config, TRAIN["id"], run, Scoring(score, measures), facts)


def lines() -> dict[str, dict[str, str]]:
    return {line["name"]: line for line in read_leaderboard()}


def test_a_line_says_where_its_run_comes_from(small):
    make(small.configure(name="a"))
    make(small.configure(name="b", train={"lr": 0.5}, seed=9), seed=1)
    make(small.configure(name="elsewhere"), digest="1" * 16)
    make(small.configure(name="c", parent="a"), seed=2)
    found = lines()
    assert {name: line["parent"] for name, line in found.items()} == {"a": "", "b": "a", "elsewhere": "", "c": "a"}
    assert found["b"]["changed"] == "seed, train.lr"
    assert found["c"]["changed"] == ""
    assert found["a"]["n_rows"] == str(N)
    assert 0 < float(found["a"]["low"]) < float(found["a"]["cv"]) < float(found["a"]["high"]) < 1
    assert pd.Timestamp(found["a"]["date"]) > pd.Timestamp("2020-01-01")


@pytest.mark.parametrize("greater", [True, False])
def test_a_score_that_is_no_number_is_behind_all_others_wherever_it_came(greater, small):
    metric = next(name for name in names("metric") if greater_is_better(name) == greater)
    wanted = ["0.9", "0.5"] if greater else ["0.5", "0.9"]
    for order in itertools.permutations([*wanted, "nan", "unscored"]):
        written = [{"name": cv, "metric": metric, "cv": cv} for cv in order]
        write_leaderboard(written)
        assert [line["name"] for line in read_leaderboard()][:2] == wanted
        assert standings(written, measures)[0].best.name == wanted[0]


def test_a_member_whose_score_is_no_number_is_no_parent(small):
    for name, value in (("a", np.nan), ("b", 0.5), ("c", 0.6), ("d", np.nan)):
        config = small.configure(name=name)
        least = {"metric": config.metric, "rows": 8, "folds": 2, "seconds": 1.0, "flatters": "", "unscored": ""}
        score = {"folds": {}, "oof": value, "mean": value, "std": None}
        write_json(RunDir.of_name(name).metrics, {**least, "scores": {config.metric: score}})
    assert parent_of(config, {"combines": {"members": ["a", "b", "c", "d"]}}, []) == "c"


def test_a_combination_has_its_best_member_for_a_parent(small):
    make(small.configure(name="a"), 0.6)
    make(small.configure(name="b"), 0.8)
    make(small.configure(name="mean", parent="a"), 0.9, combines={"kind": "mean", "members": ["a", "b", "friend"]})
    assert lines()["mean"]["parent"] == "b"


def test_scored_again_a_run_keeps_its_parent_its_public_score_and_columns_of_ones_own(small):
    first, second = small.configure(name="a"), small.configure(name="b")
    make(first)
    make(second)
    table = pd.read_csv("runs/leaderboard.csv", dtype=str, keep_default_na=False)
    table.assign(public=["0.71", "0.72"], note=["x", "y"]).to_csv("runs/leaderboard.csv", index=False)
    before = lines()
    make(first)
    make(second)
    for name, line in lines().items():
        assert {key: line[key] for key in ("public", "note", "parent")} == {
            key: before[name][key] for key in ("public", "note", "parent")
        }


@pytest.mark.parametrize("noted", [True, False])
def test_a_run_that_predicts_something_else_has_not_the_public_score_of_the_one_before(noted, small):
    """Of a run that an older version noted, the time of its training tells."""
    config, first = small.configure(name="a"), now()
    make(config, trained=first)
    table = pd.read_csv("runs/leaderboard.csv", dtype=str, keep_default_na=False).assign(public="0.71", note="x")
    table.drop(columns=[] if noted else ["predictions"]).to_csv("runs/leaderboard.csv", index=False)
    make(config, trained=first)  # scored again
    assert lines()["a"]["public"] == "0.71"
    table.drop(columns=[] if noted else ["predictions"]).to_csv("runs/leaderboard.csv", index=False)
    make(config, 0.2, seed=1, trained=first if noted else now())  # as the same members do with other weights
    assert (lines()["a"]["public"], lines()["a"]["note"]) == ("", "x")


@pytest.mark.parametrize("mean", [0.5, 2000])
@pytest.mark.parametrize(("change", "kept"), [(0.0, True), (1e-4, True), (0.02, False)])
def test_a_public_score_stays_with_predictions_that_differ_by_noise_alone(change, kept, mean, small):
    run, random = RunDir.of_name("a"), np.random.default_rng(0)
    p = mean - 0.5 + random.random((N, 1))
    write_predictions(run.test, predictions.test_table(TRAIN, p, TARGETS), TARGETS, "0" * 16)
    line = {"name": "a", "metric": small.configure().metric, "cv": "0.9", "public": ""}
    write_leaderboard([{**line, "public": "0.71", "predictions": run.predicts()}])
    p += change * random.normal(size=p.shape)
    write_predictions(run.test, predictions.test_table(TRAIN, p, TARGETS), TARGETS, "0" * 16)
    table = pq.read_table(run.test)  # by another pandas
    named = table.schema.metadata[b"pandas"].replace(pd.__version__.encode(), b"9.9.9")
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"pandas": named}), run.test)
    note_in_leaderboard({**line, "predictions": run.predicts()})
    assert lines()["a"]["public"] == ("0.71" if kept else "")


def test_predictions_that_are_noted_otherwise_or_not_readable_tell_nothing(small):
    run = RunDir.of_name("a")
    assert not run.has_changed("0.100 0.200 0.300", "")
    values = np.random.default_rng(0).normal(size=(9, 4))
    vectors = Targets("embedding", ())
    write_predictions(run.test, predictions.test_table(TRAIN[:9], values, vectors), vectors, "0" * 16)
    assert not run.has_changed(run.predicts(), "")
    assert not run.has_changed("0123456789abcdef", "")
    assert run.has_changed("9.000 9.000 9.000", "")
    run.test.write_bytes(b"?")
    assert not run.has_changed("9.000 9.000 9.000", "")


def test_an_older_file_is_read_and_keeps_its_columns(small, capsys):
    config = small.configure(name="new")
    older = (
        f"name,metric,cv,mean,std,n_folds,folds,minutes,model,mine\nold,{config.metric},0.5,0.5,,2,0.5 0.5,1.0,net,x\n"
    )
    RunDir.of(config).path.mkdir(parents=True)
    (RunDir.of(config).path.parent / "leaderboard.csv").write_text(older)
    make(config)
    found = lines()
    assert (found["old"]["mine"], found["old"]["cv"], found["old"]["public"]) == ("x", "0.5", "")
    assert found["new"]["mine"] == ""
    show([], measures)
    assert "old" in capsys.readouterr().out


def test_the_commit_has_a_plus_where_tracked_files_changed(repo):
    assert stamp()["commit"] == ""
    (repo / "file").write_text("1")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "file"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=repo, check=True, capture_output=True)
    clean = stamp()["commit"]
    assert len(clean) >= 7
    assert clean.isalnum()
    (repo / "file").write_text("2")
    assert stamp()["commit"] == clean + "+"


@pytest.fixture
def ledger(small, capsys):
    """Two twins, a better run, one that flatters, an unscored one, one of other folds, and one that is gone."""
    make(small.configure(name="base"), 0.7, seed=1)
    make(small.configure(name="twin"), 0.7, seed=2)
    make(small.configure(name="better"), 0.9, seed=3)
    make(small.configure(name="flattering"), 0.99, seed=4, flatters="keep=best")
    make(small.configure(name="hidden"), 0.7, seed=5, unscored="it saw all")
    make(small.configure(name="other"), 0.8, seed=6, digest="1" * 16)
    make(small.configure(name="gone"), 0.8, seed=7)
    RunDir.of_name("gone").path.rename("moved")
    make(small.configure(name="part", parent="base"), 0.7, seed=8, rows=400)
    capsys.readouterr()
    return small


def shown(capsys, **options) -> dict[str, str]:
    """The printed lines, by their first word."""
    show([], measures, **options)
    return {line.split()[0]: line for line in reversed(capsys.readouterr().out.splitlines()) if line.split()}


def test_the_board_says_what_is_real(ledger, capsys):
    out = shown(capsys)
    assert " best " in out["better"]
    assert "real (twin)" in out["better"]
    assert "noise (base)" in out["twin"]
    assert out["twin"].split("-0.")[1].split()[1] == "real"  # to the best
    assert "– gone" in out["gone"]
    assert "– unscored" in out["hidden"]
    assert "– other folds" in out["other"]
    assert "noise (base)" in out["part"]  # on the rows that both have
    assert "+0.0" in out["flattering"]
    assert "  !" in out["flattering"]
    assert "! flattering: flatters: keep=best" in [line for line in out.values() if line.startswith("! fl")]
    page = RunDir.of_name("x").path.with_name("board.html").read_text(encoding="utf-8")
    assert "better is the best of 8 runs" in page
    assert "CV and public score" not in page


def test_a_damaged_run_does_not_end_the_board(ledger, capsys):
    RunDir.of_name("twin").oof.write_bytes(b"?")
    out = shown(capsys)
    assert "– cannot be measured" in out["twin"]
    assert "runs/twin/oof.parquet is damaged" in out["note"]
    assert "real (twin)" not in out["better"]


def test_public_scores_are_set_against_cv(ledger, capsys):
    first = shown(capsys, public=["base", "0.68", "better", "0.88"])
    assert "2 of 3 scores" in first["public:"]
    last = shown(capsys, public=["other", "0.79"])
    assert "correlation with CV over 3 runs: Pearson 0.9" in last["public:"]
    assert lines()["base"]["public"] == "0.68"
    assert "<svg" in RunDir.of_name("x").path.with_name("board.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nobody", "1"], "has no run 'nobody'"),
        (["base", "good"], "comp board --public RUN SCORE"),
        (["base"], "its score is missing"),
    ],
)
def test_what_is_no_public_score_is_refused(words, line, small, comp):
    make(small.configure(name="base"))
    status, _, err = comp("board", "--public", *words)
    assert (status, err.count("\n")) == (1, 1)
    assert line in err


def test_a_narrow_terminal_has_shorter_lines(ledger, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    out = shown(capsys)
    assert max(len(line) for name, line in out.items() if name in lines()) <= 70
    assert "real" in out["better"]


def test_without_a_run_the_way_is_told(repo, comp):
    status, _, err = comp("board")
    assert (status, err) == (1, "error: runs/leaderboard.csv has no run yet: run comp train\n")
    assert "comp board --public RUN SCORE" in comp("board", "x")[2]
