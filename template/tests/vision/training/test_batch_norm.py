"""Batch norm over several processes is that of one: outputs, gradients, running statistics."""

import os
import subprocess
import sys

import pytest
import torch
from support import SOURCE
from timm.layers import BatchNormAct2d, SyncBatchNormAct
from torch import nn

from comp.vision.training.batch_norm import Synchronized, SynchronizedAct, synchronize_batch_norm

SHARED = """
import torch
from torch import distributed, nn
from timm.layers import BatchNormAct2d
from comp.vision.training.batch_norm import synchronize_batch_norm

distributed.init_process_group("gloo")
rank = distributed.get_rank()
for momentum in (0.1, None):
    torch.manual_seed(0)
    x, weight = torch.randn(6, 3, 6, 6) + 100, torch.randn(6, 5)  # far from 0: sums of squares would lose all digits

    def tried(shared):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=momentum), BatchNormAct2d(4), nn.Flatten(),
                              nn.Linear(64, 5), nn.BatchNorm1d(5, affine=False))
        rows = [slice(0, 4), slice(4, 6)][rank] if shared else slice(0, 6)  # uneven
        if shared:
            synchronize_batch_norm(model, torch.device("cpu"))
        for _ in range(2):
            output = model(x[rows])
            (output * weight[rows]).sum().backward()
        return output.detach(), [parameter.grad for parameter in model.parameters()], list(model.buffers()), rows

    output, gradients, buffers, _ = tried(False)
    mine, parts, own, rows = tried(True)
    torch.testing.assert_close(mine, output[rows], atol=2e-5, rtol=1e-4)
    for gradient, part in zip(gradients, parts, strict=True):
        distributed.all_reduce(part)
        torch.testing.assert_close(part, gradient, atol=5e-4, rtol=1e-4)
    for ours, theirs in zip(own, buffers, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
distributed.barrier()  # a process whose peer has gone already may abort
distributed.destroy_process_group()
"""


@pytest.mark.release  # what is trained with it is the same: test_several_processes.py
def test_outputs_gradients_and_statistics_of_two_processes_are_those_of_one(repo):
    (repo / "shared.py").write_text(SHARED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "shared.py"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("name", "classes"), [("cpu", (Synchronized, SynchronizedAct)), ("cuda", (nn.SyncBatchNorm, SyncBatchNormAct))]
)
def test_only_the_class_of_a_layer_changes(name, classes):
    device = torch.device(name)

    class Own(nn.BatchNorm2d):
        pass

    model = nn.Sequential(nn.BatchNorm2d(3), BatchNormAct2d(3), Own(3), nn.LayerNorm(3))
    before = dict(model.state_dict(keep_vars=True))
    assert synchronize_batch_norm(model, device) == synchronize_batch_norm(model, device) == 2  # it is wrapped twice
    assert [type(layer) for layer in model] == [*classes, Own, nn.LayerNorm]
    assert all(tensor is before[name] for name, tensor in model.state_dict(keep_vars=True).items())


def test_in_one_process_a_synchronized_layer_is_the_plain_one():
    x = torch.randn(4, 3, 5, 5)
    plain, same = (nn.Sequential(nn.BatchNorm2d(3), BatchNormAct2d(3)) for _ in range(2))
    synchronize_batch_norm(same, torch.device("cpu"))
    for _ in range(2):
        assert same(x).equal(plain(x))
    assert same.eval()(x).equal(plain.eval()(x))
