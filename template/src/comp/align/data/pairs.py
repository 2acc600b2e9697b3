"""Reads the captions and images of an alignment competition, checks them, and gives each caption its fold."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from comp.align.data.npz import Archive
from comp.align.data.places import TRAIN, files_root
from comp.align.data.sample_submission import read_form
from comp.align.schema import AlignConfig, Data
from comp.errors import CompError, shown
from comp.folds import Split, load_split, split_rows
from comp.tables import Tables, Targets

CAPTIONS_AN_IMAGE = 5  # where nothing says whose a caption is
ROWS = 8192
EMBEDDING = Targets("embedding", ())
TEST = ("test.npz", "test.clean.npz", "test/test.npz", "test/test.clean.npz")


@dataclass(frozen=True)
class Pairs:
    """N training captions of M images, T test captions. Embeddings are as in the file, of any float type."""

    texts: np.ndarray  # (N, D_text)
    images: np.ndarray  # (M, D_image)
    image_of: np.ndarray  # (N,) the row of the image that belongs to each caption
    names: np.ndarray  # (M,) of the images
    test_texts: np.ndarray  # (T, D_text)
    tables: Tables  # train: id, target (name of the image), group; test: id
    captions: np.ndarray | None = None  # (N,) as text
    test_captions: np.ndarray | None = None
    bad: frozenset[int] = frozenset()  # training captions that nothing is learned from or measured on
    bad_test: frozenset[int] = frozenset()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Competition:
    pairs: Pairs
    split: Split

    def rows(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """The captions that fold `fold` trains on and those that it validates."""
        good = np.ones(len(self.pairs.image_of), dtype=bool)
        good[list(self.pairs.bad)] = False
        return np.flatnonzero(good & (self.split.fold != fold)), np.flatnonzero(good & (self.split.fold == fold))


def open_competition(config: AlignConfig, quiet: bool = False) -> Competition:
    """The data and its folds.

    Raises:
        CompError: whatever is wrong with either.
    """
    pairs = read_pairs(config)
    if not quiet:
        print("\n".join(pairs.notes))
    return Competition(pairs, load_split(config, pairs.tables))


def split(config: AlignConfig, force: bool = False) -> Split:
    """`comp split`: the captions of one image share a fold, and so do images that share a caption.

    Raises:
        CompError: the file there fits other rows or other settings, and `force` is off.
    """
    pairs = read_pairs(config)
    print("\n".join(pairs.notes))
    return split_rows(config, pairs.tables, lambda _: pairs.tables.train["group"].to_numpy(), force)


def read_pairs(config: AlignConfig) -> Pairs:
    """Everything that `config.data` names.

    Raises:
        CompError: files or arrays are missing, do not fit together, or hold what is no embedding.
    """
    data, root = config.data, Path(config.data.root)
    if not root.is_dir():
        raise CompError(
            f"data.root={data.root} is not a folder: run comp download, put the files there, or run comp demo-data"
        )
    root = files_root(data)
    train = Archive(_file(root, data.train, TRAIN, "data.train"))
    test = Archive(_file(root, data.test, TEST, "data.test"))
    texts, images = embeddings(train, "captions/embeddings"), embeddings(train, "images/embeddings")
    test_texts = embeddings(test, "captions/embeddings")
    if test_texts.shape[1] != texts.shape[1]:
        raise CompError(
            f"{test.path} has texts of {test_texts.shape[1]} numbers, {train.path} of {texts.shape[1]}: "
            "they come from different encoders"
        )
    names = names_of(train, len(images))
    image_of = images_of(train, len(texts), names)
    test_ids = ids_of(test, len(test_texts))
    train_ids = ids_of(train, len(texts))
    notes = [
        f"train   {len(texts)} captions of {len(images)} images in {train.path}; "
        f"{texts.shape[1]} numbers ({texts.dtype}) → {images.shape[1]} ({images.dtype})",
        f"test    {len(test_texts)} captions in {test.path}",
    ]
    alone = len(images) - len(np.unique(image_of))
    if alone:
        notes.append(f"images  {alone} have no caption: they are not trained on, and only join the gallery")
    drop = data.on_bad_row == "drop"
    bad_images = bad_rows(images, train.path, "images/embeddings", names, drop, notes)
    bad_texts = bad_rows(texts, train.path, "captions/embeddings", train_ids, drop, notes)
    bad = bad_texts | set(np.flatnonzero(np.isin(image_of, list(bad_images))).tolist())
    bad_test = bad_rows(test_texts, test.path, "captions/embeddings", test_ids, drop, notes)
    links = [(np.arange(len(images)), _same(images, bad_images))] if config.folds.join != "none" else []
    links += [(image_of, _same(texts, bad_texts))] if config.folds.join == "captions" else []
    group = _groups(links, image_of, names, config.folds.join, notes)
    table = pd.DataFrame({"id": train_ids, "target": names[image_of], "group": group}, dtype=object)
    notes.append(read_form(data)[1])
    return Pairs(
        texts,
        images,
        image_of,
        names,
        test_texts,
        Tables(table, pd.DataFrame({"id": test_ids}, dtype=object), None, EMBEDDING, notes),
        _captions(train, data, names, image_of),
        _captions(test, None, names, np.zeros(len(test_texts), dtype=np.int64)),
        frozenset(bad),
        frozenset(bad_test),
        notes,
    )


def _file(root: Path, name: str, likely: tuple[str, ...], key: str) -> Path:
    if name != "auto":
        if not (root / name).is_file():
            raise CompError(f"{key}={name}: {root / name} does not exist")
        return root / name
    found = [root / each for each in likely if (root / each).is_file()]
    if not found:
        here = shown(sorted(str(path.relative_to(root)) for path in root.rglob("*.npz")), 8) or "none"
        raise CompError(f"there is no {' or '.join(likely)} in {root} (npz files there: {here}): set {key}")
    return found[0]


def embeddings(archive: Archive, name: str) -> np.ndarray:
    array = archive.read(name)
    if array.ndim != 2 or not array.size or array.dtype.kind != "f":
        raise CompError(f"{archive.path}: {name} is {array.dtype} {array.shape}, expected floats (rows, numbers)")
    return array


def names_of(archive: Archive, count: int) -> np.ndarray:
    """(M,) text; the number of the row where there are no names."""
    if "images/names" not in archive:
        return np.array([str(number) for number in range(count)], dtype=object)
    names = archive.texts("images/names")
    if names.shape != (count,):
        raise CompError(f"{archive.path}: images/names is {names.shape}, there are {count} images")
    _refuse_twice(names, f"{archive.path}: images/names")
    return names


def ids_of(archive: Archive, count: int) -> np.ndarray:
    """(N,) text; the number of the row, from 1, where there are none."""
    if "captions/ids" not in archive:
        return np.array([str(number) for number in range(1, count + 1)], dtype=object)
    ids = archive.texts("captions/ids")
    if ids.shape != (count,):
        raise CompError(f"{archive.path}: captions/ids is {ids.shape}, there are {count} captions")
    _refuse_twice(ids, f"{archive.path}: captions/ids")
    return ids


def _refuse_twice(values: np.ndarray, where: str) -> None:
    twice = pd.unique(values[pd.Series(values).duplicated()])
    if len(twice):
        raise CompError(f"{where}: {len(twice)} appear{'s' * (len(twice) == 1)} more than once: {shown(twice)}")


def images_of(archive: Archive, captions: int, names: np.ndarray) -> np.ndarray:
    """(N,) the row of each caption's image, by captions/label: numbers, names or one-hot rows; else five in a row."""
    name, images = "captions/label", len(names)
    if name not in archive:
        if captions != CAPTIONS_AN_IMAGE * images:
            raise CompError(
                f"{archive.path} has no {name}, and {captions} captions are not {CAPTIONS_AN_IMAGE} for each of "
                f"{images} images: set captions/label"
            )
        return np.repeat(np.arange(images), CAPTIONS_AN_IMAGE)
    shape = archive.shape(name)
    if shape not in ((captions,), (captions, images)):
        raise CompError(
            f"{archive.path}: {name} is {shape}, expected a number for each of {captions} captions, or a row of "
            f"{images} zeros and a one"
        )
    if len(shape) == 2:
        return np.concatenate([_ones(chunk, archive.path) for chunk in archive.chunks(name)])
    labels = archive.read(name)
    if labels.dtype.kind in "US":
        index = pd.Index(names).get_indexer(pd.Index(archive.texts(name)))
        if (index < 0).any():
            raise CompError(f"{archive.path}: {name} names unknown images: {shown(labels[index < 0])}")
        return np.asarray(index, dtype=np.int64)
    if labels.dtype.kind not in "iuf":
        raise CompError(f"{archive.path}: {name} is {labels.dtype}, expected numbers of images, or their names")
    with np.errstate(invalid="ignore"):  # NaN and what is too large are wrong below
        numbers = labels.astype(np.int64)
    wrong = (numbers != labels) | (numbers < 0) | (numbers >= images)
    if wrong.any():
        raise CompError(f"{archive.path}: {name} has {shown(labels[wrong])}, the images are numbered 0 to {images - 1}")
    return numbers


