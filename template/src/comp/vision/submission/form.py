"""What the sample submission asks for: labels or probabilities, in which columns, of which classes, spelled how.

It is settled from the sample, the targets and the configuration alone: `comp split` and `comp train` refuse before any
training what `comp submit` would refuse after it.
"""

import re
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from comp.errors import CompError, shown
from comp.registry import needs_probabilities
from comp.tables import Tables, Targets, asked_for, number_of
from comp.vision.data.sample_submission import read_sample
from comp.vision.metrics import refuse_unordered
from comp.vision.schema import ImageConfig
from comp.vision.submission.columns import columns_of, positive_class

FILLERS = {"0", "1", "-1", "none", "null", "unknown", "label", "class", "?", "xxx"}
WHOLE = re.compile(r"-?(0|[1-9]\d*)")
WHOLE_AS_FRACTION = re.compile(r"-?(0|[1-9]\d*)\.0+")


@dataclass(frozen=True)
class Form:
    """Without the id's column. A column holds `places`' class of the probabilities; of labels in one column, all."""

    columns: list[str]
    places: list[int]
    values: Literal["labels", "probabilities"]
    spelling: list[str]  # of labels in one column: as each class is written; else 0 and 1
    about: str  # in words

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
    columns, values = list(sample.columns[1:]), _values(sample, targets, config)
    if targets.kind == "multiclass" and len(columns) == 1:
        if values == "labels":
            spelling = _label_spelling(sample.iloc[:, 1], targets)
            return Form(columns, [], "labels", spelling, f"labels in {columns[0]!r}, such as {spelling[0]!r}")
        if len(targets.classes) != 2:
            raise CompError(
                f"the sample submission has one column {columns[0]!r}, {len(targets.classes)} classes do not fit "
                "into it as probabilities: set submit.values=labels"
            )
        place, why = positive_class(columns[0], targets, config.submit.positive)
        about = f"{columns[0]!r} is the probability of {targets.classes[place]!r} ({why})"
        return Form(columns, [place], "probabilities", [], about)
    places = columns_of(columns, targets)
    bits = _bit_spelling(sample) if values == "labels" else []
    return Form(columns, places, values, bits, _about(columns, places, values, targets))


def expected_form(config: ImageConfig, tables: Tables) -> str:
    """What the submission of `tables` will look like, in words.

    Raises:
        CompError: sample submission, test rows, targets and metrics do not fit together.
    """
    refuse_unordered([config.metric, *config.metrics], tables.targets)
    sample, _ = read_sample(config.data)
    form = form_of(sample, tables.targets, config)
    if sample is not None:
        refuse_other_ids(sample, tables.test["id"][asked_for(tables.test["id"])])
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


def _without_sample(targets: Targets, config: ImageConfig) -> Form:
    if targets.kind == "multiclass" and config.submit.values != "probabilities":
        return Form(["label"], [], "labels", list(targets.classes), "labels in 'label'")
    columns, places = list(targets.classes), list(range(len(targets.classes)))
    return Form(columns, places, "probabilities", [], _about(columns, places, "probabilities", targets))


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


def _about(columns: list[str], places: list[int], values: str, targets: Targets) -> str:
    """`probabilities: 'prob_cat' of 'cat', 'prob_dog' of 'dog' and 3 more`."""
    if targets.kind == "binary":
        holds = f"the probability of {targets.classes[0]!r} = 1" if values == "probabilities" else "labels 0 and 1"
        return f"{columns[0]!r} is {holds}" + _other_values(values)
    pairs = [
        repr(column) if column == targets.classes[place] else f"{column!r} of {targets.classes[place]!r}"
        for column, place in zip(columns, places, strict=True)
    ]
    more = f" and {len(pairs) - 6} more" if len(pairs) > 6 else ""
    what = "probabilities" if values == "probabilities" else "labels 0 and 1"
    return f"{what} in {', '.join(pairs[:6])}{more}{_other_values(values)}"


def _other_values(values: str) -> str:
    return " (submit.values=probabilities: probabilities)" if values == "labels" else ""


def _label_spelling(shows: pd.Series, targets: Targets) -> list[str]:
    """Each class as it is written: as in the training rows, or as numbers of the sample's kind, `0` or `0.0`.

    Raises:
        CompError: the sample spells labels otherwise, and not as fillers.
    """
    strange = sorted(set(shows) - set(targets.classes) - {""})
    if not strange or set(shows) & set(targets.classes):
        return list(targets.classes)
    if all(number_of(name) is not None for name in (*strange, *targets.classes)):
        return [_spelled_like(strange, name) for name in targets.classes]
    if len(strange) > 1 or strange[0].lower() not in FILLERS:  # one word in all rows, such as 0, shows no spelling
        raise CompError(
            f"the sample submission spells labels {shown(strange)}, the training rows {shown(targets.classes, 6)}: "
            "set data.target to the column that is spelled as the host wants it"
        )
    return list(targets.classes)


def _spelled_like(numbers: list[str], name: str) -> str:
    """The whole number `name` with or without `.0`, as all of `numbers` are; anything else as it is."""
    whole = name.partition(".")[0]
    if not (WHOLE.fullmatch(name) or WHOLE_AS_FRACTION.fullmatch(name)):
        return name
    if all(WHOLE.fullmatch(number) for number in numbers):
        return whole
    return f"{whole}.0" if all(WHOLE_AS_FRACTION.fullmatch(number) for number in numbers) else name


def _bit_spelling(sample: pd.DataFrame) -> list[str]:
    """0 and 1 as the sample spells them: `0.0` where all of it is spelled so."""
    values = sorted(set(sample.iloc[:, 1:].to_numpy().ravel().tolist()))
    return [_spelled_like(values, bit) for bit in ("0", "1")]
