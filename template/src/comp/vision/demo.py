"""`comp demo-data`: a small competition from scikit-learn's handwritten digits, written offline in seconds."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

from comp.config.common import empty_root
from comp.files import write_text
from comp.vision.schema import ImageConfig

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LOOPS = {0, 6, 8, 9}
FILLERS = {"label": NAMES[0], "tags": "odd small", "amount": "0.5"}  # in the sample submission
SIZE_PX = 32
RAREST = 0.35  # the share of its images that the rarest class keeps
TEST_SHARE = 0.25


def write_demo(config: ImageConfig) -> Path:
    """Writes train and test images, tables, the sample submission and `solution.csv` into `data.root`.

    The training labels come as `train.csv`, or as a folder per class where `data.train` names a folder. With
    data.kind=regression they are numbers, with multilabel lists of labels.

    Raises:
        CompError: the folder holds other files already.
    """
    root = empty_root(config)
    digits = load_digits()
    rng = np.random.default_rng(42)
    keep = rng.random(len(digits.target)) < np.linspace(1.0, RAREST, 10)[digits.target]
    images, labels = digits.images[keep], digits.target[keep]
    order = rng.permutation(len(labels))
    n_test = round(len(labels) * TEST_SHARE)
    ids = [f"{number:05d}" for number in range(len(labels))]  # leading zeros, as hosts like them
    column, values = _labels(images, labels, config.data.kind)
    table = pd.DataFrame({"id": ids, column: values[order]})
    test, train = table.iloc[:n_test], table.iloc[n_test:]

    in_folders = column == "label" and config.data.train != "auto" and Path(config.data.train).suffix == ""
    train_folder = root / (config.data.train if in_folders else "train")
    for place, (name, label) in enumerate(table.itertuples(index=False)):
        folder = root / "test" if place < n_test else train_folder / label if in_folders else train_folder
        folder.mkdir(parents=True, exist_ok=True)
        _picture(images[order[place]]).save(folder / f"{name}.png")
    if not in_folders:
        _write(root / "train.csv", train)
    _write(root / "sample_submission.csv", test[["id"]].assign(**{column: FILLERS[column]}))
    _write(root / "solution.csv", test)
    print(f"wrote   {root}: {len(train)} training and {len(test)} test images of handwritten digits, 10 uneven classes")
    return root


def _labels(images: np.ndarray, labels: np.ndarray, kind: str) -> tuple[str, np.ndarray]:
    """A column's name and values (N,): the digit's name; with its share of ink a number; what can be said of it."""
    if kind == "regression":
        return "amount", (labels + images.mean(axis=(1, 2)) / 16).round(4)
    if kind == "multilabel":
        true = [{"loop": digit in LOOPS, "odd": digit % 2 == 1, "small": digit < 5} for digit in labels]
        return "tags", np.array([" ".join(name for name in each if each[name]) for each in true], dtype=object)
    return "label", np.array(NAMES, dtype=object)[labels]


def _picture(digit: np.ndarray) -> Image.Image:
    """An 8×8 digit of 0 to 16 as a gray picture."""
    small = Image.fromarray((digit * 255 / 16).astype(np.uint8))
    return small.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)


def _write(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
