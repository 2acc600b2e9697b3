"""TF32: products of fp32 numbers with 10 bits of mantissa, on NVIDIA GPUs from 2020 on several times as fast.

https://docs.pytorch.org/docs/stable/notes/cuda.html#tf32-on-ampere
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def allow_tf32(allowed: bool) -> None:
    """Of matrix products and convolutions alike; torch's own default has it in convolutions only."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


@contextmanager
def full_fp32() -> Iterator[None]:
    """Within the block products are exact to fp32, such as cosines that are compared with each other."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    allow_tf32(False)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
