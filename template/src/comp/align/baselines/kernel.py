"""Kernel ridge regression: the strongest map without a network, as it bends where ridge regression is straight.

The Gaussian kernel is approximated by its values at some of the captions (Nyström's method: Williams and Seeger, NIPS
2000); on these features it is the ridge regression of `closed_form`, with its choice of alpha.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.kernel_approximation import Nystroem

from comp.align.baselines.closed_form import ALPHAS, Captions, Chosen, Model, cross_validated, ridges
from comp.align.ranking.retrieval import unit

ROWS = 8192
LANDMARKS = 2000
WIDTH = 0.25  # of the kernel, as a share of how far apart captions are on the mean


@dataclass(frozen=True)
class Kernel:
    """Predicts from the features of the unit texts."""

    features: Nystroem
    linear: Model  # of the features

    def predict(self, texts: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                self.linear.predict(_features(self.features, texts[start : start + ROWS]))
                for start in range(0, max(len(texts), 1), ROWS)
            ]
        )


def fit_kernel_ridge(
    captions: Captions,
    alphas: Sequence[float] = ALPHAS,
    centered: bool = False,
    seed: int = 0,
    width: float = WIDTH,
    landmarks: int = LANDMARKS,
) -> Chosen:
    """Kernel ridge regression, kernel exp((cosine - 1) / (width · mean of 1 - cosine)).

    The features take 4 · N · `landmarks` bytes.
    """
    texts = captions.texts
    mean = unit(texts).mean(axis=0, dtype=np.float64)
    apart = max(1 - float(mean @ mean), 1e-6)
    nystroem = Nystroem(
        gamma=1 / (2 * width * apart), n_components=min(landmarks, len(texts)), random_state=seed
    )  # |a - b|² is 2 (1 - cosine)
    nystroem.fit(unit(texts).astype(np.float64))
    seen = np.empty((len(texts), nystroem.n_components), np.float32)
    for start in range(0, len(texts), ROWS):
        seen[start : start + ROWS] = _features(nystroem, texts[start : start + ROWS])
    found = cross_validated(ridges, alphas, replace(captions, texts=seen), centered, seed)
    return Chosen(Kernel(nystroem, found.model), found.setting, found.mrr)


def _features(nystroem: Nystroem, texts: np.ndarray) -> np.ndarray:
    return nystroem.transform(unit(texts).astype(np.float64)).astype(np.float32)
