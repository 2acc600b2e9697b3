"""How many rows each class has, how numbers are spread, and what stands in the columns."""

from collections import Counter

import numpy as np
import pandas as pd

from comp.errors import shown
from comp.runs.page import Plot, Section, Table
from comp.runs.page.figures import drawn, plain
from comp.runs.page.findings import Part
from comp.vision.check.features import Feature, columns
from comp.vision.check.images import with_share
from comp.vision.check.seen import Seen
from comp.vision.data.own_columns import users_names

MOST_CLASSES, BARS = 60, 40
UNBALANCED = 20  # the largest class by the smallest


def classes(seen: Seen) -> Part:
    targets, y = seen.tables.targets, seen.tables.targets.encode(seen.tables.train)
    if targets.kind == "regression":
        return _numbers(seen, y)
    part = Part(Section("Classes"))
    names, counts = list(targets.classes), y.sum(axis=0)
    if targets.kind == "binary":
        names, counts = [f"{names[0]} = 0", f"{names[0]} = 1"], np.array([len(y) - counts[0], counts[0]])
    order = np.argsort(-counts, kind="stable")
    table = Table("", ["class", "rows"])
    table.rows = [[names[k], with_share(counts[k], len(y))] for k in order[:MOST_CLASSES]]
    table.note = f"the {MOST_CLASSES} largest of {len(names)}" if len(names) > MOST_CLASSES else ""
    part.section.blocks = [_bars([names[k] for k in order[:BARS]], counts[order[:BARS]]), table]
    most, least = order[0], order[-1]
    ends = [f"{names[k]!r} {with_share(counts[k], len(y))}" for k in (most, least)]
    part.lines = [f"classes {targets.kind}, {len(names)}: {ends[0]} to {ends[1]}"]
    if targets.kind == "multilabel":
        per_row = y.sum(axis=1)
        part.lines.append(f"        {per_row.mean():.2f} labels a row, {int((per_row == 0).sum())} rows have none")
        constant = [name for name, count in zip(names, counts, strict=True) if count in {0, len(y)}]
        if constant:
            part.looks.append(f"labels that all rows have, or none: {shown(constant)}")
    rare = [name for name, count in zip(names, counts, strict=True) if count < seen.config.folds.n]
    if rare:
        part.looks.append(f"fewer rows than folds (folds.n={seen.config.folds.n}) in {shown(rare)}")
    elif counts[most] > UNBALANCED * counts[least]:
        part.notes.append(
            f"the largest class has {counts[most] / max(counts[least], 1):.0f} times the rows of the smallest: see "
            "train.logit_adjustment, train.sampler, train.class_weights"
        )
    return part


def _numbers(seen: Seen, y: np.ndarray) -> Part:
    names, part = seen.tables.targets.classes, Part(Section("Targets"))
    table = Table("", ["number", "least", "10 %", "median", "90 %", "most", "mean", "std"])
    for name, values in zip(names, y.T, strict=True):
        found = [*np.quantile(values, [0, 0.1, 0.5, 0.9, 1]), values.mean(), values.std()]
        table.rows.append([name, *(f"{value:.4g}" for value in found)])
    shown_names = names[:6]
    figure, axes = drawn(min(9, 3 * len(shown_names) + 1), 2.6, columns=len(shown_names))
    for place, name, values in zip(axes[0], shown_names, y.T, strict=False):
        place.hist(values, bins=40)
        place.set(xlabel=plain(name), ylabel="rows")
    part.section.blocks = [Plot("", figure), table]
    first = table.rows[0]
    part.lines = [f"numbers {len(names)} a row; {first[0]!r} from {first[1]} to {first[5]}, mean {first[6]}"]
    constant = [name for name, values in zip(names, y.T, strict=True) if values.std() == 0]
    if constant:
        part.stops.append(f"targets that are one number in all rows: {shown(constant)}: set data.target to the others")
    return part


def _bars(names: list[str], counts: np.ndarray) -> Plot:
    figure, [[axes]] = drawn(7, 0.9 + 0.22 * len(names))
    places = np.arange(len(names))[::-1]
    axes.barh(places, counts)
    axes.set_yticks(places, [plain(name) for name in names])
    axes.set(xlabel="training rows")
    return Plot("", figure)


def tables(seen: Seen) -> Part:
    """A line for each column, as the training and the test table have it."""
    part, found = Part(Section("Columns")), columns(seen)
    table = Table("", ["column", "kind", "missing", "different", "in train", "in test"], text=frozenset({0, 1, 4, 5}))
    for each in found:
        train, test = each.values[: seen.n], each.values[seen.n :]
        missing = _missing(each, each.values[: seen.n])
        in_test = _about(each, test) if each.in_test else "no such column"
        distinct = pd.Series(train[~missing]).nunique()
        row = [each.name, each.kind, with_share(missing.sum(), seen.n), str(distinct), _about(each, train), in_test]
        table.rows.append(row)
    part.section.blocks = [table] if found else []
    part.section.note = "" if found else "The tables have no columns besides ids, images, targets and groups."
    lacking = [each.name for each in found if not each.in_test]
    in_train = users_names(seen.tables.train)
    only_test = [name for name in users_names(seen.tables.test) if name not in in_train]
    kinds = Counter(each.kind for each in found)
    about = ", ".join(f"{count} of kind {kind}" for kind, count in kinds.items()) or "none besides ids and targets"
    part.lines = [f"columns {about}"]
    if lacking and len(seen.tables.test):
        part.lines.append(f"        test rows lack {shown(lacking)}")
    if only_test and len(seen.tables.test):
        part.lines.append(f"        training rows lack {shown(only_test)}")
    return part


def _missing(feature: Feature, values: np.ndarray) -> np.ndarray:
    return values == "" if feature.kind in {"category", "text"} else np.isnan(values.astype(np.float64))


def _about(feature: Feature, values: np.ndarray) -> str:
    """The commonest values and their shares, or the range of a number."""
    known = values[~_missing(feature, values)]
    if not len(known):
        return "none"
    if feature.kind in {"number", "counter"} and len(np.unique(known)) > 2:
        low, middle, high = np.quantile(known.astype(np.float64), [0, 0.5, 1])
        return f"{low:.4g} to {high:.4g}, median {middle:.4g}"
    counts = pd.Series(known).value_counts(normalize=True)
    if feature.kind == "text":
        return f"such as {str(counts.index[0])[:40]!r}"
    return ", ".join(f"{str(value)[:30]} {100 * share:.0f} %" for value, share in counts.iloc[:4].items())
