"""What `comp tune` found, for whoever lists runs: the best of several trials is luckier than it is good."""

from functools import partial
from pathlib import Path

from typing_extensions import TypedDict

from comp.files import write_json
from comp.readback import read_json, remembered
from comp.runs.rundir import RUNS

WAY_OUT = "run comp tune to write it again: no finished trial is trained again"


class Tuning(TypedDict):
    """A file `runs/<name>-tune.json`."""

    metric: str
    trials: int
    best: str  # the run
    score: float  # its own
    expected: float  # of it, on other rows
    alike: float  # what the best of so many trials of the same skill would show


def note_tuning(name: str, found: Tuning) -> Path:
    """Writes what was found by the tuning of the experiment `name`."""
    path = RUNS / f"{name}-tune.json"
    write_json(path, {**found})
    return path


def tunings(metric: str) -> list[Tuning]:
    """All by this metric; a damaged file is left out, with a note."""
    found = [remembered(path, partial(_read, path)) for path in sorted(RUNS.glob("*-tune.json"))]
    return [each for each in found if each is not None and each["metric"] == metric]


def about(tuning: Tuning) -> str:
    """In one line."""
    return (
        f"{tuning['best']} is the best of {tuning['trials']} trials: it shows {tuning['score']:.4f}, and "
        f"{tuning['expected']:.4f} is expected of it on other rows (the best of {tuning['trials']} alike would show "
        f"{tuning['alike']:.4f})"
    )


def _read(path: Path) -> Tuning:
    found: Tuning = read_json(path, Tuning, WAY_OUT)
    return found
