"""How threads of a computation wait for each other, which is fixed before torch is imported.

By default they spin, which is faster where the cores are theirs. Where other programs want the cores, a thread that
spins keeps the one out that it waits for: two busy loops on two cores, a MobileNetV2 at 128 px made 35 steps in 98 s,
and 49 in 51 s with threads that sleep. https://gcc.gnu.org/onlinedocs/libgomp/OMP_005fWAIT_005fPOLICY.html
"""

import os
import sys
import time
from pathlib import Path

POLICY = "OMP_WAIT_POLICY"  # passive: they sleep; active: they spin. What the environment says is left alone
STARTED = ("LOCAL_RANK", "COMP_QUIET")  # set in one of several processes: it would take the others for strangers
BUSY = 0.25  # share of the cores that others use, from which on threads sleep
SAMPLE_S = 0.1
STAT = Path("/proc/stat")  # of Linux; elsewhere nothing is chosen


def choose_waiting() -> None:
    """Lets threads sleep where other programs use the cores, and says so. To be called before torch is imported."""
    if POLICY in os.environ or "torch" in sys.modules or any(name in os.environ for name in STARTED):
        return
    busy = busy_share(SAMPLE_S)
    if busy >= BUSY:
        os.environ[POLICY] = "passive"
        print(f"threads sleep while they wait: other programs use {busy:.0%} of the cores ({POLICY}=active: they spin)")


def busy_share(seconds: float) -> float:
    """The share of this process's cores that others use within so many seconds, in which this thread sleeps."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    shares = [(after[core][0] - idle, after[core][1] - total) for core, (idle, total) in before.items()]
    total = sum(passed for _, passed in shares)
    return 1 - sum(idle for idle, _ in shares) / total if total else 0.0


def _ticks() -> dict[int, tuple[int, int]]:
    """Idle and all ticks of each core that this process may use, since the machine was started."""
    if not STAT.is_file():
        return {}
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    found = {}
    for line in STAT.read_text(encoding="ascii").splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in allowed:
            ticks = [int(number) for number in numbers[:8]]  # the others are parts of these
            found[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))
    return found
