"""A layout in the hands of the program: what it tells of it, or the line by which it refuses it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support import configure
from vision.layouts.layout import Layout, write
from vision.small import SMALL

from comp.cli import main
from comp.errors import CompError
from comp.tables import Tables
from comp.vision.data.read import read_tables
from comp.vision.schema import ImageConfig
from comp.vision.submission.form import expected_form


def told(sections: Mapping[str, Any]) -> tuple[ImageConfig, Tables, list[str]]:
    """What `comp split` reads and tells of `data/` before it looks at an image.

    Raises:
        CompError: it does not understand it.
    """
    config: ImageConfig = configure(SMALL, **sections)
    tables = read_tables(config.data)
    about = expected_form(config, tables)
    return config, tables, [*tables.notes, f"submit  {about}"]


def refusal(sections: Mapping[str, Any]) -> str:
    """The line by which `data/` is refused; "" if it is understood."""
    try:
        told(sections)
    except CompError as error:
        return str(error)
    return ""


def answers(layout: Layout) -> tuple[list[str], str]:
    """What is told of a layout whose files are written here, answered if it needs that, and how it was refused."""
    write(layout.files, Path("data"))
    asked = refusal(layout.settings) if layout.asks else ""
    if layout.then:
        main([layout.then])
    return [] if layout.rule is None else told(layout.answered)[2], asked
