"""Writes parts/vision/backbones.yaml, what the backbone prompt says of each: `python ci/backbones.py`.

Memory is computed, not measured on a GPU: what autograd keeps of 32 images of 224 px under bf16 autocast, and 20 bytes
per parameter (weight, gradient, two moments of AdamW and the average, 4 each), rounded up to GB. The allocator and the
CUDA context come on top.
"""

import math
import sys
from pathlib import Path
from typing import Any

import timm
import torch
import yaml
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "template/src"))

from comp.clip.schema import ClipModel  # noqa: E402
from comp.vision.model import build_model  # noqa: E402

HEAD = "# Written by ci/backbones.py: parameters in millions, memory to train 32 images of 224 px in 16 bits.\n"
BATCH, SIZE_PX, BYTES_PER_PARAMETER = 32, 224, 20


def offered(root: Path = ROOT) -> list[str]:
    """The backbones that the recipes offer."""
    recipes = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (root / "recipes").glob("*.yaml")]
    return sorted({name for recipe in recipes for name in recipe["recipe"].get("backbones", [])})


def parameters_m(name: str) -> int:
    """Millions of parameters, without a head."""
    with torch.device("meta"):
        model = clip_model(name) if "/" in name else timm.create_model(name, pretrained=False, num_classes=0)
    return round(sum(each.numel() for each in model.parameters()) / 1e6)


def memory_gb(name: str) -> int:
    """What training needs, see above; activations are counted for two and for four images."""
    if "/" in name:
        model: nn.Module = clip_model(name)
    else:
        try:
            model = timm.create_model(name, pretrained=False, num_classes=2, img_size=SIZE_PX)
        except TypeError:  # convolutional: any size
            model = timm.create_model(name, pretrained=False, num_classes=2)
    two, four = kept_bytes(model, 2), kept_bytes(model, 4)
    per_image = (four - two) / 2
    weights = BYTES_PER_PARAMETER * sum(each.numel() for each in model.parameters())
    return math.ceil((two + (BATCH - 2) * per_image + weights) / 1e9)


def clip_model(name: str, **settings: Any) -> nn.Module:
    """Both towers of a CLIP model with random weights, for fifty classes unless `settings` say otherwise."""
    about = {"image_size": SIZE_PX, "head": "prompts", "names": {str(k): f"class number {k}" for k in range(50)}}
    model = ClipModel(backbone=name, pretrained=False, **{**about, **settings})
    return build_model(model, len(model.names))


def kept_bytes(model: nn.Module, images: int, size_px: int = SIZE_PX) -> int:
    """The storage that a forward pass keeps for the backward pass, without the parameters."""
    kept: dict[int, Tensor] = {}  # the tensors stay alive, so that no address is used twice

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        model.train()(torch.zeros(images, 3, size_px, size_px))
    own = {each.untyped_storage().data_ptr() for each in model.parameters()}
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


if __name__ == "__main__":
    about = {name: {"parameters_m": parameters_m(name), "memory_gb": memory_gb(name)} for name in offered()}
    text = HEAD + yaml.safe_dump(about, default_flow_style=None)
    (ROOT / "parts/vision/backbones.yaml").write_text(text, encoding="utf-8")
