"""Where the right image stands, how similar it is, and which images stand everywhere."""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from comp.align.data.pairs import Pairs
from comp.align.ranking.retrieval import OCCURS_AMONG
from comp.align.report.distances import NO_PICTURE
from comp.align.report.queries import Queries
from comp.runs.bootstrap import spread
from comp.runs.page import Card, Gallery, Plot, Section, Table, Text
from comp.runs.page.drift import OfFold, compared, in_words
from comp.runs.page.figures import drawn

WORST, PICTURED, SHOWN = 20, 12, 3  # queries in the table, with pictures, and images found of each
HUBS = 15
SIDE = 128  # px of a thumbnail
BINS = 50


def ranks_section(queries: Queries) -> Section:
    """Recall at k, and the similarity of right and wrong images."""
    curve, similar = rank_curve(queries), _similarities(queries)
    table = Table("Where the right image stands", ["", *(f"best {100 * q:g} %" for q in (0.1, 0.25, 0.5, 0.75, 0.9))])
    quantiles = np.quantile(queries.rank, (0.1, 0.25, 0.5, 0.75, 0.9))
    table.rows.append(["rank at most", *(f"{each:.0f}" for each in quantiles)])
    low, high = min(queries.galleries), max(queries.galleries)
    size = f"{low}" if low == high else f"{low} to {high}"
    about = f"{len(queries.rows)} of {queries.scored} captions, each among the {size} images of its own fold."
    return Section("Ranks", [Plot("Recall among the first k", curve), table, Plot("Similarity", similar)], note=about)


def rank_curve(queries: Queries) -> Figure:
    """The share of captions whose own image is among the first k, and what chance would give."""
    most = max(queries.galleries)
    ks = np.unique(np.geomspace(1, most, 60).round().astype(int))
    figure, [[axes]] = drawn(6, 3.2)
    axes.plot(ks, [queries.within(int(k)).mean() for k in ks], label="out of fold")
    axes.plot(ks, ks / most, color="#888", linewidth=1, label="by chance")
    axes.set(xlabel="k", ylabel="recall at k", xscale="log", ylim=(0, 1.02))
    axes.legend()
    return figure


def _similarities(queries: Queries) -> Figure:
    figure, [[axes]] = drawn(6, 3.0)
    both = np.concatenate([queries.cosine, queries.wrong])
    edges = np.linspace(both.min(), both.max() + 1e-6, BINS + 1)
    for name, values in (("its own image", queries.cosine), ("the nearest other image", queries.wrong)):
        axes.stairs(np.histogram(values, edges)[0] / len(values), edges, label=name, linewidth=1.5)
    axes.set(xlabel="cosine of the prediction with", ylabel="share of captions")
    axes.legend()
    return figure


def worst_section(queries: Queries, pairs: Pairs, folder: Path | None) -> Section:
    """The captions whose own image stands last; `folder` has the images, where it is known."""
    order = np.argsort(-queries.rank, kind="stable")
    columns = ["caption", "its own image", "rank", "cosine", "found first", "cosine", "fold"]
    table = Table("", columns, text=frozenset({0, 1, 4}))
    for q in order[:WORST]:
        own = [caption_of(pairs, queries.rows[q]), str(pairs.names[queries.image_of[q]]), f"{queries.rank[q]:.0f}"]
        first = [str(pairs.names[queries.found[q, 0]]), f"{queries.similarity[q, 0]:.3f}", str(queries.fold[q])]
        table.rows.append([*own, f"{queries.cosine[q]:.3f}", *first])
    cards = [_card(queries, pairs, folder, q) for q in order[:PICTURED]] if folder is not None else []
    pictured = [Gallery("Own image, then those found first", cards)] if cards else []
    return Section("Worst captions", [*pictured, table])


def caption_of(pairs: Pairs, row: int) -> str:
    """As text where that is known, else its id."""
    return str(pairs.captions[row] if pairs.captions is not None else pairs.tables.train["id"].iloc[row])


def _card(queries: Queries, pairs: Pairs, folder: Path, q: int) -> Card:
    images = [queries.image_of[q], *queries.found[q, :SHOWN]]
    pictures = [thumbnail(folder / str(pairs.names[image])) for image in images]
    lines = [caption_of(pairs, queries.rows[q]), f"rank {queries.rank[q]:.0f}, cosine {queries.cosine[q]:.3f}"]
    return Card([each for each in pictures if each], lines)


def thumbnail(path: Path) -> bytes:
    """A small JPEG; nothing of a file that cannot be read."""
    try:
        with Image.open(path) as image:
            image.thumbnail((SIDE, SIDE))
            flat = Image.new("RGB", image.size, "white")
            flat.paste(image, mask=image.convert("RGBA").getchannel("A"))
    except NO_PICTURE:
        return b""
    file = io.BytesIO()
    flat.save(file, "JPEG", quality=80)
    return file.getvalue()


def hubs_section(queries: Queries, pairs: Pairs) -> Section:
    """Images that are near to everything."""
    lists = occurrences(queries, len(pairs.names))
    gallery = np.unique(queries.image_of)
    share, never = lists / len(queries.rows), float((lists[gallery] == 0).mean())
    table = Table("", ["image", f"in so many lists of {OCCURS_AMONG}", "of all captions", "its own captions"])
    own = np.bincount(queries.image_of, minlength=len(pairs.names))
    for image in np.argsort(-lists, kind="stable")[:HUBS]:
        figures = [str(lists[image]), f"{100 * share[image]:.2f} %", str(own[image])]
        table.rows.append([str(pairs.names[image]), *figures])
    mean = lists[gallery].mean()
    about = (
        f"An image is in {mean:.1f} lists of the {OCCURS_AMONG} nearest on average; {100 * never:.1f} % are in none. "
        "Where a few are in many, comp verify shows what a correction for hubs brings."
    )
    return Section("Hubs", [Text([about]), table])


def occurrences(queries: Queries, images: int) -> np.ndarray:
    """(M,) in how many captions' lists of the nearest each image stands."""
    many = min(OCCURS_AMONG, min(queries.galleries))
    return np.bincount(queries.found[:, :many].ravel(), minlength=images)


def of_folds(queries: Queries, metric: str, scores: dict[str, float]) -> list[OfFold]:
    """Each fold's score by `metric`; none where it is no mean over captions."""
    numbers = [int(k) for k in np.unique(queries.fold)]
    drawn = [queries.drawn(metric, queries.fold == k) for k in numbers]
    known = [each for each in drawn if each is not None]
    sizes = [int((queries.fold == k).sum()) for k in numbers]
    return compared(numbers, sizes, [scores[str(k)] for k in numbers], known) if len(known) == len(numbers) else []


def folds_section(found: list[OfFold], metric: str) -> Section:
    """Of folds beside each other."""
    table = Table("", ["fold", "captions", metric, "95 % interval", "from the others"])
    for each in found:
        figures = [f"{each.score:.4f}", spread(*each.interval), f"{each.deviations:+.1f} standard errors"]
        table.rows.append([str(each.number), str(each.rows), *figures])
    return Section("Folds", [Text([in_words(found)]), table])
