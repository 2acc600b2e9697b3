"""`comp submit --send`: the submission goes to Kaggle, and its score comes back."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from comp.config import Experiment
from comp.errors import CompError, shortened
from comp.files import file_digest
from comp.kaggle import client
from comp.kaggle import sent as ledger
from comp.kaggle.client import LimitReached, Offline, Unavailable, ask, ask_once, competition, wait
from comp.kaggle.sent import PENDING, Sent
from comp.runs.rundir import RunDir

FIRST_LOOK, LAST_LOOK = 5.0, 60.0  # seconds between two looks at a score, which grow
CLOCKS = timedelta(minutes=5)  # that Kaggle's clock and this one may differ
NOTEBOOK_WRITES = "submission.csv"


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    send: bool = False
    wait: bool = False
    fetch: bool = False
    message: str | None = None
    kernel: str | None = None
    version: str | None = None

    def check(self) -> None:
        """Raises: CompError, where flags do not go together."""
        if self.send and not (self.message or "").strip():
            raise CompError('--send needs a message: comp submit --send -m "what is new"')
        if (self.kernel is None) != (self.version is None):
            raise CompError("--kernel OWNER/SLUG and --version N go together: which version of which notebook?")
        if self.kernel and not re.fullmatch(r"[\w-]+/[\w-]+", self.kernel):
            raise CompError(f"--kernel {shortened(self.kernel)} is not OWNER/SLUG, the end of the notebook's address")
        if self.version and not self.version.isdigit():
            raise CompError(f"--version {shortened(self.version)} is not the number of a version")
        alone = [field.name for field in fields(self)[3:] if getattr(self, field.name) and not self.send]
        if alone:
            raise CompError(f"--{alone[0]} goes with --send: nothing would be sent")
        if self.fetch and self.send:
            raise CompError("--fetch asks for scores, --send sends: one after the other, or --send --wait")


def submit(write: Callable[[Experiment], Path | None], config: Experiment, **asked: Any) -> object:
    """Writes the submission with the task's own `write`; what else is asked for comes after it, or instead.

    Raises:
        CompError: it cannot be written or sent; `runs/sent.csv` has what was sent.
    """
    wish = Wish(**asked)
    wish.check()
    if wish.fetch or (wish.wait and not wish.send):
        return _follow(config, wish.wait)
    if not wish.send:
        return write(config)
    slug, predicts = competition(config), RunDir.of(config).predicts()
    if wish.kernel:
        words = ["-k", wish.kernel, "-v", str(wish.version), "-f", NOTEBOOK_WRITES]
        draft = Sent("", ledger.now(), slug, config.name, f"{wish.kernel}@{wish.version}", "", str(wish.message))
    else:
        path = write(config)
        if path is None:
            raise CompError("there is no submission to send")
        words = ["-f", str(path)]
        draft = Sent("", ledger.now(), slug, config.name, path.as_posix(), file_digest(path), str(wish.message))
    ref = _send(draft, words)
    ledger.note_sent(replace(draft, ref=ref, predictions=predicts))
    print(f"sent    {draft.file} to {slug}: submission {ref}", flush=True)
    if wish.wait:
        return _follow(config, until_scored=True, only=ref)
    print("sent    comp submit --fetch asks for its score")
    return 0


def _send(draft: Sent, words: list[str]) -> str:
    """Kaggle's number of the submission. Where an answer was lost, Kaggle is asked first whether it has it."""
    slug = draft.competition
    _tell_what_is_left(slug)
    words = ["competitions", "submit", slug, *words, f"--message={draft.message}", "-q"]
    for pause in (*client.PAUSES, None):
        try:
            return _number(ask_once(slug, *words)) or _found(draft, "it printed no number")
        except LimitReached as error:
            raise CompError(f"{error}: {_tomorrow()}") from None
        except Unavailable as error:
            if pause is None:
                page = f"https://www.kaggle.com/competitions/{slug}/submissions"
                raise CompError(f"{error}: look at {page} whether it was sent, before you send it again") from None
            wait(pause, error)
            if number := _listed(draft):
                return number
    raise AssertionError


def _number(said: str) -> str:
    found = re.search(r"Submission ref: (\d+)", said)
    return found[1] if found else ""


def _found(draft: Sent, why: str) -> str:
    if number := _listed(draft):
        return number
    raise CompError(f"Kaggle's client reported no error, but the submission is not listed on Kaggle ({why})")


def _listed(draft: Sent) -> str:
    """The number of a submission that Kaggle has got since it was begun to be sent; empty if it has none."""
    since = datetime.fromisoformat(draft.when) - CLOCKS
    known = {each.ref for each in ledger.read_sent()}
    for ref, told in ledger.on_kaggle(draft.competition).items():
        date = datetime.fromisoformat(str(told.get("date")))
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        if ref not in known and told.get("description") == draft.message and date >= since:
            return ref
    return ""


def _tell_what_is_left(slug: str) -> None:
    """Raises: CompError, where no submission is left today."""
    said = ask(slug, "competitions", "submission-limits", slug, "--json", "-q")
    try:
        limits = json.loads(said[said.index("{") :])
        left, today, in_all = (int(limits.get(key, 0)) for key in ("numAllowedNow", "numToday", "numTotal"))
    except (ValueError, AttributeError, TypeError):
        return  # the server decides anyway
    if left:
        print(f"kaggle  {left} submissions are left today, this one included", flush=True)
    elif limits.get("limitedByTotal"):
        raise CompError(f"all submissions that {slug} allows are used up: {in_all} were sent")
    elif today:
        raise CompError(f"none of today's submissions is left, {today} were sent: {_tomorrow()}")


def _tomorrow() -> str:
    """When Kaggle's day ends."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = int((midnight - now).total_seconds() // 60) + 1
    return f"the next day begins at 0:00 UTC, in {minutes // 60} h {minutes % 60} min"


def _follow(config: Experiment, until_scored: bool, only: str = "") -> int:
    """Fetches scores, again and again until all are there if wished, or that of one submission.

    Raises:
        CompError: they are not there after `kaggle.wait` minutes.
    """
    deadline, pause = time.monotonic() + 60 * config.kaggle.wait, FIRST_LOOK
    while True:
        every = [each for each in _scores(until_scored) if only in {"", each.ref}]
        waiting = [each.ref for each in every if each.status == PENDING]
        if not (until_scored and waiting):
            break
        if time.monotonic() + pause > deadline:
            ledger.print_sent(every)
            raise CompError(
                f"no score of {', '.join(waiting)} after {config.kaggle.wait} minutes (kaggle.wait): "
                "comp submit --fetch asks again"
            )
        print(f"kaggle  waiting for the score of {', '.join(waiting)}", flush=True)
        time.sleep(pause)
        pause = min(1.5 * pause, LAST_LOOK)
    ledger.print_sent(every)
    if not every:
        print("sent    nothing was sent from here yet")
    return 0


def _scores(patient: bool) -> list[Sent]:
    """What Kaggle says of all that was sent from here; while it is silent, to a `patient` one what it said last."""
    try:
        return ledger.fetch_scores()
    except (Unavailable, Offline) as error:
        if not patient:
            raise
        print(f"kaggle  {error}", flush=True)
        return ledger.read_sent()
