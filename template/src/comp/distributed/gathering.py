"""A batch of all processes, for losses that compare its images with each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

_alone = False


def of_all_processes(own: Tensor) -> Tensor:
    """The shares (B, …) of all processes, in their order; with one process, its own. Gradients find the way back.

    Each process then computes the same loss of the whole batch. The backward pass sums what all of them say of a
    share, and distributed training takes the mean over processes: the gradient of that one loss.
    """
    if _alone or not (distributed.is_available() and distributed.is_initialized()):
        return own
    return _Gathered.apply(own.contiguous())


@contextmanager
def alone() -> Iterator[None]:
    """Within the block, a process has its own share only: for trial steps that others may not take."""
    global _alone
    _alone, before = True, _alone
    try:
        yield
    finally:
        _alone = before


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        shares = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(shares, own)
        return torch.cat(shares)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]
