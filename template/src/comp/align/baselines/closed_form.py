"""Maps from text to image vectors without a network, fitted in seconds: what a network must beat.

All but the neighbors need the data's first two moments only. Moments of parts add up, so a cross-validation costs one
pass over the data; each method returns all its settings from one decomposition. The setting is chosen by the mean
reciprocal rank, as ranking is what counts: a setting with a better distance may rank worse. The captions of one image
are in one part, always; so are the images of one group, where `Captions.group_of` names groups, such as all drawings of
one thing: else the setting that remembers best would win.

Text and image vectors are brought to length 1 first. With `centered`, the mean image is left out of what is predicted.
Its cosine with an image is the same for every text: where predictions are unsure, and so near to the mean, it draws
all texts to the same images. Then what is left ranks better, though its cosine with the truth is small.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.linalg import eigh, svd

from comp.align.ranking.retrieval import nearest, ranked, retrieval_scores, unit

PARTS = 5
QUERIES = 2000  # captions of each part that a setting is judged by
ROWS = 8192  # of a sum that are float64 at once
ALPHAS = tuple(10.0**exponent for exponent in range(-3, 5))
SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # of the canonical pairs
NEIGHBORS = (1, 3, 5, 10, 20, 50, 100)
SHRINKAGE = 1e-3  # of the mean variance, added to each: CCA inverts covariances


@dataclass(frozen=True)
class Captions:
    """What a map is fitted to: N captions of M images. Vectors are brought to length 1 where they are used."""

    texts: np.ndarray  # (N, D_text)
    images: np.ndarray  # (M, D_image)
    image_of: np.ndarray  # (N,) the row of each caption's image
    group_of: np.ndarray | None = None  # (M,) the group of each image; None: each is one of its own


@dataclass(frozen=True)
class Affine:
    """Predicts `unit(texts) @ weight + bias`, not normalized."""

    weight: np.ndarray  # (D_text, D_image) float32
    bias: np.ndarray  # (D_image,) float32

    def predict(self, texts: np.ndarray) -> np.ndarray:
        return unit(texts) @ self.weight + self.bias


@dataclass(frozen=True)
class Neighbors:
    """Predicts the mean image of the `k` captions with the highest cosine, weighted by it."""

    texts: np.ndarray  # (N, D_text) float32, of length 1
    images: np.ndarray  # (M, D_image) float32
    image_of: np.ndarray
    k: int

    def predict(self, texts: np.ndarray) -> np.ndarray:
        return self.of(*nearest(texts, self.texts, self.k))

    def of(self, rows: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """From the rows of the neighbors (N, k), nearest first."""
        weight = np.maximum(similarity[:, : self.k], 1e-6)
        weight /= weight.sum(axis=1, keepdims=True)
        mean = np.zeros((len(rows), self.images.shape[1]), np.float32)
        for column in range(weight.shape[1]):
            mean += weight[:, column, None] * self.images[self.image_of[rows[:, column]]]
        return mean


class Model(Protocol):
    def predict(self, texts: np.ndarray) -> np.ndarray:
        """(N, D_image) float32 for `texts` (N, D_text), not normalized."""


@dataclass(frozen=True)
class Chosen:
    """A baseline, and how its settings did in cross-validation: mean reciprocal rank by setting."""

    model: Model
    setting: float | None
    mrr: dict[float, float]


@dataclass(frozen=True)
class Moments:
    """Sums over captions, float64: each counts once, with the image that belongs to it."""

    count: float
    text: np.ndarray
    image: np.ndarray
    text_text: np.ndarray
    text_image: np.ndarray
    image_image: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))

    def centered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The means of text and image, and the covariances text × text, text × image, image × image."""
        text, image = self.text / self.count, self.image / self.count
        return (
            text,
            image,
            self.text_text / self.count - np.outer(text, text),
            self.text_image / self.count - np.outer(text, image),
            self.image_image / self.count - np.outer(image, image),
        )


Family = Callable[[Moments, Sequence[float]], list[Affine]]  # one model for each setting


