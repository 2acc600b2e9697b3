"""Are the predictions nearer to the truth than chance? Three distances, their histograms, and pictures to look at.

Vectors are compared at length 1, as a ranking by cosine sees them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from comp.align.ranking.retrieval import unit
from comp.errors import CompError
from comp.files import written_whole

ROWS = 8192
BINS = 60
KINDS = ("prediction and truth", "shuffled pairs", "random pairs")
DISTANCES = ("euclidean", "manhattan", "cosine")
NO_PICTURE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Verified:
    """One of `DISTANCES`; the arrays are in the order of `KINDS`."""

    mean: np.ndarray  # (3,)
    improvement_percent: np.ndarray  # (3,) by how much a prediction is nearer to its truth; 0 for itself
    counts: np.ndarray  # (3, BINS)
    edges: np.ndarray  # (BINS + 1,)


def verify(predictions: np.ndarray, images: np.ndarray, image_of: np.ndarray, seed: int = 0) -> dict[str, Verified]:
    """Compares three kinds of pairs (`KINDS`), as many of each as there are predictions (N, D); `images` are (M, D).

    Shuffled: each prediction with the image of another one. The matching is broken, all else is as it was: a model
    that ignores its input is no nearer to the truth than this. Random: two different images, whatever was predicted.

    Raises:
        CompError: there is only one image, or a vector is not finite.
    """
    other = another_image(image_of, seed)
    first, second = _two_images(len(images), len(image_of), seed)
    found = {name: np.zeros((len(KINDS), len(image_of)), np.float32) for name in DISTANCES}
    for start in range(0, len(image_of), ROWS):
        rows = slice(start, start + ROWS)
        predicted = unit(predictions[rows])
        pairs = [
            (predicted, images[image_of[rows]]),
            (predicted, images[other[rows]]),
            (images[first[rows]], images[second[rows]]),
        ]
        for number, (one, two) in enumerate(pairs):
            for name, distance in zip(DISTANCES, _distances(unit(one), unit(two)), strict=True):
                found[name][number, rows] = distance
    wrong = np.flatnonzero(~np.isfinite(found["cosine"]).all(axis=0))
    if len(wrong):
        raise CompError(f"prediction {wrong[0]}, or an image that it is compared with, is not finite")
    return {name: _summary(distances) for name, distances in found.items()}


def another_image(image_of: np.ndarray, seed: int = 0) -> np.ndarray:
    """`image_of` (N,) shuffled so that no row has its own image, while each image stays as frequent as it was.

    Raises:
        CompError: one image has more than half of the rows, so that it cannot be.
    """
    most = int(np.bincount(image_of).max(initial=0))
    if 2 * most > len(image_of):
        raise CompError(f"{most} of {len(image_of)} captions are one image's: pairs cannot be shuffled")
    rng = np.random.default_rng(seed)
    place = rng.permutation(int(image_of.max()) + 1)[image_of]
    order = np.lexsort((rng.random(len(image_of)), place))  # all rows of an image side by side, images at random
    other = np.empty_like(image_of)
    other[order] = np.roll(image_of[order], most)  # past the end of any image's rows
    return other


def print_verified(found: dict[str, Verified]) -> None:
    for name, each in found.items():
        shuffled, at_random = each.improvement_percent[1:]
        print(
            f"        {name:<10} {each.mean[0]:8.4f}   shuffled {each.mean[1]:8.4f} ({shuffled:+.1f} % better), "
            f"random {each.mean[2]:8.4f} ({at_random:+.1f} %)"
        )


def draw_distances(found: dict[str, Verified], path: Path) -> None:
    """Writes the histograms as a PNG."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axes, (name, each) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        for kind, counts in zip(KINDS, each.counts, strict=True):
            axes.stairs(counts, each.edges, label=kind, fill=True, alpha=0.45)
        axes.set(xlabel=f"{name} distance", title=f"{each.improvement_percent[1]:+.1f} % against shuffled pairs")
        axes.set_yticks([])
        axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def draw_neighbors(
    captions: Sequence[str], found: np.ndarray, image_of: np.ndarray, pictures: Sequence[Path], path: Path
) -> None:
    """Writes a grid as a PNG: for each caption a row with its own image, then those `found` (N, k), nearest first.

    `pictures` are the files (M,) of the gallery; one that cannot be read is shown by its name. The caption's own image
    has a green frame where it was found.
    """
    rows, columns = len(captions), found.shape[1] + 1
    figure = Figure(figsize=(1.5 * columns, 1.75 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for cells, caption, own, images in zip(grid, captions, image_of, found, strict=True):
        cells[0].set_title(caption[:60], fontsize=7, loc="left", parse_math=False)
        for cell, image in zip(cells, [own, *images], strict=True):
            _show(cell, Path(pictures[image]))
            cell.spines[:].set_visible(bool(image == own) and cell is not cells[0])
            cell.spines[:].set(color="#2a9d4a", linewidth=3)
    _save(figure, path)


def _show(cell: Axes, file: Path) -> None:
    cell.set_xticks([])
    cell.set_yticks([])
    try:
        with Image.open(file) as image:
            image.thumbnail((256, 256))
            cell.imshow(np.asarray(image.convert("RGBA")))
    except NO_PICTURE:
        text = cell.text(0.5, 0.5, file.name, ha="center", va="center", fontsize=6, wrap=True, transform=cell.transAxes)
        text.set_parse_math(False)


def _distances(one: np.ndarray, two: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    difference = one - two
    return (
        np.linalg.norm(difference, axis=1),
        np.abs(difference).sum(axis=1),
        1 - np.einsum("nd,nd->n", one, two),
    )


def _two_images(images: int, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if images < 2:
        raise CompError("one image only: there is nothing to compare a prediction with")
    rng = np.random.default_rng(seed)
    first = rng.integers(0, images, pairs)
    return first, (first + rng.integers(1, images, pairs)) % images


def _summary(distances: np.ndarray) -> Verified:
    """Of the distances (3, N) of each kind of pair."""
    mean = distances.mean(axis=1, dtype=np.float64)
    edges = np.histogram_bin_edges(distances, BINS)
    counts = np.stack([np.histogram(each, edges)[0] for each in distances])
    improvement = 100 * (1 - mean[0] / np.where(mean > 0, mean, 1))
    return Verified(mean, np.where(mean > 0, improvement, 0.0), counts, edges)


def _save(figure: Figure, path: Path) -> None:
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
