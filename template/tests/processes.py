"""`comp …` in processes of their own that need not import torch first: they begin as copies of one that has.

To import what a training needs takes seven seconds of a core. A test that kills a training, or wants two at once, pays
it once a session (Linux; elsewhere each time). How a user starts `comp` is `comp_process`, and tests of the launcher.
"""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Only what others have written: `comp` reads the environment, and is imported anew in each process.
IMPORTED = ["accelerate", "pandas", "pyarrow.parquet", "sklearn.metrics", "timm", "torch"]
CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
CONTEXT.set_forkserver_preload(IMPORTED)  # what is not installed is left out


class Comp:
    """`comp ARGUMENTS` in the current folder, with `environment` added to this one: begun at once, in a process."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._written = Path(self._folder.name, "out"), Path(self._folder.name, "err")
        given = arguments, Path.cwd(), {**os.environ, **environment}, self._written
        self._process = CONTEXT.Process(target=_comp, args=given)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout_s: float = 240) -> int:
        self._process.join(timeout_s)
        if (status := self.poll()) is None:
            self.kill()
            raise TimeoutError(f"it did not end within {timeout_s} s: {self.text()}")
        return status

    def text(self) -> tuple[str, str]:
        """What it has written by now: output, errors."""
        out, err = (path.read_text(encoding="utf-8") if path.is_file() else "" for path in self._written)
        return out, err


def _comp(arguments: tuple[str, ...], folder: Path, environment: dict[str, str], written: tuple[Path, Path]) -> None:
    """What such a process does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    for number, path in zip((1, 2), written, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, encoding="utf-8") for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from comp.cli import main

    sys.exit(main(list(arguments)))


def comp_ranks(*arguments: str, processes: int = 2, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`comp ARGUMENTS` in several processes that train one model, as a launcher would have started them.

    The status is the first that is not 0, the output that of the first process, the errors those of all.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes), **environment}
    numbers = [str(number) for number in range(processes)]
    started = [Comp(*arguments, **shared, RANK=number, LOCAL_RANK=number) for number in numbers]
    deadline = time.monotonic() + 240
    while all(each.poll() in (None, 0) for each in started) and any(each.poll() is None for each in started):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for each in started:  # where one failed, the others wait for it
        if each.poll() is None:
            each.kill()
    statuses = [each.wait() for each in started]
    told = [each.text() for each in started]
    status = next((status for status in statuses if status), 0)
    return subprocess.CompletedProcess(arguments, status, told[0][0], "".join(errors for _, errors in told))
