"""An empty repository to work in, and a way to call `comp`. What a task's tests need besides stands apart."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from forget import forget_accelerate

from comp.cli import main

# Of the tasks that this repository has; without images, there is no such file.
pytest_plugins = ["of_images"] if find_spec("comp.images") else []
# On any machine the CPU: exact comparisons hold there. Of tiny tensors, more threads only wait for each other.
os.environ.update(CUDA_VISIBLE_DEVICES="", ACCELERATE_USE_CPU="yes", OMP_NUM_THREADS="1")
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows ends a process, and does not ask it to stop")
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
SOURCE = Path(__file__).resolve().parent.parent / "src"


@pytest.fixture(autouse=True)
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the working directory of the test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
