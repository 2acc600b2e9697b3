"""The one error that a user can cause."""


class CompError(Exception):
    """Something that the user can fix: one line that says what is wrong, where, and what to do."""


def shown(items: object, most: int = 3) -> str:
    """`'a', 'b', 'c' and 7 more`: enough of a list to recognize it, on one line."""
    everything = [repr(str(item)) for item in items]  # type: ignore[attr-defined]
    head = ", ".join(everything[:most])
    return head if len(everything) <= most else f"{head} and {len(everything) - most} more"
