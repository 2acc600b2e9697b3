"""Finding copier, and what is made of its words."""

import subprocess
import sys

import pytest

from comp.errors import CompError
from comp.updating import copier_program
from comp.updating.origin import ANSWERS, Origin

FULL = "_commit: v1.2.0\n_src_path: gh:org/kaggle-vision\ntask: classify\n_yours:\n- conf/*.yaml\n"
CLONE_FAILED = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
plumbum.commands.processes.ProcessExecutionError: Unexpected exit code: 128
Command line: | git ls-remote https://example.org/no.git
Stderr:       | fatal: unable to access 'https://example.org/no.git/': Could not resolve host: example.org
"""


@pytest.fixture
def installed(monkeypatch):
    """`installed("uvx")` makes these the only ways to copier."""

    def only(*ways):
        monkeypatch.setattr(copier_program, "find_spec", lambda name: object() if "module" in ways else None)
        monkeypatch.setattr(copier_program.shutil, "which", lambda name: f"/bin/{name}" if name in ways else None)

    return only


@pytest.mark.parametrize(
    ("ways", "command"),
    [
        (["module", "copier", "uvx"], [sys.executable, "-P", "-m", "copier"]),
        (["copier", "uvx"], ["copier"]),
        (["uvx"], ["uvx", "copier"]),
    ],
)
def test_copier_is_found_where_it_is(installed, ways, command):
    installed(*ways)
    assert copier_program._program() == command


def test_without_copier_a_line_says_how_to_install_it(installed):
    installed()
    with pytest.raises(CompError, match=r"^copier is not installed: pipx install copier .*$"):
        copier_program.copier("--version")


def test_git_does_nothing_behind_copiers_back(tmp_path, monkeypatch):
    """A hook could stop it, and maintenance would write into a folder that copier deletes."""
    repo = tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", repo], check=True)
    commit = [
        *("git", "-C", str(repo), "-c", "user.name=a", "-c", "user.email=a@example.org"),
        *("commit", "--quiet", "--allow-empty", "--message", "Draft"),
    ]
    hook = repo / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    hook.chmod(0o755)

    def started(run):
        trace = tmp_path / "trace"
        monkeypatch.setenv("GIT_TRACE", str(trace))
        run()
        found = trace.read_text(encoding="utf-8")
        trace.unlink()
        return [name for name in ("maintenance run", "pre-commit") if name in found]

    assert started(lambda: subprocess.run(commit, check=True)) == ["maintenance run", "pre-commit"]
    monkeypatch.setattr(copier_program, "_program", lambda: commit)
    assert started(copier_program.copier) == []


@pytest.mark.parametrize(
    ("said", "way_out"),
    [
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "log in there once with ssh"),
        (
            "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "the template is private",
        ),
        ("fatal: could not read Username for 'https://x.org': terminal prompts disabled", "the template is private"),
        ("fatal: Unable to create '/x/.git/index.lock': File exists.\n\nAnother git process", "delete that file"),
        ("error: pathspec 'v9' did not match any file(s) known to git", "the template no longer has that version"),
    ],
)
def test_a_known_reason_comes_with_the_way_out(said, way_out):
    reason = copier_program._reason(f"Traceback\n{said}\n")
    assert way_out in reason.partition("; ")[2]
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (CLONE_FAILED, "unable to access 'https://example.org/no.git/': Could not resolve host: example.org"),
        ("\x1b[31mDownloads are closed\x1b[39m\n", "Downloads are closed"),
        ("Traceback\nValueError: Validation error for question 'folds': Between 1 and 50.\n", "Between 1 and 50."),
        ("", "it failed without giving a reason"),
    ],
)
def test_the_reason_is_one_line(printed, reason):
    assert copier_program._reason(printed) == reason


def test_the_answers_file_tells_where_a_repository_comes_from(tmp_path):
    (tmp_path / ANSWERS).write_text(FULL, encoding="utf-8")
    origin = Origin.of(tmp_path)
    assert (origin.source, origin.version, origin.yours) == ("gh:org/kaggle-vision", "v1.2.0", ("conf/*.yaml",))
    assert origin.answers == {"task"}


def test_a_repository_older_than_the_list_of_the_users_files_has_none(tmp_path):
    (tmp_path / ANSWERS).write_text(FULL.partition("_yours")[0], encoding="utf-8")
    assert Origin.of(tmp_path).yours == ()


@pytest.mark.parametrize(
    "text", ["", "a line\n", "task: classify\n", "<<<<<<< before\ntask: a\n=======\n", "- 1\n", "\xff"]
)
def test_a_broken_answers_file_is_named(tmp_path, text):
    (tmp_path / ANSWERS).write_text(text, encoding="latin-1")
    with pytest.raises(CompError, match=r"\.copier-answers\.yml does not say which version"):
        Origin.of(tmp_path)


def test_a_missing_one_too(tmp_path):
    with pytest.raises(CompError, match="is not here: run comp update in the repository's folder"):
        Origin.of(tmp_path)
