"""A competition ready to train on: its tables, its folds and its decoded images."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from comp.errors import CompError
from comp.files import digest
from comp.folds import Split, load_split
from comp.tables import Tables
from comp.vision.data.metadata import MetadataEncoder, read_metadata
from comp.vision.data.paths import all_paths, image_counts
from comp.vision.data.read import read_tables
from comp.vision.data.samples import Samples
from comp.vision.data.settle import settled
from comp.vision.pixels import Decoding, Pixels, Several, Streamed, open_pixels
from comp.vision.schema import ImageConfig


@dataclass(frozen=True)
class Competition:
    tables: Tables
    split: Split
    y: np.ndarray  # (N, K) float32, targets of the training rows
    train_pixels: Pixels | Streamed | Several
    test_pixels: Pixels | Streamed | Several
    columns: dict[str, pd.DataFrame] = field(default_factory=dict)  # of "train" and "test": those of model.metadata

    def encoder(self, train_rows: np.ndarray) -> MetadataEncoder | None:
        """Of the metadata, fitted to `train_rows` only; None without metadata."""
        return MetadataEncoder.fitted(self.columns["train"].iloc[train_rows]) if self.columns else None

    def samples(self, which: Literal["train", "test"], encoder: MetadataEncoder | None) -> Samples:
        """The rows of one table, their metadata as `encoder` makes it. The truth of test rows is not known."""
        metadata = None if encoder is None else encoder.encode(self.columns[which])
        if which == "train":
            return Samples(self.train_pixels, self.tables.targets, self.y, metadata)
        unknown = np.zeros((len(self.tables.test), 0), np.float32)
        return Samples(self.test_pixels, self.tables.targets, unknown, metadata)

    def rows(self, *left_out: int) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers that are trained on where these folds are left out, and theirs; unreadable images are in neither.

        With folds over time, a fold trains on what came before it only. The training rows come in the order of their
        ids: a shuffled CSV trains the same model.
        """
        by_id = np.argsort(self.tables.train["id"].to_numpy(dtype=str), kind="stable")
        readable = np.ones(len(self.y), dtype=bool)
        readable[list(self.train_pixels.bad)] = False
        validated = np.isin(self.split.fold, left_out)
        trained = self.split.fold < min(left_out) if self.split.kind == "time" else ~validated
        return by_id[(readable & trained)[by_id]], np.flatnonzero(readable & validated)


def open_competition(
    config: ImageConfig, quiet: bool = False, expected: Callable[[ImageConfig, Tables], str] | None = None
) -> Competition:
    """Reads, checks and decodes what `config.data` names; the images of both tables once.

    `expected` says what is to come of the tables, or refuses them, before anything is decoded.

    Raises:
        CompError: whatever is wrong with files, folds or images.
    """
    tables = read_tables(config.data)
    if not quiet:
        print("\n".join(tables.notes))
    about = expected(config, tables) if expected else ""
    if about and not quiet:
        print(f"submit  {about}")
    config = settled(config, tables)
    split = load_split(config, tables)
    train_pixels, test_pixels = open_images(config, tables, quiet)
    both = {"train": tables.train, "test": tables.test}
    wanted = config.model.metadata
    found = {which: read_metadata(table, wanted, which) for which, table in both.items()} if wanted else {}
    return Competition(tables, split, tables.targets.encode(tables.train), train_pixels, test_pixels, found)


def open_images(
    config: ImageConfig, tables: Tables, quiet: bool
) -> tuple[Pixels | Streamed | Several, Pixels | Streamed | Several]:
    """Of a configuration that is settled."""
    decoding, folder = Decoding.of(config), cache_folder(config)
    train, test = (
        open_pixels(paths, folder, decoding, config.data.cache, name, quiet)
        for name, paths in images_by_cache(config, tables).items()
    )
    most = config.train.images_per_row
    train_rows, test_rows = by_row(train, tables.train, most), by_row(test, tables.test, most)
    _judge_bad_images(train_rows, test_rows, config, quiet)
    return train_rows, test_rows


def cache_folder(config: ImageConfig) -> Path:
    return Path(config.data.work or config.data.root) / "cache"


def images_by_cache(config: ImageConfig, tables: Tables) -> dict[str, list[str]]:
    """The name of each table's cache, and the images that go into it; those of the training table first."""
    data = config.data
    sources = {"train": (data.train, tables.train), "test": (data.test, tables.test)}
    return {
        f"{which}-{digest([data.root, data.reader, source])}": all_paths(table)
        for which, (source, table) in sources.items()
    }


def by_row(images: Pixels | Streamed, table: pd.DataFrame, most: int) -> Pixels | Streamed | Several:
    """The images of the rows of `table`, of whose files, row by row, `images` are the pixels."""
    counts = image_counts(table)
    return images if counts is None else Several(images, counts, most)


def _judge_bad_images(
    train: Pixels | Streamed | Several, test: Pixels | Streamed | Several, config: ImageConfig, quiet: bool
) -> None:
    of_others = [reason for table in (train, test) if isinstance(table, Several) for reason in table.bad_in_rows]
    bad = [*train.bad.values(), *test.bad.values(), *of_others]
    if bad and config.data.on_bad_image == "error":
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise CompError(
            f"unreadable images: {'; '.join(bad[:3])}{more}. Fix them, or set data.on_bad_image=drop "
            "(training rows are left out, test rows get the training prior)"
        )
    if not quiet:
        for reason in train.bad.values():
            print(f"warning: left out of training, unreadable: {reason}")
        for reason in test.bad.values():
            print(f"warning: gets the training prior, unreadable: {reason}")
        for reason in of_others:
            print(f"warning: left out, its row has others, unreadable: {reason}")
