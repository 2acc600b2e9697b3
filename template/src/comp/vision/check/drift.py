"""Are train and test told apart (adversarial validation)? By pixels, files, columns, or a backbone's features."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from comp.runs.page import Card, Gallery, Plot, Section, Table
from comp.runs.page.figures import drawn, plain
from comp.runs.page.findings import Part
from comp.runs.separation import Fit, Measured, auc, out_of_part, parts_of
from comp.vision.check.alone import predicted
from comp.vision.check.backbone import backbone_features
from comp.vision.check.features import Feature, columns, file_features, pixel_features
from comp.vision.check.learners import boosted, logistic, logistic_of_directions
from comp.vision.check.pictures import thumbnail
from comp.vision.check.seen import Seen

LEAST_ROWS, FEW_ROWS, MOST_ROWS = 20, 100, 10_000  # of each table: to compare at all, to boost, to look at
DIFFERENT, TOLD_APART = 0.55, 0.8  # lower bounds of the AUC
FEATURES, PLOTS, PICTURES = 12, 3, 8


@dataclass(frozen=True)
class Compared:
    """A family of features: how well it tells test rows from training rows, and each row's score."""

    name: str
    measured: Measured
    scores: np.ndarray  # of `rows`
    rows: np.ndarray


def drift(seen: Seen) -> Part:
    part = Part(Section("Train and test"))
    readable = seen.readable[seen.first]
    train, test = (_some(np.flatnonzero(readable & mask)) for mask in (seen.is_train, ~seen.is_train))
    rows = np.concatenate([train, test])
    is_test = rows >= seen.n
    if min(is_test.sum(), (~is_test).sum()) < LEAST_ROWS:
        why = "there is no test set" if not len(seen.tables.test) else f"{is_test.sum()} test rows are too few"
        part.section.note = f"Not compared: {why}."
        part.lines = [f"drift   not compared: {why}"]
        return part
    families = {
        "pixels": pixel_features(seen),
        "files": file_features(seen),
        "columns": [each for each in columns(seen) if each.in_test and each.kind in {"number", "category"}],
    }
    found = [_compared(seen, name, _matrix(features, rows), rows) for name, features in families.items() if features]
    features, why_not, some = backbone_features(seen, rows)
    if features is not None:
        found.append(_compared(seen, "features", features, some, logistic_of_directions))
    alone = _alone(seen, families, rows)
    part.lines = _lines(found, why_not)
    worst = max(found, key=lambda each: each.measured.low)
    for each in sorted(found, key=lambda each: -each.measured.low):
        _tell(part, each, alone)
    part.section.note = (
        "Learned out of fold, duplicates and groups kept together. AUC 0.5: they cannot be told apart; 1: always. "
        "Ids, paths, groups and times are no features."
    )
    part.section.blocks = [_families(found, why_not), _ranked(seen, alone), *_plots(seen, alone)]
    if worst.measured.low >= DIFFERENT:
        part.section.blocks.append(_pictures(seen, worst))
    return part


def _some(rows: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(rows)[:MOST_ROWS])


def _matrix(features: list[Feature], rows: np.ndarray) -> np.ndarray:
    return np.column_stack([each.numbers[rows] for each in features])


def _compared(seen: Seen, name: str, x: np.ndarray, rows: np.ndarray, fit: Fit | None = None) -> Compared:
    """`x` (R, F), of `rows` (R,)."""
    is_test, group = rows >= seen.n, seen.group[rows]
    few = min(is_test.sum(), (~is_test).sum()) < FEW_ROWS
    part = parts_of(is_test.astype(np.int64), group)
    scores = np.nan_to_num(out_of_part(x, is_test, part, fit or (logistic if few else boosted)))
    return Compared(name, auc(scores, is_test, group), scores, rows)


