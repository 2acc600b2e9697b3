"""What one fold trains and validates on, as tensors on the device."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from comp.align.data.pairs import Competition
from comp.align.ranking.retrieval import finite, unit


@dataclass(frozen=True)
class Fold:
    """Captions are rows of the tables: N train, V are validated. `images` (M, D) are all there are, of length 1."""

    number: int
    digest: str  # of the folds
    texts: Tensor  # (N, D_text) float32 on the device
    images: Tensor  # (M, D_image) float32 on the device
    image_of: Tensor  # (N,) on the device
    group_of: Tensor  # (M,) on the device
    valid_rows: np.ndarray  # (V,)
    valid_texts: np.ndarray  # (V, D_text)
    valid_image_of: np.ndarray  # (V,)

    @cached_property
    def trained_images(self) -> Tensor:
        """The images that have training captions: no others may be told apart in training."""
        return torch.unique(self.image_of)

    @cached_property
    def captions_by_image(self) -> tuple[Tensor, Tensor, Tensor]:
        """The training captions (N,) image by image; where each image's (M,) begin there, and how many they are."""
        count = torch.bincount(self.image_of, minlength=len(self.images))
        return torch.argsort(self.image_of, stable=True), count.cumsum(0) - count, count

    @property
    def facts(self) -> dict[str, str]:
        """What a saved model says beside its weights."""
        widths = {"texts": str(self.texts.shape[1]), "images": str(self.images.shape[1])}
        return {**widths, "fold": str(self.number), "folds": self.digest}

    @property
    def label(self) -> str:
        return f"fold {self.number}"

    @cached_property
    def gallery(self) -> np.ndarray:
        """The images of the validated captions: as in the test, the model has seen none of them."""
        return np.unique(self.valid_image_of)

    @cached_property
    def gallery_images(self) -> np.ndarray:
        """Those images (G, D_image), off the device: each epoch is scored among them."""
        return self.images[torch.from_numpy(self.gallery)].cpu().numpy()


def open_fold(competition: Competition, number: int, device: torch.device) -> Fold:
    """Brings the fold's training set to the device, whole: its batches are then nothing but selections of rows."""
    pairs = competition.pairs
    train, valid = competition.rows(number)
    return Fold(
        number,
        competition.split.digest,
        torch.from_numpy(np.asarray(pairs.texts[train], dtype=np.float32)).to(device),
        functional.normalize(torch.from_numpy(np.nan_to_num(np.asarray(pairs.images, dtype=np.float32))).to(device)),
        torch.from_numpy(pairs.image_of[train]).to(device),
        torch.from_numpy(groups_of_images(competition)).to(device),
        valid,
        pairs.texts[valid],
        pairs.image_of[valid],
    )


def groups_of_images(competition: Competition) -> np.ndarray:
    """(M,) the number of each image's group; an image without captions is one of its own."""
    pairs = competition.pairs
    named = dict(zip(pairs.image_of.tolist(), pairs.tables.train["group"], strict=True))
    return np.unique([named.get(row, name) for row, name in enumerate(pairs.names)], return_inverse=True)[1]


def unit_images(competition: Competition) -> np.ndarray:
    """(M, D_image) float32 of length 1; what is not finite is 0."""
    return unit(finite(competition.pairs.images))
