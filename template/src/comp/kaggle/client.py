"""Kaggle's own client, as a program: it alone knows every way to log in. Imported, it would ask the network at once."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from comp.config import Experiment
from comp.errors import CompError
from comp.kaggle.secrets import scrubbed

OLDEST = (2, 2, 5)  # that names a submission's number and goes on with a download
INSTALL = 'python -m pip install -e ".[kaggle]"'
LOG_IN = "log in (kaggle auth login, or a token of https://www.kaggle.com/settings/api in ~/.kaggle/access_token)"
PAUSES = (2.0, 10.0, 30.0)  # seconds before Kaggle is asked again
LONGEST = 300  # letters of a sentence of Kaggle's
NOT_FOR_THE_CLIENT = {"VERBOSE", "VERBOSE_OUTPUT"}  # it would print the token
LIMIT = re.compile(r"submission allowance|daily (submission )?limit|submissions? per day", re.IGNORECASE)
IN_BETWEEN = re.compile(
    r"\b5\d\d Server Error|a problem on Kaggle's side|rate limited|429 Client Error|Upload unsuccessful"
)
OFFLINE = re.compile(r"NameResolutionError|Failed to establish|getaddrinfo|Network is unreachable|ProxyError")
CUT_OFF = re.compile(r"ConnectionError|Timeout|ChunkedEncodingError|IncompleteRead|Connection (aborted|reset|broken)")


class Unavailable(CompError):
    """Kaggle did not answer, or in a way that may pass."""


class Offline(CompError):
    """No network, or no name of Kaggle's is found: whoever waits for hours waits on, others are told at once."""


class LimitReached(CompError):
    """No more submissions today."""


class Refused(CompError):
    """Kaggle does not have it, or not for this user; `sentence` is its own, `what` comes before it."""

    def __init__(self, sentence: str, what: str = "Kaggle refuses") -> None:
        super().__init__(f"{what} ({sentence})")
        self.sentence = sentence


def competition(config: Experiment) -> str:
    """The competition's slug.

    Raises:
        CompError: the configuration names none.
    """
    if config.kaggle.competition is None:
        raise CompError(
            "kaggle.competition is not set: add 'kaggle: {competition: SLUG}' to conf/baseline.yaml, or put "
            "kaggle.competition=SLUG on the command line; SLUG is the last part of the competition's address"
        )
    return config.kaggle.competition


def ask(slug: str, *words: str, watch: Callable[[], None] = lambda: None) -> str:
    """What the client prints to `words`; asked again, a few times, where that may help. See `ask_once`."""
    for pause in PAUSES:
        try:
            return ask_once(slug, *words, watch=watch)
        except Unavailable as error:
            wait(pause, error)
    return ask_once(slug, *words, watch=watch)


def wait(pause: float, error: CompError) -> None:
    """Tells what went wrong, and sleeps for so many seconds."""
    print(f"kaggle  {error}; again in {pause:.0f} s", flush=True)
    time.sleep(pause)


def ask_once(slug: str, *words: str, watch: Callable[[], None] = lambda: None) -> str:
    """What the client prints to `words`, about the competition `slug`, without credentials.

    Args:
        slug: empty, where it is about a dataset or a notebook of the user's.
        watch: called twice a second until it ends; what it raises ends the client.

    Raises:
        Unavailable: asking again may help.
        Offline: the same, once there is a network.
        Refused: there is no such dataset or notebook, or its description is wrong.
        CompError: it is not installed, nobody is logged in, the rules are not accepted …
    """
    _installed()
    command = [sys.executable, "-P", "-m", "kaggle", "-W", *words]  # -P: not what lies in this folder by that name
    kept = {name: value for name, value in os.environ.items() if name not in NOT_FOR_THE_CLIENT}
    environment = {**kept, "PYTHONWARNINGS": "ignore", "PYTHONIOENCODING": "utf-8:replace"}
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        said, complained = _output(process, watch)
    finally:
        process.kill()  # where it has ended, nothing happens
        process.wait()
    if process.returncode:
        raise refusal(slug, scrubbed(said), scrubbed(complained))
    return scrubbed(said)


def _output(process: "subprocess.Popen[str]", watch: Callable[[], None]) -> tuple[str, str]:
    while True:
        try:
            return process.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            watch()


def refusal(slug: str, said: str, complained: str) -> CompError:
    """The line for what the client said before it failed."""
    everything, sentence = f"{said}\n{complained}", _sentence(complained or said)
    if "Authentication required" in everything or "Invalid credentials" in everything:
        return CompError(f"nobody is logged in to Kaggle here, or the login has expired: {LOG_IN}, then run this again")
    if LIMIT.search(everything):
        return LimitReached(f"Kaggle takes no more today ({sentence})")
    if IN_BETWEEN.search(everything):
        return Unavailable(f"Kaggle cannot answer just now ({sentence})")
    if OFFLINE.search(everything):
        return Offline("Kaggle cannot be reached: is there a network, and does it need a proxy (https_proxy)?")
    if CUT_OFF.search(everything):
        return Unavailable("the connection to Kaggle was cut off")
    if "No space left" in everything:
        return CompError("no space left on the disk while downloading: free some and run again, it goes on from there")
    if not slug:
        return Refused(sentence)
    if "don't have access" in complained or "403 Client Error" in complained:
        page = f"https://www.kaggle.com/competitions/{slug}/rules"
        return CompError(f"Kaggle refuses ({sentence}): join the competition at {page}, then run this again")
    if "was not found" in complained or "Could not find competition" in complained:
        return CompError(f"Kaggle finds nothing for kaggle.competition={slug}: it is the last part of the address")
    return CompError(f"Kaggle's client failed ({sentence})")


def _sentence(complained: str) -> str:
    """The one line of it that tells most."""
    lines = [line.strip() for line in complained.splitlines() if line.strip() and "Will retry in" not in line]
    if not lines:
        return "without a word"
    line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    line = re.sub(r" for url: \S+", "", line).rstrip(".")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _installed() -> None:
    try:
        found = version("kaggle")
        version("six")  # it imports it, and does not say so
    except PackageNotFoundError as error:
        raise CompError(f"{error.name} is not installed, and Kaggle's client is needed here: {INSTALL}") from None
    numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:3])
    if numbers < OLDEST:
        raise CompError(f"kaggle {found} is too old here, {'.'.join(map(str, OLDEST))} is needed: {INSTALL}")
