"""The template as it stands in the working tree, tagged, and repositories made from it."""

import contextlib
import hashlib
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
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`once(name, make)`: a folder that `make(folder)` has filled, for all of pytest's processes together."""
    base = tmp_path_factory.getbasetemp()
    base = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"
    base.mkdir(exist_ok=True)

    def at(name: str, make: Callable[[Path], object]) -> Path:
        place = base / hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        if not place.exists():
            folder = tmp_path_factory.mktemp("making")
            make(folder)
            with contextlib.suppress(OSError):  # another process was faster: it made the same
                folder.rename(place)
        return place

    return at


@pytest.fixture(scope="session", autouse=True)
def nobody(tmp_path_factory: pytest.TempPathFactory) -> None:
    """git without a name, an e-mail and habits; nor does it tidy up in the background, where a folder may be gone."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # left by a git hook that runs the tests
    config = tmp_path_factory.mktemp("git") / "config"
    config.write_text("[init]\ndefaultBranch = main\n[maintenance]\nauto = false\n", encoding="utf-8")
    os.environ |= {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture(scope="session")
def template(once: Callable[..., Path]) -> Path:
    """A git repository with all of the working tree in one tagged commit. Not to be changed: see `own_template`."""
    return once("template", lambda folder: commit(copy_of_the_tree(folder), "All there is", tag=FIRST_TAG))


@pytest.fixture(scope="session")
def abridged(once: Callable[..., Path]) -> Path:
    """The same without the tests and the code of tasks: for what goes by prompts, pages and versions alone."""

    def make(folder: Path) -> None:
        commit(copy_of_the_tree(folder, abridged=True), "All there is, abridged", tag=FIRST_TAG)

    return once("abridged", make)


@pytest.fixture
def own_template(template: Path, tmp_path: Path) -> Path:
    """A template to change and tag at will."""
    git(tmp_path, "clone", "--quiet", str(template), "own")
    return tmp_path / "own"


@pytest.fixture(scope="session")
def render(template: Path, once: Callable[..., Path]) -> Render:
    """`render(folds=1)` gives a repository with these answers and the defaults. Shared: read it, do not write to it.

    Never unsafe: a template that wanted to run code would be refused.
    """
    return _renders(template, once)


@pytest.fixture(scope="session")
def render_abridged(abridged: Path, once: Callable[..., Path]) -> Render:
    """The same of the abridged template."""
    return _renders(abridged, once)


def _renders(source: Path, once: Callable[..., Path]) -> Render:
    def made(**data: object) -> Path:
        def make(folder: Path) -> None:
            run_copy(str(source), folder / "repo", data=data, defaults=True, quiet=True, unsafe=False)

        return once(f"{source} {sorted(data.items())}", make) / "repo"

    return made


LONGEST_FIRST = ("test_last_release.py", "test_comp_update.py", "test_rendered.py", "test_update_matrix.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first: begun last, one would run beside nothing. The order within a file stays."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))
