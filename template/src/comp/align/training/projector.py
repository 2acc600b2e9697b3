"""From a text's embedding to the direction of its image: a linear map, a branch, or both."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from comp.align.baselines.closed_form import Captions, fit_cca, fit_ridge
from comp.align.schema import LEAST_TEMPERATURE, Loss, Model
from comp.align.training.basis import output_basis
from comp.errors import CompError, first_line
from comp.files import written_whole
from comp.loop.tensors import AGAIN, read_safetensors
from comp.readback import reading

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


class Projector(nn.Module):
    """texts (B, D_text) → coordinates (B, C) of directions; the learned temperature is among its parameters.

    With `model.basis` there are fewer coordinates than an image has numbers, and cosines with many images cost as much
    less: they are products of coordinates (`as_unit`, `keys`).
    """

    def __init__(self, settings: Model, loss: Loss, texts: int, images: int) -> None:
        super().__init__()
        self.normalize = settings.normalize
        width = images if settings.basis is None else min(settings.basis, images)
        self.linear = nn.Linear(texts, width) if settings.linear else None
        self.branch = _branch(settings, texts, width) if settings.hidden else None
        self.basis: Tensor | None
        self.register_buffer("basis", None if settings.basis is None else torch.zeros(width, images))
        if self.linear is not None and self.branch is not None and settings.start != "random":
            last = [layer for layer in self.branch if isinstance(layer, (nn.Linear, nn.LayerNorm))][-1]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        learned = loss.learn_temperature and loss.kind != "cosine"
        start = torch.tensor(float(np.log(1 / loss.temperature)))
        self.log_scale = nn.Parameter(start) if learned else None
        self.fixed_scale = 1 / loss.temperature

    def forward(self, texts: Tensor) -> Tensor:
        if self.normalize:
            texts = functional.normalize(texts, dim=1)
        parts = [part(texts) for part in (self.linear, self.branch) if part is not None]
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def directions(self, coordinates: Tensor) -> Tensor:
        """(B, D_image), not normalized."""
        return coordinates if self.basis is None else coordinates @ self.basis

    def as_unit(self, coordinates: Tensor) -> Tensor:
        """(B, C) coordinates of directions of length 1: their product with `keys` of images are cosines."""
        return coordinates / self.directions(coordinates).norm(dim=1, keepdim=True).clamp(min=1e-12)

    def keys(self, images: Tensor) -> Tensor:
        """(M, C) of images (M, D_image) of length 1, see `as_unit`."""
        return images if self.basis is None else images @ self.basis.T

    @property
    def scale(self) -> Tensor | float:
        """One by the temperature."""
        return self.fixed_scale if self.log_scale is None else self.log_scale.exp()

    @torch.no_grad()
    def limit_scale(self) -> None:
        """After a step: a learned scale stays below 100, as in CLIP (arXiv 2103.00020), and can come down again."""
        if self.log_scale is not None:
            self.log_scale.clamp_(max=float(np.log(1 / LEAST_TEMPERATURE)))


def build_model(settings: Model, loss: Loss, captions: Captions) -> Projector:
    """The model of these training captions, before its first step."""
    model = Projector(settings, loss, captions.texts.shape[1], captions.images.shape[1])
    if model.basis is not None:
        rows = output_basis(captions.images[np.unique(captions.image_of)], len(model.basis))
        model.basis[: len(rows)] = torch.from_numpy(rows)  # fewer where there are fewer images
    if model.linear is not None and settings.start != "random":
        fit = {"ridge": fit_ridge, "cca": fit_cca}[settings.start]
        affine: Any = fit(captions, centered=True).model
        weight, bias = affine.weight, affine.bias
        if model.basis is not None:
            back = np.linalg.pinv(model.basis.numpy())
            weight, bias = weight @ back, bias @ back
        with torch.no_grad():
            model.linear.weight.copy_(torch.from_numpy(weight.T))
            model.linear.bias.copy_(torch.from_numpy(bias))
    return model


def _branch(settings: Model, texts: int, images: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = [texts, *settings.hidden]
    for before, after in pairwise(widths):
        layers.append(nn.Linear(before, after))
        layers += [nn.LayerNorm(after)] if settings.norm else []
        layers += [ACTIVATIONS[settings.activation](), nn.Dropout(settings.dropout)]
    layers.append(nn.Linear(widths[-1], images))
    layers += [nn.LayerNorm(images)] if settings.norm else []
    return nn.Sequential(*layers)


@torch.inference_mode()
def predicted(model: Projector, texts: np.ndarray, batch_size: int, device: torch.device) -> np.ndarray:
    """The directions (N, D_image) float32, of length 1, of `texts` (N, D_text) of any float type."""
    model.eval()
    found = []
    for start in range(0, len(texts), batch_size):
        rows = torch.from_numpy(np.asarray(texts[start : start + batch_size], dtype=np.float32)).to(device)
        found.append(functional.normalize(model.directions(model(rows).float()), dim=1).cpu().numpy())
    return np.concatenate(found)


def save_projector(model: Projector, path: Path, facts: dict[str, str]) -> None:
    tensors = {name: tensor.contiguous().cpu() for name, tensor in model.state_dict().items()}
    with written_whole(path) as temporary:
        save_file(tensors, temporary, metadata=facts)


def load_projector(settings: Model, loss: Loss, path: Path) -> tuple[Projector, dict[str, str]]:
    """A saved model, and the facts beside its weights.

    Raises:
        CompError: it is not there, or not of these settings.
    """
    if not path.is_file():
        raise CompError(f"{path} does not exist: run comp train")
    way_out = AGAIN.format(folder=path.parent)
    tensors, facts = read_safetensors(path, way_out)
    with reading(path, way_out):
        texts, images, _ = int(facts["texts"]), int(facts["images"]), facts["folds"]
    model = Projector(settings, loss, texts, images)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CompError(f"{path} belongs to another model: {first_line(error)}") from None
    return model, facts
