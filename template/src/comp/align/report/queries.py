"""Out-of-fold predictions as queries: each ranked among the images of its own fold, as its score was measured."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from comp.align.data.fold import unit_images
from comp.align.data.pairs import EMBEDDING, Competition
from comp.align.ranking.retrieval import OCCURS_AMONG, nearest, ranked, unit
from comp.runs.bootstrap import means
from comp.runs.predictions import values_of

MOST = 20_000  # queries that are looked at; of more, evenly spaced ones


@dataclass(frozen=True)
class Queries:
    """Q captions; `rows` are those of the training table, images those of all."""

    rows: np.ndarray  # (Q,)
    fold: np.ndarray  # (Q,)
    unit: np.ndarray  # (Q,) numbered from 0: captions of one are drawn together
    image_of: np.ndarray  # (Q,)
    above: np.ndarray  # (Q,) images that are more similar than the caption's own
    equal: np.ndarray  # (Q,) images as similar, itself among them
    cosine: np.ndarray  # (Q,) of prediction and truth
    found: np.ndarray  # (Q, OCCURS_AMONG) the nearest images, nearest first
    similarity: np.ndarray  # (Q, OCCURS_AMONG)
    galleries: list[int]  # how many images each fold has
    scored: int  # captions that the run's score is measured on

    @property
    def rank(self) -> np.ndarray:
        """(Q,) the expected place of the caption's own image, from 1."""
        return np.asarray(1 + self.above + (self.equal - 1) / 2)

    @property
    def wrong(self) -> np.ndarray:
        """(Q,) how similar the nearest image is that is not the caption's own."""
        first = self.found[:, 0] != self.image_of
        second = self.similarity[:, min(1, self.similarity.shape[1] - 1)]
        return np.where(first, self.similarity[:, 0], second)

    def within(self, k: int) -> np.ndarray:
        """(Q,) the probability that the own image is among the first `k`, over the orders of ties."""
        return np.clip((k - self.above) / self.equal, 0, 1)

    def values(self, metric: str) -> np.ndarray | None:
        """(Q,) what a metric is the mean of, where it is one."""
        if metric == "mrr":
            until = np.concatenate([[0], np.cumsum(1 / np.arange(1, max(self.galleries) + 1))])
            return np.asarray((until[self.above + self.equal] - until[self.above]) / self.equal)
        if metric.startswith("r@") and metric[2:].isdigit():
            return self.within(int(metric[2:]))
        return self.cosine if metric == "cosine" else None

    def drawn(self, metric: str, wanted: np.ndarray | None = None) -> np.ndarray | None:
        """(D,) the metric of drawn captions, of those `wanted` (Q,) bool; where some stand for all, on their scale."""
        values = self.values(metric)
        if values is None:
            return None
        of = np.ones(len(values), dtype=bool) if wanted is None else wanted
        drawn = means(values[of][:, None], np.unique(self.unit[of], return_inverse=True)[1])[:, 0]
        return np.asarray(values[of].mean() + (drawn - values[of].mean()) * np.sqrt(len(values) / self.scored))


def queries_of(competition: Competition, oof: pd.DataFrame) -> Queries:
    """Of a run's out-of-fold predictions."""
    pairs, images = competition.pairs, unit_images(competition)
    row_of = pd.Series(np.arange(len(pairs.image_of)), index=pairs.tables.train["id"])
    every = row_of[oof["id"]].to_numpy()
    predicted = unit(values_of(oof, EMBEDDING))
    parts, galleries, step = [], [], -(-len(oof) // MOST)
    for k in np.unique(oof["fold"]):
        places = np.flatnonzero(oof["fold"].to_numpy() == k)
        gallery = np.unique(pairs.image_of[every[places]])
        places = places[::step]
        rows = every[places]
        own = np.searchsorted(gallery, pairs.image_of[rows])
        ranking = ranked(predicted[places], images[gallery], own)
        found, similarity = nearest(predicted[places], images[gallery], OCCURS_AMONG)
        short = OCCURS_AMONG - found.shape[1]  # a fold of few images: its last stands for those that are lacking
        found, similarity = (np.pad(each, ((0, 0), (0, short)), mode="edge") for each in (gallery[found], similarity))
        parts.append((rows, np.full(len(rows), k), ranking.above, ranking.equal, ranking.cosine, found, similarity))
        galleries.append(len(gallery))
    rows, fold, above, equal, cosine, found, similarity = (np.concatenate(each) for each in zip(*parts, strict=True))
    unit_of = pd.factorize(pairs.tables.train["group"].to_numpy()[rows])[0]
    return Queries(
        rows, fold, unit_of, pairs.image_of[rows], above, equal, cosine, found, similarity, galleries, len(oof)
    )
