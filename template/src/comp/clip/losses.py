"""Losses of image and text logits."""

from torch import Tensor

from comp.distributed.gathering import of_all_processes
from comp.registry import register
from comp.vision.schema import Train
from comp.vision.training.losses import Loss, cross_entropy


@register("loss", "label_contrast")
def label_contrast(settings: Train, class_weights: Tensor | None) -> Loss:
    """Cross-entropy from image to class and from class to image: a class is to point at all of its images in the batch.

    So images of one class are no negatives of each other, as they would be in CLIP's own loss (arXiv 2212.00638, with
    prompts of classes as texts). The second half needs all images of a batch, whichever process has them.
    """
    to_class = cross_entropy(settings, class_weights)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        every, truth = of_all_processes(logits), of_all_processes(targets)
        count = truth.sum(dim=0)
        wanted = truth / count.clamp(min=1e-6)  # of a class that is not here: 0
        to_image = -(wanted * every.log_softmax(dim=0)).sum() / (count > 0).sum()
        return (to_class(every, truth) + to_image) / 2

    return loss
