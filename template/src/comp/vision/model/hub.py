"""The hub, asked once whether it is there: its client would try each file again and again, for a minute."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from huggingface_hub import constants
from huggingface_hub.utils import get_session

TIMEOUT_S = 3.0
TRIES = 2  # one lost packet is no missing network


@contextmanager
def reachable_or_offline() -> Iterator[None]:
    """Within the block, where the hub does not answer, its client goes by what is on this machine (HF_HUB_OFFLINE)."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


@cache
def _answers(endpoint: str) -> bool:
    """Whether anything does, through proxies too, if any are set. Asked once in the life of a process."""
    for _ in range(TRIES):
        try:
            get_session().head(endpoint, timeout=TIMEOUT_S)
        except Exception:  # of whichever HTTP library the client uses
            continue
        return True
    return False
