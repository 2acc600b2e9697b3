"""Figures of a page: SVG in the colors of the page, and PNG for whoever wants the picture alone."""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from comp.files import written_whole

INK = "#111213"  # matplotlib's black here: `currentColor` in the page, so that it is light where the page is dark
COLORS = ["#3987d6", "#e8833a", "#3aa66b", "#d1495b", "#9a6fd0", "#a8763e", "#d873b2", "#8a8f98", "#a5a02a", "#2fa6b4"]
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "comp",  # the same figure gives the same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=COLORS),
    **dict.fromkeys(["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], INK),
}
SHARES = LinearSegmentedColormap.from_list(
    "shares", [(0.1, 0.4, 0.7, 0.0), (0.1, 0.4, 0.7, 1.0)]
)  # over any background
PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
ADDRESSES = re.compile(r' xmlns(:xlink)?="[^"]*"')  # an element within HTML needs none
IDS, REFERENCES = re.compile(r' id="([^"]*)"'), re.compile(r'(?:href="|url\()#([^")]*)')
METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)


def drawn(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """A figure of so many inches in the page's style, and its axes (rows, columns)."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False)


def plain(text: str) -> str:
    """A user's text for a figure, where dollar signs would begin a formula."""
    return text.replace("$", r"\$")


def svg(figure: Figure) -> str:
    """The figure as an `<svg>` element without colors of its own for text and axes; points may be rasterized in it."""
    file = io.StringIO()
    for legend in (axes.get_legend() for axes in figure.axes):
        if legend is not None:  # drawn outside of the style
            legend.set_frame_on(False)
            for label in legend.get_texts():
                label.set_color(INK)
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format="svg", transparent=True, dpi=110)
    text = ADDRESSES.sub("", METADATA.sub("", PROLOG.sub("", file.getvalue())))
    return _own_ids(text).replace(INK, "currentColor")


def _own_ids(text: str) -> str:
    """The ids that something refers to, called apart from those of other figures; the others are left out."""
    referred = set(REFERENCES.findall(text))
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    text = IDS.sub(lambda found: f' id="{mark}{found[1]}"' if found[1] in referred else "", text)
    return REFERENCES.sub(lambda found: found[0].replace(f"#{found[1]}", f"#{mark}{found[1]}"), text)


def saved(figure: Figure, path: Path) -> Path:
    """Writes the figure as PNG and returns where."""
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    return path
