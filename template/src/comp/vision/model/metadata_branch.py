"""The part of a network that reads metadata, and joins it with the features of the image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

DROP = 0.15  # how often the whole vector of a training row is hidden


class MetadataBranch(nn.Module):
    """Metadata (B, M), as `MetadataEncoder` gives it → (B, hidden).

    Numbers pass as they are, categories are embedded. With modality dropout, the whole vector of a training row is
    replaced now and then by a learned one that says "nothing known", so that a missing vector does no harm later.
    """

    def __init__(
        self, n_numbers: int, category_sizes: Sequence[int], hidden: int = 64, dropout: float = 0.1, drop: float = DROP
    ) -> None:
        super().__init__()
        self._n_numbers, self._drop = n_numbers, drop
        widths = [min(16, (size + 1) // 2) for size in category_sizes]
        self.embeddings = nn.ModuleList(nn.Embedding(*pair) for pair in zip(category_sizes, widths, strict=True))
        self.mlp = nn.Sequential(
            nn.Linear(n_numbers + sum(widths), hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, hidden)
        )
        self.unknown = nn.Parameter(torch.zeros(hidden))

    def forward(self, metadata: Tensor | None, rows: int) -> Tensor:
        """With None, "nothing known" of `rows` rows."""
        if metadata is None:
            if not self.training:
                return self.unknown.expand(rows, -1)
            nothing = self.unknown.new_zeros(rows, self._n_numbers + len(self.embeddings))
            return self.unknown + 0 * self(nothing, rows)  # several processes expect a gradient of every parameter
        places = metadata[:, self._n_numbers :].long()
        embedded = [embedding(places[:, number]) for number, embedding in enumerate(self.embeddings)]
        found = self.mlp(torch.cat([metadata[:, : self._n_numbers], *embedded], dim=1))
        if self.training:  # with a drop of 0 too, for the gradient of `unknown`
            dropped = torch.rand(rows, 1, device=metadata.device) < self._drop
            found = torch.where(dropped, self.unknown.to(found.dtype), found)
        return found
