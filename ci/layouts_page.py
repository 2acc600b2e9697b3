"""docs/layouts.md, from the layouts that template/tests/vision/layouts tries; ci/pages.py writes it."""

import contextlib
import io
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from typing import Any

from questions import ROOT

sys.path += [str(ROOT / "template" / folder) for folder in ("src", "tests")]

HEAD = """\
<!-- Written by ci/pages.py from template/tests/vision/layouts: change that. -->
# Layouts

Of {n} kinds of competition, {understood} are read as they come, {asked} could mean two things and are asked about, and
{refused} are refused with a line that says why. Each row is a test
([table](../template/tests/vision/layouts/table.py)): it writes such files, reads them, looks whether each row has its
own image, and submits predictions that it knows to be good. A scorer of its own, by the host's rule, then reads
the file: a flipped column, another order or another spelling would show. What is asked is answered by the setting that
the line names, and goes the same way.

"""
UNDERSTOOD = """\
## Understood

| kind of competition | files | settings | what `comp split` prints |
| --- | --- | --- | --- |
"""
ASKED = """
## Asked

What could mean two things is never guessed.

| kind of competition | files | settings | asked | answer |
| --- | --- | --- | --- | --- |
"""
REFUSED = """
## Refused

| kind of competition | files | settings | refused with |
| --- | --- | --- | --- |
"""
TOLD = ("root", "train", "groups", "time", "target", "submit")  # of a layout that is understood
BAR, QUOTE = r"\|", "'"


@cache
def layouts_page() -> str:
    """The page: what the program says of each layout, in the words that it has now."""
    from vision.layouts.run import answers
    from vision.layouts.table import LAYOUTS

    rows: dict[str, list[str]] = {UNDERSTOOD: [], ASKED: [], REFUSED: []}
    for layout in LAYOUTS:
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.chdir(folder),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            lines, asked = answers(layout)
        cells = [layout.name, layout.about, _keys(layout.settings)]
        if not asked:
            part = UNDERSTOOD
            cells.append("<br>".join(_code(line) for line in lines if line.split()[0] in TOLD))
        elif layout.rule is None:
            part = REFUSED
            cells.append(_code(asked))
        else:
            part = ASKED
            cells += [_code(asked), f"`comp {layout.then}`" if layout.then else _keys(layout.answer)]
        rows[part].append(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |\n")
    counts = {"understood": UNDERSTOOD, "asked": ASKED, "refused": REFUSED}
    head = HEAD.format(n=len(LAYOUTS), **{name: len(rows[part]) for name, part in counts.items()})
    return head + "".join(part + "".join(own) for part, own in rows.items())


def _keys(sections: Mapping[str, Any]) -> str:
    """Settings as the command line takes them."""
    pairs = []
    for key, value in sections.items():
        inner = value if isinstance(value, dict) else {"": value}
        pairs += [(f"{key}.{name}".strip("."), "null" if own is None else own) for name, own in inner.items()]
    return "<br>".join(f"`{key}={str(value).replace(QUOTE, '')}`" for key, value in pairs)


def _code(line: str) -> str:
    """A line as it stands, whatever signs it has, without the blanks that line up its first word."""
    fence = "``" if "`" in line else "`"
    text = re.sub("pixels-[0-9a-f]+", "pixels-…", " ".join(line.split()))
    return f"{fence} {text} {fence}" if fence == "``" else f"`{text}`"
