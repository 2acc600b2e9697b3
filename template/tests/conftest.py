"""An empty repository to work in, and a way to call `comp`. What a task's tests need besides stands apart."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from support import SOURCE, configure, forget_accelerate

from comp.cli import main

# On any machine the CPU: exact comparisons hold there. Of tiny tensors, more threads only wait for each other.
# Any number of examples: COMP_EXAMPLES=2000 pytest …; the few of each run are the same ones every time.
hypothesis.settings.register_profile(
    "comp",
    max_examples=int(os.environ.get("COMP_EXAMPLES", "50")),
    derandomize="COMP_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("comp")
os.environ.update(CUDA_VISIBLE_DEVICES="", ACCELERATE_USE_CPU="yes", OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
signal.signal(signal.SIGINT, signal.default_int_handler)  # begun in a shell's background, children would ignore Ctrl-C


@pytest.fixture(autouse=True)
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Small:
    """A task's small competition: the module small.py of its folder here has the files and the configuration."""

    task: str
    kit: Any

    def write(self, root: Path) -> None:
        self.kit.write_competition(root)

    def configure(self, **sections: object) -> Any:
        """Writes conf/baseline.yaml and loads it."""
        return configure(self.kit.SMALL, **sections)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `small` runs for each task of this repository that has a small competition."""
    if "small" in metafunc.fixturenames:
        metafunc.parametrize("small", _kits(), indirect=True)


@pytest.fixture
def small(request: pytest.FixtureRequest) -> Small:
    return Small(request.param, _kits()[request.param])


def _kits() -> dict[str, Any]:
    folders = sorted(path.parent.name for path in Path(__file__).parent.glob("*/small.py"))
    return {kit.SMALL["task"]: kit for kit in (import_module(f"{name}.small") for name in folders)}


@pytest.fixture(autouse=True)
def forgetful_accelerate() -> Iterator[None]:
    """Accelerate remembers its first precision for the life of a process; here each test is a process of its own."""
    yield
    forget_accelerate()


@pytest.fixture
def comp(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`comp("train", "train.epochs=2")` runs a command in this process: exit status, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(arguments))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def comp_process(repo: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in a process of its own, as a user starts it."""

    def call(*arguments: str, timeout_s: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "comp", *arguments]
        env = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}
        return subprocess.run(
            command, cwd=repo, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    return call
