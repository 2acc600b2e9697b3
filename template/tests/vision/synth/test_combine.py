"""comp synth plan, combine and train: how many are wanted, how many join, and which model learns from which."""

import re
from pathlib import Path

import pandas as pd
import pytest
from support import killed_at
from vision.synth.conftest import GATES_OFF, child_of

from comp.runs.predictions import read_oof, read_predictions
from comp.vision.data.combined import combined_path
from comp.vision.data.competition import open_competition
from comp.vision.folds.fold import Fold
from comp.vision.synth.guard import AGAIN
from comp.vision.training.augmented import augmented
from comp.vision.training.synthetic_rows import with_synthetic

SYNTH = {"data": {"root": "made", "train": "made.csv"}, **GATES_OFF}


@pytest.fixture
def unbalanced(competition, generated):
    """12 blue training images, 6 green, 3 red; of the latter two, 12 children each."""
    table = pd.read_csv(competition / "train.csv", dtype=str)
    kept = table.groupby("label").cumcount() < table["label"].map({"blue": 12, "green": 6, "red": 3})
    table = table[kept]
    table.to_csv(competition / "train.csv", index=False)
    rows = []
    for label in ("green", "red"):
        ids = table["id"][table["label"] == label].tolist()
        rows += [(child_of(int(ids[n % len(ids)]), label, n), label, ids[n % len(ids)]) for n in range(12)]
    generated(rows)
    return table.set_index("id")["label"]


def learned_by(config, k) -> Fold:
    """Fold k of the augmented run, as its training has it."""
    (run,) = augmented(config)
    opened = open_competition(run, quiet=True)
    fold = Fold((k,), *opened.rows(k), opened.samples("train", None), opened.split.digest)
    return with_synthetic(fold, run, opened)


def test_the_plan_counts_what_lacks(unbalanced, configure, comp):
    configure(synth=SYNTH)
    out = comp("synth", "plan")[1]
    assert re.search(r"blue +12 +0 +0\n", out)
    assert re.search(r"green +6 +6 +12\n", out)
    assert re.search(r"red +3 +9 +12\n", out)
    assert "15 images would make all classes as frequent as 'blue'" in out


def test_the_plan_counts_no_golden_image(competition, configure, comp):
    configure(golden={"per_class": 4, "most": 0.5})
    comp("golden")
    assert re.search(r"blue +8 +0 +0\n", comp("synth", "plan")[1])


def test_each_fold_is_balanced_and_meets_no_child_of_what_it_is_validated_on(unbalanced, configure, comp):
    config = configure(folds={"n": 3}, synth=SYNTH)
    for step in ("split", "synth guard", "synth combine"):
        status, out, err = comp(*step.split())
        assert status == 0, err
    assert re.search(r"red +3 +\d+ +\d+\n", out)
    parents = pd.read_csv("made/made.csv", dtype=str).set_index("image")["parent"]
    rows = pd.read_csv(combined_path(config), comment="#", dtype=str, keep_default_na=False)
    rows = rows[rows["source"] == "generated"].reset_index(drop=True)
    folds = pd.read_csv("data/folds.csv", comment="#", dtype=str).set_index("id")["fold"]
    for k in range(3):
        fold = learned_by(config, k)
        counts = fold.samples.y[fold.train_rows].sum(axis=0)
        assert (counts == counts.max()).all()
        real = fold.train_rows[fold.train_rows < 21]
        assert not set(real) & set(fold.valid_rows)
        chosen = rows.iloc[fold.train_rows[fold.train_rows >= 21] - 21]
        assert (folds[parents[chosen["id"]]] != str(k)).all()
        assert len(fold.valid_rows) == (folds == str(k)).sum()


