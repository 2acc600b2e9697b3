"""Processes that this one starts: each is asked to stop before it is made to, and none outlives this one. And cores."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Protocol

POLL_S = 0.2
SAVING_S = 60  # that a process has to save its state in, once it is asked to stop


class Process(Protocol):
    """What is asked of a process, on this machine or on another."""

    def poll(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def allowed_cores() -> int:
    """CPU cores that this process may run on: fewer than the machine has under Slurm or taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores() -> int:
    """Its share of them, where several processes on this machine have the same."""
    return max(1, allowed_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def start(
    command: list[str], environment: Mapping[str, str], output: BinaryIO | None = None
) -> "subprocess.Popen[bytes]":
    """Starts a process, with `environment` added to this one's; it writes to `output`, or where this one writes.

    It has a session of its own: Ctrl-C reaches this process alone, which asks the other one to stop, once.
    """
    return subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,  # see end_with_starter
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
    )


def stop(processes: Sequence[Process]) -> None:
    """Asks processes to end, and makes those that still run after `SAVING_S` seconds."""
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + SAVING_S
    try:
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    finally:  # also when Ctrl-C comes a second time
        for process in running:
            if process.poll() is None:
                process.kill()


def end_with_starter() -> None:
    """From now on this process, started with `start`, is asked to stop once the one that began it is no more."""

    def watch() -> None:
        os.read(0, 1)  # nothing is ever written: it returns when the starter's end of the pipe is closed
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def is_launched() -> bool:
    """Whether this process is one of several that a launcher started."""
    return "LOCAL_RANK" in os.environ and "WORLD_SIZE" in os.environ
