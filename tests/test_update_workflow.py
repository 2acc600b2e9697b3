"""The workflow that offers an update as a pull request, where GitHub refuses. Git is real, GitHub is not."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from rendering import ROOT, commit, git
from updating import NAME

BRANCH = "template-v2.0.0"
PYTHON = f"""#!/bin/sh
git switch --quiet --create {BRANCH} && echo new > theirs.py && echo 'update  v1.0.0 → v2.0.0 of it'
echo 'conflict theirs.py: both'
exit 1
"""
GH = """#!/bin/sh
case "$*" in
*"pr list"*) cat "$GH_HAS"; exit ;;
esac
echo "$*" >> "$GH_TOLD"
case "$*" in *$GH_REFUSES*) echo "no $GH_REFUSES here" >&2; exit 1 ;; esac
echo 1 > "$GH_HAS"
"""
pytestmark = pytest.mark.skipif(os.name == "nt", reason="a workflow's shell is bash on Linux")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A clone for the workflow to run in, and programs in the place of GitHub's and of `comp update`."""
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin/theirs.py").write_text("old\n", encoding="utf-8")
    commit(tmp_path / "origin", "Mine")
    (tmp_path / "bin").mkdir()
    (tmp_path / "gh has").touch()
    for name, text in (("python", PYTHON), ("gh", GH)):
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path / "repo"


def run(repo: Path, refuses: str) -> subprocess.CompletedProcess[str]:
    """A week's run in a clone of its own, where `gh` fails if what it is asked has the word `refuses`."""
    folder = repo.parent
    subprocess.run(["rm", "-rf", repo], check=True)
    git(folder, "clone", "--quiet", "origin", repo.name)
    workflow = yaml.safe_load((ROOT / "template/.github/workflows/update.yml.off").read_text(encoding="utf-8"))
    script = workflow["jobs"]["update"]["steps"][-1]["run"]
    env = {**os.environ, **NAME, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "RUNNER_TEMP": str(folder)}
    env |= {"GH_TOLD": str(folder / "told"), "GH_HAS": str(folder / "gh has"), "GH_REFUSES": refuses}
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=repo, env=env, capture_output=True, text=True, check=False)


def told(repo: Path) -> list[str]:
    return (repo.parent / "told").read_text(encoding="utf-8").splitlines()


def heads(repo: Path) -> list[str]:
    return git(repo, "ls-remote", "--heads", "origin").split()[1::2]


def test_a_week_without_a_pull_request_is_red_and_the_next_one_offers_the_update_again(repo):
    done = run(repo, refuses="create")
    assert done.returncode == 1
    assert "no create here" in done.stderr
    assert heads(repo) == ["refs/heads/main"]
    assert run(repo, refuses="nothing").returncode == 0
    assert heads(repo) == ["refs/heads/main", f"refs/heads/{BRANCH}"]
    again = run(repo, refuses="create")
    assert again.returncode == 0
    assert f"{BRANCH} is there already: merge its pull request" in again.stdout
    assert len(told(repo)) == 3  # the third week asked for none


def test_where_drafts_are_not_to_be_had_it_is_no_draft(repo):
    assert run(repo, refuses="--draft").returncode == 0
    assert [line.endswith("--draft") for line in told(repo)] == [True, False]
    assert heads(repo) == ["refs/heads/main", f"refs/heads/{BRANCH}"]


def test_a_branch_without_a_pull_request_is_not_taken_for_one(repo):
    git(repo.parent / "origin", "branch", BRANCH)
    done = run(repo, refuses="nothing")
    assert done.returncode == 1
    assert f"{BRANCH} is there already, without a pull request" in done.stdout