def _alone(seen: Seen, families: dict[str, list[Feature]], rows: np.ndarray) -> list[tuple[str, Feature, Measured]]:
    """Each feature by itself, the one that tells most first."""
    is_test, group = rows >= seen.n, seen.group[rows]
    part, found = parts_of(is_test.astype(np.int64), group), []
    for name, features in families.items():
        for feature in features:
            bins = np.unique(feature.bins[rows], return_inverse=True)[1]
            scores = predicted(bins, is_test[:, None].astype(np.float64), part)[:, 0]
            found.append((name, feature, auc(scores, is_test, group)))
    return sorted(found, key=lambda each: -each[2].low)


def _lines(found: list[Compared], why_not: str) -> list[str]:
    lines = [f"drift   by {each.name}: AUC {each.measured}" for each in found]
    lines = [lines[0], *(f"        {line.removeprefix('drift   ')}" for line in lines[1:])]
    return [*lines, f"        by a backbone's features: not compared: {why_not}"] if why_not else lines


def _tell(part: Part, compared: Compared, alone: list[tuple[str, Feature, Measured]]) -> None:
    """Notes that a family of features differs, and names those of it that tell most."""
    measured = compared.measured
    named = [f"{feature.name!r}" for name, feature, own in alone if name == compared.name and own.low >= DIFFERENT]
    told = f"their {compared.name}: AUC {measured}" + (f" (most by {', '.join(named[:3])})" if named else "")
    if measured.low >= TOLD_APART:
        part.looks.append(f"train and test are told apart by {told}")
    elif measured.low >= DIFFERENT:
        part.looks.append(f"train and test differ by {told}")
    elif measured.low > 0.5:
        part.notes.append(f"train and test differ a little by {told}")


def _families(found: list[Compared], why_not: str) -> Table:
    rows = [[each.name, str(each.measured), f"{len(each.rows)}"] for each in found]
    note = f"No features of a backbone: {why_not}." if why_not else ""
    return Table("Told apart by", ["features", "AUC", "rows"], rows, note)


def _ranked(seen: Seen, alone: list[tuple[str, Feature, Measured]]) -> Table:
    table = Table("By one feature alone", ["feature", "of", "AUC", "train", "test"], text=frozenset({0, 1, 3, 4}))
    for name, feature, measured in alone[:FEATURES]:
        both = feature.values[: seen.n], feature.values[seen.n :]
        table.rows.append([feature.name, name, str(measured), *(_middle(feature, values) for values in both)])
    table.note = "Numbers: median, and where four fifths lie. Categories: the commonest."
    return table


def _middle(feature: Feature, values: np.ndarray) -> str:
    if feature.kind == "category":
        counts = pd.Series(values).value_counts(normalize=True).iloc[:3]
        return ", ".join(f"{value or 'missing'} {100 * share:.0f} %" for value, share in counts.items())
    known = values[~np.isnan(values)]
    if not len(known):
        return "missing"
    low, middle, high = np.quantile(known, [0.1, 0.5, 0.9])
    return f"{middle:.4g} ({low:.4g} to {high:.4g})"


def _plots(seen: Seen, alone: list[tuple[str, Feature, Measured]]) -> list[Plot]:
    numbers = [feature for _, feature, _ in alone if feature.kind == "number"][:PLOTS]
    if not numbers:
        return []
    figure, axes = drawn(9, 2.6, columns=len(numbers))
    for place, feature in zip(axes[0], numbers, strict=True):
        known = feature.values[~np.isnan(feature.values)]
        edges = np.histogram_bin_edges(known, 40)
        for which, values in (("train", feature.values[: seen.n]), ("test", feature.values[seen.n :])):
            place.hist(values[~np.isnan(values)], bins=edges, density=True, histtype="step", label=which)
        place.set(xlabel=plain(feature.name), yticks=[])
    axes[0][0].legend()
    return [Plot("The strongest of them", figure)]


def _pictures(seen: Seen, worst: Compared) -> Gallery:
    """Test images that are least like training images, by `worst`."""
    of_test = np.flatnonzero(worst.rows >= seen.n)
    rows = worst.rows[of_test[np.argsort(-worst.scores[of_test], kind="stable")]][:PICTURES].tolist()
    cards = [Card([thumbnail(seen, int(seen.first[row]))], [seen.ids[row]]) for row in rows]
    return Gallery(f"Test images least like training images, by their {worst.name}", cards)
