"""A competition ready to train on: its tables, its folds and its decoded images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comp.config import Config
from comp.errors import CompError
from comp.pixels import Decoding, Pixels, Streamed, open_pixels
from comp.split import Split, load_split
from comp.tables import Tables, read_tables


@dataclass(frozen=True)
class Competition:
    tables: Tables
    split: Split
    y: np.ndarray  # (N, K) float32, targets of the training rows
    train_pixels: Pixels | Streamed
    test_pixels: Pixels | Streamed

    def rows(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers that fold `fold` trains and validates on; rows of unreadable images are in neither.

        With folds over time, a fold trains on what came before it only. The training rows come in the order of their
        ids: a shuffled CSV trains the same model.
        """
        by_id = np.argsort(self.tables.train["id"].to_numpy(dtype=str), kind="stable")
        readable = np.ones(len(self.y), dtype=bool)
        readable[list(self.train_pixels.bad)] = False
        validated = self.split.fold == fold
        trained = self.split.fold < fold if self.split.kind == "time" else ~validated
        return by_id[(readable & trained)[by_id]], np.flatnonzero(readable & validated)


def open_competition(config: Config, quiet: bool = False) -> Competition:
    """Reads, checks and decodes what `config.data` names; the images of both tables once.

    Raises:
        CompError: whatever is wrong with files, folds or images.
    """
    tables = read_tables(config.data)
    if not quiet:
        print("\n".join(tables.told))
    split = load_split(config, tables)
    train_pixels = _pixels(tables.train["path"].tolist(), config)
    test_pixels = _pixels(tables.test["path"].tolist(), config)
    _judge_bad_images(train_pixels, test_pixels, config, quiet)
    return Competition(tables, split, tables.targets.encode(tables.train), train_pixels, test_pixels)


def _pixels(paths: list[str], config: Config) -> Pixels | Streamed:
    decoding = Decoding.of(config)
    if not config.data.cache:
        return Streamed(paths, decoding)
    return open_pixels(paths, Path(config.data.work or config.data.root) / "cache", decoding)


def _judge_bad_images(train: Pixels | Streamed, test: Pixels | Streamed, config: Config, quiet: bool) -> None:
    bad = [*train.bad.values(), *test.bad.values()]
    if bad and config.data.on_bad_image == "error":
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise CompError(
            f"unreadable images: {'; '.join(bad[:3])}{more}. Mend them, or set data.on_bad_image=drop "
            "(training rows are left out, test rows get the training prior)"
        )
    if not quiet:
        for reason in train.bad.values():
            print(f"warning: left out of training, unreadable: {reason}")
        for reason in test.bad.values():
            print(f"warning: gets the training prior, unreadable: {reason}")
