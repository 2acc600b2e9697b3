"""Images that are the same, or nearly: which pairs, how alike, and whether their labels agree."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from comp.runs.page import Card, Gallery, Section
from comp.runs.page.findings import Part
from comp.vision.check.pictures import thumbnail
from comp.vision.check.seen import Seen
from comp.vision.folds.look_alikes import ORIENTATIONS, oriented

Kind = Literal["labels", "test", "train"]
SHOWN: dict[Kind, int] = {"labels": 9, "test": 8, "train": 5}  # pairs; each is two pictures
TITLES: dict[Kind, str] = {
    "labels": "Training images with different labels",
    "test": "A training and a test image",
    "train": "Training images with one label",
}


@dataclass(frozen=True)
class Pair:
    """Two images of one set, in two rows; `alike` is the correlation of their grays in the best orientation."""

    a: int
    b: int
    kind: Kind
    same_pixels: bool
    alike: float


def twins(seen: Seen) -> Part:
    part, pairs = Part(Section("Duplicates")), pairs_of(seen)
    of = {kind: [pair for pair in pairs if pair.kind == kind] for kind in SHOWN}
    for kind, most in SHOWN.items():
        best = sorted(of[kind], key=lambda pair: (not pair.same_pixels, -pair.alike))[:most]
        if best:
            note = f"{len(best)} of {len(of[kind])} pairs, those that are most alike" if len(of[kind]) > most else ""
            part.section.blocks.append(Gallery(TITLES[kind], [_card(seen, pair) for pair in best], note))
    distance = seen.config.folds.near_duplicates
    part.section.note = (
        f"{len(of['train']) + len(of['labels'])} pairs of training images and {len(of['test'])} of a training and a "
        f"test image, by folds.near_duplicates={'null' if distance is None else distance}. comp split keeps those of "
        "train in one fold."
    )
    if of["labels"]:
        same = sum(pair.same_pixels for pair in of["labels"])
        part.looks.append(
            f"{_counted(len(of['labels']))} different labels ({same} with the very same pixels), such as "
            f"{_ids(seen, of['labels'])}"
        )
        part.lines.append(f"labels  {_counted(len(of['labels']))} different ones")
    in_test = int((seen.duplicates.in_test >= 0).sum())
    if in_test:
        share = f"{100 * in_test / len(seen.tables.test):.1f} %"
        such_as = f", such as {_ids(seen, of['test'])}" if of["test"] else ""
        part.looks.append(f"{in_test} test rows ({share}) repeat training images, or nearly{such_as}")
    return part


def pairs_of(seen: Seen) -> list[Pair]:
    """In each set every image with one before it: one of the same pixels where there is one, else the set's first."""
    order = np.argsort(seen.every, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(seen.every[order])) + 1)
    found: list[Pair] = []
    for members in sets:
        if len(members) < 2:
            continue
        first_of: dict[int, int] = {}
        for image in members.tolist():
            other = first_of.setdefault(int(seen.exact[image]), image)
            other = int(members[0]) if other == image else other
            if seen.row_of[other] != seen.row_of[image] and seen.of_train[other]:
                found.append(_pair(seen, other, image))
    return found


def _pair(seen: Seen, a: int, b: int) -> Pair:
    labels = [seen.label(int(seen.row_of[image])) for image in (a, b)]
    kind: Kind = "test" if not seen.of_train[b] else "train" if labels[0] == labels[1] else "labels"
    same, gray = bool(seen.exact[a] == seen.exact[b]), seen.looks["gray"]
    return Pair(a, b, kind, same, 1.0 if same else _alike(gray[a], gray[b]))


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two small gray copies (48, 48), as they stand or turned."""
    turned = [oriented(other[None].astype(np.float64), number)[0] for number in range(ORIENTATIONS)]
    return max(float(np.corrcoef(one.ravel(), each.ravel())[0, 1]) for each in turned)


def _card(seen: Seen, pair: Pair) -> Card:
    rows = [int(seen.row_of[image]) for image in (pair.a, pair.b)]
    names = ["test" if row >= seen.n else seen.label(row) for row in rows]
    how = "the same pixels" if pair.same_pixels else f"alike: {pair.alike:.3f}"
    lines = [f"{seen.ids[rows[0]]} | {seen.ids[rows[1]]}", " | ".join(names), how]
    return Card([thumbnail(seen, image) for image in (pair.a, pair.b)], lines)


def _counted(n: int) -> str:
    return "1 pair of duplicates has" if n == 1 else f"{n} pairs of duplicates have"


def _ids(seen: Seen, pairs: list[Pair]) -> str:
    return " and ".join(repr(seen.ids[int(seen.row_of[image])]) for image in (pairs[0].a, pairs[0].b))
