"""`ci/release` tags a version that is ready, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from rendering import ROOT, commit, copy_of_the_tree, git
from updating import NAME

CHANGES = "# Changes\n\n## 0.2.0 (2026-12-24)\n\n- Something new.\n\n## 0.1.0 (2026-11-30)\n\n- The first.\n"


@pytest.fixture(scope="module")
def ready(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which version 0.2.0 can be released after 0.1.0; its tests only say that they ran."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("ready"))
    (folder / "Makefile").write_text("test-all:\n\ttouch .git/tested\n", encoding="utf-8")
    commit(folder, "The first", tag="v0.1.0")
    (folder / "CHANGELOG.md").write_text(CHANGES, encoding="utf-8")
    commit(folder, "The second")
    return folder


@pytest.fixture
def clone(ready: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(ready), "clone")
    return tmp_path / "clone"


def release(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(clone / "ci/release"), *words]
    return subprocess.run(command, env={**NAME, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)


def tags(clone: Path) -> list[str]:
    return git(clone, "tag").split()


def test_a_version_that_is_ready_is_tested_and_tagged_with_its_entry(clone):
    done = release(clone, "0.2.0")
    assert done.returncode == 0, done.stderr
    assert (clone / ".git/tested").is_file()
    assert tags(clone) == ["v0.1.0", "v0.2.0"]
    assert "- Something new." in git(clone, "tag", "--list", "--format=%(contents)", "v0.2.0")
    assert "git push origin main v0.2.0" in done.stdout


def test_a_dry_run_tags_nothing(clone):
    assert "could be made" in release(clone, "0.2.0", "--dry-run").stdout
    assert (clone / ".git/tested").is_file()
    assert tags(clone) == ["v0.1.0"]


@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ("v0.2.0", "is no version"),
        ("0.2", "is no version"),
        ("0.02.0", "is no version"),
        ("0.1.0", "does not follow v0.1.0: one of 0.1.1, 0.2.0, 1.0.0"),
        ("0.3.0", "does not follow"),
        ("0.1.1", "CHANGELOG.md has no entry `## 0.1.1 (YYYY-MM-DD)`"),
    ],
)
def test_a_wrong_version_is_refused(clone, version, fault):
    done = release(clone, version)
    assert done.returncode == 1
    assert fault in done.stderr
    assert tags(clone) == ["v0.1.0"]


def test_an_entry_without_a_date_is_none(clone):
    (clone / "CHANGELOG.md").write_text(CHANGES.replace("2026-12-24", "unreleased"), encoding="utf-8")
    commit(clone, "Not yet")
    assert "has no entry" in release(clone, "0.2.0").stderr


def test_uncommitted_work_and_another_branch_are_refused(clone):
    (clone / "new.txt").write_text("x", encoding="utf-8")
    git(clone, "switch", "--quiet", "--create", "other")
    done = release(clone, "0.2.0")
    assert "not committed" in done.stderr
    assert "releases are made on main" in done.stderr
    assert tags(clone) == ["v0.1.0"]


def test_failing_tests_stop_it(clone):
    (clone / "Makefile").write_text("test-all:\n\tfalse\n", encoding="utf-8")
    commit(clone, "Broken")
    done = release(clone, "0.2.0")
    assert (done.returncode, tags(clone)) == (1, ["v0.1.0"])
    assert "the tests do not pass" in done.stderr


def test_the_changelog_names_the_next_version_first():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line[:3] == "## "]
    assert headings[0].split()[1].count(".") == 2
