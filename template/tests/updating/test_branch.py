"""`comp update --finish` and `--undo`: what they refuse, and that neither loses anything. Git is real."""

import os
import subprocess
from pathlib import Path

import pytest

from comp.errors import CompError
from comp.updating import branch as branches
from comp.updating.checkout import Checkout
from comp.updating.edits import END, MIDDLE, START

MARKED = b"\n".join([START, b"mine", MIDDLE, b"theirs", END, b""])
posix = pytest.mark.skipif(os.name == "nt", reason="hooks are shell scripts")


@pytest.fixture(autouse=True)
def somebody(monkeypatch, tmp_path):
    """A name for commits, and no settings."""
    (tmp_path / "gitconfig").write_text("", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.org")


@pytest.fixture
def repo(tmp_path) -> Path:
    """A commit on main, and an update that has begun: its branch, and one file that it changed."""
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "--quiet", "--initial-branch", "main")
    (repo / "theirs.py").write_bytes(b"old\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "Mine")
    assert branches.begin(Checkout(repo), "v2.0.0") == "template-v2.0.0"
    (repo / "theirs.py").write_bytes(b"new\n")
    return repo


def git(repo: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=repo, check=True, capture_output=True, text=True).stdout


def state(repo: Path) -> tuple[str, str, str]:
    return tuple(git(repo, *words.split()) for words in ("branch --show-current", "for-each-ref", "status --porcelain"))


def refused(repo: Path, act=branches.finish) -> str:
    before = state(repo)
    with pytest.raises(CompError) as error:
        act(Checkout(repo))
    assert state(repo)[0] == before[0]
    return str(error.value)


def test_finished_it_is_merged_and_its_branch_is_gone(repo, capsys):
    assert branches.finish(Checkout(repo)) == 0
    assert state(repo)[0].strip() == "main"
    assert git(repo, "branch", "--format=%(refname:short)").split() == ["main"]
    assert git(repo, "show", "HEAD:theirs.py") == "new\n"
    assert git(repo, "log", "-1", "--format=%s").strip() == "template-v2.0.0"
    assert "template-v2.0.0 is merged into main" in capsys.readouterr().out


@pytest.mark.parametrize("content", [MARKED, MARKED.replace(START, b"mine alone"), MARKED.replace(b"\n", b"\r\n")])
def test_a_marker_is_not_merged(repo, content):
    (repo / "theirs.py").write_bytes(content)
    assert "'theirs.py': between <<<<<<< and >>>>>>> stand both versions" in refused(repo)
    git(repo, "add", "theirs.py")
    git(repo, "commit", "--quiet", "-m", "too early")
    assert "theirs.py" in refused(repo)
    (repo / "theirs.py").write_bytes(b"new\n")
    assert branches.finish(Checkout(repo)) == 0


def test_nor_is_a_version_that_was_put_beside(repo):
    for name in ("theirs.py.mine", "gone.py.mine1"):
        (repo / name).write_bytes(b"mine\n")
        assert name in refused(repo)
        (repo / name).unlink()
    assert branches.finish(Checkout(repo)) == 0


def test_what_the_user_had_before_is_no_reason(tmp_path, repo):
    branches.undo(Checkout(repo))
    (repo / "notes.mine").write_bytes(b"mine\n")
    (repo / "about markers.txt").write_bytes(MARKED)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "Both are mine")
    branches.begin(Checkout(repo), "v2.0.0")
    (repo / "about markers.txt").write_bytes(MARKED + b"more\n")
    assert branches.finish(Checkout(repo)) == 0


def test_undone_it_is_in_the_stash(repo, capsys):
    (repo / "new.py").write_bytes(b"new\n")
    before = git(repo, "rev-parse", "main")
    assert branches.undo(Checkout(repo)) == 0
    assert "git stash" in capsys.readouterr().out
    assert (state(repo)[0].strip(), state(repo)[2], git(repo, "rev-parse", "HEAD")) == ("main", "", before)
    assert git(repo, "show", "stash@{0}:new.py") == "new\n"
    assert "template-" not in git(repo, "branch")


def test_undone_its_commits_stay_a_branch(repo, capsys):
    git(repo, "commit", "--quiet", "-am", "a day of work")
    assert branches.undo(Checkout(repo)) == 0
    assert state(repo)[0].strip() == "main"
    assert git(repo, "show", "template-v2.0.0:theirs.py") == "new\n"
    assert "git branch -D template-v2.0.0" in capsys.readouterr().out


def test_where_no_update_stands_a_line_says_which_branch_has_one(repo):
    git(repo, "commit", "--quiet", "-am", "Later")
    git(repo, "switch", "--quiet", "main")
    for act in (branches.finish, branches.undo):
        assert refused(repo, act) == "no update stands here, on main; git switch template-v2.0.0 leads to one"


def test_cut_off_before_it_wrote_anything_it_is_not_built_upon(repo):
    git(repo, "checkout", "--quiet", "theirs.py")
    with pytest.raises(CompError, match="it was cut off before it wrote anything") as error:
        branches.require_clean(Checkout(repo))
    assert "to undo it: comp update --undo" in str(error.value)
    assert branches.undo(Checkout(repo)) == 0
    branches.require_clean(Checkout(repo))


def test_lines_that_both_branches_changed_are_settled_on_the_branch(repo):
    git(repo, "commit", "--quiet", "-am", "Theirs")
    git(repo, "switch", "--quiet", "main")
    (repo / "theirs.py").write_bytes(b"mine\n")
    git(repo, "commit", "--quiet", "-am", "Mine")
    git(repo, "switch", "--quiet", "template-v2.0.0")
    assert "git merge main, settle both here on template-v2.0.0" in refused(repo)
    assert state(repo)[2] == ""


@posix
def test_what_a_hook_says_is_told(repo):
    hook = repo / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho 'ruff would reformat theirs.py'\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    told = refused(repo)
    assert "a hook of yours, refused" in told
    assert "ruff would reformat theirs.py" in told
    hook.unlink()
    assert branches.finish(Checkout(repo)) == 0


def test_a_lock_that_git_left_is_named_with_the_way_out(repo):
    (repo / ".git/index.lock").touch()
    for act in (branches.finish, branches.undo):
        assert "index.lock': File exists" in refused(repo, act)
        assert "if no other git is at work here, delete that file" in refused(repo, act)
