"""What a line for the terminal or a file must never hold: the credentials of Kaggle's clients."""

import json
import os
import re
from pathlib import Path

from comp.errors import CompError, shown

FILES = ("kaggle.json", "access_token", "access_token.txt", "credentials.json")
SHORTEST = 6  # letters: what is shorter is no secret, and hiding it would spoil other words
BEGINNING = 8192  # bytes of a file that show whether it is text
OF_OTHERS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
OWN_FORM = re.compile(r"\bKGAT_\w+")  # a token of Kaggle's
# What a URL is signed with, what a header logs in with, and Kaggle's own tokens.
FORMS = re.compile(r"(?<=\?)[\w%&=.~+/:;,-]{8,}|(?<=Bearer )\S+|(?<=Basic )\S+|" + OWN_FORM.pattern)


def scrubbed(text: str) -> str:
    """`text` without the credentials of this user, and without what looks like one."""
    for secret in sorted(_known(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return FORMS.sub("***", text)


def holds_secret(text: str) -> bool:
    """Whether `text` has a credential of this user, of Kaggle's or of the hub that weights come from, or looks so."""
    others = {value for name in OF_OTHERS if len(value := os.environ.get(name, "")) >= SHORTEST}
    return any(secret in text for secret in _known() | others) or bool(OWN_FORM.search(text))


def refuse_secrets(folder: Path) -> None:
    """Raises: CompError, where a file of text below `folder`, all of which is to go to Kaggle, holds a credential."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and holds_secret(_text_of(path))]
    if files:
        names = shown(path.relative_to(folder).as_posix() for path in files)
        raise CompError(f"{names} would take a token or a key of yours along to Kaggle: take it out of the original")


def _text_of(path: Path) -> str:
    """What a file of text says; of weights, pictures and archives, which have a zero byte early, nothing."""
    with path.open("rb") as file:
        start = file.read(BEGINNING)
        return "" if b"\0" in start else (start + file.read()).decode("utf-8", errors="replace")


def _known() -> set[str]:
    """The credentials in the environment and in the files where Kaggle's clients keep them."""
    found = {value for name, value in os.environ.items() if name.startswith("KAGGLE") and _tells(name)}
    home, config = Path.home(), os.environ.get("XDG_CONFIG_HOME")
    folders = [home / ".kaggle", Path(config or home / ".config") / "kaggle"]
    folders += [Path(named)] if (named := os.environ.get("KAGGLE_CONFIG_DIR")) else []
    places = [folder / name for folder in folders for name in FILES]
    places += [Path(value) for value in found if "/" in value or "\\" in value]  # a token's file in place of the token
    for path in places:
        found |= _in_file(path)
    return {each for each in found if len(each) >= SHORTEST}


def _tells(name: str) -> bool:
    return any(word in name.upper() for word in ("KEY", "TOKEN"))


def _in_file(path: Path) -> set[str]:
    try:
        text = path.read_text(encoding="utf-8").strip()
        values = json.loads(text) if text.startswith("{") else {"token": text}
    except (OSError, ValueError):
        return set()
    return {value for name, value in values.items() if isinstance(value, str) and _tells(name)}
