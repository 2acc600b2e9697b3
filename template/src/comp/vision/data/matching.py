"""Patterns with wildcards: which files are the images of a row, and which pattern would name them."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from comp.errors import CompError, shortened, shown
from comp.vision.data.find_images import by_pattern, image_files
from comp.vision.data.spelling import READINGS, cleaned, suffix_of
from comp.vision.data.whereabouts import nearest

FIELDS = re.compile(r"(\{[^{}]*\})")
MARKS = {"**/": "\ue000", "*": "\ue001", "?": "\ue002"}  # for wildcards: a value may have these signs in it
MEANT = {"\ue000": "(?:.*/)?", "\ue001": "[^/]*", "\ue002": "[^/]"}
MARK = re.compile(f"([{''.join(MEANT)}])")
LAST = "\U0010ffff"  # comes after all letters
TRIED = 20  # rows that a pattern is guessed from
LEAST_SHARE = 0.8  # of them that it must fit

Images = list[list[str]]  # of each row


def is_wild(path: str) -> bool:
    """Whether it is a pattern with `*` or `?`, which may name several files."""
    return any("*" in text or "?" in text for text in FIELDS.split(path)[::2])


def matching(table: pd.DataFrame, root: Path, split: str, pattern: str, id_column: str) -> tuple[Images, str]:
    """The images of each row that `pattern` matches, 2 before 10, and how they were found, for telling.

    `*` and `?` stay within a name, `**/` is any folders.

    Raises:
        CompError: a row has none, or a file would belong to rows that have other values.
    """
    marked = "".join(text if text.startswith("{") else _marked(text) for text in FIELDS.split(pattern))
    texts = [cleaned(text) for text in by_pattern(table, split, marked, id_column)[0]]
    files, found, needed = image_files(root), dict[str, list[str]](), list[str]()
    for reading, how in READINGS:
        left = {text: MARK.split(reading(text)) for text in texts if text not in found}
        if not left:
            break
        lookup = _Lookup(files, reading)
        new = {text: names for text, parts in left.items() if (names := lookup.matching(parts))}
        needed += [how] * bool(new and how)
        found |= new
    missing = pd.Series([text not in found for text in texts], index=table.index)
    if missing.any():
        first = MARK.sub("*", next(text for text in texts if text not in found))
        near = nearest(first, files)
        raise CompError(
            f"{missing.sum()} of {len(table)} {split} rows have no image ({pattern}): ids "
            f"{shown(table[id_column][missing])}, such as {shortened(first)}"
            + (f"; the nearest file is {near!r}" if near else "")
        )
    _refuse_shared(texts, found, list(table[id_column]), pattern)
    said = f"{pattern} ({', '.join(needed)})" if needed else pattern
    return [[str(root / name) for name in found[text]] for text in texts], said


def likely_pattern(ids: pd.Series, root: Path, split: str) -> tuple[str, list[str]]:
    """The pattern by which most rows have images and some have several, and the images of one; "" if there is none."""
    tried = [value for value in ids.iloc[:TRIED] if value]
    files = image_files(root)
    votes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for value in tried:
        ending = re.compile(rf"(?:(.*)/)?{re.escape(value)}(?:(/)(.*/)?|([-_ ]))[^/]*")
        for name in files:
            if value in name and (found := ending.fullmatch(name)):
                folder, slash, deeper, sign = found.groups()
                before = "" if folder is None else folder.replace(split, "{split}") + "/"
                between = "/**/" if deeper else slash or sign
                votes[before + "{" + str(ids.name) + "}" + f"{between}*{suffix_of(name)}"][value].append(name)
    pattern = max(votes, key=lambda each: (len(votes[each]), sum(map(len, votes[each].values()))), default="")
    rows = votes[pattern] if pattern else {}
    example = max(rows.values(), key=len, default=[])
    return (pattern, example) if len(example) > 1 and len(rows) >= LEAST_SHARE * len(tried) else ("", [])


def _marked(text: str) -> str:
    for wildcard, mark in MARKS.items():
        text = text.replace(wildcard, mark)
    return text


def _refuse_shared(texts: list[str], found: dict[str, list[str]], ids: list[str], pattern: str) -> None:
    """A file of rows with other values is one that the pattern does not mean: `{id}*.png` of 1 and of 10."""
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        for name in found[text]:
            other = first.setdefault(name, row)
            if texts[other] != text:
                raise CompError(
                    f"data.path={pattern}: {name} would be an image of {shortened(ids[other])!r} and of "
                    f"{shortened(ids[row])!r}: write what stands between the id and the rest, such as "
                    "{id}-*.png"
                )


class _Lookup:
    """The files of a folder in one reading of their names, by their beginnings and by their ends."""

    def __init__(self, files: list[str], reading: Callable[[str], str]) -> None:
        pairs = [(reading(name), name) for name in files]
        self._forward = sorted(pairs)
        self._backward = sorted((read[::-1], name) for read, name in pairs)

    def matching(self, parts: list[str]) -> list[str]:
        """The files that a text matches, `parts` of which are marks."""
        pattern = re.compile("".join(MEANT.get(part) or re.escape(part) for part in parts))
        by_start, by_end = _beginning(self._forward, parts[0]), _beginning(self._backward, parts[-1][::-1])
        if len(by_start) <= len(by_end):
            names = [name for read, name in by_start if pattern.fullmatch(read)]
        else:
            names = [name for read, name in by_end if pattern.fullmatch(read[::-1])]
        return sorted(names, key=_numbers_by_value)


def _beginning(pairs: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    return pairs[bisect_left(pairs, (text,)) : bisect_left(pairs, (text + LAST,))]


def _numbers_by_value(name: str) -> list[str | int]:
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", name))]
