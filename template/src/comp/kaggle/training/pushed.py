"""What was pushed last of each experiment: the same command goes on from it, on this machine or after a restart."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from comp.files import write_json
from comp.kaggle.publish import Notebook
from comp.readback import reading
from comp.runs.rundir import RUNS

FOLDER = RUNS / ".kaggle"
WAY_OUT = "remove it and run comp kaggle train, which begins anew"


@dataclass(frozen=True)
class Pushed:
    """A session on Kaggle."""

    kernel: str  # OWNER/SLUG
    version: int | None
    session: int
    after: int  # the last session before it whose output can be gone on from; 0: none
    command: list[str]
    code: str  # its digest
    folds: str = ""  # theirs; empty: Kaggle makes them
    replaces: bool = False  # in the end, the run here
    state: Literal["pushed", "unfinished", "done", "fetched", "failed"] = "pushed"

    @property
    def notebook(self) -> Notebook:
        return Notebook(self.kernel, self.version)

    @property
    def goes_on(self) -> int:
        """The session that the next one goes on from."""
        return self.session if self.state in {"unfinished", "done", "fetched"} else self.after


def folder_of(name: str) -> Path:
    """Where the experiment `name` keeps what is on its way."""
    return FOLDER / name


def output_of(name: str, session: int) -> Path:
    """Where what a session has left is fetched to, maybe in several attempts."""
    return folder_of(name) / f"output-{session}"


def read_pushed(name: str) -> Pushed | None:
    """What was pushed last, None where nothing was.

    Raises:
        CompError: the file is damaged.
    """
    path = folder_of(name) / "pushed.json"
    if not path.is_file():
        return None
    with reading(path, WAY_OUT):
        return TypeAdapter(Pushed).validate_json(path.read_bytes())


def write_pushed(name: str, pushed: Pushed) -> Pushed:
    write_json(folder_of(name) / "pushed.json", asdict(pushed))
    return pushed
