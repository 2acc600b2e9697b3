"""The directions that a network's outputs need: images do not fill their space, and a narrow output costs less."""

import numpy as np
from scipy.linalg import eigh

from comp.align.ranking.retrieval import unit

EMPTY = 1e-6  # of the second direction's energy: what has less is rounding, and stays small


def output_basis(images: np.ndarray, width: int, whitening: float = 0.5) -> np.ndarray:
    """Rows (width, D_image) float32, so that `outputs @ basis` are predictions for images like `images` (M, D_image).

    They are the leading directions of the unit images, not centered, as a cosine is not. Where images are s times as
    far out as along the second direction, the row has the length s ** -whitening: with 0 all have length 1, with 1 each
    output moves the cosines alike. The first direction is about that of the mean, which tells images apart least.
    """
    picture = unit(images).astype(np.float64)
    width = min(width, *images.shape)
    size = images.shape[1]
    energy, axes = eigh(picture.T @ picture, subset_by_index=[size - width, size - 1])
    energy, axes = energy[::-1], axes[:, ::-1]
    spread = np.sqrt(np.maximum(energy / energy[min(1, width - 1)], EMPTY))
    return (axes / spread**whitening).T.astype(np.float32)
