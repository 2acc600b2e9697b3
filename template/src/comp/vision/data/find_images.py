"""Finds each row's image: by a path column, a pattern, or an id with or without its extension."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comp.errors import CompError, one_line, shortened, shown
from comp.files import is_file
from comp.files.archives import not_unpacked
from comp.vision.data.guess import best_guess, by_folder, refuse_rivals
from comp.vision.data.sources import TEST_FOLDERS, TRAIN_FOLDERS
from comp.vision.data.spelling import SUFFIXES, Place, Spellings, cleaned, is_image, suffix_of
from comp.vision.data.whereabouts import files_anywhere, find_place, nearest

OF_TABLES = "pixels-"  # folders in the cache, with images that are a table's (comp.vision.data.pixel_table)
BELIEVED = 0.5  # the share of rows that must have an image by a guess
PROBED = 200  # rows that a guess is tried on, from all over the table
HINT = "set data.path to a column, or to a pattern such as 'data.path={split}/{id}.png'"  # as any shell takes it


@dataclass(frozen=True)
class Found:
    paths: pd.Series  # one file a row
    how: str  # the pattern, and what had to be read otherwise than it stands, for telling


def image_files(folder: Path) -> list[str]:
    """All images below `folder`, relative to it with forward slashes, sorted; what systems hide there is none."""
    found = []
    for place, folders, files in _walked(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", OF_TABLES)) and name != "__MACOSX")
        inside = "".join(f"{part}/" for part in Path(place).relative_to(folder).parts)
        found += [inside + name for name in files if _is_shown(name)]
    return sorted(found)


def _walked(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`; then into the folders that are links, none of which is another that was seen.

    Links to folders within that make the usual layout come first, the innermost before what holds it.
    """
    starts = sorted([folder, *_usual_links(folder)], key=lambda path: -len(os.path.realpath(path)))
    seen = set[str]()
    for start in starts:
        for place, folders, files in os.walk(start):
            if (real := os.path.realpath(place)) in seen:
                folders.clear()
                continue
            seen.add(real)
            yield place, folders, files
            starts += [path for name in folders if (path := Path(place, name)).is_symlink()]


def _usual_links(folder: Path) -> list[Path]:
    """Links that are called as training or test images usually are; a folder that is both goes by its own name."""
    train, test = (
        {os.path.realpath(link): link for name in reversed(names) if (link := folder / name).is_symlink()}
        for names in (TRAIN_FOLDERS, TEST_FOLDERS)
    )
    return [(train | test)[place] for place in train.keys() ^ test.keys()]


def _is_shown(name: str) -> bool:
    return is_image(name) and not name.startswith("._")  # macOS keeps what it knows there


def find_images(table: pd.DataFrame, root: Path, split: str, path: str, id_column: str) -> Found:
    """The image of each row of `table` (its columns are text), as absolute paths.

    `path` is a pattern (`train/{id}.png`; `{split}` stands for train or test), a column, or `auto`. A spelling that is
    not the file's own is understood where it can mean one file only (`comp.vision.data.spelling`), and told in `how`.

    Raises:
        CompError: no guess fits, a spelling could be two files, or images are missing; the first of them are named.
    """
    if "{" in path:
        texts, how = by_pattern(table, split, path, id_column)
    else:
        if path != "auto" and path not in table.columns:
            raise CompError(f"data.path={path}: no such column in the {split} table; it has {shown(table.columns, 12)}")
        columns = _likely_columns(table, id_column) if path == "auto" else [path]
        texts, how = _by_guess(table, root, split, columns)
    paths, missing = _below(root, texts)
    if missing.any():
        files = image_files(root)
        found, needed = Spellings(files).find(texts[missing], taken=texts[~missing])
        again, missing_again = _below(root, texts[missing].map(lambda text: found.get(text, text)))
        paths[missing], missing[missing] = again, missing_again
        how += f" ({needed})" if needed else ""
    if missing.any():
        ids = shown(table[id_column][missing])
        raise CompError(
            f"{missing.sum()} of {len(table)} {split} images "
            f"{'is' if missing.sum() == 1 else 'are'} missing ({how}): ids {ids}, "
            f"such as {shortened(paths[missing].iloc[0])}{_nearest(texts[missing].iloc[0], files)}"
            f"{not_unpacked(root) or '; put them there, or set data.path'}"
        )
    return Found(paths, how)


def _below(root: Path, texts: pd.Series) -> tuple[pd.Series, pd.Series]:
    """The paths of `texts` below `root`, and which of them are no files."""
    paths = [root / text for text in texts]
    missing = pd.Series([not is_file(path) for path in paths], index=texts.index)
    return pd.Series([str(path) for path in paths], index=texts.index, dtype=object), missing


def _stands(values: pd.Series, root: Path) -> bool:
    """Whether they are plain paths of files below `root`: by way of a link, `image_files` has them by another path."""
    return bool(values.eq(values.map(cleaned)).all()) and not _below(root, values)[1].any()


def _nearest(text: str, files: list[str]) -> str:
    near = nearest(text, files)
    return f"; the nearest file is {near!r}" if near else ""


def by_pattern(table: pd.DataFrame, split: str, pattern: str, id_column: str) -> tuple[pd.Series, str]:
    names = ["split", "id", *map(str, table.columns)]  # a column's own value wins over the two
    rows = zip(table[id_column], *(table[name] for name in table.columns), strict=True)
    try:
        texts = [pattern.format_map(dict(zip(names, (split, *row), strict=True))) for row in rows]
    except KeyError as error:
        raise CompError(
            f"data.path={pattern}: {error} is not a column of the {split} table; it has {shown(table.columns, 12)}"
        ) from None
    except (IndexError, ValueError, AttributeError, TypeError) as error:
        raise CompError(f"data.path={pattern} is no pattern ({one_line(error)}): {HINT}") from None
    return pd.Series(texts, index=table.index, dtype=object), pattern


