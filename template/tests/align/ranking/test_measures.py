"""Metrics of a ranking as means over captions are the metrics."""

import numpy as np
import pandas as pd
import pytest

from comp.align.ranking.measures import measures_of
from comp.align.ranking.metrics import RANKED, scores
from comp.runs.paired import value_of


def test_they_are_the_metrics_of_each_fold():
    random = np.random.default_rng(0)
    images = random.normal(size=(30, 6)).astype(np.float32)
    image_of, fold = np.repeat(np.arange(30), 4), np.repeat([0, 1, 1], 40)
    found = images[image_of] + random.normal(0, 1.5, (120, 6)).astype(np.float32)
    found[:9] = found[0]  # ties
    table = pd.DataFrame({"fold": fold, "target": [str(row) for row in image_of], "embedding": list(found)})
    measures = measures_of(RANKED, table, images, {str(row): row for row in range(30)})
    assert set(measures) == {"mrr", "r@1", "r@5", "r@10", "cosine"}
    each = [
        scores(list(RANKED), found[fold == k], images, image_of[fold == k], np.unique(image_of[fold == k]))
        for k in (0, 1)
    ]
    for name, measure in measures.items():
        assert value_of(measure, 120) == pytest.approx((each[0][name] + 2 * each[1][name]) / 3, abs=1e-6)