def fit_mean(captions: Captions) -> Chosen:
    """The mean image of the captions, whatever the text says: it ranks as chance does."""
    mean = np.average(unit(captions.images), axis=0, weights=_captions_an_image(captions))
    width = captions.texts.shape[1]
    return Chosen(_affine(np.zeros((width, len(mean))), np.zeros(width), mean), None, {})


def fit_ridge(captions: Captions, alphas: Sequence[float] = ALPHAS, centered: bool = False, seed: int = 0) -> Chosen:
    """Ridge regression on centered vectors; alpha is the penalty beside the sum of squares over all captions."""
    return cross_validated(ridges, alphas, captions, centered, seed)


def fit_procrustes(captions: Captions, centered: bool = False) -> Chosen:
    """The rotation (and one scale) that brings the centered texts closest to the centered images.

    Schönemann, Psychometrika 1966. Of unequal widths, the singular vectors of the covariance text × image still give
    the map with orthonormal rows (or columns) that agrees best with it.
    """
    sums = moments(captions)
    [model] = _procrustes(sums, [])
    return Chosen(_without(model, sums) if centered else model, None, {})


def fit_cca(captions: Captions, shares: Sequence[float] = SHARES, centered: bool = False, seed: int = 0) -> Chosen:
    """Regularized canonical correlations; the image is predicted from the leading ones.

    Hotelling, Biometrika 1936. The setting is their share of all: with all, and no shrinkage, it is linear regression.
    """
    return cross_validated(_ccas, shares, captions, centered, seed)


def fit_neighbors(captions: Captions, ks: Sequence[int] = NEIGHBORS, centered: bool = False, seed: int = 0) -> Chosen:
    """The mean image of the nearest captions; their number is chosen on one part, as the others would say the same."""
    part, image_of = image_parts(captions, seed), captions.image_of
    queries, own, gallery = _judges(image_of, part, 0, seed)
    known = part[image_of] != 0
    texts, values = unit(captions.texts), unit(captions.images)
    if centered:
        values = values - _captions_an_image(captions) @ values / len(image_of)
    mrr = {}
    if len(queries) and known.any():
        others = Neighbors(texts[known], values, image_of[known], max(ks))
        rows, similarity = nearest(texts[queries], others.texts, others.k)
        for k in ks:
            mrr[float(k)] = _mrr(replace(others, k=k).of(rows, similarity), captions.images[gallery], own)
    best = int(max(mrr, key=lambda k: mrr[k])) if mrr else 1
    return Chosen(Neighbors(texts, values.astype(np.float32), image_of, best), best, mrr)


def image_parts(captions: Captions, seed: int) -> np.ndarray:
    """(M,) the part of each image: its captions go with it, and so does its group."""
    images, group_of = len(captions.images), captions.group_of
    group = np.arange(images) if group_of is None else np.unique(group_of, return_inverse=True)[1]
    return (np.random.default_rng(seed).permutation(group.max(initial=-1) + 1) % PARTS)[group]


def moments(captions: Captions, of: np.ndarray | None = None) -> Moments:
    """The moments of all captions, or of those of the images `of` (rows); vectors are brought to length 1."""
    texts, images, image_of = captions.texts, captions.images, captions.image_of
    of = np.arange(len(images)) if of is None else of
    place = np.full(len(images), -1)
    place[of] = np.arange(len(of))
    chosen = np.flatnonzero(place[image_of] >= 0)
    text_text = np.zeros((texts.shape[1],) * 2)
    text_of_image = np.zeros((len(of), texts.shape[1]))  # summed over its captions
    for start in range(0, len(chosen), ROWS):
        rows = chosen[start : start + ROWS]
        some = unit(texts[rows]).astype(np.float64)
        text_text += some.T @ some
        np.add.at(text_of_image, place[image_of[rows]], some)
    picture = unit(images[of]).astype(np.float64)
    count = np.bincount(place[image_of[chosen]], minlength=len(of)).astype(np.float64)
    return Moments(
        float(len(chosen)),
        text_of_image.sum(axis=0),
        count @ picture,
        text_text,
        text_of_image.T @ picture,
        (picture * count[:, None]).T @ picture,
    )


