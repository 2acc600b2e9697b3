"""What the user keeps on Kaggle: private datasets and notebooks, written, asked about and fetched."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from comp.config import Experiment
from comp.errors import CompError, shortened
from comp.kaggle import client
from comp.kaggle.client import Refused, Unavailable, ask, ask_once, wait
from comp.kaggle.metadata import owner_told

State = Literal["waiting", "running", "complete", "failed", "canceled"]
STATES: dict[str, State] = {
    "NEW_SCRIPT": "waiting",
    "QUEUED": "waiting",
    "RUNNING": "running",
    "COMPLETE": "complete",
    "ERROR": "failed",
    "CANCEL_REQUESTED": "canceled",
    "CANCEL_ACKNOWLEDGED": "canceled",
}
LOOKS, LOOK_EVERY = 120, 5.0  # at a dataset that Kaggle unpacks, and seconds between them
USED_UP = re.compile(r"quota|session count", re.IGNORECASE)  # of GPUs
MOST_FILES = 200  # in one answer about a notebook's output
LISTED, MOST_PAGES = 100, 50  # notebooks on a page of the user's, and pages that are looked through
LOOK_AGAIN = 10.0  # seconds after a notebook seemed gone


class OutputNotAdded(CompError):
    """Kaggle has saved a notebook without the output of another that it was to have; it runs, and will miss it."""


@dataclass(frozen=True)
class Notebook:
    """One version of a notebook on Kaggle."""

    ref: str  # OWNER/SLUG
    version: int | None  # None: the answer that told it was lost; the newest

    def __str__(self) -> str:
        return self.ref if self.version is None else f"{self.ref}, version {self.version}"

    @property
    def label(self) -> str:
        """As Kaggle's client takes it."""
        return self.ref if self.version is None else f"{self.ref}/{self.version}"

    @property
    def page(self) -> str:
        return f"https://www.kaggle.com/code/{self.ref}"


def owner_here(config: Experiment) -> str:
    """The user's name on Kaggle: `kaggle.owner`, that of the environment, or of whoever is logged in.

    Raises:
        CompError: nobody is.
    """
    if (known := owner_told(config)) is not None:
        return known
    found = re.search(r"username: (\S+)", ask("", "config", "view"))
    if not found or found[1] == "None":
        raise CompError("Kaggle's client does not say who is logged in: set kaggle.owner to your name in addresses")
    return found[1]


def publish_dataset(folder: Path, ref: str, message: str) -> int:
    """Uploads `folder`, which has a `dataset-metadata.json`, as the dataset OWNER/SLUG or its next version.

    It returns the version's number, once notebooks can use it. Folders in it go as one archive each, which Kaggle
    unpacks.

    Raises:
        CompError: Kaggle refuses its title, or has not unpacked it after some minutes.
    """
    before = version_of(ref)
    if before is None:
        said = ask("", "datasets", "create", "-p", str(folder), "-r", "zip", "-q")
        if "already in use" in said:  # the answer that told so was lost
            before = 0
    if before is not None:
        said = ask("", "datasets", "version", "-p", str(folder), "-m", message, "-r", "zip", "-q")
    if fault := re.search(r"Dataset (?:version )?creation error: (.*)", said):
        raise CompError(f"Kaggle does not take the dataset {ref} ({shortened(fault[1])})")
    return _wait_until_ready(ref, more_than=before or 0)


def version_of(ref: str) -> int | None:
    """The newest version of a dataset; None where there is none."""
    return _newest(ref)[0]


def push_notebook(folder: Path, seconds: int) -> Notebook:
    """Saves and runs the notebook in `folder`, which has a `kernel-metadata.json`; Kaggle ends it after `seconds`.

    Raises:
        OutputNotAdded: of another notebook.
        CompError: Kaggle refuses it, or one of its other inputs; or its hours of GPUs are used up.
    """
    said, ref = "", _ref_in(folder)
    for pause in (*client.PAUSES, None):
        try:
            said = ask_once("", "kernels", "push", "-p", str(folder), "-t", str(seconds))
            break
        except Unavailable as error:
            if pause is not None:
                wait(pause, error)
            if is_at_work(ref):  # it was taken, and only the answer was lost
                return Notebook(ref, None)
            if pause is None:
                raise
    if fault := re.search(r"Kernel push error: (.*)", said):
        raise _no_push(fault[1])
    if unknown := re.search(r"not valid (\w+) sources and could not be added to the kernel: (.*)", said):
        kind = OutputNotAdded if unknown[1] == "kernel" else CompError
        raise kind(f"Kaggle has not added the {unknown[1]} {unknown[2]} to {ref}: is it yours to use?")
    number = re.search(r"Kernel version (\d+) successfully", said)
    return Notebook(ref, int(number[1]) if number else None)


