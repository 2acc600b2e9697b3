"""Metrics of a ranking, by the names that the configuration uses."""

from collections.abc import Callable

import numpy as np

from comp.align.ranking.retrieval import ranked, retrieval_scores, unit
from comp.registry import find, register

RANKED = ("mrr", "r@1", "r@5", "r@10", "median_rank", "cosine", "skewness")  # all from one ranking
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def _of_ranking(name: str) -> Metric:
    def metric(predictions: np.ndarray, images: np.ndarray, image_of: np.ndarray) -> float:
        return retrieval_scores(ranked(predictions, images, image_of))[name]

    metric.greater_is_better = name not in ("median_rank", "skewness")  # type: ignore[attr-defined]
    return metric


for _name in RANKED:
    register("metric", _name)(_of_ranking(_name))


def scores(
    names: list[str],
    predictions: np.ndarray,
    images: np.ndarray,
    image_of: np.ndarray,
    gallery: np.ndarray | None = None,
    device: str = "cpu",
) -> dict[str, float]:
    """The metrics `names` of `predictions` (N, D), whose truth is `image_of` (N,) among `images` (M, D).

    They are ranked among all images, or those of the rows `gallery`.

    Raises:
        CompError: there is no such metric.
    """
    image_of = np.array(image_of)  # what pandas gives may be read-only, which torch warns of
    if gallery is not None:
        place = np.full(len(images), -1)
        place[gallery] = np.arange(len(gallery))
        images, image_of = np.asarray(images[gallery]), place[image_of]
    of_ranking, measured = dict[str, float](), dict[str, float]()
    for name in dict.fromkeys(names):
        metric = find("metric", name)
        if name in RANKED:
            of_ranking = of_ranking or retrieval_scores(ranked(predictions, images, image_of, device=device))
            measured[name] = of_ranking[name]
        else:
            measured[name] = float(metric(unit(predictions), unit(images), image_of))
    return measured
