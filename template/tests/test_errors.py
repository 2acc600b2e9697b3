"""What errors of others say, on one line."""

import pytest

from comp.errors import first_line


@pytest.mark.parametrize(
    ("error", "lines", "said"),
    [
        (ValueError(), 1, "ValueError"),
        (ValueError("\n  a\n  b"), 1, "a"),
        (ValueError("a:\n  b\n  c"), 2, "a: b"),
        (ValueError("é" * 400), 1, "é" * 300 + "…"),
    ],
)
def test_the_first_line_of_an_error_is_never_empty_or_endless(error, lines, said):
    assert first_line(error, lines) == said
