"""What becomes of the images of a row where it has several: means, or a head that weighs them."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from comp.registry import register


def means(values: Tensor, counts: Tensor) -> Tensor:
    """(B, C) of images → (R, C), the mean of each row's; `counts` (R,) of the images, in order, are each row's."""
    return torch.stack([own.mean(dim=0) for own in values.split(counts.tolist())])


def pools(model: nn.Module) -> bool:
    """Whether the head of `model` takes the images of a row together: `head(features, counts)`."""
    return bool(getattr(getattr(model, "head", None), "pools", False))


class AttentionPool(nn.Module):
    """Gated attention over the images of a row (arXiv 1802.04712), and a linear layer: (B, features) → (R, classes).

    `counts` (R,) of the images, in order, are each row's; None: one each.
    """

    pools = True

    def __init__(self, features: int, classes: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.content = nn.Linear(features, hidden)
        self.gate = nn.Linear(features, hidden)
        self.worth = nn.Linear(hidden, 1)
        self.classify = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))

    def forward(self, features: Tensor, counts: Tensor | None = None) -> Tensor:
        sizes = [1] * len(features) if counts is None else counts.tolist()
        worth = self.worth(torch.tanh(self.content(features)) * torch.sigmoid(self.gate(features)))
        of_rows = pad_sequence(worth.float().split(sizes), batch_first=True, padding_value=-torch.inf)  # (R, M, 1)
        images = pad_sequence(features.split(sizes), batch_first=True)  # (R, M, features)
        return self.classify((of_rows.softmax(dim=1).to(images.dtype) * images).sum(dim=1))


@register("head", "attention_pool")
def attention_pool(features: int, classes: int, hidden: int = 128, dropout: float = 0.0) -> nn.Module:
    """See `AttentionPool`."""
    return AttentionPool(features, classes, hidden, dropout)
