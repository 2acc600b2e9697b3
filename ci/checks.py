"""What holds in every generated repository, whatever was answered. Each function returns the faults, a line a fault."""

import ast
import csv
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

AT_THE_TOP = {".git", ".venv", "build", "data", "runs", "submissions"}  # deeper down, some of them are code
ANYWHERE = ("__pycache__", "_cache", ".egg-info", ".hypothesis")
# import name → name on the package index, where they differ
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "huggingface_hub": "huggingface-hub",
    "iterstrat": "iterative-stratification",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "yaml": "pyyaml",
}
IMPORTED_BY_OTHERS = {"pyarrow", "tensorboard", "trackio", "wandb"}  # by pandas for parquet, by accelerate
PROGRAMS = {"kaggle", "six"}  # never imported here: started as a program
TOOLS = {"pytest", "ruff", "mypy"}


def files_in(folder: Path) -> Iterator[Path]:
    """Every file that was generated, without git's own, what runs leave and what tools leave."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in AT_THE_TOP and not any(part.endswith(ANYWHERE) for part in parts):
            yield path


def jinja_left_over(repo: Path, template: Path, given: list[str]) -> list[str]:
    """In files that were rendered and in all names. `given`: answers that may look like Jinja, as files spell them."""
    found = []
    for path in files_in(repo):
        name = path.relative_to(repo).as_posix()
        if not (template / name).exists():
            text = path.read_text(encoding="utf-8")
            for answer in given:
                text = text.replace(answer, "")
            found += [f"{name}: {left}" for left in re.findall(r".*(?:\{\{|\}\}|\{%|%\}|\{#|#\}).*", text)]
        if set("{}%") & set(name):
            found.append(f"the file name {name}")
    return found


def untidy(repo: Path) -> list[str]:
    """What the linter or the formatter would change."""
    return [line for words in (["format", "--diff"], ["check"]) for line in _complaints(repo, "ruff", *words)]


def mistyped(repo: Path, cache: Path) -> list[str]:
    return _complaints(repo, "mypy", "--cache-dir", str(cache))


def _complaints(repo: Path, *words: str) -> list[str]:
    done = subprocess.run([sys.executable, "-m", *words], cwd=repo, capture_output=True, encoding="utf-8", check=False)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


def project(repo: Path) -> dict[str, Any]:
    return tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def misdeclared(repo: Path) -> list[str]:
    """Distributions that are imported and not declared, or declared and not imported."""
    declared = named(project(repo)["dependencies"])
    extras = project(repo)["optional-dependencies"]
    development = named(extras["dev"])
    optional = set().union(*(named(needed) for name, needed in extras.items() if name != "dev"))
    source, tests = imported(repo / "src"), imported(repo / "tests")
    wrong = {
        "imported, not declared": source - declared - optional,
        "declared, not imported": declared - source - IMPORTED_BY_OTHERS,
        "optional, not imported": optional - source - PROGRAMS,
        "imported by the tests, not declared": tests - declared - development,
        "not declared for development": TOOLS - development,
    }
    return [f"{what}: {', '.join(sorted(names))}" for what, names in wrong.items() if names]


def named(requirements: list[str]) -> set[str]:
    """The distributions that these requirements name."""
    return {re.split(r"[<>=!~\[; ]", requirement)[0].lower() for requirement in requirements}


def imported(folder: Path) -> set[str]:
    """The distributions that the Python files below `folder` import, wherever in the file."""
    roots = set().union(*(_roots(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")))
    own = {path.stem for path in [*folder.iterdir(), *folder.rglob("test_*.py")]} | {"comp"}
    return {DISTRIBUTIONS.get(root, root) for root in roots - sys.stdlib_module_names - own}


@cache  # repositories have nearly all files in common
def _roots(code: str) -> frozenset[str]:
    """The top-level packages that Python code imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)


def unlike_the_sample(submission: Path, sample: Path) -> list[str]:
    """Where a submission has other columns, other ids or another order, or an empty value."""
    ours, theirs = ([*csv.reader(path.open(encoding="utf-8", newline=""))] for path in (submission, sample))
    wrong = []
    if ours[0] != theirs[0]:
        wrong.append(f"{submission.name}: columns {ours[0]}, the sample has {theirs[0]}")
    if [row[0] for row in ours] != [row[0] for row in theirs]:
        wrong.append(f"{submission.name}: other ids than in the sample, or in another order")
    if not all(value.strip() for row in ours for value in row):
        wrong.append(f"{submission.name}: empty values")
    return wrong
