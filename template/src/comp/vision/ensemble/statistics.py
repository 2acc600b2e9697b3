"""Facts of the images as numbers: thirteen statistics of each file, or columns of the tables."""

from pathlib import Path

import numpy as np

from comp.tables import Tables
from comp.vision.data.metadata import MetadataEncoder, read_metadata
from comp.vision.data.paths import all_paths
from comp.vision.data.settle import settled_data
from comp.vision.folds.looks import look_at
from comp.vision.pixels.decoding import values_of
from comp.vision.schema import ImageConfig

ALL = "image_statistics"


def read_features(names: list[str], tables: Tables, config: ImageConfig) -> tuple[np.ndarray, np.ndarray]:
    """The features `names` of the training rows (N, R) and of the test rows (T, R); NaN where nothing is known.

    No label has a part in them: columns are encoded as the training table has them.

    Raises:
        CompError: a table has no such column.
    """
    found: list[tuple[np.ndarray, np.ndarray]] = []
    columns = [name for name in names if name != ALL]
    if ALL in names:
        data = settled_data(config.data, all_paths(tables.train))
        memory = Path(data.work or data.root) / "cache" / "duplicates.npy"  # comp split has seen them all
        paths = [*tables.train["path"], *tables.test["path"]]
        statistics = look_at(paths, data.background, memory, values_of(data))["statistics"].copy()
        found.append((statistics[: len(tables.train)], statistics[len(tables.train) :]))
    if columns:
        both = [
            read_metadata(table, columns, which) for table, which in ((tables.train, "train"), (tables.test, "test"))
        ]
        encoder = MetadataEncoder.fitted(both[0])
        found.append((encoder.encode(both[0]), encoder.encode(both[1])))
    if not found:
        return np.zeros((len(tables.train), 0)), np.zeros((len(tables.test), 0))
    return np.hstack([train for train, _ in found]), np.hstack([test for _, test in found])
