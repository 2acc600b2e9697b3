"""The program that made this repository, wherever it is installed, and what it tells of the template's versions."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import yaml

from comp.errors import CompError
from comp.updating.origin import ANSWERS, Origin

REASON = re.compile(r"fatal: (.*)|(?:[\w.]+(?:Error|Exception): )(?:Validation error for question '\w+': )?(.*)")

HINTS = (  # what it says, and the way out
    (r"\.lock': File exists", "if no other git is at work there, delete that file, then again"),
    (r"Host key verification failed", "ssh does not know that host: log in there once with ssh, and answer yes"),
    (
        r"terminal prompts disabled|could not read (Username|Password)|Authentication failed|Repository not found"
        r"|Permission denied \(",
        f"the template is private, or no longer there: git ls-remote must read its address, _src_path in {ANSWERS}",
    ),
    (
        r"did not match any|unknown revision|bad revision|reference is not a tree|not a valid object|Remote branch",
        f"the template no longer has that version, its history was rewritten: write the new name of the same state, or "
        f"of the nearest one, as _commit into {ANSWERS}, and commit",
    ),
)


def newer_exists(folder: Path) -> bool:
    """Whether the template has a newer release; without any, a newer commit."""
    return json.loads(copier("check-update", "--output-format", "json", folder).splitlines()[-1])["update_available"]


def render(origin: Path, to: Path, version: str | None, data: list[str]) -> Path:
    """Writes the template's `version` (None: the newest) into the new folder `to`, with the answers of `origin`."""
    to.mkdir()
    shutil.copy(origin / ANSWERS, to)
    which = ["--vcs-ref", version] if version else []
    copier("recopy", "--defaults", "--overwrite", "--quiet", *which, *data, to)
    return to


def render_new(folder: Path, origin: Origin, to: Path, words: list[str]) -> Path:
    """Writes a new repository into `to`, with the answers that the one in `folder` remembers, and these."""
    remembered = yaml.safe_load((folder / ANSWERS).read_text(encoding="utf-8"))
    asked = {name: value for name, value in remembered.items() if name != "first_task" and not name.startswith("_")}
    given = to.with_suffix(".yml")
    given.write_text(yaml.safe_dump(asked, allow_unicode=True), encoding="utf-8")
    data = [part for word in words for part in ("--data", word)]
    copier("copy", "--defaults", "--quiet", "--vcs-ref", origin.version, "--data-file", given, *data, origin.source, to)
    return to


def copier(*words: str | Path) -> str:
    """Runs copier, with nobody there to answer, never with --trust, and returns what it prints.

    Raises:
        CompError: it is not installed, or it failed; its reason in one line, and the way out where it is known.
    """
    command = [*_program(), *map(str, words)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", env=_environment(), check=False
    )
    if done.returncode:
        raise CompError(f"copier: {_reason(done.stderr)}")
    return done.stdout


def _environment() -> dict[str, str]:
    """git asks nobody on the terminal, and in copier's own folders it runs no hooks and leaves no process behind.

    A newer git's maintenance goes on in the background after the command that began it, and writes into a folder that
    copier is about to delete: "Directory not empty".
    """
    settings = {"core.hooksPath": os.devnull, "maintenance.auto": "false"}
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    given = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), start=first):
        given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {**os.environ, **given}


def _program() -> list[str]:
    if find_spec("copier"):
        return [sys.executable, "-P", "-m", "copier"]  # -P: not what happens to lie in this folder
    if shutil.which("copier"):
        return ["copier"]
    if shutil.which("uvx"):
        return ["uvx", "copier"]
    raise CompError("copier is not installed: pipx install copier (or pip install copier), then again")


def _reason(printed: str) -> str:
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip(" |") for line in printed.splitlines()]
    found = [match for match in map(REASON.search, lines) if match]
    best = next((match[1] for match in found if match[1]), None) or next((match[2] for match in found[::-1]), None)
    best = best or next((line for line in reversed(lines) if line), "it failed without giving a reason")
    hint = next((hint for pattern, hint in HINTS if re.search(pattern, printed, re.IGNORECASE)), "")
    return f"{best.rstrip('.')}; {hint}" if hint else best
