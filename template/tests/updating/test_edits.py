"""What counts as a lost edit: every line that the user wrote or deleted, and nothing that only looks like one."""

import pytest

from comp.updating.edits import BINARY, MOVED, has_conflict, lost_edits

OLD = b"one\ntwo\nthree\nfour\n"
CONFLICT = b"one\n<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\nfour\n"


@pytest.mark.parametrize(
    ("case", "old", "mine", "new", "now", "lost"),
    [
        ("nothing was edited", OLD, OLD, b"other\n", b"other\n", []),
        ("merged", OLD, b"one\nmine\n" + OLD, OLD + b"five\n", b"one\nmine\n" + OLD + b"five\n", []),
        ("a line is gone", OLD, OLD + b"mine\n", OLD, OLD, ["+ mine"]),
        ("the file is gone", OLD, OLD + b"mine\n", None, None, ["+ mine"]),
        ("a new file of the user's is gone", None, b"mine\n", None, None, ["+ mine"]),
        (
            "the line stands between markers",
            b"one\ntwo\nfour\n",
            b"one\nmine\nfour\n",
            b"one\ntheirs\nfour\n",
            CONFLICT,
            [],
        ),
        ("a deleted line is back", OLD, b"one\nfour\n", OLD + b"five\n", OLD + b"five\n", ["- two", "- three"]),
        ("deleted by the user, file gone", OLD, b"one\n", None, None, ["- two", "- three", "- four"]),
        ("both deleted it", OLD, b"one\n", b"one\n", b"one\n", []),
        ("both wrote it", OLD, OLD + b"fix\n", OLD + b"fix\nmore\n", OLD + b"fix\nmore\n", []),
        ("the template has one more of a deleted line", OLD, b"one\n", OLD + b"two\n", b"one\ntwo\n", []),
        ("one of two is gone", OLD, OLD + b"mine\nmine\n", OLD, OLD + b"mine\n", ["+ mine"]),
        ("one more of the template's own", OLD, OLD + b"one\n", OLD, OLD, ["+ one"]),
        ("the same, and the template took its own away", b"one\n", b"one\none\n", b"", b"one\n", []),
        (
            "moved, and back",
            OLD,
            b"four\none\ntwo\nthree\n",
            OLD + b"five\n",
            OLD + b"five\n",
            ["~ four (you had moved it)"],
        ),
        (
            "moved back, another edit kept",
            OLD,
            b"four\none\nmine\ntwo\nthree\n",
            OLD,
            b"one\nmine\ntwo\nthree\nfour\n",
            ["~ four (you had moved it)"],
        ),
        (
            "moved and kept beside the template's edit",
            OLD,
            b"four\none\ntwo\nthree\n",
            b"ONE\ntwo\nthree\nfour\n",
            b"four\nONE\ntwo\nthree\n",
            [],
        ),
        (
            "the template moved what it was moved across",
            b"top\n-\n-\nx\n-\n-\nL\n-\n",
            b"top\n-\nL\n-\nx\n-\n-\n-\n",
            b"x\ntop\n-\n-\n-\n-\nL\n-\n",
            b"x\ntop\n-\nL\n-\n-\n-\n-\n",
            [],
        ),
        (
            "moved, and the template deleted it",
            OLD,
            b"one\nthree\ntwo\nfour\n",
            b"one\ntwo\nfour\n",
            b"one\ntwo\nfour\n",
            [MOVED],
        ),
        (
            "two lines that are alike, only the order, and it is gone",
            b"a\na\nb\nb\n",
            b"b\nb\na\na\n",
            b"a\na\nb\nb\n",
            b"a\na\nb\nb\n",
            [MOVED],
        ),
        ("only the order, file gone", OLD, b"four\none\ntwo\nthree\n", None, None, [MOVED]),
        ("only the order, kept", OLD, b"four\none\ntwo\nthree\n", OLD, b"four\none\ntwo\nthree\n", []),
        ("line ends of Windows are no edit", OLD, OLD.replace(b"\n", b"\r\n"), b"x\n", b"x\n", []),
        ("nor do they hide one", OLD, b"one\r\nmine\r\n", OLD, OLD, ["+ mine", "- two", "- three", "- four"]),
        ("empty lines are none", OLD, b"\n\n" + OLD + b"  \n", OLD, OLD, []),
        ("bytes that are no UTF-8", OLD, OLD + b"caf\xe9\n", OLD, OLD + b"caf\n", ["+ caf\\xe9"]),
        ("not a text file", OLD, b"\0\1", OLD, OLD, [BINARY]),
        ("not a text file, kept", OLD, b"\0\1", OLD, b"\0\1", []),
        ("without a last line end", OLD, OLD + b"mine", OLD, OLD, ["+ mine"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_lost(case, old, mine, new, now, lost):
    assert lost_edits(old, mine, new, now) == lost


def test_a_conflict_needs_all_three_markers():
    assert has_conflict(CONFLICT)
    assert has_conflict(CONFLICT.replace(b"\n", b"\r\n"))
    assert not has_conflict(CONFLICT.replace(b">>>>>>> after updating\n", b""))
    assert not has_conflict(b"A title\n=======\n")
