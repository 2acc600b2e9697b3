"""What the sample submission asks for: labels, probabilities or numbers, in which columns, of which classes.

It is settled from the sample, the targets and the configuration alone: `comp split` and `comp train` refuse before any
training what `comp submit` would refuse after it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from comp.errors import CompError, shown
from comp.registry import find, metrics_for, needs_probabilities
from comp.tables import Tables, Targets, asked_for, number_of, spelled_as
from comp.vision.data.labels import NO_AND_YES, SEPARATORS, labels_in
from comp.vision.data.sample_submission import read_sample
from comp.vision.data.several import check_several
from comp.vision.kinds import refuse_settings
from comp.vision.metrics import refuse_metrics
from comp.vision.schema import ImageConfig
from comp.vision.submission.columns import columns_of, holds_no, positive_class
from comp.vision.submission.corrections import refuse_postprocess

FILLERS = {"0", "1", "-1", "none", "null", "nan", "na", "tbd", "unknown", "label", "class", "?", "xxx"}
WHOLE = re.compile(r"-?(0|[1-9]\d*)")
WHOLE_AS_FRACTION = re.compile(r"-?(0|[1-9]\d*)\.0+")


@dataclass(frozen=True)
class Form:
    """Without the id's column. A column holds `places`' class of the predictions; where one names classes, none."""

    columns: list[str]
    places: list[int]
    values: Literal[
        "labels", "probabilities", "numbers", "lists", "top"
    ]  # lists: of a row's labels; top: likeliest first
    spelling: list[str]  # of labels in one column: as each class is written; else no and yes
    about: str  # in words
    separator: str = " "  # of lists
    depth: int = 1  # how many classes a list of the likeliest has
    empty: bool = False  # of lists: a row may have none
    of_no: bool = False  # the probability column of a yes or no is for no

    @property
    def is_choice(self) -> bool:
        """Whether one column names the class."""
        return self.values == "labels" and not self.places


def form_of(sample: pd.DataFrame | None, targets: Targets, config: ImageConfig) -> Form:
    """The form of the submission.

    Raises:
        CompError: columns or label spellings do not match the targets, or it is not clear which class a column is for.
    """
    if sample is None:
        return _without_sample(targets, config)
    columns = list(sample.columns[1:])
    if targets.kind == "regression":
        places = [0] if len(columns) == len(targets.classes) == 1 else columns_of(columns, targets)
        return Form(columns, places, "numbers", [], _about(columns, places, "numbers", targets))
    if targets.kind == "multilabel" and len(columns) == 1 and len(targets.classes) > 1:
        return _lists(sample.iloc[:, 1], targets)
    values = _values(sample, targets, config)
    if targets.kind == "multiclass" and len(columns) == 1:
        if values == "labels":
            return _of_one_column(sample.iloc[:, 1], targets, config)
        if len(targets.classes) != 2:
            raise CompError(
                f"the sample submission has one column {columns[0]!r}, {len(targets.classes)} classes do not fit "
                "into it as probabilities: set submit.values=labels"
            )
        place, why = positive_class(columns[0], targets, config.submit.positive)
        about = f"{columns[0]!r} is the probability of {targets.classes[place]!r} ({why})"
        return Form(columns, [place], "probabilities", [], about)
    places = columns_of(columns, targets)
    bits = _bit_spelling(sample, targets) if values == "labels" else []
    return _of_columns(columns, places, values, bits, targets, config)


def expected_form(config: ImageConfig, tables: Tables) -> str:
    """What the submission of `tables` will look like, in words. To be asked before a training.

    Raises:
        CompError: sample submission, test rows, targets, metrics and losses do not fit together.
    """
    refuse_metrics(metrics_for([config.metric, *config.metrics], tables.targets.kind), tables.targets)
    refuse_settings(config.train, tables.targets)
    refuse_postprocess(config.submit, tables.targets)
    check_several(config, tables)
    sample, _ = read_sample(config.data)
    predicted = tables.test["id"][asked_for(tables.test["id"])]
    if sample is not None:
        _refuse_a_row_for_each_class(sample.iloc[:, 0], set(predicted))
    form = form_of(sample, tables.targets, config)
    if sample is not None:
        refuse_other_ids(sample, predicted)
    return form.about


def refuse_other_ids(sample: pd.DataFrame, predicted: pd.Series) -> None:
    """Raises CompError where the sample submission has other ids than those that are predicted."""
    ids = sample.iloc[:, 0]
    missing, extra = sorted(set(ids) - set(predicted)), sorted(set(predicted) - set(ids))
    if missing or extra:
        parts = [f"{len(missing)} of its ids are not predicted ({shown(missing)})"] if missing else []
        parts += [f"{len(extra)} predicted ids are not in it ({shown(extra)})"] if extra else []
        raise CompError(
            f"the sample submission does not fit the test rows: {'; '.join(parts)}: "
            "set data.test or data.sample_submission to files of the same rows"
        )


def _refuse_a_row_for_each_class(ids: pd.Series, predicted: set[str]) -> None:
    """Raises: CompError: each id is that of a test row and one word more, several for each row."""
    rows = ids.str.rpartition("_")[0].where(lambda row: row.isin(predicted), ids.str.rpartition("-")[0])
    if len(ids) > len(set(rows)) and set(rows) <= predicted:
        raise CompError(
            f"the sample submission has a row for each test row and class ({shown(ids, 2)}), and comp writes a row for "
            "each test row: set data.sample_submission to a file with the test rows' ids and a column for each class, "
            "and stack the columns of what comp submit writes (pandas: melt)"
        )


def _without_sample(targets: Targets, config: ImageConfig) -> Form:
    if targets.separator and config.submit.values != "probabilities":
        about = f"lists of labels in 'label', separated by {SEPARATORS[targets.separator]}"
        return Form(["label"], [], "lists", list(targets.classes), about, targets.separator)
    if targets.kind == "multiclass" and config.submit.values != "probabilities":
        depth = getattr(find("metric", config.metric), "depth", 1)
        if depth > 1:
            return _top("label", list(targets.classes), " ", depth, config)
        return Form(["label"], [], "labels", list(targets.classes), "labels in 'label'")
    columns, places = list(targets.classes), list(range(len(targets.classes)))
    if targets.kind == "regression":
        return Form(columns, places, "numbers", [], _about(columns, places, "numbers", targets))
    if config.submit.values == "labels":
        return _of_columns(columns, places, "labels", list(targets.no_and_yes), targets, config)
    return _of_columns(columns, places, "probabilities", [], targets, config)


def _of_columns(
    columns: list[str],
    places: list[int],
    values: Literal["labels", "probabilities"],
    bits: list[str],
    targets: Targets,
    config: ImageConfig,
) -> Form:
    """A column for each class or label; `bits` are no and yes as labels are written."""
    of_no = targets.kind == "binary" and values == "probabilities" and holds_no(targets, config.submit.positive)
    return Form(columns, places, values, bits, _about(columns, places, values, targets, bits, of_no), of_no=of_no)


def _of_one_column(shows: pd.Series, targets: Targets, config: ImageConfig) -> Form:
    """Labels in one column: the likeliest, or a list of the likeliest, as the sample shows, or else the metric says."""
    column = str(shows.name)
    cells = set(shows) - set(targets.classes) - {""}
    separator, depth = _depth(cells, targets)
    if depth > 1:
        return _top(column, _list_spelling(cells, separator, targets, config), separator, depth, config)
    spelling = _label_spelling(shows, targets, config)
    depth = getattr(find("metric", config.metric), "depth", 1)
    if depth > 1 and len(set(shows)) == 1:  # a filler
        return _top(column, spelling, " ", depth, config)
    return Form([column], [], "labels", spelling, f"labels in {column!r}, such as {spelling[0]!r}")


def _depth(cells: set[str], targets: Targets) -> tuple[str, int]:
    """How lists in `cells`, which are no classes themselves, are separated, and how many labels the longest has."""
    spelled = spelled_as(targets.classes)
    for separator in SEPARATORS:
        lists = [labels_in(cell, separator) for cell in cells]
        known = [sum(spelled(label) in targets.classes for label in labels) for labels in lists]
        if any(len(labels) > 1 and count >= len(labels) - 1 for labels, count in zip(lists, known, strict=True)):
            return separator, max(map(len, lists))
    return " ", 1


def _list_spelling(cells: set[str], separator: str, targets: Targets, config: ImageConfig) -> list[str]:
    """Each class as lists spell it.

    Raises:
        CompError: a label of the lists is no class, and not the one for rows of no known class.
    """
    labels = {label for cell in cells for label in labels_in(cell, separator)}
    spelled = spelled_as(targets.classes)
    _refuse_new(sorted(label for label in labels if spelled(label) not in targets.classes), targets, config)
    return [_spelled_like(sorted(labels), name) for name in targets.classes]


def _top(column: str, spelling: list[str], separator: str, depth: int, config: ImageConfig) -> Form:
    depth = min(depth, len(spelling) + (config.submit.new is not None))
    about = f"the {depth} likeliest in {column!r}, the best first, separated by {SEPARATORS[separator]}"
    if config.submit.new is not None:
        about += f"; {config.submit.new!r} before those below {config.submit.new_below:g}"
    return Form([column], [], "top", spelling, about, separator, depth)


def _lists(shows: pd.Series, targets: Targets) -> Form:
    """Lists of labels, separated as the sample's are, or else as those of the training rows."""
    cells, classes = set(shows) - {""}, targets.classes
    spelled = spelled_as(classes)
    found = [each for each in SEPARATORS if any(len(labels_in(cell, each)) > 1 for cell in cells - set(classes))]
    separator = next(iter(found), targets.separator or " ")
    labels = sorted({label for cell in cells for label in labels_in(cell, separator)})
    strange = [label for label in labels if spelled(label) not in classes and label.lower() not in FILLERS]
    if strange:
        raise CompError(
            f"the sample submission lists labels in {shows.name!r} that no training row has: {shown(strange)}; there "
            f"are {shown(classes, 6)}: set data.target to the columns that hold those labels"
        )
    about = f"lists of labels in {shows.name!r}, separated by {SEPARATORS[separator]}"
    spelling = [_spelled_like(labels, name) for name in classes]
    return Form([str(shows.name)], [], "lists", spelling, about, separator, empty=bool((shows == "").any()))


