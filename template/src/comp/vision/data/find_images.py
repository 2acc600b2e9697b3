"""Finds each row's image: by a path column, a pattern, or an id with or without its extension."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comp.errors import CompError, shortened, shown
from comp.files import is_file

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif"}
PROBED = 200  # rows that a guess is tried on


@dataclass(frozen=True)
class Found:
    paths: pd.Series  # one file a row
    how: str  # the pattern, for telling


def image_files(folder: Path) -> list[str]:
    """All images below `folder`, relative to it with forward slashes, sorted; what systems hide there is none."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        inside = Path(place).relative_to(folder)
        found += [(inside / name).as_posix() for name in files if _is_image(name)]
    return sorted(found)


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith("._")  # macOS keeps what it knows there


def find_images(table: pd.DataFrame, root: Path, split: str, path: str, id_column: str) -> Found:
    """The image of each row of `table` (its columns are text), as absolute paths.

    `path` is a pattern (`train/{id}.png`; `{split}` stands for train or test), a column, or `auto`.

    Raises:
        CompError: no guess fits, or images are missing; the first of them are named.
    """
    if "{" in path:
        found = _by_pattern(table, root, split, path, id_column)
    else:
        if path != "auto" and path not in table.columns:
            raise CompError(f"data.path={path}: no such column in the {split} table; it has {shown(table.columns, 12)}")
        columns = _likely_columns(table, id_column) if path == "auto" else [path]
        found = _by_guess(table, root, split, columns)
    missing = ~found.paths.map(lambda name: is_file(Path(name)))
    if missing.any():
        rows = table[id_column][missing]
        raise CompError(
            f"{missing.sum()} of {len(table)} {split} images are missing ({found.how}): ids {shown(rows)}, "
            f"such as {shortened(found.paths[missing].iloc[0])}"
        )
    return found


def _by_pattern(table: pd.DataFrame, root: Path, split: str, pattern: str, id_column: str) -> Found:
    try:
        paths = [
            str(
                root / pattern.format_map({"split": split, "id": row[id_column], **{str(k): v for k, v in row.items()}})
            )
            for _, row in table.iterrows()
        ]
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise CompError(f"data.path={pattern}: {error} is not a column of the {split} table") from None
    return Found(pd.Series(paths, index=table.index, dtype=object), pattern)


def _likely_columns(table: pd.DataFrame, id_column: str) -> list[str]:
    """Columns whose values look like file names come first, the id last."""
    head = table.head(PROBED)
    files = [name for name in table.columns if head[name].map(lambda v: Path(v).suffix.lower() in SUFFIXES).all()]
    return [*files, *([id_column] if id_column not in files else [])]


def _by_guess(table: pd.DataFrame, root: Path, split: str, columns: list[str]) -> Found:
    files = image_files(root)
    if not files:
        raise CompError(f"there are no images below {root}: unpack the competition's files there")
    guess = _best_guess(table.head(PROBED), files, split, columns)
    if guess is None:
        raise CompError(
            f"no image of the {split} rows was found below {root} (there are {shown(files)}): "
            "set data.path to a column, or to a pattern such as {split}/{id}.png"
        )
    folder, column, suffix = guess
    known = set(files)
    exact = {value: f"{folder}{value}{suffix}" for value in table[column]}
    kinds = {Path(name).suffix for name in files if name.rpartition("/")[0] == folder.rstrip("/")}
    mixed = suffix != "" and len(kinds) > 1
    if mixed:  # one folder with several kinds of image: look the others up by their stem
        by_stem = _by_stem(files, folder)
        exact = {value: name if name in known else by_stem.get(value, name) for value, name in exact.items()}
    paths = table[column].map(lambda value: str(root / exact[value]))
    return Found(paths, folder + "{" + column + "}" + (".*" if mixed else suffix))


def _best_guess(probe: pd.DataFrame, files: list[str], split: str, columns: list[str]) -> tuple[str, str, str] | None:
    """The folder (with its slash), column and suffix that most rows of `probe` have an image by."""
    suffixes: dict[str, set[str]] = {"": set()}  # the kinds of image in each folder
    for name in files:
        folder = name.rpartition("/")[0]
        suffixes.setdefault(folder, set()).add(Path(name).suffix)
        suffixes.setdefault(folder.partition("/")[0], set())
    known, best, most = set(files), None, 0
    for column in columns:
        for folder in sorted(suffixes, key=lambda folder: _rank(folder, split)):
            if most and _rank(folder, split)[0]:
                break  # an image that is missing here must not be taken from the other split
            start = f"{folder}/" if folder else ""
            for suffix in ["", *sorted(suffixes[folder])]:
                hits = sum(f"{start}{value}{suffix}" in known for value in probe[column])
                if hits > most:
                    best, most = (start, column, suffix), hits
            if most == len(probe):
                return best
    return best


def _rank(folder: str, split: str) -> tuple[bool, bool, int, str]:
    """Folders named after the split first, those named after the other one last."""
    other = {"train": "test", "test": "train"}[split]
    return (other in folder.lower(), split not in folder.lower(), folder.count("/"), folder)


def _by_stem(files: list[str], stem: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in files:
        if name.startswith(stem) and "/" not in name[len(stem) :]:
            key = Path(name).stem
            if key in found:
                raise CompError(f"two images are called {key!r}: {found[key]} and {name}; set data.path to say which")
            found[key] = name
    return found
