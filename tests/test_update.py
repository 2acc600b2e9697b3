"""`copier update` brings the newest code and loses no line of the user's. Always without --trust."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import FIRST_TAG
from copier import run_copy
from rendering import RELEASE, answers, commit, comp, comp_in_turn, copier, files_in, git

LATER_TAG = "v1.1.0"
DROPPED = "mobilenetv4_conv_small.e2400_r224_in1k"  # offered by the first release's recipe, not by the later one's
DEMO = ("conf/demo.yaml", "folds=[0]", "train.epochs=2")
MARKERS = ("<<<<<<<", ">>>>>>>")

MY_METRIC = """

@register("metric", "my_error")
def my_error(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    return float((y.argmax(axis=1) != p.argmax(axis=1)).mean())
"""
NEW_METRIC = """

@register("metric", "brier")
def brier(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    return float(((y - p) ** 2).sum(axis=1).mean())
"""
NEW_PROMPT = """
team:
  type: str
  help: What is your team called?
  default: Early Birds
  validator: "{% if not team %}A name, please.{% endif %}"
"""
MY_LINE = "# My own line in a file of the template's."
MY_SEED = 7


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def change_first_line(path: Path, line: str) -> None:
    _, end, rest = path.read_text(encoding="utf-8").partition("\n")
    path.write_text(line + end + rest, encoding="utf-8")


@pytest.fixture(scope="module")
def released(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template with a later release: a module changed, one new, a recipe changed, one new, a new prompt."""
    folder = tmp_path_factory.mktemp("released")
    git(folder, "clone", "--quiet", str(template), ".")
    append(folder / "template/src/comp/vision/metrics/of_classes.py", NEW_METRIC)
    (folder / "template/src/comp/novelty.py").write_text('"""New."""\n\nNEWS = "the later release"\n', encoding="utf-8")
    replace(folder / "recipes/classify-modern.yaml", "weight_decay: 0.05", "weight_decay: 0.03")
    replace(folder / "recipes/classify-modern.yaml", f"    - {DROPPED}\n", "")
    text = (folder / "recipes/classify-modern.yaml").read_text(encoding="utf-8")
    (folder / "recipes/classify-later.yaml").write_text(text, encoding="utf-8")
    replace(folder / "parts/classify/task.yaml", "emoji-ensemble]", "emoji-ensemble, classify-later]")
    append(folder / "copier.yml", NEW_PROMPT)
    append(folder / "template/README.md.jinja", "\n## Team\n\n{{ team }}\n")
    for name in ("template/src/comp/custom.py", "template/conf/baseline.yaml.jinja", "template/conf/demo.yaml.jinja"):
        append(folder / name, "# the template's new example\n")
    commit(folder, "Later", tag=LATER_TAG)
    return folder


@pytest.fixture(scope="module")
def generate(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`generate()` gives a committed repository of the first release, to change and to update."""

    def new(source: Path = released, **data: object) -> Path:
        repo = tmp_path_factory.mktemp("mine") / "new-comp"
        run_copy(str(source), repo, data=data, defaults=True, quiet=True, vcs_ref=FIRST_TAG)
        commit(repo, "From the template")
        return repo

    return new


def update(repo: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What a user does: commit, then update."""
    commit(repo, "Mine") if git(repo, "status", "--porcelain") else None
    done = copier("update", "--defaults", *words, cwd=repo)
    assert done.returncode == 0, done.stderr
    assert answers(repo)["_commit"] == LATER_TAG
    return done


def contents(repo: Path) -> dict[str, bytes]:
    return {str(path.relative_to(repo)): path.read_bytes() for path in files_in(repo)}


def predictions(repo: Path) -> pd.DataFrame:
    return pd.read_parquet(repo / "runs/demo/test.parquet").set_index("id")


@pytest.fixture(scope="module")
def lived_in(generate: Callable[..., Path]) -> dict[str, object]:
    """A repository that was trained and edited in every way, then updated. Also what it predicted before."""
    repo = generate()
    comp_in_turn(repo, ("demo-data",), ("run", *DEMO, "steps=[split,train]"))
    before = predictions(repo)
    append(repo / "conf/baseline.yaml", f"seed: {MY_SEED} # mine\n")
    append(repo / "src/comp/custom.py", MY_METRIC)
    text = (repo / "src/comp/vision/metrics/of_classes.py").read_text(encoding="utf-8")
    (repo / "src/comp/vision/metrics/of_classes.py").write_text(f"{MY_LINE}\n{text}", encoding="utf-8")
    (repo / "conf/mine.yaml").write_text("base: baseline.yaml\nname: mine # mine\n", encoding="utf-8")
    (repo / "notebooks").mkdir()
    (repo / "notebooks/look.ipynb").write_text('{"cells": []}\n', encoding="utf-8")
    update(repo)
    return {"repo": repo, "before": before}


def test_every_edit_is_still_there(lived_in):
    repo = lived_in["repo"]
    assert f"seed: {MY_SEED} # mine\n" in (repo / "conf/baseline.yaml").read_text(encoding="utf-8")
    assert (repo / "src/comp/custom.py").read_text(encoding="utf-8").endswith(MY_METRIC)
    assert (repo / "src/comp/vision/metrics/of_classes.py").read_text(encoding="utf-8").startswith(f"{MY_LINE}\n")
    assert (repo / "conf/mine.yaml").read_text(encoding="utf-8") == "base: baseline.yaml\nname: mine # mine\n"
    assert (repo / "notebooks/look.ipynb").read_text(encoding="utf-8") == '{"cells": []}\n'


def test_and_so_is_all_that_is_new(lived_in):
    repo = lived_in["repo"]
    assert (repo / "src/comp/vision/metrics/of_classes.py").read_text(encoding="utf-8").endswith(NEW_METRIC)
    assert (repo / "src/comp/novelty.py").is_file()
    assert (repo / "conf/recipes/classify-later.yaml").is_file()
    assert yaml.safe_load(comp(repo, "config"))["train"]["weight_decay"] == 0.05  # as it was: docs/updating.md
    assert answers(repo)["team"] == "Early Birds"
    assert (repo / "README.md").read_text(encoding="utf-8").endswith("## Team\n\nEarly Birds\n")


def test_what_is_the_users_alone_got_nothing_of_the_template(lived_in):
    repo = lived_in["repo"]
    for name in ("src/comp/custom.py", "conf/baseline.yaml", "conf/demo.yaml"):
        assert "the template's new example" not in (repo / name).read_text(encoding="utf-8")


def test_a_clean_merge_leaves_no_conflict_behind(lived_in):
    repo = lived_in["repo"]
    for path in files_in(repo):
        assert path.suffix != ".rej"
        lines = path.read_bytes().splitlines() if path.suffix in {".py", ".yaml"} else []
        assert not any(line.startswith(marker.encode()) for line in lines for marker in MARKERS)
    assert not git(repo, "diff", "--name-only", "--diff-filter=U")


def test_the_trained_run_still_predicts_submits_and_knows_both_new_metrics(lived_in):
    repo = lived_in["repo"]
    (repo / "runs/demo/test.parquet").unlink()
    comp_in_turn(repo, ("predict", *DEMO, "metrics=[my_error,brier]"), ("submit", *DEMO))
    pd.testing.assert_frame_equal(predictions(repo), lived_in["before"], rtol=1e-4, atol=1e-5)
    sample = pd.read_csv(repo / "data/demo/sample_submission.csv", dtype=str)
    assert list(pd.read_csv(repo / "submissions/demo.csv", dtype=str)["id"]) == list(sample["id"])
    measured = json.loads((repo / "runs/demo/metrics.json").read_text(encoding="utf-8"))["scores"]
    assert measured["my_error"]["oof"] == pytest.approx(1 - measured["accuracy"]["oof"])
    assert measured["brier"]["oof"] > 0


@RELEASE  # from the last release: test_last_release.py
def test_a_repository_nobody_touched_becomes_what_a_new_one_is(generate, released, tmp_path):
    repo = generate(recipe="pixelplay-convnext", tracker="tensorboard")
    update(repo)
    data = {"recipe": "pixelplay-convnext", "tracker": "tensorboard"}
    run_copy(str(released), tmp_path / "new", data=data, defaults=True, quiet=True, vcs_ref=LATER_TAG)
    updated, new = contents(repo), contents(tmp_path / "new")
    assert updated.keys() == new.keys()
    assert [name for name in new if updated[name] != new[name]] == [
        "conf/baseline.yaml",
        "conf/demo.yaml",
        "conf/recipes/classify-modern.yaml",
        "src/comp/custom.py",
    ]


def test_a_backbone_that_is_no_longer_offered_stays_the_answer(generate):
    repo = generate(backbone=DROPPED)
    update(repo)
    assert answers(repo)["backbone"] == DROPPED
    assert DROPPED in (repo / "conf/baseline.yaml").read_text(encoding="utf-8")


def test_a_line_that_both_changed_stands_between_markers(generate, abridged, tmp_path):
    git(tmp_path, "clone", "--quiet", str(abridged), "own")
    own_template = tmp_path / "own"
    repo, name = generate(own_template), "src/comp/registry.py"
    change_first_line(own_template / "template" / name, '"""The words of the template."""')
    commit(own_template, "The same line", tag=LATER_TAG)
    change_first_line(repo / name, '"""My words."""')
    update(repo)
    text = (repo / name).read_text(encoding="utf-8")
    assert all(part in text for part in (*MARKERS, '"""My words."""', '"""The words of the template."""'))
    assert name in git(repo, "status", "--porcelain")
