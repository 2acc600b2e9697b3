"""The template as it stands in the working tree, tagged, and repositories made from it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from copier import run_copy
from rendering import commit, copy_of_the_tree, git

FIRST_TAG = "v1.0.0"
signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # started in a shell's background, children would ignore Ctrl-C
Render = Callable[..., Path]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with all of the working tree in one tagged commit. Not to be changed: see `own_template`."""
    folder = copy_of_the_tree(tmp_path_factory.mktemp("template"))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # left by a git hook that runs the tests
    nobody = tmp_path_factory.mktemp("git") / "config"
    nobody.write_text("[init]\ndefaultBranch = main\n", encoding="utf-8")
    os.environ |= {"GIT_CONFIG_GLOBAL": str(nobody), "GIT_CONFIG_NOSYSTEM": "1"}  # no name, no e-mail, no habits
    commit(folder, "All there is", tag=FIRST_TAG)
    return folder


@pytest.fixture
def own_template(template: Path, tmp_path: Path) -> Path:
    """A template to change and tag at will."""
    git(tmp_path, "clone", "--quiet", str(template), "own")
    return tmp_path / "own"


@pytest.fixture(scope="session")
def render(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """`render(folds=1)` gives a repository with these answers and the defaults. Shared: read it, do not write to it.

    Never unsafe: a template that wanted to run code would be refused.
    """
    made: dict[str, Path] = {}

    def once(**data: object) -> Path:
        key = repr(sorted(data.items()))
        if key not in made:
            repo = tmp_path_factory.mktemp("made") / "repo"
            run_copy(str(template), repo, data=data, defaults=True, quiet=True, unsafe=False)
            made[key] = repo
        return made[key]

    return once
