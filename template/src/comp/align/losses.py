"""How far predicted directions are from their images, by themselves or against the other images of the batch."""

import torch
from torch import Tensor
from torch.distributed.nn.functional import all_gather
from torch.nn import functional

from comp.align.schema import Loss


def alignment_loss(
    predicted: Tensor, images: Tensor, image_of: Tensor, scale: Tensor | float, settings: Loss
) -> Tensor:
    """The mean over a batch of `predicted` (B, D); `images` (B, D) are theirs, of length 1; `image_of` (B,) says which.

    infonce (arXiv 1807.03748): each caption chooses among the images of the batch. symmetric: each image chooses among
    the captions, too, as in CLIP (arXiv 2103.00020). Several captions of one image are all right, in equal shares
    (arXiv 2004.11362, "out").
    """
    predicted = functional.normalize(predicted.float(), dim=1)
    distance = 1 - (predicted * images).sum(dim=1).mean()
    if settings.kind == "cosine":
        return distance
    logits = scale * predicted @ images.T  # (B captions, B images)
    same = (image_of[:, None] == image_of[None, :]).float()
    right = same / same.sum(dim=1, keepdim=True)  # symmetric, as `same` is; rows and columns sum to 1
    loss = functional.cross_entropy(logits, right)
    if settings.kind == "symmetric":
        loss = (loss + functional.cross_entropy(logits.T, right)) / 2
    return loss + settings.cosine * distance


def of_all_processes(predicted: Tensor, processes: int) -> Tensor:
    """The batch (B, D) of all processes, in their order. Gradients find the way back to each.

    Each process then computes the same loss of the whole batch. The backward pass sums what all of them say of a
    share, and distributed training takes the mean over processes: the gradient of that one loss.
    """
    return predicted if processes == 1 else torch.cat(all_gather(predicted))
