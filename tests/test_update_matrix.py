"""No line of the user's is ever lost silently: every kind of file × everything that a template does to it.

For every task there is, from one release back and from two; a change of an answer, a new question and a changed recipe
are in each update. `comp update` and plain `copier update` meet the same cells; what the latter loses is a fact that
docs/updating.md tells, and that is asserted here.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from copier import run_copy
from rendering import FIRST_TASK, RECIPES, RELEASE, answers, commit, copier, files_in, git
from updating import (
    CELLS,
    CHANGES,
    RELEASES,
    SHARED,
    TIERS,
    USERS_OWN,
    Edits,
    comp_update,
    live_in,
    make_releases,
    path_of,
)

ANSWER = "compute=cpu"  # takes the conditional cells away
WHAT_COMES = {
    "template": {
        "same": "conflict",
        "near": "merged",
        "append": "conflict",
        "renamed": "beside",
        "deleted": "beside",
        "conditional": "beside",
    },
    "shared": {
        "same": "merged",
        "near": "merged",
        "append": "merged",
        "renamed": "beside",
        "deleted": "beside",
        "conditional": "beside",
    },
    "yours": dict.fromkeys(CHANGES, "kept"),
    "special": {
        "latin-1": "beside",
        "windows line ends": "merged",
        "not a text": "beside",
        "executable": "merged",
        "ein Häuschen": "merged",
        "emptied": "merged",
        "fixed alike": "merged",
        "moved": "merged",
    },
    "user": {"new": "kept", "added by both": "conflict"},
}
LOST_BY_COPIER = {f"{tier}-{change}" for tier in TIERS for change in ("renamed", "deleted", "conditional")}
LOST_BY_COPIER |= {"special-latin-1", "special-not a text"}
EVERY_CELL = [f"{tier}-{change}" for tier, changes in WHAT_COMES.items() for change in changes]
OTHERS = {  # files that really ship
    "merged": SHARED,
    "kept": ("conf/baseline.yaml", "src/comp/custom.py", "conf/mine.yaml", "tests/mine/test_mine.py"),
}


@dataclass
class Updated:
    repo: Path
    edits: Edits
    done: subprocess.CompletedProcess[str]

    def state(self, name: str) -> str:
        """conflict, merged, kept, beside or lost: what became of the user's edits to a file."""
        path, beside = self.repo / name, self.repo / f"{name}.mine"
        mine, lines = self.edits.files[name], self.edits.lines[name]
        now = path.read_bytes() if path.is_file() else b""
        if beside.is_file():
            return "beside" if beside.read_bytes() == mine else "damaged"
        have = [line.rstrip(b"\r") for line in now.split(b"\n")]
        if now == mine:
            return "kept"
        if not now or not all(have.count(line) >= lines.count(line) for line in lines):
            return "lost"
        if b"<<<<<<< before updating" in have:
            return "conflict"
        return "merged" if b"THEIRS 2" in now else "damaged"


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_releases(tmp_path_factory.mktemp("releases"))


def lived_in(releases: Path, folder: Path, task: str, version: str) -> tuple[Path, Edits]:
    repo = folder / "new-comp"
    run_copy(str(releases), repo, data={"task": task}, defaults=True, quiet=True, vcs_ref=version)
    commit(repo, "From the template")
    return repo, live_in(repo)


def by_task(*backs: int) -> list[Any]:
    """Each task, from each of so many releases back; all tasks but the first for a release only."""
    return [
        pytest.param((task, back), marks=() if task == FIRST_TASK else RELEASE) for task in RECIPES for back in backs
    ]


