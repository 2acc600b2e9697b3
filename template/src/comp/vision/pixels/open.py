"""Opens the images of a table: from their cache, which is built where it fits, or as a stream."""

import os
import shutil
import time
from pathlib import Path
from typing import Literal

import numpy as np

from comp.errors import CompError
from comp.files import digest
from comp.readback import remembered
from comp.vision.pixels.cached import Pixels, build, building_alone, remove_damaged
from comp.vision.pixels.decoding import Decoding, State, states
from comp.vision.pixels.image_file import BadImage, image_size
from comp.vision.pixels.streamed import Streamed, bad_images

SAMPLED = 256  # images whose size is looked up before all are decoded
DISK_KEPT_FREE, LEAST_KEPT_FREE = 0.05, 10**9  # a share of the disk, but at least so many bytes
UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
MEMORY_SHARE = 0.8  # a larger cache would be read from the disk again in each epoch


def open_pixels(
    paths: list[str],
    folder: Path,
    decoding: Decoding,
    cache: Literal["auto"] | bool = "auto",
    table: str = "images",
    quiet: bool = False,
) -> Pixels | Streamed:
    """The images of these files by row; their cache is in `folder`, built where it is not there yet.

    `cache`: auto builds it where disk and memory suffice, True builds it, False streams. `table` names what the files
    belong to: a new cache replaces an older one of the same table and the same decoding.

    Raises:
        CompError: the disk is full.
    """
    files = states(paths)
    place = folder / f"{table}-{decoding.key}-{digest(files)}"
    if cache:
        pixels = remembered(place, lambda: Pixels(place, len(paths)))
        if pixels is not None:
            _say(quiet, f"cache   {folder}: {size_of(pixels.n_bytes)} for {len(paths)} images, found")
            return pixels
        if _made(files, place, decoding, cache, quiet):
            return Pixels(place)
    else:
        _say(quiet, f"cache   none, each epoch decodes {len(paths)} images again (data.cache=false)")
    return Streamed(paths, decoding, bad_images(paths, place.with_name(f"{place.name}.bad"), decoding))


def expected(
    paths: list[str], folder: Path, decoding: Decoding, cache: Literal["auto"] | bool, table: str
) -> tuple[Literal["found", "missing", "none"], int]:
    """What `open_pixels` will find or do, and the size of the cache in bytes: none, where it will stream instead."""
    if cache and (folder / f"{table}-{decoding.key}-{digest(states(paths))}").exists():
        return "found", estimated_bytes(paths, decoding)
    needed = estimated_bytes(paths, decoding) if cache else 0
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    streams = not cache or (cache == "auto" and _obstacle(needed, nearest) is not None)
    return ("none", 0) if streams else ("missing", needed)


def _made(files: list[State], place: Path, decoding: Decoding, cache: Literal["auto"] | bool, quiet: bool) -> bool:
    """Builds the cache, unless it is left to `auto` and does not fit."""
    folder = place.parent
    with building_alone(folder):
        if place.exists():
            try:
                Pixels(place, len(files))
                return True  # another process built it meanwhile
            except CompError:
                remove_damaged(place)
        needed = estimated_bytes([path for path, _, _ in files], decoding)
        obstacle = None if cache is True else _obstacle(needed, folder)
        about = f"about {size_of(needed)} for {len(files)} images"
        if obstacle:
            _say(quiet, f"cache   none, each epoch decodes again: {about}, {obstacle} (data.cache=true forces it)")
            return False
        _say(quiet, f"cache   {folder}: {about}")
        started = time.perf_counter()
        n_decoded = build(files, place, decoding)
        seconds = time.perf_counter() - started
    written = (place / "pixels.bin").stat().st_size
    speed = f"{size_of(written)} in {seconds:.1f} s, {len(files) / seconds:.0f} images/s"
    _say(quiet, f"        {len(files)} images, {speed}: {n_decoded} decoded, {len(files) - n_decoded} reused")
    return True


def estimated_bytes(paths: list[str], decoding: Decoding) -> int:
    """What the decoded images will take, from the headers of an even sample of them."""
    sizes = []
    for row in np.unique(np.linspace(0, len(paths) - 1, min(len(paths), SAMPLED)).astype(int)):
        try:
            sizes.append(decoding.n_bytes(*image_size(Path(paths[row]))))
        except BadImage:
            continue
    return round(sum(sizes) / max(len(sizes), 1) * len(paths))


def _obstacle(needed: int, folder: Path) -> str | None:
    """Why a cache of so many bytes does not fit into `folder`."""
    obstacle, memory = disk_obstacle(needed, folder), memory_bytes()
    if obstacle is None and memory is not None and needed > MEMORY_SHARE * memory:
        return f"more than {MEMORY_SHARE:.0%} of the memory ({size_of(memory)})"
    return obstacle


def disk_obstacle(needed: int, folder: Path) -> str | None:
    """Why so many bytes do not fit on the disk of `folder`."""
    disk = shutil.disk_usage(folder)
    spare = disk.free - max(round(DISK_KEPT_FREE * disk.total), LEAST_KEPT_FREE)
    return f"the disk of {folder} has {size_of(max(spare, 0))} to spare" if needed > spare else None


def memory_bytes() -> int | None:
    """Of this machine, or what its container may use of it; None where the system does not tell."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return None
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroups, version 2 and 1
        try:
            total = min(total, int(Path("/sys/fs/cgroup", limit).read_text()))
        except (OSError, ValueError):  # no such limit
            continue
    return total


def size_of(n_bytes: int) -> str:
    """`1.5 GB`."""
    unit, name = next(((unit, name) for unit, name in UNITS if n_bytes >= unit), UNITS[-1])
    value = n_bytes / unit
    return f"{value:.0f} {name}" if value >= 10 else f"{value:.1f} {name}"


def _say(quiet: bool, line: str) -> None:
    if not quiet:
        print(line, flush=True)
