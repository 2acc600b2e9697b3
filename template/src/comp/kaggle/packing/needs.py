"""What a task says of a run that is to be packed."""

from dataclasses import dataclass, field
from pathlib import Path

from comp.config import Experiment
from comp.runs.rundir import RunDir


@dataclass(frozen=True)
class Part:
    """A run whose models predict, as `config` says, and its folds that do."""

    config: Experiment
    folds: list[int]

    @property
    def run(self) -> RunDir:
        return RunDir.of(self.config)


@dataclass(frozen=True)
class Needs:
    parts: list[Part]  # the notebook writes the mean of what they say
    modules: list[str]  # the code that it starts; what these import goes along
    root: Path  # the competition's folder here
    markers: list[str]  # files of the competition by which the notebook finds its folder
    option: str  # of `comp predict`, for rows that are none of a run's own
    rows: str  # what it is given, in the competition's folder
    writer: str  # module: `python -m WRITER CONFIG key=value … --out FILE --predictions FILE …`
    files: dict[str, Path | str] = field(default_factory=dict)  # what the writer reads: by name, a file or its text
