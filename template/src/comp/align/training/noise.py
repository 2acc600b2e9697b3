"""What is done to texts in training. Drawn for the batch of all processes, so that their number changes nothing."""

import torch
from torch import Tensor

from comp.align.data.fold import Fold
from comp.align.schema import Augment


def noisy(fold: Fold, rows: Tensor, settings: Augment, seed: int) -> Tensor:
    """The texts (B, D) of the training captions `rows` (B,): mixed, blurred and with holes, as `settings` say."""
    texts = fold.texts[rows]
    if not (settings.noise or settings.drop or settings.mix):
        return texts
    torch.manual_seed(seed)
    if settings.mix:
        share = torch.rand(len(rows), 1, device=texts.device) * (
            torch.rand(len(rows), 1, device=texts.device) < settings.mix
        )
        texts = texts + share * (fold.texts[another_caption(fold, rows)] - texts)
    if settings.noise:
        length = texts.norm(dim=1, keepdim=True) / texts.shape[1] ** 0.5
        texts = texts + settings.noise * length * torch.randn_like(texts)
    if settings.drop:
        texts = texts * (torch.rand_like(texts) >= settings.drop) / (1 - settings.drop)
    return texts


def another_caption(fold: Fold, rows: Tensor) -> Tensor:
    """(B,) a random caption of the same image as each of `rows`, maybe itself."""
    order, first, count = fold.captions_by_image
    image = fold.image_of[rows]
    nth = (torch.rand(len(rows), device=rows.device) * count[image]).long()
    return order[first[image] + nth]
