"""A session on Kaggle: its code uploaded, its notebook saved and run, its end awaited."""

import json
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from comp.config import Experiment
from comp.errors import CompError
from comp.files import write_json, write_text
from comp.files.lock import in_turn
from comp.kaggle.client import Offline, Refused, Unavailable, competition
from comp.kaggle.metadata import KERNEL, Machine, Sources, dataset_metadata, kernel_metadata, slug_of, title_of
from comp.kaggle.publish import (
    Notebook,
    OutputNotAdded,
    State,
    fetch_output,
    is_at_work,
    publish_dataset,
    push_notebook,
    state_of,
    version_of,
)
from comp.kaggle.secrets import scrubbed
from comp.kaggle.training.cells import SESSION, Plan, training_notebook
from comp.kaggle.training.packed import Packed
from comp.kaggle.training.pushed import FOLDER, Pushed, folder_of, output_of, write_pushed
from comp.readback import AGAIN, read_json, remembered

PLACE = Path("kaggle/train")  # where the notebooks are written, to be read
CODE_FILE = "train.ipynb"
FIRST_LOOK, LAST_LOOK = 10.0, 60.0  # seconds between two looks at a session, which grow
TOLD_EVERY = 600.0  # seconds
MOST_SILENCES = 20  # looks in a row that Kaggle does not answer
UPLOADING = "kaggle  another experiment is uploaded and pushed just now: this one waits for it"
RESERVE_S = 1200  # of a session after `kaggle.train.hours`, for saving
LOG_LINES = 15  # of a notebook that failed


@dataclass(frozen=True)
class Job:
    """What is to be trained on Kaggle."""

    config: Experiment
    owner: str
    command: list[str]  # without `comp`
    packed: Packed  # the code

    @property
    def dataset(self) -> str:
        return f"{self.owner}/{slug_of(competition(self.config), 'code')}"

    @property
    def kernel(self) -> str:
        return f"{self.owner}/{slug_of('train', self.config.name, competition(self.config), bounds=KERNEL)}"


def push(job: Job, before: Pushed | None, replaces: bool) -> Pushed:
    """Uploads the code, where it has changed, and starts the session after `before`.

    Raises:
        CompError: Kaggle refuses; nothing was started.
    """
    settings, name = job.config.kaggle.train, job.config.name
    session = 1 if before is None else before.session + (before.state != "failed")
    after = 0 if before is None else before.goes_on
    plan = Plan(
        name, competition(job.config), job.command, job.dataset, job.packed.whole, settings.hours, session, after
    )
    with in_turn(FOLDER, told=UPLOADING):  # so that no other experiment's code takes the place of this one's in between
        _upload(job)
        notebook = _start_after(job, plan, before)
    internet = "with the internet" if settings.internet else "without the internet"
    print(f"kaggle  session {session} of {name}: {notebook}, private, {settings.accelerator}, {internet}")
    print(f"kaggle  {notebook.page}", flush=True)
    shutil.rmtree(output_of(name, session), ignore_errors=True)  # of another training, whose sessions had these numbers
    facts = (job.command, job.packed.code, job.packed.folds, replaces)
    return write_pushed(name, Pushed(job.kernel, notebook.version, session, after, *facts))


def _start_after(job: Job, plan: Plan, before: Pushed | None) -> Notebook:
    """Saves the notebook, which runs then, with what it goes on from."""
    if is_at_work(job.kernel):
        raise CompError(f"https://www.kaggle.com/code/{job.kernel} is at work already: stop it there, or let it end")
    try:
        kernels = (job.kernel,) if plan.after else ()
        return _start(job, plan, Sources((plan.competition,), (job.dataset,), kernels))
    except OutputNotAdded as error:
        if before is None or before.session != plan.after:
            raise
        print(f"note    {error} Its state goes along as a dataset instead", flush=True)
        return _start(job, plan, Sources((plan.competition,), (job.dataset, _state_as_dataset(job, before))))


def _start(job: Job, plan: Plan, sources: Sources) -> Notebook:
    """Writes the notebook, saves it on Kaggle and runs it there."""
    settings, (owner, slug) = job.config.kaggle.train, job.kernel.split("/")
    machine = Machine(settings.accelerator, settings.internet)
    metadata = kernel_metadata(owner, slug, title_of(slug), CODE_FILE, sources, machine)
    place = PLACE / plan.name
    write_text(place / CODE_FILE, training_notebook(plan))
    write_json(place / "kernel-metadata.json", metadata)
    return push_notebook(place, int(3600 * settings.hours) + RESERVE_S)