def _ones(rows: np.ndarray, path: Path) -> np.ndarray:
    """Where the one of each row (n, M) is."""
    if not (((rows == 0) | (rows == 1)).all() and ((rows == 1).sum(axis=1) == 1).all()):
        raise CompError(f"{path}: captions/label has rows that are not one-hot")
    return rows.argmax(axis=1).astype(np.int64)


def bad_rows(array: np.ndarray, path: Path, name: str, ids: np.ndarray, drop: bool, notes: list[str]) -> set[int]:
    """The rows that are no direction. They are refused, or told where `drop` allows it."""
    bad, lines = no_directions(array, ids)
    if lines and not drop:
        raise CompError(
            f"{path}: of the rows of {name}, {'; '.join(lines)}. Fix them, or set data.on_bad_row=drop (training "
            "captions are left out, test captions get the mean image)"
        )
    notes += [f"warning: {path}: {name}: {line}: dropped" for line in lines]
    return bad


def no_directions(array: np.ndarray, ids: np.ndarray) -> tuple[set[int], list[str]]:
    """The rows that are NaN, infinite, or all zero, and a line for each of these faults."""
    found: dict[str, list[int]] = {"not finite": [], "all zero": []}
    for start in range(0, len(array), ROWS):
        rows = np.asarray(array[start : start + ROWS])
        finite = np.isfinite(rows).all(axis=1)
        found["not finite"] += (start + np.flatnonzero(~finite)).tolist()
        found["all zero"] += (start + np.flatnonzero(finite & ~rows.any(axis=1))).tolist()
    lines = [f"{len(rows)} are {what} (ids {shown(ids[rows])})" for what, rows in found.items() if rows]
    return {row for rows in found.values() for row in rows}, lines


