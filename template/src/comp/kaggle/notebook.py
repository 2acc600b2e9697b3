"""Notebooks as files: nbformat 4 without its package, outputs cleared, the same bytes for the same cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

INPUT = "COMP_KAGGLE_INPUT"  # an environment variable: the folder in place of /kaggle/input, on other machines
WORKING = "COMP_KAGGLE_WORKING"  # likewise in place of /kaggle/working

# A cell that defines `find`. What is found first is the nearest to the top, so large folders of images are not read.
FIND = '''\
import os
from pathlib import Path

INPUT = Path(os.environ.get("COMP_KAGGLE_INPUT", "/kaggle/input"))  # set the variable to run this elsewhere
WORKING = Path(os.environ.get("COMP_KAGGLE_WORKING", "/kaggle/working"))


def find(what, *markers):
    """The folder below INPUT that has all these files, in whichever layout Kaggle has put it there."""
    folders = [INPUT] if INPUT.is_dir() else []
    for _ in range(3):  # <slug>/, competitions/<slug>/ or datasets/<owner>/<slug>/
        folders = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_dir()]
        found = [folder for folder in folders if all((folder / marker).exists() for marker in markers)]
        if len(found) == 1:
            return found[0]
        if found:
            raise RuntimeError(f"{what} is there more than once: {', '.join(map(str, found))}: remove one of them")
    raise RuntimeError(f"{what} is not below {INPUT}: no folder has {', '.join(markers)} (Add Input adds it)")
'''


@dataclass(frozen=True)
class Cell:
    kind: Literal["markdown", "code"]
    source: str


def markdown(source: str) -> Cell:
    return Cell("markdown", source.strip("\n"))


def code(source: str) -> Cell:
    return Cell("code", source.strip("\n"))


def notebook(cells: Sequence[Cell]) -> dict[str, Any]:
    """The cells as the content of an `.ipynb` file, to be written as JSON."""
    return {
        "cells": [_written(number, cell) for number, cell in enumerate(cells, 1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _written(number: int, cell: Cell) -> dict[str, Any]:
    written: dict[str, Any] = {
        "cell_type": cell.kind,
        "id": f"cell-{number:02d}",
        "metadata": {},
        "source": cell.source.splitlines(keepends=True),
    }
    return written if cell.kind == "markdown" else {**written, "execution_count": None, "outputs": []}
