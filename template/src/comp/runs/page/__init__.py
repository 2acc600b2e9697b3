"""One self-contained HTML page: a sentence at the top, then sections of text, tables, plots and pictures.

It needs no network and no scripts, follows the reader's light or dark setting, and can be read at 400 px.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import jinja2
from matplotlib.figure import Figure

from comp.files import write_text
from comp.runs.page.figures import saved, svg

__all__ = ["Card", "Folded", "Gallery", "Page", "Picture", "Plot", "Section", "Table", "Text", "saved"]
PAGE = Path(__file__).with_name("page.html")
Mood = Literal["good", "look", "stop", ""]  # color of the sentence at the top


@dataclass
class Table:
    """The first column is text, the others are numbers unless they stand in `text`."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""
    text: frozenset[int] = frozenset({0})  # numbers of the columns that are text
    block = "table"


@dataclass
class Plot:
    """A figure, drawn into the page as SVG in the page's own colors; what has very many points rasterizes itself."""

    title: str
    figure: Figure
    note: str = ""
    block = "plot"

    @property
    def svg(self) -> str:
        return svg(self.figure)


@dataclass
class Picture:
    """A picture that is there already, as JPEG or PNG bytes."""

    title: str
    picture: bytes
    note: str = ""
    block = "picture"


@dataclass
class Card:
    """A picture with lines below it; `pictures` are JPEG or PNG bytes, side by side."""

    pictures: Sequence[bytes]
    lines: Sequence[str]


@dataclass
class Gallery:
    title: str
    cards: list[Card] = field(default_factory=list)
    note: str = ""
    block = "gallery"


@dataclass
class Text:
    """Paragraphs."""

    paragraphs: Sequence[str]
    title: str = ""
    block = "text"


@dataclass
class Folded:
    """Preformatted text that opens on a click, such as the configuration."""

    title: str
    text: str
    block = "folded"


Block = Table | Plot | Picture | Gallery | Text | Folded


@dataclass
class Section:
    """What the page's navigation leads to; one without blocks is left out."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    note: str = ""


@dataclass
class Page:
    """`sentence` is the first thing that is read; `facts` are short lines below it."""

    title: str
    sentence: str
    mood: Mood = ""
    facts: Sequence[str] = ()
    sections: Sequence[Section] = ()

    def write(self, path: Path) -> Path:
        """Writes the page, whole or not at all, and returns where."""
        page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        page.filters["embedded"] = embedded
        template = page.from_string(PAGE.read_text(encoding="utf-8"))
        sections = [each for each in self.sections if each.blocks or each.note]
        write_text(path, template.render(page=self, sections=sections))
        return path


def embedded(picture: bytes) -> str:
    """The picture as a `data:` address."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