def _values(sample: pd.DataFrame, targets: Targets, config: ImageConfig) -> Literal["labels", "probabilities"]:
    """What the configuration says, what the sample shows, or what the metric needs."""
    if config.submit.values != "auto":
        return config.submit.values
    shows = sample.iloc[:, 1:]
    numbers = shows.apply(pd.to_numeric, errors="coerce")
    fractions = bool((numbers.notna() & (numbers % 1 != 0)).any(axis=None))
    wanted = needs_probabilities(config.metric)
    if targets.kind == "multiclass":
        if shows.shape[1] > 1:
            return "probabilities"
        if _shows_labels(shows.iloc[:, 0], targets):
            return "labels"
        wanted = wanted and len(targets.classes) == 2  # more do not fit into one column
    return "probabilities" if fractions or wanted else "labels"


def _shows_labels(values: pd.Series, targets: Targets) -> bool:
    """Whether a column holds labels of the training rows, or words where probabilities would be numbers."""
    strange = set(values) - set(targets.classes)
    return not strange or any(number_of(value) is None and value.lower() not in {"", *FILLERS} for value in strange)


def _about(
    columns: list[str],
    places: list[int],
    values: str,
    targets: Targets,
    bits: Sequence[str] = (),
    of_no: bool = False,
) -> str:
    """`probabilities: 'prob_cat' of 'cat', 'prob_dog' of 'dog' and 3 more`."""
    what = f"labels {bits[0]} and {bits[1]}" if bits else values
    if targets.kind == "binary":
        value = "0 (submit.positive)" if of_no else "1"
        holds = what if bits else f"the probability of {targets.classes[0]!r} = {value}"
        return f"{columns[0]!r} is {holds}" + _other_values(values)
    pairs = [
        repr(column) if column == targets.classes[place] else f"{column!r} of {targets.classes[place]!r}"
        for column, place in zip(columns, places, strict=True)
    ]
    more = f" and {len(pairs) - 6} more" if len(pairs) > 6 else ""
    return f"{what} in {', '.join(pairs[:6])}{more}{_other_values(values)}"


