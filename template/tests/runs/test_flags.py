"""What keeps a score from being trusted goes to whatever learns from a run or combines it, and stands in the files."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from comp.files import write_json
from comp.runs import predictions
from comp.runs.flags import Flags, flags_of, flags_of_members, flags_of_teachers, flags_of_training
from comp.runs.leaderboard import note_in_leaderboard
from comp.runs.predictions import oof_table, write_predictions
from comp.runs.results import Scoring, join_folds
from comp.runs.rundir import RunDir
from comp.runs.summary import print_summary
from comp.tables import Targets

TARGETS = Targets("binary", ("yes",))
IDS = pd.Series([str(number) for number in range(8)])


def note(name: str, **metrics: object) -> RunDir:
    """A run of which nothing is left but its metrics."""
    least = {"metric": "accuracy", "rows": 8, "folds": 2, "seconds": 1.0, "flatters": "", "unscored": "", "scores": {}}
    write_json(RunDir.of_name(name).metrics, {**least, **metrics})
    return RunDir.of_name(name)


def finished(config, values=(0.7, 0.9), **facts: object) -> dict:
    """Two folds whose scores are `values`, joined."""
    run = RunDir.of(config)
    run.start(config)
    train = pd.DataFrame({"id": IDS, "target": [0.0, 1.0] * 4})
    for k, value in enumerate(values):
        rows = [row for row in range(8) if row % len(values) == k]
        table = oof_table(train, rows, [k] * len(rows), [[value]] * len(rows), TARGETS)
        write_predictions(run.fold(k) / "oof.parquet", table, TARGETS, "digest")
        test = predictions.test_table(train[:2], [[value]] * 2, TARGETS)
        write_predictions(run.fold(k) / "test.parquet", test, TARGETS, "digest")
        write_json(run.fold(k) / "metrics.json", {"rows": len(rows), "seconds": 1.0})
    return join_folds(config, IDS, run, Scoring(lambda name, oof, targets: float(oof["p_yes"].mean())), facts)


def board() -> pd.DataFrame:
    return pd.read_csv("runs/leaderboard.csv", dtype=str, keep_default_na=False).set_index("name")


def test_choosing_on_the_scored_rows_stands_in_metrics_leaderboard_and_summary(small, capsys):
    for name, train in (("chosen", {"keep": "best"}), ("honest", {})):
        finished(small.configure(name=name, train=train))
    why = "keep=best chose by the rows that are scored"
    assert json.loads(RunDir.of_name("chosen").metrics.read_text())["flatters"] == why
    assert board()["flags"].to_dict() == {"chosen": f"flatters: {why}", "honest": ""}
    assert f"the score flatters: {why}" in capsys.readouterr().out
    print_summary(small.configure(), ["chosen", "honest"])
    chosen, honest = capsys.readouterr().out.splitlines()[-2:]
    assert chosen.endswith(f"flatters: {why}")
    assert "flatters" not in honest


def test_a_member_with_a_metric_of_its_own_has_no_score_by_that_of_the_experiment(small, capsys):
    config, score = small.configure(), {"folds": {"0": 0.75}, "oof": 0.75, "mean": 0.75, "std": None}
    note("own", metric="another", scores={"another": score})
    note("member", metric="another", scores={"another": score, config.metric: score})
    print_summary(config, ["own", "member"])
    own, member = capsys.readouterr().out.splitlines()[-2:]
    assert own.split() == ["own", "–"]
    assert member.split() == ["member", "0.7500", "0.7500"]


def test_who_learns_from_a_run_that_flatters_flatters():
    note("best", flatters="keep=best …")
    note("last")
    assert flags_of_teachers(["last", "best"]).flatters == "it learned from a run that flatters: keep=best …"
    assert flags_of_teachers(["last"]) == flags_of_teachers(["gone"]) == Flags()


def test_a_stack_that_met_the_scored_fold_is_no_honest_teacher():
    note("stack", combines={"kind": "lightgbm", "met_scored_fold": True})
    note("nested", combines={"kind": "lightgbm", "met_scored_fold": False})
    assert "stack, which was fitted to the rows that are scored" in flags_of_teachers(["stack"]).flatters
    assert flags_of_teachers(["nested"]) == Flags()


def test_a_combination_has_what_its_members_have():
    flags = [Flags(), Flags(flatters="early_stop …"), Flags(unscored="it saw too much")]
    found = flags_of_members(flags)
    assert found.flatters == "a member flatters: early_stop …"
    assert found.unscored == "a member is unscored: it saw too much"
    assert flags_of_members([Flags()]) == Flags()


def test_a_run_that_is_not_collected_yet_is_known_by_its_configuration(small):
    config = small.configure(name="young", train={"keep": "best"})
    RunDir.of(config).start(config)
    assert flags_of(RunDir.of(config)).flatters
    learner = SimpleNamespace(train=small.configure().train, learns_from=["young"], tuned=None)
    assert flags_of_training(learner).flatters.startswith("it learned from a run that flatters: keep=best")


def test_a_flag_is_not_lost_when_the_runs_that_it_came_from_are_gone(small):
    config = small.configure()
    finished(config, flatters="it learned from a run that flatters: keep=best …")
    assert finished(config)["flatters"] == "it learned from a run that flatters: keep=best …"


def test_the_columns_of_an_older_leaderboard_are_kept(repo):
    line = {"name": "old", "metric": "accuracy", "cv": "0.5"}
    note_in_leaderboard(line)
    note_in_leaderboard({**line, "name": "new", "flags": "flatters: x"})
    assert board()["flags"].to_dict() == {"old": "", "new": "flatters: x"}


@pytest.mark.parametrize(("values", "std"), [((0.7, 0.9), 0.02**0.5), ((0.8,), None)])
def test_folds_are_a_sample_of_such_folds(values, std, small):
    """The standard deviation divides by n - 1: of two folds, by n it is too small by 29 %."""
    config = small.configure()
    found = finished(config, values)["scores"][config.metric]["std"]
    assert found is None if std is None else found == pytest.approx(std)
