"""copier and cookiecutter, from `gh:`, a git URL and a folder: the same repository, which `copier update` knows.

No network: git's own `insteadOf` leads `https://github.com/…` to a folder, in both tools.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import yaml
from conftest import FIRST_TAG
from cookiecutter_json import LEFT_OUT, cookiecutter_json
from rendering import APPROACHES, FIRST_OF_EACH, PROMPTS, answers, by_level, commit, copier, files_in, git

GH, URL = "gh:org/kaggle-vision", "https://github.com/org/kaggle-vision.git"
TITLE = """L'été "à la carte" \\n № 1 '''x''' \"\"\"y\"\"\" 😀 #[x] C:\\"""
SLUG = "l-ete-a-la-carte-n-1-x-y-x-c"
LATER_TAG = "v1.1.0"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def published(abridged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it is on GitHub: a release, and since then a commit that is not released."""
    folder = tmp_path_factory.mktemp("github") / "kaggle-vision"
    git(folder.parent, "clone", "--quiet", str(abridged), folder.name)
    (folder / "template/UNRELEASED.md").write_text("Not yet.\n", encoding="utf-8")
    commit(folder, "Not released yet")
    return folder


@pytest.fixture(autouse=True)
def github(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git finds `published` at its address; nothing is cached outside of the test's folder."""
    rc = {"cookiecutters_dir": str(tmp_path / "clones"), "replay_dir": str(tmp_path / "replay")}
    (tmp_path / "cookiecutterrc").write_text(yaml.safe_dump(rc), encoding="utf-8")
    environment = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{published.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": URL,
        "COPIER_CACHE_DIR": str(tmp_path / "mirrors"),
        "COOKIECUTTER_CONFIG": str(tmp_path / "cookiecutterrc"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Where the user stands."""
    (tmp_path / "desk").mkdir()
    return tmp_path / "desk"


def cookiecutter(desk: Path, *words: str, python: Path | str = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "cookiecutter", "--no-input", *words]
    return subprocess.run(command, cwd=desk, capture_output=True, encoding="utf-8", check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files_in(folder)}


def test_cookiecutter_asks_what_copier_asks():
    asked = yaml.safe_load(cookiecutter_json())
    assert {name for name in asked if not name.startswith("_")} == PROMPTS.keys() - LEFT_OUT


@pytest.mark.parametrize(("task", "recipe"), by_level(APPROACHES, FIRST_OF_EACH[:1]))
def test_both_doors_lead_to_the_same_repository(desk, task, recipe):
    extra = {"title": TITLE, "task": task, "recipe": recipe, "compute": "cpu", "tracker": "tensorboard"}
    done = cookiecutter(desk, GH, *(f"{name}={value}" for name, value in extra.items()))
    assert done.returncode == 0, done.stdout + done.stderr
    data = [word for name, value in extra.items() for word in ("--data", f"{name}={value}")]
    assert copier("copy", "--defaults", *data, GH, desk / "copier").returncode == 0
    assert contents(desk / SLUG) == contents(desk / "copier")
    assert answers(desk / SLUG)["title"] == TITLE
    assert f"cd {desk / SLUG} && " in done.stderr


@pytest.mark.parametrize("tool", ["copier", "cookiecutter"])
def test_without_a_wish_it_is_the_newest_release_and_updates_to_the_next(published, desk, tmp_path, monkeypatch, tool):
    folder = tmp_path / "own"
    git(tmp_path, "clone", "--quiet", str(published), "own")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{folder.as_uri()}.insteadOf")
    if tool == "copier":
        assert copier("copy", "--defaults", GH, desk / "my-competition").returncode == 0
    else:
        assert cookiecutter(desk, GH).returncode == 0
    repo = desk / "my-competition"
    assert not (repo / "UNRELEASED.md").exists()
    assert answers(repo)["_src_path"] == GH
    assert answers(repo)["_commit"] == FIRST_TAG
    commit(repo, "From the template")
    git(folder, "tag", LATER_TAG)
    done = copier("update", "--defaults", cwd=repo)
    assert done.returncode == 0, done.stderr
    assert answers(repo)["_commit"] == LATER_TAG
    assert (repo / "UNRELEASED.md").is_file()


def test_a_checkout_that_was_asked_for_is_the_one_that_is_used(published, desk):
    branch = git(published, "rev-parse", "--abbrev-ref", "HEAD").strip()
    for wish in (branch, git(published, "rev-parse", "HEAD").strip()):
        assert cookiecutter(desk, GH, "--checkout", wish, f"slug=at-{wish}").returncode == 0
        assert (desk / f"at-{wish}" / "UNRELEASED.md").is_file()
        assert answers(desk / f"at-{wish}")["_commit"].startswith(f"{FIRST_TAG}-1-g")
    assert cookiecutter(desk, GH, "--checkout", FIRST_TAG).returncode == 0
    assert answers(desk / "my-competition")["_commit"] == FIRST_TAG


@pytest.mark.parametrize(
    ("spelling", "tool"),
    by_level(
        [*product(["url", "file", "absolute", "relative"], ["copier", "cookiecutter"])],
        [("url", "cookiecutter"), ("relative", "copier")],
    ),
)
def test_every_source_is_remembered_so_that_an_update_finds_it(published, desk, spelling, tool):
    given, remembered = {
        "url": (URL, URL),
        "file": (f"git+{published.as_uri()}", f"git+{published.as_uri()}"),
        "absolute": (str(published), str(published)),
        "relative": (os.path.relpath(published, desk), str(published)),
    }[spelling]
    if tool == "copier":
        done = copier("copy", "--defaults", given, "my-competition", cwd=desk)
    else:
        done = cookiecutter(desk, given.removeprefix("git+"))
    assert done.returncode == 0, done.stdout + done.stderr
    repo = desk / "my-competition"
    assert answers(repo)["_src_path"] == remembered
    told = "The template came from a relative folder" in done.stderr
    assert told == (spelling == "relative" and tool == "copier")
    if told:
        commit(repo, "From the template")
        done = copier("update", "--defaults", cwd=repo)
        assert done.returncode == 0, done.stderr
        assert not git(repo, "status", "--porcelain")


def test_a_relative_folder_that_cannot_be_found_again_is_refused_in_one_line(published, desk):
    (desk / "elsewhere").mkdir()
    given = os.path.relpath(published, desk)
    done = cookiecutter(desk, given, "--output-dir", "elsewhere")
    assert done.returncode == 1
    assert done.stderr == f"error: copier update would not find {given}: give gh:…, a git URL or an absolute folder\n"
    assert not list((desk / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("slug=Not_A_Slug", "Small letters, digits and single hyphens."),
        ("recipe=no-such-recipe", "'no-such-recipe' is not in"),
        ("image_size=1", "Between 16 and 2048."),
    ],
)
def test_an_answer_that_copier_refuses_leaves_one_clear_line_and_nothing_else(desk, word, complaint):
    done = cookiecutter(desk, GH, word)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert complaint in line
    assert not list(desk.iterdir())


def test_a_folder_with_something_in_it_is_not_written_over(desk):
    (desk / "my-competition").mkdir()
    (desk / "my-competition/README.md").write_text("Mine.\n", encoding="utf-8")
    done = cookiecutter(desk, GH, "--overwrite-if-exists")
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert contents(desk / "my-competition") == {"README.md": b"Mine.\n"}


def test_the_hooks_leave_a_worktree_of_the_template_as_it_is(published, desk, tmp_path):
    git(published, "worktree", "add", "--quiet", "-b", "work", str(tmp_path / "worktree"))
    before = git(tmp_path / "worktree", "status", "--branch", "--porcelain")
    assert cookiecutter(desk, str(tmp_path / "worktree")).returncode == 0
    assert git(tmp_path / "worktree", "status", "--branch", "--porcelain") == before
    assert (desk / "my-competition" / "UNRELEASED.md").is_file()


# ------------------------------------------------------------------ where cookiecutter's Python has no copier


@pytest.fixture(scope="module")
def python_without_copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that can import cookiecutter, with all that it needs, and not copier."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder / "env", with_pip=False)
    packages, here = folder / "packages", Path(importlib.util.find_spec("cookiecutter").origin).parents[1]
    packages.mkdir()
    for entry in here.iterdir():
        if not entry.name.startswith(("copier", "torch", "nvidia")) and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    [site] = (folder / "env").glob("[Ll]ib/**/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n", encoding="utf-8")
    python = folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    missing = subprocess.run([python, "-c", "import cookiecutter, copier"], capture_output=True, text=True, check=False)
    assert "No module named 'copier'" in missing.stderr
    return python


def path_with(folder: Path, **scripts: str) -> str:
    """A PATH on which copier and uvx are these shell scripts, or nowhere."""
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    rest = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(
        [str(folder), *(p for p in rest if not any(shutil.which(c, path=p) for c in ("copier", "uvx")))]
    )


REAL = f'exec "{sys.executable}" -m copier "$@"'
posix = pytest.mark.skipif(os.name == "nt", reason="shell scripts stand for the programs")


@posix
@pytest.mark.parametrize(
    "scripts",
    [{"copier": REAL}, {"uvx": f'[ "$1" = copier ] && shift && {REAL}'}, {"copier": REAL, "uvx": "exit 9"}],
    ids=["copier", "uvx", "both"],
)
def test_copier_on_the_path_or_uvx_does_as_well(python_without_copier, desk, tmp_path, monkeypatch, scripts):
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", **scripts))
    done = cookiecutter(desk, GH, f"title={TITLE}", python=python_without_copier)
    assert done.returncode == 0, done.stdout + done.stderr
    assert answers(desk / SLUG)["title"] == TITLE


@posix
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "error: Failed to fetch: https://example.org/copier/\\n  cause: unknown issuer\\n\\nhint: Consider this",
            "error: Failed to fetch: https://example.org/copier/",
        ),
        (
            "Traceback\\nplumbum.ProcessExecutionError: Unexpected exit code: 128\\nStderr: | fatal: no such host",
            "error: Stderr: | fatal: no such host",
        ),
    ],
    ids=["uv", "git"],
)
def test_what_stopped_copier_is_told(python_without_copier, desk, tmp_path, monkeypatch, said, told):
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", uvx=f"printf '{said}\\n' >&2; exit 1"))
    done = cookiecutter(desk, GH, python=python_without_copier)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == told
    assert not list(desk.iterdir())


@posix
def test_without_any_copier_one_line_has_the_command_that_does_it(python_without_copier, desk, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin"))
    done = cookiecutter(desk, GH, f"title={TITLE}", python=python_without_copier)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "copier is missing (pip install copier)" in line
    assert not list(desk.iterdir())
    monkeypatch.setenv("PATH", path_with(tmp_path / "other", copier=REAL))
    subprocess.run(line.partition("without cookiecutter: ")[2], shell=True, cwd=desk, check=True)
    assert answers(desk / SLUG)["title"] == TITLE
    assert answers(desk / SLUG)["_src_path"] == GH