def _groups(
    links: list[tuple[np.ndarray, np.ndarray]], image_of: np.ndarray, names: np.ndarray, join: str, notes: list[str]
) -> np.ndarray:
    """(N,) each caption's group: its image, and what `folds.join` keeps with that one; called like one of them.

    `links` are pairs of arrays: rows of images, and the numbers of contents that they have.
    The same caption, or the same image twice, in two folds would let a model look up what it is asked.
    """
    count = len(names)
    first, content, offset = [], [], count
    for image, number in links:
        first.append(image)
        content.append(number + offset)
        offset += int(number.max()) + 1
    if not links:
        return names[image_of]
    one, other = np.concatenate(first), np.concatenate(content)
    graph = coo_matrix((np.ones(len(one), dtype=np.int8), (one, other)), shape=(offset, offset))
    group = connected_components(graph, directed=False)[1][:count]
    size = np.bincount(group)
    joined = size[size > 1]
    if len(joined):
        notes.append(
            f"groups  {joined.sum()} images share a caption or are the same: {len(joined)} groups of up to "
            f"{joined.max()} stay in one fold (folds.join={join})"
        )
    if joined.max(initial=0) > 0.1 * count:
        notes.append("warning: one of them is large: vague captions join what is different; try folds.join=images")
    leader = np.full(len(size), count)
    np.minimum.at(leader, group, np.arange(count))
    return names[leader[group]][image_of]


def _same(array: np.ndarray, bad: set[int]) -> np.ndarray:
    """(N,) a number for each row; equal rows have the same, but bad rows, which say nothing, one of their own."""
    rows = np.ascontiguousarray(array)
    numbers = np.unique(rows.view(f"V{rows.shape[1] * rows.dtype.itemsize}").ravel(), return_inverse=True)[1]
    numbers[list(bad)] = len(rows) + np.arange(len(bad))
    return numbers


def _captions(archive: Archive, data: Data | None, names: np.ndarray, image_of: np.ndarray) -> np.ndarray | None:
    """(N,) the captions as text, where they are known: from the npz, or from `data.captions` beside it."""
    if "captions/text" in archive:
        text = archive.texts("captions/text")
        return text if text.shape == image_of.shape else None
    if data is None:
        return None
    name = "captions.txt" if data.captions == "auto" else data.captions
    files = [path for path in (Path(data.root) / name, archive.path.with_name(name)) if path.is_file()]
    if not files:
        return None
    try:
        with files[0].open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise CompError(f"{files[0]} (data.captions) is not text in UTF-8 with a caption per line: {error}") from None
    if rows and rows[0][:2] == ["image", "caption"]:  # a line a caption, as Flickr's captions come
        of: dict[str, list[str]] = {}
        for image, *caption in rows[1:]:
            of.setdefault(image, []).append(",".join(caption))
        nth = pd.Series(image_of).groupby(image_of).cumcount()
        found = [(of.get(names[image], []) + [""] * CAPTIONS_AN_IMAGE) for image in image_of]
        return np.array([each[n] if n < len(each) else "" for each, n in zip(found, nth, strict=True)], dtype=object)
    return np.array([",".join(row) for row in rows], dtype=object) if len(rows) == len(image_of) else None
