"""What a network's outputs mean: between them and what is predicted, by the targets and the loss.

Classes have a softmax or a sigmoid each. Numbers are learned standardized, or within a range. Ordered grades may be
learned as a number too, or by CORN (arXiv 2111.08851): is it above the first grade; if so, above the second; and so on.
Whatever way grades are learned, what is predicted is a probability of each, so that all else need not know.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from comp.tables import Targets
from comp.vision.kinds import GRADED

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Link:
    """Fitted to the training rows of a fold, and kept in its checkpoint."""

    kind: Literal["softmax", "sigmoid", "number", "range", "grade", "corn"]
    outputs: int  # of the network
    shift: Numbers = ()  # of each number, or of the grade: its mean, or where its range begins
    scale: Numbers = ()  # its standard deviation, or how wide its range is
    grades: Numbers = ()  # (K,) rising: where each class stands

    @classmethod
    def of(cls, loss: str, targets: Targets, y: np.ndarray | None = None) -> "Link":
        """For train.loss=`loss`; `y` (N, K) are the training rows. Without them, numbers stay as they are."""
        if targets.kind == "regression":
            values = np.array([[0.0], [1.0]]).repeat(len(targets.classes), axis=1) if y is None else y
            if loss == "bce":
                low, high = values.min(axis=0), values.max(axis=0)
                return cls("range", len(low), _numbers(low), _numbers(_above_zero(high - low)))
            return cls("number", values.shape[1], _numbers(values.mean(axis=0)), _numbers(_std(values)))
        places = targets.positions if targets.kind == "multiclass" else None
        if places is not None and loss in GRADED:
            grade = (places if y is None else y @ places)[:, None]
            return cls("grade", 1, _numbers(grade.mean(axis=0)), _numbers(_std(grade)), _numbers(places))
        if places is not None and loss == "corn":
            return cls("corn", len(places) - 1, grades=_numbers(places))
        return cls("softmax" if targets.kind == "multiclass" else "sigmoid", len(targets.classes))

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Link":
        """What `facts()` gave."""
        numbers = {key: tuple(facts[key]) for key in ("shift", "scale", "grades")}
        return cls(facts["kind"], facts["outputs"], **numbers)

    def facts(self) -> dict[str, Any]:
        """Itself as JSON."""
        return asdict(self)

    def encode(self, y: Tensor) -> Tensor:
        """Targets (B, K) as the loss compares them with the outputs (B, outputs); mixed ones are mixtures of it."""
        if self.kind in {"softmax", "sigmoid"}:
            return y
        if self.kind == "corn":
            return y.flip(1).cumsum(1).flip(1)[:, 1:]  # is it above grade 0, 1, …
        if self.kind == "grade":
            y = y @ _like(y, self.grades)[:, None]
        standardized = (y - _like(y, self.shift)) / _like(y, self.scale)
        return standardized.clamp(0, 1) if self.kind == "range" else standardized

    def predictions(self, outputs: Tensor) -> Tensor:
        """Outputs (B, outputs) → probabilities, or numbers, (B, K)."""
        if self.kind == "softmax":
            return outputs.softmax(dim=1)
        if self.kind == "sigmoid":
            return outputs.sigmoid()
        if self.kind == "corn":
            above = outputs.sigmoid().cumprod(dim=1)
            ends = torch.ones_like(above[:, :1])
            return torch.cat([ends, above], dim=1) - torch.cat([above, 0 * ends], dim=1)
        shift, scale = _like(outputs, self.shift), _like(outputs, self.scale)
        numbers = shift + scale * (outputs.sigmoid() if self.kind == "range" else outputs)
        return _between_grades(numbers, _like(outputs, self.grades)) if self.kind == "grade" else numbers

    def error(self, y: np.ndarray, p: np.ndarray) -> float | None:
        """The mean squared error of predictions `p` (N, K), in standard deviations; None where it is no number."""
        if self.kind in {"softmax", "sigmoid", "corn"}:
            return None
        differences = (y - p) @ np.array(self.grades)[:, None] if self.kind == "grade" else y - p
        return float(((differences / np.array(self.scale)) ** 2).mean())


def link_of(model: nn.Module, targets: Targets) -> Link:
    """What the outputs of `model` mean: its `link`, or else the logits of classes."""
    return getattr(model, "link", None) or Link.of("auto", targets)


def _like(tensor: Tensor, numbers: Numbers) -> Tensor:
    """`numbers` as a tensor of the type of `tensor`, where it is."""
    return _on(numbers, tensor.dtype, tensor.device)


@lru_cache(maxsize=64)  # made anew at each step, the GPU would be waited for
@torch.inference_mode(False)  # else training could not use what a prediction has made
def _on(numbers: Numbers, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(numbers, dtype=dtype, device=device)


def _between_grades(numbers: Tensor, grades: Tensor) -> Tensor:
    """(B, K) probabilities of the two grades that each of `numbers` (B, 1) lies between: it is what they expect."""
    inside = numbers.clamp(grades[0], grades[-1])
    above = torch.searchsorted(grades, inside.contiguous()).clamp(1, len(grades) - 1)
    low, high = grades[above - 1], grades[above]
    share = (inside - low) / (high - low)
    p = torch.zeros(len(numbers), len(grades), dtype=numbers.dtype, device=numbers.device)
    return p.scatter(1, above - 1, 1 - share).scatter(1, above, share)


def _std(values: np.ndarray) -> np.ndarray:
    return _above_zero(values.std(axis=0))


def _above_zero(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 1.0)


def _numbers(values: np.ndarray) -> Numbers:
    return tuple(values.astype(np.float64).tolist())
