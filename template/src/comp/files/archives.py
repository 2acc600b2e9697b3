"""`comp unpack`: the archives that a competition is downloaded as, each into a folder of its name beside it.

A folder appears whole or not at all, and nothing is written outside it.
"""

import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from comp.errors import CompError, one_line, shown
from comp.files import NO_SPACE, beside, dead_leftovers
from comp.files.suffixes import is_called_a_table

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
FOREIGN = (".7z", ".rar")  # no part of Python
KEPT_FREE = 10**9  # bytes of the disk
LARGE, MOST_TIMES = 10**8, 200  # bytes, and how many times their archive: images and tables never shrink so much
DRIVE = re.compile("[A-Za-z]:")
SYSTEM = {"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"}


class Damaged(CompError):
    """The archive of this name cannot be read to its end."""

    def __init__(self, archive: Path, why: str) -> None:
        super().__init__(f"{archive} is damaged ({why}): download it again")
        self.archive = archive


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    n_bytes: int
    fault: str  # what it is instead of a plain file, or ""
    opened: Callable[[], IO[bytes] | None]


def archives_in(root: Path) -> list[Path]:
    """The archives in `root` and one folder below, by name; a table that is zipped alone is read as it is."""
    folders = [root, *(path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith("."))]
    files = [path for folder in folders for path in _inside(folder) if not path.name.startswith(".")]
    return [path for path in files if _suffix(path) and not is_called_a_table(path.name) and path.is_file()]


def _inside(folder: Path) -> list[Path]:
    """Nothing where it may not be read (lost+found), or has just been removed."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def not_unpacked(root: Path) -> str:
    """What leads on where files are missing below `root` and archives are there; else nothing."""
    found = [path for path in archives_in(root) if not _folder_of(path).is_dir()] if root.is_dir() else []
    some = shown([path.relative_to(root) for path in found])
    return f"; archives are there ({some}): comp unpack unpacks them" if found else ""


def unpack(config: Any) -> None:
    """Unpacks all archives in `data.root` of an experiment and one folder below, those that come out of them too.

    Raises:
        CompError: there is none, one is damaged, or would write elsewhere, or does not fit on the disk.
    """
    root = Path(config.data.root)
    if not root.is_dir():
        raise CompError(f"data.root={root} is not a folder: run comp download, or put the competition's files there")
    found = archives_in(root)
    if not found:
        raise CompError(f"there are no archives in {root}: nothing to unpack")
    done: set[Path] = set()
    while new := [path for path in archives_in(root) if path not in done]:
        done.update(new)
        for path in new:
            _unpack_one(path)
    foreign = [path for path in sorted(done) if _suffix(path) in FOREIGN and not _folder_of(path).is_dir()]
    if foreign:
        raise CompError(
            f"{shown(foreign)}: this kind of archive is not unpacked here: unpack it with 7-Zip, "
            f"into {_folder_of(foreign[0])}"
        )


def _unpack_one(path: Path) -> None:
    folder = _folder_of(path)
    if folder.is_dir():
        print(f"unpack  {path}: {folder} is there already", flush=True)
        return
    if _suffix(path) in FOREIGN:
        return
    _remove_dead_leftovers(folder)
    temporary = beside(folder)
    try:
        temporary.mkdir()
        n_files, n_bytes = _extract(path, temporary)
        _inner(temporary, folder.name).replace(folder)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise Damaged(path, one_line(error)) from None
    except OSError as error:
        if error.errno in NO_SPACE:
            raise CompError(f"no space left on the disk while unpacking {path}: free some and run again") from None
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"unpack  {path} → {folder}: {n_files} files, {n_bytes / 1e6:.1f} MB", flush=True)


def _extract(path: Path, folder: Path) -> tuple[int, int]:
    """How many files and bytes were written to `folder`."""
    free = shutil.disk_usage(folder).free - KEPT_FREE
    n_files = n_bytes = 0
    if _suffix(path) in ZIPS:  # says at once how large all will be
        with zipfile.ZipFile(path) as archive:
            _refuse_what_is_inside(path, archive)
            _refuse_too_large(path, sum(info.file_size for info in archive.infolist()), free, folder)
    for member in _members(path):
        parts = _parts(member, path)
        if SYSTEM.intersection(parts) or parts[-1].startswith("._"):
            continue
        n_files, n_bytes = n_files + 1, n_bytes + member.n_bytes
        _refuse_too_large(path, n_bytes, free, folder)
        place = folder.joinpath(*parts)
        _write(member, place, path)
    if not n_files:
        raise CompError(f"{path} holds no files")
    return n_files, n_bytes


def _refuse_what_is_inside(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises: BadZipFile, where what was read is an archive within a broken-off one, such as an npz."""
    with path.open("rb") as file:
        begins = file.read(4) == b"PK\3\4"
    if begins and min((info.header_offset for info in archive.infolist()), default=0) > 0:
        raise zipfile.BadZipFile("its end is missing")


