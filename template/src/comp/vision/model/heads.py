"""What stands between the pooled features of the backbone and the logits."""

from typing import Literal

from timm.layers import trunc_normal_
from torch import nn

from comp.errors import CompError
from comp.registry import register

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


@register("head", "linear")
def linear(features: int, classes: int, dropout: float = 0.0) -> nn.Module:
    """(B, features) → (B, classes) in one layer."""
    layer = nn.Linear(features, classes)
    trunc_normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Dropout(dropout), layer) if dropout else layer


@register("head", "mlp")
def mlp(
    features: int, classes: int, hidden: int = 512, dropout: float = 0.5, activation: Literal["relu", "gelu"] = "relu"
) -> nn.Module:
    """(B, features) → Linear, BatchNorm, activation, Dropout, Linear → (B, classes)."""
    if activation not in ACTIVATIONS:
        raise CompError(f"model.head_args: activation={activation!r}: {' or '.join(ACTIVATIONS)}")
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.BatchNorm1d(hidden),
        ACTIVATIONS[activation](),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )
