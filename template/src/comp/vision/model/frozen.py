"""Which weights of a backbone learn (`train.freeze`), and a table that tells.

What is frozen is held still: it gets no gradient, so the optimizer keeps no state of it and decays nothing; its batch
statistics stay and its dropout is off. Below the first weight that learns, no activations are kept for a backward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby

import torch
from timm.models import group_parameters
from torch import Tensor, nn

from comp.errors import CompError, shown

STEM = 0  # timm's number of what comes before the first block: patches, positions, class token


@dataclass(frozen=True)
class Call:
    """One call of a module."""

    output: object
    learns: bool  # a weight that learns has a part in it


def freeze(backbone: nn.Module, what: int | list[str], images: Tensor) -> list[nn.Module]:
    """Freezes the first `what` blocks or stages and all before them, or the weights that patterns name.

    What it returns is to be put into evaluation whenever the model is put into training: modules all of whose weights
    are frozen, and those below all that learns, which `images` (B, 3, H, W) are sent through to find out.

    Raises:
        CompError: the backbone does not say what its blocks are, or has fewer, or a pattern fits nothing.
    """
    if not what:
        return []
    for name in _first_blocks(backbone, what) if isinstance(what, int) else _named_like(backbone, what):
        backbone.get_parameter(name).requires_grad_(False)
    return list(
        dict.fromkeys([*(module for module in backbone.modules() if _is_still(module)), *_below(backbone, images)])
    )


def table(model: nn.Module) -> str:
    """How many weights are trained and which; consecutive blocks of one fate share a line."""
    sizes: dict[str, list[int]] = {}  # of each part: how many weights are trained, and how many there are
    for name, weight in model.named_parameters():
        size = sizes.setdefault(_part(name), [0, 0])
        size[0] += weight.numel() * weight.requires_grad
        size[1] += weight.numel()
    trained, total = (sum(size[at] for size in sizes.values()) for at in (0, 1))
    lines = [f"model   {trained:,} of {total:,} weights are trained"]
    for (trunk, learns), some in groupby(sizes, lambda part: (_trunk(part), bool(sizes[part][0]))):
        parts = list(some)
        count = sum(sizes[part][0 if learns else 1] for part in parts)
        name = trunk.removeprefix("backbone.")
        if trunk != parts[0]:  # it is numbered
            first, last = (part.rpartition(".")[2] for part in (parts[0], parts[-1]))
            name = f"{name}.{first}" + (f" to {last}" if first != last else "")
        lines.append(f"        {'trained' if learns else 'frozen':9}{name:24}{count:>14,}")
    return "\n".join(lines)


def _part(name: str) -> str:
    """`backbone.blocks.3` of a weight in it, `backbone.norm`, `head`."""
    words = name.split(".")[:-1] or [name]
    number = next((at for at, word in enumerate(words[:3]) if word.isdigit()), None)
    if words[0] != "backbone":
        return words[0]
    if len(words) == 1:
        return name
    return ".".join(words[: 2 if number is None else number + 1])


def _trunk(part: str) -> str:
    return part.rpartition(".")[0] if part.rpartition(".")[2].isdigit() else part


def _first_blocks(backbone: nn.Module, count: int) -> list[str]:
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        raise CompError(
            f"train.freeze={count}: this backbone does not say what its blocks are: name weights instead, such as "
            f'["{next(iter(dict(backbone.named_children())), "stem")}.*"]'
        )
    number = group_parameters(backbone, matcher(coarse=True), reverse=True)
    blocks = max(number.values())
    if count > blocks:
        raise CompError(f"train.freeze={count}: the backbone has {blocks} blocks or stages")
    return [name for name, block in number.items() if STEM <= block <= count]


def _named_like(backbone: nn.Module, patterns: list[str]) -> list[str]:
    names = [name for name, _ in backbone.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            parts = list(dict.fromkeys(name.partition(".")[0] for name in names))
            raise CompError(f"train.freeze: no weight is called like {pattern!r}; they begin with {shown(parts, 8)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _below(backbone: nn.Module, images: Tensor) -> list[nn.Module]:
    """Modules whose output no weight that learns has a part in: dropout between frozen blocks, say."""
    return [module for module, found in calls(backbone, images).items() if not any(call.learns for call in found)]


def calls(model: nn.Module, images: Tensor) -> dict[nn.Module, list[Call]]:
    """All calls of each module in a pass of images (B, 3, H, W) in evaluation; the module that ends first is first."""
    found: dict[nn.Module, list[Call]] = {}

    def look(module: nn.Module, _: object, output: object) -> None:
        found.setdefault(module, []).append(Call(output, any(each.requires_grad for each in tensors_in(output))))

    handles = [module.register_forward_hook(look) for module in model.modules()]
    try:
        with evaluating(model), torch.enable_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within the block, the model evaluates; after it, each module does again what it did before."""
    training = {module: module.training for module in model.modules()}
    model.train().eval()  # some keep what they derive from their weights until they are in training again
    try:
        yield
    finally:
        for module, was_training in training.items():
            module.training = was_training


def _is_still(module: nn.Module) -> bool:
    weights = list(module.parameters())
    return bool(weights) and not any(weight.requires_grad for weight in weights)


def tensors_in(output: object) -> Iterator[Tensor]:
    """Those of an output, however it nests them."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (list, tuple)):
        for each in output:
            yield from tensors_in(each)
    elif isinstance(output, dict):
        yield from tensors_in(list(output.values()))
