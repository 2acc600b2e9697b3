"""Cuts a network where what is frozen ends (`train.cache_frozen`): features are kept there, and what lies above learns.

What lies above is a second network of the same weights and buffers, whose modules below the cut compute nothing: the
one at the cut gives the features that were kept, those before it give NaN of the shape that they had. Code between
them runs on as it is, for next to nothing; and where anything goes around the cut, the logits are no numbers.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import torch
from accelerate.utils import recursively_apply
from torch import Tensor, nn

from comp.vision.model.build import Classifier
from comp.vision.model.class_token import shorten
from comp.vision.model.frozen import Call, calls, evaluating, tensors_in

CLOSE = 1e-2  # of the largest logit: how far others may be off by rounding (TF32, bf16); what is wrong is NaN, or more


class _Reached(Exception):
    """The features at the cut are known: what comes above them need not be computed."""


@dataclass
class _Given:
    """What the modules below the cut share."""

    features: Tensor  # (B, …) at the cut, of the batch that passes


class Tail(nn.Module):
    """Features (B, …) at the cut, of any number type, and metadata (B, M) or None → logits (B, K)."""

    def __init__(self, model: Classifier, given: _Given, cut: "Cut") -> None:
        super().__init__()
        self.model, self._given, self._cut = model, given, cut
        self.link = model.link

    def forward(self, features: Tensor, metadata: Tensor | None = None) -> Tensor:
        # They stay there until the next batch: with checkpoints, a backward pass asks for them again.
        self._given.features = features = features.to(dtype=self._cut.dtype, memory_format=self._cut.order)
        blank = _blank(self._given, torch.empty(1, *self._cut.image, device="meta"), self._cut.spread)
        return self.model.classified(self.model.backbone(blank), metadata)


@dataclass(frozen=True)
class Cut:
    """Where a network is cut, and what passes there."""

    at: str  # the module whose output is kept
    below: dict[str, object]  # modules before it, and what each gives
    image: tuple[int, ...]  # (3, H, W)
    shape: tuple[int, ...]  # of an image's features
    dtype: torch.dtype
    order: torch.memory_format
    spread: bool = False  # each NaN has memory of its own: something is done to them in place
    short: bool = True  # of a ViT's last block only what its class token needs

    def features(self, model: Classifier, images: Tensor) -> Tensor:
        """What is at the cut of images (B, 3, H, W): (B, *shape)."""
        kept: list[Tensor] = []

        def look(_: nn.Module, __: object, output: Tensor) -> None:
            kept.append(output)
            raise _Reached

        handle = model.get_submodule(self.at).register_forward_hook(look)
        try:
            model(images)
        except _Reached:
            pass
        finally:
            handle.remove()
        return kept[0]

    def tail(self, model: Classifier) -> Tail:
        """What lies above the cut, with the weights and buffers of `model`, in training where the model is."""
        memo: dict[int, Any] = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
        above, given = deepcopy(model, memo), _Given(torch.empty(0))
        if self.short:
            shorten(above.backbone)
        for name, output in self.below.items():
            above.get_submodule(name).forward = partial(_blank, given, output, self.spread)
        above.get_submodule(self.at).forward = partial(_kept, given)
        return Tail(above, given, self)


def _kept(given: _Given, *_: object, **__: object) -> Tensor:
    """In the place of the forward pass of the module at the cut, whatever it is called with."""
    return given.features


def _blank(given: _Given, output: object, spread: bool, *_: object, **__: object) -> Any:
    """In the place of that of a module before it: like `output`, for as many images as there are features."""

    def blank(like: Tensor) -> Tensor:
        value = float("nan") if like.is_floating_point() else 0
        one = torch.full((), value, dtype=like.dtype, device=given.features.device)
        values = one.expand(len(given.features), *like.shape[1:])
        return values.clone() if spread else values

    return recursively_apply(blank, output)


def find_cut(model: Classifier, images: Tensor, metadata: Tensor | None = None) -> Cut | None:
    """The last place at which all that the logits need of images (B, 3, H, W) is one tensor that nothing learns in.

    None where there is none: what is frozen has other ways to the logits. Each place is tried on these images.
    """
    names = {module: name for name, module in model.named_modules()}
    found = {names[module]: each for module, each in calls(model, images).items()}
    below = {name: each[0] for name, each in found.items() if _is_below(name, found) and _once(each, len(images))}
    with evaluating(model), torch.no_grad():
        expected = model(images, metadata)
        cuts = (cut for cut in _cuts(below, images) if _holds(cut, model, images, metadata, expected))
        return next(cuts, None)


def _cuts(below: dict[str, Call], images: Tensor) -> Iterator[Cut]:
    """All that may be tried, those that leave least to learn first."""
    image = tuple(images.shape[1:])
    shapes = {name: recursively_apply(_shape, call.output) for name, call in below.items()}
    for place, (name, call) in reversed(list(enumerate(below.items()))):
        kept, before = call.output, dict(list(shapes.items())[:place])
        if isinstance(kept, Tensor) and kept.is_floating_point():
            for spread, short in product((False, True), (True, False)):
                yield Cut(name, before, image, tuple(kept.shape[1:]), kept.dtype, _order(kept), spread, short)


def _is_below(name: str, found: dict[str, list[Call]]) -> bool:
    """Whether it is the largest module of the backbone that no weight that learns has a part in."""
    words = name.split(".")
    above = [".".join(words[:count]) for count in range(1, len(words))]
    frozen = [not any(call.learns for call in found.get(each, [Call(None, True)])) for each in [*above, name]]
    return words[0] == "backbone" and frozen[-1] and not any(frozen[:-1])


def _once(found: list[Call], images: int) -> bool:
    """Whether it is called once, for all images: others run on as they are."""
    given = list(tensors_in(found[0].output))
    return len(found) == 1 and bool(given) and all(each.ndim and len(each) == images for each in given)


def _holds(cut: Cut, model: Classifier, images: Tensor, metadata: Tensor | None, expected: Tensor) -> bool:
    """Whether the network gives the same logits when it is cut there."""
    try:
        logits = cut.tail(model)(cut.features(model, images), metadata)
    except Exception:  # whatever its code says to NaN, to blanks that it writes to, to shapes that it did not expect
        return False
    return bool((logits - expected).abs().max() <= CLOSE * expected.abs().max().clamp(min=1))


def _shape(output: Tensor) -> Tensor:
    return torch.empty_like(output, device="meta")


def _order(output: Tensor) -> torch.memory_format:
    last = output.ndim == 4 and not output.is_contiguous() and output.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
