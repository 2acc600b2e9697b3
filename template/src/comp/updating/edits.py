"""What of a user's edits an update lost, line by line. Knows files as bytes, and nothing of git or copier."""

from collections import Counter
from difflib import SequenceMatcher

START, MIDDLE, END = b"<<<<<<< before updating", b"=======", b">>>>>>> after updating"  # as copier writes them
BINARY = "(not a text file)"
MOVED = "(lines in another order)"


def lost_edits(old: bytes | None, mine: bytes, new: bytes | None, now: bytes | None) -> list[str]:
    """The edits that led from `old` to `mine` and are not in `now`.

    `+ line` was the user's, `- line` he had deleted, `~ line` he had moved.

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
    told += [f"~ {_text(line)} (you had moved it)" for line in _moved_back(old or b"", mine, new or b"", now or b"")]
    reordered = own == was and (now is None or _lines(now) == _lines(new or b""))
    return told or [MOVED] * reordered


def has_marker(text: bytes) -> bool:
    """Whether one of copier's markers is left, be it the only one."""
    return not {START, END}.isdisjoint(_lines(text))


def has_conflict(text: bytes) -> bool:
    """Whether lines stand between copier's markers."""
    lines = _lines(text)
    return START in lines and MIDDLE in lines and END in lines


def _moved_back(old: bytes, mine: bytes, new: bytes, now: bytes) -> list[bytes]:
    """The lines that `mine` has elsewhere than `old`, and `now` where `old` had them.

    A line's place is its order among the lines that it was moved across, and that nobody else moved; a line that occurs
    twice in a file has none.
    """
    counts = [Counter(_lines(text)) for text in (old, mine, new, now)]
    once = {line for line in counts[0] if line.strip() and all(count[line] == 1 for count in counts)}
    before, after, theirs, found = ([line for line in _lines(text) if line in once] for text in (old, mine, new, now))
    stayed = _in_place(before, after) & _in_place(before, theirs)
    a, b, c = ({line: at for at, line in enumerate(lines)} for lines in (before, after, found))
    back = []
    for line in after:
        crossed = [other for other in stayed if (a[other] < a[line]) != (b[other] < b[line])]
        if crossed and all((a[other] < a[line]) == (c[other] < c[line]) for other in crossed):
            back.append(line)
    return back


def _in_place(before: list[bytes], after: list[bytes]) -> set[bytes]:
    """The lines that a move of others leaves where they were."""
    same = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return {line for block in same for line in before[block.a : block.a + block.size]}


def _lines(text: bytes) -> list[bytes]:
    return [line.rstrip(b"\r") for line in text.split(b"\n")]


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="backslashreplace")
