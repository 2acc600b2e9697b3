"""Batch norm over all processes: the statistics of a batch do not depend on how many processes share it.

torch's SyncBatchNorm does it on GPUs. It refuses CPUs, where the same is done here. A micro-batch (train.accumulate)
has statistics of its own, over all processes: those that one process has of it.
"""

import torch
from timm.layers import BatchNormAct2d, SyncBatchNormAct
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from comp.distributed.gathering import of_all_processes


def synchronize_batch_norm(model: nn.Module, device: torch.device) -> int:
    """Makes the batch norm layers of `model` synchronized ones, in place, and says how many there are.

    Only their class changes: weights, buffers, hooks and their parts in distributed training stay what they are. Layers
    of a class of one's own stay as they are too.
    """
    kinds = ON_CPU if device.type == "cpu" else ON_GPU
    for module in model.modules():
        if type(module) in kinds:
            module.__class__ = kinds[type(module)]
            module.process_group = None  # type: ignore[assignment]  # all processes
    return sum(type(module) in kinds.values() for module in model.modules())


class Synchronized(_BatchNorm):
    """Batch norm of inputs (B, C, …) on CPUs, over all processes while it trains."""

    def forward(self, input: Tensor) -> Tensor:
        together = distributed.is_initialized() and distributed.get_world_size() > 1
        return self._over_all(input) if self.training and together else super().forward(input)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # a collective on the way, with its own way back
    def _over_all(self, input: Tensor) -> Tensor:
        x = input.float()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        own_mean = x.mean(dim=axes)
        own_spread = (x - own_mean.view(shape)).square().sum(dim=axes)
        own_count = own_mean.new_tensor([x.numel() / x.shape[1]])
        gathered = of_all_processes(torch.cat([own_count, own_mean, own_spread])[None])  # (processes, 1 + 2 C)
        counts, means, spreads = gathered.split([1, x.shape[1], x.shape[1]], dim=1)
        total = counts.sum()
        if total <= 1:
            raise ValueError("Expected more than 1 value per channel when training")  # as torch words it
        mean = (counts * means).sum(dim=0) / total
        spread = (spreads + counts * (means - mean).square()).sum(dim=0)  # Chan et al., 1979
        self._remember(mean, spread / (total - 1))
        scale = (spread / total + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        result = (x - mean.view(shape)) * scale.view(shape)
        result = result if self.bias is None else result + self.bias.view(shape)
        return result.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class SynchronizedAct(Synchronized):
    """The same for timm's batch norm with an activation."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(input)))


ON_CPU: dict[type[nn.Module], type[nn.Module]] = {
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), Synchronized),
    BatchNormAct2d: SynchronizedAct,
}
ON_GPU: dict[type[nn.Module], type[nn.Module]] = {
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), nn.SyncBatchNorm),
    BatchNormAct2d: SyncBatchNormAct,
}
