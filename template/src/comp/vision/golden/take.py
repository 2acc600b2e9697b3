"""`comp golden`: sets images of each class aside, before anything else, to test on at the end."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from comp.folds import folds_path
from comp.tables import Tables
from comp.vision.data.golden import golden_path, write_golden
from comp.vision.data.paths import all_paths, id_and_images
from comp.vision.data.read import read_tables
from comp.vision.data.settle import settled_data
from comp.vision.folds.duplicates import find_duplicates, joined_groups
from comp.vision.kinds import refuse_kind
from comp.vision.schema import ImageConfig, TakeGolden

POWER = 1.959964 + 0.841621  # standard errors that a difference must have to be found (p < .05) in 80 % of the tries
LEAST_FITTING = (1.0, 0.75, 0.5, 0.0)  # shares of a group that its classes have room for, round by round
DISCORDANT = (0.2, 0.4)  # shares of images on which one of two runs is right and the other is not


def golden(config: ImageConfig) -> Path:
    """Writes `golden.csv` where there is none yet, and tells what stands in it.

    Raises:
        CompError: rows have several labels, or a class has no row to spare; the file there does not fit the data.
    """
    path = golden_path(config.data)
    tables = read_tables(config.data)
    print("\n".join(tables.notes))
    if tables.golden is not None:
        print(f"golden  {path} exists and fits: kept")
        _tell(len(tables.golden.truth), config.metric)
        return path
    refuse_kind("comp golden", tables.targets)
    data = settled_data(config.data, all_paths(tables.train))
    both = pd.concat([id_and_images(tables.train), id_and_images(tables.test)], ignore_index=True)
    every = Tables(both, both.iloc[:0], None, tables.targets)
    sets = find_duplicates(every, data, config.folds.near_duplicates, path.parent / "cache").near
    group = joined_groups(tables.train, sets[: len(tables.train)])
    label = tables.train["target"].astype(str).to_numpy()
    role = chosen(tables.train["id"].to_numpy(dtype=str), label, group, config.golden)
    repeats = np.isin(sets[len(tables.train) :], sets[: len(tables.train)][role == "golden"])
    test_role = np.where(repeats, "copy", "test").astype(object)
    settings = config.golden.model_dump() | {"near_duplicates": config.folds.near_duplicates}
    write_golden(path, tables, role, test_role, settings)
    print(f"golden  {path} written")
    _print_classes(tables, label, role, config.golden)
    copies = int((test_role == "copy").sum())
    if copies:
        print(f"        {copies} test images repeat a golden one: they are predicted, but never pseudo-labels")
    _tell(int((role == "golden").sum()), config.metric)
    if folds_path(config).exists():
        print(f"        {folds_path(config)} is older, and has golden rows in its folds: run comp split --force")
    return path


def chosen(ids: np.ndarray, label: np.ndarray, group: np.ndarray, settings: TakeGolden) -> np.ndarray:
    """What each row (N,) is: golden, left out, or train. The same for the same rows in any order.

    Whole groups are taken, in random order, the rarest class first. Rows of a taken group that their class has no room
    for are left out. Groups that fit come first.
    """
    order = np.argsort(ids, kind="stable")
    classes, of_class = np.unique(label[order], return_inverse=True)
    _, of_group = np.unique(group[order].astype(str), return_inverse=True)
    room = np.array([quota(int(count), settings) for count in np.bincount(of_class)])
    members = pd.Series(np.arange(len(order))).groupby(of_group).indices
    shuffled = np.random.default_rng(settings.seed).permutation(len(members))
    role = np.full(len(order), "train", dtype=object)
    for least in LEAST_FITTING:
        for number in np.argsort(room, kind="stable"):
            for each in shuffled[np.isin(shuffled, of_group[(of_class == number) & (role == "train")])]:
                if not room[number]:
                    break
                rows = members[each]
                fits = _fitting(of_class[rows], room)
                if fits[of_class[rows] == number].any() and fits.mean() >= least:
                    role[rows] = np.where(fits, "golden", "left out")
                    room -= np.bincount(of_class[rows][fits], minlength=len(classes))
    result = np.empty_like(role)
    result[order] = role
    return result


def quota(count: int, settings: TakeGolden) -> int:
    """How many rows of a class of `count` are golden: as many as asked for, or the share that it can give."""
    return min(settings.per_class, math.floor(settings.most * count))


def smallest_difference(n: int, discordant: float) -> float:
    """The difference of two accuracies on the same `n` images that is found (p < .05) with a power of 80 %, where the
    two runs differ in whether they are right on the share `discordant` of them."""
    return POWER * math.sqrt(discordant / n)


def _fitting(of_class: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Which rows of a group its classes have room for."""
    place = pd.Series(of_class).groupby(of_class).cumcount().to_numpy()
    return np.asarray(place < room[of_class])


def _print_classes(tables: Tables, label: np.ndarray, role: np.ndarray, settings: TakeGolden) -> None:
    names = tables.targets.classes if tables.targets.kind == "multiclass" else ("0", "1")
    width = max(map(len, names))
    print(f"        {'':{width}}   rows  golden  left out")
    for name in names:
        own = role[label == name]
        golden, left_out = int((own == "golden").sum()), int((own == "left out").sum())
        few = f"  {settings.most:.0%} of it, not {settings.per_class}" if golden < settings.per_class else ""
        print(f"        {name:{width}} {len(own):6} {golden:7} {left_out:9}{few}")


def _tell(n: int, metric: str) -> None:
    few, many = (f"{100 * smallest_difference(n, share):.1f} points" for share in DISCORDANT)
    print(f"        {n} golden images; the primary metric is {metric}")
    print(
        f"        smallest difference of two accuracies that it shows (p < .05, power 80 %): {few} where two runs "
        f"differ on {DISCORDANT[0]:.0%} of the images, {many} on {DISCORDANT[1]:.0%}"
    )