def test_all_join_where_that_is_asked_for(unbalanced, configure, comp):
    config = configure(synth={**SYNTH, "amount": "all"})
    for step in ("split", "synth guard", "synth combine"):
        assert comp(*step.split())[0] == 0
    rows = pd.read_csv(combined_path(config), comment="#", dtype=str, keep_default_na=False)
    assert (rows["source"] == "generated").sum() == 24
    assert rows["target"][rows["source"] == "real"].value_counts().to_dict() == {"blue": 12, "green": 6, "red": 3}


def test_two_classes_of_one_column_work_too(competition, configure, comp, generated):
    table = pd.read_csv(competition / "train.csv", dtype=str)
    table = table[table["label"] != "blue"].assign(label=(table["label"] == "red").astype(int))
    table.to_csv(competition / "train.csv", index=False)
    for name in ("sample_submission.csv", "solution.csv"):
        (competition / name).unlink()
    generated([(child_of(int(n), "red"), "yes", n) for n in table["id"][table["label"] == 1][:4]])
    mapping = {"yes": "1"}
    config = configure(
        model={"backbone": "test_resnet", "pretrained": False, "image_size": 16},
        synth={**SYNTH, "amount": "all", "map": mapping},
    )
    for step in ("split", "synth plan", "synth guard", "synth combine"):
        status, _out, err = comp(*step.split())
        assert status == 0, err
    fold = learned_by(config, 0)
    assert (fold.samples.y[24:] == 1).all()
    assert len(fold.samples.y) == 28


def test_generated_images_of_another_fold_split_or_golden_set_are_refused(unbalanced, configure, comp):
    configure(synth=SYNTH, golden={"per_class": 1, "most": 0.4})
    for step in ("split", "synth guard", "synth combine", "golden", "split --force"):
        assert comp(*step.split())[0] == 0
    assert "was made for another golden set or for other folds" in comp("synth", "train")[2]
    assert f"golden rows than there are now: {AGAIN}" in comp("synth", "combine")[2]


def test_verdicts_on_other_labels_settings_or_images_are_refused(unbalanced, configure, comp, repo):
    configure(synth=SYNTH)
    for step in ("split", "synth guard", "synth combine synth.amount=all"):
        assert comp(*step.split())[0] == 0
    assert AGAIN in comp("synth", "combine", "synth.map.green=red")[2]
    made = repo / "made" / "made.csv"
    made.write_text(made.read_text().replace("g000.png,green", "g000.png,red"))
    assert "kept" not in comp("synth", "guard")[1]
    (repo / "made" / "g000.png").write_bytes(b"another picture")
    assert AGAIN in comp("synth", "combine")[2]


def test_an_edited_file_of_rows_is_refused(unbalanced, configure, comp):
    config = configure(synth=SYNTH)
    for step in ("split", "synth guard", "synth combine"):
        assert comp(*step.split())[0] == 0
    path = combined_path(config)
    path.write_text(path.read_text().replace("generated,g000.png", "generated,g001.png"))
    assert "was changed since comp synth combine wrote it" in comp("synth", "train")[2]


def test_without_the_guard_nothing_is_combined_or_trained(unbalanced, configure, comp):
    configure(synth=SYNTH)
    comp("split")
    assert "synthetic.csv does not exist: run comp synth guard" in comp("synth", "combine")[2]
    assert "combined.csv does not exist: run comp synth guard, then comp synth combine" in comp("synth", "train")[2]
    configure()
    assert "synth: is not set: name the generated images" in comp("synth", "guard")[2]