def _state_as_dataset(job: Job, before: Pushed) -> str:
    """Brings what a session has left into a dataset of its own; OWNER/SLUG."""
    name = job.config.name
    slug, folder = slug_of("state", name, competition(job.config)), folder_of(name) / "state"
    shutil.rmtree(folder, ignore_errors=True)
    fetch_output(before.notebook, folder, rf"^({re.escape(SESSION)}|folds\.csv|runs/.*)$").unlink(missing_ok=True)
    metadata = dataset_metadata(job.owner, slug, title_of(slug), "What comp kaggle train goes on from")
    write_json(folder / "dataset-metadata.json", metadata)
    publish_dataset(folder, f"{job.owner}/{slug}", f"session {before.session}")
    return f"{job.owner}/{slug}"


def _upload(job: Job) -> None:
    note = FOLDER / "uploaded.json"  # one for all experiments, as the dataset is
    about = {"dataset": job.dataset, "code": job.packed.whole}
    noted = remembered(note, lambda: read_json(note, dict[str, str | int], AGAIN)) or {}
    if noted.items() >= about.items() and noted.get("version") == version_of(job.dataset):
        print(f"kaggle  {job.dataset} has this code already", flush=True)
        return
    slug = job.dataset.partition("/")[2]
    metadata = dataset_metadata(job.owner, slug, title_of(slug), "Code of comp kaggle train; nothing else reads it")
    write_json(job.packed.folder / "dataset-metadata.json", metadata)
    version = publish_dataset(job.packed.folder, job.dataset, job.packed.whole)
    write_json(note, {**about, "version": version})
    print(f"kaggle  {job.dataset}: the code is uploaded ({job.packed.whole})", flush=True)


def followed(name: str, pushed: Pushed) -> Pushed:
    """Waits until the session of the experiment `name` has ended: it is then unfinished, or done.

    Raises:
        CompError: it has failed, and its log is here; or Kaggle does not answer any more.
    """
    state, why = _ended(pushed)
    folder = folder_of(name) / "session"
    log = fetch_output(pushed.notebook, folder, rf"^{re.escape(SESSION)}$")
    lines, told = _last_lines(log), folder / SESSION
    if state == "complete" and told.is_file():
        ended = json.loads(told.read_text(encoding="utf-8"))
        told.unlink()
        if ended.get("name") == name and ended.get("state") in {"unfinished", "done"}:
            return write_pushed(name, replace(pushed, state=ended["state"]))
    write_pushed(name, replace(pushed, state="failed"))
    for line in lines:
        print(f"log     {line}")
    reason = "was stopped on Kaggle" if state == "canceled" else "has failed"
    raise CompError(
        f"{pushed.notebook} {reason}{f' ({why})' if why else ''}: its log is {log.as_posix()}, and at "
        f"{pushed.notebook.page}; comp kaggle train pushes it again"
    )


def _ended(pushed: Pushed) -> tuple[State, str]:
    pause, silences, last = FIRST_LOOK, 0, ""
    began = told = time.monotonic()
    while True:
        try:
            state, why = state_of(pushed.notebook)
            silences = 0
        except (Unavailable, Offline) as error:
            silences += 1
            if silences >= MOST_SILENCES:
                raise CompError(f"{error} ({pushed.notebook} goes on, and the same command follows it)") from None
            state, why = "running", ""
        except Refused as error:  # right after a push too
            raise Refused(
                error.sentence, f"Kaggle does not show {pushed.notebook} just now; the same command follows it again"
            ) from None
        if state not in {"waiting", "running"}:
            return state, why
        if state != last or time.monotonic() - told > TOLD_EVERY:
            last, told = state, time.monotonic()
            minutes = (told - began) / 60
            print(f"kaggle  {pushed.notebook} is {state}, {minutes:.0f} min (Ctrl-C leaves it at work)", flush=True)
        time.sleep(pause)
        pause = min(1.5 * pause, LAST_LOOK)


def _last_lines(log: Path) -> Iterable[str]:
    """The end of a notebook's log, which is then kept as plain text without credentials; empty where there is none."""
    if not log.is_file():
        return []
    text = log.read_text(encoding="utf-8", errors="replace")
    with suppress(ValueError, AttributeError, TypeError):  # Kaggle keeps it as a list of pieces
        text = "".join(str(piece.get("data", "")) for piece in json.loads(text))
    text = scrubbed(text)
    write_text(log, text)
    return [line for line in text.splitlines() if line.strip()][-LOG_LINES:]