def _refuse_too_large(path: Path, n_bytes: int, free: int, folder: Path) -> None:
    if n_bytes > LARGE and n_bytes > MOST_TIMES * path.stat().st_size:
        raise CompError(f"{path} grows to more than {MOST_TIMES} times its size: if you trust it, unpack it yourself")
    if n_bytes > free:
        raise CompError(
            f"{path} does not fit on the disk of {folder.parent}: it needs {n_bytes / 1e9:.1f} GB, there are "
            f"{max(free, 0) / 1e9:.1f}"
        )


def _write(member: Member, place: Path, path: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with member.opened() as file, place.open("xb") as out:  # type: ignore[union-attr]
            shutil.copyfileobj(file, out, 1 << 20)
    except FileExistsError:
        raise CompError(f"{path} holds {member.name!r} twice, or in two cases: unpack it yourself") from None


def _parts(member: Member, path: Path) -> tuple[str, ...]:
    """The folders and the name of a member, which stay below the folder that they are written to."""
    name = member.name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    outside = name.startswith("/") or ".." in parts or DRIVE.match(name) or "\0" in name or not parts
    fault = "lies outside its folder" if outside else member.fault
    if fault:
        raise CompError(f"{path} is not unpacked: {member.name!r} {fault}")
    return parts


def _members(path: Path) -> Iterator[Member]:
    """The files of an archive, in its order."""
    if _suffix(path) in ZIPS:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield Member(info.filename, info.file_size, _fault_in_zip(info), partial(archive.open, info))
        return
    with tarfile.open(path) as tar:
        for each in tar:
            if not each.isdir():
                fault = "" if each.isfile() else "is a link, or no plain file"
                yield Member(each.name, each.size, fault, partial(tar.extractfile, each))


def _fault_in_zip(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 1:
        return "needs a password"
    kind = stat.S_IFMT(info.external_attr >> 16)
    return "is a link, or no plain file" if kind not in {0, stat.S_IFREG} else ""


def _inner(folder: Path, name: str) -> Path:
    """`folder`, or the one in it if it holds nothing else and is called as it will be."""
    inside = list(folder.iterdir())
    return inside[0] if [path.name for path in inside] == [name] and inside[0].is_dir() else folder


def _suffix(path: Path) -> str:
    """That of an archive; the longest that fits."""
    name = path.name.lower()
    return max((each for each in (*ZIPS, *TARS, *FOREIGN) if name.endswith(each)), key=len, default="")


def _folder_of(path: Path) -> Path:
    return path.with_name(path.name[: -len(_suffix(path))])


def _remove_dead_leftovers(folder: Path) -> None:
    """What was being unpacked when a process of this machine was killed."""
    for left in dead_leftovers(folder.parent):
        if left.name.startswith(f".{folder.name}."):
            shutil.rmtree(left, ignore_errors=True)
