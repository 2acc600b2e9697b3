"""Finds images that are the same, or nearly: a fold must not be validated on what it was trained on.

The same: equal pixels once decoded, whatever the files are. Nearly the same: re-encoded, resized, mirrored, turned,
framed, darkened, gray or slightly rotated copies, and crops that keep nine tenths of each side. Hashes propose pairs
(look_alikes.py), and are wrong about most of them where images are alike in layout; so small copies are laid over each
other as well (alignment.py).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from comp.errors import shown
from comp.folds import group_names
from comp.tables import Tables
from comp.vision.data.paths import all_paths, image_counts, images_each
from comp.vision.data.settle import settled_data
from comp.vision.folds.alignment import one_picture
from comp.vision.folds.look_alikes import proposed
from comp.vision.folds.looks import look_at
from comp.vision.pixels.decoding import values_of
from comp.vision.schema import Data

LEAST_CONTRAST = 2.0  # standard deviation of the gray values; flatter images resemble each other by chance
LARGE, LARGE_SHARE = 20, 0.05  # a group of more rows, and of a larger share of all, is doubtful
COMPARED_AT_ONCE = 2**12


@dataclass(frozen=True)
class Duplicates:
    """Sets of training rows, as numbers (N,): rows of one set have the same number; most are alone in theirs.

    Of rows with several images one that is (nearly) the same is enough.
    """

    exact: np.ndarray
    near: np.ndarray  # the exact ones too; a resembles b and b resembles c: all three are one set
    in_test: np.ndarray  # (M,) for each test row a training row that it (nearly) repeats, or -1
    every: np.ndarray  # (N + M,) the sets once test images join them, which may resemble two that are apart


def find_duplicates(
    tables: Tables, data: Data, distance: int | None, folder: Path, test_data: Data | None = None
) -> Duplicates:
    """Looks at all images of both tables; what was seen is remembered in `folder`.

    `data` says how they are read; `test_data` those of the test table, if otherwise.
    `distance`: the number of bits, of 64, in which the hashes of near-duplicates may differ; None: exact ones only.
    An unreadable image is nobody's duplicate.
    """
    train_paths, test_paths = all_paths(tables.train), all_paths(tables.test)
    n = len(train_paths)
    data = settled_data(data, train_paths)
    print(f"images  looking for duplicates among {n + len(test_paths)} of them", flush=True)
    if test_data is None:
        looks = look_at([*train_paths, *test_paths], data.background, folder / "duplicates.npy", values_of(data))
    else:
        first = look_at(train_paths, data.background, folder / "duplicates.npy", values_of(data))
        memory, test_data = folder / "duplicates-other.npy", settled_data(test_data, test_paths)
        looks = np.concatenate([first, look_at(test_paths, test_data.background, memory, values_of(test_data))])
    return duplicates_of(tables, *sets_of_images(looks, n, distance))


def duplicates_of(tables: Tables, exact: np.ndarray, train: np.ndarray, every: np.ndarray) -> Duplicates:
    """Of rows, by the sets of images that `sets_of_images` gives."""
    n = len(all_paths(tables.train))
    exact, train = of_rows(exact[:n], [tables.train]), of_rows(train[:n], [tables.train])
    every, n = of_rows(every, [tables.train, tables.test]), len(tables.train)
    a_row_of = dict(zip(every[:n].tolist(), range(n), strict=True))
    in_test = np.array([a_row_of.get(number, -1) for number in every[n:].tolist()], dtype=np.int64)
    return Duplicates(exact, train, in_test, every)


def sets_of_images(looks: np.ndarray, n: int, distance: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) numbers of sets of images: the same ones; nearly the same among the first `n`; nearly among all."""
    exact = _same_pixels(looks["pixels"])
    return exact, *((exact, exact) if distance is None else _joined(exact, looks, n, distance))


def of_rows(sets: np.ndarray, tables: list[pd.DataFrame]) -> np.ndarray:
    """`sets` of all images of `tables` as sets of rows: rows that have images of one set are one set."""
    if all(image_counts(table) is None for table in tables):
        return sets
    counts = np.concatenate([images_each(table) for table in tables])
    rows = np.repeat(np.arange(len(counts)), counts)
    return united(np.arange(len(counts) + sets.max(initial=-1) + 1), rows, len(counts) + sets)[: len(counts)]


