"""The layout of a folder of images that most rows of a table fit as they stand."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comp.errors import CompError
from comp.vision.data.spelling import suffix_of

FEW = 20  # rows that another guess must fit


@dataclass(frozen=True)
class Guess:
    folder: str  # with its slash, or ""
    column: str
    suffix: str

    @property
    def told(self) -> str:
        """The names of files, as a pattern."""
        return "{" + self.column + "}" + self.suffix

    def files(self, table: pd.DataFrame) -> list[str]:
        """Where the image of each row would be."""
        return [f"{self.folder}{value}{self.suffix}" for value in table[self.column]]


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


def refuse_rivals(probe: pd.DataFrame, guess: Guess, files: list[str], split: str, columns: list[str]) -> None:
    """`guess` fits all rows of `probe`; a few of them are looked at.

    Raises:
        CompError: other files fit as well: those of another column, another kind, or a folder that is as plain.
    """
    probe = probe.iloc[:: -(-len(probe) // FEW)]
    own, key = guess.files(probe), "data.path" if split == "train" else "data.test_path"
    for column in columns:
        other, hits = best_guess(probe, files, split, [column])
        if other is not None and hits == len(probe) and set(other.files(probe)) != set(own):
            raise CompError(
                f"two columns of {split} rows name images, {guess.column!r} and {column!r}: set {key}={guess.column}, "
                f"{key}={column}, or '{key}=[{guess.column}, {column}]' where a row has both"
            )
    known = set(files)
    for folder, kind in sorted({(name.rpartition("/")[0], suffix_of(name)) for name in files}):
        other = Guess(f"{folder}/" if folder else "", guess.column, kind if guess.suffix else "")
        if other != guess and _as_plain(folder, guess, split) and known.issuperset(other.files(probe)):
            raise CompError(
                f"the images of {split} rows could be in two places, such as {own[0]} or {other.files(probe)[0]}: "
                f"set {key} to one of them, such as '{key}=\"{guess.folder.replace(split, '{split}')}{guess.told}\"'"
            )


def _as_plain(folder: str, guess: Guess, split: str) -> bool:
    """Whether nothing but the alphabet puts the folder of `guess` first."""
    return _rank(folder, split)[:-1] == _rank(guess.folder.rstrip("/"), split)[:-1]


def _rank(folder: str, split: str) -> tuple[bool, bool, bool, int, str]:
    """Folders named after the split first, the one that is called so before all; those of the other one last."""
    other = {"train": "test", "test": "train"}[split]
    name = folder.lower()
    return other in name, split not in name, name != split, folder.count("/") + bool(folder), folder


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
