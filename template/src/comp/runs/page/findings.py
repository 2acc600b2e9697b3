"""What a check found, part by part, and the one sentence that it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from comp.errors import CompError
from comp.runs.page import Mood, Page, Section, Text

MOST = 3  # findings that the sentence names
TITLES = (("stops", "Errors"), ("looks", "To look at"), ("notes", "Good to know"))


@dataclass
class Part:
    """Lines for the terminal, a section of the page, and what is to be told before all else, in clauses."""

    section: Section
    lines: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)  # errors: nothing can be trained
    looks: list[str] = field(default_factory=list)  # may spoil a score
    notes: list[str] = field(default_factory=list)


def verdict(parts: Sequence[Part]) -> tuple[str, Mood]:
    """The sentence at the top, and its color."""
    stops, looks = ([each for part in parts for each in getattr(part, kind)] for kind in ("stops", "looks"))
    if stops:
        return f"Stop: {_first(stops)}", "stop"
    if looks:
        return f"Look at this first: {_first(looks)}", "look"
    return "Go: nothing was found that keeps you from training", "good"


def summary(parts: Sequence[Part]) -> Section:
    """All findings, the gravest first."""
    section = Section("Findings")
    for kind, title in TITLES:
        found = [each for part in parts for each in getattr(part, kind)]
        if found:
            section.blocks.append(Text([f"{each[:1].upper()}{each[1:]}." for each in found], title))
    return section


def publish(path: Path, root: str, facts: Sequence[str], parts: Sequence[Part]) -> Path:
    """Writes the page of the data in `root`, prints its sentence, and returns where it is.

    Raises:
        CompError: there are errors; each is a line.
    """
    sentence, mood = verdict(parts)
    Page(f"The data in {root}", sentence, mood, facts, [summary(parts), *(part.section for part in parts)]).write(path)
    print(f"check   {sentence}")
    print(f"wrote   {path}")
    stops = [each for part in parts for each in part.stops]
    if stops:
        raise CompError("\n".join(stops))
    return path


def _first(found: list[str]) -> str:
    more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
    return "; ".join(found[:MOST]) + more
