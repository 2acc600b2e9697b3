"""Sizes, formats and modes of the images, and which cannot be read."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.runs.page import Plot, Section, Table
from comp.runs.page.figures import drawn
from comp.runs.page.findings import Part
from comp.vision.check.seen import Seen
from comp.vision.pixels.decoding import values_of
from comp.vision.pixels.image_file import BadImage, decode
from comp.vision.pixels.open import size_of
from comp.vision.pixels.statistics import MODES, STATISTICS

SIZES, NAMED = 8, 20  # so many sizes are counted, and unreadable files named
SMALL_PX = 16


def images(seen: Seen) -> Part:
    part = Part(Section("Images"))
    good, tables = seen.readable, {"train": seen.of_train, "test": ~seen.of_train}
    looks, kinds = seen.looks[good], _kinds(seen)[good]
    width, height = (looks["statistics"][:, STATISTICS.index(name)] for name in ("width", "height"))
    sizes = np.array([f"{w:.0f}×{h:.0f}" for w, h in zip(width, height, strict=True)], dtype=object)
    counts = pd.Series(kinds).value_counts()
    total = seen.n_bytes[good].sum()
    part.lines = ["images  none can be read"]
    if len(width):
        spread = f"{width.min():.0f}×{height.min():.0f} to {width.max():.0f}×{height.max():.0f} px"
        about = ", ".join(f"{count} {kind}" for kind, count in counts.iloc[:3].items())
        part.lines = [f"images  {about}; {spread}, {size_of(int(total))} of files"]
    of = {name: mask[good] for name, mask in tables.items() if mask.any()}
    part.section.blocks = [
        _counted("Sizes", "width × height", sizes, of),
        _counted("Formats and modes", "format and mode", kinds, of),
        _quantiles(width, height, seen.n_bytes[good], of),
    ]
    if len(set(sizes)) > 1:
        part.section.blocks.append(_sizes_plot(width, height, of))
    tiny = int((np.minimum(width, height) < SMALL_PX).sum())
    if tiny:
        part.notes.append(f"{tiny} images have a side of fewer than {SMALL_PX} px")
    _tell_unreadable(part, seen)
    return part


def _kinds(seen: Seen) -> np.ndarray:
    """(I,) `JPEG RGB`."""
    names = np.array([*MODES, "other"], dtype=object)
    place = np.nan_to_num(seen.looks["statistics"][:, STATISTICS.index("mode")]).astype(int)
    return np.array([f"{kind.decode()} {names[at]}" for kind, at in zip(seen.looks["format"], place, strict=True)])


def _counted(title: str, what: str, values: np.ndarray, of: dict[str, np.ndarray]) -> Table:
    """How often each of the commonest values occurs in each table, and its share."""
    table = Table(title, [what, *of])
    common = pd.Series(values).value_counts()
    for value in common.index[:SIZES]:
        table.rows.append(
            [str(value), *(with_share((values[mask] == value).sum(), mask.sum()) for mask in of.values())]
        )
    if len(common) > SIZES:
        rest = ~np.isin(values, common.index[:SIZES].to_numpy())
        others = [with_share((rest & mask).sum(), mask.sum()) for mask in of.values()]
        table.rows.append([f"{len(common) - SIZES} others", *others])
    return table


def _quantiles(width: np.ndarray, height: np.ndarray, n_bytes: np.ndarray, of: dict[str, np.ndarray]) -> Table:
    table = Table("Spread", ["of", "least", "10 %", "median", "90 %", "most"])
    for which, mask in of.items():
        for name, values in (("width, px", width), ("height, px", height), ("file, kB", n_bytes / 1000)):
            if mask.any():
                found = np.quantile(values[mask], [0, 0.1, 0.5, 0.9, 1])
                table.rows.append([f"{which}: {name}", *(f"{value:.4g}" for value in found)])
    return table


def _sizes_plot(width: np.ndarray, height: np.ndarray, of: dict[str, np.ndarray]) -> Plot:
    figure, [[axes]] = drawn(6, 4)
    for which, mask in of.items():
        axes.scatter(width[mask], height[mask], s=14, alpha=0.5, linewidths=0, label=which, rasterized=True)
    axes.set(xlabel="width, px", ylabel="height, px")
    axes.legend()
    return Plot("Width and height", figure)


def _tell_unreadable(part: Part, seen: Seen) -> None:
    bad = np.flatnonzero(~seen.readable)
    if not len(bad):
        return
    table = Table("Unreadable", ["id", "table", "why"], text=frozenset({0, 1, 2}))
    for image in bad[:NAMED].tolist():
        row = seen.row_of[image]
        table.rows.append([seen.ids[row], "train" if row < seen.n else "test", _why(seen, seen.paths[image])])
    table.note = f"{NAMED} of {len(bad)}" if len(bad) > NAMED else ""
    part.section.blocks.insert(0, table)
    some = "; ".join(row[2] for row in table.rows[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
    if seen.config.data.on_bad_image == "error":
        part.stops.append(f"unreadable images: {some}. Fix them, or set data.on_bad_image=drop")
    else:
        part.looks.append(f"{len(bad)} images cannot be read and are left out (data.on_bad_image=drop): {some}")


def _why(seen: Seen, path: str) -> str:
    try:
        decode(Path(path), seen.config.data.background, values=values_of(seen.config.data))
    except BadImage as error:
        return str(error)
    return f"{path}: it could not be read, and now it can: run comp check again"


def with_share(count: float, total: float) -> str:
    """`12 (3.4 %)`."""
    return f"{count:.0f} ({100 * count / max(total, 1):.1f} %)"
