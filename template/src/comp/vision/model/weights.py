"""Weights from a local file or folder: data, never code."""

import json
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from comp.errors import CompError, one_line, shown

IN_A_FOLDER = ("model.safetensors", "*.safetensors", "pytorch_model.bin", "*.pth", "*.pt", "*.bin")
WRAPPERS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema"),  # the average, where there is one
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "checkpoint"),
)
PREFIXES = ("_orig_mod.", "module.", "model.", "backbone.")  # where names are not the network's own
FEW = 0.5  # of a network's tensors; a file that names fewer has names of another library, which timm may know


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, a tensors-only PyTorch file, or a folder that holds one, by name.

    Of a PyTorch file: those of the state dict in it, whatever else is saved beside it.

    Raises:
        CompError: nothing is there, it is damaged, or it holds code instead of tensors.
    """
    file = file_in(path)
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        with file.open("rb") as opened:
            begins = opened.read(1)
        if begins not in (b"P", b"\x80"):  # of a zip, of a pickle; torch complains of others in the same words
            raise CompError(f"{file} is not a readable weights file: neither PyTorch's nor safetensors") from None
        raise CompError(
            f"{file} contains more than tensors and was not loaded: save its state_dict as safetensors"
        ) from None
    except Exception as error:  # torch, zipfile and pickle each have their own, for whatever bytes they meet
        raise CompError(f"{file} is not a readable weights file: {one_line(error)}") from None
    return _unwrapped(loaded, file)


def bare_names(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The part of `tensors` that is a network whose tensors are called like `wanted`, without what stands before them.

    Whatever trainers save beside it (losses, counters, heads) stays behind. Where names are those of another library,
    only the prefixes of wrappers are taken off.

    Raises:
        CompError: several different networks fit.
    """
    found: Counter[str] = Counter()
    for name, tensor in tensors.items():
        for start in [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]:
            if name[start:] in wanted and (tensor.shape == wanted[name[start:]].shape):
                found[name[:start]] += 1
    best = max(found.values(), default=0)
    if best < FEW * len(wanted):
        return _without_wrappers(tensors)
    inside = {prefix: _below(prefix, tensors) for prefix, count in sorted(found.items()) if count == best}
    first, *others = inside.values()
    if any(_differ(first, other, wanted) for other in others):
        raise CompError(f"model.weights={path} has several networks that fit, under {shown(inside)}: save one of them")
    return first


def facts_in(path: Path) -> dict[str, Any]:
    """What a checkpoint of this tool says of itself; nothing of any other file."""
    file = file_in(path)
    if file.suffix != ".safetensors":
        return {}
    with safe_open(file, framework="pt") as opened:
        facts: dict[str, Any] = json.loads((opened.metadata() or {}).get("comp", "{}"))
    return facts


def file_in(path: Path) -> Path:
    """The weights file at `path`, or in the folder there.

    Raises:
        CompError: there is none, or there are several.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise CompError(f"model.weights={path}: there is no such file or folder")
    for pattern in IN_A_FOLDER:
        found = sorted(path.glob(pattern))
        if len(found) > 1:
            raise CompError(f"model.weights={path} has several: set it to one of {shown(found)}")
        if found:
            return found[0]
    raise CompError(f"model.weights={path} has no weights file ({', '.join(IN_A_FOLDER)})")


def _unwrapped(loaded: object, file: Path) -> dict[str, Tensor]:
    """The state dict, however deep wrappers hold it."""
    while isinstance(loaded, dict):
        inner = [loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), dict)]
        if not inner:
            break
        loaded = inner[0]
    tensors = loaded.items() if isinstance(loaded, dict) else ()
    found = {name: tensor for name, tensor in tensors if isinstance(name, str) and isinstance(tensor, Tensor)}
    if not found:
        raise CompError(f"{file} has no state_dict of tensors")
    return found


def _without_wrappers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        inside = _below(prefix, tensors)
        if 2 * len(inside) > len(tensors) or (inside and prefix == "backbone."):
            return _without_wrappers(inside)  # wrappers stand in any order
    return tensors


def _differ(one: dict[str, Tensor], other: dict[str, Tensor], names: Iterable[str]) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in names if name in one and name in other)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
