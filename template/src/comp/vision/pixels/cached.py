"""The cache of a table: `pixels.bin` with an index, named by its files and its decoding.

`files.json` remembers each file's state and a hash of its content: what another cache of the same decoding has decoded
already, by whatever name and at whatever time, is copied from there.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import IO

import numpy as np
from pydantic import TypeAdapter

from comp.errors import CompError
from comp.files import NO_SPACE
from comp.readback import AGAIN, read_array, reading
from comp.vision.parallel import in_parallel
from comp.vision.pixels.decoding import UNREADABLE, Decoding, State
from comp.vision.pixels.image_file import BadImage
from comp.vision.pixels.streamed import read_bad

INDEX = np.dtype([("offset", np.int64), ("height", np.int64), ("width", np.int64)])  # of one image
Listing = list[tuple[str, int, int, str]]  # of `files.json`: path, size, time and hash of the content of each file
SHARED, ALONE, AT_ONCE = 1, 2, 4  # of flock, on Linux and macOS


class Pixels:
    """The images of a table by row number; `bad` names the unreadable ones by row. With `count`, so many images.

    Raises:
        CompError: files of the cache are missing, interrupted or do not fit together.
    """

    streamed = False

    def __init__(self, folder: Path, count: int | None = None) -> None:
        self._folder = folder
        with reading(folder / "pixels.bin", AGAIN), (folder / "pixels.bin").open("rb") as file:
            _lock(file, SHARED)  # held by the map, which keeps the file open; a cache in use is not removed
            index = read_array(folder / "index.npy", None, INDEX, AGAIN)
            self._offset, self._height, self._width = index["offset"], index["height"], index["width"]
            sizes = self._height * self._width * 3
            self.n_bytes = int(sizes.sum())
            in_order = np.array_equal(self._offset, np.cumsum(sizes) - sizes) and (index.view(np.int64) >= 0).all()
            if not in_order or file.seek(0, SEEK_END) != self.n_bytes or len(index) != (count or len(index)):
                raise ValueError("it does not fit its index")
            shape = (self.n_bytes,)
            self._bytes = np.memmap(file, np.uint8, "r", shape=shape) if self.n_bytes else np.zeros(0, np.uint8)
        self.bad = read_bad(folder / "bad.json", len(index))

    def __reduce__(self) -> tuple[type["Pixels"], tuple[Path]]:
        return Pixels, (self._folder,)  # a worker process that is not forked maps the file itself

    def __len__(self) -> int:
        return len(self._offset)

    def __getitem__(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8, a view of the file."""
        start, height, width = self._offset[row], self._height[row], self._width[row]
        return self._bytes[start : start + height * width * 3].reshape(height, width, 3)


@dataclass(frozen=True)
class Known:
    """What the caches of one decoding know."""

    content: dict[State, str]  # its hash
    pixels: dict[str, tuple[Pixels, int]]  # by content: where they are

    @classmethod
    def below(cls, folder: Path, decoding: Decoding) -> "Known":
        known = cls({}, {})
        for listing in sorted(folder.glob(f"*-{decoding.key}-*/files.json")):
            try:
                cache = Pixels(listing.parent)
                files = TypeAdapter(Listing).validate_json(listing.read_bytes())
                for row, (path, size, time, content) in enumerate(files[: len(cache)]):
                    known.content[path, size, time] = content
                    if row not in cache.bad:
                        known.pixels[content] = cache, row
            except (CompError, OSError, ValueError):
                continue  # what is damaged is decoded again
        return known


def build(files: list[State], place: Path, decoding: Decoding) -> int:
    """Makes the cache `place` and removes those of the same table that it replaces; how many images were decoded.

    Raises:
        CompError: the disk is full; what was built so far is removed.
    """
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(exist_ok=True)
        n_decoded = _write(files, temporary, decoding)
        temporary.replace(place)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise CompError(f"no space left for the pixel cache {place}: free some, or set data.cache=false") from error
        if not place.exists():
            raise
        n_decoded = 0  # another process was faster, with the same result
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for old in place.parent.glob(f"{place.name.rpartition('-')[0]}-*/"):
        if old != place:
            _remove_unless_used(old)
    return n_decoded


@contextmanager
def building_alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time build caches in `folder`, where the file system has locks. Removes dead leftovers."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            alone = _lock(file, ALONE | AT_ONCE)
        except BlockingIOError:
            print(f"cache   another process builds in {folder}: waiting", flush=True)
            alone = _lock(file, ALONE)
        if alone:
            for left in folder.glob(".*.tmp/"):  # a process that builds would hold the lock
                shutil.rmtree(left, ignore_errors=True)
        yield


def _write(files: list[State], folder: Path, decoding: Decoding) -> int:
    known = Known.below(folder.parent, decoding)

    def one(file: State) -> tuple[str, np.ndarray | BadImage, bool]:
        content = known.content.get(file) or _hash(file[0])
        if content in known.pixels:
            cache, row = known.pixels[content]
            return content, cache[row], False
        try:
            return content, decoding(file[0]), True
        except BadImage as error:
            return content, error, True

    index, bad, contents, offset, n_decoded = [], {}, [], 0, 0
    with (folder / "pixels.bin").open("wb") as out:
        for row, (content, image, decoded) in enumerate(in_parallel(one, files, "decoding images")):
            if isinstance(image, BadImage):
                bad[row] = str(image)
                image = UNREADABLE
            out.write(np.ascontiguousarray(image).data)
            index.append((offset, *image.shape[:2]))
            contents.append(content)
            offset += image.size
            n_decoded += decoded
    np.save(folder / "index.npy", np.array(index, dtype=INDEX))
    (folder / "bad.json").write_text(json.dumps(bad), encoding="utf-8")
    listing = [(*file, content) for file, content in zip(files, contents, strict=True)]
    (folder / "files.json").write_text(json.dumps(listing), encoding="utf-8")
    return n_decoded


def _hash(path: str) -> str:
    """Of the file's content; empty where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""


def remove_damaged(place: Path) -> None:
    """Takes a cache out of its place; who still maps it keeps what it maps."""
    gone = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    place.replace(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _remove_unless_used(old: Path) -> None:
    """What another process maps stays until the next build: workers of that process may still open it by its name."""
    try:
        with (old / "pixels.bin").open("rb+") as file:
            if _lock(file, ALONE | AT_ONCE):
                gone = old.with_name(f".{old.name}.{os.getpid()}.tmp")
                old.replace(gone)  # at once: half a cache must not be taken for one
                shutil.rmtree(gone, ignore_errors=True)
    except OSError:
        return


def _lock(file: IO, how: int) -> bool:
    """False where the system or the file system has no locks. It ends when the last copy of the open file is closed.

    Raises:
        BlockingIOError: another process has it, and `how` says AT_ONCE.
    """
    try:
        import fcntl

        fcntl.flock(file, how)
    except BlockingIOError:
        raise
    except (ImportError, OSError):
        return False
    return True
