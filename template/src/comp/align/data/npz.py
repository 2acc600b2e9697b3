"""Arrays of an npz without unpickling anything: memory-mapped where they are stored as they are, else streamed."""

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError

import numpy as np

from comp.errors import CompError, one_line, shown

LOCAL_HEADER = 30  # bytes of a zip member's own header before its name
# What zipfile, zlib, lzma and numpy raise of files that are damaged, locked or packed in a way that Python cannot read.
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, MemoryError),
    *(ValueError, TypeError, KeyError, IndexError, OverflowError, SyntaxError, TokenError),
)
CHUNK_BYTES = 64 * 2**20
MOST_PACKED = 1100  # bytes that one of a deflated file can stand for


class Archive:
    """The arrays of one npz by name (`captions/embeddings`).

    Raises:
        CompError: there is no such file, or it is not an npz.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as file:
                self._members = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
        except FileNotFoundError:
            raise CompError(f"{path} does not exist") from None
        except BROKEN as error:
            raise CompError(f"{path} is not an npz, or is incomplete: {one_line(error)}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> np.ndarray:
        """The array: a view of the file where it is stored uncompressed, else read into memory.

        Raises:
            CompError: there is none of that name, it is damaged, or it holds Python objects.
        """
        info, (shape, fortran, dtype, start) = self._info(name), self._header(name)
        empty = 0 in shape or not dtype.itemsize
        if info.compress_type == zipfile.ZIP_STORED and not empty:
            try:
                with self.path.open("rb") as file:
                    file.seek(info.header_offset)
                    header = file.read(LOCAL_HEADER)
                lengths = struct.unpack("<HH", header[26:30])  # of the name and of what else stands before the data
                offset = info.header_offset + LOCAL_HEADER + sum(lengths) + start
                return np.memmap(self.path, dtype, "r", offset, shape, "F" if fortran else "C")
            except BROKEN as error:
                raise self._damaged(name, error) from None
        try:
            array = np.empty(shape, dtype, "F" if fortran else "C")
        except BROKEN as error:
            raise self._damaged(name, error) from None
        if empty:
            return array
        flat = array.reshape(-1, order="A")
        done = 0
        for chunk in self._numbers(name, max(1, CHUNK_BYTES // max(1, dtype.itemsize))):
            flat[done : done + len(chunk)] = chunk
            done += len(chunk)
        return array

    def chunks(self, name: str) -> Iterator[np.ndarray]:
        """The rows of an array, some at a time, in order: for what would not fit into memory.

        Raises:
            CompError: as `read`.
        """
        shape, fortran, dtype, _ = self._header(name)
        if fortran or 0 in shape or not dtype.itemsize:
            yield self.read(name)
            return
        width = int(np.prod(shape[1:], dtype=np.int64))
        rows = max(1, CHUNK_BYTES // max(1, width * dtype.itemsize))
        for chunk in self._numbers(name, rows * width):
            yield chunk.reshape(-1, *shape[1:])

    def shape(self, name: str) -> tuple[int, ...]:
        return self._header(name)[0]

    def _info(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise CompError(f"{self.path} has no array {name!r}; it has {shown(sorted(self._members), 8)}")
        return self._members[name]

    def _header(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
        """Shape, whether it is in Fortran's order, type, and where the numbers start."""
        info = self._info(name)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, fortran, dtype = read(file)
                start = file.tell()
            if min(shape, default=0) < 0:
                raise ValueError(f"its shape is {shape}")
            if not dtype.hasobject:
                self._refuse_absurd(info, start + math.prod(shape) * dtype.itemsize)
        except BROKEN as error:
            raise self._damaged(name, error) from None
        if dtype.hasobject:
            raise CompError(
                f"{self.path}: {name} holds pickled Python objects, which could run code: save it as "
                "numbers or as text (array.astype(str))"
            )
        return shape, fortran, dtype, start

    def _refuse_absurd(self, info: zipfile.ZipInfo, needed: int) -> None:
        """Before memory is asked for: a header promises anything."""
        packed = min(info.compress_size, self.path.stat().st_size)
        most = packed if info.compress_type == zipfile.ZIP_STORED else packed * MOST_PACKED
        if needed != info.file_size or needed > most:
            raise ValueError(f"its header promises {needed} bytes, there are {min(info.file_size, most)}")

    def _numbers(self, name: str, count: int) -> Iterator[np.ndarray]:
        """All numbers in the order of the file, `count` at a time."""
        shape, _, dtype, start = self._header(name)
        left = int(np.prod(shape, dtype=np.int64))
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self._info(name)) as file:
                file.read(start)
                while left:
                    wanted = min(count, left)
                    data = file.read(wanted * dtype.itemsize)
                    if len(data) < wanted * dtype.itemsize:
                        raise EOFError("it ends early")
                    yield np.frombuffer(data, dtype)
                    left -= wanted
        except BROKEN as error:
            raise self._damaged(name, error) from None

    def _damaged(self, name: str, error: Exception) -> CompError:
        return CompError(f"{self.path}: {name} is damaged: {one_line(error)}")

    def texts(self, name: str) -> np.ndarray:
        """An array as text: names, or numbers.

        Raises:
            CompError: as `read`, or it is neither.
        """
        array = self.read(name)
        if array.dtype.kind not in "USiufb":
            raise CompError(f"{self.path}: {name} is {array.dtype}, expected text or numbers")
        try:
            words = (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array.astype(str)).astype(object)
            "".join(words.ravel()).encode().decode()  # of its four bytes per letter, numpy takes any
            return words
        except ValueError as error:
            raise CompError(f"{self.path}: {name} is not text in UTF-8: {one_line(error)}") from None