def _other_values(values: str) -> str:
    return " (submit.values=probabilities: probabilities)" if values == "labels" else ""


def _label_spelling(shows: pd.Series, targets: Targets, config: ImageConfig) -> list[str]:
    """Each class as it is written: as in the training rows, or as numbers of the sample's kind, `0` or `0.0`.

    Raises:
        CompError: the sample spells labels otherwise, and not as fillers.
    """
    strange = sorted(set(shows) - set(targets.classes) - {"", config.submit.new})
    if not strange or set(shows) & set(targets.classes):
        _refuse_new(strange, targets, config)
        return list(targets.classes)
    if all(number_of(name) is not None for name in (*strange, *targets.classes)):
        return [_spelled_like(strange, name) for name in targets.classes]
    if len(strange) > 1 or strange[0].lower() not in FILLERS:  # one word in all rows, such as 0, shows no spelling
        raise CompError(
            f"the sample submission spells labels {shown(strange)}, the training rows {shown(targets.classes, 6)}: "
            "set data.target to the column that is spelled as the host wants it"
        )
    return list(targets.classes)


def _refuse_new(strange: Sequence[str], targets: Targets, config: ImageConfig) -> None:
    """Raises: CompError: the sample names labels, beside known ones, that no training row has."""
    left = [label for label in strange if label != config.submit.new and label.lower() not in FILLERS]
    if left:
        raise CompError(
            f"the sample submission names {shown(left)}, which no training row has: if that stands for rows of no "
            f"known class, set submit.new={left[0]} and submit.new_below; if not, set data.target to the column that "
            "is spelled so"
        )


