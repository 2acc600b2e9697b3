"""One command at a time writes into a run's folder.

The lock is the system's, on the file `.lock` there: it ends with the process that holds it, however that ends. Of the
two kinds it is `lockf`: `flock` would be inherited by loader workers, which outlive a killed process for some seconds.
Processes that the holder starts work for it.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from comp.errors import CompError

LOCK = ".lock"
HELD = "COMP_HOLDS"  # the folder that this process, or the one that started it, has locked


@contextmanager
def locked(folder: Path, command: str) -> Iterator[None]:
    """Holds the lock of a run's folder within the block; does nothing where the system has no locks.

    Raises:
        CompError: another process has it; which one, is said.
    """
    place = str(folder.absolute())
    if os.environ.get(HELD) == place:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        if not _lock(file):
            raise CompError(
                f"{folder} is in use by {_holder(file)}: wait until it ends, or give this run another name (name=…)"
            )
        before = os.environ.get(HELD)
        os.environ[HELD] = place
        try:
            file.seek(0)
            file.truncate()
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            json.dump({"process": os.getpid(), "host": platform.node(), "command": command, "since": since}, file)
            file.flush()
            yield
        finally:
            os.environ.pop(HELD)
            if before is not None:
                os.environ[HELD] = before


def holder(folder: Path) -> str:
    """Which process has locked a run's folder; empty where none has, or it cannot be told."""
    try:
        with (folder / LOCK).open("r+", encoding="utf-8") as file:
            return "" if _lock(file) else _holder(file)
    except OSError:  # no lock, or not ours to look at
        return ""


@contextmanager
def in_turn(folder: Path, told: str = "") -> Iterator[None]:
    """Within the block, this process alone reads and writes what all runs share in `folder`; others wait a moment.

    `told`: printed where that may take longer, before it waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a", encoding="utf-8") as file:
        if not _lock(file):
            if told:
                print(told, flush=True)
            _lock(file, wait=True)
        yield


def _lock(file: IO[str], wait: bool = False) -> bool:
    """Whether the file is now this process's, or cannot be anybody's."""
    try:
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):  # Windows, or a file system without locks
        return True
    return True


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        held = json.load(file)
        return f"process {held['process']} on {held['host']} (comp {held['command']}, since {held['since']})"
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"
