"""The cores of this machine: how many there are for this process, and many items at once in threads."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

AHEAD = 64  # items started before they are asked for
Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """CPU cores that this process may use, its share where there are several processes."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """`function` of each item, in order, a few ahead, under a progress bar called `what`.

    In threads: PIL and hashlib let others run while they work, and nothing is copied between processes.
    """
    pool, waiting = ThreadPoolExecutor(os.cpu_count()), deque[Future[Result]]()
    try:
        with tqdm(total=len(items), desc=what, unit="img", disable=None) as bar:  # None: quiet without a terminal
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
                    bar.update()
            while waiting:
                yield waiting.popleft().result()
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
