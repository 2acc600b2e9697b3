"""Metrics of a ranking as means over captions, for intervals and for comparing two runs on the same captions."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from comp.align.ranking.retrieval import of_queries, ranked
from comp.runs.paired import Measure, Sums


def measures_of(
    names: Sequence[str], oof: pd.DataFrame, images: np.ndarray, rows: Mapping[str, int]
) -> dict[str, Measure]:
    """Those of `names` that are means over captions, each ranked among the images of its own fold, as it is scored.

    `images` (M, D); `rows` are their numbers by name.
    """
    values = pd.DataFrame(index=range(len(oof)), dtype=np.float64)
    fold, image_of = oof["fold"].to_numpy(), oof["target"].map(rows).to_numpy(dtype=np.int64)
    for k in np.unique(fold):
        own = np.flatnonzero(fold == k)
        gallery, place = np.unique(image_of[own], return_inverse=True)
        found = np.stack(oof["embedding"].iloc[own].to_list())
        for name, each in of_queries(ranked(found, images[gallery], place)).items():
            values.loc[own, name] = each
    return {name: _mean(values[name].to_numpy()) for name in dict.fromkeys(names) if name in values}


def _mean(values: np.ndarray) -> Sums:
    return Sums(np.column_stack([values, np.ones(len(values))]), lambda sums: sums[:, 0] / sums[:, 1])
