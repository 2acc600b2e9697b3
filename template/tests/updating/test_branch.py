"""`comp update --finish` and `--undo`: what they refuse, and that neither loses anything. Git is real."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import SOURCE

from comp.errors import CompError
from comp.updating import branch as branches
from comp.updating.checkout import Checkout
from comp.updating.edits import END, MIDDLE, START

MARKED = b"\n".join([START, b"mine", MIDDLE, b"theirs", END, b""])
DELETES = "git branch -D template-v2.0.0 deletes it, if its pull request is merged or it is not wanted"
HOLD = """
import sys
from pathlib import Path
from comp.files.lock import locked
with locked(Path(sys.argv[1]), "train"):
    print(flush=True)
    input()
"""
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
def repo(tmp_path, somebody) -> Path:
    """A commit on main, and an update that stands there: its branch, and one file that it changed."""
    repo = tmp_path / "repo"
    repo.mkdir()
    git(repo, "init", "--quiet", "--initial-branch", "main")
    (repo / "theirs.py").write_bytes(b"old\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "Mine")
    updated(repo)
    return repo


def updated(repo: Path) -> None:
    """What `comp update` does to a repository, but that copier wrote."""
    assert branches.begin(Checkout(repo), "v2.0.0") == "template-v2.0.0"
    (repo / "theirs.py").write_bytes(b"new\n")
    branches.written(Checkout(repo), "template-v2.0.0")


def git(repo: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=repo, check=True, capture_output=True, text=True).stdout


def conflict(repo: Path, *sides: bytes) -> None:
    """Has git's index know of a conflict in theirs.py, as copier leaves it."""
    lines = []
    for number, side in enumerate((b"old\n", *sides), start=1):
        (repo / "theirs.py").write_bytes(side)
        lines.append(f"100644 {git(repo, 'hash-object', '-w', 'theirs.py').strip()} {number}\ttheirs.py\n")
    git(repo, "rm", "--quiet", "--cached", "theirs.py")
    told = "".join(lines)
    subprocess.run(["git", "update-index", "--index-info"], cwd=repo, input=told, text=True, check=True)
    (repo / "theirs.py").write_bytes(MARKED)


