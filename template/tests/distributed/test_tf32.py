"""TF32 is set in one place, and no ranking uses it."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from comp.distributed.accelerator import accelerator_for
from comp.distributed.tf32 import allow_tf32


@pytest.fixture(autouse=True)
def as_before():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


class Products(TorchDispatchMode):
    """Notes with each product of matrices whether TF32 was allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed: list[bool] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default):
            self.allowed.append(torch.backends.cuda.matmul.allow_tf32)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("allowed", [True, False])
def test_the_key_settles_products_and_convolutions(allowed, small):
    allow_tf32(not allowed)
    accelerator_for(small.configure(train={"tf32": allowed}))
    assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert torch.backends.cudnn.allow_tf32 is allowed


def test_it_is_on_unless_it_is_switched_off(small):
    assert small.configure().train.tf32


def test_a_ranking_is_in_full_fp32():
    retrieval = pytest.importorskip("comp.align.ranking.retrieval")
    allow_tf32(True)
    vectors = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    with Products() as products:
        for hubs in (None, retrieval.find_hubs(vectors, vectors)):
            retrieval.ranked(vectors, vectors, np.arange(30), hubs)
            retrieval.nearest(vectors, vectors, 3, hubs)
    assert len(products.allowed) == 5
    assert not any(products.allowed)
    assert torch.backends.cuda.matmul.allow_tf32  # and the training goes on as before
