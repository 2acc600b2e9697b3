"""Whose a generated file is: said once, in copier.yml, and by everything that a repository says of it."""

import re
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import yaml
from copier import run_copy
from rendering import APPROACHES, PARTS, QUESTIONS, SETTINGS, answers, commit, copier, files_in, git

OWNERSHIP: dict[str, list[str]] = QUESTIONS["ownership"]["default"]
TIERS = ("yours", "shared", "template")
TASK, OTHER = list(PARTS)[:2]
BLOCK = "Yours from here on"
BINARY = {".png", ".jpg", ".npz", ".parquet", ".safetensors", ".pt", ".pth", ".pkl", ".ipynb", ".zip", ".whl", ".so"}
LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "Pipfile.lock", "requirements.lock"}


def owners(name: str) -> set[str]:
    """The tiers with the longest pattern that fits."""
    path = PurePosixPath(name)
    fits = [
        (pattern.count("/"), tier)
        for tier in TIERS
        for pattern in OWNERSHIP[tier]
        for part in (path, *path.parents)
        if len(part.parts) == pattern.count("/") + 1 and part.match(pattern)
    ]
    return {tier for depth, tier in fits if depth == max(fits)[0]}


@pytest.fixture(params=APPROACHES, ids=lambda pair: pair[1])
def repo(request: pytest.FixtureRequest, render) -> Path:
    task, name = request.param
    return render(task=task, recipe=name)


def test_every_file_has_one_owner(repo):
    for path in files_in(repo):
        name = path.relative_to(repo).as_posix()
        assert len(owners(name)) == 1, f"{name} belongs to {owners(name) or 'nobody'}: see ownership in copier.yml"


def test_no_path_is_listed_in_vain(render):
    names = {path.relative_to(render(task=task)).as_posix() for task in PARTS for path in files_in(render(task=task))}
    for pattern in OWNERSHIP["shared"] + OWNERSHIP["template"]:
        assert any(name == pattern or name.startswith(f"{pattern}/") for name in names), pattern


def test_what_is_the_users_is_what_copier_skips(render):
    assert OWNERSHIP["yours"] == SETTINGS["_skip_if_exists"] == answers(render())["_yours"]


@pytest.mark.parametrize("page", ["README.md", "AGENTS.md"])
def test_the_pages_name_every_path_with_its_owner(repo, page):
    rows = [line for line in (repo / page).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    table = {whose: set(re.findall(r"`([^`]+)`", files)) for _, files, whose, *_ in (row.split("|") for row in rows)}
    said = [set(names) for names in OWNERSHIP.values()]
    assert all(names in table.values() for names in said)


def test_a_shared_file_ends_with_a_block_of_the_users(repo):
    for name in OWNERSHIP["shared"]:
        text = (repo / name).read_text(encoding="utf-8")
        assert text.count(BLOCK) == 1 or name in {"README.md", "AGENTS.md"}  # whose tables name it as well
        below = text.rpartition(BLOCK)[2].splitlines()[1:]
        assert [line for line in below if not line.startswith("#")] in ([], ["mine = []"]), f"{name}: {below}"


def test_the_users_block_takes_packages_tools_and_jobs(render):
    text = (render() / "pyproject.toml").read_text(encoding="utf-8")
    mine = text.replace("mine = []", 'mine = ["wandb>=0.19"]') + '\n[tool.codespell]\nskip = "data"\n'
    project = tomllib.loads(mine)
    assert project["project"]["optional-dependencies"]["mine"] == ["wandb>=0.19"]
    assert project["tool"]["codespell"] == {"skip": "data"}
    workflow = (render() / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(workflow + "      - run: my-step\n  my-job:\n    runs-on: ubuntu-latest\n")["jobs"]
    assert list(steps)[-1] == "my-job"
    assert list(steps.values())[-2]["steps"][-1] == {"run": "my-step"}


def test_nothing_binary_no_lockfile_and_no_secrets_are_shipped(repo):
    for path in files_in(repo):
        assert b"\0" not in path.read_bytes()
        path.read_text(encoding="utf-8")
        assert path.suffix not in BINARY
        assert path.name not in LOCKS
        assert not path.name.startswith(".env")


@pytest.fixture(scope="module")
def made(abridged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed repository of the first task."""
    repo = tmp_path_factory.mktemp("made") / "repo"
    run_copy(str(abridged), repo, data={"task": TASK}, defaults=True, quiet=True)
    commit(repo, "From the template")
    return repo


@pytest.mark.parametrize("command", [["update"], ["recopy", "--overwrite"]])
def test_the_task_stays_what_it_was(abridged, made, command):
    done = copier(*command, "--defaults", "-d", f"task={OTHER}", cwd=made)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert f"stays one for {TASK}" in told
    assert f"copier copy -d task={OTHER} {abridged} ../{OTHER}" in told
    assert git(made, "status", "--porcelain") == ""


def test_and_the_second_repository_that_the_line_names_can_be_made(abridged, tmp_path):
    done = copier("copy", "--defaults", "-d", f"task={OTHER}", abridged, tmp_path / OTHER)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert answers(tmp_path / OTHER)["task"] == OTHER


def test_another_answer_may_change_and_the_task_is_not_asked_for_again(made):
    done = copier("update", "--defaults", "-d", "compute=cpu", cwd=made)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert (answers(made)["task"], answers(made)["compute"]) == (TASK, "cpu")
