"""Labels that mean nothing are predicted at chance, however copies were made: none has its original in another fold."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from sklearn.metrics import roc_auc_score
from vision.folds.test_duplicates import scene, write

PAIRS, SEEDS = 60, 4
SIZE = (64, 48)
COPIES = {
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "a quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "three quarter turns": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "the upper left 95 %": lambda image: image.crop((0, 0, 61, 46)).resize(SIZE),
    "the lower right 90 %": lambda image: image.crop((6, 5, 64, 48)),
    "mirrored, 95 % of it, as a JPEG": lambda image: as_jpeg(ImageOps.mirror(image).crop((3, 0, 64, 46))),
}


def as_jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return Image.open(file).convert("RGB")


def nearest_of_other_folds(images, fold):
    """For each image the row of the one that looks most like it, in any orientation: what a network learns by heart."""
    small = np.stack([np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float64) for image in images])
    turns = [np.rot90(part, turn, (1, 2)) for part in (small, small[:, :, ::-1]) for turn in range(4)]
    flat = small.reshape(len(small), -1)
    far = np.min([((flat[:, None] - turn.reshape(len(small), -1)) ** 2).sum(axis=2) for turn in turns], axis=0)
    far[fold[:, None] == fold] = np.inf
    return far.argmin(axis=1)


def measured(images, configure, comp, repo, **folds):
    """The mean AUC over labels of several seeds; copies have their originals' labels."""
    aucs = []
    for seed in range(SEEDS):
        labels = np.random.default_rng(seed).permutation(np.arange(PAIRS) % 2)
        labels = np.concatenate([labels, labels])
        write(images, repo, label=np.array(["a", "b"])[labels]) if not seed else relabeled(repo, labels)
        configure(folds={"n": 5, **folds})
        assert comp("split", "--force")[0] == 0
        table = pd.read_csv(repo / "data" / "folds.csv", skiprows=1, dtype={"id": str})
        nearest = nearest_of_other_folds(images, table["fold"].to_numpy())
        aucs.append(roc_auc_score(labels, labels[nearest]))
    return np.mean(aucs)


def relabeled(repo, labels):
    path = repo / "data" / "train.csv"
    pd.read_csv(path, dtype=str).assign(label=np.array(["a", "b"])[labels]).to_csv(path, index=False)


@pytest.mark.parametrize("change", COPIES)
def test_noise_is_predicted_at_chance_with_planted_copies(change, repo, configure, comp):
    scenes = [scene(seed, SIZE) for seed in range(PAIRS)]
    auc = measured([*scenes, *(COPIES[change](image) for image in scenes)], configure, comp, repo)
    # Rows of a pair have one label, so PAIRS are independent: 0.075 for each seed, three standard errors of the mean.
    assert abs(auc - 0.5) <= 3 * np.sqrt((PAIRS + 1) / (3 * PAIRS**2)) / np.sqrt(SEEDS)


@pytest.mark.parametrize("change", ["mirrored", "a quarter turn", "the upper left 95 %"])
def test_without_groups_the_same_noise_is_predicted_well(change, repo, configure, comp):
    scenes = [scene(seed, SIZE) for seed in range(PAIRS)]
    images = [*scenes, *(COPIES[change](image) for image in scenes)]
    assert measured(images, configure, comp, repo, near_duplicates=None) > 0.75
