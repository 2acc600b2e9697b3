"""From an image's embedding (B, D) to logits (B, K). All of it in fp32: times 100, a cosine in bf16 has steps of 0.2.

Two classes of one 0/1 column have one logit, the difference of the two, so that its sigmoid is their softmax.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from comp.clip.model.towers import embeddings_in, layers_of

LARGEST_SCALE = math.log(100)  # to which CLIP's own training clamps it
Texts = Tensor  # (T, K, L) tokens of each class in each template


def unit(embedding: Tensor) -> Tensor:
    """Of length 1, in fp32."""
    return F.normalize(embedding.float(), dim=-1)


def without_autocast(like: Tensor) -> torch.autocast:
    """Within the block, what is computed of `like` keeps its precision. (Meta tensors, of shapes alone, have none.)"""
    return torch.autocast("cpu" if like.is_meta else like.device.type, enabled=False)


def as_asked(logits: Tensor, classes: int) -> Tensor:
    """(B, K) logits, or (B, 1) of the second class where one is asked for."""
    return logits[:, 1:] - logits[:, :1] if classes == 1 else logits


class TextTower(nn.Module):
    """Tokens (T, K, L) → embeddings of length 1 (T, K, D)."""

    def __init__(self, text: nn.Module, projection: nn.Linear) -> None:
        super().__init__()
        self.text, self.projection = text, projection

    def forward(self, tokens: Texts) -> Tensor:
        return unit(self.projection(self.text(input_ids=tokens.flatten(0, 1)).pooler_output)).unflatten(
            0, tokens.shape[:2]
        )


class Scaled(nn.Module, ABC):
    """Cosines of images and classes, times a temperature that learns."""

    def __init__(self, classes: int, log_scale: float) -> None:
        super().__init__()
        self.classes = classes
        self.log_scale = nn.Parameter(torch.tensor([log_scale]))  # one number as a vector: FSDP cuts no scalars

    @abstractmethod
    def of_classes(self) -> Tensor:
        """(K, D) embeddings of length 1."""

    def forward(self, features: Tensor) -> Tensor:
        embeddings = self.of_classes()
        with without_autocast(features):
            return as_asked(self.log_scale.float().exp() * unit(features) @ embeddings.T, self.classes)

    def after_update(self) -> None:
        with torch.no_grad():
            self.log_scale.clamp_(max=LARGEST_SCALE)


class PromptHead(Scaled):
    """With a text tower that learns: a template a step in training, their mean where nothing learns."""

    tokens: Tensor
    updates: Tensor

    def __init__(self, tower: TextTower, tokens: Texts, classes: int, log_scale: float) -> None:
        super().__init__(classes, log_scale)
        self.tower = tower
        self.register_buffer("tokens", tokens)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))  # so far: it decides on the template
        self._known: Tensor | None = None

    def of_classes(self) -> Tensor:
        if self.training:
            now = self.tokens.index_select(0, self.updates.view(1) % len(self.tokens))  # a number would be waited for
            texts: Tensor = self.tower(now)[0]
            return texts
        known = unit(self.tower(self.tokens).mean(dim=0)) if self._known is None else self._known
        self._known = None if known.requires_grad else known
        return known

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *others: Any) -> None:
        """A checkpoint brings its own tokens, however many there are."""
        if f"{prefix}tokens" in state_dict:
            self.tokens = torch.empty_like(state_dict[f"{prefix}tokens"], device=self.tokens.device)
        super()._load_from_state_dict(state_dict, prefix, *others)

    def train(self, mode: bool = True) -> "PromptHead":
        self._known = None
        return super().train(mode)

    def after_update(self) -> None:
        super().after_update()
        self.updates += 1

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's: what counts as a layer, for `train.layer_decay`."""
        return layers_of(r"tower\.text", "final_layer_norm")

    def no_weight_decay(self) -> set[str]:
        return embeddings_in(self)


class FixedPromptHead(Scaled):
    """With embeddings of the classes (K, D) that stay as they are."""

    texts: Tensor

    def __init__(self, texts: Tensor, classes: int, log_scale: float) -> None:
        super().__init__(classes, log_scale)
        self.register_buffer("texts", texts)

    def of_classes(self) -> Tensor:
        return self.texts


class TextLinear(nn.Module):
    """A layer on embeddings of length 1, which begins as the classes' embeddings (K, D) times the temperature."""

    def __init__(self, texts: Tensor, classes: int, log_scale: float) -> None:
        super().__init__()
        weight = texts * math.exp(log_scale)
        self.weight = nn.Parameter(weight[1:] - weight[:1] if classes == 1 else weight.clone())
        self.bias = nn.Parameter(torch.zeros(len(self.weight)))

    def forward(self, features: Tensor) -> Tensor:
        with without_autocast(features):
            return F.linear(unit(features), self.weight.float(), self.bias.float())