@contextmanager
def holding(folder: Path) -> Iterator[int]:
    """Another process has locked a run's folder within the block; its number."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    environment, pipe = {**os.environ, "PYTHONPATH": str(SOURCE)}, subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        process.stdout.readline()
        yield process.pid
        process.communicate("\n")


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
    updated(repo)
    (repo / "about markers.txt").write_bytes(MARKED + b"more\n")
    assert branches.finish(Checkout(repo)) == 0


def test_undone_it_is_in_the_stash(repo, capsys):
    (repo / "new.py").write_bytes(b"new\n")
    before = git(repo, "rev-parse", "main")
    assert branches.undo(Checkout(repo)) == 0
    assert "what the update wrote, and what you wrote since, is in git stash (git stash pop" in capsys.readouterr().out
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


def test_one_that_was_cut_off_is_undone_and_never_finished(tmp_path, repo):
    """Copier has written over the edits by then, and not put them back; committed by hand or not."""
    branches.undo(Checkout(repo))
    assert branches.begin(Checkout(repo), "v2.0.0") == "template-v2.0.0"
    for act in (branches.finish, branches.require_clean):
        assert "was cut off in the middle, and edits of yours may be missing" in refused(repo, act)
    (repo / "theirs.py").write_bytes(b"new, and nothing of mine\n")
    for act in (branches.finish, branches.require_clean):
        assert refused(repo, act).splitlines()[1:] == ["to undo it: comp update --undo"]
    git(repo, "commit", "--quiet", "-am", "half")
    for act in (branches.finish, branches.require_clean):
        assert "was cut off in the middle" in refused(repo, act)
    assert branches.undo(Checkout(repo)) == 0
    branches.require_clean(Checkout(repo))
    assert refused(repo, lambda here: branches.begin(here, "v2.0.0")).endswith(f"merged: {DELETES}")
    git(repo, "branch", "--quiet", "-D", "template-v2.0.0")
    updated(repo)
    assert branches.finish(Checkout(repo)) == 0


def test_lines_that_both_branches_changed_are_settled_on_the_branch(repo):
    git(repo, "commit", "--quiet", "-am", "Theirs")
    git(repo, "switch", "--quiet", "main")
    (repo / "theirs.py").write_bytes(b"mine\n")
    git(repo, "commit", "--quiet", "-am", "Mine")
    git(repo, "switch", "--quiet", "template-v2.0.0")
    assert "git merge main, settle both here on template-v2.0.0" in refused(repo)
    assert state(repo)[2] == ""


def test_what_git_says_against_a_merge_is_told_where_no_lines_conflict(repo):
    git(repo, "commit", "--quiet", "-am", "Theirs")
    git(repo, "switch", "--quiet", "main")
    (repo / "mine.py").write_bytes(b"mine\n")
    git(repo, "add", "mine.py")
    git(repo, "commit", "--quiet", "-m", "Mine")
    git(repo, "switch", "--quiet", "template-v2.0.0")
    git(repo, "config", "merge.ff", "only")
    told = refused(repo)
    assert "git merge, or a hook of yours, refused" in told
    assert "Not possible to fast-forward" in told
    assert "in lines that the update changed too" not in told
    assert state(repo)[2] == ""
    git(repo, "config", "merge.ff", "true")
    assert branches.finish(Checkout(repo)) == 0
    assert git(repo, "show", "HEAD:theirs.py") == "new\n"


def test_new_files_of_other_folders_stay_out_of_it(tmp_path):
    """A competition within a larger repository: its neighbors are neither stashed nor committed."""
    repo, neighbor = tmp_path / "all/comp", tmp_path / "all/thesis/draft.md"
    for path in (repo / "theirs.py", neighbor):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"old\n")
    git(repo.parent, "init", "--quiet", "--initial-branch", "main")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "-m", "Mine")
    updated(repo)
    (repo / "new.py").write_bytes(b"new\n")
    assert branches.undo(Checkout(repo)) == 0
    assert git(repo, "show", "stash:comp/new.py") == "new\n"
    assert state(repo)[2] == "?? thesis/\n"
    updated(repo)
    branches.back(Checkout(repo), "main", "template-v2.0.0")
    assert state(repo)[2] == "?? thesis/\n"
    updated(repo)
    subprocess.run(branches.by_hand(Checkout(repo), "template-v2.0.0"), shell=True, cwd=repo, check=True)
    assert state(repo)[2] == "?? thesis/\n"
    git(repo, "branch", "--quiet", "-D", "template-v2.0.0")
    updated(repo)
    assert branches.finish(Checkout(repo)) == 0
    assert state(repo)[2] == "?? thesis/\n"


def test_one_that_somebody_else_merges_is_not_said_to_be_finished_here(repo):
    git(repo, "commit", "--quiet", "-am", "Theirs")
    git(repo, "switch", "--quiet", "main")
    told = refused(repo, lambda here: branches.begin(here, "v2.0.0"))
    assert told.endswith(f"merged: git switch template-v2.0.0 && comp update --finish merges it, or {DELETES}")
    git(repo, "config", "--remove-section", "branch.template-v2.0.0")  # as where it came from a pull request
    assert refused(repo, lambda here: branches.begin(here, "v2.0.0")).endswith(f"not merged: {DELETES}")


def test_what_plain_copier_left_is_put_aside_and_not_committed(repo):
    branches.undo(Checkout(repo))
    (repo / ".copier-answers.yml").write_bytes(b"_commit: v1.0.0\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "Answers")
    (repo / ".copier-answers.yml").write_bytes(b"_commit: v2.0.0\n")
    assert "uncommitted changes" in refused(repo, branches.require_clean)  # the answers alone drop no edit
    conflict(repo, b"theirs\n", b"mine\n")
    told = refused(repo, branches.require_clean)
    assert "looks like a plain copier update" in told
    assert "git commit" not in told
    subprocess.run("git add -A . && git stash", shell=True, cwd=repo, check=True, capture_output=True)
    assert "git add -A . && git stash puts it aside, then comp update" in told
    branches.require_clean(Checkout(repo))
    (repo / ".copier-answers.yml").write_bytes(b"_commit: v1.0.0\n_src_path: elsewhere\n")
    (repo / "mine.txt").write_bytes(b"more\n")
    assert "git commit" in refused(repo, branches.require_clean)  # the source by hand: nothing of copier's


def test_nor_is_a_merge_with_markers_committed(repo):
    git(repo, "commit", "--quiet", "-am", "Theirs")
    git(repo, "switch", "--quiet", "main")
    (repo / "theirs.py").write_bytes(b"mine\n")
    git(repo, "commit", "--quiet", "-am", "Mine")
    with pytest.raises(subprocess.CalledProcessError):
        git(repo, "merge", "template-v2.0.0")
    assert "a merge is not finished here ('theirs.py')" in refused(repo, branches.require_clean)


@posix
def test_the_code_under_a_command_that_runs_is_not_changed(repo):
    (repo / ".git/info/exclude").write_text("runs\n", encoding="utf-8")
    with holding(repo / "runs/small") as process:
        for act in (branches.finish, branches.undo, lambda here: branches.begin(here, "v3.0.0")):
            told = refused(repo, act)
            assert told.startswith(f"runs/small is in use by process {process} on ")
            assert "(comp train, since " in told
    assert branches.finish(Checkout(repo)) == 0


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
