"""What a network sees of an image that is predicted: `predict.resize`."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from PIL import Image

from comp.vision.schema import ImageConfig


@dataclass(frozen=True)
class Evaluation:
    """`pretrained` is timm's own transform, with what the weights' configuration says of it."""

    how: Literal["squash", "crop", "pretrained"]
    size_px: int
    crop_pct: float = 1.0  # of the resized image's short side, the share that is seen
    interpolation: str = "bilinear"
    crop_mode: str = "center"  # squash: both sides are resized to the same length

    @classmethod
    def of(cls, config: ImageConfig) -> "Evaluation":
        """Of a configuration that is settled."""
        how, model = config.predict.resize, config.model
        if how != "pretrained":
            return cls(how, model.image_size)
        assert model.crop_pct and model.interpolation and model.crop_mode, "this configuration is not settled"
        return cls(how, model.image_size, model.crop_pct, model.interpolation, model.crop_mode)

    @property
    def geometry(self) -> Literal["squash", "crop"]:
        """Whether the image is squeezed to a square, or a part of it is seen in its own proportions."""
        if self.how == "pretrained":
            return "squash" if self.crop_mode == "squash" else "crop"
        return self.how

    @property
    def resized_px(self) -> int:
        """The short side of what timm crops the view from."""
        return math.floor(self.size_px / self.crop_pct)

    def resized(self, image: Image.Image) -> Image.Image:
        """timm's first step, where it shrinks the image: done again, it changes nothing."""
        if min(image.size) <= self.resized_px:
            return image
        result: Image.Image = _steps(self)[0](image)
        return result

    def view(self, image: np.ndarray) -> np.ndarray:
        """All of timm's steps: (H, W, 3) uint8 → (size_px, size_px, 3) uint8."""
        resize, crop = _steps(self)
        return np.asarray(crop(resize(Image.fromarray(image))))


@cache
def _steps(evaluation: Evaluation) -> tuple[Any, Any]:
    """Resize and crop, of timm's transform, which goes on with the normalization that the network does by itself."""
    from timm.data import create_transform

    transform = create_transform(
        (3, evaluation.size_px, evaluation.size_px),
        interpolation=evaluation.interpolation,
        crop_pct=evaluation.crop_pct,
        crop_mode=evaluation.crop_mode,
        normalize=False,
    )
    resize, crop, _ = transform.transforms
    return resize, crop
