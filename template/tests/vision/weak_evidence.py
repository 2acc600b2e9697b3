"""A small competition whose rows have two to seven images, most of which show the row's color."""

from pathlib import Path

import numpy as np
import pandas as pd
from vision.small import COLORS, picture

PATTERN = "{split}/{id}-*.png"
SHARE = 0.45  # of the images that show their row's color; the others show any of the three


def write_rows(root: Path, n_train: int = 90, n_test: int = 60) -> pd.Series:
    """train.csv, train/<id>-<k>.png, test/, sample_submission.csv and solution.csv; how many images each row has."""
    names = tuple(COLORS)
    rng, counts = np.random.default_rng(7), dict[str, int]()
    for split, n in (("train", n_train), ("test", n_test)):
        (root / split).mkdir(parents=True, exist_ok=True)
        rows = [(f"{split[:2]}{number:03d}", names[number % 3]) for number in range(n)]
        for row, label in rows:
            counts[row] = int(rng.integers(2, 8))
            for k in range(1, counts[row] + 1):
                shown = label if rng.random() < SHARE else names[rng.integers(3)]
                picture(shown, seed=int(rng.integers(2**31))).save(root / split / f"{row}-{k}.png")
        table = pd.DataFrame(rows, columns=["id", "label"])
        if split == "train":
            table.to_csv(root / "train.csv", index=False)
        else:
            table[["id"]].to_csv(root / "test.csv", index=False)
            table.to_csv(root / "solution.csv", index=False)
            table.assign(label=names[0]).to_csv(root / "sample_submission.csv", index=False)
    return pd.Series(counts)
