"""Weights from a local file or folder: data, never code."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from comp.errors import CompError, shown

IN_A_FOLDER = ("model.safetensors", "*.safetensors", "pytorch_model.bin", "*.pth", "*.pt", "*.bin")
WRAPPERS = ("state_dict_ema", "state_dict", "model_state_dict", "model")
PREFIXES = ("_orig_mod.", "module.", "model.", "backbone.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, a tensors-only PyTorch file, or a folder that holds one, by name.

    Names lose the prefixes that training wrappers add. Of a checkpoint of this repository, only the backbone.

    Raises:
        CompError: nothing is there, it is damaged, or it holds code instead of tensors.
    """
    file = file_in(path)
    try:
        if file.suffix == ".safetensors":
            tensors = load_file(file)
        else:
            tensors = _unwrapped(torch.load(file, map_location="cpu", weights_only=True), file)
    except pickle.UnpicklingError:
        raise CompError(
            f"{file} contains more than tensors and was not loaded: save its state_dict as safetensors"
        ) from None
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise CompError(f"{file} is not a readable weights file: {str(error).splitlines()[0]}") from None
    return _bare_names(tensors)


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
    for key in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise CompError(f"{file} has no state_dict of tensors")
    return loaded


def _bare_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if inside and (prefix == "backbone." or len(inside) == len(tensors)):
            return _bare_names(inside)  # wrappers stand in any order
    return tensors
