"""The layout of a folder of images that most rows of a table fit as they stand."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comp.errors import CompError
from comp.vision.data.spelling import suffix_of


@dataclass(frozen=True)
class Guess:
    folder: str  # with its slash, or ""
    column: str
    suffix: str


def best_guess(probe: pd.DataFrame, files: list[str], split: str, columns: list[str]) -> tuple[Guess | None, int]:
    """The folder, column and suffix that most rows of `probe` have an image by, and how many have."""
    suffixes: dict[str, set[str]] = {"": set()}  # the kinds of image in each folder
    for name in files:
        folder = name.rpartition("/")[0]
        suffixes.setdefault(folder, set()).add(suffix_of(name))
        suffixes.setdefault(folder.partition("/")[0], set())
    known = set(files)
    best: Guess | None = None
    most = 0
    for column in columns:
        values = list(probe[column])
        for folder in sorted(suffixes, key=lambda folder: _rank(folder, split)):
            if most and _rank(folder, split)[0]:
                break  # an image that is missing here must not be taken from the other split
            start = f"{folder}/" if folder else ""
            for suffix in ["", *sorted(suffixes[folder])]:
                hits = sum(f"{start}{value}{suffix}" in known for value in values)
                if hits > most:
                    best, most = Guess(start, column, suffix), hits
            if most == len(probe):
                return best, most
    return best, most


def _rank(folder: str, split: str) -> tuple[bool, bool, int, str]:
    """Folders named after the split first, those named after the other one last."""
    other = {"train": "test", "test": "train"}[split]
    return (other in folder.lower(), split not in folder.lower(), folder.count("/"), folder)


def by_folder(values: pd.Series, guess: Guess, files: list[str]) -> tuple[pd.Series, str]:
    """Each value's file by a guess, or where it would be; and the guess as a pattern, for telling."""
    folder, suffix = guess.folder, guess.suffix
    known = set(files)
    exact = {value: f"{folder}{value}{suffix}" for value in values}
    kinds = {suffix_of(name) for name in files if name.rpartition("/")[0] == folder.rstrip("/")}
    mixed = suffix != "" and len(kinds) > 1
    if mixed:  # one folder with several kinds of image: look the others up by their stem
        by_stem = _by_stem(files, folder)
        exact = {value: name if name in known else by_stem.get(value, name) for value, name in exact.items()}
    return values.map(exact), folder + "{" + guess.column + "}" + (".*" if mixed else suffix)


def _by_stem(files: list[str], stem: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in files:
        if name.startswith(stem) and "/" not in name[len(stem) :]:
            key = Path(name).stem
            if key in found:
                raise CompError(f"two images are called {key!r}: {found[key]} and {name}; set data.path to say which")
            found[key] = name
    return found
