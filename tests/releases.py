"""The last release, and the working tree as the next one: what a repository meets when it is updated.

As long as there is no release (a tag `v1.2.3`), a commit at which every test passed stands for it: any other may be one
step of a change in several, which no user will ever come from.
"""

import re
import shutil
import subprocess
from pathlib import Path

from jinja2 import FunctionLoader
from questions import constants, questions_in
from rendering import RECIPES, ROOT, commit, copy_of_the_tree, git
from versions import NEXT
from versions import last_release as tagged

BEFORE_THE_FIRST = "16a60e5d912d429ed6275b1f90e0b1c034152372"


def last_release() -> str | None:
    """The newest tag that is a release; without any, BEFORE_THE_FIRST; None where there is neither."""
    if not (ROOT / ".git").exists():
        return None
    if tag := tagged(ROOT):
        return tag
    is_there = subprocess.run(["git", "cat-file", "-e", BEFORE_THE_FIRST], cwd=ROOT, capture_output=True, check=False)
    return None if is_there.returncode else BEFORE_THE_FIRST


def next_version() -> str:
    """The version that CHANGELOG.md has first."""
    found = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def recipes_at(release: str) -> list[tuple[str, str]]:
    """The pairs of task and recipe that a release has, and the working tree too."""
    of_the_release = FunctionLoader(lambda name: git(ROOT, "show", f"{release}:{name}"))
    then = constants(questions_in(git(ROOT, "show", f"{release}:copier.yml")), of_the_release)["recipes_of"]
    before, after = ({(task, name) for task, names in each.items() for name in names} for each in (then, RECIPES))
    return sorted(before & after)


def last_and_next(folder: Path, release: str) -> str:
    """Makes `folder` a git repository with `release`, then the working tree, tagged NEXT. Returns the first's tag."""
    archive = subprocess.run(["git", "archive", release], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    before = release if release.startswith("v") else "v0.0.1"
    commit(folder, "The last release", tag=before)
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    copy_of_the_tree(folder)
    (folder / "template/src/comp/of_the_next_release.py").write_text('"""New."""\n', encoding="utf-8")
    commit(folder, "The working tree", tag=NEXT)
    return before
