"""The gate of structure: how much a generated image has in common with the one that it was made from (SSIM)."""

import numpy as np
import torch
from torch import Tensor

from comp.errors import CompError
from comp.vision.augment import fitted
from comp.vision.pixels import Images

SIDE_PX = 128  # both are brought to it, so that a threshold means the same for every model
AT_ONCE = 64
INSTALL = 'pip install -e ".[synth]"'


def similarities(first: Images, rows: np.ndarray, second: Images, others: np.ndarray) -> np.ndarray:
    """(N,) SSIM, from -1 to 1, of the images `rows` of `first` and `others` of `second`, both (N,).

    Raises:
        CompError: torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.image import structural_similarity_index_measure as ssim
    except ImportError:
        raise CompError(
            f"synth.structure needs torchmetrics: {INSTALL}, or switch it off: synth.structure=null"
        ) from None
    found = []
    for start in range(0, len(rows), AT_ONCE):
        one, other = (
            _batch(images, which[start : start + AT_ONCE]) for images, which in ((first, rows), (second, others))
        )
        found.append(torch.as_tensor(ssim(one, other, data_range=1.0, reduction="none")))
    return torch.cat(found).double().numpy() if found else np.zeros(0)


def _batch(images: Images, rows: np.ndarray) -> Tensor:
    views = np.stack([fitted(images[int(row)], SIDE_PX, "squash") for row in rows])
    return torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
