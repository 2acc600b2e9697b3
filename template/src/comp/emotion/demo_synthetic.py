"""The second source of the demo: training images as a generator would redraw them with another expression.

Some are wrong, as a generator's are: `FAULTS`. The table does not tell which; `planted.csv` does, for tests.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from comp.emotion.faces import EXPRESSIONS, GENERATED, Pose, draw
from comp.emotion.portraits import Portrait, unlike
from comp.files import write_text

WORDS = {"anger": "angry", "happy": "happiness", "surprise": "surprised"}  # the generator's own; others are the same
FAULTS = {"wrong label": 0.1, "unchanged": 0.05, "other person": 0.05}  # shares of all images
MOST = 120  # images of a class
WEAKEST = 0.65  # of an expression: who asks a generator for one gets a plain one
TRIED = 40  # persons, of whom the most different one is the other


@dataclass(frozen=True)
class Redrawn:
    """An image of the second source: the `label` it claims, and what it shows in truth."""

    image: str
    label: str
    parent: Portrait
    shows: str
    model: Portrait  # whose head and pose it has: the parent's, unless it is another person
    fault: str = ""


def write_synthetic(root: Path, train: list[Portrait], rng: np.random.Generator) -> int:
    """Writes `synthetic/` below `root`, where the training images lie already, and returns how many images it has.

    Classes get what they lack against the most frequent one, MOST at most.
    """
    folder = root / "synthetic"
    folder.mkdir()
    images = _with_faults(_asked(train, rng), train, rng)
    for one in images:
        _picture(one, root, rng).save(folder / one.image)
    rows = [(one.image, WORDS.get(one.label, one.label), one.parent.id) for one in images]
    _write(folder / "synthetic.csv", pd.DataFrame(rows, columns=["image", "label", "parent"]))
    faults = [(one.image, one.fault) for one in images if one.fault]
    _write(folder / "planted.csv", pd.DataFrame(faults, columns=["image", "fault"]))
    return len(images)


def _asked(train: list[Portrait], rng: np.random.Generator) -> list[Redrawn]:
    """What a generator is asked for: parents in turn, so that none has many children, to feel what they do not."""
    counts = {label: sum(one.label == label for one in train) for label in EXPRESSIONS}
    lacking = [label for label, count in counts.items() for _ in range(min(max(counts.values()) - count, MOST))]
    free: list[Portrait] = []
    images = []
    for number, label in enumerate(rng.permutation(lacking).tolist()):
        if all(one.label == label for one in free):
            free += [train[place] for place in rng.permutation(len(train)).tolist()]
        parent = free.pop(next(place for place, one in enumerate(free) if one.label != label))
        images.append(Redrawn(f"s{number:05d}.png", label, parent, label, parent))
    return images


def _with_faults(images: list[Redrawn], train: list[Portrait], rng: np.random.Generator) -> list[Redrawn]:
    """Some of `images` spoiled, each in one way."""
    faults = [fault for fault, share in FAULTS.items() for _ in range(round(share * len(images)))]
    spoiled = dict(zip(rng.permutation(len(images)).tolist(), faults, strict=False))
    return [_spoiled(one, spoiled.get(place, ""), train, rng) for place, one in enumerate(images)]


def _spoiled(one: Redrawn, fault: str, train: list[Portrait], rng: np.random.Generator) -> Redrawn:
    if fault == "wrong label":
        others = [expression for expression in EXPRESSIONS if expression != one.label]
        return replace(one, shows=others[int(rng.integers(len(others)))], fault=fault)
    if fault == "unchanged":
        return replace(one, label=one.parent.label, shows=one.parent.label, fault=fault)
    if fault == "other person":
        tried = [train[place] for place in rng.integers(len(train), size=TRIED).tolist()]
        model = max(tried, key=lambda other: (other.person != one.parent.person, unlike(other, one.parent)))
        return replace(one, model=model, fault=fault)
    return one


def _picture(one: Redrawn, root: Path, rng: np.random.Generator) -> Image.Image:
    if one.fault == "unchanged":  # a little brighter
        gain = float(rng.uniform(1.0, 1.1))
        with Image.open(root / "train" / f"{one.parent.id}.png") as parent:
            return parent.convert("RGB").point(lambda level: min(round(gain * level), 255))
    return draw(one.model.head, one.shows, rng.uniform(WEAKEST, 1), _about(one.model.pose, rng), GENERATED, rng)


def _about(pose: Pose, rng: np.random.Generator) -> Pose:
    """Nearly the same pose and light."""
    return replace(
        pose,
        x=pose.x + rng.normal(0, 0.005),
        y=pose.y + rng.normal(0, 0.005),
        tilt_deg=pose.tilt_deg + rng.normal(0, 1.5),
        yaw=pose.yaw + rng.normal(0, 0.03),
        brightness=pose.brightness * rng.normal(1.0, 0.04),
    )


def _write(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
