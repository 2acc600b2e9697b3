"""How far predicted directions are from their images, by themselves or against other images."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from comp.align.data.fold import Fold
from comp.align.schema import Loss


@dataclass(frozen=True)
class Keys:
    """What predictions are multiplied with for their cosines, once a fold: to select rows is to copy them."""

    of_images: Tensor  # (M, C)
    trained: Tensor  # (T, C) of the images that have training captions; none where the loss does not ask for them

    @classmethod
    def of(cls, of_images: Tensor, fold: Fold, settings: Loss) -> "Keys":
        among_all = settings.kind != "cosine" and settings.negatives == "all"
        return cls(of_images, of_images[fold.trained_images] if among_all else of_images[:0])


def alignment_loss(
    predicted: Tensor, image_of: Tensor, keys: Keys, fold: Fold, scale: Tensor | float, settings: Loss
) -> Tensor:
    """The mean over captions; the cosine of `predicted` (B, C) with image m is its product with `keys.of_images`[m].

    `image_of` (B,) are the rows of the captions' images.

    infonce (arXiv 1807.03748): each caption chooses among the images of the batch, or all training images, which being
    frozen cost no more than a matrix product. symmetric: each image of the batch chooses among its captions, too, as
    in CLIP (arXiv 2103.00020). Several right ones share the target equally (arXiv 2004.11362, "out").
    """
    own = keys.of_images[image_of]
    distance = 1 - (predicted * own).sum(dim=1).mean()
    if settings.kind == "cosine":
        return distance
    among, others = (fold.trained_images, keys.trained) if settings.negatives == "all" else (image_of, own)
    loss = _choice(scale * predicted @ others.T, image_of, among, fold, settings)
    if settings.kind == "symmetric":
        back = _choice(scale * own @ predicted.T, image_of, image_of, fold, settings)
        loss = (loss + back) / 2
    return loss + settings.cosine * distance


def needs_whole_batch(settings: Loss) -> bool:
    """Whether a caption's loss depends on others of its batch, wherever they are."""
    return settings.kind == "symmetric" or (settings.kind == "infonce" and settings.negatives == "batch")


def _choice(logits: Tensor, asked: Tensor, among: Tensor, fold: Fold, settings: Loss) -> Tensor:
    """Cross-entropy of `logits` (B, C); right are the same image, or those of its group. `asked` and `among`: rows."""
    if settings.positives == "group":
        asked, among = fold.group_of[asked], fold.group_of[among]
    same = (asked[:, None] == among[None, :]).float()
    return functional.cross_entropy(logits, same / same.sum(dim=1, keepdim=True))
