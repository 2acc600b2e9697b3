"""The program that made this repository, wherever it is installed, and what it tells of the template's versions."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from comp.errors import CompError
from comp.updating.origin import ANSWERS

REASON = re.compile(r"fatal: (.*)|(?:[\w.]+(?:Error|Exception): )(?:Validation error for question '\w+': )?(.*)")


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


def copier(*words: str | Path) -> str:
    """Runs copier, with nobody there to answer, never with --trust, and returns what it prints.

    Raises:
        CompError: it is not installed, or it failed; its reason in one line.
    """
    done = subprocess.run(
        [*_program(), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise CompError(f"copier: {_reason(done.stderr)}")
    return done.stdout


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
    return best or next((line for line in reversed(lines) if line), "it failed without giving a reason")
