"""`comp demo-data`: a small competition of drawn faces, with pictures of a generator beside it, offline in seconds."""

from pathlib import Path

import numpy as np
import pandas as pd

from comp.config.common import empty_root
from comp.emotion.demo_synthetic import write_synthetic
from comp.emotion.faces import DRAWN, draw
from comp.emotion.portraits import Portrait, planned
from comp.files import write_text
from comp.vision.schema import ImageConfig

COUNTS = {  # training images; faces that people like to show are many
    "happy": 340,
    "neutral": 300,
    "sad": 160,
    "anger": 130,
    "surprise": 130,
    "disgust": 55,
    "fear": 55,
    "contempt": 45,
}
TEST_SHARE = 0.26  # as many test images for each training image
WEAKEST = 0.6  # of an expression that is shown


def write_demo(config: ImageConfig) -> Path:
    """Writes train and test images, `train.csv`, sample submission, `solution.csv` and `synthetic/` into `data.root`.

    `person` in `train.csv` says whose face it is; nobody is in both tables. `synthetic/synthetic.csv` (image, label,
    parent) lists what a generator would have made of training images, in labels of its own, with mistakes in it;
    `synthetic/planted.csv` (image, fault) tells which those are.

    Raises:
        CompError: the folder holds other files already.
    """
    root = empty_root(config)
    rng = np.random.default_rng(42)
    train = planned(COUNTS, 0, rng)
    test = planned({label: round(TEST_SHARE * count) for label, count in COUNTS.items()}, len(train), rng)
    _draw_all(root / "train", train, rng)
    _draw_all(root / "test", test, rng)
    n_synthetic = write_synthetic(root, train, rng)

    answers = pd.DataFrame({"id": [one.id for one in test], "label": [one.label for one in test]})
    rows = [(one.id, one.label, one.person) for one in train]
    _write(root / "train.csv", pd.DataFrame(rows, columns=["id", "label", "person"]))
    _write(root / "sample_submission.csv", answers[["id"]].assign(label="neutral"))
    _write(root / "solution.csv", answers)
    print(f"wrote   {root}: {len(train)} training and {len(test)} test images of faces, 8 uneven expressions")
    print(f"wrote   {root / 'synthetic'}: {n_synthetic} images as if made by a generator, some of them wrong")
    return root


def _draw_all(folder: Path, portraits: list[Portrait], rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for one in portraits:
        picture = draw(one.head, one.label, rng.uniform(WEAKEST, 1), one.pose, DRAWN, rng)
        picture.save(folder / f"{one.id}.png")


def _write(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