def print_duplicates(found: Duplicates, tables: Tables) -> None:
    """Tells what was found, with examples where the user may want to look."""
    ids = tables.train["id"]
    print(f"        identical: {_counted(found.exact)}; with nearly identical ones: {_counted(found.near)}")
    truth = tables.train[tables.targets.truth_columns]
    contradicting = (truth.groupby(found.exact).transform("nunique") > 1).any(axis=1).to_numpy()
    if contradicting.any():
        alike = truth[found.exact == found.exact[contradicting.argmax()]]
        other = (alike != alike.iloc[0]).any(axis=1).idxmax()
        print(
            f"        warning: {contradicting.sum()} identical images have different labels, "
            f"such as {ids[alike.index[0]]!r} and {ids[other]!r}"
        )
    test = np.flatnonzero(found.in_test >= 0)
    if len(test):
        example = f"{tables.test['id'].iloc[test[0]]!r}, which is training image {ids.iloc[found.in_test[test[0]]]!r}"
        print(f"        note: {len(test)} test images (nearly) repeat training images, such as {example}")


def joined_groups(train: pd.DataFrame, sets: np.ndarray) -> np.ndarray:
    """The group (N,) of each row once each of `sets` (N,) is in one; it is called like the first of those in it.

    Prints a warning where duplicates, and not `data.group`, made a group that is too large to be true.
    """
    names = group_names(train)
    number = pd.factorize(names)[0]
    as_group = number.max() + 1 + sets
    group = names.groupby(united(np.arange(as_group.max() + 1), number, as_group)[number]).transform("min")
    before, now = names.value_counts().iloc[0], group.value_counts()
    if now.iloc[0] > max(LARGE, LARGE_SHARE * len(train), before):
        some = train["id"][group == now.index[0]]
        print(
            f"        warning: duplicates make one group of {now.iloc[0]} of {len(train)} rows, such as {shown(some)}: "
            "if they only look alike, set folds.near_duplicates lower, or to null for identical images only"
        )
    return group.to_numpy(dtype=object)


def in_sets(numbers: np.ndarray) -> np.ndarray:
    """The sizes of the sets (or groups) of two and more; `numbers` (N,) is each row's."""
    sizes = np.unique(numbers, return_counts=True)[1]
    return sizes[sizes > 1]


def _same_pixels(pixels: np.ndarray) -> np.ndarray:
    """(N,) numbers of the sets of equal hashes; of unreadable images, each has its own."""
    numbers = np.unique(pixels, return_inverse=True)[1]
    alone = pixels == b""
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(alone.sum())
    return numbers


def _joined(exact: np.ndarray, looks: np.ndarray, n: int, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """`exact` (N,) once near-duplicates have joined: those among the first `n` rows alone, and those among all rows.

    Of identical images only the first is compared, and what is in one set already is not compared again.
    """
    gray, color = looks["gray"], looks["color"]
    judged = np.sort(np.unique(exact, return_index=True)[1])
    contrast = np.concatenate([gray[some].std(axis=(1, 2)) for some in _in_parts(judged)] or [np.zeros(0)])
    judged = judged[(contrast >= LEAST_CONTRAST) & (looks["pixels"][judged] != b"")]
    train = every = exact
    refused = np.zeros(0, np.int64)  # pairs that were compared
    for all_pairs in proposed(gray, judged, distance):
        keys = np.minimum(all_pairs.a, all_pairs.b) * len(looks) + np.maximum(all_pairs.a, all_pairs.b)
        new, refused_now = np.flatnonzero(~np.isin(keys, refused)), [refused]
        for some in _in_parts(new):
            among_train = np.maximum(all_pairs.a[some], all_pairs.b[some]) < n
            a, b = all_pairs.a[some], all_pairs.b[some]
            undecided = np.where(among_train, train[a] != train[b], every[a] != every[b])
            pairs, among_train = all_pairs[some[undecided]], among_train[undecided]
            alike = one_picture(gray, color, pairs)
            refused_now.append(keys[some[undecided]][~alike])
            both = alike & among_train
            train = united(train, train[pairs.a[both]], train[pairs.b[both]])
            every = united(every, every[pairs.a[alike]], every[pairs.b[alike]])
        refused = np.concatenate(refused_now)
    return train, every


def _in_parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + COMPARED_AT_ONCE] for start in range(0, len(rows), COMPARED_AT_ONCE)]


def united(sets: np.ndarray, some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """`sets` (N,), numbered from 0, once the k-th of `some` and the k-th of `others` (numbers too) are one set.

    It is called by the lowest number in it.
    """
    lowest = np.arange(max(int(part.max(initial=-1)) for part in (sets, some, others)) + 1)
    while (apart := lowest[some] != lowest[others]).any():
        a, b = lowest[some[apart]], lowest[others[apart]]
        np.minimum.at(lowest, np.maximum(a, b), np.minimum(a, b))
        while (lowest != lowest[lowest]).any():
            lowest = lowest[lowest]
    return lowest[sets]


def _counted(sets: np.ndarray) -> str:
    sizes = in_sets(sets)
    return f"{sizes.sum()} rows in {len(sizes)} sets" if len(sizes) else "none"
