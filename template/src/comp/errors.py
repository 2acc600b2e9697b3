"""The one error that a user can cause."""


class CompError(Exception):
    """Something that the user can fix: one line that says what is wrong, where, and what to do."""


LONGEST = 100  # characters of a value in an error
LONGEST_LINE = 300


def shown(items: object, most: int = 3) -> str:
    """`'a', 'b', 'c' and 7 more`: enough of a list to recognize it, on one line."""
    everything = [str(item) for item in items]  # type: ignore[attr-defined]
    head = ", ".join(shortened(repr(item)) for item in everything[:most])
    return head if len(everything) <= most else f"{head} and {len(everything) - most} more"


def one_line(error: BaseException) -> str:
    """What an error says, never empty."""
    return shortened(" ".join(str(error).split()) or type(error).__name__)


def first_line(error: BaseException, lines: int = 1) -> str:
    """The first of the lines that an error says, or the first few as one, never empty."""
    text = " ".join(line.strip() for line in str(error).strip().splitlines()[:lines])
    return shortened(text or type(error).__name__, LONGEST_LINE)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The beginning of a long text."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def plural(count: int, one: str, many: str) -> str:
    """`1 id appears`, `2 ids appear`."""
    return f"{count} {one if count == 1 else many}"
