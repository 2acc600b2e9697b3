"""Finds images that are the same, or nearly: a fold must not be validated on what it was trained on.

The same: equal pixels once decoded, whatever the files are. Nearly the same: re-encoded, resized, slightly cropped or
brightened copies. A perceptual hash proposes pairs, and is wrong about most of them where images are alike in layout;
so both thumbnails are compared as well.
"""

import hashlib
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from comp.errors import CompError, shown
from comp.files import digest, written_whole
from comp.folds import group_names
from comp.readback import AGAIN, read_array, remembered
from comp.tables import Tables
from comp.vision.data.settle import settled_data
from comp.vision.parallel import in_parallel
from comp.vision.pixels.decoding import states, values_of
from comp.vision.pixels.image_file import AS_16_BIT, PIXELS_VERSION, BadImage, Rgb, decode
from comp.vision.pixels.numbers import Values
from comp.vision.schema import Data

THUMBNAIL_PX = 16
LOOK = np.dtype(  # of one image; `pixels` is empty where it is unreadable
    [("file", "S16"), ("pixels", "S32"), ("hash", np.uint64), ("thumbnail", np.uint8, THUMBNAIL_PX**2 * 3)]
)
# Found by trying on photographs, faces, emojis and digits.
DEAD_ZONE = 0.15  # of the standard deviation of the gray values
LEAST_CORRELATION = 0.98  # of two thumbnails; below it, most pairs look different to people
LEAST_CONTRAST = 2.0  # standard deviation of a thumbnail; flatter images resemble each other by chance
MOST_CONTRAST_RATIO = 1.6  # a white and a black disc are no copies
LARGE, LARGE_SHARE = 20, 0.05  # a group of more rows, and of a larger share of all, is doubtful
PAIRS_AT_ONCE, VERIFIED_AT_ONCE = 2**19, 2**10


@dataclass(frozen=True)
class Duplicates:
    """Sets of training images, as numbers (N,): rows of one set have the same number; most are alone in theirs."""

    exact: np.ndarray
    near: np.ndarray  # the exact ones too; a resembles b and b resembles c: all three are one set
    in_test: np.ndarray  # (M,) for each test row a training row that it (nearly) repeats, or -1


def find_duplicates(
    tables: Tables, data: Data, distance: int | None, folder: Path, test_data: Data | None = None
) -> Duplicates:
    """Looks at all images of both tables; what was seen is remembered in `folder`.

    `data` says how they are read; `test_data` those of the test table, if otherwise.
    `distance`: the number of bits, of 64, in which the hashes of near-duplicates may differ; None: exact ones only.
    An unreadable image is nobody's duplicate.
    """
    n = len(tables.train)
    train_paths, test_paths = tables.train["path"].tolist(), tables.test["path"].tolist()
    data = settled_data(data, train_paths)
    print(f"split   looking for duplicates among {n} training and {len(tables.test)} test images", flush=True)
    if test_data is None:
        looks = look_at([*train_paths, *test_paths], data.background, folder / "duplicates.npy", values_of(data))
    else:
        first = look_at(train_paths, data.background, folder / "duplicates.npy", values_of(data))
        memory, test_data = folder / "duplicates-other.npy", settled_data(test_data, test_paths)
        looks = np.concatenate([first, look_at(test_paths, test_data.background, memory, values_of(test_data))])
    exact = _same_pixels(looks["pixels"])
    train = all_rows = exact
    if distance is not None:
        train = _joined(exact, looks, range(n), distance)
        all_rows = _joined(train, looks, range(n, len(looks)), distance)
    a_row_of = dict(zip(all_rows[:n].tolist(), range(n), strict=True))
    in_test = np.array([a_row_of.get(number, -1) for number in all_rows[n:].tolist()], dtype=np.int64)
    return Duplicates(exact[:n], train[:n], in_test)


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


def look_at(paths: list[str], background: Rgb | None, memory: Path, values: Values = AS_16_BIT) -> np.ndarray:
    """(N,) of `LOOK`. Only files that are new or changed since the last time are read.

    Not seen: another content of equal size and time.
    """
    files = np.array(
        [digest([*state, PIXELS_VERSION, background, *astuple(values), DEAD_ZONE]) for state in states(paths)],
        dtype="S16",
    )
    known = {look["file"]: look for look in _remembered(memory)}
    looks = np.zeros(len(paths), LOOK)
    for row, file in enumerate(files):
        if file in known:
            looks[row] = known[file]
    new: list[int] = np.flatnonzero(looks["file"] == b"").tolist()
    if new:
        seen = in_parallel(lambda row: _look(paths[row], background, values), new, "looking at images")
        for row, look in zip(new, seen, strict=True):
            looks[row] = (files[row], *look)
        _remember(memory, looks[looks["pixels"] != b""])
    return looks


