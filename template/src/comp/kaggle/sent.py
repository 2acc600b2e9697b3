"""`runs/sent.csv`: a line per submission that was sent, and the score that came back."""

import csv
import io
import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from comp.errors import CompError
from comp.files import write_text
from comp.files.lock import in_turn
from comp.kaggle.client import ask
from comp.readback import read_rows
from comp.runs.rundir import RUNS, RunDir

PATH = RUNS / "sent.csv"
WAY_OUT = "move it away; Kaggle's page of submissions has them all"
PENDING = "pending"


@dataclass(frozen=True)
class Sent:
    """A submission as it was sent, and what Kaggle says of it."""

    ref: str  # Kaggle's number of it
    when: str  # UTC, ISO 8601
    competition: str
    run: str
    file: str
    digest: str  # of the file; of a notebook nothing
    message: str
    status: str = PENDING  # or complete, error
    public: str = ""  # scores as Kaggle spells them; empty: not told
    private: str = ""
    predictions: str = ""  # a fingerprint of what its run predicted then; empty: an older version has sent it


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_sent() -> list[Sent]:
    """All that was sent from here, the oldest first.

    Raises:
        CompError: the file is damaged.
    """
    if not PATH.exists():
        return []
    names = [field.name for field in fields(Sent)]
    rows = read_rows(PATH, names[:-1], WAY_OUT)  # an older version has not written the last
    return [Sent(**{name: row[name] for name in names if name in row}) for row in rows]


def is_of_before(sent: Sent) -> bool:
    """Whether its run predicts something else since it was sent."""
    return RunDir.of_name(sent.run).has_changed(sent.predictions, sent.when.replace("T", " ")[:19])


def note_sent(sent: Sent) -> None:
    """Adds a submission, or puts it in the place of what was known of it."""
    with in_turn(RUNS):
        known = read_sent()
        places = [number for number, each in enumerate(known) if each.ref == sent.ref]
        _write([*known[: places[0]], sent, *known[places[0] + 1 :]] if places else [*known, sent])


def _write(every: list[Sent]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Sent)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(each) for each in every)
    write_text(PATH, text.getvalue())


def fetch_scores() -> list[Sent]:
    """Asks Kaggle for the scores of all that was sent from here, and notes them.

    Raises:
        CompError: Kaggle does not answer, or refuses.
    """
    slugs = {each.competition for each in read_sent()}
    told = {slug: on_kaggle(slug) for slug in slugs}
    with in_turn(RUNS):  # what was sent while Kaggle was asked stays
        every = [_updated(each, told.get(each.competition, {}).get(each.ref, {})) for each in read_sent()]
        if every:
            _write(every)
    return every


def on_kaggle(slug: str) -> dict[str, dict[str, Any]]:
    """The newest 200 submissions of the user's team as Kaggle tells them, by their number.

    Raises:
        CompError: Kaggle does not answer, or refuses.
    """
    said = ask(slug, "competitions", "submissions", slug, "--page-size", "200", "--format", "json", "-q")
    if "No submissions found" in said:
        return {}
    try:
        return {str(each["ref"]): each for each in json.loads(said[said.index("[") :])}
    except (ValueError, KeyError, TypeError):
        raise CompError(
            "Kaggle's client lists submissions in another form than expected: is there a newer one?"
        ) from None


def _updated(sent: Sent, told: dict[str, Any]) -> Sent:
    if not told:  # a new one may not be listed yet
        return sent
    return replace(
        sent,
        status=str(told.get("status") or PENDING).rpartition(".")[2].lower(),
        public=_text(told.get("publicScore")),
        private=_text(told.get("privateScore")),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def print_sent(every: list[Sent]) -> None:
    for each in every:
        scores = [f"{name} {score}" for name, score in (("public", each.public), ("private", each.private)) if score]
        about = ", ".join([each.status, *scores])
        print(f"sent    {each.ref}  {each.when[:16]}  {each.run}: {about}  ({each.message})")
