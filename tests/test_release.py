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
    """A clone in which version 0.2.0 can be released after 0.1.0; its tests and its example only say that they ran."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("ready"))
    (folder / "Makefile").write_text("test-release example:\n\ttouch .git/ran-$@\n", encoding="utf-8")
    commit(folder, "The first", tag="v0.1.0")
    (folder / "CHANGELOG.md").write_text(CHANGES, encoding="utf-8")
    commit(folder, "The second")
    return folder


@pytest.fixture
def clone(ready: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(ready), "clone")
    return tmp_path / "clone"


def release(clone: Path, *words: str, who: dict[str, str] = NAME) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(clone / "ci/release"), *words]
    return subprocess.run(command, env={**who, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False)


def tags(clone: Path) -> list[str]:
    return git(clone, "tag").split()


def ran(clone: Path) -> set[str]:
    return {path.name.removeprefix("ran-") for path in (clone / ".git").glob("ran-*")}


def test_a_version_that_is_ready_is_tested_and_tagged_with_its_entry(clone):
    done = release(clone, "0.2.0")
    assert done.returncode == 0, done.stderr
    assert ran(clone) == {"test-release", "example"}
    assert tags(clone) == ["v0.1.0", "v0.2.0"]
    assert "- Something new." in git(clone, "tag", "--list", "--format=%(contents)", "v0.2.0")
    assert "git push origin main v0.2.0" in done.stdout


def test_a_dry_run_tags_nothing(clone):
    assert "could be made" in release(clone, "0.2.0", "--dry-run").stdout
    assert ran(clone) == {"test-release", "example"}
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


def test_nobody_can_make_none_and_hears_so_before_the_tests(clone):
    git(clone, "config", "user.useConfigOnly", "true")
    done = release(clone, "0.2.0", who={"GIT_CONFIG_NOSYSTEM": "1"})
    assert (done.returncode, tags(clone)) == (1, ["v0.1.0"])
    assert "git config user.name" in done.stderr
    assert not done.stdout  # where make would say what it runs


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


@pytest.mark.parametrize(
    ("makefile", "fault"),
    [
        ("test-release:\n\tfalse\nexample:\n", "the tests do not pass"),
        ("test-release:\nexample:\n\tfalse\n", "the example cannot be made, trained or updated"),
    ],
)
def test_failing_tests_and_a_failing_example_stop_it(clone, makefile, fault):
    (clone / "Makefile").write_text(makefile, encoding="utf-8")
    commit(clone, "Broken")
    done = release(clone, "0.2.0")
    assert (done.returncode, tags(clone)) == (1, ["v0.1.0"])
    assert fault in done.stderr


@pytest.mark.parametrize(
    ("meanwhile", "fault"),
    [
        ("git commit --quiet --allow-empty -m later", "HEAD has moved while it was tested"),
        ("echo >> CHANGELOG.md", "there is work that is not committed"),
    ],
)
def test_what_became_of_it_while_it_was_tested_is_not_tagged(clone, meanwhile, fault):
    (clone / "Makefile").write_text(f"test-release:\nexample:\n\t{meanwhile}\n", encoding="utf-8")
    commit(clone, "Slow")
    done = release(clone, "0.2.0")
    assert (done.returncode, tags(clone)) == (1, ["v0.1.0"])
    assert fault in done.stderr


def test_no_tests_leaves_both_out(clone):
    assert "could be made" in release(clone, "0.2.0", "--dry-run", "--no-tests").stdout
    assert ran(clone) == set()


def test_the_changelog_names_the_next_version_first():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line[:3] == "## "]
    assert headings[0].split()[1].count(".") == 2
