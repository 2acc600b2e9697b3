"""A generated repository's own tests, run where they were generated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from copier import run_copy
from rendering import RECIPES, comp, recipe

TIMEOUT_S = 3600


@pytest.mark.parametrize("task", RECIPES)
def test_a_generated_repository_passes_its_own_tests(template: Path, tmp_path: Path, capsys, task: str):
    repo = tmp_path / "new-comp"
    run_copy(str(template), repo, data={"task": task}, defaults=True, quiet=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"]
    done = subprocess.run(command, cwd=repo, env=env, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    with capsys.disabled():
        print(f"\nin the generated repository: {done.stdout.rstrip().splitlines()[-1]}")


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in RECIPES.items() for name in names])
def test_the_demo_of_every_recipe_runs_from_files_to_a_scored_submission(template, tmp_path, task, name):
    repo = tmp_path / "new-comp"
    run_copy(str(template), repo, data={"task": task, "recipe": name}, defaults=True, quiet=True)
    comp(repo, "demo-data")
    told = comp(repo, "run", "conf/demo.yaml", "train.epochs=1", "folds=[0]")
    assert f"score   {recipe(name)['metric']}" in told
    assert list(repo.glob("runs/demo*/report.html"))
