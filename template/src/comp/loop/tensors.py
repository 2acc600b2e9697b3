"""Files of tensors: what a training goes on from, and what it leaves. Data, never code."""

import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from comp.files import written_whole
from comp.readback import reading

AGAIN = "remove {folder} and run comp train, which trains this fold again"


def write_tensors(path: Path, values: dict[str, Any]) -> None:
    with written_whole(path) as temporary:
        save_tensors(temporary, values)


def save_tensors(path: Path, values: dict[str, Any]) -> None:
    with path.open("wb") as file:
        torch.save(values, file)  # given a path, it would not say that the disk is full


def read_tensors(path: Path, way_out: str = "run comp train --fresh") -> dict[str, Any]:
    """What `save_tensors` wrote.

    Raises:
        CompError: it is damaged. Torch does not compare the sums that its files carry: this does.
    """
    with reading(path, way_out):
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken:
            raise ValueError(f"{broken} is not what was written")
        values = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(values, dict):
            raise ValueError(f"it holds a {type(values).__name__}")
        return values


def read_safetensors(path: Path, way_out: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and the text beside them.

    Raises:
        CompError: it is damaged.
    """
    with reading(path, way_out), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