def _look(path: str, background: Rgb | None, values: Values) -> tuple[bytes, int, np.ndarray]:
    """Hash of the pixels, perceptual hash and thumbnail of one image."""
    try:
        image = decode(Path(path), background, values=values)
    except BadImage:
        return b"", 0, np.zeros(THUMBNAIL_PX**2 * 3, np.uint8)
    pixels = hashlib.sha256(str(image.shape).encode())
    pixels.update(np.ascontiguousarray(image).data)
    small = Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR, reducing_gap=3.0)
    thumbnail = np.asarray(small.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BILINEAR))
    return pixels.hexdigest()[:32].encode(), _perceptual_hash(small), thumbnail.ravel()


def _perceptual_hash(image: Image.Image) -> int:
    """64 bits: where the gray of 8 × 9 pixels rises from left to right.

    This is dHash (hackerfactor.com, 2013) with a dead zone: else the bits of flat areas are noise, and copies of
    drawings and of pictures on white are missed.
    """
    gray = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.LANCZOS)).astype(np.int16)
    rises = np.diff(gray, axis=1) > DEAD_ZONE * gray.std()
    return int.from_bytes(np.packbits(rises).tobytes())


def _same_pixels(pixels: np.ndarray) -> np.ndarray:
    """(N,) numbers of the sets of equal hashes; of unreadable images, each has its own."""
    numbers = np.unique(pixels, return_inverse=True)[1]
    alone = pixels == b""
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(alone.sum())
    return numbers


def _joined(sets: np.ndarray, looks: np.ndarray, rows: range, distance: int) -> np.ndarray:
    """`sets` (N,) once each of `rows` has joined those of the near-duplicates before it.

    All pairs, a few rows against all at a time: 50,000 images take seconds, and an index would not help where many
    hashes are alike.
    """
    pixels = looks["thumbnail"]
    contrast = np.sqrt(np.maximum(_covariance(pixels, pixels), 0))
    judged = np.flatnonzero(contrast >= LEAST_CONTRAST)
    hashes = looks["hash"][judged]
    first, last = np.searchsorted(judged, [rows.start, rows.stop])
    step = max(1, PAIRS_AT_ONCE // max(len(judged), 1))
    for start in range(first, last, step):
        stop = min(start + step, last)
        close = np.bitwise_count(hashes[start:stop, None] ^ hashes[:stop]) <= distance
        a, b = np.divmod(np.flatnonzero(close), stop)
        a, b = judged[a + start], judged[b]
        undecided = (b < a) & (sets[a] != sets[b])
        a, b = a[undecided], b[undecided]
        for part in range(0, len(a), VERIFIED_AT_ONCE):
            i, j = a[part : part + VERIFIED_AT_ONCE], b[part : part + VERIFIED_AT_ONCE]
            correlation = _covariance(pixels[i], pixels[j]) / (contrast[i] * contrast[j])
            ratio = np.maximum(contrast[i], contrast[j]) / np.minimum(contrast[i], contrast[j])
            alike = (correlation >= LEAST_CORRELATION) & (ratio <= MOST_CONTRAST_RATIO)
            if alike.any():
                sets = united(sets, sets[i[alike]], sets[j[alike]])
    return sets


def _covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each row of `a` (N, P) uint8 with that of `b`."""
    product = np.einsum("ij,ij->i", a, b, dtype=np.float64) / a.shape[1]
    return product - a.mean(axis=1) * b.mean(axis=1)


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


def _remembered(memory: Path) -> np.ndarray:
    looks = remembered(memory, lambda: read_array(memory, None, LOOK, AGAIN))
    return np.zeros(0, LOOK) if looks is None else looks


def _remember(memory: Path, looks: np.ndarray) -> None:
    try:
        with written_whole(memory) as temporary, temporary.open("wb") as file:
            np.save(file, looks)
    except (OSError, CompError):  # read-only, or full: the next time looks again
        return
