"""Files are written beside their place and moved into it, so that nothing half-written is ever left."""

import errno
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from comp.errors import CompError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what was written there takes its place when the block ends.

    Raises:
        CompError: the disk is full, or `path` is a folder. The old file, if there was one, stays as it was.
    """
    if path.is_dir():
        raise CompError(f"{path} is a folder, and a file is to be written there: move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_dead_leftovers(path.parent.absolute())
    temporary = beside(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as error:
        if _is_no_space(error):
            raise CompError(f"no space left on the disk while writing {path}: free some and run again") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """Where this process writes what is to become `path`."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}.tmp")


def _is_no_space(error: BaseException | None) -> bool:
    """Torch hides a full disk in the context of its error, safetensors in the text."""
    if error is None:
        return False
    full = (isinstance(error, OSError) and error.errno in NO_SPACE) or "No space left" in str(error)
    return full or _is_no_space(error.__context__)


@cache  # once for each folder and process: some hold many files
def _remove_dead_leftovers(folder: Path) -> None:
    """Removes what processes of this machine were writing when they were killed."""
    for left in dead_leftovers(folder):
        if not left.is_dir():
            left.unlink(missing_ok=True)


def dead_leftovers(folder: Path) -> list[Path]:
    """What processes of this machine that are no more had `beside` their files and folders in `folder`."""
    numbers = {left: left.stem.rpartition("-")[2] for left in folder.glob(f".*.{_host()}-*.tmp")}
    return [left for left, number in numbers.items() if number.isdigit() and not is_alive(int(number))]


def is_alive(process: int) -> bool:
    """Whether there is a process of this number on this machine; yes where the system does not tell."""
    if os.name == "nt":  # there, os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


@cache
def _host() -> str:
    """This machine in names of files: others may write to the same folder, and count their processes on their own."""
    return digest(platform.node())[:8]


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 with Unix line ends, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def digest(value: object) -> str:
    """A name for `value`: 16 hexadecimal digits."""
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()


def file_digest(path: Path) -> str:
    """The same for the content of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def is_file(path: Path) -> bool:
    """`path.is_file()`, and False for names that no file system takes."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL
        return False