def _no_push(sentence: str) -> CompError:
    if USED_UP.search(sentence):
        return CompError(
            f"Kaggle starts no GPU now ({shortened(sentence.rstrip('.'))}): run this again once the week's hours are "
            "new, or another session has ended (python -m kaggle quota shows what is left)"
        )
    return CompError(f"Kaggle does not take the notebook ({shortened(sentence.rstrip('.'))})")


def state_of(notebook: Notebook) -> tuple[State, str]:
    """How far it is, and what Kaggle says of a failure."""
    said = ask("", "kernels", "status", notebook.label)
    found = re.search(r'has status "(?:\w+\.)?(\w+)"', said)
    if not found:
        raise Unavailable(f"Kaggle says nothing of {notebook}")
    why = re.search(r'Failure message: "(.*)"', said)
    return STATES.get(found[1].upper(), "running"), why[1] if why else ""


def is_at_work(ref: str) -> bool:
    """Whether the newest version of a notebook waits or runs; not where there is none."""
    try:
        return state_of(Notebook(ref, None))[0] in {"waiting", "running"}
    except Refused:
        return False


def is_gone(notebook: Notebook, owner: str) -> bool:
    """Whether `owner`, who is logged in, has the notebook no more: refused and not listed, at two looks.

    Right after it was pushed, one is refused for a second.

    Raises:
        CompError: the login has expired, which Kaggle says in the same words of a notebook.
    """
    if not notebook.ref.startswith(f"{owner}/") or not _seems_gone(notebook):
        return False
    time.sleep(LOOK_AGAIN)
    return _seems_gone(notebook)


def _seems_gone(notebook: Notebook) -> bool:
    try:
        state_of(notebook)
    except Refused:
        return not _is_listed(notebook.ref)
    return False


def _is_listed(ref: str) -> bool:
    """Whether it is among the user's notebooks; beyond the pages that are looked through, it may be."""
    words = ["--mine", "--sort-by", "dateRun", "--page-size", str(LISTED), "--format", "json"]
    for page in range(1, MOST_PAGES + 1):
        refs = re.findall(r'"ref": "([^"]+)"', ask("", "kernels", "list", *words, "--page", str(page)))
        if ref in refs or len(refs) < LISTED:
            return ref in refs
    return True


def fetch_output(notebook: Notebook, folder: Path, pattern: str, watch: Callable[[], None] = lambda: None) -> Path:
    """Downloads the files of its output that `pattern` finds, and its log, into `folder`; the place of the log.

    What is there in part is gone on with.

    Raises:
        Refused: Kaggle does not have it; or a file would lie outside the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = ["-p", str(folder), "--file-pattern", pattern, "--page-size", str(MOST_FILES), "-q"]
    try:
        ask("", "kernels", "output", notebook.label, *words, watch=watch)
    except Refused as error:
        raise Refused(error.sentence, f"the output of {notebook} is not fetched") from None
    return folder / f"{notebook.ref.rpartition('/')[2]}.log"


def _ref_in(folder: Path) -> str:
    text = (folder / "kernel-metadata.json").read_text(encoding="utf-8")
    return re.search(r'"id": "([^"]+)"', text)[1]  # type: ignore[index]


def _newest(ref: str) -> tuple[int | None, str]:
    """The newest version of a dataset, and its status; None and "" where there is none."""
    try:
        said = ask("", "datasets", "status", ref, "--format", "json")
    except Refused:
        return None, ""
    number = re.search(r'"current_version_number": (\d+)', said)
    status = re.search(r'"status": "(\w+)"', said)
    return int(number[1]) if number else 0, status[1] if status else ""


def _wait_until_ready(ref: str, more_than: int) -> int:
    for _ in range(LOOKS):
        version, status = _newest(ref)  # just created, it may not be there for some seconds
        if status == "ready" and version is not None and version > more_than:
            return version
        if status == "failed":
            raise CompError(f"Kaggle could not unpack the dataset: look at https://www.kaggle.com/datasets/{ref}")
        time.sleep(LOOK_EVERY)
    raise CompError(
        f"the dataset {ref} is not ready after {LOOKS * LOOK_EVERY / 60:.0f} minutes: run this again, or look at "
        f"https://www.kaggle.com/datasets/{ref}"
    )
