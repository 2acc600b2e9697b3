"""Threads sleep while they wait where other programs use the cores; measured, told, and left to the environment."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
from support import SOURCE

from comp.distributed import waiting

pytestmark = pytest.mark.skipif(not waiting.STAT.is_file(), reason="only Linux tells what its cores do")
CHOOSE = """
import os
from comp.distributed.waiting import POLICY, choose_waiting
choose_waiting()
print(os.environ.get(POLICY))
"""


@contextmanager
def busy_cores():
    """Other programs on all cores."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def printed(script: str, **environment: str) -> list[str]:
    """By a new process."""
    inherited = {name: value for name, value in os.environ.items() if name != waiting.POLICY}
    env = {**inherited, "PYTHONPATH": str(SOURCE), **environment}
    run = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return run.stdout.splitlines()


def test_on_busy_cores_threads_sleep_and_it_is_told():
    with busy_cores():
        told, policy = printed(CHOOSE)
        assert printed(CHOOSE, OMP_WAIT_POLICY="active") == ["active"]  # the environment's own word counts
        assert printed(CHOOSE, LOCAL_RANK="1") == ["None"]  # the others are of this training
    assert policy == "passive"
    assert "other programs use" in told


def test_the_share_of_busy_cores_is_measured():
    with busy_cores():
        assert waiting.busy_share(0.3) > 0.8


def test_ticks_of_idle_cores_are_no_work(repo, monkeypatch):
    stat = repo / "stat"
    monkeypatch.setattr(waiting, "STAT", stat)

    def passes(_: float) -> None:
        stat.write_text("cpu  0\ncpu0 10 0 0 180 10 0 0 0 0 0\nctxt 1\n", encoding="ascii")

    stat.write_text("cpu  0\ncpu0 0 0 0 90 10 0 0 0 0 0\nctxt 1\n", encoding="ascii")
    monkeypatch.setattr(waiting.os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(waiting.time, "sleep", passes)
    assert waiting.busy_share(1) == pytest.approx(0.1)


def test_it_is_chosen_before_torch_is_imported():
    """Commands that train import it after they have chosen: the command line does not."""
    assert printed("import comp.cli, sys; print('torch' in sys.modules)") == ["False"]
