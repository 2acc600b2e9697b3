"""The most memory that this process and its loader workers hold while something runs."""

import multiprocessing
import os
import threading
from mmap import PAGESIZE
from pathlib import Path

import torch

EVERY_S = 0.05


class PeakMemory:
    """Within the block, looks every now and then: `ram` and, with a GPU, `gpu` in bytes; 0 where nothing tells."""

    def __init__(self) -> None:
        self.ram = self.gpu = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.ram = max(self.ram, _resident())
        if torch.cuda.is_available():
            self.gpu = torch.cuda.max_memory_allocated()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            self.ram = max(self.ram, _resident())


def _resident() -> int:
    """Bytes of this process, and what its workers have for themselves."""
    workers = [each.pid for each in multiprocessing.active_children() if each.pid is not None]
    return _pages(os.getpid())[0] + sum(held - shared for held, shared in map(_pages, workers))


def _pages(pid: int) -> tuple[int, int]:
    """Bytes that a process holds, and those of them that it shares; as Linux tells them."""
    try:
        _, held, shared, *_ = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0, 0
    return int(held) * PAGESIZE, int(shared) * PAGESIZE
