"""What happens to a whole training batch on the device, after each image has had its own."""

import torch
from torch import Tensor
from torchvision.transforms import v2

from comp.registry import find
from comp.vision.schema import Augment


class BatchAugment:
    """The user's own augmentations, then mixup or cutmix.

    Mixup is arXiv 1710.09412, CutMix arXiv 1905.04899; with both on, each batch draws one of them.
    """

    def __init__(self, settings: Augment) -> None:
        self._own = [find("augment", name) for name in settings.custom]
        self._mixers: list[v2.Transform] = [v2.MixUp(alpha=settings.mixup)] if settings.mixup else []
        self._mixers += [v2.CutMix(alpha=settings.cutmix)] if settings.cutmix else []
        self._mix_prob = settings.mix_prob

    def __call__(self, images: Tensor, targets: Tensor, mix: bool) -> tuple[Tensor, Tensor, bool]:
        """Images (B, 3, H, W) uint8 → float32 of 0 to 255, targets (B, K) → mixed targets (B, K).

        The third says whether they are mixed: then they are of no single image, and nobody's metadata fits.
        """
        for own in self._own:
            images = own(images)
        images = images.float()
        mixed = bool(mix and self._mixers and len(images) > 1 and torch.rand(()) < self._mix_prob)
        if mixed:
            mixer = self._mixers[int(torch.randint(len(self._mixers), ()))]
            images, targets = mixer(images, targets)
        return images, targets, mixed
