"""What the tests share: a clean copy of the template, the commands that users type, and reading what comes out."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from questions import ROOT, constants_of, questions

TEMPLATE = ROOT / "template"
RELEASE = pytest.mark.release
SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = questions()
PROMPTS = {name: question for name, question in QUESTIONS.items() if question.get("when") is not False}
CONSTANTS = constants_of()
PARTS: dict[str, list[str]] = CONSTANTS["parts"]
TASKS: dict[str, dict[str, Any]] = CONSTANTS["tasks"]
RECIPES: dict[str, list[str]] = CONSTANTS["recipes_of"]
APPROACHES = [(task, name) for task, names in RECIPES.items() for name in names]
FIRST_TASK = next(iter(RECIPES))
FIRST_OF_EACH = [(task, names[0]) for task, names in RECIPES.items()]


def by_level(values: Collection[Any], daily: Collection[Any]) -> list[Any]:
    """The values of a test's parameters; of one kind with those that run each day, the others run for a release."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=() if value in daily else RELEASE)
        for value in values
    ]


def recipe(name: str) -> dict[str, Any]:
    """A recipe as the template has it."""
    return yaml.safe_load((ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8"))


def copy_of_the_tree(to: Path, abridged: bool = False) -> Path:
    """What `git clone` would give if all were committed: tracked files as they are now, and new ones not ignored.

    Abridged, without the tests and the code of tasks: neither prompts nor `comp update` read them, and copier takes a
    quarter of the time.
    """
    for name in _files_of_the_tree():
        if (ROOT / name).is_file() and not (abridged and _is_left_out(name)):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def _is_left_out(name: str) -> bool:
    """Whether an abridged template has no such file; every user's `custom.py` is made from one of them."""
    folders = {folder for folders in PARTS.values() for folder in folders}
    code = tuple(f"template/src/comp/{folder}/" for folder in folders)
    return name.startswith(("template/tests/", *code)) and not name.endswith("/custom.py")


def _files_of_the_tree() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and (ROOT / ".git").exists():
        return listed.stdout.rstrip("\0").split("\0")
    return [str(path.relative_to(ROOT)) for path in files_in(ROOT)]


def files_in(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, without git's own and what tools leave behind."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        left = any(part.endswith(("__pycache__", "_cache", ".hypothesis")) for part in parts)
        if path.is_file() and parts[0] not in {".git", ".venv", ".venv-lowest", "build"} and not left:
            yield path


def git(folder: Path, *words: str) -> str:
    """Runs git and returns what it prints."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def commit(folder: Path, message: str, tag: str | None = None) -> None:
    """Commits all there is, and makes the folder a git repository before where it is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", message)
    if tag:
        git(folder, "tag", tag)


def copier(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs copier as a user does, but with nobody there to answer: a question would end it."""
    command = [sys.executable, "-m", "copier", *map(str, words)]
    return subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def comp(repo: Path, *words: str, status: int = 0) -> str:
    """Runs `comp` in a generated repository, which ends with `status`, and returns what it prints."""
    command = [sys.executable, "-m", "comp", *words]
    env = {**os.environ, "PYTHONPATH": str(repo / "src"), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(command, cwd=repo, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == status, f"comp {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def python(repo: Path, code: str, *words: str) -> str:
    """Runs Python code beside a generated repository's own code and returns what it prints."""
    env = {**os.environ, "PYTHONPATH": str(repo / "src"), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=repo, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


IN_TURN = """
import json, sys
from comp.cli import main
for words in json.loads(sys.argv[1]):
    if status := main(words):
        sys.exit(f"comp {' '.join(words)}: {status}")
"""


def comp_in_turn(repo: Path, *commands: tuple[str, ...]) -> str:
    """Runs several commands of `comp` in one process, which imports torch once; all must succeed."""
    return python(repo, IN_TURN, json.dumps(commands))


def resolved(repo: Path, *names: str) -> dict[str, dict[str, Any]]:
    """The configurations of a generated repository as the template's code reads them, by file name."""
    from comp.config import load_config

    return {name: load_config(repo / name).model_dump(mode="json") for name in names}


def answers(repo: Path) -> dict[str, Any]:
    """What the repository knows of the prompts: its answers file, and conf/baseline.yaml where that alone says it."""
    remembered = yaml.safe_load((repo / ".copier-answers.yml").read_text(encoding="utf-8"))
    if not (repo / "conf/baseline.yaml").is_file() or "_in_baseline" not in remembered:
        return remembered
    stated = yaml.safe_load((repo / "conf/baseline.yaml").read_text(encoding="utf-8"))
    known = {"metric": stated["metric"]} if "metric" in stated else {}  # older templates left it to the recipe
    if folds := stated.get("folds"):  # likewise
        known["folds"] = 1 if folds["kind"] == "holdout" else folds["n"]
    return {**known, **stated.get("model", {}), **remembered}
