"""`comp run` through all phases of an ensemble: pretraining, members, stack, pseudo-labels; interrupted anywhere."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from support import killed_at
from vision.small import picture

MEMBERS = [
    {"name": "a", "model": {"image_size": 20}},
    {"name": "b", "model": {"backbone": "test_vit", "metadata": ["height", "has_alpha"]}, "train": {"epochs": 3}},
]


@pytest.fixture
def ensemble(competition, configure):
    """A configuration with everything in it."""
    for vendor, color in {"rouge": "red", "vert": "green", "bleu": "blue"}.items():
        (competition.parent / "other" / vendor).mkdir(parents=True)
        for number in range(8):
            picture(color, seed=7000 + number + sum(map(ord, vendor))).save(f"other/{vendor}/{number}.png")
    return configure(
        members=MEMBERS,
        train={"epochs": 2, "freeze_epochs": 1, "freeze_lr": 0.01, "batch_size": 6},
        pretrain={
            "data": {"root": ".", "train": "other"},
            "map": {"rouge": "red", "vert": "green", "bleu": "blue"},
            "train": {"epochs": 2},
        },
        predict={"views": ["identity", "hflip", "rotate+5", "center_85"]},
        stack={"kind": "logistic", "features": ["image_statistics"]},
        pseudo={"threshold": 0.34, "train": {"epochs": 1, "lr": 1.0e-3}},
        steps=["split", "pretrain", "train", "blend", "stack", "pseudo", "blend", "stack", "submit", "score", "report"],
    )


def table(out: str) -> list[str]:
    """The summary at the end, without the names of the runs."""
    lines = out[out.rindex("\nrun ") :].strip().splitlines()[1:]
    return [" ".join(line.split()[1:]) for line in lines]


def names(out: str) -> list[str]:
    return [line.split()[0] for line in out[out.rindex("\nrun ") :].strip().splitlines()[1:]]


def test_killed_in_each_phase_it_goes_through_all_and_ends_with_the_same_table(ensemble, comp):
    for path in (
        "data/folds.csv",
        "runs/small-a/pretrain/last/state.pt",
        "runs/small-b/fold1/last/state.pt",
        "runs/small-blend/fold0/oof.parquet",
        "runs/small-b-pseudo/fold0/pseudo.parquet",
    ):
        killed_at(Path(path))
    status, out, err = comp("run")
    assert status == 0, err
    assert "resume  " in out or "is already trained" in out
    assert "accuracy" in out[out.index("== score") :]
    assert names(out) == [
        *("small-a", "small-b", "small-blend", "small-stack"),
        *("small-a-pseudo", "small-b-pseudo", "small-pseudo-blend", "small-pseudo-stack"),
    ]
    assert set(pd.read_csv("runs/leaderboard.csv")["name"]) == set(names(out))
    assert Path("runs/small-pseudo-stack/report.html").is_file()
    status, undisturbed, err = comp("run", "name=whole")
    assert status == 0, err
    assert table(out) == table(undisturbed)
    left, right = (pd.read_csv(f"submissions/{name}-pseudo-stack.csv", dtype=str) for name in ("small", "whole"))
    assert len(left) == 9
    pd.testing.assert_frame_equal(left, right)


def test_the_runs_that_a_combination_names_join_it_in_a_whole_run_too(trained, comp, configure):
    shutil.copytree("runs/small", "runs/older")
    configure(name="new", blend={"members": ["older"]}, steps=["train", "blend"])
    assert comp("run")[0] == 0
    assert json.loads(Path("runs/new-blend/metrics.json").read_text())["combines"]["members"] == ["new", "older"]


def test_several_models_without_a_combination_are_told(trained, comp, configure):
    configure(members=[{"name": "a"}, {"name": "b"}], steps=["train", "submit"])
    status, out, _ = comp("run")
    assert status == 0
    assert "note    of 2 models the last one is submitted: blend or stack in steps combines them" in out


def test_what_would_be_fitted_to_unscored_rows_is_refused_before_the_first_step(competition, comp, configure):
    configure(steps=["split", "train", "pseudo", "blend", "stack"], pseudo={"teacher": "ensemble"})
    status, out, err = comp("run")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "steps: stack after pseudo would be fitted to rows that the teachers of its members have seen" in err
    assert "steps: blend after pseudo" in comp("run", "blend.kind=weights")[2]
