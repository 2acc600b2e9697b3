"""Many items at once, in threads."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from comp.distributed.processes import allowed_cores

AHEAD = 64  # items started before they are asked for
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> Generator[Result, None, None]:
    """`function` of each item, in order, a few ahead, under a progress bar called `what`.

    In threads: PIL and hashlib let others run while they work, and nothing is copied between processes. Of several
    processes one does it while the others wait for it, so it takes all their cores.
    """
    pool, waiting = ThreadPoolExecutor(allowed_cores()), deque[Future[Result]]()
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
