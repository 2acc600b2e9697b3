"""A layout: the files of a small competition, drawn from a truth that the test alone knows, and what its host does."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

N_TRAIN, N_TEST = 24, 12
DARK, STEP, CODES = 20, 5, 40  # gray levels of the corner of a picture that says which row it is of

Content = Any  # int: the picture of a row; text, bytes, a table; of a .zip: a dict of such
Files = dict[str, Content]
Rule = Callable[[pd.DataFrame, pd.DataFrame], float]  # submission and truth of the test rows, by id, as text → score
Sections = Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """Training rows, then test rows: labels as the host writes them, and predictions that a good model would give.

    Both are indexed by the ids. `planted` has a column for each class, or each number, by its name.
    """

    labels: pd.DataFrame
    planted: pd.DataFrame
    n_train: int

    @property
    def ids(self) -> list[str]:
        return list(self.labels.index)

    @property
    def train(self) -> pd.DataFrame:
        return self.labels.iloc[: self.n_train]

    @property
    def test(self) -> pd.DataFrame:
        return self.labels.iloc[self.n_train :]

    def called(self, ids: Callable[[str], str]) -> "Drawn":
        """The same rows with other ids."""
        return Drawn(self.labels.rename(index=ids), self.planted.rename(index=ids), self.n_train)

    def spelled(self, labels: Callable[[Any], Any]) -> "Drawn":
        """The same with labels written otherwise."""
        return Drawn(self.labels.map(labels), self.planted, self.n_train)


@dataclass(frozen=True)
class Layout:
    """`asks` are pieces of the one line that refuses it; `answer` and `then` are what that line leads to."""

    name: str  # after a kind of competition
    about: str  # its files, in words
    drawn: Drawn
    files: Files
    says: Sequence[str] = ()  # pieces of what comp split tells, once it is understood
    rule: Rule | None = None  # none: it stays refused
    deserves: float = 1.0  # what the planted predictions score by the rule
    settings: Sections = field(default_factory=dict)
    asks: Sequence[str] = ()
    answer: Sections = field(default_factory=dict)
    then: str = ""  # the command
    split: bool = False  # whether comp split runs, and thresholds are fitted to out-of-fold rows
    images: int = 1  # at most, of a row

    @property
    def answered(self) -> dict[str, Any]:
        """The settings, those that answer what is asked among them."""
        both = dict(self.settings)
        for key, value in self.answer.items():
            before = both.get(key)
            both[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
        return both


def _ids(n_train: int, n_test: int) -> list[str]:
    """Text that starts with zeros."""
    return [f"{row:04d}" for row in range(n_train)] + [f"0{5000 + row}" for row in range(n_test)]


def one_of(
    *classes: str, column: str = "label", n_train: int = N_TRAIN, n_test: int = N_TEST, places: int = 1
) -> Drawn:
    """A label a row. The true class is the likeliest; with `places`, the second or third likeliest in some rows."""
    n, rng = n_train + n_test, np.random.default_rng(len(classes))
    which = np.concatenate([rng.permutation(np.arange(count) % len(classes)) for count in (n_train, n_test)])
    p = rng.uniform(0.1, 0.2, (n, len(classes)))
    p[np.arange(n), which] = 1.0
    for row in range(n):
        better = rng.permutation(np.delete(np.arange(len(classes)), which[row]))[: row % places]
        p[row, better] = 2.0 + np.arange(len(better))
    ids = pd.Index(_ids(n_train, n_test), dtype=object)
    labels = pd.DataFrame({column: [classes[k] for k in which]}, index=ids, dtype=object)
    planted = pd.DataFrame(p / p.sum(axis=1, keepdims=True), index=ids, columns=list(classes))
    return Drawn(labels, planted, n_train)


def bits(*columns: str, border: float = 0.5) -> Drawn:
    """A 0 or 1 in each column, whose probability is above `border` where it is a 1."""
    n, rng = N_TRAIN + N_TEST, np.random.default_rng(len(columns))
    turns = [np.arange(count)[:, None] + np.arange(len(columns)) for count in (N_TRAIN, N_TEST)]
    true = np.concatenate([rng.permuted(turn % 5 < 2, axis=0) for turn in turns])
    above = rng.uniform(border + 0.1, 1, (n, len(columns)))
    below = rng.uniform(0, border - 0.1, (n, len(columns)))
    ids = pd.Index(_ids(N_TRAIN, N_TEST), dtype=object)
    labels = pd.DataFrame(np.where(true, "1", "0"), index=ids, columns=list(columns), dtype=object)
    return Drawn(labels, pd.DataFrame(np.where(true, above, below), index=ids, columns=list(columns)), N_TRAIN)


def numbers(
    ranges: Mapping[str, tuple[float, float]], digits: int = 2, off: float = 0.5, n_train: int = N_TRAIN
) -> Drawn:
    """A number in each column; what is predicted is `off` by so much, now above and now below."""
    ids, rng = pd.Index(_ids(n_train, N_TEST), dtype=object), np.random.default_rng(len(ranges))
    values = pd.DataFrame(
        {name: np.round(rng.permutation(np.linspace(*ends, len(ids))), digits) for name, ends in ranges.items()}, ids
    )
    signs = np.where(np.arange(len(ids)) % 2, 1, -1)
    labels = values.map(lambda value: f"{value:.{digits}f}")
    return Drawn(labels.astype(object), values.add(off * signs, axis=0), n_train)


def listed(*names: str, column: str, separator: str = " ", empty: bool = False, border: float = 0.5) -> Drawn:
    """Lists of labels in one column; with `empty`, of none in some rows."""
    drawn = bits(*names, border=border)
    rows = [[name for name in names if row[name] == "1"] for _, row in drawn.labels.iterrows()]
    planted = drawn.planted.copy()
    for place, row in enumerate(rows):
        if empty and place % 5 == 0:
            row.clear()
            planted.iloc[place] = border - 0.2
        elif not row:
            row.append(names[place % len(names)])
            planted.iloc[place, place % len(names)] = border + 0.2
    labels = pd.DataFrame({column: [separator.join(row) for row in rows]}, index=drawn.labels.index, dtype=object)
    return Drawn(labels, planted, drawn.n_train)


def competition(
    drawn: Drawn, sample: Mapping[str, object] | None, id_column: str = "id", place: str = "{split}/{id}.png"
) -> Files:
    """train.csv, test.csv, sample_submission.csv with what `sample` has in each column, and the images at `place`."""
    train, test = (part.rename_axis(id_column).reset_index() for part in (drawn.train, drawn.test))
    files: Files = {"train.csv": train, "test.csv": test[[id_column]], **images(drawn, place)}
    if sample is not None:
        files["sample_submission.csv"] = test[[id_column]].assign(**sample)
    return files


def images(drawn: Drawn, place: str = "{split}/{id}.png") -> Files:
    """The picture of each row."""
    splits = ["train"] * drawn.n_train + ["test"] * (len(drawn.ids) - drawn.n_train)
    pairs = zip(drawn.ids, splits, strict=True)
    return {
        place.replace("{split}", split).replace("{id}", name): row % CODES for row, (name, split) in enumerate(pairs)
    }


def write(files: Files, root: Path) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes(path.name, content))


def _bytes(name: str, content: Content) -> bytes:
    kind, buffer = name.rpartition(".")[2].lower(), io.BytesIO()
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, int):
        return dicom(content) if kind == "dcm" else picture(content, kind)
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for inner, own in content.items():
                archive.writestr(inner, _bytes(inner, own))
    elif kind == "parquet":
        content.to_parquet(buffer)
    else:
        return content.to_csv(index=False).encode()
    return buffer.getvalue()


def gray(code: int, side: int = 16) -> np.ndarray:
    """(side, side) uint8: a corner that says which row it is of, and noise, so that no two look alike."""
    values = np.random.default_rng(code).integers(0, 256, (side, side), dtype=np.uint8)
    values[: side // 2, : side // 2] = DARK + STEP * code
    return values


def picture(code: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    kinds = {"jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF"}
    options = {"webp": {"lossless": True}, "jpg": {"quality": 95}, "jpeg": {"quality": 95}}
    Image.fromarray(gray(code)).convert("RGB").save(buffer, kinds.get(kind, kind.upper()), **options.get(kind, {}))
    return buffer.getvalue()


def dicom(code: int) -> bytes:
    """A plain gray DICOM file, whose last bytes are its pixels."""
    values = gray(code)
    short = {0x0002: 1, 0x0010: values.shape[0], 0x0011: values.shape[1], 0x0100: 8, 0x0101: 8, 0x0102: 7, 0x0103: 0}
    facts = {
        0x0004: (b"CS", b"MONOCHROME2 "),
        **{tag: (b"US", struct.pack("<H", value)) for tag, value in short.items()},
    }
    uid, plain = b"1.2.840.10008.5.1.4.1.1.7\0", b"1.2.840.10008.1.2.1\0"  # a picture; numbers as they stand
    own = b"".join(_element(2, tag, b"UI", value) for tag, value in ((2, uid), (3, uid), (0x10, plain)))
    return b"".join(
        [
            b"\0" * 128 + b"DICM",
            _element(2, 0, b"UL", struct.pack("<I", len(own))),
            own,
            *(_element(0x0028, tag, *facts[tag]) for tag in sorted(facts)),
            struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, values.size),
            values.tobytes(),
        ]
    )


def _element(group: int, tag: int, kind: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, tag, kind, len(value)) + value


def code_of(path: str) -> int:
    """Which row the picture in a file is of."""
    if path.endswith(".dcm"):
        level = Path(path).read_bytes()[-gray(0).size]
    else:
        with Image.open(path) as image:
            level = image.convert("L").getpixel((2, 2))
    return round((level - DARK) / STEP)
