r"""Finds the files that a table spells in a way of its own: `train\a\3.PNG`, `C:\data\train\a\3.png`.

What is unambiguous is understood, and told; what could be two files is refused. The plainest reading wins: as it
stands, then without backslashes and blanks around, then in any Unicode form, then in any case.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from comp.errors import CompError, shortened

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".jpf", ".jpx"),
    *(".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".avif", ".tif", ".tiff", ".tga"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".dcm", ".dicom"),
}


def without_suffix(name: str) -> str:
    return os.path.splitext(name)[0]  # noqa: PTH122 (a Path of each of 100,000 names takes a second)


def suffix_of(name: str) -> str:
    return os.path.splitext(name)[1]  # noqa: PTH122


def is_image(name: str) -> bool:
    return suffix_of(name).lower() in SUFFIXES


def cleaned(value: str) -> str:
    """`value` with `/` between its parts, without blanks around it, and without `/` or `./` in front."""
    text = value.strip().replace("\\", "/")
    if "//" in text or "/./" in text or text.startswith(("/", "./")) or text.endswith("/"):
        return "/".join(part for part in text.split("/") if part not in {"", "."})
    return text


def composed(text: str) -> str:
    """`text` in one Unicode form: an accent is part of its letter."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """`text` in one Unicode form and case."""
    return text.lower() if text.isascii() else composed(composed(text).casefold())


Reading = Callable[[str], str]
READINGS: tuple[tuple[Reading, str], ...] = (
    (str, ""),
    (composed, "Unicode forms not told apart"),
    (folded, "upper and lower case not told apart"),
)


@dataclass(frozen=True)
class Place:
    """Where the files of a column lie: how many folders its values name too many, and the one that they do not name."""

    dropped: int = 0
    folder: str = ""  # with its slash

    def text(self, value: str) -> str:
        """The file that `value` means, up to Unicode form and case."""
        text = cleaned(value)
        return self.folder + (text.split("/", self.dropped)[-1] if self.dropped else text)


HERE = Place()


class Spellings:
    """All files of a folder, by each reading of their names, with and without their suffixes."""

    def __init__(self, files: list[str]) -> None:
        self._files = files
        self._known = set(files)
        self._tables: dict[tuple[Reading, bool], dict[str, list[str]]] = {}

    def find(self, values: Iterable[str], place: Place = HERE, taken: Iterable[str] = ()) -> tuple[dict[str, str], str]:
        """The file of each of `values` that has one, and what was needed to find them, for telling.

        `taken`: files that other rows name as they are.

        Raises:
            CompError: a value could be two files, or one file two values that differ in case.
        """
        found: dict[str, str] = {}
        owners = {name: composed(name) for name in taken}
        needed: dict[str, None] = {}  # a set that keeps its order
        for value in values:
            text = place.text(value)
            asis = place.folder + value
            name, how = (asis, "") if asis in self._known and not place.dropped else self._file_of(value, text)
            if not name:
                continue
            found[value] = name
            _refuse_two(owners.setdefault(name, composed(text)), composed(text), name)
            if name != asis:
                needed.update(dict.fromkeys([*_cleaning(value, place), *([how] if how else [])]))
        return found, ", ".join(needed)

    def _file_of(self, value: str, text: str) -> tuple[str, str]:
        """The file that is called `text` in the plainest reading that has any, or "", and the reading."""
        for reading, how in READINGS:
            names = self._named(reading, text)
            if len(names) > 1:
                raise CompError(f"{shortened(value)!r} could be {names[0]} or {names[1]}: spell it as the file is")
            if names:
                return names[0], how
        return "", ""

    def _named(self, reading: Reading, text: str) -> list[str]:
        """The files called `text` in a reading; a text without the suffix of an image is also taken for a stem."""
        wanted = reading(text)
        names = self._table(reading, False).get(wanted, [])
        return names or ([] if is_image(text) else self._table(reading, True).get(wanted, []))

    def _table(self, reading: Reading, stems: bool) -> dict[str, list[str]]:
        key = (reading, stems)
        if key not in self._tables:
            table = self._tables[key] = defaultdict(list)
            for name in self._files:
                table[reading(without_suffix(name) if stems else name)].append(name)
        return self._tables[key]


def _refuse_two(one: str, other: str, name: str) -> None:
    """Two rows that differ in case are two images, of which one is not there."""
    if one != other and folded(one) == folded(other):
        raise CompError(f"the table has {shortened(one)!r} and {shortened(other)!r}, and only {name} is there")


def _cleaning(value: str, place: Place) -> list[str]:
    """What sets a value apart from the file's own path, before Unicode form and case."""
    told = ["backslashes read as /"] if "\\" in value else []
    plain = value.strip()
    if value != plain:
        told.append("blanks around left out")
    lead = "/" if plain.startswith(("/", "\\")) else "./" if plain.startswith(("./", ".\\")) else ""
    if place.dropped or lead:
        front = "".join(f"{folder}/" for folder in cleaned(value).split("/")[: place.dropped])
        told.append(f"{lead + front!r} in front left out")
    return told
