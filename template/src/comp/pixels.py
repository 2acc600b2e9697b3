"""Decode once: all images of a table in one memory-mapped uint8 file, shared by every worker and process."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from comp.config import Config
from comp.errors import CompError
from comp.files import NO_SPACE
from comp.images import BadImage, Rgb, decode, framed

AHEAD = 64  # images decoded before they are written
FORMAT = 1
UNREADABLE = np.zeros((1, 1, 3), np.uint8)  # keeps the row of a bad image
Item = TypeVar("Item")


@dataclass(frozen=True)
class Decoding:
    """How files become pixels; two caches with the same files and the same decoding are the same."""

    short_side_px: int
    background: Rgb | None
    frame: str
    frame_px: int | None

    @classmethod
    def of(cls, config: Config) -> "Decoding":
        """As large as a typical random crop needs it not to be blurred, half as large again at most."""
        size, smallest = config.model.image_size, config.augment.crop_scale[0]
        margin = min(1.5, max(1.15, 1 / math.sqrt(max(smallest, 0.01))))
        data = config.data
        return cls(round(size * margin), data.background, data.frame, size if data.frame == "native" else None)

    def __call__(self, path: str) -> np.ndarray:
        """(H, W, 3) uint8.

        Raises:
            BadImage: the file cannot be read.
        """
        image = decode(Path(path), self.background, self.short_side_px)
        return image if self.frame == "none" else framed(image, self.frame_px)


class Pixels:
    """The images of a table by row number. `bad` names the unreadable ones by row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        index = np.load(folder / "index.npy", allow_pickle=False)  # (N, 3) int64: offset, height, width
        self._offset, self._height, self._width = index.T
        total = int((self._height * self._width).sum()) * 3
        self._bytes = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r") if total else np.zeros(0, np.uint8)
        self.bad: dict[int, str] = {int(k): v for k, v in json.loads((folder / "bad.json").read_text()).items()}

    def __reduce__(self) -> tuple[type["Pixels"], tuple[Path]]:
        return Pixels, (self._folder,)  # a worker process that is not forked maps the file itself

    def __len__(self) -> int:
        return len(self._offset)

    def __getitem__(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8, a view of the file."""
        start, height, width = self._offset[row], self._height[row], self._width[row]
        return self._bytes[start : start + height * width * 3].reshape(height, width, 3)


class Streamed:
    """The same, without a cache: each access decodes the file again."""

    def __init__(self, paths: list[str], decoding: Decoding) -> None:
        self._paths, self._decoding = paths, decoding
        self.bad: dict[int, str] = {}
        for row, path in enumerate(_bar(paths, "checking images", len(paths))):
            try:
                decoding(path)
            except BadImage as error:
                self.bad[row] = str(error)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> np.ndarray:
        if row in self.bad:
            return UNREADABLE
        return self._decoding(self._paths[row])


def open_pixels(paths: list[str], folder: Path, decoding: Decoding) -> Pixels:
    """The cache of these files below `folder`, built where it is not there yet.

    Raises:
        CompError: the disk is full; what was built so far is removed.
    """
    place = folder / _key(paths, decoding)
    if not place.exists():
        _build(paths, place, decoding)
    return Pixels(place)


def _key(paths: list[str], decoding: Decoding) -> str:
    """Names a cache by its files' paths, sizes and times and by how they are decoded."""
    text = hashlib.blake2b(json.dumps([FORMAT, *astuple(decoding)]).encode(), digest_size=12)
    for path in paths:
        try:
            stat = Path(path).stat()
            text.update(f"\n{path}\t{stat.st_size}\t{stat.st_mtime_ns}".encode())
        except OSError:
            text.update(f"\n{path}\tmissing".encode())
    return text.hexdigest()


def _build(paths: list[str], place: Path, decoding: Decoding) -> None:
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    beside.mkdir(parents=True, exist_ok=True)
    try:
        index, bad, offset = [], {}, 0
        with (beside / "pixels.bin").open("wb") as file:
            for row, image in enumerate(_bar(_decoded(paths, decoding), "decoding images", len(paths))):
                if isinstance(image, BadImage):
                    bad[row] = str(image)
                    image = UNREADABLE
                file.write(np.ascontiguousarray(image).data)
                index.append((offset, *image.shape[:2]))
                offset += image.size
        np.save(beside / "index.npy", np.array(index, dtype=np.int64).reshape(-1, 3))
        (beside / "bad.json").write_text(json.dumps(bad))
        beside.replace(place)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise CompError(f"no space left for the pixel cache {place}: free some, or set data.cache=false") from error
        if not place.exists():  # else another process was faster, with the same result
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _bar(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    return tqdm(items, what, total, unit="img", disable=None)  # None: quiet where no terminal shows it


def _decoded(paths: list[str], decoding: Decoding) -> Iterator[np.ndarray | BadImage]:
    """In order, a few ahead: PIL lets other threads run while it decodes."""

    def one(path: str) -> np.ndarray | BadImage:
        try:
            return decoding(path)
        except BadImage as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), AHEAD):
            yield from pool.map(one, paths[start : start + AHEAD])
