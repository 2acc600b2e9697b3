"""What of a user's edits an update lost, line by line. Knows files as bytes, and nothing of git or copier."""

from collections import Counter

START, MIDDLE, END = b"<<<<<<< before updating", b"=======", b">>>>>>> after updating"  # as copier writes them
BINARY = "(not a text file)"
MOVED = "(lines in another order)"


def lost_edits(old: bytes | None, mine: bytes, new: bytes | None, now: bytes | None) -> list[str]:
    """The edits that led from `old` to `mine` and are not in `now`: `+ line` was the user's, `- line` he had deleted.

    `old` and `new` are the template's file before and after, `mine` the user's before the update, `now` what the update
    made of it; None where there is none. Line ends and empty lines do not count. A line between markers is not lost.
    """
    if now == mine or (old is not None and _lines(old) == _lines(mine)):
        return []
    if b"\0" in mine:
        return [BINARY]
    was, own, theirs = (Counter(_lines(text or b"")) for text in (old, mine, new))
    have = Counter(_lines(now or b""))
    # A line that the user has more often than the template had: the template may have taken away what was its own.
    lost = {line: n - max(0, was[line] - theirs[line]) - have[line] for line, n in own.items() if n > was[line]}
    deleted = {line: n - own[line] for line, n in was.items() if n > own[line]}
    if now is not None:  # else the file is gone, perhaps renamed, and what was deleted in it may be back there
        shown = has_conflict(now)  # both sides, what was deleted too
        deleted = {line: 0 if shown else have[line] - own[line] - max(0, theirs[line] - was[line]) for line in deleted}
    told = [f"+ {_text(line)}" for line, n in lost.items() if line.strip() for _ in range(n)]
    told += [f"- {_text(line)}" for line, n in deleted.items() if line.strip() for _ in range(n)]
    moved = own == was and (now is None or _lines(now) == _lines(new or b""))
    return told or [MOVED] * moved


def has_conflict(text: bytes) -> bool:
    """Whether lines stand between copier's markers."""
    lines = _lines(text)
    return START in lines and MIDDLE in lines and END in lines


def _lines(text: bytes) -> list[bytes]:
    return [line.rstrip(b"\r") for line in text.split(b"\n")]


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="backslashreplace")
