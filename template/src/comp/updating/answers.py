"""Answers that conf/baseline.yaml says, which is the user's: which line to write there, and writing it on request."""

import json
import re
import shlex
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any

import yaml

from comp.errors import CompError
from comp.updating.copier_program import render_new
from comp.updating.origin import Origin
from comp.updating.recipes import BASELINE, flat, values_of

PLAIN = re.compile(r"[A-Za-z][\w./@-]*\Z")
WORDS = {"true", "false", "null", "yes", "no", "on", "off"}  # no texts for some reader of YAML
NONE = object()  # where there is no value


@dataclass(frozen=True)
class Lines:
    """What answers ask of conf/baseline.yaml: dotted key → value."""

    write: dict[str, Any] = field(default_factory=dict)  # what is to be said there
    stays: dict[str, Any] = field(default_factory=dict)  # what a new repository has, where the user wrote his own
    remove: dict[str, Any] = field(default_factory=dict)  # what came with the answer before

    def notes(self) -> list[str]:
        """A line for each that is not written."""
        own = [f"stays   {key} is yours; a new repository has {_line(key, value)}" for key, value in self.stays.items()]
        gone = [f"remove  {_line(key, value)}: the answer before brought it" for key, value in self.remove.items()]
        return own + gone


def missing_lines(folder: Path, origin: Origin, words: list[str], temporary: Path) -> Lines:
    """What `words` would have conf/baseline.yaml say, and it does not.

    Two new repositories show it, with these answers and with those that the file has now: also what goes with one, such
    as the `data.kind` of a metric of numbers.

    Raises:
        CompError: the template refuses one of the answers.
    """
    stated = dict(word.split("=", 1) for word in words if word.partition("=")[0] in origin.in_baseline)
    if not stated:
        return Lines()
    here = flat(values_of(folder / BASELINE))
    present = _present(here, origin, "recipe" in stated)
    before: dict[str, Any] | None = None
    while before is None:
        try:
            before = _baseline(folder, origin, temporary / f"before-{len(present)}", present)
        except CompError as error:  # a metric of custom.py's, a recipe of the user's
            if not present:
                raise
            refused = {name for name in present if f"'{name}'" in str(error)} or set(present)
            present = {name: answer for name, answer in present.items() if name not in refused}
    asked = _baseline(folder, origin, temporary / "asked", present | stated)
    own = {key for name, answer in stated.items() for key in _own_keys(asked, origin.in_baseline[name], answer)}
    return compared(asked, before, here, own)


def compared(asked: dict[str, Any], before: dict[str, Any], here: dict[str, Any], own: set[str]) -> Lines:
    """What leads from `before`, as the template writes it, to `asked`, and to the keys in `own` whatever it was.

    Of what nobody asked for by its own key, only what is the template's, or missing `here`, is written.
    """
    wanted = {key: value for key, value in asked.items() if key in own or before.get(key, NONE) != value}
    wanted = {key: value for key, value in wanted.items() if here.get(key, NONE) != value}
    free = own | {key for key in wanted if key not in here or here[key] == before.get(key, NONE)}
    return Lines(
        write={key: value for key, value in wanted.items() if key in free},
        stays={key: value for key, value in wanted.items() if key not in free},
        remove={key: value for key, value in before.items() if key not in asked and here.get(key, NONE) == value},
    )


def refusal(lines: Lines, words: list[str]) -> CompError:
    """Says which lines to write, and which command writes them."""
    command = shlex.join(["comp", "update", *words, "--write"])
    told = [f"{BASELINE.as_posix()} says otherwise, and is yours: write there (or {command} does):"]
    written = [f"    {_line(key, value)}" for key, value in lines.write.items()]
    return CompError("\n".join([*told, *written, *lines.notes()]))


def with_lines(text: str, lines: dict[str, Any]) -> str:
    """conf/baseline.yaml with these values, everything else as it stands, comments too.

    Raises:
        CompError: it is written in a way that only its author can change.
    """
    wanted = flat(_parsed(text)) | lines
    for key, value in lines.items():
        text = _with_line(text, key, _yaml(value))
    try:
        if flat(_parsed(text)) == wanted:
            return text
    except CompError:
        pass
    told = "; ".join(_line(key, value) for key, value in lines.items())
    raise CompError(f"{BASELINE.as_posix()}: these lines could not be put in by themselves, write them: {told}")


