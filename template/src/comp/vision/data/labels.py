"""What columns of labels mean: one label per row, several, a yes or no, a number. Found by their values, or asked."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from comp.errors import CompError, plural, shown
from comp.tables import Kind, Targets, number_of
from comp.vision.data.own_columns import own_column

MANY = 20  # so many different numbers may be classes; of more, something has to say that they are
SEPARATORS = {"|": "bars", ";": "semicolons", ",": "commas", " ": "blanks"}  # of lists; the first that occurs
NO_AND_YES = (("0", "1"), ("-1", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
ASK_LISTS = "set data.kind=multilabel or data.kind=multiclass"
ASK_NUMBERS = "set data.kind=multiclass or data.kind=regression"


def find_targets(
    train: pd.DataFrame, columns: list[str], wanted: str, sample: Sequence[str] = ()
) -> tuple[pd.DataFrame, Targets]:
    """Moves the label columns of `train` into `target` (or `target_<label>`) and says what kind they are.

    `wanted` is data.kind; `sample` what the sample submission shows in its only column, if it has one.

    Raises:
        CompError: a label is missing, the labels do not fit the kind asked for, or they could be of several kinds.
    """
    own = [own_column(train, column) for column in columns]
    labels = train[own].set_axis(columns, axis=1).apply(lambda column: column.str.strip())
    lists = len(columns) == 1 and _are_lists(labels[columns[0]], wanted, sample)
    empty = labels.eq("").any(axis=1)
    if empty.any() and not lists:
        may_be = len(columns) == 1 and wanted == "auto"
        raise CompError(
            f"{plural(empty.sum(), 'training row has', 'training rows have')} no label in {shown(columns)}: ids "
            f"{shown(train['id'][empty])}: remove them from the table"
            + ", or set data.kind=multilabel if a row may have several labels, or none"
            * may_be
        )
    same = [column for column in columns if labels[column].nunique() < 2]
    if len(same) == len(columns):
        only = shown(labels[same[0]].unique())
        raise CompError(f"the label column {same[0]!r} has only one value, {only}: set data.target to another column")
    kept = train.drop(columns=own)
    if lists:
        return _listed(kept, labels[columns[0]])
    kind = _kind(labels, sample) if wanted == "auto" else wanted
    if kind == "multiclass" and len(columns) == 1:
        kept["target"] = labels[columns[0]]
        classes = tuple(sorted(set(kept["target"]), key=_numbers_before_words))
        _refuse_one_number_twice(classes)
        return kept, Targets("multiclass", classes)
    if kind == "regression":
        return _numbers(kept, labels)
    numbers = _zeros_and_ones(labels, kind)
    spelling = _no_and_yes(labels, numbers)
    if kind == "multiclass":
        several = numbers.sum(axis=1) != 1
        if several.any():
            raise CompError(
                f"data.kind=multiclass: {several.sum()} rows have not exactly one 1 in {shown(columns)}: "
                f"ids {shown(train['id'][several])}: correct them, or set data.kind=multilabel"
            )
        kept["target"] = numbers.idxmax(axis=1).astype(object)
        numbered = all(number_of(column) is not None for column in columns)
        classes = tuple(sorted(columns, key=_numbers_before_words) if numbered else columns)
        return kept, Targets("multiclass", classes, no_and_yes=spelling)
    if kind == "binary":
        if len(columns) != 1:
            raise CompError(f"data.kind=binary takes one label column, data.target names {len(columns)}")
        kept["target"] = numbers[columns[0]].astype(int)
        return kept, Targets("binary", (columns[0],), no_and_yes=spelling)
    for column in columns:
        kept[f"target_{column}"] = numbers[column].astype(int)
    return kept, Targets("multilabel", tuple(columns), no_and_yes=spelling)


def labels_in(cell: str, separator: str) -> list[str]:
    """The labels of a list, in its order."""
    return [label.strip() for label in cell.split(separator) if label.strip()]


def _kind(labels: pd.DataFrame, sample: Sequence[str]) -> Kind:
    if labels.shape[1] == 1:
        return _kind_of_one(labels.iloc[:, 0], sample)
    bits = labels.apply(as_bits)
    if not bits.isna().any(axis=None):
        return "multiclass" if (bits.sum(axis=1) == 1).all() else "multilabel"
    in_bits = bits.columns[bits.notna().all()]
    for column in labels:
        values = set(labels[column])
        numbers = [number_of(value) for value in values]
        if None in numbers:
            words = [value for value in values if number_of(value) is None]
            raise CompError(
                f"{labels.shape[1]} label columns, and {str(column)!r} holds words ({shown(sorted(words))}): set "
                "data.target to one of them, and train an experiment for each"
            )
        if column not in in_bits and len(numbers) <= MANY and all(number % 1 == 0 for number in numbers if number):
            raise CompError(
                f"{labels.shape[1]} label columns, and {str(column)!r} holds {shown(sorted(values))}: where these are "
                "classes, set data.target to one of the columns, and train an experiment for each; where they are "
                "quantities, set data.kind=regression"
            )
    return "regression"


def _kind_of_one(labels: pd.Series, sample: Sequence[str]) -> Kind:
    """Of a column without lists."""
    values = set(labels)
    numbers = [number_of(value) for value in values]
    known = [number for number in numbers if number is not None]
    if len(known) < len(values):
        if len(values) > max(MANY, len(labels) / 2):
            raise CompError(
                f"the label column {labels.name!r} has {len(values)} different values in {len(labels)} rows "
                f"({shown(sorted(values))}): set data.target to the column that holds classes, or data.kind=multiclass"
            )
        return "multiclass"
    if set(known) <= {0, 1}:
        return "binary"
    if len(known) > 2 and any((number_of(value) or 0) % 1 for value in sample):
        return "regression"  # one column has no room for the probabilities of so many classes
    whole, several = all(number.is_integer() for number in known), len(known) > MANY
    if not whole and several:
        return "regression"
    if whole and (not several or sorted(known) == list(range(len(known)))):
        return "multiclass"
    what = "whole numbers" if whole else "numbers"
    raise CompError(
        f"the label column {labels.name!r} holds {len(known)} different {what} from {min(known):g} to {max(known):g}: "
        f"they are classes or a quantity: {ASK_NUMBERS}"
    )


def _are_lists(cells: pd.Series, wanted: str, sample: Sequence[str]) -> bool:
    """Whether cells hold several labels each.

    Raises:
        CompError: they hold lists or phrases, and nothing tells which.
    """
    if wanted not in {"auto", "multilabel"} or as_bits(cells).notna().all():
        return False
    if wanted == "multilabel":
        return True
    distinct = set(cells) - {""}
    separator = _separator(distinct)
    if not separator or all(number_of(cell) is not None for cell in distinct):
        return False
    lists = [labels_in(cell, separator) for cell in distinct]
    in_cells = Counter(label for labels in lists for label in set(labels))
    lengths, sets = {len(labels) for labels in lists}, {frozenset(labels) for labels in lists}
    alone = {labels[0] for labels in lists if len(labels) == 1}
    others = [set(labels_in(cell, separator)) for cell in set(sample) - distinct]
    sure = (
        len(sets) < len(lists),  # the same labels in another order
        in_cells.keys() == alone,  # each also stands alone
        len(lengths) > 1 and len(lists) >= 2 * len(in_cells),  # far more combinations than labels
        any(len(labels) > 1 and labels <= in_cells.keys() for labels in others),  # one that no row has
        (separator in "|;" or all(number_of(label) is not None for label in in_cells)) and max(in_cells.values()) > 1,
    )
    if any(sure):
        return True
    if len(lists) <= len(in_cells):  # taking them apart makes nothing simpler
        return False
    parted = SEPARATORS[separator]
    raise CompError(
        f"the label column {cells.name!r} holds lists of labels, separated by {parted}, or classes whose names have "
        f"{parted} in them, such as {shown(sorted(distinct))}: {ASK_LISTS}"
    )


def _separator(cells: set[str]) -> str:
    """What parts the labels of a list in any of `cells`; empty where no cell has several."""
    return next((each for each in SEPARATORS if any(len(labels_in(cell, each)) > 1 for cell in cells)), "")


def _listed(kept: pd.DataFrame, cells: pd.Series) -> tuple[pd.DataFrame, Targets]:
    separator = _separator(set(cells)) or " "
    lists = [set(labels_in(cell, separator)) for cell in cells]
    classes = tuple(sorted(set().union(*lists), key=_numbers_before_words))
    _refuse_one_number_twice(classes)
    columns = {f"target_{name}": [int(name in labels) for labels in lists] for name in classes}
    return pd.concat([kept, pd.DataFrame(columns, index=kept.index)], axis=1), Targets(
        "multilabel", classes, separator=separator
    )


def _numbers(kept: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, Targets]:
    found = labels.map(number_of)
    _refuse_others(labels, found, "data.kind=regression needs numbers")
    targets = Targets("regression", tuple(map(str, labels.columns)))
    numbers = found.astype(np.float64).set_axis(targets.truth_columns, axis=1)
    return pd.concat([kept, numbers], axis=1), targets


def _zeros_and_ones(labels: pd.DataFrame, kind: str) -> pd.DataFrame:
    bits = labels.apply(as_bits)
    _refuse_others(labels, bits, f"data.kind={kind} needs labels 0 and 1")
    return bits


def _refuse_others(labels: pd.DataFrame, read: pd.DataFrame, needs: str) -> None:
    """Raises: CompError: some of `labels` could not be `read`, which is missing there."""
    wrong = read.isna()
    if wrong.any(axis=None):
        column = wrong.any().idxmax()
        values = sorted(set(labels[column][wrong[column]]))
        raise CompError(f"{needs}, column {column!r} holds {shown(values)}")


def as_bits(column: pd.Series) -> pd.Series:
    """(N,) 0 and 1, which no and yes, false and true, or -1 and 1 stand for as well; NaN of anything else."""
    values = {value: _plain(value) for value in set(column)}
    for no, yes in NO_AND_YES:
        if set(values.values()) <= {no, yes}:
            return column.map({value: float(text == yes) for value, text in values.items()})
    return pd.Series(np.nan, index=column.index)


def _plain(value: str) -> str:
    """As NO_AND_YES spell it: `1` of `1.0`, `true` of `True`."""
    number = number_of(value)
    return "0" if number == 0 else f"{number or value}".lower().removesuffix(".0")


def _plain_number(value: str) -> str:
    return value if number_of(value) is None else _plain(value)


def _no_and_yes(labels: pd.DataFrame, bits: pd.DataFrame) -> tuple[str, str]:
    """How `labels`, which are read as `bits`, spell 0 and 1: numbers without `.0`. 0 and 1 where columns differ."""
    for spelled in (_plain_number, _plain):
        no, yes = ({spelled(cell) for cell in set(labels.to_numpy()[bits.to_numpy() == bit])} for bit in (0, 1))
        if len(no) == len(yes) == 1:
            return no.pop(), yes.pop()
    return "0", "1"


def _refuse_one_number_twice(classes: tuple[str, ...]) -> None:
    values = [number_of(name) for name in classes]
    if None in values or len(set(values)) == len(values):
        return
    value = next(value for value in values if values.count(value) > 1)
    same = [name for name in classes if number_of(name) == value]
    raise CompError(f"the labels {shown(same)} are the same number: spell them alike, or set data.kind=regression")


def _numbers_before_words(label: str) -> tuple[int, float, str]:
    """Classes 2 and 10 in the order of numbers; words in the order of the alphabet."""
    number = number_of(label)
    return (1, 0.0, label) if number is None else (0, number, label)