def test_the_whole_way_ends_with_a_comparison(unbalanced, configure, comp, repo):
    steps = ["golden", "split", "train", "evaluate", "synth plan", "synth guard", "synth combine", "synth train"]
    steps += ["evaluate", "compare", "submit"]
    synth = {**SYNTH, "classifier": {"least": 0.2, "quota": 0.5}}
    configure(steps=steps, synth=synth, golden={"per_class": 1, "most": 0.4}, train={"epochs": 2})
    status, out, err = comp("run")
    assert status == 0, err
    assert re.search(r"fold 0  \d+ generated images join the \d+ training rows", out)
    assert re.search(r"accuracy +\d\.\d{4} +\d\.\d{4}  [+-]\d\.\d{4}", out)
    assert "small  small-augmented" in re.sub(" +", "  ", out)
    assert "submissions/small-augmented.csv" in out
    ids = read_oof(repo / "runs/small-augmented/oof.parquet")[0]["id"].tolist()
    assert ids == read_oof(repo / "runs/small/oof.parquet")[0]["id"].tolist()
    before = read_predictions(repo / "runs/small-augmented/test.parquet")[0]
    status, again, err = comp("run")
    assert status == 0, err
    assert again.count("is already trained") == 4
    pd.testing.assert_frame_equal(read_predictions(repo / "runs/small-augmented/test.parquet")[0], before)
    table = [line for line in out.splitlines() if "balanced_accuracy" in line]
    assert table == [line for line in again.splitlines() if "balanced_accuracy" in line]


@pytest.mark.release  # phases of `comp run` are killed in ensemble/test_ensemble_run.py
def test_killed_in_each_phase_it_ends_with_the_same_comparison(unbalanced, configure, comp):
    steps = ["golden", "split", "train", "synth guard", "synth combine", "synth train", "compare"]
    synth = {**SYNTH, "structure": {}, "classifier": {"least": 0.2, "quota": 0.5}}
    configure(steps=steps, synth=synth, golden={"per_class": 1, "most": 0.4}, train={"epochs": 4})
    for path in (
        "data/golden.csv",
        "data/folds.csv",
        "runs/small/fold1/last/state.pt",
        "runs/small-synth/synthetic.csv",
        "runs/small-synth/combined.csv",
        "runs/small-augmented/fold0/last/state.pt",
    ):
        killed_at(Path(path))
    status, out, err = comp("run")
    assert status == 0, err
    status, undisturbed, err = comp("run", "name=whole")
    assert status == 0, err
    told = [
        text[text.index("golden  ", text.index("== compare")) : text.index("looked at")] for text in (out, undisturbed)
    ]
    assert told[0].split() == told[1].replace("whole", "small").split()
    assert len(told[0].splitlines()) > 8


def test_a_comparison_without_a_second_training_is_refused(competition, configure, comp):
    configure(steps=["golden", "split", "train", "compare"], golden={"per_class": 2, "most": 0.4})
    assert "steps: compare has nothing to compare" in comp("run")[2]


def test_without_generated_images_a_run_goes_on_to_the_submission_with_one_look_at_the_golden_set(
    competition, configure, comp
):
    steps = ["golden", "split", "train", "evaluate", "synth plan", "synth guard", "synth combine", "synth train"]
    steps += ["evaluate", "compare", "submit"]
    configure(steps=steps, synth={"data": {"root": "made"}}, golden={"per_class": 2, "most": 0.4})
    status, out, err = comp("run")
    assert status == 0, err
    assert out.count("nothing to do: no generated images in made (synth.data)") == 4
    assert "== evaluate\nnothing to do: nothing was made since evaluate above\n" in out
    assert "== compare\nnothing to do: nothing was trained once more\n" in out
    assert "submissions/small.csv" in out
    assert len(pd.read_csv(competition / "golden_log.csv")) == 1
    assert not (Path("runs") / "small-augmented").exists()


def test_a_fault_of_their_table_names_the_key_that_is_set(competition, family, configure, comp):
    configure(synth={"data": {"root": "made", "train": "made.csv", "target": "kind"}})
    assert comp("synth", "plan")[2].startswith("error: synth.data.target=kind: no such column")


@pytest.mark.parametrize("there", [False, True])
def test_the_guard_says_where_generated_images_are_looked_for(competition, configure, comp, there):
    configure(synth={"data": {"root": "made"}})
    if there:
        Path("made").mkdir()
    comp("split")
    status, _, err = comp("synth", "guard")
    assert (status, err) == (
        1,
        "error: no generated images in made (synth.data): put them there, or name their folder: synth.data.root=…\n",
    )