def difference(before: str, after: str) -> str:
    """As `git diff` shows it."""
    name = BASELINE.as_posix()
    return "".join(unified_diff(before.splitlines(True), after.splitlines(True), name, name, n=1))


def _present(here: dict[str, Any], origin: Origin, another_recipe: bool) -> dict[str, str]:
    """The answers that conf/baseline.yaml gives; of what another recipe has a word in, the metric alone stays."""
    found = {name: here[key] for name, key in origin.in_baseline.items() if isinstance(here.get(key), str | int)}
    folds = 1 if here.get("folds.kind") == "holdout" else here.get("folds.n")
    found |= {"folds": folds} if folds else {}
    found |= {"backbone": "other"} if "backbone_name" in found else {}  # as which any is taken
    found |= {"recipe": Path(str(found["recipe"])).stem} if "recipe" in found else {}
    return {name: str(answer) for name, answer in found.items() if not another_recipe or name in ("recipe", "metric")}


def _baseline(folder: Path, origin: Origin, to: Path, answers: dict[str, str]) -> dict[str, Any]:
    """What conf/baseline.yaml says in a new repository."""
    words = [f"{name}={answer}" for name, answer in answers.items()]
    return flat(values_of(render_new(folder, origin, to, words) / BASELINE))


def _own_keys(asked: dict[str, Any], key: str, answer: str) -> set[str]:
    """Where an answer stands: of a section in the key that has it, or in all of it (one fold is `kind: holdout`)."""
    inside = {each for each in asked if each == key or each.startswith(f"{key}.")}
    return {each for each in inside if str(asked[each]) == answer} or inside


def _with_line(text: str, key: str, value: str) -> str:
    top, _, inner = key.partition(".")
    lines = text.splitlines(keepends=True)
    known = re.compile(rf"[\"']?{re.escape(top)}[\"']?\s*:")
    at = next((number for number, line in enumerate(lines) if known.match(line)), None)
    if at is None:
        end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{end}{_nested(key, value)}\n"
    if not inner:
        lines[at] = re.sub(r":[^#\n]*?(\s+#.*)?$", lambda found: f": {value}{found[1] or ''}", lines[at], count=1)
    elif "{" in lines[at]:
        lines[at] = _in_braces(lines[at], inner, value)
    else:
        _put_into_block(lines, at, inner, value)
    return "".join(lines)


def _in_braces(line: str, inner: str, value: str) -> str:
    """`folds: {n: 5, kind: auto}` with another n, or with a key that it did not have."""
    pattern = re.compile(r"([{,]\s*" + re.escape(inner) + r"\s*:\s*)[^,}]+")
    if pattern.search(line):
        return pattern.sub(lambda found: found[1] + value, line, count=1)
    start, brace, rest = line.partition("{")
    return f"{start}{brace}{inner}: {value}{'' if rest.lstrip().startswith('}') else ', '}{rest}"


def _put_into_block(lines: list[str], at: int, inner: str, value: str) -> None:
    """Sets a key of the block that begins with line `at`; a new one comes first in it."""
    end = next((n for n in range(at + 1, len(lines)) if lines[n].strip() and lines[n][0] not in " #"), len(lines))
    for number in range(at + 1, end):
        if found := re.match(rf"(\s+{re.escape(inner)}\s*:\s*)[^#\n]*?(\s+#.*)?$", lines[number]):
            lines[number] = f"{found[1]}{value}{found[2] or ''}\n"
            return
    first = next((line for line in lines[at + 1 : end] if line.strip()), "  ")
    lines.insert(at + 1, f"{first[: len(first) - len(first.lstrip())]}{inner}: {value}\n")


def _nested(key: str, value: str) -> str:
    """As one line of the file: `folds: {n: 4}`."""
    *outer, last = key.split(".")
    line = f"{last}: {value}"
    for each in reversed(outer):
        line = each + ": {" + line + "}"
    return line


def _line(key: str, value: Any) -> str:
    return _nested(key, _yaml(value))


def _yaml(value: Any) -> str:
    """A value on one line; a text without quotes where every reader takes it for one."""
    if isinstance(value, str) and PLAIN.match(value) and value.lower() not in WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CompError(f"{BASELINE.as_posix()}: not valid YAML: {' '.join(str(error).split())}") from None
    return values if isinstance(values, dict) else {}
