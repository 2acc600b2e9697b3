"""SIGTERM and Ctrl-C while training: the state is saved first, then the program ends."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The training has saved its state and ends, because signal `number` asked for it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopRequest:
    """The signal that asked this process to stop, once there was one."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._pid = os.getpid()

    def receive(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a loader's worker: its owner ends it
            return
        self.number = number
        for each in SIGNALS:  # a second one ends at once
            signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
        if os.environ.get("RANK", "0") == "0" and "COMP_QUIET" not in os.environ:
            print("stopping once this step is saved (again to stop at once)", file=sys.stderr, flush=True)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Takes down requests to stop within the block, instead of stopping where it happens to stand."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may receive signals
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