@pytest.fixture(scope="module", params=by_task(1, 2), ids=str)
def updated(request: pytest.FixtureRequest, releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """A repository with the user's edits, after `comp update`."""
    task, back = request.param
    repo, edits = lived_in(releases, tmp_path_factory.mktemp("mine"), task, RELEASES[2 - back])
    return Updated(repo, edits, comp_update(repo, ANSWER))


@pytest.fixture(scope="module", params=by_task(2), ids=str)
def by_copier(request: pytest.FixtureRequest, releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """The same after plain `copier update`."""
    task, back = request.param
    repo, edits = lived_in(releases, tmp_path_factory.mktemp("mine"), task, RELEASES[2 - back])
    return Updated(repo, edits, copier("update", "--defaults", "-d", ANSWER, cwd=repo))


def test_the_matrix_is_whole():
    assert set(EVERY_CELL) == {*CELLS, *USERS_OWN} - {"special-unwanted"}


@pytest.mark.parametrize("cell", EVERY_CELL)
def test_comp_update_loses_nothing(updated, cell):
    tier, _, change = cell.partition("-")
    assert updated.state(path_of(cell).as_posix()) == WHAT_COMES[tier][change], updated.done.stdout


@pytest.mark.parametrize(("state", "name"), [(state, name) for state, names in OTHERS.items() for name in names])
def test_neither_in_the_files_that_really_ship(updated, state, name):
    assert updated.state(name) == state


def test_nor_in_a_recipe_which_stays_as_it_is(updated):
    for path in (updated.repo / "conf/recipes").iterdir():
        assert updated.state(path.relative_to(updated.repo).as_posix()) == "kept"


def test_every_line_of_the_users_stands_somewhere(updated):
    stand = b"\n".join(path.read_bytes() for path in files_in(updated.repo)).replace(b"\r", b"").split(b"\n")
    for lines in updated.edits.lines.values():
        assert set(lines) <= set(stand)


def test_what_is_left_to_do_is_named_and_the_status_says_so(updated):
    assert updated.done.returncode == 1
    told = updated.done.stdout.splitlines()
    for name in updated.edits.files:
        state = updated.state(name)
        assert any(line.startswith(f"conflict {name}:") for line in told) == (state == "conflict")
        assert any(line.startswith(f"lost    {name}:") for line in told) == (state == "beside")
    assert "        + MINE template-renamed" in told
    assert "        + MINE special-latin-1 \\xe9" in told
    assert not updated.done.stderr


def test_deleted_and_moved_lines_stay_so(updated):
    emptied = (updated.repo / path_of("special-emptied")).read_text(encoding="utf-8")
    assert "line 14" in emptied
    assert "line 15" not in emptied
    assert (
        (updated.repo / path_of("special-moved"))
        .read_text(encoding="utf-8")
        .endswith("line 29\nspecial-moved line 20\n")
    )


def test_deleted_files_stay_deleted(updated):
    assert not (updated.repo / path_of("special-unwanted")).exists()
    assert not (updated.repo / "conf/demo.yaml").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_an_executable_file_stays_executable(updated):
    assert (updated.repo / path_of("special-executable")).stat().st_mode & 0o111


def test_the_new_release_is_there(updated):
    given = answers(updated.repo)
    assert (given["_commit"], given["compute"], given["team"]) == (RELEASES[2], "cpu", "Early Birds")
    assert (updated.repo / path_of("template-renamed-later")).is_file()


def test_all_is_on_a_branch_and_what_was_committed_is_untouched(updated):
    assert git(updated.repo, "branch", "--show-current").strip() == "template-v1.2.0"
    main = git(updated.repo, "rev-parse", "main")
    assert git(updated.repo, "rev-parse", "HEAD") == main
    assert git(updated.repo, "log", "-1", "--format=%s").strip() == "Mine"


def test_undone_it_never_was(updated, tmp_path):
    repo = tmp_path / "copy"
    shutil.copytree(updated.repo, repo, symlinks=True)
    assert "undo    comp update --undo" in updated.done.stdout.splitlines()
    undone = comp_update(repo, "--undo")
    assert undone.returncode == 0, undone.stderr
    assert git(repo, "branch", "--format=%(refname:short)").split() == ["main"]
    assert git(repo, "status", "--porcelain") == ""
    assert {name: (repo / name).read_bytes() for name in updated.edits.files} == updated.edits.files


def test_what_plain_copier_loses_is_known(by_copier):
    assert by_copier.done.returncode == 0
    lost = {cell for cell in EVERY_CELL if by_copier.state(path_of(cell).as_posix()) == "lost"}
    assert lost == LOST_BY_COPIER


@pytest.mark.parametrize("cell", sorted(set(EVERY_CELL) - LOST_BY_COPIER))
def test_the_rest_it_treats_alike(by_copier, cell):
    tier, _, change = cell.partition("-")
    assert by_copier.state(path_of(cell).as_posix()) == WHAT_COMES[tier][change]


def test_and_it_brings_back_what_is_the_users_and_was_deleted(by_copier):
    assert (by_copier.repo / "conf/demo.yaml").is_file()
