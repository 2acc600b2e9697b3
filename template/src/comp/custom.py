"""Yours: `comp update` never touches this file. Whatever you register here, the configuration can use by its name.

One small, working example of each kind of part. Change them, delete them, add your own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from comp.registry import register
from comp.tables import Tables, Targets
from comp.vision import Data, Model, Train


@register("metric", "top3_accuracy")  # metrics: [top3_accuracy]
def top3_accuracy(y: np.ndarray, p: np.ndarray, targets: Targets) -> float:
    """`y` (N, K) ones and zeros, `p` (N, K) probabilities. An error metric says `.greater_is_better = False`.

    One of grades says `.needs_order = True`: `targets.positions` (K,) tells where each class stands.
    """
    best = np.argsort(-p, axis=1)[:, :3]
    return float((best == y.argmax(axis=1)[:, None]).any(axis=1).mean())


top3_accuracy.needs_probabilities = True  # type: ignore[attr-defined]  # it cannot be computed from labels


@register("head", "multi_dropout")  # model: {head: multi_dropout, head_args: {samples: 5}}
class MultiDropout(nn.Module):
    """The mean of one linear layer over several dropout masks (arXiv 1905.09788)."""

    def __init__(self, features: int, classes: int, samples: int = 5, dropout: float = 0.5) -> None:
        super().__init__()
        self.masks = nn.ModuleList(nn.Dropout(dropout) for _ in range(samples))
        self.linear = nn.Linear(features, classes)

    def forward(self, features: Tensor) -> Tensor:  # (B, features) → (B, classes)
        return torch.stack([self.linear(mask(features)) for mask in self.masks]).mean(dim=0)


@register("model", "tiny_cnn")  # model: {backbone: tiny_cnn, pretrained: false}
def tiny_cnn(settings: Model) -> nn.Module:
    """A backbone: images (B, 3, H, W) → features (B, F). Any module does; `settings` is the `model:` section."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


@register("loss", "generalized_cross_entropy")  # train: {loss: generalized_cross_entropy}
def generalized_cross_entropy(settings: Train, class_weights: Tensor | None) -> Callable[[Tensor, Tensor], Tensor]:
    """Robust to noisy labels (arXiv 1805.07836): (1 − p^q) / q. Gets logits (B, K) and soft targets (B, K)."""
    q = 0.7

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        p = (logits.softmax(dim=1) * targets).sum(dim=1).clamp(min=1e-7)
        return ((1 - p**q) / q).mean()

    return loss


@register("optimizer", "nesterov_095")  # train: {optimizer: nesterov_095}
def nesterov_095(groups: list[dict[str, Any]], settings: Train) -> torch.optim.Optimizer:
    """Gets the parameter groups, each with its weight decay and layer decay; `settings` is the `train:` section."""
    return torch.optim.SGD(groups, lr=settings.lr, momentum=0.95, nesterov=True)


@register("augment", "gray_sometimes")  # augment: {custom: [gray_sometimes]}
def gray_sometimes(images: Tensor) -> Tensor:
    """Gets a whole training batch (B, 3, H, W) uint8 on the device; every tenth image loses its color."""
    gray = images.float().mean(dim=1, keepdim=True).to(images.dtype).expand_as(images)
    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.1
    return torch.where(chosen, gray, images)


@register("postprocess", "sharpen")  # submit: {postprocess: [sharpen]}
def sharpen(predictions: pd.DataFrame, targets: Targets) -> pd.DataFrame:
    """Gets the test predictions (id, p_<class>…) before they become a submission, and returns them changed."""
    p = predictions[targets.columns].to_numpy() ** 1.2
    if targets.kind == "multiclass":
        p = p / p.sum(axis=1, keepdims=True)
    return predictions.assign(**dict(zip(targets.columns, p.T, strict=True)))


@register("reader", "label_in_name")  # data: {reader: label_in_name}
def label_in_name(data: Data) -> Tables:
    """A data set of your own layout, here `train/<label>_<anything>.png` and `test/*.png`."""
    root = Path(data.root)
    train_files, test_files = sorted((root / "train").glob("*.png")), sorted((root / "test").glob("*.png"))
    labels = [path.name.partition("_")[0] for path in train_files]
    train = {"id": [path.stem for path in train_files], "path": [str(path) for path in train_files], "target": labels}
    test = {"id": [path.stem for path in test_files], "path": [str(path) for path in test_files]}
    targets = Targets("multiclass", tuple(sorted(set(labels))))
    return Tables(pd.DataFrame(train, dtype=object), pd.DataFrame(test, dtype=object), None, targets)
