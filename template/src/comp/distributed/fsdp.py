"""FSDP: each process keeps a part of every weight, of its gradient and of its optimizer state.

For a model that trains on no single GPU. `accelerate launch` with an FSDP configuration asks for it; all that differs
then stands here. A part is a `DTensor`: what is saved, validated and kept is put together from them, so the files are
those of any other training. https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
"""

import os
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedType, FullyShardedDataParallelPlugin, PartialState
from accelerate.utils import fsdp2_prepare_model, recursively_apply
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, distribute_tensor

from comp.errors import CompError

AnyModel = TypeVar("AnyModel", bound=nn.Module)

OURS = {  # what the loop and this file do themselves
    "FSDP_ACTIVATION_CHECKPOINTING": "train.grad_checkpointing=true does it",
    "FSDP_OFFLOAD_PARAMS": "more processes need less memory each, and so does train.grad_checkpointing=true",
}
FUSED_ON_PARTS = ("adam", "adamw")  # torch steps all parts of these in one go
ON_PARTS = (*FUSED_ON_PARTS, "adan", "lamb", "lars", "lion", "nadam", "nadamw", "radam", "sgd")  # all that are tested


def sharding() -> FullyShardedDataParallelPlugin | None:
    """What the launcher's configuration says about FSDP; None where it says nothing.

    Raises:
        CompError: it asks for what does not work here.
    """
    if not _is_on("ACCELERATE_USE_FSDP"):
        return None
    if os.environ.get("FSDP_VERSION") != "2":
        raise CompError("fsdp_version: only 2 is supported, see conf/launch/multi-node-fsdp.yaml")
    for name, instead in OURS.items():
        if _is_on(name):
            raise CompError(f"{name.lower()}: set it to false; {instead}")
    return FullyShardedDataParallelPlugin(
        mixed_precision_policy=MixedPrecisionPolicy(),  # none: autocast in the loop casts, gradients are added in fp32
        cpu_ram_efficient_loading=False,  # each process reads the weights itself; the other way knows no buffers
    )


def also_on_cpu(accelerator: Accelerator, plugin: FullyShardedDataParallelPlugin | None) -> Accelerator:
    """Accelerate takes notice of FSDP on GPUs only; on CPUs the same code runs as well, and is tested there."""
    if plugin is not None and accelerator.device.type == "cpu":
        accelerator.state.fsdp_plugin = plugin
        for state in (accelerator.state, PartialState()):
            state.distributed_type = DistributedType.FSDP
    return accelerator


def is_sharded(accelerator: Accelerator) -> bool:
    return accelerator.distributed_type == DistributedType.FSDP


def shard(model: AnyModel, ema: Any, accelerator: Accelerator) -> Callable[[AnyModel], AnyModel]:
    """Cuts the model and its average, in place, if FSDP is on. To be called before the optimizer is built.

    What it returns makes one of the two whole, on every process, for what is done without the others: validating,
    predicting. Without FSDP a model is whole as it is.

    Raises:
        CompError: it cannot be cut, or has no blocks of the class that the launcher's configuration names.
    """
    if not is_sharded(accelerator):
        return lambda module: module
    model.to(memory_format=torch.contiguous_format)  # others cannot be cut
    blank = {id(weight): nn.Parameter(torch.empty_like(weight, device="meta")) for weight in model.parameters()}
    hollow = deepcopy(model, blank)  # all but the weights
    try:
        accelerator.state.fsdp_plugin = sharding()  # accelerate writes into it what it found in a model
        model._no_split_modules = _blocks(model)  # type: ignore[assignment]  # for where no class is named
        fsdp2_prepare_model(accelerator, model)
        if ema is not None:
            fsdp2_prepare_model(accelerator, ema.module.to(memory_format=torch.contiguous_format))
            ema.foreach = False  # parts and whole tensors do not mix in one call
    except ValueError as error:
        raise CompError(f"FSDP cannot cut the model as its configuration says: {error}") from None
    accelerator._models.append(model)  # as its prepare() does: clipping looks for the model there
    if accelerator.is_main_process:
        units = sum(isinstance(module, FSDPModule) for module in model.modules())
        print(f"fsdp    {accelerator.num_processes} processes share the model, which is put together in {units} units")

    def whole(module: AnyModel) -> AnyModel:
        copy = deepcopy(hollow)
        tensors = {name: put_together(tensor) for name, tensor in module.state_dict().items()}
        copy.load_state_dict(tensors, assign=True)
        return copy

    return whole


def _blocks(model: nn.Module) -> list[str]:
    """Classes, not torch's own, of which the model has several in one row: each part is put together in its turn."""
    rows = [Counter(map(type, row)) for row in model.modules() if isinstance(row, nn.Sequential | nn.ModuleList)]
    kinds = {kind for row in rows for kind, times in row.items() if times > 1}
    return sorted(kind.__name__ for kind in kinds if not kind.__module__.startswith("torch."))


def fused_step(model: nn.Module, optimizer: str) -> bool:
    """Whether the optimizer's fused step may be asked for.

    Raises:
        CompError: the model is cut, and this optimizer is not known to step parts as it steps whole weights.
    """
    if not any(isinstance(weight, DTensor) for weight in model.parameters()):
        return True
    if optimizer.lower() not in ON_PARTS:
        raise CompError(f"train.optimizer={optimizer} is not for FSDP: set it to one of {', '.join(ON_PARTS)}")
    return optimizer.lower() in FUSED_ON_PARTS


def put_together(tensor: Tensor) -> Tensor:
    """A whole tensor of its own; all processes take part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.clone()


def to_save(values: Any, accelerator: Accelerator) -> Any:
    """A state dict with whole tensors, for the first process; all take part, one tensor at a time."""

    def gathered(part: DTensor) -> Tensor | None:
        tensor = part.full_tensor()
        return tensor.cpu() if accelerator.is_main_process else None

    return recursively_apply(gathered, values, test_type=lambda value: isinstance(value, DTensor))


def part_of(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor that every process has read, cut as `like` is."""
    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def load_parts(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """`module.load_state_dict`, from whole tensors."""
    own = module.state_dict()
    module.load_state_dict({name: part_of(tensor, own[name]) for name, tensor in tensors.items()})


def load_optimizer_parts(optimizer: torch.optim.Optimizer, values: dict[str, Any]) -> None:
    """`optimizer.load_state_dict`, from whole tensors: what has the shape of its weight is cut like it.

    How parts are stepped stays as it was built: torch fuses it for fewer optimizers than for whole weights.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    if not any(isinstance(weight, DTensor) for weight in weights):
        optimizer.load_state_dict(values)
        return
    state = {
        place: {
            name: part_of(value, weights[place]) if isinstance(value, Tensor) else value for name, value in own.items()
        }
        for place, own in values["state"].items()
    }
    groups = [
        {**saved, **{name: own[name] for name in ("fused", "foreach") if name in own}}
        for saved, own in zip(values["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def held(tensor: Tensor) -> Tensor:
    """What this process holds of it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _is_on(name: str) -> bool:
    return os.environ.get(name, "false").lower() == "true"
