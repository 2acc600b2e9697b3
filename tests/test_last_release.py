"""A repository of the last release: updated it equals a fresh one, and what was trained in it goes on working."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from copier import run_copy
from releases import NEXT, last_and_next, last_release, next_version, recipes_at
from rendering import FIRST_OF_EACH, RECIPES, RELEASE, answers, by_level, commit, comp_in_turn, copier, files_in
from test_ownership import owners
from updating import comp_update

from comp.tasks import commands_of

LAST = last_release()
IS_TAGGED = LAST is not None and LAST.startswith("v")
SMALL = ("conf/demo.yaml", "folds.n=2", "train.epochs=1", "members=[]")

pytestmark = pytest.mark.skipif(LAST is None, reason="a shallow clone, or none: no earlier release to come from")


@pytest.fixture(scope="module")
def template_of_two(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The template with the last release and the working tree; the former's tag."""
    folder = tmp_path_factory.mktemp("releases")
    return folder, last_and_next(folder, LAST or "")


def predictions(repo: Path) -> np.ndarray:
    """(N, K): what a run predicts for the test rows, by their ids; the columns may be numbers or vectors."""
    table = pd.read_parquet(repo / "runs/one/test.parquet").set_index("id").sort_index()
    return np.array([np.hstack(row) for row in table.to_numpy()], dtype=float)


def each_recipe() -> list[Any]:
    """Of the last release."""
    return by_level(recipes_at(LAST) if LAST else [], FIRST_OF_EACH[:1])


@pytest.mark.parametrize(("task", "recipe"), each_recipe())
def test_a_repository_that_nobody_touched_becomes_what_a_new_one_is(template_of_two, tmp_path, task, recipe):
    source, before = template_of_two
    data, repo, new = {"task": task, "recipe": recipe}, tmp_path / "repo", tmp_path / "new"
    run_copy(str(source), repo, data=data, defaults=True, quiet=True, vcs_ref=before)
    commit(repo, "From the template")
    shipped = {str(path.relative_to(repo)) for path in files_in(repo)}
    done = copier("update", "--defaults", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert answers(repo)["_commit"] == NEXT
    run_copy(str(source), new, data=data, defaults=True, quiet=True, vcs_ref=NEXT)
    updated, fresh = ({str(path.relative_to(top)): path.read_bytes() for path in files_in(top)} for top in (repo, new))
    differ = {name for name in updated.keys() | fresh.keys() if updated.get(name) != fresh.get(name)}
    assert {name for name in differ if owners(name) != {"yours"}} == set()  # what is the user's is written once
    if IS_TAGGED and before.split(".")[0] == f"v{next_version().split('.')[0]}":
        assert shipped <= fresh.keys(), "within a major no file is renamed or deleted: docs/updating.md"


@RELEASE  # from one state of the template to the next: test_update.py
@pytest.mark.parametrize("task", RECIPES)
def test_what_was_trained_before_predicts_stacks_and_submits_after(template_of_two, tmp_path, task):
    source, before = template_of_two
    if task not in {task for task, _ in recipes_at(LAST or "")}:
        pytest.skip(f"{before} has no task {task}")
    repo = tmp_path / "repo"
    run_copy(str(source), repo, data={"task": task}, defaults=True, quiet=True, vcs_ref=before)
    commit(repo, "From the template")
    trained = [("train", *SMALL, f"name={name}", f"seed={number}") for number, name in enumerate(("one", "two"))]
    comp_in_turn(repo, ("demo-data",), ("split", *SMALL), *trained)
    predicted = predictions(repo)
    done = comp_update(repo)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (repo / "src/comp/of_the_next_release.py").is_file()
    (repo / "runs/one/test.parquet").unlink()
    how = "stack" if "stack" in commands_of(task) else "blend"
    comp_in_turn(
        repo,
        ("predict", *SMALL, "name=one"),
        (how, *SMALL, "name=both", f"{how}.members=[one,two]"),
        ("submit", *SMALL, "name=both"),
        ("train", "runs/one/config.yaml"),  # as it was started; it is done, and nothing of it is refused
    )
    np.testing.assert_allclose(predictions(repo), predicted, rtol=1e-4, atol=1e-5)
    sample = pd.read_csv(repo / "data/demo/sample_submission.csv", dtype=str)
    assert list(pd.read_csv(repo / "submissions/both.csv", dtype=str).iloc[:, 0]) == list(sample.iloc[:, 0])