def _spelled_like(labels: list[str], name: str) -> str:
    """The whole number `name` with or without `.0`, as all of `labels` are; anything else as it is."""
    whole = name.partition(".")[0]
    if not labels or not (WHOLE.fullmatch(name) or WHOLE_AS_FRACTION.fullmatch(name)):
        return name
    if all(WHOLE.fullmatch(number) for number in labels):
        return whole
    return f"{whole}.0" if all(WHOLE_AS_FRACTION.fullmatch(number) for number in labels) else name


def _bit_spelling(sample: pd.DataFrame, targets: Targets) -> list[str]:
    """No and yes as the sample spells them, such as `0.0` and `1.0`; as the training rows do where it has fillers.

    Raises:
        CompError: it has something else.
    """
    shows = sorted({value.strip() for value in sample.iloc[:, 1:].to_numpy().ravel().tolist()} - {""})
    if not shows or (len(shows) == 1 and shows[0].lower() in FILLERS and number_of(shows[0]) is None):
        return list(targets.no_and_yes)
    numbers = {number_of(value) for value in shows}
    if None not in numbers:  # each in any spelling, as columns of pandas have them; one alone, or a share, is a filler
        own = ("0", "1") if targets.no_and_yes[0].lower() == "false" else targets.no_and_yes  # 0 is False
        shown_pair = next((pair for pair in (own, *NO_AND_YES) if numbers == {number_of(bit) for bit in pair}), None)
        if shown_pair or len(numbers) == 1 or any(number % 1 for number in numbers if number):
            return [_spelled_like(shows, bit) for bit in shown_pair or own]
    for pair in (targets.no_and_yes, *NO_AND_YES):
        for spelled in (str, str.capitalize, str.upper):
            if set(shows) <= {spelled(bit) for bit in pair}:
                return [spelled(bit) for bit in pair]
    raise CompError(
        f"the sample submission spells labels {shown(shows)}, the training rows {' and '.join(targets.no_and_yes)}: "
        "spell it in data.sample_submission as the host wants it"
    )
