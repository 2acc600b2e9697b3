"""Facts of the images as numbers: thirteen statistics of each file, or columns of the tables."""

from dataclasses import astuple
from pathlib import Path

import numpy as np

from comp.files import digest, written_whole
from comp.readback import AGAIN, read_array, remembered
from comp.tables import Tables
from comp.vision.data.metadata import MetadataEncoder, read_metadata
from comp.vision.data.paths import all_paths
from comp.vision.data.settle import settled_data
from comp.vision.parallel import in_parallel
from comp.vision.pixels.decoding import states, values_of
from comp.vision.pixels.image_file import AS_16_BIT, PIXELS_VERSION, BadImage, Rgb, decode, read
from comp.vision.pixels.numbers import Values
from comp.vision.pixels.statistics import STATISTICS as STATISTICS  # part of this module's face
from comp.vision.pixels.statistics import statistics
from comp.vision.schema import ImageConfig

ALL = "image_statistics"
FORMAT = 2  # of the remembered numbers


def read_features(names: list[str], tables: Tables, config: ImageConfig) -> tuple[np.ndarray, np.ndarray]:
    """The features `names` of the training rows (N, R) and of the test rows (T, R); NaN where nothing is known.

    No label has a part in them: columns are encoded as the training table has them.

    Raises:
        CompError: a table has no such column.
    """
    found: list[tuple[np.ndarray, np.ndarray]] = []
    columns = [name for name in names if name != ALL]
    if ALL in names:
        cache = Path(config.data.work or config.data.root) / "cache"
        paths = tables.train["path"].tolist(), tables.test["path"].tolist()
        values = values_of(settled_data(config.data, all_paths(tables.train)))
        train, test = (
            image_statistics(each, config.data.background, cache, table, values)
            for each, table in zip(paths, ("train", "test"), strict=True)
        )
        found.append((train, test))
    if columns:
        both = [
            read_metadata(table, columns, which) for table, which in ((tables.train, "train"), (tables.test, "test"))
        ]
        encoder = MetadataEncoder.fitted(both[0])
        found.append((encoder.encode(both[0]), encoder.encode(both[1])))
    if not found:
        return np.zeros((len(tables.train), 0)), np.zeros((len(tables.test), 0))
    return np.hstack([train for train, _ in found]), np.hstack([test for _, test in found])


def image_statistics(
    paths: list[str], background: Rgb | None, folder: Path, table: str, values: Values = AS_16_BIT
) -> np.ndarray:
    """STATISTICS of each image, (N, 13); NaN for an unreadable one. Remembered in `folder` until a file changes."""
    key = digest([FORMAT, PIXELS_VERSION, background, *astuple(values), *states(paths)])
    memory = folder / f"{table}-statistics-{key}.npy"
    known = remembered(memory, lambda: read_array(memory, (len(paths), len(STATISTICS)), np.dtype(np.float64), AGAIN))
    if known is not None:
        return known
    rows = in_parallel(
        lambda path: statistics_of(Path(path), background, values), paths, f"statistics of {table} images"
    )
    numbers = np.array(list(rows), dtype=np.float64).reshape(-1, len(STATISTICS))
    with written_whole(memory) as temporary, temporary.open("wb") as file:
        np.save(file, numbers)
    for old in folder.glob(f"{table}-statistics-*.npy"):
        if old != memory:
            old.unlink(missing_ok=True)
    return numbers


def statistics_of(path: Path, background: Rgb | None, values: Values = AS_16_BIT) -> list[float]:
    """STATISTICS of one image: sizes in pixels, colors from 0 to 255."""
    try:
        image = decode(path, background, values=values)
        return statistics(image, read(path, lambda file: file.mode))
    except BadImage:
        return [np.nan] * len(STATISTICS)
