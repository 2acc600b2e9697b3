"""Which class a column of the sample submission stands for: by its name, whatever the host wrote around it."""

import re
import unicodedata

from comp.errors import CompError, shown
from comp.tables import Targets, number_of, spelled_as
from comp.vision.data.labels import NO_AND_YES
from comp.vision.quoted import quoted

# Words around a class's name that say no more than that the column is about it.
AROUND = {"is", "has", "p", "pr", "prob", "proba", "probs", "probability", "pred", "preds", "predicted", "prediction"}
AROUND |= {"score", "conf", "confidence", "likelihood", "class", "label", "target", "of", "the"}
NEGATIONS = {"no", "not", "non", "without"}
WORD = re.compile(r"[^\W\d_]+|(?<![^\W_])-?\d+(?:\.\d+)?|\d+(?:\.\d+)?")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # isCat


def positive_class(column: str, targets: Targets, given: str | None) -> tuple[int, str]:
    """Of two classes, the one whose probability the single column `column` holds, and what tells so.

    `given` (submit.positive) decides, else the column's name, else the one of the two that says yes: 1, true, yes.

    Raises:
        CompError: nothing decides; the error says which line to add.
    """
    classes = targets.classes
    if given is not None:
        name = spelled_as(classes)(given)
        if name not in classes:
            raise CompError(f"submit.positive={given}: there is no such class, there are {shown(classes)}")
        return classes.index(name), "submit.positive"
    place = classes_named([column], classes)[0]
    if place is not None:
        return place, "by its name"
    keys = tuple(_key(name) for name in classes)
    for no, yes in NO_AND_YES:
        if set(keys) == {no, yes}:
            return keys.index(yes), f"not of {classes[keys.index(no)]!r}"
    lines = [f"`positive: {quoted(name)}`" for name in classes]
    raise CompError(
        f"the sample submission has one column, {column!r}, for the classes {shown(classes)}, and its name does not "
        f"say whose probability it holds: add the line {lines[0]} or {lines[1]} under `submit:`"
    )


def holds_no(targets: Targets, given: str | None) -> bool:
    """Whether the probability column of a yes or no is for no, as `given` (submit.positive) says.

    Raises:
        CompError: it says neither.
    """
    if given is None or given in targets.classes:
        return False
    name = spelled_as(targets.no_and_yes)(given)
    if name not in targets.no_and_yes:
        raise CompError(f"submit.positive={given}: there is no such class, there are {shown(targets.no_and_yes)}")
    return name == targets.no_and_yes[0]


def columns_of(columns: list[str], targets: Targets) -> list[int]:
    """Which class each column stands for.

    Raises:
        CompError: a column fits no class or several, or a class has no column of its own.
    """
    if len(columns) == 1 and targets.kind == "binary":
        return [0]
    places = []
    for column, place in zip(columns, classes_named(columns, targets.classes), strict=True):
        if place is None:
            of_each = targets.kind == "binary" and len(columns) == 2
            hint = ": for a column of each class, set data.kind=multiclass" if of_each else ""
            known = shown(targets.classes, 6)
            raise CompError(f"the sample submission's column {column!r} is not one of the classes {known}{hint}")
        places.append(place)
    left = [name for k, name in enumerate(targets.classes) if k not in places]
    if left or len(set(places)) < len(places):
        raise CompError(
            f"the sample submission has no column of its own for {shown(left)}; it has {shown(columns, 6)}: set "
            "data.target or data.sample_submission to what has the same classes"
        )
    return places


def classes_named(columns: list[str], classes: tuple[str, ...]) -> list[int | None]:
    """The class that each of `columns` names; None where it names none, or several.

    Tried in turn: the name itself; its words, whatever their case and what stands between them; without those of
    AROUND; without the words that all columns begin or end with.
    """
    exact = {name: place for place, name in enumerate(classes)}
    keys: dict[str, set[int]] = {}
    for place, name in enumerate(classes):
        keys.setdefault(_key(name), set()).add(place)
    words = [_words(column) for column in columns]
    found = [
        exact.get(column, exact.get(column.strip(), _named(own, keys)))
        for column, own in zip(columns, words, strict=True)
    ]
    rest = _without_shared(words)
    return [_named(own, keys) if place is None else place for place, own in zip(found, rest, strict=True)]


def _named(words: list[str], keys: dict[str, set[int]]) -> int | None:
    """The class whose key is left when as few of the words AROUND as possible are taken from either end."""
    for taken in range(len(words)):
        places: set[int] = set()
        for front in range(taken + 1):
            end = len(words) - (taken - front)
            if AROUND.issuperset((*words[:front], *words[end:])):
                places |= keys.get(_joined(words[front:end]), set())
        if places:
            return places.pop() if len(places) == 1 else None
    return None


def _key(name: str) -> str:
    """What is compared of a class's name."""
    return _joined([name] if number_of(name) is not None else _words(name))


def _joined(words: list[str]) -> str:
    text = "".join(words)
    number = number_of(text)
    return text if number is None else f"{number:.17g}"


def _words(name: str) -> list[str]:
    return WORD.findall(HUMP.sub(" ", unicodedata.normalize("NFKC", name)).casefold())


def _without_shared(columns: list[list[str]]) -> list[list[str]]:
    """Without the words that all of several columns begin with or end with; at least one is left of each."""
    least = min(map(len, columns))
    front = back = 0
    while front < least - 1 and len({words[front] for words in columns}) == 1:
        front += 1
    while back < least - front - 1 and len({words[-1 - back] for words in columns}) == 1:
        back += 1
    shared = {*columns[0][:front], *columns[0][len(columns[0]) - back :]}
    if len(columns) == 1 or shared & NEGATIONS:
        return columns
    return [words[front : len(words) - back] for words in columns]
