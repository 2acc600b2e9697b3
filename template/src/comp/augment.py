"""Augmentation: one affine warp and one colour change an image on the CPU; mixing and the user's own on the device."""

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from comp.config.schema import Augment
from comp.registry import find

cv2.setNumThreads(0)  # loader workers are the parallelism


def augmented(image: np.ndarray, size_px: int, settings: Augment, rng: np.random.Generator) -> np.ndarray:
    """A random view of `image` (H, W, 3) uint8 as (size_px, size_px, 3) uint8.

    Crop, flips, rotation and shear are one matrix, so the pixels are interpolated once.
    """
    view = _warp(image, _random_matrix(image.shape[0], image.shape[1], size_px, settings, rng), size_px)
    view = _recoloured(view, settings, rng)
    if settings.erase and rng.random() < settings.erase:
        view = _erased(view, rng)
    return view


def fitted(image: np.ndarray, size_px: int, how: str) -> np.ndarray:
    """The whole image (`squash`) or its middle (`crop`) as (size_px, size_px, 3) uint8, nothing random."""
    height, width = image.shape[:2]
    if how == "squash":
        return _resized(image, size_px, size_px)
    scale = size_px / min(height, width)
    resized = _resized(image, max(size_px, round(width * scale)), max(size_px, round(height * scale)))
    top, left = (resized.shape[0] - size_px) // 2, (resized.shape[1] - size_px) // 2
    return resized[top : top + size_px, left : left + size_px]


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    shrinks = width < image.shape[1] and height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _random_matrix(height: int, width: int, size_px: int, settings: Augment, rng: np.random.Generator) -> np.ndarray:
    """The (2, 3) matrix from pixels of the view to pixels of the image."""
    area = rng.uniform(*settings.crop_scale)
    ratio = math.exp(rng.uniform(*np.log(settings.crop_ratio)))
    crop_w, crop_h = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
    centre_x = (crop_w / 2 + rng.uniform(0, 1 - crop_w)) * width
    centre_y = (crop_h / 2 + rng.uniform(0, 1 - crop_h)) * height
    flip_x = -1.0 if rng.random() < settings.hflip else 1.0
    flip_y = -1.0 if rng.random() < settings.vflip else 1.0
    angle = math.radians(rng.uniform(-settings.rotate_deg, settings.rotate_deg))
    shear = math.tan(math.radians(rng.uniform(-settings.shear_deg, settings.shear_deg)))
    scale = np.diag([flip_x * crop_w * width / size_px, flip_y * crop_h * height / size_px])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = scale @ turn @ np.array([[1.0, shear], [0.0, 1.0]])
    shift = np.round(rng.uniform(-settings.translate, settings.translate, 2) * [width, height]) if settings.translate else 0
    middle = (size_px - 1) / 2
    offset = np.array([centre_x - 0.5, centre_y - 0.5]) + shift - linear @ [middle, middle]
    return np.column_stack([linear, offset])


def _warp(image: np.ndarray, matrix: np.ndarray, size_px: int) -> np.ndarray:
    shrinking = max(np.abs(np.linalg.svd(matrix[:, :2], compute_uv=False)))
    if shrinking > 2:  # bilinear would skip pixels: shrink by area first
        factor = shrinking / 1.5
        width, height = max(1, round(image.shape[1] / factor)), max(1, round(image.shape[0] / factor))
        ratio = np.array([width / image.shape[1], height / image.shape[0]])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        matrix = matrix.copy()
        matrix[:, 2] = (matrix[:, 2] + 0.5) * ratio - 0.5
        matrix[:, :2] *= ratio[:, None]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REFLECT_101 if min(image.shape[:2]) > 1 else cv2.BORDER_REPLICATE
    return cv2.warpAffine(image, matrix, (size_px, size_px), flags=flags, borderMode=border)


def _recoloured(image: np.ndarray, settings: Augment, rng: np.random.Generator) -> np.ndarray:
    if settings.brightness or settings.contrast:
        gain = 1 + rng.uniform(-settings.contrast, settings.contrast)
        shift = rng.uniform(-settings.brightness, settings.brightness) * 255
        table = np.clip((np.arange(256) - 128) * gain + 128 + shift, 0, 255).astype(np.uint8)
        image = cv2.LUT(image, table)
    if settings.saturation:
        amount = 1 + rng.uniform(-settings.saturation, settings.saturation)
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, amount, grey, 1 - amount, 0)
    return image


def _erased(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random erasing (arXiv 1708.04896): a rectangle of 2 to 33 % of the area becomes noise."""
    size = image.shape[0]
    area, ratio = rng.uniform(0.02, 0.33) * size * size, math.exp(rng.uniform(math.log(0.3), math.log(3.3)))
    height, width = min(size, round(math.sqrt(area * ratio))), min(size, round(math.sqrt(area / ratio)))
    top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
    image = image.copy()
    image[top : top + height, left : left + width] = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image


class OnDevice:
    """What happens to a whole training batch on the device: the user's own augmentations, then mixup or cutmix.

    Mixup is arXiv 1710.09412, CutMix arXiv 1905.04899; with both on, each batch draws one of them.
    """

    def __init__(self, settings: Augment) -> None:
        self._own = [find("augment", name) for name in settings.custom]
        self._mixers: list[v2.Transform] = [v2.MixUp(alpha=settings.mixup)] if settings.mixup else []
        self._mixers += [v2.CutMix(alpha=settings.cutmix)] if settings.cutmix else []
        self._mix_prob = settings.mix_prob

    def __call__(self, images: Tensor, targets: Tensor, mix: bool) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) uint8 → float32 of 0 to 255, targets (B, K) → mixed targets (B, K)."""
        for own in self._own:
            images = own(images)
        images = images.float()
        if mix and self._mixers and len(images) > 1 and torch.rand(()) < self._mix_prob:
            mixer = self._mixers[int(torch.randint(len(self._mixers), ()))]
            images, targets = mixer(images, targets)
        return images, targets
