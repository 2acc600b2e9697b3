"""A batch of all processes, for losses that compare its images with each other."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.distributed import is_available, is_initialized
from torch.distributed.nn.functional import all_gather

_alone = False


def of_all_processes(own: Tensor) -> Tensor:
    """The shares (B, …) of all processes, in their order; with one process, its own. Gradients find the way back.

    Each process then computes the same loss of the whole batch. The backward pass sums what all of them say of a
    share, and distributed training takes the mean over processes: the gradient of that one loss.
    """
    if _alone or not (is_available() and is_initialized()):
        return own
    return torch.cat(all_gather(own.contiguous()))


@contextmanager
def alone() -> Iterator[None]:
    """Within the block, a process has its own share only: for trial steps that others may not take."""
    global _alone
    _alone, before = True, _alone
    try:
        yield
    finally:
        _alone = before
