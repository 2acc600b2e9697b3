"""Does a column, or the file of an image, tell the target alone? A leak if the test rows lack it, or else a gift."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from comp.runs.page import Section, Table
from comp.runs.page.findings import Part
from comp.tables import number_of
from comp.vision.check.alone import Told, rows_to_look_at, told
from comp.vision.check.features import Feature, columns, file_features
from comp.vision.check.seen import Seen
from comp.vision.pixels.statistics import STATISTICS

TELLS, TELLS_ALL = 0.2, 0.8  # above chance, from 0 to 1: an AUC of 0.6 and of 0.9
NAMED, LEAST_LETTERS = 0.9, 2  # the share of ids that hold their row's label, which has so many letters
LOSSLESS = {b"PNG", b"GIF", b"BMP"}  # formats whose files' sizes follow from what they show
LINES = 5  # that are printed
MANY = 0.05  # values by rows: so many are rather groups than a category
ROW_ORDER, ID_ORDER = "place in the table", "order of the ids"


def gifts(seen: Seen) -> Part:
    """Each column, the facts of the files, and the order of rows and ids, each alone."""
    part = Part(Section("What gives the target away"))
    by_folder = _ids_are_class_folders(seen)
    candidates = [each for each in columns(seen) if each.kind in {"number", "category", "counter"}]
    own = len(candidates)
    candidates += [each for each in file_features(seen) if len(set(each.bins[: seen.n])) > 1]
    candidates += [] if by_folder else _orders(seen)
    rows = rows_to_look_at(seen.n)
    y, group = seen.tables.targets.encode(seen.tables.train)[rows], seen.group[: seen.n][rows]
    found: list[tuple[Feature, Told]] = []
    for number, feature in enumerate(candidates):
        result = told(_without_gaps(feature.bins[: seen.n][rows]), y, seen.tables.targets, group, len(candidates))
        if result is not None:
            found.append((feature, result))
            if result.above_chance >= TELLS:
                _tell(part, seen, feature, result, of_table=number < own)
    found.sort(key=lambda each: -each[1].above_chance)
    table = Table("", ["alone", "predicts", "test rows have it"], text=frozenset({0, 1, 2}))
    table.rows = [[feature.name, str(result), "yes" if feature.in_test else "no"] for feature, result in found]
    part.section.note = (
        "Out of fold, from nothing else; intervals allow for the number of columns. Chance is an AUC of 0.5, or a "
        "correlation of 0."
    )
    part.section.blocks = [table] if found else []
    if not by_folder:
        _tell_names(part, seen)
    part.lines = _lines(found)
    return part


def _lines(found: list[tuple[Feature, Told]]) -> list[str]:
    if not found:
        return ["gifts   too few rows to say what a column tells of the target"]
    lines = [f"{feature.name!r} alone: {result}" for feature, result in found]
    strong = sum(result.above_chance >= TELLS for _, result in found)
    if not strong:
        return [f"gifts   none of {len(found)} columns and facts of files gives the target away (best: {lines[0]})"]
    return [f"gifts   {lines[0]}", *(f"        {line}" for line in lines[1 : min(strong, LINES)])]


def _tell(part: Part, seen: Seen, feature: Feature, result: Told, of_table: bool) -> None:
    """Notes what is to be made of a feature that tells much; `of_table`: it is a column."""
    what = f"{feature.name!r} alone predicts the target: {result}"
    if feature.name == ROW_ORDER or (feature.name == ID_ORDER and not _interleave(seen)):
        part.notes.append(f"{what}: the rows are sorted, and the test rows stand elsewhere: nothing to use")
    elif of_table and feature.kind == "category" and len(set(feature.values)) > MANY * seen.n:
        part.looks.append(f"{what}: if rows of one value belong together, set data.group={feature.name}")
    elif not feature.in_test and len(seen.tables.test):
        part.looks.append(f"{what}, and test rows lack it: a leak: train on nothing that has it")
    elif feature.name == ID_ORDER:
        part.looks.append(f"{what}, and test ids stand between them: a leak, or a gift")
    elif of_table:
        kept = part.looks if result.above_chance >= TELLS_ALL else part.notes
        use = f"model.metadata=[{feature.name}]"
        kept.append(f"{what}: a leak, or a gift ('{use}', stack.features)")
    else:
        _tell_of_files(part, seen, feature, result, what)


def _tell_of_files(part: Part, seen: Seen, feature: Feature, result: Told, what: str) -> None:
    if feature.name.startswith("bytes") and set(seen.looks["format"]) <= LOSSLESS:
        part.notes.append(f"{what}: files without loss are the larger, the more there is in an image")
        return
    use = " ('stack.features=[image_statistics]')" if feature.name in STATISTICS else ""
    kept = part.looks if result.above_chance >= TELLS_ALL else part.notes
    kept.append(f"{what}: an artifact of the files, or a gift{use}")


def _without_gaps(bins: np.ndarray) -> np.ndarray:
    return np.unique(bins, return_inverse=True)[1]


def _orders(seen: Seen) -> list[Feature]:
    places = np.arange(seen.n, dtype=np.float64)
    return [Feature(ROW_ORDER, places, "number"), Feature(ID_ORDER, _rank_of_ids(seen), "number")]


def _rank_of_ids(seen: Seen) -> np.ndarray:
    """(N + T,) by their numbers where all have one, else by the alphabet."""
    ids = pd.Series(seen.ids, dtype=object).astype(str)
    numbers = ids.str.extract(r"(\d+)(?!.*\d)")[0]
    key = numbers.astype(np.float64) if numbers.notna().all() else ids
    return key.rank(method="dense").to_numpy(dtype=np.float64)


def _interleave(seen: Seen) -> bool:
    """Whether the ids of most test rows lie between those of training rows."""
    rank = _rank_of_ids(seen)
    train, test = rank[: seen.n], rank[seen.n :]
    return bool(len(test)) and bool(((test > train.min()) & (test < train.max())).mean() > 0.5)


def _ids_are_class_folders(seen: Seen) -> bool:
    train = seen.tables.train
    if "target" not in train:
        return False
    pairs = zip(train["id"], train["target"].astype(str), strict=True)
    return all(name.startswith(f"{label}/") for name, label in pairs)


def _tell_names(part: Part, seen: Seen) -> None:
    """Ids and texts that have their row's label in them, as the file names of some sets do."""
    if seen.tables.targets.kind != "multiclass":
        return
    labels = seen.tables.train["target"].astype(str).str.lower()
    if (labels.str.len() < LEAST_LETTERS).any() or all(number_of(name) is not None for name in labels.unique()):
        return
    places: dict[str, Iterable[object]] = {"id": seen.ids[: seen.n], "path": seen.tables.train["path"]}
    places |= {each.name: each.values[: seen.n] for each in columns(seen) if each.kind == "text"}
    for name, values in places.items():
        share = _share(values, labels)
        if share >= NAMED and _share(values, labels.sample(frac=1, random_state=0)) < share / 2:
            where = "the names of their files" if name == "path" else f"{name!r}"
            told = f"{share:.0%} of the rows have their label in {where}"
            part.looks.append(f"{told}: a leak, unless test rows have it too")
            if name == "id":
                return  # files are called by their ids


def _share(values: Iterable[object], labels: pd.Series) -> float:
    names = [str(value).rpartition("/")[2].lower() for value in values]
    return float(np.mean([label in name for name, label in zip(names, labels, strict=True)]))