def cross_validated(family: Family, settings: Sequence[float], captions: Captions, centered: bool, seed: int) -> Chosen:
    """The model of the setting with the highest mean reciprocal rank over the parts, fitted to everything."""
    part = image_parts(captions, seed)
    of_part = [moments(captions, np.flatnonzero(part == number)) for number in range(PARTS)]
    everything = sum(of_part[1:], of_part[0])
    found: dict[float, list[float]] = {float(setting): [] for setting in settings}
    for number in range(PARTS):
        queries, own, gallery = _judges(captions.image_of, part, number, seed)
        rest = everything - of_part[number]
        if not len(queries) or rest.count < 2:
            continue
        for setting, model in zip(settings, family(rest, settings), strict=True):
            model = _without(model, rest) if centered else model
            predictions = model.predict(captions.texts[queries])
            found[float(setting)].append(_mrr(predictions, captions.images[gallery], own))
    mrr = {setting: float(np.mean(each)) for setting, each in found.items() if each}
    best = max(mrr, key=lambda setting: mrr[setting]) if mrr else float(settings[0])
    [model] = family(everything, [best])
    return Chosen(_without(model, everything) if centered else model, best, mrr)


def _captions_an_image(captions: Captions) -> np.ndarray:
    return np.bincount(captions.image_of, minlength=len(captions.images))


def _judges(
    image_of: np.ndarray, part: np.ndarray, number: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Captions (Q,) of a part, their images as places in its gallery (Q,), and the gallery (G,) as rows of images."""
    gallery = np.flatnonzero(part == number)
    queries = np.flatnonzero(part[image_of] == number)
    if len(queries) > QUERIES:
        queries = np.sort(np.random.default_rng(seed).choice(queries, QUERIES, replace=False))
    return queries, np.searchsorted(gallery, image_of[queries]), gallery


def _mrr(predictions: np.ndarray, gallery: np.ndarray, image_of: np.ndarray) -> float:
    return retrieval_scores(ranked(predictions, gallery, image_of))["mrr"]


def ridges(sums: Moments, alphas: Sequence[float]) -> list[Affine]:
    text, image, text_text, text_image, _ = sums.centered()
    variance, axes = eigh(text_text)
    along = axes.T @ text_image
    penalised = [np.maximum(variance, 0)[:, None] + alpha / sums.count for alpha in alphas]
    return [_affine(axes @ (along / each), text, image) for each in penalised]


def _procrustes(sums: Moments, _: Sequence[float]) -> list[Affine]:
    text, image, text_text, text_image, _unused = sums.centered()
    left, strength, right = svd(text_image, full_matrices=False)
    turn = left @ right
    spread = np.sum((text_text @ turn) * turn)  # of the turned texts: less than theirs where the images are narrower
    scale = strength.sum() / max(spread, np.finfo(float).tiny)  # of least squares
    return [_affine(scale * turn, text, image)]


def _ccas(sums: Moments, shares: Sequence[float]) -> list[Affine]:
    text, image, text_text, text_image, image_image = sums.centered()
    whiten_text, _ = _whitening(text_text)
    whiten_image, color_image = _whitening(image_image)
    left, correlation, right = svd(whiten_text @ text_image @ whiten_image, full_matrices=False)
    left, right = whiten_text @ left, right @ color_image
    kept = [max(1, round(share * len(correlation))) for share in shares]
    return [_affine((left[:, :k] * correlation[:k]) @ right[:k], text, image) for k in kept]


def _whitening(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The symmetric root's inverse of the shrunk covariance, and the root."""
    variance, axes = eigh(covariance)
    floor = max(SHRINKAGE * variance.mean(), np.finfo(float).tiny)
    root = np.sqrt(np.maximum(variance, 0) + floor)
    return (axes / root) @ axes.T, (axes * root) @ axes.T


def _without(model: Affine, sums: Moments) -> Affine:
    """The same less the mean image."""
    return Affine(model.weight, model.bias - (sums.image / sums.count).astype(np.float32))


def _affine(weight: np.ndarray, text: np.ndarray, image: np.ndarray) -> Affine:
    """What takes the mean text to the mean image."""
    return Affine(weight.astype(np.float32), (image - text @ weight).astype(np.float32))