def _probe(table: pd.DataFrame) -> pd.DataFrame:
    """A few rows from all over the table: the first ones may all be of one class."""
    return table.iloc[:: -(-len(table) // PROBED)]


def _likely_columns(table: pd.DataFrame, id_column: str) -> list[str]:
    """Columns whose values look like file names come first, the id last."""
    probe = _probe(table)
    files = [name for name in table.columns if probe[name].map(lambda value: is_image(value.strip())).all()]
    return [*files, *([id_column] if id_column not in files else [])]


def _by_guess(table: pd.DataFrame, root: Path, split: str, columns: list[str]) -> tuple[pd.Series, str]:
    """Each row's file, or where it would be."""
    files = image_files(root)
    if not files:
        raise CompError(no_images(root))
    probe = _probe(table)
    guess, hits = best_guess(probe, files, split, columns)
    if hits < len(probe):
        for column in columns:
            if _stands(probe[column], root):
                return table[column], "{" + column + "}"
        place, column, n_placed = _best_place(table, probe, files, split, columns, hits)
        if n_placed < len(probe):
            named = _anywhere(table, files, split, columns, sure=max(hits, n_placed) >= BELIEVED * len(probe))
            if named is not None:
                return named
        if place is not None and n_placed >= BELIEVED * len(probe):
            return _by_place(table[column], place, files)
        hits = max(hits, n_placed)
    if guess is None or hits < BELIEVED * len(probe):
        believed = ""
        missing = probe[columns[0]]
        if guess is not None:
            texts, believed = by_folder(probe[guess.column], guess, files)
            missing = probe[guess.column][~texts.isin(files)]
            believed = f" ({believed} fits {hits} of {len(probe)} rows)"
        value = missing.iloc[0]
        raise CompError(
            f"no image of {'most' if believed else 'the'} {split} rows was found below {root}{believed}: looked for "
            f"{shortened(value)!r} of {missing.name!r}{_nearest(value, files)}; {HINT}{not_unpacked(root)}"
        )
    if hits == len(probe):
        refuse_rivals(probe, guess, files, split, columns)
    return by_folder(table[guess.column], guess, files)


def _anywhere(
    table: pd.DataFrame, files: list[str], split: str, columns: list[str], sure: bool
) -> tuple[pd.Series, str] | None:
    """The files by their bare names, if each row has exactly one, in whatever folder; None if some rows have none.

    Raises:
        CompError: rows have several, unless another reading is `sure`: then they have none.
    """
    for column in columns:
        values = list(dict.fromkeys(table[column]))
        found = files_anywhere(values, files, split)
        several = [value for value in values if len(found[value]) > 1]
        if all(found.values()) and not several and len({names[0] for names in found.values()}) == len(values):
            kinds = {suffix_of(names[0]) for names in found.values()}
            n_folders = len({names[0].rpartition("/")[0] for names in found.values()})
            ending = "" if is_image(values[0].strip()) else kinds.pop() if len(kinds) == 1 else ".*"
            told = "{" + column + "}" + ending + f" by its bare name, in {n_folders} folders"
            return table[column].map({value: names[0] for value, names in found.items()}), told
        if all(found.values()) and several and not sure:
            one, other, *_ = found[several[0]]
            raise CompError(
                f"{len(several)} {split} images could be one of several files, such as {shortened(several[0])!r}: "
                f"{one} or {other}; {HINT}"
            )
    return None


def no_images(root: Path) -> str:
    """What to say where there are none below `root`: what else is there."""
    kinds: Counter[str] = Counter()
    for _, folders, files in _walked(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in {"__MACOSX", "cache"}]
        kinds.update(suffix_of(name).lower() for name in files if not name.startswith("."))
    others = ", ".join(f"{count} files end with {suffix}" for suffix, count in kinds.most_common(3) if suffix)
    archives = not_unpacked(root)
    leads = archives or f": put the competition's images there, as one of {', '.join(sorted(SUFFIXES))}"
    return f"there are no images below {root}" + (f" ({others})" if others else "") + leads


def _best_place(
    table: pd.DataFrame, probe: pd.DataFrame, files: list[str], split: str, columns: list[str], hits: int
) -> tuple[Place | None, str, int]:
    """The place that more than `hits` rows of `probe` fit, in a spelling of their own, the column, and how many fit."""
    best: tuple[Place | None, str] = (None, "")
    n_placed = 0
    for column in columns:
        try:
            place, found = find_place(list(table[column]), list(probe[column]), files, split)
        except CompError:
            if hits:
                continue  # some rows do name their files
            raise
        if found > hits:
            best, hits = (place, column), found
            n_placed = found
        if found == len(probe):
            break
    return *best, n_placed


def _by_place(values: pd.Series, place: Place, files: list[str]) -> tuple[pd.Series, str]:
    found, needed = Spellings(files).find(dict.fromkeys(values), place)
    suffixes = {suffix_of(name) for value, name in found.items() if not is_image(value.strip())}
    ending = "" if not suffixes else suffixes.pop() if len(suffixes) == 1 else ".*"
    told = place.folder + "{" + str(values.name) + "}" + ending + (f" ({needed})" if needed else "")
    return values.map(lambda value: found.get(value, place.text(value))), told
