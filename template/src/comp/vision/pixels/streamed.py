"""Without a cache: each access decodes the file, in the loader's workers."""

import json
from pathlib import Path

import numpy as np

from comp.errors import CompError
from comp.files import write_text
from comp.readback import AGAIN, read_json, reading, remembered
from comp.vision.parallel import in_parallel
from comp.vision.pixels.decoding import UNREADABLE, Decoding
from comp.vision.pixels.image_file import BadImage


class Streamed:
    """The images of a table by row number, decoded at each access. `bad` names the unreadable ones by row."""

    streamed = True

    def __init__(self, paths: list[str], decoding: Decoding, bad: dict[int, str]) -> None:
        self._paths, self._decoding, self.bad = paths, decoding, bad

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        return UNREADABLE if row in self.bad else self._decoding(self._paths[row])


def bad_images(paths: list[str], memory: Path, decoding: Decoding) -> dict[int, str]:
    """Why which rows cannot be read: decodes each image once, and remembers the answer in the file `memory`."""
    known = remembered(memory, lambda: read_bad(memory, len(paths)))
    if known is not None:
        return known

    def why(path: str) -> str | None:
        try:
            decoding(path)
        except BadImage as error:
            return str(error)
        return None

    answers = enumerate(in_parallel(why, paths, "checking images"))
    bad = {row: answer for row, answer in answers if answer is not None}
    try:
        write_text(memory, json.dumps(bad))
        for old in memory.parent.glob(f"{memory.name.rpartition('-')[0]}-*{memory.suffix}"):
            if old != memory:
                old.unlink(missing_ok=True)
    except (OSError, CompError):
        pass  # nothing can be written there: the next command checks again
    return bad


def read_bad(path: Path, count: int) -> dict[int, str]:
    """Of `count` images those that cannot be read, by row, and why.

    Raises:
        CompError: the file is damaged.
    """
    found = {int(row): why for row, why in read_json(path, dict[str, str], AGAIN).items() if row.isdecimal()}
    with reading(path, AGAIN):
        if any(row >= count for row in found):
            raise ValueError(f"it names other rows than there are: {count}")
    return found
