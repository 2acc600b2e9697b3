"""Answers that conf/baseline.yaml says, which is the user's: which line to write there, and writing it on request."""

import json
import re
import shlex
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


def missing_lines(folder: Path, origin: Origin, words: list[str], temporary: Path) -> dict[str, Any]:
    """Dotted key → value: what `words` would have conf/baseline.yaml say, and it does not.

    A new repository with these answers shows it, also what goes with one: a metric of numbers brings `data.kind`.

    Raises:
        CompError: the template refuses one of the answers.
    """
    stated = [word for word in words if word.partition("=")[0] in origin.in_baseline]
    if not stated:
        return {}
    asked = flat(values_of(render_new(folder, origin, temporary / "asked", stated) / BASELINE))
    before = flat(values_of(render_new(folder, origin, temporary / "before", []) / BASELINE))
    keys = tuple(origin.in_baseline[word.partition("=")[0]] for word in stated)
    wanted = {key for key, value in asked.items() if key in keys or key.startswith(tuple(f"{each}." for each in keys))}
    wanted |= {key for key, value in asked.items() if before.get(key, wanted) != value}
    here = flat(values_of(folder / BASELINE))
    return {key: asked[key] for key in asked if key in wanted and here.get(key, wanted) != asked[key]}


def refusal(lines: dict[str, Any], words: list[str]) -> CompError:
    """Says which lines to write, and which command writes them."""
    command = shlex.join(["comp", "update", *words, "--write"])
    told = [f"{BASELINE.as_posix()} says otherwise, and is yours: write there (or {command} does):"]
    return CompError("\n".join([*told, *(f"    {_nested(key, _yaml(value))}" for key, value in lines.items())]))


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
    told = "; ".join(_nested(key, _yaml(value)) for key, value in lines.items())
    raise CompError(f"{BASELINE.as_posix()}: these lines could not be put in by themselves, write them: {told}")


def difference(before: str, after: str) -> str:
    """As `git diff` shows it."""
    name = BASELINE.as_posix()
    return "".join(unified_diff(before.splitlines(True), after.splitlines(True), name, name, n=1))


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
