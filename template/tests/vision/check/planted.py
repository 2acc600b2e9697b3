"""A competition in which nothing is wrong, for faults to be planted in."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from vision.folds.test_duplicates import scene

TRAIN, TEST = 120, 60
SIZE = (40, 30)


def write_sound(root: Path, n_test: int = TEST, **labels: Any) -> pd.DataFrame:
    """train.csv, test.csv, their images and a sample submission; the training table. `labels` are its label columns."""
    rng = np.random.default_rng(5)
    labels = labels or {"label": rng.choice(["cat", "dog", "owl"], TRAIN, p=[0.5, 0.3, 0.2])}
    order = rng.permutation(9000)  # ids in no order
    for split, start, count in (("train", 0, TRAIN), ("test", TRAIN, n_test)):
        if not count:
            continue
        (root / split).mkdir(parents=True, exist_ok=True)
        ids = [f"i{number:04d}" for number in order[start : start + count]]
        for number, name in enumerate(ids):
            scene(start + number, SIZE).save(root / split / f"{name}.png")
        table = pd.DataFrame({"id": ids, "age": rng.integers(1, 90, count), "site": rng.choice(list("xyz"), count)})
        if split == "train":
            train = table.assign(**labels)
            train.to_csv(root / "train.csv", index=False)
        else:
            table.to_csv(root / "test.csv", index=False)
            first = {name: values[0] for name, values in labels.items()}
            table[["id"]].assign(**first).to_csv(root / "sample_submission.csv", index=False)
    return train
